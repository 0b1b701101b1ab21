/* SPDX-License-Identifier: Apache-2.0 */
/* Sending interrupts to CPUs of the guest. */
#ifndef TS_MODELS_GUEST_IPI_H
#define TS_MODELS_GUEST_IPI_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sends vector to n CPUs by the register writes its interrupt controller needs, or by KVM's
 * or Hyper-V's hypercall: targets ascending. broadcast: they are all online CPUs but self. */
void ts_guest_send_ipi(struct ts_task *self, const uint32_t *targets, uint32_t n, bool broadcast,
                       enum ts_vector vector);
/* send_call_func_ipi of a call to several CPUs, or to one that does not poll: TS_VEC_CALL, and,
 * where the host offers it, KVM_HC_SCHED_YIELD to the first of several that is preempted
 * (kvm_smp_send_call_func_ipi, arch/x86/kernel/kvm.c). */
void ts_guest_send_call_ipi(struct ts_task *self, const uint32_t *targets, uint32_t n);
void ts_guest_send_resched(struct ts_task *self, struct ts_cpu *target);
/* set_nr_if_polling: true if target idles in MWAIT and has been told by its flags' line, so that it
 * needs no IPI. */
bool ts_guest_wake_polling(struct ts_task *self, struct ts_guest_cpu *target);

#ifdef __cplusplus
}
#endif
#endif
