/* SPDX-License-Identifier: Apache-2.0 */
/* The flush path that all mechanisms share (arch/x86/mm/tlb.c; x86.md 1.5). */
#ifndef TS_MODELS_GUEST_FLUSH_MM_H
#define TS_MODELS_GUEST_FLUSH_MM_H

#include "models/guest/coherence/mechanism.h"

#ifdef __cplusplus
extern "C" {
#endif

/* flush_tlb_mm_range: end UINT64_MAX flushes all. */
void ts_flush_tlb_mm_range(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                           uint32_t stride_shift, bool freed_tables);
/* The rest of a flush of mm, whose record has begun and whose info, self's CPU's, has been filled
 * in: local, or by the mechanism; ends the record. Preemption is off. */
void ts_flush_carry_out(struct ts_task *self, struct ts_mm *mm, struct ts_shootdown_record *r);
struct ts_flush_request {
    uint64_t start, end; /* UINT64_MAX: all */
    uint32_t stride_shift;
    bool freed_tables;
    /* What has been unmapped and is about to be freed, which some mechanisms may put off; 0, 0:
     * nothing. */
    uint64_t unmapped_start, unmapped_end;
    /* The oracle's window that the flush is for. */
    bool has_window;
    uint32_t window;
};
/* flush_tlb_mm_range with more said. */
void ts_flush_tlb(struct ts_task *self, struct ts_mm *mm, const struct ts_flush_request *request);
/* arch_tlbbatch_flush (arch/x86/mm/tlb.c, 6.1 and 6.12): everything, of whatever address spaces the
 * CPUs of cpus have loaded. It raises no generation, but brings them up to those of the address
 * spaces; who has loaded another one by then flushes on the way back. Preemption is on. */
void ts_tlbbatch_flush(struct ts_task *self, const struct ts_cpumask *cpus);
#ifdef __cplusplus
}
#endif
#endif
