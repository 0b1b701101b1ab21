// SPDX-License-Identifier: Apache-2.0
// Runs that differ only in the seed, and the baseline's beside them: what every comparison of
// mechanisms starts from.
#ifndef TS_SIM_FRONT_GROUPS_HPP
#define TS_SIM_FRONT_GROUPS_HPP

#include "sim/front/run.hpp"
#include "sim/front/runlist.hpp"

#include <string>
#include <utility>
#include <vector>

namespace ts
{

// As far as they have finished; at least one has.
struct Group {
    const ListedRun *point; // the first seed's
    std::vector<const RunSummary *> runs;
    // Of the same platform and swept values, paired by seed. NULL: not run, or failed.
    std::vector<const RunSummary *> baseline;
};

// What mechanisms of one table have in common: the platform and the swept values.
using Row = std::pair<std::string, std::vector<std::string>>;
Row row_of(const ListedRun &run);

// In the order of the list. runs[i] is that of list.runs[i].
std::vector<Group> groups_of(const RunList &list, const std::vector<RunSummary> &runs);
// What a row is called: "x86, run.vms = 4".
std::string row_title(const RunList &list, const ListedRun &run);
// The group was measured within run.window: its result is a rate.
bool has_window(const Group &group);

} // namespace ts

#endif
