/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a machine together and taking it apart. */
#include "models/machine/machine.h"

#include <stdlib.h>
#include <string.h>

#include "models/guest/coherence/speculate.h"
#include "models/machine/machine_private.h"

enum {
    EVENTS = 1 << 16,
    DRAIN_LOOKS = 1000 /* a microsecond each */
};

/* --- construction, bottom up --- */

static void on_interrupt_bare(void *user, uint32_t target, uint32_t vector, uint64_t cookie)
{
    struct ts_machine *m = user;
    (void)cookie;
    if (vector == TS_RAR_MESSAGE)
        ts_rar_signal(m->rar, target);
    else
        ts_cpu_raise(&m->host.cpus[target], (enum ts_vector)vector);
}

static void on_interrupt(void *user, uint32_t target, uint32_t vector, uint64_t cookie)
{
    struct ts_machine *m = user;
    ts_hypervisor_interrupt(&m->hypervisor, target, vector, cookie);
}

/* Whether a broadcast invalidation is of what c, which may be NULL, executes. */
static bool concerns(const struct ts_cpu *c, const struct ts_tlb_inval *inval)
{
    const struct ts_vm *vm = c ? c->domain->vm : NULL;
    return inval->any_vmid || inval->vmid == (vm ? ts_vm_vmid(vm, c->id) : 0);
}

static uint64_t apply_message(void *user, uint32_t cpu, const struct ts_tlb_inval *inval)
{
    struct ts_machine *m = user;
    struct ts_cpu *p = &m->host.cpus[cpu];
    ts_cpu_disturb(p);
    uint64_t cycles = ts_mmu_invalidate(m->mmus[cpu], inval,
                                        ts_clock_cycle_at(&m->clock, ts_engine_now(m->engine)));
    if (m->config.mmu.sweep_blocking && m->config.mmu.sweep_sets_per_cycle != 0)
        ts_cpu_hold(p, cycles, !concerns(p->working, inval));
    return cycles;
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
            .fault_invalidates = c->topology.arch == TS_ARCH_X86,
        };
        TS_ASSERT(t->thread[t->core[i]] == 0 && t->core[t->core[i]] == t->core[i]);
        s = ts_mmu_create(&m->mmus[i], &c->mmu, m->seed, &wiring, err);
        if (s == TS_OK)
            ts_mmu_watch_tables(m->mmus[i], c->run.oracle != 0);
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
    if (s == TS_OK) {
        ts_interconnect_set_seed(m->interconnect, m->seed);
        ts_interconnect_set_steps(m->interconnect, &m->steps);
    }
    if (s == TS_OK)
        s = ts_line_system_create(&m->lines, m->engine, &m->topology, m->interconnect, &c->line,
                                  err);
    if (s == TS_OK)
        ts_line_system_set_seed(m->lines, m->seed);
    if (s == TS_OK)
        s = ts_interrupt_create(&m->interrupt, m->engine, &m->topology, m->interconnect,
                                &c->interrupt,
                                ts_machine_is_bare(c) ? on_interrupt_bare : on_interrupt, m, err);
    if (s == TS_OK && ts_machine_has_dvm(c))
        s = ts_dvm_create(&m->dvm, m->engine, &m->topology, m->interconnect, &c->dvm, apply_message,
                          m, err);
    return s == TS_OK ? create_mmus(m, err) : s;
}

static enum ts_status copy_mechanism_params(struct ts_machine *m, uint32_t v,
                                            const struct ts_machine_vm *spec, struct ts_error *err)
{
    size_t size = spec->mechanism->params_size;
    if (!size)
        return TS_OK;
    m->mechanism_params[v] = malloc(size);
    if (!m->mechanism_params[v])
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a mechanism");
    if (spec->mechanism_params)
        memcpy(m->mechanism_params[v], spec->mechanism_params, size);
    else
        ts_param_defaults(spec->mechanism->params, m->mechanism_params[v]);
    return TS_OK;
}

/* What is in flight when the last stream ends arrives before the books are closed. VMs in the
 * background end first. */
static void drain_if_ended(struct ts_machine *m)
{
    ts_time now = ts_engine_now(m->engine);
    TS_ASSERT(m->finished <= m->nguests && m->host_ended <= m->host_tasks);
    if (!ts_machine_streams_ended(m))
        return;
    if (m->measured_until == TS_TIME_NEVER) {
        m->measured_until = now;
        for (uint32_t v = 0; v < m->nguests; v++) {
            if (ts_machine_vm_is_background(&m->config, v))
                ts_guest_end(&m->guests[v], now);
        }
    }
    if (m->finished == m->nguests)
        ts_engine_schedule(m->engine, &m->drain_event, now + TS_MS, TS_PHASE_SAMPLE);
}

static void on_guest_finished(struct ts_guest *g, void *user)
{
    struct ts_machine *m = user;
    m->finished++;
    m->measured_finished += !ts_machine_vm_is_background(&m->config, g->number);
    drain_if_ended(m);
}

static void on_host_task_ended(void *user)
{
    struct ts_machine *m = user;
    m->host_ended++;
    drain_if_ended(m);
}

static enum ts_status create_guest(struct ts_machine *m, uint32_t v,
                                   const struct ts_machine_config *c,
                                   const struct ts_machine_vm *spec, struct ts_error *err)
{
    struct ts_guest_params params = c->guest;
    struct ts_guest_wiring w = {
        .vm = &m->vms[v],
        .params = &params,
        .nt = &c->nt,
        .interrupt_params = &m->config.interrupt,
        .engine = m->engine,
        .topology = &m->topology,
        .lines = m->lines,
        .interrupt = m->interrupt,
        .dvm = m->dvm,
        .rar = m->rar,
        .mmus = m->mmus,
        .timeline = &m->timeline,
        .pt_levels = (uint32_t)c->mmu.levels,
        .idle_wakeup_ps = c->hypervisor.wakeup_ps,
        .os = ts_guest_os_table[c->guest.os],
        .flush = spec->mechanism,
        .workload = spec->workload,
        .seed = m->seed,
        .record_from = c->run.warmup_ps,
        .record_until = c->run.window_ps ? c->run.warmup_ps + c->run.window_ps : TS_TIME_NEVER,
        .on_finished = on_guest_finished,
        .on_finished_user = m,
    };
    /* As the kernel finds the feature in the ID registers. */
    params.ttl = c->guest.ttl && c->mmu.ttl;
    enum ts_status s = copy_mechanism_params(m, v, spec, err);
    w.flush_params = m->mechanism_params[v];
    if (s == TS_OK && c->run.oracle)
        s = ts_oracle_create(&w.oracle, err);
    if (s == TS_OK && w.oracle)
        ts_oracle_set_engine(w.oracle, m->engine);
    /* From here on the guest has it. */
    m->guests[v].oracle = w.oracle;
    return s == TS_OK ? ts_guest_init(&m->guests[v], &w, err) : s;
}

static enum ts_status create_vms(struct ts_machine *m, const struct ts_machine_vm *specs,
                                 struct ts_error *err)
{
    enum ts_status s = TS_OK;
    m->nguests = (uint32_t)m->config.run.vms;
    m->guests = calloc(m->nguests, sizeof(*m->guests));
    m->vms = calloc(m->nguests, sizeof(*m->vms));
    m->vm_list = calloc(m->nguests, sizeof(struct ts_vm *));
    m->domains = calloc(m->nguests, sizeof(*m->domains));
    m->mechanism_params = calloc(m->nguests, sizeof(void *));
    m->guest_sum = malloc(sizeof(*m->guest_sum));
    m->latency_sum = malloc(sizeof(*m->latency_sum));
    size_t state = 1;
    for (uint32_t v = 0; v < m->nguests; v++)
        state = specs[v].mechanism->state_size > state ? specs[v].mechanism->state_size : state;
    m->mechanism_sum = malloc(state);
    if (!m->guests || !m->vms || !m->vm_list || !m->domains || !m->mechanism_params ||
        !m->guest_sum || !m->latency_sum || !m->mechanism_sum)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for %u VMs", m->nguests);
    for (uint32_t v = 0; v < m->nguests && s == TS_OK; v++) {
        struct ts_machine_config own;
        ts_machine_vm_config(&m->config, v, &own);
        s = ts_machine_create_vm(m, v, &own, specs[v].mechanism, err);
        if (s == TS_OK)
            s = create_guest(m, v, &own, &specs[v], err);
    }
    return s;
}

static uint32_t open_stage2_window(void *user, uint32_t vm, uint64_t start, uint64_t end)
{
    struct ts_machine *m = user;
    return ts_oracle_stage2_window_open(m->guests[vm].oracle, start, end);
}

static void close_stage2_window(void *user, uint32_t vm, uint32_t window)
{
    struct ts_machine *m = user;
    ts_oracle_window_close(m->guests[vm].oracle, window);
}

static void make_stage2_entry(void *user, uint32_t vm, uint64_t start, uint64_t end, uint64_t pa)
{
    struct ts_machine *m = user;
    struct ts_cpumask on;
    struct ts_oracle_make make = {
        .now = ts_engine_now(m->engine),
        .vm = vm,
        .vmid = ts_vm_vmid(&m->vms[vm], 0),
        .start = start,
        .end = end,
        .pa = pa,
        .mmus = m->mmus,
        .nmmus = m->topology.ncpus,
    };
    /* Elsewhere nothing is heard of, and all is dropped when a vCPU comes there. */
    if (m->vms[vm].resident_domain) {
        ts_hypervisor_vm_is_on(&m->vms[vm], &on);
        make.cpus = &on;
    }
    ts_oracle_stage2_make(m->guests[vm].oracle, &make);
}

static enum ts_status create_software(struct ts_machine *m, const struct ts_machine_vm *specs,
                                      struct ts_error *err)
{
    const struct ts_machine_config *c = &m->config;
    bool bare = ts_machine_is_bare(c);
    ts_machine_common_domain(m, &m->host, "host", bare ? 1 : 0,
                             bare ? &c->guest_sched : &c->host_sched);
    m->host.owner = &m->hypervisor;
    m->host.balance = bare || !c->hypervisor.pin;
    enum ts_status s = ts_cpu_domain_init(&m->host, m->topology.ncpus,
                                          bare ? &ts_bare_metal_cpu_ops : &ts_host_cpu_ops, err);
    if (s == TS_OK && bare && c->rar.present && c->topology.arch == TS_ARCH_X86)
        s = ts_rar_create(&m->rar, &m->host, &c->rar, apply_message, m, err);
    if (s == TS_OK)
        s = create_vms(m, specs, err);
    if (s == TS_OK)
        s = ts_machine_place_vms(m, err);
    if (s != TS_OK || bare)
        return s;
    m->watch =
        (struct ts_stage2_watch){open_stage2_window, close_stage2_window, make_stage2_entry, m};
    s = ts_machine_create_replay(m, err);
    if (s != TS_OK)
        return s;
    struct ts_hypervisor_wiring w = {
        .params = &c->hypervisor,
        .arch = (enum ts_arch)c->topology.arch,
        .engine = m->engine,
        .topology = &m->topology,
        .host = &m->host,
        .lines = m->lines,
        .interrupt = m->interrupt,
        .interrupt_params = &c->interrupt,
        .dvm = m->dvm,
        .watch = c->run.oracle ? &m->watch : NULL,
        .replay = m->replay,
        .range_split = c->guest.tlbirange ? (enum ts_range_split)c->hypervisor.range_split
                                          : TS_RANGE_SPLIT_PAGES,
        .ttl = c->mmu.ttl != 0,
        .mmus = m->mmus,
        .vms = m->vm_list,
        .placements = m->placements,
        .nvms = m->nguests,
    };
    s = ts_hypervisor_init(&m->hypervisor, &w, err);
    return s == TS_OK ? ts_machine_add_replayed(m, err) : s;
}

static void on_drained(struct ts_engine *engine, struct ts_event *event)
{
    struct ts_machine *m = TS_CONTAINER_OF(event, struct ts_machine, drain_event);
    /* Hosts and idle guests go on: something of theirs may be on its way in just this moment. */
    if (m->drained++ < DRAIN_LOOKS && !ts_machine_adds_up(m)) {
        ts_engine_schedule(engine, event, ts_engine_now(engine) + TS_US, TS_PHASE_SAMPLE);
        return;
    }
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
    uint64_t seen = ts_machine_operations(m) + ts_host_tasks_operations(&m->hypervisor);
    if (seen == m->progress_seen && !ts_machine_streams_ended(m)) {
        m->stalled = true;
        m->done = true;
        ts_engine_stop(engine);
        return;
    }
    m->progress_seen = seen;
    ts_engine_schedule(engine, event, ts_engine_now(engine) + m->config.run.progress_ps,
                       TS_PHASE_SAMPLE);
}

enum ts_status ts_machine_create(struct ts_machine **out, const struct ts_machine_config *config,
                                 const struct ts_machine_vm *vms, uint64_t seed,
                                 struct ts_error *err)
{
    enum ts_status s = ts_machine_check_vms(config, vms, err);
    if (s != TS_OK)
        return s;
    struct ts_machine *m = calloc(1, sizeof(*m));
    if (!m)
        return ts_error_set(err, TS_ERR_ENVIRONMENT, "out of memory for a machine");
    m->config = *config;
    m->seed = seed;
    m->nmeasured = ts_machine_measured(config);
    m->measured_until = TS_TIME_NEVER;
    /* Stage-2 tables lie in host memory of their own. */
    m->next_table_frame = UINT64_C(1) << 43;
    ts_event_init(&m->drain_event, on_drained);
    ts_event_init(&m->limit_event, on_limit);
    ts_event_init(&m->progress_event, on_progress);
    s = create_hardware(m, err);
    if (s == TS_OK)
        s = create_software(m, vms, err);
    if (s != TS_OK) {
        ts_machine_destroy(m);
        return s;
    }
    *out = m;
    return TS_OK;
}

void ts_machine_destroy(struct ts_machine *m)
{
    m->closing = true;
    if (m->engine)
        ts_engine_discard(m->engine);
    for (uint32_t v = 0; m->guests && v < m->nguests; v++) {
        struct ts_guest *g = &m->guests[v];
        if (g->engine)
            ts_guest_threads_fini(g);
    }
    if (m->hypervisor.w.host)
        ts_hypervisor_fini(&m->hypervisor);
    for (uint32_t v = 0; m->guests && m->vms && m->mechanism_params && v < m->nguests; v++) {
        struct ts_guest *g = &m->guests[v];
        if (g->engine)
            ts_guest_fini(g);
        if (g->oracle)
            ts_oracle_destroy(g->oracle);
        ts_machine_destroy_vm(&m->vms[v]);
        free(m->mechanism_params[v]);
    }
    if (m->rar)
        ts_rar_destroy(m->rar);
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
    free(m->vms);
    free(m->vm_list);
    ts_replay_destroy(m->replay);
    free(m->free_tables);
    free(m->placements);
    free(m->domains);
    free(m->mechanism_params);
    free(m->guest_sum);
    free(m->latency_sum);
    free(m->mechanism_sum);
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

enum ts_status ts_machine_add_host_task(struct ts_machine *m,
                                        const struct ts_host_task_config *config,
                                        struct ts_error *err)
{
    TS_ASSERT(!m->started);
    if (ts_machine_is_bare(&m->config))
        return ts_error_set(err, TS_ERR_USER,
                            "host task '%s': there is no host (hypervisor.kind is none)",
                            config->name);
    enum ts_status s = ts_hypervisor_add_task(&m->hypervisor, config, on_host_task_ended, m, err);
    if (s != TS_OK)
        return s;
    m->has_host_tasks = true;
    m->host_tasks += !config->background;
    return TS_OK;
}

void ts_machine_set_timeline(struct ts_machine *m, ts_timeline_fn *fn, void *user)
{
    m->timeline.fn = fn;
    m->timeline.user = user;
}

void ts_machine_set_steps(struct ts_machine *m, ts_step_fn *fn, void *user)
{
    m->steps.fn = fn;
    m->steps.user = user;
}

void ts_machine_speculate(struct ts_machine *m, uint32_t vm, uint32_t cpu, uint64_t va)
{
    ts_guest_speculate(&m->guests[vm], cpu, va);
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
    TS_ASSERT(!m->started);
    m->started = true;
    for (uint32_t v = 0; v < m->nguests && s == TS_OK; v++) {
        if (!bare)
            s = ts_cpu_domain_start(m->guests[v].domain, err);
    }
    if (s != TS_OK)
        return s;
    if (!bare)
        ts_hypervisor_start(&m->hypervisor);
    for (uint32_t v = 0; v < m->nguests && s == TS_OK; v++) {
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
    struct ts_error err;
    if (m->done || m->hypervisor.failure.status != TS_OK ||
        ts_engine_status(m->engine, &err) != TS_OK)
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
