/* SPDX-License-Identifier: Apache-2.0 */
/* The study line_sharing: how long does a line take from core to core, and how does that grow with
 * the number of cores that want it? The line system and the network of the configured machine, CPUs
 * that do nothing else, in the order of their numbers: first threads socket by socket, then second
 * threads. A line's home is in the socket of one of its first two CPUs (transfer: of either in
 * turn). */
#include "models/study/line_sharing.h"

#include <inttypes.h>
#include <stdlib.h>

#define OFFSET(field) offsetof(struct ts_sharing_params, field)
#define CHOICE "setting of the experiment", TS_CONF_CHOICE

static const char *const patterns[] = {"transfer", "writers", "readers", NULL};

static const struct ts_param rows[] = {
    {"pattern", TS_PARAM_ENUM, OFFSET(pattern), TS_SHARING_TRANSFER, 0, 2, patterns,
     "transfer: pairs of CPUs pass the line by compare-and-swap; writers: CPUs do locked "
     "operations "
     "on it back to back; readers: one CPU stores, the others poll",
     CHOICE},
    {"cpus", TS_PARAM_COUNT, OFFSET(cpus), 2, 1, 65536, NULL,
     "writers, or readers beside the one writer", CHOICE},
    {"pairs", TS_PARAM_COUNT, OFFSET(pairs), 64, 1, 1000000, NULL,
     "transfer: pairs of each placement, drawn at random if there are more", CHOICE},
    {"lines", TS_PARAM_COUNT, OFFSET(lines), 4, 1, 1000, NULL,
     "writers, readers: lines with homes of their own, one after the other", CHOICE},
    {"rounds", TS_PARAM_COUNT, OFFSET(rounds), 40, 1, 1000000, NULL,
     "measured transfers of a pair, locked operations a CPU, or stores", CHOICE},
    {"warmup", TS_PARAM_COUNT, OFFSET(warmup), 8, 1, 1000000, NULL, "the same, before them",
     CHOICE},
    {"poll_cycles", TS_PARAM_CYCLES, OFFSET(poll_cycles), 20, 0, 100000, NULL,
     "readers: core cycles from one poll to the next", CHOICE},
};
static const struct ts_param_table params_table = {"line_sharing", rows, TS_ARRAY_LEN(rows)};

#define AT(placement, name, what)                                                                  \
    {name "_pairs", TS_STAT_COUNTER, offsetof(struct ts_sharing_stats, at[placement].pairs), "1",  \
     "pairs: " what},                                                                              \
        {name "_ps", TS_STAT_COUNTER, offsetof(struct ts_sharing_stats, at[placement].ps), "ps",   \
         "of their transfers"},                                                                    \
        {name "_transfers", TS_STAT_COUNTER,                                                       \
         offsetof(struct ts_sharing_stats, at[placement].transfers), "1", "their transfers"},      \
        {name "_transfers_x1000", TS_STAT_COUNTER,                                                 \
         offsetof(struct ts_sharing_stats, at[placement].transfers_x1000), "1",                    \
         "the same times 1000, for ns"},                                                           \
        {name "_min_ps", TS_STAT_COUNTER, offsetof(struct ts_sharing_stats, at[placement].min_ps), \
         "ps", "mean of the fastest pair"},                                                        \
    {                                                                                              \
        name "_max_ps", TS_STAT_COUNTER, offsetof(struct ts_sharing_stats, at[placement].max_ps),  \
            "ps", "mean of the slowest pair"                                                       \
    }
#define COUNTER(field, unit, help)                                                                 \
    {                                                                                              \
#field, TS_STAT_COUNTER, offsetof(struct ts_sharing_stats, field), unit, help              \
    }

static const struct ts_stat stat_rows[] = {
    AT(TS_SHARING_SMT, "smt", "threads of one core"),
    AT(TS_SHARING_NEIGHBOUR, "neighbour", "neighbouring cores"),
    AT(TS_SHARING_CLUSTER, "cluster", "cores of one cluster"),
    AT(TS_SHARING_SOCKET, "socket", "cores of one socket"),
    AT(TS_SHARING_OTHER_CLUSTER, "other_cluster", "cores of two clusters of a socket"),
    AT(TS_SHARING_OTHER_SOCKET, "other_socket", "cores of two sockets"),
    COUNTER(cas, "1", "transfer: compare-and-swaps, warm-up included"),
    COUNTER(cas_succeeded, "1", "of them, successful"),
    COUNTER(cas_failed, "1", "of them, others"),
    COUNTER(cpus, "1", "writers, or readers beside the one writer"),
    COUNTER(rmws, "1", "writers: locked operations after the warm-up"),
    COUNTER(rmws_x1000, "1", "the same times 1000, for ns"),
    COUNTER(elapsed_ps, "ps", "writers: time of the measurement"),
    COUNTER(cpu_ps, "ps", "the same, summed over the CPUs"),
    COUNTER(moves, "1", "writers: times that a core had to ask for the line"),
    COUNTER(moves_x1000, "1", "the same times 1000, for ns"),
    COUNTER(smallest, "1", "writers: locked operations of the CPU with the fewest, over the lines"),
    COUNTER(largest, "1", "writers: locked operations of the CPU with the most, over the lines"),
    COUNTER(stores, "1", "readers: stores after the warm-up"),
    COUNTER(stores_x1000, "1", "the same times 1000, for ns"),
    COUNTER(reads, "1", "readers: loads that saw a new value"),
    COUNTER(reads_x1000, "1", "the same times 1000, for ns"),
    COUNTER(store_ps, "ps", "readers: from a store's start until all other copies are gone"),
    COUNTER(first_ps, "ps", "readers: from a store's start until the first reader sees it"),
    COUNTER(sum_ps, "ps", "readers: from a store's start until a reader sees it, over readers"),
    COUNTER(last_ps, "ps", "readers: from a store's start until all readers have seen it"),
};

static const struct ts_stat_rule rules[] = {
    {"a compare-and-swap succeeds or fails", {"+cas", "-cas_succeeded", "-cas_failed"}},
};
static const struct ts_stat_table stats_table = {"line_sharing", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                 rules, TS_ARRAY_LEN(rules)};

static const struct ts_study_column columns[] = {
    {"smt_ns", "ns", "smt_ps", "smt_transfers_x1000", "a transfer between threads of a core", true},
    {"neighbour_ns", "ns", "neighbour_ps", "neighbour_transfers_x1000",
     "a transfer between neighbouring cores", true},
    {"cluster_ns", "ns", "cluster_ps", "cluster_transfers_x1000",
     "a transfer within a cluster; 0: there are none", true},
    {"socket_ns", "ns", "socket_ps", "socket_transfers_x1000", "a transfer within a socket", true},
    {"other_cluster_ns", "ns", "other_cluster_ps", "other_cluster_transfers_x1000",
     "a transfer to another cluster of the socket; 0: there is none", true},
    {"other_socket_ns", "ns", "other_socket_ps", "other_socket_transfers_x1000",
     "a transfer to another socket; 0: there is none", true},
    {"socket_min_ps", "ps", "socket_min_ps", NULL, "the fastest pair of a socket", false},
    {"socket_max_ps", "ps", "socket_max_ps", NULL, "the slowest pair of a socket", false},
    {"other_socket_min_ps", "ps", "other_socket_min_ps", NULL, "the fastest pair of two sockets",
     false},
    {"other_socket_max_ps", "ps", "other_socket_max_ps", NULL, "the slowest pair of two sockets",
     false},
    {"rmw_ns", "ns", "elapsed_ps", "rmws_x1000", "from one locked operation to the next, any CPU's",
     true},
    {"rmw_latency_ns", "ns", "cpu_ps", "rmws_x1000", "a locked operation, as its CPU sees it",
     true},
    {"move_ns", "ns", "elapsed_ps", "moves_x1000", "from one transfer of the line to the next",
     true},
    {"moves_per_rmw", "1", "moves", "rmws", "transfers of the line a locked operation", true},
    {"unfairness", "1", "largest", "smallest", "operations of the luckiest CPU to the least", true},
    {"store_ns", "ns", "store_ps", "stores_x1000", "a store that readers share the line of", true},
    {"first_read_ns", "ns", "first_ps", "stores_x1000", "store to the first reader that sees it",
     true},
    {"mean_read_ns", "ns", "sum_ps", "reads_x1000", "store to a reader that sees it", true},
    {"last_read_ns", "ns", "last_ps", "stores_x1000", "store to the last reader that sees it",
     true},
};

static enum ts_status check(const struct ts_machine_config *config, const void *params,
                            struct ts_error *err)
{
    const struct ts_sharing_params *p = params;
    uint64_t cpus = config->topology.sockets * config->topology.cores_per_socket *
                    config->topology.threads_per_core;
    enum ts_status status =
        ts_interconnect_check_params(&config->interconnect, &config->topology, err);

    if (status == TS_OK)
        status = ts_line_check_params(&config->line, err);
    if (status != TS_OK)
        return status;
    if (p->pattern == TS_SHARING_TRANSFER)
        return TS_OK;
    if (p->pattern == TS_SHARING_READERS)
        cpus--; /* the writer's */
    if (p->cpus > cpus)
        return ts_error_set(err, TS_ERR_USER,
                            "line_sharing.cpus is %" PRIu64 ", but the machine has %" PRIu64
                            " that can be %s (topology)",
                            p->cpus, cpus, patterns[p->pattern]);
    return TS_OK;
}

__extension__ typedef unsigned __int128 ts_u128;

/* Far above what one transfer takes where messages take no time: memory, homes, locked operations
 * and the pause before the next one. */
#define TRANSFER_LIMIT (100 * TS_US)
/* Messages that a transfer sends for each CPU that takes part, and more: request, snoop, data,
 * release, write-back, an invalidation and its acknowledgement. One link may carry them all. */
#define TRANSFER_MESSAGES 8u

/* The longest way of the machine, alone, for the larger message of the two. */
static ts_time message_time(const struct ts_sharing *s)
{
    const struct ts_line_params *p = &s->config->line;
    uint64_t flits = p->data_flits > p->control_flits ? p->data_flits : p->control_flits;

    return ts_interconnect_zero_load(s->ic, 0, s->topology.nnodes - 1, (uint32_t)flits);
}

enum ts_status ts_sharing_settle(struct ts_sharing *s, uint64_t rounds, uint32_t cpus,
                                 struct ts_error *err)
{
    ts_u128 transfer = TRANSFER_LIMIT + (ts_u128)TRANSFER_MESSAGES * (cpus + 1) * message_time(s);
    ts_u128 limit = ts_engine_now(s->engine) + (rounds + 100) * transfer;

    ts_engine_run(s->engine, limit < TS_TIME_NEVER ? (ts_time)limit : TS_TIME_NEVER - 1);
    if (ts_engine_status(s->engine, err) != TS_OK)
        return err->status;
    if (ts_engine_next_time(s->engine) == TS_TIME_NEVER)
        return TS_OK;
    return ts_error_set(err, TS_ERR_FINDING, "no progress: the line still moves at %" PRIu64 " ps",
                        ts_engine_now(s->engine));
}

static enum ts_status make(struct ts_sharing *s, const struct ts_study_input *in,
                           struct ts_error *err)
{
    const struct ts_machine_config *c = in->config;
    struct ts_engine_config engine = {0};
    enum ts_status status;

    s->params = in->params;
    s->config = c;
    s->cluster_cores = c->line.cluster_cores;
    engine.queue = (enum ts_queue_kind)c->run.queue;
    ts_rng_init(&s->rng, in->seed, "line_sharing", 0);
    ts_clock_init(&s->clock, c->topology.core_hz);
    status = ts_topology_init(&s->topology, &c->topology, err);
    if (status == TS_OK)
        status = ts_engine_create(&s->engine, &engine, err);
    if (status == TS_OK) /* a CPU's next access */
        status = ts_engine_reserve(s->engine, s->topology.ncpus, err);
    if (status == TS_OK)
        status = ts_interconnect_create(&s->ic, s->engine, &s->topology, &c->interconnect, err);
    if (status == TS_OK)
        status = ts_line_system_create(&s->lines, s->engine, &s->topology, s->ic, &c->line, err);
    return status;
}

static enum ts_status measure(struct ts_sharing *s, struct ts_error *err)
{
    switch ((enum ts_sharing_pattern)s->params->pattern) {
    case TS_SHARING_WRITERS:
        return ts_sharing_writers(s, err);
    case TS_SHARING_READERS:
        return ts_sharing_readers(s, err);
    default:
        return ts_sharing_transfer(s, err);
    }
}

static enum ts_status collect(const struct ts_sharing *s, ts_machine_stat_fn *visit, void *user,
                              struct ts_error *err)
{
    const struct ts_line_stats *lines = ts_line_system_stats(s->lines);
    const struct ts_interconnect_stats *ic = ts_interconnect_stats(s->ic);
    enum ts_status status = ts_stat_check(&stats_table, s->stats, err);

    if (status == TS_OK)
        status = ts_stat_check(&ts_line_stat_table, lines, err);
    if (status == TS_OK)
        status = ts_stat_check(&ts_interconnect_stat_table, ic, err);
    if (status == TS_OK)
        status = ts_interconnect_check(s->ic, err);
    if (status == TS_OK && visit != NULL) {
        visit(user, &ts_interconnect_stat_table, ic);
        visit(user, &ts_line_stat_table, lines);
    }
    return status;
}

static enum ts_status run(const struct ts_study_input *in, void *counters,
                          ts_machine_stat_fn *visit, void *user, struct ts_error *err)
{
    struct ts_sharing s = {0};
    enum ts_status status = check(in->config, in->params, err);

    s.stats = counters;
    if (status == TS_OK)
        status = make(&s, in, err);
    if (status == TS_OK)
        status = measure(&s, err);
    if (status == TS_OK)
        status = collect(&s, visit, user, err);
    ts_line_system_destroy(s.lines);
    ts_interconnect_destroy(s.ic);
    ts_engine_destroy(s.engine);
    ts_topology_fini(&s.topology);
    return status;
}

const struct ts_study_ops ts_study_line_sharing = {
    .name = "line_sharing",
    .summary = "transfers of one line between cores, and contention for it",
    .reference =
        "the compare-and-swap ping-pong of core-to-core benchmarks; T. David, R. Guerraoui "
        "and V. Trigonakis, Everything You Always Wanted to Know About Synchronization, "
        "SOSP 2013",
    .params = &params_table,
    .params_size = sizeof(struct ts_sharing_params),
    .needs_workload = false,
    .stats = &stats_table,
    .stats_size = sizeof(struct ts_sharing_stats),
    .columns = columns,
    .ncolumns = TS_ARRAY_LEN(columns),
    .check = check,
    .run = run,
};
