/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a machine together and taking it apart. */
#include "models/machine.h"

#include <stdlib.h>
#include <string.h>

#include "models/machine_private.h"

enum { EVENTS = 1 << 16 };

/* --- construction, bottom up --- */

static void on_interrupt_bare(void *user, uint32_t target, uint32_t vector, uint64_t cookie)
{
    struct ts_machine *m = user;
    (void)cookie;
    ts_cpu_raise(&m->host.cpus[target], (enum ts_vector)vector);
}

static void on_interrupt(void *user, uint32_t target, uint32_t vector, uint64_t cookie)
{
    struct ts_machine *m = user;
    ts_hypervisor_interrupt(&m->hypervisor, target, vector, cookie);
}

static uint64_t apply_dvm(void *user, uint32_t cpu, const struct ts_tlb_inval *inval)
{
    struct ts_machine *m = user;
    return ts_mmu_invalidate(m->mmus[cpu], inval,
                             ts_clock_cycle_at(&m->clock, ts_engine_now(m->engine)));
}

static uint64_t fetch_cached(void *user, uint32_t core, uint64_t pa)
{
    return ts_cache_fetch(user, core, pa);
}

/* Siblings find thread 0 of their core made: first threads come first in the order of pCPUs. */
static enum ts_status create_mmus(struct ts_machine *m, struct ts_error *err)
{
    const struct ts_machine_config *c = &m->config;
    const struct ts_topology *t = &m->topology;
    enum ts_status s = TS_OK;
    if (c->cache.walks)
        s = ts_cache_create(&m->cache, t, 0, &c->cache, err);
    m->mmus = calloc(t->ncpus, sizeof(struct ts_mmu *));
    if (!m->mmus)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u MMUs", t->ncpus);
    for (uint32_t i = 0; i < t->ncpus && s == TS_OK; i++) {
        struct ts_mmu_memory memory = {fetch_cached, m->cache, t->core[i]};
        struct ts_mmu_wiring wiring = {
            .cpu = i,
            .thread = t->thread[i],
            .threads = (uint32_t)t->params.threads_per_core,
            .first = t->thread[i] == 0 ? NULL : m->mmus[t->core[i]],
            .memory = m->cache ? &memory : NULL,
        };
        TS_ASSERT(t->thread[t->core[i]] == 0 && t->core[t->core[i]] == t->core[i]);
        s = ts_mmu_create(&m->mmus[i], &c->mmu, m->seed, &wiring, err);
    }
    return s;
}

static enum ts_status create_hardware(struct ts_machine *m, struct ts_error *err)
{
    const struct ts_machine_config *c = &m->config;
    struct ts_engine_config engine = {.queue = (enum ts_queue_kind)c->run.queue};
    enum ts_status s = ts_engine_create(&m->engine, &engine, err);
    if (s == TS_OK)
        s = ts_engine_reserve(m->engine, EVENTS, err);
    if (s == TS_OK)
        s = ts_topology_init(&m->topology, &c->topology, err);
    if (s != TS_OK)
        return s;
    ts_clock_init(&m->clock, c->topology.core_hz);
    s = ts_interconnect_create(&m->interconnect, m->engine, &m->topology, &c->interconnect, err);
    if (s == TS_OK)
        s = ts_line_system_create(&m->lines, m->engine, &m->topology, m->interconnect, &c->line,
                                  err);
    if (s == TS_OK)
        s = ts_interrupt_create(&m->interrupt, m->engine, &m->topology, m->interconnect,
                                &c->interrupt,
                                ts_machine_is_bare(c) ? on_interrupt_bare : on_interrupt, m, err);
    if (s == TS_OK && c->topology.arch == TS_ARCH_ARM64)
        s = ts_dvm_create(&m->dvm, m->engine, &m->topology, m->interconnect, &c->dvm, apply_dvm, m,
                          err);
    return s == TS_OK ? create_mmus(m, err) : s;
}

static void common_domain(struct ts_machine *m, struct ts_cpu_domain *d, const char *name,
                          uint32_t group, const struct ts_sched_params *sched)
{
    d->name = name;
    d->group = group;
    d->engine = m->engine;
    d->clock = &m->clock;
    d->topology = &m->topology;
    d->lines = m->lines;
    d->timeline = &m->timeline;
    d->sched_params = *sched;
    d->sched = ts_sched_table[sched->policy];
    d->balance = true;
    d->stack_bytes = m->config.run.fiber_stack_bytes;
}

static uint64_t alloc_table(void *user)
{
    struct ts_machine *m = user;
    return m->next_table_frame += 4096;
}

static void free_table(void *user, uint64_t address)
{
    (void)user;
    (void)address;
}

static enum ts_status create_guest(struct ts_machine *m, uint32_t v, struct ts_workload *workload,
                                   struct ts_error *err)
{
    struct ts_guest *g = &m->guests[v];
    const struct ts_machine_config *c = &m->config;
    bool bare = ts_machine_is_bare(c);
    enum ts_status s = TS_OK;
    m->guest_list[v] = g;
    g->number = v;
    g->bare_metal = bare;
    g->arch = (enum ts_arch)c->topology.arch;
    g->engine = m->engine;
    g->topology = &m->topology;
    g->domain = bare ? &m->host : &m->domains[v];
    g->params = c->guest;
    /* As the kernel finds the feature in the ID registers. */
    g->params.ttl = c->guest.ttl && c->mmu.ttl;
    g->lines = m->lines;
    g->interrupt = m->interrupt;
    g->interrupt_params = c->interrupt;
    g->dvm = m->dvm;
    g->mmus = m->mmus;
    g->hypervisor = bare ? NULL : &m->hypervisor;
    if (!bare)
        g->vmid_base = (uint16_t)(g->arch == TS_ARCH_X86 ? 1 + v * ts_machine_vcpus(c) : 1 + v);
    if (!bare && g->arch == TS_ARCH_X86 && c->hypervisor.tlb_tags == TS_TAGS_VPID_EPT)
        g->ep4ta = (uint16_t)(1 + v);
    g->flush = m->mechanism;
    g->flush_params = m->mechanism_params;
    g->workload = workload;
    g->seed = m->seed;
    g->timeline = &m->timeline;
    g->idle_wakeup_ps = c->hypervisor.wakeup_ps;
    g->local_tlbi_broadcasts = !bare && g->arch == TS_ARCH_ARM64 && c->hypervisor.hcr_fb;
    g->host_base = (uint64_t)(v + 1) << 44;
    g->pt_levels = (uint32_t)c->mmu.levels;
    g->backing_shift = 12 + 9 * (uint32_t)c->hypervisor.backing;
    if (!bare) {
        struct ts_pt_frames frames = {
            .alloc_table = alloc_table, .free_table = free_table, .user = m};
        s = ts_pgtable_create(&g->stage2, TS_GRANULE_4K, (uint32_t)c->mmu.levels_stage2, &frames,
                              err);
    }
    if (s == TS_OK && c->run.oracle)
        s = ts_oracle_create(&g->oracle, err);
    if (s == TS_OK && !bare) {
        common_domain(m, g->domain, "guest", v + 1, &c->guest_sched);
        g->domain->owner = g;
        s = ts_cpu_domain_init(g->domain, ts_machine_vcpus(c), &ts_vcpu_ops, err);
    }
    return s == TS_OK ? ts_guest_init(g, err) : s;
}

static enum ts_status create_software(struct ts_machine *m, struct ts_workload *const *workloads,
                                      struct ts_error *err)
{
    const struct ts_machine_config *c = &m->config;
    bool bare = ts_machine_is_bare(c);
    common_domain(m, &m->host, "host", bare ? 1 : 0, bare ? &c->guest_sched : &c->host_sched);
    enum ts_status s = ts_cpu_domain_init(&m->host, m->topology.ncpus,
                                          bare ? &ts_bare_metal_cpu_ops : &ts_host_cpu_ops, err);
    if (s != TS_OK)
        return s;
    m->nguests = (uint32_t)c->run.vms;
    m->guests = calloc(m->nguests, sizeof(*m->guests));
    m->guest_list = calloc(m->nguests, sizeof(struct ts_guest *));
    m->domains = calloc(m->nguests, sizeof(*m->domains));
    if (!m->guests || !m->guest_list || !m->domains)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u VMs", m->nguests);
    m->host.owner = bare ? (void *)&m->guests[0] : (void *)&m->hypervisor;
    m->host.balance = bare || !c->hypervisor.pin;
    for (uint32_t v = 0; v < m->nguests && s == TS_OK; v++)
        s = create_guest(m, v, workloads[v], err);
    if (s != TS_OK || bare)
        return s;
    struct ts_hypervisor *h = &m->hypervisor;
    h->params = c->hypervisor;
    h->host = &m->host;
    h->engine = m->engine;
    h->topology = &m->topology;
    h->lines = m->lines;
    h->interrupt = m->interrupt;
    h->interrupt_params = c->interrupt;
    h->dvm = m->dvm;
    h->arch = (enum ts_arch)c->topology.arch;
    h->mmus = m->mmus;
    h->guests = m->guest_list;
    h->nguests = m->nguests;
    return ts_hypervisor_init(h, err);
}

static void on_drained(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_machine *m = TS_CONTAINER_OF(event, struct ts_machine, drain_event);
    m->done = true;
    ts_engine_stop(engine);
}

static void on_limit(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_machine *m = TS_CONTAINER_OF(event, struct ts_machine, limit_event);
    m->timed_out = true;
    m->done = true;
    ts_engine_stop(engine);
}

static void on_progress(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_machine *m = TS_CONTAINER_OF(event, struct ts_machine, progress_event);
    uint64_t seen = ts_machine_operations(m);
    if (seen == m->progress_seen && m->finished < m->nguests) {
        m->stalled = true;
        m->done = true;
        ts_engine_stop(engine);
        return;
    }
    m->progress_seen = seen;
    ts_engine_schedule(engine, event, ts_engine_now(engine) + m->config.run.progress_ps,
                       TS_PHASE_SAMPLE);
}

/* What is in flight when the last thread ends arrives before the books are closed. */
static void on_guest_finished(struct ts_guest *g, void *user)
{
    struct ts_machine *m = user;
    (void)g;
    if (++m->finished == m->nguests)
        ts_engine_schedule(m->engine, &m->drain_event, ts_engine_now(m->engine) + TS_MS,
                           TS_PHASE_SAMPLE);
}

enum ts_status ts_machine_create(struct ts_machine **out, const struct ts_machine_config *config,
                                 const struct ts_flush_ops *mechanism, const void *mechanism_params,
                                 struct ts_workload *const *workloads, uint64_t seed,
                                 struct ts_error *err)
{
    enum ts_status s = ts_machine_check(config, mechanism, err);
    if (s != TS_OK)
        return s;
    struct ts_machine *m = calloc(1, sizeof(*m));
    if (!m)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a machine");
    m->config = *config;
    m->mechanism = mechanism;
    m->seed = seed;
    /* Stage-2 tables lie in host memory of their own. */
    m->next_table_frame = UINT64_C(1) << 43;
    ts_event_init(&m->drain_event, on_drained);
    ts_event_init(&m->limit_event, on_limit);
    ts_event_init(&m->progress_event, on_progress);
    if (mechanism->params_size) {
        m->mechanism_params = malloc(mechanism->params_size);
        if (!m->mechanism_params) {
            free(m);
            return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a mechanism");
        }
        memcpy(m->mechanism_params, mechanism_params, mechanism->params_size);
    }
    s = create_hardware(m, err);
    if (s == TS_OK)
        s = create_software(m, workloads, err);
    if (s != TS_OK) {
        ts_machine_destroy(m);
        return s;
    }
    *out = m;
    return TS_OK;
}

void ts_machine_destroy(struct ts_machine *m)
{
    for (uint32_t v = 0; m->guests && v < m->nguests; v++) {
        struct ts_guest *g = &m->guests[v];
        if (g->engine)
            ts_guest_threads_fini(g);
    }
    if (m->hypervisor.vcpus)
        ts_hypervisor_fini(&m->hypervisor);
    for (uint32_t v = 0; m->guests && v < m->nguests; v++) {
        struct ts_guest *g = &m->guests[v];
        if (!g->engine)
            continue;
        ts_guest_fini(g);
        if (!g->bare_metal)
            ts_cpu_domain_fini(g->domain);
        if (g->oracle)
            ts_oracle_destroy(g->oracle);
        if (g->stage2)
            ts_pgtable_destroy(g->stage2);
    }
    if (m->host.cpus)
        ts_cpu_domain_fini(&m->host);
    for (uint32_t i = m->topology.ncpus; m->mmus && i-- > 0;) {
        if (m->mmus[i])
            ts_mmu_destroy(m->mmus[i]);
    }
    if (m->cache)
        ts_cache_destroy(m->cache);
    free(m->mmus);
    free(m->guests);
    free(m->guest_list);
    free(m->domains);
    free(m->mechanism_params);
    if (m->dvm)
        ts_dvm_destroy(m->dvm);
    if (m->interrupt)
        ts_interrupt_destroy(m->interrupt);
    if (m->lines)
        ts_line_system_destroy(m->lines);
    if (m->interconnect)
        ts_interconnect_destroy(m->interconnect);
    ts_topology_fini(&m->topology);
    if (m->engine)
        ts_engine_destroy(m->engine);
    free(m);
}

/* --- running --- */

void ts_machine_set_timeline(struct ts_machine *m, ts_timeline_fn *fn, void *user)
{
    m->timeline.fn = fn;
    m->timeline.user = user;
}

void ts_machine_set_shootdowns(struct ts_machine *m, ts_shootdown_fn *fn, void *user)
{
    for (uint32_t v = 0; v < m->nguests; v++) {
        m->guests[v].shootdown_fn = fn;
        m->guests[v].shootdown_user = user;
    }
}

enum ts_status ts_machine_start(struct ts_machine *m, struct ts_error *err)
{
    bool bare = ts_machine_is_bare(&m->config);
    enum ts_status s = ts_cpu_domain_start(&m->host, err);
    for (uint32_t v = 0; v < m->nguests && s == TS_OK; v++) {
        if (!bare)
            s = ts_cpu_domain_start(m->guests[v].domain, err);
    }
    if (s != TS_OK)
        return s;
    if (!bare)
        ts_hypervisor_start(&m->hypervisor);
    for (uint32_t v = 0; v < m->nguests && s == TS_OK; v++) {
        m->guests[v].on_finished = on_guest_finished;
        m->guests[v].on_finished_user = m;
        s = ts_guest_threads_start(&m->guests[v], err);
    }
    ts_engine_schedule(m->engine, &m->limit_event, m->config.run.limit_ps, TS_PHASE_SAMPLE);
    if (m->config.run.progress_ps)
        ts_engine_schedule(m->engine, &m->progress_event, m->config.run.progress_ps,
                           TS_PHASE_SAMPLE);
    return s;
}

struct ts_engine *ts_machine_engine(struct ts_machine *m)
{
    return m->engine;
}

bool ts_machine_done(const struct ts_machine *m)
{
    if (m->done)
        return true;
    for (uint32_t v = 0; v < m->nguests; v++) {
        if (m->guests[v].failure->status != TS_OK)
            return true;
    }
    return false;
}

void ts_machine_run(struct ts_machine *m)
{
    while (!ts_machine_done(m) && ts_engine_next_time(m->engine) != TS_TIME_NEVER)
        (void)ts_engine_run(m->engine, TS_TIME_NEVER - 1);
}
