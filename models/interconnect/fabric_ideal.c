/* SPDX-License-Identifier: Apache-2.0 */
/* No network at all: a message is delivered in the picosecond in which it is sent, through the
 * event queue, within a socket and between sockets. The upper bound of every comparison. */
#include "models/interconnect/fabric.h"

static uint32_t ideal_ports(uint32_t n)
{
    (void)n;
    return 1;
}

/* Never travelled; routes are still well formed, as every fabric's are. */
static uint32_t ideal_route(uint32_t n, uint32_t at, uint32_t dst, uint32_t *neighbour)
{
    (void)n;
    (void)at;
    *neighbour = dst;
    return 0;
}

static uint32_t ideal_gateway(uint32_t n)
{
    (void)n;
    return 0;
}

const struct ts_fabric_ops ts_fabric_ideal = {
    .name = "ideal",
    .summary = "no latency and no bandwidth limit, between sockets too",
    .reference = "upper bound, no hardware",
    .ports = ideal_ports,
    .route = ideal_route,
    .gateway = ideal_gateway,
    .instant = true,
};
