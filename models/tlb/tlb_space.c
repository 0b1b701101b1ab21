/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces of a TLB structure and the places that carry their numbers. */
#include "models/tlb/tlb_private.h"

/* What an index looks at of a key. Stage-2 kinds differ from stage-1 ones in bit 1. */
static uint64_t part_of(enum tlb_index index, uint64_t key)
{
    switch (index) {
    case TLB_BY_CONTEXT:
        return key & ((UINT64_C(1) << 35) - 2);
    case TLB_BY_VMID:
        return tlb_key_vmid(key);
    case TLB_BY_EP4TA:
        return tlb_key_ep4ta(key);
    case TLB_BY_KEY:
    case TLB_INDICES:
        break;
    }
    return key;
}

static uint64_t *head_of(const struct ts_tlb *t, enum tlb_index index, uint64_t key)
{
    uint64_t hash = part_of(index, key) * UINT64_C(0x9e3779b97f4a7c15);
    return &t->heads[index][hash >> (64u - t->space_bits)];
}

/* Lists of an earlier epoch are empty. */
static uint32_t first_of(const struct ts_tlb *t, uint64_t head)
{
    return head >> TLB_SPACE_BITS == t->epoch ? (uint32_t)head & TLB_SPACE_MASK : 0;
}

uint32_t ts_tlb_space_first_(const struct ts_tlb *t, enum tlb_index index, uint64_t key)
{
    return first_of(t, *head_of(t, index, key));
}

uint32_t ts_tlb_space_find_(const struct ts_tlb *t, uint64_t key)
{
    uint32_t n = ts_tlb_space_first_(t, TLB_BY_KEY, key);
    while (n != 0 && t->spaces[n].key != key)
        n = t->spaces[n].link[TLB_BY_KEY].next;
    return n;
}

static void memo_forget(struct ts_tlb *t)
{
    t->memo.key = t->quick_key = UINT64_MAX;
}

/* So that a look-up in an empty structure ends at once. */
static void became_empty(struct ts_tlb *t)
{
    t->nactive = 0;
    memo_forget(t);
}

void ts_tlb_memo_fill_(const struct ts_tlb *t, struct tlb_memo *memo, uint64_t key)
{
    memo->key = key;
    memo->own = (uint64_t)ts_tlb_space_find_(t, key) << TLB_SPACE_SHIFT;
    memo->global = 0;
    if (tlb_key_kind(key) == TS_TLB_COMBINED)
        memo->global = (uint64_t)ts_tlb_space_find_(t, tlb_key_of_global(key)) << TLB_SPACE_SHIFT;
}

static uint32_t indices_of(uint64_t key)
{
    return tlb_key_ep4ta(key) != 0 ? TLB_INDICES : TLB_BY_EP4TA;
}

static void space_link(struct ts_tlb *t, uint32_t number)
{
    struct tlb_space *s = &t->spaces[number];
    for (uint32_t i = 0; i < indices_of(s->key); i++) {
        uint64_t *head = head_of(t, (enum tlb_index)i, s->key);
        uint32_t next = first_of(t, *head);
        s->link[i].prev = 0;
        s->link[i].next = next;
        if (next != 0)
            t->spaces[next].link[i].prev = number;
        *head = t->epoch << TLB_SPACE_BITS | number;
    }
    s->place = t->nlive;
    t->live[t->nlive++] = number;
}

static void space_unlink(struct ts_tlb *t, uint32_t number)
{
    struct tlb_space *s = &t->spaces[number];
    for (uint32_t i = 0; i < indices_of(s->key); i++) {
        uint32_t next = s->link[i].next, prev = s->link[i].prev;
        if (prev != 0)
            t->spaces[prev].link[i].next = next;
        else
            *head_of(t, (enum tlb_index)i, s->key) = t->epoch << TLB_SPACE_BITS | next;
        if (next != 0)
            t->spaces[next].link[i].prev = prev;
    }
    uint32_t last = t->live[--t->nlive];
    t->live[s->place] = last;
    t->spaces[last].place = s->place;
}

uint32_t ts_tlb_space_drop_(struct ts_tlb *t, uint32_t number)
{
    struct tlb_space *s = &t->spaces[number];
    uint32_t count = s->count;
    space_unlink(t, number);
    memo_forget(t);
    s->epoch = 0;
    t->valid -= count;
    t->dead += count;
    t->pieces -= s->pieces;
    t->by_kind[tlb_key_kind(s->key)] -= count;
    if (t->valid == 0)
        became_empty(t);
    /* No tag carries the number of a space that was empty. */
    if (count == 0)
        t->free_spaces[t->nfree++] = number;
    return count;
}

uint32_t ts_tlb_space_drop_all_(struct ts_tlb *t)
{
    uint32_t count = t->valid;
    t->epoch++;
    t->nlive = 0;
    t->dead += count;
    t->valid = 0;
    t->pieces = 0;
    for (uint32_t kind = 0; kind < TS_TLB_KINDS; kind++)
        t->by_kind[kind] = 0;
    became_empty(t);
    return count;
}

/* Removes the tags of dead entries, after which every number without live entries is free. Comes at
 * most once in nspaces - total new spaces, which is more than half of what it looks through. */
static void compact(struct ts_tlb *t)
{
    struct tlb_place at;
    for (at.set = 0; at.set < t->sets; at.set++)
        for (at.way = 0; at.way < t->ways; at.way++) {
            uint64_t tag = tlb_tags(t, at.set)[at.way];
            if (tag != 0 && !tlb_is_live(t, tag))
                ts_tlb_place_clear_(t, at);
        }
    TS_ASSERT(t->dead == 0);
    for (uint32_t i = t->nlive; i-- > 0;) {
        uint32_t number = t->live[i];
        if (t->spaces[number].count != 0)
            continue;
        space_unlink(t, number);
        t->spaces[number].epoch = 0;
    }
    memo_forget(t);
    t->nfree = 0;
    for (uint32_t n = t->nspaces - 1; n > 0; n--)
        if (!tlb_space_is_live(t, n))
            t->free_spaces[t->nfree++] = n;
    TS_ASSERT(t->nfree > 0);
}

uint32_t ts_tlb_space_get_(struct ts_tlb *t, uint64_t key)
{
    uint32_t number = ts_tlb_space_find_(t, key);
    if (number != 0)
        return number;
    if (t->nfree == 0)
        compact(t);
    number = t->free_spaces[--t->nfree];
    struct tlb_space *s = &t->spaces[number];
    s->key = key;
    s->epoch = t->epoch;
    s->count = 0;
    s->pieces = 0;
    space_link(t, number);
    memo_forget(t);
    return number;
}

void ts_tlb_place_clear_(struct ts_tlb *t, struct tlb_place at)
{
    uint64_t *tag = &tlb_tags(t, at.set)[at.way];
    if (!tlb_is_live(t, *tag))
        t->dead--;
    *tag = 0;
    t->used[at.set]--;
}

void ts_tlb_place_drop_(struct ts_tlb *t, struct tlb_place at)
{
    struct tlb_space *s = &t->spaces[tlb_number(tlb_tags(t, at.set)[at.way])];
    uint32_t piece = tlb_is_piece(&tlb_entry(t, at)->tags);
    s->count--;
    s->pieces -= piece;
    t->valid--;
    t->pieces -= piece;
    t->by_kind[tlb_key_kind(s->key)]--;
    ts_tlb_place_clear_(t, at);
    if (t->valid == 0)
        became_empty(t);
}
