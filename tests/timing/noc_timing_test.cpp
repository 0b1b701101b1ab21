/* SPDX-License-Identifier: Apache-2.0 */
/* The network of routers, to the cycle: every stage and link, credits, who wins a conflict, and
 * what waits for whom. */
#include "tests/support/noc_rig.hpp"

#include <algorithm>
#include <string>
#include <tuple>

namespace
{

using noc_rig::hop_cycles;
using noc_rig::p2spec;
using noc_rig::p4;
using noc_rig::Rig;

std::string name(const ts_noc_params &p)
{
    return "rc " + std::to_string(p.rc) + " va " + std::to_string(p.va) + " st " +
           std::to_string(p.st) + " link " + std::to_string(p.link) + " credit " +
           std::to_string(p.credit) + " vcs " + std::to_string(p.vcs) + " depth " +
           std::to_string(p.depth) + (p.speculative ? " speculative" : "");
}

/* Every combination of stages. */
std::vector<ts_noc_params> pipelines()
{
    std::vector<ts_noc_params> list;

    for (uint32_t rc = 0; rc <= 2; rc++)
        for (uint32_t va = 0; va <= 2; va++) /* 0: speculative */
            for (uint32_t st = 0; st <= 2; st++)
                for (uint32_t link = 1; link <= 3; link++) {
                    ts_noc_params p = p4();

                    p.rc = rc;
                    p.speculative = va == 0;
                    p.va = std::max(va, 1u);
                    p.st = st;
                    p.link = link;
                    p.credit = 1 + link % 2;
                    p.packets = 64;
                    list.push_back(p);
                }
    return list;
}

/* Cycles between a flit's winning the switch and the use of its credit by a flit that wins it. */
uint64_t credit_loop(const ts_noc_params &p)
{
    return (1 + p.st + p.link) + (1 + p.link + p.credit);
}

/* A packet that is alone, flit by flit: [i][k] is the cycle in which flit k is injected (i = 0),
 * wins the switch of router i, or arrives (i = routers + 1). */
std::vector<std::vector<uint64_t>> schedule(const ts_noc_params &p, uint32_t routers,
                                            uint32_t flits)
{
    uint64_t move = 1 + p.st + p.link, front = p.rc + (p.speculative ? 0 : p.va);
    std::vector<std::vector<uint64_t>> s(routers + 2, std::vector<uint64_t>(flits));

    for (uint32_t k = 0; k < flits; k++) {
        for (uint32_t i = 0; i <= routers + 1; i++) {
            uint64_t at = 0;

            if (i > 0)
                at = s[i - 1][k] + (i == 1 ? 2 : move);
            if (i > 0 && i <= routers && k == 0)
                at += front;
            if (k > 0)
                at = std::max(at, s[i][k - 1] + 1);
            /* The credit of the flit that was depth places ahead. */
            if (i <= routers && k >= p.depth)
                at = std::max(at, s[i + 1][k - p.depth] + 1 + p.link + (i > 0 ? p.credit : 0));
            s[i][k] = at;
        }
    }
    return s;
}

uint64_t alone(const ts_noc_params &p, uint32_t routers, uint32_t flits)
{
    return schedule(p, routers, flits).back().back();
}

/* Row 0 of the 4x2 mesh is a line: nodes 0 to 3. */
constexpr uint32_t kLine = 8;

} // namespace

TEST(NocTiming, OneFlitThroughEveryPipeline)
{
    for (const ts_noc_params &p : pipelines()) {
        SCOPED_TRACE(name(p));
        for (uint32_t dst = 0; dst < 4; dst++) {
            Rig rig("mesh", kLine, p);
            uint64_t cookie = rig.send(10, 0, dst, 1);

            rig.now = 10;
            rig.expect_exactly_at(cookie, dst, 10 + (dst + 1) * hop_cycles(p) + 2);
            EXPECT_EQ(ts_noc_zero_load(rig.noc, 0, dst, 1), (dst + 1) * hop_cycles(p) + 2);
            rig.drain();
        }
    }
}

TEST(NocTiming, BodyFlitsFollowOneACycle)
{
    for (const ts_noc_params &p : pipelines()) {
        SCOPED_TRACE(name(p));
        for (uint32_t flits : {2u, 5u, 8u}) {
            Rig rig("mesh", kLine, p);
            uint64_t cookie = rig.send(0, 0, 3, flits);

            /* The buffer of 8 holds them all. */
            rig.expect_exactly_at(cookie, 3, 4 * hop_cycles(p) + 2 + flits - 1);
            rig.drain();
            EXPECT_EQ(ts_noc_stats(rig.noc)->flit_hops, 4 * flits);
        }
    }
}

TEST(NocTiming, EveryPairOfEveryFabricAtZeroLoad)
{
    for (const char *fabric : {"mesh", "torus", "ring", "crossbar", "chiplet"})
        for (const ts_noc_params &p : {p4(), p2spec()})
            for (uint32_t nodes : {1u, 7u, 20u}) {
                SCOPED_TRACE(std::string(fabric) + " " + std::to_string(nodes) + " " + name(p));
                Rig rig(fabric, nodes, p);

                for (uint32_t src = 0; src < nodes; src++)
                    for (uint32_t dst = 0; dst < nodes; dst++) {
                        uint32_t flits = 1 + (src + dst) % 5;
                        uint64_t sent = rig.now + 7, cookie = rig.send(sent, src, dst, flits);

                        rig.drain();
                        ASSERT_EQ(rig.arrival(cookie, dst),
                                  sent + ts_noc_routers(rig.noc, src, dst) * hop_cycles(p) + 2 +
                                      flits - 1)
                            << src << " to " << dst;
                    }
            }
}

TEST(NocTiming, RoutersOnTheWay)
{
    auto routers = [](const char *fabric, uint32_t nodes, uint32_t src, uint32_t dst) {
        Rig rig(fabric, nodes, p4());
        return ts_noc_routers(rig.noc, src, dst);
    };

    EXPECT_EQ(routers("mesh", 64, 0, 63), 15u); /* 7 + 7 hops */
    EXPECT_EQ(routers("torus", 64, 0, 63), 3u); /* one hop round each way */
    EXPECT_EQ(routers("ring", 16, 0, 9), 8u);   /* 7 hops round */
    EXPECT_EQ(routers("crossbar", 16, 0, 9), 1u);
    EXPECT_EQ(routers("chiplet", 16, 0, 7), 1u); /* the same die */
    EXPECT_EQ(routers("chiplet", 16, 0, 8), 3u); /* die, I/O die, die */
}

TEST(NocTiming, CreditsOfShallowBuffers)
{
    for (const ts_noc_params &base : pipelines())
        for (uint32_t depth = 1; depth <= 3; depth++)
            for (uint32_t flits : {1u, 4u, 11u}) {
                ts_noc_params p = base;
                uint64_t loop = credit_loop(p), last = flits - 1;

                p.depth = depth;
                SCOPED_TRACE(name(p) + " flits " + std::to_string(flits));
                for (uint32_t dst : {0u, 3u}) {
                    Rig rig("mesh", kLine, p);
                    uint64_t cookie = rig.send(0, 0, dst, flits);

                    /* depth flits, then a wait for the first one's credit. The loop is 5 cycles at
                     * least, so that depth 3 never hides it. */
                    uint64_t closed =
                        (dst + 1) * hop_cycles(p) + 2 + last / depth * loop + last % depth;
                    EXPECT_EQ(alone(p, dst + 1, flits), closed);
                    rig.expect_exactly_at(cookie, dst, closed);
                    rig.drain();
                }
            }
}

TEST(NocTiming, CreditsOfAnyDepth)
{
    for (const ts_noc_params &base : pipelines())
        for (uint32_t depth : {4u, 6u, 9u, 13u}) {
            ts_noc_params p = base;

            p.depth = depth;
            SCOPED_TRACE(name(p));
            Rig rig("mesh", kLine, p);
            uint64_t cookie = rig.send(0, 0, 3, 40);

            rig.expect_exactly_at(cookie, 3, alone(p, 4, 40));
            rig.drain();
        }
}

/* Each link of the way carries each flit in its cycle: credits between routers show here, where
 * those of the destination do not hide them. */
TEST(NocTiming, EveryLinkCarriesItsFlitsInTheirCycles)
{
    for (const ts_noc_params &base : pipelines())
        for (uint32_t depth : {1u, 3u, 6u}) {
            ts_noc_params p = base;

            p.depth = depth;
            SCOPED_TRACE(name(p));
            auto s = schedule(p, 4, 12);
            Rig rig("mesh", kLine, p);
            std::vector<uint32_t> links(5, UINT32_MAX);

            rig.send(0, 0, 3, 12);
            for (uint32_t i = 0; i < ts_noc_links(rig.noc); i++) {
                struct ts_noc_link link;

                if (!ts_noc_link(rig.noc, i, &link))
                    continue;
                if (link.from_router == UINT32_MAX && link.node == 0)
                    links[0] = i;
                if (link.from_router < 3 && link.to_router == link.from_router + 1)
                    links[link.from_router + 1] = i;
                if (link.from_router == 3 && link.node == 3)
                    links[4] = i;
            }
            for (uint64_t cycle = 0; cycle <= s.back().back(); cycle++) {
                rig.run(cycle + 1);
                for (uint32_t i = 0; i < 5; i++) {
                    struct ts_noc_link link;

                    ts_noc_link(rig.noc, links[i], &link);
                    ASSERT_EQ(link.flits,
                              std::upper_bound(s[i].begin(), s[i].end(), cycle) - s[i].begin())
                        << "link " << i << " cycle " << cycle;
                }
            }
            rig.drain();
        }
}

/* One router, one virtual channel: the packet that has been allocated the output's channel sends;
 * the other is allocated it in the cycle after the tail. */
TEST(NocTiming, ChannelConflictIsResolvedRoundRobin)
{
    for (uint32_t va = 1; va <= 2; va++) {
        ts_noc_params p = p4();

        p.vcs = 1;
        p.va = va;
        Rig rig("crossbar", 4, p);
        uint64_t first = ts_noc_zero_load(rig.noc, 0, 3, 1);

        auto conflict = [&](uint32_t winner, uint32_t loser) {
            uint64_t sent = rig.now + 100;
            uint64_t w = rig.send(sent, winner, 3, 1), l = rig.send(sent, loser, 3, 1);

            rig.drain();
            EXPECT_EQ(rig.arrival(w, 3), sent + first);
            EXPECT_EQ(rig.arrival(l, 3), sent + first + va + 1);
        };
        conflict(0, 1); /* the pointer is at 0, then behind 1 */
        conflict(2, 0);
        conflict(1, 2);
        conflict(0, 2);
    }
}

TEST(NocTiming, ChannelConflictOfSpeculativeRouters)
{
    ts_noc_params p = p2spec();

    p.vcs = 1;
    Rig rig("crossbar", 4, p);
    uint64_t first = ts_noc_zero_load(rig.noc, 0, 3, 1);
    uint64_t a = rig.send(0, 0, 3, 1), b = rig.send(0, 1, 3, 1);

    /* Allocation and switch in one cycle: the other follows in the next. */
    rig.drain();
    EXPECT_EQ(rig.arrival(a, 3), first);
    EXPECT_EQ(rig.arrival(b, 3), first + 1);
}

/* Both ask for the output's first channel, so the second packet is allocated the other one a cycle
 * later, and from then on they take turns. */
TEST(NocTiming, SwitchConflictAlternates)
{
    for (uint32_t flits : {2u, 5u, 8u}) {
        ts_noc_params p = p4();

        p.vcs = 2;
        p.depth = 16;
        Rig rig("crossbar", 4, p);
        uint64_t head = ts_noc_zero_load(rig.noc, 0, 3, 1);
        uint64_t a = rig.send(0, 0, 3, flits), b = rig.send(0, 1, 3, flits);

        rig.drain();
        EXPECT_EQ(rig.arrival(a, 3), head + 2 * (flits - 1));
        EXPECT_EQ(rig.arrival(b, 3), head + 2 * (flits - 1) + 1);
    }
}

/* A flit that speculates gives way to one that has its channel already. */
TEST(NocTiming, SpeculationYieldsTheSwitch)
{
    ts_noc_params p = p2spec();

    p.vcs = 2;
    p.depth = 16;
    Rig rig("crossbar", 4, p);
    uint64_t a = rig.send(0, 0, 3, 4), b = rig.send(1, 1, 3, 1);

    rig.drain();
    /* b is allocated its channel with a's second flit in the switch, and sends a cycle later than
     * it would alone: a's third flit then waits for it. */
    EXPECT_EQ(rig.arrival(b, 3), 1 + ts_noc_zero_load(rig.noc, 1, 3, 1) + 1);
    EXPECT_EQ(rig.arrival(a, 3), ts_noc_zero_load(rig.noc, 0, 3, 4) + 1);
}

/* A packet holds a channel from its head's allocation until its tail has left for it. */
TEST(NocTiming, AWormHoldsItsChannel)
{
    for (uint32_t flits : {6u, 12u}) {
        ts_noc_params p = p4();
        uint64_t move = 1 + p.st + p.link;

        p.vcs = 1;
        p.depth = 16;
        Rig rig("mesh", kLine, p);
        uint64_t a = rig.send(0, 0, 3, flits);
        /* a's head wins the switch of router 1 here. */
        uint64_t won = 2 + hop_cycles(p) + p.rc + p.va;
        uint64_t b = rig.send(won, 1, 2, 1);

        rig.drain();
        EXPECT_EQ(rig.arrival(a, 3), ts_noc_zero_load(rig.noc, 0, 3, flits));
        /* b leaves router 1 behind a's tail, and is at the front in router 2 in the cycle after the
         * tail has left that one too. */
        EXPECT_EQ(rig.arrival(b, 2), won + hop_cycles(p) + flits + p.rc + p.va + move);
    }
    /* With a channel of its own it slips in between. */
    ts_noc_params p = p4();

    p.depth = 16;
    Rig rig("mesh", kLine, p);
    uint64_t won = 2 + hop_cycles(p) + p.rc + p.va;
    uint64_t a = rig.send(0, 0, 3, 12), b = rig.send(won, 1, 2, 1);

    rig.drain();
    EXPECT_LE(rig.arrival(b, 2), won + ts_noc_zero_load(rig.noc, 1, 2, 1) + 1);
    /* The gap closes while a's head waits for its route in router 2. */
    EXPECT_EQ(rig.arrival(a, 3), ts_noc_zero_load(rig.noc, 0, 3, 12));
}

/* A packet behind another in one buffer waits for it, though its own output is free. */
TEST(NocTiming, TheHeadOfALineBlocksIt)
{
    ts_noc_params p = p4();

    p.vcs = 1;
    p.depth = 4;
    Rig rig("mesh", kLine, p);
    uint64_t jam = rig.send(0, 3, 3, 60); /* node 3's way out is taken */
    uint64_t a = rig.send(1, 2, 3, 4), b = rig.send(1, 2, 2, 1);

    rig.drain();
    /* a's flits fill the buffer of router 3, and b is in router 2 behind them: not blocked. */
    EXPECT_LT(rig.arrival(b, 2), rig.arrival(jam, 3));
    EXPECT_GT(rig.arrival(a, 3), rig.arrival(jam, 3));

    Rig full("mesh", kLine, p);
    jam = full.send(0, 3, 3, 60);
    a = full.send(1, 2, 3, 9);
    b = full.send(1, 2, 2, 1);
    full.drain();
    /* Four of a's flits are in router 3, four in router 2, one in its source, and b behind it. */
    EXPECT_GT(full.arrival(b, 2), full.arrival(jam, 3));
}

TEST(NocTiming, ClassesDoNotWaitForEachOther)
{
    ts_noc_params p = p4();

    p.classes = 2;
    p.vcs = 1;
    p.depth = 4;
    Rig rig("mesh", kLine, p);
    uint64_t jam = rig.send(0, 3, 3, 60, 0);

    (void)rig.send(1, 2, 3, 20, 0);
    uint64_t other = rig.send(1, 2, 3, 1, 1);
    rig.drain();
    /* It shares links with the others, no buffer: a cycle for each of the four it may meet. */
    EXPECT_LE(rig.arrival(other, 3), 1 + ts_noc_zero_load(rig.noc, 2, 3, 1) + 4);
    EXPECT_LT(rig.arrival(other, 3), rig.arrival(jam, 3));
}

/* At the source flit by flit, and in the router for the output that they share with a third. */
TEST(NocTiming, ClassesOfANodeTakeTurns)
{
    for (bool rival : {false, true}) {
        ts_noc_params p = p4();

        p.classes = 3;
        p.vcs = 1;
        p.depth = 32;
        Rig rig("crossbar", 4, p);
        if (rival)
            rig.send(0, 1, 3, 100, 2);
        uint64_t a = rig.send(10, 0, 3, 12, 0), b = rig.send(10, 0, 3, 12, 1);

        rig.drain();
        uint64_t slot = rival ? 2 : 1; /* cycles between flits of the node */
        EXPECT_EQ(rig.arrival(b, 3), rig.arrival(a, 3) + slot);
        if (!rival) {
            EXPECT_EQ(rig.arrival(a, 3), 10 + ts_noc_zero_load(rig.noc, 0, 3, 1) + 2 * (12 - 1));
        }
    }
}

TEST(NocTiming, TreeReachesEveryNodeAtItsUnicastTime)
{
    for (const char *fabric : {"mesh", "torus", "ring", "crossbar", "chiplet"})
        for (ts_noc_params p : {p4(), p2spec()})
            for (uint32_t nodes : {2u, 9u, 20u})
                for (uint32_t flits : {1u, 5u, 8u}) {
                    p.multicast = TS_NOC_TREE;
                    SCOPED_TRACE(std::string(fabric) + " " + std::to_string(nodes) + " flits " +
                                 std::to_string(flits) + " " + name(p));
                    std::vector<uint32_t> all;

                    for (uint32_t i = 0; i < nodes; i++)
                        all.push_back(nodes - 1 - i);
                    for (uint32_t src : {0u, nodes / 2, nodes - 1}) {
                        Rig rig(fabric, nodes, p);
                        uint64_t cookie = rig.multicast(5, src, all, flits);

                        rig.drain();
                        ASSERT_EQ(rig.delivered.size(), nodes);
                        for (uint32_t dst = 0; dst < nodes; dst++)
                            ASSERT_EQ(rig.arrival(cookie, dst),
                                      5 + ts_noc_zero_load(rig.noc, src, dst, flits))
                                << src << " to " << dst;
                    }
                }
}

TEST(NocTiming, TreeOfEveryPipeline)
{
    for (ts_noc_params p : pipelines()) {
        p.multicast = TS_NOC_TREE;
        SCOPED_TRACE(name(p));
        Rig rig("mesh", kLine, p);
        uint64_t cookie = rig.multicast(3, 1, {0, 1, 3, 6}, 4);

        for (uint32_t dst : {1u, 0u, 3u}) /* in the order of their distance */
            rig.expect_exactly_at(cookie, dst,
                                  3 + ts_noc_routers(rig.noc, 1, dst) * hop_cycles(p) + 2 + 3);
        rig.drain();
        EXPECT_EQ(rig.arrival(cookie, 6), rig.arrival(cookie, 3));
    }
}

/* An input reads one flit a cycle. A branch that was held up sends others of the packet's flits
 * than the one ahead of it, so that they take turns: all reads follow each other without a gap. */
TEST(NocTiming, BranchesOutOfStepShareTheInput)
{
    for (uint32_t jam : {4u, 6u, 8u}) {
        ts_noc_params p = p4();

        p.vcs = 1;
        p.multicast = TS_NOC_TREE;
        Rig rig("crossbar", 4, p);
        uint64_t first = rig.send(0, 1, 3, jam), cookie = rig.multicast(1, 0, {2, 3}, 8);
        uint64_t head = 1 + ts_noc_zero_load(rig.noc, 0, 2, 1);

        rig.drain();
        EXPECT_EQ(rig.arrival(first, 3), ts_noc_zero_load(rig.noc, 1, 3, jam));
        EXPECT_EQ(std::max(rig.arrival(cookie, 2), rig.arrival(cookie, 3)), head + 16 - 1);
        EXPECT_LT(rig.arrival(cookie, 2), rig.arrival(cookie, 3));
    }
    /* In step they read together. */
    ts_noc_params p = p4();

    p.multicast = TS_NOC_TREE;
    Rig rig("crossbar", 4, p);
    uint64_t cookie = rig.multicast(0, 0, {1, 2, 3}, 8);

    rig.drain();
    for (uint32_t dst = 1; dst < 4; dst++)
        EXPECT_EQ(rig.arrival(cookie, dst), ts_noc_zero_load(rig.noc, 0, dst, 8));
}

TEST(NocTimingDeathTest, ATreesPacketFitsIntoABuffer)
{
    ts_noc_params p = p4();

    p.multicast = TS_NOC_TREE;
    Rig rig("mesh", 4, p);
    EXPECT_DEATH(rig.multicast(0, 0, {1, 2}, 9), "flits <= noc->params.depth");
}

/* The k-th packet is injected behind the k - 1 before it. They are at least as long as a head waits
 * in a router, so that it never comes into a buffer behind another. */
TEST(NocTiming, RepeatedUnicastsFollowEachOther)
{
    for (ts_noc_params p : {p4(), p2spec()})
        for (uint32_t flits : {1u, 3u, 5u}) {
            if (flits < hop_cycles(p) - p.st - p.link)
                continue;
            SCOPED_TRACE(name(p) + " flits " + std::to_string(flits));
            p.multicast = TS_NOC_REPEATED;
            p.vcs = 8;
            p.depth = 16;
            Rig rig("mesh", 64, p);
            std::vector<uint32_t> to;

            for (uint32_t i = 0; i < 64; i++)
                to.push_back(i * 5 % 64);
            uint64_t cookie = rig.multicast(0, 9, to, flits);
            rig.drain();
            for (uint32_t k = 0; k < 64; k++)
                ASSERT_EQ(rig.arrival(cookie, to[k]),
                          k * flits + ts_noc_zero_load(rig.noc, 9, to[k], flits))
                    << k;
        }
}

TEST(NocTiming, AnIdleNetworkTakesNoSteps)
{
    Rig rig("mesh", 64, p4());

    EXPECT_EQ(ts_noc_next(rig.noc, 1000), TS_NOC_NEVER);
    rig.send(1000000, 0, 0, 1);
    EXPECT_EQ(ts_noc_next(rig.noc, 1000000), 1000000u);
    rig.now = 1000000;
    rig.drain();
    /* Injection; arrival and, with one cycle each, route, channel, switch; delivery; the two
     * credits. Cycles in which the flit is only on its way take no step. */
    EXPECT_LE(ts_noc_stats(rig.noc)->steps, 8u);
    EXPECT_EQ(ts_noc_next(rig.noc, rig.now), TS_NOC_NEVER);
}
