// SPDX-License-Identifier: Apache-2.0
#include "sim/front/results.hpp"

#include "sim/front/groups.hpp"
#include "sim/front/output.hpp"
#include "sim/front/stats_files.hpp"
#include "sim/front/study.hpp"
#include "sim/front/verdict.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace ts
{
namespace
{

Metric result_metric(const ResultColumn &column, const std::string &unit, double scale)
{
    return Metric{column.name, unit, column.help,
                  [scale, field = column.field](const RunSummary &run) {
                      return static_cast<double>(run.machine.result.*field) * scale;
                  }};
}

// In seconds or microseconds, as each is usually read.
std::vector<Metric> machine_metrics()
{
    std::vector<Metric> list;
    for (size_t i = 0; i < result_columns_count; i++) {
        const ResultColumn &column = result_columns[i];
        const std::string name = column.name, unit = column.unit;
        if (unit == "uHz")
            list.push_back(result_metric(column, "1/s", 1e-6));
        else if (unit == "milli")
            list.push_back(result_metric(column, "ratio", 1e-3));
        else if (unit != "ps")
            list.push_back(result_metric(column, unit, 1));
        else if (name.compare(0, 9, "shootdown") == 0)
            list.push_back(result_metric(column, "us", 1e-6));
        else
            list.push_back(result_metric(column, "s", 1e-12));
    }
    static const ResultColumn events{"events", "1", &ts_machine_result::events,
                                     "steps of the simulation kernel"};
    list.push_back(result_metric(events, "1", 1));
    return list;
}

Metric column_metric(const ts_study_ops &study, const ts_study_column &column)
{
    return Metric{column.name, column.unit, "", [&study, &column](const RunSummary &run) {
                      return study_value(study, column, run.counters);
                  }};
}

Estimate of_metric(const Group &group, const Metric &metric)
{
    std::vector<double> samples;
    for (const RunSummary *run : group.runs)
        samples.push_back(metric.value(*run));
    return estimate(samples);
}

// Baseline's completion over this one's, seed by seed: the operations of a seed are the same. In a
// window, in which all run for the same time, this one's rate over the baseline's.
std::vector<double> speedups(const Group &group)
{
    std::vector<double> samples;
    for (size_t i = 0; i < group.runs.size(); i++) {
        if (!group.baseline[i])
            continue;
        const struct ts_machine_result &own = group.runs[i]->machine.result,
                                       &base = group.baseline[i]->machine.result;
        const bool window = own.window_ps > 0 && base.window_ps > 0;
        const uint64_t above = window ? own.record_rate_uhz : base.completion_ps,
                       below = window ? base.record_rate_uhz : own.completion_ps;
        if (below > 0)
            samples.push_back(static_cast<double>(above) / static_cast<double>(below));
    }
    return samples;
}

// Ratios have a long tail upwards: their geometric mean is exp of the mean of this.
Estimate log_speedup(const Group &group)
{
    std::vector<double> samples;
    for (const double ratio : speedups(group))
        if (ratio > 0)
            samples.push_back(std::log(ratio));
    return estimate(samples);
}

std::string columns(const RunList &list)
{
    std::string text = list.study ? "study,platform" : "mechanism,platform";
    for (const SweptColumn &column : list.columns)
        text += "," + column.key;
    return text;
}

std::string cells(const Group &group)
{
    std::string text = group.point->subject + "," + group.point->platform;
    for (const std::string &number : group.point->numbers)
        text += "," + csv_field(number);
    return text;
}

std::string summary_row(const Group &group, const std::string &metric, const std::string &unit,
                        const Estimate &value)
{
    return cells(group) + "," + metric + "," + unit + "," + number(value.mean) + "," +
           (value.has_half_width ? number(value.half_width) : "") + "," + std::to_string(value.n) +
           "\n";
}

// Columns on a terminal: the bytes that go on in UTF-8 take none.
size_t width_of(const std::string &text)
{
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

std::string pad(const std::string &text, size_t width, bool left)
{
    const size_t used = width_of(text);
    const std::string space(width > used ? width - used : 0, ' ');
    return left ? text + space : space + text;
}

std::string seeds_text(size_t n)
{
    return n == 1 ? " (1 run each)" : " (mean of " + std::to_string(n) + " seeds)";
}

std::string point_title(const RunList &list, const Group &group)
{
    return row_title(list, *group.point) + seeds_text(group.runs.size());
}

std::vector<std::string> table_row(const Group &group)
{
    const auto mean = [&](uint64_t ts_machine_result::*field) {
        return of_metric(group, result_metric({"", "", field, ""}, "", 1)).mean;
    };
    const auto time = [&](uint64_t ts_machine_result::*field) {
        return short_time(mean(field) * 1e-12);
    };
    const Estimate faster = estimate(speedups(group));
    std::string speedup_text = "-";
    if (faster.n > 0) {
        char text[64];
        if (faster.has_half_width)
            std::snprintf(text, sizeof text, "%.3f +- %.3f", faster.mean, faster.half_width);
        else
            std::snprintf(text, sizeof text, "%.3f", faster.mean);
        speedup_text = text;
    }
    return {group.point->subject,
            has_window(group) ? short_count(mean(&ts_machine_result::record_rate_uhz) * 1e-6) + "/s"
                              : time(&ts_machine_result::completion_ps),
            time(&ts_machine_result::system_ps),
            short_count(mean(&ts_machine_result::shootdowns)),
            short_count(mean(&ts_machine_result::ipis)),
            short_count(mean(&ts_machine_result::vm_exits)),
            time(&ts_machine_result::shootdown_p50_ps),
            time(&ts_machine_result::shootdown_p99_ps),
            time(&ts_machine_result::shootdown_max_ps),
            speedup_text};
}

// Mechanisms of one platform and one combination stand together.
std::string machine_tables(const RunList &list, const std::vector<Group> &groups)
{
    static const std::vector<std::string> head{"mechanism", "completion", "system", "shootdowns",
                                               "IPIs",      "VM exits",   "p50",    "p99",
                                               "max",       "speedup"};
    std::string text;
    for (size_t i = 0; i < groups.size();) {
        TableRows rows{head};
        if (has_window(groups[i]))
            rows[0][1] = "records a VM";
        text += (i > 0 ? "\n" : "") + point_title(list, groups[i]) + "\n";
        const size_t first = i;
        for (; i < groups.size() && row_of(*groups[i].point) == row_of(*groups[first].point); i++)
            rows.push_back(table_row(groups[i]));
        text += table_text(rows, 1);
    }
    return text;
}

// A column of a table: lines above, and a cell a row.
struct TableColumn {
    std::vector<std::string> heading;
    std::vector<std::string> cells;
};

// Long names are broken, so that a row fits on a screen; the unit has a line of its own.
std::vector<std::string> study_heading(const ts_study_column &column)
{
    constexpr size_t line_max = 12;
    const std::string name = column.name, unit = column.unit;
    std::vector<std::string> lines{""};
    for (size_t begin = 0, end; begin < name.size(); begin = end) {
        end = std::min(name.find('_', begin), name.size() - 1) + 1;
        if (!lines.back().empty() && lines.back().size() + end - begin > line_max)
            lines.emplace_back();
        lines.back() += name.substr(begin, end - begin);
    }
    if (unit != "1")
        lines.push_back("(" + (unit == "ratio" ? "%" : unit) + ")");
    return lines;
}

// Three significant digits, and as many after the point in the half width; counts are whole.
std::string study_cell(const ts_study_column &column, const Estimate &value)
{
    const double scale = column.unit == std::string("ratio") ? 100 : 1;
    const double mean = value.mean * scale;
    const bool whole = !column.denominator && mean == std::floor(mean);
    const int magnitude = mean > 0 ? static_cast<int>(std::floor(std::log10(mean))) : 2;
    const int digits = whole ? 0 : std::clamp(2 - magnitude, 0, 9);
    const std::string text = fixed(mean, digits);
    return value.has_half_width ? text + " \u00b1" + fixed(value.half_width * scale, digits) : text;
}

// Headings stand on their lowest line.
TableRows rows_of(const std::vector<TableColumn> &columns)
{
    size_t height = 0;
    for (const TableColumn &column : columns)
        height = std::max(height, column.heading.size());
    TableRows rows(height + columns[0].cells.size());
    for (const TableColumn &column : columns) {
        const size_t above = height - column.heading.size();
        for (size_t i = 0; i < rows.size(); i++)
            rows[i].push_back(i < above    ? ""
                              : i < height ? column.heading[i - above]
                                           : column.cells[i - height]);
    }
    return rows;
}

// One table, a row a platform and combination of swept values.
std::string study_table(const RunList &list, const std::vector<Group> &groups)
{
    const ts_study_ops &study = *list.study;
    std::vector<TableColumn> columns{{{"platform"}, {}}};
    for (const SweptColumn &swept : list.columns)
        columns.push_back({{swept.key}, {}});
    const size_t left = columns.size();
    for (const Group &group : groups) {
        columns[0].cells.push_back(group.point->platform);
        for (size_t i = 1; i < left; i++)
            columns[i].cells.push_back(group.point->swept[i - 1]);
    }
    std::string empty;
    for (size_t i = 0; i < study.ncolumns; i++) {
        const ts_study_column &column = study.columns[i];
        if (!column.in_table)
            continue;
        TableColumn shown{study_heading(column), {}};
        bool zero = true;
        for (const Group &group : groups) {
            const Estimate value = of_metric(group, column_metric(study, column));
            zero = zero && value.mean == 0;
            shown.cells.push_back(study_cell(column, value));
        }
        if (zero)
            empty += (empty.empty() ? "  0 in every run: " : ", ") + std::string(column.name);
        else
            columns.push_back(shown);
    }
    return study.name + seeds_text(groups[0].runs.size()) + "\n" +
           table_text(rows_of(columns), left) + (empty.empty() ? "" : empty + "\n");
}

} // namespace

std::vector<Metric> metrics_of(const RunList &list)
{
    if (!list.study)
        return machine_metrics();
    std::vector<Metric> metrics;
    for (size_t i = 0; i < list.study->ncolumns; i++)
        metrics.push_back(column_metric(*list.study, list.study->columns[i]));
    return metrics;
}

std::string summary_csv(const RunList &list, const std::vector<RunSummary> &runs)
{
    std::string text = columns(list) + ",metric,unit,mean,ci95,n\n";
    const std::vector<Metric> metrics = metrics_of(list);
    for (const Group &group : groups_of(list, runs)) {
        for (const Metric &metric : metrics)
            text += summary_row(group, metric.name, metric.unit, of_metric(group, metric));
        const Estimate faster = estimate(speedups(group)), logarithm = log_speedup(group);
        if (faster.n > 0)
            text += summary_row(group, "speedup", "ratio", faster);
        if (logarithm.n > 0)
            text += summary_row(group, "log_speedup", "ln", logarithm);
    }
    return text;
}

// Means over all shootdowns of all seeds: the parts of a row add up to its total.
std::string critical_path_csv(const RunList &list, const std::vector<RunSummary> &runs)
{
    std::string text = columns(list) + ",part,unit,mean,share,shootdowns\n";
    for (const Group &group : groups_of(list, runs)) {
        MachineSummary sum{};
        for (const RunSummary *finished : group.runs) {
            const MachineSummary &run = finished->machine;
            sum.records += run.records;
            sum.path_total_ps += run.path_total_ps;
            for (size_t part = 0; part < TS_PATH_PARTS; part++)
                sum.path_ps[part] += run.path_ps[part];
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

std::string columns_csv(const RunList &list)
{
    std::string text = "name,kind,unit,meaning\n";
    const auto row = [&](const std::string &name, const std::string &kind, const std::string &unit,
                         const std::string &meaning) {
        text +=
            csv_field(name) + "," + kind + "," + csv_field(unit) + "," + csv_field(meaning) + "\n";
    };
    for (const SweptColumn &column : list.columns)
        row(column.key, "swept", column.unit, column.help);
    for (const Metric &metric : metrics_of(list))
        row(metric.name, "metric", metric.unit, metric.help);
    if (list.baseline.empty())
        return text;
    row("speedup", "metric", "ratio", "of the baseline over this one, paired seed by seed");
    row("log_speedup", "metric", "ln", "its natural logarithm, seed by seed");
    return text;
}

std::string summary_table(const RunList &list, const std::vector<RunSummary> &runs,
                          size_t max_groups)
{
    std::vector<Group> groups = groups_of(list, runs);
    const size_t all = groups.size();
    if (all == 0)
        return "";
    groups.resize(std::min(all, max_groups));
    const std::string text = list.study ? study_table(list, groups) : machine_tables(list, groups);
    if (groups.size() == all)
        return text;
    return text + "... and " + std::to_string(all - groups.size()) + " rows more in summary.csv\n";
}

std::string table_text(const TableRows &rows, size_t left)
{
    std::vector<size_t> widths(rows[0].size(), 0);
    for (const auto &row : rows)
        for (size_t i = 0; i < row.size(); i++)
            widths[i] = std::max(widths[i], width_of(row[i]));
    std::string text;
    for (const auto &row : rows) {
        std::string line = " ";
        for (size_t i = 0; i < row.size(); i++)
            line += (i > 0 ? "  " : " ") + pad(row[i], widths[i], i < left);
        text += line + "\n";
    }
    return text;
}

void write_summaries(const RunList &list, const std::vector<RunSummary> &runs,
                     const std::string &folder)
{
    replace_file(folder + "/summary.csv", summary_csv(list, runs));
    replace_file(folder + "/columns.csv", columns_csv(list));
    if (list.study)
        return;
    replace_file(folder + "/critical_path.csv", critical_path_csv(list, runs));
    verdict_write(list, runs, folder);
}

} // namespace ts
