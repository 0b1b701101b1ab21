/* SPDX-License-Identifier: Apache-2.0 */
#include "models/line/line_private.h"

static void start(struct ts_line_system *s, struct ts_line *line);

static void home_after(struct ts_line_system *s, struct ts_event *event, ts_event_fn *fn)
{
    event->fn = fn;
    ts_engine_schedule(s->engine, event,
                       ts_clock_after(ts_interconnect_clock(s->ic), ts_engine_now(s->engine),
                                      s->params.home_cycles),
                       TS_PHASE_HARDWARE);
}

/* Readers of a shared line do not wait for each other's acknowledgements. */
static void start_next(struct ts_line *line)
{
    if (line->head && !line->busy && (line->readers == 0 || line->head->op == TS_LINE_READ))
        start(line->system, line);
}

static void remove_head(struct ts_line *line)
{
    line->head = line->head->next;
    if (!line->head)
        line->tail = NULL;
}

/* One of the messages that end a request at the home. */
static void settled(struct ts_line *line)
{
    TS_ASSERT(line->busy && line->waits > 0);
    if (--line->waits > 0)
        return;
    line->busy = false;
    start_next(line);
}

static void on_released(struct ts_interconnect *ic, struct ts_msg *msg)
{
    (void)ic;
    settled(TS_CONTAINER_OF(msg, struct ts_line, release));
}

static void on_written_back(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line *line = TS_CONTAINER_OF(msg, struct ts_line, writeback);

    (void)ic;
    line->home_version = line->writeback_version;
    settled(line);
}

/* The home has found a place for every copy but the requester's new one. */
static void take_copy(struct ts_line_system *s, struct ts_line *line, uint32_t core,
                      enum ts_line_op op)
{
    uint32_t cluster = s->cluster[core];

    if (op != TS_LINE_READ)
        ts_line_drop(s, line, cluster, TS_LINE_NONE);
    TS_ASSERT(line->owner == TS_LINE_NONE && line->owner_cluster == TS_LINE_NONE);
    /* A read gets the line exclusive when nobody else has it (MESI). */
    if (line->nsharers == 0) {
        line->owner = core;
        line->owner_cluster = cluster;
    } else {
        TS_ASSERT(op == TS_LINE_READ);
        ts_sharers_add(&s->sharers, line, core);
    }
}

/* Data or permission has arrived at the requester: its copy changes now. */
static void on_answer(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_req *req = TS_CONTAINER_OF(msg, struct ts_line_req, msg);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;

    (void)ic;
    TS_ASSERT(line->busy && line->head == req);
    if (ts_line_readable(line, req->core)) /* permission: the data is what its copy holds */
        req->version = line->version;
    if (!ts_line_allows(line, req->core, req->op))
        take_copy(s, line, req->core, req->op);
    ts_line_check(s, line);
    remove_head(line);
    ts_line_send(s, &line->release, req->core, line->home, TS_MSG_RESPONSE, on_released);
    ts_line_granted(s, req);
    if (s->clustered)
        ts_line_leave_cluster(s, req);
    /* The request is the caller's again from here on. */
    req->done(req);
}

static void invalidate(struct ts_line_system *s, struct ts_line_req *req);

static void give_back(struct ts_line_system *s, struct ts_line_ack *ack)
{
    ack->next = s->free;
    s->free = ack;
    if (s->starved_head) {
        struct ts_line_req *waiting = s->starved_head;

        s->starved_head = waiting->next_starved;
        invalidate(s, waiting);
    }
}

static void on_read_acknowledged(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_ack *ack = TS_CONTAINER_OF(msg, struct ts_line_ack, msg);
    struct ts_line *line = ack->line;

    (void)ic;
    TS_ASSERT(line->readers > 0);
    line->readers--;
    give_back(line->system, ack);
    start_next(line);
}

static void on_shared_data(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_req *req = TS_CONTAINER_OF(msg, struct ts_line_req, msg);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;

    (void)ic;
    TS_ASSERT(line->readers > 0 && line->owner_cluster == TS_LINE_NONE);
    ts_sharers_add(&s->sharers, line, req->core);
    ts_line_check(s, line);
    ts_line_send(s, &req->ack->msg, req->core, line->home, TS_MSG_RESPONSE, on_read_acknowledged);
    ts_line_granted(s, req);
    if (s->clustered)
        ts_line_leave_cluster(s, req);
    req->done(req);
}

/* Others share the line and it stays so: the home is free for the next reader. */
static void share(struct ts_line_system *s, struct ts_line_req *req)
{
    struct ts_line *line = req->line;

    req->ack = s->free;
    s->free = req->ack->next;
    req->ack->line = line;
    ts_line_served(s, &s->stats.llc);
    line->readers++;
    line->waits = 0;
    line->busy = false;
    remove_head(line);
    req->version = line->home_version;
    ts_line_send(s, &req->msg, line->home, req->core, TS_MSG_DATA, on_shared_data);
    start_next(line);
}

static void answer_from_home(struct ts_line_system *s, struct ts_line_req *req)
{
    bool has_data = ts_line_readable(req->line, req->core);

    if (has_data)
        ts_line_served(s, &s->stats.upgrades);
    else
        ts_line_served(s, &s->stats.llc);
    req->version = req->line->home_version;
    ts_line_send(s, &req->msg, req->line->home, req->core, has_data ? TS_MSG_RESPONSE : TS_MSG_DATA,
                 on_answer);
}

static void on_memory(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_req *req = TS_CONTAINER_OF(event, struct ts_line_req, event);

    (void)engine;
    req->version = req->line->home_version;
    ts_line_send(req->system, &req->msg, req->line->home, req->core, TS_MSG_DATA, on_answer);
}

/* Four hops: the owner's data has come to the home. */
static void on_data_at_home(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_req *req = TS_CONTAINER_OF(msg, struct ts_line_req, msg);

    (void)ic;
    req->line->dirty = false;
    req->line->home_version = req->version;
    ts_line_send(req->system, msg, req->line->home, req->core, TS_MSG_DATA, on_answer);
}

static void on_taken(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_req *req = TS_CONTAINER_OF(event, struct ts_line_req, event);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;

    (void)engine;
    if (!s->params.forwarding) {
        ts_line_send(s, &req->msg, req->source, line->home, TS_MSG_DATA, on_data_at_home);
        return;
    }
    ts_line_send(s, &req->msg, req->source, req->core, TS_MSG_DATA, on_answer);
    if (req->op == TS_LINE_READ && line->dirty) {
        line->dirty = false;
        line->waits++;
        line->writeback_version = req->version;
        s->stats.writebacks++;
        ts_line_send(s, &line->writeback, req->source, line->home, TS_MSG_DATA, on_written_back);
    }
}

static void on_owner_snooped(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_req *req = TS_CONTAINER_OF(msg, struct ts_line_req, msg);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;
    uint32_t cluster = msg->dst;
    bool owned = line->owner != TS_LINE_NONE;

    (void)ic;
    TS_ASSERT(line->owner_cluster == cluster);
    if (s->clustered && ts_line_defer(line, cluster, msg))
        return;
    req->source = ts_line_holder(s, line, cluster);
    TS_ASSERT(req->source != TS_LINE_NONE);
    req->version = line->version;
    if (req->op != TS_LINE_READ)
        ts_line_drop(s, line, cluster, TS_LINE_NONE);
    else if (owned)
        ts_line_downgrade(s, line);
    line->owner_cluster = TS_LINE_NONE;
    ts_line_check(s, line);
    ts_line_after_hold(s, line, owned, &req->event, on_taken, s->params.snoop_cycles);
}

static void acknowledged(struct ts_line_system *s, struct ts_line_req *req)
{
    TS_ASSERT(req->acks_left > 0);
    if (--req->acks_left == 0)
        answer_from_home(s, req);
}

static void on_inval_ack(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_ack *inv = TS_CONTAINER_OF(msg, struct ts_line_ack, msg);
    struct ts_line_req *req = inv->req;
    struct ts_line_system *s = req->system;

    (void)ic;
    acknowledged(s, req);
    give_back(s, inv);
}

static void on_dropped(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_ack *inv = TS_CONTAINER_OF(event, struct ts_line_ack, event);

    (void)engine;
    ts_line_send(inv->req->system, &inv->msg, inv->msg.dst, inv->req->line->home, TS_MSG_RESPONSE,
                 on_inval_ack);
}

static void on_sharer_snooped(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_ack *inv = TS_CONTAINER_OF(msg, struct ts_line_ack, msg);
    struct ts_line_system *s = inv->req->system;
    struct ts_line *line = inv->req->line;
    bool dropped;

    (void)ic;
    if (s->clustered && ts_line_defer(line, msg->dst, msg))
        return;
    dropped = ts_line_drop(s, line, msg->dst, TS_LINE_NONE);
    TS_ASSERT(dropped);
    ts_line_after_hold(s, line, false, &inv->event, on_dropped, s->params.snoop_cycles);
}

/* Sends invalidations from req->cursor on, one a cluster, as far as there are free ones. No other
 * cluster than the requester's joins or leaves the sharers meanwhile: the home serves this request
 * alone. acks_left counts this loop until it has ended. */
static void invalidate(struct ts_line_system *s, struct ts_line_req *req)
{
    uint32_t own = s->cluster[req->core];

    for (;;) {
        uint32_t sharer = ts_sharers_next(&s->sharers, req->line, req->cursor);
        struct ts_line_ack *inv = s->free;

        if (sharer == TS_LINE_NONE)
            break;
        if (s->cluster[sharer] == own) {
            req->cursor = s->cluster_end[own];
            continue;
        }
        if (!inv) {
            req->next_starved = NULL;
            if (s->starved_head)
                s->starved_tail->next_starved = req;
            else
                s->starved_head = req;
            s->starved_tail = req;
            return;
        }
        s->free = inv->next;
        inv->req = req;
        req->cursor = s->cluster_end[s->cluster[sharer]];
        req->acks_left++;
        s->stats.invalidations++;
        ts_line_send(s, &inv->msg, req->line->home, s->cluster[sharer], TS_MSG_SNOOP,
                     on_sharer_snooped);
    }
    acknowledged(s, req);
}

/* The home has read its directory, which says what clusters hold: nothing of this line is in flight
 * when a request is taken up, but within clusters. */
static void on_looked_up(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_req *req = TS_CONTAINER_OF(event, struct ts_line_req, event);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;
    uint32_t own = s->cluster[req->core];

    if (!line->touched) {
        line->touched = true;
        ts_line_served(s, &s->stats.memory);
        event->fn = on_memory;
        ts_engine_schedule(engine, event, ts_engine_now(engine) + s->params.memory_ps,
                           TS_PHASE_HARDWARE);
    } else if (line->owner_cluster != TS_LINE_NONE && line->owner_cluster != own) {
        ts_line_served(s, &s->stats.transfers);
        ts_line_send(s, &req->msg, line->home, line->owner_cluster, TS_MSG_SNOOP, on_owner_snooped);
    } else if (req->op == TS_LINE_READ && s->free && !ts_line_readable(line, req->core)) {
        share(s, req);
    } else if (req->op == TS_LINE_READ || line->owner_cluster == own) {
        answer_from_home(s, req);
    } else {
        req->cursor = 0;
        req->acks_left = 1;
        invalidate(s, req);
    }
}

static void start(struct ts_line_system *s, struct ts_line *line)
{
    struct ts_line_req *req = line->head;

    line->busy = true;
    line->waits = 1;
    s->stats.queued_ps += ts_engine_now(s->engine) - req->queued;
    home_after(s, &req->event, on_looked_up);
}

static void on_request(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_req *req = TS_CONTAINER_OF(msg, struct ts_line_req, msg);
    struct ts_line *line = req->line;

    (void)ic;
    req->queued = ts_engine_now(req->system->engine);
    req->next = NULL;
    if (line->tail)
        line->tail->next = req;
    else
        line->head = req;
    line->tail = req;
    start_next(line);
}

void ts_line_to_home(struct ts_line_system *s, struct ts_line_req *req)
{
    ts_line_send(s, &req->msg, req->core, req->line->home, TS_MSG_REQUEST, on_request);
}
