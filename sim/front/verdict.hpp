// SPDX-License-Identifier: Apache-2.0
// What a folder of results says to the question that was asked: which mechanism wins, by how much
// and how surely, where the time of a shootdown went, and why the answer may be none.
#ifndef TS_SIM_FRONT_VERDICT_HPP
#define TS_SIM_FRONT_VERDICT_HPP

#include "sim/front/run.hpp"
#include "sim/front/runlist.hpp"

#include <string>
#include <vector>

namespace ts
{

// Some lines for each platform and combination of swept values. Three questions each: completion
// (or records), system time, latency of a shootdown. Best against the baseline and against the
// next, paired by seed, with 95 % intervals; a difference whose interval holds 0 is called none.
// Empty for studies and where there is nothing to compare.
std::string verdict_text(const RunList &list, const std::vector<RunSummary> &runs);

// Why a verdict may not be one, a line each: few seeds, seeds that do not differ, overcommit that
// was none, queues that were full. folder: of the points, whose stats.csv are read; what cannot be
// read says nothing. Empty for studies.
std::vector<std::string> verdict_guards(const RunList &list, const std::vector<RunSummary> &runs,
                                        const std::string &folder);

// Writes both into folder/verdict.txt, guards as lines that begin with "warning: ".
void verdict_write(const RunList &list, const std::vector<RunSummary> &runs,
                   const std::string &folder);
// Prints what verdict_write has left there, if anything: verdicts on standard output, of many the
// first few; guards on standard error, unless quiet.
void verdict_print(const std::string &folder, bool quiet);

} // namespace ts

#endif
