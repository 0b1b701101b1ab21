// SPDX-License-Identifier: Apache-2.0
#include "sim/front/collect.hpp"

#include "sim/front/database.hpp"
#include "sim/front/folder.hpp"
#include "sim/front/output.hpp"
#include "sim/front/parallel.hpp"

#include <algorithm>
#include <filesystem>

namespace ts
{
namespace
{

constexpr size_t shown_max = 10;

void add_lines(Error *error, const std::vector<std::string> &lines, size_t begin)
{
    for (size_t i = begin; i < std::min(shown_max, lines.size()); i++)
        error->add_line(lines[i]);
    if (lines.size() > shown_max)
        error->add_line("... and " + std::to_string(lines.size() - shown_max) + " more");
}

std::vector<std::string> failure_lines(const std::vector<FailureRecord> &failures)
{
    std::vector<std::string> lines;
    for (const FailureRecord &failure : failures)
        lines.push_back(failure.message);
    return lines;
}

} // namespace

Collected collect_read(const std::string &folder, unsigned threads)
{
    Collected collected;
    collected.list = run_list_read(folder);
    const std::vector<ListedRun> &runs = collected.list.runs;
    std::vector<Stored> stored(runs.size());
    std::vector<FailureRecord> failures(runs.size());
    std::vector<char> failed(runs.size(), 0);
    parallel_for(runs.size(), threads, [&](size_t i) {
        stored[i] = stored_read(folder + "/" + runs[i].folder, runs[i].id, collected.list.study);
        if (stored[i].state == StoredState::Missing)
            failed[i] = failure_read(folder, runs[i].folder, &failures[i]);
    });
    for (size_t i = 0; i < runs.size(); i++) {
        const StoredState state = stored[i].state;
        collected.runs.push_back(std::move(stored[i].summary));
        collected.runs.back().failed = state != StoredState::Done;
        if (state == StoredState::Done)
            collected.done++;
        else if (state != StoredState::Missing)
            collected.corrupt.push_back(
                folder + "/" + runs[i].folder + " is " +
                (state == StoredState::Corrupt ? "corrupt (" : "not usable (") + stored[i].why +
                ") and is left alone");
        else if (failed[i])
            collected.failures.push_back(std::move(failures[i]));
        else
            collected.missing++;
    }
    return collected;
}

std::string failures_csv(const std::vector<FailureRecord> &failures)
{
    std::string text = "run,exit_code,message,reproduce\n";
    for (const FailureRecord &failure : failures)
        text += csv_field(failure.run) + "," + std::to_string(failure.exit_code) + "," +
                csv_field(failure.message) + "," + csv_field(failure.reproduce) + "\n";
    return text;
}

void collect_write(const std::string &folder, const Collected &collected)
{
    write_summaries(collected.list, collected.runs, folder);
    const std::string failures = folder + "/failures.csv";
    if (collected.failures.empty())
        std::filesystem::remove(failures);
    else
        replace_file(failures, failures_csv(collected.failures));
    database_write(folder, collected.list, collected.runs, collected.failures);
    mark_files(folder);
}

std::string counts_text(const Collected &collected)
{
    std::string text = std::to_string(collected.runs.size()) +
                       " points: " + std::to_string(collected.done) + " done";
    const std::pair<size_t, const char *> others[] = {
        {collected.failures.size(), " failed"},
        {collected.corrupt.size(), " corrupt"},
        {collected.missing, " missing"},
    };
    for (const auto &other : others)
        if (other.first > 0)
            text += ", " + std::to_string(other.first) + other.second;
    return text;
}

void throw_unfinished(const std::string &folder, const Collected &collected)
{
    const FailureRecord *worst = nullptr;
    for (const FailureRecord &failure : collected.failures)
        if (!worst || failure.exit_code > worst->exit_code)
            worst = &failure;
    if (!worst && collected.corrupt.empty() && collected.missing == 0)
        return;
    std::vector<std::string> lines = failure_lines(collected.failures);
    if (lines.empty())
        lines = collected.corrupt;
    const std::string counts = folder + ": " + counts_text(collected);
    Error error(TS_ERR_ENVIRONMENT, Place(), lines.empty() ? counts : lines[0]);
    add_lines(&error, lines, 1);
    if (worst) {
        error.set_exit_code(std::max<int>(worst->exit_code,
                                          collected.corrupt.empty() ? 0 : int(TS_ERR_ENVIRONMENT)));
        add_lines(&error, collected.corrupt, 0);
    }
    if (!lines.empty())
        error.add_line(counts);
    if (worst) {
        error.add_line("configurations and errors: " + folder + "/" + failed_folder);
        error.add_line("reproduce: " + worst->reproduce);
    }
    throw error;
}

} // namespace ts
