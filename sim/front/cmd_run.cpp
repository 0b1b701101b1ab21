// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cli.hpp"
#include "sim/front/collect.hpp"
#include "sim/front/database.hpp"
#include "sim/front/failures.hpp"
#include "sim/front/folder.hpp"
#include "sim/front/jobs.hpp"
#include "sim/front/output.hpp"
#include "sim/front/results.hpp"
#include "sim/front/sensitivity.hpp"
#include "sim/front/verdict.hpp"
#include "sim/front/warnings.hpp"

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

namespace ts
{
namespace
{

bool wants_sensitivity(const RunCommand &command)
{
    return command.sensitivity || !command.sensitivity_of.empty();
}

void dry_run(const Experiment &experiment, const std::vector<Point> &points)
{
    std::printf("%zu runs:\n", points.size());
    for (const Point &point : points)
        std::printf("  %s\n", point.folder.c_str());
    // One configuration a platform and mechanism, if any; its other points differ as their names
    // say.
    std::set<std::pair<const Platform *, const ts_flush_ops *>> shown;
    for (const Point &point : points)
        if (shown.insert({point.platform, point.mechanism}).second)
            std::printf("---\n# %s\n%s", point.folder.c_str(),
                        resolved_yaml(experiment, point, resolve(experiment, point)).c_str());
}

// What became of the others. results: where they are; empty: there is none.
std::vector<std::string> what_of_others(size_t failed, size_t runs, const std::string &results)
{
    const std::string count = std::to_string(failed) + " of " + std::to_string(runs);
    if (!results.empty())
        return {count + " runs failed (" + results + "/failures.csv); the results of the others " +
                "are in " + results};
    if (runs > 1)
        return {"all " + std::to_string(runs) + " runs failed; nothing was kept"};
    return {};
}

// Opens the folder; what an earlier start of the same has finished is taken over.
void resume(OutputFolder *folder, const Experiment &experiment, const std::vector<Point> &points,
            const std::vector<std::string> &ids, JobsOptions *options)
{
    folder->open([&](const std::string &partial) {
        options->stored = stored_all(partial, experiment, points, ids, options->run, options->jobs);
        refuse_corrupt(partial, points, options->stored);
        const std::set<std::string> done = done_folders("", points, options->stored);
        if (!done.empty())
            folder->keep();
        return done;
    });
    options->on_done = [folder] { folder->keep(); };
}

// The results are complete before it begins: an interruption takes nothing from them.
void run_sensitivity(const RunCommand &command, const Experiment &experiment,
                     const std::vector<Point> &points, const std::vector<RunSummary> &runs,
                     const std::string &results)
{
    OutputFolder work(results + "/sensitivity", true);
    work.open();
    const std::vector<Sensitivity> list =
        sensitivity_run(command, experiment, points, runs, work.partial());
    replace_file(results + "/sensitivity.csv", sensitivity_csv(list));
    mark_files(results);
    std::printf("\n%s", sensitivity_text(list).c_str());
}

} // namespace

std::vector<Override> overrides_of(const RunCommand &command)
{
    std::vector<Override> overrides;
    for (const std::string &set : command.sets)
        overrides.push_back(override_parse(set));
    if (!command.seed.empty())
        overrides.push_back(Override{"seed", command.seed});
    if (command.check)
        overrides.push_back(Override{"run.oracle", "true"});
    return overrides;
}

std::string shell_word(const std::string &text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./=,+:-";
    if (!text.empty() && text.find_first_not_of(plain) == std::string::npos)
        return text;
    std::string quoted = "'";
    for (const char c : text)
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
}

void print_notes(const Experiment &experiment, const std::vector<Point> &points,
                 const std::vector<RunSummary> &runs, const std::string &folder)
{
    std::printf("\nAssumed parameters (remembered or guessed, not from a source):\n");
    const Platform *last = nullptr;
    for (size_t i = 0; i < points.size(); i++) {
        const Point &point = points[i];
        if (runs[i].failed || point.platform == last)
            continue;
        last = point.platform;
        const Resolved resolved = resolve(experiment, point);
        std::printf("  %s: %zu of %zu, marked in %s/%s/config.resolved.yaml\n",
                    point.platform->name.c_str(), resolved.assumed(), resolved.values.size(),
                    folder.c_str(), point.folder.c_str());
    }
    std::printf("`tlbstorm explain KEY` says more about one.\n");
    bool contradicts = false;
    const std::string dropped = dropped_calls(experiment, &contradicts);
    if (!dropped.empty())
        std::printf("Recording: %s\n", dropped.c_str());
    std::printf("Results: %s\n", folder.c_str());
}

void refuse_options(const RunCommand &command, const Experiment &experiment)
{
    const std::pair<bool, const char *> options[] = {
        {command.check, "--check"},
        {wants_sensitivity(command), "--sensitivity"},
        {command.timeline, "--timeline"},
        {!command.timeline_window.empty(), "--timeline-window"},
        {command.kernel != "native", "--kernel"},
    };
    for (const auto &option : options)
        if (experiment.study && option.first)
            user_error(Place(), std::string(option.second) + " is of whole machines; the study " +
                                    experiment.study->name + " has no such thing");
}

std::string point_command(const RunCommand &command, const Experiment &experiment,
                          const Point &point)
{
    std::string text = "tlbstorm run " + shell_word(command.experiment);
    const auto swept = [&](const std::string &key) {
        return std::any_of(point.swept.begin(), point.swept.end(),
                           [&](const Setting *setting) { return setting->key->name == key; });
    };
    for (const std::string &set : command.sets) {
        const std::string key = override_parse(set).key;
        static const std::set<std::string> of_point{"mechanisms", "platforms", "repetitions",
                                                    "seed", "baseline"};
        if (of_point.count(key) == 0 && !swept(key))
            text += " --set " + shell_word(set);
    }
    text += " --set platforms=" + point.platform->name;
    if (point.mechanism)
        text += " --set mechanisms=" + point.subject.name;
    for (const Setting *setting : point.swept)
        text +=
            " --set " + shell_word(setting->key->name + "=" + setting->key->format(setting->value));
    if (experiment.repetitions > 1)
        text += " --set repetitions=1";
    text += " --seed " + std::to_string(point.seed);
    if (command.check)
        text += " --check";
    if (command.kernel != "native")
        text += " --kernel " + command.kernel;
    return text;
}

JobsOptions jobs_options(const RunCommand &command, const Experiment &experiment)
{
    JobsOptions options;
    options.jobs = command.jobs;
    options.quiet = command.quiet;
    options.timeout_s = command.timeout_s;
    options.run.timeline = command.timeline || !command.timeline_window.empty();
    if (!command.timeline_window.empty())
        options.run.timeline_window = timeline_window_parse(command.timeline_window);
    options.run.kernel_name = command.kernel;
    options.run.kernel = command.kernel == "systemc" ? command.systemc : nullptr;
    options.run.command_line = command.command_line;
    options.reproduce = [&command, &experiment](const Point &point) {
        return point_command(command, experiment, point);
    };
    return options;
}

void command_run(const RunCommand &command)
{
    const Experiment experiment = experiment_load(command.experiment, overrides_of(command));
    refuse_options(command, experiment);
    const std::vector<Point> points = experiment_points(experiment);
    experiment_check(experiment);
    sensitivity_check(command, experiment, points);
    for (const std::string &warning : fault_warnings(points))
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    if (command.dry_run) {
        dry_run(experiment, points);
        return;
    }
    OutputFolder folder(command.output.empty() ? "out/" + experiment.name : command.output,
                        command.force);
    JobsOptions options = jobs_options(command, experiment);
    std::vector<Failure> failures;
    options.failures = &failures;
    const std::vector<std::string> ids = point_ids(experiment, points, options.jobs);
    const RunList list = run_list(experiment, points, ids);
    resume(&folder, experiment, points, ids, &options);
    const std::vector<RunSummary> runs = run_all(experiment, points, options, folder.partial());
    if (failures.size() == points.size())
        throw failures_error(failures, what_of_others(failures.size(), points.size(), ""), options);
    write_file(folder.partial() + "/" + points_name, run_list_json(list));
    write_summaries(list, runs, folder.partial());
    database_write(folder.partial(), list, runs, failure_records(failures, options));
    std::string results = folder.path();
    if (failures.empty()) {
        folder.commit();
    } else {
        write_file(folder.partial() + "/failures.csv",
                   failures_csv(failure_records(failures, options)));
        results = folder.commit_incomplete();
    }
    std::fputs(summary_table(list, runs).c_str(), stdout);
    verdict_print(results, command.quiet);
    if (!command.quiet)
        print_notes(experiment, points, runs, results);
    std::fflush(stdout);
    for (const std::string &warning : warnings_of(experiment, points, runs))
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    if (!failures.empty())
        throw failures_error(failures, what_of_others(failures.size(), points.size(), results),
                             options);
    if (wants_sensitivity(command))
        run_sensitivity(command, experiment, points, runs, results);
}

} // namespace ts
