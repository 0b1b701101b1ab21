/* SPDX-License-Identifier: Apache-2.0 */
/* What guest and host share of a VM: its CPUs, its stage-2 table, what it is told of its host. */
#include <stdlib.h>

#include "models/machine/machine_private.h"

void ts_machine_common_domain(struct ts_machine *m, struct ts_cpu_domain *d, const char *name,
                              uint32_t group, const struct ts_sched_params *sched)
{
    d->name = name;
    d->group = group;
    d->engine = m->engine;
    d->clock = &m->clock;
    d->topology = &m->topology;
    d->lines = m->lines;
    d->stores = ts_line_system_stores(m->lines);
    d->express = ts_interconnect_is_express(m->interconnect);
    d->timeline = &m->timeline;
    d->steps = &m->steps;
    d->sched_params = *sched;
    d->sched = ts_sched_table[sched->policy];
    d->balance = true;
    d->stack_bytes = m->config.run.fiber_stack_bytes;
}

/* Last freed, first reused, as a guest's frames are: a walk that a stale table pointer begins may
 * then go on in another table. */
static uint64_t alloc_table(void *user)
{
    struct ts_machine *m = user;
    if (m->nfree_tables)
        return m->free_tables[--m->nfree_tables];
    return m->next_table_frame += 4096;
}

static uint64_t alloc_tables(void *user, uint64_t count)
{
    struct ts_machine *m = user;
    uint64_t first = m->next_table_frame + 4096;
    m->next_table_frame += count * 4096;
    return first;
}

static void free_table(void *user, uint64_t address)
{
    struct ts_machine *m = user;
    if (m->closing)
        return;
    if (m->nfree_tables == m->free_tables_room) {
        size_t room = m->free_tables_room ? 2 * m->free_tables_room : 256;
        uint64_t *more = realloc(m->free_tables, room * sizeof(*more));
        if (!more)
            return; /* it is not used again */
        m->free_tables = more;
        m->free_tables_room = room;
    }
    m->free_tables[m->nfree_tables++] = address;
}

static void no_table(void *user)
{
    const struct ts_machine *m = user;
    ts_engine_fail(m->engine, TS_ERR_ENVIRONMENT, "out of memory for stage-2 page tables");
}

/* --- VMs --- */

/* The features of its host that a VM is told of. */
static void offer(struct ts_vm *vm, const struct ts_machine_config *c,
                  const struct ts_flush_ops *flush)
{
    const struct ts_hypervisor_params *h = &c->hypervisor;
    vm->local_tlbi_broadcasts = vm->arch == TS_ARCH_ARM64 && h->hcr_fb;
    vm->pv_ipi = (enum ts_pv_ipi)h->pv_ipi;
    if ((flush->offers & TS_OFFERS_PV_IPI) && vm->pv_ipi == TS_PV_IPI_OFF)
        vm->pv_ipi = TS_PV_IPI_SLIDING;
    vm->hv_ipi = h->hv_ipi != 0;
    vm->steal_time = h->pv_tlb_flush != 0;
    vm->realtime_hint = h->realtime_hint != 0;
    vm->pv_sched_yield = !vm->realtime_hint &&
                         (h->pv_sched_yield || (flush->offers & TS_OFFERS_PV_SCHED_YIELD) != 0);
    vm->pv_unhalt = h->pv_unhalt && h->kind == TS_HYP_KVM && h->hv_flush != TS_HV_HYPERV;
    vm->hv_xmm_input = h->hv_flush == TS_HV_FIFO16 || h->hv_flush == TS_HV_HYPERV;
    vm->hv_spin_retries = h->hv_flush == TS_HV_OFF ? 0 : (uint32_t)h->hv_spinlocks;
    vm->ex_processor_masks = h->hv_flush != TS_HV_OFF && h->hv_ex_masks;
    vm->resident_domain = h->dvm_domain || (flush->offers & TS_OFFERS_RESIDENT_DOMAIN) != 0;
    vm->xen = h->kind == TS_HYP_XEN ? (enum ts_xen_guest)(h->xen_guest + 1) : TS_XEN_NONE;
}

/* What guest and host share. c: the VM's own. */
enum ts_status ts_machine_create_vm(struct ts_machine *m, uint32_t v,
                                    const struct ts_machine_config *c,
                                    const struct ts_flush_ops *flush, struct ts_error *err)
{
    struct ts_vm *vm = &m->vms[v];
    bool bare = ts_machine_is_bare(c);
    enum ts_status s = TS_OK;
    m->vm_list[v] = vm;
    vm->number = v;
    vm->bare_metal = bare;
    vm->arch = (enum ts_arch)c->topology.arch;
    vm->nvcpus = ts_machine_vcpus(c);
    vm->first_vcpu = v ? vm[-1].first_vcpu + vm[-1].nvcpus : 0;
    vm->domain = bare ? &m->host : &m->domains[v];
    vm->intr_mode = (enum ts_intr_mode)(bare ? c->interrupt.mode : c->interrupt.guest_mode);
    /* A vCPU's APIC ID is its number. */
    vm->apic_ids = bare ? m->topology.apic_id : NULL;
    vm->steal = calloc(vm->nvcpus, sizeof(*vm->steal));
    if (!vm->steal)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u vCPUs", vm->nvcpus);
    if (bare)
        return TS_OK;
    vm->vmid_base = (uint16_t)(1 + (vm->arch == TS_ARCH_X86 ? vm->first_vcpu : v));
    if (vm->arch == TS_ARCH_X86 && c->hypervisor.tlb_tags == TS_TAGS_VPID_EPT)
        vm->ep4ta = (uint16_t)(1 + v);
    offer(vm, c, flush);
    if (c->hypervisor.hv_flush != TS_HV_OFF || vm->xen) {
        vm->input = calloc(vm->nvcpus, sizeof(*vm->input));
        if (!vm->input)
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u input pages",
                                vm->nvcpus);
    }
    struct ts_pt_frames frames = {.alloc_table = alloc_table,
                                  .free_table = free_table,
                                  .alloc_run = alloc_tables,
                                  .no_memory = no_table,
                                  .user = m};
    s = ts_pgtable_create(&vm->stage2, TS_GRANULE_4K, (uint32_t)c->mmu.levels_stage2, &frames, err);
    if (s != TS_OK)
        return s;
    ts_machine_common_domain(m, vm->domain, "guest", v + 1, &c->guest_sched);
    vm->domain->owner = vm;
    return ts_cpu_domain_init(vm->domain, vm->nvcpus, &ts_vcpu_ops, err);
}

void ts_machine_destroy_vm(struct ts_vm *vm)
{
    if (!vm->bare_metal && vm->domain)
        ts_cpu_domain_fini(vm->domain);
    if (vm->stage2)
        ts_pgtable_destroy(vm->stage2);
    free(vm->steal);
    free(vm->input);
}

uint32_t ts_machine_vm_vcpus(const struct ts_machine *m, uint32_t v)
{
    TS_ASSERT(v < m->nguests);
    return m->vms[v].nvcpus;
}

enum ts_vcpu_place ts_machine_vcpu_place(const struct ts_machine *m, uint32_t v, uint32_t vcpu)
{
    TS_ASSERT(v < m->nguests && vcpu < m->vms[v].nvcpus);
    const struct ts_cpu *c = &m->guests[v].domain->cpus[vcpu];
    if (c->is_virtual)
        return c->host_task->clock.place;
    return c->current && !c->current->is_idle ? TS_VCPU_RUNNING : TS_VCPU_HALTED;
}
