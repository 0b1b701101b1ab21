/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that takes the right to write to its own pages away and gives it back, over and over,
 * and writes them between, so that each call finds translations that it must flush. */
#ifndef TS_WORKLOADS_MPROTECT_LOOPER_H
#define TS_WORKLOADS_MPROTECT_LOOPER_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_mprotect_step {
    TS_MPROTECT_START,
    TS_MPROTECT_MAP,
    TS_MPROTECT_WRITE,
    TS_MPROTECT_FORBID,
    TS_MPROTECT_ALLOW,
    TS_MPROTECT_EXIT,
    TS_MPROTECT_OVER
};

/* Zero-initialise but for what is marked. */
struct ts_mprotect_looper {
    uint64_t pages;    /* given */
    uint64_t rounds;   /* given: of two calls each; 0: without end */
    uint64_t start_ns; /* given: computes for so long first */
    bool records;      /* given: each call is a record */
    enum ts_mprotect_step step;
    uint64_t done;
};

/* The next operation, as of ts_storm_worker_fn; its memory is region. */
int ts_mprotect_looper_next(struct ts_mprotect_looper *l, uint32_t region, struct ts_op *op);

#ifdef __cplusplus
}
#endif
#endif
