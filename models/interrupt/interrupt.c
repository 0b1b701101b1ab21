/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interrupt/icr.h"

#include <inttypes.h>
#include <stdlib.h>

/* Messages in flight that a machine starts with: each CPU to all others is rare, each CPU to a few
 * is not. Beyond that the pool doubles, so that a run allocates a few times at most. */
#define POOL_PER_CPU 8u
#define POOL_MIN 64u
/* xAPIC destinations: 8 logical IDs in the flat model, 8-bit physical IDs of which 255 is all. */
#define FLAT_CPUS 8u
#define XAPIC_LAST_ID 254u

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
    ts_time *port_free;  /* of each pCPU: when its next message may leave */
    uint32_t *in_flight; /* of each pCPU: messages of its own not accepted yet */
    struct intr_flight *free;
    struct intr_block *blocks;
    uint32_t capacity;
    struct ts_interrupt_stats stats;
};

static const char *const mode_names[] = {"x2apic_phys", "x2apic_cluster", "gic_sgi",
                                         "xapic_flat",  "xapic_phys",     NULL};

#define ROW(field) offsetof(struct ts_interrupt_params, field)
static const struct ts_param rows[] = {
    {"mode", TS_PARAM_ENUM, ROW(mode), TS_INTR_X2APIC_CLUSTER, TS_INTR_X2APIC_PHYS,
     TS_INTR_XAPIC_PHYS, mode_names, "interrupt controller mode of the host",
     "Linux x2apic_cluster.c: the default with interrupt remapping", TS_CONF_CHOICE},
    {"guest_mode", TS_PARAM_ENUM, ROW(guest_mode), TS_INTR_X2APIC_PHYS, TS_INTR_X2APIC_PHYS,
     TS_INTR_XAPIC_PHYS, mode_names, "mode that a guest's driver uses",
     "Linux apic.c: physical mode is forced without interrupt remapping", TS_CONF_CHOICE},
    {"icr_write_cycles", TS_PARAM_CYCLES, ROW(icr_write_cycles), 150, 0, 100000, NULL,
     "core cycles of one ICR or SGI1R write that does not exit, fences included",
     "planning value of 60 ns (30-120) at 2.5 GHz", TS_CONF_GUESS},
    {"mmio_write_cycles", TS_PARAM_CYCLES, ROW(mmio_write_cycles), 100, 0, 100000, NULL,
     "xAPIC: core cycles of one uncached write of ICR2 or ICR that does not exit",
     "assumed; less than an x2APIC write with its fences", TS_CONF_GUESS},
    {"icr_poll_cycles", TS_PARAM_CYCLES, ROW(icr_poll_cycles), 100, 1, 100000, NULL,
     "xAPIC: core cycles of one read of ICR that looks at the delivery status, PAUSE included",
     "assumed; as an uncached write. Linux ipi.c apic_mem_wait_icr_idle", TS_CONF_GUESS},
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
    {"in_flight", TS_STAT_COUNTER, STAT(in_flight), "1", "messages under way when the run ended"},
    {"flight_ps", TS_STAT_HIST, STAT(flight_ps), "ps", "register write to acceptance"},
};
#undef STAT
static const struct ts_stat_rule stat_rules[] = {
    {"every interrupt sent is delivered or in flight", {"+sent", "-delivered", "-in_flight", NULL}},
};
const struct ts_stat_table ts_interrupt_stat_table = {
    "interrupt", stat_rows, TS_ARRAY_LEN(stat_rows), stat_rules, TS_ARRAY_LEN(stat_rules)};

uint32_t ts_interrupt_writes(const struct ts_interrupt_params *params, enum ts_intr_mode mode,
                             const uint32_t *ids, uint32_t n, bool ids_all_but_self)
{
    struct ts_icr_iter it = {.params = params,
                             .mode = mode,
                             .targets = ids,
                             .n = n,
                             .self = UINT32_MAX,
                             .all_but_self = ids_all_but_self};
    struct ts_icr_write w;
    uint32_t writes = 0;

    while (ts_icr_next(&it, &w))
        writes++;
    return writes;
}

enum ts_status ts_interrupt_check_mode(enum ts_intr_mode mode, uint32_t ncpus, uint32_t highest_id,
                                       const char *who, struct ts_error *err)
{
    if (mode == TS_INTR_XAPIC_FLAT && ncpus > FLAT_CPUS)
        return ts_error_set(err, TS_ERR_USER, "%s is xapic_flat, which reaches %u CPUs, not %u",
                            who, FLAT_CPUS, ncpus);
    if (mode == TS_INTR_XAPIC_PHYS && highest_id > XAPIC_LAST_ID)
        return ts_error_set(err, TS_ERR_USER,
                            "%s is xapic_phys, which reaches APIC IDs up to %u, not %u", who,
                            XAPIC_LAST_ID, highest_id);
    return TS_OK;
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
    in->stats.in_flight--;
    in->in_flight[flight->src]--;
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

/* NULL: out of memory, and the run has been stopped. */
static struct intr_flight *pool_take(struct ts_interrupt *in)
{
    struct intr_flight *flight;
    struct ts_error err;

    if (!in->free && pool_grow(in, in->capacity, &err) != TS_OK) {
        ts_engine_fail(in->engine, err.status, "%s", err.message);
        return NULL;
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
    if (!flight)
        return;
    leave = in->port_free[src] > now ? in->port_free[src] : now;
    in->port_free[src] = ts_clock_after(&in->core_clock, leave, 1);
    in->stats.sent++;
    in->stats.in_flight++;
    in->in_flight[src]++;
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

bool ts_interrupt_busy(const struct ts_interrupt *in, uint32_t src)
{
    return in->in_flight[src] != 0;
}

void ts_interrupt_count_write(struct ts_interrupt *in)
{
    in->stats.writes++;
}

const struct ts_interrupt_stats *ts_interrupt_stats(const struct ts_interrupt *in)
{
    return &in->stats;
}

enum ts_status ts_interrupt_create(struct ts_interrupt **out, struct ts_engine *engine,
                                   const struct ts_topology *topology, struct ts_interconnect *ic,
                                   const struct ts_interrupt_params *params, ts_intr_sink_fn *sink,
                                   void *user, struct ts_error *err)
{
    enum ts_status status = ts_param_check(&ts_interrupt_param_table, params, err);
    uint32_t n = POOL_PER_CPU * topology->ncpus, highest_id = 0;
    struct ts_interrupt *in;

    for (uint32_t i = 0; i < topology->ncpus; i++)
        highest_id = topology->apic_id[i] > highest_id ? topology->apic_id[i] : highest_id;
    if (status == TS_OK)
        status = ts_interrupt_check_mode((enum ts_intr_mode)params->mode, topology->ncpus,
                                         highest_id, "interrupt.mode", err);
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
    in->in_flight = calloc(topology->ncpus, sizeof(*in->in_flight));
    if (!in->port_free || !in->in_flight)
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
    free(in->in_flight);
    free(in);
}
