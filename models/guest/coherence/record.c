/* SPDX-License-Identifier: Apache-2.0 */
#include "models/guest/coherence/tlb_state.h"

const char *const ts_path_part_names[TS_PATH_PARTS] = {
    "send",  "transport", "not_running", "irq_off", "exit",          "handler",
    "flush", "ack",       "local",       "lock",    "initiator_off", "hypervisor",
};

void ts_path_add(struct ts_task *self, struct ts_shootdown_record *record, enum ts_path_part part,
                 ts_time *mark)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    ts_time now = ts_task_now(self);
    ts_time off = ts_vcpu_not_running_ps(gc->cpu);
    ts_time span = now - *mark;
    ts_time lost = off - gc->off_mark < span ? off - gc->off_mark : span;
    record->part_ps[TS_PATH_INITIATOR_OFF] += lost;
    record->part_ps[part] += span - lost;
    gc->off_mark = off;
    *mark = now;
}

void ts_path_add_hypercall(struct ts_task *self, struct ts_shootdown_record *record,
                           const struct ts_hypercall_times *times, ts_time *mark)
{
    record->part_ps[TS_PATH_HYPERVISOR] += times->work_ps;
    record->part_ps[TS_PATH_ACK] += times->wait_ps;
    record->part_ps[TS_PATH_FLUSH] += times->entry_ps;
    record->part_ps[TS_PATH_INITIATOR_OFF] += times->off_ps;
    *mark = ts_task_now(self);
    ts_guest_cpu_of(self)->off_mark = ts_vcpu_not_running_ps(self->cpu);
}

static void finish_record(struct ts_task *self, struct ts_guest *g, struct ts_shootdown_record *r,
                          bool remote)
{
    ts_time sum = 0;
    r->total_ps = ts_task_now(self) - r->started;
    for (uint32_t i = 0; i < TS_PATH_PARTS; i++)
        sum += r->part_ps[i];
    TS_ASSERT(sum <= r->total_ps);
    r->part_ps[TS_PATH_SEND] += r->total_ps - sum;
    g->stats.shootdown_all++;
    if (!remote) {
        g->stats.shootdown_local++;
        return;
    }
    g->stats.shootdowns++;
    g->stats.shootdown_freed_tables += r->freed_tables;
    g->stats.shootdown_full += r->end == UINT64_MAX;
    ts_hist_add(&g->stats.shootdown_ps, r->total_ps);
    if (g->shootdown_fn)
        g->shootdown_fn(g->shootdown_user, r);
}

struct ts_shootdown_record *ts_shootdown_begin(struct ts_task *self, struct ts_guest_cpu *gc,
                                               bool freed_tables)
{
    const struct ts_guest *g = gc->guest;
    struct ts_shootdown_record *r = &gc->record;

    *r = (struct ts_shootdown_record){.guest = g->number,
                                      .initiator = gc->id,
                                      .last_target = UINT32_MAX,
                                      .freed_tables = freed_tables,
                                      .started = ts_task_now(self)};
    gc->info.record = r;
    gc->in_shootdown = true;
    gc->off_mark = ts_vcpu_not_running_ps(gc->cpu);
    ts_timeline_emit(g->timeline, r->started, TS_TL_BEGIN, g->domain->group, gc->id, "shootdown",
                     0);
    return r;
}

void ts_shootdown_end(struct ts_task *self, struct ts_guest_cpu *gc, struct ts_shootdown_record *r,
                      bool remote)
{
    finish_record(self, gc->guest, r, remote);
    gc->in_shootdown = false;
    ts_timeline_emit(gc->guest->timeline, ts_task_now(self), TS_TL_END, gc->guest->domain->group,
                     gc->id, "shootdown", r->number);
}
