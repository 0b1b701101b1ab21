// SPDX-License-Identifier: Apache-2.0
// Folders of finished points: what one holds for those who come later, and what of an earlier start
// can be used again. A point's folder gets its name only when it is complete, so one that has it is
// finished, or somebody has touched it since.
#ifndef TS_SIM_FRONT_STORE_HPP
#define TS_SIM_FRONT_STORE_HPP

#include "sim/front/run.hpp"

#include <string>
#include <vector>

namespace ts
{

// The identity of a point: SHA-256 of its config.resolved.yaml, in hexadecimal. The file has
// everything that the results depend on: each parameter, mechanism, workload, seed.
std::string point_id(const std::string &resolved_text);
// Of all points, in their order; by several threads.
std::vector<std::string> point_ids(const Experiment &experiment, const std::vector<Point> &points,
                                   unsigned threads);

// Writes result.json into the folder `work`, after all other files: what the summaries need, whole
// numbers, and the sizes of the other files. run.json is the one that differs between equal runs
// and is left out.
void result_write(const std::string &work, const Point &point, const std::string &id,
                  const RunSummary &summary);

enum class StoredState {
    Missing,
    Done,
    Other,  // complete, but a run of something else: another configuration, version or kernel
    Corrupt // not as result_write left it
};
struct Stored {
    StoredState state = StoredState::Missing;
    std::string why; // of Other and Corrupt
    RunSummary summary;
};
// Reads the folder of the point `id`. study: null for whole machines.
Stored stored_read(const std::string &folder, const std::string &id, const ts_study_ops *study);
// As stored_read; what another version, another kernel or a run without the timeline that is asked
// for has left is Other.
Stored stored_for(const std::string &folder, const std::string &id, const Experiment &experiment,
                  const RunOptions &options);

// All points of `root`, in their order; by several threads.
std::vector<Stored> stored_all(const std::string &root, const Experiment &experiment,
                               const std::vector<Point> &points,
                               const std::vector<std::string> &ids, const RunOptions &options,
                               unsigned threads);

// Where failed points are kept below a folder of results.
extern const char failed_folder[];
// Of a point that did not finish.
struct FailureRecord {
    std::string run; // its folder
    int exit_code = 0;
    std::string message;
    std::string reproduce; // the command that repeats it
};
// Writes failed/<point>/ with failure.json and config.resolved.yaml, in place of an earlier one.
void failure_write(const std::string &root, const Experiment &experiment, const Point &point,
                   const FailureRecord &record);
// False if there is none for that point. An environment error if it cannot be read.
bool failure_read(const std::string &root, const std::string &point_folder, FailureRecord *record);
// After the point has finished after all.
void failure_remove(const std::string &root, const Point &point);
// Removes `folder` if it is empty, and then those above it up to `root`.
void remove_empty_folders(const std::string &root, const std::string &folder);

} // namespace ts

#endif
