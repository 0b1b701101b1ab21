/* SPDX-License-Identifier: Apache-2.0 */
/* Messages over networks of routers (noc.h), one a socket. A network is stepped by one event at
 * each mesh cycle in which it has work, after everything that hardware does at that instant.
 *
 * A message waits `lead` cycles on its way into the network and `tail` cycles behind it: what is
 * left of inject_cycles when the router's own way in and out has been taken off. To another socket
 * it goes to the gateway's node, over the serial link, and from the far gateway's node on. */
#include "models/interconnect/fabric_table.h"
#include "models/interconnect/interconnect_private.h"
#include "models/interconnect/noc.h"

#include <stdlib.h>

#define NODES_MAX 2048u /* the orders below take 8 bytes a pair of nodes */
#define PACKETS_A_NODE 64u
#define PACKETS_MIN 1024u
#define WATCHDOG_CYCLES 1000000u

struct flit_net {
    struct ts_event event;
    struct ts_interconnect *ic;
    struct ts_noc *noc;
    uint64_t next;    /* cycle that the event is for */
    uint64_t stepped; /* last cycle stepped, plus one */
};

/* Messages of one source and destination, in order. */
struct flit_flow {
    uint32_t sent, delivered;
};

struct ic_flit {
    struct flit_net *nets;   /* by socket */
    struct flit_flow *flows; /* [src * nodes + dst] */
    struct ts_msg **early;   /* [dst]: messages that came before their turn */
    uint64_t lead, tail;
};

static void step_at(struct flit_net *net, uint64_t cycle)
{
    struct ts_engine *engine = net->ic->engine;

    if (ts_event_pending(&net->event)) {
        if (net->next <= cycle)
            return;
        ts_engine_cancel(engine, &net->event);
    }
    net->next = cycle;
    ts_engine_schedule(engine, &net->event, ts_clock_cycle_time(&net->ic->clock, cycle),
                       TS_PHASE_INTERRUPT);
}

static void on_step(struct ts_engine *engine, struct ts_event *event)
{
    struct flit_net *net = TS_CONTAINER_OF(event, struct flit_net, event);
    uint64_t next;

    (void)engine;
    net->stepped = net->next + 1;
    ts_noc_step(net->noc, net->next);
    next = ts_noc_next(net->noc, net->stepped);
    if (next != TS_NOC_NEVER)
        step_at(net, next);
}

/* Where the message leaves its present socket's network. */
static uint32_t exit_of(const struct ts_interconnect *ic, const struct ts_msg *msg)
{
    uint32_t socket = ic->socket[msg->at];

    return ic->socket[msg->dst] == socket ? msg->dst : socket * ic->per_socket + ic->gateway;
}

static void leave(struct ts_interconnect *ic, struct ts_msg *msg);

/* The message is at node msg->at at msg->cycle. */
static void enter(struct ts_interconnect *ic, struct ts_msg *msg)
{
    uint32_t socket = ic->socket[msg->at], to = exit_of(ic, msg);
    struct flit_net *net = &ic->flit->nets[socket];
    uint64_t cycle = msg->cycle;

    if (to == msg->at) {
        leave(ic, msg);
        return;
    }
    /* Sent at an instant whose step is over: it goes with the next. */
    if (cycle < net->stepped)
        cycle = net->stepped;
    TS_ASSERT(ts_noc_send(net->noc, cycle, msg->at - socket * ic->per_socket,
                          to - socket * ic->per_socket, msg->klass, msg->flits,
                          (uint64_t)(uintptr_t)msg));
    step_at(net, cycle);
}

static void on_enter(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_msg *msg = TS_CONTAINER_OF(event, struct ts_msg, event);

    (void)engine;
    enter(msg->ic, msg);
}

static struct flit_flow *flow_of(const struct ts_interconnect *ic, const struct ts_msg *msg)
{
    return &ic->flit->flows[(size_t)msg->src * ic->nodes + msg->dst];
}

/* Takes the message whose turn it is, if it has come early, off the destination's list. */
static struct ts_msg *take_early(struct ts_interconnect *ic, uint32_t src, uint32_t dst,
                                 uint32_t order)
{
    for (struct ts_msg **at = &ic->flit->early[dst]; *at != NULL; at = &(*at)->held) {
        struct ts_msg *msg = *at;

        if (msg->src == src && msg->order == order) {
            *at = msg->held;
            return msg;
        }
    }
    return NULL;
}

/* All of it is at its destination's interface. */
static void on_arrived(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_msg *msg = TS_CONTAINER_OF(event, struct ts_msg, event);
    struct ts_interconnect *ic = msg->ic;
    struct flit_flow *flow = flow_of(ic, msg);
    uint32_t src = msg->src, dst = msg->dst;

    if (msg->order != flow->delivered) {
        ic->stats.overtaken++;
        msg->held = ic->flit->early[dst];
        ic->flit->early[dst] = msg;
        return;
    }
    while (msg != NULL) {
        ts_time alone = ic_flit_arrival(ic, src, dst, msg->flits, msg->sent);

        flow->delivered++;
        ic->stats.queued_ps += ts_engine_now(engine) - alone;
        ic_on_delivered(engine, &msg->event);
        msg = take_early(ic, src, dst, flow->delivered);
    }
}

/* The message is at the node by which it leaves its network, at msg->cycle. */
static void leave(struct ts_interconnect *ic, struct ts_msg *msg)
{
    if (msg->at == msg->dst)
        ic_schedule_at(ic, msg, on_arrived, msg->cycle + ic->flit->tail);
    else
        ic_cross(ic, msg, on_enter);
}

static void on_taken(void *user, const struct ts_noc_delivery *delivery)
{
    struct flit_net *net = user;
    struct ts_interconnect *ic = net->ic;
    struct ts_msg *msg = (struct ts_msg *)(uintptr_t)delivery->cookie;
    uint32_t routers = ts_noc_routers(net->noc, delivery->src, delivery->dst);

    msg->hops += routers - 1;
    ic->stats.flit_hops += (uint64_t)msg->flits * (routers - 1);
    msg->at = ic->socket[msg->at] * ic->per_socket + delivery->dst;
    msg->cycle = delivery->cycle;
    leave(ic, msg);
}

void ic_flit_send(struct ts_interconnect *ic, struct ts_msg *msg)
{
    msg->order = flow_of(ic, msg)->sent++;
    msg->cycle = ts_clock_cycle_at(&ic->clock, msg->sent) + ic->flit->lead;
    ic_schedule_at(ic, msg, on_enter, msg->cycle);
}

ts_time ic_flit_arrival(const struct ts_interconnect *ic, uint32_t src, uint32_t dst,
                        uint32_t flits, ts_time sent)
{
    const struct ic_flit *f = ic->flit;
    uint32_t from = src % ic->per_socket, to = dst % ic->per_socket;
    uint64_t cycle = ts_clock_cycle_at(&ic->clock, sent) + f->lead;

    if (ic->socket[src] != ic->socket[dst]) {
        const struct ts_noc *noc = f->nets[ic->socket[src]].noc;

        if (from != ic->gateway)
            cycle += ts_noc_zero_load(noc, from, ic->gateway, flits);
        cycle += ic->params.router_cycles;
        cycle =
            ts_clock_cycle_at(&ic->clock, ts_clock_cycle_time(&ic->clock, cycle) +
                                              ic_serial_ps(ic, flits) + ic->params.socket_link_ps);
        from = ic->gateway;
    }
    if (from != to)
        cycle += ts_noc_zero_load(f->nets[ic->socket[dst]].noc, from, to, flits);
    return ts_clock_cycle_time(&ic->clock, cycle + f->tail);
}

uint32_t ic_flit_routers(const struct ts_interconnect *ic)
{
    return ts_noc_router_count(ic->flit->nets[0].noc);
}

uint32_t ic_flit_buffered(const struct ts_interconnect *ic, uint32_t router)
{
    const uint32_t per_socket = ic_flit_routers(ic);

    return ts_noc_buffered(ic->flit->nets[router / per_socket].noc, router % per_socket);
}

enum ts_status ic_flit_check(const struct ts_interconnect *ic, struct ts_error *err)
{
    enum ts_status status = TS_OK;

    for (uint32_t s = 0; s < ic->sockets && status == TS_OK; s++)
        status = ts_noc_check(ic->flit->nets[s].noc, err);
    return status;
}

/* The stages of a router of so many cycles: up to two of them by speculation, the route known. */
static void set_pipeline(struct ts_noc_params *p, uint64_t router_cycles)
{
    p->va = 1;
    p->speculative = router_cycles <= 2;
    p->st = router_cycles == 1 ? 0 : 1;
    p->rc = router_cycles <= 3 ? 0 : (uint32_t)router_cycles - 3;
}

static struct ts_noc_params network(const struct ts_interconnect_params *p, uint32_t nodes)
{
    struct ts_noc_params np = {0};

    np.classes = TS_MSG_CLASSES;
    np.vcs = (uint32_t)p->vcs;
    np.depth = (uint32_t)p->vc_depth;
    np.link = (uint32_t)p->link_cycles;
    np.credit = (uint32_t)p->credit_cycles;
    np.packets = nodes * PACKETS_A_NODE + PACKETS_MIN;
    np.watchdog = WATCHDOG_CYCLES;
    set_pipeline(&np, p->router_cycles);
    return np;
}

enum ts_status ic_flit_check_params(const struct ts_interconnect_params *p,
                                    const struct ts_topology_params *topology, struct ts_error *err)
{
    uint32_t per_socket = (uint32_t)topology->cores_per_socket;
    uint32_t nodes = (uint32_t)topology->sockets * per_socket;
    struct ts_error inner;
    struct ts_noc_params np;
    enum ts_status status;

    if (p->router_cycles == 0 || p->link_cycles == 0)
        return ts_error_set(err, TS_ERR_USER,
                            "interconnect.detail flit needs router_cycles and link_cycles of at "
                            "least 1");
    if (p->background_permille != 0)
        return ts_error_set(err, TS_ERR_USER,
                            "interconnect.background_permille is for detail message; flit by flit "
                            "the study noc_traffic offers load");
    if (nodes > NODES_MAX)
        return ts_error_set(err, TS_ERR_USER, "interconnect.detail flit: %u nodes are more than %u",
                            nodes, NODES_MAX);
    np = network(p, per_socket);
    status = ts_noc_check_params(ts_fabric_table[p->fabric], per_socket, &np, &inner);
    if (status != TS_OK)
        return ts_error_set(err, status, "interconnect.vcs = %u, interconnect.fabric: %s", np.vcs,
                            inner.message);
    return TS_OK;
}

static enum ts_status create_nets(struct ts_interconnect *ic, struct ts_error *err)
{
    struct ts_noc_params np = network(&ic->params, ic->per_socket);
    enum ts_status status = TS_OK;

    for (uint32_t s = 0; s < ic->sockets && status == TS_OK; s++) {
        struct flit_net *net = &ic->flit->nets[s];

        net->ic = ic;
        ts_event_init(&net->event, on_step);
        status = ts_noc_create(&net->noc, ic->fabric, ic->per_socket, &np, on_taken, net, err);
    }
    return status == TS_OK ? ts_engine_reserve(ic->engine, ic->sockets, err) : status;
}

enum ts_status ic_flit_create(struct ts_interconnect *ic, struct ts_error *err)
{
    const struct ts_interconnect_params *p = &ic->params;
    uint64_t own = p->router_cycles + p->link_cycles + 2;
    struct ic_flit *f = calloc(1, sizeof(*f));
    if (!f)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "interconnect: out of memory");
    ic->flit = f;
    f->nets = calloc(ic->sockets, sizeof(*f->nets));
    f->flows = calloc((size_t)ic->nodes * ic->nodes, sizeof(*f->flows));
    f->early = calloc(ic->nodes, sizeof(struct ts_msg *));
    if (!f->nets || !f->flows || !f->early)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "interconnect: out of memory for %u nodes",
                            ic->nodes);
    /* Half of the rest on each side. */
    if (2 * p->inject_cycles > own) {
        f->lead = (2 * p->inject_cycles - own) / 2;
        f->tail = 2 * p->inject_cycles - own - f->lead;
    }
    return create_nets(ic, err);
}

void ic_flit_destroy(struct ts_interconnect *ic)
{
    struct ic_flit *f = ic->flit;

    if (!f)
        return;
    for (uint32_t s = 0; f->nets && s < ic->sockets; s++)
        ts_noc_destroy(f->nets[s].noc);
    free(f->nets);
    free(f->flows);
    free(f->early);
    free(f);
}
