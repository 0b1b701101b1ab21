/* SPDX-License-Identifier: Apache-2.0 */
/* What KVM's paravirtual flush and the patches on it share: the loop of kvm_flush_tlb_multi
 * (arch/x86/kernel/kvm.c) that leaves preempted targets a flag. */
#ifndef TS_MODELS_FLUSH_KVM_PV_H
#define TS_MODELS_FLUSH_KVM_PV_H

#include "models/flush/flush.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Begins the mechanism's own state. */
struct ts_kvm_pv_state {
    uint64_t examined, deferred, cmpxchg_failed, interrupted; /* examined = the other three */
    uint64_t merged;
};

/* A target has been left its flag: no instruction of its runs before it has been flushed. Time may
 * pass; NULL: nothing is done. */
typedef void ts_kvm_pv_deferred_fn(struct ts_task *self, struct ts_guest_cpu *target,
                                   const struct ts_flush_info *info);

/* Flags the preempted CPUs of mask. Returns self's flush_mask with the CPUs that are left, its own
 * included if mask has it. Preemption is off; time passes. */
struct ts_cpumask *ts_kvm_pv_defer(struct ts_task *self, const struct ts_cpumask *mask,
                                   const struct ts_flush_info *info,
                                   ts_kvm_pv_deferred_fn *deferred);

/* kvm_flush_tlb_multi: defers, and flushes the rest natively. */
void ts_kvm_pv_flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                           struct ts_flush_info *info, struct ts_shootdown_record *record);

/* The rows of these statistics, for a state that begins with them. */
#define TS_KVM_PV_STAT(f, h)                                                                       \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct ts_kvm_pv_state, f), "1", h                           \
    }
#define TS_KVM_PV_STATS                                                                            \
    TS_KVM_PV_STAT(examined, "targets whose preempted byte was read"),                             \
        TS_KVM_PV_STAT(deferred, "targets left to flush at their next entry"),                     \
        TS_KVM_PV_STAT(cmpxchg_failed,                                                             \
                       "targets whose byte changed under the compare-and-exchange"),               \
        TS_KVM_PV_STAT(interrupted, "targets not reported as preempted"),                          \
        TS_KVM_PV_STAT(merged, "deferred, and another flush was to be done at that entry already")
#define TS_KVM_PV_RULE                                                                             \
    {                                                                                              \
        "each examined target goes one way",                                                       \
        {                                                                                          \
            "+examined", "-deferred", "-cmpxchg_failed", "-interrupted"                            \
        }                                                                                          \
    }

#ifdef __cplusplus
}
#endif
#endif
