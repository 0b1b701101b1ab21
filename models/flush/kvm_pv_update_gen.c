/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's paravirtual TLB flush in which who has left a preempted target its flag also writes the
 * target's tlb_gen, so that the flush at entry is not made once more in software. */
#include "models/flush/flush_kvm_pv.h"
#include "models/flush/flush_update_gen.h"

struct state {
    struct ts_kvm_pv_state pv;
    struct ts_update_gen_stats update;
};

static void update_gen(struct ts_task *self, struct ts_guest_cpu *target,
                       const struct ts_flush_info *info)
{
    struct state *state = target->guest->flush_state;
    ts_update_gen(self, target, info, target->guest->flush_params, &state->update);
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    ts_native_flush_tlb_multi(self, ts_kvm_pv_defer(self, mask, info, update_gen), info, record);
}

static const struct ts_param param_rows[] = {TS_UPDATE_GEN_PARAMS(TS_UPDATE_FULL_AND_PARTIAL)};
static const struct ts_param_table params = {"flush.kvm_pv_update_gen", param_rows,
                                             TS_ARRAY_LEN(param_rows)};
static const struct ts_stat rows[] = {TS_KVM_PV_STATS, TS_UPDATE_GEN_STATS(state, update)};
static const struct ts_stat_rule rules[] = {TS_KVM_PV_RULE, TS_UPDATE_GEN_RULE};
static const struct ts_stat_table stats = {"flush.kvm_pv_update_gen", rows, TS_ARRAY_LEN(rows),
                                           rules, TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_kvm_pv_update_gen = {
    .name = "kvm_pv_update_gen",
    .summary = "kvm_pv that also writes the tlb_gen of the targets it defers",
    .reference = "thread kvm-flush-tlb-multi, A. Lutomirski, 25 June 2019; never posted as a patch",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_PV_TLB_FLUSH,
    .remote_by_mask = true,
    .params = &params,
    .params_size = sizeof(struct ts_update_gen_params),
    .stats = &stats,
    .state_size = sizeof(struct state),
    .flush_multi = flush_multi,
};
