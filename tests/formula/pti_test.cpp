/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table isolation: which PCIDs are flushed when, and what it costs (x86.md 1.9). That no stale
 * translation is used with it diff/mechanism_shared_test shows for every mechanism. */
#include <gtest/gtest.h>

#include "models/guest/coherence/pti.h"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

ts_machine_config machine(bool pti, bool invpcid = true)
{
    ts_machine_config c = bare_machine(2);
    set(c, "guest.pti", pti ? "true" : "false");
    set(c, "guest.invpcid", invpcid ? "true" : "false");
    return c;
}

/* Drops n pages that both CPUs have touched, then touches once more. */
Outcome drop(const ts_machine_config &c, uint64_t n)
{
    return run_script(c,
                      {{op_mmap(0, 64 * page), op_touch(0, 0, 64), op_barrier(1, 2),
                        op_ns(TS_OP_COMPUTE, ms), op_range(TS_OP_MADVISE_DONTNEED, 0, 0, n * page),
                        op_touch(0, 63 * page, 1), op_barrier(2, 2)},
                       {op_barrier(1, 2), op_touch(0, 0, 64), op_ns(TS_OP_COMPUTE, 2 * ms),
                        op_touch(0, 63 * page, 1), op_barrier(2, 2)}},
                      2);
}

struct Counts {
    uint64_t pages, exits;
};

/* The user PCIDs of both CPUs that a drop of n pages flushed; the rest of the run is the same. */
Counts flushed(bool invpcid, uint64_t n)
{
    Outcome with = drop(machine(true, invpcid), n);
    EXPECT_EQ(with.status, TS_OK) << with.message;
    EXPECT_EQ(with.stats.at("oracle.hits_stale"), 0u);
    return {with.stats.at("guest.flush_user_pages"), with.stats.at("guest.flush_user_exit")};
}

} // namespace

TEST(Pti, ASinglePageIsFlushedByInvpcidAtOnceAndByTheExitWithoutIt)
{
    Counts none = flushed(true, 0);
    Counts one = flushed(true, 3);
    EXPECT_EQ(one.pages - none.pages, 2u * 3); /* on each CPU */
    EXPECT_EQ(one.exits, none.exits);
    none = flushed(false, 0);
    one = flushed(false, 3);
    EXPECT_EQ(one.pages, 0u);
    EXPECT_EQ(one.exits - none.exits, 2u); /* three pages, one exit */
}

TEST(Pti, AFullFlushLeavesTheUserPcidToTheExit)
{
    Counts none = flushed(true, 0);
    Counts all = flushed(true, 40);
    EXPECT_EQ(all.pages, none.pages);
    EXPECT_EQ(all.exits - none.exits, 2u);
}

TEST(Pti, WithoutItNothingIsMarked)
{
    Outcome out = drop(machine(false), 40);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.flush_user_pages"), 0u);
    EXPECT_EQ(out.stats.at("guest.flush_user_exit"), 0u);
}

TEST(Pti, AProcessThatComesInAFreshSlotFlushesItsUserPcidOnce)
{
    /* Two processes on one CPU, which stay in their slots. */
    ts_machine_config c = bare_machine(1);
    set(c, "guest.pti", "true");
    Script s(3);
    s[0] = {op_spawn(1, TS_OPF_NEW_MM), op_spawn(2, TS_OPF_NEW_MM)};
    for (uint32_t p : {1u, 2u}) {
        s[p].push_back(op_mmap(p, page));
        for (int r = 0; r < 20; r++) {
            s[p].push_back(op_touch(p, 0, 1));
            s[p].push_back(op_ns(TS_OP_SLEEP, ms));
        }
    }
    Outcome out = run_script(c, s, 1);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GE(out.stats.at("guest.flush_user_exit"), 2u);
    EXPECT_LE(out.stats.at("guest.flush_user_exit"), 6u);
}

/* Two processes that only touch take turns by the tick in the one slot there is, at the same
 * addresses: what is pending is flushed though neither comes out of a system call. */
TEST(Pti, WhoWasPreemptedInUserModeFlushesBeforeItsNextTouch)
{
    constexpr uint64_t n = 16;
    ts_machine_config c = bare_machine(1);
    set(c, "guest.pti", "true");
    set(c, "guest.nr_dyn_asids", "1");
    set(c, "guest_sched.policy", "rr");
    set(c, "guest_sched.slice", "100us");
    set(c, "guest_sched.tick", "100us");
    Script s(3);
    s[0] = {op_spawn(1, TS_OPF_NEW_MM), op_spawn(2, TS_OPF_NEW_MM)};
    for (uint32_t p : {1u, 2u}) {
        s[p].push_back(op_mmap(p, n * page));
        for (int r = 0; r < 60000; r++)
            s[p].push_back(op_touch(p, 0, n));
    }
    Outcome out = run_script(c, s, 1);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GT(out.stats.at("oracle.hits_checked"), 1000u);
    EXPECT_GT(out.stats.at("guest.flush_on_switch"), 20u);
    EXPECT_GE(out.stats.at("guest.flush_user_exit"), out.stats.at("guest.flush_on_switch") - 5);
}

namespace
{

uint16_t user_asid, kernel_asid;

void look_at_asids(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                   ts_shootdown_record *record)
{
    const ts_guest_cpu *gc = ts_guest_cpu_of(self);
    kernel_asid = ts_guest_asid(gc, info->mm);
    user_asid = ts_guest_user_asid(gc, info->mm);
    ts_native_flush_tlb_multi(self, mask, info, record);
}

} // namespace

TEST(Pti, UserCodeHasAPcidOfItsOwn)
{
    for (bool pti : {false, true}) {
        ts_flush_ops ops = *ts_flush_find("native_concurrent");
        ops.flush_multi = look_at_asids;
        Outcome out = run_script(machine(pti),
                                 {{op_ns(TS_OP_COMPUTE, ms), op_mmap(0, page), op_touch(0, 0, 1),
                                   op_range(TS_OP_MUNMAP, 0, 0, page)},
                                  {op_ns(TS_OP_COMPUTE, 5 * ms)}},
                                 2, &ops);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_GE(kernel_asid, 1u);
        EXPECT_LE(kernel_asid, 6u);
        EXPECT_EQ(user_asid, pti ? kernel_asid | 2048u : kernel_asid);
    }
}

/* --- costs --- */

namespace
{

/* One CPU; calls system calls and faults faults. */
ts_time system_time(const ts_machine_config &c, uint32_t calls, uint64_t faults)
{
    std::vector<ts_op> ops = {op_mmap(0, 512 * page)};
    if (faults)
        ops.push_back(op_touch(0, 0, faults));
    for (uint32_t i = 0; i < calls; i++)
        ops.push_back(op_mmap(1 + i, page));
    Outcome out = run_script(c, {ops}, 1);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out.result.system_ps;
}

} // namespace

TEST(Pti, EachSystemCallAndFaultPaysBothWays)
{
    ts_machine_config c = machine(true);
    for (auto [calls, faults] : {std::pair(200u, 0u), std::pair(0u, 200u)}) {
        set(c, "guest.pti_enter", "0cycles");
        set(c, "guest.pti_exit", "0cycles");
        const ts_time free = system_time(c, calls, faults);
        set(c, "guest.pti_enter", "10000cycles");
        const ts_time enter = system_time(c, calls, faults);
        set(c, "guest.pti_exit", "20000cycles");
        const ts_time both = system_time(c, calls, faults);
        const double cycles = 10000.0 * 200;
        const double ps = 1e12 / double(c.topology.core_hz);
        EXPECT_NEAR(double(enter - free), cycles * ps, 0.1 * cycles * ps) << calls;
        EXPECT_NEAR(double(both - enter), 2 * cycles * ps, 0.1 * cycles * ps) << calls;
    }
}

TEST(Pti, AnInterruptPaysOnlyIfItInterruptsUserCode)
{
    for (bool user : {true, false}) {
        ts_time handler[2];
        for (bool dear : {false, true}) {
            ts_machine_config c = machine(true);
            set(c, "guest.pti_enter", dear ? "10000cycles" : "0cycles");
            set(c, "guest.lazy_rule", "ipi_all");
            std::vector<ts_op> other = {op_ns(TS_OP_COMPUTE, ms / 10)};
            other.push_back(op_ns(user ? TS_OP_COMPUTE : TS_OP_SLEEP, 20 * ms));
            Outcome out = run_script(
                c,
                {{op_ns(TS_OP_COMPUTE, ms), op_mmap(9, 16 * page), op_touch(9, 0, 16),
                  op_mmap(0, page), op_touch(0, 0, 1), op_range(TS_OP_MUNMAP, 0, 0, page)},
                 other},
                2);
            ASSERT_EQ(out.status, TS_OK) << out.message;
            ASSERT_GE(out.shootdowns.size(), 1u);
            ASSERT_EQ(out.shootdowns[0].targets, 1u);
            handler[dear] = out.shootdowns[0].part_ps[TS_PATH_HANDLER];
        }
        if (user)
            EXPECT_GT(handler[1], handler[0] + 3 * TS_US);
        else
            EXPECT_NEAR(double(handler[1]), double(handler[0]), 10.0 * TS_NS);
    }
}
