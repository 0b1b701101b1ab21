/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TS_MODELS_MACHINE_PRIVATE_H
#define TS_MODELS_MACHINE_PRIVATE_H

#include "models/machine/machine.h"

enum { TS_VCPUS_MAX = 65535 };
#define TS_VCPUS_MAX_TEXT "more than 65535 vCPUs: VPIDs and VMIDs have 16 bits"

struct ts_machine {
    struct ts_machine_config config;
    void **mechanism_params; /* by VM; NULL: it has none */
    uint64_t seed;
    struct ts_engine *engine;
    struct ts_topology topology;
    struct ts_clock clock;
    struct ts_interconnect *interconnect;
    struct ts_line_system *lines;
    struct ts_interrupt *interrupt;
    struct ts_dvm *dvm;
    struct ts_rar *rar; /* NULL: the CPUs have none, or there is a hypervisor, which offers none */
    struct ts_cache *cache; /* NULL: page walks cost a fixed time a fetch */
    struct ts_mmu **mmus;   /* by pCPU; thread 0 of a core before its siblings */
    struct ts_timeline timeline;
    struct ts_steps steps;
    struct ts_cpu_domain host;     /* the pCPUs */
    struct ts_cpu_domain *domains; /* of vCPUs, one a VM; NULL on bare metal */
    struct ts_hypervisor hypervisor;
    struct ts_guest *guests;
    struct ts_stage2_watch watch; /* to the guests' oracles */
    struct ts_vm *vms;
    struct ts_vm **vm_list;
    struct ts_vm_placement *placements; /* NULL: VMs are alike */
    uint32_t nguests;
    uint32_t nmeasured; /* not in the background */
    /* Room for sums over guests, so that results need no memory when they are read. */
    struct ts_guest_stats *guest_sum;
    struct ts_hist *latency_sum;
    void *mechanism_sum; /* of the largest state */
    uint32_t finished, measured_finished;
    ts_time measured_until; /* when the last stream that counts ended; TS_TIME_NEVER: not yet */
    uint32_t host_tasks, host_ended; /* without those in the background */
    bool has_host_tasks, started;
    bool done;
    bool timed_out, stalled;
    uint64_t next_table_frame;
    struct ts_replay *replay; /* NULL: every step of the host's code is made */
    uint64_t *free_tables;    /* of stage 2 */
    size_t nfree_tables, free_tables_room;
    bool closing; /* tables come back for good */
    uint64_t progress_seen;
    uint32_t drained; /* looks whether what was in flight at the end has arrived */
    struct ts_event drain_event, limit_event, progress_event;
};

/* Broadcast invalidations: TLBI, or INVLPGB where there is one. */
bool ts_machine_has_dvm(const struct ts_machine_config *c);
static inline bool ts_machine_is_bare(const struct ts_machine_config *c)
{
    return c->hypervisor.kind == TS_HYP_NONE;
}
uint32_t ts_machine_vcpus(const struct ts_machine_config *c);
/* What VM v is built from: c with what is its own instead of what all have, and no shapes. */
void ts_machine_vm_config(const struct ts_machine_config *c, uint32_t v,
                          struct ts_machine_config *out);
/* The number of its vCPU 0 among all; of v = run.vms, how many there are. */
uint32_t ts_machine_vm_first(const struct ts_machine_config *c, uint32_t v);
bool ts_machine_vm_is_background(const struct ts_machine_config *c, uint32_t v);
/* How many are not. */
uint32_t ts_machine_measured(const struct ts_machine_config *c);
/* All VMs, and that what is to end does. */
enum ts_status ts_machine_check_vms(const struct ts_machine_config *c,
                                    const struct ts_machine_vm *vms, struct ts_error *err);
/* Sets m->placements. */
enum ts_status ts_machine_place_vms(struct ts_machine *m, struct ts_error *err);
/* Operations that workloads have completed, of VMs that are not in the background. */
uint64_t ts_machine_operations(const struct ts_machine *m);
/* The sum rules of the statistics hold at this moment: nothing that they count is on its way. */
bool ts_machine_adds_up(const struct ts_machine *m);
static inline bool ts_machine_streams_ended(const struct ts_machine *m)
{
    return m->measured_finished == m->nmeasured && m->host_ended == m->host_tasks;
}

/* machine_vm.c: what all domains of CPUs have in common, the host's too; what guest and host share
 * of VM v, c being the VM's own configuration. */
void ts_machine_common_domain(struct ts_machine *m, struct ts_cpu_domain *d, const char *name,
                              uint32_t group, const struct ts_sched_params *sched);
enum ts_status ts_machine_create_vm(struct ts_machine *m, uint32_t v,
                                    const struct ts_machine_config *c,
                                    const struct ts_flush_ops *flush, struct ts_error *err);
void ts_machine_destroy_vm(struct ts_vm *vm);

/* machine_replay.c: where steps of the host's code can be replayed; and the statistics that such
 * steps change, of a machine that is complete. */
enum ts_status ts_machine_create_replay(struct ts_machine *m, struct ts_error *err);
enum ts_status ts_machine_add_replayed(struct ts_machine *m, struct ts_error *err);

/* machine_stall.c: what holds up a machine in which no operation has ended for run.progress, as a
 * part of a sentence: an initiator that does not return, a vCPU that does not run, threads that
 * wait for each other; empty if none of these. */
void ts_machine_describe_stall(const struct ts_machine *m, char *text, size_t size);

/* machine_os.c: ts_machine_check of what belongs to one operating system or the other. */
enum ts_status ts_machine_check_os(const struct ts_machine_config *config,
                                   const struct ts_flush_ops *mechanism, struct ts_error *err);

#endif
