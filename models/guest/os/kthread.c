/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the kernel. They run on whatever address space their CPU has loaded, lazily, and end
 * with the last thread of the workload, so that a run does not wait for them. */
#include <stdlib.h>

#include "models/guest/mm/khugepaged.h"
#include "models/guest/mm/reclaim.h"
#include "models/guest/os/thread.h"

static bool alive(const struct ts_guest *g)
{
    return g->threads_alive != 0;
}

/* Of kswapd (mm/vmscan.c) what it does to memory; when it is woken, by watermarks, is replaced by a
 * rate. */
static void kswapd(struct ts_task *self)
{
    struct ts_guest *g = ((const struct ts_guest_thread *)self->user)->guest;

    ts_kernel_enter(self);
    while (alive(g)) {
        uint64_t left = g->params.reclaim_pages;
        ts_task_sleep(self, g->params.reclaim_period_ps);
        while (left && alive(g)) {
            uint32_t n = left < TS_SWAP_CLUSTER_MAX ? (uint32_t)left : TS_SWAP_CLUSTER_MAX;
            n = ts_reclaim_next(self, g, n);
            if (!n)
                break;
            left -= n;
            ts_task_cond_resched(self);
        }
    }
}

/* khugepaged (mm/khugepaged.c) when it has work: other programs, which are not simulated, have huge
 * pages as well, and the last look at all of them is as long ago as it can be (assumed). */
static void khugepaged(struct ts_task *self)
{
    struct ts_guest *g = ((const struct ts_guest_thread *)self->user)->guest;
    struct ts_khugepaged at = {0};

    ts_kernel_enter(self);
    while (alive(g)) {
        ts_task_sleep(self, g->params.khugepaged_sleep_ps);
        if (alive(g))
            ts_khugepaged_scan(self, g, &at);
    }
}

static enum ts_status start(struct ts_guest *g, const char *name, ts_task_fn *fn,
                            struct ts_error *err)
{
    struct ts_guest_thread **all = realloc(g->kthreads, (g->nkthreads + 1) * sizeof(*all));
    struct ts_guest_thread *thread = calloc(1, sizeof(*thread));
    enum ts_status s;

    if (all)
        g->kthreads = all;
    if (!all || !thread) {
        free(thread);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %s", name);
    }
    thread->guest = g;
    s = ts_task_init(&thread->task, g->domain, name, fn, thread, err);
    if (s != TS_OK) {
        free(thread);
        return s;
    }
    g->kthreads[g->nkthreads++] = thread;
    ts_task_wake(NULL, &thread->task);
    return TS_OK;
}

enum ts_status ts_guest_kthreads_start(struct ts_guest *g, struct ts_error *err)
{
    enum ts_status s = TS_OK;

    if (g->params.reclaim_period_ps)
        s = start(g, "kswapd", kswapd, err);
    if (s == TS_OK && g->params.thp != TS_THP_NEVER && g->params.khugepaged)
        s = start(g, "khugepaged", khugepaged, err);
    return s;
}

void ts_guest_kthreads_fini(struct ts_guest *g)
{
    for (uint32_t i = 0; i < g->nkthreads; i++) {
        ts_task_fini(&g->kthreads[i]->task);
        free(g->kthreads[i]);
    }
    free(g->kthreads);
    g->kthreads = NULL;
    g->nkthreads = 0;
    ts_unmap_batches_free(g);
}
