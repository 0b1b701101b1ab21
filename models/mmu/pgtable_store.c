/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of page tables: blocks that grow with the whole, cut into objects of a few classes
 * that are used again and given back to the host at the end. */
#include "models/mmu/pgtable_private.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN 64u
#define BLOCK_MIN 1024u
#define BLOCK_MAX (256u * 1024u)

static size_t class_bytes(const struct ts_pgtable *pt, uint32_t size_class)
{
    if (size_class != PT_ARRAY)
        return (size_t)ALIGN << size_class;
    size_t entries = pt->last + 1u;
    size_t bytes = sizeof(struct pt_table) + entries * sizeof(uint64_t) + entries / 8u;
    return (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

/* Entries that a list of the class holds, each a word and a key. */
#define LIST_CAP(size_class) ((uint16_t)(((ALIGN << (size_class)) - sizeof(struct pt_table)) / 10u))
static const uint16_t list_cap[PT_ARRAY] = {LIST_CAP(0), LIST_CAP(1), LIST_CAP(2),
                                            LIST_CAP(3), LIST_CAP(4), LIST_CAP(5)};

static void free_push(struct ts_pgtable *pt, void *object, uint32_t size_class)
{
    struct pt_free *f = object;
    f->next = pt->free[size_class];
    pt->free[size_class] = f;
    pt->have |= 1u << size_class;
}

/* The rest of the old block becomes lists. */
static void spend_rest(struct ts_pgtable *pt)
{
    for (uint32_t size_class = pt->list_classes; size_class-- > 0;)
        while ((size_t)(pt->bump_end - pt->bump) >= class_bytes(pt, size_class)) {
            free_push(pt, pt->bump, size_class);
            pt->bump += class_bytes(pt, size_class);
        }
}

/* Blocks are at most half of what there is, so that a third at most is ever unused. */
bool ts_pt_grow_(struct ts_pgtable *pt, size_t bytes)
{
    size_t size = pt->bytes / 2u & ~(size_t)(ALIGN - 1);
    if (size < BLOCK_MIN)
        size = BLOCK_MIN;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < bytes)
        size = bytes;
    size_t all = size + ALIGN + sizeof(struct pt_block);
    struct pt_block *block = calloc(1, all);
    if (block == NULL)
        return false;
    spend_rest(pt);
    block->next = pt->blocks;
    pt->blocks = block;
    pt->bytes += all;
    uintptr_t first = ((uintptr_t)(block + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    pt->bump = (char *)first;
    pt->bump_end = pt->bump + size;
    return true;
}

void *ts_pt_take_(struct ts_pgtable *pt, uint32_t size_class)
{
    if (pt->free[size_class] != NULL) {
        struct pt_free *f = pt->free[size_class];
        pt->free[size_class] = f->next;
        if (f->next == NULL)
            pt->have &= ~(1u << size_class);
        return f;
    }
    size_t bytes = class_bytes(pt, size_class);
    if ((size_t)(pt->bump_end - pt->bump) < bytes && !ts_pt_grow_(pt, bytes)) {
        pt->out_of_memory = true;
        if (pt->frames.no_memory != NULL)
            pt->frames.no_memory(pt->frames.user);
        return NULL;
    }
    void *object = pt->bump;
    pt->bump += bytes;
    return object;
}

void ts_pt_give_(struct ts_pgtable *pt, void *object, uint32_t size_class)
{
    free_push(pt, object, size_class);
}

static uint32_t class_for(const struct ts_pgtable *pt, uint32_t entries)
{
    for (uint32_t size_class = 0; size_class < pt->list_classes; size_class++)
        if (list_cap[size_class] >= entries)
            return size_class;
    return PT_ARRAY;
}

/* A free object larger than needed costs nothing and saves growing: leaf tables, which grow most,
 * take the largest, others the smallest list. */
static uint32_t class_choose(const struct ts_pgtable *pt, uint32_t level, uint32_t entries)
{
    uint32_t least = class_for(pt, entries), have = pt->have >> least << least;
    if (level > 0 && least != PT_ARRAY)
        have &= ~(1u << PT_ARRAY);
    if (have == 0)
        return least;
    return level > 0 ? (uint32_t)__builtin_ctz(have) : 31u - (uint32_t)__builtin_clz(have);
}

static struct pt_table *table_take(struct ts_pgtable *pt, uint32_t size_class)
{
    struct pt_table *t = ts_pt_take_(pt, size_class);
    if (t == NULL)
        return NULL;
    t->size_class = (uint8_t)size_class;
    t->array = size_class == PT_ARRAY;
    t->cap = t->array ? 0 : list_cap[size_class];
    t->used = 0;
    return t;
}

struct pt_table *ts_pt_table_new_(struct ts_pgtable *pt, uint32_t level, uint64_t base,
                                  uint64_t address, uint32_t entries)
{
    TS_ASSERT((address & pt_entry_last(pt, 0)) == 0);
    struct pt_table *t = table_take(pt, class_choose(pt, level, entries));
    if (t == NULL)
        return NULL;
    t->address = address;
    t->base = base;
    t->leaves = 0;
    t->level = (uint8_t)level;
    return t;
}

/* An array goes back with all its words 0 again, as take expects. */
void ts_pt_table_drop_(struct ts_pgtable *pt, struct pt_table *t)
{
    TS_ASSERT(t->used == 0 && t->leaves == 0);
    struct pt_path *p = pt->path;
    if (p->low <= t->level && p->t[t->level] == t)
        p->low = t->level + 1u;
    ts_pt_give_(pt, t, t->size_class);
}

static void moved(struct ts_pgtable *pt, const struct pt_table *from, struct pt_table *to)
{
    if (to->level + 1u == pt->levels) {
        pt->root = to;
    } else {
        struct pt_table *up = pt_descend(pt, to->base, to->level + 1u);
        *pt_slot(up, pt_index(pt, to->base, up->level)) = pt_word(to);
    }
    if (pt->path->low <= to->level && pt->path->t[to->level] == from)
        pt->path->t[to->level] = to;
}

struct pt_table *ts_pt_reserve_(struct ts_pgtable *pt, struct pt_table *t, uint32_t entries)
{
    if (t->array || entries <= t->cap)
        return t;
    struct pt_table *to = table_take(pt, class_for(pt, entries));
    if (to == NULL)
        return NULL;
    to->address = t->address;
    to->base = t->base;
    to->leaves = t->leaves;
    to->level = t->level;
    to->used = to->array ? 0 : t->used;
    for (uint32_t at = 0; at < t->used; at++) {
        if (to->array) {
            pt_array_set(pt, to, pt_keys(t)[at], t->word[at]);
        } else {
            to->word[at] = t->word[at];
            pt_keys(to)[at] = pt_keys(t)[at];
        }
    }
    moved(pt, t, to);
    ts_pt_give_(pt, t, t->size_class);
    return to;
}

struct pt_table *ts_pt_insert_(struct ts_pgtable *pt, struct pt_table *t, uint32_t i, uint64_t word)
{
    t = ts_pt_reserve_(pt, t, t->used + 1u);
    if (t == NULL)
        return NULL;
    if (t->array) {
        pt_array_set(pt, t, i, word);
        return t;
    }
    uint16_t *key = pt_keys(t);
    uint32_t at = pt_place(t, i);
    memmove(t->word + at + 1, t->word + at, (t->used - at) * sizeof(*t->word));
    memmove(key + at + 1, key + at, (t->used - at) * sizeof(*key));
    t->word[at] = word;
    key[at] = (uint16_t)i;
    t->used++;
    return t;
}

void ts_pt_list_cut_(struct pt_table *t, uint32_t at, uint32_t count)
{
    uint16_t *key = pt_keys(t);
    uint32_t rest = t->used - at - count;
    if (rest != 0) {
        memmove(t->word + at, t->word + at + count, rest * sizeof(*t->word));
        memmove(key + at, key + at + count, rest * sizeof(*key));
    }
    t->used = (uint16_t)(t->used - count);
}

void ts_pt_unset_(const struct ts_pgtable *pt, struct pt_table *t, uint32_t i)
{
    if (!t->array) {
        ts_pt_list_cut_(t, pt_place(t, i), 1);
        return;
    }
    t->word[i] = 0;
    pt_present(t, pt->last)[i >> 6] &= ~(UINT64_C(1) << (i & 63u));
    t->used--;
}

static uint64_t discard_table(struct ts_pgtable *pt, struct pt_table *t)
{
    uint64_t freed = 1;
    for (uint32_t i = pt_next(pt, t, 0, pt->last); i != PT_NONE;
         i = pt_next(pt, t, i + 1, pt->last)) {
        uint64_t base = t->base + ((uint64_t)i << pt->shift[t->level]);
        freed += ts_pt_discard_(pt, pt_get(t, i), t->level, base);
        if (t->array)
            ts_pt_unset_(pt, t, i);
    }
    t->used = 0;
    t->leaves = 0;
    pt->frames.free_table(pt->frames.user, t->address);
    pt->tables--;
    ts_pt_table_drop_(pt, t);
    return freed;
}

uint64_t ts_pt_discard_(struct ts_pgtable *pt, uint64_t word, uint32_t level, uint64_t base)
{
    if (pt_is_table(word))
        return discard_table(pt, pt_table_of(word));
    if (pt_is_run(word))
        return ts_pt_run_free_(pt, word, level, base, NULL);
    uint64_t freed = 0;
    if (pt_is_broken(word)) {
        freed = ts_pt_discard_(pt, pt_held_of(word)->word, level, base);
        ts_pt_give_(pt, pt_held_of(word), 0);
    }
    return freed;
}
