/* SPDX-License-Identifier: Apache-2.0 */
/* What it cannot always tell: a translation that an earlier flush missed is taken for a legal one
 * while another unmap of the same address has not finished (but see ts_oracle_returned). */
#include "models/oracle/oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/oracle/free_memory.h"
#include "models/oracle/reuse.h"

#define PAGE_BYTES UINT64_C(4096)

#define STAGE2 UINT64_MAX
#define PAST 64u

struct window {
    uint64_t space; /* 0: this slot is free; STAGE2: of guest-physical addresses */
    uint64_t start, end;
    ts_time opened, closed;
};

/* What has been said of a part of an open window. */
struct mark {
    uint32_t window;
    uint64_t start, end;
    uint64_t generation; /* of what was changed; 0: another mapping has the addresses now */
    bool returned;       /* generation 0: or another unmap of them has returned */
};

struct ts_oracle {
    struct ts_oracle_stats stats;
    struct window *windows;
    uint32_t used; /* slots up to the last open one */
    uint32_t room;
    struct mark *marks;
    uint32_t nmarks, marks_room;
    const struct ts_engine *engine; /* NULL: no times */
    struct window past[PAST];       /* the last that were closed, a ring */
    uint64_t npast;                 /* ever closed */
    struct ts_free_memory unused;
    struct ts_reuse reuse;
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
    STAT(tables_in_window, "walks from a table that has gone, before the end of the flush: legal"),
    STAT(tables_stale,
         "walks from a table that has gone, after the end of the flush: a lost flush"),
    STAT(entries_made, "arm64: entries of stage 2 made in the place of others"),
    STAT(made_too_early, "of these, while a TLB held what they replace: break-before-make missed"),
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
    free(o->marks);
    ts_free_memory_destroy(&o->unused);
    ts_reuse_destroy(&o->reuse);
    free(o);
}

void ts_oracle_set_engine(struct ts_oracle *o, const struct ts_engine *engine)
{
    o->engine = engine;
}

static ts_time now_of(const struct ts_oracle *o)
{
    return o->engine ? ts_engine_now(o->engine) : 0;
}

static bool grow(struct ts_oracle *o)
{
    struct window *w = realloc(o->windows, 2 * (size_t)o->room * sizeof(*w));

    if (!w)
        return false;
    memset(w + o->room, 0, o->room * sizeof(*w));
    o->windows = w;
    o->room *= 2;
    return true;
}

static uint32_t open_window(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end)
{
    uint32_t i = 0;

    TS_ASSERT(space != 0 && start < end);
    while (i < o->used && o->windows[i].space)
        i++;
    if (i == o->room && !grow(o))
        return TS_ORACLE_NO_WINDOW;
    if (i == o->used)
        o->used++;
    o->windows[i].space = space;
    o->windows[i].start = start;
    o->windows[i].end = end;
    o->windows[i].opened = now_of(o);
    return i;
}

uint32_t ts_oracle_window_open(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end)
{
    TS_ASSERT(space != STAGE2);
    return open_window(o, space, start, end);
}

uint32_t ts_oracle_stage2_window_open(struct ts_oracle *o, uint64_t start, uint64_t end)
{
    return open_window(o, STAGE2, start, end);
}

static bool mark(struct ts_oracle *o, uint32_t window, uint64_t start, uint64_t end,
                 uint64_t generation)
{
    if (o->nmarks == o->marks_room) {
        uint32_t room = o->marks_room ? 2 * o->marks_room : 16;
        struct mark *more = realloc(o->marks, room * sizeof(*more));
        if (!more)
            return false;
        o->marks = more;
        o->marks_room = room;
    }
    o->marks[o->nmarks++] =
        (struct mark){.window = window, .start = start, .end = end, .generation = generation};
    return true;
}

/* What was cleared once more since has been in use again in between. */
static bool is_overtaken(const struct ts_oracle *o, const struct mark *m, uint64_t space,
                         uint64_t start, uint64_t end)
{
    return m->returned && o->windows[m->window].space == space && m->start < end && m->end > start;
}

static void forget_marks(struct ts_oracle *o, uint32_t window)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < o->nmarks; i++)
        if (o->marks[i].window != window)
            o->marks[kept++] = o->marks[i];
    o->nmarks = kept;
}

bool ts_oracle_mapped_anew(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end)
{
    TS_ASSERT(space != 0 && space != STAGE2 && start < end);
    for (uint32_t i = 0; i < o->used; i++) {
        const struct window *w = &o->windows[i];
        if (w->space == space && w->start < end && w->end > start && !mark(o, i, start, end, 0))
            return false;
    }
    return true;
}

void ts_oracle_cleared(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end,
                       uint64_t ipa)
{
    uint32_t kept = 0;

    ts_reuse_cleared(&o->reuse, space, start, end, ipa, now_of(o));
    for (uint32_t i = 0; i < o->nmarks; i++)
        if (!is_overtaken(o, &o->marks[i], space, start, end))
            o->marks[kept++] = o->marks[i];
    o->nmarks = kept;
}

void ts_oracle_mapped(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end,
                      uint64_t ipa)
{
    ts_reuse_mapped(&o->reuse, space, start, end, ipa);
}

bool ts_oracle_table_detached(struct ts_oracle *o, uint64_t ipa)
{
    return ts_reuse_detached(&o->reuse, ipa);
}

bool ts_oracle_returned(struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end,
                        ts_time begun)
{
    TS_ASSERT(space != 0 && space != STAGE2 && start < end);
    if (end - start > TS_CLEARS * PAGE_BYTES)
        end = start + TS_CLEARS * PAGE_BYTES;
    for (uint32_t i = 0; i < o->used; i++) {
        const struct window *w = &o->windows[i];
        if (w->space != space || w->opened >= begun)
            continue;
        for (uint64_t va = start; va < end; va += PAGE_BYTES) {
            if (va < w->start || va >= w->end ||
                ts_reuse_cleared_since(&o->reuse, space, va, begun))
                continue;
            if (!mark(o, i, va, va + PAGE_BYTES, 0))
                return false;
            o->marks[o->nmarks - 1].returned = true;
        }
    }
    return true;
}

bool ts_oracle_raised(struct ts_oracle *o, uint32_t window, uint64_t start, uint64_t end,
                      uint64_t generation)
{
    if (window == TS_ORACLE_NO_WINDOW)
        return true;
    TS_ASSERT(window < o->used && o->windows[window].space && start < end && generation != 0);
    return mark(o, window, start, end, generation);
}

bool ts_oracle_freed(struct ts_oracle *o, uint64_t ipa, uint64_t pa, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += PAGE_BYTES)
        if (!ts_free_memory_add(&o->unused, ipa + at, pa + at) ||
            !ts_reuse_freed(&o->reuse, ipa + at))
            return false;
    return true;
}

void ts_oracle_taken(struct ts_oracle *o, uint64_t ipa, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += PAGE_BYTES)
        ts_free_memory_take(&o->unused, ipa + at);
}

void ts_oracle_window_close(struct ts_oracle *o, uint32_t handle)
{
    if (handle == TS_ORACLE_NO_WINDOW)
        return;
    TS_ASSERT(handle < o->used && o->windows[handle].space);
    o->windows[handle].closed = now_of(o);
    o->past[o->npast++ % PAST] = o->windows[handle];
    o->windows[handle].space = 0;
    forget_marks(o, handle);
    while (o->used && !o->windows[o->used - 1].space)
        o->used--;
}

/* Why an open window does not excuse who uses what an address was: the address has been given to
 * another mapping, or the user's CPU says that it has made the flush. NULL: it does. */
static const struct mark *against(const struct ts_oracle *o, uint32_t window,
                                  const struct ts_oracle_use *use)
{
    for (uint32_t i = 0; i < o->nmarks; i++) {
        const struct mark *m = &o->marks[i];
        if (m->window == window && use->va >= m->start && use->va < m->end &&
            m->generation <= use->generation)
            return m;
    }
    return NULL;
}

static bool contains(const struct window *w, uint64_t space, uint64_t va)
{
    return w->space == space && va >= w->start && va < w->end;
}

static bool in_window(const struct ts_oracle *o, uint64_t space, uint64_t va)
{
    for (uint32_t i = 0; i < o->used; i++)
        if (contains(&o->windows[i], space, va))
            return true;
    return false;
}

/* Has the guest freed the memory? Not if the host has given it to something else since. */
static bool is_unused(const struct ts_oracle *o, const struct ts_oracle_use *use)
{
    struct ts_pte pte;
    uint64_t ipa;

    if (!ts_free_memory_find(&o->unused, use->pa, &ipa))
        return false;
    return !use->stage2 ||
           (ts_pgtable_lookup(use->stage2, ipa, &pte) && ts_pte_address(&pte, ipa) == use->pa);
}

/* Nobody has the memory, or somebody who got it after what is used was taken away. */
static bool is_freed(const struct ts_oracle *o, const struct ts_oracle_use *use)
{
    return is_unused(o, use) ||
           ts_reuse_is_freed(&o->reuse, use->space, use->va, use->pa, use->stage2);
}

static bool is_excused(const struct ts_oracle *o, const struct ts_oracle_use *use)
{
    if (is_freed(o, use))
        return false;
    for (uint32_t i = 0; i < o->used; i++)
        if (contains(&o->windows[i], use->space, use->va) && !against(o, i, use))
            return true;
    return false;
}

/* The last window of this address that was closed; NULL: none is remembered. */
static const struct window *past_window(const struct ts_oracle *o, uint64_t space, uint64_t va)
{
    for (uint64_t i = o->npast; i > 0 && i + PAST > o->npast; i--)
        if (contains(&o->past[(i - 1) % PAST], space, va))
            return &o->past[(i - 1) % PAST];
    return NULL;
}

struct verdict {
    bool stage1; /* stage 1 lets the access through, to this guest-physical address */
    uint64_t ipa;
    bool mapped; /* both stages do, to this physical address */
    uint64_t pa;
};

/* What the tables say now. */
static struct verdict translate(const struct ts_oracle_use *use)
{
    struct verdict v = {0};
    struct ts_pte pte;

    if (!ts_pgtable_lookup(use->stage1, use->va, &pte) || (use->write && !pte.writable))
        return v;
    v.stage1 = true;
    v.ipa = v.pa = ts_pte_address(&pte, use->va);
    v.mapped = !use->stage2 ||
               (ts_pgtable_lookup(use->stage2, v.ipa, &pte) && !(use->write && !pte.writable));
    if (use->stage2 && v.mapped)
        v.pa = ts_pte_address(&pte, v.ipa);
    return v;
}

/* Which change it missed. Returns what to call it. */
static const char *describe_window(const struct ts_oracle *o, const struct ts_oracle_use *use,
                                   const struct verdict *v, char *text, size_t size)
{
    static const char stale[] = "stale translation";
    const struct window *w = past_window(o, use->space, use->va);

    text[0] = '\0';
    for (uint32_t i = 0; i < o->used; i++) {
        const struct mark *m = against(o, i, use);
        if (!contains(&o->windows[i], use->space, use->va) || !m)
            continue;
        if (m->generation) {
            (void)snprintf(text, size,
                           "; the CPU's tlb_gen is %" PRIu64 ", and the change of 0x%" PRIx64
                           " to 0x%" PRIx64 " is of generation %" PRIu64,
                           use->generation, m->start, m->end, m->generation);
            return "tlb_gen ahead of its flush: stale translation";
        }
        (void)snprintf(text, size,
                       "; 0x%" PRIx64 " to 0x%" PRIx64
                       " was %s before the flush of its unmapping had returned",
                       m->start, m->end, m->returned ? "unmapped by another, too," : "mapped anew");
        return stale;
    }
    if (is_freed(o, use) && in_window(o, use->space, use->va)) {
        (void)snprintf(text, size, "; the memory has been freed%s, and the flush has not returned",
                       is_unused(o, use) ? "" : " and given to somebody else");
        return "memory freed before its flush: stale translation";
    }
    if (!w && use->stage2 && v->stage1)
        w = past_window(o, STAGE2, v->ipa);
    if (!o->engine || !w)
        return stale;
    (void)snprintf(text, size,
                   "; the change of %s0x%" PRIx64 " to 0x%" PRIx64 " began at %" PRIu64
                   " ps and its flush had returned at %" PRIu64 " ps",
                   w->space == STAGE2 ? "guest-physical " : "", w->start, w->end, w->opened,
                   w->closed);
    return stale;
}

static void keep_finding(struct ts_oracle *o, const struct ts_oracle_use *use,
                         const struct verdict *v)
{
    char expected[64] = "nothing", change[160];

    if (o->finding.status != TS_OK)
        return;
    if (v->mapped)
        (void)snprintf(expected, sizeof(expected), "physical address 0x%" PRIx64, v->pa);
    const char *what = describe_window(o, use, v, change, sizeof(change));
    (void)ts_error_set(&o->finding, TS_ERR_FINDING,
                       "%s used: VM %u CPU %u thread %u at %" PRIu64 " ps: %s of 0x%" PRIx64
                       " in address space %" PRIu64 " went to physical address 0x%" PRIx64
                       ", the page tables say %s%s",
                       what, use->vm, use->cpu, use->thread, use->now,
                       use->write ? "write" : "read", use->va, use->space, use->pa, expected,
                       change);
}

/* Whose flush that number stands for has not begun: it will be taken for made. */
static void check_generation(struct ts_oracle *o, const struct ts_oracle_use *use)
{
    if (use->generation <= use->newest || o->finding.status != TS_OK)
        return;
    (void)ts_error_set(&o->finding, TS_ERR_FINDING,
                       "tlb_gen ahead of its flush: VM %u CPU %u thread %u at %" PRIu64
                       " ps: the CPU keeps generation %" PRIu64 " of address space %" PRIu64
                       ", whose newest is %" PRIu64,
                       use->vm, use->cpu, use->thread, use->now, use->generation, use->space,
                       use->newest);
}

void ts_oracle_hit(struct ts_oracle *o, const struct ts_oracle_use *use)
{
    struct verdict v = translate(use);

    check_generation(o, use);
    o->stats.hits_checked++;
    if (v.mapped && v.pa == use->pa) {
        o->stats.hits_current++;
    } else if (is_excused(o, use) || (use->stage2 && v.stage1 && in_window(o, STAGE2, v.ipa))) {
        o->stats.hits_in_window++;
    } else {
        o->stats.hits_stale++;
        keep_finding(o, use, &v);
    }
}

/* Of [start, end). */
static bool window_within(const struct ts_oracle *o, uint64_t space, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < o->used; i++) {
        const struct window *w = &o->windows[i];
        if (w->space == space && w->start < end && w->end > start)
            return true;
    }
    return false;
}

/* The first finding of a table: its beginning, up to the address that was walked. */
static bool table_is_found(struct ts_oracle *o, const struct ts_oracle_use *use, char *text,
                           size_t size)
{
    char who[32] = "by itself";

    o->stats.tables_stale++;
    if (o->finding.status != TS_OK)
        return false;
    if (use->thread != TS_ORACLE_NO_THREAD)
        (void)snprintf(who, sizeof(who), "thread %u", use->thread);
    (void)snprintf(text, size, "freed page table used: VM %u CPU %u %s at %" PRIu64 " ps: the walk",
                   use->vm, use->cpu, who, use->now);
    return true;
}

void ts_oracle_walk(struct ts_oracle *o, const struct ts_oracle_use *use, uint64_t table,
                    uint64_t span)
{
    char found[120];
    uint64_t start = use->va & ~(span - 1);
    bool pending = window_within(o, use->space, start, start + span);

    if (pending && !ts_free_memory_has(&o->unused, table) &&
        !ts_reuse_is_freed_table(&o->reuse, table)) {
        o->stats.tables_in_window++;
        return;
    }
    if (!table_is_found(o, use, found, sizeof(found)))
        return;
    (void)ts_error_set(&o->finding, TS_ERR_FINDING,
                       "%s of 0x%" PRIx64 " in address space %" PRIu64
                       " began, by a walk cache, in the table at 0x%" PRIx64
                       ", which the page tables do not have there%s",
                       found, use->va, use->space, table,
                       pending ? " and which has been freed before its flush has returned" : "");
}

void ts_oracle_walk_stage2(struct ts_oracle *o, const struct ts_oracle_use *use, uint64_t ipa,
                           uint64_t table, uint64_t span)
{
    char found[120];
    uint64_t start = ipa & ~(span - 1);

    if (window_within(o, STAGE2, start, start + span)) {
        o->stats.tables_in_window++;
        return;
    }
    if (!table_is_found(o, use, found, sizeof(found)))
        return;
    (void)ts_error_set(&o->finding, TS_ERR_FINDING,
                       "%s of guest-physical 0x%" PRIx64 ", for 0x%" PRIx64
                       " in address space %" PRIu64
                       ", began, by a walk cache, in the stage-2 table at 0x%" PRIx64
                       ", which the tables of stage 2 do not have there",
                       found, ipa, use->va, use->space, table);
}

void ts_oracle_walked(struct ts_oracle *o, const struct ts_oracle_use *use,
                      const struct ts_mmu_access *access)
{
    if (access->stale_span)
        ts_oracle_walk(o, use, access->stale_table, access->stale_span);
    if (access->stale2_span)
        ts_oracle_walk_stage2(o, use, access->stale2_ipa, access->stale2_table,
                              access->stale2_span);
}

struct search {
    const struct ts_oracle_make *make;
    bool found;
};

static void look_at(void *user, const struct ts_tlb_entry *entry)
{
    struct search *s = user;
    uint64_t first = s->make->pa, size = s->make->end - s->make->start;

    s->found = s->found || (entry->tags.vmid == s->make->vmid && entry->target < first + size &&
                            entry->target + (UINT64_C(1) << entry->tags.size_shift) > first);
}

static bool holds(const struct ts_mmu *mmu, const struct ts_oracle_make *make)
{
    struct ts_tlb_inval stage2 =
        ts_inval_tlbi_ripas2e1(make->vmid, make->start, make->end - make->start, false);
    struct search search = {make, false};

    ts_mmu_for_each(mmu, look_at, &search);
    return search.found || ts_mmu_holds(mmu, &stage2);
}

void ts_oracle_stage2_make(struct ts_oracle *o, const struct ts_oracle_make *make)
{
    uint32_t i = 0;

    TS_ASSERT(make->start < make->end);
    o->stats.entries_made++;
    while (i < make->nmmus &&
           ((make->cpus && !ts_cpumask_test(make->cpus, i)) || !holds(make->mmus[i], make)))
        i++;
    if (i == make->nmmus)
        return;
    o->stats.made_too_early++;
    if (o->finding.status != TS_OK)
        return;
    (void)ts_error_set(&o->finding, TS_ERR_FINDING,
                       "break-before-make missed: VM %u at %" PRIu64
                       " ps: the stage-2 entry of guest-physical 0x%" PRIx64 " to 0x%" PRIx64
                       " is made again while the TLB of pCPU %u holds what it replaces",
                       make->vm, make->now, make->start, make->end, i);
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
