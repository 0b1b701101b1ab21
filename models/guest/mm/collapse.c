/* SPDX-License-Identifier: Apache-2.0 */
/* Advice on huge pages, and 512 small pages that become one, by MADV_COLLAPSE or by khugepaged
 * (Linux 6.12 mm/khugepaged.c collapse_huge_page, khugepaged_scan_mm_slot). */
#include "models/guest/mm/khugepaged.h"

#include "models/guest/mm/numa.h"

/* --- collapse --- */

struct small_pages {
    uint32_t n;
    uint32_t young;
    uint64_t frames[TS_TABLE_PTES];
    bool writable; /* one of them */
};

/* hpage_collapse_scan_pmd and __collapse_huge_page_isolate, as far as what is modelled can fail:
 * a table with at least one writable page, none of them shared by fork. One in swap is not read
 * back (the kernel reads up to max_ptes_swap, 64), and those that NUMA balancing has hidden, which
 * the kernel takes along, wait for their faults. */
static bool scan(const struct ts_mm *mm, uint64_t base, struct small_pages *s)
{
    struct ts_pte pte;

    s->n = s->young = 0;
    s->writable = false;
    for (uint64_t va = base; va < base + TS_TABLE_SPAN; va += TS_PAGE_BYTES) {
        if (ts_mm_is_swapped(mm, va) || ts_numa_is_hint(mm, va))
            return false;
        if (!ts_pgtable_lookup(mm->pgtable, va, &pte) || ts_frame_is_zero(mm->guest, pte.target))
            continue;
        if (!ts_frame_exclusive(mm->guest, pte.target))
            return false;
        s->frames[s->n++] = pte.target;
        s->writable |= pte.writable;
        s->young += pte.accessed;
    }
    return s->writable;
}

/* hugepage_vma_revalidate, find_pmd_or_thp_or_none */
static bool is_candidate(const struct ts_mm *mm, uint64_t base)
{
    const struct ts_vma *v = ts_vma_at(mm, base);
    uint64_t skip_to;

    return v && v->flags == TS_OPF_ANONYMOUS && v->advice != TS_ADVICE_NOHUGEPAGE && v->prot &&
           base + TS_TABLE_SPAN <= v->end && ts_mm_pmd(mm, base, &skip_to) == TS_PMD_TABLE;
}

/* pmdp_collapse_flush: the table is out of reach before anybody looks at its entries for good.
 * Walks of software end with the call of every CPU. */
static bool take_table_out(struct ts_task *self, struct ts_mm *mm, uint64_t base,
                           struct small_pages *s, struct ts_pt_broken *broken)
{
    struct ts_oracle *o = mm->guest->oracle;
    struct ts_spinlock *ptl = ts_pmd_lock(self, mm, base);
    uint32_t window = 0;

    /* Reclaim may have been here since; the kernel keeps it out by the lock of the anon_vma. */
    if (!scan(mm, base, s)) {
        ts_spin_unlock(self, ptl);
        return false;
    }
    if (o)
        window = ts_mm_window_open(mm, base, base + TS_TABLE_SPAN);
    if (!ts_pgtable_break(mm->pgtable, base, 1, broken))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for page tables");
    ts_flush_tlb_mm_range(self, mm, base, base + TS_TABLE_SPAN, TS_PAGE_SHIFT, true);
    if (o)
        ts_oracle_window_close(o, window);
    ts_spin_unlock(self, ptl);
    ts_table_sync(self, mm->guest);
    return true;
}

static void put_huge_in(struct ts_task *self, struct ts_mm *mm, uint64_t base,
                        const struct ts_pt_broken *broken, const struct ts_pte *pte)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_spinlock *ptl = ts_pmd_lock(self, mm, base);

    pm->depositing = true;
    ts_mm_note_mapped(mm, base, TS_TABLE_SPAN, pte);
    (void)ts_pgtable_make_leaf(mm->pgtable, broken, pte);
    pm->depositing = false;
    ts_spin_unlock(self, ptl);
}

/* The VMA and mmap_lock are locked for writing. */
static bool collapse(struct ts_task *self, struct ts_mm *mm, uint64_t base, struct small_pages *s,
                     uint64_t huge)
{
    struct ts_guest *g = mm->guest;
    struct ts_pt_broken broken;
    struct ts_pte pte = {.target = huge,
                         .size_shift = TS_TABLE_SPAN_SHIFT,
                         .level = 1,
                         .writable = (ts_vma_at(mm, base)->prot & TS_PROT_WRITE) != 0,
                         .accessed = true,
                         .dirty = true};

    if (!take_table_out(self, mm, base, s, &broken))
        return false;
    ts_task_work(self, g->params.thp_collapse_cycles);
    put_huge_in(self, mm, base, &broken, &pte);
    for (uint32_t i = 0; i < s->n; i++)
        (void)ts_frame_put(g, s->frames[i]);
    ts_task_work(self, s->n * g->params.free_page_cycles);
    g->stats.thp_collapse_alloc++;
    return true;
}

/* collapse_huge_page; mmap_lock is not held. */
static void collapse_span(struct ts_task *self, struct ts_mm *mm, uint64_t base,
                          struct small_pages *s)
{
    uint64_t huge = ts_huge_alloc(self, mm->guest);
    bool found;

    ts_mm_write_lock(self, mm);
    found = is_candidate(mm, base);
    if (found) {
        ts_vma_start_write(self, mm, base);
        found = scan(mm, base, s);
    }
    if (!found || !collapse(self, mm, base, s, huge))
        (void)ts_frame_put(mm->guest, huge);
    ts_mm_write_unlock(self, mm);
}

/* mmap_lock is not held: it is taken for each. */
static void collapse_range(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end)
{
    struct small_pages s;

    for (uint64_t base = ts_huge_base(start + TS_TABLE_SPAN - 1); base + TS_TABLE_SPAN <= end;
         base += TS_TABLE_SPAN) {
        bool found;
        ts_mm_read_lock(self, mm);
        found = is_candidate(mm, base) && scan(mm, base, &s);
        ts_up_read(self, &mm->mmap_lock);
        if (!found)
            continue;
        collapse_span(self, mm, base, &s);
        ts_task_cond_resched(self);
    }
}

/* --- khugepaged --- */

/* hpage_collapse_scan_pmd with the limits that only khugepaged has; mmap_lock is held for reading.
 */
static bool khugepaged_likes(struct ts_task *self, struct ts_mm *mm, uint64_t base,
                             struct small_pages *s)
{
    const struct ts_guest_params *p = &mm->guest->params;
    struct ts_spinlock *ptl;
    bool found;

    if (!is_candidate(mm, base))
        return false;
    ptl = ts_ptl_lock(self, mm, base);
    ts_task_work(self, TS_TABLE_PTES * p->khugepaged_pte_cycles);
    found = is_candidate(mm, base) && scan(mm, base, s);
    ts_spin_unlock(self, ptl);
    return found && TS_TABLE_PTES - s->n <= p->khugepaged_max_ptes_none && s->young;
}

/* The next aligned 2 MiB from va on that may become a huge page, or UINT64_MAX. */
static uint64_t next_span(const struct ts_mm *mm, uint64_t va, uint64_t *progress)
{
    for (uint32_t i = ts_vma_index(mm, va); i < mm->nvmas; i++) {
        const struct ts_vma *v = &mm->vmas[i];
        uint64_t base = ts_huge_base((va > v->start ? va : v->start) + TS_TABLE_SPAN - 1);
        if (ts_thp_is_allowed(mm, v, base))
            return base;
        ++*progress;
    }
    return UINT64_MAX;
}

/* khugepaged_scan_mm_slot: one address space, until it is through or mmap_lock had to be let go. */
static uint64_t scan_mm(struct ts_task *self, struct ts_mm *mm, struct ts_khugepaged *at,
                        uint64_t pages)
{
    struct small_pages s;
    uint64_t progress = 1, base;

    if (!ts_down_read_trylock(self, &mm->mmap_lock)) {
        at->va = UINT64_MAX; /* on to the next one */
        return 0;
    }
    while ((base = next_span(mm, at->va, &progress)) != UINT64_MAX) {
        bool found = khugepaged_likes(self, mm, base, &s);
        at->va = base + TS_TABLE_SPAN;
        progress += TS_TABLE_PTES;
        if (found) {
            ts_up_read(self, &mm->mmap_lock);
            collapse_span(self, mm, base, &s);
            return progress;
        }
        if (progress >= pages)
            break;
        ts_task_cond_resched(self);
    }
    if (base == UINT64_MAX)
        at->va = UINT64_MAX;
    ts_up_read(self, &mm->mmap_lock);
    return progress;
}

void ts_khugepaged_scan(struct ts_task *self, struct ts_guest *g, struct ts_khugepaged *at)
{
    uint64_t progress = 0;
    uint32_t passes = 0;

    while (progress < g->params.khugepaged_pages && g->threads_alive) {
        if (at->mm >= g->nmms) {
            at->mm = 0;
            at->va = 0;
        }
        if ((at->mm == 0 && at->va == 0 && ++passes == 2) || !g->nmms)
            break;
        progress += scan_mm(self, g->mms[at->mm], at, g->params.khugepaged_pages - progress);
        if (at->va == UINT64_MAX) {
            at->va = 0;
            at->mm++;
        }
        ts_task_cond_resched(self);
    }
    g->stats.khugepaged_scans++;
}

/* --- advice --- */

/* hugepage_madvise: a flag of the VMA. */
static void advise(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                   enum ts_thp_advice advice)
{
    uint32_t extra;

    if (!ts_vma_reserve(mm, 2))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for madvise");
    ts_vma_start_write_range(self, mm, start, end);
    ts_huge_split_at(self, mm, start);
    ts_huge_split_at(self, mm, end);
    extra = (uint32_t)ts_vma_split(mm, start) + (uint32_t)ts_vma_split(mm, end);
    ts_task_work(self, extra * mm->guest->params.vma_split_cycles);
    for (uint32_t i = ts_vma_index(mm, start); i < mm->nvmas && mm->vmas[i].start < end; i++)
        mm->vmas[i].advice = advice;
    ts_mm_merge(self, mm, start, end);
}

void ts_mm_madvise_thp(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    uint64_t start, end;

    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    ts_syscall_enter(self, mm, op);
    if (op->kind == TS_OP_MADVISE_COLLAPSE) {
        ts_task_work(self, mm->guest->params.madvise_cycles);
        if (ts_mm_op_range(mm, op, &start, &end))
            collapse_range(self, mm, start, end);
    } else {
        ts_mm_write_lock(self, mm);
        ts_task_work(self, mm->guest->params.madvise_cycles);
        if (ts_mm_op_range(mm, op, &start, &end))
            advise(self, mm, start, end,
                   op->kind == TS_OP_MADVISE_HUGEPAGE ? TS_ADVICE_HUGEPAGE : TS_ADVICE_NOHUGEPAGE);
        ts_mm_write_unlock(self, mm);
    }
    ts_kernel_exit(self);
    mm->guest->stats.madvises++;
}
