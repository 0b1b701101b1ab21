/* SPDX-License-Identifier: Apache-2.0 */
/* The register protocol of each driver, to the picosecond: what one CPU's sends take, and when each
 * interrupt leaves. */
#include "models/cpu/icr_port.h"
#include "tests/support/cpu_rig.hpp"

#include <gtest/gtest.h>

using namespace ts_test;

namespace
{

struct Rig : CpuRig {
    ts_interrupt_params params{};
    ts_interrupt *in = nullptr;
    std::vector<std::pair<uint32_t, ts_time>> accepted;

    explicit Rig(uint32_t cores) : CpuRig(cores)
    {
        ts_error err{};
        ts_param_defaults(&ts_interrupt_param_table, &params);
        if (ts_interrupt_create(&in, engine, &topology, interconnect, &params, sink, this, &err) !=
            TS_OK)
            throw std::runtime_error(err.message);
    }
    ~Rig()
    {
        ts_interrupt_destroy(in);
    }
    static void sink(void *user, uint32_t target, uint32_t, uint64_t)
    {
        auto *r = static_cast<Rig *>(user);
        r->accepted.emplace_back(target, r->now());
    }
    /* Sends to each target of CPU 0 by writes of its own; the times when each write was done. */
    std::vector<ts_time> send(ts_intr_mode mode, ts_icr_kind kind,
                              const std::vector<uint32_t> &targets, uint64_t gap_cycles = 0)
    {
        std::vector<ts_time> times;
        spawn(0, [&](ts_task *self) {
            ts_irq_disable(self);
            for (uint32_t t : targets) {
                times.push_back(now());
                ts_icr_work(self, in, &params, mode, kind);
                times.push_back(now());
                ts_interrupt_send(in, 0, t, 1, 0);
                ts_task_work(self, gap_cycles);
            }
            ts_irq_enable(self);
        });
        run();
        return times;
    }
    /* The end of the last poll: the first that ends when or after the APIC is idle. */
    ts_time polled(ts_time start, ts_time idle) const
    {
        ts_time t = start;
        do {
            t = ts_clock_after(&clock, t, params.icr_poll_cycles);
        } while (t < idle);
        return t;
    }
};

} // namespace

TEST(XapicTiming, EachWriteWaitsUntilTheLastWasAccepted)
{
    for (uint64_t poll : {1u, 7u, 100u, 3000u}) {
        Rig rig(6);
        rig.params.icr_poll_cycles = poll;
        auto times = rig.send(TS_INTR_XAPIC_PHYS, TS_ICR_PHYSICAL, {1, 2, 5, 3});
        ts_time idle = 0;

        ASSERT_EQ(rig.accepted.size(), 4u);
        for (size_t k = 0; k < 4; k++) {
            ts_time write = rig.polled(times[2 * k], idle);
            ts_time leaves = ts_clock_after(&rig.clock, write, 2 * rig.params.mmio_write_cycles);
            ASSERT_EQ(times[2 * k + 1], leaves) << "poll " << poll << " write " << k;
            idle = ts_interrupt_arrival(rig.in, 0, rig.accepted[k].first, leaves);
            ASSERT_EQ(rig.accepted[k].second, idle);
        }
    }
}

/* Polls of one cycle see the delivery status fall at the very cycle edge, and not one before. */
TEST(XapicTiming, NotIdleUntilTheAcceptance)
{
    Rig rig(4);
    rig.params.icr_poll_cycles = 1;
    auto times = rig.send(TS_INTR_XAPIC_PHYS, TS_ICR_PHYSICAL, {3, 2});
    ts_time idle = rig.accepted[0].second;
    ts_time seen = times[3] - (ts_clock_cycle_time(&rig.clock, 2 * rig.params.mmio_write_cycles));

    EXPECT_GE(seen, idle);
    EXPECT_LT(seen - ts_clock_cycle_time(&rig.clock, 1), idle);
}

TEST(XapicTiming, AnIdleApicTakesOnePoll)
{
    Rig rig(4);
    auto times = rig.send(TS_INTR_XAPIC_FLAT, TS_ICR_LOGICAL, {1, 2}, 100000);
    uint64_t cycles = rig.params.icr_poll_cycles + 2 * rig.params.mmio_write_cycles;

    for (size_t k = 0; k < 2; k++)
        EXPECT_EQ(times[2 * k + 1], ts_clock_after(&rig.clock, times[2 * k], cycles)) << k;
}

TEST(XapicTiming, AShorthandHasNoDestinationToWrite)
{
    for (ts_icr_kind kind : {TS_ICR_SHORTHAND, TS_ICR_SELF}) {
        Rig rig(4);
        auto times = rig.send(TS_INTR_XAPIC_PHYS, kind, {1});

        EXPECT_EQ(times[1],
                  ts_clock_after(&rig.clock, times[0],
                                 rig.params.icr_poll_cycles + rig.params.mmio_write_cycles));
    }
}

TEST(X2apicTiming, WritesFollowEachOtherWithoutWaiting)
{
    for (ts_intr_mode mode : {TS_INTR_X2APIC_PHYS, TS_INTR_X2APIC_CLUSTER, TS_INTR_GIC_SGI}) {
        Rig rig(6);
        auto times = rig.send(mode, TS_ICR_PHYSICAL, {1, 2, 3, 4, 5});

        for (size_t k = 0; k < 5; k++)
            EXPECT_EQ(times[2 * k + 1],
                      ts_clock_after(&rig.clock, times[2 * k], rig.params.icr_write_cycles));
        EXPECT_LT(times[9], rig.accepted[0].second); /* all had left before the first arrived */
    }
}
