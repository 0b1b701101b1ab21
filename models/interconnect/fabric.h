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
};

extern const struct ts_fabric_ops *const ts_fabric_table[];
extern const size_t ts_fabric_table_count;
const struct ts_fabric_ops *ts_fabric_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
