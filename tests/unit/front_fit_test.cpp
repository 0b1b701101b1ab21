// SPDX-License-Identifier: Apache-2.0
// Least squares on functions whose answer is known, and what a fit says of itself. That a fit runs,
// and finds what the simulator was given: tests/cli/fit.sh.
#include "sim/front/cmd_fit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

using namespace ts;

namespace
{

using Function = std::function<Vector(const Vector &)>;

struct Made {
    LeastSquaresProblem problem;
    size_t evaluations = 0;
    bool outside = false; // a place was not within the bounds
};

void make(Made *made, const Function &function)
{
    made->problem.residuals = [made, function](const std::vector<Vector> &places) {
        std::vector<Vector> values;
        for (const Vector &place : places) {
            made->evaluations++;
            for (size_t k = 0; k < place.size(); k++)
                made->outside = made->outside || place[k] < made->problem.variables[k].low ||
                                place[k] > made->problem.variables[k].high;
            values.push_back(function(place));
        }
        return values;
    };
}

LeastSquaresVariable variable(double low, double start, double high, double grain = 0)
{
    return LeastSquaresVariable{low, high, start, grain, grain > 0 ? grain : (high - low) * 1e-7};
}

// y = a + b x at x = 0, 1, 2, 3.
Function line(const Vector &y)
{
    return [y](const Vector &at) {
        Vector residuals;
        for (size_t i = 0; i < y.size(); i++)
            residuals.push_back(at[0] + at[1] * static_cast<double>(i) - y[i]);
        return residuals;
    };
}

} // namespace

// By hand: a = 1.1, b = 1.4, sum of squares 0.06; (X'X)^-1 = [0.7 -0.3; -0.3 0.2].
TEST(LeastSquares, FitsALineWithItsErrorsAndTheirCorrelation)
{
    Made made;
    make(&made, line({1, 2.7, 3.8, 5.3}));
    made.problem.variables = {variable(-10, 9, 10), variable(-10, -9, 10)};

    const LeastSquaresResult fit = least_squares(made.problem, LeastSquaresOptions());

    EXPECT_TRUE(fit.converged);
    EXPECT_NEAR(fit.at[0], 1.1, 1e-4);
    EXPECT_NEAR(fit.at[1], 1.4, 1e-4);
    EXPECT_NEAR(fit.cost(), 0.06, 1e-6);
    const double variance = 0.06 / 2;
    EXPECT_NEAR(fit.standard_errors[0], std::sqrt(variance * 0.7), 1e-5);
    EXPECT_NEAR(fit.standard_errors[1], std::sqrt(variance * 0.2), 1e-5);
    EXPECT_NEAR(fit.correlations[0][1], -0.3 / std::sqrt(0.7 * 0.2), 1e-4);
    EXPECT_NEAR(fit.jacobian[3][1], 3, 1e-4);
    for (size_t i = 0; i < 4; i++) // 1/n + (x - mean)^2 / sum of them
        EXPECT_NEAR(fit.leverage[i], 0.25 + std::pow(double(i) - 1.5, 2) / 5, 1e-4);
    EXPECT_EQ(fit.bounds, (std::vector<BoundReached>{BoundReached::None, BoundReached::None}));
    EXPECT_FALSE(made.outside);
}

TEST(LeastSquares, FollowsRosenbrocksValley)
{
    Made made;
    make(&made, [](const Vector &at) { return Vector{10 * (at[1] - at[0] * at[0]), 1 - at[0]}; });
    made.problem.variables = {variable(-3, -1.2, 3), variable(-3, 1, 3)};
    LeastSquaresOptions options;
    options.iterations = 100;
    options.tolerance = 1e-12;

    const LeastSquaresResult fit = least_squares(made.problem, options);

    EXPECT_NEAR(fit.at[0], 1, 1e-3);
    EXPECT_NEAR(fit.at[1], 1, 1e-3);
    EXPECT_LT(fit.cost(), 1e-6);
    EXPECT_LT(made.evaluations, 300u);
}

// With b <= 1 the best a is the mean of y - x: 3.2 - 1.5.
TEST(LeastSquares, StopsAtABoundAndIsBestAlongIt)
{
    Made made;
    make(&made, line({1, 2.7, 3.8, 5.3}));
    made.problem.variables = {variable(-10, -9, 10), variable(-10, -9, 1)};

    const LeastSquaresResult fit = least_squares(made.problem, LeastSquaresOptions());

    EXPECT_EQ(fit.at[1], 1);
    EXPECT_NEAR(fit.at[0], 1.7, 1e-4);
    EXPECT_EQ(fit.bounds, (std::vector<BoundReached>{BoundReached::None, BoundReached::High}));
    EXPECT_TRUE(std::isnan(fit.standard_errors[1]));
    EXPECT_TRUE(std::isnan(fit.correlations[0][1]));
    // Of a mean of 4 values: s^2 / 4.
    EXPECT_NEAR(fit.standard_errors[0], std::sqrt(fit.cost() / 3 / 4), 1e-5);
    EXPECT_FALSE(made.outside);
}

TEST(LeastSquares, LeavesABoundAgain)
{
    Made made;
    make(&made, line({1, 2.7, 3.8, 5.3}));
    made.problem.variables = {variable(-10, -10, 10), variable(-10, 10, 10)};

    const LeastSquaresResult fit = least_squares(made.problem, LeastSquaresOptions());

    EXPECT_NEAR(fit.at[0], 1.1, 1e-4);
    EXPECT_NEAR(fit.at[1], 1.4, 1e-4);
}

TEST(LeastSquares, OfWholeNumbersTakesTheBestOnes)
{
    Made made;
    make(&made, [](const Vector &at) {
        EXPECT_EQ(at[0], std::round(at[0]));
        return Vector{at[0] - 41.6, 2 * (at[0] - 41.6)};
    });
    made.problem.variables = {variable(0, 1000, 1000, 1)};

    const LeastSquaresResult fit = least_squares(made.problem, LeastSquaresOptions());

    EXPECT_EQ(fit.at[0], 42);
    EXPECT_TRUE(fit.converged);
}

TEST(LeastSquares, SaysWhatTheRowsCannotTell)
{
    Made made;
    make(&made, [](const Vector &at) {
        return Vector{at[0] + at[1] - 3, 2 * (at[0] + at[1]) - 6.1, at[0] + at[1] - 2.9};
    });
    made.problem.variables = {variable(-9, 8, 10), variable(-9, 1, 10), variable(0, 5, 10)};

    const LeastSquaresResult fit = least_squares(made.problem, LeastSquaresOptions());

    EXPECT_NEAR(fit.at[0] + fit.at[1], 3.02, 0.02);
    EXPECT_LT(fit.correlations[0][1], -0.999);
    EXPECT_GT(fit.standard_errors[0], 10);
    EXPECT_EQ(fit.at[2], 5); // nothing depends on it, so it stays
    EXPECT_TRUE(std::isnan(fit.standard_errors[2]));
}

TEST(LeastSquares, BeginsElsewhereTooAndTakesTheBestEnd)
{
    Made made;
    // Flat below 4; above it the least is at 7.
    make(&made, [](const Vector &at) { return Vector{at[0] < 4 ? 3.0 : at[0] - 7, 0.5}; });
    made.problem.variables = {variable(0, 1, 10)};
    LeastSquaresOptions options;

    EXPECT_EQ(least_squares(made.problem, options).at[0], 1);
    options.starts = 2; // the second is the middle of the range
    std::vector<size_t> starts;
    options.on_iteration = [&](size_t start, size_t, double) { starts.push_back(start); };
    EXPECT_NEAR(least_squares(made.problem, options).at[0], 7, 1e-4);
    EXPECT_TRUE(std::is_sorted(starts.begin(), starts.end()));
    EXPECT_EQ(starts.front(), 0u);
    EXPECT_EQ(starts.back(), 1u);
}

TEST(LeastSquares, LeavesARowOut)
{
    Made made;
    make(&made, line({1, 3, 4, 9}));
    made.problem.variables = {variable(-10, 0, 10), variable(-10, 0, 10)};
    const LeastSquaresOptions options;
    const LeastSquaresResult fit = least_squares(made.problem, options);
    const size_t before = made.evaluations;

    const Vector residuals = least_squares_without(made.problem, options, fit, 3);

    // By hand for 1, 3, 4: a = 7/6, b = 3/2.
    EXPECT_NEAR(residuals[3], 7.0 / 6 + 4.5 - 9, 1e-3);
    EXPECT_NEAR(residuals[0], 7.0 / 6 - 1, 1e-3);
    EXPECT_LT(made.evaluations - before, 30u);
    EXPECT_NEAR(fit.residuals[3], 0.5 + 2.5 * 3 - 9, 1e-3); // with it a = 0.5, b = 2.5
}

TEST(LeastSquares, EndsAfterItsIterations)
{
    Made made;
    make(&made, [](const Vector &at) { return Vector{10 * (at[1] - at[0] * at[0]), 1 - at[0]}; });
    made.problem.variables = {variable(-3, -1.2, 3), variable(-3, 1, 3)};
    LeastSquaresOptions options;
    options.iterations = 2;

    const LeastSquaresResult fit = least_squares(made.problem, options);

    EXPECT_FALSE(fit.converged);
    EXPECT_EQ(fit.iterations, 2u);
}

namespace
{

struct MadeFit {
    Fit fit;
    FitResult result;

    MadeFit()
    {
        const KeyOwners nobody;
        const auto parameter = [&](const char *name, const char *key) {
            FitParameter p;
            p.name = name;
            p.keys = {&Keys::get().need(key, nobody, Place())};
            p.in = {"T"};
            p.start = 20;
            p.low = 10;
            p.high = 100;
            p.source = "a book";
            fit.parameters.push_back(p);
        };
        fit.id = "t";
        fit.title = "made up";
        fit.iterations = 7;
        fit.reproductions.resize(1);
        fit.reproductions[0].id = "T";
        fit.reproductions[0].rows.resize(4);
        for (size_t i = 0; i < 4; i++) {
            ReproduceRow &row = fit.reproductions[0].rows[i];
            row.name = "row " + std::to_string(i);
            row.unit = "ns";
            row.published = 100;
            fit.rows.push_back(FitRow{0, &row, 1, i < 3});
        }
        fit.fitted = 3;
        parameter("exit", "hypervisor.exit");
        parameter("entry", "hypervisor.entry");
        const double nan = std::nan("");
        result.squares.converged = false;
        result.squares.jacobian = {{1, 0}, {0, 0}, {0, 0}};
        result.squares.bounds = {BoundReached::None, BoundReached::Low};
        result.squares.standard_errors = {3.2, nan};
        result.squares.correlations = {{1, -0.95}, {-0.95, 1}};
        result.squares.leverage = {0.5, 0.5, 0.999};
        result.values = {50, 10};
        result.at_start = {1, 1, 1, 1};
        result.simulated = {101, 96, 102, 130};
        result.left_out = {0.02, -0.07, 0.05};
        result.simulations = 11;
    }
};

} // namespace

TEST(Fit, SaysWhatIsDoubtfulOfIt)
{
    const MadeFit made;
    const std::string text = fit_text(made.fit, made.result);

    for (const char *line :
         {"Median error of the 3 fitted rows 2.0 %, of each in a fit without it 4.5 %; 2 "
          "parameters, 11 simulations.\n",
          "Some parameter hangs on 'row 2' alone: a fit without it says nothing of it.\n",
          "The fit has not come to its end within 7 steps ('iterations').\n",
          "entry is at its low bound, 10cycles (a book).\n", "No fitted row depends on entry.\n",
          "The rows hardly tell exit and entry apart: their estimates have a correlation of "
          "-0.950.\n"})
        EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
}

TEST(Fit, WritesItsTables)
{
    const MadeFit made;

    EXPECT_EQ(fit_csv(made.fit, made.result),
              "parameter,keys,experiments,low,high,start,fitted,standard_error,at_bound,"
              "source_of_bounds\n"
              "exit,hypervisor.exit,T,10cycles,100cycles,20cycles,50cycles,3cycles,,a book\n"
              "entry,hypervisor.entry,T,10cycles,100cycles,20cycles,10cycles,,low,a book\n");
    EXPECT_EQ(fit_rows_csv(made.fit, made.result),
              "experiment,row,fitted,weight,unit,published,at_start,simulated,error_pct,"
              "left_out_error_pct\n"
              "T,row 0,yes,1,ns,100,1,101,1,2\n"
              "T,row 1,yes,1,ns,100,1,96,-4,-7\n"
              "T,row 2,yes,1,ns,100,1,102,2,\n"
              "T,row 3,no,,ns,100,1,130,30,\n");
    EXPECT_EQ(fit_yaml(made.fit, made.result, "T"),
              "# Made by `tlbstorm fit` from T.\n"
              "hypervisor.exit: {value: 50cycles, source: \"fitted: T (row 0; row 1; row 2)\", "
              "confidence: derived}\n"
              "hypervisor.entry: {value: 10cycles, source: \"fitted: T (row 0; row 1; row 2); at "
              "its bound: a book\", confidence: derived}\n");
    EXPECT_EQ(fit_yaml(made.fit, made.result, "U"), "");
}
