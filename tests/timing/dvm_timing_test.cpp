/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/dvm_formula.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

using namespace dvm_formula;

TEST(DvmTiming, ATlbiAndASyncAreTheClosedFormulas)
{
    for (uint64_t sockets : {1u, 2u}) {
        for (uint32_t cpu : {0u, 7u, 11u}) {
            auto p = spaced();

            p.rn_tracker = 1; /* room comes with the Comp */
            rig::Dvm d(rig::arm_topology(sockets, 12), p);
            Formula f{d, cpu};
            rig::Done room(d.net.engine), dsb(d.net.engine);

            d.issue(cpu, 1);
            ts_time comp = f.op_comp(0);
            ASSERT_FALSE(ts_dvm_can_issue(d.dvm, cpu, rig::Done::call, &room));
            d.net.run(comp - 1);
            EXPECT_EQ(room.calls, 0u);
            d.net.run(comp);
            EXPECT_EQ(room.calls, 1u);
            EXPECT_EQ(d.stats()->op_ps.max, comp);

            /* The Sync starts when the DSB finds no TLBI outstanding. */
            ASSERT_FALSE(ts_dvm_dsb(d.dvm, cpu, rig::Done::call, &dsb));
            ts_time end = f.sync_comp(comp);
            d.net.run(end - 1);
            EXPECT_EQ(dsb.calls, 0u);
            d.net.run(end);
            EXPECT_EQ(dsb.calls, 1u);
            EXPECT_EQ(d.stats()->sync_ps.max, end - comp);
            d.expect_rules();
        }
    }
}

TEST(DvmTiming, TheSyncGoesOutWithTheLastComp)
{
    rig::Dvm d(rig::arm_topology(1, 12), spaced());
    Formula f{d, 5};
    rig::Done dsb(d.net.engine);

    d.issue(5, 1);
    d.issue(5, 2);
    ts_dvm_dsb(d.dvm, 5, rig::Done::call, &dsb);
    /* The second is distributed when the flits of the first have left. */
    ts_time second = f.mesh(f.accepted(0), 2 * 11 * d.params.mn_service_cycles);
    ts_time end = f.sync_comp(f.told(f.op_complete(second)));
    d.net.run(end - 1);
    EXPECT_EQ(dsb.calls, 0u);
    d.net.run(end);
    EXPECT_EQ(dsb.calls, 1u);
}

TEST(DvmTiming, OneSyncAtATimeAtAMiscNode)
{
    rig::Dvm d(rig::arm_topology(1, 12), spaced());
    Formula first{d, 1}, second{d, 11};
    rig::Done dsb[2] = {rig::Done(d.net.engine), rig::Done(d.net.engine)};

    d.issue(1, 1);
    d.issue(11, 2);
    d.net.run();
    ts_time start = d.net.now();
    ts_dvm_dsb(d.dvm, 1, rig::Done::call, &dsb[0]);
    ts_dvm_dsb(d.dvm, 11, rig::Done::call, &dsb[1]);
    ASSERT_LT(first.accepted(start), second.accepted(start));
    d.net.run();
    ts_time turn = first.sync_complete(first.accepted(start));
    EXPECT_EQ(dsb[0].when, first.told(turn));
    EXPECT_EQ(d.stats()->txsnp_sync_stall_op, 0u); /* it waits for a Sync */
    EXPECT_EQ(dsb[1].when, second.told(second.sync_complete(turn)));
}

TEST(DvmTiming, AnEntryDiesWhenTheSecondPartArrivesAndTheTlbIsFree)
{
    rig::Dvm d(rig::arm_topology(1, 12), spaced());
    Formula f{d, 0};

    d.issue(0, 1);
    ts_time start = f.accepted(0);
    d.net.run();
    ASSERT_EQ(d.applied.size(), 12u);
    for (uint32_t target = 1; target < 12; target++) {
        EXPECT_EQ(d.applied[target].cpu, target);
        EXPECT_EQ(d.applied[target].when, f.snooped(f.mn(0), target, target - 1, start));
    }
}

TEST(DvmTiming, ASyncIsAnsweredWhenTheSweepIsOver)
{
    auto p = spaced();

    p.sync_drain_ps = 0;
    rig::Dvm d(rig::arm_topology(1, 12), p);
    Formula f{d, 0};
    rig::Done dsb(d.net.engine);
    const uint64_t sweep = 100000;

    /* CPU 8 is busy long after the Sync has reached it. */
    d.busy = [](uint32_t cpu, uint64_t) { return cpu == 8 ? sweep : 1; };
    d.issue(0, 1);
    ts_dvm_dsb(d.dvm, 0, rig::Done::call, &dsb);
    ts_time applied = f.snooped(f.mn(0), 8, 7, f.accepted(0));
    ts_time swept = ts_clock_after(&d.core_clock, applied, sweep);
    ts_time answered = d.net.arrival(8, f.mn(0), 1, f.mesh(swept, p.forward_cycles));
    ts_time end = d.net.arrival(f.mn(0), 0, 1, answered);
    /* The response to the TLBI itself did not wait for the sweep. */
    ASSERT_LT(f.sync_comp(f.op_comp(0)), end);
    d.net.run(end - 1);
    EXPECT_EQ(dsb.calls, 0u);
    EXPECT_EQ(d.stats()->completed, 1u);
    d.net.run(end);
    EXPECT_EQ(dsb.calls, 1u);
}

TEST(DvmTiming, ASnoopedOperationWaitsForTheCoresOwn)
{
    rig::Dvm d(rig::arm_topology(1, 12), spaced());
    const uint64_t sweep = 300000;

    d.busy = [](uint32_t cpu, uint64_t id) { return cpu == 3 && id == 1 ? sweep : 1; };
    d.issue(3, 1);
    d.issue(6, 2);
    d.net.run();
    EXPECT_EQ(d.applied.back().cpu, 3u);
    EXPECT_EQ(d.applied.back().id, 2u);
    EXPECT_EQ(d.applied.back().when, ts_clock_after(&d.core_clock, 0, sweep));
}

TEST(DvmTiming, TheIssuersOwnSweepHoldsItsDsbToo)
{
    rig::Dvm d(rig::arm_topology(1, 12), spaced());
    rig::Done dsb(d.net.engine);
    const uint64_t sweep = 300000;

    d.busy = [](uint32_t cpu, uint64_t) { return cpu == 3 ? sweep : 1; };
    d.issue(3, 1);
    d.issue(3, 2);
    ts_dvm_dsb(d.dvm, 3, rig::Done::call, &dsb);
    ts_time end = ts_clock_after(&d.core_clock, 0, 2 * sweep);
    d.net.run(end - 1);
    EXPECT_EQ(dsb.calls, 0u);
    d.net.run(end);
    EXPECT_EQ(dsb.calls, 1u);
}

TEST(DvmTiming, ACoreStopsAnsweringWhenItsQueueIsFull)
{
    auto p = spaced();

    p.rn_queue = 1;
    p.mn_snoops = 4;
    rig::Dvm d(rig::arm_topology(1, 2), p);
    Formula f{d, 0};
    rig::Done room(d.net.engine);
    const uint64_t sweep = 50000;

    d.busy = [](uint32_t cpu, uint64_t) { return cpu == 1 ? sweep : 0; };
    d.issue(0, 1);
    d.issue(0, 2);
    d.net.run();
    /* The second is accepted when the first has been applied to the end. */
    ts_time swept = ts_clock_after(&d.core_clock, d.applied[2].when, sweep);
    ts_time answered = d.net.arrival(1, f.mn(0), 1, f.mesh(swept, p.forward_cycles));
    EXPECT_EQ(d.stats()->op_ps.max, d.net.arrival(f.mn(0), 0, 1, answered));
    EXPECT_LT(d.stats()->op_ps.min, swept);
    EXPECT_EQ(d.applied[3].when, swept);
}

TEST(DvmTiming, EarlyCompletionTakesTwoLegsAndTheDsbStillCoversAll)
{
    auto p = spaced();

    p.early_comp = 1;
    p.rn_tracker = 1;
    rig::Dvm d(rig::arm_topology(2, 6), p);
    Formula f{d, 4};
    rig::Done room(d.net.engine), dsb(d.net.engine);
    ts_time comp = d.net.arrival(f.mn(0), 4, 1, d.net.arrival(4, f.mn(0), 1, 0));

    d.issue(4, 1);
    ASSERT_FALSE(ts_dvm_can_issue(d.dvm, 4, rig::Done::call, &room));
    ASSERT_FALSE(ts_dvm_dsb(d.dvm, 4, rig::Done::call, &dsb));
    d.net.run(comp - 1);
    EXPECT_EQ(room.calls, 0u);
    d.net.run(comp);
    EXPECT_EQ(room.calls, 1u);
    d.net.run();
    EXPECT_EQ(d.reached(1), 12u);
    /* The MN holds the Sync, which left with the early Comp, until the TLBI's last response. */
    ts_time last = f.op_complete(f.accepted(0));
    ASSERT_LT(f.accepted(comp), last);
    EXPECT_EQ(dsb.when, f.told(f.sync_complete(last)));
    for (auto &a : d.applied)
        EXPECT_LT(a.when, dsb.when);
    d.expect_rules();
}

TEST(DvmTiming, FlitsLeaveTheMiscNodeOneServiceTimeApart)
{
    for (uint64_t service : {1u, 3u}) {
        auto p = rig::dvm_params();

        p.mn_service_cycles = service;
        rig::Dvm d(rig::arm_topology(1, 64), p);
        Formula f{d, 20};

        d.busy = [](uint32_t, uint64_t) { return 0; };
        d.issue(20, 1);
        d.net.run();
        uint64_t k = 0;
        for (uint32_t target = 0; target < 64; target++) {
            if (target == 20)
                continue;
            ts_time expected = f.snooped(f.mn(0), target, k++, f.accepted(0));
            auto it = std::find_if(d.applied.begin(), d.applied.end(),
                                   [&](auto &a) { return a.cpu == target; });
            ASSERT_NE(it, d.applied.end());
            /* Early responses may stand before a later snoop on the links. */
            EXPECT_GE(it->when, expected);
            EXPECT_LE(it->when, expected + 5 * TS_NS);
        }
    }
}

TEST(DvmTiming, InATreeEachTargetPassesOn)
{
    for (uint64_t degree : {2u, 3u, 64u}) {
        auto p = spaced();

        p.fanout = TS_DVM_TREE;
        p.fanout_degree = degree;
        rig::Dvm d(rig::arm_topology(1, 12), p);
        Formula f{d, 0};

        d.issue(0, 1);
        d.net.run();
        ts_time both[12] = {f.accepted(0)}; /* by node; here by CPU, as CPU 0 is the issuer */
        ts_time last = 0;
        for (uint32_t target = 1; target < 12; target++) {
            uint32_t parent = static_cast<uint32_t>((target - 1) / degree);
            uint64_t k = target - 1 - parent * degree;
            both[target] = d.net.arrival(parent ? f.core(parent) : f.mn(0), f.core(target), 1,
                                         f.mesh(both[parent], (2 * k + 1) * p.mn_service_cycles));
            auto it = std::find_if(d.applied.begin(), d.applied.end(),
                                   [&](auto &a) { return a.cpu == target; });
            ASSERT_NE(it, d.applied.end());
            EXPECT_EQ(it->when, both[target]) << target;
            last = std::max(last, d.net.arrival(f.core(target), f.mn(0), 1,
                                                f.mesh(both[target], p.forward_cycles)));
        }
        EXPECT_EQ(d.stats()->op_ps.max, f.told(last));
        d.expect_rules();
    }
}

/* What a core passes on of two operations leaves it one flit a service time. */
TEST(DvmTiming, TheFlitsThatACorePassesOnAreSpacedToo)
{
    auto p = spaced();

    p.fanout = TS_DVM_TREE;
    p.fanout_degree = 2;
    rig::Dvm d(rig::arm_topology(1, 4), p);
    d.issue(0, 1);
    d.issue(0, 2);
    d.net.run();
    std::vector<ts_time> at;
    for (const auto &a : d.applied)
        if (a.cpu == 3)
            at.push_back(a.when);
    ASSERT_EQ(at.size(), 2u);
    EXPECT_GE(at[1] - at[0], ts_clock_after(d.net.clock(), 0, 2 * p.mn_service_cycles));
}

/* ACE: the answer to a Sync does not wait for the drain, its Complete does. */
TEST(DvmTiming, ACompleteComesWhenTheAnswerOfChiWould)
{
    ts_time end[2];
    for (uint64_t protocol : {TS_DVM_CHI, TS_DVM_ACE}) {
        auto p = spaced();
        p.protocol = protocol;
        p.sync_drain_ps = 50 * TS_US;
        rig::Dvm d(rig::arm_topology(2, 6), p);
        Formula f{d, 4};
        rig::Done dsb(d.net.engine);
        d.issue(4, 1);
        ts_dvm_dsb(d.dvm, 4, rig::Done::call, &dsb);
        ts_time comp = f.op_comp(0);
        /* Before any core has drained. */
        d.net.run(comp + 40 * TS_US);
        EXPECT_EQ(d.stats()->snoop_responses, protocol == TS_DVM_ACE ? 22u : 11u);
        EXPECT_EQ(d.stats()->dvm_completes, 0u);
        d.net.run(f.sync_comp(comp) - 1);
        EXPECT_EQ(dsb.calls, 0u);
        d.net.run();
        end[protocol] = dsb.when;
        EXPECT_EQ(dsb.when, f.sync_comp(comp));
    }
    EXPECT_EQ(end[0], end[1]);
}

TEST(DvmTiming, TheTrackersOccupancyIsFromRequestToLastResponse)
{
    rig::Dvm d(rig::arm_topology(2, 6), spaced());
    Formula f{d, 7};
    rig::Done dsb(d.net.engine);
    uint32_t home = f.mn(1);
    d.issue(7, 1);
    ts_dvm_dsb(d.dvm, 7, rig::Done::call, &dsb);
    d.net.run();
    ts_time request = d.net.arrival(f.core(7), home, 1, 0);
    EXPECT_EQ(d.stats()->trk_occupancy_dvmop, f.op_complete(f.accepted(0)) - request);
    ts_time comp = f.op_comp(0);
    ts_time sync = d.net.arrival(f.core(7), home, 1, comp);
    EXPECT_EQ(d.stats()->trk_occupancy_dvmsync, f.sync_complete(f.accepted(comp)) - sync);
    EXPECT_EQ(d.stats()->trkfull_ps, 0u);
    EXPECT_EQ(d.stats()->dvmop_cxha, 1u);
    EXPECT_EQ(d.stats()->dvmsync_cxha, 1u);
}

/* An operation of another chip is at this chip's MN from its arrival to the one answer. */
TEST(DvmTiming, TheOccupancyByOtherChipsIsTheirs)
{
    rig::Dvm d(rig::arm_topology(3, 4), spaced());
    Formula f{d, 7};
    rig::Done dsb(d.net.engine);
    uint32_t home = f.mn(1);
    d.issue(7, 1);
    ts_dvm_dsb(d.dvm, 7, rig::Done::call, &dsb);
    d.net.run();
    ts_time start = f.accepted(0), sync = f.accepted(f.op_comp(0)), sum = 0;
    for (uint32_t peer : {0u, 2u}) {
        ts_time op_there = d.net.arrival(home, f.mn(peer), 2, start);
        ts_time sync_there = d.net.arrival(home, f.mn(peer), 2, sync);
        sum += f.collected(peer, op_there, [](uint32_t, ts_time t) { return t; }) - op_there;
        sum += f.collected(peer, sync_there, [&](uint32_t, ts_time t) {
            return t + d.params.sync_drain_ps;
        }) - sync_there;
    }
    EXPECT_EQ(d.stats()->trk_occupancy_cxha, sum);
    EXPECT_EQ(d.stats()->trk_cxha_alloc, 2u * 2);
    EXPECT_EQ(d.stats()->trk_alloc, 2u);
    EXPECT_EQ(d.stats()->dvmop_tlbi, 1u);
    EXPECT_EQ(d.stats()->txsnp_stall_limit, 0u);
    EXPECT_EQ(d.stats()->txsnp_sync_stall_op, 0u);
}

TEST(DvmTiming, ASyncIsStalledByTheTlbisOfItsCore)
{
    auto p = spaced();
    p.early_comp = 1;
    rig::Dvm d(rig::arm_topology(2, 6), p);
    Formula f{d, 4};
    rig::Done dsb(d.net.engine);
    d.issue(4, 1);
    d.net.run(100 * TS_NS);
    ASSERT_EQ(d.stats()->completed, 1u);
    ts_dvm_dsb(d.dvm, 4, rig::Done::call, &dsb);
    ts_time sync = f.accepted(d.net.now()), last = f.op_complete(f.accepted(0));
    ASSERT_LT(sync, last);
    d.net.run();
    EXPECT_EQ(d.stats()->txsnp_sync_stall_op, last - sync);
    EXPECT_EQ(d.stats()->txsnp_stall_limit, 0u);
}

/* From the last flit of the second operation until the first one's last response. */
TEST(DvmTiming, AThirdOperationIsStalledByTheLimit)
{
    auto p = spaced();
    p.mn_snoops = 2;
    p.mn_service_cycles = 30;
    p.forward_cycles = 1000;
    rig::Dvm d(rig::arm_topology(1, 12), p);
    Formula f{d, 5};
    d.issue(5, 1);
    d.issue(5, 2);
    d.issue(5, 3);
    d.net.run();
    ts_time start = f.accepted(0);
    /* The last flit leaves one service time before the next could. */
    ts_time sent = f.mesh(start, (2 * 22 - 1) * p.mn_service_cycles);
    EXPECT_EQ(d.stats()->txsnp_stall_limit, f.op_complete(start) - sent);
    EXPECT_EQ(d.stats()->txsnp_sync_stall_op, 0u);
    d.expect_rules();
}

TEST(DvmTiming, AFullTrackerIsCounted)
{
    auto p = spaced();
    p.mn_tracker = 2;
    rig::Dvm d(rig::arm_topology(1, 12), p);
    Formula f{d, 5};
    d.issue(5, 1);
    d.issue(5, 2);
    d.net.run();
    /* From the second request to the first's last response. */
    ts_time second = d.net.arrival(f.core(5), f.mn(0), 1, 0);
    EXPECT_NEAR(static_cast<double>(d.stats()->trkfull_ps),
                static_cast<double>(f.op_complete(f.accepted(0)) - second), 1e3);
}

/* Planning values for 64 cores: operation about 250 ns, Sync about 350 ns, together about 0.6 us.
 */
TEST(DvmCalibration, RoundTripsOfA64CoreMesh)
{
    rig::Dvm d;
    uint32_t n = d.net.topo.ncpus;

    for (uint32_t cpu = 0; cpu < n; cpu += 3) {
        rig::Done dsb(d.net.engine);

        d.issue(cpu, cpu);
        d.net.run();
        ts_dvm_dsb(d.dvm, cpu, rig::Done::call, &dsb);
        d.net.run();
        ASSERT_EQ(dsb.calls, 1u);
    }
    uint64_t op = d.stats()->op_ps.sum / d.stats()->op_ps.count;
    uint64_t sync = d.stats()->sync_ps.sum / d.stats()->sync_ps.count;
    std::printf("64 cores: TLBI %.1f ns, Sync %.1f ns\n", static_cast<double>(op) / 1e3,
                static_cast<double>(sync) / 1e3);
    EXPECT_NEAR(static_cast<double>(op), 250e3, 25e3);
    EXPECT_NEAR(static_cast<double>(sync), 350e3, 25e3);
}

/* Pairs of TLBI and DSB of all cores for a while, at a core's Sync answer of 0, 100 and 300 ns. */
TEST(DvmTiming, TheDrainOfASyncSetsTheCeilingOfManyInitiators)
{
    std::vector<uint64_t> pairs;

    for (uint64_t drain : {0, 100, 300}) {
        auto p = rig::dvm_params();
        p.sync_drain_ps = drain * TS_NS;
        rig::Dvm d(rig::arm_topology(1, 16), p);
        struct Looper {
            rig::Dvm *d;
            uint32_t cpu;
            uint64_t done;
            void next()
            {
                d->issue(cpu, 1);
                ts_dvm_dsb(d->dvm, cpu, again, this);
            }
            static void again(void *user, uint32_t)
            {
                auto *self = static_cast<Looper *>(user);
                self->done++;
                if (self->d->net.now() < 20 * TS_US)
                    self->next();
            }
        };
        std::vector<Looper> loopers;
        for (uint32_t cpu = 0; cpu < 16; cpu++)
            loopers.push_back({&d, cpu, 0});
        for (Looper &l : loopers)
            l.next();
        d.net.run();
        d.expect_rules();
        uint64_t sum = 0;
        for (const Looper &l : loopers)
            sum += l.done;
        pairs.push_back(sum);
    }
    /* One Sync at a time at a Misc Node: each waits for all before it. */
    EXPECT_GT(pairs[0], pairs[1] * 5 / 4);
    EXPECT_GT(pairs[1], pairs[2] * 5 / 4);
}
