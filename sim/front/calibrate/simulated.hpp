// SPDX-License-Identifier: Apache-2.0
// What the simulator says of the micro-benchmarks of rows.hpp, of lines between cores, and of a
// storm, on a machine that is being calibrated.
#ifndef TS_SIM_FRONT_CALIBRATE_SIMULATED_HPP
#define TS_SIM_FRONT_CALIBRATE_SIMULATED_HPP

#include "sim/front/calibrate/rows.hpp"
#include "sim/front/experiment.hpp"

#include <string>
#include <vector>

namespace ts
{

// Names or paths of the three pieces, and what goes over them.
struct SimulatedPlatform {
    std::string machine, hypervisor, guest;
    std::string mechanism;
    std::vector<Override> sets;
    size_t cpus = 1; // vCPUs of the one VM

    bool bare() const
    {
        return hypervisor == "none";
    }
};

// Throws a user error if the platform cannot be simulated.
void platform_check(const SimulatedPlatform &platform);

struct SimulatedRow {
    double ns = 0;         // of a sample, the median of some rounds
    double interrupts = 0; // function-call interrupts a sample, the mean
};
// Threads stay on CPUs of their own: the caller on 0, the spinning ones on the next.
SimulatedRow simulate_row(const SimulatedPlatform &platform, const BenchRow &row);

// Nanoseconds of a transfer of a line, of the study line_sharing: column is "neighbour_ns", ...; 0:
// there are no such pairs.
double simulate_line(const SimulatedPlatform &platform, const std::string &column);

struct SimulatedStorm {
    double completion_ns = 0, user_ns = 0, system_ns = 0;
};
SimulatedStorm simulate_storm(const SimulatedPlatform &platform, const ts_cal_storm &storm,
                              uint64_t seed);

} // namespace ts

#endif
