/* SPDX-License-Identifier: Apache-2.0 */
/* A flush mechanism: how an address space's translations are made to die on every CPU.
 *
 * One file each, models/flush/<name>.c, exporting `const struct ts_flush_ops ts_flush_<name>`;
 * CMake makes the sorted table. A mechanism reads like the kernel's own function, top to bottom;
 * what several share lives in models/guest (smp_call, mm, lazy TLB) or models/hypervisor. To add
 * one: drop in the file; nothing else is edited.
 */
#ifndef TS_MODELS_FLUSH_H
#define TS_MODELS_FLUSH_H

#include "models/guest/guest.h"

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
    TS_NEEDS_TLBIRANGE = 1u << 5     /* guest.tlbirange (FEAT_TLBIRANGE) */
};

struct ts_flush_ops {
    const char *name;      /* = file name = name in the configuration */
    const char *summary;   /* one line */
    const char *reference; /* kernel file and version, thread, paper */
    uint32_t needs;        /* enum ts_flush_needs */
    bool remote_by_mask;   /* uses mm_cpumask (the kernel keeps it and the lazy state for it) */
    const struct ts_param_table *params; /* prefix "flush.<name>", or NULL */
    size_t params_size;
    const struct ts_stat_table *stats; /* group "flush.<name>", or NULL; base: guest->flush_state */
    size_t state_size;                 /* of guest->flush_state, zeroed at start */
    /* Optional. */
    enum ts_status (*init)(struct ts_guest *g, struct ts_error *err);
    void (*fini)(struct ts_guest *g);
    /* The flush itself, after flush_tlb_mm_range has raised tlb_gen and filled in info. On return
     * no CPU of the guest may use a translation that info names. Preemption is off. The record
     * wants its parts filled in: ts_path_* below; what is not accounted for becomes SEND. */
    void (*flush)(struct ts_task *self, struct ts_flush_info *info,
                  struct ts_shootdown_record *record);
};

extern const struct ts_flush_ops *const ts_flush_table[];
extern const size_t ts_flush_table_count;
const struct ts_flush_ops *ts_flush_find(const char *name);

/* Targets other than self by the rules of flush_tlb_multi: mm_cpumask without lazy CPUs unless
 * tables are freed. Reads the lines that the kernel reads. Used by mechanisms that name CPUs in a
 * hypercall; ts_smp_call_many has the same predicate as cond. */
bool ts_flush_should(struct ts_guest_cpu *cpu, void *info);
/* native_flush_tlb_multi over mask (which may hold self): IPIs, the local flush concurrently
 * (concurrent) or before (sequential), wait. */
void ts_native_flush_tlb_multi(struct ts_task *self, const struct ts_cpumask *mask,
                               struct ts_flush_info *info, bool concurrent,
                               struct ts_shootdown_record *record);
/* Local part: flush_tlb_func on this CPU, interrupts off. */
void ts_flush_local(struct ts_task *self, struct ts_flush_info *info);
/* Adds the time since *mark to a part and moves the mark to now. */
void ts_path_add(struct ts_task *self, struct ts_shootdown_record *record, enum ts_path_part part,
                 ts_time *mark);
/* Helpers of the arm64 mechanisms (models/flush/flush_arm64.c): a broadcast TLBI with its tracker
 * stalls, DSB ISH with its wait. */
void ts_arm64_tlbi(struct ts_task *self, const struct ts_tlb_inval *inval);
void ts_arm64_dsb_ish(struct ts_task *self);
uint16_t ts_arm64_vmid(const struct ts_guest *g);

#ifdef __cplusplus
}
#endif
#endif
