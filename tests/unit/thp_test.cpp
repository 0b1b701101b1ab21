/* SPDX-License-Identifier: Apache-2.0 */
/* Huge pages: what is mapped by one entry, what splits it, and which flush each change issues
 * (Linux 6.12 mm/huge_memory.c; x86.md 1.5 and 1.7), on bare-metal machines. */
#include <gtest/gtest.h>

#include <algorithm>

#include "models/guest/mm/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES, huge = TS_TABLE_SPAN, MiB = uint64_t(1) << 20;
constexpr uint32_t R = TS_PROT_READ, RW = TS_PROT_READ | TS_PROT_WRITE;
constexpr uint32_t guard = 1000;

ts_machine_config thp_machine(uint32_t cores, const char *thp = "always")
{
    ts_machine_config c = bare_machine(cores);
    set(c, "guest.thp", thp);
    set(c, "guest.thp_align", "large"); /* so that mappings with a rest begin at 2 MiB */
    return c;
}

/* One touch a huge page. */
ts_op touch_each(uint32_t region, uint64_t offset, uint64_t n, bool write = true)
{
    return op_touch(region, offset, n, write, huge);
}

/* Thread 0's script; a page above all else keeps the upper tables in use, and every other CPU is
 * busy in the same address space. What comes after is left out of the list. */
Outcome beside(uint32_t others, std::vector<ts_op> script, ts_machine_config c)
{
    const ts_time busy = 100 * TS_MS;
    Script all(1 + others);
    all[0] = {op_mmap(guard, page), op_touch(guard, 0, 1), op_barrier(0, 1 + others)};
    all[0].insert(all[0].end(), script.begin(), script.end());
    for (uint32_t i = 1; i <= others; i++)
        all[i] = {op_barrier(0, 1 + others), op_ns(TS_OP_COMPUTE, busy / TS_NS)};
    Outcome got = run_script(c, all, 1 + others);
    auto &list = got.shootdowns;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [=](const ts_shootdown_record &r) { return r.started > busy; }),
               list.end());
    return got;
}

Outcome beside(uint32_t others, std::vector<ts_op> script)
{
    return beside(others, std::move(script), thp_machine(1 + others));
}

void expect_split_flush(const ts_shootdown_record &s)
{
    EXPECT_EQ(s.end, UINT64_MAX); /* flush_tlb_range: 512 strides of 4K */
    EXPECT_TRUE(s.freed_tables);
}

} // namespace

TEST(Thp, NeverMapsNone)
{
    Outcome got = beside(1, {op_mmap(0, 8 * MiB), touch_each(0, 0, 4)}, thp_machine(2, "never"));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 0u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 4u + 1u);
}

TEST(Thp, OneFaultMapsAllThatTheEntryCovers)
{
    Outcome got = beside(1, {op_mmap(0, 8 * MiB), op_touch(0, 0, 8 * MiB / page)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 4u);
    EXPECT_EQ(got.stats["guest.faults"], 4u + 1u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 8 * MiB / page + 1);
}

TEST(Thp, TheMappingMustCoverTheAligned2MiB)
{
    /* 3 MiB begin at a multiple of 2 MiB, far from the guard. Shared and file memory have pages of
     * 4K. */
    const uint64_t pages = 3 * MiB / page;
    Outcome got = beside(1, {op_mmap(9, 2 * MiB), op_mmap(0, 3 * MiB), op_touch(0, 0, pages),
                             op_mmap(1, 2 * MiB, 0), op_touch(1, 0, 5),
                             op_mmap(2, 2 * MiB, TS_OPF_SHARED), op_touch(2, 0, 7)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 1u);
    EXPECT_EQ(got.stats["guest.faults"], 1u + 256u + 5u + 7u + 1u);
}

TEST(Thp, ATableThatIsThereKeepsPagesOf4K)
{
    /* MADV_DONTNEED leaves the table of the first 2 MiB, which came from a smaller mapping. */
    Outcome got = beside(1, {op_mmap(0, MiB), op_touch(0, 0, 1), op_mmap(1, MiB), op_touch(1, 0, 1),
                             op_range(TS_OP_MADVISE_DONTNEED, 0, 0, MiB), op_touch(0, 0, 3)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 0u);
}

TEST(Thp, TheFaultCostsTheClearingOf2MiB)
{
    ts_machine_config c = thp_machine(1);
    set(c, "guest.fault_huge", "2600000cycles");
    Outcome got = beside(0, {op_mmap(0, 8 * MiB), touch_each(0, 0, 4)}, c);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats["guest.fault_ps.max"], 500 * TS_US);
    set(c, "guest.fault_huge", "0cycles");
    got = beside(0, {op_mmap(0, 8 * MiB), touch_each(0, 0, 4)}, c);
    EXPECT_LT(got.stats["guest.fault_ps.max"], 10 * TS_US);
}

TEST(Thp, TwoCpusThatFaultTheSameEntryMapItOnce)
{
    Script script(2);
    script[0] = {op_mmap(0, 16 * MiB)};
    for (uint32_t t = 0; t < 2; t++)
        for (uint32_t i = 0; i < 8; i++) {
            script[t].push_back(op_barrier(i, 2));
            script[t].push_back(op_touch(0, i * huge + t * page, 1));
        }
    Outcome got = run_script(thp_machine(2), script, 2);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 8u);
    EXPECT_GT(got.stats["guest.faults_spurious"], 0u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 8u * 512u);
}

TEST(ThpUnmap, Of64MiBIsOnePartialFlushOf32Strides)
{
    Outcome got = beside(
        2, {op_mmap(0, 64 * MiB), touch_each(0, 0, 32), op_range(TS_OP_MUNMAP, 0, 0, 64 * MiB)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, 64 * MiB);
    EXPECT_FALSE(got.shootdowns[0].freed_tables);
    EXPECT_EQ(got.stats["guest.flush_partial"], 3u); /* the initiator and two targets */
    EXPECT_EQ(got.stats["guest.flush_pages"], 3u * 32u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 32u * 512u + 1u);
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 0u);
}

TEST(ThpUnmap, Of68MiBIsAFullFlush)
{
    Outcome got = beside(
        2, {op_mmap(0, 68 * MiB), touch_each(0, 0, 34), op_range(TS_OP_MUNMAP, 0, 0, 68 * MiB)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.shootdowns[0].end, UINT64_MAX);
    EXPECT_FALSE(got.shootdowns[0].freed_tables);
    EXPECT_EQ(got.stats["guest.flush_partial"], 0u);
}

TEST(ThpUnmap, SmallPagesBesideHugeOnesMakeTheStride4K)
{
    /* One page of 4K at the end of the same mapping. */
    Outcome got = beside(1, {op_mmap(0, 2 * MiB + page), op_touch(0, 0, 513),
                             op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 2 * MiB + page)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.shootdowns[0].end, UINT64_MAX);
    got = beside(1, {op_mmap(0, 2 * MiB + page), op_touch(0, 0, 513),
                     op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 2 * MiB)});
    ASSERT_EQ(got.shootdowns.size(), 1u);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, huge);
}

TEST(ThpUnmap, LazyCpusAreLeftOut)
{
    /* The other thread sleeps while the memory goes; with pages of 4K tables go too and wake it. */
    for (const char *thp : {"always", "never"}) {
        Script script(2);
        script[0] = {op_mmap(guard, page),
                     op_touch(guard, 0, 1),
                     op_mmap(0, 4 * MiB),
                     op_touch(0, 0, 1024),
                     op_barrier(0, 2),
                     op_ns(TS_OP_COMPUTE, 1000000),
                     op_range(TS_OP_MUNMAP, 0, 0, 4 * MiB),
                     op_ns(TS_OP_COMPUTE, 1000000)};
        script[1] = {op_barrier(0, 2), op_ns(TS_OP_SLEEP, 10000000)};
        Outcome got = run_script(thp_machine(2, thp), script, 2);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        ASSERT_GE(got.shootdowns.size(), 1u);
        EXPECT_EQ(got.shootdowns[0].freed_tables, std::string(thp) == "never");
        EXPECT_EQ(got.shootdowns[0].targets, std::string(thp) == "never" ? 1u : 0u);
    }
}

TEST(ThpUnmap, AHugePageIsOneEntryOfTheGather)
{
    ts_machine_config c = thp_machine(2);
    set(c, "guest.gather_inline", "4");
    set(c, "guest.gather_max_batches", "0");
    Outcome got = beside(
        1, {op_mmap(0, 14 * MiB), touch_each(0, 0, 7), op_range(TS_OP_MUNMAP, 0, 0, 14 * MiB)}, c);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 3u); /* 3 + 3 + 1 */
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, 3 * huge);
    EXPECT_EQ(got.shootdowns[2].end - got.shootdowns[2].start, huge);
}

TEST(ThpSplit, APartialUnmapFlushesAllThenItsPages)
{
    /* 8 pages out of the first of two huge ones; then the rest of it. */
    const uint64_t rest = 512 - 8;
    Outcome got =
        beside(1, {op_mmap(0, 4 * MiB), touch_each(0, 0, 2), op_range(TS_OP_MUNMAP, 0, 0, 8 * page),
                   op_touch(0, 8 * page, 1024 - 8)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 2u);
    expect_split_flush(got.shootdowns[0]);
    EXPECT_EQ(got.shootdowns[1].end - got.shootdowns[1].start, 8 * page);
    EXPECT_FALSE(got.shootdowns[1].freed_tables);
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 1u);
    EXPECT_EQ(got.stats["guest.faults"], 2u + 1u); /* what stays is there */
    EXPECT_EQ(got.stats["guest.touches"], 2u + 1u + rest + 512u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 1024u + 1u);
}

TEST(ThpSplit, ThePageGoesBackAsAWhole)
{
    /* Half of it is gone, but not free: the next huge page is a new one, and each later one is the
     * one freed last. Frames that were given out twice would be found by the count. */
    Outcome got =
        beside(1, {op_mmap(0, 2 * MiB), op_touch(0, 0, 512), op_range(TS_OP_MUNMAP, 0, 0, MiB),
                   op_mmap(1, 4 * MiB), touch_each(1, 0, 2), op_range(TS_OP_MUNMAP, 0, MiB, MiB)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.pages_freed"], 3u * 512u + 1u);
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 3u);
}

TEST(ThpSplit, DontneedOfAPartSplitsAndOfAllDoesNot)
{
    Outcome got =
        beside(1, {op_mmap(0, 4 * MiB), touch_each(0, 0, 2),
                   op_range(TS_OP_MADVISE_DONTNEED, 0, 2 * MiB, 2 * MiB), touch_each(0, 0, 2),
                   op_range(TS_OP_MADVISE_DONTNEED, 0, MiB, page), op_touch(0, MiB, 1)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 3u);
    EXPECT_EQ(got.shootdowns[0].end - got.shootdowns[0].start, huge);
    EXPECT_FALSE(got.shootdowns[0].freed_tables);
    expect_split_flush(got.shootdowns[1]);
    EXPECT_EQ(got.shootdowns[2].end - got.shootdowns[2].start, page);
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 3u);
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 1u);
    EXPECT_EQ(got.stats["guest.faults"], 3u + 1u + 1u);
}

TEST(ThpSplit, WhoTouchesMeanwhileWaitsForTheLock)
{
    ts_machine_config c = thp_machine(2);
    set(c, "guest.thp_split", "2600000cycles");
    Script script(2);
    script[0] = {op_mmap(0, 2 * MiB), op_touch(0, 0, 1), op_barrier(0, 2),
                 op_range(TS_OP_MADVISE_DONTNEED, 0, MiB, page), op_barrier(1, 2)};
    script[1] = {op_barrier(0, 2), op_touch(0, 0, 20000, true, 0), op_barrier(1, 2)};
    Outcome got = run_script(c, script, 2);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 1u);
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 1u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 512u);
}

TEST(ThpProtect, TheWholeEntryIsOneStride)
{
    Outcome got = beside(1, {op_mmap(0, 4 * MiB), touch_each(0, 0, 2),
                             op_range(TS_OP_MPROTECT, 0, 0, 4 * MiB, R), touch_each(0, 0, 2, false),
                             op_range(TS_OP_MPROTECT, 0, 0, 4 * MiB, RW), touch_each(0, 0, 2)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 2u);
    for (const auto &s : got.shootdowns) {
        EXPECT_EQ(s.end - s.start, 2 * huge);
        EXPECT_FALSE(s.freed_tables);
    }
    EXPECT_EQ(got.stats["guest.flush_pages"], 2u * 2u * 2u);
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 0u);
    EXPECT_EQ(got.stats["guest.faults"], 2u + 1u);
}

TEST(ThpProtect, APartSplits)
{
    Outcome got = beside(1, {op_mmap(0, 2 * MiB), op_touch(0, 0, 1),
                             op_range(TS_OP_MPROTECT, 0, 4 * page, 4 * page, R), op_touch(0, 0, 4),
                             op_touch(0, 4 * page, 4, false)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 2u);
    expect_split_flush(got.shootdowns[0]);
    EXPECT_EQ(got.shootdowns[1].end - got.shootdowns[1].start, 4 * page);
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 1u);
    EXPECT_EQ(got.stats["guest.faults"], 1u + 1u);
}

TEST(ThpProtect, ForbiddenHugePagesComeBackMoveSplitAndGo)
{
    Outcome got = beside(
        1, {op_mmap(0, 8 * MiB), touch_each(0, 0, 4), op_range(TS_OP_MPROTECT, 0, 0, 8 * MiB, 0),
            op_range(TS_OP_MPROTECT, 0, 0, 2 * MiB, RW), op_touch(0, 0, 512),
            /* one page comes back out of a forbidden one, then the rest; one goes forbidden */
            op_range(TS_OP_MPROTECT, 0, 2 * MiB, page, RW), op_touch(0, 2 * MiB, 1),
            op_range(TS_OP_MPROTECT, 0, 2 * MiB, 2 * MiB, RW), op_touch(0, 2 * MiB, 512),
            op_range(TS_OP_MUNMAP, 0, 4 * MiB, 2 * MiB), op_mremap(0, 6 * MiB, 1, 32 * MiB)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.faults"], 4u + 1u);
    EXPECT_EQ(got.stats["guest.thp_fault_alloc"], 4u);
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 1u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 4u * 512u + 1u);
}

TEST(ThpRemap, EachEntryMovesWithAFlushOfItsOwn)
{
    Outcome got = beside(1, {op_mmap(0, 6 * MiB), touch_each(0, 0, 3),
                             op_mremap(0, 6 * MiB, 1, 12 * MiB), op_touch(1, 0, 3 * 512)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), 3u);
    for (const auto &s : got.shootdowns)
        expect_split_flush(s);
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 0u);
    EXPECT_EQ(got.stats["guest.faults"], 3u + 1u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 3u * 512u + 1u);
}

namespace
{

constexpr uint32_t FORK = TS_OPF_NEW_MM | TS_OPF_COPY_MM;
constexpr uint64_t ms = 1000000;

} // namespace

TEST(ThpFork, AWriteSplitsTheEntryAndCopiesOnePage)
{
    Outcome got =
        run_script(thp_machine(2),
                   {{op_mmap(0, 2 * MiB), op_touch(0, 0, 1), op_spawn(1, FORK),
                     op_ns(TS_OP_SLEEP, 10 * ms), op_touch(0, 0, 1)},
                    {op_touch(0, 0, 512, false), op_touch(0, 0, 1), op_ns(TS_OP_SLEEP, 30 * ms)}},
                   1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 2u); /* the child's, then the parent's */
    EXPECT_EQ(got.stats["guest.cow_copied"], 2u);
    EXPECT_EQ(got.stats["guest.cow_reused"], 0u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 512u + 2u);
}

TEST(ThpFork, TheLastOwnerGetsTheEntryBack)
{
    Outcome got = run_script(thp_machine(2),
                             {{op_mmap(0, 2 * MiB), op_touch(0, 0, 1), op_spawn(1, FORK),
                               op_ns(TS_OP_SLEEP, 10 * ms), op_touch(0, 0, 512)},
                              {op_touch(0, 0, 512, false)}},
                             1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 0u);
    EXPECT_EQ(got.stats["guest.cow_reused"], 1u);
    EXPECT_EQ(got.stats["guest.cow_copied"], 0u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 512u);
}

TEST(ThpFork, PartsOfASharedPageAreCopiedEvenByTheLastOwner)
{
    /* wp_can_reuse_anon_folio: not for large folios. */
    Outcome got = run_script(
        thp_machine(2),
        {{op_mmap(0, 2 * MiB), op_touch(0, 0, 1), op_spawn(1, FORK), op_ns(TS_OP_COMPUTE, ms),
          op_touch(0, 0, 1), op_ns(TS_OP_SLEEP, 30 * ms), op_touch(0, page, 1)},
         {op_ns(TS_OP_SLEEP, 10 * ms)}},
        1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 1u);
    EXPECT_EQ(got.stats["guest.cow_copied"], 2u);
    EXPECT_EQ(got.stats["guest.cow_reused"], 0u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 512u + 2u);
}

TEST(ThpAdvice, DecidesWhereTheSettingLeavesItOpen)
{
    struct {
        const char *thp;
        ts_op_kind advice;
        uint64_t huge_pages;
    } rows[] = {{"madvise", TS_OP_COMPUTE, 0},
                {"madvise", TS_OP_MADVISE_HUGEPAGE, 2},
                {"madvise", TS_OP_MADVISE_NOHUGEPAGE, 0},
                {"always", TS_OP_COMPUTE, 4},
                {"always", TS_OP_MADVISE_HUGEPAGE, 4},
                {"always", TS_OP_MADVISE_NOHUGEPAGE, 2},
                {"never", TS_OP_MADVISE_HUGEPAGE, 0}};
    for (const auto &row : rows) {
        /* Of two of the four: the mapping is split at both ends. */
        ts_op advise = op_range(row.advice, 0, 2 * MiB, 4 * MiB);
        if (row.advice == TS_OP_COMPUTE)
            advise = op_ns(TS_OP_COMPUTE, 1);
        Outcome got =
            beside(1, {op_mmap(0, 8 * MiB), advise, touch_each(0, 0, 4)}, thp_machine(2, row.thp));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.thp_fault_alloc"], row.huge_pages) << row.thp << row.advice;
        EXPECT_EQ(got.stats["guest.madvises"], row.advice != TS_OP_COMPUTE);
    }
}

TEST(ThpAdvice, AVmaBoundaryInAHugePageSplitsIt)
{
    Outcome got = beside(1, {op_mmap(0, 2 * MiB), op_touch(0, 0, 1),
                             op_range(TS_OP_MADVISE_NOHUGEPAGE, 0, MiB, MiB)});
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 1u);
    ASSERT_EQ(got.shootdowns.size(), 1u);
    expect_split_flush(got.shootdowns[0]);
}

TEST(ThpCollapse, SmallPagesBecomeOneBehindAFullFlushAndACallOfEveryCpu)
{
    /* MADV_COLLAPSE does not ask for the setting. Three pages are there, the others come as well.
     * One CPU of four is neither busy nor in the address space. */
    Outcome got = beside(2,
                         {op_mmap(0, 4 * MiB), op_touch(0, 0, 3),
                          op_range(TS_OP_MADVISE_COLLAPSE, 0, 0, 4 * MiB), op_touch(0, 0, 512),
                          op_range(TS_OP_MUNMAP, 0, 0, 4 * MiB)},
                         [] {
                             ts_machine_config c = thp_machine(4, "never");
                             set(c, "guest.idle_polling", "false");
                             return c;
                         }());
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_collapse_alloc"], 1u); /* the other has no table */
    EXPECT_EQ(got.stats["guest.table_syncs"], 1u);
    EXPECT_EQ(got.stats["guest.faults"], 3u + 1u);
    ASSERT_EQ(got.shootdowns.size(), 2u);
    expect_split_flush(got.shootdowns[0]);
    EXPECT_EQ(got.shootdowns[1].end - got.shootdowns[1].start, huge);
    EXPECT_FALSE(got.shootdowns[1].freed_tables);
    EXPECT_EQ(got.stats["guest.csd_queued"], 2u + 3u + 2u + 2u); /* and at the end */
    EXPECT_EQ(got.stats["guest.pages_freed"], 512u + 1u);
}

TEST(ThpCollapse, NeedsAWritablePageInAMappingThatCoversIt)
{
    struct {
        std::vector<ts_op> ops;
        uint64_t collapsed;
    } rows[] = {
        {{op_mmap(0, 2 * MiB), op_touch(0, 0, 9), op_range(TS_OP_MPROTECT, 0, 0, 2 * MiB, R)}, 0},
        {{op_mmap(0, 2 * MiB), op_touch(0, 0, 9),
          op_range(TS_OP_MADVISE_NOHUGEPAGE, 0, 0, 2 * MiB)},
         0},
        {{op_mmap(0, 2 * MiB), op_touch(0, 0, 9), op_range(TS_OP_MUNMAP, 0, 0, page)}, 0},
        {{op_mmap(0, 2 * MiB, TS_OPF_SHARED), op_touch(0, 0, 9)}, 0},
        {{op_mmap(0, 2 * MiB), op_touch(0, 0, 9)}, 1},
    };
    for (auto &row : rows) {
        row.ops.push_back(op_range(TS_OP_MADVISE_COLLAPSE, 0, 0, 2 * MiB));
        row.ops.push_back(op_touch(0, page, 8, false));
        Outcome got = beside(1, row.ops, thp_machine(2, "never"));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.thp_collapse_alloc"], row.collapsed);
        EXPECT_EQ(got.stats["guest.faults"], 9u + 1u);
    }
}

TEST(ThpCollapse, AndSplitAgain)
{
    Outcome got = beside(1,
                         {op_mmap(0, 2 * MiB), op_touch(0, 0, 512),
                          op_range(TS_OP_MADVISE_COLLAPSE, 0, 0, 2 * MiB),
                          op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page),
                          op_range(TS_OP_MADVISE_COLLAPSE, 0, 0, 2 * MiB), op_touch(0, 0, 512)},
                         thp_machine(2, "never"));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.thp_collapse_alloc"], 2u);
    EXPECT_EQ(got.stats["guest.thp_split_pmd"], 1u);
    EXPECT_EQ(got.stats["guest.faults"], 512u + 1u);
    EXPECT_EQ(got.shootdowns.size(), 4u);
}
