/* SPDX-License-Identifier: Apache-2.0 */
/* What the guests of the Hyper-V flush hypercalls share: an input block under construction in the
 * CPU's input page (hyperv_pcpu_input_arg), the call, and what is counted of it. */
#ifndef TS_MODELS_FLUSH_HYPERV_H
#define TS_MODELS_FLUSH_HYPERV_H

#include "models/flush/flush.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Begins the mechanism's own state. */
struct ts_hv_flush_calls {
    uint64_t hypercalls, list_calls, space_calls, ex_calls; /* hypercalls: list or space */
    uint64_t fast_calls;
    uint64_t native_fallbacks; /* flushes */
};

struct ts_hv_block {
    uint8_t *page; /* of the CPU whose interrupts are off */
    uint32_t bytes;
    bool registers; /* the call has what fits there in registers instead */
};

/* How a call names its processors. */
enum ts_hv_form { TS_HV_FORM_ALL, TS_HV_FORM_MASK, TS_HV_FORM_EX };

/* The form for these, of all the guest's: EX if one is above VP 63. A VP's number is its CPU's. */
enum ts_hv_form ts_hv_form_of(const struct ts_cpumask *set);
/* Begins the block. Of a sparse set banks of 64 VPs from bank 0 to that of the last, empty ones
 * included (cpumask_to_vpset_skip); returns their number. */
uint32_t ts_hv_put_processors(struct ts_hv_block *b, enum ts_hv_form form,
                              const struct ts_cpumask *set, uint64_t space, uint64_t flags);

/* Appends; what does not fit into the page is a fault of the caller's. */
void ts_hv_put(struct ts_hv_block *b, const void *data, size_t bytes);
/* Makes the call and gives its time to the record's parts, what went by since *mark to SEND. True:
 * the host says success, and the call has been counted. reps 0: the whole space. Interrupts are
 * off. */
bool ts_hv_flush_call(struct ts_task *self, enum ts_hv_form form, uint32_t banks, uint32_t reps,
                      const struct ts_hv_block *b, struct ts_shootdown_record *record,
                      ts_time *mark);

/* By hypercall if `flush` can, with interrupts off, as the input page is the CPU's; else natively,
 * which is counted. */
typedef bool ts_hv_flush_fn(struct ts_task *self, const struct ts_cpumask *cpus,
                            struct ts_flush_info *info, struct ts_shootdown_record *record);
void ts_hv_flush_or_native(struct ts_task *self, const struct ts_cpumask *cpus,
                           struct ts_flush_info *info, struct ts_shootdown_record *record,
                           ts_hv_flush_fn *flush);

/* The rows of these statistics, for a state that begins with them. */
#define TS_HV_CALL_STAT(f, h)                                                                      \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct ts_hv_flush_calls, f), "1", h                         \
    }
#define TS_HV_CALL_STATS                                                                           \
    TS_HV_CALL_STAT(hypercalls, "flush hypercalls"),                                               \
        TS_HV_CALL_STAT(list_calls, "HvFlushVirtualAddressList(Ex)"),                              \
        TS_HV_CALL_STAT(space_calls, "HvFlushVirtualAddressSpace(Ex)"),                            \
        TS_HV_CALL_STAT(ex_calls, "calls with a sparse processor set (more than 64 VPs)"),         \
        TS_HV_CALL_STAT(fast_calls, "calls with their input in registers"),                        \
        TS_HV_CALL_STAT(native_fallbacks,                                                          \
                        "flushes by IPI because the hypercall was not to be had")
#define TS_HV_CALL_RULE                                                                            \
    {                                                                                              \
        "a call is by list or by space",                                                           \
        {                                                                                          \
            "+hypercalls", "-list_calls", "-space_calls"                                           \
        }                                                                                          \
    }

#ifdef __cplusplus
}
#endif
#endif
