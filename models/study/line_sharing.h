/* SPDX-License-Identifier: Apache-2.0 */
/* The study line_sharing: CPUs that do nothing but take one line from each other. */
#ifndef TS_MODELS_STUDY_LINE_SHARING_H
#define TS_MODELS_STUDY_LINE_SHARING_H

#include "models/study/study.h"
#include "sim/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_sharing_pattern { TS_SHARING_TRANSFER = 0, TS_SHARING_WRITERS = 1, TS_SHARING_READERS = 2 };

struct ts_sharing_params {
    uint64_t pattern; /* enum ts_sharing_pattern */
    uint64_t cpus;    /* writers, or readers beside the one writer */
    uint64_t pairs;   /* transfer: of each placement, at most */
    uint64_t lines;   /* writers, readers: measured one after the other */
    uint64_t rounds;  /* of a pair, of a CPU of the writers, of the one writer of the readers */
    uint64_t warmup;  /* rounds before */
    uint64_t poll_cycles;
};

/* Where the two CPUs of a pair are. */
enum ts_sharing_placement {
    TS_SHARING_SMT = 0,       /* threads of one core */
    TS_SHARING_NEIGHBOUR = 1, /* neighbouring cores of a socket, of a cluster if there are any */
    TS_SHARING_CLUSTER = 2,   /* cores of one cluster */
    TS_SHARING_SOCKET = 3,    /* cores of one socket */
    TS_SHARING_OTHER_CLUSTER = 4,
    TS_SHARING_OTHER_SOCKET = 5,
    TS_SHARING_PLACEMENTS = 6
};

/* transfers: successful CASes that a pair was timed for. */
struct ts_sharing_pairs {
    uint64_t pairs, ps, transfers, transfers_x1000, min_ps, max_ps; /* min, max: mean of a pair */
};

struct ts_sharing_stats {
    struct ts_sharing_pairs at[TS_SHARING_PLACEMENTS];
    uint64_t cas, cas_succeeded, cas_failed; /* transfer, warm-up included */
    /* writers */
    uint64_t cpus, rmws, rmws_x1000, elapsed_ps, cpu_ps, moves, moves_x1000, smallest, largest;
    /* readers */
    uint64_t stores, stores_x1000, reads, reads_x1000, store_ps, first_ps, sum_ps, last_ps;
};

struct ts_sharing {
    const struct ts_sharing_params *params;
    const struct ts_machine_config *config;
    struct ts_engine *engine;
    struct ts_topology topology;
    struct ts_interconnect *ic;
    struct ts_line_system *lines;
    struct ts_clock clock; /* of the cores */
    struct ts_rng rng;
    uint64_t cluster_cores;
    uint64_t line_ids;
    struct ts_sharing_stats *stats;
};

enum ts_status ts_sharing_transfer(struct ts_sharing *s, struct ts_error *err);
enum ts_status ts_sharing_writers(struct ts_sharing *s, struct ts_error *err);
enum ts_status ts_sharing_readers(struct ts_sharing *s, struct ts_error *err);
/* Runs until nothing is left to do; a finding if that takes too long for `rounds` transfers among
 * so many CPUs, by the time of a message on this machine's links. */
enum ts_status ts_sharing_settle(struct ts_sharing *s, uint64_t rounds, uint32_t cpus,
                                 struct ts_error *err);

extern const struct ts_study_ops ts_study_line_sharing;

#ifdef __cplusplus
}
#endif
#endif
