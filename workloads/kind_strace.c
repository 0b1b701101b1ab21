/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/recording.h"

static enum ts_status create(struct ts_workload **out, const struct ts_workload_config *config,
                             struct ts_error *err)
{
    return ts_recording_create(out, config, ts_trace_format_find("strace"), err);
}

static const struct ts_param rows[] = {TS_RECORDING_ROWS};
static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_strace;
const struct ts_workload_kind ts_workload_kind_strace = {
    {"strace", "replays the memory calls of an strace text",
     "strace 6.1, strace(1); grammar in workloads/strace_parse.h", &table,
     sizeof(struct ts_strace_params), true},
    create};
