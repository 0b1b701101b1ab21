/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of bytes in a temporary file, for queues that would grow with the length of a trace. Each
 * chain is first-in first-out; all chains of a workload share the file, which grows by all that is
 * ever written, and which the system removes when it is closed or the process ends. */
#ifndef TS_WORKLOADS_OP_SPILL_H
#define TS_WORKLOADS_OP_SPILL_H

#include "sim/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a block at most. */
enum { TS_OP_SPILL_BLOCK = 16368 };

/* Zero-initialised: there is no file yet. */
struct ts_op_spill {
    FILE *file;
    uint64_t slots; /* handed out */
};

/* Zero-initialised is empty. */
struct ts_op_spill_chain {
    uint64_t read_slot, write_slot;
    uint64_t blocks; /* written and not read yet */
};

void ts_op_spill_fini(struct ts_op_spill *s);
/* TS_ERR_ENVIRONMENT: no temporary file can be made (TMPDIR is not looked at: tmpfile), or the disk
 * is full. bytes: 1 to TS_OP_SPILL_BLOCK. */
enum ts_status ts_op_spill_write(struct ts_op_spill *s, struct ts_op_spill_chain *c,
                                 const unsigned char *block, size_t bytes, struct ts_error *err);
/* The oldest block of a chain that has one; block has room for TS_OP_SPILL_BLOCK. */
enum ts_status ts_op_spill_read(struct ts_op_spill *s, struct ts_op_spill_chain *c,
                                unsigned char *block, size_t *bytes, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
