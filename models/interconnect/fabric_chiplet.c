/* SPDX-License-Identifier: Apache-2.0 */
/* Core dies round an I/O die. The nodes of a die hang on the die's router, the dies on the router
 * of the I/O die, which has no nodes: a tree, so that its channels form no cycle. A die has eight
 * cores (the core complex of Zen 3 and Zen 4), or evenly fewer where their number is no multiple of
 * eight.
 *
 * Message by message there are no routers but the nodes': the first node of a die stands for its
 * router on ways out and in, and its second port for the die's link, which leads to the first node
 * of any other die. */
#include "models/interconnect/fabric.h"

#define DIE_NODES_MAX 8u

enum chiplet_port { CHIPLET_DIE = 0, CHIPLET_LINK = 1, CHIPLET_PORTS = 2 };

static uint32_t dies(uint32_t n)
{
    return (n + DIE_NODES_MAX - 1) / DIE_NODES_MAX;
}

static uint32_t die_nodes(uint32_t n)
{
    return (n + dies(n) - 1) / dies(n);
}

static uint32_t chiplet_ports(uint32_t n)
{
    (void)n;
    return CHIPLET_PORTS;
}

static uint32_t chiplet_route(uint32_t n, uint32_t at, uint32_t dst, uint32_t *neighbour)
{
    uint32_t size = die_nodes(n), here = at / size, there = dst / size;

    if (here == there) {
        *neighbour = dst;
        return CHIPLET_DIE;
    }
    if (at % size != 0) {
        *neighbour = here * size;
        return CHIPLET_DIE;
    }
    *neighbour = there * size;
    return CHIPLET_LINK;
}

static uint32_t chiplet_gateway(uint32_t n)
{
    (void)n;
    return 0;
}

/* The dies, then the I/O die. */
static uint32_t chiplet_routers(uint32_t n)
{
    return dies(n) == 1 ? 1 : dies(n) + 1;
}

static uint32_t chiplet_router_of(uint32_t n, uint32_t node)
{
    return node / die_nodes(n);
}

static uint32_t chiplet_router_ports(uint32_t n)
{
    return dies(n) == 1 ? 0 : dies(n);
}

static uint32_t chiplet_router_route(uint32_t n, uint32_t router, uint32_t dst, uint32_t *neighbour)
{
    uint32_t hub = dies(n);

    *neighbour = router == hub ? dst / die_nodes(n) : hub;
    return router == hub ? *neighbour : 0;
}

const struct ts_fabric_ops ts_fabric_chiplet = {
    .name = "chiplet",
    .summary = "core dies of at most 8 cores round an I/O die",
    .reference = "S. Naffziger et al., Pioneering Chiplet Technology and Design for the AMD EPYC "
                 "and Ryzen Processor Families, ISCA 2021: the shape of EPYC since Zen 2",
    .ports = chiplet_ports,
    .route = chiplet_route,
    .gateway = chiplet_gateway,
    .instant = false,
    .routers = chiplet_routers,
    .router_of = chiplet_router_of,
    .router_ports = chiplet_router_ports,
    .router_route = chiplet_router_route,
};
