/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/range.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace
{

constexpr uint64_t kPage = 4096;
constexpr uint64_t kGiB = UINT64_C(1) << 30;
constexpr uint64_t kBlock = 1 << 16; /* what BaseADDR counts with LPA2 */
constexpr uint32_t kOps = TS_RANGE_OPS_MAX;

ts_range_format format(uint32_t granule, bool lpa2 = false, uint8_t ttl = 0)
{
    ts_range_format f{};
    f.granule = static_cast<uint8_t>(granule);
    f.lpa2 = lpa2;
    f.ttl_level = ttl;
    return f;
}

uint64_t pageOf(const ts_range_format &f)
{
    return kPage << 2 * f.granule;
}

/* As it comes out of the instructions: range operations through their operand. Returns false with a
 * message if the operations do not cover [start, start + pages) exactly once, in order. */
::testing::AssertionResult covers(enum ts_range_split split, const ts_range_format &f,
                                  uint64_t start, uint64_t pages)
{
    ts_range_op ops[TS_RANGE_OPS_MAX_LPA2];
    uint32_t most = f.lpa2 ? TS_RANGE_OPS_MAX_LPA2 : TS_RANGE_OPS_MAX;
    bool fault = true;
    uint32_t n = ts_range_split_of(split, &f, start, pages, ops, most, &fault);
    if (fault)
        return ::testing::AssertionFailure() << pages << " pages: fault";
    uint64_t at = start;
    for (uint32_t i = 0; i < n; i++) {
        ts_range_op op = ops[i];
        if (op.range) {
            uint16_t asid = 0;
            ts_range_format seen{};
            op = ts_range_decode_of(ts_range_encode_of(&f, 0xabcd, &ops[i]), f.lpa2, &asid, &seen);
            if (asid != 0xabcd || op.scale != ops[i].scale || op.num != ops[i].num ||
                seen.granule != f.granule || seen.lpa2 != f.lpa2 || seen.ttl_level != f.ttl_level)
                return ::testing::AssertionFailure() << pages << " pages: operand " << i;
            if (op.pages != (op.num + UINT64_C(1)) << (5 * op.scale + 1))
                return ::testing::AssertionFailure() << pages << " pages: length of " << i;
        } else if (op.pages != 1) {
            return ::testing::AssertionFailure() << pages << " pages: single of " << op.pages;
        }
        if (op.start != at || op.pages != ops[i].pages)
            return ::testing::AssertionFailure() << pages << " pages: gap before " << i;
        at += op.pages * pageOf(f);
    }
    if (at != start + pages * pageOf(f))
        return ::testing::AssertionFailure() << pages << " pages: ends at " << at;
    return ::testing::AssertionSuccess();
}

/* A splitter and a granule. */
class Split : public ::testing::TestWithParam<std::tuple<enum ts_range_split, uint32_t>>
{
  protected:
    enum ts_range_split split() const
    {
        return std::get<0>(GetParam());
    }
    ts_range_format plain() const
    {
        return format(std::get<1>(GetParam()));
    }
};

TEST_P(Split, CoversEveryCountTo70000ExactlyWithAtMostFiveOperations)
{
    for (uint64_t pages = 0; pages <= 70000; pages++)
        ASSERT_TRUE(covers(split(), plain(), 0, pages));
}

TEST_P(Split, CoversRandomCountsAndStarts)
{
    constexpr uint64_t seed = 20240405;
    std::mt19937_64 random(seed);
    for (int i = 0; i < 100000; i++) {
        uint64_t pages = random() % TS_RANGE_MAX_PAGES;
        uint64_t start = (random() & ((UINT64_C(1) << 47) - 1)) / pageOf(plain()) * pageOf(plain());
        if (i % 4 == 0)
            start |= UINT64_C(0xffff) << 48; /* a kernel address */
        ASSERT_TRUE(covers(split(), plain(), start, pages))
            << "seed " << seed << " case " << i << " start " << start;
    }
}

TEST_P(Split, CoversTheCountsAroundEachScale)
{
    for (uint32_t shift = 1; shift <= 21; shift++)
        for (int64_t delta = -3; delta <= 3; delta++) {
            auto pages = (INT64_C(1) << shift) + delta;
            if (pages >= 0 && pages < static_cast<int64_t>(TS_RANGE_MAX_PAGES)) {
                ASSERT_TRUE(
                    covers(split(), plain(), 64 * pageOf(plain()), static_cast<uint64_t>(pages)));
            }
        }
}

INSTANTIATE_TEST_SUITE_P(
    Both, Split,
    ::testing::Combine(::testing::Values(TS_RANGE_SPLIT_LEGACY, TS_RANGE_SPLIT_MODERN),
                       ::testing::Values(TS_GRANULE_4K, TS_GRANULE_16K, TS_GRANULE_64K)),
    [](const auto &test) {
        std::string name = std::get<0>(test.param) == TS_RANGE_SPLIT_LEGACY ? "Legacy" : "Modern";
        return name + std::to_string(4 << 2 * std::get<1>(test.param)) + "K";
    });

uint32_t operations(enum ts_range_split split, uint64_t pages)
{
    ts_range_op ops[kOps];
    bool fault;
    return ts_range_split(split, 0, pages, ops, kOps, &fault);
}

TEST(Range, OperationCountsOfTheKernel)
{
    for (enum ts_range_split split : {TS_RANGE_SPLIT_LEGACY, TS_RANGE_SPLIT_MODERN}) {
        EXPECT_EQ(operations(split, 511), 3u);
        EXPECT_EQ(operations(split, 512), 1u);
        EXPECT_EQ(operations(split, 513), 2u);
        EXPECT_EQ(operations(split, kGiB / kPage), 1u);
        EXPECT_EQ(operations(split, 65535), 4u);
    }
}

TEST(Range, FiveOperationsAreNeededAndEnough)
{
    /* One bit a scale and an odd page. */
    uint64_t pages = 1 + 2 + 64 + 2048 + 65536;
    EXPECT_EQ(operations(TS_RANGE_SPLIT_LEGACY, pages), 5u);
    EXPECT_EQ(operations(TS_RANGE_SPLIT_MODERN, pages), 5u);
}

/* The kernel's loop comes to scale 4 with num 0. Its bit falls on TG; the operand names two pages,
 * or with 16K pages another granule, and the kernel believes that all is done. */
TEST(Range, LegacySplitterFaultsAtTwoToThe21Pages)
{
    ts_range_op ops[kOps];
    for (uint32_t granule : {TS_GRANULE_4K, TS_GRANULE_16K, TS_GRANULE_64K}) {
        ts_range_format f = format(granule);
        uint64_t start = 3 * pageOf(f);
        bool fault = false;
        uint32_t n = ts_range_split_of(TS_RANGE_SPLIT_LEGACY, &f, start, TS_RANGE_MAX_PAGES, ops,
                                       kOps, &fault);
        EXPECT_TRUE(fault);
        EXPECT_EQ(n, granule == TS_GRANULE_16K ? 0u : 1u);
        if (n == 1) {
            EXPECT_TRUE(ops[0].range);
            EXPECT_EQ(ops[0].start, start);
            EXPECT_EQ(ops[0].pages, 2u);
        }
        ts_range_split_of(TS_RANGE_SPLIT_LEGACY, &f, start, TS_RANGE_MAX_PAGES - 1, ops, kOps,
                          &fault);
        EXPECT_FALSE(fault);
    }
}

TEST(Range, LegacySplittersOperandForTwoToThe21Pages)
{
    constexpr uint64_t start = kGiB;
    EXPECT_EQ(ts_range_operand_raw(TS_GRANULE_4K, 0, start, 4, 0),
              UINT64_C(1) << 46 | start >> 12); /* TG 4K, SCALE 0, NUM 0 */
    EXPECT_EQ(ts_range_operand_raw(TS_GRANULE_16K, 0, start, 4, 0),
              UINT64_C(3) << 46 | start >> 14); /* TG 64K */
    EXPECT_EQ(ts_range_operand_raw(TS_GRANULE_64K, 0, start, 4, 0),
              UINT64_C(3) << 46 | start >> 16);
    uint16_t asid;
    ts_range_format seen;
    ts_range_op op = ts_range_decode_of(ts_range_operand_raw(TS_GRANULE_16K, 0, start, 4, 0), false,
                                        &asid, &seen);
    EXPECT_EQ(seen.granule, TS_GRANULE_64K);
    EXPECT_EQ(op.start, 4 * start); /* and another place */
}

/* The operand that the mail of the fix quotes, for 8G from 1G on: 512M, in an ASID that a stage-2
 * operation ignores. */
TEST(Range, TheOperandOfTheMailThatReportedTheFault)
{
    uint64_t operand = ts_range_operand_raw(TS_GRANULE_4K, 0, kGiB, -9, 1);
    EXPECT_EQ(operand, UINT64_C(0xffff708000040000));
    uint16_t asid;
    ts_range_op op = ts_range_decode(operand, &asid);
    EXPECT_EQ(op.start, kGiB);
    EXPECT_EQ(op.pages * kPage, kGiB / 2);
    EXPECT_EQ(asid, 0xffff);
}

TEST(Range, ModernSplitterCoversTwoToThe21PagesWithOneOperation)
{
    for (uint32_t granule : {TS_GRANULE_4K, TS_GRANULE_16K, TS_GRANULE_64K})
        EXPECT_TRUE(covers(TS_RANGE_SPLIT_MODERN, format(granule), 0, TS_RANGE_MAX_PAGES));
    EXPECT_EQ(operations(TS_RANGE_SPLIT_MODERN, TS_RANGE_MAX_PAGES), 1u);
}

/* BaseADDR counts 64K: single pages up to the first boundary, then as ever. */
TEST(Range, Lpa2StartsWithSinglePagesUpToTheNext64K)
{
    for (uint32_t granule : {TS_GRANULE_4K, TS_GRANULE_16K, TS_GRANULE_64K}) {
        ts_range_format f = format(granule, true);
        uint64_t a_block = kBlock / pageOf(f);
        for (uint64_t first = 0; first < a_block; first++)
            for (uint64_t pages = 0; pages <= 3000; pages++) {
                uint64_t start = 5 * kBlock + first * pageOf(f);
                ASSERT_TRUE(covers(TS_RANGE_SPLIT_MODERN, f, start, pages)) << first;
                ts_range_op ops[TS_RANGE_OPS_MAX_LPA2];
                bool fault;
                uint32_t n = ts_range_split_of(TS_RANGE_SPLIT_MODERN, &f, start, pages, ops,
                                               TS_RANGE_OPS_MAX_LPA2, &fault);
                uint64_t singles = std::min((a_block - first) % a_block, pages);
                for (uint32_t i = 0; i < n; i++) {
                    bool last_odd = i == n - 1 && (pages - singles) % 2 == 1;
                    ASSERT_EQ(ops[i].range, i >= singles && !last_odd) << first << " " << pages;
                }
            }
    }
    constexpr uint64_t seed = 77;
    std::mt19937_64 random(seed);
    for (int i = 0; i < 50000; i++) {
        ts_range_format f = format(static_cast<uint32_t>(random() % TS_GRANULES), true);
        uint64_t start = (random() & ((UINT64_C(1) << 51) - 1)) / pageOf(f) * pageOf(f);
        ASSERT_TRUE(covers(TS_RANGE_SPLIT_MODERN, f, start, random() % (TS_RANGE_MAX_PAGES + 1)))
            << "seed " << seed << " case " << i;
    }
}

/* The hint's level is counted from the other end: 3 is the last. */
TEST(Range, TtlIsEncodedAndMustFitTheStart)
{
    ts_range_op op{};
    op.range = true;
    for (uint32_t granule : {TS_GRANULE_4K, TS_GRANULE_16K, TS_GRANULE_64K})
        for (uint8_t level = 0; level < 3; level++) {
            ts_range_format f = format(granule, false, static_cast<uint8_t>(1 + level));
            uint64_t block = pageOf(f) << (9 + 2 * granule) * level;
            op.start = 3 * block;
            EXPECT_TRUE(ts_range_ttl_is_valid(&f, op.start));
            EXPECT_FALSE(ts_range_ttl_is_valid(&f, op.start + block / 2));
            uint64_t operand = ts_range_encode_of(&f, 7, &op);
            EXPECT_EQ(operand >> 37 & 3, 3u - level);
            EXPECT_EQ(operand >> 46 & 3, granule + 1);
            uint16_t asid;
            ts_range_format seen{};
            EXPECT_EQ(ts_range_decode_of(operand, false, &asid, &seen).start, op.start);
            EXPECT_EQ(seen.ttl_level, f.ttl_level);
        }
    ts_range_format none = format(TS_GRANULE_4K), top = format(TS_GRANULE_4K, false, 4);
    EXPECT_TRUE(ts_range_ttl_is_valid(&none, kPage));
    EXPECT_FALSE(ts_range_ttl_is_valid(&top, 0)); /* level 0 of the architecture has no code */
}

TEST(Range, TheOrdersDiffer)
{
    ts_range_op up[kOps], down[kOps];
    bool fault;
    uint64_t pages = 3 * 2048 + 5 * 64 + 7 * 2 + 1;
    ASSERT_EQ(ts_range_split(TS_RANGE_SPLIT_LEGACY, 0, pages, up, kOps, &fault), 4u);
    ASSERT_EQ(ts_range_split(TS_RANGE_SPLIT_MODERN, 0, pages, down, kOps, &fault), 4u);
    const uint64_t counts[] = {1, 7 * 2, 5 * 64, 3 * 2048};
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT_EQ(up[i].pages, counts[i]);
        EXPECT_EQ(down[i].pages, counts[3 - i]);
    }
}

TEST(Range, WithoutTheFeatureOneOperationAPageUpToTheLimit)
{
    ts_range_op ops[4];
    bool fault = true;
    ASSERT_EQ(ts_range_split(TS_RANGE_SPLIT_PAGES, kPage, 3, ops, 4, &fault), 3u);
    EXPECT_FALSE(fault);
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_FALSE(ops[i].range);
        EXPECT_EQ(ops[i].pages, 1u);
        EXPECT_EQ(ops[i].start, (i + 1) * kPage);
    }
    EXPECT_EQ(ts_range_split(TS_RANGE_SPLIT_PAGES, 0, TS_RANGE_MAX_PAGES + 9, ops, 4, &fault), 4u);
}

/* Arm ARM: ASID [63:48], TG [47:46], SCALE [45:44], NUM [43:39], TTL [38:37], BaseADDR [36:0]. */
TEST(Range, OperandFieldsAreWhereTheManualHasThem)
{
    ts_range_op op{};
    op.range = true;
    op.scale = 2;
    op.num = 21;
    op.start = UINT64_C(0x123456789) << 12;
    EXPECT_EQ(ts_range_encode(0x8001, &op), UINT64_C(0x8001) << 48 | UINT64_C(1) << 46 |
                                                UINT64_C(2) << 44 | UINT64_C(21) << 39 |
                                                UINT64_C(0x123456789));
}

/* --- KVM's flush of a range of guest-physical addresses ----------------------------------------
 */

std::vector<ts_range_step> stepsOf(enum ts_range_split split, const ts_range_format &f,
                                   uint64_t start, uint64_t pages)
{
    std::vector<ts_range_step> all;
    ts_range_vmid_flush flush;
    ts_range_step step;
    ts_range_vmid_begin(&flush, split, &f, start, pages);
    while (ts_range_vmid_next(&flush, &step))
        all.push_back(step);
    EXPECT_FALSE(ts_range_vmid_next(&flush, &step));
    return all;
}

/* 2^21 pages a chunk: 8G, 32G, 128G. */
TEST(RangeVmid, ASlotIsFlushedInChunksOfTwoToThe21Pages)
{
    for (uint32_t granule : {TS_GRANULE_4K, TS_GRANULE_16K, TS_GRANULE_64K}) {
        ts_range_format f = format(granule);
        uint64_t chunk = TS_RANGE_MAX_PAGES * pageOf(f);
        for (uint64_t bytes : {chunk, 128 * kGiB, 16 * chunk}) {
            ts_range_vmid_counts c =
                ts_range_vmid_count(TS_RANGE_SPLIT_MODERN, &f, kGiB, bytes / pageOf(f));
            uint64_t chunks = (bytes + chunk - 1) / chunk;
            EXPECT_EQ(c.chunks, chunks);
            EXPECT_EQ(c.steps[TS_RANGE_STEP_RIPAS2E1], chunks);
            EXPECT_EQ(c.steps[TS_RANGE_STEP_IPAS2E1], 0u);
            EXPECT_EQ(c.steps[TS_RANGE_STEP_VMALLE1], chunks);
            EXPECT_EQ(c.steps[TS_RANGE_STEP_VMALLS12E1], 0u);
            EXPECT_EQ(c.steps[TS_RANGE_STEP_DSB_ISH], 2 * chunks);
            EXPECT_EQ(c.steps[TS_RANGE_STEP_DSB_ISHST], chunks);
            EXPECT_EQ(c.faults, 0u);
        }
    }
}

TEST(RangeVmid, ASlotOf128GTakes16ChunksAnd32Dsb)
{
    ts_range_format f = format(TS_GRANULE_4K);
    ts_range_vmid_counts c = ts_range_vmid_count(TS_RANGE_SPLIT_MODERN, &f, 0, 128 * kGiB / kPage);
    EXPECT_EQ(c.chunks, 16u);
    EXPECT_EQ(c.steps[TS_RANGE_STEP_RIPAS2E1], 16u);
    EXPECT_EQ(c.steps[TS_RANGE_STEP_VMALLE1], 16u);
    EXPECT_EQ(c.steps[TS_RANGE_STEP_DSB_ISH], 32u);
}

TEST(RangeVmid, EachChunkDropsStage2ThenStage1WithADsbBehindEach)
{
    ts_range_format f = format(TS_GRANULE_4K);
    uint64_t pages = 2 * TS_RANGE_MAX_PAGES + 511;
    std::vector<ts_range_step> steps = stepsOf(TS_RANGE_SPLIT_MODERN, f, kGiB, pages);
    size_t i = 0;
    uint64_t at = kGiB;
    for (uint64_t left = pages; left > 0;) {
        uint64_t chunk = std::min<uint64_t>(left, TS_RANGE_MAX_PAGES);
        ASSERT_LT(i, steps.size());
        EXPECT_EQ(steps[i++].kind, TS_RANGE_STEP_DSB_ISHST);
        for (uint64_t end = at + chunk * kPage; at < end;) {
            ASSERT_LT(i, steps.size());
            const ts_range_step &s = steps[i++];
            EXPECT_EQ(s.kind, s.op.range ? TS_RANGE_STEP_RIPAS2E1 : TS_RANGE_STEP_IPAS2E1);
            EXPECT_EQ(s.op.start, at);
            ASSERT_GT(s.op.pages, 0u);
            at += s.op.pages * kPage;
        }
        for (ts_range_step_kind kind :
             {TS_RANGE_STEP_DSB_ISH, TS_RANGE_STEP_VMALLE1, TS_RANGE_STEP_DSB_ISH}) {
            ASSERT_LT(i, steps.size());
            EXPECT_EQ(steps[i++].kind, kind);
        }
        left -= chunk;
    }
    EXPECT_EQ(i, steps.size());
    EXPECT_EQ(at, kGiB + pages * kPage);
}

TEST(RangeVmid, WithoutTheFeatureOneVmalls12HoweverLarge)
{
    ts_range_format f = format(TS_GRANULE_4K);
    for (uint64_t pages : {UINT64_C(1), TS_RANGE_MAX_PAGES, 128 * kGiB / kPage}) {
        std::vector<ts_range_step> steps = stepsOf(TS_RANGE_SPLIT_PAGES, f, 0, pages);
        ASSERT_EQ(steps.size(), 3u);
        EXPECT_EQ(steps[0].kind, TS_RANGE_STEP_DSB_ISHST);
        EXPECT_EQ(steps[1].kind, TS_RANGE_STEP_VMALLS12E1);
        EXPECT_EQ(steps[2].kind, TS_RANGE_STEP_DSB_ISH);
    }
}

TEST(RangeVmid, NothingToDoForNoPages)
{
    EXPECT_TRUE(stepsOf(TS_RANGE_SPLIT_MODERN, format(TS_GRANULE_4K), 0, 0).empty());
}

/* What broke live migration: every full chunk is done but for two pages. */
TEST(RangeVmid, LegacySplitterLosesEveryFullChunk)
{
    ts_range_format f = format(TS_GRANULE_4K);
    uint64_t pages = 3 * TS_RANGE_MAX_PAGES + 4, covered = 0;
    for (const ts_range_step &s : stepsOf(TS_RANGE_SPLIT_LEGACY, f, 0, pages))
        covered += s.op.pages;
    EXPECT_EQ(covered, 3u * 2u + 4u);
    ts_range_vmid_counts c = ts_range_vmid_count(TS_RANGE_SPLIT_LEGACY, &f, 0, pages);
    EXPECT_EQ(c.chunks, 4u);
    EXPECT_EQ(c.faults, 3u);
}

TEST(RangeDeathTest, RefusesWhatTheInstructionCannotSay)
{
    ts_range_op single{};
    EXPECT_DEATH(ts_range_encode(0, &single), "range");
    ts_range_op ops[kOps];
    bool fault;
    EXPECT_DEATH(
        ts_range_split(TS_RANGE_SPLIT_MODERN, 0, TS_RANGE_MAX_PAGES + 1, ops, kOps, &fault),
        "MAX_PAGES");
    EXPECT_DEATH(ts_range_split(TS_RANGE_SPLIT_MODERN, 1, 1, ops, kOps, &fault), "start");
    ts_range_format large = format(TS_GRANULE_64K), shifted = format(TS_GRANULE_4K, true);
    EXPECT_DEATH(ts_range_split_of(TS_RANGE_SPLIT_MODERN, &large, kPage, 1, ops, kOps, &fault),
                 "start");
    EXPECT_DEATH(ts_range_split_of(TS_RANGE_SPLIT_LEGACY, &shifted, 0, 1, ops, kOps, &fault),
                 "lpa2");
    ts_range_op op{};
    op.range = true;
    op.start = kPage;
    EXPECT_DEATH(ts_range_encode_of(&shifted, 0, &op), "start");
    ts_range_format blocks = format(TS_GRANULE_4K, false, 2);
    EXPECT_DEATH(ts_range_encode_of(&blocks, 0, &op), "ttl");
}

} // namespace
