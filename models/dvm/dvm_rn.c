/* SPDX-License-Identifier: Apache-2.0 */
/* The snooped core: takes operations in, applies them in order, answers. */
#include "models/dvm/dvm_private.h"

/* Of the ASIDs and VMIDs of all cores here. */
#define ID_BITS 16u

static struct dvm_held *held_at(struct dvm_rn *rn, uint32_t i)
{
    return &rn->ring[(rn->head + i) % rn->d->ring_size];
}

static void pop(struct dvm_rn *rn)
{
    rn->head = (rn->head + 1) % rn->d->ring_size;
    rn->count--;
}

static void on_answer(struct ts_engine *engine, struct ts_event *event)
{
    struct dvm_snoop *snoop = TS_CONTAINER_OF(event, struct dvm_snoop, event);
    struct dvm_mn *mn = snoop->branch->mn;

    bool complete = snoop->branch->txn->sync && mn->d->params.protocol == TS_DVM_ACE;

    (void)engine;
    dvm_send(mn->d, &snoop->part[0], mn->d->topology->core[snoop->cpu], mn->node,
             complete ? TS_MSG_REQUEST : TS_MSG_RESPONSE, 1,
             complete ? dvm_mn_on_complete : dvm_mn_on_response);
}

/* ACE: the answer to a Sync says that it has come, and no more. */
static void on_reply(struct ts_engine *engine, struct ts_event *event)
{
    struct dvm_snoop *snoop = TS_CONTAINER_OF(event, struct dvm_snoop, reply);
    struct dvm_mn *mn = snoop->branch->mn;

    (void)engine;
    dvm_send(mn->d, &snoop->part[1], mn->d->topology->core[snoop->cpu], mn->node, TS_MSG_RESPONSE,
             1, dvm_mn_on_reply);
}

/* The response leaves forward_cycles after `from`. */
static void answer(struct dvm_rn *rn, struct dvm_held *held, ts_time from)
{
    struct ts_dvm *d = rn->d;

    held->snoop->event.fn = on_answer;
    ts_engine_schedule(d->engine, &held->snoop->event,
                       ts_clock_after(d->mesh_clock, from, d->params.forward_cycles),
                       TS_PHASE_HARDWARE);
    held->snoop = NULL;
}

/* A Non-sync is answered when it is among the first rn_queue held: the response says that the core
 * can take another, not that the invalidation is done (CHI F.b, B8.2). */
static void answer_accepted(struct dvm_rn *rn)
{
    uint32_t n = rn->count < rn->d->params.rn_queue ? rn->count : (uint32_t)rn->d->params.rn_queue;

    for (uint32_t i = 0; i < n; i++) {
        struct dvm_held *held = held_at(rn, i);

        if (held->snoop && !held->sync)
            answer(rn, held, ts_engine_now(rn->d->engine));
    }
}

/* The entries go now; the TLB takes its time after what it is busy with. */
static void apply(struct dvm_rn *rn, const struct ts_tlb_inval *inval)
{
    struct ts_dvm *d = rn->d;
    ts_time now = ts_engine_now(d->engine), from = rn->busy_until > now ? rn->busy_until : now;
    uint64_t cycles = d->apply(d->user, rn->cpu, inval);
    ts_time until = cycles > 0 ? ts_clock_after(&d->core_clock, now, cycles) : now;

    rn->busy_until = until > from ? until : from;
    d->stats.applied++;
    d->stats.sweep_ps += rn->busy_until - from;
}

/* Works on the queue until the TLB is busy or nothing is left. */
static void work(struct dvm_rn *rn)
{
    struct ts_dvm *d = rn->d;
    ts_time now = ts_engine_now(d->engine);

    while (rn->count > 0) {
        struct dvm_held *held = held_at(rn, 0);

        if (now < rn->busy_until) {
            if (!ts_event_pending(&rn->event))
                ts_engine_schedule(d->engine, &rn->event, rn->busy_until, TS_PHASE_HARDWARE);
            return;
        }
        if (rn->applying) {
            rn->applying = false;
            pop(rn);
            answer_accepted(rn);
        } else if (held->sync) {
            ts_time drained = held->arrived + d->params.sync_drain_ps;

            /* Later operations need not wait for the loads that the Sync waits for. */
            answer(rn, held, drained > now ? drained : now);
            pop(rn);
            answer_accepted(rn);
        } else {
            rn->applying = true;
            apply(rn, &held->inval);
        }
    }
}

static void on_idle(struct ts_engine *engine, struct ts_event *event)
{
    (void)engine;
    work(TS_CONTAINER_OF(event, struct dvm_rn, event));
}

/* Out of the two parts. */
static void take_in(struct dvm_held *held, const struct dvm_txn *txn)
{
    struct ts_dvm_payload payload;
    struct ts_dvm_fields fields;

    if (!txn->d->packs) {
        held->sync = txn->sync;
        held->inval = txn->what.inval;
        return;
    }
    payload = ts_dvm_payload_of(&txn->snoop);
    fields = ts_dvm_unpack(&payload);
    held->sync = fields.type == TS_DVM_TYPE_SYNC;
    if (!held->sync)
        held->inval = ts_dvm_decode(&fields, ID_BITS, ID_BITS);
}

static void take_part(struct dvm_snoop *snoop)
{
    struct ts_dvm *d = snoop->branch->mn->d;
    struct dvm_rn *rn = &d->rns[snoop->cpu];
    struct dvm_held *held;

    if (++snoop->parts_in < 2)
        return;
    TS_ASSERT(rn->count < d->ring_size);
    held = held_at(rn, rn->count++);
    take_in(held, snoop->branch->txn);
    held->snoop = snoop;
    held->arrived = ts_engine_now(d->engine);
    dvm_fanout_pass_on(snoop);
    if (held->sync && d->params.protocol == TS_DVM_ACE) {
        ts_event_init(&snoop->reply, on_reply);
        ts_engine_schedule(d->engine, &snoop->reply,
                           ts_clock_after(d->mesh_clock, held->arrived, d->params.forward_cycles),
                           TS_PHASE_HARDWARE);
    }
    answer_accepted(rn);
    work(rn);
}

void dvm_rn_on_part0(struct ts_interconnect *ic, struct ts_msg *msg)
{
    (void)ic;
    take_part(TS_CONTAINER_OF(msg, struct dvm_snoop, part[0]));
}

void dvm_rn_on_part1(struct ts_interconnect *ic, struct ts_msg *msg)
{
    (void)ic;
    take_part(TS_CONTAINER_OF(msg, struct dvm_snoop, part[1]));
}

void dvm_rn_apply_own(struct dvm_rn *rn, const struct ts_tlb_inval *inval)
{
    apply(rn, inval);
    rn->own_until = rn->busy_until;
}

void dvm_rn_init(struct dvm_rn *rn, struct ts_dvm *d, uint32_t cpu)
{
    rn->d = d;
    rn->cpu = cpu;
    rn->ring = d->held + (size_t)cpu * d->ring_size;
    rn->reached = d->reached ? &d->reached[cpu] : NULL;
    if (rn->reached)
        ts_cpumask_init(rn->reached, d->topology->ncpus);
    ts_event_init(&rn->event, on_idle);
}
