/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"
#include "workloads/storm_threads.h"
#include "workloads/working_set_storm.h"

#define PAGE TS_STORM_PAGE
#define MAX_PAGES (UINT64_C(1) << 24)

enum step {
    STEP_MAP,
    STEP_FILL,
    STEP_SWEEP,
    STEP_DROP_MAP,
    STEP_DROP_TOUCH,
    STEP_DROP,
    STEP_LAST_UNMAP,
    STEP_EXIT,
    STEP_OVER
};

struct worker {
    enum step step;
    uint64_t round;
    uint64_t touched; /* of this round's sweeps */
    struct ts_rng rng;
};

struct working_set_storm {
    struct ts_storm storm;
    struct ts_working_set_storm_params params;
    struct worker workers[]; /* thread t is workers[t - 1] */
};

static void touch(struct ts_op *op, uint64_t first, uint64_t count, bool write)
{
    op->kind = TS_OP_TOUCH;
    op->offset = first * PAGE;
    op->count = count;
    op->stride = PAGE;
    op->flags = write ? TS_OPF_WRITE : 0u;
}

/* Moves to the next step when this sweep is the round's last. */
static void sweep(const struct working_set_storm *s, struct worker *w, struct ts_op *op)
{
    const struct ts_working_set_storm_params *p = &s->params;
    if (p->order == TS_WORKING_SET_SEQUENTIAL)
        touch(op, 0, p->pages, p->write != 0);
    else
        touch(op, ts_rng_below(&w->rng, p->pages), 1, p->write != 0);
    w->touched += op->count;
    if (w->touched == p->sweeps * p->pages)
        w->step = p->unmap == TS_WORKING_SET_MUNMAP ? STEP_DROP_MAP : STEP_DROP;
}

static void drop(const struct working_set_storm *s, struct worker *w, struct ts_op *op)
{
    const struct ts_working_set_storm_params *p = &s->params;
    op->length = p->drop_pages * PAGE;
    if (p->unmap == TS_WORKING_SET_MUNMAP) {
        op->kind = TS_OP_MUNMAP;
    } else {
        op->kind = TS_OP_MADVISE_DONTNEED;
        op->offset = w->round % (p->pages / p->drop_pages) * p->drop_pages * PAGE;
    }
    w->touched = 0;
    w->round++;
    w->step = w->round < p->rounds ? STEP_SWEEP : STEP_LAST_UNMAP;
}

static int next_worker(struct ts_storm *storm, uint32_t thread, struct ts_op *op)
{
    struct working_set_storm *s = (struct working_set_storm *)storm;
    const struct ts_working_set_storm_params *p = &s->params;
    struct worker *w = &s->workers[thread - 1u];
    const uint32_t set = thread - 1u;
    const uint32_t beside = (uint32_t)(p->threads + set * p->rounds + w->round);
    op->region = set;
    switch (w->step) {
    case STEP_MAP:
        ts_storm_map(op, p->pages);
        w->step = STEP_FILL;
        return 1;
    case STEP_FILL:
        touch(op, 0, p->pages, true);
        w->step = STEP_SWEEP;
        return 1;
    case STEP_SWEEP:
        sweep(s, w, op);
        return 1;
    case STEP_DROP_MAP:
        op->region = beside;
        ts_storm_map(op, p->drop_pages);
        w->step = STEP_DROP_TOUCH;
        return 1;
    case STEP_DROP_TOUCH:
        op->region = beside;
        touch(op, 0, p->drop_pages, true);
        w->step = STEP_DROP;
        return 1;
    case STEP_DROP:
        op->region = p->unmap == TS_WORKING_SET_MUNMAP ? beside : set;
        drop(s, w, op);
        return 1;
    case STEP_LAST_UNMAP:
        op->kind = TS_OP_MUNMAP;
        op->length = p->pages * PAGE;
        w->step = STEP_EXIT;
        return 1;
    case STEP_EXIT:
        op->kind = TS_OP_EXIT;
        op->region = 0;
        w->step = STEP_OVER;
        return 1;
    case STEP_OVER:
        break;
    }
    return 0;
}

static enum ts_status check(const struct ts_working_set_storm_params *p, struct ts_error *err)
{
    if (p->unmap == TS_WORKING_SET_MADVISE && p->drop_pages > p->pages)
        return ts_error_set(err, TS_ERR_USER, "drop_pages is larger than pages");
    if (p->rounds > UINT32_MAX / p->threads - 1)
        return ts_error_set(err, TS_ERR_USER, "threads times rounds is larger than 2^32");
    return TS_OK;
}

static enum ts_status storm_create(struct ts_workload **out,
                                   const struct ts_workload_config *config, struct ts_error *err)
{
    const struct ts_working_set_storm_params *p = config->params;
    enum ts_status status = check(p, err);
    if (status != TS_OK)
        return status;
    struct ts_storm *storm = NULL;
    size_t bytes = sizeof(struct working_set_storm) + (size_t)p->threads * sizeof(struct worker);
    status = ts_storm_create(&storm, bytes, p->threads, 0, next_worker, err);
    if (status != TS_OK)
        return status;
    struct working_set_storm *s = (struct working_set_storm *)storm;
    struct worker *workers = s->workers;
    s->params = *p;
    for (uint64_t i = 0; i < p->threads; i++)
        ts_rng_init(&workers[i].rng, config->seed, "workload.working_set_storm.touch",
                    (config->instance << 32) | (i + 1u));
    *out = &storm->base;
    return TS_OK;
}

static const char *const order_names[] = {"random", "sequential", NULL};
static const char *const unmap_names[] = {"munmap", "madvise_dontneed", NULL};

#define AT(field) offsetof(struct ts_working_set_storm_params, field)
#define CHOICE "setting of the experiment"

static const struct ts_param rows[] = {
    {"threads", TS_PARAM_COUNT, AT(threads), 8, 1, 65535, NULL, "threads beside the main one",
     CHOICE, TS_CONF_CHOICE},
    {"rounds", TS_PARAM_COUNT, AT(rounds), 50, 1, UINT32_MAX, NULL, "rounds of each thread", CHOICE,
     TS_CONF_CHOICE},
    {"pages", TS_PARAM_COUNT, AT(pages), 1024, 1, MAX_PAGES, NULL,
     "4 KiB pages of each thread's working set", CHOICE, TS_CONF_CHOICE},
    {"sweeps", TS_PARAM_COUNT, AT(sweeps), 4, 1, MAX_PAGES, NULL,
     "passes over the working set in a round, each of as many touches as it has pages", CHOICE,
     TS_CONF_CHOICE},
    {"order", TS_PARAM_ENUM, AT(order), TS_WORKING_SET_RANDOM, 0, 1, order_names,
     "random: each touch draws its page, with repetition; sequential: first to last", CHOICE,
     TS_CONF_CHOICE},
    {"write", TS_PARAM_BOOL, AT(write), 1, 0, 1, NULL,
     "sweeps write; the first touch of a page always does", CHOICE, TS_CONF_CHOICE},
    {"unmap", TS_PARAM_ENUM, AT(unmap), TS_WORKING_SET_MUNMAP, 0, 1, unmap_names,
     "how a round ends. munmap: a mapping beside the working set is made, touched and unmapped; "
     "madvise_dontneed: a part of the working set is dropped, each round the next one",
     CHOICE, TS_CONF_CHOICE},
    {"drop_pages", TS_PARAM_COUNT, AT(drop_pages), 4, 1, MAX_PAGES, NULL,
     "pages that go at the end of a round", CHOICE, TS_CONF_CHOICE},
};

static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_working_set_storm;
const struct ts_workload_kind ts_workload_kind_working_set_storm = {
    {"working_set_storm", "threads that use the same pages over and over and unmap a few between",
     "none; made to show what a flush takes beyond its pages", &table,
     sizeof(struct ts_working_set_storm_params), false},
    storm_create};
