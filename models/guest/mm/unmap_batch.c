/* SPDX-License-Identifier: Apache-2.0 */
/* Batched unmaps (mm/rmap.c, 6.1 and 6.12; arch/x86 and arch/arm64 asm/tlbflush.h
 * arch_tlbbatch_add_pending). Entries are cleared under their table's lock, each raises its address
 * space's generation, and one flush of whatever the CPUs of those address spaces have loaded comes
 * at the end. Whoever changes entries meanwhile flushes first (flush_tlb_batched_pending): where it
 * finds an entry cleared, TLBs may still have it.
 *
 * The word tlb_flush_batched is not charged: it lies beside what the same path writes anyway. */
#include <stdlib.h>

#include "models/cpu/dvm_port.h"
#include "models/guest/coherence/arm64.h"
#include "models/guest/mm/reclaim.h"

/* TLB_FLUSH_BATCH_PENDING_LARGE */
enum { PENDING_LARGE = ((1 << 15) - 1) / 2 };

struct ts_unmap_batch *ts_unmap_batch_get(struct ts_task *self, struct ts_guest *g)
{
    struct ts_unmap_batch *b = g->batches;

    if (b) {
        g->batches = b->next;
        return b;
    }
    b = calloc(1, sizeof(*b));
    if (!b)
        ts_guest_no_memory(self, g, "a batch of unmaps");
    b->guest = g;
    ts_cpumask_init(&b->cpus, g->ncpus);
    b->next_made = g->batches_made;
    g->batches_made = b;
    return b;
}

void ts_unmap_batch_put(struct ts_unmap_batch *b)
{
    TS_ASSERT(!b->flush_required && !b->nwindows && !b->nfolios && !b->nframes);
    b->next = b->guest->batches;
    b->guest->batches = b;
}

void ts_unmap_batches_free(struct ts_guest *g)
{
    while (g->batches_made) {
        struct ts_unmap_batch *b = g->batches_made;
        g->batches_made = b->next_made;
        free(b->windows);
        free(b);
    }
    g->batches = NULL;
}

/* arm64 issues TLBI as it goes, unless its flushes are by interrupts. */
static bool by_tlbi(const struct ts_guest *g)
{
    return (g->flush->needs & TS_NEEDS_ARM64) != 0;
}

/* arch_tlbbatch_should_defer */
bool ts_unmap_defers(struct ts_task *self, struct ts_mm *mm)
{
    const struct ts_guest *g = mm->guest;
    uint32_t id = ts_guest_cpu_of(self)->id;

    if (g->arch != TS_ARCH_X86) /* two TLBI with a DSB in between would leave nothing to spare */
        return g->params.tlbi_batch &&
               !(g->params.repeat_tlbi && g->params.repeat_tlbi_form == TS_REPEAT_TLBI_EACH);
    ts_task_line(self, &mm->mask_line, TS_LINE_READ);
    return ts_cpumask_count(&mm->cpumask) > (ts_cpumask_test(&mm->cpumask, id) ? 1u : 0u);
}

static void add_pending_arch(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm,
                             uint64_t va)
{
    struct ts_guest *g = mm->guest;

    if (by_tlbi(g)) { /* __flush_tlb_page_nosync */
        struct ts_tlb_inval inval = ts_inval_tlbi_vae1(ts_arm64_vmid(g), mm->asid, va, true, 0);
        ts_arm64_dsb_ishst(self);
        (void)ts_arm64_tlbi(self, &inval);
        return;
    }
    if (g->arch == TS_ARCH_X86) {
        ts_task_line(self, &mm->gen_line, TS_LINE_RMW);
        mm->tlb_gen++;
    }
    ts_task_line(self, &mm->mask_line, TS_LINE_READ);
    ts_cpumask_or(&b->cpus, &mm->cpumask);
}

/* set_tlb_ubc_flush_pending */
static void set_pending(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm,
                        uint64_t va, bool dirty)
{
    add_pending_arch(self, b, mm, va);
    b->flush_required = true;
    if (mm->batch_pending > PENDING_LARGE) {
        mm->batch_pending = 1;
        mm->batch_flushed = 0;
    } else {
        mm->batch_pending++;
    }
    b->writable |= dirty;
    mm->guest->stats.batch_deferred++;
}

static void keep_window(struct ts_task *self, struct ts_unmap_batch *b, uint32_t window)
{
    if (b->nwindows == b->windows_room) {
        uint32_t room = b->windows_room ? 2 * b->windows_room : 64;
        uint32_t *windows = realloc(b->windows, room * sizeof(*windows));
        if (!windows)
            ts_guest_no_memory(self, b->guest, "the oracle");
        b->windows = windows;
        b->windows_room = room;
    }
    b->windows[b->nwindows++] = window;
}

uint32_t ts_unmap_clear(struct ts_mm *mm, uint64_t va)
{
    uint32_t window = 0;

    if (mm->guest->oracle)
        window = ts_mm_window_open(mm, va, va + TS_PAGE_BYTES);
    (void)ts_pgtable_clear(mm->pgtable, va, va + TS_PAGE_BYTES, 1, NULL, NULL, NULL);
    return window;
}

void ts_unmap_cleared(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm, uint64_t va,
                      bool dirty, bool defer, uint32_t window)
{
    struct ts_oracle *o = mm->guest->oracle;

    ts_task_work(self, mm->guest->params.zap_page_cycles);
    if (defer) {
        set_pending(self, b, mm, va, dirty);
        if (o)
            keep_window(self, b, window);
        return;
    }
    ts_flush_tlb_mm_range(self, mm, va, va + TS_PAGE_BYTES, TS_PAGE_SHIFT, false);
    if (o)
        ts_oracle_window_close(o, window);
}

/* arch_tlbbatch_flush */
static void flush_arch(struct ts_task *self, struct ts_unmap_batch *b)
{
    struct ts_guest *g = b->guest;

    if (by_tlbi(g)) {
        ts_arm64_sync(self);
        g->stats.batch_flushes++;
    } else {
        ts_tlbbatch_flush(self, &b->cpus);
    }
    ts_cpumask_clear_all(&b->cpus);
}

void ts_unmap_flush(struct ts_task *self, struct ts_unmap_batch *b)
{
    if (!b->flush_required)
        return;
    flush_arch(self, b);
    b->flush_required = b->writable = false;
    while (b->nwindows)
        ts_oracle_window_close(b->guest->oracle, b->windows[--b->nwindows]);
}

void ts_unmap_flush_dirty(struct ts_task *self, struct ts_unmap_batch *b)
{
    if (b->writable)
        ts_unmap_flush(self, b);
}

void ts_flush_batched_pending(struct ts_task *self, struct ts_mm *mm)
{
    uint32_t pending = mm->batch_pending, flushed = mm->batch_flushed;

    if (pending == flushed)
        return;
    mm->guest->stats.batch_late++;
    ts_flush_tlb_mm_range(self, mm, 0, UINT64_MAX, TS_PAGE_SHIFT, true); /* flush_tlb_mm */
    /* More that came in meanwhile is not flushed yet. */
    if (mm->batch_pending == pending && mm->batch_flushed == flushed)
        mm->batch_flushed = pending;
}

void ts_unmap_flush_one(struct ts_task *self, struct ts_unmap_batch *b, struct ts_mm *mm,
                        uint64_t va, bool dirty)
{
    bool defer = mm->guest->params.migrate_batch && ts_unmap_defers(self, mm);
    uint32_t window = 0;

    if (mm->guest->oracle)
        window = ts_mm_window_open(mm, va, va + TS_PAGE_BYTES);
    ts_unmap_cleared(self, b, mm, va, dirty, defer, window);
    ts_unmap_flush(self, b);
}
