/* SPDX-License-Identifier: Apache-2.0 */
/* Many CPUs and one line: all write, or one writes and the others poll. */
#include "models/study/line_sharing.h"

#include <stdlib.h>

struct crowd;

struct member {
    struct ts_line_req req;
    struct ts_event event;
    struct crowd *crowd;
    uint32_t core;
    uint64_t cycles;
    uint64_t done; /* writers: RMWs after the warm-up */
    uint64_t seen; /* readers: the last value */
};

struct crowd {
    struct ts_sharing *s;
    struct ts_line line;
    uint32_t n;
    struct member *member;
    uint64_t done;
    ts_time begin, end;
    uint64_t misses; /* of the line system when the warm-up ended */
    /* readers */
    uint64_t value;
    uint32_t waiting; /* readers that have not seen it */
    bool over;
    ts_time stored; /* when the store of the writer began */
};

static void at_end_of_access(struct member *m, uint64_t cycles, ts_event_fn *fn)
{
    struct ts_sharing *s = m->crowd->s;

    m->event.fn = fn;
    ts_engine_schedule(s->engine, &m->event,
                       ts_clock_after(&s->clock, ts_engine_now(s->engine), cycles),
                       TS_PHASE_SOFTWARE);
}

static bool make_crowd(struct crowd *c, struct ts_sharing *s)
{
    *c = (struct crowd){0};
    c->s = s;
    c->n = (uint32_t)s->params->cpus + (s->params->pattern == TS_SHARING_READERS ? 1 : 0);
    c->member = calloc(c->n, sizeof(*c->member));
    if (!c->member)
        return false;
    for (uint32_t i = 0; i < c->n; i++) {
        c->member[i].crowd = c;
        c->member[i].core = s->topology.core[i];
    }
    ts_line_init(s->lines, &c->line, s->line_ids++, c->member[0].core);
    return true;
}

static uint64_t misses(const struct ts_sharing *s)
{
    return ts_line_system_stats(s->lines)->misses;
}

/* ---- writers ---- */

static void on_next_rmw(struct ts_engine *engine, struct ts_event *event);

static void rmw(struct member *m)
{
    struct crowd *c = m->crowd;
    struct ts_sharing *s = c->s;
    uint64_t warm = s->params->warmup * c->n, last = warm + s->params->rounds * c->n;

    if (c->done == last)
        return; /* asked for before the end */
    c->done++;
    if (c->done == warm) {
        c->begin = ts_engine_now(s->engine);
        c->misses = misses(s);
    } else if (c->done > warm) {
        m->done++;
    }
    if (c->done == last) {
        c->end = ts_engine_now(s->engine);
        s->stats->moves += misses(s) - c->misses;
        s->stats->moves_x1000 += 1000 * (misses(s) - c->misses);
        return;
    }
    at_end_of_access(m, m->cycles, on_next_rmw);
}

static void on_rmw_line(struct ts_line_req *req)
{
    rmw(req->user);
}

static void on_next_rmw(struct ts_engine *engine, struct ts_event *event)
{
    struct member *m = TS_CONTAINER_OF(event, struct member, event);
    struct crowd *c = m->crowd;

    (void)engine;
    if (c->end == 0 && ts_line_access(c->s->lines, &c->line, m->core, TS_LINE_RMW, &m->req,
                                      on_rmw_line, m, &m->cycles))
        rmw(m);
}

static void start_at_random(struct crowd *c, ts_event_fn *fn)
{
    struct ts_sharing *s = c->s;

    for (uint32_t i = 0; i < c->n; i++) {
        ts_event_init(&c->member[i].event, fn);
        ts_engine_schedule(s->engine, &c->member[i].event,
                           ts_engine_now(s->engine) + TS_NS + ts_rng_below(&s->rng, TS_US),
                           TS_PHASE_SOFTWARE);
    }
}

static void collect_writers(struct crowd *c)
{
    struct ts_sharing_stats *stats = c->s->stats;
    uint64_t smallest = UINT64_MAX, largest = 0, sum = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t done = c->member[i].done;

        sum += done;
        smallest = done < smallest ? done : smallest;
        largest = done > largest ? done : largest;
    }
    TS_ASSERT(sum == c->s->params->rounds * c->n);
    stats->cpus = c->n;
    stats->rmws += sum;
    stats->rmws_x1000 += 1000 * sum;
    stats->elapsed_ps += c->end - c->begin;
    stats->cpu_ps += (c->end - c->begin) * c->n;
    stats->smallest += smallest;
    stats->largest += largest;
}

enum ts_status ts_sharing_writers(struct ts_sharing *s, struct ts_error *err)
{
    enum ts_status status = TS_OK;

    for (uint64_t i = 0; i < s->params->lines && status == TS_OK; i++) {
        struct crowd c;

        if (!make_crowd(&c, s))
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
        start_at_random(&c, on_next_rmw);
        status = ts_sharing_settle(s, (s->params->warmup + s->params->rounds) * c.n, c.n, err);
        if (status == TS_OK) {
            ts_line_fini(&c.line);
            collect_writers(&c);
        }
        free(c.member);
    }
    return status;
}

/* ---- readers ---- */

static void on_poll(struct ts_engine *engine, struct ts_event *event);
static void on_store(struct ts_engine *engine, struct ts_event *event);

/* All have seen the value: the writer goes on after a while. */
static void round_over(struct crowd *c)
{
    struct ts_sharing *s = c->s;
    ts_time took = ts_engine_now(s->engine) - c->stored;

    if (c->value > s->params->warmup)
        s->stats->last_ps += took;
    if (c->value == s->params->warmup + s->params->rounds)
        c->over = true;
    else
        at_end_of_access(&c->member[0], 1 + ts_rng_below(&s->rng, 1000), on_store);
}

static void saw(struct member *m)
{
    struct crowd *c = m->crowd;
    struct ts_sharing *s = c->s;

    if (m->seen != c->value) {
        ts_time took = ts_engine_now(s->engine) - c->stored;

        TS_ASSERT(m->seen + 1 == c->value && c->waiting > 0);
        m->seen = c->value;
        if (c->value > s->params->warmup) {
            s->stats->reads++;
            s->stats->reads_x1000 += 1000;
            s->stats->sum_ps += took;
            if (c->waiting == c->n - 1)
                s->stats->first_ps += took;
        }
        if (--c->waiting == 0)
            round_over(c);
    }
    if (!c->over)
        at_end_of_access(m, m->cycles + s->params->poll_cycles, on_poll);
}

static void on_read_line(struct ts_line_req *req)
{
    saw(req->user);
}

static void on_poll(struct ts_engine *engine, struct ts_event *event)
{
    struct member *m = TS_CONTAINER_OF(event, struct member, event);
    struct crowd *c = m->crowd;

    (void)engine;
    if (!c->over && ts_line_access(c->s->lines, &c->line, m->core, TS_LINE_READ, &m->req,
                                   on_read_line, m, &m->cycles))
        saw(m);
}

/* From here on whoever gets the line reads the new value. */
static void stored(struct member *m)
{
    struct crowd *c = m->crowd;
    struct ts_sharing *s = c->s;

    c->value++;
    c->waiting = c->n - 1;
    if (c->value > s->params->warmup) {
        s->stats->stores++;
        s->stats->stores_x1000 += 1000;
        s->stats->store_ps += ts_engine_now(s->engine) - c->stored;
    }
}

static void on_store_line(struct ts_line_req *req)
{
    stored(req->user);
}

static void on_store(struct ts_engine *engine, struct ts_event *event)
{
    struct member *m = TS_CONTAINER_OF(event, struct member, event);
    struct crowd *c = m->crowd;

    c->stored = ts_engine_now(engine);
    if (ts_line_access(c->s->lines, &c->line, m->core, TS_LINE_WRITE, &m->req, on_store_line, m,
                       &m->cycles))
        stored(m);
}

enum ts_status ts_sharing_readers(struct ts_sharing *s, struct ts_error *err)
{
    enum ts_status status = TS_OK;

    for (uint64_t i = 0; i < s->params->lines && status == TS_OK; i++) {
        struct crowd c;

        if (!make_crowd(&c, s))
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory");
        start_at_random(&c, on_poll);
        c.member[0].event.fn = on_store;
        status = ts_sharing_settle(s, (s->params->warmup + s->params->rounds) * c.n, c.n, err);
        if (status == TS_OK)
            ts_line_fini(&c.line);
        free(c.member);
    }
    s->stats->cpus = s->params->cpus;
    return status;
}
