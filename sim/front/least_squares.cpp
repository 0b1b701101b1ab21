// SPDX-License-Identifier: Apache-2.0
#include "sim/front/least_squares.hpp"

#include "sim/base.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ts
{
namespace
{

using Matrix = std::vector<Vector>; // rows

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
// Of Marquardt's damping, in units of J'J's diagonal.
constexpr double damping_start = 1e-3, damping_min = 1e-12, damping_max = 1e6;
constexpr double damping_factor = 10;
// Added to the diagonal, so that directions which no residual sees do not matter.
constexpr double ridge = 1e-12;

// a x = b for a symmetric positive definite a, by Cholesky's factors. A dozen variables need no
// library: Eigen takes a minute to compile under the sanitizers.
Vector solve_definite(Matrix a, Vector b)
{
    const size_t n = b.size();
    for (size_t j = 0; j < n; j++) {
        for (size_t k = 0; k < j; k++)
            for (size_t i = j; i < n; i++)
                a[i][j] -= a[i][k] * a[j][k];
        TS_ASSERT(a[j][j] > 0);
        const double root = std::sqrt(a[j][j]);
        for (size_t i = j; i < n; i++)
            a[i][j] /= root;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= a[k][i] * b[k];
        b[i] /= a[i][i];
    }
    return b;
}

double square_sum(const Vector &values)
{
    double sum = 0;
    for (const double value : values)
        sum += value * value;
    return sum;
}

// Works in units of each variable's range, so that unequal units do not matter.
class Search
{
  public:
    explicit Search(const LeastSquaresProblem &problem)
        : problem_(problem), n_(problem.variables.size())
    {
        for (const LeastSquaresVariable &v : problem.variables)
            TS_ASSERT(v.low < v.high && v.low <= v.start && v.start <= v.high && v.step > 0);
    }

    // A row that does not count; none at first.
    void leave_out(size_t row)
    {
        left_out_ = row;
    }

    void start(const Vector &at)
    {
        at_ = rounded(at);
        residuals_ = problem_.residuals({at_})[0];
        cost_ = cost_of(residuals_);
    }

    void set(const LeastSquaresResult &fit)
    {
        at_ = fit.at;
        residuals_ = fit.residuals;
        cost_ = cost_of(residuals_);
        jacobian_ = fit.jacobian;
        for (Vector &row : jacobian_)
            for (size_t k = 0; k < n_; k++)
                row[k] *= range(k);
        drop_left_out();
    }

    void derive()
    {
        std::vector<Vector> places;
        for (size_t k = 0; k < n_; k++)
            places.push_back(aside(k));
        const std::vector<Vector> values = problem_.residuals(places);
        jacobian_.assign(residuals_.size(), Vector(n_));
        for (size_t k = 0; k < n_; k++)
            for (size_t i = 0; i < residuals_.size(); i++)
                jacobian_[i][k] =
                    (values[k][i] - residuals_[i]) / (places[k][k] - at_[k]) * range(k);
        drop_left_out();
    }

    // To the best of three places with different damping, or, where none is better, of three that
    // are nearer, until they are where the search is. Returns the relative decrease.
    double advance()
    {
        for (; damping_ < damping_max; damping_ *= std::pow(damping_factor, 3)) {
            std::vector<Vector> places;
            for (const double factor : {1 / damping_factor, 1.0, damping_factor}) {
                const Vector place = stepped(std::max(damping_ * factor, damping_min));
                if (place != at_ && std::find(places.begin(), places.end(), place) == places.end())
                    places.push_back(place);
            }
            if (places.empty())
                return 0;
            const std::vector<Vector> values = problem_.residuals(places);
            size_t best = 0;
            for (size_t i = 1; i < values.size(); i++)
                if (cost_of(values[i]) < cost_of(values[best]))
                    best = i;
            if (cost_of(values[best]) < cost_) {
                const double before = cost_;
                at_ = places[best];
                residuals_ = values[best];
                cost_ = cost_of(residuals_);
                damping_ = std::max(damping_ / damping_factor, damping_min);
                return 1 - cost_ / before;
            }
        }
        return 0;
    }

    double cost() const
    {
        return cost_;
    }
    const Vector &residuals() const
    {
        return residuals_;
    }

    LeastSquaresResult result() const
    {
        LeastSquaresResult result;
        result.at = at_;
        result.residuals = residuals_;
        result.jacobian = jacobian_;
        for (Vector &row : result.jacobian)
            for (size_t k = 0; k < n_; k++)
                row[k] /= range(k);
        for (size_t k = 0; k < n_; k++)
            result.bounds.push_back(bound(k));
        estimate_errors(&result);
        return result;
    }

  private:
    double range(size_t k) const
    {
        return problem_.variables[k].high - problem_.variables[k].low;
    }

    double cost_of(const Vector &residuals) const
    {
        const double all = square_sum(residuals);
        if (left_out_ >= residuals.size())
            return all;
        Vector rest = residuals;
        rest[left_out_] = 0;
        return square_sum(rest);
    }

    void drop_left_out()
    {
        if (left_out_ < residuals_.size())
            jacobian_[left_out_].assign(n_, 0);
    }

    Vector rounded(Vector at) const
    {
        for (size_t k = 0; k < n_; k++) {
            const LeastSquaresVariable &v = problem_.variables[k];
            if (v.grain > 0)
                at[k] = std::round(at[k] / v.grain) * v.grain;
            at[k] = std::clamp(at[k], v.low, v.high);
        }
        return at;
    }

    // A step away in direction k, to the side where there is room.
    Vector aside(size_t k) const
    {
        const LeastSquaresVariable &v = problem_.variables[k];
        Vector place = at_;
        place[k] = at_[k] + v.step <= v.high ? at_[k] + v.step : at_[k] - v.step;
        place = rounded(place);
        TS_ASSERT(place[k] != at_[k]);
        return place;
    }

    BoundReached bound(size_t k) const
    {
        const LeastSquaresVariable &v = problem_.variables[k];
        const double near = std::max(v.grain / 2, range(k) * 1e-9);
        if (at_[k] - v.low <= near)
            return BoundReached::Low;
        return v.high - at_[k] <= near ? BoundReached::High : BoundReached::None;
    }

    // The product of columns k and l of the Jacobian.
    double product(size_t k, size_t l) const
    {
        double sum = 0;
        for (const Vector &row : jacobian_)
            sum += row[k] * row[l];
        return sum;
    }

    // (J'J + damping * diagonal) d = -J'r over the variables that are free; those that this would
    // take past a bound stop on it, and the rest is solved anew.
    Vector stepped(double damping) const
    {
        Vector move(n_, 0);
        std::vector<size_t> free(n_);
        for (size_t k = 0; k < n_; k++)
            free[k] = k;
        while (!free.empty() && solve(damping, &free, &move)) {
        }
        Vector place = at_;
        for (size_t k = 0; k < n_; k++)
            place[k] += move[k] * range(k);
        return rounded(place);
    }

    // True: some have been taken out of `free`, and it must be solved again.
    bool solve(double damping, std::vector<size_t> *free, Vector *move) const
    {
        for (const size_t k : *free)
            (*move)[k] = 0;
        Matrix a;
        Vector b;
        for (const size_t k : *free) {
            Vector row;
            for (const size_t l : *free)
                row.push_back(product(k, l) * (k == l ? 1 + damping : 1) + (k == l ? ridge : 0));
            a.push_back(std::move(row));
            b.push_back(0);
            for (size_t i = 0; i < residuals_.size(); i++)
                b.back() -= jacobian_[i][k] * residuals_[i];
            for (size_t l = 0; l < n_; l++)
                b.back() -= product(k, l) * (*move)[l];
        }
        const Vector d = solve_definite(std::move(a), std::move(b));
        std::vector<size_t> still;
        for (size_t i = 0; i < free->size(); i++) {
            const size_t k = (*free)[i];
            const LeastSquaresVariable &v = problem_.variables[k];
            const double low = (v.low - at_[k]) / range(k), high = (v.high - at_[k]) / range(k);
            (*move)[k] = std::clamp(d[i], low, high);
            if (d[i] >= low && d[i] <= high)
                still.push_back(k);
        }
        const bool again = still.size() < free->size();
        *free = std::move(still);
        return again;
    }

    void estimate_errors(LeastSquaresResult *result) const
    {
        result->standard_errors.assign(n_, nan);
        result->leverage.assign(residuals_.size(), 0);
        result->correlations.assign(n_, Vector(n_, nan));
        std::vector<size_t> seen;
        for (size_t k = 0; k < n_; k++)
            if (result->bounds[k] == BoundReached::None && product(k, k) > 0)
                seen.push_back(k);
        const size_t m = seen.size();
        if (residuals_.size() <= m)
            return;
        const auto scale = [&](size_t i) { return std::sqrt(product(seen[i], seen[i])); };
        Matrix square(m, Vector(m)), inverse;
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < m; j++)
                square[i][j] =
                    product(seen[i], seen[j]) / scale(i) / scale(j) + (i == j ? ridge : 0);
        for (size_t i = 0; i < m; i++) {
            Vector unit(m, 0);
            unit[i] = 1;
            inverse.push_back(solve_definite(square, std::move(unit)));
        }
        for (size_t i = 0; i < residuals_.size(); i++) {
            double own = 0;
            for (size_t k = 0; k < m; k++)
                for (size_t l = 0; l < m; l++)
                    own += jacobian_[i][seen[k]] / scale(k) * inverse[k][l] *
                           jacobian_[i][seen[l]] / scale(l);
            result->leverage[i] = own;
        }
        const double variance = cost_ / static_cast<double>(residuals_.size() - m);
        for (size_t i = 0; i < m; i++) {
            const size_t k = seen[i];
            result->standard_errors[k] = std::sqrt(variance * inverse[i][i]) / scale(i) * range(k);
            for (size_t j = 0; j < m; j++)
                result->correlations[k][seen[j]] =
                    inverse[i][j] / std::sqrt(inverse[i][i] * inverse[j][j]);
        }
    }

    const LeastSquaresProblem &problem_;
    size_t n_;
    size_t left_out_ = std::numeric_limits<size_t>::max();
    Vector at_, residuals_;
    double cost_ = 0, damping_ = damping_start;
    Matrix jacobian_; // by the variables over their ranges
};

// The fraction of base `base` whose digits are those of `index` in reverse.
double radical_inverse(size_t index, size_t base)
{
    double fraction = 0, digit = 1;
    for (; index > 0; index /= base) {
        digit /= static_cast<double>(base);
        fraction += digit * static_cast<double>(index % base);
    }
    return fraction;
}

// A base a variable; more of them take the first ones again, a step further.
Vector place_to_start(const LeastSquaresProblem &problem, size_t start)
{
    static const size_t primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    constexpr size_t n = sizeof primes / sizeof primes[0];
    Vector place;
    for (size_t k = 0; k < problem.variables.size(); k++) {
        const LeastSquaresVariable &v = problem.variables[k];
        const double part = radical_inverse(start + k / n, primes[k % n]);
        place.push_back(start == 0 ? v.start : v.low + part * (v.high - v.low));
    }
    return place;
}

LeastSquaresResult from_start(const LeastSquaresProblem &problem,
                              const LeastSquaresOptions &options, size_t start)
{
    Search search(problem);
    search.start(place_to_start(problem, start));
    bool converged = false;
    size_t i = 0;
    for (;;) {
        search.derive();
        if (options.on_iteration)
            options.on_iteration(start, i, search.cost());
        if (converged || i == options.iterations)
            break;
        i++;
        converged = search.advance() < options.tolerance;
    }
    LeastSquaresResult result = search.result();
    result.converged = converged;
    result.iterations = i;
    return result;
}

} // namespace

double LeastSquaresResult::cost() const
{
    return square_sum(residuals);
}

LeastSquaresResult least_squares(const LeastSquaresProblem &problem,
                                 const LeastSquaresOptions &options)
{
    TS_ASSERT(options.starts > 0);
    LeastSquaresResult best;
    for (size_t s = 0; s < options.starts; s++) {
        LeastSquaresResult result = from_start(problem, options, s);
        if (s == 0 || result.cost() < best.cost())
            best = std::move(result);
    }
    return best;
}

Vector least_squares_without(const LeastSquaresProblem &problem, const LeastSquaresOptions &options,
                             const LeastSquaresResult &fit, size_t row)
{
    TS_ASSERT(row < fit.residuals.size());
    Search search(problem);
    search.leave_out(row);
    search.set(fit);
    // The derivatives are no longer those of the place after a step or two.
    constexpr size_t steps = 2;
    for (size_t i = 0; i < steps; i++)
        if (search.advance() < options.tolerance)
            break;
    return search.residuals();
}

} // namespace ts
