// SPDX-License-Identifier: Apache-2.0
// `tlbstorm fit`: parameters from published rows, by least squares within the bounds that the
// parameters' own sources give them (docs/fit.md).
#ifndef TS_SIM_FRONT_CMD_FIT_HPP
#define TS_SIM_FRONT_CMD_FIT_HPP

#include "sim/front/cmd_reproduce.hpp"
#include "sim/front/least_squares.hpp"

#include <set>
#include <string>
#include <vector>

namespace ts
{

// One number, which one or more parameters have.
struct FitParameter {
    std::string name;
    Place place;
    std::vector<const Key *> keys;
    std::set<std::string> in; // IDs of the reproductions whose runs have it
    uint64_t start = 0, low = 0, high = 0;
    std::string source; // of the bounds

    const Key &key() const
    {
        return *keys[0];
    }
};

struct FitRow {
    size_t reproduction = 0; // index into Fit::reproductions
    const ReproduceRow *row = nullptr;
    double weight = 1;  // of the squared relative error
    bool fitted = true; // else it is only shown what the fit says of it
};

struct Fit {
    std::string id, title, path;
    std::vector<Reproduction> reproductions;
    std::vector<std::string> sets; // KEY=VALUE, of all runs
    std::vector<FitParameter> parameters;
    std::vector<FitRow> rows; // those that are fitted, then the other published ones
    size_t fitted = 0;        // how many are
    uint64_t iterations = 30;
    uint64_t starts = 1; // the search begins at the parameters' starts, then at others

    Fit() = default;
    Fit(Fit &&) = default; // rows point into reproductions
    Fit &operator=(Fit &&) = default;
};
// Reads and checks configs/fits/<id>.yaml, or the file that a path names. sets: those of the
// command line, after the file's.
Fit fit_load(const std::string &id, const std::vector<std::string> &sets, const Paths &paths);

struct FitResult {
    LeastSquaresResult squares;    // of the rows that are fitted, times the root of the weight
    std::vector<uint64_t> values;  // of each parameter
    std::vector<double> at_start;  // what is simulated, a row, in its unit
    std::vector<double> simulated; // the same at the fit
    std::vector<double> left_out;  // a fitted row's relative error in a fit without it
    size_t simulations = 0;
};
// False: some parameter hangs on this fitted row alone, so a fit without it says nothing of it.
bool is_checked(const FitResult &result, size_t row);
// Relative: simulated over published less 1.
double fit_error(const FitRow &row, double simulated);
double median_size(std::vector<double> errors); // of their absolute values

// Files of the folder of results: parameters, rows, correlations of the estimates.
std::string fit_csv(const Fit &fit, const FitResult &result);
std::string fit_rows_csv(const Fit &fit, const FitResult &result);
std::string fit_correlations_csv(const Fit &fit, const FitResult &result);
// The fitted values as a configuration of the runs of one reproduction: an `include` for a
// hypervisor, guest or machine. Empty if it has none.
std::string fit_yaml(const Fit &fit, const FitResult &result, const std::string &reproduction);
// For people.
std::string fit_text(const Fit &fit, const FitResult &result);

struct FitCommand {
    std::string id;
    std::string output; // empty: out/fit/<id>
    std::vector<std::string> sets;
    unsigned jobs = available_cpus();
    bool force = false;
    bool quiet = false;
};
void command_fit(const FitCommand &command);

} // namespace ts

#endif
