/* SPDX-License-Identifier: Apache-2.0 */
#include "models/line/line.h"
#include "models/line/sharers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NO_CORE UINT32_MAX
/* Invalidations in flight over all homes. A home that finds none free sends on when one comes back,
 * as one with a full snoop tracker does. */
#define INVALS_PER_CORE 16u
/* Accesses of one hardware thread that the engine has room for: tasks nest (interrupts, exits). */
#define REQS_PER_CPU 8u

struct line_inval {
    struct ts_msg msg;
    struct ts_event event;
    struct ts_line_req *req;
    struct line_inval *next;
};

struct ts_line_system {
    struct ts_engine *engine;
    struct ts_interconnect *ic;
    struct ts_line_params params;
    struct ts_clock core_clock;
    uint32_t ncores;
    uint32_t cores_per_socket;
    struct ts_sharer_pool sharers;
    struct line_inval *invals; /* the block */
    struct line_inval *free;
    /* Requests with invalidations to send and none free, by req->next_starved. */
    struct ts_line_req *starved_head, *starved_tail;
    struct ts_line_stats stats;
};

#define ROW(field) offsetof(struct ts_line_params, field)
static const struct ts_param rows[] = {
    {"hit_cycles", TS_PARAM_CYCLES, ROW(hit_cycles), 4, 0, 1000, NULL,
     "core cycles of a load or store that hits L1", "L1 of 4 cycles: AnandTech, Xeon 8280",
     TS_CONF_VERBATIM},
    {"rmw_cycles", TS_PARAM_CYCLES, ROW(rmw_cycles), 18, 0, 1000, NULL,
     "extra core cycles of a locked operation on an owned line",
     "about 18-20 cycles of a LOCK-prefixed instruction (Skylake)", TS_CONF_REMEMBERED},
    {"home_cycles", TS_PARAM_CYCLES, ROW(home_cycles), 18, 0, 1000, NULL,
     "mesh cycles of directory and LLC slice look-up at the home",
     "fitted to the average L3 hit of 46 cycles (AnandTech, Xeon 8280)", TS_CONF_GUESS},
    {"snoop_cycles", TS_PARAM_CYCLES, ROW(snoop_cycles), 48, 0, 1000, NULL,
     "core cycles to take a line out of a core's L1/L2",
     "fitted to a core-to-core transfer of about 50 ns (Skylake-SP, remembered)", TS_CONF_GUESS},
    {"memory_ps", TS_PARAM_TIME, ROW(memory_ps), 65 * TS_NS, 0, 100 * TS_US, NULL,
     "first touch: the line comes from memory; beyond request, look-up and data",
     "local DRAM of 80-90 ns as a core sees it (Skylake-SP)", TS_CONF_REMEMBERED},
    {"data_flits", TS_PARAM_COUNT, ROW(data_flits), 3, 1, 64, NULL,
     "flits of a message with a line: header and 64 bytes", "64 bytes in flits of 32, and a header",
     TS_CONF_DERIVED},
    {"control_flits", TS_PARAM_COUNT, ROW(control_flits), 1, 1, 64, NULL,
     "flits of a message without a line", "a header", TS_CONF_DERIVED},
};
#undef ROW

const struct ts_param_table ts_line_param_table = {"line", rows, TS_ARRAY_LEN(rows)};

#define STAT(field) offsetof(struct ts_line_stats, field)
static const struct ts_stat stat_rows[] = {
    {"reads", TS_STAT_COUNTER, STAT(reads), "1", "loads of contended lines"},
    {"writes", TS_STAT_COUNTER, STAT(writes), "1", "stores to contended lines"},
    {"rmws", TS_STAT_COUNTER, STAT(rmws), "1", "locked operations on contended lines"},
    {"hits", TS_STAT_COUNTER, STAT(hits), "1", "the core's own copy allowed it"},
    {"misses", TS_STAT_COUNTER, STAT(misses), "1", "went to the home"},
    {"transfers", TS_STAT_COUNTER, STAT(transfers), "1", "served by another core's copy"},
    {"invalidations", TS_STAT_COUNTER, STAT(invalidations), "1", "sharers told to drop their copy"},
    {"queued_ps", TS_STAT_TIME_PS, STAT(queued_ps), "ps", "waiting at homes for earlier requests"},
    {"miss_ps", TS_STAT_HIST, STAT(miss_ps), "ps", "request to data"},
};
#undef STAT
static const struct ts_stat_rule stat_rules[] = {
    {"every access hits or misses", {"+reads", "+writes", "+rmws", "-hits", "-misses", NULL}},
};
const struct ts_stat_table ts_line_stat_table = {"line", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                 stat_rules, TS_ARRAY_LEN(stat_rules)};

bool ts_line_readable(const struct ts_line *line, uint32_t core)
{
    return line->owner == core || ts_sharers_has(line, core);
}

bool ts_line_writable(const struct ts_line *line, uint32_t core)
{
    return line->owner == core;
}

static bool allows(const struct ts_line *line, uint32_t core, enum ts_line_op op)
{
    return op == TS_LINE_READ ? ts_line_readable(line, core) : ts_line_writable(line, core);
}

static void check_line(const struct ts_line *line)
{
    TS_ASSERT(line->owner == NO_CORE || line->nsharers == 0);
}

static void send(struct ts_line_system *s, struct ts_msg *msg, uint32_t src, uint32_t dst,
                 enum ts_msg_class klass, ts_msg_fn *deliver)
{
    msg->src = src;
    msg->dst = dst;
    msg->klass = klass;
    msg->flits = (uint32_t)(klass == TS_MSG_DATA ? s->params.data_flits : s->params.control_flits);
    msg->deliver = deliver;
    ts_interconnect_send(s->ic, msg);
}

static void after(struct ts_line_system *s, struct ts_event *event, ts_event_fn *fn,
                  const struct ts_clock *clock, uint64_t cycles)
{
    event->fn = fn;
    ts_engine_schedule(s->engine, event, ts_clock_after(clock, ts_engine_now(s->engine), cycles),
                       TS_PHASE_HARDWARE);
}

static void start(struct ts_line_system *s, struct ts_line *line);

static void on_released(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line *line = TS_CONTAINER_OF(msg, struct ts_line, release);

    (void)ic;
    TS_ASSERT(line->busy);
    line->busy = false;
    if (line->head)
        start(line->system, line);
}

/* Data or permission has arrived at the requester: its copy changes now. */
static void on_answer(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_req *req = TS_CONTAINER_OF(msg, struct ts_line_req, msg);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;
    uint32_t core = req->core;

    TS_ASSERT(line->busy && line->head == req);
    if (!allows(line, core, req->op)) {
        if (ts_sharers_has(line, core))
            ts_sharers_remove(&s->sharers, line, core);
        TS_ASSERT(line->owner == NO_CORE);
        /* A read gets the line exclusive when nobody else has it (MESI). */
        if (req->op != TS_LINE_READ || line->nsharers == 0) {
            TS_ASSERT(line->nsharers == 0);
            line->owner = core;
        } else {
            ts_sharers_add(&s->sharers, line, core);
        }
    }
    check_line(line);
    ts_hist_add(&s->stats.miss_ps, ts_engine_now(s->engine) - req->started);
    line->head = req->next;
    if (!line->head)
        line->tail = NULL;
    send(s, &line->release, core, line->home, TS_MSG_RESPONSE, on_released);
    (void)ic;
    /* The request is the caller's again from here on. */
    req->done(req);
}

static void answer_from_home(struct ts_line_system *s, struct ts_line_req *req)
{
    bool has_data = ts_line_readable(req->line, req->core);

    send(s, &req->msg, req->line->home, req->core, has_data ? TS_MSG_RESPONSE : TS_MSG_DATA,
         on_answer);
}

static void on_memory(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_req *req = TS_CONTAINER_OF(event, struct ts_line_req, event);

    (void)engine;
    answer_from_home(req->system, req);
}

static void on_taken(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_req *req = TS_CONTAINER_OF(event, struct ts_line_req, event);

    (void)engine;
    /* msg still names the former owner as the destination of the snoop. */
    send(req->system, &req->msg, req->msg.dst, req->core, TS_MSG_DATA, on_answer);
}

static void on_owner_snooped(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct ts_line_req *req = TS_CONTAINER_OF(msg, struct ts_line_req, msg);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;

    (void)ic;
    TS_ASSERT(line->owner == msg->dst && line->nsharers == 0);
    line->owner = NO_CORE;
    if (req->op == TS_LINE_READ)
        ts_sharers_add(&s->sharers, line, msg->dst);
    after(s, &req->event, on_taken, &s->core_clock, s->params.snoop_cycles);
}

static void invalidate(struct ts_line_system *s, struct ts_line_req *req);

static void on_inval_ack(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct line_inval *inv = TS_CONTAINER_OF(msg, struct line_inval, msg);
    struct ts_line_req *req = inv->req;
    struct ts_line_system *s = req->system;

    (void)ic;
    inv->next = s->free;
    s->free = inv;
    TS_ASSERT(req->acks_left > 0);
    if (--req->acks_left == 0)
        answer_from_home(s, req);
    if (s->starved_head) {
        struct ts_line_req *waiting = s->starved_head;

        s->starved_head = waiting->next_starved;
        invalidate(s, waiting);
    }
}

static void on_dropped(struct ts_engine *engine, struct ts_event *event)
{
    struct line_inval *inv = TS_CONTAINER_OF(event, struct line_inval, event);

    (void)engine;
    send(inv->req->system, &inv->msg, inv->msg.dst, inv->req->line->home, TS_MSG_RESPONSE,
         on_inval_ack);
}

static void on_sharer_snooped(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct line_inval *inv = TS_CONTAINER_OF(msg, struct line_inval, msg);
    struct ts_line_system *s = inv->req->system;

    (void)ic;
    ts_sharers_remove(&s->sharers, inv->req->line, msg->dst);
    after(s, &inv->event, on_dropped, &s->core_clock, s->params.snoop_cycles);
}

/* Sends invalidations from req->cursor on, as far as there are free ones. Nobody joins or leaves
 * the sharers above the cursor meanwhile: the home serves this request alone. */
static void invalidate(struct ts_line_system *s, struct ts_line_req *req)
{
    for (;;) {
        uint32_t sharer = ts_sharers_next(&s->sharers, req->line, req->cursor);
        struct line_inval *inv = s->free;

        if (sharer == req->core)
            sharer = ts_sharers_next(&s->sharers, req->line, sharer + 1);
        if (sharer == NO_CORE)
            return;
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
        req->cursor = sharer + 1;
        s->stats.invalidations++;
        send(s, &inv->msg, req->line->home, sharer, TS_MSG_SNOOP, on_sharer_snooped);
    }
}

/* The home has read its directory, which is the state of the copies: nothing of this line is in
 * flight when a request is taken up. */
static void on_looked_up(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_line_req *req = TS_CONTAINER_OF(event, struct ts_line_req, event);
    struct ts_line_system *s = req->system;
    struct ts_line *line = req->line;

    check_line(line);
    if (!line->touched) {
        line->touched = true;
        event->fn = on_memory;
        ts_engine_schedule(engine, event, ts_engine_now(engine) + s->params.memory_ps,
                           TS_PHASE_HARDWARE);
    } else if (line->owner != NO_CORE && line->owner != req->core) {
        s->stats.transfers++;
        send(s, &req->msg, line->home, line->owner, TS_MSG_SNOOP, on_owner_snooped);
    } else if (req->op == TS_LINE_READ || line->owner == req->core) {
        answer_from_home(s, req);
    } else {
        req->cursor = 0;
        req->acks_left = line->nsharers - (ts_sharers_has(line, req->core) ? 1 : 0);
        if (req->acks_left == 0)
            answer_from_home(s, req);
        else
            invalidate(s, req);
    }
}

static void start(struct ts_line_system *s, struct ts_line *line)
{
    struct ts_line_req *req = line->head;

    line->busy = true;
    s->stats.queued_ps += ts_engine_now(s->engine) - req->queued;
    after(s, &req->event, on_looked_up, ts_interconnect_clock(s->ic), s->params.home_cycles);
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
    if (!line->busy)
        start(req->system, line);
}

bool ts_line_access(struct ts_line_system *s, struct ts_line *line, uint32_t core,
                    enum ts_line_op op, struct ts_line_req *req, ts_line_done_fn *done, void *user,
                    uint64_t *cycles)
{
    TS_ASSERT(line->system == s && core < s->ncores);
    *cycles = s->params.hit_cycles;
    if (op == TS_LINE_READ) {
        s->stats.reads++;
    } else if (op == TS_LINE_WRITE) {
        s->stats.writes++;
    } else {
        s->stats.rmws++;
        *cycles += s->params.rmw_cycles;
    }
    if (allows(line, core, op)) {
        s->stats.hits++;
        return true;
    }
    s->stats.misses++;
    req->system = s;
    req->line = line;
    req->done = done;
    req->user = user;
    req->core = core;
    req->op = op;
    req->started = ts_engine_now(s->engine);
    send(s, &req->msg, core, line->home, TS_MSG_REQUEST, on_request);
    return false;
}

/* Finaliser of splitmix64 (Steele, Lea and Flood 2014): neighbouring ids get far homes. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void ts_line_init(struct ts_line_system *s, struct ts_line *line, uint64_t id, uint32_t near_core)
{
    uint32_t socket = near_core / s->cores_per_socket;

    TS_ASSERT(near_core < s->ncores);
    memset(line, 0, sizeof(*line));
    line->system = s;
    line->home = socket * s->cores_per_socket +
                 (uint32_t)(mix(id + UINT64_C(0x9e3779b97f4a7c15)) % s->cores_per_socket);
    line->owner = NO_CORE;
    ts_sharer_pool_add_line(&s->sharers);
}

void ts_line_fini(struct ts_line *line)
{
    TS_ASSERT(!line->busy && !line->head);
    ts_sharer_pool_remove_line(&line->system->sharers, line);
    memset(line, 0, sizeof(*line));
}

const struct ts_line_stats *ts_line_system_stats(const struct ts_line_system *s)
{
    return &s->stats;
}

static enum ts_status check(const struct ts_line_params *params, struct ts_error *err)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++) {
        uint64_t value = ts_param_get(&rows[i], params);

        if (value < rows[i].min || value > rows[i].max)
            return ts_error_set(err, TS_ERR_USER,
                                "line.%s is %" PRIu64 ": must be %" PRIu64 " to %" PRIu64,
                                rows[i].key, value, rows[i].min, rows[i].max);
    }
    return TS_OK;
}

enum ts_status ts_line_system_create(struct ts_line_system **out, struct ts_engine *engine,
                                     const struct ts_topology *topology, struct ts_interconnect *ic,
                                     const struct ts_line_params *params, struct ts_error *err)
{
    enum ts_status status = check(params, err);
    uint32_t ninvals = INVALS_PER_CORE * topology->nnodes;
    struct ts_line_system *s;

    if (status != TS_OK)
        return status;
    status = ts_engine_reserve(engine, ninvals + REQS_PER_CPU * topology->ncpus, err);
    if (status != TS_OK)
        return status;
    s = calloc(1, sizeof(*s));
    if (!s)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "line: out of memory");
    s->engine = engine;
    s->ic = ic;
    s->params = *params;
    ts_clock_init(&s->core_clock, topology->params.core_hz);
    s->ncores = topology->nnodes;
    s->cores_per_socket = (uint32_t)topology->params.cores_per_socket;
    ts_sharer_pool_init(&s->sharers, s->ncores);
    ts_hist_init(&s->stats.miss_ps);
    s->invals = calloc(ninvals, sizeof(*s->invals));
    if (!s->invals) {
        ts_line_system_destroy(s);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "line: out of memory for %u messages",
                            ninvals);
    }
    for (uint32_t i = ninvals; i > 0; i--) {
        s->invals[i - 1].next = s->free;
        s->free = &s->invals[i - 1];
    }
    *out = s;
    return TS_OK;
}

void ts_line_system_destroy(struct ts_line_system *s)
{
    if (!s)
        return;
    ts_sharer_pool_fini(&s->sharers);
    free(s->invals);
    free(s);
}
