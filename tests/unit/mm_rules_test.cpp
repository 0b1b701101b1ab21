/* SPDX-License-Identifier: Apache-2.0 */
/* Which changes of a page table are followed by a flush, and under which locks: rules of Linux 6.12
 * (mm/mprotect.c, mm/memory.c, mm/mremap.c, kernel/fork.c) on small bare-metal machines. */
#include <gtest/gtest.h>

#include <algorithm>

#include "models/guest/mm/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES;
constexpr uint32_t R = TS_PROT_READ, RW = TS_PROT_READ | TS_PROT_WRITE, RX = R | TS_PROT_EXEC;

ts_machine_config bare_arm(uint32_t cores)
{
    ts_machine_config c = bare_machine(cores);
    set_arm(c);
    return c;
}

ts_op protect(uint64_t pages, uint32_t prot)
{
    return op_range(TS_OP_MPROTECT, 0, 0, pages * page, prot);
}

/* Thread 0's script; thread 1 keeps a second CPU in the same address space until long after. */
Outcome beside_a_busy_cpu(std::vector<ts_op> script, bool arm = false)
{
    const ts_time busy = 100 * TS_MS;
    script.insert(script.begin(), op_barrier(0, 2));
    Outcome got = run_script(arm ? bare_arm(2) : bare_machine(2),
                             {script, {op_barrier(0, 2), op_ns(TS_OP_COMPUTE, busy / TS_NS)}}, 2,
                             arm ? "tlbi_broadcast" : "native_concurrent");
    auto &list = got.shootdowns;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [=](const ts_shootdown_record &r) { return r.started > busy; }),
               list.end());
    return got;
}

std::vector<ts_op> mapped(uint64_t pages, std::vector<ts_op> then)
{
    std::vector<ts_op> ops = {op_mmap(0, pages * page), op_touch(0, 0, pages)};
    ops.insert(ops.end(), then.begin(), then.end());
    return ops;
}

} // namespace

TEST(MprotectFlush, EveryToggleOfWritingFlushesAndNoneFaults)
{
    for (bool arm : {false, true}) {
        std::vector<ts_op> ops;
        for (uint32_t i = 0; i < 100; i++) {
            ops.push_back(protect(8, R));
            ops.push_back(op_touch(0, 0, 8, false));
            ops.push_back(protect(8, RW));
            ops.push_back(op_touch(0, 0, 8));
        }
        Outcome got = beside_a_busy_cpu(mapped(8, ops), arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.shootdowns.size(), 200u) << (arm ? "arm64" : "x86");
        for (const auto &s : got.shootdowns) {
            EXPECT_FALSE(s.freed_tables);
            EXPECT_EQ(s.end - s.start, 8 * page);
        }
        /* can_change_pte_writable: the call gives the right back. */
        EXPECT_EQ(got.stats["guest.faults"], 8u);
        EXPECT_EQ(got.stats["guest.touches"], 8u + 1600u);
    }
}

TEST(MprotectFlush, ExecutionCountsEitherWay)
{
    for (bool arm : {false, true}) {
        Outcome got =
            beside_a_busy_cpu(mapped(4, {protect(4, R), protect(4, RX), protect(4, R)}), arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.shootdowns.size(), 3u) << (arm ? "arm64" : "x86");
    }
}

TEST(MprotectFlush, WhatWasNotPresentNeedsNoFlushOnX86)
{
    /* PROT_NONE entries are not PRESENT for the hardware; arm64 flushes whatever it writes. */
    for (bool arm : {false, true}) {
        Outcome got = beside_a_busy_cpu(mapped(4, {protect(4, 0), protect(4, RW)}), arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.shootdowns.size(), arm ? 2u : 1u);
    }
}

TEST(MprotectFlush, TheSameProtectionAgainChangesNothing)
{
    for (bool arm : {false, true}) {
        Outcome got = beside_a_busy_cpu(mapped(4, {protect(4, RW), protect(4, RW)}), arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.shootdowns.size(), 0u) << (arm ? "arm64" : "x86");
    }
}

TEST(ExitFlush, Arm64LeavesTheAsidAloneUntilTablesAreFreed)
{
    /* More pages than a gather holds: x86 flushes each batch, arm64 once for the tables. */
    for (bool arm : {false, true}) {
        Outcome got = run_script(arm ? bare_arm(1) : bare_machine(1),
                                 {{op_mmap(0, 16384 * page), op_touch(0, 0, 16384)}}, 1,
                                 arm ? "tlbi_broadcast" : "native_concurrent");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.pages_freed"], 16384u);
        EXPECT_EQ(got.stats["guest.shootdown_all"], arm ? 1u : 2u);
    }
}

TEST(PageTableLock, FaultsInOneTableWaitForEachOtherAndInTwoTheyDoNot)
{
    const uint64_t span_pages = TS_TABLE_SPAN / page, n = 64, threads = 4;
    for (bool apart : {false, true}) {
        Script script(threads);
        ts_machine_config c = bare_machine(threads);
        set(c, "guest.fault_locked", "1400cycles"); /* nearly all of the fault */
        script[0] = {op_mmap(0, threads * span_pages * page), op_touch(0, 0, 1)};
        for (uint32_t t = 0; t < threads; t++) {
            script[t].push_back(op_barrier(0, threads));
            script[t].push_back(op_touch(0, apart ? (t * span_pages + 1) * page : (1 + t) * page, n,
                                         true, (apart ? 1 : threads) * page));
        }
        Outcome got = run_script(c, script, threads);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.pages_freed"], 1 + n * threads);
        if (apart)
            EXPECT_EQ(got.stats["guest.ptl_waits"], 0u);
        else
            EXPECT_GT(got.stats["guest.ptl_waits"], n / 4);
    }
}

TEST(PageTableLock, AForcedFlushIsMadeUnderTheLock)
{
    /* Thread 0 drops shared pages again and again, with a slow flush of its own before it sends
     * anything; the others fault in the same table. Dirty pages are flushed under the lock, clean
     * ones after it. */
    uint64_t waits[2];
    for (bool dirty : {false, true}) {
        ts_machine_config c = bare_machine(3);
        Script script(3);
        set(c, "guest.invlpg", "20000cycles");
        script[0] = {op_mmap(0, 512 * page, TS_OPF_SHARED)};
        for (uint32_t i = 0; i < 20; i++) {
            script[0].push_back(op_touch(0, 0, 8, dirty));
            script[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 8 * page));
        }
        for (uint32_t t = 1; t < 3; t++) {
            for (uint32_t i = 0; i < 200; i++) {
                script[t].push_back(op_touch(0, (100 + 2 * i + t) * page, 1, false));
                script[t].push_back(op_ns(TS_OP_COMPUTE, 5000));
            }
        }
        Outcome got = run_script(c, script, 3, "native_sequential");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        waits[dirty] = got.stats["guest.ptl_waits"];
    }
    EXPECT_GT(waits[1], waits[0] + 15); /* faults wait for each other in both */
}

TEST(VmaLock, TheFirstFaultOfAMappingTakesMmapLockAndTheOthersDoNot)
{
    /* With the trylock free nobody waits; nothing is write-locked. */
    Outcome got = run_script(bare_machine(1), {{op_mmap(0, 8 * page), op_touch(0, 0, 8)}}, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.faults_mmap_lock"], 0u);
    ts_machine_config c = bare_machine(1);
    set(c, "guest.per_vma_lock", "false");
    got = run_script(c, {{op_mmap(0, 8 * page), op_touch(0, 0, 8)}}, 1);
    EXPECT_EQ(got.stats["guest.faults_mmap_lock"], 8u);
}

TEST(VmaLock, AFaultInAVmaThatIsBeingProtectedWaitsForMmapLock)
{
    Script script(2);
    script[0] = {op_mmap(0, 512 * page), op_touch(0, 0, 256)};
    for (uint32_t i = 0; i < 100; i++) {
        script[0].push_back(op_barrier(2 * i, 2));
        script[0].push_back(protect(256, i % 2 ? RW : R));
        script[1].push_back(op_barrier(2 * i, 2));
        script[1].push_back(op_ns(TS_OP_COMPUTE, 2000));
        script[1].push_back(op_touch(0, i % 2 ? 0 : (i / 2) * page, 1, false));
        script[1].push_back(op_touch(0, (256 + i) * page, 1, false));
    }
    Outcome got = run_script(bare_machine(2), script, 2);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats["guest.faults_mmap_lock"], 10u);
    EXPECT_GT(got.stats["guest.mmap_lock_waits"], 10u);
}

TEST(VmaMerge, AnUnmapInAMergedMappingSplitsIt)
{
    /* Three neighbours; the middle one goes. The time of the split is in the call's. */
    uint64_t took[2];
    for (bool merge : {false, true}) {
        ts_machine_config c = bare_machine(1);
        set(c, "guest.vma_merge", merge ? "true" : "false");
        set(c, "guest.vma_split", "1000000cycles");
        Outcome got = run_script(c,
                                 {{op_mmap(0, 4 * page), op_mmap(1, 4 * page), op_mmap(2, 4 * page),
                                   op_range(TS_OP_MUNMAP, 1, 0, 4 * page)}},
                                 1);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        took[merge] = got.stats["guest.munmap_ps.sum"];
    }
    EXPECT_GT(took[1], 2 * took[0]);
}

TEST(VmaMerge, RegionsKeepTheirNamesInOneVma)
{
    Outcome got = run_script(
        bare_machine(1),
        {{op_mmap(0, 4 * page), op_mmap(1, 4 * page), op_mmap(2, 4 * page), op_touch(0, 0, 4),
          op_touch(1, 0, 4), op_touch(2, 0, 4), op_range(TS_OP_MUNMAP, 1, 0, 4 * page),
          op_touch(1, 0, 4), op_touch(0, 0, 4), op_touch(2, 0, 4),
          op_range(TS_OP_MUNMAP, 0, 0, 4 * page), op_range(TS_OP_MUNMAP, 2, 0, 4 * page)}},
        1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats["guest.touches"], 12u + 8u);
    EXPECT_EQ(got.stats["guest.munmaps"], 3u);
    EXPECT_EQ(got.stats["guest.pages_freed"], 12u);
}

TEST(Mremap, AlignedTablesMoveByOneEntryEach)
{
    const uint64_t span = TS_TABLE_SPAN, pages = span / page;
    /* Two whole tables, then a half whose pages go one by one; the first time that a page is
     * touched at the new place nothing faults. */
    for (bool arm : {false, true}) {
        Outcome got = beside_a_busy_cpu(
            {op_mmap(0, 3 * span), op_touch(0, 0, 2 * pages + pages / 2),
             op_mremap(0, 2 * span + span / 2, 1, 8 * span), op_touch(1, 0, 2 * pages + pages / 2)},
            arm);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.faults"], 2 * pages + pages / 2);
        EXPECT_EQ(got.stats["guest.pages_freed"], 2 * pages + pages / 2);
        ASSERT_GE(got.shootdowns.size(), 3u);
        for (uint32_t i = 0; i < 3; i++)
            EXPECT_TRUE(got.shootdowns[i].freed_tables);
    }
}

TEST(Mremap, AMovedTableIsNotFreedAndCostsNoPages)
{
    const uint64_t span = TS_TABLE_SPAN, pages = span / page;
    ts_machine_config c = bare_machine(1);
    set(c, "guest.zap_page", "1000000cycles"); /* half of it for each entry moved */
    Outcome got = run_script(
        c, {{op_mmap(0, span), op_touch(0, 0, pages), op_mremap(0, span, 1, 2 * span)}}, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    /* One entry moved, and all pages cleared at the end. */
    uint64_t cycles = got.result.completion_ps * 26 / 10 / 1000;
    EXPECT_GT(cycles, 1000000 * pages);
    EXPECT_LT(cycles, 1000000 * pages + 10000000);
}

TEST(Mremap, ForbiddenPagesComeAlong)
{
    for (uint64_t n : {uint64_t{8}, TS_TABLE_SPAN / page}) {
        Outcome got =
            beside_a_busy_cpu({op_mmap(0, n * page), op_touch(0, 0, n), protect(n, 0),
                               op_mremap(0, n * page, 1, 4 * n * page),
                               op_range(TS_OP_MPROTECT, 1, 0, n * page, RW), op_touch(1, 0, n)});
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats["guest.faults"], n);
        EXPECT_EQ(got.stats["guest.pages_freed"], n);
    }
}
