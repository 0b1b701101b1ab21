/* SPDX-License-Identifier: Apache-2.0 */
/* The policies alone: a queue and time that the test hands out. */
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/rng.h"
#include "tests/support/sched_rig.hpp"

using Rig = ts_test::SchedRig;

namespace
{

uint64_t ticks_up(uint64_t ps, uint64_t tick)
{
    return (ps + tick - 1) / tick * tick;
}

std::vector<std::string> policies()
{
    std::vector<std::string> all;
    for (size_t i = 0; i < ts_sched_table_count; i++)
        all.push_back(ts_sched_table[i]->name);
    return all;
}

class EveryPolicy : public testing::TestWithParam<std::string>
{
};

} // namespace

TEST(SchedTable, NamesAreThoseOfTheParameter)
{
    for (const ts_param_table *t : {&ts_host_sched_param_table, &ts_guest_sched_param_table}) {
        const ts_param *row = ts_param_find(t, "policy");
        ASSERT_NE(row, nullptr);
        ASSERT_EQ(row->max + 1, ts_sched_table_count);
        for (size_t i = 0; i < ts_sched_table_count; i++) {
            EXPECT_STREQ(row->enum_names[i], ts_sched_table[i]->name);
            EXPECT_EQ(ts_sched_find(row->enum_names[i]), ts_sched_table[i]);
        }
        EXPECT_EQ(row->enum_names[ts_sched_table_count], nullptr);
        EXPECT_STREQ(row->enum_names[row->def], "eevdf");
    }
    EXPECT_EQ(ts_sched_find("nonesuch"), nullptr);
}

TEST(SchedTable, DefaultsAreTheKernelsScaledFigures)
{
    ts_sched_params p{};
    ts_param_defaults(&ts_host_sched_param_table, &p);
    const uint64_t factor = 1 + 3; /* 1 + ilog2(8 CPUs) */
    EXPECT_EQ(p.latency_ps, 6 * TS_MS * factor);
    EXPECT_EQ(p.min_granularity_ps, 750 * TS_US * factor);
    EXPECT_EQ(p.wakeup_granularity_ps, 1 * TS_MS * factor);
    EXPECT_EQ(p.slice_ps, 700 * TS_US * factor);
    EXPECT_EQ(p.tick_ps, TS_S / 250);
}

TEST(RunQueue, KeepsItsListAndCount)
{
    ts_runqueue rq{};
    ts_sched_entity e[3] = {};
    ts_rq_insert_before(&rq, nullptr, &e[1]);
    ts_rq_insert_before(&rq, &e[1], &e[0]);
    ts_rq_insert_before(&rq, nullptr, &e[2]);
    EXPECT_EQ(rq.nr, 3u);
    EXPECT_EQ(rq.head, &e[0]);
    EXPECT_EQ(e[0].next, &e[1]);
    EXPECT_EQ(rq.tail, &e[2]);
    ts_rq_remove(&rq, &e[1]);
    EXPECT_EQ(e[0].next, &e[2]);
    EXPECT_EQ(e[2].prev, &e[0]);
    EXPECT_FALSE(e[1].queued);
    ts_rq_remove(&rq, &e[0]);
    ts_rq_remove(&rq, &e[2]);
    EXPECT_EQ(rq.nr, 0u);
    EXPECT_EQ(rq.head, nullptr);
    EXPECT_EQ(rq.tail, nullptr);
}

TEST_P(EveryPolicy, AnEmptyQueueHasNothing)
{
    Rig r(GetParam().c_str(), 1);
    r.resched();
    EXPECT_EQ(r.curr, nullptr);
}

TEST_P(EveryPolicy, EqualTasksGetEqualTime)
{
    for (uint32_t n : {2u, 3u, 8u, 20u}) {
        Rig r(GetParam().c_str(), n);
        for (uint32_t i = 0; i < n; i++)
            r.wake(i);
        r.resched();
        r.stretches(400 * n);
        uint64_t least = UINT64_MAX, most = 0;
        for (const auto &t : r.tasks) {
            least = std::min(least, t.sum_exec_ps);
            most = std::max(most, t.sum_exec_ps);
        }
        EXPECT_LE(most - least, r.params.latency_ps + r.params.tick_ps) << n;
    }
}

/* Tasks that sleep now and then: nobody starves, virtual time never goes back. */
TEST_P(EveryPolicy, RandomSleepersAreServed)
{
    const uint64_t seed = 5;
    SCOPED_TRACE("seed " + std::to_string(seed));
    const uint32_t n = 6;
    Rig r(GetParam().c_str(), n);
    ts_rng rng;
    ts_rng_init(&rng, seed, "sched", 0);
    for (uint32_t i = 0; i < n; i++)
        r.wake(i);
    r.resched();
    uint64_t last_min = 0;
    std::vector<uint64_t> waiting(n, 0);
    for (uint32_t step = 0; step < 20000; step++) {
        uint64_t ps = ts_rng_between(&rng, 1, r.params.tick_ps);
        r.run(ps);
        for (uint32_t i = 0; i < n; i++) {
            waiting[i] = r.tasks[i].queued ? waiting[i] + ps : 0;
            ASSERT_LT(waiting[i], n * (r.params.latency_ps + r.params.tick_ps)) << "task " << i;
        }
        ASSERT_GE(static_cast<int64_t>(r.rq.min_vruntime - last_min), 0);
        last_min = r.rq.min_vruntime;
        uint32_t other = static_cast<uint32_t>(ts_rng_below(&rng, n));
        bool asleep = !r.tasks[other].queued && r.curr != &r.tasks[other];
        if (asleep && r.wake_preempts(other))
            r.resched();
        else if (!asleep && r.rq.nr && ts_rng_chance(&rng, 1, 3))
            r.sleep();
        else if (r.tick())
            r.resched();
    }
}

/* With ticks as short as can be nobody is taken off the CPU before its quantum is over. */
TEST_P(EveryPolicy, ATickLeavesEverybodyItsQuantum)
{
    Rig r(GetParam().c_str(), 3);
    r.params.tick_ps = 100 * TS_US;
    for (uint32_t i = 0; i < 3; i++)
        r.put(i, TS_MS);
    r.resched();
    std::vector<uint64_t> all = r.stretches(2000);
    ASSERT_GT(all.size(), 10u);
    EXPECT_GE(*std::min_element(all.begin(), all.end()), r.ops->quantum(&r.params));
}

INSTANTIATE_TEST_SUITE_P(Table, EveryPolicy, testing::ValuesIn(policies()),
                         [](const auto &i) { return i.param; });

TEST(Cfs, SliceIsLatencyShareButAtLeastTheGranularity)
{
    for (uint32_t n : {2u, 4u, 8u, 16u}) {
        Rig r("cfs", n);
        r.params.tick_ps = TS_MS; /* shorter than the granularity, which 16 tasks come down to */
        for (uint32_t i = 0; i < n; i++)
            r.wake(i);
        r.resched();
        uint64_t ideal = std::max(r.params.latency_ps / n, r.params.min_granularity_ps);
        std::vector<uint64_t> all = r.stretches(200 * n);
        ASSERT_GT(all.size(), 4u);
        /* A tick that finds exactly the slice used up does not preempt yet: more is needed. */
        uint64_t most = *std::max_element(all.begin(), all.end());
        EXPECT_LE(most, ticks_up(ideal + 1, r.params.tick_ps)) << n;
        EXPECT_GE(*std::min_element(all.begin(), all.end()), r.params.min_granularity_ps) << n;
        if (n == 16) {
            EXPECT_EQ(most, 4 * TS_MS); /* more than 3 ms, at a tick */
        }
    }
}

TEST(Cfs, ASleeperComesBackWithHalfALatencyOfCredit)
{
    Rig r("cfs", 2);
    r.wake(0);
    r.wake(1);
    r.resched();
    r.run(TS_MS);
    ts_sched_entity *slept = r.sleep();
    r.run(TS_S);
    r.wake(slept->number == 0 ? 0 : 1);
    EXPECT_EQ(slept->vruntime, r.rq.min_vruntime - r.params.latency_ps / 2);
    EXPECT_TRUE(r.ops->preempts(&r.rq, r.curr, slept)); /* 12 ms ahead of 4 ms */
}

TEST(Cfs, AWakeUpPreemptsOnlyBeyondTheGranularity)
{
    for (uint64_t extra : {0u, 1u}) {
        Rig r("cfs", 2);
        r.wake(0);
        r.resched();
        r.run(100 * TS_MS);
        ts_sched_entity &e = r.tasks[1];
        e.sum_exec_ps = 1; /* not new */
        e.vruntime = r.curr->vruntime - r.params.wakeup_granularity_ps - extra;
        EXPECT_EQ(r.wake_preempts(1), extra == 1);
    }
}

/* skip: the leftmost one that yields is passed over unless the next is further ahead than the
 * wake-up granularity; either way it keeps its virtual time. */
TEST(Cfs, AYielderGivesWayAsFarAsThatIsFair)
{
    for (uint64_t extra : {0u, 1u}) {
        Rig r("cfs", 2);
        r.put(0, TS_MS);
        r.resched();
        r.put(1, TS_MS + r.params.wakeup_granularity_ps + extra);
        r.yield();
        EXPECT_EQ(r.running(), extra == 0 ? 1u : 0u);
        EXPECT_EQ(r.tasks[0].vruntime, TS_MS);
        EXPECT_EQ(r.rq.skip, &r.tasks[0]); /* either way until its CPU switches to it */
    }
}

TEST(Cfs, AYielderIsTakenAgainOnceTheOtherIsFarAhead)
{
    Rig r("cfs", 2);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS);
    r.yield();
    ASSERT_EQ(r.running(), 1u);
    r.run(r.params.wakeup_granularity_ps);
    r.resched();
    EXPECT_EQ(r.running(), 1u); /* leftmost, but passed over */
    r.run(1);
    r.resched();
    EXPECT_EQ(r.running(), 0u);
    EXPECT_EQ(r.rq.skip, nullptr);
}

TEST(Cfs, AYielderAmongThreeIsPassedOverForTheSecond)
{
    Rig r("cfs", 3);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS + 2);
    r.put(2, TS_MS + 1);
    r.yield();
    EXPECT_EQ(r.running(), 2u);
    /* Again from the queue's head: the running one is the second. */
    r.resched();
    EXPECT_EQ(r.running(), 2u);
    r.run(2);
    r.resched();
    EXPECT_EQ(r.running(), 1u);
}

TEST(Cfs, WhoeverYieldsAloneGoesOnUnmarked)
{
    Rig r("cfs", 1);
    r.put(0, TS_MS);
    r.resched();
    r.yield();
    EXPECT_EQ(r.running(), 0u);
    EXPECT_EQ(r.rq.skip, nullptr);
}

TEST(Cfs, ABuddyRunsNextWithinTheGranularity)
{
    for (uint64_t extra : {0u, 1u}) {
        Rig r("cfs", 3);
        r.put(0, TS_MS);
        r.resched();
        r.put(1, TS_MS + 1);
        r.put(2, TS_MS + r.params.wakeup_granularity_ps + extra);
        r.ops->set_next(&r.rq, &r.tasks[2]);
        r.resched();
        EXPECT_EQ(r.running(), extra == 0 ? 2u : 0u);
        /* The mark of one that was not taken stays. */
        EXPECT_EQ(r.rq.next, extra == 0 ? nullptr : &r.tasks[2]);
        if (extra == 0)
            continue;
        r.run(1);
        r.resched();
        EXPECT_EQ(r.running(), 2u);
    }
}

TEST(Cfs, AWakeUpThatPreemptsRunsNextThoughItIsNotTheLeftmost)
{
    Rig r("cfs", 3);
    r.put(0, 100 * TS_MS);
    r.resched();
    r.put(1, 90 * TS_MS);
    r.put(2, 90 * TS_MS + r.params.wakeup_granularity_ps);
    EXPECT_TRUE(r.ops->preempts(&r.rq, r.curr, &r.tasks[2]));
    r.resched();
    EXPECT_EQ(r.running(), 2u);
    EXPECT_EQ(r.rq.last, nullptr); /* three are no crowd */
}

/* LAST_BUDDY, from latency / min_granularity = 8 runnable tasks on. */
TEST(Cfs, InACrowdThePreemptedOneIsNext)
{
    for (uint32_t n : {7u, 8u}) {
        Rig r("cfs", n);
        r.put(0, 100 * TS_MS);
        r.resched();
        for (uint32_t i = 1; i < n; i++)
            r.put(i, 100 * TS_MS - 5 * TS_MS + (i == 1 ? 0 : 3 * TS_MS));
        EXPECT_TRUE(r.ops->preempts(&r.rq, r.curr, &r.tasks[1]));
        r.resched();
        ASSERT_EQ(r.running(), 1u);
        r.sleep();
        EXPECT_EQ(r.running(), n == 8 ? 0u : 2u);
    }
}

TEST(Cfs, ATickThatEndsTheSliceForgetsTheSkip)
{
    Rig r("cfs", 2);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS + 20 * TS_MS);
    r.yield();
    ASSERT_EQ(r.running(), 0u);
    r.run(r.params.latency_ps / 2 + 1);
    EXPECT_TRUE(r.tick());
    EXPECT_EQ(r.rq.skip, nullptr);
    r.resched();
    EXPECT_EQ(r.running(), 0u); /* still the leftmost by far */
}

TEST(Eevdf, ATickPreemptsOnlyWhenTheRequestIsUsedUp)
{
    Rig r("eevdf", 2);
    r.wake(0);
    r.wake(1);
    r.resched();
    uint64_t request = r.curr->deadline - r.curr->vruntime;
    r.run(request - 1);
    EXPECT_FALSE(r.tick());
    r.run(1);
    EXPECT_TRUE(r.tick());
    ts_sched_entity *first = r.curr;
    r.resched();
    EXPECT_NE(r.curr, first);
}

TEST(Eevdf, AnEligibleTaskIsProtectedFromWakeUps)
{
    Rig r("eevdf", 3);
    r.wake(0);
    r.wake(1);
    r.resched();
    /* Behind the average: what it was picked with is its own until it is used up. */
    r.tasks[1 - r.curr->number].vruntime = r.curr->vruntime + 10 * r.params.slice_ps;
    r.run(1000);
    r.tasks[2].sum_exec_ps = 1;
    r.tasks[2].lag = static_cast<int64_t>(r.params.slice_ps);
    EXPECT_FALSE(r.wake_preempts(2));
}

TEST(Eevdf, ATaskBeyondParityGivesWayToAnEarlierDeadline)
{
    Rig r("eevdf", 2);
    r.wake(0);
    r.resched();
    r.run(r.params.slice_ps - 1); /* alone: always at the average */
    r.tasks[1].sum_exec_ps = 1;
    r.tasks[1].lag = static_cast<int64_t>(r.params.slice_ps);
    /* With the newcomer's credit the average is behind the running one: no longer eligible. */
    EXPECT_TRUE(r.wake_preempts(1));
}

TEST(Eevdf, LagIsKeptOverASleepAndADebtIsWorkedOff)
{
    Rig r("eevdf", 3);
    for (uint32_t i = 0; i < 3; i++)
        r.wake(i);
    r.resched();
    r.run(r.params.slice_ps / 4);
    uint64_t slept_at = r.curr->vruntime;
    ts_sched_entity *e = r.sleep();
    EXPECT_EQ(e->lag, -static_cast<int64_t>(r.params.slice_ps / 4 - r.params.slice_ps / 12));
    /* At once: still where it was. */
    r.ops->enqueue(&r.rq, r.curr, e, true);
    EXPECT_EQ(e->vruntime, slept_at);
    ts_rq_remove(&r.rq, e);
    /* Much later: at the average, without credit for having slept. */
    r.run(TS_S);
    r.ops->enqueue(&r.rq, r.curr, e, true);
    ts_sched_entity *other = r.rq.head == e ? r.rq.tail : r.rq.head;
    EXPECT_EQ(e->vruntime, (r.curr->vruntime + other->vruntime) / 2);
}

/* yield_task_fair: vruntime = deadline. */
TEST(Eevdf, AnEligibleYielderForfeitsItsRequest)
{
    Rig r("eevdf", 2);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS + 2);
    r.run(2); /* now the two are even */
    r.yield();
    EXPECT_EQ(r.running(), 1u);
    EXPECT_EQ(r.tasks[0].vruntime, TS_MS + r.params.slice_ps);
    EXPECT_EQ(r.tasks[0].deadline, TS_MS + 2 * r.params.slice_ps);
    /* What it forfeited the other has before the two are even again. */
    r.run(r.params.slice_ps - 2);
    r.resched();
    EXPECT_EQ(r.running(), 1u);
    r.run(1);
    r.resched();
    EXPECT_EQ(r.running(), 0u);
}

TEST(Eevdf, AYielderBeyondTheAverageLosesTheCpuOnly)
{
    Rig r("eevdf", 2);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS);
    r.run(1);
    r.yield();
    EXPECT_EQ(r.running(), 1u);
    EXPECT_EQ(r.tasks[0].vruntime, TS_MS + 1);
    EXPECT_EQ(r.tasks[0].deadline, TS_MS + r.params.slice_ps);
}

TEST(Eevdf, WhoeverYieldsAloneForfeitsNothing)
{
    Rig r("eevdf", 1);
    r.put(0, TS_MS);
    r.resched();
    r.yield();
    EXPECT_EQ(r.running(), 0u);
    EXPECT_EQ(r.curr->vruntime, TS_MS);
}

/* However little it is ahead, a buddy that has had more than the average waits; its mark does, too.
 */
TEST(Eevdf, ABuddyIsTakenWhenItIsEligibleAndNotBefore)
{
    Rig r("eevdf", 3);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS);
    r.put(2, TS_MS + 4);
    r.ops->set_next(&r.rq, &r.tasks[2]);
    r.resched();
    EXPECT_EQ(r.running(), 0u); /* protected by its request */
    r.run(7);                   /* 7, 0, 4: the average is 3 2/3 */
    r.resched();
    EXPECT_EQ(r.running(), 1u);
    EXPECT_EQ(r.rq.next, &r.tasks[2]);
    r.run(1); /* 7, 1, 4: the average is 4 */
    r.resched();
    EXPECT_EQ(r.running(), 2u);
    EXPECT_EQ(r.rq.next, nullptr);
}

/* An eligible buddy goes before an earlier deadline and before the running one's protection. */
TEST(Eevdf, AnEligibleBuddyGoesBeforeProtection)
{
    Rig r("eevdf", 3);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS);
    r.put(2, TS_MS);
    r.ops->set_next(&r.rq, &r.tasks[2]);
    r.resched();
    EXPECT_EQ(r.running(), 2u);
}

TEST(Eevdf, WithoutABuddyTheProtectedOneGoesOn)
{
    Rig r("eevdf", 2);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS - 1); /* an earlier deadline */
    r.tasks[0].vruntime -= 1;
    r.resched();
    EXPECT_EQ(r.running(), 0u);
}

TEST(Eevdf, WhoeverIsPickedAgainHasNoProtection)
{
    Rig r("eevdf", 3);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS + 4 * r.params.slice_ps);
    r.run(r.params.slice_ps);
    EXPECT_TRUE(r.tick());
    r.resched();
    ASSERT_EQ(r.running(), 0u); /* the other has had more */
    EXPECT_FALSE(r.tick());
    r.put(2, r.curr->vruntime - 1);
    EXPECT_TRUE(r.ops->preempts(&r.rq, r.curr, &r.tasks[2]));
}

TEST_P(EveryPolicy, AMarkIsLostWithItsEntity)
{
    Rig r(GetParam().c_str(), 3);
    r.put(0, TS_MS);
    r.resched();
    r.put(1, TS_MS);
    r.put(2, TS_MS);
    if (r.ops->set_next)
        r.ops->set_next(&r.rq, &r.tasks[2]);
    r.pull(2);
    EXPECT_EQ(r.rq.next, nullptr);
    EXPECT_EQ(r.rq.nr, 1u);
    r.yield();
    EXPECT_EQ(r.running(), 1u);
    r.ops->yield(&r.rq, r.curr);
    r.sleep();
    EXPECT_EQ(r.running(), 0u);
    EXPECT_EQ(r.rq.skip, nullptr);
}

/* Its lead over the queue it leaves is its lead over the queue it joins. */
TEST_P(EveryPolicy, AMoveKeepsWhatIsRelativeToTheQueue)
{
    Rig a(GetParam().c_str(), 1), b(GetParam().c_str(), 1);
    a.rq.min_vruntime = 5 * TS_MS;
    b.rq.min_vruntime = 2 * TS_MS;
    a.put(0, 6 * TS_MS);
    a.rq.min_vruntime = 5 * TS_MS;
    a.pull(0);
    ts_sched_entity &e = a.tasks[0];
    a.rq.min_vruntime = 5 * TS_MS;
    a.ops->migrate(&a.rq, &b.rq, &e);
    EXPECT_EQ(e.vruntime, 3 * TS_MS);
    EXPECT_EQ(e.deadline - e.vruntime, a.params.slice_ps);
}

TEST(RoundRobin, RunsQuantaInOrderOfArrival)
{
    Rig r("rr", 3);
    for (uint32_t i = 0; i < 3; i++)
        r.wake(i);
    r.resched();
    for (uint32_t round = 0; round < 6; round++) {
        EXPECT_EQ(r.curr->number, round % 3);
        r.run(r.params.slice_ps - 1);
        EXPECT_FALSE(r.tick());
        r.run(1);
        EXPECT_TRUE(r.tick());
        r.resched();
    }
}

TEST(RoundRobin, AYielderWaitsForItsTurnAndHasAQuantumThen)
{
    Rig r("rr", 4);
    for (uint32_t i = 0; i < 4; i++)
        r.wake(i);
    r.resched();
    r.run(1);
    r.resched();
    EXPECT_EQ(r.running(), 0u); /* nothing ends its quantum */
    r.yield();
    for (uint32_t next : {1u, 2u, 3u, 0u, 1u}) {
        EXPECT_EQ(r.running(), next);
        r.run(1);
        r.yield();
    }
    /* A whole quantum after it. */
    r.run(r.params.slice_ps - 1);
    EXPECT_FALSE(r.tick());
}
