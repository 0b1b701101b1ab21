/* SPDX-License-Identifier: Apache-2.0 */
/* The workloads `recording` and `strace`: replay the memory calls of a recording (strace_replay.h
 * says how its threads and addresses are understood), and add what is not recorded: page touches
 * and the time between calls. `strace` takes the text of strace only, `recording` every format of
 * calls that trace_format.h knows.
 *
 * The text is read only as far as the thread that asks for its next operation needs it, so memory
 * grows with the distance between threads in the text, not with the text. Each thread has random
 * streams of its own, so the operations of a thread do not depend on the order of asking.
 */
#ifndef TS_WORKLOADS_STRACE_H
#define TS_WORKLOADS_STRACE_H

#include "workloads/strace_replay.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_placement { TS_PLACEMENT_STRIDED = 0, TS_PLACEMENT_RANDOM = 1, TS_PLACEMENT_FIRST = 2 };

enum ts_strace_cpus {
    TS_STRACE_PLACEMENT_SCHEDULER = 0,
    TS_STRACE_PLACEMENT_RECORDED = 1 /* threads stay where they were recorded first */
};

enum ts_strace_think {
    TS_STRACE_THINK_NONE = 0,
    TS_STRACE_THINK_RECORDED = 1, /* TS_OP_COMPUTE for the time between two calls */
    TS_STRACE_THINK_SLEEP = 2     /* TS_OP_SLEEP after a munmap of touched memory */
};

struct ts_strace_params {
    uint64_t touch_pages;
    uint64_t touch_placement;
    uint64_t touch_min_length;
    uint64_t touch_write;
    uint64_t think;
    uint64_t think_scale;
    uint64_t think_spread;
    uint64_t sleep_min;
    uint64_t sleep_max;
    uint64_t strict;
    uint64_t lines;          /* read so many at most; 0: all */
    uint64_t touch_recorded; /* of `recording` alone, as the next */
    uint64_t placement;
};

/* What has been seen so far. w is of the kind `strace` or
 * `recording`. */
const struct ts_strace_counts *ts_strace_workload_counts(const struct ts_workload *w);
/* Bytes that wait in the queues of its threads. */
size_t ts_strace_workload_queued(const struct ts_workload *w);

#ifdef __cplusplus
}
#endif
#endif
