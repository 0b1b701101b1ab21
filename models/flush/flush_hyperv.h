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
};

struct ts_hv_block {
    uint8_t *page; /* of the CPU whose interrupts are off */
    uint32_t bytes;
};

/* Appends; what does not fit into the page is a fault of the caller's. */
void ts_hv_put(struct ts_hv_block *b, const void *data, size_t bytes);
/* Makes the call and gives its time to the record's parts, what went by since *mark to SEND. True:
 * the host says success, and the call has been counted. Interrupts are off. */
bool ts_hv_flush_call(struct ts_task *self, enum ts_hv_call code, uint32_t banks, uint32_t reps,
                      const struct ts_hv_block *b, struct ts_shootdown_record *record,
                      ts_time *mark);

/* The rows of these statistics, for a state that begins with them. */
#define TS_HV_CALL_STAT(f, h)                                                                      \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct ts_hv_flush_calls, f), "1", h                         \
    }
#define TS_HV_CALL_STATS                                                                           \
    TS_HV_CALL_STAT(hypercalls, "flush hypercalls"),                                               \
        TS_HV_CALL_STAT(list_calls, "HvFlushVirtualAddressList(Ex)"),                              \
        TS_HV_CALL_STAT(space_calls, "HvFlushVirtualAddressSpace(Ex)"),                            \
        TS_HV_CALL_STAT(ex_calls, "calls with a sparse processor set (more than 64 VPs)")
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
