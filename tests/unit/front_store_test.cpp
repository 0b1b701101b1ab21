// SPDX-License-Identifier: Apache-2.0
// What is known of finished points, and work on many of them at a time.
#include "sim/front/parallel.hpp"
#include "sim/front/store.hpp"
#include "tests/unit/front_support.hpp"

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <unistd.h>

namespace
{

class FrontStore : public FrontTest
{
};

// FIPS 180-2, appendix B.1, and the empty text.
TEST(PointId, IsSha256)
{
    EXPECT_EQ(ts::point_id("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(ts::point_id(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(ParallelFor, CallsEachOnceAndThrowsTheFirstFailure)
{
    for (const size_t n : {size_t(0), size_t(1), size_t(64), size_t(65), size_t(1000)})
        for (const unsigned threads : {1u, 4u}) {
            std::vector<std::atomic<int>> calls(n);
            ts::parallel_for(n, threads, [&](size_t i) { calls[i]++; });
            for (size_t i = 0; i < n; i++)
                ASSERT_EQ(calls[i], 1) << n << " " << i;
        }
    for (int repeat = 0; repeat < 20; repeat++)
        try {
            ts::parallel_for(1000, 4, [](size_t i) {
                if (i >= 300)
                    throw std::runtime_error(std::to_string(i));
            });
            ADD_FAILURE() << "no exception";
        } catch (const std::runtime_error &error) {
            EXPECT_STREQ(error.what(), "300");
        }
}

ts::Experiment experiment_of(const std::string &more)
{
    return ts::experiment_parse(
        "schema: 1\nname: t\nworkload: {kind: mmap_storm, threads: 2, rounds: 1, pages: 4, "
        "touch_pages: 1}\nmachine: {topology.sockets: 1, topology.cores_per_socket: 2}\n"
        "mechanisms: [native_concurrent]\nset: {run.vcpus: 2}\n" +
            more,
        "e.yaml", {}, false);
}

TEST_F(FrontStore, ASummaryReadsBackAsItWas)
{
    const ts::Experiment experiment = experiment_of("");
    const ts::Point point = ts::experiment_points(experiment).at(0);
    const std::string id = ts::point_ids(experiment, {point}, 1).at(0);
    const ts::RunOptions options;
    EXPECT_EQ(ts::stored_for(path("out/") + point.folder, id, experiment, options).state,
              ts::StoredState::Missing);
    const ts::RunSummary run = ts::run_point(experiment, point, options, path("out"));
    const ts::Stored stored = ts::stored_for(path("out/") + point.folder, id, experiment, options);
    ASSERT_EQ(stored.state, ts::StoredState::Done) << stored.why;
    EXPECT_GT(run.machine.result.events, 0u);
    EXPECT_GT(run.machine.path_total_ps, 0u);
    EXPECT_EQ(std::memcmp(&stored.summary.machine, &run.machine, sizeof run.machine), 0);

    // The same point again: the first one's folder stays.
    const std::string about = path("out/") + point.folder + "/run.json";
    write("out/" + point.folder + "/mine", "x");
    EXPECT_NO_THROW(ts::run_point(experiment, point, options, path("out")));
    EXPECT_EQ(read(path("out/") + point.folder + "/mine"), "x");
    EXPECT_FALSE(std::filesystem::exists(ts::partial_of(path("out"), point, options, getpid())));

    // Another configuration is another point.
    const ts::Experiment other = experiment_of("title: \"another\"\n");
    const std::string other_id = ts::point_ids(other, ts::experiment_points(other), 1).at(0);
    EXPECT_NE(other_id, id);
    EXPECT_EQ(ts::stored_read(path("out/") + point.folder, other_id, nullptr).state,
              ts::StoredState::Other);
    EXPECT_THROW(ts::run_point(other, ts::experiment_points(other).at(0), options, path("out")),
                 ts::Error);
}

TEST_F(FrontStore, AFailureIsKeptUntilThePointFinishes)
{
    const ts::Experiment experiment = experiment_of("");
    const ts::Point point = ts::experiment_points(experiment).at(0);
    ts::FailureRecord record;
    EXPECT_FALSE(ts::failure_read(path("out"), point.folder, &record));
    for (const int code : {3, 4}) {
        ts::failure_write(path("out"), experiment, point, {point.folder, code, "why", "again"});
        ASSERT_TRUE(ts::failure_read(path("out"), point.folder, &record));
        EXPECT_EQ(record.exit_code, code);
        EXPECT_EQ(record.message, "why");
        EXPECT_EQ(record.reproduce, "again");
    }
    write("out/failed/note", "mine");
    ts::failure_remove(path("out"), point);
    EXPECT_FALSE(std::filesystem::exists(path("out/failed/default")));
    EXPECT_EQ(read(path("out/failed/note")), "mine");
}

} // namespace
