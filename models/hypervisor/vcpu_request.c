/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to vCPUs and kicks (virt/kvm/kvm_main.c, 6.12). */
#include "models/hypervisor/host_call.h"

void ts_vcpu_kick(struct ts_vcpu *v, struct ts_task *from)
{
    TS_ASSERT(from != &v->task && from->domain == v->task.domain);
    if (v->blocked) {
        ts_vcpu_wake(v, from);
        return;
    }
    ts_preempt_disable(from);
    if (ts_vcpu_seen_entering(v)) {
        TS_ASSERT(v->loaded && v->task.cpu != from->cpu);
        v->hyp->stats.kicks++;
        ts_hyp_ipi(from, v->task.cpu->id, TS_VEC_KICK, v->number);
    }
    ts_preempt_enable(from);
}

/* kvm_make_vcpu_request; true: its pCPU is in the mask of the next call. */
static bool request(struct ts_task *self, struct ts_vcpu *v, enum ts_vcpu_request what)
{
    struct ts_hypervisor *h = v->hyp;
    ts_task_work(self, h->params.kick_cycles);
    ts_task_line(self, &v->request_line, TS_LINE_RMW); /* set_bit, cmpxchg of the mode */
    v->requests |= (uint32_t)what;
    h->stats.hv_requests += what == TS_REQUEST_HV_FLUSH;
    if (&v->task == self || !ts_vcpu_seen_entering(v))
        return false;
    TS_ASSERT(v->loaded && v->task.cpu != self->cpu);
    ts_host_call_add(self, v->task.cpu->id);
    return true;
}

bool ts_vcpus_request(struct ts_task *self, struct ts_vm *vm, enum ts_vcpu_request what,
                      ts_vcpu_named_fn *named, const void *arg, ts_time *wait_ps)
{
    bool call = false;
    TS_ASSERT(vm->host == self->domain->owner && what);
    TS_ASSERT(((struct ts_hypervisor *)vm->host)->makes_requests);
    ts_preempt_disable(self); /* get_cpu */
    for (uint32_t i = 0; i < vm->nvcpus; i++) {
        if (!named || named(arg, i))
            call = request(self, ts_vm_vcpu(vm, i), what) || call;
    }
    if (call)
        *wait_ps += ts_host_call_many(self);
    ts_preempt_enable(self);
    return call;
}
