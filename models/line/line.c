/* SPDX-License-Identifier: Apache-2.0 */
#include "models/line/line_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Invalidations and acknowledgements of readers in flight over all homes. A home that finds none
 * free sends invalidations on when one comes back, as one with a full snoop tracker does, and
 * serves readers one at a time. */
#define ACKS_PER_CORE 16u
/* Accesses of one hardware thread that the engine has room for: tasks nest (interrupts, exits). */
#define REQS_PER_CPU 8u

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
    {"forwarding", TS_PARAM_BOOL, ROW(forwarding), 1, 0, 1, NULL,
     "an owner sends data straight to the requester (three hops); else over the home (four)",
     "direct cache transfer of CHI F.b; that x86 parts do the same is remembered",
     TS_CONF_REMEMBERED},
    {"cluster_cores", TS_PARAM_COUNT, ROW(cluster_cores), 1, 1, 256, NULL,
     "neighbouring cores with an L3 of their own below the homes; 1: no clusters",
     "one LLC for the socket, as on Skylake-SP", TS_CONF_REMEMBERED},
    {"cluster_cycles", TS_PARAM_CYCLES, ROW(cluster_cycles), 30, 0, 1000, NULL,
     "core cycles of a request to that L3 and its look-up",
     "L3 of the own CCX 34 cycles (AnandTech, EPYC 7742), less L1 of 4", TS_CONF_DERIVED},
    {"store_delay", TS_PARAM_TIME, ROW(store_delay), 0, 0, TS_MS, NULL,
     "a store that announces a switch of address spaces, the end of lazy TLB mode or a guest's "
     "entry "
     "is seen by others up to so much later, at random, unless a barrier comes first; on arm64 a "
     "cleared or narrowed page-table entry by walks. For the search of missing barriers (check "
     "--weak-memory)",
     "setting of the experiment", TS_CONF_CHOICE},
};
#undef ROW

const struct ts_param_table ts_line_param_table = {"line", rows, TS_ARRAY_LEN(rows)};

#define STAT(field) offsetof(struct ts_line_stats, field)
static const struct ts_stat stat_rows[] = {
    {"reads", TS_STAT_COUNTER, STAT(reads), "1", "loads of contended lines"},
    {"writes", TS_STAT_COUNTER, STAT(writes), "1", "stores to contended lines"},
    {"rmws", TS_STAT_COUNTER, STAT(rmws), "1", "locked operations on contended lines"},
    {"hits", TS_STAT_COUNTER, STAT(hits), "1", "the core's own copy allowed it"},
    {"misses", TS_STAT_COUNTER, STAT(misses), "1", "another access: one of the following"},
    {"in_cluster", TS_STAT_COUNTER, STAT(in_cluster), "1", "of them, served within the cluster"},
    {"transfers", TS_STAT_COUNTER, STAT(transfers), "1",
     "of them, served by another core's or cluster's copy that the home asked for"},
    {"llc", TS_STAT_COUNTER, STAT(llc), "1", "of them, served with data of the home's LLC slice"},
    {"memory", TS_STAT_COUNTER, STAT(memory), "1", "of them, served from memory: first touches"},
    {"upgrades", TS_STAT_COUNTER, STAT(upgrades), "1", "of them, served with the permission only"},
    {"unserved", TS_STAT_COUNTER, STAT(unserved), "1", "of them, not served when the run ended"},
    {"writebacks", TS_STAT_COUNTER, STAT(writebacks), "1",
     "written data that went to the home when a reader took it"},
    {"held_ps", TS_STAT_TIME_PS, STAT(held_ps), "ps", "snoops waiting for locked operations"},
    {"invalidations", TS_STAT_COUNTER, STAT(invalidations), "1",
     "sharers, of clusters all at once, told to drop their copy"},
    {"queued_ps", TS_STAT_TIME_PS, STAT(queued_ps), "ps", "waiting at homes for earlier requests"},
    {"miss_ps", TS_STAT_HIST, STAT(miss_ps), "ps", "request to data"},
};
#undef STAT
static const struct ts_stat_rule stat_rules[] = {
    {"every access hits or misses", {"+reads", "+writes", "+rmws", "-hits", "-misses", NULL}},
    {"every miss is served from one place",
     {"+misses", "-in_cluster", "-transfers", "-llc", "-memory", "-upgrades", "-unserved", NULL}},
};
const struct ts_stat_table ts_line_stat_table = {"line", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                 stat_rules, TS_ARRAY_LEN(stat_rules)};

bool ts_line_readable(const struct ts_line *line, uint32_t core)
{
    return ts_line_allows(line, core, TS_LINE_READ);
}

bool ts_line_writable(const struct ts_line *line, uint32_t core)
{
    return ts_line_allows(line, core, TS_LINE_WRITE);
}

void ts_line_check(const struct ts_line_system *s, const struct ts_line *line)
{
    if (line->owner != TS_LINE_NONE)
        TS_ASSERT(line->nsharers == 0 && line->owner_cluster == s->cluster[line->owner]);
    else if (line->owner_cluster != TS_LINE_NONE && line->nsharers > 0)
        TS_ASSERT(ts_sharers_next(&s->sharers, line, 0) >= line->owner_cluster &&
                  ts_sharers_next(&s->sharers, line, s->cluster_end[line->owner_cluster]) ==
                      TS_LINE_NONE);
}

void ts_line_send(struct ts_line_system *s, struct ts_msg *msg, uint32_t src, uint32_t dst,
                  enum ts_msg_class klass, ts_msg_fn *deliver)
{
    msg->src = src;
    msg->dst = dst;
    msg->klass = klass;
    msg->flits = (uint32_t)(klass == TS_MSG_DATA ? s->params.data_flits : s->params.control_flits);
    msg->deliver = deliver;
    ts_interconnect_send(s->ic, msg);
}

void ts_line_after_hold(struct ts_line_system *s, const struct ts_line *line, bool owned,
                        struct ts_event *event, ts_event_fn *fn, uint64_t cycles)
{
    ts_time from = ts_engine_now(s->engine);

    if (owned && line->held_until > from) {
        s->stats.held_ps += line->held_until - from;
        from = line->held_until;
    }
    event->fn = fn;
    ts_engine_schedule(s->engine, event, ts_clock_after(&s->core_clock, from, cycles),
                       TS_PHASE_HARDWARE);
}

/* The core may write and does. */
static void write_now(struct ts_line_system *s, struct ts_line *line, enum ts_line_op op,
                      uint64_t cycles)
{
    line->dirty = true;
    line->version++;
    if (op == TS_LINE_RMW)
        line->held_until = ts_clock_after(&s->core_clock, ts_engine_now(s->engine), cycles);
}

static uint64_t cycles_of(const struct ts_line_system *s, enum ts_line_op op)
{
    return s->params.hit_cycles + (op == TS_LINE_RMW ? s->params.rmw_cycles : 0);
}

void ts_line_granted(struct ts_line_system *s, struct ts_line_req *req)
{
    TS_ASSERT(req->version == req->line->version);
    ts_hist_add(&s->stats.miss_ps, ts_engine_now(s->engine) - req->started);
    if (req->op != TS_LINE_READ)
        write_now(s, req->line, req->op, cycles_of(s, req->op));
}

bool ts_line_access(struct ts_line_system *s, struct ts_line *line, uint32_t core,
                    enum ts_line_op op, struct ts_line_req *req, ts_line_done_fn *done, void *user,
                    uint64_t *cycles)
{
    ts_time now = ts_engine_now(s->engine);

    TS_ASSERT(line->system == s && core < s->ncores);
    if (op == TS_LINE_READ)
        s->stats.reads++;
    else if (op == TS_LINE_WRITE)
        s->stats.writes++;
    else
        s->stats.rmws++;
    *cycles = cycles_of(s, op);
    if (ts_line_allows(line, core, op)) {
        s->stats.hits++;
        if (op == TS_LINE_RMW && line->held_until > now)
            *cycles += ts_clock_cycle_at(&s->core_clock, line->held_until) -
                       ts_clock_cycle_at(&s->core_clock, now);
        if (op != TS_LINE_READ)
            write_now(s, line, op, *cycles);
        return true;
    }
    s->stats.misses++;
    s->stats.unserved++;
    req->system = s;
    req->line = line;
    req->done = done;
    req->user = user;
    req->core = core;
    req->op = op;
    req->started = now;
    if (s->clustered)
        ts_line_to_cluster(s, req);
    else
        ts_line_to_home(s, req);
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
    line->owner = TS_LINE_NONE;
    line->owner_cluster = TS_LINE_NONE;
    if (!ts_sharer_pool_add_line(&s->sharers))
        ts_engine_fail(s->engine, TS_ERR_ENVIRONMENT,
                       "line: out of memory for the sharers of %u lines", s->sharers.lines);
}

void ts_line_fini(struct ts_line *line)
{
    TS_ASSERT(!line->busy && line->readers == 0 && !line->head && !line->clusters);
    ts_sharer_pool_remove_line(&line->system->sharers, line);
    memset(line, 0, sizeof(*line));
}

const struct ts_line_stats *ts_line_system_stats(const struct ts_line_system *s)
{
    return &s->stats;
}

enum ts_status ts_line_check_params(const struct ts_line_params *params, struct ts_error *err)
{
    return ts_param_check(&ts_line_param_table, params, err);
}

/* Clusters do not cross sockets; the last one of a socket may be smaller. */
static bool make_clusters(struct ts_line_system *s)
{
    uint32_t size = (uint32_t)s->params.cluster_cores, per_socket = s->cores_per_socket;

    s->cluster = calloc(s->ncores, sizeof(*s->cluster));
    s->cluster_end = calloc(s->ncores, sizeof(*s->cluster_end));
    if (!s->cluster || !s->cluster_end)
        return false;
    for (uint32_t core = 0; core < s->ncores; core++) {
        s->cluster[core] = core - core % per_socket % size;
        s->cluster_end[s->cluster[core]] = core + 1;
    }
    return true;
}

static bool make_stores(struct ts_line_system *s)
{
    if (!s->params.store_delay)
        return true;
    s->stores = calloc(s->nthreads, sizeof(*s->stores));
    if (!s->stores)
        return false;
    ts_line_system_set_seed(s, 0);
    return true;
}

void ts_line_system_set_seed(struct ts_line_system *s, uint64_t seed)
{
    for (uint32_t cpu = 0; s->stores && cpu < s->nthreads; cpu++)
        ts_store_buffer_init(&s->stores[cpu], s->engine, s->params.store_delay, seed, cpu);
}

struct ts_store_buffer *ts_line_system_stores(struct ts_line_system *s)
{
    return s->stores;
}

enum ts_status ts_line_system_create(struct ts_line_system **out, struct ts_engine *engine,
                                     const struct ts_topology *topology, struct ts_interconnect *ic,
                                     const struct ts_line_params *params, struct ts_error *err)
{
    enum ts_status status = ts_line_check_params(params, err);
    uint32_t nacks = ACKS_PER_CORE * topology->nnodes;
    struct ts_line_system *s;

    if (status != TS_OK)
        return status;
    status = ts_engine_reserve(engine, nacks + REQS_PER_CPU * topology->ncpus, err);
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
    s->nthreads = topology->ncpus;
    s->cores_per_socket = (uint32_t)topology->params.cores_per_socket;
    ts_sharer_pool_init(&s->sharers, s->ncores);
    ts_hist_init(&s->stats.miss_ps);
    s->clustered = params->cluster_cores > 1;
    s->acks = calloc(nacks, sizeof(*s->acks));
    if (!s->acks || !make_clusters(s) || !make_stores(s)) {
        ts_line_system_destroy(s);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "line: out of memory for %u messages", nacks);
    }
    for (uint32_t i = nacks; i > 0; i--) {
        s->acks[i - 1].next = s->free;
        s->free = &s->acks[i - 1];
    }
    *out = s;
    return TS_OK;
}

void ts_line_system_destroy(struct ts_line_system *s)
{
    if (!s)
        return;
    ts_sharer_pool_fini(&s->sharers);
    free(s->cluster);
    free(s->cluster_end);
    free(s->stores);
    free(s->acks);
    free(s);
}
