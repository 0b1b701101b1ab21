/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's paravirtual TLB flush: a target that the host has preempted gets a flag in its steal-time
 * record instead of an IPI, and flushes when it is next entered. */
#include "models/flush/flush_kvm_pv.h"

static const struct ts_stat rows[] = {TS_KVM_PV_STATS};
static const struct ts_stat_rule rules[] = {TS_KVM_PV_RULE};
static const struct ts_stat_table stats = {"flush.kvm_pv", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_kvm_pv = {
    .name = "kvm_pv",
    .summary = "KVM PV TLB flush: preempted vCPUs flush at entry, the others get IPIs",
    .reference = "arch/x86/kernel/kvm.c kvm_flush_tlb_multi, 6.12; arch/x86/kvm/x86.c "
                 "record_steal_time; thread kvm-flush-tlb-multi",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_PV_TLB_FLUSH,
    .remote_by_mask = true,
    .stats = &stats,
    .state_size = sizeof(struct ts_kvm_pv_state),
    .flush_multi = ts_kvm_pv_flush_multi,
};
