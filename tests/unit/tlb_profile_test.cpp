/* SPDX-License-Identifier: Apache-2.0 */
#include "models/study/tlb_profile_memory.h"
#include "tests/support/profile_rig.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

using namespace ts_test;

namespace
{

constexpr uint64_t kPage = 4096, kTwoMiB = UINT64_C(1) << 21, kGiB = UINT64_C(1) << 30;

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

ts_op op_mmap_at(uint32_t region, uint64_t address, uint64_t length)
{
    ts_op op = op_mmap(region, length);
    op.flags |= TS_OPF_AT;
    op.offset = address;
    return op;
}

TEST(TlbProfile, TablesAreWellFormed)
{
    const ts_study_ops &ops = ts_study_tlb_profile;
    EXPECT_EQ(ops.params->nrows, sizeof(ts_profile_params) / sizeof(uint64_t));
    EXPECT_EQ(ops.stats->nrows, sizeof(ts_profile_stats) / sizeof(uint64_t));
    std::set<std::string> counters, names;
    for (size_t i = 0; i < ops.stats->nrows; i++)
        EXPECT_TRUE(counters.insert(ops.stats->rows[i].name).second);
    for (size_t i = 0; i < ops.ncolumns; i++) {
        const ts_study_column &c = ops.columns[i];
        EXPECT_TRUE(names.insert(c.name).second) << c.name;
        EXPECT_TRUE(counters.count(c.numerator)) << c.name;
        EXPECT_TRUE(!c.denominator || counters.count(c.denominator)) << c.name;
    }
}

TEST(TlbProfile, PermutationsAreOneToOne)
{
    for (uint64_t count : {1, 2, 3, 5, 8, 17, 64, 100, 513, 4096, 10007})
        for (uint64_t key : {0, 1, 77}) {
            std::set<uint64_t> seen;
            for (uint64_t i = 0; i < count; i++) {
                uint64_t to = ts_profile_permute(key, i, count);
                EXPECT_LT(to, count);
                EXPECT_TRUE(seen.insert(to).second) << count << " " << key << " " << i;
            }
        }
    uint64_t moved = 0;
    for (uint64_t i = 0; i < 1000; i++)
        moved += ts_profile_permute(5, i, UINT64_C(1) << 40) != i;
    EXPECT_GE(moved, 999u);
}

TEST(TlbProfile, RefusesWhatCannotBe)
{
    ProfileRig x86, arm(true);
    EXPECT_EQ(x86.check(), "");
    EXPECT_EQ(arm.check(), "");
    auto refused = [](ProfileRig rig, std::vector<std::pair<const char *, const char *>> sets,
                      const char *part) {
        for (const auto &s : sets)
            rig.set(s.first, s.second);
        EXPECT_TRUE(has(rig.check(), part)) << part << ": " << rig.check();
        EXPECT_EQ(rig.run({{op_mmap(0, kPage), op_touch(0, 0, 1)}}).status, TS_ERR_USER);
    };
    refused(x86, {{"tlb_profile.granule", "16k"}}, "x86 has 4k only");
    refused(x86, {{"tlb_profile.granule", "64k"}}, "x86 has 4k only");
    refused(x86, {{"tlb_profile.page", "contiguous"}}, "no contiguous bit");
    refused(x86, {{"tlb_profile.backing", "contiguous"}, {"tlb_profile.regime", "nested"}},
            "tlb_profile.backing");
    refused(arm, {{"tlb_profile.granule", "16k"}, {"tlb_profile.page", "giant"}},
            "no page above large");
    refused(arm, {{"tlb_profile.granule", "64k"}, {"mmu.levels", "4"}}, "mmu.levels is 4");
    refused(arm, {{"mmu.levels", "3"}}, "mmu.levels is 3");
    refused(arm, {{"tlb_profile.granule", "16k"}, {"mmu.levels", "5"}}, "3 to 4 levels");
    refused(arm, {{"tlb_profile.regime", "nested"}, {"mmu.levels_stage2", "3"}},
            "mmu.levels_stage2");
    refused(x86, {{"tlb_profile.streams", "3"}}, "topology.threads_per_core");
    refused(x86, {{"tlb_profile.data_caches", "true"}}, "cache.walks");
    /* Without a stage 2 its parameters do not matter: experiments sweep the regime. */
    arm.set("mmu.levels_stage2", "3");
    arm.set("tlb_profile.backing", "giant");
    EXPECT_EQ(arm.check(), "");
}

TEST(TlbProfile, WhatIsInFrontOfTheBarrierDoesNotCount)
{
    ProfileRig rig;
    rig.config.cache.walks = 1;
    auto out = rig.run({{op_mmap(0, 100 * kPage), op_touch(0, 0, 100), op_ns(TS_OP_COMPUTE, 1000),
                         op_barrier(0, 1), op_touch(0, 0, 10)}});
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.accesses, 10u);
    EXPECT_EQ(out.mmu.accesses, 10u);
    EXPECT_EQ(out.stats.compute_cycles, 0u);
    EXPECT_EQ(out.cache.fetches, out.stats.walk_fetches);
    EXPECT_EQ(out.stats.cache_fetches, out.stats.walk_fetches);
    /* A second barrier 0, or another barrier, ends nothing. */
    auto more = rig.run(
        {{op_mmap(0, 100 * kPage), op_touch(0, 0, 100), op_barrier(0, 1), op_touch(0, 0, 10),
          op_barrier(0, 1), op_touch(0, 0, 10), op_barrier(1, 1), op_touch(0, 0, 10)}});
    EXPECT_EQ(more.stats.accesses, 30u);
    EXPECT_EQ(rig.run({{op_mmap(0, kPage), op_barrier(1, 1), op_touch(0, 0, 1)}}).stats.accesses,
              1u);
}

TEST(TlbProfile, KindsOfAccesses)
{
    ProfileRig rig;
    ts_op fetch = op_touch(1, 0, 4, false);
    fetch.flags = TS_OPF_FETCH;
    auto out = rig.run({{op_mmap(0, 8 * kPage), op_mmap(1, 4 * kPage), op_touch(0, 0, 8),
                         op_touch(0, 0, 8, false), fetch}});
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.data_accesses, 16u);
    EXPECT_EQ(out.stats.fetch_accesses, 4u);
    EXPECT_EQ(out.stats.walks, 12u);
    EXPECT_EQ(out.stats.fetch_walks, 4u);
    EXPECT_EQ(out.mmu.ad_updates, 0u);
}

TEST(TlbProfile, ComputationTakesWholeCyclesAndKeepsTheRest)
{
    ProfileRig rig; /* 2.5 GHz */
    auto out = rig.run({{op_mmap(0, kPage), op_ns(TS_OP_COMPUTE, 1), op_ns(TS_OP_COMPUTE, 1),
                         op_ns(TS_OP_SLEEP, 1), op_touch(0, 0, 1)}});
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.compute_cycles, 7u); /* of 7.5 */
    const ts_mmu_params &m = rig.config.mmu;
    EXPECT_EQ(out.stats.stream_cycles, 7 + m.l1_hit_cycles + m.l2_hit_cycles + rig.walk_cycles());
}

/* Pages one by one up to the ceiling, the address space above it: there the other region's entries
 * go too. */
TEST(TlbProfile, ClearedPagesAreInvalidated)
{
    for (bool arm : {false, true})
        for (ts_op_kind kind : {TS_OP_MADVISE_DONTNEED, TS_OP_MUNMAP})
            for (const char *regime : {"native", "nested"})
                for (bool above : {false, true}) {
                    ProfileRig rig(arm);
                    rig.config.mmu.l1d_4k_entries = rig.config.mmu.l1d_4k_ways = 1024;
                    rig.set("tlb_profile.regime", regime);
                    uint64_t pages = (arm ? 511 : 33) + above;
                    auto out = rig.run({{op_mmap(0, pages * kPage), op_mmap(1, kPage),
                                         op_touch(0, 0, pages), op_touch(1, 0, 1), op_barrier(0, 1),
                                         op_range(kind, 0, 0, pages * kPage), op_touch(1, 0, 1)}});
                    ASSERT_EQ(out.status, TS_OK) << out.message;
                    EXPECT_EQ(out.stats.pages_cleared, pages);
                    EXPECT_EQ(out.mmu.invalidations, above ? 1 : pages);
                    EXPECT_EQ(out.stats.walks, above ? 1u : 0u);
                    EXPECT_GT(out.stats.invalidation_cycles, 0u);
                }
}

TEST(TlbProfile, APageClearedAndTouchedAgainIsWalkedTo)
{
    for (const char *frames : {"contiguous", "scattered"}) {
        ProfileRig rig;
        rig.set("tlb_profile.frames", frames);
        rig.set("tlb_profile.regime", "nested");
        auto out = rig.run(
            {{op_mmap(0, 10 * kPage), op_touch(0, 0, 10), op_barrier(0, 1),
              op_range(TS_OP_MADVISE_DONTNEED, 0, 3 * kPage, 2 * kPage), op_touch(0, 0, 10)}});
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.pages_cleared, 2u);
        EXPECT_EQ(out.stats.walks, 2u);
        /* The same frames: the tables of both stages are as if nothing had happened. */
        auto untouched = rig.run({{op_mmap(0, 10 * kPage), op_touch(0, 0, 10)}});
        EXPECT_EQ(out.stats.table_bytes, untouched.stats.table_bytes);
    }
}

TEST(TlbProfile, UnmappedMemoryGivesItsTablesBack)
{
    ProfileRig rig;
    Script kept = {{op_mmap(0, kPage), op_mmap(1, 4 * kTwoMiB), op_touch(0, 0, 1)}};
    Script unmapped = kept;
    unmapped[0].push_back(op_touch(1, 0, 4 * 512));
    unmapped[0].push_back(op_range(TS_OP_MUNMAP, 1, 0, 4 * kTwoMiB));
    EXPECT_EQ(rig.run(unmapped).stats.table_bytes, rig.run(kept).stats.table_bytes);
    unmapped[0].push_back(op_touch(1, 0, 1));
    auto out = rig.run(unmapped);
    EXPECT_EQ(out.status, TS_ERR_USER);
    EXPECT_TRUE(has(out.message, "unmapped")) << out.message;
}

TEST(TlbProfile, MovedMemoryIsWalkedToAgain)
{
    ProfileRig rig;
    auto out = rig.run({{op_mmap(0, 8 * kPage), op_touch(0, 0, 8), op_barrier(0, 1),
                         op_mremap(0, 8 * kPage, 1, 12 * kPage), op_touch(1, 0, 12)}});
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.pages_cleared, 8u);
    EXPECT_EQ(out.stats.walks, 12u);
}

/* Recorded regions need not be aligned to the page: they share it. */
TEST(TlbProfile, RegionsAtTheirAddressesShareAPage)
{
    for (const char *frames : {"contiguous", "scattered"}) {
        ProfileRig rig;
        rig.set("tlb_profile.page", "large");
        rig.set("tlb_profile.backing", "large");
        rig.set("tlb_profile.frames", frames);
        rig.set("tlb_profile.regime", "nested");
        std::vector<ts_op> ops = {op_mmap_at(0, 7 * kGiB + kPage, 3 * kPage),
                                  op_mmap_at(1, 7 * kGiB + 5 * kPage, 600 * kPage),
                                  op_mmap(2, 8 * kGiB), /* keeps clear of both */
                                  op_touch(0, 0, 3),
                                  op_touch(1, 0, 600),
                                  op_touch(2, 0, 1),
                                  op_touch(2, 8 * kGiB - kPage, 1)};
        auto out = rig.run({ops});
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.walks, 4u) << frames;
        /* A neighbour's part of the page stays when one of them goes. */
        ops.push_back(op_barrier(0, 1));
        ops.push_back(op_range(TS_OP_MUNMAP, 1, 0, 600 * kPage));
        ops.push_back(op_touch(0, 0, 3));
        out = rig.run({ops});
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.walks, 0u);
    }
}

TEST(TlbProfile, RegionsBehindTheLastAddressAreRefused)
{
    ProfileRig rig; /* half of 48 bits */
    uint64_t end = UINT64_C(1) << 47;
    EXPECT_EQ(rig.run({{op_mmap_at(0, end - kPage, kPage), op_touch(0, 0, 1)}}).status, TS_OK);
    auto out = rig.run({{op_mmap_at(0, end - kPage, 2 * kPage), op_touch(0, 0, 1)}});
    EXPECT_EQ(out.status, TS_ERR_USER);
    EXPECT_TRUE(has(out.message, "mmu.levels")) << out.message;
    EXPECT_EQ(rig.run({{op_mmap(0, end)}}).status, TS_ERR_USER);
    rig.config.mmu.levels = 5;
    EXPECT_EQ(rig.run({{op_mmap_at(0, end - kPage, 2 * kPage), op_touch(0, 0, 2)}}).status, TS_OK);
    /* There is that much address space, but not that much memory. */
    out = rig.run({{op_mmap(0, end), op_touch(0, 0, 1)}});
    EXPECT_TRUE(has(out.message, "64 TiB")) << out.message;
}

TEST(TlbProfile, WorkloadsThatMakeNoSenseAreRefused)
{
    struct Row {
        Script script;
        uint32_t initial;
        const char *part;
    };
    const Row rows[] = {
        {{{op_mmap(0, kPage), op_touch(0, 0, 2)}}, 1, "behind its end"},
        {{{op_mmap(0, kPage), op_touch(0, kPage, 1)}}, 1, "behind its end"},
        {{{op_touch(3, 0, 1)}}, 1, "region 3, which nothing maps"},
        {{{op_mmap(0, kPage), op_mmap(0, kPage)}}, 1, "region 0 twice"},
        {{{op_mmap(0, 0)}}, 1, "0 bytes"},
        {{{op_range(TS_OP_MUNMAP, 0, 0, kPage)}}, 1, "which nothing maps"},
        {{{op_mmap(0, kPage), op_spawn(1)}, {}}, 1, "tlb_profile.streams is 1"},
        {{{op_mmap(0, kPage)}, {op_touch(0, 0, 1)}}, 2, "tlb_profile.streams is 1"},
        {{{op_mmap(0, kPage), op_barrier(0, 2)}}, 1, "tlb_profile.streams is 1"},
        {{{op_mmap(0, kPage)}}, 1, "nothing to measure"},
        {{{op_mmap(0, kPage), op_touch(0, 0, 1), op_barrier(0, 1)}}, 1, "nothing to measure"},
    };
    for (const Row &row : rows) {
        auto out = ProfileRig().run(row.script, row.initial);
        EXPECT_EQ(out.status, TS_ERR_USER) << row.part;
        EXPECT_TRUE(has(out.message, row.part)) << row.part << ": " << out.message;
    }
    const Row two_streams[] = {
        {{{op_mmap(0, kPage), op_touch(0, 0, 1)}}, 1, "has no thread 1"},
        {{{op_barrier(4, 2)}, {}}, 2, "waits at barrier 4 for ever"},
        {{{op_spawn(1, TS_OPF_NEW_MM)}, {}}, 1, "tlb_profile.same_space"},
        {{{op_spawn(1), op_spawn(1)}, {}}, 1, "thread 1 twice"},
        {{{op_spawn(2)}, {}, {}}, 2, "tlb_profile.streams is 2"},
    };
    for (const Row &row : two_streams) {
        ProfileRig rig;
        rig.params.streams = 2;
        auto out = rig.run(row.script, row.initial);
        EXPECT_EQ(out.status, TS_ERR_USER) << row.part;
        EXPECT_TRUE(has(out.message, row.part)) << row.part << ": " << out.message;
    }
}

/* Thread 1 touches what thread 0 maps later; each then makes two accesses. */
TEST(TlbProfile, StreamsStartWaitAndMeet)
{
    for (bool same_space : {true, false}) {
        ProfileRig rig;
        rig.params.streams = 2;
        rig.params.same_space = same_space;
        auto out = rig.run({{op_spawn(1), op_ns(TS_OP_COMPUTE, 40), op_mmap(0, 2 * kPage),
                             op_touch(0, 0, 2), op_barrier(7, 2)},
                            {op_touch(0, 0, 2), op_barrier(7, 2)}});
        ASSERT_EQ(out.status, TS_OK) << out.message;
        const ts_mmu_params &m = rig.config.mmu;
        uint64_t miss = m.l1_hit_cycles + m.l2_hit_cycles + rig.walk_cycles();
        EXPECT_EQ(out.stats.accesses, 4u);
        EXPECT_EQ(out.stats.walks, 4u);
        EXPECT_EQ(out.stats.compute_cycles, 100u); /* 40 ns */
        EXPECT_EQ(out.stats.wait_cycles, 100u);
        EXPECT_EQ(out.stats.elapsed_cycles, 100 + 2 * miss);
        EXPECT_EQ(out.stats.stream_cycles, 2 * (100 + 2 * miss));
    }
}

/* Two processes have tables of their own for the same addresses, two threads share them. */
TEST(TlbProfile, SpacesHaveTheirOwnTables)
{
    ProfileRig rig;
    rig.params.streams = 2;
    Script script = {{op_mmap(0, kGiB), op_touch(0, 0, 10)}, {op_touch(0, 0, 10)}};
    auto threads = rig.run(script, 2);
    ASSERT_EQ(threads.status, TS_OK) << threads.message;
    rig.params.same_space = 0;
    auto processes = rig.run(script, 2);
    ASSERT_EQ(processes.status, TS_OK) << processes.message;
    EXPECT_EQ(processes.stats.table_bytes, 2 * threads.stats.table_bytes);
}

/* An unmap by one thread reaches its sibling, but not another process. */
TEST(TlbProfile, SiblingsOfTheSpaceAreInvalidatedToo)
{
    for (bool same_space : {true, false}) {
        ProfileRig rig;
        rig.params.streams = 2;
        rig.params.same_space = same_space;
        auto out =
            rig.run({{op_mmap(0, 2 * kPage), op_touch(0, 0, 2), op_barrier(0, 2),
                      op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 2 * kPage), op_barrier(1, 2)},
                     {op_touch(0, 0, 2), op_barrier(0, 2), op_barrier(1, 2), op_touch(0, 0, 2)}},
                    2);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.walks, same_space ? 2u : 0u);
    }
}

TEST(TlbProfile, DataAccessesCompeteInTheCaches)
{
    ProfileRig rig;
    rig.config.cache.walks = 1;
    rig.config.cache.walk_from_l2 = 0;
    /* A line of each page, each in another set. */
    auto hot = [] {
        ts_op pages = op_touch(0, 0, 8, true, kPage + 64);
        return Script{{op_mmap(0, 8 * kPage), pages, op_barrier(0, 1), pages, pages}};
    };
    auto without = rig.run(hot());
    ASSERT_EQ(without.status, TS_OK) << without.message;
    EXPECT_EQ(without.stats.data_cycles, 0u);
    EXPECT_EQ(without.cache.data_accesses, 0u);
    rig.params.data_caches = 1;
    auto with = rig.run(hot());
    ASSERT_EQ(with.status, TS_OK) << with.message;
    EXPECT_EQ(with.cache.data_accesses, 16u);
    EXPECT_EQ(with.stats.data_cycles, 16 * rig.config.cache.l1_cycles);
    EXPECT_EQ(with.stats.stream_cycles, without.stats.translation_cycles + with.stats.data_cycles);
}

Script two_streams()
{
    return {{op_mmap(0, 512 * kTwoMiB), op_touch(0, 0, 2000, true, 65 * kPage), op_barrier(0, 2),
             op_touch(0, 0, 2000, true, 65 * kPage)},
            {op_touch(0, kTwoMiB, 2000, false, 33 * kPage), op_barrier(0, 2),
             op_touch(0, kTwoMiB, 2000, false, 33 * kPage)}};
}

TEST(TlbProfile, TheSameSeedGivesTheSameRun)
{
    auto run = [](uint64_t seed) {
        ProfileRig rig;
        rig.set("tlb_profile.frames", "scattered");
        rig.set("tlb_profile.regime", "nested");
        rig.set("tlb_profile.backing", "large");
        rig.set("mmu.replacement", "random");
        rig.config.cache.walks = 1;
        rig.config.mmu.nested_entries = rig.config.mmu.nested_ways = 16;
        rig.params.outstanding = 8;
        rig.params.streams = 2;
        return rig.run(two_streams(), 2, seed);
    };
    auto a = run(3), b = run(3), c = run(4);
    ASSERT_EQ(a.status, TS_OK) << a.message;
    EXPECT_EQ(std::memcmp(&a.stats, &b.stats, sizeof(a.stats)), 0);
    EXPECT_EQ(std::memcmp(&a.mmu, &b.mmu, sizeof(a.mmu)), 0);
    EXPECT_EQ(std::memcmp(&a.cache, &b.cache, sizeof(a.cache)), 0);
    EXPECT_NE(std::memcmp(&a.stats, &c.stats, sizeof(a.stats)), 0);
}

} // namespace
