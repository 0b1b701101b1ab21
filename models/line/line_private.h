/* SPDX-License-Identifier: Apache-2.0 */
/* Private to models/line: line.c has accesses and the caller's side, line_home.c the home's,
 * line_cluster.c that of the L3 of a cluster. */
#ifndef TS_MODELS_LINE_PRIVATE_H
#define TS_MODELS_LINE_PRIVATE_H

#include "models/line/line.h"
#include "models/line/sharers.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_LINE_NONE UINT32_MAX

/* An invalidation and its acknowledgement, or the acknowledgement of a reader. */
struct ts_line_ack {
    struct ts_msg msg;
    struct ts_event event;
    struct ts_line *line;
    struct ts_line_req *req; /* of an invalidation */
    struct ts_line_ack *next;
};

struct ts_line_system {
    struct ts_engine *engine;
    struct ts_interconnect *ic;
    struct ts_line_params params;
    struct ts_clock core_clock;
    uint32_t ncores, nthreads;
    uint32_t cores_per_socket;
    bool clustered;
    uint32_t *cluster;     /* of each core: the cluster's first core, with whose router its L3 is */
    uint32_t *cluster_end; /* of a cluster's first core: behind its last one */
    struct ts_sharer_pool sharers;
    struct ts_line_ack *acks; /* the block */
    struct ts_line_ack *free;
    /* Requests with invalidations to send and none free, by req->next_starved. */
    struct ts_line_req *starved_head, *starved_tail;
    struct ts_store_buffer *stores; /* by hardware thread; NULL: none */
    struct ts_line_stats stats;
};

static inline bool ts_line_allows(const struct ts_line *line, uint32_t core, enum ts_line_op op)
{
    return line->owner == core || (op == TS_LINE_READ && ts_sharers_has(line, core));
}

/* One writer or many readers; and all copies of an owned line are in the cluster that owns it. */
/* A miss is served; from: which of the statistics' places. */
static inline void ts_line_served(struct ts_line_system *s, uint64_t *from)
{
    TS_ASSERT(s->stats.unserved > 0);
    (*from)++;
    s->stats.unserved--;
}

void ts_line_check(const struct ts_line_system *s, const struct ts_line *line);
void ts_line_send(struct ts_line_system *s, struct ts_msg *msg, uint32_t src, uint32_t dst,
                  enum ts_msg_class klass, ts_msg_fn *deliver);
/* Takes a line out of a core: cycles, from now on or from the end of the owner's locked operation.
 */
void ts_line_after_hold(struct ts_line_system *s, const struct ts_line *line, bool owned,
                        struct ts_event *event, ts_event_fn *fn, uint64_t cycles);
/* Its core has what the request asked for: statistics and the locked operation. */
void ts_line_granted(struct ts_line_system *s, struct ts_line_req *req);

/* At the home. */
void ts_line_to_home(struct ts_line_system *s, struct ts_line_req *req);

/* Within a cluster. */
void ts_line_to_cluster(struct ts_line_system *s, struct ts_line_req *req);
/* The request is the first one of its cluster and has been served: the next one's turn. */
void ts_line_leave_cluster(struct ts_line_system *s, struct ts_line_req *req);
/* True: the cluster will take the message later, as msg->deliver says. */
bool ts_line_defer(struct ts_line *line, uint32_t cluster, struct ts_msg *msg);
/* A core of the cluster with a copy, the owner first; TS_LINE_NONE: no one has one. */
uint32_t ts_line_holder(const struct ts_line_system *s, const struct ts_line *line,
                        uint32_t cluster);
/* Drops all copies in the cluster but that of `except`. Were there any? */
bool ts_line_drop(struct ts_line_system *s, struct ts_line *line, uint32_t cluster,
                  uint32_t except);
/* The owner keeps a shared copy. */
void ts_line_downgrade(struct ts_line_system *s, struct ts_line *line);

#ifdef __cplusplus
}
#endif
#endif
