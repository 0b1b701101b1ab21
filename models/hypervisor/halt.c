/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU with nothing to do, and one that spins: HLT with halt polling (virt/kvm/kvm_main.c
 * kvm_vcpu_halt; x86.md 3.5), pause-loop exits with directed yield (kvm_vcpu_on_spin; 3.4). */
#include "models/hypervisor/hyp_private.h"

static bool has_work(const struct ts_vcpu *v)
{
    return v->pir || v->cpu->pending;
}

static bool poll_ended(void *arg)
{
    const struct ts_vcpu *v = arg;
    return has_work(v) || v->poll_over || v->task.cpu->rq.nr;
}

/* Returns true if an interrupt came while polling. */
static bool halt_poll(struct ts_vcpu *v)
{
    struct ts_engine *engine = v->hyp->w.engine;
    if (v->poll_ps == 0 || v->task.cpu->rq.nr)
        return false;
    v->poll_over = false;
    v->polling = true;
    ts_engine_schedule(engine, &v->poll_event, ts_engine_now(engine) + v->poll_ps, TS_PHASE_TIMER);
    ts_task_spin(&v->task, poll_ended, v, NULL);
    ts_engine_cancel(engine, &v->poll_event);
    v->polling = false;
    v->hyp->stats.halt_poll_success += has_work(v);
    v->hyp->stats.halt_poll_fail += !has_work(v);
    return has_work(v);
}

/* grow_halt_poll_ns and shrink_halt_poll_ns. */
static void adapt_polling(struct ts_vcpu *v, ts_time blocked_ps)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    if (blocked_ps <= v->poll_ps)
        return;
    if (blocked_ps > p->halt_poll_ps) {
        v->poll_ps /= 2;
        if (v->poll_ps < p->halt_poll_grow_start_ps)
            v->poll_ps = 0;
        return;
    }
    v->poll_ps = 2 * v->poll_ps;
    if (v->poll_ps < p->halt_poll_grow_start_ps)
        v->poll_ps = p->halt_poll_grow_start_ps;
    if (v->poll_ps > p->halt_poll_ps)
        v->poll_ps = p->halt_poll_ps;
}

void ts_vcpu_halt(struct ts_task *self)
{
    struct ts_cpu *cpu = self->cpu;
    struct ts_vcpu *v = ts_vcpu_of(cpu);
    if (cpu->pending || cpu->need_resched || cpu->rq.nr)
        return;
    ts_vm_exit(v, TS_EXIT_HALT);
    v->hyp->stats.halts++;
    ts_time start = ts_task_now(&v->task);
    if (!has_work(v) && !halt_poll(v)) {
        while (!has_work(v)) {
            v->blocked = true;
            ts_task_block(&v->task);
            v->blocked = false;
        }
    }
    if (v->hyp->params.halt_poll_ps)
        adapt_polling(v, ts_task_now(&v->task) - start);
    ts_vm_entry(v);
}

/* --- pause-loop exits --- */

/* Preempted in user mode without an interrupt to take: not worth a boost. */
static bool may_boost(const struct ts_vcpu *me, const struct ts_vcpu *t)
{
    if (t == me || t->task.state != TS_TASK_RUNNABLE || !t->task.se.queued)
        return false;
    return t->guest_mode != TS_MODE_USER || (me->hyp->params.apicv && t->pir);
}

void ts_vcpu_pause_exit(struct ts_cpu *cpu)
{
    struct ts_vcpu *v = ts_vcpu_of(cpu);
    const struct ts_vm *vm = v->vm;
    struct ts_vcpu *first = ts_vm_vcpu(vm, 0);
    uint32_t tries = 3;
    ts_vm_exit(v, TS_EXIT_PAUSE);
    /* grow_ple_window: doubles until the vCPU is next scheduled in (shrink 0 = reset). */
    if (v->hyp->w.arch == TS_ARCH_X86)
        cpu->pause_window_cycles *= 2;
    if (cpu->pause_window_cycles > UINT32_MAX)
        cpu->pause_window_cycles = UINT32_MAX;
    ts_task_work(&v->task, v->hyp->params.on_spin_cycles);
    uint32_t from = first->last_boosted;
    for (uint32_t i = 1; i <= vm->nvcpus && tries; i++) {
        struct ts_vcpu *t = &first[(from + i) % vm->nvcpus];
        if (!may_boost(v, t))
            continue;
        v->hyp->stats.directed_yield_attempted++;
        first->last_boosted = t->id;
        if (ts_task_yield_to(&v->task, &t->task) == TS_YIELD_DONE) {
            v->hyp->stats.directed_yield_successful++;
            break;
        }
        tries--;
    }
    ts_vm_entry(v);
}
