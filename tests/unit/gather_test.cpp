/* SPDX-License-Identifier: Apache-2.0 */
/* What an unmap flushes and frees, on a bare-metal machine; x86.md 1.7 and 1.8. */
#include <gtest/gtest.h>

#include <algorithm>

#include "models/guest/mm/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES;
constexpr uint64_t span_pages = TS_TABLE_SPAN / TS_PAGE_BYTES;

uint64_t capacity()
{
    ts_guest_params p{};
    ts_param_defaults(&ts_guest_param_table, &p);
    return ts_gather_capacity(&p);
}

/* One thread alone; the region of n pages is touched and unmapped. */
Outcome unmap_alone(uint64_t n, uint32_t flags = TS_OPF_ANONYMOUS, bool write = true)
{
    return run_script(bare_machine(1),
                      {{op_mmap(0, n * page, flags), op_touch(0, 0, n, write),
                        op_range(TS_OP_MUNMAP, 0, 0, n * page)}},
                      1);
}

/* Thread 1 keeps its CPU busy in the same address space while thread 0 does its script. What thread
 * 1 flushes when it ends the address space is left out. */
Outcome with_bystander(std::vector<ts_op> script)
{
    const ts_time busy = 100 * TS_MS;
    script.insert(script.begin(), op_barrier(0, 2));
    Outcome got = run_script(bare_machine(2),
                             {script, {op_barrier(0, 2), op_ns(TS_OP_COMPUTE, busy / TS_NS)}}, 2);
    auto &list = got.shootdowns;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [=](const ts_shootdown_record &r) { return r.started > busy; }),
               list.end());
    return got;
}

} // namespace

TEST(Gather, HoldsAsManyPagesAsTheKernels)
{
    EXPECT_EQ(capacity(), (8u - 1u) + 19u * (510u - 1u));
}

TEST(Gather, FlushesWhenFull)
{
    const uint64_t n = capacity();
    struct {
        uint64_t pages, flushes;
    } rows[] = {{1, 1}, {n - 1, 1}, {n, 1}, {n + 1, 2}, {2 * n, 2}, {2 * n + 1, 3}};
    for (const auto &row : rows) {
        /* The tables, which would take entries too, stay until the end, which flushes for them. */
        Outcome got = run_script(bare_machine(1),
                                 {{op_mmap(0, row.pages * page), op_touch(0, 0, row.pages),
                                   op_range(TS_OP_MADVISE_DONTNEED, 0, 0, row.pages * page)}},
                                 1);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.shootdown_all"], row.flushes + 1) << row.pages << " pages";
        EXPECT_EQ(got.stats["guest.pages_freed"], row.pages);
        EXPECT_EQ(got.stats["guest.faults"], row.pages);
    }
}

TEST(Gather, OnlyTheLastFlushFreesTables)
{
    const uint64_t n = capacity() + 1;
    Outcome got = with_bystander(
        {op_mmap(0, n * page), op_touch(0, 0, n), op_range(TS_OP_MUNMAP, 0, 0, n * page)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 2u);
    EXPECT_FALSE(got.shootdowns[0].freed_tables);
    EXPECT_TRUE(got.shootdowns[1].freed_tables);
    EXPECT_EQ(got.shootdowns[0].end, UINT64_MAX); /* above the ceiling */
}

TEST(Gather, UntouchedMemoryNeedsNoFlush)
{
    Outcome got =
        run_script(bare_machine(1),
                   {{op_mmap(0, 16384 * page), op_range(TS_OP_MUNMAP, 0, 0, 16384 * page)}}, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.shootdown_all"], 0u);
    EXPECT_EQ(got.stats["guest.munmaps"], 1u);
}

TEST(Gather, DirtySharedFilePagesAreFlushedTableByTable)
{
    const uint64_t tables = 4, n = tables * span_pages;
    EXPECT_EQ(unmap_alone(n, TS_OPF_SHARED).stats["guest.shootdown_all"], tables + 1);
    EXPECT_EQ(unmap_alone(n, TS_OPF_SHARED, false).stats["guest.shootdown_all"], 1u);
    EXPECT_EQ(unmap_alone(n, TS_OPF_ANONYMOUS).stats["guest.shootdown_all"], 1u);
}

TEST(Gather, APartOfATableFreesNoTable)
{
    Outcome got = with_bystander(
        {op_mmap(0, 16 * page), op_touch(0, 0, 16), op_range(TS_OP_MUNMAP, 0, 4 * page, 4 * page)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_FALSE(got.shootdowns[0].freed_tables);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, 4 * page);
    EXPECT_EQ(got.stats["guest.pages_freed"], 16u); /* the rest at exit */
}

TEST(Gather, TheFlushCoversTheHullOfWhatWasPresent)
{
    Outcome got = with_bystander({op_mmap(0, 16 * page), op_touch(0, 0, 1),
                                  op_touch(0, 5 * page, 2), op_touch(0, 9 * page, 1),
                                  op_range(TS_OP_MADVISE_DONTNEED, 0, page, 15 * page)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, (9 - 5 + 1) * page);
}

TEST(Gather, DontneedKeepsTablesAndTheMapping)
{
    Outcome got =
        with_bystander({op_mmap(0, 8 * page), op_touch(0, 0, 8),
                        op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 8 * page), op_touch(0, 0, 8)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_FALSE(got.shootdowns[0].freed_tables);
    EXPECT_EQ(got.stats["guest.faults"], 16u);
    EXPECT_EQ(got.stats["guest.touches"], 16u);
}

TEST(Gather, OverlappingGathersFlushEverything)
{
    const uint64_t n = span_pages;
    std::vector<ts_op> half[2];
    for (uint32_t t = 0; t < 2; t++)
        half[t] = {op_mmap(t, n * page), op_touch(t, 0, n), op_barrier(0, 2),
                   op_range(TS_OP_MADVISE_DONTNEED, t, 0, n * page)};
    Outcome got = run_script(bare_machine(2), {half[0], half[1]}, 2);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    /* MADV_DONTNEED never frees a table by itself. */
    ASSERT_GE(got.shootdowns.size(), 1u);
    EXPECT_TRUE(got.shootdowns[0].freed_tables);
    EXPECT_EQ(got.shootdowns[0].end, UINT64_MAX);
}

TEST(Gather, ExitFreesWhatIsLeft)
{
    Outcome got = run_script(bare_machine(1), {{op_mmap(0, 100 * page), op_touch(0, 0, 100)}}, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.pages_freed"], 100u);
    EXPECT_GE(got.stats["guest.tables_freed"], 3u); /* one of each level below the root */
}

TEST(Protect, ForbiddenPagesComeBackWithoutBeingFaultedIn)
{
    const uint32_t rw = TS_PROT_READ | TS_PROT_WRITE;
    Outcome got = with_bystander({op_mmap(0, 8 * page), op_touch(0, 0, 8),
                                  op_range(TS_OP_MPROTECT, 0, 0, 8 * page, 0), op_touch(0, 0, 3),
                                  op_range(TS_OP_MPROTECT, 0, 0, 8 * page, rw), op_touch(0, 0, 8)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.stats["guest.faults"], 8u + 3u); /* the three are refused */
    EXPECT_EQ(got.stats["guest.touches"], 16u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 8u);
}

TEST(Protect, ForbiddenPagesAreFlushedWhenTheyGo)
{
    Outcome got = with_bystander({op_mmap(0, 64 * page), op_touch(0, 0, 8),
                                  op_range(TS_OP_MPROTECT, 0, 0, 64 * page, 0),
                                  op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 64 * page),
                                  op_range(TS_OP_MUNMAP, 0, 0, 32 * page)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    /* When they were forbidden and when they went; the unmap found none. */
    ASSERT_EQ(got.shootdowns.size(), 2u);
    EXPECT_EQ(got.shootdowns[1].end - got.shootdowns[1].start, 8 * page);
    EXPECT_EQ(got.stats["guest.pages_freed"], 8u);
}

TEST(Remap, MovesPagesWithAFlushForEachTable)
{
    const uint64_t n = 2 * span_pages;
    Outcome got = with_bystander({op_mmap(0, n * page), op_touch(0, 0, n),
                                  op_mremap(0, n * page, 1, 2 * n * page), op_touch(1, 0, n)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    /* Two tables, which have moved: none is left at the old place to be freed. */
    ASSERT_EQ(got.shootdowns.size(), 2u);
    for (const auto &s : got.shootdowns)
        EXPECT_TRUE(s.freed_tables);
    EXPECT_EQ(got.stats["guest.faults"], n); /* none at the new place */
    EXPECT_EQ(got.stats["guest.pages_freed"], n);
}

TEST(Remap, ShrinkingStaysAndUnmapsTheTail)
{
    Outcome got = with_bystander({op_mmap(0, 8 * page), op_touch(0, 0, 8),
                                  op_mremap(0, 8 * page, 1, 5 * page), op_touch(1, 0, 5)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, 3 * page);
    EXPECT_EQ(got.stats["guest.faults"], 8u);
    EXPECT_EQ(got.stats["guest.touches"], 13u);
}

TEST(Threads, ATouchWaitsUntilItsRegionIsMapped)
{
    Outcome got = run_script(
        bare_machine(2),
        {{op_ns(TS_OP_COMPUTE, 100000), op_mmap(0, 4 * page), op_ns(TS_OP_COMPUTE, 100000)},
         {op_touch(0, 0, 4)}},
        2);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.touches"], 4u);
}

TEST(Threads, OperationsOnWhatIsGoneAreIgnored)
{
    Outcome got = run_script(bare_machine(1),
                             {{op_mmap(0, 4 * page), op_range(TS_OP_MUNMAP, 0, 0, 4 * page),
                               op_range(TS_OP_MUNMAP, 0, 0, 4 * page), op_touch(0, 0, 4)}},
                             1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.munmaps"], 1u);
    EXPECT_EQ(got.stats["guest.touches"], 0u);
}

TEST(Threads, AWaitThatNobodyCanEndIsAnError)
{
    Outcome got =
        run_script(bare_machine(2), {{op_touch(5, 0, 1)}, {op_ns(TS_OP_COMPUTE, 1000)}}, 2);
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("wait"), std::string::npos) << got.message;
    got = run_script(bare_machine(1), {{op_barrier(3, 2)}}, 1);
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("barrier 3"), std::string::npos) << got.message;
}

TEST(Threads, MappingTwiceAndStartingTwiceAreErrors)
{
    Outcome got = run_script(bare_machine(1), {{op_mmap(0, page), op_mmap(0, page)}}, 1);
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("region 0"), std::string::npos) << got.message;
    got = run_script(bare_machine(1), {{op_spawn(1), op_spawn(1)}, {}}, 1);
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("thread 1"), std::string::npos) << got.message;
}

TEST(Threads, AProcessOfItsOwnHasItsOwnRegions)
{
    Outcome got = run_script(bare_machine(1),
                             {{op_mmap(0, page), op_touch(0, 0, 1), op_spawn(1, TS_OPF_NEW_MM)},
                              {op_mmap(0, page), op_touch(0, 0, 1), op_of(TS_OP_EXEC),
                               op_mmap(0, page), op_touch(0, 0, 1)}},
                             1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.faults"], 3u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 3u);
}

TEST(Threads, BarriersMeetAgainAndAgain)
{
    Script script(5);
    for (auto &thread : script) {
        for (uint32_t i = 0; i < 20; i++) {
            thread.push_back(op_ns(TS_OP_COMPUTE, 100 + 37 * i));
            thread.push_back(op_barrier(i % 3, 5));
        }
    }
    Outcome got = run_script(bare_machine(3), script, 5);
    EXPECT_EQ(got.status, TS_OK) << got.message;
}

TEST(Threads, ASleepLastsItsTimeAndTheSlack)
{
    ts_machine_config c = bare_machine(1);
    const uint64_t ns = 3000000;
    ts_time slack = c.guest.timer_slack_ps, ends[2];
    for (uint64_t i = 0; i < 2; i++) {
        set(c, "run.limit", "1s");
        Script script{{op_ns(TS_OP_SLEEP, ns + i * ns), op_mmap(0, page), op_touch(0, 0, 1),
                       op_range(TS_OP_MUNMAP, 0, 0, page)}};
        ScriptWorkload w(script, 1);
        ts_machine_vm vm{w.get(), ts_flush_find("native_concurrent"), nullptr};
        ts_error err{};
        ts_machine *m = nullptr;
        ASSERT_EQ(ts_machine_create(&m, &c, &vm, 1, &err), TS_OK) << err.message;
        ASSERT_EQ(ts_machine_start(m, &err), TS_OK);
        ts_machine_run(m);
        ASSERT_EQ(ts_machine_finish(m, &err), TS_OK) << err.message;
        struct ts_machine_result r;
        ts_machine_result(m, &r);
        ends[i] = r.completion_ps;
        ts_machine_destroy(m);
    }
    EXPECT_GT(ends[0], ns * TS_NS + slack);
    /* Everything else is the same, but for where the cycle edges fall. */
    EXPECT_NEAR(static_cast<double>(ends[1] - ends[0]), static_cast<double>(ns * TS_NS), 1000.0);
}

TEST(Locks, FaultsUnderTheMmapLockWaitForWriters)
{
    ts_machine_config c = bare_machine(4);
    Script script(4);
    for (uint32_t t = 0; t < 4; t++) {
        for (uint32_t i = 0; i < 10; i++) {
            uint32_t region = t + 4 * i;
            script[t].push_back(op_mmap(region, 64 * page));
            script[t].push_back(op_touch(region, 0, 64));
            script[t].push_back(op_range(TS_OP_MUNMAP, region, 0, 64 * page));
        }
    }
    set(c, "guest.per_vma_lock", "false");
    Outcome coarse = run_script(c, script, 4);
    set(c, "guest.per_vma_lock", "true");
    Outcome fine = run_script(c, script, 4);
    ASSERT_EQ(coarse.status, TS_OK) << coarse.message;
    ASSERT_EQ(fine.status, TS_OK) << fine.message;
    EXPECT_GT(fine.stats["guest.mmap_lock_waits"], 0u);
    EXPECT_GT(coarse.stats["guest.mmap_lock_waits"], fine.stats["guest.mmap_lock_waits"]);
    EXPECT_GT(coarse.stats["guest.mmap_lock_wait_ps"], fine.stats["guest.mmap_lock_wait_ps"]);
    EXPECT_EQ(coarse.stats["guest.pages_freed"], 4u * 10u * 64u);
    EXPECT_EQ(fine.stats["guest.pages_freed"], 4u * 10u * 64u);
}
