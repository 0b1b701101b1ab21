/* SPDX-License-Identifier: Apache-2.0 */
/* docs/write-a-mechanism.md, second try: the host is asked to flush when it enters the vCPU. Still
 * wrong: between the look and the store the vCPU may have been entered, and nobody flushes. */
#include "models/flush/flush.h"

static void flush_multi(struct ts_task *self, const struct ts_cpumask *cpus,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_cpumask *mask = &gc->flush_mask;

    ts_cpumask_copy(mask, cpus);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        struct ts_steal_area *area = ts_guest_cpu_steal(&gc->guest->cpus[cpu]);
        if (cpu == gc->id)
            continue;
        ts_task_line(self, &area->line, TS_LINE_READ);
        if (area->preempted & TS_STEAL_PREEMPTED) {
            ts_task_line(self, &area->line, TS_LINE_RMW);
            area->preempted = TS_STEAL_PREEMPTED | TS_STEAL_FLUSH_TLB;
            ts_cpumask_clear(mask, cpu);
        }
    }
    ts_native_flush_tlb_multi(self, mask, info, record);
}

const struct ts_flush_ops ts_flush_skip_preempted_2 = {
    .name = "skip_preempted_2",
    .summary = "preempted vCPUs are asked to flush when they are entered",
    .reference = "an example",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_PV_TLB_FLUSH,
    .remote_by_mask = true,
    .flush_multi = flush_multi,
};
