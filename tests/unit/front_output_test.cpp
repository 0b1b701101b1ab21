// SPDX-License-Identifier: Apache-2.0
// Numbers, estimates, files and the results folder.
#include "sim/front/folder.hpp"
#include "sim/front/output.hpp"
#include "sim/front/results.hpp"
#include "sim/front/timeline.hpp"
#include "tests/unit/front_support.hpp"

#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/device/file.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filtering_streambuf.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

namespace
{

class FrontOutput : public FrontTest
{
};

TEST(FrontNumbers, AreShortAndExact)
{
    EXPECT_EQ(ts::number(0.0), "0");
    EXPECT_EQ(ts::number(1.0), "1");
    EXPECT_EQ(ts::number(0.1 + 0.2), "0.3"); // ten digits hide the last one
    EXPECT_EQ(ts::number(12345678901.0), "1.23456789e+10");
    EXPECT_EQ(ts::decimal(5, 3), "0.005");
    EXPECT_EQ(ts::decimal(12345, 3), "12.345");
    EXPECT_EQ(ts::decimal(UINT64_MAX, 0), "18446744073709551615");
    EXPECT_EQ(ts::short_time(2.5e-6), "2.500 us");
    EXPECT_EQ(ts::short_time(0.25), "250.0 ms");
    EXPECT_EQ(ts::short_time(1234.0), "1234 s");
    EXPECT_EQ(ts::short_count(3250), "3250");
    EXPECT_EQ(ts::short_count(2.5e6), "2.500M");
    EXPECT_EQ(ts::csv_field("20GB/s"), "20GB/s");
    EXPECT_EQ(ts::csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
}

// With one degree of freedom Student's t is a Cauchy distribution, whose quantile is a tangent.
TEST(FrontEstimate, TwoSamplesByTheFormula)
{
    const double t = std::tan(std::acos(-1.0) * (0.975 - 0.5));
    const ts::Estimate e = ts::estimate({1.0, 4.0});
    EXPECT_DOUBLE_EQ(e.mean, 2.5);
    ASSERT_TRUE(e.has_half_width);
    EXPECT_NEAR(e.half_width, t * (4.0 - 1.0) / 2, 1e-9);
}

// With two degrees of freedom the quantile is (2p - 1) * sqrt(2 / (4 p (1 - p))).
TEST(FrontEstimate, ThreeSamplesByTheFormula)
{
    const double p = 0.975;
    const double t = (2 * p - 1) * std::sqrt(2 / (4 * p * (1 - p)));
    const ts::Estimate e = ts::estimate({1.0, 2.0, 6.0});
    const double deviation = std::sqrt((4.0 + 1.0 + 9.0) / 2);
    EXPECT_DOUBLE_EQ(e.mean, 3.0);
    EXPECT_NEAR(e.half_width, t * deviation / std::sqrt(3.0), 1e-9);
}

// Pairs in one proportion have that ratio and no doubt about it, whatever their sizes; the mean of
// the ratios of {3, 1} over {1, 3} would be 1.67.
TEST(FrontEstimate, ARatioIsThatOfTheMeans)
{
    const ts::Estimate same = ts::ratio_estimate({2.0, 8.0, 20.0}, {1.0, 4.0, 10.0});
    EXPECT_DOUBLE_EQ(same.mean, 2.0);
    EXPECT_DOUBLE_EQ(same.half_width, 0.0);
    const double t = std::tan(std::acos(-1.0) * (0.975 - 0.5));
    const ts::Estimate crossed = ts::ratio_estimate({3.0, 1.0}, {1.0, 3.0});
    EXPECT_DOUBLE_EQ(crossed.mean, 1.0);
    // Residuals +2 and -2 over a mean of 2: deviation sqrt(2), over sqrt(2) seeds.
    ASSERT_TRUE(crossed.has_half_width);
    EXPECT_NEAR(crossed.half_width, t * 1.0, 1e-9);
    EXPECT_EQ(crossed.n, 2u);
    EXPECT_FALSE(ts::ratio_estimate({7.0}, {2.0}).has_half_width);
    EXPECT_DOUBLE_EQ(ts::ratio_estimate({7.0}, {2.0}).mean, 3.5);
}

TEST(FrontEstimate, FewSamples)
{
    EXPECT_EQ(ts::estimate({}).n, 0u);
    EXPECT_FALSE(ts::estimate({7.0}).has_half_width);
    EXPECT_DOUBLE_EQ(ts::estimate({7.0}).mean, 7.0);
    EXPECT_DOUBLE_EQ(ts::estimate({7.0, 7.0}).half_width, 0.0);
}

// A failed seed is left out of the means and of its pair, a point without any seed of everything.
TEST(FrontSummary, FailedRunsAreLeftOut)
{
    const ts::Experiment experiment = ts::experiment_parse(
        "schema: 1\nname: t\nworkload: {kind: mmap_storm}\nrepetitions: 3\nbaseline: free_flush\n"
        "mechanisms: [free_flush, native_concurrent]\nsweep: {run.vms: [1, 2]}\n",
        "e.yaml", {}, false);
    const std::vector<ts::Point> points = ts::experiment_points(experiment);
    ASSERT_EQ(points.size(), 12u);
    std::vector<ts::RunSummary> runs(points.size());
    for (size_t i = 0; i < runs.size(); i++) {
        runs[i].machine.result.completion_ps = (i % 3 + 1) * (i < 3 ? 30 : 10);
        runs[i].machine.records = 1;
        runs[i].failed = i == 1 || i == 3 || i >= 9; // a baseline's seed, another's, and a point
    }
    const std::string csv = ts::summary_csv(ts::run_list(experiment, points, {}), runs);
    const auto has = [&](const std::string &row) { return csv.find(row) != std::string::npos; };
    // Only the last seed is there on both sides.
    EXPECT_TRUE(has("native_concurrent,default,1,speedup,ratio,3,,1\n")) << csv;
    EXPECT_TRUE(has("native_concurrent,default,1,log_speedup,ln,1.098612289,,1\n")) << csv;
    EXPECT_TRUE(has("free_flush,default,1,log_speedup,ln,0,0,2\n")) << csv;
    EXPECT_TRUE(has("free_flush,default,1,speedup,ratio,1,0,2\n")) << csv;
    EXPECT_TRUE(has("free_flush,default,2,speedup,ratio,1,0,3\n")) << csv;
    EXPECT_FALSE(has("native_concurrent,default,2,")) << csv;
    EXPECT_NE(ts::critical_path_csv(ts::run_list(experiment, points, {}), runs)
                  .find("native_concurrent,default,1,total,us,0,0,2\n"),
              std::string::npos);
    const std::string table = ts::summary_table(ts::run_list(experiment, points, {}), runs);
    EXPECT_EQ(table.find("default, run.vms = 1 (mean of 2 seeds)\n"), 0u) << table;
}

TEST_F(FrontOutput, WriteErrorsAreToldAtClose)
{
    ts::OutputFile file("/dev/full");
    file.put(std::string(100000, 'x'));
    EXPECT_THROW(file.close(), ts::Error);
    EXPECT_THROW(ts::OutputFile(path("no/such/folder")), ts::Error);
}

TEST_F(FrontOutput, CompressionIsRepeatable)
{
    const std::string text(100000, 'a');
    for (const ts::Compression kind : {ts::Compression::Zstd, ts::Compression::Gzip}) {
        const std::string end = kind == ts::Compression::Zstd ? ".zst" : ".gz";
        ts::compress_file(write("a", text), kind);
        ts::compress_file(write("b", text), kind);
        EXPECT_FALSE(std::filesystem::exists(path("a")));
        EXPECT_EQ(read(path("a" + end)), read(path("b" + end)));
        EXPECT_LT(read(path("a" + end)).size(), text.size() / 10);
    }
}

void emit(ts::TimelineFile &file, ts_time when, ts_timeline_kind kind, uint32_t group,
          uint32_t track, const char *name, uint64_t id = 0)
{
    ts_timeline timeline{ts::TimelineFile::record, &file};
    ts_timeline_emit(&timeline, when, kind, group, track, name, id);
}

TEST_F(FrontOutput, TimelineIsBalancedJson)
{
    ts::TimelineFile file(path("t.json"));
    emit(file, 1500, TS_TL_END, 0, 0, "before recording"); // dropped
    emit(file, 1999, TS_TL_BEGIN, 1, 2, "a \"name\"\n");
    emit(file, 2000, TS_TL_FLOW, 1, 2, "ipi", 9);
    emit(file, 1234567890, TS_TL_FLOW_END, 0, 3, "ipi", 9);
    emit(file, 1234567890, TS_TL_INSTANT, 0, 3, "mark", 4);
    emit(file, 1234567999, TS_TL_BEGIN, 1, 2, "inner");
    emit(file, 1234568999, TS_TL_END, 1, 2, nullptr);
    file.close(1234570000);
    const nlohmann::json events = nlohmann::json::parse(read(path("t.json")))["traceEvents"];
    std::string phases;
    for (const auto &event : events)
        phases += event["ph"].get<std::string>();
    EXPECT_EQ(phases.substr(0, 7), "BsfiBEE");
    // Microseconds, whole nanoseconds, rounded down.
    EXPECT_DOUBLE_EQ(events[0]["ts"].get<double>(), 0.001);
    EXPECT_DOUBLE_EQ(events[2]["ts"].get<double>(), 1234.567);
    EXPECT_EQ(events[0]["name"], "a _name__");
    EXPECT_EQ(events[1]["id"], events[2]["id"]);
    EXPECT_EQ(events[3]["args"]["id"], 4);
    // Tracks 0/0, 0/3 and 1/2 in two processes: two rows each.
    EXPECT_EQ(phases.substr(7), std::string(2 * 2 + 3 * 2, 'M'));
}

// One that is refused has touched nothing, and the other's folder is not its to remove.
TEST_F(FrontOutput, RefusedFolderIsLeftAlone)
{
    ts::OutputFolder first(path("out"), false);
    first.open();
    ts::write_file(first.partial() + "/file", "x");
    {
        ts::OutputFolder second(path("out"), false);
        EXPECT_NE(user_error_of([&] { second.open(); }).find("another tlbstorm is writing there"),
                  std::string::npos);
    }
    EXPECT_EQ(read(first.partial() + "/file"), "x");
    first.commit();
    EXPECT_EQ(read(path("out/file")), "x");
    EXPECT_EQ(read(path("out/.tlbstorm")), "tlbstorm results, schema 1\n.tlbstorm\nfile\n");
}

// A partial folder that nobody locks is the rest of a run that died.
TEST_F(FrontOutput, RestOfADeadRunIsReplaced)
{
    write("out.partial/.tlbstorm", "tlbstorm results, schema 1\n");
    write("out.partial/x86/old", "x");
    ts::OutputFolder folder(path("out"), false);
    folder.open();
    EXPECT_FALSE(std::filesystem::exists(path("out.partial/x86")));
    ts::write_file(folder.partial() + "/new", "y");
    folder.commit();
    EXPECT_EQ(read(path("out/new")), "y");
}

// What both wrote is there twice.
TEST_F(FrontOutput, ForceKeepsWhatOthersWrote)
{
    const auto run = [&](const std::string &file) {
        ts::OutputFolder folder(path("out"), true);
        folder.open();
        ts::write_file(folder.partial() + "/" + file, "result");
        folder.commit();
    };
    run("a");
    write("out/b", "note");
    write("out/deep/er/c", "note");
    run("b");
    EXPECT_FALSE(std::filesystem::exists(path("out/a")));
    EXPECT_EQ(read(path("out/b")), "result");
    EXPECT_EQ(read(path("out/b.kept")), "note");
    EXPECT_EQ(read(path("out/deep/er/c")), "note");
    run("d");
    EXPECT_FALSE(std::filesystem::exists(path("out/b")));
    EXPECT_EQ(read(path("out/b.kept")), "note");
    EXPECT_FALSE(std::filesystem::exists(path("out.partial")));
}

TEST_F(FrontOutput, FolderTakesItsNameWhenComplete)
{
    const std::string name = path("results");
    {
        ts::OutputFolder folder(name, false);
        folder.open();
        ts::write_file(folder.partial() + "/x", "1");
        EXPECT_FALSE(std::filesystem::exists(name));
        // Another one is refused while this one writes.
        ts::OutputFolder other(name, false);
        EXPECT_NE(user_error_of([&] { other.open(); }).find("another tlbstorm"), std::string::npos);
        folder.commit();
    }
    EXPECT_EQ(read(name + "/x"), "1");
    EXPECT_FALSE(std::filesystem::exists(name + ".partial"));
    EXPECT_NE(user_error_of([&] { ts::OutputFolder(name, false); }).find("--force"),
              std::string::npos);
    {
        ts::OutputFolder again(name, true);
        again.open();
        ts::write_file(again.partial() + "/y", "2");
        EXPECT_EQ(read(name + "/x"), "1");
        again.commit();
    }
    EXPECT_FALSE(std::filesystem::exists(name + "/x"));
    EXPECT_EQ(read(name + "/y"), "2");
    {
        ts::OutputFolder dropped(name, true);
        dropped.open();
    }
    EXPECT_EQ(read(name + "/y"), "2");
    EXPECT_FALSE(std::filesystem::exists(name + ".partial"));
}

} // namespace
