/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 flushes by broadcast TLBI (__flush_tlb_range, 6.12): a range in its operations, or one for
 * the ASID where they would be too many, then DSB ISH. Mechanisms differ in what they make of a
 * range, and in whom it reaches. */
#ifndef TS_MODELS_FLUSH_TLBI_H
#define TS_MODELS_FLUSH_TLBI_H

#include "models/flush/flush.h"
#include "models/guest/coherence/arm64.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_tlbi_form {
    bool (*too_many)(const struct ts_guest *g, const struct ts_flush_info *info,
                     const struct ts_arm64_range *r);
    void (*issue)(struct ts_task *self, struct ts_guest *g, const struct ts_flush_info *info,
                  const struct ts_arm64_range *r);
};
/* The flush that info names, in that form. */
void ts_tlbi_flush(struct ts_task *self, const struct ts_flush_info *info,
                   struct ts_shootdown_record *record, const struct ts_tlbi_form *form);
/* ts_flush_ops.flush_multi: an operation a page, fewer than MAX_DVM_OPS. */
void ts_tlbi_flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                         struct ts_flush_info *info, struct ts_shootdown_record *record);

#ifdef __cplusplus
}
#endif
#endif
