/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `mmap_storm`: threads of one process that map memory, touch some of its pages, and
 * unmap it, with a short random sleep between, over and over. It is the program of
 * workloads/traces/README.md without the recording: thread 0 is its main, which starts the
 * others. */
#ifndef TS_WORKLOADS_MMAP_STORM_H
#define TS_WORKLOADS_MMAP_STORM_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_mmap_storm_placement {
    TS_MMAP_STORM_STRIDED = 0, /* one operation over the whole mapping */
    TS_MMAP_STORM_RANDOM = 1   /* each page drawn by itself, with repetition */
};

enum ts_mmap_storm_unmap {
    TS_MMAP_STORM_MUNMAP = 0,
    TS_MMAP_STORM_MADVISE = 1 /* maps once, drops the pages each round, unmaps at the end */
};

/* What neighbours do to a thread's mapping before they unmap their own. In round r thread t, when
 * it has touched its own pages, touches those of threads t + 1 to t + sharers, counted on past the
 * last to thread 1, in their mappings of round r. It waits where one has not been made yet: nobody
 * waits in a round before its own mapping of that round is there, so somebody can always go on, and
 * no thread is a round ahead of its neighbours. It does not find one that is gone again. */
enum ts_mmap_storm_sharing {
    TS_MMAP_STORM_NONE = 0,
    TS_MMAP_STORM_READ = 1,
    TS_MMAP_STORM_WRITE = 2
};

struct ts_mmap_storm_params {
    uint64_t threads; /* beside thread 0 */
    uint64_t rounds;
    uint64_t pages;
    uint64_t touch_pages;
    uint64_t placement;
    uint64_t write;
    uint64_t unmap;
    uint64_t sleep_min;
    uint64_t sleep_max;
    uint64_t start_stagger;
    uint64_t sharing; /* enum ts_mmap_storm_sharing */
    uint64_t sharers; /* counts with sharing only */
    uint64_t vfree;   /* bytes of kernel memory given back after each unmap; 0: none */
};

#ifdef __cplusplus
}
#endif
#endif
