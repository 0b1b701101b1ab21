/* SPDX-License-Identifier: Apache-2.0 */
#include "models/cpu/fifo.h"

void ts_fifo_enqueue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                     struct ts_sched_entity *e, bool wakeup)
{
    (void)curr;
    (void)wakeup;
    ts_rq_insert_before(rq, NULL, e);
}

void ts_fifo_dequeue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                     struct ts_sched_entity *e)
{
    (void)curr;
    if (e->queued)
        ts_rq_remove(rq, e);
    else
        ts_rq_clear_marks(rq, e);
}

void ts_fifo_charge(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta)
{
    (void)rq;
    curr->vruntime += delta;
}

uint64_t ts_fifo_quantum(const struct ts_sched_params *params)
{
    return params->slice_ps;
}

bool ts_fifo_quantum_is_over(const struct ts_runqueue *rq, const struct ts_sched_entity *e)
{
    return e->sum_exec_ps - e->slice_start_ps >= rq->params->slice_ps;
}
