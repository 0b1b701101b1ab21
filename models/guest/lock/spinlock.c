/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/lock/spinlock_private.h"

#include <stdlib.h>

#include "models/abi/vm.h"

struct turn {
    const struct ts_spinlock *lock;
    const struct ts_task *self;
};

bool ts_spinlocks_init(struct ts_spinlocks *locks, uint32_t ncpus)
{
    TS_ASSERT(locks->events && !locks->kicked && ncpus > 0);
    locks->kicked = calloc(ncpus, sizeof(*locks->kicked));
    return locks->kicked != NULL;
}

void ts_spinlocks_fini(struct ts_spinlocks *locks)
{
    free(locks->kicked);
    locks->kicked = NULL;
}

struct ts_spinlocks *ts_spinlocks_of(const struct ts_task *self)
{
    const struct ts_vm *vm = self->domain->vm;

    return vm ? vm->locks : NULL;
}

void ts_spinlock_init(struct ts_spinlock *lock)
{
    lock->owner = NULL;
    lock->head = lock->tail = NULL;
    lock->unfair = NULL;
    lock->pending = lock->slow = false;
    lock->waits = 0;
}

/* --- watching the word without a place in the queue --- */

void ts_spin_list_add(struct ts_spin_node **list, struct ts_spin_node *node)
{
    while (*list)
        list = &(*list)->next;
    node->next = NULL;
    *list = node;
}

void ts_spin_list_remove(struct ts_spin_node **list, const struct ts_spin_node *node)
{
    while (*list != node)
        list = &(*list)->next;
    *list = node->next;
}

void ts_spin_list_signal(const struct ts_spin_node *list)
{
    for (; list; list = list->next)
        ts_task_spin_signal(list->task);
}

bool ts_spin_for(struct ts_task *self, bool (*cond)(void *), void *arg, struct ts_line *line,
                 ts_time *left)
{
    while (*left && !cond(arg)) {
        const struct ts_cpu *cpu = self->cpu;
        ts_time before = cpu->stats.mode_ps[TS_MODE_SPIN];
        ts_time end = ts_task_now(self) + *left;
        bool holds = ts_task_spin_deadline(self, cond, arg, line, end);
        /* Where preemption is on it may have gone to another CPU: it begins anew there. */
        ts_time spun = cpu == self->cpu ? cpu->stats.mode_ps[TS_MODE_SPIN] - before : 0;
        *left -= spun < *left ? spun : *left;
        if (holds)
            return true;
    }
    return cond(arg);
}

void ts_spin_word_changed(struct ts_spinlock *lock)
{
    ts_spin_list_signal(lock->unfair);
}

void ts_spin_watch(struct ts_task *self, struct ts_spinlock *lock, bool (*cond)(void *lock))
{
    struct ts_spin_node node = {.task = self};

    ts_spin_list_add(&lock->unfair, &node);
    ts_task_spin(self, cond, lock, &lock->line);
    ts_spin_list_remove(&lock->unfair, &node);
}

/* --- test and set --- */

static bool is_free(void *arg)
{
    return !((const struct ts_spinlock *)arg)->owner;
}

/* virt_spin_lock: no queue; who comes first after it was let go gets it. */
static void test_and_set(struct ts_task *self, struct ts_spinlock *lock)
{
    do {
        ts_spin_watch(self, lock, is_free);
        ts_task_line(self, &lock->line, TS_LINE_RMW);
    } while (lock->owner);
    lock->owner = self;
}

/* --- queued --- */

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
    ts_task_spin(self, my_turn, &turn, &lock->line);
    ts_task_line(self, &lock->line, TS_LINE_WRITE); /* set_locked */
}

static void queued_slowpath(struct ts_task *self, struct ts_spinlocks *locks,
                            struct ts_spinlock *lock)
{
    if (locks) {
        locks->events->lock_pending += !lock->head;
        locks->events->lock_slowpath += lock->head != NULL;
    }
    wait_for_turn(self, lock);
}

static void queued_unlock(struct ts_task *self, struct ts_spinlock *lock)
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
}

/* --- what all have in common --- */

bool ts_spin_lock(struct ts_task *self, struct ts_spinlock *lock)
{
    struct ts_spinlocks *locks = ts_spinlocks_of(self);

    ts_preempt_disable(self);
    ts_task_line(self, &lock->line, TS_LINE_RMW);
    TS_ASSERT(lock->owner != self);
    if (!lock->owner && !lock->head) {
        lock->owner = self;
        return false;
    }
    lock->waits++;
    if (locks && locks->kind == TS_SPINLOCK_PV)
        ts_pv_spin_lock_slowpath(self, locks, lock);
    else if (locks && locks->kind == TS_SPINLOCK_TEST_AND_SET)
        test_and_set(self, lock);
    else
        queued_slowpath(self, locks, lock);
    TS_ASSERT(lock->owner == self);
    return true;
}

void ts_spin_unlock(struct ts_task *self, struct ts_spinlock *lock)
{
    struct ts_spinlocks *locks = ts_spinlocks_of(self);

    if (locks && locks->kind == TS_SPINLOCK_PV) {
        ts_pv_spin_unlock(self, locks, lock);
    } else if (locks && locks->kind == TS_SPINLOCK_TEST_AND_SET) {
        ts_task_line(self, &lock->line, TS_LINE_WRITE);
        TS_ASSERT(lock->owner == self);
        lock->owner = NULL;
        ts_spin_word_changed(lock);
    } else {
        queued_unlock(self, lock);
    }
    ts_preempt_enable(self);
}
