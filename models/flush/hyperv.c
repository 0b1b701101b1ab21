/* SPDX-License-Identifier: Apache-2.0 */
/* The Hyper-V flush hypercalls as a current Linux guest uses them: one call names the processors
 * and the hypervisor flushes, the caller's own CPU included. */
#include "models/flush/flush_hyperv.h"
#include "models/flush/flush_update_gen.h"

struct hyperv_state {
    struct ts_hv_flush_calls calls;
    uint64_t empty, targets, lazy_skipped;
    struct ts_update_gen_stats update;
};

struct hyperv_params {
    struct ts_update_gen_params update;
    uint64_t max_gvas; /* 0: what the page has room for */
    uint64_t split;    /* bool */
};

/* The processor set: lazy CPUs stay out unless tables are freed (6.12), or they do not ask for what
 * they have missed: the call as first merged left none out (thread hyperv-guest-flush-hypercall).
 */
static void build_set(struct ts_task *self, const struct ts_cpumask *cpus,
                      const struct ts_flush_info *info, struct hyperv_state *state)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_cpumask *set = &gc->flush_mask;
    bool skips = g->params.lazy_rule == TS_LAZY_SKIP && !info->freed_tables;
    TS_ASSERT(gc->cpu->irq_off && cpus->nbits == g->ncpus); /* the input page is this CPU's */
    ts_cpumask_copy(set, cpus);
    TS_CPUMASK_FOR_EACH(cpu, cpus)
    {
        ts_task_work(self, g->params.smp_call_target_cycles);
        if (!skips || cpu == gc->id)
            continue;
        ts_task_line(self, &g->cpus[cpu].lazy_line, TS_LINE_READ);
        if (ts_guest_cpu_lazy(&g->cpus[cpu])) {
            ts_cpumask_clear(set, cpu);
            state->lazy_skipped++;
        }
    }
}

/* Up to max entries behind what is in the page, for [start, end). Returns how many there are, 0:
 * they would be more, and the whole space is flushed instead, unless the rest may follow in further
 * calls
 * (*start is moved to where that begins). */
static uint32_t put_list(struct ts_hv_block *b, const struct hyperv_params *params, uint64_t *start,
                         uint64_t end)
{
    uint64_t room = (TS_INPUT_PAGE_BYTES - b->bytes) / sizeof(uint64_t);
    uint64_t list[TS_INPUT_PAGE_BYTES / sizeof(uint64_t)];
    uint64_t n;
    if (params->max_gvas && params->max_gvas < room)
        room = params->max_gvas;
    n = ts_hv_fill_gva_list(list, room, *start, end);
    if (n > room && !params->split)
        return 0;
    n = n < room ? n : room;
    *start = ts_hv_gva_start(list[n - 1]) + ts_hv_gva_pages(list[n - 1]) * 4096;
    ts_hv_put(b, list, n * sizeof(uint64_t));
    return (uint32_t)n;
}

/* One call; *start becomes where the next one is to begin, info->end if none is needed. */
static bool make_call(struct ts_task *self, enum ts_hv_form form, const struct ts_flush_info *info,
                      uint64_t *start, struct ts_shootdown_record *record, ts_time *mark)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    const struct ts_cpumask *set = &gc->flush_mask;
    struct ts_hv_block b = {.page = gc->guest->vm->input[gc->id]};
    uint64_t space = info->mm ? ts_pgtable_root(info->mm->pgtable) : 0;
    uint64_t flags = info->mm ? 0 : TS_HV_FLUSH_ALL_SPACES;
    uint32_t banks, reps = 0;
    if (info->end == UINT64_MAX)
        flags |= TS_HV_FLUSH_NON_GLOBAL_ONLY;
    banks = ts_hv_put_processors(&b, form, set, space, flags);
    if (info->end != UINT64_MAX)
        reps = put_list(&b, gc->guest->flush_params, start, info->end);
    if (!reps)
        *start = info->end;
    return ts_hv_flush_call(self, form, banks, reps, &b, record, mark);
}

/* As many as it takes; false: one of them failed. */
static bool make_calls(struct ts_task *self, enum ts_hv_form form, const struct ts_flush_info *info,
                       struct ts_shootdown_record *record, ts_time *mark)
{
    uint64_t start = info->start;
    do {
        if (!make_call(self, form, info, &start, record, mark))
            return false;
    } while (start < info->end);
    return true;
}

/* hyperv_flush_tlb_multi. False: not to be had, flush natively. */
static bool flush_by_hypercall(struct ts_task *self, const struct ts_cpumask *cpus,
                               struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct hyperv_state *state = g->flush_state;
    const struct hyperv_params *params = g->flush_params;
    ts_time mark = ts_task_now(self);
    enum ts_hv_form form = ts_hv_form_of(cpus);
    if (form == TS_HV_FORM_EX && !g->vm->ex_processor_masks)
        return false;
    if (form == TS_HV_FORM_ALL)
        ts_cpumask_copy(&gc->flush_mask, cpus); /* lazy CPUs and all: nobody looks */
    else
        build_set(self, cpus, info, state);
    uint32_t n = ts_cpumask_count(&gc->flush_mask);
    state->empty += n == 0;
    if (n == 0 && form == TS_HV_FORM_MASK)
        return true;
    if (!make_calls(self, form, info, record, &mark))
        return false;
    state->targets += n;
    TS_CPUMASK_FOR_EACH(cpu, &gc->flush_mask)
    {
        if (info->mm)
            ts_assisted_flushed(gc, &g->cpus[cpu], info, info->end == UINT64_MAX);
        ts_update_gen(self, &g->cpus[cpu], info, &params->update, &state->update);
    }
    uint32_t others = n - (ts_cpumask_test(&gc->flush_mask, gc->id) ? 1u : 0u);
    record->targets += others;
    g->stats.targets += others;
    return true;
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    ts_hv_flush_or_native(self, mask, info, record, flush_by_hypercall);
}

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct hyperv_state, f), "1", h                              \
    }
static const struct ts_stat rows[] = {
    TS_HV_CALL_STATS,
    ROW(empty, "flushes whose CPUs were all lazy: no call, or one of an empty set"),
    ROW(targets, "processors named, the caller included"),
    ROW(lazy_skipped, "lazy CPUs left out"),
    TS_UPDATE_GEN_STATS(hyperv_state, update),
};
static const struct ts_stat_rule rules[] = {
    TS_HV_CALL_RULE,
    TS_UPDATE_GEN_RULE,
};
static const struct ts_param param_rows[] = {
    TS_UPDATE_GEN_PARAMS(TS_UPDATE_OFF),
    {"max_gvas", TS_PARAM_COUNT, offsetof(struct hyperv_params, max_gvas), 0, 0,
     TS_INPUT_PAGE_BYTES / sizeof(uint64_t), NULL,
     "entries of a call's list at most, 4,096 pages each; 0: as many as the input page has room "
     "for, 509 behind a mask of 64 processors",
     "arch/x86/hyperv/mmu.c hyperv_flush_tlb_multi, 6.1 and 6.12; the patch of April 2017 had "
     "HV_MMU_MAX_GVAS 16",
     TS_CONF_CHOICE},
    {"split_list", TS_PARAM_BOOL, offsetof(struct hyperv_params, split), 0, 0, 1, NULL,
     "a range that is too long for one list takes further calls, as first posted; off: the whole "
     "space is flushed",
     "thread hyperv-guest-flush-hypercall, patch 6/7: more_gvas", TS_CONF_CHOICE},
};
static const struct ts_param_table param_table = {"flush.hyperv", param_rows,
                                                  TS_ARRAY_LEN(param_rows)};
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
    .params = &param_table,
    .params_size = sizeof(struct hyperv_params),
    .stats = &stats,
    .state_size = sizeof(struct hyperv_state),
    .flush_multi = flush_multi,
};
