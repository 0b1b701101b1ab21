/* SPDX-License-Identifier: Apache-2.0 */
/* select_task_rq_fair: whose CPU, how far the search goes, and where new tasks begin. */
#include <gtest/gtest.h>

#include "tests/support/cpu_rig.hpp"

using ts_test::CpuRig;

namespace
{

/* CPUs of which some are busy from the beginning, for ever. */
class Placement
{
  public:
    Placement(uint32_t sockets, uint32_t cores, uint32_t threads,
              const std::vector<uint32_t> &busy = {})
        : rig(cores, 2'500'000'000, "cfs", sockets, threads)
    {
        for (uint32_t cpu : busy)
            occupy(cpu);
    }
    ts_task *occupy(uint32_t cpu, bool pinned = true)
    {
        ts_task *t = rig.spawn(cpu, [](ts_task *self) { ts_task_work_ps(self, TS_S); });
        t->pinned = pinned ? t->pinned : nullptr;
        return t;
    }
    /* One that has run, on a CPU, and sleeps. */
    ts_task *sleeper(uint32_t cpu)
    {
        ts_task *t = rig.spawn(
            cpu, [](ts_task *self) { ts_task_work_ps(self, TS_S); }, false);
        t->pinned = nullptr;
        t->placed = true;
        return t;
    }
    /* Where it is after a wake-up by the hardware (a timer, an interrupt for a vCPU). */
    uint32_t woken(ts_task *t)
    {
        rig.at(rig.now() + 10 * TS_US, [t] { ts_task_wake(nullptr, t); });
        rig.run(rig.now() + 11 * TS_US);
        return t->cpu->id;
    }
    /* The same by a task on a CPU, which goes on after that. */
    uint32_t woken_by(uint32_t cpu, ts_task *t, uint64_t flips = 0)
    {
        ts_task *waker = rig.spawn(cpu, [t](ts_task *self) {
            ts_task_wake(self, t);
            ts_task_work_ps(self, TS_S);
        });
        waker->wakee_flips = flips;
        rig.run(rig.now() + 20 * TS_US);
        return t->cpu->id;
    }
    CpuRig rig;
};

} // namespace

TEST(WakeUp, GoesToNoIdleCpuOfAnotherSocket)
{
    Placement p(2, 1, 1, {0});
    p.rig.domain.sched_params.idle_scan = TS_IDLE_SCAN_ALL;
    EXPECT_EQ(p.woken(p.sleeper(0)), 0u);
    Placement other(2, 2, 1, {0});
    EXPECT_EQ(other.woken(other.sleeper(0)), 1u);
}

/* wake_affine_weight: one more on the waker's CPU against 1.08 times those where it was. */
TEST(WakeUp, IsDrawnToTheWakersSocketIfThereIsLess)
{
    Placement light(2, 2, 1, {0, 1});
    EXPECT_EQ(light.woken_by(2, light.sleeper(0)), 0u); /* 200 against 108 */
    Placement heavy(2, 2, 1, {0, 0, 1});
    EXPECT_EQ(heavy.woken_by(2, heavy.sleeper(0)), 3u); /* 200 against 216: idle beside the waker */
    /* 20 on either CPU, 21 with the woken one: threads of a core weigh 1.05, others 1.08. */
    for (uint32_t threads : {1u, 2u}) {
        Placement p(1, threads == 1 ? 2 : 1, threads);
        ts_task *t = p.sleeper(0);
        bool woke = false;
        p.rig.spawn(1, [&](ts_task *self) {
            ts_task_work_ps(self, 10 * TS_US);
            ts_task_wake(self, t);
            woke = true;
        });
        for (int i = 0; i < 20; i++)
            p.occupy(0);
        for (int i = 0; i < 19; i++)
            p.occupy(1);
        p.rig.run(20 * TS_US);
        ASSERT_TRUE(woke);
        EXPECT_EQ(t->cpu->id, threads == 1 ? 1u : 0u);
    }
}

/* wake_wide: four CPUs of a socket; the one flips 5 times, the other at least 4 times as often. */
TEST(WakeUp, IsNotDrawnToOneThatWakesManyOthers)
{
    for (uint64_t flips : {15u, 19u}) {
        Placement p(2, 4, 1, {0, 0, 1, 2, 3});
        ts_task *t = p.sleeper(0);
        t->wakee_flips = 5;
        /* The waker's own count goes up with this wake-up. */
        EXPECT_EQ(p.woken_by(4, t, flips), flips + 1 >= 20 ? 0u : 5u) << flips;
    }
}

TEST(WakeUp, FlipsCountChangesAndHalveAfterASecond)
{
    Placement p(1, 4, 1);
    ts_task *a = p.sleeper(1), *b = p.sleeper(2);
    std::vector<uint64_t> seen;
    p.rig.spawn(0, [&](ts_task *self) {
        for (ts_task *t : {a, b}) {
            ts_task_wake(self, t);
            seen.push_back(self->wakee_flips);
        }
        ts_task_work_ps(self, TS_S);
        ts_task_block(self);
    });
    p.rig.run(500 * TS_MS);
    EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2}));
    ts_task *c = p.sleeper(3), *d = p.sleeper(3);
    ts_task *waker = p.rig.spawn(0, [&](ts_task *self) {
        self->wakee_flips = 9;
        self->last_wakee = c->number + 1ull;
        ts_task_wake(self, c);
        EXPECT_EQ(self->wakee_flips, 9u); /* the same as before, within a second */
        self->wakee_flips_halved = ts_task_now(self) - TS_S - 1;
        ts_task_wake(self, d);
    });
    p.rig.run(2 * TS_S);
    EXPECT_EQ(waker->wakee_flips, 9u / 2 + 1);
}

TEST(WakeUp, AnIdleCoreGoesBeforeAnIdleThreadOfItsOwn)
{
    /* CPUs 0 and 2, and 1 and 3, are threads of a core. */
    Placement whole(1, 2, 2, {0});
    EXPECT_EQ(whole.woken(whole.sleeper(0)), 1u);
    Placement none(1, 2, 2, {0, 1});
    EXPECT_EQ(none.woken(none.sleeper(0)), 2u);
    /* Its sibling before another core's: CPUs 0 and 3, 1 and 4, 2 and 5. */
    Placement beside(1, 3, 2, {0, 1, 2});
    EXPECT_EQ(beside.woken(beside.sleeper(2)), 5u);
}

TEST(WakeUp, WhereItRanBeforeGoesBeforeASearch)
{
    Placement p(1, 4, 1, {0});
    ts_task *t = p.sleeper(0);
    t->recent_cpu = &p.rig.domain.cpus[3];
    EXPECT_EQ(p.woken(t), 3u);
    EXPECT_EQ(t->recent_cpu, &p.rig.domain.cpus[0]);
}

/* SIS_UTIL: of 16 CPUs of which b are busy 16 (1 - (1.17 b / 16)^2) are looked at. The first b are
 * busy, so that b must be to find one. */
TEST(WakeUp, SearchesFewerTheMoreAreBusy)
{
    for (uint32_t b = 1; b <= 15; b++) {
        std::vector<uint32_t> busy;
        for (uint32_t i = 0; i < b; i++)
            busy.push_back(i);
        double x = 1.17 * b / 16, looked_at = 16 * (1 - x * x);
        for (bool all : {false, true}) {
            Placement p(1, 16, 1, busy);
            p.rig.domain.sched_params.idle_scan = all ? TS_IDLE_SCAN_ALL : TS_IDLE_SCAN_UTIL;
            EXPECT_EQ(p.woken(p.sleeper(0)), all || looked_at >= b ? b : 0u) << b;
        }
    }
}

/* SIS_PROP: a 512th of the mean idle time, for each CPU of the socket, over what a search takes; at
 * least four. */
TEST(WakeUp, SearchesAsFarAsItsIdleTimePays)
{
    const ts_time scan = TS_US;
    auto found = [&](ts_time idle, uint32_t busy) {
        std::vector<uint32_t> list;
        for (uint32_t i = 0; i < busy; i++)
            list.push_back(i);
        Placement p(1, 16, 1, list);
        p.rig.domain.sched_params.idle_scan = TS_IDLE_SCAN_PROP;
        ts_task *t = p.sleeper(0);
        p.rig.run(TS_US);
        p.rig.domain.cpus[0].avg_idle_ps = idle;
        p.rig.domain.cpus[0].avg_scan_ps = scan - TS_NS;
        return p.woken(t) == busy;
    };
    EXPECT_TRUE(found(0, 4));
    EXPECT_FALSE(found(0, 5));
    const ts_time six = 6 * scan * 512 / 16;
    EXPECT_TRUE(found(six, 6));
    EXPECT_FALSE(found(six, 7));
    EXPECT_FALSE(found(six - 512, 6));
}

TEST(WakeUp, ASearchsCostIsAMean)
{
    Placement p(1, 16, 1, {0, 1, 2});
    ts_sched_params &s = p.rig.domain.sched_params;
    s.idle_scan = TS_IDLE_SCAN_PROP;
    s.idle_scan_cycles = 800;
    EXPECT_EQ(p.woken(p.sleeper(0)), 3u);
    EXPECT_EQ(p.rig.domain.cpus[0].avg_scan_ps, p.rig.cycles(3 * 800) / 8);
}

/* available_idle_cpu of a guest. */
TEST(WakeUp, LeavesOutIdleCpusThatAreSaidToBePreempted)
{
    for (bool avoid : {true, false}) {
        Placement p(1, 4, 1, {0});
        p.rig.ops.preempted = [](const ts_cpu *c) { return c->id == 1; };
        p.rig.domain.sched_params.avoid_preempted = avoid;
        EXPECT_EQ(p.woken(p.sleeper(0)), avoid ? 2u : 1u);
    }
}

/* find_idlest_group: most idle CPUs, then fewest tasks; its own at a tie. */
TEST(NewTask, BeginsWhereMostIsIdle)
{
    auto begins = [](Placement &p) {
        ts_task *t = p.sleeper(0);
        t->placed = false;
        return p.woken(t);
    };
    Placement other(2, 2, 1, {0, 1});
    EXPECT_EQ(begins(other), 2u);
    Placement tie(2, 2, 1, {0, 2});
    EXPECT_EQ(begins(tie), 1u);
    Placement fewest(2, 2, 1, {0, 0, 1, 2, 3, 3});
    EXPECT_EQ(begins(fewest), 1u);
    Placement one_idle(2, 2, 1, {0, 1, 2, 2, 2});
    EXPECT_EQ(begins(one_idle), 3u);
    Placement less(2, 2, 1, {0, 0, 1, 1, 2, 3, 3});
    EXPECT_EQ(begins(less), 2u);
    /* Two threads a core: of socket 0 (0, 1 and 4, 5) core 1 is idle, of core 0 one thread. */
    Placement core(2, 2, 2, {0});
    EXPECT_EQ(begins(core), 2u); /* four idle beside three: the other socket */
    Placement idle_core(1, 2, 2, {0});
    EXPECT_EQ(begins(idle_core), 1u);
}

/* --- balancing when a CPU falls idle --- */

TEST(NewIdle, TakesFromTheNearestThatHaveOne)
{
    for (bool near : {true, false}) {
        Placement p(2, 2, 1);
        for (int i = 0; i < 2; i++)
            p.occupy(0, i == 0 || !near);
        for (int i = 0; i < 4; i++)
            p.occupy(2, i == 0);
        p.occupy(3);
        p.rig.spawn(1, [](ts_task *self) { ts_task_work_ps(self, TS_MS); });
        p.rig.run(2 * TS_MS);
        EXPECT_EQ(p.rig.domain.cpus[0].rq.nr, near ? 0u : 1u);
        EXPECT_EQ(p.rig.domain.cpus[2].rq.nr, near ? 3u : 2u);
        EXPECT_EQ(p.rig.domain.cpus[1].stats.migrations, 1u);
    }
}

/* Up to 5.15: avg_idle < sysctl_sched_migration_cost. */
TEST(NewIdle, OneThatIdlesBrieflyTakesNothing)
{
    for (ts_time idle : {500 * TS_US - 1, 500 * TS_US}) {
        Placement p(1, 2, 1);
        p.rig.domain.sched_params.newidle_min_idle_ps = 500 * TS_US;
        p.occupy(0);
        p.occupy(0, false);
        p.rig.spawn(1, [&](ts_task *self) {
            ts_task_work_ps(self, TS_MS);
            self->cpu->avg_idle_ps = idle;
        });
        p.rig.run(2 * TS_MS);
        EXPECT_EQ(p.rig.domain.cpus[1].stats.migrations, idle < 500 * TS_US ? 0u : 1u);
    }
}

/* update_avg: an eighth of the difference; at most twice the migration cost. */
TEST(NewIdle, TheMeanIdleTimeFollowsWhatAWakeUpEnds)
{
    Placement p(1, 1, 1);
    ts_cpu &c = p.rig.domain.cpus[0];
    const ts_time most = 2 * p.rig.domain.sched_params.migration_cost_ps;
    ts_time idle_at = 0, woken_at = 0;
    ts_task *t = p.rig.spawn(0, [&](ts_task *self) {
        ts_task_block(self);
        ts_task_block(self);
    });
    p.rig.run(50 * TS_US);
    EXPECT_EQ(c.avg_idle_ps, most); /* as it begins */
    idle_at = c.idle_since;
    ASSERT_LT(idle_at, 50 * TS_US);
    woken_at = 80 * TS_US;
    p.rig.at(woken_at, [t] { ts_task_wake(nullptr, t); });
    const ts_time before = c.avg_idle_ps;
    p.rig.run(90 * TS_US);
    EXPECT_EQ(c.avg_idle_ps, before - (before - (woken_at - idle_at)) / 8);
    p.rig.at(TS_S, [t] { ts_task_wake(nullptr, t); });
    p.rig.run(TS_S + TS_US);
    EXPECT_EQ(c.avg_idle_ps, most);
}
