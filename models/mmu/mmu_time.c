/* SPDX-License-Identifier: Apache-2.0 */
/* What accesses wait for. All is decided in the order of the calls, and nothing decided is changed
 * by what comes later. */
#include "models/mmu/mmu_private.h"

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void ts_mmu_wait_port_(struct ts_mmu *m, struct mmu_port *port, uint64_t ports,
                       struct mmu_request *q)
{
    if (ports == 0)
        return;
    if (q->t > port->cycle) {
        port->cycle = q->t;
        port->used = 1;
        return;
    }
    if (port->used < ports) {
        port->used++;
    } else {
        port->cycle++;
        port->used = 1;
    }
    m->stats.port_wait_cycles += port->cycle - q->t;
    q->t = port->cycle;
}

void ts_mmu_wait_sweep_(struct ts_mmu *m, struct mmu_request *q)
{
    uint64_t end = m->core->busy_until;
    if (!m->params.sweep_blocking || m->params.sweep_sets_per_cycle == 0 || end <= q->t)
        return;
    m->stats.sweep_wait_cycles += end - q->t;
    q->t = end;
}

/* First come, first served: a walk leaves the queue when it starts, so the queue has room once the
 * walk that came as many before as it has places has started. */
uint64_t *ts_mmu_wait_walker_(struct ts_mmu *m, struct mmu_request *q)
{
    struct mmu_core *core = m->core;
    const struct ts_mmu_params *p = &m->params;
    if (p->walkers == 0)
        return NULL;
    uint64_t *walker = &core->walker_free[0];
    for (uint64_t i = 1; i < p->walkers; i++)
        if (core->walker_free[i] < *walker)
            walker = &core->walker_free[i];
    uint64_t start = later(q->t, core->blocked_until);
    if (p->miss_queue != 0) {
        uint64_t *slot = &core->queue[core->queue_next];
        core->queue_next = core->queue_next + 1 == p->miss_queue ? 0 : core->queue_next + 1;
        if (*slot > start) {
            start = *slot;
            core->blocked_until = start;
        }
        start = later(start, *walker);
        *slot = start;
    }
    start = later(start, *walker);
    m->stats.walker_wait_cycles += start - q->t;
    q->t = start;
    return walker;
}

static void forget(struct mmu_core *core, uint32_t i)
{
    core->flight[i] = core->flight[--core->flights];
}

void ts_mmu_flight_add_(struct ts_mmu *m, const struct ts_tlb_entry *entry, bool for_dirty,
                        const struct mmu_request *q)
{
    struct mmu_core *core = m->core;
    if (q->t <= q->now)
        return;
    uint32_t at = core->flights;
    if (at < MMU_FLIGHTS) {
        core->flights++;
    } else {
        at = 0;
        for (uint32_t i = 1; i < MMU_FLIGHTS; i++)
            if (core->flight[i].end < core->flight[at].end)
                at = i;
    }
    struct mmu_flight *f = &core->flight[at];
    f->entry = *entry;
    f->end = q->t;
    f->instruction = q->kind == TS_MMU_FETCH;
    f->for_dirty = for_dirty;
    core->flights_end = later(core->flights_end, q->t);
}

static bool serves(const struct mmu_flight *f, uint64_t thread, const struct mmu_request *q)
{
    const struct ts_tlb_tags *tags = &f->entry.tags;
    if (f->for_dirty && q->kind != TS_MMU_WRITE)
        return false;
    return tags->vmid == q->ctx->vmid && tags->ep4ta == q->ctx->ep4ta && tags->thread == thread &&
           (tags->global || tags->asid == q->ctx->asid) &&
           mmu_page(q->va, tags->size_shift) == tags->base;
}

/* The walk under way, at the time of the look-up, for the page. Not any that ended before now: now
 * does not fall. */
const struct mmu_flight *ts_mmu_flight_find_(struct ts_mmu *m, const struct mmu_request *q)
{
    struct mmu_core *core = m->core;
    if (core->flights_end <= q->now)
        core->flights = 0;
    if (core->flights_end <= q->t)
        return NULL;
    for (uint32_t i = 0; i < core->flights;) {
        const struct mmu_flight *f = &core->flight[i];
        if (f->end <= q->now) {
            forget(core, i);
            continue;
        }
        if (f->end > q->t && serves(f, m->thread, q))
            return f;
        i++;
    }
    return NULL;
}

/* An access after the invalidation must not be served by a walk before it. */
void ts_mmu_flights_drop_(struct ts_mmu *m, const struct ts_tlb_inval *inval)
{
    struct mmu_core *core = m->core;
    for (uint32_t i = 0; i < core->flights;)
        if (ts_tlb_inval_matches(inval, &core->flight[i].entry.tags))
            forget(core, i);
        else
            i++;
}
