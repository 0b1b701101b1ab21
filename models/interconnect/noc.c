/* SPDX-License-Identifier: Apache-2.0 */
/* The network from outside: injection, delivery, and the order of a cycle. */
#include "models/interconnect/noc_private.h"

#include <stdlib.h>

#define INJECT_CYCLES 2u /* from the network interface into the router's buffer */

static enum ts_status check_params(const struct ts_noc_params *p, uint32_t nodes,
                                   struct ts_error *err)
{
    if (nodes == 0 || p->packets == 0)
        return ts_error_set(err, TS_ERR_USER, "a network needs nodes and room for packets");
    if (p->classes == 0 || p->vcs == 0 || p->classes * p->vcs > TS_NOC_VCS_MAX)
        return ts_error_set(err, TS_ERR_USER,
                            "%u classes of %u virtual channels: 1 to %u in all are possible",
                            p->classes, p->vcs, TS_NOC_VCS_MAX);
    if (p->depth == 0 || p->depth > 255)
        return ts_error_set(err, TS_ERR_USER, "a buffer of %u flits: 1 to 255 are possible",
                            p->depth);
    if (p->va == 0 || p->link == 0 || p->credit == 0)
        return ts_error_set(err, TS_ERR_USER,
                            "channel allocation, link and credit take at least "
                            "one cycle each");
    if (p->rc > 64 || p->va > 64 || p->st > 64 || p->link > 1024 || p->credit > 64)
        return ts_error_set(err, TS_ERR_USER, "a router stage or link is too long");
    if (p->packets > 1u << 30)
        return ts_error_set(err, TS_ERR_USER, "more packets than a network has room for");
    if (p->speculative && p->va != 1)
        return ts_error_set(err, TS_ERR_USER,
                            "a speculative router allocates channels in one cycle");
    return TS_OK;
}

enum ts_status ts_noc_check_params(const struct ts_fabric_ops *fabric, uint32_t nodes,
                                   const struct ts_noc_params *params, struct ts_error *err)
{
    enum ts_status status = check_params(params, nodes, err);

    if (status != TS_OK)
        return status;
    if (fabric->instant)
        return ts_error_set(err, TS_ERR_USER, "fabric %s has no routers", fabric->name);
    return noc_check_fabric(fabric, nodes, params, err);
}

enum ts_status ts_noc_create(struct ts_noc **out, const struct ts_fabric_ops *fabric,
                             uint32_t nodes, const struct ts_noc_params *params,
                             ts_noc_deliver_fn *deliver, void *user, struct ts_error *err)
{
    enum ts_status status = ts_noc_check_params(fabric, nodes, params, err);
    struct ts_noc *noc;

    if (status != TS_OK)
        return status;
    noc = calloc(1, sizeof(*noc));
    if (!noc)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a network");
    noc->params = *params;
    noc->nodes = nodes;
    noc->deliver = deliver;
    noc->user = user;
    status = noc_build(noc, fabric, err);
    if (status != TS_OK) {
        ts_noc_destroy(noc);
        return status;
    }
    *out = noc;
    return TS_OK;
}

void ts_noc_destroy(struct ts_noc *noc)
{
    if (!noc)
        return;
    noc_unbuild(noc);
    free(noc);
}

uint32_t noc_packet_take(struct ts_noc *noc)
{
    uint32_t i = noc->free_packet;

    TS_ASSERT(i != NOC_NONE);
    noc->free_packet = noc->packet[i].next;
    return i;
}

void noc_packet_free(struct ts_noc *noc, uint32_t packet)
{
    noc->packet[packet].flits = 0;
    noc->packet[packet].next = noc->free_packet;
    noc->free_packet = packet;
    noc->free_packets++;
}

void noc_enqueue(struct ts_noc *noc, uint64_t cycle, uint32_t packet, uint32_t ndst)
{
    const struct noc_packet *p = &noc->packet[packet];
    struct noc_queue *q = &noc->queue[p->src * noc->params.classes + p->klass];

    if (q->first == NOC_NONE)
        q->first = packet;
    else
        noc->packet[q->last].next = packet;
    q->last = packet;
    if (ts_noc_pending(noc) == 0)
        noc->moved = cycle;
    noc->node[p->src].queued++;
    noc_set(noc->busy_nodes, p->src);
    noc->stats.packets_sent += ndst;
    noc->stats.flits_sent += p->flits;
    noc->klass[p->klass].packets_sent += ndst;
}

bool ts_noc_send(struct ts_noc *noc, uint64_t cycle, uint32_t src, uint32_t dst, uint32_t klass,
                 uint32_t flits, uint64_t cookie)
{
    TS_ASSERT(src < noc->nodes && dst < noc->nodes && klass < noc->params.classes && flits > 0);
    if (noc->free_packets == 0)
        return false;
    noc->free_packets--;
    uint32_t i = noc_packet_take(noc);
    noc->packet[i] = (struct noc_packet){
        cookie, cycle, cycle, src, dst, NOC_NONE, flits, flits, 0, klass,
    };
    noc_enqueue(noc, cycle, i, 1);
    return true;
}

bool ts_noc_multicast(struct ts_noc *noc, uint64_t cycle, uint32_t src, const uint32_t *dst,
                      uint32_t ndst, uint32_t klass, uint32_t flits, uint64_t cookie)
{
    TS_ASSERT(ndst > 0);
    if (noc->params.multicast == TS_NOC_TREE && ndst > 1)
        return noc_tree_send(noc, cycle, src, dst, ndst, klass, flits, cookie);
    if (noc->free_packets < ndst)
        return false;
    for (uint32_t i = 0; i < ndst; i++)
        (void)ts_noc_send(noc, cycle, src, dst[i], klass, flits, cookie);
    return true;
}

/* A channel into the router for a new packet: the next free one after the last taken. */
static uint32_t choose_channel(const struct ts_noc *noc, uint32_t node, uint32_t klass,
                               uint32_t last)
{
    uint32_t vcs = noc->params.vcs, first = klass * vcs;

    for (uint32_t i = 1; i <= vcs; i++) {
        uint32_t vc = first + (last + i) % vcs;
        const struct noc_out *out = &noc->ni_out[node * noc->width + vc];
        if (out->owner == NOC_NONE && out->credits > 0)
            return vc;
    }
    return NOC_NONE;
}

static bool inject_class(struct ts_noc *noc, uint32_t node, uint32_t klass, uint64_t cycle)
{
    struct noc_queue *q = &noc->queue[node * noc->params.classes + klass];

    if (q->first == NOC_NONE)
        return false;
    if (q->vc == NOC_NONE) {
        q->vc = choose_channel(noc, node, klass, q->last_vc);
        if (q->vc == NOC_NONE)
            return false;
        q->last_vc = q->vc % noc->params.vcs;
        noc->ni_out[node * noc->width + q->vc].owner = q->first;
    }
    struct noc_out *out = &noc->ni_out[node * noc->width + q->vc];
    if (out->credits == 0)
        return false;
    struct noc_packet *packet = &noc->packet[q->first];
    struct noc_slot *slot = &noc->slot[noc_slot_of(noc, cycle + INJECT_CYCLES)];
    struct noc_arrival *arrival = &slot->arrivals[slot->narrivals++];
    if (packet->left == packet->flits)
        packet->injected = cycle;
    bool tail = --packet->left == 0;

    out->credits--;
    *arrival = (struct noc_arrival){noc->node[node].port * noc->width + q->vc,
                                    q->first << 1 | (uint32_t)tail};
    noc->node[node].flits++;
    noc->waiting++;
    noc->moved = cycle;
    if (tail) {
        out->owner = NOC_NONE;
        q->vc = NOC_NONE;
        q->first = packet->next;
        if (--noc->node[node].queued == 0)
            noc_clear(noc->busy_nodes, node);
    }
    return true;
}

/* One flit a node and cycle. */
static void inject(struct ts_noc *noc, uint32_t node, uint64_t cycle)
{
    uint32_t classes = noc->params.classes, first = noc->node[node].next_class;

    for (uint32_t i = 0; i < classes; i++) {
        uint32_t klass = (first + i) % classes;
        if (inject_class(noc, node, klass, cycle)) {
            noc->node[node].next_class = (klass + 1) % classes;
            return;
        }
    }
}

static void deliver(struct ts_noc *noc, const struct noc_arrival *arrival, uint64_t cycle)
{
    uint32_t to = arrival->to & ~NOC_SINK, node = to / noc->width, vc = to - node * noc->width;
    const struct ts_noc_params *p = &noc->params;
    struct noc_slot *slot = &noc->slot[noc_slot_of(noc, cycle + 1 + p->link + p->credit)];
    struct noc_packet *packet = &noc->packet[arrival->flit >> 1];

    slot->credits[slot->ncredits++] = noc->node[node].port * noc->width + vc;
    noc->waiting++;
    noc->stats.flits_delivered++;
    noc->moved = cycle;
    packet->taken++;
    if (!(arrival->flit & 1u))
        return;
    struct ts_noc_delivery done = {
        packet->cookie, cycle,       packet->sent,  packet->injected,
        packet->src,    packet->dst, packet->klass, packet->flits,
    };
    TS_ASSERT(packet->left == 0 && packet->dst == node && packet->taken == packet->flits);
    noc_packet_free(noc, arrival->flit >> 1);
    noc->stats.packets_delivered++;
    noc->klass[done.klass].packets_delivered++;
    noc->klass[done.klass].flits_delivered += done.flits;
    noc->deliver(noc->user, &done);
}

static void take_credit(struct ts_noc *noc, uint32_t to)
{
    if (to >= noc->channels) {
        noc->ni_out[to - noc->channels].credits++;
        return;
    }
    struct noc_out *out = &noc->out[to];
    if (out->credits++ > 0)
        return;
    uint32_t port = to / noc->width;
    noc->out_port[port].credit |= noc_bit(to - port * noc->width);
    if (out->owner == NOC_NONE)
        return;
    if (noc->in[out->owner].state == NOC_FORK)
        noc_tree_update_want(noc, out->owner, port % noc->ports);
    else
        noc_update_want(noc, out->owner);
}

static void arrive(struct ts_noc *noc, const struct noc_arrival *arrival, uint64_t cycle)
{
    struct noc_in *in = &noc->in[arrival->to];
    uint32_t at = (uint32_t)in->head + in->count;

    TS_ASSERT(in->count < noc->params.depth);
    at = at >= noc->params.depth ? at - noc->params.depth : at;
    noc->flits[arrival->to * noc->params.depth + at] = arrival->flit;
    in->count++;
    if (in->state == NOC_IDLE)
        noc_front(noc, arrival->to, cycle, true);
    else if (in->state == NOC_ACTIVE && in->count == 1)
        noc_update_want(noc, arrival->to);
    else if (in->state == NOC_FORK)
        noc_tree_arrive(noc, arrival->to);
}

/* An output channel that was allocated may now be used. */
static void activate(struct ts_noc *noc, uint32_t out)
{
    uint32_t channel = noc->out[out].owner;

    if (noc->in[channel].state == NOC_FORK) {
        noc_tree_activate(noc, channel, out / noc->width % noc->ports);
        return;
    }
    noc->in[channel].state = NOC_ACTIVE;
    noc_update_want(noc, channel);
}

/* What earlier cycles have sent here. */
static void begin(struct ts_noc *noc, uint64_t cycle)
{
    struct noc_slot *slot = &noc->slot[noc_slot_of(noc, cycle)];

    noc->waiting -= slot->ncredits + slot->narrivals + slot->nrouted + slot->ngranted;
    for (uint32_t i = 0; i < slot->ncredits; i++)
        take_credit(noc, slot->credits[i]);
    for (uint32_t i = 0; i < slot->nrouted; i++)
        noc_routed(noc, slot->routed[i]);
    for (uint32_t i = 0; i < slot->ngranted; i++)
        activate(noc, slot->granted[i]);
    uint32_t arrivals = slot->narrivals;
    slot->ncredits = slot->narrivals = slot->nrouted = slot->ngranted = 0;
    for (uint32_t i = 0; i < arrivals; i++) {
        if (slot->arrivals[i].to & NOC_SINK)
            deliver(noc, &slot->arrivals[i], cycle);
        else
            arrive(noc, &slot->arrivals[i], cycle);
    }
}

void ts_noc_step(struct ts_noc *noc, uint64_t cycle)
{
    noc->stats.steps++;
    begin(noc, cycle);
    for (uint32_t word = 0; word <= (noc->nodes - 1) / 64; word++)
        for (uint64_t bits = noc->busy_nodes[word]; bits != 0; bits &= bits - 1)
            inject(noc, word * 64 + (uint32_t)__builtin_ctzll(bits), cycle);
    for (uint32_t word = 0; word <= (noc->routers - 1) / 64; word++)
        for (uint64_t bits = noc->busy_routers[word]; bits != 0; bits &= bits - 1)
            noc_router_step(noc, word * 64 + (uint32_t)__builtin_ctzll(bits), cycle);
    if (noc->params.watchdog != 0 && ts_noc_pending(noc) != 0 &&
        cycle - noc->moved > noc->params.watchdog)
        noc->stuck = true;
}

uint64_t ts_noc_next(const struct ts_noc *noc, uint64_t cycle)
{
    for (uint32_t word = 0; word <= (noc->nodes - 1) / 64; word++)
        if (noc->busy_nodes[word] != 0)
            return cycle;
    for (uint32_t word = 0; word <= (noc->routers - 1) / 64; word++)
        if (noc->busy_routers[word] != 0)
            return cycle;
    if (noc->waiting == 0)
        return TS_NOC_NEVER;
    for (;; cycle++) {
        const struct noc_slot *slot = &noc->slot[noc_slot_of(noc, cycle)];
        if (slot->ncredits + slot->narrivals + slot->nrouted + slot->ngranted != 0)
            return cycle;
    }
}

uint32_t ts_noc_routers(const struct ts_noc *noc, uint32_t src, uint32_t dst)
{
    uint32_t router = noc->node[src].port / noc->ports, count = 1;

    for (;; count++) {
        uint32_t out = router * noc->ports + noc->route[(size_t)router * noc->nodes + dst].port;
        if (noc->out_port[out].to & NOC_SINK)
            return count;
        router = noc->out_port[out].to / noc->width / noc->ports;
    }
}

uint32_t ts_noc_router_count(const struct ts_noc *noc)
{
    return noc->routers;
}

uint32_t ts_noc_buffered(const struct ts_noc *noc, uint32_t i)
{
    const uint32_t channels = noc->ports * noc->width;
    uint32_t flits = 0;

    TS_ASSERT(i < noc->routers);
    for (uint32_t c = 0; c < channels; c++)
        flits += noc->in[i * channels + c].count;
    return flits;
}

uint64_t ts_noc_zero_load(const struct ts_noc *noc, uint32_t src, uint32_t dst, uint32_t flits)
{
    const struct ts_noc_params *p = &noc->params;
    uint64_t hop = p->rc + (p->speculative ? 0 : p->va) + 1 + p->st + p->link;

    return ts_noc_routers(noc, src, dst) * hop + INJECT_CYCLES + flits - 1;
}

const struct ts_noc_stats *ts_noc_stats(const struct ts_noc *noc)
{
    return &noc->stats;
}

const struct ts_noc_class_stats *ts_noc_class_stats(const struct ts_noc *noc, uint32_t klass)
{
    TS_ASSERT(klass < noc->params.classes);
    return &noc->klass[klass];
}

void ts_noc_reset_stats(struct ts_noc *noc)
{
    noc->pending_before = ts_noc_pending(noc);
    noc->flits_before +=
        noc->stats.flits_sent + noc->stats.flits_copied - noc->stats.flits_delivered;
    noc->stats = (struct ts_noc_stats){0};
    for (uint32_t i = 0; i < noc->params.classes; i++)
        noc->klass[i] = (struct ts_noc_class_stats){0};
    for (uint32_t i = 0; i < noc->routers * noc->ports; i++)
        noc->out_port[i].flits = 0;
    for (uint32_t i = 0; i < noc->nodes; i++)
        noc->node[i].flits = 0;
}

uint32_t ts_noc_links(const struct ts_noc *noc)
{
    return noc->routers * noc->ports + noc->nodes;
}

bool ts_noc_link(const struct ts_noc *noc, uint32_t i, struct ts_noc_link *link)
{
    uint32_t outs = noc->routers * noc->ports;

    TS_ASSERT(i < ts_noc_links(noc));
    *link = (struct ts_noc_link){NOC_NONE, NOC_NONE, NOC_NONE, 0};
    if (i >= outs) {
        link->node = i - outs;
        link->to_router = noc->node[i - outs].port / noc->ports;
        link->flits = noc->node[i - outs].flits;
        return true;
    }
    uint32_t to = noc->out_port[i].to;
    link->from_router = i / noc->ports;
    link->flits = noc->out_port[i].flits;
    if (to == NOC_NONE)
        return false;
    if (to & NOC_SINK)
        link->node = (to & ~NOC_SINK) / noc->width;
    else
        link->to_router = to / noc->width / noc->ports;
    return true;
}

void ts_noc_trace(struct ts_noc *noc, ts_noc_hop_fn *fn, void *user)
{
    noc->hop = fn;
    noc->hop_user = user;
}

uint64_t ts_noc_pending(const struct ts_noc *noc)
{
    return noc->pending_before + noc->stats.packets_sent - noc->stats.packets_delivered;
}
