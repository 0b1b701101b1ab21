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

/* At one instant the CPU of the lower number goes on first, whichever began its work before. */
TEST(CpuTiming, CpusThatGoOnAtOneTimeDoSoInTheOrderOfTheirNumbers)
{
    for (uint32_t early : {0u, 1u, 2u}) {
        CpuRig rig(3);
        std::vector<uint32_t> order;
        ts_time ends[3];
        for (uint32_t cpu = 0; cpu < 3; cpu++) {
            rig.spawn(cpu, [&, cpu](ts_task *self) {
                if (cpu != early)
                    ts_task_work(self, 100 + cpu);
                ts_task_work(self, cpu == early ? 1000 : 900 - cpu);
                order.push_back(cpu);
                ends[cpu] = ts_task_now(self);
            });
        }
        rig.run();
        EXPECT_EQ(ends[0], ends[1]);
        EXPECT_EQ(ends[0], ends[2]);
        EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2})) << early;
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

/* --- who runs next --- */

namespace
{

/* CPU 1 runs one task, another one waits behind it; from CPU 0 comes a yield_to to that one. */
struct Boost {
    explicit Boost(const char *policy, ts_time when) : rig(2, 2'500'000'000, policy)
    {
        rig.spawn(1, [](ts_task *self) { ts_task_work_ps(self, 10 * TS_S); });
        waiting = rig.spawn(1, [this](ts_task *self) {
            began = ts_task_now(self);
            ts_task_work_ps(self, 10 * TS_S);
        });
        rig.spawn(0, [this, when](ts_task *self) {
            ts_task_work_ps(self, when);
            asked = ts_task_now(self);
            outcome = ts_task_yield_to(self, waiting);
            returned = ts_task_now(self);
        });
        /* Up to the first tick, which decides by other rules. */
        rig.run(rig.domain.sched_params.tick_ps - 1);
    }
    CpuRig rig;
    ts_task *waiting = nullptr;
    ts_time began = 0, asked = 0, returned = 0;
    ts_yield outcome = TS_YIELD_NOBODY;
};

} // namespace

TEST(YieldTo, ABoostedTaskBeginsASwitchLater)
{
    Boost b("eevdf", 100 * TS_US);
    EXPECT_EQ(b.outcome, TS_YIELD_DONE);
    EXPECT_EQ(b.returned, b.asked); /* alone on its CPU: it goes on */
    EXPECT_EQ(b.began,
              ts_clock_after(&b.rig.clock, b.asked, b.rig.domain.sched_params.switch_cycles));
}

/* Only Linux's fair class has yield_to_task; the others refuse, and nobody gives way. */
TEST(YieldTo, OtherPoliciesRefuse)
{
    for (size_t i = 0; i < ts_sched_table_count; i++) {
        const ts_sched_ops *ops = ts_sched_table[i];
        EXPECT_EQ(ops->set_next != nullptr, ops->by_domains) << ops->name;
        if (ops->set_next)
            continue;
        Boost b(ops->name, 100 * TS_US);
        EXPECT_EQ(b.outcome, TS_YIELD_REFUSED) << ops->name;
        EXPECT_EQ(b.returned, b.asked) << ops->name;
        EXPECT_EQ(b.rig.domain.cpus[0].rq.skip, nullptr) << ops->name;
    }
}

/* A new task starts with a debt of half the latency period, 12 ms: three times the granularity. */
TEST(YieldTo, CfsLeavesABuddyWaitingThatIsFarAhead)
{
    Boost b("cfs", 100 * TS_US);
    EXPECT_EQ(b.outcome, TS_YIELD_DONE);
    EXPECT_EQ(b.began, 0u);
    EXPECT_EQ(b.rig.domain.cpus[1].rq.next, &b.waiting->se);
    EXPECT_EQ(b.rig.domain.cpus[1].stats.preemptions, 0u);
}

TEST(YieldTo, TellsNobodyRefusedAndDoneApart)
{
    CpuRig rig(2, 2'500'000'000, "eevdf");
    ts_task *alone = rig.spawn(1, [](ts_task *self) { ts_task_work_ps(self, TS_MS); });
    ts_task *asleep = rig.spawn(
        0, [](ts_task *self) { ts_task_work(self, 1); }, false);
    ts_task *behind = rig.spawn(
        0, [](ts_task *self) { ts_task_work(self, 1); }, false);
    bool done = false;
    rig.spawn(0, [&](ts_task *self) {
        ts_task_work_ps(self, 100 * TS_US);
        EXPECT_EQ(ts_task_yield_to(self, alone), TS_YIELD_NOBODY);
        EXPECT_EQ(ts_task_yield_to(self, self), TS_YIELD_NOBODY);
        /* A CPU with nothing to run is no CPU with one task. */
        ts_task_work_ps(self, 2 * TS_MS);
        EXPECT_EQ(ts_task_yield_to(self, alone), TS_YIELD_REFUSED);
        ts_task_wake(self, behind);
        EXPECT_EQ(ts_task_yield_to(self, asleep), TS_YIELD_REFUSED);
        EXPECT_EQ(ts_task_yield_to(self, self), TS_YIELD_REFUSED);
        EXPECT_EQ(self->domain->cpus[0].stats.preemptions, 0u);
        EXPECT_EQ(ts_task_yield_to(self, behind), TS_YIELD_DONE);
        EXPECT_EQ(behind->state, TS_TASK_DEAD);
        done = true;
    });
    rig.run();
    EXPECT_TRUE(done);
}

/* While a CPU switches its queue is locked; what comes next counts as running there. */
TEST(YieldTo, ATaskThatIsBeingSwitchedToIsNotWaiting)
{
    CpuRig rig(2, 2'500'000'000, "rr");
    rig.domain.sched_params.switch_cycles = 100000; /* 40 us */
    ts_task *coming = rig.spawn(
        1, [](ts_task *self) { ts_task_work_ps(self, TS_MS); }, false);
    ts_yield outcome = TS_YIELD_DONE;
    rig.spawn(0, [&](ts_task *self) {
        ts_task_wake(self, coming);
        ts_task_work_ps(self, 10 * TS_US);
        EXPECT_EQ(coming->state, TS_TASK_RUNNABLE);
        outcome = ts_task_yield_to(self, coming);
    });
    rig.run();
    EXPECT_EQ(outcome, TS_YIELD_NOBODY);
}

/* On one CPU: who yields under EEVDF gives up the rest of its request, under CFS nothing. */
TEST(YieldTo, WhatIsForfeitedIsThePolicys)
{
    for (const char *policy : {"cfs", "eevdf"}) {
        bool eevdf = std::string(policy) == "eevdf";
        CpuRig rig(1, 2'500'000'000, policy);
        ts_time began = 0, asked = 0;
        uint64_t before = 0, deadline = 0, after = 0;
        ts_task *self_task = nullptr;
        ts_task *other = rig.spawn(0, [&](ts_task *self) {
            ts_task_block(self);
            began = ts_task_now(self);
            after = self_task->se.vruntime;
        });
        self_task = rig.spawn(0, [&](ts_task *self) {
            ts_task_work_ps(self, TS_MS);
            ts_task_wake(self, other);
            /* Woken with some credit; as long as that does not preempt, the two are about even. */
            other->se.vruntime = self->se.vruntime;
            asked = ts_task_now(self);
            before = self->se.vruntime;
            deadline = self->se.deadline;
            EXPECT_EQ(ts_task_yield_to(self, other), TS_YIELD_DONE);
        });
        rig.run();
        EXPECT_EQ(began, ts_clock_after(&rig.clock, asked, rig.domain.sched_params.switch_cycles))
            << policy;
        EXPECT_EQ(after, eevdf ? deadline : before) << policy;
    }
}

/* The tick that finds the quantum used up takes the CPU, at the tick's time and no other. */
TEST(CpuTiming, ATickPreemptsAtItsTime)
{
    CpuRig rig(1, 2'500'000'000, "rr");
    rig.handler_cycles = 500;
    const ts_sched_params &p = rig.domain.sched_params;
    ts_time began = 0;
    rig.spawn(0, [](ts_task *self) { ts_task_work_ps(self, TS_S); });
    rig.spawn(0, [&](ts_task *self) { began = ts_task_now(self); });
    rig.run(20 * TS_MS);
    EXPECT_EQ(began, ts_clock_after(&rig.clock, p.tick_ps, rig.handler_cycles + p.switch_cycles));
    ASSERT_EQ(rig.taken.size(), 1u); /* no tick once nobody waits */
    EXPECT_EQ(rig.taken[0].when, p.tick_ps);
}

TEST(CpuTiming, PreemptionWaitsForTheEnable)
{
    CpuRig rig(1, 2'500'000'000, "rr");
    const ts_sched_params &p = rig.domain.sched_params;
    ts_time began = 0, enabled = 0;
    rig.spawn(0, [&](ts_task *self) {
        ts_preempt_disable(self);
        ts_task_work_ps(self, 6 * TS_MS);
        enabled = ts_task_now(self);
        EXPECT_EQ(began, 0u);
        ts_preempt_enable(self);
    });
    rig.spawn(0, [&](ts_task *self) { began = ts_task_now(self); });
    rig.run(20 * TS_MS);
    ASSERT_EQ(rig.taken.size(), 1u);
    EXPECT_EQ(rig.taken[0].when, p.tick_ps); /* the interrupt itself does not wait */
    EXPECT_EQ(began, ts_clock_after(&rig.clock, enabled, p.switch_cycles));
}

TEST(CpuTiming, TimeWithInterruptsOffIsCountedOnce)
{
    CpuRig rig(1);
    rig.handler_cycles = 300;
    ts_time off = 0;
    rig.spawn(0, [&](ts_task *self) {
        ts_time before = ts_cpu_irq_off_ps(self->cpu);
        ts_irq_disable(self);
        ts_task_work(self, 1000);
        ts_irq_disable(self);
        ts_task_work(self, 2000);
        EXPECT_EQ(ts_cpu_irq_off_ps(self->cpu) - before, rig.cycles(3000)); /* under way */
        ts_irq_enable(self);
        ts_irq_enable(self);
        ts_task_work(self, 5000);
        off = ts_cpu_irq_off_ps(self->cpu) - before;
    });
    rig.at(rig.cycles(first_cycle(rig) + 4000),
           [&] { ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_CALL); });
    rig.run();
    EXPECT_EQ(rig.taken.size(), 1u);
    EXPECT_EQ(off, rig.cycles(3000 + 300)); /* a handler runs with interrupts off */
}

/* Whoever blocks or ends has used the CPU up to then: no tick is needed to see it. */
TEST(CpuTiming, WhoeverBlocksIsCharged)
{
    CpuRig rig(1);
    ts_task *t = rig.spawn(0, [](ts_task *self) {
        ts_task_work(self, 1000);
        ts_task_sleep(self, TS_US);
        ts_task_work(self, 3000);
    });
    /* The switch to it is on its account (rq_clock goes on during a switch). */
    uint64_t to_it = first_cycle(rig);
    rig.run(rig.cycles(to_it + 1000) + TS_NS);
    EXPECT_EQ(t->state, TS_TASK_BLOCKED);
    EXPECT_EQ(t->se.sum_exec_ps, rig.cycles(to_it + 1000));
    rig.run();
    EXPECT_EQ(t->state, TS_TASK_DEAD);
    EXPECT_EQ(t->se.sum_exec_ps, rig.cycles(2 * to_it + 4000));
}
