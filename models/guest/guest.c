/* SPDX-License-Identifier: Apache-2.0 */
/* The operating system's frame: CPUs, physical frames and interrupts taken. */
#include <stdlib.h>

#include "models/flush/flush.h"
#include "models/guest/guest.h"
#include "models/hypervisor/hypervisor.h"

/* --- translation regime --- */

uint16_t ts_guest_vmid(const struct ts_guest_cpu *gc)
{
    const struct ts_guest *g = gc->guest;
    if (g->bare_metal)
        return 0;
    /* x86: a VPID a vCPU (kvm/vmx allocate_vpid); arm64: a VMID a VM. */
    return g->arch == TS_ARCH_X86 ? (uint16_t)(g->vmid_base + gc->id) : g->vmid_base;
}

uint16_t ts_guest_asid(const struct ts_guest_cpu *gc, const struct ts_mm *mm)
{
    /* x86: kernel PCID of slot a is a + 1 (tlb.c kern_pcid). */
    return gc->guest->arch == TS_ARCH_X86 ? (uint16_t)(gc->loaded_asid + 1) : mm->asid;
}

struct ts_mmu *ts_guest_mmu(struct ts_task *self, struct ts_mmu_context *ctx)
{
    const struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    const struct ts_guest *g = gc->guest;
    ctx->vmid = ts_guest_vmid(gc);
    ctx->asid = ts_guest_asid(gc, gc->loaded_mm);
    ctx->ep4ta = g->ep4ta;
    ctx->stage1 = gc->loaded_mm->pgtable;
    ctx->stage2 = g->stage2;
    return g->mmus[ts_cpu_physical(self->cpu)->id];
}

void ts_guest_invalidate(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    (void)ts_mmu_invalidate(g->mmus[ts_cpu_physical(self->cpu)->id], inval, ts_task_cycle(self));
}

/* --- frames: last freed, first reused, which is what makes stale translations dangerous --- */

uint64_t ts_guest_frame_alloc(struct ts_guest *g)
{
    if (g->nfree_frames)
        return g->free_frames[--g->nfree_frames];
    uint64_t frame = g->next_frame;
    g->next_frame += 4096;
    /* Guest memory is populated beforehand: the host's mapping is there without a fault. */
    uint64_t backing = UINT64_C(1) << g->backing_shift;
    if (g->stage2 && frame % backing == 0) {
        struct ts_pte pte = {.target = g->host_base + frame,
                             .size_shift = (uint8_t)g->backing_shift,
                             .level = (uint8_t)((g->backing_shift - 12) / 9),
                             .writable = true,
                             .accessed = true,
                             .dirty = true};
        (void)ts_pgtable_map(g->stage2, frame, &pte);
    }
    return frame;
}

void ts_guest_frame_free(struct ts_guest *g, uint64_t frame)
{
    if (g->nfree_frames == g->free_frames_room) {
        uint64_t room = g->free_frames_room ? 2 * g->free_frames_room : 4096;
        uint64_t *frames = realloc(g->free_frames, room * sizeof(*frames));
        if (!frames) {
            if (g->failure->status == TS_OK)
                (void)ts_error_set(g->failure, TS_ERR_ENVIRONMENT, "out of memory for free frames");
            ts_engine_stop(g->engine);
            return;
        }
        g->free_frames = frames;
        g->free_frames_room = room;
    }
    g->free_frames[g->nfree_frames++] = frame;
}

void ts_guest_line_init(struct ts_guest *g, struct ts_line *line, uint32_t near_cpu)
{
    uint32_t pcpu = near_cpu % g->topology->ncpus;
    ts_line_init(g->lines, line, ((uint64_t)(g->number + 1) << 40) + g->line_ids++,
                 g->topology->core[pcpu]);
}

/* --- interrupts --- */

void ts_guest_interrupt(struct ts_task *self, enum ts_vector vector, ts_time raised)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    if (vector == TS_VEC_CALL) {
        ts_smp_call_handle(self, raised);
        return;
    }
    ts_task_work(self, g->params.irq_entry_cycles);
    if (vector == TS_VEC_TICK)
        ts_cpu_handle_tick(self);
    else if (vector == TS_VEC_TIMER)
        ts_cpu_handle_timer(self);
    ts_task_work(self, g->params.irq_exit_cycles);
}

void ts_guest_switch_out(struct ts_task *self, struct ts_task *next)
{
    const struct ts_guest_thread *thread = next->user;
    const struct ts_guest_thread *prev = self->user;
    /* Whoever spins because self was executing must look again. */
    if (prev)
        ts_rwsem_recheck(&prev->mm->mmap_lock);
    if (thread)
        ts_switch_mm(self, thread->mm);
    else
        ts_enter_lazy_tlb(self);
}

static void bare_metal_idle(struct ts_task *self)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    self->cpu->polling = g->arch == TS_ARCH_X86 && g->params.idle_polling;
    ts_task_idle_wait(self);
    self->cpu->polling = false;
    ts_task_work_ps(self, g->idle_wakeup_ps);
}

static void bare_metal_timer_program(struct ts_task *self)
{
    ts_task_work(self, ts_guest_cpu_of(self)->guest->params.timer_program_cycles);
}

const struct ts_cpu_ops ts_bare_metal_cpu_ops = {
    .interrupt = ts_guest_interrupt,
    .switch_out = ts_guest_switch_out,
    .idle = bare_metal_idle,
    .send_resched = ts_guest_send_resched,
    .timer_program = bare_metal_timer_program,
};

/* --- construction --- */

static enum ts_status init_cpu(struct ts_guest *g, uint32_t i, struct ts_error *err)
{
    struct ts_guest_cpu *gc = &g->cpus[i];
    gc->guest = g;
    gc->id = i;
    gc->cpu = &g->domain->cpus[i];
    gc->cpu->user = gc;
    gc->loaded_mm = &g->init_mm;
    gc->csds = calloc(g->ncpus, sizeof(*gc->csds));
    gc->ids = calloc(g->ncpus, sizeof(*gc->ids));
    if (!gc->csds || !gc->ids)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u CPUs", g->ncpus);
    ts_guest_line_init(g, &gc->private_line, i);
    ts_guest_line_init(g, &gc->lazy_line, i);
    ts_guest_line_init(g, &gc->queue_line, i);
    ts_guest_line_init(g, &gc->steal_line, i);
    ts_guest_line_init(g, &gc->info.line, i);
    /* Numbered apart: what bare metal alone uses does not move the other lines' homes. */
    ts_line_init(g->lines, &gc->resched_line,
                 ((uint64_t)(g->number + 1) << 40) + (UINT64_C(1) << 39) + i,
                 g->topology->core[i % g->topology->ncpus]);
    for (uint32_t t = 0; t < g->ncpus; t++)
        ts_guest_line_init(g, &gc->csds[t].line, i);
    ts_cpumask_init(&gc->scratch, g->ncpus);
    ts_cpumask_init(&gc->ipi_mask, g->ncpus);
    ts_cpumask_init(&gc->flush_mask, g->ncpus);
    return TS_OK;
}

enum ts_status ts_guest_init(struct ts_guest *g, struct ts_error *err)
{
    g->ncpus = g->domain->ncpus;
    g->cpus = calloc(g->ncpus, sizeof(*g->cpus));
    g->failure = calloc(1, sizeof(*g->failure));
    if (!g->cpus || !g->failure)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u CPUs", g->ncpus);
    ts_hist_init(&g->stats.shootdown_ps);
    ts_hist_init(&g->stats.mmap_ps);
    ts_hist_init(&g->stats.munmap_ps);
    ts_hist_init(&g->stats.fault_ps);
    ts_hist_init(&g->stats.call_delay_ps);
    ts_hist_init(&g->stats.call_total_ps);
    g->init_mm.guest = g;
    g->init_mm.ctx_id = ++g->last_ctx_id;
    g->init_mm.tlb_gen = 1;
    ts_cpumask_init(&g->init_mm.cpumask, g->ncpus);
    ts_guest_line_init(g, &g->init_mm.gen_line, 0);
    ts_guest_line_init(g, &g->init_mm.mask_line, 0);
    for (uint32_t i = 0; i < g->ncpus; i++) {
        enum ts_status s = init_cpu(g, i, err);
        if (s != TS_OK)
            return s;
    }
    if (g->flush->state_size) {
        g->flush_state = calloc(1, g->flush->state_size);
        if (!g->flush_state)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a flush mechanism");
    }
    return g->flush->init ? g->flush->init(g, err) : TS_OK;
}

void ts_guest_fini(struct ts_guest *g)
{
    if (g->flush_state && g->flush->fini)
        g->flush->fini(g);
    free(g->flush_state);
    for (uint32_t i = 0; g->cpus && i < g->ncpus; i++) {
        free(g->cpus[i].csds);
        free(g->cpus[i].ids);
    }
    free(g->cpus);
    free(g->free_frames);
    free(g->frame_shares);
    free(g->failure);
    g->cpus = NULL;
}
