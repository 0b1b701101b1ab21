/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/lock/spinlock.h"

struct ts_spin_node {
    struct ts_spin_node *next;
    struct ts_task *task;
};

struct turn {
    const struct ts_spinlock *lock;
    const struct ts_task *self;
};

void ts_spinlock_init(struct ts_spinlock *lock)
{
    lock->owner = NULL;
    lock->head = lock->tail = NULL;
    lock->waits = 0;
}

static bool my_turn(void *arg)
{
    const struct turn *t = arg;

    return t->lock->owner == t->self;
}

static void wait_for_turn(struct ts_task *self, struct ts_spinlock *lock)
{
    struct ts_spin_node node = {.next = NULL, .task = self};
    struct turn turn = {lock, self};

    if (lock->tail)
        lock->tail->next = &node;
    else
        lock->head = &node;
    lock->tail = &node;
    lock->waits++;
    ts_task_spin(self, my_turn, &turn, &lock->line);
    ts_task_line(self, &lock->line, TS_LINE_WRITE); /* set_locked */
}

bool ts_spin_lock(struct ts_task *self, struct ts_spinlock *lock)
{
    ts_preempt_disable(self);
    ts_task_line(self, &lock->line, TS_LINE_RMW);
    TS_ASSERT(lock->owner != self);
    if (lock->owner) {
        wait_for_turn(self, lock);
        return true;
    }
    lock->owner = self;
    return false;
}

void ts_spin_unlock(struct ts_task *self, struct ts_spinlock *lock)
{
    struct ts_spin_node *next;

    ts_task_line(self, &lock->line, TS_LINE_WRITE);
    TS_ASSERT(lock->owner == self);
    next = lock->head;
    if (next) {
        struct ts_task *task = next->task;
        lock->head = next->next;
        if (!lock->head)
            lock->tail = NULL;
        lock->owner = task;
        ts_task_spin_signal(task);
    } else {
        lock->owner = NULL;
    }
    ts_preempt_enable(self);
}
