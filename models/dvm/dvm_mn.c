/* SPDX-License-Identifier: Apache-2.0 */
/* The misc node: tracker with retry, distribution of snoops, collection of responses. Scheduling
 * after gem5's MN_TBETable.cc: one operation distributes at a time, target by target, both parts
 * one after the other; the oldest that may go is next. */
#include "models/dvm/dvm_private.h"

static void schedule(struct dvm_mn *mn);

static struct dvm_mn *mn_of_cpu(struct ts_dvm *d, uint32_t cpu)
{
    return &d->mns[d->topology->socket[cpu]];
}

static bool is_forwarded(const struct dvm_branch *branch)
{
    return branch->mn != branch->txn->mn;
}

/* --- tracker --- */

/* One entry is kept for Non-syncs (CHI F.b, p. 330), else Syncs that wait for them could fill the
 * tracker. */
static bool can_admit(const struct dvm_mn *mn, bool sync)
{
    uint32_t entries = (uint32_t)mn->d->params.mn_tracker;

    return mn->txns_in_use < entries && (!sync || mn->syncs_in_use < entries - 1);
}

/* Before the number of entries in use changes. */
static void account(struct dvm_mn *mn)
{
    struct ts_dvm_stats *s = &mn->d->stats;
    ts_time now = ts_engine_now(mn->d->engine), passed = now - mn->occupied_since;

    mn->occupied_since = now;
    s->trk_occupancy_all += passed * mn->txns_in_use;
    s->trk_occupancy_dvmsync += passed * mn->syncs_in_use;
    s->trk_occupancy_dvmop += passed * (mn->txns_in_use - mn->syncs_in_use);
    if (mn->txns_in_use == mn->d->params.mn_tracker)
        s->trkfull_ps += passed;
}

static void admit(struct dvm_mn *mn, struct dvm_op *op)
{
    struct dvm_txn *txn = mn->free_txns;

    account(mn);
    mn->free_txns = txn->next;
    mn->txns_in_use++;
    txn->mn = mn;
    txn->op = op;
    txn->what = op->what;
    txn->snoop = ts_dvm_snoop_of(&txn->what.payload);
    txn->cpu = op->cpu;
    txn->sync = op->sync;
    op->txn = txn;
    mn->d->stats.trk_alloc++;
    if (op->sync) {
        mn->syncs_in_use++;
        mn->d->stats.rxreq_dvmsync++;
    } else {
        mn->d->rns[op->cpu].at_mn++;
        mn->d->stats.rxreq_dvmop++;
        mn->d->stats.dvmop_tlbi +=
            !mn->d->packs || ts_dvm_unpack(&txn->what.payload).type == TS_DVM_TYPE_TLBI;
    }
}

/* Entries that have come free go to refused requests at once, oldest first, so that a later request
 * cannot overtake them. */
static void grant_credits(struct dvm_mn *mn)
{
    for (;;) {
        struct dvm_op_list *list = NULL;

        for (uint32_t sync = 0; sync < 2; sync++) {
            struct dvm_op_list *l = &mn->retried[sync];

            if (l->head && can_admit(mn, sync != 0) &&
                (!list || l->head->order < list->head->order))
                list = l;
        }
        if (!list)
            return;
        struct dvm_op *op = list->head;
        list->head = op->next;
        if (!list->head)
            list->tail = NULL;
        admit(mn, op);
        dvm_send(mn->d, &op->credit, mn->node, mn->d->topology->core[op->cpu], TS_MSG_RESPONSE, 1,
                 dvm_rn_on_credit);
    }
}

void dvm_mn_on_request(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_op *op = TS_CONTAINER_OF(msg, struct dvm_op, msg);
    struct ts_dvm *d = op->d;
    struct dvm_mn *mn = mn_of_cpu(d, op->cpu);
    uint32_t core = d->topology->core[op->cpu];
    struct dvm_op_list *list = &mn->retried[op->sync];

    (void)ic;
    if (!op->txn && !can_admit(mn, op->sync)) {
        d->stats.rxreq_retried++;
        op->order = mn->retry_order++;
        op->next = NULL;
        if (list->tail)
            list->tail->next = op;
        else
            list->head = op;
        list->tail = op;
        dvm_send(d, msg, mn->node, core, TS_MSG_RESPONSE, 1, dvm_rn_on_retry_ack);
        return;
    }
    if (!op->txn)
        admit(mn, op);
    if (d->params.early_comp && !op->sync)
        dvm_send(d, msg, mn->node, core, TS_MSG_RESPONSE, 1, dvm_rn_on_comp_dbid);
    else
        dvm_send(d, msg, mn->node, core, TS_MSG_RESPONSE, 1, dvm_rn_on_dbid);
}

static void make_ready(struct dvm_branch *branch)
{
    struct dvm_mn *mn = branch->mn;

    branch->next = NULL;
    if (mn->ready_tail)
        mn->ready_tail->next = branch;
    else
        mn->ready_head = branch;
    mn->ready_tail = branch;
    schedule(mn);
}

void dvm_mn_on_data(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_op *op = TS_CONTAINER_OF(msg, struct dvm_op, msg);
    struct dvm_txn *txn = op->txn;

    (void)ic;
    if (op->d->params.early_comp && !op->sync) {
        txn->op = NULL;
        dvm_op_free(op);
    }
    txn->branches_left = 1;
    make_ready(&txn->branches[txn->mn->socket]);
}

/* --- completion --- */

static void release_slot(struct dvm_branch *branch)
{
    struct dvm_mn *mn = branch->mn;

    branch->slot->next = mn->free_slots;
    mn->free_slots = branch->slot;
    branch->slot = NULL;
    if (!is_forwarded(branch))
        mn->own_slots_used--;
    if (branch->txn->sync)
        mn->sync_active[is_forwarded(branch)] = false;
}

static void complete(struct dvm_txn *txn)
{
    struct dvm_mn *mn = txn->mn;
    struct dvm_op *op = txn->op;

    release_slot(&txn->branches[mn->socket]);
    if (op) {
        op->txn = NULL;
        dvm_send(mn->d, &op->msg, mn->node, mn->d->topology->core[op->cpu], TS_MSG_RESPONSE, 1,
                 dvm_rn_on_comp);
    }
    account(mn);
    if (txn->sync)
        mn->syncs_in_use--;
    else
        mn->d->rns[txn->cpu].at_mn--;
    mn->txns_in_use--;
    txn->next = mn->free_txns;
    mn->free_txns = txn;
    grant_credits(mn);
    schedule(mn);
}

static void branch_done(struct dvm_txn *txn)
{
    TS_ASSERT(txn->branches_left > 0);
    if (--txn->branches_left == 0)
        complete(txn);
}

static void on_peer_answer(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_branch *branch = TS_CONTAINER_OF(msg, struct dvm_branch, msg);

    (void)ic;
    branch_done(branch->txn);
}

/* All cores of this MN's own chip have answered. */
static void local_done(struct dvm_branch *branch)
{
    struct dvm_mn *mn = branch->mn;

    if (!is_forwarded(branch)) {
        branch_done(branch->txn);
        return;
    }
    release_slot(branch);
    mn->d->stats.trk_occupancy_cxha += ts_engine_now(mn->d->engine) - branch->arrived;
    dvm_send(mn->d, &branch->msg, mn->node, branch->txn->mn->node, TS_MSG_RESPONSE, 1,
             on_peer_answer);
    schedule(mn);
}

static void count_down(struct dvm_branch *branch)
{
    TS_ASSERT(branch->left > 0);
    if (--branch->left == 0) {
        TS_ASSERT(branch->mn->distributing != branch);
        local_done(branch);
    }
}

void dvm_mn_on_response(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_snoop *snoop = TS_CONTAINER_OF(msg, struct dvm_snoop, part[0]);

    (void)ic;
    snoop->branch->mn->d->stats.snoop_responses++;
    count_down(snoop->branch);
}

void dvm_mn_on_reply(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_snoop *snoop = TS_CONTAINER_OF(msg, struct dvm_snoop, part[1]);

    (void)ic;
    snoop->branch->mn->d->stats.snoop_responses++;
    count_down(snoop->branch);
}

void dvm_mn_on_complete(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_snoop *snoop = TS_CONTAINER_OF(msg, struct dvm_snoop, part[0]);

    (void)ic;
    snoop->branch->mn->d->stats.dvm_completes++;
    count_down(snoop->branch);
}

/* --- distribution --- */

/* The cores to reach, NULL: all. */
static const struct ts_cpumask *domain_of(const struct dvm_txn *txn)
{
    const struct ts_dvm *d = txn->d;
    const struct ts_cpumask *domain;
    struct ts_dvm_fields fields;

    if (!d->params.vmid_filter)
        return NULL;
    if (txn->sync)
        return d->rns[txn->cpu].reached;
    fields = ts_dvm_unpack(&txn->what.payload);
    if (!d->packs) {
        fields.vmid_v = !txn->what.inval.any_vmid;
        fields.vmid = txn->what.inval.vmid;
    }
    domain = fields.vmid_v ? d->domains[fields.vmid] : NULL;
    return domain && domain->nbits > 0 ? domain : NULL;
}

static bool in_domain(const struct ts_cpumask *domain, uint32_t cpu)
{
    return !domain || (cpu < domain->nbits && ts_cpumask_test(domain, cpu));
}

static void on_forwarded(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_branch *branch = TS_CONTAINER_OF(msg, struct dvm_branch, msg);

    (void)ic;
    branch->arrived = ts_engine_now(branch->mn->d->engine);
    branch->mn->d->stats.trk_cxha_alloc++;
    if (branch->txn->sync)
        branch->mn->d->stats.dvmsync_cxha++;
    else
        branch->mn->d->stats.dvmop_cxha++;
    make_ready(branch);
}

static void count_filtered(const struct dvm_txn *txn)
{
    const struct ts_dvm *d = txn->d;
    const struct ts_cpumask *domain = domain_of(txn);
    uint32_t cpu = 0;

    if (txn->sync || !domain)
        return;
    while (cpu < d->topology->ncpus && (cpu == txn->cpu || in_domain(domain, cpu)))
        cpu++;
    txn->d->stats.rxreq_dvmop_vmid_filtered += cpu < d->topology->ncpus;
}

/* One message, with both halves of the payload, to each chip that has a core to reach. */
static void forward(struct dvm_txn *txn)
{
    struct ts_dvm *d = txn->d;
    const struct ts_cpumask *domain = domain_of(txn);

    for (uint32_t socket = 0; socket < d->nsockets; socket++) {
        struct dvm_mn *peer = &d->mns[socket];
        uint32_t i = 0;

        if (peer == txn->mn)
            continue;
        while (i < peer->ncpus && !in_domain(domain, peer->cpus[i]))
            i++;
        if (i == peer->ncpus) {
            if (!txn->sync)
                d->stats.vmid_filtered += peer->ncpus;
            continue;
        }
        txn->branches_left++;
        d->stats.forwarded++;
        dvm_send(d, &txn->branches[socket].msg, txn->mn->node, peer->node, TS_MSG_SNOOP, 2,
                 on_forwarded);
    }
}

/* Fixes the targets now: the domain may change while flits leave. */
static void choose_targets(struct dvm_branch *branch)
{
    struct dvm_mn *mn = branch->mn;
    struct dvm_txn *txn = branch->txn;
    struct ts_dvm *d = mn->d;
    struct dvm_rn *issuer = &d->rns[txn->cpu];
    const struct ts_cpumask *domain = domain_of(txn);
    struct dvm_slot *slot = branch->slot;

    slot->ntargets = 0;
    for (uint32_t i = 0; i < mn->ncpus; i++) {
        uint32_t cpu = mn->cpus[i];
        struct dvm_snoop *snoop;

        if (cpu == txn->cpu)
            continue;
        if (!in_domain(domain, cpu)) {
            if (!txn->sync)
                d->stats.vmid_filtered++;
            continue;
        }
        if (issuer->reached && txn->sync)
            ts_cpumask_clear(issuer->reached, cpu);
        else if (issuer->reached)
            ts_cpumask_set(issuer->reached, cpu);
        snoop = &slot->snoops[slot->ntargets++];
        snoop->branch = branch;
        snoop->cpu = cpu;
        snoop->parts_in = 0;
    }
    branch->left = slot->ntargets;
    if (txn->sync && d->params.protocol == TS_DVM_ACE)
        branch->left *= 2;
    d->stats.snooped += slot->ntargets;
    if (txn->sync)
        d->stats.snooped_sync += slot->ntargets;
}

/* A Sync goes when its core's earlier operations are complete, also where their Comp was early. */
static bool waits_for_tlbis(const struct dvm_branch *branch)
{
    const struct dvm_txn *txn = branch->txn;

    return txn->sync && !is_forwarded(branch) && txn->d->rns[txn->cpu].at_mn != 0;
}

static bool has_room(const struct dvm_branch *branch)
{
    const struct dvm_mn *mn = branch->mn;
    uint32_t own_limit =
        (uint32_t)mn->d->params.mn_snoops - (mn->d->nsockets > 1 ? UINT32_C(1) : UINT32_C(0));

    return mn->free_slots && (is_forwarded(branch) || mn->own_slots_used < own_limit);
}

static bool may_start(const struct dvm_branch *branch)
{
    bool other_sync = branch->txn->sync && branch->mn->sync_active[is_forwarded(branch)];

    return has_room(branch) && !other_sync && !waits_for_tlbis(branch);
}

/* Of what is ready and has not been started. */
static void note_stalls(struct dvm_mn *mn)
{
    for (const struct dvm_branch *b = mn->ready_head; b; b = b->next) {
        mn->stalled_limit = mn->stalled_limit || (!mn->distributing && !has_room(b));
        mn->stalled_sync = mn->stalled_sync || waits_for_tlbis(b);
    }
}

/* Before anything about the MN changes. */
static void account_stalls(struct dvm_mn *mn)
{
    ts_time now = ts_engine_now(mn->d->engine);

    mn->d->stats.txsnp_stall_limit += mn->stalled_limit ? now - mn->stalled_since : 0;
    mn->d->stats.txsnp_sync_stall_op += mn->stalled_sync ? now - mn->stalled_since : 0;
    mn->stalled_since = now;
    mn->stalled_limit = mn->stalled_sync = false;
}

static struct dvm_branch *take_ready(struct dvm_mn *mn)
{
    struct dvm_branch *prev = NULL;

    for (struct dvm_branch *b = mn->ready_head; b; prev = b, b = b->next) {
        if (!may_start(b))
            continue;
        if (prev)
            prev->next = b->next;
        else
            mn->ready_head = b->next;
        if (mn->ready_tail == b)
            mn->ready_tail = prev;
        return b;
    }
    return NULL;
}

static void start(struct dvm_branch *branch)
{
    struct dvm_mn *mn = branch->mn;
    ts_time now = ts_engine_now(mn->d->engine);

    branch->slot = mn->free_slots;
    mn->free_slots = branch->slot->next;
    if (branch->txn->sync)
        mn->sync_active[is_forwarded(branch)] = true;
    if (!is_forwarded(branch)) {
        mn->own_slots_used++;
        count_filtered(branch->txn);
        forward(branch->txn);
    }
    choose_targets(branch);
    if (branch->slot->ntargets == 0) {
        local_done(branch);
        return;
    }
    mn->distributing = branch;
    mn->flits_sent = 0;
    ts_engine_schedule(mn->d->engine, &mn->event, mn->next_flit > now ? mn->next_flit : now,
                       TS_PHASE_HARDWARE);
}

/* Starts what can start. An operation without targets is done within start, and comes back here
 * for the next one. */
static void schedule(struct dvm_mn *mn)
{
    struct dvm_branch *branch = NULL;

    account_stalls(mn);
    if (!mn->distributing && mn->free_slots)
        branch = take_ready(mn);
    if (branch)
        start(branch);
    note_stalls(mn);
}

static void on_flit(struct ts_engine *engine, struct ts_event *event)
{
    struct dvm_mn *mn = TS_CONTAINER_OF(event, struct dvm_mn, event);
    struct ts_dvm *d = mn->d;
    struct dvm_branch *branch = mn->distributing;

    dvm_fanout_flit(d, branch->slot, 0, mn->node, mn->flits_sent);
    mn->next_flit =
        ts_clock_after(d->mesh_clock, ts_engine_now(engine), d->params.mn_service_cycles);
    if (++mn->flits_sent < 2 * dvm_fanout_count(d, branch->slot, 0)) {
        ts_engine_schedule(engine, event, mn->next_flit, TS_PHASE_HARDWARE);
        return;
    }
    mn->distributing = NULL;
    schedule(mn);
}

void dvm_mn_init(struct dvm_mn *mn, struct ts_dvm *d, uint32_t socket)
{
    uint32_t per_mn = (uint32_t)d->params.mn_tracker, slots = (uint32_t)d->params.mn_snoops;
    uint32_t ncpus = d->topology->ncpus / d->nsockets;

    mn->d = d;
    mn->socket = socket;
    mn->node = ts_interconnect_gateway(d->ic, socket);
    mn->cpus = d->mn_cpus + (size_t)socket * ncpus;
    for (uint32_t cpu = 0; cpu < d->topology->ncpus; cpu++)
        if (d->topology->socket[cpu] == socket)
            mn->cpus[mn->ncpus++] = cpu;
    ts_event_init(&mn->event, on_flit);
    for (uint32_t i = per_mn; i > 0; i--) {
        size_t index = (size_t)socket * per_mn + i - 1;
        struct dvm_txn *txn = &d->txns[index];

        txn->d = d;
        txn->branches = d->branches + index * d->nsockets;
        for (uint32_t s = 0; s < d->nsockets; s++) {
            txn->branches[s].txn = txn;
            txn->branches[s].mn = &d->mns[s];
        }
        txn->next = mn->free_txns;
        mn->free_txns = txn;
    }
    for (uint32_t i = slots; i > 0; i--) {
        size_t index = (size_t)socket * slots + i - 1;
        struct dvm_slot *slot = &d->slots[index];

        slot->snoops = d->snoops + index * ncpus;
        slot->next = mn->free_slots;
        mn->free_slots = slot;
    }
}
