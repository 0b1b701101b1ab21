/* SPDX-License-Identifier: Apache-2.0 */
/* What a recording holds: for `tlbstorm trace`. */
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

/* What happens to a stretch of memory, and how many are of 0, 1, 2-3, 4-7, ... pages. */
enum ts_trace_what { TS_TRACE_UNMAPPED, TS_TRACE_PROTECTED, TS_TRACE_ADVISED, TS_TRACE_WHATS };
#define TS_TRACE_PAGE_BUCKETS 54u

/* A recording of calls. */
struct ts_strace_info {
    struct ts_strace_counts counts;
    uint64_t operations; /* what a simulation would replay, touches and think time not included */
    uint64_t span_ns;
    uint64_t pages[TS_TRACE_WHATS][TS_TRACE_PAGE_BUCKETS];
    uint64_t last_call; /* index of the last one counted */
    uint64_t call_names;
    uint64_t calls_not_named;                               /* of names beyond the room for them */
    struct ts_strace_info_call calls[TS_STRACE_INFO_NAMES]; /* by name */
};

/* One of accesses. */
struct ts_access_info {
    struct ts_lackey_counts counts;
    uint64_t accesses;
    uint64_t lowest; /* addresses */
    uint64_t highest;
};

/* The rows of struct ts_strace_info other than calls, and of struct ts_access_info. */
extern const struct ts_stat_table ts_strace_info_stats;
extern const struct ts_stat_table ts_access_info_stats;

struct ts_trace_info {
    const struct ts_trace_format *format;
    struct ts_strace_info calls; /* if it is of calls, else */
    struct ts_access_info accesses;
};

/* How it is read. Zero-initialised: everything as it comes. */
struct ts_trace_reading {
    const struct ts_trace_format *format; /* NULL: what it is recognised as */
    bool strict;                          /* what cannot be read is an error */
    uint64_t records; /* not 0: stops after so many records that `text` was called for */
    /* NULL, or: called with every record or access line as own_trace.h has it, without a newline.
     */
    enum ts_status (*text)(void *user, const char *line, size_t len, struct ts_error *err);
    void *user;
};

/* Reads the whole source and closes it, also on failure. */
enum ts_status ts_trace_info_read(struct ts_trace_info *out, const struct ts_byte_source *source,
                                  const struct ts_trace_reading *how, struct ts_error *err);
/* The same of a recording of calls, strace's for one. */
enum ts_status ts_strace_info_read(struct ts_strace_info *out, const struct ts_byte_source *source,
                                   bool strict, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
