/* SPDX-License-Identifier: Apache-2.0 */
/* The entry of hypercalls: exit, the table of the call's interface, entry (kvm_emulate_hypercall,
 * arch/x86/kvm/x86.c). */
#include "models/hypervisor/hyp_private.h"

static const struct ts_hypercall_table *const tables[TS_HYPERCALL_ABIS] = {
    [TS_ABI_KVM] = &ts_kvm_hypercalls,
    [TS_ABI_HYPERV] = &ts_hyperv_hypercalls,
    [TS_ABI_XEN] = &ts_xen_hypercalls,
};

static void dispatch(struct ts_vcpu *v, const struct ts_hypercall_table *t,
                     struct ts_hypercall *call)
{
    call->result = t->unknown;
    if (!t->offered(&v->hyp->params))
        return;
    uint64_t refused = t->refused ? t->refused(&v->hyp->params, call->number) : 0;
    if (refused) {
        call->result = refused;
        return;
    }
    for (size_t i = 0; i < t->nrows; i++) {
        if (t->rows[i].number == t->key(call->number)) {
            t->rows[i].fn(v, call);
            return;
        }
    }
}

/* Time since *mark without what the vCPU lost meanwhile, which goes to off_ps. */
static ts_time lap(const struct ts_vcpu *v, struct ts_hypercall_times *times, ts_time *mark,
                   ts_time *off_mark)
{
    ts_time now = ts_task_now(&v->task);
    ts_time off = ts_vcpu_not_running_ps(v->cpu);
    ts_time span = now - *mark;
    ts_time lost = off - *off_mark < span ? off - *off_mark : span;
    times->off_ps += lost;
    *mark = now;
    *off_mark = off;
    return span - lost;
}

void ts_vcpu_hypercall(struct ts_task *self, struct ts_hypercall *call)
{
    struct ts_vcpu *v = ts_vcpu_of(self->cpu);
    struct ts_hypercall_times *times = &call->times;
    ts_time started = ts_task_now(self), mark = started;
    ts_time off_mark = ts_vcpu_not_running_ps(v->cpu);
    ts_time work;
    TS_ASSERT(v->cpu->in_guest);
    TS_ASSERT(!call->input || call->input == v->vm->input[v->id]);
    TS_ASSERT(call->input_bytes <= TS_INPUT_PAGE_BYTES);
    *times = (struct ts_hypercall_times){0};
    ts_vm_exit(v, TS_EXIT_HYPERCALL);
    v->hyp->stats.hypercalls++;
    ts_task_work(&v->task, v->hyp->params.hypercall_cycles);
    dispatch(v, tables[call->abi], call);
    work = lap(v, times, &mark, &off_mark);
    TS_ASSERT(times->wait_ps <= work);
    times->work_ps = work - times->wait_ps;
    ts_vm_entry(v);
    times->entry_ps = lap(v, times, &mark, &off_mark);
    TS_ASSERT(times->work_ps + times->wait_ps + times->entry_ps + times->off_ps == mark - started);
}
