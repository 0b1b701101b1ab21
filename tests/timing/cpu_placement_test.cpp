/* SPDX-License-Identifier: Apache-2.0 */
/* On which CPU a task runs, and what one level sees of the other. */
#include <gtest/gtest.h>

#include "tests/support/cpu_rig.hpp"

using ts_test::CpuRig;

/* --- where a task runs --- */

namespace
{

/* A task that may run anywhere and last ran on a CPU. */
ts_task *spawn_loose(CpuRig &rig, uint32_t cpu, CpuRig::Body body)
{
    ts_task *t = rig.spawn(cpu, std::move(body), false);
    t->pinned = nullptr;
    return t;
}

} // namespace

/* A CPU that is switching to a task is not free, though its current task still is the idle one. */
TEST(CpuPlacement, TwoWakeUpsInARowGoToTwoCpus)
{
    CpuRig rig(3);
    uint32_t where[2] = {9, 9};
    ts_task *sleepers[2];
    for (int i = 0; i < 2; i++)
        sleepers[i] = spawn_loose(rig, 1, [&where, i](ts_task *self) {
            where[i] = self->cpu->id;
            ts_task_work_ps(self, TS_MS);
        });
    ASSERT_LT(rig.domain.sched_params.wakeup_cycles, rig.domain.sched_params.switch_cycles);
    rig.spawn(0, [&](ts_task *self) {
        for (ts_task *t : sleepers)
            ts_task_wake(self, t);
        ts_task_work_ps(self, TS_MS);
    });
    rig.run();
    EXPECT_EQ(where[0], 1u); /* where it last ran */
    EXPECT_EQ(where[1], 2u);
}

TEST(CpuPlacement, AWakeUpStaysWhereItRanWhenNoCpuIsFree)
{
    CpuRig rig(2);
    ts_task *t = spawn_loose(rig, 1, [](ts_task *self) { ts_task_work(self, 1); });
    rig.spawn(1, [](ts_task *self) { ts_task_work_ps(self, TS_MS); });
    rig.spawn(0, [&](ts_task *self) {
        ts_task_work_ps(self, 10 * TS_US);
        ts_task_wake(self, t);
        EXPECT_EQ(t->cpu->id, 1u);
        ts_task_work_ps(self, TS_MS);
    });
    rig.run(TS_MS / 2);
    EXPECT_TRUE(t->se.queued);
}

/* A free CPU of the socket where it last ran goes before a free one that comes earlier. */
TEST(CpuPlacement, AWakeUpStaysInItsSocketWhileACpuThereIsFree)
{
    for (bool busy : {false, true}) {
        CpuRig rig(2, 2'500'000'000, "rr", 2);
        ts_task *t = spawn_loose(rig, 1, [](ts_task *self) { ts_task_work_ps(self, TS_MS); });
        rig.spawn(1, [](ts_task *self) { ts_task_work_ps(self, TS_MS); });
        if (busy)
            rig.spawn(0, [](ts_task *self) { ts_task_work_ps(self, TS_MS); });
        rig.at(10 * TS_US, [&] { ts_task_wake(nullptr, t); });
        rig.run(100 * TS_US);
        EXPECT_EQ(t->cpu->id, busy ? 2u : 0u);
    }
}

/* nohz_balancer_kick: what was hot when a CPU fell idle is pulled once a tick elsewhere sees it. */
TEST(CpuPlacement, ATickTellsAnIdleCpu)
{
    CpuRig rig(2, 2'500'000'000, "rr");
    const ts_sched_params &p = rig.domain.sched_params;
    rig.spawn(1, [&](ts_task *self) { ts_task_work_ps(self, p.migration_cost_ps - 100 * TS_US); });
    for (int i = 0; i < 3; i++)
        ts_task_wake(nullptr,
                     spawn_loose(rig, 0, [](ts_task *self) { ts_task_work_ps(self, TS_S); }));
    rig.run(p.tick_ps - 1);
    EXPECT_EQ(rig.domain.cpus[0].rq.nr, 2u);
    EXPECT_TRUE(rig.domain.cpus[1].current->is_idle);
    rig.run(p.tick_ps + TS_MS);
    EXPECT_EQ(rig.domain.cpus[0].rq.nr, 1u);
    EXPECT_EQ(rig.domain.cpus[1].stats.migrations, 1u);
}

/* newidle balance leaves a task that ran less than migration_cost ago (task_hot). */
TEST(CpuPlacement, AnIdleCpuPullsWhatIsNoLongerHot)
{
    for (bool hot : {true, false}) {
        CpuRig rig(2, 2'500'000'000, "rr");
        ts_time ran_at = 0, idle_at = 0;
        ts_task *waits = spawn_loose(rig, 0, [](ts_task *self) { ts_task_work_ps(self, TS_S); });
        ts_task_wake(nullptr, waits);
        /* Takes CPU 0 at the tick, shortly before CPU 1 has nothing left to do. */
        rig.spawn(0, [](ts_task *self) { ts_task_work_ps(self, TS_S); });
        rig.spawn(1, [&](ts_task *self) {
            ts_task_work_ps(self, rig.domain.sched_params.tick_ps + (hot ? 400 : 600) * TS_US);
            ran_at = waits->last_ran;
            idle_at = ts_task_now(self);
        });
        rig.run(2 * rig.domain.sched_params.tick_ps - 1);
        EXPECT_GE(ran_at, rig.domain.sched_params.tick_ps);
        EXPECT_EQ(idle_at - ran_at < rig.domain.sched_params.migration_cost_ps, hot);
        EXPECT_EQ(waits->cpu->id, hot ? 0u : 1u);
        EXPECT_EQ(rig.domain.cpus[1].stats.migrations, hot ? 0u : 1u);
    }
}

/* --- two levels --- */

namespace
{

/* A VM of one vCPU on a pCPU that another task of the host wants, too. The exits cost nothing. */
class TwoLevels
{
  public:
    TwoLevels() : rig(1, 2'500'000'000, "rr")
    {
        ts_error err{};
        rig.ops.switch_in = [](ts_task *self) {
            if (ts_cpu *v = self->vcpu) {
                v->not_running_total_ps += ts_task_now(self) - v->not_running_since;
                v->not_running_since = TS_TIME_NEVER;
            }
        };
        rig.ops.switch_out = [](ts_task *self, ts_task *) {
            if (self->vcpu)
                self->vcpu->not_running_since = ts_task_now(self);
        };
        rig.domain.sched_params.switch_cycles = 0;
        ops.interrupt = [](ts_task *self, ts_vector, ts_time) {
            static_cast<std::vector<ts_time> *>(self->cpu->user)->push_back(ts_task_now(self));
        };
        ops.first_entry = [](ts_cpu *v) { v->in_guest = true; };
        ops.host_exit = [](ts_cpu *v) {
            v->in_guest = false;
            ts_task_poll(v->host_task);
            v->in_guest = true;
        };
        ops.idle = [](ts_task *self) {
            ts_cpu *v = self->cpu;
            v->in_guest = false;
            ts_task_block(v->host_task);
            v->in_guest = true;
        };
        guest = rig.domain;
        guest.group = 1;
        guest.cpus = nullptr;
        guest.sched = ts_sched_find("eevdf");
        ts_param_defaults(&ts_guest_sched_param_table, &guest.sched_params);
        EXPECT_EQ(ts_cpu_domain_init(&guest, 1, &ops, &err), TS_OK);
        guest.cpus[0].user = &taken;
        ts_task_init_vcpu(&vcpu, &rig.domain, &guest.cpus[0], "vcpu");
        EXPECT_EQ(ts_cpu_domain_start(&guest, &err), TS_OK);
    }
    ~TwoLevels()
    {
        ts_task_fini(&thread);
        ts_cpu_domain_fini(&guest);
    }
    void start(ts_task_fn *fn, void *user)
    {
        ts_error err{};
        EXPECT_EQ(ts_task_init(&thread, &guest, "thread", fn, user, &err), TS_OK);
        thread.cpu = &guest.cpus[0];
        ts_task_wake(nullptr, &thread);
        ts_task_wake(nullptr, &vcpu);
    }
    CpuRig rig;
    ts_cpu_ops ops{};
    ts_cpu_domain guest{};
    ts_task vcpu{}, thread{};
    std::vector<ts_time> taken; /* interrupts of the guest */
};

} // namespace

/* A guest's scheduler charges by a clock without steal: what another VM ran is not its task's. */
TEST(TwoLevels, StealIsNotCharged)
{
    TwoLevels two;
    CpuRig &rig = two.rig;
    ts_task *rival = rig.spawn(0, [](ts_task *self) { ts_task_work_ps(self, 30 * TS_MS); });
    struct Ended {
        ts_time at = 0, steal = 0;
    } ended;
    two.start(
        [](ts_task *self) {
            ts_task_work_ps(self, 10 * TS_MS);
            auto *e = static_cast<Ended *>(self->user);
            e->at = ts_task_now(self);
            e->steal = ts_vcpu_not_running_ps(self->cpu);
        },
        &ended);
    rig.run();
    EXPECT_EQ(rival->state, TS_TASK_DEAD);
    EXPECT_GT(ended.steal, 5 * TS_MS);
    ts_time work = 10 * TS_MS + rig.cycles(two.guest.sched_params.switch_cycles);
    EXPECT_EQ(ended.at, work + ended.steal);
    EXPECT_EQ(two.thread.se.sum_exec_ps, work);
}

/* Interrupts off in a guest hold the guest's, not the host's; an exit brings none of them in. */
TEST(TwoLevels, AGuestsInterruptsWaitForTheGuestsEnable)
{
    TwoLevels two;
    CpuRig &rig = two.rig;
    ts_time enabled = 0;
    two.start(
        [](ts_task *self) {
            ts_irq_disable(self);
            ts_task_work_ps(self, TS_MS);
            *static_cast<ts_time *>(self->user) = ts_task_now(self);
            ts_irq_enable(self);
        },
        &enabled);
    rig.at(100 * TS_US, [&] { ts_cpu_raise(&two.guest.cpus[0], TS_VEC_CALL); });
    rig.at(200 * TS_US, [&] { ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_CALL); });
    rig.run();
    ASSERT_EQ(rig.taken.size(), 1u);
    EXPECT_EQ(rig.taken[0].when, 200 * TS_US);
    ASSERT_EQ(two.taken.size(), 1u);
    EXPECT_EQ(two.taken[0], enabled);
    EXPECT_GT(enabled, TS_MS);
}
