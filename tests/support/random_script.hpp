/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TS_TESTS_SUPPORT_RANDOM_SCRIPT_HPP
#define TS_TESTS_SUPPORT_RANDOM_SCRIPT_HPP

#include "sim/front/check/random_script.hpp"
#include "tests/support/script_workload.hpp"

namespace ts_test
{

using ts::Dice;
using ts::RandomScript;

} // namespace ts_test
#endif
