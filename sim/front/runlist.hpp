// SPDX-License-Identifier: Apache-2.0
// The points of an experiment as a folder of results names them. points.json holds them, so that
// what is said of a folder (status, collect, query) needs nothing else.
#ifndef TS_SIM_FRONT_RUNLIST_HPP
#define TS_SIM_FRONT_RUNLIST_HPP

#include "sim/front/experiment.hpp"

#include <string>
#include <vector>

namespace ts
{

// A key that is swept. Its values are plain numbers in this unit; words if it is empty.
struct SweptColumn {
    std::string key;
    std::string unit;
    std::string help;
};

struct ListedRun {
    std::string folder;
    std::string id; // point_id
    std::string platform;
    std::string subject; // mechanism or study
    uint64_t seed = 0;
    std::vector<std::string> swept;   // as for people: "10us", a value a column
    std::vector<std::string> numbers; // as for programs: "0.00001"
};

struct RunList {
    std::string name, title;
    const ts_study_ops *study = nullptr; // null: whole machines
    std::string baseline;                // empty: none
    size_t per_group = 1;                // runs that differ only in the seed stand together
    std::vector<SweptColumn> columns;
    std::vector<ListedRun> runs;
};

extern const char points_name[]; // points.json

// ids: of the points, or empty.
RunList run_list(const Experiment &experiment, const std::vector<Point> &points,
                 const std::vector<std::string> &ids);
std::string run_list_json(const RunList &list);
// Reads points.json of `folder`. A user error if there is none, an environment error if it cannot
// be read.
RunList run_list_read(const std::string &folder);

} // namespace ts

#endif
