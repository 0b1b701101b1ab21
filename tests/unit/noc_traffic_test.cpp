/* SPDX-License-Identifier: Apache-2.0 */
/* The study noc_traffic: its patterns, its load, its measurement, and what it refuses. */
#include "models/study/noc_traffic.h"
#include "models/study/study.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

extern "C" const struct ts_study_ops ts_study_noc_traffic;

namespace
{

const ts_study_ops &study()
{
    return ts_study_noc_traffic;
}

ts_traffic_params defaults()
{
    ts_traffic_params p{};

    EXPECT_EQ(study().params_size, sizeof p);
    ts_param_defaults(study().params, &p);
    p.warmup_cycles = 500;
    p.measured_cycles = 3000;
    return p;
}

struct Result {
    ts_traffic_stats s{};
    struct ts_noc_stats noc {
    };
};

Result simulate(const ts_traffic_params &p, uint64_t seed = 1)
{
    Result r;
    ts_error err{};

    EXPECT_EQ(ts_traffic_run(&p, seed, &r.s, &r.noc, &err), TS_OK) << err.message;
    EXPECT_EQ(ts_stat_check(study().stats, &r.s, &err), TS_OK) << err.message;
    EXPECT_EQ(r.s.measured, r.s.delivered);
    EXPECT_EQ(r.noc.packets_sent, r.noc.packets_delivered);
    return r;
}

double per(uint64_t a, uint64_t b)
{
    return static_cast<double>(a) / static_cast<double>(b);
}

std::string refused(const ts_traffic_params &p)
{
    ts_error err{};

    EXPECT_EQ(study().check(nullptr, &p, &err), TS_ERR_USER);
    return err.message;
}

uint64_t fabric(const char *name)
{
    for (uint64_t i = 0; i < ts_fabric_table_count; i++)
        if (std::strcmp(ts_fabric_table[i]->name, name) == 0)
            return i;
    ADD_FAILURE() << name;
    return 0;
}

} // namespace

TEST(NocTraffic, DefaultsAreTheMeshOfTheReference)
{
    ts_traffic_params p{};
    ts_error err{};

    ts_param_defaults(study().params, &p);
    EXPECT_EQ(p.nodes, 64u);
    EXPECT_EQ(p.fabric, fabric("mesh"));
    EXPECT_EQ(study().check(nullptr, &p, &err), TS_OK) << err.message;
    p.fabric = fabric("ideal");
    EXPECT_NE(refused(p).find("noc_traffic.fabric is ideal"), std::string::npos);
}

/* Bernoulli: the count of packets is binomial, within five standard deviations of its mean. */
TEST(NocTraffic, OffersTheLoadItIsTold)
{
    for (uint64_t ppm : {1000u, 100000u, 330000u})
        for (uint64_t flits : {1u, 5u}) {
            ts_traffic_params p = defaults();

            p.load_ppm = ppm;
            p.packet_flits = flits;
            p.measured_cycles = 10000;
            ts_traffic_stats s = simulate(p).s;
            double draws = 64 * 10000.0, chance = per(ppm, 1000000 * flits);
            EXPECT_NEAR(static_cast<double>(s.measured), draws * chance,
                        5 * std::sqrt(draws * chance * (1 - chance)));
            EXPECT_EQ(s.offered_flits, s.measured * flits);
            EXPECT_EQ(s.node_cycles, 640000u);
            EXPECT_EQ(s.saturated, 0u);
        }
}

TEST(NocTraffic, NoLoadIsNoWork)
{
    ts_traffic_params p = defaults();

    p.load_ppm = 0;
    Result r = simulate(p);
    EXPECT_EQ(r.s.measured, 0u);
    EXPECT_EQ(r.noc.flit_hops, 0u);
    EXPECT_EQ(r.s.saturated, 0u);
}

/* Mean routers on the way of every pattern, by its formula. */
TEST(NocTraffic, PatternsGoWhereTheyShould)
{
    struct Case {
        ts_traffic_pattern pattern;
        double routers, tolerance;
    };
    /* 8x8, two dimensions of k = 8: uniform with itself 1 + 2 (k - 1/k) / 3; bit complement
     * 1 + 2 k / 2; transpose: 1 + 2 * mean |x - y| = 1 + 2 (k - 1/k) / 3. Neighbour: 56 of 64 nodes
     * one hop, 7 to the next row (8 hops), the last to the first (14). All nodes send alike often,
     * but at random. */
    double uniform = 1 + 2 * (8 - 1.0 / 8) / 3;
    for (const Case &c :
         {Case{TS_TRAFFIC_UNIFORM, uniform, 0.05}, Case{TS_TRAFFIC_TRANSPOSE, uniform, 0.05},
          Case{TS_TRAFFIC_BIT_COMPLEMENT, 9, 0.05},
          Case{TS_TRAFFIC_NEIGHBOUR, 1 + (56 + 7 * 8 + 14) / 64.0, 0.05}}) {
        ts_traffic_params p = defaults();

        p.traffic = static_cast<uint64_t>(c.pattern);
        p.load_ppm = 50000;
        p.measured_cycles = 10000;
        ts_traffic_stats s = simulate(p).s;
        EXPECT_NEAR(per(s.routers, s.delivered), c.routers, c.tolerance * c.routers) << c.pattern;
    }
}

TEST(NocTraffic, TheHotspotTakesItsShareAndNoMoreThanItsLink)
{
    ts_traffic_params p = defaults();

    p.traffic = TS_TRAFFIC_HOTSPOT;
    p.hotspot_node = 27;
    p.hotspot_permille = 500;
    p.load_ppm = 20000;
    p.measured_cycles = 10000;
    ts_traffic_stats s = simulate(p).s;
    /* Its share, and that of uniform traffic, of 64 nodes' flits. */
    double share = 64 * 0.02 * (0.5 + 0.5 / 64);
    EXPECT_NEAR(per(s.busiest_link_flits, s.window_cycles), share, 0.05);
    EXPECT_EQ(s.saturated, 0u);
    p.load_ppm = 100000;
    s = simulate(p).s;
    EXPECT_EQ(s.saturated, 1u);
    EXPECT_LE(s.busiest_link_flits, s.window_cycles);
    EXPECT_GE(s.busiest_link_flits, s.window_cycles * 98 / 100);
}

TEST(NocTraffic, SaturationIsReportedAndEnds)
{
    ts_traffic_params p = defaults();

    p.load_ppm = 800000;
    ts_traffic_stats s = simulate(p).s;
    EXPECT_EQ(s.saturated, 1u);
    EXPECT_LT(s.accepted_flits, s.offered_flits * 7 / 10);
    /* By each of the signs. */
    p.drain_cycles = 0;
    p.latency_limit = 1000000;
    s = simulate(p).s;
    EXPECT_EQ(s.saturated, 1u);
    EXPECT_GT(s.late, 0u);
    EXPECT_EQ(s.refused, 0u);
    p.drain_cycles = 100000;
    p.source_queue = 10;
    s = simulate(p).s;
    EXPECT_EQ(s.saturated, 1u);
    EXPECT_GT(s.refused, 0u);
    EXPECT_EQ(s.late, 0u);
    EXPECT_EQ(s.offered_flits, s.measured + s.refused);
}

TEST(NocTraffic, LatencyIsSplitAtTheInjection)
{
    ts_traffic_params p = defaults();

    p.load_ppm = 380000;
    p.packet_flits = 5;
    ts_traffic_stats s = simulate(p).s;
    EXPECT_GT(s.latency_cycles, s.network_cycles);
    EXPECT_GE(s.min_latency, 11u); /* one router */
    EXPECT_GE(s.max_latency * s.delivered, s.latency_cycles);
}

TEST(NocTraffic, SeedsDifferAndRepeat)
{
    ts_traffic_params p = defaults();
    Result a = simulate(p, 1), b = simulate(p, 1), c = simulate(p, 2);

    EXPECT_EQ(std::memcmp(&a.s, &b.s, sizeof a.s), 0);
    EXPECT_NE(a.s.latency_cycles, c.s.latency_cycles);
}

TEST(NocTraffic, BroadcastsAsTreesCostFewerHops)
{
    ts_traffic_params p = defaults();

    p.nodes = 16;
    p.broadcast_permille = 200;
    p.load_ppm = 20000;
    p.multicast = TS_NOC_TREE;
    Result tree = simulate(p);
    p.multicast = TS_NOC_REPEATED;
    Result repeated = simulate(p);

    EXPECT_EQ(tree.s.measured, repeated.s.measured);
    EXPECT_EQ(tree.s.offered_flits, tree.s.measured);
    EXPECT_GT(tree.noc.flits_copied, 0u);
    EXPECT_EQ(repeated.noc.flits_copied, 0u);
    EXPECT_LT(tree.s.flit_hops, repeated.s.flit_hops);
    EXPECT_LT(tree.s.latency_cycles, repeated.s.latency_cycles);
    EXPECT_EQ(tree.s.saturated, 0u);
}

TEST(NocTraffic, EveryFabricCarriesIt)
{
    for (const char *name : {"chiplet", "crossbar", "mesh", "ring", "torus"}) {
        ts_traffic_params p = defaults();

        p.nodes = 16;
        p.fabric = fabric(name);
        p.load_ppm = 50000;
        ts_traffic_stats s = simulate(p).s;
        EXPECT_EQ(s.saturated, 0u) << name;
        EXPECT_GT(s.delivered, 0u) << name;
    }
}

TEST(NocTraffic, RefusesWhatItCannotDo)
{
    ts_traffic_params p = defaults();

    p.nodes = 60;
    p.traffic = TS_TRAFFIC_TRANSPOSE;
    EXPECT_NE(refused(p).find("needs a square"), std::string::npos);
    p = defaults();
    p.traffic = TS_TRAFFIC_HOTSPOT;
    p.hotspot_node = 64;
    EXPECT_NE(refused(p).find("noc_traffic.hotspot_node is 64"), std::string::npos);
    p = defaults();
    p.broadcast_permille = 1;
    p.packet_flits = 9;
    EXPECT_NE(refused(p).find("fits into a buffer"), std::string::npos);
    p = defaults();
    p.fabric = fabric("torus");
    p.vcs = 3;
    EXPECT_NE(refused(p).find("must be even"), std::string::npos);
    p = defaults();
    p.fabric = fabric("crossbar");
    p.nodes = 65;
    EXPECT_NE(refused(p).find("65 ports"), std::string::npos);
}

TEST(NocTraffic, TheStudyShowsTheNetworksOwnStatistics)
{
    ts_traffic_params p = defaults();
    ts_traffic_stats s{};
    ts_study_input in{nullptr, &p, nullptr, 1};
    ts_error err{};
    std::string groups;

    ASSERT_EQ(study().stats_size, sizeof s);
    ASSERT_EQ(study().run(
                  &in, &s,
                  [](void *user, const ts_stat_table *table, const void *base) {
                      ts_error e{};
                      *static_cast<std::string *>(user) += table->group;
                      EXPECT_EQ(ts_stat_check(table, base, &e), TS_OK) << e.message;
                  },
                  &groups, &err),
              TS_OK)
        << err.message;
    EXPECT_EQ(groups, "noc");
    EXPECT_GT(s.delivered, 0u);
    EXPECT_FALSE(study().needs_workload);
    for (size_t i = 0; i < study().ncolumns; i++)
        for (const char *key : {study().columns[i].numerator, study().columns[i].denominator}) {
            bool found = key == nullptr;

            for (size_t r = 0; r < study().stats->nrows; r++)
                found = found || std::strcmp(study().stats->rows[r].name, key) == 0;
            EXPECT_TRUE(found) << study().columns[i].name;
        }
}
