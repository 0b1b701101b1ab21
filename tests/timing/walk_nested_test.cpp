/* SPDX-License-Identifier: Apache-2.0 */
/* Two-dimensional walks with every combination of what is cached: where stage 1 starts, and for
 * each stage-1 table and the page itself whether the nested TLB knows it and else where stage 2
 * starts. The expected cycles are a sum over that set. */
#include "models/tlb/replacement_table.h"
#include "tests/mmu_fixture.hpp"

#include <random>
#include <vector>

using namespace mmu_fixture;

namespace
{

constexpr uint64_t kL1 = 1, kL2 = 10, kStart = 100, kCacheLookUp = 7, kNested = 13;
constexpr uint64_t kFetch = 1000, kLeaf = 100000;

ts_mmu_params costs()
{
    ts_mmu_params p = defaults();
    p.l1_hit_cycles = kL1;
    p.l2_hit_cycles = kL2;
    p.walk_start_cycles = kStart;
    p.walk_cache_cycles = kCacheLookUp;
    p.nested_cycles = kNested;
    p.fetch_cycles = kFetch;
    p.leaf_fetch_cycles = kLeaf;
    p.ad_update_cycles = 0;
    p.stage2_ad = 0;
    p.walk_l1_entries = p.walk_l2_entries = p.walk_l3_entries = 0;
    p.walk_any_entries = p.walk_any_ways = 64;
    p.walk2_entries = p.walk2_ways = 256;
    p.nested_entries = p.nested_ways = 256;
    p.walk_replacement = TS_REPLACEMENT_TABLE_LRU;
    return p;
}

uint64_t fetches(uint64_t n)
{
    return n == 0 ? 0 : (n - 1) * kFetch + kLeaf;
}

/* Every table and the page of one guest translation lies alone under an entry of the stage-2 root,
 * so each can be cached by itself. */
class Rig
{
  public:
    Rig(ts_granule g, uint32_t n)
        : granule(g), levels(n), top(ts_granule_level_shift(g, n - 1)), spacing(UINT64_C(2) << top),
          guest(n, g, spacing, spacing), host(n, g), mmu(costs())
    {
        guest.map(0, (levels + 1) * spacing);
        guest.next_frame += spacing; /* that is the page's */
        aliases = UINT64_C(1) << top;
        uint64_t at = aliases;
        for (uint64_t i = 0; i <= levels; i++) { /* the tables, the root first, then the page */
            uint64_t ipa = (i + 1) * spacing;
            add(ipa, at);
            for (uint32_t level = 0; level + 1 < levels; level++)
                add(ipa ^ UINT64_C(1) << ts_granule_level_shift(granule, level), at);
        }
        guest.map(at, (levels + 1) * spacing);
        for (uint32_t level = 0; level + 1 < levels; level++)
            guest.map(UINT64_C(1) << ts_granule_level_shift(granule, level),
                      (levels + 1) * spacing);
        for (uint64_t ipa = (levels + 2) * spacing; ipa < guest.next_frame; ipa += spacing)
            host.map(ipa, ipa);
    }
    ts_mmu_context ctx() const
    {
        return {1, 1, 0, guest.pt, host.pt, nullptr};
    }
    /* Object i's nested leaf (state levels), or the stage-2 table to start at (levels - 1: the
     * root). */
    void prime(uint64_t i, uint32_t state)
    {
        if (state == levels - 1)
            return;
        uint64_t slot = i * levels + (state == levels ? 0 : state + 1);
        ASSERT_EQ(mmu.access(ctx(), aliases + slot * guest.size()).result, TS_MMU_OK);
    }
    /* start: the level of the first stage-1 table fetched from. states: of the objects, root
     * first. */
    void check(uint32_t start, const std::vector<uint32_t> &states)
    {
        mmu.invalidate(ts_inval_tlbi_alle1());
        if (start + 1 < levels)
            mmu.access(ctx(), UINT64_C(1) << ts_granule_level_shift(granule, start));
        /* So that the walks to come for the aliases need no table's translation. */
        mmu.access(ctx(), aliases + (levels + 1) * levels * guest.size());
        ts_tlb_inval stage2 = ts_inval_tlbi_vmalls12e1(1);
        stage2.kinds = TS_TLB_KIND_BIT(TS_TLB_STAGE2_LEAF) | TS_TLB_KIND_BIT(TS_TLB_STAGE2_WALK);
        mmu.invalidate(stage2);
        for (uint64_t i = 0; i <= levels; i++)
            prime(i, states[i]);
        /* Table i has level levels - 1 - i; the first one comes translated from a walk cache. */
        uint64_t expected = kL1 + kL2 + kStart + kCacheLookUp + fetches(start + 1);
        uint64_t count = start + 1, hits = 0, walk_cache = 0;
        for (uint64_t i = 0; i <= levels; i++) {
            bool needed = i == levels ||
                          (i + 1 == levels - start ? start + 1 == levels : i + 1 > levels - start);
            if (!needed)
                continue;
            uint64_t n = states[i] == levels ? 0 : states[i] + 1;
            expected += kNested + fetches(n);
            count += n;
            hits += n == 0;
            walk_cache += n != 0 && n != levels;
        }
        struct ts_mmu_stats before = mmu.stats();
        auto out = mmu.access(ctx(), 5);
        ASSERT_EQ(out.result, TS_MMU_OK);
        EXPECT_EQ(out.cycles, expected);
        EXPECT_EQ(mmu.stats().walk_fetches - before.walk_fetches, count);
        EXPECT_EQ(mmu.stats().nested_hits - before.nested_hits, hits);
        EXPECT_EQ(mmu.stats().stage2_walk_cache_hits - before.stage2_walk_cache_hits, walk_cache);
        EXPECT_EQ(mmu.stats().walk_cache_hits - before.walk_cache_hits, start + 1 < levels);
    }

    ts_granule granule;
    uint32_t levels, top;
    uint64_t spacing, aliases = 0;
    PageTable guest, host;
    Mmu mmu;

  private:
    void add(uint64_t ipa, uint64_t &at)
    {
        host.map(ipa, ipa);
        guest.map(at, ipa);
        at += guest.size();
    }
};

void everyCombination(ts_granule granule, uint32_t levels, uint32_t samples)
{
    Rig rig(granule, levels);
    std::mt19937_64 random(levels + granule);
    for (uint32_t start = 0; start < levels; start++) {
        uint64_t all = 1;
        for (uint32_t i = 0; i <= levels; i++)
            all *= levels + 1;
        uint64_t step = samples == 0 || all < samples ? 1 : all / samples;
        for (uint64_t code = step > 1 ? random() % step : 0; code < all; code += step) {
            std::vector<uint32_t> states;
            for (uint64_t c = code, i = 0; i <= levels; i++, c /= levels + 1)
                states.push_back(static_cast<uint32_t>(c % (levels + 1)));
            rig.check(start, states);
            ASSERT_FALSE(testing::Test::HasFailure())
                << "granule " << granule << " levels " << levels << " start " << start << " code "
                << code;
        }
    }
}

TEST(WalkNested, EveryCombinationAtFourLevels)
{
    everyCombination(TS_GRANULE_4K, 4, 0);
}

/* 6^6 sets of states for each start: a sample of them at an odd step. */
TEST(WalkNested, ManyCombinationsAtFiveLevels)
{
    everyCombination(TS_GRANULE_4K, 5, 997);
}

TEST(WalkNested, EveryCombinationOfTheOtherGranules)
{
    everyCombination(TS_GRANULE_64K, 3, 0);
    everyCombination(TS_GRANULE_16K, 3, 0);
    everyCombination(TS_GRANULE_16K, 4, 499);
}

/* The accesses to memory, in order: each stage-1 table is translated before it is fetched from, and
 * every fetch is charged where its entry lies in physical memory. */
TEST(WalkNested, FetchesAreMadeInOrderAndChargedAtTheirPhysicalAddress)
{
    constexpr uint64_t kHostShift = UINT64_C(1) << 45;
    for (uint32_t n : {3u, 4u, 5u})
        for (ts_granule g : {TS_GRANULE_4K, TS_GRANULE_16K, TS_GRANULE_64K}) {
            if (n == 3 ? g == TS_GRANULE_4K : n == 4 ? g == TS_GRANULE_64K : g != TS_GRANULE_4K)
                continue;
            PageTable guest(n, g), host(n, g, UINT64_C(1) << 46);
            guest.map(0, 3 * guest.size());
            host.map(3 * guest.size(), 7 * guest.size());
            for (uint64_t ipa = kTableFrames; ipa < guest.next_frame; ipa += guest.size())
                host.map(ipa, ipa + kHostShift);
            std::vector<uint64_t> seen, expected;
            ts_mmu_memory memory{};
            memory.user = &seen;
            memory.core = 3;
            memory.fetch = [](void *user, uint32_t core, uint64_t pa) {
                static_cast<std::vector<uint64_t> *>(user)->push_back(pa);
                return uint64_t{core} + 2;
            };
            ts_mmu_wiring wiring{};
            wiring.memory = &memory;
            ts_mmu_params p = costs();
            p.nested_entries = p.walk2_entries = 0;
            Mmu mmu(p, wiring);
            ts_mmu_context ctx{1, 1, 0, guest.pt, host.pt, nullptr};
            auto out = mmu.access(ctx, 9);
            ASSERT_EQ(out.result, TS_MMU_OK);
            uint64_t fetch[TS_PT_LEVELS_MAX];
            uint8_t level[TS_PT_LEVELS_MAX];
            bool found;
            ts_pte pte;
            auto walk = [&](const PageTable &t, uint64_t va) {
                uint32_t k = ts_pgtable_walk(t.pt, va, n - 1, ts_pgtable_root(t.pt), fetch, level,
                                             &found, &pte);
                return std::vector<uint64_t>(fetch, fetch + k);
            };
            for (uint64_t ipa : walk(guest, 9)) {
                for (uint64_t pa : walk(host, ipa))
                    expected.push_back(pa);
                expected.push_back(ipa + kHostShift);
            }
            for (uint64_t pa : walk(host, 3 * guest.size() + 9))
                expected.push_back(pa);
            EXPECT_EQ(seen, expected);
            EXPECT_EQ(expected.size(), n * (n + 1) + n); /* 15, 24, 35 */
            EXPECT_EQ(out.cycles, kL1 + kL2 + kStart + kCacheLookUp + expected.size() * 5);
            /* From the walk cache: the table is known, its line is still fetched. */
            mmu.invalidate(ts_inval_tlbi_vae1(1, 1, 0, true, 0));
            seen.clear();
            mmu.access(ctx, 9);
            ASSERT_EQ(seen.size(), 1 + n);
            EXPECT_EQ(seen[0], walk(guest, 9).back() + kHostShift);
        }
}

} // namespace
