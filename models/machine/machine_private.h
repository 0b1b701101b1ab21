/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TS_MODELS_MACHINE_PRIVATE_H
#define TS_MODELS_MACHINE_PRIVATE_H

#include "models/machine/machine.h"

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
    struct ts_cpu_domain host;     /* the pCPUs */
    struct ts_cpu_domain *domains; /* of vCPUs, one a VM; NULL on bare metal */
    struct ts_hypervisor hypervisor;
    struct ts_guest *guests;
    struct ts_stage2_watch watch; /* to the guests' oracles */
    struct ts_vm *vms;
    struct ts_vm **vm_list;
    uint32_t nguests;
    /* Room for sums over guests, so that results need no memory when they are read. */
    struct ts_guest_stats *guest_sum;
    struct ts_hist *latency_sum;
    void *mechanism_sum; /* of the largest state */
    uint32_t finished;
    uint32_t host_tasks, host_ended; /* without those in the background */
    bool has_host_tasks, started;
    bool done;
    bool timed_out, stalled;
    uint64_t next_table_frame;
    uint64_t progress_seen;
    struct ts_event drain_event, limit_event, progress_event;
};

/* Broadcast invalidations: TLBI, or INVLPGB where there is one. */
bool ts_machine_has_dvm(const struct ts_machine_config *c);
static inline bool ts_machine_is_bare(const struct ts_machine_config *c)
{
    return c->hypervisor.kind == TS_HYP_NONE;
}
uint32_t ts_machine_vcpus(const struct ts_machine_config *c);
/* Operations that workloads have completed. */
uint64_t ts_machine_operations(const struct ts_machine *m);
static inline bool ts_machine_streams_ended(const struct ts_machine *m)
{
    return m->finished == m->nguests && m->host_ended == m->host_tasks;
}

/* machine_os.c: ts_machine_check of what belongs to one operating system or the other. */
enum ts_status ts_machine_check_os(const struct ts_machine_config *config,
                                   const struct ts_flush_ops *mechanism, struct ts_error *err);

#endif
