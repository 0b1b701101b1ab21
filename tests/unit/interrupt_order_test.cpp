/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU keeps what is pending as a bit mask and takes the lowest bit. That is the order in which a
 * local APIC would dispense the vectors' Linux numbers, with handlers that do not nest: shown here
 * against the APIC's state machine, so that the mask may stay. */
#include "models/interrupt/lapic.h"
#include "tests/support/cpu_rig.hpp"

#include "sim/rng.h"

#include <gtest/gtest.h>

using namespace ts_test;

namespace
{

/* What can be pending: a notification never is. */
const std::vector<ts_vector> all = {TS_VEC_RESCHED, TS_VEC_KICK,  TS_VEC_CALL,
                                    TS_VEC_WAKEUP,  TS_VEC_TIMER, TS_VEC_TICK};

} // namespace

TEST(InterruptOrder, LowerBitsHaveHigherVectors)
{
    for (size_t i = 1; i < all.size(); i++) {
        ASSERT_LT(all[i - 1], all[i]);
        EXPECT_GE(ts_vector_numbers[all[i - 1]], ts_vector_numbers[all[i]]);
    }
    /* Equal ones never wait together as two: a kick is of the host, a call of an operating system;
     * timer and tick are two causes of one interrupt. */
    EXPECT_EQ(ts_vector_numbers[TS_VEC_KICK], ts_vector_numbers[TS_VEC_CALL]);
    EXPECT_EQ(ts_vector_numbers[TS_VEC_TIMER], ts_vector_numbers[TS_VEC_TICK]);
    for (ts_vector v : all)
        EXPECT_GE(ts_vector_numbers[v], TS_LAPIC_FIRST_VECTOR);
}

TEST(InterruptOrder, EverySetIsTakenAsALocalApicWould)
{
    for (uint32_t set = 1; set < 1u << all.size(); set++) {
        CpuRig rig(1);
        ts_lapic apic;

        ts_lapic_init(&apic);
        rig.spawn(0, [&](ts_task *self) {
            ts_irq_disable(self);
            ts_task_work(self, 100000);
            ts_irq_enable(self);
        });
        rig.at(rig.cycles(50000), [&] {
            /* In the order of rising bits and of falling ones: arrival does not matter. */
            for (size_t k = 0; k < all.size(); k++) {
                size_t i = set % 2 ? k : all.size() - 1 - k;
                if (set & (1u << i)) {
                    ts_cpu_raise(&rig.domain.cpus[0], all[i]);
                    ts_lapic_accept(&apic, ts_vector_numbers[all[i]]);
                }
            }
        });
        rig.run();
        int last = -1;
        for (const auto &t : rig.taken) {
            int number = ts_vector_numbers[t.vector];
            if (number == last)
                continue; /* two causes of one */
            ASSERT_EQ(ts_lapic_take(&apic, true), number) << "set " << set;
            ASSERT_EQ(ts_lapic_eoi(&apic), number);
            last = number;
        }
        EXPECT_EQ(ts_lapic_highest_irr(&apic), TS_LAPIC_NONE) << "set " << set;
    }
}

/* A vector that is pending already merges, in both. */
TEST(InterruptOrder, PendingVectorsMerge)
{
    CpuRig rig(1);

    rig.spawn(0, [&](ts_task *self) {
        ts_irq_disable(self);
        ts_task_work(self, 100000);
        ts_irq_enable(self);
    });
    for (uint64_t cycle : {30000, 40000, 50000})
        rig.at(rig.cycles(cycle), [&] { ts_cpu_raise(&rig.domain.cpus[0], TS_VEC_CALL); });
    rig.run();
    ASSERT_EQ(rig.taken.size(), 1u);
    EXPECT_EQ(rig.taken[0].vector, TS_VEC_CALL);
}
