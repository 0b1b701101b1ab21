/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 without range operations (__flush_tlb_range, 6.12): one broadcast TLBI a page, or one for
 * the ASID above MAX_DVM_OPS, then DSB ISH. What mechanisms share that differ in whom it reaches.
 */
#ifndef TS_MODELS_FLUSH_TLBI_H
#define TS_MODELS_FLUSH_TLBI_H

#include "models/flush/flush.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ts_flush_ops.flush_multi. */
void ts_tlbi_flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                         struct ts_flush_info *info, struct ts_shootdown_record *record);

#ifdef __cplusplus
}
#endif
#endif
