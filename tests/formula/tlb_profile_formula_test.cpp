/* SPDX-License-Identifier: Apache-2.0 */
/* The study tlb_profile against closed formulas. */
#include "sim/rng.h"
#include "tests/support/profile_rig.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace ts_test;

namespace
{

constexpr uint64_t kPage = 4096, kMiB = UINT64_C(1) << 20, kGiB = UINT64_C(1) << 30;

/* `passes` over the footprint in steps of `stride`, measured from the last on. */
Script cyclic(uint64_t bytes, uint64_t stride, int passes)
{
    std::vector<ts_op> ops = {op_mmap(0, bytes)};
    for (int i = 1; i < passes; i++)
        ops.push_back(op_touch(0, 0, bytes / stride, false, stride));
    ops.push_back(op_barrier(0, 1));
    ops.push_back(op_touch(0, 0, bytes / stride, false, stride));
    return {ops};
}

/* LRU under a cyclic stream: all that fits hits, nothing hits of what does not. */
TEST(TlbProfileFormula, CyclicStreamOverTwoLevels)
{
    for (uint64_t ways : {1u, 4u, 16u})
        for (uint64_t pages : {8u, 16u, 32u, 64u, 128u, 256u})
            for (uint64_t per_page : {1u, 4u}) {
                ProfileRig rig;
                rig.config.mmu.l1d_4k_ways = ways;
                rig.config.mmu.l2_ways = ways;
                auto out = rig.run(cyclic(pages * kPage, kPage / per_page, 3));
                ASSERT_EQ(out.status, TS_OK) << out.message;
                EXPECT_EQ(out.stats.accesses, pages * per_page);
                EXPECT_EQ(out.stats.l1_misses, pages <= 16 ? 0 : pages) << ways << " " << pages;
                EXPECT_EQ(out.stats.walks, pages <= 64 ? 0 : pages) << ways << " " << pages;
            }
}

/* A full LRU cache of C pages holds the next of F uniform ones with probability C/F, whatever came
 * before: hits are binomial. */
TEST(TlbProfileFormula, UniformRandomStream)
{
    constexpr uint64_t kSeed = 7, kAccesses = 40000;
    for (bool second_level : {false, true})
        for (uint64_t pages : {256u, 1024u, 4096u}) {
            ProfileRig rig;
            uint64_t entries = 128;
            ts_mmu_params &m = rig.config.mmu;
            m.l1d_4k_entries = m.l1d_4k_ways = second_level ? 0 : entries;
            m.l2_entries = m.l2_ways = second_level ? entries : 0;
            if (m.l1d_4k_ways == 0)
                m.l1d_4k_ways = 1;
            if (m.l2_ways == 0)
                m.l2_ways = 1;
            ts_rng rng;
            ts_rng_init(&rng, kSeed, "test", pages);
            std::vector<ts_op> ops = {op_mmap(0, pages * kPage),
                                      op_touch(0, 0, pages, false, kPage), op_barrier(0, 1)};
            for (uint64_t i = 0; i < kAccesses; i++)
                ops.push_back(op_touch(0, ts_rng_below(&rng, pages) * kPage, 1, false));
            auto out = rig.run({ops});
            ASSERT_EQ(out.status, TS_OK) << out.message;
            /* |hits - N C/F| <= 5 sqrt(N C/F (1 - C/F)), squared and times F^2. */
            auto error = static_cast<int64_t>((out.stats.accesses - out.stats.walks) * pages) -
                         static_cast<int64_t>(kAccesses * entries);
            EXPECT_LE(error * error,
                      static_cast<int64_t>(25 * kAccesses * entries * (pages - entries)))
                << "seed " << kSeed << ", " << pages << " pages: walks " << out.stats.walks;
        }
}

TEST(TlbProfileFormula, AStreamOfHitsCostsTheHit)
{
    for (uint64_t hit : {0u, 1u, 3u})
        for (uint64_t issue : {1u, 2u, 5u}) {
            ProfileRig rig;
            rig.config.mmu.l1_hit_cycles = hit;
            rig.params.issue_cycles = issue;
            auto out = rig.run(cyclic(16 * kPage, 64, 2));
            ASSERT_EQ(out.status, TS_OK) << out.message;
            EXPECT_EQ(out.stats.translation_cycles, out.stats.accesses * hit);
            EXPECT_EQ(out.stats.stream_cycles, out.stats.accesses * std::max(hit, issue));
            EXPECT_EQ(out.stats.elapsed_cycles, out.stats.stream_cycles);
            EXPECT_EQ(out.stats.l1_hits, out.stats.accesses);
        }
}

/* In order, each access waits for the one before: misses add up. */
TEST(TlbProfileFormula, InOrderMissesAddUp)
{
    ProfileRig rig;
    const ts_mmu_params &m = rig.config.mmu;
    auto out = rig.run(cyclic(1024 * kPage, kPage, 2));
    ASSERT_EQ(out.status, TS_OK) << out.message;
    uint64_t one = m.l1_hit_cycles + m.l2_hit_cycles + rig.walk_cycles();
    EXPECT_EQ(out.stats.walk_cycles, 1024 * rig.walk_cycles());
    EXPECT_EQ(out.stats.stream_cycles, 1024 * one);
    EXPECT_EQ(out.stats.stall_cycles, 1024 * (one - rig.params.issue_cycles));
}

TEST(TlbProfileFormula, ColdFetchesOfEveryRegime)
{
    struct Row {
        const char *granule;
        bool arm;
        std::vector<uint64_t> levels;
        std::vector<std::pair<const char *, uint64_t>> pages; /* and the level of the leaf */
    };
    const Row rows[] = {
        {"4k", false, {4, 5}, {{"base", 0}, {"large", 1}, {"giant", 2}}},
        {"4k", true, {4, 5}, {{"base", 0}, {"contiguous", 0}, {"large", 1}, {"giant", 2}}},
        {"16k", true, {3, 4}, {{"base", 0}, {"contiguous", 0}, {"large", 1}}},
        {"64k", true, {3}, {{"base", 0}, {"contiguous", 0}, {"large", 1}}},
    };
    for (const Row &row : rows)
        for (const char *frames : {"contiguous", "scattered"})
            for (uint64_t n : row.levels)
                for (const auto &page : row.pages) {
                    ProfileRig rig(row.arm);
                    rig.set("tlb_profile.granule", row.granule);
                    rig.set("tlb_profile.frames", frames);
                    rig.set("tlb_profile.page", page.first);
                    rig.config.mmu.levels = n;
                    Script script = {{op_mmap(0, 100 * kPage), op_touch(0, 50 * kPage, 1)}};
                    auto out = rig.run(script);
                    ASSERT_EQ(out.status, TS_OK) << out.message;
                    EXPECT_EQ(out.stats.walks, 1u);
                    EXPECT_EQ(out.stats.walk_fetches, n - page.second);
                    rig.set("tlb_profile.regime", "nested");
                    for (uint64_t m : row.levels)
                        for (const auto &backing : row.pages) {
                            rig.config.mmu.levels_stage2 = m;
                            rig.set("tlb_profile.backing", backing.first);
                            out = rig.run(script);
                            ASSERT_EQ(out.status, TS_OK) << out.message;
                            EXPECT_EQ(out.stats.walk_fetches,
                                      ProfileRig::cold_fetches(n - page.second, m - backing.second))
                                << row.granule << " " << n << " " << m << " " << page.first << " "
                                << backing.first;
                        }
                }
    EXPECT_EQ(ProfileRig::cold_fetches(4, 4), 24u);
    EXPECT_EQ(ProfileRig::cold_fetches(5, 5), 35u);
}

/* Every access walks. With n in flight and w walkers, the core makes min(n, w) walks at a time. */
TEST(TlbProfileFormula, WalkersBoundThroughput)
{
    constexpr uint64_t kPages = 4096;
    for (uint64_t walkers : {1u, 2u, 4u, 6u})
        for (uint64_t outstanding : {1u, 2u, 4u, 32u}) {
            ProfileRig rig;
            rig.config.mmu.walkers = walkers;
            rig.params.outstanding = outstanding;
            auto out = rig.run(cyclic(kPages * kPage, kPage, 1));
            ASSERT_EQ(out.status, TS_OK) << out.message;
            ASSERT_EQ(out.stats.walks, kPages);
            const ts_mmu_params &m = rig.config.mmu;
            uint64_t alone = m.l1_hit_cycles + m.l2_hit_cycles + rig.walk_cycles();
            /* A window that is not the bottleneck keeps the walkers busy from the first walk on. */
            uint64_t busy = kPages * rig.walk_cycles() / walkers;
            uint64_t window = kPages * alone / outstanding;
            uint64_t bound = std::max(busy, window);
            EXPECT_GE(out.stats.elapsed_cycles, bound) << walkers << " " << outstanding;
            EXPECT_LE(out.stats.elapsed_cycles, bound + 2 * alone + outstanding)
                << walkers << " " << outstanding;
            EXPECT_EQ(out.stats.walk_cycles, kPages * rig.walk_cycles());
        }
}

/* A second miss on a page joins the walk of the first. */
TEST(TlbProfileFormula, MissesOnOnePageMerge)
{
    ProfileRig rig;
    rig.params.outstanding = 8;
    auto out = rig.run({{op_mmap(0, kMiB), op_touch(0, 0, 8 * 100, false, kPage / 8)}});
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.walks, 100u);
    EXPECT_EQ(out.stats.merged, 7u * 100);
}

TEST(TlbProfileFormula, PagesCutColdMissesByTheirSize)
{
    struct Row {
        bool arm;
        const char *granule;
        const char *page;
        uint32_t shift;
    };
    const Row rows[] = {
        {false, "4k", "base", 12}, {false, "4k", "large", 21},      {false, "4k", "giant", 30},
        {true, "4k", "base", 12},  {true, "4k", "contiguous", 16},  {true, "4k", "large", 21},
        {true, "16k", "base", 14}, {true, "16k", "contiguous", 21}, {true, "16k", "large", 25},
        {true, "64k", "base", 16}, {true, "64k", "contiguous", 21}, {true, "64k", "large", 29},
    };
    constexpr uint64_t kBytes = kGiB / 4;
    for (const Row &row : rows)
        for (const char *regime : {"native", "nested"})
            for (const char *frames : {"contiguous", "scattered"}) {
                ProfileRig rig(row.arm);
                rig.set("tlb_profile.granule", row.granule);
                rig.set("tlb_profile.page", row.page);
                rig.set("tlb_profile.backing", row.page);
                rig.set("tlb_profile.regime", regime);
                rig.set("tlb_profile.frames", frames);
                if (std::string(row.granule) == "64k")
                    rig.config.mmu.levels = rig.config.mmu.levels_stage2 = 3;
                auto out = rig.run(cyclic(kBytes, kPage, 1));
                ASSERT_EQ(out.status, TS_OK) << out.message;
                EXPECT_EQ(out.stats.accesses, kBytes / kPage);
                EXPECT_EQ(out.stats.walks, std::max<uint64_t>(kBytes >> row.shift, 1))
                    << row.granule << " " << row.page << " " << regime << " " << frames;
            }
}

/* A run that the MMU does not know about is cached page by page. */
TEST(TlbProfileFormula, AnUnknownHintCutsNothing)
{
    ProfileRig rig(true);
    rig.set("tlb_profile.page", "contiguous");
    rig.config.mmu.contiguous = 0;
    auto out = rig.run(cyclic(16 * kMiB, kPage, 1));
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.walks, 16 * kMiB / kPage);
}

Script two_threads(uint64_t pages0, uint64_t pages1)
{
    Script script;
    for (uint32_t t = 0; t < 2; t++) {
        uint64_t pages = t == 0 ? pages0 : pages1;
        std::vector<ts_op> ops;
        ops.push_back(op_mmap(t, pages * kPage));
        for (int i = 0; i < 4; i++)
            ops.push_back(op_touch(t, 0, pages, false));
        ops.push_back(op_barrier(0, 2));
        for (int i = 0; i < 4; i++)
            ops.push_back(op_touch(t, 0, pages, false));
        script.push_back(ops);
    }
    return script;
}

/* Cyclic streams of two threads over an LRU of 16 entries: OWN gives each 16, PARTITION 8, SHARE
 * what the other leaves. */
TEST(TlbProfileFormula, SiblingsOwnPartitionOrShare)
{
    struct Row {
        uint64_t pages0, pages1;
        uint64_t misses[3]; /* in a measured pass of each: own, partition, share */
    };
    const Row rows[] = {
        {8, 8, {0, 0, 0}},
        {12, 4, {0, 12, 0}},
        {16, 16, {0, 32, 32}},
    };
    for (bool same_space : {true, false})
        for (const Row &row : rows)
            for (uint64_t smt : {TS_MMU_SMT_OWN, TS_MMU_SMT_PARTITION, TS_MMU_SMT_SHARE}) {
                ProfileRig rig;
                rig.params.streams = 2;
                rig.params.same_space = same_space;
                rig.config.mmu.l1_smt = smt;
                auto out = rig.run(two_threads(row.pages0, row.pages1), 2);
                ASSERT_EQ(out.status, TS_OK) << out.message;
                EXPECT_EQ(out.stats.accesses, 4 * (row.pages0 + row.pages1));
                EXPECT_EQ(out.stats.l1_misses, 4 * row.misses[smt])
                    << row.pages0 << "+" << row.pages1 << " smt " << smt;
            }
}

/* 4K tables of 1 GiB, with the address in one GiB: 512 of leaves, and one of each level above. In a
 * guest, stage 2 holds those of the GiB of frames and of the 515 frames of tables: a second path
 * from the root. */
TEST(TlbProfileFormula, TableBytes)
{
    ProfileRig rig;
    for (const char *frames : {"contiguous", "scattered"}) {
        rig.set("tlb_profile.frames", frames);
        auto out = rig.run(cyclic(kGiB, 2 * kMiB, 1));
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.table_bytes, (512 + 3) * kPage);
        EXPECT_EQ(out.stats.stage2_table_bytes, 0u);
        EXPECT_GT(out.stats.simulator_bytes, 0u);
    }
    rig.set("tlb_profile.frames", "contiguous");
    rig.set("tlb_profile.regime", "nested");
    auto out = rig.run(cyclic(kGiB, 2 * kMiB, 1));
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.stage1_table_bytes, (512 + 3) * kPage);
    EXPECT_EQ(out.stats.stage2_table_bytes, (1 + (1 + 1 + 512) + (1 + 1 + 2)) * kPage);
    rig.set("tlb_profile.backing", "large");
    out = rig.run(cyclic(kGiB, 2 * kMiB, 1));
    EXPECT_EQ(out.stats.stage2_table_bytes, (1 + (1 + 1) + (1 + 1)) * kPage);
}

/* Whole terabytes are mapped for the price of their runs. */
TEST(TlbProfileFormula, TerabytesCostKilobytes)
{
    ProfileRig rig;
    auto out = rig.run({{op_mmap(0, kGiB << 13), op_touch(0, 0, 8192, false, kGiB)}});
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.walks, 8192u);
    EXPECT_GE(out.stats.table_bytes, (kGiB << 13) / 512);
    EXPECT_LT(out.stats.simulator_bytes, kMiB);
}

} // namespace
