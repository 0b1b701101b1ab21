// SPDX-License-Identifier: Apache-2.0
// What validate finds: rows of host and simulator side by side, and what they come to.
#ifndef TS_SIM_FRONT_CALIBRATE_VALIDATION_HPP
#define TS_SIM_FRONT_CALIBRATE_VALIDATION_HPP

#include "sim/front/calibrate/steps.hpp"

#include <string>
#include <vector>

namespace ts
{

struct ValidateRow {
    enum class Unit { Ns, Interrupts };

    std::string name;
    bool held_out = true;
    Spread real;
    double simulated = 0;
    Unit unit = Unit::Ns;

    // Percent of the real value, which is not 0.
    double error() const;
};

struct Validation {
    std::vector<ValidateRow> rows;
    std::vector<std::string> left_out;

    // How much slower the host was than when it was calibrated: the median over the rows of time
    // that calibrate has used, which the simulator gives back as they were. 1: as fast; of at least
    // three rows, else 1.
    double drift() const;
    std::string csv() const;
    std::string table() const;
    std::string verdict() const;
};

} // namespace ts

#endif
