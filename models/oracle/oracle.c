/* SPDX-License-Identifier: Apache-2.0 */
/* One thing it cannot tell: a translation that an earlier flush missed is taken for a legal one
 * while another unmap of the same address has not finished. */
#include "models/oracle/oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct window {
    const struct ts_mm *mm; /* NULL: this slot is free */
    uint64_t start, end;
};

struct ts_oracle {
    struct ts_oracle_stats stats;
    struct window *windows;
    uint32_t used; /* slots up to the last open one */
    uint32_t room;
    struct ts_error finding; /* status TS_OK: none */
};

#define STAT(field, text)                                                                          \
    {                                                                                              \
#field, TS_STAT_COUNTER, offsetof(struct ts_oracle_stats, field), "1", text                \
    }
static const struct ts_stat stat_rows[] = {
    STAT(hits_checked, "TLB hits compared with the page tables"),
    STAT(hits_current, "hits that the page tables agree with"),
    STAT(hits_in_window, "stale hits before the end of the flush: legal"),
    STAT(hits_stale, "stale hits after the end of the flush: a lost flush"),
};
static const struct ts_stat_rule stat_rules[] = {
    {"every hit is current, legal or stale",
     {"+hits_checked", "-hits_current", "-hits_in_window", "-hits_stale"}},
};
const struct ts_stat_table ts_oracle_stat_table = {"oracle", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                   stat_rules, TS_ARRAY_LEN(stat_rules)};

enum ts_status ts_oracle_create(struct ts_oracle **out, struct ts_error *err)
{
    struct ts_oracle *o = calloc(1, sizeof(*o));

    if (o) {
        o->room = 64;
        o->windows = calloc(o->room, sizeof(*o->windows));
    }
    if (!o || !o->windows) {
        free(o);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for the oracle");
    }
    *out = o;
    return TS_OK;
}

void ts_oracle_destroy(struct ts_oracle *o)
{
    if (!o)
        return;
    free(o->windows);
    free(o);
}

/* Without memory for one window more the verdict would be worthless: that ends the run. */
static void grow(struct ts_oracle *o)
{
    struct window *w = realloc(o->windows, 2 * (size_t)o->room * sizeof(*w));

    TS_ASSERT(w != NULL);
    memset(w + o->room, 0, o->room * sizeof(*w));
    o->windows = w;
    o->room *= 2;
}

uint32_t ts_oracle_window_open(struct ts_oracle *o, const struct ts_mm *mm, uint64_t start,
                               uint64_t end)
{
    uint32_t i = 0;

    while (i < o->used && o->windows[i].mm)
        i++;
    if (i == o->room)
        grow(o);
    if (i == o->used)
        o->used++;
    o->windows[i].mm = mm;
    o->windows[i].start = start;
    o->windows[i].end = end;
    return i;
}

void ts_oracle_window_close(struct ts_oracle *o, uint32_t handle)
{
    TS_ASSERT(handle < o->used && o->windows[handle].mm);
    o->windows[handle].mm = NULL;
    while (o->used && !o->windows[o->used - 1].mm)
        o->used--;
}

static bool in_window(const struct ts_oracle *o, const struct ts_mm *mm, uint64_t va)
{
    for (uint32_t i = 0; i < o->used; i++) {
        const struct window *w = &o->windows[i];
        if (w->mm == mm && va >= w->start && va < w->end)
            return true;
    }
    return false;
}

static uint64_t leaf_address(const struct ts_pte *pte, uint64_t address)
{
    return pte->target + (address & ((UINT64_C(1) << pte->size_shift) - 1));
}

/* What the tables say now: true if they let the access through, then *pa is where to. */
static bool translate(const struct ts_mm *mm, uint64_t va, bool write, uint64_t *pa)
{
    const struct ts_guest *g = mm->guest;
    struct ts_pte pte;

    if (!ts_pgtable_lookup(mm->pgtable, va, &pte) || (write && !pte.writable))
        return false;
    *pa = leaf_address(&pte, va);
    if (!g->stage2)
        return true;
    if (!ts_pgtable_lookup(g->stage2, *pa, &pte) || (write && !pte.writable))
        return false;
    *pa = leaf_address(&pte, *pa);
    return true;
}

static void keep_finding(struct ts_oracle *o, const struct ts_task *self, const struct ts_mm *mm,
                         uint64_t va, bool write, const struct ts_mmu_access *access, bool mapped,
                         uint64_t pa)
{
    const struct ts_guest_thread *thread = self->user;
    char expected[64] = "nothing";

    if (o->finding.status != TS_OK)
        return;
    if (mapped)
        (void)snprintf(expected, sizeof(expected), "physical address 0x%" PRIx64, pa);
    (void)ts_error_set(&o->finding, TS_ERR_FINDING,
                       "stale translation used: VM %u CPU %u thread %u at %" PRIu64
                       " ps: %s of 0x%" PRIx64 " in address space %" PRIu64
                       " went to physical address 0x%" PRIx64 ", the page tables say %s",
                       mm->guest->number, self->cpu->id, thread ? thread->number : 0,
                       ts_task_now(self), write ? "write" : "read", va, mm->ctx_id, access->pa,
                       expected);
}

void ts_oracle_hit(struct ts_oracle *o, struct ts_task *self, struct ts_mm *mm, uint64_t va,
                   bool write, const struct ts_mmu_access *access)
{
    uint64_t pa = 0;
    bool mapped = translate(mm, va, write, &pa);

    o->stats.hits_checked++;
    if (mapped && pa == access->pa) {
        o->stats.hits_current++;
    } else if (in_window(o, mm, va)) {
        o->stats.hits_in_window++;
    } else {
        o->stats.hits_stale++;
        keep_finding(o, self, mm, va, write, access, mapped, pa);
    }
}

enum ts_status ts_oracle_verdict(const struct ts_oracle *o, struct ts_error *err)
{
    if (o->finding.status == TS_OK)
        return TS_OK;
    *err = o->finding;
    return o->finding.status;
}

const struct ts_oracle_stats *ts_oracle_stats(const struct ts_oracle *o)
{
    return &o->stats;
}
