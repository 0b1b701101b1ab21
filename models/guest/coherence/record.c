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
