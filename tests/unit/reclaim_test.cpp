/* SPDX-License-Identifier: Apache-2.0 */
/* Reclaim: which flush each unmap asks for and when, what goes to swap, what MADV_FREE and
 * MADV_COLD change (Linux 6.12 mm/vmscan.c, mm/rmap.c, mm/madvise.c), on bare-metal machines. */
#include <gtest/gtest.h>

#include <algorithm>

#include "models/guest/mm/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES, huge = TS_TABLE_SPAN;
constexpr uint32_t guard = 1000;
constexpr uint64_t R = TS_PROT_READ;

ts_op out(uint32_t region, uint64_t offset, uint64_t pages)
{
    return op_range(TS_OP_MADVISE_PAGEOUT, region, offset, pages * page);
}
ts_op give_up(uint32_t region, uint64_t offset, uint64_t pages)
{
    return op_range(TS_OP_MADVISE_FREE, region, offset, pages * page);
}
ts_op cold(uint32_t region, uint64_t offset, uint64_t pages)
{
    return op_range(TS_OP_MADVISE_COLD, region, offset, pages * page);
}

/* Thread 0's script, while every other CPU is busy in the same address space. What comes when they
 * end is left out of the list. A guard page keeps the upper tables in use. */
Outcome beside(uint32_t others, std::vector<ts_op> script, ts_machine_config c,
               const char *mechanism = "native_concurrent")
{
    const ts_time busy = 100 * TS_MS;
    Script all(1 + others);
    all[0] = {op_mmap(guard, page), op_touch(guard, 0, 1), op_barrier(0, 1 + others)};
    all[0].insert(all[0].end(), script.begin(), script.end());
    for (uint32_t i = 1; i <= others; i++)
        all[i] = {op_barrier(0, 1 + others), op_ns(TS_OP_COMPUTE, busy / TS_NS)};
    Outcome got = run_script(c, all, 1 + others, mechanism);
    auto &list = got.shootdowns;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [=](const ts_shootdown_record &r) { return r.started > busy; }),
               list.end());
    EXPECT_EQ(got.status, TS_OK) << got.message;
    return got;
}

Outcome beside(uint32_t others, std::vector<ts_op> script)
{
    return beside(others, std::move(script), bare_machine(1 + others));
}

uint64_t at(const Outcome &got, const char *name)
{
    return got.stats.at(std::string("guest.") + name);
}

/* Clean anonymous pages: written once, gone to swap, and read back. */
std::vector<ts_op> clean_pages(uint64_t n)
{
    return {op_mmap(0, n * page), op_touch(0, 0, n), out(0, 0, n), op_touch(0, 0, n, false)};
}

std::vector<ts_op> operator+(std::vector<ts_op> a, const std::vector<ts_op> &b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

uint64_t whole_and_kept(const Outcome &got)
{
    uint64_t n = 0;
    for (const auto &s : got.shootdowns)
        n += s.end == UINT64_MAX && !s.freed_tables;
    return n;
}

} // namespace

/* try_to_unmap_flush_dirty: before each page is written out, as its entry was dirty. */
TEST(Pageout, OfWrittenPagesFlushesForEach)
{
    Outcome got = beside(2, {op_mmap(0, 20 * page), op_touch(0, 0, 20), out(0, 0, 20)});
    EXPECT_EQ(at(got, "batch_deferred"), 20u);
    EXPECT_EQ(at(got, "batch_flushes"), 20u);
    EXPECT_EQ(at(got, "batch_late"), 1u); /* when the mapping goes at the end */
    EXPECT_EQ(got.shootdowns.size(), 20u);
    EXPECT_EQ(whole_and_kept(got), 20u);
    /* Row 8 of flush_tlb_func: of everything, on the initiator and both targets. */
    EXPECT_EQ(at(got, "flush_partial"), 0u);
    EXPECT_GE(at(got, "flush_full"), 3u * 20u);
    EXPECT_LE(at(got, "flush_full"), 3u * 20u + 3u);
    EXPECT_EQ(at(got, "pswpout"), 20u);
    EXPECT_EQ(at(got, "pgsteal"), 20u);
    EXPECT_EQ(at(got, "pswpin"), 0u);
}

/* A flush for each 31 pages that are freed, and one for the rest. */
TEST(Pageout, OfCleanPagesFlushesForEachBatch)
{
    Outcome first = beside(2, clean_pages(70));
    Outcome got = beside(2, clean_pages(70) + std::vector<ts_op>{out(0, 0, 70)});
    EXPECT_EQ(at(first, "pswpin"), 70u);
    EXPECT_EQ(at(got, "batch_flushes") - at(first, "batch_flushes"), 3u);
    EXPECT_EQ(at(got, "pgsteal"), 140u);
    EXPECT_EQ(at(got, "pswpout"), 140u); /* the swap space was given back when it was read */
    ts_machine_config c = bare_machine(3);
    set(c, "guest.reclaim_free_batch", "0");
    got = beside(2, clean_pages(70) + std::vector<ts_op>{out(0, 0, 70)}, c);
    EXPECT_EQ(at(got, "batch_flushes"), 70u + 1u);
}

TEST(Pageout, RaisesTheGenerationForEachEntry)
{
    /* The batch and the late flush bring all CPUs up to it, so that the unmap after them is flushed
     * page by page. */
    Outcome got =
        beside(2, clean_pages(8) + std::vector<ts_op>{out(0, 0, 8), op_mmap(1, 4 * page),
                                                      op_touch(1, 0, 4),
                                                      op_range(TS_OP_MUNMAP, 1, 0, 4 * page)});
    ASSERT_GE(got.shootdowns.size(), 8u + 1u + 2u);
    EXPECT_EQ(at(got, "batch_late"), 2u); /* the first by the second MADV_PAGEOUT */
    EXPECT_EQ(at(got, "flush_partial"), 3u);
    EXPECT_EQ(at(got, "flush_pages"), 3u * 4u);
}

TEST(Pageout, OfFilePagesNeedsNoSwap)
{
    for (bool write : {false, true}) { /* what is dirty stays in the page cache, unmapped */
        Outcome got = beside(2, {op_mmap(0, 40 * page, TS_OPF_SHARED), op_touch(0, 0, 40, write),
                                 out(0, 0, 40), op_touch(0, 0, 40, false)});
        EXPECT_EQ(at(got, "pgsteal"), write ? 0u : 40u);
        EXPECT_EQ(at(got, "pswpout") + at(got, "pswpin"), 0u);
        EXPECT_EQ(at(got, "batch_deferred"), 40u);
        EXPECT_EQ(at(got, "batch_flushes"), write ? 1u : 2u);
        EXPECT_EQ(at(got, "faults"), 1u + 2u * 40u);
    }
}

TEST(Pageout, OfMemoryThatNoOtherCpuHasFlushesAtOnce)
{
    Outcome got = beside(0, {op_mmap(0, 20 * page), op_touch(0, 0, 20), out(0, 0, 20)});
    EXPECT_EQ(at(got, "batch_deferred"), 0u);
    EXPECT_EQ(at(got, "batch_flushes"), 0u);
    EXPECT_EQ(at(got, "batch_late"), 0u);
    EXPECT_EQ(at(got, "nr_tlb_local_flush_one"), 20u);
    EXPECT_EQ(at(got, "pgsteal"), 20u);
}

TEST(Pageout, LeavesPagesThatOthersMapToo)
{
    Script s(3);
    s[0] = {op_mmap(0, 10 * page), op_touch(0, 0, 10), op_spawn(2, TS_OPF_NEW_MM | TS_OPF_COPY_MM),
            op_barrier(0, 3),      out(0, 0, 10),      op_barrier(1, 3)};
    s[1] = {op_barrier(0, 3), op_barrier(1, 3)};
    s[2] = s[1];
    Outcome got = run_script(bare_machine(3), s, 2);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(at(got, "pgscan"), 0u);
}

TEST(Pageout, OfAHugePageSplitsTheEntryAndFlushesOnce)
{
    ts_machine_config c = bare_machine(3);
    set(c, "guest.thp", "always");
    Outcome got = beside(
        2, {op_mmap(0, huge), op_touch(0, 0, 1), out(0, 0, 512), op_touch(0, 5 * page, 3)}, c);
    EXPECT_EQ(at(got, "thp_split_pmd"), 1u);
    EXPECT_EQ(at(got, "batch_deferred"), 512u);
    EXPECT_EQ(at(got, "batch_flushes"), 1u);
    EXPECT_EQ(got.shootdowns.size(), 2u);
    EXPECT_EQ(at(got, "pswpout"), 512u);
    EXPECT_EQ(at(got, "pgsteal"), 512u);
    EXPECT_EQ(at(got, "pswpin"), 3u);
    EXPECT_EQ(at(got, "pages_freed"), 1u + 3u);
}

TEST(Pageout, OfAPartSplitsTheHugePage)
{
    ts_machine_config c = bare_machine(3);
    set(c, "guest.thp", "always");
    Outcome got = beside(2, {op_mmap(0, huge), op_touch(0, 0, 1), out(0, 0, 3)}, c);
    EXPECT_EQ(at(got, "thp_split_pmd"), 1u);
    EXPECT_EQ(got.shootdowns.size(), 1u + 3u);
    EXPECT_EQ(at(got, "pgsteal"), 3u);
    EXPECT_EQ(at(got, "pages_freed"), 1u + 509u);
    /* A part that was mprotected has left 512 entries of 4K: they are unmapped in one batch. */
    got = beside(2,
                 {op_mmap(0, huge), op_touch(0, 0, 1),
                  op_range(TS_OP_MPROTECT, 0, 0, page, R | TS_PROT_WRITE | TS_PROT_EXEC),
                  out(0, page, 3)},
                 c);
    EXPECT_EQ(at(got, "thp_split_pmd"), 1u);
    EXPECT_EQ(at(got, "batch_deferred"), 512u + 3u);
    EXPECT_EQ(at(got, "batch_flushes"), 1u + 3u);
    EXPECT_EQ(at(got, "pgsteal"), 3u);
    EXPECT_EQ(at(got, "pages_freed"), 1u + 509u);
}

TEST(Pageout, BeforeLinux6_10AgesTheEntriesToo)
{
    ts_machine_config c = bare_machine(3);
    std::vector<ts_op> script = {op_mmap(0, 20 * page), op_touch(0, 0, 20), out(0, 0, 20)};
    set(c, "guest.pageout_clears_young", "true");
    Outcome got = beside(2, script, c);
    EXPECT_EQ(at(got, "pages_aged"), 20u);
    ASSERT_EQ(got.shootdowns.size(), 21u);
    EXPECT_EQ(got.shootdowns[20].end - got.shootdowns[20].start, 20 * page);
    EXPECT_EQ(at(beside(2, script), "pages_aged"), 0u);
}

/* --- swap --- */

TEST(Swap, EachPageIsReadBackOnceByWhoTouchesIt)
{
    ts_machine_config c = bare_machine(3);
    set(c, "guest.swap_in", "2600000cycles");
    Outcome got = beside(2,
                         {op_mmap(0, 4 * page), op_touch(0, 0, 4), out(0, 0, 4),
                          op_touch(0, 0, 2, false), op_touch(0, 0, 4)},
                         c);
    EXPECT_EQ(at(got, "pswpin"), 4u);
    EXPECT_EQ(at(got, "zero_mapped"), 0u);
    EXPECT_GT(at(got, "fault_ps.max"), 500 * TS_US);
    EXPECT_EQ(at(got, "faults"), 1u + 4u + 4u); /* what was read may be written */
    EXPECT_EQ(at(got, "pages_freed"), 4u + 1u);
}

TEST(Swap, EntriesGoWithTheirMappingAndMoveWithIt)
{
    std::vector<ts_op> away = {op_mmap(0, 8 * page), op_touch(0, 0, 8), out(0, 0, 8)};
    Outcome got =
        beside(2, away + std::vector<ts_op>{op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 3 * page),
                                            give_up(0, 3 * page, 2), op_touch(0, 0, 8)});
    EXPECT_EQ(at(got, "pswpin"), 3u);
    EXPECT_EQ(at(got, "faults"), 1u + 8u + 8u);
    got =
        beside(2, away + std::vector<ts_op>{op_mmap(1, page), op_mremap(0, 8 * page, 2, 16 * page),
                                            op_touch(2, 0, 8)});
    EXPECT_EQ(at(got, "pswpin"), 8u);
    got = beside(2, {op_mmap(3, huge), op_mmap(0, huge), op_touch(0, 0, 8), out(0, 0, 8),
                     op_mremap(0, huge, 2, 2 * huge), op_touch(2, 0, 8)});
    EXPECT_EQ(at(got, "pswpin"), 8u);
}

TEST(Swap, ForkCopiesEntries)
{
    Script s(2);
    s[0] = {op_mmap(0, 10 * page), op_touch(0, 0, 10), out(0, 0, 10),
            op_spawn(1, TS_OPF_NEW_MM | TS_OPF_COPY_MM), op_touch(0, 0, 10)};
    s[1] = {op_touch(0, 0, 10, false)};
    Outcome got = run_script(bare_machine(2), s, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(at(got, "pswpin"), 20u);
    EXPECT_EQ(at(got, "zero_mapped"), 0u);
}

/* --- MADV_FREE --- */

TEST(MadvFree, ClearsYoungAndDirtyWithOneFlush)
{
    Outcome got = beside(2, {op_mmap(0, 20 * page), op_touch(0, 0, 20), give_up(0, 0, 20),
                             op_touch(0, 0, 20, false)});
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, 20 * page);
    EXPECT_FALSE(got.shootdowns[0].freed_tables);
    EXPECT_EQ(at(got, "pglazyfree"), 20u);
    EXPECT_EQ(at(got, "faults"), 1u + 20u); /* the pages are there still */
    EXPECT_EQ(at(got, "batch_flushes"), 0u);
}

TEST(MadvFree, PagesAreGivenUpByReclaimWithoutSwap)
{
    std::vector<ts_op> given = {op_mmap(0, 40 * page), op_touch(0, 0, 40), give_up(0, 0, 40)};
    Outcome got = beside(2, given + std::vector<ts_op>{out(0, 0, 40), op_touch(0, 0, 40)});
    EXPECT_EQ(at(got, "pglazyfreed"), 40u);
    EXPECT_EQ(at(got, "pswpout") + at(got, "pswpin"), 0u);
    EXPECT_EQ(at(got, "batch_flushes"), 2u); /* 31 and 9: clean entries wait */
    EXPECT_EQ(at(got, "faults"), 1u + 40u + 40u);
}

TEST(MadvFree, AWriteTakesPagesBack)
{
    std::vector<ts_op> given = {op_mmap(0, 10 * page), op_touch(0, 0, 10), give_up(0, 0, 10),
                                op_touch(0, 2 * page, 3)};
    Outcome got = beside(2, given + std::vector<ts_op>{out(0, 0, 10)});
    EXPECT_EQ(at(got, "pglazyfreed"), 7u);
    EXPECT_EQ(at(got, "pswpout"), 0u);
    EXPECT_EQ(at(got, "batch_deferred"), 10u); /* it is cleared before it is found dirty */
    got = beside(2, given + std::vector<ts_op>{out(0, 0, 10), out(0, 0, 10), op_touch(0, 0, 10)});
    EXPECT_EQ(at(got, "pglazyfreed"), 7u);
    EXPECT_EQ(at(got, "pswpout"), 3u);
    EXPECT_EQ(at(got, "pswpin"), 3u);
}

TEST(MadvFree, AFrameThatIsUsedAgainIsNotGivenUp)
{
    Outcome got = beside(2, {op_mmap(0, 10 * page), op_touch(0, 0, 10), give_up(0, 0, 10),
                             op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 10 * page), op_touch(0, 0, 10),
                             out(0, 0, 10)});
    EXPECT_EQ(at(got, "pglazyfreed"), 0u);
    EXPECT_EQ(at(got, "pswpout"), 10u);
}

TEST(MadvFree, IsForPrivateAnonymousMemory)
{
    Outcome got =
        beside(2, {op_mmap(0, 10 * page, 0), op_touch(0, 0, 10, false), give_up(0, 0, 10),
                   op_mmap(1, 10 * page, TS_OPF_SHARED), op_touch(1, 0, 10), give_up(1, 0, 10)});
    EXPECT_EQ(at(got, "pglazyfree"), 0u);
    EXPECT_EQ(got.shootdowns.size(), 0u);
}

TEST(MadvFree, OfAHugePageInvalidatesTheEntryFirst)
{
    ts_machine_config c = bare_machine(3);
    set(c, "guest.thp", "always");
    Outcome got =
        beside(2, {op_mmap(0, huge), op_touch(0, 0, 1), give_up(0, 0, 512), out(0, 0, 512)}, c);
    EXPECT_EQ(at(got, "pglazyfree"), 512u);
    EXPECT_EQ(at(got, "pglazyfreed"), 512u);
    EXPECT_EQ(at(got, "pswpout"), 0u);
    /* pmdp_invalidate, the gather; the split, the batch. */
    ASSERT_EQ(got.shootdowns.size(), 4u);
    EXPECT_TRUE(got.shootdowns[0].freed_tables);
    EXPECT_EQ(got.shootdowns[1].end - got.shootdowns[1].start, huge);
}

/* --- MADV_COLD --- */

TEST(MadvCold, FlushesWhatHasBeenUsed)
{
    Outcome got = beside(2, {op_mmap(0, 20 * page), op_touch(0, 0, 20), cold(0, 0, 20),
                             cold(0, 0, 20), op_touch(0, 4 * page, 2), cold(0, 0, 20)});
    ASSERT_EQ(got.shootdowns.size(), 2u);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, 20 * page);
    EXPECT_EQ(got.shootdowns[1].end - got.shootdowns[1].start, 2 * page);
    EXPECT_EQ(at(got, "pages_aged"), 22u);
    EXPECT_EQ(at(got, "faults"), 1u + 20u);
    EXPECT_EQ(at(got, "pgsteal"), 0u);
}

TEST(MadvCold, SplitsHugePagesAtTheEdges)
{
    ts_machine_config c = bare_machine(3);
    set(c, "guest.thp", "always");
    Outcome got = beside(
        2, {op_mmap(0, 3 * huge), op_touch(0, 0, 3, true, huge), cold(0, huge / 2, 512 * 3 / 2)},
        c);
    EXPECT_EQ(at(got, "thp_split_pmd"), 1u);
    ASSERT_EQ(got.shootdowns.size(), 2u); /* the split, and all that is cold */
    EXPECT_EQ(at(got, "pages_aged"), 256u + 512u);
}

/* --- flush_tlb_batched_pending --- */

TEST(LateFlush, IsMadeByTheNextChangeOnly)
{
    std::vector<ts_op> away = {op_mmap(0, 8 * page), op_mmap(1, 8 * page), op_touch(0, 0, 8),
                               op_touch(1, 0, 8), out(0, 0, 1)};
    const std::vector<ts_op> changes[] = {
        {op_range(TS_OP_MUNMAP, 1, 0, 2 * page)},
        {op_range(TS_OP_MPROTECT, 1, 0, 2 * page, R)},
        {op_range(TS_OP_MADVISE_DONTNEED, 1, 0, 2 * page)},
        {cold(1, 0, 2)},
        {give_up(1, 0, 2)},
        {op_mmap(3, page), op_mremap(1, 8 * page, 2, 16 * page)},
    };
    for (const auto &change : changes) {
        Outcome got = beside(2, away + change);
        ASSERT_GE(got.shootdowns.size(), 2u);
        EXPECT_EQ(at(got, "batch_late"), 1u);
        EXPECT_EQ(got.shootdowns[1].end, UINT64_MAX);
        EXPECT_TRUE(got.shootdowns[1].freed_tables);
        EXPECT_EQ(got.shootdowns.size(), 3u);
    }
    Outcome got = beside(2, away);
    EXPECT_EQ(got.shootdowns.size(), 1u);
}

/* Every 16384 entries the count starts anew (TLB_FLUSH_BATCH_PENDING_LARGE). */
TEST(LateFlush, IsNotLostWhenTheCountIsLarge)
{
    std::vector<ts_op> script = {op_mmap(0, 16385 * page, TS_OPF_SHARED),
                                 op_touch(0, 0, 16385, false), out(0, 0, 16385)};
    Outcome got = beside(1, script);
    EXPECT_EQ(at(got, "batch_deferred"), 16385u);
    /* Each table's part is looked at first, and finds the one before. */
    EXPECT_GE(at(got, "batch_late"), 32u);
}

/* --- kswapd --- */

TEST(Kswapd, TakesWhatIsNotUsedAndEndsWithTheRun)
{
    ts_machine_config c = bare_machine(3);
    std::vector<ts_op> script = {op_mmap(0, 64 * page), op_touch(0, 0, 64)};
    for (int i = 0; i < 90; i++) {
        script.push_back(op_touch(0, 0, 8));
        script.push_back(op_ns(TS_OP_COMPUTE, 1000000));
    }
    Outcome off = beside(1, script, c);
    EXPECT_EQ(at(off, "pgscan"), 0u);
    set(c, "guest.reclaim_period", "1ms");
    set(c, "guest.reclaim_pages", "16");
    Outcome got = beside(1, script, c);
    EXPECT_GT(at(got, "pages_aged"), 64u);
    EXPECT_GE(at(got, "pgsteal"), 56u);
    EXPECT_GE(at(got, "batch_flushes"), 56u);
    EXPECT_LT(got.result.completion_ps, off.result.completion_ps + 2 * TS_MS);
}

TEST(Kswapd, LooksTwiceAndSkipsNobody)
{
    ts_machine_config c = bare_machine(3);
    set(c, "guest.reclaim_period", "1ms");
    set(c, "guest.reclaim_pages", "50");
    /* Two rounds over two processes' pages: the first clears the accessed bits. */
    Script s(2);
    s[0] = {op_spawn(1, TS_OPF_NEW_MM), op_mmap(0, 30 * page), op_touch(0, 0, 30),
            op_ns(TS_OP_COMPUTE, 2600000)};
    s[1] = {op_mmap(1, 20 * page), op_touch(1, 0, 20), op_ns(TS_OP_COMPUTE, 2600000)};
    Outcome got = run_script(c, s, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(at(got, "pages_aged"), 50u);
    EXPECT_EQ(at(got, "pgsteal"), 50u);
}

TEST(Kswapd, SparesWhatWasUsedSinceItLastCameBy)
{
    ts_machine_config c = bare_machine(3);
    set(c, "guest.reclaim_period", "1ms");
    set(c, "guest.reclaim_pages", "50");
    Script s = {{op_mmap(0, 50 * page), op_touch(0, 0, 50), op_ns(TS_OP_COMPUTE, 1600000)}};
    Outcome got = run_script(c, s, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(at(got, "pages_aged"), 50u);
    EXPECT_EQ(at(got, "pgsteal"), 0u);
}

/* --- arm64 --- */

TEST(PageoutOnArm64, IssuesTlbiPageByPageAndWaitsOnce)
{
    ts_machine_config c = small_machine(true);
    set(c, "hypervisor.kind", "none");
    set(c, "run.vms", "1");
    std::vector<ts_op> script = {op_mmap(0, 40 * page, TS_OPF_SHARED), op_touch(0, 0, 40, false)};
    Outcome before = beside(2, script, c, "tlbi_range");
    Outcome got = beside(2, script + std::vector<ts_op>{out(0, 0, 40)}, c, "tlbi_range");
    EXPECT_EQ(at(got, "batch_deferred"), 40u);
    EXPECT_EQ(at(got, "batch_flushes"), 2u);
    EXPECT_EQ(at(got, "batch_late"), 1u);
    /* And the late flush at the end of the run. */
    EXPECT_EQ(at(got, "tlbi_issued") - at(before, "tlbi_issued"), 40u + 1u);
    EXPECT_EQ(at(got, "dsb") - at(before, "dsb"), 2u + 1u);
    set(c, "guest.tlbi_batch", "false");
    got = beside(2, script + std::vector<ts_op>{out(0, 0, 40)}, c, "tlbi_range");
    EXPECT_EQ(at(got, "batch_deferred"), 0u);
    EXPECT_GE(at(got, "dsb") - at(before, "dsb"), 39u);
}
