/* SPDX-License-Identifier: Apache-2.0 */
/* Clear, protect and free over a range. A run that the range covers is changed as a whole. */
#include "models/mmu/pgtable_private.h"

struct range {
    struct ts_pgtable *pt;
    uint64_t start, last; /* inclusive */
    uint64_t window;      /* high bits of its addresses, which the levels do not translate */
    uint64_t max;         /* clear: leaves that may still go */
    uint64_t floor, top;  /* free_tables: inclusive bounds of a table's span */
    ts_pt_leaf_fn *fn;
    void *user;
    uint64_t resume;
    bool stopped;
    bool writable;
    uint32_t *freed;
};

/* False when the range is empty. */
static bool range_init(struct range *r, struct ts_pgtable *pt, uint64_t start, uint64_t end)
{
    r->pt = pt;
    r->start = start;
    r->last = end - 1;
    r->resume = end;
    r->window = start & ~pt->mask;
    if (end <= start && (end != 0 || start == 0))
        return false;
    if (r->last > (start | pt->mask))
        r->last = start | pt->mask;
    return true;
}

/* The lowest table known that holds the whole range. */
static struct pt_table *range_top(const struct range *r)
{
    uint32_t level = 0;
    while ((r->start ^ r->last) >> r->pt->shift[level + 1])
        level++;
    return pt_descend(r->pt, r->start, level);
}

/* Address of entry i. */
static uint64_t entry_address(const struct range *r, const struct pt_table *t, uint32_t i)
{
    return (r->window | t->base) + ((uint64_t)i << r->pt->shift[t->level]);
}

/* The entries of a table that the range touches. */
static void bounds(const struct range *r, const struct pt_table *t, uint32_t *from, uint32_t *to)
{
    uint32_t shift = r->pt->shift[t->level];
    uint64_t base = r->window | t->base;
    *from = r->start > base ? (uint32_t)((r->start - base) >> shift) : 0;
    uint64_t distance = (r->last - base) >> shift;
    *to = distance < r->pt->last ? (uint32_t)distance : r->pt->last;
}

/* No leaf of the level that begins at va sticks out. */
static void check_whole(const struct range *r, uint64_t va, uint32_t level)
{
    TS_ASSERT(va >= r->start && va + pt_entry_last(r->pt, level) <= r->last);
}

/* The part of a run's span that the range covers: its leaves' level has to fit. */
struct part {
    uint64_t start, last;
    uint64_t leaves;
    uint32_t leaf;
    bool whole;
};

static struct part part_of(const struct range *r, uint64_t word, uint64_t va, uint32_t level)
{
    struct part p;
    uint64_t end = va + pt_entry_last(r->pt, level);
    p.start = va > r->start ? va : r->start;
    p.last = end < r->last ? end : r->last;
    p.whole = p.start == va && p.last == end;
    p.leaf = pt_run_of(word)->leaf;
    uint64_t offset = pt_entry_last(r->pt, p.leaf);
    TS_ASSERT((p.start & offset) == 0 && (p.last & offset) == offset);
    p.leaves = ((p.last - p.start) >> r->pt->shift[p.leaf]) + 1;
    return p;
}

/* fn for each leaf of a whole run, as word says. */
static void each_leaf(const struct range *r, uint64_t word, const struct part *p)
{
    uint64_t step = pt_entry_last(r->pt, p->leaf) + 1, va = p->start;
    if (r->fn == NULL)
        return;
    struct ts_pte pte = pt_pte_of(r->pt, ts_pt_run_leaf_(r->pt, word, va), p->leaf);
    for (uint64_t i = 0; i < p->leaves; i++, va += step, pte.target += step)
        r->fn(r->user, va, &pte);
}

static uint64_t clear_table(struct range *r, struct pt_table *t);

static uint64_t clear_run(struct range *r, struct pt_table *t, uint32_t i, uint64_t word)
{
    if (word & PT_EMPTY)
        return 0;
    uint64_t va = entry_address(r, t, i);
    struct part p = part_of(r, word, va, t->level);
    if (r->max == 0) {
        r->resume = p.start;
        r->stopped = true;
        return 0;
    }
    if (!p.whole || r->max < p.leaves) {
        struct pt_table *below = ts_pt_run_split_(r->pt, t, va);
        return below ? clear_table(r, below) : 0;
    }
    *pt_slot(t, i) = (word & ~PT_CHANGING) | PT_EMPTY;
    r->max -= p.leaves;
    each_leaf(r, word, &p);
    return p.leaves;
}

/* Leaves all, so those that go are neighbours in the list. */
static uint64_t clear_leaf_list(struct range *r, struct pt_table *t, uint32_t from, uint32_t to)
{
    const uint16_t *key = pt_keys(t);
    uint32_t first = pt_place(t, from), n = 0;
    for (; first + n < t->used && key[first + n] <= to; n++) {
        uint64_t va = entry_address(r, t, key[first + n]);
        if (n == r->max) {
            r->resume = va;
            r->stopped = true;
            break;
        }
        check_whole(r, va, 0);
        if (r->fn) {
            struct ts_pte pte = pt_pte_of(r->pt, t->word[first + n], 0);
            r->fn(r->user, va, &pte);
        }
    }
    r->max -= n;
    ts_pt_list_cut_(t, first, n);
    t->leaves -= n;
    return n;
}

/* The part of an array that one word of its bitmap tells of. */
static uint64_t clear_leaf_bits(struct range *r, struct pt_table *t, uint64_t *present,
                                uint32_t first, uint64_t mask)
{
    uint64_t n = 0;
    for (uint64_t bits = *present & mask; bits != 0; bits &= bits - 1, n++) {
        uint32_t i = first + (uint32_t)__builtin_ctzll(bits);
        uint64_t va = entry_address(r, t, i), entry = t->word[i];
        if (n == r->max) {
            r->resume = va;
            r->stopped = true;
            break;
        }
        check_whole(r, va, 0);
        t->word[i] = 0;
        *present &= ~(bits & -bits);
        if (r->fn) {
            struct ts_pte pte = pt_pte_of(r->pt, entry, 0);
            r->fn(r->user, va, &pte);
        }
    }
    r->max -= n;
    return n;
}

static uint64_t clear_leaf_array(struct range *r, struct pt_table *t, uint32_t from, uint32_t to)
{
    uint64_t *present = pt_present(t, r->pt->last), n = 0;
    for (uint32_t word = from >> 6; word <= to >> 6 && !r->stopped; word++) {
        uint64_t mask = word == from >> 6 ? UINT64_MAX << (from & 63u) : UINT64_MAX;
        if (word == to >> 6)
            mask &= UINT64_MAX >> (63u - (to & 63u));
        n += clear_leaf_bits(r, t, &present[word], word * 64u, mask);
    }
    t->used = (uint16_t)(t->used - n);
    t->leaves -= n;
    return n;
}

static uint64_t clear_table(struct range *r, struct pt_table *t)
{
    uint32_t from, to;
    uint64_t cleared = 0;
    bounds(r, t, &from, &to);
    if (t->level == 0)
        return t->array ? clear_leaf_array(r, t, from, to) : clear_leaf_list(r, t, from, to);
    for (uint32_t i = pt_next(r->pt, t, from, to); i != PT_NONE; i = pt_next(r->pt, t, i + 1, to)) {
        uint64_t entry = pt_get(t, i);
        if (pt_is_table(entry)) {
            if (pt_table_of(entry)->leaves != 0)
                cleared += clear_table(r, pt_table_of(entry));
        } else if (pt_is_run(entry)) {
            cleared += clear_run(r, t, i, entry);
        } else if (entry & PT_LEAF) {
            uint64_t va = entry_address(r, t, i);
            if (r->max == 0) {
                r->resume = va;
                r->stopped = true;
                break;
            }
            check_whole(r, va, t->level);
            ts_pt_unset_(r->pt, t, i);
            cleared++;
            r->max--;
            if (r->fn) {
                struct ts_pte pte = pt_pte_of(r->pt, entry, t->level);
                r->fn(r->user, va, &pte);
            }
        }
        if (r->stopped)
            break;
    }
    t->leaves -= cleared;
    return cleared;
}

uint64_t ts_pgtable_clear(struct ts_pgtable *pt, uint64_t start, uint64_t end, uint64_t max,
                          ts_pt_leaf_fn *fn, void *user, uint64_t *resume)
{
    struct range r = {0};
    uint64_t cleared = 0;
    if (range_init(&r, pt, start, end)) {
        r.max = max;
        r.fn = fn;
        r.user = user;
        struct pt_table *t = range_top(&r);
        cleared = clear_table(&r, t);
        if (t->level + 1u < pt->levels)
            pt_count(pt, start, t->level + 1u, -cleared);
    }
    if (resume)
        *resume = r.resume;
    return cleared;
}

static uint64_t protect_table(const struct range *r, struct pt_table *t);

static uint64_t protect_run(const struct range *r, struct pt_table *t, uint32_t i, uint64_t word)
{
    if (word & PT_EMPTY)
        return 0;
    uint64_t va = entry_address(r, t, i);
    struct part p = part_of(r, word, va, t->level);
    if (((word & PT_WRITABLE) != 0) == r->writable)
        return 0;
    if (!p.whole) {
        struct pt_table *below = ts_pt_run_split_(r->pt, t, va);
        return below ? protect_table(r, below) : 0;
    }
    *pt_slot(t, i) = word ^= PT_WRITABLE;
    each_leaf(r, word, &p);
    return p.leaves;
}

static uint64_t protect_table(const struct range *r, struct pt_table *t)
{
    uint32_t from, to;
    uint64_t changed = 0;
    bounds(r, t, &from, &to);
    for (uint32_t i = pt_next(r->pt, t, from, to); i != PT_NONE; i = pt_next(r->pt, t, i + 1, to)) {
        uint64_t *slot = pt_slot(t, i);
        if (pt_is_table(*slot)) {
            if (pt_table_of(*slot)->leaves != 0)
                changed += protect_table(r, pt_table_of(*slot));
            continue;
        }
        if (pt_is_run(*slot)) {
            changed += protect_run(r, t, i, *slot);
            continue;
        }
        if (!(*slot & PT_LEAF))
            continue;
        uint64_t va = entry_address(r, t, i);
        check_whole(r, va, t->level);
        if (((*slot & PT_WRITABLE) != 0) == r->writable)
            continue;
        *slot ^= PT_WRITABLE;
        changed++;
        if (r->fn) {
            struct ts_pte pte = pt_pte_of(r->pt, *slot, t->level);
            r->fn(r->user, va, &pte);
        }
    }
    return changed;
}

uint64_t ts_pgtable_protect(struct ts_pgtable *pt, uint64_t start, uint64_t end, bool writable,
                            ts_pt_leaf_fn *fn, void *user)
{
    struct range r = {0};
    if (!range_init(&r, pt, start, end))
        return 0;
    r.writable = writable;
    r.fn = fn;
    r.user = user;
    return protect_table(&r, range_top(&r));
}

/* All tables of the empty run go: the range touches the first and the last of its lowest ones. */
static bool takes_run(const struct range *r, uint64_t word, uint64_t first, uint64_t last)
{
    uint32_t shift = r->pt->shift[pt_run_of(word)->leaf + 1];
    return r->start >> shift <= first >> shift && r->last >> shift >= last >> shift &&
           first >= r->floor && last <= r->top;
}

/* mm/memory.c free_pgd_range and the functions below it: a table goes if it lies between floor and
 * ceiling, the deeper ones first. What is left of a table with a leaf stays here too. */
static uint32_t free_below(struct range *r, struct pt_table *t)
{
    uint32_t from, to, freed = 0;
    bounds(r, t, &from, &to);
    for (uint32_t i = pt_next(r->pt, t, from, to); i != PT_NONE; i = pt_next(r->pt, t, i + 1, to)) {
        uint64_t entry = pt_get(t, i);
        uint64_t first = entry_address(r, t, i), last = first + pt_entry_last(r->pt, t->level);
        struct pt_table *below;
        if (pt_is_run(entry)) {
            if (!(entry & PT_EMPTY))
                continue;
            if (takes_run(r, entry, first, last)) {
                freed += (uint32_t)ts_pt_run_free_(r->pt, entry, t->level, first & r->pt->mask,
                                                   r->freed);
                ts_pt_unset_(r->pt, t, i);
                continue;
            }
            below = ts_pt_run_split_(r->pt, t, first);
            if (below == NULL)
                continue;
        } else if (pt_is_table(entry)) {
            below = pt_table_of(entry);
        } else {
            continue;
        }
        if (below->level > 0)
            freed += free_below(r, below);
        if (below->used != 0 || first < r->floor || last > r->top)
            continue;
        r->freed[below->level]++;
        freed++;
        r->pt->frames.free_table(r->pt->frames.user, below->address);
        r->pt->tables--;
        ts_pt_table_drop_(r->pt, below);
        ts_pt_unset_(r->pt, t, i);
    }
    return freed;
}

uint32_t ts_pgtable_free_tables(struct ts_pgtable *pt, uint64_t start, uint64_t end, uint64_t floor,
                                uint64_t ceiling, uint32_t freed[TS_PT_LEVELS_MAX])
{
    for (uint32_t i = 0; i < TS_PT_LEVELS_MAX; i++)
        freed[i] = 0;
    struct range r = {0};
    if (!range_init(&r, pt, start, end))
        return 0;
    r.floor = floor;
    r.top = ceiling - 1; /* 0: up to the last byte */
    r.freed = freed;
    return free_below(&r, pt->root);
}
