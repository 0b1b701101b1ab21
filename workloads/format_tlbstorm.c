/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/own_trace.h"

#include <string.h>

static bool call(void *state, const char *line, size_t len, struct ts_strace_record *out)
{
    (void)state;
    return ts_own_trace_parse(line, len, out);
}

static enum ts_trace_fit fit(const char *line, size_t len)
{
    struct ts_strace_record r;
    if (len == strlen(TS_OWN_TRACE_CALLS) && memcmp(line, TS_OWN_TRACE_CALLS, len) == 0)
        return TS_TRACE_FIT_YES;
    if (!ts_own_trace_parse(line, len, &r) || r.kind == TS_STRACE_NOTE)
        return TS_TRACE_FIT_NO;
    return TS_TRACE_FIT_YES;
}

extern const struct ts_trace_format ts_trace_format_tlbstorm;
const struct ts_trace_format ts_trace_format_tlbstorm = {
    .name = "tlbstorm",
    .summary = "tlbstorm's own text of calls",
    .reference = "workloads/own_trace.h",
    .near_hint = "its lines are in workloads/own_trace.h",
    .family = TS_TRACE_CALLS,
    .fit = fit,
    .call = call};
