/* SPDX-License-Identifier: Apache-2.0 */
#include "models/flush/flush_update_gen.h"

const char *const ts_update_gen_names[] = {"off", "full_only", "full_and_partial", NULL};

void ts_update_gen(struct ts_task *self, struct ts_guest_cpu *target,
                   const struct ts_flush_info *info, const struct ts_update_gen_params *params,
                   struct ts_update_gen_stats *stats)
{
    struct ts_gen_update update;
    ts_time start = ts_task_now(self);
    bool whole = info->end == UINT64_MAX;
    TS_ASSERT(self->cpu->preempt_off);
    if (!info->mm || params->update == TS_UPDATE_OFF ||
        (!whole && params->update == TS_UPDATE_FULL_ONLY))
        return;
    stats->considered++;
    enum ts_update_result result = ts_gen_update_read(self, target, info, &update);
    if (result == TS_UPDATE_DONE)
        result = ts_gen_update_write(self, &update, info, params->atomic != 0);
    stats->updated += result == TS_UPDATE_DONE;
    stats->lost += result == TS_UPDATE_LOST;
    stats->behind += result == TS_UPDATE_BEHIND;
    stats->no_slot += result == TS_UPDATE_NO_SLOT;
    stats->update_ps += ts_task_now(self) - start;
}
