/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `range_tlbi_micro`: one thread flushes a range of so many pages again and again,
 * from within the kernel, while the other CPUs idle. Nothing is mapped there: what is measured is
 * the flush. guest.range_flush_ps has its times. */
#include "workloads/workload.h"

#include <stdlib.h>

struct params {
    uint64_t pages;
    uint64_t iterations;
    uint64_t address;
};

/* Flushes an operation makes: few enough for the watchdog to see progress. */
#define BATCH 100u
#define PAGE_BYTES 4096u

struct range_tlbi_micro {
    struct ts_workload base;
    struct params params;
    uint64_t left;
};

static int micro_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                      struct ts_error *err)
{
    struct range_tlbi_micro *b = (struct range_tlbi_micro *)base;
    (void)err;
    if (b->left == 0)
        return 0;
    *op = (struct ts_op){.kind = TS_OP_FLUSH, .thread = thread};
    op->offset = b->params.address;
    op->length = b->params.pages * PAGE_BYTES;
    op->count = b->left < BATCH ? b->left : BATCH;
    b->left -= op->count;
    return 1;
}

static void micro_destroy(struct ts_workload *base)
{
    free(base);
}

static enum ts_status micro_create(struct ts_workload **out,
                                   const struct ts_workload_config *config, struct ts_error *err)
{
    const struct params *p = config->params;
    struct range_tlbi_micro *b;
    if (p->address % PAGE_BYTES)
        return ts_error_set(err, TS_ERR_USER, "workload.address is no multiple of 4 KiB");
    b = calloc(1, sizeof(*b));
    if (!b)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    b->params = *p;
    b->left = p->iterations;
    b->base.next = micro_next;
    b->base.initial_threads = 1;
    b->base.destroy = micro_destroy;
    *out = &b->base;
    return TS_OK;
}

#define AT(field) offsetof(struct params, field)
static const struct ts_param rows[] = {
    {"pages", TS_PARAM_COUNT, AT(pages), 1, 1, UINT64_C(1) << 24, NULL, "4 KiB pages of each flush",
     "setting of the experiment", TS_CONF_CHOICE},
    {"iterations", TS_PARAM_COUNT, AT(iterations), 10000, 1, UINT64_C(1) << 40, NULL, "flushes",
     "Z. Ye, linux-arm-kernel, 2020-06-09: 10,000", TS_CONF_VERBATIM},
    {"address", TS_PARAM_BYTES, AT(address), UINT64_C(1) << 30, 0, UINT64_C(1) << 46, NULL,
     "where the range begins", "setting of the experiment", TS_CONF_CHOICE},
};
static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_range_tlbi_micro;
const struct ts_workload_kind ts_workload_kind_range_tlbi_micro = {
    {"range_tlbi_micro", "one thread that flushes a range of pages again and again",
     "Z. Ye, range TLBI series, linux-arm-kernel, June 2020", &table, sizeof(struct params), false},
    micro_create};
