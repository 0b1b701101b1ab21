// SPDX-License-Identifier: Apache-2.0
#include "sim/front/failures.hpp"

#include <algorithm>

namespace ts
{
namespace
{

constexpr size_t shown_max = 10;

std::string more(size_t n)
{
    return "... and " + std::to_string(n) + " more";
}

} // namespace

std::vector<FailureRecord> failure_records(const std::vector<Failure> &failures,
                                           const JobsOptions &options)
{
    std::vector<FailureRecord> records;
    for (const Failure &failure : failures)
        records.push_back(FailureRecord{failure.point->folder, failure.error.exit_code(),
                                        failure.error.message(),
                                        options.reproduce(*failure.point)});
    return records;
}

Error failures_error(const std::vector<Failure> &failures,
                     const std::vector<std::string> &what_of_others, const JobsOptions &options)
{
    const Failure *worst = &failures.at(0);
    for (const Failure &failure : failures)
        if (failure.error.exit_code() > worst->error.exit_code())
            worst = &failure;
    Error error = failures[0].error;
    error.set_exit_code(worst->error.exit_code());
    for (size_t i = 1; i < std::min(shown_max, failures.size()); i++)
        error.add_line(failures[i].error.what());
    if (failures.size() > shown_max)
        error.add_line(more(failures.size() - shown_max));
    for (const std::string &line : what_of_others)
        error.add_line(line);
    error.add_line("reproduce: " + options.reproduce(*worst->point));
    return error;
}

void refuse_corrupt(const std::string &root, const std::vector<Point> &points,
                    const std::vector<Stored> &stored)
{
    std::vector<std::string> lines;
    for (size_t i = 0; i < points.size(); i++)
        if (stored[i].state == StoredState::Corrupt)
            lines.push_back(root + "/" + points[i].folder + " is corrupt (" + stored[i].why +
                            ") and is left alone; move it away to have it run again");
    if (lines.empty())
        return;
    Error error(TS_ERR_ENVIRONMENT, Place(), lines[0]);
    for (size_t i = 1; i < std::min(shown_max, lines.size()); i++)
        error.add_line(lines[i]);
    if (lines.size() > shown_max)
        error.add_line(more(lines.size() - shown_max));
    throw error;
}

std::set<std::string> done_folders(const std::string &prefix, const std::vector<Point> &points,
                                   const std::vector<Stored> &stored)
{
    std::set<std::string> folders;
    for (size_t i = 0; i < points.size(); i++)
        if (stored[i].state == StoredState::Done)
            folders.insert(prefix + points[i].folder);
    return folders;
}

} // namespace ts
