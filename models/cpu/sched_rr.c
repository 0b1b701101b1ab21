/* SPDX-License-Identifier: Apache-2.0 */
/* Round robin: one queue in order of arrival and a fixed quantum; a wake-up never preempts. Whoever
 * yields goes to the end of the queue and has a new quantum when its turn comes. There is no
 * directed yield, as Linux's real-time class has none (kernel/sched/rt.c: no yield_to_task). */
#include "models/cpu/fifo.h"

static bool rr_tick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    return ts_fifo_quantum_is_over(rq, curr);
}

static struct ts_sched_entity *rr_pick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_sched_entity *e = rq->head;

    if (!e || (curr && rq->skip != curr && !rr_tick(rq, curr)))
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
};
