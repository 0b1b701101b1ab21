/* SPDX-License-Identifier: Apache-2.0 */
/* Exits and entries (arch/x86/kvm/x86.c vcpu_enter_guest), and the operations of vCPUs and of the
 * host's CPUs. */
#include "models/hypervisor/host_call.h"
#include "models/hypervisor/stage2.h"
#include "models/hypervisor/vcpu_stage.h"

static const char *const reason_names[] = {"",
                                           "exit: interrupt",
                                           "exit: ICR",
                                           "exit: hypercall",
                                           "exit: halt",
                                           "exit: pause",
                                           "exit: timer",
                                           "exit: EOI",
                                           "exit: APIC access",
                                           "exit: AVIC incomplete IPI",
                                           "exit: stage-2 fault",
                                           "exit: to user space"};

static void emit(const struct ts_vcpu *v, enum ts_timeline_kind kind, const char *name)
{
    const struct ts_cpu_domain *d = v->cpu->domain;
    ts_timeline_emit(d->timeline, ts_engine_now(d->engine), kind, d->group, v->cpu->id, name, 0);
}

static void count_exit(struct ts_hypervisor_stats *s, enum ts_exit_reason reason)
{
    s->exits++;
    s->exit_interrupt += reason == TS_EXIT_INTERRUPT;
    s->exit_icr += reason == TS_EXIT_ICR;
    s->exit_hypercall += reason == TS_EXIT_HYPERCALL;
    s->exit_halt += reason == TS_EXIT_HALT;
    s->exit_pause += reason == TS_EXIT_PAUSE;
    s->exit_timer += reason == TS_EXIT_TIMER;
    s->exit_eoi += reason == TS_EXIT_EOI;
    s->exit_apic += reason == TS_EXIT_ICR || reason == TS_EXIT_EOI ||
                    reason == TS_EXIT_APIC_ACCESS || reason == TS_EXIT_AVIC;
    s->exit_apic_access += reason == TS_EXIT_APIC_ACCESS;
    s->exit_avic += reason == TS_EXIT_AVIC;
    s->exit_stage2 += reason == TS_EXIT_STAGE2;
    s->exit_user += reason == TS_EXIT_USER;
}

/* Without VPIDs an entry or exit drops linear and combined mappings of VPID 0, which all guests
 * then use (SDM vol. 3C, "Operations that Invalidate Cached Mappings"). Here the guest's keep tags
 * of their own: no other guest's can be left when it enters, so dropping its own is the same. What
 * the host loses is not modelled, as its accesses are not. */
static void transition_without_vpid(struct ts_vcpu *v)
{
    const struct ts_hypervisor *h = v->hyp;
    if (h->params.vpid || h->w.arch != TS_ARCH_X86)
        return;
    struct ts_tlb_inval inval = ts_inval_invvpid_single(ts_vcpu_vmid(v));
    ts_vcpu_invalidate(v, &inval);
}

void ts_vm_exit(struct ts_vcpu *v, enum ts_exit_reason reason)
{
    struct ts_cpu *cpu = v->cpu;
    struct ts_task *self = &v->task;
    TS_ASSERT(cpu->in_guest && v->loaded && v->entering && !v->blocked && !v->polling);
    TS_ASSERT(reason != TS_EXIT_NONE && v->reason == TS_EXIT_NONE);
    TS_ASSERT(self->cpu->current == self && cpu->host_since == TS_TIME_NEVER);
    cpu->in_guest = false;
    v->entering = false;
    v->pv_eoi = false; /* apic_sync_pv_eoi_from_guest */
    v->reason = reason;
    emit(v, TS_TL_BEGIN, reason_names[reason]);
    ts_vcpu_host_begins(v);
    v->guest_mode = ts_cpu_set_mode(cpu, TS_MODE_HOST);
    (void)ts_cpu_set_mode(self->cpu, TS_MODE_HOST);
    count_exit(&v->hyp->stats, reason);
    /* The hardware's switch cannot be interrupted; what is pending is taken afterwards. */
    ts_irq_disable(self);
    ts_task_work(self, v->hyp->params.exit_cycles);
    ts_vcpu_write_mode(v); /* OUTSIDE_GUEST_MODE */
    transition_without_vpid(v);
    ts_irq_enable(self);
}

void ts_vcpu_sync_pir(struct ts_vcpu *v)
{
    struct ts_cpu *cpu = v->cpu;
    TS_ASSERT(v->loaded && !v->blocked && v->pir < 1u << TS_VECTORS);
    uint32_t fresh = v->pir & ~cpu->pending;
    for (uint32_t i = 0; i < TS_VECTORS; i++) {
        if (fresh & (1u << i))
            cpu->raised[i] = ts_task_now(&v->task);
    }
    cpu->pending |= v->pir;
    v->pir = 0;
    v->notified = false;
}

void ts_vm_entry(struct ts_vcpu *v)
{
    struct ts_task *self = &v->task;
    struct ts_cpu *cpu = v->cpu;
    TS_ASSERT(v->loaded && !cpu->in_guest && !v->entering && !v->blocked && !v->polling);
    TS_ASSERT(cpu->host_since != TS_TIME_NEVER);
    for (;;) {
        ts_task_poll(self);
        ts_irq_disable(self);
        ts_vcpu_write_mode(v); /* IN_GUEST_MODE */
        v->entering = true;
        ts_task_store(self, &v->entering_store, TS_STORE_DATA);
        /* smp_mb__after_srcu_read_unlock of arch/x86/kvm/x86.c vcpu_enter_guest; smp_store_mb of
         * arch/arm64/kvm/arm.c kvm_arch_vcpu_ioctl_run; both 6.1 and 6.12. */
        ts_task_barrier(self);
        ts_vcpu_requests(v);
        struct ts_cpu *p = self->cpu;
        if (!p->pending && !p->need_resched)
            break;
        v->entering = false;
        ts_irq_enable(self);
    }
    ts_task_work(self, v->hyp->params.entry_cycles);
    transition_without_vpid(v);
    struct ts_cpu *p = self->cpu;
    TS_ASSERT(p->irq_off == 1 && v->loaded && v->entering && p->current == self);
    ts_vcpu_sync_pir(v);
    TS_ASSERT(!v->pir && !v->notified);
    TS_ASSERT(!ts_vcpu_steal(v)->preempted); /* no deferred flush is left for later */
    ts_vcpu_pv_eoi_arm(v);
    ts_vcpu_host_ends(v);
    if (v->reason != TS_EXIT_NONE)
        emit(v, TS_TL_END, reason_names[v->reason]);
    v->reason = TS_EXIT_NONE;
    v->hyp->stats.entries++;
    cpu->in_guest = true;
    (void)ts_cpu_set_mode(cpu, v->guest_mode);
    (void)ts_cpu_set_mode(p, TS_MODE_GUEST);
    /* From here a host interrupt exits: the guest's next step looks for it. */
    p->irq_off--;
    p->irq_off_total_ps += ts_task_now(self) - p->irq_off_since;
}

/* --- CPU operations of vCPUs --- */

static void vcpu_interrupt(struct ts_task *self, enum ts_vector vector, ts_time raised)
{
    struct ts_vcpu *v = ts_vcpu_of(self->cpu);
    TS_ASSERT(v->cpu->in_guest && !v->in_service && vector < TS_VECTORS);
    v->in_service = true;
    /* The guest's tick is its timer's interrupt: VMX preemption timer or host hrtimer. */
    if (vector == TS_VEC_TICK) {
        ts_vm_exit(v, TS_EXIT_TIMER);
        ts_vm_entry(v);
    }
    v->vm->os->interrupt(self, vector, raised);
}

/* arm64: the guest writes CNTV_CVAL and CNTV_CTL itself, which do not trap (arm64/kvm/arch_timer.c:
 * the host takes its interrupt, and no part in its programming). That write is not charged: it is
 * a few cycles of the guest's own. */
static void vcpu_timer_program(struct ts_task *self)
{
    struct ts_vcpu *v = ts_vcpu_of(self->cpu);
    if (v->hyp->w.arch == TS_ARCH_ARM64)
        return;
    ts_vm_exit(v, TS_EXIT_TIMER);
    ts_task_work(&v->task, v->hyp->params.icr_fastpath_cycles);
    ts_vm_entry(v);
}

/* The host's timer for the vCPU fires on the pCPU where the vCPU is or last was. */
static void vcpu_timer_fired(struct ts_cpu *cpu)
{
    struct ts_vcpu *v = ts_vcpu_of(cpu);
    struct ts_cpu *p = v->task.cpu;
    struct ts_hyp_pcpu *hp = &v->hyp->pcpus[p->id];
    if (!v->timer_queued) {
        v->timer_queued = true;
        v->timer_next = NULL;
        struct ts_vcpu **tail = &hp->timers;
        while (*tail)
            tail = &(*tail)->timer_next;
        *tail = v;
    }
    ts_cpu_raise(p, TS_VEC_TIMER);
}

static void vcpu_host_exit(struct ts_cpu *cpu)
{
    struct ts_vcpu *v = ts_vcpu_of(cpu);
    ts_vm_exit(v, TS_EXIT_INTERRUPT);
    ts_vm_entry(v);
}

static void vcpu_first_entry(struct ts_cpu *cpu)
{
    struct ts_vcpu *v = ts_vcpu_of(cpu);
    ts_vcpu_host_begins(v);
    v->guest_mode = TS_MODE_SYSTEM;
    ts_vm_entry(v);
}

static void vcpu_switch_out(struct ts_task *self, struct ts_task *next)
{
    ts_vcpu_of(self->cpu)->vm->os->switch_out(self, next);
}

static void vcpu_idle(struct ts_task *self)
{
    const struct ts_os_ops *os = ts_vcpu_of(self->cpu)->vm->os;
    if (os->idle)
        os->idle(self);
    else
        ts_vcpu_halt(self);
}

static bool vcpu_timer_first(struct ts_task *self, ts_time expires)
{
    const struct ts_os_ops *os = ts_vcpu_of(self->cpu)->vm->os;
    return !os->timer_first || os->timer_first(self, expires);
}

static void vcpu_send_resched(struct ts_task *self, struct ts_cpu *target)
{
    ts_vcpu_of(self->cpu)->vm->os->send_resched(self, target);
}

/* hypervisor.prefault: the host's mapping is there without a fault. */
static void populate(struct ts_vm *vm, uint64_t gpa)
{
    const struct ts_hypervisor *h = vm->host;
    if (!h->params.prefault)
        return;
    uint32_t shift = 12 + 9 * (uint32_t)h->params.backing;
    struct ts_pte pte = {.target = ((uint64_t)(vm->number + 1) << TS_VM_MEMORY_SHIFT) + gpa,
                         .size_shift = (uint8_t)shift,
                         .level = (uint8_t)((shift - 12) / 9),
                         .writable = true,
                         .accessed = true,
                         .dirty = true};
    if (gpa % (UINT64_C(1) << shift) == 0)
        (void)ts_pgtable_map(vm->stage2, gpa, &pte);
}

const struct ts_pv_ops ts_kvm_pv_ops = {
    .name = "kvm",
    .icr_write = ts_vcpu_icr_write,
    .eoi = ts_vcpu_eoi,
    .halt = ts_vcpu_halt,
    .halt_until_kicked = ts_vcpu_halt_until_kicked,
    .timer_program = vcpu_timer_program,
    .hypercall = ts_vcpu_hypercall,
    .populate = populate,
    .stage2_fault = ts_hypervisor_stage2_fault,
    .user_exit = ts_vcpu_user_exit,
};

static bool vcpu_preempted(const struct ts_cpu *cpu)
{
    return ts_vm_vcpu_is_preempted(cpu->domain->vm, cpu->id);
}

const struct ts_cpu_ops ts_vcpu_ops = {
    .interrupt = vcpu_interrupt,
    .switch_out = vcpu_switch_out,
    .preempted = vcpu_preempted,
    .idle = vcpu_idle,
    .send_resched = vcpu_send_resched,
    .timer_program = vcpu_timer_program,
    .timer_first = vcpu_timer_first,
    .timer_fired = vcpu_timer_fired,
    .host_exit = vcpu_host_exit,
    .pause_exit = ts_vcpu_pause_exit,
    .first_entry = vcpu_first_entry,
};

/* --- CPU operations of the host's pCPUs --- */

/* hrtimer_interrupt: the vCPUs' timers, and those of threads that sleep. */
static void host_timers(struct ts_task *self, struct ts_hyp_pcpu *hp)
{
    while (hp->timers) {
        struct ts_vcpu *v = hp->timers;
        TS_ASSERT(v->timer_queued);
        hp->timers = v->timer_next;
        v->timer_queued = false;
        ts_vcpu_deliver(v, TS_VEC_TIMER, self);
    }
    ts_cpu_handle_timer(self);
}

static void host_interrupt(struct ts_task *self, enum ts_vector vector, ts_time raised)
{
    struct ts_hypervisor *h = self->domain->owner;
    (void)raised;
    TS_ASSERT(self->cpu->irq_off && vector != TS_VEC_POSTED);
    ts_task_work(self, h->params.host_irq_cycles);
    if (vector == TS_VEC_CALL && h->xen)
        ts_xen_interrupt(self);
    else if (vector == TS_VEC_CALL)
        ts_host_call_handle(self);
    else if (vector == TS_VEC_TICK)
        ts_cpu_handle_tick(self);
    else if (vector == TS_VEC_TIMER)
        host_timers(self, &h->pcpus[self->cpu->id]);
    else if (vector == TS_VEC_WAKEUP)
        ts_hyp_wakeups(self);
}

static void host_switch_out(struct ts_task *self, struct ts_task *next)
{
    (void)next;
    if (self->vcpu)
        ts_vcpu_put(ts_vcpu_of(self->vcpu), self->state == TS_TASK_RUNNABLE);
    else if (!self->is_idle)
        ts_host_switch_dsb(self);
}

static void host_switch_in(struct ts_task *self)
{
    if (self->vcpu)
        ts_vcpu_load(ts_vcpu_of(self->vcpu));
}

static void host_idle(struct ts_task *self)
{
    const struct ts_hypervisor *h = self->domain->owner;
    ts_task_idle_wait(self);
    /* MWAIT wakes with interrupts masked (drivers/idle/intel_idle.c, ECX bit 0; WFI alike): what
     * woke the CPU is taken after the C-state has been left. */
    ts_irq_disable(self);
    ts_task_work_ps(self, h->params.wakeup_ps);
    ts_irq_enable(self);
}

static void host_send_resched(struct ts_task *self, struct ts_cpu *target)
{
    ts_hyp_ipi(self, target->id, TS_VEC_RESCHED, 0);
}

const struct ts_cpu_ops ts_host_cpu_ops = {
    .interrupt = host_interrupt,
    .switch_out = host_switch_out,
    .switch_in = host_switch_in,
    .idle = host_idle,
    .send_resched = host_send_resched,
};
