/* SPDX-License-Identifier: Apache-2.0 */
/* A study drives one model by itself, without guests or an operating system: the MMU under a stream
 * of accesses, the interconnect under synthetic traffic. Experiments name one by `study: NAME`
 * instead of mechanisms; machine files, sweeps, seeds, and results are the same as those of whole
 * machines.
 *
 * One file a study, study_<name>.c in this folder, exporting `const struct ts_study_ops
 * ts_study_<name>`; the registration table is made of them. */
#ifndef TS_MODELS_STUDY_H
#define TS_MODELS_STUDY_H

#include "models/machine/machine.h"
#include "sim/param.h"
#include "sim/stats.h"
#include "workloads/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What people read: a ratio of counters. Written to summary.csv for every point, with its
 * confidence interval over seeds, and to the printed table in this order. */
struct ts_study_column {
    const char *name;        /* of the metric, as in summary.csv */
    const char *unit;        /* "ratio", "cycles", "1" .. */
    const char *numerator;   /* key of a counter of `stats` */
    const char *denominator; /* or NULL: the counter itself. 0 there: the value is 0 */
    const char *help;
    bool in_table; /* printed too */
};

struct ts_study_input {
    const struct ts_machine_config *config;
    const void *params;           /* of the study; NULL if it has none */
    struct ts_workload *workload; /* NULL if needs_workload is false; not owned */
    uint64_t seed;
};

struct ts_study_ops {
    const char *name;
    const char *summary;
    const char *reference;
    const struct ts_param_table *params; /* prefix: the study's name; may be NULL */
    size_t params_size;
    bool needs_workload;
    const struct ts_stat_table *stats; /* of the study's counters: what run fills; all fields are
                                          counters, with the study's sum rules */
    size_t stats_size;
    const struct ts_study_column *columns;
    size_t ncolumns;
    /* User errors only, before any run. */
    enum ts_status (*check)(const struct ts_machine_config *config, const void *params,
                            struct ts_error *err);
    /* counters is zeroed; visit (may be NULL) is called for further tables of models (mmu, cache).
     * A failed sum rule is TS_ERR_FINDING. */
    enum ts_status (*run)(const struct ts_study_input *in, void *counters,
                          ts_machine_stat_fn *visit, void *user, struct ts_error *err);
};

/* Sorted by name. */
extern const struct ts_study_ops *const ts_study_table[];
extern const size_t ts_study_table_count;
const struct ts_study_ops *ts_study_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
