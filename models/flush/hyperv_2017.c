/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux guest's Hyper-V flush hypercalls as they were first posted (thread
 * hyperv-guest-flush-hypercall, patch 6/7 of April 2017), with their faults as they stand there:
 *
 * | fault | the patch                                            | what comes of it         |
 * |-------|------------------------------------------------------|--------------------------|
 * | B1    | a whole flush assigns its flags: ALL_PROCESSORS is   | the call names nobody;   |
 * |       | lost, and the mask is 0                              | a later KVM flushes all  |
 * | B2    | `1 << vcpu` is an int's shift: VP 31 sets bits 31 to | the VP meant may not be  |
 * |       | 63, VP v above it bit v - 32 (x86: count mod 32)     | flushed, others are      |
 * | B3    | lazy CPUs are named                                  | needless flushes         |
 * | B4    | mm->pgd without a look at mm                         | an oops where it is NULL |
 * | B5    | no tlb_gen is written                                | flushes made once more   |
 *
 * As flush_tlb_others it is for the others: the initiator flushes itself before (4.11
 * flush_tlb_mm_range), though its own VP is in the set as well. */
#include "models/flush/flush_hyperv.h"
#include "models/guest/coherence/assisted.h"

enum { MAX_GVAS = 16 }; /* HV_MMU_MAX_GVAS */

struct state {
    struct ts_hv_flush_calls calls;
    uint64_t all_processors;
};

/* What one call's input holds before its list. */
struct processors {
    uint64_t flags, mask;
};

/* False: there is a VP that the mask has no bit for. */
static bool name_processors(struct ts_task *self, const struct ts_cpumask *cpus,
                            struct processors *p)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct state *state = g->flush_state;
    *p = (struct processors){0};
    if (ts_cpumask_count(cpus) == g->ncpus) {
        p->flags = TS_HV_FLUSH_ALL_PROCESSORS;
        state->all_processors++;
        return true;
    }
    TS_CPUMASK_FOR_EACH(vcpu, cpus)
    {
        ts_task_work(self, g->params.smp_call_target_cycles);
        if (vcpu >= 64)
            return false;
        p->mask |= (uint64_t)(int64_t)(int32_t)(UINT32_C(1) << vcpu % 32); /* B2 */
    }
    return true;
}

/* Whoever the call has named has been flushed, or will be before it runs. */
static void note_flushed(struct ts_task *self, const struct ts_flush_info *info,
                         const struct processors *p)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    for (uint32_t i = 0; i < g->ncpus; i++) {
        bool named = i < 64 && (p->mask >> i & 1u);
        if (named || (p->flags & TS_HV_FLUSH_ALL_PROCESSORS))
            ts_assisted_flushed(gc, &g->cpus[i], info, info->end == UINT64_MAX);
    }
}

static bool call(struct ts_task *self, struct ts_flush_info *info, const struct processors *p,
                 const uint64_t *list, uint32_t n, struct ts_shootdown_record *record,
                 ts_time *mark)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_hv_block b = {.page = gc->guest->vm->input[gc->id]};
    struct ts_hv_flush_input in = {ts_pgtable_root(info->mm->pgtable), p->flags, p->mask};
    ts_hv_put(&b, &in, sizeof(in));
    ts_hv_put(&b, list, n * sizeof(*list));
    return ts_hv_flush_call(self, TS_HV_FORM_MASK, 0, n, &b, record, mark);
}

/* hyperv_flush_tlb_others; false: it goes on natively. */
static bool flush_others(struct ts_task *self, const struct ts_cpumask *cpus,
                         struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct processors p;
    uint64_t list[MAX_GVAS];
    ts_time mark = ts_task_now(self);
    if (!name_processors(self, cpus, &p))
        return false;
    if (info->end == UINT64_MAX) {
        p.flags = TS_HV_FLUSH_NON_GLOBAL_ONLY; /* B1 */
        if (!call(self, info, &p, list, 0, record, &mark))
            return false;
    }
    for (uint64_t at = info->start; info->end != UINT64_MAX && at < info->end;
         at += MAX_GVAS * TS_HV_GVA_UNIT) {
        uint64_t n = ts_hv_fill_gva_list(list, MAX_GVAS, at, info->end);
        n = n < MAX_GVAS ? n : MAX_GVAS;
        if (!call(self, info, &p, list, (uint32_t)n, record, &mark))
            return false;
    }
    note_flushed(self, info, &p);
    return true;
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct state *state = g->flush_state;
    struct ts_cpumask *others = &gc->flush_mask;
    ts_time mark = ts_task_now(self);
    bool done;
    if (ts_cpumask_test(mask, gc->id)) {
        ts_flush_local(self, info);
        ts_path_add(self, record, TS_PATH_LOCAL, &mark);
    }
    if (!info->mm) { /* B4 */
        struct ts_error oops = {0};
        (void)ts_error_set(&oops, TS_ERR_FINDING,
                           "flush.hyperv_2017: a flush that is of no one address space: the patch "
                           "reads mm->pgd of a NULL mm, and the kernel stops with an oops");
        ts_guest_stop(self, g, &oops);
    }
    ts_irq_disable(self); /* spin_lock_irqsave of the CPU's own lock, never contended */
    done = flush_others(self, mask, info, record);
    ts_irq_enable(self);
    ts_cpumask_copy(others, mask);
    if (ts_cpumask_test(others, gc->id))
        ts_cpumask_clear(others, gc->id);
    if (done) {
        record->targets += ts_cpumask_count(others);
        g->stats.targets += ts_cpumask_count(others);
        return;
    }
    state->calls.native_fallbacks++;
    ts_native_flush_tlb_multi(self, others, info, record);
}

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct state, f), "1", h                                     \
    }
static const struct ts_stat rows[] = {
    TS_HV_CALL_STATS,
    ROW(all_processors, "flushes whose set was that of all CPUs"),
};
static const struct ts_stat_rule rules[] = {TS_HV_CALL_RULE};
static const struct ts_stat_table stats = {"flush.hyperv_2017", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_hyperv_2017 = {
    .name = "hyperv_2017",
    .summary = "Hyper-V flush hypercall as first posted, with its faults",
    .reference = "thread hyperv-guest-flush-hypercall, V. Kuznetsov, 7 April 2017, patch 6/7: "
                 "hyperv_flush_tlb_others",
    .faults = "a whole flush of all CPUs names no processor (B1); VP 31 is named as 31 to 63, VPs "
              "32 to 63 as VP - 32 (B2); a flush of no one address space is an oops (B4)",
    .needs = TS_NEEDS_X86 | TS_NEEDS_VM | TS_NEEDS_HV_FLUSH,
    .order = TS_ORDER_SEQUENTIAL,
    .remote_by_mask = true,
    .stats = &stats,
    .state_size = sizeof(struct state),
    .flush_multi = flush_multi,
};
