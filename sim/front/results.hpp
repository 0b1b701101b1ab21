// SPDX-License-Identifier: Apache-2.0
// What all runs of an experiment say together: summary.csv, critical_path.csv and the table that is
// printed.
#ifndef TS_SIM_FRONT_RESULTS_HPP
#define TS_SIM_FRONT_RESULTS_HPP

#include "sim/front/estimate.hpp"
#include "sim/front/run.hpp"
#include "sim/front/runlist.hpp"

#include <functional>
#include <string>
#include <vector>

namespace ts
{

// runs[i] is that of list.runs[i]; those that are `failed` are left out.
std::string summary_csv(const RunList &list, const std::vector<RunSummary> &runs);
std::string critical_path_csv(const RunList &list, const std::vector<RunSummary> &runs);
// What the columns and the metrics of summary.csv are, with their units.
std::string columns_csv(const RunList &list);
// At most max_groups of what differs not only in the seed; the rest is counted.
std::string summary_table(const RunList &list, const std::vector<RunSummary> &runs,
                          size_t max_groups = SIZE_MAX);
// Writes summary.csv, columns.csv and, of machines, critical_path.csv and verdict.txt into folder,
// each in one step.
void write_summaries(const RunList &list, const std::vector<RunSummary> &runs,
                     const std::string &folder);

// A number of a run that is summarised.
struct Metric {
    std::string name;
    std::string unit;
    std::string help;
    std::function<double(const RunSummary &)> value; // in the unit
};
std::vector<Metric> metrics_of(const RunList &list);

// Rows as aligned text; the first is the heading. The first `left` columns are words, the others
// numbers.
using TableRows = std::vector<std::vector<std::string>>;
std::string table_text(const TableRows &rows, size_t left);

} // namespace ts

#endif
