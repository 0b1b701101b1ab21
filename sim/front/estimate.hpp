// SPDX-License-Identifier: Apache-2.0
// Means of seeds, and how sure they are.
#ifndef TS_SIM_FRONT_ESTIMATE_HPP
#define TS_SIM_FRONT_ESTIMATE_HPP

#include <cstddef>
#include <vector>

namespace ts
{

// Mean and the half width of its 95 % confidence interval (Student's t).
struct Estimate {
    double mean = 0;
    double half_width = 0;
    bool has_half_width = false; // at least two samples
    size_t n = 0;
};
Estimate estimate(const std::vector<double> &samples);
// The ratio of the two means, paired by place: seed i of both saw the same. Its interval is that of
// the residuals above[i] - ratio * below[i] over the mean of below (the ratio estimator of survey
// sampling, W. Cochran, Sampling Techniques, 1977, ch. 6). Unlike the mean of the ratios it does
// not grow when below varies. As many of each, and the mean of below is not 0.
Estimate ratio_estimate(const std::vector<double> &above, const std::vector<double> &below);

} // namespace ts

#endif
