/* SPDX-License-Identifier: Apache-2.0 */
/* What the oracle is told, if it wants to know: walks that begin, by a walk cache, in a table that
 * the tables do not have there any more. */
#include "tests/mmu_fixture.hpp"

using namespace mmu_fixture;

TEST(MmuStale, SaysThatAWalkBeganInATableThatHasGone)
{
    for (bool watches : {false, true}) {
        Mmu mmu;
        PageTable tables;
        const ts_mmu_context ctx{0, 1, 0, tables.pt, nullptr, nullptr};
        ts_mmu_watch_tables(mmu.m, watches);
        tables.map(0, 0);
        tables.map(kTwoMiB, kPage);
        EXPECT_EQ(mmu.access(ctx, 0).stale_span, 0u);
        mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 0, true, 0));
        EXPECT_EQ(mmu.access(ctx, 0).stale_span, 0u); /* by the walk cache, and it is there */
        const uint64_t table = ts_pgtable_root(tables.pt) + 3 * kPage;
        tables.unmap(0);
        uint32_t freed[TS_PT_LEVELS_MAX];
        ASSERT_EQ(ts_pgtable_free_tables(tables.pt, 0, kPage, 0, kTwoMiB, freed), 1u);
        tables.map(0, 9 * kPage);
        mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 0, true, 0));
        const auto stale = mmu.access(ctx, 0);
        EXPECT_EQ(stale.stale_span, watches ? kTwoMiB : 0u);
        if (watches) {
            EXPECT_EQ(stale.stale_table, table);
        }
        EXPECT_EQ(mmu.access(ctx, 0).stale_span, 0u);
    }
}

TEST(MmuStale, SaysThatAWalkOfStage2BeganInATableThatHasGone)
{
    const uint64_t ipa = 4 * kGiB;
    for (const bool watches : {false, true}) {
        ts_mmu_params p = defaults();
        p.walk2_entries = p.walk2_ways = 16;
        p.nested_entries = 0;
        Mmu mmu(p);
        ts_mmu_watch_tables(mmu.m, watches);
        PageTable guest, host;
        guest.map(0, ipa);
        host.map(ipa, 9 * kPage);
        backTables(host, guest);
        const ts_mmu_context ctx{1, 1, 0, guest.pt, host.pt, nullptr};
        EXPECT_EQ(mmu.access(ctx, 0).stale2_span, 0u);
        mmu.invalidate(ts_inval_tlbi_vmalle1(1));
        const uint64_t hits = mmu.stats().stage2_walk_cache_hits;
        EXPECT_EQ(mmu.access(ctx, 0).stale2_span, 0u); /* by the walk cache, and it is there */
        EXPECT_GT(mmu.stats().stage2_walk_cache_hits, hits);
        uint64_t fetch[TS_PT_LEVELS_MAX];
        uint8_t levels[TS_PT_LEVELS_MAX];
        bool found;
        ts_pte pte;
        const uint32_t n = ts_pgtable_walk(host.pt, ipa, ts_pgtable_levels(host.pt) - 1,
                                           ts_pgtable_root(host.pt), fetch, levels, &found, &pte);
        ASSERT_TRUE(found);
        const uint64_t table = fetch[n - 1] & ~(kPage - 1);
        host.unmap(ipa);
        uint32_t freed[TS_PT_LEVELS_MAX];
        ASSERT_EQ(ts_pgtable_free_tables(host.pt, ipa, ipa + kPage, 0, 0, freed), 3u);
        host.map(ipa, 10 * kPage);
        mmu.invalidate(ts_inval_tlbi_vmalle1(1));
        const auto stale = mmu.access(ctx, 0);
        EXPECT_EQ(stale.stale_span, 0u);
        EXPECT_EQ(stale.stale2_span, watches ? kTwoMiB : 0u);
        if (watches) {
            EXPECT_EQ(stale.stale2_ipa, ipa);
            EXPECT_EQ(stale.stale2_table, table);
        }
        mmu.invalidate(ts_inval_tlbi_vmalls12e1(1));
        EXPECT_EQ(mmu.access(ctx, 0).stale2_span, 0u);
    }
}
