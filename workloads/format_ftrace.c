/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/kernel_events.h"

static enum ts_trace_fit fit(const char *line, size_t len)
{
    return ts_kernel_event_fit(line, len, true);
}

static bool call(void *state, const char *line, size_t len, struct ts_strace_record *out)
{
    (void)state;
    return ts_kernel_event_parse(line, len, true, out);
}

extern const struct ts_trace_format ts_trace_format_ftrace;
const struct ts_trace_format ts_trace_format_ftrace = {
    .name = "ftrace",
    .summary = "the file trace of tracefs, or the text of trace-cmd report",
    .reference =
        "kernel/trace/trace_output.c trace_print_context, kernel/trace/trace_syscalls.c of "
        "Linux 6.1 and 6.12; grammar in workloads/kernel_events.h",
    .near_hint = "enable events/syscalls/sys_enter_mmap, sys_exit_mmap and the like of munmap, "
                 "mprotect, madvise, mremap and brk, and exceptions/page_fault_user "
                 "(docs/recording.md)",
    .family = TS_TRACE_CALLS,
    .fit = fit,
    .call = call};
