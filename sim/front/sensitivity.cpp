// SPDX-License-Identifier: Apache-2.0
#include "sim/front/sensitivity.hpp"

#include "models/flush/flush.h"
#include "sim/front/output.hpp"
#include "sim/front/results.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <tuple>

namespace ts
{
namespace
{

constexpr size_t shown_max = 10;

// A platform's runs at the last swept values with the first seed, by mechanism in order.
struct Base {
    const Platform *platform = nullptr;
    const Point *point = nullptr; // the first of them
    std::vector<std::string> mechanisms;
    std::vector<double> measures;
    bool window = false;
};

double measure_of(const RunSummary &run)
{
    const struct ts_machine_result &result = run.machine.result;
    if (run.failed)
        return 0;
    return static_cast<double>(result.window_ps > 0 ? result.record_rate_uhz
                                                    : result.completion_ps);
}

// Points stand in the order platform, swept values, mechanism, seed.
std::vector<Base> bases_of(const Experiment &experiment, const std::vector<Point> &points,
                           const std::vector<RunSummary> &runs)
{
    std::vector<Base> bases;
    const size_t per_group = points_per_group(experiment);
    for (size_t i = 0; i < points.size(); i += per_group) {
        const Point &point = points[i];
        if (bases.empty() || bases.back().platform != point.platform)
            bases.emplace_back();
        Base &base = bases.back();
        if (!base.point || base.point->swept != point.swept) {
            base = Base{};
            base.platform = point.platform;
            base.point = &point;
        }
        base.mechanisms.push_back(point.subject.name);
        base.measures.push_back(measure_of(runs[i]));
        base.window = base.window || runs[i].machine.result.window_ps > 0;
    }
    return bases;
}

double log_ratio(double above, double below)
{
    return above > 0 && below > 0 ? std::log(above / below) : 0;
}

// The experiment of this platform, row and seed, in which one key has two values.
std::vector<Override> overrides_for(const RunCommand &command, const Base &base,
                                    const std::string &key, const std::string &values)
{
    std::vector<Override> overrides = overrides_of(command);
    const auto set = [&](const std::string &name, const std::string &value) {
        overrides.erase(std::remove_if(overrides.begin(), overrides.end(),
                                       [&](const Override &o) { return o.key == name; }),
                        overrides.end());
        overrides.push_back(Override{name, value});
    };
    for (const Setting *setting : base.point->swept)
        set(setting->key->name, setting->key->format(setting->value));
    set("platforms", base.platform->name);
    set("repetitions", "1");
    set("seed", std::to_string(base.point->seed));
    set(key, values);
    return overrides;
}

void vary(Sensitivity *result, const RunCommand &command, const Base &base,
          const std::string &folder)
{
    const Experiment experiment =
        experiment_load(command.experiment, overrides_for(command, base, result->key,
                                                          result->low + "," + result->high));
    const std::vector<Point> points = experiment_points(experiment);
    experiment_check(experiment);
    JobsOptions options = jobs_options(command, experiment);
    options.quiet = true;
    options.run.timeline = false;
    std::vector<Failure> failures;
    options.failures = &failures;
    const std::vector<RunSummary> runs = run_all(experiment, points, options, folder);
    const size_t n = base.mechanisms.size();
    if (runs.size() != 2 * n) {
        result->skipped = "it decides which runs there are";
        return;
    }
    for (size_t i = 0; i < n; i++) {
        result->at_low[i] = measure_of(runs[i]);
        result->at_high[i] = measure_of(runs[n + i]);
    }
    if (!failures.empty())
        result->skipped = failures[0].error.message();
}

void progress(bool quiet, size_t done, size_t all, const std::string &key)
{
    if (!quiet)
        std::fprintf(stderr, "sensitivity: %zu of %zu assumed parameters; %s\n", done, all,
                     key.c_str());
}

bool is_asked_for(const RunCommand &command, const std::string &key)
{
    const std::vector<std::string> &of = command.sensitivity_of;
    return of.empty() || std::any_of(of.begin(), of.end(), [&](const std::string &begin) {
               return key.compare(0, begin.size(), begin) == 0;
           });
}

bool heavier(const Sensitivity &a, const Sensitivity &b)
{
    if (a.skipped.empty() != b.skipped.empty())
        return a.skipped.empty();
    return std::make_tuple(-a.weight(), a.platform, a.key) <
           std::make_tuple(-b.weight(), b.platform, b.key);
}

std::string signed_number(double value)
{
    char text[32];
    std::snprintf(text, sizeof text, "%+.3f", value);
    return text;
}

std::string winner_text(const Sensitivity &s)
{
    if (!s.changes_winner())
        return "";
    const auto name = [&](const std::vector<double> &measures) {
        const size_t best = s.best(measures);
        return best < s.mechanisms.size() ? s.mechanisms[best] : std::string("none");
    };
    return name(s.at_low) + " is best at " + s.low + ", " + name(s.base) + " at " + s.value + ", " +
           name(s.at_high) + " at " + s.high;
}

// The mechanism whose figure moves most.
size_t most_moved(const Sensitivity &s)
{
    size_t most = 0;
    for (size_t i = 0; i < s.mechanisms.size(); i++) {
        const bool speedups = s.baseline < s.mechanisms.size();
        const auto of = [&](size_t m) {
            return std::fabs(speedups ? s.speedup_elasticity(m) : s.elasticity(m));
        };
        if (of(i) > of(most))
            most = i;
    }
    return most;
}

} // namespace

void sensitivity_check(const RunCommand &command, const Experiment &experiment,
                       const std::vector<Point> &points)
{
    std::vector<std::string> names;
    for (const Point &point : points)
        if (&point == &points[0] || point.platform != (&point - 1)->platform)
            for (const ResolvedValue &value : resolve(experiment, point).values)
                names.push_back(value.key->name);
    for (const std::string &begin : command.sensitivity_of)
        if (std::none_of(names.begin(), names.end(), [&](const std::string &name) {
                return name.compare(0, begin.size(), begin) == 0;
            }))
            user_error(Place(), "--sensitivity-of " + begin +
                                    ": no parameter of the runs begins so" +
                                    did_you_mean(begin, names));
}

double Sensitivity::elasticity(size_t mechanism) const
{
    return factor > 1 ? log_ratio(at_high[mechanism], at_low[mechanism]) / std::log(factor) : 0;
}

double Sensitivity::speedup_elasticity(size_t mechanism) const
{
    if (baseline >= mechanisms.size())
        return 0;
    const double difference = elasticity(baseline) - elasticity(mechanism);
    return more_is_better ? -difference : difference;
}

double Sensitivity::weight() const
{
    double most = 0;
    for (size_t i = 0; i < mechanisms.size(); i++)
        most = std::max(
            most, std::fabs(baseline < mechanisms.size() ? speedup_elasticity(i) : elasticity(i)));
    return most;
}

size_t Sensitivity::best(const std::vector<double> &measures) const
{
    size_t found = mechanisms.size();
    for (size_t i = 0; i < mechanisms.size(); i++) {
        const ts_flush_ops *ops = ts_flush_find(mechanisms[i].c_str());
        if (measures[i] <= 0 || (ops && ops->hypothetical))
            continue;
        if (found == mechanisms.size() ||
            (more_is_better ? measures[i] > measures[found] : measures[i] < measures[found]))
            found = i;
    }
    return found;
}

bool Sensitivity::changes_winner() const
{
    return skipped.empty() && (best(at_low) != best(base) || best(at_high) != best(base));
}

bool sensitivity_values(const ResolvedValue &value, uint64_t *low, uint64_t *high)
{
    const ts_param &row = *value.key->row;
    const bool is_number = row.type != TS_PARAM_BOOL && row.type != TS_PARAM_ENUM;
    if (!is_number || value.value == 0 || value.key->is_version())
        return false;
    *low = std::max(value.value / 2, row.min);
    *high = value.value > row.max / 2 ? row.max : value.value * 2;
    return *low > 0 && *low < *high && *low <= value.value && *high >= value.value;
}

std::vector<Sensitivity> sensitivity_run(const RunCommand &command, const Experiment &experiment,
                                         const std::vector<Point> &points,
                                         const std::vector<RunSummary> &runs,
                                         const std::string &folder)
{
    std::vector<Sensitivity> list;
    const std::vector<Base> bases = bases_of(experiment, points, runs);
    std::vector<const Base *> base_of;
    for (const Base &base : bases) {
        const Resolved resolved = resolve(experiment, *base.point);
        for (const ResolvedValue &value : resolved.values) {
            uint64_t low = 0, high = 0;
            if (!ts_confidence_assumed(value.confidence) ||
                !is_asked_for(command, value.key->name) || !sensitivity_values(value, &low, &high))
                continue;
            Sensitivity s;
            s.platform = base.platform->name;
            s.key = value.key->name;
            s.value = value.key->format(value.value);
            s.low = value.key->format(low);
            s.high = value.key->format(high);
            s.factor = static_cast<double>(high) / static_cast<double>(low);
            s.mechanisms = base.mechanisms;
            s.base = base.measures;
            s.at_low.assign(s.base.size(), 0);
            s.at_high.assign(s.base.size(), 0);
            s.baseline = static_cast<size_t>(
                std::find(s.mechanisms.begin(), s.mechanisms.end(), experiment.baseline) -
                s.mechanisms.begin());
            s.more_is_better = base.window;
            list.push_back(std::move(s));
            base_of.push_back(&base);
        }
    }
    for (size_t i = 0; i < list.size(); i++) {
        progress(command.quiet, i + 1, list.size(), list[i].key);
        try {
            vary(&list[i], command, *base_of[i], folder);
        } catch (const Error &error) {
            list[i].skipped = error.message();
        }
        for (const auto &entry : std::filesystem::directory_iterator(folder))
            std::filesystem::remove_all(entry.path());
    }
    return list;
}

std::string sensitivity_csv(std::vector<Sensitivity> list)
{
    std::stable_sort(list.begin(), list.end(), heavier);
    std::string text =
        "platform,parameter,value,low,high,mechanism,measure,unit,base,at_low,at_high,"
        "elasticity,speedup_elasticity,winner_changes,skipped\n";
    for (const Sensitivity &s : list)
        for (size_t i = 0; i < s.mechanisms.size(); i++) {
            const double scale = s.more_is_better ? 1e-6 : 1e-12;
            const bool ran = s.skipped.empty();
            text +=
                s.platform + "," + s.key + "," + csv_field(s.value) + "," + csv_field(s.low) + "," +
                csv_field(s.high) + "," + s.mechanisms[i] + "," +
                (s.more_is_better ? "record_rate,1/s," : "completion_time,s,") +
                number(s.base[i] * scale) + "," + (ran ? number(s.at_low[i] * scale) : "") + "," +
                (ran ? number(s.at_high[i] * scale) : "") + "," +
                (ran ? number(s.elasticity(i)) : "") + "," +
                (ran && s.baseline < s.mechanisms.size() ? number(s.speedup_elasticity(i)) : "") +
                "," + (s.changes_winner() ? "yes" : "no") + "," + csv_field(s.skipped) + "\n";
        }
    return text;
}

std::string sensitivity_text(std::vector<Sensitivity> list)
{
    std::stable_sort(list.begin(), list.end(), heavier);
    if (list.empty())
        return "Sensitivity: no assumed number can be varied.\n";
    const bool speedups = list[0].baseline < list[0].mechanisms.size();
    std::string text = std::string("Assumed parameters that weigh most (change of ") +
                       (speedups ? "the speedup" : "the result") +
                       " in per cent for one per cent of the parameter):\n";
    TableRows rows{{"parameter", "platform", "mechanism", "from", "to", "elasticity"}};
    size_t skipped = 0;
    std::string winners;
    for (const Sensitivity &s : list) {
        skipped += !s.skipped.empty();
        if (s.changes_winner())
            winners += "  " + s.key + " (" + s.platform + "): " + winner_text(s) + "\n";
        if (!s.skipped.empty() || rows.size() > shown_max || s.weight() == 0)
            continue;
        const size_t most = most_moved(s);
        rows.push_back({s.key, s.platform, s.mechanisms[most], s.low, s.high,
                        signed_number(speedups ? s.speedup_elasticity(most) : s.elasticity(most))});
    }
    text += rows.size() > 1 ? table_text(rows, 3) : "  none of them changes it\n";
    text += winners.empty() ? "None of " + std::to_string(list.size() - skipped) +
                                  ", halved or doubled alone, changes which mechanism is best.\n"
                            : "These change which mechanism is best:\n" + winners;
    if (skipped > 0)
        text += std::to_string(skipped) + " could not be varied; sensitivity.csv says why\n";
    return text;
}

} // namespace ts
