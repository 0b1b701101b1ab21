/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/nt/flush.h"

#include "models/guest/mm/mm_private.h"

/* --- the list --- */

void ts_nt_flush_begin(struct ts_nt_flush *f)
{
    *f = (struct ts_nt_flush){.first = UINT64_MAX};
}

void ts_nt_flush_add(struct ts_mm *mm, struct ts_nt_flush *f, uint64_t va)
{
    if (f->npages < mm->guest->nt.flush_list_max)
        ts_nt_process_of(mm)->flush_list[f->npages] = va;
    f->npages++;
    if (va < f->first)
        f->first = va;
    if (va + TS_PAGE_BYTES > f->end)
        f->end = va + TS_PAGE_BYTES;
}

/* --- the initiator's side --- */

static void fill_info(struct ts_flush_info *info, struct ts_mm *mm, const struct ts_nt_flush *f,
                      uint32_t initiator)
{
    bool by_list = !f->freed_tables && f->npages <= mm->guest->nt.flush_list_max;

    info->mm = mm;
    info->start = by_list ? f->first : 0;
    info->end = by_list ? f->end : UINT64_MAX;
    info->list = by_list ? ts_nt_process_of(mm)->flush_list : NULL;
    info->nlist = by_list ? (uint32_t)f->npages : 0;
    info->new_tlb_gen = 0;
    info->stride_shift = TS_PAGE_SHIFT;
    info->freed_tables = f->freed_tables;
    info->trim_cpumask = false;
    info->initiator = initiator;
    info->unmapped_start = info->unmapped_end = 0;
}

void ts_nt_flush(struct ts_task *self, struct ts_mm *mm, const struct ts_nt_flush *f)
{
    struct ts_nt_stats *s = &mm->guest->nt_stats;
    struct ts_guest_cpu *gc;
    struct ts_shootdown_record *r;

    if (!f->npages && !f->freed_tables)
        return;
    ts_preempt_disable(self); /* SYNCH_LEVEL */
    gc = ts_guest_cpu_of(self);
    r = ts_shootdown_begin(self, gc, f->freed_tables);
    fill_info(&gc->info, mm, f, gc->id);
    s->flushes++;
    s->flush_lists += gc->info.list != NULL;
    s->flush_whole += gc->info.list == NULL;
    s->flush_list_pages += gc->info.nlist;
    ts_task_line(self, &gc->info.line, TS_LINE_WRITE);
    ts_flush_carry_out(self, mm, r);
    ts_preempt_enable(self);
}

/* --- the target's side --- */

void ts_nt_flush_func(struct ts_task *self, struct ts_flush_info *info)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest_stats *s = &gc->guest->stats;

    TS_ASSERT(gc->cpu->irq_off);
    ts_task_line(self, &info->line, TS_LINE_READ);
    ts_task_work(self, gc->guest->params.flush_func_cycles);
    if (info->initiator != gc->id)
        s->nr_tlb_remote_flush_received++;
    if (info->mm && info->mm != gc->loaded_mm) {
        s->flush_skipped++;
        return;
    }
    if (info->end == UINT64_MAX) {
        ts_flush_tlb_local(self);
        s->flush_full++;
        return;
    }
    for (uint32_t i = 0; i < info->nlist; i++)
        ts_flush_tlb_one(self, info->list[i]);
    s->flush_partial++;
    s->flush_pages += info->nlist;
}

/* --- switching --- */

static void set_active(struct ts_task *self, struct ts_mm *mm, bool active)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);

    if (mm == gc->guest->init_mm || ts_cpumask_test(&mm->cpumask, gc->id) == active)
        return;
    ts_task_line(self, &mm->mask_line, TS_LINE_RMW);
    if (active)
        ts_cpumask_set(&mm->cpumask, gc->id);
    else
        ts_cpumask_clear(&mm->cpumask, gc->id);
}

/* The processor is in the new set before it can walk the new tables. */
void ts_nt_switch(struct ts_task *self, struct ts_mm *next)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_mm *prev = gc->loaded_mm;
    struct ts_tlb_inval inval;

    TS_ASSERT(gc->cpu->irq_off);
    if (prev == next)
        return;
    ts_task_work(self, g->params.switch_mm_cycles);
    set_active(self, next, true);
    ts_task_work(self, g->params.mov_cr3_flush_cycles);
    inval = ts_inval_mov_cr3(ts_guest_vmid(gc), ts_guest_asid(gc, next));
    ts_guest_invalidate(self, &inval);
    gc->loaded_mm = next;
    g->stats.flush_on_switch++;
    if (g->nt.active_processors != TS_NT_ACTIVE_GROWS)
        set_active(self, prev, false);
}

void ts_nt_switch_idle(struct ts_task *self)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;

    if (g->nt.active_processors == TS_NT_ACTIVE_LEAVES)
        ts_nt_switch(self, g->init_mm);
}
