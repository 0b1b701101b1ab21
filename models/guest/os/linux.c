/* SPDX-License-Identifier: Apache-2.0 */
/* Linux as a table of functions. */
#include <stdlib.h>

#include "models/guest/coherence/ipi.h"
#include "models/guest/coherence/pti.h"
#include "models/guest/mm/mm_private.h"
#include "models/guest/os/nohz.h"
#include "models/guest/os/thread.h"

/* --- what CPUs and hosts call --- */

static void linux_idle(struct ts_task *self)
{
    ts_nohz_idle(self);
    ts_guest_cpu_of(self)->guest->vm->pv->halt(self);
}

static void linux_interrupt(struct ts_task *self, enum ts_vector vector, ts_time raised)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    if (vector == TS_VEC_CALL) {
        ts_smp_call_handle(self, raised);
        return;
    }
    ts_irq_enter(self);
    g->vm->pv->eoi(self); /* apic_eoi, before the handler (sysvec_*, arch/x86) */
    if (vector == TS_VEC_TICK || vector == TS_VEC_TIMER)
        (void)ts_nohz_interrupt(self, vector);
    ts_irq_exit(self);
}

static void linux_switch_out(struct ts_task *self, struct ts_task *next)
{
    const struct ts_guest_thread *thread = next->user;
    const struct ts_guest_thread *prev = self->user;
    if (self->is_idle && !next->is_idle)
        ts_nohz_idle_exit(self);
    /* Whoever spins because self was executing must look again. */
    if (prev && prev->mm)
        ts_rwsem_recheck(&prev->mm->mmap_lock);
    if (thread && thread->mm)
        ts_switch_mm(self, thread->mm);
    else
        ts_enter_lazy_tlb(self);
}

/* Optimistic spinners watch vcpu_is_preempted of the lock's owner, and paravirtual spinlocks of
 * some versions that of the one before in the queue. */
static void linux_steal_changed(struct ts_vm *vm, uint32_t vcpu)
{
    struct ts_guest *g = vm->guest;
    (void)vcpu;
    ts_spinlocks_recheck(&g->locks);
    for (uint32_t i = 0; i < g->nmms; i++)
        ts_rwsem_recheck(&g->mms[i]->mmap_lock);
}

/* The slack is spent in full: with no other interrupt around, the timer fires when it is over. */
static ts_time linux_sleep_ps(const struct ts_guest *g, ts_time now, ts_time ps)
{
    (void)now;
    return ps + g->params.timer_slack_ps;
}

const struct ts_guest_os ts_guest_os_linux = {
    .name = "linux",
    .summary = "Linux on x86 or arm64",
    .cpu =
        {
            .name = "linux",
            .interrupt = linux_interrupt,
            .switch_out = linux_switch_out,
            .idle = linux_idle,
            .timer_first = ts_nohz_sleep,
            .send_resched = ts_guest_send_resched,
            .steal_changed = linux_steal_changed,
        },
    .paths = {.fault = ts_mm_fault, .flush_func = ts_flush_tlb_func},
    .sleep_ps = linux_sleep_ps,
    .mm_create = ts_mm_create,
    .mm_destroy = ts_mm_destroy,
    .mm_fork = ts_mm_fork,
    .mm_exit = ts_mm_exit,
    .mm_switch = ts_switch_mm,
    .enter = ts_syscall_enter,
    .leave = ts_kernel_exit,
    .op =
        {
            [TS_OP_MMAP] = ts_mm_mmap,
            [TS_OP_MUNMAP] = ts_mm_munmap,
            [TS_OP_MPROTECT] = ts_mm_mprotect,
            [TS_OP_MADVISE_DONTNEED] = ts_mm_madvise_dontneed,
            [TS_OP_MREMAP] = ts_mm_mremap,
            [TS_OP_TOUCH] = ts_mm_touch,
            [TS_OP_CALL] = ts_call_bench,
            [TS_OP_VFREE] = ts_vfree,
            [TS_OP_MADVISE_HUGEPAGE] = ts_mm_madvise_thp,
            [TS_OP_MADVISE_NOHUGEPAGE] = ts_mm_madvise_thp,
            [TS_OP_MADVISE_COLLAPSE] = ts_mm_madvise_thp,
            [TS_OP_MADVISE_FREE] = ts_mm_madvise_reclaim,
            [TS_OP_MADVISE_COLD] = ts_mm_madvise_reclaim,
            [TS_OP_MADVISE_PAGEOUT] = ts_mm_madvise_reclaim,
            [TS_OP_FLUSH] = ts_flush_bench,
        },
};
