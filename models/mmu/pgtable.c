/* SPDX-License-Identifier: Apache-2.0 */
#include "models/mmu/pgtable.h"

#include <stdlib.h>

#define ENTRIES 512u
#define WORDS (ENTRIES / 64u)
#define LEAF_LEVELS 3u /* 4K, 2M, 1G */

/* An entry is a word: a leaf's target with flags in the low 12 bits, or a table's address in this
 * process, whose low bits are 0. 0: not present. */
#define LEAF UINT64_C(1)
#define WRITABLE UINT64_C(2)
#define GLOBAL UINT64_C(4)
#define ACCESSED UINT64_C(8)
#define DIRTY UINT64_C(16)
#define TARGET_MASK (~UINT64_C(0xfff))

struct table {
    uint64_t entry[ENTRIES];
    uint64_t present[WORDS]; /* so that scans step over empty entries 64 at a time */
    uint64_t address;
    uint64_t leaves; /* in the whole subtree: empty ones are skipped */
    struct table *next_free;
    uint32_t used;
    uint32_t level;
    bool live;
};

struct chunk {
    struct chunk *next;
    uint32_t count;
    struct table tables[];
};

struct ts_pgtable {
    struct ts_pt_frames frames;
    uint32_t levels;
    struct table *root;
    struct table *free_list;
    struct chunk *chunks;
    uint64_t tables;
};

#define CHUNK_FIRST 4u
#define CHUNK_MAX 128u

/* True if the pool has a free table afterwards. Chunks grow, so small address spaces stay small. */
static bool pool_grow(struct ts_pgtable *pt)
{
    uint32_t count = pt->chunks ? pt->chunks->count * 2u : CHUNK_FIRST;
    if (count > CHUNK_MAX)
        count = CHUNK_MAX;
    struct chunk *c = calloc(1, sizeof(*c) + count * sizeof(struct table));
    if (c == NULL)
        return false;
    c->count = count;
    c->next = pt->chunks;
    pt->chunks = c;
    for (uint32_t i = count; i-- > 0;) {
        c->tables[i].next_free = pt->free_list;
        pt->free_list = &c->tables[i];
    }
    return true;
}

static struct table *table_new(struct ts_pgtable *pt, uint32_t level)
{
    /* The host's memory is the only limit; a simulation cannot go on without it. */
    TS_ASSERT(pt->free_list != NULL || pool_grow(pt));
    struct table *t = pt->free_list;
    pt->free_list = t->next_free;
    t->level = level;
    t->live = true;
    t->address = pt->frames.alloc_table(pt->frames.user);
    TS_ASSERT((t->address & ~TARGET_MASK) == 0);
    pt->tables++;
    return t;
}

/* The table is empty, so its entries are all 0 again. */
static void table_free(struct ts_pgtable *pt, struct table *t)
{
    TS_ASSERT(t->used == 0 && t->leaves == 0);
    pt->frames.free_table(pt->frames.user, t->address);
    t->live = false;
    t->next_free = pt->free_list;
    pt->free_list = t;
    pt->tables--;
}

static uint32_t index_of(uint64_t va, uint32_t level)
{
    return (uint32_t)(va >> TS_PT_SHIFT(level)) & (ENTRIES - 1);
}

static bool is_table(uint64_t entry)
{
    return entry != 0 && !(entry & LEAF);
}

static struct table *table_of(uint64_t entry)
{
    return (struct table *)(uintptr_t)entry;
}

static void entry_set(struct table *t, uint32_t i, uint64_t value)
{
    if (t->entry[i] == 0) {
        t->present[i >> 6] |= UINT64_C(1) << (i & 63u);
        t->used++;
    }
    t->entry[i] = value;
}

static void entry_clear(struct table *t, uint32_t i)
{
    t->entry[i] = 0;
    t->present[i >> 6] &= ~(UINT64_C(1) << (i & 63u));
    t->used--;
}

/* First present entry in [from, last]; ENTRIES if none. */
static uint32_t next_present(const struct table *t, uint32_t from, uint32_t last)
{
    if (from > last)
        return ENTRIES;
    uint32_t word = from >> 6;
    uint64_t bits = t->present[word] >> (from & 63u) << (from & 63u);
    while (bits == 0) {
        if (++word > last >> 6)
            return ENTRIES;
        bits = t->present[word];
    }
    uint32_t i = word * 64u + (uint32_t)__builtin_ctzll(bits);
    return i <= last ? i : ENTRIES;
}

static struct ts_pte pte_of(uint64_t entry, uint32_t level)
{
    struct ts_pte pte;
    pte.target = entry & TARGET_MASK;
    pte.size_shift = (uint8_t)TS_PT_SHIFT(level);
    pte.level = (uint8_t)level;
    pte.writable = (entry & WRITABLE) != 0;
    pte.global = (entry & GLOBAL) != 0;
    pte.accessed = (entry & ACCESSED) != 0;
    pte.dirty = (entry & DIRTY) != 0;
    return pte;
}

enum ts_status ts_pgtable_create(struct ts_pgtable **out, uint32_t levels,
                                 const struct ts_pt_frames *frames, struct ts_error *err)
{
    if (levels < 4 || levels > TS_PT_LEVELS_MAX)
        return ts_error_set(err, TS_ERR_USER, "page table of %u levels: 4 or 5 are possible",
                            levels);
    struct ts_pgtable *pt = calloc(1, sizeof(*pt));
    if (pt == NULL || !pool_grow(pt)) {
        free(pt);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for a page table");
    }
    pt->frames = *frames;
    pt->levels = levels;
    pt->root = table_new(pt, levels - 1);
    *out = pt;
    return TS_OK;
}

static void release_subtree(struct ts_pgtable *pt, const struct table *t)
{
    for (uint32_t i = next_present(t, 0, ENTRIES - 1); t->level > 0 && i < ENTRIES;
         i = next_present(t, i + 1, ENTRIES - 1))
        if (is_table(t->entry[i]))
            release_subtree(pt, table_of(t->entry[i]));
    pt->frames.free_table(pt->frames.user, t->address);
}

void ts_pgtable_destroy(struct ts_pgtable *pt)
{
    if (pt == NULL)
        return;
    release_subtree(pt, pt->root);
    for (struct chunk *c = pt->chunks, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    free(pt);
}

uint32_t ts_pgtable_map(struct ts_pgtable *pt, uint64_t va, const struct ts_pte *pte)
{
    TS_ASSERT(pte->level < LEAF_LEVELS && pte->size_shift == TS_PT_SHIFT(pte->level));
    uint64_t offset = (UINT64_C(1) << pte->size_shift) - 1;
    TS_ASSERT((va & offset) == 0 && (pte->target & offset) == 0);
    uint32_t allocated = 0;
    struct table *t = pt->root;
    t->leaves++;
    while (t->level > pte->level) {
        uint32_t i = index_of(va, t->level);
        if (t->entry[i] == 0) {
            entry_set(t, i, (uintptr_t)table_new(pt, t->level - 1));
            allocated++;
        }
        TS_ASSERT(is_table(t->entry[i]));
        t = table_of(t->entry[i]);
        t->leaves++;
    }
    uint32_t i = index_of(va, t->level);
    TS_ASSERT(t->entry[i] == 0);
    entry_set(t, i,
              pte->target | LEAF | (pte->writable ? WRITABLE : 0) | (pte->global ? GLOBAL : 0) |
                  (pte->accessed ? ACCESSED : 0) | (pte->dirty ? DIRTY : 0));
    return allocated;
}

/* The table whose entry for va is a leaf or not present; nothing below a level given. */
static struct table *descend(const struct ts_pgtable *pt, uint64_t va, uint32_t level)
{
    struct table *t = pt->root;
    while (t->level > level && is_table(t->entry[index_of(va, t->level)]))
        t = table_of(t->entry[index_of(va, t->level)]);
    return t;
}

bool ts_pgtable_lookup(const struct ts_pgtable *pt, uint64_t va, struct ts_pte *out)
{
    const struct table *t = descend(pt, va, 0);
    uint64_t entry = t->entry[index_of(va, t->level)];
    if (entry == 0)
        return false;
    *out = pte_of(entry, t->level);
    return true;
}

bool ts_pgtable_can_map(const struct ts_pgtable *pt, uint64_t va, uint32_t level)
{
    const struct table *t = descend(pt, va, level);
    return t->entry[index_of(va, t->level)] == 0;
}

uint32_t ts_pgtable_split(struct ts_pgtable *pt, uint64_t va)
{
    struct table *t = descend(pt, va, 0);
    uint32_t at = index_of(va, t->level);
    uint64_t entry = t->entry[at];
    if (entry == 0 || t->level == 0)
        return 0;
    struct table *below = table_new(pt, t->level - 1);
    for (uint32_t i = 0; i < ENTRIES; i++)
        entry_set(below, i, entry + ((uint64_t)i << TS_PT_SHIFT(below->level)));
    below->leaves = ENTRIES;
    t->entry[at] = (uintptr_t)below;
    for (struct table *up = pt->root;; up = table_of(up->entry[index_of(va, up->level)])) {
        up->leaves += ENTRIES - 1;
        if (up == t)
            break;
    }
    return 1;
}

bool ts_pgtable_mark(struct ts_pgtable *pt, uint64_t va, bool dirty)
{
    struct table *t = descend(pt, va, 0);
    uint64_t *entry = &t->entry[index_of(va, t->level)];
    uint64_t bits = dirty ? ACCESSED | DIRTY : ACCESSED;
    if (*entry == 0 || (*entry & bits) == bits)
        return false;
    *entry |= bits;
    return true;
}

struct range {
    struct ts_pgtable *pt;
    uint64_t start, last; /* inclusive */
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
    uint64_t window = UINT64_MAX >> (64u - TS_PT_SHIFT(pt->levels));
    r->pt = pt;
    r->start = start;
    r->last = end - 1;
    r->resume = end;
    if (end <= start && (end != 0 || start == 0))
        return false;
    if (r->last > (start | window))
        r->last = start | window;
    return true;
}

/* Address of entry i of a table whose first byte is base. */
static uint64_t entry_address(uint64_t base, uint32_t level, uint32_t i)
{
    return base + ((uint64_t)i << TS_PT_SHIFT(level));
}

static uint64_t window_base(const struct range *r)
{
    uint32_t bits = TS_PT_SHIFT(r->pt->levels);
    return r->start >> bits << bits;
}

/* The entries of a table at base that the range touches. */
static void bounds(const struct range *r, uint64_t base, uint32_t level, uint32_t *from,
                   uint32_t *to)
{
    uint32_t shift = TS_PT_SHIFT(level);
    *from = r->start > base ? (uint32_t)((r->start - base) >> shift) : 0;
    uint64_t distance = (r->last - base) >> shift;
    *to = distance < ENTRIES ? (uint32_t)distance : ENTRIES - 1;
}

static void check_whole(const struct range *r, uint64_t va, uint32_t level)
{
    TS_ASSERT(va >= r->start && va + ((UINT64_C(1) << TS_PT_SHIFT(level)) - 1) <= r->last);
}

static uint64_t clear_table(struct range *r, struct table *t, uint64_t base)
{
    uint32_t from, to;
    uint64_t cleared = 0;
    bounds(r, base, t->level, &from, &to);
    for (uint32_t i = next_present(t, from, to); i < ENTRIES; i = next_present(t, i + 1, to)) {
        uint64_t entry = t->entry[i];
        uint64_t va = entry_address(base, t->level, i);
        if (is_table(entry)) {
            struct table *below = table_of(entry);
            if (below->leaves != 0)
                cleared += clear_table(r, below, va);
        } else {
            if (r->max == 0) {
                r->resume = va;
                r->stopped = true;
                break;
            }
            check_whole(r, va, t->level);
            entry_clear(t, i);
            cleared++;
            r->max--;
            if (r->fn) {
                struct ts_pte pte = pte_of(entry, t->level);
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
        cleared = clear_table(&r, pt->root, window_base(&r));
    }
    if (resume)
        *resume = r.resume;
    return cleared;
}

static uint64_t protect_table(const struct range *r, struct table *t, uint64_t base)
{
    uint32_t from, to;
    uint64_t changed = 0;
    bounds(r, base, t->level, &from, &to);
    for (uint32_t i = next_present(t, from, to); i < ENTRIES; i = next_present(t, i + 1, to)) {
        uint64_t va = entry_address(base, t->level, i);
        if (is_table(t->entry[i])) {
            struct table *below = table_of(t->entry[i]);
            if (below->leaves != 0)
                changed += protect_table(r, below, va);
            continue;
        }
        check_whole(r, va, t->level);
        if (((t->entry[i] & WRITABLE) != 0) == r->writable)
            continue;
        t->entry[i] ^= WRITABLE;
        changed++;
        if (r->fn) {
            struct ts_pte pte = pte_of(t->entry[i], t->level);
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
    return protect_table(&r, pt->root, window_base(&r));
}

/* mm/memory.c free_pgd_range and the functions below it: a table goes if it lies between floor and
 * ceiling, the deeper ones first. What is left of a table with a leaf stays here too. */
static uint32_t free_below(struct range *r, struct table *t, uint64_t base)
{
    uint32_t from, to, freed = 0;
    bounds(r, base, t->level, &from, &to);
    for (uint32_t i = next_present(t, from, to); i < ENTRIES; i = next_present(t, i + 1, to)) {
        if (!is_table(t->entry[i]))
            continue;
        struct table *below = table_of(t->entry[i]);
        uint64_t first = entry_address(base, t->level, i);
        uint64_t last = first + ((UINT64_C(1) << TS_PT_SHIFT(t->level)) - 1);
        if (below->level > 0)
            freed += free_below(r, below, first);
        if (below->used != 0 || first < r->floor || last > r->top)
            continue;
        r->freed[below->level]++;
        freed++;
        table_free(r->pt, below);
        entry_clear(t, i);
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
    return free_below(&r, pt->root, window_base(&r));
}

/* Only a stale walk cache comes here, so a search of the pool is fast enough. */
static const struct table *find_live(const struct ts_pgtable *pt, uint32_t level, uint64_t address)
{
    for (const struct chunk *c = pt->chunks; c != NULL; c = c->next)
        for (uint32_t i = 0; i < c->count; i++)
            if (c->tables[i].live && c->tables[i].level == level && c->tables[i].address == address)
                return &c->tables[i];
    return NULL;
}

uint32_t ts_pgtable_walk(const struct ts_pgtable *pt, uint64_t va, uint32_t start_level,
                         uint64_t start_table, uint64_t fetch[TS_PT_LEVELS_MAX],
                         uint8_t levels_seen[TS_PT_LEVELS_MAX], bool *found, struct ts_pte *pte)
{
    TS_ASSERT(start_level < pt->levels);
    const struct table *t = descend(pt, va, start_level);
    if (t->level != start_level || t->address != start_table)
        t = find_live(pt, start_level, start_table);
    uint32_t n = 0;
    *found = false;
    if (t == NULL) {
        fetch[n] = start_table + index_of(va, start_level) * sizeof(uint64_t);
        levels_seen[n++] = (uint8_t)start_level;
        return n;
    }
    for (;;) {
        uint32_t i = index_of(va, t->level);
        fetch[n] = t->address + i * sizeof(uint64_t);
        levels_seen[n++] = (uint8_t)t->level;
        uint64_t entry = t->entry[i];
        if (is_table(entry)) {
            t = table_of(entry);
            continue;
        }
        if (entry != 0) {
            *found = true;
            *pte = pte_of(entry, t->level);
        }
        return n;
    }
}

uint32_t ts_pgtable_levels(const struct ts_pgtable *pt)
{
    return pt->levels;
}

uint64_t ts_pgtable_root(const struct ts_pgtable *pt)
{
    return pt->root->address;
}

uint64_t ts_pgtable_leaves(const struct ts_pgtable *pt)
{
    return pt->root->leaves;
}

uint64_t ts_pgtable_tables(const struct ts_pgtable *pt)
{
    return pt->tables;
}
