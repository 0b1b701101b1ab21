/* SPDX-License-Identifier: Apache-2.0 */
/* Speculative walks of a guest's CPUs. */
#ifndef TS_MODELS_GUEST_SPECULATE_H
#define TS_MODELS_GUEST_SPECULATE_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the CPU translates user addresses by, wherever it is executed. */
void ts_guest_context(const struct ts_guest_cpu *gc, struct ts_mmu_context *ctx);
/* CPU `cpu` walks for va now, if it is executed and its registers name an address space of
 * processes: in user mode, or, without page-table isolation, in a kernel that has kept one (lazy
 * TLB mode; Arm, whose user half stays). Judged by the oracle; takes no time. Between events, or
 * from where a step is told (sim/steps.h). */
void ts_guest_speculate(struct ts_guest *g, uint32_t cpu, uint64_t va);

#ifdef __cplusplus
}
#endif
#endif
