/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/coherence/speculate.h"

#include "models/guest/coherence/pti.h"
#include "models/mmu/speculate.h"

void ts_guest_context(const struct ts_guest_cpu *gc, struct ts_mmu_context *ctx)
{
    const struct ts_guest *g = gc->guest;

    ctx->vmid = ts_guest_vmid(gc);
    ctx->asid = ts_guest_user_asid(gc, gc->loaded_mm);
    ctx->ep4ta = g->vm->ep4ta;
    ctx->stage1 = gc->loaded_mm->pgtable;
    ctx->late = gc->loaded_mm->late;
    ctx->stage2 = g->vm->stage2;
}

/* In the middle of a switch what the kernel knows and what the registers hold may differ. */
static bool may_speculate(const struct ts_guest_cpu *gc)
{
    const struct ts_guest *g = gc->guest;
    const struct ts_cpu *c = gc->cpu;
    const struct ts_task *t = c->current;

    if ((c->is_virtual && !c->in_guest) || c->incoming || gc->switching || !t ||
        gc->loaded_mm == g->init_mm)
        return false;
    if (t->user_mode)
        return !ts_pti_is_pending(gc);
    if (g->params.pti || g->params.kpti)
        return false;
    return g->arch == TS_ARCH_ARM64 || gc->is_lazy;
}

void ts_guest_speculate(struct ts_guest *g, uint32_t cpu, uint64_t va)
{
    const struct ts_guest_cpu *gc = &g->cpus[cpu];
    const struct ts_cpu *p = ts_cpu_physical(gc->cpu);
    struct ts_mmu_context ctx;
    struct ts_mmu_access access;
    ts_time now = ts_engine_now(g->engine);
    struct ts_mmu *mmu;

    if (!p || !may_speculate(gc))
        return;
    mmu = g->mmus[p->id];
    ts_guest_context(gc, &ctx);
    ts_mmu_speculate(mmu, &ctx, va,
                     ts_mmu_needs_time(mmu) ? ts_clock_cycle_at(g->domain->clock, now) : 0,
                     &access);
    if (!g->oracle || access.from_tlb || (!access.stale_span && !access.stale2_span))
        return;
    const struct ts_oracle_use use = {
        .now = now,
        .vm = g->number,
        .cpu = cpu,
        .thread = TS_ORACLE_NO_THREAD,
        .space = gc->loaded_mm->ctx_id,
        .va = va,
        .pa = access.pa,
        .stage1 = ctx.stage1,
        .stage2 = ctx.stage2,
    };
    ts_oracle_walked(g->oracle, &use, &access);
}
