/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in which structure: size classes of every granule, contiguous runs, pieces, split and
 * unified levels, inclusion, walk and stage-2 entries in the second level; tags; break-before-make.
 */
#include "models/tlb/replacement_table.h"
#include "tests/mmu_fixture.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

using namespace mmu_fixture;

namespace
{

ts_mmu_context native(const PageTable &t, uint16_t asid = 1)
{
    return {0, asid, 0, t.pt, nullptr, nullptr};
}

std::vector<ts_tlb_entry> entries(const Mmu &mmu)
{
    std::vector<ts_tlb_entry> all;
    ts_mmu_for_each(
        mmu.m,
        [](void *user, const ts_tlb_entry *e) {
            static_cast<std::vector<ts_tlb_entry> *>(user)->push_back(*e);
        },
        &all);
    return all;
}

/* Each of the sizes that leaves and runs of the granules have. */
struct Size {
    ts_granule granule;
    uint32_t levels, level;
    bool run;
    uint64_t va() const
    {
        return UINT64_C(3) << 36;
    }
    uint64_t pa() const
    {
        return UINT64_C(5) << 38;
    }
    uint32_t leaf() const
    {
        return ts_granule_level_shift(granule, level);
    }
    uint32_t shift() const
    {
        return leaf() + (run ? ts_granule_contiguous_bits(granule, level) : 0);
    }
    void map(PageTable &t) const
    {
        if (run)
            t.mapRun(va(), pa(), level);
        else
            t.map(va(), pa(), level);
    }
};

std::vector<Size> sizes()
{
    std::vector<Size> all;
    for (uint32_t g = 0; g < TS_GRANULES; g++)
        for (uint32_t level = 0; level < ts_granule_leaf_levels(g); level++)
            for (bool run : {false, true})
                all.push_back(
                    {static_cast<ts_granule>(g), g == TS_GRANULE_64K ? 3u : 4u, level, run});
    return all;
}

/* Which of small, large, giant has a structure, and which size a page then has. */
uint32_t cachedShift(const Size &s, uint32_t classes)
{
    auto held = [&](uint32_t shift) {
        return classes >> (shift < 21 ? 0 : shift < 30 ? 1 : 2) & 1;
    };
    if (held(s.shift()))
        return s.shift();
    for (uint32_t level = s.level + 1; level-- > 0;) {
        uint32_t shift = ts_granule_level_shift(s.granule, level);
        if (shift < s.shift() && held(shift))
            return shift;
    }
    return 0;
}

TEST(MmuStructures, EverySizeGoesToItsClassOrInPieces)
{
    for (const Size &s : sizes())
        for (uint32_t classes = 0; classes < 8; classes++)
            for (bool any : {false, true}) {
                ts_mmu_params p = defaults();
                p.contiguous = 1;
                p.l2_entries = p.l2_1g_entries = 0;
                p.l1d_4k_entries = classes & 1 ? 64 : 0;
                p.l1d_2m_entries = classes & 2 ? 32 : 0;
                p.l1d_1g_entries = classes & 4 ? 4 : 0;
                p.l1d_any_entries = p.l1d_any_ways = any ? 16 : 0;
                p.l1d_any_ways = 16;
                Mmu mmu(p);
                PageTable t(s.levels, s.granule);
                s.map(t);
                uint64_t offset = (UINT64_C(1) << s.shift()) - 0x77;
                auto out = mmu.access(native(t), s.va() + offset);
                ASSERT_EQ(out.result, TS_MMU_OK);
                EXPECT_EQ(out.pa, s.pa() + offset);
                uint32_t expected = any ? s.shift() : cachedShift(s, classes);
                auto all = entries(mmu);
                ASSERT_EQ(all.size(), expected != 0);
                if (expected == 0)
                    continue;
                EXPECT_EQ(all[0].tags.size_shift, expected);
                EXPECT_EQ(all[0].tags.level, s.level);
                EXPECT_EQ(all[0].tags.granule, s.granule);
                /* One access serves all that the entry covers, and no more. */
                uint64_t base = (s.va() + offset) >> expected << expected;
                EXPECT_TRUE(mmu.access(native(t), base).from_tlb);
                EXPECT_EQ(mmu.access(native(t), base).pa, s.pa() + (base - s.va()));
                EXPECT_EQ(mmu.cached(native(t), base - 1), false);
            }
}

TEST(MmuStructures, RunsCountOnlyWhereTheHintIsKnownAndKept)
{
    for (bool known : {false, true}) {
        ts_mmu_params p = defaults();
        p.contiguous = known;
        Mmu mmu(p);
        PageTable t;
        t.mapRun(0, 16 * kPage);
        EXPECT_EQ(mmu.access(native(t), 5 * kPage).size_shift, known ? 16 : 12);
        EXPECT_EQ(mmu.access(native(t), 6 * kPage).from_tlb, known);
        /* One address takes the run, as one page is one entry. */
        mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 9 * kPage, true, 0));
        EXPECT_EQ(mmu.cached(native(t), 5 * kPage), !known);
        /* Targets that do not keep the promise are not joined. */
        t.map(16 * kPage, 3 * kPage, 0, true, false, true);
        auto out = mmu.access(native(t), 16 * kPage);
        EXPECT_EQ(out.size_shift, 12);
        EXPECT_EQ(out.pa, 3 * kPage);
    }
}

/* The smaller of the two stages' entries, runs included, over all pairs with the same granule. */
TEST(MmuStructures, TwoStagesMakeTheSmallerOfTheirEntries)
{
    for (const Size &guest : sizes())
        for (const Size &host : sizes()) {
            ts_mmu_params p = defaults();
            p.contiguous = 1;
            Mmu mmu(p);
            PageTable s1(guest.levels, guest.granule), s2(host.levels, host.granule);
            guest.map(s1);
            uint64_t ipa = guest.pa(), offset = 0x234;
            uint64_t n =
                host.run ? UINT64_C(1) << ts_granule_contiguous_bits(host.granule, host.level) : 1;
            for (uint64_t i = 0; i < n; i++)
                s2.map(ipa + i * s2.size(host.level), 2 * ipa + i * s2.size(host.level), host.level,
                       true, false, host.run);
            uint64_t step = s2.size();
            for (uint64_t at = kTableFrames / step * step; at < s1.next_frame; at += step)
                s2.map(at, at);
            ts_mmu_context ctx{1, 1, 0, s1.pt, s2.pt, nullptr};
            auto out = mmu.access(ctx, guest.va() + offset);
            ASSERT_EQ(out.result, TS_MMU_OK);
            EXPECT_EQ(out.pa, 2 * ipa + offset);
            EXPECT_EQ(out.size_shift, std::min(guest.shift(), host.shift()));
            ts_tlb_entry e;
            ASSERT_TRUE(mmu.cached(ctx, guest.va(), &e));
            EXPECT_EQ(e.fractured, host.shift() < guest.leaf());
        }
}

TEST(MmuStructures, FetchesHaveTheirOwnL1AndShareTheSecondLevel)
{
    for (bool split : {false, true}) {
        ts_mmu_params p = defaults();
        p.l2i_entries = split ? 64 : 0;
        p.l2i_ways = 8;
        Mmu mmu(p);
        PageTable t;
        t.map(0, 0);
        mmu.access(native(t), 0);
        auto out = mmu.fetch(native(t), 0);
        EXPECT_EQ(out.from_tlb, !split);
        EXPECT_EQ(mmu.stats().l2_hits, split ? 0u : 1u);
        EXPECT_EQ(mmu.stats().fetch_walks, split ? 1u : 0u);
        EXPECT_TRUE(mmu.fetch(native(t), 0).from_tlb);
        EXPECT_EQ(mmu.stats().l1_hits, 1u);
        EXPECT_EQ(mmu.stats().fetch_accesses, 2u);
        mmu.invalidate(ts_inval_invlpg(0, 1, 0));
        EXPECT_TRUE(entries(mmu).empty());
    }
}

/* Cortex-A76: partial walks and stage-2 blocks lie in the second level. */
TEST(MmuStructures, WalkAndStageTwoEntriesInTheSecondLevel)
{
    for (uint32_t host_level : {0u, 1u, 2u}) {
        ts_mmu_params p = defaults();
        p.walk_l1_entries = p.walk_l2_entries = p.walk_l3_entries = 0;
        p.nested_entries = 0;
        p.walk_in_l2 = p.nested_in_l2 = p.l2_giant = 1;
        p.l2_1g_entries = 0;
        Mmu mmu(p);
        PageTable guest, host;
        guest.map(0, 0);
        guest.map(kPage, kPage);
        host.map(0, 0, host_level);
        if (host_level == 0)
            host.map(kPage, kPage);
        backTables(host, guest);
        ts_mmu_context ctx{1, 1, 0, guest.pt, host.pt, nullptr};
        mmu.access(ctx, 0);
        EXPECT_EQ(mmu.stats().walk_fetches, 24u - host_level);
        /* Now one fetch, and a stage-2 walk for a 4K page; a block is known. */
        mmu.access(ctx, kPage);
        EXPECT_EQ(mmu.stats().walk_cache_hits, 1u);
        EXPECT_EQ(mmu.stats().walk_fetches, 24u - host_level + 1 + (host_level == 0 ? 4 : 0));
        EXPECT_EQ(mmu.stats().nested_hits, host_level == 0 ? 0u : 1u);
        /* They are no translations of this CPU's addresses. */
        EXPECT_EQ(entries(mmu).size(), 4u);
        /* An invalidation by IPA reaches them there. */
        mmu.invalidate(ts_inval_tlbi_ipas2e1(1, 0, true, 0));
        mmu.invalidate(ts_inval_tlbi_vae1(1, 1, kPage, true, 0));
        uint64_t before = mmu.stats().walk_fetches;
        mmu.access(ctx, kPage);
        EXPECT_EQ(mmu.stats().walk_fetches - before, 1u + 4 - host_level);
    }
}

/* The second level has the giant page of the host in pieces; the page is still a giant one. */
TEST(MmuStructures, PiecesOfAStageTwoPageMakeNoSmallerTranslations)
{
    ts_mmu_params p = defaults();
    p.nested_entries = 0;
    p.nested_in_l2 = 1;
    p.l2_giant = 0;
    Mmu mmu(p);
    PageTable guest, host;
    guest.map(0, 0);
    guest.map(kGiB, 0, 2);
    host.map(0, 0, 2);
    backTables(host, guest);
    ts_mmu_context ctx{1, 1, 0, guest.pt, host.pt, nullptr};
    mmu.access(ctx, 0);
    auto out = mmu.access(ctx, kGiB + 5);
    EXPECT_EQ(mmu.stats().nested_hits, 1u);
    EXPECT_EQ(out.pa, 5u);
    EXPECT_EQ(out.size_shift, 30);
}

TEST(MmuStructures, StageTwoIsTaggedByTheEptRootAlone)
{
    ts_mmu_params p = defaults();
    p.walk2_entries = p.walk2_ways = 16;
    p.stage2_ad = 0;
    Mmu mmu(p);
    PageTable guest, host, other;
    guest.map(0, 3 * kPage);
    for (PageTable *h : {&host, &other}) {
        h->map(3 * kPage, 9 * kPage + (h == &other) * kPage);
        backTables(*h, guest);
    }
    auto ctx = [&](uint16_t vpid, uint16_t ep4ta, PageTable &h) {
        return ts_mmu_context{vpid, 1, ep4ta, guest.pt, h.pt, nullptr};
    };
    EXPECT_EQ(mmu.access(ctx(1, 7, host), 0).pa, 9 * kPage);
    /* Another VPID with the same EPT finds every stage-2 leaf. */
    mmu.access(ctx(2, 7, host), 0);
    EXPECT_EQ(mmu.stats().nested_hits, 5u);
    /* Another EPT of the same VPID finds nothing. */
    EXPECT_EQ(mmu.access(ctx(1, 8, other), 0).pa, 10 * kPage);
    EXPECT_EQ(mmu.stats().nested_hits, 5u);
    EXPECT_EQ(mmu.stats().walk_cache_hits, 0u);
    EXPECT_EQ(mmu.access(ctx(1, 7, host), 0).pa, 9 * kPage);
    /* INVEPT of one root takes its combined mappings of every VPID; VPIDs keep guest-physical
     * ones. */
    mmu.invalidate(ts_inval_invept_single(7));
    EXPECT_FALSE(mmu.cached(ctx(1, 7, host), 0));
    EXPECT_FALSE(mmu.cached(ctx(2, 7, host), 0));
    EXPECT_TRUE(mmu.cached(ctx(1, 8, other), 0));
    mmu.invalidate(ts_inval_invvpid_single(1));
    mmu.access(ctx(1, 8, other), 0);
    EXPECT_EQ(mmu.stats().nested_hits, 10u);
}

/* Who knows that stage 2 is dirty: a read leaves it to the first write, in a new address too. */
TEST(MmuStructures, TheNestedTlbKnowsDirty)
{
    Mmu mmu;
    PageTable guest, host;
    guest.map(0, 0);
    guest.map(kPage, 0);
    host.map(0, 0);
    backTables(host, guest);
    ts_mmu_context ctx{1, 1, 0, guest.pt, host.pt, nullptr};
    mmu.access(ctx, 0);
    EXPECT_FALSE(host.pte(0).dirty);
    EXPECT_TRUE(host.pte(kTableFrames).dirty); /* tables are written by the walker */
    uint64_t walks = mmu.stats().nested_walks;
    mmu.access(ctx, kPage, true); /* the nested leaf is known, but not as dirty */
    EXPECT_EQ(mmu.stats().nested_walks, walks + 1);
    EXPECT_TRUE(host.pte(0).dirty);
    /* Now it is; the first address needs its own walk, which needs none of stage 2. */
    EXPECT_FALSE(mmu.access(ctx, 0, true).from_tlb);
    EXPECT_EQ(mmu.stats().nested_walks, walks + 1);
    EXPECT_TRUE(mmu.access(ctx, 0, true).from_tlb);
}

/* A read of a page that stage 1 knows as dirty and stage 2 does not. */
TEST(MmuStructures, AnEntryIsDirtyOnlyIfBothStagesAre)
{
    for (bool ad : {false, true}) {
        ts_mmu_params p = defaults();
        p.stage2_ad = ad;
        Mmu mmu(p);
        PageTable guest, host;
        guest.map(0, 0);
        ts_pgtable_mark(guest.pt, 0, true);
        host.map(0, 0);
        backTables(host, guest);
        ts_mmu_context ctx{1, 1, 0, guest.pt, host.pt, nullptr};
        mmu.access(ctx, 0);
        EXPECT_EQ(mmu.access(ctx, 0, true).from_tlb, !ad);
        EXPECT_EQ(host.pte(0).dirty, ad);
    }
}

/* Pages 0 .. n-1 in turn, with sums after each access. */
struct Inclusion {
    explicit Inclusion(uint64_t rule, bool shared_size = true)
        : mmu([&] {
              ts_mmu_params p = defaults();
              p.inclusion = rule;
              p.l1_replacement = p.replacement = TS_REPLACEMENT_TABLE_LRU;
              p.l1d_4k_entries = p.l1d_4k_ways = 8;
              p.l2_entries = p.l2_ways = 16;
              if (!shared_size)
                  p.l1d_2m_entries = p.l1d_1g_entries = p.l2_1g_entries = 0;
              return p;
          }())
    {
        for (uint64_t page = 0; page < 64; page++)
            table.map(page * kPage, page * kPage);
        table.map(kGiB, kGiB, 1);
        table.map(2 * kGiB, 2 * kGiB, 2);
    }
    /* How often each page is cached, by base and size. */
    std::map<std::pair<uint64_t, unsigned>, int> counts() const
    {
        std::map<std::pair<uint64_t, unsigned>, int> n;
        for (const ts_tlb_entry &e : entries(mmu))
            n[{e.tags.base, e.tags.size_shift}]++;
        return n;
    }
    PageTable table;
    Mmu mmu;
};

TEST(MmuStructures, AnExclusiveSecondLevelAddsItsEntriesToTheL1)
{
    for (uint64_t pages : {24, 25})
        for (bool write : {false, true}) {
            Inclusion x(TS_MMU_EXCLUSIVE);
            for (int round = 0; round < 4; round++)
                for (uint64_t page = 0; page < pages; page++) {
                    EXPECT_EQ(x.mmu.access(native(x.table), page * kPage, write).pa, page * kPage);
                    for (auto &[page_size, n] : x.counts())
                        ASSERT_EQ(n, 1) << page_size.first;
                }
            /* 8 and 16 entries hold 24 pages: one walk each. One more, and LRU loses all. */
            EXPECT_EQ(x.mmu.stats().walks, pages == 24 ? 24u : 4 * 25u);
            EXPECT_EQ(x.mmu.stats().l2_hits, pages == 24 ? 3 * 24u : 0u);
            EXPECT_EQ(x.counts().size(), 24u);
        }
}

TEST(MmuStructures, AFirstWriteLeavesNoOldCopyInAnExclusiveSecondLevel)
{
    Inclusion x(TS_MMU_EXCLUSIVE);
    for (uint64_t page = 0; page < 9; page++)
        x.mmu.access(native(x.table), page * kPage); /* page 0 has gone to the second level */
    EXPECT_FALSE(x.mmu.access(native(x.table), 0, true).from_tlb);
    EXPECT_EQ(x.counts().size(), 9u);
    for (auto &[page, n] : x.counts())
        EXPECT_EQ(n, 1) << page.first;
}

TEST(MmuStructures, AnInclusiveSecondLevelTakesItsL1EntriesAlong)
{
    for (bool inclusive : {false, true}) {
        Inclusion x(inclusive ? TS_MMU_INCLUSIVE : TS_MMU_NON_INCLUSIVE);
        /* Page 0 stays in the L1 by use, and grows old in the second level. */
        for (uint64_t page = 0; page < 17; page++) {
            x.mmu.access(native(x.table), page * kPage);
            if (page < 16) {
                x.mmu.access(native(x.table), 0);
            }
        }
        EXPECT_EQ(x.mmu.access(native(x.table), 0).from_tlb, !inclusive);
        auto counts = x.counts();
        EXPECT_EQ(counts.size(), inclusive ? 16u : 17u);
        uint64_t both = 0;
        for (auto &[page, n] : counts)
            both += n == 2;
        EXPECT_EQ(both, inclusive ? 8u : 7u);
    }
}

/* Large pages that the L1 holds in 4K pieces only, and giant ones in the second level's 2M. */
TEST(MmuStructures, InclusionHoldsForPieces)
{
    for (uint64_t rule : {TS_MMU_INCLUSIVE, TS_MMU_EXCLUSIVE}) {
        Inclusion x(rule, false);
        uint64_t seed = 1;
        for (int i = 0; i < 3000; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            uint64_t r = seed >> 33, kind = r % 3;
            uint64_t va = kind == 0 ? r / 3 % 64 * kPage
                                    : kind * kGiB + r / 3 % (kind == 1 ? 512 : 4096) * kPage;
            ASSERT_EQ(x.mmu.access(native(x.table), va).pa, va);
            if (rule != TS_MMU_INCLUSIVE || i < 500)
                continue;
            /* The second level is full by now, and comes last. */
            auto all = entries(x.mmu);
            ASSERT_GE(all.size(), 16u);
            size_t l1 = all.size() - 16;
            for (size_t k = 0; k < l1; k++) {
                auto covers = [&](const ts_tlb_entry &e) {
                    return e.tags.base == all[k].tags.base >> e.tags.size_shift
                                                                  << e.tags.size_shift;
                };
                ASSERT_EQ(all[k].tags.size_shift, 12);
                ASSERT_TRUE(std::any_of(all.begin() + static_cast<long>(l1), all.end(), covers))
                    << "step " << i;
            }
        }
    }
}

/* Instructions have pieces of a large page that the second level has as a whole: their victims are
 * no second copy there. */
TEST(MmuStructures, AVictimOfAPieceStaysOutWhereTheWholeIs)
{
    ts_mmu_params p = defaults();
    p.inclusion = TS_MMU_EXCLUSIVE;
    p.conflict_abort = 1;
    p.l1d_2m_entries = p.l1d_2m_ways = 1;
    p.l1i_2m_entries = 0;
    p.l1i_4k_entries = p.l1i_4k_ways = 4;
    Mmu mmu(p);
    PageTable t;
    t.map(0, 0, 1);
    t.map(kTwoMiB, kTwoMiB, 1);
    mmu.access(native(t), 0);
    mmu.access(native(t), kTwoMiB); /* the first goes to the second level */
    for (int round = 0; round < 2; round++)
        for (uint64_t page = 0; page < 8; page++)
            EXPECT_EQ(mmu.fetch(native(t), page * kPage).pa, page * kPage);
    EXPECT_EQ(mmu.stats().conflicts, 0u);
    EXPECT_EQ(mmu.stats().walks, 2u);
    EXPECT_EQ(entries(mmu).size(), 4u + 2);
}

/* An ASID used again for tables of another granule: what the walk cache has of the old ones leads
 * nowhere. */
TEST(MmuStructures, WalkCachesOfAnotherGranuleAreNotUsed)
{
    Mmu mmu;
    PageTable small, large(3, TS_GRANULE_64K);
    small.map(0, 0);
    large.map(large.size(), large.size());
    mmu.access(native(small), 0);
    EXPECT_EQ(mmu.access(native(large), large.size()).pa, large.size());
    EXPECT_EQ(mmu.stats().walk_cache_hits, 0u);
}

/* Arm ARM, "Using break-before-make": a block becomes a table and back. */
struct Break {
    explicit Break(bool abort)
        : mmu([&] {
              ts_mmu_params p = defaults();
              p.conflict_abort = abort;
              return p;
          }())
    {
        table.map(0, 0, 1);
    }
    PageTable table;
    Mmu mmu;
};

TEST(MmuStructures, InTheWindowOfBreakBeforeMakeAWalkFaults)
{
    Break b(true);
    b.mmu.access(native(b.table), 0);
    ts_pt_broken broken;
    ASSERT_TRUE(ts_pgtable_break(b.table.pt, 0, 1, &broken));
    EXPECT_TRUE(b.mmu.access(native(b.table), kPage).from_tlb); /* stale until the TLBI */
    b.mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 0, true, 0));
    EXPECT_EQ(b.mmu.access(native(b.table), kPage).result, TS_MMU_FAULT_STAGE1);
    EXPECT_EQ(ts_pgtable_make_table(b.table.pt, &broken), 1u);
    auto out = b.mmu.access(native(b.table), kPage);
    EXPECT_EQ(out.pa, kPage);
    EXPECT_EQ(out.size_shift, 12);
    EXPECT_EQ(b.mmu.stats().conflicts, 0u);
}

TEST(MmuStructures, MakingWithoutInvalidationLeavesAStaleHitThenAConflict)
{
    for (bool abort : {false, true})
        for (bool invalidate : {false, true}) {
            Break b(abort);
            ts_pt_broken broken;
            ASSERT_TRUE(ts_pgtable_break(b.table.pt, 0, 1, &broken));
            ts_pgtable_make_table(b.table.pt, &broken);
            b.mmu.access(native(b.table), 0);
            b.mmu.access(native(b.table), kPage);
            /* Back to a block, elsewhere. */
            ASSERT_TRUE(ts_pgtable_break(b.table.pt, 0, 1, &broken));
            if (invalidate)
                b.mmu.invalidate(ts_inval_tlbi_rvae1(0, 1, 0, kTwoMiB, false));
            ts_pte block{};
            block.level = 1;
            block.size_shift = 21;
            block.target = kGiB;
            block.writable = true;
            ts_pgtable_make_leaf(b.table.pt, &broken, &block);
            auto out = b.mmu.access(native(b.table), 0);
            EXPECT_EQ(out.pa, invalidate ? kGiB : 0); /* stale */
            /* The walk for another page of it faults on the table that is gone, where the walk
             * cache still has it, and then finds the block. */
            out = b.mmu.access(native(b.table), 9 * kPage);
            if (out.result != TS_MMU_OK)
                out = b.mmu.access(native(b.table), 9 * kPage);
            EXPECT_EQ(out.pa, kGiB + 9 * kPage);
            bool conflict = abort && !invalidate;
            out = b.mmu.access(native(b.table), kPage + 5);
            EXPECT_EQ(out.result, conflict ? TS_MMU_CONFLICT : TS_MMU_OK);
            EXPECT_EQ(b.mmu.stats().conflicts, conflict);
            if (conflict) {
                EXPECT_EQ(out.fault_address, kPage + 5);
                out = b.mmu.access(native(b.table), kPage + 5);
                EXPECT_EQ(out.result, TS_MMU_OK);
                EXPECT_FALSE(out.from_tlb);
            }
            if (abort || invalidate) {
                EXPECT_EQ(out.pa, kGiB + kPage + 5);
            } else {
                EXPECT_EQ(out.pa, kPage + 5); /* the smaller page wins here */
            }
        }
}

TEST(MmuStructures, AConflictOfTheSecondLevelIsFoundThere)
{
    ts_mmu_params p = defaults();
    p.conflict_abort = 1;
    p.l1d_4k_entries = p.l1d_2m_entries = p.l1d_1g_entries = 0;
    Mmu mmu(p);
    PageTable small, large;
    small.map(0, 0);
    small.map(kPage, kPage);
    large.map(0, kGiB, 1);
    mmu.access(native(small), 0);
    mmu.access(native(small), kPage);
    mmu.invalidate(ts_inval_tlbi_vae1(0, 1, 0, false, 0)); /* page 0 and the tables, not page 1 */
    mmu.access(native(large), 0);
    EXPECT_EQ(mmu.access(native(large), kPage).result, TS_MMU_CONFLICT);
    EXPECT_EQ(mmu.stats().l2_hits, 1u);
    EXPECT_EQ(mmu.access(native(large), kPage).pa, kGiB + kPage);
}

} // namespace
