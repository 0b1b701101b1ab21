/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `ipi_bench`: one thread that calls a function on another CPU, on all, on its own, or
 * nowhere, over and over, and waits each time. */
#include "workloads/workload.h"

#include <stdlib.h>

enum mode { MODE_DRY, MODE_SELF, MODE_NORMAL, MODE_BROADCAST, MODE_BROADCAST_LOCK };

struct params {
    uint64_t mode;
    uint64_t iterations;
    uint64_t hold_ps;
};

/* Calls an operation makes: few enough for the watchdog to see progress. */
#define BATCH 1000u

struct ipi_bench {
    struct ts_workload base;
    struct params params;
    uint64_t done;
};

static int bench_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                      struct ts_error *err)
{
    static const uint32_t targets[] = {TS_CALL_NOBODY, TS_CALL_SELF, TS_CALL_ONE, TS_CALL_ALL,
                                       TS_CALL_ALL};
    struct ipi_bench *b = (struct ipi_bench *)base;
    uint64_t left = b->params.iterations - b->done;
    (void)err;
    TS_ASSERT(thread == 0);
    if (left == 0)
        return 0;
    *op = (struct ts_op){.kind = TS_OP_CALL};
    op->count = left < BATCH ? left : BATCH;
    op->target = targets[b->params.mode];
    if (b->params.mode == MODE_BROADCAST_LOCK) {
        op->flags = TS_OPF_LOCK;
        op->length = b->params.hold_ps / TS_NS;
    } else if (b->params.mode == MODE_SELF || b->params.mode == MODE_NORMAL) {
        op->flags = TS_OPF_TIMED;
    }
    b->done += op->count;
    return 1;
}

static void bench_destroy(struct ts_workload *base)
{
    free(base);
}

static enum ts_status bench_create(struct ts_workload **out,
                                   const struct ts_workload_config *config, struct ts_error *err)
{
    struct ipi_bench *b = calloc(1, sizeof(*b));
    if (!b)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    b->base.next = bench_next;
    b->base.initial_threads = 1;
    b->base.destroy = bench_destroy;
    b->params = *(const struct params *)config->params;
    *out = &b->base;
    return TS_OK;
}

static const char *const mode_names[] = {"dry",       "self",           "normal",
                                         "broadcast", "broadcast_lock", NULL};

#define AT(field) offsetof(struct params, field)
static const struct ts_param rows[] = {
    {"mode", TS_PARAM_ENUM, AT(mode), MODE_NORMAL, 0, MODE_BROADCAST_LOCK, mode_names,
     "dry: the loop only; self: the own CPU; normal: one other CPU, and as self with the clock "
     "read "
     "before and in the function; broadcast: all others; broadcast_lock: all others, whose "
     "functions take one spinlock",
     "setting of the experiment", TS_CONF_CHOICE},
    {"iterations", TS_PARAM_COUNT, AT(iterations), 100000, 1, UINT64_C(1) << 40, NULL, "calls",
     "the module's NTIMES", TS_CONF_VERBATIM},
    {"hold", TS_PARAM_TIME, AT(hold_ps), 0, 0, TS_S, NULL,
     "broadcast_lock: how long a function has the lock; whole nanoseconds count",
     "the module's handle_ipi_spinlock takes it and lets go", TS_CONF_VERBATIM},
};
static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_ipi_bench;
const struct ts_workload_kind ts_workload_kind_ipi_bench = {
    {"ipi_bench", "cross-CPU function calls, one after the other",
     "Y. Norov, IPI performance benchmark, linux-kernel, December 2017", &table,
     sizeof(struct params), false},
    bench_create};
