/* SPDX-License-Identifier: Apache-2.0 */
/* TLBI and DSB over a CHI-like fabric (CHI issue F.b, B8.2; arm.md 3).
 *
 * A TLBI leaves the core as DVMOp(Non-sync) to the misc node (MN) of its chip; the MN sends two
 * SnpDVMOp parts to every other core of the domain and collects one response each; a receiving core
 * queues the operation and applies it to its TLB in order, at the cost of a probe or a sweep. DSB
 * waits for the Comp of every earlier TLBI of the same core, then sends DVMOp(Sync), which a core
 * answers only when all earlier operations have been applied there. A local TLBI is of the core's
 * own TLB and no message; a DSB NSH waits for that TLB alone. Several sockets: one MN a chip, the
 * initiator's MN forwards one message to each peer MN, which fans out and answers once. Snoops
 * leave the MN one after the other, or go down a tree in which each target passes on both parts
 * once it has them. ACE differs in the Sync: its snoop is answered at once, and each core sends DVM
 * Complete when all is done; the two-part request of ACE is taken to cost what CHI's request and
 * data do.
 *
 * Choices beyond the sources: every pCPU is a request node of its own (Arm server cores have one
 * thread). Of the operations that an MN works on at a time one is kept for forwarded ones, and an
 * own and a forwarded Sync may be under way together: without that two MNs could wait for each
 * other. Forwarded operations need no tracker entry at the peer (its entries for other chips are
 * counted apart, arm-cmn *_cxha). With the VMID filter a Sync goes to the cores that operations of
 * its issuer have reached since the last one.
 *
 * x86 with INVLPGB and TLBSYNC (AMD APM vol. 3): what their messages look like is not published.
 * They are assumed to travel as TLBI and DSB do, from the issuer's chip to all others and back.
 */
#ifndef TS_MODELS_DVM_H
#define TS_MODELS_DVM_H

#include "models/interconnect/interconnect.h"
#include "models/tlb/inval.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ts_dvm_fanout {
    TS_DVM_SERIAL = 0, /* the MN sends to target after target */
    TS_DVM_TREE = 1    /* it sends to the first, and each target passes on to as many further */
};
enum ts_dvm_protocol {
    TS_DVM_CHI = 0, /* a core answers a Sync when all is done there */
    TS_DVM_ACE = 1  /* it answers at once, and sends DVM Complete when all is done */
};

struct ts_dvm_params {
    uint64_t mn_tracker;        /* operations in flight at an MN; more are retried */
    uint64_t mn_service_cycles; /* mesh cycles between two snoop flits leaving the MN */
    uint64_t rn_tracker;        /* outstanding DVMOps of one core; a TLBI beyond stalls */
    uint64_t rn_queue;          /* snooped operations a core may hold before it stops answering */
    uint64_t forward_cycles;    /* mesh cycles from snoop to response at a core */
    uint64_t early_comp;        /* bool: MN completes a Non-sync before the snoop responses */
    uint64_t vmid_filter;       /* bool: MN skips cores outside the VM's set (ts_dvm_set_domain) */
    uint64_t mn_snoops;         /* operations an MN distributes or awaits responses for at a time */
    uint64_t invlpgb;           /* bool: x86 CPUs have INVLPGB and TLBSYNC, which travel like DVM */
    uint64_t fanout;            /* enum ts_dvm_fanout */
    uint64_t fanout_degree;     /* of a tree: targets behind each node */
    uint64_t protocol;          /* enum ts_dvm_protocol */
    uint64_t sync_drain_ps; /* a core answers a Sync no sooner: loads under old translations end */
};
extern const struct ts_param_table ts_dvm_param_table; /* prefix "dvm" */

/* Names after the DN events of drivers/perf/arm-cmn.c (6.12; read) where one exists: CMN-600's
 * rxreq_*, and of CMN-650 and later the others. Not counted, as nothing here does it: dvmop_bpi,
 * _pici and _vici (branch predictors, instruction caches), rndop_filtered (RN-D), trk_occupancy_pdn
 * and trk_pdn_alloc (proxy nodes), txsnp_stall (link credits), rxsnp_stall_starv. Times are ps, not
 * clocks. */
struct ts_dvm_stats {
    uint64_t issued;    /* TLBIs */
    uint64_t syncs;     /* DSBs that needed a Sync */
    uint64_t completed; /* rule: every TLBI and Sync */
    uint64_t local;     /* TLBIs of the issuer's own TLB only */
    uint64_t dsb_local; /* DSBs that waited for the own TLB without a Sync */
    uint64_t dsb_local_ps;
    uint64_t rxreq_dvmop; /* accepted by the issuer's MN: once each */
    uint64_t rxreq_dvmsync;
    uint64_t dvmop_tlbi;                /* of the DVMOps, by their payload; rule: all */
    uint64_t rxreq_dvmop_vmid_filtered; /* TLBIs that did not go to every core */
    uint64_t trk_alloc;                 /* tracker entries taken; rule: by TLBIs and Syncs */
    uint64_t trk_cxha_alloc;            /* and for other chips' */
    uint64_t trk_occupancy_cxha;
    uint64_t txsnp_stall_limit;   /* ps: nothing is sent since mn_snoops operations are under way */
    uint64_t txsnp_sync_stall_op; /* ps: a Sync waits at the MN for its core's TLBIs */
    uint64_t rxreq_retried;
    uint64_t forwarded;                /* to MNs of other chips */
    uint64_t dvmop_cxha, dvmsync_cxha; /* taken from MNs of other chips */
    uint64_t trk_occupancy_all, trk_occupancy_dvmop, trk_occupancy_dvmsync; /* ps of each entry */
    uint64_t trkfull_ps;      /* an MN's tracker had no free entry */
    uint64_t dvm_completes;   /* ACE: sent by the snooped cores */
    uint64_t txsnp_flitv;     /* snoop flits sent */
    uint64_t vmid_filtered;   /* targets not snooped */
    uint64_t snoop_responses; /* rule: one a snooped core */
    uint64_t snooped;         /* cores, once per operation or Sync */
    uint64_t snooped_sync;    /* of these, by a Sync */
    uint64_t applied;         /* operations applied to a TLB, the issuer's own and local ones too */
    uint64_t sweep_ps;        /* time TLBs were busy with them */
    struct ts_hist op_ps;     /* TLBI issue to Comp */
    struct ts_hist sync_ps;   /* DSB start to end */
};
extern const struct ts_stat_table ts_dvm_stat_table;

struct ts_dvm;
/* Applies inval to the TLBs of core/pCPU `cpu` at this very moment and returns the core cycles from
 * now on until its TLB is done with it, what it was busy with before included. */
typedef uint64_t ts_dvm_apply_fn(void *user, uint32_t cpu, const struct ts_tlb_inval *inval);
typedef void ts_dvm_done_fn(void *user, uint32_t cpu);

/* What ts_dvm_create refuses as a user's error. */
enum ts_status ts_dvm_check(const struct ts_dvm_params *params,
                            const struct ts_topology_params *topology, struct ts_error *err);
enum ts_status ts_dvm_create(struct ts_dvm **out, struct ts_engine *engine,
                             const struct ts_topology *topology, struct ts_interconnect *ic,
                             const struct ts_dvm_params *params, ts_dvm_apply_fn *apply, void *user,
                             struct ts_error *err);
void ts_dvm_destroy(struct ts_dvm *d);
/* True if the core can take another TLBI now; otherwise the caller waits: done is called (once)
 * when there is room, after which it asks again. */
bool ts_dvm_can_issue(struct ts_dvm *d, uint32_t cpu, ts_dvm_done_fn *done, void *user);
/* Issues one broadcast operation from pCPU cpu; needs ts_dvm_can_issue. Posted. The issuer's own
 * TLB is hit at once. */
void ts_dvm_issue(struct ts_dvm *d, uint32_t cpu, const struct ts_tlb_inval *inval);
/* A TLBI without IS: hits the issuer's own TLB at once, and takes its time there. */
void ts_dvm_issue_local(struct ts_dvm *d, uint32_t cpu, const struct ts_tlb_inval *inval);
/* DSB ISH: done is called when everything cpu issued before, local or not, is complete everywhere
 * (with a Sync if any was broadcast since the last one). Returns true, without calling done, when
 * there is nothing to wait for. At most one DSB at a time a CPU. */
bool ts_dvm_dsb(struct ts_dvm *d, uint32_t cpu, ts_dvm_done_fn *done, void *user);
/* DSB NSH: the same when cpu's own TLB is done with what cpu has issued, with its part of broadcast
 * operations too: those are complete in the non-shareable domain, of which cpu is all. Neither
 * their Comp nor another core is waited for, no Sync is sent, and the next DSB ISH still owes one.
 * Local operations need no more (Arm ARM, "TLB maintenance instructions", completion; arm.md 3.5).
 *
 * DSB ISHST and NSHST are of stores only and complete no TLBI; they are no business of the fabric:
 * a caller charges what draining the stores takes (models/cpu/dvm_port.h). */
bool ts_dvm_dsb_nsh(struct ts_dvm *d, uint32_t cpu, ts_dvm_done_fn *done, void *user);
/* With vmid_filter: operations of this VMID go to pCPUs in `cores` only (software's duty to keep it
 * right: openEuler hisi_virt.c). NULL: all. The set is copied; the first one of a VMID allocates,
 * and without memory for it the operations go to all, which is always correct. */
void ts_dvm_set_domain(struct ts_dvm *d, uint16_t vmid, const struct ts_cpumask *cores);
const struct ts_dvm_stats *ts_dvm_stats(const struct ts_dvm *d);

#ifdef __cplusplus
}
#endif
#endif
