/* SPDX-License-Identifier: Apache-2.0 */
#include "models/mmu/pgtable_private.h"

#include <stdlib.h>

_Static_assert(sizeof(struct pt_table) == 32, "class_cap fills whole classes with this");

enum ts_status ts_pgtable_create(struct ts_pgtable **out, enum ts_granule granule, uint32_t levels,
                                 const struct ts_pt_frames *frames, struct ts_error *err)
{
    /* One level less is possible too. */
    static const uint8_t most[TS_GRANULES] = {5, 4, 3};
    TS_ASSERT((uint32_t)granule < TS_GRANULES);
    if (levels > most[granule] || levels + 1 < most[granule])
        return ts_error_set(err, TS_ERR_USER, "page table of %u levels: %d or %d are possible",
                            levels, most[granule] - 1, most[granule]);
    struct ts_pgtable *pt = calloc(1, sizeof(*pt));
    if (pt == NULL)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for a page table");
    pt->bytes = sizeof(*pt);
    pt->granule = (uint8_t)granule;
    pt->levels = levels;
    pt->bits = (uint8_t)ts_granule_bits(granule);
    pt->last = (1u << pt->bits) - 1;
    for (uint32_t l = 0; l <= levels; l++)
        pt->shift[l] = (uint8_t)ts_granule_level_shift(granule, l);
    pt->mask = pt_entry_last(pt, levels);
    /* A list is at most an eighth of the array, and no longer than moving its entries is cheap. */
    pt->list_classes = granule == TS_GRANULE_4K ? 4 : 6;
    pt->frames = *frames;
    if (!ts_pt_grow_(pt, 0)) {
        free(pt);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for a page table");
    }
    pt->path = &pt->way;
    pt->way.low = levels;
    pt->root = ts_pt_table_new_(pt, levels - 1, 0, pt->frames.alloc_table(pt->frames.user), 0);
    pt->tables = 1;
    pt->way.t[levels - 1] = pt->root;
    pt->way.low = levels - 1;
    *out = pt;
    return TS_OK;
}

void ts_pgtable_destroy(struct ts_pgtable *pt)
{
    if (pt == NULL)
        return;
    if (pt->foreign) {
        ts_pt_destroy_foreign_(pt);
        return;
    }
    ts_pt_discard_(pt, pt_word(pt->root), pt->levels, 0);
    for (struct pt_block *b = pt->blocks, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    free(pt);
}

/* Makes the tables that are missing between t and the level; returns the last of them, NULL if
 * there is no memory. */
static struct pt_table *make_tables(struct ts_pgtable *pt, struct pt_table *t, uint64_t va,
                                    uint32_t level, uint32_t *allocated)
{
    while (t != NULL && t->level > level) {
        uint32_t i = pt_index(pt, va, t->level);
        uint64_t entry = pt_get(t, i);
        if (pt_is_run(entry) && (entry & PT_EMPTY)) {
            t = ts_pt_run_split_(pt, t, va);
            continue;
        }
        TS_ASSERT(entry == 0);
        struct pt_table *below =
            ts_pt_table_new_(pt, t->level - 1u, pt_entry_base(pt, va, t->level),
                             pt->frames.alloc_table(pt->frames.user), 0);
        if (below == NULL)
            return NULL;
        if (pt_set(pt, t, i, pt_word(below)) == NULL) {
            ts_pt_table_drop_(pt, below);
            return NULL;
        }
        pt->tables++;
        (*allocated)++;
        t = below;
    }
    return t;
}

uint32_t ts_pgtable_map(struct ts_pgtable *pt, uint64_t va, const struct ts_pte *pte)
{
    uint32_t level = pte->level, allocated = 0;
    TS_ASSERT(level < ts_granule_leaf_levels(pt->granule) && pte->size_shift == pt->shift[level]);
    uint64_t offset = pt_entry_last(pt, level);
    TS_ASSERT((va & offset) == 0 && (pte->target & offset) == 0);
    struct pt_table *t = pt_descend(pt, va, level);
    if (t->level > level)
        t = make_tables(pt, t, va, level, &allocated);
    if (t == NULL)
        return allocated;
    uint32_t i = pt_index(pt, va, level);
    uint64_t entry = pt_get(t, i);
    TS_ASSERT(entry == 0);
    if (pt_set(pt, t, i, pt_entry_of(pte)) != NULL)
        pt_count(pt, va, level, 1);
    return allocated;
}

/* The leaf that an entry of the level is or that its run has for va; false if there is none. */
static bool leaf_of(const struct ts_pgtable *pt, uint64_t entry, uint32_t level, uint64_t va,
                    struct ts_pte *out)
{
    if (entry & PT_LEAF) {
        *out = pt_pte_of(pt, entry, level);
        return true;
    }
    if (!pt_is_run(entry) || (entry & PT_EMPTY))
        return false;
    *out = pt_pte_of(pt, ts_pt_run_leaf_(pt, entry, va), pt_run_of(entry)->leaf);
    return true;
}

bool ts_pgtable_lookup(const struct ts_pgtable *pt, uint64_t va, struct ts_pte *out)
{
    if (pt->foreign)
        return ts_pt_lookup_foreign_(pt, va, out);
    const struct pt_table *t = pt_descend(pt, va, 0);
    return leaf_of(pt, pt_get(t, pt_index(pt, va, t->level)), t->level, va, out);
}

bool ts_pgtable_can_map(const struct ts_pgtable *pt, uint64_t va, uint32_t level)
{
    const struct pt_table *t = pt_descend(pt, va, level);
    uint64_t entry = pt_get(t, pt_index(pt, va, t->level));
    /* In an empty run there are tables down to that of its leaves. */
    if (t->level > level && pt_is_run(entry) && (entry & PT_EMPTY))
        return level <= pt_run_of(entry)->leaf;
    return entry == 0;
}

uint32_t ts_pgtable_split(struct ts_pgtable *pt, uint64_t va)
{
    struct pt_table *t = pt_descend(pt, va, 0);
    struct ts_pte pte;
    if (!leaf_of(pt, pt_get(t, pt_index(pt, va, t->level)), t->level, va, &pte) || pte.level == 0)
        return 0;
    t = ts_pt_expand_(pt, va, pte.level);
    return t != NULL && ts_pt_leaf_split_(pt, t, va) ? 1 : 0;
}

/* Of these bits of va's leaf, only those of value are to stay set. */
static bool set_bits(struct ts_pgtable *pt, uint64_t va, uint64_t bits, uint64_t value)
{
    struct pt_table *t = pt_descend(pt, va, 0);
    uint64_t entry = pt_get(t, pt_index(pt, va, t->level));
    bool run = pt_is_run(entry) && !(entry & PT_EMPTY);
    uint64_t *slot;
    if ((!run && !(entry & PT_LEAF)) || (entry & bits) == value)
        return false;
    if (run)
        t = ts_pt_expand_(pt, va, pt_run_of(entry)->leaf);
    if (t == NULL)
        return false;
    slot = pt_slot(t, pt_index(pt, va, t->level));
    *slot = (*slot & ~bits) | value;
    return true;
}

bool ts_pgtable_mark(struct ts_pgtable *pt, uint64_t va, bool dirty)
{
    uint64_t bits = dirty ? PT_ACCESSED | PT_DIRTY : PT_ACCESSED;
    if (pt->foreign)
        return ts_pt_mark_foreign_(pt, va, dirty);
    return set_bits(pt, va, bits, bits);
}

bool ts_pgtable_age(struct ts_pgtable *pt, uint64_t va, bool clean)
{
    return set_bits(pt, va, clean ? PT_ACCESSED | PT_DIRTY : PT_ACCESSED, 0);
}

/* A table found by its address: real, or the one of the run that covers base. */
struct spot {
    const struct pt_table *t;
    uint64_t run;
    uint64_t base;
};

/* Looks for a table of the level at the address below a word of a table of the level at, at base.
 * Tables taken out by a break count: the memory that a stale walk reads is still a table. */
static bool seek(const struct ts_pgtable *pt, uint64_t word, uint32_t at, uint64_t base,
                 uint32_t level, uint64_t address, struct spot *out)
{
    if (pt_is_broken(word))
        return seek(pt, pt_held_of(word)->word, at, base, level, address, out);
    if (pt_is_run(word)) {
        const struct pt_run *run = pt_run_of(word);
        if (level >= at || level < run->leaf)
            return false;
        uint64_t first = ts_pt_run_address_(pt, run, level, base);
        uint64_t i = (address - first) >> pt->shift[0];
        if (address < first || i >> (pt->bits * (at - 1 - level)) != 0)
            return false;
        out->run = word;
        out->base = base + (i << pt->shift[level + 1]);
        return true;
    }
    if (!pt_is_table(word))
        return false;
    const struct pt_table *t = pt_table_of(word);
    out->t = t;
    out->base = t->base;
    if (t->level == level)
        return t->address == address;
    for (uint32_t i = pt_next(pt, t, 0, pt->last); i != PT_NONE;
         i = pt_next(pt, t, i + 1, pt->last))
        if (seek(pt, pt_get(t, i), t->level, t->base + ((uint64_t)i << pt->shift[t->level]), level,
                 address, out))
            return true;
    return false;
}

struct walk {
    const struct ts_pgtable *pt;
    uint64_t va;
    uint64_t *fetch;
    uint8_t *levels_seen;
    uint32_t n;
};

static inline void fetch_at(struct walk *w, uint64_t table, uint32_t level)
{
    w->fetch[w->n] = table + pt_index(w->pt, w->va, level) * sizeof(uint64_t);
    w->levels_seen[w->n++] = (uint8_t)level;
}

/* Goes on in a run's tables, from the one of the level. */
static void fetch_run(struct walk *w, uint64_t word, uint32_t level)
{
    const struct pt_run *run = pt_run_of(word);
    for (uint32_t l = level + 1; l-- > run->leaf;)
        fetch_at(w, ts_pt_run_address_(w->pt, run, l, w->va), l);
}

/* Goes on after the fetch of an entry of a table of the level. */
static bool walk_entry(struct walk *w, uint64_t entry, uint32_t level, struct ts_pte *pte)
{
    if (pt_is_run(entry))
        fetch_run(w, entry, level - 1);
    return leaf_of(w->pt, entry, level, w->va, pte);
}

/* Only a stale walk cache comes here, so a search of all tables is fast enough. */
static bool walk_stale(struct walk *w, uint32_t level, uint64_t table, struct ts_pte *pte)
{
    const struct ts_pgtable *pt = w->pt;
    struct spot s = {0};
    if (!seek(pt, pt_word(pt->root), pt->levels, 0, level, table, &s)) {
        fetch_at(w, table, level);
        return false;
    }
    /* What is below belongs to the addresses of the table found. */
    w->va = s.base | (w->va & pt_entry_last(pt, level + 1));
    if (s.run != 0) {
        fetch_run(w, s.run, level);
        return leaf_of(pt, s.run, level, w->va, pte);
    }
    for (const struct pt_table *t = s.t;;) {
        uint64_t entry = pt_get(t, pt_index(pt, w->va, t->level));
        fetch_at(w, t->address, t->level);
        if (!pt_is_table(entry))
            return walk_entry(w, entry, t->level, pte);
        t = pt_table_of(entry);
    }
}

uint32_t ts_pgtable_walk(const struct ts_pgtable *pt, uint64_t va, uint32_t start_level,
                         uint64_t start_table, uint64_t fetch[TS_PT_LEVELS_MAX],
                         uint8_t levels_seen[TS_PT_LEVELS_MAX], bool *found, struct ts_pte *pte)
{
    TS_ASSERT(start_level < pt->levels);
    if (pt->foreign)
        return ts_pt_walk_foreign_(pt, va, start_level, start_table, fetch, levels_seen, found,
                                   pte);
    const struct pt_table *t = pt_descend(pt, va, 0);
    uint64_t entry = pt_get(t, pt_index(pt, va, t->level));
    uint32_t low = t->level, n = 0;
    struct pt_table *const *way = pt->path->t;
    if (start_level >= low && way[start_level]->address == start_table) {
        /* The bound on n holds of itself; at -O3 gcc unrolls the loop and warns without it. */
        for (uint32_t l = start_level + 1; l-- > low && n < TS_PT_LEVELS_MAX;) {
            fetch[n] = way[l]->address + pt_index(pt, va, l) * sizeof(uint64_t);
            levels_seen[n++] = (uint8_t)l;
        }
        *found = (entry & PT_LEAF) != 0;
        if (*found)
            *pte = pt_pte_of(pt, entry, low);
        if (!pt_is_run(entry))
            return n;
        start_level = low - 1;
    }
    struct walk w = {pt, va, fetch, levels_seen, n};
    if (n != 0 || (start_level < low && pt_is_run(entry) && start_level >= pt_run_of(entry)->leaf &&
                   ts_pt_run_address_(pt, pt_run_of(entry), start_level, va) == start_table)) {
        fetch_run(&w, entry, start_level);
        *found = leaf_of(pt, entry, low, va, pte);
    } else {
        *found = walk_stale(&w, start_level, start_table, pte);
    }
    return w.n;
}

bool ts_pgtable_has_table(const struct ts_pgtable *pt, uint64_t va, uint32_t level, uint64_t table)
{
    TS_ASSERT(level < pt->levels);
    const struct pt_table *t = pt_descend(pt, va, 0);
    uint64_t entry = pt_get(t, pt_index(pt, va, t->level));

    if (level >= t->level)
        return pt->path->t[level]->address == table;
    return pt_is_run(entry) && level >= pt_run_of(entry)->leaf &&
           ts_pt_run_address_(pt, pt_run_of(entry), level, va) == table;
}

enum ts_granule ts_pgtable_granule(const struct ts_pgtable *pt)
{
    return (enum ts_granule)pt->granule;
}

uint32_t ts_pgtable_levels(const struct ts_pgtable *pt)
{
    return pt->levels;
}

uint64_t ts_pgtable_root(const struct ts_pgtable *pt)
{
    return pt->foreign ? ts_pt_root_foreign_(pt) : pt->root->address;
}

uint64_t ts_pgtable_leaves(const struct ts_pgtable *pt)
{
    return pt->root->leaves;
}

uint64_t ts_pgtable_tables(const struct ts_pgtable *pt)
{
    return pt->tables;
}

bool ts_pgtable_out_of_memory(const struct ts_pgtable *pt)
{
    return pt->out_of_memory;
}

uint64_t ts_pgtable_bytes(const struct ts_pgtable *pt)
{
    return pt->bytes;
}
