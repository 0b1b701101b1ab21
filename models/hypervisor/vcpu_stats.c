/* SPDX-License-Identifier: Apache-2.0 */
#include "models/hypervisor/vcpu_stats.h"

#include "models/hypervisor/hyp_private.h"

__extension__ typedef unsigned __int128 u128;

#define OFF(f) offsetof(struct ts_vcpu_stats, f)
#define TIME(n, f, h)                                                                              \
    {                                                                                              \
        n, TS_STAT_TIME_PS, OFF(f), "ps", h                                                        \
    }

static const struct ts_stat rows[] = {
    TIME("wall_ps", wall_ps, "vCPUs times the time of the run"),
    TIME("run_ps", run_ps, "on a pCPU, in the guest or in the host for it, less the next two"),
    TIME("spin_ps", spin_ps, "on a pCPU: the guest's kernel spins"),
    TIME("halt_poll_ps", halt_poll_ps, "on a pCPU: the host polls for the end of a halt"),
    TIME("wait_ps", wait_ps, "runnable, not on a pCPU (run_delay)"),
    TIME("halted_ps", halted_ps, "blocked"),
    TIME("user_ps", user_ps, "as the guest shows it: user code, exits from it included"),
    TIME("sys_ps", sys_ps,
         "as the guest shows it: kernel, interrupts, spinning, exits from these included"),
    TIME("steal_ps", steal_ps, "as the guest shows it: runnable, not on a pCPU"),
    TIME("idle_ps", idle_ps, "as the guest shows it: halted, the host's polling included"),
    TIME("contended_ps", contended_ps, "time in which at least one vCPU waits for a pCPU"),
    {"effective_overcommit_milli", TS_STAT_GAUGE, OFF(effective_overcommit_milli), "1",
     "vCPUs that run or wait, per pCPU, mean over the time in which at least one waits; in 1/1000"},
};
static const struct ts_stat_rule rules[] = {
    {"the host's times of vCPUs add up to wall time",
     {"+wall_ps", "-run_ps", "-spin_ps", "-halt_poll_ps", "-wait_ps", "-halted_ps"}},
    {"the guest's times of vCPUs add up to wall time",
     {"+wall_ps", "-user_ps", "-sys_ps", "-steal_ps", "-idle_ps"}},
};
const struct ts_stat_table ts_vcpu_stat_table = {"vcpu_time", rows, TS_ARRAY_LEN(rows), rules,
                                                 TS_ARRAY_LEN(rules)};

void ts_hypervisor_vcpu_stats(const struct ts_hypervisor *h, uint32_t vcpu,
                              struct ts_vcpu_stats *out)
{
    TS_ASSERT(vcpu < h->nvcpus);
    const struct ts_vcpu *v = &h->vcpus[vcpu];
    const struct ts_vcpu_clock *clock = &v->task.clock;
    ts_time now = ts_engine_now(h->w.engine);
    ts_time on_pcpu = ts_vcpu_clock_ps(clock, TS_VCPU_RUNNING, now);
    ts_cpu_account(v->cpu);
    *out = (struct ts_vcpu_stats){
        .wall_ps = now,
        .spin_ps = v->cpu->stats.mode_ps[TS_MODE_SPIN],
        .halt_poll_ps = ts_vcpu_polled_ps(v),
        .wait_ps = ts_vcpu_clock_ps(clock, TS_VCPU_WAITING, now),
        .halted_ps = ts_vcpu_clock_ps(clock, TS_VCPU_HALTED, now),
        .user_ps = v->cpu->stats.mode_ps[TS_MODE_USER] + ts_vcpu_exits_from_user_ps(v),
    };
    TS_ASSERT(on_pcpu >= out->spin_ps + out->halt_poll_ps);
    TS_ASSERT(on_pcpu >= out->user_ps + out->halt_poll_ps);
    out->run_ps = on_pcpu - out->spin_ps - out->halt_poll_ps;
    out->sys_ps = on_pcpu - out->user_ps - out->halt_poll_ps;
    out->steal_ps = out->wait_ps;
    out->idle_ps = out->halted_ps + out->halt_poll_ps;
}

void ts_hypervisor_vcpu_sum(const struct ts_hypervisor *h, struct ts_vcpu_stats *sum)
{
    struct ts_vcpu_load load = ts_vcpu_load_at(&h->w.host->load, ts_engine_now(h->w.engine));
    *sum = (struct ts_vcpu_stats){0};
    for (uint32_t i = 0; i < h->nvcpus; i++) {
        struct ts_vcpu_stats one;
        ts_hypervisor_vcpu_stats(h, i, &one);
        ts_stat_accumulate(&ts_vcpu_stat_table, sum, &one);
    }
    sum->contended_ps = load.contended_ps;
    if (load.contended_ps)
        sum->effective_overcommit_milli = (uint64_t)((u128)load.runnable_ps * 1000 /
                                                     ((u128)load.contended_ps * h->w.host->ncpus));
}

enum ts_status ts_hypervisor_check_time(const struct ts_hypervisor *h, struct ts_error *err)
{
    ts_time now = ts_engine_now(h->w.engine);
    for (uint32_t i = 0; i < h->nvcpus; i++) {
        const struct ts_vcpu *v = &h->vcpus[i];
        const struct ts_task *t = &v->task;
        bool waits = t->clock.place == TS_VCPU_WAITING;
        ts_time delay = t->run_delay_ps + (waits ? now - t->runnable_since : 0);
        struct ts_vcpu_stats one;
        ts_hypervisor_vcpu_stats(h, i, &one);
        if (ts_stat_check(&ts_vcpu_stat_table, &one, err) != TS_OK)
            return err->status;
        if (one.wait_ps != delay)
            return ts_error_set(
                err, TS_ERR_FINDING, "sum rule: %s waited for %llu ps, its run_delay is %llu ps",
                v->name, (unsigned long long)one.wait_ps, (unsigned long long)delay);
    }
    return TS_OK;
}

bool ts_hypervisor_longest_wait(const struct ts_hypervisor *h, struct ts_vcpu_wait *wait)
{
    const struct ts_vcpu *longest = NULL;
    for (uint32_t i = 0; i < h->nvcpus; i++) {
        const struct ts_task *t = &h->vcpus[i].task;
        if (t->clock.place == TS_VCPU_WAITING &&
            (!longest || t->runnable_since < longest->task.runnable_since))
            longest = &h->vcpus[i];
    }
    if (longest)
        *wait = (struct ts_vcpu_wait){longest->vm->number, longest->id, longest->task.cpu->id,
                                      longest->task.runnable_since};
    return longest != NULL;
}
