/* SPDX-License-Identifier: Apache-2.0 */
/* Bare metal: the operating system on pCPUs, with nobody below it. */
#include "models/cpu/icr_port.h"
#include "models/guest/os/nohz.h"
#include "models/guest/os/thread.h"

static struct ts_guest *guest_of(const struct ts_task *self)
{
    return self->domain->vm->guest;
}

static void native_interrupt(struct ts_task *self, enum ts_vector vector, ts_time raised)
{
    guest_of(self)->os->cpu.interrupt(self, vector, raised);
}

static void native_switch_out(struct ts_task *self, struct ts_task *next)
{
    guest_of(self)->os->cpu.switch_out(self, next);
}

static void native_send_resched(struct ts_task *self, struct ts_cpu *target)
{
    guest_of(self)->os->cpu.send_resched(self, target);
}

static void native_icr_write(struct ts_task *self, const struct ts_icr_iter *it,
                             const struct ts_icr_write *w, enum ts_vector vector)
{
    struct ts_guest *g = guest_of(self);
    ts_icr_work(self, g->interrupt, &g->interrupt_params, it->mode, w->kind);
    ts_interrupt_count_write(g->interrupt);
    for (uint32_t i = w->first; i < w->end; i++) {
        if (ts_icr_reaches(it, w, i))
            ts_interrupt_send(g->interrupt, self->cpu->id, it->targets[i], vector, 0);
    }
}

/* The register write is part of the interrupt's entry (guest.irq_entry). */
static void native_eoi(struct ts_task *self)
{
    TS_ASSERT(self->cpu->irq_off);
}

static void native_idle(struct ts_task *self)
{
    const struct ts_guest *g = guest_of(self);
    ts_nohz_idle(self);
    self->cpu->polling = g->arch == TS_ARCH_X86 && g->params.idle_polling;
    ts_task_idle_wait(self);
    self->cpu->polling = false;
    /* As in a host's idle loop: interrupts are masked until the C-state has been left. */
    ts_irq_disable(self);
    ts_task_work_ps(self, g->idle_wakeup_ps);
    ts_irq_enable(self);
}

static void native_timer_program(struct ts_task *self)
{
    ts_task_work(self, guest_of(self)->params.timer_program_cycles);
}

const struct ts_pv_ops ts_bare_metal_pv_ops = {
    .name = "native",
    .icr_write = native_icr_write,
    .eoi = native_eoi,
    .halt = native_idle,
    .timer_program = native_timer_program,
};

const struct ts_cpu_ops ts_bare_metal_cpu_ops = {
    .interrupt = native_interrupt,
    .switch_out = native_switch_out,
    .idle = native_idle,
    .send_resched = native_send_resched,
    .timer_program = native_timer_program,
    .timer_first = ts_nohz_sleep,
};
