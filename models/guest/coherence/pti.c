/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/coherence/pti.h"

_Static_assert((int)TS_ASIDS_MAX <= (int)TS_PTI_MAX_ASID, "a slot's PCID reaches the user bit");
_Static_assert(TS_ASIDS_MAX <= 32, "user_flush_mask has a bit for each slot");

static bool is_on(const struct ts_guest *g)
{
    return g->params.pti && g->arch == TS_ARCH_X86;
}

/* Not a global ASID, both of whose PCIDs are flushed at once (models/flush/invlpgb.c). */
static bool is_slot(uint32_t asid)
{
    return asid < TS_ASIDS_MAX;
}

static uint64_t enter_cycles(const struct ts_guest *g)
{
    if (g->arch == TS_ARCH_X86)
        return g->params.pti ? g->params.pti_enter_cycles : 0;
    return g->params.kpti ? g->params.kpti_enter_cycles : 0;
}

static uint64_t exit_cycles(const struct ts_guest *g)
{
    if (g->arch == TS_ARCH_X86)
        return g->params.pti ? g->params.pti_exit_cycles : 0;
    return g->params.kpti ? g->params.kpti_exit_cycles : 0;
}

uint64_t ts_pti_cycles(const struct ts_guest *g)
{
    return enter_cycles(g) + exit_cycles(g);
}

void ts_pti_flush_later(struct ts_guest_cpu *gc, uint32_t asid)
{
    if (is_on(gc->guest) && is_slot(asid))
        gc->user_flush_mask |= 1u << asid;
}

void ts_pti_flush_all(struct ts_task *self, uint32_t asid)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_tlb_inval inval;

    ts_pti_flush_later(gc, asid);
    if (!is_on(gc->guest) || is_slot(asid))
        return;
    inval = ts_inval_invpcid_single(ts_guest_vmid(gc), (uint16_t)((asid + 1) | TS_PTI_USER_PCID));
    ts_task_work(self, gc->guest->params.invpcid_cycles);
    ts_guest_invalidate(self, &inval);
}

void ts_pti_flush_one(struct ts_task *self, uint64_t va)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_guest *g = gc->guest;
    struct ts_tlb_inval inval;

    if (!is_on(g))
        return;
    if (!g->params.invpcid) {
        ts_pti_flush_later(gc, gc->loaded_asid);
        return;
    }
    inval = ts_inval_invpcid_addr(ts_guest_vmid(gc), ts_guest_user_asid(gc, gc->loaded_mm), va);
    ts_task_work(self, g->params.invpcid_cycles);
    ts_guest_invalidate(self, &inval);
    g->stats.flush_user_pages++;
}

bool ts_pti_is_pending(const struct ts_guest_cpu *gc)
{
    return is_slot(gc->loaded_asid) && (gc->user_flush_mask >> gc->loaded_asid & 1u);
}

static bool is_pending(const struct ts_task *self)
{
    return ts_pti_is_pending(ts_guest_cpu_of(self));
}

/* Without the NOFLUSH bit the write flushes the PCID that it loads. An interrupt may come in while
 * it goes on, and leave another flush pending. */
static void flush_pending(struct ts_task *self)
{
    while (is_pending(self)) {
        struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
        const struct ts_guest_params *p = &gc->guest->params;
        struct ts_tlb_inval inval =
            ts_inval_mov_cr3(ts_guest_vmid(gc), ts_guest_user_asid(gc, gc->loaded_mm));
        gc->user_flush_mask &= ~(1u << gc->loaded_asid);
        ts_guest_invalidate(self, &inval);
        gc->guest->stats.flush_user_exit++;
        if (p->mov_cr3_flush_cycles > p->mov_cr3_noflush_cycles)
            ts_task_work(self, p->mov_cr3_flush_cycles - p->mov_cr3_noflush_cycles);
    }
}

void ts_pti_return(struct ts_task *self)
{
    if (!is_pending(self))
        return;
    if (!self->user_mode) {
        flush_pending(self);
        return;
    }
    self->user_mode = false;
    (void)ts_cpu_set_mode(self->cpu, TS_MODE_SYSTEM);
    flush_pending(self);
    self->user_mode = true;
    (void)ts_cpu_set_mode(self->cpu, TS_MODE_USER);
}

void ts_irq_enter(struct ts_task *self)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;

    ts_task_work(self,
                 g->params.irq_entry_cycles + (self->cpu->irq_from_user ? enter_cycles(g) : 0));
}

void ts_irq_exit(struct ts_task *self)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    bool user = self->cpu->irq_from_user;

    ts_task_work(self, g->params.irq_exit_cycles + (user ? exit_cycles(g) : 0));
    if (user)
        ts_pti_return(self);
}
