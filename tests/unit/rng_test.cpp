/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace
{

/* The published generators, written anew: splitmix64 (Vigna, splitmix64.c) and xoshiro256**
 * (Blackman and Vigna, xoshiro256starstar.c). */
uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

struct Xoshiro {
    uint64_t s[4];
    uint64_t next()
    {
        const uint64_t result = rotl(s[1] * 5, 7) * 9;
        const uint64_t t = s[1] << 17;

        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotl(s[3], 45);
        return result;
    }
};

uint64_t fnv1a(const std::string &text)
{
    uint64_t h = 14695981039346656037u;

    for (char c : text) {
        h ^= static_cast<unsigned char>(c);
        h *= 1099511628211u;
    }
    return h;
}

Xoshiro reference(uint64_t seed, const std::string &name, uint64_t instance)
{
    uint64_t x = seed;

    x = splitmix(&x) ^ fnv1a(name);
    x = splitmix(&x) ^ instance;
    return Xoshiro{{splitmix(&x), splitmix(&x), splitmix(&x), splitmix(&x)}};
}

TEST(Rng, SplitmixReferenceIsThePublishedOne)
{
    /* First outputs for the state 1234567, as listed with Rosetta Code's task "Pseudo-random
     * numbers/Splitmix64". */
    const uint64_t published[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                  4593380528125082431u, 16408922859458223821u};
    uint64_t x = 1234567;

    for (uint64_t expected : published)
        EXPECT_EQ(splitmix(&x), expected);
}

TEST(Rng, NextIsXoshiro256StarStarOnTheState)
{
    ts_rng rng = {{1, 2, 3, 4}};
    Xoshiro expected = {{1, 2, 3, 4}};

    /* rotl(2 * 5, 7) * 9: by hand from the definition. */
    EXPECT_EQ(ts_rng_next(&rng), (10u << 7) * 9u);
    expected.next();
    for (int i = 0; i < 1000; i++)
        ASSERT_EQ(ts_rng_next(&rng), expected.next()) << i;
}

TEST(Rng, StreamsAreSeededFromSeedNameAndInstance)
{
    for (uint64_t seed : {UINT64_C(0), UINT64_C(1), UINT64_MAX}) {
        for (const char *name : {"", "sched", "tlb"}) {
            for (uint64_t instance : {UINT64_C(0), UINT64_C(3)}) {
                Xoshiro expected = reference(seed, name, instance);
                ts_rng rng;

                ts_rng_init(&rng, seed, name, instance);
                for (int i = 0; i < 8; i++)
                    EXPECT_EQ(ts_rng_next(&rng), expected.next());
            }
        }
    }
}

TEST(Rng, NeighbouringStreamsDiffer)
{
    std::set<uint64_t> first;
    ts_rng rng;

    for (uint64_t seed = 0; seed < 20; seed++)
        for (const char *name : {"a", "b", "sched"})
            for (uint64_t instance = 0; instance < 20; instance++) {
                ts_rng_init(&rng, seed, name, instance);
                first.insert(ts_rng_next(&rng));
            }
    EXPECT_EQ(first.size(), 20u * 3u * 20u);
}

TEST(Rng, BelowIsEvenAndInRange)
{
    constexpr uint64_t n = 7, draws = 70000;
    std::vector<uint64_t> seen(n);
    ts_rng rng;

    ts_rng_init(&rng, 1, "below", 0);
    for (uint64_t i = 0; i < draws; i++) {
        uint64_t x = ts_rng_below(&rng, n);

        ASSERT_LT(x, n);
        seen[x]++;
    }
    /* Standard deviation sqrt(draws * 1/7 * 6/7) = 93: five of them. */
    for (uint64_t count : seen)
        EXPECT_NEAR(static_cast<double>(count), draws / n, 5 * 93);
}

/* For n = 3 * 2^62 a plain multiplication gives each multiple of 3 twice as often as the others. */
TEST(Rng, BelowIsUnbiasedForHugeRanges)
{
    const uint64_t n = UINT64_C(3) << 62;
    const int draws = 30000;
    int parity[2] = {0, 0};
    ts_rng rng;

    ts_rng_init(&rng, 2, "huge", 0);
    for (int i = 0; i < draws; i++) {
        uint64_t x = ts_rng_below(&rng, n);

        ASSERT_LT(x, n);
        parity[x % 3 == 0]++;
    }
    /* Without rejection x % 3 == 0 would come half of the time, not a third. */
    EXPECT_NEAR(parity[1], draws / 3, 5 * std::sqrt(draws * 2.0 / 9.0));
}

TEST(Rng, BetweenReachesBothEndsAndTheFullRange)
{
    std::set<uint64_t> seen;
    ts_rng rng, copy;

    ts_rng_init(&rng, 3, "between", 0);
    for (int i = 0; i < 200; i++)
        seen.insert(ts_rng_between(&rng, 10, 13));
    EXPECT_EQ(seen, (std::set<uint64_t>{10, 11, 12, 13}));
    EXPECT_EQ(ts_rng_between(&rng, 5, 5), 5u);
    copy = rng;
    EXPECT_EQ(ts_rng_between(&rng, 0, UINT64_MAX), ts_rng_next(&copy));
}

TEST(Rng, ChanceIsExactAtTheEndsAndFairBetween)
{
    int hits = 0;
    const int draws = 90000;
    ts_rng rng;

    ts_rng_init(&rng, 4, "chance", 0);
    for (int i = 0; i < 1000; i++) {
        ASSERT_FALSE(ts_rng_chance(&rng, 0, 9));
        ASSERT_TRUE(ts_rng_chance(&rng, 9, 9));
    }
    for (int i = 0; i < draws; i++)
        hits += ts_rng_chance(&rng, 2, 9);
    EXPECT_NEAR(hits, draws * 2 / 9, 5 * std::sqrt(draws * 2.0 / 9 * 7 / 9));
}

/* A decision that is certain uses up as many numbers as one that is not. */
TEST(Rng, ChanceAlwaysDraws)
{
    ts_rng a, b;

    ts_rng_init(&a, 4, "chance", 1);
    b = a;
    ts_rng_chance(&a, 0, 2);
    ts_rng_chance(&b, 2, 2);
    EXPECT_EQ(ts_rng_next(&a), ts_rng_next(&b));
}

/* The table against the mathematics: only the test uses floating point. */
TEST(Rng, ExponentialIsMinusLogOfTheDraw)
{
    const uint64_t mean = UINT64_C(1) << 39;
    ts_rng rng, copy;

    ts_rng_init(&rng, 5, "exponential", 0);
    for (int i = 0; i < 100000; i++) {
        copy = rng;
        long double u = static_cast<long double>(ts_rng_next(&copy)) / 18446744073709551616.0L;
        long double expected = -logl(u) * static_cast<long double>(mean);

        ASSERT_NEAR(static_cast<double>(ts_rng_exponential(&rng, mean)),
                    static_cast<double>(expected), 2e-6 * static_cast<double>(mean));
    }
}

TEST(Rng, ExponentialHasItsMean)
{
    const uint64_t mean = 1000000;
    const int draws = 100000;
    long double sum = 0;
    ts_rng rng;

    ts_rng_init(&rng, 6, "exponential", 0);
    for (int i = 0; i < draws; i++)
        sum += static_cast<long double>(ts_rng_exponential(&rng, mean));
    EXPECT_NEAR(static_cast<double>(sum / draws), static_cast<double>(mean),
                5 * static_cast<double>(mean) / std::sqrt(static_cast<double>(draws)));
    EXPECT_EQ(ts_rng_exponential(&rng, 0), 0u);
}

TEST(RngDeath, EmptyRangesAreBugs)
{
    ts_rng rng;

    ts_rng_init(&rng, 1, "death", 0);
    EXPECT_DEATH(ts_rng_below(&rng, 0), "broken invariant");
    EXPECT_DEATH(ts_rng_between(&rng, 2, 1), "broken invariant");
    EXPECT_DEATH(ts_rng_chance(&rng, 0, 0), "broken invariant");
    EXPECT_DEATH(ts_rng_exponential(&rng, UINT64_C(1) << 40), "broken invariant");
}

} // namespace
