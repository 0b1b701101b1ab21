/* SPDX-License-Identifier: Apache-2.0 */
/* Global ASIDs (arch/x86/mm/tlb.c, 6.15 and later; x86.md 5.2): an address space that flushes often
 * and runs on several CPUs at once gets an ASID that all CPUs use for it, so that hardware can be
 * told what to invalidate elsewhere. What INVLPGB and RAR have in common of them. */
#ifndef TS_MODELS_FLUSH_GLOBAL_ASID_H
#define TS_MODELS_FLUSH_GLOBAL_ASID_H

#include "models/flush/flush.h"
#include "models/guest/lock/spinlock.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TS_GLOBAL_ASIDS_MAX = 4094 }; /* MAX_ASID_AVAILABLE: 2^12 less two */

/* Begins the mechanism's own parameters. */
struct ts_global_asid_params {
    uint64_t promote_cpus;   /* more CPUs than this: a global ASID */
    uint64_t promote_sample; /* of this many flushes one asks */
    uint64_t asids;          /* MAX_ASID_AVAILABLE */
};

/* Begins the mechanism's own state. */
struct ts_global_asids {
    uint64_t asid_promotions, asid_rollovers, asid_exhausted, transition_ipis, transitions_ended,
        stragglers;
    struct ts_spinlock lock; /* global_asid_lock; what follows is under it */
    uint64_t used[TS_GLOBAL_ASIDS_MAX / 64 + 1], freed[TS_GLOBAL_ASIDS_MAX / 64 + 1];
    uint64_t last, available;
};

/* Is the loaded ASID a global one; and has the loaded address space one that is not loaded
 * (mm_needs_global_asid)? No time passes. */
bool ts_global_asid_loaded(const struct ts_guest_cpu *gc);
bool ts_global_asid_wanted(const struct ts_guest_cpu *gc);

/* Whether the parameters can be (TS_ERR_USER: the key that cannot), and the empty table. */
enum ts_status ts_global_asids_init(struct ts_guest *g, struct ts_error *err);
/* consider_global_asid, after a flush by interrupts: asks in one jiffy of promote_sample, another
 * one for each task. flush_all makes every translation die on all CPUs, kernel pages apart; it is
 * called under the lock, before numbers are handed out again, with interrupts off if irq_off (6.15:
 * raw_spinlock_irqsave; the RAR series takes the lock with interrupts on). */
void ts_global_asid_consider(struct ts_task *self, struct ts_mm *mm,
                             void (*flush_all)(struct ts_task *self), bool irq_off);
/* finish_asid_transition: while a CPU runs the address space on an ASID of its own, hardware does
 * not reach what it holds, and all are told. */
void ts_global_asid_finish_transition(struct ts_task *self, struct ts_flush_info *info,
                                      struct ts_shootdown_record *record);
/* flush_tlb_func: changes to the global ASID if the loaded address space has one. Interrupts are
 * off. */
void ts_global_asid_change(struct ts_task *self);
/* ts_flush_ops.same_mm and mm_exit (mm_free_global_asid: the number is free again after the next
 * rollover). */
enum ts_same_mm ts_global_asid_same_mm(const struct ts_guest_cpu *gc);
void ts_global_asid_mm_exit(struct ts_mm *mm);

/* Rows for a parameter struct and a state that begin with the above. */
#define TS_GLOBAL_ASID_PARAM(k, f, d, lo, hi, h, s)                                                \
    {                                                                                              \
        k, TS_PARAM_COUNT, offsetof(struct ts_global_asid_params, f), d, lo, hi, NULL, h, s,       \
            TS_CONF_VERBATIM                                                                       \
    }
#define TS_GLOBAL_ASID_PARAMS                                                                      \
    TS_GLOBAL_ASID_PARAM("promote_cpus", promote_cpus, 3, 0, UINT32_MAX,                           \
                         "an address space that runs on more CPUs than this gets a global ASID",   \
                         "Linux 6.15 and later, arch/x86/mm/tlb.c consider_global_asid"),          \
        TS_GLOBAL_ASID_PARAM("promote_sample", promote_sample, 32, 1, UINT32_MAX,                  \
                             "a task asks in one jiffy of so many; 1: after each flush by "        \
                             "interrupts",                                                         \
                             "Linux 6.15 and later, arch/x86/mm/tlb.c consider_global_asid"),      \
        TS_GLOBAL_ASID_PARAM("asids", asids, 2046, 2, TS_GLOBAL_ASIDS_MAX,                         \
                             "ASIDs of a CPU, those for its own use included: 2046 in kernels "    \
                             "built with PTI, else 4094",                                          \
                             "Linux arch/x86/mm/tlb.c MAX_ASID_AVAILABLE")
#define TS_GLOBAL_ASID_STAT(f, h)                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct ts_global_asids, f), "1", h                           \
    }
#define TS_GLOBAL_ASID_STATS                                                                       \
    TS_GLOBAL_ASID_STAT(asid_promotions, "address spaces that got a global ASID"),                 \
        TS_GLOBAL_ASID_STAT(                                                                       \
            asid_rollovers,                                                                        \
            "flushes of all CPUs because the global ASIDs had been handed out once"),              \
        TS_GLOBAL_ASID_STAT(asid_exhausted,                                                        \
                            "address spaces that got none because there was none"),                \
        TS_GLOBAL_ASID_STAT(                                                                       \
            transition_ipis,                                                                       \
            "broadcasts that had to interrupt as well: a CPU was on its own ASID"),                \
        TS_GLOBAL_ASID_STAT(transitions_ended,                                                     \
                            "address spaces all of whose CPUs have come to the global ASID"),      \
        TS_GLOBAL_ASID_STAT(stragglers,                                                            \
                            "CPUs that changed to the global ASID because of an interrupt")

#ifdef __cplusplus
}
#endif
#endif
