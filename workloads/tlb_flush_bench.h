/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `tlb_flush_bench`: will-it-scale's tlb_flush2 with threads (A. Blanchard,
 * tests/tlb_flush2.c). Each thread maps memory of its own and goes over it page by page: it writes
 * the page, drops it with MADV_DONTNEED, and reads it, which finds the zero page. One such turn is
 * an iteration; the drop is a flush of one page on every CPU that runs the process. Then the thread
 * unmaps and maps again.
 *
 * Thread 0 starts the others and ends. Thread t names its mappings by regions (t - 1) * passes and
 * on, where a pass is as many iterations as there are pages. */
#ifndef TS_WORKLOADS_TLB_FLUSH_BENCH_H
#define TS_WORKLOADS_TLB_FLUSH_BENCH_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_tlb_flush_bench_params {
    uint64_t threads;    /* beside thread 0 */
    uint64_t pages;      /* of each thread's mapping */
    uint64_t iterations; /* of each thread */
    ts_time stagger;     /* each thread first computes for a random time up to this */
};

#ifdef __cplusplus
}
#endif
#endif
