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
    v->polling = true;
    ts_engine_schedule(engine, &v->poll_event, ts_engine_now(engine) + v->poll_ps, TS_PHASE_TIMER);
    ts_task_spin(&v->task, poll_ended, v, NULL);
    ts_engine_cancel(engine, &v->poll_event);
    TS_ASSERT(v->polling && !v->entering);
    v->polling = false;
    v->hyp->stats.halt_poll_success += has_work(v);
    v->hyp->stats.halt_poll_fail += !has_work(v);
    return has_work(v);
}

/* grow_halt_poll_ns and shrink_halt_poll_ns. */
static void adapt_polling(struct ts_vcpu *v, ts_time blocked_ps)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    TS_ASSERT(v->poll_ps <= p->halt_poll_ps);
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
    TS_ASSERT(v->poll_ps <= p->halt_poll_ps);
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
    if (v->hyp->params.halt_poll_ps)
        adapt_polling(v, ts_task_now(&v->task) - start);
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
