/* SPDX-License-Identifier: Apache-2.0 */
/* Applying an invalidation to a structure. What is dropped is what ts_tlb_inval_matches says of
 * each entry; this file only avoids asking every entry: forms without an address are decided once
 * an address space, address forms look into the sets of their pages. */
#include "models/tlb/tlb_private.h"

#define WALK_KINDS (TS_TLB_KIND_BIT(TS_TLB_STAGE1_WALK) | TS_TLB_KIND_BIT(TS_TLB_STAGE2_WALK))
#define STAGE2_KINDS (TS_TLB_KIND_BIT(TS_TLB_STAGE2_LEAF) | TS_TLB_KIND_BIT(TS_TLB_STAGE2_WALK))
#define ALL_KINDS (TS_TLB_KIND_BIT(TS_TLB_KINDS) - 1u)
/* More pages than sets and than this are looked for by going through all entries. */
#define PROBES_MIN 16u
/* Up to so many address spaces, a page is looked for in each; then in all ways of its set. */
#define CHOSEN_MAX 4u
#define LEVELS_MAX 5u

struct visit {
    struct ts_tlb *t;
    const struct ts_tlb_inval *inval;
    uint32_t anywhere;   /* kinds for which the address does not matter */
    uint32_t free_kinds; /* those of them whose entries go or stay with their space */
    uint32_t kinds;      /* all others */
    uint32_t dropped;
    uint32_t chosen[CHOSEN_MAX]; /* spaces of the other kinds, the first few */
    uint32_t nchosen;
    uint32_t left; /* live entries in them */
};

static bool has_hint(const struct ts_tlb_inval *inval)
{
    return inval->ttl_level != 0 || inval->ttl_granule != 0;
}

static struct ts_tlb_tags tags_of_space(uint64_t key)
{
    struct ts_tlb_tags tags = {0};
    tags.kind = (enum ts_tlb_kind)tlb_key_kind(key);
    tags.vmid = tlb_key_vmid(key);
    tags.asid = tlb_key_asid(key);
    tags.global = (key & TLB_KEY_GLOBAL) != 0;
    tags.ep4ta = tlb_key_ep4ta(key);
    tags.thread = tlb_key_thread(key);
    tags.size_shift = 12;
    return tags;
}

/* Whether entries of a kind go or stay whatever their address. The rule itself is asked: what it
 * takes whatever the tags, with a range of no bytes, it takes whatever the address. */
static bool is_free_of_address(const struct ts_tlb_inval *inval, uint32_t kind)
{
    if (inval->all_addresses)
        return true;
    if (!inval->walk_any_address && !inval->stage2_any_address)
        return false;
    struct ts_tlb_inval rule = {0};
    rule.kinds = ALL_KINDS;
    rule.any_vmid = true;
    rule.any_thread = true;
    rule.asid_rule = TS_INVAL_ASID_ANY;
    rule.ep4ta_rule = TS_INVAL_EP4TA_ANY;
    rule.last_level_only = inval->last_level_only;
    rule.walk_any_address = inval->walk_any_address;
    rule.stage2_any_address = inval->stage2_any_address;
    struct ts_tlb_tags tags = tags_of_space(kind);
    return ts_tlb_inval_matches(&rule, &tags);
}

/* Takes a space that may match: it goes as a whole, or its entries are to be looked at. rule is the
 * invalidation without what concerns single entries. */
static void visit_space(struct visit *v, uint32_t number, const struct ts_tlb_inval *rule)
{
    struct tlb_space *s = &v->t->spaces[number];
    uint32_t kind = TS_TLB_KIND_BIT(tlb_key_kind(s->key));
    if (s->count == 0) {
        /* So that the lists stay short. */
        ts_tlb_space_drop_(v->t, number);
        return;
    }
    if (!((v->free_kinds | v->kinds) & kind))
        return;
    struct ts_tlb_tags tags = tags_of_space(s->key);
    if (!ts_tlb_inval_matches(rule, &tags))
        return;
    if (v->free_kinds & kind) {
        v->dropped += ts_tlb_space_drop_(v->t, number);
        return;
    }
    if (s->chosen == v->t->choice)
        return; /* two of the lists may be one */
    s->chosen = v->t->choice;
    if (v->nchosen < CHOSEN_MAX)
        v->chosen[v->nchosen] = number;
    v->nchosen++;
    v->left += s->count;
}

static void visit_list(struct visit *v, enum tlb_index index, uint64_t key,
                       const struct ts_tlb_inval *rule)
{
    uint32_t n = ts_tlb_space_first_(v->t, index, key);
    while (n != 0) {
        uint32_t next = v->t->spaces[n].link[index].next;
        visit_space(v, n, rule);
        n = next;
    }
}

/* The shortest lists that hold every space that may match. */
static void visit_spaces(struct visit *v)
{
    const struct ts_tlb_inval *inval = v->inval;
    uint32_t kinds = v->free_kinds | v->kinds;
    struct ts_tlb_inval rule = *inval;
    rule.all_addresses = true;
    rule.ttl_level = 0;
    rule.ttl_granule = 0;
    v->t->choice++;

    bool one_ep4ta = inval->ep4ta_rule == TS_INVAL_EP4TA_MATCH && inval->ep4ta != 0;
    bool one_asid = inval->asid_rule == TS_INVAL_ASID_MATCH ||
                    inval->asid_rule == TS_INVAL_ASID_MATCH_OR_GLOBAL;
    struct ts_tlb_space space = {inval->vmid, inval->asid, inval->ep4ta, 0};
    uint64_t key = ts_tlb_key(TS_TLB_COMBINED, space);
    if (!inval->any_vmid && one_asid) {
        if (kinds & ~STAGE2_KINDS)
            visit_list(v, TLB_BY_CONTEXT, key, &rule);
        if (inval->asid_rule == TS_INVAL_ASID_MATCH_OR_GLOBAL)
            visit_list(v, TLB_BY_CONTEXT, tlb_key_of_global(key), &rule);
        if (kinds & STAGE2_KINDS)
            visit_list(v, TLB_BY_CONTEXT, ts_tlb_key(TS_TLB_STAGE2_LEAF, space), &rule);
    } else if (one_ep4ta) {
        visit_list(v, TLB_BY_EP4TA, key, &rule);
    } else if (!inval->any_vmid) {
        visit_list(v, TLB_BY_VMID, key, &rule);
    } else {
        /* Backwards: a space that goes gives its place to the last one, which has been visited. */
        for (uint32_t i = v->t->nlive; i-- > 0;)
            visit_space(v, v->t->live[i], &rule);
    }
}

static void visit_place(struct visit *v, struct tlb_place at)
{
    if (!ts_tlb_inval_matches(v->inval, &tlb_entry(v->t, at)->tags))
        return;
    ts_tlb_place_drop_(v->t, at);
    v->dropped++;
}

static bool is_chosen(const struct visit *v, uint64_t tag)
{
    return tlb_is_live(v->t, tag) && v->t->spaces[tlb_number(tag)].chosen == v->t->choice;
}

static void visit_page(struct visit *v, uint64_t address, const struct tlb_size *size)
{
    struct ts_tlb *t = v->t;
    uint64_t code = tlb_code(address, size);
    struct tlb_place at = {tlb_set_of(t, address, size->shift), 0};
    if (v->nchosen <= CHOSEN_MAX) {
        for (uint32_t i = 0; i < v->nchosen; i++) {
            at.way = tlb_find_tag(t, at.set, code | (uint64_t)v->chosen[i] << TLB_SPACE_SHIFT);
            if (at.way != TLB_NONE)
                visit_place(v, at);
        }
        return;
    }
    const uint64_t *tags = tlb_tags(t, at.set);
    for (at.way = 0; at.way < t->ways; at.way++)
        if ((tags[at.way] & TLB_CODE_MASK) == code && is_chosen(v, tags[at.way]))
            visit_place(v, at);
}

/* Goes through all entries, but asks the rule of those in chosen spaces only. */
static void sweep(struct visit *v)
{
    struct ts_tlb *t = v->t;
    struct tlb_place at;
    for (at.set = 0; at.set < t->sets && v->left > 0; at.set++) {
        if (t->used[at.set] == 0)
            continue;
        const uint64_t *tags = tlb_tags(t, at.set);
        for (at.way = 0; at.way < t->ways && v->left > 0; at.way++) {
            if (!is_chosen(v, tags[at.way]))
                continue;
            v->left--;
            visit_place(v, at);
        }
    }
}

/* Whether an entry of this size may be what the hints name. A level without a granule stands for
 * all granules; a run of leaves with the contiguous bit is of their level. Entries above the leaves
 * are of any level. */
static bool size_may_go(const struct ts_tlb_inval *inval, uint32_t shift)
{
    bool leaves_only = inval->last_level_only || !(inval->kinds & WALK_KINDS);
    bool level_known = inval->ttl_level != 0 && leaves_only;
    if (!level_known && inval->ttl_granule == 0)
        return true;
    for (uint32_t granule = 0; granule < TS_GRANULES; granule++) {
        if (inval->ttl_granule != 0 && inval->ttl_granule != granule + 1)
            continue;
        for (uint32_t level = 0; level < LEVELS_MAX; level++) {
            if (level_known && inval->ttl_level != level + 1)
                continue;
            uint32_t size = ts_granule_level_shift(granule, level);
            bool runs = inval->ttl_granule != 0 && level < ts_granule_leaf_levels(granule);
            if (shift == size ||
                (runs && shift == size + ts_granule_contiguous_bits(granule, level)))
                return true;
        }
    }
    return false;
}

/* Pages of the sizes the structure holds that the range touches; hinted: of the sizes that the
 * hints leave. */
static uint64_t pages_in_range(const struct ts_tlb *t, const struct ts_tlb_inval *inval,
                               bool hinted)
{
    if (inval->length == 0)
        return 0;
    uint64_t pages = 0;
    uint64_t last = inval->start + (inval->length - 1);
    for (uint32_t i = 0; i < t->nsizes; i++) {
        uint32_t shift = t->size_shift[i];
        if (!hinted || size_may_go(inval, shift))
            pages += (last >> shift) - (inval->start >> shift) + 1;
    }
    return pages;
}

static void visit_range(struct visit *v)
{
    struct ts_tlb *t = v->t;
    const struct ts_tlb_inval *inval = v->inval;
    bool anywhere = (v->anywhere & v->kinds) != 0;
    uint64_t pages = anywhere ? UINT64_MAX : pages_in_range(t, inval, false);
    if (t->pieces != 0 || (pages > t->sets && pages > PROBES_MIN)) {
        sweep(v);
        return;
    }
    if (pages == 0)
        return;
    uint64_t last = inval->start + (inval->length - 1);
    /* A structure that becomes empty has no active size left. */
    for (uint32_t i = 0; i < t->nactive; i++) {
        struct tlb_size size = t->active[i];
        for (uint64_t page = inval->start >> size.shift; page <= last >> size.shift; page++)
            visit_page(v, page << size.shift, &size);
    }
}

/* Everything goes: no tag of any entry that the structure may hold makes a difference. Whether it
 * holds other threads' entries, or other kinds, is seen by those that ever came. */
static bool takes_everything(const struct ts_tlb *t, const struct ts_tlb_inval *inval)
{
    bool threads = inval->any_thread || (inval->thread < TS_TLB_THREADS_MAX &&
                                         !(t->seen_threads & ~(1u << inval->thread)));
    return inval->all_addresses && !has_hint(inval) && inval->any_vmid && !inval->keep_host &&
           inval->asid_rule == TS_INVAL_ASID_ANY && inval->ep4ta_rule == TS_INVAL_EP4TA_ANY &&
           threads && !(t->seen_kinds & ~inval->kinds) &&
           !(inval->last_level_only && (t->seen_kinds & WALK_KINDS));
}

static uint32_t hardware_work(const struct ts_tlb *t, const struct ts_tlb_inval *inval,
                              uint32_t anywhere)
{
    if (takes_everything(t, inval))
        return 0;
    if (inval->all_addresses || anywhere != 0 || t->pieces != 0)
        return t->sets;
    uint64_t pages = pages_in_range(t, inval, true);
    return pages < t->sets ? (uint32_t)pages : t->sets;
}

uint32_t ts_tlb_invalidate(struct ts_tlb *t, const struct ts_tlb_inval *inval, uint32_t *work)
{
    t->counters.flushes += inval->all_addresses;
    struct visit v;
    v.t = t;
    v.inval = inval;
    v.anywhere = v.kinds = v.dropped = v.nchosen = v.left = 0;
    for (uint32_t kind = 0; kind < TS_TLB_KINDS; kind++) {
        if (t->by_kind[kind] == 0 || !(inval->kinds & TS_TLB_KIND_BIT(kind)))
            continue;
        v.kinds |= TS_TLB_KIND_BIT(kind);
        if (is_free_of_address(inval, kind))
            v.anywhere |= TS_TLB_KIND_BIT(kind);
    }
    /* A hint concerns the single entry, of whatever kind. */
    v.free_kinds = has_hint(inval) ? 0 : v.anywhere;
    uint32_t present = v.kinds;
    v.kinds &= ~v.free_kinds;
    if (work)
        *work = t->total ? hardware_work(t, inval, v.anywhere) : 0;
    if (present == 0)
        return 0;
    if (takes_everything(t, inval)) {
        v.dropped = ts_tlb_space_drop_all_(t);
    } else {
        visit_spaces(&v);
        if (v.left != 0)
            visit_range(&v);
    }
    t->counters.invalidated += v.dropped;
    return v.dropped;
}
