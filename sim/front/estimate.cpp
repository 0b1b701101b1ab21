// SPDX-License-Identifier: Apache-2.0
#include "sim/front/estimate.hpp"

#include <boost/accumulators/accumulators.hpp>
#include <boost/accumulators/statistics/mean.hpp>
#include <boost/accumulators/statistics/stats.hpp>
#include <boost/accumulators/statistics/variance.hpp>
#include <boost/math/distributions/students_t.hpp>

#include <cmath>

namespace ts
{

namespace boost_acc = boost::accumulators;

Estimate estimate(const std::vector<double> &samples)
{
    Estimate result;
    result.n = samples.size();
    if (samples.empty())
        return result;
    // Immediate (Welford's), not the lazy difference of two large numbers.
    boost_acc::accumulator_set<
        double, boost_acc::stats<boost_acc::tag::immediate_mean, boost_acc::tag::variance>>
        set;
    for (const double sample : samples)
        set(sample);
    const auto n = static_cast<double>(samples.size());
    result.mean = boost_acc::mean(set);
    if (samples.size() < 2)
        return result;
    // The accumulator's is of a population.
    const double variance = boost_acc::variance(set) * n / (n - 1);
    const boost::math::students_t distribution(n - 1);
    const double t = boost::math::quantile(boost::math::complement(distribution, 0.025));
    result.half_width = t * std::sqrt(variance / n);
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
