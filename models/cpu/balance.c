/* SPDX-License-Identifier: Apache-2.0 */
/* How tasks come to other CPUs but by waking up: kernel/sched/fair.c, 6.1 and 6.12.
 *
 * A CPU about to idle, or an idle one that a busy one's tick has told to look, pulls one task, of
 * the nearest CPUs that have one to give. Busy CPUs balance by scheduling domains, which are here:
 *
 * | domain | groups      | by whom (should_we_balance)  | ms (get_sd_balance_interval)        |
 * |--------|-------------|------------------------------|-------------------------------------|
 * | core   | its threads | each thread                  | threads of a core * balance_factor  |
 * | socket | cores       | the first thread of a core   | CPUs of a socket * balance_factor   |
 * | all    | sockets     | the first CPU of a socket    | CPUs * balance_factor               |
 *
 * The interval is a tick less than that, and at most CPUs times 100 ms. Cores of one thread have no
 * domain, a single socket has but its own. NUMA distances make no domains, and tasks all weigh the
 * same. A CPU balances in its tick, which is simulated only where there is something to pull. */
#include "models/cpu/cpu_private.h"

enum {
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

/* The CPUs with the longest queues, by the smallest domain that they share with c. */
static void find_busiest(const struct ts_cpu *c, struct ts_cpu *busiest[TS_LEVELS + 1])
{
    struct ts_cpu_domain *d = c->domain;
    for (uint32_t i = 1; i < d->ncpus; i++) {
        struct ts_cpu *o = &d->cpus[(c->id + i) % d->ncpus];
        uint32_t domain = TS_LEVEL_CORE;
        if (!o->rq.nr || o->current->is_idle || !ts_cpu_has_for(o, c))
            continue;
        while (!ts_cpu_share(c, o, domain))
            domain++;
        if (!busiest[domain] || o->rq.nr > busiest[domain]->rq.nr)
            busiest[domain] = o;
    }
}

/* newidle_balance before 5.16: one that idles for short times only does not look around for them.
 * Since then it is the cost of looking that counts, which is not modelled. */
static bool idles_too_briefly(const struct ts_cpu *c)
{
    return c->avg_idle_ps < c->domain->sched_params.newidle_min_idle_ps;
}

/* A CPU about to idle (newidle balance), or one that a busy CPU's tick has told to look (idle),
 * takes a waiting task from the CPU with the longest queue of the smallest domain that has one to
 * give, unless it ran too recently to be worth moving (task_hot). One that idles and has failed so
 * more than once takes it all the same (can_migrate_task, nr_balance_failed). False: there is
 * none. */
bool ts_cpu_pull_task(struct ts_cpu *c, bool idle)
{
    struct ts_cpu *busiest[TS_LEVELS + 1] = {NULL};
    bool hot = idle && c->balance_failed > CACHE_NICE_TRIES, waits = false;
    if (!c->domain->balance || (!idle && idles_too_briefly(c)))
        return false;
    find_busiest(c, busiest);
    for (uint32_t domain = TS_LEVEL_CORE; domain <= TS_LEVELS; domain++) {
        struct ts_task *t = busiest[domain] ? movable(busiest[domain], c, hot) : NULL;
        waits = waits || busiest[domain];
        if (!t)
            continue;
        c->balance_failed = 0;
        take(c, NULL, busiest[domain], t);
        return true;
    }
    if (!waits)
        c->balance_failed = 0;
    else
        c->balance_failed += idle;
    return false;
}

void ts_cpu_note_idle(struct ts_cpu *c)
{
    if (c->idle_since == TS_TIME_NEVER)
        c->idle_since = ts_engine_now(c->domain->engine);
}

/* ttwu_do_activate: the mean of how long it idles counts what ends by a wake-up, up to twice
 * max_idle_balance_cost, which is at least sysctl_sched_migration_cost. */
void ts_cpu_note_wakeup(struct ts_cpu *c)
{
    ts_time most = 2 * c->domain->sched_params.migration_cost_ps;
    if (c->idle_since == TS_TIME_NEVER)
        return;
    ts_cpu_update_avg(&c->avg_idle_ps, ts_engine_now(c->domain->engine) - c->idle_since);
    if (c->avg_idle_ps > most)
        c->avg_idle_ps = most;
    c->idle_since = TS_TIME_NEVER;
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

static uint32_t threads_of(const struct ts_cpu_domain *d)
{
    return d->cpus[0].is_virtual ? 1 : (uint32_t)d->topology->params.threads_per_core;
}

/* update_sd_lb_stats of the groups of a level, in the domain that is c's group of the next one. */
static void count_groups(const struct ts_cpu *c, uint32_t level)
{
    struct ts_cpu_domain *d = c->domain;
    for (uint32_t i = 0; i < d->ncpus; i++)
        d->scratch[i] = (struct ts_cpu_group){0};
    for (uint32_t i = 0; i < d->ncpus; i++) {
        struct ts_cpu *o = &d->cpus[i];
        struct ts_cpu_group *g = &d->scratch[ts_cpu_group_of(o, level)];
        uint32_t n = ts_cpu_count_runnable(o);
        if (!ts_cpu_share(o, c, level + 1))
            continue;
        g->runnable += n;
        if (o->rq.nr && n > g->most && ts_cpu_has_for(o, c)) {
            g->most = n;
            g->from = o;
        }
    }
}

/* Of each group the first CPU, which should_we_balance lets balance for it. */
static bool leads_group(const struct ts_cpu *c, uint32_t level)
{
    const struct ts_topology *t = c->domain->topology;
    if (level == TS_LEVEL_CPU || c->is_virtual)
        return true;
    return t->thread[c->id] == 0 &&
           (level == TS_LEVEL_CORE || t->core[c->id] % t->params.cores_per_socket == 0);
}

static struct level_load load_of(const struct ts_cpu *c, uint32_t level)
{
    const struct ts_cpu_domain *d = c->domain;
    struct level_load l = {0};
    count_groups(c, level);
    for (uint32_t i = 0; i < d->ncpus; i++) {
        const struct ts_cpu *o = &d->cpus[i];
        const struct ts_cpu_group *g = &d->scratch[ts_cpu_group_of(o, level)];
        if (!leads_group(o, level) || !ts_cpu_share(o, c, level + 1))
            continue;
        l.groups++;
        l.all += g->runnable;
        if (ts_cpu_share(o, c, level)) {
            l.local = g->runnable;
        } else if (g->runnable > l.busiest && g->from) {
            l.busiest = g->runnable;
            l.from = g->from;
        }
    }
    return l;
}

/* sched_balance_find_src_group and calculate_imbalance, for groups of one size: how many tasks are
 * to come, times the number of groups. */
static uint64_t imbalance_of(const struct level_load *l, uint32_t level)
{
    uint64_t busiest = l->busiest * l->groups, local = l->local * l->groups;
    uint64_t pct = level == TS_LEVEL_CPU ? TS_IMBALANCE_PCT_CORE : TS_IMBALANCE_PCT;
    if (!l->from || local >= l->all || busiest <= l->all || 100 * l->busiest <= pct * l->local)
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
    uint64_t left = imbalance_of(&l, level);
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
    for (uint32_t level = 0; level < TS_LEVELS; level++) {
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
    if (!imbalance_of(&l, level))
        return;
    c->balance_due |= 1u << level;
    ts_cpu_raise(c, TS_VEC_TICK);
}

static void on_balance(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_cpu_domain *d = TS_CONTAINER_OF(event, struct ts_cpu_domain, balance_event);
    uint64_t tick = ts_engine_now(engine) / d->sched_params.tick_ps;
    uint32_t sockets = sockets_of(d), threads = threads_of(d);
    /* CPUs of a level's domain, none where it has but one group. */
    uint32_t cpus[TS_LEVELS] = {
        [TS_LEVEL_CPU] = threads > 1 ? threads : 0,
        [TS_LEVEL_CORE] = d->ncpus / sockets,
        [TS_LEVEL_SOCKET] = sockets > 1 ? d->ncpus : 0,
    };
    bool waits = false;
    for (uint32_t level = 0; level < TS_LEVELS; level++) {
        uint64_t every = interval_of(d, cpus[level]);
        for (uint32_t i = 0; cpus[level] && i < d->ncpus; i++) {
            if ((tick + i) % every == 0 && leads_group(&d->cpus[i], level))
                look(&d->cpus[i], level);
        }
    }
    for (uint32_t i = 0; i < d->ncpus; i++)
        waits = waits || d->cpus[i].rq.nr;
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
