// SPDX-License-Identifier: Apache-2.0
#include "sim/front/verdict.hpp"

#include "models/flush/flush.h"
#include "sim/front/estimate.hpp"
#include "sim/front/groups.hpp"
#include "sim/front/output.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace ts
{

namespace
{

const char verdict_name[] = "verdict.txt";
const char verdict_begin[] = "Verdict, ";
const char warning_begin[] = "warning: ";
constexpr size_t shown_max = 8;
constexpr size_t seeds_enough = 5;

// What is asked of every row.
struct Question {
    const char *name;
    uint64_t ts_machine_result::*field;
    bool more_is_better;
};
constexpr Question completion{"completion time", &ts_machine_result::completion_ps, false};
constexpr Question rate{"records a second", &ts_machine_result::record_rate_uhz, true};
constexpr Question system_time{"system time", &ts_machine_result::system_ps, false};
constexpr Question latency{"shootdown latency", &ts_machine_result::shootdown_mean_ps, false};

// All seeds of one mechanism; failed ones are left out of every pair.
struct Contender {
    const Group *group;
    const RunSummary *first;
    size_t n;

    std::string name() const
    {
        const ts_flush_ops *ops = ts_flush_find(group->point->subject.c_str());
        return group->point->subject + (ops && ops->faults ? " (with its known faults)" : "");
    }
};

struct RowOfContenders {
    const ListedRun *point;
    std::vector<Contender> contenders;
    std::vector<Contender> bounds; // hypothetical: of no machine, so they do not compete
    const Contender *baseline = nullptr;
};

double mean_of(const Contender &of, uint64_t ts_machine_result::*field)
{
    std::vector<double> samples;
    for (size_t i = 0; i < of.n; i++)
        if (!of.first[i].failed)
            samples.push_back(static_cast<double>(of.first[i].machine.result.*field));
    return estimate(samples).mean;
}

// above over below, of the seeds that both have. n is 0 if there is nothing to divide by.
Estimate ratio_of(const Contender &above, const Contender &below,
                  uint64_t ts_machine_result::*field)
{
    std::vector<double> high, low;
    for (size_t i = 0; i < std::min(above.n, below.n); i++) {
        if (above.first[i].failed || below.first[i].failed)
            continue;
        high.push_back(static_cast<double>(above.first[i].machine.result.*field));
        low.push_back(static_cast<double>(below.first[i].machine.result.*field));
    }
    if (low.empty() || estimate(low).mean <= 0)
        return Estimate{};
    return ratio_estimate(high, low);
}

std::string percent(double value)
{
    const double size = std::fabs(value);
    return fixed(value, size < 9.95 ? 1 : 0);
}

// False where the interval holds 0, or where there is none.
bool is_told(const Estimate &ratio)
{
    return ratio.has_half_width && std::fabs(ratio.mean - 1) > ratio.half_width;
}

// "43 % below X (38 to 48 %)".
std::string difference(const Estimate &ratio, const std::string &other)
{
    constexpr double small = 0.1, large = 3; // beyond these per cents are hard to read
    const double sign = ratio.mean < 1 ? -1 : 1;
    const double by = (ratio.mean - 1) * 100 * sign;
    if (by == 0 && (!ratio.has_half_width || ratio.half_width == 0))
        return "equal to " + other;
    const double half = ratio.half_width, at = ratio.mean;
    const auto range = [&](const std::string &low, const std::string &high, const char *unit) {
        return !ratio.has_half_width ? std::string()
                                     : std::string(is_told(ratio) ? " ("
                                                                  : " (no difference can "
                                                                    "be told: ") +
                                           low + " to " + high + unit + ")";
    };
    if (at >= large)
        return fixed(at, 1) + " times " + other +
               range(fixed(at - half, 1), fixed(at + half, 1), "");
    if (at < small)
        return percent(at * 100) + " % of " + other +
               range(percent((at - half) * 100), percent((at + half) * 100), " %");
    return percent(by) + " % " + (sign < 0 ? "below " : "above ") + other +
           range(percent(by - half * 100), percent(by + half * 100), " %");
}

// Best first; equal ones in the order of the list.
std::vector<const Contender *> ranked(const RowOfContenders &row, const Question &question)
{
    std::vector<std::pair<double, const Contender *>> order;
    for (const Contender &contender : row.contenders) {
        const double mean = mean_of(contender, question.field);
        order.emplace_back(question.more_is_better ? -mean : mean, &contender);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto &a, const auto &b) { return a.first < b.first; });
    std::vector<const Contender *> list;
    for (const auto &entry : order)
        list.push_back(entry.second);
    return list;
}

std::string answer(const RowOfContenders &row, const Question &question)
{
    const std::vector<const Contender *> order = ranked(row, question);
    const Contender &best = *order[0], &next = *order[1];
    const Estimate to_next = ratio_of(next, best, question.field);
    if (to_next.n == 0)
        return "nothing to compare";
    const std::string after = next.name() + " is " + difference(to_next, "it");
    if (!row.baseline)
        return best.name() + " is best; " + after;
    if (row.baseline == &best)
        return best.name() + ", the baseline, is best; " + after;
    const Estimate to_base = ratio_of(best, *row.baseline, question.field);
    if (to_base.n == 0)
        return best.name() + " is best; the baseline has no such seed; " + after;
    std::string text = best.name() + " is best, " + difference(to_base, row.baseline->name());
    if (row.baseline != &next)
        text += "; " + after;
    return text;
}

// Where the time of this one's shootdowns went; empty if it had none.
std::string path_words(const Contender &of)
{
    uint64_t records = 0, total = 0, parts[TS_PATH_PARTS] = {};
    for (size_t i = 0; i < of.n; i++) {
        const MachineSummary &machine = of.first[i].machine;
        if (of.first[i].failed)
            continue;
        records += machine.records;
        total += machine.path_total_ps;
        for (size_t part = 0; part < TS_PATH_PARTS; part++)
            parts[part] += machine.path_ps[part];
    }
    if (records == 0 || total == 0)
        return "";
    const size_t most = static_cast<size_t>(std::max_element(parts, parts + TS_PATH_PARTS) - parts);
    const auto whole = static_cast<double>(total);
    return of.name() + " " + short_time(whole / static_cast<double>(records) * 1e-12) + ", " +
           percent(static_cast<double>(parts[most]) / whole * 100) + " % of it " +
           ts_path_part_names[most];
}

std::string paths_answer(const RowOfContenders &row, const Question &question)
{
    const Contender *best = ranked(row, question)[0];
    std::string text = path_words(*best);
    const std::string base =
        row.baseline && row.baseline != best ? path_words(*row.baseline) : std::string();
    return text.empty() ? base : base.empty() ? text : text + "; " + base;
}

std::string labelled(const std::string &name)
{
    std::string text = "  " + name + ":";
    text.resize(22, ' ');
    return text;
}

std::string row_verdict(const RunList &list, const RowOfContenders &row)
{
    const Group &first = *row.contenders[0].group;
    const size_t n = first.runs.size();
    std::string text = verdict_begin + row_title(list, *row.point) + " (" +
                       (n == 1 ? std::string("1 seed: no intervals")
                               : std::to_string(n) + " seeds, paired; 95 % intervals") +
                       "):\n";
    const Question &first_question = has_window(first) ? rate : completion;
    for (const Question *question : {&first_question, &system_time, &latency}) {
        if (question == &latency && path_words(row.contenders[0]).empty())
            continue;
        text += labelled(question->name) + answer(row, *question) + "\n";
    }
    const std::string paths = paths_answer(row, first_question);
    if (!paths.empty())
        text += labelled("a shootdown takes") + paths + "\n";
    for (const Contender &bound : row.bounds) {
        const Contender &best = *ranked(row, first_question)[0];
        const Estimate ratio = ratio_of(bound, best, first_question.field);
        if (ratio.n > 0)
            text += labelled("hypothetical") + bound.name() + " would be " +
                    difference(ratio, best.name()) + " in " + first_question.name + "\n";
    }
    return text;
}

std::vector<RowOfContenders> rows_of_contenders(const RunList &list,
                                                const std::vector<RunSummary> &runs,
                                                const std::vector<Group> &groups)
{
    std::vector<RowOfContenders> rows;
    for (const Group &group : groups) {
        if (rows.empty() || row_of(*rows.back().point) != row_of(*group.point))
            rows.push_back({group.point, {}, {}, nullptr});
        const auto at = static_cast<size_t>(group.point - list.runs.data());
        const ts_flush_ops *ops = ts_flush_find(group.point->subject.c_str());
        (ops && ops->hypothetical ? rows.back().bounds : rows.back().contenders)
            .push_back({&group, &runs[at], list.per_group});
    }
    for (RowOfContenders &row : rows)
        for (const Contender &contender : row.contenders)
            if (contender.group->point->subject == list.baseline)
                row.baseline = &contender;
    return rows;
}

// --- guards ---

std::string of_rows(size_t some, size_t all, const char *what)
{
    return std::to_string(some) + " of " + std::to_string(all) + " " + what;
}

void guard_seeds(const RunList &list, const std::vector<Group> &groups,
                 std::vector<std::string> *guards)
{
    if (list.per_group < seeds_enough)
        guards->push_back((list.per_group == 1
                               ? std::string("1 seed has no interval")
                               : std::to_string(list.per_group) + " seeds give wide intervals") +
                          ": set repetitions to " + std::to_string(seeds_enough) + " or more");
    size_t same = 0, judged = 0;
    for (const Group &group : groups) {
        if (group.runs.size() < 2)
            continue;
        judged++;
        same += std::all_of(group.runs.begin(), group.runs.end(), [&](const RunSummary *run) {
            const struct ts_machine_result &a = run->machine.result,
                                           &b = group.runs[0]->machine.result;
            return a.completion_ps == b.completion_ps && a.system_ps == b.system_ps &&
                   a.record_rate_uhz == b.record_rate_uhz &&
                   a.shootdown_mean_ps == b.shootdown_mean_ps;
        });
    }
    if (same > 0)
        guards->push_back(of_rows(same, judged,
                                  "points have the same result with every seed: "
                                  "their intervals say nothing (nothing is drawn "
                                  "from the seed there)"));
}

void guard_overcommit(const std::vector<Group> &groups, std::vector<std::string> *guards)
{
    constexpr double nominal_min = 1250, effective_max = 1100;
    size_t idle = 0, nominal_count = 0;
    double nominal_of = 0, effective_of = 0;
    for (const Group &group : groups) {
        double nominal = 0, effective = 0;
        for (const RunSummary *run : group.runs) {
            nominal += static_cast<double>(run->machine.result.vcpus_per_pcpu_milli);
            effective += static_cast<double>(run->machine.result.effective_overcommit_milli);
        }
        const auto n = static_cast<double>(group.runs.size());
        if (nominal / n < nominal_min)
            continue;
        nominal_count++;
        if (effective / n >= effective_max)
            continue;
        if (idle++ == 0) {
            nominal_of = nominal / n / 1000;
            effective_of = effective / n / 1000;
        }
    }
    if (idle > 0)
        guards->push_back(of_rows(idle, nominal_count, "overcommitted points are hardly so: ") +
                          "the first has " + fixed(nominal_of, 2) + " vCPUs per pCPU, of which " +
                          fixed(effective_of, 2) +
                          " run or wait while any waits (effective_overcommit); the guests sleep");
}

// A queue that may be full, from the statistics of a run: its waiting is this share of that.
struct Queue {
    const char *group, *waited, *of, *said;
    double limit;
};
const Queue queues[] = {
    {"interconnect", "queued_ps", "latency_ps.sum",
     "messages wait for links most of their time: the interconnect is saturated", 0.5},
    {"dvm", "rxreq_retried", "issued", "DVM requests were refused by full trackers", 0.1},
};

// Of stats.csv, whose rows are "group,name,unit,value"; 0 if there is no such row.
double stat_of(const std::string &stats, const std::string &group, const std::string &name)
{
    const std::string begin = "\n" + group + "," + name + ",";
    const size_t at = stats.find(begin);
    if (at == std::string::npos)
        return 0;
    const size_t value = stats.find(',', at + begin.size());
    return value == std::string::npos ? 0 : std::strtod(stats.c_str() + value + 1, nullptr);
}

void guard_queues(const std::vector<Group> &groups, const std::string &folder,
                  std::vector<std::string> *guards)
{
    size_t full[TS_ARRAY_LEN(queues)] = {};
    double worst[TS_ARRAY_LEN(queues)] = {};
    for (const Group &group : groups) {
        std::ifstream file(folder + "/" + group.point->folder + "/stats.csv", std::ios::binary);
        const std::string stats{std::istreambuf_iterator<char>(file), {}};
        for (size_t i = 0; i < TS_ARRAY_LEN(queues); i++) {
            const Queue &queue = queues[i];
            const double all = stat_of(stats, queue.group, queue.of);
            const double share = all > 0 ? stat_of(stats, queue.group, queue.waited) / all : 0;
            full[i] += share > queue.limit;
            worst[i] = std::max(worst[i], share);
        }
    }
    for (size_t i = 0; i < TS_ARRAY_LEN(queues); i++)
        if (full[i] > 0)
            guards->push_back(of_rows(full[i], groups.size(), "points: ") + queues[i].said + " (" +
                              queues[i].group + "." + queues[i].waited + " is up to " +
                              percent(worst[i] * 100) + " % of " + queues[i].of + ")");
}

} // namespace

std::string verdict_text(const RunList &list, const std::vector<RunSummary> &runs)
{
    std::string text;
    if (list.study)
        return text;
    const std::vector<Group> groups = groups_of(list, runs);
    for (const RowOfContenders &row : rows_of_contenders(list, runs, groups))
        if (row.contenders.size() >= 2)
            text += row_verdict(list, row);
    return text;
}

std::vector<std::string> verdict_guards(const RunList &list, const std::vector<RunSummary> &runs,
                                        const std::string &folder)
{
    std::vector<std::string> guards;
    const std::vector<Group> groups = groups_of(list, runs);
    if (list.study || groups.empty())
        return guards;
    guard_seeds(list, groups, &guards);
    guard_overcommit(groups, &guards);
    guard_queues(groups, folder, &guards);
    return guards;
}

void verdict_write(const RunList &list, const std::vector<RunSummary> &runs,
                   const std::string &folder)
{
    std::string text = verdict_text(list, runs);
    for (const std::string &guard : verdict_guards(list, runs, folder))
        text += warning_begin + guard + "\n";
    replace_file(folder + "/" + verdict_name, text);
}

void verdict_print(const std::string &folder, bool quiet)
{
    std::ifstream file(folder + "/" + verdict_name);
    std::string verdicts, warnings;
    size_t n = 0;
    for (std::string line; std::getline(file, line);) {
        n += line.rfind(verdict_begin, 0) == 0;
        if (line.rfind(warning_begin, 0) == 0)
            warnings += line + "\n";
        else if (n <= shown_max)
            verdicts += line + "\n";
    }
    if (n > shown_max)
        verdicts +=
            "... and " + std::to_string(n - shown_max) + " verdicts more in " + verdict_name + "\n";
    if (!verdicts.empty())
        std::printf("\n%s", verdicts.c_str());
    std::fflush(stdout);
    if (!quiet)
        std::fputs(warnings.c_str(), stderr);
}

} // namespace ts
