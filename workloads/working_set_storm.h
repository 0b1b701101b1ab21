/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `working_set_storm`: threads of one process that use the same pages over and over
 * and, between, give a few pages back and take them again. What a flush takes from a TLB beyond
 * those few must be walked for again, so that the TLB's size and the flush's width both show in the
 * completion time; mmap_storm, which never comes back to a page, hardly shows either.
 *
 * Thread 0 starts the others and ends. Thread t maps region t - 1, touches every page once, then in
 * each round looks at it `sweeps` times, and gives back `drop_pages` pages: of the set itself, from
 * a place that moves on from round to round (madvise_dontneed), or of a mapping beside it that is
 * made, touched and unmapped in that round (munmap; regions from `threads` on). */
#ifndef TS_WORKLOADS_WORKING_SET_STORM_H
#define TS_WORKLOADS_WORKING_SET_STORM_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_working_set_order {
    TS_WORKING_SET_RANDOM = 0,    /* each touch draws its page, with repetition */
    TS_WORKING_SET_SEQUENTIAL = 1 /* first to last */
};

enum ts_working_set_unmap { TS_WORKING_SET_MUNMAP = 0, TS_WORKING_SET_MADVISE = 1 };

struct ts_working_set_storm_params {
    uint64_t threads; /* beside thread 0 */
    uint64_t rounds;
    uint64_t pages;  /* of each thread's set */
    uint64_t sweeps; /* a round; one is as many touches as there are pages */
    uint64_t order;  /* enum ts_working_set_order */
    uint64_t write;
    uint64_t unmap; /* enum ts_working_set_unmap */
    uint64_t drop_pages;
};

#ifdef __cplusplus
}
#endif
#endif
