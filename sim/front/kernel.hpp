// SPDX-License-Identifier: Apache-2.0
// Which simulation kernel drives the engine. The native one is ts_engine_run itself; the SystemC
// one is there only in the program tlbstorm-systemc. Both run the same events in the same order.
#ifndef TS_SIM_FRONT_KERNEL_HPP
#define TS_SIM_FRONT_KERNEL_HPP

#include "sim/engine.h"

namespace ts
{

// Runs the events with time <= limit until none is left or ts_engine_stop is called. Returns the
// time of the last event run.
using KernelRun = ts_time (*)(ts_engine *engine, ts_time limit);

// nullptr in a program that is linked without SystemC (kernel_none.cpp).
KernelRun systemc_kernel();

} // namespace ts

#endif
