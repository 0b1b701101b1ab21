/* SPDX-License-Identifier: Apache-2.0 */
/* NUMA balancing: what a scan makes inaccessible and flushes, what the faults and migrations after
 * it do not flush (Linux 6.12 kernel/sched/fair.c, mm/mprotect.c, mm/memory.c), on bare metal. */
#include <gtest/gtest.h>

#include <algorithm>

#include "models/guest/mm/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES, huge = TS_TABLE_SPAN;
constexpr uint64_t ms = 1000000; /* ns */
constexpr int turns = 40;

ts_machine_config machine(uint32_t cores)
{
    ts_machine_config c = bare_machine(cores);
    set(c, "guest.numa_balancing", "true");
    set(c, "guest.numa_scan_delay", "5ms");
    set(c, "guest.numa_scan_period", "10ms");
    set(c, "guest.numa_scan_size", "4MiB");
    set(c, "guest_sched.tick", "1ms");
    return c;
}

/* Thread 0 prepares, then touches the pages of region 0 once in a ms; others compute. What comes
 * when it ends is left out of the list. */
Outcome touching(std::vector<ts_op> script, const ts_machine_config &c, uint32_t others = 1,
                 ts_op touch = op_touch(0, 0, 100))
{
    for (int i = 0; i < turns; i++) {
        script.push_back(op_ns(TS_OP_COMPUTE, ms));
        script.push_back(touch);
    }
    Script all = {script};
    for (uint32_t i = 0; i < others; i++)
        all.push_back({op_ns(TS_OP_COMPUTE, 3 * turns * ms)});
    Outcome got = run_script(c, all, 1 + others);
    auto &list = got.shootdowns;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [=](const ts_shootdown_record &r) {
                                  return r.started > (2 * turns + turns / 2) * ms * TS_NS;
                              }),
               list.end());
    EXPECT_EQ(got.status, TS_OK) << got.message;
    return got;
}

std::vector<ts_op> pages(uint64_t n, uint32_t flags = TS_OPF_ANONYMOUS)
{
    return {op_mmap(0, n * page, flags), op_touch(0, 0, n)};
}

uint64_t at(const Outcome &got, const char *name)
{
    return got.stats.at(std::string("guest.") + name);
}

} // namespace

TEST(Numa, IsOffByDefault)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest.numa_scan_delay", "5ms");
    set(c, "guest_sched.tick", "1ms");
    Outcome got = touching(pages(100), c);
    EXPECT_EQ(at(got, "numa_scans"), 0u);
    EXPECT_EQ(at(got, "faults"), 100u);
}

TEST(Numa, AScanIsOneFlushAndEveryPageAFaultWithoutOne)
{
    Outcome got = touching(pages(100), machine(2));
    uint64_t scans = at(got, "numa_scans");
    ASSERT_GE(scans, 2u);
    EXPECT_LE(scans, (turns + 10) / 10u);
    EXPECT_EQ(at(got, "numa_pte_updates"), scans * 100u);
    EXPECT_EQ(at(got, "numa_hint_faults"), scans * 100u);
    EXPECT_EQ(at(got, "faults"), 100u + scans * 100u);
    ASSERT_EQ(got.shootdowns.size(), scans);
    for (const auto &s : got.shootdowns) {
        EXPECT_EQ(s.end, UINT64_MAX); /* 100 pages are above the ceiling */
        EXPECT_FALSE(s.freed_tables);
        EXPECT_GE(s.started, 5 * TS_MS);
    }
    EXPECT_EQ(at(got, "pages_freed"), 100u);
}

TEST(Numa, AScanEndsAfterItsSizeAndGoesOnThere)
{
    ts_machine_config c = machine(2);
    set(c, "guest.numa_scan_size", "2MiB");
    /* The third scan begins anew. Nothing is touched again, so what is hidden stays so. */
    Outcome got = touching(pages(1024), c, 1, op_touch(0, 0, 1));
    uint64_t scans = at(got, "numa_scans");
    ASSERT_GE(scans, 2u);
    ASSERT_GE(got.shootdowns.size(), 2u);
    EXPECT_GE(at(got, "numa_pte_updates"), 1024u);
    EXPECT_LE(at(got, "numa_pte_updates"), 1024u + 3u + scans);
}

/* One scan of 2 MiB in a process of 8 MiB: to the end of the table in which it has enough. */
TEST(Numa, AScanIsOfItsSize)
{
    ts_machine_config c = machine(2);
    set(c, "guest.numa_scan_size", "2MiB");
    set(c, "guest.numa_scan_period", "10s");
    Outcome got = touching(pages(2048), c, 1, op_touch(0, 0, 1));
    ASSERT_EQ(at(got, "numa_scans"), 1u);
    EXPECT_GE(at(got, "numa_pte_updates"), 512u);
    EXPECT_LT(at(got, "numa_pte_updates"), 1024u);
    /* Of memory that nobody has touched it looks at eight times as much, and changes nothing. */
    got = touching({op_mmap(0, 2048 * page), op_touch(0, 1600 * page, 448)}, c, 1,
                   op_touch(0, 1600 * page, 1));
    ASSERT_EQ(at(got, "numa_scans"), 1u);
    EXPECT_GT(at(got, "numa_pte_updates"), 0u);
}

TEST(Numa, PagesOfAProcessWithOneThreadAreOnItsNode)
{
    Outcome got = touching(pages(100), machine(2), 0);
    EXPECT_GE(at(got, "numa_scans"), 1u);
    EXPECT_EQ(at(got, "numa_pte_updates"), 0u);
}

TEST(Numa, LeavesFilesThatAreOnlyReadAndPagesThatAreShared)
{
    std::vector<ts_op> text = {op_mmap(0, 100 * page, 0, TS_PROT_READ), op_touch(0, 0, 100, false)};
    EXPECT_EQ(at(touching(text, machine(2), 1, op_touch(0, 0, 100, false)), "numa_pte_updates"),
              0u);
    std::vector<ts_op> zeroes = {op_mmap(0, 100 * page), op_touch(0, 0, 100, false)};
    EXPECT_EQ(at(touching(zeroes, machine(2), 1, op_touch(0, 0, 100, false)), "numa_pte_updates"),
              0u);
    EXPECT_GT(
        at(touching(pages(100, TS_OPF_ANONYMOUS | TS_OPF_SHARED), machine(2)), "numa_pte_updates"),
        0u);
    /* Dirty pages of a file stay where they are. */
    EXPECT_EQ(at(touching(pages(100, TS_OPF_SHARED), machine(2)), "numa_pte_updates"), 0u);
}

TEST(Numa, AHugeEntryIsOneStrideAndOneFault)
{
    ts_machine_config c = machine(2);
    set(c, "guest.thp", "always");
    Outcome got = touching({op_mmap(0, huge), op_touch(0, 0, 1)}, c);
    uint64_t scans = at(got, "numa_scans");
    ASSERT_GE(scans, 2u);
    EXPECT_EQ(at(got, "numa_pte_updates"), 512u * scans);
    EXPECT_EQ(at(got, "numa_hint_faults"), scans);
    ASSERT_EQ(got.shootdowns.size(), scans);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, huge);
    EXPECT_EQ(at(got, "thp_split_pmd"), 0u);
}

/* A PROT_NONE entry is not accessible (pte_accessible): its flush has been made. */
TEST(NumaMigration, NeedsNoFlush)
{
    ts_machine_config c = machine(2);
    Outcome none = touching(pages(100), c);
    for (auto [percent, share] : {std::pair{"100", 1u}, std::pair{"25", 4u}}) {
        set(c, "guest.numa_migrate_percent", percent);
        Outcome got = touching(pages(100), c);
        EXPECT_EQ(at(got, "numa_pages_migrated"), at(got, "numa_hint_faults") / share);
        EXPECT_EQ(got.shootdowns.size(), at(got, "numa_scans"));
        EXPECT_EQ(at(got, "batch_flushes"), 0u);
        EXPECT_GT(at(got, "fault_ps.sum"), at(none, "fault_ps.sum"));
        EXPECT_EQ(at(got, "pages_freed"), 100u);
    }
}

/* But while a gather is open on the address space nobody knows (mm_tlb_flush_pending). */
TEST(NumaMigration, FlushesWhileAnotherThreadChangesEntries)
{
    for (bool batch : {true, false}) {
        ts_machine_config c = machine(3);
        set(c, "guest.numa_migrate_percent", "100");
        set(c, "guest.migrate_batch", batch ? "true" : "false");
        std::vector<ts_op> touches = pages(100),
                           ages = {op_mmap(1, 4 * huge, TS_OPF_SHARED), op_touch(1, 0, 2048)};
        for (int i = 0; i < turns; i++) {
            touches.push_back(op_ns(TS_OP_COMPUTE, ms));
            touches.push_back(op_touch(0, 0, 100));
            for (int k = 0; k < 20; k++) /* a gather is open nearly all the time */
                ages.push_back(op_range(TS_OP_MADVISE_COLD, 1, 0, 4 * huge));
        }
        Outcome got = run_script(c, {touches, ages}, 2);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(at(got, "batch_flushes") > 0, batch);
        EXPECT_GT(at(got, "numa_pages_migrated"), 0u);
    }
}
