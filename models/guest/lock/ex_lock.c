/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/lock/ex_lock.h"

#include "models/abi/vm.h"
#include "models/guest/lock/spinlock_private.h"

/* On the stack of who sleeps. */
struct ts_ex_waiter {
    struct ts_ex_waiter *next;
    struct ts_task *task;
    bool shared, woken;
};

/* --- spinning --- */

static bool notifies(const struct ts_ex_locks *all)
{
    return all->retries && all->retries != TS_EX_NEVER_NOTIFY;
}

/* A fast call: the number of attempts so far is its only input. */
static void notify(struct ts_task *self, const struct ts_ex_locks *all, uint64_t attempts)
{
    struct ts_hypercall call = {.abi = TS_ABI_HYPERV,
                                .number = ts_hv_control(TS_HVCALL_NOTIFY_LONG_SPIN, 0, 0) |
                                          TS_HV_CONTROL_FAST,
                                .args = {attempts & UINT32_MAX}};

    ts_hypercall(self, all->vm, &call);
    (*all->long_spins)++;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static ts_time loops_ps(const struct ts_task *self, const struct ts_ex_locks *all, uint64_t loops)
{
    return ts_clock_cycle_time(self->domain->clock, loops * all->pause_cycles);
}

/* n attempts with one loop after each. */
static void attempt(struct ts_task *self, const struct ts_ex_locks *all, uint64_t n,
                    bool (*cond)(void *), void *arg, struct ts_line *line)
{
    ts_time left = loops_ps(self, all, n);

    (void)ts_spin_for(self, cond, arg, line, &left);
}

/* One attempt, and what it backs off by; the line is looked at by the next one. */
static void back_off(struct ts_task *self, const struct ts_ex_locks *all, uint64_t loops,
                     struct ts_line *line)
{
    ts_time left = loops_ps(self, all, loops);

    (void)ts_spin_for(self, never, NULL, NULL, &left);
    if (line)
        ts_task_line(self, line, TS_LINE_READ);
}

void ts_ex_spin(struct ts_task *self, const struct ts_ex_locks *all, bool (*cond)(void *arg),
                void *arg, struct ts_line *line)
{
    bool tells = notifies(all);
    uint64_t attempts = 0, loops = 1;

    if (!tells && all->backoff_max <= 1) {
        ts_task_spin(self, cond, arg, line);
        return;
    }
    while (!cond(arg)) {
        if (all->backoff_max <= 1) {
            attempt(self, all, all->retries, cond, arg, line);
            attempts += all->retries;
        } else {
            back_off(self, all, loops, line);
            attempts++;
            loops = 2 * loops < all->backoff_max ? 2 * loops : all->backoff_max;
        }
        if (tells && attempts % all->retries == 0 && !cond(arg))
            notify(self, all, attempts);
    }
}

/* --- locks --- */

void ts_ex_lock_init(struct ts_ex_lock *lock, const struct ts_ex_locks *all, enum ts_ex_kind kind,
                     uint64_t *waits, ts_time *wait_ps)
{
    struct ts_line line = lock->line;

    *lock = (struct ts_ex_lock){
        .line = line, .kind = kind, .all = all, .waits = waits, .wait_ps = wait_ps};
}

static bool free_for_reader(void *arg)
{
    const struct ts_ex_lock *lock = arg;

    return !lock->owner && !lock->writers_waiting;
}

static bool free_for_writer(void *arg)
{
    const struct ts_ex_lock *lock = arg;

    return !lock->owner && !lock->readers;
}

static bool try_take(struct ts_task *self, struct ts_ex_lock *lock, bool shared)
{
    ts_task_line(self, &lock->line, TS_LINE_RMW);
    TS_ASSERT(lock->owner != self);
    if (!(shared ? free_for_reader(lock) : free_for_writer(lock)))
        return false;
    if (shared)
        lock->readers++;
    else
        lock->owner = self;
    return true;
}

static void wait_spinning(struct ts_task *self, struct ts_ex_lock *lock, bool shared)
{
    struct ts_spin_node node = {.task = self};

    lock->writers_waiting += !shared;
    do {
        ts_spin_list_add(&lock->watching, &node);
        ts_ex_spin(self, lock->all, shared ? free_for_reader : free_for_writer, lock, &lock->line);
        ts_spin_list_remove(&lock->watching, &node);
    } while (!try_take(self, lock, shared));
    lock->writers_waiting -= !shared;
}

static void sleep_in_queue(struct ts_task *self, struct ts_ex_lock *lock, bool shared)
{
    struct ts_ex_waiter w = {.task = self, .shared = shared};

    if (lock->tail)
        lock->tail->next = &w;
    else
        lock->head = &w;
    lock->tail = &w;
    while (!w.woken)
        ts_task_block(self);
}

static void wait_sleeping(struct ts_task *self, struct ts_ex_lock *lock, bool shared)
{
    for (;;) {
        struct ts_spin_node node = {.task = self};
        ts_time left = loops_ps(self, lock->all, lock->all->push_spin);

        ts_spin_list_add(&lock->watching, &node);
        (void)ts_spin_for(self, shared ? free_for_reader : free_for_writer, lock, &lock->line,
                          &left);
        ts_spin_list_remove(&lock->watching, &node);
        if (try_take(self, lock, shared))
            return;
        sleep_in_queue(self, lock, shared);
        if (try_take(self, lock, shared))
            return;
    }
}

void ts_ex_acquire(struct ts_task *self, struct ts_ex_lock *lock, bool shared)
{
    ts_time start = ts_task_now(self);

    if (lock->kind == TS_EX_SPIN)
        ts_preempt_disable(self);
    if (try_take(self, lock, shared))
        return;
    ++*lock->waits;
    if (lock->kind == TS_EX_SPIN)
        wait_spinning(self, lock, shared);
    else
        wait_sleeping(self, lock, shared);
    *lock->wait_ps += ts_task_now(self) - start;
}

/* Takes the first off the queue, and if it reads the readers behind it. */
static struct ts_ex_waiter *take_first(struct ts_ex_lock *lock)
{
    struct ts_ex_waiter *first = lock->head, *last = first;

    if (!first || lock->owner || lock->readers)
        return NULL;
    while (first->shared && last->next && last->next->shared)
        last = last->next;
    lock->head = last->next;
    if (!lock->head)
        lock->tail = NULL;
    last->next = NULL;
    return first;
}

void ts_ex_release(struct ts_task *self, struct ts_ex_lock *lock, bool shared)
{
    struct ts_ex_waiter *w;

    ts_task_line(self, &lock->line, TS_LINE_RMW);
    TS_ASSERT(shared ? lock->readers > 0 && !lock->owner : lock->owner == self);
    if (shared)
        lock->readers--;
    else
        lock->owner = NULL;
    ts_spin_list_signal(lock->watching);
    w = take_first(lock);
    while (w) {
        struct ts_ex_waiter *next = w->next; /* its stack is its own again once it is woken */
        struct ts_task *task = w->task;
        w->woken = true;
        ts_task_wake(self, task);
        w = next;
    }
    if (lock->kind == TS_EX_SPIN)
        ts_preempt_enable(self);
}
