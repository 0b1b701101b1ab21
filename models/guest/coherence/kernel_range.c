/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/coherence/kernel_range.h"

#include "models/guest/coherence/arm64.h"
#include "models/guest/coherence/mechanism.h"
#include "models/guest/coherence/pti.h"

enum { PAGE_BYTES = 4096 };

/* do_flush_tlb_all: INVPCID of all, or CR4.PGE off and on. The generations stay: nothing is owed
 * to them. */
static void flush_everything(struct ts_task *self, void *arg)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_tlb_inval inval = g->params.invpcid ? ts_inval_invpcid_all(ts_guest_vmid(gc), true)
                                                  : ts_inval_mov_cr4_all(ts_guest_vmid(gc));

    (void)arg;
    g->stats.nr_tlb_remote_flush_received++; /* by the initiator too */
    ts_task_work(self, g->params.flush_global_cycles);
    ts_guest_invalidate(self, &inval);
}

/* do_kernel_range_flush. Under PTI kernel pages are not global: what INVLPG leaves in the other
 * slots goes when they are loaded next. */
static void flush_pages(struct ts_task *self, void *arg)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_flush_info *info = arg;

    ts_task_line(self, &info->line, TS_LINE_READ);
    for (uint64_t va = info->start; va < info->end; va += PAGE_BYTES) {
        struct ts_tlb_inval inval =
            ts_inval_invlpg(ts_guest_vmid(gc), ts_guest_asid(gc, gc->loaded_mm), va);
        g->stats.nr_tlb_local_flush_one++;
        ts_task_work(self, g->params.invlpg_cycles);
        ts_guest_invalidate(self, &inval);
        ts_pti_flush_one(self, va);
        if (g->params.pti)
            gc->invalidate_other = true;
    }
}

static void call_here(struct ts_task *self, ts_call_fn *fn, struct ts_flush_info *info)
{
    ts_irq_disable(self);
    fn(self, info);
    ts_irq_enable(self);
}

static void everything_here(struct ts_task *self, void *arg)
{
    call_here(self, flush_everything, arg);
}

static void pages_here(struct ts_task *self, void *arg)
{
    call_here(self, flush_pages, arg);
}

/* on_each_cpu: up to 5.12 the others first, then this CPU. */
static void on_each_cpu(struct ts_task *self, struct ts_flush_info *info, bool all)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_cpumask *mask = &gc->flush_mask;
    ts_call_fn *here = all ? everything_here : pages_here;
    bool at_once = g->params.flush_concurrent != 0;
    const struct ts_call call = {
        .fn = all ? flush_everything : flush_pages, .arg = info, .local = at_once ? here : NULL};

    if (g->flush->flush_kernel) {
        g->flush->flush_kernel(self, info, all, here);
        return;
    }
    ts_cpumask_set_all(mask);
    ts_smp_call_many(self, mask, &call, NULL);
    if (!at_once)
        here(self, info);
}

static void flush_x86(struct ts_task *self, uint64_t start, uint64_t end)
{
    struct ts_guest_cpu *gc;
    struct ts_flush_info *info;
    bool all;

    ts_preempt_disable(self);
    gc = ts_guest_cpu_of(self);
    info = &gc->info;
    all = (end - start) / PAGE_BYTES > gc->guest->params.flush_ceiling;
    if (!all) {
        info->mm = NULL;
        info->start = start;
        info->end = end;
        info->new_tlb_gen = 0; /* TLB_GENERATION_INVALID */
        info->initiator = gc->id;
        ts_task_line(self, &info->line, TS_LINE_WRITE);
    }
    on_each_cpu(self, info, all);
    ts_preempt_enable(self);
}

static void flush_arm64(struct ts_task *self, uint64_t start, uint64_t end)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    uint64_t n = (end - start) / PAGE_BYTES;
    bool all = n > g->params.max_dvm_ops;

    ts_arm64_dsb_ishst(self);
    for (uint64_t i = 0; i < (all ? 1 : n); i++) {
        struct ts_tlb_inval inval =
            all ? ts_arm64_inval_all(g, NULL)
                : ts_inval_tlbi_vaae1(ts_arm64_vmid(g), start + i * PAGE_BYTES, true, 0);
        (void)ts_arm64_tlbi(self, &inval);
    }
    ts_arm64_sync(self);
}

void ts_flush_tlb_kernel_range(struct ts_task *self, uint64_t start, uint64_t end)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;

    TS_ASSERT(start < end && start % PAGE_BYTES == 0 && end % PAGE_BYTES == 0);
    g->stats.kernel_flushes++;
    if (g->arch == TS_ARCH_X86)
        flush_x86(self, start, end);
    else
        flush_arm64(self, start, end);
}
