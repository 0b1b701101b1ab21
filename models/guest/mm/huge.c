/* SPDX-License-Identifier: Apache-2.0 */
/* Transparent huge pages: entries of 2 MiB in private anonymous memory (Linux 6.12
 * mm/huge_memory.c). Left out: the huge zero page (a read allocates), folios between
 * 8K and 1 MiB, huge pages of files, and faults that find no free 2 MiB.
 *
 * A huge entry lies within one VMA. Each has a page-table page laid aside (deposited), so that it
 * can be split without allocating. */
#include <stdlib.h>

#include "models/guest/mm/mm_private.h"

/* --- what stands in a PMD entry --- */

/* Level of the lowest table on the way to va. *entry: where its entry for va is. */
static uint32_t walk(const struct ts_mm *mm, uint64_t va, bool *leaf, uint64_t *entry)
{
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t level[TS_PT_LEVELS_MAX];
    struct ts_pte pte;
    uint32_t n = ts_pgtable_walk(mm->pgtable, va, ts_pgtable_levels(mm->pgtable) - 1,
                                 ts_pgtable_root(mm->pgtable), fetch, level, leaf, &pte);

    TS_ASSERT(n > 0);
    *entry = fetch[n - 1];
    return level[n - 1];
}

static uint32_t lowest_table(const struct ts_mm *mm, uint64_t va, bool *leaf)
{
    uint64_t entry;

    return walk(mm, va, leaf, &entry);
}

uint64_t ts_mm_last_table(const struct ts_mm *mm, uint64_t va)
{
    bool leaf;
    uint64_t entry;
    uint32_t level = walk(mm, va, &leaf, &entry);

    TS_ASSERT(level == 0);
    return entry & ~(TS_PAGE_BYTES - 1);
}

static bool is_hidden_huge(const struct ts_mm *mm, uint64_t va, struct ts_pte *pte)
{
    const struct ts_mm_private *pm = ts_mm_private_of(mm);

    return ts_pgtable_leaves(pm->none) && ts_pgtable_lookup(pm->none, va, pte) && pte->level;
}

enum ts_pmd ts_mm_pmd(const struct ts_mm *mm, uint64_t va, uint64_t *skip_to)
{
    bool leaf;
    uint32_t level = lowest_table(mm, va, &leaf);
    struct ts_pte pte;
    uint64_t span;

    if (level == 0)
        return TS_PMD_TABLE;
    TS_ASSERT(!leaf || level == 1);
    if (level == 1 &&
        (leaf || !ts_pgtable_can_map(mm->pgtable, va, 1) || is_hidden_huge(mm, va, &pte)))
        return TS_PMD_HUGE;
    span = UINT64_C(1) << TS_PT_SHIFT(level);
    *skip_to = (va | (span - 1)) + 1;
    return TS_PMD_NONE;
}

/* __pmd_trans_huge_lock: pmd_lock is held; false if there is no huge entry by now. */
static bool huge_entry(const struct ts_mm *mm, uint64_t va, struct ts_pte *pte, bool *hidden)
{
    *hidden = false;
    if (ts_pgtable_lookup(mm->pgtable, va, pte))
        return pte->level != 0;
    *hidden = is_hidden_huge(mm, va, pte);
    return *hidden;
}

uint32_t ts_mm_map_beside(struct ts_mm *mm, struct ts_pgtable *beside, uint64_t va,
                          const struct ts_pte *pte)
{
    uint64_t end = va + (UINT64_C(1) << pte->size_shift);
    uint32_t tables = 0, freed[TS_PT_LEVELS_MAX];
    bool leaf;

    if (pte->level) /* an empty table may be left over there */
        (void)ts_pgtable_free_tables(beside, va, end, va, end, freed);
    (void)ts_pgtable_map(beside, va, pte);
    if (lowest_table(mm, va, &leaf) > pte->level) {
        tables = ts_pgtable_map(mm->pgtable, va, pte);
        (void)ts_pgtable_clear(mm->pgtable, va, end, 1, NULL, NULL, NULL);
    }
    return tables;
}

uint32_t ts_mm_map_hidden(struct ts_mm *mm, uint64_t va, const struct ts_pte *pte)
{
    return ts_mm_map_beside(mm, ts_mm_private_of(mm)->none, va, pte);
}

/* --- deposited tables --- */

bool ts_huge_deposit_table(struct ts_mm *mm, uint64_t table)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);

    if (pm->ndeposits == pm->deposits_room) {
        uint32_t room = pm->deposits_room ? 2 * pm->deposits_room : 64;
        uint64_t *deposits = realloc(pm->deposits, room * sizeof(*deposits));
        if (!deposits)
            return false;
        pm->deposits = deposits;
        pm->deposits_room = room;
    }
    pm->deposits[pm->ndeposits++] = table;
    return true;
}

void ts_huge_deposit(struct ts_task *self, struct ts_mm *mm)
{
    if (!ts_huge_deposit_table(mm, ts_guest_frame_alloc(mm->guest)))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for a huge page");
}

uint64_t ts_huge_withdraw(struct ts_mm *mm)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);

    TS_ASSERT(pm->ndeposits > 0);
    return pm->deposits[--pm->ndeposits];
}

/* No walk has ever seen it: it does not wait for a flush. */
static void free_deposited(struct ts_task *self, struct ts_mm *mm)
{
    ts_guest_frame_free(mm->guest, ts_huge_withdraw(mm));
    ts_task_work(self, mm->guest->params.free_table_cycles);
}

/* --- faults --- */

/* __thp_vma_allowable_orders, thp_vma_suitable_order */
bool ts_thp_is_allowed(const struct ts_mm *mm, const struct ts_vma *v, uint64_t va)
{
    uint64_t base = ts_huge_base(va), thp = mm->guest->params.thp;

    if (v->flags != TS_OPF_ANONYMOUS || v->advice == TS_ADVICE_NOHUGEPAGE)
        return false;
    if (thp == TS_THP_NEVER || (thp == TS_THP_MADVISE && v->advice != TS_ADVICE_HUGEPAGE))
        return false;
    return v->start <= base && base + TS_TABLE_SPAN <= v->end;
}

/* The page is there and cleared, and a table is deposited; another CPU may have been quicker. */
static void map_huge(struct ts_task *self, struct ts_mm *mm, uint64_t base, struct ts_pte *pte)
{
    struct ts_guest *g = mm->guest;
    struct ts_spinlock *ptl = ts_pmd_lock(self, mm, base);
    uint64_t skip_to;
    uint32_t tables = 0;

    if (ts_mm_pmd(mm, base, &skip_to) == TS_PMD_NONE) {
        ts_task_work(self, g->params.fault_locked_cycles);
        tables = ts_mm_map(mm, base, pte);
        g->stats.thp_fault_alloc++;
        ts_spin_unlock(self, ptl);
    } else {
        g->stats.faults_spurious++;
        ts_spin_unlock(self, ptl);
        (void)ts_frame_put(g, pte->target);
        free_deposited(self, mm);
    }
    ts_task_work(self, tables * g->params.alloc_table_cycles);
}

enum ts_fault_result ts_huge_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write,
                                   bool vma_locked)
{
    const struct ts_guest_params *p = &mm->guest->params;
    const struct ts_vma *v = ts_vma_at(mm, va);
    bool writable = (v->prot & TS_PROT_WRITE) != 0;
    struct ts_pte pte = {.size_shift = TS_TABLE_SPAN_SHIFT, .level = 1};
    uint64_t skip_to;
    enum ts_pmd pmd = ts_mm_pmd(mm, va, &skip_to);

    if (pmd == TS_PMD_HUGE) { /* being split */
        ts_spin_unlock(self, ts_pmd_lock(self, mm, va));
        mm->guest->stats.faults_spurious++;
        return TS_FAULT_DONE;
    }
    if (pmd == TS_PMD_TABLE || !ts_thp_is_allowed(mm, v, va))
        return TS_FAULT_FALLBACK;
    if (ts_anon_prepare(self, mm, va, vma_locked) == TS_FAULT_RETRY)
        return TS_FAULT_RETRY;
    pte.target = ts_huge_alloc(self, mm->guest);
    ts_huge_deposit(self, mm);
    pte.writable = writable;
    pte.accessed = true;
    pte.dirty = write;
    ts_task_work(self, p->fault_huge_cycles + p->alloc_table_cycles);
    map_huge(self, mm, ts_huge_base(va), &pte);
    return TS_FAULT_DONE;
}

/* As ts_fault_flush_upgraded, with the level of the entry. */
static void flush_upgraded(struct ts_task *self, struct ts_mm *mm, uint64_t base)
{
    if (mm->guest->arch != TS_ARCH_X86)
        ts_flush_tlb_mm_range(self, mm, base, base + TS_TABLE_SPAN, TS_TABLE_SPAN_SHIFT, false);
}

enum ts_fault_result ts_huge_access(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write)
{
    struct ts_guest *g = mm->guest;
    uint64_t base = ts_huge_base(va);
    struct ts_spinlock *ptl = ts_pmd_lock(self, mm, va);
    struct ts_pte pte;

    if (!ts_pgtable_lookup(mm->pgtable, va, &pte) || !pte.level) {
        g->stats.faults_spurious++; /* it has changed meanwhile */
    } else if (!write || pte.writable) {
        g->stats.faults_spurious++;
        if (write && ts_pgtable_mark(mm->pgtable, base, true))
            flush_upgraded(self, mm, base);
    } else if (ts_huge_take_over(g, pte.target)) {
        (void)ts_pgtable_protect(mm->pgtable, base, base + TS_TABLE_SPAN, true, NULL, NULL);
        (void)ts_pgtable_mark(mm->pgtable, base, true);
        flush_upgraded(self, mm, base);
        g->stats.cow_reused++;
    } else {
        ts_spin_unlock(self, ptl);
        ts_split_huge_pmd(self, mm, va);
        return TS_FAULT_FALLBACK;
    }
    ts_spin_unlock(self, ptl);
    return TS_FAULT_DONE;
}

/* --- split --- */

/* x86 has no flush of its own for huge entries: flush_tlb_range counts in 4K, and 512 of them are
 * above the ceiling; it says that tables are freed (arch/x86/include/asm/tlbflush.h). arm64 has
 * one (arch/arm64/include/asm/pgtable.h). */
void ts_flush_pmd_tlb_range(struct ts_task *self, struct ts_mm *mm, uint64_t base)
{
    bool x86 = mm->guest->arch == TS_ARCH_X86;

    ts_flush_tlb_mm_range(self, mm, base, base + TS_TABLE_SPAN,
                          x86 ? TS_PAGE_SHIFT : TS_TABLE_SPAN_SHIFT, x86);
}

/* __split_huge_pmd_locked: nobody may hold large and small translations of one address at once, so
 * the entry is invalid until the flush has returned; who faults meanwhile waits for the lock. */
static void split_visible(struct ts_task *self, struct ts_mm *mm, uint64_t base)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_oracle *o = mm->guest->oracle;
    struct ts_pt_broken broken;
    uint32_t window = 0;

    if (o)
        window = ts_mm_window_open(mm, base, base + TS_TABLE_SPAN);
    if (!ts_pgtable_break(mm->pgtable, base, 1, &broken))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for page tables");
    ts_flush_pmd_tlb_range(self, mm, base);
    pm->withdrawing = true;
    (void)ts_pgtable_make_table(mm->pgtable, &broken);
    pm->withdrawing = false;
    if (o)
        ts_oracle_window_close(o, window);
}

static void split_hidden(struct ts_task *self, struct ts_mm *mm, uint64_t base)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    const struct ts_pte any = {.size_shift = TS_PAGE_SHIFT};

    ts_flush_pmd_tlb_range(self, mm, base);
    (void)ts_pgtable_split(pm->none, base);
    pm->withdrawing = true;
    (void)ts_pgtable_map(mm->pgtable, base, &any);
    pm->withdrawing = false;
    (void)ts_pgtable_clear(mm->pgtable, base, base + TS_PAGE_BYTES, 1, NULL, NULL, NULL);
}

void ts_split_huge_pmd(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    struct ts_guest *g = mm->guest;
    uint64_t base = ts_huge_base(va);
    struct ts_spinlock *ptl = ts_pmd_lock(self, mm, va);
    struct ts_pte pte;
    bool hidden;

    if (huge_entry(mm, base, &pte, &hidden)) {
        if (hidden)
            split_hidden(self, mm, base);
        else
            split_visible(self, mm, base);
        ts_huge_split(g, pte.target);
        ts_task_work(self, g->params.thp_split_cycles);
        g->stats.thp_split_pmd++;
    }
    ts_spin_unlock(self, ptl);
}

void ts_huge_split_at(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    uint64_t skip_to;

    if (va != ts_huge_base(va) && ts_mm_pmd(mm, va, &skip_to) == TS_PMD_HUGE)
        ts_split_huge_pmd(self, mm, va);
}

/* --- unmap, move, fork --- */

bool ts_huge_zap(struct ts_task *self, struct ts_gather *g, uint64_t base)
{
    struct ts_mm *mm = g->mm;
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_spinlock *ptl = ts_pmd_lock(self, mm, base);
    struct ts_pte pte;
    bool hidden;

    if (!huge_entry(mm, base, &pte, &hidden)) {
        ts_spin_unlock(self, ptl);
        return false;
    }
    (void)ts_pgtable_clear(hidden ? pm->none : mm->pgtable, base, base + TS_TABLE_SPAN, 1, NULL,
                           NULL, NULL);
    ts_gather_changed_pmd(g, base);
    if (!hidden)
        ts_gather_cleared(self, g, base, &pte);
    ts_task_work(self, mm->guest->params.zap_page_cycles);
    free_deposited(self, mm);
    ts_spin_unlock(self, ptl);
    ts_gather_page(self, g, pte.target, base + TS_TABLE_SPAN);
    return true;
}

bool ts_huge_move(struct ts_task *self, struct ts_mm *mm, uint64_t from, uint64_t to)
{
    const struct ts_guest_params *p = &mm->guest->params;
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_spinlock *old_ptl, *new_ptl = NULL;
    struct ts_pte pte;
    bool found, hidden;
    uint64_t skip_to;
    uint32_t tables;

    if ((to & (TS_TABLE_SPAN - 1)) || ts_mm_pmd(mm, to, &skip_to) != TS_PMD_NONE)
        return false;
    old_ptl = ts_pmd_lock(self, mm, from);
    if (from >> TS_PMD_SPAN_SHIFT != to >> TS_PMD_SPAN_SHIFT)
        new_ptl = ts_pmd_lock(self, mm, to);
    /* mmap_lock is held for writing, and the VMA's: only reclaim may have split it meanwhile. */
    found = huge_entry(mm, from, &pte, &hidden);
    if (found) {
        (void)ts_pgtable_clear(hidden ? pm->none : mm->pgtable, from, from + TS_TABLE_SPAN, 1, NULL,
                               NULL, NULL);
        tables = hidden ? ts_mm_map_hidden(mm, to, &pte) : ts_mm_map(mm, to, &pte);
        ts_task_work(self, p->zap_page_cycles / 2 + tables * p->alloc_table_cycles);
        ts_flush_pmd_tlb_range(self, mm, from);
    }
    if (new_ptl)
        ts_spin_unlock(self, new_ptl);
    ts_spin_unlock(self, old_ptl);
    return found;
}

bool ts_huge_copy(struct ts_task *self, struct ts_mm *parent, struct ts_mm *child, uint64_t base)
{
    const struct ts_guest_params *p = &parent->guest->params;
    struct ts_spinlock *to, *from;
    struct ts_pte pte;
    bool found, hidden;
    uint32_t tables;

    ts_huge_deposit(self, child);
    if (!ts_frame_reserve_shares(parent->guest))
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for fork");
    to = ts_pmd_lock(self, child, base);
    from = ts_pmd_lock(self, parent, base);
    found = huge_entry(parent, base, &pte, &hidden);
    if (!found) { /* the VMA is write-locked, but reclaim does not ask for that */
        ts_spin_unlock(self, from);
        ts_spin_unlock(self, to);
        free_deposited(self, child);
        return false;
    }
    ts_huge_share(parent->guest, pte.target);
    pte.writable = pte.accessed = false;
    tables = hidden ? ts_mm_map_hidden(child, base, &pte) : ts_mm_map(child, base, &pte);
    if (!hidden)
        (void)ts_pgtable_protect(parent->pgtable, base, base + TS_TABLE_SPAN, false, NULL, NULL);
    ts_task_work(self, p->fork_page_cycles);
    ts_spin_unlock(self, from);
    ts_spin_unlock(self, to);
    ts_task_work(self, (tables + 1) * p->alloc_table_cycles);
    ts_task_cond_resched(self);
    return true;
}
