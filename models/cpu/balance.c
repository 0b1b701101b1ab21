/* SPDX-License-Identifier: Apache-2.0 */
/* How tasks come to other CPUs but by waking up: kernel/sched/fair.c, 6.1 and 6.12.
 *
 * A CPU about to idle, or an idle one that a busy one's tick has told to look, pulls one task.
 * Busy CPUs balance by scheduling domains, which are here:
 *
 * | level  | groups      | by whom (should_we_balance)  | ms (get_sd_balance_interval)      |
 * |--------|-------------|------------------------------|-----------------------------------|
 * | socket | single CPUs | each CPU                     | CPUs of a socket * balance_factor |
 * | all    | sockets     | the first CPU of each socket | CPUs * balance_factor             |
 *
 * The interval is a tick less than that, and at most CPUs times 100 ms. SMT siblings and NUMA
 * distances make no levels, and tasks all weigh the same. A CPU balances in its tick, which is
 * simulated only where there is something to pull. */
#include "models/cpu/cpu_private.h"

enum {
    LEVEL_SOCKET,
    LEVEL_ALL,
    LEVELS,
    IMBALANCE_PCT = 117,  /* sd_init */
    CACHE_NICE_TRIES = 1, /* sd_init, of CPUs that share a last-level cache */
    MAX_FAILED = 8        /* sched_balance_rq: more make an active balance, which is not modelled */
};

/* t, in no run queue, belongs to c from here on. */
void ts_task_move(struct ts_task *t, struct ts_cpu *c)
{
    if (t->cpu == c)
        return;
    c->domain->sched->migrate(&t->cpu->rq, &c->rq, &t->se);
    t->cpu = c;
    c->stats.migrations++;
}

/* Of a queue whose tasks may all not come, balancing goes on to another (sched_balance_rq,
 * LBF_ALL_PINNED). */
bool ts_cpu_has_for(const struct ts_cpu *from, const struct ts_cpu *c)
{
    for (struct ts_sched_entity *e = from->rq.head; e; e = e->next) {
        if (ts_task_allowed(ts_task_of(e), c))
            return true;
    }
    return false;
}

/* nohz_balancer_kick: a busy CPU's tick sends an idle one to look for work. */
void ts_cpu_kick_idle(struct ts_task *self)
{
    struct ts_cpu_domain *d = self->domain;
    for (uint32_t i = 1; d->balance && i < d->ncpus; i++) {
        struct ts_cpu *c = &d->cpus[(self->cpu->id + i) % d->ncpus];
        if (ts_cpu_is_free(c) && !c->need_resched && ts_cpu_has_for(self->cpu, c)) {
            ts_cpu_resched(self, c);
            return;
        }
    }
}

/* can_migrate_task: not who runs, is pinned or may not be on c, nor, unless hot ones may be taken,
 * who has just run (task_hot). */
static struct ts_task *movable(const struct ts_cpu *from, const struct ts_cpu *c, bool hot)
{
    const struct ts_cpu_domain *d = from->domain;
    ts_time now = ts_engine_now(d->engine);
    for (struct ts_sched_entity *e = from->rq.tail; e; e = e->prev) {
        struct ts_task *t = ts_task_of(e);
        if (!t->pinned && t != from->current && ts_task_allowed(t, c) &&
            (hot || now - t->last_ran >= d->sched_params.migration_cost_ps))
            return t;
    }
    return NULL;
}

/* t, which waits on from, waits on c, where curr runs. */
static void take(struct ts_cpu *c, struct ts_sched_entity *curr, struct ts_cpu *from,
                 struct ts_task *t)
{
    const struct ts_sched_ops *sched = c->domain->sched;
    sched->dequeue(&from->rq, ts_cpu_running_entity(from), &t->se);
    ts_task_move(t, c);
    sched->enqueue(&c->rq, curr, &t->se, false);
}

/* A CPU about to idle (newidle balance), or one that a busy CPU's tick has told to look (idle),
 * takes a waiting task from the CPU with the longest queue, unless it ran too recently to be worth
 * moving (task_hot). One that idles and has failed so more than once takes it all the same
 * (can_migrate_task, nr_balance_failed). False: there is none. */
bool ts_cpu_pull_task(struct ts_cpu *c, bool idle)
{
    struct ts_cpu_domain *d = c->domain;
    struct ts_cpu *busiest = NULL;
    if (!d->balance)
        return false;
    for (uint32_t i = 1; i < d->ncpus; i++) {
        struct ts_cpu *o = &d->cpus[(c->id + i) % d->ncpus];
        if (o->rq.nr > (busiest ? busiest->rq.nr : 0) && !o->current->is_idle &&
            ts_cpu_has_for(o, c))
            busiest = o;
    }
    if (!busiest) {
        c->balance_failed = 0;
        return false;
    }
    struct ts_task *t = movable(busiest, c, idle && c->balance_failed > CACHE_NICE_TRIES);
    if (!t) {
        c->balance_failed += idle;
        return false;
    }
    c->balance_failed = 0;
    take(c, NULL, busiest, t);
    return true;
}

/* --- periodic --- */

struct level_load {
    uint32_t groups;
    uint64_t local, busiest, all; /* runnable tasks */
    struct ts_cpu *from;          /* the busiest CPU of the busiest group */
};

static uint32_t sockets_of(const struct ts_cpu_domain *d)
{
    return d->cpus[0].is_virtual ? 1 : (uint32_t)d->topology->params.sockets;
}

/* update_sd_lb_stats of one group: CPU `of`, or the CPUs of socket `of`. */
static void add_group(struct level_load *l, const struct ts_cpu *c, uint32_t level, uint32_t of)
{
    const struct ts_cpu_domain *d = c->domain;
    uint32_t most = 0;
    uint64_t sum = 0;
    struct ts_cpu *from = NULL;
    for (uint32_t i = 0; i < d->ncpus; i++) {
        struct ts_cpu *o = &d->cpus[level == LEVEL_SOCKET ? of : i];
        uint32_t n = ts_cpu_count_runnable(o);
        if (level == LEVEL_ALL && ts_cpu_socket(o) != of)
            continue;
        sum += n;
        if (o->rq.nr && n > most && ts_cpu_has_for(o, c)) {
            most = n;
            from = o;
        }
        if (level == LEVEL_SOCKET)
            break;
    }
    l->groups++;
    l->all += sum;
    if (of == (level == LEVEL_SOCKET ? c->id : ts_cpu_socket(c))) {
        l->local = sum;
    } else if (sum > l->busiest && from) {
        l->busiest = sum;
        l->from = from;
    }
}

static struct level_load load_of(const struct ts_cpu *c, uint32_t level)
{
    const struct ts_cpu_domain *d = c->domain;
    struct level_load l = {0};
    uint32_t n = level == LEVEL_SOCKET ? d->ncpus : sockets_of(d);
    for (uint32_t of = 0; of < n; of++) {
        if (level == LEVEL_ALL || ts_cpu_socket(&d->cpus[of]) == ts_cpu_socket(c))
            add_group(&l, c, level, of);
    }
    return l;
}

/* sched_balance_find_src_group and calculate_imbalance, for groups of one size: how many tasks are
 * to come, times the number of groups. */
static uint64_t imbalance_of(const struct level_load *l)
{
    uint64_t busiest = l->busiest * l->groups, local = l->local * l->groups;
    if (!l->from || local >= l->all || busiest <= l->all ||
        100 * l->busiest <= IMBALANCE_PCT * l->local)
        return 0;
    return busiest - l->all < l->all - local ? busiest - l->all : l->all - local;
}

/* detach_tasks and attach_tasks. What a task weighs against the imbalance halves with each failure
 * (shr_bound). */
static uint32_t pull_level(struct ts_task *self, uint32_t level)
{
    struct ts_cpu *c = self->cpu;
    struct ts_cpu_domain *d = c->domain;
    struct level_load l = load_of(c, level);
    uint64_t left = imbalance_of(&l);
    uint32_t failed = c->periodic_failed[level], moved = 0;
    while (left && l.from->rq.nr && (l.groups >> failed) <= left) {
        struct ts_task *t = movable(l.from, c, failed > CACHE_NICE_TRIES);
        if (!t)
            break;
        struct ts_sched_entity *curr = ts_cpu_running_entity(c);
        take(c, curr, l.from, t);
        if (!curr || (!c->need_resched && d->sched->preempts(&c->rq, curr, &t->se)))
            c->need_resched = true;
        moved++;
        left -= l.groups < left ? l.groups : left;
    }
    if (moved)
        c->periodic_failed[level] = 0;
    else if (failed < MAX_FAILED)
        c->periodic_failed[level]++;
    return moved;
}

void ts_cpu_balance(struct ts_task *self)
{
    struct ts_cpu *c = self->cpu;
    uint32_t moved = 0;
    for (uint32_t level = 0; level < LEVELS; level++) {
        if (c->balance_due & (1u << level))
            moved += pull_level(self, level);
    }
    c->balance_due = 0;
    if (!moved)
        return;
    ts_cpu_tick_arm(c);
    ts_task_work(self, moved * c->domain->sched_params.wakeup_cycles);
}

/* In ticks. */
static uint64_t interval_of(const struct ts_cpu_domain *d, uint64_t cpus)
{
    ts_time tick = d->sched_params.tick_ps;
    uint64_t wanted = (cpus * TS_MS * d->sched_params.balance_factor + tick - 1) / tick;
    uint64_t most = (d->ncpus * 100 * TS_MS + tick - 1) / tick;
    wanted = wanted > 1 ? wanted - 1 : 1;
    return wanted < most ? wanted : most;
}

/* A busy CPU whose turn it is looks; it has a tick if there is something to pull. */
static void look(struct ts_cpu *c, uint32_t level)
{
    struct level_load l;
    if (!ts_cpu_running_entity(c))
        return;
    l = load_of(c, level);
    if (!imbalance_of(&l))
        return;
    c->balance_due |= 1u << level;
    ts_cpu_raise(c, TS_VEC_TICK);
}

static void on_balance(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_cpu_domain *d = TS_CONTAINER_OF(event, struct ts_cpu_domain, balance_event);
    uint64_t tick = ts_engine_now(engine) / d->sched_params.tick_ps;
    uint32_t sockets = sockets_of(d);
    uint64_t socket_every = interval_of(d, d->ncpus / sockets);
    uint64_t all_every = interval_of(d, d->ncpus);
    uint32_t led = 0; /* sockets whose first CPU has been seen */
    bool waits = false;
    for (uint32_t i = 0; i < d->ncpus; i++) {
        bool leads = ts_cpu_socket(&d->cpus[i]) == led;
        led += leads;
        waits = waits || d->cpus[i].rq.nr;
        if ((tick + i) % socket_every == 0)
            look(&d->cpus[i], LEVEL_SOCKET);
        if (sockets > 1 && leads && (tick + i) % all_every == 0)
            look(&d->cpus[i], LEVEL_ALL);
    }
    if (waits)
        ts_domain_balance_arm(d);
}

void ts_domain_balance_init(struct ts_cpu_domain *d)
{
    ts_event_init(&d->balance_event, on_balance);
}

void ts_domain_balance_arm(struct ts_cpu_domain *d)
{
    ts_time period = d->sched_params.tick_ps;
    if (!d->balance || !d->sched->by_domains || !d->sched_params.balance_factor || d->ncpus == 1 ||
        ts_event_pending(&d->balance_event))
        return;
    ts_engine_schedule(d->engine, &d->balance_event,
                       (ts_engine_now(d->engine) / period + 1) * period, TS_PHASE_TIMER);
}
