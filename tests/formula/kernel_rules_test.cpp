/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of x86.md section 10 that one small machine can show: counts that follow from the
 * kernel's rules, whatever anything costs. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

ts_machine_config vm(uint32_t vcpus)
{
    ts_machine_config c = small_machine();
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", std::to_string(vcpus));
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(vcpus));
    return c;
}

/* Thread 0 starts when the other is where it is to be, and does ops. */
Script beside(std::vector<ts_op> ops, const ts_op &other)
{
    ops.insert(ops.begin(), op_ns(TS_OP_COMPUTE, ms));
    return {ops, {op_ns(TS_OP_COMPUTE, ms / 10), other}};
}

} // namespace

TEST(KernelRules, MunmapOf16384TouchedPagesIsTwoShootdowns)
{
    /* The gather is full after 9678 pages; the rest goes with the freed tables. */
    auto out = run_script(bare_machine(2),
                          beside({op_mmap(0, 16384 * page), op_touch(0, 0, 16384),
                                  op_range(TS_OP_MUNMAP, 0, 0, 16384 * page)},
                                 op_ns(TS_OP_COMPUTE, 200 * ms)),
                          2);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    ASSERT_EQ(out.shootdowns.size(), 2u);
    EXPECT_FALSE(out.shootdowns[0].freed_tables);
    EXPECT_TRUE(out.shootdowns[1].freed_tables);
}

TEST(KernelRules, MunmapOfDirtySharedFilePagesFlushesOncePerTable)
{
    auto out = run_script(bare_machine(2),
                          beside({op_mmap(0, 16384 * page, TS_OPF_SHARED), op_touch(0, 0, 16384),
                                  op_range(TS_OP_MUNMAP, 0, 0, 16384 * page)},
                                 op_ns(TS_OP_COMPUTE, 200 * ms)),
                          2);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    uint64_t under_lock = 0;
    for (const auto &r : out.shootdowns)
        under_lock += !r.freed_tables;
    EXPECT_EQ(under_lock, 32u);
}

TEST(KernelRules, LazyCpusGetNoIpiUnlessTablesAreFreed)
{
    /* The neighbour keeps the page table; without it the munmap frees it. */
    for (bool keep : {true, false}) {
        std::vector<ts_op> ops = {op_mmap(1, 3 * page), op_touch(1, 0, 1, true)};
        if (keep)
            ops.insert(ops.begin(), {op_mmap(0, 16 * page), op_touch(0, 0, 16)});
        ops.push_back(op_range(TS_OP_MUNMAP, 1, 0, 3 * page));
        auto out = run_script(bare_machine(2), beside(ops, op_ns(TS_OP_SLEEP, 100 * ms)), 2);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        /* The first is the munmap's; where memory is left, exit_mmap makes another. Counted as a
         * remote flush even if nobody is sent an IPI. */
        EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_flush"), keep ? 2u : 1u);
        ASSERT_FALSE(out.shootdowns.empty());
        EXPECT_EQ(out.shootdowns[0].freed_tables, !keep);
        EXPECT_EQ(out.shootdowns[0].targets, keep ? 0u : 1u);
        EXPECT_EQ(out.stats.at("guest.targets_lazy_skipped"), keep ? 1u : 0u);
    }
}

TEST(KernelRules, PollingIdleCpuNeedsNoIpi)
{
    /* MWAIT idle: one target is told by its flags. Two targets get IPIs. */
    for (bool polling : {true, false}) {
        ts_machine_config c = bare_machine(2);
        set(c, "guest.idle_polling", polling ? "true" : "false");
        auto out = run_script(
            c,
            beside({op_mmap(0, page), op_touch(0, 0, 1), op_range(TS_OP_MUNMAP, 0, 0, page)},
                   op_ns(TS_OP_SLEEP, 100 * ms)),
            2);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.ipis"), polling ? 0u : 1u);
        EXPECT_EQ(out.stats.at("guest.ipis_polling"), polling ? 1u : 0u);
        EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_flush_received"), 1u);
    }
}

TEST(KernelRules, CeilingOf33PagesDividesPartialFromFull)
{
    for (uint64_t n : {33u, 34u}) {
        auto out = run_script(bare_machine(2),
                              beside({op_mmap(0, n * page), op_touch(0, 0, n),
                                      op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page)},
                                     op_ns(TS_OP_COMPUTE, 100 * ms)),
                              2);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        ASSERT_FALSE(out.shootdowns.empty());
        EXPECT_EQ(out.shootdowns[0].end == UINT64_MAX, n > 33);
        EXPECT_EQ(out.stats.at("guest.flush_partial"), n > 33 ? 0u : 2u);
        EXPECT_EQ(out.stats.at("guest.flush_pages"), n > 33 ? 0u : 2 * n);
    }
}

TEST(KernelRules, MoreProcessesThanAsidsFlushAtEverySwitch)
{
    /* Processes that take turns on one CPU; the idle task keeps the last one's (lazy TLB). */
    auto flushes = [](uint32_t processes, uint64_t turns) {
        Script script(processes + 1);
        for (uint32_t p = 1; p <= processes; p++) {
            script[0].push_back(op_spawn(p, TS_OPF_NEW_MM));
            for (uint64_t t = 0; t < turns; t++) {
                script[p].push_back(op_ns(TS_OP_COMPUTE, 10000));
                script[p].push_back(op_ns(TS_OP_SLEEP, ms));
            }
        }
        auto out = run_script(bare_machine(1), script, 1);
        EXPECT_EQ(out.status, TS_OK) << out.message;
        return out.stats.at("guest.flush_on_switch");
    };
    constexpr uint64_t turns = 20;
    /* Once each and for good, but for what exits do at the end. */
    EXPECT_LE(flushes(4, turns), 3u * 4 + 2);
    /* Round-robin over six slots: always the one that is needed next. */
    EXPECT_GE(flushes(8, turns), 8 * turns);
}

TEST(KernelRules, OldHostsPreemptedRuleSparesHaltedVcpus)
{
    /* 4.16 to 5.18: a halted vCPU counts as preempted and is not woken, tables freed or not. */
    for (const char *rule : {"any_put", "preempted_at_irq_exit"}) {
        ts_machine_config c = vm(2);
        set(c, "hypervisor.pv_preempted_rule", rule);
        auto out = run_script(
            c,
            beside({op_mmap(0, page), op_touch(0, 0, 1), op_range(TS_OP_MUNMAP, 0, 0, page)},
                   op_ns(TS_OP_SLEEP, 100 * ms)),
            2, "kvm_pv");
        ASSERT_EQ(out.status, TS_OK) << out.message;
        bool old = rule[0] == 'a';
        EXPECT_EQ(out.stats.at("guest.shootdown_freed_tables"), 1u);
        EXPECT_EQ(out.stats.at("guest.ipis"), old ? 0u : 1u) << rule;
        EXPECT_EQ(out.stats.at("flush.kvm_pv.deferred"), old ? 1u : 0u) << rule;
    }
}

TEST(KernelRules, PiggyBackedCallsSendNoIpi)
{
    /* Many initiators, one more target: a csd on a queue that is not empty rides along. */
    const uint32_t n = 6;
    Script script(n);
    for (uint32_t t = 0; t + 1 < n; t++) {
        script[t] = {op_mmap(t, 8 * page)};
        for (int round = 0; round < 40; round++) {
            script[t].push_back(op_touch(t, 0, 8));
            script[t].push_back(op_range(TS_OP_MADVISE_DONTNEED, t, 0, 8 * page));
        }
    }
    script[n - 1] = {op_ns(TS_OP_COMPUTE, 20 * ms)};
    auto out = run_script(bare_machine(n), script, n);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GT(out.stats.at("guest.csd_piggyback"), 0u);
    EXPECT_EQ(out.stats.at("guest.csd_queued"), out.stats.at("guest.csd_piggyback") +
                                                    out.stats.at("guest.ipis") +
                                                    out.stats.at("guest.ipis_polling"));
    /* Several generations at once: one full flush for all, the others find it done. */
    EXPECT_GT(out.stats.at("guest.flush_full"), 0u);
    EXPECT_GT(out.stats.at("guest.flush_skipped"), 0u);
}
