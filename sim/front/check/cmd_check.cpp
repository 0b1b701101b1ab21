// SPDX-License-Identifier: Apache-2.0
#include "sim/front/check/cmd_check.hpp"

#include "models/flush/flush.h"
#include "sim/front/check/orders.hpp"
#include "sim/front/check/search.hpp"
#include "sim/front/check/shrink.hpp"
#include "sim/front/check/story.hpp"
#include "sim/front/error.hpp"
#include "sim/front/experiment.hpp"
#include "sim/front/folder.hpp"
#include "sim/front/output.hpp"
#include "sim/front/timeline.hpp"

#include <charconv>
#include <cstdio>
#include <list>
#include <memory>

namespace ts
{
namespace
{

using Clock = std::chrono::steady_clock;

constexpr size_t shrink_runs = 5000;

// A mechanism in a machine of an experiment, or in any.
struct Candidate {
    std::string name; // of the table
    const ts_flush_ops *mechanism;
    DrawCase draw;
};

uint64_t seed_of(const std::string &text, const std::string &all)
{
    uint64_t value = 0;
    const auto end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end || value == 0)
        user_error(Place(), "--seeds " + all + ": must be like 7, 1..1000 or 1.., from 1 on");
    return value;
}

void read_seeds(const std::string &text, SearchSettings *settings)
{
    const size_t dots = text.find("..");
    settings->first = seed_of(text.substr(0, dots), text);
    if (dots == std::string::npos)
        settings->last = settings->first;
    else if (dots + 2 < text.size())
        settings->last = seed_of(text.substr(dots + 2), text);
    if (settings->last < settings->first)
        user_error(Place(), "--seeds " + text + ": the last is before the first");
}

double seconds_of(const std::string &text)
{
    return static_cast<double>(time_need("--time", text, TS_MS)) * 1e-12;
}

std::vector<std::string> mechanism_names()
{
    std::vector<std::string> names;
    for (size_t i = 0; i < ts_flush_table_count; i++)
        names.emplace_back(ts_flush_table[i]->name);
    return names;
}

const ts_flush_ops *mechanism_of(const std::string &name)
{
    const ts_flush_ops *found = ts_flush_find(name.c_str());
    if (!found)
        user_error(Place(),
                   "there is no mechanism '" + name + "'" + did_you_mean(name, mechanism_names()));
    return found;
}

std::vector<Candidate> any_machine(const CheckCommand &command)
{
    std::vector<Candidate> all;
    // One with known faults is looked at when it is named.
    for (size_t i = 0; command.mechanisms.empty() && i < ts_flush_table_count; i++)
        if (!ts_flush_table[i]->faults)
            all.push_back({ts_flush_table[i]->name, ts_flush_table[i], {}});
    for (const std::string &name : command.mechanisms)
        all.push_back({name, mechanism_of(name), {}});
    for (Candidate &candidate : all)
        candidate.draw = [m = candidate.mechanism, tiny = command.systematic,
                          small = command.small](uint64_t seed) {
            return tiny ? draw_tiny_case(seed, m) : draw_case(seed, m, small);
        };
    return all;
}

// The same cases with store buffers. drawn: their machines are, too.
void weaken(std::vector<Candidate> *candidates, bool drawn)
{
    for (Candidate &candidate : *candidates)
        candidate.draw = [strong = candidate.draw, drawn](uint64_t seed) {
            std::optional<CheckCase> c = strong(seed);
            if (c)
                draw_store_delay(&*c, drawn);
            return c;
        };
}

// Every platform, swept value and mechanism of an experiment.
std::vector<Candidate> of_experiment(const CheckCommand &command, const Experiment &experiment)
{
    std::vector<Candidate> all;
    if (experiment.study)
        user_error(Place{experiment.path, 0, 0}, "a study has no mechanism that could be checked");
    for (const std::string &name : command.mechanisms)
        (void)mechanism_of(name);
    const std::vector<Point> points = experiment_points(experiment);
    for (size_t i = 0; i < points.size(); i += points_per_group(experiment)) {
        const Point &point = points[i];
        const std::string mechanism = point.subject.name;
        if (!command.mechanisms.empty() &&
            std::find(command.mechanisms.begin(), command.mechanisms.end(), mechanism) ==
                command.mechanisms.end())
            continue;
        const Resolved resolved = resolve(experiment, point);
        if (!resolved.vms.empty())
            user_error(Place{experiment.path, 0, 0},
                       "check takes machines whose VMs are alike; platform " +
                           point.platform->name + " has 'vms'");
        std::string name = mechanism;
        if (!point.platform->name.empty())
            name += " on " + point.platform->name;
        const std::string swept = swept_text(point.swept);
        if (!swept.empty())
            name += ", " + swept;
        all.push_back(
            {name, point.mechanism,
             [m = point.mechanism, config = resolved.config, params = resolved.subject_params](
                 uint64_t seed) { return draw_case_in(seed, m, config, params); }});
    }
    if (all.empty())
        user_error(Place{experiment.path, 0, 0}, "none of its mechanisms is named");
    return all;
}

// Many cases with one step put off find more in the same time than few with two; what needs two is
// found by the few.
size_t put_offs_of(const CheckCommand &command, uint64_t seed)
{
    return command.put_offs.value_or(seed % 8 == 0 ? 2 : 1);
}

// Of the case, which becomes the one that is told.
std::string finding_text(const Candidate &candidate, const CheckCommand &command, CheckCase *shrunk)
{
    const CaseResult result = run_case_apart(*shrunk);
    const uint64_t seed = shrunk->seed;
    const bool apart = result.kind == FindingKind::Crash;
    const size_t before = operations_of(*shrunk);
    std::string text = candidate.name + ": " + finding_name(result.kind) + " (seed " +
                       std::to_string(seed) + ")\n";
    if (command.shrinks) {
        const Shrunk small = shrink(
            *shrunk,
            [&result, apart](const CheckCase &c) {
                try {
                    return same_finding(apart ? run_case_apart(c) : run_case(c), result);
                } catch (const Error &) {
                    return false; // it cannot run
                }
            },
            shrink_runs);
        *shrunk = small.c;
        text += "made smaller in " + std::to_string(small.runs) + " runs, from " +
                std::to_string(before) + " operations to " +
                std::to_string(operations_of(*shrunk)) + ":\n";
    }
    text += case_text(*shrunk) + "\nwhat happens:\n" + story_text(*shrunk, command.steps);
    text += "\nrepeat: tlbstorm check " + std::string(candidate.mechanism->name) + " --seeds " +
            std::to_string(seed);
    if (command.systematic)
        text += " --systematic --put-offs " + std::to_string(put_offs_of(command, seed)) +
                " --runs " + std::to_string(command.runs);
    if (command.small)
        text += " --small";
    if (command.weak_memory)
        text += " --weak-memory";
    if (!command.config.empty()) {
        text += " --config " + command.config;
        for (const std::string &set : command.sets)
            text += " --set " + set;
    }
    return text + "\n";
}

class TimelineWatcher : public CaseWatcher
{
  public:
    explicit TimelineWatcher(TimelineFile *file) : file_(file)
    {
    }
    void operation(ts_time, uint32_t, uint32_t, size_t) override
    {
    }
    void timeline(const ts_timeline_record &record) override
    {
        TimelineFile::record(file_, &record);
        last_ = record.when;
    }
    void shootdown(const ts_shootdown_record &) override
    {
    }
    ts_time last() const
    {
        return last_;
    }

  private:
    TimelineFile *file_;
    ts_time last_ = 0;
};

void write_timeline(const CheckCase &c, const std::string &path)
{
    TimelineFile file(path);
    TimelineWatcher watcher(&file);
    (void)run_case(c, &watcher);
    file.close(watcher.last());
    compress_file(path, Compression::Gzip);
}

struct Row {
    std::string name;
    SearchResult result;
    FindingKind kind = FindingKind::None;
    size_t operations = 0; // of the case that is told
    // Systematic: runs and orders of all cases, and how many of these have been seen through.
    uint64_t runs = 0, orders = 0, complete = 0;
    std::optional<CheckCase> found;
};

// The orders of one tiny case after the other.
Row explore_cases(const Candidate &candidate, const SearchSettings &settings,
                  const CheckCommand &command)
{
    const auto begin = Clock::now();
    OrdersSettings orders{settings.jobs, 0, command.runs, settings.until};
    Row row;
    row.name = candidate.name;
    for (uint64_t seed = settings.first; !row.found; seed++) {
        if (Clock::now() >= settings.until) {
            row.result.out_of_time = true;
            break;
        }
        orders.put_offs = put_offs_of(command, seed);
        if (const std::optional<CheckCase> c = candidate.draw(seed)) {
            try {
                const OrdersResult seen = explore(*c, orders);
                row.result.runs++;
                row.result.counts += seen.counts;
                row.runs += seen.runs;
                row.orders += seen.orders;
                row.complete += !seen.cut && !seen.found;
                row.found = seen.found;
            } catch (const CaseRefused &) {
                row.result.refused++;
            }
        } else {
            row.result.refused++;
        }
        if (row.found)
            row.result.found = seed;
        if (seed == settings.last)
            break;
    }
    row.result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return row;
}

std::string found_text(const Row &row)
{
    return row.result.found
               ? std::string(finding_name(row.kind)) + ", seed " + std::to_string(*row.result.found)
               : "none";
}

std::string orders_table_of(const std::vector<Row> &rows)
{
    size_t width = 9;
    for (const Row &row : rows)
        width = std::max(width, row.name.size());
    char line[400];
    std::snprintf(line, sizeof line, "%-*s %8s %8s %12s %12s %12s  %s\n", static_cast<int>(width),
                  "mechanism", "cases", "whole", "runs", "orders", "in flight", "finding");
    std::string text = line;
    for (const Row &row : rows) {
        std::snprintf(
            line, sizeof line, "%-*s %8llu %8llu %12llu %12llu %12s  ", static_cast<int>(width),
            row.name.c_str(), static_cast<unsigned long long>(row.result.runs),
            static_cast<unsigned long long>(row.complete),
            static_cast<unsigned long long>(row.runs), static_cast<unsigned long long>(row.orders),
            short_count(static_cast<double>(row.result.counts.in_window)).c_str());
        text += line + found_text(row) + "\n";
    }
    return text;
}

std::string table_of(const std::vector<Row> &rows)
{
    size_t width = 9;
    for (const Row &row : rows)
        width = std::max(width, row.name.size());
    char line[400];
    std::snprintf(line, sizeof line, "%-*s %10s %12s %12s %12s %12s  %s\n", static_cast<int>(width),
                  "mechanism", "cases", "shootdowns", "TLB hits", "in flight", "over-flushes",
                  "finding");
    std::string text = line;
    for (const Row &row : rows) {
        const SearchResult &r = row.result;
        const double in_vain = r.counts.invalidations > 0
                                   ? 100.0 * static_cast<double>(r.counts.in_vain) /
                                         static_cast<double>(r.counts.invalidations)
                                   : 0;
        std::snprintf(line, sizeof line, "%-*s %10llu %12s %12s %12s %10.0f %%  ",
                      static_cast<int>(width), row.name.c_str(),
                      static_cast<unsigned long long>(r.runs),
                      short_count(static_cast<double>(r.counts.shootdowns)).c_str(),
                      short_count(static_cast<double>(r.counts.hits)).c_str(),
                      short_count(static_cast<double>(r.counts.in_window)).c_str(), in_vain);
        text += line;
        text += found_text(row) + "\n";
    }
    return text;
}

std::string csv_of(const std::vector<Row> &rows)
{
    std::string text =
        "mechanism,cases,refused,shootdowns,hits,hits_in_flight,invalidations,over_flushes,"
        "finding,seed,operations,runs,orders,whole_cases\n";
    for (const Row &row : rows) {
        const SearchResult &r = row.result;
        text += csv_field(row.name) + "," + std::to_string(r.runs) + "," +
                std::to_string(r.refused) + "," + std::to_string(r.counts.shootdowns) + "," +
                std::to_string(r.counts.hits) + "," + std::to_string(r.counts.in_window) + "," +
                std::to_string(r.counts.invalidations) + "," + std::to_string(r.counts.in_vain) +
                "," + finding_name(row.kind) + "," +
                (r.found ? std::to_string(*r.found) + "," + std::to_string(row.operations) : ",") +
                "," + std::to_string(row.runs ? row.runs : r.runs) + "," +
                std::to_string(row.orders) + "," + std::to_string(row.complete) + "\n";
    }
    return text;
}

void say_progress(const CheckCommand &command, const Row &row)
{
    if (command.quiet)
        return;
    const SearchResult &r = row.result;
    std::fprintf(stderr, "%s: %llu cases in %.1f s%s\n", row.name.c_str(),
                 static_cast<unsigned long long>(r.runs), r.seconds, r.found ? ", found" : "");
}

} // namespace

void command_check(const CheckCommand &command)
{
    SearchSettings settings;
    settings.jobs = command.jobs;
    if (!command.seeds.empty())
        read_seeds(command.seeds, &settings);
    double seconds = command.time.empty() && settings.last == UINT64_MAX ? 60 : 0;
    if (!command.time.empty())
        seconds = seconds_of(command.time);
    if (command.config.empty() && !command.sets.empty())
        user_error(Place(), "--set is for a --config");
    if (command.systematic && !command.config.empty())
        user_error(Place(), "--systematic explores tiny cases of its own: not with --config");
    if (command.small && (command.systematic || !command.config.empty()))
        user_error(Place(),
                   std::string("--small is of machines that are drawn at random: not with ") +
                       (command.systematic ? "--systematic" : "--config"));
    std::unique_ptr<Experiment> experiment;
    if (!command.config.empty()) {
        std::vector<Override> overrides;
        for (const std::string &set : command.sets)
            overrides.push_back(override_parse(set));
        experiment = std::make_unique<Experiment>(experiment_load(command.config, overrides));
    }
    std::vector<Candidate> all =
        experiment ? of_experiment(command, *experiment) : any_machine(command);
    if (command.weak_memory)
        weaken(&all, !experiment);
    std::unique_ptr<OutputFolder> folder;
    if (!command.output.empty()) {
        folder = std::make_unique<OutputFolder>(command.output, command.force);
        folder->open();
    }
    std::vector<Row> rows;
    std::string stories;
    for (const Candidate &candidate : all) {
        if (seconds > 0)
            settings.until =
                Clock::now() +
                std::chrono::duration_cast<Clock::duration>(
                    std::chrono::duration<double>(seconds / static_cast<double>(all.size())));
        Row row;
        if (command.systematic) {
            row = explore_cases(candidate, settings, command);
        } else {
            row.name = candidate.name;
            row.result = search(candidate.draw, settings);
        }
        say_progress(command, row);
        if (row.result.runs == 0 && row.result.refused > 0)
            user_error(Place(), candidate.name + ": no case could be made of the " +
                                    std::to_string(row.result.refused) + " seeds tried");
        if (row.result.found) {
            CheckCase shrunk = row.found ? *row.found : *candidate.draw(*row.result.found);
            row.kind = run_case_apart(shrunk).kind;
            const std::string text = finding_text(candidate, command, &shrunk);
            row.operations = operations_of(shrunk);
            stories += "\n" + text;
            if (folder) {
                const std::string base =
                    folder->partial() + "/finding-" + std::to_string(rows.size() + 1);
                write_file(base + ".txt", text);
                if (row.kind != FindingKind::Crash)
                    write_timeline(shrunk, base + ".timeline.json");
            }
        }
        rows.push_back(row);
    }
    const std::string table = command.systematic ? orders_table_of(rows) : table_of(rows);
    std::fputs((table + stories).c_str(), stdout);
    if (folder) {
        write_file(folder->partial() + "/check.csv", csv_of(rows));
        folder->commit();
        if (!command.quiet)
            std::printf("Results: %s\n", folder->path().c_str());
    }
    const auto found = std::count_if(rows.begin(), rows.end(),
                                     [](const Row &row) { return row.result.found.has_value(); });
    if (found > 0)
        throw Error(TS_ERR_FINDING, Place(),
                    std::to_string(found) + " of " + std::to_string(rows.size()) +
                        (rows.size() == 1 ? " mechanism is wrong" : " mechanisms are wrong"));
}

} // namespace ts
