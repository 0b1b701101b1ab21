/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pgtable_fixture.hpp"

#include <vector>

namespace
{

using namespace pgtable_fixture;

TEST(PgTable, RefusesOtherLevels)
{
    const uint32_t least[TS_GRANULES] = {4, 3, 2};
    for (uint32_t granule = 0; granule < TS_GRANULES; granule++)
        for (uint32_t levels = 0; levels < 8; levels++) {
            if (levels == least[granule] || levels == least[granule] + 1)
                continue;
            ts_pgtable *pt = nullptr;
            ts_pt_frames frames{};
            ts_error err{};
            EXPECT_EQ(
                ts_pgtable_create(&pt, static_cast<ts_granule>(granule), levels, &frames, &err),
                TS_ERR_USER);
        }
}

TEST(PgTable, TheFirstPageOfALevelNeedsItsTables)
{
    for (uint32_t levels : {4u, 5u}) {
        Table t(levels);
        EXPECT_EQ(ts_pgtable_tables(t.pt), 1u);
        EXPECT_EQ(t.map(0), levels - 1);
        EXPECT_EQ(t.map(kPage), 0u);
        EXPECT_EQ(t.map(kTwoMiB), 1u);
        EXPECT_EQ(t.map(kGiB), 2u);
        EXPECT_EQ(t.map(2 * kGiB, 2), 0u); /* a 1G leaf lies in a table that is there */
        EXPECT_EQ(t.map(512 * kGiB, 1), 2u);
        EXPECT_EQ(ts_pgtable_leaves(t.pt), 6u);
        EXPECT_EQ(ts_pgtable_tables(t.pt), 1u + (levels - 1) + 1 + 2 + 2);
        EXPECT_EQ(t.frames.live.size(), ts_pgtable_tables(t.pt));
    }
}

TEST(PgTable, LookUpGivesWhatWasMapped)
{
    Table t;
    for (uint32_t level = 0; level < 3; level++)
        for (int bits = 0; bits < 16; bits++) {
            ts_pte pte{}, got{};
            pte.level = static_cast<uint8_t>(level);
            pte.size_shift = static_cast<uint8_t>(TS_PT_SHIFT(level));
            uint64_t va = (100 * level + 2 * static_cast<uint64_t>(bits) + 2) * kGiB;
            pte.target = va + 1024 * kGiB;
            pte.writable = bits & 1;
            pte.global = bits & 2;
            pte.accessed = bits & 4;
            pte.dirty = bits & 8;
            ts_pgtable_map(t.pt, va, &pte);
            uint64_t last = va + (UINT64_C(1) << pte.size_shift) - 1;
            for (uint64_t at : {va, last}) {
                ASSERT_TRUE(ts_pgtable_lookup(t.pt, at, &got));
                EXPECT_EQ(got.target, pte.target);
                EXPECT_EQ(got.size_shift, pte.size_shift);
                EXPECT_EQ(got.level, pte.level);
                EXPECT_EQ(got.writable, pte.writable);
                EXPECT_EQ(got.global, pte.global);
                EXPECT_EQ(got.accessed, pte.accessed);
                EXPECT_EQ(got.dirty, pte.dirty);
            }
            EXPECT_FALSE(t.has(va - 1));
            EXPECT_FALSE(t.has(last + 1));
        }
}

TEST(PgTable, MarkSaysWhetherABitChanged)
{
    Table t;
    t.map(kPage);
    ts_pte pte;
    EXPECT_FALSE(ts_pgtable_mark(t.pt, 0, true));
    EXPECT_TRUE(ts_pgtable_mark(t.pt, kPage + 5, false));
    EXPECT_FALSE(ts_pgtable_mark(t.pt, kPage, false));
    ASSERT_TRUE(ts_pgtable_lookup(t.pt, kPage, &pte));
    EXPECT_TRUE(pte.accessed && !pte.dirty);
    EXPECT_TRUE(ts_pgtable_mark(t.pt, kPage, true));
    EXPECT_FALSE(ts_pgtable_mark(t.pt, kPage, true));
    ASSERT_TRUE(ts_pgtable_lookup(t.pt, kPage, &pte));
    EXPECT_TRUE(pte.accessed && pte.dirty);
}

TEST(PgTable, ClearIsAscendingAndShowsLeavesAsTheyWere)
{
    for (uint64_t base : {UINT64_C(0), kKernel}) {
        Table t;
        std::vector<uint64_t> mapped = {base, base + 7 * kPage, base + kGiB, base + 3 * kGiB};
        t.map(mapped[0]);
        t.map(mapped[1], 0, false);
        t.map(mapped[2], 1);
        t.map(mapped[3], 2);
        struct Seen {
            std::vector<uint64_t> va;
            std::vector<ts_pte> pte;
        } seen;
        uint64_t resume = 0;
        EXPECT_EQ(ts_pgtable_clear(
                      t.pt, base, base + 100 * kGiB, UINT64_MAX,
                      [](void *user, uint64_t va, const ts_pte *pte) {
                          static_cast<Seen *>(user)->va.push_back(va);
                          static_cast<Seen *>(user)->pte.push_back(*pte);
                      },
                      &seen, &resume),
                  4u);
        EXPECT_EQ(resume, base + 100 * kGiB);
        EXPECT_EQ(seen.va, mapped);
        EXPECT_TRUE(seen.pte[0].writable && !seen.pte[1].writable);
        EXPECT_EQ(seen.pte[2].size_shift, 21);
        EXPECT_EQ(seen.pte[3].size_shift, 30);
        EXPECT_EQ(ts_pgtable_leaves(t.pt), 0u);
    }
}

TEST(PgTable, ClearTakesItsEndsExactly)
{
    Table t;
    for (uint64_t p = 0; p < 20; p++)
        t.map(kTwoMiB - 10 * kPage + p * kPage);
    EXPECT_EQ(t.clear(kTwoMiB - 5 * kPage, kTwoMiB + 5 * kPage), 10u);
    for (uint64_t p = 0; p < 20; p++)
        EXPECT_EQ(t.has(kTwoMiB - 10 * kPage + p * kPage), p < 5 || p >= 15) << p;
    EXPECT_EQ(t.clear(0, 0), 0u);
    EXPECT_EQ(t.clear(kTwoMiB, kTwoMiB), 0u);
}

/* The kernel's mmu_gather stops when its batch is full and goes on later. */
TEST(PgTable, ClearStopsAfterMaxAndResumesAtTheNextLeaf)
{
    Table t;
    std::vector<uint64_t> mapped;
    for (uint64_t p = 0; p < 10; p++)
        mapped.push_back(p * 300 * kMiB);
    for (uint64_t va : mapped)
        t.map(va);
    uint64_t at = 0, end = 100 * kGiB, resume = 0;
    for (size_t done = 0; done < mapped.size(); done += 3) {
        uint64_t expect = std::min<uint64_t>(3, mapped.size() - done);
        EXPECT_EQ(ts_pgtable_clear(t.pt, at, end, 3, nullptr, nullptr, &resume), expect);
        EXPECT_EQ(resume, done + 3 < mapped.size() ? mapped[done + 3] : end);
        at = resume;
    }
    EXPECT_EQ(ts_pgtable_leaves(t.pt), 0u);
    t.map(0);
    EXPECT_EQ(ts_pgtable_clear(t.pt, 0, end, 0, nullptr, nullptr, &resume), 0u);
    EXPECT_EQ(resume, 0u);
    EXPECT_EQ(ts_pgtable_clear(t.pt, 0, end, 1, nullptr, nullptr, &resume), 1u);
    EXPECT_EQ(resume, end); /* exactly max, and nothing is left */
}

TEST(PgTable, ClearLeavesTablesUntilTheyAreFreed)
{
    Table t;
    t.map(0);
    t.clear(0, kGiB);
    EXPECT_EQ(ts_pgtable_tables(t.pt), 4u);
    EXPECT_FALSE(ts_pgtable_can_map(t.pt, 0, 1)); /* as pmd_none: an empty table is there */
    EXPECT_TRUE(ts_pgtable_can_map(t.pt, 0, 0));
    EXPECT_EQ(t.freeTables(0, kGiB, 0, 0), (Freed{1, 1, 1, 0, 0}));
    EXPECT_EQ(ts_pgtable_tables(t.pt), 1u);
    EXPECT_TRUE(ts_pgtable_can_map(t.pt, 0, 1));
}

TEST(PgTable, ClearTheWholeTable)
{
    for (uint32_t levels : {4u, 5u}) {
        Table t(levels);
        uint64_t span = UINT64_C(1) << TS_PT_SHIFT(levels);
        t.map(0);
        t.map(span - kPage);
        EXPECT_EQ(t.clear(0, span), 2u);
    }
    Table kernel;
    uint64_t last = UINT64_MAX - kPage + 1;
    kernel.map(last);
    uint64_t resume = 1;
    /* The end of the address space is 0. */
    EXPECT_EQ(ts_pgtable_clear(kernel.pt, kKernel, 0, UINT64_MAX, nullptr, nullptr, &resume), 1u);
    EXPECT_EQ(resume, 0u);
}

TEST(PgTable, ProtectChangesAndReportsOnlyWhatDiffers)
{
    Table t;
    for (uint64_t p = 0; p < 8; p++)
        t.map(p * kPage, 0, p % 2 == 0);
    t.map(kTwoMiB, 1);
    std::vector<uint64_t> changed;
    auto note = [](void *user, uint64_t va, const ts_pte *pte) {
        EXPECT_FALSE(pte->writable);
        static_cast<std::vector<uint64_t> *>(user)->push_back(va);
    };
    EXPECT_EQ(ts_pgtable_protect(t.pt, 2 * kPage, 2 * kTwoMiB, false, note, &changed), 4u);
    EXPECT_EQ(changed, (std::vector<uint64_t>{2 * kPage, 4 * kPage, 6 * kPage, kTwoMiB}));
    ts_pte pte;
    ASSERT_TRUE(ts_pgtable_lookup(t.pt, 0, &pte));
    EXPECT_TRUE(pte.writable);
    EXPECT_EQ(ts_pgtable_protect(t.pt, 2 * kPage, 2 * kTwoMiB, false, note, &changed), 0u);
    EXPECT_EQ(ts_pgtable_protect(t.pt, 0, kTwoMiB, true, nullptr, nullptr), 7u);
}

TEST(PgTable, SplitKeepsTranslationAndFlags)
{
    Table t;
    t.map(kGiB, 2, false);
    ts_pgtable_mark(t.pt, kGiB, true);
    ts_pte whole, part;
    ASSERT_TRUE(ts_pgtable_lookup(t.pt, kGiB, &whole));
    uint64_t va = kGiB + 5 * kTwoMiB + 3 * kPage;
    EXPECT_EQ(ts_pgtable_split(t.pt, va), 1u); /* 1G into 2M */
    EXPECT_EQ(ts_pgtable_split(t.pt, va), 1u); /* 2M into 4K */
    EXPECT_EQ(ts_pgtable_split(t.pt, va), 0u);
    EXPECT_EQ(ts_pgtable_split(t.pt, 0), 0u);
    EXPECT_EQ(ts_pgtable_leaves(t.pt), 511u + 512u);
    for (uint64_t at : {kGiB, va, va + kTwoMiB, 2 * kGiB - 1}) {
        ASSERT_TRUE(ts_pgtable_lookup(t.pt, at, &part));
        uint64_t offset = at & ((UINT64_C(1) << part.size_shift) - 1);
        EXPECT_EQ(part.target + offset, whole.target + (at - kGiB));
        EXPECT_TRUE(part.dirty && part.accessed && !part.writable);
    }
    EXPECT_EQ(t.clear(va - va % kPage, va - va % kPage + kPage), 1u);
    EXPECT_EQ(t.clear(kGiB, 2 * kGiB), 511u + 511u);
}

TEST(PgTable, FloorAndCeilingKeepSharedTables)
{
    Table t;
    auto remap = [&t] {
        t.map(4 * kTwoMiB);
        t.clear(4 * kTwoMiB, 4 * kTwoMiB + kPage);
    };
    uint64_t s = 4 * kTwoMiB, e = s + kPage;
    remap();
    /* A neighbour in the same 2M on either side: nothing goes. */
    EXPECT_EQ(t.freeTables(s, e, s, s + 2 * kPage), Freed(5, 0));
    EXPECT_EQ(t.freeTables(s, e, s - kPage, s + kTwoMiB - kPage), Freed(5, 0));
    EXPECT_EQ(t.freeTables(s, e, s + kPage, s + kTwoMiB), Freed(5, 0));
    /* Neighbours at the edges of the 2M: the PTE table alone. */
    EXPECT_EQ(t.freeTables(s, e, s, s + kTwoMiB), (Freed{1, 0, 0, 0, 0}));
    /* The gap reaches over the 1G: the PMD table as well, even when its PTE table went before. */
    EXPECT_EQ(t.freeTables(s, e, 0, kGiB), (Freed{0, 1, 0, 0, 0}));
    remap();
    EXPECT_EQ(t.freeTables(s, e, 0, 512 * kGiB - 1), (Freed{1, 1, 0, 0, 0}));
    remap();
    EXPECT_EQ(t.freeTables(s, e, 0, 512 * kGiB), (Freed{1, 1, 1, 0, 0}));
    remap();
    EXPECT_EQ(t.freeTables(s, e, 0, 0), (Freed{1, 1, 1, 0, 0})); /* no ceiling */
}

TEST(PgTable, TablesWithALeafStayWhateverTheBounds)
{
    Table t;
    t.map(0);
    t.map(kTwoMiB);
    t.map(kTwoMiB + kPage);
    t.clear(0, kTwoMiB + kPage);
    EXPECT_EQ(t.freeTables(0, kGiB, 0, 0), (Freed{1, 0, 0, 0, 0}));
    EXPECT_TRUE(t.has(kTwoMiB + kPage));
}

TEST(PgTable, OnlyTablesThatTheRangeTouchesAreLookedAt)
{
    Table t;
    t.map(0);
    t.map(kTwoMiB);
    t.clear(0, 2 * kTwoMiB);
    EXPECT_EQ(t.freeTables(kTwoMiB, kTwoMiB + kPage, 0, 0), (Freed{1, 0, 0, 0, 0}));
    EXPECT_EQ(t.freeTables(kTwoMiB - 1, kTwoMiB, 0, 0), (Freed{1, 1, 1, 0, 0}));
}

/* munmap of 64 MB in the middle of nothing: 32 tables of 4K entries and those above. */
TEST(PgTable, AWholeMappingFreesItsTablesDeepestFirst)
{
    Table t;
    uint64_t s = 10 * kGiB, pages = 16384;
    for (uint64_t p = 0; p < pages; p++)
        t.map(s + p * kPage);
    EXPECT_EQ(t.clear(s, s + pages * kPage), pages);
    EXPECT_EQ(t.freeTables(s, s + pages * kPage, 0, 0), (Freed{32, 1, 1, 0, 0}));
    ASSERT_EQ(t.frames.singly.size(), 34u);
    /* alloc order: root, PUD, PMD, then the PTE tables. */
    uint64_t root = ts_pgtable_root(t.pt);
    EXPECT_EQ(t.frames.singly[32], root + 2 * kPage);
    EXPECT_EQ(t.frames.singly[33], root + kPage);
}

TEST(PgTable, WalkFetchesFromEachTableTopFirst)
{
    for (uint32_t levels : {4u, 5u}) {
        Table t(levels);
        uint64_t va = 3 * 512 * kGiB + 5 * kGiB + 7 * kTwoMiB + 9 * kPage;
        t.map(va);
        uint64_t fetch[TS_PT_LEVELS_MAX], root = ts_pgtable_root(t.pt);
        uint8_t seen[TS_PT_LEVELS_MAX];
        bool found = false;
        ts_pte pte;
        ASSERT_EQ(ts_pgtable_walk(t.pt, va, levels - 1, root, fetch, seen, &found, &pte), levels);
        EXPECT_TRUE(found);
        const uint64_t index[5] = {9, 7, 5, 3, 0};
        for (uint32_t i = 0; i < levels; i++) {
            EXPECT_EQ(seen[i], levels - 1 - i);
            /* Frames come in the order of allocation, from the root down. */
            EXPECT_EQ(fetch[i], root + i * kPage + 8 * index[seen[i]]);
        }
        /* From the middle, as a walk cache gives it. */
        uint64_t below[TS_PT_LEVELS_MAX];
        uint64_t table = fetch[levels - 2] / kPage * kPage;
        ASSERT_EQ(ts_pgtable_walk(t.pt, va, 1, table, below, seen, &found, &pte), 2u);
        EXPECT_EQ(below[0], fetch[levels - 2]);
        EXPECT_EQ(below[1], fetch[levels - 1]);
    }
}

TEST(PgTable, WalkEndsAtTheFirstMissingEntry)
{
    Table t;
    t.map(0);
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t seen[TS_PT_LEVELS_MAX];
    bool found = true;
    ts_pte pte;
    uint64_t root = ts_pgtable_root(t.pt);
    EXPECT_EQ(ts_pgtable_walk(t.pt, kPage, 3, root, fetch, seen, &found, &pte), 4u);
    EXPECT_FALSE(found);
    EXPECT_EQ(ts_pgtable_walk(t.pt, kTwoMiB, 3, root, fetch, seen, &found, &pte), 3u);
    EXPECT_EQ(ts_pgtable_walk(t.pt, kGiB, 3, root, fetch, seen, &found, &pte), 2u);
    EXPECT_EQ(ts_pgtable_walk(t.pt, 512 * kGiB, 3, root, fetch, seen, &found, &pte), 1u);
    EXPECT_FALSE(found);
}

/* What a walk cache that missed its invalidation does. */
TEST(PgTable, AStaleStartIsFollowedIfItIsATableAndNotPresentIfItIsNot)
{
    Table t;
    t.map(0);
    t.map(kTwoMiB + kPage);
    uint64_t fetch[TS_PT_LEVELS_MAX], root = ts_pgtable_root(t.pt);
    uint64_t pte_table = root + 3 * kPage, other = root + 4 * kPage;
    uint8_t seen[TS_PT_LEVELS_MAX];
    bool found = false;
    ts_pte pte, right;
    /* Page 1 of the other 2M, through which page 1 of the first is not mapped. */
    ASSERT_EQ(ts_pgtable_walk(t.pt, kPage, 0, other, fetch, seen, &found, &pte), 1u);
    EXPECT_TRUE(found);
    ASSERT_TRUE(ts_pgtable_lookup(t.pt, kTwoMiB + kPage, &right));
    EXPECT_EQ(pte.target, right.target);
    t.clear(0, kPage);
    t.freeTables(0, kPage, 0, kTwoMiB);
    ASSERT_EQ(ts_pgtable_walk(t.pt, 0, 0, pte_table, fetch, seen, &found, &pte), 1u);
    EXPECT_FALSE(found);
    EXPECT_EQ(fetch[0], pte_table);
}

TEST(PgTable, KnowsWhichTablesAWalkPasses)
{
    Table t;
    t.map(0);
    t.map(kTwoMiB + kPage);
    const uint64_t root = ts_pgtable_root(t.pt);
    for (uint64_t va : {UINT64_C(0), 5 * kPage})
        for (uint32_t level = 0; level < 4; level++)
            for (uint64_t table = root; table < root + 6 * kPage; table += kPage)
                EXPECT_EQ(ts_pgtable_has_table(t.pt, va, level, table),
                          table == root + (3 - level) * kPage)
                    << level;
    EXPECT_TRUE(ts_pgtable_has_table(t.pt, kTwoMiB, 0, root + 4 * kPage));
    EXPECT_FALSE(ts_pgtable_has_table(t.pt, 2 * kTwoMiB, 0, root + 4 * kPage)); /* no table */
    EXPECT_TRUE(ts_pgtable_has_table(t.pt, 2 * kTwoMiB, 1, root + 2 * kPage));
    t.clear(0, kPage);
    t.freeTables(0, kPage, 0, kTwoMiB);
    EXPECT_FALSE(ts_pgtable_has_table(t.pt, 0, 0, root + 3 * kPage));
}

TEST(PgTableDeathTest, MisuseIsCaught)
{
    Table t;
    t.map(0);
    EXPECT_DEATH(t.map(0), "entry");
    EXPECT_DEATH(t.map(0, 1), "entry");
    EXPECT_DEATH(t.map(kPage + 1), "va");
    t.map(kTwoMiB, 1);
    EXPECT_DEATH(t.clear(kTwoMiB, kTwoMiB + kPage), "start");
    ts_pt_broken broken{};
    ASSERT_TRUE(ts_pgtable_break(t.pt, 0, 0, &broken));
    EXPECT_DEATH(ts_pgtable_make_table(t.pt, &broken), "level");
    ts_pgtable_make_again(t.pt, &broken);
    EXPECT_DEATH(ts_pgtable_make_again(t.pt, &broken), "broken");
}

} // namespace
