/* SPDX-License-Identifier: Apache-2.0 */
/* What policies share whose queue is in order of arrival and whose tasks have a fixed quantum, a
 * slice: hooks of ts_sched_ops (sched.h says what each does), and the end of the quantum. */
#ifndef TS_MODELS_CPU_FIFO_H
#define TS_MODELS_CPU_FIFO_H

#include "models/cpu/sched.h"

void ts_fifo_enqueue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                     struct ts_sched_entity *e, bool wakeup);
void ts_fifo_dequeue(struct ts_runqueue *rq, struct ts_sched_entity *curr,
                     struct ts_sched_entity *e);
void ts_fifo_charge(struct ts_runqueue *rq, struct ts_sched_entity *curr, uint64_t delta);
uint64_t ts_fifo_quantum(const struct ts_sched_params *params);
/* Has e, which runs, had its quantum since its CPU switched to it? */
bool ts_fifo_quantum_is_over(const struct ts_runqueue *rq, const struct ts_sched_entity *e);

#endif
