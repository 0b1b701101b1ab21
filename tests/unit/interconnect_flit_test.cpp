/* SPDX-License-Identifier: Apache-2.0 */
/* Whole messages over routers: the time of an uncontended one is that of the message-level model,
 * to the picosecond, and what is sent arrives once, in order, with all credits back. */
#include "sim/rng.h"
#include "tests/support/network_rig.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace
{

struct Message {
    ts_msg msg;
    std::vector<const Message *> *log;
    ts_time arrived;
};

void deliver(ts_interconnect *ic, ts_msg *msg)
{
    Message *m = reinterpret_cast<Message *>(msg);

    m->arrived = ts_engine_now(ts_interconnect_engine(ic));
    m->log->push_back(m);
}

ts_interconnect_params flits(const std::string &fabric)
{
    auto n = rig::network(fabric);

    n.detail = TS_IC_FLIT;
    return n;
}

void fill(Message &m, uint32_t src, uint32_t dst, uint32_t n, uint32_t klass,
          std::vector<const Message *> *log)
{
    m = Message{};
    m.msg.deliver = deliver;
    m.msg.src = src;
    m.msg.dst = dst;
    m.msg.flits = n;
    m.msg.klass = klass;
    m.log = log;
}

std::string refusal(const ts_interconnect_params &n, const ts_topology_params &t)
{
    try {
        rig::Network net(t, n);
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST(InterconnectFlit, AloneAMessageTakesTheTimeOfTheMessageModel)
{
    for (const char *fabric : {"mesh", "ring", "torus"}) {
        for (uint64_t router = 1; router <= 6; router++) {
            for (uint64_t link = 1; link <= 2; link++) {
                auto n = flits(fabric), plain = rig::network(fabric);

                n.router_cycles = plain.router_cycles = router;
                n.link_cycles = plain.link_cycles = link;
                n.inject_cycles = plain.inject_cycles = 5 + link;
                rig::Network a(rig::topology(2, 6), n), b(rig::topology(2, 6), plain);
                std::vector<const Message *> log;
                Message m;

                SCOPED_TRACE(std::string(fabric) + ", router " + std::to_string(router) +
                             ", link " + std::to_string(link));
                for (uint32_t src = 0; src < 12; src++) {
                    for (uint32_t dst = 0; dst < 12; dst++) {
                        uint32_t length = 1 + (src + dst) % 5;
                        ts_time sent = a.now() + 1000003;
                        bool crosses = src / 6 != dst / 6;

                        fill(m, src, dst, length, src % TS_MSG_CLASSES, &log);
                        rig::At at(a.engine, sent, [&] { ts_interconnect_send(a.ic, &m.msg); });
                        a.run();
                        ASSERT_EQ(m.arrived, a.arrival(src, dst, length, sent));
                        if (!crosses) {
                            ASSERT_EQ(m.arrived, b.arrival(src, dst, length, sent));
                        }
                    }
                }
                EXPECT_EQ(ts_interconnect_check(a.ic, &a.err), TS_OK) << a.err.message;
                EXPECT_EQ(ts_interconnect_stats(a.ic)->queued_ps, 0u);
            }
        }
    }
}

/* Routers are numbered socket by socket; message by message there are none. */
TEST(InterconnectFlit, RoutersOfASocketBufferItsOwnTraffic)
{
    auto n = flits("mesh");
    n.router_cycles = 4;
    rig::Network net(rig::topology(2, 6), n), plain(rig::topology(2, 6), rig::network("mesh"));
    std::vector<const Message *> log;
    Message m;
    uint64_t seen[12] = {};

    EXPECT_EQ(ts_interconnect_routers(plain.ic), 0u);
    ASSERT_EQ(ts_interconnect_routers(net.ic), 12u);
    fill(m, 6, 8, 2, TS_MSG_DATA, &log);
    ts_interconnect_send(net.ic, &m.msg);
    const ts_time due = net.arrival(6, 8, 2, 0);
    for (ts_time t = 0; t <= due; t += 100) {
        net.run(t);
        for (uint32_t r = 0; r < 12; r++)
            seen[r] += ts_interconnect_buffered(net.ic, r);
    }
    net.run();
    for (uint32_t r = 0; r < 12; r++) {
        const bool on_the_way = r >= 6 && r <= 8;
        EXPECT_EQ(seen[r] > 0, on_the_way) << r;
        EXPECT_EQ(ts_interconnect_buffered(net.ic, r), 0u);
    }
}

TEST(InterconnectFlit, NotThereACycleEarlier)
{
    auto n = flits("mesh");
    rig::Network net(rig::topology(1, 16), n);
    std::vector<const Message *> log;
    Message m;
    ts_time due = net.arrival(0, 15, 3, 0);

    fill(m, 0, 15, 3, TS_MSG_DATA, &log);
    ts_interconnect_send(net.ic, &m.msg);
    net.run(due - 1);
    EXPECT_TRUE(log.empty());
    net.run(due);
    EXPECT_EQ(log.size(), 1u);
}

TEST(InterconnectFlit, EveryMessageArrivesOnceAndInOrder)
{
    for (const char *fabric : {"mesh", "ring", "torus", "crossbar", "chiplet"}) {
        for (uint64_t seed = 1; seed <= 6; seed++) {
            auto n = flits(fabric);
            n.router_cycles = 1 + seed % 4;
            n.vc_depth = 1 + seed % 3 * 3;
            n.inject_cycles = seed % 3 * 4;
            rig::Network net(rig::topology(1 + seed % 3, 3 + 2 * seed), n);
            std::vector<const Message *> log;
            std::deque<Message> messages(2000);
            std::vector<std::unique_ptr<rig::At>> sends;
            std::map<std::tuple<uint32_t, uint32_t>, ts_time> last;
            ts_rng rng;

            SCOPED_TRACE(std::string("fabric ") + fabric + ", seed " + std::to_string(seed));
            ts_rng_init(&rng, seed, "flit swarm", 0);
            for (Message &m : messages) {
                uint32_t nodes = net.topo.nnodes;
                uint64_t dst = ts_rng_chance(&rng, 1, 2) ? nodes / 2 : ts_rng_below(&rng, nodes);

                auto src = static_cast<uint32_t>(ts_rng_below(&rng, nodes));
                auto flits = static_cast<uint32_t>(ts_rng_between(&rng, 1, 5));
                fill(m, src, static_cast<uint32_t>(dst), flits,
                     static_cast<uint32_t>(ts_rng_below(&rng, TS_MSG_CLASSES)), &log);
                ts_msg *msg = &m.msg;
                sends.push_back(
                    std::make_unique<rig::At>(net.engine, ts_rng_below(&rng, 200 * TS_NS),
                                              [&net, msg] { ts_interconnect_send(net.ic, msg); }));
            }
            net.run();
            ASSERT_EQ(log.size(), messages.size());
            for (const Message *m : log) {
                ts_time &before = last[{m->msg.src, m->msg.dst}];

                EXPECT_GE(m->msg.sent, before);
                EXPECT_GE(m->arrived,
                          net.arrival(m->msg.src, m->msg.dst, m->msg.flits, m->msg.sent));
                before = m->msg.sent;
            }
            EXPECT_EQ(ts_interconnect_check(net.ic, &net.err), TS_OK) << net.err.message;
            EXPECT_EQ(
                ts_stat_check(&ts_interconnect_stat_table, ts_interconnect_stats(net.ic), &net.err),
                TS_OK)
                << net.err.message;
            EXPECT_EQ(ts_engine_next_time(net.engine), TS_TIME_NEVER);
        }
    }
}

TEST(InterconnectFlit, WhatCannotBeIsRefused)
{
    auto n = flits("mesh");

    n.router_cycles = 0;
    EXPECT_NE(refusal(n, rig::topology(1, 4)).find("router_cycles"), std::string::npos);
    n = flits("mesh");
    n.background_permille = 10;
    EXPECT_NE(refusal(n, rig::topology(1, 4)).find("background_permille"), std::string::npos);
    n = flits("ring");
    n.vcs = 1;
    EXPECT_NE(refusal(n, rig::topology(1, 4)).find("even"), std::string::npos);
}
