/* SPDX-License-Identifier: Apache-2.0 */
/* Construction of the host side: one host task a vCPU. */
#include <stdio.h>
#include <stdlib.h>

#include "models/cpu/group.h"
#include "models/hypervisor/host_call.h"
#include "models/hypervisor/host_task.h"
#include "models/hypervisor/stage2.h"
#include "models/hypervisor/vcpu_stage.h"

/* AVIC_MAX_PHYSICAL_ID and X2AVIC_MAX_PHYSICAL_ID, asm/svm.h. */
enum { AVIC_LAST_ID = 0xfe, X2AVIC_LAST_ID = 0x1ff };

static void on_poll_over(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_vcpu *v = TS_CONTAINER_OF(event, struct ts_vcpu, poll_event);
    (void)engine;
    v->poll_over = true;
    ts_task_spin_signal(&v->task);
}

static uint32_t first_pcpu(const struct ts_hypervisor *h, const struct ts_vcpu *v)
{
    const struct ts_vm_placement *p = h->w.placements ? &h->w.placements[v->vm->number] : NULL;
    uint32_t n, pcpu;
    if (!p || !p->pcpus)
        return v->number % h->w.host->ncpus;
    n = (p->first + v->id) % ts_cpumask_count(p->pcpus);
    pcpu = ts_cpumask_next(p->pcpus, 0);
    while (n-- > 0)
        pcpu = ts_cpumask_next(p->pcpus, pcpu + 1);
    return pcpu;
}

/* sched_setaffinity of a vCPU's thread, as a manager of VMs does (vcpupin). */
static void place_vcpu(struct ts_hypervisor *h, struct ts_vcpu *v)
{
    const struct ts_vm_placement *p = h->w.placements ? &h->w.placements[v->vm->number] : NULL;
    v->ndst = first_pcpu(h, v);
    v->task.cpu = &h->w.host->cpus[v->ndst];
    v->task.allowed = p ? p->pcpus : NULL;
    if (p && h->w.host->sched->task_weights)
        v->task.se.weight = p->shares * (TS_NICE_0_LOAD / TS_SHARES_DEFAULT);
    if (h->params.pin || (p && p->pin))
        v->task.pinned = v->task.cpu;
}

static void init_vcpu(struct ts_hypervisor *h, struct ts_vm *vm, uint32_t i)
{
    struct ts_vcpu *v = ts_vm_vcpu(vm, i);
    v->hyp = h;
    v->number = vm->first_vcpu + i;
    v->vm = vm;
    v->id = i;
    v->cpu = &vm->domain->cpus[i];
    v->last_pcpu = UINT32_MAX;
    v->xen_pcpu = UINT32_MAX;
    v->accel = ts_hypervisor_accel(&h->params, h->w.arch, vm->intr_mode, vm->nvcpus);
    (void)snprintf(v->name, sizeof(v->name), "vm%u/vcpu%u", vm->number, i);
    ts_task_init_vcpu(&v->task, h->w.host, v->cpu, v->name);
    v->task.se.group = vm->number;
    place_vcpu(h, v);
    ts_event_init(&v->poll_event, on_poll_over);
    ts_line_init(h->w.lines, &v->hv_line, (UINT64_C(1) << 60) + h->line_ids++,
                 h->w.topology->core[v->task.cpu->id]);
    ts_line_init(h->w.lines, &v->request_line, (UINT64_C(7) << 58) + v->number,
                 h->w.topology->core[v->task.cpu->id]);
}

enum ts_accel ts_hypervisor_accel(const struct ts_hypervisor_params *params, enum ts_arch arch,
                                  enum ts_intr_mode guest_mode, uint32_t vcpus)
{
    if (arch == TS_ARCH_ARM64)
        return params->ipiv ? TS_ACCEL_GICV4 : params->apicv ? TS_ACCEL_APICV : TS_ACCEL_NONE;
    /* vmx.c hardware_setup: no IPI virtualisation without APICv. */
    if (params->apicv)
        return params->ipiv ? TS_ACCEL_IPIV : TS_ACCEL_APICV;
    /* Beyond the last ID AVIC is inhibited for the VM; 6.12 refuses to make the vCPU instead
     * (avic_init_backing_page). */
    if (params->avic == TS_AVIC_OFF ||
        vcpus - 1 > (params->avic == TS_AVIC_X2APIC ? X2AVIC_LAST_ID : AVIC_LAST_ID))
        return TS_ACCEL_NONE;
    return params->avic == TS_AVIC_X2APIC || ts_intr_is_xapic(guest_mode) ? TS_ACCEL_AVIC
                                                                          : TS_ACCEL_AVIC_HYBRID;
}

/* What Xen does not have is KVM's or Hyper-V's. */
static enum ts_status check_xen(const struct ts_hypervisor_params *p, enum ts_arch arch,
                                struct ts_error *err)
{
    const struct {
        bool is_set;
        const char *name;
    } others[] = {
        {p->pv_tlb_flush != 0, "pv_tlb_flush"},
        {p->pv_sched_yield != 0, "pv_sched_yield"},
        {p->pv_ipi != 0, "pv_ipi"},
        {p->hv_flush != TS_HV_OFF, "hv_flush"},
        {p->hv_ipi != 0, "hv_ipi"},
        {p->halt_poll_ps != 0, "halt_poll"},
        {p->flush_on_migration != 0, "flush_on_migration"},
    };
    if (arch != TS_ARCH_X86)
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.kind xen is of x86 (topology.arch is arm64)");
    for (size_t i = 0; i < TS_ARRAY_LEN(others); i++) {
        if (others[i].is_set)
            return ts_error_set(err, TS_ERR_USER,
                                "hypervisor.%s is not Xen's: it must be off or 0 with "
                                "hypervisor.kind xen",
                                others[i].name);
    }
    if (!p->prefault)
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.prefault: faults of stage 2 are KVM's; it must be true "
                            "with hypervisor.kind xen");
    if (p->kvm_version != TS_KVM_VERSION_NONE)
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.kvm is not Xen's: it must be none with hypervisor.kind "
                            "xen");
    return TS_OK;
}

enum ts_status ts_hypervisor_check(const struct ts_hypervisor_params *params, enum ts_arch arch,
                                   enum ts_intr_mode guest_mode, uint32_t vcpus,
                                   struct ts_error *err)
{
    if (params->kind == TS_HYP_NONE)
        return TS_OK;
    if (params->kind == TS_HYP_XEN && check_xen(params, arch, err) != TS_OK)
        return TS_ERR_USER;
    if (params->memory % (UINT64_C(1) << 30))
        return ts_error_set(err, TS_ERR_USER, "hypervisor.memory is whole GiB");
    if (arch != TS_ARCH_X86 && (params->avic || params->pv_eoi || params->pv_ipi || params->hv_ipi))
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.avic, hypervisor.pv_eoi, hypervisor.pv_ipi and "
                            "hypervisor.hv_ipi are of x86 (topology.arch is arm64)");
    if (params->hv_ipi && (params->hv_flush == TS_HV_OFF || params->hv_flush == TS_HV_4_18))
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.hv_ipi needs a host that has Hyper-V's IPI hypercalls: "
                            "hypervisor.hv_flush fifo16 or hyperv");
    if (params->hv_ipi && params->pv_ipi)
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.hv_ipi is for a guest that takes its host for Hyper-V, "
                            "hypervisor.pv_ipi for one that takes it for KVM: set one to false or "
                            "off");
    if (params->avic && (params->apicv || params->ipiv))
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.avic is AMD's, hypervisor.apicv and hypervisor.ipiv are "
                            "Intel's: set these to false");
    if (params->avic && params->tlb_tags != TS_TAGS_SVM_ASID)
        return ts_error_set(err, TS_ERR_USER,
                            "hypervisor.avic is AMD's: it needs hypervisor.tlb_tags svm_asid");
    return ts_interrupt_check_mode(guest_mode, vcpus, vcpus - 1, "interrupt.guest_mode", err);
}

/* A control group a VM, as libvirt makes them. */
static enum ts_status init_groups(struct ts_hypervisor *h, struct ts_error *err)
{
    uint64_t *shares;
    enum ts_status s;
    if (h->w.host->sched_params.group == TS_GROUP_NONE)
        return TS_OK;
    shares = calloc(h->w.nvms, sizeof(*shares));
    if (!shares)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u groups", h->w.nvms);
    for (uint32_t i = 0; i < h->w.nvms; i++)
        shares[i] = h->w.placements ? h->w.placements[i].shares : TS_SHARES_DEFAULT;
    s = ts_groups_init(h->w.host, h->w.nvms, shares, err);
    free(shares);
    return s;
}

static enum ts_status init_stage2(struct ts_hypervisor *h, struct ts_error *err)
{
    h->stage2 = calloc(h->w.nvms, sizeof(*h->stage2));
    h->stages = calloc(h->w.nvms, sizeof(*h->stages));
    if (!h->stage2 || !h->stages)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u VMs", h->w.nvms);
    for (uint32_t i = 0; i < h->w.nvms; i++)
        ts_stage2_init(&h->stage2[i], h, h->w.vms[i],
                       h->w.topology->core[h->w.vms[i]->first_vcpu % h->w.host->ncpus]);
    if (h->w.arch != TS_ARCH_ARM64)
        return TS_OK;
    ts_line_init(h->w.lines, &h->vmids.lock.line, UINT64_C(10) << 58, h->w.topology->core[0]);
    return ts_vmids_init(&h->vmids, (uint32_t)h->params.vmid_bits, h->w.vms, h->w.nvms,
                         h->w.host->ncpus, err);
}

enum ts_status ts_hypervisor_init(struct ts_hypervisor *h, const struct ts_hypervisor_wiring *w,
                                  struct ts_error *err)
{
    uint32_t npcpus = w->host->ncpus;
    enum ts_status s = TS_OK;
    h->w = *w;
    h->params = *w->params;
    h->interrupt_params = *w->interrupt_params;
    h->nvcpus = 0;
    for (uint32_t i = 0; i < w->nvms && s == TS_OK; i++) {
        struct ts_vm *vm = w->vms[i];
        TS_ASSERT(!vm->bare_metal && vm->os && vm->first_vcpu == h->nvcpus);
        h->nvcpus += vm->nvcpus;
        vm->pv = &ts_kvm_pv_ops;
        vm->host = h;
        s = ts_hypervisor_check(&h->params, w->arch, vm->intr_mode, vm->nvcpus, err);
    }
    if (s != TS_OK)
        return s;
    if (h->params.kind == TS_HYP_XEN && !ts_xen_init(h))
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for Xen");
    h->makes_requests = h->params.hv_flush != TS_HV_OFF;
    h->vcpus = calloc(h->nvcpus, sizeof(*h->vcpus));
    h->pcpus = calloc(npcpus, sizeof(*h->pcpus));
    h->last_vcpu_ran = malloc(sizeof(*h->last_vcpu_ran) * h->w.nvms * npcpus);
    if (!h->vcpus || !h->pcpus || !h->last_vcpu_ran || !ts_host_calls_init(h))
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u vCPUs", h->nvcpus);
    for (uint32_t i = 0; i < h->w.nvms * npcpus; i++)
        h->last_vcpu_ran[i] = UINT32_MAX;
    for (uint32_t i = 0; i < npcpus; i++)
        w->host->cpus[i].rq.groups = w->nvms;
    for (uint32_t i = 0; i < h->w.nvms; i++) {
        for (uint32_t k = 0; k < w->vms[i]->nvcpus; k++)
            init_vcpu(h, w->vms[i], k);
    }
    s = init_stage2(h, err);
    return s == TS_OK ? init_groups(h, err) : s;
}

void ts_hypervisor_start(struct ts_hypervisor *h)
{
    TS_ASSERT(h->vcpus && h->nvcpus);
    for (uint32_t i = 0; i < h->nvcpus; i++)
        ts_task_wake(NULL, &h->vcpus[i].task);
    ts_host_tasks_start(h);
}

void ts_hypervisor_fini(struct ts_hypervisor *h)
{
    for (uint32_t i = 0; h->vcpus && i < h->nvcpus; i++) {
        ts_engine_cancel(h->w.engine, &h->vcpus[i].poll_event);
        ts_task_fini(&h->vcpus[i].task);
    }
    ts_host_tasks_fini(h);
    if (h->pcpus)
        ts_host_calls_fini(h);
    ts_xen_fini(h);
    for (uint32_t i = 0; h->stage2 && i < h->w.nvms; i++)
        ts_stage2_fini(&h->stage2[i]);
    free(h->stage2);
    free(h->stages);
    ts_vmids_fini(&h->vmids);
    free(h->vcpus);
    free(h->pcpus);
    free(h->last_vcpu_ran);
    h->vcpus = NULL;
}
