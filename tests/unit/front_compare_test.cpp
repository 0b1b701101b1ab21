// SPDX-License-Identifier: Apache-2.0
// Two folders of results side by side, on results that are made up.
#include "sim/front/cmd_compare.hpp"
#include "sim/front/error.hpp"
#include "tests/unit/made_up_runs.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace
{

class FrontCompare : public ::testing::Test
{
  protected:
    FrontCompare()
        : before({"native_sequential", "kvm_pv"}, 3), after({"native_sequential", "kvm_pv"}, 3)
    {
        command.before = "A";
        command.after = "B";
        before.completion(0, {100, 110, 120});
        before.completion(1, {50, 60, 70});
        after.completion(0, {100, 110, 120});
        after.completion(1, {50, 60, 70});
    }

    ts::Comparison compared() const
    {
        return ts::compare_runs(before.list, before.runs, after.list, after.runs, command);
    }

    const ts::CompareRow &row(const ts::Comparison &comparison, const std::string &subject,
                              const std::string &metric = "completion_time") const
    {
        for (const ts::CompareRow &row : comparison.rows)
            if (row.subject == subject && row.metric.name == metric)
                return row;
        throw std::runtime_error("no such row");
    }

    std::string refusal() const
    {
        try {
            compared();
        } catch (const ts::Error &error) {
            EXPECT_EQ(error.exit_code(), 2);
            return error.what();
        }
        return "";
    }

    MadeUpRuns before, after;
    ts::CompareCommand command;
};

TEST_F(FrontCompare, EqualIsEqual)
{
    const ts::Comparison comparison = compared();
    EXPECT_EQ(comparison.paired, 6u);
    EXPECT_EQ(comparison.points, 2u);
    EXPECT_EQ(ts::compare_text(comparison, command), "6 runs of 2 points are in both\n"
                                                     "2 of 2 metrics are equal\n"
                                                     "no regression beyond 5 %\n");
}

// 180 ms to 198: 10 % more, every pair in that proportion, so without doubt.
TEST_F(FrontCompare, ARegressionIsBeyondTheTolerance)
{
    after.completion(1, {55, 66, 77});
    command.tolerance_pct = 9.9;
    EXPECT_TRUE(row(compared(), "kvm_pv").beyond);
    EXPECT_FALSE(row(compared(), "native_sequential").worse);
    EXPECT_NE(ts::compare_text(compared(), command).find("+10.00 +- 0.00 %  REGRESSION"),
              std::string::npos)
        << ts::compare_text(compared(), command);
    EXPECT_NE(ts::compare_text(compared(), command).find("1 regression beyond 9.9 %\n"),
              std::string::npos);
    command.tolerance_pct = 10.1;
    EXPECT_FALSE(row(compared(), "kvm_pv").beyond);
    EXPECT_TRUE(row(compared(), "kvm_pv").worse);
}

// The same means from pairs that disagree are no regression.
TEST_F(FrontCompare, WhatCannotBeToldIsNoRegression)
{
    after.completion(1, {99, 33, 66});
    const ts::Comparison comparison = compared();
    EXPECT_NEAR(row(comparison, "kvm_pv").ratio.mean, 1.1, 1e-9);
    EXPECT_FALSE(row(comparison, "kvm_pv").worse);
    EXPECT_NE(ts::compare_text(comparison, command).find("not told apart"), std::string::npos);
}

TEST_F(FrontCompare, MoreRecordsAreBetter)
{
    for (size_t i = 0; i < 6; i++) {
        before.runs[i].machine.result.record_rate_uhz = 100;
        after.runs[i].machine.result.record_rate_uhz = i < 3 ? 80 : 120;
    }
    const ts::Comparison comparison = compared();
    EXPECT_TRUE(row(comparison, "native_sequential", "record_rate").beyond);
    EXPECT_TRUE(row(comparison, "kvm_pv", "record_rate").better);
    // A number that is neither good nor bad in itself is never a regression.
    command.metrics = {"ipis"};
    for (ts::RunSummary &run : before.runs)
        run.machine.result.ipis = 1;
    for (ts::RunSummary &run : after.runs)
        run.machine.result.ipis = 7;
    EXPECT_DOUBLE_EQ(row(compared(), "kvm_pv", "ipis").ratio.mean, 7);
    EXPECT_FALSE(row(compared(), "kvm_pv", "ipis").worse);
}

TEST_F(FrontCompare, RunsArePairedByWhatTheyAreAndNotByPlace)
{
    std::reverse(after.list.runs.begin(), after.list.runs.end());
    std::reverse(after.runs.begin(), after.runs.end());
    EXPECT_DOUBLE_EQ(row(compared(), "kvm_pv").ratio.mean, 1);
    EXPECT_DOUBLE_EQ(row(compared(), "kvm_pv").ratio.half_width, 0);
    after.list.runs[0].seed = 17; // of kvm_pv
    after.runs[1].failed = true;
    const ts::Comparison comparison = compared();
    EXPECT_EQ(comparison.paired, 4u);
    EXPECT_EQ(comparison.only_before, 2u);
    EXPECT_EQ(comparison.only_after, 1u);
    EXPECT_EQ(row(comparison, "kvm_pv").before.n, 1u);
}

TEST_F(FrontCompare, ThePartOfThePathThatMoved)
{
    for (size_t i = 0; i < 6; i++) {
        ts::MachineSummary &a = before.runs[i].machine, &b = after.runs[i].machine;
        a.records = b.records = 10;
        a.result.shootdown_mean_ps = 4000000;
        b.result.shootdown_mean_ps = 6000000;
        a.path_total_ps = 40000000;
        b.path_total_ps = 60000000;
        a.path_ps[1] = 10000000;
        b.path_ps[1] = 15000000;
        a.path_ps[4] = 30000000;
        b.path_ps[4] = 45000000;
    }
    const ts::Comparison comparison = compared();
    EXPECT_EQ(row(comparison, "kvm_pv", "shootdown_mean").part, "exit");
    EXPECT_DOUBLE_EQ(row(comparison, "kvm_pv", "shootdown_mean").part_ps, 1500000);
    EXPECT_DOUBLE_EQ(row(comparison, "kvm_pv", "shootdown_mean").path_ps, 2000000);
    EXPECT_NE(ts::compare_text(comparison, command).find("REGRESSION; of it exit +1.500 us"),
              std::string::npos)
        << ts::compare_text(comparison, command);
}

TEST_F(FrontCompare, OfOneSeedTheDifferenceItselfDecides)
{
    before = MadeUpRuns({"kvm_pv"}, 1);
    after = MadeUpRuns({"kvm_pv"}, 1);
    before.completion(0, {100});
    after.completion(0, {106});
    EXPECT_TRUE(row(compared(), "kvm_pv").beyond);
    EXPECT_FALSE(row(compared(), "kvm_pv").ratio.has_half_width);
}

TEST_F(FrontCompare, Refusals)
{
    command.metrics = {"complete_time"};
    EXPECT_EQ(refusal(), "--metric complete_time: there is no such metric (did you mean "
                         "'completion_time'?)");
    command.metrics.clear();
    for (ts::ListedRun &run : after.list.runs)
        run.platform = "arm";
    EXPECT_EQ(refusal(), "no run of A has its like in B (mechanism, platform, swept values and "
                         "seed)");
    after.list.columns.push_back({"run.vms", "", ""});
    EXPECT_EQ(refusal(), "the folders sweep different keys: A nothing, B run.vms");
}

} // namespace
