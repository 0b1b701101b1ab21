/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `vmexit_ipi`: as ipi_bench in its mode normal, but the other CPUs run a loop and
 * never halt, as the targets of kvm-unit-tests' vmexit do. */
#include "workloads/workload.h"

#include <stdlib.h>

struct params {
    uint64_t iterations;
    uint64_t spinners;
};

/* Calls an operation makes: few enough for the watchdog to see progress. */
#define BATCH 1000u
/* Length of a turn of the loop, in nanoseconds: how late a spinner may notice the end. */
#define TURN_NS 10000u

struct vmexit_ipi {
    struct ts_workload base;
    struct params params;
    uint64_t left;
    bool done; /* the caller has asked beyond its last call, so all have returned */
};

static int bench_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                      struct ts_error *err)
{
    struct vmexit_ipi *b = (struct vmexit_ipi *)base;
    (void)err;
    if (thread > 0) {
        *op = (struct ts_op){.kind = TS_OP_COMPUTE, .thread = thread, .length = TURN_NS};
        return b->done ? 0 : 1;
    }
    b->done = b->left == 0;
    if (b->done)
        return 0;
    *op = (struct ts_op){.kind = TS_OP_CALL, .target = TS_CALL_ONE};
    op->count = b->left < BATCH ? b->left : BATCH;
    b->left -= op->count;
    return 1;
}

static void bench_destroy(struct ts_workload *base)
{
    free(base);
}

static enum ts_status bench_create(struct ts_workload **out,
                                   const struct ts_workload_config *config, struct ts_error *err)
{
    struct vmexit_ipi *b = calloc(1, sizeof(*b));
    if (!b)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    b->params = *(const struct params *)config->params;
    b->left = b->params.iterations;
    b->base.next = bench_next;
    b->base.initial_threads = 1 + (uint32_t)b->params.spinners;
    b->base.destroy = bench_destroy;
    *out = &b->base;
    return TS_OK;
}

#define AT(field) offsetof(struct params, field)
static const struct ts_param rows[] = {
    {"iterations", TS_PARAM_COUNT, AT(iterations), 10000, 1, UINT64_C(1) << 40, NULL, "calls",
     "setting of the experiment", TS_CONF_CHOICE},
    {"spinners", TS_PARAM_COUNT, AT(spinners), 1, 0, 4095, NULL,
     "threads that compute until the calls are done: one for each CPU that is to spin",
     "kvm-unit-tests x86/vmexit.c: the ipi test needs two CPUs", TS_CONF_REMEMBERED},
};
static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_vmexit_ipi;
const struct ts_workload_kind ts_workload_kind_vmexit_ipi = {
    {"vmexit_ipi", "cross-CPU function calls to a CPU that spins",
     "kvm-unit-tests, x86/vmexit.c, test ipi", &table, sizeof(struct params), false},
    bench_create};
