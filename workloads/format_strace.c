/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/trace_format.h"

/* A whole call, or one of the two halves: what stands there without one may be of anything. */
static enum ts_trace_fit fit(const char *line, size_t len)
{
    struct ts_strace_record r;
    if (len >= 3 && line[0] == '\xef' && line[1] == '\xbb' && line[2] == '\xbf') {
        line += 3;
        len -= 3;
    }
    if (!ts_strace_parse(line, len, &r) && !ts_strace_parse_prefixed(line, len, &r))
        return r.kind == TS_STRACE_OPEN ? TS_TRACE_FIT_NEAR : TS_TRACE_FIT_NO;
    switch (r.kind) {
    case TS_STRACE_CALL:
    case TS_STRACE_UNFINISHED:
    case TS_STRACE_RESUMED:
    case TS_STRACE_CUT:
        return TS_TRACE_FIT_YES;
    case TS_STRACE_EXITED:
    case TS_STRACE_SIGNAL:
        return TS_TRACE_FIT_NEAR;
    default:
        return TS_TRACE_FIT_NO;
    }
}

extern const struct ts_trace_format ts_trace_format_strace;
const struct ts_trace_format ts_trace_format_strace = {
    .name = "strace",
    .summary = "text of strace",
    .reference = "strace 6.1, strace(1); grammar in workloads/strace_parse.h",
    .near_hint = "no system call in it is whole; record with strace -f -ttt -T -o FILE -e "
                 "trace=%memory,clone,clone3,fork,vfork,execve,exit,exit_group",
    .family = TS_TRACE_CALLS,
    .fit = fit};
