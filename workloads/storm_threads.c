/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/storm_threads.h"

#include <stdlib.h>

static int next_main(struct ts_storm *s, struct ts_op *op)
{
    if (s->prelude && s->prelude(s, op))
        return 1;
    s->prelude = NULL;
    if (s->spawned == s->threads) {
        op->kind = TS_OP_EXIT;
        int more = !s->main_over;
        s->main_over = true;
        return more;
    }
    if (s->spawned > 0 && s->pause_ns > 0 && !s->paused) {
        s->paused = true;
        op->kind = TS_OP_COMPUTE;
        op->length = s->pause_ns;
        return 1;
    }
    s->paused = false;
    op->kind = TS_OP_SPAWN;
    op->target = ++s->spawned;
    return 1;
}

static int storm_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                      struct ts_error *err)
{
    struct ts_storm *s = (struct ts_storm *)base;
    (void)err;
    TS_ASSERT(thread <= s->threads);
    *op = (struct ts_op){.thread = thread};
    return thread == 0 ? next_main(s, op) : s->worker(s, thread, op);
}

static void storm_destroy(struct ts_workload *base)
{
    free(base);
}

enum ts_status ts_storm_create(struct ts_storm **out, size_t bytes, uint64_t threads,
                               uint64_t pause_ns, ts_storm_worker_fn *worker, struct ts_error *err)
{
    struct ts_storm *s = calloc(1, bytes);
    if (!s)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    s->base.next = storm_next;
    s->base.initial_threads = 1;
    s->base.destroy = storm_destroy;
    s->worker = worker;
    s->threads = threads;
    s->pause_ns = pause_ns;
    *out = s;
    return TS_OK;
}

void ts_storm_map(struct ts_op *op, uint64_t pages)
{
    op->kind = TS_OP_MMAP;
    op->length = pages * TS_STORM_PAGE;
    op->prot = TS_PROT_READ | TS_PROT_WRITE;
    op->flags = TS_OPF_ANONYMOUS;
}
