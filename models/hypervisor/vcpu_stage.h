/* SPDX-License-Identifier: Apache-2.0 */
/* A VMM that leads the vCPUs of a VM through a test, stage by stage, as KVM's selftest
 * kvm_page_table_test does (tools/testing/selftests/kvm, 6.1 and 6.12: vcpu_worker,
 * vcpus_complete_new_stage). At the end of a stage each vCPU leaves KVM_RUN by a ucall and posts a
 * semaphore that the VMM's thread waits for, once a vCPU; the thread then posts the one that the
 * vCPUs wait for. A vCPU waits in user space: interrupts for it stay pending.
 *
 * What a semaphore costs is hypervisor.user_exit's, beside waking and switching. */
#ifndef TS_MODELS_HYP_VCPU_STAGE_H
#define TS_MODELS_HYP_VCPU_STAGE_H

#include "models/cpu/cpu.h"
#include "sim/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ts_hypervisor;

/* enum test_stage of the selftest, and its end. Guests give the same numbers. */
enum ts_vm_stage {
    TS_STAGE_BEFORE = 0, /* KVM_BEFORE_MAPPINGS */
    TS_STAGE_CREATE = 1,
    TS_STAGE_UPDATE = 2,
    TS_STAGE_ADJUST = 3,
    TS_STAGE_QUIT = 4, /* host_quit: the vCPUs go their way */
    TS_VM_STAGES
};
extern const char *const ts_vm_stage_names[TS_VM_STAGES + 1]; /* NULL at the end */

struct ts_vm_stage_stats {
    uint64_t ucalls; /* exits of vCPUs to wait */
    uint64_t stages; /* begun */
    uint64_t ps[TS_STAGE_QUIT];
};
extern const struct ts_stat_table ts_vm_stage_stat_table; /* group "vm_stage" */

/* Of one VM. Zeroed: no vCPU waits. */
struct ts_vm_stages {
    uint64_t begun;      /* stages, ever */
    uint32_t waiting;    /* vCPUs that wait for the next */
    uint32_t next;       /* which they wait for */
    struct ts_task *vmm; /* waits for all vCPUs, or NULL */
    struct ts_vm_stage_stats stats;
};

/* ts_pv_ops.user_exit: guest code `self` is ready for the stage; returns when it has begun. All
 * vCPUs of a VM have to be ready for the same one; else the run ends with an error. */
void ts_vcpu_user_exit(struct ts_task *self, uint32_t stage);
/* By a thread of the host, self: when all vCPUs of the VM wait for the stage, begins it, and
 * returns when all of them wait again. With TS_STAGE_QUIT it does not wait for that. */
void ts_vm_run_stage(struct ts_task *self, struct ts_hypervisor *h, uint32_t vm, uint32_t stage);
/* Sum over VMs. */
void ts_vm_stages_stats(const struct ts_hypervisor *h, struct ts_vm_stage_stats *sum);

#ifdef __cplusplus
}
#endif
#endif
