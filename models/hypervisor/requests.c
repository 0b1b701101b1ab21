/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a vCPU around being scheduled and entered: steal time with its preempted byte,
 * PV flush, TLB flush on migration, and the emulated Hyper-V flush hypercalls (x86.md 3.1, 4.3;
 * arch/x86/kvm/x86.c record_steal_time, kvm_arch_vcpu_load/put; hyperv.c kvm_hv_flush_tlb). */
#include "models/cpu/dvm_port.h"
#include "models/hypervisor/host_tlb.h"
#include "models/hypervisor/hyp_private.h"

void ts_vcpu_invalidate(struct ts_vcpu *v, const struct ts_tlb_inval *inval)
{
    (void)ts_mmu_invalidate(v->hyp->w.mmus[v->task.cpu->id], inval, ts_task_cycle(&v->task));
}

/* kvm_check_request. */
void ts_vcpu_check_request(struct ts_vcpu *v, enum ts_vcpu_request what)
{
    TS_ASSERT(v->task.cpu->irq_off && (v->requests & (uint32_t)what));
    ts_task_line(&v->task, &v->request_line, TS_LINE_RMW);
    v->requests &= ~(uint32_t)what;
}

/* kvm_vcpu_flush_tlb_guest: INVVPID single context; globals and all PCIDs go. */
void ts_vcpu_flush_guest(struct ts_vcpu *v)
{
    struct ts_tlb_inval inval = ts_inval_invvpid_single(ts_vcpu_vmid(v));
    ts_task_work(&v->task, v->hyp->params.invvpid_cycles);
    ts_vcpu_invalidate(v, &inval);
    v->hyp->stats.tlb_flush++;
    ts_vcpu_hv_purge(v);
}

void ts_vcpu_new_asid(struct ts_vcpu *v)
{
    struct ts_tlb_inval inval = ts_inval_invvpid_single(ts_vcpu_vmid(v));
    ts_vcpu_invalidate(v, &inval);
    v->hyp->stats.tlb_flush++;
}

static void record_steal_time(struct ts_vcpu *v)
{
    struct ts_steal_area *area = ts_vcpu_steal(v);
    TS_ASSERT(v->hyp->params.pv_tlb_flush && v->loaded && !v->cpu->in_guest);
    ts_task_line(&v->task, &area->line, TS_LINE_RMW);
    uint32_t old = area->preempted;
    area->preempted = 0;
    v->steal_update = false;
    if (old & TS_STEAL_FLUSH_TLB) {
        v->hyp->stats.pv_flush_performed++;
        ts_vcpu_flush_guest(v);
    }
}

void ts_vcpu_write_mode(struct ts_vcpu *v)
{
    const struct ts_hypervisor *h = v->hyp;
    uint32_t core = h->w.topology->core[v->task.cpu->id];
    TS_ASSERT(v->loaded && v->task.cpu->irq_off);
    if (h->makes_requests && !ts_line_writable(&v->request_line, core))
        ts_task_line(&v->task, &v->request_line, TS_LINE_WRITE);
}

void ts_vcpu_requests(struct ts_vcpu *v)
{
    while (v->steal_update || v->requests) {
        if (v->requests & TS_REQUEST_TLB_FLUSH) {
            ts_vcpu_check_request(v, TS_REQUEST_TLB_FLUSH);
            ts_vcpu_flush_all(v);
            v->hyp->stats.tlb_flush_all++;
        }
        if (v->requests & TS_REQUEST_NEW_ASID) {
            ts_vcpu_check_request(v, TS_REQUEST_NEW_ASID);
            ts_vcpu_new_asid(v);
        }
        if (v->steal_update)
            record_steal_time(v);
        if (v->requests & TS_REQUEST_HV_FLUSH)
            ts_vcpu_hv_drain(v);
    }
}

/* --- scheduled out and in --- */

void ts_host_switch_dsb(struct ts_task *self)
{
    struct ts_hypervisor *h = self->domain->owner;
    TS_ASSERT(self->cpu->irq_off && !self->cpu->is_virtual);
    if (h->w.dvm)
        ts_dvm_port_dsb(self, h->w.dvm);
}

void ts_vcpu_put(struct ts_vcpu *v, bool runnable)
{
    struct ts_hypervisor *h = v->hyp;
    struct ts_cpu *cpu = v->cpu;
    bool report = h->params.pv_preempted_rule == TS_PREEMPTED_ANY_PUT;
    TS_ASSERT(v->loaded && !v->entering && !cpu->in_guest && v->task.cpu->irq_off);
    v->preempted = v->ready = runnable;
    if (!report && runnable) {
        /* Only at an instruction boundary, which is after a host interrupt (x86.md 3.1). */
        report = v->reason == TS_EXIT_INTERRUPT;
        h->stats.preemption_reported += report;
        h->stats.preemption_other += !report;
    }
    /* kvm_steal_time_set_preempted: nothing is written over a byte that no entry has read since,
     * which may hold FLUSH_TLB by now. */
    if (report && h->params.pv_tlb_flush && !ts_vcpu_steal(v)->preempted) {
        ts_task_line(&v->task, &ts_vcpu_steal(v)->line, TS_LINE_WRITE);
        ts_vcpu_steal(v)->preempted = TS_STEAL_PREEMPTED;
        v->vm->os->steal_changed(v->vm, v->id);
    }
    ts_host_switch_dsb(&v->task);
    if (h->w.arch == TS_ARCH_ARM64)
        ts_vmids_put(&v->task, &h->vmids);
    ts_task_work(&v->task, h->params.vcpu_put_load_cycles / 2);
    ts_vcpu_pi_put(v, runnable);
    ts_vcpu_host_ends(v);
    cpu->not_running_since = ts_task_now(&v->task);
    (void)ts_cpu_set_mode(cpu, runnable ? TS_MODE_STEAL : TS_MODE_IDLE);
}

/* VMX: an INVEPT, which takes the guests of every VM (vmx_flush_tlb_all). SVM: the vCPU gets an
 * ASID that is new to the pCPU (svm.c pre_svm_run, new_asid), so it finds nothing of its own and
 * nobody else loses anything. The wrap of the ASID counter, which flushes all, is not modelled. */
void ts_vcpu_flush_all(struct ts_vcpu *v)
{
    TS_ASSERT(v->hyp->w.arch == TS_ARCH_X86 && !v->cpu->in_guest);
    if (v->hyp->params.tlb_tags == TS_TAGS_SVM_ASID) {
        struct ts_tlb_inval inval = ts_inval_svm_flush_asid(ts_vcpu_vmid(v));
        ts_vcpu_invalidate(v, &inval);
        return;
    }
    ts_host_invept(&v->task, NULL);
}

void ts_hypervisor_vm_is_on(const struct ts_vm *vm, struct ts_cpumask *pcpus)
{
    const struct ts_hypervisor *h = vm->host;
    ts_cpumask_init(pcpus, h->w.host->ncpus);
    for (uint32_t i = 0; i < vm->nvcpus; i++) {
        uint32_t last = ts_vm_vcpu(vm, i)->last_pcpu;
        if (last != UINT32_MAX)
            ts_cpumask_set(pcpus, last);
    }
}

/* hypervisor.dvm_domain resident. Told first, so that what is invalidated from now on is heard;
 * then what went unheard before is dropped. */
static void move_dvm_domain(struct ts_vcpu *v, uint32_t from)
{
    struct ts_hypervisor *h = v->hyp;
    uint32_t here = v->task.cpu->id;
    bool member = from == here;
    struct ts_cpumask domain;
    for (uint32_t i = 0; i < v->vm->nvcpus; i++) {
        const struct ts_vcpu *t = ts_vm_vcpu(v->vm, i);
        member = member || (t != v && t->last_pcpu == here);
    }
    ts_hypervisor_vm_is_on(v->vm, &domain);
    ts_dvm_set_domain(h->w.dvm, ts_vcpu_vmid(v), &domain);
    if (member)
        return;
    struct ts_tlb_inval inval = ts_inval_tlbi_vmalls12e1(ts_vcpu_vmid(v));
    ts_host_tlbi_nsh(&v->task, &inval, h->params.flush_cpu_context_cycles);
    h->stats.domain_joins++;
}

/* dvm.vmid_filter: the pCPUs that have ever run a vCPU of the VM. Nobody leaves the set, so what a
 * vCPU has left behind is always reached. It goes with the VM to its next VMID, which was another
 * VM's. What the host does to keep the set is not charged. */
static void extend_dvm_domain(struct ts_vcpu *v)
{
    struct ts_hypervisor *h = v->hyp;
    const uint32_t *ran = &h->last_vcpu_ran[v->vm->number * h->w.host->ncpus];
    struct ts_cpumask domain;
    ts_cpumask_init(&domain, h->w.host->ncpus);
    for (uint32_t i = 0; i < h->w.host->ncpus; i++) {
        if (ran[i] != UINT32_MAX)
            ts_cpumask_set(&domain, i);
    }
    TS_ASSERT(ts_cpumask_test(&domain, v->task.cpu->id));
    if (h->w.arch == TS_ARCH_ARM64)
        h->vmids.told[v->vm->number] = h->vmids.ids[v->vm->number];
    ts_dvm_set_domain(h->w.dvm, ts_vcpu_vmid(v), &domain);
}

/* Another VM may have had the number since the interconnect was told, this VM's own one too. */
static bool has_new_vmid(const struct ts_vcpu *v)
{
    const struct ts_vmids *m = &v->hyp->vmids;
    return v->hyp->w.arch == TS_ARCH_ARM64 && m->told[v->vm->number] != m->ids[v->vm->number];
}

static void flush_for_move(struct ts_vcpu *v)
{
    struct ts_hypervisor *h = v->hyp;
    uint32_t pcpu = v->task.cpu->id;
    TS_ASSERT(v->vm->number < h->w.nvms && !v->loaded);
    uint32_t *ran = &h->last_vcpu_ran[v->vm->number * h->w.host->ncpus + pcpu];
    if (h->w.arch == TS_ARCH_X86 && h->params.flush_on_migration && v->last_pcpu != UINT32_MAX &&
        v->last_pcpu != pcpu) {
        ts_vcpu_flush_all(v);
        h->stats.migrations_flush++;
    }
    if (h->w.arch == TS_ARCH_ARM64 && h->params.last_vcpu_ran_flush && *ran != v->number) {
        /* kvm_arch_vcpu_load and __kvm_flush_cpu_context (hyp/vhe/tlb.c, hyp/nvhe/tlb.c; 6.12):
         * not the vCPU of the VM that ran here last. Nobody has, before the first: it flushes. */
        struct ts_tlb_inval inval = ts_inval_tlbi_vmalle1(ts_vcpu_vmid(v));
        ts_host_tlbi_nsh(&v->task, &inval, h->params.flush_cpu_context_cycles);
        h->stats.stage1_flush_switch++;
    }
    bool fresh = *ran == UINT32_MAX;
    uint32_t from = v->last_pcpu;
    *ran = v->number;
    v->last_pcpu = pcpu;
    if (h->w.dvm && v->vm->resident_domain)
        move_dvm_domain(v, from);
    else if (h->w.dvm && (fresh || has_new_vmid(v)))
        extend_dvm_domain(v);
}

/* x86: vmx_vcpu_load, svm_vcpu_load (6.12), sched_in before. arm64: WFE traps only where others
 * wait. */
static void set_pause_window(struct ts_vcpu *v)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    if (v->hyp->w.arch == TS_ARCH_X86)
        v->cpu->pause_window_cycles =
            p->ple ? ts_ple_window_shrink(p, v->cpu->pause_window_cycles) : 0;
    else
        v->cpu->pause_window_cycles = p->wfe_trap && v->task.cpu->rq.nr ? p->wfe_cycles : 0;
}

void ts_vcpu_load(struct ts_vcpu *v)
{
    struct ts_cpu *cpu = v->cpu;
    ts_time now = ts_task_now(&v->task);
    TS_ASSERT(!v->loaded && !cpu->in_guest && cpu->not_running_since <= now);
    v->preempted = v->ready = false;
    cpu->not_running_total_ps += now - cpu->not_running_since;
    cpu->not_running_since = TS_TIME_NEVER;
    ts_vcpu_host_begins(v);
    set_pause_window(v);
    (void)ts_cpu_set_mode(cpu, TS_MODE_HOST);
    ts_task_work(&v->task, v->hyp->params.vcpu_put_load_cycles / 2);
    ts_vcpu_load_vmcs(v);
    if (v->hyp->w.arch == TS_ARCH_ARM64)
        ts_vmids_load(&v->task, &v->hyp->vmids, v->vm);
    flush_for_move(v);
    if (v->hyp->xen)
        ts_xen_load(v);
    ts_vcpu_pi_load(v);
    TS_ASSERT(v->loaded && !v->nv_wakeup && !v->sn);
    if (v->hyp->params.pv_tlb_flush)
        v->steal_update = true;
}
