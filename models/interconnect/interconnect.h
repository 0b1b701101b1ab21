/* SPDX-License-Identifier: Apache-2.0 */
/* The interconnect carries every effect between CPUs as a message: nothing acts at a distance.
 *
 * Nodes 0..cores-1 are the cores' routers (topology.core); each socket is one on-chip fabric
 * (models/interconnect/fabric_*.c), and sockets are joined by serial links between gateway nodes.
 * A message is routed hop by hop; each hop costs the router's pipeline and the link, and a link
 * carries one flit a cycle, so messages that want the same link queue in order of arrival, and
 * those that come in one cycle in order of their sending (virtual cut-through: the head goes on
 * while the tail serialises). Message classes have their own
 * virtual network, so classes never wait for each other's credits; they share link bandwidth.
 *
 * That is `detail: message`. With `detail: flit` every socket is a network of virtual-channel
 * wormhole routers with credits (noc.h), stepped cycle by cycle while there is traffic; a message
 * class is a virtual network of its own, and messages of one (source, destination) that overtake
 * each other are put in order at the destination. Uncontended, both take the same time on fabrics
 * of one router a node, as long as injection is not shorter than the router's own way in and out.
 *
 * The ports between a node and its router are links like the others (injection, ejection). A
 * message to its own node turns round in the node and holds the injection port only. The link
 * between sockets passes a message on when all of it has arrived (its link layer checks it first),
 * and the far gateway takes it at its next mesh edge. Its buffers are unbounded, as are those of
 * routers message by message. Messages of one
 * (source, destination) arrive in the order of their sending, whatever their class.
 */
#ifndef TS_MODELS_INTERCONNECT_H
#define TS_MODELS_INTERCONNECT_H

#include "models/topology/topology.h"
#include "sim/clock.h"
#include "sim/engine.h"
#include "sim/stats.h"
#include "sim/steps.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_msg_class {
    TS_MSG_REQUEST = 0,
    TS_MSG_SNOOP = 1,
    TS_MSG_RESPONSE = 2,
    TS_MSG_DATA = 3,
    TS_MSG_INTERRUPT = 4,
    TS_MSG_CLASSES = 5
};

struct ts_interconnect;
struct ts_msg;
typedef void ts_msg_fn(struct ts_interconnect *ic, struct ts_msg *msg);

/* Intrusive: owned by the sender, in flight from ts_interconnect_send until deliver is called (at
 * which moment it may be sent again or reused). */
struct ts_msg {
    struct ts_event event;      /* private */
    ts_msg_fn *deliver;         /* called at the destination when the last flit has arrived */
    uint32_t src, dst;          /* nodes */
    uint32_t flits;             /* >= 1 */
    uint32_t klass;             /* enum ts_msg_class */
    ts_time sent;               /* set by send */
    uint32_t at;                /* private: node the head is at */
    uint32_t hops;              /* links between routers or sockets passed, when delivered */
    uint64_t cycle;             /* private: mesh cycle at which the head is there */
    uint32_t order;             /* private: number among those of the same source and destination */
    struct ts_msg *held;        /* private: the next that came too early */
    struct ts_interconnect *ic; /* private */
    /* Private, of express messages: */
    uint64_t ticket;                      /* place in the order of sending */
    uint32_t plan;                        /* which of all plans */
    uint32_t links;                       /* so many it has reserved, from `at` on */
    uint32_t resume_at;                   /* node from which it goes on, if not delivered */
    uint32_t plan_hops, plan_crossings;   /* of the links that it has reserved */
    uint32_t shown_hops, shown_crossings; /* of these, in the statistics by now */
};

enum ts_interconnect_detail { TS_IC_MESSAGE = 0, TS_IC_FLIT = 1 };

struct ts_interconnect_params {
    uint64_t detail; /* enum ts_interconnect_detail */
    uint64_t fabric; /* index into ts_fabric_table, by name in a configuration */
    uint64_t mesh_hz;
    uint64_t router_cycles; /* pipeline of one router */
    uint64_t link_cycles;   /* one hop between neighbours */
    uint64_t inject_cycles; /* core to router and router to core, each */
    uint64_t flit_bytes;
    uint64_t socket_link_ps;      /* one-way latency of the link between sockets */
    uint64_t socket_link_rate;    /* bytes per second, each direction, each pair of sockets */
    uint64_t background_permille; /* share of each link's slots taken by other traffic; message */
    uint64_t jitter_cycles;       /* 0 to so many cycles more for each message; message */
    uint64_t vcs;                 /* flit: virtual channels of a message class */
    uint64_t vc_depth;            /* flit: flits that a virtual channel buffers */
    uint64_t credit_cycles;       /* flit: from a credit's arrival to its use */
    uint64_t express; /* 1: a way without conflicts is reserved at once and costs one event; it
                         changes speed, and nothing else; message */
};
extern const struct ts_param_table ts_interconnect_param_table; /* prefix "interconnect" */

struct ts_interconnect_stats {
    uint64_t messages;
    uint64_t flits;
    uint64_t flit_hops;
    uint64_t delivered;
    uint64_t in_flight; /* sent and not delivered yet: more than 0 where a run ends before a slow
                           link has carried everything */
    uint64_t socket_crossings;
    uint64_t queued_ps; /* waiting for links, buffers and their turn, summed over messages */
    uint64_t overtaken; /* flit: messages that waited at their destination for an earlier one */
    struct ts_hist latency_ps;
};
extern const struct ts_stat_table
    ts_interconnect_stat_table; /* rule: messages == delivered + in_flight */

/* What ts_interconnect_create refuses as a user's error; topology is one that ts_topology_init
 * takes. */
enum ts_status ts_interconnect_check_params(const struct ts_interconnect_params *params,
                                            const struct ts_topology_params *topology,
                                            struct ts_error *err);
enum ts_status ts_interconnect_create(struct ts_interconnect **out, struct ts_engine *engine,
                                      const struct ts_topology *topology,
                                      const struct ts_interconnect_params *params,
                                      struct ts_error *err);
/* The steps of kind message: those of the class interrupt, where jitter_cycles is not 0.
 * The caller's, for as long as the network is there. */
void ts_interconnect_set_steps(struct ts_interconnect *ic, const struct ts_steps *steps);
/* Of the delays that params.jitter_cycles asks for; without a call the seed is 0. Before the first
 * message. */
void ts_interconnect_set_seed(struct ts_interconnect *ic, uint64_t seed);
void ts_interconnect_destroy(struct ts_interconnect *ic);
/* src == dst is allowed and costs two injections. Each message needs room for one pending event:
 * its owner reserves it (ts_engine_reserve). */
void ts_interconnect_send(struct ts_interconnect *ic, struct ts_msg *msg);
/* Latency of an uncontended message without jitter, in ps from an edge of the mesh clock (edge 0):
 * the closed formula that the tests hold the model to. */
ts_time ts_interconnect_zero_load(const struct ts_interconnect *ic, uint32_t src, uint32_t dst,
                                  uint32_t flits);
/* Time of delivery of an uncontended message sent at `sent`, exact for any phase of the clock. */
ts_time ts_interconnect_arrival(const struct ts_interconnect *ic, uint32_t src, uint32_t dst,
                                uint32_t flits, ts_time sent);
/* Is params.express in force? */
bool ts_interconnect_is_express(const struct ts_interconnect *ic);
const struct ts_clock *ts_interconnect_clock(const struct ts_interconnect *ic);
/* Node on which the socket's link to the other sockets sits. */
uint32_t ts_interconnect_gateway(const struct ts_interconnect *ic, uint32_t socket);
/* flit: routers of all sockets, socket by socket (without another word of the fabric: one a core),
 * and the flits that lie in the input buffers of one now. message: 0 routers, as nothing is
 * buffered. */
uint32_t ts_interconnect_routers(const struct ts_interconnect *ic);
uint32_t ts_interconnect_buffered(const struct ts_interconnect *ic, uint32_t router);
/* At any time between events: no message in flight when nothing is left to happen; sum rules of the
 * routers: no flit lost or duplicated, credits conserved, no deadlock. TS_ERR_FINDING otherwise. */
enum ts_status ts_interconnect_check(const struct ts_interconnect *ic, struct ts_error *err);
/* Up to now; delivered and in_flight are kept up to date without a call. */
const struct ts_interconnect_stats *ts_interconnect_stats(struct ts_interconnect *ic);
struct ts_engine *ts_interconnect_engine(struct ts_interconnect *ic);

#ifdef __cplusplus
}
#endif
#endif
