// SPDX-License-Identifier: Apache-2.0
// What a comparison says in words, on results that are made up.
#include "sim/front/verdict.hpp"
#include "tests/unit/made_up_runs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

namespace
{

class FrontVerdict : public ::testing::Test
{
  protected:
    void list_of(const std::vector<std::string> &names, size_t seeds)
    {
        made = MadeUpRuns(names, seeds);
    }

    void completion(size_t mechanism, const std::vector<uint64_t> &times)
    {
        made.completion(mechanism, times);
    }

    std::string line(const std::string &begin) const
    {
        const std::string text = ts::verdict_text(list, runs);
        const size_t at = text.find("  " + begin + ":");
        if (at == std::string::npos)
            return "";
        const std::string whole = text.substr(at, text.find('\n', at) - at);
        return whole.substr(whole.find_first_not_of(' ', begin.size() + 3));
    }

    bool guarded(const std::string &words) const
    {
        for (const std::string &guard : ts::verdict_guards(list, runs, folder))
            if (guard.find(words) != std::string::npos)
                return true;
        return false;
    }

    MadeUpRuns made;
    const ts::RunList &list = made.list;
    std::vector<ts::RunSummary> &runs = made.runs;
    std::string folder = "no/such/folder";
};

// 100, 104 against 80, 84: 82 over 102 is 80.4 %; residuals of the pairs +-0.392 ms over 102.
TEST_F(FrontVerdict, TheBestAgainstTheBaseline)
{
    list_of({"native_sequential", "native_concurrent"}, 2);
    completion(0, {100, 104});
    completion(1, {80, 84});
    const double residual = 80 - 82.0 / 102 * 100;
    const double t = std::tan(std::acos(-1.0) * (0.975 - 0.5));
    const double half = t * std::fabs(residual) / 102 * 100; // deviation sqrt(2) over sqrt(2)
    char expected[200];
    std::snprintf(expected, sizeof expected,
                  "native_concurrent is best, 20 %% below native_sequential (%.0f to %.0f %%)",
                  100 - 8200.0 / 102 - half, 100 - 8200.0 / 102 + half);
    EXPECT_EQ(line("completion time"), expected);
    // Seeds that go the other way round: nothing can be told any more.
    completion(1, {120, 44});
    EXPECT_EQ(line("completion time")
                  .find("native_concurrent is best, 20 % below native_sequential (no difference "
                        "can be told: -"),
              0u)
        << line("completion time");
}

TEST_F(FrontVerdict, TheBaselineMayBeBestAndRatesGoUp)
{
    list_of({"native_sequential", "kvm_pv", "native_concurrent"}, 5);
    completion(0, {100, 100, 100, 100, 100});
    completion(1, {200, 200, 200, 200, 200});
    completion(2, {150, 150, 150, 150, 150});
    EXPECT_EQ(line("completion time"), "native_sequential, the baseline, is best; "
                                       "native_concurrent is 50 % above it (50 to 50 %)");
    for (size_t i = 0; i < runs.size(); i++) {
        runs[i].machine.result.window_ps = MadeUpRuns::ms;
        runs[i].machine.result.record_rate_uhz = i < 5 ? 10 : i < 10 ? 15 : 12;
    }
    EXPECT_EQ(line("records a second"),
              "kvm_pv is best, 50 % above native_sequential (50 to 50 %); "
              "native_concurrent is 20 % below it (20 to 20 %)");
    EXPECT_EQ(line("completion time"), "");
}

TEST_F(FrontVerdict, LargeRatiosAreNotToldInPerCents)
{
    list_of({"native_sequential", "kvm_pv", "native_concurrent"}, 5);
    completion(0, {300, 300, 300, 300, 300});
    completion(1, {1, 1, 1, 1, 1});
    completion(2, {25, 25, 25, 25, 25});
    EXPECT_EQ(line("completion time"), "kvm_pv is best, 0.3 % of native_sequential (0.3 to 0.3 %); "
                                       "native_concurrent is 25.0 times it (25.0 to 25.0)");
}

// What nobody can build wins nothing, and what has known faults is called so.
TEST_F(FrontVerdict, BoundsDoNotCompete)
{
    list_of({"native_sequential", "free_flush", "hyperv_2017"}, 5);
    completion(0, {100, 100, 100, 100, 100});
    completion(1, {50, 50, 50, 50, 50});
    completion(2, {80, 80, 80, 80, 80});
    EXPECT_EQ(
        line("completion time"),
        "hyperv_2017 (with its known faults) is best, 20 % below native_sequential (20 to 20 %)");
    EXPECT_EQ(line("hypothetical"), "free_flush would be 38 % below hyperv_2017 (with its known "
                                    "faults) (38 to 38 %) in completion time");
}

TEST_F(FrontVerdict, WhereTheTimeWent)
{
    list_of({"native_sequential", "kvm_pv"}, 5);
    completion(0, {100, 100, 100, 100, 100});
    completion(1, {50, 50, 50, 50, 50});
    EXPECT_EQ(line("a shootdown takes"), "");
    for (size_t i = 0; i < runs.size(); i++) {
        ts::MachineSummary &machine = runs[i].machine;
        machine.records = 2;
        machine.path_total_ps = i < 5 ? 20000000 : 8000000;
        machine.path_ps[0] = machine.path_total_ps / 4;
        machine.path_ps[2] = machine.path_total_ps - machine.path_ps[0];
        machine.result.shootdown_mean_ps = machine.path_total_ps / 2;
    }
    EXPECT_EQ(line("a shootdown takes"), "kvm_pv 4.000 us, 75 % of it not_running; "
                                         "native_sequential 10.00 us, 75 % of it not_running");
    EXPECT_EQ(line("shootdown latency"),
              "kvm_pv is best, 60 % below native_sequential (60 to 60 %)");
}

// Of a seed that one side has not finished neither counts.
TEST_F(FrontVerdict, FailedSeedsAreLeftOutOfPairs)
{
    list_of({"native_sequential", "kvm_pv"}, 3);
    completion(0, {100, 1000, 100});
    completion(1, {50, 50, 50});
    runs[1].failed = true;
    EXPECT_EQ(line("completion time"), "kvm_pv is best, 50 % below native_sequential (50 to 50 %)");
}

TEST_F(FrontVerdict, NothingToCompareIsNoVerdict)
{
    list_of({"native_sequential"}, 5);
    EXPECT_EQ(ts::verdict_text(list, runs), "");
}

TEST_F(FrontVerdict, GuardsOfSeeds)
{
    list_of({"native_sequential", "kvm_pv"}, 4);
    completion(0, {100, 101, 102, 103});
    completion(1, {100, 101, 102, 103});
    EXPECT_TRUE(guarded("4 seeds give wide intervals"));
    EXPECT_FALSE(guarded("the same result with every seed"));
    completion(1, {100, 100, 100, 100});
    EXPECT_TRUE(guarded("1 of 2 points have the same result with every seed"));
}

TEST_F(FrontVerdict, FiveSeedsAreEnough)
{
    list_of({"native_sequential", "kvm_pv"}, 5);
    completion(0, {100, 101, 102, 103, 104});
    completion(1, {100, 101, 102, 103, 104});
    EXPECT_TRUE(ts::verdict_guards(list, runs, folder).empty());
}

// Four vCPUs per pCPU that sleep are no overcommit.
TEST_F(FrontVerdict, GuardOfOvercommit)
{
    list_of({"native_sequential", "kvm_pv"}, 5);
    completion(0, {100, 101, 102, 103, 104});
    completion(1, {100, 101, 102, 103, 104});
    for (size_t i = 0; i < runs.size(); i++) {
        runs[i].machine.result.vcpus_per_pcpu_milli = 4000;
        runs[i].machine.result.effective_overcommit_milli = i < 5 ? 1099 : 1100;
    }
    EXPECT_TRUE(guarded("1 of 2 overcommitted points are hardly so: the first has 4.00 vCPUs per "
                        "pCPU, of which 1.10 run"));
    for (ts::RunSummary &run : runs)
        run.machine.result.vcpus_per_pcpu_milli = 1249;
    EXPECT_TRUE(ts::verdict_guards(list, runs, folder).empty());
}

TEST_F(FrontVerdict, GuardOfQueues)
{
    list_of({"native_sequential", "kvm_pv"}, 5);
    completion(0, {100, 101, 102, 103, 104});
    completion(1, {100, 101, 102, 103, 104});
    folder = ::testing::TempDir() + "front_verdict";
    const std::string point = folder + "/kvm_pv/1";
    std::filesystem::create_directories(point);
    const auto write = [&](int queued, int refused) {
        std::ofstream(point + "/stats.csv")
            << "group,name,unit,value\ninterconnect,queued_ps,ps," << queued
            << "\ninterconnect,latency_ps.sum,ps,1000\ndvm,rxreq_retried,1," << refused
            << "\ndvm,issued,1,100\n";
    };
    write(500, 10);
    EXPECT_TRUE(ts::verdict_guards(list, runs, folder).empty());
    write(501, 11);
    EXPECT_TRUE(guarded("1 of 2 points: messages wait for links most of their time"));
    EXPECT_TRUE(guarded("1 of 2 points: DVM requests were refused by full trackers"));
    std::filesystem::remove_all(folder);
}

} // namespace
