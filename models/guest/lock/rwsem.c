/* SPDX-License-Identifier: Apache-2.0 */
/* Reader/writer semaphore after Linux 6.12 kernel/locking/rwsem.c and osq_lock.c.
 *
 * The state changes at one instant, between two primitives that let time pass; what an atomic
 * operation costs is the transfer of the line before that instant. Left out: the first waiter
 * sleeps rather than spins once it has asked for the hand-off. */
#include "models/guest/lock/rwsem.h"

#include "models/abi/vm.h"

/* MAX_READERS_WAKEUP */
enum { READERS_WOKEN_MAX = 256 };

/* Lives on the stack of the sleeping task; off the list before that task goes on. */
struct ts_rwsem_waiter {
    struct ts_rwsem_waiter *next, *prev;
    struct ts_task *task;
    ts_time since;
    bool writer;
    bool granted; /* readers: the lock is theirs */
    bool handoff_set;
};

/* optimistic_spin_node */
struct ts_rwsem_node {
    struct ts_rwsem_node *next, *prev;
    struct ts_task *task;
};

enum wake_kind { WAKE_ANY, WAKE_READERS, WAKE_READ_OWNED };

void ts_rwsem_init(struct ts_rwsem *sem, bool spin, ts_time handoff_ps)
{
    sem->readers = 0;
    sem->owner = NULL;
    sem->write_locked = false;
    sem->handoff = false;
    sem->nonspinnable = false;
    sem->head = sem->tail = NULL;
    sem->spin_head = sem->spin_tail = NULL;
    sem->spin = spin;
    sem->handoff_ps = handoff_ps;
    sem->waits = 0;
    sem->wait_ps = 0;
}

/* --- waking --- */

static void add_waiter(struct ts_rwsem *sem, struct ts_rwsem_waiter *w)
{
    w->next = NULL;
    w->prev = sem->tail;
    if (sem->tail)
        sem->tail->next = w;
    else
        sem->head = w;
    sem->tail = w;
}

static void del_waiter(struct ts_rwsem *sem, struct ts_rwsem_waiter *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        sem->head = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        sem->tail = w->prev;
    if (!sem->head)
        sem->handoff = false;
}

/* Takes every reader off the queue, writers between them stay (phase-fair), up to the limit. The
 * result is a list through next; the count holds them all from now on. */
static struct ts_rwsem_waiter *collect_readers(struct ts_rwsem *sem)
{
    struct ts_rwsem_waiter *first = NULL, **tail = &first, *next;
    uint32_t n = 0;

    for (struct ts_rwsem_waiter *w = sem->head; w && n < READERS_WOKEN_MAX; w = next) {
        next = w->next;
        if (w->writer)
            continue;
        del_waiter(sem, w);
        *tail = w;
        tail = &w->next;
        n++;
    }
    *tail = NULL;
    sem->readers += n;
    sem->handoff = false;
    return first;
}

/* rwsem_mark_wake and wake_up_q. sem->head is not NULL. A reader may leave, and its waiter with it,
 * as soon as granted is set, so that is set one at a time. */
static void mark_wake(struct ts_task *self, struct ts_rwsem *sem, enum wake_kind kind)
{
    struct ts_rwsem_waiter *w = sem->head;

    if (w->writer) {
        if (kind == WAKE_ANY)
            ts_task_wake(self, w->task);
        return;
    }
    if (kind != WAKE_READ_OWNED && sem->write_locked) {
        /* A writer was quicker. After too long a wait the next release must not be stolen. */
        if (ts_task_now(self) - w->since > sem->handoff_ps) {
            sem->handoff = true;
            w->handoff_set = true;
        }
        return;
    }
    w = collect_readers(sem);
    while (w) {
        struct ts_rwsem_waiter *next = w->next;
        struct ts_task *task = w->task;
        w->granted = true;
        ts_task_wake(self, task);
        w = next;
    }
}

/* rwsem_cond_wake_waiter */
static void wake_if_free(struct ts_task *self, struct ts_rwsem *sem)
{
    if (sem->head && !sem->write_locked)
        mark_wake(self, sem, sem->readers ? WAKE_READERS : WAKE_ANY);
}

static void signal_first_spinner(struct ts_rwsem *sem)
{
    if (sem->spin_head)
        ts_task_spin_signal(sem->spin_head->task);
}

void ts_rwsem_recheck(struct ts_rwsem *sem)
{
    for (struct ts_rwsem_node *n = sem->spin_head; n; n = n->next)
        ts_task_spin_signal(n->task);
}

/* --- readers --- */

static void read_slow(struct ts_task *self, struct ts_rwsem *sem)
{
    struct ts_rwsem_waiter w = {0};

    /* Optimistic stealing: the lock is free, only sleepers are in the way. */
    if (!sem->write_locked && !sem->handoff && sem->readers == 0) {
        sem->readers = 1;
        if (sem->head) {
            ts_task_line(self, &sem->line, TS_LINE_RMW);
            if (sem->head)
                mark_wake(self, sem, WAKE_READ_OWNED);
        }
        return;
    }
    ts_task_line(self, &sem->line, TS_LINE_RMW);
    if (!sem->head && !sem->write_locked) {
        sem->readers++;
        return;
    }
    w.task = self;
    w.since = ts_task_now(self);
    add_waiter(sem, &w);
    wake_if_free(self, sem);
    while (!w.granted)
        ts_task_block(self);
}

void ts_down_read(struct ts_task *self, struct ts_rwsem *sem)
{
    ts_time start;

    ts_task_line(self, &sem->line, TS_LINE_RMW);
    if (!sem->write_locked && !sem->head && !sem->handoff) {
        sem->readers++;
        return;
    }
    start = ts_task_now(self);
    read_slow(self, sem);
    sem->waits++;
    sem->wait_ps += ts_task_now(self) - start;
}

bool ts_down_read_trylock(struct ts_task *self, struct ts_rwsem *sem)
{
    ts_task_line(self, &sem->line, TS_LINE_RMW);
    if (sem->write_locked || sem->head || sem->handoff)
        return false;
    sem->readers++;
    return true;
}

void ts_up_read(struct ts_task *self, struct ts_rwsem *sem)
{
    ts_preempt_disable(self);
    ts_task_line(self, &sem->line, TS_LINE_RMW);
    TS_ASSERT(sem->readers > 0);
    if (--sem->readers == 0) {
        if (sem->head)
            sem->nonspinnable = false;
        signal_first_spinner(sem);
        wake_if_free(self, sem);
    }
    ts_preempt_enable(self);
}

/* --- writers: optimistic spinning --- */

static bool vcpu_is_preempted(const struct ts_task *t)
{
    const struct ts_vm *vm = t->cpu->domain->vm;

    return vm && ts_vm_vcpu_is_preempted(vm, t->cpu->id);
}

/* owner_on_cpu */
static bool is_executing(const struct ts_task *t)
{
    return ts_task_on_cpu(t) && !vcpu_is_preempted(t);
}

struct spin_watch {
    const struct ts_rwsem *sem;
    const struct ts_task *self;
    const struct ts_task *owner;
    struct ts_rwsem_node *node;
};

static bool osq_wait_over(void *arg)
{
    const struct spin_watch *w = arg;

    return w->sem->spin_head == w->node || w->self->cpu->need_resched ||
           vcpu_is_preempted(w->node->prev->task);
}

static void osq_remove(struct ts_rwsem *sem, struct ts_rwsem_node *node)
{
    if (node->prev)
        node->prev->next = node->next;
    else
        sem->spin_head = node->next;
    if (node->next)
        node->next->prev = node->prev;
    else
        sem->spin_tail = node->prev;
    if (node->next && !node->prev)
        ts_task_spin_signal(node->next->task);
}

/* Joins the spin queue and waits to be its head. False: gave up, not in the queue any more. Each
 * waits on its own node, so the only transfer is the one that hands the queue on. */
static bool osq_lock(struct ts_task *self, struct ts_rwsem *sem, struct ts_rwsem_node *node)
{
    struct spin_watch watch = {sem, self, NULL, node};

    ts_task_line(self, &sem->osq_line, TS_LINE_RMW);
    node->task = self;
    node->next = NULL;
    node->prev = sem->spin_tail;
    if (node->prev)
        node->prev->next = node;
    else
        sem->spin_head = node;
    sem->spin_tail = node;
    if (sem->spin_head == node)
        return true;
    ts_task_spin(self, osq_wait_over, &watch, NULL);
    if (sem->spin_head != node) {
        osq_remove(sem, node);
        ts_task_line(self, &sem->osq_line, TS_LINE_RMW);
        return false;
    }
    ts_task_line(self, &sem->osq_line, TS_LINE_READ);
    return true;
}

static bool owner_wait_over(void *arg)
{
    const struct spin_watch *w = arg;

    return !w->sem->write_locked || w->sem->owner != w->owner || w->self->cpu->need_resched ||
           !is_executing(w->owner);
}

static bool handoff_wait_over(void *arg)
{
    const struct spin_watch *w = arg;

    return !w->sem->handoff || w->sem->write_locked || w->sem->readers ||
           w->self->cpu->need_resched;
}

static bool is_free(const struct ts_rwsem *sem)
{
    return !sem->write_locked && !sem->readers;
}

static void set_writer(struct ts_task *self, struct ts_rwsem *sem)
{
    TS_ASSERT(is_free(sem));
    sem->write_locked = true;
    sem->nonspinnable = false;
    sem->owner = self;
}

static bool reader_wait_over(void *arg)
{
    const struct spin_watch *w = arg;

    return !w->sem->readers || w->sem->write_locked || w->self->cpu->need_resched;
}

/* Readers own the lock: worth 10 us and half a microsecond for each of up to 30 of them
 * (rwsem_rspin_threshold). False: too long, nobody is to spin until a writer has had it. */
static bool spin_on_readers(struct ts_task *self, struct ts_rwsem *sem)
{
    struct spin_watch watch = {sem, self, NULL, NULL};
    ts_time readers = sem->readers < 30 ? sem->readers : 30;
    ts_time deadline = ts_task_now(self) + (20 + readers) * TS_US / 2;

    if (sem->nonspinnable)
        return false;
    if (!ts_task_spin_deadline(self, reader_wait_over, &watch, &sem->line, deadline)) {
        ts_task_line(self, &sem->line, TS_LINE_RMW);
        if (sem->readers)
            sem->nonspinnable = true;
        return false;
    }
    return true;
}

/* The loop of rwsem_optimistic_spin, at the head of the spin queue. True: self has the lock. */
static bool spin_for_lock(struct ts_task *self, struct ts_rwsem *sem)
{
    for (;;) {
        struct spin_watch watch = {sem, self, sem->owner, NULL};
        if (sem->write_locked) {
            if (self->cpu->need_resched || !is_executing(sem->owner))
                return false;
            ts_task_spin(self, owner_wait_over, &watch, &sem->line);
        } else if (self->cpu->need_resched) {
            return false;
        } else if (sem->readers) {
            if (!spin_on_readers(self, sem))
                return false;
        } else if (sem->handoff) {
            ts_task_spin(self, handoff_wait_over, &watch, &sem->line);
        } else {
            ts_task_line(self, &sem->line, TS_LINE_RMW);
            if (is_free(sem) && !sem->handoff) {
                set_writer(self, sem);
                return true;
            }
        }
    }
}

static bool optimistic_spin(struct ts_task *self, struct ts_rwsem *sem)
{
    struct ts_rwsem_node node;
    bool taken = false;

    if (!sem->spin || self->cpu->need_resched || sem->nonspinnable ||
        (sem->owner && !is_executing(sem->owner)))
        return false;
    ts_preempt_disable(self);
    if (osq_lock(self, sem, &node)) {
        taken = spin_for_lock(self, sem);
        osq_remove(sem, &node);
        ts_task_line(self, &sem->osq_line, TS_LINE_RMW);
    }
    ts_preempt_enable(self);
    return taken;
}

/* --- writers: sleeping --- */

/* rwsem_try_write_lock */
static bool try_write_queued(struct ts_task *self, struct ts_rwsem *sem, struct ts_rwsem_waiter *w)
{
    struct ts_rwsem_waiter *first = sem->head;

    if (sem->handoff && first->handoff_set && w != first)
        return false;
    if (is_free(sem)) {
        sem->handoff = false;
        del_waiter(sem, w);
        set_writer(self, sem);
        return true;
    }
    if (!sem->handoff && ts_task_now(self) - w->since > sem->handoff_ps) {
        sem->handoff = true;
        first->handoff_set = true;
    }
    return false;
}

static void write_sleep(struct ts_task *self, struct ts_rwsem *sem)
{
    struct ts_rwsem_waiter w = {0};

    ts_task_line(self, &sem->line, TS_LINE_RMW);
    w.task = self;
    w.since = ts_task_now(self);
    w.writer = true;
    add_waiter(sem, &w);
    if (sem->head != &w)
        wake_if_free(self, sem);
    while (!try_write_queued(self, sem, &w)) {
        ts_task_block(self);
        ts_task_line(self, &sem->line, TS_LINE_RMW);
    }
}

void ts_down_write(struct ts_task *self, struct ts_rwsem *sem)
{
    ts_time start;

    ts_task_line(self, &sem->line, TS_LINE_RMW);
    if (is_free(sem) && !sem->head && !sem->handoff) {
        set_writer(self, sem);
        return;
    }
    start = ts_task_now(self);
    if (!optimistic_spin(self, sem))
        write_sleep(self, sem);
    sem->waits++;
    sem->wait_ps += ts_task_now(self) - start;
}

static void drop_writer(struct ts_task *self, struct ts_rwsem *sem)
{
    ts_task_line(self, &sem->line, TS_LINE_RMW);
    TS_ASSERT(sem->write_locked && sem->owner == self);
    sem->write_locked = false;
    sem->owner = NULL;
}

void ts_up_write(struct ts_task *self, struct ts_rwsem *sem)
{
    ts_preempt_disable(self);
    drop_writer(self, sem);
    signal_first_spinner(sem);
    wake_if_free(self, sem);
    ts_preempt_enable(self);
}

void ts_downgrade_write(struct ts_task *self, struct ts_rwsem *sem)
{
    ts_preempt_disable(self);
    drop_writer(self, sem);
    sem->readers++;
    signal_first_spinner(sem);
    if (sem->head)
        mark_wake(self, sem, WAKE_READ_OWNED);
    ts_preempt_enable(self);
}
