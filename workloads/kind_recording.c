/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/recording.h"

static enum ts_status create(struct ts_workload **out, const struct ts_workload_config *config,
                             struct ts_error *err)
{
    return ts_recording_create(out, config, NULL, err);
}

static const char *const placement_names[] = {"scheduler", "recorded", NULL};

static const struct ts_param rows[] = {
    TS_RECORDING_ROWS,
    {"touch_recorded", TS_PARAM_BOOL, TS_RECORDING_AT(touch_recorded), 1, 0, 1, NULL,
     "page faults of the recording are replayed as touches; beside them touch_pages is best 0",
     TS_RECORDING_CHOICE},
    {"placement", TS_PARAM_ENUM, TS_RECORDING_AT(placement), TS_STRACE_PLACEMENT_SCHEDULER, 0, 1,
     placement_names,
     "scheduler: threads run where the guest's scheduler puts them; recorded: each stays on the "
     "CPU "
     "where it was recorded first, modulo the guest's number of CPUs, if the recording tells",
     TS_RECORDING_CHOICE},
};
static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_recording;
const struct ts_workload_kind ts_workload_kind_recording = {
    {"recording", "replays the memory calls, and page faults, of a recording of any known format",
     "formats: workloads/trace_format.h; `tlbstorm list traces`", &table,
     sizeof(struct ts_strace_params), true},
    create};
