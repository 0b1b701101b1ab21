/* SPDX-License-Identifier: Apache-2.0 */
/* Sending interrupts: the driver's register writes, or KVM's hypercall instead of them (x86.md 2.5,
 * 2.6, 3.2). */
#include "models/guest/guest.h"
#include "models/guest/pv_ipi.h"
#include "models/hypervisor/hypervisor.h"
#include "models/interrupt/icr.h"

void ts_icr_work(struct ts_task *self, const struct ts_interrupt *in,
                 const struct ts_interrupt_params *ip, enum ts_intr_mode mode,
                 enum ts_icr_kind kind)
{
    if (!ts_intr_is_xapic(mode)) {
        ts_task_work(self, ip->icr_write_cycles);
        return;
    }
    /* Or an interrupt could come between, whose handler sends. */
    TS_ASSERT(self->cpu->irq_off);
    do {
        ts_task_work(self, ip->icr_poll_cycles);
    } while (ts_interrupt_busy(in, self->cpu->id));
    if (ts_icr_has_destination(kind))
        ts_task_work(self, ip->mmio_write_cycles);
    ts_task_work(self, ip->mmio_write_cycles);
}

static void bare_metal_write(struct ts_task *self, const struct ts_icr_iter *it,
                             const struct ts_icr_write *w, enum ts_vector vector)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_icr_work(self, g->interrupt, &g->interrupt_params, it->mode, w->kind);
    ts_interrupt_count_write(g->interrupt);
    for (uint32_t i = w->first; i < w->end; i++) {
        if (ts_icr_reaches(it, w, i))
            ts_interrupt_send(g->interrupt, self->cpu->id, it->targets[i], vector, 0);
    }
}

static void send_natively(struct ts_task *self, const uint32_t *targets, uint32_t n, bool broadcast,
                          enum ts_vector vector)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    const struct ts_interrupt_params *ip = &g->interrupt_params;
    struct ts_icr_iter it = {
        .params = ip,
        .mode = (enum ts_intr_mode)(g->bare_metal ? ip->mode : ip->guest_mode),
        /* A vCPU's APIC ID is its number. */
        .apic_ids = g->bare_metal ? g->topology->apic_id : NULL,
        .targets = targets,
        .n = n,
        .self = self->cpu->id,
        .all_but_self = broadcast,
    };
    bool xapic = ts_intr_is_xapic(it.mode);
    struct ts_icr_write w;
    /* ICR2 and ICR belong together (local_irq_save in ipi.c and apic_flat_64.c). */
    if (xapic)
        ts_irq_disable(self);
    while (ts_icr_next(&it, &w)) {
        g->stats.icr_writes++;
        if (g->bare_metal)
            bare_metal_write(self, &it, &w, vector);
        else
            ts_hypervisor_icr_write(self, targets + w.first, w.count, w.kind, vector);
    }
    if (xapic)
        ts_irq_enable(self);
}

/* __send_ipi_mask. The walk over the mask is not charged: it is in smp_call_target_cycles. A
 * failure is warned of once and nothing else: the interrupt is lost. */
static void send_by_hypercall(struct ts_task *self, const uint32_t *targets, uint32_t n,
                              enum ts_vector vector)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_pv_ipi_iter it = {
        .kind = (enum ts_pv_ipi)g->hypervisor->params.pv_ipi, .ids = targets, .n = n};
    struct ts_pv_ipi_window w;
    ts_irq_disable(self);
    while (ts_pv_ipi_next(&it, &w))
        (void)ts_hypervisor_pv_ipi(self, &w, ts_vector_numbers[vector], vector);
    ts_irq_enable(self);
}

/* kvm_setup_pv_ipi replaces send_IPI_mask and _allbutself: not the send to one CPU (send_IPI), nor
 * the shorthand, which native_send_call_func_ipi tries first. */
static bool pv_ipi_applies(const struct ts_guest *g, uint32_t n, bool broadcast)
{
    const struct ts_interrupt_params *ip = &g->interrupt_params;
    if (g->bare_metal || n < 2)
        return false;
    return ts_pv_ipi_reaches((enum ts_pv_ipi)g->hypervisor->params.pv_ipi, g->ncpus) &&
           !ts_icr_shorthand(ip, (enum ts_intr_mode)ip->guest_mode, n, broadcast);
}

void ts_guest_send_ipi(struct ts_task *self, const uint32_t *targets, uint32_t n, bool broadcast,
                       enum ts_vector vector)
{
    if (pv_ipi_applies(ts_guest_cpu_of(self)->guest, n, broadcast))
        send_by_hypercall(self, targets, n, vector);
    else
        send_natively(self, targets, n, broadcast, vector);
}

bool ts_guest_wake_polling(struct ts_task *self, struct ts_guest_cpu *target)
{
    if (!target->cpu->polling)
        return false;
    ts_task_line(self, &target->resched_line, TS_LINE_RMW);
    return target->cpu->polling;
}

void ts_guest_send_resched(struct ts_task *self, struct ts_cpu *target)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    uint32_t id = target->id;
    if (ts_guest_wake_polling(self, &g->cpus[id])) {
        ts_cpu_kick(target);
        return;
    }
    g->stats.resched_ipis++;
    /* The register belongs to one CPU: no migration between its write and what follows. */
    ts_preempt_disable(self);
    ts_guest_send_ipi(self, &id, 1, false, TS_VEC_RESCHED);
    ts_preempt_enable(self);
}
