/* SPDX-License-Identifier: Apache-2.0 */
/* What a run has to say: verdict, figures, statistics. */
#include <stdio.h>
#include <string.h>

#include "models/hypervisor/stage2.h"
#include "models/hypervisor/vcpu_stage.h"
#include "models/machine/machine_private.h"

uint64_t ts_machine_operations(const struct ts_machine *m)
{
    uint64_t n = 0;
    for (uint32_t v = 0; v < m->nguests; v++) {
        if (!ts_machine_vm_is_background(&m->config, v))
            n += ts_guest_operations(&m->guests[v]);
    }
    return n;
}

/* --- statistics --- */

static struct ts_stat_table renamed(const struct ts_stat_table *t, const char *group)
{
    struct ts_stat_table r = *t;
    r.group = group;
    return r;
}

static void visit_cpus(const struct ts_cpu_domain *d, uint32_t ndomains, const char *group,
                       ts_machine_stat_fn *fn, void *user)
{
    struct ts_cpu_stats sum = {0};
    struct ts_stat_table table = renamed(&ts_cpu_stat_table, group);
    for (uint32_t k = 0; k < ndomains; k++) {
        for (uint32_t i = 0; i < d[k].ncpus; i++) {
            ts_cpu_account(&d[k].cpus[i]);
            ts_stat_accumulate(&table, &sum, &d[k].cpus[i].stats);
        }
    }
    fn(user, &table, &sum);
}

static void visit_mmus(const struct ts_machine *m, ts_machine_stat_fn *fn, void *user)
{
    struct ts_mmu_stats sum = {0};
    for (uint32_t i = 0; i < m->topology.ncpus; i++)
        ts_stat_accumulate(&ts_mmu_stat_table, &sum, ts_mmu_stats(m->mmus[i]));
    fn(user, &ts_mmu_stat_table, &sum);
}

static void visit_guests(const struct ts_machine *m, ts_machine_stat_fn *fn, void *user)
{
    struct ts_guest_stats *sum = m->guest_sum;
    *sum = m->guests[0].stats;
    for (uint32_t v = 1; v < m->nguests; v++)
        ts_stat_accumulate(&ts_guest_stat_table, sum, &m->guests[v].stats);
    fn(user, &ts_guest_stat_table, sum);
}

/* Of the guests that are like Windows, if there are any. */
static void visit_windows(const struct ts_machine *m, ts_machine_stat_fn *fn, void *user)
{
    struct ts_nt_stats sum = {0};
    uint32_t n = 0;
    for (uint32_t v = 0; v < m->nguests; v++) {
        if (!ts_guest_is_windows(&m->guests[v]))
            continue;
        ts_stat_accumulate(&ts_nt_stat_table, &sum, &m->guests[v].nt_stats);
        n++;
    }
    if (n)
        fn(user, &ts_nt_stat_table, &sum);
}

/* Each mechanism once, at the first VM that uses it. */
static void visit_mechanisms(const struct ts_machine *m, ts_machine_stat_fn *fn, void *user)
{
    for (uint32_t v = 0; v < m->nguests; v++) {
        const struct ts_flush_ops *f = m->guests[v].flush;
        bool seen = false;
        for (uint32_t k = 0; k < v; k++)
            seen = seen || m->guests[k].flush == f;
        if (seen || !f->stats)
            continue;
        memset(m->mechanism_sum, 0, f->state_size);
        for (uint32_t k = v; k < m->nguests; k++) {
            if (m->guests[k].flush == f)
                ts_stat_accumulate(f->stats, m->mechanism_sum, m->guests[k].flush_state);
        }
        fn(user, f->stats, m->mechanism_sum);
    }
}

void ts_machine_visit_stats(const struct ts_machine *m, ts_machine_stat_fn *fn, void *user)
{
    fn(user, &ts_interconnect_stat_table, ts_interconnect_stats(m->interconnect));
    fn(user, &ts_line_stat_table, ts_line_system_stats(m->lines));
    fn(user, &ts_interrupt_stat_table, ts_interrupt_stats(m->interrupt));
    if (m->dvm)
        fn(user, &ts_dvm_stat_table, ts_dvm_stats(m->dvm));
    if (m->rar)
        fn(user, &ts_rar_stat_table, ts_rar_stats(m->rar));
    visit_mmus(m, fn, user);
    if (m->cache)
        fn(user, &ts_cache_stat_table, ts_cache_stats(m->cache));
    visit_cpus(&m->host, 1, "pcpu", fn, user);
    if (!ts_machine_is_bare(&m->config)) {
        visit_cpus(m->domains, m->nguests, "vcpu", fn, user);
        struct ts_vcpu_stats sum;
        ts_hypervisor_vcpu_sum(&m->hypervisor, &sum);
        fn(user, &ts_hypervisor_stat_table, &m->hypervisor.stats);
        fn(user, &ts_vcpu_stat_table, &sum);
        if (ts_stage2_is_used(&m->hypervisor)) {
            struct ts_stage2_stats stage2;
            ts_stage2_stats_of(&m->hypervisor, &stage2);
            fn(user, &ts_stage2_stat_table, &stage2);
        }
        struct ts_vm_stage_stats stages;
        ts_vm_stages_stats(&m->hypervisor, &stages);
        if (stages.ucalls)
            fn(user, &ts_vm_stage_stat_table, &stages);
    }
    if (m->has_host_tasks) {
        struct ts_host_task_stats sum;
        ts_host_tasks_stats(&m->hypervisor, &sum);
        fn(user, &ts_host_task_stat_table, &sum);
    }
    visit_guests(m, fn, user);
    visit_windows(m, fn, user);
    visit_mechanisms(m, fn, user);
    if (m->guests[0].oracle) {
        struct ts_oracle_stats sum = {0};
        for (uint32_t v = 0; v < m->nguests; v++)
            ts_stat_accumulate(&ts_oracle_stat_table, &sum, ts_oracle_stats(m->guests[v].oracle));
        fn(user, &ts_oracle_stat_table, &sum);
    }
}

/* --- verdict --- */

struct verdict {
    enum ts_status status;
    struct ts_error *err;
};

static void check_table(void *user, const struct ts_stat_table *table, const void *base)
{
    struct verdict *v = user;
    if (v->status == TS_OK)
        v->status = ts_stat_check(table, base, v->err);
}

bool ts_machine_adds_up(const struct ts_machine *m)
{
    struct ts_error err;
    struct verdict v = {TS_OK, &err};
    ts_machine_visit_stats(m, check_table, &v);
    return v.status == TS_OK;
}

/* Every picosecond of a CPU is in one mode. */
static enum ts_status check_time(const struct ts_machine *m, struct ts_error *err)
{
    ts_time now = ts_engine_now(m->engine);
    uint32_t ndomains = ts_machine_is_bare(&m->config) ? 0 : m->nguests;
    for (uint32_t k = 0; k <= ndomains; k++) {
        const struct ts_cpu_domain *d = k == ndomains ? &m->host : &m->domains[k];
        for (uint32_t i = 0; i < d->ncpus; i++) {
            ts_time sum = 0;
            ts_cpu_account(&d->cpus[i]);
            for (uint32_t mode = 0; mode < TS_MODES; mode++)
                sum += d->cpus[i].stats.mode_ps[mode];
            if (sum != now)
                return ts_error_set(err, TS_ERR_FINDING,
                                    "sum rule: the modes of CPU %u of %s add up to %llu ps of %llu",
                                    i, d->name, (unsigned long long)sum, (unsigned long long)now);
        }
    }
    return ndomains ? ts_hypervisor_check_time(&m->hypervisor, err) : TS_OK;
}

static enum ts_status not_ended(const struct ts_machine *m, struct ts_error *err)
{
    char host[64] = "";
    uint32_t left = m->nmeasured - m->measured_finished;
    if (m->host_tasks)
        (void)snprintf(host, sizeof(host), " and %u of %u host tasks",
                       m->host_tasks - m->host_ended, m->host_tasks);
    if (m->timed_out)
        return ts_error_set(err, TS_ERR_FINDING,
                            "not finished after run.limit: %u of %u guests%s were still running",
                            left, m->nmeasured, host);
    char why[192];
    ts_machine_describe_stall(m, why, sizeof(why));
    return ts_error_set(err, TS_ERR_FINDING,
                        "no progress: %sat %llu ps no operation had finished for run.progress; "
                        "%u of %u guests%s were still running",
                        why, (unsigned long long)ts_engine_now(m->engine), left, m->nmeasured,
                        host);
}

enum ts_status ts_machine_finish(struct ts_machine *m, struct ts_error *err)
{
    if (ts_engine_status(m->engine, err) != TS_OK)
        return err->status;
    if (m->hypervisor.failure.status != TS_OK) {
        *err = m->hypervisor.failure;
        return err->status;
    }
    for (uint32_t v = 0; v < m->nguests; v++) {
        if (m->guests[v].failure->status != TS_OK) {
            *err = *m->guests[v].failure;
            return err->status;
        }
        if (m->guests[v].oracle) {
            enum ts_status s = ts_oracle_verdict(m->guests[v].oracle, err);
            if (s != TS_OK)
                return s;
        }
    }
    if (m->timed_out || m->stalled || !ts_machine_streams_ended(m))
        return not_ended(m, err);
    struct verdict v = {TS_OK, err};
    ts_machine_visit_stats(m, check_table, &v);
    if (v.status == TS_OK)
        v.status = ts_interconnect_check(m->interconnect, err);
    return v.status == TS_OK ? check_time(m, err) : v.status;
}

/* --- figures --- */

static void add_cpu_times(const struct ts_machine *m, uint32_t v, struct ts_machine_vm_result *out)
{
    const struct ts_cpu_domain *d = m->guests[v].domain;
    for (uint32_t i = 0; i < d->ncpus; i++) {
        ts_cpu_account(&d->cpus[i]);
        const uint64_t *ps = d->cpus[i].stats.mode_ps;
        out->user_ps += ps[TS_MODE_USER];
        out->system_ps += ps[TS_MODE_SYSTEM] + ps[TS_MODE_SPIN] + ps[TS_MODE_IRQ];
        out->steal_ps += ps[TS_MODE_STEAL];
        out->host_ps += ps[TS_MODE_HOST];
        out->idle_ps += ps[TS_MODE_IDLE];
        out->held_ps += ts_clock_cycle_time(d->clock, d->cpus[i].stats.held_cycles);
        out->held_foreign_ps += ts_clock_cycle_time(d->clock, d->cpus[i].stats.held_foreign_cycles);
    }
}

/* Records in 10^6 seconds, rounded down. Without a window they count until the guest has ended, one
 * in the background at the latest when all others have. */
static uint64_t record_rate_uhz(const struct ts_machine *m, const struct ts_guest *g)
{
    __extension__ typedef unsigned __int128 u128;
    const struct ts_run_params *run = &m->config.run;
    ts_time until = g->finished_at < m->measured_until ? g->finished_at : m->measured_until;
    ts_time span = run->window_ps;
    if (!span && until > run->warmup_ps)
        span = until - run->warmup_ps;
    return span ? (uint64_t)((u128)g->stats.records * 1000000 * TS_S / span) : 0;
}

static void set_latencies(const struct ts_hist *h, uint64_t *p50, uint64_t *p99, uint64_t *max,
                          uint64_t *mean)
{
    *p50 = ts_hist_quantile(h, 500);
    *p99 = ts_hist_quantile(h, 990);
    *max = h->count ? h->max : 0;
    *mean = h->count ? h->sum / h->count : 0;
}

void ts_machine_vm_result(const struct ts_machine *m, uint32_t v, struct ts_machine_vm_result *out)
{
    TS_ASSERT(v < m->nguests);
    const struct ts_guest *g = &m->guests[v];
    const struct ts_hist *munmap = &g->stats.munmap_ps;
    *out = (struct ts_machine_vm_result){
        .vcpus = g->ncpus,
        .mechanism = g->flush,
        .background = ts_machine_vm_is_background(&m->config, v),
        .completion_ps = g->finished_at,
        .records = g->stats.records,
        .record_rate_uhz = record_rate_uhz(m, g),
        .operations = ts_guest_operations(g),
        .page_touches = g->stats.touches,
        .shootdowns = g->stats.shootdowns,
        .ipis = g->stats.ipis,
        .munmap_mean_ps = munmap->count ? munmap->sum / munmap->count : 0,
    };
    add_cpu_times(m, v, out);
    set_latencies(&g->stats.shootdown_ps, &out->shootdown_p50_ps, &out->shootdown_p99_ps,
                  &out->shootdown_max_ps, &out->shootdown_mean_ps);
}

static void add_vm(struct ts_machine_result *out, const struct ts_machine_vm_result *one)
{
    if (one->completion_ps > out->completion_ps)
        out->completion_ps = one->completion_ps;
    out->user_ps += one->user_ps;
    out->system_ps += one->system_ps;
    out->steal_ps += one->steal_ps;
    out->host_ps += one->host_ps;
    out->operations += one->operations;
    out->shootdowns += one->shootdowns;
    out->ipis += one->ipis;
    out->page_touches += one->page_touches;
    out->records += one->records;
    out->record_rate_uhz += one->record_rate_uhz;
}

void ts_machine_result(const struct ts_machine *m, struct ts_machine_result *out)
{
    struct ts_hist *latency = m->latency_sum;
    ts_hist_init(latency);
    *out = (struct ts_machine_result){0};
    ts_time sum = 0, munmap_ps = 0;
    uint64_t munmaps = 0;
    for (uint32_t v = 0; v < m->nguests; v++) {
        const struct ts_guest *g = &m->guests[v];
        struct ts_machine_vm_result one;
        ts_machine_vm_result(m, v, &one);
        if (one.background)
            continue;
        add_vm(out, &one);
        sum += one.completion_ps;
        ts_hist_merge(latency, &g->stats.shootdown_ps);
        munmaps += g->stats.munmap_ps.count;
        munmap_ps += g->stats.munmap_ps.sum;
    }
    out->record_rate_uhz /= m->nmeasured;
    out->window_ps = m->config.run.window_ps;
    out->mean_completion_ps = sum / m->nmeasured;
    out->vm_exits = m->hypervisor.stats.exits;
    out->vcpus_per_pcpu_milli = 1000;
    if (!ts_machine_is_bare(&m->config)) {
        struct ts_vcpu_stats vcpus;
        ts_hypervisor_vcpu_sum(&m->hypervisor, &vcpus);
        out->effective_overcommit_milli = vcpus.effective_overcommit_milli;
        out->vcpus_per_pcpu_milli =
            (uint64_t)m->hypervisor.nvcpus * 1000 / m->hypervisor.w.host->ncpus;
    }
    set_latencies(latency, &out->shootdown_p50_ps, &out->shootdown_p99_ps, &out->shootdown_max_ps,
                  &out->shootdown_mean_ps);
    out->munmap_mean_ps = munmaps ? munmap_ps / munmaps : 0;
    out->events = ts_engine_events_run(m->engine);
}
