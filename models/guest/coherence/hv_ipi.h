/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts by Hyper-V's hypercalls, in a guest that has been told to (ts_vm.hv_ipi). */
#ifndef TS_MODELS_GUEST_HV_IPI_H
#define TS_MODELS_GUEST_HV_IPI_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sends vector to n CPUs, ascending, at least one. False: it was not sent, send it natively. */
bool ts_hv_send_ipi(struct ts_task *self, const uint32_t *targets, uint32_t n,
                    enum ts_vector vector);

#ifdef __cplusplus
}
#endif
#endif
