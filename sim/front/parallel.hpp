// SPDX-License-Identifier: Apache-2.0
// Work on many points in threads of this process, before any is forked.
#ifndef TS_SIM_FRONT_PARALLEL_HPP
#define TS_SIM_FRONT_PARALLEL_HPP

#include <cstddef>
#include <functional>

namespace ts
{

// Calls each(i) for all i below n, in any order and by up to `threads` threads, and returns when
// all are done. Of the exceptions that are thrown that of the lowest i is thrown on. Few calls are
// made by the caller alone.
void parallel_for(size_t n, unsigned threads, const std::function<void(size_t)> &each);

} // namespace ts

#endif
