// SPDX-License-Identifier: Apache-2.0
// Nonlinear least squares within bounds, for functions that are costly and are known by their
// values only: Levenberg's and Marquardt's method with difference quotients (J. Nocedal and S.
// Wright, Numerical Optimization, 2nd ed., section 10.3). What a step would take past a bound stays
// on it, and the others take the best step without it.
#ifndef TS_SIM_FRONT_LEAST_SQUARES_HPP
#define TS_SIM_FRONT_LEAST_SQUARES_HPP

#include <cstddef>
#include <functional>
#include <vector>

namespace ts
{

using Vector = std::vector<double>;

struct LeastSquaresVariable {
    double low = 0, high = 0; // low < high
    double start = 0;         // between them
    double grain = 0;         // places are multiples of it; 0: any number
    double step = 0;          // of the difference quotient, above 0 and at least the grain
};

struct LeastSquaresProblem {
    std::vector<LeastSquaresVariable> variables;
    // Residuals at each of the places, which are within the bounds: as many each time, in the same
    // order, and the same for the same place. All places of a call may be evaluated side by side;
    // which places are asked for depends on the residuals only.
    std::function<std::vector<Vector>(const std::vector<Vector> &places)> residuals;
};

struct LeastSquaresOptions {
    size_t iterations = 30; // at most so many derivatives are taken, from each start
    // The search begins at the variables' starts, and then at places that are spread evenly
    // (Halton's sequence, J. Halton, Numerische Mathematik 2, 1960): the best end counts.
    size_t starts = 1;
    double tolerance = 1e-6; // a smaller relative decrease of the sum of squares ends it
    // After each derivative: which start and iteration, and the sum of squares there.
    std::function<void(size_t start, size_t iteration, double cost)> on_iteration;
};

enum class BoundReached { None, Low, High };

struct LeastSquaresResult {
    Vector at;
    Vector residuals;
    std::vector<Vector> jacobian; // a row a residual, at `at`
    bool converged = false;       // else the iterations have run out
    size_t iterations = 0;
    std::vector<BoundReached> bounds; // a variable
    // Of a variable that lies on no bound and that some residual depends on, else NaN: sqrt of the
    // diagonal of s^2 (J'J)^-1 over such variables, s^2 = sum of squares / (residuals - variables).
    // NaN as well without more residuals than such variables.
    Vector standard_errors;
    std::vector<Vector> correlations; // of the estimates; NaN where a standard error is
    // Of each residual, from 0 to 1: how far the fit follows it (the diagonal of J (J'J)^-1 J'). At
    // 1 some direction of the variables hangs on it alone, so leaving it out tells nothing.
    Vector leverage;

    double cost() const; // the sum of squares
};
LeastSquaresResult least_squares(const LeastSquaresProblem &problem,
                                 const LeastSquaresOptions &options);

// The residuals of all rows where those without `row` are least: searched from the fit of all with
// the fit's derivatives, so it costs a few evaluations.
Vector least_squares_without(const LeastSquaresProblem &problem, const LeastSquaresOptions &options,
                             const LeastSquaresResult &fit, size_t row);

} // namespace ts

#endif
