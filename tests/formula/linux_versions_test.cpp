/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the x86 flush path that kernels differ in, each alone: what lazy CPUs are told, who
 * stays in mm_cpumask, what flush_tlb_func asks first. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

const ts_op thinks = op_ns(TS_OP_COMPUTE, ms);

ts_op unmap(uint32_t region, uint64_t pages = 1)
{
    return op_range(TS_OP_MUNMAP, region, 0, pages * page);
}

/* Without the last one, of exit_mmap. */
std::vector<ts_shootdown_record> before_the_end(const Outcome &out)
{
    std::vector<ts_shootdown_record> records;
    for (const ts_shootdown_record &r : out.shootdowns)
        if (r.started + 90 * TS_MS < out.result.completion_ps)
            records.push_back(r);
    return records;
}

} // namespace

/* --- lazy CPUs --- */

namespace
{

/* Thread 1 sleeps from 0.1 ms on while thread 0 unmaps two pages, one after the other, of a table
 * that stays. */
Outcome beside_a_sleeper(const char *rule)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest.lazy_rule", rule);
    std::vector<ts_op> ops = {thinks, op_mmap(9, 16 * page), op_touch(9, 0, 16)};
    for (uint32_t region = 0; region < 2; region++) {
        ops.push_back(op_mmap(region, 3 * page));
        ops.push_back(op_touch(region, 0, 1));
        ops.push_back(unmap(region, 3));
    }
    ops.push_back(op_ns(TS_OP_COMPUTE, 200 * ms)); /* the sleeper ends first */
    return run_script(c, {ops, {op_ns(TS_OP_COMPUTE, ms / 10), op_ns(TS_OP_SLEEP, 50 * ms)}}, 2);
}

} // namespace

TEST(LinuxVersions, LazyCpusAreSkippedSince420)
{
    Outcome out = beside_a_sleeper("skip");
    ASSERT_EQ(out.status, TS_OK) << out.message;
    ASSERT_EQ(before_the_end(out).size(), 2u);
    for (const auto &r : before_the_end(out))
        EXPECT_EQ(r.targets, 0u);
    EXPECT_EQ(out.stats.at("guest.targets_lazy_skipped"), 2u);
}

TEST(LinuxVersions, LazyCpusThatAreToldLeaveForInitMm)
{
    Outcome out = beside_a_sleeper("ipi_all");
    ASSERT_EQ(out.status, TS_OK) << out.message;
    /* The first flush sends it out of the mask, the second is local. */
    ASSERT_EQ(before_the_end(out).size(), 1u);
    EXPECT_EQ(out.shootdowns[0].targets, 1u);
    EXPECT_EQ(out.stats.at("guest.targets_lazy_skipped"), 0u);
}

TEST(LinuxVersions, IdleCpusWereNeverLazyUpTo419)
{
    Outcome out = beside_a_sleeper("init_mm");
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.shootdowns.size(), 0u);
    EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_flush"), 0u);
}

/* Nobody is asked where all are told: no line of a target is read. */
TEST(LinuxVersions, WithoutSkippingTheInitiatorLooksAtNoTarget)
{
    ts_time took[2];
    for (bool skip : {false, true}) {
        ts_machine_config c = bare_machine(2);
        set(c, "guest.lazy_rule", skip ? "skip" : "ipi_all");
        std::vector<ts_op> ops = {thinks, op_mmap(9, 16 * page), op_touch(9, 0, 16)};
        for (uint32_t region = 0; region < 2; region++) {
            ops.push_back(op_mmap(region, page));
            ops.push_back(op_touch(region, 0, 1));
            ops.push_back(unmap(region));
        }
        Outcome out = run_script(c, {ops, {op_ns(TS_OP_COMPUTE, 5 * ms)}}, 2);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        ASSERT_GE(out.shootdowns.size(), 2u);
        ASSERT_EQ(out.shootdowns[1].targets, 1u);
        took[skip] = out.shootdowns[1].part_ps[TS_PATH_SEND];
    }
    EXPECT_GT(took[1], took[0] + 20 * TS_NS);
}

/* --- who stays in the mask --- */

namespace
{

/* Thread 1 has run on CPU 1 before another process took that. Thread 0 then flushes: a page whose
 * table stays, one whose table goes, and again one whose table stays. wait: before the first. */
Outcome beside_another_process(bool lazily, uint64_t wait)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest.lazy_mm_cpumask", lazily ? "true" : "false");
    std::vector<ts_op> ops = {thinks, op_spawn(2, TS_OPF_NEW_MM), op_ns(TS_OP_COMPUTE, wait)};
    ops.insert(ops.end(), {op_mmap(9, 16 * page), op_touch(9, 0, 16)});
    ops.insert(ops.end(), {op_mmap(0, page), op_touch(0, 0, 1), unmap(0)});
    ops.insert(ops.end(), {op_mmap(1, 1024 * page), op_touch(1, 0, 1), unmap(1, 1024)});
    ops.insert(ops.end(), {op_mmap(2, page), op_touch(2, 0, 1), unmap(2)});
    ops.push_back(op_ns(TS_OP_COMPUTE, 100 * ms));
    return run_script(c,
                      {ops,
                       {op_ns(TS_OP_COMPUTE, ms / 10), op_ns(TS_OP_SLEEP, wait + 60 * ms)},
                       {op_ns(TS_OP_COMPUTE, wait + 50 * ms)}},
                      2);
}

} // namespace

TEST(LinuxVersions, UpTo613ASwitchLeavesTheMask)
{
    Outcome out = beside_another_process(false, ms);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(before_the_end(out).size(), 0u);
    EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_wrong_cpu"), 0u);
}

TEST(LinuxVersions, Since614TheCpuStaysInTheMaskUntilAFlushFindsItElsewhere)
{
    Outcome out = beside_another_process(true, ms);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    ASSERT_EQ(before_the_end(out).size(), 2u);
    EXPECT_EQ(out.shootdowns[0].targets, 0u); /* it has loaded another address space */
    EXPECT_FALSE(out.shootdowns[0].freed_tables);
    EXPECT_EQ(out.shootdowns[1].targets, 1u);
    EXPECT_TRUE(out.shootdowns[1].freed_tables);
    /* And the third flush finds nobody else. */
    EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_wrong_cpu"), 1u);
}

TEST(LinuxVersions, OnceASecondAFlushIsSentToWhoIsInTheMaskOnly)
{
    Outcome out = beside_another_process(true, 1000 * ms);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    ASSERT_EQ(before_the_end(out).size(), 1u);
    EXPECT_EQ(out.shootdowns[0].targets, 1u);
    EXPECT_FALSE(out.shootdowns[0].freed_tables);
    EXPECT_EQ(out.stats.at("guest.nr_tlb_remote_wrong_cpu"), 1u);
}

/* One RMW for each mask that a switch changes, and none where the bit is set already. */
TEST(LinuxVersions, Since614SwitchesLeaveTheMasksAlone)
{
    Outcome out[2];
    for (bool lazily : {false, true}) {
        ts_machine_config c = bare_machine(1);
        set(c, "guest.lazy_mm_cpumask", lazily ? "true" : "false");
        Script s(3);
        s[0] = {op_spawn(1, TS_OPF_NEW_MM), op_spawn(2, TS_OPF_NEW_MM)};
        for (int r = 0; r < 100; r++)
            for (uint32_t p : {1u, 2u}) {
                s[p].push_back(op_ns(TS_OP_COMPUTE, 3000));
                s[p].push_back(op_ns(TS_OP_SLEEP, 20000));
            }
        out[lazily] = run_script(c, s, 1);
        ASSERT_EQ(out[lazily].status, TS_OK) << out[lazily].message;
    }
    EXPECT_LT(out[1].result.system_ps, out[0].result.system_ps);
}

/* --- the barrier that 6.14 to 6.17 lack --- */

namespace
{

/* CPU 1 goes back and forth between a reader and another process, while thread 0 drops the pages
 * that the reader uses, without freeing tables. */
Outcome switches_during_flushes(bool lazily, bool barrier, const char *store_delay = "0")
{
    constexpr uint64_t n = 4;
    constexpr uint32_t rounds = 2000, reader = 1, other = 2;
    ts_machine_config c = bare_machine(2);
    set(c, "guest.lazy_mm_cpumask", lazily ? "true" : "false");
    set(c, "guest.mask_barrier", barrier ? "true" : "false");
    set(c, "line.store_delay", store_delay);
    set(c, "guest.timer_slack", "1us");
    /* A store buffer full of stores that miss; else the initiator's way from the generation to its
     * look at this CPU, some 250 ns, is longer than the gap. */
    set(c, "guest.mov_cr3_noflush", "3000cycles");
    Script s(3);
    s[0] = {thinks, op_spawn(other, TS_OPF_NEW_MM), op_mmap(0, n * page)};
    s[reader] = {op_ns(TS_OP_SLEEP, 3 * ms)};
    s[other] = {op_ns(TS_OP_SLEEP, 2 * ms)};
    for (uint32_t r = 0; r < rounds; r++) {
        for (auto op : {op_touch(0, 0, n), op_ns(TS_OP_COMPUTE, 8000 + r % 7 * 300),
                        op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page)})
            s[0].push_back(op);
        for (int more = 0; more < 3; more++) {
            s[reader].push_back(op_touch(0, 0, n, false));
            s[reader].push_back(op_ns(TS_OP_SLEEP, 500));
            s[other].push_back(op_ns(TS_OP_COMPUTE, 700));
            s[other].push_back(op_ns(TS_OP_SLEEP, 500));
        }
    }
    return run_script(c, s, 2);
}

} // namespace

TEST(X86Checks, C10_WithoutTheBarrierASwitchMissesAFlush)
{
    Outcome out = switches_during_flushes(true, false);
    EXPECT_EQ(out.status, TS_ERR_FINDING);
    EXPECT_NE(out.message.find("stale translation used"), std::string::npos) << out.message;
    for (bool lazily : {false, true}) {
        out = switches_during_flushes(lazily, true);
        EXPECT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("oracle.hits_stale"), 0u);
    }
    /* The bit is set by an atomic operation at every switch: a barrier by itself. */
    out = switches_during_flushes(false, false);
    EXPECT_EQ(out.status, TS_OK) << out.message;
}

/* The same where the store waits for as long as it happens to. */
TEST(X86Checks, C10_InAStoreBuffer)
{
    Outcome out = switches_during_flushes(true, false, "1ms");
    EXPECT_EQ(out.status, TS_ERR_FINDING);
    EXPECT_NE(out.message.find("stale translation used"), std::string::npos) << out.message;
    for (auto [lazily, barrier] : {std::pair(true, true), {false, true}, {false, false}}) {
        out = switches_during_flushes(lazily, barrier, "1ms");
        EXPECT_EQ(out.status, TS_OK) << out.message;
    }
}

/* --- flush_tlb_func --- */

namespace
{

uint64_t full_before, full_after;

/* A request that comes late: the CPU is as new as it asks for, but another flush has begun. */
void late_request(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                  ts_shootdown_record *record)
{
    const ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_native_flush_tlb_multi(self, mask, info, record);
    info->mm->tlb_gen++;
    full_before = g->stats.flush_full;
    ts_flush_local(self, info);
    full_after = g->stats.flush_full;
}

} // namespace

TEST(LinuxVersions, Since60ALateRequestIsDroppedWithoutALookAtTheAddressSpace)
{
    for (bool early : {false, true}) {
        ts_machine_config c = bare_machine(2);
        set(c, "guest.flush_gen_early_exit", early ? "true" : "false");
        ts_flush_ops ops = *ts_flush_find("native_concurrent");
        ops.flush_multi = late_request;
        Outcome out = run_script(c,
                                 {{thinks, op_mmap(0, page), op_touch(0, 0, 1), unmap(0)},
                                  {op_ns(TS_OP_COMPUTE, 5 * ms)}},
                                 2, &ops);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(full_after - full_before, early ? 0u : 1u);
    }
}
