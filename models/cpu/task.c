/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks and their scheduling, the same for the host's pCPUs and a guest's vCPUs. */
#include <stdlib.h>

#include "models/cpu/cpu_private.h"
#include "models/cpu/group.h"

/* --- charging and the tick --- */

static void charge_current(struct ts_cpu *c)
{
    struct ts_task *t = c->current;
    ts_time clock = ts_cpu_local_clock(c);
    c->rq.now = ts_engine_now(c->domain->engine);
    TS_ASSERT(clock >= t->exec_mark);
    ts_time delta = clock - t->exec_mark;
    t->exec_mark = clock;
    /* In the middle of a switch the current task is already off the books. */
    if (t->is_idle || delta == 0 || t->state != TS_TASK_RUNNING)
        return;
    TS_ASSERT(!t->se.queued);
    t->se.sum_exec_ps += delta;
    c->domain->sched->charge(&c->rq, &t->se, delta);
}

void ts_cpu_tick_arm(struct ts_cpu *c)
{
    ts_time period = c->domain->sched_params.tick_ps;
    if (c->rq.nr == 0 || ts_event_pending(&c->tick))
        return;
    ts_time now = ts_engine_now(c->domain->engine);
    ts_engine_schedule(c->domain->engine, &c->tick, (now / period + 1) * period, TS_PHASE_TIMER);
    ts_domain_balance_arm(c->domain);
}

/* Ticks matter only where somebody waits: with an empty run queue they are not simulated. */
static void on_tick(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_cpu *c = TS_CONTAINER_OF(event, struct ts_cpu, tick);
    (void)engine;
    if (c->rq.nr == 0)
        return;
    ts_cpu_raise(c, TS_VEC_TICK);
    ts_cpu_tick_arm(c);
}

/* A vCPU's time goes elsewhere from here on. */
static void account_vcpu(struct ts_task *t, enum ts_vcpu_place place)
{
    struct ts_cpu_domain *d = t->domain;
    if (t->vcpu)
        ts_vcpu_clock_set(&t->clock, &d->load, place, ts_engine_now(d->engine));
}

void ts_cpu_handle_tick(struct ts_task *self)
{
    struct ts_cpu *c = self->cpu;
    TS_ASSERT(c->current == self && c->irq_off > 0);
    charge_current(c);
    if (c->rq.nr)
        ts_cpu_kick_idle(self);
    if (c->rq.nr && (self->is_idle || c->domain->sched->tick(&c->rq, &self->se)))
        c->need_resched = true;
    ts_cpu_balance(self);
}

/* --- sleeping --- */

static void on_timer(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_task *t = TS_CONTAINER_OF(event, struct ts_task, timer);
    struct ts_cpu *c = t->timer_cpu;
    struct ts_task **tail = &c->expired, **link = &c->sleepers;
    (void)engine;
    while (*link != t)
        link = &(*link)->sleeps_next;
    *link = t->sleeps_next;
    while (*tail)
        tail = &(*tail)->expired_next;
    t->expired_next = NULL;
    *tail = t;
    if (c->ops->timer_fired)
        c->ops->timer_fired(c);
    else
        ts_cpu_raise(c, TS_VEC_TIMER);
}

void ts_cpu_handle_timer(struct ts_task *self)
{
    struct ts_cpu *c = self->cpu;
    while (c->expired) {
        struct ts_task *t = c->expired;
        c->expired = t->expired_next;
        TS_ASSERT(t->timer_cpu == c);
        ts_task_wake(self, t);
    }
}

void ts_task_sleep(struct ts_task *self, ts_time ps)
{
    const struct ts_cpu_ops *ops = self->cpu->ops;
    if (ops->timer_program && (!ops->timer_first || ops->timer_first(self, ts_task_now(self) + ps)))
        ops->timer_program(self);
    TS_ASSERT(!ts_event_pending(&self->timer));
    self->timer_cpu = self->cpu;
    self->timer_expires = ts_task_now(self) + ps;
    struct ts_task **link = &self->cpu->sleepers;
    while (*link && (*link)->timer_expires <= self->timer_expires)
        link = &(*link)->sleeps_next;
    self->sleeps_next = *link;
    *link = self;
    ts_engine_schedule(self->domain->engine, &self->timer, self->timer_expires, TS_PHASE_TIMER);
    self->wake_pending = false;
    ts_task_block(self);
}

/* --- the switch --- */

/* self has become its CPU's running task: what the far end of a switch does. */
static void finish_switch(struct ts_task *self, enum ts_cpu_mode mode)
{
    struct ts_cpu *c = self->cpu;
    if (c->ops->switch_in)
        c->ops->switch_in(self);
    (void)ts_cpu_set_mode(c, mode);
    TS_ASSERT(c->irq_off > 0);
    if (--c->irq_off == 0)
        c->irq_off_total_ps += ts_task_now(self) - c->irq_off_since;
}

/* picked: the CPU's local clock when next was chosen. The switch itself is charged to next, as the
 * kernel's continuous rq_clock does; else tasks that do nothing but yield would run for free. */
static void become_current(struct ts_cpu *c, struct ts_task *next, ts_time picked)
{
    ts_time now = ts_engine_now(c->domain->engine);
    TS_ASSERT(next->cpu == c && !next->se.queued);
    (void)ts_cpu_set_mode(c, TS_MODE_SYSTEM);
    if (!next->is_idle)
        next->run_delay_ps += now - next->runnable_since;
    next->state = TS_TASK_RUNNING;
    account_vcpu(next, TS_VCPU_RUNNING);
    next->exec_mark = picked;
    next->se.slice_start_ps = next->se.sum_exec_ps;
    c->current = next;
    c->incoming = NULL;
    c->stats.context_switches++;
    if (!next->is_idle)
        ts_timeline_emit(c->domain->timeline, now, TS_TL_BEGIN, c->domain->group, c->id, next->name,
                         next->number);
}

/* The next to run, out of its queue; prev is in it if it still wants to run and is not the one. */
static struct ts_task *pick_next(struct ts_cpu *c, struct ts_task *prev)
{
    const struct ts_sched_ops *sched = c->domain->sched;
    struct ts_sched_entity *curr = ts_cpu_running_entity(c);
    if (!curr && !prev->is_idle)
        sched->dequeue(&c->rq, &prev->se, &prev->se);
    struct ts_sched_entity *e = sched->pick(&c->rq, curr);
    if (!e && ts_cpu_pull_task(c, prev->is_idle))
        e = sched->pick(&c->rq, NULL);
    if (!e)
        ts_cpu_note_idle(c);
    TS_ASSERT(e ? !e->queued && ts_task_of(e)->cpu == c : c->rq.nr == 0);
    if (curr && e != curr) {
        prev->state = TS_TASK_RUNNABLE;
        prev->runnable_since = ts_engine_now(c->domain->engine);
        account_vcpu(prev, TS_VCPU_WAITING);
        sched->enqueue(&c->rq, e, curr, false);
    }
    return e ? ts_task_of(e) : c->idle;
}

void ts_task_schedule(struct ts_task *self)
{
    struct ts_cpu *c = self->cpu;
    TS_ASSERT(c->current == self && c->irq_off == 0 && c->preempt_off == 0 && !c->incoming);
    enum ts_cpu_mode mode = c->mode;
    c->irq_off = 1;
    c->irq_off_since = ts_task_now(self);
    charge_current(c);
    ts_time picked = ts_cpu_local_clock(c);
    c->need_resched = false;
    struct ts_task *next = pick_next(c, self);
    ts_cpu_tick_arm(c);
    if (next == self) {
        self->state = TS_TASK_RUNNING;
        c->irq_off = 0;
        return;
    }
    if (self->state == TS_TASK_RUNNABLE)
        c->stats.preemptions++;
    c->incoming = next;
    /* rq_lock and smp_mb__after_spinlock of kernel/sched/core.c __schedule; arm64: DSB ISH of
     * __switch_to (arch/arm64/kernel/process.c), as the task may go on elsewhere; 6.1 and 6.12. */
    ts_task_store_dsb(self);
    (void)ts_cpu_set_mode(c, TS_MODE_SYSTEM);
    ts_task_work(self, c->domain->sched_params.switch_cycles);
    if (c->ops->switch_out)
        c->ops->switch_out(self, next);
    struct ts_cpu *p = ts_cpu_physical(c);
    struct ts_task *leaf = ts_cpu_leaf(p);
    self->last_ran = ts_task_now(self);
    if (!self->is_idle)
        ts_timeline_emit(c->domain->timeline, self->last_ran, TS_TL_END, c->domain->group, c->id,
                         self->name, self->number);
    become_current(c, next, picked);
    ts_cpu_hand_over(p, leaf);
    finish_switch(self, mode);
}

/* --- blocking and waking --- */

ts_time ts_task_executed(const struct ts_task *self)
{
    return self->se.sum_exec_ps + (ts_cpu_local_clock(self->cpu) - self->exec_mark);
}

void ts_task_block(struct ts_task *self)
{
    if (self->wake_pending) {
        self->wake_pending = false;
        return;
    }
    TS_ASSERT(self->state == TS_TASK_RUNNING && !self->is_idle);
    /* dequeue_entity charges whoever leaves (update_curr). */
    charge_current(self->cpu);
    self->state = TS_TASK_BLOCKED;
    account_vcpu(self, TS_VCPU_HALTED);
    ts_task_schedule(self);
    self->wake_pending = false;
}

void ts_cpu_resched(struct ts_task *self, struct ts_cpu *cpu)
{
    if (cpu->need_resched)
        return;
    cpu->need_resched = true;
    if (self && self->cpu == cpu)
        return;
    if (self && cpu->ops->send_resched)
        cpu->ops->send_resched(self, cpu);
    else if (!cpu->is_virtual)
        ts_cpu_kick(cpu);
    else if (cpu->in_guest)
        ts_cpu_kick(cpu->host_task->cpu);
}

void ts_task_wake(struct ts_task *self, struct ts_task *t)
{
    if (t->state != TS_TASK_BLOCKED && t->state != TS_TASK_NEW) {
        t->wake_pending = true;
        return;
    }
    TS_ASSERT(!t->se.queued && !t->is_idle);
    t->state = TS_TASK_RUNNABLE;
    if (self)
        ts_task_work(self, t->domain->sched_params.wakeup_cycles);
    struct ts_cpu *c = ts_task_select_cpu(self, t);
    ts_task_move(t, c);
    ts_cpu_note_wakeup(c);
    t->runnable_since = ts_engine_now(t->domain->engine);
    account_vcpu(t, TS_VCPU_WAITING);
    c->stats.wakeups++;
    charge_current(c);
    struct ts_sched_entity *curr = ts_cpu_running_entity(c);
    c->domain->sched->enqueue(&c->rq, curr, &t->se, true);
    ts_cpu_tick_arm(c);
    if (!curr || (!c->need_resched && c->domain->sched->preempts(&c->rq, curr, &t->se)))
        ts_cpu_resched(self, c);
}

bool ts_cpu_single_task_running(const struct ts_cpu *c)
{
    return ts_cpu_count_runnable(c) == 1;
}

enum ts_yield ts_task_yield_to(struct ts_task *self, struct ts_task *t)
{
    struct ts_cpu *c = self->cpu;
    struct ts_cpu *target = t->cpu;
    const struct ts_sched_ops *sched = c->domain->sched;
    TS_ASSERT(self->domain == t->domain && c->current == self && self->state == TS_TASK_RUNNING);
    if (ts_cpu_count_runnable(c) == 1 && ts_cpu_count_runnable(target) == 1)
        return TS_YIELD_NOBODY;
    /* Its class has none (yield_to_task). */
    if (!sched->set_next)
        return TS_YIELD_REFUSED;
    /* On a CPU, blocked, or still switching away (task_on_cpu, task_is_running). */
    if (t->state != TS_TASK_RUNNABLE || !t->se.queued || target->current == t)
        return TS_YIELD_REFUSED;
    charge_current(c);
    sched->set_next(&target->rq, &t->se);
    sched->yield(&c->rq, &self->se);
    /* The other CPU is told before this one gives way. */
    ts_preempt_disable(self);
    if (target != c)
        ts_cpu_resched(self, target);
    c->need_resched = true;
    ts_preempt_enable(self);
    return TS_YIELD_DONE;
}

void ts_task_yield(struct ts_task *self)
{
    struct ts_cpu *c = self->cpu;
    TS_ASSERT(c->current == self && self->state == TS_TASK_RUNNING);
    charge_current(c);
    c->domain->sched->yield(&c->rq, &self->se);
    c->need_resched = true;
    ts_task_cond_resched(self);
}

void ts_task_cond_resched(struct ts_task *self)
{
    if (ts_task_attention(self))
        ts_task_poll(self);
}

void ts_task_exit(struct ts_task *self)
{
    charge_current(self->cpu);
    self->state = TS_TASK_DEAD;
    ts_task_schedule(self);
    ts_bug(__FILE__, __LINE__, "a dead task was scheduled");
}

bool ts_task_on_cpu(const struct ts_task *t)
{
    return t->state == TS_TASK_RUNNING && t->cpu->current == t;
}

/* --- construction --- */

static void task_main(void *arg)
{
    struct ts_task *t = arg;
    struct ts_cpu *c = t->cpu;
    if (c->is_virtual && !c->started) {
        c->started = true;
        finish_switch(c->host_task, TS_MODE_HOST);
        c->ops->first_entry(c);
    }
    finish_switch(t, TS_MODE_SYSTEM);
    t->fn(t);
    ts_task_exit(t);
}

static void task_common(struct ts_task *t, struct ts_cpu_domain *d, const char *name)
{
    t->name = name;
    t->number = (uint32_t)d->next_number++;
    t->se.number = t->number;
    t->se.member = &t->member;
    t->member.number = t->number;
    t->member.of_task = &t->se;
    t->state = TS_TASK_NEW;
    t->domain = d;
    t->cpu = &d->cpus[t->number % d->ncpus];
    ts_event_init(&t->timer, on_timer);
}

enum ts_status ts_task_init(struct ts_task *t, struct ts_cpu_domain *d, const char *name,
                            ts_task_fn *fn, void *user, struct ts_error *err)
{
    TS_ASSERT(fn && d->cpus);
    task_common(t, d, name);
    t->fn = fn;
    t->user = user;
    return ts_fiber_create(&t->fiber, d->stack_bytes, task_main, t, err);
}

void ts_task_init_vcpu(struct ts_task *t, struct ts_cpu_domain *host, struct ts_cpu *vcpu,
                       const char *name)
{
    TS_ASSERT(!vcpu->host_task && vcpu->domain != host);
    task_common(t, host, name);
    t->vcpu = vcpu;
    vcpu->host_task = t;
    vcpu->is_virtual = true;
    vcpu->not_running_since = ts_engine_now(host->engine);
    vcpu->host_since = TS_TIME_NEVER;
    vcpu->mode = TS_MODE_IDLE;
    ts_vcpu_clock_init(&t->clock, &host->load, vcpu->not_running_since);
}

void ts_task_fini(struct ts_task *t)
{
    if (t->domain)
        ts_engine_cancel(t->domain->engine, &t->timer);
    if (t->fiber)
        ts_fiber_destroy(t->fiber);
    t->fiber = NULL;
}

static void idle_main(struct ts_task *self)
{
    for (;;) {
        ts_task_poll(self);
        struct ts_cpu *c = self->cpu;
        if (c->rq.nr || c->need_resched)
            ts_task_schedule(self);
        else
            c->ops->idle(self);
    }
}

enum ts_status ts_cpu_domain_init(struct ts_cpu_domain *d, uint32_t ncpus,
                                  const struct ts_cpu_ops *ops, struct ts_error *err)
{
    TS_ASSERT(ncpus > 0 && ops->interrupt && ops->idle);
    d->cpus = calloc(ncpus, sizeof(*d->cpus));
    d->scratch = calloc(ncpus, sizeof(*d->scratch));
    d->busy_threads = NULL;
    if (!d->cpus || !d->scratch) {
        free(d->cpus);
        free(d->scratch);
        d->cpus = NULL;
        d->scratch = NULL;
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u CPUs", ncpus);
    }
    d->ncpus = ncpus;
    ts_domain_balance_init(d);
    for (uint32_t i = 0; i < ncpus; i++) {
        struct ts_cpu *c = &d->cpus[i];
        c->id = i;
        c->domain = d;
        c->ops = ops;
        c->rq.params = &d->sched_params;
        c->rq.groups = 1;
        c->not_running_since = TS_TIME_NEVER;
        c->host_since = TS_TIME_NEVER;
        c->idle_since = TS_TIME_NEVER;
        ts_event_init(&c->tick, on_tick);
        ts_cpu_executor_init(c);
    }
    return TS_OK;
}

enum ts_status ts_cpu_domain_start(struct ts_cpu_domain *d, struct ts_error *err)
{
    const struct ts_topology *topology = d->topology;
    TS_ASSERT(d->sched && d->sched_params.tick_ps > 0 && d->stack_bytes > 0);
    if (!d->cpus[0].is_virtual && topology->params.smt_throughput &&
        topology->params.threads_per_core > 1) {
        d->busy_threads = calloc(topology->nnodes, sizeof(*d->busy_threads));
        if (!d->busy_threads)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u cores",
                                topology->nnodes);
    }
    for (uint32_t i = 0; i < d->ncpus; i++) {
        struct ts_cpu *c = &d->cpus[i];
        c->idle = calloc(1, sizeof(*c->idle));
        if (!c->idle)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for an idle task");
        enum ts_status s = ts_task_init(c->idle, d, "idle", idle_main, NULL, err);
        if (s != TS_OK)
            return s;
        c->idle->is_idle = true;
        c->idle->cpu = c;
        c->idle->pinned = c;
        c->idle->state = TS_TASK_RUNNING;
        c->current = c->idle;
        /* Undone by finish_switch when the idle task first runs. */
        c->irq_off = 1;
        c->irq_off_since = ts_engine_now(d->engine);
        c->mode_since = c->irq_off_since;
        c->avg_idle_ps = 2 * d->sched_params.migration_cost_ps;
        if (!c->is_virtual)
            ts_engine_schedule(d->engine, &c->park_event, c->irq_off_since, TS_PHASE_SOFTWARE);
    }
    return TS_OK;
}

void ts_cpu_domain_fini(struct ts_cpu_domain *d)
{
    if (d->cpus)
        ts_engine_cancel(d->engine, &d->balance_event);
    for (uint32_t i = 0; d->cpus && i < d->ncpus; i++) {
        struct ts_cpu *c = &d->cpus[i];
        ts_engine_cancel(d->engine, &c->tick);
        ts_engine_cancel(d->engine, &c->park_event);
        if (c->idle) {
            ts_task_fini(c->idle);
            free(c->idle);
        }
    }
    if (d->cpus)
        ts_groups_fini(d);
    free(d->cpus);
    free(d->scratch);
    free(d->busy_threads);
    d->cpus = NULL;
    d->scratch = NULL;
    d->busy_threads = NULL;
}
