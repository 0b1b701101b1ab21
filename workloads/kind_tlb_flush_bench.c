/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"
#include "workloads/storm_threads.h"
#include "workloads/tlb_flush_bench.h"

enum step {
    STEP_START,
    STEP_MAP,
    STEP_WRITE,
    STEP_DROP,
    STEP_READ,
    STEP_UNMAP,
    STEP_EXIT,
    STEP_OVER
};

struct worker {
    enum step step;
    uint64_t iteration, pass, start_ns;
};

struct tlb_flush_bench {
    struct ts_storm storm;
    struct ts_tlb_flush_bench_params params;
    struct worker workers[]; /* thread t is workers[t - 1] */
};

static void touch(struct ts_op *op, bool write)
{
    op->kind = TS_OP_TOUCH;
    op->count = 1;
    op->stride = TS_STORM_PAGE;
    op->flags = write ? TS_OPF_WRITE : 0u;
}

static uint64_t passes(const struct ts_tlb_flush_bench_params *p)
{
    return (p->iterations + p->pages - 1) / p->pages;
}

/* The iteration has ended, and perhaps the pass. */
static enum step after_read(const struct ts_tlb_flush_bench_params *p, struct worker *w)
{
    w->iteration++;
    return w->iteration % p->pages && w->iteration < p->iterations ? STEP_WRITE : STEP_UNMAP;
}

static int next_worker(struct ts_storm *storm, uint32_t thread, struct ts_op *op)
{
    struct tlb_flush_bench *s = (struct tlb_flush_bench *)storm;
    const struct ts_tlb_flush_bench_params *p = &s->params;
    struct worker *w = &s->workers[thread - 1u];
    op->region = (uint32_t)((thread - 1u) * passes(p) + w->pass);
    op->offset = w->iteration % p->pages * TS_STORM_PAGE;
    switch (w->step) {
    case STEP_START:
        op->kind = TS_OP_COMPUTE;
        op->region = 0;
        op->offset = 0;
        op->length = w->start_ns;
        w->step = STEP_MAP;
        return 1;
    case STEP_MAP:
        ts_storm_map(op, p->pages);
        w->step = STEP_WRITE;
        return 1;
    case STEP_WRITE:
        touch(op, true);
        w->step = STEP_DROP;
        return 1;
    case STEP_DROP:
        op->kind = TS_OP_MADVISE_DONTNEED;
        op->length = TS_STORM_PAGE;
        w->step = STEP_READ;
        return 1;
    case STEP_READ:
        touch(op, false);
        op->flags |= TS_OPF_RECORD;
        w->step = after_read(p, w);
        return 1;
    case STEP_UNMAP:
        op->kind = TS_OP_MUNMAP;
        op->offset = 0;
        op->length = p->pages * TS_STORM_PAGE;
        w->step = ++w->pass < passes(p) ? STEP_MAP : STEP_EXIT;
        return 1;
    case STEP_EXIT:
        *op = (struct ts_op){.kind = TS_OP_EXIT, .thread = thread};
        w->step = STEP_OVER;
        return 1;
    case STEP_OVER:
        break;
    }
    return 0;
}

static enum ts_status bench_create(struct ts_workload **out,
                                   const struct ts_workload_config *config, struct ts_error *err)
{
    const struct ts_tlb_flush_bench_params *p = config->params;
    struct ts_storm *storm = NULL;
    if (passes(p) > UINT32_MAX / p->threads)
        return ts_error_set(err, TS_ERR_USER, "threads map more than 2^32 times");
    size_t bytes = sizeof(struct tlb_flush_bench) + (size_t)p->threads * sizeof(struct worker);
    enum ts_status status = ts_storm_create(&storm, bytes, p->threads, 0, next_worker, err);
    if (status != TS_OK)
        return status;
    struct tlb_flush_bench *s = (struct tlb_flush_bench *)storm;
    struct worker *workers = s->workers;
    s->params = *p;
    for (uint64_t i = 0; i < p->threads; i++) {
        struct ts_rng rng;
        ts_rng_init(&rng, config->seed, "workload.tlb_flush_bench.stagger",
                    (config->instance << 32) | (i + 1u));
        workers[i].start_ns = ts_rng_between(&rng, 0, p->stagger / TS_NS);
        workers[i].step = p->stagger ? STEP_START : STEP_MAP;
    }
    *out = &storm->base;
    return TS_OK;
}

#define AT(field) offsetof(struct ts_tlb_flush_bench_params, field)
#define CHOICE "setting of the experiment"

static const struct ts_param rows[] = {
    {"threads", TS_PARAM_COUNT, AT(threads), 4, 1, 65535, NULL, "threads beside the main one",
     CHOICE, TS_CONF_CHOICE},
    {"pages", TS_PARAM_COUNT, AT(pages), 256, 1, UINT64_C(1) << 24, NULL,
     "4 KiB pages of each thread's mapping", "will-it-scale tests/tlb_flush2.c: 1 MiB",
     TS_CONF_VERBATIM},
    {"iterations", TS_PARAM_COUNT, AT(iterations), 1000, 1, UINT32_MAX, NULL,
     "of each thread: write, drop, read one page", CHOICE, TS_CONF_CHOICE},
    {"stagger", TS_PARAM_TIME, AT(stagger), 0, 0, TS_S, NULL,
     "each thread begins a random time later, up to this: equal threads that begin together would "
     "meet at every munmap",
     CHOICE, TS_CONF_CHOICE},
};

static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_tlb_flush_bench;
const struct ts_workload_kind ts_workload_kind_tlb_flush_bench = {
    {"tlb_flush_bench", "threads that each write, drop and read their pages one by one",
     "will-it-scale tlb_flush2, threads", &table, sizeof(struct ts_tlb_flush_bench_params), false},
    bench_create};
