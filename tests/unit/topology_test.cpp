/* SPDX-License-Identifier: Apache-2.0 */
#include "models/topology/topology.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

namespace
{

ts_topology_params params(uint64_t sockets, uint64_t cores, uint64_t threads)
{
    ts_topology_params p{};

    ts_param_defaults(&ts_topology_param_table, &p);
    p.sockets = sockets;
    p.cores_per_socket = cores;
    p.threads_per_core = threads;
    return p;
}

uint32_t log2_up(uint64_t n)
{
    uint32_t bits = 0;

    while ((UINT64_C(1) << bits) < n)
        bits++;
    return bits;
}

class Shapes : public ::testing::TestWithParam<std::tuple<uint64_t, uint64_t, uint64_t>>
{
};

} // namespace

TEST_P(Shapes, NumbersFirstThreadsSocketBySocketThenSecondThreads)
{
    auto [sockets, cores, threads] = GetParam();
    auto p = params(sockets, cores, threads);
    ts_topology t{};
    ts_error err{};
    uint32_t cpu = 0;
    std::set<uint32_t> ids;

    ASSERT_EQ(ts_topology_init(&t, &p, &err), TS_OK) << err.message;
    EXPECT_EQ(t.nnodes, sockets * cores);
    ASSERT_EQ(t.ncpus, sockets * cores * threads);
    for (uint32_t thread = 0; thread < threads; thread++) {
        for (uint32_t socket = 0; socket < sockets; socket++) {
            for (uint32_t core = 0; core < cores; core++, cpu++) {
                EXPECT_EQ(t.thread[cpu], thread);
                EXPECT_EQ(t.socket[cpu], socket);
                EXPECT_EQ(t.core[cpu], socket * cores + core);
                EXPECT_EQ(t.apic_id[cpu], socket << (log2_up(cores) + log2_up(threads)) |
                                              core << log2_up(threads) | thread);
                ids.insert(t.apic_id[cpu]);
            }
        }
    }
    EXPECT_EQ(ids.size(), t.ncpus);
    ts_topology_fini(&t);
    EXPECT_EQ(t.socket, nullptr);
}

INSTANTIATE_TEST_SUITE_P(All, Shapes,
                         ::testing::Values(std::make_tuple(1, 1, 1), std::make_tuple(2, 16, 1),
                                           std::make_tuple(2, 20, 2), std::make_tuple(3, 7, 4),
                                           std::make_tuple(16, 256, 1),
                                           std::make_tuple(8, 128, 4)));

TEST(Topology, IdsOfOddCountsHaveGaps)
{
    auto p = params(2, 20, 2);
    ts_topology t{};
    ts_error err{};

    ASSERT_EQ(ts_topology_init(&t, &p, &err), TS_OK);
    /* 20 cores take 5 bits: core 19 thread 1 is 39, socket 1 starts at 64. */
    EXPECT_EQ(t.apic_id[40 + 19], 39u);
    EXPECT_EQ(t.apic_id[20], 64u);
    ts_topology_fini(&t);
}

TEST(Topology, RefusesMoreCpusThanTheSetsHold)
{
    auto p = params(16, 256, 2);
    ts_topology t{};
    ts_error err{};

    EXPECT_EQ(ts_topology_init(&t, &p, &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("8192"), std::string::npos) << err.message;
    EXPECT_NE(std::string(err.message).find(std::to_string(TS_CPU_MAX)), std::string::npos);
}

TEST(Topology, RefusesWhatTheRowsRefuse)
{
    for (size_t i = 0; i < ts_topology_param_table.nrows; i++) {
        const ts_param &row = ts_topology_param_table.rows[i];

        for (uint64_t bad : {row.min - 1, row.max + 1}) {
            auto p = params(1, 4, 1);
            ts_topology t{};
            ts_error err{};

            if (bad >= row.min && bad <= row.max)
                continue;
            *reinterpret_cast<uint64_t *>(reinterpret_cast<char *>(&p) + row.offset) = bad;
            EXPECT_EQ(ts_topology_init(&t, &p, &err), TS_ERR_USER) << row.key;
            EXPECT_NE(std::string(err.message).find(row.key), std::string::npos);
        }
    }
}
