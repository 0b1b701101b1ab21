/* SPDX-License-Identifier: Apache-2.0 */
/* The page table against an ordered map of leaves and sets of tables, which knows nothing of lists
 * and runs, over all granules and level counts, with and without runs. */
#include "tests/pgtable_model.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace
{

using namespace pgtable_model;

struct Case {
    ts_granule granule;
    uint32_t levels;
    Runs runs;
    uint64_t window; /* high bits of all addresses */
};

using Seen = std::vector<std::pair<uint64_t, ts_pte>>;

void note(void *user, uint64_t va, const ts_pte *pte)
{
    static_cast<Seen *>(user)->emplace_back(va, *pte);
}

bool same(const ts_pte &a, const ts_pte &b)
{
    return a.target == b.target && a.size_shift == b.size_shift && a.level == b.level &&
           a.writable == b.writable && a.global == b.global && a.accessed == b.accessed &&
           a.dirty == b.dirty && a.contiguous == b.contiguous;
}

bool same(const Seen &a, const Seen &b)
{
    if (a.size() != b.size())
        return false;
    for (size_t i = 0; i < a.size(); i++)
        if (a[i].first != b[i].first || !same(a[i].second, b[i].second))
            return false;
    return true;
}

class PgTableDiff : public ::testing::TestWithParam<Case>
{
  protected:
    void begin(uint64_t seed);
    void end();
    uint64_t below(uint64_t n)
    {
        return random() % n;
    }
    uint64_t page() const
    {
        return model.span(0);
    }
    /* Clustered, so that neighbours, large pages and empty tables meet. */
    uint64_t address()
    {
        uint32_t top = model.levels - 1;
        uint64_t va = below(3) * model.span(1);
        va += below(40) * page();
        if (top >= 2)
            va += below(2) * (model.span(2) / model.span(1) - 1) * model.span(1);
        va += below(2) * model.span(top);
        if (below(4) == 0)
            va += below(model.span(1) / page()) * page();
        return GetParam().window | va;
    }
    /* Ends lie on pages, on tables, or somewhere in the middle of them. */
    std::pair<uint64_t, uint64_t> range()
    {
        uint64_t start = address(), size = below(60) * page();
        if (below(2))
            size = below(3) ? (1 + below(3)) * model.span(1) : large() + page();
        if (below(2))
            start = model.down(start, 1);
        return {start, start + size};
    }
    /* What an entry covers, of a level that is not the highest of three or more. */
    uint64_t large()
    {
        return model.span(1 + static_cast<uint32_t>(below(model.levels > 3 ? 2 : 1)));
    }
    ts_pte pte(uint32_t level)
    {
        ts_pte p{};
        p.level = static_cast<uint8_t>(level);
        p.size_shift = static_cast<uint8_t>(ts_granule_level_shift(GetParam().granule, level));
        p.target = below(1 << 12) * model.span(level);
        p.writable = below(2);
        p.global = below(2);
        p.accessed = below(2);
        p.dirty = below(2);
        p.contiguous = below(2);
        return p;
    }
    void step();
    void map();
    void mapRun();
    void split();
    void clear(uint64_t start, uint64_t end, uint64_t max);
    void protect();
    void mark();
    void release(uint64_t start, uint64_t end, uint64_t floor, uint64_t ceiling);
    void releaseSomewhere();
    void walk(uint64_t va);
    void forgetGone();
    void walkStale();
    void breakAndMake();
    void inWindow(const ts_pt_broken &broken);
    bool whole(uint64_t start, uint64_t end);

    std::mt19937_64 random;
    Model model;
    Frames *frames = nullptr;
    ts_pgtable *pt = nullptr;
    /* Where walks saw the tables, by level and first address; and those that were freed. */
    std::map<std::pair<uint32_t, uint64_t>, uint64_t> places;
    std::vector<std::pair<uint32_t, uint64_t>> gone;
};

void PgTableDiff::begin(uint64_t seed)
{
    const Case &c = GetParam();
    random.seed(seed);
    model = Model();
    model.granule = c.granule;
    model.levels = c.levels;
    frames = new Frames(c.granule);
    places.clear();
    gone.clear();
    ts_pt_frames ops = frames->ops(c.runs);
    ts_error err{};
    ASSERT_EQ(ts_pgtable_create(&pt, c.granule, c.levels, &ops, &err), TS_OK) << err.message;
}

/* Everything is still there, and goes back. */
void PgTableDiff::end()
{
    uint64_t window = GetParam().window;
    uint64_t next = window + (UINT64_C(1) << ts_granule_level_shift(model.granule, model.levels));
    if (!HasFailure() && below(2)) {
        clear(window, next, UINT64_MAX);
        release(window, next, 0, 0);
        EXPECT_EQ(ts_pgtable_tables(pt), 1u);
        EXPECT_EQ(frames->live.size(), 1u);
    }
    ts_pgtable_destroy(pt);
    EXPECT_TRUE(frames->live.empty()) << "frames were not given back";
    delete frames;
}

void PgTableDiff::map()
{
    auto level = static_cast<uint32_t>(below(8) ? 0 : 1);
    uint64_t va = model.down(address(), level);
    bool can = model.canMap(va, va + model.span(level), level);
    ASSERT_EQ(ts_pgtable_can_map(pt, va, level), can);
    if (!can)
        return;
    ts_pte p = pte(level);
    ASSERT_EQ(ts_pgtable_map(pt, va, &p), model.map(va, p));
}

void PgTableDiff::mapRun()
{
    auto level = static_cast<uint32_t>(below(4) == 0 && model.levels > 2);
    uint64_t table = model.span(level + 1), pages = 1 + below(60);
    uint64_t va = model.down(address(), level);
    if (below(4)) {
        bool before = below(3) == 0 && va > 2 * table;
        va = model.down(va, level + 1) - before * below(9) * model.span(level);
        pages = table / model.span(level) * (1 + below(2));
        if (below(2))
            pages += below(20);
    }
    /* Two levels of tables below an entry: 2^18 leaves with the 4K granule. */
    if (model.granule == TS_GRANULE_4K && level == 0 && model.leaves.size() < 100000 &&
        below(20) == 0) {
        va = model.down(va, 2);
        pages = model.span(2) / model.span(0);
    }
    uint64_t next = va + pages * model.span(level);
    if ((va ^ GetParam().window) >> ts_granule_level_shift(model.granule, model.levels))
        return;
    /* Into tables that were emptied, often. */
    if (below(2) && whole(va, next))
        clear(va, next, UINT64_MAX);
    if (HasFatalFailure() || !model.canMap(va, next, level))
        return;
    ts_pte p = pte(level);
    uint64_t made = ts_pgtable_map_run(pt, va, pages, &p), expected = 0;
    for (uint64_t i = 0; i < pages; i++, va += model.span(level), p.target += model.span(level))
        expected += model.map(va, p);
    ASSERT_EQ(made, expected);
}

void PgTableDiff::split()
{
    uint64_t va = address();
    auto it = model.at(va);
    bool large = it != model.leaves.end() && it->second.level > 0;
    ASSERT_EQ(ts_pgtable_split(pt, va), large ? 1u : 0u);
    if (large)
        model.split(it);
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

void PgTableDiff::clear(uint64_t start, uint64_t end, uint64_t max)
{
    if (!whole(start, end))
        return;
    uint64_t resume = 1, expected_resume = end;
    Seen seen, expected;
    for (auto it = model.leaves.lower_bound(start); it != model.leaves.end() && it->first < end;
         it = model.leaves.erase(it)) {
        if (expected.size() == max) {
            expected_resume = it->first;
            break;
        }
        expected.emplace_back(*it);
    }
    bool look = below(4);
    ASSERT_EQ(ts_pgtable_clear(pt, start, end, max, look ? note : nullptr, &seen, &resume),
              expected.size());
    ASSERT_EQ(resume, expected_resume);
    if (look) {
        ASSERT_TRUE(same(seen, expected));
    }
}

void PgTableDiff::protect()
{
    auto [start, end] = range();
    if (!whole(start, end))
        return;
    bool writable = below(2);
    Seen seen, expected;
    for (auto it = model.leaves.lower_bound(start); it != model.leaves.end() && it->first < end;
         ++it)
        if (it->second.writable != writable) {
            it->second.writable = writable;
            expected.emplace_back(*it);
        }
    bool look = below(4);
    ASSERT_EQ(ts_pgtable_protect(pt, start, end, writable, look ? note : nullptr, &seen),
              expected.size());
    if (look) {
        ASSERT_TRUE(same(seen, expected));
    }
}

void PgTableDiff::mark()
{
    uint64_t va = address() + below(page());
    bool dirty = below(2), changed = false;
    auto it = model.at(va);
    if (it != model.leaves.end()) {
        changed = !it->second.accessed || (dirty && !it->second.dirty);
        it->second.accessed = true;
        it->second.dirty |= dirty;
    }
    uint64_t bytes = ts_pgtable_bytes(pt);
    ASSERT_EQ(ts_pgtable_mark(pt, va, dirty), changed);
    if (!changed) {
        ASSERT_EQ(ts_pgtable_bytes(pt), bytes);
    }
}

void PgTableDiff::release(uint64_t start, uint64_t end, uint64_t floor, uint64_t ceiling)
{
    uint32_t freed[TS_PT_LEVELS_MAX];
    uint32_t total = ts_pgtable_free_tables(pt, start, end, floor, ceiling, freed), sum = 0;
    auto expected = model.freeTables(start, end, floor, ceiling);
    for (uint32_t l = 0; l < TS_PT_LEVELS_MAX; l++) {
        ASSERT_EQ(freed[l], expected[l]) << "level " << l;
        sum += freed[l];
    }
    ASSERT_EQ(total, sum);
    forgetGone();
}

void PgTableDiff::releaseSomewhere()
{
    uint64_t start = address();
    uint64_t end = start + page() + below(3) * model.span(1);
    end += below(2) * large();
    uint64_t floor = 0, ceiling = 0;
    if (below(2))
        floor = start - below((start - GetParam().window) / page() + 1) * page();
    if (below(2))
        ceiling = end + below(large() / page()) * page();
    release(start, end, floor, ceiling);
}

/* The way goes exactly as deep as there are tables, each where it always was. */
void PgTableDiff::walk(uint64_t va)
{
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t seen[TS_PT_LEVELS_MAX];
    bool found = false;
    ts_pte pte{}, looked{};
    uint32_t top = model.levels - 1, depth = 1;
    uint32_t n = ts_pgtable_walk(pt, va, top, ts_pgtable_root(pt), fetch, seen, &found, &pte);
    auto it = model.at(va);
    ASSERT_EQ(found, it != model.leaves.end());
    ASSERT_EQ(ts_pgtable_lookup(pt, va, &looked), found);
    if (found) {
        ASSERT_TRUE(same(pte, it->second));
        ASSERT_TRUE(same(looked, it->second));
    }
    for (uint32_t l = 0; l < top; l++)
        depth += static_cast<uint32_t>(model.tables[l].count(model.down(va, l + 1)));
    ASSERT_EQ(n, depth);
    for (uint32_t i = 0; i < n; i++) {
        ASSERT_EQ(seen[i], top - i);
        uint64_t index = va / model.span(seen[i]) % (model.span(1) / page());
        uint64_t table = fetch[i] - index * 8;
        ASSERT_EQ(frames->live.count(table), 1u);
        auto known = places.emplace(std::make_pair(seen[i], model.down(va, seen[i] + 1u)), table);
        ASSERT_EQ(known.first->second, table) << "a table moved";
        uint64_t again[TS_PT_LEVELS_MAX];
        uint8_t levels[TS_PT_LEVELS_MAX];
        bool refound = !found;
        ASSERT_EQ(ts_pgtable_walk(pt, va, seen[i], table, again, levels, &refound, &pte), n - i);
        ASSERT_EQ(refound, found);
        for (uint32_t k = 0; k < n - i; k++)
            ASSERT_EQ(again[k], fetch[i + k]);
    }
}

/* Tables of the model that went. */
void PgTableDiff::forgetGone()
{
    for (auto it = places.begin(); it != places.end();) {
        uint32_t l = it->first.first;
        bool lives = l + 1 == model.levels || model.tables[l].count(it->first.second);
        if (!lives)
            gone.emplace_back(l, it->second);
        it = lives ? std::next(it) : places.erase(it);
    }
}

/* From a table that is not va's: its own leaves are found there, if it is still a table. */
void PgTableDiff::walkStale()
{
    uint64_t va = address() + below(page()), fetch[TS_PT_LEVELS_MAX];
    uint8_t seen[TS_PT_LEVELS_MAX];
    bool found = true;
    ts_pte pte{};
    if (!gone.empty() && below(3) == 0) {
        auto [level, table] = gone[below(gone.size())];
        ASSERT_EQ(ts_pgtable_walk(pt, va, level, table, fetch, seen, &found, &pte), 1u);
        ASSERT_FALSE(found);
        ASSERT_EQ(fetch[0] / frames->size * frames->size, table);
    } else if (!places.empty()) {
        auto it = std::next(places.begin(), static_cast<long>(below(places.size())));
        auto [level, base] = it->first;
        uint32_t n = ts_pgtable_walk(pt, va, level, it->second, fetch, seen, &found, &pte);
        uint64_t there = base + va % model.span(level + 1);
        auto leaf = model.at(there);
        ASSERT_EQ(found, leaf != model.leaves.end());
        if (found) {
            ASSERT_TRUE(same(pte, leaf->second));
        }
        uint64_t right[TS_PT_LEVELS_MAX];
        ASSERT_EQ(ts_pgtable_walk(pt, there, level, it->second, right, seen, &found, &pte), n);
        for (uint32_t i = 0; i < n; i++)
            ASSERT_EQ(fetch[i], right[i]);
    }
}

void PgTableDiff::inWindow(const ts_pt_broken &broken)
{
    uint64_t first = model.down(broken.va, broken.level), fetch[TS_PT_LEVELS_MAX];
    uint8_t seen[TS_PT_LEVELS_MAX];
    bool found = true;
    ts_pte pte;
    for (uint64_t va : {first, broken.va, first + model.span(broken.level) - 1}) {
        ASSERT_FALSE(ts_pgtable_lookup(pt, va, &pte));
        ASSERT_EQ(ts_pgtable_walk(pt, va, model.levels - 1, ts_pgtable_root(pt), fetch, seen,
                                  &found, &pte),
                  model.levels - broken.level);
        ASSERT_FALSE(found);
        ASSERT_FALSE(ts_pgtable_mark(pt, va, true));
    }
    uint64_t other = address();
    if (model.down(other, broken.level) != first)
        walk(other);
}

void PgTableDiff::breakAndMake()
{
    auto level = static_cast<uint32_t>(below(model.levels < 4 ? 2 : 3));
    uint64_t va = address() + below(page()), first = model.down(va, level);
    uint64_t next = first + model.span(level);
    auto leaf = model.at(va);
    bool is_leaf = leaf != model.leaves.end() && leaf->second.level == level;
    bool is_table = level > 0 && model.tables[level - 1].count(first);
    ts_pt_broken broken{};
    uint64_t leaves = ts_pgtable_leaves(pt), tables = ts_pgtable_tables(pt);
    ASSERT_EQ(ts_pgtable_break(pt, va, level, &broken), is_leaf || is_table);
    if (!is_leaf && !is_table)
        return;
    ASSERT_EQ(broken.was_table, is_table);
    auto from = model.leaves.lower_bound(first), to = model.leaves.lower_bound(next);
    ASSERT_EQ(ts_pgtable_leaves(pt), leaves - static_cast<uint64_t>(std::distance(from, to)));
    ASSERT_EQ(ts_pgtable_tables(pt), tables);
    inWindow(broken);
    if (HasFatalFailure())
        return;
    uint64_t how = below(3);
    if (how == 0 && level < ts_granule_leaf_levels(model.granule)) {
        model.leaves.erase(from, to);
        uint64_t freed = 0;
        for (uint32_t l = 0; l < level; l++)
            while (model.anyTable(l + 1, first, next)) {
                freed++;
                model.tables[l].erase(model.tables[l].lower_bound(first));
            }
        ts_pte p = pte(level);
        ASSERT_EQ(ts_pgtable_make_leaf(pt, &broken, &p), freed);
        model.map(first, p);
        forgetGone();
    } else if (how == 1 && is_leaf && level > 0) {
        ASSERT_EQ(ts_pgtable_make_table(pt, &broken), 1u);
        model.split(leaf);
    } else {
        ts_pgtable_make_again(pt, &broken);
    }
    walk(va);
}

void PgTableDiff::step()
{
    uint64_t what = below(100);
    if (what < 25) {
        map();
    } else if (what < 33) {
        mapRun();
    } else if (what < 34) {
        split();
    } else if (what < 45) {
        auto [start, end] = range();
        clear(start, end, below(3) ? UINT64_MAX : below(below(2) ? 20 : 3000));
    } else if (what < 46) {
        uint64_t start = model.down(address(), 2), end = start + model.span(2);
        clear(start, end, UINT64_MAX);
        release(start, end, 0, 0);
    } else if (what < 52) {
        protect();
    } else if (what < 60) {
        mark();
    } else if (what < 68) {
        releaseSomewhere();
    } else if (what < 76) {
        breakAndMake();
    } else if (what < 82) {
        walkStale();
    } else {
        walk(address() + below(page()));
    }
}

TEST_P(PgTableDiff, AgreesWithAMapOverRandomOperations)
{
    const Case &c = GetParam();
    const int steps = c.granule == TS_GRANULE_4K ? 1200 : c.granule == TS_GRANULE_16K ? 500 : 150;
    for (uint64_t seed = 1; seed <= 2 && !HasFailure(); seed++) {
        begin(seed);
        for (int i = 0; i < steps && !HasFailure(); i++) {
            step();
            EXPECT_EQ(ts_pgtable_leaves(pt), model.leaves.size());
            EXPECT_EQ(ts_pgtable_tables(pt), model.tableCount());
            EXPECT_EQ(frames->live.size(), model.tableCount());
            if (HasFailure())
                ADD_FAILURE() << "reproduce: granule " << c.granule << ", " << c.levels
                              << " levels, runs " << c.runs << ", window " << c.window << ", seed "
                              << seed << ", step " << i;
        }
        end();
    }
}

std::vector<Case> cases()
{
    std::vector<Case> all;
    for (auto [granule, least] :
         {std::make_pair(TS_GRANULE_4K, 4u), {TS_GRANULE_16K, 3u}, {TS_GRANULE_64K, 2u}})
        for (uint32_t levels : {least, least + 1})
            for (Runs runs : {kNoRuns, kRunsBackSingly, kRunsBackWhole}) {
                uint32_t bits = ts_granule_level_shift(granule, levels);
                uint64_t high = runs == kRunsBackSingly ? UINT64_MAX << (bits + 1) : 0;
                all.push_back({granule, levels, runs, high});
            }
    return all;
}

std::string name(const ::testing::TestParamInfo<Case> &test)
{
    static const char *const runs[] = {"NoRuns", "RunsBackSingly", "RunsBackWhole"};
    return std::to_string(4u << (2 * test.param.granule)) + "K" +
           std::to_string(test.param.levels) + "Levels" + runs[test.param.runs];
}

INSTANTIATE_TEST_SUITE_P(All, PgTableDiff, ::testing::ValuesIn(cases()), name);

} // namespace
