/* SPDX-License-Identifier: Apache-2.0 */
/* A small whole machine under an mmap storm, for tests over all mechanisms. */
#ifndef TS_TESTS_SUPPORT_MACHINE_RIG_HPP
#define TS_TESTS_SUPPORT_MACHINE_RIG_HPP

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/guest/os/thread.h"
#include "models/hypervisor/host_task.h"
#include "models/machine/machine.h"

namespace ts_test
{

/* The row of "group.key" and, in *base, its struct in the configuration. */
inline const ts_param *find_param(ts_machine_config &c, const std::string &key, void **base)
{
    for (size_t i = 0; i < ts_machine_params_count; i++) {
        const auto &slot = ts_machine_params[i];
        std::string prefix = std::string(slot.table->prefix) + ".";
        if (key.compare(0, prefix.size(), prefix) != 0)
            continue;
        const ts_param *row = ts_param_find(slot.table, key.c_str() + prefix.size());
        *base = reinterpret_cast<char *>(&c) + slot.offset;
        if (row)
            return row;
    }
    throw std::runtime_error("no such key: " + key);
}

/* As --set does. */
inline void set(ts_machine_config &c, const std::string &key, const std::string &value)
{
    void *base = nullptr;
    const ts_param *row = find_param(c, key, &base);
    ts_error err{};
    if (ts_param_set(row, base, value.c_str(), &err) != TS_OK)
        throw std::runtime_error(key + "=" + value + ": " + err.message);
}

inline void set_arm(ts_machine_config &c)
{
    set(c, "topology.arch", "arm64");
    set(c, "interrupt.mode", "gic_sgi");
    set(c, "interrupt.guest_mode", "gic_sgi");
}

inline ts_machine_config small_machine(bool arm = false)
{
    ts_machine_config c{};
    ts_machine_config_defaults(&c);
    set(c, "topology.sockets", "2");
    set(c, "topology.cores_per_socket", "2");
    set(c, "topology.threads_per_core", "1");
    set(c, "run.vms", "2");
    set(c, "run.vcpus", "4");
    set(c, "run.oracle", "true");
    set(c, "run.limit", "60s");
    set(c, "guest.tick", "waiting"); /* exact times, with no tick among them */
    if (arm) {
        set_arm(c);
        set(c, "hypervisor.apicv", "false");
        set(c, "hypervisor.pv_tlb_flush", "false");
        set(c, "hypervisor.hv_flush", "off");
        set(c, "guest.tlbirange", "true");
    }
    return c;
}

/* Sleeps of a Windows-like guest end with a clock interrupt: a test has no time for Windows's. */
inline void set_os(ts_machine_config &c, uint64_t os)
{
    set(c, "guest.os", ts_guest_os_table[os]->name);
    if (os == TS_OS_WINDOWS)
        set(c, "nt.timer_resolution", "50us");
}

/* The first operating system that it is for. */
inline uint64_t os_of(const ts_flush_ops *m)
{
    uint64_t os = 0;
    while (!ts_flush_is_for(m, os))
        os++;
    return os;
}

/* The same with what a mechanism cannot do without, bare metal perhaps. */
inline ts_machine_config small_machine(bool arm, const ts_flush_ops *m, uint64_t os)
{
    ts_machine_config c = small_machine(arm);
    set_os(c, os);
    if (m->needs & TS_NEEDS_BARE_METAL) {
        set(c, "hypervisor.kind", "none");
        set(c, "run.vms", "1");
    }
    if ((m->needs & TS_NEEDS_XEN) && !arm) {
        set(c, "hypervisor.kind", "xen");
        set(c, "hypervisor.pv_tlb_flush", "false");
        set(c, "hypervisor.hv_flush", "off");
        set(c, "hypervisor.halt_poll", "0ns");
        set(c, "hypervisor.flush_on_migration", "false");
    }
    if ((m->needs & TS_NEEDS_VMID_FILTER) && arm)
        set(c, "dvm.vmid_filter", "true");
    if ((m->needs & TS_NEEDS_INVLPGB) && !arm)
        set(c, "dvm.invlpgb", "true");
    if ((m->needs & TS_NEEDS_RAR) && !arm)
        set(c, "rar.present", "true");
    return c;
}

inline ts_machine_config small_machine(bool arm, const ts_flush_ops *m)
{
    return small_machine(arm, m, os_of(m));
}

/* A mechanism's parameters, by their table. */
inline std::vector<uint64_t> mechanism_params(const ts_flush_ops *m,
                                              const std::map<std::string, std::string> &values)
{
    std::vector<uint64_t> params(m->params_size / sizeof(uint64_t));
    if (!params.empty())
        ts_param_defaults(m->params, params.data());
    for (const auto &[key, value] : values) {
        ts_error err{};
        const ts_param *row = m->params ? ts_param_find(m->params, key.c_str()) : nullptr;
        if (!row || ts_param_set(row, params.data(), value.c_str(), &err) != TS_OK)
            throw std::runtime_error(std::string(m->name) + "." + key + ": " + err.message);
    }
    return params;
}

/* Architectures on which a mechanism may run in a VM of small_machine, or without. */
inline std::vector<bool> platforms(const ts_flush_ops *m, uint64_t os)
{
    std::vector<bool> arms;
    for (bool arm : {false, true}) {
        ts_error err{};
        ts_machine_config c = small_machine(arm, m, os);
        if (ts_machine_check(&c, m, &err) == TS_OK)
            arms.push_back(arm);
    }
    return arms;
}

inline std::vector<bool> platforms(const ts_flush_ops *m)
{
    return platforms(m, os_of(m));
}

using StormParams = std::map<std::string, std::string>;

struct Outcome {
    ts_status status = TS_OK;
    std::string message;
    struct ts_machine_result result = {};
    std::vector<struct ts_machine_vm_result> vms;
    std::map<std::string, uint64_t> stats; /* group.name -> value (histograms: count, sum, max) */
    std::vector<ts_shootdown_record> shootdowns;
};

inline void collect(void *user, const ts_stat_table *t, const void *base)
{
    auto &stats = *static_cast<std::map<std::string, uint64_t> *>(user);
    for (size_t i = 0; i < t->nrows; i++) {
        const ts_stat &row = t->rows[i];
        std::string name = std::string(t->group) + "." + row.name;
        const char *at = static_cast<const char *>(base) + row.offset;
        if (row.kind == TS_STAT_HIST) {
            const auto *h = reinterpret_cast<const ts_hist *>(at);
            stats[name + ".count"] = h->count;
            stats[name + ".sum"] = h->sum;
            stats[name + ".max"] = h->max;
        } else {
            stats[name] = *reinterpret_cast<const uint64_t *>(at);
        }
    }
}

/* By VM, where they differ; else empty. */
using Mechanisms = std::vector<const ts_flush_ops *>;

/* Threads of the host, whose streams outlive the run. */
using HostTasks = std::vector<ts_host_task_config>;

/* One workload a VM, not owned. kernel: what drives the engine, or the engine itself; params: the
 * mechanism's, or NULL. */
inline Outcome run_workloads(const ts_machine_config &c, const ts_flush_ops *mechanism,
                             const std::vector<ts_workload *> &workloads, uint64_t seed,
                             ts_time (*kernel)(ts_engine *, ts_time) = nullptr,
                             const void *params = nullptr, const Mechanisms &by_vm = {},
                             const HostTasks &tasks = {})
{
    Outcome out;
    ts_error err{};
    ts_machine *m = nullptr;
    std::vector<ts_machine_vm> vms;
    for (ts_workload *w : workloads)
        vms.push_back({w, by_vm.empty() ? mechanism : by_vm.at(vms.size()), params});
    out.status = ts_machine_create(&m, &c, vms.data(), seed, &err);
    if (out.status == TS_OK) {
        ts_machine_set_shootdowns(
            m,
            [](void *user, const ts_shootdown_record *r) {
                static_cast<Outcome *>(user)->shootdowns.push_back(*r);
            },
            &out);
        for (const ts_host_task_config &t : tasks) {
            if (out.status == TS_OK)
                out.status = ts_machine_add_host_task(m, &t, &err);
        }
        if (out.status == TS_OK)
            out.status = ts_machine_start(m, &err);
        if (out.status == TS_OK) {
            if (kernel)
                kernel(ts_machine_engine(m), TS_TIME_NEVER - 1);
            else
                ts_machine_run(m);
            out.status = ts_machine_finish(m, &err);
        }
        ts_machine_result(m, &out.result);
        out.vms.resize(c.run.vms);
        for (size_t v = 0; v < out.vms.size(); v++)
            ts_machine_vm_result(m, static_cast<uint32_t>(v), &out.vms[v]);
        ts_machine_visit_stats(m, collect, &out.stats);
        ts_machine_destroy(m);
    }
    out.message = err.message;
    return out;
}

/* One workload of the kind a VM, with params over its defaults. */
inline Outcome run_kind(const ts_machine_config &c, const ts_flush_ops *mechanism,
                        const char *kind_name, const StormParams &storm, uint64_t seed,
                        ts_time (*kernel)(ts_engine *, ts_time) = nullptr,
                        const Mechanisms &by_vm = {}, const HostTasks &tasks = {})
{
    ts_error err{};
    const ts_workload_kind *kind = ts_workload_kind_find(kind_name);
    std::vector<uint64_t> params((kind->ops.params_size + 7) / 8);
    ts_param_defaults(kind->ops.params, params.data());
    for (const auto &[key, value] : storm) {
        const ts_param *row = ts_param_find(kind->ops.params, key.c_str());
        if (!row || ts_param_set(row, params.data(), value.c_str(), &err) != TS_OK)
            throw std::runtime_error(std::string(kind_name) + "." + key + ": " + err.message);
    }
    std::vector<ts_workload *> workloads;
    for (uint64_t v = 0; v < c.run.vms; v++) {
        ts_workload_config wc{};
        wc.params = params.data();
        wc.seed = seed;
        wc.instance = v;
        ts_workload *w = nullptr;
        if (kind->create(&w, &wc, &err) != TS_OK) {
            for (ts_workload *made : workloads)
                made->destroy(made);
            throw std::runtime_error(err.message);
        }
        workloads.push_back(w);
    }
    Outcome out = run_workloads(c, mechanism, workloads, seed, kernel, nullptr, by_vm, tasks);
    for (ts_workload *w : workloads)
        w->destroy(w);
    return out;
}

inline Outcome run_storm(const ts_machine_config &c, const ts_flush_ops *mechanism,
                         const StormParams &storm, uint64_t seed,
                         ts_time (*kernel)(ts_engine *, ts_time) = nullptr,
                         const Mechanisms &by_vm = {}, const HostTasks &tasks = {})
{
    return run_kind(c, mechanism, "mmap_storm", storm, seed, kernel, by_vm, tasks);
}

} // namespace ts_test
#endif
