/* SPDX-License-Identifier: Apache-2.0 */
/* Spinlocks of guests: which form a kernel chooses, and what each step of the paravirtual form
 * takes (Linux 6.12 kernel/locking/qspinlock_paravirt.h, arch/x86/kernel/kvm.c). */
#include <gtest/gtest.h>

#include "tests/support/lock_rig.hpp"

using namespace ts_test;

namespace
{

/* SPIN_THRESHOLD loops of 140 cycles at 2.6 GHz: 1.764 ms. */
constexpr uint64_t loops = 1 << 15, pause = 140;
constexpr ts_time cycle = 385; /* ps, rounded up */

ts_time loops_ps(uint64_t n)
{
    ts_clock clock;
    ts_clock_init(&clock, 2600000000);
    return ts_clock_cycle_time(&clock, n * pause);
}

uint64_t events(const Outcome &out, const char *name)
{
    return out.stats.at(std::string("guest.") + name);
}

ts_spinlock_kind kind_of(LockRig &rig)
{
    ts_spinlock_kind kind = TS_SPINLOCK_QUEUED;
    rig.made = [&](ts_guest *g) { kind = g->locks.kind; };
    Outcome out = rig.run();
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return kind;
}

} // namespace

/* kvm_spinlock_init, native_pv_lock_init. */
TEST(SpinlockForm, FollowsWhatTheHostOffersAndTheCommandLineSays)
{
    struct {
        uint32_t vcpus;
        std::vector<std::pair<const char *, const char *>> keys;
        ts_spinlock_kind kind;
    } rows[] = {
        {2, {}, TS_SPINLOCK_PV},
        {1, {}, TS_SPINLOCK_QUEUED},
        {2, {{"hypervisor.realtime_hint", "true"}}, TS_SPINLOCK_QUEUED},
        {2, {{"guest.pv_spinlocks", "false"}}, TS_SPINLOCK_QUEUED},
        {2, {{"hypervisor.pv_unhalt", "false"}}, TS_SPINLOCK_TEST_AND_SET},
        {2, {{"hypervisor.hv_flush", "hyperv"}}, TS_SPINLOCK_TEST_AND_SET},
        /* What speaks for queued ones comes first. */
        {1, {{"hypervisor.pv_unhalt", "false"}}, TS_SPINLOCK_QUEUED},
        {2,
         {{"hypervisor.pv_unhalt", "false"}, {"guest.pv_spinlocks", "false"}},
         TS_SPINLOCK_QUEUED},
        {2,
         {{"hypervisor.pv_unhalt", "false"}, {"hypervisor.realtime_hint", "true"}},
         TS_SPINLOCK_QUEUED},
    };
    for (const auto &row : rows) {
        LockRig rig(row.vcpus);
        for (const auto &[key, value] : row.keys)
            set(rig.config, key, value);
        EXPECT_EQ(kind_of(rig), row.kind) << &row - rows;
    }
    LockRig bare(2);
    bare.set_bare();
    EXPECT_EQ(kind_of(bare), TS_SPINLOCK_QUEUED);
}

TEST(SpinlockForm, GuestsOnArmHaveQueuedOnes)
{
    ts_spinlock_kind kind = TS_SPINLOCK_PV;
    static ts_spinlock_kind *seen = &kind;
    seen = &kind;
    ts_flush_ops ops = *ts_flush_find("tlbi_broadcast");
    ops.init = [](ts_guest *g, ts_error *) {
        *seen = g->locks.kind;
        return TS_OK;
    };
    Outcome out = run_script(small_machine(true), {{op_ns(TS_OP_COMPUTE, 1000)}}, 1, &ops);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(kind, TS_SPINLOCK_QUEUED);
}

TEST(SpinlockForm, AGuestWithTheRealtimeHintUsesNeitherPvFlushNorYield)
{
    for (const char *mechanism : {"kvm_pv", "kvm_pv_yield", "native_concurrent"}) {
        ts_machine_config c = small_machine();
        set(c, "hypervisor.realtime_hint", "true");
        ts_error err{};
        bool native = mechanism[0] == 'n';
        EXPECT_EQ(ts_machine_check(&c, ts_flush_find(mechanism), &err),
                  native ? TS_OK : TS_ERR_USER);
        if (!native) {
            EXPECT_NE(std::string(err.message).find("realtime_hint"), std::string::npos);
        }
    }
}

/* The head spins for the threshold, halts, and is kicked by the unlock. An interrupt meanwhile adds
 * nothing to the loops. */
TEST(PvSpinlock, TheHeadHaltsAfterTheThresholdAndIsKicked)
{
    for (bool interrupted : {false, true}) {
        LockRig rig(3);
        ts_time spun = 0, got = 0;
        rig.holds(0, TS_MS, 10 * TS_MS);
        rig.on(1, 2 * TS_MS, [&](ts_task *self) {
            ts_time before = LockRig::mode_ps(self, TS_MODE_SPIN);
            EXPECT_TRUE(ts_spin_lock(self, &rig.lock));
            got = ts_task_now(self);
            spun = LockRig::mode_ps(self, TS_MODE_SPIN) - before;
            ts_spin_unlock(self, &rig.lock);
        });
        /* Its flush reaches both others. */
        rig.flushes = interrupted;
        if (interrupted)
            rig.on(2, 3 * TS_MS, [](ts_task *) {});
        Outcome out = rig.run();
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_GE(spun, loops_ps(loops));
        EXPECT_LE(spun, loops_ps(loops) + 2 * cycle);
        EXPECT_GT(got, rig.ended[0]);
        EXPECT_LT(got, rig.ended[0] + 20 * TS_US);
        EXPECT_EQ(events(out, "lock_slowpath"), 1u);
        EXPECT_EQ(events(out, "pv_wait_head"), 1u);
        EXPECT_EQ(events(out, "pv_kick_unlock"), 1u);
        EXPECT_EQ(events(out, "pv_kick_wake"), 1u);
        EXPECT_GT(events(out, "pv_latency_kick"), 0u);
        EXPECT_GT(events(out, "pv_latency_wake"), 0u);
        EXPECT_LT(events(out, "pv_latency_wake"), 20 * TS_US);
        for (const char *none : {"pv_wait_node", "pv_wait_early", "pv_wait_again",
                                 "pv_lock_stealing", "pv_spurious_wakeup", "lock_pending"})
            EXPECT_EQ(events(out, none), 0u) << none;
        EXPECT_EQ(out.stats.at("hypervisor.hypercalls_kick"), 1u);
    }
}

TEST(PvSpinlock, WhoGetsItWithinTheThresholdNeitherHaltsNorIsKicked)
{
    LockRig rig(3);
    rig.holds(0, TS_MS, 2 * TS_MS);
    rig.holds(1, 2 * TS_MS, TS_MS / 10);
    rig.holds(2, 2 * TS_MS + TS_MS / 2, TS_MS / 10);
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(rig.order, (std::vector<uint32_t>{0, 1, 2}));
    EXPECT_EQ(events(out, "lock_slowpath"), 2u);
    EXPECT_EQ(events(out, "pv_wait_head") + events(out, "pv_wait_node"), 0u);
    EXPECT_EQ(events(out, "pv_kick_unlock"), 0u);
    EXPECT_EQ(out.stats.at("hypervisor.hypercalls"), 0u);
}

/* pv_wait_early: the next one looks every 256 loops at whether the one before it runs. It is not
 * woken when it becomes the head (pv_kick_node), but by the unlock after that. */
TEST(PvSpinlock, TheNextHaltsSoonAfterTheHead)
{
    LockRig rig(3);
    ts_time spun = 0, got = 0;
    const ts_time from = 3 * TS_MS, head_halts = 2 * TS_MS + loops_ps(loops);
    rig.holds(0, TS_MS, 20 * TS_MS);
    rig.holds(1, 2 * TS_MS, TS_MS);
    rig.on(2, from, [&](ts_task *self) {
        ts_time before = LockRig::mode_ps(self, TS_MODE_SPIN);
        EXPECT_TRUE(ts_spin_lock(self, &rig.lock));
        got = ts_task_now(self);
        spun = LockRig::mode_ps(self, TS_MODE_SPIN) - before;
        ts_spin_unlock(self, &rig.lock);
    });
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    const uint64_t checks = (spun + cycle) / loops_ps(256);
    EXPECT_GE(spun + 2 * cycle, loops_ps(256 * checks)); /* whole rounds of 256 loops */
    EXPECT_LE(spun, loops_ps(256 * checks) + 2 * cycle);
    EXPECT_GE(spun + TS_US, head_halts - from);
    EXPECT_LE(spun, head_halts - from + loops_ps(256) + TS_US);
    EXPECT_EQ(events(out, "pv_wait_node"), 1u);
    EXPECT_EQ(events(out, "pv_wait_early"), 1u);
    EXPECT_EQ(events(out, "pv_wait_head"), 1u);
    EXPECT_EQ(events(out, "pv_kick_unlock"), 2u);
    EXPECT_EQ(events(out, "pv_kick_wake"), 2u);
    EXPECT_EQ(events(out, "pv_spurious_wakeup"), 0u);
    EXPECT_GT(got, rig.ended[1]);
    EXPECT_LT(got, rig.ended[1] + 20 * TS_US);
}

/* Behind a head that runs a waiter takes the whole threshold. */
TEST(PvSpinlock, WithARunningHeadTheNextSpinsForTheThreshold)
{
    LockRig rig(3);
    ts_time spun = 0;
    rig.holds(0, TS_MS, 2 * TS_MS + TS_MS / 2);
    /* The threshold is read when a spin begins: the head's is longer. */
    rig.on(1, 2 * TS_MS, [&](ts_task *self) {
        rig.guest->locks.spin_threshold = loops;
        (void)ts_spin_lock(self, &rig.lock);
        ts_task_work_ps(self, TS_MS);
        ts_spin_unlock(self, &rig.lock);
    });
    rig.on(2, 3 * TS_MS, [&](ts_task *self) {
        rig.guest->locks.spin_threshold = 512;
        ts_time before = LockRig::mode_ps(self, TS_MODE_SPIN);
        (void)ts_spin_lock(self, &rig.lock);
        spun = LockRig::mode_ps(self, TS_MODE_SPIN) - before;
        ts_spin_unlock(self, &rig.lock);
    });
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(events(out, "pv_wait_node"), 1u);
    EXPECT_EQ(events(out, "pv_wait_early"), 0u);
    EXPECT_EQ(events(out, "pv_wait_head"), 0u);
    EXPECT_GE(spun, loops_ps(512));
    EXPECT_LE(spun, loops_ps(512) + 2 * cycle);
}

/* While the head sleeps, a newcomer watches the lock and takes it first. The head, woken by the
 * kick, spins then without halting again however long that lasts, as the lock's word does not say
 * any more that somebody sleeps; and nobody else takes it meanwhile. */
TEST(PvSpinlock, ANewcomerStealsFromASleepingHead)
{
    LockRig rig(4);
    rig.holds(0, TS_MS, 9 * TS_MS);
    rig.holds(1, 2 * TS_MS, TS_MS);
    rig.holds(2, 9 * TS_MS, 10 * TS_MS);
    rig.holds(3, 12 * TS_MS, TS_MS);
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(rig.order, (std::vector<uint32_t>{0, 2, 1, 3}));
    EXPECT_EQ(events(out, "pv_lock_stealing"), 1u);
    EXPECT_EQ(events(out, "pv_wait_head"), 1u + 5u); /* every 1.76 ms of ten */
    EXPECT_EQ(events(out, "pv_wait_again"), 5u);
    EXPECT_EQ(events(out, "pv_wait_node"), 1u); /* the last, behind a head that runs */
    EXPECT_EQ(events(out, "pv_kick_wake"), 2u);
}

/* Up to 5.3 a preempted predecessor is reason enough. */
TEST(PvSpinlock, OldKernelsHaltEarlyBehindAPreemptedOne)
{
    for (bool old : {false, true}) {
        LockRig rig(4);
        set(rig.config, "guest.pv_wait_early_preempted", old ? "true" : "false");
        rig.holds(0, TS_MS, 2 * TS_MS + TS_MS / 2);
        rig.holds(1, 2 * TS_MS, TS_MS / 10);
        rig.holds(2, 2 * TS_MS + TS_MS / 10, TS_MS / 10);
        rig.on(3, 3 * TS_MS, [&](ts_task *self) {
            for (uint32_t bits : {uint32_t(TS_STEAL_PREEMPTED), 0u}) {
                rig.guest->vm->steal[1].preempted = bits;
                rig.guest->os->cpu.steal_changed(rig.guest->vm, 1);
                ts_task_work_ps(self, 20 * TS_US);
            }
        });
        Outcome out = rig.run();
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(events(out, "pv_wait_early"), old ? 1u : 0u);
        EXPECT_EQ(rig.order, (std::vector<uint32_t>{0, 1, 2}));
    }
}

TEST(TestAndSet, HasNoQueueNoHaltAndNoKick)
{
    LockRig rig(4);
    set(rig.config, "hypervisor.pv_unhalt", "false");
    rig.holds(0, TS_MS, 9 * TS_MS);
    for (uint32_t t = 1; t < 4; t++)
        rig.holds(t, (1 + t) * TS_MS, TS_MS);
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(rig.order.size(), 4u);
    for (const char *none : {"pv_wait_head", "pv_wait_node", "pv_kick_unlock", "lock_slowpath",
                             "lock_pending", "pv_lock_stealing"})
        EXPECT_EQ(events(out, none), 0u) << none;
    EXPECT_EQ(out.stats.at("hypervisor.hypercalls"), 0u);
}

TEST(QueuedSpinlock, TheFirstWaitsOnThePendingBitAndTheOthersInTheQueue)
{
    LockRig rig(4);
    rig.set_bare();
    rig.holds(0, TS_MS, 9 * TS_MS);
    for (uint32_t t = 1; t < 4; t++)
        rig.holds(t, (1 + t) * TS_MS, TS_MS);
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(rig.order, (std::vector<uint32_t>{0, 1, 2, 3}));
    EXPECT_EQ(events(out, "lock_pending"), 1u);
    EXPECT_EQ(events(out, "lock_slowpath"), 2u);
}

/* --- the host's side --- */

namespace
{

uint64_t kick_cpu(ts_task *self, ts_vm *vm, uint64_t apic_id)
{
    struct ts_hypercall call = {};
    call.abi = TS_ABI_KVM;
    call.number = TS_KVM_HC_KICK_CPU;
    call.args[1] = apic_id;
    ts_hypercall(self, vm, &call);
    return call.result;
}

} // namespace

/* pv_unhalted stays until the vCPU halts. */
TEST(KickCpu, OneThatRunsKeepsItForItsNextHalt)
{
    LockRig rig(2);
    ts_time halted[2] = {};
    rig.on(0, TS_MS, [&](ts_task *self) {
        EXPECT_EQ(kick_cpu(self, rig.guest->vm, 1), 0u);
        EXPECT_EQ(kick_cpu(self, rig.guest->vm, 7), 0u); /* there is none */
        ts_task_work_ps(self, 9 * TS_MS);
        EXPECT_EQ(kick_cpu(self, rig.guest->vm, 1), 0u);
    });
    rig.on(1, 2 * TS_MS, [&](ts_task *self) {
        for (ts_time &t : halted) {
            ts_time start = ts_task_now(self);
            rig.guest->vm->pv->halt_until_kicked(self);
            t = ts_task_now(self) - start;
        }
    });
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_LT(halted[0], 5 * TS_US);
    EXPECT_GT(halted[1], 7 * TS_MS);
    EXPECT_LT(halted[1], 9 * TS_MS);
    EXPECT_EQ(out.stats.at("hypervisor.hypercalls_kick"), 3u);
}

/* kvm_wait with interrupts off: nothing but the kick ends it; with interrupts on whatever comes. */
TEST(KickCpu, AnInterruptEndsTheHaltOnlyWhereInterruptsAreOn)
{
    for (bool masked : {false, true}) {
        LockRig rig(3);
        ts_time woke = 0;
        rig.on(0, 10 * TS_MS, [&](ts_task *self) { (void)kick_cpu(self, rig.guest->vm, 1); });
        rig.on(1, 2 * TS_MS, [&](ts_task *self) {
            if (masked)
                ts_irq_disable(self);
            rig.guest->vm->pv->halt_until_kicked(self);
            woke = ts_task_now(self);
            if (masked)
                ts_irq_enable(self);
        });
        rig.flushes = true;
        rig.on(2, 5 * TS_MS, [](ts_task *) {});
        Outcome out = rig.run({op_ns(TS_OP_COMPUTE, 20000000)});
        ASSERT_EQ(out.status, TS_OK) << out.message;
        EXPECT_GT(woke, (masked ? 10 : 5) * TS_MS);
        EXPECT_LT(woke, (masked ? 11 : 6) * TS_MS);
    }
}

/* Else a waiter that finds no reason to spin would halt and wake for ever at one instant. */
TEST(KickCpu, AnInterruptThatIsPendingIsTakenInsteadOfAHalt)
{
    LockRig rig(2);
    bool pending = true;
    ts_time took = 0;
    rig.on(1, TS_MS, [&](ts_task *self) {
        self->cpu->pending |= 1u << TS_VEC_RESCHED;
        const ts_time start = ts_task_now(self);
        rig.guest->vm->pv->halt_until_kicked(self);
        took = ts_task_now(self) - start;
        pending = self->cpu->pending != 0;
    });
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_FALSE(pending);
    EXPECT_GT(took, 0u);
    EXPECT_LT(took, 10 * TS_US);
}

TEST(KickCpu, IsKnownOnlyWhereItIsOffered)
{
    LockRig rig(2);
    set(rig.config, "hypervisor.pv_unhalt", "false");
    uint64_t result = 0;
    rig.on(0, TS_MS, [&](ts_task *self) { result = kick_cpu(self, rig.guest->vm, 1); });
    Outcome out = rig.run();
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(result, uint64_t(TS_KVM_ENOSYS));
    EXPECT_EQ(out.stats.at("hypervisor.hypercalls_kick"), 0u);
}

/* --- a lock holder that is preempted --- */

namespace
{

/* Two vCPUs on one pCPU: one has 20 ms to do under the lock, the other wants it. */
ts_time lock_held_until(bool pv, bool ple)
{
    LockRig rig(2);
    set(rig.config, "topology.cores_per_socket", "1");
    set(rig.config, "guest.pv_spinlocks", pv ? "true" : "false");
    set(rig.config, "hypervisor.ple", ple ? "true" : "false");
    /* The waiter comes first, and is put aside by the tick at 4 ms. */
    rig.holds(0, 0, 20 * TS_MS);
    rig.holds(1, 4 * TS_MS + 200 * TS_US, TS_US);
    Outcome out = rig.run();
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(rig.order, (std::vector<uint32_t>{0, 1}));
    return rig.ended[0];
}

} // namespace

/* The waiter's time slices are the holder's loss: all of them where waiters spin, what is left of a
 * pause-loop window each time where the host takes the CPU away from spinners, and the threshold,
 * once, where they halt. */
TEST(LockHolderPreemption, PvWaitersLeaveThePcpuToTheHolder)
{
    const ts_time spins = lock_held_until(false, false);
    const ts_time ple = lock_held_until(false, true);
    const ts_time pv = lock_held_until(true, false);
    const ts_time both = lock_held_until(true, true);
    EXPECT_GT(spins, 36 * TS_MS);
    EXPECT_GT(pv, 24 * TS_MS + loops_ps(loops));
    EXPECT_LT(pv, 24 * TS_MS + loops_ps(loops) + TS_MS / 2);
    EXPECT_LT(ple, 25 * TS_MS);
    EXPECT_LT(both, 25 * TS_MS);
}
