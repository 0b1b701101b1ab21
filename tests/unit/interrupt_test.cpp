/* SPDX-License-Identifier: Apache-2.0 */
#include "models/interrupt/interrupt.h"
#include "tests/support/network_rig.hpp"

#include "sim/rng.h"
#include "sim/stats.h"

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace
{

struct Taken {
    uint32_t target, vector;
    uint64_t cookie;
    ts_time when;
};

struct Fixture {
    rig::Network net;
    ts_interrupt *in = nullptr;
    std::vector<Taken> taken;

    explicit Fixture(const ts_topology_params &t, const ts_interconnect_params &n = rig::network())
        : net(t, n)
    {
        auto p = rig::defaults<ts_interrupt_params>(ts_interrupt_param_table);

        net.check(
            ts_interrupt_create(&in, net.engine, &net.topo, net.ic, &p, sink, this, &net.err));
    }
    Fixture(const Fixture &) = delete;
    Fixture &operator=(const Fixture &) = delete;
    ~Fixture()
    {
        ts_interrupt_destroy(in);
    }
    static void sink(void *user, uint32_t target, uint32_t vector, uint64_t cookie)
    {
        auto *f = static_cast<Fixture *>(user);

        f->taken.push_back({target, vector, cookie, f->net.now()});
    }
    void expect_rules()
    {
        EXPECT_EQ(ts_stat_check(&ts_interrupt_stat_table, ts_interrupt_stats(in), &net.err), TS_OK)
            << net.err.message;
    }
};

uint32_t writes(ts_intr_mode mode, const std::vector<uint32_t> &ids, bool all_but_self = false,
                uint64_t shorthand = 1, uint64_t cluster = 16)
{
    auto p = rig::defaults<ts_interrupt_params>(ts_interrupt_param_table);

    p.shorthand = shorthand;
    p.cluster_size = cluster;
    return ts_interrupt_writes(&p, mode, ids.data(), static_cast<uint32_t>(ids.size()),
                               all_but_self);
}

} // namespace

TEST(InterruptWrites, FollowTheModeAndTheIds)
{
    /* APIC IDs of 20 cores a socket with one thread: 0..19, 32..51. */
    std::vector<uint32_t> ids;

    for (uint32_t id : {3u, 4u, 15u, 16u, 19u, 32u, 47u, 48u, 51u})
        ids.push_back(id);
    EXPECT_EQ(writes(TS_INTR_X2APIC_PHYS, ids), ids.size());
    EXPECT_EQ(writes(TS_INTR_X2APIC_CLUSTER, ids), 4u);
    /* 0, 1, 3, 4, 8, 11 and 12. */
    EXPECT_EQ(writes(TS_INTR_X2APIC_CLUSTER, ids, false, 1, 4), 7u);
    EXPECT_EQ(writes(TS_INTR_GIC_SGI, ids), 4u);
    for (ts_intr_mode mode : {TS_INTR_X2APIC_PHYS, TS_INTR_X2APIC_CLUSTER, TS_INTR_GIC_SGI}) {
        EXPECT_EQ(writes(mode, {}), 0u);
        EXPECT_EQ(writes(mode, {}, true), 0u);
        EXPECT_EQ(writes(mode, {77}), 1u);
    }
}

TEST(InterruptWrites, TheShorthandIsOneWriteOnX86)
{
    std::vector<uint32_t> ids;

    for (uint32_t id = 1; id < 80; id++)
        ids.push_back(id);
    EXPECT_EQ(writes(TS_INTR_X2APIC_PHYS, ids, true), 1u);
    EXPECT_EQ(writes(TS_INTR_X2APIC_CLUSTER, ids, true), 1u);
    EXPECT_EQ(writes(TS_INTR_X2APIC_PHYS, ids, true, 0), 79u);
    EXPECT_EQ(writes(TS_INTR_X2APIC_CLUSTER, ids, true, 0), 5u);
    EXPECT_EQ(writes(TS_INTR_GIC_SGI, ids, true), 5u);
}

TEST(Interrupt, CarriesVectorAndCookieToTheTarget)
{
    Fixture f(rig::topology(2, 4, 2));

    ts_interrupt_send(f.in, 1, 14, 7, 0xdeadbeefcafe);
    ts_interrupt_send(f.in, 1, 1, 3, 1); /* to itself */
    ts_interrupt_count_write(f.in);
    ts_interrupt_count_write(f.in);
    f.net.run();
    ASSERT_EQ(f.taken.size(), 2u);
    EXPECT_EQ(f.taken[0].target, 1u);
    EXPECT_EQ(f.taken[0].vector, 3u);
    EXPECT_EQ(f.taken[1].target, 14u);
    EXPECT_EQ(f.taken[1].vector, 7u);
    EXPECT_EQ(f.taken[1].cookie, 0xdeadbeefcafeu);
    EXPECT_EQ(ts_interrupt_stats(f.in)->writes, 2u);
    EXPECT_EQ(ts_interrupt_stats(f.in)->sent, 2u);
    EXPECT_EQ(ts_interrupt_stats(f.in)->flight_ps.count, 2u);
    f.expect_rules();
}

TEST(Interrupt, AcceptanceComesAfterHardwareAndBeforeSoftwareOfItsPicosecond)
{
    Fixture f(rig::topology(1, 4));
    ts_time when = ts_interrupt_arrival(f.in, 0, 3, 0);
    size_t seen_by_hardware = 9, seen_by_software = 9;
    std::unique_ptr<rig::At> hardware;
    /* Scheduled after the acceptance, and yet run before it. */
    rig::At late(f.net.engine, when - 1, [&] {
        hardware = std::make_unique<rig::At>(
            f.net.engine, when, [&] { seen_by_hardware = f.taken.size(); }, TS_PHASE_HARDWARE);
    });
    rig::At software(
        f.net.engine, when, [&] { seen_by_software = f.taken.size(); }, TS_PHASE_SOFTWARE);

    ts_interrupt_send(f.in, 0, 3, 1, 0);
    f.net.run();
    EXPECT_EQ(seen_by_hardware, 0u);
    EXPECT_EQ(seen_by_software, 1u);
}

/* A run may end while some are on their way: they are in flight from the register write to the
 * picosecond at which they are accepted. */
TEST(Interrupt, WhatHasNotArrivedIsInFlight)
{
    Fixture f(rig::topology(1, 4));
    const ts_time when = ts_interrupt_arrival(f.in, 0, 3, 0);
    uint64_t before = 9, after = 9;
    rig::At early(f.net.engine, when - 1, [&] {
        before = ts_interrupt_stats(f.in)->in_flight;
        f.expect_rules();
    });
    rig::At late(f.net.engine, when + 1, [&] { after = ts_interrupt_stats(f.in)->in_flight; });

    ts_interrupt_send(f.in, 0, 3, 1, 0);
    EXPECT_EQ(ts_interrupt_stats(f.in)->in_flight, 1u);
    f.net.run();
    EXPECT_EQ(before, 1u);
    EXPECT_EQ(after, 0u);
    f.expect_rules();
}

TEST(Interrupt, EveryCpuToEveryOtherGrowsThePool)
{
    Fixture f(rig::topology(2, 20, 2));
    uint32_t n = f.net.topo.ncpus;
    std::map<std::pair<uint32_t, uint64_t>, uint32_t> times;

    for (uint32_t src = 0; src < n; src++)
        for (uint32_t dst = 0; dst < n; dst++)
            if (src != dst)
                ts_interrupt_send(f.in, src, dst, 1, src);
    f.net.run();
    ASSERT_EQ(f.taken.size(), n * (n - 1));
    for (const Taken &t : f.taken)
        EXPECT_EQ((times[{t.target, t.cookie}]++), 0u);
    f.expect_rules();
}

TEST(Interrupt, SwarmArrivesOnceAndInOrder)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        Fixture f(rig::topology(2, 4 + seed), rig::network(seed % 2 ? "mesh" : "ideal"));
        std::vector<std::unique_ptr<rig::At>> sends;
        std::map<std::pair<uint32_t, uint32_t>, uint64_t> last;
        uint64_t number = 0;
        const uint32_t count = 2000;
        ts_rng rng;

        SCOPED_TRACE("seed " + std::to_string(seed));
        ts_rng_init(&rng, seed, "interrupt swarm", 0);
        for (uint32_t i = 0; i < count; i++) {
            auto src = static_cast<uint32_t>(ts_rng_below(&rng, f.net.topo.ncpus));
            auto dst = static_cast<uint32_t>(ts_rng_below(&rng, f.net.topo.ncpus));

            /* The cookie tells the order of the calls, the vector the source. */
            sends.push_back(std::make_unique<rig::At>(
                f.net.engine, ts_rng_below(&rng, 400 * TS_NS),
                [&f, &number, src, dst] { ts_interrupt_send(f.in, src, dst, src, ++number); }));
        }
        f.net.run();
        ASSERT_EQ(f.taken.size(), count);
        for (const Taken &t : f.taken) {
            EXPECT_GT(t.cookie, (last[{t.vector, t.target}]));
            last[{t.vector, t.target}] = t.cookie;
        }
        f.expect_rules();
    }
}

TEST(Interrupt, RefusesWhatTheRowsRefuse)
{
    rig::Network net(rig::topology(1, 4));

    for (size_t i = 0; i < ts_interrupt_param_table.nrows; i++) {
        const ts_param &row = ts_interrupt_param_table.rows[i];
        auto p = rig::defaults<ts_interrupt_params>(ts_interrupt_param_table);
        ts_interrupt *in = nullptr;

        *reinterpret_cast<uint64_t *>(reinterpret_cast<char *>(&p) + row.offset) = row.max + 1;
        EXPECT_EQ(ts_interrupt_create(&in, net.engine, &net.topo, net.ic, &p, Fixture::sink,
                                      nullptr, &net.err),
                  TS_ERR_USER)
            << row.key;
        EXPECT_EQ(in, nullptr);
    }
}
