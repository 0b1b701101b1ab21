/* SPDX-License-Identifier: Apache-2.0 */
/* A whole machine: hardware, hypervisor or bare metal, guests with their workloads and mechanisms.
 * This is what the front end and the SystemC host see of the models.
 *
 * Use: ts_machine_config_defaults, set parameters through ts_machine_param_tables, then
 * ts_machine_check (user errors only), ts_machine_create, set sinks, ts_machine_start, run the
 * engine (ts_machine_run, or by a foreign kernel until ts_machine_done), ts_machine_finish, read
 * statistics, ts_machine_destroy. Many machines may live in one process.
 */
#ifndef TS_MODELS_MACHINE_H
#define TS_MODELS_MACHINE_H

#include "models/cache/cache.h"
#include "models/flush/flush.h"
#include "models/guest/core/guest_version.h" /* for who reads a configuration */
#include "models/guest/os/thread.h"
#include "models/hypervisor/host_noise.h"
#include "models/hypervisor/vcpu_stats.h"
#include "models/oracle/oracle.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_run_params {
    uint64_t vms;         /* 1 on bare metal */
    uint64_t vcpus;       /* a VM; 0: as many as pCPUs (bare metal: always) */
    uint64_t oracle;      /* bool */
    uint64_t queue;       /* enum ts_queue_kind */
    uint64_t warmup_ps;   /* records count that end later */
    uint64_t window_ps;   /* and so long; then the threads end. 0: they run to their streams' end */
    uint64_t limit_ps;    /* simulated time after which the run is given up (finding) */
    uint64_t progress_ps; /* watchdog: no operation finished for so long is a finding; 0: off */
    uint64_t fiber_stack_bytes;
};
extern const struct ts_param_table ts_run_param_table; /* prefix "run" */

/* What a VM may have of its own; VMs that are alike share one. */
struct ts_vm_shape {
    const char *name; /* of messages */
    uint64_t vcpus;   /* 1 to TS_CPU_MAX */
    struct ts_guest_params guest;
    struct ts_nt_params nt;
    struct ts_sched_params guest_sched;
    struct ts_cpumask pcpus; /* of all pCPUs, those that its vCPUs may be on; nbits 0: on any */
    bool pin;                /* each vCPU stays where it begins; it has at most as many as pCPUs */
    bool background;         /* it runs until the last of the others has ended, and no longer; it
                                counts in no result but its own */
    uint64_t shares;         /* cpu.shares of its control group, TS_SHARES_MIN to TS_SHARES_MAX
                                (sched_group_set_shares) */
};

struct ts_machine_config {
    struct ts_topology_params topology;
    struct ts_interconnect_params interconnect;
    struct ts_line_params line;
    struct ts_interrupt_params interrupt;
    struct ts_dvm_params dvm;
    struct ts_rar_params rar;
    struct ts_mmu_params mmu;
    struct ts_cache_params cache;
    struct ts_sched_params host_sched;
    struct ts_sched_params guest_sched;
    struct ts_hypervisor_params hypervisor;
    struct ts_guest_params guest;
    struct ts_nt_params nt; /* of a Windows-like guest */
    struct ts_run_params run;
    /* By VM, run.vms of them, instead of run.vcpus, guest, nt and guest_sched; the caller's, alive
     * until ts_machine_destroy. NULL: all VMs are alike. */
    const struct ts_vm_shape *const *shapes;
};

/* One row a parameter table: where its struct lies in the configuration. */
struct ts_machine_param_slot {
    const struct ts_param_table *table;
    size_t offset;
};
extern const struct ts_machine_param_slot ts_machine_params[];
extern const size_t ts_machine_params_count;
void ts_machine_config_defaults(struct ts_machine_config *config);

/* The parameters that name a kernel's version, and what each version sets. No key is in two. */
extern const struct ts_version_table *const ts_machine_versions[];
extern const size_t ts_machine_versions_count;

/* Can this machine offer what the mechanism needs? TS_ERR_USER with a message that says what is
 * missing and which parameter would give it; also checks the configuration as a whole. */
enum ts_status ts_machine_check(const struct ts_machine_config *config,
                                const struct ts_flush_ops *mechanism, struct ts_error *err);

/* The same of VM v (< run.vms), and what is wrong with its shape. */
enum ts_status ts_machine_check_vm(const struct ts_machine_config *config, uint32_t v,
                                   const struct ts_flush_ops *mechanism, struct ts_error *err);

struct ts_machine;
/* One VM of a machine (or its one operating system). */
struct ts_machine_vm {
    struct ts_workload *workload; /* owned by the caller, alive until ts_machine_destroy */
    const struct ts_flush_ops *mechanism;
    const void *mechanism_params; /* copied; NULL: the defaults */
};

/* vms: config->run.vms of them; mechanisms may differ. seed: of everything random. The
 * configuration is checked against every mechanism first, and for a window if a workload is
 * endless and its VM not in the background. */
enum ts_status ts_machine_create(struct ts_machine **out, const struct ts_machine_config *config,
                                 const struct ts_machine_vm *vms, uint64_t seed,
                                 struct ts_error *err);
void ts_machine_destroy(struct ts_machine *m);
/* A thread of the host with its own stream of operations (models/hypervisor/host_task.h), before
 * ts_machine_start. The run ends when the guests and all such threads have ended, those in the
 * background apart. TS_ERR_USER: bare metal, or no such pCPU. */
enum ts_status ts_machine_add_host_task(struct ts_machine *m,
                                        const struct ts_host_task_config *config,
                                        struct ts_error *err);
/* Before ts_machine_start. */
void ts_machine_set_timeline(struct ts_machine *m, ts_timeline_fn *fn, void *user);
/* Who is asked about each step of the CPUs (sim/steps.h); fn may be NULL. Before the run. */
void ts_machine_set_steps(struct ts_machine *m, ts_step_fn *fn, void *user);
/* CPU `cpu` of VM `vm` makes a walk for va of its own accord, as hardware may at any time
 * (models/guest/coherence/speculate.h). From within ts_step_fn. */
void ts_machine_speculate(struct ts_machine *m, uint32_t vm, uint32_t cpu, uint64_t va);
void ts_machine_set_shootdowns(struct ts_machine *m, ts_shootdown_fn *fn, void *user);
enum ts_status ts_machine_start(struct ts_machine *m, struct ts_error *err);
struct ts_engine *ts_machine_engine(struct ts_machine *m);
/* All guests and host tasks have finished, or a failure has stopped the run. Once those that are
 * not in the background have, the others' threads end with the operation that they are at. */
bool ts_machine_done(const struct ts_machine *m);
/* Runs to the end. One event after the machine is done the engine stops by itself. */
void ts_machine_run(struct ts_machine *m);
/* After the run: workload failure, time limit, watchdog, oracle, sum rules; TS_OK if all is well.
 */
enum ts_status ts_machine_finish(struct ts_machine *m, struct ts_error *err);

/* Results that every run has, without VMs in the background. Times in ps. */
struct ts_machine_result {
    ts_time completion_ps;      /* until the last guest finished */
    ts_time mean_completion_ps; /* over guests */
    ts_time user_ps,
        system_ps; /* summed over the guests' threads and CPUs: system is kernel + irq + spin */
    ts_time steal_ps, host_ps;
    uint64_t effective_overcommit_milli; /* models/hypervisor/vcpu_stats.h; 0 on bare metal */
    uint64_t vcpus_per_pcpu_milli;       /* as configured, all VMs; 1000 on bare metal */
    uint64_t operations; /* workload operations done; those of host tasks are statistics */
    uint64_t shootdowns, ipis;
    uint64_t vm_exits; /* of all vCPUs, those of VMs in the background too */
    uint64_t shootdown_p50_ps, shootdown_p99_ps, shootdown_max_ps, shootdown_mean_ps;
    uint64_t munmap_mean_ps;
    uint64_t page_touches;
    uint64_t records;         /* of all guests, within the window */
    uint64_t record_rate_uhz; /* mean over guests of records in 10^6 seconds of the window */
    ts_time window_ps;        /* run.window */
    uint64_t events;          /* engine events */
};
void ts_machine_result(const struct ts_machine *m, struct ts_machine_result *out);

/* One VM's. Times of vCPUs are sums over its vCPUs, up to now. */
struct ts_machine_vm_result {
    uint32_t vcpus;
    const struct ts_flush_ops *mechanism;
    bool background;
    ts_time completion_ps;    /* when its last thread ended */
    uint64_t records;         /* within the window */
    uint64_t record_rate_uhz; /* records in 10^6 seconds of the window, or of what it ran for */
    uint64_t operations, page_touches;
    ts_time user_ps, system_ps; /* as in struct ts_machine_result */
    ts_time steal_ps, host_ps;
    ts_time idle_ps; /* halted */
    ts_time held_ps; /* its work stood still while broadcast invalidations kept a TLB busy */
    ts_time held_foreign_ps; /* of those, for invalidations of other VMs and of the host */
    uint64_t shootdowns, ipis;
    uint64_t shootdown_p50_ps, shootdown_p99_ps, shootdown_max_ps, shootdown_mean_ps;
    uint64_t munmap_mean_ps;
};
void ts_machine_vm_result(const struct ts_machine *m, uint32_t v, struct ts_machine_vm_result *out);

/* vCPUs of VM v, and where one of them is (models/cpu/vcpu_time.h); on bare metal CPUs, which are
 * halted while idle and else run. */
uint32_t ts_machine_vm_vcpus(const struct ts_machine *m, uint32_t v);
enum ts_vcpu_place ts_machine_vcpu_place(const struct ts_machine *m, uint32_t v, uint32_t vcpu);

/* All statistics of all models, in a fixed order: calls fn once a table, with the sum over the
 * instances of the model (of a mechanism: over the VMs that use it). Group names are those of the
 * tables. */
typedef void ts_machine_stat_fn(void *user, const struct ts_stat_table *table, const void *base);
void ts_machine_visit_stats(const struct ts_machine *m, ts_machine_stat_fn *fn, void *user);

#ifdef __cplusplus
}
#endif
#endif
