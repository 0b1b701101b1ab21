/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/tlb_private.h"

#include <stdlib.h>
#include <string.h>

#define SPARE_SPACES 64u
#define LINE_WORDS 8u /* of a cache line */

enum ts_status ts_tlb_check_geometry(const struct ts_tlb_geometry *g, struct ts_error *err)
{
    if (g->entries == 0)
        return TS_OK;
    if (g->entries > TLB_ENTRIES_MAX)
        return ts_error_set(err, TS_ERR_USER, "TLB of %u entries: at most %u are possible",
                            g->entries, TLB_ENTRIES_MAX);
    if (g->ways == 0 || g->entries % g->ways != 0)
        return ts_error_set(err, TS_ERR_USER,
                            "TLB of %u entries and %u ways: the ways must divide the entries",
                            g->entries, g->ways);
    uint32_t sets = g->entries / g->ways;
    if ((sets & (sets - 1)) != 0)
        return ts_error_set(err, TS_ERR_USER,
                            "TLB of %u entries and %u ways: %u sets are not a power of two",
                            g->entries, g->ways, sets);
    if (g->replacement == NULL)
        return ts_error_set(err, TS_ERR_USER, "TLB without a replacement policy");
    if (g->nsizes == 0 || g->nsizes > TS_TLB_SIZES_MAX)
        return ts_error_set(err, TS_ERR_USER, "TLB for %u page sizes: 1 to %u are possible",
                            g->nsizes, TS_TLB_SIZES_MAX);
    for (uint32_t i = 0; i < g->nsizes; i++)
        if (g->size_shift[i] < 12 || g->size_shift[i] > 56 ||
            (i > 0 && g->size_shift[i] <= g->size_shift[i - 1]))
            return ts_error_set(err, TS_ERR_USER,
                                "TLB page sizes must ascend between 2^12 and 2^56 bytes");
    return TS_OK;
}

static uint32_t bits_for(uint32_t n)
{
    uint32_t bits = 1;
    while ((1u << bits) < n)
        bits++;
    return bits;
}

/* Rows start and end with a cache line. */
static void lay_out(struct ts_tlb *t)
{
    t->lanes = TLB_GROUP;
    if (t->ways > TLB_GROUP)
        t->lanes = (t->ways + TLB_BLOCK - 1) / TLB_BLOCK * TLB_BLOCK;
    if (t->lanes <= TLB_BLOCK)
        t->way_mask = UINT64_MAX >> (TLB_BLOCK - t->ways);
    t->state_at = t->lanes / 4;
    t->tags_at = t->state_at + t->ways + 1;
    t->row_words = (t->tags_at + t->ways + LINE_WORDS - 1) / LINE_WORDS * LINE_WORDS;
}

/* The next of the arrays that share the block, which has bytes so far; block NULL: only counts. */
static void *part(char *block, size_t *bytes, size_t n, size_t size)
{
    char *at = block ? block + *bytes : NULL;
    *bytes += n * size;
    return at;
}

/* The arrays lie in one block, those of larger elements first. Returns its size. */
static size_t place_arrays(struct ts_tlb *t, char *block)
{
    size_t bytes = 0;
    t->rows = part(block, &bytes, (size_t)t->sets * t->row_words, sizeof(*t->rows));
    t->entries = part(block, &bytes, t->total, sizeof(*t->entries));
    t->spaces = part(block, &bytes, t->nspaces, sizeof(*t->spaces));
    for (uint32_t i = 0; i < TLB_INDICES; i++)
        t->heads[i] = part(block, &bytes, t->nspaces, sizeof(*t->heads[i]));
    t->used = part(block, &bytes, t->sets, sizeof(*t->used));
    t->free_spaces = part(block, &bytes, t->nspaces, sizeof(*t->free_spaces));
    t->live = part(block, &bytes, t->nspaces, sizeof(*t->live));
    return bytes;
}

static bool allocate(struct ts_tlb *t)
{
    const size_t line = LINE_WORDS * sizeof(*t->rows);
    /* At most one space an entry has entries, so some can always be freed: there are more, by the
     * one that has no entry yet and number 0, which is none. */
    uint32_t spare = t->total / 2 < SPARE_SPACES ? t->total / 2 : SPARE_SPACES;
    t->space_bits = bits_for(t->total + (t->total < 4 ? 2 : t->total / 2 + spare));
    t->nspaces = 1u << t->space_bits;
    t->memory = calloc(1, place_arrays(t, NULL) + line - 1);
    if (t->memory == NULL)
        return false;
    char *block = t->memory;
    place_arrays(t, block + (line - (uintptr_t)block % line) % line);
    return true;
}

enum ts_status ts_tlb_create(struct ts_tlb **out, const struct ts_tlb_geometry *geometry,
                             uint64_t seed, uint64_t instance, struct ts_error *err)
{
    enum ts_status status = ts_tlb_check_geometry(geometry, err);
    if (status != TS_OK)
        return status;
    struct ts_tlb *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for a TLB");
    t->memo.key = t->quick_key = UINT64_MAX;
    t->epoch = 1;
    if (geometry->entries != 0) {
        t->total = geometry->entries;
        t->ways = geometry->ways;
        t->sets = geometry->entries / geometry->ways;
        t->set_mask = t->sets - 1;
        t->nsizes = geometry->nsizes;
        memcpy(t->size_shift, geometry->size_shift, sizeof(t->size_shift));
        t->policy = geometry->replacement;
        t->on_hit = t->policy->on_hit;
        ts_rng_init(&t->rng, seed, "tlb", instance);
        lay_out(t);
        if (!allocate(t)) {
            ts_tlb_destroy(t);
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for a TLB of %u entries",
                                geometry->entries);
        }
        for (uint32_t n = t->nspaces - 1; n > 0; n--)
            t->free_spaces[t->nfree++] = n;
        for (uint32_t set = 0; set < t->sets; set++)
            t->policy->init(tlb_state(t, set), t->ways);
    }
    *out = t;
    return TS_OK;
}

void ts_tlb_destroy(struct ts_tlb *t)
{
    if (t == NULL)
        return;
    free(t->memory);
    free(t);
}

/* As tlb_find_tag, for more ways than a block has. */
uint32_t ts_tlb_find_wide_(const struct ts_tlb *t, uint32_t set, uint64_t tag)
{
    const uint64_t *tags = tlb_tags(t, set);
    const uint16_t *signatures = tlb_signatures(t, set);
    uint16_t s = tlb_signature(tag);
    for (uint32_t block = 0; block < t->lanes; block += TLB_BLOCK)
        for (uint64_t match = tlb_block_match(signatures + block, s); match != 0;
             match &= match - 1) {
            uint32_t way = block + (uint32_t)__builtin_ctzll(match);
            if (way < t->ways && tags[way] == tag)
                return way;
        }
    return TLB_NONE;
}

/* The way for an address of a page size in the spaces of ids: the context's own entry before a
 * global one. No stored tag has space number 0, so a context without a space of its own misses like
 * any. */
static inline uint32_t find_size(const struct ts_tlb *t, const struct tlb_memo *ids,
                                 uint64_t address, const struct tlb_size *size, bool own)
{
    uint64_t code = tlb_code(address, size);
    uint32_t set = tlb_set_of(t, address, size->shift);
    uint32_t way = own ? tlb_find_tag(t, set, code | ids->own) : TLB_NONE;
    if (way == TLB_NONE && ids->global != 0)
        way = tlb_find_tag(t, set, code | ids->global);
    return way;
}

/* The smallest page wins. own_from: first of the sizes for which the own space is still to be
 * looked up. */
static bool find(const struct ts_tlb *t, const struct tlb_memo *ids, uint64_t address,
                 uint32_t own_from, struct tlb_place *at)
{
    for (uint32_t i = 0; i < t->nactive; i++) {
        at->way = find_size(t, ids, address, &t->active[i], i >= own_from);
        at->set = tlb_set_of(t, address, t->active[i].shift);
        if (at->way != TLB_NONE)
            return true;
    }
    return false;
}

/* Apart from the quick look-ups, so that those keep no more registers than a hit needs. */
static __attribute__((noinline)) const struct ts_tlb_entry *
lookup_rest(struct ts_tlb *t, uint64_t key, uint64_t address, uint32_t own_from)
{
    if (t->nactive != 0) {
        struct tlb_place at;
        if (t->memo.key != key) {
            ts_tlb_memo_fill_(t, &t->memo, key);
            t->quick_key = t->lanes == TLB_GROUP ? key : UINT64_MAX;
        }
        if (find(t, &t->memo, address, own_from, &at)) {
            t->counters.hits++;
            t->on_hit(tlb_state(t, at.set), t->ways, at.way);
            return tlb_entry(t, at);
        }
    }
    t->counters.misses++;
    return NULL;
}

/* The usual hit: the context of the last look-up, the smallest size, not global. There is a size,
 * as a structure that becomes empty forgets the context. */
static inline __attribute__((always_inline)) const struct ts_tlb_entry *
lookup_quick(struct ts_tlb *t, uint64_t key, uint64_t address, uint32_t lanes)
{
    const struct tlb_size *size = &t->active[0];
    struct tlb_place at;
    at.set = tlb_set_of(t, address, size->shift);
    uint64_t tag = tlb_code(address, size) | t->memo.own;
    uint64_t *row = tlb_row(t, at.set);
    const uint64_t *tags = row + t->tags_at;
    uint64_t match = tlb_set_match(t, row, tag, lanes);
    for (; match != 0; match &= match - 1) {
        at.way = (uint32_t)__builtin_ctzll(match);
        if (tags[at.way] != tag)
            continue;
        const struct ts_tlb_entry *e = tlb_entry(t, at);
        t->counters.hits++;
        t->on_hit(row + t->state_at, t->ways, at.way);
        return e;
    }
    return lookup_rest(t, key, address, 1);
}

static __attribute__((noinline)) const struct ts_tlb_entry *
lookup_block(struct ts_tlb *t, uint64_t key, uint64_t address)
{
    if (t->memo.key != key || t->lanes != TLB_BLOCK)
        return lookup_rest(t, key, address, 0);
    return lookup_quick(t, key, address, TLB_BLOCK);
}

const struct ts_tlb_entry *ts_tlb_lookup(struct ts_tlb *t, uint64_t key, uint64_t address)
{
    TS_ASSERT(tlb_canonical(address));
    t->counters.lookups++;
    if (t->quick_key != key)
        return lookup_block(t, key, address);
    return lookup_quick(t, key, address, TLB_GROUP);
}

bool ts_tlb_probe(const struct ts_tlb *t, uint64_t key, uint64_t address, struct ts_tlb_entry *out)
{
    TS_ASSERT(tlb_canonical(address));
    if (t->nactive == 0)
        return false;
    struct tlb_memo ids;
    struct tlb_place at;
    ts_tlb_memo_fill_(t, &ids, key);
    if (!find(t, &ids, address, 0, &at))
        return false;
    *out = *tlb_entry(t, at);
    return true;
}

bool ts_tlb_probe_other(const struct ts_tlb *t, uint64_t key, uint64_t address, uint8_t shift)
{
    TS_ASSERT(tlb_canonical(address));
    /* Usually there is one size. */
    if (t->nactive == 0 || (t->nactive == 1 && t->active[0].shift == shift))
        return false;
    struct tlb_memo ids = t->memo;
    if (ids.key != key)
        ts_tlb_memo_fill_(t, &ids, key);
    for (uint32_t i = 0; i < t->nactive; i++)
        if (t->active[i].shift != shift &&
            find_size(t, &ids, address, &t->active[i], true) != TLB_NONE)
            return true;
    return false;
}

uint32_t ts_tlb_active_sizes(const struct ts_tlb *t)
{
    return t->nactive;
}

/* The lowest way of the set without a live entry. */
static uint32_t invalid_way(const struct ts_tlb *t, uint32_t set)
{
    if (t->used[set] == t->ways && t->dead == 0)
        return TLB_NONE;
    const uint64_t *tags = tlb_tags(t, set);
    for (uint32_t way = 0; way < t->ways; way++)
        if (!tlb_is_live(t, tags[way]))
            return way;
    return TLB_NONE;
}

/* All counts but valid. */
static void account(struct ts_tlb *t, const struct ts_tlb_tags *tags, uint32_t number)
{
    struct tlb_space *s = &t->spaces[number];
    uint32_t piece = tlb_is_piece(tags);
    s->count++;
    s->pieces += piece;
    t->pieces += piece;
    t->by_kind[tags->kind]++;
    t->seen_kinds |= (uint8_t)TS_TLB_KIND_BIT(tags->kind);
    t->seen_threads |= (uint8_t)(1u << tags->thread);
}

static void size_activate(struct ts_tlb *t, const struct tlb_size *size)
{
    uint32_t i = t->nactive;
    for (uint32_t j = 0; j < t->nactive; j++)
        if (t->active[j].shift == size->shift)
            return;
    for (; i > 0 && t->active[i - 1].shift > size->shift; i--)
        t->active[i] = t->active[i - 1];
    t->active[i] = *size;
    t->nactive++;
}

/* Empties a way for a tag: the one that carries it, else the lowest invalid one, else the policy's
 * victim. True if a valid entry had to go for another one. */
static bool make_room(struct ts_tlb *t, uint64_t tag, struct tlb_place *at,
                      struct ts_tlb_entry *evicted)
{
    at->way = tlb_find_tag(t, at->set, tag);
    if (at->way != TLB_NONE) {
        ts_tlb_place_drop_(t, *at);
        return false;
    }
    at->way = invalid_way(t, at->set);
    if (at->way != TLB_NONE) {
        if (tlb_tags(t, at->set)[at->way] != 0)
            ts_tlb_place_clear_(t, *at);
        return false;
    }
    at->way = t->policy->victim(tlb_state(t, at->set), t->ways, &t->rng);
    if (evicted)
        *evicted = *tlb_entry(t, *at);
    ts_tlb_place_drop_(t, *at);
    return true;
}

/* What an entry cannot have it does not carry: stage 2 has no ASID, only leaves of stage 1 are
 * global. */
static void normalise(struct ts_tlb_tags *tags)
{
    if (tlb_is_stage2(tags->kind))
        tags->asid = 0;
    if (tags->kind != TS_TLB_COMBINED)
        tags->global = false;
}

bool ts_tlb_insert(struct ts_tlb *t, const struct ts_tlb_entry *entry, struct ts_tlb_entry *evicted,
                   bool *did_evict)
{
    struct ts_tlb_entry e = *entry;
    if (did_evict)
        *did_evict = false;
    if (!ts_tlb_holds_size(t, e.tags.size_shift))
        return false;
    TS_ASSERT(tlb_canonical(e.tags.base));
    TS_ASSERT((e.tags.base & ((UINT64_C(1) << e.tags.size_shift) - 1)) == 0);
    TS_ASSERT(e.tags.thread < TS_TLB_THREADS_MAX);
    normalise(&e.tags);
    struct tlb_size size = tlb_size_of(e.tags.size_shift);
    uint64_t key = tlb_key_of(&e.tags);
    uint32_t number = t->memo.key == key ? tlb_number(t->memo.own) : 0;
    if (number == 0)
        number = ts_tlb_space_get_(t, key);
    uint64_t tag = tlb_code(e.tags.base, &size) | (uint64_t)number << TLB_SPACE_SHIFT;

    /* Counted at once: the structure is at no time empty when an entry makes way for this one. */
    t->valid++;
    struct tlb_place at = {tlb_set_of(t, e.tags.base, e.tags.size_shift), TLB_NONE};
    bool evicts = make_room(t, tag, &at, evicted);
    if (did_evict)
        *did_evict = evicts;
    tlb_tags(t, at.set)[at.way] = tag;
    tlb_signatures(t, at.set)[at.way] = tlb_signature(tag);
    *tlb_entry(t, at) = e;
    t->used[at.set]++;
    size_activate(t, &size);
    account(t, &e.tags, number);
    t->policy->on_fill(tlb_state(t, at.set), t->ways, at.way);
    t->counters.evictions += evicts;
    t->counters.fills++;
    return true;
}

bool ts_tlb_remove(struct ts_tlb *t, const struct ts_tlb_tags *tags, struct ts_tlb_entry *removed)
{
    if (!ts_tlb_holds_size(t, tags->size_shift))
        return false;
    struct ts_tlb_tags key = *tags;
    normalise(&key);
    uint32_t number = ts_tlb_space_find_(t, tlb_key_of(&key));
    if (number == 0)
        return false;
    struct tlb_size size = tlb_size_of(key.size_shift);
    struct tlb_place at = {tlb_set_of(t, key.base, key.size_shift), TLB_NONE};
    at.way =
        tlb_find_tag(t, at.set, tlb_code(key.base, &size) | (uint64_t)number << TLB_SPACE_SHIFT);
    if (at.way == TLB_NONE)
        return false;
    if (removed)
        *removed = *tlb_entry(t, at);
    ts_tlb_place_drop_(t, at);
    t->counters.evictions++;
    return true;
}

void ts_tlb_for_each(const struct ts_tlb *t, void (*fn)(void *user, const struct ts_tlb_entry *e),
                     void *user)
{
    struct tlb_place at;
    for (at.set = 0; at.set < t->sets; at.set++)
        for (at.way = 0; at.way < t->ways; at.way++)
            if (tlb_is_live(t, tlb_tags(t, at.set)[at.way]))
                fn(user, tlb_entry(t, at));
}

uint32_t ts_tlb_valid_count(const struct ts_tlb *t)
{
    return t->valid;
}

uint32_t ts_tlb_piece_count(const struct ts_tlb *t)
{
    return t->pieces;
}

uint32_t ts_tlb_sets(const struct ts_tlb *t)
{
    return t->sets;
}

bool ts_tlb_holds_size(const struct ts_tlb *t, uint8_t size_shift)
{
    for (uint32_t i = 0; i < t->nsizes; i++)
        if (t->size_shift[i] == size_shift)
            return true;
    return false;
}

const struct ts_tlb_counters *ts_tlb_counters(const struct ts_tlb *t)
{
    return &t->counters;
}
