/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up, measured part, and drain, as in Dally and Towles, "Principles and Practices of
 * Interconnection Networks", chapter 24: what is sent in the measured part is followed until all of
 * it has arrived, while sources go on sending; then they stop and the network empties, so that its
 * sum rules can be checked. */
#include "models/study/noc_traffic.h"

#include "sim/rng.h"

#include <inttypes.h>
#include <stdlib.h>

#define PPM UINT64_C(1000000)
#define WATCHDOG_CYCLES 100000u

struct source {
    struct ts_rng arrivals, targets;
    uint32_t queued; /* packets that have not been delivered */
};

struct traffic {
    const struct ts_traffic_params *p;
    struct ts_traffic_stats *stats;
    struct ts_noc *noc;
    struct source *source;
    uint32_t *everyone;
    uint32_t *routers; /* [src * nodes + dst] */
    uint64_t from, to; /* measured part */
};

static struct ts_noc_params network(const struct ts_traffic_params *p, uint32_t packets)
{
    struct ts_noc_params n = {0};

    n.classes = 1;
    n.vcs = (uint32_t)p->vcs;
    n.depth = (uint32_t)p->depth;
    n.speculative = p->router == TS_TRAFFIC_P2SPEC;
    n.rc = n.speculative ? 0 : 1;
    n.va = 1;
    n.st = 1;
    n.link = (uint32_t)p->link_cycles;
    n.credit = (uint32_t)p->credit_cycles;
    n.packets = packets;
    n.watchdog = WATCHDOG_CYCLES;
    n.multicast = (enum ts_noc_multicast_kind)p->multicast;
    return n;
}

static uint32_t square_root(uint64_t n)
{
    uint32_t root = 1;

    while ((uint64_t)root * root < n)
        root++;
    return root;
}

static void deliver(void *user, const struct ts_noc_delivery *d)
{
    struct traffic *t = user;
    struct ts_traffic_stats *s = t->stats;
    uint64_t latency = d->cycle - d->sent;

    t->source[d->src].queued--;
    if (d->sent < t->from || d->sent >= t->to)
        return;
    s->min_latency = s->delivered == 0 || latency < s->min_latency ? latency : s->min_latency;
    s->max_latency = latency > s->max_latency ? latency : s->max_latency;
    s->delivered++;
    s->latency_cycles += latency;
    s->network_cycles += d->cycle - d->injected;
    s->routers += t->routers[d->src * t->p->nodes + d->dst];
}

static uint32_t target(struct traffic *t, uint32_t src)
{
    uint32_t n = (uint32_t)t->p->nodes, side;
    struct ts_rng *rng = &t->source[src].targets;

    switch ((enum ts_traffic_pattern)t->p->traffic) {
    case TS_TRAFFIC_TRANSPOSE:
        side = square_root(n);
        return src % side * side + src / side;
    case TS_TRAFFIC_HOTSPOT:
        if (ts_rng_chance(rng, t->p->hotspot_permille, 1000))
            return (uint32_t)t->p->hotspot_node;
        break;
    case TS_TRAFFIC_BIT_COMPLEMENT:
        return n - 1 - src;
    case TS_TRAFFIC_NEIGHBOUR:
        return src + 1 == n ? 0 : src + 1;
    case TS_TRAFFIC_UNIFORM:
        break;
    }
    return (uint32_t)ts_rng_below(rng, n);
}

static void generate(struct traffic *t, uint32_t src, uint64_t cycle)
{
    struct source *s = &t->source[src];
    uint32_t n = (uint32_t)t->p->nodes, flits = (uint32_t)t->p->packet_flits;
    bool measured = cycle >= t->from && cycle < t->to;
    bool all =
        t->p->broadcast_permille > 0 && ts_rng_chance(&s->targets, t->p->broadcast_permille, 1000);
    uint32_t dst = all ? 0 : target(t, src), count = all ? n : 1;
    bool room = s->queued + count <= t->p->source_queue * (all ? n : 1);

    if (measured)
        t->stats->offered_flits += (uint64_t)flits * count;
    if (room && all)
        room = ts_noc_multicast(t->noc, cycle, src, t->everyone, n, 0, flits, 0);
    else if (room)
        room = ts_noc_send(t->noc, cycle, src, dst, 0, flits, 0);
    if (!room) {
        t->stats->refused += measured;
        return;
    }
    s->queued += count;
    if (measured)
        t->stats->measured += count;
}

static void cycle_of(struct traffic *t, uint64_t cycle)
{
    uint64_t den = PPM * t->p->packet_flits;

    for (uint32_t i = 0; t->p->load_ppm > 0 && i < t->p->nodes; i++)
        if (ts_rng_chance(&t->source[i].arrivals, t->p->load_ppm, den))
            generate(t, i, cycle);
    ts_noc_step(t->noc, cycle);
}

static uint64_t busiest_link(const struct ts_noc *noc)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < ts_noc_links(noc); i++) {
        struct ts_noc_link link;
        if (ts_noc_link(noc, i, &link) && link.flits > most)
            most = link.flits;
    }
    return most;
}

static void add_noc_stats(struct ts_noc_stats *sum, const struct ts_noc_stats *s)
{
    sum->packets_sent += s->packets_sent;
    sum->packets_delivered += s->packets_delivered;
    sum->flits_sent += s->flits_sent;
    sum->flits_copied += s->flits_copied;
    sum->flits_delivered += s->flits_delivered;
    sum->flit_hops += s->flit_hops;
    sum->steps += s->steps;
    sum->speculation_failed += s->speculation_failed;
}

/* Takes the statistics of a part of the run and begins the next. */
static struct ts_noc_stats end_part(struct traffic *t, struct ts_noc_stats *sum)
{
    struct ts_noc_stats part = *ts_noc_stats(t->noc);

    add_noc_stats(sum, &part);
    ts_noc_reset_stats(t->noc);
    return part;
}

static enum ts_status simulate(struct traffic *t, struct ts_noc_stats *sum, struct ts_error *err)
{
    struct ts_traffic_stats *s = t->stats;
    uint64_t cycle = 0;

    for (; cycle < t->from; cycle++)
        cycle_of(t, cycle);
    (void)end_part(t, sum);
    for (; cycle < t->to; cycle++)
        cycle_of(t, cycle);
    s->busiest_link_flits = busiest_link(t->noc);
    struct ts_noc_stats part = end_part(t, sum);
    s->accepted_flits = part.flits_delivered;
    s->flit_hops = part.flit_hops;
    for (; cycle < t->to + t->p->drain_cycles && s->delivered < s->measured; cycle++)
        cycle_of(t, cycle);
    s->late = s->measured - s->delivered;
    for (;; cycle++) {
        enum ts_status status = TS_OK;
        cycle = ts_noc_next(t->noc, cycle);
        if (cycle == TS_NOC_NEVER)
            break;
        ts_noc_step(t->noc, cycle);
        if (cycle % WATCHDOG_CYCLES == 0)
            status = ts_noc_check(t->noc, err);
        if (status != TS_OK)
            return status;
    }
    (void)end_part(t, sum);
    s->saturated =
        s->late > 0 || s->refused > 0 || s->latency_cycles > s->delivered * t->p->latency_limit;
    return ts_noc_check(t->noc, err);
}

static enum ts_status create(const struct ts_traffic_params *p, uint32_t packets, struct traffic *t,
                             struct ts_error *err)
{
    struct ts_noc_params n = network(p, packets);

    TS_ASSERT(p->fabric < ts_fabric_table_count);
    return ts_noc_create(&t->noc, ts_fabric_table[p->fabric], (uint32_t)p->nodes, &n, deliver, t,
                         err);
}

enum ts_status ts_traffic_check(const struct ts_traffic_params *p, struct ts_error *err)
{
    struct traffic t = {0};
    uint64_t side = square_root(p->nodes);

    TS_ASSERT(p->fabric < ts_fabric_table_count);
    if (ts_fabric_table[p->fabric]->instant)
        return ts_error_set(err, TS_ERR_USER, "noc_traffic.fabric is %s, which has no routers",
                            ts_fabric_table[p->fabric]->name);
    if (p->traffic == TS_TRAFFIC_TRANSPOSE && side * side != p->nodes)
        return ts_error_set(
            err, TS_ERR_USER,
            "noc_traffic.nodes is %" PRIu64 ", but traffic transpose needs a square", p->nodes);
    if (p->traffic == TS_TRAFFIC_HOTSPOT && p->hotspot_node >= p->nodes)
        return ts_error_set(err, TS_ERR_USER,
                            "noc_traffic.hotspot_node is %" PRIu64 ": there are %" PRIu64
                            " nodes, from 0",
                            p->hotspot_node, p->nodes);
    if (p->load_ppm > PPM * p->packet_flits)
        return ts_error_set(err, TS_ERR_USER,
                            "noc_traffic.load_ppm is %" PRIu64 ", more than a packet of %" PRIu64
                            " flits a cycle",
                            p->load_ppm, p->packet_flits);
    if (p->broadcast_permille > 0 && p->multicast == TS_NOC_TREE && p->packet_flits > p->depth)
        return ts_error_set(err, TS_ERR_USER,
                            "noc_traffic.packet_flits is %" PRIu64
                            ", but a packet that forks fits into a buffer (noc_traffic.depth)",
                            p->packet_flits);
    enum ts_status status = create(p, 1, &t, err);
    ts_noc_destroy(t.noc);
    return status;
}

enum ts_status ts_traffic_run(const struct ts_traffic_params *p, uint64_t seed,
                              struct ts_traffic_stats *stats, struct ts_noc_stats *noc_stats,
                              struct ts_error *err)
{
    uint32_t n = (uint32_t)p->nodes;
    uint64_t packets = p->nodes * p->source_queue * (p->broadcast_permille > 0 ? 2 * n : 1);
    struct traffic t = {.p = p, .stats = stats, .from = p->warmup_cycles};
    enum ts_status status = ts_traffic_check(p, err);

    if (status != TS_OK)
        return status;
    t.to = t.from + p->measured_cycles;
    t.source = calloc(n, sizeof(*t.source));
    t.everyone = calloc(n, sizeof(*t.everyone));
    t.routers = calloc((size_t)n * n, sizeof(*t.routers));
    if (!t.source || !t.everyone || !t.routers)
        status = ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for the traffic");
    if (status == TS_OK)
        status = create(p, (uint32_t)(packets < 1u << 22 ? packets : 1u << 22), &t, err);
    if (status == TS_OK) {
        for (uint32_t i = 0; i < n; i++) {
            ts_rng_init(&t.source[i].arrivals, seed, "noc_traffic.arrivals", i);
            ts_rng_init(&t.source[i].targets, seed, "noc_traffic.targets", i);
            t.everyone[i] = i;
            for (uint32_t dst = 0; dst < n; dst++)
                t.routers[i * n + dst] = ts_noc_routers(t.noc, i, dst);
        }
        stats->nodes = n;
        stats->window_cycles = p->measured_cycles;
        stats->node_cycles = n * p->measured_cycles;
        status = simulate(&t, noc_stats, err);
    }
    ts_noc_destroy(t.noc);
    free(t.source);
    free(t.everyone);
    free(t.routers);
    return status;
}
