/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/kernel_events.h"

static enum ts_trace_fit fit(const char *line, size_t len)
{
    return ts_kernel_event_fit(line, len, false);
}

static bool call(void *state, const char *line, size_t len, struct ts_strace_record *out)
{
    (void)state;
    return ts_kernel_event_parse(line, len, false, out);
}

extern const struct ts_trace_format ts_trace_format_perf_script;
const struct ts_trace_format ts_trace_format_perf_script = {
    .name = "perf_script",
    .summary = "text of perf script",
    .reference = "perf 6.1, tools/perf/builtin-script.c; grammar in workloads/kernel_events.h",
    .near_hint = "record syscalls:sys_enter_mmap, sys_exit_mmap and the like of munmap, mprotect, "
                 "madvise, mremap and brk, and exceptions:page_fault_user (docs/recording.md)",
    .family = TS_TRACE_CALLS,
    .fit = fit,
    .call = call};
