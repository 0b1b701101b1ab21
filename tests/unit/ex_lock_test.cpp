/* SPDX-License-Identifier: Apache-2.0 */
/* Windows' locks: who gets in, who waits how, and who is woken. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/guest/lock/ex_lock.h"
#include "tests/support/cpu_rig.hpp"

using namespace ts_test;

namespace
{

class ExLock : public testing::TestWithParam<ts_ex_kind>
{
  protected:
    explicit ExLock() : rig(4)
    {
        make(GetParam());
    }
    void make(ts_ex_kind kind)
    {
        ts_line_init(rig.lines, &lock.line, 1, 0);
        ts_ex_lock_init(&lock, &all, kind, &waits, &wait_ps);
    }
    /* From about `from` on CPU cpu for `hold` cycles. */
    void holds(uint32_t cpu, uint64_t from, uint64_t hold, bool shared)
    {
        rig.spawn(cpu, [this, cpu, from, hold, shared](ts_task *self) {
            ts_task_work(self, from);
            ts_ex_acquire(self, &lock, shared);
            log += (shared ? "r" : "w") + std::to_string(cpu) + "+";
            (shared ? readers : writers)++;
            EXPECT_TRUE(writers == 0 || (writers == 1 && readers == 0));
            together = std::max(together, readers);
            ts_task_work(self, hold);
            (shared ? readers : writers)--;
            log += (shared ? "r" : "w") + std::to_string(cpu) + "-";
            ts_ex_release(self, &lock, shared);
        });
    }
    void expect_free() const
    {
        EXPECT_EQ(lock.owner, nullptr);
        EXPECT_EQ(lock.readers, 0u);
        EXPECT_EQ(lock.writers_waiting, 0u);
    }

    CpuRig rig;
    uint64_t waits = 0, long_spins = 0;
    ts_time wait_ps = 0;
    ts_ex_locks all{40, 1, 0, 100, nullptr, &long_spins};
    ts_ex_lock lock{};
    std::string log;
    uint32_t readers = 0, writers = 0, together = 0;
};

} // namespace

TEST_P(ExLock, WritersAreAlone)
{
    for (uint32_t i = 0; i < 4; i++)
        holds(i, 1 + 10000 * i, 100000, false);
    rig.run();
    EXPECT_EQ(waits, 3u);
    EXPECT_GT(wait_ps, rig.cycles(250000));
    EXPECT_EQ(log.size(), 4u * 6u);
    expect_free();
}

TEST_P(ExLock, ReadersShare)
{
    for (uint32_t i = 0; i < 4; i++)
        holds(i, 1 + 10000 * i, 100000, true);
    rig.run();
    EXPECT_EQ(together, 4u);
    EXPECT_EQ(waits, 0u);
    EXPECT_EQ(wait_ps, 0u);
    expect_free();
}

TEST_P(ExLock, AWriterWaitsForTheLastReader)
{
    holds(0, 1, 100000, true);
    holds(1, 10000, 200000, true);
    holds(2, 20000, 1000, false);
    rig.run();
    EXPECT_EQ(log, "r0+r1+r0-r1-w2+w2-");
    EXPECT_EQ(waits, 1u);
    expect_free();
}

TEST_P(ExLock, ReadersWaitForAWriterAndGoInTogether)
{
    holds(0, 1, 100000, false);
    for (uint32_t i = 1; i < 4; i++)
        holds(i, 10000 * i, 50000, true);
    rig.run();
    EXPECT_EQ(together, 3u);
    EXPECT_EQ(log.substr(0, 6), "w0+w0-");
    expect_free();
}

INSTANTIATE_TEST_SUITE_P(Both, ExLock, testing::Values(TS_EX_SPIN, TS_EX_PUSH));

class ExSpinLock : public ExLock
{
};
INSTANTIATE_TEST_SUITE_P(Spin, ExSpinLock, testing::Values(TS_EX_SPIN));

/* ...or readers that come one after the other would keep it out for ever. */
TEST_P(ExSpinLock, AWaitingWriterKeepsNewReadersOut)
{
    holds(0, 1, 100000, true);
    holds(1, 20000, 1000, false);
    holds(2, 40000, 1000, true);
    rig.run();
    EXPECT_EQ(log, "r0+r0-w1+w1-r2+r2-");
    EXPECT_EQ(waits, 2u);
}

TEST_P(ExSpinLock, AWaiterSpinsWithPreemptionOffAndInterruptsOn)
{
    holds(0, 1, 1000000, false);
    ts_task *waiter = rig.spawn(1, [&](ts_task *self) {
        ts_task_work(self, 10000);
        ts_ex_acquire(self, &lock, false);
        EXPECT_EQ(self->cpu->preempt_off, 1u);
        ts_ex_release(self, &lock, false);
        EXPECT_EQ(self->cpu->preempt_off, 0u);
    });
    rig.at(rig.cycles(500000), [&] {
        EXPECT_TRUE(waiter->spinning);
        EXPECT_EQ(rig.domain.cpus[1].preempt_off, 1u);
        EXPECT_EQ(rig.domain.cpus[1].irq_off, 0u);
    });
    rig.run();
    EXPECT_EQ(waiter->state, TS_TASK_DEAD);
}

class ExPushLock : public ExLock
{
};
INSTANTIATE_TEST_SUITE_P(Push, ExPushLock, testing::Values(TS_EX_PUSH));

/* 100 loops of 40 cycles. */
TEST_P(ExPushLock, AWaiterSleepsOnceItHasSpun)
{
    holds(0, 1, 100000, false);
    ts_task *waiter = rig.spawn(1, [&](ts_task *self) {
        ts_task_work(self, 10000);
        ts_ex_acquire(self, &lock, false);
        EXPECT_EQ(self->cpu->preempt_off, 0u);
        ts_ex_release(self, &lock, false);
    });
    rig.at(rig.cycles(13800), [&] { EXPECT_TRUE(waiter->spinning); });
    rig.at(rig.cycles(16000), [&] { EXPECT_EQ(waiter->state, TS_TASK_BLOCKED); });
    rig.run();
    EXPECT_EQ(waiter->state, TS_TASK_DEAD);
    EXPECT_EQ(waits, 1u);
    expect_free();
}

TEST_P(ExPushLock, AShortWaitIsSpun)
{
    holds(0, 1, 12000, false);
    ts_task *waiter = rig.spawn(1, [&](ts_task *self) {
        ts_task_work(self, 10000);
        ts_ex_acquire(self, &lock, false);
        ts_ex_release(self, &lock, false);
    });
    for (uint64_t at : {10500, 11000, 11500, 11900})
        rig.at(rig.cycles(at), [&] { EXPECT_NE(waiter->state, TS_TASK_BLOCKED); });
    rig.run();
    EXPECT_EQ(rig.domain.cpus[1].stats.wakeups, 1u); /* its start */
}

/* A newcomer that spins may be quicker than who is woken; that one sleeps again, and is not lost.
 */
TEST_P(ExPushLock, TheWokenTryAgain)
{
    holds(0, 1, 100000, false);
    holds(1, 10000, 50000, false);
    holds(2, 98000, 50000, false);
    rig.run();
    EXPECT_EQ(log, "w0+w0-w2+w2-w1+w1-");
    EXPECT_EQ(waits, 2u);
    expect_free();
}

/* --- spinning --- */

namespace
{

struct Watched {
    CpuRig *rig;
    ts_time until;
    std::vector<ts_time> looks;
};

bool over(void *arg)
{
    auto *w = static_cast<Watched *>(arg);
    w->looks.push_back(w->rig->now());
    return w->rig->now() >= w->until;
}

} // namespace

/* Loops of 40 cycles: 1, 2, 4, then 8 each time. */
TEST(ExSpin, BacksOffByPowersOfTwo)
{
    CpuRig rig(1);
    uint64_t spins = 0;
    ts_ex_locks all{40, 8, TS_EX_NEVER_NOTIFY, 100, nullptr, &spins};
    Watched w{&rig, 0, {}};
    ts_time start = 0;
    rig.spawn(0, [&](ts_task *self) {
        ts_task_work(self, 1);
        start = ts_task_now(self);
        w.until = start + rig.cycles(2000);
        ts_ex_spin(self, &all, over, &w, nullptr);
    });
    rig.run();
    ASSERT_GE(w.looks.size(), 6u);
    const uint64_t loops[] = {0, 1, 3, 7, 15, 23};
    for (size_t i = 0; i < 6; i++)
        EXPECT_EQ(w.looks[i], start + rig.cycles(40 * loops[i])) << i;
    EXPECT_EQ(spins, 0u);
}
