/* SPDX-License-Identifier: Apache-2.0 */
/* A full crossbar: one wire from each node into the switch, one hop to any other node. Messages
 * for one destination meet at that node's ejection port, which every fabric has. */
#include "models/interconnect/fabric.h"

static uint32_t crossbar_ports(uint32_t n)
{
    (void)n;
    return 1;
}

static uint32_t crossbar_route(uint32_t n, uint32_t at, uint32_t dst, uint32_t *neighbour)
{
    (void)n;
    (void)at;
    *neighbour = dst;
    return 0;
}

static uint32_t crossbar_gateway(uint32_t n)
{
    (void)n;
    return 0;
}

const struct ts_fabric_ops ts_fabric_crossbar = {
    .name = "crossbar",
    .summary = "full crossbar: every node one hop from every other",
    .reference = "Dally and Towles, Principles and Practices of Interconnection Networks (2004), "
                 "ch. 6",
    .ports = crossbar_ports,
    .route = crossbar_route,
    .gateway = crossbar_gateway,
    .instant = false,
    .one_router = true,
};
