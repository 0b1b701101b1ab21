/* SPDX-License-Identifier: Apache-2.0 */
/* The host kernel's calls of functions on other pCPUs, of which KVM makes two kinds: the empty
 * function that makes vCPUs leave guest mode (virt/kvm/kvm_main.c kvm_kick_many_cpus; kernel/smp.c
 * smp_call_function_many_cond; 6.12), and VMCLEAR where a vCPU was last loaded. */
#ifndef TS_MODELS_HYP_HOST_CALL_H
#define TS_MODELS_HYP_HOST_CALL_H

#include "models/hypervisor/hyp_private.h"

/* Call-single-data lines that a pCPU keeps as an initiator before the one that it has not used for
 * the longest time gives way, if that was a millisecond ago. It stands for the eviction from the
 * caches; the bound is assumed, that of the guest's (models/guest/coherence/csd.h). */
enum { TS_HOST_CSD_LINES = 64 };

/* Allocates every pCPU's mask and names its lines. False: out of memory; fini all the same. */
bool ts_host_calls_init(struct ts_hypervisor *h);
void ts_host_calls_fini(struct ts_hypervisor *h);

/* Puts a pCPU, which is not self's, into the mask of self's. */
void ts_host_call_add(struct ts_task *self, uint32_t pcpu);
/* smp_call_function_many(mask, ack_kick, wait): returns when each pCPU in the mask has been
 * interrupted, which is after its vCPU has left guest mode; the mask is empty then. Preemption is
 * off, interrupts are on; time passes, of which what goes by in waiting is returned. */
ts_time ts_host_call_many(struct ts_task *self);
/* smp_call_function_single(pcpu, __loaded_vmcs_clear, v, wait), in the same way but for the line,
 * which is the pair's and not one of the caller's stack. */
ts_time ts_host_call_vmclear(struct ts_task *self, uint32_t pcpu, const struct ts_vcpu *v);
/* send_call_function_ipi_mask: TS_VEC_CALL to n pCPUs in ascending order, not self's own, by the
 * host's driver. Time passes. */
void ts_host_send_call(struct ts_task *self, const uint32_t *ids, uint32_t n);
/* flush_smp_call_function_queue on self's pCPU; in the handler. */
void ts_host_call_handle(struct ts_task *self);

#endif
