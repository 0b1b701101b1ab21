/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_pv, and after the interrupts of a flush the initiator yields to the first target that has
 * been preempted meanwhile, or that the host does not report as preempted when the flags are read.
 */
#include "models/flush/flush_kvm_pv.h"

static const struct ts_stat rows[] = {TS_KVM_PV_STATS};
static const struct ts_stat_rule rules[] = {TS_KVM_PV_RULE};
static const struct ts_stat_table stats = {"flush.kvm_pv_yield", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_kvm_pv_yield = {
    .name = "kvm_pv_yield",
    .summary = "kvm_pv that yields its pCPU to a preempted target of the IPIs that are left",
    .reference = "arch/x86/kernel/kvm.c kvm_smp_send_call_func_ipi, kvm/x86.c kvm_sched_yield, 5.3 "
                 "and later (read in 6.1 and 6.12)",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_PV_TLB_FLUSH,
    .offers = TS_OFFERS_PV_SCHED_YIELD,
    .remote_by_mask = true,
    .stats = &stats,
    .state_size = sizeof(struct ts_kvm_pv_state),
    .flush_multi = ts_kvm_pv_flush_multi,
};
