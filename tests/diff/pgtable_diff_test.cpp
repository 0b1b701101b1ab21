/* SPDX-License-Identifier: Apache-2.0 */
/* The page table against an ordered map of leaves and a set of tables. */
#include "models/mmu/pgtable.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace
{

constexpr uint64_t kPage = 4096;

uint64_t span(uint32_t level)
{
    return UINT64_C(1) << TS_PT_SHIFT(level);
}

/* Leaves by address; tables by level and first address. */
struct Model {
    std::map<uint64_t, ts_pte> leaves;
    std::set<std::pair<uint32_t, uint64_t>> tables;
    uint32_t levels;

    std::map<uint64_t, ts_pte>::iterator at(uint64_t va)
    {
        auto it = leaves.upper_bound(va);
        if (it == leaves.begin())
            return leaves.end();
        --it;
        return va - it->first < span(it->second.level) ? it : leaves.end();
    }
    /* A table of level l spans span(l + 1). */
    static uint64_t tableBase(uint64_t va, uint32_t level)
    {
        return va / span(level + 1) * span(level + 1);
    }
    bool canMap(uint64_t va, uint32_t level)
    {
        if (at(va) != leaves.end())
            return false;
        return level == 0 || tables.count({level - 1, tableBase(va, level - 1)}) == 0;
    }
    uint32_t map(uint64_t va, const ts_pte &pte)
    {
        uint32_t made = 0;
        for (uint32_t l = pte.level; l + 1 < levels; l++)
            made += tables.insert({l, tableBase(va, l)}).second;
        leaves[va] = pte;
        return made;
    }
    std::vector<uint32_t> freeTables(uint64_t start, uint64_t end, uint64_t floor, uint64_t ceiling)
    {
        std::vector<uint32_t> freed(TS_PT_LEVELS_MAX, 0);
        for (uint32_t l = 0; l + 1 < levels; l++)
            for (auto it = tables.begin(); it != tables.end();) {
                uint64_t first = it->second, next = first + span(l + 1);
                bool goes = it->first == l && first < end && next > start && first >= floor &&
                            (ceiling == 0 || next <= ceiling) && !holds(l, first, next);
                freed[l] += goes;
                it = goes ? tables.erase(it) : std::next(it);
            }
        return freed;
    }
    /* A leaf or a deeper table in the span of a table of the level. */
    bool holds(uint32_t level, uint64_t first, uint64_t next)
    {
        auto leaf = leaves.lower_bound(first);
        if (leaf != leaves.end() && leaf->first < next)
            return true;
        for (const auto &table : tables)
            if (table.first < level && table.second >= first && table.second < next)
                return true;
        return false;
    }
};

struct Seen {
    std::vector<std::pair<uint64_t, ts_pte>> leaves;
    static void note(void *user, uint64_t va, const ts_pte *pte)
    {
        static_cast<Seen *>(user)->leaves.emplace_back(va, *pte);
    }
};

bool same(const ts_pte &a, const ts_pte &b)
{
    return a.target == b.target && a.size_shift == b.size_shift && a.level == b.level &&
           a.writable == b.writable && a.global == b.global && a.accessed == b.accessed &&
           a.dirty == b.dirty;
}

class PgTableDiff : public ::testing::TestWithParam<uint32_t>
{
  protected:
    void SetUp() override
    {
        model.levels = GetParam();
        ts_pt_frames frames{};
        frames.alloc_table = [](void *user) { return *static_cast<uint64_t *>(user) += kPage; };
        frames.free_table = [](void *, uint64_t) {};
        frames.user = &frame;
        ts_error err{};
        ASSERT_EQ(ts_pgtable_create(&pt, GetParam(), &frames, &err), TS_OK);
    }
    void TearDown() override
    {
        ts_pgtable_destroy(pt);
    }
    uint64_t below(uint64_t n)
    {
        return random() % n;
    }
    /* Clustered, so that neighbours, large pages and empty tables meet. */
    uint64_t address()
    {
        uint64_t va =
            below(3) * span(3) + below(2) * span(2) * 511 + below(3) * span(1) + below(40) * kPage;
        return below(4) ? va : va + below(512) * span(2);
    }
    void map();
    void split();
    void clear();
    void protect();
    void mark();
    void release();
    void walk();
    bool whole(uint64_t start, uint64_t end);

    std::mt19937_64 random;
    uint64_t frame = UINT64_C(1) << 45;
    Model model;
    ts_pgtable *pt = nullptr;
};

void PgTableDiff::map()
{
    auto level = static_cast<uint32_t>(below(8) ? 0 : 1 + below(2));
    uint64_t va = address() / span(level) * span(level);
    bool can = model.canMap(va, level);
    if (can && level > 0) {
        /* Deeper tables are there only below a table of the next level. */
        auto next = model.leaves.lower_bound(va);
        ASSERT_TRUE(next == model.leaves.end() || next->first >= va + span(level));
    }
    ASSERT_EQ(ts_pgtable_can_map(pt, va, level), can);
    if (!can)
        return;
    ts_pte pte{};
    pte.level = static_cast<uint8_t>(level);
    pte.size_shift = static_cast<uint8_t>(TS_PT_SHIFT(level));
    pte.target = below(1 << 20) * span(level);
    pte.writable = below(2);
    pte.global = below(2);
    ASSERT_EQ(ts_pgtable_map(pt, va, &pte), model.map(va, pte));
}

void PgTableDiff::split()
{
    uint64_t va = address();
    auto it = model.at(va);
    bool large = it != model.leaves.end() && it->second.level > 0;
    ASSERT_EQ(ts_pgtable_split(pt, va), large ? 1u : 0u);
    if (!large)
        return;
    uint64_t base = it->first;
    ts_pte pte = it->second;
    model.leaves.erase(it);
    pte.level--;
    pte.size_shift = static_cast<uint8_t>(pte.size_shift - 9);
    model.tables.insert({pte.level, base});
    for (uint64_t i = 0; i < 512; i++) {
        model.leaves[base + i * span(pte.level)] = pte;
        pte.target += span(pte.level);
    }
}

/* No leaf sticks out of the range. */
bool PgTableDiff::whole(uint64_t start, uint64_t end)
{
    for (uint64_t edge : {start, end}) {
        auto it = model.at(edge);
        if (it != model.leaves.end() && it->first != edge)
            return false;
    }
    return true;
}

void PgTableDiff::clear()
{
    uint64_t start = address(), end = start + (below(2) ? below(60) * kPage : below(3 * span(2)));
    end = end / kPage * kPage;
    if (!whole(start, end))
        return;
    uint64_t max = below(3) ? UINT64_MAX : below(20), resume = 1, expected_resume = end, n = 0;
    Seen seen, expected;
    for (auto it = model.leaves.lower_bound(start); it != model.leaves.end() && it->first < end;
         it = model.leaves.erase(it)) {
        if (n == max) {
            expected_resume = it->first;
            break;
        }
        expected.leaves.emplace_back(*it);
        n++;
    }
    ASSERT_EQ(ts_pgtable_clear(pt, start, end, max, Seen::note, &seen, &resume), n);
    ASSERT_EQ(resume, expected_resume);
    ASSERT_EQ(seen.leaves.size(), expected.leaves.size());
    for (size_t i = 0; i < n; i++) {
        ASSERT_EQ(seen.leaves[i].first, expected.leaves[i].first);
        ASSERT_TRUE(same(seen.leaves[i].second, expected.leaves[i].second));
    }
}

void PgTableDiff::protect()
{
    uint64_t start = address(), end = start + below(100) * kPage;
    if (!whole(start, end))
        return;
    bool writable = below(2);
    Seen seen;
    std::vector<uint64_t> changed;
    for (auto it = model.leaves.lower_bound(start); it != model.leaves.end() && it->first < end;
         ++it)
        if (it->second.writable != writable) {
            it->second.writable = writable;
            changed.push_back(it->first);
        }
    ASSERT_EQ(ts_pgtable_protect(pt, start, end, writable, Seen::note, &seen), changed.size());
    ASSERT_EQ(seen.leaves.size(), changed.size());
    for (size_t i = 0; i < changed.size(); i++)
        ASSERT_EQ(seen.leaves[i].first, changed[i]);
}

void PgTableDiff::mark()
{
    uint64_t va = address() + below(kPage);
    bool dirty = below(2), changed = false;
    auto it = model.at(va);
    if (it != model.leaves.end()) {
        changed = !it->second.accessed || (dirty && !it->second.dirty);
        it->second.accessed = true;
        it->second.dirty |= dirty;
    }
    ASSERT_EQ(ts_pgtable_mark(pt, va, dirty), changed);
}

void PgTableDiff::release()
{
    uint64_t start = address(), end = start + kPage + below(3) * span(1) + below(2) * span(2);
    uint64_t floor = below(2) ? 0 : start / kPage * kPage - below(start / kPage + 1) * kPage;
    uint64_t ceiling = below(2) ? 0 : end / kPage * kPage + below(span(2) / kPage) * kPage;
    uint32_t freed[TS_PT_LEVELS_MAX];
    uint32_t total = ts_pgtable_free_tables(pt, start, end, floor, ceiling, freed);
    auto expected = model.freeTables(start, end, floor, ceiling);
    uint32_t sum = 0;
    for (uint32_t l = 0; l < TS_PT_LEVELS_MAX; l++) {
        ASSERT_EQ(freed[l], expected[l]) << "level " << l;
        sum += freed[l];
    }
    ASSERT_EQ(total, sum);
}

void PgTableDiff::walk()
{
    uint64_t va = address() + below(kPage), fetch[TS_PT_LEVELS_MAX];
    uint8_t seen[TS_PT_LEVELS_MAX];
    bool found = false;
    ts_pte pte{}, looked{};
    uint32_t n =
        ts_pgtable_walk(pt, va, GetParam() - 1, ts_pgtable_root(pt), fetch, seen, &found, &pte);
    auto it = model.at(va);
    ASSERT_EQ(found, it != model.leaves.end());
    ASSERT_EQ(ts_pgtable_lookup(pt, va, &looked), found);
    if (found) {
        ASSERT_TRUE(same(pte, it->second));
        ASSERT_TRUE(same(looked, it->second));
        ASSERT_EQ(n, GetParam() - it->second.level);
    }
    /* It goes exactly as deep as there are tables. */
    uint32_t deep = 1;
    for (uint32_t l = 0; l + 1 < GetParam(); l++)
        deep += static_cast<uint32_t>(model.tables.count({l, Model::tableBase(va, l)}));
    ASSERT_EQ(n, deep);
    /* And from each of them on the same way. */
    for (uint32_t i = 1; i < n; i++) {
        uint64_t again[TS_PT_LEVELS_MAX];
        uint8_t levels[TS_PT_LEVELS_MAX];
        bool refound = false;
        ASSERT_EQ(ts_pgtable_walk(pt, va, seen[i], fetch[i] / kPage * kPage, again, levels,
                                  &refound, &pte),
                  n - i);
        ASSERT_EQ(again[0], fetch[i]);
        ASSERT_EQ(refound, found);
    }
}

TEST_P(PgTableDiff, AgreesWithAMapOverRandomOperations)
{
    constexpr int steps = 12000;
    for (uint64_t seed = 1; seed <= 3 && !HasFailure(); seed++) {
        random.seed(seed);
        for (int i = 0; i < steps && !HasFatalFailure(); i++) {
            uint64_t what = below(100);
            if (what < 45)
                map();
            else if (what < 46)
                split();
            else if (what < 56)
                clear();
            else if (what < 62)
                protect();
            else if (what < 70)
                mark();
            else if (what < 78)
                release();
            else
                walk();
            if (HasFatalFailure())
                ADD_FAILURE() << "reproduce: " << GetParam() << " levels, seed " << seed
                              << ", step " << i;
            ASSERT_EQ(ts_pgtable_leaves(pt), model.leaves.size());
            ASSERT_EQ(ts_pgtable_tables(pt), model.tables.size() + 1);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, PgTableDiff, ::testing::Values(4u, 5u));

} // namespace
