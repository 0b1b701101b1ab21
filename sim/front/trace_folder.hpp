// SPDX-License-Identifier: Apache-2.0
// The files of `strace -ff -o NAME`, one a thread and without its number in the lines, as the one
// text that `strace -f` would have written: lines by their times, each behind its thread's number.
// Lines without a time go with the one before. Where no line has a time the threads follow one
// another.
#ifndef TS_SIM_FRONT_TRACE_FOLDER_HPP
#define TS_SIM_FRONT_TRACE_FOLDER_HPP

#include "sim/front/trace.hpp"

namespace ts
{

std::unique_ptr<TraceReader> trace_open_folder(const std::string &path);

} // namespace ts

#endif
