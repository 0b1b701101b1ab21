/* SPDX-License-Identifier: Apache-2.0 */
#include "models/cpu/group.h"

#include <stdlib.h>

#define Y_Q32 UINT64_C(4202935003) /* 2^32 * 2^(-1/32) */
#define PELT_PERIOD ((ts_time)1024 * TS_US)
enum { HALF_LIFE = 32, MIN_SHARES = 2 };

/* A group on one CPU. */
struct group {
    struct ts_sched_entity se;
    struct ts_runqueue rq;
    uint64_t average; /* of its load, up to since */
    ts_time since;
    uint32_t runnable; /* its tasks, with the running one */
};

/* A CPU. */
struct ts_group_rq {
    struct ts_groups *of;
    struct ts_runqueue top;
    struct ts_sched_entity *curr; /* of the top level: who runs, or whose task has just blocked */
    uint32_t ntasks;              /* runnable, with the running one */
    struct group *groups;
};

struct ts_groups {
    const struct ts_sched_ops *policy;
    struct ts_sched_ops ops; /* the domain's policy now */
    struct ts_cpu_domain *domain;
    uint32_t n;
    uint64_t *shares;    /* scaled */
    uint64_t *total;     /* tg->load_avg */
    ts_time *brought_up; /* when all CPUs' parts of it were last brought up to date */
    struct ts_group_rq *cpus;
};

/* --- weights --- */

uint64_t ts_group_decay(uint64_t average, uint64_t load, ts_time dt)
{
    uint64_t n = dt / PELT_PERIOD, rest = dt % PELT_PERIOD;
    uint64_t factor = UINT64_C(1) << 32, gap = average > load ? average - load : load - average;

    if (n >= 32 * HALF_LIFE)
        return load;
    for (uint64_t i = 0; i < n % HALF_LIFE; i++)
        factor = factor * Y_Q32 >> 32;
    factor >>= n / HALF_LIFE;
    /* Within a period the curve is a line. */
    factor -= (factor * ((UINT64_C(1) << 32) - Y_Q32) >> 32) * (rest >> 10) / (PELT_PERIOD >> 10);
    gap = ts_muldiv(gap, factor, UINT64_C(1) << 32);
    return average > load ? load + gap : load - gap;
}

uint64_t ts_group_weight(uint64_t shares, uint64_t runnable, uint64_t average, uint64_t total,
                         uint64_t contribution)
{
    uint64_t load = runnable > average ? runnable : average;
    uint64_t all = total - contribution + load;
    uint64_t weight = all ? ts_muldiv(shares, load, all) : shares;

    if (weight < MIN_SHARES)
        weight = MIN_SHARES;
    return weight < shares ? weight : shares;
}

/* update_load_avg, update_tg_load_avg */
static void bring_up(struct ts_group_rq *c, uint32_t g, ts_time now)
{
    struct group *group = &c->groups[g];
    uint64_t before = group->average;

    group->average = ts_group_decay(before, group->runnable * TS_NICE_0_LOAD, now - group->since);
    group->since = now;
    c->of->total[g] += group->average - before;
}

/* update_blocked_averages of CPUs where nothing happens. */
static void bring_up_all(struct ts_groups *of, uint32_t g, ts_time now)
{
    if (now - of->brought_up[g] < of->domain->sched_params.tick_ps)
        return;
    of->brought_up[g] = now;
    for (uint32_t i = 0; i < of->domain->ncpus; i++)
        bring_up(&of->cpus[i], g, now);
}

/* update_cfs_group; one that has become empty keeps its weight. */
static void update_weight(struct ts_group_rq *c, uint32_t g)
{
    struct ts_groups *of = c->of;
    struct group *group = &c->groups[g];
    ts_time now = ts_engine_now(of->domain->engine);
    uint64_t weight;

    bring_up(c, g, now);
    bring_up_all(of, g, now);
    if (!group->runnable)
        return;
    weight = ts_group_weight(of->shares[g], group->runnable * TS_NICE_0_LOAD, group->average,
                             of->total[g], group->average);
    if (weight != ts_se_weight(&group->se))
        of->policy->reweight(&c->top, c->curr, &group->se, weight);
}

/* --- levels --- */

static struct group *group_of(struct ts_group_rq *c, const struct ts_sched_entity *e)
{
    return e && e->group < c->of->n ? &c->groups[e->group] : NULL;
}

/* Who of group's tasks runs. */
static struct ts_sched_entity *inside(struct ts_group_rq *c, const struct group *group,
                                      struct ts_sched_entity *curr)
{
    return curr && group_of(c, curr) == group ? curr->member : NULL;
}

static struct ts_sched_entity *at_top(struct ts_group_rq *c, struct ts_sched_entity *e)
{
    struct group *group = group_of(c, e);

    return group ? &group->se : e->member;
}

/* Puts an entity of the top level back into its queue, or into the competition. */
static void enqueue_top(struct ts_group_rq *c, struct ts_sched_entity *e, bool wakeup)
{
    if (e == c->curr || e->queued)
        return;
    c->of->policy->enqueue(&c->top, c->curr, e, wakeup && !e->on_rq);
    e->on_rq = true;
}

static void group_enqueue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                          struct ts_sched_entity *e, bool wakeup)
{
    struct ts_group_rq *c = rq->group_rq;
    struct group *group = group_of(c, e);
    bool comes = !e->member->on_rq;

    if (!group) {
        /* Who comes from another CPU is not placed anew. */
        c->of->policy->enqueue(&c->top, c->curr, e->member, wakeup);
    } else {
        c->of->policy->enqueue(&group->rq, inside(c, group, curr), e->member, wakeup);
        if (comes)
            bring_up(c, e->group, ts_engine_now(c->of->domain->engine));
        group->runnable += comes;
        if (comes)
            update_weight(c, e->group);
        enqueue_top(c, &group->se, comes);
    }
    c->ntasks += comes;
    e->member->on_rq = true;
    ts_rq_insert_before(rq, rq->head, e);
}

/* The last task of a group takes its entity along. */
static void leave_group(struct ts_group_rq *c, struct group *group, struct ts_sched_entity *curr,
                        struct ts_sched_entity *e)
{
    const struct ts_sched_ops *policy = c->of->policy;

    policy->dequeue(&group->rq, inside(c, group, curr), e->member);
    bring_up(c, e->group, ts_engine_now(c->of->domain->engine));
    group->runnable--;
    if (group->runnable) {
        update_weight(c, e->group);
        return;
    }
    policy->dequeue(&c->top, c->curr, &group->se);
    group->se.on_rq = false;
    if (c->curr == &group->se)
        c->curr = NULL;
}

static void group_dequeue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                          struct ts_sched_entity *e)
{
    struct ts_group_rq *c = rq->group_rq;
    struct group *group = group_of(c, e);

    TS_ASSERT(e->member->on_rq && c->ntasks > 0);
    if (e->queued)
        ts_rq_remove(rq, e);
    if (group) {
        leave_group(c, group, curr, e);
    } else {
        c->of->policy->dequeue(&c->top, c->curr, e->member);
        if (c->curr == e->member)
            c->curr = NULL;
    }
    e->member->on_rq = false;
    c->ntasks--;
}

static void group_migrate(const struct ts_runqueue *from, const struct ts_runqueue *to,
                          struct ts_sched_entity *e)
{
    struct ts_group_rq *a = from->group_rq, *b = to->group_rq;
    struct group *old = group_of(a, e), *own = group_of(b, e);
    ts_time now = ts_engine_now(a->of->domain->engine);
    uint64_t moved;

    a->of->policy->migrate(old ? &old->rq : &a->top, own ? &own->rq : &b->top, e->member);
    if (!old)
        return;
    /* detach_entity_load_avg, attach_entity_load_avg */
    bring_up(a, e->group, now);
    bring_up(b, e->group, now);
    moved = old->average < TS_NICE_0_LOAD ? old->average : TS_NICE_0_LOAD;
    old->average -= moved;
    own->average += moved;
}

/* set_next_entity */
static void begin(struct ts_sched_entity *e)
{
    e->slice_start_ps = e->sum_exec_ps;
}

static struct ts_sched_entity *pick_inside(struct ts_group_rq *c, struct group *group,
                                           struct ts_sched_entity *curr)
{
    struct ts_sched_entity *own = inside(c, group, curr);
    const struct ts_sched_entity *next = group->rq.next;
    struct ts_sched_entity *e = c->of->policy->pick(&group->rq, own);

    TS_ASSERT(e);
    /* __clear_buddies_next goes on upwards. */
    if (e == next && c->top.next == &group->se)
        c->top.next = NULL;
    if (e != own)
        begin(e);
    return e;
}

static struct ts_sched_entity *group_pick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_group_rq *c = rq->group_rq;
    struct ts_sched_entity *before = c->curr;
    struct ts_sched_entity *e = c->of->policy->pick(&c->top, before);

    if (!e)
        return NULL;
    c->curr = e;
    if (e != before)
        begin(e);
    /* Its task has blocked and nobody will put it back: put_prev_entity. */
    if (before && before != e && !curr)
        enqueue_top(c, before, false);
    if (!e->of_task)
        e = pick_inside(c, TS_CONTAINER_OF(e, struct group, se), curr);
    e = e->of_task;
    if (e != curr)
        ts_rq_remove(rq, e);
    return e;
}

static void group_charge(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta)
{
    struct ts_group_rq *c = rq->group_rq;
    struct group *group = group_of(c, curr);

    curr->member->sum_exec_ps += delta;
    c->of->policy->charge(group ? &group->rq : &c->top, curr->member, delta);
    if (!group)
        return;
    group->se.sum_exec_ps += delta;
    c->of->policy->charge(&c->top, &group->se, delta);
}

static bool group_tick(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_group_rq *c = rq->group_rq;
    struct group *group = group_of(c, curr);
    bool over = false;

    if (group) {
        update_weight(c, curr->group);
        over = group->rq.nr && c->of->policy->tick(&group->rq, curr->member);
    }
    if (c->top.nr)
        over = c->of->policy->tick(&c->top, at_top(c, curr)) || over;
    return over;
}

/* A mark at the top of a group that runs: nothing of it is in the queue. */
static void mark_top(struct ts_group_rq *c, struct ts_sched_entity *e)
{
    if (e->queued)
        c->of->policy->set_next(&c->top, e);
    else
        c->top.next = e;
}

static bool group_preempts(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                           struct ts_sched_entity *woken)
{
    struct ts_group_rq *c = rq->group_rq;
    struct group *group = group_of(c, curr);
    struct ts_sched_entity *last = c->top.last;
    bool preempts;

    if (group && group == group_of(c, woken)) {
        preempts = c->of->policy->preempts(&group->rq, curr->member, woken->member);
        /* set_next_buddy goes on upwards. */
        if (preempts && group->rq.next == woken->member)
            mark_top(c, &group->se);
        return preempts;
    }
    preempts = c->of->policy->preempts(&c->top, at_top(c, curr), at_top(c, woken));
    /* LAST_BUDDY is of tasks (entity_is_task). */
    if (group)
        c->top.last = last;
    return preempts;
}

static void group_yield(struct ts_runqueue *rq, struct ts_sched_entity *curr)
{
    struct ts_group_rq *c = rq->group_rq;
    struct group *group = group_of(c, curr);

    if (rq->nr == 0)
        return;
    c->of->policy->yield(group ? &group->rq : &c->top, curr->member);
    if (group && c->of->policy->yields_groups)
        c->of->policy->yield(&c->top, &group->se);
}

static void group_set_next(struct ts_runqueue *rq, struct ts_sched_entity *e)
{
    struct ts_group_rq *c = rq->group_rq;
    struct group *group = group_of(c, e);

    c->of->policy->set_next(group ? &group->rq : &c->top, e->member);
    if (group)
        mark_top(c, &group->se);
}

/* --- construction --- */

static void init_queue(struct ts_group_rq *c, struct ts_runqueue *rq, struct ts_runqueue *parent,
                       struct ts_sched_entity *owner)
{
    rq->params = &c->of->domain->sched_params;
    rq->groups = 1;
    rq->parent = parent;
    rq->owner = owner;
    rq->ntasks = &c->ntasks;
    rq->parent_curr = &c->curr;
}

static bool init_cpu(struct ts_groups *of, uint32_t i)
{
    struct ts_group_rq *c = &of->cpus[i];

    c->of = of;
    c->groups = calloc(of->n, sizeof(*c->groups));
    if (!c->groups)
        return false;
    init_queue(c, &c->top, NULL, NULL);
    for (uint32_t g = 0; g < of->n; g++) {
        struct group *group = &c->groups[g];
        init_queue(c, &group->rq, &c->top, &group->se);
        group->se.group = TS_SCHED_NO_GROUP;
        group->se.weight = of->shares[g];
        group->se.sum_exec_ps = 1; /* no new task: it is never placed as one */
        group->se.slice_start_ps = 1;
    }
    of->domain->cpus[i].rq.group_rq = c;
    return true;
}

static void set_ops(struct ts_groups *of, const struct ts_sched_ops *policy)
{
    of->policy = policy;
    of->ops = *policy;
    of->ops.enqueue = group_enqueue;
    of->ops.dequeue = group_dequeue;
    of->ops.migrate = group_migrate;
    of->ops.pick = group_pick;
    of->ops.charge = group_charge;
    of->ops.tick = group_tick;
    of->ops.preempts = group_preempts;
    of->ops.yield = group_yield;
    of->ops.set_next = group_set_next;
    of->ops.reweight = NULL;
}

enum ts_status ts_groups_init(struct ts_cpu_domain *d, uint32_t n, const uint64_t *shares,
                              struct ts_error *err)
{
    struct ts_groups *of = calloc(1, sizeof(*of));
    bool fine = of != NULL;

    TS_ASSERT(d->cpus && !d->groups && d->sched && d->sched->reweight);
    d->groups = of;
    if (fine) {
        of->domain = d;
        of->n = n;
        of->shares = calloc(n, sizeof(*of->shares));
        of->total = calloc(n, sizeof(*of->total));
        of->brought_up = calloc(n, sizeof(*of->brought_up));
        of->cpus = calloc(d->ncpus, sizeof(*of->cpus));
        fine = of->shares && of->total && of->brought_up && of->cpus;
    }
    for (uint32_t g = 0; fine && g < n; g++)
        of->shares[g] = shares[g] * (TS_NICE_0_LOAD / TS_SHARES_DEFAULT);
    for (uint32_t i = 0; fine && i < d->ncpus; i++)
        fine = init_cpu(of, i);
    if (!fine)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u groups", n);
    set_ops(of, d->sched);
    d->sched = &of->ops;
    return TS_OK;
}

void ts_groups_fini(struct ts_cpu_domain *d)
{
    struct ts_groups *of = d->groups;

    if (!of)
        return;
    for (uint32_t i = 0; of->cpus && i < d->ncpus; i++)
        free(of->cpus[i].groups);
    free(of->cpus);
    free(of->shares);
    free(of->total);
    free(of->brought_up);
    free(of);
    d->groups = NULL;
}
