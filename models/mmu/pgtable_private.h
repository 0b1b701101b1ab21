/* SPDX-License-Identifier: Apache-2.0 */
/* How a page table is kept. Each real table is one object: a header and either a list of entries
 * sorted by index or an array of all with a bitmap of those present. A list grows through classes
 * of doubling size into an array and never shrinks while it lives.
 *
 * A run entry stands for the subtree below it: populated, with leaves of one level, ascending
 * targets and equal flags; or empty, its tables without a leaf, as clear leaves them. The entries
 * that a run is split into share its struct, from which the address of every table and the target
 * of every leaf follow; the flags that can change are in the entry. */
#ifndef TS_MODELS_PGTABLE_PRIVATE_H
#define TS_MODELS_PGTABLE_PRIVATE_H

#include "models/mmu/pgtable.h"

/* An entry is a word, 0 if not present. With PT_LEAF it is a leaf's target, flags in the low 12
 * bits. Otherwise it is an address in this process, a multiple of 64: of a run with PT_RUN, of a
 * struct pt_held with PT_BROKEN, of a table with neither. */
#define PT_LEAF UINT64_C(1)
#define PT_WRITABLE UINT64_C(2)
#define PT_GLOBAL UINT64_C(4)
#define PT_ACCESSED UINT64_C(8)
#define PT_DIRTY UINT64_C(16)
#define PT_CONTIGUOUS UINT64_C(32)
#define PT_TARGET (~UINT64_C(0xfff))
#define PT_EMPTY UINT64_C(4) /* of a run; its PT_GLOBAL is in struct pt_run */
#define PT_BROKEN UINT64_C(4)
#define PT_RUN UINT64_C(32)
#define PT_TAGS UINT64_C(63)
/* A leaf's flags that a run entry holds itself. */
#define PT_CHANGING (PT_WRITABLE | PT_ACCESSED | PT_DIRTY)

#define PT_NONE UINT32_MAX

/* Classes of objects: 64 << class bytes, the last one a table with an array. */
#define PT_CLASSES 7u
#define PT_ARRAY (PT_CLASSES - 1u)

struct pt_table {
    uint64_t address;
    uint64_t base;   /* of its span, within the window */
    uint64_t leaves; /* in the whole subtree: empty ones are skipped */
    uint16_t used;   /* entries; broken ones count, so that the table stays */
    uint16_t cap;    /* of a list */
    uint8_t level;
    uint8_t size_class;
    bool array;
    uint64_t word[]; /* then a list's keys, or an array's bitmap */
};

struct pt_run {
    uint64_t base;   /* of the span that it was made for */
    uint64_t target; /* of base; modulo 2^64, as it may have been set for a part */
    uint64_t block;  /* the first table's address */
    uint64_t refs;   /* entries that point here */
    uint8_t level;   /* of the table with the entry that it was made for */
    uint8_t leaf;    /* level of the leaves */
    uint8_t fixed;   /* PT_GLOBAL and PT_CONTIGUOUS */
};

/* What a broken entry held. */
struct pt_held {
    uint64_t word;
};

struct pt_free {
    struct pt_free *next;
};

struct pt_block {
    struct pt_block *next;
};

/* The tables on the way to va, from the top down to level low: the next address is often near. */
struct pt_path {
    uint64_t va;
    uint32_t low;
    struct pt_table *t[TS_PT_LEVELS_MAX];
};

struct pt_foreign;

struct ts_pgtable {
    struct pt_foreign *foreign; /* NULL: the entries are here */
    struct pt_path *path;       /* = &way: const calls move it as well */
    uint64_t mask;              /* bits of an address that the levels translate */
    uint32_t last;              /* index of a table's last entry */
    uint32_t levels;
    uint8_t shift[TS_PT_LEVELS_MAX + 1]; /* log2 of the bytes that an entry of a level covers */
    uint8_t bits;
    uint8_t granule;
    uint8_t list_classes;
    struct pt_table *root;
    struct pt_path way;
    uint64_t tables;
    struct ts_pt_frames frames;
    struct pt_free *free[PT_CLASSES];
    uint32_t have; /* bit of each class that has free objects */
    struct pt_block *blocks;
    char *bump, *bump_end; /* what is not used yet of the newest block */
    uint64_t bytes;
    bool out_of_memory;
};

static inline bool pt_is_table(uint64_t entry)
{
    return entry != 0 && (entry & PT_TAGS) == 0;
}

static inline bool pt_is_run(uint64_t entry)
{
    return (entry & (PT_LEAF | PT_RUN)) == PT_RUN;
}

static inline bool pt_is_broken(uint64_t entry)
{
    return (entry & (PT_LEAF | PT_RUN | PT_BROKEN)) == PT_BROKEN;
}

static inline struct pt_table *pt_table_of(uint64_t entry)
{
    return (struct pt_table *)(uintptr_t)entry;
}

static inline struct pt_run *pt_run_of(uint64_t entry)
{
    return (struct pt_run *)(uintptr_t)(entry & ~PT_TAGS);
}

static inline struct pt_held *pt_held_of(uint64_t entry)
{
    return (struct pt_held *)(uintptr_t)(entry & ~PT_TAGS);
}

static inline uint64_t pt_word(const void *object)
{
    return (uintptr_t)object;
}

static inline uint32_t pt_index(const struct ts_pgtable *pt, uint64_t va, uint32_t level)
{
    return (uint32_t)(va >> pt->shift[level]) & pt->last;
}

/* Last byte of the span of an entry, from its first. */
static inline uint64_t pt_entry_last(const struct ts_pgtable *pt, uint32_t level)
{
    return (UINT64_C(1) << pt->shift[level]) - 1;
}

static inline uint64_t pt_entry_base(const struct ts_pgtable *pt, uint64_t va, uint32_t level)
{
    return (va & pt->mask) >> pt->shift[level] << pt->shift[level];
}

static inline uint16_t *pt_keys(const struct pt_table *t)
{
    return (uint16_t *)(uintptr_t)(t->word + t->cap);
}

static inline uint64_t *pt_present(struct pt_table *t, uint32_t last)
{
    return t->word + last + 1;
}

/* The place in a list of the first entry with this index or a higher one. Indices are often
 * neighbours, and what is looked for is often beyond the last. */
static inline uint32_t pt_place(const struct pt_table *t, uint32_t i)
{
    const uint16_t *key = pt_keys(t);
    uint32_t low = 0, n = t->used;
    if (n == 0 || key[n - 1] < i)
        return n;
    uint32_t guess = i - key[0];
    if (guess < n && key[guess] == i)
        return guess;
    while (n > 0) {
        uint32_t half = (n + 1) / 2;
        if (key[low + half - 1] < i)
            low += half;
        n -= half;
    }
    return low;
}

static inline uint64_t pt_get(const struct pt_table *t, uint32_t i)
{
    if (t->array)
        return t->word[i];
    uint32_t at = pt_place(t, i);
    return at < t->used && pt_keys(t)[at] == i ? t->word[at] : 0;
}

/* First entry present in [from, last]; PT_NONE if there is none. */
static inline uint32_t pt_next(const struct ts_pgtable *pt, const struct pt_table *t, uint32_t from,
                               uint32_t last)
{
    if (from > last)
        return PT_NONE;
    if (!t->array) {
        uint32_t at = pt_place(t, from);
        return at < t->used && pt_keys(t)[at] <= last ? pt_keys(t)[at] : PT_NONE;
    }
    const uint64_t *present = t->word + pt->last + 1;
    uint32_t word = from >> 6;
    uint64_t bits = present[word] >> (from & 63u) << (from & 63u);
    while (bits == 0) {
        if (++word > last >> 6)
            return PT_NONE;
        bits = present[word];
    }
    uint32_t i = word * 64u + (uint32_t)__builtin_ctzll(bits);
    return i <= last ? i : PT_NONE;
}

/* Sets entry i of an array, which was not present. */
static inline void pt_array_set(const struct ts_pgtable *pt, struct pt_table *t, uint32_t i,
                                uint64_t word)
{
    t->word[i] = word;
    pt_present(t, pt->last)[i >> 6] |= UINT64_C(1) << (i & 63u);
    t->used++;
}

/* Where a present entry's word is. */
static inline uint64_t *pt_slot(struct pt_table *t, uint32_t i)
{
    return &t->word[t->array ? i : pt_place(t, i)];
}

/* The deepest table on the way to va, not below the level. */
static inline struct pt_table *pt_descend(const struct ts_pgtable *pt, uint64_t va, uint32_t level)
{
    struct pt_path *p = pt->path;
    uint64_t differ = (va ^ p->va) & pt->mask;
    uint32_t l = p->low > level ? p->low : level;
    while (differ >> pt->shift[l + 1])
        l++;
    struct pt_table *t = p->t[l];
    if (l == level)
        return t;
    for (uint64_t entry; l > level; p->t[--l] = t) {
        entry = pt_get(t, pt_index(pt, va, l));
        if (!pt_is_table(entry))
            break;
        t = pt_table_of(entry);
    }
    p->va = va;
    p->low = l;
    return t;
}

/* Adds leaves (modulo 2^64) to the tables on the way to va, down to the level; they exist. */
static inline void pt_count(struct ts_pgtable *pt, uint64_t va, uint32_t level, uint64_t add)
{
    (void)pt_descend(pt, va, level);
    for (uint32_t l = level; l < pt->levels; l++)
        pt->path->t[l]->leaves += add;
}

static inline uint64_t pt_entry_of(const struct ts_pte *pte)
{
    return pte->target | PT_LEAF | (pte->writable ? PT_WRITABLE : 0) |
           (pte->global ? PT_GLOBAL : 0) | (pte->accessed ? PT_ACCESSED : 0) |
           (pte->dirty ? PT_DIRTY : 0) | (pte->contiguous ? PT_CONTIGUOUS : 0);
}

static inline struct ts_pte pt_pte_of(const struct ts_pgtable *pt, uint64_t entry, uint32_t level)
{
    struct ts_pte pte;
    pte.target = entry & PT_TARGET;
    pte.size_shift = pt->shift[level];
    pte.level = (uint8_t)level;
    pte.writable = (entry & PT_WRITABLE) != 0;
    pte.global = (entry & PT_GLOBAL) != 0;
    pte.accessed = (entry & PT_ACCESSED) != 0;
    pte.dirty = (entry & PT_DIRTY) != 0;
    pte.contiguous = (entry & PT_CONTIGUOUS) != 0;
    return pte;
}

/* pgtable_foreign.c: the functions of pgtable.h for tables that are elsewhere. */
void ts_pt_destroy_foreign_(struct ts_pgtable *pt);
uint64_t ts_pt_root_foreign_(const struct ts_pgtable *pt);
uint32_t ts_pt_walk_foreign_(const struct ts_pgtable *pt, uint64_t va, uint32_t start_level,
                             uint64_t start_table, uint64_t *fetch, uint8_t *levels_seen,
                             bool *found, struct ts_pte *pte);
bool ts_pt_lookup_foreign_(const struct ts_pgtable *pt, uint64_t va, struct ts_pte *out);
bool ts_pt_mark_foreign_(struct ts_pgtable *pt, uint64_t va, bool dirty);

/* pgtable_store.c. What allocates returns NULL when there is no memory, and has told the owner. */
bool ts_pt_grow_(struct ts_pgtable *pt, size_t bytes);
void *ts_pt_take_(struct ts_pgtable *pt, uint32_t size_class);
void ts_pt_give_(struct ts_pgtable *pt, void *object, uint32_t size_class);
/* A table of the structure with room for entries; the modelled machine's count and frames are the
 * caller's. */
struct pt_table *ts_pt_table_new_(struct ts_pgtable *pt, uint32_t level, uint64_t base,
                                  uint64_t address, uint32_t entries);
/* The table must be empty. The path forgets it. */
void ts_pt_table_drop_(struct ts_pgtable *pt, struct pt_table *t);
/* Room for more entries in all. The table may move; what pointed to it then points to the result.
 */
struct pt_table *ts_pt_reserve_(struct ts_pgtable *pt, struct pt_table *t, uint32_t entries);
/* See pt_set. */
struct pt_table *ts_pt_insert_(struct ts_pgtable *pt, struct pt_table *t, uint32_t i,
                               uint64_t word);
void ts_pt_unset_(const struct ts_pgtable *pt, struct pt_table *t, uint32_t i);
/* Takes count places of a list, from at on, out of it. */
void ts_pt_list_cut_(struct pt_table *t, uint32_t at, uint32_t count);
/* Frees what a word of a table of the level at base stands for, tables below it through the
 * frames. Returns the tables freed. */
uint64_t ts_pt_discard_(struct ts_pgtable *pt, uint64_t word, uint32_t level, uint64_t base);

/* pgtable_run.c. The level of a run's word is that of the table it stands in. */
uint64_t ts_pt_run_new_(struct ts_pgtable *pt, uint32_t level, uint32_t leaf, uint64_t base,
                        uint64_t first);
uint64_t ts_pt_run_address_(const struct ts_pgtable *pt, const struct pt_run *run, uint32_t level,
                            uint64_t va);
/* The leaf that covers va, which lies in a populated run. */
uint64_t ts_pt_run_leaf_(const struct ts_pgtable *pt, uint64_t word, uint64_t va);
/* Replaces the run entry of t that covers va by a table of smaller runs or of leaves. NULL as
 * above, and the entry stays. */
struct pt_table *ts_pt_run_split_(struct ts_pgtable *pt, struct pt_table *t, uint64_t va);
/* The table of the level on the way to va, runs on the way split. There is one. NULL as above. */
struct pt_table *ts_pt_expand_(struct ts_pgtable *pt, uint64_t va, uint32_t level);
/* Frees the tables of a run; freed, if not NULL, counts them by level. Returns their number. */
uint64_t ts_pt_run_free_(struct ts_pgtable *pt, uint64_t word, uint32_t level, uint64_t base,
                         uint32_t *freed);
/* Replaces the leaf of t that covers va by a table of leaves of the next level. False: as above. */
bool ts_pt_leaf_split_(struct ts_pgtable *pt, struct pt_table *t, uint64_t va);

/* log2 of the leaves below a run's entry. */
static inline uint32_t pt_run_order(const struct ts_pgtable *pt, uint32_t level, uint32_t leaf)
{
    return pt->bits * (level - leaf);
}

static inline uint64_t pt_run_leaves(const struct ts_pgtable *pt, uint64_t word, uint32_t level)
{
    return (word & PT_EMPTY) ? 0 : UINT64_C(1) << pt_run_order(pt, level, pt_run_of(word)->leaf);
}

/* Sets entry i, which was not present; the table may move as in ts_pt_reserve_. NULL as there. */
static inline struct pt_table *pt_set(struct ts_pgtable *pt, struct pt_table *t, uint32_t i,
                                      uint64_t word)
{
    if (t->array) {
        pt_array_set(pt, t, i, word);
        return t;
    }
    uint32_t n = t->used;
    if (n == t->cap || (n != 0 && pt_keys(t)[n - 1] > i))
        return ts_pt_insert_(pt, t, i, word);
    t->word[n] = word;
    pt_keys(t)[n] = (uint16_t)i;
    t->used++;
    return t;
}

#endif
