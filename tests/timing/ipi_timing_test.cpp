/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interrupt/interrupt.h"
#include "tests/support/network_rig.hpp"

#include <cstdio>
#include <vector>

namespace
{

struct Fixture {
    rig::Network net;
    ts_interrupt_params params;
    ts_interrupt *in = nullptr;
    ts_clock core_clock{};
    std::vector<std::pair<uint32_t, ts_time>> taken;

    explicit Fixture(const ts_topology_params &t)
        : net(t), params(rig::defaults<ts_interrupt_params>(ts_interrupt_param_table))
    {
        ts_clock_init(&core_clock, t.core_hz);
        net.check(
            ts_interrupt_create(&in, net.engine, &net.topo, net.ic, &params, sink, this, &net.err));
    }
    Fixture(const Fixture &) = delete;
    Fixture &operator=(const Fixture &) = delete;
    ~Fixture()
    {
        ts_interrupt_destroy(in);
    }
    static void sink(void *user, uint32_t target, uint32_t, uint64_t)
    {
        auto *f = static_cast<Fixture *>(user);

        f->taken.emplace_back(target, f->net.now());
    }
};

} // namespace

TEST(IpiTiming, ArrivesAtTheClosedFormulaForEveryPair)
{
    Fixture f(rig::topology(2, 9, 2));

    for (uint32_t src = 0; src < f.net.topo.ncpus; src++) {
        for (uint32_t dst = 0; dst < f.net.topo.ncpus; dst++) {
            ts_time sent = f.net.now() + TS_US + src * 3 + dst;
            ts_time expected = f.net.arrival(f.net.topo.core[src], f.net.topo.core[dst], 1, sent) +
                               f.params.transport_ps + f.params.accept_ps;
            rig::At at(f.net.engine, sent, [&] { ts_interrupt_send(f.in, src, dst, 1, 0); });

            if (f.net.topo.socket[src] != f.net.topo.socket[dst])
                expected += f.params.cross_socket_ps;
            ASSERT_EQ(ts_interrupt_arrival(f.in, src, dst, sent), expected);
            f.taken.clear();
            f.net.run(expected - 1);
            ASSERT_TRUE(f.taken.empty()) << src << " to " << dst;
            f.net.run(expected);
            ASSERT_EQ(f.taken.size(), 1u) << src << " to " << dst;
            ASSERT_EQ(f.taken[0].first, dst);
        }
    }
}

TEST(IpiTiming, MessagesOfOneCpuLeaveOneCoreCycleApart)
{
    auto t = rig::topology(1, 16);

    t.core_hz = 1000000000; /* slower than the mesh: the network adds no waiting of its own */
    Fixture f(t);
    ts_time start = 5 * TS_NS;
    rig::At at(f.net.engine, start, [&] {
        for (uint32_t i = 0; i < 16; i++)
            ts_interrupt_send(f.in, 6, i, 1, 0);
        ts_interrupt_send(f.in, 9, 3, 1, 0); /* another CPU's port is its own */
    });

    f.net.run();
    ASSERT_EQ(f.taken.size(), 17u);
    for (auto [target, when] : f.taken) {
        ts_time expected = ts_interrupt_arrival(f.in, 6, target, start + target * TS_NS);

        if (target == 3 && when != expected)
            expected = ts_interrupt_arrival(f.in, 9, 3, start);
        EXPECT_EQ(when, expected) << target;
    }
    EXPECT_EQ(ts_interrupt_stats(f.in)->flight_ps.max,
              ts_interrupt_arrival(f.in, 6, 15, start + 15 * TS_NS) - start);
}

TEST(IpiTiming, AMessageAfterAPauseLeavesAtOnce)
{
    Fixture f(rig::topology(1, 16));
    ts_time second = ts_clock_cycle_time(&f.core_clock, 1);
    rig::At at(f.net.engine, second, [&] { ts_interrupt_send(f.in, 0, 2, 1, 0); });

    ts_interrupt_send(f.in, 0, 1, 1, 0);
    f.net.run();
    ASSERT_EQ(f.taken.size(), 2u);
    EXPECT_EQ(f.taken[0].second, ts_interrupt_arrival(f.in, 0, 1, 0));
    EXPECT_EQ(f.taken[1].second, ts_interrupt_arrival(f.in, 0, 2, second));
}

/* Remembered figures of Skylake-SP: 400 ns (250-700) in a socket, 250 ns (150-500) more across. */
TEST(IpiCalibration, SkylakeLikeFlights)
{
    Fixture f(rig::topology(2, 16));
    uint64_t same = 0, cross = 0, pairs = 0;

    for (uint32_t src = 0; src < 16; src++) {
        for (uint32_t dst = 0; dst < 16; dst++) {
            if (src == dst)
                continue;
            same += ts_interrupt_arrival(f.in, src, dst, 0);
            cross += ts_interrupt_arrival(f.in, src, dst + 16, 0);
            pairs++;
        }
    }
    same /= pairs;
    cross /= pairs;
    std::printf("interrupt flight: same socket %.1f ns, cross socket %.1f ns\n",
                static_cast<double>(same) / 1e3, static_cast<double>(cross) / 1e3);
    EXPECT_NEAR(static_cast<double>(same), 400e3, 10e3);
    EXPECT_NEAR(static_cast<double>(cross - same), 250e3, 10e3);
}
