/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a machine as a whole: tables, defaults, and what can go with what. */
#include "models/machine/machine_private.h"

#define OFF(f) offsetof(struct ts_run_params, f)

static const char *const queues[] = {"wheel", "heap", NULL};

static const struct ts_param run_rows[] = {
    {"vms", TS_PARAM_COUNT, OFF(vms), 1, 1, TS_CPU_MAX, NULL,
     "virtual machines, each with its own copy of "
     "the workload; 1 on bare metal",
     "setting", TS_CONF_CHOICE},
    {"vcpus", TS_PARAM_COUNT, OFF(vcpus), 4, 1, TS_CPU_MAX, NULL,
     "vCPUs of each VM; bare metal has the machine's pCPUs instead", "setting", TS_CONF_CHOICE},
    {"oracle", TS_PARAM_BOOL, OFF(oracle), 0, 0, 1, NULL,
     "check every TLB hit against the page tables", "setting", TS_CONF_CHOICE},
    {"queue", TS_PARAM_ENUM, OFF(queue), TS_QUEUE_WHEEL, 0, 1, queues,
     "event queue implementation; results do not depend on it", "setting", TS_CONF_CHOICE},
    {"warmup", TS_PARAM_TIME, OFF(warmup_ps), 0, 0, 1000000 * TS_S, NULL,
     "simulated time before the first record that counts for record_rate", "setting",
     TS_CONF_CHOICE},
    {"window", TS_PARAM_TIME, OFF(window_ps), 0, 0, 1000000 * TS_S, NULL,
     "simulated time after run.warmup in which records count, its end included; then the threads "
     "end, each with the operation that it is at. 0: they run to the end of their streams",
     "setting", TS_CONF_CHOICE},
    {"limit", TS_PARAM_TIME, OFF(limit_ps), 1000 * TS_S, TS_US, 1000000 * TS_S, NULL,
     "simulated time after which the run is given up (exit 4)", "setting", TS_CONF_CHOICE},
    {"progress", TS_PARAM_TIME, OFF(progress_ps), 20 * TS_S, 0, 1000000 * TS_S, NULL,
     "watchdog: no operation finished for so long is a finding; 0: off",
     "as the kernel's soft lockup detector, watchdog_thresh 10 s, doubled", TS_CONF_CHOICE},
    {"fiber_stack", TS_PARAM_BYTES, OFF(fiber_stack_bytes), 65536, 16384, 1u << 24, NULL,
     "stack of each simulated task", "setting", TS_CONF_CHOICE},
};
const struct ts_param_table ts_run_param_table = {"run", run_rows, TS_ARRAY_LEN(run_rows)};

#define SLOT(t, f)                                                                                 \
    {                                                                                              \
        &(t), offsetof(struct ts_machine_config, f)                                                \
    }
const struct ts_machine_param_slot ts_machine_params[] = {
    SLOT(ts_topology_param_table, topology),
    SLOT(ts_interconnect_param_table, interconnect),
    SLOT(ts_line_param_table, line),
    SLOT(ts_interrupt_param_table, interrupt),
    SLOT(ts_dvm_param_table, dvm),
    SLOT(ts_rar_param_table, rar),
    SLOT(ts_mmu_param_table, mmu),
    SLOT(ts_cache_param_table, cache),
    SLOT(ts_host_sched_param_table, host_sched),
    SLOT(ts_guest_sched_param_table, guest_sched),
    SLOT(ts_hypervisor_param_table, hypervisor),
    SLOT(ts_guest_param_table, guest),
    SLOT(ts_nt_param_table, nt),
    SLOT(ts_run_param_table, run),
};
const size_t ts_machine_params_count = TS_ARRAY_LEN(ts_machine_params);

const struct ts_version_table *const ts_machine_versions[] = {&ts_guest_versions, &ts_kvm_versions};
const size_t ts_machine_versions_count = TS_ARRAY_LEN(ts_machine_versions);

void ts_machine_config_defaults(struct ts_machine_config *config)
{
    *config = (struct ts_machine_config){0};
    for (size_t i = 0; i < ts_machine_params_count; i++)
        ts_param_defaults(ts_machine_params[i].table, (char *)config + ts_machine_params[i].offset);
}

uint32_t ts_machine_vcpus(const struct ts_machine_config *c)
{
    const struct ts_topology_params *t = &c->topology;
    if (ts_machine_is_bare(c))
        return (uint32_t)(t->sockets * t->cores_per_socket * t->threads_per_core);
    return (uint32_t)c->run.vcpus;
}

bool ts_machine_has_dvm(const struct ts_machine_config *c)
{
    return c->topology.arch == TS_ARCH_ARM64 || c->dvm.invlpgb;
}

static enum ts_status check_window(const struct ts_run_params *run, struct ts_error *err)
{
    if (run->window_ps && run->warmup_ps + run->window_ps >= run->limit_ps)
        return ts_error_set(err, TS_ERR_USER,
                            "run.window ends at %llu ps, after run.warmup of %llu ps; run.limit "
                            "gives the run up at %llu ps",
                            (unsigned long long)(run->warmup_ps + run->window_ps),
                            (unsigned long long)run->warmup_ps, (unsigned long long)run->limit_ps);
    return TS_OK;
}

static enum ts_status cannot(struct ts_error *err, const char *mechanism, const char *why)
{
    return ts_error_set(err, TS_ERR_USER, "mechanism '%s' cannot run here: %s", mechanism, why);
}

static enum ts_status check_needs(const struct ts_machine_config *c, const struct ts_flush_ops *m,
                                  struct ts_error *err)
{
    uint32_t needs = m->needs;
    if ((needs & TS_NEEDS_X86) && c->topology.arch != TS_ARCH_X86)
        return cannot(err, m->name, "it is an x86 mechanism (topology.arch is arm64)");
    if ((needs & TS_NEEDS_ARM64) && c->topology.arch != TS_ARCH_ARM64)
        return cannot(err, m->name, "it is an arm64 mechanism (topology.arch is x86)");
    if ((needs & TS_NEEDS_VM) && ts_machine_is_bare(c))
        return cannot(err, m->name, "it needs a hypervisor (hypervisor.kind is none: bare metal)");
    if ((needs & TS_NEEDS_PV_TLB_FLUSH) && !c->hypervisor.pv_tlb_flush)
        return cannot(err, m->name, "the hypervisor does not offer hypervisor.pv_tlb_flush");
    if (((needs & TS_NEEDS_PV_TLB_FLUSH) || (m->offers & TS_OFFERS_PV_SCHED_YIELD)) &&
        c->hypervisor.realtime_hint)
        return cannot(err, m->name,
                      "a guest that is told of hypervisor.realtime_hint does not use it");
    if ((needs & TS_NEEDS_HV_FLUSH) && c->hypervisor.hv_flush == TS_HV_OFF)
        return cannot(err, m->name,
                      "the hypervisor does not offer hypervisor.hv_flush (it is off)");
    if ((needs & TS_NEEDS_TLBIRANGE) && !c->guest.tlbirange)
        return cannot(err, m->name, "the CPUs have no FEAT_TLBIRANGE (guest.tlbirange is off)");
    if ((needs & TS_NEEDS_BARE_METAL) && !ts_machine_is_bare(c))
        return cannot(err, m->name,
                      "no hypervisor offers it to guests (hypervisor.kind is not none)");
    if ((needs & TS_NEEDS_INVLPGB) && !c->dvm.invlpgb)
        return cannot(err, m->name, "the CPUs have no INVLPGB (dvm.invlpgb is off)");
    if ((needs & TS_NEEDS_VMID_FILTER) && !c->dvm.vmid_filter)
        return cannot(err, m->name,
                      "the interconnect does not filter by VM (dvm.vmid_filter is off)");
    if (m->offers && c->hypervisor.kind == TS_HYP_XEN)
        return cannot(err, m->name, "what it is about is KVM's (hypervisor.kind is xen)");
    if ((needs & TS_NEEDS_XEN) && c->hypervisor.kind != TS_HYP_XEN)
        return cannot(err, m->name, "its host must be Xen (hypervisor.kind is not xen)");
    if ((needs & TS_NEEDS_RAR) && !c->rar.present)
        return cannot(err, m->name, "the CPUs have no Remote Action Requests (rar.present is off)");
    return TS_OK;
}

/* All that constructing the hardware would refuse. */
static enum ts_status check_hardware(const struct ts_machine_config *c, struct ts_error *err)
{
    const struct ts_topology_params *t = &c->topology;
    enum ts_status s = ts_interconnect_check_params(&c->interconnect, t, err);
    if (s == TS_OK)
        s = ts_line_check_params(&c->line, err);
    if (s == TS_OK && ts_machine_has_dvm(c))
        s = ts_dvm_check(&c->dvm, t, err);
    if (s == TS_OK)
        s = ts_mmu_check(&c->mmu, (uint32_t)t->threads_per_core, err);
    if (s == TS_OK && c->cache.walks)
        s = ts_cache_check(&c->cache, err);
    return s;
}

/* What the interrupt controllers of host and guests can address and do. */
static enum ts_status check_interrupts(const struct ts_machine_config *c, struct ts_error *err)
{
    const struct ts_interrupt_params *ip = &c->interrupt;
    struct ts_topology t;
    uint32_t highest = 0;
    enum ts_status s = ts_topology_init(&t, &c->topology, err);
    if (s != TS_OK)
        return s;
    for (uint32_t i = 0; i < t.ncpus; i++)
        highest = t.apic_id[i] > highest ? t.apic_id[i] : highest;
    s = ts_interrupt_check_mode((enum ts_intr_mode)ip->mode, t.ncpus, highest, "interrupt.mode",
                                err);
    ts_topology_fini(&t);
    if (s != TS_OK || ts_machine_is_bare(c))
        return s;
    return ts_hypervisor_check(&c->hypervisor, (enum ts_arch)c->topology.arch,
                               (enum ts_intr_mode)ip->guest_mode, ts_machine_vcpus(c), err);
}

/* Do the ticks of host and guest leave time for work? A host's tick takes a vCPU out of guest mode;
 * a guest's is its timer's interrupt, which exits, too (models/hypervisor/exit.c). */
static enum ts_status check_ticks(const struct ts_machine_config *c, struct ts_error *err)
{
    const struct ts_hypervisor_params *h = &c->hypervisor;
    bool bare = ts_machine_is_bare(c);
    uint64_t trip = bare ? 0 : h->exit_cycles + h->entry_cycles;
    uint64_t hz = c->topology.core_hz, taken_ppm = 0;
    struct ts_tick_cost host = {.tick_cycles = trip + h->host_irq_cycles,
                                .switch_cycles = h->vcpu_put_load_cycles +
                                                 (h->flush_on_migration ? h->invept_cycles : 0) +
                                                 (h->ibpb_on_switch ? h->ibpb_cycles : 0)};
    struct ts_tick_cost guest = {.tick_cycles =
                                     trip + c->guest.irq_entry_cycles + c->guest.irq_exit_cycles,
                                 .switch_cycles = c->guest.switch_mm_cycles};
    enum ts_status s = TS_OK;
    if (!bare)
        s = ts_sched_check(&c->host_sched, &ts_host_sched_param_table, hz, host, &taken_ppm, err);
    if (s == TS_OK)
        s = ts_sched_check(&c->guest_sched, &ts_guest_sched_param_table, hz, guest, &taken_ppm,
                           err);
    return s;
}

enum ts_status ts_machine_check(const struct ts_machine_config *config,
                                const struct ts_flush_ops *mechanism, struct ts_error *err)
{
    const struct ts_topology_params *t = &config->topology;
    bool gic = config->interrupt.mode == TS_INTR_GIC_SGI;
    uint64_t pcpus = t->sockets * t->cores_per_socket * t->threads_per_core;
    uint64_t vcpus = ts_machine_vcpus(config);
    if (pcpus > TS_CPU_MAX)
        return ts_error_set(err, TS_ERR_USER, "topology has %llu CPUs, more than %u",
                            (unsigned long long)pcpus, TS_CPU_MAX);
    if (ts_machine_is_bare(config) && config->run.vms != 1)
        return ts_error_set(err, TS_ERR_USER,
                            "run.vms is %llu, but bare metal (hypervisor.kind: none) runs one "
                            "operating system",
                            (unsigned long long)config->run.vms);
    if (vcpus * config->run.vms > TS_VCPUS_MAX)
        return ts_error_set(err, TS_ERR_USER, TS_VCPUS_MAX_TEXT);
    if (gic != (t->arch == TS_ARCH_ARM64) ||
        (config->interrupt.guest_mode == TS_INTR_GIC_SGI) != (t->arch == TS_ARCH_ARM64))
        return ts_error_set(err, TS_ERR_USER,
                            "interrupt.mode and interrupt.guest_mode must be gic_sgi on arm64 and "
                            "an x2apic mode on x86 (topology.arch)");
    if (config->guest.nr_dyn_asids > TS_ASIDS_MAX)
        return ts_error_set(err, TS_ERR_USER, "guest.nr_dyn_asids is more than %d", TS_ASIDS_MAX);
    enum ts_status s = check_interrupts(config, err);
    if (s == TS_OK)
        s = check_hardware(config, err);
    if (s == TS_OK)
        s = check_ticks(config, err);
    if (s == TS_OK)
        s = check_window(&config->run, err);
    if (s == TS_OK)
        s = ts_machine_check_os(config, mechanism, err);
    return s == TS_OK ? check_needs(config, mechanism, err) : s;
}
