/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes of kernel addresses (Linux 6.12 arch/x86/mm/tlb.c flush_tlb_kernel_range, arch/arm64
 * asm/tlbflush.h). On x86 they go to every online CPU by on_each_cpu, whatever it has loaded, and
 * past the mechanisms: pv_ops has no such flush. */
#ifndef TS_MODELS_GUEST_KERNEL_RANGE_H
#define TS_MODELS_GUEST_KERNEL_RANGE_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* start, end: page-aligned kernel addresses, start < end. On x86 everything goes if that is more
 * than the ceiling of pages, globals and user translations too, on arm64 if more than max_dvm_ops.
 * Interrupts are on; time passes. */
void ts_flush_tlb_kernel_range(struct ts_task *self, uint64_t start, uint64_t end);

#ifdef __cplusplus
}
#endif
#endif
