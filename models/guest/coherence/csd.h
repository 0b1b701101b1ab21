/* SPDX-License-Identifier: Apache-2.0 */
/* Call-single-data: what one CPU asks another to run (call_single_data_t, kernel/smp.c).
 *
 * The kernel has one for each pair of CPUs, in the target's per-CPU memory, two to a cache line
 * (alloc_percpu of the initiator's cfd_data.csd; 32 bytes each). Here the lines come from a pool
 * that is linear in the number of CPUs: a line that no call has used for a while gives way, which
 * stands for its eviction from the caches (the bound of TS_CSD_LINES_PER_CPU is assumed; machines
 * of up to 128 CPUs never reach it). The pool grows where more lines are in use at once. */
#ifndef TS_MODELS_GUEST_CSD_H
#define TS_MODELS_GUEST_CSD_H

#include "models/guest/core/guest.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TS_CSD_LINES_PER_CPU = 64 };

typedef void ts_call_fn(struct ts_task *self, void *arg);
/* Runs on the target before the acknowledgement, if that comes before the function: returns what
 * the function is then called with, which is the target's own. */
typedef void *ts_call_take_fn(struct ts_task *self, void *arg);

/* Stamps serve the critical path of a shootdown. */
struct ts_csd {
    struct ts_csd *next;      /* in the target's queue */
    struct ts_csd *call_next; /* of the initiator's call, by ascending target */
    uint32_t target;
    ts_call_fn *fn;
    void *arg;
    ts_call_take_fn *take; /* not NULL: the call is acknowledged before fn runs */
    bool locked;
    bool first;                  /* found the queue empty: the call sends an IPI */
    bool unsent;                 /* and has not sent it yet */
    struct ts_guest_cpu *sender; /* who has queued it; NULL: nobody yet */
    struct ts_line *line;
    struct ts_task *waiter;
    ts_time sent, raised, entered, started, finished, released;
    ts_time not_running_mark, host_mark; /* the target's clocks when sent */
    ts_time not_running_ps, host_ps;     /* of the target, between sent and entered */
    struct ts_cpu *initiator;
    uint64_t flow;          /* of the timeline */
    ts_time initiator_mark; /* the initiator's not-running clock when sent */
    ts_time initiator_done; /* the same when the function had finished */
};

struct ts_csd_pool;

enum ts_status ts_csd_pool_create(struct ts_csd_pool **out, struct ts_guest *g,
                                  struct ts_error *err);
void ts_csd_pool_destroy(struct ts_csd_pool *p);
/* The pair's csd, unlocked, which stays until it is put; NULL: out of memory. A pair has one call
 * at a time. */
struct ts_csd *ts_csd_get(struct ts_csd_pool *p, uint32_t initiator, uint32_t target);
void ts_csd_put(struct ts_csd_pool *p, struct ts_csd *csd);
/* Room for the numbers of all CPUs, for a list of targets, until it is put; NULL: out of memory.
 * The pool has as many as have been in use at once. */
uint32_t *ts_csd_ids_get(struct ts_csd_pool *p);
void ts_csd_ids_put(struct ts_csd_pool *p, uint32_t *ids);
/* Lines that the pool holds, for tests. */
uint64_t ts_csd_pool_lines(const struct ts_csd_pool *p);

#ifdef __cplusplus
}
#endif
#endif
