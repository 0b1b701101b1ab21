// SPDX-License-Identifier: Apache-2.0
// One simulation: from a point to its folder of results.
#ifndef TS_SIM_FRONT_RUN_HPP
#define TS_SIM_FRONT_RUN_HPP

#include "sim/front/experiment.hpp"
#include "sim/front/kernel.hpp"
#include "sim/front/timeline.hpp"

#include <string>
#include <vector>

namespace ts
{

struct RunOptions {
    KernelRun kernel = nullptr; // null: the native one
    std::string kernel_name = "native";
    bool timeline = false;
    TimelineWindow timeline_window;
    // Other processes may run the same points in the same folder, on this machine or another: names
    // of what is not complete say whose they are.
    bool shared = false;
    std::vector<std::string> command_line;
};

// What the summary needs of a machine's run.
struct MachineSummary {
    struct ts_machine_result result;
    uint64_t records; // shootdowns with a critical path
    uint64_t path_total_ps;
    uint64_t path_ps[TS_PATH_PARTS];
};

struct RunSummary {
    bool failed = false; // and then nothing else here counts
    MachineSummary machine{};
    std::vector<uint64_t> counters; // a study's struct; empty for machines
};

// Where the process `pid` of this machine writes until the run is complete.
std::string partial_of(const std::string &folder, const Point &point, const RunOptions &options,
                       int pid);
// Writes the point's folder below `folder`, under a temporary name until it is complete. Throws:
// TS_ERR_FINDING for what the run itself found. Where another process has finished the same point
// in between, its folder stays.
RunSummary run_point(const Experiment &experiment, const Point &point, const RunOptions &options,
                     const std::string &folder);

} // namespace ts

#endif
