/* SPDX-License-Identifier: Apache-2.0 */
/* Round robin: one queue in order of arrival and a fixed quantum; a wake-up never preempts. */
#include "models/cpu/sched.h"

static void rr_enqueue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                       struct ts_sched_entity *e, bool wakeup)
{
    (void)curr;
    (void)wakeup;
    ts_rq_insert_before(rq, NULL, e);
}

static struct ts_sched_entity *rr_pick(struct ts_runqueue *rq)
{
    struct ts_sched_entity *e = rq->head;

    if (e)
        ts_rq_remove(rq, e);
    return e;
}

static void rr_charge(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta)
{
    (void)rq;
    curr->vruntime += delta;
}

static bool rr_tick(const struct ts_runqueue *rq, const struct ts_sched_entity *curr)
{
    return curr->sum_exec_ps - curr->slice_start_ps >= rq->params->slice_ps;
}

static bool rr_preempts(const struct ts_runqueue *rq, const struct ts_sched_entity *curr,
                        const struct ts_sched_entity *woken)
{
    (void)rq;
    (void)curr;
    (void)woken;
    return false;
}

extern const struct ts_sched_ops ts_sched_rr;
const struct ts_sched_ops ts_sched_rr = {
    .name = "rr",
    .summary = "round robin with a fixed quantum",
    .reference = "POSIX SCHED_RR at one priority",
    .enqueue = rr_enqueue,
    .pick = rr_pick,
    .charge = rr_charge,
    .tick = rr_tick,
    .preempts = rr_preempts,
};
