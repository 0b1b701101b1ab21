// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cmd_compare.hpp"

#include "sim/front/collect.hpp"
#include "sim/front/output.hpp"
#include "sim/front/study.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <tuple>

namespace ts
{
namespace
{

constexpr int code_regression = 1;

// 1: more is better, -1: less is; 0: neither by itself.
int direction(const std::string &metric)
{
    static const std::map<std::string, int> directions{
        {"completion_time", -1}, {"mean_completion_time", -1}, {"system_time", -1},
        {"shootdown_mean", -1},  {"shootdown_p50", -1},        {"shootdown_p99", -1},
        {"munmap_mean", -1},     {"record_rate", 1},
    };
    const auto at = directions.find(metric);
    return at == directions.end() ? 0 : at->second;
}

// Of what is compared unless metrics are named; the others of `directions` say nearly the same.
const char *const usual[] = {"completion_time", "system_time", "shootdown_mean", "record_rate"};

using PointKey = std::tuple<std::string, std::string, std::vector<std::string>>;
PointKey key_of(const ListedRun &run)
{
    return {run.platform, run.subject, run.swept};
}

struct Pair {
    const RunSummary *before, *after;
};

std::vector<std::string> keys_of(const RunList &list)
{
    std::vector<std::string> keys;
    for (const SweptColumn &column : list.columns)
        keys.push_back(column.key);
    return keys;
}

std::string joined(const std::vector<std::string> &words)
{
    std::string text;
    for (const std::string &word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text.empty() ? "nothing" : text;
}

void check_alike(const RunList &before, const RunList &after, const CompareCommand &command)
{
    if (before.study != after.study)
        user_error(Place(), command.before + " and " + command.after + " hold different things: " +
                                (before.study ? before.study->name : "whole machines") + " and " +
                                (after.study ? after.study->name : "whole machines"));
    if (keys_of(before) != keys_of(after))
        user_error(Place(), "the folders sweep different keys: " + command.before + " " +
                                joined(keys_of(before)) + ", " + command.after + " " +
                                joined(keys_of(after)));
}

std::vector<Metric> chosen(const RunList &list, const CompareCommand &command)
{
    std::vector<Metric> metrics;
    std::vector<std::string> names;
    for (const Metric &metric : metrics_of(list)) {
        names.push_back(metric.name);
        const std::vector<std::string> &wanted = command.metrics;
        const bool is_usual =
            std::find(std::begin(usual), std::end(usual), metric.name) != std::end(usual);
        if (wanted.empty() ? list.study || is_usual
                           : std::find(wanted.begin(), wanted.end(), metric.name) != wanted.end())
            metrics.push_back(metric);
    }
    for (const std::string &name : command.metrics)
        if (std::find(names.begin(), names.end(), name) == names.end())
            user_error(Place(), "--metric " + name + ": there is no such metric" +
                                    did_you_mean(name, names));
    return metrics;
}

double path_mean(const RunSummary &run, size_t part)
{
    const MachineSummary &machine = run.machine;
    const uint64_t ps = part < TS_PATH_PARTS ? machine.path_ps[part] : machine.path_total_ps;
    return machine.records > 0 ? static_cast<double>(ps) / static_cast<double>(machine.records) : 0;
}

// Mean over the pairs of what changed.
double path_change(const std::vector<Pair> &pairs, size_t part)
{
    double sum = 0;
    for (const Pair &pair : pairs)
        sum += path_mean(*pair.after, part) - path_mean(*pair.before, part);
    return sum / static_cast<double>(pairs.size());
}

void set_path(CompareRow *row, const std::vector<Pair> &pairs)
{
    row->path_ps = path_change(pairs, TS_PATH_PARTS);
    for (size_t part = 0; part < TS_PATH_PARTS; part++) {
        const double change = path_change(pairs, part);
        if (std::fabs(change) > std::fabs(row->part_ps)) {
            row->part_ps = change;
            row->part = ts_path_part_names[part];
        }
    }
}

CompareRow row_of_pairs(const ListedRun &run, const Metric &metric, const std::vector<Pair> &pairs,
                        double tolerance_pct)
{
    CompareRow row;
    row.subject = run.subject;
    row.platform = run.platform;
    row.swept = run.swept;
    row.metric = metric;
    std::vector<double> before, after;
    for (const Pair &pair : pairs) {
        before.push_back(metric.value(*pair.before));
        after.push_back(metric.value(*pair.after));
    }
    row.before = estimate(before);
    row.after = estimate(after);
    if (row.before.mean > 0)
        row.ratio = ratio_estimate(after, before);
    const double change = row.ratio.n > 0 ? row.ratio.mean - 1 : 0;
    const bool told =
        row.ratio.has_half_width ? std::fabs(change) > row.ratio.half_width : change != 0;
    const double gain = change * direction(metric.name);
    row.better = told && gain > 0;
    row.worse = told && gain < 0;
    row.beyond = row.worse && -gain * 100 > tolerance_pct;
    return row;
}

bool is_equal(const CompareRow &row)
{
    return row.before.mean == row.after.mean && (row.ratio.n == 0 || row.ratio.half_width == 0);
}

std::string value_text(const Metric &metric, double value)
{
    if (metric.unit == "s")
        return short_time(value);
    if (metric.unit == "us")
        return short_time(value * 1e-6);
    return short_count(value) + (metric.unit == "1/s" ? "/s" : "");
}

std::string change_text(const CompareRow &row)
{
    if (is_equal(row))
        return "equal";
    if (row.ratio.n == 0)
        return "from nothing";
    char text[96];
    const double change = (row.ratio.mean - 1) * 100;
    if (row.ratio.has_half_width)
        std::snprintf(text, sizeof text, "%+.2f +- %.2f %%", change, row.ratio.half_width * 100);
    else
        std::snprintf(text, sizeof text, "%+.2f %%", change);
    return text;
}

std::string signed_time(double ps)
{
    return (ps < 0 ? "-" : "+") + short_time(std::fabs(ps) * 1e-12);
}

std::string word_of(const CompareRow &row)
{
    std::string text = row.beyond                                         ? "REGRESSION"
                       : row.worse                                        ? "worse"
                       : row.better                                       ? "better"
                       : direction(row.metric.name) == 0 || is_equal(row) ? ""
                                                                          : "not told apart";
    if (row.metric.name == "shootdown_mean" && !row.part.empty() && !is_equal(row))
        text += (text.empty() ? "" : "; ") + std::string("of it ") + row.part + " " +
                signed_time(row.part_ps);
    return text;
}

} // namespace

Comparison compare_runs(const RunList &list_before, const std::vector<RunSummary> &before,
                        const RunList &list_after, const std::vector<RunSummary> &after,
                        const CompareCommand &command)
{
    check_alike(list_before, list_after, command);
    Comparison result;
    result.columns = list_before.columns;
    const std::vector<Metric> metrics = chosen(list_before, command);
    std::map<std::pair<PointKey, uint64_t>, const RunSummary *> theirs;
    for (size_t i = 0; i < after.size(); i++)
        if (!after[i].failed)
            theirs[{key_of(list_after.runs[i]), list_after.runs[i].seed}] = &after[i];
    std::map<PointKey, std::vector<Pair>> pairs;
    std::vector<const ListedRun *> order;
    for (size_t i = 0; i < before.size(); i++) {
        if (before[i].failed)
            continue;
        const ListedRun &run = list_before.runs[i];
        const auto at = theirs.find({key_of(run), run.seed});
        if (at == theirs.end()) {
            result.only_before++;
            continue;
        }
        std::vector<Pair> &point = pairs[key_of(run)];
        if (point.empty())
            order.push_back(&run);
        point.push_back({&before[i], at->second});
        result.paired++;
        theirs.erase(at);
    }
    result.only_after = theirs.size();
    result.points = order.size();
    if (order.empty())
        user_error(Place(), "no run of " + command.before + " has its like in " + command.after +
                                " (mechanism, platform, swept values and seed)");
    for (const ListedRun *run : order)
        for (const Metric &metric : metrics) {
            const std::vector<Pair> &point = pairs[key_of(*run)];
            CompareRow row = row_of_pairs(*run, metric, point, command.tolerance_pct);
            if (row.before.mean == 0 && row.after.mean == 0)
                continue;
            if (!list_before.study)
                set_path(&row, point);
            result.rows.push_back(std::move(row));
        }
    return result;
}

std::string compare_text(const Comparison &comparison, const CompareCommand &command)
{
    std::string text = std::to_string(comparison.paired) + " runs of " +
                       std::to_string(comparison.points) + " points are in both";
    if (comparison.only_before > 0)
        text += ", " + std::to_string(comparison.only_before) + " only in " + command.before;
    if (comparison.only_after > 0)
        text += ", " + std::to_string(comparison.only_after) + " only in " + command.after;
    text += "\n";
    TableRows rows{{"mechanism", "platform"}};
    for (const SweptColumn &column : comparison.columns)
        rows[0].push_back(column.key);
    for (const char *name : {"metric", "before", "after", "change", ""})
        rows[0].emplace_back(name);
    size_t equal = 0, beyond = 0;
    for (const CompareRow &row : comparison.rows) {
        beyond += row.beyond;
        equal += is_equal(row);
        if (is_equal(row) && !command.all)
            continue;
        std::vector<std::string> cells{row.subject, row.platform};
        cells.insert(cells.end(), row.swept.begin(), row.swept.end());
        cells.push_back(row.metric.name);
        cells.push_back(value_text(row.metric, row.before.mean));
        cells.push_back(value_text(row.metric, row.after.mean));
        cells.push_back(change_text(row));
        cells.push_back(word_of(row));
        rows.push_back(cells);
    }
    if (rows.size() > 1)
        text += table_text(rows, 3 + comparison.columns.size());
    if (equal > 0 && !command.all)
        text += std::to_string(equal) + " of " + std::to_string(comparison.rows.size()) +
                " metrics are equal\n";
    const std::string limit = " beyond " + number(command.tolerance_pct) + " %\n";
    return text +
           (beyond == 0 ? "no regression"
                        : std::to_string(beyond) + " regression" + (beyond == 1 ? "" : "s")) +
           limit;
}

std::string compare_csv(const Comparison &comparison)
{
    std::string text = "mechanism,platform";
    for (const SweptColumn &column : comparison.columns)
        text += "," + csv_field(column.key);
    text += ",metric,unit,before,after,n,ratio,ratio_ci95,verdict,part,part_ps,shootdown_ps\n";
    for (const CompareRow &row : comparison.rows) {
        text += row.subject + "," + row.platform;
        for (const std::string &value : row.swept)
            text += "," + csv_field(value);
        text += "," + row.metric.name + "," + row.metric.unit + "," + number(row.before.mean) +
                "," + number(row.after.mean) + "," + std::to_string(row.before.n) + "," +
                (row.ratio.n > 0 ? number(row.ratio.mean) : "") + "," +
                (row.ratio.has_half_width ? number(row.ratio.half_width) : "") + "," +
                (row.beyond   ? "regression"
                 : row.worse  ? "worse"
                 : row.better ? "better"
                              : "") +
                "," + row.part + "," + number(row.part_ps) + "," + number(row.path_ps) + "\n";
    }
    return text;
}

int command_compare(const CompareCommand &command)
{
    const Collected before = collect_read(command.before, command.jobs);
    const Collected after = collect_read(command.after, command.jobs);
    const Comparison comparison =
        compare_runs(before.list, before.runs, after.list, after.runs, command);
    for (const Collected *side : {&before, &after})
        for (const std::string &corrupt : side->corrupt)
            std::fprintf(stderr, "warning: %s\n", corrupt.c_str());
    if (!command.csv.empty())
        replace_file(command.csv, compare_csv(comparison));
    std::fputs(compare_text(comparison, command).c_str(), stdout);
    return std::any_of(comparison.rows.begin(), comparison.rows.end(),
                       [](const CompareRow &row) { return row.beyond; })
               ? code_regression
               : 0;
}

} // namespace ts
