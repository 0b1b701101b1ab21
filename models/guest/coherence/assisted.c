/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/coherence/assisted.h"

void ts_assisted_flushed(const struct ts_guest_cpu *self, struct ts_guest_cpu *target,
                         const struct ts_flush_info *info, bool whole)
{
    struct ts_tlb_context *slot;
    TS_ASSERT(info->mm && info->new_tlb_gen);
    slot = ts_tlb_context_of(target, info->mm);
    if (!slot || slot->flushed_gen >= info->new_tlb_gen ||
        (!whole && slot->flushed_gen + 1 != info->new_tlb_gen))
        return;
    slot->flushed_gen = info->new_tlb_gen;
    slot->flushed_by_self = self == target;
}

void ts_assisted_own(struct ts_tlb_context *slot, uint64_t gen)
{
    slot->own_gen = gen;
    slot->flushed_by_self = false;
    if (slot->flushed_gen < gen)
        slot->flushed_gen = gen;
}

void ts_assisted_asked(struct ts_guest_cpu *gc, uint32_t slot, enum ts_redundant kind, uint64_t gen,
                       bool flushed)
{
    const struct ts_tlb_context *ctx = &gc->ctxs[slot];
    struct ts_guest_stats *s = &gc->guest->stats;
    if (ctx->flushed_by_self)
        kind = TS_REDUNDANT_INITIATOR;
    if (flushed && ctx->flushed_gen >= gen)
        s->redundant[kind]++;
    else if (!flushed && ctx->own_gen < gen)
        s->redundant_avoided[kind]++;
}

enum ts_update_result ts_gen_update_read(struct ts_task *self, struct ts_guest_cpu *target,
                                         const struct ts_flush_info *info,
                                         struct ts_gen_update *update)
{
    const struct ts_tlb_context *slot;
    TS_ASSERT(info->mm && info->new_tlb_gen && self->cpu->preempt_off);
    ts_task_line(self, &target->state_line, TS_LINE_READ);
    slot = ts_guest_cpu_switching(target) ? NULL : ts_tlb_context_of(target, info->mm);
    if (!slot)
        return TS_UPDATE_NO_SLOT;
    if (info->end != UINT64_MAX && slot->tlb_gen + 1 < info->new_tlb_gen)
        return TS_UPDATE_BEHIND;
    update->target = target;
    update->slot = (uint32_t)(slot - target->ctxs);
    update->seen = *slot;
    return TS_UPDATE_DONE;
}

enum ts_update_result ts_gen_update_write(struct ts_task *self, const struct ts_gen_update *update,
                                          const struct ts_flush_info *info, bool atomic)
{
    struct ts_tlb_context *slot = &update->target->ctxs[update->slot];
    ts_task_line(self, &update->target->state_line, TS_LINE_RMW);
    if (atomic && (slot->ctx_id != update->seen.ctx_id || slot->tlb_gen != update->seen.tlb_gen))
        return TS_UPDATE_LOST;
    if (!atomic || slot->tlb_gen < info->new_tlb_gen)
        slot->tlb_gen = info->new_tlb_gen;
    return TS_UPDATE_DONE;
}
