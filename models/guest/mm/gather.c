/* SPDX-License-Identifier: Apache-2.0 */
/* mmu_gather: clear, flush, then free (Linux 6.12 mm/mmu_gather.c, mm/memory.c; x86.md 1.7).
 *
 * A page goes back to the allocator only after the flush that covers it
 * has returned; that order is what the oracle checks. */
#include <stdlib.h>

#include "models/guest/mm/mm_private.h"

/* free_pages_and_swap_cache works in chunks of this many and may reschedule in between. */
enum { FREE_CHUNK = 512, LRU_BATCH = 31 }; /* tlb_batch_pages_flush; PAGEVEC_SIZE, 15 in 6.1 */

/* Pages in the gather's own list, and in each further one. */
static uint64_t own_list(const struct ts_guest_params *p)
{
    return p->gather_inline - (p->gather_spare ? 1 : 0);
}

static uint64_t further_list(const struct ts_guest_params *p)
{
    return p->gather_batch - (p->gather_spare ? 1 : 0);
}

uint64_t ts_gather_capacity(const struct ts_guest_params *p)
{
    return own_list(p) + p->gather_max_batches * further_list(p);
}

/* Pages that the list which is being filled still takes. */
static uint64_t list_room(const struct ts_gather *g)
{
    const struct ts_guest_params *p = &g->mm->guest->params;
    uint64_t own = own_list(p);

    if (g->nframes < own)
        return own - g->nframes;
    return further_list(p) - (g->nframes - own) % further_list(p);
}

/* tlb_next_batch, asked when a list is full: there is no further one, or none is taken because
 * tlb_flush_rmaps looks only at the first list and the last. */
static bool is_full(const struct ts_gather *g)
{
    const struct ts_guest_params *p = &g->mm->guest->params;

    return g->nframes == g->room || (g->delayed_rmap && g->nframes > own_list(p) &&
                                     (g->nframes - own_list(p)) % further_list(p) == 0);
}

static struct ts_gather *new_gather(struct ts_task *self, struct ts_mm *mm)
{
    struct ts_gather *g = calloc(1, sizeof(*g));

    if (g) {
        g->room = (uint32_t)ts_gather_capacity(&mm->guest->params);
        g->frames = malloc(g->room * sizeof(*g->frames));
    }
    if (g) {
        g->next_made = ts_mm_private_of(mm)->made;
        ts_mm_private_of(mm)->made = g;
    }
    if (!g || !g->frames)
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for an unmap");
    return g;
}

static void reset_range(struct ts_gather *g)
{
    g->start = g->page_start = UINT64_MAX;
    g->end = g->page_end = 0;
    g->cleared_ptes = g->cleared_pmds = g->cleared_puds = false;
    g->freed_tables = false;
    g->delayed_rmap = false;
}

struct ts_gather *ts_gather_begin(struct ts_task *self, struct ts_mm *mm, bool fullmm)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_gather *g = pm->gathers;

    if (g)
        pm->gathers = g->next;
    else
        g = new_gather(self, mm);
    ts_task_step(self, TS_STEP_CHANGE, true, mm->pgtable, 0, UINT64_MAX);
    g->mm = mm;
    g->fullmm = fullmm;
    g->zaps = false;
    reset_range(g);
    g->all_start = g->all_end = 0;
    g->begun = ts_task_now(self);
    mm->flush_pending++;
    return g;
}

uint32_t ts_mm_window_open(struct ts_mm *mm, uint64_t start, uint64_t end)
{
    struct ts_guest *g = mm->guest;
    uint32_t window = ts_oracle_window_open(g->oracle, mm->ctx_id, start, end);

    if (window == TS_ORACLE_NO_WINDOW)
        ts_engine_fail(g->engine, TS_ERR_ENVIRONMENT, "out of memory for the oracle");
    return window;
}

void ts_mm_mapped_anew(struct ts_mm *mm, uint64_t start, uint64_t end)
{
    struct ts_guest *g = mm->guest;

    if (g->oracle && !ts_oracle_mapped_anew(g->oracle, mm->ctx_id, start, end))
        ts_engine_fail(g->engine, TS_ERR_ENVIRONMENT, "out of memory for the oracle");
}

void ts_gather_window(struct ts_gather *g, uint64_t start, uint64_t end)
{
    if (!g->mm->guest->oracle || start >= end)
        return;
    TS_ASSERT(!g->window_open);
    g->window = ts_mm_window_open(g->mm, start, end);
    g->window_open = true;
    g->window_end = end;
    if (g->all_end == 0 || start < g->all_start)
        g->all_start = start;
    if (end > g->all_end)
        g->all_end = end;
}

void ts_gather_window_close(struct ts_gather *g)
{
    if (g->window_open)
        ts_oracle_window_close(g->mm->guest->oracle, g->window);
    g->window_open = false;
}

void ts_gather_widen(struct ts_gather *g, uint64_t start, uint64_t end)
{
    if (start < g->start)
        g->start = start;
    if (end > g->end)
        g->end = end;
}

static void widen_pages(struct ts_gather *g, uint64_t start, uint64_t end)
{
    ts_gather_widen(g, start, end);
    if (start < g->page_start)
        g->page_start = start;
    if (end > g->page_end)
        g->page_end = end;
}

void ts_gather_changed(struct ts_gather *g, uint64_t start, uint64_t end)
{
    g->cleared_ptes = true;
    widen_pages(g, start, end);
}

void ts_gather_changed_pmd(struct ts_gather *g, uint64_t base)
{
    g->cleared_pmds = true;
    widen_pages(g, base, base + TS_TABLE_SPAN);
}

/* tlb_get_unmap_shift */
static uint32_t unmap_shift(const struct ts_gather *g)
{
    if (g->cleared_ptes)
        return TS_PAGE_SHIFT;
    if (g->cleared_pmds)
        return TS_TABLE_SPAN_SHIFT;
    return g->cleared_puds ? TS_PMD_SPAN_SHIFT : TS_PAGE_SHIFT;
}

/* tlb_flush_mmu_tlbonly */
void ts_gather_flush(struct ts_task *self, struct ts_gather *g)
{
    uint32_t stride = unmap_shift(g);
    /* tlb_get_level: arm64 gives no level hint for entries of two sizes. That walk caches are then
     * dropped as well, as for freed tables, is a simplification. */
    bool mixed = g->cleared_ptes && g->cleared_pmds && g->mm->guest->arch != TS_ARCH_X86;

    if (!g->cleared_ptes && !g->cleared_pmds && !g->freed_tables)
        return;
    if (g->fullmm && !g->freed_tables && g->mm->guest->arch != TS_ARCH_X86) {
        /* arm64: the ASID is not given out again without a flush, so only walks of freed tables
         * matter (arch/arm64/include/asm/tlb.h tlb_flush, 6.1 and 6.12). */
        reset_range(g);
        return;
    }
    if (g->fullmm) {
        ts_flush_tlb_mm_range(self, g->mm, 0, UINT64_MAX, stride, g->freed_tables);
    } else {
        struct ts_flush_request rq = {.start = g->start,
                                      .end = g->end,
                                      .stride_shift = stride,
                                      .freed_tables = g->freed_tables || mixed,
                                      .has_window = g->window_open,
                                      .window = g->window};
        if (g->zaps && g->page_start < g->page_end) {
            rq.unmapped_start = g->page_start;
            rq.unmapped_end = g->page_end;
        }
        ts_flush_tlb(self, g->mm, &rq);
    }
    reset_range(g);
}

void ts_gather_free_pages(struct ts_task *self, struct ts_gather *g)
{
    struct ts_guest *guest = g->mm->guest;
    uint32_t done = 0;

    while (done < g->nframes) {
        uint32_t n = g->nframes - done < FREE_CHUNK ? g->nframes - done : FREE_CHUNK;
        /* The lock of the LRU lists is for pages that are on them. Without the drain those are
         * fewer than a batch may be still with the CPU that has made them. */
        if (guest->params.lru_drain || n >= LRU_BATCH)
            ts_task_line(self, &g->mm->lru_line, TS_LINE_RMW);
        ts_task_work(self, n * guest->params.free_page_cycles);
        /* None if another address space has it too. */
        for (uint32_t i = 0; i < n; i++)
            guest->stats.pages_freed += ts_frame_put(guest, g->frames[done + i]);
        done += n;
        ts_task_cond_resched(self);
    }
    g->nframes = 0;
}

/* tlb_flush_mmu_free */
static void free_all(struct ts_task *self, struct ts_gather *g)
{
    ts_gather_tables_done(self, g, g->ntables);
    ts_gather_free_pages(self, g);
}

/* tlb_flush_mmu */
static void flush_and_free(struct ts_task *self, struct ts_gather *g)
{
    ts_gather_flush(self, g);
    ts_gather_window_close(g);
    free_all(self, g);
}

void ts_gather_page(struct ts_task *self, struct ts_gather *g, uint64_t frame, uint64_t next)
{
    TS_ASSERT(g->nframes < g->room);
    g->frames[g->nframes++] = frame;
    if (!is_full(g))
        return;
    ts_gather_flush(self, g);
    ts_gather_window_close(g);
    ts_gather_window(g, next, g->window_end);
    free_all(self, g);
}

void ts_gather_cleared(struct ts_task *self, struct ts_gather *g, uint64_t va,
                       const struct ts_pte *was)
{
    struct ts_oracle *o = g->mm->guest->oracle;

    ts_mm_store_late(self, g->mm, va, was);
    if (o)
        ts_oracle_cleared(o, g->mm->ctx_id, va, va + (UINT64_C(1) << was->size_shift), was->target);
}

struct zap {
    struct ts_task *self;
    struct ts_gather *gather;
    bool shared;
    bool force_flush;
    bool hidden; /* what is cleared was out of the hardware's sight before */
};

/* A page that its VMA forbids counts as well: pte_present is true for PROT_NONE
 * (arch/x86/include/asm/pgtable.h, arch/arm64/include/asm/pgtable.h). */
static void on_zapped(void *user, uint64_t va, const struct ts_pte *pte)
{
    struct zap *z = user;
    struct ts_gather *g = z->gather;

    TS_ASSERT(pte->size_shift == TS_PAGE_SHIFT && g->nframes < g->room);
    if (!ts_frame_is_zero(g->mm->guest, pte->target)) /* vm_normal_page knows none */
        g->frames[g->nframes++] = pte->target;
    ts_gather_changed(g, va, va + TS_PAGE_BYTES);
    if (!z->hidden)
        ts_gather_cleared(z->self, g, va, pte);
    if (pte->dirty && z->shared) {
        z->force_flush = true;
        g->delayed_rmap = g->mm->guest->params.delayed_rmap != 0;
    }
}

/* The table's lock is held. Returns where to go on. */
static uint64_t clear_table(struct ts_task *self, struct zap *z, uint64_t start, uint64_t end)
{
    struct ts_gather *g = z->gather;
    struct ts_mm_private *pm = ts_mm_private_of(g->mm);
    const struct ts_guest_params *p = &g->mm->guest->params;
    uint64_t n = 0;

    /* First what the hardware cannot see, so that both are done up to where the other stops. */
    z->hidden = true;
    if (ts_pgtable_leaves(pm->none))
        n = ts_pgtable_clear(pm->none, start, end, g->room - g->nframes, on_zapped, z, &end);
    z->hidden = false;
    (void)ts_mm_clear_swapped(g->mm, start, end); /* takes no room, and needs no flush */
    while (start < end && !is_full(g))
        n += ts_pgtable_clear(g->mm->pgtable, start, end, list_room(g), on_zapped, z, &start);
    ts_task_work(self, n ? n * p->zap_page_cycles : p->zap_empty_table_cycles);
    return start;
}

/* zap_pte_range: one table's part, as far as the gather has room. Dirty shared pages and a full
 * gather are flushed before the lock is let go, and freed after. */
static uint64_t zap_table(struct ts_task *self, struct zap *z, uint64_t start, uint64_t end)
{
    struct ts_gather *g = z->gather;
    struct ts_spinlock *ptl = ts_ptl_lock(self, g->mm, start);

    ts_flush_batched_pending(self, g->mm);
    z->force_flush = false;
    start = clear_table(self, z, start, end);
    if (is_full(g))
        z->force_flush = true;
    if (z->force_flush) {
        ts_gather_flush(self, g);
        ts_gather_window_close(g);
        ts_gather_window(g, start, g->window_end);
    }
    ts_spin_unlock(self, ptl);
    if (z->force_flush)
        free_all(self, g);
    return start;
}

void ts_gather_zap(struct ts_task *self, struct ts_gather *g, uint64_t start, uint64_t end,
                   bool shared)
{
    const struct ts_guest_params *p = &g->mm->guest->params;
    struct zap z = {.self = self, .gather = g, .shared = shared};
    uint64_t va = start, skip_to;

    g->zaps = true;
    while (va < end) {
        uint64_t next = ts_table_span_end(va, end);
        enum ts_pmd pmd = ts_mm_pmd(g->mm, va, &skip_to);
        if (pmd == TS_PMD_NONE) {
            ts_task_work(self, p->zap_empty_table_cycles);
            va = skip_to;
            continue;
        }
        if (pmd == TS_PMD_TABLE)
            va = zap_table(self, &z, va, next);
        else if (next - va != TS_TABLE_SPAN)
            ts_split_huge_pmd(self, g->mm, va); /* and again */
        else if (ts_huge_zap(self, g, va))
            va = next;
        ts_task_cond_resched(self);
    }
}

/* Not of a mechanism that keeps frames, as its flushes come later. */
static void tell_returned(const struct ts_gather *g)
{
    struct ts_guest *guest = g->mm->guest;

    if (!guest->oracle || !g->zaps || g->all_start >= g->all_end || guest->flush->frame_release)
        return;
    if (!ts_oracle_returned(guest->oracle, g->mm->ctx_id, g->all_start, g->all_end, g->begun))
        ts_engine_fail(guest->engine, TS_ERR_ENVIRONMENT, "out of memory for the oracle");
}

/* tlb_finish_mmu */
void ts_gather_finish(struct ts_task *self, struct ts_gather *g)
{
    /* mm_tlb_flush_nested: the other gather may have cleared PTEs that this one found empty, so
     * nothing is known of what TLBs hold. */
    if (g->mm->flush_pending > 1) {
        g->fullmm = true;
        g->freed_tables = true;
    }
    flush_and_free(self, g);
    tell_returned(g);
    ts_gather_put(g);
}

void ts_gather_put(struct ts_gather *g)
{
    struct ts_mm_private *pm = ts_mm_private_of(g->mm);

    TS_ASSERT(g->mm->flush_pending > 0);
    g->mm->flush_pending--;
    g->next = pm->gathers;
    pm->gathers = g;
}

void ts_gather_pool_free(struct ts_mm_private *pm)
{
    while (pm->made) {
        struct ts_gather *g = pm->made;
        pm->made = g->next_made;
        free(g->frames);
        free(g->tables);
        free(g);
    }
}
