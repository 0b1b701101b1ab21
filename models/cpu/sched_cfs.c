/* SPDX-License-Identifier: Apache-2.0 */
/* The Completely Fair Scheduler of Linux up to 6.5 (kernel/sched/fair.c of 6.1), equal weights and
 * one level: the queue is sorted by virtual run time, equal ones in order of arrival. */
#include "models/cpu/sched.h"

static int64_t ahead(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

/* update_min_vruntime: follows the smallest of the running and the first queued one. */
static void update_min(struct ts_runqueue *rq, const struct ts_sched_entity *curr)
{
    uint64_t min = rq->min_vruntime;

    if (curr)
        min = curr->vruntime;
    if (rq->head && (!curr || ahead(rq->head->vruntime, min) < 0))
        min = rq->head->vruntime;
    if (ahead(min, rq->min_vruntime) > 0)
        rq->min_vruntime = min;
}

/* sched_slice: of a period that grows once more tasks run than minimal slices fit into it. */
static uint64_t ideal_slice(const struct ts_runqueue *rq, uint32_t nr_running)
{
    uint64_t share = rq->params->latency_ps / nr_running;

    return share > rq->params->min_granularity_ps ? share : rq->params->min_granularity_ps;
}

/* place_entity: a sleeper keeps no more credit than half a latency period (GENTLE_FAIR_SLEEPERS);
 * a new task starts one slice behind (START_DEBIT). */
static void place_woken(struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                        struct ts_sched_entity *e)
{
    uint64_t credit = rq->params->latency_ps / 2;

    if (e->sum_exec_ps == 0) {
        e->vruntime = rq->min_vruntime + ideal_slice(rq, rq->nr + 1 + (curr != NULL));
        return;
    }
    if (ahead(e->vruntime, rq->min_vruntime - credit) < 0)
        e->vruntime = rq->min_vruntime - credit;
}

static void cfs_enqueue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                        struct ts_sched_entity *e, bool wakeup)
{
    struct ts_sched_entity *pos = rq->tail;

    if (wakeup)
        place_woken(rq, curr, e);
    while (pos && ahead(pos->vruntime, e->vruntime) > 0)
        pos = pos->prev;
    ts_rq_insert_before(rq, pos ? pos->next : rq->head, e);
    update_min(rq, curr);
}

static struct ts_sched_entity *cfs_pick(struct ts_runqueue *rq)
{
    struct ts_sched_entity *e = rq->head;

    if (e)
        ts_rq_remove(rq, e);
    return e;
}

static void cfs_charge(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta)
{
    curr->vruntime += delta;
    update_min(rq, curr);
}

/* check_preempt_tick */
static bool cfs_tick(const struct ts_runqueue *rq, const struct ts_sched_entity *curr)
{
    uint64_t ran = curr->sum_exec_ps - curr->slice_start_ps;
    uint64_t ideal = ideal_slice(rq, rq->nr + 1);

    if (ran > ideal)
        return true;
    if (ran < rq->params->min_granularity_ps)
        return false;
    return ahead(curr->vruntime, rq->head->vruntime) > (int64_t)ideal;
}

/* wakeup_preempt_entity */
static bool cfs_preempts(const struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                         const struct ts_sched_entity *woken)
{
    return ahead(curr->vruntime, woken->vruntime) > (int64_t)rq->params->wakeup_granularity_ps;
}

extern const struct ts_sched_ops ts_sched_cfs;
const struct ts_sched_ops ts_sched_cfs = {
    .name = "cfs",
    .summary = "Completely Fair Scheduler, Linux up to 6.5",
    .reference = "Linux 6.1 kernel/sched/fair.c",
    .enqueue = cfs_enqueue,
    .pick = cfs_pick,
    .charge = cfs_charge,
    .tick = cfs_tick,
    .preempts = cfs_preempts,
};
