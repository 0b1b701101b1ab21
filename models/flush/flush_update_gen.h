/* SPDX-License-Identifier: Apache-2.0 */
/* The idea of the kvm-flush-tlb-multi thread, for any mechanism whose flushes are made by the
 * hypervisor: write the target's tlb_gen afterwards, so that it does not flush once more. It was
 * never posted as a patch; the rule is that of x86.md 5.4, with its caveats. The price is a
 * transfer of each target's cpu_tlbstate, which since Linux 5.13 is a line of its own CPU only. */
#ifndef TS_MODELS_FLUSH_UPDATE_GEN_H
#define TS_MODELS_FLUSH_UPDATE_GEN_H

#include "models/flush/flush.h"
#include "models/guest/coherence/assisted.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_update_gen_params {
    uint64_t update; /* enum ts_update_gen */
    uint64_t atomic;
};

struct ts_update_gen_stats {
    uint64_t considered, updated, lost, behind, no_slot; /* considered = the other four */
    uint64_t update_ps;
};

/* target, self's own CPU perhaps, has been flushed as info says, or will be before it executes
 * anything. Preemption is off; time passes. */
void ts_update_gen(struct ts_task *self, struct ts_guest_cpu *target,
                   const struct ts_flush_info *info, const struct ts_update_gen_params *params,
                   struct ts_update_gen_stats *stats);

extern const char *const ts_update_gen_names[];
/* Rows for a parameter struct that begins with, and a statistics struct that holds, the above. */
#define TS_UPDATE_GEN_PARAMS(default_mode)                                                         \
    {"update_gen",                                                                                 \
     TS_PARAM_ENUM,                                                                                \
     offsetof(struct ts_update_gen_params, update),                                                \
     default_mode,                                                                                 \
     0,                                                                                            \
     2,                                                                                            \
     ts_update_gen_names,                                                                          \
     "flushes after which a target's tlb_gen is written. full_and_partial: those of a range too, " \
     "if the target had missed none before",                                                       \
     "thread kvm-flush-tlb-multi, A. Lutomirski, 25 June 2019",                                    \
     TS_CONF_CHOICE},                                                                              \
    {                                                                                              \
        "update_atomic", TS_PARAM_BOOL, offsetof(struct ts_update_gen_params, atomic), 1, 0, 1,    \
            NULL,                                                                                  \
            "ctx_id is compared and tlb_gen written in one step; off: a plain store, which loses " \
            "a flush if the slot is given to another address space in between",                    \
            "thread kvm-flush-tlb-multi: check that the ctx_id still matches", TS_CONF_CHOICE      \
    }
#define TS_UPDATE_GEN_STAT(type, member, f, unit, h)                                               \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct type, member.f), unit, h                              \
    }
#define TS_UPDATE_GEN_STATS(type, member)                                                          \
    TS_UPDATE_GEN_STAT(type, member, considered, "1",                                              \
                       "targets whose generation was to be written"),                              \
        TS_UPDATE_GEN_STAT(type, member, updated, "1", "generations written"),                     \
        TS_UPDATE_GEN_STAT(type, member, lost, "1",                                                \
                           "compare-and-exchanges that found the slot changed"),                   \
        TS_UPDATE_GEN_STAT(type, member, behind, "1",                                              \
                           "targets that had missed a generation before a flush of a range: not "  \
                           "written"),                                                             \
        TS_UPDATE_GEN_STAT(type, member, no_slot, "1",                                             \
                           "targets that were switching, or held the address space in no slot"),   \
        TS_UPDATE_GEN_STAT(type, member, update_ps, "ps",                                          \
                           "time of initiators for reading and writing generations")
#define TS_UPDATE_GEN_RULE                                                                         \
    {                                                                                              \
        "each target considered goes one way",                                                     \
        {                                                                                          \
            "+considered", "-updated", "-lost", "-behind", "-no_slot"                              \
        }                                                                                          \
    }

#ifdef __cplusplus
}
#endif
#endif
