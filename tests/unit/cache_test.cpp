/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cache_rig.hpp"

#include <climits>
#include <cstring>
#include <set>
#include <string>

using namespace ts_test;

namespace
{

/* Every place answers with its own number of cycles. A set of each level has two ways. */
constexpr uint64_t l1 = 4, l2 = 14, llc = 46, local = 100, remote = 200;
constexpr uint64_t ghz = 1000000000;

ts_cache_params small()
{
    ts_cache_params p = cache_defaults();

    p.l1_bytes = 2 * 2 * cache_line;
    p.l1_ways = 2;
    p.l1_cycles = l1;
    p.l2_bytes = 4 * 2 * cache_line;
    p.l2_ways = 2;
    p.l2_cycles = l2;
    p.llc_bytes = 64 * 2 * cache_line;
    p.llc_ways = 2;
    p.llc_cycles = llc;
    p.memory_ps = local * TS_NS;
    p.memory_remote_ps = remote * TS_NS;
    return p;
}

/* At 1 GHz a nanosecond is a cycle. */
Machine machine(uint64_t sockets, uint64_t cores)
{
    return Machine{sockets, cores, ghz};
}

std::string failure(const ts_cache_params &params)
{
    CacheRig rig(params);

    EXPECT_EQ(rig.status, TS_ERR_USER);
    EXPECT_EQ(rig.cache, nullptr);
    return rig.error.message;
}

/* A value of the wrong size names its parameter and what it must be a multiple of. */
void expect_whole_sets(uint64_t ts_cache_params::*bytes, uint64_t ts_cache_params::*ways,
                       const std::string &name)
{
    ts_cache_params p = cache_defaults();
    uint64_t set = p.*ways * cache_line;
    std::string text;

    p.*bytes = 3 * set;
    EXPECT_EQ(CacheRig(p).status, TS_OK) << name;
    for (uint64_t wrong : {3 * set - 1, 3 * set + 1, 3 * set + cache_line, UINT64_C(1)}) {
        p.*bytes = wrong;
        text = failure(p);
        EXPECT_NE(text.find("cache." + name + "_bytes is " + std::to_string(wrong)),
                  std::string::npos)
            << text;
        EXPECT_NE(text.find("multiple of " + std::to_string(set) + ","), std::string::npos) << text;
        EXPECT_NE(text.find("cache." + name + "_ways"), std::string::npos) << text;
    }
    p.*bytes = 0;
    EXPECT_EQ(CacheRig(p).status, TS_OK) << name;
}

} // namespace

TEST(CacheParams, DefaultsMakeACacheAndTheFixedLatencyStaysTheDefault)
{
    ts_cache_params p = cache_defaults();

    EXPECT_EQ(p.walks, 0u);
    EXPECT_EQ(p.llc_bytes % (p.llc_ways * cache_line), 0u);
    EXPECT_EQ(CacheRig(p).status, TS_OK);
    EXPECT_STREQ(ts_cache_param_table.prefix, "cache");
}

TEST(CacheParams, EveryFieldHasOneRow)
{
    std::set<size_t> offsets;

    for (size_t i = 0; i < ts_cache_param_table.nrows; i++)
        offsets.insert(ts_cache_param_table.rows[i].offset);
    EXPECT_EQ(offsets.size(), ts_cache_param_table.nrows);
    EXPECT_EQ(ts_cache_param_table.nrows * sizeof(uint64_t), sizeof(ts_cache_params));
}

TEST(CacheParams, EveryBoundIsCheckedAndNamed)
{
    for (size_t i = 0; i < ts_cache_param_table.nrows; i++) {
        const ts_param &row = ts_cache_param_table.rows[i];
        ts_cache_params p = cache_defaults();
        auto *field = reinterpret_cast<uint64_t *>(reinterpret_cast<char *>(&p) + row.offset);

        for (uint64_t wrong : {row.max + 1, row.min - 1}) {
            if (wrong == UINT64_MAX)
                continue;
            *field = wrong;
            std::string text = failure(p);
            EXPECT_NE(text.find(std::string("cache.") + row.key + " is " + std::to_string(wrong)),
                      std::string::npos)
                << text;
            EXPECT_NE(text.find(std::to_string(row.max)), std::string::npos) << text;
        }
    }
}

TEST(CacheParams, ACacheIsWholeSets)
{
    expect_whole_sets(&ts_cache_params::l1_bytes, &ts_cache_params::l1_ways, "l1");
    expect_whole_sets(&ts_cache_params::l2_bytes, &ts_cache_params::l2_ways, "l2");
    expect_whole_sets(&ts_cache_params::llc_bytes, &ts_cache_params::llc_ways, "llc");
}

TEST(CacheParams, OneSetOfAllWaysIsACache)
{
    ts_cache_params p = small();

    p.l1_bytes = 3 * cache_line;
    p.l1_ways = 3;
    CacheRig rig(p, machine(1, 1));
    ASSERT_EQ(rig.status, TS_OK) << rig.error.message;
    for (uint64_t line : {1, 5, 70})
        EXPECT_EQ(rig.fetch(0, line * cache_line), local);
    for (uint64_t line : {1, 5, 70})
        EXPECT_EQ(rig.fetch(0, line * cache_line), l1);
}

TEST(Cache, ALineIs64Bytes)
{
    for (uint64_t base : {UINT64_C(0), UINT64_C(0x12345000), UINT64_MAX - cache_line + 1}) {
        CacheRig rig(small(), machine(1, 1));

        EXPECT_EQ(rig.fetch(0, base + 63), local);
        for (uint64_t byte : {0, 1, 8, 62, 63})
            EXPECT_EQ(rig.fetch(0, base + byte), l1) << byte;
        EXPECT_EQ(rig.fetch(0, base - 1), local);
        EXPECT_EQ(rig.fetch(0, base + cache_line), local);
    }
}

TEST(Cache, AnEmptyCacheHoldsNoAddress)
{
    CacheRig rig(small(), machine(1, 1));

    EXPECT_EQ(rig.fetch(0, 0), local);
    EXPECT_EQ(rig.fetch(0, UINT64_MAX), local);
    EXPECT_EQ(rig.stats().memory_local, 2u);
}

TEST(Cache, AMissFillsEveryLevelOnItsWay)
{
    /* One at a time is emptied by lines that share its set and no set of the level below it. */
    CacheRig rig(small(), machine(1, 1));

    EXPECT_EQ(rig.fetch(0, 0), local);
    EXPECT_EQ(rig.fetch(0, 2 * cache_line), local);
    EXPECT_EQ(rig.fetch(0, 6 * cache_line), local); /* third line of L1's set 0 */
    EXPECT_EQ(rig.fetch(0, 0), l2);
    EXPECT_EQ(rig.fetch(0, 0), l1);
    for (uint64_t line : {4, 8, 12}) /* of L2's set 0 */
        EXPECT_EQ(rig.fetch(0, line * cache_line), local);
    EXPECT_EQ(rig.fetch(0, 0), llc);
    EXPECT_EQ(rig.fetch(0, 0), l1);
    EXPECT_TRUE(rig.sums_hold());
}

TEST(Cache, TheLastLevelIsNotInclusive)
{
    CacheRig rig(small(), machine(1, 2));

    rig.fetch(0, 0);
    for (uint64_t i = 1; i <= 2; i++) /* of the last level's set 0, by the other core */
        EXPECT_EQ(rig.fetch(1, i * 64 * cache_line), local);
    EXPECT_EQ(rig.fetch(0, 0), l1);
    EXPECT_EQ(rig.fetch(1, 0), local);
}

TEST(Cache, CoresHaveTheirOwnL1AndL2)
{
    CacheRig rig(small(), machine(1, 3));

    EXPECT_EQ(rig.fetch(0, 0), local);
    EXPECT_EQ(rig.fetch(1, 0), llc);
    EXPECT_EQ(rig.fetch(2, 0), llc);
    for (uint32_t core = 0; core < 3; core++)
        EXPECT_EQ(rig.fetch(core, 0), l1);
    /* What pushes core 0's copies out leaves core 1's. */
    for (uint64_t line : {4, 8, 12})
        rig.fetch(0, line * cache_line);
    EXPECT_EQ(rig.fetch(1, 0), l1);
    EXPECT_EQ(rig.fetch(0, 0), llc);
}

TEST(Cache, GroupsOfCoresShareALastLevelWithinTheirSocket)
{
    for (uint64_t sockets : {1, 2, 3})
        for (uint64_t cores : {1, 2, 5, 8})
            for (uint64_t group : {0, 1, 2, 3, 4, 8, 100}) {
                ts_cache_params p = small();

                p.llc_cores = group;
                for (uint32_t first = 0; first < sockets * cores; first++) {
                    CacheRig rig(p, machine(sockets, cores));

                    ASSERT_EQ(rig.status, TS_OK) << rig.error.message;
                    rig.fetch(first, 0);
                    for (uint32_t other = 0; other < sockets * cores; other++) {
                        uint64_t size = group ? group : cores;
                        bool shared = first / cores == other / cores &&
                                      first % cores / size == other % cores / size;
                        uint64_t expected = first == other ? l1 : shared ? llc : local;

                        /* Only the first to ask in another group shows that group's state. */
                        if (expected == local && other % cores % size != 0)
                            continue;
                        EXPECT_EQ(rig.fetch(other, 0), expected)
                            << sockets << " x " << cores << " by " << group << ": " << first
                            << " to " << other;
                    }
                }
            }
}

TEST(Cache, LevelsCanBeAbsent)
{
    for (int present = 0; present < 8; present++) {
        ts_cache_params p = small();
        uint64_t expected = local;

        p.llc_bytes = present & 4 ? p.llc_bytes : 0;
        p.l2_bytes = present & 2 ? p.l2_bytes : 0;
        p.l1_bytes = present & 1 ? p.l1_bytes : 0;
        expected = p.llc_bytes ? llc : expected;
        expected = p.l2_bytes ? l2 : expected;
        for (uint64_t from_l2 : {1, 0}) {
            p.walk_from_l2 = from_l2;
            expected = p.l1_bytes && !from_l2 ? l1 : expected;
            CacheRig rig(p, machine(1, 1));
            ASSERT_EQ(rig.status, TS_OK) << rig.error.message;
            EXPECT_EQ(rig.fetch(0, 0), local);
            EXPECT_EQ(rig.fetch(0, 0), expected) << present << " from L2: " << from_l2;
            EXPECT_TRUE(rig.sums_hold());
        }
    }
}

TEST(Cache, AWalkerThatStartsAtTheL2LeavesTheL1Alone)
{
    ts_cache_params p = small();

    p.walk_from_l2 = 1;
    CacheRig rig(p, machine(1, 1));
    /* Neither is the line put there, nor does a fetch make it recent. */
    EXPECT_EQ(rig.fetch(0, 0), local);
    EXPECT_EQ(rig.fetch(0, 0), l2);
    EXPECT_EQ(rig.data(0, 0), l2);
    EXPECT_EQ(rig.data(0, 0), l1);
    EXPECT_EQ(rig.fetch(0, 0), l2);
    rig.data(0, 2 * cache_line);
    EXPECT_EQ(rig.fetch(0, 0), l2);
    rig.data(0, 6 * cache_line); /* pushes out line 0, though it was fetched since */
    EXPECT_EQ(rig.data(0, 2 * cache_line), l1);
    EXPECT_EQ(rig.data(0, 0), l2);
    EXPECT_EQ(rig.stats().l1_hits, 0u);
}

TEST(Cache, DataAndTablesCompete)
{
    CacheRig rig(small(), machine(1, 1));

    rig.fetch(0, 0);
    EXPECT_EQ(rig.data(0, 0), l1);
    rig.data(0, 4 * cache_line);
    rig.data(0, 8 * cache_line);
    EXPECT_EQ(rig.fetch(0, 0), llc);
    EXPECT_EQ(rig.stats().fetches, 2u);
    EXPECT_EQ(rig.stats().data_accesses, 3u);
    EXPECT_EQ(rig.stats().data_l1_hits, 1u);
    EXPECT_EQ(rig.stats().data_memory, 2u);
    EXPECT_EQ(rig.stats().fetch_cycles, local + llc);
    EXPECT_TRUE(rig.sums_hold());
}

TEST(CacheHome, LocalIsTheSocketThatAsks)
{
    ts_cache_params p = small();

    p.home = TS_CACHE_HOME_LOCAL;
    CacheRig rig(p, machine(3, 2));
    for (uint32_t core = 0; core < 6; core++)
        for (uint64_t frame = 0; frame < 7; frame++)
            /* Another line of the frame for each core, so that none was fetched before. */
            EXPECT_EQ(rig.fetch(core, frame * cache_frame + core * cache_line), local);
    EXPECT_EQ(rig.stats().memory_remote, 0u);
}

TEST(CacheHome, InterleaveGoesRoundTheSocketsByFrame)
{
    for (uint64_t sockets : {1, 2, 3, 4, 16})
        for (uint64_t size : {1, 2}) {
            ts_cache_params p = small();

            p.home = TS_CACHE_HOME_INTERLEAVE;
            p.l1_bytes = p.l2_bytes = p.llc_bytes = 0;
            CacheRig rig(p, machine(sockets, size));
            uint64_t nlocal = 0, accesses = 0;
            for (uint32_t core = 0; core < sockets * size; core++)
                for (uint64_t frame = 0; frame < 3 * sockets; frame++)
                    for (uint64_t byte : {UINT64_C(0), cache_frame - 1}) {
                        bool near = frame % sockets == core / size;
                        uint64_t pa = frame * cache_frame + byte;

                        EXPECT_EQ(rig.fetch(core, pa), near ? local : remote);
                        EXPECT_EQ(rig.data(core, pa), near ? local : remote);
                        nlocal += near;
                        accesses++;
                    }
            EXPECT_EQ(rig.stats().memory_local, nlocal);
            EXPECT_EQ(rig.stats().memory_remote, accesses - nlocal);
            EXPECT_EQ(rig.stats().data_memory, accesses);
            EXPECT_EQ(nlocal * sockets, accesses);
        }
}

TEST(Cache, AStudyOfFewCoresNeedsOnlyTheirs)
{
    ts_cache_params p = small();

    p.llc_cores = 2;
    for (uint32_t ncores = 1; ncores <= 8; ncores++) {
        CacheRig rig(p, machine(2, 4), ncores);

        ASSERT_EQ(rig.status, TS_OK) << rig.error.message;
        for (uint32_t core = 0; core < ncores; core++)
            EXPECT_EQ(rig.fetch(core, 0), core % 2 ? llc : local);
        EXPECT_DEATH(rig.fetch(ncores, 0), "core < c->ncores");
    }
}

TEST(CacheDeathTest, MoreCoresThanThereAreIsABug)
{
    EXPECT_DEATH(CacheRig(small(), machine(2, 4), 9), "ncores <= topology->nnodes");
}

TEST(Cache, TheCountersStartAgainAndTheContentsStay)
{
    CacheRig rig(small(), machine(1, 1));
    struct ts_cache_stats zero = {};

    rig.fetch(0, 0);
    rig.data(0, 0);
    ts_cache_stats_clear(rig.cache);
    EXPECT_EQ(memcmp(&rig.stats(), &zero, sizeof(zero)), 0);
    EXPECT_EQ(rig.fetch(0, 0), l1);
    EXPECT_EQ(rig.stats().fetches, 1u);
    EXPECT_EQ(rig.stats().l1_hits, 1u);
}

TEST(CacheStats, EveryFieldHasOneRow)
{
    std::set<size_t> offsets;

    for (size_t i = 0; i < ts_cache_stat_table.nrows; i++)
        offsets.insert(ts_cache_stat_table.rows[i].offset);
    EXPECT_EQ(offsets.size(), ts_cache_stat_table.nrows);
    EXPECT_EQ(ts_cache_stat_table.nrows * sizeof(uint64_t), sizeof(struct ts_cache_stats));
    EXPECT_STREQ(ts_cache_stat_table.group, "cache");
}

TEST(CacheStats, AWrongCountIsFound)
{
    /* One more of any counter of a sum breaks it; cycles are in none. */
    for (size_t i = 0; i < ts_cache_stat_table.nrows; i++) {
        const ts_stat &row = ts_cache_stat_table.rows[i];
        struct ts_cache_stats s = {};
        ts_error err{};

        EXPECT_EQ(ts_stat_check(&ts_cache_stat_table, &s, &err), TS_OK);
        *reinterpret_cast<uint64_t *>(reinterpret_cast<char *>(&s) + row.offset) += 1;
        EXPECT_EQ(ts_stat_check(&ts_cache_stat_table, &s, &err),
                  std::string(row.name) == "fetch_cycles" ? TS_OK : TS_ERR_FINDING)
            << row.name;
    }
}

TEST(Cache, NothingIsDestroyedForNull)
{
    ts_cache_destroy(nullptr);
}
