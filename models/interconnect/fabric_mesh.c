/* SPDX-License-Identifier: Apache-2.0 */
/* A two-dimensional mesh, node y * width + x, dimension-order routing: along the row, then along
 * the column. */
#include "models/interconnect/fabric.h"

enum mesh_port { MESH_EAST = 0, MESH_WEST = 1, MESH_SOUTH = 2, MESH_NORTH = 3, MESH_PORTS = 4 };

/* A full rectangle no longer than twice its width where n has one, else the nearest square with an
 * incomplete last row. */
static uint32_t mesh_width(uint32_t n)
{
    uint32_t root = 1;

    while (root * root < n)
        root++;
    for (uint32_t height = root; height > 0 && n <= 2 * height * height; height--)
        if (n % height == 0)
            return n / height > height ? n / height : height;
    return root;
}

static uint32_t mesh_ports(uint32_t n)
{
    (void)n;
    return MESH_PORTS;
}

static uint32_t mesh_route(uint32_t n, uint32_t at, uint32_t dst, uint32_t *neighbour)
{
    uint32_t width = mesh_width(n);
    uint32_t x = at % width, y = at / width;
    uint32_t dst_x = dst % width, dst_y = dst / width;
    bool incomplete = (y + 1) * width > n;

    /* Out of an incomplete last row the column comes first, because the row may end before dst's
     * column. A channel that leads out of that row is entered by injection only, so no cycle of
     * waiting can run through it. */
    if (incomplete && dst_y != y) {
        *neighbour = at - width;
        return MESH_NORTH;
    }
    if (x < dst_x) {
        *neighbour = at + 1;
        return MESH_EAST;
    }
    if (x > dst_x) {
        *neighbour = at - 1;
        return MESH_WEST;
    }
    if (y < dst_y) {
        *neighbour = at + width;
        return MESH_SOUTH;
    }
    *neighbour = at - width;
    return MESH_NORTH;
}

/* Off-chip links sit on the rim. */
static uint32_t mesh_gateway(uint32_t n)
{
    return (mesh_width(n) - 1) / 2;
}

const struct ts_fabric_ops ts_fabric_mesh = {
    .name = "mesh",
    .summary = "2-D mesh, as square as the core count allows, dimension-order (XY) routing",
    .reference = "Dally and Towles, Principles and Practices of Interconnection Networks (2004), "
                 "ch. 8; the shape of Intel server parts since Skylake-SP and of Arm CMN",
    .ports = mesh_ports,
    .route = mesh_route,
    .gateway = mesh_gateway,
    .instant = false,
};
