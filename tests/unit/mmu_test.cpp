/* SPDX-License-Identifier: Apache-2.0 */
#include "models/mmu/speculate.h"
#include "tests/mmu_fixture.hpp"

#include <algorithm>
#include <map>
#include <string>

using namespace mmu_fixture;

namespace
{

struct Native {
    explicit Native(const ts_mmu_params &params = defaults()) : mmu(params)
    {
    }
    ts_mmu_context ctx(uint16_t asid = 1) const
    {
        return {0, asid, 0, table.pt, nullptr, nullptr};
    }
    PageTable table;
    Mmu mmu;
};

struct Nested {
    explicit Nested(const ts_mmu_params &params = defaults()) : mmu(params)
    {
    }
    ts_mmu_context ctx(uint16_t asid = 1, uint16_t vmid = 1) const
    {
        return {vmid, asid, 0, guest.pt, host.pt, nullptr};
    }
    PageTable guest, host;
    Mmu mmu;
};

TEST(Mmu, DefaultsAreWithinTheirBoundsAndMakeAnMmu)
{
    for (size_t i = 0; i < ts_mmu_param_table.nrows; i++) {
        const ts_param &row = ts_mmu_param_table.rows[i];
        EXPECT_LE(row.min, row.def) << row.key;
        EXPECT_LE(row.def, row.max) << row.key;
        EXPECT_NE(std::string(row.help), "") << row.key;
        EXPECT_NE(std::string(row.source), "") << row.key;
    }
    EXPECT_EQ(ts_mmu_param_table.nrows, sizeof(ts_mmu_params) / sizeof(uint64_t));
    EXPECT_EQ(ts_mmu_stat_table.nrows, sizeof(struct ts_mmu_stats) / sizeof(uint64_t));
    Mmu mmu(defaults());
}

/* The names in the configuration are those of the policies' files. */
TEST(Mmu, ReplacementNamesAreTheTables)
{
    for (const char *key : {"replacement", "l1_replacement", "walk_replacement"}) {
        const ts_param *row = ts_param_find(&ts_mmu_param_table, key);
        ASSERT_NE(row, nullptr);
        size_t n = 0;
        for (; row->enum_names[n]; n++) {
            ASSERT_LT(n, ts_replacement_table_count);
            EXPECT_STREQ(row->enum_names[n], ts_replacement_table[n]->name);
            ts_mmu_params params = defaults();
            params.replacement = params.l1_replacement = params.walk_replacement = n;
            Mmu mmu(params);
        }
        EXPECT_EQ(n, ts_replacement_table_count);
        EXPECT_EQ(row->max, n - 1);
    }
}

TEST(Mmu, NamesOfChoicesAreThoseOfTheHeader)
{
    auto name = [](const char *key, uint64_t i) {
        const ts_param *row = ts_param_find(&ts_mmu_param_table, key);
        return row != nullptr && i <= row->max ? std::string(row->enum_names[i]) : "";
    };
    for (const char *key : {"l1_smt", "l2_smt", "walk_smt"}) {
        EXPECT_EQ(name(key, TS_MMU_SMT_OWN), "own");
        EXPECT_EQ(name(key, TS_MMU_SMT_PARTITION), "partition");
        EXPECT_EQ(name(key, TS_MMU_SMT_SHARE), "share");
    }
    EXPECT_EQ(name("inclusion", TS_MMU_NON_INCLUSIVE), "non_inclusive");
    EXPECT_EQ(name("inclusion", TS_MMU_INCLUSIVE), "inclusive");
    EXPECT_EQ(name("inclusion", TS_MMU_EXCLUSIVE), "exclusive");
}

TEST(Mmu, RefusesImpossibleStructuresByName)
{
    ts_mmu *m = nullptr;
    ts_error err{};
    ts_mmu_wiring wiring{};
    ts_mmu_params params = defaults();
    params.l2_ways = 7;
    EXPECT_EQ(ts_mmu_create(&m, &params, 1, &wiring, &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("mmu.l2_entries:"), std::string::npos) << err.message;
    params = defaults();
    params.replacement = 99;
    EXPECT_EQ(ts_mmu_create(&m, &params, 1, &wiring, &err), TS_ERR_USER);
}

TEST(Mmu, TranslatesEverySizeToTheByte)
{
    Native n;
    for (uint32_t level = 0; level < 3; level++) {
        uint64_t va = (10 + level) * kGiB, pa = (100 + level) * kGiB;
        uint64_t last = (UINT64_C(1) << TS_PT_SHIFT(level)) - 1;
        n.table.map(va, pa, level);
        for (uint64_t offset : {UINT64_C(0), last / 2, last})
            for (bool again : {false, true}) {
                auto out = n.mmu.access(n.ctx(), va + offset);
                EXPECT_EQ(out.result, TS_MMU_OK);
                EXPECT_EQ(out.pa, pa + offset);
                EXPECT_EQ(out.size_shift, TS_PT_SHIFT(level));
                EXPECT_EQ(out.from_tlb, offset != 0 || again);
            }
        EXPECT_EQ(n.mmu.access(n.ctx(), va + last + 1).result, TS_MMU_FAULT_STAGE1);
    }
}

TEST(Mmu, FaultsAreNotCached)
{
    Native n;
    n.table.map(0, 0);
    EXPECT_EQ(n.mmu.access(n.ctx(), kPage).result, TS_MMU_FAULT_STAGE1);
    n.table.map(kPage, 5 * kPage);
    auto out = n.mmu.access(n.ctx(), kPage);
    EXPECT_EQ(out.result, TS_MMU_OK);
    EXPECT_EQ(out.pa, 5 * kPage);
    EXPECT_EQ(n.mmu.stats().walk_faults, 1u);
}

/* The hazard that shootdowns exist for. */
TEST(Mmu, AnUnmappedPageStaysReachableUntilItIsInvalidated)
{
    Native n;
    n.table.map(0, 7 * kPage);
    n.mmu.access(n.ctx(), 0);
    n.table.unmap(0);
    auto stale = n.mmu.access(n.ctx(), 0);
    EXPECT_EQ(stale.result, TS_MMU_OK);
    EXPECT_TRUE(stale.from_tlb);
    EXPECT_EQ(stale.pa, 7 * kPage);
    n.mmu.invalidate(ts_inval_invlpg(0, 1, 0));
    EXPECT_EQ(n.mmu.access(n.ctx(), 0).result, TS_MMU_FAULT_STAGE1);
}

TEST(Mmu, CountsInvalidationsThatFindNothing)
{
    Native n;
    n.table.map(0, 7 * kPage);
    n.mmu.invalidate(ts_inval_invlpg(0, 1, 0)); /* nothing is there yet */
    EXPECT_EQ(n.mmu.stats().invalidations_empty, 1u);
    n.mmu.access(n.ctx(), 0);
    n.mmu.invalidate(ts_inval_invlpg(0, 1, 0));
    EXPECT_EQ(n.mmu.stats().invalidations_empty, 1u);
    n.mmu.invalidate(ts_inval_invlpg(0, 1, 0)); /* nor any more */
    EXPECT_EQ(n.mmu.stats().invalidations_empty, 2u);
    EXPECT_EQ(n.mmu.stats().invalidations, 3u);
}

/* And the one that freed_tables exists for: a cached table outlives its place in the tree. */
TEST(Mmu, AFreedTableStaysReachableThroughTheWalkCache)
{
    Native n;
    n.table.map(0, 0);
    n.table.map(kTwoMiB, kPage);
    n.mmu.access(n.ctx(), 0);
    uint64_t walks = n.mmu.stats().walk_cache_hits;
    n.table.unmap(0);
    uint32_t freed[TS_PT_LEVELS_MAX];
    ASSERT_EQ(ts_pgtable_free_tables(n.table.pt, 0, kPage, 0, kTwoMiB, freed), 1u);
    n.table.map(0, 9 * kPage);                              /* a new table at the same place */
    n.mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 0, true, 0)); /* last level only: a bug */
    EXPECT_EQ(n.mmu.access(n.ctx(), 0).result, TS_MMU_FAULT_STAGE1);
    EXPECT_EQ(n.mmu.stats().walk_cache_hits, walks + 1);
    /* The fault dropped the cached table. */
    auto out = n.mmu.access(n.ctx(), 0);
    EXPECT_EQ(out.result, TS_MMU_OK);
    EXPECT_EQ(out.pa, 9 * kPage);
}

/* A walk of the hardware's own accord caches what it finds, and where it finds nothing it faults
 * nowhere: what is cached stays, on x86 too. */
TEST(Mmu, ASpeculativeWalkFillsAndDropsNothing)
{
    Native n;
    struct ts_mmu_access out = {};
    n.table.map(0, 0);
    n.table.map(kTwoMiB, kPage);
    n.table.map(kPage, 3 * kPage);
    const ts_mmu_context ctx = n.ctx();
    ts_mmu_speculate(n.mmu.m, &ctx, kPage, 0, &out);
    EXPECT_EQ(out.result, TS_MMU_OK);
    EXPECT_EQ(out.pa, 3 * kPage);
    EXPECT_TRUE(n.mmu.cached(ctx, kPage));
    EXPECT_FALSE(n.mmu.cached(ctx, 0));
    n.mmu.access(ctx, 0);
    n.table.unmap(0, 2 * kPage);
    uint32_t freed[TS_PT_LEVELS_MAX];
    ASSERT_EQ(ts_pgtable_free_tables(n.table.pt, 0, 2 * kPage, 0, kTwoMiB, freed), 1u);
    n.table.map(0, 9 * kPage);                              /* a new table at the same place */
    n.mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 0, true, 0)); /* last level only: a bug */
    for (int i = 0; i < 2; i++) {
        /* Each time by the table that was freed. */
        ts_mmu_speculate(n.mmu.m, &ctx, 0, 0, &out);
        EXPECT_EQ(out.result, TS_MMU_FAULT_STAGE1);
    }
    EXPECT_TRUE(n.mmu.cached(ctx, kPage));
    EXPECT_EQ(n.mmu.access(ctx, 0).result, TS_MMU_FAULT_STAGE1); /* drops it */
    EXPECT_EQ(n.mmu.access(ctx, 0).pa, 9 * kPage);
}

TEST(Mmu, AWriteToAReadOnlyEntryFaultsWithoutAWalkAndDropsIt)
{
    Native n;
    n.table.map(0, 0, 0, false);
    n.mmu.access(n.ctx(), 0);
    uint64_t walks = n.mmu.stats().walks;
    auto out = n.mmu.access(n.ctx(), 0x123, true);
    EXPECT_EQ(out.result, TS_MMU_FAULT_STAGE1);
    EXPECT_EQ(out.fault_address, 0x123u);
    EXPECT_TRUE(out.from_tlb);
    EXPECT_EQ(n.mmu.stats().walks, walks);
    EXPECT_FALSE(n.mmu.cached(n.ctx(), 0));
    /* So a permission that was added meanwhile is seen at once. */
    ts_pgtable_protect(n.table.pt, 0, kPage, true, nullptr, nullptr);
    EXPECT_EQ(n.mmu.access(n.ctx(), 0, true).result, TS_MMU_OK);
}

TEST(Mmu, AFaultDropsThePageFromEveryLevel)
{
    ts_mmu_params params = defaults();
    params.l1d_4k_entries = params.l1d_4k_ways = 1;
    Native n(params);
    n.table.map(0, 0, 0, false);
    n.table.map(kPage, kPage);
    n.mmu.access(n.ctx(), 0);
    n.mmu.access(n.ctx(), kPage); /* page 0 is in the L2 alone */
    auto out = n.mmu.access(n.ctx(), 0, true);
    EXPECT_EQ(out.result, TS_MMU_FAULT_STAGE1);
    EXPECT_EQ(n.mmu.stats().l2_hits, 1u);
    EXPECT_FALSE(n.mmu.cached(n.ctx(), 0));
    EXPECT_TRUE(n.mmu.cached(n.ctx(), kPage));
}

/* As the next access goes by the entry, a permission that was added needs a flush; of stage 2 too,
 * and a cached table that is no longer there faults for ever. */
TEST(Mmu, OnArmAFaultDropsNothing)
{
    PageTable table, host;
    Mmu mmu(defaults(), ts_mmu_wiring{});
    ts_mmu_context ctx{0, 1, 0, table.pt, nullptr, nullptr};
    table.map(0, 0, 0, false);
    mmu.access(ctx, 0);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(mmu.access(ctx, 0, true).result, TS_MMU_FAULT_STAGE1);
        EXPECT_TRUE(mmu.cached(ctx, 0));
        ts_pgtable_protect(table.pt, 0, kPage, true, nullptr, nullptr);
    }
    mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 0, true, 0));
    EXPECT_EQ(mmu.access(ctx, 0, true).result, TS_MMU_OK);

    table.unmap(0);
    uint32_t freed[TS_PT_LEVELS_MAX];
    table.map(kTwoMiB, kPage);
    ASSERT_EQ(ts_pgtable_free_tables(table.pt, 0, kPage, 0, kTwoMiB, freed), 1u);
    table.map(0, 9 * kPage);
    mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 0, true, 0)); /* last level only */
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(mmu.access(ctx, 0).result, TS_MMU_FAULT_STAGE1);

    ts_mmu_context nested{1, 1, 0, table.pt, host.pt, nullptr};
    for (uint64_t frame = kTableFrames; frame < kTableFrames + 64 * kPage; frame += kPage)
        host.map(frame, frame);
    host.map(9 * kPage, kGiB, 0, false);
    EXPECT_EQ(mmu.access(nested, 0).result, TS_MMU_OK);
    EXPECT_EQ(mmu.access(nested, 0, true).result, TS_MMU_FAULT_STAGE2);
    EXPECT_TRUE(mmu.cached(nested, 0));
}

TEST(Mmu, AccessedAndDirtyAreSetByTheWalkThatNeedsThem)
{
    Native n;
    n.table.map(0, 0);
    n.mmu.access(n.ctx(), 0);
    EXPECT_TRUE(n.table.pte(0).accessed);
    EXPECT_FALSE(n.table.pte(0).dirty);
    EXPECT_EQ(n.mmu.stats().walks, 1u);
    /* The first write walks although the entry is there; the next ones do not. */
    auto first = n.mmu.access(n.ctx(), 0, true);
    EXPECT_EQ(first.result, TS_MMU_OK);
    EXPECT_FALSE(first.from_tlb);
    EXPECT_TRUE(n.table.pte(0).dirty);
    EXPECT_TRUE(n.mmu.access(n.ctx(), 0, true).from_tlb);
    EXPECT_EQ(n.mmu.stats().walks, 2u);
    /* A page that is dirty already, or written first, needs one walk. */
    n.table.map(kPage, kPage);
    n.mmu.access(n.ctx(), kPage, true);
    EXPECT_TRUE(n.mmu.access(n.ctx(), kPage, true).from_tlb);
    n.mmu.invalidate(ts_inval_invlpg(0, 1, 0));
    n.mmu.access(n.ctx(), 0);
    EXPECT_TRUE(n.mmu.access(n.ctx(), 0, true).from_tlb);
}

/* It needs a walk for the dirty bit, and the walk sees the table as it is. */
TEST(Mmu, TheFirstWriteOfAnUnmappedPageFaultsInsteadOfUsingTheEntry)
{
    Native n;
    n.table.map(0, 0);
    n.mmu.access(n.ctx(), 0);
    n.table.unmap(0);
    EXPECT_EQ(n.mmu.access(n.ctx(), 0).result, TS_MMU_OK); /* stale */
    EXPECT_EQ(n.mmu.access(n.ctx(), 0, true).result, TS_MMU_FAULT_STAGE1);
    EXPECT_EQ(n.mmu.access(n.ctx(), 0).result, TS_MMU_FAULT_STAGE1);
}

TEST(Mmu, AStaleEntryOfAnotherSizeGoesWhenAWalkFindsTheNewOne)
{
    Native n;
    n.table.map(0, 0);
    n.mmu.access(n.ctx(), 0); /* read: the entry is not dirty */
    n.table.unmap(0);
    uint32_t freed[TS_PT_LEVELS_MAX];
    ts_pgtable_free_tables(n.table.pt, 0, kPage, 0, 0, freed);
    n.table.map(0, kGiB, 1);
    n.mmu.invalidate(ts_inval_invlpg(0, 1, kGiB)); /* the tables, not the page */
    EXPECT_EQ(n.mmu.access(n.ctx(), 0).pa, 0u);
    EXPECT_EQ(n.mmu.access(n.ctx(), 0, true).pa, kGiB);
    EXPECT_EQ(n.mmu.access(n.ctx(), 0).pa, kGiB);
    EXPECT_TRUE(n.mmu.access(n.ctx(), 0, true).from_tlb);
}

TEST(Mmu, AsidsSeparateAndGlobalsJoin)
{
    Native n;
    n.table.map(0, 0);
    n.table.map(kPage, kPage, 0, true, true);
    n.mmu.access(n.ctx(1), 0);
    n.mmu.access(n.ctx(1), kPage);
    EXPECT_FALSE(n.mmu.cached(n.ctx(2), 0));
    EXPECT_TRUE(n.mmu.cached(n.ctx(2), kPage));
    n.mmu.invalidate(ts_inval_mov_cr3(0, 1));
    EXPECT_FALSE(n.mmu.cached(n.ctx(1), 0));
    EXPECT_TRUE(n.mmu.cached(n.ctx(1), kPage));
    n.mmu.invalidate(ts_inval_invpcid_all(0, true));
    EXPECT_FALSE(n.mmu.cached(n.ctx(1), kPage));
}

TEST(Mmu, TheEntryHasTheSmallerSizeOfTheTwoStages)
{
    for (uint32_t guest = 0; guest < 3; guest++)
        for (uint32_t host = 0; host < 3; host++) {
            Nested v;
            uint64_t va = 5 * kGiB, ipa = 3 * kGiB, pa = 77 * kGiB;
            v.guest.map(va, ipa, guest);
            uint64_t offset = guest == 0 ? 0x678 : guest == 1 ? 0x5678 : 0x345678;
            uint64_t step = UINT64_C(1) << TS_PT_SHIFT(host);
            v.host.map((ipa + offset) / step * step, pa + offset / step * step, host);
            backTables(v.host, v.guest);
            auto out = v.mmu.access(v.ctx(), va + offset);
            ASSERT_EQ(out.result, TS_MMU_OK);
            EXPECT_EQ(out.pa, pa + offset);
            EXPECT_EQ(out.size_shift, TS_PT_SHIFT(std::min(guest, host)));
            ts_tlb_entry e;
            ASSERT_TRUE(v.mmu.cached(v.ctx(), va + offset, &e));
            EXPECT_EQ(e.fractured, guest > host);
            EXPECT_EQ(e.tags.level, guest);
            EXPECT_EQ(e.tags.size_shift, out.size_shift);
        }
}

TEST(Mmu, FaultsNameTheStageAndItsAddress)
{
    Nested v;
    v.guest.map(0, 3 * kPage);
    v.guest.map(kPage, 4 * kPage, 0, false);
    backTables(v.host, v.guest);
    auto out = v.mmu.access(v.ctx(), 0x10);
    EXPECT_EQ(out.result, TS_MMU_FAULT_STAGE2);
    EXPECT_EQ(out.fault_address, 3 * kPage + 0x10);
    /* Stage 1 is asked first. */
    out = v.mmu.access(v.ctx(), kPage, true);
    EXPECT_EQ(out.result, TS_MMU_FAULT_STAGE1);
    EXPECT_EQ(out.fault_address, kPage);
    EXPECT_EQ(v.mmu.stats().walk_faults, 2u);
    EXPECT_EQ(v.mmu.stats().stage2_faults, 1u);
    v.host.map(3 * kPage, 9 * kPage);
    EXPECT_EQ(v.mmu.access(v.ctx(), 0x10).pa, 9 * kPage + 0x10);
}

/* Dirty logging: the host write-protects, the guest's write must reach the host with its IPA. */
TEST(Mmu, AWriteThatStageTwoDeniesWalksForTheIpa)
{
    Nested v;
    v.guest.map(0, 3 * kPage);
    v.host.map(3 * kPage, 9 * kPage, 0, false);
    backTables(v.host, v.guest);
    EXPECT_EQ(v.mmu.access(v.ctx(), 0).result, TS_MMU_OK);
    uint64_t walks = v.mmu.stats().walks;
    auto out = v.mmu.access(v.ctx(), 8, true);
    EXPECT_EQ(out.result, TS_MMU_FAULT_STAGE2);
    EXPECT_EQ(out.fault_address, 3 * kPage + 8);
    EXPECT_EQ(v.mmu.stats().walks, walks + 1);
    EXPECT_FALSE(v.mmu.cached(v.ctx(), 0));
    /* The violation dropped the cached stage-2 leaf too. */
    ts_pgtable_protect(v.host.pt, 3 * kPage, 4 * kPage, true, nullptr, nullptr);
    EXPECT_EQ(v.mmu.access(v.ctx(), 8, true).result, TS_MMU_OK);
}

TEST(Mmu, StageTwoInvalidationByIpaLeavesCombinedEntries)
{
    Nested v;
    v.guest.map(0, 3 * kPage);
    v.guest.map(kPage, 3 * kPage);
    v.host.map(3 * kPage, 9 * kPage);
    backTables(v.host, v.guest);
    v.mmu.access(v.ctx(), 0);
    v.host.unmap(3 * kPage);
    v.mmu.invalidate(ts_inval_tlbi_ipas2e1(1, 3 * kPage, true, 0));
    EXPECT_EQ(v.mmu.access(v.ctx(), 0).result, TS_MMU_OK); /* VMALLE1 is still to come */
    EXPECT_EQ(v.mmu.access(v.ctx(), kPage).result, TS_MMU_FAULT_STAGE2);
    v.mmu.invalidate(ts_inval_tlbi_vmalle1(1));
    EXPECT_EQ(v.mmu.access(v.ctx(), 0).result, TS_MMU_FAULT_STAGE2);
}

TEST(Mmu, VmsAreSeparate)
{
    Nested v;
    v.guest.map(0, 3 * kPage);
    v.host.map(3 * kPage, 9 * kPage);
    backTables(v.host, v.guest);
    v.mmu.access(v.ctx(1, 1), 0);
    v.mmu.access(v.ctx(1, 2), 0);
    v.mmu.invalidate(ts_inval_tlbi_vmalls12e1(1));
    EXPECT_FALSE(v.mmu.cached(v.ctx(1, 1), 0));
    EXPECT_TRUE(v.mmu.cached(v.ctx(1, 2), 0));
    EXPECT_EQ(v.mmu.stats().full_flushes, 1u);
    v.mmu.invalidate(ts_inval_tlbi_alle1());
    EXPECT_FALSE(v.mmu.cached(v.ctx(1, 2), 0));
}

/* A guest's 2M page on 4K host pages, and a bystander page of the same VM and of the host. */
struct Fractured : Nested {
    explicit Fractured(bool rule)
        : Nested([rule] {
              ts_mmu_params params = defaults();
              params.fracture_full_flush = rule;
              return params;
          }())
    {
        guest.map(0, 0, 1);
        guest.map(kGiB, kTwoMiB);
        guest.map(2 * kGiB, kTwoMiB + kPage);
        for (uint64_t p = 0; p < 514; p++)
            host.map(p * kPage, p * kPage);
        backTables(host, guest);
        native.map(0, 0);
        native.map(kPage, kPage);
    }
    void touch()
    {
        for (uint64_t p = 0; p < 4; p++)
            mmu.access(ctx(), p * kPage);
        mmu.access(ctx(), kGiB);
        mmu.access(hostCtx(), 0);
    }
    ts_mmu_context hostCtx() const
    {
        return {0, 1, 0, native.pt, nullptr, nullptr};
    }
    PageTable native;
};

TEST(Mmu, WithFracturedPagesASelectiveGuestFlushIsAFullOne)
{
    Fractured f(true);
    f.touch();
    f.mmu.invalidate(ts_inval_invlpg(0, 1, kPage)); /* the host's own flush stays selective */
    EXPECT_TRUE(f.mmu.cached(f.hostCtx(), 0));
    EXPECT_TRUE(f.mmu.cached(f.ctx(), kGiB));
    f.mmu.invalidate(ts_inval_invlpg(1, 1, 2 * kGiB)); /* an address nobody cached */
    EXPECT_FALSE(f.mmu.cached(f.ctx(), 0));
    EXPECT_FALSE(f.mmu.cached(f.ctx(), kGiB));
    EXPECT_TRUE(f.mmu.cached(f.hostCtx(), 0));
    EXPECT_EQ(f.mmu.stats().full_flushes, 1u);
    /* Nothing fractured is left, so the next one is selective. */
    f.mmu.access(f.ctx(), kGiB);
    f.mmu.invalidate(ts_inval_invlpg(1, 1, 2 * kGiB));
    EXPECT_TRUE(f.mmu.cached(f.ctx(), kGiB));
    EXPECT_EQ(f.mmu.stats().full_flushes, 1u);
}

/* A full flush elsewhere does not end it: the pieces are still there. */
TEST(Mmu, TheFractureRuleHoldsUntilThePiecesAreGone)
{
    Fractured f(true);
    f.touch();
    f.mmu.invalidate(ts_inval_tlbi_vmalle1(9));
    f.mmu.invalidate(ts_inval_invlpg(1, 1, 2 * kGiB));
    EXPECT_FALSE(f.mmu.cached(f.ctx(), kGiB));
    EXPECT_EQ(f.mmu.stats().full_flushes, 2u);
}

TEST(Mmu, WithoutTheRuleOneAddressTakesEveryPieceAndNothingElse)
{
    Fractured f(false);
    f.touch();
    f.mmu.invalidate(ts_inval_invlpg(1, 1, 300 * kPage));
    for (uint64_t p = 0; p < 4; p++)
        EXPECT_FALSE(f.mmu.cached(f.ctx(), p * kPage)) << p;
    EXPECT_TRUE(f.mmu.cached(f.ctx(), kGiB));
    EXPECT_EQ(f.mmu.stats().full_flushes, 0u);
}

TEST(Mmu, AnyInvalidationClearsTheL1WhereTheCoreDoesSo)
{
    for (bool rule : {false, true}) {
        ts_mmu_params params = defaults();
        params.l1_flush_on_any_inval = rule;
        Native n(params);
        n.table.map(0, 0);
        n.mmu.access(n.ctx(), 0);
        n.mmu.invalidate(ts_inval_tlbi_vae1(3, 9, kGiB, true, 1)); /* another VM */
        n.mmu.access(n.ctx(), 0);
        EXPECT_EQ(n.mmu.stats().l1_hits, rule ? 0u : 1u);
        EXPECT_EQ(n.mmu.stats().l2_hits, rule ? 1u : 0u);
    }
}

/* 1G pages where only smaller ones are held. */
TEST(Mmu, PagesOfASizeThatIsNotHeldAreCachedInPieces)
{
    ts_mmu_params params = defaults();
    params.l1d_1g_entries = params.l2_1g_entries = 0;
    params.l1d_2m_entries = 0;
    Native n(params);
    n.table.map(kGiB, 5 * kGiB, 2);
    uint64_t va = kGiB + 7 * kTwoMiB + 3 * kPage + 0x11;
    EXPECT_EQ(n.mmu.access(n.ctx(), va).pa, va + 4 * kGiB);
    std::map<int, int> sizes;
    ts_mmu_for_each(
        n.mmu.m,
        [](void *user, const ts_tlb_entry *e) {
            (*static_cast<std::map<int, int> *>(user))[e->tags.size_shift]++;
        },
        &sizes);
    EXPECT_EQ(sizes, (std::map<int, int>{{12, 1}, {21, 1}}));
    EXPECT_EQ(n.mmu.access(n.ctx(), va + kPage).pa, va + kPage + 4 * kGiB);
    EXPECT_EQ(n.mmu.stats().l2_hits, 1u);
    /* One invalidation anywhere in the 1G takes them all. */
    n.mmu.access(n.ctx(), va + 100 * kTwoMiB);
    n.mmu.invalidate(ts_inval_invlpg(0, 1, kGiB));
    EXPECT_FALSE(n.mmu.cached(n.ctx(), va));
    EXPECT_FALSE(n.mmu.cached(n.ctx(), va + 100 * kTwoMiB));
}

TEST(Mmu, WithoutAnyTlbEveryAccessWalks)
{
    ts_mmu_params params = defaults();
    params.l1d_4k_entries = params.l1d_2m_entries = params.l1d_1g_entries = 0;
    params.l2_entries = params.l2_1g_entries = 0;
    Native n(params);
    n.table.map(0, 0);
    for (int i = 0; i < 5; i++)
        EXPECT_FALSE(n.mmu.access(n.ctx(), 0).from_tlb);
    EXPECT_EQ(n.mmu.stats().walks, 5u);
}

} // namespace
