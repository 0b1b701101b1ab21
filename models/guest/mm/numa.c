/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/mm/numa.h"

#include "models/guest/mm/reclaim.h"

enum { MAX_SCAN_WINDOW_MB = 2560 };
#define MB (UINT64_C(1) << 20)

/* --- when --- */

/* task_scan_min; an address space without pages counts as one window (task_nr_scan_windows). */
static ts_time scan_period(const struct ts_mm *mm)
{
    const struct ts_guest_params *p = &mm->guest->params;
    uint64_t size = p->numa_scan_bytes, max = MAX_SCAN_WINDOW_MB * MB;
    uint64_t rss =
        (ts_pgtable_leaves(mm->pgtable) + ts_pgtable_leaves(ts_mm_private_of(mm)->none)) *
        TS_PAGE_BYTES;
    uint64_t windows = rss ? (rss + size - 1) / size : 1;
    ts_time floor = TS_S / (size < max ? max / size : 1);
    ts_time period = p->numa_scan_period_ps / windows;

    return period > floor ? period : floor;
}

void ts_numa_thread_init(struct ts_guest_thread *thread, bool first)
{
    struct ts_mm *mm = thread->mm;
    const struct ts_guest *g = thread->guest;

    thread->numa_stamp = 0;
    thread->numa_period = g->params.numa_scan_delay_ps;
    thread->numa_work = false;
    if (first)
        ts_mm_private_of(mm)->numa_next_scan =
            ts_engine_now(g->engine) + g->params.numa_scan_delay_ps;
    else /* scans of its threads are staggered */
        thread->numa_stamp =
            g->params.numa_scan_delay_ps * mm->users + 2 * g->domain->sched_params.tick_ps;
}

/* task_tick_numa */
static void tick(struct ts_task *self)
{
    struct ts_guest_thread *thread = self->user;

    if (thread->numa_work || ts_task_executed(self) <= thread->numa_stamp + thread->numa_period)
        return;
    if (!thread->numa_stamp)
        thread->numa_period = scan_period(thread->mm);
    thread->numa_stamp += thread->numa_period;
    thread->numa_work =
        ts_engine_now(thread->guest->engine) >= ts_mm_private_of(thread->mm)->numa_next_scan;
}

/* --- what is scanned --- */

/* change_pte_range and change_huge_pmd with MM_CP_PROT_NUMA, for what they do not skip. */
static bool can_hint(const struct ts_mm *mm, const struct ts_vma *v, const struct ts_pte *pte)
{
    const struct ts_guest *g = mm->guest;

    if (!(v->flags & TS_OPF_SHARED)) /* neither the zero page nor one that fork has shared */
        return pte->level ? ts_huge_mapped_once(g, pte->target)
                          : ts_frame_mapped_once(g, pte->target);
    return (v->flags & TS_OPF_ANONYMOUS) || !pte->dirty;
}

static uint64_t hide(struct ts_gather *g, const struct ts_vma *v, uint64_t start, uint64_t end)
{
    struct ts_mm *mm = g->mm;
    struct ts_pte pte = {0};
    uint64_t n = 0, size;

    for (uint64_t va = start; va < end; va += size) {
        bool found = ts_pgtable_lookup(mm->pgtable, va, &pte);
        size = found && pte.level ? TS_TABLE_SPAN : TS_PAGE_BYTES;
        if (!found || !can_hint(mm, v, &pte))
            continue;
        (void)ts_pgtable_clear(mm->pgtable, va, va + size, 1, NULL, NULL, NULL);
        (void)ts_mm_map_hidden(mm, va, &pte);
        if (pte.level)
            ts_gather_changed_pmd(g, va);
        else
            ts_gather_changed(g, va, va + TS_PAGE_BYTES);
        n += size / TS_PAGE_BYTES;
    }
    return n;
}

/* change_prot_numa: a gather of its own. Returns the pages changed. */
static uint64_t change_prot_numa(struct ts_task *self, struct ts_mm *mm, const struct ts_vma *v,
                                 uint64_t start, uint64_t end)
{
    const struct ts_guest_params *p = &mm->guest->params;
    struct ts_gather *g = ts_gather_begin(self, mm, false);
    uint64_t va = start, total = 0, skip_to;

    ts_gather_window(g, start, end);
    while (va < end) {
        uint64_t next = ts_table_span_end(va, end), n = 0;
        enum ts_pmd pmd = ts_mm_pmd(mm, va, &skip_to);
        struct ts_spinlock *ptl;
        if (pmd == TS_PMD_NONE) {
            ts_task_work(self, p->zap_empty_table_cycles);
            va = skip_to;
            continue;
        }
        ptl = pmd == TS_PMD_HUGE ? ts_pmd_lock(self, mm, va) : ts_ptl_lock(self, mm, va);
        if (pmd == TS_PMD_TABLE)
            ts_flush_batched_pending(self, mm);
        if (pmd == TS_PMD_TABLE || next - va == TS_TABLE_SPAN)
            n = hide(g, v, va, next);
        ts_task_work(self, n ? n * p->zap_page_cycles / 2 : p->zap_empty_table_cycles);
        ts_spin_unlock(self, ptl);
        total += n;
        va = next;
    }
    ts_gather_finish(self, g);
    mm->guest->stats.numa_pte_updates += total;
    return total;
}

static bool is_suitable(const struct ts_mm *mm, const struct ts_vma *v)
{
    bool file = !(v->flags & TS_OPF_ANONYMOUS);

    if (!v->prot || (file && v->prot == TS_PROT_READ))
        return false;
    return mm->users > 1 || (v->flags & TS_OPF_SHARED);
}

/* Of one VMA, from *start on; false: enough for this time. */
static bool scan_vma(struct ts_task *self, struct ts_mm *mm, const struct ts_vma *v,
                     uint64_t *start, int64_t *pages, int64_t *virtpages)
{
    uint64_t end;

    do {
        *start = *start > v->start ? *start : v->start;
        end = ts_huge_base(*start + (uint64_t)*pages * TS_PAGE_BYTES + TS_TABLE_SPAN - 1);
        end = end < v->end ? end : v->end;
        if (change_prot_numa(self, mm, v, *start, end))
            *pages -= (int64_t)((end - *start) / TS_PAGE_BYTES);
        *virtpages -= (int64_t)((end - *start) / TS_PAGE_BYTES);
        *start = end;
        if (*pages <= 0 || *virtpages <= 0)
            return false;
        ts_task_cond_resched(self);
    } while (end != v->end);
    return true;
}

/* mmap_lock is held for reading. */
static void scan(struct ts_task *self, struct ts_mm *mm)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    int64_t pages = (int64_t)(mm->guest->params.numa_scan_bytes / TS_PAGE_BYTES);
    int64_t virtpages = pages * 8;
    uint64_t start = pm->numa_scan_offset;
    uint32_t i = ts_vma_index(mm, start);

    if (i == mm->nvmas) /* reset_ptenuma_scan */
        start = i = 0;
    for (; i < mm->nvmas; i++) {
        struct ts_vma v = mm->vmas[i];
        if (is_suitable(mm, &v) && !scan_vma(self, mm, &v, &start, &pages, &virtpages))
            break;
    }
    pm->numa_scan_offset = i < mm->nvmas ? start : 0;
}

static void task_work(struct ts_task *self)
{
    struct ts_guest_thread *thread = self->user;
    struct ts_mm *mm = thread->mm;
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    ts_time now = ts_task_now(self), used = ts_task_executed(self);

    thread->numa_work = false;
    if (now < pm->numa_next_scan)
        return;
    pm->numa_next_scan = now + scan_period(mm);
    /* So that another thread is likely to be the next. */
    thread->numa_stamp += 2 * thread->guest->domain->sched_params.tick_ps;
    if (!ts_down_read_trylock(self, &mm->mmap_lock))
        return;
    scan(self, mm);
    ts_up_read(self, &mm->mmap_lock);
    thread->guest->stats.numa_scans++;
    thread->numa_stamp += 32 * (ts_task_executed(self) - used); /* at most 3 % of the time */
}

bool ts_numa_has_work(struct ts_task *self)
{
    struct ts_guest_thread *thread = self->user;
    uint64_t ticks;

    if (!thread->guest->params.numa_balancing)
        return false;
    ticks = ts_task_now(self) / thread->guest->domain->sched_params.tick_ps;
    if (ticks != thread->numa_tick)
        tick(self);
    thread->numa_tick = ticks;
    return thread->numa_work;
}

void ts_numa_resume(struct ts_task *self)
{
    if (ts_numa_has_work(self))
        task_work(self);
}

/* --- hint faults --- */

bool ts_numa_is_hint(const struct ts_mm *mm, uint64_t va)
{
    const struct ts_pgtable *none = ts_mm_private_of(mm)->none;
    struct ts_pte pte;

    return ts_pgtable_leaves(none) && ts_pgtable_lookup(none, va, &pte);
}

/* Of all hint faults so many in a hundred. */
static bool is_misplaced(struct ts_guest *g)
{
    uint64_t n = g->stats.numa_hint_faults, percent = g->params.numa_migrate_percent;

    return n * percent / 100 != (n - 1) * percent / 100;
}

/* The entry is accessible again. It was flushed when it ceased to be, and needs none now. */
static void restore(struct ts_mm *mm, uint64_t base, struct ts_pte *pte, uint64_t target)
{
    const struct ts_vma *v = ts_vma_at(mm, base);
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    uint64_t size = UINT64_C(1) << pte->size_shift;

    (void)ts_pgtable_clear(pm->none, base, base + size, 1, NULL, NULL, NULL);
    pte->writable = v && (v->prot & TS_PROT_WRITE) &&
                    ((v->flags & TS_OPF_SHARED) || ts_frame_exclusive(mm->guest, pte->target));
    pte->accessed = true;
    pte->target = target;
    (void)ts_mm_map(mm, base, pte);
}

/* migrate_misplaced_folio of a page that nothing else maps. Its entry is PROT_NONE, which counts as
 * accessible, so that TLBs may have it, only while a gather is open (pte_accessible): else there is
 * no flush, neither by ptep_clear_flush (before 6.3) nor at the end of the batch. */
static void migrate(struct ts_task *self, struct ts_mm *mm, uint64_t page)
{
    struct ts_guest *g = mm->guest;
    struct ts_unmap_batch *b = ts_unmap_batch_get(self, g);
    struct ts_spinlock *ptl;
    struct ts_pte pte;

    ts_task_work(self, g->params.numa_migrate_cycles);
    ptl = ts_ptl_lock(self, mm, page);
    if (ts_pgtable_lookup(ts_mm_private_of(mm)->none, page, &pte) && !pte.level &&
        ts_frame_mapped_once(g, pte.target)) {
        uint64_t old = pte.target, frame = ts_guest_frame_alloc(g);
        if (mm->flush_pending)
            ts_unmap_flush_one(self, b, mm, page, pte.dirty);
        restore(mm, page, &pte, frame);
        ts_spin_unlock(self, ptl);
        (void)ts_frame_put(g, old);
        g->stats.numa_pages_migrated++;
    } else {
        ts_spin_unlock(self, ptl);
    }
    ts_unmap_batch_put(b);
}

void ts_numa_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va)
{
    struct ts_guest *g = mm->guest;
    uint64_t page = ts_page_floor(va), skip_to;
    bool huge = ts_mm_pmd(mm, va, &skip_to) == TS_PMD_HUGE;
    struct ts_spinlock *ptl;
    struct ts_pte pte;

    ts_task_work(self, g->params.fault_numa_cycles);
    ptl = huge ? ts_pmd_lock(self, mm, va) : ts_ptl_lock(self, mm, va);
    if (!ts_pgtable_lookup(ts_mm_private_of(mm)->none, va, &pte) || !pte.level != !huge) {
        g->stats.faults_spurious++;
        ts_spin_unlock(self, ptl);
        return;
    }
    g->stats.numa_hint_faults++;
    if (!huge && is_misplaced(g) && ts_frame_mapped_once(g, pte.target)) {
        ts_spin_unlock(self, ptl);
        migrate(self, mm, page);
        return;
    }
    restore(mm, huge ? ts_huge_base(va) : page, &pte, pte.target);
    ts_spin_unlock(self, ptl);
}
