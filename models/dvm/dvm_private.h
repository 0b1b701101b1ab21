/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of models/dvm share: the requester (dvm.c), the misc node (dvm_mn.c) and the
 * snooped core (dvm_rn.c). */
#ifndef TS_MODELS_DVM_PRIVATE_H
#define TS_MODELS_DVM_PRIVATE_H

#include "models/dvm/dvm.h"
#include "models/dvm/dvm_payload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dvm_mn;

/* What a message says. That of x86 is not published: it is the invalidation itself. */
struct dvm_what {
    struct ts_dvm_payload payload;
    struct ts_tlb_inval inval; /* x86 */
};

/* One TLBI or Sync as its requester sees it; msg is its current leg to or from the MN. */
struct dvm_op {
    struct ts_msg msg;
    struct ts_msg credit; /* PCrdGrant, which may be in flight together with RetryAck */
    struct ts_dvm *d;
    struct dvm_op *next; /* free list, or the MN's list of retried requests */
    struct dvm_txn *txn; /* the tracker entry, once it has one */
    struct dvm_what what;
    ts_time issued;
    uint64_t order; /* of retried requests */
    uint32_t cpu;
    bool sync;
};

/* An operation at one MN: the requester's own, or forwarded to a peer. */
struct dvm_branch {
    struct ts_msg msg; /* peers: the forwarded operation, then the one answer */
    struct dvm_txn *txn;
    struct dvm_mn *mn;
    struct dvm_branch *next; /* ready list */
    struct dvm_slot *slot;
    ts_time arrived; /* a forwarded one at its MN */
    uint32_t left;   /* snoop responses still to come; of an ACE Sync Completes too */
};

/* A tracker entry of an MN. It outlives dvm_op when the completion is early. */
struct dvm_txn {
    struct ts_dvm *d;
    struct dvm_mn *mn; /* the requester's */
    struct dvm_txn *next;
    struct dvm_op *op; /* NULL once the requester has been told */
    struct dvm_what what;
    struct ts_dvm_snoop snoop; /* both parts of it, for each core */
    uint32_t cpu;
    bool sync;
    uint32_t branches_left;
    struct dvm_branch *branches; /* one a socket */
};

/* The snoop of one core. */
struct dvm_snoop {
    struct ts_msg part[2]; /* part[0] carries the response back */
    struct ts_event event; /* the response's delay at the core */
    struct ts_event relay; /* the next flit that it passes on */
    struct ts_event reply; /* ACE: the answer to a Sync, before its Complete */
    struct dvm_branch *branch;
    uint32_t cpu;
    uint32_t parts_in;
    uint32_t relayed; /* flits */
};

/* Room for one operation that an MN distributes or awaits responses for. */
struct dvm_slot {
    struct dvm_slot *next;
    struct dvm_snoop *snoops; /* one for each possible target */
    uint32_t ntargets;
};

struct dvm_op_list {
    struct dvm_op *head, *tail;
};

struct dvm_mn {
    struct ts_dvm *d;
    struct ts_event event; /* next snoop flit */
    uint32_t socket;
    uint32_t node;
    uint32_t ncpus;
    uint32_t *cpus; /* the socket's, ascending */
    struct dvm_txn *free_txns;
    uint32_t txns_in_use;
    uint32_t syncs_in_use;
    ts_time occupied_since; /* as it is now */
    uint64_t retry_order;
    struct dvm_op_list retried[2]; /* by whether it is a Sync */
    struct dvm_slot *free_slots;
    uint32_t own_slots_used;
    bool sync_active[2]; /* by whether it is forwarded */
    struct dvm_branch *ready_head, *ready_tail;
    struct dvm_branch *distributing;
    uint32_t flits_sent; /* of distributing */
    ts_time next_flit;
    ts_time stalled_since; /* as it is now: */
    bool stalled_limit, stalled_sync;
};

/* An operation that a core has taken in and not yet applied to the end. */
struct dvm_held {
    struct ts_tlb_inval inval;
    struct dvm_snoop *snoop; /* NULL once answered */
    bool sync;
    ts_time arrived;
};

struct dvm_rn {
    struct ts_dvm *d;
    uint32_t cpu;
    /* as requester */
    uint32_t outstanding; /* TLBIs without Comp */
    uint32_t at_mn;       /* TLBIs in the MN's tracker; a Sync waits there for them */
    bool unsynced;        /* a TLBI has been issued since the last Sync went out */
    bool dsb;
    bool sync_due; /* of this DSB: with the last Comp */
    bool sync_sent;
    ts_time dsb_start;
    ts_dvm_done_fn *dsb_done;
    void *dsb_user;
    struct ts_event dsb_event;
    ts_dvm_done_fn *room_done;
    void *room_user;
    ts_time own_until;          /* its TLB is busy with what it has issued until then */
    struct ts_cpumask *reached; /* with the VMID filter: to be covered by the next Sync */
    /* as target */
    struct ts_event event;
    struct dvm_held *ring;
    uint32_t head, count;
    ts_time next_flit; /* as a node of a fan-out tree */
    bool applying;     /* the head is being applied, until busy_until */
    ts_time busy_until;
};

struct ts_dvm {
    struct ts_engine *engine;
    const struct ts_topology *topology;
    struct ts_interconnect *ic;
    struct ts_dvm_params params;
    struct ts_clock core_clock;
    const struct ts_clock *mesh_clock;
    ts_dvm_apply_fn *apply;
    void *user;
    bool packs; /* arm64: messages have DVMOp's fields */
    uint32_t nsockets;
    uint32_t ring_size;
    struct dvm_mn *mns;
    struct dvm_rn *rns;
    struct dvm_op *ops;
    struct dvm_op *free_ops;
    struct dvm_txn *txns;
    struct dvm_branch *branches;
    struct dvm_slot *slots;
    struct dvm_snoop *snoops;
    struct dvm_held *held;
    uint32_t *mn_cpus;
    struct ts_cpumask *reached;  /* with the VMID filter: one a pCPU */
    struct ts_cpumask **domains; /* with the VMID filter: one a VMID; nbits 0: all */
    uint32_t domains_end;        /* VMIDs from here on have none yet */
    struct ts_dvm_stats stats;
};

void dvm_send(struct ts_dvm *d, struct ts_msg *msg, uint32_t src, uint32_t dst,
              enum ts_msg_class klass, uint32_t flits, ts_msg_fn *deliver);

/* dvm.c: the requester's side. */
void dvm_rn_on_dbid(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_rn_on_comp_dbid(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_rn_on_comp(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_rn_on_retry_ack(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_rn_on_credit(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_op_free(struct dvm_op *op);

/* dvm_mn.c */
void dvm_mn_init(struct dvm_mn *mn, struct ts_dvm *d, uint32_t socket);
void dvm_mn_on_request(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_mn_on_data(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_mn_on_response(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_mn_on_reply(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_mn_on_complete(struct ts_interconnect *ic, struct ts_msg *msg);

/* dvm_fanout.c */
/* Targets that a node of the operation's fan-out tree sends to. */
uint32_t dvm_fanout_count(const struct ts_dvm *d, const struct dvm_slot *slot, uint32_t node);
/* Sends flit number `flit` of those from the node, which is at src. */
void dvm_fanout_flit(struct ts_dvm *d, struct dvm_slot *slot, uint32_t node, uint32_t src,
                     uint32_t flit);
/* Both parts have come: to those behind this target. */
void dvm_fanout_pass_on(struct dvm_snoop *snoop);

/* dvm_rn.c: the snooped core. */
void dvm_rn_init(struct dvm_rn *rn, struct ts_dvm *d, uint32_t cpu);
void dvm_rn_on_part0(struct ts_interconnect *ic, struct ts_msg *msg);
void dvm_rn_on_part1(struct ts_interconnect *ic, struct ts_msg *msg);
/* Applies inval to the core's own TLB now. */
void dvm_rn_apply_own(struct dvm_rn *rn, const struct ts_tlb_inval *inval);

#ifdef __cplusplus
}
#endif
#endif
