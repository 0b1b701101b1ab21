/* SPDX-License-Identifier: Apache-2.0 */
/* The network of routers against BookSim2's figures for an 8x8 mesh (tests/data/noc). */
#include "models/interconnect/fabric_table.h"
#include "models/study/noc_traffic.h"
#include "source_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace
{

#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kShare = 2; /* windows are so many times shorter; bounds are the same */
#else
constexpr uint64_t kShare = 1;
#endif

struct Row {
    std::string router;
    uint64_t flits = 0, load_ppm = 0;
    double accepted = 0, latency = 0, network = 0, routers = 0;
    uint64_t min = 0;
    bool stable = false;

    std::string name() const
    {
        return router + " flits " + std::to_string(flits) + " load_ppm " + std::to_string(load_ppm);
    }
};

std::vector<Row> reference()
{
    std::ifstream file(std::string(TS_SOURCE_DIR) + "/tests/data/noc/mesh_8x8.csv");
    std::vector<Row> rows;
    std::map<std::string, size_t> column;
    std::string line, cell;

    std::getline(file, line);
    std::istringstream head(line);
    for (size_t i = 0; std::getline(head, cell, ','); i++)
        column[cell] = i;
    while (std::getline(file, line)) {
        std::istringstream cells(line);
        std::vector<std::string> v;
        Row r;

        while (std::getline(cells, cell, ','))
            v.push_back(cell);
        auto number = [&](const char *key) {
            const std::string &text = v.at(column.at(key));
            return text.empty() ? 0 : std::stod(text);
        };
        r.router = v.at(column.at("router"));
        r.flits = static_cast<uint64_t>(number("packet_flits"));
        r.load_ppm = static_cast<uint64_t>(number("offered_flits_node_cycle") * 1e6 + 0.5);
        r.accepted = number("accepted_flits_node_cycle");
        r.latency = number("avg_packet_latency");
        r.network = number("avg_network_latency");
        r.routers = number("avg_routers_per_path");
        r.min = static_cast<uint64_t>(number("min_packet_latency"));
        r.stable = number("stable") != 0;
        EXPECT_EQ(number("num_vcs"), 4);
        EXPECT_EQ(number("vc_buf_flits"), 8);
        rows.push_back(r);
    }
    EXPECT_EQ(rows.size(), 54u);
    return rows;
}

ts_traffic_params params(const Row &r)
{
    ts_traffic_params p{};

    p.nodes = 64;
    p.fabric = TS_FABRIC_TABLE_MESH;
    p.traffic = TS_TRAFFIC_UNIFORM;
    p.load_ppm = r.load_ppm;
    p.packet_flits = r.flits;
    p.router = r.router == "P4" ? TS_TRAFFIC_P4 : TS_TRAFFIC_P2SPEC;
    p.vcs = 4;
    p.depth = 8;
    p.link_cycles = p.credit_cycles = 1;
    p.drain_cycles = 20000;
    p.source_queue = 4096;
    p.latency_limit = 500;
    /* About as many packets at every load, so that the mean of few is sharp too. */
    p.warmup_cycles = 3000 / kShare;
    p.measured_cycles = std::min<uint64_t>(60000, std::max<uint64_t>(10000, 5000000000 * r.flits /
                                                                                r.load_ppm / 5)) /
                        kShare;
    return p;
}

ts_traffic_stats simulate(const ts_traffic_params &p)
{
    ts_traffic_stats s{};
    struct ts_noc_stats noc {
    };
    ts_error err{};

    EXPECT_EQ(ts_traffic_run(&p, 1, &s, &noc, &err), TS_OK) << err.message;
    EXPECT_EQ(noc.packets_sent, noc.packets_delivered);
    EXPECT_EQ(s.measured, s.delivered);
    return s;
}

double ratio(uint64_t a, uint64_t b)
{
    return static_cast<double>(a) / static_cast<double>(b);
}

} // namespace

TEST(NocReference, LatencyUpTo80PercentOfSaturation)
{
    std::vector<Row> rows = reference();
    std::map<std::pair<std::string, uint64_t>, double> saturation;
    size_t compared = 0;

    for (const Row &r : rows) {
        double &most = saturation[{r.router, r.flits}];
        most = std::max(most, r.accepted);
    }
    ASSERT_EQ(saturation.size(), 4u);
    for (const Row &r : rows) {
        if (static_cast<double>(r.load_ppm) > 0.8e6 * saturation[{r.router, r.flits}])
            continue;
        SCOPED_TRACE(r.name());
        ts_traffic_stats s = simulate(params(r));

        ASSERT_TRUE(r.stable);
        EXPECT_EQ(s.saturated, 0u);
        EXPECT_EQ(s.late, 0u);
        EXPECT_NEAR(ratio(s.latency_cycles, s.delivered), r.latency, 0.02 * r.latency);
        EXPECT_NEAR(ratio(s.network_cycles, s.delivered), r.network, 0.02 * r.network);
        EXPECT_NEAR(ratio(s.routers, s.delivered), r.routers, 0.02 * r.routers);
        EXPECT_NEAR(ratio(s.accepted_flits, s.node_cycles), r.accepted, 0.05 * r.accepted);
        EXPECT_EQ(s.min_latency, r.min);
        compared++;
    }
    EXPECT_GE(compared, 4 * 7u);
}

TEST(NocReference, SaturationThroughput)
{
    std::map<std::pair<std::string, uint64_t>, std::pair<double, double>> most; /* ours, theirs */

    for (const Row &r : reference()) {
        auto &m = most[{r.router, r.flits}];

        m.second = std::max(m.second, r.accepted);
        if (r.load_ppm < 400000)
            continue;
        ts_traffic_params p = params(r);

        p.drain_cycles = 0;
        ts_traffic_stats s = simulate(p);
        m.first = std::max(m.first, ratio(s.accepted_flits, s.node_cycles));
        EXPECT_TRUE(r.stable || s.saturated) << r.name();
    }
    for (const auto &[key, m] : most)
        EXPECT_NEAR(m.first, m.second, 0.03 * m.second) << key.first << " flits " << key.second;
}
