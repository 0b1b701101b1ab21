/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of calls where a recording gives them as the kernel has them: by place or by name. */
#ifndef TS_WORKLOADS_TRACE_ARGS_H
#define TS_WORKLOADS_TRACE_ARGS_H

#include "workloads/strace_lex.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One argument of a system call, by its place, 0 the first; `name` as the kernel's prototype has it
 * ("len", "old_len") or of no length. False for one that nothing here needs. */
struct ts_trace_arg {
    const char *name;
    enum ts_lex_flag_set set;
    bool is_flags;
    uint64_t *wide; /* where it goes; */
    uint32_t *narrow;
};
bool ts_trace_arg_at(struct ts_strace_record *r, uint32_t place, struct ts_trace_arg *out);
bool ts_trace_arg_named(struct ts_strace_record *r, const char *name, size_t len,
                        struct ts_trace_arg *out);
/* How many arguments of the call are of use, at most. */
uint32_t ts_trace_arg_count(enum ts_strace_call call);
/* Its value so far. */
uint64_t ts_trace_arg_value(const struct ts_trace_arg *a);

/* Reads the argument's value: a number, "(nil)", NULL, or names of flags. */
bool ts_trace_arg_read(struct ts_lex *x, struct ts_strace_record *r, const struct ts_trace_arg *a);

/* "name: value, name: value" as the kernel and perf trace print them, up to x->end. Names that
 * nothing here needs are passed over; what is not there stays 0. */
bool ts_trace_named_args(struct ts_lex *x);

/* A result as the kernel returns it: the last 4095 numbers are errors. */
void ts_trace_set_result(struct ts_strace_record *r, uint64_t value);

#ifdef __cplusplus
}
#endif
#endif
