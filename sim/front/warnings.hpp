// SPDX-License-Identifier: Apache-2.0
// What somebody who reads the results of whole machines has to know and would not see in them.
#ifndef TS_SIM_FRONT_WARNINGS_HPP
#define TS_SIM_FRONT_WARNINGS_HPP

#include "sim/front/run.hpp"

#include <string>
#include <vector>

namespace ts
{

// One line each. runs[i] is that of points[i].
std::vector<std::string> warnings_of(const Experiment &experiment, const std::vector<Point> &points,
                                     const std::vector<RunSummary> &runs);

// Before any run: mechanisms that are known to be wrong, one line each.
std::vector<std::string> fault_warnings(const std::vector<Point> &points);

// Calls of a recording that were not replayed as they were made, counted; empty if there is none.
// *contradicts becomes true where the recording contradicts itself.
std::string dropped_calls(const Experiment &experiment, bool *contradicts);

} // namespace ts

#endif
