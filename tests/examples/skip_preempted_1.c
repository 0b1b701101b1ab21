/* SPDX-License-Identifier: Apache-2.0 */
/* docs/write-a-mechanism.md, first try: a vCPU that the host has preempted runs nothing, so it
 * needs no interrupt. Wrong: it goes on with what it had. */
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
        if (area->preempted & TS_STEAL_PREEMPTED)
            ts_cpumask_clear(mask, cpu);
    }
    ts_native_flush_tlb_multi(self, mask, info, record);
}

const struct ts_flush_ops ts_flush_skip_preempted_1 = {
    .name = "skip_preempted_1",
    .summary = "no interrupts for preempted vCPUs",
    .reference = "an example",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_PV_TLB_FLUSH,
    .remote_by_mask = true,
    .flush_multi = flush_multi,
};
