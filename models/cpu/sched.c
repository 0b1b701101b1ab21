/* SPDX-License-Identifier: Apache-2.0 */
/* Run-queue lists, and the parameters of the host's and the guest's scheduler. */
#include "models/cpu/sched.h"

#include <stdio.h>
#include <string.h>

#include "models/cpu/sched_table.h"
#include "sim/clock.h"

void ts_rq_insert_before(struct ts_runqueue *rq, struct ts_sched_entity *pos,
                         struct ts_sched_entity *e)
{
    TS_ASSERT(!e->queued && (!pos || pos->queued));
    e->next = pos;
    e->prev = pos ? pos->prev : rq->tail;
    if (e->prev)
        e->prev->next = e;
    else
        rq->head = e;
    if (pos)
        pos->prev = e;
    else
        rq->tail = e;
    e->queued = true;
    rq->nr++;
    rq->load += ts_se_weight(e);
}

void ts_rq_remove(struct ts_runqueue *rq, struct ts_sched_entity *e)
{
    TS_ASSERT(e->queued && rq->nr > 0);
    if (e->prev)
        e->prev->next = e->next;
    else
        rq->head = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        rq->tail = e->prev;
    e->next = NULL;
    e->prev = NULL;
    e->queued = false;
    rq->nr--;
    rq->load -= ts_se_weight(e);
    ts_rq_clear_marks(rq, e);
}

void ts_rq_set_weight(struct ts_runqueue *rq, struct ts_sched_entity *e, uint64_t weight)
{
    if (e->queued)
        rq->load += weight - ts_se_weight(e);
    e->weight = weight;
}

void ts_rq_clear_marks(struct ts_runqueue *rq, const struct ts_sched_entity *e)
{
    if (rq->next == e)
        rq->next = NULL;
    if (rq->last == e)
        rq->last = NULL;
    if (rq->skip == e)
        rq->skip = NULL;
}

void ts_rq_set_next(struct ts_runqueue *rq, struct ts_sched_entity *e)
{
    TS_ASSERT(e->queued);
    rq->next = e;
}

void ts_rq_shift(const struct ts_runqueue *from, const struct ts_runqueue *to,
                 struct ts_sched_entity *e)
{
    uint64_t shift = to->min_vruntime - from->min_vruntime;

    TS_ASSERT(!e->queued);
    e->vruntime += shift;
    e->deadline += shift;
}

const struct ts_sched_ops *ts_sched_find(const char *name)
{
    for (size_t i = 0; i < ts_sched_table_count; i++) {
        if (strcmp(ts_sched_table[i]->name, name) == 0)
            return ts_sched_table[i];
    }
    return NULL;
}

/* --- what ticks leave for work --- */

enum { PPM = 1000000 };

enum ts_status ts_sched_check(const struct ts_sched_params *params,
                              const struct ts_param_table *table, uint64_t core_hz,
                              struct ts_tick_cost cost, uint64_t *taken_ppm, struct ts_error *err)
{
    struct ts_clock clock;
    char tick[32], hz[32];

    if (params->policy >= ts_sched_table_count)
        return ts_error_set(err, TS_ERR_USER, "%s.policy: there is no policy %llu", table->prefix,
                            (unsigned long long)params->policy);
    if (params->group != TS_GROUP_NONE && !ts_sched_table[params->policy]->reweight)
        return ts_error_set(
            err, TS_ERR_USER,
            "%s.group is vm, but %s.policy %s schedules no groups; cfs and eevdf do", table->prefix,
            table->prefix, ts_sched_table[params->policy]->name);
    ts_clock_init(&clock, core_hz);
    uint64_t quantum = ts_sched_table[params->policy]->quantum(params);
    uint64_t ticks = quantum > params->tick_ps ? (quantum + params->tick_ps - 1) / params->tick_ps
                                               : 1; /* from one preemption to the next */
    uint64_t taken =
        ts_clock_cycle_time(&clock, cost.tick_cycles) +
        ts_clock_cycle_time(&clock, cost.switch_cycles + params->switch_cycles) / ticks;
    *taken_ppm += taken * PPM / params->tick_ps;
    if (*taken_ppm < PPM)
        return TS_OK;
    ts_param_format(ts_param_find(table, "tick"), params->tick_ps, tick, sizeof(tick));
    (void)snprintf(hz, sizeof(hz), "%llu MHz", (unsigned long long)(core_hz / 1000000));
    return ts_error_set(err, TS_ERR_USER,
                        "%s.tick is %s, which can leave no time for work: at topology.core_hz of "
                        "%s ticks and the context switches at them may take %llu %% of a CPU",
                        table->prefix, tick, hz, (unsigned long long)(*taken_ppm / (PPM / 100)));
}

/* --- parameters --- */

static const char *const idle_scan_names[] = {"all", "prop", "util", NULL};

/* The rows that host and guest share; the two differ in what a switch costs. */
#define SCHED_ROWS(switch_default, switch_help, switch_source, factor, factor_source, factor_conf) \
    {"policy",                                                                                     \
     TS_PARAM_ENUM,                                                                                \
     offsetof(struct ts_sched_params, policy),                                                     \
     TS_SCHED_TABLE_EEVDF,                                                                         \
     0,                                                                                            \
     TS_SCHED_TABLE_LAST,                                                                          \
     ts_sched_table_names,                                                                         \
     "scheduling policy",                                                                          \
     "Linux 6.6 replaced CFS by EEVDF; KVM PV TLB flush was measured under CFS (4.15)",            \
     TS_CONF_CHOICE},                                                                              \
        {"tick",                                                                                   \
         TS_PARAM_TIME,                                                                            \
         offsetof(struct ts_sched_params, tick_ps),                                                \
         4 * TS_MS,                                                                                \
         100 * TS_US,                                                                              \
         100 * TS_MS,                                                                              \
         NULL,                                                                                     \
         "period of the scheduler tick: a running task is preempted at ticks only",                \
         "HZ=250 of distribution kernels; HRTICK is off (Linux 6.12 kernel/sched/features.h)",     \
         TS_CONF_REMEMBERED},                                                                      \
        {"latency",                                                                                \
         TS_PARAM_TIME,                                                                            \
         offsetof(struct ts_sched_params, latency_ps),                                             \
         24 * TS_MS,                                                                               \
         TS_US,                                                                                    \
         10 * TS_S,                                                                                \
         NULL,                                                                                     \
         "cfs: period in which every runnable task runs once",                                     \
         "Linux 6.1 kernel/sched/fair.c: 6 ms, times 4 on 8 CPUs or more",                         \
         TS_CONF_VERBATIM},                                                                        \
        {"min_granularity",                                                                        \
         TS_PARAM_TIME,                                                                            \
         offsetof(struct ts_sched_params, min_granularity_ps),                                     \
         3 * TS_MS,                                                                                \
         TS_NS,                                                                                    \
         10 * TS_S,                                                                                \
         NULL,                                                                                     \
         "cfs: shortest slice, however many tasks are runnable",                                   \
         "Linux 6.1 kernel/sched/fair.c: 0.75 ms, times 4 on 8 CPUs or more",                      \
         TS_CONF_VERBATIM},                                                                        \
        {"wakeup_granularity",                                                                     \
         TS_PARAM_TIME,                                                                            \
         offsetof(struct ts_sched_params, wakeup_granularity_ps),                                  \
         4 * TS_MS,                                                                                \
         0,                                                                                        \
         10 * TS_S,                                                                                \
         NULL,                                                                                     \
         "cfs: lead in virtual time that a woken task needs to preempt",                           \
         "Linux 6.1 kernel/sched/fair.c: 1 ms, times 4 on 8 CPUs or more",                         \
         TS_CONF_VERBATIM},                                                                        \
        {"slice",                                                                                  \
         TS_PARAM_TIME,                                                                            \
         offsetof(struct ts_sched_params, slice_ps),                                               \
         2800 * TS_US,                                                                             \
         TS_US,                                                                                    \
         10 * TS_S,                                                                                \
         NULL,                                                                                     \
         "eevdf: base slice; rr, gang: quantum",                                                   \
         "Linux 6.12 kernel/sched/fair.c: 0.70 ms, times 4 on 8 CPUs or more",                     \
         TS_CONF_VERBATIM},                                                                        \
        {"credit",                                                                                 \
         TS_PARAM_TIME,                                                                            \
         offsetof(struct ts_sched_params, credit_ps),                                              \
         10 * TS_MS,                                                                               \
         TS_MS,                                                                                    \
         10 * TS_S,                                                                                \
         NULL,                                                                                     \
         "credit2: what everybody is given when nobody has any left; also the longest time that "  \
         "one runs while others wait",                                                             \
         "Xen xen/common/sched/credit2.c CSCHED2_CREDIT_INIT, CSCHED2_MAX_TIMER",                  \
         TS_CONF_VERBATIM},                                                                        \
        {"ratelimit",                                                                              \
         TS_PARAM_TIME,                                                                            \
         offsetof(struct ts_sched_params, ratelimit_ps),                                           \
         TS_MS,                                                                                    \
         100 * TS_US,                                                                              \
         500 * TS_MS,                                                                              \
         NULL,                                                                                     \
         "credit2: who has run for less keeps the CPU",                                            \
         "Xen sched_ratelimit_us, 1000 by default, 100 to 500000",                                 \
         TS_CONF_REMEMBERED},                                                                      \
        {"switch",                                                                                 \
         TS_PARAM_CYCLES,                                                                          \
         offsetof(struct ts_sched_params, switch_cycles),                                          \
         switch_default,                                                                           \
         0,                                                                                        \
         10000000,                                                                                 \
         NULL,                                                                                     \
         switch_help,                                                                              \
         switch_source,                                                                            \
         TS_CONF_REMEMBERED},                                                                      \
        {"wakeup",                                                                                 \
         TS_PARAM_CYCLES,                                                                          \
         offsetof(struct ts_sched_params, wakeup_cycles),                                          \
         1000,                                                                                     \
         0,                                                                                        \
         10000000,                                                                                 \
         NULL,                                                                                     \
         "try_to_wake_up on the waker's side, without the reschedule IPI",                         \
         "estimate",                                                                               \
         TS_CONF_GUESS},                                                                           \
        {"balance_factor",                                                                         \
         TS_PARAM_COUNT,                                                                           \
         offsetof(struct ts_sched_params, balance_factor),                                         \
         factor,                                                                                   \
         0,                                                                                        \
         1000,                                                                                     \
         NULL,                                                                                     \
         "cfs, eevdf: a busy CPU balances every so many ms for each CPU of the domain (of its "    \
         "core, of its socket, of all); 0: it does not",                                           \
         factor_source,                                                                            \
         factor_conf},                                                                             \
        {"newidle_min_idle",                                                                       \
         TS_PARAM_TIME,                                                                            \
         offsetof(struct ts_sched_params, newidle_min_idle_ps),                                    \
         0,                                                                                        \
         0,                                                                                        \
         10 * TS_S,                                                                                \
         NULL,                                                                                     \
         "a CPU that idles for less on average pulls no task before it idles",                     \
         "Linux 6.12 kernel/sched/fair.c newidle_balance has no such limit, but the cost of the "  \
         "search, which is not modelled",                                                          \
         TS_CONF_VERBATIM},                                                                        \
        {"idle_scan",                                                                              \
         TS_PARAM_ENUM,                                                                            \
         offsetof(struct ts_sched_params, idle_scan),                                              \
         TS_IDLE_SCAN_UTIL,                                                                        \
         0,                                                                                        \
         TS_IDLE_SCAN_UTIL,                                                                        \
         idle_scan_names,                                                                          \
         "cfs, eevdf: of the CPUs of a socket, a wake-up looks at all for an idle one, at as "     \
         "many as pay in time that its own CPU idles (prop), at fewer the more are busy (util)",   \
         "Linux 6.12 kernel/sched/fair.c select_idle_cpu, features.h SIS_UTIL",                    \
         TS_CONF_VERBATIM},                                                                        \
        {"idle_scan_cost",                                                                         \
         TS_PARAM_CYCLES,                                                                          \
         offsetof(struct ts_sched_params, idle_scan_cycles),                                       \
         100,                                                                                      \
         0,                                                                                        \
         1000000,                                                                                  \
         NULL,                                                                                     \
         "idle_scan prop: what looking at one CPU counts for; it is not charged beside wakeup",    \
         "estimate: a line of another CPU's run queue",                                            \
         TS_CONF_GUESS},                                                                           \
    {                                                                                              \
        "migration_cost", TS_PARAM_TIME, offsetof(struct ts_sched_params, migration_cost_ps),      \
            500 * TS_US, 0, 10 * TS_S, NULL,                                                       \
            "another CPU does not pull a task that ran less than this ago",                        \
            "Linux 6.12 kernel/sched/fair.c sysctl_sched_migration_cost", TS_CONF_VERBATIM         \
    }

static const char *const group_names[] = {"none", "vm", NULL};

static const struct ts_param host_rows[] = {
    SCHED_ROWS(6500, "context switch on a pCPU, without what loading a vCPU costs",
               "vCPU to vCPU switch of 2 to 3 us on Skylake-SP, taken at 2.6 GHz", 16,
               "Linux 6.12 kernel/sched/topology.c sd_init: busy_factor", TS_CONF_VERBATIM),
    {"group", TS_PARAM_ENUM, offsetof(struct ts_sched_params, group), TS_GROUP_NONE, 0, TS_GROUP_VM,
     group_names,
     "vm: the vCPUs of each VM are one control group (cpu.shares), which competes with the others "
     "as one; none: every vCPU competes by itself",
     "setting", TS_CONF_CHOICE}};
static const struct ts_param guest_rows[] = {
    SCHED_ROWS(1500, "context switch between threads, without switching the address space",
               "about 0.6 us between threads on Skylake-SP, taken at 2.6 GHz", 0,
               "0 is a setting; sd_init of Linux 6.12 has 16", TS_CONF_CHOICE),
    {"avoid_preempted", TS_PARAM_BOOL, offsetof(struct ts_sched_params, avoid_preempted), 1, 0, 1,
     NULL, "no wake-up goes to an idle vCPU of which the host says that it is preempted",
     "Linux 6.12 kernel/sched/core.c available_idle_cpu", TS_CONF_VERBATIM}};

const struct ts_param_table ts_host_sched_param_table = {"host_sched", host_rows,
                                                         TS_ARRAY_LEN(host_rows)};
const struct ts_param_table ts_guest_sched_param_table = {"guest_sched", guest_rows,
                                                          TS_ARRAY_LEN(guest_rows)};
