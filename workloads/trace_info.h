/* SPDX-License-Identifier: Apache-2.0 */
/* What a recording holds: for `tlbstorm trace info`. */
#ifndef TS_WORKLOADS_TRACE_INFO_H
#define TS_WORKLOADS_TRACE_INFO_H

#include "sim/stats.h"
#include "workloads/strace_replay.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_STRACE_INFO_NAMES 256u
#define TS_STRACE_INFO_NAME_MAX 32u

/* Calls of one name, understood or not. */
struct ts_strace_info_call {
    char name[TS_STRACE_INFO_NAME_MAX];
    uint64_t count;
};

struct ts_strace_info {
    struct ts_strace_counts counts;
    uint64_t operations; /* what a simulation would replay, touches and think time not included */
    uint64_t span_ns;
    uint64_t call_names;
    uint64_t calls_not_named;                               /* of names beyond the room for them */
    struct ts_strace_info_call calls[TS_STRACE_INFO_NAMES]; /* by name */
};

/* The rows of struct ts_strace_info other than calls. */
extern const struct ts_stat_table ts_strace_info_stats;

/* Reads the whole source and closes it, also on failure. strict: what cannot be read is an error.
 */
enum ts_status ts_strace_info_read(struct ts_strace_info *out, const struct ts_byte_source *source,
                                   bool strict, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
