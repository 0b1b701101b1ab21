/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "workloads/bystander.h"
#include "workloads/mprotect_looper.h"
#include "workloads/storm_threads.h"

enum step { STEP_SPAWN, STEP_MAP, STEP_FILL, STEP_READ, STEP_COMPUTE, STEP_EXIT, STEP_OVER };

struct reader {
    enum step step;
    uint64_t records; /* done */
};

struct bystander {
    struct ts_workload base; /* first */
    struct ts_bystander_params params;
    uint32_t started; /* threads beside thread 0 */
    bool main_over;
    struct ts_mprotect_looper *loopers; /* thread t is loopers[t - 1] */
    struct reader *readers;             /* thread t is readers[t - 1 - loopers] */
};

static void spawn(struct bystander *s, struct ts_op *op)
{
    op->kind = TS_OP_SPAWN;
    op->target = ++s->started;
    op->flags = s->started == s->params.loopers + 1 ? TS_OPF_NEW_MM : 0u;
}

static int next_main(struct bystander *s, struct ts_op *op)
{
    int more = !s->main_over;
    if (s->started <= s->params.loopers) {
        spawn(s, op);
        return 1;
    }
    op->kind = TS_OP_EXIT;
    s->main_over = true;
    return more;
}

static int next_reader(struct bystander *s, uint32_t thread, struct ts_op *op)
{
    const struct ts_bystander_params *p = &s->params;
    struct reader *r = &s->readers[thread - 1u - p->loopers];
    /* The first of them is in its process before the others. */
    if (r->step == STEP_SPAWN &&
        (thread != p->loopers + 1 || s->started == p->loopers + p->threads))
        r->step = STEP_MAP;
    op->region = thread;
    switch (r->step) {
    case STEP_SPAWN:
        op->region = 0;
        spawn(s, op);
        return 1;
    case STEP_MAP:
        ts_storm_map(op, p->pages);
        r->step = STEP_FILL;
        return 1;
    case STEP_FILL:
    case STEP_READ:
        op->kind = TS_OP_TOUCH;
        op->count = p->pages;
        op->stride = TS_STORM_PAGE;
        op->flags = r->step == STEP_FILL ? TS_OPF_WRITE : 0u;
        r->step = r->step == STEP_FILL ? STEP_READ : STEP_COMPUTE;
        return 1;
    case STEP_COMPUTE:
        op->kind = TS_OP_COMPUTE;
        op->region = 0;
        op->length = p->compute / TS_NS;
        op->flags = TS_OPF_RECORD;
        r->step = ++r->records == p->records ? STEP_EXIT : STEP_READ;
        return 1;
    case STEP_EXIT:
        op->kind = TS_OP_EXIT;
        op->region = 0;
        r->step = STEP_OVER;
        return 1;
    case STEP_OVER:
        break;
    }
    return 0;
}

static int bystander_next(struct ts_workload *base, uint32_t thread, struct ts_op *op,
                          struct ts_error *err)
{
    struct bystander *s = (struct bystander *)base;
    (void)err;
    *op = (struct ts_op){.thread = thread};
    if (thread == 0)
        return next_main(s, op);
    TS_ASSERT(thread <= s->params.loopers + s->params.threads);
    if (thread <= s->params.loopers)
        return ts_mprotect_looper_next(&s->loopers[thread - 1u], thread, op);
    return next_reader(s, thread, op);
}

static void bystander_destroy(struct ts_workload *base)
{
    struct bystander *s = (struct bystander *)base;
    free(s->loopers);
    free(s->readers);
    free(s);
}

static enum ts_status bystander_create(struct ts_workload **out,
                                       const struct ts_workload_config *config,
                                       struct ts_error *err)
{
    const struct ts_bystander_params *p = config->params;
    struct bystander *s = calloc(1, sizeof(*s));
    if (!s)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    s->base.next = bystander_next;
    s->base.initial_threads = 1;
    s->base.endless = p->records == 0 || (p->loopers > 0 && p->looper_rounds == 0);
    s->base.destroy = bystander_destroy;
    s->params = *p;
    s->loopers = calloc((size_t)p->loopers + 1, sizeof(*s->loopers));
    s->readers = calloc((size_t)p->threads, sizeof(*s->readers));
    if (!s->loopers || !s->readers) {
        bystander_destroy(&s->base);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
    }
    for (uint64_t i = 0; i < p->loopers; i++) {
        s->loopers[i].pages = p->looper_pages;
        s->loopers[i].rounds = p->looper_rounds;
    }
    *out = &s->base;
    return TS_OK;
}

#define AT(field) offsetof(struct ts_bystander_params, field)
#define CHOICE "setting of the experiment"
#define MAX_PAGES (UINT64_C(1) << 24)

static const struct ts_param rows[] = {
    {"threads", TS_PARAM_COUNT, AT(threads), 1, 1, 32767, NULL, "bystanders, in one process",
     CHOICE, TS_CONF_CHOICE},
    {"pages", TS_PARAM_COUNT, AT(pages), 64, 1, MAX_PAGES, NULL,
     "4 KiB pages of each bystander, read in each record", CHOICE, TS_CONF_CHOICE},
    {"compute", TS_PARAM_TIME, AT(compute), TS_US, 0, TS_S, NULL,
     "computation at the end of each record; whole nanoseconds count", CHOICE, TS_CONF_CHOICE},
    {"records", TS_PARAM_COUNT, AT(records), 0, 0, UINT32_MAX, NULL,
     "records of each bystander; 0: until run.window ends", CHOICE, TS_CONF_CHOICE},
    {"loopers", TS_PARAM_COUNT, AT(loopers), 1, 0, 32767, NULL,
     "threads of another process that change the rights of their own pages, as in mprotect_loop; "
     "their calls are no records",
     CHOICE, TS_CONF_CHOICE},
    {"looper_pages", TS_PARAM_COUNT, AT(looper_pages), 1, 1, MAX_PAGES, NULL,
     "4 KiB pages of each of these", CHOICE, TS_CONF_CHOICE},
    {"looper_rounds", TS_PARAM_COUNT, AT(looper_rounds), 0, 0, UINT32_MAX, NULL,
     "rounds of each, of two calls; 0: until run.window ends", CHOICE, TS_CONF_CHOICE},
};

static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_bystander;
const struct ts_workload_kind ts_workload_kind_bystander = {
    {"bystander", "threads that read and compute beside those of a process that flushes",
     "none; made to show what a flush takes from those whom it does not concern", &table,
     sizeof(struct ts_bystander_params), false},
    bystander_create};
