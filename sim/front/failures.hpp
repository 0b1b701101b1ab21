// SPDX-License-Identifier: Apache-2.0
// What is told of points that did not finish.
#ifndef TS_SIM_FRONT_FAILURES_HPP
#define TS_SIM_FRONT_FAILURES_HPP

#include "sim/front/jobs.hpp"

#include <set>
#include <string>
#include <vector>

namespace ts
{

// As they are kept in files.
std::vector<FailureRecord> failure_records(const std::vector<Failure> &failures,
                                           const JobsOptions &options);

// A line a failed run, as far as they can be read, then the lines `what_of_others`, and how to
// repeat the worst, whose exit code it has. failures: at least one.
Error failures_error(const std::vector<Failure> &failures,
                     const std::vector<std::string> &what_of_others, const JobsOptions &options);

// An environment error that names those of points that are Corrupt; nothing if none is.
void refuse_corrupt(const std::string &root, const std::vector<Point> &points,
                    const std::vector<Stored> &stored);
// The folders of those that are Done, with `prefix` before each.
std::set<std::string> done_folders(const std::string &prefix, const std::vector<Point> &points,
                                   const std::vector<Stored> &stored);

} // namespace ts

#endif
