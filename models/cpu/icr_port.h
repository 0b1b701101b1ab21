/* SPDX-License-Identifier: Apache-2.0 */
/* Software's accesses to the interrupt controller of the pCPU that executes it: what a driver on
 * bare metal and the host's kernel have in common. */
#ifndef TS_MODELS_CPU_ICR_PORT_H
#define TS_MODELS_CPU_ICR_PORT_H

#include "models/cpu/cpu.h"
#include "models/interrupt/icr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The register accesses of one write by the driver of `mode` on self's own pCPU. xAPIC: interrupts
 * must be off; it waits until what the pCPU sent last has been accepted. */
void ts_icr_work(struct ts_task *self, const struct ts_interrupt *in,
                 const struct ts_interrupt_params *ip, enum ts_intr_mode mode,
                 enum ts_icr_kind kind);

#ifdef __cplusplus
}
#endif
#endif
