/* SPDX-License-Identifier: Apache-2.0 */
/* Spinlocks on one contended line, in the three forms that x86 kernels choose from at boot (Linux
 * 6.1 and 6.12):
 *
 * | form         | where                                   | source |
 * |--------------|-----------------------------------------|----------------------------------------|
 * | queued       | bare metal, arm64, and guests that are  | kernel/locking/qspinlock.c |
 * |              | told they need no other                 | |
 * | pv           | guests of a host that wakes halted      | kernel/locking/qspinlock_paravirt.h |
 * |              | vCPUs on demand                         | |
 * | test_and_set | other guests                            | asm/qspinlock.h virt_spin_lock |
 *
 * Queued: waiters get it in the order in which they came. The first of them watches the lock's line
 * and pays its transfer when it is let go; the others watch lines of their own, whose one hand-over
 * each falls into the time the lock is held by the one before and costs nothing here. Pv: its queue
 * costs the same; who waits long halts, and its successor soon after; a newcomer may take a free
 * lock while the queue's head sleeps. Interrupts are left as they are: one that spins with
 * interrupts on answers IPIs. */
#ifndef TS_MODELS_GUEST_SPINLOCK_H
#define TS_MODELS_GUEST_SPINLOCK_H

#include "models/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_spinlock_kind { TS_SPINLOCK_QUEUED = 0, TS_SPINLOCK_PV = 1, TS_SPINLOCK_TEST_AND_SET = 2 };

/* As /sys/kernel/debug/lock_event_counts has them (kernel/locking/lock_events_list.h). */
struct ts_lock_events {
    uint64_t lock_pending;  /* queued: waited as the one whom the pending bit names */
    uint64_t lock_slowpath; /* waited in the queue; pv: at its head */
    uint64_t pv_kick_unlock, pv_kick_wake;
    uint64_t pv_lock_stealing;
    uint64_t pv_spurious_wakeup;
    uint64_t pv_wait_again, pv_wait_early, pv_wait_head, pv_wait_node;
    ts_time pv_latency_kick_ps, pv_latency_wake_ps; /* sums; the kernel shows averages */
};

struct ts_spin_node;
/* What all locks of one kernel have in common; ts_vm.locks. */
struct ts_spinlocks {
    enum ts_spinlock_kind kind;
    uint64_t spin_threshold; /* SPIN_THRESHOLD: loops before a waiter halts */
    uint64_t pause_cycles;   /* of one loop */
    bool early_if_preempted; /* a waiter halts early if the one before it is preempted, too */
    struct ts_lock_events *events;
    /* --- private --- */
    ts_time *kicked;              /* pv_kick_time, by CPU */
    struct ts_spin_node *waiting; /* pv: those behind a head, if early_if_preempted */
};

struct ts_spinlock {
    struct ts_line line;
    struct ts_task *owner;            /* NULL: free */
    struct ts_spin_node *head, *tail; /* who waits, in order; on their stacks */
    uint64_t waits;                   /* acquisitions that found it taken */
    /* --- private: pv and test_and_set --- */
    struct ts_spin_node *unfair; /* who watches it without being queued */
    bool pending;                /* its head spins: nobody else may take it */
    bool slow;                   /* _Q_SLOW_VAL: whoever lets it go kicks kick_cpu */
    uint32_t kick_cpu;           /* what pv_unhash would find */
};

/* False: no memory. spin_threshold and pause_cycles are taken as they are; events outlives it. */
bool ts_spinlocks_init(struct ts_spinlocks *locks, uint32_t ncpus);
void ts_spinlocks_fini(struct ts_spinlocks *locks);
/* The host has changed a vCPU's `preempted`: waiters look again. */
void ts_spinlocks_recheck(struct ts_spinlocks *locks);

/* The line must be initialised by the caller. */
void ts_spinlock_init(struct ts_spinlock *lock);
/* Preemption is off from the call until the lock is let go; self must not sleep in between. True if
 * it had to wait. The form is that of self's kernel; queued where there is none (tests). */
bool ts_spin_lock(struct ts_task *self, struct ts_spinlock *lock);
void ts_spin_unlock(struct ts_task *self, struct ts_spinlock *lock);

#ifdef __cplusplus
}
#endif
#endif
