/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/coherence/tlb_state.h"

#include <stdlib.h>

#include "models/guest/coherence/mechanism.h"
#include "models/guest/coherence/pti.h"
#include "models/guest/coherence/speculate.h"

/* --- translation regime --- */

uint16_t ts_guest_vmid(const struct ts_guest_cpu *gc)
{
    return ts_vm_vmid(gc->guest->vm, gc->id);
}

uint16_t ts_guest_asid(const struct ts_guest_cpu *gc, const struct ts_mm *mm)
{
    /* x86: kernel PCID of slot a is a + 1 (tlb.c kern_pcid). */
    return gc->guest->arch == TS_ARCH_X86 ? (uint16_t)(gc->loaded_asid + 1) : mm->asid;
}

uint16_t ts_guest_user_asid(const struct ts_guest_cpu *gc, const struct ts_mm *mm)
{
    uint16_t asid = ts_guest_asid(gc, mm);

    if (gc->guest->arch == TS_ARCH_X86)
        return gc->guest->params.pti ? (uint16_t)(asid | TS_PTI_USER_PCID) : asid;
    return gc->guest->params.kpti ? (uint16_t)(asid | TS_KPTI_USER_ASID) : asid;
}

struct ts_mmu *ts_guest_mmu(struct ts_task *self, struct ts_mmu_context *ctx)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);

    ts_guest_context(gc, ctx);
    return gc->guest->mmus[ts_cpu_physical(self->cpu)->id];
}

void ts_guest_invalidate(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_task_barrier(self); /* INVLPG, INVPCID and MOV CR3 serialise (SDM vol. 3) */
    (void)ts_mmu_invalidate(g->mmus[ts_cpu_physical(self->cpu)->id], inval, ts_task_cycle(self));
}

/* --- construction --- */

static void init_cpu(struct ts_guest *g, uint32_t i)
{
    struct ts_guest_cpu *gc = &g->cpus[i];
    gc->guest = g;
    gc->id = i;
    gc->cpu = &g->domain->cpus[i];
    gc->cpu->user = gc;
    gc->loaded_mm = g->init_mm;
    ts_guest_line_init(g, &gc->private_line, i);
    ts_guest_line_init(g, &gc->state_line, i);
    ts_guest_line_init(g, &gc->lazy_line, i);
    ts_guest_line_init(g, &gc->queue_line, i);
    ts_guest_line_init(g, &g->vm->steal[i].line, i);
    ts_guest_line_init(g, &gc->info.line, i);
    /* Numbered apart: what bare metal alone uses does not move the other lines' homes. */
    ts_line_init(g->lines, &gc->resched_line,
                 ((uint64_t)(g->number + 1) << 40) + (UINT64_C(1) << 39) + i,
                 g->topology->core[i % g->topology->ncpus]);
    ts_cpumask_init(&gc->scratch, g->ncpus);
    ts_cpumask_init(&gc->ipi_mask, g->ncpus);
    ts_cpumask_init(&gc->flush_mask, g->ncpus);
}

static enum ts_status init_kernel_mm(struct ts_guest *g, struct ts_error *err)
{
    struct ts_mm *mm = calloc(1, sizeof(*mm));
    g->init_mm = mm;
    if (!mm)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for an address space");
    mm->guest = g;
    mm->ctx_id = ++g->last_ctx_id;
    mm->tlb_gen = 1;
    ts_cpumask_init(&mm->cpumask, g->ncpus);
    ts_guest_line_init(g, &mm->gen_line, 0);
    ts_guest_line_init(g, &mm->mask_line, 0);
    return TS_OK;
}

static enum ts_status init_mechanism(struct ts_guest *g, struct ts_error *err)
{
    TS_ASSERT(g->flush->flush_multi && !g->flush->params_size == !g->flush_params);
    if (g->flush->state_size) {
        g->flush_state = calloc(1, g->flush->state_size);
        if (!g->flush_state)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a flush mechanism");
    }
    return g->flush->init ? g->flush->init(g, err) : TS_OK;
}

enum ts_status ts_guest_cpus_init(struct ts_guest *g, struct ts_error *err)
{
    enum ts_status s = init_kernel_mm(g, err);
    g->cpus = calloc(g->ncpus, sizeof(*g->cpus));
    if (!g->cpus)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u CPUs", g->ncpus);
    for (uint32_t i = 0; i < g->ncpus; i++)
        init_cpu(g, i);
    ts_line_init(g->lines, &g->vmap_line,
                 ((uint64_t)(g->number + 1) << 40) + (UINT64_C(1) << 39) + TS_CPU_MAX,
                 g->topology->core[0]);
    if (s == TS_OK)
        s = ts_csd_pool_create(&g->csds, g, err);
    return s == TS_OK ? init_mechanism(g, err) : s;
}

void ts_guest_cpus_fini(struct ts_guest *g)
{
    if (g->flush_state && g->flush->fini)
        g->flush->fini(g);
    free(g->flush_state);
    ts_csd_pool_destroy(g->csds);
    free(g->cpus);
    free(g->init_mm);
    g->cpus = NULL;
}
