// SPDX-License-Identifier: Apache-2.0
// Runs points in processes of their own. A run that dies takes nothing with it, and the results do
// not depend on how many run at a time.
#ifndef TS_SIM_FRONT_JOBS_HPP
#define TS_SIM_FRONT_JOBS_HPP

#include "sim/front/run.hpp"

#include <functional>

namespace ts
{

// SIGINT, SIGTERM or SIGHUP has come; all children are gone.
struct Interrupted {
    int signal;
};

struct JobsOptions {
    RunOptions run;
    unsigned jobs = 1;
    bool quiet = false;
    // The command that repeats one point, for messages.
    std::function<std::string(const Point &)> reproduce;
};

// In the order of points. The first failure ends the others and is thrown, with its reproduction.
std::vector<RunSummary> run_all(const Experiment &experiment, const std::vector<Point> &points,
                                const JobsOptions &options, const std::string &folder);

} // namespace ts

#endif
