/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcast TLBI and DSB ISH as instructions of the pCPU that executes them (arm.md 3.9): what a
 * guest's kernel and the host's code have in common. */
#ifndef TS_MODELS_CPU_DVM_PORT_H
#define TS_MODELS_CPU_DVM_PORT_H

#include "models/cpu/cpu.h"
#include "models/dvm/dvm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One broadcast TLBI from self's pCPU: stalls while the core's tracker is full. Posted. */
void ts_dvm_port_tlbi(struct ts_task *self, struct ts_dvm *dvm, const struct ts_tlb_inval *inval);
/* DSB ISH: stalls until all that self's pCPU has issued is complete everywhere. What self issued on
 * another pCPU is its scheduler's business (__switch_to). */
void ts_dvm_port_dsb(struct ts_task *self, struct ts_dvm *dvm);

#ifdef __cplusplus
}
#endif
#endif
