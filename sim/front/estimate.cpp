// SPDX-License-Identifier: Apache-2.0
#include "sim/front/estimate.hpp"

#include <boost/math/distributions/students_t.hpp>

#include <cmath>

namespace ts
{

Estimate estimate(const std::vector<double> &samples)
{
    Estimate result;
    result.n = samples.size();
    if (samples.empty())
        return result;
    double sum = 0;
    for (const double sample : samples)
        sum += sample;
    const auto n = static_cast<double>(samples.size());
    result.mean = sum / n;
    if (samples.size() < 2)
        return result;
    double squares = 0;
    for (const double sample : samples)
        squares += (sample - result.mean) * (sample - result.mean);
    const boost::math::students_t distribution(n - 1);
    const double t = boost::math::quantile(boost::math::complement(distribution, 0.025));
    result.half_width = t * std::sqrt(squares / (n - 1) / n);
    result.has_half_width = true;
    return result;
}

Estimate ratio_estimate(const std::vector<double> &above, const std::vector<double> &below)
{
    const double base = estimate(below).mean;
    const double ratio = estimate(above).mean / base;
    std::vector<double> residuals;
    for (size_t i = 0; i < above.size(); i++)
        residuals.push_back((above[i] - ratio * below[i]) / base);
    Estimate result = estimate(residuals);
    result.mean = ratio;
    return result;
}

} // namespace ts
