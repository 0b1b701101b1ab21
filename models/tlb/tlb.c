/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/tlb_private.h"

#include <stdlib.h>
#include <string.h>

#define SPARE_SPACES 64u

static enum ts_status check_geometry(const struct ts_tlb_geometry *g, struct ts_error *err)
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

/* False when memory is short; what was allocated is freed by destroy. */
static bool allocate(struct ts_tlb *t)
{
    /* At most one space an entry is in use, so some can always be freed. */
    t->space_bits = bits_for(t->total + SPARE_SPACES);
    t->nspaces = 1u << t->space_bits;
    t->tags = calloc(t->total, sizeof(*t->tags));
    t->signatures = calloc((size_t)t->sets * t->lanes, sizeof(*t->signatures));
    t->entries = calloc(t->total, sizeof(*t->entries));
    t->replacement = calloc((size_t)t->sets * t->state_words, sizeof(*t->replacement));
    t->used = calloc(t->sets, sizeof(*t->used));
    t->spaces = calloc(t->nspaces, sizeof(*t->spaces));
    t->free_spaces = calloc(t->nspaces, sizeof(*t->free_spaces));
    t->space_head = calloc(t->nspaces, sizeof(*t->space_head));
    return t->tags && t->signatures && t->entries && t->replacement && t->used && t->spaces &&
           t->free_spaces && t->space_head;
}

enum ts_status ts_tlb_create(struct ts_tlb **out, const struct ts_tlb_geometry *geometry,
                             uint64_t seed, uint64_t instance, struct ts_error *err)
{
    enum ts_status status = check_geometry(geometry, err);
    if (status != TS_OK)
        return status;
    struct ts_tlb *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for a TLB");
    t->memo.key = UINT64_MAX;
    if (geometry->entries != 0) {
        t->total = geometry->entries;
        t->ways = geometry->ways;
        t->sets = geometry->entries / geometry->ways;
        t->nsizes = geometry->nsizes;
        memcpy(t->size_shift, geometry->size_shift, sizeof(t->size_shift));
        t->policy = geometry->replacement;
        t->on_hit = t->policy->on_hit;
        t->state_words = t->ways + 1;
        t->lanes = TLB_GROUP;
        if (t->ways > TLB_GROUP) /* whole blocks of four groups */
            t->lanes = (t->ways + 4 * TLB_GROUP - 1) / (4 * TLB_GROUP) * (4 * TLB_GROUP);
        ts_rng_init(&t->rng, seed, "tlb", instance);
        if (!allocate(t)) {
            ts_tlb_destroy(t);
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "no memory for a TLB of %u entries",
                                geometry->entries);
        }
        for (uint32_t n = t->nspaces - 1; n > 0; n--)
            t->free_spaces[t->nfree++] = n;
        for (uint32_t set = 0; set < t->sets; set++)
            t->policy->init(&t->replacement[(size_t)set * t->state_words], t->ways);
    }
    *out = t;
    return TS_OK;
}

void ts_tlb_destroy(struct ts_tlb *t)
{
    if (t == NULL)
        return;
    free(t->tags);
    free(t->entries);
    free(t->replacement);
    free(t->used);
    free(t->signatures);
    free(t->spaces);
    free(t->free_spaces);
    free(t->space_head);
    free(t);
}

/* As tlb_find_tag, for any number of ways. All groups of a block are compared before any
 * match is looked at. */
uint32_t ts_tlb_find_wide_(const struct ts_tlb *t, uint32_t set, uint64_t tag)
{
    const uint64_t *tags = &t->tags[set * t->ways];
    const uint16_t *signatures = &t->signatures[set * t->lanes];
    uint16_t s = tlb_signature(tag);
    for (uint32_t block = 0; block < t->lanes; block += 4 * TLB_GROUP) {
        uint64_t match = 0;
        for (uint32_t i = 0; i < 4; i++)
            match |= (uint64_t)tlb_group_match(signatures + block + i * TLB_GROUP, s)
                     << i * TLB_GROUP;
        for (; match != 0; match &= match - 1) {
            uint32_t way = block + (uint32_t)__builtin_ctzll(match);
            if (way < t->ways && tags[way] == tag)
                return way;
        }
    }
    return TLB_NONE;
}

/* The entry for an address in the spaces of ids, and its replacement state. The smallest page wins,
 * then the context's own entry before a global one. No stored tag has space number 0, so a context
 * without a space of its own misses like any. own_from: first of the sizes for which the own space
 * is still to be looked up. */
static const struct ts_tlb_entry *find(const struct ts_tlb *t, const struct tlb_memo *ids,
                                       uint64_t address, uint32_t own_from, struct tlb_place *place)
{
    for (uint32_t i = 0; i < t->nactive; i++) {
        const struct tlb_size *size = &t->active[i];
        uint64_t code = tlb_code(address, size);
        uint32_t set = tlb_set_of(t, address, size->shift);
        uint32_t way = i >= own_from ? tlb_find_tag(t, set, code | ids->own) : TLB_NONE;
        if (way == TLB_NONE && ids->global != 0)
            way = tlb_find_tag(t, set, code | ids->global);
        if (way != TLB_NONE) {
            place->set = set;
            place->way = way;
            return &t->entries[set * t->ways + way];
        }
    }
    return NULL;
}

static inline const struct ts_tlb_entry *use(struct ts_tlb *t, const struct ts_tlb_entry *e,
                                             uint32_t set, uint32_t way)
{
    t->counters.hits++;
    t->on_hit(&t->replacement[set * t->state_words], t->ways, way);
    return e;
}

static __attribute__((noinline)) const struct ts_tlb_entry *
lookup_rest(struct ts_tlb *t, uint64_t key, uint64_t address, uint32_t own_from)
{
    if (t->nactive != 0) {
        struct tlb_place at;
        if (t->memo.key != key)
            ts_tlb_memo_fill_(t, &t->memo, key);
        const struct ts_tlb_entry *e = find(t, &t->memo, address, own_from, &at);
        if (e != NULL)
            return use(t, e, at.set, at.way);
    }
    t->counters.misses++;
    return NULL;
}

const struct ts_tlb_entry *ts_tlb_lookup(struct ts_tlb *t, enum ts_tlb_kind kind, uint16_t vmid,
                                         uint16_t asid, uint64_t address)
{
    TS_ASSERT(tlb_canonical(address));
    t->counters.lookups++;
    uint64_t key = tlb_space_key(kind, vmid, tlb_is_stage2(kind) ? 0 : asid, false);
    if (t->memo.key != key)
        return lookup_rest(t, key, address, 0);
    /* The usual hit: the context of the last look-up, the smallest size, not global. Without an
     * active size there is no live tag to be found here either. */
    const struct tlb_size *size = &t->active[0];
    uint32_t set = tlb_set_of(t, address, size->shift);
    uint32_t way = tlb_find_tag(t, set, tlb_code(address, size) | t->memo.own);
    if (way == TLB_NONE)
        return lookup_rest(t, key, address, 1);
    return use(t, &t->entries[set * t->ways + way], set, way);
}

bool ts_tlb_probe(const struct ts_tlb *t, enum ts_tlb_kind kind, uint16_t vmid, uint16_t asid,
                  uint64_t address, struct ts_tlb_entry *out)
{
    TS_ASSERT(tlb_canonical(address));
    if (t->nactive == 0)
        return false;
    struct tlb_memo ids;
    struct tlb_place at;
    ts_tlb_memo_fill_(t, &ids, tlb_space_key(kind, vmid, tlb_is_stage2(kind) ? 0 : asid, false));
    const struct ts_tlb_entry *e = find(t, &ids, address, 0, &at);
    if (e == NULL)
        return false;
    *out = *e;
    return true;
}

/* The lowest way of the set without a live entry. */
static uint32_t invalid_slot(const struct ts_tlb *t, uint32_t set)
{
    if (t->used[set] == t->ways && t->dead == 0)
        return TLB_NONE;
    uint32_t first = set * t->ways;
    for (uint32_t slot = first; slot < first + t->ways; slot++)
        if (!tlb_is_live(t, t->tags[slot]))
            return slot;
    return TLB_NONE;
}

static void account(struct ts_tlb *t, uint32_t slot, uint32_t number)
{
    struct tlb_space *s = &t->spaces[number];
    uint32_t piece = tlb_is_piece(&t->entries[slot].tags);
    s->count++;
    s->pieces += piece;
    t->valid++;
    t->pieces += piece;
    t->by_kind[tlb_key_kind(s->key)]++;
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

bool ts_tlb_insert(struct ts_tlb *t, const struct ts_tlb_entry *entry, struct ts_tlb_entry *evicted,
                   bool *did_evict)
{
    struct ts_tlb_entry e = *entry;
    if (did_evict)
        *did_evict = false;
    if (!ts_tlb_holds_size(t, e.tags.size_shift))
        return false;
    struct tlb_size size = tlb_size_of(e.tags.size_shift);
    TS_ASSERT(tlb_canonical(e.tags.base));
    TS_ASSERT((e.tags.base & ((UINT64_C(1) << e.tags.size_shift) - 1)) == 0);
    if (tlb_is_stage2(e.tags.kind))
        e.tags.asid = 0;
    if (e.tags.kind != TS_TLB_COMBINED)
        e.tags.global = false;
    uint64_t key =
        tlb_space_key(e.tags.kind, e.tags.vmid, e.tags.global ? 0 : e.tags.asid, e.tags.global);
    uint32_t number = t->memo.key == key ? (uint32_t)(t->memo.own >> TLB_SPACE_SHIFT) : 0;
    if (number == 0)
        number = ts_tlb_space_get_(t, key);
    uint64_t tag = tlb_code(e.tags.base, &size) | (uint64_t)number << TLB_SPACE_SHIFT;
    uint32_t set = tlb_set_of(t, e.tags.base, e.tags.size_shift);
    uint64_t *state = &t->replacement[(size_t)set * t->state_words];

    uint32_t way = tlb_find_tag(t, set, tag);
    uint32_t slot = set * t->ways + way;
    if (way != TLB_NONE) {
        ts_tlb_slot_drop_(t, slot);
    } else {
        slot = invalid_slot(t, set);
        if (slot == TLB_NONE) {
            slot = set * t->ways + t->policy->victim(state, t->ways, &t->rng);
            t->counters.evictions++;
            if (evicted)
                *evicted = t->entries[slot];
            if (did_evict)
                *did_evict = true;
            ts_tlb_slot_drop_(t, slot);
        } else if (t->tags[slot] != 0) {
            ts_tlb_slot_clear_(t, slot);
        }
    }
    t->tags[slot] = tag;
    t->entries[slot] = e;
    t->used[set]++;
    size_activate(t, &size);
    t->signatures[set * t->lanes + slot - set * t->ways] = tlb_signature(tag);
    account(t, slot, number);
    t->policy->on_fill(state, t->ways, slot - set * t->ways);
    t->counters.fills++;
    return true;
}

void ts_tlb_for_each(const struct ts_tlb *t, void (*fn)(void *user, const struct ts_tlb_entry *e),
                     void *user)
{
    for (uint32_t slot = 0; slot < t->total; slot++)
        if (tlb_is_live(t, t->tags[slot]))
            fn(user, &t->entries[slot]);
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
