/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/clock.h"
#include "sim/rng.h"

#include <gtest/gtest.h>

namespace
{

__extension__ typedef unsigned __int128 u128;

/* The definitions, with 128-bit division and without reduction. */
uint64_t cycle_time(uint64_t hz, uint64_t n)
{
    return static_cast<uint64_t>(static_cast<u128>(n) * TS_S / hz);
}
uint64_t cycle_at(uint64_t hz, ts_time t)
{
    return static_cast<uint64_t>((static_cast<u128>(t) * hz + TS_S - 1) / TS_S);
}
uint64_t cycle_before(uint64_t hz, ts_time t)
{
    u128 past = (static_cast<u128>(t) + 1) * hz; /* of the cycles below past / TS_S, the last */

    return static_cast<uint64_t>((past + TS_S - 1) / TS_S) - 1;
}

const uint64_t rates[] = {TS_CLOCK_HZ_MIN, 1001,         32768,        999999937,
                          1000000000,      1333333333,   2000000000,   2100000000,
                          2596120000,      3000000000,   3500000000,   123456789012,
                          500000000000,    999999999989, 999999999999, TS_CLOCK_HZ_MAX};

TEST(Clock, ThreeGigahertzDoesNotDrift)
{
    ts_clock clock;

    ts_clock_init(&clock, 3000000000u);
    EXPECT_EQ(ts_clock_cycle_time(&clock, 1), 333u);
    EXPECT_EQ(ts_clock_cycle_time(&clock, 2), 666u);
    EXPECT_EQ(ts_clock_cycle_time(&clock, 3), 1000u);
    EXPECT_EQ(ts_clock_cycle_time(&clock, 3000000000u), TS_S);
    EXPECT_EQ(ts_clock_cycle_time(&clock, 3000000000u * UINT64_C(86400)), 86400 * TS_S);
}

TEST(Clock, MatchesTheDefinitionAtSmallNumbers)
{
    for (uint64_t hz : rates) {
        ts_clock clock;

        ts_clock_init(&clock, hz);
        for (uint64_t i = 0; i < 3000; i++) {
            ASSERT_EQ(ts_clock_cycle_time(&clock, i), cycle_time(hz, i))
                << hz << " Hz, cycle " << i;
            ASSERT_EQ(ts_clock_cycle_at(&clock, i), cycle_at(hz, i)) << hz << " Hz, time " << i;
            ASSERT_EQ(ts_clock_cycle_before(&clock, i), cycle_before(hz, i))
                << hz << " Hz, time " << i;
        }
    }
}

/* Magnitudes up to the last time there is, so that the 64-bit and the 128-bit path both run. */
TEST(Clock, MatchesTheDefinitionAtAllMagnitudes)
{
    ts_rng rng;

    ts_rng_init(&rng, 5, "clock_test", 0);
    for (int i = 0; i < 200000; i++) {
        uint64_t hz = i % 3 == 0 ? rates[ts_rng_below(&rng, TS_ARRAY_LEN(rates))]
                                 : ts_rng_between(&rng, TS_CLOCK_HZ_MIN, TS_CLOCK_HZ_MAX);
        ts_time t = ts_rng_next(&rng) >> ts_rng_below(&rng, 64);
        ts_clock clock;

        ts_clock_init(&clock, hz);
        uint64_t cycle = cycle_before(hz, t);
        ASSERT_EQ(ts_clock_cycle_at(&clock, t), cycle_at(hz, t)) << hz << " Hz, time " << t;
        ASSERT_EQ(ts_clock_cycle_before(&clock, t), cycle) << hz << " Hz, time " << t;
        ASSERT_EQ(ts_clock_cycle_time(&clock, cycle), cycle_time(hz, cycle))
            << hz << " Hz, cycle " << cycle;
    }
}

TEST(Clock, TheThreeFunctionsAgree)
{
    for (uint64_t hz : rates) {
        ts_clock clock;

        ts_clock_init(&clock, hz);
        for (uint64_t n = 1; n < TS_TIME_NEVER / TS_S * 1000; n = n * 3 + 1) {
            ts_time t = ts_clock_cycle_time(&clock, n);

            /* Above 1 THz / 2 neighbouring cycles may share a picosecond. */
            if (hz > TS_S / 2)
                continue;
            EXPECT_EQ(ts_clock_cycle_at(&clock, t), n);
            EXPECT_EQ(ts_clock_cycle_before(&clock, t), n);
            EXPECT_EQ(ts_clock_cycle_at(&clock, t + 1), n + 1);
            EXPECT_EQ(ts_clock_cycle_before(&clock, t - 1), n - 1);
        }
    }
}

TEST(Clock, AfterCountsFromTheNextEdge)
{
    ts_clock clock;

    ts_clock_init(&clock, 3000000000u);
    EXPECT_EQ(ts_clock_after(&clock, 333, 1), 666u);
    EXPECT_EQ(ts_clock_after(&clock, 334, 1), 1000u);
    EXPECT_EQ(ts_clock_after(&clock, 334, 0), 666u);
    EXPECT_EQ(ts_clock_after(&clock, 0, 0), 0u);
}

/* The core's steps add up: n steps of one cycle are one step of n cycles. */
TEST(Clock, StepsAddUp)
{
    for (uint64_t hz : rates) {
        ts_clock clock;
        ts_time now = 0;

        if (hz > TS_S / 2)
            continue;
        ts_clock_init(&clock, hz);
        for (int i = 0; i < 1000; i++)
            now = ts_clock_after(&clock, now, 1);
        EXPECT_EQ(now, ts_clock_after(&clock, 0, 1000)) << hz;
    }
}

TEST(ClockDeath, RatesAndTimesOutsideTheRangeAreBugs)
{
    ts_clock clock;

    EXPECT_DEATH(ts_clock_init(&clock, TS_CLOCK_HZ_MIN - 1), "broken invariant");
    EXPECT_DEATH(ts_clock_init(&clock, TS_CLOCK_HZ_MAX + 1), "broken invariant");
    ts_clock_init(&clock, 3000000000u);
    EXPECT_DEATH(ts_clock_cycle_time(&clock, UINT64_MAX / 100), "broken invariant");
}

} // namespace
