/* SPDX-License-Identifier: Apache-2.0 */
/* What core-to-core benchmarks measure: two CPUs spin on compare-and-swap, one from ping to pong,
 * the other back; the time of a transfer is half that of a round trip. A failing CAS takes the line
 * for itself as a succeeding one does. */
#include "models/study/line_sharing.h"

struct spinner {
    struct ts_line_req req;
    struct ts_event event;
    struct bounce *bounce;
    uint32_t core;
    uint32_t me; /* 0: turns ping into pong */
    uint64_t cycles;
};

struct bounce {
    struct ts_sharing *s;
    struct ts_line line;
    uint32_t value; /* 0: ping, 1: pong */
    uint64_t succeeded;
    ts_time begin, end;
    struct spinner spinner[2];
};

static void on_next(struct ts_engine *engine, struct ts_event *event);

/* The core has the line: the CAS takes place now, and the next one when it has ended. */
static void swap(struct spinner *p)
{
    struct bounce *b = p->bounce;
    struct ts_sharing *s = b->s;
    uint64_t last = s->params->warmup + s->params->rounds;
    ts_time now = ts_engine_now(s->engine);

    s->stats->cas++;
    if (b->value == p->me && b->succeeded < last) {
        b->value = 1 - p->me;
        s->stats->cas_succeeded++;
        b->succeeded++;
        if (b->succeeded == s->params->warmup)
            b->begin = now;
        if (b->succeeded == last)
            b->end = now;
    } else {
        s->stats->cas_failed++;
    }
    if (b->succeeded == last)
        return;
    p->event.fn = on_next;
    ts_engine_schedule(s->engine, &p->event, ts_clock_after(&s->clock, now, p->cycles),
                       TS_PHASE_SOFTWARE);
}

static void on_line(struct ts_line_req *req)
{
    swap(req->user);
}

static void on_next(struct ts_engine *engine, struct ts_event *event)
{
    struct spinner *p = TS_CONTAINER_OF(event, struct spinner, event);
    struct bounce *b = p->bounce;

    (void)engine;
    if (ts_line_access(b->s->lines, &b->line, p->core, TS_LINE_RMW, &p->req, on_line, p,
                       &p->cycles))
        swap(p);
}

/* The second CPU joins a little later, at random, so that pairs differ in phase. */
static enum ts_status time_pair(struct ts_sharing *s, uint32_t a, uint32_t b,
                                struct ts_sharing_pairs *out, struct ts_error *err)
{
    uint32_t cpus[2] = {a, b};
    struct bounce bounce = {0};
    ts_time now = ts_engine_now(s->engine);
    enum ts_status status;
    uint64_t mean;

    bounce.s = s;
    ts_line_init(s->lines, &bounce.line, s->line_ids, s->topology.core[cpus[s->line_ids % 2]]);
    s->line_ids++;
    for (uint32_t i = 0; i < 2; i++) {
        struct spinner *p = &bounce.spinner[i];

        p->bounce = &bounce;
        p->me = i;
        p->core = s->topology.core[cpus[i]];
        ts_event_init(&p->event, on_next);
        ts_engine_schedule(s->engine, &p->event,
                           now + TS_NS + (i ? ts_rng_below(&s->rng, 200 * TS_NS) : 0),
                           TS_PHASE_SOFTWARE);
    }
    status = ts_sharing_settle(s, s->params->warmup + s->params->rounds, 2, err);
    if (status != TS_OK)
        return status;
    ts_line_fini(&bounce.line);
    out->ps += bounce.end - bounce.begin;
    out->transfers += s->params->rounds;
    out->transfers_x1000 += 1000 * s->params->rounds;
    mean = (bounce.end - bounce.begin) / s->params->rounds;
    if (out->pairs == 0 || mean < out->min_ps)
        out->min_ps = mean;
    if (mean > out->max_ps)
        out->max_ps = mean;
    out->pairs++;
    return TS_OK;
}

static uint32_t cluster_of(const struct ts_sharing *s, uint32_t cpu)
{
    uint64_t in_socket = s->topology.core[cpu] % s->topology.params.cores_per_socket;

    return (uint32_t)(in_socket / s->cluster_cores);
}

static bool is_at(const struct ts_sharing *s, uint32_t a, uint32_t b,
                  enum ts_sharing_placement placement)
{
    const struct ts_topology *t = &s->topology;
    bool core = t->core[a] == t->core[b], socket = t->socket[a] == t->socket[b];
    bool cluster = socket && cluster_of(s, a) == cluster_of(s, b);
    bool clustered = s->cluster_cores > 1;

    if (placement == TS_SHARING_SMT)
        return core && a != b;
    if (core)
        return false;
    switch (placement) {
    case TS_SHARING_NEIGHBOUR:
        return (clustered ? cluster : socket) && t->core[a] + 1 == t->core[b];
    case TS_SHARING_CLUSTER:
        return clustered && cluster;
    case TS_SHARING_SOCKET:
        return socket;
    case TS_SHARING_OTHER_CLUSTER:
        return clustered && socket && !cluster;
    default:
        return !socket;
    }
}

/* All pairs if they are few, else as many drawn from them without replacement: each of the pairs
 * still to come is taken with the probability of those still wanted. */
static enum ts_status time_placement(struct ts_sharing *s, enum ts_sharing_placement placement,
                                     struct ts_error *err)
{
    uint32_t first = (uint32_t)(s->topology.params.cores_per_socket * s->topology.params.sockets);
    uint32_t ends = placement == TS_SHARING_SMT ? s->topology.ncpus : first;
    uint64_t there = 0, wanted;

    for (uint32_t a = 0; a < first; a++)
        for (uint32_t b = a + 1; b < ends; b++)
            there += is_at(s, a, b, placement);
    wanted = there < s->params->pairs ? there : s->params->pairs;
    for (uint32_t a = 0; a < first && wanted > 0; a++) {
        for (uint32_t b = a + 1; b < ends && wanted > 0; b++) {
            enum ts_status status;

            if (!is_at(s, a, b, placement))
                continue;
            if (ts_rng_below(&s->rng, there--) >= wanted)
                continue;
            wanted--;
            status = time_pair(s, a, b, &s->stats->at[placement], err);
            if (status != TS_OK)
                return status;
        }
    }
    return TS_OK;
}

enum ts_status ts_sharing_transfer(struct ts_sharing *s, struct ts_error *err)
{
    for (uint32_t i = 0; i < TS_SHARING_PLACEMENTS; i++) {
        enum ts_status status = time_placement(s, (enum ts_sharing_placement)i, err);

        if (status != TS_OK)
            return status;
    }
    return TS_OK;
}
