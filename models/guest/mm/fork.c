/* SPDX-License-Identifier: Apache-2.0 */
/* fork and copy-on-write (Linux 6.12 kernel/fork.c dup_mmap, mm/memory.c copy_page_range and
 * do_wp_page). Pages of private mappings are shared; what a private mapping has not touched, and
 * shared mappings, are left to the child's faults (vma_needs_copy). */
#include "models/guest/mm/mm_private.h"
#include "models/oracle/oracle.h"

/* --- fork --- */

struct copy {
    struct ts_mm *parent, *child;
    uint32_t pages, tables;
};

/* __copy_present_ptes: read-only in both, and old in the child. hidden: of a PROT_NONE mapping. */
static void copy_entry(struct copy *c, uint64_t va, struct ts_pte *pte, bool hidden)
{
    pte->writable = false;
    pte->accessed = false;
    ts_frame_share(c->parent->guest, pte->target);
    c->tables += hidden ? ts_mm_map_hidden(c->child, va, pte) : ts_mm_map(c->child, va, pte);
    c->pages++;
}

/* copy_nonpresent_pte. Each of the two reads a page of its own later, where the kernel would let
 * the second find the first one's. */
static void copy_swapped(struct copy *c, uint64_t va)
{
    const struct ts_pte pte = {.size_shift = TS_PAGE_SHIFT};

    c->tables += ts_mm_map_swapped(c->child, va, &pte);
    c->pages++;
}

/* copy_pte_range: both tables' locks are held, the child's without contention. */
static void copy_table(struct ts_task *self, struct copy *c, uint64_t start, uint64_t end)
{
    const struct ts_guest_params *p = &c->parent->guest->params;
    const struct ts_mm_private *pm = ts_mm_private_of(c->parent);
    struct ts_spinlock *to = ts_ptl_lock(self, c->child, start);
    struct ts_spinlock *from = ts_ptl_lock(self, c->parent, start);
    struct ts_pte pte;

    c->pages = c->tables = 0;
    if (!ts_frame_reserve_shares(c->parent->guest))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for fork");
    for (uint64_t va = start; va < end; va += TS_PAGE_BYTES) {
        if (ts_pgtable_lookup(c->parent->pgtable, va, &pte)) {
            if (pte.writable)
                ts_mm_store_late(self, c->parent, va, &pte);
            copy_entry(c, va, &pte, false);
        } else if (ts_pgtable_lookup(pm->none, va, &pte)) {
            copy_entry(c, va, &pte, true);
        } else if (ts_mm_is_swapped(c->parent, va)) {
            copy_swapped(c, va);
        }
    }
    (void)ts_pgtable_protect(c->parent->pgtable, start, end, false, NULL, NULL);
    ts_task_work(self, c->pages ? c->pages * p->fork_page_cycles : p->zap_empty_table_cycles);
    ts_spin_unlock(self, from);
    ts_spin_unlock(self, to);
    ts_task_work(self, c->tables * p->alloc_table_cycles);
    ts_task_cond_resched(self);
}

static void copy_page_range(struct ts_task *self, struct copy *c, uint64_t start, uint64_t end)
{
    uint64_t va = start, skip_to;

    while (va < end) {
        uint64_t span_end = ts_table_span_end(va, end);
        enum ts_pmd pmd = ts_mm_pmd(c->parent, va, &skip_to);
        if (pmd == TS_PMD_NONE) {
            ts_task_work(self, c->parent->guest->params.zap_empty_table_cycles);
            va = skip_to;
            continue;
        }
        if (pmd == TS_PMD_HUGE && span_end - va == TS_TABLE_SPAN) {
            if (!ts_huge_copy(self, c->parent, c->child, va))
                continue;
        } else {
            if (pmd == TS_PMD_HUGE)
                ts_split_huge_pmd(self, c->parent, va);
            copy_table(self, c, va, span_end);
        }
        va = span_end;
    }
}

static void copy_vmas(struct ts_task *self, struct copy *c)
{
    /* The write lock keeps the parent's VMAs as they are. */
    for (uint32_t i = 0; i < c->parent->nvmas; i++) {
        struct ts_vma v;
        ts_vma_start_write(self, c->parent, c->parent->vmas[i].start);
        v = c->parent->vmas[i];
        v.inherited = v.has_anon;
        v.lock = NULL;
        v.lock_seq = 0;
        ts_vma_insert(c->child, &v);
        ts_task_work(self, c->parent->guest->params.vma_split_cycles);
        if (v.has_anon)
            copy_page_range(self, c, v.start, v.end);
    }
}

void ts_mm_fork(struct ts_task *self, struct ts_mm *parent, struct ts_mm *child)
{
    struct ts_oracle *o = parent->guest->oracle;
    struct copy c = {.parent = parent, .child = child};
    uint32_t window = 0;

    ts_mm_write_lock(self, parent);
    if (!ts_vma_reserve(child, parent->nvmas) || !ts_region_copy_all(child, parent))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for fork");
    /* Until the flush below the parent's other threads may still write what is shared now. */
    if (o)
        window = ts_mm_window_open(parent, 0, TS_USER_END);
    copy_vmas(self, &c);
    ts_flush_tlb_mm_range(self, parent, 0, UINT64_MAX, TS_PAGE_SHIFT, true); /* flush_tlb_mm */
    if (o)
        ts_oracle_window_close(o, window);
    ts_mm_write_unlock(self, parent);
    parent->guest->stats.forks++;
}

/* --- write faults --- */

/* wp_page_reuse; the page-table lock is held. */
static void reuse(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    uint64_t page = ts_page_floor(va);

    (void)ts_pgtable_protect(mm->pgtable, page, page + TS_PAGE_BYTES, true, NULL, NULL);
    (void)ts_pgtable_mark(mm->pgtable, page, true);
    ts_fault_flush_upgraded(self, mm, va);
    mm->guest->stats.cow_reused++;
}

/* ptep_clear_flush, then the new entry; the page-table lock is held. No CPU may read the new page
 * while another still reads the old one. */
static void replace(struct ts_task *self, struct ts_mm *mm, uint64_t page, struct ts_pte *pte)
{
    struct ts_guest *g = mm->guest;
    uint64_t end = page + TS_PAGE_BYTES;
    uint32_t window = 0;

    if (g->oracle)
        window = ts_mm_window_open(mm, page, end);
    (void)ts_pgtable_clear(mm->pgtable, page, end, 1, NULL, NULL, NULL);
    ts_flush_tlb_mm_range(self, mm, page, end, TS_PAGE_SHIFT, false);
    if (g->oracle)
        ts_oracle_window_close(g->oracle, window);
    pte->target = ts_guest_frame_alloc(g);
    pte->writable = pte->accessed = pte->dirty = true;
    (void)ts_mm_map(mm, page, pte);
    g->stats.cow_copied++;
}

/* wp_page_copy: the page is allocated and filled without the lock, then the entry is looked at
 * again. */
static enum ts_fault_result copy_page(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                      struct ts_pte old, bool vma_locked)
{
    struct ts_guest *g = mm->guest;
    const struct ts_guest_params *p = &g->params;
    enum ts_fault_result result = ts_anon_prepare(self, mm, va, vma_locked);
    bool zero = ts_frame_is_zero(g, old.target);
    struct ts_spinlock *ptl;
    struct ts_pte now;

    if (result != TS_FAULT_DONE)
        return result;
    ts_task_work(self, p->fault_anon_cycles + (zero ? 0 : p->cow_copy_cycles));
    ptl = ts_ptl_lock(self, mm, va);
    if (ts_pgtable_lookup(mm->pgtable, va, &now) && !now.writable && now.target == old.target) {
        replace(self, mm, ts_page_floor(va), &now);
        ts_spin_unlock(self, ptl);
        (void)ts_frame_put(g, old.target);
        g->stats.zero_copied += zero;
    } else {
        g->stats.faults_spurious++; /* another thread was quicker */
        ts_spin_unlock(self, ptl);
    }
    return TS_FAULT_DONE;
}

enum ts_fault_result ts_mm_write_protected(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                           bool vma_locked)
{
    bool shared = (ts_vma_at(mm, va)->flags & TS_OPF_SHARED) != 0;
    struct ts_spinlock *ptl = ts_ptl_lock(self, mm, va);
    struct ts_pte pte;

    if (!ts_pgtable_lookup(mm->pgtable, va, &pte) || pte.writable) {
        mm->guest->stats.faults_spurious++;
    } else if (shared || ts_frame_take_over(mm->guest, pte.target)) {
        reuse(self, mm, va);
    } else {
        ts_spin_unlock(self, ptl);
        return copy_page(self, mm, va, pte, vma_locked);
    }
    ts_spin_unlock(self, ptl);
    return TS_FAULT_DONE;
}
