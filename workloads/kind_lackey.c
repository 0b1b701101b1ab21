/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/access_replay.h"

static enum ts_status create(struct ts_workload **out, const struct ts_workload_config *config,
                             struct ts_error *err)
{
    return ts_access_replay_create(out, config, ts_trace_format_find("lackey"), err);
}

extern const struct ts_workload_kind ts_workload_kind_lackey;
const struct ts_workload_kind ts_workload_kind_lackey = {
    {"lackey", "replays the memory accesses recorded by valgrind's Lackey",
     "valgrind 3.19, lackey/lk_main.c; grammar in workloads/lackey.h", &ts_access_replay_params,
     sizeof(struct ts_lackey_params), true},
    create};
