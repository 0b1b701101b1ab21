/* SPDX-License-Identifier: Apache-2.0 */
/* KVM/arm64's VMIDs (arch/arm64/kvm/vmid.c, 6.1 and 6.12): a generation and a number of vmid_bits
 * bits, 0 being nobody's. When the numbers run out, a new generation begins with one broadcast
 * invalidation of every VM's translations (TLBI ALLE1IS); the VMs whose vCPUs are on a pCPU then
 * keep their numbers, the others get one when a vCPU of theirs is loaded next.
 *
 * Here the first VMs have their numbers from the start, in their order, as if each had been loaded
 * once. */
#ifndef TS_MODELS_HYP_VMID_H
#define TS_MODELS_HYP_VMID_H

#include "models/abi/vm.h"
#include "models/hypervisor/host_rwlock.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_vmids {
    uint32_t bits;
    uint64_t generation; /* in units of 1 << bits; from 1 */
    uint32_t cur_idx;
    uint32_t npcpus;
    uint64_t *map;               /* of numbers taken in this generation */
    uint64_t *active, *reserved; /* [npcpus] active_vmids, reserved_vmids */
    uint64_t *ids;               /* [nvms] kvm_vmid.id; 0: none yet */
    uint64_t *told;              /* [nvms] the id with which the interconnect was told the VM's
                                    cores last (dvm.vmid_filter); 0: none */
    struct ts_host_rwlock lock;  /* cpu_vmid_lock */
    uint64_t rollovers;
};

/* User error: too few numbers for the pCPUs (kvm_arm_vmid_alloc_init). lock.line is the caller's to
 * initialise. Sets vmid_base of the VMs. On an error fini all the same. */
enum ts_status ts_vmids_init(struct ts_vmids *m, uint32_t bits, struct ts_vm *const *vms,
                             uint32_t nvms, uint32_t npcpus, struct ts_error *err);
void ts_vmids_fini(struct ts_vmids *m);
/* kvm_arm_vmid_update: a vCPU of the VM is about to run on self's pCPU. Interrupts are off. May set
 * vm->vmid_base, never while another vCPU of the VM is on a pCPU. */
void ts_vmids_load(struct ts_task *self, struct ts_vmids *m, struct ts_vm *vm);
/* kvm_arm_vmid_clear_active. */
void ts_vmids_put(const struct ts_task *self, struct ts_vmids *m);

#ifdef __cplusplus
}
#endif
#endif
