/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcast TLBI and DSB ISH as instructions of the executing pCPU (arm.md 3.9), for the arm64
 * mechanisms. */
#ifndef TS_MODELS_GUEST_ARM64_H
#define TS_MODELS_GUEST_ARM64_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One broadcast TLBI, with its tracker stalls. */
void ts_arm64_tlbi(struct ts_task *self, const struct ts_tlb_inval *inval);
/* DSB ISH with its wait; once more under the repeat-TLBI workaround. */
void ts_arm64_dsb_ish(struct ts_task *self);
uint16_t ts_arm64_vmid(const struct ts_guest *g);

#ifdef __cplusplus
}
#endif
#endif
