/* SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "models/guest/lock/rwsem.h"
#include "sim/rng.h"
#include "tests/support/cpu_rig.hpp"

using namespace ts_test;

namespace
{

struct Sem {
    ts_rwsem sem{};
    explicit Sem(CpuRig &rig, bool spin = true, ts_time handoff = 4 * TS_MS)
    {
        ts_line_init(rig.lines, &sem.line, 1, 0);
        ts_line_init(rig.lines, &sem.osq_line, 2, 0);
        ts_rwsem_init(&sem, spin, handoff);
    }
};

} // namespace

TEST(Rwsem, UncontendedCostsItsLineAndNothingElse)
{
    CpuRig rig(2);
    Sem s(rig);
    rig.spawn(0, [&](ts_task *self) {
        ts_task_line(self, &s.sem.line, TS_LINE_RMW); /* now owned by this core */
        ts_time start = ts_task_now(self);
        ts_task_line(self, &s.sem.line, TS_LINE_RMW);
        ts_time rmw = ts_task_now(self) - start;
        start = ts_task_now(self);
        ts_down_write(self, &s.sem);
        ts_up_write(self, &s.sem);
        ts_down_read(self, &s.sem);
        ts_up_read(self, &s.sem);
        ts_time took = ts_task_now(self) - start;
        uint64_t n = 4, slack = n; /* each ends on a cycle edge, rounded down to a picosecond */
        EXPECT_GE(took + slack, n * rmw);
        EXPECT_LE(took, n * rmw + slack);
    });
    rig.run();
    EXPECT_EQ(s.sem.waits, 0u);
    EXPECT_EQ(s.sem.wait_ps, 0u);
}

TEST(Rwsem, ReadersShareAndWritersExclude)
{
    CpuRig rig(4);
    Sem s(rig);
    uint32_t inside = 0, most = 0;
    for (uint32_t i = 0; i < 4; i++) {
        rig.spawn(i, [&](ts_task *self) {
            ts_down_read(self, &s.sem);
            most = std::max(most, ++inside);
            ts_task_work(self, 100000);
            inside--;
            ts_up_read(self, &s.sem);
        });
    }
    rig.run();
    EXPECT_EQ(most, 4u);
    EXPECT_EQ(s.sem.readers, 0u);
}

TEST(Rwsem, WriterSpinsWhileTheOwnerRuns)
{
    CpuRig rig(2);
    Sem s(rig);
    ts_time released = 0, taken = 0;
    rig.spawn(0, [&](ts_task *self) {
        ts_down_write(self, &s.sem);
        ts_task_work(self, 1000000);
        released = ts_task_now(self);
        ts_up_write(self, &s.sem);
    });
    ts_task *waiter = rig.spawn(1, [&](ts_task *self) {
        ts_task_work(self, 10000);
        ts_down_write(self, &s.sem);
        taken = ts_task_now(self);
        ts_up_write(self, &s.sem);
    });
    rig.at(rig.cycles(500000), [&] { EXPECT_TRUE(waiter->spinning); });
    rig.run();
    EXPECT_GT(taken, released);
    EXPECT_LT(taken - released, rig.cycles(rig.domain.sched_params.switch_cycles));
    EXPECT_EQ(s.sem.waits, 1u);
    EXPECT_GT(s.sem.wait_ps, rig.cycles(900000));
    /* Once to start and once to end: it never slept. */
    EXPECT_EQ(rig.domain.cpus[1].stats.context_switches, 2u);
}

TEST(Rwsem, WriterSleepsWithoutSpinning)
{
    CpuRig rig(2);
    Sem s(rig, false);
    rig.spawn(0, [&](ts_task *self) {
        ts_down_write(self, &s.sem);
        ts_task_work(self, 1000000);
        ts_up_write(self, &s.sem);
    });
    ts_task *waiter = rig.spawn(1, [&](ts_task *self) {
        ts_task_work(self, 10000);
        ts_down_write(self, &s.sem);
        ts_up_write(self, &s.sem);
    });
    rig.at(rig.cycles(500000), [&] { EXPECT_EQ(waiter->state, TS_TASK_BLOCKED); });
    rig.run();
    EXPECT_EQ(waiter->state, TS_TASK_DEAD);
    EXPECT_FALSE(s.sem.write_locked);
}

TEST(Rwsem, SpinnerGivesUpWhenTheOwnerSleeps)
{
    CpuRig rig(2);
    Sem s(rig);
    rig.spawn(0, [&](ts_task *self) {
        ts_down_write(self, &s.sem);
        ts_task_work(self, 100000);
        ts_task_sleep(self, 10 * TS_MS);
        ts_up_write(self, &s.sem);
    });
    ts_task *waiter = rig.spawn(1, [&](ts_task *self) {
        ts_task_work(self, 10000);
        ts_down_write(self, &s.sem);
        ts_up_write(self, &s.sem);
    });
    rig.at(rig.cycles(50000), [&] { EXPECT_TRUE(waiter->spinning); });
    rig.at(TS_MS, [&] { ts_rwsem_recheck(&s.sem); });
    rig.at(2 * TS_MS, [&] { EXPECT_EQ(waiter->state, TS_TASK_BLOCKED); });
    rig.run();
    EXPECT_EQ(waiter->state, TS_TASK_DEAD);
}

TEST(Rwsem, OnlyTheFirstSpinnerWatchesAndTheOthersFollowInOrder)
{
    CpuRig rig(4);
    Sem s(rig);
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < 4; i++) {
        rig.spawn(i, [&, i](ts_task *self) {
            ts_task_work(self, 1 + 20000 * i);
            ts_down_write(self, &s.sem);
            order.push_back(i);
            ts_task_work(self, 200000);
            ts_up_write(self, &s.sem);
        });
    }
    rig.run();
    EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2, 3}));
    EXPECT_EQ(s.sem.spin_head, nullptr);
    EXPECT_EQ(s.sem.spin_tail, nullptr);
    EXPECT_EQ(s.sem.waits, 3u);
}

TEST(Rwsem, ReadersQueueBehindAWaitingWriterAndComeInTogether)
{
    CpuRig rig(4);
    Sem s(rig);
    ts_time writer_in = 0;
    std::vector<ts_time> late;
    rig.spawn(0, [&](ts_task *self) {
        ts_down_read(self, &s.sem);
        ts_task_work(self, 1000000);
        ts_up_read(self, &s.sem);
    });
    rig.spawn(1, [&](ts_task *self) {
        ts_task_work(self, 10000);
        ts_down_write(self, &s.sem); /* reader-owned: sleeps */
        writer_in = ts_task_now(self);
        ts_task_work(self, 300000);
        ts_up_write(self, &s.sem);
    });
    for (uint32_t i = 2; i < 4; i++) {
        rig.spawn(i, [&](ts_task *self) {
            ts_task_work(self, 100000);
            ts_down_read(self, &s.sem);
            late.push_back(ts_task_now(self));
            ts_task_work(self, 500000);
            ts_up_read(self, &s.sem);
        });
    }
    rig.run();
    ASSERT_EQ(late.size(), 2u);
    EXPECT_GT(writer_in, rig.cycles(1000000));
    EXPECT_GT(late[0], writer_in + rig.cycles(300000) - 1);
    EXPECT_LT(late[1] - late[0], rig.cycles(100000)); /* both at once, not one after the other */
}

TEST(Rwsem, DowngradeLetsWaitingReadersIn)
{
    CpuRig rig(3);
    Sem s(rig);
    ts_time downgraded = 0, released = 0;
    std::vector<ts_time> in;
    rig.spawn(0, [&](ts_task *self) {
        ts_down_write(self, &s.sem);
        ts_task_work(self, 500000);
        ts_downgrade_write(self, &s.sem);
        downgraded = ts_task_now(self);
        ts_task_work(self, 5000000);
        released = ts_task_now(self);
        ts_up_read(self, &s.sem);
    });
    for (uint32_t i = 1; i < 3; i++) {
        rig.spawn(i, [&](ts_task *self) {
            ts_task_work(self, 1000);
            ts_down_read(self, &s.sem);
            in.push_back(ts_task_now(self));
            ts_up_read(self, &s.sem);
        });
    }
    rig.run();
    ASSERT_EQ(in.size(), 2u);
    for (ts_time t : in) {
        EXPECT_GT(t, rig.cycles(500000));
        EXPECT_LT(t, released);
    }
    EXPECT_LT(downgraded, released);
}

/* Two spinners hand the lock to each other; the sleeper gets in because it asks for the hand-off.
 */
TEST(Rwsem, ASleepingWriterIsNotStarved)
{
    CpuRig rig(3);
    Sem s(rig, true, 4 * TS_MS);
    ts_time got = 0;
    bool done = false;
    for (uint32_t i = 0; i < 2; i++) {
        rig.spawn(i, [&](ts_task *self) {
            while (!done && ts_task_now(self) < 100 * TS_MS) {
                ts_down_write(self, &s.sem);
                ts_task_work(self, 100000);
                ts_up_write(self, &s.sem);
            }
        });
    }
    rig.spawn(2, [&](ts_task *self) {
        ts_task_work(self, 1000);
        s.sem.spin = false; /* this one does not spin */
        ts_task_work(self, 1);
        ts_down_write(self, &s.sem);
        got = ts_task_now(self);
        done = true;
        ts_up_write(self, &s.sem);
    });
    rig.at(rig.cycles(150000), [&] { s.sem.spin = true; });
    rig.run();
    EXPECT_GT(got, 0u);
    EXPECT_LT(got, 6 * TS_MS);
}

/* Random mix: mutual exclusion always holds and nobody is left behind. */
TEST(Rwsem, NoWakeUpIsLost)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        CpuRig rig(4);
        Sem s(rig, seed % 2 != 0, 100 * TS_US);
        uint32_t readers = 0, writers = 0, finished = 0;
        std::deque<ts_rng> rngs(8);
        for (uint32_t i = 0; i < 8; i++) {
            ts_rng_init(&rngs[i], seed, "rwsem", i);
            rig.spawn(i % 4, [&, i](ts_task *self) {
                ts_rng *r = &rngs[i];
                for (uint32_t n = 0; n < 60; n++) {
                    ts_task_work(self, ts_rng_below(r, 20000));
                    if (ts_rng_chance(r, 1, 2)) {
                        ts_down_read(self, &s.sem);
                        readers++;
                        EXPECT_EQ(writers, 0u);
                        ts_task_work(self, ts_rng_below(r, 20000));
                        readers--;
                        ts_up_read(self, &s.sem);
                        continue;
                    }
                    ts_down_write(self, &s.sem);
                    writers++;
                    EXPECT_EQ(writers, 1u);
                    EXPECT_EQ(readers, 0u);
                    if (ts_rng_chance(r, 1, 4))
                        ts_task_sleep(self, ts_rng_between(r, 1, 50) * TS_US);
                    ts_task_work(self, ts_rng_below(r, 20000));
                    writers--;
                    if (ts_rng_chance(r, 1, 3)) {
                        readers++;
                        ts_downgrade_write(self, &s.sem);
                        ts_task_work(self, ts_rng_below(r, 20000));
                        readers--;
                        ts_up_read(self, &s.sem);
                    } else {
                        ts_up_write(self, &s.sem);
                    }
                }
                finished++;
            });
        }
        rig.run(10 * TS_S);
        EXPECT_EQ(finished, 8u);
        EXPECT_EQ(s.sem.head, nullptr);
        EXPECT_EQ(s.sem.readers, 0u);
        EXPECT_FALSE(s.sem.write_locked);
    }
}
