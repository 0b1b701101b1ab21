/* SPDX-License-Identifier: Apache-2.0 */
/* Noise of a host: threads that wake up now and then, of their own accord, and take their pCPU for
 * a while. Two kinds are meant. Housekeeping (kworkers, ksoftirqd, a monitoring agent) works in the
 * kernel only. An MMU notifier's caller (KSM, the host's NUMA balancing and THP collapse, a
 * balloon) takes pages of a VM away and has its TLBs flushed:
 * kvm_mmu_notifier_invalidate_range_start, kvm_flush_remote_tlbs (virt/kvm/kvm_main.c, 6.1
 * and 6.12). Of that only the flush is modelled: the VM's mappings stay, so that no EPT violation
 * or stage-2 fault follows.
 *
 * Rates and durations are the experiment's: none has a source. */
#ifndef TS_MODELS_HYP_HOST_NOISE_H
#define TS_MODELS_HYP_HOST_NOISE_H

#include "models/hypervisor/host_task.h"
#include "sim/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_HOST_NO_VM (UINT32_MAX - 1)

struct ts_host_noise_params {
    uint64_t every_ps; /* mean time asleep, exponential: 1 ns to 1 s */
    uint64_t work_ps;  /* mean time in the kernel, exponential; 0: none, at most 1 s */
    uint32_t vm;       /* flushed after the work; TS_HOST_ALL_VMS: one of all, drawn each time;
                          TS_HOST_NO_VM: none */
};

/* A stream that does not end: sleep, work, flush. The first sleep is drawn as the others are, so
 * that threads do not wake up together. */
struct ts_host_noise {
    struct ts_host_stream stream;
    /* --- private --- */
    struct ts_host_noise_params params;
    uint32_t nvms;
    uint32_t step;
    struct ts_rng rng;
};
/* instance tells the threads of a host apart. nvms: the host's. */
void ts_host_noise_init(struct ts_host_noise *n, const struct ts_host_noise_params *params,
                        uint32_t nvms, uint64_t seed, uint64_t instance);

#ifdef __cplusplus
}
#endif
#endif
