// SPDX-License-Identifier: Apache-2.0
// Results of an experiment that nobody ran.
#ifndef TS_TESTS_MADE_UP_RUNS_HPP
#define TS_TESTS_MADE_UP_RUNS_HPP

#include "sim/front/run.hpp"
#include "sim/front/runlist.hpp"

#include <string>
#include <vector>

struct MadeUpRuns {
    static constexpr uint64_t ms = 1000000000;

    ts::RunList list;
    std::vector<ts::RunSummary> runs;

    MadeUpRuns() = default;
    // Mechanisms in the order of names, a run for each of `seeds` seeds.
    MadeUpRuns(const std::vector<std::string> &names, size_t seeds)
    {
        list.baseline = names[0];
        list.per_group = seeds;
        for (const std::string &name : names)
            for (size_t seed = 1; seed <= seeds; seed++) {
                ts::ListedRun run;
                run.platform = "x86";
                run.subject = name;
                run.seed = seed;
                run.folder = name + "/" + std::to_string(seed);
                list.runs.push_back(run);
                ts::RunSummary summary;
                summary.machine.result.vcpus_per_pcpu_milli = 1000;
                runs.push_back(summary);
            }
    }

    struct ts_machine_result &result(size_t mechanism, size_t seed)
    {
        return runs[mechanism * list.per_group + seed].machine.result;
    }

    // Completion times of one mechanism, in ms.
    void completion(size_t mechanism, const std::vector<uint64_t> &times)
    {
        for (size_t i = 0; i < times.size(); i++)
            result(mechanism, i).completion_ps = times[i] * ms;
    }
};

#endif
