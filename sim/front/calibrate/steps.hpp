// SPDX-License-Identifier: Apache-2.0
// What can be read from series of measurements: medians, steps of a curve, levels of a matrix. No
// measurement is made here.
#ifndef TS_SIM_FRONT_CALIBRATE_STEPS_HPP
#define TS_SIM_FRONT_CALIBRATE_STEPS_HPP

#include <cstddef>
#include <string>
#include <vector>

namespace ts
{

// Median and quartiles (linear between ranks), of n samples; all 0 if there are none.
struct Spread {
    double median = 0, low = 0, high = 0;
    double least = 0;
    size_t n = 0;
};
Spread spread_of(std::vector<double> samples);
// "median of 400, IQR 1.2 to 1.4 us"; unit "ns" or "cycles": times go to the unit that reads well.
std::string spread_text(const Spread &spread, const std::string &unit);

// Consecutive points of one level: [first, end) of the curve.
struct Plateau {
    size_t first = 0, end = 0;
    double level = 0; // median
};
// The curve y as constant pieces: the sum of absolute deviations from each piece's median, plus
// penalty for every piece, is least (exact, by dynamic programming; n^2 log n).
std::vector<Plateau> plateaus(const std::vector<double> &y, double penalty);

// A rise of a curve from one level to the next.
struct Step {
    double low = 0, high = 0; // levels
    size_t last_low = 0;      // index of the last point that is on the low level
    size_t first_high = 0;    // of the first one on the high level
    double half = 0;          // x half way up, linear between points
};
// Rises of at least min_rise between plateaus; pieces of fewer than least_points between two of
// them are a slope and belong to the step. x ascends; x and y have one length.
std::vector<Step> steps_of(const std::vector<double> &x, const std::vector<double> &y,
                           double min_rise, size_t least_points = 3);

// Values that lie together: between neighbours of one level, in ascending order, there is no gap of
// more than a factor of `gap`.
struct Level {
    double low = 0, high = 0, median = 0;
    std::vector<size_t> members; // indices into values, by value
};
std::vector<Level> levels_of(const std::vector<double> &values, double gap);

} // namespace ts

#endif
