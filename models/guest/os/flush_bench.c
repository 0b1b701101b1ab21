/* SPDX-License-Identifier: Apache-2.0 */
/* The range-flush micro-benchmark (Z. Ye, "arm64: tlb: add support for TLBI RANGE instructions",
 * linux-arm-kernel, June 2020): the kernel calls __flush_tlb_range again and again, with
 * last_level = false, and divides the time by the number of calls. */
#include "models/guest/os/thread.h"

#include "models/guest/coherence/flush_mm.h"
#include "models/guest/coherence/kernel_range.h"

enum { PAGE_SHIFT = 12 };
/* A range of the kernel that is beyond every ceiling, so that everything goes (flush_tlb_all). */
#define KERNEL_START UINT64_C(0xffff800000000000)
#define EVERYTHING (UINT64_C(1) << 45)

void ts_flush_bench(struct ts_task *self, struct ts_mm *mm, const struct ts_op *op)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_kernel_enter(self);
    for (uint64_t i = 0; i < op->count; i++) {
        ts_time started = ts_task_now(self);
        if (op->target == TS_FLUSH_ALL)
            ts_flush_tlb_kernel_range(self, KERNEL_START, KERNEL_START + EVERYTHING);
        else if (op->target == TS_FLUSH_MM)
            ts_flush_tlb_mm_range(self, mm, 0, UINT64_MAX, PAGE_SHIFT, true);
        else
            ts_flush_tlb_mm_range(self, mm, op->offset, op->offset + op->length, PAGE_SHIFT, true);
        ts_hist_add(&g->stats.range_flush_ps, ts_task_now(self) - started);
        g->stats.range_flushes++;
        ts_task_cond_resched(self);
    }
    ts_kernel_exit(self);
}
