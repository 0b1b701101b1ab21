/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time of vCPUs went, as the host and as their guests would show it. Both add up to the
 * wall time exactly.
 *
 * The effective overcommit is the mean number of vCPUs that are running or waiting, per pCPU of the
 * machine, over the time in which at least one of them waits. Threads of the host are no part of
 * it. Waiting is what run_delay counts: with another task on the pCPU, and also from a wake-up
 * until an idle pCPU has switched to the vCPU. So VMs that sleep are no overcommit, however many
 * they are. A vCPU that polls for the end of its halt runs, as its pCPU sees it. */
#ifndef TS_MODELS_HYP_VCPU_STATS_H
#define TS_MODELS_HYP_VCPU_STATS_H

#include "models/hypervisor/hypervisor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_vcpu_stats {
    uint64_t wall_ps; /* times the vCPUs; both rules: the sum of the others */
    /* The host's view. */
    uint64_t run_ps;       /* on a pCPU, in the guest or in the host for it, less the next two */
    uint64_t spin_ps;      /* on a pCPU: the guest's kernel spins */
    uint64_t halt_poll_ps; /* on a pCPU: the host polls for the end of its halt */
    uint64_t wait_ps;      /* runnable, not on a pCPU */
    uint64_t halted_ps;    /* blocked */
    /* The guest's view: an exit is time of the code that it interrupts. */
    uint64_t user_ps, sys_ps; /* sys: kernel, interrupts and spinning */
    uint64_t steal_ps;        /* the steal clock: wait_ps */
    uint64_t idle_ps;         /* halted, the host's polling included, and whatever halts */
    /* Of the host; sums leave them alone. */
    uint64_t contended_ps;               /* while at least one vCPU waits */
    uint64_t effective_overcommit_milli; /* 1000: as many vCPUs as pCPUs; 0: nobody ever waited */
};
extern const struct ts_stat_table ts_vcpu_stat_table; /* group "vcpu_time" */

/* Up to now, of one vCPU by its global number (contended_ps and what follows: 0), and of all. */
void ts_hypervisor_vcpu_stats(const struct ts_hypervisor *h, uint32_t vcpu,
                              struct ts_vcpu_stats *out);
void ts_hypervisor_vcpu_sum(const struct ts_hypervisor *h, struct ts_vcpu_stats *sum);
/* TS_ERR_FINDING: the time of a vCPU does not add up to that of the run, or is not what its
 * scheduler says it waited. */
enum ts_status ts_hypervisor_check_time(const struct ts_hypervisor *h, struct ts_error *err);
/* The vCPU that has been waiting for its pCPU for longest now. False: none waits. */
struct ts_vcpu_wait {
    uint32_t vm, vcpu, pcpu;
    ts_time since;
};
bool ts_hypervisor_longest_wait(const struct ts_hypervisor *h, struct ts_vcpu_wait *wait);

#ifdef __cplusplus
}
#endif
#endif
