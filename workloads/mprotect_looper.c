/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/mprotect_looper.h"

#include "workloads/storm_threads.h"

static void protect(const struct ts_mprotect_looper *l, struct ts_op *op, uint32_t prot)
{
    op->kind = TS_OP_MPROTECT;
    op->length = l->pages * TS_STORM_PAGE;
    op->prot = prot;
    op->flags = l->records ? TS_OPF_RECORD : 0u;
}

int ts_mprotect_looper_next(struct ts_mprotect_looper *l, uint32_t region, struct ts_op *op)
{
    op->region = region;
    switch (l->step) {
    case TS_MPROTECT_START:
        op->kind = TS_OP_COMPUTE;
        op->region = 0;
        op->length = l->start_ns;
        l->step = TS_MPROTECT_MAP;
        return 1;
    case TS_MPROTECT_MAP:
        ts_storm_map(op, l->pages);
        l->step = TS_MPROTECT_WRITE;
        return 1;
    case TS_MPROTECT_WRITE:
        op->kind = TS_OP_TOUCH;
        op->count = l->pages;
        op->stride = TS_STORM_PAGE;
        op->flags = TS_OPF_WRITE;
        l->step = l->rounds && l->done == l->rounds ? TS_MPROTECT_EXIT : TS_MPROTECT_FORBID;
        return 1;
    case TS_MPROTECT_FORBID:
        protect(l, op, TS_PROT_READ);
        l->step = TS_MPROTECT_ALLOW;
        return 1;
    case TS_MPROTECT_ALLOW:
        protect(l, op, TS_PROT_READ | TS_PROT_WRITE);
        l->done++;
        l->step = TS_MPROTECT_WRITE;
        return 1;
    case TS_MPROTECT_EXIT:
        op->kind = TS_OP_EXIT;
        op->region = 0;
        l->step = TS_MPROTECT_OVER;
        return 1;
    case TS_MPROTECT_OVER:
        break;
    }
    return 0;
}
