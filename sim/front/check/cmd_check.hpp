// SPDX-License-Identifier: Apache-2.0
// `tlbstorm check`: looks for a case in which a mechanism is wrong.
#ifndef TS_SIM_FRONT_CHECK_CMD_CHECK_HPP
#define TS_SIM_FRONT_CHECK_CMD_CHECK_HPP

#include "sim/front/jobs.hpp"

#include <optional>
#include <string>
#include <vector>

namespace ts
{

struct CheckCommand {
    std::vector<std::string> mechanisms; // empty: all, or those of `config`
    std::string config;                  // an experiment whose machines are used; empty: drawn
    std::string seeds;                   // "A..B" or "A"; empty: from 1 until the time is over
    std::string time;                    // of all together; empty: 60s, or none with seeds
    std::string output;                  // folder for the findings; empty: none
    std::vector<std::string> sets;       // of `config`
    unsigned jobs = available_cpus();
    size_t steps = 40;       // of the story
    bool systematic = false; // tiny cases, order by order
    // Systematic: steps put off in one run, at most. None: one, and of every eighth seed two.
    std::optional<size_t> put_offs;
    size_t runs = 1000;       // systematic: of one case, at most
    bool small = false;       // drawn machines are small ones
    bool weak_memory = false; // stores wait in store buffers
    bool shrinks = true;
    bool force = false;
    bool quiet = false;
};

// Prints a table and a story for each mechanism in which something was found; throws a finding
// (exit code 4) then.
void command_check(const CheckCommand &command);

} // namespace ts

#endif
