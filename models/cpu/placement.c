/* SPDX-License-Identifier: Apache-2.0 */
/* Where a task runs that has been woken: kernel/sched/fair.c select_task_rq_fair, 6.1 and 6.12.
 *
 * | step                          | here                                                        |
 * |-------------------------------|-------------------------------------------------------------|
 * | wake_wide, record_wakee       | as they are; a last-level cache has the CPUs of its socket  |
 * | wake_affine                   | tasks all weigh the same, so that loads are counts          |
 * | select_idle_sibling           | target, where it last ran, where it ran before, then a      |
 * |                               | search; only in the target's socket. An idle core goes      |
 * |                               | before an idle sibling (the order of 5.13 and later)        |
 * | select_idle_cpu               | searches as far as host_sched.idle_scan says; whether there |
 * |                               | is an idle core is known, not a hint. What SIS_PROP takes   |
 * |                               | is a share of avg_idle, as up to 5.13; from there to 5.19   |
 * |                               | the kernel lets it age (wake_avg_idle), which is not here   |
 * | a new task, find_idlest_cpu   | the socket, the core, the CPU with most that idles, then    |
 * |                               | with fewest runnable tasks; at a tie those it stands on     |
 *
 * Not here: energy awareness, clusters below a socket, capacities, synchronous wake-ups.
 * Policies that are not Linux's take any free CPU, of the same socket first. */
#include "models/cpu/cpu_private.h"

enum {
    CAPACITY = 1024, /* SCHED_CAPACITY_SCALE */
    SCAN_FEW = 4,    /* select_idle_cpu: what SIS_PROP searches at least */
    IDLE_SHARE = 512 /* select_idle_cpu: of the mean idle time, what a search may take */
};

/* available_idle_cpu */
static bool available(const struct ts_task *t, const struct ts_cpu *c)
{
    if (!ts_cpu_is_free(c))
        return false;
    return !t->domain->sched_params.avoid_preempted || !c->ops->preempted || !c->ops->preempted(c);
}

/* It, where t may run. */
static bool usable(const struct ts_task *t, const struct ts_cpu *c)
{
    return ts_task_allowed(t, c) && available(t, c);
}

static struct ts_cpu *any_free(struct ts_task *t)
{
    struct ts_cpu_domain *d = t->domain;
    struct ts_cpu *any = NULL;
    for (uint32_t i = 1; i < d->ncpus; i++) {
        struct ts_cpu *c = &d->cpus[(t->cpu->id + i) % d->ncpus];
        if (!usable(t, c))
            continue;
        if (ts_cpu_share(c, t->cpu, TS_LEVEL_SOCKET))
            return c;
        if (!any)
            any = c;
    }
    return any ? any : t->cpu;
}

/* --- whose CPU it is: the waker's or its own --- */

static void halve_flips(struct ts_task *t, ts_time now)
{
    if (now <= t->wakee_flips_halved + TS_S)
        return;
    t->wakee_flips >>= 1;
    t->wakee_flips_halved = now;
}

static void record_wakee(struct ts_task *waker, const struct ts_task *t)
{
    halve_flips(waker, ts_task_now(waker));
    if (waker->last_wakee == t->number + 1ull)
        return;
    waker->last_wakee = t->number + 1ull;
    waker->wakee_flips++;
}

static uint32_t cpus_sharing(const struct ts_cpu *of, uint32_t level)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < of->domain->ncpus; i++)
        n += ts_cpu_share(&of->domain->cpus[i], of, level);
    return n;
}

/* One that wakes many others, and is woken by one that wakes more of them, is not drawn to it. */
static bool wake_wide(const struct ts_task *waker, const struct ts_task *t)
{
    bool more = waker->wakee_flips < t->wakee_flips;
    uint64_t master = more ? t->wakee_flips : waker->wakee_flips;
    uint64_t slave = more ? waker->wakee_flips : t->wakee_flips;
    uint64_t factor = cpus_sharing(waker->cpu, TS_LEVEL_SOCKET);
    return slave >= factor && master >= slave * factor;
}

static struct ts_cpu *wake_affine(struct ts_task *t, struct ts_cpu *here, struct ts_cpu *prev)
{
    uint64_t pct =
        ts_cpu_share(here, prev, TS_LEVEL_CORE) ? TS_IMBALANCE_PCT_CORE : TS_IMBALANCE_PCT;
    uint64_t here_load, prev_load;
    if (usable(t, here) && ts_cpu_share(here, prev, TS_LEVEL_SOCKET))
        return usable(t, prev) ? prev : here;
    if (usable(t, prev))
        return prev;
    here_load = ((uint64_t)ts_cpu_count_runnable(here) + 1) * 100;
    prev_load = (uint64_t)ts_cpu_count_runnable(prev) * (100 + (pct - 100) / 2);
    return here_load < prev_load ? here : prev;
}

/* --- an idle CPU beside it --- */

static bool is_idle_core(const struct ts_task *t, const struct ts_cpu *c)
{
    struct ts_cpu *o = ts_cpu_next_thread(c);
    for (; o != c; o = ts_cpu_next_thread(o)) {
        if (!available(t, o))
            return false;
    }
    return usable(t, c);
}

static bool has_idle_core(const struct ts_task *t, const struct ts_cpu *target)
{
    struct ts_cpu_domain *d = t->domain;
    for (uint32_t i = 0; i < d->ncpus; i++) {
        if (ts_cpu_share(&d->cpus[i], target, TS_LEVEL_SOCKET) && is_idle_core(t, &d->cpus[i]))
            return true;
    }
    return false;
}

/* update_idle_cpu_scan: how many are worth a look falls with the square of the load, and is none
 * from 85 % on. The kernel takes the load of the last periodic balancing, and it decays. */
static uint32_t scan_by_load(const struct ts_cpu *target)
{
    uint64_t cpus = 0, busy = 0, x, lost;
    for (uint32_t i = 0; i < target->domain->ncpus; i++) {
        const struct ts_cpu *c = &target->domain->cpus[i];
        if (!ts_cpu_share(c, target, TS_LEVEL_SOCKET))
            continue;
        cpus++;
        busy += !ts_cpu_is_free(c);
    }
    x = busy * CAPACITY / cpus;
    lost = x * x * TS_IMBALANCE_PCT * TS_IMBALANCE_PCT / (10000ull * CAPACITY);
    return lost < CAPACITY ? (uint32_t)((CAPACITY - lost) * cpus / CAPACITY) : 0;
}

/* select_idle_cpu with SIS_PROP: a search may take a share of how long the CPU idles on average. */
static uint32_t scan_by_cost(const struct ts_cpu *here, const struct ts_cpu *target)
{
    uint64_t idle = here->avg_idle_ps / IDLE_SHARE * cpus_sharing(target, TS_LEVEL_SOCKET);
    uint64_t cost = here->avg_scan_ps + TS_NS;
    uint64_t n = idle > SCAN_FEW * cost ? idle / cost : SCAN_FEW;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* select_idle_cpu, __select_idle_cpu. */
static struct ts_cpu *scan_cpus(struct ts_task *t, struct ts_cpu *here, struct ts_cpu *target)
{
    struct ts_cpu_domain *d = t->domain;
    const struct ts_sched_params *p = &d->sched_params;
    bool prop = p->idle_scan == TS_IDLE_SCAN_PROP;
    struct ts_cpu *found = NULL;
    uint32_t left = UINT32_MAX, seen = 0;
    if (prop)
        left = scan_by_cost(here, target);
    else if (p->idle_scan == TS_IDLE_SCAN_UTIL)
        left = scan_by_load(target);
    for (uint32_t i = 1; i <= d->ncpus && seen < left && !found; i++) {
        struct ts_cpu *c = &d->cpus[(target->id + i) % d->ncpus];
        if (!ts_cpu_share(c, target, TS_LEVEL_SOCKET) || !ts_task_allowed(t, c))
            continue;
        seen++;
        if (usable(t, c))
            found = c;
    }
    if (prop)
        ts_cpu_update_avg(&here->avg_scan_ps,
                          seen * ts_clock_cycle_time(d->clock, p->idle_scan_cycles));
    return found;
}

static struct ts_cpu *scan_cores(struct ts_task *t, const struct ts_cpu *target)
{
    struct ts_cpu_domain *d = t->domain;
    for (uint32_t i = 1; i <= d->ncpus; i++) {
        struct ts_cpu *c = &d->cpus[(target->id + i) % d->ncpus];
        if (ts_cpu_share(c, target, TS_LEVEL_SOCKET) && is_idle_core(t, c))
            return c;
    }
    return NULL;
}

/* select_idle_smt */
static struct ts_cpu *idle_thread(struct ts_task *t, struct ts_cpu *of)
{
    for (struct ts_cpu *c = ts_cpu_next_thread(of); c != of; c = ts_cpu_next_thread(c)) {
        if (usable(t, c))
            return c;
    }
    return NULL;
}

static struct ts_cpu *idle_sibling(struct ts_task *t, struct ts_cpu *here, struct ts_cpu *target)
{
    struct ts_cpu *prev = t->cpu, *recent = t->recent_cpu, *found = NULL;
    bool near = ts_cpu_share(prev, target, TS_LEVEL_SOCKET);
    if (usable(t, target))
        return target;
    if (prev != target && near && usable(t, prev))
        return prev;
    t->recent_cpu = prev;
    if (recent && recent != prev && recent != target &&
        ts_cpu_share(recent, target, TS_LEVEL_SOCKET) && usable(t, recent))
        return recent;
    if (ts_cpu_next_thread(target) != target) {
        if (has_idle_core(t, target))
            return scan_cores(t, target);
        if (near)
            found = idle_thread(t, prev);
    }
    if (!found)
        found = scan_cpus(t, here, target);
    return found ? found : target;
}

/* --- a new task --- */

/* More idle CPUs, then fewer runnable tasks. */
static bool is_idler(const struct ts_cpu_group *a, const struct ts_cpu_group *b)
{
    return a->idle != b->idle ? a->idle > b->idle : a->runnable < b->runnable;
}

/* The idlest of the groups of a level in the group of the next one that `best` is of: its first
 * CPU; best itself, unless another one is idler than its own. */
static struct ts_cpu *idlest_group(const struct ts_task *t, struct ts_cpu *best, uint32_t level)
{
    struct ts_cpu_domain *d = t->domain;
    const struct ts_cpu *within = best;
    for (uint32_t i = 0; i < d->ncpus; i++)
        d->scratch[i] = (struct ts_cpu_group){0};
    for (uint32_t i = 0; i < d->ncpus; i++) {
        const struct ts_cpu *c = &d->cpus[i];
        struct ts_cpu_group *g = &d->scratch[ts_cpu_group_of(c, level)];
        g->idle += available(t, c);
        g->runnable += ts_cpu_count_runnable(c);
        g->allowed = g->allowed || ts_task_allowed(t, c);
    }
    for (uint32_t i = 0; i < d->ncpus; i++) {
        struct ts_cpu *c = &d->cpus[i];
        const struct ts_cpu_group *g = &d->scratch[ts_cpu_group_of(c, level)];
        if (ts_cpu_share(c, within, level + 1) && g->allowed &&
            is_idler(g, &d->scratch[ts_cpu_group_of(best, level)]))
            best = c;
    }
    return best;
}

/* sched_balance_find_dst_cpu (find_idlest_cpu), level by level. */
static struct ts_cpu *idlest(struct ts_task *t)
{
    struct ts_cpu *best = t->cpu;
    for (uint32_t level = TS_LEVELS; level-- > 0;)
        best = idlest_group(t, best, level);
    return best;
}

struct ts_cpu *ts_task_select_cpu(struct ts_task *waker, struct ts_task *t)
{
    struct ts_cpu_domain *d = t->domain;
    struct ts_cpu *prev = t->cpu, *target = prev, *here = prev;
    if (t->pinned)
        return t->pinned;
    /* Still switching away (p->on_cpu): its fiber can go on there only. */
    if (!d->balance || prev->current == t)
        return prev;
    if (!d->sched->by_domains)
        return usable(t, prev) ? prev : any_free(t);
    if (!t->placed) {
        t->placed = true;
        return usable(t, prev) ? prev : idlest(t);
    }
    if (waker && waker->domain == d) {
        here = waker->cpu;
        record_wakee(waker, t);
        if (here != prev && ts_task_allowed(t, here) && !wake_wide(waker, t))
            target = wake_affine(t, here, prev);
    }
    return idle_sibling(t, here, target);
}
