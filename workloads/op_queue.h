/* SPDX-License-Identifier: Apache-2.0 */
/* A first-in first-out queue of operations, packed: the zero fields of an operation take no room
 * and the others a byte for every seven bits. A thread that waits for the end of a trace (the one
 * that joins the others) makes the reader keep everything before it, so the room matters. */
#ifndef TS_WORKLOADS_OP_QUEUE_H
#define TS_WORKLOADS_OP_QUEUE_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialised is empty. */
struct ts_op_queue {
    unsigned char *buf;
    size_t cap;
    size_t begin;
    size_t end;
};

void ts_op_queue_fini(struct ts_op_queue *q);
bool ts_op_queue_empty(const struct ts_op_queue *q);
/* op->thread is not kept. */
enum ts_status ts_op_queue_push(struct ts_op_queue *q, const struct ts_op *op,
                                struct ts_error *err);
/* Not empty. op->thread is 0 then. */
void ts_op_queue_pop(struct ts_op_queue *q, struct ts_op *op);

#ifdef __cplusplus
}
#endif
#endif
