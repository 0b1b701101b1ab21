/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and statistics of the hypervisor. Defaults: KVM 6.12 on a Skylake-class server. */
#include "models/cpu/dvm_port.h"
#include "models/hypervisor/hypervisor.h"

#define OFF(f) offsetof(struct ts_hypervisor_params, f)
#define CYC(k, f, d, hi, h, s, c)                                                                  \
    {                                                                                              \
        k, TS_PARAM_CYCLES, OFF(f), d, 0, hi, NULL, h, s, c                                        \
    }
#define FLAG(k, f, d, h, s, c)                                                                     \
    {                                                                                              \
        k, TS_PARAM_BOOL, OFF(f), d, 0, 1, NULL, h, s, c                                           \
    }
#define TIME(k, f, d, hi, h, s, c)                                                                 \
    {                                                                                              \
        k, TS_PARAM_TIME, OFF(f), d, 0, hi, NULL, h, s, c                                          \
    }

static const char *const kinds[] = {"none", "kvm", "xen", NULL};
static const char *const domains[] = {"ran", "resident", NULL};
static const char *const xen_guests[] = {"pv", "hvm", NULL};
static const char *const tag_names[] = {"vpid_ept", "svm_asid", NULL};
static const char *const boost_rules[] = {"preempted", "ready", "ready_irq", NULL};
static const char *const rules[] = {"preempted_at_irq_exit", "any_put", NULL};
static const char *const avics[] = {"off", "avic", "x2avic", NULL};
static const char *const pv_ipis[] = {"off",        "sliding",    "absolute128",
                                      "cluster128", "cluster192", NULL};
static const char *const hv[] = {"off", "4.18", "fifo16", "hyperv", NULL};
static const char *const backings[] = {"4KiB", "2MiB", "1GiB", NULL};
static const char *const repeat_forms[] = {"each", "sync", NULL};
static const char *const range_splits[] = {"legacy", "modern", NULL};
static const char *const unmap_flushes[] = {"each", "deferred", "deferred_leaves", NULL};

#define V TS_CONF_VERBATIM
#define D TS_CONF_DERIVED
#define R TS_CONF_REMEMBERED
#define G TS_CONF_GUESS
#define C TS_CONF_CHOICE

static const struct ts_param rows[] = {
    {"kind", TS_PARAM_ENUM, OFF(kind), TS_HYP_KVM, 0, TS_HYP_XEN, kinds,
     "none: the guest's operating system runs on the pCPUs itself", "setting", C},
    {"kvm", TS_PARAM_ENUM, OFF(kvm_version), TS_KVM_VERSION_NONE, 0, TS_KVM_VERSION_LAST,
     ts_kvm_version_names,
     "version of the host's kernel: sets each parameter of hypervisor and host_sched that differs "
     "by version and that nothing sets by itself (`tlbstorm explain kvm`); none: sets none",
     "the defaults are those of Linux 6.12.117 (Debian), with fewer features offered", C},
    CYC("exit", exit_cycles, 600, 1000000, "VM exit, guest to host handler",
        "calibration A5: round trip of a non-nested exit 1100-1300 cycles on Skylake, half", R),
    CYC("entry", entry_cycles, 600, 1000000, "VM entry, host handler to guest",
        "calibration A5: round trip of a non-nested exit 1100-1300 cycles on Skylake, half", R),
    CYC("hypercall", hypercall_cycles, 200, 1000000,
        "dispatch of a hypercall beyond exit and entry", "assumed", G),
    CYC("icr_fastpath", icr_fastpath_cycles, 300, 1000000,
        "emulation of one x2APIC ICR or timer MSR write beyond exit and entry",
        "assumed; KVM 5.8+ fast path, commit 1e9e2622a149", G),
    CYC("icr_slowpath", icr_slowpath_cycles, 0, 1000000,
        "what an ICR write that is not by x2APIC to one physical target costs beyond icr_fastpath, "
        "and each other xAPIC access that exits; 0: no difference, as if all took the fast path",
        "0 is a setting; commit 1e9e2622a149: the fast path saves more than 200 cycles", C),
    CYC("inject", inject_cycles, 250, 1000000,
        "look-up of one target vCPU and setting its PIR or IRR bit",
        "assumed; calibration A6 gives 970 ns a target with the slowest acknowledgement", G),
    FLAG("apicv", apicv, 1, "posted interrupts: delivery to a running vCPU without its exit",
         "kvm_intel enable_apicv=1 (x86.md 2.6)", V),
    FLAG("ipiv", ipiv, 0,
         "x86: IPI virtualisation, with apicv: a physical-mode write to one target does not exit. "
         "arm64: GICv4.1, SGIs reach a resident vPE without its exit",
         "kvm_intel enable_ipiv, SPR and later (x86.md 2.6); vgic-mmio-v3.c vgic_v3_queue_sgi", V),
    {"avic", TS_PARAM_ENUM, OFF(avic), TS_AVIC_OFF, 0, TS_AVIC_X2APIC, avics,
     "AMD: an ICR write does not exit if all targets run. avic: APIC IDs to 254; a guest in x2APIC "
     "mode gets the doorbell alone. x2avic: IDs to 511, both modes",
     "kvm/svm/avic.c, kvm_amd avic=0 by default (x86.md 2.6)", V},
    FLAG("pv_eoi", pv_eoi, 0,
         "KVM_FEATURE_PV_EOI: without apicv or avic an EOI does not exit if nothing else is "
         "pending",
         "kvm/lapic.c apic_sync_pv_eoi_to_guest (x86.md 2.6)", V),
    {"pv_ipi", TS_PARAM_ENUM, OFF(pv_ipi), TS_PV_IPI_OFF, 0, TS_PV_IPI_CLUSTER192, pv_ipis,
     "KVM_FEATURE_PV_SEND_IPI: mask sends by hypercall. sliding: a window of 128 APIC IDs, as "
     "merged; absolute128: IDs 0 to 127, a larger VM sends natively; cluster128 and 192: aligned "
     "windows",
     "kernel/kvm.c __send_ipi_mask; thread pv-ipi-kvm for the others (x86.md 3.2)", V},
    FLAG("pv_ipi_no_map", pv_ipi_no_map, 0,
         "fault: KVM has no APIC map, the hypercall fails with -EOPNOTSUPP and the guest, which "
         "has no fallback, loses the interrupt",
         "kvm/lapic.c kvm_pv_send_ipi", V),
    CYC("sgi_trap", sgi_trap_cycles, 900, 1000000,
        "Arm: emulation of one ICC_SGI1R write beyond exit and entry", "assumed", G),
    CYC("kick", kick_cycles, 80, 1000000, "host: looking at one vCPU named in a flush request",
        "assumed", G),
    CYC("host_irq", host_irq_cycles, 700, 1000000, "host interrupt, entry to return",
        "calibration A5: IRQ entry+handler 600-1000 cycles on Skylake", R),
    CYC("vcpu_put_load", vcpu_put_load_cycles, 1500, 1000000,
        "saving and loading vCPU state at a switch, beyond the context switch",
        "assumed; calibration A5: vCPU to vCPU 2-3 us in all", G),
    {"tlb_tags", TS_PARAM_ENUM, OFF(tlb_tags), TS_TAGS_VPID_EPT, 0, TS_TAGS_SVM_ASID, tag_names,
     "x86: vpid_ept (Intel: VPID a vCPU, EP4TA a VM) or svm_asid (AMD: one ASID a vCPU)",
     "kvm/vmx allocate_vpid, kvm/svm pre_svm_run", V},
    FLAG("vpid", vpid, 1,
         "x86: VPIDs are used; else each VM entry and exit drops the guest's combined mappings",
         "kvm/vmx enable_vpid, on where the CPU has it", V),
    CYC("invvpid", invvpid_cycles, 500, 1000000, "one single-context INVVPID",
        "assumed; between INVPCID single and all (calibration A4)", G),
    CYC("invvpid_addr", invvpid_addr_cycles, 300, 1000000, "one individual-address INVVPID",
        "assumed; as INVPCID single (calibration A4)", G),
    FLAG("flush_on_migration", flush_on_migration, 1,
         "INVEPT global on the new pCPU when a vCPU has moved", "kvm/vmx vmx_vcpu_load_vmcs", V),
    CYC("invept", invept_cycles, 600, 1000000, "one global INVEPT", "assumed", G),
    FLAG("vmclear_on_migration", vmclear_on_migration, 1,
         "Intel, KVM: a vCPU that comes to another pCPU waits until that has cleared its VMCS, for "
         "which it is interrupted",
         "kvm/vmx loaded_vmcs_clear, vmx_vcpu_load_vmcs, 6.1 and 6.12", V),
    CYC("vmclear", vmclear_cycles, 200, 1000000, "one VMCLEAR, in the handler of the call",
        "assumed", G),
    FLAG("ibpb_on_switch", ibpb_on_switch, 1,
         "x86, KVM: a branch prediction barrier when a pCPU loads another vCPU than it had last",
         "kvm/vmx vmx_vcpu_load_vmcs, kvm/svm svm_vcpu_load, 6.1 and 6.12 (without "
         "X86_FEATURE_IBPB_ON_VMEXIT)",
         V),
    CYC("ibpb", ibpb_cycles, 4500, 1000000, "one IBPB (MSR_IA32_PRED_CMD), without what it slows",
        "Behrens et al., EuroSys 2022: 4500 cycles on a Skylake client, 840 on an Ice Lake server, "
        "1100 on Zen 2",
        R),
    TIME("halt_poll", halt_poll_ps, 200 * TS_US, TS_S, "host halt polling cap; 0: off",
         "halt_poll_ns, x86 kvm_host.h", V),
    {"halt_poll_grow", TS_PARAM_COUNT, OFF(halt_poll_grow), 2, 0, 1000, NULL,
     "factor by which a vCPU's polling time grows after a halt that was longer, but shorter than "
     "halt_poll; 0: never",
     "halt_poll_ns_grow, kvm_main.c, 6.1 and 6.12", V},
    TIME("halt_poll_grow_start", halt_poll_grow_start_ps, 10 * TS_US, TS_S,
         "first halt polling time", "halt_poll_ns_grow_start, kvm_main.c", V),
    {"halt_poll_shrink", TS_PARAM_COUNT, OFF(halt_poll_shrink), 2, 0, 1000, NULL,
     "divisor of the polling time after a halt longer than halt_poll; below halt_poll_grow_start "
     "it is 0. 0: 0 at once",
     "halt_poll_ns_shrink, kvm_main.c: 0 in 6.1, 2 in 6.12", V},
    FLAG("halt_poll_relax", halt_poll_relax, 1,
         "halt polling executes PAUSE in its loop; without, it takes its share of the core "
         "(topology.smt_throughput)",
         "virt/kvm/kvm_main.c kvm_vcpu_halt: cpu_relax, 6.1 and 6.12", V),
    TIME("wakeup", wakeup_ps, 2 * TS_US, TS_S,
         "idle pCPU: from its interrupt until it runs again (C1-class idle state)",
         "calibration A5: halt wake 5-20 us in all without polling, of which this is the idle exit",
         R),
    FLAG("ple", ple, 1, "pause-loop exiting with directed yield",
         "kvm_intel ple_gap=128 (x86.md 3.4)", V),
    CYC("ple_window", ple_window_cycles, 4096, UINT32_MAX, "cycles of spinning until a pause exit",
        "KVM_VMX_DEFAULT_PLE_WINDOW, kvm/x86.h; of AMD KVM_SVM_DEFAULT_PLE_WINDOW, 3000 pauses", V),
    {"ple_window_grow", TS_PARAM_COUNT, OFF(ple_window_grow), 2, 0, UINT32_MAX, NULL,
     "x86: factor of the window at each pause exit, or cycles to add if not below ple_window; 0: "
     "it does not grow",
     "KVM_DEFAULT_PLE_WINDOW_GROW, kvm/x86.h __grow_ple_window, 6.1 and 6.12", V},
    {"ple_window_shrink", TS_PARAM_COUNT, OFF(ple_window_shrink), 0, 0, UINT32_MAX, NULL,
     "x86: divisor of the window when the vCPU is scheduled in, or cycles to take if not below "
     "ple_window; 0: back to ple_window",
     "KVM_DEFAULT_PLE_WINDOW_SHRINK, kvm/x86.h __shrink_ple_window, 6.1 and 6.12", V},
    CYC("ple_window_max", ple_window_max_cycles, UINT32_MAX, UINT32_MAX,
        "x86: the window grows no further",
        "KVM_VMX_DEFAULT_PLE_WINDOW_MAX, kvm/x86.h; of AMD KVM_SVM_DEFAULT_PLE_WINDOW_MAX, 65535",
        V),
    {"boost_rule", TS_PARAM_ENUM, OFF(boost_rule), TS_BOOST_READY_IRQ, 0, TS_BOOST_READY_IRQ,
     boost_rules,
     "whom a spinning vCPU may boost. preempted: vCPUs put while runnable, and in kernel mode; "
     "ready: also such as have just been woken; ready_irq: also in user mode with an interrupt "
     "pending",
     "kvm_main.c kvm_vcpu_on_spin: 4.14 to 5.2; 5.3 (d73eb57b80b9); 5.13 (52acd22faa1a)", V},
    FLAG("wfe_trap", wfe_trap, 1,
         "arm64: WFE in a spin exits with a directed yield, unless no other task waited for the "
         "pCPU "
         "when the vCPU was loaded; every spin is taken to use WFE",
         "arm64/kvm/arm.c kvm_arch_vcpu_load (single_task_running), handle_exit.c kvm_handle_wfx",
         V),
    CYC("wfe", wfe_cycles, 100, UINT32_MAX, "arm64: spinning until the first WFE", "assumed", G),
    CYC("on_spin", on_spin_cycles, 2000, 1000000,
        "kvm_vcpu_on_spin: scan of the VM's vCPUs, two run-queue locks, yield_to", "assumed", G),
    CYC("yield_to", yield_to_cycles, 1000, 1000000,
        "KVM_HC_SCHED_YIELD: two run-queue locks and yield_to, beyond the hypercall",
        "assumed; half of on_spin, which also scans", G),
    FLAG("pv_tlb_flush", pv_tlb_flush, 1,
         "KVM_FEATURE_PV_TLB_FLUSH with steal time is offered to guests", "kvm.c (x86.md 3.1)", V),
    FLAG("pv_sched_yield", pv_sched_yield, 0,
         "KVM_FEATURE_PV_SCHED_YIELD, with pv_tlb_flush's steal time: after a call to several CPUs "
         "a guest yields to the first of them that is preempted",
         "kernel/kvm.c kvm_smp_send_call_func_ipi, kvm/x86.c kvm_sched_yield, 5.3 and later; off "
         "here, so that the mechanism kvm_pv_yield shows what it does",
         V),
    FLAG(
        "pv_unhalt", pv_unhalt, 1,
        "KVM_FEATURE_PV_UNHALT is offered to guests: KVM_HC_KICK_CPU ends a vCPU's halt, which "
        "paravirtual spinlocks need. A Hyper-V host has none",
        "kvm/x86.c kvm_pv_kick_cpu_op, kvm/cpuid.c: always offered, 6.1 and 6.12; the yield to the "
        "kicked vCPU since 5.3 (remembered)",
        V),
    FLAG("realtime_hint", realtime_hint, 0,
         "KVM_HINTS_REALTIME: guests are told that each vCPU has a pCPU of its own, and use "
         "neither paravirtual spinlocks nor PV TLB flush nor PV sched yield",
         "kernel/kvm.c kvm_spinlock_init, pv_tlb_flush_supported, pv_sched_yield_supported", V),
    {"pv_preempted_rule", TS_PARAM_ENUM, OFF(pv_preempted_rule), TS_PREEMPTED_AT_IRQ_EXIT, 0, 1,
     rules,
     "when the host reports a vCPU as preempted: 5.19+ only after a host interrupt's exit; "
     "4.16 to 5.18 at every vcpu_put, halts included",
     "upstream 54aa83c90198, 6cd88243c7e0 (x86.md 3.1)", V},
    {"hv_flush", TS_PARAM_ENUM, OFF(hv_flush), TS_HV_FIFO16, 0, TS_HV_HYPERV, hv,
     "Hyper-V flush hypercalls: off, as first emulated by KVM 4.18 (always full), with the "
     "16-entry fifo of KVM 6.2 and later, or by Hyper-V itself, which is assumed: a list on vCPUs "
     "that run, the whole tag of others, and an empty processor mask names nobody",
     "kvm/hyperv.c kvm_hv_flush_tlb; threads hyperv-guest-flush-hypercall and "
     "pv-tlb-flush-windows-guests-kvm (x86.md 4.3)",
     V},
    {"hv_fifo", TS_PARAM_COUNT, OFF(hv_fifo), 16, 1, TS_HV_FIFO_MAX, NULL,
     "places of a vCPU's fifo with hv_flush fifo16, and, which is assumed, with hyperv: as many "
     "entries of GVA lists but one fit in; a longer list, or one that finds no room, is a flush of "
     "everything. Each KVM since 6.2 has 16",
     "KVM_HV_TLB_FLUSH_FIFO_SIZE (asm/kvm_host.h, 6.12)", V},
    FLAG("hv_ex_masks", hv_ex_masks, 1,
         "HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED: a flush or an IPI for VPs above 63 is a call with "
         "a "
         "sparse set; off: the guest makes it natively",
         "kvm/hyperv.c kvm_get_hv_cpuid, hyperv/mmu.c hyperv_flush_tlb_multi", V),
    FLAG("hv_ipi", hv_ipi, 0,
         "HV_X64_CLUSTER_IPI_RECOMMENDED: the guest sends IPIs by HvCallSendSyntheticClusterIpi, "
         "up to VP 63 as a fast call, beyond with a sparse set; natively where it is refused",
         "hyperv/hv_apic.c __send_ipi_mask, kvm/hyperv.c kvm_hv_send_ipi", V),
    {"hv_spinlocks", TS_PARAM_COUNT, OFF(hv_spinlocks), UINT32_MAX, 0, UINT32_MAX, NULL,
     "CPUID 0x40000004 EBX: failed attempts at a lock after which a Windows guest notifies the "
     "hypervisor by HvNotifyLongSpinWait, which yields as on a pause-loop exit. 0xffffffff "
     "(4294967295): never; with hv_flush off there is no such leaf",
     "kvm/hyperv.c kvm_hv_hypercall, 6.1 and 6.12: HVCALL_NOTIFY_LONG_SPIN_WAIT; QEMU "
     "hv-spinlocks, never unless set, 0x1fff in its documentation's examples (remembered)",
     V},
    {"dvm_domain", TS_PARAM_ENUM, OFF(dvm_domain), 0, 0, 1, domains,
     "arm64, with dvm.vmid_filter: the cores that a VM's broadcasts go to. ran: those that have "
     "ever "
     "run a vCPU of it; resident: those that its vCPUs are on, each of which drops what it holds "
     "of "
     "the VM when one comes",
     "a proposal; openEuler arch/arm64/kvm/hisilicon/hisi_virt.c goes by affinity instead", C},
    {"xen_guest", TS_PARAM_ENUM, OFF(xen_guest), 0, 0, 1, xen_guests,
     "xen: which hypercalls the guests have, and what a switch of vCPUs flushes. pv: "
     "MMUEXT_TLB_FLUSH_MULTI and INVLPG_MULTI; everything. hvm: HVMOP_flush_tlbs; nothing",
     "Linux arch/x86/xen/mmu_pv.c, 6.1 and 6.12; Xen xen/arch/x86/mm/hap/hap.c flush_tlb", V},
    CYC("xen_flush", xen_flush_cycles, 500, 1000000,
        "xen: do_tlb_flush, everything on one pCPU: INVPCID of all, or CR4.PGE off and on",
        "assumed; as guest.flush_global", G),
    CYC("xen_vcpumask", xen_vcpumask_cycles, 30, 1000000,
        "xen: vcpumask_to_pcpumask, each vCPU that a call names, without the line", "assumed", G),
    FLAG("pin", pin, 0, "vCPUs stay on their first pCPU", "setting", C),
    {"backing", TS_PARAM_ENUM, OFF(backing), 1, 0, 2, backings,
     "host page size behind guest memory", "setting; transparent huge pages are the usual case", C},
    FLAG("last_vcpu_ran_flush", last_vcpu_ran_flush, 1,
         "arm64: local VMALLE1 unless the vCPU was the VM's last on this pCPU",
         "arm64/kvm/arm.c kvm_arch_vcpu_load (arm.md 4.8)", V),
    CYC("flush_cpu_context", flush_cpu_context_cycles, 300, 1000000,
        "arm64: __kvm_flush_cpu_context: into the VM's context and back, TLBI VMALLE1, IC IALLU, "
        "DSB NSH, ISB; more where the TLB takes longer; the refill of the instruction cache is not "
        "modelled",
        "assumed: two writes of VTTBR with an ISB each, 100; invalidation and local DSB, 200", G),
    FLAG("hcr_fb", hcr_fb, 1, "arm64: HCR_EL2.FB, the guest's local TLBIs act inner-shareable",
         "asm/kvm_arm.h HCR_GUEST_FLAGS (arm.md 1.3)", V),
    CYC("tlbi_issue", tlbi_issue_cycles, 20, 1000000,
        "arm64: issue of one broadcast TLBI by the host", "assumed; as guest.tlbi_issue", G),
    CYC("dsb_ishst", dsb_ishst_cycles, 30, 1000000, "arm64: DSB ISHST before the host's first TLBI",
        "assumed; as guest.dsb_ishst", G),
    CYC("vmid_context", vmid_context_cycles, 100, 1000000,
        "arm64: into a VM's context for the host's TLBIs and back, half of it each",
        "assumed; as in hypervisor.flush_cpu_context: two writes of VTTBR with an ISB each", G),
    {"range_split", TS_PARAM_ENUM, OFF(range_split), TS_RANGE_SPLIT_MODERN, 0,
     TS_RANGE_SPLIT_MODERN, range_splits,
     "arm64: how the host cuts a range of guest-physical addresses into range operations, where "
     "guest.tlbirange is true; legacy: wrong for exactly 2^21 pages",
     "asm/tlbflush.h __flush_s2_tlb_range_op, legacy to 6.8; arm64/kvm/hyp/pgtable.c "
     "kvm_tlb_flush_vmid_range",
     V},
    FLAG("nvhe", nvhe, 0,
         "arm64: the host's kernel runs at EL1; each of its flushes of a VM is a call to EL2",
         "arch/arm64/kvm/hyp/nvhe/tlb.c; VHE is what CPUs since Armv8.1 use", C),
    CYC("hyp_call", hyp_call_cycles, 600, 1000000, "arm64, nvhe: HVC to EL2 and ERET, both ways",
        "assumed: 400 to 800 cycles", G),
    CYC("tlbi_local", tlbi_local_cycles, 100, 1000000,
        "arm64: one TLBI of the CPU itself with its DSB NSH; more where its TLB takes longer",
        "assumed; half of what hypervisor.flush_cpu_context has for invalidation and DSB", G),
    FLAG("repeat_tlbi", repeat_tlbi, 0,
         "arm64: the host's workaround for CPUs whose DSB may complete before their TLBI; the "
         "guest's is guest.repeat_tlbi",
         "Linux arch/arm64/kernel/cpu_errata.c arm64_repeat_tlbi_list, read in 6.1 and 6.12", C),
    {"repeat_tlbi_form", TS_PARAM_ENUM, OFF(repeat_tlbi_form), TS_REPEAT_TLBI_SYNC, 0,
     TS_REPEAT_TLBI_SYNC, repeat_forms,
     "arm64: what that workaround does. each: every TLBI, local ones too, is followed by DSB ISH "
     "and the same TLBI; sync: one more VALE2IS and DSB ISH behind a flush of a VM, none behind "
     "the first half of a flush by IPA and none behind local ones",
     "arch/arm64/include/asm/tlbflush.h __tlbi, __tlbi_sync_s1ish_hyp, "
     "arch/arm64/kvm/hyp/vhe/tlb.c "
     "and nvhe/tlb.c, read in 6.1 and 6.12",
     V},
    {"vmid_bits", TS_PARAM_COUNT, OFF(vmid_bits), 16, 2, 16, NULL,
     "arm64: VTCR_EL2.VS, 8 or 16; fewer are for tests. When the numbers run out, one broadcast "
     "drops what every VM has cached",
     "arch/arm64/kvm/vmid.c, 6.1 and 6.12", V},
    FLAG("prefault", prefault, 1,
         "guest memory is mapped in stage 2 when the guest first takes a frame, without a fault; "
         "false: by a fault at the first access",
         "setting; a VMM that has touched all of a VM's memory (-mem-prealloc) still takes the "
         "faults of stage 2",
         C),
    {"memory", TS_PARAM_BYTES, OFF(memory), UINT64_C(64) << 30, UINT64_C(1) << 30,
     UINT64_C(1) << 42, NULL,
     "size of the memslot that each guest's memory lies in: what dirty logging protects and "
     "flushes. With prefault nothing looks whether the guest takes more",
     "setting", C},
    CYC("stage2_fault", stage2_fault_cycles, 2000, 10000000,
        "a stage-2 fault beyond exit, entry, mmu_lock and the table: memory cache, VMA, "
        "get_user_pages",
        "assumed; arm64/kvm/mmu.c user_mem_abort", G),
    CYC("stage2_map", stage2_map_cycles, 300, 1000000,
        "walk of a stage-2 table in software and change of one entry, without its TLBI", "assumed",
        G),
    CYC("stage2_unmap_page", stage2_unmap_page_cycles, 1000, 10000000,
        "arm64: unmapping one page or freeing one table, without its TLBI", "assumed", G),
    CYC("stage2_unmap_block", stage2_unmap_block_cycles, 2500, 100000000,
        "arm64: unmapping one block, without its TLBI", "assumed", G),
    CYC("stage2_protect", stage2_protect_cycles, 20, 1000000,
        "arm64: write-protecting one entry of a walk", "assumed", G),
    FLAG("stage2_shared_faults", stage2_shared_faults, 1,
         "faults take mmu_lock shared; false: exclusively, except where dirty logging makes a page "
         "writable again",
         "arm64/kvm/mmu.c user_mem_abort: use_read_lock in 6.1, read_lock in 6.12", V),
    FLAG("stage2_relax_local", stage2_relax_local, 1,
         "arm64: more permissions are made known to the faulting CPU's TLB only; false: broadcast",
         "hyp/pgtable.c kvm_pgtable_stage2_relax_perms: __kvm_tlb_flush_vmid_ipa in 6.1, _ipa_nsh "
         "in 6.12",
         V),
    FLAG("stage2_range_flush", stage2_range_flush, 1,
         "arm64: a table that a block replaces, and a write-protected memslot, are invalidated by "
         "range; false: the whole VMID",
         "R. R. Ananta, KVM: arm64: Add support for FEAT_TLBIRANGE, v7 (thread "
         "range-tlbi-kvm-arm64); 6.1 and 6.12 read",
         V),
    {"stage2_unmap_flush", TS_PARAM_ENUM, OFF(stage2_unmap_flush), 2, 0, 2, unmap_flushes,
     "arm64: TLBI when unmapping. each: every page, block and table by itself; deferred: with "
     "FEAT_TLBIRANGE and S2FWB one range behind each GiB; deferred_leaves: the same, but tables by "
     "themselves",
     "hyp/pgtable.c stage2_put_pte in 6.1, stage2_unmap_put_pte in 6.12; the thread "
     "range-tlbi-kvm-arm64",
     V},
    CYC("user_exit", user_exit_cycles, 5000, 10000000,
        "what an exit to the program that runs the VM takes beyond exit and entry, its semaphores "
        "included",
        "assumed; virt/kvm/kvm_main.c kvm_vcpu_ioctl, KVM_RUN", G),
    FLAG(
        "replay", replay, 1,
        "arm64: a step of unmapping that is made over and over while nothing else happens is "
        "computed twice for each phase of the clocks, and added from then on; false: each is made. "
        "The statistics are the same",
        "setting of the simulator; sim/replay.h", C),
    FLAG("s2fwb", s2fwb, 1, "arm64: FEAT_S2FWB; without it unmapping never defers its TLBI",
         "hyp/pgtable.c stage2_unmap_defer_tlb_flush", C),
};

const struct ts_param_table ts_hypervisor_param_table = {"hypervisor", rows, TS_ARRAY_LEN(rows)};

#define CNT(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct ts_hypervisor_stats, f), "1", h                       \
    }

static const struct ts_stat stats[] = {
    CNT(exits, "VM exits"),
    CNT(exit_apic, "exits for the interrupt controller: the sum of four"),
    CNT(exit_icr, "exits for ICR or SGI register writes"),
    CNT(exit_hypercall, "exits for hypercalls"),
    CNT(exit_halt, "exits for HLT or WFI"),
    CNT(exit_interrupt, "exits for host interrupts"),
    CNT(exit_pause, "pause-loop exits"),
    CNT(exit_timer, "exits for timers: programming and expiry"),
    CNT(exit_eoi, "exits for EOI, without APICv"),
    CNT(exit_apic_access, "exits for xAPIC accesses before an ICR write, without APICv"),
    CNT(exit_avic, "exits for incomplete IPIs: AVIC, a target was not running"),
    CNT(exit_stage2, "exits for stage-2 aborts or EPT violations"),
    CNT(exit_user, "exits to the program that runs the VM"),
    CNT(icr_fast, "ICR exits that KVM's fast path takes"),
    CNT(icr_slow, "other ICR exits"),
    CNT(sgi_traps, "traps of ICC_SGI1R"),
    CNT(entries, "VM entries"),
    CNT(hypercalls, "hypercalls"),
    CNT(hypercalls_ipi, "of these KVM_HC_SEND_IPI"),
    CNT(pv_ipi_failed, "KVM_HC_SEND_IPI that returned an error"),
    CNT(hypercalls_yield, "KVM_HC_SCHED_YIELD"),
    CNT(hypercalls_kick, "KVM_HC_KICK_CPU"),
    CNT(hypercalls_hv_ipi, "of the hypercalls HvCallSendSyntheticClusterIpi(Ex)"),
    CNT(hv_ipi_failed, "of these refused"),
    CNT(hypercalls_long_spin, "of the hypercalls HvNotifyLongSpinWait"),
    CNT(posted, "interrupts posted to running vCPUs"),
    CNT(notify_sent, "posted-interrupt notifications sent, wake-up vector included"),
    CNT(notify_on, "notifications not sent: one was outstanding (ON)"),
    CNT(notify_sn, "notifications not sent: the target was preempted (SN)"),
    CNT(doorbells, "AVIC doorbells rung, by hardware or by KVM"),
    CNT(eoi_pv, "EOIs without an exit by the PV EOI bit"),
    CNT(kicks, "host IPIs that make a vCPU leave guest mode"),
    CNT(call_targets, "pCPUs that the host's calls named, to make vCPUs leave guest mode and for "
                      "VMCLEAR"),
    CNT(call_ipis, "of these interrupted"),
    CNT(call_piggyback, "of these not interrupted: their queue was not empty"),
    CNT(wakeups, "blocked vCPUs woken by an interrupt"),
    CNT(wakeups_nv, "of these by the wake-up vector or a vPE's doorbell"),
    CNT(halts, "halts"),
    CNT(halt_poll_success, "halt_successful_poll"),
    CNT(halt_poll_fail, "halt polls that ended without an interrupt"),
    CNT(directed_yield_attempted, "directed_yield_attempted"),
    CNT(directed_yield_successful, "directed_yield_successful"),
    CNT(preemption_reported, "preemption_reported"),
    CNT(preemption_other, "preemption_other"),
    CNT(pv_flush_performed, "entries that found KVM_VCPU_FLUSH_TLB set, and flushed"),
    CNT(tlb_flush, "flushes of a guest's translations before entry"),
    CNT(hv_requests, "vCPUs named in Hyper-V flush hypercalls"),
    CNT(hv_entries, "entries of GVA lists that a vCPU has flushed page by page"),
    CNT(xen_flushes, "xen: flushes of a pCPU's TLB"),
    CNT(xen_flush_all, "of these of everything; each ticks the TLB-flush clock"),
    CNT(xen_flush_one, "of these of one page"),
    CNT(xen_switch_flushes, "of those of everything because another vCPU of a PV guest was loaded"),
    CNT(xen_rounds, "xen: interrupts to other pCPUs under flush_lock or call_lock"),
    CNT(xen_round_targets, "pCPUs that they were for"),
    CNT(xen_lock_waits, "of the rounds those that found the lock taken"),
    CNT(vmclear, "VMCLEARs by a call, because a vCPU changed its pCPU"),
    {"vmclear_wait_ps", TS_STAT_TIME_PS, offsetof(struct ts_hypervisor_stats, vmclear_wait_ps),
     "ps", "until those calls were acknowledged"},
    CNT(ibpb, "branch prediction barriers because a pCPU loaded another vCPU"),
    CNT(migrations_flush, "INVEPT because a vCPU changed its pCPU"),
    CNT(stage1_flush_switch, "local VMALLE1 because the pCPU did not run this vCPU of the VM last"),
    CNT(domain_joins, "arm64: cores flushed because a vCPU came to them from outside the domain"),
    CNT(tlbi_issued, "arm64: broadcast TLBI by the host's code"),
    CNT(dsb, "arm64: DSB ISH of the host's code for them"),
    CNT(dsb_nsh, "arm64: DSB NSH of the host's code, each for one local TLBI"),
    CNT(tlbi_repeated, "arm64: TLBI that hypervisor.repeat_tlbi adds, local ones too"),
    CNT(invept, "INVEPT: after moves, at entry for KVM_REQ_TLB_FLUSH, by the host's threads"),
    CNT(remote_tlb_flush_requests, "remote_tlb_flush_requests: kvm_flush_remote_tlbs"),
    CNT(remote_tlb_flush, "remote_tlb_flush: of these, on x86 with a vCPU in guest mode"),
    CNT(tlb_flush_all, "entries that found KVM_REQ_TLB_FLUSH, and flushed"),
};
static const struct ts_stat_rule stat_rules[] = {
    {"every exit has one reason",
     {"+exits", "-exit_apic", "-exit_hypercall", "-exit_halt", "-exit_interrupt", "-exit_pause",
      "-exit_timer", "-exit_stage2", "-exit_user"}},
    {"xen flushes everything or one page", {"+xen_flushes", "-xen_flush_all", "-xen_flush_one"}},
    {"a call's target is interrupted or has been",
     {"+call_targets", "-call_ipis", "-call_piggyback"}},
    {"every APIC exit has one cause",
     {"+exit_apic", "-exit_icr", "-exit_eoi", "-exit_apic_access", "-exit_avic"}},
    {"every ICR exit is fast, slow or an SGI's",
     {"+exit_icr", "-icr_fast", "-icr_slow", "-sgi_traps"}},
};
const struct ts_stat_table ts_hypervisor_stat_table = {"hypervisor", stats, TS_ARRAY_LEN(stats),
                                                       stat_rules, TS_ARRAY_LEN(stat_rules)};
