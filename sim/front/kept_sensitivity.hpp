// SPDX-License-Identifier: Apache-2.0
// What the main results have been seen to hang on: sensitivity.csv of a configuration root, which
// results/sensitivity/run.sh writes.
#ifndef TS_SIM_FRONT_KEPT_SENSITIVITY_HPP
#define TS_SIM_FRONT_KEPT_SENSITIVITY_HPP

#include "sim/front/paths.hpp"

#include <map>
#include <string>
#include <vector>

namespace ts
{

// Of one result, the mechanism that moves most.
struct KeptSensitivity {
    std::string result, mechanism;
    std::string low, high;     // what the parameter was set to
    double elasticity = 0;     // change of the completion time in % for 1 % of the parameter
    double standard_error = 0; // over seeds
};
using KeptSensitivities = std::map<std::string, std::vector<KeptSensitivity>>; // by key

// Of the first root that has the file; nothing if none has. An environment error if it cannot be
// read.
KeptSensitivities kept_sensitivities(const Paths &paths);
// "+0.21 (kvm_pv)", or kept_none where it is not above twice its standard error, or rounds to 0.
extern const char kept_none[];
std::string kept_text(const KeptSensitivity &kept);

} // namespace ts

#endif
