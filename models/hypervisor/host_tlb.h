/* SPDX-License-Identifier: Apache-2.0 */
/* TLB maintenance by the host's code, and with it KVM's flushes of a VM's stage 2.
 *
 * self is a host task: a thread of the host (host_task.h), or a vCPU's in the host, so that a
 * handler of its exits can flush too. All of it lets time pass in which self may be interrupted,
 * preempted and moved, except where interrupts are off. */
#ifndef TS_MODELS_HYP_HOST_TLB_H
#define TS_MODELS_HYP_HOST_TLB_H

#include "models/hypervisor/hypervisor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- instructions --- */

/* arm64: one broadcast TLBI from self's pCPU, posted; it stalls while the core's tracker is full.
 * Under hypervisor.repeat_tlbi in the form of older kernels DSB ISH and the same TLBI follow, here
 * and in ts_host_tlbi_nsh. */
void ts_host_tlbi(struct ts_task *self, const struct ts_tlb_inval *inval);
/* arm64: DSB ISH: returns when all that self's pCPU has issued is complete on every pCPU. */
void ts_host_dsb_ish(struct ts_task *self);
/* arm64: one TLBI of self's pCPU alone with its DSB NSH: `cycles`, or until the TLB is done with
 * all that self's pCPU has issued, whichever is longer. */
void ts_host_tlbi_nsh(struct ts_task *self, const struct ts_tlb_inval *inval, uint64_t cycles);
/* VMX: INVEPT on self's pCPU alone, of the VM's EPT root, or of all for NULL. */
void ts_host_invept(struct ts_task *self, const struct ts_vm *vm);

/* --- arm64: the hypervisor's calls, arch/arm64/kvm/hyp/vhe/tlb.c and nvhe/tlb.c (6.12, 6.1).
 * Behind the last TLBI of each, but for the local form, is __tlbi_sync_s1ish_hyp: DSB ISH, and
 * under hypervisor.repeat_tlbi in the form of newer kernels one more VALE2IS with its DSB.
 * Interrupts are off between entering the VM's context and leaving it; with hypervisor.nvhe that is
 * at EL2, into which each call traps --- */

/* __kvm_tlb_flush_vmid: both stages of the VMID. */
void ts_kvm_tlb_flush_vmid(struct ts_task *self, const struct ts_vm *vm);
/* __kvm_tlb_flush_vmid_ipa: stage 2 of one page or block and, as hardware cannot find combined
 * entries by IPA, all of stage 1. ttl_level as in struct ts_tlb_inval. */
void ts_kvm_tlb_flush_vmid_ipa(struct ts_task *self, const struct ts_vm *vm, uint64_t ipa,
                               uint8_t ttl_level);
/* __kvm_tlb_flush_vmid_ipa_nsh: the same on self's pCPU alone. */
void ts_kvm_tlb_flush_vmid_ipa_nsh(struct ts_task *self, const struct ts_vm *vm, uint64_t ipa,
                                   uint8_t ttl_level);
/* kvm_tlb_flush_vmid_range (hyp/pgtable.c): chunks of 2^21 pages, or all of the VMID on a machine
 * without FEAT_TLBIRANGE. start and length are whole pages of 4K. */
void ts_kvm_tlb_flush_vmid_range(struct ts_task *self, const struct ts_vm *vm, uint64_t start,
                                 uint64_t length);
/* __kvm_flush_vm_context: every VMID, as when VMIDs start over. */
void ts_kvm_flush_vm_context(struct ts_task *self);

/* --- both architectures, virt/kvm/kvm_main.c (6.12) --- */

/* kvm_flush_remote_tlbs. arm64: ts_kvm_tlb_flush_vmid. x86: the VM's vCPUs are asked to flush
 * before they enter next; returns when none is in guest mode that was so before. */
void ts_kvm_flush_remote_tlbs(struct ts_task *self, struct ts_vm *vm);
/* kvm_flush_remote_tlbs_range; x86 has no range form and flushes all. */
void ts_kvm_flush_remote_tlbs_range(struct ts_task *self, struct ts_vm *vm, uint64_t start,
                                    uint64_t length);

/* --- what a flush is for --- */

/* Code of the host that changes a VM's stage 2 opens a window before the first entry of [start,
 * end) changes, and closes it when the flush has returned: in between a TLB may still say what was
 * there, after it that is a lost flush. No time passes. */
uint32_t ts_host_stage2_window_open(struct ts_task *self, const struct ts_vm *vm, uint64_t start,
                                    uint64_t end);
void ts_host_stage2_window_close(struct ts_task *self, const struct ts_vm *vm, uint32_t window);
/* arm64: just before an entry that it has broken is made again, of the memory from pa on: by now no
 * TLB may hold what the entry said (break-before-make). No time passes. */
void ts_host_stage2_make(struct ts_task *self, const struct ts_vm *vm, uint64_t start, uint64_t end,
                         uint64_t pa);

#ifdef __cplusplus
}
#endif
#endif
