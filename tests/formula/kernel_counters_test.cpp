/* SPDX-License-Identifier: Apache-2.0 */
/* The counters that a kernel shows its user: /proc/vmstat, the trace point tlb:tlb_flush,
 * /proc/interrupts (rows TLB, CAL and RES); and calls that meet a CPU which waits for its own. */
#include <gtest/gtest.h>

#include "models/guest/coherence/smp_call.h"
#include "tests/support/lock_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096, ms = 1000000;

/* What MADV_DONTNEED of so many pages adds on one CPU beside another one of the process. */
std::map<std::string, uint64_t> drop_adds(uint64_t pages, bool lazy)
{
    std::map<std::string, uint64_t> stats[2];
    for (bool drop : {false, true}) {
        std::vector<ts_op> ops = {op_mmap(0, 64 * page), op_touch(0, 0, 64),
                                  op_ns(TS_OP_COMPUTE, ms)};
        if (drop)
            ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, pages * page));
        ops.push_back(op_ns(TS_OP_COMPUTE, 20 * ms)); /* the other one ends first */
        Outcome out = run_script(bare_machine(2),
                                 {ops, {op_ns(lazy ? TS_OP_SLEEP : TS_OP_COMPUTE, 10 * ms)}}, 2);
        EXPECT_EQ(out.status, TS_OK) << out.message;
        stats[drop] = out.stats;
    }
    for (auto &[name, value] : stats[1])
        value -= stats[0].at(name);
    return stats[1];
}

uint64_t of(const std::map<std::string, uint64_t> &stats, const std::string &name)
{
    return stats.at("guest." + name);
}

} // namespace

TEST(KernelCounters, AFlushByPagesAndOneOfEverything)
{
    for (uint64_t n : {3u, 34u}) {
        SCOPED_TRACE(n);
        const bool all = n > 33;
        const auto added = drop_adds(n, false);
        EXPECT_EQ(of(added, "nr_tlb_remote_flush"), 1u);
        EXPECT_EQ(of(added, "nr_tlb_remote_flush_received"), 1u);
        EXPECT_EQ(of(added, "nr_tlb_local_flush_all"), all ? 1u : 0u);
        EXPECT_EQ(of(added, "nr_tlb_local_flush_one"), all ? 0u : n);
        for (const char *reason : {"remote_send_ipi", "local_mm_shootdown", "remote_shootdown"}) {
            const std::string name = std::string("tlb_flush_") + reason;
            EXPECT_EQ(of(added, name), 1u) << reason;
            EXPECT_EQ(of(added, name + "_all"), all ? 1u : 0u) << reason;
            EXPECT_EQ(of(added, name + "_pages"), all ? 0u : n) << reason;
        }
        EXPECT_EQ(of(added, "tlb_flush_local_shootdown"), 0u);
        EXPECT_EQ(of(added, "tlb_flush_on_task_switch"), 0u);
        EXPECT_EQ(added.at("pcpu.irq_call"), 1u); /* CAL */
        EXPECT_EQ(added.at("pcpu.irq_resched"), 0u);
    }
}

/* The trace says that an IPI is sent, and /proc/vmstat counts it, though there is nobody to get
 * one. */
TEST(KernelCounters, AFlushOfLazyCpusIsCountedButNotReceived)
{
    const auto added = drop_adds(3, true);
    EXPECT_EQ(of(added, "nr_tlb_remote_flush"), 1u);
    EXPECT_EQ(of(added, "tlb_flush_remote_send_ipi"), 1u);
    EXPECT_EQ(of(added, "tlb_flush_remote_send_ipi_pages"), 3u);
    EXPECT_EQ(of(added, "nr_tlb_remote_flush_received"), 0u);
    EXPECT_EQ(of(added, "tlb_flush_remote_shootdown"), 0u);
    EXPECT_EQ(added.at("pcpu.irq_call"), 0u);
}

/* Of no one address space: the reclaim's batch. */
TEST(KernelCounters, AFlushOfNoAddressSpaceHasAReasonOfItsOwn)
{
    static ts_guest_stats before, after;
    ts_flush_ops ops = *ts_flush_find("native_concurrent");
    ops.flush_mm = [](ts_task *self, ts_flush_info *info, ts_shootdown_record *) {
        ts_flush_info none = *info;
        ts_guest *g = ts_guest_cpu_of(self)->guest;
        none.mm = nullptr;
        none.new_tlb_gen = 0;
        none.start = 0;
        none.end = UINT64_MAX;
        before = g->stats;
        ts_flush_local(self, &none);
        after = g->stats;
        return false;
    };
    Outcome out = run_script(bare_machine(1), {{op_mmap(0, page), op_touch(0, 0, 1)}}, 1, &ops);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    const auto reason = TS_TLB_LOCAL_SHOOTDOWN;
    EXPECT_EQ(after.tlb_trace[reason].events - before.tlb_trace[reason].events, 1u);
    EXPECT_EQ(after.tlb_trace[reason].all - before.tlb_trace[reason].all, 1u);
}

TEST(KernelCounters, SwitchesAreTracedWhetherTheyFlushOrNot)
{
    Script s(3);
    s[0] = {op_spawn(1, TS_OPF_NEW_MM), op_spawn(2, TS_OPF_NEW_MM)};
    for (int r = 0; r < 20; r++)
        for (uint32_t p : {1u, 2u}) {
            s[p].push_back(op_ns(TS_OP_COMPUTE, 3000));
            s[p].push_back(op_ns(TS_OP_SLEEP, 20000));
        }
    Outcome out = run_script(bare_machine(1), s, 1);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(of(out.stats, "tlb_flush_on_task_switch_all"), of(out.stats, "flush_on_switch"));
    EXPECT_GT(of(out.stats, "tlb_flush_on_task_switch"),
              of(out.stats, "tlb_flush_on_task_switch_all") + 30);
    EXPECT_EQ(of(out.stats, "tlb_flush_on_task_switch_pages"), 0u);
}

/* smp_call_function_many_cond: CPU 0 waits for CPU 2, which has its interrupts off for 5 ms, and
 * takes CPU 1's call at once all the same. */
TEST(NestedCalls, AnInitiatorServesCallsWhileItSpins)
{
    LockRig rig(3);
    rig.set_bare();
    ts_time waited[2] = {};
    const auto call = [&](ts_task *self, uint32_t target) {
        ts_smp_call c;
        ts_time start = ts_task_now(self);
        ts_smp_call_begin(&c, self);
        ts_csd *csd = ts_smp_call_prepare(
            &c, &rig.guest->cpus[target], [](ts_task *, void *) {}, nullptr);
        (void)ts_smp_call_queue(self, csd);
        (void)ts_smp_call_send(self, &c);
        ts_smp_call_wait(&c);
        ts_smp_call_end(&c);
        return ts_task_now(self) - start;
    };
    rig.on(0, 2 * TS_MS, [&](ts_task *self) { waited[0] = call(self, 2); });
    rig.on(1, 3 * TS_MS, [&](ts_task *self) { waited[1] = call(self, 0); });
    rig.on(2, TS_MS, [&](ts_task *self) {
        ts_irq_disable(self);
        ts_task_work_ps(self, 5 * TS_MS);
        ts_irq_enable(self);
    });
    Outcome out = rig.run({op_ns(TS_OP_COMPUTE, 10 * ms)});
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GT(waited[0], 3900 * TS_US);
    EXPECT_LT(waited[1], 10 * TS_US);
}

/* --- threads beyond the vCPUs --- */

namespace
{

Outcome computing(uint32_t vcpus, uint32_t threads, uint64_t ns)
{
    ts_machine_config c = small_machine();
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", std::to_string(vcpus));
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(vcpus));
    set(c, "hypervisor.pin", "true");
    Outcome out =
        run_script(c, Script(threads, std::vector<ts_op>{op_ns(TS_OP_COMPUTE, ns)}), threads);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

} // namespace

TEST(GuestScheduler, ThreadsBeyondTheVcpusShareThemByTicks)
{
    Outcome out = computing(2, 4, 20 * ms);
    EXPECT_GT(out.result.completion_ps, 40 * TS_MS);
    EXPECT_LT(out.result.completion_ps, 40 * TS_MS + TS_MS / 2);
    EXPECT_GE(out.stats.at("vcpu.preemptions"), 2u * 4u); /* every other tick at least */
}

/* Two of three share a vCPU for 20 ms, until the third has ended. Whenever the idle one looks, at
 * ticks, the waiting one has just run; after two failures it is taken all the same. */
TEST(GuestScheduler, AnIdleVcpuTakesAWaitingThread)
{
    Outcome out = computing(2, 3, 20 * ms);
    EXPECT_GT(out.result.completion_ps, 30 * TS_MS);
    EXPECT_LT(out.result.completion_ps, 37 * TS_MS);
    EXPECT_GE(out.stats.at("vcpu.migrations"), 1u);
}
