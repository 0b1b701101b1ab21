/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/regions.h"

#include "sim/rng.h"

#include <gtest/gtest.h>

#include <map>
#include <tuple>
#include <vector>

namespace
{

constexpr uint64_t P = TS_REGIONS_PAGE;

struct Map {
    ts_regions r{};
    ts_region_pieces out{};
    ts_error err{};
    ~Map()
    {
        ts_regions_fini(&r);
        ts_region_pieces_fini(&out);
    }
    void insert(uint64_t page, uint64_t n, uint32_t region, uint64_t offset = 0, uint32_t tag = 0)
    {
        ts_region_piece p{page * P, (page + n) * P, offset * P, region, tag};
        ASSERT_EQ(ts_regions_insert(&r, &p, &err), TS_OK);
    }
    void remove(uint64_t page, uint64_t n)
    {
        out.n = 0;
        ASSERT_EQ(ts_regions_remove(&r, page * P, (page + n) * P, &out, &err), TS_OK);
    }
};

/* {page, pages, offset in pages, region} of each piece. */
using Row = std::tuple<uint64_t, uint64_t, uint64_t, uint32_t>;
std::vector<Row> rows(const ts_region_pieces &p)
{
    std::vector<Row> v;
    for (size_t i = 0; i < p.n; i++)
        v.emplace_back(p.v[i].start / P, (p.v[i].end - p.v[i].start) / P, p.v[i].offset / P,
                       p.v[i].region);
    return v;
}

TEST(Regions, RemovalOfTheMiddleLeavesTheEnds)
{
    Map m;
    m.insert(10, 10, 7);
    m.remove(13, 4);
    EXPECT_EQ(rows(m.out), (std::vector<Row>{{13, 4, 3, 7}}));
    EXPECT_EQ(rows(m.r.map), (std::vector<Row>{{10, 3, 0, 7}, {17, 3, 7, 7}}));
    EXPECT_EQ(m.r.mapped, 6 * P);
}

TEST(Regions, RemovalAcrossSeveralGivesAPieceOfEach)
{
    Map m;
    m.insert(10, 2, 0);
    m.insert(12, 2, 1);
    m.insert(20, 2, 2);
    m.remove(11, 10);
    EXPECT_EQ(rows(m.out), (std::vector<Row>{{11, 1, 1, 0}, {12, 2, 0, 1}, {20, 1, 0, 2}}));
    EXPECT_EQ(rows(m.r.map), (std::vector<Row>{{10, 1, 0, 0}, {21, 1, 1, 2}}));
}

TEST(Regions, RestorePutsThePiecesTogetherAgain)
{
    Map m;
    m.insert(10, 10, 7);
    m.insert(20, 1, 8);
    m.remove(13, 8);
    ASSERT_EQ(ts_regions_restore(&m.r, &m.out, &m.err), TS_OK);
    EXPECT_EQ(rows(m.r.map), (std::vector<Row>{{10, 10, 0, 7}, {20, 1, 0, 8}}));
    EXPECT_EQ(m.r.mapped, 11 * P);
}

TEST(Regions, RestoreLeavesWhatWasMappedMeanwhile)
{
    Map m;
    m.insert(10, 10, 7);
    m.remove(10, 10);
    ts_region_pieces taken = m.out;
    m.insert(13, 2, 9);
    ASSERT_EQ(ts_regions_restore(&m.r, &taken, &m.err), TS_OK);
    EXPECT_EQ(rows(m.r.map), (std::vector<Row>{{10, 3, 0, 7}, {13, 2, 0, 9}, {15, 5, 5, 7}}));
}

TEST(Regions, NeighboursJoinOnlyWhenTheyGoOn)
{
    Map m;
    m.insert(10, 1, 7, 0);
    m.insert(12, 1, 7, 2);
    m.insert(11, 1, 7, 5); /* another part of the region */
    EXPECT_EQ(m.r.map.n, 3u);
    m.remove(11, 1);
    m.insert(11, 1, 7, 1);
    EXPECT_EQ(rows(m.r.map), (std::vector<Row>{{10, 3, 0, 7}}));
}

TEST(Regions, CopyIsIndependent)
{
    Map a, b;
    a.insert(10, 4, 1);
    ASSERT_EQ(ts_regions_copy(&b.r, &a.r, &a.err), TS_OK);
    b.remove(10, 4);
    EXPECT_EQ(rows(a.r.map), (std::vector<Row>{{10, 4, 0, 1}}));
    EXPECT_EQ(b.r.mapped, 0u);
    EXPECT_EQ(a.r.mapped, 4 * P);
}

/* The model: every page by itself. */
struct Page {
    uint32_t region;
    uint64_t offset;
    bool operator==(const Page &o) const
    {
        return region == o.region && offset == o.offset;
    }
};
using Pages = std::map<uint64_t, Page>;

Pages pages_of(const ts_region_pieces &p)
{
    Pages pages;
    for (size_t i = 0; i < p.n; i++)
        for (uint64_t a = p.v[i].start; a < p.v[i].end; a += P) {
            auto [it, fresh] =
                pages.emplace(a, Page{p.v[i].region, p.v[i].offset + a - p.v[i].start});
            (void)it;
            EXPECT_TRUE(fresh) << "page " << a / P << " twice";
        }
    return pages;
}

void run(uint64_t seed)
{
    SCOPED_TRACE("seed " + std::to_string(seed));
    ts_rng rng;
    ts_rng_init(&rng, seed, "test.regions", 0);
    Map m;
    Pages model;
    uint32_t next = 0;
    for (int step = 0; step < 400; step++) {
        uint64_t start = ts_rng_below(&rng, 64) * P, len = (1 + ts_rng_below(&rng, 16)) * P;
        Pages in_range(model.lower_bound(start), model.lower_bound(start + len));
        m.out.n = 0;
        uint64_t what = ts_rng_below(&rng, 4);
        if (what == 0) {
            ASSERT_EQ(ts_regions_collect(&m.r, start, start + len, &m.out, &m.err), TS_OK);
            ASSERT_EQ(pages_of(m.out), in_range);
        } else {
            ASSERT_EQ(ts_regions_remove(&m.r, start, start + len, &m.out, &m.err), TS_OK);
            ASSERT_EQ(pages_of(m.out), in_range);
            model.erase(model.lower_bound(start), model.lower_bound(start + len));
        }
        if (what == 2) {
            ts_region_piece p{start, start + len, 0, next, 0};
            ASSERT_EQ(ts_regions_insert(&m.r, &p, &m.err), TS_OK);
            for (uint64_t a = start; a < start + len; a += P)
                model[a] = Page{next, a - start};
            next++;
        } else if (what == 3) {
            /* Something may take a part of it before it comes back. */
            uint64_t hole = start + ts_rng_below(&rng, len / P) * P;
            ts_region_piece p{hole, hole + P, 0, next, 0};
            ASSERT_EQ(ts_regions_insert(&m.r, &p, &m.err), TS_OK);
            model[hole] = Page{next++, 0};
            ASSERT_EQ(ts_regions_restore(&m.r, &m.out, &m.err), TS_OK);
            model.insert(in_range.begin(), in_range.end());
        }
        ASSERT_EQ(pages_of(m.r.map), model);
        ASSERT_EQ(m.r.mapped, model.size() * P);
        for (size_t i = 1; i < m.r.map.n; i++)
            ASSERT_LE(m.r.map.v[i - 1].end, m.r.map.v[i].start);
    }
}

TEST(Regions, AgainstAMapOfPages)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        run(seed);
        if (HasFatalFailure())
            return;
    }
}

} // namespace
