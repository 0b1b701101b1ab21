/* SPDX-License-Identifier: Apache-2.0 */
#include "models/hypervisor/host_tlb.h"

#include "models/cpu/dvm_port.h"
#include "models/hypervisor/hyp_private.h"

static struct ts_hypervisor *host_of(const struct ts_task *self)
{
    TS_ASSERT(!self->cpu->is_virtual);
    return self->domain->owner;
}

/* Self's pCPU alone. */
static void invalidate_here(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    const struct ts_hypervisor *h = host_of(self);
    (void)ts_mmu_invalidate(h->w.mmus[self->cpu->id], inval, ts_task_cycle(self));
}

/* --- instructions --- */

static bool repeats(const struct ts_hypervisor *h, enum ts_repeat_tlbi_form form)
{
    return h->params.repeat_tlbi && h->params.repeat_tlbi_form == (uint64_t)form;
}

static void issue(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    struct ts_hypervisor *h = host_of(self);
    TS_ASSERT(h->w.dvm);
    ts_task_work(self, h->params.tlbi_issue_cycles);
    ts_dvm_port_tlbi(self, h->w.dvm, inval);
    h->stats.tlbi_issued++;
}

/* __tlbi; __TLBI_0 and __TLBI_1 of older kernels repeat it. */
void ts_host_tlbi(struct ts_task *self, const struct ts_tlb_inval *inval)
{
    struct ts_hypervisor *h = host_of(self);
    issue(self, inval);
    if (!repeats(h, TS_REPEAT_TLBI_EACH))
        return;
    ts_host_dsb_ish(self);
    h->stats.tlbi_repeated++;
    issue(self, inval);
}

void ts_host_dsb_ish(struct ts_task *self)
{
    struct ts_hypervisor *h = host_of(self);
    TS_ASSERT(h->w.dvm);
    h->stats.dsb++;
    ts_dvm_port_dsb(self, h->w.dvm);
}

void ts_host_tlbi_nsh(struct ts_task *self, const struct ts_tlb_inval *inval, uint64_t cycles)
{
    struct ts_hypervisor *h = host_of(self);
    TS_ASSERT(h->w.dvm);
    if (repeats(h, TS_REPEAT_TLBI_EACH)) {
        ts_dvm_port_tlbi_local(self, h->w.dvm, inval);
        ts_task_work(self, h->params.tlbi_issue_cycles);
        ts_host_dsb_ish(self);
        h->stats.tlbi_repeated++;
    }
    ts_dvm_port_tlbi_local(self, h->w.dvm, inval);
    ts_task_work(self, cycles);
    h->stats.dsb_nsh++;
    ts_dvm_port_dsb_nsh(self, h->w.dvm);
}

void ts_host_invept(struct ts_task *self, const struct ts_vm *vm)
{
    struct ts_hypervisor *h = host_of(self);
    TS_ASSERT(h->w.arch == TS_ARCH_X86 && h->params.tlb_tags == TS_TAGS_VPID_EPT);
    TS_ASSERT(!vm || (vm->host == h && vm->ep4ta));
    struct ts_tlb_inval inval = vm ? ts_inval_invept_single(vm->ep4ta) : ts_inval_invept_global();
    /* One instruction on one pCPU. */
    ts_preempt_disable(self);
    ts_task_work(self, h->params.invept_cycles);
    invalidate_here(self, &inval);
    h->stats.invept++;
    ts_preempt_enable(self);
}

/* --- arm64 --- */

static uint16_t vmid_of(const struct ts_task *self, const struct ts_vm *vm)
{
    TS_ASSERT(vm->host == host_of(self) && vm->arch == TS_ARCH_ARM64);
    return ts_vm_vmid(vm, 0);
}

static void dsb_ishst(struct ts_task *self)
{
    ts_dvm_port_dsb_st(self, host_of(self)->params.dsb_ishst_cycles);
}

static void enter_vmid_context(struct ts_task *self)
{
    const struct ts_hypervisor_params *p = &host_of(self)->params;
    ts_irq_disable(self);
    ts_task_work(self, p->vmid_context_cycles / 2 + (p->nvhe ? p->hyp_call_cycles / 2 : 0));
}

static void exit_vmid_context(struct ts_task *self)
{
    const struct ts_hypervisor_params *p = &host_of(self)->params;
    ts_task_work(self, p->vmid_context_cycles / 2 + (p->nvhe ? p->hyp_call_cycles / 2 : 0));
    ts_irq_enable(self);
}

/* __tlbi_sync_s1ish_hyp */
static void sync_hyp(struct ts_task *self)
{
    struct ts_hypervisor *h = host_of(self);
    struct ts_tlb_inval again = ts_inval_tlbi_vae1(0, 0, 0, true, 0); /* VALE2IS */
    ts_host_dsb_ish(self);
    if (!repeats(h, TS_REPEAT_TLBI_SYNC))
        return;
    h->stats.tlbi_repeated++;
    issue(self, &again);
    ts_host_dsb_ish(self);
}

static void tlbi_sync(struct ts_task *self, struct ts_tlb_inval inval)
{
    ts_host_tlbi(self, &inval);
    sync_hyp(self);
}

void ts_kvm_tlb_flush_vmid(struct ts_task *self, const struct ts_vm *vm)
{
    uint16_t vmid = vmid_of(self, vm);
    dsb_ishst(self);
    enter_vmid_context(self);
    tlbi_sync(self, ts_inval_tlbi_vmalls12e1(vmid));
    exit_vmid_context(self);
}

void ts_kvm_tlb_flush_vmid_ipa(struct ts_task *self, const struct ts_vm *vm, uint64_t ipa,
                               uint8_t ttl_level)
{
    uint16_t vmid = vmid_of(self, vm);
    dsb_ishst(self);
    enter_vmid_context(self);
    struct ts_tlb_inval stage2 = ts_inval_tlbi_ipas2e1(vmid, ipa, false, ttl_level);
    /* Stage 2 first and completed: else a walk elsewhere could make a combined entry anew from it.
     */
    ts_host_tlbi(self, &stage2);
    ts_host_dsb_ish(self);
    tlbi_sync(self, ts_inval_tlbi_vmalle1(vmid));
    exit_vmid_context(self);
}

static void tlbi_nsh(struct ts_task *self, struct ts_tlb_inval inval)
{
    ts_host_tlbi_nsh(self, &inval, host_of(self)->params.tlbi_local_cycles);
}

void ts_kvm_tlb_flush_vmid_ipa_nsh(struct ts_task *self, const struct ts_vm *vm, uint64_t ipa,
                                   uint8_t ttl_level)
{
    uint16_t vmid = vmid_of(self, vm);
    dsb_ishst(self);
    enter_vmid_context(self);
    tlbi_nsh(self, ts_inval_tlbi_ipas2e1(vmid, ipa, false, ttl_level));
    tlbi_nsh(self, ts_inval_tlbi_vmalle1(vmid));
    exit_vmid_context(self);
}

static struct ts_tlb_inval step_inval(const struct ts_range_step *step, uint16_t vmid)
{
    switch (step->kind) {
    case TS_RANGE_STEP_RIPAS2E1:
        return ts_inval_tlbi_ripas2e1(vmid, step->op.start, step->op.pages << 12, false);
    case TS_RANGE_STEP_IPAS2E1:
        return ts_inval_tlbi_ipas2e1(vmid, step->op.start, false, 0);
    case TS_RANGE_STEP_VMALLE1:
        return ts_inval_tlbi_vmalle1(vmid);
    default:
        TS_ASSERT(step->kind == TS_RANGE_STEP_VMALLS12E1);
        return ts_inval_tlbi_vmalls12e1(vmid);
    }
}

void ts_kvm_tlb_flush_vmid_range(struct ts_task *self, const struct ts_vm *vm, uint64_t start,
                                 uint64_t length)
{
    const struct ts_range_format plain = {.granule = TS_GRANULE_4K};
    struct ts_range_vmid_flush flush;
    struct ts_range_step step;
    uint16_t vmid = vmid_of(self, vm);
    bool last = false;
    TS_ASSERT(start % 4096 == 0 && length % 4096 == 0);
    ts_range_vmid_begin(&flush, host_of(self)->w.range_split, &plain, start, length >> 12);
    while (ts_range_vmid_next(&flush, &step)) {
        if (step.kind == TS_RANGE_STEP_DSB_ISHST) {
            dsb_ishst(self);
            enter_vmid_context(self);
            last = false;
        } else if (step.kind == TS_RANGE_STEP_DSB_ISH) {
            if (!last) {
                ts_host_dsb_ish(self);
                continue;
            }
            sync_hyp(self);
            exit_vmid_context(self);
        } else {
            struct ts_tlb_inval inval = step_inval(&step, vmid);
            ts_host_tlbi(self, &inval);
            last = step.kind == TS_RANGE_STEP_VMALLE1 || step.kind == TS_RANGE_STEP_VMALLS12E1;
        }
    }
}

void ts_kvm_flush_vm_context(struct ts_task *self)
{
    /* vmid.c flush_context calls it under cpu_vmid_lock, interrupts off. */
    ts_irq_disable(self);
    dsb_ishst(self);
    tlbi_sync(self, ts_inval_tlbi_alle1());
    ts_irq_enable(self);
}

/* --- both --- */

void ts_kvm_flush_remote_tlbs(struct ts_task *self, struct ts_vm *vm)
{
    struct ts_hypervisor *h = host_of(self);
    ts_time wait_ps = 0;
    h->stats.remote_tlb_flush_requests++;
    if (h->w.arch == TS_ARCH_ARM64) {
        ts_kvm_tlb_flush_vmid(self, vm);
        h->stats.remote_tlb_flush++;
    } else {
        h->stats.remote_tlb_flush +=
            ts_vcpus_request(self, vm, TS_REQUEST_TLB_FLUSH, NULL, NULL, &wait_ps);
    }
}

void ts_kvm_flush_remote_tlbs_range(struct ts_task *self, struct ts_vm *vm, uint64_t start,
                                    uint64_t length)
{
    if (host_of(self)->w.arch == TS_ARCH_ARM64)
        ts_kvm_tlb_flush_vmid_range(self, vm, start, length);
    else
        ts_kvm_flush_remote_tlbs(self, vm);
}

/* --- what a flush is for --- */

static const struct ts_stage2_watch *watch_of(const struct ts_task *self, const struct ts_vm *vm)
{
    const struct ts_hypervisor *h = host_of(self);
    TS_ASSERT(vm->host == h && vm->number < h->w.nvms);
    return h->w.watch;
}

uint32_t ts_host_stage2_window_open(struct ts_task *self, const struct ts_vm *vm, uint64_t start,
                                    uint64_t end)
{
    const struct ts_stage2_watch *w = watch_of(self, vm);
    TS_ASSERT(start < end);
    return w ? w->open(w->user, vm->number, start, end) : 0;
}

void ts_host_stage2_window_close(struct ts_task *self, const struct ts_vm *vm, uint32_t window)
{
    const struct ts_stage2_watch *w = watch_of(self, vm);
    if (w)
        w->close(w->user, vm->number, window);
}

void ts_host_stage2_make(struct ts_task *self, const struct ts_vm *vm, uint64_t start, uint64_t end,
                         uint64_t pa)
{
    const struct ts_stage2_watch *w = watch_of(self, vm);
    TS_ASSERT(vm->arch == TS_ARCH_ARM64);
    if (w)
        w->make(w->user, vm->number, start, end, pa);
}
