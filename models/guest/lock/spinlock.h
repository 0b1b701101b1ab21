/* SPDX-License-Identifier: Apache-2.0 */
/* A queued spinlock (Linux kernel/locking/qspinlock.c, 6.1 and 6.12) on one contended line.
 *
 * Waiters get it in the order in which they came. The first of them watches the lock's line and
 * pays its transfer when it is let go; the others watch lines of their own, whose one hand-over
 * each falls into the time the lock is held by the one before and costs nothing here. Interrupts
 * are left as they are: one that spins with interrupts on answers IPIs. Paravirtual waiting
 * (pv_wait and pv_kick after many spins) is left out: a guest's CPU spins until its turn. */
#ifndef TS_MODELS_GUEST_SPINLOCK_H
#define TS_MODELS_GUEST_SPINLOCK_H

#include "models/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_spin_node;
struct ts_spinlock {
    struct ts_line line;
    struct ts_task *owner;            /* NULL: free */
    struct ts_spin_node *head, *tail; /* who waits, in order; on their stacks */
    uint64_t waits;                   /* acquisitions that found it taken */
};

/* The line must be initialised by the caller. */
void ts_spinlock_init(struct ts_spinlock *lock);
/* Preemption is off from the call until the lock is let go; self must not sleep in between. True if
 * it had to wait. */
bool ts_spin_lock(struct ts_task *self, struct ts_spinlock *lock);
void ts_spin_unlock(struct ts_task *self, struct ts_spinlock *lock);

#ifdef __cplusplus
}
#endif
#endif
