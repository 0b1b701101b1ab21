// SPDX-License-Identifier: Apache-2.0
// Runs case after case of one mechanism, on as many processes as are asked for, until one finds
// something, the last seed has been run, or the time is over.
#ifndef TS_SIM_FRONT_CHECK_SEARCH_HPP
#define TS_SIM_FRONT_CHECK_SEARCH_HPP

#include "sim/front/check/run_case.hpp"

#include <chrono>
#include <functional>
#include <optional>

namespace ts
{

struct SearchSettings {
    uint64_t first = 1, last = UINT64_MAX; // seeds
    unsigned jobs = 1;
    std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

struct SearchResult {
    uint64_t runs = 0;    // cases that ran
    uint64_t refused = 0; // draws that could not be combined
    CaseCounts counts;
    double seconds = 0;
    std::optional<uint64_t> found; // the lowest seed that finds something
    bool out_of_time = false;      // before the last seed
};

using DrawCase = std::function<std::optional<CheckCase>(uint64_t seed)>;

// Which seed is found does not depend on jobs, unless the time ends first. With several jobs cases
// after the one found may have run, too: they are not counted. A case that breaks an
// invariant of the model is a finding; one whose run fails otherwise ends the search with an error
// that names its seed.
SearchResult search(const DrawCase &draw, const SearchSettings &settings);

} // namespace ts

#endif
