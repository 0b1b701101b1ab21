/* SPDX-License-Identifier: Apache-2.0 */
/* Stage 2 of a walk: an intermediate address to a physical one, by the nested TLB or by a walk of
 * the stage-2 tables, which may start in their walk cache. */
#include "models/mmu/mmu_private.h"

void ts_mmu_charge_fetch_(struct mmu_walk *w, uint32_t level, uint64_t pa)
{
    const struct ts_mmu *m = w->m;
    if (m->memory.fetch != NULL)
        w->cycles += m->memory.fetch(m->memory.user, m->memory.core, pa);
    else
        w->cycles += level == 0 ? m->params.leaf_fetch_cycles : m->params.fetch_cycles;
    w->m->stats.walk_fetches++;
}

uint8_t ts_mmu_leaf_shift_(const struct ts_mmu *m, uint32_t granule, const struct ts_pte *leaf,
                           uint64_t va)
{
    if (!leaf->contiguous || !m->params.contiguous)
        return leaf->size_shift;
    uint32_t run = leaf->size_shift + ts_granule_contiguous_bits(granule, leaf->level);
    uint64_t inside = (UINT64_C(1) << run) - 1;
    bool aligned = ((mmu_page(va, leaf->size_shift) ^ leaf->target) & inside) == 0;
    return (uint8_t)(aligned ? run : leaf->size_shift);
}

/* Entries of the L2 may be pieces; the page behind them is larger. */
static struct ts_tlb_entry whole_page(const struct ts_tlb_entry *hit)
{
    struct ts_tlb_entry e = *hit;
    uint32_t shift = ts_granule_level_shift(e.tags.granule, e.tags.level);
    if (e.tags.size_shift < shift) {
        uint64_t base = mmu_page(e.tags.base, shift);
        e.target -= e.tags.base - base;
        e.tags.base = base;
        e.tags.size_shift = (uint8_t)shift;
    }
    return e;
}

static bool find_nested(struct mmu_walk *w, uint64_t ipa, struct ts_tlb_entry *out)
{
    struct ts_mmu *m = w->m;
    if (!m->has_nested)
        return false;
    w->cycles += m->params.nested_cycles;
    uint64_t key = ts_tlb_key(TS_TLB_STAGE2_LEAF, mmu_stage2_space(m, w->ctx));
    const struct ts_tlb_entry *hit = NULL;
    if (m->unit[MMU_NESTED] != NULL)
        hit = ts_tlb_lookup(m->unit[MMU_NESTED]->tlb, key, ipa);
    if (hit == NULL && m->params.nested_in_l2 && m->unit[MMU_L2] != NULL)
        hit = ts_tlb_lookup(m->unit[MMU_L2]->tlb, key, ipa);
    if (hit == NULL)
        return false;
    *out = whole_page(hit);
    return true;
}

/* The deepest stage-2 table known for ipa; else the top. True from the walk cache. */
static bool start_of(struct mmu_walk *w, uint64_t ipa, uint32_t *level, uint64_t *table)
{
    struct ts_mmu *m = w->m;
    const struct ts_pgtable *stage2 = w->ctx->stage2;
    *level = ts_pgtable_levels(stage2) - 1;
    *table = ts_pgtable_root(stage2);
    if (m->unit[MMU_WALK2] == NULL)
        return false;
    uint64_t key = ts_tlb_key(TS_TLB_STAGE2_WALK, mmu_stage2_space(m, w->ctx));
    const struct ts_tlb_entry *hit = ts_tlb_lookup(m->unit[MMU_WALK2]->tlb, key, ipa);
    if (hit == NULL || hit->tags.granule != (uint8_t)ts_pgtable_granule(stage2) ||
        hit->tags.level > *level)
        return false;
    *level = hit->tags.level - 1u;
    *table = hit->target;
    m->stats.stage2_walk_cache_hits++;
    return true;
}

/* For the oracle: a table of the walk cache that the tables do not have there. */
static void note_stale(struct mmu_walk *w, uint64_t ipa, uint32_t level, uint64_t table)
{
    struct ts_mmu *m = w->m;
    const struct ts_pgtable *stage2 = w->ctx->stage2;
    if (!m->watch_tables || m->stale2_span || ts_pgtable_has_table(stage2, ipa, level, table))
        return;
    m->stale2_ipa = ipa;
    m->stale2_table = table;
    m->stale2_span = UINT64_C(1) << ts_granule_level_shift(ts_pgtable_granule(stage2), level + 1);
}

/* Fetch i found the table that fetch i + 1 was made from. */
static void fill_walk2(struct mmu_walk *w, uint64_t ipa, uint32_t n, const uint64_t *fetch,
                       const uint8_t *levels)
{
    struct ts_mmu *m = w->m;
    uint32_t granule = ts_pgtable_granule(w->ctx->stage2);
    struct ts_tlb_space space = mmu_stage2_space(m, w->ctx);
    for (uint32_t i = 0; i + 1 < n && m->unit[MMU_WALK2] != NULL; i++) {
        struct ts_tlb_entry e = {0};
        e.tags.kind = TS_TLB_STAGE2_WALK;
        e.tags.vmid = space.vmid;
        e.tags.ep4ta = space.ep4ta;
        e.tags.thread = space.thread;
        e.tags.granule = (uint8_t)granule;
        e.tags.level = levels[i];
        e.tags.size_shift = (uint8_t)ts_granule_level_shift(granule, levels[i]);
        e.tags.base = mmu_page(ipa, e.tags.size_shift);
        e.target = mmu_page(fetch[i + 1], ts_granule_shift(granule));
        ts_mmu_insert_(m, m->unit[MMU_WALK2], &e);
    }
}

static struct ts_tlb_entry leaf_entry(const struct mmu_walk *w, uint64_t ipa,
                                      const struct ts_pte *pte)
{
    uint32_t granule = ts_pgtable_granule(w->ctx->stage2);
    struct ts_tlb_space space = mmu_stage2_space(w->m, w->ctx);
    struct ts_tlb_entry e = {0};
    e.tags.kind = TS_TLB_STAGE2_LEAF;
    e.tags.vmid = space.vmid;
    e.tags.ep4ta = space.ep4ta;
    e.tags.thread = space.thread;
    e.tags.granule = (uint8_t)granule;
    e.tags.level = pte->level;
    e.tags.size_shift = ts_mmu_leaf_shift_(w->m, granule, pte, ipa);
    e.tags.base = mmu_page(ipa, e.tags.size_shift);
    e.target = mmu_page(pte->target, e.tags.size_shift);
    e.writable = pte->writable;
    e.dirty = pte->dirty;
    return e;
}

/* SDM vol. 3C, "Accessed and Dirty Flags for EPT": set by the walk that uses the leaf. */
static void mark_leaf(struct mmu_walk *w, uint64_t ipa, bool dirty, const struct ts_pte *pte)
{
    struct ts_mmu *m = w->m;
    if (!m->params.stage2_ad || (pte->accessed && (!dirty || pte->dirty)) ||
        !ts_pgtable_mark(w->ctx->stage2, ipa, dirty))
        return;
    m->stats.ad_updates++;
    w->cycles += m->params.ad_update_cycles;
}

bool ts_mmu_translate_ipa_(struct mmu_walk *w, uint64_t ipa, enum mmu_use use,
                           struct ts_tlb_entry *out)
{
    struct ts_mmu *m = w->m;
    const struct ts_pgtable *stage2 = w->ctx->stage2;
    bool write = use == MMU_USE_WRITE;
    bool dirties = m->params.stage2_ad && use != MMU_USE_READ;
    if (find_nested(w, ipa, out)) {
        /* A walk is needed only to set the dirty bit. */
        if (!dirties || out->dirty || !out->writable) {
            m->stats.nested_hits++;
            if (!write || out->writable)
                return true;
            w->denied = (struct ts_stage2_abort){ipa, true, true, out->tags.level};
            return false;
        }
    }
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t levels[TS_PT_LEVELS_MAX];
    bool found;
    struct ts_pte pte;
    uint32_t level;
    uint64_t table;
    if (start_of(w, ipa, &level, &table))
        note_stale(w, ipa, level, table);
    uint32_t n = ts_pgtable_walk(stage2, ipa, level, table, fetch, levels, &found, &pte);
    m->stats.nested_walks++;
    for (uint32_t i = 0; i < n; i++)
        ts_mmu_charge_fetch_(w, levels[i], fetch[i]);
    if (!found || (write && !pte.writable)) {
        w->denied = (struct ts_stage2_abort){ipa, write, found, found ? pte.level : 0};
        return false;
    }
    dirties = dirties && pte.writable;
    mark_leaf(w, ipa, dirties, &pte);
    pte.dirty |= dirties;
    fill_walk2(w, ipa, n, fetch, levels);
    *out = leaf_entry(w, ipa, &pte);
    ts_mmu_fill_place_(m, &m->nested_places, out, ipa);
    return true;
}
