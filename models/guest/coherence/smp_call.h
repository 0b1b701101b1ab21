/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-CPU function calls: smp_call_function_many_cond and its handler (kernel/smp.c; x86.md
 * 2.3), with the stamps from which a shootdown's critical path is read. */
#ifndef TS_MODELS_GUEST_SMP_CALL_H
#define TS_MODELS_GUEST_SMP_CALL_H

#include "models/guest/coherence/record.h"
#include "sim/cpumask.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One call-single-data, of the pair (initiator, target). Stamps serve the critical path. */
struct ts_guest_cpu;
typedef void ts_call_fn(struct ts_task *self, void *arg);
struct ts_csd {
    struct ts_csd *next;
    ts_call_fn *fn;
    void *arg;
    bool locked;
    bool sync;
    struct ts_line line;
    struct ts_task *waiter;
    ts_time sent, raised, entered, started, finished, released;
    ts_time not_running_mark, host_mark; /* the target's clocks when sent */
    ts_time not_running_ps, host_ps;     /* of the target, between sent and entered */
    struct ts_cpu *initiator;
    uint64_t flow;          /* of the timeline */
    ts_time initiator_mark; /* the initiator's not-running clock when sent */
    ts_time initiator_done; /* the same when the function had finished */
};

/* smp_call_function_many_cond with wait: remote part for every CPU of mask that cond (may be NULL)
 * lets through, local call of local_fn (may be NULL) between sending and waiting. Preemption is
 * off. record: may be NULL. */
void ts_smp_call_many(struct ts_task *self, const struct ts_cpumask *mask,
                      bool (*cond)(struct ts_guest_cpu *cpu, void *arg), ts_call_fn *fn, void *arg,
                      ts_call_fn *local_fn, struct ts_shootdown_record *record);
/* The interrupt, entry and exit included: runs what is queued for this CPU. raised: when it
 * arrived.
 */
void ts_smp_call_handle(struct ts_task *self, ts_time raised);

#ifdef __cplusplus
}
#endif
#endif
