/* SPDX-License-Identifier: Apache-2.0 */
/* DSB NSH and local TLBIs: what they wait for, and what they do not (arm.md 3.5). */
#include "tests/support/dvm_formula.hpp"

using namespace dvm_formula;

/* Arm ARM, completion of TLB maintenance instructions: what is local to a PE needs a DSB NSH. */
TEST(DvmDsbTiming, ADsbNshEndsWhenTheOwnTlbIsDone)
{
    rig::Dvm d(rig::arm_topology(1, 12), spaced());
    rig::Done dsb(d.net.engine);
    const uint64_t sweep = 700;

    d.busy = [](uint32_t, uint64_t) { return sweep; };
    EXPECT_TRUE(ts_dvm_dsb_nsh(d.dvm, 3, rig::Done::call, &dsb));
    d.issue_local(3, 1);
    d.issue_local(3, 2);
    EXPECT_EQ(d.reached(1), 1u);
    ASSERT_FALSE(ts_dvm_dsb_nsh(d.dvm, 3, rig::Done::call, &dsb));
    ts_time end = ts_clock_after(&d.core_clock, 0, 2 * sweep);
    d.net.run(end - 1);
    EXPECT_EQ(dsb.calls, 0u);
    d.net.run(end);
    EXPECT_EQ(dsb.calls, 1u);
    /* Nobody else hears of it. */
    EXPECT_TRUE(ts_dvm_dsb(d.dvm, 3, rig::Done::call, &dsb));
    d.net.run();
    EXPECT_EQ(d.applied.size(), 2u);
    EXPECT_EQ(ts_interconnect_stats(d.net.ic)->messages, 0u);
    EXPECT_EQ(d.stats()->local, 2u);
    EXPECT_EQ(d.stats()->dsb_local, 1u);
    EXPECT_EQ(d.stats()->dsb_local_ps, end);
    d.expect_rules();
}

/* Neither its own broadcasts' Comp nor another core's TLB; but its own TLB's part of them. */
TEST(DvmDsbTiming, ADsbNshWaitsForNobodyElse)
{
    auto p = spaced();
    p.rn_tracker = 1;
    rig::Dvm d(rig::arm_topology(2, 6), p);
    Formula f{d, 3};
    rig::Done nsh(d.net.engine), ish(d.net.engine), room(d.net.engine);
    const uint64_t sweep = 100;

    d.busy = [](uint32_t cpu, uint64_t) { return cpu == 3 ? sweep : 1000000; };
    d.issue(3, 1);
    d.issue_local(5, 2); /* another core's */
    ASSERT_FALSE(ts_dvm_dsb_nsh(d.dvm, 3, rig::Done::call, &nsh));
    ASSERT_FALSE(ts_dvm_can_issue(d.dvm, 3, rig::Done::call, &room));
    ts_time end = ts_clock_after(&d.core_clock, 0, sweep);
    ASSERT_LT(end, f.op_comp(0));
    d.net.run(end - 1);
    EXPECT_EQ(nsh.calls, 0u);
    d.net.run(end);
    EXPECT_EQ(nsh.calls, 1u);
    EXPECT_EQ(room.calls, 0u);
    /* With all done here there is nothing to wait for, and a Sync is still owed. */
    EXPECT_TRUE(ts_dvm_dsb_nsh(d.dvm, 3, rig::Done::call, &nsh));
    d.net.run(f.op_comp(0));
    EXPECT_EQ(room.calls, 1u);
    EXPECT_EQ(d.stats()->syncs, 0u);
    ASSERT_FALSE(ts_dvm_dsb(d.dvm, 3, rig::Done::call, &ish));
    d.net.run();
    EXPECT_EQ(ish.calls, 1u);
    EXPECT_EQ(d.stats()->syncs, 1u);
    d.expect_rules();
}

/* A Comp that comes within a DSB NSH sends no Sync. */
TEST(DvmDsbTiming, ADsbNshIsNoSyncWheneverTheCompComes)
{
    rig::Dvm d(rig::arm_topology(1, 12), spaced());
    Formula f{d, 3};
    rig::Done nsh(d.net.engine);
    const uint64_t sweep = 300000;

    d.busy = [](uint32_t cpu, uint64_t) { return cpu == 3 ? sweep : 1; };
    d.issue(3, 1);
    ASSERT_FALSE(ts_dvm_dsb_nsh(d.dvm, 3, rig::Done::call, &nsh));
    ts_time end = ts_clock_after(&d.core_clock, 0, sweep);
    ASSERT_LT(f.op_comp(0), end);
    d.net.run(end - 1);
    EXPECT_EQ(d.stats()->completed, 1u);
    EXPECT_EQ(nsh.calls, 0u);
    d.net.run();
    EXPECT_EQ(nsh.when, end);
    EXPECT_EQ(d.stats()->syncs, 0u);
}

/* DSB ISH is of the core's local operations, too: alone without a Sync. */
TEST(DvmDsbTiming, ADsbIshCoversLocalOperations)
{
    const uint64_t sweep = 300000;
    for (bool broadcasts : {false, true}) {
        rig::Dvm d(rig::arm_topology(1, 12), spaced());
        Formula f{d, 3};
        rig::Done dsb(d.net.engine);

        d.busy = [](uint32_t, uint64_t id) { return id == 2 ? sweep : 0; };
        if (broadcasts)
            d.issue(3, 1);
        d.issue_local(3, 2);
        ASSERT_FALSE(ts_dvm_dsb(d.dvm, 3, rig::Done::call, &dsb));
        ts_time end = ts_clock_after(&d.core_clock, 0, sweep);
        ASSERT_LT(f.sync_comp(f.op_comp(0)), end);
        d.net.run(end - 1);
        EXPECT_EQ(dsb.calls, 0u);
        d.net.run(end);
        EXPECT_EQ(dsb.calls, 1u);
        EXPECT_EQ(d.stats()->syncs, broadcasts ? 1u : 0u);
        EXPECT_EQ(d.stats()->dsb_local, broadcasts ? 0u : 1u);
        d.expect_rules();
    }
}

TEST(DvmDsbTiming, ASnoopedOperationWaitsForLocalOnes)
{
    rig::Dvm d(rig::arm_topology(1, 12), spaced());
    const uint64_t sweep = 300000;

    d.busy = [](uint32_t cpu, uint64_t id) { return cpu == 3 && id == 1 ? sweep : 1; };
    d.issue_local(3, 1);
    d.issue(6, 2);
    d.net.run();
    EXPECT_EQ(d.applied.back().cpu, 3u);
    EXPECT_EQ(d.applied.back().when, ts_clock_after(&d.core_clock, 0, sweep));
}
