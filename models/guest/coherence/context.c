/* SPDX-License-Identifier: Apache-2.0 */
/* Which address space a CPU has loaded: switch_mm_irqs_off, ASID choice, lazy TLB (x86.md 1.2-1.4,
 * arch/x86/mm/tlb.c), and the arm64 counterpart. */
#include "models/guest/coherence/assisted.h"
#include "models/guest/coherence/mechanism.h"
#include "models/guest/coherence/pti.h"

/* Who is loaded next is flushed: no address space has the number 0. */
static void clear_asid_other(struct ts_guest_cpu *gc)
{
    for (uint32_t a = 0; a < TS_ASIDS_MAX; a++) {
        if (a != gc->loaded_asid)
            gc->ctxs[a].ctx_id = 0;
    }
    gc->invalidate_other = false;
}

/* choose_new_asid: the slot that holds next, or the next one round-robin, which is then flushed. */
uint32_t ts_choose_new_asid(struct ts_guest_cpu *gc, const struct ts_mm *next, uint64_t next_gen,
                            bool *need_flush)
{
    uint32_t n = (uint32_t)gc->guest->params.nr_dyn_asids;
    const struct ts_tlb_context *ctx;
    if (gc->invalidate_other)
        clear_asid_other(gc);
    ctx = ts_tlb_context_of(gc, next);
    if (ctx) {
        uint32_t a = (uint32_t)(ctx - gc->ctxs);
        *need_flush = ctx->tlb_gen < next_gen;
        ts_assisted_asked(gc, a, TS_REDUNDANT_SWITCH_BACK, next_gen, *need_flush);
        return a;
    }
    *need_flush = true;
    if (gc->next_asid >= n)
        gc->next_asid = 0;
    return gc->next_asid++;
}

static void load_cr3(struct ts_task *self, struct ts_guest_cpu *gc, uint32_t asid, bool need_flush)
{
    const struct ts_guest_params *p = &gc->guest->params;
    if (self->domain->stores) /* the store of LOADED_MM_SWITCHING has waited till here, perhaps */
        ts_task_step(self, TS_STEP_BARRIER, true, &gc->state_line, 0, 0);
    ts_task_work(self, need_flush ? p->mov_cr3_flush_cycles : p->mov_cr3_noflush_cycles);
    ts_task_barrier(self); /* MOV CR3 serialises */
    gc->loaded_asid = asid;
    ts_trace_tlb_flush(gc->guest, TS_TLB_ON_TASK_SWITCH, need_flush ? UINT64_MAX : 0);
    if (need_flush) {
        struct ts_tlb_inval inval = ts_inval_mov_cr3(ts_guest_vmid(gc), (uint16_t)(asid + 1));
        ts_guest_invalidate(self, &inval);
        ts_pti_flush_all(self, asid);
        gc->guest->stats.flush_on_switch++;
    }
}

static uint64_t read_generation(struct ts_task *self, struct ts_mm *mm)
{
    ts_task_line(self, &mm->gen_line, TS_LINE_READ);
    return mm->tlb_gen;
}

/* The mechanism wants another ASID for the address space that stays loaded. */
static void reload_asid(struct ts_task *self, struct ts_guest_cpu *gc)
{
    struct ts_mm *mm = gc->loaded_mm;
    bool need_flush;
    gc->new_cpu = true;
    uint32_t asid = gc->guest->flush->choose_asid(gc, mm, read_generation(self, mm), &need_flush);
    TS_ASSERT(asid >= gc->guest->params.nr_dyn_asids);
    load_cr3(self, gc, asid, need_flush);
    ts_task_line(self, &gc->state_line, TS_LINE_WRITE);
}

static void announce_switch(struct ts_task *self, struct ts_guest_cpu *gc)
{
    ts_task_line(self, &gc->state_line, TS_LINE_WRITE);
    gc->switching = true;
    ts_task_store(self, &gc->switching_store, TS_STORE_DATA);
}

/* Up to 6.13: out of one mask and into the other. */
static uint64_t begin_by_mask(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_mm *next)
{
    struct ts_mm *init = gc->guest->init_mm;

    announce_switch(self, gc);
    if (gc->loaded_mm != init) {
        ts_task_line(self, &gc->loaded_mm->mask_line, TS_LINE_RMW);
        ts_cpumask_clear(&gc->loaded_mm->cpumask, gc->id);
    }
    if (next != init) {
        ts_task_line(self, &next->mask_line, TS_LINE_RMW);
        ts_cpumask_set(&next->cpumask, gc->id);
    }
    gc->new_cpu = true;
    /* Read after the bit is set: whoever raises it later sees the bit and sends an IPI. */
    return read_generation(self, next);
}

/* 6.14 and later: the bit stays where it is, and an initiator asks what the CPU has loaded. So the
 * generation must not be read before others can see that it is switching. The atomic setting of a
 * bit is a barrier; where it is set already only the explicit one of commit 83b0177a6c48 is.
 * Without that the store of LOADED_MM_SWITCHING may wait in the store buffer (TSO), at the longest
 * until MOV CR3, which serialises and is followed by the store of the next one. Others see the
 * previous address space till then; where there are no store buffers it always waits that long. */
static uint64_t begin_lazily(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_mm *next)
{
    bool is_set = ts_cpumask_test(&next->cpumask, gc->id); /* only this CPU changes its own bit */

    gc->new_cpu = !is_set;
    if (!is_set || gc->guest->params.mask_barrier || self->domain->stores)
        announce_switch(self, gc);
    if (gc->guest->params.mask_barrier)
        ts_task_barrier(self);
    if (next != gc->guest->init_mm) {
        ts_task_line(self, &next->mask_line, is_set ? TS_LINE_READ : TS_LINE_RMW);
        ts_cpumask_set(&next->cpumask, gc->id);
    }
    return read_generation(self, next);
}

/* Tells the others of the switch, then reads the generation to load. */
static uint64_t begin_switch(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_mm *next)
{
    return gc->guest->params.lazy_mm_cpumask ? begin_lazily(self, gc, next)
                                             : begin_by_mask(self, gc, next);
}

static void switch_x86(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_mm *next)
{
    bool was_lazy = gc->is_lazy;
    bool need_flush;
    uint32_t asid = gc->loaded_asid;
    uint64_t next_gen;

    if (was_lazy) {
        ts_task_line(self, &gc->lazy_line, TS_LINE_WRITE);
        gc->is_lazy = false;
        ts_task_store(self, &gc->lazy_store, TS_STORE_DATA);
    }
    if (gc->loaded_mm == next) {
        enum ts_same_mm same =
            gc->guest->flush->same_mm ? gc->guest->flush->same_mm(gc) : TS_SAME_KERNEL;
        if (same == TS_SAME_RELOAD)
            reload_asid(self, gc);
        /* Who is told of every flush while lazy has left for init_mm where there was one. The
         * comparison came with R. van Riel, x86/mm/tlb: Make lazy TLB mode lazier, 4.20
         * (remembered). */
        if (!was_lazy || same != TS_SAME_KERNEL || gc->guest->params.lazy_rule != TS_LAZY_SKIP)
            return;
        /* The CPU was left out of flushes while lazy: only the generation tells, read when others
         * see that it is not lazy any more (smp_mb in 6.1 and 6.12). */
        ts_task_barrier(self);
        ts_task_line(self, &next->gen_line, TS_LINE_READ);
        next_gen = next->tlb_gen;
        need_flush = gc->ctxs[asid].tlb_gen != next_gen;
        ts_assisted_asked(gc, asid, TS_REDUNDANT_LAZY_RETURN, next_gen, need_flush);
        if (!need_flush)
            return;
    } else {
        next_gen = begin_switch(self, gc, next);
        asid = gc->guest->flush->choose_asid
                   ? gc->guest->flush->choose_asid(gc, next, next_gen, &need_flush)
                   : ts_choose_new_asid(gc, next, next_gen, &need_flush);
    }
    if (need_flush && asid < gc->guest->params.nr_dyn_asids) {
        gc->ctxs[asid] = (struct ts_tlb_context){.ctx_id = next->ctx_id, .tlb_gen = next_gen};
        ts_assisted_own(&gc->ctxs[asid], next_gen);
    }
    load_cr3(self, gc, asid, need_flush);
    ts_task_line(self, &gc->state_line, TS_LINE_WRITE);
    gc->loaded_mm = next;
    gc->switching = false;
}

/* arm64: no generation, no lazy state, no flush at a switch. The mask exists only for the
 * out-of-tree flushes by IPI; entries survive a switch under their ASID, so a bit, once set, stays
 * for the address space's life. */
static void switch_arm64(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_mm *next)
{
    if (gc->guest->flush->remote_by_mask && next != gc->guest->init_mm &&
        !ts_cpumask_test(&next->cpumask, gc->id)) {
        ts_task_line(self, &next->mask_line, TS_LINE_RMW);
        ts_cpumask_set(&next->cpumask, gc->id);
    }
    gc->loaded_mm = next;
}

void ts_switch_mm(struct ts_task *self, struct ts_mm *next)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    TS_ASSERT(gc->cpu->irq_off);
    ts_task_work(self, gc->guest->params.switch_mm_cycles);
    if (gc->guest->flush->switch_mm)
        gc->guest->flush->switch_mm(self, gc->loaded_mm, next);
    if (gc->guest->arch == TS_ARCH_X86)
        switch_x86(self, gc, next);
    else
        switch_arm64(self, gc, next);
}

void ts_enter_lazy_tlb(struct ts_task *self)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    if (gc->guest->arch != TS_ARCH_X86 || gc->loaded_mm == gc->guest->init_mm)
        return;
    if (gc->guest->flush->switch_mm)
        gc->guest->flush->switch_mm(self, gc->loaded_mm, NULL);
    if (gc->guest->params.lazy_rule == TS_LAZY_INIT_MM) {
        ts_switch_mm(self, gc->guest->init_mm);
        return;
    }
    if (!gc->is_lazy) {
        ts_task_line(self, &gc->lazy_line, TS_LINE_WRITE);
        gc->is_lazy = true;
    }
}
