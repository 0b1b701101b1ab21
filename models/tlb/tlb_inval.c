/* SPDX-License-Identifier: Apache-2.0 */
/* Applying an invalidation to a structure. What is dropped is what ts_tlb_inval_matches says of
 * each entry; this file only avoids asking every entry: forms without an address are decided once
 * an address space, address forms look into the sets of their pages. */
#include "models/tlb/tlb_private.h"

#define WALK_KINDS (TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK) | TS_TLB_KIND_BIT(TS_TLB_STAGE2_WALK))
/* More pages than sets and than this are looked for by going through all entries. */
#define PROBES_MIN 16u

struct visit {
    struct ts_tlb *t;
    const struct ts_tlb_inval *inval;
    uint32_t kinds; /* what is left of the kinds */
    uint32_t dropped;
};

/* The rule without its address part, for all entries of a space. */
static bool space_matches(const struct ts_tlb_inval *inval, uint64_t key)
{
    struct ts_tlb_inval rule = *inval;
    rule.all_addresses = true;
    rule.ttl_level = 0;
    struct ts_tlb_tags tags = {(enum ts_tlb_kind)tlb_key_kind(key),
                               tlb_key_vmid(key),
                               (uint16_t)(key >> 3),
                               (key >> 2 & 1u) != 0,
                               12,
                               0,
                               0};
    return ts_tlb_inval_matches(&rule, &tags);
}

/* Live entries in spaces that match; with drop, the spaces go. */
static uint32_t visit_list(struct visit *v, uint32_t list, bool drop)
{
    struct ts_tlb *t = v->t;
    uint32_t entries = 0;
    for (uint32_t n = t->vmid_head[list], next; n != 0; n = next) {
        next = t->spaces[n].vmid_next;
        uint64_t key = t->spaces[n].key;
        if (t->spaces[n].count == 0) {
            /* So that walks of the list stay short. */
            ts_tlb_space_drop_(t, n);
            continue;
        }
        if (!(v->kinds & TS_TLB_KIND_BIT(tlb_key_kind(key))) || !space_matches(v->inval, key))
            continue;
        entries += drop ? ts_tlb_space_drop_(t, n) : t->spaces[n].count;
    }
    return entries;
}

static uint32_t visit_key(struct visit *v, uint64_t key, bool drop)
{
    uint32_t n = ts_tlb_space_find_(v->t, key);
    if (n == 0 || v->t->spaces[n].count == 0 || !space_matches(v->inval, key))
        return 0;
    return drop ? ts_tlb_space_drop_(v->t, n) : v->t->spaces[n].count;
}

static uint32_t visit_spaces(struct visit *v, bool drop)
{
    const struct ts_tlb_inval *inval = v->inval;
    uint32_t entries = 0;
    if (inval->any_vmid) {
        for (uint64_t lists = v->t->vmid_lists; lists != 0; lists &= lists - 1)
            entries += visit_list(v, (uint32_t)__builtin_ctzll(lists), drop);
        return entries;
    }
    if (inval->asid_rule == TS_INVAL_ASID_ANY || inval->asid_rule == TS_INVAL_ASID_ANY_NONGLOBAL)
        return visit_list(v, tlb_vmid_list(inval->vmid), drop);
    /* At most these spaces can match one ASID. */
    for (uint32_t kind = 0; kind < TS_TLB_KINDS; kind++) {
        if (!(v->kinds & TS_TLB_KIND_BIT(kind)) || v->t->by_kind[kind] == 0)
            continue;
        uint16_t asid = tlb_is_stage2(kind) ? 0 : inval->asid;
        entries += visit_key(v, tlb_space_key(kind, inval->vmid, asid, false), drop);
        if (kind == TS_TLB_COMBINED)
            entries += visit_key(v, tlb_space_key(kind, inval->vmid, 0, true), drop);
    }
    return entries;
}

/* Drops the slot if it is live, of a kind that is left, and matches. */
static void visit_slot(struct visit *v, uint32_t slot)
{
    struct ts_tlb *t = v->t;
    const struct ts_tlb_tags *tags = &t->entries[slot].tags;
    if (!tlb_is_live(t, t->tags[slot]) || !(v->kinds & TS_TLB_KIND_BIT(tags->kind)) ||
        !ts_tlb_inval_matches(v->inval, tags))
        return;
    ts_tlb_slot_drop_(t, slot);
    v->dropped++;
}

/* Any address space may match: every way of the page's set is looked at. */
static void visit_page(struct visit *v, uint64_t address, const struct tlb_size *size)
{
    struct ts_tlb *t = v->t;
    uint64_t code = tlb_code(address, size);
    uint32_t first = tlb_set_of(t, address, size->shift) * t->ways;
    for (uint32_t slot = first; slot < first + t->ways; slot++)
        if ((t->tags[slot] & TLB_CODE_MASK) == code)
            visit_slot(v, slot);
}

/* One address space (in tag position; 0: none). */
static void visit_page_of(struct visit *v, uint64_t space, uint64_t address,
                          const struct tlb_size *size)
{
    if (space == 0)
        return;
    uint32_t set = tlb_set_of(v->t, address, size->shift);
    uint32_t way = tlb_find_tag(v->t, set, tlb_code(address, size) | space);
    if (way != TLB_NONE)
        visit_slot(v, set * v->t->ways + way);
}

/* Pages of the sizes the structure holds that the range touches; saturates. */
static uint64_t pages_in_range(const struct ts_tlb *t, const struct ts_tlb_inval *inval,
                               uint32_t only_shift)
{
    if (inval->length == 0)
        return 0;
    uint64_t pages = 0;
    uint64_t last = inval->start + (inval->length - 1);
    for (uint32_t i = 0; i < t->nsizes; i++) {
        uint32_t shift = t->size_shift[i];
        if (only_shift == 0 || only_shift == shift)
            pages += (last >> shift) - (inval->start >> shift) + 1;
    }
    return pages;
}

static void sweep(struct visit *v)
{
    for (uint32_t slot = 0; slot < v->t->total; slot++)
        if (v->t->tags[slot] != 0)
            visit_slot(v, slot);
}

/* Goes through all entries, but looks closer only at those of two address spaces. */
static void sweep_of(struct visit *v, uint64_t own, uint64_t global)
{
    struct ts_tlb *t = v->t;
    uint32_t left = t->spaces[own].count + t->spaces[global].count;
    for (uint32_t slot = 0; slot < t->total && left > 0; slot++) {
        uint64_t number = t->tags[slot] >> TLB_SPACE_SHIFT;
        if (number == 0 || (number != own && number != global))
            continue;
        left--;
        visit_slot(v, slot);
    }
}

/* The address spaces that a form with one ASID can match, for one kind. */
static void visit_range_of(struct visit *v, uint32_t kind, uint64_t last, bool whole)
{
    const struct ts_tlb_inval *inval = v->inval;
    struct tlb_memo ids;
    uint16_t asid = tlb_is_stage2(kind) ? 0 : inval->asid;
    ts_tlb_memo_fill_(v->t, &ids, tlb_space_key(kind, inval->vmid, asid, false));
    if (whole) {
        sweep_of(v, ids.own >> TLB_SPACE_SHIFT, ids.global >> TLB_SPACE_SHIFT);
        return;
    }
    for (uint32_t i = 0; i < v->t->nactive; i++) {
        struct tlb_size size = v->t->active[i];
        for (uint64_t page = inval->start >> size.shift; page <= last >> size.shift; page++) {
            visit_page_of(v, ids.own, page << size.shift, &size);
            visit_page_of(v, ids.global, page << size.shift, &size);
        }
    }
}

static void visit_range(struct visit *v)
{
    struct ts_tlb *t = v->t;
    const struct ts_tlb_inval *inval = v->inval;
    uint64_t pages = inval->all_addresses ? UINT64_MAX : pages_in_range(t, inval, 0);
    if (pages == 0)
        return;
    bool whole = t->pieces != 0 || (pages > t->sets && pages > PROBES_MIN);
    uint64_t last = inval->start + (inval->length - 1);
    bool one_asid = inval->asid_rule == TS_INVAL_ASID_MATCH ||
                    inval->asid_rule == TS_INVAL_ASID_MATCH_OR_GLOBAL;
    if (one_asid && !inval->any_vmid) {
        for (uint32_t kind = 0; kind < TS_TLB_KINDS; kind++)
            if ((v->kinds & TS_TLB_KIND_BIT(kind)) && t->by_kind[kind] != 0)
                visit_range_of(v, kind, last, whole);
        return;
    }
    if (whole) {
        sweep(v);
        return;
    }
    for (uint32_t i = 0; i < t->nactive; i++) {
        struct tlb_size size = t->active[i];
        for (uint64_t page = inval->start >> size.shift; page <= last >> size.shift; page++)
            visit_page(v, page << size.shift, &size);
    }
}

static uint32_t hardware_work(const struct ts_tlb *t, const struct ts_tlb_inval *inval)
{
    if (inval->all_addresses) {
        bool whatever_tags = inval->any_vmid && !inval->keep_host &&
                             inval->asid_rule == TS_INVAL_ASID_ANY && inval->ttl_level == 0;
        return whatever_tags ? 0 : t->sets;
    }
    if (t->pieces != 0)
        return t->sets;
    /* A level hint names the one size that leaves can have. */
    bool leaves_only = inval->last_level_only || !(inval->kinds & WALK_KINDS);
    uint32_t only = inval->ttl_level != 0 && leaves_only ? 12u + 9u * (inval->ttl_level - 1u) : 0;
    uint64_t pages = pages_in_range(t, inval, only);
    return pages < t->sets ? (uint32_t)pages : t->sets;
}

uint32_t ts_tlb_invalidate(struct ts_tlb *t, const struct ts_tlb_inval *inval, uint32_t *work)
{
    if (work)
        *work = t->total ? hardware_work(t, inval) : 0;
    t->counters.flushes += inval->all_addresses;
    uint32_t present = 0;
    for (uint32_t kind = 0; kind < TS_TLB_KINDS; kind++)
        present |= t->by_kind[kind] ? TS_TLB_KIND_BIT(kind) : 0;
    present &= inval->kinds;
    if (present == 0)
        return 0;

    /* Kinds for which the address does not matter go by the space. */
    struct visit v = {t, inval, 0, 0};
    if (inval->all_addresses && inval->ttl_level == 0)
        v.kinds = present;
    else if (inval->all_addresses || inval->walk_any_address)
        v.kinds = present & WALK_KINDS;
    uint32_t rest = present & ~v.kinds;
    if (v.kinds != 0)
        v.dropped = visit_spaces(&v, true);
    v.kinds = rest;
    if (rest != 0 && visit_spaces(&v, false) != 0)
        visit_range(&v);
    t->counters.invalidated += v.dropped;
    return v.dropped;
}
