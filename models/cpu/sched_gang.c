/* SPDX-License-Identifier: Apache-2.0 */
/* Co-scheduling: the textbook answer to preempted lock holders and to flushes that wait for vCPUs
 * which do not run (J. Ousterhout, Scheduling Techniques for Concurrent Systems, ICDCS 1982, the
 * matrix algorithm). Time is cut into slots, the same for all CPUs, and slots go round the groups:
 * in a group's slot its tasks run, on every CPU that has one.
 *
 * | rule          | here                                                                        |
 * |---------------|-----------------------------------------------------------------------------|
 * | slot          | host_sched.slice, rounded up to ticks, at which slots begin; its group is   |
 * |               | its number modulo the groups                                                |
 * | alternate     | a CPU without a runnable task of the slot's group runs one of another       |
 * | wake-up       | a task of the slot's group preempts one of another                          |
 * | in a group    | round robin with the slice as quantum                                       |
 * | of no group   | the host's own threads run in every slot                                    |
 *
 * No kernel has this policy: how alternates are chosen is assumed. It knows no directed yield. */
#include "models/cpu/fifo.h"

/* A lower rank goes first. */
static unsigned rank_of(const struct ts_runqueue *rq, const struct ts_sched_entity *e)
{
    const struct ts_sched_params *p = rq->params;
    uint64_t ticks = (p->slice_ps + p->tick_ps - 1) / p->tick_ps;
    uint64_t slot = rq->now / (ticks * p->tick_ps);

    return e->group != TS_SCHED_NO_GROUP && e->group != slot % rq->groups;
}

static struct ts_sched_entity *first_of_rank(const struct ts_runqueue *rq, unsigned rank)
{
    struct ts_sched_entity *e = rq->head;

    while (e && rank_of(rq, e) != rank)
        e = e->next;
    return e;
}

static struct ts_sched_entity *gang_pick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_sched_entity *e = first_of_rank(rq, 0);
    bool yields = curr && rq->skip == curr;

    if (!e)
        e = rq->head;
    if (e && curr && rank_of(rq, curr) <= rank_of(rq, e)) {
        bool its_turn =
            rank_of(rq, curr) == rank_of(rq, e) && (yields || ts_fifo_quantum_is_over(rq, curr));
        e = its_turn ? e : curr;
    }
    if (!e)
        e = curr;
    if (yields)
        rq->skip = NULL;
    if (e && e != curr)
        ts_rq_remove(rq, e);
    return e;
}

static bool gang_tick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    if (rank_of(rq, curr) > 0 && first_of_rank(rq, 0))
        return true;
    return ts_fifo_quantum_is_over(rq, curr) && first_of_rank(rq, rank_of(rq, curr));
}

static bool gang_preempts(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                          struct ts_sched_entity *woken)
{
    return rank_of(rq, woken) < rank_of(rq, curr);
}

static void gang_yield(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    if (rq->nr)
        rq->skip = curr;
}

extern const struct ts_sched_ops ts_sched_gang;
const struct ts_sched_ops ts_sched_gang = {
    .name = "gang",
    .summary = "co-scheduling: the CPUs run vCPUs of the same VM at the same time",
    .reference = "Ousterhout 1982, matrix algorithm with alternates",
    .enqueue = ts_fifo_enqueue,
    .dequeue = ts_fifo_dequeue,
    .migrate = ts_rq_shift,
    .pick = gang_pick,
    .charge = ts_fifo_charge,
    .quantum = ts_fifo_quantum,
    .tick = gang_tick,
    .preempts = gang_preempts,
    .yield = gang_yield,
};
