/* SPDX-License-Identifier: Apache-2.0 */
/* A flush mechanism as the guest's kernel calls it: how an address space's translations are made
 * to die on every CPU. The mechanisms are in models/flush, one file each.
 *
 * Required is flush_multi. The other hooks are optional (NULL: the kernel's own behaviour) and
 * stand where patches that change more than the flush have touched the kernel. A hook that lets
 * time pass says so. */
#ifndef TS_MODELS_GUEST_MECHANISM_H
#define TS_MODELS_GUEST_MECHANISM_H

#include "models/guest/coherence/tlb_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a mechanism cannot do without; checked before a run (a user error otherwise). */
enum ts_flush_needs {
    TS_NEEDS_X86 = 1u << 0,
    TS_NEEDS_ARM64 = 1u << 1,
    TS_NEEDS_VM = 1u << 2,
    TS_NEEDS_PV_TLB_FLUSH = 1u << 3, /* hypervisor.pv_tlb_flush (KVM_FEATURE_PV_TLB_FLUSH) */
    TS_NEEDS_HV_FLUSH = 1u << 4,     /* hypervisor.hv_flush (HV_X64_REMOTE_TLB_FLUSH_RECOMMENDED) */
    TS_NEEDS_TLBIRANGE = 1u << 5,    /* guest.tlbirange (FEAT_TLBIRANGE) */
    TS_NEEDS_BARE_METAL = 1u << 6,   /* hypervisor.kind none */
    TS_NEEDS_INVLPGB = 1u << 7,      /* dvm.invlpgb (CPUID 80000008h EBX bit 3) */
    TS_NEEDS_RAR = 1u << 8,          /* rar.present (MSR_IA32_CORE_CAPS) */
    TS_NEEDS_XEN = 1u << 9,          /* hypervisor.kind xen */
    TS_NEEDS_VMID_FILTER = 1u << 10  /* dvm.vmid_filter */
};

/* What a host is made to offer the VM beside what its own parameters say: a mechanism that is about
 * such a feature is compared, on one host, with those that do without. */
enum ts_flush_offers {
    TS_OFFERS_PV_IPI = 1u << 0,         /* KVM_FEATURE_PV_SEND_IPI; sliding, unless set otherwise */
    TS_OFFERS_PV_SCHED_YIELD = 1u << 1, /* KVM_FEATURE_PV_SCHED_YIELD */
    TS_OFFERS_RESIDENT_DOMAIN = 1u << 2 /* hypervisor.dvm_domain resident */
};

/* When an initiator flushes its own TLB. The kernel's version decides (guest.flush_concurrent) but
 * for mechanisms that are about this difference. */
enum ts_flush_order { TS_ORDER_KERNEL = 0, TS_ORDER_SEQUENTIAL = 1, TS_ORDER_CONCURRENT = 2 };

/* What switch_mm_irqs_off has to do for the address space that is loaded already. */
enum ts_same_mm {
    TS_SAME_KERNEL = 0, /* the kernel's own rule: the generation, if the CPU was lazy */
    TS_SAME_RELOAD = 1, /* choose_asid anew, and load it */
    TS_SAME_CURRENT = 2 /* nothing: what is loaded is up to date */
};

/* Which operating systems use it. */
enum ts_flush_guests { TS_FOR_LINUX = 1u << 0, TS_FOR_WINDOWS = 1u << 1 };

struct ts_flush_ops {
    const char *name;      /* = file name = name in the configuration */
    const char *summary;   /* one line */
    const char *reference; /* kernel file and version, thread, paper */
    const char *faults;    /* what is known to be wrong with it, for the oracle to find; or NULL */
    bool hypothetical;     /* a bound: nobody could build it, so it wins no comparison */
    uint32_t needs;        /* enum ts_flush_needs */
    uint32_t guests;       /* enum ts_flush_guests; 0: Linux alone */
    uint32_t offers;       /* enum ts_flush_offers */
    enum ts_flush_order order;
    bool remote_by_mask; /* uses mm_cpumask (the kernel keeps it and the lazy state for it) */
    const struct ts_param_table *params; /* prefix "flush.<name>", or NULL */
    size_t params_size;
    const struct ts_stat_table *stats; /* group "flush.<name>", or NULL; base: guest->flush_state */
    size_t state_size;                 /* of guest->flush_state, zeroed at start */
    enum ts_status (*init)(struct ts_guest *g, struct ts_error *err);
    void (*fini)(struct ts_guest *g);

    /* pv_ops.mmu.flush_tlb_multi: makes what info names die on the CPUs of mask, self's own
     * included if it is there. info->mm is NULL for flushes that are of no one address space:
     * kernel ranges, reclaim batches. Preemption is off; time passes. On return no CPU of mask may
     * use a translation that info names (or before it can run again). The record wants its parts
     * filled in (record.h); what is not accounted for becomes SEND. mask may be self's own scratch
     * (ts_guest_cpu.flush_mask): a mechanism that changes it copies it there first. */
    void (*flush_multi)(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record);

    /* flush_tlb_mm_range once the generation has been raised, before it looks who is in the mask.
     * True: the flush has been made. */
    bool (*flush_mm)(struct ts_task *self, struct ts_flush_info *info,
                     struct ts_shootdown_record *record);
    /* x86, pv_ops.mmu.flush_tlb_one_user (va) and flush_tlb_user (NULL: everything) on this CPU.
     * Interrupts are off; time passes. False: by the CPU's own instructions after all. */
    bool (*flush_here)(struct ts_task *self, const uint64_t *va);
    /* x86, flush_tlb_kernel_range and flush_tlb_all: instead of the call to every CPU. here is what
     * the kernel does on each: info's pages, or everything (all). Preemption is off; time passes.
     */
    void (*flush_kernel)(struct ts_task *self, struct ts_flush_info *info, bool all,
                         ts_call_fn *here);
    /* arch_tlbbatch_flush before it looks who is in the batch's mask; info->mm is NULL. True: the
     * flush has been made. */
    bool (*flush_batch)(struct ts_task *self, struct ts_flush_info *info,
                        struct ts_shootdown_record *record);
    /* switch_mm_irqs_off for the address space that gc has loaded. No time passes. */
    enum ts_same_mm (*same_mm)(const struct ts_guest_cpu *gc);
    /* switch_mm_irqs_off is about to load next, or the CPU to become lazy (next is NULL).
     * Interrupts are off; time may pass. */
    void (*switch_mm)(struct ts_task *self, struct ts_mm *prev, struct ts_mm *next);
    /* choose_new_asid: the slot for next, and whether it must be flushed (gc->new_cpu). What is not
     * below guest.nr_dyn_asids is no slot of the CPU's (a global ASID) and has no generation; it is
     * a PCID all the same, less 1. ts_choose_new_asid is the kernel's own. */
    uint32_t (*choose_asid)(struct ts_guest_cpu *gc, const struct ts_mm *next, uint64_t next_gen,
                            bool *need_flush);
    /* Entry of flush_tlb_func on a target or locally. True: it has been dealt with. Time may
     * pass; interrupts are off. */
    bool (*flush_func)(struct ts_task *self, struct ts_flush_info *info);
    /* ts_native_flush_tlb_multi, where no tables are freed: a target acknowledges once it has been
     * here, and flushes afterwards what this returns: a copy of the flush info (the argument) that
     * is the target's own. Interrupts are off; time may pass. */
    ts_call_take_fn *early_ack;
    /* An address space begins, or has been taken down (no time passes). */
    void (*mm_create)(struct ts_mm *mm);
    void (*mm_exit)(struct ts_mm *mm);
    /* The scheduler's tick on self's CPU; in the handler. Time may pass. */
    void (*tick)(struct ts_task *self);
    /* Pages are about to go back to the allocator after their flush. True: the mechanism keeps the
     * frame and frees it later by ts_guest_frame_free. */
    bool (*frame_release)(struct ts_guest *g, uint64_t frame);
    /* May [start, end) not be mapped yet, though nothing is there? 0: it may; else where the
     * lowest range begins that overlaps it and is kept back. No time passes. */
    uint64_t (*va_held)(const struct ts_mm *mm, uint64_t start, uint64_t end);
};

static inline bool ts_flush_is_for(const struct ts_flush_ops *ops, uint64_t os)
{
    uint32_t guests = ops->guests ? ops->guests : (uint32_t)TS_FOR_LINUX;
    return guests >> os & 1u;
}

/* choose_new_asid without mechanisms: the slot that holds next, or the next one round-robin. */
uint32_t ts_choose_new_asid(struct ts_guest_cpu *gc, const struct ts_mm *next, uint64_t next_gen,
                            bool *need_flush);
/* should_flush_tlb (6.1: tlb_is_not_lazy): is cpu to be told of a flush that frees no tables? Reads
 * the lines that the kernel reads. info: struct ts_flush_info. */
bool ts_flush_should(struct ts_task *self, struct ts_guest_cpu *cpu, void *info);
/* Who is asked whether it is to be told: ts_flush_should, or NULL: nobody, all are told. Lazy CPUs
 * may be left out only while no table is freed and the address space has no global ASID, and up to
 * 4.19 were not; arm64 has no lazy state. */
ts_call_cond *ts_flush_condition(const struct ts_guest *g, const struct ts_flush_info *info);
/* native_flush_tlb_multi over mask (which may hold self): IPIs, the local flush at the same time or
 * before, as the order says; wait. */
void ts_native_flush_tlb_multi(struct ts_task *self, const struct ts_cpumask *mask,
                               struct ts_flush_info *info, struct ts_shootdown_record *record);
/* Local part: flush_tlb_func on this CPU, with interrupts off. */
void ts_flush_local(struct ts_task *self, struct ts_flush_info *info);
/* flush_tlb_local, x86: all of the loaded address space, on this CPU; interrupts off. The
 * generation stays. */
void ts_flush_tlb_local(struct ts_task *self);
/* One page of the loaded address space, on this CPU, x86; interrupts off. */
void ts_flush_tlb_one(struct ts_task *self, uint64_t va);
/* flush_tlb_func: the decision table of x86.md 1.6; interrupts off. Windows has one of its own
 * (nt/flush.h). */
void ts_flush_tlb_func(struct ts_task *self, struct ts_flush_info *info);
/* A frame or table page whose flush has returned goes back to the allocator, or to the mechanism's
 * frame_release. */
void ts_guest_frame_release(struct ts_guest *g, uint64_t frame);

#ifdef __cplusplus
}
#endif
#endif
