/* SPDX-License-Identifier: Apache-2.0 */
/* The Hyper-V flush hypercalls as a current Linux guest uses them: one call names the processors
 * and the hypervisor flushes, the caller's own CPU included. */
#include "models/flush/flush.h"
#include "models/hypervisor/hypervisor.h"

enum {
    HV_FLUSH_UNIT_SHIFT = 12 + 12, /* 4096 pages a GVA list entry */
    HV_LIST_MAX = 509,             /* (4096 - 24) / 8 entries in one input page */
    HV_PAGES_PER_ENTRY = 4096
};

struct hyperv_state {
    uint64_t hypercalls, list_calls, space_calls, ex_calls, native_fallbacks, targets, lazy_skipped;
};

/* The processor set: lazy CPUs stay out unless tables are freed; a set of everybody is named by the
 * flag, without that filter. */
static void build_set(struct ts_task *self, struct ts_flush_info *info, struct hyperv_state *state)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_cpumask *set = &gc->flush_mask;
    ts_cpumask_copy(set, &info->mm->cpumask);
    bool everybody = ts_cpumask_count(set) == g->ncpus;
    TS_CPUMASK_FOR_EACH(cpu, &info->mm->cpumask)
    {
        ts_task_work(self, g->params.smp_call_target_cycles);
        if (everybody || info->freed_tables || cpu == gc->id)
            continue;
        ts_task_line(self, &g->cpus[cpu].lazy_line, TS_LINE_READ);
        if (g->cpus[cpu].is_lazy) {
            ts_cpumask_clear(set, cpu);
            state->lazy_skipped++;
        }
    }
}

static void flush(struct ts_task *self, struct ts_flush_info *info,
                  struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct hyperv_state *state = g->flush_state;
    uint64_t npages = 0;
    uint64_t start = 0;

    ts_irq_disable(self);
    build_set(self, info, state);
    if (info->end != UINT64_MAX &&
        (info->end - info->start) >> HV_FLUSH_UNIT_SHIFT <= HV_LIST_MAX) {
        start = info->start;
        npages = (info->end - info->start) >> 12;
    }
    uint32_t n = ts_cpumask_count(&gc->flush_mask);
    if (!ts_hypervisor_hv_flush(self, &gc->flush_mask, start, npages, record)) {
        ts_irq_enable(self);
        state->native_fallbacks++;
        ts_native_flush_tlb_multi(self, &info->mm->cpumask, info, true, record);
        return;
    }
    ts_irq_enable(self);
    state->hypercalls++;
    state->list_calls += npages != 0;
    state->space_calls += npages == 0;
    state->ex_calls += g->ncpus > 64;
    state->targets += n;
    record->targets += n - 1;
    g->stats.targets += n - 1;
}

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct hyperv_state, f), "1", h                              \
    }
static const struct ts_stat rows[] = {
    ROW(hypercalls, "flush hypercalls"),
    ROW(list_calls, "HvFlushVirtualAddressList(Ex)"),
    ROW(space_calls, "HvFlushVirtualAddressSpace(Ex)"),
    ROW(ex_calls, "calls with a sparse processor set (more than 64 VPs)"),
    ROW(native_fallbacks, "flushes by IPI because the hypercall was not to be had"),
    ROW(targets, "processors named, the caller included"),
    ROW(lazy_skipped, "lazy CPUs left out"),
};
static const struct ts_stat_rule rules[] = {
    {"a call is by list or by space", {"+hypercalls", "-list_calls", "-space_calls"}},
};
static const struct ts_stat_table stats = {"flush.hyperv", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_hyperv = {
    .name = "hyperv",
    .summary = "Hyper-V flush hypercall: the hypervisor flushes the named vCPUs",
    .reference = "arch/x86/hyperv/mmu.c hyperv_flush_tlb_multi, 6.12; arch/x86/kvm/hyperv.c "
                 "kvm_hv_flush_tlb; threads hyperv-guest-flush-hypercall and "
                 "pv-tlb-flush-windows-guests-kvm",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_HV_FLUSH,
    .remote_by_mask = true,
    .stats = &stats,
    .state_size = sizeof(struct hyperv_state),
    .flush = flush,
};
