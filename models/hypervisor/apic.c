/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual interrupt controllers: what a guest's ICR write costs and who exits for it, and how an
 * interrupt reaches a vCPU (x86.md 2.6; arch/x86/kvm lapic.c, vmx/posted_intr.c, svm/avic.c;
 * arch/arm64/kvm/vgic). The table is in hypervisor.h, enum ts_accel. */
#include "models/guest/pv_ipi.h"
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
    ts_icr_work(from, h->interrupt, ip, mode, TS_ICR_PHYSICAL);
    ts_interrupt_count_write(h->interrupt);
    ts_interrupt_send(h->interrupt, from->cpu->id, target, vector, cookie);
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
    ts_interrupt_count_write(h->interrupt);
    ts_interrupt_send(h->interrupt, from->cpu->id, v->task.cpu->id, TS_VEC_POSTED, v->number);
}

/* --- delivery by the host's software --- */

static void wake(struct ts_vcpu *v, struct ts_task *from)
{
    v->hyp->stats.wakeups++;
    ts_task_wake(from, &v->task);
}

/* vmx_deliver_posted_interrupt, or IRR, KVM_REQ_EVENT and a kick. */
static void notify(struct ts_vcpu *v, struct ts_task *from)
{
    struct ts_hypervisor *h = v->hyp;
    bool posted = h->accel == TS_ACCEL_APICV || h->accel == TS_ACCEL_IPIV;
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

static bool is_avic(const struct ts_hypervisor *h)
{
    return h->accel == TS_ACCEL_AVIC || h->accel == TS_ACCEL_AVIC_HYBRID;
}

void ts_vcpu_deliver(struct ts_vcpu *v, enum ts_vector vector, struct ts_task *from)
{
    v->pir |= bit_of(vector);
    if (v->blocked) {
        wake(v, from);
    } else if (v->polling) {
        ts_task_spin_signal(&v->task);
    } else if (v->entering && from != &v->task) {
        if (is_avic(v->hyp)) {
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
    struct ts_cpu *p = &h->host->cpus[target];
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
    ts_interrupt_send(h->interrupt, ts_cpu_physical(self->cpu)->id, t->ndst,
                      t->nv_wakeup ? TS_VEC_WAKEUP : TS_VEC_POSTED, t->number);
}

static bool hardware_posts(const struct ts_hypervisor *h)
{
    return h->accel == TS_ACCEL_IPIV || h->accel == TS_ACCEL_GICV4;
}

/* vmx_vcpu_pi_load. */
void ts_vcpu_pi_load(struct ts_vcpu *v)
{
    v->loaded = true;
    if (v->nv_wakeup) {
        struct ts_vcpu **link = &v->hyp->pcpus[v->ndst].wakeups;
        while (*link != v)
            link = &(*link)->wakeup_next;
        *link = v->wakeup_next;
        v->nv_wakeup = false;
    }
    v->ndst = v->task.cpu->id;
    v->sn = false;
    /* What came while SN was set; the entry takes it. */
    if (v->pir && hardware_posts(v->hyp))
        v->notified = true;
}

/* vmx_vcpu_pi_put: only hardware that posts by itself needs NV and SN. */
void ts_vcpu_pi_put(struct ts_vcpu *v, bool runnable)
{
    struct ts_hypervisor *h = v->hyp;
    v->loaded = false;
    if (!hardware_posts(h))
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
        ts_interrupt_send(h->interrupt, v->ndst, v->ndst, TS_VEC_WAKEUP, v->number);
}

/* pi_wakeup_handler: whoever blocked on this pCPU and has ON set. */
void ts_hyp_wakeups(struct ts_task *self)
{
    struct ts_hypervisor *h = self->domain->owner;
    for (struct ts_vcpu *v = h->pcpus[self->cpu->id].wakeups, *next; v; v = next) {
        next = v->wakeup_next;
        if (v->task.state != TS_TASK_BLOCKED || !v->pir)
            continue;
        h->stats.wakeups_nv++;
        wake(v, self);
    }
}

/* --- the guest's register writes --- */

static void to_self(struct ts_vcpu *v, enum ts_vector vector)
{
    v->pir |= bit_of(vector);
    ts_vcpu_sync_pir(v);
}

static uint64_t write_cycles(const struct ts_hypervisor *h)
{
    const struct ts_interrupt_params *ip = &h->interrupt_params;
    return ts_intr_is_xapic((enum ts_intr_mode)ip->guest_mode) ? ip->mmio_write_cycles
                                                               : ip->icr_write_cycles;
}

/* is_running in the physical APIC ID table: from vcpu_load to vcpu_put, or to blocking
 * (avic_vcpu_load, _put, _blocking). In the hypervisor's code it is set. */
static bool avic_is_running(const struct ts_vcpu *v)
{
    return v->loaded && !v->blocked;
}

/* AVIC hardware: sets every target's IRR bit and rings the doorbells of those that run. False: some
 * do not. No time passes between look and ring, so none can block in between. Of a shorthand's
 * targets in the table, invalid entries are taken to be skipped (remembered; APM vol. 2,
 * 15.29). */
static bool avic_send(struct ts_task *self, struct ts_guest *g, const uint32_t *targets, uint32_t n,
                      enum ts_vector vector)
{
    struct ts_hypervisor *h = g->hypervisor;
    uint32_t from = ts_cpu_physical(self->cpu)->id;
    bool all = true;
    for (uint32_t i = 0; i < n; i++) {
        struct ts_vcpu *t = ts_vcpu_of(&g->cpus[targets[i]]);
        t->pir |= bit_of(vector);
        if (!avic_is_running(t)) {
            all = false;
            continue;
        }
        h->stats.posted++;
        h->stats.doorbells++;
        ts_interrupt_send(h->interrupt, from, t->task.cpu->id, TS_VEC_POSTED, t->number);
    }
    return all;
}

/* avic_incomplete_ipi_interception, TARGET_NOT_RUNNING: the bits are set; svm_complete_interrupt_
 * delivery for every target, running ones included, whose doorbell rings again. */
static void avic_incomplete(struct ts_vcpu *v, struct ts_guest *g, const uint32_t *targets,
                            uint32_t n)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    ts_vm_exit(v, TS_EXIT_AVIC);
    ts_task_work(&v->task, p->icr_fastpath_cycles + p->icr_slowpath_cycles);
    for (uint32_t i = 0; i < n; i++) {
        struct ts_vcpu *t = ts_vcpu_of(&g->cpus[targets[i]]);
        ts_task_work(&v->task, p->kick_cycles);
        if (t->blocked)
            wake(t, &v->task);
        else if (t->polling)
            ts_task_spin_signal(&t->task);
        else if (t->entering)
            ring_doorbell(&v->task, t);
    }
    ts_vm_entry(v);
}

/* True: done without the hypervisor's emulation of the ICR. */
static bool write_accelerated(struct ts_task *self, struct ts_vcpu *v, const uint32_t *targets,
                              uint32_t n, enum ts_icr_kind kind, enum ts_vector vector)
{
    struct ts_hypervisor *h = v->hyp;
    struct ts_guest *g = v->gc->guest;
    bool self_ipi = kind == TS_ICR_SELF && (h->accel == TS_ACCEL_APICV ||
                                            h->accel == TS_ACCEL_IPIV || h->accel == TS_ACCEL_AVIC);
    bool unicast = kind == TS_ICR_PHYSICAL && h->accel == TS_ACCEL_IPIV;
    if (!self_ipi && !unicast && h->accel != TS_ACCEL_AVIC)
        return false;
    ts_task_work(self, write_cycles(h));
    ts_interrupt_count_write(h->interrupt);
    if (self_ipi) {
        to_self(v, vector);
    } else if (unicast) {
        post(self, ts_vcpu_of(&g->cpus[targets[0]]), vector);
    } else if (!avic_send(self, g, targets, n, vector)) {
        avic_incomplete(v, g, targets, n);
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
    if (h->accel != TS_ACCEL_NONE) {
        ts_task_work(self, ip->icr_poll_cycles);
        ts_task_work(self, (accesses - 1) * ip->mmio_write_cycles);
        return;
    }
    while (accesses-- > 0)
        exit_for_access(v);
}

/* handle_fastpath_set_x2apic_icr_irqoff: fixed, physical, no shorthand, no broadcast, by MSR. */
static uint64_t emulation_cycles(struct ts_hypervisor *h, enum ts_icr_kind kind)
{
    const struct ts_hypervisor_params *p = &h->params;
    if (h->arch != TS_ARCH_X86) {
        h->stats.sgi_traps++;
        return p->sgi_trap_cycles;
    }
    if (h->interrupt_params.guest_mode == TS_INTR_X2APIC_PHYS && kind == TS_ICR_PHYSICAL) {
        h->stats.icr_fast++;
        return p->icr_fastpath_cycles;
    }
    h->stats.icr_slow++;
    return p->icr_fastpath_cycles + p->icr_slowpath_cycles;
}

void ts_hypervisor_icr_write(struct ts_task *self, const uint32_t *targets, uint32_t n,
                             enum ts_icr_kind kind, enum ts_vector vector)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_vcpu *v = ts_vcpu_of(ts_guest_cpu_of(self));
    struct ts_hypervisor *h = v->hyp;
    if (ts_intr_is_xapic((enum ts_intr_mode)h->interrupt_params.guest_mode))
        xapic_before(self, v, kind);
    if (write_accelerated(self, v, targets, n, kind, vector))
        return;
    ts_vm_exit(v, TS_EXIT_ICR);
    ts_task_work(&v->task, emulation_cycles(h, kind));
    for (uint32_t i = 0; i < n; i++) {
        struct ts_vcpu *t = ts_vcpu_of(&g->cpus[targets[i]]);
        ts_task_work(&v->task, h->params.inject_cycles);
        /* GICv4.1: ICC_SGI1R traps all the same (vgic_v3_queue_sgi); the GIC injects. */
        if (h->accel == TS_ACCEL_GICV4)
            post(self, t, vector);
        else
            ts_vcpu_deliver(t, vector, &v->task);
    }
    ts_vm_entry(v);
}

int64_t ts_hypervisor_pv_ipi(struct ts_task *self, const struct ts_pv_ipi_window *window,
                             uint32_t icr, enum ts_vector vector)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_vcpu *v = ts_vcpu_of(ts_guest_cpu_of(self));
    struct ts_hypervisor *h = v->hyp;
    uint32_t bit = 0, id = 0;
    ts_vm_exit(v, TS_EXIT_HYPERCALL);
    h->stats.hypercalls++;
    h->stats.hypercalls_ipi++;
    ts_task_work(&v->task, h->params.hypercall_cycles);
    int64_t result = ts_pv_ipi_check(icr, !h->params.pv_ipi_no_map);
    h->stats.pv_ipi_failed += result < 0;
    while (result >= 0 && ts_pv_ipi_target(window, g->ncpus - 1, &bit, &id)) {
        ts_task_work(&v->task, h->params.inject_cycles);
        ts_vcpu_deliver(ts_vcpu_of(&g->cpus[id]), vector, &v->task);
        result++;
    }
    ts_vm_entry(v);
    return result;
}

/* --- EOI --- */

/* apic_sync_pv_eoi_to_guest, before entry: one interrupt in service or about to be, no other
 * pending. An interrupt that waits for the guest to enable interrupts is taken to be injected. */
void ts_vcpu_pv_eoi_arm(struct ts_vcpu *v)
{
    uint32_t waiting = (uint32_t)__builtin_popcount(v->cpu->pending);
    v->pv_eoi =
        v->hyp->params.pv_eoi && v->hyp->accel == TS_ACCEL_NONE && waiting + v->in_service == 1;
}

/* A GIC's virtual CPU interface deactivates without an exit, and so do virtual APIC pages. */
void ts_vcpu_eoi(struct ts_vcpu *v)
{
    const struct ts_hypervisor *h = v->hyp;
    v->in_service = false;
    if (h->arch != TS_ARCH_X86 || (h->accel != TS_ACCEL_NONE && h->accel != TS_ACCEL_AVIC_HYBRID))
        return;
    if (v->pv_eoi) {
        v->pv_eoi = false;
        v->hyp->stats.eoi_pv++;
        return;
    }
    ts_vm_exit(v, TS_EXIT_EOI);
    ts_vm_entry(v);
}
