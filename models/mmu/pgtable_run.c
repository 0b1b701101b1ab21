/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: subtrees that are not stored. */
#include "models/mmu/pgtable_private.h"

_Static_assert(sizeof(struct pt_run) <= 64, "a run is an object of class 0");

/* Tables of one level of a run's subtree; the entry is in a table of the level top. */
static uint64_t level_tables(const struct ts_pgtable *pt, uint32_t top, uint32_t level)
{
    return UINT64_C(1) << (pt->bits * (top - 1 - level));
}

static uint64_t all_tables(const struct ts_pgtable *pt, uint32_t top, uint32_t leaf)
{
    uint64_t count = 0;
    for (uint32_t l = leaf; l < top; l++)
        count += level_tables(pt, top, l);
    return count;
}

static uint64_t run_word(const struct pt_run *run, uint64_t leaf)
{
    return pt_word(run) | PT_RUN | (leaf & PT_CHANGING);
}

static void run_release(struct ts_pgtable *pt, struct pt_run *run)
{
    if (--run->refs == 0)
        ts_pt_give_(pt, run, 0);
}

/* A populated run; first is its first leaf. One table alone comes from alloc_table. 0: no memory.
 */
uint64_t ts_pt_run_new_(struct ts_pgtable *pt, uint32_t level, uint32_t leaf, uint64_t base,
                        uint64_t first)
{
    struct pt_run *run = ts_pt_take_(pt, 0);
    if (run == NULL)
        return 0;
    uint64_t count = all_tables(pt, level, leaf);
    run->base = base;
    run->target = first & PT_TARGET;
    run->block = count == 1 ? pt->frames.alloc_table(pt->frames.user)
                            : pt->frames.alloc_run(pt->frames.user, count);
    TS_ASSERT((run->block & pt_entry_last(pt, 0)) == 0);
    run->refs = 1;
    run->level = (uint8_t)level;
    run->leaf = (uint8_t)leaf;
    run->fixed = (uint8_t)(first & (PT_GLOBAL | PT_CONTIGUOUS));
    pt->tables += count;
    return run_word(run, first);
}

/* The block holds the tables of the highest level first, each level in ascending order. */
uint64_t ts_pt_run_address_(const struct ts_pgtable *pt, const struct pt_run *run, uint32_t level,
                            uint64_t va)
{
    uint64_t at = ((va & pt->mask) - run->base) >> pt->shift[level + 1];
    for (uint32_t l = level + 1; l < run->level; l++)
        at += level_tables(pt, run->level, l);
    return run->block + (at << pt->shift[0]);
}

uint64_t ts_pt_run_leaf_(const struct ts_pgtable *pt, uint64_t word, uint64_t va)
{
    const struct pt_run *run = pt_run_of(word);
    uint64_t target = run->target + (pt_entry_base(pt, va, run->leaf) - run->base);
    return target | PT_LEAF | run->fixed | (word & PT_CHANGING);
}

bool ts_pgtable_is_even(const struct ts_pgtable *pt, uint64_t va, struct ts_pte *first)
{
    if (pt->foreign)
        return false;
    const struct pt_table *t = pt_descend(pt, va, 0);
    uint64_t base = pt_entry_base(pt, va, 1), entry = pt_get(t, pt_index(pt, base, t->level));
    if (t->level != 0) {
        if (!pt_is_run(entry) || (entry & PT_EMPTY) || pt_run_of(entry)->leaf != 0)
            return false;
        *first = pt_pte_of(pt, ts_pt_run_leaf_(pt, entry, base), 0);
        return true;
    }
    if (!t->array || !(entry & PT_LEAF))
        return false;
    for (uint32_t i = 0; i <= pt->last; i++)
        if (t->word[i] != entry + ((uint64_t)i << pt->shift[0]))
            return false;
    *first = pt_pte_of(pt, entry, 0);
    return true;
}

static void fill_leaves(const struct ts_pgtable *pt, struct pt_table *t, uint64_t first)
{
    for (uint32_t i = 0; i <= pt->last; i++)
        t->word[i] = first + ((uint64_t)i << pt->shift[t->level]);
    t->leaves = (uint64_t)pt->last + 1;
}

static void mark_full(const struct ts_pgtable *pt, struct pt_table *t)
{
    uint64_t *present = pt_present(t, pt->last);
    for (uint32_t i = 0; i <= pt->last >> 6; i++)
        present[i] = UINT64_MAX;
    t->used = (uint16_t)(pt->last + 1);
}

struct pt_table *ts_pt_run_split_(struct ts_pgtable *pt, struct pt_table *t, uint64_t va)
{
    uint64_t *slot = pt_slot(t, pt_index(pt, va, t->level));
    uint64_t word = *slot, base = pt_entry_base(pt, va, t->level);
    struct pt_run *run = pt_run_of(word);
    uint32_t level = t->level - 1u;
    bool has_leaves = level == run->leaf;
    bool none = has_leaves && (word & PT_EMPTY);
    struct pt_table *below = ts_pt_table_new_(
        pt, level, base, ts_pt_run_address_(pt, run, level, base), none ? 0 : pt->last + 1);
    if (below == NULL)
        return NULL;
    if (!none) {
        if (has_leaves) {
            fill_leaves(pt, below, ts_pt_run_leaf_(pt, word, base));
        } else {
            for (uint32_t i = 0; i <= pt->last; i++)
                below->word[i] = word;
            below->leaves = pt_run_leaves(pt, word, t->level);
            run->refs += (uint64_t)pt->last + 1;
        }
        mark_full(pt, below);
    }
    *slot = pt_word(below);
    run_release(pt, run);
    return below;
}

struct pt_table *ts_pt_expand_(struct ts_pgtable *pt, uint64_t va, uint32_t level)
{
    struct pt_table *t = pt_descend(pt, va, level);
    while (t != NULL && t->level > level)
        t = ts_pt_run_split_(pt, t, va);
    return t;
}

/* Deepest first, ascending, as the tables would be freed if each were there. */
static void free_each(struct ts_pgtable *pt, const struct pt_run *run, uint32_t level,
                      uint64_t base)
{
    if (level > run->leaf)
        for (uint32_t i = 0; i <= pt->last; i++)
            free_each(pt, run, level - 1, base + ((uint64_t)i << pt->shift[level]));
    pt->frames.free_table(pt->frames.user, ts_pt_run_address_(pt, run, level, base));
}

uint64_t ts_pt_run_free_(struct ts_pgtable *pt, uint64_t word, uint32_t level, uint64_t base,
                         uint32_t *freed)
{
    struct pt_run *run = pt_run_of(word);
    uint64_t count = all_tables(pt, level, run->leaf);
    for (uint32_t l = run->leaf; freed != NULL && l < level; l++)
        freed[l] += (uint32_t)level_tables(pt, level, l);
    /* A split is never undone, so an entry of the level the run was made for is all of it. */
    if (level == run->level && count > 1 && pt->frames.free_run != NULL)
        pt->frames.free_run(pt->frames.user, run->block, count);
    else
        free_each(pt, run, level - 1, base);
    pt->tables -= count;
    run_release(pt, run);
    return count;
}

bool ts_pt_leaf_split_(struct ts_pgtable *pt, struct pt_table *t, uint64_t va)
{
    uint64_t *slot = pt_slot(t, pt_index(pt, va, t->level));
    uint64_t base = pt_entry_base(pt, va, t->level);
    uint32_t level = t->level - 1u;
    if (pt->frames.alloc_run != NULL) {
        uint64_t run = ts_pt_run_new_(pt, t->level, level, base, *slot);
        if (run == 0)
            return false;
        *slot = run;
    } else {
        struct pt_table *below = ts_pt_table_new_(
            pt, level, base, pt->frames.alloc_table(pt->frames.user), pt->last + 1);
        if (below == NULL)
            return false;
        pt->tables++;
        fill_leaves(pt, below, *slot);
        mark_full(pt, below);
        *slot = pt_word(below);
    }
    pt_count(pt, va, t->level, pt->last);
    return true;
}

struct fill {
    struct ts_pgtable *pt;
    uint64_t first; /* address of the first leaf, within the window */
    uint64_t entry; /* the first leaf */
    uint32_t leaf;  /* level */
    uint64_t allocated;
};

static uint64_t fill_entry(const struct fill *f, uint64_t va)
{
    return f->entry + (va - f->first);
}

/* Tables of an empty run that get leaves again stay where they are. 0: no memory. */
static uint64_t refill_run(const struct fill *f, uint64_t word, uint64_t base)
{
    struct pt_run *old = pt_run_of(word), *run = ts_pt_take_(f->pt, 0);
    if (run == NULL)
        return 0;
    *run = *old;
    run->refs = 1;
    run->target = (fill_entry(f, base) & PT_TARGET) - (base - old->base);
    run->fixed = (uint8_t)(f->entry & (PT_GLOBAL | PT_CONTIGUOUS));
    run_release(f->pt, old);
    return run_word(run, f->entry);
}

static uint64_t fill_leaf_table(const struct fill *f, struct pt_table *t, uint64_t va,
                                uint64_t last)
{
    struct ts_pgtable *pt = f->pt;
    uint32_t from = pt_index(pt, va, t->level), to = pt_index(pt, last, t->level);
    t = ts_pt_reserve_(pt, t, t->used + (to - from + 1));
    if (t == NULL)
        return 0;
    for (uint32_t i = from; i <= to; i++, va += pt_entry_last(pt, t->level) + 1) {
        uint64_t entry = pt_get(t, i);
        TS_ASSERT(entry == 0);
        pt_set(pt, t, i, fill_entry(f, va));
    }
    t->leaves += to - from + 1;
    return to - from + 1;
}

/* Maps [va, last], which lies in the table's span, up to where memory lasts. Returns the leaves. */
static uint64_t fill_table(struct fill *f, struct pt_table *t, uint64_t va, uint64_t last)
{
    struct ts_pgtable *pt = f->pt;
    if (t->level == f->leaf)
        return fill_leaf_table(f, t, va, last);
    uint64_t added = 0, offset = pt_entry_last(pt, t->level);
    for (uint64_t next; va <= last; va = next) {
        uint32_t i = pt_index(pt, va, t->level);
        uint64_t entry = pt_get(t, i), end = va | offset;
        next = end + 1;
        bool runs = pt->frames.alloc_run != NULL && (va & offset) == 0 && end <= last;
        bool none = pt_is_run(entry) && (entry & PT_EMPTY);
        struct pt_table *below, *to;
        if (runs && none && pt_run_of(entry)->leaf == f->leaf) {
            entry = refill_run(f, entry, va);
            if (entry == 0)
                break;
            *pt_slot(t, i) = entry;
            added += UINT64_C(1) << pt_run_order(pt, t->level, f->leaf);
            continue;
        }
        if (runs && entry == 0) {
            uint64_t before = pt->tables;
            entry = ts_pt_run_new_(pt, t->level, f->leaf, va, fill_entry(f, va));
            if (entry == 0 || (to = pt_set(pt, t, i, entry)) == NULL)
                break;
            t = to;
            f->allocated += pt->tables - before;
            added += UINT64_C(1) << pt_run_order(pt, t->level, f->leaf);
            continue;
        }
        if (none) {
            below = ts_pt_run_split_(pt, t, va);
            if (below == NULL)
                break;
        } else if (entry == 0) {
            below = ts_pt_table_new_(pt, t->level - 1u, pt_entry_base(pt, va, t->level),
                                     pt->frames.alloc_table(pt->frames.user), 0);
            if (below == NULL || (to = pt_set(pt, t, i, pt_word(below))) == NULL)
                break;
            t = to;
            pt->tables++;
            f->allocated++;
        } else {
            TS_ASSERT(pt_is_table(entry));
            below = pt_table_of(entry);
        }
        added += fill_table(f, below, va, end < last ? end : last);
    }
    t->leaves += added;
    return added;
}

uint64_t ts_pgtable_map_run(struct ts_pgtable *pt, uint64_t va, uint64_t pages,
                            const struct ts_pte *pte)
{
    TS_ASSERT(pte->level < ts_granule_leaf_levels(pt->granule));
    TS_ASSERT(pte->size_shift == pt->shift[pte->level]);
    uint64_t offset = pt_entry_last(pt, pte->level);
    TS_ASSERT((va & offset) == 0 && (pte->target & offset) == 0);
    if (pages == 0)
        return 0;
    struct fill f = {pt, va & pt->mask, pt_entry_of(pte), pte->level, 0};
    uint64_t room = (pt->mask - f.first) >> pte->size_shift;
    TS_ASSERT(pages - 1 <= room); /* all in the window of va */
    (void)fill_table(&f, pt->root, f.first, f.first + ((pages - 1) << pte->size_shift) + offset);
    return f.allocated;
}
