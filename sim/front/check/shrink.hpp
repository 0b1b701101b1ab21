// SPDX-License-Identifier: Apache-2.0
// Makes a case that finds something as small as it goes: fewer operations, threads, CPUs, settings
// that differ from the defaults. Each step is kept if the smaller case still finds something of the
// same kind (delta debugging, A. Zeller and R. Hildebrandt, Simplifying and Isolating
// Failure-Inducing Input, 2002).
#ifndef TS_SIM_FRONT_CHECK_SHRINK_HPP
#define TS_SIM_FRONT_CHECK_SHRINK_HPP

#include "sim/front/check/case.hpp"

#include <cstddef>
#include <functional>

namespace ts
{

struct Shrunk {
    CheckCase c;
    size_t runs = 0; // tried
};

// finds: does this case still find it? A case that cannot run finds nothing. No more than max_runs
// are tried, so that the outcome does not depend on the machine's speed.
Shrunk shrink(const CheckCase &c, const std::function<bool(const CheckCase &)> &finds,
              size_t max_runs);

// Operations of all threads.
size_t operations_of(const CheckCase &c);

} // namespace ts

#endif
