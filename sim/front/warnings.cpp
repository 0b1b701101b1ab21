// SPDX-License-Identifier: Apache-2.0
#include "sim/front/warnings.hpp"

#include "sim/front/cmd_trace.hpp"

#include <set>

namespace ts
{
namespace
{

// What a point sets a parameter of the workload to, as text; empty if the kind has no such one.
std::string workload_value(const Resolved &resolved, const std::string &key)
{
    for (const ResolvedValue &value : resolved.values)
        if (value.key->scope == KeyScope::Workload && value.key->row->key == key)
            return value.key->format(value.value);
    return "";
}

uint64_t guest_cpus(const ts_machine_config &config)
{
    const ts_topology_params &t = config.topology;
    return config.hypervisor.kind == TS_HYP_NONE
               ? t.sockets * t.cores_per_socket * t.threads_per_core
               : config.run.vcpus;
}

// Everything that by itself keeps a machine from shooting down any translation.
std::vector<std::string> reasons(const Resolved &resolved, const WorkloadLook &look)
{
    std::vector<std::string> list;
    const std::string touch_pages = workload_value(resolved, "touch_pages");
    const std::string think = workload_value(resolved, "think");
    if (guest_cpus(resolved.config) < 2)
        list.emplace_back("the operating system has one CPU (run.vcpus)");
    if (!look.shares_memory)
        list.emplace_back("no two threads share an address space");
    if (look.losses == 0)
        list.emplace_back("the workload unmaps, protects and drops nothing");
    if (look.touches == 0)
        list.push_back("nothing is touched, so no TLB holds anything" +
                       (touch_pages.empty() ? std::string()
                                            : " (workload.touch_pages is " + touch_pages +
                                                  ": set it to the pages that are used)"));
    if (think == "none")
        list.emplace_back("calls follow each other without a pause, so threads hardly run at the "
                          "same time (workload.think is none: set it to sleep or recorded)");
    if (list.empty())
        list.emplace_back("no other CPU had the address space loaded when memory was taken away");
    return list;
}

// Of points with the same settings the first.
void warn_of_nothing(std::vector<std::string> *warnings, const Experiment &experiment,
                     const std::vector<Point> &points, const std::vector<RunSummary> &runs)
{
    const Point *first = nullptr;
    size_t empty = 0, finished = 0;
    for (size_t i = 0; i < points.size(); i++) {
        if (runs[i].failed)
            continue;
        finished++;
        if (runs[i].machine.result.shootdowns > 0)
            continue;
        empty++;
        first = first ? first : &points[i];
    }
    if (!first)
        return;
    const Resolved resolved = resolve(experiment, *first);
    // Of VMs that differ there is no one reason.
    if (!resolved.vms.empty())
        return;
    const WorkloadLook look = workload_look(experiment, resolved.workload_params, first->seed);
    // Cross-CPU calls are what it is for.
    if (look.calls > 0)
        return;
    std::string text = std::to_string(empty) + " of " + std::to_string(finished) +
                       " runs had no TLB shootdown, so mechanisms cannot differ there";
    const char *before = ": ";
    for (const std::string &reason : reasons(resolved, look)) {
        text += before + reason;
        before = "; ";
    }
    warnings->push_back(text);
}

} // namespace

std::string dropped_calls(const Experiment &experiment, bool *contradicts)
{
    return experiment.trace
               ? losses_text(*trace_info(experiment.trace->open().get(), false), contradicts)
               : "";
}

std::vector<std::string> fault_warnings(const std::vector<Point> &points)
{
    std::vector<std::string> warnings;
    std::set<const ts_flush_ops *> seen;
    for (const Point &point : points)
        if (point.mechanism && point.mechanism->faults && seen.insert(point.mechanism).second)
            warnings.push_back("mechanism " + std::string(point.mechanism->name) +
                               " is as it was posted, with its faults: " + point.mechanism->faults +
                               "; set run.oracle to true to see stale translations used");
    return warnings;
}

std::vector<std::string> warnings_of(const Experiment &experiment, const std::vector<Point> &points,
                                     const std::vector<RunSummary> &runs)
{
    std::vector<std::string> warnings;
    if (experiment.study)
        return warnings;
    warn_of_nothing(&warnings, experiment, points, runs);
    bool contradicts = false;
    const std::string dropped = dropped_calls(experiment, &contradicts);
    if (!dropped.empty() && (contradicts || !warnings.empty()))
        warnings.push_back(experiment.trace_label + ": " + dropped +
                           "; `tlbstorm trace info` says more");
    return warnings;
}

} // namespace ts
