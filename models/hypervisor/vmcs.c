/* SPDX-License-Identifier: Apache-2.0 */
/* What a pCPU does to make a vCPU's VMCS or VMCB its current one: vmx.c vmx_vcpu_load_vmcs, svm.c
 * svm_vcpu_load (6.1, 6.12). The guests' translations are requests.c's. Under Xen neither is
 * modelled.
 *
 * | step    | when                                      | what                                    |
 * |---------|-------------------------------------------|-----------------------------------------|
 * | VMCLEAR | VMX: it was last loaded on another pCPU   | a call to that one, which is waited for |
 * | IBPB    | another vCPU's was the pCPU's current one | without the slower code after it        |
 *
 * A VMCLEAR leaves the old pCPU without a current VMCS. SVM has nothing to clear, so a VMCB stays
 * the current one of each pCPU that has loaded no other since. */
#include "models/hypervisor/host_call.h"

static bool is_vmx(const struct ts_hypervisor *h)
{
    return h->params.tlb_tags == TS_TAGS_VPID_EPT;
}

/* kvm_sched_in comes after the switch has enabled interrupts (finish_task_switch), with preemption
 * off. Were they off, two loaders that wait for each other's pCPUs would do so for ever. */
static void clear_elsewhere(struct ts_vcpu *v)
{
    struct ts_task *self = &v->task;
    TS_ASSERT(self->cpu->irq_off == 1 && v->last_pcpu != self->cpu->id);
    ts_preempt_disable(self);
    ts_irq_enable(self);
    v->hyp->stats.vmclear_wait_ps += ts_host_call_vmclear(self, v->last_pcpu, v);
    v->hyp->stats.vmclear++;
    ts_irq_disable(self);
    ts_preempt_enable(self);
}

void ts_vcpu_vmclear(struct ts_task *self, const struct ts_vcpu *v)
{
    struct ts_hyp_pcpu *hp = &v->hyp->pcpus[self->cpu->id];
    TS_ASSERT(self->cpu->irq_off && is_vmx(v->hyp));
    ts_task_work(self, v->hyp->params.vmclear_cycles);
    if (hp->current_vmcs == v)
        hp->current_vmcs = NULL;
}

void ts_vcpu_load_vmcs(struct ts_vcpu *v)
{
    struct ts_hypervisor *h = v->hyp;
    const struct ts_hypervisor_params *p = &h->params;
    struct ts_hyp_pcpu *hp = &h->pcpus[v->task.cpu->id];
    bool moved = v->last_pcpu != UINT32_MAX && v->last_pcpu != v->task.cpu->id;
    if (h->w.arch != TS_ARCH_X86 || h->xen)
        return;
    if (moved && is_vmx(h) && p->vmclear_on_migration)
        clear_elsewhere(v);
    if (hp->current_vmcs == v)
        return;
    hp->current_vmcs = v;
    if (p->ibpb_on_switch) {
        ts_task_work(&v->task, p->ibpb_cycles);
        h->stats.ibpb++;
    }
}
