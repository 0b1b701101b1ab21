/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the study noc_traffic: synthetic traffic on a flit-level network. */
#ifndef TS_MODELS_NOC_TRAFFIC_H
#define TS_MODELS_NOC_TRAFFIC_H

#include "models/interconnect/noc.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_traffic_pattern {
    TS_TRAFFIC_UNIFORM,
    TS_TRAFFIC_TRANSPOSE,
    TS_TRAFFIC_HOTSPOT,
    TS_TRAFFIC_BIT_COMPLEMENT,
    TS_TRAFFIC_NEIGHBOUR
};
enum ts_traffic_router { TS_TRAFFIC_P4, TS_TRAFFIC_P2SPEC };

struct ts_traffic_params {
    uint64_t nodes, fabric;
    uint64_t traffic; /* enum ts_traffic_pattern */
    uint64_t hotspot_node, hotspot_permille;
    uint64_t load_ppm;
    uint64_t packet_flits;
    uint64_t router; /* enum ts_traffic_router */
    uint64_t vcs, depth;
    uint64_t link_cycles, credit_cycles;
    uint64_t broadcast_permille;
    uint64_t multicast; /* enum ts_noc_multicast_kind */
    uint64_t warmup_cycles, measured_cycles, drain_cycles;
    uint64_t source_queue;
    uint64_t latency_limit;
};

struct ts_traffic_stats {
    uint64_t nodes, node_cycles; /* of the measured part */
    uint64_t window_cycles;
    uint64_t offered_flits;       /* a destination each, in the measured part */
    uint64_t accepted_flits;      /* delivered in the measured part */
    uint64_t flit_hops;           /* in the measured part */
    uint64_t busiest_link_flits;  /* of all links, in the measured part */
    uint64_t refused;             /* source queue full */
    uint64_t measured, delivered; /* packets sent in the measured part, a destination each */
    uint64_t late;                /* of them, under way when the sources stopped */
    uint64_t latency_cycles, network_cycles;
    uint64_t min_latency, max_latency;
    uint64_t routers;
    uint64_t saturated;
};

/* Adds to the zeroed counters. */
enum ts_status ts_traffic_run(const struct ts_traffic_params *params, uint64_t seed,
                              struct ts_traffic_stats *stats, struct ts_noc_stats *noc_stats,
                              struct ts_error *err);
/* What ts_traffic_run would refuse. */
enum ts_status ts_traffic_check(const struct ts_traffic_params *params, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
