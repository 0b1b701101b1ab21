/* SPDX-License-Identifier: Apache-2.0 */
/* A bidirectional ring: each message takes the shorter way round, the ascending one on a tie. Flit
 * by flit a hop before the wrap takes the first half of the channels, one behind it, or on a way
 * without it, the second, so that the channels form no cycle. (Intel's ring has slots instead: a
 * message on it never gives way for want of a buffer.) */
#include "models/interconnect/fabric.h"

enum ring_port { RING_UP = 0, RING_DOWN = 1, RING_PORTS = 2 };

static uint32_t ring_ports(uint32_t n)
{
    (void)n;
    return RING_PORTS;
}

static uint32_t ring_route(uint32_t n, uint32_t at, uint32_t dst, uint32_t *neighbour)
{
    uint32_t up = dst > at ? dst - at : dst + n - at;

    if (up <= n - up) {
        *neighbour = at + 1 == n ? 0 : at + 1;
        return RING_UP;
    }
    *neighbour = at == 0 ? n - 1 : at - 1;
    return RING_DOWN;
}

static uint32_t ring_half(uint32_t n, uint32_t at, uint32_t dst)
{
    uint32_t neighbour;
    bool up = ring_route(n, at, dst, &neighbour) == RING_UP;

    return (up ? dst > at : dst < at) ? 2 : 1;
}

static uint32_t ring_gateway(uint32_t n)
{
    (void)n;
    return 0;
}

const struct ts_fabric_ops ts_fabric_ring = {
    .name = "ring",
    .summary = "bidirectional ring, shorter way round",
    .reference = "Intel server parts before Skylake-SP (Sandy Bridge-EP to Broadwell-EP), one ring",
    .ports = ring_ports,
    .route = ring_route,
    .gateway = ring_gateway,
    .instant = false,
    .channel_half = ring_half,
};
