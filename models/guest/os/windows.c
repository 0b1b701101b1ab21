/* SPDX-License-Identifier: Apache-2.0 */
/* A Windows-like operating system as a table of functions (docs/windows-guest.md). Its scheduler,
 * its interrupts' protocol and its clock are those that the guest of Linux has. */
#include "models/guest/coherence/ipi.h"
#include "models/guest/coherence/pti.h"
#include "models/guest/nt/flush.h"
#include "models/guest/os/nohz.h"
#include "models/guest/os/thread.h"

/* --- what threads are charged --- */

static void charge(struct ts_guest *g, bool user, ts_time ps)
{
    if (user)
        g->nt_stats.user_time_ps += ps;
    else
        g->nt_stats.kernel_time_ps += ps;
}

/* KeUpdateRunTime: the clock interrupt charges whom it has interrupted. */
static void charge_ticks(struct ts_task *self, struct ts_guest *g, uint64_t ticks)
{
    if (!ticks || self->is_idle || g->nt.accounting != TS_NT_BY_TICKS)
        return;
    if (!g->nt.charge_steal)
        ticks = 1;
    g->nt_stats.ticks_charged += ticks;
    charge(g, self->cpu->irq_from_user, ticks * g->domain->sched_params.tick_ps);
}

/* A thread leaves its CPU: what that counted of it, and what the host took in between, which goes
 * to either mode in proportion (assumed). */
static void charge_cycles(struct ts_task *self, struct ts_guest *g, struct ts_guest_thread *t)
{
    ts_time user, kernel, span, lost, lost_user = 0;

    ts_cpu_account(self->cpu);
    user = self->user_ps - t->charged_user_ps;
    kernel = self->system_ps - t->charged_system_ps;
    span = ts_task_now(self) - t->charge_since;
    lost = g->nt.charge_steal && span > user + kernel ? span - user - kernel : 0;
    if (user + kernel)
        lost_user = ts_muldiv(lost, user, user + kernel);
    charge(g, true, user + lost_user);
    charge(g, false, kernel + lost - lost_user);
}

static void begin_charging(const struct ts_task *self, struct ts_task *next)
{
    struct ts_guest_thread *t = next->user;

    if (!t)
        return;
    t->charge_since = ts_task_now(self);
    t->charged_user_ps = next->user_ps;
    t->charged_system_ps = next->system_ps;
}

/* --- what CPUs and hosts call --- */

static void windows_idle(struct ts_task *self)
{
    ts_nohz_idle(self);
    ts_guest_cpu_of(self)->guest->vm->pv->halt(self);
}

static void windows_interrupt(struct ts_task *self, enum ts_vector vector, ts_time raised)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;

    if (vector == TS_VEC_CALL) {
        ts_smp_call_handle(self, raised);
        return;
    }
    ts_irq_enter(self);
    g->vm->pv->eoi(self);
    if (vector == TS_VEC_TICK || vector == TS_VEC_TIMER)
        charge_ticks(self, g, ts_nohz_interrupt(self, vector));
    ts_irq_exit(self);
}

static void windows_switch_out(struct ts_task *self, struct ts_task *next)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_guest_thread *prev = self->user, *thread = next->user;

    if (self->is_idle && !next->is_idle)
        ts_nohz_idle_exit(self);
    if (prev && g->nt.accounting == TS_NT_BY_CYCLES)
        charge_cycles(self, g, prev);
    if (thread)
        ts_nt_switch(self, thread->mm);
    else
        ts_nt_switch_idle(self);
    begin_charging(self, next);
}

/* It reads no steal time. */
static void windows_steal_changed(struct ts_vm *vm, uint32_t vcpu)
{
    (void)vm;
    (void)vcpu;
}

/* The first clock interrupt at or after the end: multiples of the resolution. */
static ts_time windows_sleep_ps(const struct ts_guest *g, ts_time now, ts_time ps)
{
    ts_time resolution = g->nt.timer_resolution_ps;

    return (now + ps + resolution - 1) / resolution * resolution - now;
}

const struct ts_guest_os ts_guest_os_windows = {
    .name = "windows",
    .summary = "like Windows, on x86",
    .cpu =
        {
            .name = "windows",
            .interrupt = windows_interrupt,
            .switch_out = windows_switch_out,
            .idle = windows_idle,
            .timer_first = ts_nohz_sleep,
            .send_resched = ts_guest_send_resched,
            .steal_changed = windows_steal_changed,
        },
    .paths = {.fault = ts_nt_fault, .flush_func = ts_nt_flush_func},
    .mm_create = ts_nt_create,
    .mm_destroy = ts_nt_destroy,
    .mm_exit = ts_nt_exit,
    .mm_switch = ts_nt_switch,
    .enter = ts_syscall_enter,
    .leave = ts_kernel_exit,
    .sleep_ps = windows_sleep_ps,
    .op =
        {
            [TS_OP_MMAP] = ts_nt_allocate,
            [TS_OP_MUNMAP] = ts_nt_release,
            [TS_OP_MPROTECT] = ts_nt_protect,
            [TS_OP_MADVISE_DONTNEED] = ts_nt_decommit,
            [TS_OP_TOUCH] = ts_mm_touch,
            [TS_OP_CALL] = ts_call_bench,
        },
};

const struct ts_guest_os *const ts_guest_os_table[TS_OS_KINDS] = {
    [TS_OS_LINUX] = &ts_guest_os_linux,
    [TS_OS_WINDOWS] = &ts_guest_os_windows,
};
