// SPDX-License-Identifier: Apache-2.0
// One simulation: from a point to its folder of results.
#ifndef TS_SIM_FRONT_RUN_HPP
#define TS_SIM_FRONT_RUN_HPP

#include "sim/front/experiment.hpp"
#include "sim/front/kernel.hpp"

#include <string>
#include <vector>

namespace ts
{

struct RunOptions {
    KernelRun kernel = nullptr; // null: the native one
    std::string kernel_name = "native";
    bool timeline = false;
    std::vector<std::string> command_line;
};

// What the summary needs of a machine's run. Plain data: it is sent through a pipe.
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

// Where a run writes until it is complete.
std::string partial_of(const std::string &folder, const Point &point);
// Writes the point's folder below `folder`, under a temporary name until it is complete. Throws:
// TS_ERR_FINDING for what the run itself found.
RunSummary run_point(const Experiment &experiment, const Point &point, const RunOptions &options,
                     const std::string &folder);

} // namespace ts

#endif
