/* SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "models/guest/mm/mm_private.h"
#include "sim/rng.h"

namespace
{

constexpr uint64_t page = TS_PAGE_BYTES;
constexpr uint64_t span = TS_TABLE_SPAN;

class Vma : public testing::Test
{
  protected:
    Vma()
    {
        mm.private_mm = &pm;
        mm.guest = &guest;
        guest.params.thp_align = TS_THP_ALIGN_MULTIPLES;
        mm.mmap_base = TS_MMAP_BASE;
    }
    ~Vma() override
    {
        free(mm.vmas);
        free(pm.detached);
        free(pm.regions);
        free(pm.pieces);
        free(pm.ever);
    }
    uint64_t map(uint32_t region, uint64_t length)
    {
        ts_vma v{};
        v.start = ts_vma_find_gap(&mm, length, TS_OPF_ANONYMOUS);
        v.end = v.start + length;
        EXPECT_NE(v.start, 0u);
        EXPECT_TRUE(ts_vma_reserve(&mm, 1));
        EXPECT_TRUE(ts_region_add(&mm, region, v.start));
        ts_vma_insert(&mm, &v);
        EXPECT_TRUE(ts_region_map(&mm, region, v.start, v.end));
        return v.start;
    }
    uint32_t unmap(uint64_t start, uint64_t end)
    {
        EXPECT_TRUE(ts_vma_reserve(&mm, 2));
        uint32_t splits = ts_vma_detach(&mm, start, end);
        EXPECT_TRUE(ts_region_unmap(&mm, start, end));
        return splits;
    }
    ts_mm mm{};
    ts_mm_private pm{};
    ts_guest guest{};
};

} // namespace

TEST_F(Vma, AddressesGoDownwardsFromTheBase)
{
    EXPECT_EQ(map(0, page), TS_MMAP_BASE - page);
    EXPECT_EQ(map(1, 3 * page), TS_MMAP_BASE - 4 * page);
}

TEST_F(Vma, AFreedRangeIsTheNextToBeUsed)
{
    map(0, 4 * page);
    uint64_t middle = map(1, 4 * page);
    map(2, 4 * page);
    unmap(middle, middle + 4 * page);
    EXPECT_EQ(map(3, 4 * page), middle);
}

TEST_F(Vma, LargeMappingsAreAlignedAndSmallOnesFillTheGap)
{
    uint64_t big = map(0, span);
    EXPECT_EQ(big % span, 0u);
    EXPECT_EQ(big, (TS_MMAP_BASE - span) & ~(span - 1));
    EXPECT_EQ(map(1, page), TS_MMAP_BASE - page);
    EXPECT_NE(map(2, span - page) % span, 0u); /* below the threshold */
}

TEST_F(Vma, WhichMappingsAreAlignedIsAMatterOfTheVersion)
{
    struct {
        uint64_t align, length;
        uint32_t flags;
        bool aligned;
    } rows[] = {{TS_THP_ALIGN_NONE, 2 * span, TS_OPF_ANONYMOUS, false},
                {TS_THP_ALIGN_NONE, 2 * span, 0, true},
                {TS_THP_ALIGN_LARGE, 2 * span, TS_OPF_ANONYMOUS, true},
                {TS_THP_ALIGN_LARGE, span + page, TS_OPF_ANONYMOUS, true},
                {TS_THP_ALIGN_LARGE, span - page, TS_OPF_ANONYMOUS, false},
                {TS_THP_ALIGN_MULTIPLES, 2 * span, TS_OPF_ANONYMOUS, true},
                {TS_THP_ALIGN_MULTIPLES, span + page, TS_OPF_ANONYMOUS, false},
                {TS_THP_ALIGN_MULTIPLES, span + page, TS_OPF_SHARED, true}};
    for (const auto &row : rows) {
        guest.params.thp_align = row.align;
        uint64_t at = ts_vma_find_gap(&mm, row.length, row.flags);
        EXPECT_EQ(at, row.aligned ? (TS_MMAP_BASE - row.length) & ~(span - 1)
                                  : TS_MMAP_BASE - row.length);
    }
}

TEST_F(Vma, AnAlignedMappingIsLookedForWith2MiBMore)
{
    /* A hole that it would fill exactly is passed over. */
    map(0, span);
    uint64_t middle = map(1, span), below = map(2, span);
    unmap(middle, middle + span);
    EXPECT_EQ(map(3, span), below - span);
    EXPECT_EQ(map(4, span - page), middle + page);
}

TEST_F(Vma, NoSpaceIsZero)
{
    EXPECT_EQ(ts_vma_find_gap(&mm, TS_USER_END, 0), 0u);
    EXPECT_EQ(ts_vma_find_gap(&mm, TS_MMAP_BASE - TS_MMAP_MIN + page, 0), 0u);
}

TEST_F(Vma, APartialUnmapSplitsAndKeepsOffsets)
{
    uint64_t start = map(7, 10 * page), va = 0;
    EXPECT_EQ(unmap(start + 3 * page, start + 5 * page), 2u);
    EXPECT_EQ(mm.nvmas, 2u);
    EXPECT_TRUE(ts_mm_region_address(&mm, 7, 2 * page, &va));
    EXPECT_EQ(va, start + 2 * page);
    EXPECT_FALSE(ts_mm_region_address(&mm, 7, 3 * page, &va));
    EXPECT_FALSE(ts_mm_region_address(&mm, 7, 5 * page - 1, &va));
    EXPECT_TRUE(ts_mm_region_address(&mm, 7, 5 * page, &va));
    EXPECT_EQ(va, start + 5 * page);
    EXPECT_EQ(ts_region_find(&mm, 7)->mapped, 8 * page);
    /* At a boundary nothing is split. */
    EXPECT_EQ(unmap(start, start + 3 * page), 0u);
    EXPECT_EQ(unmap(start + 5 * page, start + 10 * page), 0u);
    EXPECT_EQ(ts_region_find(&mm, 7), nullptr);
    EXPECT_TRUE(ts_region_was_mapped(&mm, 7));
    EXPECT_FALSE(ts_region_was_mapped(&mm, 8));
}

TEST_F(Vma, FloorAndCeilingAreTheNeighbours)
{
    uint64_t upper = map(0, page), middle = map(1, page), lower = map(2, page);
    unmap(middle, middle + page);
    EXPECT_EQ(ts_vma_floor(&mm, middle), lower + page);
    EXPECT_EQ(ts_vma_ceiling(&mm, middle + page), upper);
    EXPECT_EQ(ts_vma_floor(&mm, lower), 0u);
    EXPECT_EQ(ts_vma_ceiling(&mm, upper + page), TS_USER_END);
}

TEST_F(Vma, ARegionMayComeBackUnderItsNumber)
{
    uint64_t start = map(3, page);
    unmap(start, start + page);
    EXPECT_EQ(map(3, page), start);
    EXPECT_NE(ts_region_find(&mm, 3), nullptr);
}

/* Against a map from page to region. */
TEST_F(Vma, RandomUnmapsAgreeWithAPageMap)
{
    const uint64_t seed = 11;
    SCOPED_TRACE("seed " + std::to_string(seed));
    ts_rng r;
    ts_rng_init(&r, seed, "vma", 0);
    std::map<uint64_t, uint32_t> pages;
    uint32_t next = 0;
    for (uint32_t step = 0; step < 2000; step++) {
        if (mm.nvmas < 20 || ts_rng_chance(&r, 1, 3)) {
            uint64_t n = ts_rng_between(&r, 1, 30);
            uint64_t start = map(next, n * page);
            for (uint64_t i = 0; i < n; i++)
                ASSERT_TRUE(pages.emplace(start + i * page, next).second);
            next++;
        } else {
            auto it = pages.lower_bound(TS_MMAP_BASE - ts_rng_below(&r, 2000) * page);
            uint64_t start = it == pages.end() ? pages.begin()->first : it->first;
            uint64_t end = start + ts_rng_between(&r, 1, 40) * page;
            unmap(start, end);
            pages.erase(pages.lower_bound(start), pages.lower_bound(end));
        }
    }
    uint64_t mapped = 0;
    for (uint32_t i = 0; i < mm.nvmas; i++) {
        ASSERT_TRUE(i == 0 || mm.vmas[i - 1].end <= mm.vmas[i].start);
        for (uint64_t va = mm.vmas[i].start; va < mm.vmas[i].end; va += page) {
            ASSERT_EQ(pages.count(va), 1u);
            mapped++;
        }
    }
    EXPECT_EQ(mapped, pages.size());
    uint64_t in_regions = 0;
    for (uint32_t i = 0; i < pm.nregions; i++)
        in_regions += pm.regions[i].mapped / page;
    EXPECT_EQ(in_regions, pages.size());
    for (uint32_t i = 0; i < pm.npieces; i++) {
        const ts_piece &p = pm.pieces[i];
        ASSERT_TRUE(i == 0 || pm.pieces[i - 1].end <= p.start);
        for (uint64_t va = p.start; va < p.end; va += page) {
            uint64_t address = 0;
            ASSERT_EQ(pages.count(va), 1u);
            ASSERT_EQ(pages[va], p.region);
            ASSERT_TRUE(ts_mm_region_address(&mm, p.region,
                                             va - ts_region_find(&mm, p.region)->base, &address));
            ASSERT_EQ(address, va);
        }
    }
}
