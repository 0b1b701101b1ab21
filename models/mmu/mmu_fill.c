/* SPDX-License-Identifier: Apache-2.0 */
/* Putting entries into the structures, by the rule of inclusion. */
#include "models/mmu/mmu_private.h"

static struct ts_tlb_entry piece_of(const struct ts_tlb_entry *entry, uint32_t shift,
                                    uint64_t address)
{
    struct ts_tlb_entry e = *entry;
    if (e.tags.size_shift > shift) {
        uint64_t base = mmu_page(address, shift);
        e.target += base - e.tags.base;
        e.tags.base = base;
        e.tags.size_shift = (uint8_t)shift;
    }
    return e;
}

static const struct mmu_place *place_of(const struct mmu_places *places,
                                        const struct ts_tlb_entry *entry)
{
    return &places->of[entry->tags.size_shift][entry->tags.granule];
}

static void note_size(struct mmu_unit *unit, const struct ts_tlb_entry *e)
{
    if (e->tags.kind == TS_TLB_COMBINED)
        unit->sizes |= UINT64_C(1) << e->tags.size_shift;
}

static bool remove_entry(struct mmu_unit *unit, const struct ts_tlb_tags *tags)
{
    struct ts_tlb_entry removed;
    if (!ts_tlb_remove(unit->tlb, tags, &removed))
        return false;
    if (ts_tlb_valid_count(unit->tlb) == 0)
        unit->sizes = 0;
    return true;
}

/* What goes from the L1 of a side with an entry of the second level: the same entry, a larger one
 * that the second level held in pieces, or its pieces. */
static void drop_included(struct ts_mmu *owner, uint32_t side, const struct ts_tlb_entry *evicted)
{
    static const uint8_t shifts[MMU_SIZES] = MMU_SHIFTS;
    const struct ts_tlb_tags *old = &evicted->tags;
    bool whole = old->size_shift >= ts_granule_level_shift(old->granule, old->level);
    uint32_t first = side == MMU_DATA ? MMU_L1D_4K : MMU_L1I_4K;
    uint32_t last = side == MMU_DATA ? MMU_L1D_ANY : MMU_L1I_ANY;
    for (uint32_t s = first; s <= last; s++)
        for (uint32_t i = 0; i < MMU_SIZES && owner->unit[s] != NULL; i++) {
            if (shifts[i] < old->size_shift || (whole && shifts[i] > old->size_shift) ||
                !ts_tlb_holds_size(owner->unit[s]->tlb, shifts[i]))
                continue;
            struct ts_tlb_tags tags = *old;
            tags.size_shift = shifts[i];
            tags.base = mmu_page(tags.base, shifts[i]);
            remove_entry(owner->unit[s], &tags);
        }
    const struct mmu_place *place = place_of(&owner->l1_places[side], evicted);
    if (place->unit == NULL || place->size_shift >= old->size_shift)
        return;
    struct ts_tlb_inval inval =
        ts_inval_tlbi_rvae1(old->vmid, old->asid, old->base, UINT64_C(1) << old->size_shift, true);
    if (!old->global)
        inval.asid_rule = TS_INVAL_ASID_MATCH;
    inval.ep4ta_rule = TS_INVAL_EP4TA_MATCH;
    inval.ep4ta = old->ep4ta;
    inval.thread = old->thread;
    ts_tlb_invalidate(place->unit->tlb, &inval, NULL);
}

static void evicted_from_l2(struct ts_mmu *m, const struct mmu_unit *l2,
                            const struct ts_tlb_entry *evicted)
{
    struct ts_mmu *owner = m->core->thread[evicted->tags.thread];
    if (owner == NULL || evicted->tags.kind != TS_TLB_COMBINED)
        return;
    bool split = owner->unit[MMU_L2I] != NULL;
    if (!split || l2->structure != MMU_L2I)
        drop_included(owner, MMU_DATA, evicted);
    if (!split || l2->structure == MMU_L2I)
        drop_included(owner, MMU_INSTRUCTION, evicted);
}

void ts_mmu_insert_(struct ts_mmu *m, struct mmu_unit *unit, const struct ts_tlb_entry *entry)
{
    bool second = unit->structure > MMU_L1_LAST && unit->structure <= MMU_L2_LAST;
    note_size(unit, entry);
    if (!second || m->params.inclusion != TS_MMU_INCLUSIVE) {
        ts_tlb_insert(unit->tlb, entry, NULL, NULL);
        return;
    }
    struct ts_tlb_entry evicted;
    bool did_evict = false;
    ts_tlb_insert(unit->tlb, entry, &evicted, &did_evict);
    if (did_evict)
        evicted_from_l2(m, unit, &evicted);
}

void ts_mmu_fill_place_(struct ts_mmu *m, const struct mmu_places *places,
                        const struct ts_tlb_entry *entry, uint64_t address)
{
    const struct mmu_place *place = place_of(places, entry);
    if (place->unit == NULL)
        return;
    if (entry->tags.size_shift == place->size_shift) {
        ts_mmu_insert_(m, place->unit, entry);
        return;
    }
    struct ts_tlb_entry e = piece_of(entry, place->size_shift, address);
    ts_mmu_insert_(m, place->unit, &e);
}

/* An L1's victim goes to the second level, unless a larger piece of the page is there. */
static void victim_to_l2(struct ts_mmu *m, uint32_t side, const struct ts_tlb_entry *victim)
{
    const struct mmu_place *place = place_of(&m->l2_places[side], victim);
    struct ts_tlb_entry there;
    const struct ts_tlb_tags *tags = &victim->tags;
    struct ts_tlb_space space = {tags->vmid, tags->asid, tags->ep4ta, tags->thread};
    if (place->unit == NULL ||
        (ts_tlb_probe(place->unit->tlb, ts_tlb_key(TS_TLB_COMBINED, space), tags->base, &there) &&
         there.tags.size_shift > tags->size_shift))
        return;
    struct ts_tlb_entry e = piece_of(victim, place->size_shift, tags->base);
    ts_mmu_insert_(m, place->unit, &e);
}

/* Into the L1 alone; into the second level where the L1 cannot hold the page. */
static void fill_exclusive(struct ts_mmu *m, uint32_t side, const struct ts_tlb_entry *entry,
                           uint64_t va)
{
    const struct mmu_place *place = place_of(&m->l1_places[side], entry);
    if (place->unit == NULL) {
        ts_mmu_fill_place_(m, &m->l2_places[side], entry, va);
        return;
    }
    struct ts_tlb_entry e = piece_of(entry, place->size_shift, va), evicted;
    bool did_evict = false;
    note_size(place->unit, &e);
    ts_tlb_insert(place->unit->tlb, &e, &evicted, &did_evict);
    if (did_evict)
        victim_to_l2(m, side, &evicted);
}

void ts_mmu_fill_(struct ts_mmu *m, const struct ts_tlb_entry *entry, const struct mmu_request *q)
{
    uint32_t side = mmu_side(q->kind);
    m->fractured |= entry->fractured;
    if (m->passes.kept && ts_mmu_passes_fill_(m, entry, q->va))
        return;
    if (m->params.inclusion != TS_MMU_EXCLUSIVE) {
        ts_mmu_fill_place_(m, &m->l2_places[side], entry, q->va);
        ts_mmu_fill_place_(m, &m->l1_places[side], entry, q->va);
        return;
    }
    /* What the second level had of the page may be older. */
    const struct mmu_place *place = place_of(&m->l2_places[side], entry);
    if (place->unit != NULL) {
        struct ts_tlb_entry e = piece_of(entry, place->size_shift, q->va);
        remove_entry(place->unit, &e.tags);
    }
    fill_exclusive(m, side, entry, q->va);
}

void ts_mmu_fill_from_l2_(struct ts_mmu *m, struct mmu_unit *from, const struct ts_tlb_entry *entry,
                          const struct mmu_request *q)
{
    uint32_t side = mmu_side(q->kind);
    const struct mmu_place *place = place_of(&m->l1_places[side], entry);
    if (place->unit == NULL)
        return;
    if (m->params.inclusion != TS_MMU_EXCLUSIVE) {
        ts_mmu_fill_place_(m, &m->l1_places[side], entry, q->va);
        return;
    }
    /* A larger page than the L1 takes stays where it is. */
    struct ts_tlb_entry e = *entry;
    if (place->size_shift == e.tags.size_shift)
        remove_entry(from, &e.tags);
    fill_exclusive(m, side, &e, q->va);
}
