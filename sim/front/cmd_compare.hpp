// SPDX-License-Identifier: Apache-2.0
// `tlbstorm compare A B`: what changed from one folder of results to another, seed by seed.
#ifndef TS_SIM_FRONT_CMD_COMPARE_HPP
#define TS_SIM_FRONT_CMD_COMPARE_HPP

#include "sim/front/results.hpp"
#include "sim/front/runlist.hpp"

#include <string>
#include <vector>

namespace ts
{

struct CompareCommand {
    std::string before, after;        // folders
    double tolerance_pct = 5;         // of regressions
    std::vector<std::string> metrics; // empty: those that can get better or worse
    bool all = false;                 // show also what is equal
    std::string csv;                  // a file for all rows; empty: none
    unsigned jobs = 1;                // threads that read
};

// A metric of one point on both sides.
struct CompareRow {
    std::string subject, platform;
    std::vector<std::string> swept;
    Metric metric;
    Estimate before, after;
    Estimate ratio;                     // after over before, paired by seed; n is 0 if before is 0
    bool worse = false, better = false; // whatever the size; the interval, if any, leaves out 0
    bool beyond = false;                // worse by more than the tolerance
    // Of the critical path of a shootdown, the part whose mean changed most, in ps.
    std::string part;
    double part_ps = 0, path_ps = 0;
};

struct Comparison {
    std::vector<CompareRow> rows;
    std::vector<SweptColumn> columns;
    size_t paired = 0, points = 0, only_before = 0, only_after = 0;
};

// Runs are paired by mechanism, platform, swept values and seed, whatever their order. A user error
// if no two are alike, if the folders sweep different keys, or if a metric is unknown.
Comparison compare_runs(const RunList &list_before, const std::vector<RunSummary> &before,
                        const RunList &list_after, const std::vector<RunSummary> &after,
                        const CompareCommand &command);

std::string compare_text(const Comparison &comparison, const CompareCommand &command);
std::string compare_csv(const Comparison &comparison);

// Prints. Returns the exit code: 1 if a metric has become worse by more than the tolerance.
int command_compare(const CompareCommand &command);

} // namespace ts

#endif
