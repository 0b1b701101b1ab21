/* SPDX-License-Identifier: Apache-2.0 */
/* Swap entries (Linux 6.12 mm/memory.c do_swap_page), of a device that is done when the call
 * returns, so that pages skip the swap cache: whoever reads one back has it alone, and its space in
 * swap is free again. They are kept in a table of their own beside what the hardware sees. */
#include "models/guest/mm/mm_private.h"

uint32_t ts_mm_map_swapped(struct ts_mm *mm, uint64_t va, const struct ts_pte *pte)
{
    TS_ASSERT(pte->level == 0);
    return ts_mm_map_beside(mm, ts_mm_private_of(mm)->swapped, va, pte);
}

bool ts_mm_is_swapped(const struct ts_mm *mm, uint64_t va)
{
    const struct ts_pgtable *swapped = ts_mm_private_of(mm)->swapped;
    struct ts_pte pte;

    return ts_pgtable_leaves(swapped) && ts_pgtable_lookup(swapped, va, &pte);
}

uint64_t ts_mm_clear_swapped(struct ts_mm *mm, uint64_t start, uint64_t end)
{
    struct ts_pgtable *swapped = ts_mm_private_of(mm)->swapped;

    if (!ts_pgtable_leaves(swapped) || start >= end)
        return 0;
    return ts_pgtable_clear(swapped, start, end, UINT64_MAX, NULL, NULL, NULL);
}

void ts_swap_in(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write)
{
    struct ts_guest *g = mm->guest;
    const struct ts_guest_params *p = &g->params;
    uint64_t page = ts_page_floor(va), cycles = p->swap_in_cycles;
    uint64_t locked = cycles < p->fault_locked_cycles ? cycles : p->fault_locked_cycles;
    struct ts_pte pte = {.size_shift = TS_PAGE_SHIFT, .accessed = true, .dirty = write};
    struct ts_spinlock *ptl;
    const struct ts_vma *v;

    ts_task_work(self, cycles - locked);
    ptl = ts_ptl_lock(self, mm, va);
    v = ts_vma_at(mm, va);
    if (v && ts_mm_is_swapped(mm, va)) {
        ts_task_work(self, locked);
        (void)ts_mm_clear_swapped(mm, page, page + TS_PAGE_BYTES);
        pte.target = ts_guest_frame_alloc(g);
        pte.writable = (v->prot & TS_PROT_WRITE) != 0;
        (void)ts_mm_map(mm, page, &pte);
        g->stats.pswpin++;
    } else {
        g->stats.faults_spurious++; /* another thread was quicker */
    }
    ts_spin_unlock(self, ptl);
}
