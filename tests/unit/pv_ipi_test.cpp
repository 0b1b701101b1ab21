/* SPDX-License-Identifier: Apache-2.0 */
#include "models/abi/pv_ipi.h"
#include "sim/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace
{

using Ids = std::vector<uint32_t>;
using Windows = std::vector<ts_pv_ipi_window>;

Windows split(ts_pv_ipi kind, const Ids &ids)
{
    ts_pv_ipi_iter it{};
    ts_pv_ipi_window w;
    Windows out;

    it.kind = kind;
    it.ids = ids.data();
    it.n = static_cast<uint32_t>(ids.size());
    while (ts_pv_ipi_next(&it, &w))
        out.push_back(w);
    return out;
}

/* What the host reaches with them. */
Ids reached(const Windows &windows, uint32_t max_id = UINT32_MAX)
{
    Ids out;

    for (const auto &w : windows) {
        uint32_t bit = 0, id = 0;
        while (ts_pv_ipi_target(&w, max_id, &bit, &id))
            out.push_back(id);
    }
    return out;
}

Ids range(uint32_t first, uint32_t n, uint32_t step = 1)
{
    Ids ids;

    for (uint32_t i = 0; i < n; i++)
        ids.push_back(first + i * step);
    return ids;
}

Ids sorted(Ids ids)
{
    std::sort(ids.begin(), ids.end());
    return ids;
}

uint64_t up(uint64_t n, uint64_t d)
{
    return (n + d - 1) / d;
}

/* __send_ipi_mask told as sets: IDs join while the span stays below 128. */
std::vector<std::set<uint32_t>> naive_sliding(const Ids &ids)
{
    std::vector<std::set<uint32_t>> out;

    for (uint32_t id : ids) {
        if (!out.empty()) {
            uint32_t low = std::min(*out.back().begin(), id);
            uint32_t high = std::max(*out.back().rbegin(), id);
            if (high - low < 128) {
                out.back().insert(id);
                continue;
            }
        }
        out.push_back({id});
    }
    return out;
}

std::set<uint32_t> members(const ts_pv_ipi_window &w)
{
    Ids ids = reached({w});
    return {ids.begin(), ids.end()};
}

} // namespace

TEST(PvIpi, ContiguousIdsTakeOneWindowEachSize)
{
    for (uint32_t first : {0u, 1u, 100u, 127u, 128u, 1000u}) {
        for (uint32_t n : {1u, 2u, 127u, 128u, 129u, 191u, 192u, 193u, 256u, 257u, 1024u}) {
            Ids ids = range(first, n);
            uint64_t last = first + n - 1;

            EXPECT_EQ(split(TS_PV_IPI_SLIDING, ids).size(), up(n, 128)) << first << " " << n;
            EXPECT_EQ(split(TS_PV_IPI_CLUSTER128, ids).size(), last / 128 - first / 128 + 1);
            EXPECT_EQ(split(TS_PV_IPI_CLUSTER192, ids).size(), last / 192 - first / 192 + 1);
        }
    }
    EXPECT_TRUE(split(TS_PV_IPI_SLIDING, {}).empty());
    EXPECT_TRUE(split(TS_PV_IPI_CLUSTER192, {}).empty());
}

TEST(PvIpi, GapsCostSpan)
{
    /* Every second ID: 64 of them fill a window of 128. */
    for (uint32_t n : {1u, 63u, 64u, 65u, 200u})
        EXPECT_EQ(split(TS_PV_IPI_SLIDING, range(10, n, 2)).size(), up(n, 64)) << n;
    EXPECT_EQ(split(TS_PV_IPI_SLIDING, {0, 127}).size(), 1u);
    EXPECT_EQ(split(TS_PV_IPI_SLIDING, {0, 128}).size(), 2u);
    EXPECT_EQ(split(TS_PV_IPI_SLIDING, {100, 227}).size(), 1u);
    EXPECT_EQ(split(TS_PV_IPI_CLUSTER128, {100, 227}).size(), 2u); /* aligned: it is cut */
    EXPECT_EQ(split(TS_PV_IPI_CLUSTER192, {100, 191}).size(), 1u);
}

TEST(PvIpi, DescendingIdsShiftTheWindowDown)
{
    for (uint32_t n : {2u, 64u, 65u, 128u, 129u, 300u}) {
        Ids ids = range(500, n);
        std::reverse(ids.begin(), ids.end());
        Windows windows = split(TS_PV_IPI_SLIDING, ids);

        EXPECT_EQ(windows.size(), up(n, 128)) << n;
        EXPECT_EQ(sorted(reached(windows)), range(500, n)) << n;
    }
    Windows w = split(TS_PV_IPI_SLIDING, {200, 150, 100});
    ASSERT_EQ(w.size(), 1u);
    EXPECT_EQ(w[0].min, 100u);
    EXPECT_EQ(w[0].bits[0], (UINT64_C(1) << 50) | 1);
    EXPECT_EQ(w[0].bits[1], UINT64_C(1) << 36);
    EXPECT_EQ(w[0].count, 3u);
}

TEST(PvIpi, AnIdBelowTheFirstJoinsOnlyWithinTheSpan)
{
    EXPECT_EQ(split(TS_PV_IPI_SLIDING, {100, 227, 99}).size(), 2u);
    EXPECT_EQ(split(TS_PV_IPI_SLIDING, {100, 226, 99}).size(), 1u);
    Windows w = split(TS_PV_IPI_SLIDING, {100, 227, 99, 228, 98, 225});
    ASSERT_EQ(w.size(), 4u);
    EXPECT_EQ(w[1].min, 99u);
    EXPECT_EQ(w[2].min, 228u);
    EXPECT_EQ(w[3].min, 98u);
    EXPECT_EQ(w[3].count, 2u);
}

TEST(PvIpi, ClustersGatherWhateverTheOrder)
{
    /* First threads, then second ones: 0, 2, ... 254, 1, 3, ... 255. */
    Ids ids = range(0, 128, 2);
    for (uint32_t id : range(1, 128, 2))
        ids.push_back(id);

    EXPECT_EQ(split(TS_PV_IPI_CLUSTER128, ids).size(), 2u);
    EXPECT_EQ(split(TS_PV_IPI_CLUSTER192, ids).size(), 2u);
    EXPECT_EQ(split(TS_PV_IPI_SLIDING, ids).size(), 4u);
}

TEST(PvIpi, AbsoluteMaskIsForSmallMachines)
{
    EXPECT_TRUE(ts_pv_ipi_reaches(TS_PV_IPI_ABSOLUTE128, 128));
    EXPECT_FALSE(ts_pv_ipi_reaches(TS_PV_IPI_ABSOLUTE128, 129));
    EXPECT_TRUE(ts_pv_ipi_reaches(TS_PV_IPI_SLIDING, 4096));
    EXPECT_FALSE(ts_pv_ipi_reaches(TS_PV_IPI_OFF, 2));
    Windows w = split(TS_PV_IPI_ABSOLUTE128, {3, 64, 127});
    ASSERT_EQ(w.size(), 1u);
    EXPECT_EQ(w[0].min, 0u);
    EXPECT_EQ(w[0].bits[0], UINT64_C(1) << 3);
    EXPECT_EQ(w[0].bits[1], (UINT64_C(1) << 63) | 1);
}

TEST(PvIpi, TheHostLeavesOutIdsBeyondItsMap)
{
    Windows w = split(TS_PV_IPI_SLIDING, {60, 64, 100});

    EXPECT_EQ(reached(w, 100), (Ids{60, 64, 100}));
    EXPECT_EQ(reached(w, 99), (Ids{60, 64}));
    EXPECT_EQ(reached(w, 60), (Ids{60}));
    EXPECT_EQ(reached(w, 59), Ids{});
    EXPECT_EQ(reached(split(TS_PV_IPI_CLUSTER192, {383}), 383), (Ids{383}));
}

TEST(PvIpi, TheHostRefusesDestinationsAndAMissingMap)
{
    const uint32_t fixed = 0xfc;

    EXPECT_EQ(ts_pv_ipi_check(fixed, true), 0);
    EXPECT_EQ(ts_pv_ipi_check(fixed | 0x400, true), 0); /* NMI: a delivery mode */
    EXPECT_EQ(ts_pv_ipi_check(fixed | TS_ICR_DEST_LOGICAL, true), TS_PV_IPI_EINVAL);
    for (uint32_t shorthand : {0x40000u, 0x80000u, 0xc0000u})
        EXPECT_EQ(ts_pv_ipi_check(fixed | shorthand, true), TS_PV_IPI_EINVAL);
    EXPECT_EQ(ts_pv_ipi_check(fixed, false), TS_PV_IPI_EOPNOTSUPP);
    EXPECT_EQ(ts_pv_ipi_check(fixed | 0x40000, false), TS_PV_IPI_EINVAL); /* looked at first */
}

TEST(PvIpiDiff, RandomMasks)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        ts_rng rng;

        SCOPED_TRACE("seed " + std::to_string(seed));
        ts_rng_init(&rng, seed, "pv ipi test", 0);
        auto span = static_cast<uint32_t>(ts_rng_between(&rng, 1, 900));
        auto n = static_cast<uint32_t>(ts_rng_between(&rng, 1, span));
        Ids pool = range(static_cast<uint32_t>(ts_rng_below(&rng, 300)), span);
        for (uint32_t i = 0; i < span; i++) /* shuffled; a third of the seeds ascend */
            std::swap(pool[i], pool[ts_rng_between(&rng, i, span - 1)]);
        Ids ids(pool.begin(), pool.begin() + n);
        if (seed % 3 == 0)
            ids = sorted(ids);

        Windows windows = split(TS_PV_IPI_SLIDING, ids);
        auto expected = naive_sliding(ids);
        ASSERT_EQ(windows.size(), expected.size());
        for (size_t i = 0; i < windows.size(); i++) {
            ASSERT_EQ(members(windows[i]), expected[i]) << i;
            ASSERT_EQ(windows[i].count, expected[i].size());
            ASSERT_EQ(windows[i].min, *expected[i].begin());
        }
        for (auto [kind, size] : {std::pair<ts_pv_ipi, uint32_t>{TS_PV_IPI_CLUSTER128, 128},
                                  std::pair<ts_pv_ipi, uint32_t>{TS_PV_IPI_CLUSTER192, 192}}) {
            std::set<uint32_t> clusters;
            for (uint32_t id : ids)
                clusters.insert(id / size);
            windows = split(kind, ids);
            ASSERT_EQ(windows.size(), clusters.size());
            for (const auto &w : windows)
                ASSERT_EQ(w.min % size, 0u);
            ASSERT_EQ(sorted(reached(windows)), sorted(ids));
        }
    }
}
