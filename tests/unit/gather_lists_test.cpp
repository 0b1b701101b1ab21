/* SPDX-License-Identifier: Apache-2.0 */
/* When the lists of an mmu_gather are full, by version (Linux 6.12 and 6.1 mm/mmu_gather.c), and
 * how page-table pages go back: with the pages, or by RCU in batches. Counts of flushes on
 * bare-metal machines. */
#include <gtest/gtest.h>

#include <algorithm>

#include "models/guest/mm/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES, span = TS_TABLE_SPAN, MiB = uint64_t(1) << 20;
constexpr uint64_t span_pages = span / page;
constexpr uint32_t guard = 1000;

/* Thread 0's script, with a page above all else, so that no upper table is freed, and a busy CPU
 * beside it. What is flushed at the end is left out. */
Outcome beside(ts_machine_config c, std::vector<ts_op> script,
               const char *mechanism = "native_concurrent")
{
    const ts_time busy = 400 * TS_MS;
    std::vector<ts_op> first = {op_mmap(guard, page), op_touch(guard, 0, 1), op_barrier(0, 2)};
    first.insert(first.end(), script.begin(), script.end());
    Outcome got = run_script(c, {first, {op_barrier(0, 2), op_ns(TS_OP_COMPUTE, busy / TS_NS)}}, 2,
                             mechanism);
    auto &list = got.shootdowns;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [=](const ts_shootdown_record &r) { return r.started > busy; }),
               list.end());
    return got;
}

ts_machine_config with(std::map<std::string, std::string> keys)
{
    ts_machine_config c = bare_machine(2);
    for (const auto &[key, value] : keys)
        set(c, "guest." + key, value);
    return c;
}

ts_op drop(uint64_t bytes)
{
    return op_range(TS_OP_MADVISE_DONTNEED, 0, 0, bytes);
}
ts_op unmap(uint64_t bytes)
{
    return op_range(TS_OP_MUNMAP, 0, 0, bytes);
}

} // namespace

TEST(GatherLists, HoldMoreWhereNoEntryIsKeptFree)
{
    /* Up to 6.8: 8 + 19 * 510 pages. */
    struct {
        const char *spare;
        uint64_t pages;
    } rows[] = {{"true", 9678}, {"false", 9698}};
    for (const auto &row : rows) {
        for (uint64_t more : {0, 1}) {
            uint64_t n = row.pages - 1 + more;
            Outcome got = beside(with({{"gather_spare", row.spare}}),
                                 {op_mmap(0, n * page), op_touch(0, 0, n), drop(n * page)});
            ASSERT_EQ(got.status, TS_OK) << got.message;
            /* The flush comes as soon as the last list is full. */
            EXPECT_EQ(got.shootdowns.size(), 1u) << n;
            EXPECT_EQ(got.stats["guest.pages_freed"], n + 1);
        }
        uint64_t n = row.pages + 1;
        Outcome got = beside(with({{"gather_spare", row.spare}}),
                             {op_mmap(0, n * page), op_touch(0, 0, n), drop(n * page)});
        EXPECT_EQ(got.shootdowns.size(), 2u) << n;
    }
}

TEST(GatherLists, DirtySharedMemoryOf64MiBIsFlushed32Times)
{
    /* Of a file or anonymous: either has its pages in the page cache. In every version. */
    for (uint32_t flags : {TS_OPF_SHARED, TS_OPF_SHARED | TS_OPF_ANONYMOUS})
        for (const char *delayed : {"true", "false"}) {
            ts_machine_config c = with({{"delayed_rmap", delayed}});
            std::vector<ts_op> map = {op_mmap(0, 64 * MiB, flags), op_touch(0, 0, 32 * span_pages)};
            std::vector<ts_op> dropped = map, unmapped = map;
            dropped.push_back(drop(64 * MiB));
            unmapped.push_back(unmap(64 * MiB));
            Outcome got = beside(c, dropped);
            ASSERT_EQ(got.status, TS_OK) << got.message;
            EXPECT_EQ(got.shootdowns.size(), 32u);
            got = beside(c, unmapped);
            ASSERT_EQ(got.shootdowns.size(), 33u);
            for (uint32_t i = 0; i < 33; i++) /* the tables, which are freed in the end */
                EXPECT_EQ(got.shootdowns[i].freed_tables, i == 32);
        }
}

TEST(GatherLists, DelayedRmapsTakeNoFurtherList)
{
    /* A clean table leaves 7 + 505 pages; the list that is being filled takes four dirty ones. */
    for (bool delayed : {true, false}) {
        Outcome got =
            beside(with({{"delayed_rmap", delayed ? "true" : "false"}}),
                   {op_mmap(0, 2 * span, TS_OPF_SHARED), op_touch(0, 0, span_pages, false),
                    op_touch(0, span, span_pages), drop(2 * span)});
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.shootdowns.size(), delayed ? 2u : 1u);
        EXPECT_EQ(got.stats["guest.pages_freed"], 2 * span_pages + 1);
    }
    /* Dirty pages alone fit in two lists, a table of them after the other. */
    Outcome got = beside(with({}), {op_mmap(0, 2 * span, TS_OPF_SHARED),
                                    op_touch(0, 0, 2 * span_pages), drop(2 * span)});
    EXPECT_EQ(got.shootdowns.size(), 2u);
}

namespace
{

/* n tables with one page each, and what unmapping them does. */
Outcome tables(ts_machine_config c, uint64_t n)
{
    return beside(c, {op_mmap(0, n * span), op_touch(0, 0, n, true, span), unmap(n * span)});
}

} // namespace

TEST(TableFree, OnBareMetalATableIsAnEntryOfTheGather)
{
    /* Room for 7: five pages and two tables, then three tables. */
    ts_machine_config c = with({{"gather_inline", "8"}, {"gather_max_batches", "0"}});
    Outcome got = tables(c, 5);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 2u);
    EXPECT_TRUE(got.shootdowns[0].freed_tables);
    EXPECT_TRUE(got.shootdowns[1].freed_tables);
    EXPECT_EQ(got.stats["guest.table_batches"], 0u);
    EXPECT_EQ(tables(c, 3).shootdowns.size(), 1u);
    set(c, "guest.rcu_table_free", "always");
    got = tables(c, 5);
    EXPECT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.stats["guest.table_batches"], 1u + 1u); /* and at the end */
}

TEST(TableFree, RcuTakes509TablesAtATimeAndEachTimeThereIsAFlush)
{
    struct {
        uint64_t tables, flushes, batches;
    } rows[] = {{31, 1, 1}, {32, 1, 1}, {33, 2, 2}, {64, 2, 2}, {65, 3, 3}};
    for (const auto &row : rows) {
        Outcome got =
            tables(with({{"rcu_table_free", "always"}, {"table_batch", "32"}}), row.tables);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.shootdowns.size(), row.flushes) << row.tables;
        EXPECT_EQ(got.stats["guest.table_batches"], row.batches + 1) << row.tables;
        EXPECT_EQ(got.stats["guest.table_syncs"], 0u);
    }
    ts_guest_params p{};
    ts_param_defaults(&ts_guest_param_table, &p);
    EXPECT_EQ(p.table_batch, 509u);
}

TEST(TableFree, WithoutMemoryForTheListEachTableIsFlushedAndEveryCpuCalled)
{
    for (bool never : {true, false}) {
        Outcome got =
            tables(with({{"rcu_table_free", never ? "never" : "always"}, {"table_batch", "0"}}), 4);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.shootdowns.size(), never ? 1u : 4u);
        EXPECT_EQ(got.stats["guest.table_batches"], 0u);
        if (never)
            EXPECT_EQ(got.stats["guest.table_syncs"], 0u);
        else
            EXPECT_GE(got.stats["guest.table_syncs"], 4u); /* and at the end */
    }
}

TEST(TableFree, AGuestFreesByRcuWithAParavirtualFlush)
{
    struct {
        const char *mechanism, *mode;
        uint64_t batches;
    } rows[] = {{"native_concurrent", "pv", 0},
                {"kvm_pv", "pv", 2},
                {"hyperv", "pv", 2},
                {"native_concurrent", "always", 2},
                {"kvm_pv", "never", 0}};
    for (const auto &row : rows) {
        ts_machine_config c = small_machine();
        set(c, "run.vms", "1");
        set(c, "guest.rcu_table_free", row.mode);
        Outcome got = beside(c, {op_mmap(0, span), op_touch(0, 0, 1), unmap(span)}, row.mechanism);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.table_batches"], row.batches) << row.mechanism;
    }
}

TEST(TableFree, TheRangeBeginsWhereTheTableDoes)
{
    /* 16 pages of a table of which no other page is there; first as far from its start as given. */
    struct {
        uint64_t first, strides;
    } rows[] = {{0, 16}, {8, 24}, {17, 33}, {18, 0}, {400, 0}};
    for (const auto &row : rows) {
        Outcome got = beside(with({}), {op_mmap(0, 4 * span),
                                        op_touch(0, span + row.first * page, 16), unmap(4 * span)});
        ASSERT_EQ(got.status, TS_OK) << got.message;
        ASSERT_EQ(got.shootdowns.size(), 1u);
        EXPECT_TRUE(got.shootdowns[0].freed_tables);
        if (row.strides)
            EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, row.strides * page);
        else
            EXPECT_EQ(got.shootdowns[0].end, UINT64_MAX);
    }
    /* Where the table stays the pages alone count. */
    Outcome got = beside(with({}), {op_mmap(0, 4 * span), op_touch(0, span, 1),
                                    op_touch(0, span + 400 * page, 16),
                                    op_range(TS_OP_MUNMAP, 0, span + 400 * page, 16 * page)});
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, 16 * page);
}

TEST(TableFree, AnUpperTableBeginsAtItsGiB)
{
    /* Of 2 GiB that lie over one whole table of 1 GiB. */
    const uint64_t gib = uint64_t(1) << 30;
    const uint64_t base = ((TS_MMAP_BASE - page - 2 * gib) & ~(span - 1)) % gib, first = gib - base;
    for (uint64_t spans : {0, 1}) {
        Outcome got = beside(
            with({}), {op_mmap(0, 2 * gib), op_touch(0, first + spans * span, 1), unmap(2 * gib)});
        ASSERT_EQ(got.status, TS_OK) << got.message;
        ASSERT_EQ(got.shootdowns.size(), 1u);
        EXPECT_EQ(got.shootdowns[0].end, spans ? UINT64_MAX : got.shootdowns[0].start + page);
    }
}
