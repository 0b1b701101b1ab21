/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/network_rig.hpp"

#include "sim/rng.h"
#include "sim/stats.h"

#include <deque>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

namespace
{

struct Message {
    ts_msg msg; /* first: deliver casts back */
    uint64_t number;
    std::vector<std::pair<uint64_t, ts_time>> *log;
};

void deliver(ts_interconnect *ic, ts_msg *msg)
{
    auto *m = reinterpret_cast<Message *>(msg);

    m->log->emplace_back(m->number, ts_engine_now(ts_interconnect_engine(ic)));
}

using Log = std::vector<std::pair<uint64_t, ts_time>>;

void fill(Message &m, uint64_t number, uint32_t src, uint32_t dst, uint32_t flits, uint32_t klass,
          Log *log)
{
    m = Message{};
    m.msg.deliver = deliver;
    m.msg.src = src;
    m.msg.dst = dst;
    m.msg.flits = flits;
    m.msg.klass = klass;
    m.number = number;
    m.log = log;
}

/* Sends `count` random messages at random times; returns who arrived when. */
Log swarm(const ts_topology_params &t, const ts_interconnect_params &n, uint64_t seed,
          uint32_t count, ts_queue_kind queue, std::deque<Message> &messages)
{
    rig::Network net(t, n, queue);
    std::vector<std::unique_ptr<rig::At>> sends;
    ts_rng rng;
    Log log;

    ts_rng_init(&rng, seed, "interconnect swarm", 0);
    messages.clear();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t nodes = net.topo.nnodes;
        /* Half of them to one node, so that there is contention. */
        uint64_t dst = ts_rng_chance(&rng, 1, 2) ? nodes / 2 : ts_rng_below(&rng, nodes);
        ts_time when = ts_rng_below(&rng, 100 * TS_NS);

        messages.emplace_back();
        Message &m = messages.back();
        auto src = static_cast<uint32_t>(ts_rng_below(&rng, nodes));
        auto flits = static_cast<uint32_t>(ts_rng_between(&rng, 1, 5));
        fill(m, i, src, static_cast<uint32_t>(dst), flits,
             static_cast<uint32_t>(ts_rng_below(&rng, TS_MSG_CLASSES)), &log);
        sends.push_back(std::make_unique<rig::At>(
            net.engine, when, [&net, &m] { ts_interconnect_send(net.ic, &m.msg); }));
    }
    net.run();
    const struct ts_interconnect_stats *s = ts_interconnect_stats(net.ic);
    EXPECT_EQ(ts_stat_check(&ts_interconnect_stat_table, s, &net.err), TS_OK) << net.err.message;
    EXPECT_EQ(s->messages, count);
    EXPECT_EQ(s->latency_ps.count, count);
    EXPECT_EQ(s->queued_ps > 0, !ts_fabric_table[n.fabric]->instant);
    return log;
}

} // namespace

TEST(Interconnect, EveryMessageArrivesOnceAndInOrder)
{
    for (const char *fabric : {"mesh", "ring", "crossbar", "ideal"}) {
        for (uint64_t seed = 1; seed <= 6; seed++) {
            auto n = rig::network(fabric);
            std::deque<Message> messages;

            SCOPED_TRACE(std::string("fabric ") + fabric + ", seed " + std::to_string(seed));
            n.background_permille = seed % 3 * 150;
            Log log = swarm(rig::topology(1 + seed % 4, 3 + seed), n, seed, 2000, TS_QUEUE_WHEEL,
                            messages);
            std::vector<uint32_t> arrived(messages.size(), 0);
            std::map<std::tuple<uint32_t, uint32_t>, ts_time> last_sent;

            ASSERT_EQ(log.size(), messages.size());
            for (auto [number, when] : log) {
                const ts_msg &m = messages[number].msg;
                ts_time &last = last_sent[{m.src, m.dst}];

                EXPECT_EQ(arrived[number]++, 0u);
                /* In order whatever the class: of two with one send time either may be first. */
                EXPECT_GE(m.sent, last) << "message " << number;
                EXPECT_GE(when, m.sent);
                last = m.sent;
            }
        }
    }
}

TEST(Interconnect, SameRunWhateverTheQueueAndWhateverElseIsInTheProcess)
{
    std::deque<Message> a, b;
    auto t = rig::topology(2, 9);
    auto n = rig::network();

    EXPECT_EQ(swarm(t, n, 7, 3000, TS_QUEUE_WHEEL, a), swarm(t, n, 7, 3000, TS_QUEUE_HEAP, b));
}

TEST(Interconnect, SendsInOnePicosecondGoInTheOrderOfTheCalls)
{
    rig::Network net(rig::topology(1, 16));
    std::deque<Message> messages(10);
    Log log;

    for (uint32_t i = 0; i < messages.size(); i++) {
        fill(messages[i], i, 3, 12, 2, i % TS_MSG_CLASSES, &log);
        ts_interconnect_send(net.ic, &messages[i].msg);
    }
    net.run();
    ASSERT_EQ(log.size(), messages.size());
    for (uint32_t i = 0; i < log.size(); i++)
        EXPECT_EQ(log[i].first, i);
}

TEST(Interconnect, IdealDeliversInTheSamePicosecondButNotInTheCall)
{
    rig::Network net(rig::topology(2, 8), rig::network("ideal"));
    Message m;
    Log log;

    fill(m, 0, 0, 15, 9, TS_MSG_DATA, &log);
    rig::At at(net.engine, 12345, [&] {
        ts_interconnect_send(net.ic, &m.msg);
        EXPECT_TRUE(log.empty());
    });
    net.run();
    EXPECT_EQ(log, (Log{{0, 12345}}));
    EXPECT_EQ(ts_interconnect_zero_load(net.ic, 0, 15, 9), 0u);
}

TEST(Interconnect, AMessageMayBeSentAgainFromItsDelivery)
{
    struct Bouncer {
        ts_msg msg;
        uint32_t left;
        ts_time legs;
    } b{};
    rig::Network net(rig::topology(1, 16));

    b.msg.src = 2;
    b.msg.dst = 13;
    b.msg.flits = 1;
    b.left = 9;
    b.msg.deliver = [](ts_interconnect *ic, ts_msg *msg) {
        auto *self = reinterpret_cast<Bouncer *>(msg);

        self->legs++;
        if (self->left-- > 0) {
            std::swap(msg->src, msg->dst);
            ts_interconnect_send(ic, msg);
        }
    };
    ts_interconnect_send(net.ic, &b.msg);
    net.run();
    EXPECT_EQ(b.legs, 10u);
    EXPECT_EQ(ts_interconnect_stats(net.ic)->delivered, 10u);
}

TEST(Interconnect, CountsHopsFlitsAndCrossings)
{
    rig::Network net(rig::topology(2, 16));
    Message m;
    Log log;

    /* 15 = (3,3) to the gateway (1,0): 5 links, the crossing, and (1,0) to (0,1): 2 links. */
    fill(m, 0, 15, 16 + 4, 3, TS_MSG_DATA, &log);
    ts_interconnect_send(net.ic, &m.msg);
    net.run();
    EXPECT_EQ(ts_interconnect_gateway(net.ic, 0), 1u);
    EXPECT_EQ(ts_interconnect_gateway(net.ic, 1), 17u);
    EXPECT_EQ(m.msg.hops, 8u);
    EXPECT_EQ(ts_interconnect_stats(net.ic)->flits, 3u);
    EXPECT_EQ(ts_interconnect_stats(net.ic)->flit_hops, 24u);
    EXPECT_EQ(ts_interconnect_stats(net.ic)->socket_crossings, 1u);
    EXPECT_EQ(ts_interconnect_stats(net.ic)->queued_ps, 0u);
}

TEST(Interconnect, RefusesWhatTheRowsRefuse)
{
    rig::Network net(rig::topology(1, 4));

    for (size_t i = 0; i < ts_interconnect_param_table.nrows; i++) {
        const ts_param &row = ts_interconnect_param_table.rows[i];
        auto n = rig::network();
        ts_interconnect *ic = nullptr;

        *reinterpret_cast<uint64_t *>(reinterpret_cast<char *>(&n) + row.offset) = row.max + 1;
        EXPECT_EQ(ts_interconnect_create(&ic, net.engine, &net.topo, &n, &net.err), TS_ERR_USER)
            << row.key;
        EXPECT_NE(std::string(net.err.message).find(row.key), std::string::npos);
        EXPECT_EQ(ic, nullptr);
    }
    auto n = rig::network();
    ts_interconnect *ic = nullptr;
    n.fabric = ts_fabric_table_count;
    EXPECT_EQ(ts_interconnect_create(&ic, net.engine, &net.topo, &n, &net.err), TS_ERR_USER);
}

TEST(Interconnect, DefaultFabricIsTheMesh)
{
    auto n = rig::defaults<ts_interconnect_params>(ts_interconnect_param_table);
    rig::Network by_default(rig::topology(1, 23), n), mesh(rig::topology(1, 23));

    ASSERT_LT(n.fabric, ts_fabric_table_count);
    EXPECT_STREQ(ts_fabric_table[n.fabric]->name, "mesh");
    for (uint32_t dst = 0; dst < 23; dst++)
        EXPECT_EQ(ts_interconnect_zero_load(by_default.ic, 5, dst, 2),
                  ts_interconnect_zero_load(mesh.ic, 5, dst, 2));
}
