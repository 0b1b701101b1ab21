/* SPDX-License-Identifier: Apache-2.0 */
/* Co-scheduling (models/cpu/sched_gang.c): whose slot it is, alternates, and what it is for. */
#include <gtest/gtest.h>

#include "tests/support/sched_rig.hpp"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr ts_time period = 4 * TS_MS;

/* A queue with slots of two ticks, and a task of each group given. */
struct Rig : SchedRig {
    explicit Rig(std::initializer_list<uint32_t> groups)
        : SchedRig("gang", static_cast<uint32_t>(groups.size()))
    {
        params.tick_ps = period;
        params.slice_ps = period + 1; /* rounded up */
        rq.groups = 2;
        for (uint32_t i = 0; i < groups.size(); i++) {
            tasks[i].group = groups.begin()[i];
            wake(i);
        }
        resched();
    }
    void at(ts_time now)
    {
        rq.now = now;
    }
    bool moves(ts_time now)
    {
        at(now);
        run(1);
        if (!SchedRig::tick())
            return false;
        resched();
        return true;
    }
};

} // namespace

TEST(Gang, SlotsGoRoundTheGroups)
{
    Rig r({0, 1});
    EXPECT_EQ(r.running(), 0u);
    EXPECT_FALSE(r.moves(2 * period - 1));
    EXPECT_TRUE(r.moves(2 * period));
    EXPECT_EQ(r.running(), 1u);
    EXPECT_FALSE(r.moves(4 * period - 1));
    EXPECT_TRUE(r.moves(4 * period));
    EXPECT_EQ(r.running(), 0u);
}

TEST(Gang, AlternatesFillACpuUntilTheGroupHasSomebody)
{
    Rig r({1, 1});
    EXPECT_EQ(r.running(), 0u); /* it is group 0's slot, which has nobody */
    EXPECT_FALSE(r.moves(period));
    ts_sched_entity own{};
    own.number = 7;
    r.ops->enqueue(&r.rq, r.curr, &own, true);
    EXPECT_TRUE(r.ops->preempts(&r.rq, r.curr, &own));
    r.resched();
    EXPECT_EQ(r.running(), 7u);
    /* And nobody of another group takes the CPU from it. */
    EXPECT_FALSE(r.ops->preempts(&r.rq, r.curr, &r.tasks[1]));
    r.run(100 * period);
    EXPECT_FALSE(r.tick());
    r.yield();
    EXPECT_EQ(r.running(), 7u);
}

TEST(Gang, WithinAGroupItIsRoundRobin)
{
    Rig r({0, 0, 1});
    r.run(period);
    EXPECT_FALSE(r.tick());
    r.run(1);
    EXPECT_TRUE(r.tick());
    r.resched();
    EXPECT_EQ(r.running(), 1u);
    r.yield();
    EXPECT_EQ(r.running(), 0u);
}

TEST(Gang, TheHostsOwnThreadsRunInEverySlot)
{
    Rig r({1});
    ts_sched_entity host{};
    host.group = TS_SCHED_NO_GROUP;
    host.number = 9;
    r.ops->enqueue(&r.rq, r.curr, &host, true);
    EXPECT_TRUE(r.ops->preempts(&r.rq, r.curr, &host));
    r.at(2 * period);
    EXPECT_FALSE(r.ops->preempts(&r.rq, r.curr, &host)); /* both may run */
}

/* Two guests whose threads all compute, and flush: with co-scheduling a target runs when its
 * initiator does; without, every other shootdown waits for a slice. */
TEST(Gang, ShootdownsMeetRunningVcpus)
{
    auto waits = [](const char *policy) {
        ts_machine_config c = small_machine(false);
        set(c, "topology.sockets", "1");
        set(c, "topology.cores_per_socket", "4");
        set(c, "run.vms", "2");
        set(c, "run.vcpus", "4");
        set(c, "host_sched.policy", policy);
        set(c, "host_sched.slice", "8ms");
        set(c, "hypervisor.pin", "true");
        set(c, "hypervisor.ple", "false"); /* nobody yields to the target */
        std::vector<ts_op> drops = {op_mmap(0, 64 * 4096)};
        for (int i = 0; i < 40; i++) {
            drops.push_back(op_touch(0, 0, 4));
            drops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 4 * 4096));
            drops.push_back(op_ns(TS_OP_COMPUTE, 900000));
        }
        Script script = {drops};
        for (uint64_t i = 1; i < 4; i++) /* out of step with each other */
            script.push_back({op_ns(TS_OP_SLEEP, 5 * i * 1000000), op_ns(TS_OP_COMPUTE, 90000000)});
        Outcome out = run_script(c, script, 4, "native_concurrent");
        EXPECT_EQ(out.status, TS_OK) << out.message;
        EXPECT_GT(out.shootdowns.size(), 70u);
        uint64_t n = 0;
        for (const auto &s : out.shootdowns)
            n += s.total_ps > TS_MS;
        return n;
    };
    EXPECT_LE(waits("gang"), 3u); /* at the edge of a slot */
    EXPECT_GT(waits("rr"), 10u);
}
