/* SPDX-License-Identifier: Apache-2.0 */
/* Store buffers, and page-table entries that walks see late. */
#include "models/mmu/late_leaves.h"
#include "tests/mmu_fixture.hpp"
#include "tests/support/cpu_rig.hpp"

#include <algorithm>

using namespace mmu_fixture;

namespace
{

constexpr ts_time most = 1000;

struct Thread {
    explicit Thread(ts_time max_ps = most, uint64_t seed = 1, uint32_t cpu = 0)
    {
        ts_engine_config config{};
        ts_error err{};
        EXPECT_EQ(ts_engine_create(&engine, &config, &err), TS_OK) << err.message;
        ts_store_buffer_init(&buffer, engine, max_ps, seed, cpu);
    }
    ~Thread()
    {
        ts_engine_destroy(engine);
    }
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;

    ts_store put(ts_store_kind kind = TS_STORE_DATA)
    {
        ts_store s{};
        ts_store_put(&buffer, &s, kind);
        return s;
    }
    /* One that waits. */
    ts_store hidden(ts_store_kind kind = TS_STORE_DATA)
    {
        ts_store s = put(kind);
        while (s.until == ts_engine_now(engine))
            s = put(kind);
        EXPECT_TRUE(ts_store_is_hidden(&s));
        return s;
    }
    void at(ts_time when)
    {
        ASSERT_TRUE(ts_engine_try_advance(engine, when));
    }

    ts_engine *engine = nullptr;
    ts_store_buffer buffer;
};

} // namespace

TEST(Store, IsSeenWhenItsTimeHasComeAndNotBefore)
{
    Thread t;
    t.at(500);
    const ts_store s = t.hidden();
    ASSERT_LE(s.until, 500 + most);
    t.at(s.until - 1);
    EXPECT_TRUE(ts_store_is_hidden(&s));
    t.at(s.until);
    EXPECT_FALSE(ts_store_is_hidden(&s));
}

TEST(Store, NoneIsHiddenWithoutABufferOrADelay)
{
    const ts_store none{};
    EXPECT_FALSE(ts_store_is_hidden(&none));
    Thread t(0);
    for (int i = 0; i < 10; i++) {
        const ts_store s = t.put();
        EXPECT_FALSE(ts_store_is_hidden(&s));
    }
}

TEST(Store, TheTimeIsDrawnFromAllThatIsAllowed)
{
    Thread t, other(most, 1, 1), again;
    ts_time least = most, longest = 0;
    int differs = 0;
    for (int i = 0; i < 3000; i++) {
        const ts_time until = t.put(TS_STORE_TABLE).until;
        least = std::min(least, until);
        longest = std::max(longest, until);
        differs += other.put(TS_STORE_TABLE).until != until;
        EXPECT_EQ(again.put(TS_STORE_TABLE).until, until);
    }
    EXPECT_LE(least, 5u);
    EXPECT_GE(longest, most - 5);
    EXPECT_LE(longest, most);
    EXPECT_GT(differs, 2900);
}

/* TSO: a thread's stores become visible in its order. */
TEST(Store, DataIsSeenInOrder)
{
    Thread t;
    ts_time last = 0;
    int earlier = 0;
    ts_time table = 0;
    for (int i = 0; i < 50; i++) {
        const ts_time until = t.put().until;
        EXPECT_GE(until, last);
        last = until;
        const ts_time now = t.put(TS_STORE_TABLE).until;
        earlier += now < table;
        table = now;
    }
    EXPECT_GT(earlier, 0); /* Arm has no such order */
}

TEST(Store, ABarrierShowsDataAndADsbShowsTables)
{
    Thread t;
    const ts_store data = t.hidden(), table = t.hidden(TS_STORE_TABLE);
    ts_store_barrier(&t.buffer);
    EXPECT_FALSE(ts_store_is_hidden(&data));
    EXPECT_TRUE(ts_store_is_hidden(&table));
    ts_store_dsb(&t.buffer);
    EXPECT_FALSE(ts_store_is_hidden(&table));
    /* What is stored after it waits anew, and not for what went before. */
    const ts_store more = t.hidden();
    ts_store_dsb(&t.buffer);
    EXPECT_FALSE(ts_store_is_hidden(&more));
    bool sooner = false;
    for (int i = 0; i < 20 && !sooner; i++) {
        ts_store_barrier(&t.buffer);
        sooner = t.put().until < more.until;
    }
    EXPECT_TRUE(sooner);
}

/* A task that goes on elsewhere has its stores behind it (arm64 __switch_to). */
TEST(Store, ASwitchBetweenTasksIsADsb)
{
    ts_test::CpuRig rig(1);
    Thread t;
    rig.domain.stores = &t.buffer;
    ts_store table{};
    bool other_ran = false;
    rig.spawn(0, [&](ts_task *self) {
        ts_store_put(&t.buffer, &table, TS_STORE_TABLE);
        while (!ts_store_is_hidden(&table))
            ts_store_put(&t.buffer, &table, TS_STORE_TABLE);
        ts_task_sleep(self, TS_US);
    });
    rig.spawn(0, [&](ts_task *) {
        other_ran = true;
        EXPECT_FALSE(ts_store_is_hidden(&table));
    });
    rig.run();
    EXPECT_TRUE(other_ran);
    EXPECT_TRUE(table.buffer);
}

namespace
{

struct Late {
    ts_mmu_context ctx() const
    {
        return {0, 1, 0, table.pt, nullptr, &late};
    }
    /* Takes the page away, or only write access; until when walks do not see it. */
    ts_time change(uint64_t va, bool clear)
    {
        const ts_pte was = table.pte(va);
        const ts_store s = thread.hidden(TS_STORE_TABLE);
        if (clear)
            table.unmap(va);
        else
            ts_pgtable_protect(table.pt, va, va + kPage, false, nullptr, nullptr);
        ts_late_leaves_add(&late, va, &was, &s);
        return s.until;
    }
    /* A walk: where it leads, or 0. */
    uint64_t walk(uint64_t va, bool write = false)
    {
        const ts_tlb_inval all = ts_inval_tlbi_vmalle1(0);
        mmu.invalidate(all);
        const struct ts_mmu_access a = mmu.access(ctx(), va, write);
        return a.result == TS_MMU_OK ? a.pa : 0;
    }

    Thread thread;
    PageTable table;
    ts_late_leaves late{};
    Mmu mmu;
};

constexpr uint64_t va = 64 * kPage, frame = 512 * kPage;

} // namespace

/* Whoever has got the lock that leaves of this level and place are changed under has seen what
 * others did under it, and so have all walks; its own stores still wait. */
TEST(LateLeaves, WhoGetsTheLockSeesWhatAnotherHasChanged)
{
    Late l;
    ts_store_buffer other{};
    l.table.map(va, frame);
    l.table.map(va + kPage, frame + kPage);
    l.change(va, true);
    l.change(va + kPage, true);
    ts_late_leaves_acquired(&l.late, va, va + 2 * kPage, 0, &l.thread.buffer);
    ts_late_leaves_acquired(&l.late, va, va + 2 * kPage, 1, &other);
    ts_late_leaves_acquired(&l.late, va - kPage, va, 0, &other);
    ts_late_leaves_acquired(&l.late, va + kPage, va + 2 * kPage, 0, &other);
    EXPECT_EQ(l.walk(va), frame);
    EXPECT_EQ(l.walk(va + kPage), 0u);
    ts_late_leaves_acquired(&l.late, va, va + kPage, 0, &other);
    EXPECT_EQ(l.walk(va), 0u);
}

TEST(LateLeaves, AWalkSeesAClearedEntryUntilTheStoreIsSeen)
{
    Late l;
    l.table.map(va, frame);
    l.table.map(va + kPage, frame + kPage);
    EXPECT_EQ(l.walk(va), frame);
    const ts_time until = l.change(va, true);
    ts_pte pte;
    EXPECT_FALSE(ts_pgtable_lookup(l.table.pt, va, &pte)); /* software sees its own store */
    l.thread.at(until - 1);
    EXPECT_EQ(l.walk(va + 8), frame + 8);
    EXPECT_EQ(l.walk(va + kPage), frame + kPage);
    EXPECT_EQ(l.walk(va - kPage), 0u);
    l.thread.at(until);
    EXPECT_EQ(l.walk(va), 0u);
}

TEST(LateLeaves, ADsbEndsIt)
{
    Late l;
    l.table.map(va, frame);
    (void)l.change(va, true);
    EXPECT_EQ(l.walk(va), frame);
    ts_store_dsb(&l.thread.buffer);
    EXPECT_EQ(l.walk(va), 0u);
}

TEST(LateLeaves, AWriteIsAllowedUntilItsLossIsSeen)
{
    Late l;
    l.table.map(va, frame);
    const ts_time until = l.change(va, false);
    EXPECT_EQ(l.walk(va, true), frame);
    l.thread.at(until);
    EXPECT_EQ(l.walk(va, true), 0u);
    EXPECT_EQ(l.walk(va), frame);
}

TEST(LateLeaves, WhatIsPutThereSinceIsSeen)
{
    Late l;
    l.table.map(va, frame);
    (void)l.change(va, true);
    l.table.map(va, frame + 7 * kPage);
    EXPECT_EQ(l.walk(va), frame + 7 * kPage);
    l.table.unmap(va);
    l.table.map(va, frame); /* the same frame, and it may be written */
    EXPECT_EQ(l.walk(va, true), frame);
    l.table.unmap(va);
    l.table.map(va, frame + 7 * kPage, 0, false);
    EXPECT_EQ(l.walk(va), frame + 7 * kPage);
    EXPECT_EQ(l.walk(va, true), 0u);
}

/* Though the store that has been seen was made later. */
TEST(LateLeaves, WhatWasBeforeAChangeThatIsSeenIsGone)
{
    Late l;
    l.table.map(va, frame);
    ts_time first = 0, second = 0;
    while (second >= first) {
        l.late = {};
        if (first)
            l.table.map(va, frame);
        first = l.change(va, false);
        second = l.change(va, true);
    }
    EXPECT_EQ(l.walk(va, true), frame);
    l.thread.at(second);
    EXPECT_EQ(l.walk(va), 0u);
}

TEST(LateLeaves, OfTwoChangesTheFirstIsSeenFirst)
{
    Late l;
    l.table.map(va, frame);
    const ts_time first = l.change(va, false);
    ts_time second = l.change(va, true);
    while (second <= first) {
        l.table.map(va, frame, 0, false);
        second = l.change(va, true);
    }
    EXPECT_EQ(l.walk(va, true), frame);
    l.thread.at(first);
    EXPECT_EQ(l.walk(va, true), 0u);
    EXPECT_EQ(l.walk(va), frame);
    l.thread.at(second);
    EXPECT_EQ(l.walk(va), 0u);
}

TEST(LateLeaves, TheOldestIsPushedOutAndSeen)
{
    Late l;
    for (uint64_t i = 0; i <= TS_LATE_LEAVES; i++)
        l.table.map(va + i * kPage, frame + i * kPage);
    for (uint64_t i = 0; i <= TS_LATE_LEAVES; i++)
        (void)l.change(va + i * kPage, true);
    EXPECT_EQ(l.walk(va), 0u);
    for (uint64_t i = 1; i <= TS_LATE_LEAVES; i++)
        EXPECT_EQ(l.walk(va + i * kPage), frame + i * kPage) << i;
}
