/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `ipi_spin`: cross-CPU function calls as those of ipi_bench, but the called CPUs run
 * a loop and never halt, as in the test ipi of kvm-unit-tests' vmexit. */
#include "workloads/workload.h"

#include <stdlib.h>

enum mode { MODE_NORMAL, MODE_BROADCAST };

struct params {
    uint64_t mode;
    uint64_t iterations;
    uint64_t spinners;
};

/* Calls an operation makes: few enough for the watchdog to see progress. */
#define BATCH 1000u
/* Length of a turn of the loop, in nanoseconds: how late a spinner may notice the end. */
#define TURN_NS 10000u
/* The first turn of the caller, until the spinners have found a CPU each. */
#define SETTLE_NS 10000000u

struct ipi_spin {
    struct ts_workload base;
    struct params params;
    uint64_t left;
    bool settled;
    bool done; /* the caller has asked beyond its last call, so all have returned */
};

static int spin_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                     struct ts_error *err)
{
    struct ipi_spin *b = (struct ipi_spin *)base;
    (void)err;
    if (thread > 0) {
        *op = (struct ts_op){.kind = TS_OP_COMPUTE, .thread = thread, .length = TURN_NS};
        return b->done ? 0 : 1;
    }
    if (!b->settled) {
        b->settled = true;
        *op = (struct ts_op){.kind = TS_OP_COMPUTE, .length = SETTLE_NS};
        return 1;
    }
    b->done = b->left == 0;
    if (b->done)
        return 0;
    *op = (struct ts_op){.kind = TS_OP_CALL};
    op->target = b->params.mode == MODE_BROADCAST ? TS_CALL_ALL : TS_CALL_ONE;
    op->count = b->left < BATCH ? b->left : BATCH;
    b->left -= op->count;
    return 1;
}

static void spin_destroy(struct ts_workload *base)
{
    free(base);
}

static enum ts_status spin_create(struct ts_workload **out, const struct ts_workload_config *config,
                                  struct ts_error *err)
{
    struct ipi_spin *b = calloc(1, sizeof(*b));
    if (!b)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    b->params = *(const struct params *)config->params;
    b->left = b->params.iterations;
    b->base.next = spin_next;
    b->base.initial_threads = 1 + (uint32_t)b->params.spinners;
    b->base.destroy = spin_destroy;
    *out = &b->base;
    return TS_OK;
}

static const char *const mode_names[] = {"normal", "broadcast", NULL};

#define AT(field) offsetof(struct params, field)
static const struct ts_param rows[] = {
    {"mode", TS_PARAM_ENUM, AT(mode), MODE_NORMAL, 0, MODE_BROADCAST, mode_names,
     "normal: one other CPU; broadcast: all others", "setting of the experiment", TS_CONF_CHOICE},
    {"iterations", TS_PARAM_COUNT, AT(iterations), 10000, 1, UINT64_C(1) << 40, NULL, "calls",
     "setting of the experiment", TS_CONF_CHOICE},
    {"spinners", TS_PARAM_COUNT, AT(spinners), 1, 0, 4095, NULL,
     "threads that compute until the calls are done: one less than there are CPUs, for all to spin",
     "setting of the experiment", TS_CONF_CHOICE},
};
static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_ipi_spin;
const struct ts_workload_kind ts_workload_kind_ipi_spin = {
    {"ipi_spin", "cross-CPU function calls to CPUs that spin",
     "kvm-unit-tests, x86/vmexit.c, test ipi", &table, sizeof(struct params), false},
    spin_create};
