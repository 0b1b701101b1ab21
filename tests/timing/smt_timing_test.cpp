/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a core slow each other: how long work takes beside others that begin and end. */
#include <gtest/gtest.h>

#include "tests/support/cpu_rig.hpp"

using ts_test::CpuRig;

namespace
{

bool never(void *)
{
    return false;
}

/* To a cycle after it at most, however slow. */
void compute_until(ts_task *self, ts_time to)
{
    while (ts_task_now(self) < to) {
        const uint64_t left = ts_clock_cycle_at(self->domain->clock, to - ts_task_now(self));
        ts_task_work(self, left > 2 ? left / 2 : 1);
    }
}

/* Two cores; CPUs c, c + 2, ... are threads of core c. */
class Smt
{
  public:
    explicit Smt(uint64_t throughput, uint32_t threads = 2)
        : rig(2, 2'500'000'000, "cfs", 1, threads, throughput)
    {
    }
    /* How many cycles a work of so many takes on CPU 0 that begins at 100 us, while the other CPUs
     * are busy in [from, to). */
    uint64_t cycles_of(uint64_t work, const std::vector<uint32_t> &others,
                       ts_time from = 50 * TS_US, ts_time to = 900 * TS_US)
    {
        for (uint32_t cpu : others) {
            ts_task *t = rig.spawn(
                cpu,
                [this, to](ts_task *self) {
                    self->spin_executes = without_pause;
                    if (they_spin)
                        ts_task_spin_deadline(self, never, nullptr, nullptr, to);
                    else
                        compute_until(self, to);
                },
                false);
            rig.at(from, [t] { ts_task_wake(nullptr, t); });
        }
        ts_time took = 0;
        ts_task *t = rig.spawn(
            0,
            [&](ts_task *self) {
                ts_task_work(self, 1); /* to a cycle's beginning */
                began = ts_task_now(self);
                ts_task_work(self, work);
                took = ts_task_now(self) - began;
            },
            false);
        rig.at(100 * TS_US, [t] { ts_task_wake(nullptr, t); });
        rig.run(TS_MS);
        return ts_clock_cycle_at(&rig.clock, took);
    }
    CpuRig rig;
    ts_time began = 0; /* the work of cycles_of */
    bool they_spin = false, without_pause = false;
};

} // namespace

TEST(SmtTiming, WorkTakesLongerBesideAnotherThreadOfTheCore)
{
    EXPECT_EQ(Smt(125).cycles_of(1000, {}), 1000u);
    EXPECT_EQ(Smt(125).cycles_of(1000, {1}), 1000u); /* of the other core */
    EXPECT_EQ(Smt(125).cycles_of(1000, {2}), 1600u);
    EXPECT_EQ(Smt(100).cycles_of(1000, {2}), 2000u);
    EXPECT_EQ(Smt(125).cycles_of(1001, {2}), 1602u); /* the cycle in which it ends completes */
    EXPECT_EQ(Smt(0).cycles_of(1000, {2}), 1000u);
    EXPECT_EQ(Smt(300).cycles_of(1000, {2}), 1000u);       /* nobody is faster than alone */
    EXPECT_EQ(Smt(125, 4).cycles_of(1000, {2, 4}), 2404u); /* 41.6 % each */
}

/* The other thread begins, or ends, in the middle: what is done by then is done, and the rest goes
 * at another speed. */
TEST(SmtTiming, TheSpeedChangesWhenAnotherBeginsOrEnds)
{
    Smt alone(125), beside(125), begins(125), ends(125);
    const ts_time cycle = alone.rig.cycles(1);
    (void)alone.cycles_of(10000, {});
    EXPECT_EQ(begins.cycles_of(10000, {2}, alone.began + 4000 * cycle), 4000u + 6000u * 8 / 5);
    EXPECT_EQ(begins.began, alone.began);
    /* 6400 cycles at five eighths are 4000 of the work. */
    EXPECT_EQ(beside.cycles_of(10000, {2}), 16000u);
    EXPECT_GT(beside.began, alone.began); /* so were the switch and what it needs */
    /* Its last cycle of work ends a cycle later, and its thread's exit is a switch, as slow as all
     * there. */
    const uint64_t slow = 6400 + ends.rig.domain.sched_params.switch_cycles * 8 / 5;
    EXPECT_EQ(ends.cycles_of(10000, {2}, 50 * TS_US, beside.began + 6399 * cycle),
              slow + 10000 - slow * 5 / 8);
}

/* PAUSE leaves the core to the other threads; what ends the wait, and handlers meanwhile, do not.
 */
TEST(SmtTiming, AThreadThatSpinsTakesNothing)
{
    Smt s(125);
    s.they_spin = true;
    EXPECT_EQ(s.cycles_of(10000, {2}), 10000u);
    EXPECT_EQ(s.rig.domain.cpus[0].stats.smt_lost_cycles, 0u);

    /* Unless it spins without PAUSE. */
    Smt without(125);
    without.they_spin = without.without_pause = true;
    EXPECT_EQ(without.cycles_of(10000, {2}), 16000u);

    Smt interrupted(125);
    interrupted.they_spin = true;
    interrupted.rig.handler_cycles = 1600;
    interrupted.rig.at(101 * TS_US,
                       [&] { ts_cpu_raise(&interrupted.rig.domain.cpus[2], TS_VEC_CALL); });
    EXPECT_EQ(interrupted.cycles_of(10000, {2}), 10960u);
}

TEST(SmtTiming, WhatIsLostIsCounted)
{
    Smt s(125);
    const ts_cpu &c = s.rig.domain.cpus[0];
    EXPECT_EQ(s.cycles_of(1'000'000, {2}, 50 * TS_US, TS_S), 1'600'000u);
    Smt alone(125);
    (void)alone.cycles_of(1'000'000, {});
    EXPECT_EQ(alone.rig.domain.cpus[0].stats.smt_lost_cycles, 0u);
    /* Three fifths of the work, its switches' too. */
    EXPECT_NEAR(double(c.stats.smt_lost_cycles), 600'000, 6'000);
}

/* The short way, without looking for interrupts, takes as long. */
TEST(SmtTiming, WorkAtOnceTakesAsLong)
{
    for (bool beside : {false, true}) {
        Smt s(125);
        if (beside)
            s.rig.spawn(2, [](ts_task *self) { compute_until(self, TS_MS); });
        ts_time took = 0;
        s.rig.spawn(0, [&](ts_task *self) {
            ts_task_work_ps(self, 50 * TS_US);
            ts_time start = ts_task_now(self);
            while (!ts_task_try_work(self, 1001))
                ADD_FAILURE();
            took = ts_task_now(self) - start;
        });
        s.rig.run(500 * TS_US);
        EXPECT_EQ(took, s.rig.cycles(beside ? 1602 : 1001));
        EXPECT_EQ(s.rig.domain.cpus[0].stats.smt_lost_cycles > 0, beside);
    }
}
