/* SPDX-License-Identifier: Apache-2.0 */
/* The policies alone: a queue and time that the test hands out. */
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "models/cpu/sched.h"
#include "sim/rng.h"

namespace
{

class Rig
{
  public:
    explicit Rig(const char *policy, uint32_t n) : ops(ts_sched_find(policy)), tasks(n)
    {
        ts_param_defaults(&ts_guest_sched_param_table, &params);
        rq.params = &params;
        for (uint32_t i = 0; i < n; i++)
            tasks[i].number = i;
    }
    void wake(uint32_t i)
    {
        ops->enqueue(&rq, curr, &tasks[i], true);
    }
    bool wake_preempts(uint32_t i)
    {
        wake(i);
        return ops->preempts(&rq, curr, &tasks[i]);
    }
    void pick()
    {
        curr = ops->pick(&rq);
        if (curr)
            curr->slice_start_ps = curr->sum_exec_ps;
    }
    void run(uint64_t ps)
    {
        curr->sum_exec_ps += ps;
        ops->charge(&rq, curr, ps);
    }
    void yield()
    {
        ts_sched_entity *prev = curr;
        curr = nullptr;
        ops->enqueue(&rq, nullptr, prev, false);
        pick();
    }
    void sleep()
    {
        curr = nullptr;
        pick();
    }
    bool tick()
    {
        return rq.nr && ops->tick(&rq, curr);
    }
    /* Runs for a time in ticks; returns how long each stretch of one task was. */
    std::vector<uint64_t> stretches(uint64_t ticks)
    {
        std::vector<uint64_t> all;
        uint64_t stretch = 0;
        for (uint64_t t = 0; t < ticks; t++) {
            run(params.tick_ps);
            stretch += params.tick_ps;
            if (tick()) {
                ts_sched_entity *prev = curr;
                yield();
                if (curr != prev) {
                    all.push_back(stretch);
                    stretch = 0;
                }
            }
        }
        return all;
    }

    const ts_sched_ops *ops;
    ts_sched_params params{};
    ts_runqueue rq{};
    ts_sched_entity *curr = nullptr;
    std::deque<ts_sched_entity> tasks;
};

uint64_t ticks_up(uint64_t ps, uint64_t tick)
{
    return (ps + tick - 1) / tick * tick;
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
    r.pick();
    EXPECT_EQ(r.curr, nullptr);
}

TEST_P(EveryPolicy, EqualTasksGetEqualTime)
{
    for (uint32_t n : {2u, 3u, 8u, 20u}) {
        Rig r(GetParam().c_str(), n);
        for (uint32_t i = 0; i < n; i++)
            r.wake(i);
        r.pick();
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
    r.pick();
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
            r.yield();
        else if (!asleep && r.rq.nr && ts_rng_chance(&rng, 1, 3))
            r.sleep();
        else if (r.tick())
            r.yield();
    }
}

INSTANTIATE_TEST_SUITE_P(Table, EveryPolicy, testing::Values("cfs", "eevdf", "rr"),
                         [](const auto &i) { return i.param; });

TEST(Cfs, SliceIsLatencyShareButAtLeastTheGranularity)
{
    for (uint32_t n : {2u, 4u, 8u, 16u}) {
        Rig r("cfs", n);
        for (uint32_t i = 0; i < n; i++)
            r.wake(i);
        r.pick();
        uint64_t ideal = std::max(r.params.latency_ps / n, r.params.min_granularity_ps);
        std::vector<uint64_t> all = r.stretches(200 * n);
        ASSERT_GT(all.size(), 4u);
        /* A tick that finds exactly the slice used up does not preempt yet: more is needed. */
        uint64_t most = *std::max_element(all.begin(), all.end());
        EXPECT_LE(most, ticks_up(ideal + 1, r.params.tick_ps)) << n;
        EXPECT_GE(*std::min_element(all.begin(), all.end()), r.params.min_granularity_ps) << n;
    }
}

TEST(Cfs, ASleeperComesBackWithHalfALatencyOfCredit)
{
    Rig r("cfs", 2);
    r.wake(0);
    r.wake(1);
    r.pick();
    r.run(TS_MS);
    ts_sched_entity *slept = r.curr;
    r.sleep();
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
        r.pick();
        r.run(100 * TS_MS);
        ts_sched_entity &e = r.tasks[1];
        e.sum_exec_ps = 1; /* not new */
        e.vruntime = r.curr->vruntime - r.params.wakeup_granularity_ps - extra;
        EXPECT_EQ(r.wake_preempts(1), extra == 1);
    }
}

TEST(Eevdf, ATickPreemptsOnlyWhenTheRequestIsUsedUp)
{
    Rig r("eevdf", 2);
    r.wake(0);
    r.wake(1);
    r.pick();
    uint64_t request = r.curr->deadline - r.curr->vruntime;
    r.run(request - 1);
    EXPECT_FALSE(r.tick());
    r.run(1);
    EXPECT_TRUE(r.tick());
    ts_sched_entity *first = r.curr;
    r.yield();
    EXPECT_NE(r.curr, first);
}

TEST(Eevdf, AnEligibleTaskIsProtectedFromWakeUps)
{
    Rig r("eevdf", 3);
    r.wake(0);
    r.wake(1);
    r.pick();
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
    r.pick();
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
    r.pick();
    r.run(r.params.slice_ps / 4);
    ts_sched_entity *e = r.curr;
    EXPECT_LT(e->lag, 0);
    uint64_t slept_at = e->vruntime;
    r.sleep();
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

TEST(RoundRobin, RunsQuantaInOrderOfArrival)
{
    Rig r("rr", 3);
    for (uint32_t i = 0; i < 3; i++)
        r.wake(i);
    r.pick();
    for (uint32_t round = 0; round < 6; round++) {
        EXPECT_EQ(r.curr->number, round % 3);
        r.run(r.params.slice_ps - 1);
        EXPECT_FALSE(r.tick());
        r.run(1);
        EXPECT_TRUE(r.tick());
        r.yield();
    }
}
