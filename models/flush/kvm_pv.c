/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's paravirtual TLB flush: a target that the host has preempted gets a flag in its steal-time
 * record instead of an IPI, and flushes when it is next entered. */
#include "models/flush/flush.h"

struct kvm_pv_state {
    uint64_t examined, deferred, cmpxchg_failed, interrupted; /* examined = the other three */
    uint64_t merged;
};

static void flush_multi(struct ts_task *self, const struct ts_cpumask *cpus,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct kvm_pv_state *state = g->flush_state;
    struct ts_cpumask *mask = &gc->flush_mask;

    ts_cpumask_copy(mask, cpus);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        struct ts_steal_area *area = ts_guest_cpu_steal(&g->cpus[cpu]);
        if (cpu == gc->id)
            continue; /* the executing vCPU is not preempted */
        state->examined++;
        ts_task_line(self, &area->line, TS_LINE_READ);
        uint32_t seen = area->preempted;
        if (!(seen & TS_STEAL_PREEMPTED)) {
            state->interrupted++;
            continue;
        }
        /* One attempt: whoever changed the byte in between makes this an IPI. */
        ts_task_line(self, &area->line, TS_LINE_RMW);
        if (area->preempted != seen) {
            state->cmpxchg_failed++;
            continue;
        }
        state->merged += (seen & TS_STEAL_FLUSH_TLB) != 0;
        area->preempted = seen | TS_STEAL_FLUSH_TLB;
        ts_cpumask_clear(mask, cpu);
        state->deferred++;
    }
    ts_native_flush_tlb_multi(self, mask, info, record);
}

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct kvm_pv_state, f), "1", h                              \
    }
static const struct ts_stat rows[] = {
    ROW(examined, "targets whose preempted byte was read"),
    ROW(deferred, "targets left to flush at their next entry"),
    ROW(cmpxchg_failed, "targets whose byte changed under the compare-and-exchange"),
    ROW(interrupted, "targets not reported as preempted"),
    ROW(merged, "deferred, and another flush was to be done at that entry already"),
};
static const struct ts_stat_rule rules[] = {
    {"each examined target goes one way",
     {"+examined", "-deferred", "-cmpxchg_failed", "-interrupted"}},
};
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
    .state_size = sizeof(struct kvm_pv_state),
    .flush_multi = flush_multi,
};
