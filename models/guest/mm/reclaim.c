/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages go, and when they are free (Linux 6.12 mm/vmscan.c shrink_folio_list, mm/rmap.c
 * try_to_unmap_one; 6.1 differs in what guest.reclaim_free_batch says). Writing to swap is done
 * when the call returns (SWP_SYNCHRONOUS_IO), so that a page is free at once; what is in the page
 * cache and dirty is only unmapped. */
#include "models/guest/mm/reclaim.h"

#include "models/guest/coherence/arm64.h"

/* What backs a page, as far as it decides its way. */
enum backing {
    BACKED_BY_SWAP, /* anonymous, shared anonymous, and copied pages of private files */
    BACKED_BY_FILE,
    BACKED_BY_NOTHING /* MADV_FREE, and not written since */
};

static enum backing backing_of(const struct ts_guest *g, const struct ts_vma *v,
                               const struct ts_pte *pte)
{
    if (!(v->flags & TS_OPF_SHARED) && ts_frame_is_lazyfree(g, pte->target))
        return BACKED_BY_NOTHING;
    if (v->flags & TS_OPF_ANONYMOUS)
        return BACKED_BY_SWAP;
    return !(v->flags & TS_OPF_SHARED) && pte->dirty ? BACKED_BY_SWAP : BACKED_BY_FILE;
}

/* --- freeing --- */

/* free_unref_folios; what is kept in the page cache has lost its mapping only. */
static void free_frames(struct ts_task *self, struct ts_unmap_batch *b)
{
    struct ts_guest *g = b->guest;

    TS_ASSERT(!b->flush_required);
    for (uint32_t i = 0; i < b->nframes; i++) {
        const struct ts_batch_frames *f = &b->frames[i];
        if (!f->kept)
            ts_task_work(self, f->n * g->params.free_page_cycles);
        for (uint32_t k = 0; k < f->n; k++)
            (void)ts_frame_put(g, f->frame + k * TS_PAGE_BYTES);
    }
    b->nframes = b->nfree = 0;
}

/* Nothing is given to the allocator before it has been flushed. */
static void add_frames(struct ts_task *self, struct ts_unmap_batch *b, uint64_t frame, uint32_t n,
                       bool kept)
{
    uint64_t max = b->guest->params.reclaim_free_batch;

    b->frames[b->nframes++] = (struct ts_batch_frames){frame, n, kept};
    if (!kept) {
        b->nfree++;
        b->guest->stats.pgsteal += n;
    }
    if ((max && b->nfree >= max) || b->nframes == TS_ARRAY_LEN(b->frames)) {
        ts_unmap_flush(self, b);
        free_frames(self, b);
    }
}

/* --- one folio --- */

/* What has become of a folio's entries. */
struct unmapped {
    enum backing backing;
    bool dirty;
    uint32_t n;                        /* gone */
    uint64_t gone[TS_TABLE_PTES / 64]; /* which, of a huge page */
};

/* Under the table's lock: the entry goes if it still is the page's, and of this mapping alone. */
static void unmap_entry(struct ts_task *self, struct ts_unmap_batch *b, const struct ts_folio *f,
                        uint32_t i, struct unmapped *u)
{
    struct ts_mm *mm = f->mm;
    struct ts_guest *g = mm->guest;
    uint64_t va = f->va + i * TS_PAGE_BYTES, frame = f->frame + i * TS_PAGE_BYTES;
    bool defer = ts_unmap_defers(self, mm), taken_back;
    const struct ts_vma *v = ts_vma_at(mm, va);
    struct ts_pte pte;
    uint32_t window;

    if (!v || !ts_pgtable_lookup(mm->pgtable, va, &pte) || pte.level || pte.target != frame ||
        !ts_frame_mapped_once(g, frame))
        return;
    u->backing = backing_of(g, v, &pte);
    /* Written since MADV_FREE: it is put back once it is found dirty, and needs swap from now on.
     */
    taken_back = u->backing == BACKED_BY_NOTHING && pte.dirty;
    window = ts_unmap_clear(mm, va);
    if (taken_back) {
        (void)ts_mm_map(mm, va, &pte);
        (void)ts_frame_set_lazyfree(g, frame, false);
    } else {
        if (u->backing == BACKED_BY_SWAP)
            (void)ts_mm_map_swapped(mm, va, &pte);
        u->dirty |= pte.dirty;
        u->gone[i / 64] |= UINT64_C(1) << i % 64;
        u->n++;
    }
    ts_unmap_cleared(self, b, mm, va, pte.dirty, defer, window);
}

/* try_to_unmap; a huge entry is split first (TTU_SPLIT_HUGE_PMD). */
static struct unmapped unmap_folio(struct ts_task *self, struct ts_unmap_batch *b,
                                   const struct ts_folio *f)
{
    struct unmapped u = {0};
    struct ts_spinlock *ptl;
    uint32_t n = f->huge ? TS_TABLE_PTES : 1;

    if (f->huge)
        ts_split_huge_pmd(self, f->mm, f->va);
    ptl = ts_ptl_lock(self, f->mm, f->va);
    if (!f->huge || ts_huge_make_small(b->guest, f->frame))
        for (uint32_t i = 0; i < n; i++)
            unmap_entry(self, b, f, i, &u);
    ts_spin_unlock(self, ptl);
    return u;
}

/* folio_referenced: the accessed bit, which is cleared. x86 does not flush for a page of 4K
 * (ptep_clear_flush_young); arm64 does not wait for its TLBI. */
static bool referenced(struct ts_task *self, const struct ts_folio *f)
{
    struct ts_guest *g = f->mm->guest;
    struct ts_spinlock *ptl =
        f->huge ? ts_pmd_lock(self, f->mm, f->va) : ts_ptl_lock(self, f->mm, f->va);
    struct ts_pte pte;
    bool young = ts_pgtable_lookup(f->mm->pgtable, f->va, &pte) && pte.accessed;

    if (young) {
        (void)ts_pgtable_age(f->mm->pgtable, f->va, false);
        g->stats.pages_aged++;
        if (f->huge) {
            ts_flush_pmd_tlb_range(self, f->mm, f->va);
        } else if (g->flush->needs & TS_NEEDS_ARM64) {
            struct ts_tlb_inval inval =
                ts_inval_tlbi_vae1(ts_arm64_vmid(g), f->mm->asid, f->va, true, 0);
            (void)ts_arm64_tlbi(self, &inval);
        }
    }
    ts_spin_unlock(self, ptl);
    return young;
}

/* Of a huge page each run of parts that are gone. */
static void add_runs(struct ts_task *self, struct ts_unmap_batch *b, const struct ts_folio *f,
                     const struct unmapped *u)
{
    bool kept = u->backing == BACKED_BY_FILE && u->dirty;
    uint32_t n = f->huge ? TS_TABLE_PTES : 1, first = 0;

    for (uint32_t i = 0; i <= n; i++) {
        if (i < n && (u->gone[i / 64] >> i % 64 & 1))
            continue;
        if (i > first)
            add_frames(self, b, f->frame + first * TS_PAGE_BYTES, i - first, kept);
        first = i + 1;
    }
}

static void shrink_one(struct ts_task *self, struct ts_unmap_batch *b, const struct ts_folio *f,
                       bool references)
{
    struct ts_guest *g = b->guest;
    struct unmapped u;

    ts_task_work(self, g->params.reclaim_page_cycles);
    if (references && referenced(self, f))
        return;
    u = unmap_folio(self, b, f);
    if (!u.n)
        return;
    if (u.backing == BACKED_BY_SWAP) {
        /* CPUs may not write while the page is written out. */
        ts_unmap_flush_dirty(self, b);
        ts_task_work(self, u.n * g->params.swap_out_cycles);
        g->stats.pswpout += u.n;
    } else if (u.backing == BACKED_BY_NOTHING) {
        g->stats.pglazyfreed += u.n;
    }
    add_runs(self, b, f, &u);
}

void ts_shrink_folios(struct ts_task *self, struct ts_unmap_batch *b, bool references)
{
    for (uint32_t i = 0; i < b->nfolios; i++) {
        b->guest->stats.pgscan += b->folios[i].huge ? TS_TABLE_PTES : 1;
        shrink_one(self, b, &b->folios[i], references);
        ts_task_cond_resched(self);
    }
    b->nfolios = 0;
    ts_unmap_flush(self, b);
    free_frames(self, b);
}

/* --- the hand of kswapd --- */

/* Candidates of one table's part, or of a huge entry. */
static void collect(struct ts_unmap_batch *b, struct ts_mm *mm, uint64_t start, uint64_t end,
                    uint32_t n, uint64_t *stopped)
{
    struct ts_pte pte = {0};
    uint64_t va;

    for (va = start; va < end && b->nfolios < n; va += pte.level ? TS_TABLE_SPAN : TS_PAGE_BYTES) {
        if (!ts_pgtable_lookup(mm->pgtable, va, &pte))
            continue;
        if (pte.level ? ts_huge_mapped_once(mm->guest, pte.target)
                      : ts_frame_mapped_once(mm->guest, pte.target))
            b->folios[b->nfolios++] = (struct ts_folio){mm, va, pte.target, pte.level != 0};
    }
    *stopped = va < end ? va : end;
}

/* From va on; where to go on, or UINT64_MAX at the end of the address space. No time passes. */
static uint64_t collect_mm(struct ts_unmap_batch *b, struct ts_mm *mm, uint64_t va, uint32_t n)
{
    uint64_t skip_to;

    for (uint32_t i = ts_vma_index(mm, va); i < mm->nvmas; i++) {
        const struct ts_vma *v = &mm->vmas[i];
        if (va < v->start)
            va = v->start;
        while (va < v->end) {
            uint64_t next = ts_table_span_end(va, v->end);
            enum ts_pmd pmd = ts_mm_pmd(mm, va, &skip_to);
            if (pmd == TS_PMD_NONE)
                va = skip_to;
            else if (pmd == TS_PMD_HUGE && next - va != TS_TABLE_SPAN)
                va = next;
            else
                collect(b, mm, va, next, n, &va);
            if (b->nfolios == n)
                return va;
        }
    }
    return UINT64_MAX;
}

uint32_t ts_reclaim_next(struct ts_task *self, struct ts_guest *g, uint32_t n)
{
    struct ts_unmap_batch *b = ts_unmap_batch_get(self, g);
    uint32_t found;

    /* isolate_lru_folios, under the lock of the LRU lists: each list once at most. */
    for (uint32_t i = 0; i <= g->nmms && b->nfolios < n && g->nmms; i++) {
        if (g->hand_mm >= g->nmms)
            g->hand_mm = 0;
        g->hand_va = collect_mm(b, g->mms[g->hand_mm], g->hand_va, n);
        if (g->hand_va == UINT64_MAX) {
            g->hand_va = 0;
            g->hand_mm++;
        }
    }
    found = b->nfolios;
    if (found)
        ts_task_line(self, &b->folios[0].mm->lru_line, TS_LINE_RMW);
    ts_shrink_folios(self, b, true);
    ts_unmap_batch_put(b);
    return found;
}

/* --- split_folio --- */

/* All 512 parts stand in the span, in their order. */
static bool maps_all(const struct ts_mm *mm, uint64_t base, struct ts_pte *ptes)
{
    for (uint32_t i = 0; i < TS_TABLE_PTES; i++) {
        if (!ts_pgtable_lookup(mm->pgtable, base + i * TS_PAGE_BYTES, &ptes[i]) || ptes[i].level ||
            ptes[i].target != ptes[0].target + i * TS_PAGE_BYTES)
            return false;
    }
    return ptes[0].target % TS_TABLE_SPAN == 0;
}

/* unmap_folio of a folio that is mapped by 512 entries: they are cleared in a batch. Who faults
 * meanwhile waits, here for the lock and in the kernel for migration entries. */
static bool split_small_entries(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm,
                                uint64_t base)
{
    struct ts_spinlock *ptl = ts_ptl_lock(self, mm, base);
    bool defer = ts_unmap_defers(self, mm);
    bool done = maps_all(mm, base, b->ptes) && ts_huge_make_small(mm->guest, b->ptes[0].target);
    uint32_t windows[TS_TABLE_PTES];

    for (uint32_t i = 0; done && i < TS_TABLE_PTES; i++)
        windows[i] = ts_unmap_clear(mm, base + i * TS_PAGE_BYTES);
    for (uint32_t i = 0; done && i < TS_TABLE_PTES; i++)
        ts_unmap_cleared(self, b, mm, base + i * TS_PAGE_BYTES, b->ptes[i].dirty, defer,
                         windows[i]);
    ts_unmap_flush(self, b);
    for (uint32_t i = 0; done && i < TS_TABLE_PTES; i++)
        (void)ts_mm_map(mm, base + i * TS_PAGE_BYTES, &b->ptes[i]);
    ts_spin_unlock(self, ptl);
    return done;
}

bool ts_split_folio(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm, uint64_t va)
{
    uint64_t base = ts_huge_base(va), skip_to;
    struct ts_pte pte;

    if (ts_mm_pmd(mm, base, &skip_to) != TS_PMD_HUGE)
        return split_small_entries(self, b, mm, base);
    ts_split_huge_pmd(self, mm, base);
    return ts_pgtable_lookup(mm->pgtable, base, &pte) && ts_huge_make_small(mm->guest, pte.target);
}
