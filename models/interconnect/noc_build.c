/* SPDX-License-Identifier: Apache-2.0 */
/* Wires, routes and memory of a network. */
#include "models/interconnect/noc_private.h"

#include <stdlib.h>

static uint32_t router_of(const struct ts_fabric_ops *fabric, uint32_t n, uint32_t node)
{
    if (fabric->one_router)
        return 0;
    return fabric->router_of ? fabric->router_of(n, node) : node;
}

/* Ports to other routers, of the router that has most of them. */
static uint32_t neighbour_ports(const struct ts_fabric_ops *fabric, uint32_t n)
{
    if (fabric->one_router)
        return 0;
    return fabric->router_ports ? fabric->router_ports(n) : fabric->ports(n);
}

static uint32_t routers(const struct ts_fabric_ops *fabric, uint32_t n)
{
    if (fabric->one_router)
        return 1;
    return fabric->routers ? fabric->routers(n) : n;
}

/* Nodes of the router that has most of them. The nodes of a router follow each other. */
static uint32_t nodes_of_router(const struct ts_fabric_ops *fabric, uint32_t n)
{
    uint32_t most = 0, count = 0;

    for (uint32_t i = 0; i < n; i++) {
        bool same = i > 0 && router_of(fabric, n, i) == router_of(fabric, n, i - 1);
        count = same ? count + 1 : 1;
        most = count > most ? count : most;
    }
    return most;
}

/* Ports of the nodes come after those of the neighbours. */
static void place_nodes(struct ts_noc *noc, const struct ts_fabric_ops *fabric, uint32_t neighbours)
{
    uint32_t before = NOC_NONE, port = 0;

    for (uint32_t i = 0; i < noc->nodes; i++) {
        uint32_t router = router_of(fabric, noc->nodes, i);

        port = router == before ? port + 1 : router * noc->ports + neighbours;
        before = router;
        noc->node[i].port = port;
        noc->out_port[port].to = i * noc->width | NOC_SINK;
        noc->in_port[port].credit_to = noc->channels + i * noc->width;
        /* A network interface takes credits as they come in. */
        noc->in_port[port].credit_cycles = 1 + noc->params.link;
    }
}

/* Joins an output to an input of the neighbour that nothing leads to yet. */
static void join(struct ts_noc *noc, uint32_t out, uint32_t neighbour, uint32_t neighbours)
{
    uint32_t in = neighbour * noc->ports;

    if (noc->out_port[out].to != NOC_NONE) {
        /* A port leads to one place. */
        TS_ASSERT(noc->out_port[out].to / noc->width / noc->ports == neighbour);
        return;
    }
    while (noc->in_port[in].credit_to != NOC_NONE)
        in++;
    TS_ASSERT(in < neighbour * noc->ports + neighbours);
    noc->out_port[out].to = in * noc->width;
    noc->in_port[in].credit_to = out * noc->width;
    noc->in_port[in].credit_cycles = 1 + noc->params.link + noc->params.credit;
}

static void fill_routes(struct ts_noc *noc, const struct ts_fabric_ops *fabric)
{
    uint32_t n = noc->nodes, neighbours = neighbour_ports(fabric, n);

    place_nodes(noc, fabric, neighbours);
    for (uint32_t at = 0; at < noc->routers; at++) {
        for (uint32_t dst = 0; dst < n; dst++) {
            struct noc_route *r = &noc->route[(size_t)at * n + dst];
            uint32_t neighbour;

            if (router_of(fabric, n, dst) == at) {
                r->port = (uint8_t)(noc->node[dst].port - at * noc->ports);
                continue;
            }
            r->port = (uint8_t)(fabric->router_route ? fabric->router_route
                                                     : fabric->route)(n, at, dst, &neighbour);
            r->half = (uint8_t)(noc->halved ? fabric->channel_half(n, at, dst) : 0);
            TS_ASSERT(r->port < neighbours && neighbour < noc->routers && r->half <= 2);
            join(noc, at * noc->ports + r->port, neighbour, neighbours);
        }
    }
}

static bool allocate_slots(struct ts_noc *noc)
{
    const struct ts_noc_params *p = &noc->params;
    uint32_t ports = noc->routers * noc->ports;
    uint32_t longest = p->rc + 1;
    uint32_t spans[] = {1 + p->st + p->link, 1 + p->link + p->credit, p->va, 2};

    for (size_t i = 0; i < TS_ARRAY_LEN(spans); i++)
        longest = spans[i] > longest ? spans[i] : longest;
    for (noc->slots = 4; noc->slots <= longest; noc->slots *= 2)
        ;
    noc->slot = calloc(noc->slots, sizeof(*noc->slot));
    if (!noc->slot)
        return false;
    /* A port takes and gives at most one flit a cycle; see noc_front for routed. */
    for (uint32_t i = 0; i < noc->slots; i++) {
        struct noc_slot *slot = &noc->slot[i];

        slot->arrivals = calloc((size_t)ports + noc->nodes, sizeof(*slot->arrivals));
        slot->credits = calloc((size_t)ports + noc->nodes, sizeof(*slot->credits));
        slot->routed = calloc((size_t)ports * 2, sizeof(*slot->routed));
        slot->granted = calloc((size_t)ports * noc->width, sizeof(*slot->granted));
        if (!slot->arrivals || !slot->credits || !slot->routed || !slot->granted)
            return false;
    }
    return true;
}

#define ALLOCATE(field, count) ((field = calloc((count), sizeof(*(field)))) != NULL)

static bool allocate_routers(struct ts_noc *noc)
{
    size_t ports = (size_t)noc->routers * noc->ports, square = (size_t)noc->ports * noc->ports;

    return ALLOCATE(noc->route, (size_t)noc->routers * noc->nodes) &&
           ALLOCATE(noc->allowed[0], noc->width) && ALLOCATE(noc->allowed[1], noc->width) &&
           ALLOCATE(noc->allowed[2], noc->width) && ALLOCATE(noc->in, noc->channels) &&
           ALLOCATE(noc->flits, (size_t)noc->channels * noc->params.depth) &&
           ALLOCATE(noc->out, noc->channels) && ALLOCATE(noc->in_port, ports) &&
           ALLOCATE(noc->out_port, ports) && ALLOCATE(noc->want, ports * noc->ports) &&
           ALLOCATE(noc->routed_ports, noc->routers) && ALLOCATE(noc->want_ports, noc->routers) &&
           ALLOCATE(noc->busy_routers, noc->routers / 64 + 1) && ALLOCATE(noc->spec_want, square) &&
           ALLOCATE(noc->spec_outs, noc->ports) &&
           ALLOCATE(noc->candidate, (size_t)noc->ports * TS_NOC_VCS_MAX) &&
           ALLOCATE(noc->asked, (size_t)noc->ports * noc->width);
}

static bool allocate_nodes(struct ts_noc *noc)
{
    return ALLOCATE(noc->node, noc->nodes) &&
           ALLOCATE(noc->queue, (size_t)noc->nodes * noc->params.classes) &&
           ALLOCATE(noc->ni_out, (size_t)noc->nodes * noc->width) &&
           ALLOCATE(noc->busy_nodes, noc->nodes / 64 + 1) &&
           ALLOCATE(noc->packet, noc->params.packets) && ALLOCATE(noc->klass, noc->params.classes);
}

static bool allocate_trees(struct ts_noc *noc)
{
    if (noc->params.multicast != TS_NOC_TREE)
        return true;
    noc->set_words = (noc->nodes + 63) / 64;
    return ALLOCATE(noc->set, (size_t)noc->params.packets * noc->set_words) &&
           ALLOCATE(noc->branch, (size_t)noc->channels * noc->ports) &&
           ALLOCATE(noc->open, noc->channels) && ALLOCATE(noc->asking, noc->channels) &&
           ALLOCATE(noc->forks, noc->routers);
}

static uint64_t channels_mask(uint32_t first, uint32_t count)
{
    return (count == 64 ? UINT64_MAX : noc_bit(count) - 1) << first;
}

static void reset_ports(struct ts_noc *noc)
{
    uint32_t ports = noc->routers * noc->ports, vcs = noc->params.vcs;
    uint64_t all = channels_mask(0, noc->width);

    for (uint32_t i = 0; i < ports; i++) {
        noc->in_port[i].router = i / noc->ports;
        noc->in_port[i].local = (uint8_t)(i % noc->ports);
        noc->in_port[i].credit_to = NOC_NONE;
        noc->out_port[i].free = all;
        noc->out_port[i].credit = all;
        noc->out_port[i].to = NOC_NONE;
    }
    for (uint32_t vc = 0; vc < noc->width; vc++) {
        uint32_t first = vc / vcs * vcs;
        noc->allowed[0][vc] = channels_mask(first, vcs);
        noc->allowed[1][vc] = channels_mask(first, vcs / 2);
        noc->allowed[2][vc] = channels_mask(first + vcs / 2, vcs / 2);
    }
}

static void reset(struct ts_noc *noc)
{
    for (uint32_t i = 0; i < noc->channels; i++) {
        noc->in[i].port = i / noc->width;
        noc->in[i].vc = (uint8_t)(i % noc->width);
        noc->out[i].credits = noc->params.depth;
        noc->out[i].owner = NOC_NONE;
    }
    for (uint32_t i = 0; i < noc->nodes * noc->width; i++) {
        noc->ni_out[i].credits = noc->params.depth;
        noc->ni_out[i].owner = NOC_NONE;
    }
    reset_ports(noc);
    for (uint32_t i = 0; i < noc->ports * TS_NOC_VCS_MAX; i++)
        noc->candidate[i] = NOC_NONE;
    for (uint32_t i = 0; i < noc->nodes * noc->params.classes; i++) {
        noc->queue[i].first = NOC_NONE;
        noc->queue[i].last = NOC_NONE;
        noc->queue[i].vc = NOC_NONE;
    }
    for (uint32_t i = noc->params.packets; i-- > 0;)
        noc->packet[i].next = i + 1 < noc->params.packets ? i + 1 : NOC_NONE;
    noc->free_packets = noc->params.packets;
}

static bool is_halved(const struct ts_fabric_ops *fabric)
{
    return !fabric->one_router && fabric->channel_half != NULL;
}

enum ts_status noc_check_fabric(const struct ts_fabric_ops *fabric, uint32_t nodes,
                                const struct ts_noc_params *params, struct ts_error *err)
{
    uint32_t ports = neighbour_ports(fabric, nodes) + nodes_of_router(fabric, nodes);

    if (ports > TS_NOC_PORTS_MAX)
        return ts_error_set(
            err, TS_ERR_USER,
            "fabric %s of %u nodes: a router has %u ports, more than the %u that are "
            "modelled flit by flit",
            fabric->name, nodes, ports, TS_NOC_PORTS_MAX);
    if (is_halved(fabric) && params->vcs % 2 != 0)
        return ts_error_set(err, TS_ERR_USER,
                            "fabric %s: its cycles need two sets of virtual channels, so their "
                            "number must be even, not %u",
                            fabric->name, params->vcs);
    return TS_OK;
}

enum ts_status noc_build(struct ts_noc *noc, const struct ts_fabric_ops *fabric,
                         struct ts_error *err)
{
    noc->width = noc->params.classes * noc->params.vcs;
    noc->routers = routers(fabric, noc->nodes);
    noc->ports = neighbour_ports(fabric, noc->nodes) + nodes_of_router(fabric, noc->nodes);
    noc->halved = is_halved(fabric);
    noc->channels = noc->routers * noc->ports * noc->width;
    if (!allocate_routers(noc) || !allocate_nodes(noc) || !allocate_trees(noc) ||
        !allocate_slots(noc))
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a network of %u nodes",
                            noc->nodes);
    reset(noc);
    fill_routes(noc, fabric);
    return TS_OK;
}

void noc_unbuild(struct ts_noc *noc)
{
    void *const blocks[] = {
        noc->route,      noc->allowed[0],   noc->allowed[1], noc->allowed[2],   noc->in,
        noc->flits,      noc->out,          noc->in_port,    noc->out_port,     noc->want,
        noc->want_ports, noc->routed_ports, noc->spec_want,  noc->busy_routers, noc->spec_outs,
        noc->candidate,  noc->asked,        noc->node,       noc->queue,        noc->ni_out,
        noc->busy_nodes, noc->packet,       noc->klass,      noc->set,          noc->branch,
        noc->open,       noc->asking,       noc->forks,
    };

    for (size_t i = 0; i < TS_ARRAY_LEN(blocks); i++)
        free(blocks[i]);
    for (uint32_t i = 0; noc->slot && i < noc->slots; i++) {
        free(noc->slot[i].arrivals);
        free(noc->slot[i].credits);
        free(noc->slot[i].routed);
        free(noc->slot[i].granted);
    }
    free(noc->slot);
}
