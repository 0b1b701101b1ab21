/* SPDX-License-Identifier: Apache-2.0 */
/* What the version of a kernel decides, as one table: of a guest's (models/guest/core) and of a
 * host's (models/hypervisor). A parameter names the version; whoever reads a configuration
 * (sim/front) takes from the table each parameter that nothing sets by itself. The models look at
 * the parameters only, never at the version.
 *
 * A version stands for its last stable release: what was put back into a long-term series (6.1,
 * 6.6, 6.12) counts as there. */
#ifndef TS_MODELS_ABI_LINUX_VERSION_H
#define TS_MODELS_ABI_LINUX_VERSION_H

#include "sim/param.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_version_rule {
    const char *key;   /* of a parameter, with its table's prefix */
    const char *since; /* the first version with this value, up to the key's next row */
    const char *value; /* as ts_param_parse reads it */
    const char *source;
    enum ts_confidence confidence; /* of the version, mostly */
};

/* The rows of a scheduler under a prefix, the same for both kernels; sorted by key. */
#define TS_VERSION_SCHED_RULES(prefix)                                                             \
    {prefix ".idle_scan", "4.14", "prop",                                                          \
     "P. Zijlstra, sched/core: Implement new approach to scale select_idle_cpu()",                 \
     TS_CONF_REMEMBERED},                                                                          \
        {prefix ".idle_scan", "6.0", "util",                                                       \
         "Chen Yu, sched/fair: Introduce SIS_UTIL to search idle CPU based on sum of util_avg",    \
         TS_CONF_REMEMBERED},                                                                      \
        {prefix ".idle_scan", "6.1", "util",                                                       \
         "kernel/sched/features.h SIS_UTIL, read in 6.1 and 6.12", TS_CONF_VERBATIM},              \
        {prefix ".latency", "4.14", "24ms",                                                        \
         "kernel/sched/fair.c: 6 ms, times 4 on 8 CPUs or more (read in 6.1)", TS_CONF_VERBATIM},  \
        {prefix ".min_granularity", "4.14", "3ms",                                                 \
         "kernel/sched/fair.c: 0.75 ms, times 4 on 8 CPUs or more (read in 6.1)",                  \
         TS_CONF_VERBATIM},                                                                        \
        {prefix ".newidle_min_idle", "4.14", "500us",                                              \
         "kernel/sched/fair.c idle_balance: sysctl_sched_migration_cost", TS_CONF_REMEMBERED},     \
        {prefix ".newidle_min_idle", "5.16", "0",                                                  \
         "V. Guittot, sched/fair: Remove sysctl_sched_migration_cost condition",                   \
         TS_CONF_REMEMBERED},                                                                      \
        {prefix ".newidle_min_idle", "6.1", "0",                                                   \
         "kernel/sched/fair.c newidle_balance, read in 6.1 and 6.12", TS_CONF_VERBATIM},           \
        {prefix ".policy", "4.14", "cfs", "kernel/sched/fair.c before 6.6 (read in 6.1)",          \
         TS_CONF_VERBATIM},                                                                        \
        {prefix ".policy", "6.6", "eevdf", "P. Zijlstra, sched/fair: EEVDF", TS_CONF_REMEMBERED},  \
        {prefix ".policy", "6.12", "eevdf", "kernel/sched/fair.c pick_eevdf, read in 6.12",        \
         TS_CONF_VERBATIM},                                                                        \
        {prefix ".slice", "6.6", "3ms",                                                            \
         "kernel/sched/fair.c sysctl_sched_base_slice: 0.75 ms, times 4 on 8 CPUs or more",        \
         TS_CONF_REMEMBERED},                                                                      \
        {prefix ".slice", "6.12", "2.8ms",                                                         \
         "kernel/sched/fair.c sysctl_sched_base_slice: 0.70 ms, times 4 on 8 CPUs or more",        \
         TS_CONF_VERBATIM},                                                                        \
    {                                                                                              \
        prefix ".wakeup_granularity", "4.14", "4ms",                                               \
            "kernel/sched/fair.c: 1 ms, times 4 on 8 CPUs or more (read in 6.1)", TS_CONF_VERBATIM \
    }

struct ts_version_table {
    const char *key; /* of the parameter that names a version: "guest.linux" */
    /* Its enum_names, NULL-ended: versions, the oldest first, perhaps after names that are none and
     * for which no rule holds. A version is an index of this list. */
    const char *const *names;
    /* By key, each key's rows by version from the oldest that is known, or from where the parameter
     * begins to matter. A row may repeat the value of the one before: from there on it has been
     * read. */
    const struct ts_version_rule *rules;
    size_t nrules;
};

/* A user error names the nearest version that is known, or if text is no version those that are. */
enum ts_status ts_version_parse(const struct ts_version_table *table, const char *text,
                                uint64_t *version, struct ts_error *err);
/* What the version says of the parameter; NULL: nothing. */
const struct ts_version_rule *ts_version_rule_of(const struct ts_version_table *table,
                                                 uint64_t version, const char *key);

#ifdef __cplusplus
}
#endif
#endif
