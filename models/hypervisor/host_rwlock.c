/* SPDX-License-Identifier: Apache-2.0 */
#include "models/hypervisor/host_rwlock.h"

struct ts_rwlock_waiter {
    struct ts_rwlock_waiter *next;
    struct ts_task *task;
    const struct ts_host_rwlock *lock;
};

static bool is_head(void *arg)
{
    const struct ts_rwlock_waiter *w = arg;
    return w->lock->head == w;
}

static bool no_writer(void *arg)
{
    return !((const struct ts_host_rwlock *)arg)->writer;
}

static bool is_free(void *arg)
{
    const struct ts_host_rwlock *lock = arg;
    return !lock->writer && !lock->readers;
}

static void signal_head(const struct ts_host_rwlock *lock)
{
    if (lock->head)
        ts_task_spin_signal(lock->head->task);
}

/* The queue's spinlock. */
static void queue_up(struct ts_task *self, struct ts_host_rwlock *lock, struct ts_rwlock_waiter *w)
{
    *w = (struct ts_rwlock_waiter){.task = self, .lock = lock};
    *(lock->tail ? &lock->tail->next : &lock->head) = w;
    lock->tail = w;
    if (lock->head != w)
        ts_task_spin(self, is_head, w, NULL);
}

static void leave_queue(struct ts_host_rwlock *lock, const struct ts_rwlock_waiter *w)
{
    TS_ASSERT(lock->head == w);
    lock->head = w->next;
    if (!lock->head)
        lock->tail = NULL;
    signal_head(lock);
}

bool ts_host_read_lock(struct ts_task *self, struct ts_host_rwlock *lock)
{
    struct ts_rwlock_waiter w;
    ts_preempt_disable(self);
    ts_task_line(self, &lock->line, TS_LINE_RMW);
    if (!lock->writer && !lock->writer_waiting) {
        lock->readers++;
        return false;
    }
    queue_up(self, lock, &w);
    /* At the head it counts as a reader already, so no writer can come in between. */
    ts_task_line(self, &lock->line, TS_LINE_RMW);
    lock->readers++;
    ts_task_spin(self, no_writer, lock, &lock->line);
    leave_queue(lock, &w);
    return true;
}

void ts_host_read_unlock(struct ts_task *self, struct ts_host_rwlock *lock)
{
    ts_task_line(self, &lock->line, TS_LINE_RMW);
    TS_ASSERT(lock->readers && !lock->writer);
    lock->readers--;
    signal_head(lock);
    ts_preempt_enable(self);
}

bool ts_host_write_lock(struct ts_task *self, struct ts_host_rwlock *lock)
{
    struct ts_rwlock_waiter w;
    ts_preempt_disable(self);
    ts_task_line(self, &lock->line, TS_LINE_RMW);
    if (is_free(lock) && !lock->writer_waiting) {
        lock->writer = true;
        return false;
    }
    queue_up(self, lock, &w);
    if (!is_free(lock)) {
        ts_task_line(self, &lock->line, TS_LINE_RMW);
        lock->writer_waiting = true;
    }
    do {
        ts_task_spin(self, is_free, lock, &lock->line);
        ts_task_line(self, &lock->line, TS_LINE_RMW);
    } while (!is_free(lock));
    lock->writer_waiting = false;
    lock->writer = true;
    leave_queue(lock, &w);
    return true;
}

void ts_host_write_unlock(struct ts_task *self, struct ts_host_rwlock *lock)
{
    ts_task_line(self, &lock->line, TS_LINE_WRITE);
    TS_ASSERT(lock->writer);
    lock->writer = false;
    signal_head(lock);
    ts_preempt_enable(self);
}
