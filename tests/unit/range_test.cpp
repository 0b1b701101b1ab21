/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/range.h"

#include <gtest/gtest.h>

#include <random>

namespace
{

constexpr uint64_t kPage = 4096;
constexpr uint32_t kOps = 8; /* what the header promises to suffice */

/* As it comes out of the instructions: range operations through their operand. Returns false with a
 * message if the operations do not cover [start, start + pages) exactly once, in order. */
::testing::AssertionResult covers(enum ts_range_split split, uint64_t start, uint64_t pages)
{
    ts_range_op ops[kOps];
    bool fault = true;
    uint32_t n = ts_range_split(split, start, pages, ops, kOps, &fault);
    if (fault)
        return ::testing::AssertionFailure() << pages << " pages: fault";
    if (n > 5)
        return ::testing::AssertionFailure() << pages << " pages: " << n << " operations";
    uint64_t at = start;
    for (uint32_t i = 0; i < n; i++) {
        ts_range_op op = ops[i];
        if (op.range) {
            uint16_t asid = 0;
            op = ts_range_decode(ts_range_encode(0xabcd, &ops[i]), &asid);
            if (asid != 0xabcd || op.scale != ops[i].scale || op.num != ops[i].num)
                return ::testing::AssertionFailure() << pages << " pages: operand " << i;
            if (op.pages != (op.num + UINT64_C(1)) << (5 * op.scale + 1))
                return ::testing::AssertionFailure() << pages << " pages: length of " << i;
        } else if (op.pages != 1) {
            return ::testing::AssertionFailure() << pages << " pages: single of " << op.pages;
        }
        if (op.start != at || op.pages != ops[i].pages)
            return ::testing::AssertionFailure() << pages << " pages: gap before " << i;
        at += op.pages * kPage;
    }
    if (at != start + pages * kPage)
        return ::testing::AssertionFailure() << pages << " pages: ends at " << at;
    return ::testing::AssertionSuccess();
}

class Split : public ::testing::TestWithParam<enum ts_range_split>
{
};

TEST_P(Split, CoversEveryCountTo70000ExactlyWithAtMostFiveOperations)
{
    for (uint64_t pages = 0; pages <= 70000; pages++)
        ASSERT_TRUE(covers(GetParam(), 0, pages));
}

TEST_P(Split, CoversRandomCountsAndStarts)
{
    constexpr uint64_t seed = 20240405;
    std::mt19937_64 random(seed);
    for (int i = 0; i < 200000; i++) {
        uint64_t pages = random() % TS_RANGE_MAX_PAGES;
        uint64_t start = (random() & ((UINT64_C(1) << 47) - 1)) / kPage * kPage;
        if (i % 4 == 0)
            start |= UINT64_C(0xffff) << 48; /* a kernel address */
        ASSERT_TRUE(covers(GetParam(), start, pages))
            << "seed " << seed << " case " << i << " start " << start;
    }
}

TEST_P(Split, CoversTheCountsAroundEachScale)
{
    for (uint32_t shift = 1; shift <= 21; shift++)
        for (int64_t delta = -3; delta <= 3; delta++) {
            auto pages = (INT64_C(1) << shift) + delta;
            if (pages >= 0 && pages < static_cast<int64_t>(TS_RANGE_MAX_PAGES)) {
                ASSERT_TRUE(covers(GetParam(), 64 * kPage, static_cast<uint64_t>(pages)));
            }
        }
}

INSTANTIATE_TEST_SUITE_P(Both, Split,
                         ::testing::Values(TS_RANGE_SPLIT_LEGACY, TS_RANGE_SPLIT_MODERN),
                         [](const auto &test) {
                             return test.param == TS_RANGE_SPLIT_LEGACY ? "Legacy" : "Modern";
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
        EXPECT_EQ(operations(split, 512), 1u);
        EXPECT_EQ(operations(split, 511), 3u);
        EXPECT_EQ(operations(split, 513), 2u);
        EXPECT_EQ(operations(split, 262144), 1u);
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

TEST(Range, LegacySplitterFaultsAtTwoToThe21Pages)
{
    ts_range_op ops[kOps];
    bool fault = false;
    uint32_t n = ts_range_split(TS_RANGE_SPLIT_LEGACY, 0, TS_RANGE_MAX_PAGES, ops, kOps, &fault);
    EXPECT_TRUE(fault);
    EXPECT_EQ(n, 0u); /* nothing of it is invalidated */
    ts_range_split(TS_RANGE_SPLIT_LEGACY, 0, TS_RANGE_MAX_PAGES - 1, ops, kOps, &fault);
    EXPECT_FALSE(fault);
}

TEST(Range, ModernSplitterCoversTwoToThe21PagesWithOneOperation)
{
    EXPECT_TRUE(covers(TS_RANGE_SPLIT_MODERN, 0, TS_RANGE_MAX_PAGES));
    EXPECT_EQ(operations(TS_RANGE_SPLIT_MODERN, TS_RANGE_MAX_PAGES), 1u);
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
}

} // namespace
