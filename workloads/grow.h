/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays of the trace readers. */
#ifndef TS_WORKLOADS_GROW_H
#define TS_WORKLOADS_GROW_H

#include "sim/base.h"
#include "sim/error.h"

#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The array with room for at least need elements of size bytes, *cap updated; NULL with *err set
 * and the old array intact when there is no memory. */
static inline void *ts_grow(void *v, size_t *cap, size_t need, size_t size, struct ts_error *err)
{
    if (need <= *cap && v)
        return v;
    size_t n = *cap ? *cap : 8u;
    while (n < need && n <= SIZE_MAX / 2u)
        n *= 2u;
    void *grown = n >= need && n <= SIZE_MAX / size ? realloc(v, n * size) : NULL;
    if (!grown) {
        ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
        return NULL;
    }
    *cap = n;
    return grown;
}

#ifdef __cplusplus
}
#endif
#endif
