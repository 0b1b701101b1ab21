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

/* smp_call_function_many_cond with wait: remote part for every CPU of mask that cond (may be NULL)
 * lets through, local call of local_fn (may be NULL) between sending and waiting. Preemption is
 * off. record: may be NULL. */
void ts_smp_call_many(struct ts_task *self, const struct ts_cpumask *mask, ts_call_cond *cond,
                      ts_call_fn *fn, void *arg, ts_call_fn *local_fn,
                      struct ts_shootdown_record *record);
/* The interrupt, entry and exit included: runs what is queued for this CPU. raised: when it
 * arrived.
 */
void ts_smp_call_handle(struct ts_task *self, ts_time raised);

#ifdef __cplusplus
}
#endif
#endif
