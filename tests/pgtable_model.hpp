/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of page tables: frames that are counted, and tables as an ordered map of leaves. */
#ifndef TESTS_PGTABLE_MODEL_HPP
#define TESTS_PGTABLE_MODEL_HPP

#include "models/mmu/pgtable.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pgtable_model
{

enum Runs { kNoRuns, kRunsBackSingly, kRunsBackWhole };

/* Frames are never given out twice. A run's go back all at once, before any other way, or singly.
 */
struct Frames {
    explicit Frames(uint32_t granule) : size(UINT64_C(1) << ts_granule_shift(granule))
    {
    }
    uint64_t take(uint64_t count)
    {
        uint64_t first = next;
        next += (count + gap) * size;
        for (uint64_t i = 0; counted && i < count; i++)
            live[first + i * size] = first;
        return first;
    }
    void back(uint64_t address)
    {
        EXPECT_TRUE(live.erase(address) == 1 || !counted) << "not given out: " << address;
        singly.push_back(address);
    }
    void backRun(uint64_t address, uint64_t count)
    {
        EXPECT_GT(count, 1u);
        for (uint64_t i = 0; counted && i < count; i++) {
            auto it = live.find(address + i * size);
            ASSERT_TRUE(it != live.end() && it->second == address) << "not as it came";
            live.erase(it);
        }
        EXPECT_TRUE(gap == 0 || live.count(address + count * size) == 0) << "a part only";
        whole.emplace_back(address, count);
    }
    ts_pt_frames ops(Runs runs)
    {
        ts_pt_frames f{};
        f.alloc_table = [](void *u) { return static_cast<Frames *>(u)->take(1); };
        f.free_table = [](void *u, uint64_t a) { static_cast<Frames *>(u)->back(a); };
        if (runs != kNoRuns)
            f.alloc_run = [](void *u, uint64_t n) { return static_cast<Frames *>(u)->take(n); };
        if (runs == kRunsBackWhole)
            f.free_run = [](void *u, uint64_t a, uint64_t n) {
                static_cast<Frames *>(u)->backRun(a, n);
            };
        f.user = this;
        return f;
    }
    uint64_t size, next = UINT64_C(1) << 45;
    bool counted = true;                         /* else there may be billions of them */
    uint64_t gap = 1;                            /* so that no two runs are neighbours */
    std::unordered_map<uint64_t, uint64_t> live; /* address, first of what it came with */
    std::vector<uint64_t> singly;                /* that came back, in order */
    std::vector<std::pair<uint64_t, uint64_t>> whole;
};

/* Leaves by address; tables of a level by first address. */
struct Model {
    using Leaves = std::map<uint64_t, ts_pte>;
    Leaves leaves;
    std::array<std::set<uint64_t>, TS_PT_LEVELS_MAX> tables;
    uint32_t granule, levels;

    uint64_t span(uint32_t level) const
    {
        return UINT64_C(1) << ts_granule_level_shift(granule, level);
    }
    uint64_t down(uint64_t va, uint32_t level) const
    {
        return va / span(level) * span(level);
    }
    Leaves::iterator at(uint64_t va)
    {
        auto it = leaves.upper_bound(va);
        if (it == leaves.begin())
            return leaves.end();
        --it;
        return va - it->first < span(it->second.level) ? it : leaves.end();
    }
    bool anyLeaf(uint64_t first, uint64_t next)
    {
        auto it = leaves.lower_bound(first);
        return it != leaves.end() && it->first < next;
    }
    bool anyTable(uint32_t below, uint64_t first, uint64_t next)
    {
        for (uint32_t l = 0; l < below; l++) {
            auto it = tables[l].lower_bound(first);
            if (it != tables[l].end() && *it < next)
                return true;
        }
        return false;
    }
    bool canMap(uint64_t first, uint64_t next, uint32_t level)
    {
        return at(first) == leaves.end() && !anyLeaf(first, next) && !anyTable(level, first, next);
    }
    uint64_t map(uint64_t va, const ts_pte &pte)
    {
        uint64_t made = 0;
        for (uint32_t l = pte.level; l + 1 < levels; l++)
            made += tables[l].insert(down(va, l + 1)).second;
        leaves[va] = pte;
        return made;
    }
    /* The leaf becomes a table of leaves. */
    void split(Leaves::iterator it)
    {
        uint64_t base = it->first, end = base + span(it->second.level);
        ts_pte pte = it->second;
        leaves.erase(it);
        pte.level--;
        pte.size_shift = static_cast<uint8_t>(ts_granule_level_shift(granule, pte.level));
        tables[pte.level].insert(base);
        for (uint64_t va = base; va != end; va += span(pte.level), pte.target += span(pte.level))
            leaves.emplace_hint(leaves.end(), va, pte);
    }
    std::vector<uint32_t> freeTables(uint64_t start, uint64_t end, uint64_t floor, uint64_t ceiling)
    {
        std::vector<uint32_t> freed(TS_PT_LEVELS_MAX, 0);
        for (uint32_t l = 0; l + 1 < levels; l++)
            for (auto it = tables[l].lower_bound(down(start, l + 1));
                 it != tables[l].end() && *it < end;) {
                uint64_t first = *it, next = first + span(l + 1);
                bool goes = next > start && first >= floor && (ceiling == 0 || next <= ceiling) &&
                            !anyLeaf(first, next) && !anyTable(l, first, next);
                freed[l] += goes;
                it = goes ? tables[l].erase(it) : std::next(it);
            }
        return freed;
    }
    uint64_t tableCount() const
    {
        uint64_t n = 1;
        for (const auto &of_level : tables)
            n += of_level.size();
        return n;
    }
};

} // namespace pgtable_model

#endif
