/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `unmap_bench`: how long an unmap takes of memory that so many CPUs have used, after
 * the generator of the LATR paper (ASPLOS 2018). Threads of one process meet at a barrier; each
 * touches every page of a mapping, and while they go on running the first of them unmaps it.
 *
 * Thread 0 starts the others and ends. Thread 1 maps region i in iteration i (madvise_dontneed:
 * region 0 once), touches it, and after the barrier waits for half of `hold` before it unmaps.
 * Threads 2 to touchers + 1 touch the region after the barrier and then compute, or sleep, for
 * `hold`, which stands for the spinning at the generator's second barrier and must be longer than
 * what touching and unmapping take. */
#ifndef TS_WORKLOADS_UNMAP_BENCH_H
#define TS_WORKLOADS_UNMAP_BENCH_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_unmap_bench_unmap { TS_UNMAP_BENCH_MUNMAP = 0, TS_UNMAP_BENCH_MADVISE = 1 };
enum ts_unmap_bench_wait { TS_UNMAP_BENCH_SPIN = 0, TS_UNMAP_BENCH_SLEEP = 1 };

struct ts_unmap_bench_params {
    uint64_t touchers; /* threads beside the one that unmaps */
    uint64_t pages;    /* touched by each, all of them unmapped */
    uint64_t iterations;
    uint64_t unmap; /* enum ts_unmap_bench_unmap */
    uint64_t wait;  /* enum ts_unmap_bench_wait, of the touchers while the unmap goes on */
    ts_time hold;
};

#ifdef __cplusplus
}
#endif
#endif
