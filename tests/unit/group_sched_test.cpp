/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of tasks (models/cpu/group.h): shares as closed formulas, wake-ups and boosts between
 * groups, and what a group weighs on a CPU. */
#include <gtest/gtest.h>

#include <cmath>

#include "models/cpu/group.h"
#include "tests/support/cpu_rig.hpp"

using namespace ts_test;

namespace
{

const char *const policies[] = {"cfs", "eevdf"};
const ts_time span = 4 * TS_S;

class GroupRig : public CpuRig
{
  public:
    GroupRig(uint32_t cores, const char *policy, const std::vector<uint64_t> &shares)
        : CpuRig(cores, 2'500'000'000, policy)
    {
        ts_error err{};
        if (ts_groups_init(&domain, uint32_t(shares.size()), shares.data(), &err) != TS_OK)
            throw std::runtime_error(err.message);
    }
    ts_task *add(uint32_t group, uint32_t cpu, Body body)
    {
        ts_task *t = spawn(cpu, std::move(body), false);
        t->se.group = group;
        ts_task_wake(nullptr, t);
        return t;
    }
    ts_task *hog(uint32_t group, uint32_t cpu)
    {
        return add(group, cpu, [](ts_task *self) { ts_task_work_ps(self, 10 * span); });
    }
};

double executed(const std::vector<ts_task *> &tasks)
{
    double sum = 0;
    for (const ts_task *t : tasks)
        sum += double(t->state == TS_TASK_RUNNING ? ts_task_executed(t) : t->se.sum_exec_ps);
    return sum / double(span);
}

/* Two slices and a tick of every group. */
const double slack = 0.01;

} // namespace

TEST(Groups, GetWhatTheirSharesSayHoweverManyTasksTheyHave)
{
    struct Row {
        std::vector<uint64_t> shares;
        std::vector<int> tasks;
    };
    const Row rows[] = {
        {{1024, 1024}, {1, 8}}, {{1024, 3072}, {1, 1}},          {{1024, 3072}, {8, 1}},
        {{3072, 1024}, {8, 1}}, {{1024, 1024, 2048}, {1, 4, 2}}, {{512, 256}, {3, 3}},
    };
    for (const char *policy : policies) {
        for (const Row &row : rows) {
            GroupRig rig(1, policy, row.shares);
            std::vector<std::vector<ts_task *>> groups(row.tasks.size());
            double all = 0;
            for (size_t g = 0; g < groups.size(); g++) {
                all += double(row.shares[g]);
                for (int i = 0; i < row.tasks[g]; i++)
                    groups[g].push_back(rig.hog(uint32_t(g), 0));
            }
            rig.run(span);
            for (size_t g = 0; g < groups.size(); g++) {
                double want = double(row.shares[g]) / all;
                EXPECT_NEAR(executed(groups[g]), want, slack) << policy << " group " << g;
                /* And inside a group all alike. */
                for (ts_task *t : groups[g])
                    EXPECT_NEAR(executed({t}), want / row.tasks[g], slack) << policy;
            }
        }
    }
}

/* A task in no group competes with groups as one of 1024 shares. */
TEST(Groups, CompeteWithTasksThatAreInNone)
{
    for (const char *policy : policies) {
        GroupRig rig(1, policy, {2048});
        std::vector<ts_task *> group{rig.hog(0, 0), rig.hog(0, 0), rig.hog(0, 0)};
        ts_task *alone = rig.hog(TS_SCHED_NO_GROUP, 0);
        rig.run(span);
        EXPECT_NEAR(executed(group), 2.0 / 3, slack) << policy;
        EXPECT_NEAR(executed({alone}), 1.0 / 3, slack) << policy;
    }
}

/* calc_group_shares: a group that has a task on each of n CPUs weighs 1/n of its shares on each, so
 * that one with a single task gets n/(n+1) of the CPU that they share. */
TEST(Groups, WeighOnACpuWhatTheyHaveThere)
{
    for (const char *policy : policies) {
        for (uint32_t n : {2u, 4u, 8u}) {
            GroupRig rig(n, policy, {1024, 1024});
            std::vector<ts_task *> wide;
            for (uint32_t i = 0; i < n; i++)
                wide.push_back(rig.hog(1, i));
            ts_task *narrow = rig.hog(0, 0);
            rig.run(span);
            /* The averages build up within some half-lives of 32 ms. */
            EXPECT_NEAR(executed({narrow}), double(n) / (n + 1), 0.02) << policy << " " << n;
            EXPECT_NEAR(executed(wide), n - double(n) / (n + 1), 0.02) << policy << " " << n;
        }
    }
}

/* The whole CPU for who is alone, however small its shares are. */
TEST(Groups, LeaveNothingIdle)
{
    for (const char *policy : policies) {
        GroupRig rig(1, policy, {2, 262144});
        ts_task *small = rig.hog(0, 0);
        ts_task *large = rig.add(1, 0, [](ts_task *self) {
            for (int i = 0; i < 10; i++) {
                ts_task_work_ps(self, 10 * TS_MS);
                ts_task_sleep(self, 100 * TS_MS);
            }
        });
        rig.run(span);
        double ran = double(rig.now()) / double(span);
        EXPECT_NEAR(executed({small}) + executed({large}), ran, 0.001) << policy;
        EXPECT_NEAR(executed({large}), 0.1 / 4, 0.001) << policy;
    }
}

/* find_matching_se: who wakes up in a group that slept preempts who runs in another. */
TEST(Groups, PreemptEachOtherAtAWakeUp)
{
    for (const char *policy : policies) {
        for (uint32_t own : {0u, 1u}) {
            GroupRig rig(1, policy, {1024, 1024});
            rig.hog(0, 0);
            std::vector<ts_time> late;
            rig.add(own, 0, [&](ts_task *self) {
                for (int i = 0; i < 20; i++) {
                    ts_task_work_ps(self, 100 * TS_US);
                    ts_time due = ts_task_now(self) + 37 * TS_MS;
                    ts_task_sleep(self, 37 * TS_MS);
                    late.push_back(ts_task_now(self) - due);
                }
            });
            rig.run(span);
            ASSERT_EQ(late.size(), 20u) << policy << own;
            size_t prompt = 0;
            for (ts_time t : late)
                prompt += t < 100 * TS_US;
            /* EEVDF: only once the running one's request is used up (RUN_TO_PARITY). */
            EXPECT_GE(prompt, policy == std::string("cfs") ? 19u : 4u) << policy << own;
        }
    }
}

/* set_next_buddy marks every level: the group and in it the task. */
TEST(Groups, ABoostGoesThroughTheLevels)
{
    for (const char *policy : policies) {
        const bool cfs = policy == std::string("cfs");
        GroupRig rig(2, policy, {1024, 1024});
        rig.domain.sched_params.wakeup_granularity_ps = 50 * TS_MS; /* nothing is unfair */
        std::vector<int> order;
        std::vector<ts_time> when;
        auto body = [&](int who) {
            return [&order, &when, who](ts_task *self) {
                for (int i = 0; i < 50; i++) {
                    if (order.empty() || order.back() != who) {
                        order.push_back(who);
                        when.push_back(ts_task_now(self));
                    }
                    ts_task_work_ps(self, TS_MS);
                }
            };
        };
        ts_task *first = rig.add(0, 1, body(0));
        ts_task *const others[] = {rig.add(1, 1, body(1)), rig.add(1, 1, body(2))};
        ts_yield got = TS_YIELD_NOBODY;
        size_t before = 0;
        int chosen = 0;
        ts_time asked = 0;
        rig.add(0, 0, [&](ts_task *self) {
            ts_task_work_ps(self, 25 * TS_MS);
            /* The other group's turn has just begun. */
            while (rig.domain.cpus[1].current == first)
                ts_task_work_ps(self, 100 * TS_US);
            while (rig.domain.cpus[1].current != first)
                ts_task_work_ps(self, 100 * TS_US);
            ts_task_work_ps(self, 200 * TS_US);
            before = order.size();
            /* CFS: whose turn it is not; EEVDF takes only who is eligible. */
            bool ahead = others[0]->member.vruntime > others[1]->member.vruntime;
            chosen = ahead == cfs ? 1 : 2;
            asked = ts_task_now(self);
            got = ts_task_yield_to(self, others[chosen - 1]);
        });
        rig.run(span);
        EXPECT_EQ(got, TS_YIELD_DONE) << policy;
        ASSERT_GT(order.size(), before) << policy;
        EXPECT_EQ(order[before], chosen) << policy;
        /* At once, though its group has just had its turn; EEVDF does not take it then. */
        if (cfs) {
            EXPECT_LT(when[before], asked + TS_MS);
        }
    }
}

/* sched_slice: however light a group is, it runs for the minimal granularity at a time. */
TEST(Groups, ALightOneHasAWholeSlice)
{
    GroupRig rig(1, "cfs", {64, 1024});
    rig.domain.sched_params.tick_ps = TS_MS;
    ts_task *light = rig.hog(0, 0);
    rig.hog(1, 0);
    rig.run(span);
    EXPECT_NEAR(executed({light}), 64.0 / 1088, slack);
    /* Ended by the tick at which it has run for 3 ms (check_preempt_tick). */
    double runs = double(rig.domain.cpus[0].stats.context_switches) / 2;
    EXPECT_NEAR(executed({light}) * double(span) / runs, 3e9, 0.1e9);
}

TEST(Groups, AWeightIsTheGroupsPartOfItsLoad)
{
    const uint64_t unit = TS_NICE_0_LOAD;
    struct Row {
        uint64_t shares, runnable, average, total, contribution, want;
    };
    const Row rows[] = {
        {unit, unit, unit, 4 * unit, unit, unit / 4},
        {unit, 2 * unit, unit, 4 * unit, unit, 2 * unit / 5},
        {unit, unit, 0, 0, 0, unit},                          /* nobody elsewhere: all of it */
        {unit, unit, 3 * unit, 6 * unit, 3 * unit, unit / 2}, /* the greater of the two loads */
        {4 * unit, unit, unit, 64 * unit, unit, unit / 16},
        {2, unit, unit, 1000 * unit, unit, 2},                /* MIN_SHARES */
        {unit, 8 * unit, 8 * unit, 8 * unit, 8 * unit, unit}, /* never more than the shares */
    };
    for (const Row &row : rows)
        EXPECT_EQ(
            ts_group_weight(row.shares, row.runnable, row.average, row.total, row.contribution),
            row.want);
}

TEST(Groups, AnAverageHalvesIn32Periods)
{
    const ts_time period = 1024 * TS_US;
    for (uint64_t n : {0, 1, 5, 31, 32, 64, 100, 320}) {
        double want = std::pow(0.5, double(n) / 32);
        double got = double(ts_group_decay(TS_NICE_0_LOAD, 0, n * period)) / TS_NICE_0_LOAD;
        EXPECT_NEAR(got, want, 2e-6) << n;
        got = double(ts_group_decay(0, TS_NICE_0_LOAD, n * period)) / TS_NICE_0_LOAD;
        EXPECT_NEAR(got, 1 - want, 2e-6) << n;
    }
    double half = double(ts_group_decay(TS_NICE_0_LOAD, 0, period / 2)) / TS_NICE_0_LOAD;
    EXPECT_NEAR(half, std::pow(0.5, 0.5 / 32), 1e-4);
    EXPECT_EQ(ts_group_decay(12345, 678, 100 * TS_S), 678u);
}
