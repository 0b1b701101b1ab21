/* SPDX-License-Identifier: Apache-2.0 */
/* A network of input-queued virtual-channel wormhole routers with credits, flit by flit and cycle
 * by cycle (W. J. Dally and B. Towles, "Principles and Practices of Interconnection Networks",
 * chapters 16 to 19). It knows cycles only; who drives it maps them to time.
 *
 * A router: each input port has `classes * vcs` private buffers of `depth` flits. Route computation
 * (rc cycles), allocation of an output virtual channel (va), of the switch (one cycle), switch
 * traversal (st), then the link. Both allocators are separable, input first, one iteration, round
 * robin. A speculative router asks for the switch in the cycle in which it asks for a channel;
 * others' requests go first. A channel belongs to a packet from its head's allocation until its
 * tail has left for it. A credit goes back when a flit wins the switch, and counts after the link
 * and `credit` cycles.
 *
 * A message class owns its channels: classes never wait for each other but for links. Where a
 * fabric has cycles (ring, torus) the channels of a class are halved and the route says which half
 * a hop may take, so that no cycle of channels can form.
 *
 * Timing of an uncontended packet of L flits over H routers: H * (rc + va + 1 + st + link) + 2 + L
 * - 1 cycles from the cycle it is sent to the one in which its tail is taken, with va counted 0
 * where speculation succeeds; 2 is the way from the network interface into the first router. This
 * is the arithmetic of BookSim2's iq_router, which the model is held to.
 *
 * A multicast goes as packets one after the other (repeated), or as one packet that forks (tree):
 * it follows the union of the routes to its destinations, and where they part each branch is
 * allocated a channel and takes flits by itself; one flit may go to several outputs in one cycle,
 * and leaves its buffer when every branch has taken it. A packet that forks is no longer than a
 * buffer, therefore no branch can wait for another: once a packet's head is at the front of a
 * buffer, only its own flits are in there, so all of it can come in without any branch having
 * moved, and what a branch waits for is further on along the routes, which have no cycles.
 * (Branches in step would deadlock: two packets, each holding the output that the other's second
 * branch waits for.)
 *
 * Work is done for routers with flits in them only; ts_noc_next says when there is any. No
 * allocation after creation. */
#ifndef TS_MODELS_NOC_H
#define TS_MODELS_NOC_H

#include "models/interconnect/fabric.h"
#include "sim/error.h"
#include "sim/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_NOC_PORTS_MAX 64u /* of a router, the local one included */
#define TS_NOC_VCS_MAX 64u   /* classes * vcs */
#define TS_NOC_NEVER UINT64_MAX

enum ts_noc_multicast_kind { TS_NOC_REPEATED = 0, TS_NOC_TREE = 1 };

struct ts_noc_params {
    uint32_t classes;  /* >= 1 */
    uint32_t vcs;      /* a class; even where the fabric has cycles */
    uint32_t depth;    /* flits a buffer */
    uint32_t rc;       /* cycles: 0: the route is known when the head arrives (look-ahead) */
    uint32_t va;       /* >= 1 */
    uint32_t st;       /* 0: in the cycle in which the switch is won */
    uint32_t link;     /* >= 1 */
    uint32_t credit;   /* >= 1 */
    bool speculative;  /* then va is 1 */
    uint32_t packets;  /* that may be in the network and its source queues at a time */
    uint64_t watchdog; /* cycles without a flit moving while some are there: deadlock; 0: off */
    enum ts_noc_multicast_kind multicast;
};

/* A packet to several destinations counts once for each of them; its flits count once when they are
 * sent, and again for each copy. */
struct ts_noc_stats {
    uint64_t packets_sent, packets_delivered;
    uint64_t flits_sent, flits_copied, flits_delivered;
    uint64_t flit_hops;          /* flits times routers passed */
    uint64_t steps;              /* cycles in which something was done */
    uint64_t speculation_failed; /* switch slots lost to a speculative grant of no use */
};

struct ts_noc_class_stats {
    uint64_t packets_sent, packets_delivered, flits_delivered;
};

/* What is known of a packet whose tail has been taken at its destination in this cycle. */
struct ts_noc_delivery {
    uint64_t cookie;
    uint64_t cycle;
    uint64_t sent;     /* cycle of ts_noc_send */
    uint64_t injected; /* in which its head left the source's queue */
    uint32_t src, dst, klass, flits;
};

/* An output of a router, or the way of a node into its router. */
struct ts_noc_link {
    uint32_t from_router; /* UINT32_MAX: from the node */
    uint32_t to_router;   /* UINT32_MAX: to the node */
    uint32_t node;        /* at one end; UINT32_MAX: between routers */
    uint64_t flits;       /* that went over it */
};

struct ts_noc;
/* May send. */
typedef void ts_noc_deliver_fn(void *user, const struct ts_noc_delivery *delivery);
/* A head has won the switch of a router in this cycle: where a packet's time goes, hop by hop. */
typedef void ts_noc_hop_fn(void *user, uint64_t cookie, uint32_t router, uint32_t port,
                           uint64_t cycle);

/* What ts_noc_create refuses as a user's error. */
enum ts_status ts_noc_check_params(const struct ts_fabric_ops *fabric, uint32_t nodes,
                                   const struct ts_noc_params *params, struct ts_error *err);
enum ts_status ts_noc_create(struct ts_noc **out, const struct ts_fabric_ops *fabric,
                             uint32_t nodes, const struct ts_noc_params *params,
                             ts_noc_deliver_fn *deliver, void *user, struct ts_error *err);
void ts_noc_destroy(struct ts_noc *noc);
/* The packet is in its source's queue at `cycle`, not before the last step's. False: params.packets
 * are there already. */
bool ts_noc_send(struct ts_noc *noc, uint64_t cycle, uint32_t src, uint32_t dst, uint32_t klass,
                 uint32_t flits, uint64_t cookie);
/* To each of the ndst different nodes. Repeated: in this order. Tree: flits is at most
 * params.depth. False: there is no room for ndst packets (repeated) or 2 * ndst - 1 (tree), and
 * none is sent. */
bool ts_noc_multicast(struct ts_noc *noc, uint64_t cycle, uint32_t src, const uint32_t *dst,
                      uint32_t ndst, uint32_t klass, uint32_t flits, uint64_t cookie);
/* The first cycle from `cycle` on in which there is work, or TS_NOC_NEVER. */
uint64_t ts_noc_next(const struct ts_noc *noc, uint64_t cycle);
/* Does what happens in the cycle. Cycles ascend; one with work must not be left out. */
void ts_noc_step(struct ts_noc *noc, uint64_t cycle);
/* Closed formula: cycles of an uncontended packet. */
uint64_t ts_noc_zero_load(const struct ts_noc *noc, uint32_t src, uint32_t dst, uint32_t flits);
uint32_t ts_noc_routers(const struct ts_noc *noc, uint32_t src, uint32_t dst);
const struct ts_noc_stats *ts_noc_stats(const struct ts_noc *noc);
const struct ts_noc_class_stats *ts_noc_class_stats(const struct ts_noc *noc, uint32_t klass);
/* From now on all statistics, those of links too, count from 0. */
void ts_noc_reset_stats(struct ts_noc *noc);
/* Routers, and the flits that lie in the input buffers of one; i is below ts_noc_router_count.
 * Flits on links and in source queues are at no router. */
uint32_t ts_noc_router_count(const struct ts_noc *noc);
uint32_t ts_noc_buffered(const struct ts_noc *noc, uint32_t i);
uint32_t ts_noc_links(const struct ts_noc *noc);
/* i is below ts_noc_links. False: the router has no link there. */
bool ts_noc_link(const struct ts_noc *noc, uint32_t i, struct ts_noc_link *link);
/* fn may be NULL: off. */
void ts_noc_trace(struct ts_noc *noc, ts_noc_hop_fn *fn, void *user);
/* Packets in queues or in the network, one for each destination. */
uint64_t ts_noc_pending(const struct ts_noc *noc);
/* No flit lost or duplicated, packet by packet; packets whole and one after the other in each
 * buffer; credits of every channel and flits on their way to it and in its buffer add up to its
 * depth. Any time between steps; TS_ERR_FINDING also after the watchdog has struck, or when packets
 * are there and nothing will ever move. */
enum ts_status ts_noc_check(const struct ts_noc *noc, struct ts_error *err);

#ifdef __cplusplus
}
#endif
#endif
