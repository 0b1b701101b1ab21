/* SPDX-License-Identifier: Apache-2.0 */
/* mmap_lock: a reader/writer semaphore that writers spin on optimistically (kernel/locking/
 * rwsem.c). Count and owner share one contended cache line. */
#ifndef TS_MODELS_GUEST_RWSEM_H
#define TS_MODELS_GUEST_RWSEM_H

#include "models/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_rwsem_waiter;
struct ts_rwsem_node;
struct ts_rwsem {
    struct ts_line line;     /* count and owner */
    struct ts_line osq_line; /* optimistic spin queue */
    uint32_t readers;        /* active */
    struct ts_task *owner;   /* active writer, else NULL */
    bool write_locked;
    bool handoff;                        /* the first waiter must get it next */
    bool nonspinnable;                   /* RWSEM_NONSPINNABLE: readers have held it for too long */
    struct ts_rwsem_waiter *head, *tail; /* sleeping waiters, FIFO */
    struct ts_rwsem_node *spin_head, *spin_tail; /* OSQ, FIFO */
    bool spin;                                   /* RWSEM_SPIN_ON_OWNER */
    ts_time handoff_ps;
    uint64_t waits; /* acquisitions that did not succeed at once */
    ts_time wait_ps;
};

/* The lines must be initialised by the caller. */
void ts_rwsem_init(struct ts_rwsem *sem, bool spin, ts_time handoff_ps);
void ts_down_read(struct ts_task *self, struct ts_rwsem *sem);
/* One atomic operation: false if a writer holds it or anybody waits. */
bool ts_down_read_trylock(struct ts_task *self, struct ts_rwsem *sem);
void ts_up_read(struct ts_task *self, struct ts_rwsem *sem);
void ts_down_write(struct ts_task *self, struct ts_rwsem *sem);
void ts_up_write(struct ts_task *self, struct ts_rwsem *sem);
/* Writer becomes reader; readers at the head of the queue go in. */
void ts_downgrade_write(struct ts_task *self, struct ts_rwsem *sem);
/* A task that may own or spin for sem has stopped executing, or its vCPU is now marked preempted:
 * the spinners look again, as their polling loops would. Cheap when nobody spins. For a guest's
 * switch_out and a hypervisor's vCPU put; without the call spinners notice at their next interrupt
 * or pause-loop exit. */
void ts_rwsem_recheck(struct ts_rwsem *sem);

#ifdef __cplusplus
}
#endif
#endif
