/* SPDX-License-Identifier: Apache-2.0 */
/* One- and two-dimensional page walks. Every fetch is charged. Cold, with n levels of stage 1 and m
 * of stage 2, a walk makes n fetches in one dimension and n * (m + 1) + m in two: each stage-1
 * table lies at an intermediate address, and so does the page. */
#include "models/mmu/mmu_private.h"

/* Good for this walk: tables of another shape may have been known by the same tags. */
static bool usable(const struct ts_tlb_entry *hit, uint32_t granule, uint32_t level)
{
    return hit != NULL && hit->tags.granule == granule && hit->tags.level <= level;
}

/* The deepest table the walk caches know for va; else the top. True from a walk cache. */
static bool start_of(struct mmu_walk *w, uint64_t va, uint32_t *level, uint64_t *table)
{
    struct ts_mmu *m = w->m;
    const struct ts_pgtable *stage1 = w->ctx->stage1;
    uint32_t granule = ts_pgtable_granule(stage1);
    uint32_t top = ts_pgtable_levels(stage1) - 1;
    *level = top;
    *table = ts_pgtable_root(stage1);
    uint64_t key = ts_tlb_key(TS_TLB_STAGE1_WALK, mmu_space(m, w->ctx));
    bool found = false;
    for (struct ts_tlb *const *t = m->walk; *t != NULL && !found; t++) {
        const struct ts_tlb_entry *hit = ts_tlb_lookup(*t, key, va);
        if (!usable(hit, granule, *level))
            continue;
        *level = hit->tags.level - 1u;
        *table = hit->target;
        found = true;
    }
    for (struct ts_tlb *const *t = m->walk_mixed; *t != NULL; t++) {
        const struct ts_tlb_entry *hit = ts_tlb_lookup(*t, key, va);
        if (!usable(hit, granule, *level))
            continue;
        *level = hit->tags.level - 1u;
        *table = hit->target;
        found = true;
    }
    m->stats.walk_cache_hits += found;
    return found;
}

/* Fetch i found the table that fetch i + 1 was made from. */
static void fill_walk_caches(struct mmu_walk *w, uint64_t va, uint32_t n, const uint64_t *fetch,
                             const uint8_t *levels)
{
    struct ts_mmu *m = w->m;
    uint32_t granule = ts_pgtable_granule(w->ctx->stage1);
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint32_t level = levels[i];
        struct ts_tlb_entry e = {0};
        e.tags.kind = TS_TLB_STAGE1_WALK;
        e.tags.vmid = w->ctx->vmid;
        e.tags.asid = w->ctx->asid;
        e.tags.ep4ta = w->ctx->ep4ta;
        e.tags.thread = (uint8_t)m->thread;
        e.tags.granule = (uint8_t)granule;
        e.tags.level = (uint8_t)level;
        e.tags.size_shift = (uint8_t)ts_granule_level_shift(granule, level);
        e.tags.base = mmu_page(va, e.tags.size_shift);
        e.target = mmu_page(fetch[i + 1], ts_granule_shift(granule));
        if (level <= MMU_WALK_LEVELS && m->unit[MMU_WALK_1 + level - 1] != NULL)
            ts_mmu_insert_(m, m->unit[MMU_WALK_1 + level - 1], &e);
        if (m->unit[MMU_WALK_ANY] != NULL)
            ts_mmu_insert_(m, m->unit[MMU_WALK_ANY], &e);
        if (m->params.walk_in_l2 && m->unit[MMU_L2] != NULL)
            ts_mmu_insert_(m, m->unit[MMU_L2], &e);
    }
}

static void compose(const struct mmu_walk *w, uint64_t va, const struct ts_pte *leaf,
                    const struct ts_tlb_entry *page, bool write, struct ts_tlb_entry *entry)
{
    uint32_t granule = ts_pgtable_granule(w->ctx->stage1);
    struct ts_tlb_entry e = {0};
    e.tags.kind = TS_TLB_COMBINED;
    e.tags.vmid = w->ctx->vmid;
    e.tags.asid = w->ctx->asid;
    e.tags.ep4ta = w->ctx->ep4ta;
    e.tags.thread = (uint8_t)w->m->thread;
    e.tags.granule = (uint8_t)granule;
    e.tags.global = leaf->global;
    e.tags.level = leaf->level;
    e.tags.size_shift = ts_mmu_leaf_shift_(w->m, granule, leaf, va);
    e.stage1_writable = leaf->writable;
    e.writable = leaf->writable;
    e.dirty = write || leaf->dirty;
    uint64_t pa = ts_pte_address(leaf, va);
    if (w->ctx->stage2 != NULL) {
        pa = page->target + (pa - page->tags.base);
        e.writable = leaf->writable && page->writable;
        e.dirty = e.dirty && (page->dirty || !w->m->params.stage2_ad);
        e.fractured = page->tags.size_shift < leaf->size_shift;
        if (page->tags.size_shift < e.tags.size_shift)
            e.tags.size_shift = page->tags.size_shift;
    }
    e.tags.base = mmu_page(va, e.tags.size_shift);
    e.target = mmu_page(pa, e.tags.size_shift);
    *entry = e;
}

/* Where the entry of a table that the walk cache gave translated lies. Asked only for the line that
 * the fetch is charged for. */
static uint64_t translated_pa(const struct mmu_walk *w, uint64_t ipa)
{
    struct ts_pte pte;
    if (w->m->memory.fetch == NULL || !ts_pgtable_lookup(w->ctx->stage2, ipa, &pte))
        return ipa;
    return ts_pte_address(&pte, ipa);
}

static enum ts_mmu_result walk_tables(struct mmu_walk *w, uint64_t va, bool write,
                                      struct ts_tlb_entry *entry, uint64_t *fault_va)
{
    const struct ts_mmu_context *ctx = w->ctx;
    uint32_t level;
    uint64_t table;
    bool translated = start_of(w, va, &level, &table);
    w->m->stale_span = w->m->stale2_span = 0;
    if (translated && w->m->watch_tables && !ts_pgtable_has_table(ctx->stage1, va, level, table)) {
        w->m->stale_table = table;
        w->m->stale_span = UINT64_C(1)
                           << ts_granule_level_shift(ts_pgtable_granule(ctx->stage1), level + 1);
    }
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t levels[TS_PT_LEVELS_MAX];
    bool found;
    struct ts_pte leaf;
    struct ts_tlb_entry page = {0};
    uint32_t n = ts_pgtable_walk(ctx->stage1, va, level, table, fetch, levels, &found, &leaf);
    if (ctx->late)
        found = ts_late_leaves_seen(ctx->late, va, levels[n - 1], found, &leaf);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t pa = fetch[i];
        if (ctx->stage2 != NULL && i == 0 && translated) {
            pa = translated_pa(w, pa);
        } else if (ctx->stage2 != NULL) {
            if (!ts_mmu_translate_ipa_(w, fetch[i], MMU_USE_TABLE, &page))
                return TS_MMU_FAULT_STAGE2;
            pa = page.target + (fetch[i] - page.tags.base);
        }
        ts_mmu_charge_fetch_(w, levels[i], pa);
    }
    if (!found || (write && !leaf.writable)) {
        *fault_va = va;
        return TS_MMU_FAULT_STAGE1;
    }
    if (ctx->stage2 != NULL) {
        uint64_t ipa = ts_pte_address(&leaf, va);
        if (!ts_mmu_translate_ipa_(w, ipa, write ? MMU_USE_WRITE : MMU_USE_READ, &page))
            return TS_MMU_FAULT_STAGE2;
    }
    if ((!leaf.accessed || (write && !leaf.dirty)) && ts_pgtable_mark(ctx->stage1, va, write)) {
        w->m->stats.ad_updates++;
        w->cycles += w->m->params.ad_update_cycles;
    }
    fill_walk_caches(w, va, n, fetch, levels);
    compose(w, va, &leaf, &page, write, entry);
    return TS_MMU_OK;
}

enum ts_mmu_result ts_mmu_walk_(struct ts_mmu *m, const struct mmu_request *q,
                                struct ts_tlb_entry *entry, uint64_t *cycles,
                                struct ts_stage2_abort *report)
{
    struct mmu_walk w = {.m = m, .ctx = q->ctx, .cycles = m->params.walk_start_cycles};
    if (m->has_walk_cache)
        w.cycles += m->params.walk_cache_cycles;
    uint32_t granules = 1u << ts_pgtable_granule(q->ctx->stage1);
    if (q->ctx->stage2 != NULL)
        granules |= 1u << ts_pgtable_granule(q->ctx->stage2);
    if (granules & ~m->granules)
        ts_mmu_use_granules_(m, m->seen_granules ? m->granules | granules : granules);
    m->seen_granules = true;
    enum ts_mmu_result result =
        walk_tables(&w, q->va, q->kind == TS_MMU_WRITE, entry, &report->ipa);
    if (result == TS_MMU_FAULT_STAGE2)
        *report = w.denied;
    m->stats.walks++;
    m->stats.fetch_walks += q->kind == TS_MMU_FETCH;
    m->stats.walk_cycles += w.cycles;
    m->stats.walk_faults += result != TS_MMU_OK;
    m->stats.stage2_faults += result == TS_MMU_FAULT_STAGE2;
    *cycles = w.cycles;
    return result;
}
