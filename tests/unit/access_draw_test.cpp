/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/access_draw.h"

#include "tests/unit/chi_square.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

using chi_square_testing::chi_square;
using chi_square_testing::chi_square_limit;

namespace
{

TEST(AccessDraw, PermutationsAreBijective)
{
    std::vector<bool> seen;
    for (uint64_t n = 1; n <= 1100; n++) {
        ts_rng rng;
        ts_access_perm p;
        ts_rng_init(&rng, n, "test", 0);
        ts_access_perm_init(&p, n, &rng);
        seen.assign(n, false);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t v = ts_access_perm_at(&p, i);
            ASSERT_LT(v, n);
            ASSERT_FALSE(seen[v]) << "n " << n << ", i " << i;
            seen[v] = true;
        }
    }
}

/* Over many keys each element goes to each place equally often, and so does the distance from one
 * element's place to the next one's. */
TEST(AccessDraw, PermutationsAreUnbiased)
{
    const uint64_t keys = 20000;
    for (uint64_t n : {37u, 64u}) {
        std::vector<uint64_t> places(n * n), distances((n - 1) * (n - 1));
        ts_rng rng;
        ts_rng_init(&rng, n, "test", 0);
        for (uint64_t k = 0; k < keys; k++) {
            ts_access_perm p;
            ts_access_perm_init(&p, n, &rng);
            for (uint64_t i = 0, last = 0; i < n; i++) {
                uint64_t at = ts_access_perm_at(&p, i);
                places[i * n + at]++;
                if (i > 0)
                    distances.at((i - 1) * (n - 1) + (at + n - last) % n - 1)++;
                last = at;
            }
        }
        EXPECT_LT(chi_square(places, [&](size_t) { return double(keys) / double(n); }),
                  chi_square_limit(double((n - 1) * (n - 1))));
        EXPECT_LT(chi_square(distances, [&](size_t) { return double(keys) / double(n - 1); }),
                  chi_square_limit(double((n - 1) * (n - 2))));
    }
}

TEST(AccessDraw, ZipfFollowsItsWeights)
{
    for (uint64_t n : {1u, 2u, 3u, 7u, 8u, 100u, 1500u})
        for (uint64_t s : {0u, 1u, 500u, 990u, 1000u, 1001u, 1500u, 4000u}) {
            SCOPED_TRACE("n " + std::to_string(n) + ", s " + std::to_string(s));
            const uint64_t draws = 100000;
            ts_access_zipf z;
            ts_rng rng;
            ts_access_zipf_init(&z, n, s);
            ts_rng_init(&rng, n * 10000 + s, "test", 0);
            std::vector<double> weight(n);
            for (uint64_t r = 1; r <= n; r++)
                weight[r - 1] = std::pow(double(r), -double(s) / 1000);
            const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
            /* Ranks that are too rare for the statistic are one class. */
            size_t classes = 0;
            while (classes < n && weight[classes] / total * double(draws) >= 10)
                classes++;
            std::vector<uint64_t> seen(classes + 1);
            for (uint64_t i = 0; i < draws; i++) {
                uint64_t r = ts_access_zipf_draw(&z, &rng);
                ASSERT_GE(r, 1u);
                ASSERT_LE(r, n);
                seen[std::min<size_t>(r - 1, classes)]++;
            }
            double rest =
                std::accumulate(weight.begin() + std::ptrdiff_t(classes), weight.end(), 0.0);
            if (rest == 0)
                seen.pop_back();
            EXPECT_LT(chi_square(seen,
                                 [&](size_t i) {
                                     return double(draws) / total *
                                            (i < classes ? weight[i] : rest);
                                 }),
                      chi_square_limit(std::max(1.0, double(seen.size()) - 1)));
        }
}

/* A footprint of 2^36 pages: the share of the first 2^k ranks is that of the integral. */
TEST(AccessDraw, ZipfOverManyRanks)
{
    const uint64_t n = UINT64_C(1) << 36, draws = 200000;
    const double h_n = std::log(double(n)) + 0.5772156649; /* sum of 1 / r */
    ts_access_zipf z;
    ts_rng rng;
    ts_access_zipf_init(&z, n, 1000);
    ts_rng_init(&rng, 1, "test", 0);
    std::map<uint32_t, uint64_t> below; /* draws up to 2^k */
    for (uint64_t i = 0; i < draws; i++) {
        uint64_t r = ts_access_zipf_draw(&z, &rng);
        ASSERT_LE(r, n);
        for (uint32_t k = 10; k <= 30; k += 10)
            below[k] += r <= UINT64_C(1) << k;
    }
    for (auto [k, seen] : below) {
        double share = (k * std::log(2) + 0.5772156649) / h_n;
        EXPECT_NEAR(double(seen), share * double(draws),
                    4 * std::sqrt(double(draws) * share * (1 - share)));
    }
}

} // namespace
