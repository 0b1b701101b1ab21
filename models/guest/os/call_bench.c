/* SPDX-License-Identifier: Apache-2.0 */
/* The IPI micro-benchmark (Y. Norov, "IPI performance benchmark", linux-kernel, December 2017,
 * send_ipi, handle_ipi and handle_ipi_spinlock): calls a function on another CPU, or on all, with
 * wait. A call to one CPU reads the clock before it, and so does the function: the time between is
 * added up. A broadcast and the dry run read no clock. With a lock, the functions take one
 * spinlock: a queue in order of arrival, as qspinlock has, whose next owner is told through its own
 * line. */
#include "models/guest/os/thread.h"

#include <stdlib.h>

struct call_lock {
    struct ts_line line;
    struct ts_task *owner;
    struct ts_task **waiting; /* ring of ncpus */
    uint32_t head, count, room;
};

struct call_bench {
    struct ts_guest *g;
    ts_time sent;
    bool timed, locked;
    ts_time hold_ps; /* under the lock */
    struct call_lock *lock;
};

struct turn {
    const struct call_lock *lock;
    const struct ts_task *self;
};

static bool my_turn(void *arg)
{
    const struct turn *t = arg;
    return t->lock->owner == t->self;
}

static void lock_take(struct ts_task *self, struct call_lock *l)
{
    ts_task_line(self, &l->line, TS_LINE_RMW);
    if (!l->owner) {
        l->owner = self;
        return;
    }
    struct turn turn = {l, self};
    TS_ASSERT(l->count < l->room);
    l->waiting[(l->head + l->count++) % l->room] = self;
    ts_task_spin(self, my_turn, &turn, &ts_guest_cpu_of(self)->private_line);
}

static void lock_release(struct ts_task *self, struct call_lock *l)
{
    if (l->count == 0) {
        ts_task_line(self, &l->line, TS_LINE_WRITE);
        /* Somebody may have queued while the line was under way. */
        if (l->count == 0) {
            l->owner = NULL;
            return;
        }
    }
    struct ts_task *next = l->waiting[l->head];
    l->head = (l->head + 1) % l->room;
    l->count--;
    l->owner = next;
    ts_task_line(self, &ts_guest_cpu_of(next)->private_line, TS_LINE_WRITE);
    ts_task_spin_signal(next);
}

static void function(struct ts_task *self, void *arg)
{
    struct call_bench *b = arg;
    struct ts_guest *g = b->g;
    if (b->locked)
        lock_take(self, b->lock);
    if (b->timed)
        ts_task_work(self, g->params.clock_read_cycles);
    ts_hist_add(&g->stats.call_delay_ps, ts_task_now(self) - b->sent);
    g->stats.call_functions++;
    if (b->locked) {
        ts_task_work_ps(self, b->hold_ps);
        lock_release(self, b->lock);
    }
}

/* smp_call_function_single to the calling CPU runs the function with interrupts off. */
static void call_self(struct ts_task *self, struct call_bench *b)
{
    ts_irq_disable(self);
    ts_task_work(self, b->g->params.smp_call_target_cycles);
    function(self, b);
    ts_irq_enable(self);
}

static void call_others(struct ts_task *self, struct call_bench *b, bool all)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_cpumask *mask = &gc->flush_mask;
    ts_cpumask_clear_all(mask);
    for (uint32_t cpu = 0; cpu < b->g->ncpus; cpu++) {
        if (cpu == gc->id)
            continue;
        ts_cpumask_set(mask, cpu);
        if (!all)
            break;
    }
    ts_smp_call_many(self, mask, &(struct ts_call){.fn = function, .arg = b}, NULL);
}

static void call_once(struct ts_task *self, struct call_bench *b, uint32_t target)
{
    struct ts_guest *g = b->g;
    ts_time started = ts_task_now(self);
    ts_preempt_disable(self);
    ts_task_work(self, g->params.call_loop_cycles);
    if (b->timed)
        ts_task_work(self, g->params.clock_read_cycles);
    b->sent = ts_task_now(self);
    if (target == TS_CALL_SELF)
        call_self(self, b);
    else if (target != TS_CALL_NOBODY)
        call_others(self, b, target == TS_CALL_ALL);
    ts_preempt_enable(self);
    ts_hist_add(&g->stats.call_total_ps, ts_task_now(self) - started);
    g->stats.calls++;
}

void ts_call_bench(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct call_bench b = {.g = g,
                           .timed = (op->flags & TS_OPF_TIMED) != 0,
                           .locked = (op->flags & TS_OPF_LOCK) != 0,
                           .hold_ps = op->length * TS_NS};
    struct call_lock lock = {0};
    if (b.locked) {
        struct ts_guest_thread *thread = self->user;
        if (!thread->call_waiting)
            thread->call_waiting = calloc(g->ncpus, sizeof(struct ts_task *));
        if (!thread->call_waiting)
            ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for %u waiting CPUs", g->ncpus);
        lock.room = g->ncpus;
        lock.waiting = thread->call_waiting;
        ts_guest_line_init(g, &lock.line, ts_guest_cpu_of(self)->id);
        b.lock = &lock;
    }
    (void)mm;
    ts_kernel_enter(self);
    for (uint64_t i = 0; i < op->count; i++) {
        call_once(self, &b, op->target);
        ts_task_poll(self);
        ts_task_cond_resched(self);
    }
    ts_kernel_exit(self);
}
