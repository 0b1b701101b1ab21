// SPDX-License-Identifier: Apache-2.0
// Which assumed parameters the answer hangs on: each is halved and doubled alone, and everything
// else stays as it is.
#ifndef TS_SIM_FRONT_SENSITIVITY_HPP
#define TS_SIM_FRONT_SENSITIVITY_HPP

#include "sim/front/cli.hpp"
#include "sim/front/experiment.hpp"

#include <string>
#include <vector>

namespace ts
{

// One parameter of one platform: what its mechanisms did with half and with twice the value, at the
// last combination of swept values and the first seed.
struct Sensitivity {
    std::string platform, key;
    std::string value, low, high; // as in a configuration
    double factor = 0;            // high over low
    // By mechanism: completion time in ps, or in a window the records' rate; 0 where it failed.
    std::vector<std::string> mechanisms;
    std::vector<double> base, at_low, at_high;
    size_t baseline = 0; // its place; past the end: none
    bool more_is_better = false;
    std::string skipped; // why it could not be varied; empty: it was

    // d ln(measure) / d ln(value); 0 if there is none.
    double elasticity(size_t mechanism) const;
    // Of the mechanism's speedup over the baseline.
    double speedup_elasticity(size_t mechanism) const;
    // The largest of these, without sign; of the measures themselves where there is no baseline.
    double weight() const;
    // Place of the best mechanism; hypothetical ones do not count. Past the end if none.
    size_t best(const std::vector<double> &measures) const;
    bool changes_winner() const;
};

// Half and twice the value within the parameter's range, different from each other; false for what
// is no number, is 0, or has no room.
bool sensitivity_values(const ResolvedValue &value, uint64_t *low, uint64_t *high);

// A user error if a --sensitivity-of begins no parameter's key.
void sensitivity_check(const RunCommand &command, const Experiment &experiment,
                       const std::vector<Point> &points);

// Runs them. runs: those of the points of the experiment, of which none needs to be run again.
// folder: an empty one that exists, for the runs; it is emptied. Throws Interrupted.
std::vector<Sensitivity> sensitivity_run(const RunCommand &command, const Experiment &experiment,
                                         const std::vector<Point> &points,
                                         const std::vector<RunSummary> &runs,
                                         const std::string &folder);

// All of them, the weightiest first.
std::string sensitivity_csv(std::vector<Sensitivity> list);
// The ten that weigh most, and those that change which mechanism is best.
std::string sensitivity_text(std::vector<Sensitivity> list);

} // namespace ts

#endif
