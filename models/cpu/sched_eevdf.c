/* SPDX-License-Identifier: Apache-2.0 */
/* Earliest Eligible Virtual Deadline First, Linux 6.6 and later (kernel/sched/fair.c of 6.12),
 * equal slices, one level of it (group.h). An entity is eligible while it has had no more than the
 * average; of those the earliest deadline runs. RUN_TO_PARITY: while the running one is eligible
 * and has not used up the request it was picked with, nothing replaces it. With equal slices
 * PREEMPT_SHORT never applies. */
#include "models/cpu/sched.h"

static int64_t ahead(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

__extension__ typedef __int128 i128;

static i128 weighted(const struct ts_sched_entity *e, uint64_t base)
{
    return (i128)ahead(e->vruntime, base) * (i128)ts_se_weight(e);
}

/* Sum over all runnable ones of vruntime - base by weight, and of the weights. */
static i128 sum_ahead(const struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                      uint64_t base, i128 *load)
{
    i128 sum = 0;

    *load = (i128)rq->load;
    for (const struct ts_sched_entity *e = rq->head; e; e = e->next)
        sum += weighted(e, base);
    if (curr) {
        sum += weighted(curr, base);
        *load += (i128)ts_se_weight(curr);
    }
    return sum;
}

/* avg_vruntime, rounded down; of an empty queue the virtual time at which it became empty. */
static uint64_t average(const struct ts_runqueue *rq, const struct ts_sched_entity *curr)
{
    i128 load;
    i128 sum = sum_ahead(rq, curr, rq->min_vruntime, &load);

    if (load == 0)
        return rq->min_vruntime;
    if (sum < 0)
        sum -= load - 1;
    return rq->min_vruntime + (uint64_t)(int64_t)(sum / load);
}

/* entity_eligible, exact: the average is not rounded. */
static bool eligible(const struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                     const struct ts_sched_entity *e)
{
    i128 load;

    return sum_ahead(rq, curr, e->vruntime, &load) >= 0;
}

static void update_min(struct ts_runqueue *rq, const struct ts_sched_entity *curr)
{
    const struct ts_sched_entity *least = curr;

    for (const struct ts_sched_entity *e = rq->head; e; e = e->next) {
        if (!least || ahead(e->vruntime, least->vruntime) < 0)
            least = e;
    }
    if (least && ahead(least->vruntime, rq->min_vruntime) > 0)
        rq->min_vruntime = least->vruntime;
}

/* place_entity. An entity that went to sleep with a debt stays in the competition until the debt is
 * worked off (DELAY_DEQUEUE), so it comes back where it was or, if the average has passed it since,
 * with a lag of zero; one with a credit keeps it (PLACE_LAG), enlarged by what its own joining
 * takes from the average. */
static void place_woken(struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                        struct ts_sched_entity *e)
{
    uint64_t slice = ts_se_virtual(e, rq->params->slice_ps);
    uint64_t avg = average(rq, curr);
    i128 others = (i128)rq->load + (i128)(curr ? ts_se_weight(curr) : 0);
    int64_t limit = (int64_t)ts_se_virtual(e, 2 * rq->params->slice_ps);
    int64_t lag = e->lag < limit ? e->lag : limit; /* entity_lag */

    if (e->sum_exec_ps == 0) {
        e->vruntime = avg;
        e->deadline = avg + slice / 2; /* PLACE_DEADLINE_INITIAL */
        return;
    }
    if (others == 0)
        e->vruntime = avg;
    else if (lag > 0)
        e->vruntime = avg - (uint64_t)(lag * (others + (i128)ts_se_weight(e)) / others);
    else if (ahead(e->vruntime, avg) < 0)
        e->vruntime = avg;
    else if (ahead(e->vruntime, avg) > limit)
        e->vruntime = avg + (uint64_t)limit;
    e->deadline = e->vruntime + slice;
}

/* The queue is kept by deadline, equal ones in order of arrival. */
static void insert(struct ts_runqueue *rq, struct ts_sched_entity *e)
{
    struct ts_sched_entity *pos = rq->tail;

    while (pos && ahead(pos->deadline, e->deadline) > 0)
        pos = pos->prev;
    ts_rq_insert_before(rq, pos ? pos->next : rq->head, e);
}

static void eevdf_enqueue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                          struct ts_sched_entity *e, bool wakeup)
{
    TS_ASSERT(e != curr);
    if (wakeup)
        place_woken(rq, curr, e);
    insert(rq, e);
    update_min(rq, curr);
}

/* dequeue_entity with update_entity_lag */
static void eevdf_dequeue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                          struct ts_sched_entity *e)
{
    e->lag = ahead(average(rq, curr), e->vruntime);
    if (e->queued)
        ts_rq_remove(rq, e);
    else
        ts_rq_clear_marks(rq, e);
    update_min(rq, curr == e ? NULL : curr);
}

static struct ts_sched_entity *first_eligible(const struct ts_runqueue *rq,
                                              const struct ts_sched_entity *curr)
{
    struct ts_sched_entity *e = rq->head;

    while (e && !eligible(rq, curr, e))
        e = e->next;
    return e;
}

/* protect_slice: the deadline moves when the request has been used up or given up. */
static bool is_protected(const struct ts_sched_entity *curr)
{
    return curr->deadline == curr->request_end;
}

/* pick_eevdf */
static struct ts_sched_entity *earliest(const struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_sched_entity *best;
    bool stays = curr && eligible(rq, curr, curr);

    if (rq->nr == 0 || (stays && is_protected(curr)))
        return curr;
    best = first_eligible(rq, curr);
    if (!best || (stays && ahead(curr->deadline, best->deadline) < 0))
        best = curr;
    return best;
}

/* pick_next_entity: the marked one if it is eligible; if it is not, the mark stays until it is
 * taken or leaves (PICK_BUDDY). Who goes on running keeps its request_end, and so has no protection
 * left (set_protect_slice is in set_next_entity, which is for another one than before). */
static struct ts_sched_entity *eevdf_pick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_sched_entity *e;

    TS_ASSERT((!rq->next || rq->next->queued || rq->next == curr) && (!curr || !curr->queued));
    if (rq->next && eligible(rq, curr, rq->next))
        e = rq->next;
    else
        e = earliest(rq, curr);
    if (!e)
        return NULL;
    e->request_over = false;
    if (e == curr)
        return e;
    ts_rq_remove(rq, e);
    e->request_end = e->deadline;
    return e;
}

/* update_deadline: a request that is used up is followed by the next. */
static void renew_request(const struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    if (ahead(curr->vruntime, curr->deadline) < 0)
        return;
    curr->deadline = curr->vruntime + ts_se_virtual(curr, rq->params->slice_ps);
    curr->request_over = true;
}

static void eevdf_charge(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta)
{
    curr->vruntime += ts_se_virtual(curr, delta);
    renew_request(rq, curr);
    update_min(rq, curr);
}

static uint64_t eevdf_quantum(const struct ts_sched_params *params)
{
    return params->slice_ps;
}

/* update_curr reschedules when the deadline moves, seen here at the next tick. */
static bool eevdf_tick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    (void)rq;
    return curr->request_over;
}

/* check_preempt_wakeup_fair: would pick_eevdf take the woken one? */
static bool eevdf_preempts(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                           struct ts_sched_entity *woken)
{
    return earliest(rq, curr) == woken;
}

/* yield_task_fair: forfeits the rest of its request if it is eligible. One that is not has had more
 * than its share already, and loses the CPU without that. */
static void eevdf_yield(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    if (rq->nr == 0)
        return;
    ts_rq_clear_marks(rq, curr);
    if (!eligible(rq, curr, curr))
        return;
    curr->vruntime = curr->deadline;
    renew_request(rq, curr);
    update_min(rq, curr);
}

static uint64_t rescaled(uint64_t at, uint64_t avg, uint64_t old, uint64_t weight)
{
    return avg + (uint64_t)(int64_t)((i128)ahead(at, avg) * (i128)old / (i128)weight);
}

/* reweight_entity, reweight_eevdf: what it is ahead or behind in real time stays, the average too.
 * With the deadline goes the protection of who runs. */
static void eevdf_reweight(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                           struct ts_sched_entity *e, uint64_t weight)
{
    uint64_t old = ts_se_weight(e);
    uint64_t avg = average(rq, curr);
    bool queued = e->queued, marked = rq->next == e;

    if (!queued && e != curr) {
        e->lag = (int64_t)((i128)e->lag * (i128)old / (i128)weight);
        e->weight = weight;
        return;
    }
    if (queued)
        ts_rq_remove(rq, e);
    e->vruntime = rescaled(e->vruntime, avg, old, weight);
    e->deadline = rescaled(e->deadline, avg, old, weight);
    e->weight = weight;
    if (queued)
        insert(rq, e);
    if (marked)
        rq->next = e;
    update_min(rq, curr);
}

extern const struct ts_sched_ops ts_sched_eevdf;
const struct ts_sched_ops ts_sched_eevdf = {
    .name = "eevdf",
    .summary = "Earliest Eligible Virtual Deadline First, Linux 6.6 and later",
    .reference = "Linux 6.12 kernel/sched/fair.c",
    .by_domains = true,
    .enqueue = eevdf_enqueue,
    .dequeue = eevdf_dequeue,
    .migrate = ts_rq_shift,
    .pick = eevdf_pick,
    .charge = eevdf_charge,
    .quantum = eevdf_quantum,
    .tick = eevdf_tick,
    .preempts = eevdf_preempts,
    .yield = eevdf_yield,
    .set_next = ts_rq_set_next,
    .reweight = eevdf_reweight,
};
