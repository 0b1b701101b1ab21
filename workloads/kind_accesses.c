/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/access_replay.h"

static enum ts_status create(struct ts_workload **out, const struct ts_workload_config *config,
                             struct ts_error *err)
{
    return ts_access_replay_create(out, config, NULL, err);
}

extern const struct ts_workload_kind ts_workload_kind_accesses;
const struct ts_workload_kind ts_workload_kind_accesses = {
    {"accesses", "replays recorded memory accesses of one thread, of any known format",
     "formats: workloads/trace_format.h; `tlbstorm list traces`", &ts_access_replay_params,
     sizeof(struct ts_lackey_params), true},
    create};
