/* SPDX-License-Identifier: Apache-2.0 */
/* The network of routers: what it refuses, what it counts, what it says of itself. */
#include "tests/support/noc_rig.hpp"

#include <cstring>
#include <string>

namespace
{

using noc_rig::hop_cycles;
using noc_rig::p2spec;
using noc_rig::p4;
using noc_rig::Rig;

std::string refused(const char *fabric, uint32_t nodes, const ts_noc_params &p)
{
    ts_noc *noc = nullptr;
    ts_error err{};
    ts_status status = ts_noc_create(
        &noc, ts_fabric_find(fabric), nodes, &p, [](void *, const ts_noc_delivery *) {}, nullptr,
        &err);

    EXPECT_EQ(status, TS_ERR_USER);
    ts_noc_destroy(noc);
    return status == TS_OK ? "" : err.message;
}

template <typename Change> std::string refused(Change change)
{
    ts_noc_params p = p4();

    change(p);
    return refused("mesh", 16, p);
}

bool has(const std::string &text, const char *part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

TEST(Noc, RefusesWhatCannotBeBuilt)
{
    EXPECT_TRUE(has(refused("mesh", 0, p4()), "nodes"));
    EXPECT_TRUE(has(refused("ideal", 4, p4()), "ideal has no routers"));
    EXPECT_TRUE(has(refused("crossbar", 65, p4()), "65 ports, more than the 64"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.packets = 0; }), "room for packets"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.packets = 1u << 31; }), "more packets"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.classes = 0; }), "0 classes"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.vcs = 65; }), "65 virtual channels"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.depth = 0; }), "buffer of 0"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.depth = 256; }), "buffer of 256"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.va = 0; }), "at least one cycle"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.link = 0; }), "at least one cycle"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.credit = 0; }), "at least one cycle"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) { p.link = 2000; }), "too long"));
    EXPECT_TRUE(has(refused([](ts_noc_params &p) {
                        p.va = 2;
                        p.speculative = true;
                    }),
                    "speculative"));
    for (const char *fabric : {"ring", "torus"}) {
        ts_noc_params p = p4();

        p.vcs = 3;
        EXPECT_TRUE(has(refused(fabric, 16, p), "must be even, not 3"));
    }
}

TEST(Noc, RefusesPacketsBeyondItsRoom)
{
    for (ts_noc_multicast_kind how : {TS_NOC_REPEATED, TS_NOC_TREE}) {
        ts_noc_params p = p4();
        std::vector<uint32_t> to{0, 1, 2, 3};
        uint32_t needed = how == TS_NOC_TREE ? 7 : 4;

        p.packets = needed + 1;
        p.multicast = how;
        Rig rig("mesh", 4, p);
        ASSERT_TRUE(ts_noc_send(rig.noc, 0, 0, 1, 0, 1, 1));
        ASSERT_TRUE(ts_noc_send(rig.noc, 0, 0, 1, 0, 1, 2));
        EXPECT_FALSE(ts_noc_multicast(rig.noc, 0, 1, to.data(), 4, 0, 1, 3));
        EXPECT_EQ(ts_noc_pending(rig.noc), 2u);
        rig.drain();
        ASSERT_TRUE(ts_noc_send(rig.noc, rig.now, 0, 1, 0, 1, 4));
        ASSERT_TRUE(ts_noc_multicast(rig.noc, rig.now, 1, to.data(), 4, 0, 1, 5));
        EXPECT_FALSE(ts_noc_send(rig.noc, rig.now, 0, 1, 0, 1, 6));
        EXPECT_EQ(ts_noc_pending(rig.noc), 5u);
        rig.drain();
        EXPECT_EQ(rig.delivered.size(), 7u);
        /* All room is back. */
        for (uint32_t i = 0; i <= needed; i++)
            EXPECT_TRUE(ts_noc_send(rig.noc, rig.now, 0, 1, 0, 1, 7));
        EXPECT_FALSE(ts_noc_send(rig.noc, rig.now, 0, 1, 0, 1, 7));
        rig.drain();
    }
}

TEST(Noc, DeliveriesSayWhatWasSent)
{
    ts_noc_params p = p4();

    p.classes = 3;
    p.vcs = 1;
    p.depth = 2;
    Rig rig("mesh", 16, p);
    rig.send(100, 5, 10, 7, 2);
    uint64_t second = rig.send(100, 5, 6, 1, 2);
    rig.drain();
    ASSERT_EQ(rig.delivered.size(), 2u);
    const ts_noc_delivery &first =
        rig.delivered[0].cookie == second ? rig.delivered[1] : rig.delivered[0];
    const ts_noc_delivery &other =
        &first == &rig.delivered[0] ? rig.delivered[1] : rig.delivered[0];
    EXPECT_EQ(first.sent, 100u);
    EXPECT_EQ(first.injected, 100u);
    EXPECT_EQ(first.src, 5u);
    EXPECT_EQ(first.dst, 10u);
    EXPECT_EQ(first.klass, 2u);
    EXPECT_EQ(first.flits, 7u);
    /* Behind the first in its source's queue: seven flits, and waits for credits. */
    EXPECT_EQ(other.sent, 100u);
    EXPECT_GE(other.injected, 107u);
}

TEST(Noc, PacketsSentOnDeliveryTravelInTheSameCycle)
{
    Rig rig("mesh", 16, p4());
    uint64_t hops = 0;

    rig.on_delivery = [&](const ts_noc_delivery &d) {
        if (++hops < 10) {
            ASSERT_TRUE(ts_noc_send(rig.noc, d.cycle, d.dst, (d.dst + 3) % 16, 0, 1, hops));
        }
    };
    rig.send(0, 0, 3, 1);
    rig.drain();
    uint64_t at = 0;
    for (uint32_t i = 0, node = 0; i < 10; i++, node = (node + 3) % 16) {
        at += ts_noc_zero_load(rig.noc, node, (node + 3) % 16, 1);
        EXPECT_EQ(rig.delivered[i].cycle, at);
    }
}

TEST(Noc, LinksCountWhatGoesOverThem)
{
    Rig rig("mesh", 16, p4());
    uint64_t inject = 0, eject = 0, between = 0, links = 0;

    rig.send(0, 0, 15, 5);
    rig.send(0, 3, 3, 2);
    rig.drain();
    for (uint32_t i = 0; i < ts_noc_links(rig.noc); i++) {
        struct ts_noc_link link;

        if (!ts_noc_link(rig.noc, i, &link))
            continue;
        if (link.from_router == UINT32_MAX) {
            EXPECT_EQ(link.to_router, link.node);
            inject += link.flits;
        } else if (link.to_router == UINT32_MAX) {
            EXPECT_EQ(link.from_router, link.node);
            EXPECT_EQ(link.flits, link.node == 15 ? 5u : link.node == 3 ? 2u : 0u);
            eject += link.flits;
        } else {
            links++;
            between += link.flits;
            EXPECT_TRUE(link.flits == 0 || link.flits == 5);
        }
    }
    EXPECT_EQ(inject, 7u);
    EXPECT_EQ(eject, 7u);
    EXPECT_EQ(links, 2 * 2 * 4 * 3u); /* both ways, rows and columns */
    EXPECT_EQ(between, 5 * 6u);
    EXPECT_EQ(ts_noc_stats(rig.noc)->flit_hops, eject + between);
}

/* A flit that waits for nothing lies in each router's buffer for its route and its channel; a tail
 * comes a cycle after its head and leaves a cycle after it. */
TEST(Noc, RoutersSayWhatTheyBuffer)
{
    const ts_noc_params p = p4();
    Rig rig("mesh", 16, p);
    const uint64_t first = 2, stays = p.rc + p.va;

    ASSERT_EQ(ts_noc_router_count(rig.noc), 16u);
    rig.send(0, 0, 3, 2);
    for (uint64_t cycle = 0; cycle < 40; cycle++) {
        rig.run(cycle + 1); /* all up to this one are done */
        for (uint32_t r = 0; r < 16; r++) {
            const uint64_t head = first + r * hop_cycles(p), tail = head + 1;
            const uint64_t expected = r > 3 ? 0
                                            : (cycle >= head && cycle < head + stays) +
                                                  (cycle >= tail && cycle < tail + stays);

            ASSERT_EQ(ts_noc_buffered(rig.noc, r), expected)
                << "router " << r << " cycle " << cycle;
        }
    }
}

TEST(Noc, StatisticsBeginAnewInTheMiddle)
{
    ts_noc_params p = p4();

    p.classes = 2;
    p.multicast = TS_NOC_TREE;
    Rig rig("mesh", 16, p);
    rig.send(0, 0, 15, 8, 1);
    rig.multicast(0, 3, {0, 5, 10, 15}, 4, 0);
    EXPECT_EQ(ts_noc_stats(rig.noc)->packets_sent, 5u);
    EXPECT_EQ(ts_noc_stats(rig.noc)->flits_sent, 12u);
    for (uint64_t cycle = 1; cycle < 60; cycle++) {
        rig.run(cycle);
        ts_noc_reset_stats(rig.noc);
        rig.check();
        EXPECT_EQ(ts_noc_pending(rig.noc), 5 - rig.delivered.size());
        EXPECT_EQ(ts_noc_stats(rig.noc)->packets_sent, 0u);
    }
    EXPECT_EQ(rig.delivered.size(), 5u);
    rig.send(rig.now, 1, 2, 3, 1);
    rig.drain();
    EXPECT_EQ(ts_noc_stats(rig.noc)->packets_delivered, 1u);
    EXPECT_EQ(ts_noc_stats(rig.noc)->flit_hops, 3 * 2u);
    EXPECT_EQ(ts_noc_class_stats(rig.noc, 0)->packets_sent, 0u);
    EXPECT_EQ(ts_noc_class_stats(rig.noc, 1)->packets_sent, 1u);
    EXPECT_EQ(ts_noc_class_stats(rig.noc, 1)->packets_delivered, 1u);
    EXPECT_EQ(ts_noc_class_stats(rig.noc, 1)->flits_delivered, 3u);
}

/* A tree crosses every link once: on the mesh one broadcast has one flit on each of the nodes - 1
 * links of a spanning tree, and one to each node. */
TEST(Noc, ATreeCrossesEachLinkOnce)
{
    for (ts_noc_multicast_kind how : {TS_NOC_REPEATED, TS_NOC_TREE}) {
        ts_noc_params p = p4();
        std::vector<uint32_t> all;
        uint64_t hops = 0;

        p.multicast = how;
        Rig rig("mesh", 64, p);
        for (uint32_t i = 0; i < 64; i++) {
            all.push_back(i);
            hops += ts_noc_routers(rig.noc, 27, i);
        }
        rig.multicast(0, 27, all, 3);
        rig.drain();
        const auto *s = ts_noc_stats(rig.noc);
        bool tree = how == TS_NOC_TREE;
        EXPECT_EQ(s->flit_hops, 3 * (tree ? 63 + 64 : hops));
        EXPECT_EQ(s->flits_sent, 3 * (tree ? 1 : 64u));
        EXPECT_EQ(s->flits_copied, 3 * (tree ? 63 : 0u));
        EXPECT_EQ(s->flits_delivered, 3 * 64u);
        EXPECT_EQ(s->packets_sent, 64u);
        EXPECT_EQ(s->packets_delivered, 64u);
    }
}

/* Hop by hop: the heads' cycles add up to the latency. */
TEST(Noc, TraceSaysWhereTheTimeGoes)
{
    struct Hop {
        uint64_t cookie;
        uint32_t router;
        uint64_t cycle;
    };
    for (ts_noc_params p : {p4(), p2spec()}) {
        std::vector<Hop> hops;
        uint64_t first = 2 + p.rc + (p.speculative ? 0 : p.va);

        p.multicast = TS_NOC_TREE;
        Rig rig("mesh", 8, p); /* four in a row */
        ts_noc_trace(
            rig.noc,
            [](void *user, uint64_t cookie, uint32_t router, uint32_t, uint64_t cycle) {
                static_cast<std::vector<Hop> *>(user)->push_back({cookie, router, cycle});
            },
            &hops);
        uint64_t cookie = rig.send(0, 0, 3, 5);
        rig.drain();
        ASSERT_EQ(hops.size(), 4u);
        for (uint32_t i = 0; i < 4; i++) {
            EXPECT_EQ(hops[i].cookie, cookie);
            EXPECT_EQ(hops[i].router, i);
            EXPECT_EQ(hops[i].cycle, first + i * hop_cycles(p));
        }
        hops.clear();
        rig.multicast(1000, 1, {0, 1, 2}, 5);
        rig.drain();
        ASSERT_EQ(hops.size(), 5u); /* three ways out of router 1, then one each */
        for (uint32_t i = 0; i < 5; i++)
            EXPECT_EQ(hops[i].cycle, 1000 + first + (i < 3 ? 0 : hop_cycles(p)));
        ts_noc_trace(rig.noc, nullptr, nullptr);
        rig.send(rig.now, 0, 3, 1);
        rig.drain();
        EXPECT_EQ(hops.size(), 5u);
    }
}
