/* SPDX-License-Identifier: Apache-2.0 */
/* AMD's broadcast invalidation as Linux uses it since 6.15: an address space that flushes often and
 * runs on several CPUs at once gets an ASID that all CPUs share, and from then on INVLPGB and
 * TLBSYNC do what interrupts did. Its CPUs keep no generation: what they hold is always up to date.
 *
 * The rest of the time, and for all other address spaces, flushes are native. */
#include <stdlib.h>

#include "models/cpu/dvm_port.h"
#include "models/flush/flush.h"
#include "models/guest/coherence/pti.h"
#include "models/guest/lock/spinlock.h"

enum { ASIDS_MAX = 4094 }; /* MAX_ASID_AVAILABLE: 2^12 less two */

struct invlpgb_params {
    uint64_t count_max;      /* pages that one instruction names at most */
    uint64_t issue_cycles;   /* one INVLPGB */
    uint64_t promote_cpus;   /* more CPUs than this: a global ASID */
    uint64_t promote_sample; /* of this many flushes one asks */
    uint64_t asids;          /* MAX_ASID_AVAILABLE */
};

struct invlpgb_state {
    uint64_t broadcasts, instructions, tlbsyncs, asid_promotions, asid_rollovers, asid_exhausted,
        transition_ipis, transitions_ended, stragglers;
    struct ts_spinlock lock; /* global_asid_lock; what follows is under it */
    uint64_t used[ASIDS_MAX / 64 + 1], freed[ASIDS_MAX / 64 + 1];
    uint64_t last, available;
};

static const struct invlpgb_params *params_of(const struct ts_guest *g)
{
    return g->flush_params;
}

static bool bit_test(const uint64_t *bits, uint64_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static bool is_global(const struct ts_guest_cpu *gc)
{
    return gc->loaded_asid >= gc->guest->params.nr_dyn_asids;
}

/* mm_needs_global_asid: what is loaded is on an ASID of this CPU's own still. */
static bool needs_global(const struct ts_guest_cpu *gc)
{
    uint16_t asid = gc->loaded_mm->global_asid;
    return asid && gc->loaded_asid != asid;
}

/* --- the instructions --- */

static void issue(struct ts_task *self, const struct ts_invlpgb *op)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct invlpgb_state *state = g->flush_state;
    struct ts_tlb_inval inval = ts_inval_invlpgb(op);
    ts_task_work(self, params_of(g)->issue_cycles);
    ts_dvm_port_tlbi(self, g->dvm, &inval);
    state->instructions++;
}

static void tlbsync(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ((struct invlpgb_state *)g->flush_state)->tlbsyncs++;
    ts_dvm_port_dsb(self, g->dvm);
}

/* invlpgb_flush_all_nonglobals, with its TLBSYNC. */
static void flush_all_nonglobals(struct ts_task *self)
{
    const struct ts_invlpgb op = {.asid_valid = true};
    issue(self, &op);
    tlbsync(self);
}

/* Both PCIDs with PTI. */
static void issue_pcids(struct ts_task *self, struct ts_invlpgb op)
{
    issue(self, &op);
    if (!ts_guest_cpu_of(self)->guest->params.pti)
        return;
    op.pcid |= TS_PTI_USER_PCID;
    issue(self, &op);
}

static void issue_all(struct ts_task *self, const struct ts_flush_info *info)
{
    const uint64_t n = params_of(ts_guest_cpu_of(self)->guest)->count_max;
    struct ts_invlpgb op = {.asid_valid = true,
                            .pcid_valid = true,
                            .pcid = (uint16_t)(info->mm->global_asid + 1),
                            .stride_2m = info->stride_shift == 21};
    if (info->end == UINT64_MAX) {
        issue_pcids(self, op);
        return;
    }
    op.va_valid = true;
    for (uint64_t va = info->start; va < info->end;
         va += (uint64_t)op.pages << info->stride_shift) {
        uint64_t left = (info->end - va) >> info->stride_shift;
        op.va = va;
        /* A stride of 1 GiB has no form for several. */
        op.pages = info->stride_shift > 21 ? 1u : (uint32_t)(left < n ? left : n);
        if (op.pages == 0)
            op.pages = 1;
        issue_pcids(self, op);
    }
}

/* --- global ASIDs --- */

/* allocate_global_asid. What has been freed is free once all CPUs have been flushed. */
static uint16_t allocate(struct ts_task *self, struct invlpgb_state *state, uint64_t first,
                         uint64_t end)
{
    uint64_t asid;
    if (state->last >= end - 1) {
        flush_all_nonglobals(self);
        for (size_t i = 0; i < TS_ARRAY_LEN(state->used); i++) {
            state->used[i] &= ~state->freed[i];
            state->freed[i] = 0;
        }
        state->last = first;
        state->asid_rollovers++;
    }
    for (asid = state->last; asid < end && bit_test(state->used, asid); asid++)
        ;
    if (asid >= end) {
        /* The tail is taken; the next one starts again from the front. */
        state->last = end;
        return 0;
    }
    state->used[asid / 64] |= UINT64_C(1) << asid % 64;
    state->last = asid;
    state->available--;
    return (uint16_t)asid;
}

/* mm_active_cpus_exceeds. */
static bool is_on_many_cpus(struct ts_task *self, struct ts_mm *mm, uint64_t threshold)
{
    struct ts_guest *g = mm->guest;
    uint64_t count = 0;
    ts_task_line(self, &mm->mask_line, TS_LINE_READ);
    if (ts_cpumask_count(&mm->cpumask) <= threshold)
        return false;
    TS_CPUMASK_FOR_EACH(cpu, &mm->cpumask)
    {
        struct ts_guest_cpu *gc = &g->cpus[cpu];
        ts_task_line(self, &gc->state_line, TS_LINE_READ);
        if (gc->switching || gc->loaded_mm != mm)
            continue;
        ts_task_line(self, &gc->lazy_line, TS_LINE_READ);
        if (!gc->is_lazy && ++count > threshold)
            return true;
    }
    return false;
}

static void use_global_asid(struct ts_task *self, struct ts_mm *mm)
{
    struct ts_guest *g = mm->guest;
    struct invlpgb_state *state = g->flush_state;
    uint16_t asid = 0;
    ts_irq_disable(self);
    (void)ts_spin_lock(self, &state->lock);
    if (!mm->global_asid) {
        if (state->available)
            asid = allocate(self, state, g->params.nr_dyn_asids, params_of(g)->asids);
        if (!asid)
            state->asid_exhausted++;
    }
    if (asid) {
        TS_ASSERT(asid >= g->params.nr_dyn_asids && asid < params_of(g)->asids);
        ts_task_line(self, &mm->gen_line, TS_LINE_WRITE);
        mm->asid_transition = true;
        mm->global_asid = asid;
        state->asid_promotions++;
    }
    ts_spin_unlock(self, &state->lock);
    ts_irq_enable(self);
}

/* consider_global_asid: asks in one jiffy of promote_sample, another one for each task. */
static void consider(struct ts_task *self, struct ts_mm *mm)
{
    const struct ts_guest *g = mm->guest;
    const struct invlpgb_params *p = params_of(g);
    uint64_t jiffies = ts_task_now(self) / g->domain->sched_params.tick_ps;
    if (self->number % p->promote_sample != jiffies % p->promote_sample)
        return;
    if (is_on_many_cpus(self, mm, p->promote_cpus))
        use_global_asid(self, mm);
}

/* finish_asid_transition: while a CPU runs the address space on an ASID of its own, the broadcast
 * does not reach what it holds, and all are told. */
static void finish_transition(struct ts_task *self, struct ts_flush_info *info,
                              struct ts_shootdown_record *record)
{
    struct ts_mm *mm = info->mm;
    struct ts_guest *g = mm->guest;
    struct invlpgb_state *state = g->flush_state;
    if (!mm->asid_transition)
        return;
    TS_CPUMASK_FOR_EACH(cpu, &mm->cpumask)
    {
        struct ts_guest_cpu *gc = &g->cpus[cpu];
        ts_task_line(self, &gc->state_line, TS_LINE_READ);
        while (gc->switching) {
            ts_task_work(self, 1); /* cpu_relax */
            ts_task_line(self, &gc->state_line, TS_LINE_READ);
        }
        if (gc->loaded_mm != mm || gc->loaded_asid == mm->global_asid)
            continue;
        state->transition_ipis++;
        ts_native_flush_tlb_multi(self, &mm->cpumask, info, record);
        return;
    }
    mm->asid_transition = false;
    state->transitions_ended++;
}

/* --- hooks --- */

/* broadcast_tlb_flush. */
static bool flush_mm(struct ts_task *self, struct ts_flush_info *info,
                     struct ts_shootdown_record *record)
{
    struct invlpgb_state *state = ts_guest_cpu_of(self)->guest->flush_state;
    ts_time mark = ts_task_now(self);
    if (!info->mm->global_asid)
        return false;
    state->broadcasts++;
    issue_all(self, info);
    ts_path_add(self, record, TS_PATH_SEND, &mark);
    finish_transition(self, info, record);
    mark = ts_task_now(self);
    tlbsync(self);
    ts_path_add(self, record, TS_PATH_ACK, &mark);
    return true;
}

/* arch_tlbbatch_flush: a broadcast whoever is in the mask, since a CPU on a global ASID, this one
 * too, would take flush_tlb_func for done. */
static bool flush_batch(struct ts_task *self, struct ts_flush_info *info,
                        struct ts_shootdown_record *record)
{
    struct invlpgb_state *state = ts_guest_cpu_of(self)->guest->flush_state;
    ts_time mark = ts_task_now(self);
    TS_ASSERT(!info->mm);
    state->broadcasts++;
    flush_all_nonglobals(self);
    ts_path_add(self, record, TS_PATH_ACK, &mark);
    return true;
}

static void flush_multi(struct ts_task *self, const struct ts_cpumask *mask,
                        struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    if (!info->mm) {
        (void)flush_batch(self, info, record);
        return;
    }
    ts_native_flush_tlb_multi(self, mask, info, record);
    consider(self, info->mm);
}

static enum ts_same_mm same_mm(const struct ts_guest_cpu *gc)
{
    if (needs_global(gc))
        return TS_SAME_RELOAD;
    return is_global(gc) ? TS_SAME_CURRENT : TS_SAME_KERNEL;
}

static uint32_t choose_asid(struct ts_guest_cpu *gc, const struct ts_mm *next, uint64_t next_gen,
                            bool *need_flush)
{
    if (!next->global_asid)
        return ts_choose_new_asid(gc, next, next_gen, need_flush);
    *need_flush = false;
    return next->global_asid;
}

/* flush_tlb_func, of a CPU that is on a global ASID or is to be. */
static bool flush_func(struct ts_task *self, struct ts_flush_info *info)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    if ((info->mm && info->mm != gc->loaded_mm) || gc->loaded_mm == g->init_mm)
        return false;
    if (needs_global(gc)) {
        ((struct invlpgb_state *)g->flush_state)->stragglers++;
        ts_switch_mm(self, gc->loaded_mm);
    }
    if (!is_global(gc))
        return false;
    if (info->initiator != gc->id)
        g->stats.nr_tlb_remote_flush_received++;
    g->stats.flush_skipped++;
    return true;
}

/* mm_free_global_asid: its number is free again after the next rollover. */
static void mm_exit(struct ts_mm *mm)
{
    struct invlpgb_state *state = mm->guest->flush_state;
    uint16_t asid = mm->global_asid;
    if (!asid)
        return;
    TS_ASSERT(bit_test(state->used, asid) && !bit_test(state->freed, asid));
    state->freed[asid / 64] |= UINT64_C(1) << asid % 64;
    state->available++;
    mm->global_asid = 0;
    mm->asid_transition = false;
}

static enum ts_status init(struct ts_guest *g, struct ts_error *err)
{
    struct invlpgb_state *state = g->flush_state;
    uint64_t dyn = g->params.nr_dyn_asids, end = params_of(g)->asids;
    if (end <= dyn + 1)
        return ts_error_set(err, TS_ERR_USER,
                            "flush.invlpgb.asids is %llu: nothing is left above the %llu of "
                            "guest.nr_dyn_asids",
                            (unsigned long long)end, (unsigned long long)dyn);
    if (g->params.pti && end > TS_PTI_MAX_ASID)
        return ts_error_set(err, TS_ERR_USER,
                            "flush.invlpgb.asids is %llu, but with guest.pti there are %d",
                            (unsigned long long)end, TS_PTI_MAX_ASID);
    ts_spinlock_init(&state->lock);
    ts_guest_line_init(g, &state->lock.line, 0);
    state->last = end;
    state->available = end - dyn - 1;
    return TS_OK;
}

#define ROW(f) offsetof(struct invlpgb_params, f)
static const struct ts_param param_rows[] = {
    {"count_max", TS_PARAM_COUNT, ROW(count_max), 8, 1, 65536, NULL,
     "pages that one INVLPGB names at most", "CPUID 80000008h EDX[15:0] + 1; 8 on Zen 3 and 4",
     TS_CONF_REMEMBERED},
    {"issue", TS_PARAM_CYCLES, ROW(issue_cycles), 100, 0, 1000000, NULL, "issue of one INVLPGB",
     "nothing is published; to be fitted on E6", TS_CONF_GUESS},
    {"promote_cpus", TS_PARAM_COUNT, ROW(promote_cpus), 3, 0, UINT32_MAX, NULL,
     "an address space that runs on more CPUs than this gets a global ASID",
     "Linux 6.15 and later, arch/x86/mm/tlb.c consider_global_asid", TS_CONF_VERBATIM},
    {"promote_sample", TS_PARAM_COUNT, ROW(promote_sample), 32, 1, UINT32_MAX, NULL,
     "a task asks in one jiffy of so many; 1: after each flush by interrupts",
     "Linux 6.15 and later, arch/x86/mm/tlb.c consider_global_asid", TS_CONF_VERBATIM},
    {"asids", TS_PARAM_COUNT, ROW(asids), 2046, 2, ASIDS_MAX, NULL,
     "ASIDs of a CPU, those for its own use included: 2046 in kernels built with PTI, else 4094",
     "Linux arch/x86/mm/tlb.c MAX_ASID_AVAILABLE", TS_CONF_VERBATIM},
};
#undef ROW
static const struct ts_param_table params = {"flush.invlpgb", param_rows, TS_ARRAY_LEN(param_rows)};

#define ROW(f, h)                                                                                  \
    {                                                                                              \
#f, TS_STAT_COUNTER, offsetof(struct invlpgb_state, f), "1", h                             \
    }
static const struct ts_stat rows[] = {
    ROW(broadcasts, "flushes by INVLPGB"),
    ROW(instructions, "INVLPGB issued"),
    ROW(tlbsyncs, "TLBSYNC"),
    ROW(asid_promotions, "address spaces that got a global ASID"),
    ROW(asid_rollovers, "flushes of all CPUs because the global ASIDs had been handed out once"),
    ROW(asid_exhausted, "address spaces that got none because there was none"),
    ROW(transition_ipis, "broadcasts that had to interrupt as well: a CPU was on its own ASID"),
    ROW(transitions_ended, "address spaces all of whose CPUs have come to the global ASID"),
    ROW(stragglers, "CPUs that changed to the global ASID because of an interrupt"),
};
#undef ROW
static const struct ts_stat_rule rules[] = {
    {"a TLBSYNC a broadcast, and one a rollover", {"+tlbsyncs", "-broadcasts", "-asid_rollovers"}},
};
static const struct ts_stat_table stats = {"flush.invlpgb", rows, TS_ARRAY_LEN(rows), rules,
                                           TS_ARRAY_LEN(rules)};

const struct ts_flush_ops ts_flush_invlpgb = {
    .name = "invlpgb",
    .summary = "AMD INVLPGB and TLBSYNC for address spaces on 4 CPUs or more, else native",
    .reference = "arch/x86/mm/tlb.c broadcast_tlb_flush, 6.15 and later (read in a 7.0 tree); AMD "
                 "APM vol. 3",
    .needs = TS_NEEDS_X86 | TS_NEEDS_BARE_METAL | TS_NEEDS_INVLPGB,
    .remote_by_mask = true,
    .params = &params,
    .params_size = sizeof(struct invlpgb_params),
    .stats = &stats,
    .state_size = sizeof(struct invlpgb_state),
    .init = init,
    .flush_mm = flush_mm,
    .flush_batch = flush_batch,
    .flush_multi = flush_multi,
    .same_mm = same_mm,
    .choose_asid = choose_asid,
    .flush_func = flush_func,
    .mm_exit = mm_exit,
};
