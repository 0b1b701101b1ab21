/* SPDX-License-Identifier: Apache-2.0 */
/* Xen's Credit2 alone (models/cpu/sched_credit2.c): exact credits and times. */
#include <gtest/gtest.h>

#include "tests/support/sched_rig.hpp"

using Rig = ts_test::SchedRig;

TEST(Credit2, BurnsCreditAndIsResetWhenNobodyHasAny)
{
    Rig r("credit2", 2);
    r.wake(0);
    r.wake(1);
    r.resched();
    EXPECT_EQ(r.curr->credit, int64_t(10 * TS_MS));
    EXPECT_EQ(r.running(), 0u);
    r.run(2 * TS_MS);
    EXPECT_EQ(r.curr->credit, int64_t(8 * TS_MS));
    EXPECT_TRUE(r.tick()); /* the other has more */
    r.resched();
    EXPECT_EQ(r.running(), 1u);
    r.run(10 * TS_MS);
    EXPECT_TRUE(r.tick());
    r.resched();
    EXPECT_EQ(r.running(), 0u);
    EXPECT_EQ(r.rq.resets, 0u); /* task 0 has some left */
    r.run(8 * TS_MS);
    EXPECT_EQ(r.curr->credit, 0);
    r.resched(); /* neither has: both are given 10 ms */
    EXPECT_EQ(r.rq.resets, 1u);
    EXPECT_EQ(r.tasks[0].credit, int64_t(10 * TS_MS));
    EXPECT_EQ(r.tasks[1].credit, int64_t(10 * TS_MS));
}

/* Nobody keeps more than 10.5 ms, and nobody falls below -10 ms: such a one takes two resets. */
TEST(Credit2, CreditIsClippedAtBothEnds)
{
    Rig r("credit2", 2);
    r.wake(0);
    r.resched();
    r.run(500 * TS_MS);
    EXPECT_EQ(r.curr->credit, -int64_t(10 * TS_MS));
    r.resched();
    EXPECT_EQ(r.rq.resets, 2u);
    EXPECT_EQ(r.curr->credit, int64_t(10 * TS_MS));
    ts_sched_entity *slept = r.sleep();
    r.wake(1);
    r.resched();
    for (int i = 0; i < 8; i++) {
        r.run(11 * TS_MS);
        r.resched();
    }
    EXPECT_EQ(r.rq.resets, 10u);
    r.wake(static_cast<uint32_t>(slept->number));
    EXPECT_EQ(slept->credit, int64_t(10 * TS_MS + 500 * TS_US));
    EXPECT_EQ(slept->resets, 10u);
}

/* A wake-up preempts who has less credit and has run for the rate limit, less 50 us. */
TEST(Credit2, AWakeUpPreemptsByCreditBeyondTheRateLimit)
{
    const std::pair<uint64_t, bool> rows[] = {{950 * TS_US, false}, {950 * TS_US + 1, true}};
    for (auto [ran, preempts] : rows) {
        Rig r("credit2", 2);
        r.wake(0);
        r.resched();
        r.run(ran);
        EXPECT_EQ(r.wake_preempts(1), preempts) << ran;
        /* Asked before the limit is quite over, the scheduler lets it go on. */
        r.resched();
        EXPECT_EQ(r.running(), 0u);
        r.run(TS_MS - ran);
        r.resched();
        EXPECT_EQ(r.running(), 1u);
    }
    Rig r("credit2", 2);
    r.wake(0);
    r.wake(1);
    r.resched();
    r.run(TS_MS); /* task 0: 9 ms left */
    ts_sched_entity *slept = r.sleep();
    EXPECT_EQ(r.running(), 1u);
    r.run(TS_MS);
    EXPECT_FALSE(r.wake_preempts(static_cast<uint32_t>(slept->number))); /* equal is not more */
}

/* The time that one is given ends at the credit of the first that waits, but never below the rate
 * limit; alone with others that have none, at nothing left; and after 10 ms in any case. */
TEST(Credit2, RunsDownToTheCreditOfTheNext)
{
    Rig r("credit2", 2);
    r.wake(0);
    r.wake(1);
    r.resched();
    r.run(TS_MS - 1);
    EXPECT_FALSE(r.tick());
    r.run(1);
    EXPECT_TRUE(r.tick());
    r.resched();
    r.run(4 * TS_MS); /* task 1: 6 ms, task 0: 9 ms */
    r.resched();
    EXPECT_EQ(r.running(), 0u);
    r.run(3 * TS_MS - 1);
    EXPECT_FALSE(r.tick());
    r.run(1);
    EXPECT_TRUE(r.tick());
    r.tasks[1].credit = -1;
    r.run(6 * TS_MS - 1);
    EXPECT_FALSE(r.tick());
    r.run(1);
    EXPECT_TRUE(r.tick());
}

TEST(Credit2, AYielderLetsTheNextRunWhateverItsCredit)
{
    Rig r("credit2", 2);
    r.wake(0);
    r.resched();
    r.tasks[1].credit = TS_MS;
    r.tasks[1].sum_exec_ps = 1; /* not new */
    r.wake(1);
    r.run(1);
    r.resched();
    EXPECT_EQ(r.running(), 0u);
    r.yield();
    EXPECT_EQ(r.running(), 1u);
    r.run(2 * TS_MS);
    r.resched();
    EXPECT_EQ(r.running(), 0u);
}

/* What a queue has reset before does not count for who comes from another one. */
TEST(Credit2, MigrationKeepsTheCredit)
{
    Rig a("credit2", 1), b("credit2", 1);
    b.rq.resets = 7;
    a.wake(0);
    a.pull(0);
    ts_sched_entity &e = a.tasks[0];
    a.ops->migrate(&a.rq, &b.rq, &e);
    b.ops->enqueue(&b.rq, nullptr, &e, false);
    EXPECT_EQ(e.credit, int64_t(10 * TS_MS));
    EXPECT_EQ(e.resets, 7u);
    ts_rq_remove(&b.rq, &e);
}

/* Who goes on with no credit, for the rate limit, does not end the epoch while another one waits
 * with some. */
TEST(Credit2, NoResetWhileTheFirstThatWaitsHasCredit)
{
    Rig r("credit2", 2);
    r.tasks[0].sum_exec_ps = r.tasks[1].sum_exec_ps = 1; /* not new */
    r.tasks[0].credit = TS_US;
    r.tasks[1].credit = int64_t(TS_MS);
    r.wake(0);
    r.resched();
    r.run(2 * TS_US);
    ASSERT_LT(r.tasks[0].credit, 0);
    r.wake(1);
    r.resched();
    EXPECT_EQ(r.running(), 0u);
    EXPECT_EQ(r.rq.resets, 0u);
}
