/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"
#include "workloads/mprotect_loop.h"
#include "workloads/mprotect_looper.h"
#include "workloads/storm_threads.h"

struct mprotect_loop {
    struct ts_storm storm;
    struct ts_mprotect_looper loopers[]; /* thread t is loopers[t - 1] */
};

static int next_worker(struct ts_storm *storm, uint32_t thread, struct ts_op *op)
{
    struct mprotect_loop *s = (struct mprotect_loop *)storm;
    return ts_mprotect_looper_next(&s->loopers[thread - 1u], thread, op);
}

static enum ts_status loop_create(struct ts_workload **out, const struct ts_workload_config *config,
                                  struct ts_error *err)
{
    const struct ts_mprotect_loop_params *p = config->params;
    struct ts_storm *storm = NULL;
    size_t bytes =
        sizeof(struct mprotect_loop) + (size_t)p->threads * sizeof(struct ts_mprotect_looper);
    enum ts_status status = ts_storm_create(&storm, bytes, p->threads, 0, next_worker, err);
    if (status != TS_OK)
        return status;
    struct ts_mprotect_looper *loopers = ((struct mprotect_loop *)storm)->loopers;
    storm->base.endless = p->rounds == 0;
    for (uint64_t i = 0; i < p->threads; i++) {
        struct ts_rng rng;
        ts_rng_init(&rng, config->seed, "workload.mprotect_loop.stagger",
                    (config->instance << 32) | (i + 1u));
        loopers[i].pages = p->pages;
        loopers[i].rounds = p->rounds;
        loopers[i].records = true;
        loopers[i].start_ns = ts_rng_between(&rng, 0, p->stagger / TS_NS);
    }
    *out = &storm->base;
    return TS_OK;
}

#define AT(field) offsetof(struct ts_mprotect_loop_params, field)
#define CHOICE "setting of the experiment"

static const struct ts_param rows[] = {
    {"threads", TS_PARAM_COUNT, AT(threads), 1, 1, 65535, NULL, "threads beside the main one",
     CHOICE, TS_CONF_CHOICE},
    {"pages", TS_PARAM_COUNT, AT(pages), 1, 1, UINT64_C(1) << 24, NULL,
     "4 KiB pages of each thread, written between the calls", CHOICE, TS_CONF_CHOICE},
    {"rounds", TS_PARAM_COUNT, AT(rounds), 0, 0, UINT32_MAX, NULL,
     "rounds of each thread, of two calls; 0: until run.window ends", CHOICE, TS_CONF_CHOICE},
    {"stagger", TS_PARAM_TIME, AT(stagger), 0, 0, TS_S, NULL,
     "each thread begins a random time later, up to this", CHOICE, TS_CONF_CHOICE},
};

static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_mprotect_loop;
const struct ts_workload_kind ts_workload_kind_mprotect_loop = {
    {"mprotect_loop", "threads that change the rights of their own pages, over and over",
     "none; made to flush at a rate, without faults that allocate", &table,
     sizeof(struct ts_mprotect_loop_params), false},
    loop_create};
