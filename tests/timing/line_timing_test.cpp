/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/line_rig.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <vector>

namespace
{

struct Fixture {
    rig::Network net;
    rig::Lines lines;
    ts_line line{};

    explicit Fixture(const ts_topology_params &t = rig::topology(2, 16), uint32_t near = 0,
                     uint64_t id = 1,
                     const ts_line_params &p = rig::defaults<ts_line_params>(ts_line_param_table))
        : net(t), lines(net, p)
    {
        ts_line_init(lines.system, &line, id, near);
    }
    uint64_t data() const
    {
        return lines.params.data_flits;
    }
    uint64_t control() const
    {
        return lines.params.control_flits;
    }
    /* Request sent at `from`: when the home has looked it up. */
    ts_time looked_up(uint32_t core, ts_time from) const
    {
        return lines.after_mesh(net.arrival(core, line.home, control(), from),
                                lines.params.home_cycles);
    }
    /* The access ends at `end` and not a picosecond sooner. */
    void expect_at(uint32_t core, ts_line_op op, ts_time end)
    {
        bool done = false;

        EXPECT_FALSE(lines.start(&line, core, op, [&] { done = true; }));
        net.run(end - 1);
        EXPECT_FALSE(done);
        net.run(end);
        EXPECT_TRUE(done);
        net.run();
    }
};

/* Average time from one core's locked operation to the other's, over pairs and homes. */
uint64_t ping_pong_ps(rig::Network &net, rig::Lines &lines, uint32_t first_b)
{
    uint64_t total = 0, transfers = 0;
    uint32_t cores = static_cast<uint32_t>(net.topo.params.cores_per_socket);

    for (uint32_t a = 0; a < cores; a += 3) {
        for (uint32_t b = first_b; b < first_b + cores; b += 2) {
            ts_line line{};

            if (a == b)
                continue;
            ts_line_init(lines.system, &line, a * 1000 + b, b % 4 < 2 ? a : b);
            lines.access(&line, a, TS_LINE_RMW);
            for (uint32_t i = 0; i < 4; i++) {
                total += lines.access(&line, i % 2 ? a : b, TS_LINE_RMW) +
                         lines.after_core(0, lines.params.hit_cycles + lines.params.rmw_cycles);
                transfers++;
            }
            ts_line_fini(&line);
        }
    }
    return total / transfers;
}

} // namespace

TEST(LineTiming, FirstTouchComesFromMemory)
{
    Fixture f;
    ts_time memory = f.looked_up(9, 0) + f.lines.params.memory_ps;

    f.expect_at(9, TS_LINE_READ, f.net.arrival(f.line.home, 9, f.data(), memory));
    EXPECT_TRUE(ts_line_writable(&f.line, 9)); /* exclusive */
}

TEST(LineTiming, ATransferIsRequestLookUpSnoopAndData)
{
    for (ts_line_op op : {TS_LINE_READ, TS_LINE_WRITE, TS_LINE_RMW}) {
        for (uint32_t taker : {9u, 30u}) {
            Fixture f;

            f.lines.access(&f.line, 4, TS_LINE_WRITE);
            ts_time snooped =
                f.net.arrival(f.line.home, 4, f.control(), f.looked_up(taker, f.net.now()));
            ts_time taken = f.lines.after_core(snooped, f.lines.params.snoop_cycles);

            f.expect_at(taker, op, f.net.arrival(4, taker, f.data(), taken));
            EXPECT_EQ(ts_line_readable(&f.line, 4), op == TS_LINE_READ);
            EXPECT_EQ(f.lines.stats()->transfers, 1u);
        }
    }
}

TEST(LineTiming, TheOwnersCopyIsGoneWhenTheSnoopArrivesAndNotBefore)
{
    Fixture f;

    f.lines.access(&f.line, 4, TS_LINE_WRITE);
    ts_time snooped = f.net.arrival(f.line.home, 4, f.control(), f.looked_up(9, f.net.now()));
    f.lines.start(&f.line, 9, TS_LINE_WRITE, [] {});
    f.net.run(snooped - 1);
    EXPECT_TRUE(ts_line_writable(&f.line, 4));
    f.net.run(snooped);
    EXPECT_FALSE(ts_line_readable(&f.line, 4));
    EXPECT_FALSE(ts_line_readable(&f.line, 9));
    f.net.run();
    EXPECT_TRUE(ts_line_writable(&f.line, 9));
}

TEST(LineTiming, ASharedLineIsReadFromItsHome)
{
    Fixture f;

    f.lines.access(&f.line, 4, TS_LINE_WRITE);
    f.lines.access(&f.line, 9, TS_LINE_READ);
    f.expect_at(11, TS_LINE_READ,
                f.net.arrival(f.line.home, 11, f.data(), f.looked_up(11, f.net.now())));
}

TEST(LineTiming, AnUpgradeWaitsForTheLastSharer)
{
    Fixture f;
    ts_time last = 0;

    /* Sharers at different distances of the home, so that answers do not meet on a link; the
     * second invalidation leaves after the first one's flits. */
    for (uint32_t core : {2u, 9u, 31u})
        f.lines.access(&f.line, core, TS_LINE_READ);
    ts_time sent = f.looked_up(2, f.net.now());
    for (uint32_t core : {9u, 31u}) {
        ts_time dropped = f.lines.after_core(f.net.arrival(f.line.home, core, f.control(), sent),
                                             f.lines.params.snoop_cycles);
        ts_time acknowledged = f.net.arrival(core, f.line.home, f.control(), dropped);

        last = acknowledged > last ? acknowledged : last;
        sent = f.lines.after_mesh(sent, f.control());
    }
    /* 2 still shares, so permission is enough. */
    f.expect_at(2, TS_LINE_WRITE, f.net.arrival(f.line.home, 2, f.control(), last));
    EXPECT_EQ(f.lines.stats()->invalidations, 2u);
}

TEST(LineTiming, WritersAreServedOneAtATimeInOrderOfArrival)
{
    Fixture f(rig::topology(1, 16));
    const uint32_t home = f.line.home;
    std::vector<uint32_t> served;
    std::vector<ts_time> when, expected;
    std::vector<std::unique_ptr<rig::At>> starts;

    f.lines.access(&f.line, home, TS_LINE_WRITE);
    ts_time begin = f.net.now() + TS_US;
    /* All within the first transfer: each later one is in the queue when its turn comes. */
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t core = (i * 5 + home + 1) % 16;

        if (core == home)
            continue;
        starts.push_back(std::make_unique<rig::At>(
            f.net.engine, begin + starts.size() * 900, [&f, &served, &when, core] {
                f.lines.start(&f.line, core, TS_LINE_RMW, [&f, &served, &when, core] {
                    served.push_back(core);
                    when.push_back(f.net.now());
                });
            }));
    }
    f.net.run();
    ASSERT_EQ(served.size(), 15u);
    /* Arrival at the home: sent 900 ps apart, from near and far. */
    std::map<uint32_t, ts_time> arrival;
    ts_time sent = begin;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t core = (i * 5 + home + 1) % 16;

        if (core == home)
            continue;
        arrival[core] = f.net.arrival(core, home, f.control(), sent);
        sent += 900;
    }
    for (size_t i = 1; i < served.size(); i++)
        EXPECT_LE(arrival[served[i - 1]], arrival[served[i]]) << i;
    /* Each one after the first: acknowledged by its predecessor, then look-up, snoop, data. */
    for (size_t i = 1; i < served.size(); i++) {
        ts_time released = f.net.arrival(served[i - 1], home, f.control(), when[i - 1]);
        ts_time looked_up = f.lines.after_mesh(released, f.lines.params.home_cycles);
        ts_time snooped = f.net.arrival(home, served[i - 1], f.control(), looked_up);
        ts_time taken = f.lines.after_core(snooped, f.lines.params.snoop_cycles);

        EXPECT_EQ(when[i], f.net.arrival(served[i - 1], served[i], f.data(), taken)) << i;
    }
    EXPECT_GT(f.lines.stats()->queued_ps, 14u * 13u / 2u * 20u * TS_NS);
}

TEST(LineTiming, ReadersOfASharedLineFollowEachOtherByTheLookUp)
{
    Fixture f(rig::topology(1, 16));
    const uint32_t home = f.line.home;
    ts_time begin, one = 0, two = 0, write = 0;

    for (uint32_t core : {(home + 1) % 16, (home + 2) % 16})
        f.lines.access(&f.line, core, TS_LINE_READ);
    uint32_t a = (home + 3) % 16, b = (home + 6) % 16, w = (home + 9) % 16;
    begin = f.net.now();
    f.lines.start(&f.line, a, TS_LINE_READ, [&] { one = f.net.now(); });
    rig::At second(f.net.engine, begin + 6 * TS_NS,
                   [&] { f.lines.start(&f.line, b, TS_LINE_READ, [&] { two = f.net.now(); }); });
    rig::At writer(f.net.engine, begin + 12 * TS_NS,
                   [&] { f.lines.start(&f.line, w, TS_LINE_WRITE, [&] { write = f.net.now(); }); });
    f.net.run();
    ts_time first = f.looked_up(a, begin);
    ts_time arrived = f.net.arrival(b, home, f.control(), begin + 6 * TS_NS);
    ASSERT_LT(arrived, first); /* it waits, but not for the first one's acknowledgement */
    ts_time next = f.lines.after_mesh(first, f.lines.params.home_cycles);
    EXPECT_EQ(one, f.net.arrival(home, a, f.data(), first));
    EXPECT_EQ(two, f.net.arrival(home, b, f.data(), next));
    /* The writer is looked up when both have acknowledged. */
    ts_time acknowledged = std::max(f.net.arrival(a, home, f.control(), one),
                                    f.net.arrival(b, home, f.control(), two));
    EXPECT_GE(write, f.lines.after_mesh(acknowledged, f.lines.params.home_cycles) +
                         2 * f.net.arrival(home, w, f.control(), 0));
    EXPECT_EQ(f.lines.stats()->invalidations, 4u);
}

TEST(LineTiming, WhatAnOwnerHasWrittenGoesHomeBeforeTheNextRequest)
{
    for (bool dirty : {true, false}) {
        Fixture f(rig::topology(1, 16));
        const uint32_t home = f.line.home, owner = (home + 5) % 16, a = (home + 1) % 16,
                       b = (home + 10) % 16;
        ts_time one = 0, two = 0;

        f.lines.access(&f.line, owner, dirty ? TS_LINE_WRITE : TS_LINE_READ);
        ts_time begin = f.net.now();
        ts_time taken =
            f.lines.after_core(f.net.arrival(home, owner, f.control(), f.looked_up(a, begin)),
                               f.lines.params.snoop_cycles);
        f.lines.start(&f.line, a, TS_LINE_READ, [&] { one = f.net.now(); });
        f.lines.start(&f.line, b, TS_LINE_READ, [&] { two = f.net.now(); });
        f.net.run();
        EXPECT_EQ(one, f.net.arrival(owner, a, f.data(), taken));
        ts_time settled = f.net.arrival(a, home, f.control(), one);
        /* Behind the data for the requester, on the owner's way into the network. */
        ts_time behind =
            ts_clock_cycle_time(f.net.clock(), ts_clock_cycle_at(f.net.clock(), taken) + f.data());
        if (dirty)
            settled = std::max(settled, f.net.arrival(owner, home, f.data(), behind));
        EXPECT_EQ(two, f.net.arrival(home, b, f.data(),
                                     f.lines.after_mesh(settled, f.lines.params.home_cycles)));
        EXPECT_EQ(f.lines.stats()->writebacks, dirty ? 1u : 0u);
    }
}

TEST(LineTiming, ASnoopWaitsForTheLockedOperation)
{
    for (ts_line_op op : {TS_LINE_RMW, TS_LINE_WRITE}) {
        Fixture f;
        const uint64_t cycles = f.lines.params.hit_cycles + f.lines.params.rmw_cycles;

        f.lines.access(&f.line, 4, TS_LINE_WRITE);
        ts_time snooped = f.net.arrival(f.line.home, 4, f.control(), f.looked_up(9, f.net.now()));
        ts_time locked = snooped - TS_NS;
        rig::At hit(f.net.engine, locked, [&] { f.lines.start(&f.line, 4, op, [] {}); });
        ts_time from = op == TS_LINE_RMW ? f.lines.after_core(locked, cycles) : snooped;
        ts_time taken = f.lines.after_core(from, f.lines.params.snoop_cycles);

        f.expect_at(9, TS_LINE_READ, f.net.arrival(4, 9, f.data(), taken));
        EXPECT_EQ(f.lines.stats()->held_ps, from - snooped);
    }
}

TEST(LineTiming, LockedOperationsOfTheThreadsOfACoreFollowEachOther)
{
    Fixture f;
    const uint64_t cycles = f.lines.params.hit_cycles + f.lines.params.rmw_cycles;
    ts_line_req req{};
    uint64_t charged = 0;

    f.lines.access(&f.line, 4, TS_LINE_WRITE);
    ts_time edge = f.lines.after_core(f.net.now(), 10);
    f.net.run(edge);
    for (uint64_t n = 1; n <= 3; n++) {
        ASSERT_TRUE(ts_line_access(f.lines.system, &f.line, 4, TS_LINE_RMW, &req, nullptr, nullptr,
                                   &charged));
        EXPECT_EQ(charged, n * cycles);
    }
}

TEST(LineTiming, WithoutForwardingDataGoesOverTheHome)
{
    auto p = rig::defaults<ts_line_params>(ts_line_param_table);

    p.forwarding = 0;
    for (ts_line_op op : {TS_LINE_READ, TS_LINE_WRITE}) {
        Fixture f(rig::topology(2, 16), 0, 1, p);

        f.lines.access(&f.line, 4, TS_LINE_WRITE);
        ts_time snooped = f.net.arrival(f.line.home, 4, f.control(), f.looked_up(30, f.net.now()));
        ts_time taken = f.lines.after_core(snooped, p.snoop_cycles);
        ts_time at_home = f.net.arrival(4, f.line.home, f.data(), taken);

        f.expect_at(30, op, f.net.arrival(f.line.home, 30, f.data(), at_home));
        /* The home has seen the data: no other copy of it goes there. */
        EXPECT_EQ(f.lines.stats()->writebacks, 0u);
    }
}

namespace
{

/* Two sockets of four clusters of four. */
struct Clustered : Fixture {
    Clustered() : Fixture(rig::topology(2, 16), 0, 1, params())
    {
    }
    static ts_line_params params()
    {
        auto p = rig::defaults<ts_line_params>(ts_line_param_table);

        p.cluster_cores = 4;
        return p;
    }
    ts_time l3(ts_time from) const
    {
        return lines.after_core(from, lines.params.cluster_cycles);
    }
};

} // namespace

TEST(LineTiming, AClusterServesItsOwnCores)
{
    Clustered f;

    f.lines.access(&f.line, 4, TS_LINE_WRITE);
    const uint64_t messages = ts_interconnect_stats(f.net.ic)->messages;
    /* From the owner, to a reader and to a writer. */
    f.expect_at(6, TS_LINE_READ,
                f.lines.after_core(f.l3(f.net.now()), f.lines.params.snoop_cycles));
    EXPECT_TRUE(ts_line_readable(&f.line, 4));
    /* A line that the cluster shares is in its L3. */
    f.expect_at(7, TS_LINE_READ, f.l3(f.net.now()));
    /* The cluster still owns it. */
    f.expect_at(7, TS_LINE_RMW, f.lines.after_core(f.l3(f.net.now()), f.lines.params.snoop_cycles));
    EXPECT_FALSE(ts_line_readable(&f.line, 4));
    f.net.run(f.net.now() + TS_US);
    f.expect_at(5, TS_LINE_RMW, f.lines.after_core(f.l3(f.net.now()), f.lines.params.snoop_cycles));
    EXPECT_EQ(f.lines.stats()->in_cluster, 4u);
    EXPECT_EQ(ts_interconnect_stats(f.net.ic)->messages, messages);
}

TEST(LineTiming, AnotherClusterAsksTheHome)
{
    Clustered f;

    f.lines.access(&f.line, 6, TS_LINE_WRITE);
    f.lines.access(&f.line, 7, TS_LINE_READ);
    /* The home asks the cluster, which is at its first core, and that sends from a core's copy. */
    ts_time home = f.looked_up(13, f.l3(f.net.now()));
    ts_time taken = f.lines.after_core(f.net.arrival(f.line.home, 4, f.control(), home),
                                       f.lines.params.snoop_cycles);

    f.expect_at(13, TS_LINE_READ, f.net.arrival(6, 13, f.data(), taken));
    /* One invalidation for the cluster, none for the writer's own. */
    ts_time sent = f.looked_up(12, f.l3(f.net.now()));
    ts_time dropped = f.lines.after_core(f.net.arrival(f.line.home, 4, f.control(), sent),
                                         f.lines.params.snoop_cycles);
    ts_time acknowledged = f.net.arrival(4, f.line.home, f.control(), dropped);
    f.expect_at(12, TS_LINE_WRITE, f.net.arrival(f.line.home, 12, f.data(), acknowledged));
    for (uint32_t core : {6u, 7u, 13u})
        EXPECT_FALSE(ts_line_readable(&f.line, core));
    EXPECT_EQ(f.lines.stats()->invalidations, 1u);
}

TEST(LineTiming, TheHomeWaitsForAServiceWithinTheClusterAndComesBeforeTheNext)
{
    Clustered f;
    ts_time local = 0, after = 0, queued = 0;

    f.lines.access(&f.line, 4, TS_LINE_WRITE);
    ts_time begin = f.net.now();
    ts_time snooped = f.net.arrival(f.line.home, 4, f.control(), f.looked_up(13, f.l3(begin)));
    /* Looked up just before the snoop comes: 5 has the line first, then 13, and 6 after that. */
    ts_time start = snooped - TS_NS - f.lines.after_core(0, f.lines.params.cluster_cycles);
    rig::At one(f.net.engine, start, [&] {
        f.lines.start(&f.line, 5, TS_LINE_WRITE, [&] { local = f.net.now(); });
        f.lines.start(&f.line, 6, TS_LINE_WRITE, [&] { queued = f.net.now(); });
    });
    f.lines.start(&f.line, 13, TS_LINE_WRITE, [&] { after = f.net.now(); });
    f.net.run();
    EXPECT_EQ(local, f.lines.after_core(f.l3(start), f.lines.params.snoop_cycles));
    ts_time taken = f.lines.after_core(local, f.lines.params.snoop_cycles);
    EXPECT_EQ(after, f.net.arrival(5, 13, f.data(), taken));
    EXPECT_GT(queued, after);
    EXPECT_EQ(f.lines.stats()->in_cluster, 1u);
    EXPECT_EQ(f.lines.stats()->transfers, 2u);
}

/* Published and remembered figures of reference machines; the windows are theirs. */
TEST(LineCalibration, SkylakeLikeTransferTimes)
{
    rig::Network net(rig::topology(2, 16));
    rig::Lines lines(net);
    uint64_t same = ping_pong_ps(net, lines, 0), cross = ping_pong_ps(net, lines, 16);

    std::printf("core to core: same socket %.1f ns, cross socket %.1f ns\n",
                static_cast<double>(same) / 1e3, static_cast<double>(cross) / 1e3);
    /* Same socket 45-55 ns; cross socket 126 (Broadwell), 138.6 (Graviton 4), about 130. */
    EXPECT_GE(same, 45 * TS_NS);
    EXPECT_LE(same, 55 * TS_NS);
    EXPECT_GE(cross, 126 * TS_NS);
    EXPECT_LE(cross, 139 * TS_NS);
}

TEST(LineCalibration, SkylakeLikeL3HitAndMemory)
{
    rig::Network net(rig::topology(1, 16));
    rig::Lines lines(net);
    uint64_t hit = 0, memory = 0, n = 0;

    for (uint64_t id = 0; id < 64; id++) {
        ts_line line{};

        ts_line_init(lines.system, &line, id, 0);
        memory += lines.access(&line, 1, TS_LINE_READ);
        lines.access(&line, 2, TS_LINE_READ);
        hit += lines.access(&line, 5, TS_LINE_READ) + lines.after_core(0, lines.params.hit_cycles);
        n++;
        ts_line_fini(&line);
    }
    std::printf("L3 hit %.1f ns (%.0f cycles), memory %.1f ns\n",
                static_cast<double>(hit) / static_cast<double>(n) / 1e3,
                static_cast<double>(hit) / static_cast<double>(n) * 2.6e-3,
                static_cast<double>(memory) / static_cast<double>(n) / 1e3);
    /* 46 cycles on average at 2.6 GHz; local DRAM 80-90 ns. */
    EXPECT_NEAR(static_cast<double>(hit / n), 46 / 2.6 * 1e3, 1500);
    EXPECT_GE(memory / n, 78 * TS_NS);
    EXPECT_LE(memory / n, 92 * TS_NS);
}
