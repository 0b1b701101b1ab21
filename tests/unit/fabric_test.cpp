/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interconnect/fabric.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace
{

const ts_fabric_ops *fabric(const char *name)
{
    const ts_fabric_ops *f = ts_fabric_find(name);

    EXPECT_NE(f, nullptr) << name;
    return f;
}

/* Nodes passed from src to dst, both included; empty if the route goes wrong. */
std::vector<uint32_t> path(const ts_fabric_ops *f, uint32_t n, uint32_t src, uint32_t dst)
{
    std::vector<uint32_t> nodes{src};

    while (nodes.back() != dst) {
        uint32_t next = UINT32_MAX;
        uint32_t port = f->route(n, nodes.back(), dst, &next);

        if (next >= n || next == nodes.back() || port >= f->ports(n) || nodes.size() > n)
            return {};
        nodes.push_back(next);
    }
    return nodes;
}

uint32_t hops(const ts_fabric_ops *f, uint32_t n, uint32_t src, uint32_t dst)
{
    return static_cast<uint32_t>(path(f, n, src, dst).size()) - 1;
}

/* Width of the mesh, seen from outside: the neighbour to the south of node 0. */
uint32_t mesh_width(uint32_t n)
{
    uint32_t next = 0;

    if (n == 1)
        return 1;
    for (uint32_t x = 1; x < n; x++) {
        fabric("mesh")->route(n, 0, x, &next);
        if (next != 1)
            return x;
    }
    return n;
}

/* Does the graph of "a message that holds channel a waits for channel b" have a cycle? halves: the
 * channels of each port are two, and the fabric says which a hop takes. */
bool waits_in_a_circle(const ts_fabric_ops *f, uint32_t n, bool halves = false)
{
    uint32_t ports = f->ports(n) * (halves ? 2 : 1);
    std::vector<std::vector<bool>> waits(n * ports, std::vector<bool>(n * ports, false));
    std::vector<int> state(n * ports, 0);

    for (uint32_t src = 0; src < n; src++) {
        for (uint32_t dst = 0; dst < n; dst++) {
            uint32_t at = src, held = UINT32_MAX;

            while (at != dst) {
                uint32_t next = 0;
                uint32_t channel = at * ports + f->route(n, at, dst, &next) * (halves ? 2 : 1);

                if (halves)
                    channel += f->channel_half(n, at, dst) - 1;
                if (held != UINT32_MAX)
                    waits[held][channel] = true;
                held = channel;
                at = next;
            }
        }
    }
    std::function<bool(uint32_t)> visit = [&](uint32_t c) {
        if (state[c] != 0)
            return state[c] == 1;
        state[c] = 1;
        for (uint32_t next = 0; next < n * ports; next++)
            if (waits[c][next] && visit(next))
                return true;
        state[c] = 2;
        return false;
    };
    for (uint32_t c = 0; c < n * ports; c++)
        if (visit(c))
            return true;
    return false;
}

} // namespace

TEST(Fabric, TableIsSortedAndFound)
{
    ASSERT_GE(ts_fabric_table_count, 4u);
    for (size_t i = 0; i < ts_fabric_table_count; i++) {
        EXPECT_EQ(ts_fabric_find(ts_fabric_table[i]->name), ts_fabric_table[i]);
        EXPECT_GT(std::strlen(ts_fabric_table[i]->summary), 0u);
        EXPECT_GT(std::strlen(ts_fabric_table[i]->reference), 0u);
        if (i > 0) {
            EXPECT_LT(std::string(ts_fabric_table[i - 1]->name), ts_fabric_table[i]->name);
        }
    }
    EXPECT_EQ(ts_fabric_find("torus of nothing"), nullptr);
}

TEST(Fabric, EveryRouteArrivesOnEveryFabricOfEverySize)
{
    for (size_t i = 0; i < ts_fabric_table_count; i++) {
        const ts_fabric_ops *f = ts_fabric_table[i];

        for (uint32_t n = 1; n <= 40; n++) {
            EXPECT_LT(f->gateway(n), n) << f->name << " " << n;
            for (uint32_t src = 0; src < n; src++)
                for (uint32_t dst = 0; dst < n; dst++)
                    ASSERT_FALSE(path(f, n, src, dst).empty())
                        << f->name << " " << n << ": " << src << " to " << dst;
        }
    }
}

TEST(Fabric, LinksOfAPortLeadToOneNeighbour)
{
    for (const char *name : {"mesh", "ring"}) {
        const ts_fabric_ops *f = fabric(name);

        for (uint32_t n : {2u, 7u, 16u, 23u}) {
            std::vector<uint32_t> lead(n * f->ports(n), UINT32_MAX);

            for (uint32_t at = 0; at < n; at++) {
                for (uint32_t dst = 0; dst < n; dst++) {
                    uint32_t next = 0;

                    if (at == dst)
                        continue;
                    uint32_t &seen = lead[at * f->ports(n) + f->route(n, at, dst, &next)];
                    EXPECT_TRUE(seen == UINT32_MAX || seen == next) << name << " " << n;
                    seen = next;
                }
            }
        }
    }
}

TEST(Fabric, MeshIsNearlySquareAndRoutesAreShortest)
{
    const ts_fabric_ops *f = fabric("mesh");

    for (uint32_t n = 1; n <= 150; n++) {
        uint32_t w = mesh_width(n), h = (n + w - 1) / w;

        EXPECT_LE(w, 2 * h) << n;
        EXPECT_LE(h, w) << n;
        for (uint32_t src = 0; src < n; src += n / 20 + 1)
            for (uint32_t dst = 0; dst < n; dst++)
                ASSERT_EQ(hops(f, n, src, dst),
                          static_cast<uint32_t>(
                              std::abs(static_cast<int>(src % w) - static_cast<int>(dst % w)) +
                              std::abs(static_cast<int>(src / w) - static_cast<int>(dst / w))))
                    << n << ": " << src << " to " << dst;
    }
    EXPECT_EQ(mesh_width(64), 8u);
    EXPECT_EQ(mesh_width(32), 8u);
    EXPECT_EQ(mesh_width(28), 7u);
    EXPECT_EQ(mesh_width(16), 4u);
}

TEST(Fabric, MeshCannotDeadlockEvenWithAnIncompleteLastRow)
{
    for (uint32_t n : {4u, 9u, 11u, 13u, 17u, 19u, 23u, 26u})
        EXPECT_FALSE(waits_in_a_circle(fabric("mesh"), n)) << n;
    /* The check can fail: a ring without slots would deadlock. */
    EXPECT_TRUE(waits_in_a_circle(fabric("ring"), 8));
}

TEST(Fabric, HalvesOfTheChannelsBreakTheCyclesOfRingAndTorus)
{
    for (const char *name : {"ring", "torus"})
        for (uint32_t n : {3u, 4u, 5u, 8u, 9u, 12u, 16u, 20u, 25u}) {
            EXPECT_FALSE(waits_in_a_circle(fabric(name), n, true)) << name << " " << n;
            for (uint32_t src = 0; src < n; src++)
                for (uint32_t dst = 0; dst < n; dst++) {
                    if (src == dst)
                        continue;
                    uint32_t half = fabric(name)->channel_half(n, src, dst);
                    EXPECT_TRUE(half == 1 || half == 2);
                }
        }
    EXPECT_TRUE(waits_in_a_circle(fabric("torus"), 16));
}

TEST(Fabric, TorusGoesTheShorterWayRoundBothRings)
{
    const ts_fabric_ops *f = fabric("torus");

    for (uint32_t src = 0; src < 20; src++)
        for (uint32_t dst = 0; dst < 20; dst++) {
            uint32_t x = (dst % 5 + 5 - src % 5) % 5, y = (dst / 5 + 4 - src / 5) % 4;

            ASSERT_EQ(hops(f, 20, src, dst), std::min(x, 5 - x) + std::min(y, 4 - y))
                << src << " to " << dst;
        }
    /* A prime number of nodes is one ring. */
    EXPECT_EQ(hops(f, 13, 0, 6), 6u);
    EXPECT_EQ(hops(f, 13, 0, 7), 6u);
}

TEST(Fabric, ChipletsHaveAtMostEightCoresAndMeetInTheMiddle)
{
    const ts_fabric_ops *f = fabric("chiplet");

    for (uint32_t n = 1; n <= 200; n++) {
        uint32_t dies = (n + 7) / 8, most = 0;
        std::vector<uint32_t> on(dies, 0);

        EXPECT_EQ(f->routers(n), dies == 1 ? 1 : dies + 1);
        for (uint32_t i = 0; i < n; i++) {
            ASSERT_LT(f->router_of(n, i), dies);
            most = std::max(most, ++on[f->router_of(n, i)]);
        }
        EXPECT_LE(most, 8u);
        EXPECT_GT(*std::min_element(on.begin(), on.end()), 0u) << n;
        if (dies == 1)
            continue;
        for (uint32_t dst = 0; dst < n; dst++)
            for (uint32_t router = 0; router <= dies; router++) {
                uint32_t next = 0;

                if (router == f->router_of(n, dst))
                    continue;
                ASSERT_LT(f->router_route(n, router, dst, &next), f->router_ports(n));
                ASSERT_EQ(next, router == dies ? f->router_of(n, dst) : dies);
            }
    }
    /* Message by message: within a die, and by way of both dies' first nodes. */
    EXPECT_EQ(path(f, 32, 1, 7), (std::vector<uint32_t>{1, 7}));
    EXPECT_EQ(path(f, 32, 9, 31), (std::vector<uint32_t>{9, 8, 24, 31}));
    EXPECT_EQ(path(f, 32, 8, 24), (std::vector<uint32_t>{8, 24}));
    for (uint32_t n : {9u, 16u, 30u, 64u})
        EXPECT_FALSE(waits_in_a_circle(f, n)) << n;
}

TEST(Fabric, RingGoesTheShorterWayRound)
{
    for (uint32_t n = 2; n <= 20; n++)
        for (uint32_t src = 0; src < n; src++)
            for (uint32_t dst = 0; dst < n; dst++) {
                uint32_t up = (dst + n - src) % n;

                ASSERT_EQ(hops(fabric("ring"), n, src, dst), std::min(up, n - up));
            }
}

TEST(Fabric, CrossbarIsOneHop)
{
    for (uint32_t n = 2; n <= 20; n++)
        for (uint32_t dst = 1; dst < n; dst++)
            ASSERT_EQ(hops(fabric("crossbar"), n, 0, dst), 1u);
    EXPECT_FALSE(fabric("crossbar")->instant);
    EXPECT_TRUE(fabric("ideal")->instant);
}
