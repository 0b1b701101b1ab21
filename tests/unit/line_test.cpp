/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/line_rig.hpp"

#include "sim/rng.h"
#include "sim/stats.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace
{

void expect_rules(rig::Lines &lines)
{
    EXPECT_EQ(ts_stat_check(&ts_line_stat_table, lines.stats(), &lines.net.err), TS_OK)
        << lines.net.err.message;
    EXPECT_EQ(ts_stat_check(&ts_interconnect_stat_table, ts_interconnect_stats(lines.net.ic),
                            &lines.net.err),
              TS_OK)
        << lines.net.err.message;
}

std::vector<uint32_t> readers(const ts_line &line, uint32_t ncores)
{
    std::vector<uint32_t> r;

    for (uint32_t core = 0; core < ncores; core++)
        if (ts_line_readable(&line, core))
            r.push_back(core);
    return r;
}

} // namespace

TEST(Line, HomesAreHashedOverTheSocketOfTheFirstCore)
{
    rig::Network net(rig::topology(2, 16));
    rig::Lines lines(net);
    std::vector<uint32_t> used(32, 0);

    for (uint64_t id = 0; id < 512; id++) {
        ts_line a{}, b{};

        ts_line_init(lines.system, &a, id, static_cast<uint32_t>(17 + id % 15));
        ts_line_init(lines.system, &b, id, 31);
        EXPECT_EQ(a.home, b.home);
        used[a.home]++;
    }
    for (uint32_t core = 0; core < 32; core++) {
        if (core < 16)
            EXPECT_EQ(used[core], 0u);
        else
            EXPECT_GT(used[core], 512u / 16 / 3);
    }
}

TEST(Line, ReadersShareAndAWriterIsAlone)
{
    rig::Network net(rig::topology(1, 16));
    rig::Lines lines(net);
    ts_line line{};

    ts_line_init(lines.system, &line, 5, 0);
    EXPECT_GT(lines.access(&line, 3, TS_LINE_READ), 0u);
    /* Exclusive: the first store after a private load is silent. */
    EXPECT_EQ(lines.access(&line, 3, TS_LINE_WRITE), 0u);
    EXPECT_EQ(lines.access(&line, 3, TS_LINE_RMW), 0u);
    EXPECT_EQ(lines.access(&line, 3, TS_LINE_READ), 0u);
    EXPECT_GT(lines.access(&line, 8, TS_LINE_READ), 0u);
    EXPECT_EQ(readers(line, 16), (std::vector<uint32_t>{3, 8}));
    EXPECT_FALSE(ts_line_writable(&line, 3));
    EXPECT_GT(lines.access(&line, 3, TS_LINE_WRITE), 0u);
    EXPECT_EQ(readers(line, 16), (std::vector<uint32_t>{3}));
    EXPECT_GT(lines.access(&line, 1, TS_LINE_RMW), 0u);
    EXPECT_EQ(readers(line, 16), (std::vector<uint32_t>{1}));
    EXPECT_EQ(lines.stats()->hits, 3u);
    EXPECT_EQ(lines.stats()->misses, 4u);
    EXPECT_EQ(lines.stats()->transfers, 2u);
    EXPECT_EQ(lines.stats()->invalidations, 1u);
    expect_rules(lines);
}

TEST(Line, CyclesToChargeAreTheHitAndTheLock)
{
    rig::Network net(rig::topology(1, 4));
    rig::Lines lines(net);
    ts_line line{};
    ts_line_req req{};
    uint64_t cycles = 0;

    ts_line_init(lines.system, &line, 5, 0);
    /* Set on a miss, too. */
    EXPECT_FALSE(ts_line_access(
        lines.system, &line, 0, TS_LINE_RMW, &req, [](ts_line_req *) {}, nullptr, &cycles));
    EXPECT_EQ(cycles, lines.params.hit_cycles + lines.params.rmw_cycles);
    net.run();
    EXPECT_TRUE(
        ts_line_access(lines.system, &line, 0, TS_LINE_WRITE, &req, nullptr, nullptr, &cycles));
    EXPECT_EQ(cycles, lines.params.hit_cycles);
}

TEST(Line, BothThreadsOfACoreShareItsCopy)
{
    rig::Network net(rig::topology(1, 4, 2));
    rig::Lines lines(net);
    ts_line line{};
    int done = 0;

    ts_line_init(lines.system, &line, 9, 0);
    ASSERT_EQ(net.topo.core[2], net.topo.core[6]);
    lines.access(&line, net.topo.core[2], TS_LINE_WRITE);
    EXPECT_EQ(lines.access(&line, net.topo.core[6], TS_LINE_RMW), 0u);
    /* Two requests of one core for one line at a time: the second finds the copy there. */
    lines.start(&line, 3, TS_LINE_READ, [&] { done++; });
    lines.start(&line, 3, TS_LINE_WRITE, [&] { done++; });
    lines.start(&line, 3, TS_LINE_WRITE, [&] { done++; });
    net.run();
    EXPECT_EQ(done, 3);
    EXPECT_EQ(readers(line, 4), (std::vector<uint32_t>{3}));
    EXPECT_EQ(lines.stats()->transfers, 1u);
    expect_rules(lines);
}

TEST(Line, ManySharersAreAllInvalidated)
{
    rig::Network net(rig::topology(2, 40));
    rig::Lines lines(net);
    ts_line line{};
    std::vector<uint32_t> all;

    ts_line_init(lines.system, &line, 2, 0);
    for (uint32_t i = 0; i < 80; i++) {
        lines.access(&line, i * 37 % 80, TS_LINE_READ);
        EXPECT_EQ(readers(line, 80).size(), i + 1);
        all.push_back(i);
    }
    EXPECT_EQ(readers(line, 80), all);
    EXPECT_NE(line.many, nullptr);
    /* Writers that share and writers that do not, after few and after many readers. */
    for (uint32_t sharers : {80u, 3u, 6u, 7u, 1u, 64u}) {
        for (uint32_t i = 0; i < sharers; i++)
            lines.access(&line, i, TS_LINE_READ);
        uint32_t writer = sharers % 2 ? 79 : 0;
        lines.access(&line, writer, TS_LINE_RMW);
        EXPECT_EQ(readers(line, 80), (std::vector<uint32_t>{writer}));
        EXPECT_EQ(line.many, nullptr);
    }
    expect_rules(lines);
}

TEST(Line, MoreInvalidationsThanMessagesStillFinish)
{
    rig::Network net(rig::topology(1, 64));
    rig::Lines lines(net);
    std::vector<ts_line> many(40);
    uint32_t done = 0;

    for (uint32_t i = 0; i < many.size(); i++) {
        ts_line_init(lines.system, &many[i], i, 0);
        for (uint32_t core = 0; core < 64; core++)
            lines.access(&many[i], core, TS_LINE_READ);
    }
    /* 40 times 63 at once: beyond the 16 a core that exist. */
    for (uint32_t i = 0; i < many.size(); i++)
        lines.start(&many[i], i, TS_LINE_WRITE, [&] { done++; });
    net.run();
    EXPECT_EQ(done, many.size());
    EXPECT_EQ(lines.stats()->invalidations, 40u * 63u);
    for (uint32_t i = 0; i < many.size(); i++)
        EXPECT_EQ(readers(many[i], 64), (std::vector<uint32_t>{i}));
    expect_rules(lines);
}

TEST(Line, ThousandsOfLinesComeAndGo)
{
    rig::Network net(rig::topology(1, 16));
    rig::Lines lines(net);

    for (uint32_t round = 0; round < 3; round++) {
        std::vector<ts_line> many(3000);

        for (uint32_t i = 0; i < many.size(); i++)
            ts_line_init(lines.system, &many[i], i, i % 16);
        for (uint32_t core = 0; core < 8; core++)
            for (auto &line : many)
                lines.start(&line, core, TS_LINE_READ, [] {});
        net.run();
        for (auto &line : many) {
            EXPECT_EQ(readers(line, 16).size(), 8u);
            ts_line_fini(&line);
        }
    }
    expect_rules(lines);
}

TEST(Line, SwarmKeepsOneWriterOrManyReaders)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        auto step = static_cast<uint32_t>(seed);
        uint32_t sockets = 1 + step % 3, cores = 5 + step * 2;
        auto n = rig::network(seed % 4 == 0 ? "ideal" : seed % 4 == 1 ? "ring" : "mesh");
        rig::Network net(rig::topology(sockets, cores), n,
                         seed % 2 ? TS_QUEUE_WHEEL : TS_QUEUE_HEAP);
        rig::Lines lines(net);
        std::vector<ts_line> contended(5);
        std::vector<std::unique_ptr<rig::At>> starts;
        uint32_t ncores = sockets * cores, done = 0;
        const uint32_t count = 1500;
        ts_rng rng;

        SCOPED_TRACE("seed " + std::to_string(seed));
        ts_rng_init(&rng, seed, "line swarm", 0);
        for (auto &line : contended) {
            uint64_t number = ts_rng_next(&rng);
            ts_line_init(lines.system, &line, number,
                         static_cast<uint32_t>(ts_rng_below(&rng, ncores)));
        }
        for (uint32_t i = 0; i < count; i++) {
            ts_line *line = &contended[ts_rng_below(&rng, contended.size())];
            auto core = static_cast<uint32_t>(ts_rng_below(&rng, ncores));
            const ts_line_op ops[] = {TS_LINE_READ, TS_LINE_READ, TS_LINE_READ, TS_LINE_WRITE,
                                      TS_LINE_RMW};
            ts_line_op op = ops[ts_rng_below(&rng, 5)];

            starts.push_back(std::make_unique<rig::At>(
                net.engine, ts_rng_below(&rng, 20 * TS_US), [&, line, core, op] {
                    lines.start(line, core, op, [&, line, core, op] {
                        done++;
                        for (uint32_t other = 0; other < ncores; other++) {
                            if (other == core)
                                continue;
                            ASSERT_FALSE(ts_line_writable(line, other));
                            ASSERT_FALSE(op != TS_LINE_READ && ts_line_readable(line, other));
                        }
                        ASSERT_TRUE(ts_line_readable(line, core));
                        ASSERT_TRUE(op == TS_LINE_READ || ts_line_writable(line, core));
                    });
                }));
        }
        net.run();
        EXPECT_EQ(done, count);
        EXPECT_GT(lines.stats()->misses, count / 4);
        expect_rules(lines);
        for (auto &line : contended)
            ts_line_fini(&line);
    }
}

TEST(Line, RefusesWhatTheRowsRefuse)
{
    rig::Network net(rig::topology(1, 4));

    for (size_t i = 0; i < ts_line_param_table.nrows; i++) {
        const ts_param &row = ts_line_param_table.rows[i];
        auto p = rig::defaults<ts_line_params>(ts_line_param_table);
        ts_line_system *s = nullptr;

        *reinterpret_cast<uint64_t *>(reinterpret_cast<char *>(&p) + row.offset) = row.max + 1;
        EXPECT_EQ(ts_line_system_create(&s, net.engine, &net.topo, net.ic, &p, &net.err),
                  TS_ERR_USER)
            << row.key;
        EXPECT_EQ(s, nullptr);
    }
}

/* A run may end at any moment: what has missed and is not served yet is counted as that. */
TEST(Line, MissesAddUpAtAnyMoment)
{
    rig::Network net(rig::topology(1, 16));
    rig::Lines lines(net);
    ts_line line{};
    uint64_t under_way = 0;

    ts_line_init(lines.system, &line, 5, 0);
    for (uint32_t core = 1; core < 12; core++)
        lines.start(&line, core, core % 3 ? TS_LINE_READ : TS_LINE_RMW, [] {});
    EXPECT_EQ(lines.stats()->unserved, 11u);
    for (ts_time limit = 1; ts_engine_next_time(net.engine) != TS_TIME_NEVER; limit += 500) {
        ts_engine_run(net.engine, limit);
        expect_rules(lines);
        under_way += lines.stats()->unserved > 0;
    }
    EXPECT_GT(under_way, 50u);
    EXPECT_EQ(lines.stats()->unserved, 0u);
    EXPECT_EQ(lines.stats()->misses, 11u);
}
