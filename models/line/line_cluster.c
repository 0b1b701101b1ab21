/* SPDX-License-Identifier: Apache-2.0 */
/* The L3 of a cluster. The first request of a cluster for a line stands for the cluster in the
 * line's list and hands that over to the next one. */
#include "models/line/line_private.h"

static struct ts_line_req *first_of(const struct ts_line_system *s, const struct ts_line *line,
                                    uint32_t cluster)
{
    struct ts_line_req *req = line->clusters;

    while (req && s->cluster[req->core] != cluster)
        req = req->next_cluster;
    return req;
}

uint32_t ts_line_holder(const struct ts_line_system *s, const struct ts_line *line,
                        uint32_t cluster)
{
    uint32_t core;

    if (line->owner != TS_LINE_NONE)
        return s->cluster[line->owner] == cluster ? line->owner : TS_LINE_NONE;
    core = ts_sharers_next(&s->sharers, line, cluster);
    return core < s->cluster_end[cluster] ? core : TS_LINE_NONE;
}

bool ts_line_drop(struct ts_line_system *s, struct ts_line *line, uint32_t cluster, uint32_t except)
{
    bool dropped = false;
    uint32_t end = s->cluster_end[cluster];

    if (line->owner != TS_LINE_NONE) {
        if (line->owner == except || s->cluster[line->owner] != cluster)
            return false;
        line->owner = TS_LINE_NONE;
        return true;
    }
    for (uint32_t core = ts_sharers_next(&s->sharers, line, cluster); core < end;
         core = ts_sharers_next(&s->sharers, line, core + 1)) {
        if (core == except)
            continue;
        ts_sharers_remove(&s->sharers, line, core);
        dropped = true;
    }
    return dropped;
}

void ts_line_downgrade(struct ts_line_system *s, struct ts_line *line)
{
    uint32_t core = line->owner;

    line->owner = TS_LINE_NONE;
    ts_sharers_add(&s->sharers, line, core);
}

bool ts_line_defer(struct ts_line *line, uint32_t cluster, struct ts_msg *msg)
{
    struct ts_line_req *first = first_of(line->system, line, cluster);

    if (!first || !first->serving)
        return false;
    TS_ASSERT(!first->deferred);
    first->deferred = msg;
    return true;
}

static void on_looked_up(struct ts_engine *engine, struct ts_event *event);

static void look_up(struct ts_line_system *s, struct ts_line_req *req)
{
    req->event.fn = on_looked_up;
    ts_engine_schedule(
        s->engine, &req->event,
        ts_clock_after(&s->core_clock, ts_engine_now(s->engine), s->params.cluster_cycles),
        TS_PHASE_HARDWARE);
}

void ts_line_leave_cluster(struct ts_line_system *s, struct ts_line_req *req)
{
    struct ts_line_req **link = &req->line->clusters, *next = req->behind;

    while (*link != req)
        link = &(*link)->next_cluster;
    TS_ASSERT(!req->serving && !req->deferred);
    if (!next) {
        *link = req->next_cluster;
        return;
    }
    next->next_cluster = req->next_cluster;
    next->last = req->last;
    *link = next;
    look_up(s, next);
}

static void served(struct ts_line_system *s, struct ts_line_req *req)
{
    struct ts_line *line = req->line;
    struct ts_msg *deferred = req->deferred;

    ts_line_served(s, &s->stats.in_cluster);
    ts_line_check(s, line);
    ts_line_granted(s, req);
    req->serving = false;
    req->deferred = NULL;
    ts_line_leave_cluster(s, req);
    /* The request is the caller's again from here on, and the copy the home's to take. */
    req->done(req);
    if (deferred)
        deferred->deliver(s->ic, deferred);
}

static void on_served(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_req *req = TS_CONTAINER_OF(event, struct ts_line_req, event);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;

    (void)engine;
    if (req->op == TS_LINE_READ) {
        ts_sharers_add(&s->sharers, line, req->core);
    } else {
        ts_line_drop(s, line, s->cluster[req->core], TS_LINE_NONE);
        TS_ASSERT(line->owner == TS_LINE_NONE && line->nsharers == 0);
        line->owner = req->core;
    }
    served(s, req);
}

/* Copies change when the L3 has found them, as by a snoop; the requester's when it has the data. */
static void on_looked_up(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_req *req = TS_CONTAINER_OF(event, struct ts_line_req, event);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;
    uint32_t cluster = s->cluster[req->core];
    bool owned = line->owner != TS_LINE_NONE, others;

    (void)engine;
    if (ts_line_allows(line, req->core, req->op)) { /* the core's other thread was served before */
        req->version = line->version;
        served(s, req);
        return;
    }
    if (req->op == TS_LINE_READ && ts_line_holder(s, line, cluster) != TS_LINE_NONE) {
        others = owned;
        if (owned)
            ts_line_downgrade(s, line);
    } else if (req->op != TS_LINE_READ && line->owner_cluster == cluster) {
        others = ts_line_drop(s, line, cluster, req->core);
    } else {
        ts_line_to_home(s, req);
        return;
    }
    req->serving = true;
    req->version = line->version;
    ts_line_after_hold(s, line, owned, event, on_served, others ? s->params.snoop_cycles : 0);
}

void ts_line_to_cluster(struct ts_line_system *s, struct ts_line_req *req)
{
    struct ts_line *line = req->line;
    struct ts_line_req *first = first_of(s, line, s->cluster[req->core]);

    req->behind = NULL;
    req->serving = false;
    req->deferred = NULL;
    if (first) {
        first->last->behind = req;
        first->last = req;
        return;
    }
    req->last = req;
    req->next_cluster = line->clusters;
    line->clusters = req;
    look_up(s, req);
}
