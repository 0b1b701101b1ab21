/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `mprotect_loop`: threads of one process, each of which takes the right to write to
 * its own pages away and gives it back, and writes them, over and over. Each call, a record,
 * flushes on every CPU that runs the process, in both directions (linux
 * arch/x86/include/asm/tlbflush.h pte_flags_need_flush).
 *
 * Thread 0 starts the others and ends; thread t has region t. */
#ifndef TS_WORKLOADS_MPROTECT_LOOP_H
#define TS_WORKLOADS_MPROTECT_LOOP_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_mprotect_loop_params {
    uint64_t threads; /* beside thread 0 */
    uint64_t pages;   /* of each thread */
    uint64_t rounds;  /* of each thread; 0: without end */
    ts_time stagger;  /* each thread first computes for a random time up to this */
};

#ifdef __cplusplus
}
#endif
#endif
