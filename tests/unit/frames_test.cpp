/* SPDX-License-Identifier: Apache-2.0 */
/* Guest-physical frames: which one is given out next. */
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "models/guest/core/guest.h"

namespace
{

constexpr uint64_t page = 4096, huge = uint64_t(1) << 21;

class Frames : public testing::Test
{
  protected:
    Frames()
    {
        ts_error err{};
        EXPECT_EQ(ts_engine_create(&engine_, nullptr, &err), TS_OK);
        vm_.pv = &pv_;
        g_.vm = &vm_;
        g_.engine = engine_;
        g_.next_frame = 5 * page;
    }
    ~Frames() override
    {
        free(g_.free_frames);
        free(g_.free_huge);
        ts_frame_queue_fini(&g_.late);
        ts_engine_destroy(engine_);
    }
    ts_engine *engine_ = nullptr;
    ts_pv_ops pv_{};
    ts_vm vm_{};
    ts_guest g_{};
};

} // namespace

TEST_F(Frames, TheLastFreedIsTheFirstReused)
{
    uint64_t a = ts_guest_frame_alloc(&g_), b = ts_guest_frame_alloc(&g_);
    EXPECT_EQ(b, a + page);
    ts_guest_frame_free(&g_, a);
    ts_guest_frame_free(&g_, b);
    EXPECT_EQ(ts_guest_frame_alloc(&g_), b);
    EXPECT_EQ(ts_guest_frame_alloc(&g_), a);
}

TEST_F(Frames, HugeOnesAreAlignedAndComeBack)
{
    uint64_t a = ts_guest_huge_alloc(&g_), b = ts_guest_huge_alloc(&g_);
    EXPECT_EQ(a, huge);
    EXPECT_EQ(b, 2 * huge);
    ts_guest_huge_free(&g_, a);
    EXPECT_EQ(ts_guest_huge_alloc(&g_), a);
    /* What was stepped over to align is used, then b's neighbour. */
    std::set<uint64_t> small;
    for (uint64_t i = 5; i < 512; i++)
        small.insert(ts_guest_frame_alloc(&g_));
    EXPECT_EQ(*small.begin(), 5 * page);
    EXPECT_EQ(*small.rbegin(), huge - page);
    EXPECT_EQ(ts_guest_frame_alloc(&g_), 3 * huge);
}

TEST_F(Frames, AFreeHugeOneIsBrokenUpBeforeNewMemoryIsTaken)
{
    g_.next_frame = huge;
    uint64_t a = ts_guest_huge_alloc(&g_);
    ts_guest_huge_free(&g_, a);
    for (uint64_t i = 0; i < 512; i++)
        EXPECT_EQ(ts_guest_frame_alloc(&g_), a + i * page);
    EXPECT_EQ(ts_guest_frame_alloc(&g_), a + huge);
}

TEST_F(Frames, WhatIsFreedLaterIsNotThereBefore)
{
    std::set<uint64_t> given;
    for (uint64_t i = 0; i < 3000; i++) /* the ring grows and turns */
        given.insert(ts_guest_frame_alloc(&g_));
    uint64_t n = 0;
    for (uint64_t frame : given)
        ts_guest_frame_free_at(&g_, frame, 1000 + n++ / 1000 * 1000);
    EXPECT_FALSE(given.count(ts_guest_frame_alloc(&g_)));
    ASSERT_TRUE(ts_engine_try_advance(engine_, 999));
    EXPECT_FALSE(given.count(ts_guest_frame_alloc(&g_)));
    ASSERT_TRUE(ts_engine_try_advance(engine_, 1000));
    for (uint64_t i = 0; i < 1000; i++)
        EXPECT_EQ(given.count(ts_guest_frame_alloc(&g_)), 1u);
    EXPECT_FALSE(given.count(ts_guest_frame_alloc(&g_)));
    ASSERT_TRUE(ts_engine_try_advance(engine_, 3000));
    for (uint64_t i = 0; i < 2000; i++)
        EXPECT_EQ(given.count(ts_guest_frame_alloc(&g_)), 1u);
    EXPECT_FALSE(given.count(ts_guest_frame_alloc(&g_)));
}

/* In order, each at its time and not before, however often the ring has grown and wrapped round. */
TEST(FrameQueue, GivesFramesInOrderAndNotBeforeTheirTime)
{
    ts_frame_queue q{};
    uint64_t frame = 0, in = 0, out = 0;
    EXPECT_FALSE(ts_frame_queue_take(&q, UINT64_MAX, &frame));
    for (uint64_t round = 1; round <= 5; round++) {
        for (uint64_t i = 0; i < 700 * round; i++, in++)
            ASSERT_TRUE(ts_frame_queue_put(&q, in / 2, in * 4096));
        for (uint64_t i = 0; i < 500 * round; i++, out++) {
            if (out > 1) {
                ASSERT_FALSE(ts_frame_queue_take(&q, out / 2 - 1, &frame));
            }
            ASSERT_TRUE(ts_frame_queue_take(&q, out / 2, &frame));
            ASSERT_EQ(frame, out * 4096);
        }
        EXPECT_EQ(q.n, in - out);
    }
    ts_frame_queue_fini(&q);
}

namespace
{

/* Of an address space whose unmap of page 0 is under way. */
class FramesJudged : public Frames
{
  protected:
    FramesJudged()
    {
        ts_error err{};
        ts_pt_frames f{};
        f.alloc_table = [](void *user) { return *static_cast<uint64_t *>(user) += page; };
        f.free_table = [](void *, uint64_t) {};
        f.user = &tables_;
        EXPECT_EQ(ts_pgtable_create(&stage1_, TS_GRANULE_4K, 4, &f, &err), TS_OK);
        EXPECT_EQ(ts_pgtable_create(&stage2_, TS_GRANULE_4K, 4, &f, &err), TS_OK);
        EXPECT_EQ(ts_oracle_create(&g_.oracle, &err), TS_OK);
        (void)ts_oracle_window_open(g_.oracle, 1, 0, page);
    }
    ~FramesJudged() override
    {
        ts_oracle_destroy(g_.oracle);
        ts_pgtable_destroy(stage1_);
        ts_pgtable_destroy(stage2_);
    }
    bool may_be_used(uint64_t pa)
    {
        ts_oracle_use use{};
        use.space = 1;
        use.pa = pa;
        use.stage1 = stage1_;
        use.stage2 = vm_.stage2;
        const uint64_t before = ts_oracle_stats(g_.oracle)->hits_in_window;
        ts_oracle_hit(g_.oracle, &use);
        return ts_oracle_stats(g_.oracle)->hits_in_window != before;
    }
    uint64_t tables_ = UINT64_C(1) << 40;
    ts_pgtable *stage1_ = nullptr, *stage2_ = nullptr;
};

} // namespace

TEST_F(FramesJudged, TheOracleKnowsThoseThatAreFree)
{
    const uint64_t a = ts_guest_frame_alloc(&g_), b = ts_guest_frame_alloc(&g_);
    EXPECT_TRUE(may_be_used(a));
    ts_guest_frame_free(&g_, a);
    EXPECT_FALSE(may_be_used(a));
    EXPECT_TRUE(may_be_used(b));
    EXPECT_EQ(ts_guest_frame_alloc(&g_), a);
    EXPECT_TRUE(may_be_used(a));
    ts_guest_frame_free_at(&g_, b, TS_MS);
    EXPECT_TRUE(may_be_used(b)); /* not yet */
}

TEST_F(FramesJudged, AHugeOneIsFreeUntilItsPartsAreTaken)
{
    const uint64_t a = ts_guest_huge_alloc(&g_);
    ts_guest_huge_free(&g_, a);
    EXPECT_FALSE(may_be_used(a + 511 * page));
    while (g_.nfree_frames) /* those before it */
        (void)ts_guest_frame_alloc(&g_);
    EXPECT_EQ(ts_guest_frame_alloc(&g_), a);
    EXPECT_TRUE(may_be_used(a));
    EXPECT_FALSE(may_be_used(a + page));
    const uint64_t b = ts_guest_huge_alloc(&g_);
    ts_guest_huge_free(&g_, b);
    EXPECT_EQ(ts_guest_huge_alloc(&g_), b);
    EXPECT_TRUE(may_be_used(b + 100 * page));
}

TEST_F(FramesJudged, WhatIsFreeIsTheMemoryBehindTheGuestsAddresses)
{
    const uint64_t a = ts_guest_frame_alloc(&g_), b = ts_guest_frame_alloc(&g_);
    ts_pte pte{};
    pte.size_shift = 12;
    pte.target = 900 * page;
    ts_pgtable_map(stage2_, a, &pte);
    vm_.stage2 = stage2_;
    ts_guest_frame_free(&g_, a);
    ts_guest_frame_free(&g_, b); /* that has never been mapped */
    EXPECT_FALSE(may_be_used(900 * page + 5));
    EXPECT_TRUE(may_be_used(a));
    EXPECT_TRUE(may_be_used(b));
}
