// SPDX-License-Identifier: Apache-2.0
// What rows of a reproduction say of finished runs: which point, which of its statistics, in which
// unit.
#ifndef TS_SIM_FRONT_ROW_VALUES_HPP
#define TS_SIM_FRONT_ROW_VALUES_HPP

#include "sim/front/cmd_reproduce.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ts
{

struct Stat {
    double value;
    std::string unit;
};
using Stats = std::map<std::string, Stat>; // "group.name"

// stats.csv as StatsFiles writes it; an environment error if it cannot be read.
Stats stats_read(const std::string &path);

// Index of the first seed of the one point that ref names; a user error at ref's place if there is
// none or more than one. points: of experiment, those of a group together.
size_t point_of(const Experiment &experiment, const std::vector<Point> &points,
                const SimulatedRef &ref);

// The statistics of the point of that index.
using StatsOf = std::function<const Stats &(size_t index)>;
// In `unit` (empty: as the statistic is), a value a seed. A user error at ref's place if there is
// no such statistic or no such unit.
std::vector<double> row_samples(const Experiment &experiment, const std::vector<Point> &points,
                                const SimulatedRef &ref, const std::string &unit,
                                const StatsOf &stats_of);

// The values, a seed each, of what is referred to.
using SamplesOf =
    std::function<std::vector<double>(const SimulatedRef &ref, const std::string &unit)>;
// In the row's unit; of two sides their ratio.
Estimate row_value(const ReproduceRow &row, const SamplesOf &samples_of);

} // namespace ts

#endif
