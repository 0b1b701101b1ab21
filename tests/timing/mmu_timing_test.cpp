/* SPDX-License-Identifier: Apache-2.0 */
/* What accesses that overlap wait for, to the cycle. */
#include "tests/mmu_fixture.hpp"

using namespace mmu_fixture;

namespace
{

constexpr uint64_t kL1 = 3, kL2 = 9, kWalk = 100, kNow = 1000;

/* Walks are of one length: no walk caches, and each fetch the same. */
ts_mmu_params costs()
{
    ts_mmu_params p = defaults();
    p.l1_hit_cycles = kL1;
    p.l2_hit_cycles = kL2;
    p.walk_start_cycles = kWalk - 4;
    p.fetch_cycles = p.leaf_fetch_cycles = 1;
    p.ad_update_cycles = 0;
    p.walk_l1_entries = p.walk_l2_entries = p.walk_l3_entries = 0;
    p.l1_ports = p.l2_ports = p.walkers = p.miss_queue = 0;
    return p;
}

struct Rig {
    explicit Rig(const ts_mmu_params &p) : mmu(p)
    {
        for (uint64_t page = 0; page < 512; page++)
            table.map(page * kPage, (page + 1000) * kPage);
        ctx = {0, 1, 0, table.pt, nullptr, nullptr};
    }
    uint64_t at(uint64_t now, uint64_t page, ts_mmu_kind kind = TS_MMU_READ)
    {
        auto out = mmu.at(now, ctx, page * kPage, kind);
        EXPECT_EQ(out.result, TS_MMU_OK);
        EXPECT_EQ(out.pa, (page + 1000) * kPage);
        return out.cycles;
    }
    PageTable table;
    Mmu mmu;
    ts_mmu_context ctx;
};

TEST(MmuTiming, AnL1HasAsManyLookUpsACycleAsPorts)
{
    for (uint64_t ports : {0, 1, 2, 3}) {
        ts_mmu_params p = costs();
        p.l1_ports = ports;
        Rig r(p);
        r.at(kNow - 500, 0);
        r.at(kNow - 400, 0, TS_MMU_FETCH);
        uint64_t waited = 0;
        for (uint64_t i = 0; i < 7; i++) {
            uint64_t wait = ports == 0 ? 0 : i / ports;
            EXPECT_EQ(r.at(kNow, 0), kL1 + wait) << ports << " ports, access " << i;
            waited += wait;
        }
        EXPECT_EQ(r.mmu.stats().port_wait_cycles, waited);
        /* The instruction side has its own. */
        EXPECT_EQ(r.at(kNow, 0, TS_MMU_FETCH), kL1);
        /* At the end of the queue nobody waits; a cycle before, one may. */
        if (ports == 1) {
            EXPECT_EQ(r.at(kNow + 6, 0), kL1 + 1);
            EXPECT_EQ(r.at(kNow + 8, 0), kL1);
        }
    }
}

TEST(MmuTiming, TheSecondLevelHasItsOwnPorts)
{
    ts_mmu_params p = costs();
    p.l2_ports = 1;
    Rig r(p);
    for (uint64_t page = 0; page < 400; page++)
        r.at(1 + page, page);
    uint64_t now = 100000;
    for (uint64_t i = 0; i < 4; i++)
        EXPECT_EQ(r.at(now, i), kL1 + kL2 + i);
    EXPECT_EQ(r.at(now, 0), kL1); /* an L1 hit does not come there */
    EXPECT_EQ(r.at(now + 3, 4), kL1 + kL2 + 1);
    EXPECT_EQ(r.at(now + 5, 5), kL1 + kL2);
    /* Fetches share it where the second level is unified. */
    EXPECT_EQ(r.at(now + 5, 6, TS_MMU_FETCH), kL1 + kL2 + 1);
}

TEST(MmuTiming, ASplitSecondLevelHasPortsForEachSide)
{
    ts_mmu_params p = costs();
    p.l2_ports = 1;
    p.l2i_entries = p.l2i_ways = 64;
    p.l1i_4k_entries = p.l1i_4k_ways = 1;
    Rig r(p);
    r.at(1, 0, TS_MMU_FETCH);
    r.at(500, 1, TS_MMU_FETCH);
    for (uint64_t page = 0; page < 100; page++)
        r.at(1000 + 200 * page, page);
    uint64_t now = 100000;
    EXPECT_EQ(r.at(now, 0), kL1 + kL2);
    EXPECT_EQ(r.at(now, 0, TS_MMU_FETCH), kL1 + kL2);
    EXPECT_EQ(r.at(now, 1), kL1 + kL2 + 1);
}

TEST(MmuTiming, TheNextWalkWaitsForAFreeWalkerAndNotLonger)
{
    for (uint64_t walkers : {1, 2, 4}) {
        ts_mmu_params p = costs();
        p.walkers = walkers;
        Rig r(p);
        uint64_t whole = kL1 + kL2 + kWalk;
        for (uint64_t i = 0; i < walkers; i++)
            EXPECT_EQ(r.at(kNow + i, i), whole);
        /* Walker i is free at kNow + i + whole; a walk wants it kL1 + kL2 after its access. */
        EXPECT_EQ(r.at(kNow + kWalk - 1, 100), whole + 1);
        if (walkers > 1) {
            EXPECT_EQ(r.at(kNow + kWalk + 1, 101), whole);
        }
        EXPECT_EQ(r.mmu.stats().walker_wait_cycles, 1u);
        EXPECT_EQ(r.mmu.stats().walk_cycles, r.mmu.stats().walks * kWalk);
    }
}

TEST(MmuTiming, WalksAreServedInTheOrderTheyCome)
{
    ts_mmu_params p = costs();
    p.walkers = 2;
    Rig r(p);
    for (uint64_t i = 0; i < 9; i++)
        EXPECT_EQ(r.at(kNow, i), kL1 + kL2 + (i / 2 + 1) * kWalk);
}

/* With a walker and two places in the queue the fourth miss keeps the second level's look-ups to
 * itself until there is a place; hits in the L1 go on. */
TEST(MmuTiming, AFullMissQueueHoldsUpTheSecondLevel)
{
    for (uint64_t queue : {0, 2}) {
        ts_mmu_params p = costs();
        p.walkers = 1;
        p.miss_queue = queue;
        Rig r(p);
        r.at(1, 200);
        for (uint64_t page = 300; page < 400; page++)
            r.at(1000 * page, page); /* 300 is in the second level alone */
        uint64_t now = 1000000;
        for (uint64_t i = 0; i < 3; i++)
            EXPECT_EQ(r.at(now, i), kL1 + kL2 + (i + 1) * kWalk);
        EXPECT_EQ(r.at(now, 300), kL1 + kL2);
        r.at(now + 1, 399);
        EXPECT_EQ(r.at(now + 1, 399), kL1);
        /* The fourth. The first place is free when the second walk starts. */
        EXPECT_EQ(r.at(now + 2, 3), kL1 + kL2 + 4 * kWalk - 2);
        uint64_t free = now + kL1 + kL2 + kWalk;
        EXPECT_EQ(r.at(now + 3, 301), queue == 0 ? kL1 + kL2 : free + kL2 - (now + 3));
        EXPECT_EQ(r.at(now + 3, 399), kL1);
        /* Not held a cycle longer. */
        EXPECT_EQ(r.at(free - kL1, 302), kL1 + kL2);
    }
}

TEST(MmuTiming, ASecondMissWaitsForTheWalkUnderWay)
{
    ts_mmu_params p = costs();
    p.walkers = 1;
    Rig r(p);
    uint64_t whole = kL1 + kL2 + kWalk;
    EXPECT_EQ(r.at(kNow, 0), whole);
    EXPECT_EQ(r.at(kNow, 0), whole);
    EXPECT_EQ(r.at(kNow + 50, 0), whole - 50);
    EXPECT_EQ(r.at(kNow + 60, 0, TS_MMU_FETCH), whole - 60);
    EXPECT_EQ(r.at(kNow + whole - 1, 0), kL1); /* its own look-up ends later */
    EXPECT_EQ(r.mmu.stats().merged, 4u);
    EXPECT_EQ(r.at(kNow + whole, 0), kL1);
    EXPECT_EQ(r.at(kNow + whole, 0, TS_MMU_FETCH), kL1);
    EXPECT_EQ(r.mmu.stats().l1_hits, 2u);
    EXPECT_EQ(r.mmu.stats().walks, 1u);
}

TEST(MmuTiming, AMergedWriteThatNeedsTheDirtyBitWalksAfterTheRead)
{
    Rig r(costs());
    uint64_t whole = kL1 + kL2 + kWalk;
    EXPECT_EQ(r.at(kNow, 0), whole);
    EXPECT_EQ(r.at(kNow + 10, 0, TS_MMU_WRITE), whole - 10 + kWalk);
    EXPECT_EQ(r.mmu.stats().walks, 2u);
    EXPECT_EQ(r.mmu.stats().merged, 0u);
    /* The walk for the dirty bit leaves the entry to readers, and joins writers. */
    EXPECT_EQ(r.at(kNow + whole, 0), kL1);
    EXPECT_EQ(r.at(kNow + whole + 1, 0, TS_MMU_WRITE), kWalk - 1);
    EXPECT_EQ(r.mmu.stats().merged, 1u);
}

TEST(MmuTiming, AnInvalidationEndsTheMerging)
{
    for (bool named : {false, true}) {
        Rig r(costs());
        uint64_t whole = kL1 + kL2 + kWalk;
        r.at(kNow, 0);
        r.mmu.invalidate(ts_inval_invpcid_addr(0, named ? 1 : 2, 0), kNow + 10);
        EXPECT_EQ(r.at(kNow + 20, 0), named ? whole : whole - 20);
        EXPECT_EQ(r.mmu.stats().walks, named ? 2u : 1u);
    }
}

TEST(MmuTiming, AWalkThatFaultsServesNobody)
{
    ts_mmu_params p = costs();
    p.walkers = 1;
    Rig r(p);
    uint64_t va = 600 * kPage, whole = kL1 + kL2 + p.walk_start_cycles + 3;
    auto first = r.mmu.at(kNow, r.ctx, va);
    EXPECT_EQ(first.result, TS_MMU_FAULT_STAGE1);
    EXPECT_EQ(first.cycles, whole);
    auto second = r.mmu.at(kNow, r.ctx, va);
    EXPECT_EQ(second.result, TS_MMU_FAULT_STAGE1);
    EXPECT_EQ(second.cycles, whole + p.walk_start_cycles + 3);
    EXPECT_EQ(r.mmu.stats().walks, 2u);
}

TEST(MmuTiming, LookUpsWaitForTheEndOfASweep)
{
    for (bool blocking : {false, true})
        for (uint64_t rate : {0, 1, 4}) {
            ts_mmu_params p = costs();
            p.sweep_blocking = blocking;
            p.sweep_sets_per_cycle = rate;
            Rig r(p);
            EXPECT_EQ(ts_mmu_needs_time(r.mmu.m), blocking && rate != 0);
            r.at(1, 0);
            uint64_t busy = r.mmu.invalidate(ts_inval_tlbi_aside1(0, 9), kNow);
            EXPECT_EQ(busy, rate == 0 ? 1 : p.l2_entries / p.l2_ways / rate);
            uint64_t wait = blocking && rate != 0;
            EXPECT_EQ(r.at(kNow, 0), kL1 + wait * busy);
            EXPECT_EQ(r.at(kNow + busy - 1, 0), kL1 + wait);
            EXPECT_EQ(r.at(kNow + busy, 0), kL1);
            EXPECT_EQ(r.mmu.stats().sweep_wait_cycles, wait * (busy + 1));
            /* The next one begins when the last has ended. */
            uint64_t now = kNow + 10000;
            EXPECT_EQ(r.mmu.invalidate(ts_inval_tlbi_aside1(0, 9), now), busy);
            EXPECT_EQ(r.mmu.invalidate(ts_inval_tlbi_aside1(0, 9), now + busy - 1), busy + 1);
            EXPECT_EQ(r.mmu.invalidate(ts_inval_tlbi_aside1(0, 9), now + 2 * busy), busy);
        }
}

/* Without a time all of it is out of the way. */
TEST(MmuTiming, OneInOrderStreamWithoutTimeNeverWaits)
{
    ts_mmu_params p = costs();
    p.l1_ports = p.l2_ports = p.walkers = p.miss_queue = 1;
    Rig r(p);
    ASSERT_FALSE(ts_mmu_needs_time(r.mmu.m));
    for (uint64_t page = 0; page < 100; page++) {
        EXPECT_EQ(r.at(0, page), kL1 + kL2 + kWalk);
        EXPECT_EQ(r.at(0, page), kL1);
    }
    EXPECT_EQ(r.at(0, 0), kL1 + kL2);
    EXPECT_EQ(r.mmu.stats().merged, 0u);
    /* And with its true times it takes the same. */
    Rig timed(p);
    uint64_t now = 1;
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t cycles = timed.at(now, i * i % 97);
        now += cycles;
        EXPECT_TRUE(cycles == kL1 || cycles == kL1 + kL2 || cycles == kL1 + kL2 + kWalk);
    }
    EXPECT_EQ(timed.mmu.stats().port_wait_cycles + timed.mmu.stats().walker_wait_cycles, 0u);
}

/* Cortex-A76 TRM, A5.2: longer if another page size has to be probed. */
TEST(MmuTiming, FurtherPageSizesOfTheSecondLevelCostProbes)
{
    ts_mmu_params p = costs();
    p.l1d_4k_entries = p.l1d_2m_entries = p.l1d_1g_entries = 0;
    p.l2_probe_cycles = 20;
    p.l2_giant = 1;
    p.l2_1g_entries = 0;
    Rig r(p);
    r.table.map(kGiB, 0, 1);
    r.table.map(2 * kGiB, kGiB, 2);
    auto large = [&](uint64_t va) { return r.mmu.at(0, r.ctx, va).cycles; };
    r.at(0, 0);
    EXPECT_EQ(r.at(0, 0), kL1 + kL2);
    EXPECT_EQ(large(kGiB), kL1 + kL2 + kWalk - 1);
    EXPECT_EQ(large(kGiB), kL1 + kL2 + 20);
    EXPECT_EQ(large(2 * kGiB), kL1 + kL2 + 20 + kWalk - 2);
    EXPECT_EQ(large(2 * kGiB), kL1 + kL2 + 40);
    EXPECT_EQ(r.at(0, 0), kL1 + kL2);
    EXPECT_EQ(r.at(0, 1), kL1 + kL2 + 40 + kWalk);
    r.mmu.invalidate(ts_inval_tlbi_vmalle1(0));
    EXPECT_EQ(r.at(0, 0), kL1 + kL2 + kWalk);
}

TEST(MmuTiming, AccessedAndDirtyUpdatesAreCharged)
{
    constexpr uint64_t kUpdate = 10000;
    for (bool stage2_ad : {false, true}) {
        ts_mmu_params p = costs();
        p.ad_update_cycles = kUpdate;
        p.stage2_ad = stage2_ad;
        p.nested_entries = p.nested_ways = 64;
        PageTable guest, host;
        guest.map(0, 3 * kPage);
        host.map(3 * kPage, 7 * kPage);
        backTables(host, guest);
        Mmu mmu(p);
        ts_mmu_context ctx{1, 1, 0, guest.pt, host.pt, nullptr};
        uint64_t updates = 1 + (stage2_ad ? 4 + 1 : 0); /* the leaf; four tables and the page */
        auto out = mmu.access(ctx, 0);
        EXPECT_EQ(out.cycles, kL1 + kL2 + kWalk - 4 + 24 + updates * kUpdate);
        EXPECT_EQ(mmu.stats().ad_updates, updates);
        EXPECT_EQ(host.pte(kTableFrames).dirty, stage2_ad);
        EXPECT_EQ(host.pte(3 * kPage).accessed, stage2_ad);
        EXPECT_FALSE(host.pte(3 * kPage).dirty);
        /* The first write: the entry is there, the walk sets dirty in both stages. The tables are
         * known dirty; the page is not, and is walked for it. */
        out = mmu.access(ctx, 0, true);
        EXPECT_EQ(out.cycles, kL1 + kWalk + (stage2_ad ? 4 : 0) + (stage2_ad ? 2 : 1) * kUpdate);
        EXPECT_EQ(host.pte(3 * kPage).dirty, stage2_ad);
        EXPECT_EQ(mmu.access(ctx, 0, true).cycles, kL1);
        /* All set already: no update. */
        mmu.invalidate(ts_inval_tlbi_vmalls12e1(1));
        EXPECT_EQ(mmu.access(ctx, 0, true).cycles, kL1 + kL2 + kWalk - 4 + 24);
        EXPECT_EQ(mmu.access(ctx, 0, true).cycles, kL1);
    }
}

} // namespace
