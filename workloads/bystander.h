/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `bystander`: threads that read their own memory and compute, and never call the
 * kernel, beside threads of another process that flush (mprotect_looper.h). How much of their work
 * they get done tells what other processes' invalidations take from a CPU that they do not concern:
 * nothing where they are interrupts for the CPUs that run the process, something where they are
 * broadcast.
 *
 * Thread 0 starts the loopers, threads 1 to loopers, in its own process, then thread loopers + 1 in
 * a process of its own, and ends; that one starts the other bystanders. Thread t has region t. A
 * bystander's record is one reading of all its pages and the computation after it. */
#ifndef TS_WORKLOADS_BYSTANDER_H
#define TS_WORKLOADS_BYSTANDER_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_bystander_params {
    uint64_t threads; /* bystanders */
    uint64_t pages;   /* of each bystander */
    ts_time compute;  /* of each record */
    uint64_t records; /* of each bystander; 0: without end */
    uint64_t loopers;
    uint64_t looper_pages;
    uint64_t looper_rounds; /* of each looper; 0: without end */
};

#ifdef __cplusplus
}
#endif
#endif
