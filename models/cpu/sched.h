/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler interface that the host and the guest share. A policy is one file,
 * models/cpu/sched_<name>.c, exporting `const struct ts_sched_ops ts_sched_<name>`.
 *
 * A run queue holds the runnable tasks of one CPU except the running one. All tasks have equal
 * weight, so virtual time is execution time. Times are picoseconds.
 */
#ifndef TS_MODELS_SCHED_H
#define TS_MODELS_SCHED_H

#include "sim/base.h"
#include "sim/param.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Per-task state; the first fields are kept by models/cpu, the rest belong to the policy. */
struct ts_sched_entity {
    struct ts_sched_entity *next, *prev; /* in the run queue */
    bool queued;
    uint64_t sum_exec_ps;    /* executed so far */
    uint64_t slice_start_ps; /* sum_exec_ps when it was last picked */
    uint64_t vruntime;
    uint64_t deadline;    /* eevdf */
    uint64_t request_end; /* eevdf: the deadline it was picked with */
    int64_t lag;          /* eevdf: average virtual time less its own, when last charged */
    uint64_t number;      /* creation order: the last tie-break */
};

struct ts_sched_params {
    uint64_t policy;     /* index into ts_sched_table */
    uint64_t tick_ps;    /* preemption is decided at ticks (HZ) */
    uint64_t latency_ps; /* cfs: sched_latency after scaling by CPUs */
    uint64_t min_granularity_ps;
    uint64_t wakeup_granularity_ps;
    uint64_t slice_ps;      /* eevdf base slice, round robin quantum */
    uint64_t switch_cycles; /* context switch, without what the switch hooks charge */
    uint64_t wakeup_cycles; /* try_to_wake_up on the waker's side */
    uint64_t
        migration_cost_ps; /* a task that ran less than this ago is not pulled by an idle CPU */
};
extern const struct ts_param_table ts_host_sched_param_table;  /* prefix "host_sched" */
extern const struct ts_param_table ts_guest_sched_param_table; /* prefix "guest_sched" */

struct ts_runqueue {
    const struct ts_sched_params *params;
    struct ts_sched_entity *head, *tail;
    uint32_t nr;           /* queued, without the running one */
    uint64_t min_vruntime; /* never goes back */
};

struct ts_sched_ops {
    const char *name;
    const char *summary;
    const char *reference;
    /* Put e into rq; wakeup says whether it slept (else it was preempted or migrated). curr is the
     * running entity or NULL. */
    void (*enqueue)(struct ts_runqueue *rq, struct ts_sched_entity *curr, struct ts_sched_entity *e,
                    bool wakeup);
    /* Takes the entity to run next out of rq; NULL if empty. curr: the entity that was running and
     * has been enqueued again, or NULL. */
    struct ts_sched_entity *(*pick)(struct ts_runqueue *rq);
    /* The running entity has executed delta more. */
    void (*charge)(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta);
    /* At a tick: must curr give way? rq->nr > 0. */
    bool (*tick)(const struct ts_runqueue *rq, const struct ts_sched_entity *curr);
    /* Does the woken entity (already in rq) preempt curr now? */
    bool (*preempts)(const struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                     const struct ts_sched_entity *woken);
};

extern const struct ts_sched_ops *const ts_sched_table[];
extern const size_t ts_sched_table_count;
const struct ts_sched_ops *ts_sched_find(const char *name);

/* List helpers for policies. */
void ts_rq_insert_before(struct ts_runqueue *rq, struct ts_sched_entity *pos,
                         struct ts_sched_entity *e); /* pos NULL: at the end */
void ts_rq_remove(struct ts_runqueue *rq, struct ts_sched_entity *e);

#ifdef __cplusplus
}
#endif
#endif
