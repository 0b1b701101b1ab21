/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `access_stream`: threads that each make a stream of memory accesses of one pattern.
 *
 * Thread 0 maps and touches the memory, starts the other threads, and takes part itself. Each
 * thread makes `warmup` data accesses, meets the others at barrier 0, makes `accesses` more, and
 * ends. The barrier is always there, also without a warm-up: what is measured starts behind it.
 *
 * Data is region 0 for all threads, or region t for thread t; code is the region after the last of
 * data. The addresses below are part of the contract, so that studies that follow TS_OPF_AT are
 * repeatable; all regions start at a multiple of 1 GiB, so any page size fits. */
#ifndef TS_WORKLOADS_ACCESS_STREAM_H
#define TS_WORKLOADS_ACCESS_STREAM_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_ACCESS_STREAM_CODE_AT (UINT64_C(1) << 30)
#define TS_ACCESS_STREAM_DATA_AT (UINT64_C(1) << 40)
/* Regions of threads with a footprint of their own are this far apart: the footprint, rounded up to
 * a multiple of it. */
#define TS_ACCESS_STREAM_ALIGN (UINT64_C(1) << 30)
/* All data together ends below 2^47, the end of the lower half of 4-level tables. */
#define TS_ACCESS_STREAM_DATA_MAX (UINT64_C(1) << 46)
#define TS_ACCESS_STREAM_PAGE UINT64_C(4096)
#define TS_ACCESS_STREAM_LINE UINT64_C(64)
/* Accesses in one operation: whoever takes operations of threads in turn is not held up by one. */
#define TS_ACCESS_STREAM_BATCH UINT64_C(512)

enum ts_access_pattern {
    TS_ACCESS_SEQUENTIAL = 0, /* every line, from the lowest, over and over */
    TS_ACCESS_STRIDED = 1,    /* the same with `stride` instead of a line */
    TS_ACCESS_RANDOM = 2,     /* pages uniformly */
    TS_ACCESS_ZIPF = 3,       /* pages by rank, the ranks scattered over the footprint */
    TS_ACCESS_CHASE = 4,      /* pages in one random cycle, as a linked list */
    TS_ACCESS_GUPS = 5,       /* random words, each read, then written */
    TS_ACCESS_PHASES = 6      /* pages uniformly in a window that jumps */
};

/* Which line of a page is accessed, where the pattern chooses pages. */
enum ts_access_line {
    TS_ACCESS_LINE_FIRST = 0,
    TS_ACCESS_LINE_PAGE = 1, /* each page has its own, always the same */
    TS_ACCESS_LINE_RANDOM = 2
};

struct ts_access_stream_params {
    uint64_t threads;
    uint64_t shared;
    uint64_t footprint;
    uint64_t accesses;
    uint64_t warmup;
    uint64_t pattern;
    uint64_t stride;
    uint64_t zipf_exponent;
    uint64_t working_set;
    uint64_t phase_accesses;
    uint64_t write_percent;
    uint64_t line;
    uint64_t prefault;
    uint64_t code_footprint;
    uint64_t code_lines;
    uint64_t code_run;
};

#ifdef __cplusplus
}
#endif
#endif
