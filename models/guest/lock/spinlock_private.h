/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the forms of a spinlock. */
#ifndef TS_MODELS_GUEST_SPINLOCK_PRIVATE_H
#define TS_MODELS_GUEST_SPINLOCK_PRIVATE_H

#include "models/guest/lock/spinlock.h"

/* enum vcpu_state of kernel/locking/qspinlock_paravirt.h */
enum ts_spin_state { TS_SPIN_RUNNING, TS_SPIN_HALTED, TS_SPIN_HASHED };

/* On the stack of its task, until that has the lock. */
struct ts_spin_node {
    struct ts_spin_node *next; /* queue; or others that watch the lock unfairly */
    struct ts_task *task;
    /* pv */
    struct ts_spin_node *prev; /* to be looked at only until locked is set */
    struct ts_spin_node *next_waiting;
    const struct ts_spinlocks *locks;
    enum ts_spin_state state;
    bool locked; /* the queue's head is self */
};

/* Those of self's kernel, or NULL. */
struct ts_spinlocks *ts_spinlocks_of(const struct ts_task *self);
/* Those who watch a word that others write. */
void ts_spin_list_add(struct ts_spin_node **list, struct ts_spin_node *node);
void ts_spin_list_remove(struct ts_spin_node **list, const struct ts_spin_node *node);
void ts_spin_list_signal(const struct ts_spin_node *list);
/* Up to *left of looping with PAUSE. Only what the CPU executes of the loop counts: not interrupts,
 * nor the host's work, nor time off the pCPU. False: it is used up, and cond does not hold. */
bool ts_spin_for(struct ts_task *self, bool (*cond)(void *), void *arg, struct ts_line *line,
                 ts_time *left);
/* self watches the lock, without being queued, until cond(lock) holds. */
void ts_spin_watch(struct ts_task *self, struct ts_spinlock *lock, bool (*cond)(void *lock));
/* The lock's word has changed: those who watch it read it. */
void ts_spin_word_changed(struct ts_spinlock *lock);
/* __pv_queued_spin_lock_slowpath and __pv_queued_spin_unlock; the first attempt to take the lock
 * has failed. */
void ts_pv_spin_lock_slowpath(struct ts_task *self, struct ts_spinlocks *locks,
                              struct ts_spinlock *lock);
void ts_pv_spin_unlock(struct ts_task *self, struct ts_spinlocks *locks, struct ts_spinlock *lock);

#endif
