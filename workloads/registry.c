/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/workload.h"

#include <string.h>

const struct ts_workload_kind *ts_workload_kind_find(const char *name)
{
    size_t lo = 0, hi = ts_workload_kinds_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2u;
        int order = strcmp(ts_workload_kinds[mid]->ops.name, name);
        if (order == 0)
            return ts_workload_kinds[mid];
        if (order > 0)
            hi = mid;
        else
            lo = mid + 1u;
    }
    return NULL;
}
