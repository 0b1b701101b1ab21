/* SPDX-License-Identifier: Apache-2.0 */
/* What the storms share: thread 0 starts the workers, threads 1 to n, then ends. A main that sleeps
 * in pthread_join does nothing either. */
#ifndef TS_WORKLOADS_STORM_THREADS_H
#define TS_WORKLOADS_STORM_THREADS_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_STORM_PAGE UINT64_C(4096)

struct ts_storm;

/* The next operation of worker thread, from 1; *op has its thread and is 0 otherwise. 0: none. */
typedef int ts_storm_worker_fn(struct ts_storm *s, uint32_t thread, struct ts_op *op);
/* The next operation of thread 0 before it starts the others; 0: there is none, and *op is as it
 * was. */
typedef int ts_storm_prelude_fn(struct ts_storm *s, struct ts_op *op);

/* The head of a storm's own struct. */
struct ts_storm {
    struct ts_workload base; /* first */
    ts_storm_worker_fn *worker;
    ts_storm_prelude_fn *prelude; /* NULL: none, or it is over */
    uint64_t threads;             /* workers */
    uint64_t pause_ns;            /* computation of the main thread between two starts */
    uint32_t spawned;
    bool paused;
    bool main_over;
};

/* A storm of bytes in all, zero behind the head; base.destroy frees it. */
enum ts_status ts_storm_create(struct ts_storm **out, size_t bytes, uint64_t threads,
                               uint64_t pause_ns, ts_storm_worker_fn *worker, struct ts_error *err);
/* Makes op the mapping of pages, anonymous, readable and writable. */
void ts_storm_map(struct ts_op *op, uint64_t pages);

#ifdef __cplusplus
}
#endif
#endif
