// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/steps.hpp"

#include "sim/front/output.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ts
{
namespace
{

// sorted, not empty
double quantile(const std::vector<double> &sorted, double q)
{
    const double at = q * static_cast<double>(sorted.size() - 1);
    const size_t below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double median_of(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return quantile(values, 0.5);
}

double deviation(const std::vector<double> &y, size_t first, size_t end, double *median)
{
    *median = median_of({y.begin() + static_cast<std::ptrdiff_t>(first),
                         y.begin() + static_cast<std::ptrdiff_t>(end)});
    return std::accumulate(
        y.begin() + static_cast<std::ptrdiff_t>(first),
        y.begin() + static_cast<std::ptrdiff_t>(end), 0.0,
        [&](double sum, double value) { return sum + std::fabs(value - *median); });
}

// x where the curve first is half way up, between the points of the step.
double half_way(const std::vector<double> &x, const std::vector<double> &y, const Step &step)
{
    const double middle = (step.low + step.high) / 2;
    for (size_t i = step.last_low; i < step.first_high; i++)
        if (y[i] <= middle && y[i + 1] > middle)
            return x[i] + (x[i + 1] - x[i]) * (middle - y[i]) / (y[i + 1] - y[i]);
    return (x[step.last_low] + x[step.first_high]) / 2;
}

} // namespace

Spread spread_of(std::vector<double> samples)
{
    Spread spread;
    if (samples.empty())
        return spread;
    std::sort(samples.begin(), samples.end());
    spread.median = quantile(samples, 0.5);
    spread.low = quantile(samples, 0.25);
    spread.high = quantile(samples, 0.75);
    spread.least = samples.front();
    spread.n = samples.size();
    return spread;
}

std::string spread_text(const Spread &spread, const std::string &unit)
{
    const auto text = [&](double value) {
        return unit == "ns" ? short_time(value * 1e-9) : number(std::round(value * 100) / 100);
    };
    return "median of " + std::to_string(spread.n) + ", IQR " + text(spread.low) + " to " +
           text(spread.high) + (unit == "ns" ? "" : " " + unit);
}

std::vector<Plateau> plateaus(const std::vector<double> &y, double penalty)
{
    const size_t n = y.size();
    std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
    std::vector<Plateau> last(n + 1); // the piece that ends there
    best[0] = 0;
    for (size_t end = 1; end <= n; end++) {
        for (size_t first = 0; first < end; first++) {
            double level = 0;
            const double cost = best[first] + deviation(y, first, end, &level) + penalty;
            if (cost < best[end]) {
                best[end] = cost;
                last[end] = Plateau{first, end, level};
            }
        }
    }
    std::vector<Plateau> pieces;
    for (size_t end = n; end > 0; end = last[end].first)
        pieces.push_back(last[end]);
    std::reverse(pieces.begin(), pieces.end());
    return pieces;
}

std::vector<Step> steps_of(const std::vector<double> &x, const std::vector<double> &y,
                           double min_rise, size_t least_points)
{
    // Pieces that are plateaus; what lies between two of them is the slope.
    std::vector<Plateau> levels;
    for (const Plateau &piece : plateaus(y, min_rise)) {
        if (piece.end - piece.first < least_points)
            continue;
        // Two pieces of one level, apart by an outlier or by less than a step.
        if (!levels.empty() && std::fabs(piece.level - levels.back().level) < min_rise)
            levels.back().end = piece.end;
        else
            levels.push_back(piece);
    }
    std::vector<Step> steps;
    for (size_t i = 1; i < levels.size(); i++) {
        Step step;
        step.low = levels[i - 1].level;
        step.high = levels[i].level;
        step.last_low = levels[i - 1].end - 1;
        step.first_high = levels[i].first;
        step.half = half_way(x, y, step);
        if (step.high - step.low >= min_rise)
            steps.push_back(step);
    }
    return steps;
}

std::vector<Level> levels_of(const std::vector<double> &values, double gap)
{
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return values[a] < values[b]; });
    std::vector<Level> levels;
    for (const size_t index : order) {
        if (levels.empty() || values[index] > levels.back().high * gap)
            levels.push_back(Level{values[index], values[index], 0, {}});
        levels.back().high = values[index];
        levels.back().members.push_back(index);
    }
    for (Level &level : levels) {
        std::vector<double> of;
        for (const size_t index : level.members)
            of.push_back(values[index]);
        level.median = median_of(of);
    }
    return levels;
}

} // namespace ts
