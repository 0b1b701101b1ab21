// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cmd_fit.hpp"

#include "sim/front/fit_runs.hpp"
#include "sim/front/folder.hpp"
#include "sim/front/output.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ts
{
namespace
{

// Difference quotients go over this part of a parameter's range: costs of whole cycles and the
// steps of a simulated machine make smaller ones say more about rounding than about the parameter.
constexpr double step_part = 0.02;
// A smaller relative decrease of the sum of squares is not worth another derivative.
constexpr double worth = 1e-3;

FitPlace place_of(const Vector &at)
{
    FitPlace place;
    for (const double value : at)
        place.push_back(static_cast<uint64_t>(std::llround(value)));
    return place;
}

std::vector<FitPlace> places_of(const std::vector<Vector> &list)
{
    std::vector<FitPlace> places;
    for (const Vector &at : list)
        places.push_back(place_of(at));
    return places;
}

LeastSquaresProblem problem_of(const Fit &fit, FitRuns *runs)
{
    LeastSquaresProblem problem;
    for (const FitParameter &p : fit.parameters) {
        LeastSquaresVariable v;
        v.low = static_cast<double>(p.low);
        v.high = static_cast<double>(p.high);
        v.start = static_cast<double>(p.start);
        v.grain = 1;
        v.step = std::max(1.0, std::round((v.high - v.low) * step_part));
        problem.variables.push_back(v);
    }
    problem.residuals = [&fit, runs](const std::vector<Vector> &list) {
        std::vector<Vector> residuals;
        for (const std::vector<double> &values : runs->rows(places_of(list), false)) {
            residuals.emplace_back();
            for (size_t i = 0; i < fit.fitted; i++)
                residuals.back().push_back(fit_error(fit.rows[i], values[i]) *
                                           std::sqrt(fit.rows[i].weight));
        }
        return residuals;
    };
    return problem;
}

FitResult run(const Fit &fit, const FitCommand &command, FitRuns *runs)
{
    const auto say = [&](const std::string &text) {
        if (!command.quiet)
            std::fprintf(stderr, "fit: %s\n", text.c_str());
    };
    FitResult result;
    const LeastSquaresProblem problem = problem_of(fit, runs);
    LeastSquaresOptions options;
    options.iterations = fit.iterations;
    options.starts = fit.starts;
    options.tolerance = worth;
    options.on_iteration = [&](size_t start, size_t i, double cost) {
        say("start " + std::to_string(start + 1) + ", step " + std::to_string(i) + ", " +
            std::to_string(runs->simulations()) + " simulations, sum of squares " + number(cost));
    };
    result.squares = least_squares(problem, options);
    result.values = place_of(result.squares.at);
    for (size_t i = 0; i < fit.fitted; i++) {
        say("without row " + std::to_string(i + 1) + " of " + std::to_string(fit.fitted));
        const Vector residuals = least_squares_without(problem, options, result.squares, i);
        result.left_out.push_back(residuals[i] / std::sqrt(fit.rows[i].weight));
    }
    FitPlace start;
    for (const FitParameter &p : fit.parameters)
        start.push_back(p.start);
    const std::vector<std::vector<double>> ends = runs->rows({start, result.values}, true);
    result.at_start = ends[0];
    result.simulated = ends[1];
    result.simulations = runs->simulations();
    return result;
}

bool in_all(const Fit &fit)
{
    return std::all_of(fit.parameters.begin(), fit.parameters.end(), [&](const FitParameter &p) {
        return p.in.size() == fit.reproductions.size();
    });
}

void write_values(const Fit &fit, const FitResult &result, const std::string &folder)
{
    for (const Reproduction &reproduction : fit.reproductions) {
        const std::string text = fit_yaml(fit, result, reproduction.id);
        const std::string name = in_all(fit) ? "fit.yaml" : "fit." + reproduction.id + ".yaml";
        if (!text.empty())
            write_file(folder + "/" + name, text);
        if (in_all(fit))
            break;
    }
}

} // namespace

double fit_error(const FitRow &row, double simulated)
{
    return simulated / row.row->published - 1;
}

double median_size(std::vector<double> errors)
{
    TS_ASSERT(!errors.empty());
    for (double &error : errors)
        error = std::fabs(error);
    std::sort(errors.begin(), errors.end());
    const size_t n = errors.size();
    return (errors[(n - 1) / 2] + errors[n / 2]) / 2;
}

void command_fit(const FitCommand &command)
{
    const Fit fit = fit_load(command.id, command.sets, Paths(""));
    OutputFolder folder(command.output.empty() ? "out/fit/" + fit.id : command.output,
                        command.force);
    FitRuns runs(fit, command, folder.partial() + "/runs");
    runs.check();
    folder.open();
    const FitResult result = run(fit, command, &runs);
    write_file(folder.partial() + "/fit.csv", fit_csv(fit, result));
    write_file(folder.partial() + "/rows.csv", fit_rows_csv(fit, result));
    write_file(folder.partial() + "/correlations.csv", fit_correlations_csv(fit, result));
    write_values(fit, result, folder.partial());
    folder.commit();
    std::fputs(fit_text(fit, result).c_str(), stdout);
    if (!command.quiet)
        std::printf("Results: %s\n", folder.path().c_str());
}

} // namespace ts
