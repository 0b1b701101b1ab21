/* SPDX-License-Identifier: Apache-2.0 */
/* Between executor.c (time, interrupts) and task.c (scheduling). */
#ifndef TS_MODELS_CPU_PRIVATE_H
#define TS_MODELS_CPU_PRIVATE_H

#include "models/cpu/cpu.h"

enum { TS_PARK_NONE = 0, TS_PARK_INTERRUPTIBLE = 1, TS_PARK_STALLED = 2, TS_PARK_FROZEN = 3 };

/* sd_init (kernel/sched/topology.c): what is busier by so many percent is out of balance, between
 * threads of a core, and otherwise. */
enum { TS_IMBALANCE_PCT_CORE = 110, TS_IMBALANCE_PCT = 117 };

/* The task whose fiber pCPU p executes. */
static inline struct ts_task *ts_cpu_leaf(const struct ts_cpu *p)
{
    struct ts_task *t = p->current;
    while (t->vcpu)
        t = t->vcpu->current;
    return t;
}

/* The clock that a scheduler charges by: real time without what the host took (steal clock). */
static inline ts_time ts_cpu_local_clock(const struct ts_cpu *c)
{
    return ts_engine_now(c->domain->engine) - ts_vcpu_not_running_ps(c);
}

/* The pCPU under self if self executes on it: none while its vCPU is in an exit. */
static inline bool ts_task_is_frozen(const struct ts_task *self)
{
    const struct ts_cpu *c = self->cpu;
    return c->is_virtual ? c->in_guest && c->host_task->cpu->frozen : c->frozen;
}

/* Is there an interrupt to take, or something else to run? */
static inline bool ts_task_interrupted(const struct ts_task *self)
{
    const struct ts_cpu *c = self->cpu;
    if (c->is_virtual && c->in_guest) {
        const struct ts_cpu *p = c->host_task->cpu;
        if (p->pending | (uint32_t)p->need_resched)
            return true;
    }
    if (c->irq_off)
        return false;
    return c->pending || (c->need_resched && !c->preempt_off);
}

/* Is there anything ts_task_poll would act on? */
static inline bool ts_task_attention(const struct ts_task *self)
{
    return ts_task_is_frozen(self) || ts_task_interrupted(self);
}

/* rq->curr of the kernel, which is the next one as soon as it is picked. */
static inline struct ts_task *ts_cpu_elected(const struct ts_cpu *c)
{
    return c->incoming ? c->incoming : c->current;
}

/* The entity that competes with those of the queue, NULL while there is none. */
static inline struct ts_sched_entity *ts_cpu_running_entity(const struct ts_cpu *c)
{
    struct ts_task *t = ts_cpu_elected(c);
    bool runs = t == c->incoming || t->state == TS_TASK_RUNNING;
    return runs && !t->is_idle ? &t->se : NULL;
}

/* idle_cpu */
static inline bool ts_cpu_is_free(const struct ts_cpu *c)
{
    return c->current && ts_cpu_elected(c)->is_idle && c->rq.nr == 0;
}

/* nr_running of a run queue, with the running one. */
static inline uint32_t ts_cpu_count_runnable(const struct ts_cpu *c)
{
    return c->rq.nr + (ts_cpu_running_entity(c) != NULL);
}

static inline uint32_t ts_cpu_socket(const struct ts_cpu *c)
{
    return c->is_virtual ? 0 : c->domain->topology->socket[c->id];
}

/* The group of a level that c is of, below the number of CPUs. */
static inline uint32_t ts_cpu_group_of(const struct ts_cpu *c, uint32_t level)
{
    if (level == TS_LEVEL_CPU || (level == TS_LEVEL_CORE && c->is_virtual))
        return c->id;
    if (level == TS_LEVEL_CORE)
        return c->domain->topology->core[c->id];
    return level == TS_LEVEL_SOCKET ? ts_cpu_socket(c) : 0;
}

static inline bool ts_cpu_share(const struct ts_cpu *a, const struct ts_cpu *b, uint32_t level)
{
    return ts_cpu_group_of(a, level) == ts_cpu_group_of(b, level);
}

/* The next thread of its core, in a circle. */
static inline struct ts_cpu *ts_cpu_next_thread(const struct ts_cpu *c)
{
    struct ts_cpu_domain *d = c->domain;
    uint32_t cores = c->is_virtual ? d->ncpus : d->topology->nnodes;
    return &d->cpus[(c->id + cores) % d->ncpus];
}

/* update_avg */
static inline void ts_cpu_update_avg(ts_time *avg, ts_time sample)
{
    if (sample >= *avg)
        *avg += (sample - *avg) / 8;
    else
        *avg -= (*avg - sample) / 8;
}

static inline struct ts_task *ts_task_of(struct ts_sched_entity *e)
{
    return TS_CONTAINER_OF(e, struct ts_task, se);
}

/* placement.c: select_task_rq of a task that has been woken, by waker or by hardware (NULL). */
struct ts_cpu *ts_task_select_cpu(struct ts_task *waker, struct ts_task *t);
/* executor.c: p begins or ends to execute, other than by waiting in a loop of PAUSE. */
void ts_cpu_note_busy(struct ts_cpu *p, bool busy);
/* task_cpu_possible, p->cpus_ptr: an affinity set. Who is pinned is the caller's to ask. */
static inline bool ts_task_allowed(const struct ts_task *t, const struct ts_cpu *c)
{
    return !t->allowed || ts_cpumask_test(t->allowed, c->id);
}

/* task.c: the next tick of a CPU where somebody waits. */
void ts_cpu_tick_arm(struct ts_cpu *c);
/* balance.c: t, in no run queue, belongs to c from here on. */
void ts_task_move(struct ts_task *t, struct ts_cpu *c);
void ts_cpu_kick_idle(struct ts_task *self);
/* balance.c: does anybody wait on `from` who may run on c? */
bool ts_cpu_has_for(const struct ts_cpu *from, const struct ts_cpu *c);
bool ts_cpu_pull_task(struct ts_cpu *c, bool idle);
/* c has found nothing to run, or is given something. */
void ts_cpu_note_idle(struct ts_cpu *c);
void ts_cpu_note_wakeup(struct ts_cpu *c);
/* What self's CPU is due to do in this tick. */
void ts_cpu_balance(struct ts_task *self);
void ts_domain_balance_init(struct ts_cpu_domain *d);
/* While somebody waits on a CPU of the domain. */
void ts_domain_balance_arm(struct ts_cpu_domain *d);

/* Resumes whatever fiber pCPU p is to execute, and those it hands over to. */
void ts_cpu_execute(struct ts_cpu *p);
/* Suspends the executing fiber of p and hands over to p's new leaf. */
void ts_cpu_hand_over(struct ts_cpu *p, struct ts_task *leaf);
/* Suspends the executing fiber of p until `until` or, if interruptible, a kick. */
void ts_cpu_park(struct ts_cpu *p, ts_time until, uint32_t kind);
void ts_cpu_executor_init(struct ts_cpu *p);

#endif
