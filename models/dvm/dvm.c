/* SPDX-License-Identifier: Apache-2.0 */
/* The requester's side, construction and the tables. */
#include "models/dvm/dvm_private.h"

#include <inttypes.h>
#include <stdlib.h>

#define VMIDS 65536u

static const char *const fanout_names[] = {"serial", "tree", NULL};
static const char *const protocol_names[] = {"chi", "ace", NULL};

#define ROW(field) offsetof(struct ts_dvm_params, field)
static const struct ts_param rows[] = {
    {"mn_tracker", TS_PARAM_COUNT, ROW(mn_tracker), 16, 2, 256, NULL,
     "operations in flight at an MN, one of them kept for TLBIs; more are retried",
     "gem5 configs/ruby/CHI_config.py: 16 MN entries, 1 reserved for Non-sync", TS_CONF_VERBATIM},
    {"mn_service_cycles", TS_PARAM_CYCLES, ROW(mn_service_cycles), 1, 1, 1000, NULL,
     "mesh cycles between two snoop flits leaving the MN",
     "gem5 MN_TBETable.cc: targets in sequence, both parts 1 cycle apart", TS_CONF_VERBATIM},
    {"rn_tracker", TS_PARAM_COUNT, ROW(rn_tracker), 16, 1, 256, NULL,
     "outstanding TLBIs of one core; one more stalls", "gem5 configs/ruby/CHI_config.py",
     TS_CONF_VERBATIM},
    {"rn_queue", TS_PARAM_COUNT, ROW(rn_queue), 4, 1, 256, NULL,
     "snooped operations a core may hold before it stops answering",
     "gem5 configs/ruby/CHI_config.py: 4 DVM snoop entries", TS_CONF_VERBATIM},
    {"forward_cycles", TS_PARAM_CYCLES, ROW(forward_cycles), 6, 0, 1000, NULL,
     "mesh cycles from snoop to response at a core", "gem5 CHI-cache.sm, Non-sync latency",
     TS_CONF_VERBATIM},
    {"early_comp", TS_PARAM_BOOL, ROW(early_comp), 0, 0, 1, NULL,
     "the MN completes a TLBI before its snoops are answered; it then orders Syncs behind it",
     "gem5 configs/ruby/CHI_config.py: early_nonsync_comp=False", TS_CONF_VERBATIM},
    {"vmid_filter", TS_PARAM_BOOL, ROW(vmid_filter), 0, 0, 1, NULL,
     "the MN snoops only the cores that the hypervisor names for the VM; off is assumed, as only "
     "one known part has it",
     "Kunpeng HIP09 DVMBM: openEuler arch/arm64/kvm/hisilicon/hisi_virt.c", TS_CONF_CHOICE},
    {"mn_snoops", TS_PARAM_COUNT, ROW(mn_snoops), 4, 2, 64, NULL,
     "operations an MN distributes or awaits responses for at a time",
     "CCN-502 TRM: at most 4 SnpDVMOp to one core; gem5 MN_TBETable.cc", TS_CONF_VERBATIM},
    {"fanout", TS_PARAM_ENUM, ROW(fanout), TS_DVM_SERIAL, 0, TS_DVM_TREE, fanout_names,
     "how snoops spread: the MN sends to target after target, or down a tree of them",
     "gem5 MN_TBETable.cc: targets in sequence", TS_CONF_VERBATIM},
    {"fanout_degree", TS_PARAM_COUNT, ROW(fanout_degree), 4, 2, 64, NULL,
     "targets behind each node of a tree", "nothing published", TS_CONF_GUESS},
    {"protocol", TS_PARAM_ENUM, ROW(protocol), TS_DVM_CHI, 0, TS_DVM_ACE, protocol_names,
     "what a core does with a Sync: chi: answers when all is done there; ace: answers at once, and "
     "sends DVM Complete when all is done",
     "CHI issue F.b, B8.2; that of ACE is remembered", TS_CONF_REMEMBERED},
    {"invlpgb", TS_PARAM_BOOL, ROW(invlpgb), 0, 0, 1, NULL,
     "x86: the CPUs have INVLPGB and TLBSYNC, whose messages are assumed to travel as those of "
     "TLBI and DSB do; AMD publishes nothing of them",
     "AMD APM vol. 3, INVLPGB, TLBSYNC: Zen 3 and later", TS_CONF_GUESS},
    {"sync_drain_ps", TS_PARAM_TIME, ROW(sync_drain_ps), 100 * TS_NS, 0, 100 * TS_US, NULL,
     "a core answers a Sync no sooner than this after it, until its loads under old translations "
     "have ended; sets the ceiling of many initiators' throughput and is a guess: sweep it",
     "a Sync takes about 100 ns more than a TLBI (planning values of 350 and 250 ns at 64 cores)",
     TS_CONF_GUESS},
};
#undef ROW

const struct ts_param_table ts_dvm_param_table = {"dvm", rows, TS_ARRAY_LEN(rows)};

#define STAT(field) offsetof(struct ts_dvm_stats, field)
static const struct ts_stat stat_rows[] = {
    {"issued", TS_STAT_COUNTER, STAT(issued), "1", "broadcast TLBIs issued"},
    {"syncs", TS_STAT_COUNTER, STAT(syncs), "1", "DSBs that needed a Sync"},
    {"completed", TS_STAT_COUNTER, STAT(completed), "1", "TLBIs and Syncs that got their Comp"},
    {"local", TS_STAT_COUNTER, STAT(local), "1",
     "local TLBIs: of the issuer's own TLB, no message"},
    {"dsb_local", TS_STAT_COUNTER, STAT(dsb_local), "1",
     "DSBs that waited for the issuer's own TLB and for no Sync"},
    {"dsb_local_ps", TS_STAT_TIME_PS, STAT(dsb_local_ps), "ps", "what these waited"},
    {"rxreq_dvmop", TS_STAT_COUNTER, STAT(rxreq_dvmop), "1",
     "TLBIs accepted by the MN of the issuer"},
    {"rxreq_dvmsync", TS_STAT_COUNTER, STAT(rxreq_dvmsync), "1",
     "Syncs accepted by the MN of the issuer"},
    {"dvmop_tlbi", TS_STAT_COUNTER, STAT(dvmop_tlbi), "1", "of the accepted DVMOps, TLBIs: all"},
    {"rxreq_dvmop_vmid_filtered", TS_STAT_COUNTER, STAT(rxreq_dvmop_vmid_filtered), "1",
     "TLBIs that did not go to every core because of their VMID"},
    {"trk_alloc", TS_STAT_COUNTER, STAT(trk_alloc), "1", "tracker entries taken by requests"},
    {"trk_cxha_alloc", TS_STAT_COUNTER, STAT(trk_cxha_alloc), "1",
     "entries taken for operations from other chips"},
    {"trk_occupancy_cxha", TS_STAT_TIME_PS, STAT(trk_occupancy_cxha), "ps",
     "entries for operations from other chips in use, over time"},
    {"txsnp_stall_limit", TS_STAT_TIME_PS, STAT(txsnp_stall_limit), "ps",
     "an MN had something to distribute, and as many operations under way as it may have"},
    {"txsnp_sync_stall_op", TS_STAT_TIME_PS, STAT(txsnp_sync_stall_op), "ps",
     "a Sync waited at an MN for TLBIs of its core"},
    {"rxreq_retried", TS_STAT_COUNTER, STAT(rxreq_retried), "1",
     "requests refused because the tracker was full"},
    {"forwarded", TS_STAT_COUNTER, STAT(forwarded), "1",
     "operations sent to the MNs of other chips"},
    {"dvmop_cxha", TS_STAT_COUNTER, STAT(dvmop_cxha), "1", "TLBIs taken from MNs of other chips"},
    {"dvmsync_cxha", TS_STAT_COUNTER, STAT(dvmsync_cxha), "1",
     "Syncs taken from MNs of other chips"},
    {"trk_occupancy_all", TS_STAT_TIME_PS, STAT(trk_occupancy_all), "ps",
     "tracker entries in use, over time"},
    {"trk_occupancy_dvmop", TS_STAT_TIME_PS, STAT(trk_occupancy_dvmop), "ps", "of these, by TLBIs"},
    {"trk_occupancy_dvmsync", TS_STAT_TIME_PS, STAT(trk_occupancy_dvmsync), "ps",
     "of these, by Syncs"},
    {"trkfull_ps", TS_STAT_TIME_PS, STAT(trkfull_ps), "ps", "a tracker had no free entry"},
    {"dvm_completes", TS_STAT_COUNTER, STAT(dvm_completes), "1",
     "DVM Complete messages of snooped cores (ACE)"},
    {"txsnp_flitv", TS_STAT_COUNTER, STAT(txsnp_flitv), "flits", "snoop flits sent"},
    {"vmid_filtered", TS_STAT_COUNTER, STAT(vmid_filtered), "1",
     "cores not snooped by a TLBI because of its VMID"},
    {"snoop_responses", TS_STAT_COUNTER, STAT(snoop_responses), "1", "snoop responses received"},
    {"snooped", TS_STAT_COUNTER, STAT(snooped), "1", "cores snooped, once per TLBI or Sync"},
    {"snooped_sync", TS_STAT_COUNTER, STAT(snooped_sync), "1", "of these, by a Sync"},
    {"applied", TS_STAT_COUNTER, STAT(applied), "1",
     "operations applied to a TLB, the issuer's own and local ones included"},
    {"sweep_ps", TS_STAT_TIME_PS, STAT(sweep_ps), "ps", "time TLBs were busy with them"},
    {"op_ps", TS_STAT_HIST, STAT(op_ps), "ps", "TLBI issue to Comp"},
    {"sync_ps", TS_STAT_HIST, STAT(sync_ps), "ps", "DSB start to end, where it had to wait"},
};
#undef STAT
static const struct ts_stat_rule stat_rules[] = {
    {"every TLBI is accepted once", {"+issued", "-rxreq_dvmop", NULL}},
    {"every Sync is accepted once", {"+syncs", "-rxreq_dvmsync", NULL}},
    {"every operation completes", {"+issued", "+syncs", "-completed", NULL}},
    {"every snooped core answers once", {"+snooped", "-snoop_responses", NULL}},
    {"a DVMOp is a TLBI", {"+rxreq_dvmop", "-dvmop_tlbi", NULL}},
    {"a request takes one entry", {"+trk_alloc", "-rxreq_dvmop", "-rxreq_dvmsync", NULL}},
    {"an operation of another chip takes one entry",
     {"+trk_cxha_alloc", "-dvmop_cxha", "-dvmsync_cxha", NULL}},
    {"what is forwarded is taken", {"+forwarded", "-dvmop_cxha", "-dvmsync_cxha", NULL}},
    {"an entry is of a TLBI or of a Sync",
     {"+trk_occupancy_all", "-trk_occupancy_dvmop", "-trk_occupancy_dvmsync", NULL}},
    {"a snoop has two parts", {"+txsnp_flitv", "-snooped", "-snooped", NULL}},
    {"every TLBI is applied by its issuer and by each core that it snooped",
     {"+applied", "+snooped_sync", "-issued", "-local", "-snooped", NULL}},
};
const struct ts_stat_table ts_dvm_stat_table = {"dvm", stat_rows, TS_ARRAY_LEN(stat_rows),
                                                stat_rules, TS_ARRAY_LEN(stat_rules)};

void dvm_send(struct ts_dvm *d, struct ts_msg *msg, uint32_t src, uint32_t dst,
              enum ts_msg_class klass, uint32_t flits, ts_msg_fn *deliver)
{
    msg->src = src;
    msg->dst = dst;
    msg->klass = klass;
    msg->flits = flits;
    msg->deliver = deliver;
    ts_interconnect_send(d->ic, msg);
}

static struct dvm_op *op_take(struct ts_dvm *d, uint32_t cpu, bool sync)
{
    struct dvm_op *op = d->free_ops;

    TS_ASSERT(op != NULL);
    d->free_ops = op->next;
    op->txn = NULL;
    op->cpu = cpu;
    op->sync = sync;
    op->issued = ts_engine_now(d->engine);
    return op;
}

void dvm_op_free(struct dvm_op *op)
{
    op->next = op->d->free_ops;
    op->d->free_ops = op;
}

static void send_to_mn(struct dvm_op *op, enum ts_msg_class klass, ts_msg_fn *deliver)
{
    struct ts_dvm *d = op->d;
    uint32_t node = d->mns[d->topology->socket[op->cpu]].node;

    dvm_send(d, &op->msg, d->topology->core[op->cpu], node, klass, 1, deliver);
}

void dvm_rn_on_retry_ack(struct ts_interconnect *ic, struct ts_msg *msg)
{
    /* The request waits for its credit, which cannot overtake this message. */
    (void)ic;
    (void)msg;
}

void dvm_rn_on_credit(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_op *op = TS_CONTAINER_OF(msg, struct dvm_op, credit);

    (void)ic;
    send_to_mn(op, TS_MSG_REQUEST, dvm_mn_on_request);
}

void dvm_rn_on_dbid(struct ts_interconnect *ic, struct ts_msg *msg)
{
    (void)ic;
    send_to_mn(TS_CONTAINER_OF(msg, struct dvm_op, msg), TS_MSG_DATA, dvm_mn_on_data);
}

/* What no instruction says ends the run. */
static struct dvm_what say(struct ts_dvm *d, const struct ts_tlb_inval *inval)
{
    struct dvm_what what = {.inval = *inval};
    struct ts_dvm_fields fields;
    struct ts_error err = {0};

    if (!d->packs)
        return what;
    if (ts_dvm_encode(inval, TS_DVM_V8_4, &fields, &err) != TS_OK) {
        struct ts_tlb_inval all = ts_inval_tlbi_alle1();

        ts_engine_fail(d->engine, err.status, "dvm: %s", err.message);
        (void)ts_dvm_encode(&all, TS_DVM_V8_4, &fields, &err);
    }
    what.payload = ts_dvm_pack(&fields);
    return what;
}

static void send_sync(struct dvm_rn *rn)
{
    struct ts_dvm *d = rn->d;
    struct dvm_op *op = op_take(d, rn->cpu, true);
    struct ts_dvm_fields fields = ts_dvm_sync_fields();

    rn->sync_due = false;
    rn->sync_sent = true;
    rn->unsynced = false;
    op->what.payload = ts_dvm_pack(&fields);
    d->stats.syncs++;
    send_to_mn(op, TS_MSG_REQUEST, dvm_mn_on_request);
}

static void dsb_end(struct dvm_rn *rn)
{
    struct ts_dvm *d = rn->d;
    ts_time took = ts_engine_now(d->engine) - rn->dsb_start;

    rn->dsb = false;
    if (rn->sync_sent)
        ts_hist_add(&d->stats.sync_ps, took);
    else
        d->stats.dsb_local_ps += took;
    rn->dsb_done(rn->dsb_user, rn->cpu);
}

static void on_dsb_own_done(struct ts_engine *engine, struct ts_event *event)
{
    (void)engine;
    dsb_end(TS_CONTAINER_OF(event, struct dvm_rn, dsb_event));
}

static void tlbi_completed(struct dvm_rn *rn, ts_time issued)
{
    struct ts_dvm *d = rn->d;
    ts_dvm_done_fn *room_done = rn->room_done;

    d->stats.completed++;
    ts_hist_add(&d->stats.op_ps, ts_engine_now(d->engine) - issued);
    TS_ASSERT(rn->outstanding > 0);
    if (--rn->outstanding == 0 && rn->sync_due)
        send_sync(rn);
    if (room_done) {
        rn->room_done = NULL;
        room_done(rn->room_user, rn->cpu);
    }
}

void dvm_rn_on_comp_dbid(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_op *op = TS_CONTAINER_OF(msg, struct dvm_op, msg);
    struct dvm_rn *rn = &op->d->rns[op->cpu];

    (void)ic;
    /* op is the MN's from here: it goes when the data arrives there, before which no request that
     * this core sends later can arrive. */
    send_to_mn(op, TS_MSG_DATA, dvm_mn_on_data);
    tlbi_completed(rn, op->issued);
}

void dvm_rn_on_comp(struct ts_interconnect *ic, struct ts_msg *msg)
{
    struct dvm_op *op = TS_CONTAINER_OF(msg, struct dvm_op, msg);
    struct ts_dvm *d = op->d;
    struct dvm_rn *rn = &d->rns[op->cpu];
    ts_time issued = op->issued;

    (void)ic;
    dvm_op_free(op);
    if (!op->sync) {
        tlbi_completed(rn, issued);
        return;
    }
    d->stats.completed++;
    /* The issuer's own TLB may still be busy with its operations. */
    if (rn->own_until > ts_engine_now(d->engine))
        ts_engine_schedule(d->engine, &rn->dsb_event, rn->own_until, TS_PHASE_HARDWARE);
    else
        dsb_end(rn);
}

bool ts_dvm_can_issue(struct ts_dvm *d, uint32_t cpu, ts_dvm_done_fn *done, void *user)
{
    struct dvm_rn *rn = &d->rns[cpu];

    TS_ASSERT(cpu < d->topology->ncpus);
    if (rn->outstanding < d->params.rn_tracker)
        return true;
    TS_ASSERT(!rn->room_done);
    rn->room_done = done;
    rn->room_user = user;
    return false;
}

void ts_dvm_issue(struct ts_dvm *d, uint32_t cpu, const struct ts_tlb_inval *inval)
{
    struct dvm_rn *rn = &d->rns[cpu];
    struct dvm_op *op;

    TS_ASSERT(cpu < d->topology->ncpus && rn->outstanding < d->params.rn_tracker);
    op = op_take(d, cpu, false);
    op->what = say(d, inval);
    rn->outstanding++;
    rn->unsynced = true;
    d->stats.issued++;
    dvm_rn_apply_own(rn, inval);
    send_to_mn(op, TS_MSG_REQUEST, dvm_mn_on_request);
}

void ts_dvm_issue_local(struct ts_dvm *d, uint32_t cpu, const struct ts_tlb_inval *inval)
{
    TS_ASSERT(cpu < d->topology->ncpus);
    d->stats.local++;
    dvm_rn_apply_own(&d->rns[cpu], inval);
}

static void dsb_begin(struct dvm_rn *rn, ts_dvm_done_fn *done, void *user)
{
    TS_ASSERT(!rn->dsb);
    rn->dsb = true;
    rn->sync_sent = false;
    rn->dsb_start = ts_engine_now(rn->d->engine);
    rn->dsb_done = done;
    rn->dsb_user = user;
}

/* As ts_dvm_dsb_nsh. */
static bool own_tlb_done(struct dvm_rn *rn, ts_dvm_done_fn *done, void *user)
{
    struct ts_dvm *d = rn->d;

    if (rn->own_until <= ts_engine_now(d->engine))
        return true;
    dsb_begin(rn, done, user);
    d->stats.dsb_local++;
    ts_engine_schedule(d->engine, &rn->dsb_event, rn->own_until, TS_PHASE_HARDWARE);
    return false;
}

bool ts_dvm_dsb_nsh(struct ts_dvm *d, uint32_t cpu, ts_dvm_done_fn *done, void *user)
{
    TS_ASSERT(cpu < d->topology->ncpus && !d->rns[cpu].dsb);
    return own_tlb_done(&d->rns[cpu], done, user);
}

bool ts_dvm_dsb(struct ts_dvm *d, uint32_t cpu, ts_dvm_done_fn *done, void *user)
{
    struct dvm_rn *rn = &d->rns[cpu];

    TS_ASSERT(cpu < d->topology->ncpus && !rn->dsb);
    if (!rn->unsynced)
        return own_tlb_done(rn, done, user);
    dsb_begin(rn, done, user);
    rn->sync_due = true;
    if (rn->outstanding == 0)
        send_sync(rn);
    return false;
}

void ts_dvm_set_domain(struct ts_dvm *d, uint16_t vmid, const struct ts_cpumask *cores)
{
    struct ts_cpumask *domain;

    if (!d->params.vmid_filter)
        return;
    domain = d->domains[vmid];
    if (cores) {
        if (!domain) {
            d->domains[vmid] = domain = malloc(sizeof(*domain));
            if (vmid >= d->domains_end)
                d->domains_end = vmid + 1u;
        }
        if (domain)
            ts_cpumask_copy(domain, cores);
        else
            ts_engine_fail(d->engine, TS_ERR_ENVIRONMENT,
                           "dvm: out of memory for the domain of VMID %u", vmid);
    } else if (domain) {
        domain->nbits = 0;
    }
}

const struct ts_dvm_stats *ts_dvm_stats(const struct ts_dvm *d)
{
    return &d->stats;
}

/* A core has rn_tracker TLBIs and a Sync under way, and with early completion as many whose data is
 * still on its way to the MN: their place at the core is free, their message is not. */
static size_t ops_wanted(const struct ts_dvm_params *params, size_t ncpus)
{
    return ncpus * 2 * (params->rn_tracker + 1);
}

static size_t events_wanted(const struct ts_dvm_params *params,
                            const struct ts_topology_params *topology)
{
    size_t sockets = topology->sockets;
    size_t ncpus = sockets * topology->cores_per_socket * topology->threads_per_core;

    return 2 * ops_wanted(params, ncpus) + sockets * params->mn_tracker * sockets + sockets +
           4 * params->mn_snoops * ncpus + 2 * ncpus;
}

enum ts_status ts_dvm_check(const struct ts_dvm_params *params,
                            const struct ts_topology_params *topology, struct ts_error *err)
{
    if (ts_param_check(&ts_dvm_param_table, params, err) != TS_OK)
        return err->status;
    if (events_wanted(params, topology) > UINT32_MAX)
        return ts_error_set(err, TS_ERR_USER,
                            "dvm.rn_tracker, dvm.mn_tracker, dvm.mn_snoops: too many operations "
                            "under way on %" PRIu64 " sockets",
                            topology->sockets);
    return TS_OK;
}

static bool allocate(struct ts_dvm *d)
{
    size_t ncpus = d->topology->ncpus, sockets = d->nsockets;
    size_t txns = sockets * d->params.mn_tracker, slots = sockets * d->params.mn_snoops;
    bool filter = d->params.vmid_filter != 0;

    d->mns = calloc(sockets, sizeof(*d->mns));
    d->rns = calloc(ncpus, sizeof(*d->rns));
    d->ops = calloc(ops_wanted(&d->params, d->topology->ncpus), sizeof(*d->ops));
    d->txns = calloc(txns, sizeof(*d->txns));
    d->branches = calloc(txns * sockets, sizeof(*d->branches));
    d->slots = calloc(slots, sizeof(*d->slots));
    d->snoops = calloc(slots * (ncpus / sockets), sizeof(*d->snoops));
    d->held = calloc(ncpus * d->ring_size, sizeof(*d->held));
    d->mn_cpus = calloc(ncpus, sizeof(*d->mn_cpus));
    if (filter) {
        d->reached = calloc(ncpus, sizeof(*d->reached));
        d->domains = calloc(VMIDS, sizeof(struct ts_cpumask *));
    }
    return d->mns && d->rns && d->ops && d->txns && d->branches && d->slots && d->snoops &&
           d->held && d->mn_cpus && (!filter || (d->reached && d->domains));
}

enum ts_status ts_dvm_create(struct ts_dvm **out, struct ts_engine *engine,
                             const struct ts_topology *topology, struct ts_interconnect *ic,
                             const struct ts_dvm_params *params, ts_dvm_apply_fn *apply, void *user,
                             struct ts_error *err)
{
    enum ts_status status = ts_dvm_check(params, &topology->params, err);
    struct ts_dvm *d;

    if (status != TS_OK)
        return status;
    d = calloc(1, sizeof(*d));
    if (!d)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "dvm: out of memory");
    d->engine = engine;
    d->topology = topology;
    d->ic = ic;
    d->params = *params;
    d->apply = apply;
    d->user = user;
    d->packs = topology->params.arch == TS_ARCH_ARM64;
    d->nsockets = (uint32_t)topology->params.sockets;
    /* Answered operations are among the first rn_queue; unanswered ones each hold a slot of the
     * core's MN. */
    d->ring_size = (uint32_t)(params->rn_queue + params->mn_snoops);
    ts_clock_init(&d->core_clock, topology->params.core_hz);
    d->mesh_clock = ts_interconnect_clock(ic);
    ts_hist_init(&d->stats.op_ps);
    ts_hist_init(&d->stats.sync_ps);
    status = ts_engine_reserve(d->engine, (uint32_t)events_wanted(params, &topology->params), err);
    if (status == TS_OK && !allocate(d))
        status = ts_error_set(err, TS_ERR_ENVIRONMENT, "dvm: out of memory for %u CPUs",
                              topology->ncpus);
    if (status != TS_OK) {
        ts_dvm_destroy(d);
        return status;
    }
    for (size_t i = ops_wanted(&d->params, d->topology->ncpus); i > 0; i--) {
        d->ops[i - 1].d = d;
        dvm_op_free(&d->ops[i - 1]);
    }
    for (uint32_t cpu = 0; cpu < topology->ncpus; cpu++) {
        dvm_rn_init(&d->rns[cpu], d, cpu);
        ts_event_init(&d->rns[cpu].dsb_event, on_dsb_own_done);
    }
    for (uint32_t socket = 0; socket < d->nsockets; socket++)
        dvm_mn_init(&d->mns[socket], d, socket);
    *out = d;
    return TS_OK;
}

void ts_dvm_destroy(struct ts_dvm *d)
{
    if (!d)
        return;
    if (d->domains)
        for (uint32_t vmid = 0; vmid < d->domains_end; vmid++)
            free(d->domains[vmid]);
    free(d->domains);
    free(d->reached);
    free(d->mns);
    free(d->rns);
    free(d->ops);
    free(d->txns);
    free(d->branches);
    free(d->slots);
    free(d->snoops);
    free(d->held);
    free(d->mn_cpus);
    free(d);
}
