/* SPDX-License-Identifier: Apache-2.0 */
#include "models/oracle/reuse.h"

#define PAGE_SHIFT 12u

void ts_reuse_destroy(struct ts_reuse *r)
{
    ts_page_map_destroy(&r->freed);
    ts_page_map_destroy(&r->detached);
}

void ts_reuse_cleared(struct ts_reuse *r, uint64_t space, uint64_t start, uint64_t end,
                      uint64_t target, ts_time when)
{
    r->cleared[r->ncleared++ % TS_CLEARS] = (struct ts_clear){
        .space = space,
        .start = start,
        .end = end,
        .target = target,
        .when = when,
        .event = ++r->events,
    };
}

/* The i-th of the last ones, the newest first; NULL: no more is remembered. */
static const struct ts_clear *last(const struct ts_reuse *r, uint64_t i)
{
    if (i >= r->ncleared || i >= TS_CLEARS)
        return NULL;
    return &r->cleared[(r->ncleared - 1 - i) % TS_CLEARS];
}

void ts_reuse_mapped(struct ts_reuse *r, uint64_t space, uint64_t start, uint64_t end,
                     uint64_t target)
{
    uint64_t n = r->ncleared < TS_CLEARS ? r->ncleared : TS_CLEARS;

    for (uint64_t i = 0; i < n; i++) {
        struct ts_clear *c = &r->cleared[i];
        if (c->space == space && c->start < end && c->end > start &&
            c->target - c->start == target - start)
            c->mapped = true;
    }
}

bool ts_reuse_freed(struct ts_reuse *r, uint64_t ipa)
{
    return ts_page_map_set(&r->freed, ipa >> PAGE_SHIFT, ++r->events);
}

bool ts_reuse_detached(struct ts_reuse *r, uint64_t ipa)
{
    return ts_page_map_set(&r->detached, ipa >> PAGE_SHIFT, ++r->events);
}

static bool covers(const struct ts_clear *c, uint64_t space, uint64_t va)
{
    return c->space == space && va >= c->start && va < c->end;
}

bool ts_reuse_cleared_since(const struct ts_reuse *r, uint64_t space, uint64_t va, ts_time since)
{
    const struct ts_clear *c;

    for (uint64_t i = 0; (c = last(r, i)); i++) {
        if (i + 1 >= TS_CLEARS)
            return true;
        if (c->when < since)
            return false;
        if (covers(c, space, va))
            return true;
    }
    return false;
}

/* Does the host keep the guest's memory at ipa there? */
static bool is_at(const struct ts_pgtable *stage2, uint64_t ipa, uint64_t pa)
{
    struct ts_pte pte;

    if (!stage2)
        return ipa == pa;
    return ts_pgtable_lookup(stage2, ipa, &pte) && ts_pte_address(&pte, ipa) == pa;
}

bool ts_reuse_is_freed(const struct ts_reuse *r, uint64_t space, uint64_t va, uint64_t pa,
                       const struct ts_pgtable *stage2)
{
    const struct ts_clear *c;
    uint64_t freed;

    for (uint64_t i = 0; (c = last(r, i)); i++) {
        uint64_t ipa = c->target + (va - c->start);
        if (!covers(c, space, va) || !is_at(stage2, ipa, pa))
            continue;
        return !c->mapped && ts_page_map_find(&r->freed, ipa >> PAGE_SHIFT, &freed) &&
               freed > c->event;
    }
    return false;
}

bool ts_reuse_is_freed_table(const struct ts_reuse *r, uint64_t ipa)
{
    uint64_t freed, detached;

    return ts_page_map_find(&r->detached, ipa >> PAGE_SHIFT, &detached) &&
           ts_page_map_find(&r->freed, ipa >> PAGE_SHIFT, &freed) && freed > detached;
}
