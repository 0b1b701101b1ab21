/* SPDX-License-Identifier: Apache-2.0 */
/* Sending interrupts: the driver's register writes, or KVM's hypercall instead of them (x86.md 2.5,
 * 2.6, 3.2). */
#include "models/guest/coherence/ipi.h"

#include "models/guest/coherence/hv_ipi.h"

static void send_natively(struct ts_task *self, const uint32_t *targets, uint32_t n, bool broadcast,
                          enum ts_vector vector)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    struct ts_icr_iter it = {
        .params = &g->interrupt_params,
        .mode = g->vm->intr_mode,
        .apic_ids = g->vm->apic_ids,
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
        g->vm->pv->icr_write(self, &it, &w, vector);
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
    struct ts_pv_ipi_iter it = {.kind = g->vm->pv_ipi, .ids = targets, .n = n};
    struct ts_pv_ipi_window w;
    ts_irq_disable(self);
    while (ts_pv_ipi_next(&it, &w)) {
        struct ts_hypercall call = {.abi = TS_ABI_KVM, .number = TS_KVM_HC_SEND_IPI};
        ts_pv_ipi_args(&w, ts_vector_numbers[vector], call.args);
        ts_hypercall(self, g->vm, &call);
    }
    ts_irq_enable(self);
}

/* kvm_setup_pv_ipi replaces send_IPI_mask and _allbutself: not the send to one CPU (send_IPI), nor
 * the shorthand, which native_send_call_func_ipi tries first. */
static bool pv_ipi_applies(const struct ts_guest *g, uint32_t n, bool broadcast)
{
    const struct ts_interrupt_params *ip = &g->interrupt_params;
    if (!g->vm->pv->hypercall || n < 2)
        return false;
    return ts_pv_ipi_reaches(g->vm->pv_ipi, g->ncpus) &&
           !ts_icr_shorthand(ip, g->vm->intr_mode, n, broadcast);
}

void ts_guest_send_ipi(struct ts_task *self, const uint32_t *targets, uint32_t n, bool broadcast,
                       enum ts_vector vector)
{
    /* weak_wrmsr_fence (x2apic_cluster.c, asm/processor.h), DSB ISHST (irq-gic-v3.c
     * gic_ipi_send_mask), both in 6.1 and 6.12. */
    ts_task_store_dsb(self);
    if (ts_guest_cpu_of(self)->guest->vm->hv_ipi && ts_hv_send_ipi(self, targets, n, vector))
        return;
    if (pv_ipi_applies(ts_guest_cpu_of(self)->guest, n, broadcast))
        send_by_hypercall(self, targets, n, vector);
    else
        send_natively(self, targets, n, broadcast, vector);
}

/* The first CPU of a call that is not idle and whose host has preempted it is yielded to, one a
 * call; which CPUs are idle is read without cost. */
static void yield_to_preempted(struct ts_task *self, const uint32_t *targets, uint32_t n)
{
    struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    for (uint32_t i = 0; i < n; i++) {
        const struct ts_cpu *target = g->cpus[targets[i]].cpu;
        struct ts_steal_area *area = ts_guest_cpu_steal(&g->cpus[targets[i]]);
        if (target->current->is_idle)
            continue;
        ts_task_line(self, &area->line, TS_LINE_READ);
        if (!area->preempted)
            continue;
        struct ts_hypercall call = {.abi = TS_ABI_KVM, .number = TS_KVM_HC_SCHED_YIELD};
        call.args[0] = g->vm->apic_ids ? g->vm->apic_ids[targets[i]] : targets[i];
        ts_hypercall(self, g->vm, &call);
        return;
    }
}

void ts_guest_send_call_ipi(struct ts_task *self, const uint32_t *targets, uint32_t n)
{
    const struct ts_guest *g = ts_guest_cpu_of(self)->guest;
    ts_guest_send_ipi(self, targets, n, n == g->ncpus - 1, TS_VEC_CALL);
    if (n > 1 && g->vm->pv_sched_yield && g->vm->steal_time)
        yield_to_preempted(self, targets, n);
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
