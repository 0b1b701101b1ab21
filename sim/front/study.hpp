// SPDX-License-Identifier: Apache-2.0
// One run of a study: from a point to its counters, and what its columns make of them.
#ifndef TS_SIM_FRONT_STUDY_HPP
#define TS_SIM_FRONT_STUDY_HPP

#include "sim/front/experiment.hpp"
#include "sim/front/stats_files.hpp"

#include <vector>

namespace ts
{

// Words of the study's counter struct.
size_t study_words(const ts_study_ops &study);
// Runs the study and adds its tables and columns to stats. Throws: TS_ERR_FINDING for a sum rule
// that does not hold. Returns the counter struct.
std::vector<uint64_t> study_run(const Experiment &experiment, const Point &point,
                                const Resolved &resolved, StatsFiles *stats);
// What the column says of the counters, in the column's unit.
double study_value(const ts_study_ops &study, const ts_study_column &column,
                   const std::vector<uint64_t> &counters);

} // namespace ts

#endif
