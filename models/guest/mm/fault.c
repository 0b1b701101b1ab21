/* SPDX-License-Identifier: Apache-2.0 */
/* Page faults and touches (Linux 6.12 mm/memory.c, arch/x86/mm/fault.c). Left out: write
 * notification of shared file pages and copy-on-write of page-cache pages, so a page is mapped at
 * once with all that its VMA allows; only fork and the zero page make entries that allow less. */
#include "models/guest/coherence/pti.h"
#include "models/guest/mm/numa.h"

/* --- faults --- */

static bool is_anonymous(const struct ts_vma *v)
{
    return (v->flags & TS_OPF_ANONYMOUS) != 0;
}

enum ts_fault_result ts_anon_prepare(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                     bool vma_locked)
{
    if (ts_vma_at(mm, va)->has_anon)
        return TS_FAULT_DONE;
    if (vma_locked && !ts_down_read_trylock(self, &mm->mmap_lock))
        return TS_FAULT_RETRY;
    ts_vma_at(mm, va)->has_anon = true;
    if (vma_locked)
        ts_up_read(self, &mm->mmap_lock);
    return TS_FAULT_DONE;
}

/* A write fault has changed the entry (ptep_set_access_flags). arm64 invalidates what was cached of
 * it, on every CPU (arch/arm64/mm/fault.c, 6.1 and 6.12). On x86 the fault itself has dropped this
 * CPU's entry, and another CPU's costs that one a fault (flush_tlb_fix_spurious_fault is empty). */
void ts_fault_flush_upgraded(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    uint64_t page = ts_page_floor(va);

    if (mm->guest->arch != TS_ARCH_X86)
        ts_flush_tlb_mm_range(self, mm, page, page + TS_PAGE_BYTES, TS_PAGE_SHIFT, false);
}

/* The entry is there and allows the access: another CPU was quicker, or this one had an older
 * translation. The page-table lock is held. */
static void spurious(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write)
{
    mm->guest->stats.faults_spurious++;
    if (write && ts_pgtable_mark(mm->pgtable, va, true))
        ts_fault_flush_upgraded(self, mm, va);
}

/* The entry of a page that was not there, under the page-table lock; returns the tables that had to
 * be made. */
static uint32_t set_entry(struct ts_mm *mm, uint64_t page, bool zero, bool writable, bool dirty)
{
    struct ts_pte pte = {.target =
                             zero ? ts_frame_zero(mm->guest) : ts_guest_frame_alloc(mm->guest),
                         .size_shift = TS_PAGE_SHIFT,
                         .writable = writable && !zero,
                         .accessed = true,
                         .dirty = dirty};

    mm->guest->stats.zero_mapped += zero;
    return ts_mm_map(mm, page, &pte);
}

/* do_anonymous_page or filemap_map_pages for one page. The VMA stays as it is meanwhile: its lock
 * or mmap_lock is held. */
static enum ts_fault_result map_page(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                     bool write, bool vma_locked)
{
    const struct ts_guest_params *p = &mm->guest->params;
    struct ts_vma v = *ts_vma_at(mm, va);
    bool zero = p->zero_page && !write && v.flags == TS_OPF_ANONYMOUS;
    uint64_t cycles = zero               ? p->fault_zero_cycles
                      : is_anonymous(&v) ? p->fault_anon_cycles
                                         : p->fault_file_cycles;
    uint64_t locked = cycles < p->fault_locked_cycles ? cycles : p->fault_locked_cycles;
    struct ts_spinlock *ptl;
    struct ts_pte present;
    uint32_t tables = 0;

    if (!(v.flags & TS_OPF_SHARED) && !zero && (is_anonymous(&v) || write) &&
        ts_anon_prepare(self, mm, va, vma_locked) == TS_FAULT_RETRY)
        return TS_FAULT_RETRY;
    ts_task_work(self, cycles - locked);
    ptl = ts_ptl_lock(self, mm, va);
    if (ts_pgtable_lookup(mm->pgtable, va, &present) || ts_mm_is_swapped(mm, va) ||
        ts_numa_is_hint(mm, va)) {
        mm->guest->stats.faults_spurious++; /* another thread was quicker (vmf_pte_changed) */
    } else {
        ts_task_work(self, locked);
        tables = set_entry(mm, ts_page_floor(va), zero, (v.prot & TS_PROT_WRITE) != 0, write);
    }
    ts_spin_unlock(self, ptl);
    ts_task_work(self, tables * p->alloc_table_cycles);
    return TS_FAULT_DONE;
}

static enum ts_fault_result handle_mm_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va,
                                            bool write, bool vma_locked)
{
    struct ts_spinlock *ptl;
    struct ts_pte pte;
    enum ts_fault_result result = TS_FAULT_FALLBACK;

    if (!ts_vma_allows(ts_vma_at(mm, va), write))
        return TS_FAULT_BAD;
    if (!ts_pgtable_lookup(mm->pgtable, va, &pte)) {
        if (ts_mm_is_swapped(mm, va)) {
            ts_swap_in(self, mm, va, write);
            return TS_FAULT_DONE;
        }
        if (ts_numa_is_hint(mm, va)) {
            ts_numa_fault(self, mm, va);
            return TS_FAULT_DONE;
        }
        if (mm->guest->params.thp != TS_THP_NEVER)
            result = ts_huge_fault(self, mm, va, write, vma_locked);
        return result == TS_FAULT_FALLBACK ? map_page(self, mm, va, write, vma_locked) : result;
    }
    if (pte.level) {
        result = ts_huge_access(self, mm, va, write);
        if (result != TS_FAULT_FALLBACK)
            return result;
    }
    if (write && !pte.writable)
        return ts_mm_write_protected(self, mm, va, vma_locked);
    ptl = ts_ptl_lock(self, mm, va);
    spurious(self, mm, va, write);
    ts_spin_unlock(self, ptl);
    return TS_FAULT_DONE;
}

/* do_user_addr_fault: under the VMA's lock, or if that does not do, or the kernel has none (before
 * 6.4), under mmap_lock. */
bool ts_mm_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write)
{
    enum ts_fault_result result = TS_FAULT_RETRY;
    struct ts_vma_lock *lock = NULL;

    if (mm->guest->params.per_vma_lock)
        lock = ts_vma_start_read(self, mm, va);
    if (lock) {
        result = handle_mm_fault(self, mm, va, write, true);
        ts_vma_end_read(self, lock);
    }
    if (result == TS_FAULT_RETRY) {
        mm->guest->stats.faults_mmap_lock++;
        ts_mm_read_lock(self, mm);
        result = handle_mm_fault(self, mm, va, write, false);
        ts_up_read(self, &mm->mmap_lock);
    }
    return result == TS_FAULT_DONE;
}
