/* SPDX-License-Identifier: Apache-2.0 */
/* The Completely Fair Scheduler of Linux up to 6.5 (kernel/sched/fair.c of 6.1), one level
 * of it (group.h): the queue is sorted by virtual run time, equal ones in order of arrival. */
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

/* sched_slice: of a period that grows once more tasks run than minimal slices fit into it, the part
 * of e's weight in all of its queue, and so on upwards. tasks: runnable on the CPU (ALT_PERIOD). */
static uint64_t slice_of(const struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                         const struct ts_sched_entity *e, uint32_t tasks)
{
    const struct ts_sched_params *p = rq->params;
    uint64_t fit = (p->latency_ps + p->min_granularity_ps - 1) / p->min_granularity_ps;
    uint64_t slice = tasks > fit ? tasks * p->min_granularity_ps : p->latency_ps;

    for (;;) {
        uint64_t load = rq->load + (curr && curr != e ? ts_se_weight(curr) : 0);

        if (!e->queued)
            load += ts_se_weight(e);
        slice = ts_muldiv(slice, ts_se_weight(e), load);
        if (!rq->parent)
            break;
        e = rq->owner;
        curr = *rq->parent_curr;
        rq = rq->parent;
    }
    return slice > p->min_granularity_ps ? slice : p->min_granularity_ps;
}

/* Runnable on the CPU, curr included. */
static uint32_t count_tasks(const struct ts_runqueue *rq, const struct ts_sched_entity *curr)
{
    return rq->ntasks ? *rq->ntasks : rq->nr + (curr != NULL);
}

/* place_entity: a sleeper keeps no more credit than half a latency period (GENTLE_FAIR_SLEEPERS);
 * a new task starts one slice behind (START_DEBIT). */
static void place_woken(struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                        struct ts_sched_entity *e)
{
    uint64_t credit = rq->params->latency_ps / 2;

    if (e->sum_exec_ps == 0) {
        e->vruntime =
            rq->min_vruntime + ts_se_virtual(e, slice_of(rq, curr, e, count_tasks(rq, curr) + 1));
        return;
    }
    if (ahead(e->vruntime, rq->min_vruntime - credit) < 0)
        e->vruntime = rq->min_vruntime - credit;
}

static void cfs_enqueue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                        struct ts_sched_entity *e, bool wakeup)
{
    struct ts_sched_entity *pos = rq->tail;

    TS_ASSERT(e != curr);
    if (wakeup)
        place_woken(rq, curr, e);
    while (pos && ahead(pos->vruntime, e->vruntime) > 0)
        pos = pos->prev;
    ts_rq_insert_before(rq, pos ? pos->next : rq->head, e);
    update_min(rq, curr);
}

/* dequeue_entity */
static void cfs_dequeue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                        struct ts_sched_entity *e)
{
    if (e->queued)
        ts_rq_remove(rq, e);
    else
        ts_rq_clear_marks(rq, e);
    update_min(rq, curr == e ? NULL : curr);
}

/* wakeup_preempt_entity, wakeup_gran: is e so far behind that it preempts curr? */
static bool far_behind(const struct ts_runqueue *rq, const struct ts_sched_entity *e,
                       const struct ts_sched_entity *curr)
{
    uint64_t gran = ts_se_virtual(e, rq->params->wakeup_granularity_ps);

    return ahead(curr->vruntime, e->vruntime) > (int64_t)gran;
}

/* The first one after the leftmost, which has yielded. */
static struct ts_sched_entity *second_of(const struct ts_runqueue *rq, struct ts_sched_entity *curr,
                                         const struct ts_sched_entity *left)
{
    struct ts_sched_entity *second = left == curr ? rq->head : left->next;

    if (left != curr && curr && (!second || ahead(curr->vruntime, second->vruntime) < 0))
        second = curr;
    return second;
}

/* pick_next_entity: the leftmost, unless it has yielded, or a marked one waits, and taking another
 * is not too unfair to it. A mark stays until its entity is taken or leaves (clear_buddies in
 * set_next_entity and dequeue_entity). */
static struct ts_sched_entity *cfs_pick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_sched_entity *left = rq->head;
    struct ts_sched_entity *e;

    TS_ASSERT((!rq->next || rq->next->queued || rq->next == curr) && (!curr || !curr->queued));
    if (!left || (curr && ahead(curr->vruntime, left->vruntime) < 0))
        left = curr;
    if (!left)
        return NULL;
    e = left;
    if (rq->skip == left) {
        struct ts_sched_entity *second = second_of(rq, curr, left);

        if (second && !far_behind(rq, left, second))
            e = second;
    }
    if (rq->next && !far_behind(rq, left, rq->next))
        e = rq->next;
    else if (rq->last && !far_behind(rq, left, rq->last))
        e = rq->last;
    if (e != curr)
        ts_rq_remove(rq, e);
    return e;
}

static void cfs_charge(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta)
{
    curr->vruntime += ts_se_virtual(curr, delta);
    update_min(rq, curr);
}

static uint64_t cfs_quantum(const struct ts_sched_params *params)
{
    return params->min_granularity_ps;
}

/* check_preempt_tick: who has used up its slice is not elected again by a mark. */
static bool cfs_tick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    uint64_t ran = curr->sum_exec_ps - curr->slice_start_ps;
    uint64_t ideal = slice_of(rq, curr, curr, count_tasks(rq, curr));

    TS_ASSERT(rq->head);
    if (ran > ideal) {
        ts_rq_clear_marks(rq, curr);
        return true;
    }
    if (ran < rq->params->min_granularity_ps)
        return false;
    return ahead(curr->vruntime, rq->head->vruntime) > (int64_t)ideal;
}

/* sched_nr_latency: from so many runnable tasks on slices are the shortest (buddies: `scale`). */
static bool is_crowded(const struct ts_runqueue *rq)
{
    const struct ts_sched_params *p = rq->params;
    uint64_t slices = (p->latency_ps + p->min_granularity_ps - 1) / p->min_granularity_ps;

    return rq->nr + UINT64_C(1) >= slices;
}

/* check_preempt_wakeup: the woken one is to run next, and in a crowd the preempted one after it
 * (LAST_BUDDY). */
static bool cfs_preempts(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                         struct ts_sched_entity *woken)
{
    if (!far_behind(rq, woken, curr))
        return false;
    ts_rq_set_next(rq, woken);
    if (is_crowded(rq))
        rq->last = curr;
    return true;
}

/* yield_task_fair: forfeits no time, but is passed over as long as that is not too unfair. */
static void cfs_yield(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    if (rq->nr == 0)
        return;
    ts_rq_clear_marks(rq, curr);
    rq->skip = curr;
}

/* reweight_entity: virtual time goes on from where it is. */
static void cfs_reweight(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                         struct ts_sched_entity *e, uint64_t weight)
{
    (void)curr;
    ts_rq_set_weight(rq, e, weight);
}

extern const struct ts_sched_ops ts_sched_cfs;
const struct ts_sched_ops ts_sched_cfs = {
    .name = "cfs",
    .summary = "Completely Fair Scheduler, Linux up to 6.5",
    .reference = "Linux 6.1 kernel/sched/fair.c",
    .by_domains = true,
    .enqueue = cfs_enqueue,
    .dequeue = cfs_dequeue,
    .migrate = ts_rq_shift,
    .pick = cfs_pick,
    .charge = cfs_charge,
    .quantum = cfs_quantum,
    .tick = cfs_tick,
    .preempts = cfs_preempts,
    .yield = cfs_yield,
    .set_next = ts_rq_set_next,
    .reweight = cfs_reweight,
    .yields_groups = true,
};
