/* SPDX-License-Identifier: Apache-2.0 */
/* One virtual machine, as its guest and its host both see it: all that the two share.
 *
 * On real machines an operating system and a hypervisor meet in hardware state, in memory that both
 * read, and in calls of a specified form. So here: the guest's code calls ts_pv_ops, which a host
 * implements (bare metal is a host that exits nowhere); the host's code calls ts_os_ops, which an
 * operating system implements. Neither includes the other's headers.
 *
 * Who sets what: the machine fills in everything but `os`, `guest`, `locks`, `host` before it
 * creates the guest; the guest sets `os`, `guest` and `locks`, the hypervisor `pv` and `host`, when
 * they are created, in this order. Nothing changes after that but the areas. The machine owns the
 * struct and what it points to. */
#ifndef TS_MODELS_ABI_VM_H
#define TS_MODELS_ABI_VM_H

#include "models/abi/hypercall.h"
#include "models/abi/pv_ipi.h"
#include "models/abi/steal.h"
#include "models/interrupt/icr.h"
#include "models/mmu/mmu.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_vm;
struct ts_spinlocks;

/* Host-physical address of guest-physical 0 of VM v: (v + 1) << this. */
enum { TS_VM_MEMORY_SHIFT = 44 };

/* What a guest's kernel asks of whatever is below it. `self` is the guest's task; any call but
 * vcpu_is_preempted and populate may let time pass, exit, and lose the pCPU. */
struct ts_pv_ops {
    const char *name;
    /* One write of the interrupt command register (w, the it's current write), with the accesses
     * that come before it on an xAPIC. Interrupts are off if it is an xAPIC. */
    void (*icr_write)(struct ts_task *self, const struct ts_icr_iter *it,
                      const struct ts_icr_write *w, enum ts_vector vector);
    /* The handler's write of the end-of-interrupt register (apic_eoi). */
    void (*eoi)(struct ts_task *self);
    /* Nothing to run: waits until an interrupt may be pending. May return early. */
    void (*halt)(struct ts_task *self);
    /* HLT of a task that is not idle: until the vCPU is kicked (KVM_HC_KICK_CPU), or an interrupt
     * has come if they are on. May return early, but time passes. NULL: nobody to be kicked by. */
    void (*halt_until_kicked)(struct ts_task *self);
    /* self programmes its CPU's timer. */
    void (*timer_program)(struct ts_task *self);
    /* Returns with call->result and call->times filled in. NULL: there is nobody to call. */
    void (*hypercall)(struct ts_task *self, struct ts_hypercall *call);
    /* The host backs the guest-physical frame from now on; hardware context. NULL: frames are the
     * machine's own. */
    void (*populate)(struct ts_vm *vm, uint64_t gpa);
    /* An access of self has found no stage-2 entry for the guest-physical address, or, if it
     * writes, one that may only be read. On return it is to be made again. NULL: there is no stage
     * 2. */
    void (*stage2_fault)(struct ts_task *self, const struct ts_stage2_abort *report);
    /* self leaves for the program that runs the VM, ready for the stage of a test that this leads
     * it through, and comes back when it has begun. NULL: there is no such program. */
    void (*user_exit)(struct ts_task *self, uint32_t stage);
};

/* What a host calls in the guest's operating system, as hardware would. */
struct ts_os_ops {
    const char *name;
    /* A vector has been taken; interrupts are off; self is the interrupted task. */
    void (*interrupt)(struct ts_task *self, enum ts_vector vector, ts_time raised);
    /* The scheduler's switch: self is about to be replaced by next (ts_cpu_ops.switch_out). */
    void (*switch_out)(struct ts_task *self, struct ts_task *next);
    /* The idle task has nothing to do: halts (ts_pv_ops.halt). NULL: that is all it does. */
    void (*idle)(struct ts_task *self);
    /* self goes to sleep until then: does that need the timer programmed? NULL: it always does. */
    bool (*timer_first)(struct ts_task *self, ts_time expires);
    /* self's kernel tells another CPU of the domain to look at its run queue. */
    void (*send_resched)(struct ts_task *self, struct ts_cpu *target);
    /* Memory that polling loops of the guest read has changed: the vCPU's `preempted`. No time
     * passes. */
    void (*steal_changed)(struct ts_vm *vm, uint32_t vcpu);
};

/* What a guest of Xen is (abi/xen.h). */
enum ts_xen_guest { TS_XEN_NONE = 0, TS_XEN_PV = 1, TS_XEN_HVM = 2 };

struct ts_vm {
    uint32_t number;
    uint32_t nvcpus;
    uint32_t first_vcpu; /* number of vCPU 0 among all VMs' */
    bool bare_metal;     /* an operating system on pCPUs: no VM at all */
    enum ts_arch arch;
    struct ts_cpu_domain *domain; /* the CPUs that its kernel sees */
    /* What the hardware tags its translations with. */
    uint16_t vmid_base;         /* x86: VPID of vCPU i is vmid_base + i; arm64: the VM's VMID */
    uint16_t ep4ta;             /* Intel guests: names the VM's EPT root; else 0 */
    struct ts_pgtable *stage2;  /* NULL on bare metal */
    bool local_tlbi_broadcasts; /* arm64: HCR_EL2.FB is set for it */
    /* Its interrupt controllers. */
    enum ts_intr_mode intr_mode;
    const uint32_t *apic_ids; /* by CPU; NULL: APIC ID = CPU number */
    /* What it is told at boot (CPUID leaves of KVM and Hyper-V). */
    enum ts_pv_ipi pv_ipi;       /* KVM_FEATURE_PV_SEND_IPI, and how its windows are cut */
    bool hv_ipi;                 /* HV_X64_CLUSTER_IPI_RECOMMENDED */
    bool steal_time;             /* KVM_FEATURE_STEAL_TIME with `preempted` */
    bool pv_sched_yield;         /* KVM_FEATURE_PV_SCHED_YIELD */
    bool pv_unhalt;              /* KVM_FEATURE_PV_UNHALT */
    bool realtime_hint;          /* KVM_HINTS_REALTIME: a pCPU for each vCPU */
    bool ex_processor_masks;     /* HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED */
    bool hv_xmm_input;           /* HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE */
    uint32_t hv_spin_retries;    /* CPUID 0x40000004 EBX; 0: there is no such leaf */
    enum ts_xen_guest xen;       /* none: its host is not Xen */
    bool resident_domain;        /* not told: its broadcasts go where its vCPUs are */
    struct ts_steal_area *steal; /* [nvcpus] */
    uint8_t (*input)[TS_INPUT_PAGE_BYTES]; /* [nvcpus] hypercall input pages; NULL on bare metal */
    const struct ts_os_ops *os;
    void *guest;
    struct ts_spinlocks *locks; /* the guest's own: what its spinlocks are like */
    const struct ts_pv_ops *pv;
    void *host;
};

/* The tag of a vCPU's translations. */
static inline uint16_t ts_vm_vmid(const struct ts_vm *vm, uint32_t vcpu)
{
    TS_ASSERT(vcpu < vm->nvcpus);
    if (vm->bare_metal)
        return 0;
    /* x86: a VPID a vCPU (kvm/vmx allocate_vpid); arm64: a VMID a VM. */
    return vm->arch == TS_ARCH_X86 ? (uint16_t)(vm->vmid_base + vcpu) : vm->vmid_base;
}
/* vcpu_is_preempted: what its record says, without paying for the line. */
static inline bool ts_vm_vcpu_is_preempted(const struct ts_vm *vm, uint32_t vcpu)
{
    TS_ASSERT(vcpu < vm->nvcpus);
    return (vm->steal[vcpu].preempted & TS_STEAL_PREEMPTED) != 0;
}
/* The one entry for hypercalls. self must be able to make them (vm->pv->hypercall). */
static inline void ts_hypercall(struct ts_task *self, struct ts_vm *vm, struct ts_hypercall *call)
{
    TS_ASSERT(vm->pv->hypercall && call->abi < TS_HYPERCALL_ABIS);
    vm->pv->hypercall(self, call);
}

#ifdef __cplusplus
}
#endif
#endif
