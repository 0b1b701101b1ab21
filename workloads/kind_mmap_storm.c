/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"
#include "workloads/mmap_storm.h"
#include "workloads/storm_threads.h"

#define PAGE TS_STORM_PAGE
#define MAX_PAGES (UINT64_C(1) << 36)

enum step {
    STEP_MAP,
    STEP_TOUCH,
    STEP_SHARE,
    STEP_UNMAP,
    STEP_VFREE,
    STEP_SLEEP,
    STEP_LAST_UNMAP,
    STEP_EXIT,
    STEP_OVER
};

struct worker {
    enum step step;
    uint64_t round;
    uint64_t touched; /* pages of this round, in the mapping of the moment */
    uint64_t shared;  /* neighbours done with in this round */
    struct ts_rng touch_rng;
    struct ts_rng share_rng;
    struct ts_rng think_rng;
};

struct mmap_storm {
    struct ts_storm storm;
    struct ts_mmap_storm_params params;
    struct worker workers[]; /* thread t is workers[t - 1] */
};

/* Regions are numbered by thread and round, so they do not depend on the order of asking. */
static uint32_t region_of(const struct mmap_storm *s, uint32_t thread, uint64_t round)
{
    if (s->params.unmap == TS_MMAP_STORM_MADVISE)
        return thread - 1u;
    return (uint32_t)((thread - 1u) * s->params.rounds + round);
}

static enum step after_unmap(const struct mmap_storm *s, struct worker *w)
{
    w->shared = 0;
    w->round++;
    if (w->round < s->params.rounds)
        return s->params.unmap == TS_MMAP_STORM_MADVISE ? STEP_TOUCH : STEP_MAP;
    return s->params.unmap == TS_MMAP_STORM_MADVISE ? STEP_LAST_UNMAP : STEP_EXIT;
}

static enum step before_sleep(const struct mmap_storm *s, struct worker *w)
{
    return s->params.sleep_max > 0 ? STEP_SLEEP : after_unmap(s, w);
}

/* Touches of one mapping: false when all of a round are done. */
static bool touch(const struct mmap_storm *s, struct worker *w, struct ts_rng *rng, bool write,
                  struct ts_op *op)
{
    const struct ts_mmap_storm_params *p = &s->params;
    if (w->touched == p->touch_pages) {
        w->touched = 0;
        return false;
    }
    op->kind = TS_OP_TOUCH;
    op->flags = write ? TS_OPF_WRITE : 0u;
    if (p->placement == TS_MMAP_STORM_STRIDED) {
        op->count = p->touch_pages;
        op->stride = p->pages / p->touch_pages * PAGE;
    } else {
        op->count = 1;
        op->stride = PAGE;
        op->offset = ts_rng_below(rng, p->pages) * PAGE;
    }
    w->touched += op->count;
    return true;
}

/* The same of the neighbours' mappings, one after the other. */
static bool share(const struct mmap_storm *s, uint32_t thread, struct worker *w, struct ts_op *op)
{
    const struct ts_mmap_storm_params *p = &s->params;
    while (p->sharing != TS_MMAP_STORM_NONE && w->shared < p->sharers) {
        uint32_t other = (uint32_t)((thread + w->shared) % p->threads) + 1u;
        if (touch(s, w, &w->share_rng, p->sharing == TS_MMAP_STORM_WRITE, op)) {
            op->region = region_of(s, other, w->round);
            return true;
        }
        w->shared++;
    }
    return false;
}

static int next_worker(struct ts_storm *storm, uint32_t thread, struct ts_op *op)
{
    struct mmap_storm *s = (struct mmap_storm *)storm;
    const struct ts_mmap_storm_params *p = &s->params;
    struct worker *w = &s->workers[thread - 1u];
    op->region = region_of(s, thread, w->round);
    if (w->step == STEP_TOUCH) {
        if (touch(s, w, &w->touch_rng, p->write != 0, op))
            return 1;
        w->step = STEP_SHARE;
    }
    if (w->step == STEP_SHARE) {
        if (share(s, thread, w, op))
            return 1;
        w->step = STEP_UNMAP;
    }
    switch (w->step) {
    case STEP_MAP:
        ts_storm_map(op, p->pages);
        w->step = STEP_TOUCH;
        return 1;
    case STEP_UNMAP:
        op->kind = p->unmap == TS_MMAP_STORM_MADVISE ? TS_OP_MADVISE_DONTNEED : TS_OP_MUNMAP;
        op->length = p->pages * PAGE;
        w->step = p->vfree > 0 ? STEP_VFREE : before_sleep(s, w);
        return 1;
    case STEP_VFREE:
        op->kind = TS_OP_VFREE;
        op->region = 0;
        op->length = p->vfree;
        w->step = before_sleep(s, w);
        return 1;
    case STEP_SLEEP:
        op->kind = TS_OP_SLEEP;
        op->region = 0;
        op->length = ts_rng_between(&w->think_rng, p->sleep_min / TS_NS, p->sleep_max / TS_NS);
        w->step = after_unmap(s, w);
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
    case STEP_TOUCH:
    case STEP_SHARE:
    case STEP_OVER:
        break;
    }
    return 0;
}

static enum ts_status check(const struct ts_mmap_storm_params *p, struct ts_error *err)
{
    if (p->sleep_min > p->sleep_max)
        return ts_error_set(err, TS_ERR_USER, "sleep_min is larger than sleep_max");
    if (p->placement == TS_MMAP_STORM_STRIDED && p->touch_pages > p->pages)
        return ts_error_set(err, TS_ERR_USER, "touch_pages is larger than pages");
    if (p->sharing != TS_MMAP_STORM_NONE && p->sharers >= p->threads)
        return ts_error_set(err, TS_ERR_USER,
                            "sharers must be less than threads: the other threads' mappings");
    if (p->rounds > UINT32_MAX / p->threads)
        return ts_error_set(err, TS_ERR_USER, "threads times rounds is larger than 2^32");
    return TS_OK;
}

static enum ts_status storm_create(struct ts_workload **out,
                                   const struct ts_workload_config *config, struct ts_error *err)
{
    const struct ts_mmap_storm_params *p = config->params;
    enum ts_status status = check(p, err);
    if (status != TS_OK)
        return status;
    struct ts_storm *storm = NULL;
    size_t bytes = sizeof(struct mmap_storm) + (size_t)p->threads * sizeof(struct worker);
    status = ts_storm_create(&storm, bytes, p->threads, p->start_stagger / TS_NS, next_worker, err);
    if (status != TS_OK)
        return status;
    struct mmap_storm *s = (struct mmap_storm *)storm;
    struct worker *workers = s->workers;
    s->params = *p;
    for (uint64_t i = 0; i < p->threads; i++) {
        uint64_t number = (config->instance << 32) | (i + 1u);
        ts_rng_init(&workers[i].touch_rng, config->seed, "workload.mmap_storm.touch", number);
        ts_rng_init(&workers[i].share_rng, config->seed, "workload.mmap_storm.share", number);
        ts_rng_init(&workers[i].think_rng, config->seed, "workload.mmap_storm.think", number);
    }
    *out = &storm->base;
    return TS_OK;
}

static const char *const placement_names[] = {"strided", "random", NULL};
static const char *const unmap_names[] = {"munmap", "madvise_dontneed", NULL};
static const char *const sharing_names[] = {"none", "read", "write", NULL};

#define AT(field) offsetof(struct ts_mmap_storm_params, field)
#define SOURCE "the recorded program, mmapstorm 65 50 16384 16 (workloads/traces/README.md)"
#define CHOICE "setting of the experiment"

static const struct ts_param rows[] = {
    {"threads", TS_PARAM_COUNT, AT(threads), 65, 1, 65535, NULL, "threads beside the main one",
     SOURCE, TS_CONF_CHOICE},
    {"rounds", TS_PARAM_COUNT, AT(rounds), 50, 1, UINT32_MAX, NULL, "rounds of each thread", SOURCE,
     TS_CONF_CHOICE},
    {"pages", TS_PARAM_COUNT, AT(pages), 16384, 1, MAX_PAGES, NULL, "4 KiB pages of a mapping",
     SOURCE, TS_CONF_CHOICE},
    {"touch_pages", TS_PARAM_COUNT, AT(touch_pages), 16, 0, MAX_PAGES, NULL,
     "pages touched in each round", SOURCE, TS_CONF_CHOICE},
    {"placement", TS_PARAM_ENUM, AT(placement), TS_MMAP_STORM_STRIDED, 0, 1, placement_names,
     "strided: spread evenly over the mapping; random: each page drawn by itself, with repetition",
     CHOICE, TS_CONF_CHOICE},
    {"write", TS_PARAM_BOOL, AT(write), 1, 0, 1, NULL, "touches write", SOURCE, TS_CONF_CHOICE},
    {"unmap", TS_PARAM_ENUM, AT(unmap), TS_MMAP_STORM_MUNMAP, 0, 1, unmap_names,
     "how a round ends; madvise_dontneed keeps the mapping until the thread ends", SOURCE,
     TS_CONF_CHOICE},
    {"sleep_min", TS_PARAM_TIME, AT(sleep_min), 0, 0, TS_S, NULL,
     "shortest random nanosleep after a round; whole nanoseconds count", SOURCE, TS_CONF_CHOICE},
    {"sleep_max", TS_PARAM_TIME, AT(sleep_max), 999 * TS_NS, 0, TS_S, NULL,
     "longest random nanosleep after a round; whole nanoseconds count; 0: no sleep", SOURCE,
     TS_CONF_CHOICE},
    {"start_stagger", TS_PARAM_TIME, AT(start_stagger), 0, 0, TS_S, NULL,
     "computation of the main thread between two starts; whole nanoseconds count", CHOICE,
     TS_CONF_CHOICE},
    {"sharing", TS_PARAM_ENUM, AT(sharing), TS_MMAP_STORM_NONE, 0, TS_MMAP_STORM_WRITE,
     sharing_names,
     "before it unmaps its own, each thread reads or writes as many pages in the same round's "
     "mappings of the next threads; it waits where one is not there yet, not for any other thing, "
     "and skips one that is gone",
     CHOICE, TS_CONF_CHOICE},
    {"sharers", TS_PARAM_COUNT, AT(sharers), 1, 1, 65535, NULL,
     "with sharing: how many other threads touch each mapping", CHOICE, TS_CONF_CHOICE},
    {"vfree", TS_PARAM_BYTES, AT(vfree), 0, 0, UINT64_C(1) << 40, NULL,
     "kernel memory that each thread gives back after an unmap, as a driver may", CHOICE,
     TS_CONF_CHOICE},
};

static const struct ts_param_table table = {"workload", rows, TS_ARRAY_LEN(rows)};

extern const struct ts_workload_kind ts_workload_kind_mmap_storm;
const struct ts_workload_kind ts_workload_kind_mmap_storm = {
    {"mmap_storm", "threads that map, touch and unmap memory, over and over",
     "V. Kuznetsov, KVM: x86: hyperv: PV TLB flush for Windows guests, v2, April 2018: the test",
     &table, sizeof(struct ts_mmap_storm_params), false},
    storm_create};
