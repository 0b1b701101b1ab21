/* SPDX-License-Identifier: Apache-2.0 */
/* Busy CPUs balance by scheduling domains: when, who, how many, and what is left where it is. */
#include <gtest/gtest.h>

#include "tests/support/cpu_rig.hpp"

using ts_test::CpuRig;

namespace
{

constexpr ts_time tick = 4 * TS_MS;

/* CPUs with so many endless tasks each, of which those beyond the first may move. */
class Loaded
{
  public:
    Loaded(const std::vector<uint32_t> &tasks, const char *policy = "cfs", uint32_t sockets = 1,
           uint64_t factor = 16, uint32_t threads = 1)
        : rig(uint32_t(tasks.size()) / sockets / threads, 2'500'000'000, policy, sockets, threads)
    {
        rig.domain.sched_params.tick_ps = tick;
        rig.domain.sched_params.balance_factor = factor;
        for (uint32_t cpu = 0; cpu < tasks.size(); cpu++)
            for (uint32_t k = 0; k < tasks[cpu]; k++) {
                ts_task *t = rig.spawn(
                    cpu, [](ts_task *self) { ts_task_work_ps(self, 100 * TS_S); }, false);
                loose.push_back(k ? t : nullptr);
                ts_task_wake(nullptr, t);
                if (k)
                    t->pinned = nullptr;
            }
    }
    /* Runnable tasks by CPU. */
    std::vector<uint32_t> at(ts_time when)
    {
        rig.run(when);
        std::vector<uint32_t> n;
        for (uint32_t i = 0; i < rig.domain.ncpus; i++)
            n.push_back(rig.domain.cpus[i].rq.nr + !rig.domain.cpus[i].current->is_idle);
        return n;
    }
    CpuRig rig;
    std::vector<ts_task *> loose;
};

using N = std::vector<uint32_t>;

} // namespace

/* Four CPUs of a socket: 4 x 16 ms are 16 ticks, less one. CPU i looks in ticks n with
 * (n + i) mod 15 = 0, so CPU 3 first, after 12 ticks. Of eight tasks two are each one's share. */
TEST(Balance, ABusyCpuPullsWhenItsIntervalIsOver)
{
    for (const char *policy : {"cfs", "eevdf"}) {
        Loaded l({5, 1, 1, 1}, policy);
        EXPECT_EQ(l.at(12 * tick - 1), N({5, 1, 1, 1})) << policy;
        EXPECT_EQ(l.at(12 * tick + 100 * TS_US), N({4, 1, 1, 2})) << policy;
        EXPECT_EQ(l.at(13 * tick - 1), N({4, 1, 1, 2})) << policy;
        EXPECT_EQ(l.at(13 * tick + 100 * TS_US), N({3, 1, 2, 2})) << policy;
        EXPECT_EQ(l.at(14 * tick + 100 * TS_US), N({2, 2, 2, 2})) << policy;
        EXPECT_EQ(l.at(100 * tick), N({2, 2, 2, 2})) << policy;
        EXPECT_EQ(l.rig.domain.cpus[3].stats.migrations, 1u);
    }
}

/* What a task weighs halves with each failure, so that tasks that cannot be spread evenly take
 * turns at being many. */
TEST(Balance, AfterAFailureLessIsAnImbalance)
{
    Loaded l({3, 2, 3, 2});
    /* CPU 3 looks after 12 ticks and 15 later, CPU 1 after 14. */
    EXPECT_EQ(l.at(26 * tick), N({3, 2, 3, 2}));
    const N after = l.at(27 * tick + 100 * TS_US);
    EXPECT_EQ(after[3], 3u);
    EXPECT_EQ(after[0] + after[2], 5u);
}

TEST(Balance, NoTickWhereNothingIsToPull)
{
    Loaded l({2, 2, 2, 2});
    Loaded none({2, 2, 2, 2}, "cfs", 1, 0);
    EXPECT_EQ(l.at(200 * tick), N({2, 2, 2, 2}));
    EXPECT_EQ(none.at(200 * tick), N({2, 2, 2, 2}));
    EXPECT_EQ(l.rig.taken.size(), none.rig.taken.size());
}

TEST(Balance, IsOfLinuxesPoliciesAndCanBeOff)
{
    EXPECT_EQ(Loaded({5, 1, 1, 1}, "cfs", 1, 0).at(100 * tick), N({5, 1, 1, 1}));
    EXPECT_EQ(Loaded({5, 1, 1, 1}, "rr").at(100 * tick), N({5, 1, 1, 1}));
    EXPECT_EQ(Loaded({5, 1, 1, 1}, "credit2").at(100 * tick), N({5, 1, 1, 1}));
    Loaded l({5, 1, 1, 1});
    l.rig.domain.balance = false;
    EXPECT_EQ(l.at(100 * tick), N({5, 1, 1, 1}));
    /* 32 before 5.10: 31 ticks, of which CPU 3's first turn is after 28. */
    Loaded slow({5, 1, 1, 1}, "cfs", 1, 32);
    EXPECT_EQ(slow.at(28 * tick - 1), N({5, 1, 1, 1}));
    EXPECT_EQ(slow.at(28 * tick + 100 * TS_US), N({4, 1, 1, 2}));
}

TEST(Balance, PinnedTasksStay)
{
    Loaded l({5, 1, 1, 1});
    for (ts_task *t : l.loose)
        if (t)
            t->pinned = t->cpu;
    EXPECT_EQ(l.at(100 * tick), N({5, 1, 1, 1}));
}

/* Two sockets: the first CPU of each looks at all, every 4 x 16 ms less a tick: of ten tasks five
 * are each socket's share, and it takes three of the busiest CPU's, but for the one that has just
 * been preempted there. */
TEST(Balance, TheFirstCpuOfASocketPullsForIt)
{
    Loaded l({4, 4, 1, 1}, "cfs", 2);
    /* CPU 2 leads socket 1: (n + 2) mod 15 = 0. */
    EXPECT_EQ(l.at(13 * tick - 1), N({4, 4, 1, 1}));
    const N after = l.at(13 * tick + 100 * TS_US);
    EXPECT_EQ(after[0] + after[1], 6u);
    EXPECT_EQ(after[2], 3u);
    EXPECT_EQ(after[3], 1u);
}

/* sysctl_sched_migration_cost: who has run lately is left alone until two attempts have failed. */
TEST(Balance, HotTasksAreLeftAtFirst)
{
    Loaded hot({5, 1, 1, 1});
    hot.rig.domain.sched_params.migration_cost_ps = 10 * TS_S;
    /* CPU 3's turns are 15 ticks apart, and it is the first to have its third. */
    EXPECT_EQ(hot.at(42 * tick - 1), N({5, 1, 1, 1}));
    EXPECT_EQ(hot.at(42 * tick + 100 * TS_US), N({4, 1, 1, 2}));
}

/* CPUs 0 and 2 are threads of a core: 2 x 16 ms are 8 ticks, less one, and CPU 2 looks first, after
 * 5. Of six tasks three are each one's share. */
TEST(Balance, ThreadsOfACoreBalanceAmongEachOtherMoreOften)
{
    Loaded l({5, 3, 1, 3}, "cfs", 1, 16, 2);
    EXPECT_EQ(l.at(5 * tick - 1), N({5, 3, 1, 3}));
    EXPECT_EQ(l.at(5 * tick + 100 * TS_US), N({3, 3, 3, 3}));
    EXPECT_EQ(l.at(100 * tick), N({3, 3, 3, 3}));
}

/* imbalance_pct: 9 to 8 is too much between threads (110), not between cores (117). The first
 * attempt finds that half a task is too little to move. */
TEST(Balance, ThreadsOfACoreAreOutOfBalanceEarlier)
{
    Loaded threads({9, 8}, "cfs", 1, 16, 2);
    EXPECT_EQ(threads.at(13 * tick - 1), N({9, 8}));
    EXPECT_EQ(threads.at(13 * tick + 100 * TS_US), N({8, 9}));
    Loaded cores({9, 8});
    EXPECT_EQ(cores.at(100 * tick), N({9, 8}));
}

/* Two cores of two threads: 4 x 16 ms less a tick, by CPU 1 after 14; not by CPU 3 after 12, which
 * is the second thread of that core. */
TEST(Balance, TheFirstThreadOfACorePullsForIt)
{
    Loaded l({4, 1, 4, 1}, "cfs", 1, 16, 2);
    EXPECT_EQ(l.at(14 * tick - 1), N({4, 1, 4, 1}));
    const N after = l.at(14 * tick + 100 * TS_US);
    EXPECT_GT(after[1], 1u);
    EXPECT_EQ(after[3], 1u);
}

/* newidle_min_idle is of a CPU that falls idle, not of one that a busy one's tick has told. */
TEST(Balance, AnIdleCpuThatIsToldPullsHoweverBrieflyItIdles)
{
    Loaded l({3, 0});
    l.rig.domain.sched_params.newidle_min_idle_ps = 10 * TS_S;
    EXPECT_EQ(l.at(tick - 1), N({3, 0}));
    EXPECT_EQ(l.at(2 * tick), N({2, 1}));
}
