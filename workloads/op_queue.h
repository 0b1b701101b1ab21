/* SPDX-License-Identifier: Apache-2.0 */
/* A first-in first-out queue of operations, packed: the zero fields of an operation take no room
 * and the others a byte for every seven bits. A thread that waits for the end of a trace (the one
 * that joins the others) makes the reader keep everything before it; beyond TS_OP_QUEUE_KEEPS that
 * goes to a temporary file, so that memory does not grow with the trace. */
#ifndef TS_WORKLOADS_OP_QUEUE_H
#define TS_WORKLOADS_OP_QUEUE_H

#include "workloads/op_spill.h"
#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes in memory, before what comes behind them is written to the file: some thousand operations.
 */
enum { TS_OP_QUEUE_KEEPS = 32768 };

/* Zero-initialised is empty. */
struct ts_op_queue {
    struct ts_op_spill *spill; /* the owner's, set before the first push; NULL: all is kept */
    unsigned char *buf;        /* the oldest operations */
    size_t cap;
    size_t begin;
    size_t end;
    struct ts_op_spill_chain chain; /* behind them */
    unsigned char *back;            /* and the latest, of one block */
    size_t back_bytes;
};

void ts_op_queue_fini(struct ts_op_queue *q);
bool ts_op_queue_empty(const struct ts_op_queue *q);
/* op->thread is not kept. TS_ERR_ENVIRONMENT: no memory, or ts_op_spill_write. */
enum ts_status ts_op_queue_push(struct ts_op_queue *q, const struct ts_op *op,
                                struct ts_error *err);
/* Not empty. op->thread is 0 then. TS_ERR_ENVIRONMENT as above. */
enum ts_status ts_op_queue_pop(struct ts_op_queue *q, struct ts_op *op, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
