/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-CPU function calls: smp_call_function_many_cond and its handler (kernel/smp.c; x86.md
 * 2.3), with the stamps from which a shootdown's critical path is read. */
#ifndef TS_MODELS_GUEST_SMP_CALL_H
#define TS_MODELS_GUEST_SMP_CALL_H

#include "models/guest/coherence/csd.h"
#include "models/guest/coherence/record.h"
#include "sim/cpumask.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_guest_cpu;

/* Is the CPU to be called? Charges self for what it reads of the CPU. */
typedef bool ts_call_cond(struct ts_task *self, struct ts_guest_cpu *cpu, void *arg);

/* --- a call in its steps, for mechanisms that make one of their own --- */
/* What smp_call_function_many_cond keeps on its stack. The order is begin; prepare, by ascending
 * target; queue and send, by the initiator or from a function that the call runs on another CPU;
 * wait; account; end. The initiator's preemption is off from begin to end. */
struct ts_smp_call {
    struct ts_task *self; /* the initiator */
    struct ts_csd *csds;  /* prepared, by ascending target (call_next) */
    struct ts_csd **tail;
    uint32_t ntargets;         /* prepared */
    ts_time started, off_mark; /* at begin: the time, and the initiator's not-running clock */
};

void ts_smp_call_begin(struct ts_smp_call *call, struct ts_task *self);
/* Takes and locks the csd of the initiator and target, which is not the initiator. Time passes. If
 * memory is short the run ends with an error, and this does not return. */
struct ts_csd *ts_smp_call_prepare(struct ts_smp_call *call, struct ts_guest_cpu *target,
                                   ts_call_fn *fn, void *arg);
/* Puts a prepared csd into its target's queue (llist_add). True: the queue was empty, so that the
 * target must be sent an interrupt. Time passes; each csd is queued once, by whomever. */
bool ts_smp_call_queue(struct ts_task *self, struct ts_csd *csd);
/* Interrupts the targets that self has queued first and not sent to yet; returns their number. */
uint32_t ts_smp_call_send(struct ts_task *self, struct ts_smp_call *call);
/* csd_lock_wait for all: every function has run. Interrupts are on (two CPUs may call each other).
 * All csds have been queued, or will be by functions of the call. */
void ts_smp_call_wait(struct ts_smp_call *call);
/* Adds the targets and the path of the acknowledgement that came last, from begin to now, to the
 * record.
 * local_start, local_end: what the initiator did itself between sending and waiting. */
void ts_smp_call_account(const struct ts_smp_call *call, struct ts_shootdown_record *record,
                         ts_time local_start, ts_time local_end);
/* Gives the csds back. */
void ts_smp_call_end(struct ts_smp_call *call);

/* --- the whole --- */
struct ts_call {
    ts_call_fn *fn;
    void *arg;             /* of all that is named here */
    ts_call_cond *cond;    /* NULL: every CPU of the mask */
    ts_call_fn *local;     /* by self, between sending and waiting; NULL: nothing */
    ts_call_take_fn *take; /* not NULL: each target acknowledges before fn (csd.h) */
};
/* smp_call_function_many_cond with wait, for every CPU of mask but self. Preemption is off. record:
 * may be NULL; gains the number of targets and the path. 6.17 does not look for acknowledgements
 * where nothing was queued, which costs nothing here in any version. */
void ts_smp_call_many(struct ts_task *self, const struct ts_cpumask *mask,
                      const struct ts_call *what, struct ts_shootdown_record *record);
/* The interrupt, entry and exit included: runs what is queued for this CPU. raised: when it
 * arrived.
 */
void ts_smp_call_handle(struct ts_task *self, ts_time raised);

#ifdef __cplusplus
}
#endif
#endif
