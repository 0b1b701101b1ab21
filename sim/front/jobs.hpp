// SPDX-License-Identifier: Apache-2.0
// Runs points in processes of their own. A run that dies takes nothing with it, and the results do
// not depend on how many run at a time.
#ifndef TS_SIM_FRONT_JOBS_HPP
#define TS_SIM_FRONT_JOBS_HPP

#include "sim/front/error.hpp"
#include "sim/front/store.hpp"

#include <functional>

namespace ts
{

// SIGINT, SIGTERM or SIGHUP has come; all children are gone.
struct Interrupted {
    int signal;
    size_t done, total; // points that are complete
};

// A point that did not finish.
struct Failure {
    const Point *point;
    Error error;
};

// CPUs that this process may run on, at least 1.
unsigned available_cpus();

struct JobsOptions {
    RunOptions run;
    unsigned jobs = 1;
    bool quiet = false;
    // A run that takes longer fails; 0: none does.
    double timeout_s = 0;
    // Of earlier starts, with their summaries; empty: none is there. Those that are Done are not
    // run again.
    std::vector<Stored> stored;
    // Called when a point has finished.
    std::function<void()> on_done;
    // Not null: a failure does not keep the other points from running; failures are put here in
    // the order of points, and their summaries are marked. Each is kept in failed/ (store.hpp).
    std::vector<Failure> *failures = nullptr;
    // The command that repeats one point, for messages.
    std::function<std::string(const Point &)> reproduce;
};

// In the order of points. Without options.failures the first failure ends the others and is thrown,
// with its reproduction. Of a failed point nothing is left under its own name.
std::vector<RunSummary> run_all(const Experiment &experiment, const std::vector<Point> &points,
                                const JobsOptions &options, const std::string &folder);

} // namespace ts

#endif
