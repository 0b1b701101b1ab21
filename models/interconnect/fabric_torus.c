/* SPDX-License-Identifier: Apache-2.0 */
/* A two-dimensional torus: rows and columns are rings, each taken the shorter way, the row first. A
 * node count without a full rectangle (a prime) is one ring. */
#include "models/interconnect/fabric.h"

enum torus_port {
    TORUS_EAST = 0,
    TORUS_WEST = 1,
    TORUS_SOUTH = 2,
    TORUS_NORTH = 3,
    TORUS_PORTS = 4
};

/* The side of the rectangle that is nearest to a square. */
static uint32_t torus_width(uint32_t n)
{
    uint32_t height = 1;

    for (uint32_t h = 1; h * h <= n; h++)
        if (n % h == 0)
            height = h;
    return n / height;
}

static uint32_t torus_ports(uint32_t n)
{
    (void)n;
    return TORUS_PORTS;
}

/* One step from one place to another on a ring of n; ascending on a tie. */
static uint32_t ring_step(uint32_t n, uint32_t from, uint32_t to, bool *up)
{
    uint32_t distance = to > from ? to - from : to + n - from;

    *up = distance <= n - distance;
    if (*up)
        return from + 1 == n ? 0 : from + 1;
    return from == 0 ? n - 1 : from - 1;
}

static uint32_t torus_route(uint32_t n, uint32_t at, uint32_t dst, uint32_t *neighbour)
{
    uint32_t width = torus_width(n);
    uint32_t x = at % width, y = at / width;
    bool up;

    if (x != dst % width) {
        *neighbour = y * width + ring_step(width, x, dst % width, &up);
        return up ? TORUS_EAST : TORUS_WEST;
    }
    *neighbour = ring_step(n / width, y, dst / width, &up) * width + x;
    return up ? TORUS_SOUTH : TORUS_NORTH;
}

/* As on a ring, for the dimension that the hop is in. */
static uint32_t torus_half(uint32_t n, uint32_t at, uint32_t dst)
{
    uint32_t width = torus_width(n);
    uint32_t from = at % width, to = dst % width, size = width;
    bool up;

    if (from == to) {
        from = at / width;
        to = dst / width;
        size = n / width;
    }
    (void)ring_step(size, from, to, &up);
    return (up ? to > from : to < from) ? 2 : 1;
}

static uint32_t torus_gateway(uint32_t n)
{
    (void)n;
    return 0;
}

const struct ts_fabric_ops ts_fabric_torus = {
    .name = "torus",
    .summary = "2-D torus, dimension-order routing, shorter way round each ring",
    .reference = "Dally and Towles, Principles and Practices of Interconnection Networks (2004), "
                 "ch. 5; Dally and Seitz, IEEE ToC C-36(5), 1987",
    .ports = torus_ports,
    .route = torus_route,
    .gateway = torus_gateway,
    .instant = false,
    .channel_half = torus_half,
};
