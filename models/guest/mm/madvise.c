/* SPDX-License-Identifier: Apache-2.0 */
/* MADV_COLD, MADV_PAGEOUT and MADV_FREE (Linux 6.12 mm/madvise.c madvise_cold_or_pageout_pte_range,
 * madvise_free_pte_range; of 6.1 what guest.pageout_clears_young says, and that there a huge entry
 * is invalidated for MADV_COLD as well, which is left out). Accessed and dirty bits are cleared in
 * one walk over each VMA and flushed at its end; MADV_PAGEOUT reclaims table by table. */
#include "models/guest/mm/reclaim.h"

struct walk {
    enum ts_op_kind kind;
    struct ts_gather *gather;
    struct ts_unmap_batch *batch;
};

static bool clears_young(const struct walk *w)
{
    return w->kind != TS_OP_MADVISE_PAGEOUT || w->gather->mm->guest->params.pageout_clears_young;
}

/* What is said of a page whose entry has been found; true: a bit was cleared. */
static bool age(struct ts_task *self, const struct walk *w, uint64_t va, const struct ts_pte *pte)
{
    struct ts_mm *mm = w->gather->mm;
    struct ts_guest *g = mm->guest;
    bool frees = w->kind == TS_OP_MADVISE_FREE;

    if (frees && !ts_frame_is_lazyfree(g, pte->target)) { /* folio_mark_lazyfree */
        if (!ts_frame_set_lazyfree(g, pte->target, true))
            ts_guest_no_memory(self, g, "MADV_FREE");
        g->stats.pglazyfree += pte->level ? TS_TABLE_PTES : 1;
    }
    if (w->kind == TS_OP_MADVISE_PAGEOUT)
        w->batch->folios[w->batch->nfolios++] =
            (struct ts_folio){mm, va, pte->target, pte->level != 0};
    if (!clears_young(w) || !ts_pgtable_age(mm->pgtable, va, frees))
        return false;
    g->stats.pages_aged += pte->level ? TS_TABLE_PTES : 1;
    return true;
}

/* pmdp_invalidate: nobody has the entry meanwhile; who faults waits for the lock. */
static void invalidate_huge(struct ts_task *self, struct ts_mm *mm, uint64_t base)
{
    struct ts_oracle *o = mm->guest->oracle;
    uint32_t window = o ? ts_mm_window_open(mm, base, base + TS_TABLE_SPAN) : 0;
    struct ts_pt_broken broken;

    if (!ts_pgtable_break(mm->pgtable, base, 1, &broken))
        ts_guest_no_memory(self, mm->guest, "page tables");
    ts_flush_pmd_tlb_range(self, mm, base);
    ts_pgtable_make_again(mm->pgtable, &broken);
    if (o)
        ts_oracle_window_close(o, window);
}

static void age_huge(struct ts_task *self, const struct walk *w, uint64_t base)
{
    struct ts_mm *mm = w->gather->mm;
    struct ts_spinlock *ptl = ts_pmd_lock(self, mm, base);
    struct ts_pte pte;

    if (ts_pgtable_lookup(mm->pgtable, base, &pte) && pte.level &&
        ts_huge_mapped_once(mm->guest, pte.target)) {
        if (w->kind == TS_OP_MADVISE_FREE && (pte.accessed || pte.dirty))
            invalidate_huge(self, mm, base);
        if (age(self, w, base, &pte))
            ts_gather_changed_pmd(w->gather, base);
    }
    ts_task_work(self, mm->guest->params.zap_page_cycles / 2);
    ts_spin_unlock(self, ptl);
}

/* Huge pages of which entries of 4K are left are split first, if they can be. */
static void split_what_is_large(struct ts_task *self, const struct walk *w, uint64_t start,
                                uint64_t end)
{
    struct ts_mm *mm = w->gather->mm;
    struct ts_pte pte;

    for (uint64_t va = start; va < end; va += TS_PAGE_BYTES) {
        if (!ts_pgtable_lookup(mm->pgtable, va, &pte) || pte.level ||
            !ts_frame_is_part_of_huge(mm->guest, pte.target))
            continue;
        (void)ts_split_folio(self, w->batch, mm, va);
        return;
    }
}

/* An entry of 4K costs half of what unmapping one does, as for mprotect (assumed). */
static void age_table(struct ts_task *self, const struct walk *w, uint64_t start, uint64_t end)
{
    struct ts_mm *mm = w->gather->mm;
    const struct ts_guest_params *p = &mm->guest->params;
    struct ts_spinlock *ptl;
    struct ts_pte pte;
    uint64_t n = 0;

    split_what_is_large(self, w, start, end);
    ptl = ts_ptl_lock(self, mm, start);
    ts_flush_batched_pending(self, mm);
    if (w->kind == TS_OP_MADVISE_FREE)
        n += ts_mm_clear_swapped(mm, start, end); /* free_swap_and_cache */
    for (uint64_t va = start; va < end; va += TS_PAGE_BYTES) {
        if (!ts_pgtable_lookup(mm->pgtable, va, &pte) || pte.level ||
            !ts_frame_mapped_once(mm->guest, pte.target))
            continue;
        n++;
        if (age(self, w, va, &pte))
            ts_gather_changed(w->gather, va, va + TS_PAGE_BYTES);
    }
    ts_task_work(self, n ? n * p->zap_page_cycles / 2 : p->zap_empty_table_cycles);
    ts_spin_unlock(self, ptl);
}

static void walk_range(struct ts_task *self, const struct walk *w, uint64_t start, uint64_t end)
{
    struct ts_mm *mm = w->gather->mm;
    uint64_t va = start, skip_to;

    while (va < end) {
        uint64_t next = ts_table_span_end(va, end);
        enum ts_pmd pmd = ts_mm_pmd(mm, va, &skip_to);
        if (pmd == TS_PMD_NONE) {
            ts_task_work(self, mm->guest->params.zap_empty_table_cycles);
            va = skip_to;
            continue;
        }
        if (pmd == TS_PMD_HUGE && next - va == TS_TABLE_SPAN) {
            age_huge(self, w, va);
        } else {
            if (pmd == TS_PMD_HUGE)
                (void)ts_split_folio(self, w->batch, mm, va);
            age_table(self, w, va, next);
        }
        if (w->kind == TS_OP_MADVISE_PAGEOUT)
            ts_shrink_folios(self, w->batch, false); /* reclaim_pages */
        va = next;
        ts_task_cond_resched(self);
    }
}

static void advise_vma(struct ts_task *self, struct ts_mm *mm, enum ts_op_kind kind, uint64_t start,
                       uint64_t end)
{
    struct walk w = {.kind = kind};

    ts_lru_drain(self, mm);
    w.gather = ts_gather_begin(self, mm, false);
    w.batch = ts_unmap_batch_get(self, mm->guest);
    walk_range(self, &w, start, end);
    ts_unmap_batch_put(w.batch);
    ts_gather_finish(self, w.gather);
}

void ts_mm_madvise_reclaim(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    uint64_t start, end;

    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    ts_syscall_enter(self, mm, op);
    ts_mm_read_lock(self, mm);
    ts_task_work(self, mm->guest->params.madvise_cycles);
    if (ts_mm_op_range(mm, op, &start, &end)) {
        /* VMAs do not change under the read lock. MADV_FREE is for private anonymous memory, and an
         * error at the first other VMA. */
        for (uint32_t i = ts_vma_index(mm, start); i < mm->nvmas && mm->vmas[i].start < end; i++) {
            struct ts_vma v = mm->vmas[i];
            if (op->kind == TS_OP_MADVISE_FREE && v.flags != TS_OPF_ANONYMOUS)
                break;
            advise_vma(self, mm, op->kind, v.start > start ? v.start : start,
                       v.end < end ? v.end : end);
        }
    }
    ts_up_read(self, &mm->mmap_lock);
    ts_kernel_exit(self);
    mm->guest->stats.madvises++;
}
