/* SPDX-License-Identifier: Apache-2.0 */
/* The Hyper-V flush hypercalls as a Windows guest uses them: the process's active processors, idle
 * ones and the caller's own among them, and the pages of its list, or the whole space. */
#include "models/flush/flush_hyperv.h"

struct windows_state {
    struct ts_hv_flush_calls calls;
    uint64_t targets;
};

/* Neighbouring pages share an entry. */
static uint32_t put_pages(struct ts_hv_block *b, const uint64_t *pages, uint32_t n)
{
    uint32_t reps = 0;
    for (uint32_t i = 0, k; i < n; i = k, reps++) {
        uint64_t entry = pages[i];
        for (k = i + 1; k < n && pages[k] == pages[k - 1] + 4096; k++)
            entry++; /* of the pages that follow the first */
        TS_ASSERT(k - i <= TS_HV_GVA_PAGES_MAX);
        ts_hv_put(b, &entry, sizeof(entry));
    }
    return reps;
}

static bool flush_by_hypercall(struct ts_task *self, const struct ts_cpumask *cpus,
                               struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct windows_state *state = g->flush_state;
    ts_time mark = ts_task_now(self);
    enum ts_hv_form form = ts_hv_form_of(cpus);
    uint32_t n = ts_cpumask_count(cpus), banks, reps;
    bool all = info->end == UINT64_MAX;
    struct ts_hv_block b = {.page = g->vm->input[gc->id],
                            .registers = g->vm->hv_xmm_input && g->nt.fast_calls};
    if (form == TS_HV_FORM_EX && !g->vm->ex_processor_masks)
        return false;
    ts_task_work(self, n * g->params.smp_call_target_cycles);
    banks = ts_hv_put_processors(&b, form, cpus, info->mm ? ts_pgtable_root(info->mm->pgtable) : 0,
                                 (all ? TS_HV_FLUSH_NON_GLOBAL_ONLY : 0u) |
                                     (info->mm ? 0u : TS_HV_FLUSH_ALL_SPACES));
    reps = all ? 0 : put_pages(&b, info->list, info->nlist);
    if (!ts_hv_flush_call(self, form, banks, reps, &b, record, &mark))
        return false;
    state->targets += n;
    n -= ts_cpumask_test(cpus, gc->id);
    record->targets += n;
    g->stats.targets += n;
    return true;
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    ts_hv_flush_or_native(self, mask, info, record, flush_by_hypercall);
}

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct windows_state, f), "1", h                             \
    }
static const struct ts_stat rows[] = {
    TS_HV_CALL_STATS,
    ROW(targets, "processors named, the caller included"),
};
static const struct ts_stat_rule rules[] = {TS_HV_CALL_RULE};
static const struct ts_stat_table stats = {"flush.hyperv_windows", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_hyperv_windows = {
    .name = "hyperv_windows",
    .summary = "Hyper-V flush hypercalls of a Windows guest",
    .reference = "TLFS, HvFlushVirtualAddressSpace(Ex) and -List(Ex); thread "
                 "pv-tlb-flush-windows-guests-kvm; how Windows fills them in is assumed",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_HV_FLUSH,
    .guests = TS_FOR_WINDOWS,
    .order = TS_ORDER_CONCURRENT,
    .remote_by_mask = true,
    .stats = &stats,
    .state_size = sizeof(struct windows_state),
    .flush_multi = flush_multi,
};
