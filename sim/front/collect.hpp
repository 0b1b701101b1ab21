// SPDX-License-Identifier: Apache-2.0
// What a folder of results holds, from its points alone: points.json says which there should be,
// and each point's folder what became of it.
#ifndef TS_SIM_FRONT_COLLECT_HPP
#define TS_SIM_FRONT_COLLECT_HPP

#include "sim/front/results.hpp"
#include "sim/front/store.hpp"

#include <string>
#include <vector>

namespace ts
{

struct Collected {
    RunList list;
    std::vector<RunSummary> runs; // a run of the list each; `failed` if it has not finished
    std::vector<FailureRecord> failures;
    std::vector<std::string> corrupt; // a line each
    size_t done = 0;
    size_t missing = 0; // neither done nor failed nor corrupt
};

// Reads with so many threads. Errors as run_list_read's.
Collected collect_read(const std::string &folder, unsigned threads);
// Writes the summaries, failures.csv if there are failures, and results.sqlite into folder, each in
// one step, and the list of what is ours.
void collect_write(const std::string &folder, const Collected &collected);
// "failures.csv": with the command that repeats each.
std::string failures_csv(const std::vector<FailureRecord> &failures);
// A line for people: "12 points: 10 done, 1 failed, 1 missing".
std::string counts_text(const Collected &collected);
// What is wrong, as the end of a command: environment or worse. Nothing if all is done.
void throw_unfinished(const std::string &folder, const Collected &collected);

} // namespace ts

#endif
