/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table pages on their way back (Linux 6.12 mm/mmu_gather.c tlb_remove_table, mm/memory.c
 * free_pgd_range; arch/x86/kernel/paravirt.c native_tlb_remove_table). Software that walks tables
 * with interrupts off is safe from what an IPI flush frees; where a flush needs no IPI, RCU takes
 * the tables, a list of them at a time. */
#include <string.h>

#include "models/guest/mm/mm_private.h"

static bool by_rcu(const struct ts_guest *g)
{
    const uint32_t pv = TS_NEEDS_PV_TLB_FLUSH | TS_NEEDS_HV_FLUSH | TS_NEEDS_XEN;

    switch (g->params.rcu_table_free) {
    case TS_RCU_TABLES_NEVER:
        return false;
    case TS_RCU_TABLES_PV:
        return g->arch != TS_ARCH_X86 || (g->flush->needs & pv) != 0;
    default:
        return true;
    }
}

void ts_gather_tables_done(struct ts_task *self, struct ts_gather *g, uint32_t n)
{
    struct ts_guest *guest = g->mm->guest;
    ts_time freed = ts_task_now(self) + guest->params.rcu_grace_ps;
    bool late = by_rcu(guest) && guest->params.table_batch;

    TS_ASSERT(n <= g->ntables);
    if (!n)
        return;
    for (uint32_t i = 0; i < n; i++) {
        if (!late)
            ts_guest_frame_release(guest, g->tables[i]);
        else if (!guest->flush->frame_release || !guest->flush->frame_release(guest, g->tables[i]))
            ts_guest_frame_free_at(guest, g->tables[i], freed);
    }
    guest->stats.table_batches += late;
    g->ntables -= n;
    memmove(g->tables, g->tables + n, g->ntables * sizeof(*g->tables));
}

static void nothing(struct ts_task *self, void *arg)
{
    (void)self;
    (void)arg;
}

/* tlb_remove_table_sync_one: whoever walks tables with interrupts off has ended when it returns. */
void ts_table_sync(struct ts_task *self, struct ts_guest *guest)
{
    const struct ts_call call = {.fn = nothing};
    struct ts_cpumask *mask;

    ts_preempt_disable(self);
    mask = &ts_guest_cpu_of(self)->flush_mask;
    ts_cpumask_set_all(mask); /* which does not call self */
    ts_smp_call_many(self, mask, &call, NULL);
    ts_preempt_enable(self);
    guest->stats.table_syncs++;
}

/* What pte_free_tlb and those above it note. */
struct noted {
    uint64_t start, end;
    bool ptes, pmds; /* tables of this level were freed */
};

static void note(struct ts_gather *g, const struct noted *n)
{
    g->freed_tables = true;
    g->cleared_pmds |= n->ptes;
    g->cleared_puds |= n->pmds;
    ts_gather_widen(g, n->start, n->end);
}

static void note_table(struct noted *n, uint64_t at)
{
    if (at < n->start)
        n->start = at;
    if (at + TS_PAGE_BYTES > n->end)
        n->end = at + TS_PAGE_BYTES;
}

/* A table freed widens the range to flush to the first 4K of what it stood for, so that a few pages
 * out of the middle of a table that goes with them become a flush of everything (free_pgd_range and
 * those below it, pte_free_tlb; every version). Tables whose span lies in [floor, ceiling) go. */
static void note_last_level(const struct ts_mm *mm, struct noted *n, uint64_t start, uint64_t end,
                            uint64_t floor, uint64_t ceiling)
{
    uint64_t va = ts_huge_base(start), skip_to;

    while (va < end) {
        enum ts_pmd pmd = ts_mm_pmd(mm, va, &skip_to);
        if (pmd == TS_PMD_TABLE && va >= floor && va + TS_TABLE_SPAN <= ceiling)
            note_table(n, va);
        va = pmd == TS_PMD_NONE ? skip_to : va + TS_TABLE_SPAN;
    }
}

static void note_upper(struct noted *n, uint32_t level, uint64_t first, uint64_t floor)
{
    uint64_t span = UINT64_C(1) << TS_PT_SHIFT(level + 1), base = first & ~(span - 1);

    note_table(n, base < floor ? base + span : base);
}

/* Each table is an entry of the gather, as a page is. */
static void queue_as_pages(struct ts_task *self, struct ts_gather *g, const struct noted *n)
{
    while (g->nframes + g->ntables >= g->room) {
        uint32_t with = g->room - g->nframes;
        ts_gather_flush(self, g);
        ts_gather_window_close(g);
        ts_gather_tables_done(self, g, with);
        ts_gather_free_pages(self, g);
        if (g->ntables)
            note(g, n);
    }
}

/* tlb_remove_table. */
static void queue_for_rcu(struct ts_task *self, struct ts_gather *g, const struct noted *n)
{
    struct ts_guest *guest = g->mm->guest;
    uint32_t batch = (uint32_t)guest->params.table_batch;

    while (g->ntables && g->ntables >= batch) {
        ts_gather_flush(self, g); /* tlb_table_invalidate */
        if (!batch)
            ts_table_sync(self, guest);
        ts_gather_tables_done(self, g, batch ? batch : 1);
        if (g->ntables)
            note(g, n);
    }
}

void ts_gather_free_tables(struct ts_task *self, struct ts_gather *g, uint64_t start, uint64_t end,
                           uint64_t floor, uint64_t ceiling)
{
    struct ts_guest *guest = g->mm->guest;
    struct ts_mm_private *pm = ts_mm_private_of(g->mm);
    struct noted noted = {.start = UINT64_MAX};
    uint64_t first;
    uint32_t freed[TS_PT_LEVELS_MAX] = {0}, n;
    bool was_open = g->window_open;

    /* What the pages had open has ended with a full gather, or is for those behind it; tables of
     * all that is unmapped go before the flush. */
    ts_gather_window_close(g);
    ts_gather_window(g, start < g->all_start || !g->all_end ? start : g->all_start,
                     end > g->all_end ? end : g->all_end);
    note_last_level(g->mm, &noted, start, end, floor, ceiling);
    pm->sink = g;
    n = ts_pgtable_free_tables(g->mm->pgtable, start, end, floor, ceiling, freed);
    pm->sink = NULL;
    if (g->out_of_memory)
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for an unmap");
    if (!n) {
        if (!was_open)
            ts_gather_window_close(g);
        return;
    }
    noted.ptes = freed[0] != 0;
    noted.pmds = freed[1] != 0;
    /* The first of them is above the first table, or, where there was none, above the start. */
    first = noted.ptes ? noted.start : start;
    for (uint32_t level = 1; level < TS_PT_LEVELS_MAX; level++)
        if (freed[level])
            note_upper(&noted, level, first, floor);
    note(g, &noted);
    guest->stats.tables_freed += n;
    ts_task_work(self, n * guest->params.free_table_cycles);
    if (by_rcu(guest))
        queue_for_rcu(self, g, &noted);
    else
        queue_as_pages(self, g, &noted);
}
