/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct ts_noc; for noc*.c only. Input and output ports of all routers are numbered
 * router * ports + port; channels port * width + channel, where width is classes * vcs. A router
 * has ports for its neighbours first, then for the nodes that sit on it. */
#ifndef TS_MODELS_NOC_PRIVATE_H
#define TS_MODELS_NOC_PRIVATE_H

#include "models/interconnect/noc.h"

#define NOC_NONE UINT32_MAX
#define NOC_SINK (UINT32_C(1) << 31) /* a destination that is a node, not an input channel */

enum noc_state {
    NOC_IDLE = 0, /* no packet at the front */
    NOC_WAIT,     /* route computation, or allocation just won */
    NOC_ROUTED,   /* asks for an output channel */
    NOC_ACTIVE,   /* has one */
    NOC_FORK      /* several branches, each with a state of its own */
};

/* An input channel. */
struct noc_in {
    uint8_t head, count; /* ring of buffered flits */
    uint8_t state;       /* enum noc_state */
    uint8_t out_port, out_vc;
    uint8_t half; /* of its class's channels that the hop may take: 0: both, 1, 2 */
    uint8_t vc;
    uint8_t va_port, va_vc; /* round robin over the router's output channels */
    uint8_t fresh;          /* no flit has gone to the output channel yet */
    uint32_t port;
};

/* An output channel. */
struct noc_out {
    uint32_t credits;
    uint32_t owner;      /* input channel that holds it, NOC_NONE: free */
    uint32_t va_pointer; /* round robin over the router's input channels */
};

struct noc_in_port {
    uint64_t routed;    /* channels that ask for an output channel */
    uint64_t want_outs; /* outputs that some channel could send to now */
    uint32_t router;
    uint32_t credit_to; /* channel 0 of the output that feeds it; a node's way in is numbered from
                           routers * ports * width on */
    uint32_t credit_cycles;
    uint8_t local; /* number in the router */
    uint8_t sa;    /* round robin over outputs */
    uint8_t vc;    /* which channel goes next, of those for one output */
};

struct noc_out_port {
    uint64_t free;   /* channels without owner */
    uint64_t credit; /* channels with credits */
    uint64_t flits;  /* sent, for statistics */
    uint32_t to;     /* channel 0 of the neighbour's input; or node * width | NOC_SINK */
    uint8_t sa;      /* round robin over inputs */
};

struct noc_route {
    uint8_t port;
    uint8_t half;
};

/* A packet, or the part of a multicast that is for some of its destinations. */
struct noc_packet {
    uint64_t cookie, sent, injected;
    uint32_t src;
    uint32_t dst;   /* NOC_NONE: more than one, in the set */
    uint32_t next;  /* in its source queue, or the free list */
    uint32_t flits; /* 0: the record is free */
    uint32_t left;  /* flits that its source, or the packet it is a branch of, has yet to send */
    uint32_t taken; /* flits that have left the network, or been copied for all branches */
    uint32_t klass;
};

/* Of a packet at the front of an input channel, towards one output. */
struct noc_branch {
    uint8_t state; /* enum noc_state */
    uint8_t half, out_vc;
    uint8_t taken; /* flits of the buffer, from its head, that the branch has sent */
    uint32_t packet;
};

/* What happens at the beginning of a cycle. */
struct noc_arrival {
    uint32_t to;   /* input channel; or node * width + channel | NOC_SINK */
    uint32_t flit; /* packet << 1 | tail */
};

struct noc_slot {
    struct noc_arrival *arrivals;
    uint32_t *credits; /* output channels; those of network interfaces from `channels` on */
    uint32_t *routed;  /* input channels that may now ask for an output channel */
    uint32_t *granted; /* output channels that their owners may now use */
    uint32_t narrivals, ncredits, nrouted, ngranted;
};

/* The injection side of a node: one input port of its router, seen from the other end. */
struct noc_node {
    uint64_t flits; /* injected, for statistics */
    uint32_t port;  /* of its router: the same number in and out */
    uint32_t next_class;
    uint32_t queued; /* packets */
};

struct noc_queue {        /* of a node and class */
    uint32_t first, last; /* packets */
    uint32_t vc;          /* of the packet that is being injected; NOC_NONE: none is */
    uint32_t last_vc;
};

struct ts_noc {
    struct ts_noc_params params;
    struct ts_noc_stats stats;
    struct ts_noc_class_stats *klass;
    uint64_t pending_before, flits_before; /* at the last reset of the statistics */
    ts_noc_deliver_fn *deliver;
    void *user;
    ts_noc_hop_fn *hop;
    void *hop_user;
    uint32_t nodes, routers;
    uint32_t ports; /* of a router */
    uint32_t width; /* channels of a port */
    uint32_t channels;
    bool halved;             /* the fabric has cycles */
    struct noc_route *route; /* [router * nodes + dst] */
    uint64_t *allowed[3];    /* [half][channel of a port] channels that its packets may go on in */

    struct noc_in *in;
    uint32_t *flits; /* [input channel * depth] */
    struct noc_out *out;
    struct noc_in_port *in_port;
    struct noc_out_port *out_port;
    uint64_t *want; /* [input port * ports + output] channels that could send there now */
    uint64_t *routed_ports, *want_ports; /* [router] input ports with any */
    uint64_t *busy_routers;              /* bit set: some input asks for something */

    struct noc_node *node;
    struct noc_queue *queue; /* [node * classes + class] */
    struct noc_out *ni_out;  /* [node * width]: channels of the way into the router */
    uint64_t *busy_nodes;    /* bit set: something to inject */
    struct noc_packet *packet;
    uint32_t free_packet;
    uint32_t free_packets; /* not counting those that multicasts under way may yet need */

    /* Of multicast trees only. */
    uint32_t set_words;
    uint64_t *set;             /* [packet * set_words] destinations where there are several */
    struct noc_branch *branch; /* [input channel * ports + output] */
    uint64_t *open;            /* [input channel] branches that are not done */
    uint64_t *asking;          /* [input channel] of them, those in NOC_ROUTED */
    uint32_t *forks;           /* [router] input channels in NOC_FORK */

    struct noc_slot *slot; /* ring by cycle */
    uint32_t slots;
    uint32_t waiting; /* entries in all slots */
    uint64_t moved;   /* cycle in which a flit last moved */
    bool stuck;

    /* Scratch of one router's allocation. */
    uint64_t *spec_want; /* [in * ports + out] */
    uint64_t *spec_outs; /* [in] */
    uint32_t *candidate; /* [output channel of the router] input channel */
    uint32_t *asked;     /* output channels with a candidate */
};

static inline uint32_t noc_slot_of(const struct ts_noc *noc, uint64_t cycle)
{
    return (uint32_t)cycle & (noc->slots - 1);
}

/* First bit of mask at or after from, else the first of all. mask is not 0, from is below 64. */
static inline uint32_t noc_pick(uint64_t mask, uint32_t from)
{
    uint64_t high = mask >> from << from;
    return (uint32_t)__builtin_ctzll(high != 0 ? high : mask);
}

static inline uint64_t noc_bit(uint32_t i)
{
    return UINT64_C(1) << i;
}

static inline void noc_set(uint64_t *set, uint32_t i)
{
    set[i >> 6] |= noc_bit(i & 63u);
}

static inline void noc_clear(uint64_t *set, uint32_t i)
{
    set[i >> 6] &= ~noc_bit(i & 63u);
}

static inline uint32_t noc_next(uint32_t i, uint32_t size)
{
    return i + 1 == size ? 0 : i + 1;
}

static inline uint32_t noc_flit(const struct ts_noc *noc, uint32_t channel, uint32_t i)
{
    uint32_t at = noc->in[channel].head + i, depth = noc->params.depth;
    return noc->flits[channel * depth + (at >= depth ? at - depth : at)];
}

static inline struct noc_branch *noc_branch(const struct ts_noc *noc, uint32_t channel,
                                            uint32_t out)
{
    return &noc->branch[(size_t)channel * noc->ports + out];
}

/* noc.c: records of packets. free_packets is the caller's to reduce. */
uint32_t noc_packet_take(struct ts_noc *noc);
void noc_packet_free(struct ts_noc *noc, uint32_t packet);
/* Puts it into its source's queue. It counts as one for each of ndst destinations. */
void noc_enqueue(struct ts_noc *noc, uint64_t cycle, uint32_t packet, uint32_t ndst);

/* noc_router.c: allocation and traversal of one router in a cycle. */
void noc_router_step(struct ts_noc *noc, uint32_t router, uint64_t cycle);
/* Whether the input channel can send to an output of its router: whenever its front or the output's
 * credits have changed. */
void noc_set_want(struct ts_noc *noc, uint32_t channel, uint32_t out, bool can);
void noc_update_want(struct ts_noc *noc, uint32_t channel);
/* A new packet is at the front of the channel from `cycle` on. */
void noc_front(struct ts_noc *noc, uint32_t channel, uint64_t cycle, bool now);
/* Its route is known: it asks for an output channel, or for those of its branches. */
void noc_routed(struct ts_noc *noc, uint32_t channel);
/* A flit goes out. */
void noc_transmit(struct ts_noc *noc, uint32_t out_port, uint32_t vc, uint32_t flit,
                  uint64_t cycle);
/* The first flit of the channel leaves its buffer. */
void noc_take(struct ts_noc *noc, uint32_t channel, uint64_t cycle);
void noc_report_hop(const struct ts_noc *noc, uint32_t out_port, uint32_t packet, uint64_t cycle);

/* noc_tree.c: packets for several destinations. */
bool noc_tree_send(struct ts_noc *noc, uint64_t cycle, uint32_t src, const uint32_t *dst,
                   uint32_t ndst, uint32_t klass, uint32_t flits, uint64_t cookie);
/* The route of one at the front of a channel; its branches, if they part here. */
void noc_tree_front(struct ts_noc *noc, uint32_t channel, uint32_t packet);
void noc_tree_routed(struct ts_noc *noc, uint32_t channel);
/* The branch has been given an output channel. True: it was the last to ask. */
bool noc_tree_granted(struct ts_noc *noc, uint32_t channel, uint32_t out, uint32_t vc);
/* From now on it may use it. */
void noc_tree_activate(struct ts_noc *noc, uint32_t channel, uint32_t out);
void noc_tree_update_want(struct ts_noc *noc, uint32_t channel, uint32_t out);
/* A flit has come in behind others of its packet. */
void noc_tree_arrive(struct ts_noc *noc, uint32_t channel);
/* The channel sends one flit to each of the outputs that it has won. */
void noc_tree_traverse(struct ts_noc *noc, uint32_t channel, uint64_t outs, uint64_t cycle);

/* noc_build.c */
enum ts_status noc_check_fabric(const struct ts_fabric_ops *fabric, uint32_t nodes,
                                const struct ts_noc_params *params, struct ts_error *err);
enum ts_status noc_build(struct ts_noc *noc, const struct ts_fabric_ops *fabric,
                         struct ts_error *err);
void noc_unbuild(struct ts_noc *noc);

#endif
