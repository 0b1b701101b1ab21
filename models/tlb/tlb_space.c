/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces of a TLB structure and the slots that carry their numbers. */
#include "models/tlb/tlb_private.h"

uint32_t ts_tlb_space_find_(const struct ts_tlb *t, uint64_t key)
{
    uint32_t n = t->space_head[tlb_hash(key, t->space_bits)];
    while (n != 0 && t->spaces[n].key != key)
        n = t->spaces[n].hash_next;
    return n;
}

static void memo_forget(struct ts_tlb *t)
{
    t->memo.key = UINT64_MAX;
}

void ts_tlb_memo_fill_(const struct ts_tlb *t, struct tlb_memo *memo, uint64_t key)
{
    memo->key = key;
    memo->own = (uint64_t)ts_tlb_space_find_(t, key) << TLB_SPACE_SHIFT;
    memo->global = 0;
    /* Only leaves of stage 1 can be global. */
    if (tlb_key_kind(key) == TS_TLB_COMBINED) {
        uint64_t global = tlb_space_key(TS_TLB_COMBINED, tlb_key_vmid(key), 0, true);
        memo->global = (uint64_t)ts_tlb_space_find_(t, global) << TLB_SPACE_SHIFT;
    }
}

static void space_link(struct ts_tlb *t, uint32_t number)
{
    struct tlb_space *s = &t->spaces[number];
    uint32_t *head = &t->space_head[tlb_hash(s->key, t->space_bits)];
    s->hash_next = *head;
    *head = number;
    uint32_t list = tlb_vmid_list(tlb_key_vmid(s->key));
    s->vmid_prev = 0;
    s->vmid_next = t->vmid_head[list];
    if (s->vmid_next != 0)
        t->spaces[s->vmid_next].vmid_prev = number;
    t->vmid_head[list] = number;
    t->vmid_lists |= UINT64_C(1) << list;
}

static void space_unlink(struct ts_tlb *t, uint32_t number)
{
    struct tlb_space *s = &t->spaces[number];
    uint32_t *at = &t->space_head[tlb_hash(s->key, t->space_bits)];
    while (*at != number)
        at = &t->spaces[*at].hash_next;
    *at = s->hash_next;
    uint32_t list = tlb_vmid_list(tlb_key_vmid(s->key));
    if (s->vmid_prev != 0)
        t->spaces[s->vmid_prev].vmid_next = s->vmid_next;
    else
        t->vmid_head[list] = s->vmid_next;
    if (s->vmid_next != 0)
        t->spaces[s->vmid_next].vmid_prev = s->vmid_prev;
    if (t->vmid_head[list] == 0)
        t->vmid_lists &= ~(UINT64_C(1) << list);
}

uint32_t ts_tlb_space_drop_(struct ts_tlb *t, uint32_t number)
{
    struct tlb_space *s = &t->spaces[number];
    uint32_t count = s->count;
    space_unlink(t, number);
    memo_forget(t);
    s->live = false;
    s->count = 0;
    t->valid -= count;
    t->dead += count;
    t->pieces -= s->pieces;
    t->by_kind[tlb_key_kind(s->key)] -= count;
    s->pieces = 0;
    if (t->valid == 0)
        t->nactive = 0;
    /* No tag carries the number of a space that was empty. */
    if (count == 0)
        t->free_spaces[t->nfree++] = number;
    return count;
}

/* Removes the tags of dead entries, after which every number without live entries is free. Runs at
 * most once for as many new spaces as there are entries. */
static void compact(struct ts_tlb *t)
{
    for (uint32_t slot = 0; slot < t->total; slot++)
        if (t->tags[slot] != 0 && !tlb_is_live(t, t->tags[slot]))
            ts_tlb_slot_clear_(t, slot);
    TS_ASSERT(t->dead == 0);
    for (uint32_t n = 1; n < t->nspaces; n++)
        if (t->spaces[n].live && t->spaces[n].count == 0)
            space_unlink(t, n);
    memo_forget(t);
    t->nfree = 0;
    for (uint32_t n = t->nspaces - 1; n > 0; n--) {
        if (t->spaces[n].count != 0)
            continue;
        t->spaces[n].live = false;
        t->free_spaces[t->nfree++] = n;
    }
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
    s->count = 0;
    s->pieces = 0;
    s->live = true;
    space_link(t, number);
    memo_forget(t);
    return number;
}

void ts_tlb_slot_clear_(struct ts_tlb *t, uint32_t slot)
{
    uint64_t tag = t->tags[slot];
    if (!t->spaces[tag >> TLB_SPACE_SHIFT].live)
        t->dead--;
    t->tags[slot] = 0;
    const struct ts_tlb_tags *tags = &t->entries[slot].tags;
    t->used[tlb_set_of(t, tags->base, tags->size_shift)]--;
}

void ts_tlb_slot_drop_(struct ts_tlb *t, uint32_t slot)
{
    struct tlb_space *s = &t->spaces[t->tags[slot] >> TLB_SPACE_SHIFT];
    uint32_t piece = tlb_is_piece(&t->entries[slot].tags);
    s->count--;
    s->pieces -= piece;
    t->valid--;
    t->pieces -= piece;
    t->by_kind[tlb_key_kind(s->key)]--;
    ts_tlb_slot_clear_(t, slot);
    if (t->valid == 0)
        t->nactive = 0;
}
