// SPDX-License-Identifier: Apache-2.0
// Draws of a random case. Streams are told apart by seed and by nothing else.
#ifndef TS_SIM_FRONT_CHECK_DICE_HPP
#define TS_SIM_FRONT_CHECK_DICE_HPP

#include "sim/rng.h"

#include <cstddef>
#include <string>

namespace ts
{

class Dice
{
  public:
    explicit Dice(uint64_t seed)
    {
        ts_rng_init(&rng_, seed, "tests.swarm", 0);
    }
    uint64_t between(uint64_t lo, uint64_t hi)
    {
        return ts_rng_between(&rng_, lo, hi);
    }
    std::string number(uint64_t lo, uint64_t hi)
    {
        return std::to_string(between(lo, hi));
    }
    std::string flag()
    {
        return between(0, 1) ? "true" : "false";
    }
    template <size_t N> const char *one_of(const char *const (&names)[N])
    {
        return names[between(0, N - 1)];
    }

  private:
    ts_rng rng_;
};

} // namespace ts

#endif
