/* SPDX-License-Identifier: Apache-2.0 */
/* TLBI and DSB as instructions of the pCPU that executes them (arm.md 3.5, 3.9): what a guest's
 * kernel and the host's code have in common. */
#ifndef TS_MODELS_CPU_DVM_PORT_H
#define TS_MODELS_CPU_DVM_PORT_H

#include "models/cpu/cpu.h"
#include "models/dvm/dvm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What Linux does about CPUs whose DSB may complete before their TLBI
 * (ARM64_WORKAROUND_REPEAT_TLBI; arch/arm64/include/asm/tlbflush.h). */
enum ts_repeat_tlbi_form {
    TS_REPEAT_TLBI_EACH = 0, /* TLBI, DSB ISH and the same TLBI for each, local ones too: __TLBI_0
                                and __TLBI_1 up to 6.19 (remembered) */
    TS_REPEAT_TLBI_SYNC = 1  /* behind a flush one more VALE1IS or VALE2IS and its DSB ISH: 7.0
                                (a8f78680ee6b), and the stable 6.1.192 and 6.12.117, as read */
};

/* One broadcast TLBI from self's pCPU: stalls while the core's tracker is full. Posted. */
void ts_dvm_port_tlbi(struct ts_task *self, struct ts_dvm *dvm, const struct ts_tlb_inval *inval);
/* One TLBI of self's pCPU alone. */
void ts_dvm_port_tlbi_local(struct ts_task *self, struct ts_dvm *dvm,
                            const struct ts_tlb_inval *inval);
/* DSB ISHST or NSHST: what draining the stores takes, as the caller says. Orders them before the
 * TLBI behind it; completes none that went before. */
void ts_dvm_port_dsb_st(struct ts_task *self, uint64_t cycles);
/* DSB NSH: stalls until the TLB of self's pCPU is done with all that self's pCPU has issued. */
void ts_dvm_port_dsb_nsh(struct ts_task *self, struct ts_dvm *dvm);
/* DSB ISH: stalls until all that self's pCPU has issued is complete everywhere. What self issued on
 * another pCPU is its scheduler's business (__switch_to). */
void ts_dvm_port_dsb(struct ts_task *self, struct ts_dvm *dvm);

#ifdef __cplusplus
}
#endif
#endif
