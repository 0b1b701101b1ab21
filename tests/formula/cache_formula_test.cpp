/* SPDX-License-Identifier: Apache-2.0 */
/* What a fetch costs, by formula: whole cycles of a memory access, the reuse distance that decides
 * a hit, and the cost of loops over more or fewer lines than a level holds. */
#include "tests/support/cache_rig.hpp"

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

using namespace ts_test;

namespace
{

uint64_t cycles_of(uint64_t ps, uint64_t hz)
{
    __extension__ typedef unsigned __int128 u128;

    return static_cast<uint64_t>((static_cast<u128>(ps) * hz + TS_S - 1) / TS_S);
}

struct Shape {
    uint64_t sets, ways;
};

/* Only the L1: a hit is its latency, all else memory's. */
ts_cache_params one_level(const Shape &s)
{
    ts_cache_params p = cache_defaults();

    p.l1_bytes = s.sets * s.ways * cache_line;
    p.l1_ways = s.ways;
    p.l2_bytes = p.llc_bytes = 0;
    return p;
}

/* Stack distances of one set's stream: how many other lines came since the last use. */
class Reuse
{
  public:
    static constexpr size_t never = SIZE_MAX;

    size_t next(uint64_t line)
    {
        auto at = std::find(stack.begin(), stack.end(), line);
        size_t distance = at == stack.end() ? never : static_cast<size_t>(at - stack.begin());

        if (at != stack.end())
            stack.erase(at);
        stack.insert(stack.begin(), line);
        return distance;
    }

  private:
    std::vector<uint64_t> stack;
};

class Geometry : public ::testing::TestWithParam<Shape>
{
};

class Clocks : public ::testing::TestWithParam<uint64_t>
{
};

} // namespace

TEST_P(Clocks, AMemoryAccessIsItsTimeInCyclesRoundedUp)
{
    uint64_t hz = GetParam();

    for (uint64_t ps : {UINT64_C(0), UINT64_C(1), UINT64_C(1000), UINT64_C(85000), UINT64_C(138600),
                        100 * TS_US}) {
        ts_cache_params p = cache_defaults();

        p.l1_bytes = p.l2_bytes = p.llc_bytes = 0;
        p.home = TS_CACHE_HOME_INTERLEAVE;
        p.memory_ps = ps;
        p.memory_remote_ps = 100 * TS_US - ps;
        CacheRig rig(p, Machine{2, 1, hz});
        EXPECT_EQ(rig.fetch(0, 0), cycles_of(ps, hz));
        EXPECT_EQ(rig.fetch(1, 0), cycles_of(100 * TS_US - ps, hz));
    }
}

TEST_P(Clocks, AWholeNumberOfCyclesIsNotRoundedFurther)
{
    uint64_t hz = GetParam();
    ts_cache_params p = cache_defaults();

    p.l1_bytes = p.l2_bytes = p.llc_bytes = 0;
    for (uint64_t cycles : {1, 85, 1000}) {
        if (cycles * TS_S % hz != 0)
            continue;
        for (uint64_t more : {0, 1}) {
            p.memory_ps = cycles * TS_S / hz + more;
            CacheRig rig(p, Machine{1, 1, hz});
            EXPECT_EQ(rig.fetch(0, 0), cycles + more);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Rates, Clocks,
                         ::testing::Values(100000000, 1000000000, 2000000000, 2250000000,
                                           2600000000, 2999999999, 3000000000, 10000000000));

TEST(CacheFormula, EachLevelAnswersWithItsOwnLatencyInAll)
{
    /* The default machine. Lines that are n L1 (L2, LLC) sets apart share a set of that level. */
    const ts_cache_params p = cache_defaults();
    const uint64_t hz = 2600000000;
    const uint64_t l1_stride = p.l1_bytes / p.l1_ways;
    const uint64_t l2_stride = p.l2_bytes / p.l2_ways;
    const uint64_t llc_stride = p.llc_bytes / p.llc_ways;
    const uint64_t memory = cycles_of(p.memory_ps, hz);
    CacheRig rig(p, Machine{2, 16, hz});

    EXPECT_EQ(rig.fetch(0, 0), memory);
    EXPECT_EQ(rig.fetch(0, 0), p.l1_cycles);
    for (uint64_t i = 1; i < p.l1_ways; i++)
        EXPECT_EQ(rig.fetch(0, i * l1_stride), memory);
    EXPECT_EQ(rig.fetch(0, 0), p.l1_cycles);
    for (uint64_t i = 1; i <= p.l1_ways; i++)
        rig.fetch(0, i * l1_stride);
    EXPECT_EQ(rig.fetch(0, 0), p.l2_cycles);
    for (uint64_t i = 1; i <= p.l2_ways; i++)
        EXPECT_EQ(rig.fetch(0, i * l2_stride), memory);
    EXPECT_EQ(rig.fetch(0, 0), p.llc_cycles);
    for (uint64_t i = 1; i <= p.l2_ways + p.llc_ways; i++)
        rig.fetch(0, i * llc_stride);
    EXPECT_EQ(rig.fetch(0, 0), memory);
    EXPECT_TRUE(rig.sums_hold());
}

TEST(CacheFormula, RemoteIsPaidForTheOtherSocketsFrames)
{
    ts_cache_params p = cache_defaults();
    const uint64_t hz = 2600000000, frames = 64;

    p.home = TS_CACHE_HOME_INTERLEAVE;
    CacheRig rig(p, Machine{4, 2, hz});
    for (uint64_t frame = 0; frame < frames; frame++)
        rig.fetch(0, frame * cache_frame);
    EXPECT_EQ(rig.stats().fetch_cycles,
              frames / 4 * (cycles_of(p.memory_ps, hz) + 3 * cycles_of(p.memory_remote_ps, hz)));
}

TEST_P(Geometry, AHitIsAReuseDistanceBelowTheWays)
{
    const Shape s = GetParam();
    const ts_cache_params p = one_level(s);
    const Machine m{1, 1, 1000000000};
    const uint64_t miss = cycles_of(p.memory_ps, m.hz);
    std::vector<Reuse> sets(s.sets);
    std::mt19937_64 random(s.sets * 1000 + s.ways);
    CacheRig rig(p, m);
    uint64_t hits = 0, at_edge = 0;

    ASSERT_EQ(rig.status, TS_OK) << rig.error.message;
    for (int i = 0; i < 30000; i++) {
        /* A few sets of the cache, each with half as many lines again as it has ways. */
        uint64_t set = random() % std::min<uint64_t>(s.sets, 8) * (s.sets > 8 ? s.sets / 8 : 1);
        uint64_t line = random() % (s.ways + (s.ways + 1) / 2) * s.sets + set;
        size_t distance = sets[set].next(line);
        bool hit = distance < s.ways;

        hits += hit;
        at_edge += distance == s.ways - 1 || distance == s.ways;
        ASSERT_EQ(rig.fetch(0, line * cache_line), hit ? p.l1_cycles : miss)
            << "access " << i << ", set " << set << ", distance " << distance;
    }
    EXPECT_GT(at_edge, 100u);
    EXPECT_EQ(rig.stats().l1_hits, hits);
    EXPECT_EQ(rig.stats().fetch_cycles, hits * p.l1_cycles + (30000 - hits) * miss);
}

TEST_P(Geometry, ALoopOverWhatFitsHitsAndOverOneLineMoreOfASetNeverDoes)
{
    const Shape s = GetParam();
    const ts_cache_params p = one_level(s);
    const uint64_t lines = s.sets * s.ways, rounds = 4;
    CacheRig rig(p, Machine{1, 1, 1000000000});
    CacheRig over(p, Machine{1, 1, 1000000000});

    for (uint64_t round = 0; round < rounds; round++)
        for (uint64_t line = 0; line < lines; line++)
            rig.fetch(0, line * cache_line);
    EXPECT_EQ(rig.stats().memory_local, lines);
    EXPECT_EQ(rig.stats().l1_hits, (rounds - 1) * lines);
    /* One line more: only its set, the first, thrashes. */
    for (uint64_t round = 0; round < rounds; round++)
        for (uint64_t line = 0; line <= lines; line++)
            over.fetch(0, line * cache_line);
    EXPECT_EQ(over.stats().memory_local, lines - s.ways + rounds * (s.ways + 1));
    EXPECT_EQ(over.stats().l1_hits, (rounds - 1) * (lines - s.ways));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Geometry,
                         ::testing::Values(Shape{1, 1}, Shape{1, 7}, Shape{1, 64}, Shape{2, 2},
                                           Shape{3, 1}, Shape{5, 3}, Shape{24, 11}, Shape{64, 8},
                                           Shape{100, 12}, Shape{128, 16}));

TEST(CacheFormula, TheL2SeesOnlyTheMissesOfTheL1)
{
    /* Both levels have one set, so the stream of each has a reuse distance of its own. */
    const uint64_t l1_ways = 3, l2_ways = 6, llc_ways = 9;
    ts_cache_params p = cache_defaults();
    Reuse l1, l2, llc;
    std::mt19937_64 random(11);
    struct ts_cache_stats expected = {};

    p.l1_ways = l1_ways;
    p.l1_bytes = l1_ways * cache_line;
    p.l2_ways = l2_ways;
    p.l2_bytes = l2_ways * cache_line;
    p.llc_ways = llc_ways;
    p.llc_bytes = llc_ways * cache_line;
    CacheRig rig(p, Machine{1, 1, 1000000000});
    for (int i = 0; i < 30000; i++) {
        uint64_t line = random() % 12;

        rig.fetch(0, line * cache_line);
        if (l1.next(line) < l1_ways)
            expected.l1_hits++;
        else if (l2.next(line) < l2_ways)
            expected.l2_hits++;
        else if (llc.next(line) < llc_ways)
            expected.llc_hits++;
        else
            expected.memory_local++;
    }
    EXPECT_GT(
        std::min({expected.l1_hits, expected.l2_hits, expected.llc_hits, expected.memory_local}),
        1000u);
    EXPECT_EQ(rig.stats().l1_hits, expected.l1_hits);
    EXPECT_EQ(rig.stats().l2_hits, expected.l2_hits);
    EXPECT_EQ(rig.stats().llc_hits, expected.llc_hits);
    EXPECT_EQ(rig.stats().memory_local, expected.memory_local);
    EXPECT_EQ(rig.stats().fetch_cycles,
              expected.l1_hits * p.l1_cycles + expected.l2_hits * p.l2_cycles +
                  expected.llc_hits * p.llc_cycles +
                  expected.memory_local * cycles_of(p.memory_ps, 1000000000));
}

TEST(CacheFormula, ALastLevelOf40960SetsHoldsAllItsBytes)
{
    /* 27.5 MiB of 11 ways, as 20 slices of Skylake-SP: no power of two. */
    ts_cache_params p = cache_defaults();
    const uint64_t bytes = 20 * UINT64_C(1441792);

    p.l1_bytes = p.l2_bytes = 0;
    p.llc_bytes = bytes;
    p.llc_ways = 11;
    CacheRig rig(p, Machine{1, 2, 1000000000});
    ASSERT_EQ(rig.status, TS_OK) << rig.error.message;
    for (uint64_t pa = 0; pa < bytes; pa += cache_line)
        rig.fetch(0, pa);
    EXPECT_EQ(rig.stats().memory_local, bytes / cache_line);
    for (uint64_t pa = 0; pa < bytes; pa += cache_line)
        rig.fetch(1, pa);
    EXPECT_EQ(rig.stats().llc_hits, bytes / cache_line);
}
