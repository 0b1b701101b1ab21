/* SPDX-License-Identifier: Apache-2.0 */
/* The study noc_traffic: latency and throughput of a network of routers under synthetic traffic,
 * cycle by cycle. The configured machine does not matter: nodes, fabric and routers are
 * parameters of the study. */
#include "models/interconnect/fabric_table.h"
#include "models/study/noc_traffic.h"
#include "models/study/study.h"

#define OFFSET(field) offsetof(struct ts_traffic_params, field)
#define CHOICE "setting of the experiment", TS_CONF_CHOICE

static const char *const patterns[] = {"uniform",        "transpose", "hotspot",
                                       "bit_complement", "neighbour", NULL};
static const char *const routers[] = {"p4", "p2spec", NULL};
static const char *const multicasts[] = {"repeated", "tree", NULL};

static const struct ts_param rows[] = {
    {"nodes", TS_PARAM_COUNT, OFFSET(nodes), 64, 1, 1024, NULL, "that send and receive", CHOICE},
    {"fabric", TS_PARAM_ENUM, OFFSET(fabric), TS_FABRIC_TABLE_MESH, 0, TS_FABRIC_TABLE_LAST,
     ts_fabric_table_names, "how the routers are joined; ideal has none and is refused", CHOICE},
    {"traffic", TS_PARAM_ENUM, OFFSET(traffic), TS_TRAFFIC_UNIFORM, 0, TS_TRAFFIC_NEIGHBOUR,
     patterns,
     "where packets go; uniform: any node, the own one too; transpose: row and column swapped; "
     "hotspot: uniform, but for a share to one node; bit_complement: from i to nodes - 1 - i; "
     "neighbour: to the next number",
     CHOICE},
    {"hotspot_node", TS_PARAM_COUNT, OFFSET(hotspot_node), 0, 0, 1023, NULL,
     "with traffic hotspot: the node that all send to", CHOICE},
    {"hotspot_permille", TS_PARAM_COUNT, OFFSET(hotspot_permille), 100, 0, 1000, NULL,
     "with traffic hotspot: packets in 1000 that go to it, besides those of uniform traffic",
     CHOICE},
    {"load_ppm", TS_PARAM_COUNT, OFFSET(load_ppm), 100000, 0, 1000000, NULL,
     "offered flits a node in a million cycles; packets begin at random (Bernoulli)", CHOICE},
    {"packet_flits", TS_PARAM_COUNT, OFFSET(packet_flits), 1, 1, 1024, NULL, "flits a packet",
     CHOICE},
    {"router", TS_PARAM_ENUM, OFFSET(router), TS_TRAFFIC_P4, 0, TS_TRAFFIC_P2SPEC, routers,
     "p4: route computation, channel allocation, switch allocation, switch traversal, a cycle "
     "each; "
     "p2spec: the route is known on arrival, and the switch is asked for while the channel is",
     CHOICE},
    {"vcs", TS_PARAM_COUNT, OFFSET(vcs), 4, 1, 64, NULL,
     "virtual channels a port; even on ring and torus", CHOICE},
    {"depth", TS_PARAM_COUNT, OFFSET(depth), 8, 1, 255, NULL, "flits a virtual channel's buffer",
     CHOICE},
    {"link_cycles", TS_PARAM_CYCLES, OFFSET(link_cycles), 1, 1, 1024, NULL, "from router to router",
     CHOICE},
    {"credit_cycles", TS_PARAM_CYCLES, OFFSET(credit_cycles), 1, 1, 64, NULL,
     "from a credit's arrival to its use", CHOICE},
    {"broadcast_permille", TS_PARAM_COUNT, OFFSET(broadcast_permille), 0, 0, 1000, NULL,
     "packets in 1000 that go to all nodes", CHOICE},
    {"multicast", TS_PARAM_ENUM, OFFSET(multicast), TS_NOC_TREE, 0, TS_NOC_TREE, multicasts,
     "how they go; repeated: a packet for each node; tree: one packet that forks in routers",
     CHOICE},
    {"warmup_cycles", TS_PARAM_CYCLES, OFFSET(warmup_cycles), 5000, 0, 1000000000, NULL,
     "before the measured part", CHOICE},
    {"measured_cycles", TS_PARAM_CYCLES, OFFSET(measured_cycles), 20000, 1, 1000000000, NULL,
     "packets sent in this part count", CHOICE},
    {"drain_cycles", TS_PARAM_CYCLES, OFFSET(drain_cycles), 20000, 0, 1000000000, NULL,
     "that sources go on after it at most, while its packets are under way; if some then still "
     "are, the network is saturated",
     CHOICE},
    {"source_queue", TS_PARAM_COUNT, OFFSET(source_queue), 4096, 1, 1000000, NULL,
     "packets of a node that wait or are under way; if there would be more, the network is "
     "saturated",
     CHOICE},
    {"latency_limit", TS_PARAM_CYCLES, OFFSET(latency_limit), 500, 1, 1000000000, NULL,
     "mean latency above which the network counts as saturated", CHOICE},
};
static const struct ts_param_table params_table = {"noc_traffic", rows, TS_ARRAY_LEN(rows)};

#define ROW(type, field, unit, help)                                                               \
    {                                                                                              \
#field, TS_STAT_COUNTER, offsetof(type, field), unit, help                                 \
    }
#define COUNTER(field, unit, help) ROW(struct ts_traffic_stats, field, unit, help)

static const struct ts_stat stat_rows[] = {
    COUNTER(nodes, "1", "of the network"),
    COUNTER(window_cycles, "cycles", "measured"),
    COUNTER(node_cycles, "cycles", "measured cycles times nodes"),
    COUNTER(offered_flits, "flits", "that sources had in the measured part, a destination each"),
    COUNTER(accepted_flits, "flits", "delivered in the measured part"),
    COUNTER(flit_hops, "1", "flits times routers, in the measured part"),
    COUNTER(busiest_link_flits, "flits", "over the busiest link in the measured part"),
    COUNTER(refused, "1", "packets of the measured part for which the source's queue had no room"),
    COUNTER(measured, "1", "packets sent in the measured part, a destination each"),
    COUNTER(delivered, "1", "of them, delivered at the end"),
    COUNTER(late, "1", "of them, under way when the sources stopped"),
    COUNTER(latency_cycles, "cycles", "of the delivered, from sending to the tail's arrival"),
    COUNTER(network_cycles, "cycles", "of them, after the head had left the source's queue"),
    COUNTER(min_latency, "cycles", "shortest of them"),
    COUNTER(max_latency, "cycles", "longest of them"),
    COUNTER(routers, "1", "passed by the delivered"),
    COUNTER(saturated, "1", "1: the network could not carry what was offered"),
};
static const struct ts_stat_rule rules[] = {
    {"every measured packet is delivered", {"+measured", "-delivered"}},
};
static const struct ts_stat_table stats_table = {"noc_traffic", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                 rules, TS_ARRAY_LEN(rules)};

#define NOC(field, unit, help) ROW(struct ts_noc_stats, field, unit, help)
static const struct ts_stat noc_rows[] = {
    NOC(packets_sent, "1", "in the whole run, a destination each"),
    NOC(packets_delivered, "1", "at their destinations"),
    NOC(flits_sent, "flits", "handed to sources"),
    NOC(flits_copied, "flits", "made where packets fork"),
    NOC(flits_delivered, "flits", "taken at destinations"),
    NOC(flit_hops, "1", "flits times routers"),
    NOC(steps, "cycles", "in which something was done"),
    NOC(speculation_failed, "1", "switch slots lost to a speculative grant of no use"),
};
/* The sources stop before the end, and the network empties. */
static const struct ts_stat_rule noc_rules[] = {
    {"every packet is delivered", {"+packets_sent", "-packets_delivered"}},
    {"every flit and every copy is delivered",
     {"+flits_sent", "+flits_copied", "-flits_delivered"}},
};
static const struct ts_stat_table noc_table = {"noc", noc_rows, TS_ARRAY_LEN(noc_rows), noc_rules,
                                               TS_ARRAY_LEN(noc_rules)};

static const struct ts_study_column columns[] = {
    {"offered", "flits/node/cycle", "offered_flits", "node_cycles",
     "flits offered, a node and cycle", true},
    {"accepted", "flits/node/cycle", "accepted_flits", "node_cycles",
     "flits delivered, a node and cycle", true},
    {"packet_latency", "cycles", "latency_cycles", "delivered",
     "from sending to the tail's arrival, waiting at the source included", true},
    {"network_latency", "cycles", "network_cycles", "delivered",
     "from the head's injection to the tail's arrival", true},
    {"min_latency", "cycles", "min_latency", NULL, "shortest packet latency", false},
    {"max_latency", "cycles", "max_latency", NULL, "longest packet latency", true},
    {"routers_per_path", "1", "routers", "delivered", "routers passed", false},
    {"busiest_link", "flits/cycle", "busiest_link_flits", "window_cycles",
     "flits a cycle over the busiest link", true},
    {"flit_hops", "1", "flit_hops", NULL, "flits times routers in the measured part", false},
    {"saturated", "1", "saturated", NULL, "1: the network could not carry what was offered", true},
};

static enum ts_status check(const struct ts_machine_config *config, const void *params,
                            struct ts_error *err)
{
    (void)config;
    return ts_traffic_check(params, err);
}

static enum ts_status run(const struct ts_study_input *in, void *counters,
                          ts_machine_stat_fn *visit, void *user, struct ts_error *err)
{
    struct ts_noc_stats noc = {0};
    enum ts_status status = ts_traffic_run(in->params, in->seed, counters, &noc, err);

    if (status == TS_OK)
        status = ts_stat_check(&stats_table, counters, err);
    if (status == TS_OK)
        status = ts_stat_check(&noc_table, &noc, err);
    if (status == TS_OK && visit != NULL)
        visit(user, &noc_table, &noc);
    return status;
}

const struct ts_study_ops ts_study_noc_traffic = {
    .name = "noc_traffic",
    .summary = "latency and throughput of a network of routers under synthetic traffic",
    .reference = "Dally and Towles, Principles and Practices of Interconnection Networks (2004), "
                 "section 3.2 and ch. 24; routers as those of BookSim2",
    .params = &params_table,
    .params_size = sizeof(struct ts_traffic_params),
    .needs_workload = false,
    .stats = &stats_table,
    .stats_size = sizeof(struct ts_traffic_stats),
    .columns = columns,
    .ncolumns = TS_ARRAY_LEN(columns),
    .check = check,
    .run = run,
};
