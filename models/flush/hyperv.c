/* SPDX-License-Identifier: Apache-2.0 */
/* The Hyper-V flush hypercalls as a current Linux guest uses them: one call names the processors
 * and the hypervisor flushes, the caller's own CPU included. */
#include <string.h>

#include "models/flush/flush_update_gen.h"

struct hyperv_state {
    uint64_t hypercalls, list_calls, space_calls, ex_calls, native_fallbacks, empty, targets,
        lazy_skipped;
    struct ts_update_gen_stats update;
};

struct hyperv_params {
    struct ts_update_gen_params update;
};

/* The processor set: lazy CPUs stay out unless tables are freed. */
static void build_set(struct ts_task *self, const struct ts_cpumask *cpus,
                      const struct ts_flush_info *info, struct hyperv_state *state)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_cpumask *set = &gc->flush_mask;
    TS_ASSERT(gc->cpu->irq_off && cpus->nbits == g->ncpus); /* the input page is this CPU's */
    ts_cpumask_copy(set, cpus);
    TS_CPUMASK_FOR_EACH(cpu, cpus)
    {
        ts_task_work(self, g->params.smp_call_target_cycles);
        if (info->freed_tables || cpu == gc->id)
            continue;
        ts_task_line(self, &g->cpus[cpu].lazy_line, TS_LINE_READ);
        if (g->cpus[cpu].is_lazy) {
            ts_cpumask_clear(set, cpu);
            state->lazy_skipped++;
        }
    }
}

/* The input block under construction: hyperv_pcpu_input_arg. */
struct block {
    uint8_t *page;
    uint32_t bytes;
};

static void put(struct block *b, const void *data, size_t bytes)
{
    TS_ASSERT(b->bytes + bytes <= TS_INPUT_PAGE_BYTES);
    memcpy(b->page + b->bytes, data, bytes);
    b->bytes += (uint32_t)bytes;
}

static uint32_t last_of(const struct ts_cpumask *m)
{
    uint32_t last = 0;
    TS_CPUMASK_FOR_EACH(cpu, m)
    {
        last = cpu;
    }
    return last;
}

/* cpumask_to_vpset: banks of 64 VPs; returns their number. A VP's number is its CPU's. */
static uint32_t put_sparse_set(struct block *b, const struct ts_cpumask *set, uint64_t space,
                               uint64_t flags)
{
    struct ts_hv_flush_ex_input in = {space, flags, TS_HV_SET_SPARSE_4K, 0};
    uint32_t nbanks = last_of(set) / 64 + 1, used = 0;
    TS_ASSERT(nbanks <= 64 && ts_cpumask_count(set) > 0);
    for (uint32_t k = 0; k < nbanks; k++)
        in.valid_bank_mask |= (uint64_t)(set->w[k] != 0) << k;
    put(b, &in, sizeof(in));
    for (uint32_t k = 0; k < nbanks; k++) {
        if (!set->w[k])
            continue;
        put(b, &set->w[k], sizeof(set->w[k]));
        used++;
    }
    return used;
}

/* The list, if it is to be one and fits behind what is in the page. Returns its length, 0: flush
 * the whole space. */
static uint32_t put_list(struct block *b, const struct ts_flush_info *info)
{
    uint64_t room = (TS_INPUT_PAGE_BYTES - b->bytes) / sizeof(uint64_t);
    uint64_t list[TS_INPUT_PAGE_BYTES / sizeof(uint64_t)];
    uint64_t n;
    if (info->end == UINT64_MAX)
        return 0;
    n = ts_hv_fill_gva_list(list, room, info->start, info->end);
    if (n > room)
        return 0;
    put(b, list, n * sizeof(uint64_t));
    return (uint32_t)n;
}

/* Writes the input block of one flush; returns the control word. everybody: cpus was the set of all
 * present CPUs, which is named by a flag, without the lazy filter. */
static uint64_t fill_input(struct ts_guest_cpu *gc, struct block *b, struct ts_flush_info *info,
                           bool everybody)
{
    const struct ts_cpumask *set = &gc->flush_mask;
    uint64_t space = info->mm ? ts_pgtable_root(info->mm->pgtable) : 0;
    uint64_t flags = info->mm ? 0 : TS_HV_FLUSH_ALL_SPACES;
    bool ex = !everybody && last_of(set) >= 64;
    uint32_t banks = 0;
    if (info->end == UINT64_MAX)
        flags |= TS_HV_FLUSH_NON_GLOBAL_ONLY;
    if (ex) {
        banks = put_sparse_set(b, set, space, flags);
    } else {
        struct ts_hv_flush_input in = {space, flags, everybody ? 0 : set->w[0]};
        in.flags |= everybody ? TS_HV_FLUSH_ALL_PROCESSORS : 0;
        put(b, &in, sizeof(in));
    }
    uint32_t reps = put_list(b, info);
    enum ts_hv_call code = ex     ? reps ? TS_HVCALL_FLUSH_LIST_EX : TS_HVCALL_FLUSH_SPACE_EX
                           : reps ? TS_HVCALL_FLUSH_LIST
                                  : TS_HVCALL_FLUSH_SPACE;
    return ts_hv_control(code, banks, reps);
}

/* hyperv_flush_tlb_multi. False: not to be had, flush natively. */
static bool flush_by_hypercall(struct ts_task *self, const struct ts_cpumask *cpus,
                               struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct hyperv_state *state = g->flush_state;
    ts_time mark = ts_task_now(self);
    bool everybody = ts_cpumask_count(cpus) == g->ncpus;
    build_set(self, cpus, info, state);
    if (everybody)
        ts_cpumask_copy(&gc->flush_mask, cpus);
    uint32_t n = ts_cpumask_count(&gc->flush_mask);
    if (n == 0) {
        state->empty++;
        return true;
    }
    struct block block = {g->vm->input[gc->id], 0};
    struct ts_hypercall call = {.abi = TS_ABI_HYPERV};
    call.number = fill_input(gc, &block, info, everybody);
    call.input = block.page;
    call.input_bytes = block.bytes;
    TS_ASSERT(block.bytes % sizeof(uint64_t) == 0 && n <= g->ncpus);
    uint32_t code = ts_hv_control_code(call.number);
    bool ex = code == TS_HVCALL_FLUSH_LIST_EX || code == TS_HVCALL_FLUSH_SPACE_EX;
    uint32_t reps = ts_hv_control_rep_count(call.number);
    if (ex && !g->vm->ex_processor_masks)
        return false;
    ts_path_add(self, record, TS_PATH_SEND, &mark);
    ts_hypercall(self, g->vm, &call);
    ts_path_add_hypercall(self, record, &call.times, &mark);
    if (ts_hv_result_status(call.result) != TS_HV_STATUS_SUCCESS)
        return false;
    TS_ASSERT(ts_hv_result_reps(call.result) == reps);
    state->hypercalls++;
    state->list_calls += reps != 0;
    state->space_calls += reps == 0;
    state->ex_calls += ex;
    state->targets += n;
    const struct hyperv_params *params = g->flush_params;
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
    struct hyperv_state *state = ts_guest_cpu_of(self)->guest->flush_state;
    ts_irq_disable(self);
    bool done = flush_by_hypercall(self, mask, info, record);
    ts_irq_enable(self);
    if (done)
        return;
    state->native_fallbacks++;
    ts_native_flush_tlb_multi(self, mask, info, record);
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
    ROW(empty, "flushes whose CPUs were all lazy: no call"),
    ROW(targets, "processors named, the caller included"),
    ROW(lazy_skipped, "lazy CPUs left out"),
    TS_UPDATE_GEN_STATS(hyperv_state, update),
};
static const struct ts_stat_rule rules[] = {
    {"a call is by list or by space", {"+hypercalls", "-list_calls", "-space_calls"}},
    TS_UPDATE_GEN_RULE,
};
static const struct ts_param param_rows[] = {TS_UPDATE_GEN_PARAMS(TS_UPDATE_OFF)};
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
