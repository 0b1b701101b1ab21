// SPDX-License-Identifier: Apache-2.0
#include "sim/front/results.hpp"

#include "sim/front/output.hpp"
#include "sim/front/stats_files.hpp"

#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ts
{
namespace
{

// The runs that differ only in the seed.
struct Group {
    const Point *point;
    const RunSummary *runs;
    size_t n;
    const RunSummary *baseline; // of the same platform and swept values, paired by seed; or NULL
};

std::vector<Group> groups_of(const Experiment &experiment, const std::vector<Point> &points,
                             const std::vector<RunSummary> &runs)
{
    const size_t n = points_per_group(experiment);
    std::vector<Group> groups;
    TS_ASSERT(points.size() == runs.size() && points.size() % n == 0);
    for (size_t i = 0; i < points.size(); i += n)
        groups.push_back(Group{&points[i], &runs[i], n, nullptr});
    for (Group &group : groups)
        for (const Group &other : groups)
            if (other.point->platform == group.point->platform &&
                other.point->swept == group.point->swept &&
                other.point->mechanism->name == experiment.baseline)
                group.baseline = other.runs;
    return groups;
}

struct Metric {
    std::string name;
    std::string unit;
    double scale; // from the field's unit
    uint64_t ts_machine_result::*field;
};

// In seconds or microseconds, as each is usually read.
std::vector<Metric> metrics()
{
    std::vector<Metric> list;
    for (size_t i = 0; i < result_columns_count; i++) {
        const ResultColumn &column = result_columns[i];
        Metric metric{column.name, column.unit, 1, column.field};
        if (metric.unit == "ps") {
            const bool latency = metric.name.compare(0, 9, "shootdown") == 0;
            metric.unit = latency ? "us" : "s";
            metric.scale = latency ? 1e-6 : 1e-12;
        }
        list.push_back(metric);
    }
    list.push_back(Metric{"events", "1", 1, &ts_machine_result::events});
    return list;
}

Estimate of_metric(const Group &group, const Metric &metric)
{
    std::vector<double> samples;
    for (size_t i = 0; i < group.n; i++)
        samples.push_back(static_cast<double>(group.runs[i].result.*metric.field) * metric.scale);
    return estimate(samples);
}

// Baseline's completion over this one's, seed by seed: the operations of a seed are the same.
Estimate speedup(const Group &group)
{
    std::vector<double> samples;
    for (size_t i = 0; group.baseline && i < group.n; i++) {
        const ts_time own = group.runs[i].result.completion_ps;
        const ts_time base = group.baseline[i].result.completion_ps;
        if (own > 0)
            samples.push_back(static_cast<double>(base) / static_cast<double>(own));
    }
    return estimate(samples);
}

std::string columns(const Experiment &experiment)
{
    std::string text = "mechanism,platform";
    for (const Sweep &sweep : experiment.sweeps)
        text += "," + sweep.key;
    return text;
}

// Values of plain numbers stay plain, so that a reader takes them as numbers.
std::string cells(const Group &group)
{
    std::string text =
        std::string(group.point->mechanism->name) + "," + group.point->platform->name;
    for (const Setting *setting : group.point->swept)
        text += "," + csv_field(setting->key->format(setting->value));
    return text;
}

std::string summary_row(const Group &group, const std::string &metric, const std::string &unit,
                        const Estimate &value)
{
    return cells(group) + "," + metric + "," + unit + "," + number(value.mean) + "," +
           (value.has_half_width ? number(value.half_width) : "") + "," + std::to_string(value.n) +
           "\n";
}

std::string pad(const std::string &text, size_t width, bool left)
{
    const std::string space(width > text.size() ? width - text.size() : 0, ' ');
    return left ? text + space : space + text;
}

std::string point_title(const Group &group, size_t n)
{
    std::string text = group.point->platform->name;
    for (const Setting *setting : group.point->swept)
        text += ", " + setting->key->name + " = " + setting->key->format(setting->value);
    return text + (n == 1 ? " (1 run each)" : " (mean of " + std::to_string(n) + " seeds)");
}

std::vector<std::string> table_row(const Group &group)
{
    const auto mean = [&](uint64_t ts_machine_result::*field) {
        return of_metric(group, Metric{"", "", 1, field}).mean;
    };
    const auto time = [&](uint64_t ts_machine_result::*field) {
        return short_time(mean(field) * 1e-12);
    };
    const Estimate faster = speedup(group);
    std::string speedup_text = "-";
    if (faster.n > 0) {
        char text[64];
        if (faster.has_half_width)
            std::snprintf(text, sizeof text, "%.3f +- %.3f", faster.mean, faster.half_width);
        else
            std::snprintf(text, sizeof text, "%.3f", faster.mean);
        speedup_text = text;
    }
    return {group.point->mechanism->name,
            time(&ts_machine_result::completion_ps),
            time(&ts_machine_result::system_ps),
            short_count(mean(&ts_machine_result::shootdowns)),
            short_count(mean(&ts_machine_result::ipis)),
            short_count(mean(&ts_machine_result::vm_exits)),
            time(&ts_machine_result::shootdown_p50_ps),
            time(&ts_machine_result::shootdown_p99_ps),
            time(&ts_machine_result::shootdown_max_ps),
            speedup_text};
}

std::string print_rows(const std::vector<std::vector<std::string>> &rows)
{
    std::vector<size_t> widths(rows[0].size(), 0);
    for (const auto &row : rows)
        for (size_t i = 0; i < row.size(); i++)
            widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (const auto &row : rows) {
        std::string line = " ";
        for (size_t i = 0; i < row.size(); i++)
            line += " " + pad(row[i], widths[i] + (i > 0 ? 1 : 0), i == 0);
        text += line + "\n";
    }
    return text;
}

} // namespace

Estimate estimate(const std::vector<double> &samples)
{
    Estimate result;
    result.n = samples.size();
    if (samples.empty())
        return result;
    double sum = 0;
    for (const double sample : samples)
        sum += sample;
    const auto n = static_cast<double>(samples.size());
    result.mean = sum / n;
    if (samples.size() < 2)
        return result;
    double squares = 0;
    for (const double sample : samples)
        squares += (sample - result.mean) * (sample - result.mean);
    const boost::math::students_t distribution(n - 1);
    const double t = boost::math::quantile(boost::math::complement(distribution, 0.025));
    result.half_width = t * std::sqrt(squares / (n - 1) / n);
    result.has_half_width = true;
    return result;
}

std::string summary_csv(const Experiment &experiment, const std::vector<Point> &points,
                        const std::vector<RunSummary> &runs)
{
    std::string text = columns(experiment) + ",metric,unit,mean,ci95,n\n";
    const std::vector<Metric> list = metrics();
    for (const Group &group : groups_of(experiment, points, runs)) {
        for (const Metric &metric : list)
            text += summary_row(group, metric.name, metric.unit, of_metric(group, metric));
        const Estimate faster = speedup(group);
        if (faster.n > 0)
            text += summary_row(group, "speedup", "ratio", faster);
    }
    return text;
}

// Means over all shootdowns of all seeds: the parts of a row add up to its total.
std::string critical_path_csv(const Experiment &experiment, const std::vector<Point> &points,
                              const std::vector<RunSummary> &runs)
{
    std::string text = columns(experiment) + ",part,unit,mean,share,shootdowns\n";
    for (const Group &group : groups_of(experiment, points, runs)) {
        RunSummary sum;
        std::memset(&sum, 0, sizeof sum);
        for (size_t i = 0; i < group.n; i++) {
            sum.records += group.runs[i].records;
            sum.path_total_ps += group.runs[i].path_total_ps;
            for (size_t part = 0; part < TS_PATH_PARTS; part++)
                sum.path_ps[part] += group.runs[i].path_ps[part];
        }
        const auto row = [&](const std::string &name, uint64_t ps) {
            const double count = sum.records > 0 ? static_cast<double>(sum.records) : 1;
            const double total = sum.path_total_ps > 0 ? static_cast<double>(sum.path_total_ps) : 1;
            const auto part = static_cast<double>(ps);
            text += cells(group) + "," + name + ",us," + number(part / count * 1e-6) + "," +
                    number(part / total) + "," + std::to_string(sum.records) + "\n";
        };
        for (size_t part = 0; part < TS_PATH_PARTS; part++)
            row(ts_path_part_names[part], sum.path_ps[part]);
        row("total", sum.path_total_ps);
    }
    return text;
}

std::string summary_table(const Experiment &experiment, const std::vector<Point> &points,
                          const std::vector<RunSummary> &runs)
{
    static const std::vector<std::string> head{"mechanism", "completion", "system", "shootdowns",
                                               "IPIs",      "VM exits",   "p50",    "p99",
                                               "max",       "speedup"};
    const std::vector<Group> groups = groups_of(experiment, points, runs);
    std::string text;
    // Mechanisms of one platform and one combination stand together.
    for (size_t i = 0; i < groups.size();) {
        std::vector<std::vector<std::string>> rows{head};
        text += (i > 0 ? "\n" : "") + point_title(groups[i], groups[i].n) + "\n";
        const size_t first = i;
        for (; i < groups.size() && groups[i].point->platform == groups[first].point->platform &&
               groups[i].point->swept == groups[first].point->swept;
             i++)
            rows.push_back(table_row(groups[i]));
        text += print_rows(rows);
    }
    return text;
}

} // namespace ts
