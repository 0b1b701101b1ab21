/* SPDX-License-Identifier: Apache-2.0 */
/* The host's queued read-write lock on one contended line (kernel/locking/qrwlock.c and
 * include/asm-generic/qrwlock.h, 6.1 and 6.12). Readers share it; a writer that waits keeps new
 * readers out. Who cannot have it at once queues in order of arrival, and only the head of the
 * queue looks at the lock. Preemption is off from the call until it is let go; interrupts stay as
 * they are.
 *
 * As with the guests' queued spinlocks only the head pays for the line; those behind it watch lines
 * of their own, whose hand-over falls into the time that the one before waits. */
#ifndef TS_MODELS_HYP_HOST_RWLOCK_H
#define TS_MODELS_HYP_HOST_RWLOCK_H

#include "models/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_rwlock_waiter;

struct ts_host_rwlock {
    struct ts_line line; /* initialised by the owner */
    uint32_t readers;
    bool writer;         /* _QW_LOCKED */
    bool writer_waiting; /* _QW_WAITING */
    /* --- private --- */
    struct ts_rwlock_waiter *head, *tail; /* wait_lock's queue, on their stacks */
};

/* self: a task of the host. True: it had to wait. */
bool ts_host_read_lock(struct ts_task *self, struct ts_host_rwlock *lock);
void ts_host_read_unlock(struct ts_task *self, struct ts_host_rwlock *lock);
bool ts_host_write_lock(struct ts_task *self, struct ts_host_rwlock *lock);
void ts_host_write_unlock(struct ts_task *self, struct ts_host_rwlock *lock);

#ifdef __cplusplus
}
#endif
#endif
