/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a vCPU around being scheduled and entered: steal time with its preempted byte,
 * PV flush, TLB flush on migration, and the emulated Hyper-V flush hypercalls (x86.md 3.1, 4.3;
 * arch/x86/kvm/x86.c record_steal_time, kvm_arch_vcpu_load/put; hyperv.c kvm_hv_flush_tlb). */
#include "models/hypervisor/hyp_private.h"

enum { PREEMPTED = 1u, FLUSH_TLB = 2u };

static void apply(struct ts_vcpu *v, const struct ts_tlb_inval *inval)
{
    (void)ts_mmu_invalidate(v->hyp->mmus[v->task.cpu->id], inval, ts_task_cycle(&v->task));
}

/* kvm_vcpu_flush_tlb_guest: INVVPID single context; globals and all PCIDs go. */
static void flush_guest(struct ts_vcpu *v)
{
    struct ts_tlb_inval inval = ts_inval_invvpid_single(ts_guest_vmid(v->gc));
    ts_task_work(&v->task, v->hyp->params.invvpid_cycles);
    apply(v, &inval);
    v->hyp->stats.tlb_flush++;
}

static void record_steal_time(struct ts_vcpu *v)
{
    ts_task_line(&v->task, &v->gc->steal_line, TS_LINE_RMW);
    uint32_t old = v->gc->preempted;
    v->gc->preempted = 0;
    v->steal_update = false;
    if (old & FLUSH_TLB)
        flush_guest(v);
}

static void hv_drain(struct ts_vcpu *v)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    ts_task_line(&v->task, &v->hv_line, TS_LINE_RMW);
    v->hv_request = false;
    uint32_t n = v->hv_count;
    v->hv_count = 0;
    if (v->hv_full || p->hv_flush == TS_HV_4_18) {
        v->hv_full = false;
        flush_guest(v);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint64_t k = 0; k < v->hv_pages[i]; k++) {
            struct ts_tlb_inval inval =
                ts_inval_invvpid_address(ts_guest_vmid(v->gc), v->hv_start[i] + k * 4096);
            ts_task_work(&v->task, p->invvpid_addr_cycles);
            apply(v, &inval);
        }
        v->hyp->stats.tlb_flush++;
    }
}

void ts_vcpu_requests(struct ts_vcpu *v)
{
    while (v->steal_update || v->hv_request) {
        if (v->steal_update)
            record_steal_time(v);
        if (v->hv_request)
            hv_drain(v);
    }
}

/* --- scheduled out and in --- */

static void dsb_done(void *user, uint32_t cpu)
{
    (void)cpu;
    ts_task_stall_done(user);
}

void ts_vcpu_put(struct ts_vcpu *v, bool runnable)
{
    struct ts_hypervisor *h = v->hyp;
    struct ts_cpu *cpu = v->cpu;
    bool report = h->params.pv_preempted_rule == TS_PREEMPTED_ANY_PUT;
    if (!report && runnable) {
        /* Only at an instruction boundary, which is after a host interrupt (x86.md 3.1). */
        report = v->reason == TS_EXIT_INTERRUPT;
        h->stats.preemption_reported += report;
        h->stats.preemption_other += !report;
    }
    /* kvm_steal_time_set_preempted: nothing is written over a byte that no entry has read since,
     * which may hold FLUSH_TLB by now. */
    if (report && h->params.pv_tlb_flush && !v->gc->preempted) {
        ts_task_line(&v->task, &v->gc->steal_line, TS_LINE_WRITE);
        v->gc->preempted = PREEMPTED;
        /* Optimistic spinners watch vcpu_is_preempted of the owner. */
        for (uint32_t i = 0; i < v->gc->guest->nmms; i++)
            ts_rwsem_recheck(&v->gc->guest->mms[i]->mmap_lock);
    }
    if (h->dvm) {
        /* __switch_to: maintenance issued here must complete before the task may move. */
        if (!ts_dvm_dsb(h->dvm, v->task.cpu->id, dsb_done, &v->task))
            ts_task_stall(&v->task);
    }
    ts_task_work(&v->task, h->params.vcpu_put_load_cycles / 2);
    ts_vcpu_pi_put(v, runnable);
    cpu->host_total_ps += ts_task_now(&v->task) - cpu->host_since;
    cpu->host_since = TS_TIME_NEVER;
    cpu->not_running_since = ts_task_now(&v->task);
    (void)ts_cpu_set_mode(cpu, runnable ? TS_MODE_STEAL : TS_MODE_IDLE);
}

/* VMX: KVM_REQ_TLB_FLUSH becomes an INVEPT, which takes the guests of every VM. SVM: the vCPU gets
 * an ASID that is new to the pCPU (svm.c pre_svm_run, new_asid), so it finds nothing of its own and
 * nobody else loses anything. The wrap of the ASID counter, which flushes all, is not modelled. */
static void flush_at_new_pcpu(struct ts_vcpu *v)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    if (p->tlb_tags == TS_TAGS_SVM_ASID) {
        struct ts_tlb_inval inval = ts_inval_svm_flush_asid(ts_guest_vmid(v->gc));
        apply(v, &inval);
        return;
    }
    struct ts_tlb_inval inval = ts_inval_invept_global();
    ts_task_work(&v->task, p->invept_cycles);
    apply(v, &inval);
}

static void flush_for_move(struct ts_vcpu *v)
{
    struct ts_hypervisor *h = v->hyp;
    uint32_t pcpu = v->task.cpu->id;
    uint32_t *ran = &h->last_vcpu_ran[v->gc->guest->number * h->host->ncpus + pcpu];
    if (h->arch == TS_ARCH_X86 && h->params.flush_on_migration && v->last_pcpu != UINT32_MAX &&
        v->last_pcpu != pcpu) {
        flush_at_new_pcpu(v);
        h->stats.migrations_flush++;
    }
    if (h->arch == TS_ARCH_ARM64 && h->params.last_vcpu_ran_flush && *ran != v->number &&
        *ran != UINT32_MAX) {
        /* kvm_arch_vcpu_load: this pCPU last ran another vCPU of the same VM. */
        struct ts_tlb_inval inval = ts_inval_tlbi_vmalle1(ts_guest_vmid(v->gc));
        ts_task_work(&v->task, h->params.invvpid_cycles);
        apply(v, &inval);
        h->stats.stage1_flush_switch++;
    }
    *ran = v->number;
    v->last_pcpu = pcpu;
}

/* x86: the window starts afresh (shrink_ple_window). arm64: WFE traps only where others wait. */
static void set_pause_window(struct ts_vcpu *v)
{
    const struct ts_hypervisor_params *p = &v->hyp->params;
    if (v->hyp->arch == TS_ARCH_X86)
        v->cpu->pause_window_cycles = p->ple ? p->ple_window_cycles : 0;
    else
        v->cpu->pause_window_cycles = p->wfe_trap && v->task.cpu->rq.nr ? p->wfe_cycles : 0;
}

void ts_vcpu_load(struct ts_vcpu *v)
{
    struct ts_cpu *cpu = v->cpu;
    ts_time now = ts_task_now(&v->task);
    cpu->not_running_total_ps += now - cpu->not_running_since;
    cpu->not_running_since = TS_TIME_NEVER;
    cpu->host_since = now;
    set_pause_window(v);
    (void)ts_cpu_set_mode(cpu, TS_MODE_HOST);
    ts_task_work(&v->task, v->hyp->params.vcpu_put_load_cycles / 2);
    flush_for_move(v);
    ts_vcpu_pi_load(v);
    if (v->hyp->params.pv_tlb_flush)
        v->steal_update = true;
}

/* --- Hyper-V flush hypercalls, as KVM emulates them --- */

static void hv_enqueue(struct ts_vcpu *from, struct ts_vcpu *t, uint64_t start, uint64_t npages)
{
    ts_task_line(&from->task, &t->hv_line, TS_LINE_RMW);
    t->hv_request = true;
    if (from->hyp->params.hv_flush == TS_HV_4_18 || npages == 0 ||
        t->hv_count + 1 >= TS_HV_FIFO_SIZE) {
        t->hv_full = true;
        return;
    }
    t->hv_start[t->hv_count] = start;
    t->hv_pages[t->hv_count++] = npages;
}

static bool kicks_done(void *arg)
{
    return ((const struct ts_vcpu *)arg)->kicks_left == 0;
}

void ts_hyp_ack_kicks(struct ts_hypervisor *h, uint32_t pcpu)
{
    uint64_t *bits = h->pcpus[pcpu].kicked_by;
    for (uint32_t w = 0; w < (h->nvcpus + 63) / 64; w++) {
        while (bits[w]) {
            struct ts_vcpu *from = &h->vcpus[w * 64 + (uint32_t)__builtin_ctzll(bits[w])];
            bits[w] &= bits[w] - 1;
            if (--from->kicks_left == 0 && from->kick_waiting)
                ts_task_spin_signal(&from->task);
        }
    }
}

/* smp_call_function_many(ack, wait=1) on the pCPUs of those that are in guest mode: returns when
 * each has left it, not when the flush has run, which its next entry does. */
static void kick_and_wait(struct ts_vcpu *v, struct ts_vcpu *t)
{
    struct ts_hypervisor *h = v->hyp;
    uint32_t pcpu = t->task.cpu->id;
    uint64_t *word = &h->pcpus[pcpu].kicked_by[v->number / 64];
    uint64_t bit = UINT64_C(1) << (v->number % 64);
    if (*word & bit)
        return;
    *word |= bit;
    v->kicks_left++;
    h->stats.kicks++;
    ts_hyp_ipi(&v->task, pcpu, TS_VEC_KICK, 0);
}

bool ts_hypervisor_hv_flush(struct ts_task *self, const struct ts_cpumask *mask, uint64_t start,
                            uint64_t npages, struct ts_shootdown_record *record)
{
    struct ts_guest_cpu *gc = ts_guest_cpu_of(self);
    struct ts_vcpu *v = ts_vcpu_of(gc);
    struct ts_hypervisor *h = v->hyp;
    if (h->params.hv_flush == TS_HV_OFF)
        return false;
    ts_time mark = ts_task_now(self);
    ts_vm_exit(v, TS_EXIT_HYPERCALL);
    h->stats.hypercalls++;
    ts_task_work(&v->task, h->params.hypercall_cycles);
    ts_time off = ts_vcpu_not_running_ps(v->cpu);
    TS_CPUMASK_FOR_EACH(cpu, mask)
    {
        struct ts_vcpu *t = ts_vcpu_of(&gc->guest->cpus[cpu]);
        ts_task_work(&v->task, h->params.kick_cycles);
        hv_enqueue(v, t, start, npages);
        h->stats.hv_requests++;
        if (t != v && t->entering)
            kick_and_wait(v, t);
    }
    ts_time waiting = ts_task_now(self);
    record->part_ps[TS_PATH_HYPERVISOR] += waiting - mark - (ts_vcpu_not_running_ps(v->cpu) - off);
    record->part_ps[TS_PATH_INITIATOR_OFF] += ts_vcpu_not_running_ps(v->cpu) - off;
    off = ts_vcpu_not_running_ps(v->cpu);
    v->kick_waiting = true;
    ts_task_spin(&v->task, kicks_done, v, NULL);
    v->kick_waiting = false;
    ts_time entered = ts_task_now(self);
    ts_vm_entry(v);
    ts_time end = ts_task_now(self);
    ts_time lost = ts_vcpu_not_running_ps(v->cpu) - off;
    ts_time wait = entered - waiting;
    ts_time in_wait = lost < wait ? lost : wait;
    record->part_ps[TS_PATH_ACK] += wait - in_wait;
    record->part_ps[TS_PATH_INITIATOR_OFF] += lost;
    record->part_ps[TS_PATH_FLUSH] += end - entered - (lost - in_wait);
    return true;
}
