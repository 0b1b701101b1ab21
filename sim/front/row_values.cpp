// SPDX-License-Identifier: Apache-2.0
#include "sim/front/row_values.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace ts
{
namespace
{

const Stat &stat_of(const Stats &stats, const std::string &name, const Place &place)
{
    const auto found = stats.find(name);
    if (found != stats.end())
        return found->second;
    std::vector<std::string> names;
    for (const auto &item : stats)
        names.push_back(item.first);
    user_error(place, "the run has no statistic '" + name + "'" + did_you_mean(name, names));
}

bool matches(const Point &point, const SimulatedRef &ref)
{
    if ((!ref.platform.empty() && point.platform->name != ref.platform) ||
        (!ref.mechanism.empty() && point.subject.name != ref.mechanism))
        return false;
    return std::all_of(ref.swept.begin(), ref.swept.end(), [&](const auto &want) {
        return std::any_of(point.swept.begin(), point.swept.end(), [&](const Setting *s) {
            return s->key->name == want.first && s->value == s->key->parse(want.second, ref.place);
        });
    });
}

std::string describe(const SimulatedRef &ref)
{
    std::string text = ref.platform.empty() ? "of any platform" : "of platform " + ref.platform;
    if (!ref.mechanism.empty())
        text += ", " + ref.mechanism;
    for (const auto &want : ref.swept)
        text += ", " + want.first + "=" + want.second;
    return text;
}

} // namespace

Stats stats_read(const std::string &path)
{
    Stats stats;
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        const size_t name = line.find(','), unit = line.find(',', name + 1),
                     value = line.find(',', unit + 1);
        double number = 0;
        if (value == std::string::npos ||
            std::from_chars(line.data() + value + 1, line.data() + line.size(), number).ec !=
                std::errc())
            environment_error(path + ": cannot be read: " + line);
        stats[line.substr(0, name) + "." + line.substr(name + 1, unit - name - 1)] =
            Stat{number, line.substr(unit + 1, value - unit - 1)};
    }
    if (stats.empty())
        environment_error(path + " cannot be read");
    return stats;
}

size_t point_of(const Experiment &experiment, const std::vector<Point> &points,
                const SimulatedRef &ref)
{
    const size_t n = points_per_group(experiment);
    size_t found = points.size(), count = 0;
    for (size_t i = 0; i < points.size(); i += n) {
        if (!matches(points[i], ref))
            continue;
        if (count++ == 0)
            found = i;
    }
    if (count != 1)
        user_error(ref.place, std::string(count == 0 ? "no point" : "more than one point") +
                                  " of " + experiment.path + " is " + describe(ref));
    return found;
}

std::vector<double> row_samples(const Experiment &experiment, const std::vector<Point> &points,
                                const SimulatedRef &ref, const std::string &unit,
                                const StatsOf &stats_of)
{
    const size_t first = point_of(experiment, points, ref);
    std::vector<double> values;
    for (size_t i = first; i < first + points_per_group(experiment); i++) {
        const Stats &stats = stats_of(i);
        const Stat &stat = stat_of(stats, ref.stat, ref.place);
        double value = stat.value;
        if (!ref.per.empty()) {
            const Stat &per = stat_of(stats, ref.per, ref.place);
            if (per.value == 0)
                user_error(ref.place, ref.per + " is 0, so there is nothing to divide by");
            value /= per.value;
        }
        const uint64_t hz = resolve(experiment, points[i]).config.topology.core_hz;
        values.push_back(unit.empty() ? value
                                      : convert_unit(value, stat.unit, unit, hz, ref.place));
    }
    return values;
}

Estimate row_value(const ReproduceRow &row, const SamplesOf &samples_of)
{
    if (!row.has_base)
        return estimate(samples_of(row.simulated, row.unit));
    const std::vector<double> values = samples_of(row.simulated, "");
    const std::vector<double> base = samples_of(row.base, "");
    if (base.size() != values.size())
        user_error(row.place, "the two sides of 'over' have different numbers of seeds");
    if (estimate(base).mean == 0)
        user_error(row.base.place, row.base.stat + " is 0, so there is nothing to divide by");
    const double unit = convert_unit(1, "ratio", row.unit, 0, row.place);
    Estimate ratio = ratio_estimate(values, base);
    ratio.mean *= unit;
    ratio.half_width *= unit;
    return ratio;
}

} // namespace ts
