/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect and mremap (Linux 6.12 mm/mprotect.c, mm/mremap.c). */
#include "models/guest/mm/mm_private.h"

/* --- leaves between two tables or places --- */

void ts_mm_store_late(struct ts_task *self, struct ts_mm *mm, uint64_t va, const struct ts_pte *was)
{
    struct ts_store store = {0};

    if (!mm->late)
        return;
    ts_task_store(self, &store, TS_STORE_TABLE);
    ts_late_leaves_add(mm->late, va, was, &store);
}

static void on_moved(void *user, uint64_t va, const struct ts_pte *pte)
{
    struct ts_mm_private *pm = user;

    TS_ASSERT(pm->nmoved < TS_TABLE_PTES);
    pm->moved[pm->nmoved] = *pte;
    pm->moved_va[pm->nmoved++] = va;
}

void ts_mm_take_leaves(struct ts_mm_private *pm, struct ts_pgtable *pt, uint64_t start,
                       uint64_t end)
{
    uint64_t resume;

    pm->nmoved = 0;
    (void)ts_pgtable_clear(pt, start, end, TS_TABLE_PTES, on_moved, pm, &resume);
    TS_ASSERT(resume >= end);
}

/* --- mprotect --- */

struct protect {
    struct ts_task *self;
    struct ts_gather *gather;
    const struct ts_vma *vma;
    uint32_t old_prot, new_prot;
    uint64_t changed;
};

/* pte_needs_flush. x86 since 5.19: a change of RW or NX either way, and PRESENT lost
 * (arch/x86/include/asm/tlbflush.h pte_flags_need_flush). arm64, 6.1 to 6.12: every entry that was
 * written, whatever it said before (include/asm-generic/tlb.h). */
static bool needs_flush(const struct protect *p, bool was_present, bool write_changed)
{
    uint32_t changed = p->old_prot ^ p->new_prot;

    if (p->gather->mm->guest->arch != TS_ARCH_X86)
        return true;
    return was_present && (write_changed || p->new_prot == 0 || (changed & TS_PROT_EXEC));
}

/* A writable mapping's entry is made writable by the call itself, so that no fault follows, but for
 * a private page that fork has shared (mm/mprotect.c can_change_pte_writable; write notification of
 * shared files is left out). */
static bool may_write(const struct protect *p, const struct ts_pte *pte)
{
    return (p->new_prot & TS_PROT_WRITE) && ((p->vma->flags & TS_OPF_SHARED) ||
                                             ts_frame_exclusive(p->gather->mm->guest, pte->target));
}

/* A leaf of either size has to be flushed. */
static void note_change(struct protect *p, uint64_t va, const struct ts_pte *pte)
{
    if (pte->level)
        ts_gather_changed_pmd(p->gather, va);
    else
        ts_gather_changed(p->gather, va, va + TS_PAGE_BYTES);
}

/* Access goes or comes back as a whole: the page leaves the hardware's sight, not memory. */
static void hide_or_show(struct protect *p, uint64_t start, uint64_t end)
{
    struct ts_mm *mm = p->gather->mm;
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    bool hide = p->new_prot == 0;

    ts_mm_take_leaves(pm, hide ? mm->pgtable : pm->none, start, end);
    for (uint32_t i = 0; i < pm->nmoved; i++) {
        struct ts_pte *pte = &pm->moved[i];
        uint64_t va = pm->moved_va[i];
        if (hide)
            ts_mm_store_late(p->self, mm, va, pte);
        pte->writable = may_write(p, pte);
        if (hide)
            (void)ts_mm_map_hidden(mm, va, pte);
        else
            (void)ts_mm_map(mm, va, pte);
        if (needs_flush(p, hide, true))
            note_change(p, va, pte);
    }
    p->changed += pm->nmoved;
}

static void protect_page(struct protect *p, uint64_t va, const struct ts_pte *old)
{
    bool writable = may_write(p, old), changes = writable != old->writable;

    if (changes)
        (void)ts_pgtable_protect(p->gather->mm->pgtable, va, va + (UINT64_C(1) << old->size_shift),
                                 writable, NULL, NULL);
    if (changes && !writable)
        ts_mm_store_late(p->self, p->gather->mm, va, old);
    if (needs_flush(p, true, changes))
        note_change(p, va, old);
    p->changed++;
}

/* Of one table, or of a huge entry as a whole. */
static void protect_table(struct protect *p, uint64_t start, uint64_t end)
{
    struct ts_pte pte = {0};

    if (!p->old_prot != !p->new_prot) {
        hide_or_show(p, start, end);
        return;
    }
    for (uint64_t va = start; va < end; va += pte.level ? TS_TABLE_SPAN : TS_PAGE_BYTES) {
        if (ts_pgtable_lookup(p->gather->mm->pgtable, va, &pte))
            protect_page(p, va, &pte);
    }
}

/* change_protection: a PTE change, without the rmap and queueing of a zap, is taken as half of one
 * (assumed). */
static void change_protection(struct ts_task *self, struct protect *p, uint64_t start, uint64_t end)
{
    struct ts_mm *mm = p->gather->mm;
    const struct ts_guest_params *params = &mm->guest->params;
    struct ts_spinlock *ptl;
    uint64_t va = start, skip_to;

    while (va < end) {
        uint64_t span_end = ts_table_span_end(va, end);
        enum ts_pmd pmd = ts_mm_pmd(mm, va, &skip_to);
        if (pmd == TS_PMD_NONE) {
            ts_task_work(self, params->zap_empty_table_cycles);
            va = skip_to;
            continue;
        }
        if (pmd == TS_PMD_HUGE && span_end - va != TS_TABLE_SPAN) {
            ts_split_huge_pmd(self, mm, va);
            pmd = TS_PMD_TABLE;
        }
        ptl = pmd == TS_PMD_HUGE ? ts_pmd_lock(self, mm, va) : ts_ptl_lock(self, mm, va);
        p->changed = 0;
        if (pmd != TS_PMD_HUGE)
            ts_flush_batched_pending(self, mm);
        protect_table(p, va, span_end);
        ts_task_work(self, p->changed ? p->changed * params->zap_page_cycles / 2
                                      : params->zap_empty_table_cycles);
        ts_spin_unlock(self, ptl);
        va = span_end;
        ts_task_cond_resched(self);
    }
}

static void protect_range(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                          uint32_t prot)
{
    uint32_t extra;
    struct protect p = {.self = self};

    if (!ts_vma_reserve(mm, 2))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for mprotect");
    ts_vma_start_write_range(self, mm, start, end);
    ts_huge_split_at(self, mm, start);
    ts_huge_split_at(self, mm, end);
    extra = (uint32_t)ts_vma_split(mm, start) + (uint32_t)ts_vma_split(mm, end);
    p.gather = ts_gather_begin(self, mm, false);
    ts_gather_window(p.gather, start, end);
    for (uint32_t i = ts_vma_index(mm, start); i < mm->nvmas && mm->vmas[i].start < end; i++) {
        struct ts_vma *v = &mm->vmas[i];
        p.vma = v;
        p.old_prot = v->prot;
        p.new_prot = prot;
        /* First the VMA: a fault that is under way decides by it when it writes its PTE. */
        v->prot = prot;
        ts_task_work(self, extra * mm->guest->params.vma_split_cycles);
        extra = 1;
        if (p.old_prot != prot)
            change_protection(self, &p, v->start, v->end);
    }
    ts_gather_finish(self, p.gather);
    ts_mm_merge(self, mm, start, end);
}

void ts_mm_mprotect(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    uint64_t start, end;

    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    ts_syscall_enter(self, mm, op);
    ts_mm_write_lock(self, mm);
    ts_task_work(self, mm->guest->params.mprotect_cycles);
    if (ts_mm_op_range(mm, op, &start, &end))
        protect_range(self, mm, start, end, op->prot);
    ts_mm_write_unlock(self, mm);
    ts_kernel_exit(self);
    mm->guest->stats.mprotects++;
}

/* --- mremap --- */

struct move {
    uint64_t start, end; /* what stays of the old range */
    uint64_t new_start, new_length;
    uint32_t target;
};

/* Swap entries go along, without a flush. */
static uint32_t move_swapped(struct ts_mm *mm, uint64_t start, uint64_t end, uint64_t to)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint32_t tables = 0;

    if (!ts_pgtable_leaves(pm->swapped))
        return 0;
    ts_mm_take_leaves(pm, pm->swapped, start, end);
    for (uint32_t i = 0; i < pm->nmoved; i++)
        tables += ts_mm_map_swapped(mm, pm->moved_va[i] - start + to, &pm->moved[i]);
    return tables;
}

/* move_ptes, for one table's part: the old place is flushed under the table lock, and
 * flush_tlb_range does not know that no table is freed. */
static void move_table(struct ts_task *self, struct ts_mm *mm, const struct move *m, uint64_t start,
                       uint64_t end)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    const struct ts_guest_params *p = &mm->guest->params;
    uint64_t to = start - m->start + m->new_start;
    struct ts_spinlock *old_ptl = ts_ptl_lock(self, mm, start);
    struct ts_spinlock *new_ptl = start >> TS_TABLE_SPAN_SHIFT != to >> TS_TABLE_SPAN_SHIFT
                                      ? ts_ptl_lock(self, mm, to)
                                      : NULL;
    uint32_t present, tables = 0;

    ts_flush_batched_pending(self, mm);
    tables += move_swapped(mm, start, end, to);
    ts_mm_take_leaves(pm, pm->none, start, end);
    for (uint32_t i = 0; i < pm->nmoved; i++)
        tables += ts_mm_map_hidden(mm, pm->moved_va[i] - m->start + m->new_start, &pm->moved[i]);
    present = pm->nmoved;
    ts_mm_take_leaves(pm, mm->pgtable, start, end);
    for (uint32_t i = 0; i < pm->nmoved; i++) {
        ts_mm_store_late(self, mm, pm->moved_va[i], &pm->moved[i]);
        tables += ts_mm_map(mm, pm->moved_va[i] - m->start + m->new_start, &pm->moved[i]);
    }
    ts_task_work(self,
                 (present + pm->nmoved) * p->zap_page_cycles / 2 + tables * p->alloc_table_cycles);
    if (pm->nmoved)
        ts_flush_tlb_mm_range(self, mm, start, end, TS_PAGE_SHIFT, true);
    if (new_ptl)
        ts_spin_unlock(self, new_ptl);
    ts_spin_unlock(self, old_ptl);
}

/* move_normal_pmd: a table that is moved as a whole goes with its one entry above. The flush does
 * not ask whether anything was in it. Moves of whole 1 GiB (move_normal_pud) and the start's
 * alignment to a table (try_realign_addr, 6.7) are left out. */
static bool move_whole_table(struct ts_task *self, struct ts_mm *mm, const struct move *m,
                             uint64_t start)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    const struct ts_guest_params *p = &mm->guest->params;
    uint64_t to = start - m->start + m->new_start, end = start + TS_TABLE_SPAN;
    struct ts_spinlock *old_ptl, *new_ptl = NULL;
    uint32_t tables;

    if (((start | to) & (TS_TABLE_SPAN - 1)) || end > m->end ||
        !ts_pgtable_can_map(mm->pgtable, to, 1))
        return false;
    old_ptl = ts_pmd_lock(self, mm, start);
    if (start >> TS_PMD_SPAN_SHIFT != to >> TS_PMD_SPAN_SHIFT)
        new_ptl = ts_pmd_lock(self, mm, to);
    ts_mm_take_leaves(pm, pm->none, start, end);
    for (uint32_t i = 0; i < pm->nmoved; i++)
        (void)ts_pgtable_map(pm->none, pm->moved_va[i] - start + to, &pm->moved[i]);
    ts_mm_table_detached(mm, ts_mm_last_table(mm, start));
    tables = ts_pgtable_move_table(mm->pgtable, start, to);
    (void)move_swapped(mm, start, end, to);
    ts_task_work(self, p->zap_page_cycles / 2 + tables * p->alloc_table_cycles);
    ts_flush_tlb_mm_range(self, mm, start, end, TS_PAGE_SHIFT, true);
    if (new_ptl)
        ts_spin_unlock(self, new_ptl);
    ts_spin_unlock(self, old_ptl);
    return true;
}

static void move_page_tables(struct ts_task *self, struct ts_mm *mm, const struct move *m)
{
    uint64_t va = m->start, skip_to;

    while (va < m->end) {
        uint64_t span_end = ts_table_span_end(va, m->end);
        enum ts_pmd pmd = ts_mm_pmd(mm, va, &skip_to);
        if (pmd == TS_PMD_NONE) {
            ts_task_work(self, mm->guest->params.zap_empty_table_cycles);
            va = skip_to;
            continue;
        }
        if (pmd == TS_PMD_HUGE) {
            bool whole = span_end - va == TS_TABLE_SPAN;
            if (!whole || !ts_huge_move(self, mm, va, va - m->start + m->new_start)) {
                ts_split_huge_pmd(self, mm, va);
                move_table(self, mm, m, va, span_end);
            }
        } else if (!move_whole_table(self, mm, m, va)) {
            move_table(self, mm, m, va, span_end);
        }
        va = span_end;
        ts_task_cond_resched(self);
    }
}

static void insert_piece(struct ts_task *self, struct ts_mm *mm, const struct move *m,
                         const struct ts_vma *v)
{
    ts_vma_insert(mm, v);
    if (m->new_start != m->start || v->start >= m->end)
        ts_mm_mapped_anew(mm, v->start, v->end);
    if (!ts_region_map(mm, m->target, v->start, v->end))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for region %u", m->target);
}

/* The detached VMAs come back at the new place, under the new region's name. */
static void insert_moved(struct ts_task *self, struct ts_mm *mm, const struct move *m)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_vma v = {0};

    if (!ts_vma_reserve(mm, pm->ndetached + 1) || !ts_region_add(mm, m->target, m->new_start))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for region %u", m->target);
    for (uint32_t i = 0; i < pm->ndetached; i++) {
        v = pm->detached[i];
        v.start += m->new_start - m->start;
        v.end += m->new_start - m->start;
        /* copy_vma: an offset that no page has been given yet is chosen anew. */
        v.moved_by = v.has_anon ? v.moved_by + (m->new_start - m->start) : 0;
        insert_piece(self, mm, m, &v);
    }
    if (m->new_start + m->new_length > v.end) {
        v.start = v.end;
        v.end = m->new_start + m->new_length;
        v.lock = NULL;
        insert_piece(self, mm, m, &v);
    }
    ts_mm_merge(self, mm, m->new_start, v.end);
}

/* Stays if it shrinks or can grow where it is (vma_expandable), which it cannot over addresses that
 * the mechanism keeps back. */
static void choose_place(struct ts_task *self, const struct ts_mm *mm, struct move *m)
{
    uint64_t ceiling = ts_vma_ceiling(mm, m->end), new_end = m->start + m->new_length;
    const struct ts_vma *v = ts_vma_at(mm, m->start);
    uint32_t flags = v ? v->flags : 0;

    if (ceiling > mm->mmap_base)
        ceiling = mm->mmap_base;
    m->new_start = m->start;
    if (new_end <= m->end || (new_end <= ceiling && !ts_vma_held(mm, m->end, new_end)))
        return;
    m->new_start = ts_vma_find_gap(mm, m->new_length, flags);
    if (!m->new_start)
        ts_guest_fail(self, TS_ERR_USER,
                      "mremap to region %u: no address range of %llu bytes is free", m->target,
                      (unsigned long long)m->new_length);
}

static void remap(struct ts_task *self, struct ts_mm *mm, struct move *m)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_gather *g;

    if (m->start + m->new_length < m->end) {
        (void)ts_mm_unmap(self, mm, m->start + m->new_length, m->end, false);
        m->end = m->start + m->new_length;
    }
    choose_place(self, mm, m);
    if (!ts_vma_reserve(mm, 2))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for mremap");
    ts_vma_start_write_range(self, mm, m->start, m->end);
    (void)ts_vma_detach(mm, m->start, m->end);
    if (pm->ndetached == 0)
        return;
    if (!ts_region_unmap(mm, m->start, m->end))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for mremap");
    if (ts_region_find(mm, m->target))
        ts_guest_fail(self, TS_ERR_USER, "mremap to region %u, which is still mapped", m->target);
    if (m->new_start == m->start) {
        insert_moved(self, mm, m);
        return;
    }
    g = ts_gather_begin(self, mm, false);
    ts_gather_window(g, m->start, m->end);
    move_page_tables(self, mm, m);
    insert_moved(self, mm, m);
    ts_gather_free_tables(self, g, m->start, m->end, ts_vma_floor(mm, m->start),
                          ts_vma_ceiling(mm, m->end));
    ts_gather_finish(self, g);
}

void ts_mm_mremap(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct move m = {0};

    if (!ts_mm_wait_region(self, mm, op->region))
        return;
    ts_syscall_enter(self, mm, op);
    ts_mm_write_lock(self, mm);
    ts_task_work(self, mm->guest->params.mmap_cycles);
    if (ts_mm_op_range(mm, op, &m.start, &m.end)) {
        m.target = op->target;
        m.new_length = ts_page_ceil(op->length2);
        if (m.new_length == 0 || m.new_length > TS_USER_END)
            ts_guest_fail(self, TS_ERR_USER, "mremap of region %u: length %llu is out of bounds",
                          op->region, (unsigned long long)op->length2);
        remap(self, mm, &m);
    }
    ts_mm_write_unlock(self, mm);
    ts_mm_wake_regions(self, mm);
    ts_kernel_exit(self);
}
