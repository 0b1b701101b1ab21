/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of trace events as perf script and ftrace print them. Both have
 *
 *   COMM THREAD [CPU] SECONDS.FRACTION: EVENT: FIELDS
 *
 * where COMM may hold anything, so a line is read from its time to both sides. perf script has
 * "TID" or "PID/TID" for the thread, may leave out the CPU, and may put a period before the event
 * ("1 page-faults:"); ftrace has "COMM-TID", perhaps "(TGID)", and flags behind the CPU.
 */
#ifndef TS_WORKLOADS_KERNEL_EVENTS_H
#define TS_WORKLOADS_KERNEL_EVENTS_H

#include "workloads/trace_format.h"

#ifdef __cplusplus
extern "C" {
#endif

/* False, with out->why and out->column, for a line that is no event and cannot be passed over. */
bool ts_kernel_event_parse(const char *line, size_t len, bool ftrace, struct ts_strace_record *out);
/* Whether the line is such an event, and one of those that a replay uses. */
enum ts_trace_fit ts_kernel_event_fit(const char *line, size_t len, bool ftrace);

#ifdef __cplusplus
}
#endif
#endif
