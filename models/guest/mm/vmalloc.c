/* SPDX-License-Identifier: Apache-2.0 */
/* vfree (Linux 6.12 mm/vmalloc.c): what is unmapped waits, and is flushed all at once when it is
 * too much (__purge_vmap_area_lazy). Simplified: addresses are handed out upwards and are not used
 * again, with a guard page after each; the purge is made by the thread that reaches the limit and
 * not by a worker. Kernel addresses are not translated here, so that flushes of them are only
 * seen in what they cost and in what they take along. */
#include "models/guest/coherence/kernel_range.h"
#include "models/guest/mm/mm_private.h"

#define VMALLOC_START UINT64_C(0xffffc90000000000)
#define LAZY_UNIT (UINT64_C(32) << 20)

/* lazy_max_pages, in bytes. */
static uint64_t lazy_max(const struct ts_guest *g)
{
    uint64_t log = 0;

    if (g->params.vmap_lazy_max)
        return g->params.vmap_lazy_max;
    while (log < 32 && g->ncpus >> log)
        log++;
    return log * LAZY_UNIT;
}

static void purge(struct ts_task *self, struct ts_guest *g)
{
    uint64_t start = VMALLOC_START + g->vmap_purged;
    uint64_t end = VMALLOC_START + g->vmap_next;

    g->vmap_purged = g->vmap_next;
    g->vmap_lazy = 0;
    g->stats.vmap_purges++;
    ts_flush_tlb_kernel_range(self, start, end);
}

void ts_vfree(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_guest *g = mm->guest;
    uint64_t bytes = ts_page_floor(op->length + TS_PAGE_BYTES - 1);

    if (!bytes)
        return;
    ts_syscall_enter(self, mm, op);
    ts_task_work(self, g->params.vfree_cycles);
    ts_task_line(self, &g->vmap_line, TS_LINE_RMW);
    g->stats.vfrees++;
    g->vmap_next += bytes + TS_PAGE_BYTES;
    g->vmap_lazy += bytes + TS_PAGE_BYTES; /* va_size */
    if (g->vmap_lazy > lazy_max(g))
        purge(self, g);
    ts_task_work(self, bytes / TS_PAGE_BYTES * g->params.free_page_cycles);
    ts_kernel_exit(self);
}
