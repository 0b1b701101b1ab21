/* SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include "models/oracle/oracle.h"

namespace
{

constexpr uint64_t page = 4096;

uint64_t next_table(void *user)
{
    return *static_cast<uint64_t *>(user) += page;
}
void drop_table(void *, uint64_t)
{
}

class Oracle : public testing::Test
{
  protected:
    Oracle()
    {
        ts_error err{};
        ts_pt_frames f{};
        f.alloc_table = next_table;
        f.free_table = drop_table;
        f.user = &tables;
        EXPECT_EQ(ts_pgtable_create(&stage1, TS_GRANULE_4K, 4, &f, &err), TS_OK);
        EXPECT_EQ(ts_pgtable_create(&stage2, TS_GRANULE_4K, 4, &f, &err), TS_OK);
        EXPECT_EQ(ts_oracle_create(&o, &err), TS_OK);
    }
    ~Oracle() override
    {
        ts_oracle_destroy(o);
        ts_pgtable_destroy(stage1);
        ts_pgtable_destroy(stage2);
    }
    static void map(ts_pgtable *pt, uint64_t va, uint64_t target, bool writable = true)
    {
        ts_pte pte{};
        pte.target = target;
        pte.size_shift = 12;
        pte.writable = writable;
        ts_pgtable_map(pt, va, &pte);
    }
    void hit(uint64_t va, uint64_t pa, bool write = false)
    {
        ts_oracle_use use{};
        use.space = space;
        use.va = va;
        use.write = write;
        use.generation = kept;
        use.newest = newest;
        use.pa = pa;
        use.stage1 = stage1;
        use.stage2 = nested ? stage2 : nullptr;
        ts_oracle_hit(o, &use);
    }
    /* Of one who frees a page to another. */
    void changes_hands(uint64_t ipa)
    {
        ASSERT_TRUE(ts_oracle_freed(o, ipa, nested ? ipa + 40 * page : ipa, page));
        ts_oracle_taken(o, ipa, page);
    }
    const struct ts_oracle_stats &stats()
    {
        return *ts_oracle_stats(o);
    }
    uint64_t tables = UINT64_C(1) << 40;
    static constexpr uint64_t space = 7, other = 8;
    ts_pgtable *stage1 = nullptr, *stage2 = nullptr;
    uint64_t kept = 0, newest = 100;
    bool nested = false;
    ts_oracle *o = nullptr;
};

} // namespace

TEST_F(Oracle, AgreesWithThePageTable)
{
    map(stage1, 5 * page, 9 * page);
    hit(5 * page + 17, 9 * page + 17);
    EXPECT_EQ(stats().hits_current, 1u);
    hit(5 * page + 17, 9 * page + 18);
    EXPECT_EQ(stats().hits_stale, 1u);
}

TEST_F(Oracle, ReadsMayUseAWritableEntryButWritesNeedPermission)
{
    map(stage1, 5 * page, 9 * page, false);
    hit(5 * page, 9 * page, false);
    EXPECT_EQ(stats().hits_current, 1u);
    hit(5 * page, 9 * page, true);
    EXPECT_EQ(stats().hits_stale, 1u);
}

TEST_F(Oracle, FollowsStage2)
{
    nested = true;
    map(stage1, 5 * page, 9 * page);
    hit(5 * page, 9 * page);
    EXPECT_EQ(stats().hits_stale, 1u); /* nothing behind it */
    map(stage2, 9 * page, 20 * page);
    hit(5 * page + 1, 20 * page + 1);
    EXPECT_EQ(stats().hits_current, 1u);
}

TEST_F(Oracle, AWindowCoversItsRangeOfItsAddressSpaceWhileItIsOpen)
{
    uint32_t w = ts_oracle_window_open(o, space, 10 * page, 12 * page);
    hit(10 * page, page);
    hit(12 * page - 1, page);
    EXPECT_EQ(stats().hits_in_window, 2u);
    hit(10 * page - 1, page);
    hit(12 * page, page);
    EXPECT_EQ(stats().hits_stale, 2u);
    ts_oracle_window_close(o, w);
    hit(10 * page, page);
    EXPECT_EQ(stats().hits_stale, 3u);
    w = ts_oracle_window_open(o, other, 10 * page, 12 * page);
    hit(10 * page, page);
    EXPECT_EQ(stats().hits_stale, 4u);
    ts_oracle_window_close(o, w);
}

/* What an address was is nobody's any more once it is another mapping's: of its own space, of what
 * has been given out, and as long as that window lasts. */
TEST_F(Oracle, WhatHasBeenMappedAnewIsNotExcused)
{
    ts_error err{};
    uint32_t w = ts_oracle_window_open(o, space, 10 * page, 14 * page);
    ASSERT_TRUE(ts_oracle_mapped_anew(o, other, 10 * page, 14 * page));
    ASSERT_TRUE(ts_oracle_mapped_anew(o, space, 8 * page, 10 * page));
    ASSERT_TRUE(ts_oracle_mapped_anew(o, space, 14 * page, 15 * page));
    hit(10 * page, page);
    hit(14 * page - 1, page);
    EXPECT_EQ(stats().hits_in_window, 2u);
    ASSERT_TRUE(ts_oracle_mapped_anew(o, space, 11 * page, 13 * page));
    hit(11 * page - 1, page);
    hit(13 * page, page);
    EXPECT_EQ(stats().hits_in_window, 4u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_OK);
    hit(11 * page, page);
    hit(13 * page - 1, page);
    EXPECT_EQ(stats().hits_stale, 2u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_NE(std::string(err.message)
                  .find("0xb000 to 0xd000 was mapped anew before the flush of its unmapping had "
                        "returned"),
              std::string::npos)
        << err.message;
    const uint32_t later = ts_oracle_window_open(o, space, 11 * page, 12 * page);
    hit(11 * page, page);
    EXPECT_EQ(stats().hits_in_window, 5u); /* of the new mapping, perhaps */
    ts_oracle_window_close(o, later);
    ts_oracle_window_close(o, w);
    w = ts_oracle_window_open(o, space, 10 * page, 14 * page);
    hit(11 * page, page);
    EXPECT_EQ(stats().hits_in_window, 6u);
    ts_oracle_window_close(o, w);
}

namespace
{

/* An oracle with a clock. */
class OracleClock : public Oracle
{
  protected:
    OracleClock()
    {
        ts_engine_config config{};
        ts_error err{};
        EXPECT_EQ(ts_engine_create(&engine, &config, &err), TS_OK);
        ts_oracle_set_engine(o, engine);
    }
    ~OracleClock() override
    {
        ts_engine_destroy(engine);
    }
    void at(ts_time when)
    {
        ASSERT_TRUE(ts_engine_try_advance(engine, when));
    }
    ts_engine *engine = nullptr;
};

} // namespace

/* What another unmap, which has returned, found empty it has flushed: of its space and range, of
 * windows that were open when it began, and of what had been cleared by then. */
TEST_F(OracleClock, WhatAnotherUnmapHasReturnedFromIsNotExcused)
{
    ts_error err{};
    at(100);
    const uint32_t w = ts_oracle_window_open(o, space, 10 * page, 20 * page);
    ts_oracle_cleared(o, space, 11 * page, 14 * page, 11 * page);
    at(200);
    const uint32_t late = ts_oracle_window_open(o, space, 30 * page, 40 * page);
    at(300);
    ts_oracle_cleared(o, space, 12 * page, 13 * page,
                      12 * page); /* anew, since the other one began */
    ASSERT_TRUE(ts_oracle_returned(o, other, 10 * page, 20 * page, 200));
    hit(11 * page, page);
    EXPECT_EQ(stats().hits_in_window, 1u);
    ASSERT_TRUE(ts_oracle_returned(o, space, 11 * page, 40 * page, 200));
    hit(10 * page, page);
    hit(12 * page, page);
    hit(30 * page, page); /* opened when it began, not before */
    EXPECT_EQ(stats().hits_in_window, 4u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_OK);
    hit(11 * page, page);
    EXPECT_EQ(stats().hits_stale, 1u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_NE(std::string(err.message).find("was unmapped by another, too, before"),
              std::string::npos)
        << err.message;
    hit(13 * page, page);
    EXPECT_EQ(stats().hits_stale, 2u);
    ts_oracle_cleared(o, other, 13 * page, 14 * page, 13 * page);
    ts_oracle_cleared(o, space, 12 * page, 13 * page, 12 * page);
    hit(13 * page, page);
    EXPECT_EQ(stats().hits_stale, 3u);
    ts_oracle_cleared(o, space, 13 * page, 14 * page, 13 * page); /* it has been in use again */
    hit(13 * page, page);
    EXPECT_EQ(stats().hits_stale, 3u);
    EXPECT_EQ(stats().hits_in_window, 5u);
    hit(11 * page, page);
    EXPECT_EQ(stats().hits_stale, 4u);
    ts_oracle_window_close(o, late);
    ts_oracle_window_close(o, w);
}

/* Of much that was cleared since it began only the last is remembered: the rest is not judged. */
TEST_F(OracleClock, WhatIsNotRememberedIsNotJudged)
{
    for (uint64_t clears : {63u, 64u}) {
        const ts_time begun = 1000 * clears;
        at(begun - 1);
        const uint32_t w = ts_oracle_window_open(o, space, 10 * page, 20 * page);
        at(begun + 5);
        for (uint64_t i = 0; i < clears; i++)
            ts_oracle_cleared(o, other, 10 * page, 11 * page, 10 * page);
        ASSERT_TRUE(ts_oracle_returned(o, space, 10 * page, 20 * page, begun));
        const uint64_t before = stats().hits_stale;
        hit(11 * page, page);
        EXPECT_EQ(stats().hits_stale, before + (clears < 64)) << clears;
        ts_oracle_window_close(o, w);
    }
}

/* Whether or not its flush has returned: by the memory, for as long as nobody has it. */
TEST_F(Oracle, WhatHasBeenFreedIsNotExcused)
{
    ts_error err{};
    const uint32_t w = ts_oracle_window_open(o, space, 10 * page, 14 * page);
    ASSERT_TRUE(ts_oracle_freed(o, 50 * page, 50 * page, 2 * page));
    hit(10 * page, 49 * page + 4095);
    hit(10 * page, 52 * page);
    EXPECT_EQ(stats().hits_in_window, 2u);
    ts_oracle_taken(o, 50 * page, page);
    hit(10 * page, 50 * page);
    EXPECT_EQ(stats().hits_in_window, 3u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_OK);
    hit(10 * page, 51 * page + 8);
    EXPECT_EQ(stats().hits_stale, 1u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_EQ(std::string(err.message).rfind("memory freed before its flush", 0), 0u)
        << err.message;
    ts_oracle_window_close(o, w);
}

/* The host may have given what the guest has freed to something else. */
TEST_F(Oracle, WhatHasBeenFreedIsTheMemoryBehindIt)
{
    nested = true;
    map(stage2, 50 * page, 90 * page);
    map(stage2, 51 * page, 91 * page);
    const uint32_t w = ts_oracle_window_open(o, space, 10 * page, 14 * page);
    ASSERT_TRUE(ts_oracle_freed(o, 50 * page, 90 * page, page));
    ASSERT_TRUE(ts_oracle_freed(o, 51 * page, 92 * page, page));
    hit(10 * page, 50 * page);
    hit(10 * page, 92 * page);
    EXPECT_EQ(stats().hits_in_window, 2u);
    hit(10 * page, 90 * page + 16);
    EXPECT_EQ(stats().hits_stale, 1u);
    ts_oracle_window_close(o, w);
}

/* Nor once somebody else has it: whoever uses it by what was cleared before it was freed. */
TEST_F(Oracle, WhatSomebodyElseHasIsNotExcused)
{
    ts_error err{};
    const uint32_t w = ts_oracle_window_open(o, space, 10 * page, 14 * page);
    uint64_t legal = 0;
    const auto is_legal = [&](uint64_t va, uint64_t pa) {
        hit(va, pa);
        EXPECT_EQ(stats().hits_in_window, ++legal);
        ASSERT_EQ(ts_oracle_verdict(o, &err), TS_OK) << err.message;
    };
    changes_hands(50 * page);
    ts_oracle_cleared(o, space, 10 * page, 12 * page, 50 * page);
    is_legal(10 * page, 50 * page); /* it was freed before */
    ts_oracle_cleared(o, other, 12 * page, 13 * page, 52 * page);
    changes_hands(52 * page);
    is_legal(12 * page, 52 * page); /* of another address space */
    changes_hands(51 * page);
    is_legal(10 * page, 50 * page);
    is_legal(11 * page, 50 * page); /* it did not lead there */
    ts_oracle_mapped(o, space, 11 * page, 12 * page, 51 * page);
    is_legal(11 * page, 51 * page); /* again by then */
    ts_oracle_cleared(o, space, 11 * page, 12 * page, 51 * page);
    ts_oracle_cleared(o, space, 11 * page, 12 * page, 60 * page);
    is_legal(11 * page, 51 * page);
    changes_hands(51 * page);
    ts_oracle_mapped(o, other, 11 * page, 12 * page, 51 * page);
    ts_oracle_mapped(o, space, 11 * page, 12 * page, 50 * page);
    ts_oracle_mapped(o, space, 10 * page, 11 * page, 51 * page);
    ts_oracle_mapped(o, space, 12 * page, 13 * page, 52 * page);
    hit(11 * page + 16, 51 * page + 16);
    EXPECT_EQ(stats().hits_stale, 1u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_NE(std::string(err.message).find("freed and given to somebody else, and the flush"),
              std::string::npos)
        << err.message;
    ts_oracle_window_close(o, w);
}

/* What a guest has cleared and freed is found by the memory that stands for it now. */
TEST_F(Oracle, WhatSomebodyElseHasIsTheMemoryBehindIt)
{
    nested = true;
    map(stage2, 50 * page, 90 * page);
    const uint32_t w = ts_oracle_window_open(o, space, 10 * page, 14 * page);
    ts_oracle_cleared(o, space, 10 * page, 11 * page, 50 * page);
    ts_oracle_cleared(o, space, 11 * page, 12 * page, 51 * page);
    changes_hands(50 * page);
    changes_hands(51 * page);
    hit(10 * page, 50 * page);
    hit(11 * page, 91 * page); /* the host has taken it */
    EXPECT_EQ(stats().hits_in_window, 2u);
    hit(10 * page, 90 * page);
    EXPECT_EQ(stats().hits_stale, 1u);
    ts_oracle_window_close(o, w);
}

TEST_F(Oracle, ATableThatSomebodyElseHasIsNotWalked)
{
    ts_oracle_use use{};
    use.space = space;
    use.stage1 = stage1;
    const auto walk = [&] {
        const uint64_t before = stats().tables_stale;
        ts_oracle_walk(o, &use, 77 * page, UINT64_C(1) << 21);
        return stats().tables_stale == before;
    };
    const uint32_t w = ts_oracle_window_open(o, space, 0, page);
    changes_hands(77 * page);
    EXPECT_TRUE(walk()); /* a page by then */
    ASSERT_TRUE(ts_oracle_table_detached(o, 77 * page));
    EXPECT_TRUE(walk());
    changes_hands(77 * page);
    EXPECT_FALSE(walk());
    ASSERT_TRUE(ts_oracle_table_detached(o, 77 * page)); /* a table again, and taken out again */
    EXPECT_TRUE(walk());
    ts_oracle_window_close(o, w);
}

// Of the guest-physical address that was walked, not of the virtual one.
TEST_F(Oracle, ATableOfStage2ThatHasGoneIsWalkedOnlyWhileTheHostChangesIt)
{
    ts_error err{};
    ts_oracle_use use{};
    use.va = 3 * page, use.thread = TS_ORACLE_NO_THREAD;
    const uint64_t ipa = UINT64_C(5) << 21, span = UINT64_C(1) << 21;
    struct ts_mmu_access access {
    };
    access.stale2_ipa = ipa + page, access.stale2_table = 77 * page, access.stale2_span = span;
    const auto walked = [&](uint64_t start, uint64_t end) {
        const uint64_t before = stats().tables_stale;
        const uint32_t w = ts_oracle_stage2_window_open(o, start, end);
        ts_oracle_walked(o, &use, &access);
        ts_oracle_window_close(o, w);
        return stats().tables_stale == before;
    };
    EXPECT_TRUE(walked(ipa, ipa + page));
    EXPECT_TRUE(walked(ipa + span - page, ipa + span));
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_OK);
    EXPECT_FALSE(walked(ipa + span, ipa + 2 * span));
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    for (const char *part : {"freed page table used", "by itself", "guest-physical 0xa01000",
                             "for 0x3000 in", "stage-2 table at 0x4d000"})
        EXPECT_NE(std::string(err.message).find(part), std::string::npos) << err.message;
    EXPECT_FALSE(walked(ipa - page, ipa));
    access.stale_table = 78 * page, access.stale_span = span; // one of stage 1 as well
    const uint64_t before = stats().tables_stale;
    ts_oracle_walked(o, &use, &access);
    access.stale_span = access.stale2_span = 0;
    ts_oracle_walked(o, &use, &access);
    EXPECT_EQ(stats().tables_stale, before + 2);
}

TEST_F(Oracle, AFreedTableIsNotWalkedWhileItsUnmapIsUnderWay)
{
    ts_error err{};
    ts_oracle_use use{};
    use.space = space;
    use.stage1 = stage1;
    const uint32_t w = ts_oracle_window_open(o, space, 0, page);
    ASSERT_TRUE(ts_oracle_freed(o, 77 * page, 99 * page, page));
    ts_oracle_walk(o, &use, 78 * page, UINT64_C(1) << 21);
    EXPECT_EQ(stats().tables_in_window, 1u);
    ts_oracle_walk(o, &use, 77 * page, UINT64_C(1) << 21);
    EXPECT_EQ(stats().tables_stale, 1u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_NE(std::string(err.message).find("freed before its flush has returned"),
              std::string::npos)
        << err.message;
    ts_oracle_window_close(o, w);
}

/* Who keeps the generation of a change has made its flush: what it uses after that is not excused,
 * though the flush has not returned. */
TEST_F(Oracle, AGenerationIsKeptByWhoHasFlushed)
{
    ts_error err{};
    const uint32_t w = ts_oracle_window_open(o, space, 10 * page, 14 * page);
    const auto hits = [&](uint64_t va, uint64_t generation) {
        const uint64_t before = stats().hits_in_window;
        kept = generation;
        hit(va, page);
        kept = 0;
        return stats().hits_in_window > before;
    };
    EXPECT_TRUE(hits(11 * page, 5));
    ASSERT_TRUE(ts_oracle_raised(o, w, 11 * page, 13 * page, 6));
    EXPECT_TRUE(hits(11 * page, 0)); /* keeps none */
    EXPECT_TRUE(hits(11 * page, 5));
    EXPECT_TRUE(hits(10 * page, 6)); /* not of that flush */
    EXPECT_TRUE(hits(13 * page, 7));
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_OK);
    EXPECT_FALSE(hits(11 * page, 6));
    EXPECT_FALSE(hits(13 * page - 1, 7));
    ts_oracle_cleared(o, space, 11 * page, 13 * page, 11 * page);
    EXPECT_FALSE(hits(11 * page, 6));
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    const std::string message = err.message;
    EXPECT_EQ(message.rfind("tlb_gen ahead of its flush: stale translation used", 0), 0u)
        << message;
    EXPECT_NE(message.find("the CPU's tlb_gen is 6, and the change of 0xb000 to 0xd000 is of "
                           "generation 6"),
              std::string::npos)
        << message;
    /* Another change of the same page is under way, too. */
    const uint32_t later = ts_oracle_window_open(o, space, 11 * page, 12 * page);
    EXPECT_TRUE(hits(11 * page, 6));
    ASSERT_TRUE(ts_oracle_raised(o, later, 11 * page, 12 * page, 8));
    EXPECT_TRUE(hits(11 * page, 7));
    EXPECT_FALSE(hits(11 * page, 8));
    ts_oracle_window_close(o, later);
    ts_oracle_window_close(o, w);
    EXPECT_TRUE(ts_oracle_raised(o, TS_ORACLE_NO_WINDOW, 0, page, 1));
}

/* Nor is a generation that has not been made yet, whatever is used. */
TEST_F(Oracle, NoCpuKeepsAGenerationThatHasNotBeenMade)
{
    ts_error err{};
    map(stage1, 10 * page, 50 * page);
    kept = newest = 7;
    hit(10 * page, 50 * page);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_OK);
    kept = 8;
    hit(10 * page, 50 * page);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_EQ(std::string(err.message),
              "tlb_gen ahead of its flush: VM 0 CPU 0 thread 0 at 0 ps: the CPU keeps generation 8 "
              "of address space 7, whose newest is 7");
    EXPECT_EQ(stats().hits_current, 2u);
}

TEST_F(Oracle, ManyAddressesMayBeMappedAnew)
{
    const uint32_t n = 100;
    const uint32_t w = ts_oracle_window_open(o, space, 0, 2 * n * page);
    for (uint32_t i = 0; i < n; i++)
        ASSERT_TRUE(ts_oracle_mapped_anew(o, space, 2 * i * page, (2 * i + 1) * page));
    for (uint32_t i = 0; i < 2 * n; i++)
        hit(i * page, UINT64_C(1) << 30);
    EXPECT_EQ(stats().hits_stale, n);
    EXPECT_EQ(stats().hits_in_window, n);
    ts_oracle_window_close(o, w);
}

/* What the host is changing: by the address that stage 1 gives, in whatever space; and where there
 * is no stage 2, or stage 1 has nothing, it excuses nothing. */
TEST_F(Oracle, AWindowOfStage2IsOfGuestPhysicalAddresses)
{
    nested = true;
    map(stage1, 5 * page, 9 * page);
    map(stage1, 6 * page, 10 * page);
    map(stage2, 9 * page, 20 * page);
    map(stage2, 10 * page, 21 * page);
    uint32_t w = ts_oracle_stage2_window_open(o, 9 * page, 10 * page);
    hit(5 * page + 4095, 30 * page);
    EXPECT_EQ(stats().hits_in_window, 1u);
    hit(6 * page, 30 * page);
    hit(9 * page, 30 * page);
    EXPECT_EQ(stats().hits_stale, 2u);
    nested = false;
    hit(5 * page, 30 * page);
    EXPECT_EQ(stats().hits_stale, 3u);
    nested = true;
    ts_oracle_window_close(o, w);
    hit(5 * page, 30 * page);
    EXPECT_EQ(stats().hits_stale, 4u);
}

TEST_F(Oracle, ManyWindowsMayBeOpen)
{
    const uint32_t n = 300;
    std::vector<uint32_t> handles;
    for (uint32_t i = 0; i < n; i++)
        handles.push_back(ts_oracle_window_open(o, space, 2 * i * page, (2 * i + 1) * page));
    for (uint32_t i = 0; i < n; i += 2)
        ts_oracle_window_close(o, handles[i]);
    for (uint32_t i = 0; i < n; i++)
        hit(2 * i * page, UINT64_C(1) << 30);
    EXPECT_EQ(stats().hits_in_window, n / 2);
    EXPECT_EQ(stats().hits_stale, n / 2);
}

TEST_F(Oracle, KeepsTheFirstFindingAndItsSumRule)
{
    ts_error err{};
    EXPECT_EQ(ts_oracle_verdict(o, &err), TS_OK);
    map(stage1, 5 * page, 9 * page);
    hit(5 * page, 9 * page);
    hit(0x7000, 0x8000);
    hit(0x9000, 0xa000);
    EXPECT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_NE(std::string(err.message).find("0x7000"), std::string::npos) << err.message;
    EXPECT_EQ(ts_stat_check(&ts_oracle_stat_table, &stats(), &err), TS_OK);
    EXPECT_EQ(stats().hits_checked, 3u);
}

/* Of a table a window of anything that it maps will do, as long as that is open. */
TEST_F(Oracle, ATableThatHasGoneMayBeWalkedWhileItsUnmapIsUnderWay)
{
    ts_error err{};
    const uint64_t two_mib = UINT64_C(1) << 21;
    const auto walk = [&](uint64_t va) {
        ts_oracle_use use{};
        use.space = space;
        use.va = va;
        use.stage1 = stage1;
        ts_oracle_walk(o, &use, 77 * page, two_mib);
    };
    uint32_t w = ts_oracle_window_open(o, space, two_mib + 3 * page, two_mib + 4 * page);
    walk(two_mib);
    walk(2 * two_mib - 1);
    EXPECT_EQ(stats().tables_in_window, 2u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_OK);
    ts_oracle_window_close(o, w);
    w = ts_oracle_window_open(o, other, two_mib, 2 * two_mib);
    const uint32_t before = ts_oracle_window_open(o, space, two_mib - page, two_mib);
    const uint32_t behind = ts_oracle_window_open(o, space, 2 * two_mib, 2 * two_mib + page);
    walk(two_mib + 5);
    EXPECT_EQ(stats().tables_stale, 1u);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_NE(std::string(err.message).find("freed page table used"), std::string::npos);
    EXPECT_NE(std::string(err.message).find("the table at 0x4d000"), std::string::npos);
    for (uint32_t handle : {w, before, behind})
        ts_oracle_window_close(o, handle);
}

/* A finding says which change it missed: the last one of that address whose flush had returned. */
TEST_F(Oracle, TellsWhichFlushWasLost)
{
    ts_error err{};
    ts_engine *engine = nullptr;
    ASSERT_EQ(ts_engine_create(&engine, nullptr, &err), TS_OK);
    ts_oracle_set_engine(o, engine);
    ASSERT_TRUE(ts_engine_try_advance(engine, 100));
    const uint32_t first = ts_oracle_window_open(o, space, 10 * page, 12 * page);
    const uint32_t elsewhere = ts_oracle_window_open(o, other, 10 * page, 12 * page);
    ASSERT_TRUE(ts_engine_try_advance(engine, 200));
    ts_oracle_window_close(o, first);
    ASSERT_TRUE(ts_engine_try_advance(engine, 300));
    ts_oracle_window_close(o, elsewhere);
    hit(11 * page, page);
    ASSERT_EQ(ts_oracle_verdict(o, &err), TS_ERR_FINDING);
    EXPECT_NE(std::string(err.message)
                  .find("the change of 0xa000 to 0xc000 began at 100 ps and "
                        "its flush had returned at 200 ps"),
              std::string::npos)
        << err.message;
    ts_engine_destroy(engine);
}
