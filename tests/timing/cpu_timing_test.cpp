/* SPDX-License-Identifier: Apache-2.0 */
/* Exact times of what software does on a CPU: work, interrupts in its middle, stalls, sleeping,
 * spinning, preemption. */
#include <gtest/gtest.h>

#include "tests/support/cpu_rig.hpp"

using ts_test::CpuRig;

namespace
{

/* The idle task gives way after the context switch's cycles; a task's first cycle is that edge. */
uint64_t first_cycle(const CpuRig &rig)
{
    return rig.domain.sched_params.switch_cycles;
}

} // namespace

TEST(CpuTiming, WorkTakesItsCyclesExactly)
{
    for (uint64_t hz : {2'500'000'000ull, 2'600'000'000ull, 3'000'000'000ull}) {
        CpuRig rig(1, hz);
        ts_time start = 0, end = 0;
        rig.spawn(0, [&](ts_task *self) {
            start = ts_task_now(self);
            ts_task_work(self, 1);
            ts_task_work(self, 998);
            ts_task_work(self, 1);
            end = ts_task_now(self);
        });
        rig.run();
        EXPECT_EQ(start, rig.cycles(first_cycle(rig)));
        EXPECT_EQ(end, rig.cycles(first_cycle(rig) + 1000));
    }
}

TEST(CpuTiming, InterruptDelaysWorkByItsHandlerAndNoMore)
{
    CpuRig rig(1);
    rig.handler_cycles = 300;
    ts_time end = 0;
    rig.spawn(0, [&](ts_task *self) {
        ts_task_work(self, 10000);
        end = ts_task_now(self);
    });
    /* Not on a cycle's edge: the cycle in progress completes. */
    ts_time when = rig.cycles(first_cycle(rig) + 5000) + 100;
    rig.at(when, [&] { ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_CALL); });
    rig.run();
    ASSERT_EQ(rig.taken.size(), 1u);
    EXPECT_EQ(rig.taken[0].when, when);
    EXPECT_EQ(rig.taken[0].vector, TS_VEC_CALL);
    EXPECT_EQ(end, rig.cycles(first_cycle(rig) + 10000 + 300));
}

TEST(CpuTiming, MaskedInterruptWaitsForTheEnable)
{
    CpuRig rig(1);
    ts_time enabled = 0;
    rig.spawn(0, [&](ts_task *self) {
        ts_irq_disable(self);
        ts_task_work(self, 4000);
        enabled = ts_task_now(self);
        EXPECT_TRUE(rig.taken.empty());
        ts_irq_enable(self);
        EXPECT_EQ(rig.taken.size(), 1u);
    });
    rig.at(rig.cycles(first_cycle(rig) + 10),
           [&] { ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_CALL); });
    rig.run();
    ASSERT_EQ(rig.taken.size(), 1u);
    EXPECT_EQ(rig.taken[0].when, enabled);
}

TEST(CpuTiming, LowestVectorIsTakenFirst)
{
    CpuRig rig(1);
    rig.spawn(0, [&](ts_task *self) {
        ts_irq_disable(self);
        ts_task_work(self, 1000);
        ts_irq_enable(self);
    });
    rig.at(rig.cycles(first_cycle(rig) + 10), [&] {
        ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_CALL);
        ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_KICK);
        ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_RESCHED);
    });
    rig.run();
    ASSERT_EQ(rig.taken.size(), 3u);
    EXPECT_EQ(rig.taken[0].vector, TS_VEC_RESCHED);
    EXPECT_EQ(rig.taken[1].vector, TS_VEC_KICK);
    EXPECT_EQ(rig.taken[2].vector, TS_VEC_CALL);
}

TEST(CpuTiming, StallHoldsInterruptsUntilItIsOver)
{
    CpuRig rig(1);
    ts_task *stalled = nullptr;
    ts_time end = 0;
    stalled = rig.spawn(0, [&](ts_task *self) {
        ts_task_stall(self);
        end = ts_task_now(self);
        ts_task_work(self, 1);
    });
    ts_time raise = rig.cycles(first_cycle(rig) + 100);
    ts_time done = raise + 50 * TS_NS + 7;
    rig.at(raise, [&] { ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_CALL); });
    rig.at(done, [&] { ts_task_stall_done(stalled); });
    rig.run();
    EXPECT_EQ(end, done);
    ASSERT_EQ(rig.taken.size(), 1u);
    EXPECT_EQ(rig.taken[0].when, done);
}

TEST(CpuTiming, SpinEndsWhenSignalledNotBefore)
{
    CpuRig rig(1);
    static bool flag;
    flag = false;
    ts_time end = 0;
    ts_task *spinner = rig.spawn(0, [&](ts_task *self) {
        ts_task_spin(
            self, [](void *p) { return *static_cast<bool *>(p); }, &flag, nullptr);
        end = ts_task_now(self);
    });
    ts_time when = 5 * TS_US + 3;
    rig.at(when - 1, [&] { ts_task_spin_signal(spinner); }); /* condition not yet true */
    rig.at(when, [&] {
        flag = true;
        ts_task_spin_signal(spinner);
    });
    rig.run();
    EXPECT_EQ(end, when);
}

TEST(CpuTiming, SleeperWakesByItsTimerOnItsCpu)
{
    CpuRig rig(2);
    ts_time slept = 0, woke = 0;
    rig.spawn(1, [&](ts_task *self) {
        slept = ts_task_now(self);
        ts_task_sleep(self, 10 * TS_US);
        woke = ts_task_now(self);
    });
    rig.run();
    ASSERT_EQ(rig.taken.size(), 1u);
    EXPECT_EQ(rig.taken[0].cpu, 1u);
    EXPECT_EQ(rig.taken[0].vector, TS_VEC_TIMER);
    EXPECT_EQ(rig.taken[0].when, slept + 10 * TS_US);
    /* Handler: the wake-up; then the idle task gives way. */
    const ts_sched_params &p = rig.domain.sched_params;
    EXPECT_EQ(woke,
              ts_clock_after(&rig.clock, slept + 10 * TS_US, p.wakeup_cycles + p.switch_cycles));
}

TEST(CpuTiming, WakeBeforeBlockIsNotLost)
{
    CpuRig rig(2);
    bool passed = false;
    ts_task *sleeper = rig.spawn(0, [&](ts_task *self) {
        ts_task_work(self, 100000);
        ts_task_block(self); /* woken long ago */
        passed = true;
    });
    rig.spawn(1, [&](ts_task *self) { ts_task_wake(self, sleeper); });
    rig.run();
    EXPECT_TRUE(passed);
}

TEST(CpuTiming, TwoTasksShareACpuBySlices)
{
    CpuRig rig(1);
    const ts_time total = 200 * TS_MS;
    std::vector<ts_task *> t;
    for (int i = 0; i < 2; i++)
        t.push_back(rig.spawn(0, [&](ts_task *self) { ts_task_work_ps(self, 10 * TS_S); }));
    rig.run(total);
    ts_cpu_account(&rig.domain.cpus[0]);
    /* Each is within one tick plus one slice of its half. */
    ts_time bound = rig.domain.sched_params.latency_ps + rig.domain.sched_params.tick_ps;
    for (ts_task *x : t) {
        EXPECT_NEAR(static_cast<double>(x->se.sum_exec_ps), static_cast<double>(total) / 2,
                    static_cast<double>(bound));
    }
    EXPECT_GT(rig.domain.cpus[0].stats.preemptions, 5u);
}

TEST(CpuTiming, IdleCpuPullsAWaitingTask)
{
    CpuRig rig(2);
    ts_time end[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        ts_task *t = rig.spawn(
            0,
            [&end, i](ts_task *self) {
                ts_task_work_ps(self, 100 * TS_MS);
                end[i] = ts_task_now(self);
            },
            false);
        t->pinned = nullptr;
        ts_task_wake(nullptr, t);
    }
    rig.run();
    /* Side by side, not one after the other. */
    EXPECT_LT(end[0], 120 * TS_MS);
    EXPECT_LT(end[1], 120 * TS_MS);
}

TEST(CpuTiming, EveryPicosecondIsInOneMode)
{
    CpuRig rig(2);
    for (uint32_t c = 0; c < 2; c++) {
        rig.spawn(c, [](ts_task *self) {
            for (int i = 0; i < 20; i++) {
                ts_cpu_set_mode(self->cpu, TS_MODE_USER);
                ts_task_work(self, 777);
                ts_cpu_set_mode(self->cpu, TS_MODE_SYSTEM);
                ts_task_sleep(self, 3 * TS_US + 1);
            }
        });
    }
    rig.run();
    for (uint32_t c = 0; c < 2; c++) {
        uint64_t sum = 0;
        ts_cpu_account(&rig.domain.cpus[c]);
        for (uint64_t ps : rig.domain.cpus[c].stats.mode_ps)
            sum += ps;
        EXPECT_EQ(sum, rig.now());
        EXPECT_EQ(rig.domain.cpus[c].stats.mode_ps[TS_MODE_USER], 20 * rig.cycles(777));
    }
}

TEST(CpuTiming, LineHitCostsItsCyclesAndAMissStalls)
{
    CpuRig rig(2);
    ts_line line{};
    ts_line_init(rig.lines, &line, 1, 0);
    ts_time miss = 0, hit = 0;
    rig.spawn(0, [&](ts_task *self) {
        ts_time t0 = ts_task_now(self);
        ts_task_line(self, &line, TS_LINE_WRITE);
        ts_time t1 = ts_task_now(self);
        ts_task_line(self, &line, TS_LINE_WRITE);
        miss = t1 - t0;
        hit = ts_task_now(self) - t1;
    });
    rig.run();
    ts_line_params lp{};
    ts_param_defaults(&ts_line_param_table, &lp);
    EXPECT_GT(miss, lp.memory_ps);
    /* From wherever the miss ended to the next edge, then whole cycles. */
    EXPECT_GE(hit, rig.cycles(lp.hit_cycles));
    EXPECT_LT(hit, rig.cycles(lp.hit_cycles + 1));
}
