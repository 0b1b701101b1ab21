/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU that spins: pause-loop exits with directed yield (virt/kvm/kvm_main.c kvm_vcpu_on_spin;
 * x86.md 3.4). Who may be boosted changed twice:
 *
 * | rule      | since | candidates                                                              |
 * |-----------|-------|-------------------------------------------------------------------------|
 * | preempted | 4.14  | vCPUs put while runnable, in kernel mode if the spinner was             |
 * | ready     | 5.3   | also such as have just been woken; blocked ones with an interrupt to    |
 * |           |       | take (d73eb57b80b9)                                                     |
 * | ready_irq | 5.13  | also in user mode, if an interrupt is pending (52acd22faa1a)            |
 */
#include "models/hypervisor/hyp_private.h"

/* A vCPU's level when it lost its pCPU (kvm_arch_vcpu_put: preempted_in_kernel). */
static bool was_in_kernel(const struct ts_vcpu *t)
{
    return t->guest_mode != TS_MODE_USER;
}

/* kvm_arch_dy_has_pending_interrupt: the posted-interrupt descriptor's ON bit, or the IRR of an
 * AVIC; without a virtual APIC page nobody can tell. */
static bool has_pending_interrupt(const struct ts_vcpu *t)
{
    return t->accel != TS_ACCEL_NONE && t->pir != 0;
}

/* kvm_vcpu_eligible_for_directed_yield: one that spins itself takes its turn every other time. */
static bool is_eligible(struct ts_vcpu *t)
{
    bool eligible = !t->in_spin_loop || t->dy_eligible;
    if (t->in_spin_loop)
        t->dy_eligible = !t->dy_eligible;
    return eligible;
}

static bool is_candidate(const struct ts_vcpu *me, struct ts_vcpu *t, bool in_kernel)
{
    enum ts_boost_rule rule = (enum ts_boost_rule)me->hyp->params.boost_rule;
    if (t == me || !(rule == TS_BOOST_PREEMPTED ? t->preempted : t->ready))
        return false;
    /* kvm_vcpu_is_blocking, and nothing that would unblock it. */
    if (t->blocked && !t->pir)
        return false;
    bool judged = in_kernel && (rule == TS_BOOST_PREEMPTED || t->preempted);
    if (judged && !was_in_kernel(t) && !(rule == TS_BOOST_READY_IRQ && has_pending_interrupt(t)))
        return false;
    return is_eligible(t);
}

void ts_vcpu_on_spin(struct ts_vcpu *v, bool in_kernel)
{
    struct ts_vcpu *first = ts_vm_vcpu(v->vm, 0);
    uint32_t n = v->vm->nvcpus;
    uint32_t from = first->last_boosted;
    uint32_t tries = 3;
    v->in_spin_loop = true;
    for (uint32_t i = 1; i <= n && tries; i++) {
        struct ts_vcpu *t = &first[(from + i) % n];
        if (!is_candidate(v, t, in_kernel))
            continue;
        v->hyp->stats.directed_yield_attempted++;
        enum ts_yield got = ts_task_yield_to(&v->task, &t->task);
        if (got == TS_YIELD_DONE) {
            v->hyp->stats.directed_yield_successful++;
            first->last_boosted = t->id;
            break;
        }
        tries -= got == TS_YIELD_NOBODY;
    }
    v->in_spin_loop = false;
    v->dy_eligible = false;
}

/* kvm_sched_yield: a guest names by its APIC ID whom it waits for. */
void ts_vcpu_sched_yield(struct ts_vcpu *v, uint64_t apic_id)
{
    struct ts_vcpu *t;
    v->hyp->stats.directed_yield_attempted++;
    if (ts_cpu_single_task_running(v->task.cpu) || apic_id >= v->vm->nvcpus)
        return;
    t = ts_vm_vcpu(v->vm, (uint32_t)apic_id);
    if (!t->ready || t == v)
        return;
    ts_task_work(&v->task, v->hyp->params.yield_to_cycles);
    if (ts_task_yield_to(&v->task, &t->task) == TS_YIELD_DONE)
        v->hyp->stats.directed_yield_successful++;
}

uint64_t ts_ple_window_grow(const struct ts_hypervisor_params *p, uint64_t window)
{
    uint64_t by = p->ple_window_grow;
    if (by < 1)
        return p->ple_window_cycles;
    window = by < p->ple_window_cycles ? window * by : window + by;
    return window < p->ple_window_max_cycles ? window : p->ple_window_max_cycles;
}

uint64_t ts_ple_window_shrink(const struct ts_hypervisor_params *p, uint64_t window)
{
    uint64_t by = p->ple_window_shrink;
    if (by < 1)
        return p->ple_window_cycles;
    if (by < p->ple_window_cycles)
        window /= by;
    else
        window -= window < by ? window : by;
    return window > p->ple_window_cycles ? window : p->ple_window_cycles;
}

void ts_vcpu_pause_exit(struct ts_cpu *cpu)
{
    struct ts_vcpu *v = ts_vcpu_of(cpu);
    TS_ASSERT(cpu->in_guest && cpu->pause_window_cycles > 0);
    ts_vm_exit(v, TS_EXIT_PAUSE);
    if (v->hyp->w.arch == TS_ARCH_X86)
        cpu->pause_window_cycles = ts_ple_window_grow(&v->hyp->params, cpu->pause_window_cycles);
    ts_task_work(&v->task, v->hyp->params.on_spin_cycles);
    /* handle_pause says kernel mode always: pause loops exit in CPL 0 only. kvm_handle_wfx asks
     * (vcpu_mode_priv), and spins are the kernel's here too. */
    if (v->hyp->xen)
        ts_task_yield(&v->task); /* vmx_vmexit_handler, EXIT_REASON_PAUSE_INSTRUCTION */
    else
        ts_vcpu_on_spin(v, true);
    ts_vm_entry(v);
}
