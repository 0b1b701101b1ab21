// SPDX-License-Identifier: Apache-2.0
#include "sim/front/groups.hpp"

#include <map>

namespace ts
{
namespace
{

// In order of seeds; NULL for those that failed.
std::vector<const RunSummary *> all_seeds(const RunSummary *first, size_t n)
{
    std::vector<const RunSummary *> runs;
    for (size_t i = 0; i < n; i++)
        runs.push_back(first[i].failed ? nullptr : &first[i]);
    return runs;
}

// The first runs of the baseline, by what they are compared with.
std::map<Row, const RunSummary *> baselines(const RunList &list,
                                            const std::vector<RunSummary> &runs)
{
    std::map<Row, const RunSummary *> found;
    for (size_t i = 0; !list.baseline.empty() && i < runs.size(); i += list.per_group)
        if (list.runs[i].subject == list.baseline)
            found.emplace(row_of(list.runs[i]), &runs[i]);
    return found;
}

} // namespace

Row row_of(const ListedRun &run)
{
    return {run.platform, run.swept};
}

std::vector<Group> groups_of(const RunList &list, const std::vector<RunSummary> &runs)
{
    const size_t n = list.per_group;
    std::vector<Group> groups;
    TS_ASSERT(list.runs.size() == runs.size() && runs.size() % n == 0);
    const std::map<Row, const RunSummary *> bases = baselines(list, runs);
    for (size_t i = 0; i < runs.size(); i += n) {
        Group group{&list.runs[i], all_seeds(&runs[i], n), {}};
        const auto base = bases.find(row_of(list.runs[i]));
        if (base != bases.end())
            group.baseline = all_seeds(base->second, n);
        group.baseline.resize(n, nullptr);
        for (size_t r = n; r-- > 0;)
            if (!group.runs[r]) {
                group.runs.erase(group.runs.begin() + static_cast<std::ptrdiff_t>(r));
                group.baseline.erase(group.baseline.begin() + static_cast<std::ptrdiff_t>(r));
            }
        if (!group.runs.empty())
            groups.push_back(std::move(group));
    }
    return groups;
}

std::string row_title(const RunList &list, const ListedRun &run)
{
    std::string text = run.platform;
    for (size_t i = 0; i < list.columns.size(); i++)
        text += ", " + list.columns[i].key + " = " + run.swept[i];
    return text;
}

bool has_window(const Group &group)
{
    return group.runs[0]->machine.result.window_ps > 0;
}

} // namespace ts
