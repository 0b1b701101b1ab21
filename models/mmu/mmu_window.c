/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that reads a window of pages behind each new one, and whose course nothing changes: where
 * the structures replace the least recently used entry, each page of the window is in the second
 * level and none in the L1, whose entries have all been replaced before their pages come again; and
 * what a new page takes the place of is older than the window. One read after the other never waits
 * for a port or a walker. */
#include "models/mmu/mmu_window.h"

#include "models/mmu/mmu_private.h"
#include "models/tlb/replacement_table.h"

bool ts_mmu_window_fits(const struct ts_mmu *m, uint64_t pages)
{
    const struct ts_mmu_params *p = &m->params;
    bool lru =
        p->l1_replacement == TS_REPLACEMENT_TABLE_LRU && p->replacement == TS_REPLACEMENT_TABLE_LRU;
    bool plain = p->inclusion == TS_MMU_NON_INCLUSIVE && !p->walk_in_l2 && !p->nested_in_l2 &&
                 !p->l2_probe_cycles && !m->conflict_abort && m->memory.fetch == NULL;
    if (!lru || !plain || m->core->thread[1] != NULL || m->unit[MMU_L2] == NULL ||
        m->unit[MMU_L1D_4K] == NULL || m->unit[MMU_L1D_ANY] != NULL)
        return false;
    uint64_t sets = ts_tlb_sets(m->unit[MMU_L2]->tlb);
    return p->l1d_4k_ways == p->l1d_4k_entries && 2 * p->l1d_4k_entries <= pages &&
           pages / sets + 2 <= p->l2_ways;
}

uint64_t ts_mmu_window_hit_cycles(const struct ts_mmu *m)
{
    return m->l1_hit_cycles + m->params.l2_hit_cycles;
}

uint64_t ts_mmu_window_pass(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va,
                            uint64_t hits)
{
    struct mmu_request q = {.ctx = ctx, .va = va, .kind = TS_MMU_READ};
    struct ts_tlb_entry e;
    uint64_t cycles;
    struct ts_stage2_abort report;
    if (ts_mmu_walk_(m, &q, &e, &cycles, &report) != TS_MMU_OK)
        return UINT64_MAX;
    m->fractured |= e.fractured;
    ts_mmu_fill_place_(m, &m->l2_places[MMU_DATA], &e, va);
    m->stats.accesses += 1 + hits;
    m->stats.l2_hits += hits;
    return ts_mmu_window_hit_cycles(m) + cycles;
}

enum ts_mmu_found ts_mmu_where(const struct ts_mmu *m, const struct ts_mmu_context *ctx,
                               uint64_t va)
{
    uint64_t key = ts_tlb_key(TS_TLB_COMBINED, mmu_space(m, ctx));
    struct ts_tlb_entry e;
    for (struct ts_tlb *const *t = m->l1[MMU_DATA]; *t != NULL; t++)
        if (ts_tlb_probe(*t, key, va, &e))
            return TS_MMU_IN_L1;
    for (struct mmu_unit *const *u = m->l2[MMU_DATA]; *u != NULL; u++)
        if (ts_tlb_probe((*u)->tlb, key, va, &e))
            return TS_MMU_IN_L2;
    return TS_MMU_NOWHERE;
}

void ts_mmu_window_hit(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va)
{
    uint64_t key = ts_tlb_key(TS_TLB_COMBINED, mmu_space(m, ctx));
    bool found = ts_tlb_lookup(m->unit[MMU_L2]->tlb, key, va) != NULL;
    TS_ASSERT(found);
    m->stats.accesses++;
    m->stats.l2_hits++;
}

uint64_t ts_mmu_window_walk(struct ts_mmu *m, const struct ts_mmu_context *ctx, uint64_t va)
{
    return ts_mmu_window_pass(m, ctx, va, 0);
}

uint64_t ts_mmu_window_l1(const struct ts_mmu *m)
{
    return m->params.l1d_4k_entries;
}

bool ts_mmu_is_busy(const struct ts_mmu *m, uint64_t now)
{
    return m->needs_time && m->core->busy_until > now;
}
