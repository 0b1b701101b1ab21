/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual interrupt controllers: what a guest's ICR write costs and who exits for it, and how an
 * interrupt reaches a vCPU (x86.md 2.6; arch/x86/kvm lapic.c, vmx/posted_intr.c, svm/avic.c;
 * arch/arm64/kvm/vgic). The table is in hypervisor.h, enum ts_accel. */
#include "models/hypervisor/hyp_private.h"

static uint32_t bit_of(enum ts_vector vector)
{
    return 1u << vector;
}

/* --- host's own interrupts --- */

void ts_hyp_ipi(struct ts_task *from, uint32_t target, enum ts_vector vector, uint64_t cookie)
{
    struct ts_hypervisor *h = from->domain->owner;
    const struct ts_interrupt_params *ip = &h->interrupt_params;
    enum ts_intr_mode mode = (enum ts_intr_mode)ip->mode;
    bool xapic = ts_intr_is_xapic(mode);
    if (xapic)
        ts_irq_disable(from);
    ts_icr_work(from, h->w.interrupt, ip, mode, TS_ICR_PHYSICAL);
    ts_interrupt_count_write(h->w.interrupt);
    ts_interrupt_send(h->w.interrupt, from->cpu->id, target, vector, cookie);
    if (xapic)
        ts_irq_enable(from);
}

/* avic_ring_doorbell: an MSR write, in either APIC mode of the host. There is no ON bit: each
 * interrupt rings. */
static void ring_doorbell(struct ts_task *from, struct ts_vcpu *v)
{
    struct ts_hypervisor *h = v->hyp;
    h->stats.doorbells++;
    ts_task_work(from, h->interrupt_params.icr_write_cycles);
    ts_interrupt_count_write(h->w.interrupt);
    ts_interrupt_send(h->w.interrupt, from->cpu->id, v->task.cpu->id, TS_VEC_POSTED, v->number);
}

/* --- delivery by the host's software --- */

void ts_vcpu_wake(struct ts_vcpu *v, struct ts_task *from)
{
    TS_ASSERT(!v->entering && !v->polling && !v->cpu->in_guest);
    v->hyp->stats.wakeups++;
    v->ready = true; /* kvm_vcpu_wake_up */
    ts_task_wake(from, &v->task);
}

/* vmx_deliver_posted_interrupt, or IRR, KVM_REQ_EVENT and a kick. */
static void notify(struct ts_vcpu *v, struct ts_task *from)
{
    struct ts_hypervisor *h = v->hyp;
    TS_ASSERT(v->entering && v->loaded && v->pir && from != &v->task);
    bool posted = v->accel == TS_ACCEL_APICV || v->accel == TS_ACCEL_IPIV;
    if (v->notified) {
        h->stats.notify_on += posted;
        return;
    }
    v->notified = true;
    if (posted) {
        h->stats.posted++;
        h->stats.notify_sent++;
    } else {
        h->stats.kicks++;
    }
    ts_hyp_ipi(from, v->task.cpu->id, posted ? TS_VEC_POSTED : TS_VEC_KICK, v->number);
}

static bool is_avic(const struct ts_vcpu *v)
{
    return v->accel == TS_ACCEL_AVIC || v->accel == TS_ACCEL_AVIC_HYBRID;
}

void ts_vcpu_deliver(struct ts_vcpu *v, enum ts_vector vector, struct ts_task *from)
{
    TS_ASSERT(vector < TS_VECTORS && !(v->blocked && v->polling));
    TS_ASSERT(!(v->blocked || v->polling) || !v->entering);
    v->pir |= bit_of(vector);
    if (v->blocked) {
        ts_vcpu_wake(v, from);
    } else if (v->polling) {
        ts_task_spin_signal(&v->task);
    } else if (ts_vcpu_seen_entering(v) && from != &v->task) {
        if (is_avic(v)) {
            v->hyp->stats.posted++;
            ring_doorbell(from, v);
        } else {
            notify(v, from);
        }
    }
    /* Else it is seen at the next entry. */
}

/* --- delivery by hardware --- */

/* A notification or doorbell has come: to the guest if it is still there, to the host's halt
 * polling, or to nobody (it is seen at the next entry). */
static void notification(struct ts_vcpu *v, struct ts_cpu *p)
{
    if (v->task.cpu != p || p->current != &v->task)
        return;
    if (v->cpu->in_guest) {
        ts_vcpu_sync_pir(v);
        ts_cpu_kick(p);
    } else if (v->polling && v->pir) {
        ts_task_spin_signal(&v->task);
    }
}

void ts_hypervisor_interrupt(void *user, uint32_t target, uint32_t vector, uint64_t cookie)
{
    struct ts_hypervisor *h = user;
    TS_ASSERT(target < h->w.host->ncpus && vector < TS_VECTORS);
    TS_ASSERT(vector != TS_VEC_POSTED || cookie < h->nvcpus);
    struct ts_cpu *p = &h->w.host->cpus[target];
    if (vector == TS_VEC_POSTED)
        notification(&h->vcpus[cookie], p);
    else
        ts_cpu_raise(p, (enum ts_vector)vector);
}

/* "Posted-Interrupt Processing" for a sender that is hardware: a notification, of vector NV to pCPU
 * NDST, only if ON and SN were clear (SDM vol. 3C; arm64: the vPE's doorbell). */
static void post(struct ts_task *self, struct ts_vcpu *t, enum ts_vector vector)
{
    struct ts_hypervisor *h = t->hyp;
    t->pir |= bit_of(vector);
    h->stats.notify_sn += t->sn;
    h->stats.notify_on += !t->sn && t->notified;
    if (t->sn || t->notified)
        return;
    t->notified = true;
    h->stats.notify_sent++;
    h->stats.posted += !t->nv_wakeup;
    ts_interrupt_send(h->w.interrupt, ts_cpu_physical(self->cpu)->id, t->ndst,
                      t->nv_wakeup ? TS_VEC_WAKEUP : TS_VEC_POSTED, t->number);
}

static bool hardware_posts(const struct ts_vcpu *v)
{
    return v->accel == TS_ACCEL_IPIV || v->accel == TS_ACCEL_GICV4;
}

/* vmx_vcpu_pi_load. */
void ts_vcpu_pi_load(struct ts_vcpu *v)
{
    TS_ASSERT(!v->loaded && v->ndst < v->hyp->w.host->ncpus);
    TS_ASSERT(hardware_posts(v) || (!v->nv_wakeup && !v->sn));
    v->loaded = true;
    if (v->nv_wakeup) {
        struct ts_vcpu **link = &v->hyp->pcpus[v->ndst].wakeups;
        TS_ASSERT(!v->sn);
        while (*link && *link != v)
            link = &(*link)->wakeup_next;
        TS_ASSERT(*link == v);
        *link = v->wakeup_next;
        v->nv_wakeup = false;
    }
    v->ndst = v->task.cpu->id;
    v->sn = false;
    /* What came while SN was set; the entry takes it. */
    if (v->pir && hardware_posts(v))
        v->notified = true;
}

/* vmx_vcpu_pi_put: only hardware that posts by itself needs NV and SN. */
void ts_vcpu_pi_put(struct ts_vcpu *v, bool runnable)
{
    struct ts_hypervisor *h = v->hyp;
    TS_ASSERT(v->loaded && !v->nv_wakeup && !v->sn);
    v->loaded = false;
    if (!hardware_posts(v))
        return;
    if (runnable) {
        v->sn = true;
        return;
    }
    struct ts_vcpu **tail = &h->pcpus[v->ndst].wakeups;
    while (*tail)
        tail = &(*tail)->wakeup_next;
    v->wakeup_next = NULL;
    *tail = v;
    v->nv_wakeup = true;
    /* Posted while the other vector still stood there, which wakes nobody: a self-IPI. */
    if (v->notified || v->pir)
        ts_interrupt_send(h->w.interrupt, v->ndst, v->ndst, TS_VEC_WAKEUP, v->number);
}

/* pi_wakeup_handler: whoever blocked on this pCPU and has ON set. The list may change while one is
 * woken, which takes time (the kernel has a lock), so each time it is read from its beginning. */
void ts_hyp_wakeups(struct ts_task *self)
{
    struct ts_hypervisor *h = self->domain->owner;
    struct ts_vcpu **first = &h->pcpus[self->cpu->id].wakeups, *v = *first;
    while (v) {
        TS_ASSERT(v->nv_wakeup && v->ndst == self->cpu->id);
        if (v->task.state != TS_TASK_BLOCKED || !v->pir) {
            v = v->wakeup_next;
            continue;
        }
        h->stats.wakeups_nv++;
        ts_vcpu_wake(v, self);
        v = *first;
    }
}

/* --- the guest's register writes --- */

static void to_self(struct ts_vcpu *v, enum ts_vector vector)
{
    v->pir |= bit_of(vector);
    ts_vcpu_sync_pir(v);
}

static uint64_t write_cycles(const struct ts_vcpu *v)
{
    const struct ts_interrupt_params *ip = &v->hyp->interrupt_params;
    return ts_intr_is_xapic(v->vm->intr_mode) ? ip->mmio_write_cycles : ip->icr_write_cycles;
}

/* is_running in the physical APIC ID table: from vcpu_load to vcpu_put, or to blocking
 * (avic_vcpu_load, _put, _blocking). In the hypervisor's code it is set. */
static bool avic_is_running(const struct ts_vcpu *v)
{
    return v->loaded && !v->blocked;
}

/* The targets of one register write. */
#define FOR_EACH_TARGET(t, v, it, wr)                                                              \
    for (uint32_t at_ = (wr)->first; at_ < (wr)->end; at_++)                                       \
        for (struct ts_vcpu *t =                                                                   \
                 ts_icr_reaches((it), (wr), at_) ? ts_vm_vcpu((v)->vm, (it)->targets[at_]) : NULL; \
             t; t = NULL)

/* AVIC hardware: sets every target's IRR bit and rings the doorbells of those that run. False: some
 * do not. No time passes between look and ring, so none can block in between. Of a shorthand's
 * targets in the table, invalid entries are taken to be skipped (remembered; APM vol. 2,
 * 15.29). */
static bool avic_send(struct ts_vcpu *v, const struct ts_icr_iter *it, const struct ts_icr_write *w,
                      enum ts_vector vector)
{
    struct ts_hypervisor *h = v->hyp;
    uint32_t from = ts_cpu_physical(v->cpu)->id;
    bool all = true;
    FOR_EACH_TARGET(t, v, it, w)
    {
        t->pir |= bit_of(vector);
        if (!avic_is_running(t)) {
            all = false;
            continue;
        }
        h->stats.posted++;
        h->stats.doorbells++;
        ts_interrupt_send(h->w.interrupt, from, t->task.cpu->id, TS_VEC_POSTED, t->number);
    }
    return all;
}

/* avic_incomplete_ipi_interception, TARGET_NOT_RUNNING: the bits are set; svm_complete_interrupt_
 * delivery for every target, running ones included, whose doorbell rings again. */
static void avic_incomplete(struct ts_vcpu *v, const struct ts_icr_iter *it,
                            const struct ts_icr_write *w)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    ts_vm_exit(v, TS_EXIT_AVIC);
    ts_task_work(&v->task, p->icr_fastpath_cycles + p->icr_slowpath_cycles);
    FOR_EACH_TARGET(t, v, it, w)
    {
        ts_task_work(&v->task, p->kick_cycles);
        if (t->blocked)
            ts_vcpu_wake(t, &v->task);
        else if (t->polling)
            ts_task_spin_signal(&t->task);
        else if (t->entering)
            ring_doorbell(&v->task, t);
    }
    ts_vm_entry(v);
}

/* True: done without the hypervisor's emulation of the ICR. */
static bool write_accelerated(struct ts_task *self, struct ts_vcpu *v, const struct ts_icr_iter *it,
                              const struct ts_icr_write *w, enum ts_vector vector)
{
    struct ts_hypervisor *h = v->hyp;
    bool self_ipi =
        w->kind == TS_ICR_SELF &&
        (v->accel == TS_ACCEL_APICV || v->accel == TS_ACCEL_IPIV || v->accel == TS_ACCEL_AVIC);
    bool unicast = w->kind == TS_ICR_PHYSICAL && v->accel == TS_ACCEL_IPIV;
    if (!self_ipi && !unicast && v->accel != TS_ACCEL_AVIC)
        return false;
    ts_task_work(self, write_cycles(v));
    ts_interrupt_count_write(h->w.interrupt);
    if (self_ipi) {
        to_self(v, vector);
    } else if (unicast) {
        post(self, ts_vm_vcpu(v->vm, it->targets[w->first]), vector);
    } else if (!avic_send(v, it, w, vector)) {
        avic_incomplete(v, it, w);
    }
    return true;
}

static void exit_for_access(struct ts_vcpu *v)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    ts_vm_exit(v, TS_EXIT_APIC_ACCESS);
    ts_task_work(&v->task, p->icr_fastpath_cycles + p->icr_slowpath_cycles);
    ts_vm_entry(v);
}

/* xAPIC: the reads of ICR and the write of ICR2 that come before the write of ICR. With a virtual
 * APIC page they are memory accesses; without, each exits. The status is always idle. */
static void xapic_before(struct ts_task *self, struct ts_vcpu *v, enum ts_icr_kind kind)
{
    const struct ts_hypervisor *h = v->hyp;
    const struct ts_interrupt_params *ip = &h->interrupt_params;
    uint32_t accesses = 1 + ts_icr_has_destination(kind);
    if (v->accel != TS_ACCEL_NONE) {
        ts_task_work(self, ip->icr_poll_cycles);
        ts_task_work(self, (accesses - 1) * ip->mmio_write_cycles);
        return;
    }
    while (accesses-- > 0)
        exit_for_access(v);
}

/* handle_fastpath_set_x2apic_icr_irqoff: fixed, physical, no shorthand, no broadcast, by MSR. */
static uint64_t emulation_cycles(const struct ts_vcpu *v, enum ts_icr_kind kind)
{
    struct ts_hypervisor *h = v->hyp;
    const struct ts_hypervisor_params *p = &h->params;
    if (h->w.arch != TS_ARCH_X86) {
        h->stats.sgi_traps++;
        return p->sgi_trap_cycles;
    }
    if (v->vm->intr_mode == TS_INTR_X2APIC_PHYS && kind == TS_ICR_PHYSICAL) {
        h->stats.icr_fast++;
        return p->icr_fastpath_cycles;
    }
    h->stats.icr_slow++;
    return p->icr_fastpath_cycles + p->icr_slowpath_cycles;
}

void ts_vcpu_icr_write(struct ts_task *self, const struct ts_icr_iter *it,
                       const struct ts_icr_write *w, enum ts_vector vector)
{
    struct ts_vcpu *v = ts_vcpu_of(self->cpu);
    struct ts_hypervisor *h = v->hyp;
    TS_ASSERT(v->cpu->in_guest && w->first < w->end);
    if (ts_intr_is_xapic(v->vm->intr_mode))
        xapic_before(self, v, w->kind);
    if (write_accelerated(self, v, it, w, vector))
        return;
    ts_vm_exit(v, TS_EXIT_ICR);
    ts_task_work(&v->task, emulation_cycles(v, w->kind));
    FOR_EACH_TARGET(t, v, it, w)
    {
        ts_task_work(&v->task, h->params.inject_cycles);
        /* GICv4.1: ICC_SGI1R traps all the same (vgic_v3_queue_sgi); the GIC injects. */
        if (v->accel == TS_ACCEL_GICV4)
            post(self, t, vector);
        else
            ts_vcpu_deliver(t, vector, &v->task);
    }
    ts_vm_entry(v);
}

/* --- KVM's hypercalls --- */

/* kvm_pv_send_ipi: the number of vCPUs that it was delivered to, or a negative error. */
static void send_ipi(struct ts_vcpu *v, struct ts_hypercall *call)
{
    struct ts_hypervisor *h = v->hyp;
    struct ts_pv_ipi_window window = ts_pv_ipi_window_of(call->args);
    uint32_t icr = (uint32_t)call->args[TS_PV_IPI_ARG_ICR];
    enum ts_vector vector = ts_vector_of_number(icr & TS_ICR_VECTOR_MASK);
    uint32_t bit = 0, id = 0;
    int64_t result = ts_pv_ipi_check(icr, !h->params.pv_ipi_no_map);
    h->stats.hypercalls_ipi++;
    h->stats.pv_ipi_failed += result < 0;
    while (result >= 0 && ts_pv_ipi_target(&window, v->vm->nvcpus - 1, &bit, &id)) {
        ts_task_work(&v->task, h->params.inject_cycles);
        ts_vcpu_deliver(ts_vm_vcpu(v->vm, id), vector, &v->task);
        result++;
    }
    call->result = (uint64_t)result;
}

static void sched_yield(struct ts_vcpu *v, struct ts_hypercall *call)
{
    if (!v->vm->pv_sched_yield)
        return; /* guest_pv_has: unknown, as the table has answered already */
    v->hyp->stats.hypercalls_yield++;
    ts_vcpu_sched_yield(v, call->args[0]);
    call->result = 0;
}

/* KVM_HC_KICK_CPU: who holds a spinlock no longer ends the halt of the next, and gives way to it if
 * it waits for a pCPU (since 5.3). */
static void kick_cpu(struct ts_vcpu *v, struct ts_hypercall *call)
{
    uint64_t id = call->args[1];
    if (!v->vm->pv_unhalt)
        return;
    v->hyp->stats.hypercalls_kick++;
    ts_task_work(&v->task, v->hyp->params.inject_cycles);
    if (id < v->vm->nvcpus)
        ts_vcpu_unhalt(v, ts_vm_vcpu(v->vm, (uint32_t)id));
    ts_vcpu_sched_yield(v, id);
    call->result = 0;
}

static uint64_t kvm_key(uint64_t number)
{
    return number;
}

static bool kvm_offered(const struct ts_hypervisor_params *params)
{
    return params->kind == TS_HYP_KVM;
}

static const struct ts_hypercall_row kvm_rows[] = {
    {TS_KVM_HC_KICK_CPU, "KVM_HC_KICK_CPU", kick_cpu},
    {TS_KVM_HC_SEND_IPI, "KVM_HC_SEND_IPI", send_ipi},
    {TS_KVM_HC_SCHED_YIELD, "KVM_HC_SCHED_YIELD", sched_yield},
};
const struct ts_hypercall_table ts_kvm_hypercalls = {
    .rows = kvm_rows,
    .nrows = TS_ARRAY_LEN(kvm_rows),
    .key = kvm_key,
    .unknown = (uint64_t)TS_KVM_ENOSYS,
    .offered = kvm_offered,
};

/* --- EOI --- */

/* apic_sync_pv_eoi_to_guest, before entry: one interrupt in service or about to be, no other
 * pending. An interrupt that waits for the guest to enable interrupts is taken to be injected. */
void ts_vcpu_pv_eoi_arm(struct ts_vcpu *v)
{
    uint32_t waiting = (uint32_t)__builtin_popcount(v->cpu->pending);
    v->pv_eoi = v->hyp->params.pv_eoi && v->accel == TS_ACCEL_NONE && waiting + v->in_service == 1;
}

/* A GIC's virtual CPU interface deactivates without an exit, and so do virtual APIC pages; of
 * those, an xAPIC guest's write costs what its others do. */
void ts_vcpu_eoi(struct ts_task *self)
{
    struct ts_vcpu *v = ts_vcpu_of(self->cpu);
    const struct ts_hypervisor *h = v->hyp;
    TS_ASSERT(v->in_service);
    v->in_service = false;
    if (h->w.arch != TS_ARCH_X86)
        return;
    if (v->accel != TS_ACCEL_NONE && v->accel != TS_ACCEL_AVIC_HYBRID) {
        if (ts_intr_is_xapic(v->vm->intr_mode))
            ts_task_work(self, h->interrupt_params.mmio_write_cycles);
        return;
    }
    if (v->pv_eoi) {
        v->pv_eoi = false;
        v->hyp->stats.eoi_pv++;
        return;
    }
    ts_vm_exit(v, TS_EXIT_EOI);
    ts_vm_entry(v);
}
