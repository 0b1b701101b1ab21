/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `lackey`: replays the memory accesses that valgrind's tool Lackey prints with
 * --trace-mem=yes, as one thread; `accesses` does the same with every format of accesses that
 * trace_format.h knows, and a record of several accesses is as many access lines.
 *
 * The recorded address space is cut into chunks of 1 GiB. A chunk is mapped, as one region at its
 * recorded address, when the first access falls in it. An access becomes one touch for each 64-byte
 * line that it lies in, the first at its own address and the others at the line's beginning, so one
 * that crosses pages touches both. Touches of one kind that follow each other at one distance are
 * one operation.
 *
 * What cannot be read is counted and left out; with `strict` it is an error.
 *
 * After `warmup` access lines comes barrier 0 of one thread, also when `warmup` is 0: what is
 * measured starts behind it. */
#ifndef TS_WORKLOADS_LACKEY_H
#define TS_WORKLOADS_LACKEY_H

#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_LACKEY_REGION_BITS 30u
#define TS_LACKEY_REGION_BYTES (UINT64_C(1) << TS_LACKEY_REGION_BITS)
/* User addresses of all recorded architectures end here (arm64 with 48 bits). */
#define TS_LACKEY_ADDRESS_BITS 48u
/* Lackey's own limits are 512 (lackey/lk_main.c MAX_DSIZE) and an instruction's length. */
#define TS_LACKEY_SIZE_MAX UINT64_C(4096)
/* Access lines kept for `repeat`, 8 bytes each: a byte source cannot be read twice. */
#define TS_LACKEY_KEEP_MAX (UINT64_C(1) << 26)

enum ts_lackey_kind {
    TS_LACKEY_FETCH = 0,
    TS_LACKEY_LOAD = 1,
    TS_LACKEY_STORE = 2,
    TS_LACKEY_MODIFY = 3, /* a load, then a store */
    TS_LACKEY_KINDS = 4
};

struct ts_lackey_record {
    enum ts_lackey_kind kind;
    uint64_t address;
    uint64_t size;
};

enum ts_lackey_line { TS_LACKEY_ACCESS, TS_LACKEY_OTHER, TS_LACKEY_BAD };

/* One line without its newline; a carriage return at its end is passed over. An access line begins
 * with "I  ", " L ", " S " or " M "; then come the address in hexadecimal, a comma and the size in
 * decimal. Lines that begin otherwise are of something else: valgrind's own begin with ==, the
 * program's may be among them. For BAD *column (1-based) and *why say what is wrong. */
enum ts_lackey_line ts_lackey_parse(const char *line, size_t len, struct ts_lackey_record *out,
                                    uint32_t *column, const char **why);

struct ts_lackey_params {
    uint64_t instructions;
    uint64_t limit;
    uint64_t repeat;
    uint64_t warmup;
    uint64_t strict;
};

struct ts_lackey_counts {
    uint64_t lines[TS_LACKEY_KINDS]; /* access lines read, by kind */
    uint64_t other_lines;
    uint64_t cut_lines; /* a last line that is cut off: ignored */
    uint64_t bad_lines; /* begin as an access and go on otherwise: ignored; an error if strict */
    uint64_t first_bad; /* number of the first of these, or 0 */
    uint64_t regions;
};

/* What has been seen so far. w is of the kind `lackey` or `accesses`. */
const struct ts_lackey_counts *ts_lackey_workload_counts(const struct ts_workload *w);

#ifdef __cplusplus
}
#endif
#endif
