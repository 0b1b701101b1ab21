/* SPDX-License-Identifier: Apache-2.0 */
/* The flush path that all mechanisms share: flush_tlb_mm_range and flush_tlb_func
 * (arch/x86/mm/tlb.c; x86.md 1.5, 1.6), and their local forms on arm64. */
#include "models/guest/coherence/flush_mm.h"

#include "models/guest/coherence/arm64.h"
#include "models/guest/coherence/assisted.h"
#include "models/guest/coherence/pti.h"

/* --- the target's side --- */

static uint64_t info_strides(const struct ts_flush_info *info)
{
    return (info->end - info->start) >> info->stride_shift;
}

static bool flush_by_mechanism(struct ts_task *self, const struct ts_guest_cpu *gc,
                               const uint64_t *va)
{
    const struct ts_flush_ops *ops = gc->guest->flush;
    return ops->flush_here && ops->flush_here(self, va);
}

void ts_flush_tlb_one(struct ts_task *self, uint64_t va)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    TS_ASSERT(gc->cpu->irq_off);
    if (flush_by_mechanism(self, gc, &va))
        return;
    struct ts_tlb_inval inval =
        ts_inval_invlpg(ts_guest_vmid(gc), ts_guest_asid(gc, gc->loaded_mm), va);
    ts_task_work(self, gc->guest->params.invlpg_cycles);
    ts_guest_invalidate(self, &inval);
    ts_pti_flush_one(self, va);
}

static void flush_all_user(struct ts_task *self, struct ts_guest_cpu *gc)
{
    if (flush_by_mechanism(self, gc, NULL))
        return;
    struct ts_tlb_inval inval =
        ts_inval_mov_cr3(ts_guest_vmid(gc), ts_guest_asid(gc, gc->loaded_mm));
    ts_task_work(self, gc->guest->params.mov_cr3_flush_cycles);
    ts_guest_invalidate(self, &inval);
    ts_pti_flush_all(self, gc->loaded_asid);
}

void ts_flush_tlb_local(struct ts_task *self)
{
    TS_ASSERT(self->cpu->irq_off);
    flush_all_user(self, ts_guest_cpu_of(self));
}

/* What an assisted flush had left to do of a flush of everything that has just been made. */
static void count_redundant(struct ts_guest_cpu *gc, const struct ts_flush_info *info,
                            uint64_t mm_gen)
{
    uint32_t slot = gc->loaded_asid;
    if (!info->new_tlb_gen)
        ts_assisted_asked(gc, slot, TS_REDUNDANT_BATCH, mm_gen, true);
    else if (gc->ctxs[slot].flushed_gen >= info->new_tlb_gen)
        ts_assisted_asked(gc, slot, TS_REDUNDANT_RACED, info->new_tlb_gen, true);
    else if (info->end != UINT64_MAX && info->new_tlb_gen == mm_gen)
        ts_assisted_asked(gc, slot, TS_REDUNDANT_SOFTWARE, mm_gen - 1, true);
}

static void trace_flush(struct ts_guest *g, const struct ts_flush_info *info, bool local,
                        uint64_t pages)
{
    ts_trace_tlb_flush(g,
                       !local     ? TS_TLB_REMOTE_SHOOTDOWN
                       : info->mm ? TS_TLB_LOCAL_MM_SHOOTDOWN
                                  : TS_TLB_LOCAL_SHOOTDOWN,
                       pages);
}

/* Rows 5 to 8 of the decision table: what the generation says is still to be done. */
static void flush_by_generation(struct ts_task *self, struct ts_guest_cpu *gc,
                                struct ts_flush_info *info, bool local)
{
    struct ts_guest_stats *s = &gc->guest->stats;
    struct ts_tlb_context *ctx = &gc->ctxs[gc->loaded_asid];
    if (gc->guest->params.flush_gen_early_exit && info->new_tlb_gen &&
        info->new_tlb_gen <= ctx->tlb_gen) {
        s->flush_skipped++;
        ts_assisted_asked(gc, gc->loaded_asid, TS_REDUNDANT_RACED, info->new_tlb_gen, false);
        return;
    }
    ts_task_line(self, &gc->loaded_mm->gen_line, TS_LINE_READ);
    uint64_t mm_gen = gc->loaded_mm->tlb_gen;
    if (ctx->tlb_gen == mm_gen) {
        s->flush_skipped++;
        trace_flush(gc->guest, info, local, 0);
        ts_assisted_asked(gc, gc->loaded_asid,
                          info->new_tlb_gen ? TS_REDUNDANT_RACED : TS_REDUNDANT_BATCH, mm_gen,
                          false);
        return;
    }
    if (info->end != UINT64_MAX && info->new_tlb_gen == ctx->tlb_gen + 1 &&
        info->new_tlb_gen == mm_gen) {
        uint64_t n = info_strides(info);
        ts_assisted_asked(gc, gc->loaded_asid, TS_REDUNDANT_SOFTWARE, mm_gen - 1, false);
        for (uint64_t i = 0; i < n; i++)
            ts_flush_tlb_one(self, info->start + (i << info->stride_shift));
        s->flush_partial++;
        s->flush_pages += n;
        trace_flush(gc->guest, info, local, n);
        if (local)
            s->nr_tlb_local_flush_one += n;
    } else {
        flush_all_user(self, gc);
        s->flush_full++;
        trace_flush(gc->guest, info, local, UINT64_MAX);
        count_redundant(gc, info, mm_gen);
        if (local)
            s->nr_tlb_local_flush_all++;
    }
    ts_task_line(self, &gc->state_line, TS_LINE_WRITE);
    ctx->tlb_gen = mm_gen;
    ts_assisted_own(ctx, mm_gen);
}

/* arm64, by IPI: a local TLBI for each page, or for the whole ASID above MAX_DVM_OPS. Under
 * HCR_EL2.FB, which KVM sets for every guest, local operations act inner-shareable (arm.md 1.3). */
static void flush_arm64(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_flush_info *info)
{
    const struct ts_guest *g = gc->guest;
    const struct ts_guest_params *p = &g->params;
    uint16_t vmid = ts_arm64_vmid(g);
    struct ts_arm64_range r = {0};
    /* DSB NSHST of local_flush_tlb_all (arch/arm64/include/asm/tlbflush.h, 6.1 and 6.12). */
    ts_task_store_dsb(self);
    bool all = !info->mm || info->end == UINT64_MAX;
    uint64_t n = 1;
    if (!all) {
        r = ts_arm64_range_of(g, info);
        n = (r.end - r.start) >> info->stride_shift;
        all = n >= p->max_dvm_ops;
    }
    for (uint64_t i = 0; i < (all ? 1 : n); i++) {
        uint64_t va = r.start + (i << info->stride_shift);
        struct ts_tlb_inval inval =
            all ? ts_arm64_inval_all(g, info->mm)
                : ts_inval_tlbi_vae1(vmid, info->mm->asid, va, r.last_level, 0);
        if (g->vm->local_tlbi_broadcasts)
            (void)ts_arm64_tlbi(self, &inval);
        else
            ts_arm64_tlbi_local(self, &inval);
    }
    if (g->vm->local_tlbi_broadcasts)
        ts_arm64_sync(self);
    else
        ts_arm64_dsb_nsh(self);
    if (all)
        gc->guest->stats.flush_full++;
    else
        gc->guest->stats.flush_partial++;
}

/* 6.14 and later: the CPU was left in the mask when it switched away. */
static void leave_mask(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_mm *mm)
{
    if (!gc->guest->params.lazy_mm_cpumask)
        return;
    ts_task_line(self, &mm->mask_line, TS_LINE_RMW);
    ts_cpumask_clear(&mm->cpumask, gc->id);
    gc->guest->stats.nr_tlb_remote_wrong_cpu++;
}

void ts_flush_tlb_func(struct ts_task *self, struct ts_flush_info *info)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    bool local = info->initiator == gc->id;
    TS_ASSERT(gc->cpu->irq_off);
    ts_task_line(self, &info->line, TS_LINE_READ);
    ts_task_work(self, g->params.flush_func_cycles);
    if (g->flush->flush_func && g->flush->flush_func(self, info))
        return;
    if (!local)
        g->stats.nr_tlb_remote_flush_received++;
    if (g->arch != TS_ARCH_X86) {
        flush_arm64(self, gc, info);
        return;
    }
    if (info->mm && info->mm != gc->loaded_mm) {
        g->stats.flush_skipped++;
        leave_mask(self, gc, info->mm);
        return;
    }
    if (gc->loaded_mm == g->init_mm) {
        g->stats.flush_skipped++;
        return;
    }
    if (gc->is_lazy) {
        /* Speculation may walk tables that are about to be freed: leave them. */
        ts_switch_mm(self, g->init_mm);
        return;
    }
    flush_by_generation(self, gc, info, local);
}

static void call_flush_func(struct ts_task *self, void *arg)
{
    ts_guest_cpu_of(self)->guest->paths->flush_func(self, arg);
}

void ts_flush_local(struct ts_task *self, struct ts_flush_info *info)
{
    ts_irq_disable(self);
    call_flush_func(self, info);
    ts_irq_enable(self);
}

static void call_flush_local(struct ts_task *self, void *arg)
{
    ts_flush_local(self, arg);
}

/* --- the initiator's side --- */

bool ts_flush_should(struct ts_task *self, struct ts_guest_cpu *cpu, void *arg)
{
    const struct ts_guest *g = cpu->guest;
    const struct ts_flush_info *info = arg;
    const struct ts_mm *loaded;
    if (g->params.should_flush_mm)
        ts_task_line(self, &cpu->state_line, TS_LINE_READ);
    loaded = ts_guest_cpu_switching(cpu) ? NULL : cpu->loaded_mm;
    ts_task_line(self, &cpu->lazy_line, TS_LINE_READ);
    if (ts_guest_cpu_lazy(cpu))
        return false;
    /* Whoever is switching may hold translations of either. */
    return !g->params.should_flush_mm || !info->mm || !loaded || loaded == info->mm ||
           info->trim_cpumask;
}

ts_call_cond *ts_flush_condition(const struct ts_guest *g, const struct ts_flush_info *info)
{
    /* Of a global ASID are those flushes that make CPUs change to it, or leave the mask. */
    bool all = info->freed_tables || (info->mm && info->mm->global_asid) ||
               ts_guest_is_windows(g) || g->arch != TS_ARCH_X86 ||
               g->params.lazy_rule != TS_LAZY_SKIP;

    return all ? NULL : ts_flush_should;
}

static bool is_concurrent(const struct ts_guest *g)
{
    if (g->flush->order != TS_ORDER_KERNEL)
        return g->flush->order == TS_ORDER_CONCURRENT;
    return g->params.flush_concurrent != 0;
}

void ts_native_flush_tlb_multi(struct ts_task *self, const struct ts_cpumask *mask,
                               struct ts_flush_info *info, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_call call = {
        .fn = call_flush_func,
        .arg = info,
        .cond = ts_flush_condition(gc->guest, info),
        .local = ts_cpumask_test(mask, gc->id) ? call_flush_local : NULL,
        .take = info->freed_tables ? NULL : gc->guest->flush->early_ack,
    };
    TS_ASSERT(gc->cpu->preempt_off && info->initiator == gc->id);
    gc->guest->stats.nr_tlb_remote_flush++;
    ts_trace_tlb_flush(gc->guest, TS_TLB_REMOTE_SEND_IPI,
                       info->end == UINT64_MAX ? UINT64_MAX : (info->end - info->start) >> 12);
    if (call.local && !is_concurrent(gc->guest)) {
        ts_time mark = ts_task_now(self);
        call.local(self, info);
        ts_path_add(self, record, TS_PATH_LOCAL, &mark);
        call.local = NULL;
    }
    ts_smp_call_many(self, mask, &call, record);
}

/* From here on the generation covers what was changed in the range. */
static void tell_oracle(const struct ts_mm *mm, const struct ts_flush_request *rq, uint64_t gen)
{
    const struct ts_guest *g = mm->guest;
    if (g->oracle && rq->has_window &&
        !ts_oracle_raised(g->oracle, rq->window, rq->start, rq->end, gen))
        ts_engine_fail(g->engine, TS_ERR_ENVIRONMENT, "out of memory for the oracle");
}

static void fill_info(struct ts_task *self, struct ts_flush_info *info, struct ts_mm *mm,
                      const struct ts_flush_request *rq)
{
    const struct ts_guest *g = mm->guest;
    bool whole = g->arch == TS_ARCH_X86 && rq->end != UINT64_MAX &&
                 (rq->end - rq->start) >> rq->stride_shift > g->params.flush_ceiling;
    info->mm = mm;
    info->start = whole ? 0 : rq->start;
    info->end = whole ? UINT64_MAX : rq->end;
    info->stride_shift = rq->stride_shift;
    info->freed_tables = rq->freed_tables;
    info->trim_cpumask = false;
    info->initiator = ts_guest_cpu_of(self)->id;
    if (g->arch == TS_ARCH_X86) {
        /* The atomic increment also orders the PTE writes before the mask is read. */
        ts_task_line(self, &mm->gen_line, TS_LINE_RMW);
        info->new_tlb_gen = ++mm->tlb_gen;
        tell_oracle(mm, rq, info->new_tlb_gen);
    }
    ts_task_line(self, &info->line, TS_LINE_WRITE);
}

/* should_trim_cpumask; jiffies are left out. */
static void flush_remote(struct ts_task *self, struct ts_mm *mm, struct ts_flush_info *info,
                         struct ts_shootdown_record *record)
{
    const struct ts_guest *g = mm->guest;

    info->trim_cpumask =
        g->params.should_flush_mm && !ts_guest_is_windows(g) && ts_task_now(self) > mm->next_trim;
    if (info->trim_cpumask)
        mm->next_trim = ts_task_now(self) + TS_S;
    g->flush->flush_multi(self, &mm->cpumask, info, record);
}

void ts_flush_tlb(struct ts_task *self, struct ts_mm *mm, const struct ts_flush_request *rq)
{
    TS_ASSERT(rq->unmapped_start <= rq->unmapped_end &&
              (rq->unmapped_end == 0 ||
               (rq->start <= rq->unmapped_start && rq->unmapped_end <= rq->end)));
    ts_preempt_disable(self);
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_flush_info *info = &gc->info;
    struct ts_shootdown_record *r = ts_shootdown_begin(self, gc, rq->freed_tables);
    fill_info(self, info, mm, rq);
    info->unmapped_start = rq->unmapped_start;
    info->unmapped_end = rq->unmapped_end;
    info->hull_start = rq->start;
    info->hull_end = rq->end;
    ts_flush_carry_out(self, mm, r);
    ts_preempt_enable(self);
}

/* Of those that no other CPU need make. x86 finds out at a switch what it has missed, by the
 * generation; arm64 does not, and names the ASID, whosever CPU it is now (of a kernel thread that
 * reclaims memory). */
static bool may_be_here(const struct ts_guest_cpu *gc, const struct ts_mm *mm)
{
    return gc->loaded_mm == mm ||
           (gc->guest->arch != TS_ARCH_X86 && ts_cpumask_test(&mm->cpumask, gc->id));
}

void ts_flush_carry_out(struct ts_task *self, struct ts_mm *mm, struct ts_shootdown_record *r)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_flush_info *info = &gc->info;
    bool remote = true;
    r->start = info->start;
    r->end = info->end;
    bool done = g->flush->flush_mm && g->flush->flush_mm(self, info, r);
    if (!done && g->flush->remote_by_mask) {
        ts_task_line(self, &mm->mask_line, TS_LINE_READ);
        uint32_t n = ts_cpumask_count(&mm->cpumask);
        remote = n > (ts_cpumask_test(&mm->cpumask, gc->id) ? 1u : 0u);
    }
    r->number = g->shootdown_number++;
    uint32_t irq_off = gc->cpu->irq_off;
    if (!done && remote)
        flush_remote(self, mm, info, r);
    else if (!done && may_be_here(gc, mm))
        ts_flush_local(self, info);
    /* What mechanisms leave as they found it. */
    TS_ASSERT(ts_guest_cpu_of(self) == gc && gc->cpu->preempt_off && gc->cpu->irq_off == irq_off);
    TS_ASSERT(info->mm == mm && (g->arch != TS_ARCH_X86 || info->new_tlb_gen <= mm->tlb_gen));
    ts_shootdown_end(self, gc, r, remote);
}

void ts_flush_tlb_mm_range(struct ts_task *self, struct ts_mm *mm, uint64_t start, uint64_t end,
                           uint32_t stride_shift, bool freed_tables)
{
    const struct ts_flush_request rq = {
        .start = start, .end = end, .stride_shift = stride_shift, .freed_tables = freed_tables};
    ts_flush_tlb(self, mm, &rq);
}

/* --- of no one address space --- */

static void fill_batch_info(struct ts_task *self, struct ts_flush_info *info, uint32_t initiator)
{
    info->mm = NULL;
    info->start = 0;
    info->end = UINT64_MAX;
    info->new_tlb_gen = 0; /* TLB_GENERATION_INVALID */
    info->stride_shift = 0;
    info->freed_tables = false;
    info->trim_cpumask = false;
    info->initiator = initiator;
    info->unmapped_start = info->unmapped_end = 0;
    ts_task_line(self, &info->line, TS_LINE_WRITE);
}

static bool others_in(const struct ts_cpumask *cpus, uint32_t self)
{
    return ts_cpumask_count(cpus) > (ts_cpumask_test(cpus, self) ? 1u : 0u);
}

void ts_tlbbatch_flush(struct ts_task *self, const struct ts_cpumask *cpus)
{
    ts_preempt_disable(self);
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_flush_info *info = &gc->info;
    struct ts_shootdown_record *r = ts_shootdown_begin(self, gc, false);
    bool remote = !g->flush->remote_by_mask || others_in(cpus, gc->id);
    fill_batch_info(self, info, gc->id);
    r->end = UINT64_MAX;
    r->number = g->shootdown_number++;
    g->stats.batch_flushes++;
    if (g->flush->flush_batch && g->flush->flush_batch(self, info, r))
        remote = true;
    else if (remote)
        g->flush->flush_multi(self, cpus, info, r);
    else if (ts_cpumask_test(cpus, gc->id))
        ts_flush_local(self, info);
    TS_ASSERT(ts_guest_cpu_of(self) == gc && gc->cpu->preempt_off && !info->mm);
    ts_shootdown_end(self, gc, r, remote);
    ts_preempt_enable(self);
}

void ts_guest_frame_release(struct ts_guest *g, uint64_t frame)
{
    if (!g->flush->frame_release || !g->flush->frame_release(g, frame))
        ts_guest_frame_free(g, frame);
}
