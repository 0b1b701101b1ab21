/* SPDX-License-Identifier: Apache-2.0 */
/* An on-chip fabric: the shape of one socket's network. One file each, fabric_<name>.c, exporting
 * `const struct ts_fabric_ops ts_fabric_<name>`; CMake makes the sorted table. */
#ifndef TS_MODELS_FABRIC_H
#define TS_MODELS_FABRIC_H

#include "sim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_fabric_ops {
    const char *name;
    const char *summary;
    const char *reference;
    /* Output ports of each node, without the local one; nodes are numbered 0..n-1 in the socket. */
    uint32_t (*ports)(uint32_t n);
    /* The port (0..ports-1) by which a message at `at` goes on to `dst`, and the neighbour it leads
     * to. at != dst. Deterministic and deadlock-free (dimension order or its like). */
    uint32_t (*route)(uint32_t n, uint32_t at, uint32_t dst, uint32_t *neighbour);
    /* Node on which the link to the other sockets sits. */
    uint32_t (*gateway)(uint32_t n);
    bool instant; /* no router or link time at all (ideal) */
    /* All nodes hang on one router, flit by flit (crossbar); else one router a node. */
    bool one_router;
    /* For fabrics whose links form cycles: which half of a class's virtual channels, 1 or 2, the
     * hop from at towards dst may take, so that no cycle of channels is left (W. J. Dally and C. L.
     * Seitz, "Deadlock-Free Message Routing in Multiprocessor Interconnection Networks", IEEE ToC
     * C-36(5), 1987). NULL: no cycles. */
    uint32_t (*channel_half)(uint32_t n, uint32_t at, uint32_t dst);
    /* Flit by flit, where nodes share routers and some routers have no nodes; all NULL: one router
     * a node, or one for all. Number of routers; the router of a node; most ports to other routers
     * that a router has; and the hop from a router towards a node of another one. ports and route
     * then describe the same way, for message by message, between nodes only. */
    uint32_t (*routers)(uint32_t n);
    uint32_t (*router_of)(uint32_t n, uint32_t node);
    uint32_t (*router_ports)(uint32_t n);
    uint32_t (*router_route)(uint32_t n, uint32_t router, uint32_t dst, uint32_t *neighbour);
};

extern const struct ts_fabric_ops *const ts_fabric_table[];
extern const size_t ts_fabric_table_count;
const struct ts_fabric_ops *ts_fabric_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
