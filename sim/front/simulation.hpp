// SPDX-License-Identifier: Apache-2.0
// The machine of a point, with all that it uses.
#ifndef TS_SIM_FRONT_SIMULATION_HPP
#define TS_SIM_FRONT_SIMULATION_HPP

#include "sim/front/experiment.hpp"

#include <memory>
#include <vector>

namespace ts
{

void throw_unless_ok(ts_status status, const ts_error &error);

struct MachineDelete {
    void operator()(ts_machine *machine) const
    {
        ts_machine_destroy(machine);
    }
};

// experiment, point and resolved outlive it.
class Simulation
{
  public:
    Simulation(const Experiment &experiment, const Point &point, const Resolved &resolved);
    // Other workloads than the experiment's, one a VM, in the order of the VMs.
    Simulation(const Point &point, const Resolved &resolved, std::vector<Workload> workloads);

    // Destroyed in reverse: the machine before what it uses.
    std::vector<Workload> workloads;
    HostStreams host;
    std::unique_ptr<ts_machine, MachineDelete> machine;

  private:
    void create(const Point &point, const Resolved &resolved);
};

} // namespace ts

#endif
