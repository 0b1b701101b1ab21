// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cmd_sweep.hpp"

#include "sim/front/collect.hpp"
#include "sim/front/failures.hpp"
#include "sim/front/folder.hpp"
#include "sim/front/output.hpp"
#include "sim/front/paths.hpp"
#include "sim/front/verdict.hpp"
#include "sim/front/warnings.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

constexpr size_t table_groups_max = 40;

// A sweep whose points are known, and what is there of them.
struct Prepared {
    Experiment experiment;
    std::vector<Point> points;
    std::vector<std::string> ids;
    std::string folder;

    Prepared(const SweepCommand &command, bool check)
        : experiment(experiment_load(command.run.experiment, overrides_of(command.run)))
    {
        refuse_options(command.run, experiment);
        points = experiment_points(experiment);
        if (check)
            experiment_check(experiment);
        folder = command.run.output.empty() ? "out/" + experiment.name : command.run.output;
    }
};

size_t count(const std::vector<Stored> &stored, StoredState state)
{
    return static_cast<size_t>(std::count_if(stored.begin(), stored.end(),
                                             [&](const Stored &s) { return s.state == state; }));
}

// Points of another configuration in the place of ours: they are somebody's results.
void replace_others(const Prepared &sweep, std::vector<Stored> *stored, bool force)
{
    for (size_t i = 0; i < stored->size(); i++) {
        Stored &at = (*stored)[i];
        if (at.state != StoredState::Other)
            continue;
        const std::string folder = sweep.folder + "/" + sweep.points[i].folder;
        if (!force)
            user_error(Place(), folder + " holds " + at.why +
                                    "; -o names another folder, --force replaces such points");
        fs::remove_all(folder);
        at = Stored{};
    }
}

void dry_run(const Prepared &sweep, const std::vector<Stored> &stored)
{
    static const std::map<StoredState, const char *> words{{StoredState::Missing, "to run"},
                                                           {StoredState::Done, "done"},
                                                           {StoredState::Other, "other"},
                                                           {StoredState::Corrupt, "corrupt"}};
    std::printf("%zu points, %zu to run:\n", stored.size(), count(stored, StoredState::Missing));
    for (size_t i = 0; i < stored.size(); i++)
        std::printf("  %.12s  %-7s  %s\n", sweep.ids[i].c_str(), words.at(stored[i].state),
                    sweep.points[i].folder.c_str());
}

std::vector<std::string> missing_ids(const Prepared &sweep, const std::vector<Stored> &stored)
{
    std::vector<std::string> ids;
    for (size_t i = 0; i < stored.size(); i++)
        if (stored[i].state == StoredState::Missing)
            ids.push_back(sweep.ids[i]);
    return ids;
}

void print_results(const SweepCommand &command, const Prepared &sweep, const Collected &collected)
{
    std::fputs(summary_table(collected.list, collected.runs, table_groups_max).c_str(), stdout);
    verdict_print(sweep.folder, command.run.quiet);
    if (!command.run.quiet)
        print_notes(sweep.experiment, sweep.points, collected.runs, sweep.folder);
    std::fflush(stdout);
    for (const std::string &warning : warnings_of(sweep.experiment, sweep.points, collected.runs))
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
}

// Those that are corrupt are left alone, too.
std::vector<Point> to_run(const std::vector<Point> &points, std::vector<Stored> *stored)
{
    std::vector<Point> some;
    std::vector<Stored> theirs;
    for (size_t i = 0; i < points.size(); i++)
        if ((*stored)[i].state != StoredState::Corrupt) {
            some.push_back(points[i]);
            theirs.push_back(std::move((*stored)[i]));
        }
    *stored = std::move(theirs);
    return some;
}

void run_local(const SweepCommand &command, const Prepared &sweep, std::vector<Stored> stored)
{
    std::vector<Failure> failures;
    JobsOptions options = jobs_options(command.run, sweep.experiment);
    options.failures = &failures;
    const std::vector<Point> points = to_run(sweep.points, &stored);
    options.stored = std::move(stored);
    run_all(sweep.experiment, points, options, sweep.folder);
    const Collected collected = collect_read(sweep.folder, command.run.jobs);
    collect_write(sweep.folder, collected);
    print_results(command, sweep, collected);
    throw_unfinished(sweep.folder, collected);
}

void command_alone(const SweepCommand &command)
{
    Prepared sweep(command, true);
    sweep.ids = point_ids(sweep.experiment, sweep.points, command.run.jobs);
    for (const std::string &warning : fault_warnings(sweep.points))
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    SweepFolder folder(sweep.folder);
    const bool looks = command.run.dry_run || command.export_commands;
    if (!looks)
        folder.open_alone();
    const JobsOptions options = jobs_options(command.run, sweep.experiment);
    std::vector<Stored> stored = stored_all(sweep.folder, sweep.experiment, sweep.points, sweep.ids,
                                            options.run, command.run.jobs);
    if (command.run.dry_run) {
        dry_run(sweep, stored);
        return;
    }
    if (looks)
        folder.open_alone();
    replace_others(sweep, &stored, command.run.force);
    replace_file(sweep.folder + "/" + points_name,
                 run_list_json(run_list(sweep.experiment, sweep.points, sweep.ids)));
    if (command.export_commands) {
        for (const std::string &id : missing_ids(sweep, stored))
            std::printf("%s --point %.16s\n", worker_command(command, sweep.folder).c_str(),
                        id.c_str());
    } else if (command.launcher == "slurm") {
        const std::vector<std::string> ids = missing_ids(sweep, stored);
        if (ids.empty()) {
            run_local(command, sweep, std::move(stored));
            return;
        }
        std::fputs(slurm_submit(command, sweep.folder, ids).c_str(), stdout);
    } else {
        run_local(command, sweep, std::move(stored));
    }
}

std::vector<std::string> wanted_points(const SweepCommand &command)
{
    std::vector<std::string> wanted = command.points;
    if (command.points_from.empty())
        return wanted;
    std::ifstream file(command.points_from);
    if (!file)
        user_error(Place(), "no such file: " + command.points_from);
    for (std::string line; std::getline(file, line);)
        if (!line.empty())
            wanted.push_back(line);
    return wanted;
}

// The one run whose identity begins with that.
const ListedRun &listed_run(const std::map<std::string, const ListedRun *> &by_id,
                            const std::string &wanted, const std::string &folder)
{
    constexpr size_t shortest = 8;
    const auto at = by_id.lower_bound(wanted);
    const auto fits = [&](const auto &it) {
        return it != by_id.end() && it->first.compare(0, wanted.size(), wanted) == 0;
    };
    if (wanted.size() < shortest || !fits(at))
        user_error(Place(), "no point of " + folder + " has the identity '" + wanted + "'");
    if (fits(std::next(at)))
        user_error(Place(), "more than one point of " + folder +
                                " has an identity that begins with '" + wanted + "'");
    return *at->second;
}

// A part of the points, beside other processes: whoever began the sweep has checked everything, so
// only that the configuration is still the same is looked at.
void command_worker(const SweepCommand &command)
{
    Prepared sweep(command, false);
    const RunList list = run_list_read(sweep.folder);
    std::map<std::string, const ListedRun *> by_id;
    std::map<std::string, const Point *> by_folder;
    for (const ListedRun &run : list.runs)
        by_id.emplace(run.id, &run);
    for (const Point &point : sweep.points)
        by_folder.emplace(point.folder, &point);
    std::vector<Point> points;
    for (const std::string &wanted : wanted_points(command)) {
        const ListedRun &run = listed_run(by_id, wanted, sweep.folder);
        const auto point = by_folder.find(run.folder);
        if (point != by_folder.end()) {
            points.push_back(*point->second);
            sweep.ids.push_back(run.id);
        }
        if (point == by_folder.end() ||
            point_ids(sweep.experiment, {points.back()}, 1).at(0) != run.id)
            user_error(Place(), run.folder + ": " + command.run.experiment +
                                    " has changed since the sweep was begun in " + sweep.folder);
    }
    SweepFolder folder(sweep.folder);
    folder.open_shared();
    std::vector<Failure> failures;
    JobsOptions options = jobs_options(command.run, sweep.experiment);
    options.run.shared = true;
    options.failures = &failures;
    options.stored = stored_all(sweep.folder, sweep.experiment, points, sweep.ids, options.run,
                                command.run.jobs);
    refuse_corrupt(sweep.folder, points, options.stored);
    run_all(sweep.experiment, points, options, sweep.folder);
    if (!failures.empty())
        throw failures_error(failures,
                             {std::to_string(failures.size()) + " of " +
                              std::to_string(points.size()) + " points failed"},
                             options);
}

} // namespace

std::string worker_command(const SweepCommand &command, const std::string &folder)
{
    const RunCommand &run = command.run;
    std::string text = shell_word(fs::read_symlink("/proc/self/exe").string()) + " -q sweep " +
                       shell_word(fs::absolute(run.experiment).string());
    for (const std::string &set : run.sets)
        text += " --set " + shell_word(set);
    if (!run.seed.empty())
        text += " --seed " + shell_word(run.seed);
    if (run.check)
        text += " --check";
    if (run.timeline)
        text += " --timeline";
    if (!run.timeline_window.empty())
        text += " --timeline-window " + shell_word(run.timeline_window);
    if (run.kernel != "native")
        text += " --kernel " + run.kernel;
    if (run.timeout_s > 0)
        text += " --timeout " + number(run.timeout_s);
    return text + " -o " + shell_word(fs::absolute(folder).string());
}

void command_sweep(const SweepCommand &command)
{
    const bool some = !command.points.empty() || !command.points_from.empty();
    if (some && (command.launcher != "local" || command.export_commands || command.run.dry_run))
        user_error(Place(), "--point and --points-from go with the launcher local alone");
    if (command.export_commands && command.launcher != "local")
        user_error(Place(), "--export-commands goes with the launcher local alone");
    if (command.launcher != "slurm" && (command.chunk > 0 || !command.sbatch.empty()))
        user_error(Place(), "--chunk and --sbatch are of --launcher slurm");
    if (some)
        command_worker(command);
    else
        command_alone(command);
}

void command_status(const std::string &folder, bool json)
{
    const Collected collected = collect_read(folder, available_cpus());
    const size_t running = SweepFolder::partials(folder).size();
    if (json) {
        const nlohmann::ordered_json text{{"name", collected.list.name},
                                          {"points", collected.runs.size()},
                                          {"done", collected.done},
                                          {"failed", collected.failures.size()},
                                          {"corrupt", collected.corrupt.size()},
                                          {"missing", collected.missing},
                                          {"unfinished", running}};
        std::printf("%s\n", text.dump(1).c_str());
        return;
    }
    std::printf("%s: %s\n", collected.list.name.c_str(), counts_text(collected).c_str());
    if (running > 0)
        std::printf("  %zu are being run, or were when a process died\n", running);
    for (const FailureRecord &failure : collected.failures)
        std::printf("  failed: %s\n", failure.message.c_str());
    for (const std::string &line : collected.corrupt)
        std::printf("  %s\n", line.c_str());
}

void command_collect(const std::string &folder, unsigned jobs)
{
    SweepFolder(folder).clean();
    const Collected collected = collect_read(folder, jobs);
    collect_write(folder, collected);
    std::printf("%s: %s\n", collected.list.name.c_str(), counts_text(collected).c_str());
    std::fflush(stdout);
    throw_unfinished(folder, collected);
}

} // namespace ts
