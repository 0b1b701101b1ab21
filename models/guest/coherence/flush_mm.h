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
/* The same where [unmapped_start, unmapped_end) has been unmapped and is about to be freed, which
 * some mechanisms may put off. */
void ts_flush_tlb_unmapped(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                           uint32_t stride_shift, bool freed_tables, uint64_t unmapped_start,
                           uint64_t unmapped_end);
#ifdef __cplusplus
}
#endif
#endif
