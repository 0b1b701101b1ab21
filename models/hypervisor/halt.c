/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU that halts: HLT with halt polling (virt/kvm/kvm_main.c kvm_vcpu_halt; x86.md 3.5), and
 * the kick that ends it (arch/x86/kvm/x86.c kvm_pv_kick_cpu_op). */
#include "models/hypervisor/hyp_private.h"

/* kvm_vcpu_has_events: an interrupt counts only where the guest would take it. */
static bool has_work(const struct ts_vcpu *v)
{
    return v->pv_unhalted || (!v->halt_masked && (v->pir || v->cpu->pending));
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
    TS_ASSERT(v->loaded && !v->entering && !v->blocked && !v->polling);
    v->poll_over = false;
    v->poll_mark = ts_vcpu_on_pcpu_ps(v);
    v->polling = true;
    ts_engine_schedule(engine, &v->poll_event, ts_engine_now(engine) + v->poll_ps, TS_PHASE_TIMER);
    v->task.spin_executes = !v->hyp->params.halt_poll_relax;
    ts_task_spin(&v->task, poll_ended, v, NULL);
    v->task.spin_executes = false;
    ts_engine_cancel(engine, &v->poll_event);
    TS_ASSERT(v->polling && !v->entering);
    v->polled_ps = ts_vcpu_polled_ps(v);
    v->polling = false;
    v->hyp->stats.halt_poll_success += has_work(v);
    v->hyp->stats.halt_poll_fail += !has_work(v);
    return has_work(v);
}

static ts_time shrink_halt_poll(const struct ts_hypervisor_params *p, ts_time poll_ps)
{
    ts_time less = p->halt_poll_shrink ? poll_ps / p->halt_poll_shrink : 0;
    return less < p->halt_poll_grow_start_ps ? 0 : less;
}

static ts_time grow_halt_poll(const struct ts_hypervisor_params *p, ts_time poll_ps)
{
    if (!p->halt_poll_grow)
        return poll_ps;
    ts_time more = p->halt_poll_grow * poll_ps;
    if (more < p->halt_poll_grow_start_ps)
        more = p->halt_poll_grow_start_ps;
    return more < p->halt_poll_ps ? more : p->halt_poll_ps;
}

ts_time ts_halt_poll_after(const struct ts_hypervisor_params *p, ts_time poll_ps, ts_time halt_ps)
{
    TS_ASSERT(poll_ps <= p->halt_poll_ps);
    if (halt_ps <= poll_ps)
        return poll_ps;
    if (halt_ps > p->halt_poll_ps)
        return shrink_halt_poll(p, poll_ps);
    return halt_ps < p->halt_poll_ps ? grow_halt_poll(p, poll_ps) : poll_ps;
}

/* From the instruction to its end. */
static void halt(struct ts_vcpu *v)
{
    TS_ASSERT(!v->halt_masked);
    ts_vm_exit(v, TS_EXIT_HALT);
    v->hyp->stats.halts++;
    v->halt_masked = v->cpu->irq_off > 0;
    ts_time start = ts_task_now(&v->task);
    if (!has_work(v) && !halt_poll(v)) {
        while (!has_work(v)) {
            TS_ASSERT(v->loaded && !v->polling && !v->entering && !v->cpu->in_guest);
            v->blocked = true;
            ts_task_block(&v->task);
            TS_ASSERT(v->blocked && v->loaded);
            v->blocked = false;
        }
    }
    v->halt_masked = v->pv_unhalted = false;
    v->poll_ps = ts_halt_poll_after(&v->hyp->params, v->poll_ps, ts_task_now(&v->task) - start);
    ts_vm_entry(v);
}

void ts_vcpu_halt(struct ts_task *self)
{
    const struct ts_cpu *cpu = self->cpu;
    if (cpu->pending || cpu->need_resched || cpu->rq.nr)
        return;
    halt(ts_vcpu_of(cpu));
}

/* What other tasks wait for the CPU does not matter: its own cannot go on. */
void ts_vcpu_halt_until_kicked(struct ts_task *self)
{
    const struct ts_cpu *cpu = self->cpu;
    TS_ASSERT(cpu->preempt_off || cpu->irq_off);
    if (cpu->pending && !cpu->irq_off)
        ts_task_work(self, 1); /* STI lets it in before HLT */
    else
        halt(ts_vcpu_of(cpu));
}

/* __apic_accept_irq, APIC_DM_REMRD: a flag that stays until the vCPU halts, and kvm_vcpu_kick. */
void ts_vcpu_unhalt(struct ts_vcpu *v, struct ts_vcpu *t)
{
    t->pv_unhalted = true;
    if (t->polling)
        ts_task_spin_signal(&t->task);
    else if (t != v)
        ts_vcpu_kick(t, &v->task);
}
