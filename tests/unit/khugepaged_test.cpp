/* SPDX-License-Identifier: Apache-2.0 */
/* khugepaged: what it makes huge, how far a scan goes, and which flushes it asks for (Linux 6.12
 * mm/khugepaged.c), on bare-metal machines. */
#include <gtest/gtest.h>

#include <algorithm>

#include "models/guest/mm/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES, huge = TS_TABLE_SPAN;
constexpr uint32_t guard = 1000;
constexpr uint64_t busy = 12000000; /* ns */

/* One scan at 10 ms; a CPU is left for it. */
ts_machine_config machine(uint32_t cores)
{
    ts_machine_config c = bare_machine(cores + 1);
    set(c, "guest.thp", "madvise");
    set(c, "guest.khugepaged_sleep", "10ms");
    return c;
}

/* Thread 0's script and a while of work, beside others that compute. */
Outcome run(std::vector<ts_op> script, ts_machine_config c, uint32_t others = 2)
{
    Script all(1 + others);
    all[0] = {op_mmap(guard, page), op_touch(guard, 0, 1), op_barrier(0, 1 + others)};
    all[0].insert(all[0].end(), script.begin(), script.end());
    all[0].push_back(op_ns(TS_OP_COMPUTE, busy));
    for (uint32_t i = 1; i <= others; i++)
        all[i] = {op_barrier(0, 1 + others), op_ns(TS_OP_COMPUTE, 2 * busy)};
    Outcome got = run_script(c, all, 1 + others);
    auto &list = got.shootdowns;
    list.erase(
        std::remove_if(list.begin(), list.end(),
                       [=](const ts_shootdown_record &r) { return r.started > 2 * busy * TS_NS; }),
        list.end());
    EXPECT_EQ(got.status, TS_OK) << got.message;
    return got;
}

uint64_t at(const Outcome &got, const char *name)
{
    return got.stats.at(std::string("guest.") + name);
}

ts_op advise(uint32_t region, uint64_t length)
{
    return op_range(TS_OP_MADVISE_HUGEPAGE, region, 0, length);
}

/* Small pages, as the advice comes after them. */
std::vector<ts_op> small(uint32_t region, uint64_t spans, uint64_t pages_each)
{
    std::vector<ts_op> ops = {op_mmap(region, spans * huge)};
    for (uint64_t i = 0; i < spans; i++)
        ops.push_back(op_touch(region, i * huge, pages_each));
    ops.push_back(advise(region, spans * huge));
    return ops;
}

std::vector<ts_op> operator+(std::vector<ts_op> a, const std::vector<ts_op> &b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

} // namespace

TEST(Khugepaged, CollapsesWithAFlushThatFreesTablesAndACallOfAll)
{
    Outcome got =
        run(small(0, 3, 5) + std::vector<ts_op>{op_ns(TS_OP_COMPUTE, busy), op_touch(0, 0, 512)},
            machine(3));
    EXPECT_EQ(at(got, "thp_collapse_alloc"), 3u);
    EXPECT_EQ(at(got, "table_syncs"), 3u);
    ASSERT_EQ(got.shootdowns.size(), 3u);
    for (const auto &s : got.shootdowns) {
        EXPECT_EQ(s.end, UINT64_MAX);
        EXPECT_TRUE(s.freed_tables);
        EXPECT_GE(s.started, 10 * TS_MS);
    }
    EXPECT_EQ(at(got, "faults"), 1u + 3u * 5u); /* the rest is there by then */
}

TEST(Khugepaged, IsThereUnlessHugePagesAreOff)
{
    ts_machine_config c = machine(3);
    set(c, "guest.khugepaged", "false");
    EXPECT_EQ(at(run(small(0, 1, 5), c), "thp_collapse_alloc"), 0u);
    c = machine(3);
    set(c, "guest.thp", "never");
    EXPECT_EQ(at(run(small(0, 1, 5), c), "thp_collapse_alloc"), 0u);
    /* Without advice, only where huge pages are for all. */
    std::vector<ts_op> plain = {op_mmap(0, huge), op_mmap(1, huge),
                                op_range(TS_OP_MADVISE_NOHUGEPAGE, 0, 0, 2 * huge),
                                op_touch(0, 0, 5)};
    EXPECT_EQ(at(run({op_mmap(0, huge), op_touch(0, 0, 5)}, machine(3)), "thp_collapse_alloc"), 0u);
    EXPECT_EQ(at(run(plain, machine(3)), "thp_collapse_alloc"), 0u);
}

TEST(Khugepaged, AScanIsSoManyPages)
{
    ts_machine_config c = machine(3);
    set(c, "guest.khugepaged_pages", "1024");
    set(c, "guest.khugepaged_sleep", "11ms");
    Outcome got = run(small(0, 5, 5), c);
    /* The second of two scans ends with the run. */
    EXPECT_EQ(at(got, "thp_collapse_alloc"), 2u * at(got, "khugepaged_scans"));
    EXPECT_LE(at(got, "khugepaged_scans"), 2u);
    EXPECT_GE(at(got, "khugepaged_scans"), 1u);
}

TEST(Khugepaged, CountsEmptyAndYoungEntries)
{
    ts_machine_config c = machine(3);
    set(c, "guest.khugepaged_max_ptes_none", "500");
    EXPECT_EQ(at(run(small(0, 1, 11), c), "thp_collapse_alloc"), 0u);
    EXPECT_EQ(at(run(small(0, 1, 12), c), "thp_collapse_alloc"), 1u);
    /* MADV_COLD has cleared the accessed bits. */
    std::vector<ts_op> old =
        small(0, 1, 20) + std::vector<ts_op>{op_range(TS_OP_MADVISE_COLD, 0, 0, huge)};
    EXPECT_EQ(at(run(old, machine(3)), "thp_collapse_alloc"), 0u);
    old.push_back(op_touch(0, 0, 1));
    EXPECT_EQ(at(run(old, machine(3)), "thp_collapse_alloc"), 1u);
}

/* mmap_lock is for reading during the scan, and for writing in collapse_huge_page. */
TEST(Khugepaged, ChargesTheScan)
{
    ts_machine_config c = machine(3);
    set(c, "guest.khugepaged_pte", "0cycles");
    Outcome cheap = run(small(0, 1, 5), c);
    set(c, "guest.khugepaged_pte", "5000cycles"); /* 1 ms */
    Outcome dear = run(small(0, 1, 5), c);
    ASSERT_EQ(cheap.shootdowns.size(), 1u);
    ASSERT_EQ(dear.shootdowns.size(), 1u);
    EXPECT_GT(dear.shootdowns[0].started, cheap.shootdowns[0].started + 900 * TS_US);
}

/* The run ends when the last stream does, though it would sleep for long. */
TEST(Khugepaged, DoesNotKeepTheRun)
{
    ts_machine_config c = machine(3);
    set(c, "guest.khugepaged_sleep", "10s");
    Outcome got = run(small(0, 1, 5), c);
    EXPECT_EQ(at(got, "khugepaged_scans"), 0u);
    EXPECT_LT(got.result.completion_ps, 3 * busy * TS_NS);
}
