/* SPDX-License-Identifier: Apache-2.0 */
/* The steal-time record of one vCPU (struct kvm_steal_time, arch/x86/include/uapi/asm/kvm_para.h;
 * on arm64 struct pvclock_vcpu_stolen_time, which has no `preempted`): memory of the guest that the
 * host writes too.
 *
 * The host stores PREEMPTED when it schedules the vCPU out and exchanges the byte for 0 before the
 * vCPU enters again; a guest may add FLUSH_TLB by compare-and-exchange while PREEMPTED stands
 * there, which obliges the host to flush at that exchange (record_steal_time, arch/x86/kvm/x86.c;
 * thread kvm-flush-tlb-multi). Whoever touches the byte pays for the line (ts_task_line). */
#ifndef TS_MODELS_ABI_STEAL_H
#define TS_MODELS_ABI_STEAL_H

#include "models/line/line.h"

#ifdef __cplusplus
extern "C" {
#endif

/* KVM_VCPU_PREEMPTED and KVM_VCPU_FLUSH_TLB, asm/kvm_para.h. */
enum ts_steal_bits { TS_STEAL_PREEMPTED = 1u << 0, TS_STEAL_FLUSH_TLB = 1u << 1 };

struct ts_steal_area {
    uint32_t preempted; /* enum ts_steal_bits */
    struct ts_line line;
};

#ifdef __cplusplus
}
#endif
#endif
