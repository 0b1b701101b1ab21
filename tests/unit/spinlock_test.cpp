/* SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <vector>

#include "models/guest/lock/spinlock.h"
#include "tests/support/cpu_rig.hpp"

using namespace ts_test;

namespace
{

struct Lock {
    ts_spinlock lock{};
    explicit Lock(CpuRig &rig)
    {
        ts_line_init(rig.lines, &lock.line, 1, 0);
        ts_spinlock_init(&lock);
    }
};

} // namespace

TEST(Spinlock, OneAtATimeInTheOrderOfArrival)
{
    CpuRig rig(4);
    Lock l(rig);
    std::vector<uint32_t> order;
    uint32_t inside = 0;
    for (uint32_t i = 0; i < 4; i++) {
        rig.spawn(i, [&, i](ts_task *self) {
            ts_task_work(self, 1 + 20000 * (3 - i));
            EXPECT_EQ(ts_spin_lock(self, &l.lock), i != 3);
            EXPECT_EQ(++inside, 1u);
            order.push_back(i);
            ts_task_work(self, 200000);
            inside--;
            ts_spin_unlock(self, &l.lock);
        });
    }
    rig.run();
    EXPECT_EQ(order, (std::vector<uint32_t>{3, 2, 1, 0}));
    EXPECT_EQ(l.lock.waits, 3u);
    EXPECT_EQ(l.lock.owner, nullptr);
    EXPECT_EQ(l.lock.head, nullptr);
    EXPECT_EQ(l.lock.tail, nullptr);
}

TEST(Spinlock, UncontendedCostsItsLineTwice)
{
    CpuRig rig(2);
    Lock l(rig);
    rig.spawn(0, [&](ts_task *self) {
        ts_task_line(self, &l.lock.line, TS_LINE_RMW); /* now owned by this core */
        ts_time start = ts_task_now(self);
        ts_task_line(self, &l.lock.line, TS_LINE_RMW);
        ts_task_line(self, &l.lock.line, TS_LINE_WRITE);
        ts_time lines = ts_task_now(self) - start;
        start = ts_task_now(self);
        (void)ts_spin_lock(self, &l.lock);
        EXPECT_EQ(self->cpu->preempt_off, 1u);
        ts_spin_unlock(self, &l.lock);
        EXPECT_EQ(self->cpu->preempt_off, 0u);
        ts_time took = ts_task_now(self) - start;
        EXPECT_GE(took + 2, lines); /* each ends on a cycle edge */
        EXPECT_LE(took, lines + 2);
    });
    rig.run();
    EXPECT_EQ(l.lock.waits, 0u);
}

TEST(Spinlock, AWaiterTakesInterruptsMeanwhile)
{
    CpuRig rig(2);
    Lock l(rig);
    rig.spawn(0, [&](ts_task *self) {
        (void)ts_spin_lock(self, &l.lock);
        ts_task_work(self, 1000000);
        ts_spin_unlock(self, &l.lock);
    });
    ts_task *waiter = rig.spawn(1, [&](ts_task *self) {
        ts_task_work(self, 10000);
        (void)ts_spin_lock(self, &l.lock);
        ts_spin_unlock(self, &l.lock);
    });
    rig.at(rig.cycles(500000), [&] {
        EXPECT_TRUE(waiter->spinning);
        EXPECT_EQ(rig.domain.cpus[1].irq_off, 0u);
    });
    rig.run();
    EXPECT_EQ(waiter->state, TS_TASK_DEAD);
}
