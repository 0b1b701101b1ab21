/* SPDX-License-Identifier: Apache-2.0 */
/* Cycles of every way an access can go. The costs are powers of ten, so a sum says how often each
 * was charged. */
#include "tests/mmu_fixture.hpp"

#include <algorithm>

using namespace mmu_fixture;

namespace
{

constexpr uint64_t kL1 = 1, kL2 = 10, kStart = 100, kFetch = 1000, kLeaf = 100000;
constexpr uint64_t kLookUp = kL1 + kL2; /* of an access that misses both */

ts_mmu_params costs()
{
    ts_mmu_params p = defaults();
    p.l1_hit_cycles = kL1;
    p.l2_hit_cycles = kL2;
    p.walk_start_cycles = kStart;
    p.fetch_cycles = kFetch;
    p.leaf_fetch_cycles = kLeaf;
    p.ad_update_cycles = 0;
    return p;
}

/* A walk that fetches the last n levels of a 4K translation. */
uint64_t walkOf(uint64_t n)
{
    return kLookUp + kStart + (n - 1) * kFetch + kLeaf;
}

TEST(WalkTiming, HitsCostWhatTheirLevelCosts)
{
    ts_mmu_params p = costs();
    p.l1d_4k_entries = p.l1d_4k_ways = 1;
    Mmu mmu(p);
    PageTable table;
    table.map(0, 0);
    table.map(kPage, kPage);
    ts_mmu_context ctx{0, 1, 0, table.pt, nullptr, nullptr};
    EXPECT_EQ(mmu.access(ctx, 0).cycles, walkOf(4));
    EXPECT_EQ(mmu.access(ctx, 0).cycles, kL1);
    mmu.access(ctx, kPage); /* takes the only L1 entry */
    auto second = mmu.access(ctx, 0);
    EXPECT_EQ(second.cycles, kL1 + kL2);
    EXPECT_TRUE(second.from_tlb);
    EXPECT_EQ(mmu.access(ctx, 0).cycles, kL1); /* the L2 hit refilled the L1 */
    EXPECT_EQ(mmu.stats().l1_hits, 2u);
    EXPECT_EQ(mmu.stats().l2_hits, 1u);
    EXPECT_EQ(mmu.stats().walks, 2u);
}

TEST(WalkTiming, WithoutASecondLevelNobodyWaitsForIt)
{
    ts_mmu_params p = costs();
    p.l2_entries = p.l2_1g_entries = 0;
    Mmu mmu(p);
    PageTable table;
    table.map(0, 0);
    ts_mmu_context ctx{0, 1, 0, table.pt, nullptr, nullptr};
    EXPECT_EQ(mmu.access(ctx, 0).cycles, walkOf(4) - kL2);
    EXPECT_EQ(mmu.access(ctx, 0).cycles, kL1);
}

TEST(WalkTiming, ColdNativeWalksFetchOncePerLevel)
{
    for (uint32_t levels : {4u, 5u})
        for (uint32_t leaf = 0; leaf < 3; leaf++) {
            Mmu mmu(costs());
            PageTable table(levels);
            table.map(kGiB, 0, leaf);
            ts_mmu_context ctx{0, 1, 0, table.pt, nullptr, nullptr};
            auto out = mmu.access(ctx, kGiB);
            uint64_t n = levels - leaf;
            EXPECT_EQ(mmu.stats().walk_fetches, n);
            EXPECT_EQ(out.cycles, leaf == 0 ? walkOf(n) : kLookUp + kStart + n * kFetch);
            EXPECT_EQ(mmu.stats().walk_cycles, out.cycles - kLookUp);
            EXPECT_EQ(out.size_shift, TS_PT_SHIFT(leaf));
        }
}

/* Any set of walk caches, a warm first page, and a second one that shares the tables from some
 * level on: the walk starts below the deepest descriptor that is cached and shared. */
TEST(WalkTiming, WalksStartAtTheDeepestCachedTable)
{
    for (uint32_t levels : {4u, 5u})
        for (uint32_t caches = 0; caches < 8; caches++)
            for (uint32_t shared = 0; shared <= 4; shared++) {
                ts_mmu_params p = costs();
                p.walk_l1_entries = caches & 1 ? 4 : 0;
                p.walk_l2_entries = caches & 2 ? 4 : 0;
                p.walk_l3_entries = caches & 4 ? 4 : 0;
                Mmu mmu(p);
                PageTable table(levels);
                /* The descriptors of level > shared are the same for both pages. */
                uint64_t other = UINT64_C(1) << TS_PT_SHIFT(shared);
                if (shared == levels)
                    continue;
                table.map(0, 0);
                table.map(other, kPage);
                ts_mmu_context ctx{0, 1, 0, table.pt, nullptr, nullptr};
                mmu.access(ctx, 0);
                uint64_t n = levels;
                for (uint32_t level = 3; level >= 1; level--)
                    if ((caches >> (level - 1) & 1) && level > shared)
                        n = level;
                auto out = mmu.access(ctx, other);
                EXPECT_EQ(out.cycles, walkOf(n))
                    << levels << " levels, caches " << caches << ", shared above " << shared;
                EXPECT_EQ(mmu.stats().walk_cache_hits, n == levels ? 0u : 1u);
                EXPECT_EQ(mmu.stats().walk_fetches, levels + n);
            }
}

TEST(WalkTiming, AfterInvlpgTheNextWalkIsCold)
{
    Mmu mmu(costs());
    PageTable table;
    table.map(0, 0);
    table.map(kPage, kPage);
    ts_mmu_context ctx{0, 1, 0, table.pt, nullptr, nullptr};
    mmu.access(ctx, 0);
    EXPECT_EQ(mmu.access(ctx, kPage).cycles, walkOf(1));
    /* It names page 1, but takes every table of the PCID. */
    mmu.invalidate(ts_inval_invlpg(0, 1, kPage));
    EXPECT_EQ(mmu.access(ctx, 0).cycles, kL1);
    EXPECT_EQ(mmu.access(ctx, kPage).cycles, walkOf(4));
    /* INVPCID for another 2M leaves them. */
    mmu.invalidate(ts_inval_invpcid_addr(0, 1, kPage));
    EXPECT_EQ(mmu.access(ctx, kPage).cycles, walkOf(4));
    mmu.invalidate(ts_inval_tlbi_vae1(0, 1, kPage, true, 0));
    EXPECT_EQ(mmu.access(ctx, kPage).cycles, walkOf(1)); /* last level only */
}

struct Nested {
    Nested(uint32_t guest_levels, uint32_t host_levels) : guest(guest_levels), host(host_levels)
    {
    }
    ts_mmu_context ctx() const
    {
        return {1, 1, 0, guest.pt, host.pt, nullptr};
    }
    PageTable guest, host;
};

/* Everything in 4K pages of the host: of each stage-2 walk one fetch is a leaf's. */
uint64_t stage2Of(uint64_t m)
{
    return (m - 1) * kFetch + kLeaf;
}

TEST(WalkTiming, ColdNestedWalksMake24To35Fetches)
{
    for (uint64_t nested_entries : {0, 64})
        for (uint32_t n : {4u, 5u})
            for (uint32_t m : {4u, 5u}) {
                ts_mmu_params p = costs();
                p.nested_entries = nested_entries;
                Mmu mmu(p);
                Nested vm(n, m);
                vm.guest.map(0, 3 * kPage);
                vm.host.map(3 * kPage, 7 * kPage);
                backTables(vm.host, vm.guest);
                auto out = mmu.access(vm.ctx(), 5);
                ASSERT_EQ(out.result, TS_MMU_OK);
                EXPECT_EQ(out.pa, 7 * kPage + 5);
                EXPECT_EQ(mmu.stats().walk_fetches, n * (m + 1) + m);
                EXPECT_EQ(out.cycles, walkOf(n) + (n + 1) * stage2Of(m));
            }
    EXPECT_EQ(4 * (4 + 1) + 4, 24);
    EXPECT_EQ(5 * (5 + 1) + 5, 35);
}

/* Tables and pages in large host pages shorten each stage-2 walk. */
TEST(WalkTiming, LargeHostPagesShortenStageTwo)
{
    for (uint32_t level : {1u, 2u}) {
        ts_mmu_params p = costs();
        p.nested_entries = 0;
        Mmu mmu(p);
        Nested vm(4, 4);
        vm.guest.map(0, 3 * kPage);
        vm.host.map(0, 0, level);
        backTables(vm.host, vm.guest, level);
        auto out = mmu.access(vm.ctx(), 0);
        EXPECT_EQ(out.cycles, walkOf(4) + 5 * (4 - level) * kFetch);
        EXPECT_EQ(out.size_shift, 12);
    }
}

/* The walk caches hold tables translated, so only the page itself needs stage 2. */
TEST(WalkTiming, NestedWalksWithEveryCacheCombination)
{
    for (uint32_t caches = 0; caches < 8; caches++)
        for (uint32_t shared = 0; shared < 4; shared++)
            for (bool nested : {false, true}) {
                ts_mmu_params p = costs();
                p.walk_l1_entries = caches & 1 ? 4 : 0;
                p.walk_l2_entries = caches & 2 ? 4 : 0;
                p.walk_l3_entries = caches & 4 ? 4 : 0;
                p.nested_entries = nested ? 64 : 0;
                p.nested_ways = 64;
                Mmu mmu(p);
                Nested vm(4, 4);
                uint64_t other = UINT64_C(1) << TS_PT_SHIFT(shared);
                vm.guest.map(0, 0);
                vm.guest.map(other, kPage);
                vm.host.map(0, 0);
                vm.host.map(kPage, kPage);
                backTables(vm.host, vm.guest);
                mmu.access(vm.ctx(), 0);
                uint64_t n = 4;
                for (uint32_t level = 3; level >= 1; level--)
                    if ((caches >> (level - 1) & 1) && level > shared)
                        n = level;
                /* Tables to translate: those fetched from, but not one a walk cache gave. With a
                 * nested TLB those of the first walk are known. */
                uint64_t tables = n == 4 ? 4 : n - 1;
                uint64_t known = 0;
                for (uint32_t level = 0; level < 4; level++)
                    if (level + 1 <= n && !(n < 4 && level + 1 == n) && level >= shared)
                        known++;
                uint64_t misses = nested ? tables - known : tables;
                EXPECT_EQ(mmu.access(vm.ctx(), other).cycles,
                          walkOf(n) + (misses + 1) * stage2Of(4))
                    << "caches " << caches << ", shared above " << shared << ", nested " << nested;
                EXPECT_EQ(mmu.stats().nested_hits, nested ? known : 0);
            }
}

TEST(WalkTiming, AWarmNestedTranslationCostsAsANativeOne)
{
    Mmu mmu(costs());
    Nested vm(4, 4);
    vm.guest.map(0, 0);
    vm.guest.map(kPage, kPage);
    vm.host.map(0, 0, 1); /* both pages in one host page */
    backTables(vm.host, vm.guest);
    mmu.access(vm.ctx(), 0);
    EXPECT_EQ(mmu.access(vm.ctx(), kPage).cycles, walkOf(1));
    EXPECT_EQ(mmu.access(vm.ctx(), kPage).cycles, kL1);
}

TEST(WalkTiming, AFaultCostsTheFetchesThatFoundIt)
{
    /* What is missing is the descriptor of level d. */
    for (uint32_t d = 0; d < 4; d++) {
        Mmu mmu(costs());
        PageTable table;
        table.map(0, 0);
        ts_mmu_context ctx{0, 1, 0, table.pt, nullptr, nullptr};
        uint64_t va = UINT64_C(1) << TS_PT_SHIFT(d);
        auto out = mmu.access(ctx, va);
        EXPECT_EQ(out.result, TS_MMU_FAULT_STAGE1);
        EXPECT_EQ(out.fault_address, va);
        EXPECT_FALSE(out.from_tlb);
        EXPECT_EQ(out.cycles, d == 0 ? walkOf(4) : kLookUp + kStart + (4 - d) * kFetch);
    }
}

TEST(WalkTiming, AStageTwoFaultCostsTheWalkUpToIt)
{
    for (uint32_t missing = 0; missing <= 4; missing++) {
        ts_mmu_params p = costs();
        p.nested_entries = 0;
        Mmu mmu(p);
        Nested vm(4, 4);
        vm.guest.map(0, 0);
        vm.host.map(0, 0);
        backTables(vm.host, vm.guest);
        uint64_t hole = missing < 4 ? kTableFrames + missing * kPage : 0;
        vm.host.unmap(hole);
        auto out = mmu.access(vm.ctx(), 0);
        EXPECT_EQ(out.result, TS_MMU_FAULT_STAGE2);
        EXPECT_EQ(out.fault_address, hole);
        /* missing whole steps, and the stage-2 walk that failed at its last fetch. */
        uint64_t steps = std::min<uint64_t>(missing, 3) * (stage2Of(4) + kFetch) +
                         (missing == 4 ? stage2Of(4) + kLeaf : 0);
        EXPECT_EQ(out.cycles, kLookUp + kStart + steps + stage2Of(4));
    }
}

TEST(WalkTiming, BusyCyclesOfInvalidations)
{
    ts_mmu_params p = costs(); /* the largest structure: 128 sets, two sizes */
    for (uint64_t rate : {0, 1, 3, 4, 1000}) {
        p.sweep_sets_per_cycle = rate;
        Mmu mmu(p);
        uint64_t sets = p.l2_entries / p.l2_ways, now = 0;
        uint64_t sweep = rate == 0 ? 1 : (sets + rate - 1) / rate;
        auto busy = [&](const ts_tlb_inval &inval) {
            return mmu.invalidate(inval, now += 1000000); /* long after the one before */
        };
        EXPECT_EQ(busy(ts_inval_invlpg(1, 1, 0)), 2u);
        EXPECT_EQ(busy(ts_inval_tlbi_vae1(1, 1, 0, true, 1)), 1u);
        EXPECT_EQ(busy(ts_inval_tlbi_rvae1(1, 1, 0, 32 * kPage, true)), 33u);
        /* 1024 pages: a sweep of all but the L1 for 2M pages, which probes for two. */
        EXPECT_EQ(busy(ts_inval_tlbi_rvae1(1, 1, 0, 1024 * kPage, true)),
                  std::max<uint64_t>(sweep, 2));
        EXPECT_EQ(busy(ts_inval_tlbi_aside1(1, 1)), sweep);
        EXPECT_EQ(busy(ts_inval_tlbi_vmalle1(1)), sweep);
        EXPECT_EQ(busy(ts_inval_nothing()), 1u);
        /* A flash clear, whatever the tags, needs no sweep. */
        ts_tlb_inval all = ts_inval_svm_flush_all();
        all.any_thread = true;
        EXPECT_EQ(busy(all), 1u);
    }
}

/* A hint of the granule or the level leaves the others out; runs are probed for where there are. */
TEST(WalkTiming, ProbesOfAnAddressFormAreThoseOfTheSizesInUse)
{
    for (bool contiguous : {false, true}) {
        ts_mmu_params p = costs();
        p.contiguous = contiguous;
        Mmu mmu(p);
        uint64_t now = 0;
        auto busy = [&](const ts_tlb_inval &inval) { return mmu.invalidate(inval, now += 1000); };
        auto page = ts_inval_tlbi_vae1(0, 1, 0, true, 0);
        EXPECT_EQ(busy(page), contiguous ? 4u : 2u); /* 4K, 2M; and 64K, 32M */
        PageTable table(3, TS_GRANULE_64K);
        table.map(0, 0);
        mmu.access(ts_mmu_context{0, 1, 0, table.pt, nullptr, nullptr}, 0);
        /* 64K, 512M; and runs of 2M. One of 16G has its own structure. */
        EXPECT_EQ(busy(page), contiguous ? 3u : 2u);
        EXPECT_EQ(busy(ts_inval_with_hint(page, 1 + TS_GRANULE_4K, 0)), 1u);
        EXPECT_EQ(busy(ts_inval_with_hint(page, 1 + TS_GRANULE_64K, 1)), contiguous ? 2u : 1u);
    }
}

} // namespace
