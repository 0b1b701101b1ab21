/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that somebody watches and puts off, and stores that others see late. */
#include "models/cpu/cpu.h"

void ts_task_tell_step(struct ts_task *self, enum ts_step_kind kind, bool write, const void *object,
                       uint64_t start, uint64_t end)
{
    const struct ts_steps *steps = self->domain->steps;
    const struct ts_cpu *p = ts_cpu_physical(self->cpu);
    struct ts_step step = {ts_task_now(self),
                           kind,
                           write,
                           self->domain->group,
                           self->cpu->id,
                           p ? p->id : 0,
                           object,
                           start,
                           end};
    ts_time late = steps->fn(steps->user, &step);

    if (late > 0)
        ts_task_work_ps(self, late);
}

static struct ts_store_buffer *buffer_of(const struct ts_task *self)
{
    return self->domain->stores ? &self->domain->stores[ts_cpu_physical(self->cpu)->id] : NULL;
}

void ts_task_store(struct ts_task *self, struct ts_store *store, enum ts_store_kind kind)
{
    struct ts_store_buffer *buffer = buffer_of(self);

    if (buffer)
        ts_store_put(buffer, store, kind);
}

void ts_task_store_dsb(struct ts_task *self)
{
    struct ts_store_buffer *buffer = buffer_of(self);

    if (buffer)
        ts_store_dsb(buffer);
}

const struct ts_store_buffer *ts_task_store_buffer(const struct ts_task *self)
{
    return buffer_of(self);
}
