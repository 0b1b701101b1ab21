/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/network_rig.hpp"

#include "sim/clock.h"

#include <cstdlib>
#include <deque>
#include <memory>
#include <set>
#include <vector>

namespace
{

struct Message {
    ts_msg msg; /* first: deliver casts back */
    ts_time delivered = TS_TIME_NEVER;
};

void deliver(ts_interconnect *ic, ts_msg *msg)
{
    reinterpret_cast<Message *>(msg)->delivered = ts_engine_now(ts_interconnect_engine(ic));
}

Message message(uint32_t src, uint32_t dst, uint32_t flits)
{
    Message m{};

    m.msg.src = src;
    m.msg.dst = dst;
    m.msg.flits = flits;
    m.msg.deliver = deliver;
    m.delivered = TS_TIME_NEVER;
    return m;
}

uint64_t distance(uint32_t width, uint32_t a, uint32_t b)
{
    auto gap = [](uint32_t x, uint32_t y) { return x > y ? x - y : y - x; };

    return gap(a % width, b % width) + gap(a / width, b / width);
}

/* A machine whose shape the test knows, so that its formula is independent of the routes. */
struct Machine {
    uint64_t sockets, cores;
    uint32_t width;
    uint64_t mesh_hz, router, link, inject;
};

class ZeroLoad : public ::testing::TestWithParam<Machine>
{
};

} // namespace

TEST_P(ZeroLoad, IsTheClosedFormulaToThePicosecondForEveryPair)
{
    const Machine &m = GetParam();
    auto n = rig::network();

    n.mesh_hz = m.mesh_hz;
    n.router_cycles = m.router;
    n.link_cycles = m.link;
    n.inject_cycles = m.inject;
    rig::Network net(rig::topology(m.sockets, m.cores), n);
    uint32_t cores = static_cast<uint32_t>(m.cores), gateway = (m.width - 1) / 2;

    for (uint32_t src = 0; src < net.topo.nnodes; src++) {
        for (uint32_t dst = 0; dst < net.topo.nnodes; dst++) {
            for (uint32_t flits : {1u, 5u}) {
                /* Far from the last message, at an odd phase of the clock. */
                ts_time sent = net.now() + 10 * TS_US + src * 7 + dst;
                uint64_t hop = m.router + m.link, cycle = ts_clock_cycle_at(net.clock(), sent);
                Message msg = message(src, dst, flits);
                rig::At at(net.engine, sent, [&] { ts_interconnect_send(net.ic, &msg.msg); });

                if (src / cores == dst / cores) {
                    cycle += 2 * m.inject + distance(m.width, src % cores, dst % cores) * hop;
                } else {
                    uint64_t bytes = flits * n.flit_bytes;
                    uint64_t serial = (bytes * TS_S + n.socket_link_rate - 1) / n.socket_link_rate;

                    cycle += m.inject + distance(m.width, src % cores, gateway) * hop + m.router;
                    cycle = ts_clock_cycle_at(net.clock(), ts_clock_cycle_time(net.clock(), cycle) +
                                                               serial + n.socket_link_ps);
                    cycle += distance(m.width, gateway, dst % cores) * hop + m.inject;
                }
                ts_time expected = ts_clock_cycle_time(net.clock(), cycle + flits - 1);
                ASSERT_EQ(net.arrival(src, dst, flits, sent), expected);
                net.run(expected - 1);
                ASSERT_EQ(msg.delivered, TS_TIME_NEVER) << src << " to " << dst;
                net.run(expected);
                ASSERT_EQ(msg.delivered, expected) << src << " to " << dst;
            }
            ASSERT_EQ(ts_interconnect_zero_load(net.ic, src, dst, 3), net.arrival(src, dst, 3, 0));
        }
    }
    EXPECT_EQ(ts_interconnect_stats(net.ic)->queued_ps, 0u);
}

INSTANTIATE_TEST_SUITE_P(Machines, ZeroLoad,
                         ::testing::Values(Machine{1, 1, 1, 2400000000, 1, 1, 3},
                                           Machine{2, 16, 4, 2400000000, 1, 1, 3},
                                           Machine{2, 11, 4, 1800000000, 3, 2, 1},
                                           Machine{3, 7, 3, 3333333333, 0, 1, 0},
                                           Machine{4, 6, 3, 2000000000, 2, 1, 14}));

TEST(Contention, TheSecondMessageWaitsExactlyTheSerialisation)
{
    for (uint32_t flits : {1u, 3u, 9u}) {
        rig::Network net(rig::topology(1, 16));
        Message through = message(4, 7, flits), joins = message(5, 7, flits);
        const ts_clock *clock = net.clock();
        auto n = rig::network();
        /* Both heads reach router 5 in the same cycle, one hop after the start of the first. */
        ts_time later = ts_clock_cycle_time(clock, n.router_cycles + n.link_cycles);
        rig::At at(net.engine, later, [&] { ts_interconnect_send(net.ic, &joins.msg); });

        ts_interconnect_send(net.ic, &through.msg);
        net.run();
        ts_time alone = net.arrival(4, 7, flits, 0);
        ts_time behind = ts_clock_cycle_time(clock, ts_clock_cycle_at(clock, alone) + flits);
        ASSERT_EQ(alone, net.arrival(5, 7, flits, later));
        /* Who come in one cycle go in the order of their sending. */
        EXPECT_EQ(through.delivered, alone);
        EXPECT_EQ(joins.delivered, behind);
        EXPECT_GT(ts_interconnect_stats(net.ic)->queued_ps, 0u);
    }
}

TEST(Contention, TheEarlierAtTheLinkGoesFirstThoughItWasSentLater)
{
    rig::Network net(rig::topology(1, 16));
    Message far = message(4, 7, 20), near = message(6, 7, 1);
    /* far's head reaches node 6 after two hops; near is sent after far and is there before it. */
    rig::At at(net.engine, 1, [&] { ts_interconnect_send(net.ic, &near.msg); });

    ts_interconnect_send(net.ic, &far.msg);
    net.run();
    EXPECT_EQ(near.delivered, net.arrival(6, 7, 1, 1));
    EXPECT_EQ(far.delivered, net.arrival(4, 7, 20, 0));
}

TEST(Contention, OneFlitACycleIntoAndOutOfANode)
{
    rig::Network out(rig::topology(1, 16)), in(rig::topology(1, 16));
    std::deque<Message> leaving, arriving;
    const ts_clock *clock = out.clock();

    /* Out: one node to itself and to others, four flits each. */
    for (uint32_t i = 0; i < 8; i++) {
        leaving.push_back(message(0, i == 0 ? 0 : 12, 4));
        ts_interconnect_send(out.ic, &leaving.back().msg);
    }
    out.run();
    EXPECT_EQ(leaving[0].delivered, out.arrival(0, 0, 4, 0));
    for (uint32_t i = 1; i < 8; i++)
        EXPECT_EQ(
            leaving[i].delivered,
            ts_clock_cycle_time(clock, ts_clock_cycle_at(clock, out.arrival(0, 12, 4, 0)) + 4 * i));
    /* In: four neighbours at the same distance share the port of node 5. */
    for (uint32_t src : {1u, 4u, 6u, 9u}) {
        arriving.push_back(message(src, 5, 4));
        ts_interconnect_send(in.ic, &arriving.back().msg);
    }
    in.run();
    for (uint32_t i = 0; i < 4; i++)
        EXPECT_EQ(
            arriving[i].delivered,
            ts_clock_cycle_time(clock, ts_clock_cycle_at(clock, in.arrival(1, 5, 4, 0)) + 4 * i));
}

TEST(Contention, TheSocketLinkSerialisesByItsRate)
{
    auto n = rig::network();

    n.socket_link_rate = 10000000000; /* 64 bytes: 6.4 ns, far more than 2 mesh cycles */
    rig::Network net(rig::topology(2, 4), n);
    std::deque<Message> messages;
    const ts_clock *clock = net.clock();
    /* From the gateway to the far gateway: nothing but the link in between. */
    uint32_t src = ts_interconnect_gateway(net.ic, 0), dst = ts_interconnect_gateway(net.ic, 1);
    ts_time ready = ts_clock_cycle_time(clock, n.inject_cycles + n.router_cycles);

    for (uint32_t i = 0; i < 10; i++) {
        messages.push_back(message(src, dst, 2));
        ts_interconnect_send(net.ic, &messages.back().msg);
    }
    Message back = message(dst, src, 2); /* the other direction is another link */
    ts_interconnect_send(net.ic, &back.msg);
    net.run();
    EXPECT_EQ(back.delivered, net.arrival(dst, src, 2, 0));
    for (uint32_t i = 0; i < 10; i++) {
        ts_time at_far = ready + (i + 1) * UINT64_C(6400) + n.socket_link_ps;

        EXPECT_EQ(
            messages[i].delivered,
            ts_clock_cycle_time(clock, ts_clock_cycle_at(clock, at_far) + n.inject_cycles + 2 - 1));
    }
}

TEST(Background, ABusyLinkLosesExactlyTheShareTaken)
{
    auto n = rig::network();

    for (uint64_t taken : {0u, 100u, 250u, 333u, 800u}) {
        n.background_permille = taken;
        rig::Network net(rig::topology(1, 4), n);
        std::deque<Message> messages;
        const ts_clock *clock = net.clock();
        const uint64_t count = 999;

        for (uint64_t i = 0; i < count; i++) {
            messages.push_back(message(0, 0, 1));
            ts_interconnect_send(net.ic, &messages.back().msg);
        }
        net.run();
        uint64_t first = ts_clock_cycle_at(clock, messages.front().delivered);
        uint64_t last = ts_clock_cycle_at(clock, messages.back().delivered);
        /* The k-th flit passes after floor(k * 1000 / (1000 - taken)) slots. */
        EXPECT_EQ(last - first, count * 1000 / (1000 - taken) - 1000 / (1000 - taken)) << taken;
        EXPECT_EQ(messages.front().delivered, net.arrival(0, 0, 1, 0));
    }
}

/* Each message is late by 0 to 20 cycles, every lateness occurs, and none overtakes another of the
 * same way. The draws are those of the seed. */
TEST(Jitter, DelaysByUpToItsCyclesAndKeepsTheOrder)
{
    auto n = rig::network();
    const uint64_t jitter = 20;
    std::vector<ts_time> first;

    for (uint64_t seed : {1u, 1u, 2u}) {
        n.jitter_cycles = seed ? jitter : 0;
        rig::Network net(rig::topology(1, 4), n);
        ts_interconnect_set_seed(net.ic, seed);
        std::deque<Message> messages;
        std::vector<ts_time> came;
        std::set<uint64_t> late;
        const uint64_t count = 2000;

        for (uint64_t i = 0; i < count; i++) {
            const uint32_t dst = i % 2 ? 3 : 0;
            messages.push_back(message(0, dst, 1));
            ts_interconnect_send(net.ic, &messages.back().msg);
            const ts_time early = net.arrival(0, dst, 1, messages.back().msg.sent);
            net.run();
            const ts_time t = messages.back().delivered;
            ASSERT_GE(t, early);
            const uint64_t cycles =
                ts_clock_cycle_at(net.clock(), t) - ts_clock_cycle_at(net.clock(), early);
            ASSERT_LE(cycles, jitter);
            late.insert(cycles);
            came.push_back(t);
        }
        EXPECT_EQ(late.size(), jitter + 1);
        if (first.empty())
            first = came;
        EXPECT_EQ(came == first, seed == 1) << seed;
    }
}

TEST(Jitter, NoMessageOvertakesAnotherOfItsWay)
{
    auto n = rig::network();
    n.jitter_cycles = 1000;
    rig::Network net(rig::topology(1, 4), n);
    std::deque<Message> messages;

    for (uint64_t i = 0; i < 300; i++) {
        messages.push_back(message(1, i % 3 ? 2 : 1, 1));
        ts_interconnect_send(net.ic, &messages.back().msg);
    }
    net.run();
    ts_time last[4] = {};
    for (const Message &m : messages) {
        EXPECT_GE(m.delivered, last[m.msg.dst]);
        last[m.msg.dst] = m.delivered;
    }
}

TEST(Jitter, IsRefusedWhereMessagesAreNotDelivered)
{
    ts_error err{};
    auto n = rig::network();
    n.jitter_cycles = 1;
    const auto t = rig::topology(1, 4);
    EXPECT_EQ(ts_interconnect_check_params(&n, &t, &err), TS_OK);
    n.detail = TS_IC_FLIT;
    EXPECT_EQ(ts_interconnect_check_params(&n, &t, &err), TS_ERR_USER);
    n = rig::network("ideal");
    n.jitter_cycles = 1;
    EXPECT_EQ(ts_interconnect_check_params(&n, &t, &err), TS_ERR_USER);
}
