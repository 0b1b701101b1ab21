/* SPDX-License-Identifier: Apache-2.0 */
/* What changes entries: faults, frees, protections. All of it is done under the working-set lock.
 */
#include "models/guest/mm/mm_private.h"
#include "models/guest/nt/space.h"

static void lock_working_set(struct ts_task *self, struct ts_mm *mm, bool shared)
{
    ts_ex_acquire(self, &ts_nt_process_of(mm)->working_set, shared);
}

static void unlock_working_set(struct ts_task *self, struct ts_mm *mm, bool shared)
{
    ts_ex_release(self, &ts_nt_process_of(mm)->working_set, shared);
}

/* --- faults --- */

/* The page is there: another thread was quicker, or it may be written by now. */
static void resolve_present(struct ts_mm *mm, uint64_t page, const struct ts_pte *pte, bool write)
{
    mm->guest->stats.faults_spurious++;
    if (write && !pte->writable)
        (void)ts_pgtable_protect(mm->pgtable, page, page + TS_PAGE_BYTES, true, NULL, NULL);
    if (write)
        (void)ts_pgtable_mark(mm->pgtable, page, true);
}

/* A page that is in memory but not in the tables (a transition fault), or a new one. Returns the
 * tables that had to be made. */
static uint32_t make_valid(struct ts_mm *mm, const struct ts_vma *v, uint64_t page, bool write)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);
    struct ts_pte pte = {.size_shift = TS_PAGE_SHIFT};
    struct ts_pte there;
    uint64_t resume;

    if (ts_pgtable_leaves(pm->none) && ts_pgtable_lookup(pm->none, page, &there)) {
        (void)ts_pgtable_clear(pm->none, page, page + TS_PAGE_BYTES, 1, NULL, NULL, &resume);
        pte.target = there.target;
    } else {
        pte.target = ts_guest_frame_alloc(mm->guest);
    }
    pte.writable = (v->prot & TS_PROT_WRITE) != 0;
    pte.accessed = true;
    pte.dirty = write;
    return ts_mm_map(mm, page, &pte);
}

/* The VAD may go while the page is made; whoever takes it away then waits for the working-set lock.
 */
static bool resolve(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write)
{
    const struct ts_guest_params *p = &mm->guest->params;
    const struct ts_vma *v = ts_vma_at(mm, va);
    uint64_t page = ts_page_floor(va);
    struct ts_pte pte;

    if (!ts_vma_allows(v, write))
        return false;
    if (!ts_pgtable_lookup(mm->pgtable, va, &pte))
        ts_task_work(self,
                     v->flags & TS_OPF_ANONYMOUS ? p->fault_anon_cycles : p->fault_file_cycles);
    v = ts_vma_at(mm, va);
    if (!ts_vma_allows(v, write))
        return false;
    if (ts_pgtable_lookup(mm->pgtable, va, &pte))
        resolve_present(mm, page, &pte, write);
    else
        ts_task_work(self, make_valid(mm, v, page, write) * p->alloc_table_cycles);
    return true;
}

bool ts_nt_fault(struct ts_task *self, struct ts_mm *mm, uint64_t va, bool write)
{
    bool shared = mm->guest->nt.fault_shared != 0;
    bool ok;

    lock_working_set(self, mm, shared);
    ok = resolve(self, mm, va, write);
    unlock_working_set(self, mm, shared);
    return ok;
}

/* --- frees --- */

struct batch {
    struct ts_mm *mm;
    struct ts_gather *gather; /* frames and tables that wait for the flush */
    struct ts_nt_flush flush;
};

static void on_invisible(void *user, uint64_t va, const struct ts_pte *pte)
{
    struct batch *b = user;

    (void)va;
    b->gather->frames[b->gather->nframes++] = pte->target;
}

static void on_cleared(void *user, uint64_t va, const struct ts_pte *pte)
{
    struct batch *b = user;
    struct ts_oracle *o = b->mm->guest->oracle;

    on_invisible(user, va, pte);
    if (o)
        ts_oracle_cleared(o, b->mm->ctx_id, va, va + TS_PAGE_BYTES, pte->target);
    ts_nt_flush_add(b->mm, &b->flush, va);
}

/* Of one table's part. Returns where to go on. */
static uint64_t clear_batch(struct ts_task *self, struct batch *b, uint64_t start, uint64_t end)
{
    const struct ts_guest *g = b->mm->guest;
    struct ts_mm_private *pm = ts_mm_private_of(b->mm);
    uint64_t max = g->nt.free_batch, n = 0;

    if (ts_pgtable_leaves(pm->none))
        n = ts_pgtable_clear(pm->none, start, end, max, on_invisible, b, &end);
    if (end > start)
        n += ts_pgtable_clear(b->mm->pgtable, start, end, max, on_cleared, b, &end);
    ts_task_work(self, n ? n * g->params.zap_page_cycles : g->params.zap_empty_table_cycles);
    return end;
}

static void free_tables(struct ts_task *self, struct batch *b, uint64_t start, uint64_t end)
{
    struct ts_guest *g = b->mm->guest;
    struct ts_mm_private *pm = ts_mm_private_of(b->mm);
    uint32_t freed[TS_PT_LEVELS_MAX] = {0}, n;

    pm->sink = b->gather;
    n = ts_pgtable_free_tables(b->mm->pgtable, start, end, ts_vma_floor(b->mm, start),
                               ts_vma_ceiling(b->mm, end), freed);
    pm->sink = NULL;
    if (b->gather->out_of_memory)
        ts_guest_fail(self, TS_ERR_ENVIRONMENT, "out of memory for an unmap");
    b->flush.freed_tables = n != 0;
    g->stats.tables_freed += n;
    ts_task_work(self, n * g->params.free_table_cycles);
}

/* Only now may others get what was freed. */
static void flush_and_free(struct ts_task *self, struct batch *b)
{
    struct ts_gather *g = b->gather;

    ts_nt_flush(self, b->mm, &b->flush);
    ts_gather_window_close(g);
    for (uint32_t i = 0; i < g->ntables; i++)
        ts_guest_frame_release(b->mm->guest, g->tables[i]);
    g->ntables = 0;
    ts_gather_free_pages(self, g);
    ts_nt_flush_begin(&b->flush);
}

/* Where there is no last-level table at va, where the next may be; else va. */
static uint64_t skip_empty(const struct ts_mm *mm, uint64_t va)
{
    uint64_t skip_to;

    return ts_mm_pmd(mm, va, &skip_to) == TS_PMD_NONE ? skip_to : va;
}

void ts_nt_delete(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end, bool tables)
{
    const struct ts_guest *g = mm->guest;
    struct batch b = {.mm = mm, .gather = ts_gather_begin(self, mm, false)};
    bool shared = g->nt.free_shared != 0;
    uint64_t va = start;

    ts_nt_flush_begin(&b.flush);
    lock_working_set(self, mm, shared);
    while (va < end) {
        uint64_t next = skip_empty(mm, va);
        if (next != va) {
            ts_task_work(self, g->params.zap_empty_table_cycles);
            va = next < end ? next : end;
        } else {
            ts_gather_window(b.gather, va, ts_table_span_end(va, end));
            va = clear_batch(self, &b, va, ts_table_span_end(va, end));
        }
        if (va == end && tables)
            free_tables(self, &b, start, end);
        flush_and_free(self, &b);
        if (g->nt.free_unlocks && va < end) {
            unlock_working_set(self, mm, shared);
            lock_working_set(self, mm, shared);
        }
    }
    unlock_working_set(self, mm, shared);
    ts_gather_put(b.gather);
}

/* --- protections --- */

static void hide(struct ts_mm *mm, struct ts_nt_flush *f, uint64_t start, uint64_t end)
{
    struct ts_mm_private *pm = ts_mm_private_of(mm);

    ts_mm_take_leaves(pm, mm->pgtable, start, end);
    for (uint32_t i = 0; i < pm->nmoved; i++) {
        (void)ts_mm_map_hidden(mm, pm->moved_va[i], &pm->moved[i]);
        ts_nt_flush_add(mm, f, pm->moved_va[i]);
    }
}

struct change {
    struct ts_mm *mm;
    struct ts_nt_flush *flush;
};

static void on_changed(void *user, uint64_t va, const struct ts_pte *pte)
{
    const struct change *c = user;

    (void)pte;
    ts_nt_flush_add(c->mm, c->flush, va);
}

void ts_nt_reprotect(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end)
{
    const struct ts_guest_params *p = &mm->guest->params;
    struct ts_gather *g = ts_gather_begin(self, mm, false); /* for its window */
    uint32_t prot = ts_vma_at(mm, start)->prot;
    bool shared = mm->guest->nt.free_shared != 0;

    lock_working_set(self, mm, shared);
    for (uint64_t va = start; va < end; va = ts_table_span_end(va, end)) {
        uint64_t next = ts_table_span_end(va, end);
        struct ts_nt_flush f;
        struct change c = {mm, &f};
        ts_nt_flush_begin(&f);
        ts_gather_window(g, va, next);
        if (prot == 0)
            hide(mm, &f, va, next);
        else
            (void)ts_pgtable_protect(mm->pgtable, va, next, (prot & TS_PROT_WRITE) != 0, on_changed,
                                     &c);
        ts_task_work(self,
                     f.npages ? f.npages * p->zap_page_cycles / 2 : p->zap_empty_table_cycles);
        ts_nt_flush(self, mm, &f);
        ts_gather_window_close(g);
    }
    unlock_working_set(self, mm, shared);
    ts_gather_put(g);
}
