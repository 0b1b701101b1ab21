// SPDX-License-Identifier: Apache-2.0
// The simulations of a fit: what its rows are at places of its parameters. A configuration is
// simulated once, whatever places it belongs to.
#ifndef TS_SIM_FRONT_FIT_RUNS_HPP
#define TS_SIM_FRONT_FIT_RUNS_HPP

#include "sim/front/cli.hpp"
#include "sim/front/cmd_fit.hpp"
#include "sim/front/row_values.hpp"

#include <map>
#include <string>
#include <vector>

namespace ts
{

using FitPlace = std::vector<uint64_t>; // a value a parameter

class FitRuns
{
  public:
    // scratch: a folder for the runs, which is made and emptied. Both must outlive this.
    FitRuns(const Fit &fit, const FitCommand &command, const std::string &scratch);

    // A user error if a row names no point, before anything runs.
    void check() const;
    // By place, what each of the fit's rows is, in its unit. With `all` also those that are not
    // fitted; else they are 0.
    std::vector<std::vector<double>> rows(const std::vector<FitPlace> &places, bool all);

    size_t simulations() const
    {
        return memo_.size();
    }

  private:
    struct Study; // an experiment of a reproduction, with an axis for the places

    std::vector<const SimulatedRef *> refs_of(size_t reproduction, const std::string &experiment,
                                              bool all) const;
    void simulate(Study *study, const std::vector<const SimulatedRef *> &refs);
    double value(const FitRow &row, std::map<std::string, Study> *studies, size_t place) const;

    const Fit &fit_;
    const FitCommand &command_;
    std::string scratch_;
    RunCommand run_;
    std::map<std::string, Stats> memo_; // by the identity of the point
};

} // namespace ts

#endif
