/* SPDX-License-Identifier: Apache-2.0 */
/* Between executor.c (time, interrupts) and task.c (scheduling). */
#ifndef TS_MODELS_CPU_PRIVATE_H
#define TS_MODELS_CPU_PRIVATE_H

#include "models/cpu/cpu.h"

enum { TS_PARK_NONE = 0, TS_PARK_INTERRUPTIBLE = 1, TS_PARK_STALLED = 2, TS_PARK_FROZEN = 3 };

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

/* Resumes whatever fiber pCPU p is to execute, and those it hands over to. */
void ts_cpu_execute(struct ts_cpu *p);
/* Suspends the executing fiber of p and hands over to p's new leaf. */
void ts_cpu_hand_over(struct ts_cpu *p, struct ts_task *leaf);
/* Suspends the executing fiber of p until `until` or, if interruptible, a kick. */
void ts_cpu_park(struct ts_cpu *p, ts_time until, uint32_t kind);
void ts_cpu_executor_init(struct ts_cpu *p);

#endif
