/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler interface that the host and the guest share. A policy is one file,
 * models/cpu/sched_<name>.c, exporting `const struct ts_sched_ops ts_sched_<name>`.
 *
 * A run queue holds the runnable tasks of one CPU except the running one, or, below or above a
 * group (group.h), the entities of one level. Tasks have equal weight, groups of them and Xen's
 * vCPUs may have other. Times are picoseconds.
 *
 * models/cpu/task.c says when to schedule, where a task runs and what it costs; who runs next, and
 * what an entity gives up or is given, is the policy's alone. `curr` is always the running entity
 * where it is still runnable, else NULL: it is in no queue.
 */
#ifndef TS_MODELS_SCHED_H
#define TS_MODELS_SCHED_H

#include "sim/base.h"
#include "sim/param.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_SCHED_NO_GROUP UINT32_MAX
#define TS_NICE_0_LOAD (UINT64_C(1) << 20) /* scale_load(1024): the weight of a task */

/* Per-task state; the first fields are kept by models/cpu, the rest belong to the policy. */
struct ts_sched_entity {
    struct ts_sched_entity *next, *prev; /* in the run queue */
    bool queued;
    uint64_t sum_exec_ps;    /* executed so far */
    uint64_t slice_start_ps; /* sum_exec_ps when its CPU last switched to it */
    uint64_t number;         /* creation order: the last tie-break */
    uint32_t group;          /* whose tasks belong together, below the queue's groups: a VM's vCPUs;
                                or TS_SCHED_NO_GROUP. Set by the owner, before the task runs */
    uint64_t weight;         /* 0: TS_NICE_0_LOAD. Before it is queued, or by reweight */
    /* group.c */
    struct ts_sched_entity *member;  /* what stands for this task inside its group */
    struct ts_sched_entity *of_task; /* the other way; NULL: an entity that is a group */
    bool on_rq;                      /* queued or running at its level */
    uint64_t vruntime;
    uint64_t deadline;    /* eevdf */
    uint64_t request_end; /* eevdf: the deadline with which its CPU switched to it */
    bool request_over;    /* eevdf: the deadline has moved since it was last picked */
    int64_t lag;          /* eevdf: average virtual time less its own, when it left its queue */
    int64_t credit;       /* credit2: ps */
    uint64_t resets;      /* credit2: of its queue's, those that it has been given */
};

/* cpu.shares of a control group (sched_group_set_shares). */
enum { TS_SHARES_MIN = 2, TS_SHARES_MAX = 1 << 18, TS_SHARES_DEFAULT = 1024 };
enum ts_sched_group { TS_GROUP_NONE = 0, TS_GROUP_VM = 1 };

struct ts_sched_params {
    uint64_t policy;     /* index into ts_sched_table, by name in a configuration */
    uint64_t tick_ps;    /* preemption is decided at ticks (HZ) */
    uint64_t latency_ps; /* cfs: sched_latency after scaling by CPUs */
    uint64_t min_granularity_ps;
    uint64_t wakeup_granularity_ps;
    uint64_t slice_ps;      /* eevdf base slice, round robin quantum */
    uint64_t credit_ps;     /* credit2: what a reset gives */
    uint64_t ratelimit_ps;  /* credit2: who has run for less keeps the CPU */
    uint64_t switch_cycles; /* context switch, without what the switch hooks charge */
    uint64_t wakeup_cycles; /* try_to_wake_up on the waker's side */
    uint64_t
        migration_cost_ps;   /* a task that ran less than this ago is not pulled by another CPU */
    uint64_t balance_factor; /* of the interval of a busy CPU's balancing; 0: none */
    uint64_t newidle_min_idle_ps; /* who idles for less on average pulls nothing before it idles */
    uint64_t idle_scan;           /* enum ts_idle_scan */
    uint64_t idle_scan_cycles;    /* of one CPU that a search for an idle one looks at */
    uint64_t avoid_preempted; /* bool, guest: a vCPU said to be preempted does not count as idle */
    uint64_t group;           /* enum ts_sched_group; of a host */
};
/* How far select_idle_cpu searches: features SIS_PROP and SIS_UTIL of Linux. */
enum ts_idle_scan { TS_IDLE_SCAN_ALL, TS_IDLE_SCAN_PROP, TS_IDLE_SCAN_UTIL };
extern const struct ts_param_table ts_host_sched_param_table;  /* prefix "host_sched" */
extern const struct ts_param_table ts_guest_sched_param_table; /* prefix "guest_sched" */

struct ts_group_rq;

struct ts_runqueue {
    const struct ts_sched_params *params;
    ts_time now;     /* kept by models/cpu: of the call */
    uint32_t groups; /* at least 1; set by the owner of the CPUs */
    struct ts_sched_entity *head, *tail;
    uint32_t nr;           /* queued, without the running one */
    uint64_t min_vruntime; /* never goes back */
    uint64_t load;         /* weights of those queued */
    uint64_t resets;       /* credit2: resets of credit so far */
    /* group.c: the level above, NULL at the top; this group there; who runs there; runnable tasks
     * of the CPU at all levels, NULL: nr and the running one. */
    const struct ts_runqueue *parent;
    struct ts_sched_entity *owner;
    struct ts_sched_entity *const *parent_curr;
    const uint32_t *ntasks;
    struct ts_group_rq *group_rq; /* of a CPU with groups, else NULL */
    /* Marks of the policy, NULL or an entity of this CPU. */
    struct ts_sched_entity *next; /* somebody wants it to run next; queued */
    struct ts_sched_entity *last; /* was preempted by a wake-up; queued or running */
    struct ts_sched_entity *skip; /* has yielded; queued or running */
};

struct ts_sched_ops {
    const char *name;
    const char *summary;
    const char *reference;
    bool by_domains; /* Linux's fair class: wakes up and balances by scheduling domains */
    /* Puts e into rq; wakeup says whether it slept (else it was running or waiting). */
    void (*enqueue)(struct ts_runqueue *rq, struct ts_sched_entity *curr, struct ts_sched_entity *e,
                    bool wakeup);
    /* e leaves the CPU of rq: it blocks (e is curr), or another CPU takes it out of the queue. */
    void (*dequeue)(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                    struct ts_sched_entity *e);
    /* e, which is in no queue, goes from the CPU of one queue to that of another: what in it is
     * relative to a queue is made relative to the other. enqueue follows. */
    void (*migrate)(const struct ts_runqueue *from, const struct ts_runqueue *to,
                    struct ts_sched_entity *e);
    /* Who runs next: curr goes on, or an entity of rq, which is taken out; the caller then enqueues
     * curr. NULL if there is neither. */
    struct ts_sched_entity *(*pick)(struct ts_runqueue *rq, struct ts_sched_entity *curr);
    /* The running entity has executed delta more, which sum_exec_ps holds already. */
    void (*charge)(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta);
    /* A tick takes the CPU from nobody who has run for less, yields and new tasks apart. */
    uint64_t (*quantum)(const struct ts_sched_params *params);
    /* At a tick: must the CPU pick anew? rq->nr > 0. */
    bool (*tick)(struct ts_runqueue *rq, struct ts_sched_entity *curr);
    /* Must the CPU pick anew because of the woken entity (already in rq)? Not asked while it is
     * going to do so anyway. */
    bool (*preempts)(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                     struct ts_sched_entity *woken);
    /* curr, charged up to now, wants to give way (sched_yield, or as the caller of yield_to): what
     * it forfeits. A pick follows, which may let it go on. */
    void (*yield)(struct ts_runqueue *rq, struct ts_sched_entity *curr);
    /* yield_to_task: the target of a directed yield, which waits in rq. The caller sees to it that
     * the CPU picks. NULL: the policy has none, and refuses. */
    void (*set_next)(struct ts_runqueue *rq, struct ts_sched_entity *e);
    /* e, queued, running (curr) or neither, weighs so much from now on. NULL: groups of tasks are
     * not for this policy. */
    void (*reweight)(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                     struct ts_sched_entity *e, uint64_t weight);
    bool yields_groups; /* a yield is one of the task's group, too */
    bool task_weights;  /* tasks weigh what their VM's shares say, without any groups */
};

extern const struct ts_sched_ops *const ts_sched_table[];
extern const size_t ts_sched_table_count;
const struct ts_sched_ops *ts_sched_find(const char *name);

/* What a tick costs where it is taken, in core cycles. */
struct ts_tick_cost {
    uint64_t tick_cycles;   /* each tick: interrupt, and exit and entry of a vCPU */
    uint64_t switch_cycles; /* each preemption, beside params->switch_cycles */
};
/* Refuses a policy that is none, and a tick that can leave no time for work: TS_ERR_USER. table is
 * that of the params. taken_ppm: in millionths, what ticks and switches of the levels underneath
 * take of a CPU whose tasks never block; those of this level are added. */
enum ts_status ts_sched_check(const struct ts_sched_params *params,
                              const struct ts_param_table *table, uint64_t core_hz,
                              struct ts_tick_cost cost, uint64_t *taken_ppm, struct ts_error *err);

/* Helpers for policies. */
static inline uint64_t ts_se_weight(const struct ts_sched_entity *e)
{
    return e->weight ? e->weight : TS_NICE_0_LOAD;
}
/* calc_delta_fair: what execution time is in e's virtual time. */
static inline uint64_t ts_se_virtual(const struct ts_sched_entity *e, uint64_t ps)
{
    return e->weight && e->weight != TS_NICE_0_LOAD ? ts_muldiv(ps, TS_NICE_0_LOAD, e->weight) : ps;
}
/* Sets e's weight, and keeps rq's load. */
void ts_rq_set_weight(struct ts_runqueue *rq, struct ts_sched_entity *e, uint64_t weight);
void ts_rq_insert_before(struct ts_runqueue *rq, struct ts_sched_entity *pos,
                         struct ts_sched_entity *e); /* pos NULL: at the end */
/* Takes e out of the list, and off every mark. */
void ts_rq_remove(struct ts_runqueue *rq, struct ts_sched_entity *e);
/* Takes e off every mark. */
void ts_rq_clear_marks(struct ts_runqueue *rq, const struct ts_sched_entity *e);
/* What set_next does where the mark is all there is. */
void ts_rq_set_next(struct ts_runqueue *rq, struct ts_sched_entity *e);
/* What migrate does where virtual time is relative to the queue's min_vruntime. */
void ts_rq_shift(const struct ts_runqueue *from, const struct ts_runqueue *to,
                 struct ts_sched_entity *e);

#ifdef __cplusplus
}
#endif
#endif
