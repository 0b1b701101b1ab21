/* SPDX-License-Identifier: Apache-2.0 */
/* Round robin: one queue in order of arrival and a fixed quantum; a wake-up never preempts. POSIX
 * has no directed yield, nor has Linux's real-time class (kernel/sched/rt.c: no yield_to_task), so
 * the rule here is assumed, the plainest one: whoever is marked runs next out of turn, whoever
 * yields goes to the end of the queue and has a new quantum when its turn comes. */
#include "models/cpu/fifo.h"

static bool rr_tick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    return ts_fifo_quantum_is_over(rq, curr);
}

static struct ts_sched_entity *rr_pick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_sched_entity *e = rq->next ? rq->next : rq->head;

    if (!e || (curr && !rq->next && rq->skip != curr && !rr_tick(rq, curr)))
        e = curr;
    if (rq->skip == curr)
        rq->skip = NULL;
    if (e && e != curr)
        ts_rq_remove(rq, e);
    return e;
}

static bool rr_preempts(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                        struct ts_sched_entity *woken)
{
    (void)rq;
    (void)curr;
    (void)woken;
    return false;
}

static void rr_yield(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    rq->skip = curr;
}

extern const struct ts_sched_ops ts_sched_rr;
const struct ts_sched_ops ts_sched_rr = {
    .name = "rr",
    .summary = "round robin with a fixed quantum",
    .reference = "POSIX SCHED_RR at one priority",
    .enqueue = ts_fifo_enqueue,
    .dequeue = ts_fifo_dequeue,
    .migrate = ts_rq_shift,
    .pick = rr_pick,
    .charge = ts_fifo_charge,
    .quantum = ts_fifo_quantum,
    .tick = rr_tick,
    .preempts = rr_preempts,
    .yield = rr_yield,
    .set_next = ts_rq_set_next,
};
