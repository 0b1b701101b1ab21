/* SPDX-License-Identifier: Apache-2.0 */
/* What the workloads `accesses` and `lackey` share: all of it but the format. */
#ifndef TS_WORKLOADS_ACCESS_REPLAY_H
#define TS_WORKLOADS_ACCESS_REPLAY_H

#include "workloads/trace_format.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of struct ts_lackey_params. */
extern const struct ts_param_table ts_access_replay_params;
/* format: NULL for what the text is recognised as. */
enum ts_status ts_access_replay_create(struct ts_workload **out,
                                       const struct ts_workload_config *config,
                                       const struct ts_trace_format *format, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
