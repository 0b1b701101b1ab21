/* SPDX-License-Identifier: Apache-2.0 */
/* How snoops spread: the MN sends them one after the other to all targets, or down a tree in which
 * each target passes them on. Nodes of the tree: 0 is the MN, k + 1 the k-th target; those behind
 * node n are the targets n * degree and on. */
#include "models/dvm/dvm_private.h"

uint32_t dvm_fanout_count(const struct ts_dvm *d, const struct dvm_slot *slot, uint32_t node)
{
    uint64_t degree = d->params.fanout_degree, first = node * degree;

    if (d->params.fanout == TS_DVM_SERIAL)
        return node == 0 ? slot->ntargets : 0;
    if (first >= slot->ntargets)
        return 0;
    return slot->ntargets - first < degree ? (uint32_t)(slot->ntargets - first) : (uint32_t)degree;
}

void dvm_fanout_flit(struct ts_dvm *d, struct dvm_slot *slot, uint32_t node, uint32_t src,
                     uint32_t flit)
{
    uint64_t first = d->params.fanout == TS_DVM_SERIAL ? 0 : node * d->params.fanout_degree;
    struct dvm_snoop *snoop = &slot->snoops[first + flit / 2];
    uint32_t part = flit % 2;

    d->stats.txsnp_flitv++;
    dvm_send(d, &snoop->part[part], src, d->topology->core[snoop->cpu], TS_MSG_SNOOP, 1,
             part == 0 ? dvm_rn_on_part0 : dvm_rn_on_part1);
}

static uint32_t node_of(const struct dvm_snoop *snoop)
{
    return (uint32_t)(snoop - snoop->branch->slot->snoops) + 1;
}

static void schedule_relay(struct dvm_snoop *snoop, ts_time not_before)
{
    struct ts_engine *engine = snoop->branch->mn->d->engine;
    ts_time now = ts_engine_now(engine);

    ts_engine_schedule(engine, &snoop->relay, not_before > now ? not_before : now,
                       TS_PHASE_HARDWARE);
}

/* Flits of all operations that a core passes on share its way out. */
static void on_relay(struct ts_engine *engine, struct ts_event *event)
{
    struct dvm_snoop *snoop = TS_CONTAINER_OF(event, struct dvm_snoop, relay);
    struct ts_dvm *d = snoop->branch->mn->d;
    struct dvm_rn *rn = &d->rns[snoop->cpu];
    struct dvm_slot *slot = snoop->branch->slot;
    uint32_t node = node_of(snoop);

    if (rn->next_flit > ts_engine_now(engine)) {
        schedule_relay(snoop, rn->next_flit);
        return;
    }
    dvm_fanout_flit(d, slot, node, d->topology->core[snoop->cpu], snoop->relayed);
    rn->next_flit =
        ts_clock_after(d->mesh_clock, ts_engine_now(engine), d->params.mn_service_cycles);
    if (++snoop->relayed < 2 * dvm_fanout_count(d, slot, node))
        schedule_relay(snoop, rn->next_flit);
}

void dvm_fanout_pass_on(struct dvm_snoop *snoop)
{
    struct ts_dvm *d = snoop->branch->mn->d;

    if (dvm_fanout_count(d, snoop->branch->slot, node_of(snoop)) == 0)
        return;
    snoop->relayed = 0;
    ts_event_init(&snoop->relay, on_relay);
    schedule_relay(snoop, d->rns[snoop->cpu].next_flit);
}
