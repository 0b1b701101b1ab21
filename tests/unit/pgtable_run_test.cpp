/* SPDX-License-Identifier: Apache-2.0 */
/* Runs, memory and break-before-make of page tables. */
#include "tests/pgtable_fixture.hpp"

#include <algorithm>
#include <vector>

namespace
{

using namespace pgtable_fixture;

/* A run is the same as its pages one by one. */
void expectSameStructure(const Table &a, const Table &b, uint64_t first, uint64_t bytes)
{
    EXPECT_EQ(ts_pgtable_leaves(a.pt), ts_pgtable_leaves(b.pt));
    EXPECT_EQ(ts_pgtable_tables(a.pt), ts_pgtable_tables(b.pt));
    uint32_t top = ts_pgtable_levels(a.pt) - 1;
    for (uint64_t at : {first - 1, first, first + bytes / 3, first + bytes / 2, first + bytes - 1,
                        first + bytes}) {
        uint64_t fetch[2][TS_PT_LEVELS_MAX];
        uint8_t seen[2][TS_PT_LEVELS_MAX];
        bool found[2];
        ts_pte pte[2] = {};
        uint32_t n[2], which = 0;
        for (const Table *t : {&a, &b}) {
            n[which] = ts_pgtable_walk(t->pt, at, top, ts_pgtable_root(t->pt), fetch[which],
                                       seen[which], &found[which], &pte[which]);
            which++;
        }
        ASSERT_EQ(n[0], n[1]);
        ASSERT_EQ(found[0], found[1]);
        EXPECT_EQ(pte[0].target, pte[1].target);
        EXPECT_EQ(pte[0].level, pte[1].level);
        EXPECT_EQ(pte[0].contiguous, pte[1].contiguous);
        for (uint32_t i = 0; i < n[0]; i++) {
            EXPECT_EQ(seen[0][i], seen[1][i]);
            EXPECT_EQ(fetch[0][i] % a.frames.size, fetch[1][i] % b.frames.size);
        }
    }
}

ts_pte leafFor(ts_granule granule, uint32_t level, uint64_t target)
{
    ts_pte pte{};
    pte.level = static_cast<uint8_t>(level);
    pte.size_shift = static_cast<uint8_t>(ts_granule_level_shift(granule, level));
    pte.target = target;
    pte.writable = true;
    pte.contiguous = true;
    return pte;
}

TEST(PgTableRun, IsTheSameAsItsPagesOneByOne)
{
    for (uint32_t g = 0; g < TS_GRANULES; g++) {
        auto granule = static_cast<ts_granule>(g);
        for (uint32_t level : {0u, 1u}) {
            Table run(5 - g, granule, kRunsBackWhole), single(5 - g, granule);
            uint64_t leaf = UINT64_C(1) << ts_granule_level_shift(granule, level);
            uint64_t table = UINT64_C(1) << ts_granule_level_shift(granule, level + 1);
            /* Three tables and a part of one on either side. */
            uint64_t first = 5 * table - 7 * leaf, pages = 3 * table / leaf + 7 + 11;
            ts_pte pte = leafFor(granule, level, 9 * table);
            uint64_t made = ts_pgtable_map_run(run.pt, first, pages, &pte), expected = 0;
            for (uint64_t i = 0; i < pages; i++, pte.target += leaf)
                expected += ts_pgtable_map(single.pt, first + i * leaf, &pte);
            EXPECT_EQ(made, expected);
            EXPECT_LT(ts_pgtable_bytes(run.pt) * 4, ts_pgtable_bytes(single.pt));
            expectSameStructure(run, single, first, pages * leaf);
            /* And when a part of it changes. */
            for (Table *t : {&run, &single}) {
                EXPECT_TRUE(ts_pgtable_mark(t->pt, first + pages / 2 * leaf, true));
                EXPECT_EQ(t->clear(first + 20 * leaf, first + 30 * leaf), 10u);
                EXPECT_EQ(
                    ts_pgtable_protect(t->pt, first, first + 50 * leaf, false, nullptr, nullptr),
                    40u);
            }
            expectSameStructure(run, single, first, pages * leaf);
        }
    }
}

/* The tables above the leaves of one entry of a table of the level. */
uint64_t runTables(uint32_t level)
{
    uint64_t n = 0;
    for (uint32_t l = 0; l < level; l++)
        n = n * 512 + 1;
    return n;
}

TEST(PgTableRun, ASplitMovesNoTable)
{
    Table t(4, TS_GRANULE_4K, kRunsBackWhole);
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0), got{};
    EXPECT_EQ(ts_pgtable_map_run(t.pt, 512 * kGiB, 512 * kGiB / kPage, &pte), runTables(3));
    EXPECT_EQ(ts_pgtable_tables(t.pt), 1 + runTables(3));
    std::vector<uint64_t> places, after;
    for (std::vector<uint64_t> *to : {&places, &after}) {
        for (uint64_t va = 512 * kGiB; va < 1024 * kGiB; va += 7 * kGiB + 3 * kTwoMiB + 5 * kPage) {
            uint64_t fetch[TS_PT_LEVELS_MAX], again[TS_PT_LEVELS_MAX];
            uint8_t seen[TS_PT_LEVELS_MAX];
            bool found = false;
            ASSERT_EQ(
                ts_pgtable_walk(t.pt, va, 3, ts_pgtable_root(t.pt), fetch, seen, &found, &got), 4u);
            EXPECT_TRUE(found);
            EXPECT_EQ(got.target, va - 512 * kGiB);
            to->insert(to->end(), fetch, fetch + 4);
            /* From each table, as a walk cache gives it; its address is still good. */
            for (uint8_t level = 0; level < 3; level++) {
                uint64_t table = fetch[3 - level] / kPage * kPage;
                ASSERT_EQ(ts_pgtable_walk(t.pt, va, level, table, again, seen, &found, &got),
                          level + 1u);
                EXPECT_TRUE(found);
                EXPECT_EQ(again[level], fetch[3]);
            }
        }
        uint64_t bytes = ts_pgtable_bytes(t.pt);
        if (to == &places) {
            EXPECT_TRUE(ts_pgtable_mark(t.pt, 700 * kGiB, false));
            EXPECT_EQ(ts_pgtable_protect(t.pt, 600 * kGiB - kPage, 600 * kGiB + kPage, false,
                                         nullptr, nullptr),
                      2u);
            EXPECT_GT(ts_pgtable_bytes(t.pt), bytes);
        }
    }
    EXPECT_EQ(places, after);
    EXPECT_EQ(ts_pgtable_tables(t.pt), 1 + runTables(3));
}

TEST(PgTableRun, WhatChangesNothingOrAllOfItExpandsNothing)
{
    Table t(4, TS_GRANULE_4K, kRunsBackWhole);
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0);
    pte.accessed = true;
    uint64_t end = 512 * kGiB, pages = end / kPage, resume = 1;
    ts_pgtable_map_run(t.pt, 0, pages, &pte);
    uint64_t bytes = ts_pgtable_bytes(t.pt);
    EXPECT_LE(bytes, 4 * 1024u);
    EXPECT_FALSE(ts_pgtable_mark(t.pt, 5 * kPage, false));
    EXPECT_EQ(ts_pgtable_protect(t.pt, kPage, 3 * kPage, true, nullptr, nullptr), 0u);
    EXPECT_EQ(ts_pgtable_protect(t.pt, 0, end, false, nullptr, nullptr), pages);
    EXPECT_EQ(ts_pgtable_clear(t.pt, kGiB, end, 0, nullptr, nullptr, &resume), 0u);
    EXPECT_EQ(resume, kGiB);
    EXPECT_EQ(t.freeTables(0, end, 0, 0), Freed(5, 0)); /* each holds a leaf */
    EXPECT_FALSE(ts_pgtable_can_map(t.pt, 0, 0));
    EXPECT_EQ(t.clear(0, end), pages);
    EXPECT_EQ(ts_pgtable_tables(t.pt), 1 + runTables(3)); /* until they are freed */
    EXPECT_TRUE(ts_pgtable_can_map(t.pt, 0, 0));
    EXPECT_FALSE(ts_pgtable_can_map(t.pt, 0, 1));
    EXPECT_EQ(ts_pgtable_map_run(t.pt, 0, pages, &pte), 0u); /* into the same tables */
    EXPECT_EQ(t.clear(0, end), pages);
    EXPECT_EQ(t.freeTables(0, end, 0, 0), (Freed{512 * 512, 512, 1, 0, 0}));
    EXPECT_EQ(ts_pgtable_bytes(t.pt), bytes);
    EXPECT_EQ(t.frames.singly.size(), 0u);
    ASSERT_EQ(t.frames.whole.size(), 1u);
    EXPECT_EQ(t.frames.whole[0].second, runTables(3));
}

TEST(PgTableRun, PartsOfAnEmptyRunAreFilledAlone)
{
    Table t(4, TS_GRANULE_4K, kRunsBackWhole);
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0), got{};
    ts_pgtable_map_run(t.pt, kGiB, kGiB / kPage, &pte);
    t.clear(kGiB, 2 * kGiB);
    uint64_t tables = ts_pgtable_tables(t.pt), at = kGiB + 8 * kTwoMiB;
    EXPECT_EQ(t.map(kGiB + 5 * kTwoMiB + kPage), 0u);
    pte = leafFor(TS_GRANULE_4K, 0, 64 * kGiB);
    pte.writable = false;
    EXPECT_EQ(ts_pgtable_map_run(t.pt, at, 4 * 512, &pte), 0u);
    EXPECT_EQ(ts_pgtable_tables(t.pt), tables);
    EXPECT_EQ(ts_pgtable_leaves(t.pt), 1u + 4 * 512);
    for (uint64_t va = at; va < at + 4 * kTwoMiB; va += kPage) {
        ASSERT_TRUE(ts_pgtable_lookup(t.pt, va, &got));
        ASSERT_EQ(got.target, 64 * kGiB + (va - at));
        ASSERT_FALSE(got.writable);
    }
    EXPECT_FALSE(t.has(at - 1) || t.has(at + 4 * kTwoMiB));
    /* All but the five tables with leaves, the table above them and the top. */
    EXPECT_EQ(t.freeTables(kGiB, 2 * kGiB, 0, 0), (Freed{512 - 5, 0, 0, 0, 0}));
}

TEST(PgTableRun, PartsOfAnEmptyRunAreFreedAlone)
{
    Table t(4, TS_GRANULE_4K, kRunsBackWhole);
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0);
    for (uint64_t part : {0, 502}) { /* tables at the start, and at the end */
        ts_pgtable_map_run(t.pt, kGiB, kGiB / kPage, &pte);
        t.clear(kGiB, 2 * kGiB);
        uint64_t start = kGiB + part * kTwoMiB + (part ? kPage : 0);
        uint64_t end = kGiB + (part + 10) * kTwoMiB - (part ? 0 : kPage);
        EXPECT_EQ(t.freeTables(start, end, 0, 0), (Freed{10, 0, 0, 0, 0}));
        EXPECT_EQ(t.freeTables(kGiB, 2 * kGiB, 0, 0), (Freed{502, 1, 1, 0, 0}));
    }
    EXPECT_EQ(t.frames.whole.size(), 0u);
    /* An end in the last table is all of them. */
    ts_pgtable_map_run(t.pt, kGiB, kGiB / kPage, &pte);
    t.clear(kGiB, 2 * kGiB);
    EXPECT_EQ(t.freeTables(kGiB + kTwoMiB - kPage, 2 * kGiB - kPage, 0, 0),
              (Freed{512, 1, 1, 0, 0}));
    EXPECT_EQ(t.frames.whole.size(), 1u);
}

/* The rule: as it came if no part of it was ever changed alone, else each table by itself. */
TEST(PgTableRun, FramesOfARunGoBackWholeOrSingly)
{
    for (Runs runs : {kRunsBackSingly, kRunsBackWhole})
        for (bool part : {false, true}) {
            Table t(4, TS_GRANULE_4K, runs);
            ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0);
            ts_pgtable_map_run(t.pt, 0, 2 * kGiB / kPage,
                               &pte); /* two runs below the top's table */
            EXPECT_EQ(t.clear(0, part ? kTwoMiB : 0), part ? 512u : 0u);
            EXPECT_EQ(t.freeTables(0, kTwoMiB, 0, kTwoMiB), (Freed{part, 0, 0, 0, 0}));
            EXPECT_EQ(t.frames.singly.size(), part);
            t.clear(0, 2 * kGiB);
            EXPECT_EQ(t.freeTables(0, 2 * kGiB, 0, 0), (Freed{1024u - part, 2, 1, 0, 0}));
            uint64_t whole = runs == kRunsBackSingly ? 0 : part ? 1 : 2;
            EXPECT_EQ(t.frames.whole.size(), whole);
            EXPECT_EQ(t.frames.singly.size(), (2 - whole) * runTables(2) + 1);
            EXPECT_EQ(t.frames.live.size(), 1u);
        }
}

TEST(PgTableRun, AFreedRunTableIsNotPresent)
{
    Table t(4, TS_GRANULE_4K, kRunsBackWhole);
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0), got;
    ts_pgtable_map_run(t.pt, 0, kGiB / kPage, &pte);
    uint64_t fetch[TS_PT_LEVELS_MAX], again[TS_PT_LEVELS_MAX];
    uint8_t seen[TS_PT_LEVELS_MAX];
    bool found = false;
    uint64_t va = 9 * kTwoMiB, root = ts_pgtable_root(t.pt);
    ASSERT_EQ(ts_pgtable_walk(t.pt, va, 3, root, fetch, seen, &found, &got), 4u);
    uint64_t table = fetch[3];
    /* Stale, but a table of another address of the run: hardware goes on in it. */
    ASSERT_EQ(ts_pgtable_walk(t.pt, kPage, 0, table, again, seen, &found, &got), 1u);
    EXPECT_TRUE(found);
    EXPECT_EQ(got.target, va + kPage);
    t.clear(va, va + kTwoMiB);
    t.freeTables(va, va + kTwoMiB, va, va + kTwoMiB);
    ASSERT_EQ(ts_pgtable_walk(t.pt, kPage, 0, table, again, seen, &found, &got), 1u);
    EXPECT_FALSE(found);
    EXPECT_EQ(again[0], table + 8);
}

/* What a thousand times more costs is nothing: the edges alone are stored. */
TEST(PgTableMemory, TerabytesOfPagesInARunTakeKilobytes)
{
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0);
    uint64_t edge = kGiB + kTwoMiB + kPage, bytes[2];
    for (uint64_t tib : {1u, 16u}) {
        Table t(4, TS_GRANULE_4K, kRunsBackWhole);
        t.frames.counted = false;
        uint64_t size = tib * 1024 * kGiB;
        ts_pgtable_map_run(t.pt, edge, size / kPage, &pte);
        EXPECT_EQ(ts_pgtable_leaves(t.pt), size / kPage);
        bytes[tib == 16] = ts_pgtable_bytes(t.pt);
        /* At most 512 words and 512 runs on three levels at either end, a third unused. */
        EXPECT_LE(bytes[tib == 16], 2 * 3 * 512 * (8 + 64) * 3 / 2);
        EXPECT_EQ(t.clear(0, edge + size), size / kPage);
        t.freeTables(0, edge + size, 0, 0);
        EXPECT_EQ(ts_pgtable_tables(t.pt), 1u);
    }
    /* A run and a word for each further 512G. */
    EXPECT_LE(bytes[1], bytes[0] * 3 / 2 + 30 * (64 + 16));
}

TEST(PgTableMemory, SmallProcessesTakeAListForEachTable)
{
    Table t;
    for (uint64_t area : {4 * kMiB, 24 * kMiB, UINT64_C(0x7f1200000000), UINT64_C(0x7ffc12340000)})
        for (uint64_t p = 0; p < 8; p++)
            t.map(area + p * kPage);
    /* A table's 8 entries take a word and a key, at worst in twice the room, with a header; old
     * lists and the unused part of a block come on top: twice again. */
    EXPECT_LE(ts_pgtable_bytes(t.pt), 1024 + ts_pgtable_tables(t.pt) * (32 + 2 * 8 * 10) * 2);
    EXPECT_LE(ts_pgtable_bytes(t.pt) * 10000, 150 * kMiB);
}

TEST(PgTableMemory, AListGrowsIntoAnArrayInAnyOrder)
{
    for (uint64_t step : {1u, 511u, 37u}) { /* ascending, descending, mixed */
        Table t;
        for (uint64_t i = 0; i < 512; i++) {
            t.map((i * step) % 512 * kPage);
            for (uint64_t k = 0; k < 512; k++)
                ASSERT_EQ(t.has((k * step) % 512 * kPage), k <= i);
        }
        EXPECT_EQ(t.clear(0, kTwoMiB), 512u);
        t.freeTables(0, kTwoMiB, 0, 0);
        /* What is mapped next uses the same memory. */
        uint64_t bytes = ts_pgtable_bytes(t.pt);
        for (uint64_t i = 0; i < 512; i++)
            t.map(5 * kGiB + i * kPage);
        EXPECT_EQ(ts_pgtable_bytes(t.pt), bytes);
    }
}

/* Break-before-make, as the kernel's stage 2 does it: block into table, table into block. */
struct Break : ::testing::TestWithParam<Runs> {
    uint32_t walk(const Table &t, uint64_t va, bool *found)
    {
        uint64_t fetch[TS_PT_LEVELS_MAX];
        uint8_t seen[TS_PT_LEVELS_MAX];
        ts_pte pte;
        return ts_pgtable_walk(t.pt, va, 3, ts_pgtable_root(t.pt), fetch, seen, found, &pte);
    }
};

TEST_P(Break, ALeafBecomesATableAfterAWindowWithNothing)
{
    Table t(4, TS_GRANULE_4K, GetParam());
    t.map(kTwoMiB, 1, false);
    ts_pte whole{}, part{};
    ts_pt_broken broken{};
    bool found = true;
    ASSERT_TRUE(ts_pgtable_lookup(t.pt, kTwoMiB, &whole));
    EXPECT_FALSE(ts_pgtable_break(t.pt, kTwoMiB, 0, &broken)); /* no entry of that level */
    EXPECT_FALSE(ts_pgtable_break(t.pt, 0, 1, &broken));
    ASSERT_TRUE(ts_pgtable_break(t.pt, kTwoMiB + 5, 1, &broken));
    EXPECT_FALSE(broken.was_table);
    EXPECT_EQ(ts_pgtable_leaves(t.pt), 0u);
    EXPECT_EQ(walk(t, kTwoMiB, &found), 3u);
    EXPECT_FALSE(found || t.has(kTwoMiB));
    EXPECT_FALSE(ts_pgtable_break(t.pt, kTwoMiB, 1, &broken)) << "it is broken already";
    EXPECT_FALSE(ts_pgtable_can_map(t.pt, kTwoMiB, 1)) << "the place is taken";
    EXPECT_EQ(t.clear(0, kGiB), 0u);
    EXPECT_EQ(t.freeTables(0, kGiB, 0, 0), Freed(5, 0)) << "the maker needs them";
    EXPECT_EQ(ts_pgtable_make_table(t.pt, &broken), 1u);
    EXPECT_EQ(ts_pgtable_leaves(t.pt), 512u);
    for (uint64_t va = kTwoMiB; va < 2 * kTwoMiB; va += kPage) {
        ASSERT_TRUE(ts_pgtable_lookup(t.pt, va, &part));
        EXPECT_EQ(part.target, whole.target + (va - kTwoMiB));
        EXPECT_EQ(part.level, 0);
        EXPECT_FALSE(part.writable);
    }
    EXPECT_EQ(walk(t, kTwoMiB, &found), 4u);
}

TEST_P(Break, ATableBecomesALeafAndAllBelowIsFreed)
{
    Table t(4, TS_GRANULE_4K, GetParam());
    for (uint64_t p = 0; p < 3; p++)
        t.map(kGiB + p * kTwoMiB);
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0), got{};
    ts_pgtable_map_run(t.pt, kGiB + 3 * kTwoMiB, 4 * 512, &pte);
    t.map(3 * kGiB);
    uint64_t tables = ts_pgtable_tables(t.pt), fetch[TS_PT_LEVELS_MAX];
    uint8_t seen[TS_PT_LEVELS_MAX];
    bool found = true;
    ts_pgtable_walk(t.pt, kGiB, 3, ts_pgtable_root(t.pt), fetch, seen, &found, &got);
    uint64_t below = fetch[3];
    ts_pt_broken broken{};
    ASSERT_TRUE(ts_pgtable_break(t.pt, kGiB, 2, &broken));
    EXPECT_TRUE(broken.was_table);
    EXPECT_EQ(ts_pgtable_leaves(t.pt), 1u);
    EXPECT_EQ(ts_pgtable_tables(t.pt), tables); /* until something is made */
    EXPECT_EQ(walk(t, kGiB, &found), 2u);
    EXPECT_FALSE(found);
    /* A walk cache that has not heard of it still leads into the table. */
    ASSERT_EQ(ts_pgtable_walk(t.pt, kGiB, 0, below, fetch, seen, &found, &got), 1u);
    EXPECT_TRUE(found);
    pte = leafFor(TS_GRANULE_4K, 2, 7 * kGiB);
    EXPECT_EQ(ts_pgtable_make_leaf(t.pt, &broken, &pte), 1u + 3 + 4);
    EXPECT_EQ(ts_pgtable_tables(t.pt), tables - 8);
    EXPECT_EQ(ts_pgtable_leaves(t.pt), 2u);
    ASSERT_TRUE(ts_pgtable_lookup(t.pt, kGiB + kPage, &got));
    EXPECT_EQ(got.target, 7 * kGiB);
    ASSERT_EQ(ts_pgtable_walk(t.pt, kGiB, 0, below, fetch, seen, &found, &got), 1u);
    EXPECT_FALSE(found);
}

TEST_P(Break, WhatStoodThereComesBack)
{
    Table t(4, TS_GRANULE_4K, GetParam());
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0);
    ts_pgtable_map_run(t.pt, 0, kGiB / kPage, &pte);
    for (uint32_t level = 0; level < 4; level++) {
        ts_pt_broken broken{};
        uint64_t size = UINT64_C(1) << TS_PT_SHIFT(level);
        ASSERT_TRUE(ts_pgtable_break(t.pt, 5 * kTwoMiB, level, &broken));
        EXPECT_EQ(broken.was_table, level > 0);
        EXPECT_EQ(ts_pgtable_leaves(t.pt), (kGiB - std::min(size, kGiB)) / kPage);
        ts_pgtable_make_again(t.pt, &broken);
        EXPECT_EQ(ts_pgtable_leaves(t.pt), kGiB / kPage);
        EXPECT_TRUE(t.has(5 * kTwoMiB));
    }
}

TEST_P(Break, ATableDestroyedInTheWindowGivesAllBack)
{
    Table t(4, TS_GRANULE_4K, GetParam());
    ts_pte pte = leafFor(TS_GRANULE_4K, 0, 0);
    ts_pgtable_map_run(t.pt, 0, kGiB / kPage, &pte);
    ts_pt_broken broken{};
    ASSERT_TRUE(ts_pgtable_break(t.pt, 0, 2, &broken));
    EXPECT_EQ(t.frames.live.size(), 2 + runTables(2));
    /* The fixture looks at the frames. */
}

INSTANTIATE_TEST_SUITE_P(Runs, Break, ::testing::Values(kNoRuns, kRunsBackSingly, kRunsBackWhole));

} // namespace
