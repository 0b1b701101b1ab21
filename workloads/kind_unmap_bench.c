/* SPDX-License-Identifier: Apache-2.0 */
#include "workloads/storm_threads.h"
#include "workloads/unmap_bench.h"

#define MAX_PAGES (UINT64_C(1) << 24)

enum step {
    STEP_MAP,
    STEP_FILL,
    STEP_MEET,
    STEP_TOUCH,
    STEP_HOLD,
    STEP_UNMAP,
    STEP_EXIT,
    STEP_OVER
};

struct worker {
    enum step step;
    uint64_t iteration;
};

struct unmap_bench {
    struct ts_storm storm;
    struct ts_unmap_bench_params params;
    struct worker workers[]; /* thread t is workers[t - 1] */
};

static void touch(const struct ts_unmap_bench_params *p, struct ts_op *op)
{
    op->kind = TS_OP_TOUCH;
    op->count = p->pages;
    op->stride = TS_STORM_PAGE;
    op->flags = TS_OPF_WRITE;
}

static void meet(const struct ts_unmap_bench_params *p, const struct worker *w, struct ts_op *op)
{
    op->kind = TS_OP_BARRIER;
    op->region = (uint32_t)w->iteration;
    op->count = p->touchers + 1;
}

static enum step next_iteration(const struct ts_unmap_bench_params *p, struct worker *w,
                                enum step first)
{
    return ++w->iteration < p->iterations ? first : STEP_EXIT;
}

/* The thread that unmaps. */
static void next_unmapper(const struct ts_unmap_bench_params *p, struct worker *w, struct ts_op *op)
{
    bool madvise = p->unmap == TS_UNMAP_BENCH_MADVISE;
    op->region = madvise ? 0 : (uint32_t)w->iteration;
    switch (w->step) {
    case STEP_MAP:
        ts_storm_map(op, p->pages);
        w->step = STEP_FILL;
        break;
    case STEP_FILL:
        touch(p, op);
        w->step = STEP_MEET;
        break;
    case STEP_MEET:
        meet(p, w, op);
        w->step = STEP_HOLD;
        break;
    case STEP_HOLD:
        op->kind = TS_OP_COMPUTE;
        op->region = 0;
        op->length = p->hold / 2 / TS_NS;
        w->step = STEP_UNMAP;
        break;
    default:
        op->kind = madvise ? TS_OP_MADVISE_DONTNEED : TS_OP_MUNMAP;
        op->length = p->pages * TS_STORM_PAGE;
        w->step = next_iteration(p, w, madvise ? STEP_FILL : STEP_MAP);
    }
}

static void next_toucher(const struct ts_unmap_bench_params *p, struct worker *w, struct ts_op *op)
{
    switch (w->step) {
    case STEP_TOUCH:
        op->region = p->unmap == TS_UNMAP_BENCH_MADVISE ? 0 : (uint32_t)w->iteration;
        touch(p, op);
        w->step = STEP_HOLD;
        break;
    case STEP_HOLD:
        op->kind = p->wait == TS_UNMAP_BENCH_SLEEP ? TS_OP_SLEEP : TS_OP_COMPUTE;
        op->length = p->hold / TS_NS;
        w->step = next_iteration(p, w, STEP_MEET);
        break;
    default:
        meet(p, w, op);
        w->step = STEP_TOUCH;
    }
}

static int next_worker(struct ts_storm *storm, uint32_t thread, struct ts_op *op)
{
    struct unmap_bench *s = (struct unmap_bench *)storm;
    struct worker *w = &s->workers[thread - 1u];
    if (w->step == STEP_OVER)
        return 0;
    if (w->step == STEP_EXIT) {
        op->kind = TS_OP_EXIT;
        w->step = STEP_OVER;
    } else if (thread == 1) {
        next_unmapper(&s->params, w, op);
    } else {
        next_toucher(&s->params, w, op);
    }
    return 1;
}

static enum ts_status bench_create(struct ts_workload **out,
                                   const struct ts_workload_config *config, struct ts_error *err)
{
    const struct ts_unmap_bench_params *p = config->params;
    struct ts_storm *storm = NULL;
    size_t threads = (size_t)p->touchers + 1;
    enum ts_status status =
        ts_storm_create(&storm, sizeof(struct unmap_bench) + threads * sizeof(struct worker),
                        threads, 0, next_worker, err);
    if (status != TS_OK)
        return status;
    struct unmap_bench *s = (struct unmap_bench *)storm;
    struct worker *workers = s->workers;
    s->params = *p;
    for (size_t i = 0; i < threads; i++)
        workers[i].step = i ? STEP_MEET : STEP_MAP;
    *out = &storm->base;
    return TS_OK;
}

static const char *const unmap_names[] = {"munmap", "madvise_dontneed", NULL};
static const char *const wait_names[] = {"spin", "sleep", NULL};

#define AT(field) offsetof(struct ts_unmap_bench_params, field)
#define CHOICE "setting of the experiment"

static const struct ts_param rows[] = {
    {"touchers", TS_PARAM_COUNT, AT(touchers), 1, 0, 65534, NULL,
     "threads that touch what another one unmaps", CHOICE, TS_CONF_CHOICE},
    {"pages", TS_PARAM_COUNT, AT(pages), 1, 1, MAX_PAGES, NULL,
     "4 KiB pages that each touches, and that are unmapped", CHOICE, TS_CONF_CHOICE},
    {"iterations", TS_PARAM_COUNT, AT(iterations), 100, 1, UINT32_MAX, NULL, "unmaps", CHOICE,
     TS_CONF_CHOICE},
    {"unmap", TS_PARAM_ENUM, AT(unmap), TS_UNMAP_BENCH_MUNMAP, 0, 1, unmap_names,
     "what ends an iteration", CHOICE, TS_CONF_CHOICE},
    {"wait", TS_PARAM_ENUM, AT(wait), TS_UNMAP_BENCH_SPIN, 0, 1, wait_names,
     "what the touchers do meanwhile: compute, so that they must be told, or sleep", CHOICE,
     TS_CONF_CHOICE},
    {"hold", TS_PARAM_TIME, AT(hold), 200 * TS_US, 1000 * TS_NS, 10 * TS_S, NULL,
     "how long they do; half of it passes before the unmap, and all of them must have touched by "
     "then",
     CHOICE, TS_CONF_CHOICE},
};

static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_unmap_bench;
const struct ts_workload_kind ts_workload_kind_unmap_bench = {
    {"unmap_bench", "one thread unmaps what the others have touched, again and again",
     "Kumar et al., LATR, ASPLOS 2018: the authors' micro-benchmark mmap_micro", &table,
     sizeof(struct ts_unmap_bench_params), false},
    bench_create};
