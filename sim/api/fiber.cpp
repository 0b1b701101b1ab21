// SPDX-License-Identifier: Apache-2.0
#include "sim/api/fiber.hpp"

void ts_api_fiber_resume(ts_fiber *fiber)
{
    ts_fiber_resume(fiber);
}

void ts_api_fiber_suspend(ts_fiber *fiber)
{
    ts_fiber_suspend(fiber);
}
