/* SPDX-License-Identifier: Apache-2.0 */
/* Which changes of a page table are followed by a flush, and under which locks: rules of Linux 6.12
 * (mm/mprotect.c, mm/memory.c, mm/mremap.c, kernel/fork.c) on small bare-metal machines. */
#include <gtest/gtest.h>

#include <algorithm>

#include "models/guest/mm_private.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES;
constexpr uint32_t R = TS_PROT_READ, RW = TS_PROT_READ | TS_PROT_WRITE, RX = R | TS_PROT_EXEC;

ts_machine_config bare_arm(uint32_t cores)
{
    ts_machine_config c = bare_machine(cores);
    set(c, "topology.arch", "arm64");
    set(c, "interrupt.mode", "gic_sgi");
    set(c, "interrupt.guest_mode", "gic_sgi");
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
