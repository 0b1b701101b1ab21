// SPDX-License-Identifier: Apache-2.0
#include "sim/front/simulation.hpp"

namespace ts
{

void throw_unless_ok(ts_status status, const ts_error &error)
{
    if (status != TS_OK)
        throw Error(error);
}

Simulation::Simulation(const Experiment &experiment, const Point &point, const Resolved &resolved)
{
    for (uint64_t i = 0; i < resolved.guests(); i++) {
        const ResolvedVm *vm = resolved.vms.empty() ? nullptr : resolved.by_vm[i];
        workloads.push_back(
            vm ? workload_make(*vm->load, vm->workload_params, point.seed, i)
               : workload_make(experiment, resolved.workload_params, point.seed, i));
    }
    create(point, resolved);
}

Simulation::Simulation(const Point &point, const Resolved &resolved,
                       std::vector<Workload> own_workloads)
    : workloads(std::move(own_workloads))
{
    create(point, resolved);
}

void Simulation::create(const Point &point, const Resolved &resolved)
{
    ts_error error;
    ts_machine *made = nullptr;
    std::vector<ts_machine_vm> vms;
    for (uint64_t i = 0; i < resolved.guests(); i++) {
        const ResolvedVm *vm = resolved.vms.empty() ? nullptr : resolved.by_vm[i];
        vms.push_back({workloads[i].workload.get(), vm ? vm->mechanism : point.mechanism,
                       vm ? vm->mechanism_struct() : resolved.subject_struct()});
    }
    throw_unless_ok(ts_machine_create(&made, &resolved.config, vms.data(), point.seed, &error),
                    error);
    machine.reset(made);
    host.add_to(made, point.platform->host_tasks);
    host.add_to(made, point.platform->host_noise, resolved.config, point.seed);
}

} // namespace ts
