/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interconnect/fabric_table.h"
#include "models/interconnect/interconnect_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 ts_u128;

static const char *const detail_names[] = {"message", "flit", NULL};

#define ROW(field) offsetof(struct ts_interconnect_params, field)
static const struct ts_param rows[] = {
    {"detail", TS_PARAM_ENUM, ROW(detail), TS_IC_MESSAGE, TS_IC_MESSAGE, TS_IC_FLIT, detail_names,
     "message: links are reserved hop by hop; flit: virtual-channel wormhole routers with credits",
     "setting of the experiment", TS_CONF_CHOICE},
    {"fabric", TS_PARAM_ENUM, ROW(fabric), TS_FABRIC_TABLE_MESH, 0, TS_FABRIC_TABLE_LAST,
     ts_fabric_table_names, "network of one socket", "setting of the experiment", TS_CONF_CHOICE},
    {"mesh_hz", TS_PARAM_FREQ, ROW(mesh_hz), UINT64_C(2400000000), UINT64_C(100000000),
     UINT64_C(10000000000), NULL, "clock of the network and of the homes",
     "uncore clock of 2.0-2.4 GHz of Skylake-SP", TS_CONF_REMEMBERED},
    {"router_cycles", TS_PARAM_CYCLES, ROW(router_cycles), 1, 0, 64, NULL, "pipeline of one router",
     "mesh hop of 1-2 cycles, router and link together (Skylake-SP); CMN-600/700: 2-3",
     TS_CONF_REMEMBERED},
    {"link_cycles", TS_PARAM_CYCLES, ROW(link_cycles), 1, 0, 64, NULL, "one hop between neighbours",
     "see router_cycles", TS_CONF_REMEMBERED},
    {"inject_cycles", TS_PARAM_CYCLES, ROW(inject_cycles), 3, 0, 256, NULL,
     "core to router and router to core, each; clock crossing included",
     "fitted with line.home_cycles to the average L3 hit of 46 cycles (AnandTech, Xeon 8280)",
     TS_CONF_GUESS},
    {"flit_bytes", TS_PARAM_BYTES, ROW(flit_bytes), 32, 1, 1024, NULL,
     "bytes that a link carries in a cycle", "32-byte data path of the Skylake-SP mesh",
     TS_CONF_REMEMBERED},
    {"socket_link_ps", TS_PARAM_TIME, ROW(socket_link_ps), 37 * TS_NS, 0, 10 * TS_US, NULL,
     "one-way latency of the link between sockets",
     "QPI/UPI adds 20-40 ns one way; within it fitted to a core-to-core transfer of about 130 ns",
     TS_CONF_REMEMBERED},
    {"socket_link_rate", TS_PARAM_RATE, ROW(socket_link_rate), UINT64_C(41600000000), 1000000,
     UINT64_C(1000000000000), NULL, "bandwidth of that link, each direction, each pair of sockets",
     "two UPI links of 10.4 GT/s, 20.8 GB/s each", TS_CONF_REMEMBERED},
    {"background_permille", TS_PARAM_COUNT, ROW(background_permille), 0, 0, 950, NULL,
     "thousandths of every link's slots that other traffic takes (message)",
     "setting of the experiment", TS_CONF_CHOICE},
    {"jitter", TS_PARAM_CYCLES, ROW(jitter_cycles), 0, 0, 1000000, NULL,
     "each message is delivered up to so many cycles later, at random; those of one source and "
     "destination stay in order (message). For the search of races: a protocol may not depend on "
     "how long messages take",
     "setting of the experiment", TS_CONF_CHOICE},
    {"vcs", TS_PARAM_COUNT, ROW(vcs), 2, 1, 12, NULL,
     "virtual channels of a message class (flit); even on rings and tori",
     "nothing published found", TS_CONF_GUESS},
    {"vc_depth", TS_PARAM_COUNT, ROW(vc_depth), 8, 1, 255, NULL,
     "flits that a virtual channel buffers (flit)", "nothing published found", TS_CONF_GUESS},
    {"express", TS_PARAM_BOOL, ROW(express), 1, 0, 1, NULL,
     "a message reserves a way without conflicts at once, with one event (message). It changes how "
     "long a run takes and no result; background traffic and jitter turn it off",
     "setting of the simulator", TS_CONF_CHOICE},
    {"credit_cycles", TS_PARAM_CYCLES, ROW(credit_cycles), 1, 1, 64, NULL,
     "from a credit's arrival to its use (flit)", "nothing published found", TS_CONF_GUESS},
};
#undef ROW

const struct ts_param_table ts_interconnect_param_table = {"interconnect", rows,
                                                           TS_ARRAY_LEN(rows)};

#define STAT(field) offsetof(struct ts_interconnect_stats, field)
static const struct ts_stat stat_rows[] = {
    {"messages", TS_STAT_COUNTER, STAT(messages), "1", "messages sent"},
    {"flits", TS_STAT_COUNTER, STAT(flits), "flits", "flits sent"},
    {"flit_hops", TS_STAT_COUNTER, STAT(flit_hops), "flits",
     "flits times links between routers and sockets"},
    {"delivered", TS_STAT_COUNTER, STAT(delivered), "1", "messages delivered"},
    {"socket_crossings", TS_STAT_COUNTER, STAT(socket_crossings), "1",
     "messages that went to another socket"},
    {"in_flight", TS_STAT_COUNTER, STAT(in_flight), "1", "messages under way when the run ended"},
    {"queued_ps", TS_STAT_TIME_PS, STAT(queued_ps), "ps",
     "waiting for links, buffers and their turn, summed over messages"},
    {"overtaken", TS_STAT_COUNTER, STAT(overtaken), "1",
     "messages that waited at their destination for an earlier one (flit)"},
    {"latency_ps", TS_STAT_HIST, STAT(latency_ps), "ps", "send to delivery of the last flit"},
};
#undef STAT
static const struct ts_stat_rule stat_rules[] = {
    {"every message sent is delivered or in flight",
     {"+messages", "-delivered", "-in_flight", NULL}},
};
const struct ts_stat_table ts_interconnect_stat_table = {
    "interconnect", stat_rows, TS_ARRAY_LEN(stat_rows), stat_rules, TS_ARRAY_LEN(stat_rules)};

/* First cycle at or after ready at which the link takes the message. *slots: cycles that its flits
 * need on it. */
uint64_t ic_link_take(struct ts_interconnect *ic, struct ic_link *link, uint64_t ready,
                      uint32_t flits, uint64_t *slots)
{
    uint64_t start = ready;

    if (link->free > ready) {
        start = link->free;
        ic->stats.queued_ps +=
            ts_clock_cycle_time(&ic->clock, start) - ts_clock_cycle_time(&ic->clock, ready);
    }
    if (ic->share == 1000) {
        *slots = flits;
    } else {
        uint64_t need = flits * UINT64_C(1000) + (link->free < ready ? 0 : link->carry);

        *slots = need / ic->share;
        link->carry = need % ic->share;
    }
    link->free = start + *slots;
    return start;
}

static uint64_t idle_slots(const struct ts_interconnect *ic, uint32_t flits)
{
    return flits * UINT64_C(1000) / ic->share;
}

static ts_time serial_ps(const struct ts_interconnect *ic, uint32_t flits)
{
    ts_u128 work = (ts_u128)flits * ic->params.flit_bytes * 1000u * TS_S;
    ts_u128 rate = (ts_u128)ic->params.socket_link_rate * ic->share;

    return (ts_time)((work + rate - 1) / rate);
}

ts_time ic_serial_ps(const struct ts_interconnect *ic, uint32_t flits)
{
    return flits < IC_SERIAL_FLITS ? ic->serial_ps[flits] : serial_ps(ic, flits);
}

void ic_call_at(struct ts_interconnect *ic, struct ts_msg *msg, ts_event_fn *fn, uint64_t cycle)
{
    msg->event.fn = fn;
    ts_engine_schedule_ticket(ic->engine, &msg->event, ts_clock_cycle_time(&ic->clock, cycle),
                              TS_PHASE_HARDWARE,
                              ic->flit ? ts_engine_ticket(ic->engine) : msg->ticket);
}

void ic_schedule_at(struct ts_interconnect *ic, struct ts_msg *msg, ts_event_fn *fn, uint64_t cycle)
{
    msg->cycle = cycle;
    ic_call_at(ic, msg, fn, cycle);
}

void ic_on_delivered(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_msg *msg = TS_CONTAINER_OF(event, struct ts_msg, event);
    struct ts_interconnect *ic = msg->ic;

    TS_ASSERT(ic->stats.in_flight > 0);
    ic_express_end(ic, msg);
    ic->stats.in_flight--;
    ic->stats.delivered++;
    ts_hist_add(&ic->stats.latency_ps, ts_engine_now(engine) - msg->sent);
    msg->deliver(ic, msg);
}

/* An interrupt is put off by who explores orders; else by nobody. */
static uint64_t put_off(const struct ts_interconnect *ic, const struct ts_msg *msg, uint64_t cycle)
{
    struct ts_step step = {.kind = TS_STEP_MESSAGE, .write = true, .start = msg->dst};

    if (!ic->steps || !ic->steps->fn || msg->klass != TS_MSG_INTERRUPT)
        return cycle;
    step.now = ts_clock_cycle_time(&ic->clock, cycle);
    step.end = step.start + 1;
    return ts_clock_cycle_at(&ic->clock, step.now + ic->steps->fn(ic->steps->user, &step));
}

/* The last flit is there at this cycle, or later by chance. */
static void deliver_at(struct ts_interconnect *ic, struct ts_msg *msg, uint64_t cycle)
{
    if (ic->last) {
        uint64_t *last = &ic->last[(size_t)msg->src * ic->nodes + msg->dst];

        cycle = put_off(ic, msg, cycle + ts_rng_between(&ic->rng, 0, ic->params.jitter_cycles));
        if (cycle < *last)
            cycle = *last;
        *last = cycle;
    }
    ic_schedule_at(ic, msg, ic_on_delivered, cycle);
}

static void on_router(struct ts_engine *engine, struct ts_event *event);

/* The head is at the gateway of its socket and the destination is in another one. */
void ic_cross(struct ts_interconnect *ic, struct ts_msg *msg, ts_event_fn *then)
{
    uint32_t from = ic->socket[msg->at], to = ic->socket[msg->dst];
    ts_time *serial_free = &ic->serial[from * ic->sockets + to].free;
    ts_time ready = ts_clock_cycle_time(&ic->clock, msg->cycle + ic->params.router_cycles);
    ts_time start = ready;

    if (*serial_free > ready) {
        start = *serial_free;
        ic->stats.queued_ps += start - ready;
    }
    *serial_free = start + ic_serial_ps(ic, msg->flits);
    ic->stats.socket_crossings++;
    msg->at = to * ic->per_socket + ic->gateway;
    ic_schedule_at(ic, msg, then,
                   ts_clock_cycle_at(&ic->clock, *serial_free + ic->params.socket_link_ps));
}

/* The head is at router msg->at. One event a hop, because a message sent later may still reach the
 * next link first. */
static void on_router(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_msg *msg = TS_CONTAINER_OF(event, struct ts_msg, event);
    struct ts_interconnect *ic = msg->ic;
    uint32_t base, target;
    const struct ic_route *route;
    uint64_t start, slots;

    (void)engine;
    if (msg->at == msg->dst) {
        start = ic_link_take(ic, &ic->eject[msg->dst], msg->cycle, msg->flits, &slots);
        deliver_at(ic, msg, start + ic->params.inject_cycles + slots - 1);
        return;
    }
    msg->hops++;
    ic->stats.flit_hops += msg->flits;
    base = ic->socket[msg->at] * ic->per_socket;
    if (ic->socket[msg->at] == ic->socket[msg->dst]) {
        target = msg->dst - base;
    } else if (msg->at == base + ic->gateway) {
        ic_cross(ic, msg, on_router);
        return;
    } else {
        target = ic->gateway;
    }
    route = &ic->route[(msg->at - base) * ic->per_socket + target];
    start = ic_link_take(ic, &ic->out[msg->at * ic->ports + route->port],
                         msg->cycle + ic->params.router_cycles, msg->flits, &slots);
    msg->at = base + route->neighbour;
    ic_schedule_at(ic, msg, on_router, start + ic->params.link_cycles);
}

void ts_interconnect_send(struct ts_interconnect *ic, struct ts_msg *msg)
{
    ts_time now = ts_engine_now(ic->engine);
    uint64_t start, slots;

    TS_ASSERT(msg->src < ic->nodes && msg->dst < ic->nodes);
    TS_ASSERT(msg->flits >= 1 && msg->klass < TS_MSG_CLASSES && msg->deliver != NULL);
    msg->ic = ic;
    msg->sent = now;
    msg->at = msg->src;
    msg->hops = 0;
    msg->links = msg->shown_hops = msg->shown_crossings = 0;
    msg->ticket = ts_engine_ticket(ic->engine);
    ic->stats.messages++;
    ic->stats.in_flight++;
    ic->stats.flits += msg->flits;
    if (ic->fabric->instant) {
        msg->event.fn = ic_on_delivered;
        ts_engine_schedule(ic->engine, &msg->event, now, TS_PHASE_HARDWARE);
        return;
    }
    if (ic->flit && msg->src != msg->dst) {
        ic_flit_send(ic, msg);
        return;
    }
    start = ic_link_take(ic, &ic->inject[msg->src], ts_clock_cycle_at(&ic->clock, now), msg->flits,
                         &slots);
    if (msg->src == msg->dst)
        deliver_at(ic, msg, start + 2 * ic->params.inject_cycles + slots - 1);
    else if (ic->plans) {
        msg->cycle = start + ic->params.inject_cycles;
        ic_express_send(ic, msg);
    } else
        ic_schedule_at(ic, msg, on_router, start + ic->params.inject_cycles);
}

uint32_t ic_hop_count(const struct ts_interconnect *ic, uint32_t from, uint32_t to)
{
    uint32_t hops = 0;

    for (uint32_t at = from; at != to; at = ic->route[at * ic->per_socket + to].neighbour)
        hops++;
    return hops;
}

ts_time ts_interconnect_arrival(const struct ts_interconnect *ic, uint32_t src, uint32_t dst,
                                uint32_t flits, ts_time sent)
{
    const struct ts_interconnect_params *p = &ic->params;
    uint32_t from = src % ic->per_socket, to = dst % ic->per_socket;
    uint64_t hop_cycles = p->router_cycles + p->link_cycles;
    uint64_t cycle;

    if (ic->fabric->instant)
        return sent;
    if (ic->flit && src != dst)
        return ic_flit_arrival(ic, src, dst, flits, sent);
    cycle = ts_clock_cycle_at(&ic->clock, sent) + p->inject_cycles;
    if (ic->socket[src] != ic->socket[dst]) {
        cycle += ic_hop_count(ic, from, ic->gateway) * hop_cycles + p->router_cycles;
        cycle = ts_clock_cycle_at(&ic->clock, ts_clock_cycle_time(&ic->clock, cycle) +
                                                  ic_serial_ps(ic, flits) + p->socket_link_ps);
        from = ic->gateway;
    }
    cycle += ic_hop_count(ic, from, to) * hop_cycles;
    cycle += p->inject_cycles + idle_slots(ic, flits) - 1;
    return ts_clock_cycle_time(&ic->clock, cycle);
}

ts_time ts_interconnect_zero_load(const struct ts_interconnect *ic, uint32_t src, uint32_t dst,
                                  uint32_t flits)
{
    return ts_interconnect_arrival(ic, src, dst, flits, 0);
}

const struct ts_interconnect_stats *ts_interconnect_stats(struct ts_interconnect *ic)
{
    if (ic->plans)
        ic_express_settle(ic);
    return &ic->stats;
}

uint32_t ts_interconnect_routers(const struct ts_interconnect *ic)
{
    return ic->flit ? ic->sockets * ic_flit_routers(ic) : 0;
}

uint32_t ts_interconnect_buffered(const struct ts_interconnect *ic, uint32_t router)
{
    TS_ASSERT(router < ts_interconnect_routers(ic));
    return ic_flit_buffered(ic, router);
}

enum ts_status ts_interconnect_check(const struct ts_interconnect *ic, struct ts_error *err)
{
    if (ic->stats.in_flight > 0 && ts_engine_next_time(ic->engine) == TS_TIME_NEVER)
        return ts_error_set(err, TS_ERR_FINDING,
                            "interconnect: %" PRIu64 " messages are in flight, but nothing is left "
                            "that would deliver them",
                            ic->stats.in_flight);
    return ic->flit ? ic_flit_check(ic, err) : TS_OK;
}

bool ts_interconnect_is_express(const struct ts_interconnect *ic)
{
    return ic->plans != NULL;
}

struct ts_engine *ts_interconnect_engine(struct ts_interconnect *ic)
{
    return ic->engine;
}

const struct ts_clock *ts_interconnect_clock(const struct ts_interconnect *ic)
{
    return &ic->clock;
}

uint32_t ts_interconnect_gateway(const struct ts_interconnect *ic, uint32_t socket)
{
    TS_ASSERT(socket < ic->sockets);
    return socket * ic->per_socket + ic->gateway;
}

/* A route that leaves the socket or never arrives is a bug of the fabric. */
static void fill_routes(struct ts_interconnect *ic)
{
    uint32_t n = ic->per_socket, neighbour = 0;

    for (uint32_t at = 0; at < n; at++) {
        for (uint32_t dst = 0; dst < n; dst++) {
            struct ic_route *r = &ic->route[at * n + dst];

            if (at == dst)
                continue;
            r->port = (uint16_t)ic->fabric->route(n, at, dst, &neighbour);
            TS_ASSERT(r->port < ic->ports && neighbour < n && neighbour != at);
            r->neighbour = (uint16_t)neighbour;
        }
    }
    for (uint32_t from = 0; from < n; from++) {
        for (uint32_t to = 0; to < n; to++) {
            uint32_t hops = 0;

            for (uint32_t at = from; at != to; at = ic->route[at * n + to].neighbour)
                TS_ASSERT(++hops < n);
        }
    }
}

enum ts_status ts_interconnect_check_params(const struct ts_interconnect_params *params,
                                            const struct ts_topology_params *topology,
                                            struct ts_error *err)
{
    if (ts_param_check(&ts_interconnect_param_table, params, err) != TS_OK)
        return err->status;
    if (params->jitter_cycles &&
        (params->detail == TS_IC_FLIT || ts_fabric_table[params->fabric]->instant))
        return ts_error_set(err, TS_ERR_USER,
                            "interconnect.jitter is for detail message and a fabric that takes "
                            "time");
    if (params->detail == TS_IC_FLIT && !ts_fabric_table[params->fabric]->instant)
        return ic_flit_check_params(params, topology, err);
    return TS_OK;
}

/* A share of a link's slots depends on the order of all that came before, and jitter is drawn in
 * the order of arrival; why no message may be delivered at once is in interconnect_express.c. */
static bool is_express(const struct ts_interconnect_params *p)
{
    return p->express && p->detail == TS_IC_MESSAGE && !p->background_permille &&
           !p->jitter_cycles && p->inject_cycles > 0;
}

static struct ic_link *allocate_links(size_t n)
{
    struct ic_link *links = aligned_alloc(__alignof__(struct ic_link), n * sizeof(*links));

    if (links)
        memset(links, 0, n * sizeof(*links));
    return links;
}

static bool allocate(struct ts_interconnect *ic)
{
    size_t n = ic->per_socket;

    ic->route = calloc(n * n, sizeof(*ic->route));
    ic->socket = calloc(ic->nodes, sizeof(*ic->socket));
    ic->inject = allocate_links(ic->nodes);
    ic->eject = allocate_links(ic->nodes);
    ic->out = allocate_links((size_t)ic->nodes * ic->ports);
    ic->serial = allocate_links((size_t)ic->sockets * ic->sockets);
    if (is_express(&ic->params) && !ic->fabric->instant && !ic_express_create(ic))
        return false;
    if (ic->params.jitter_cycles) {
        ic->last = calloc((size_t)ic->nodes * ic->nodes, sizeof(*ic->last));
        if (!ic->last)
            return false;
    }
    return ic->route && ic->socket && ic->inject && ic->eject && ic->out && ic->serial;
}

enum ts_status ts_interconnect_create(struct ts_interconnect **out, struct ts_engine *engine,
                                      const struct ts_topology *topology,
                                      const struct ts_interconnect_params *params,
                                      struct ts_error *err)
{
    enum ts_status status = ts_interconnect_check_params(params, &topology->params, err);
    const struct ts_fabric_ops *fabric;
    struct ts_interconnect *ic;

    if (status != TS_OK)
        return status;
    fabric = ts_fabric_table[params->fabric];
    ic = calloc(1, sizeof(*ic));
    if (!ic)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "interconnect: out of memory");
    ic->engine = engine;
    ic->fabric = fabric;
    ic->params = *params;
    ts_clock_init(&ic->clock, params->mesh_hz);
    ic->share = 1000 - params->background_permille;
    ic->nodes = topology->nnodes;
    ic->sockets = (uint32_t)topology->params.sockets;
    ic->per_socket = (uint32_t)topology->params.cores_per_socket;
    ic->ports = fabric->ports(ic->per_socket);
    ic->gateway = fabric->gateway(ic->per_socket);
    ts_hist_init(&ic->stats.latency_ps);
    for (uint32_t flits = 0; flits < IC_SERIAL_FLITS; flits++)
        ic->serial_ps[flits] = serial_ps(ic, flits);
    if (!allocate(ic)) {
        ts_interconnect_destroy(ic);
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "interconnect: out of memory for %u nodes",
                            topology->nnodes);
    }
    for (uint32_t node = 0; node < ic->nodes; node++)
        ic->socket[node] = (uint16_t)(node / ic->per_socket);
    fill_routes(ic);
    if (params->detail == TS_IC_FLIT && !fabric->instant) {
        status = ic_flit_create(ic, err);
        if (status != TS_OK) {
            ts_interconnect_destroy(ic);
            return status;
        }
    }
    ts_interconnect_set_seed(ic, 0);
    *out = ic;
    return TS_OK;
}

void ts_interconnect_set_steps(struct ts_interconnect *ic, const struct ts_steps *steps)
{
    ic->steps = steps;
}

void ts_interconnect_set_seed(struct ts_interconnect *ic, uint64_t seed)
{
    ts_rng_init(&ic->rng, seed, "interconnect.jitter", 0);
}

void ts_interconnect_destroy(struct ts_interconnect *ic)
{
    if (!ic)
        return;
    ic_flit_destroy(ic);
    free(ic->route);
    free(ic->socket);
    free(ic->inject);
    free(ic->eject);
    free(ic->out);
    free(ic->serial);
    ic_express_destroy(ic);
    free(ic->last);
    free(ic);
}
