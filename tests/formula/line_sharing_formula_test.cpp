/* SPDX-License-Identifier: Apache-2.0 */
/* The study line_sharing and contended lines against closed formulas, on machines whose cores and
 * network have one clock, so that all times are whole cycles of it. */
#include "models/study/line_sharing.h"
#include "tests/support/line_rig.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace
{

constexpr uint64_t hz = 2000000000;
constexpr ts_time cycle = TS_S / hz;

struct Machine {
    ts_machine_config config{};

    explicit Machine(const std::string &fabric, uint64_t sockets, uint64_t cores,
                     uint64_t threads = 1)
    {
        ts_machine_config_defaults(&config);
        config.topology = rig::topology(sockets, cores, threads);
        config.topology.core_hz = hz;
        config.interconnect = rig::network(fabric);
        config.interconnect.mesh_hz = hz;
    }
    ts_sharing_stats run(ts_sharing_params p, uint64_t seed = 1) const
    {
        ts_sharing_stats stats{};
        ts_study_input in{};
        ts_error err{};

        in.config = &config;
        in.params = &p;
        in.seed = seed;
        EXPECT_EQ(ts_study_line_sharing.run(&in, &stats, nullptr, nullptr, &err), TS_OK)
            << err.message;
        return stats;
    }
};

ts_sharing_params params(ts_sharing_pattern pattern)
{
    auto p = rig::defaults<ts_sharing_params>(*ts_study_line_sharing.params);

    p.pattern = pattern;
    return p;
}

/* From one core's data to the other's whose request is at the home already: acknowledgement,
 * look-up and snoop; the failing CAS that runs then, one every `spin` since the owner has the line,
 * ends; the line is taken out and sent. */
ts_time hand_over(const rig::Network &net, const ts_line_params &p, uint32_t home, uint32_t from,
                  uint32_t to)
{
    auto leg = [&](uint32_t a, uint32_t b, uint64_t flits) { return net.arrival(a, b, flits, 0); };
    ts_time spin = (p.hit_cycles + p.rmw_cycles) * cycle;
    ts_time snooped =
        leg(from, home, p.control_flits) + p.home_cycles * cycle + leg(home, from, p.control_flits);

    return (snooped + spin - 1) / spin * spin + p.snoop_cycles * cycle +
           leg(from, to, p.data_flits);
}

} // namespace

TEST(LineSharingFormula, APairPassesTheLineInTheSumOfItsLegs)
{
    for (const char *fabric : {"mesh", "ring", "crossbar"}) {
        for (uint64_t snoop : {0, 20, 48, 67}) {
            Machine m(fabric, 1, 2);
            auto p = params(TS_SHARING_TRANSFER);

            m.config.line.snoop_cycles = snoop;
            p.pairs = 1;
            p.rounds = 30;
            auto stats = m.run(p);
            const auto &at = stats.at[TS_SHARING_NEIGHBOUR];

            rig::Network net(m.config.topology, m.config.interconnect);
            rig::Lines lines(net, m.config.line);
            ts_line line{};
            ts_line_init(lines.system, &line, 0, 0); /* the study's first */
            ts_time expected = hand_over(net, m.config.line, line.home, 0, 1) +
                               hand_over(net, m.config.line, line.home, 1, 0);
            EXPECT_EQ(at.ps, expected * (p.rounds / 2)) << fabric << " " << snoop;
            EXPECT_EQ(at.transfers, p.rounds);
            EXPECT_EQ(at.pairs, 1u);
        }
    }
}

TEST(LineSharingFormula, ThreadsOfACoreTakeTurnsAtTheLockedOperation)
{
    Machine m("mesh", 1, 2, 2);
    auto p = params(TS_SHARING_TRANSFER);

    p.pairs = 1;
    auto stats = m.run(p);
    EXPECT_EQ(stats.at[TS_SHARING_SMT].ps,
              p.rounds * (m.config.line.hit_cycles + m.config.line.rmw_cycles) * cycle);
}

TEST(LineSharingFormula, AClusterPassesTheLineByItsL3)
{
    Machine m("crossbar", 1, 8);
    auto p = params(TS_SHARING_TRANSFER);
    ts_line_params &l = m.config.line;

    l.cluster_cores = 4;
    l.cluster_cycles = 30;
    l.snoop_cycles = 12;
    auto stats = m.run(p);
    /* The one who lost the line asks again when its CAS has ended; the L3 has found the owner 30
     * cycles later, and it, in its second CAS by then, ends that. */
    uint64_t spin = l.hit_cycles + l.rmw_cycles;
    uint64_t found =
        spin > l.snoop_cycles ? spin - l.snoop_cycles + l.cluster_cycles : l.cluster_cycles;
    uint64_t held = (found + spin - 1) / spin * spin;
    const auto &at = stats.at[TS_SHARING_CLUSTER];
    EXPECT_EQ(at.ps, at.transfers * (held + l.snoop_cycles) * cycle);
    EXPECT_EQ(stats.at[TS_SHARING_NEIGHBOUR].pairs, 6u); /* of each cluster, three */
    EXPECT_EQ(stats.at[TS_SHARING_CLUSTER].pairs, 12u);
    EXPECT_EQ(stats.at[TS_SHARING_OTHER_CLUSTER].pairs, 16u);
    EXPECT_GT(stats.at[TS_SHARING_OTHER_CLUSTER].ps / stats.at[TS_SHARING_OTHER_CLUSTER].transfers,
              at.ps / at.transfers);
}

/* N writers in the queue of the home, all as far from each other: one after the other, each in
 * acknowledgement, look-up, snoop, taking out and data. */
TEST(LineSharingFormula, WritersOfACrossbarAreAChain)
{
    for (uint32_t n : {3u, 7u, 15u, 40u}) {
        Machine m("crossbar", 1, n + 1);
        rig::Network net(m.config.topology, m.config.interconnect);
        rig::Lines lines(net, m.config.line);
        const ts_line_params &l = m.config.line;
        std::vector<std::unique_ptr<rig::At>> later;
        std::vector<ts_time> when;
        ts_line line{};
        const size_t total = 20 * n;

        ts_line_init(lines.system, &line, 3, 0);
        ts_time control = net.arrival(0, 1, l.control_flits, 0);
        ts_time data = net.arrival(0, 1, l.data_flits, 0);
        ts_time chain = 2 * control + data + (l.home_cycles + l.snoop_cycles) * cycle;
        /* They ask again when they have lost the line, long before their next turn. */
        std::function<void(uint32_t)> write = [&](uint32_t core) {
            lines.start(&line, core, TS_LINE_WRITE, [&, core] {
                when.push_back(net.now());
                if (when.size() < total)
                    later.push_back(std::make_unique<rig::At>(net.engine, net.now() + chain,
                                                              [&, core] { write(core); }));
            });
        };
        for (uint32_t core = 0; core <= n; core++)
            if (core != line.home)
                write(core);
        net.run();
        ASSERT_GE(when.size(), total);
        for (size_t i = 2; i < when.size(); i++)
            EXPECT_EQ(when[i] - when[i - 1], chain) << n << " writers, transfer " << i;
    }
}

TEST(LineSharingFormula, AWriterAloneHitsAndManyShareFairly)
{
    Machine m("crossbar", 1, 32);
    auto p = params(TS_SHARING_WRITERS);
    const ts_line_params &l = m.config.line;

    p.cpus = 1;
    auto one = m.run(p);
    EXPECT_EQ(one.elapsed_ps, one.rmws * (l.hit_cycles + l.rmw_cycles) * cycle);
    EXPECT_EQ(one.moves, 0u);
    EXPECT_EQ(one.rmws, p.rounds * p.lines);
    for (uint64_t cpus : {4, 16, 32}) {
        p.cpus = cpus;
        auto many = m.run(p);
        EXPECT_EQ(many.rmws, cpus * p.rounds * p.lines);
        EXPECT_EQ(many.cpu_ps, many.elapsed_ps * cpus);
        /* First come, first served: nobody has twice as much. */
        EXPECT_LT(many.largest, 2 * many.smallest);
        EXPECT_GT(many.moves * 10, many.rmws);
        EXPECT_LT(many.moves, many.rmws);
    }
}

TEST(LineSharingFormula, ReadersSeeEveryStoreAndTheirTimeGrowsByTheLookUp)
{
    Machine m("crossbar", 1, 64);
    auto p = params(TS_SHARING_READERS);
    ts_time last[2] = {};
    const uint64_t readers[2] = {16, 48};

    for (int i = 0; i < 2; i++) {
        p.cpus = readers[i];
        auto stats = m.run(p);
        EXPECT_EQ(stats.stores, p.rounds * p.lines);
        EXPECT_EQ(stats.reads, stats.stores * p.cpus);
        EXPECT_LE(stats.store_ps, stats.first_ps);
        EXPECT_LE(stats.first_ps, stats.last_ps);
        EXPECT_LE(stats.sum_ps, stats.last_ps * p.cpus);
        last[i] = stats.last_ps / stats.stores;
    }
    /* Not less than a look-up each, and the invalidations come in too. */
    ts_time look_ups = (readers[1] - readers[0]) * m.config.line.home_cycles * cycle;
    EXPECT_GE(last[1] - last[0], look_ups);
    EXPECT_LE(last[1] - last[0], 2 * look_ups);
}

TEST(LineSharingFormula, OneSeedIsOneResultAndTheQueueDoesNotMatter)
{
    Machine m("mesh", 2, 9, 2);
    auto p = params(TS_SHARING_WRITERS);

    p.cpus = 36;
    auto a = m.run(p, 7);
    m.config.run.queue = TS_QUEUE_HEAP;
    auto b = m.run(p, 7), c = m.run(p, 8);
    EXPECT_EQ(a.elapsed_ps, b.elapsed_ps);
    EXPECT_EQ(a.largest, b.largest);
    EXPECT_NE(a.elapsed_ps, c.elapsed_ps);
}

TEST(LineSharingFormula, RefusesMoreCpusThanThereAre)
{
    Machine m("mesh", 1, 4);
    ts_error err{};

    for (auto pattern : {TS_SHARING_WRITERS, TS_SHARING_READERS}) {
        auto p = params(pattern);

        p.cpus = pattern == TS_SHARING_WRITERS ? 4 : 3;
        EXPECT_EQ(ts_study_line_sharing.check(&m.config, &p, &err), TS_OK);
        p.cpus++;
        EXPECT_EQ(ts_study_line_sharing.check(&m.config, &p, &err), TS_ERR_USER);
        EXPECT_NE(std::string(err.message).find("line_sharing.cpus"), std::string::npos);
    }
}
