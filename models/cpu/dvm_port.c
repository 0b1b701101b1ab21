/* SPDX-License-Identifier: Apache-2.0 */
#include "models/cpu/dvm_port.h"

static void stall_done(void *user, uint32_t cpu)
{
    (void)cpu;
    ts_task_stall_done(user);
}

void ts_dvm_port_tlbi(struct ts_task *self, struct ts_dvm *dvm, const struct ts_tlb_inval *inval)
{
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    TS_ASSERT(p && self->cpu->current == self && inval->kinds);
    while (!ts_dvm_can_issue(dvm, p->id, stall_done, self))
        ts_task_stall(self);
    TS_ASSERT(ts_cpu_physical(self->cpu) == p);
    ts_dvm_issue(dvm, p->id, inval);
}

void ts_dvm_port_tlbi_local(struct ts_task *self, struct ts_dvm *dvm,
                            const struct ts_tlb_inval *inval)
{
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    TS_ASSERT(p && self->cpu->current == self && inval->kinds);
    ts_dvm_issue_local(dvm, p->id, inval);
}

void ts_dvm_port_dsb(struct ts_task *self, struct ts_dvm *dvm)
{
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    TS_ASSERT(p && self->cpu->current == self);
    if (!ts_dvm_dsb(dvm, p->id, stall_done, self))
        ts_task_stall(self);
    ts_task_store_dsb(self);
    TS_ASSERT(ts_cpu_physical(self->cpu) == p);
}

void ts_dvm_port_dsb_nsh(struct ts_task *self, struct ts_dvm *dvm)
{
    struct ts_cpu *p = ts_cpu_physical(self->cpu);
    TS_ASSERT(p && self->cpu->current == self);
    if (!ts_dvm_dsb_nsh(dvm, p->id, stall_done, self))
        ts_task_stall(self);
    ts_task_store_dsb(self);
    TS_ASSERT(ts_cpu_physical(self->cpu) == p);
}

void ts_dvm_port_dsb_st(struct ts_task *self, uint64_t cycles)
{
    ts_task_work(self, cycles);
    ts_task_store_dsb(self);
}
