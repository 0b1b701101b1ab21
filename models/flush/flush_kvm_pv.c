/* SPDX-License-Identifier: Apache-2.0 */
#include "models/flush/flush_kvm_pv.h"

#include "models/guest/coherence/assisted.h"

struct ts_cpumask *ts_kvm_pv_defer(struct ts_task *self, const struct ts_cpumask *cpus,
                                   const struct ts_flush_info *info,
                                   ts_kvm_pv_deferred_fn *deferred)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_kvm_pv_state *state = g->flush_state;
    struct ts_cpumask *mask = &gc->flush_mask;

    TS_ASSERT(gc->cpu->preempt_off && info->initiator == gc->id);
    ts_cpumask_copy(mask, cpus);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        struct ts_steal_area *area = ts_guest_cpu_steal(&g->cpus[cpu]);
        TS_ASSERT(cpu < g->ncpus);
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
        /* The entry flushes all of the vCPU's tags. */
        if (info->mm)
            ts_assisted_flushed(gc, &g->cpus[cpu], info, true);
        if (deferred)
            deferred(self, &g->cpus[cpu], info);
    }
    return mask;
}

void ts_kvm_pv_flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                           struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    ts_native_flush_tlb_multi(self, ts_kvm_pv_defer(self, mask, info, NULL), info, record);
}
