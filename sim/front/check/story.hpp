// SPDX-License-Identifier: Apache-2.0
// A case told: what each thread was to do, and what happened, step by step, up to the finding.
#ifndef TS_SIM_FRONT_CHECK_STORY_HPP
#define TS_SIM_FRONT_CHECK_STORY_HPP

#include "sim/front/check/case.hpp"

#include <string>

namespace ts
{

// "munmap region 3, pages 0 to 4".
std::string operation_text(const ts_op &op);
// The machine's settings and the threads' operations.
std::string case_text(const CheckCase &c);
// Runs it again and tells the last `steps` steps before its finding.
std::string story_text(const CheckCase &c, size_t steps);

} // namespace ts

#endif
