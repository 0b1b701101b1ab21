/* SPDX-License-Identifier: Apache-2.0 */
/* The workload `range_tlbi_micro`: threads that flush a range of so many pages again and again,
 * from within the kernel. Nothing is mapped there: what is measured is the flush.
 * guest.range_flush_ps has its times. With a working set each thread has pages elsewhere, which it
 * reads after each flush: the user time is what that takes, walks for what the flush has dropped
 * included. Thread t has region t. */
#include "workloads/workload.h"

#include <stdlib.h>

enum scope { SCOPE_RANGE, SCOPE_MM, SCOPE_ALL, SCOPE_NONE };

struct params {
    uint64_t pages;
    uint64_t iterations;
    uint64_t address;
    uint64_t threads;
    uint64_t scope;
    uint64_t working_set;
};

/* Flushes an operation makes: few enough for the watchdog to see progress. */
#define BATCH 100u
#define PAGE_BYTES 4096u

enum step { STEP_MAP, STEP_FILL, STEP_FLUSH, STEP_READ };

struct worker {
    enum step step;
    uint64_t left;
};

struct range_tlbi_micro {
    struct ts_workload base;
    struct params params;
    struct worker workers[];
};

static void flush(const struct params *p, struct worker *w, struct ts_op *op)
{
    op->kind = TS_OP_FLUSH;
    op->target = p->scope == SCOPE_MM    ? TS_FLUSH_MM
                 : p->scope == SCOPE_ALL ? TS_FLUSH_ALL
                                         : TS_FLUSH_RANGE;
    op->offset = p->address;
    op->length = p->pages * PAGE_BYTES;
    op->count = p->working_set ? 1 : w->left < BATCH ? w->left : BATCH;
    w->left -= op->count;
    w->step = p->working_set ? STEP_READ : STEP_FLUSH;
}

static void touch(const struct params *p, struct ts_op *op, bool write)
{
    op->kind = TS_OP_TOUCH;
    op->count = p->working_set;
    op->stride = PAGE_BYTES;
    op->flags = write ? TS_OPF_WRITE : 0u;
}

static int micro_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                      struct ts_error *err)
{
    struct range_tlbi_micro *b = (struct range_tlbi_micro *)base;
    const struct params *p = &b->params;
    struct worker *w = &b->workers[thread];
    (void)err;
    *op = (struct ts_op){.thread = thread, .region = thread};
    switch (w->step) {
    case STEP_MAP:
        op->kind = TS_OP_MMAP;
        op->length = p->working_set * PAGE_BYTES;
        op->prot = TS_PROT_READ | TS_PROT_WRITE;
        op->flags = TS_OPF_ANONYMOUS;
        w->step = STEP_FILL;
        return 1;
    case STEP_FILL:
        touch(p, op, true);
        w->step = p->scope == SCOPE_NONE ? STEP_READ : STEP_FLUSH;
        return 1;
    case STEP_FLUSH:
        if (w->left == 0)
            return 0;
        flush(p, w, op);
        return 1;
    case STEP_READ:
        if (p->scope == SCOPE_NONE) {
            if (w->left == 0)
                return 0;
            w->left--;
        }
        touch(p, op, false);
        w->step = p->scope == SCOPE_NONE ? STEP_READ : STEP_FLUSH;
        return 1;
    }
    return 0;
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
    if (p->scope == SCOPE_NONE && p->working_set == 0)
        return ts_error_set(err, TS_ERR_USER,
                            "workload.scope none leaves nothing to do without a working_set");
    b = calloc(1, sizeof(*b) + (size_t)p->threads * sizeof(struct worker));
    if (!b)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    b->params = *p;
    for (uint64_t i = 0; i < p->threads; i++) {
        b->workers[i].left = p->iterations;
        b->workers[i].step = p->working_set ? STEP_MAP : STEP_FLUSH;
    }
    b->base.next = micro_next;
    b->base.initial_threads = (uint32_t)p->threads;
    b->base.destroy = micro_destroy;
    *out = &b->base;
    return TS_OK;
}

static const char *const scope_names[] = {"range", "mm", "all", "none", NULL};

#define AT(field) offsetof(struct params, field)
#define CHOICE "setting of the experiment"
static const struct ts_param rows[] = {
    {"pages", TS_PARAM_COUNT, AT(pages), 1, 1, UINT64_C(1) << 24, NULL, "4 KiB pages of each flush",
     CHOICE, TS_CONF_CHOICE},
    {"iterations", TS_PARAM_COUNT, AT(iterations), 10000, 1, UINT64_C(1) << 40, NULL,
     "flushes of each thread", "Z. Ye, linux-arm-kernel, 2020-06-09: 10,000", TS_CONF_VERBATIM},
    {"address", TS_PARAM_BYTES, AT(address), UINT64_C(1) << 30, 0, UINT64_C(1) << 46, NULL,
     "where the range begins", CHOICE, TS_CONF_CHOICE},
    {"threads", TS_PARAM_COUNT, AT(threads), 1, 1, 4096, NULL, "threads that flush", CHOICE,
     TS_CONF_CHOICE},
    {"scope", TS_PARAM_ENUM, AT(scope), SCOPE_RANGE, 0, SCOPE_NONE, scope_names,
     "what is flushed: the range, the address space, everything, or nothing", CHOICE,
     TS_CONF_CHOICE},
    {"working_set", TS_PARAM_COUNT, AT(working_set), 0, 0, UINT64_C(1) << 20, NULL,
     "4 KiB pages outside the range that each thread reads after each flush", CHOICE,
     TS_CONF_CHOICE},
};
static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_range_tlbi_micro;
const struct ts_workload_kind ts_workload_kind_range_tlbi_micro = {
    {"range_tlbi_micro", "threads that flush a range of pages again and again",
     "Z. Ye, range TLBI series, linux-arm-kernel, June 2020", &table, sizeof(struct params), false},
    micro_create};
