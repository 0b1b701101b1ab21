/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interrupt/interrupt.h"

#include <inttypes.h>
#include <stdlib.h>

/* Messages in flight that a machine starts with: each CPU to all others is rare, each CPU to a few
 * is not. Beyond that the pool doubles, so that a run allocates a few times at most. */
#define POOL_PER_CPU 8u
#define POOL_MIN 64u
/* Targets of one ICC_SGI1R write: its target list has 16 bits (Arm GICv3, IHI 0069). */
#define SGI_TARGETS 16u

/* One interrupt on its way. The event is used before and after the message's own. */
struct intr_flight {
    struct ts_msg msg;
    struct ts_event event;
    struct ts_interrupt *in;
    struct intr_flight *next;
    uint64_t cookie;
    ts_time sent;
    uint32_t src, dst;
    uint32_t vector;
};

struct intr_block {
    struct intr_block *next;
    struct intr_flight flights[];
};

struct ts_interrupt {
    struct ts_engine *engine;
    const struct ts_topology *topology;
    struct ts_interconnect *ic;
    struct ts_interrupt_params params;
    struct ts_clock core_clock;
    ts_intr_sink_fn *sink;
    void *user;
    ts_time *port_free; /* of each pCPU: when its next message may leave */
    struct intr_flight *free;
    struct intr_block *blocks;
    uint32_t capacity;
    struct ts_interrupt_stats stats;
};

static const char *const mode_names[] = {"x2apic_phys", "x2apic_cluster", "gic_sgi", NULL};

#define ROW(field) offsetof(struct ts_interrupt_params, field)
static const struct ts_param rows[] = {
    {"mode", TS_PARAM_ENUM, ROW(mode), TS_INTR_X2APIC_CLUSTER, TS_INTR_X2APIC_PHYS, TS_INTR_GIC_SGI,
     mode_names, "interrupt controller mode of the host",
     "Linux x2apic_cluster.c: the default with interrupt remapping", TS_CONF_CHOICE},
    {"guest_mode", TS_PARAM_ENUM, ROW(guest_mode), TS_INTR_X2APIC_PHYS, TS_INTR_X2APIC_PHYS,
     TS_INTR_GIC_SGI, mode_names, "mode that a guest's driver uses",
     "Linux apic.c: physical mode is forced without interrupt remapping", TS_CONF_CHOICE},
    {"icr_write_cycles", TS_PARAM_CYCLES, ROW(icr_write_cycles), 150, 0, 100000, NULL,
     "core cycles of one ICR or SGI1R write that does not exit, fences included",
     "planning value of 60 ns (30-120) at 2.5 GHz", TS_CONF_GUESS},
    {"accept_ps", TS_PARAM_TIME, ROW(accept_ps), 50 * TS_NS, 0, 100 * TS_US, NULL,
     "arrival at the local APIC or CPU interface to acceptance (IRR)",
     "part of a flight of 400 ns (250-700) in one Skylake-SP socket", TS_CONF_GUESS},
    {"transport_ps", TS_PARAM_TIME, ROW(transport_ps), 345 * TS_NS, 0, 100 * TS_US, NULL,
     "fixed part of the flight beyond the interconnect's hops",
     "rest of a flight of 400 ns (250-700) in one Skylake-SP socket", TS_CONF_REMEMBERED},
    {"cross_socket_ps", TS_PARAM_TIME, ROW(cross_socket_ps), 213 * TS_NS, 0, 100 * TS_US, NULL,
     "the same, in addition, to another socket",
     "250 ns more (150-500) to another Skylake-SP socket, less the link's own time",
     TS_CONF_REMEMBERED},
    {"shorthand", TS_PARAM_BOOL, ROW(shorthand), 1, 0, 1, NULL,
     "all-but-self in one write when every other CPU is a target (x86)",
     "Linux arch/x86/kernel/apic/ipi.c, apic_use_ipi_shorthand", TS_CONF_VERBATIM},
    {"cluster_size", TS_PARAM_COUNT, ROW(cluster_size), 16, 1, 16, NULL,
     "logical targets of one x2APIC cluster write",
     "Linux arch/x86/kernel/apic/x2apic_cluster.c: cluster = APIC ID >> 4", TS_CONF_VERBATIM},
};
#undef ROW

const struct ts_param_table ts_interrupt_param_table = {"interrupt", rows, TS_ARRAY_LEN(rows)};

#define STAT(field) offsetof(struct ts_interrupt_stats, field)
static const struct ts_stat stat_rows[] = {
    {"writes", TS_STAT_COUNTER, STAT(writes), "1", "ICR or SGI1R writes that went out"},
    {"sent", TS_STAT_COUNTER, STAT(sent), "1", "messages to targets"},
    {"delivered", TS_STAT_COUNTER, STAT(delivered), "1", "messages accepted by targets"},
    {"flight_ps", TS_STAT_HIST, STAT(flight_ps), "ps", "register write to acceptance"},
};
#undef STAT
static const struct ts_stat_rule stat_rules[] = {
    {"every interrupt sent is delivered", {"+sent", "-delivered", NULL}},
};
const struct ts_stat_table ts_interrupt_stat_table = {
    "interrupt", stat_rows, TS_ARRAY_LEN(stat_rows), stat_rules, TS_ARRAY_LEN(stat_rules)};

static uint32_t distinct_groups(const uint32_t *ids, uint32_t n, uint32_t size)
{
    uint32_t groups = 0;

    for (uint32_t i = 0; i < n; i++) {
        TS_ASSERT(i == 0 || ids[i] > ids[i - 1]);
        if (i == 0 || ids[i] / size != ids[i - 1] / size)
            groups++;
    }
    return groups;
}

uint32_t ts_interrupt_writes(const struct ts_interrupt_params *params, enum ts_intr_mode mode,
                             const uint32_t *ids, uint32_t n, bool ids_all_but_self)
{
    if (n == 0)
        return 0;
    switch (mode) {
    case TS_INTR_X2APIC_PHYS:
        return ids_all_but_self && params->shorthand ? 1 : n;
    case TS_INTR_X2APIC_CLUSTER:
        return ids_all_but_self && params->shorthand
                   ? 1
                   : distinct_groups(ids, n, (uint32_t)params->cluster_size);
    case TS_INTR_GIC_SGI:
    default:
        /* gic_ipi_send_mask (Linux irq-gic-v3.c) never uses the all-but-self routing mode. */
        TS_ASSERT(mode == TS_INTR_GIC_SGI);
        return distinct_groups(ids, n, SGI_TARGETS);
    }
}

static ts_time fixed_ps(const struct ts_interrupt *in, uint32_t src, uint32_t dst)
{
    ts_time ps = in->params.transport_ps + in->params.accept_ps;

    if (in->topology->socket[src] != in->topology->socket[dst])
        ps += in->params.cross_socket_ps;
    return ps;
}

static void on_accepted(struct ts_engine *engine, struct ts_event *event)
{
    struct intr_flight *flight = TS_CONTAINER_OF(event, struct intr_flight, event);
    struct ts_interrupt *in = flight->in;

    in->stats.delivered++;
    ts_hist_add(&in->stats.flight_ps, ts_engine_now(engine) - flight->sent);
    flight->next = in->free;
    in->free = flight;
    in->sink(in->user, flight->dst, flight->vector, flight->cookie);
}

static void on_arrived(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct intr_flight *flight = TS_CONTAINER_OF(msg, struct intr_flight, msg);
    struct ts_interrupt *in = flight->in;

    (void)ic;
    flight->event.fn = on_accepted;
    ts_engine_schedule(in->engine, &flight->event,
                       ts_engine_now(in->engine) + fixed_ps(in, flight->src, flight->dst),
                       TS_PHASE_INTERRUPT);
}

static void on_leaves(struct ts_engine *engine, struct ts_event *event)
{
    struct intr_flight *flight = TS_CONTAINER_OF(event, struct intr_flight, event);

    (void)engine;
    ts_interconnect_send(flight->in->ic, &flight->msg);
}

static enum ts_status pool_grow(struct ts_interrupt *in, uint32_t n, struct ts_error *err)
{
    enum ts_status status = ts_engine_reserve(in->engine, n, err);
    struct intr_block *block;

    if (status != TS_OK)
        return status;
    block = calloc(1, sizeof(*block) + n * sizeof(block->flights[0]));
    if (!block)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "interrupt: out of memory for %u messages", n);
    block->next = in->blocks;
    in->blocks = block;
    in->capacity += n;
    for (uint32_t i = n; i > 0; i--) {
        block->flights[i - 1].in = in;
        block->flights[i - 1].next = in->free;
        in->free = &block->flights[i - 1];
    }
    return TS_OK;
}

static struct intr_flight *pool_take(struct ts_interrupt *in)
{
    struct intr_flight *flight;

    if (!in->free) {
        struct ts_error err;

        /* Sending cannot report a failure, so running out of memory stops here. */
        TS_ASSERT(pool_grow(in, in->capacity, &err) == TS_OK);
    }
    flight = in->free;
    in->free = flight->next;
    return flight;
}

void ts_interrupt_send(struct ts_interrupt *in, uint32_t src, uint32_t dst, uint32_t vector,
                       uint64_t cookie)
{
    ts_time now = ts_engine_now(in->engine), leave;
    struct intr_flight *flight;

    TS_ASSERT(src < in->topology->ncpus && dst < in->topology->ncpus);
    flight = pool_take(in);
    leave = in->port_free[src] > now ? in->port_free[src] : now;
    in->port_free[src] = ts_clock_after(&in->core_clock, leave, 1);
    in->stats.sent++;
    flight->sent = now;
    flight->src = src;
    flight->dst = dst;
    flight->vector = vector;
    flight->cookie = cookie;
    flight->msg.src = in->topology->core[src];
    flight->msg.dst = in->topology->core[dst];
    flight->msg.flits = 1;
    flight->msg.klass = TS_MSG_INTERRUPT;
    flight->msg.deliver = on_arrived;
    if (leave == now) {
        ts_interconnect_send(in->ic, &flight->msg);
        return;
    }
    flight->event.fn = on_leaves;
    ts_engine_schedule(in->engine, &flight->event, leave, TS_PHASE_HARDWARE);
}

ts_time ts_interrupt_arrival(const struct ts_interrupt *in, uint32_t src, uint32_t dst,
                             ts_time sent)
{
    return ts_interconnect_arrival(in->ic, in->topology->core[src], in->topology->core[dst], 1,
                                   sent) +
           fixed_ps(in, src, dst);
}

void ts_interrupt_count_write(struct ts_interrupt *in)
{
    in->stats.writes++;
}

const struct ts_interrupt_stats *ts_interrupt_stats(const struct ts_interrupt *in)
{
    return &in->stats;
}

static enum ts_status check(const struct ts_interrupt_params *params, struct ts_error *err)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++) {
        uint64_t value = ts_param_get(&rows[i], params);

        if (value < rows[i].min || value > rows[i].max)
            return ts_error_set(err, TS_ERR_USER,
                                "interrupt.%s is %" PRIu64 ": must be %" PRIu64 " to %" PRIu64,
                                rows[i].key, value, rows[i].min, rows[i].max);
    }
    return TS_OK;
}

enum ts_status ts_interrupt_create(struct ts_interrupt **out, struct ts_engine *engine,
                                   const struct ts_topology *topology, struct ts_interconnect *ic,
                                   const struct ts_interrupt_params *params, ts_intr_sink_fn *sink,
                                   void *user, struct ts_error *err)
{
    enum ts_status status = check(params, err);
    uint32_t n = POOL_PER_CPU * topology->ncpus;
    struct ts_interrupt *in;

    if (status != TS_OK)
        return status;
    in = calloc(1, sizeof(*in));
    if (!in)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "interrupt: out of memory");
    in->engine = engine;
    in->topology = topology;
    in->ic = ic;
    in->params = *params;
    in->sink = sink;
    in->user = user;
    ts_clock_init(&in->core_clock, topology->params.core_hz);
    ts_hist_init(&in->stats.flight_ps);
    in->port_free = calloc(topology->ncpus, sizeof(*in->port_free));
    if (!in->port_free)
        status = ts_error_set(err, TS_ERR_ENVIRONMENT, "interrupt: out of memory for %u CPUs",
                              topology->ncpus);
    else
        status = pool_grow(in, n > POOL_MIN ? n : POOL_MIN, err);
    if (status != TS_OK) {
        ts_interrupt_destroy(in);
        return status;
    }
    *out = in;
    return TS_OK;
}

void ts_interrupt_destroy(struct ts_interrupt *in)
{
    if (!in)
        return;
    while (in->blocks) {
        struct intr_block *block = in->blocks;

        in->blocks = block->next;
        free(block);
    }
    free(in->port_free);
    free(in);
}
