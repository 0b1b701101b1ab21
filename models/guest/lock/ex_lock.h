/* SPDX-License-Identifier: Apache-2.0 */
/* Windows' locks, as far as they are known: reader/writer spin locks and push locks, and spinning
 * with the notification that a hypervisor asks for.
 *
 * spin: a waiter spins with preemption off; a writer that waits keeps new readers out
 * (ExAcquireSpinLockExclusive, learn.microsoft.com; the writer's privilege is remembered).
 *
 * push: a waiter spins for a while, then sleeps; whoever lets go wakes the first, or all readers at
 * the front, who try again; others may be quicker (Windows Internals, push locks; ReactOS
 * ex/pushlock.c; both remembered).
 *
 * A spin is a loop of attempts: a look at the condition, then PAUSE, once or with exponential
 * back-off. After each `retries` attempts that have failed the hypervisor is told, by
 * HvNotifyLongSpinWait with the number so far (TLFS, CPUID 0x40000004 EBX). Only what the CPU
 * executes of the loop counts: not interrupts, nor the host's work, nor time off the pCPU. */
#ifndef TS_MODELS_GUEST_EX_LOCK_H
#define TS_MODELS_GUEST_EX_LOCK_H

#include "models/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_vm;
struct ts_spin_node;
struct ts_ex_waiter;

enum ts_ex_kind { TS_EX_SPIN = 0, TS_EX_PUSH = 1 };
/* CPUID 0x40000004 EBX: never. 0 says so, too: there is no such leaf. */
#define TS_EX_NEVER_NOTIFY UINT64_C(0xffffffff)

/* What all locks of one kernel have in common. */
struct ts_ex_locks {
    uint64_t pause_cycles; /* one loop with PAUSE */
    uint64_t backoff_max;  /* loops between two attempts, at most; from 1 */
    uint64_t retries;      /* attempts before the hypervisor is told */
    uint64_t push_spin;    /* loops before a waiter of a push lock sleeps */
    struct ts_vm *vm;      /* whom to tell */
    uint64_t *long_spins;  /* counts notifications */
};

struct ts_ex_lock {
    struct ts_line line;
    enum ts_ex_kind kind;
    struct ts_task *owner; /* exclusive, else NULL */
    uint32_t readers;
    uint32_t writers_waiting; /* spin */
    /* --- private --- */
    const struct ts_ex_locks *all;
    struct ts_spin_node *watching;
    struct ts_ex_waiter *head, *tail; /* push: who sleeps */
    uint64_t *waits;                  /* acquisitions that did not succeed at once */
    ts_time *wait_ps;
};

/* The line must be initialised by the caller; the counters outlive the lock. */
void ts_ex_lock_init(struct ts_ex_lock *lock, const struct ts_ex_locks *all, enum ts_ex_kind kind,
                     uint64_t *waits, ts_time *wait_ps);
/* spin: preemption is off from the call until the lock is let go, and self must not sleep in
 * between; push: preemption is on. Not recursive. */
void ts_ex_acquire(struct ts_task *self, struct ts_ex_lock *lock, bool shared);
void ts_ex_release(struct ts_task *self, struct ts_ex_lock *lock, bool shared);
/* Spins as the locks do until cond(arg) holds; line as in ts_task_spin. */
void ts_ex_spin(struct ts_task *self, const struct ts_ex_locks *all, bool (*cond)(void *arg),
                void *arg, struct ts_line *line);

#ifdef __cplusplus
}
#endif
#endif
