/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of touches that are joined must give the statistics of touches simulated one by one. */
#include <gtest/gtest.h>

#include "sim/rng.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;

void expect_same(const Outcome &joined, const Outcome &single)
{
    ASSERT_EQ(joined.status, TS_OK) << joined.message;
    ASSERT_EQ(single.status, TS_OK) << single.message;
    EXPECT_EQ(joined.stats, single.stats);
    ASSERT_EQ(joined.shootdowns.size(), single.shootdowns.size());
    for (size_t i = 0; i < joined.shootdowns.size(); i++) {
        EXPECT_EQ(joined.shootdowns[i].started, single.shootdowns[i].started) << i;
        EXPECT_EQ(joined.shootdowns[i].total_ps, single.shootdowns[i].total_ps) << i;
    }
}

/* Threads that map, touch often and unmap shared regions at random moments. */
Script random_script(uint64_t seed, uint32_t threads)
{
    Script script(threads);
    ts_rng r;
    ts_rng_init(&r, seed, "touch_join", 0);
    for (uint32_t t = 0; t < threads; t++) {
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t mine = t * 8 + i;
            uint64_t pages = ts_rng_between(&r, 1, 300);
            script[t].push_back(op_mmap(mine, pages * page));
            for (uint32_t k = 0; k < 4; k++) {
                uint64_t at = ts_rng_below(&r, page);
                script[t].push_back(
                    op_touch(mine, at, pages, ts_rng_chance(&r, 1, 2), k == 3 ? 64 : page));
            }
            script[t].push_back(op_touch(mine, 0, 20000, true, 0)); /* longer than a slice */
            if (t > 0)
                script[t].push_back(op_touch((t - 1) * 8 + i, 0, 50, ts_rng_chance(&r, 1, 2)));
            if (ts_rng_chance(&r, 1, 3))
                script[t].push_back(op_ns(TS_OP_SLEEP, ts_rng_below(&r, 100000)));
            if (ts_rng_chance(&r, 2, 3))
                script[t].push_back(
                    op_range(TS_OP_MUNMAP, mine, 0, ts_rng_between(&r, 1, pages) * page));
            else
                script[t].push_back(op_range(TS_OP_MADVISE_DONTNEED, mine, 0, pages * page));
        }
    }
    return script;
}

void compare(ts_machine_config c, const Script &script, uint32_t threads)
{
    /* Many preemptions and migrations in the middle of runs. */
    for (const char *key :
         {"guest_sched.tick", "guest_sched.slice", "host_sched.slice", "host_sched.tick"})
        set(c, key, "100us");
    set(c, "guest_sched.migration_cost", "0");
    set(c, "guest.page_by_page", "false");
    Outcome joined = run_script(c, script, threads);
    set(c, "guest.page_by_page", "true");
    Outcome single = run_script(c, script, threads);
    expect_same(joined, single);
    EXPECT_GT(joined.stats["guest.touches"], 1000u);
}

} // namespace

TEST(TouchJoin, BareMetal)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        compare(bare_machine(2), random_script(seed, 4), 4);
    }
}

/* The speed of a thread changes when the other one of its core begins or ends. */
TEST(TouchJoin, ThreadsThatShareACore)
{
    for (uint64_t seed = 1; seed <= 2; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        ts_machine_config c = bare_machine(2);
        set(c, "topology.sockets", "1");
        set(c, "topology.cores_per_socket", "1");
        set(c, "topology.threads_per_core", "2");
        compare(c, random_script(seed, 3), 3);
    }
}

TEST(TouchJoin, OvercommittedMachine)
{
    for (uint64_t seed = 1; seed <= 2; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        ts_machine_config c = bare_machine(2);
        set(c, "hypervisor.kind", "kvm");
        set(c, "run.vms", "2");
        set(c, "run.vcpus", "2");
        compare(c, random_script(seed, 3), 3);
    }
}

/* An access costs what the MMU says and the program's own cycles, and nothing else. */
TEST(TouchJoin, ATouchThatHitsTakesItsCyclesExactly)
{
    const uint64_t pages = 16, rounds = 5000;
    ts_time ends[2];
    for (uint64_t i = 0; i < 2; i++) {
        ts_machine_config c = bare_machine(1);
        std::vector<ts_op> ops{op_mmap(0, pages * page), op_touch(0, 0, pages)};
        for (uint64_t n = 0; n < rounds * (i + 1); n++)
            ops.push_back(op_touch(0, 0, pages));
        Outcome got = run_script(c, {ops}, 1);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        ends[i] = got.stats["pcpu.user_ps"];
        if (i) {
            ts_time cycle_edges = rounds * pages * (c.guest.touch_cycles + c.mmu.l1_hit_cycles);
            double expected =
                static_cast<double>(cycle_edges) * 1e12 / static_cast<double>(c.topology.core_hz);
            EXPECT_NEAR(static_cast<double>(ends[1] - ends[0]), expected, 1e3);
        }
    }
}
