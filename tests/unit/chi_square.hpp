/* SPDX-License-Identifier: Apache-2.0 */
/* Pearson's test, for draws that should follow a distribution. */
#ifndef TS_TESTS_UNIT_CHI_SQUARE_HPP
#define TS_TESTS_UNIT_CHI_SQUARE_HPP

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace chi_square_testing
{

/* The upper 0.1 % point of chi-square with many degrees of freedom (Wilson and Hilferty). */
inline double chi_square_limit(double degrees)
{
    double a = 2 / (9 * degrees);
    return degrees * std::pow(1 - a + 3.09 * std::sqrt(a), 3);
}

inline double chi_square(const std::vector<uint64_t> &seen,
                         const std::function<double(size_t)> &expected)
{
    double sum = 0;
    for (size_t i = 0; i < seen.size(); i++) {
        double e = expected(i);
        sum += (static_cast<double>(seen[i]) - e) * (static_cast<double>(seen[i]) - e) / e;
    }
    return sum;
}

} // namespace chi_square_testing

#endif
