/* SPDX-License-Identifier: Apache-2.0 */
/* One- and two-dimensional page walks. Every fetch is charged. Cold, with n levels of stage 1 and m
 * of stage 2, a walk makes n fetches in one dimension and n * (m + 1) + m in two: each stage-1
 * table lies at an intermediate address, and so does the page. */
#include "models/mmu/mmu_private.h"

struct walk {
    struct ts_mmu *m;
    const struct ts_mmu_context *ctx;
    uint64_t cycles;
};

static void charge_fetch(struct walk *w, uint32_t level)
{
    const struct ts_mmu_params *p = &w->m->params;
    w->cycles += level == 0 ? p->leaf_fetch_cycles : p->fetch_cycles;
    w->m->stats.walk_fetches++;
}

void ts_mmu_fill_(const struct mmu_place *place, const struct ts_tlb_entry *entry, uint64_t address)
{
    if (place->tlb == NULL)
        return;
    struct ts_tlb_entry e = *entry;
    if (e.tags.size_shift > place->size_shift) {
        uint64_t base = mmu_page(address, place->size_shift);
        e.target += base - e.tags.base;
        e.tags.base = base;
        e.tags.size_shift = place->size_shift;
    }
    ts_tlb_insert(place->tlb, &e, NULL, NULL);
}

/* The stage-2 leaf for an IPA, from the nested TLB or by a walk. False: a stage-2 fault. */
static bool translate_ipa(struct walk *w, uint64_t ipa, bool write, struct ts_tlb_entry *out)
{
    struct ts_mmu *m = w->m;
    const struct ts_pgtable *stage2 = w->ctx->stage2;
    const struct ts_tlb_entry *hit =
        ts_tlb_lookup(m->t[MMU_NESTED], TS_TLB_STAGE2_LEAF, w->ctx->vmid, 0, ipa);
    if (hit != NULL) {
        m->stats.nested_hits++;
        *out = *hit;
        return !write || out->writable;
    }
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t levels[TS_PT_LEVELS_MAX];
    bool found;
    struct ts_pte pte;
    uint32_t n = ts_pgtable_walk(stage2, ipa, ts_pgtable_levels(stage2) - 1,
                                 ts_pgtable_root(stage2), fetch, levels, &found, &pte);
    for (uint32_t i = 0; i < n; i++)
        charge_fetch(w, levels[i]);
    if (!found || (write && !pte.writable))
        return false;
    struct ts_tlb_entry e = {0};
    e.tags.kind = TS_TLB_STAGE2_LEAF;
    e.tags.vmid = w->ctx->vmid;
    e.tags.size_shift = pte.size_shift;
    e.tags.level = pte.level;
    e.tags.base = mmu_page(ipa, pte.size_shift);
    e.target = pte.target;
    e.writable = pte.writable;
    *out = e;
    ts_mmu_fill_(&m->nested[pte.level], &e, ipa);
    return true;
}

/* The deepest table the walk caches know for va; else the top. True from a walk cache. */
static bool start_of(struct walk *w, uint64_t va, uint32_t *level, uint64_t *table)
{
    const struct ts_pgtable *stage1 = w->ctx->stage1;
    uint32_t top = ts_pgtable_levels(stage1) - 1;
    for (uint32_t l = 1; l <= MMU_WALK_LEVELS && l <= top; l++) {
        const struct ts_tlb_entry *hit = ts_tlb_lookup(
            w->m->t[MMU_WALK_1 + l - 1], TS_TLB_STAGE1_WALK, w->ctx->vmid, w->ctx->asid, va);
        if (hit == NULL)
            continue;
        *level = l - 1;
        *table = hit->target;
        w->m->stats.walk_cache_hits++;
        return true;
    }
    *level = top;
    *table = ts_pgtable_root(stage1);
    return false;
}

/* Fetch i found the table that fetch i + 1 was made from. */
static void fill_walk_caches(struct walk *w, uint64_t va, uint32_t n, const uint64_t *fetch,
                             const uint8_t *levels)
{
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint32_t level = levels[i];
        if (level > MMU_WALK_LEVELS)
            continue;
        struct ts_tlb_entry e = {0};
        e.tags.kind = TS_TLB_STAGE1_WALK;
        e.tags.vmid = w->ctx->vmid;
        e.tags.asid = w->ctx->asid;
        e.tags.size_shift = (uint8_t)TS_PT_SHIFT(level);
        e.tags.level = (uint8_t)level;
        e.tags.base = mmu_page(va, TS_PT_SHIFT(level));
        e.target = mmu_page(fetch[i + 1], 12);
        ts_tlb_insert(w->m->t[MMU_WALK_1 + level - 1], &e, NULL, NULL);
    }
}

static void compose(const struct walk *w, uint64_t va, const struct ts_pte *leaf,
                    const struct ts_tlb_entry *page, bool write, struct ts_tlb_entry *entry)
{
    struct ts_tlb_entry e = {0};
    e.tags.kind = TS_TLB_COMBINED;
    e.tags.vmid = w->ctx->vmid;
    e.tags.asid = w->ctx->asid;
    e.tags.global = leaf->global;
    e.tags.level = leaf->level;
    e.tags.size_shift = leaf->size_shift;
    e.stage1_writable = leaf->writable;
    e.writable = leaf->writable;
    e.dirty = write || leaf->dirty;
    uint64_t pa = leaf->target + (va - mmu_page(va, leaf->size_shift));
    if (w->ctx->stage2 != NULL) {
        pa = page->target + (pa - page->tags.base);
        e.writable = leaf->writable && page->writable;
        e.fractured = page->tags.size_shift < leaf->size_shift;
        if (e.fractured)
            e.tags.size_shift = page->tags.size_shift;
    }
    e.tags.base = mmu_page(va, e.tags.size_shift);
    e.target = mmu_page(pa, e.tags.size_shift);
    *entry = e;
}

static enum ts_mmu_result walk_tables(struct walk *w, uint64_t va, bool write,
                                      struct ts_tlb_entry *entry, uint64_t *fault_address)
{
    const struct ts_mmu_context *ctx = w->ctx;
    uint32_t level;
    uint64_t table;
    bool translated = start_of(w, va, &level, &table);
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t levels[TS_PT_LEVELS_MAX];
    bool found;
    struct ts_pte leaf;
    struct ts_tlb_entry page = {0};
    uint32_t n = ts_pgtable_walk(ctx->stage1, va, level, table, fetch, levels, &found, &leaf);
    for (uint32_t i = 0; i < n; i++) {
        if (ctx->stage2 != NULL && !(i == 0 && translated) &&
            !translate_ipa(w, fetch[i], false, &page)) {
            *fault_address = fetch[i];
            return TS_MMU_FAULT_STAGE2;
        }
        charge_fetch(w, levels[i]);
    }
    if (!found || (write && !leaf.writable)) {
        *fault_address = va;
        return TS_MMU_FAULT_STAGE1;
    }
    if (ctx->stage2 != NULL) {
        uint64_t ipa = leaf.target + (va - mmu_page(va, leaf.size_shift));
        if (!translate_ipa(w, ipa, write, &page)) {
            *fault_address = ipa;
            return TS_MMU_FAULT_STAGE2;
        }
    }
    if (!leaf.accessed || (write && !leaf.dirty))
        ts_pgtable_mark(ctx->stage1, va, write);
    fill_walk_caches(w, va, n, fetch, levels);
    compose(w, va, &leaf, &page, write, entry);
    return TS_MMU_OK;
}

enum ts_mmu_result ts_mmu_walk_(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                                bool write, struct ts_tlb_entry *entry, uint64_t *cycles,
                                uint64_t *fault_address)
{
    struct walk w = {m, ctx, m->params.walk_start_cycles};
    enum ts_mmu_result result = walk_tables(&w, va, write, entry, fault_address);
    m->stats.walks++;
    m->stats.walk_cycles += w.cycles;
    m->stats.walk_faults += result != TS_MMU_OK;
    m->stats.stage2_faults += result == TS_MMU_FAULT_STAGE2;
    *cycles += w.cycles;
    return result;
}
