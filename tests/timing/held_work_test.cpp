/* SPDX-License-Identifier: Apache-2.0 */
/* What a core loses while invalidations from elsewhere keep its TLB busy. */
#include <gtest/gtest.h>

#include "tests/support/cpu_rig.hpp"

using ts_test::CpuRig;

namespace
{

uint64_t first_cycle(const CpuRig &rig)
{
    return rig.domain.sched_params.switch_cycles;
}

/* A work of 10,000 cycles on CPU 0, and when it ends. */
struct Work {
    CpuRig rig{2};
    ts_time end = 0;
    ts_task *task;

    explicit Work(uint64_t cycles = 10000)
    {
        task = rig.spawn(0, [this, cycles](ts_task *self) {
            ts_task_work(self, cycles);
            end = ts_task_now(self);
        });
    }
    ts_cpu *cpu(uint32_t i = 0)
    {
        return &rig.domain.cpus[i];
    }
    void hold(uint64_t cycle, uint64_t cycles, bool foreign = false, uint32_t on = 0)
    {
        rig.at(rig.cycles(first_cycle(rig) + cycle),
               [this, cycles, foreign, on] { ts_cpu_hold(cpu(on), cycles, foreign); });
    }
    uint64_t took()
    {
        rig.run();
        return ts_clock_cycle_at(&rig.clock, end) - first_cycle(rig);
    }
};

} // namespace

TEST(HeldWork, StandsStillForEachHold)
{
    Work w;
    w.hold(100, 256);
    w.hold(5000, 3, true);
    w.hold(10000, 20); /* in what the first two have put off */
    EXPECT_EQ(w.took(), 10279u);
    EXPECT_EQ(w.cpu()->stats.held_cycles, 279u);
    EXPECT_EQ(w.cpu()->stats.held_foreign_cycles, 3u);
}

TEST(HeldWork, AHoldAtTheVeryEndCounts)
{
    Work w;
    w.hold(9999, 256);
    w.hold(10100, 7);
    EXPECT_EQ(w.took(), 10263u);
    Work at_the_end; /* before software goes on at that instant */
    at_the_end.hold(10000, 256);
    EXPECT_EQ(at_the_end.took(), 10256u);
}

TEST(HeldWork, OthersLoseNothing)
{
    Work w;
    w.hold(100, 256, false, 1);
    EXPECT_EQ(w.took(), 10000u);
    EXPECT_EQ(w.cpu(1)->stats.held_cycles, 0u);
}

TEST(HeldWork, AStallOrIdlenessLosesNothing)
{
    CpuRig rig(1);
    ts_time end = 0;
    ts_task *t = rig.spawn(0, [&](ts_task *self) {
        ts_task_stall(self);
        ts_task_work(self, 100);
        end = ts_task_now(self);
    });
    rig.at(TS_US, [&] { ts_cpu_hold(&rig.domain.cpus[0], 5000, false); });
    rig.at(TS_US + 2 * TS_NS, [&] { ts_task_stall_done(t); });
    rig.at(TS_MS, [&] { ts_cpu_hold(&rig.domain.cpus[0], 5000, false); });
    rig.run();
    EXPECT_EQ(end, ts_clock_after(&rig.clock, TS_US + 2 * TS_NS, 100));
    EXPECT_EQ(rig.domain.cpus[0].stats.held_cycles, 0u);
}

/* What was done before the interrupt stays done, and what is still to be stood still for meets the
 * handler. */
TEST(HeldWork, AnInterruptWithinAHold)
{
    for (uint64_t at : {50u, 150u, 4000u}) {
        Work w;
        w.rig.handler_cycles = 300;
        w.hold(100, 256);
        w.rig.at(w.rig.cycles(first_cycle(w.rig) + at),
                 [&w] { ts_cpu_raise(w.cpu(), TS_VEC_CALL); });
        EXPECT_EQ(w.took(), 10000u + 256 + 300) << at;
    }
}

/* The handler begins when the hold is over, however long the work had gone on before. */
TEST(HeldWork, AHoldStandsStillFromItsBeginning)
{
    for (uint64_t held_at : {100u, 9000u, 9999u}) {
        Work w;
        w.rig.handler_cycles = 300;
        w.hold(held_at, 256);
        w.rig.at(w.rig.cycles(first_cycle(w.rig) + held_at + 50),
                 [&w] { ts_cpu_raise(w.cpu(), TS_VEC_CALL); });
        EXPECT_EQ(w.took(), 10000u + 256 + 300) << held_at;
        ASSERT_GE(w.rig.handled.size(), 1u);
        EXPECT_EQ(ts_clock_cycle_at(&w.rig.clock, w.rig.handled[0]),
                  first_cycle(w.rig) + held_at + 256 + 300)
            << held_at;
    }
}

TEST(HeldWork, ThreadsOfACoreStandStillEachByItself)
{
    CpuRig rig(1, 2'500'000'000, "cfs", 1, 2, 125);
    ts_time end[2] = {0, 0};
    for (uint32_t cpu = 0; cpu < 2; cpu++)
        rig.spawn(cpu, [&end, cpu](ts_task *self) {
            ts_task_work(self, cpu ? 50000 : 10000);
            end[cpu] = ts_task_now(self);
        });
    rig.at(2 * TS_US, [&] { ts_cpu_hold(&rig.domain.cpus[0], 256, false); });
    rig.run();
    /* 1.6 times as long beside the other, the hold as long as it is. */
    EXPECT_EQ(ts_clock_cycle_at(&rig.clock, end[0]), first_cycle(rig) * 8 / 5 + 16000 + 256);
    EXPECT_EQ(rig.domain.cpus[0].stats.smt_lost_cycles > 6000, true);
    EXPECT_EQ(rig.domain.cpus[1].stats.held_cycles, 0u);
}
