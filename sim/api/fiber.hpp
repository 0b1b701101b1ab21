// SPDX-License-Identifier: Apache-2.0
// The switches of sim/fiber.h as functions of the library: inline in its users, they would make
// these link Boost.Context themselves.
#ifndef TS_SIM_API_FIBER_HPP
#define TS_SIM_API_FIBER_HPP

#include "sim/fiber.h"

extern "C" {
void ts_api_fiber_resume(ts_fiber *fiber);
void ts_api_fiber_suspend(ts_fiber *fiber);
}

#endif
