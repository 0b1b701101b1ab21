/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that reserve their way at once arrive as those that go hop by hop do, to the picosecond
 * and in the same order, and the statistics are equal whenever somebody looks. */
#include "sim/rng.h"
#include "tests/support/network_rig.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

namespace
{

struct Shape {
    ts_topology_params topology;
    ts_interconnect_params network;
    uint64_t gap;      /* ps between the sends of a node, at most */
    uint64_t spot;     /* of 100 messages so many go to node 0 */
    uint64_t longest;  /* flits */
    uint32_t messages; /* sent by themselves; others answer */
};

/* Draws, but for what is given. */
Shape draw(ts_rng *rng, const char *fabric)
{
    Shape s{};
    auto between = [&](uint64_t low, uint64_t high) { return ts_rng_between(rng, low, high); };

    s.topology = rig::topology(between(1, 3), between(1, 4) * between(1, 4));
    s.network = rig::network(fabric);
    s.network.router_cycles = between(0, 3);
    s.network.link_cycles = between(0, 2);
    s.network.inject_cycles = between(1, 6);
    s.network.socket_link_ps = between(0, 40) * TS_NS;
    s.network.socket_link_rate = between(1, 80) * (between(0, 7) ? UINT64_C(1000000000) : 1000000);
    s.network.flit_bytes = UINT64_C(1) << between(0, 10);
    s.network.mesh_hz = between(0, 1) ? 2400000000 : between(1, 4000) * 1000000;
    if (s.network.mesh_hz < 100000000)
        s.network.mesh_hz = 100000000;
    s.gap = between(0, 3) ? between(1, 200) * TS_NS : between(1, 4) * TS_NS;
    s.spot = between(0, 2) ? 0 : between(1, 100);
    s.longest = between(0, 2) ? 1 + between(0, 4) : between(1, 40);
    s.messages = 400;
    return s;
}

struct Arrival {
    uint32_t message;
    ts_time when;
    uint32_t hops;
};

bool operator==(const Arrival &a, const Arrival &b)
{
    return a.message == b.message && a.when == b.when && a.hops == b.hops;
}

/* One history of messages: some are sent at drawn times, some answer when they have arrived. */
class Traffic
{
  public:
    Traffic(const Shape &shape, uint64_t seed, bool express) : shape_(shape)
    {
        auto n = shape.network;
        n.express = express;
        net = std::make_unique<rig::Network>(
            shape.topology, n, std::getenv("TS_HEAP") ? TS_QUEUE_HEAP : TS_QUEUE_WHEEL);
        net->check(ts_engine_reserve(net->engine, 4 * shape.messages, &net->err));
        ts_rng_init(&rng_, seed, "traffic", 0);
        boxes_.resize(shape.messages);
        for (Box &b : boxes_) {
            b.traffic = this;
            b.number = static_cast<uint32_t>(&b - boxes_.data());
            b.message.deliver = arrived;
            auto phase = ts_rng_below(&rng_, 2) ? TS_PHASE_HARDWARE : TS_PHASE_SOFTWARE;
            ts_time when = ts_rng_below(&rng_, shape.gap * 20);
            if (ts_rng_below(&rng_, 2)) /* on an edge */
                when = ts_clock_cycle_time(net->clock(), ts_clock_cycle_at(net->clock(), when));
            ends_ = when > ends_ ? when : ends_;
            starts_.push_back(std::make_unique<rig::At>(
                net->engine, when, [this, &b] { send(b); }, phase));
        }
    }
    /* Statistics at drawn times, and at the end. */
    std::vector<struct ts_interconnect_stats> looks()
    {
        std::vector<struct ts_interconnect_stats> seen;
        for (ts_time at = 0; at < 2 * ends_; at += 1 + ts_rng_below(&rng_, ends_ / 4 + 1)) {
            net->run(at);
            seen.push_back(*ts_interconnect_stats(net->ic));
        }
        net->run();
        seen.push_back(*ts_interconnect_stats(net->ic));
        return seen;
    }
    std::vector<Arrival> arrivals;
    std::unique_ptr<rig::Network> net;

  private:
    struct Box {
        ts_msg message{};
        Traffic *traffic = nullptr;
        uint32_t number = 0;
        uint32_t answers = 0;
    };
    void send(Box &b)
    {
        uint32_t nodes = net->topo.nnodes;
        b.message.src = static_cast<uint32_t>(ts_rng_below(&rng_, nodes));
        b.message.dst = ts_rng_below(&rng_, 100) < shape_.spot
                            ? 0
                            : static_cast<uint32_t>(ts_rng_below(&rng_, nodes));
        b.message.flits = 1 + static_cast<uint32_t>(ts_rng_below(&rng_, shape_.longest));
        b.message.klass = TS_MSG_REQUEST;
        ts_interconnect_send(net->ic, &b.message);
    }
    static void arrived(ts_interconnect *ic, ts_msg *msg)
    {
        Box *b = reinterpret_cast<Box *>(msg);
        Traffic *t = b->traffic;
        t->arrivals.push_back({b->number, ts_engine_now(ts_interconnect_engine(ic)), msg->hops});
        if (b->answers < 3 && ts_rng_below(&t->rng_, 2)) {
            b->answers++;
            t->send(*b);
        }
    }
    Shape shape_;
    ts_rng rng_{};
    ts_time ends_ = 0;
    std::vector<Box> boxes_;
    std::vector<std::unique_ptr<rig::At>> starts_;
};

class Express : public testing::TestWithParam<size_t>
{
};

void compare(const Shape &shape, uint64_t seed)
{
    Traffic by_hop(shape, seed, false), express(shape, seed, true);
    auto hop_looks = by_hop.looks(), looks = express.looks();

    for (size_t i = 0; i < std::min(by_hop.arrivals.size(), express.arrivals.size()); i++)
        ASSERT_TRUE(by_hop.arrivals[i] == express.arrivals[i])
            << i << ": hop by hop " << by_hop.arrivals[i].message << " at "
            << by_hop.arrivals[i].when << " after " << by_hop.arrivals[i].hops << ", express "
            << express.arrivals[i].message << " at " << express.arrivals[i].when << " after "
            << express.arrivals[i].hops;
    ASSERT_EQ(by_hop.arrivals.size(), express.arrivals.size());
    ASSERT_EQ(hop_looks.size(), looks.size());
    for (size_t i = 0; i < looks.size(); i++) {
        ASSERT_EQ(hop_looks[i].flit_hops, looks[i].flit_hops) << i;
        ASSERT_EQ(hop_looks[i].queued_ps, looks[i].queued_ps) << i;
        ASSERT_EQ(hop_looks[i].socket_crossings, looks[i].socket_crossings) << i;
        ASSERT_EQ(hop_looks[i].delivered, looks[i].delivered) << i;
    }
    EXPECT_EQ(ts_interconnect_check(express.net->ic, &express.net->err), TS_OK);
}

} // namespace

INSTANTIATE_TEST_SUITE_P(Fabrics, Express, testing::Range<size_t>(0, ts_fabric_table_count),
                         [](const testing::TestParamInfo<size_t> &fabric) {
                             return ts_fabric_table[fabric.param]->name;
                         });

TEST_P(Express, EqualsHopByHop)
{
    const char *fabric = ts_fabric_table[GetParam()]->name;
    const char *one = std::getenv("TS_SEED");
    uint64_t first = one ? std::strtoull(one, nullptr, 10) : 1, last = one ? first : 300;

    for (uint64_t seed = first; seed <= last; seed++) {
        ts_rng rng;
        ts_rng_init(&rng, seed, "interconnect_express", 0);
        SCOPED_TRACE("TS_SEED=" + std::to_string(seed));
        compare(draw(&rng, fabric), seed);
        if (HasFatalFailure())
            return;
    }
}

/* Without traffic in the way, one event a message. */
TEST(ExpressEvents, OneAMessageWhereNothingIsInTheWay)
{
    for (uint64_t on : {0, 1}) {
        auto n = rig::network();
        n.express = on;
        rig::Network net(rig::topology(2, 16), n);
        ts_msg m{};
        m.deliver = [](ts_interconnect *, ts_msg *) {};
        m.src = 0;
        m.dst = 31;
        m.flits = 1;
        ts_interconnect_send(net.ic, &m);
        net.run();
        EXPECT_EQ(ts_engine_events_run(net.engine), on ? 1u : m.hops + 2u);
    }
}
