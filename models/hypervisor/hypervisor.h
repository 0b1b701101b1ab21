/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor: the host's scheduler domain of pCPUs, vCPUs as its tasks, exits and entries, halt
 * and halt polling, pause-loop exits with directed yield, posted interrupts, steal time with its
 * `preempted` byte, PV TLB flush at entry, and KVM's emulation of the Hyper-V flush hypercalls
 * (x86.md 2.6, 3, 4.3, 7). */
#ifndef TS_MODELS_HYPERVISOR_H
#define TS_MODELS_HYPERVISOR_H

#include "models/abi/vm.h"
#include "models/cpu/icr_port.h"
#include "models/dvm/dvm.h"
#include "models/hypervisor/kvm_version.h" /* for who reads a configuration */
#include "models/hypervisor/vmid.h"
#include "models/mmu/mmu.h"
#include "models/tlb/range.h"
#include "sim/replay.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_hypervisor_kind { TS_HYP_NONE = 0, TS_HYP_KVM = 1, TS_HYP_XEN = 2 };
enum ts_preempted_rule { TS_PREEMPTED_AT_IRQ_EXIT = 0, TS_PREEMPTED_ANY_PUT = 1 };
/* Whom a spinning vCPU may boost: directed_yield.c. */
enum ts_boost_rule { TS_BOOST_PREEMPTED = 0, TS_BOOST_READY = 1, TS_BOOST_READY_IRQ = 2 };
enum ts_tlb_tagging { TS_TAGS_VPID_EPT = 0, TS_TAGS_SVM_ASID = 1 };
enum ts_avic { TS_AVIC_OFF = 0, TS_AVIC_XAPIC = 1, TS_AVIC_X2APIC = 2 };
/* What helps a guest's interrupts (x86.md 2.6). "Exits": who leaves guest mode.
 *
 * |             | sender's ICR write            | running target       | EOI                    |
 * |-------------|-------------------------------|----------------------|------------------------|
 * | none        | exits; xAPIC: each access     | exits                | exits, unless pv_eoi   |
 * | apicv       | exits                         | notified, stays      | stays                  |
 * | ipiv        | physical unicast stays, else  | notified, stays      | stays                  |
 * |             | exits                         |                      |                        |
 * | avic        | stays if all targets run,     | doorbell, stays      | stays                  |
 * |             | else exits                    |                      |                        |
 * | avic_hybrid | exits                         | doorbell, stays      | exits                  |
 * | gicv4       | traps                         | injected, stays      | stays                  |
 *
 * A self-IPI stays where there is a virtual APIC page: apicv, ipiv, avic. A target that is blocked
 * is woken by the sender's hypervisor code, or, where hardware posts (ipiv, gicv4), by the wake-up
 * vector or doorbell on the pCPU where it blocked; one that is preempted takes the interrupt when
 * it runs next. */
enum ts_accel {
    TS_ACCEL_NONE,
    TS_ACCEL_APICV,
    TS_ACCEL_IPIV,
    TS_ACCEL_AVIC,
    TS_ACCEL_AVIC_HYBRID, /* AVIC without x2AVIC, guest in x2APIC mode (avic_activate_vmcb) */
    TS_ACCEL_GICV4
};
enum { TS_HV_FIFO_MAX = 64 };
enum ts_hv_flush { TS_HV_OFF = 0, TS_HV_4_18 = 1, TS_HV_FIFO16 = 2, TS_HV_HYPERV = 3 };

struct ts_hypervisor_params {
    uint64_t kind;                 /* enum ts_hypervisor_kind; none: bare metal */
    uint64_t kvm_version;          /* index of ts_kvm_version_names; for who fills the rest in */
    uint64_t exit_cycles;          /* guest to host */
    uint64_t entry_cycles;         /* host to guest */
    uint64_t hypercall_cycles;     /* dispatch, beyond exit and entry */
    uint64_t icr_fastpath_cycles;  /* emulation of one x2APIC ICR write, beyond exit and entry */
    uint64_t inject_cycles;        /* deliver one interrupt to a vCPU (PIR, notification) */
    uint64_t icr_slowpath_cycles;  /* what other ICR and APIC accesses cost beyond that */
    uint64_t apicv;                /* bool: posted interrupts; else every delivery exits */
    uint64_t ipiv;                 /* bool: x86: IPI virtualisation, with apicv; arm64: GICv4.1,
                                      direct SGIs */
    uint64_t avic;                 /* enum ts_avic */
    uint64_t pv_eoi;               /* bool: KVM_FEATURE_PV_EOI */
    uint64_t pv_ipi;               /* enum ts_pv_ipi */
    uint64_t pv_ipi_no_map;        /* bool: the hypercall fails */
    uint64_t sgi_trap_cycles;      /* Arm: emulation of one ICC_SGI1R write without ipiv */
    uint64_t kick_cycles;          /* host: each vCPU named in a request */
    uint64_t host_irq_cycles;      /* host interrupt entry to exit */
    uint64_t vcpu_put_load_cycles; /* vCPU switch: VMCS and state, beyond the context switch */
    uint64_t tlb_tags;             /* enum ts_tlb_tagging, x86 */
    uint64_t vpid;                 /* bool, x86: else every entry and exit drops the guest's
                                      combined mappings */
    uint64_t invvpid_cycles;       /* one single-context INVVPID */
    uint64_t invvpid_addr_cycles;
    uint64_t flush_on_migration; /* bool: INVEPT global when a vCPU comes to another pCPU */
    uint64_t invept_cycles;
    uint64_t vmclear_on_migration; /* bool: VMX: on the pCPU that it leaves, by a call */
    uint64_t vmclear_cycles;
    uint64_t ibpb_on_switch; /* bool: when a pCPU loads another vCPU than it had last */
    uint64_t ibpb_cycles;
    uint64_t halt_poll_ps;   /* host halt polling cap; 0: off */
    uint64_t halt_poll_grow; /* factor; 0: never */
    uint64_t halt_poll_grow_start_ps;
    uint64_t halt_poll_shrink; /* divisor; 0: to nothing at once */
    uint64_t halt_poll_relax;  /* bool: with PAUSE, so that the core's other threads lose nothing */
    uint64_t wakeup_ps;        /* idle pCPU: interrupt to running (C-state exit) */
    uint64_t ple;              /* bool */
    uint64_t ple_window_cycles;
    /* Below ple_window a factor and a divisor, else cycles to add and to take; 0: the window is
     * ple_window, always or from the next time the vCPU is scheduled in. */
    uint64_t ple_window_grow, ple_window_shrink;
    uint64_t ple_window_max_cycles;
    uint64_t boost_rule;        /* enum ts_boost_rule */
    uint64_t wfe_trap;          /* bool, arm64: WFE exits unless the vCPU was alone on its pCPU when
                                   it was loaded */
    uint64_t wfe_cycles;        /* spinning until the first WFE */
    uint64_t on_spin_cycles;    /* kvm_vcpu_on_spin: scan of the vCPUs and two run-queue locks */
    uint64_t pv_tlb_flush;      /* bool */
    uint64_t pv_sched_yield;    /* bool */
    uint64_t pv_unhalt;         /* bool: KVM_FEATURE_PV_UNHALT, KVM_HC_KICK_CPU */
    uint64_t realtime_hint;     /* bool: KVM_HINTS_REALTIME */
    uint64_t yield_to_cycles;   /* kvm_sched_yield: two run-queue locks */
    uint64_t pv_preempted_rule; /* enum ts_preempted_rule */
    uint64_t hv_flush;          /* enum ts_hv_flush */
    uint64_t hv_fifo;           /* places; 1 to TS_HV_FIFO_MAX */
    uint64_t hv_ex_masks;       /* bool: HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED */
    uint64_t hv_ipi;            /* bool: HV_X64_CLUSTER_IPI_RECOMMENDED */
    uint64_t hv_spinlocks;      /* attempts before HvNotifyLongSpinWait; 0xffffffff: never */
    uint64_t pin;               /* bool: vCPU i of VM v on pCPU (v*vcpus+i) mod n, no balancing */
    uint64_t backing;           /* host page size behind guest memory: enum 4K, 2M, 1G */
    uint64_t last_vcpu_ran_flush; /* bool, arm64: local VMALLE1 unless this vCPU of the VM was the
                                     last to run here */
    uint64_t flush_cpu_context_cycles; /* arm64: __kvm_flush_cpu_context */
    uint64_t dvm_domain; /* arm64, dvm.vmid_filter: 0 where vCPUs have ever run, 1 where they are */
    uint64_t xen_guest;  /* xen: enum ts_xen_guest less 1: pv, hvm */
    uint64_t xen_flush_cycles;    /* xen: everything on one pCPU */
    uint64_t xen_vcpumask_cycles; /* xen: each vCPU named, to the pCPU that has its state */
    uint64_t hcr_fb;              /* bool, arm64: HCR_EL2.FB, the guest's local TLBIs broadcast */
    /* arm64, maintenance by the host's own code (host_tlb.h) */
    uint64_t tlbi_issue_cycles;
    uint64_t dsb_ishst_cycles;
    uint64_t vmid_context_cycles; /* into a VM's context and back */
    uint64_t range_split;         /* enum ts_range_split, legacy or modern */
    uint64_t nvhe;                /* bool: the host runs at EL1 and calls its flushes at EL2 */
    uint64_t hyp_call_cycles;     /* such a call and its return */
    uint64_t tlbi_local_cycles;   /* one TLBI of this CPU with its DSB NSH, at least */
    uint64_t repeat_tlbi;         /* bool: errata workaround */
    uint64_t repeat_tlbi_form;    /* enum ts_repeat_tlbi_form */
    uint64_t vmid_bits;
    /* stage 2 (stage2.h) */
    uint64_t prefault;            /* bool: guest memory is mapped when the guest first takes it */
    uint64_t memory;              /* bytes of memslot 0 */
    uint64_t stage2_fault_cycles; /* a fault beyond exit, entry, mmu_lock and the table */
    uint64_t stage2_map_cycles;   /* walk and change of one entry */
    uint64_t stage2_unmap_page_cycles;
    uint64_t stage2_unmap_block_cycles;
    uint64_t stage2_protect_cycles; /* one leaf write-protected */
    uint64_t stage2_shared_faults;  /* bool: faults take mmu_lock shared */
    uint64_t stage2_relax_local;    /* bool */
    uint64_t stage2_range_flush;    /* bool: tables and memslots by range, else all of the VMID */
    uint64_t stage2_unmap_flush;    /* enum ts_stage2_unmap_flush */
    uint64_t s2fwb;                 /* bool: FEAT_S2FWB */
    uint64_t user_exit_cycles;      /* a ucall, its handling and the next KVM_RUN */
    uint64_t replay;                /* bool: repeated steps are computed once */
};
extern const struct ts_param_table ts_hypervisor_param_table; /* prefix "hypervisor" */

struct ts_hypervisor_stats {
    uint64_t exits; /* rule: the sum of the reasons */
    uint64_t exit_icr, exit_hypercall, exit_halt, exit_interrupt, exit_pause, exit_timer, exit_eoi;
    uint64_t exit_apic; /* rule: icr, eoi, apic_access, avic */
    uint64_t exit_apic_access, exit_avic;
    uint64_t exit_stage2, exit_user;
    uint64_t icr_fast, icr_slow, sgi_traps; /* rule: exit_icr */
    uint64_t entries;
    uint64_t hypercalls;
    uint64_t hypercalls_ipi, pv_ipi_failed;
    uint64_t hypercalls_yield;
    uint64_t hypercalls_kick;
    uint64_t hypercalls_hv_ipi, hv_ipi_failed;
    uint64_t hypercalls_long_spin;
    uint64_t posted;                            /* interrupts delivered without an exit */
    uint64_t notify_sent, notify_on, notify_sn; /* posted-interrupt notifications; not sent */
    uint64_t doorbells;                         /* AVIC's */
    uint64_t eoi_pv;
    uint64_t kicks; /* host IPIs to make a vCPU leave guest mode */
    uint64_t call_targets, call_ipis, call_piggyback; /* of the host's calls; rule: a sum */
    uint64_t wakeups;                                 /* halted vCPUs woken */
    uint64_t wakeups_nv;                              /* of these by the wake-up vector */
    uint64_t halts;
    uint64_t halt_poll_success, halt_poll_fail;
    uint64_t directed_yield_attempted, directed_yield_successful;
    uint64_t preemption_reported, preemption_other;
    uint64_t pv_flush_performed; /* entries that found FLUSH_TLB set */
    uint64_t tlb_flush;          /* guest-context flushes at entry */
    uint64_t hv_requests;        /* vCPUs named in Hyper-V flush hypercalls */
    uint64_t hv_entries;         /* GVA list entries that were flushed page by page */
    uint64_t xen_flushes;        /* rule: local and remote ones of everything, of one page */
    uint64_t xen_flush_all, xen_flush_one;
    uint64_t xen_rounds; /* flush_area_mask with other pCPUs, and calls to make vCPUs exit */
    uint64_t xen_round_targets;
    uint64_t xen_lock_waits;     /* rounds that found the lock taken */
    uint64_t xen_switch_flushes; /* of these, because another vCPU was loaded */
    uint64_t migrations_flush;
    uint64_t vmclear, ibpb;
    uint64_t vmclear_wait_ps;     /* from the call until it has been acknowledged */
    uint64_t stage1_flush_switch; /* arm64 last_vcpu_ran */
    uint64_t domain_joins;        /* arm64: cores that joined a VM's domain again, and flushed */
    /* Maintenance by the host's own code. */
    uint64_t tlbi_issued, dsb, dsb_nsh, invept;
    uint64_t tlbi_repeated; /* hypervisor.repeat_tlbi: further TLBI, local ones too */
    uint64_t remote_tlb_flush_requests, remote_tlb_flush; /* KVM's names */
    uint64_t tlb_flush_all;                               /* KVM_REQ_TLB_FLUSH met at entry */
};
extern const struct ts_stat_table ts_hypervisor_stat_table; /* group "hypervisor" */

/* Who judges hits in TLBs is told when the host changes a VM's stage 2 (host_tlb.h); the machine
 * hands it on to the VM's oracle. */
struct ts_stage2_watch {
    uint32_t (*open)(void *user, uint32_t vm, uint64_t start, uint64_t end);
    void (*close)(void *user, uint32_t vm, uint32_t window);
    void (*make)(void *user, uint32_t vm, uint64_t start, uint64_t end, uint64_t pa);
    void *user;
};

/* Where the vCPUs of a VM may run, and how much. */
struct ts_vm_placement {
    const struct ts_cpumask *pcpus; /* NULL: on all; else a set of pCPUs that outlives it */
    uint32_t first;  /* vCPU i begins on member first + i of the set, going round; without a set
                        vCPUs begin on the pCPU of their number among all VMs' */
    bool pin;        /* and stay there, whatever hypervisor.pin says */
    uint64_t shares; /* cpu.shares of its group where host_sched.group is vm; Xen's weight */
};

/* What the machine gives the hypervisor; all of it outlives it. */
struct ts_hypervisor_wiring {
    const struct ts_hypervisor_params *params; /* copied */
    enum ts_arch arch;
    struct ts_engine *engine;
    const struct ts_topology *topology;
    struct ts_cpu_domain *host; /* the pCPUs, under ts_host_cpu_ops */
    struct ts_line_system *lines;
    struct ts_interrupt *interrupt;
    const struct ts_interrupt_params *interrupt_params; /* copied */
    struct ts_dvm *dvm;                                 /* arm64, else NULL */
    enum ts_range_split range_split;     /* for stage 2; by pages: there is no FEAT_TLBIRANGE */
    bool ttl;                            /* the cores take level hints */
    struct ts_mmu **mmus;                /* by pCPU */
    const struct ts_stage2_watch *watch; /* NULL: nobody judges */
    struct ts_replay *replay;            /* NULL: every step is made */
    struct ts_vm *const *vms;            /* their guests have been created */
    const struct ts_vm_placement *placements; /* by VM; NULL: all of them anywhere */
    uint32_t nvms;
};

struct ts_hypervisor {
    struct ts_hypervisor_params params;
    struct ts_hypervisor_stats stats;
    struct ts_error failure; /* status TS_OK: none; else the run has been stopped */
    /* --- private: the hypervisor's files --- */
    struct ts_hypervisor_wiring w;
    struct ts_interrupt_params interrupt_params;
    struct ts_vcpu *vcpus; /* all VMs', by global number */
    uint32_t nvcpus;
    struct ts_hyp_pcpu *pcpus; /* by pCPU */
    uint32_t *last_vcpu_ran;   /* [nvms * npcpus] global vCPU number, UINT32_MAX */
    uint64_t line_ids;
    struct ts_xen *xen;                /* NULL: KVM */
    bool makes_requests;               /* of other vCPUs: their mode's line changes hands */
    struct ts_host_task *tasks, *last; /* in the order in which they were added */
    struct ts_stage2 *stage2;          /* [nvms] */
    struct ts_vm_stages *stages;       /* [nvms] */
    bool uses_slots;                   /* a VMM thread has changed a stage 2 */
    struct ts_vmids vmids;             /* arm64 */
};

extern const struct ts_cpu_ops ts_host_cpu_ops; /* pCPUs under a hypervisor */
extern const struct ts_cpu_ops ts_vcpu_ops;     /* vCPUs */

/* Which acceleration a VM of so many vCPUs gets whose driver uses guest_mode. */
enum ts_accel ts_hypervisor_accel(const struct ts_hypervisor_params *params, enum ts_arch arch,
                                  enum ts_intr_mode guest_mode, uint32_t vcpus);
/* User errors: what cannot go together. */
enum ts_status ts_hypervisor_check(const struct ts_hypervisor_params *params, enum ts_arch arch,
                                   enum ts_intr_mode guest_mode, uint32_t vcpus,
                                   struct ts_error *err);
/* h is zeroed. Sets each VM's pv and host. On an error nothing needs to be undone but
 * ts_hypervisor_fini. */
enum ts_status ts_hypervisor_init(struct ts_hypervisor *h, const struct ts_hypervisor_wiring *w,
                                  struct ts_error *err);
void ts_hypervisor_fini(struct ts_hypervisor *h);
/* Makes every vCPU's host task runnable, spread over the pCPUs, and then the host's threads. */
void ts_hypervisor_start(struct ts_hypervisor *h);

/* Interrupt transport delivers at a pCPU (ts_intr_sink_fn; user: the hypervisor). */
void ts_hypervisor_interrupt(void *user, uint32_t target, uint32_t vector, uint64_t cookie);

/* The pCPUs on which its vCPUs are, or have been last. */
void ts_hypervisor_vm_is_on(const struct ts_vm *vm, struct ts_cpumask *pcpus);

#ifdef __cplusplus
}
#endif
#endif
