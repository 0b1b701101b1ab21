/* SPDX-License-Identifier: Apache-2.0 */
/* Credit2 of Xen (xen/common/sched/credit2.c, read at commit 07b0eb5d0ef0; the default policy): who
 * runs burns credit, one a nanosecond at equal weights, and the one with the most credit runs next.
 * When nobody that could run has any left, all of the queue are given CREDIT_INIT more, and nobody
 * keeps more than 0.5 ms beyond that.
 *
 * | rule          | here                                                                        |
 * |---------------|-----------------------------------------------------------------------------|
 * | runtime       | csched2_runtime: until the credit is used up, or down to that of the first  |
 * |               | that waits; at most CREDIT_INIT, at least the rate limit. Xen sets a timer; |
 * |               | here the next tick sees it                                                  |
 * | wake-up       | tickle_score: more credit than the running one has, which has run for the   |
 * |               | rate limit less 50 us                                                       |
 * | yield         | the first that waits runs, whatever its credit and the rate limit           |
 * | asleep        | resets are made up for at the wake-up                                       |
 *
 * A queue is one CPU's, as with Xen's option credit2_runqueue=cpu; by default Xen has one a socket,
 * of 16 CPUs at most. Placement and balancing are those of models/cpu, so that Xen's resistance to
 * migration and its load averages have no counterpart; caps neither. A vCPU's weight is its VM's
 * shares (the domain's weight in Xen, 256 there by default); the heaviest of a queue burns one
 * credit a nanosecond, of those that are runnable, where Xen also counts those that sleep
 * (max_weight). Xen has no directed yield: who is marked runs next out of turn, which is assumed.
 */
#include "models/cpu/sched.h"

#define CARRYOVER_MAX ((int64_t)(500 * TS_US)) /* CSCHED2_MIN_TIMER */
#define TICKLE_TOLERANCE (50 * TS_US)          /* CSCHED2_RATELIMIT_TICKLE_TOLERANCE */

static int64_t init_of(const struct ts_runqueue *rq)
{
    return (int64_t)rq->params->credit_ps;
}

static uint64_t ran(const struct ts_sched_entity *e)
{
    return e->sum_exec_ps - e->slice_start_ps;
}

/* What reset_credit gave to others since. Three resets are the most that make a difference: from
 * CSCHED2_CREDIT_MIN up to what may be kept. */
static void catch_up(const struct ts_runqueue *rq, struct ts_sched_entity *e)
{
    uint64_t missed = rq->resets - e->resets;
    int64_t most = init_of(rq) + CARRYOVER_MAX;

    for (uint64_t i = 0; i < missed && i < 3; i++) {
        e->credit += init_of(rq);
        if (e->credit > most)
            e->credit = most;
    }
    e->resets = rq->resets;
}

/* runq_insert: behind all that have as much. */
static void credit2_enqueue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                            struct ts_sched_entity *e, bool wakeup)
{
    struct ts_sched_entity *pos = rq->head;

    (void)curr;
    if (wakeup && e->sum_exec_ps == 0 && e->credit == 0) {
        e->credit = init_of(rq); /* csched2_alloc_udata */
        e->resets = rq->resets;
    }
    catch_up(rq, e);
    while (pos && pos->credit >= e->credit)
        pos = pos->next;
    ts_rq_insert_before(rq, pos, e);
}

static void credit2_dequeue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                            struct ts_sched_entity *e)
{
    (void)curr;
    if (e->queued)
        ts_rq_remove(rq, e);
    else
        ts_rq_clear_marks(rq, e);
}

static void credit2_migrate(const struct ts_runqueue *from, const struct ts_runqueue *to,
                            struct ts_sched_entity *e)
{
    ts_rq_shift(from, to, e);
    e->resets += to->resets - from->resets;
}

static uint64_t heaviest(const struct ts_runqueue *rq, const struct ts_sched_entity *curr)
{
    uint64_t most = ts_se_weight(curr);

    for (const struct ts_sched_entity *e = rq->head; e; e = e->next)
        most = ts_se_weight(e) > most ? ts_se_weight(e) : most;
    return most;
}

/* burn_credits, t2c_update: time by max_weight over weight. */
static void credit2_charge(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta)
{
    int64_t burnt = (int64_t)ts_muldiv(delta, heaviest(rq, curr), ts_se_weight(curr));
    int64_t left = curr->credit - burnt;

    curr->credit = left < -init_of(rq) ? -init_of(rq) : left;
    curr->vruntime += delta;
}

/* reset_credit; once more if next would still have none. */
static void reset(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                  struct ts_sched_entity *next)
{
    rq->resets += next->credit == -init_of(rq) ? 2 : 1;
    for (struct ts_sched_entity *e = rq->head; e; e = e->next)
        catch_up(rq, e);
    if (curr)
        catch_up(rq, curr);
    catch_up(rq, next);
}

/* runq_candidate. */
static struct ts_sched_entity *candidate(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    bool yield = curr && rq->skip == curr;

    if (yield)
        rq->skip = NULL;
    if (!rq->head || (curr && !yield && ran(curr) < rq->params->ratelimit_ps))
        return curr ? curr : rq->head;
    return !curr || yield || rq->head->credit > curr->credit ? rq->head : curr;
}

static struct ts_sched_entity *credit2_pick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_sched_entity *next = candidate(rq, curr);
    int64_t top;

    if (!next)
        return NULL;
    if (next != curr)
        ts_rq_remove(rq, next);
    top = rq->head && rq->head->credit > next->credit ? rq->head->credit : next->credit;
    if (top <= 0)
        reset(rq, curr, next);
    return next;
}

static uint64_t credit2_quantum(const struct ts_sched_params *params)
{
    return params->ratelimit_ps;
}

/* Is the time over that csched2_runtime gave? */
static bool credit2_tick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    int64_t floor = rq->head->credit > 0 ? rq->head->credit : 0;

    if (ran(curr) < rq->params->ratelimit_ps)
        return false;
    return curr->credit <= floor || ran(curr) >= rq->params->credit_ps;
}

/* runq_tickle, tickle_score. */
static bool credit2_preempts(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                             struct ts_sched_entity *woken)
{
    return ran(curr) + TICKLE_TOLERANCE > rq->params->ratelimit_ps && woken->credit > curr->credit;
}

static void credit2_yield(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    if (rq->nr)
        rq->skip = curr;
}

extern const struct ts_sched_ops ts_sched_credit2;
const struct ts_sched_ops ts_sched_credit2 = {
    .name = "credit2",
    .summary = "Credit2, Xen's default: most credit first, resets, rate limit",
    .reference = "Xen xen/common/sched/credit2.c",
    .enqueue = credit2_enqueue,
    .dequeue = credit2_dequeue,
    .migrate = credit2_migrate,
    .pick = credit2_pick,
    .charge = credit2_charge,
    .quantum = credit2_quantum,
    .tick = credit2_tick,
    .preempts = credit2_preempts,
    .yield = credit2_yield,
    .task_weights = true,
};
