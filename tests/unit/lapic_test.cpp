/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC's state machine: rows written from the SDM's rules, and random histories against a
 * model that keeps sets and follows the text literally. */
#include "models/interrupt/lapic.h"
#include "sim/rng.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace
{

ts_lapic fresh()
{
    ts_lapic a;

    ts_lapic_init(&a);
    return a;
}

/* "Task and Processor Priorities": TPR, highest vector in service, PPR. */
struct PriorityRow {
    uint8_t tpr;
    int in_service;
    uint8_t ppr;
};
const std::vector<PriorityRow> priorities = {
    {0x00, -1, 0x00},   /* nothing: all is let through */
    {0x35, -1, 0x35},   /* TPR alone, sub-class kept */
    {0x00, 0x31, 0x30}, /* in service alone: the sub-class is zero */
    {0x2f, 0x31, 0x30}, /* higher class in service */
    {0x41, 0x31, 0x41}, /* higher class in TPR */
    {0x3a, 0x31, 0x3a}, /* equal classes: the model's choice */
    {0xff, 0xfc, 0xff}, {0xef, 0xfc, 0xf0},
};

/* Waiting vectors, TPR, in service, interrupts on; what is taken. */
struct TakeRow {
    const char *why;
    std::vector<uint32_t> waiting;
    uint8_t tpr;
    int in_service;
    bool on;
    int taken;
};
const std::vector<TakeRow> takes = {
    {"nothing waits", {}, 0, -1, true, -1},
    {"the highest number first", {0xec, 0xfd, 0xfc}, 0, -1, true, 0xfd},
    {"order of arrival does not matter", {0xfd, 0xec}, 0, -1, true, 0xfd},
    {"masked while interrupts are off", {0xfd}, 0, -1, false, -1},
    {"TPR of its class masks it", {0x31}, 0x30, -1, true, -1},
    {"and so does any sub-class of it", {0x3f}, 0x31, -1, true, -1},
    {"TPR of a lower class does not", {0x41}, 0x3f, -1, true, 0x41},
    {"TPR masks low ones only", {0x31, 0x51}, 0x40, -1, true, 0x51},
    {"TPR 255 masks all", {0xff}, 0xff, -1, true, -1},
    {"the lowest legal vector", {0x10}, 0, -1, true, 0x10},
    {"class 0 of PPR masks nothing legal", {0x10}, 0x0f, -1, true, 0x10},
    {"same class in service: waits, even with a higher number", {0xfd}, 0, 0xfc, true, -1},
    {"higher class nests", {0xf2}, 0, 0xec, true, 0xf2},
    {"lower class waits", {0xec}, 0, 0xf2, true, -1},
    {"the vector in service waits for its EOI", {0xfc}, 0, 0xfc, true, -1},
};

class Naive
{
  public:
    int ppr() const
    {
        int isr = isr_.empty() ? 0 : *isr_.rbegin();
        return tpr_ / 16 >= isr / 16 ? tpr_ : isr / 16 * 16;
    }
    int accept(int v)
    {
        if (v < 16)
            return TS_LAPIC_ILLEGAL;
        return irr_.insert(v).second ? TS_LAPIC_ACCEPTED : TS_LAPIC_MERGED;
    }
    int take(bool on)
    {
        if (!on || irr_.empty() || *irr_.rbegin() / 16 <= ppr() / 16)
            return -1;
        int v = *irr_.rbegin();
        irr_.erase(v);
        isr_.insert(v);
        return v;
    }
    int eoi()
    {
        if (isr_.empty())
            return -1;
        int v = *isr_.rbegin();
        isr_.erase(v);
        return v;
    }
    int tpr_ = 0;
    std::set<int> irr_, isr_;
};

} // namespace

TEST(Lapic, ProcessorPriority)
{
    for (const PriorityRow &row : priorities) {
        ts_lapic a = fresh();

        if (row.in_service >= 0) {
            ts_lapic_accept(&a, static_cast<uint32_t>(row.in_service));
            ASSERT_EQ(ts_lapic_take(&a, true), row.in_service);
        }
        ts_lapic_set_tpr(&a, row.tpr);
        EXPECT_EQ(ts_lapic_ppr(&a), row.ppr) << int(row.tpr) << " " << row.in_service;
    }
}

TEST(Lapic, WhatIsTaken)
{
    for (const TakeRow &row : takes) {
        ts_lapic a = fresh();

        SCOPED_TRACE(row.why);
        if (row.in_service >= 0) {
            ts_lapic_accept(&a, static_cast<uint32_t>(row.in_service));
            ASSERT_EQ(ts_lapic_take(&a, true), row.in_service);
        }
        for (uint32_t v : row.waiting)
            EXPECT_EQ(ts_lapic_accept(&a, v), TS_LAPIC_ACCEPTED);
        ts_lapic_set_tpr(&a, row.tpr);
        EXPECT_EQ(ts_lapic_take(&a, row.on), row.taken);
        for (uint32_t v : row.waiting) {
            bool taken = static_cast<int>(v) == row.taken;
            EXPECT_EQ(ts_lapic_in_irr(&a, v), !taken) << v;
            EXPECT_EQ(ts_lapic_in_isr(&a, v), taken || static_cast<int>(v) == row.in_service) << v;
        }
    }
}

TEST(Lapic, AVectorIsHeldTwiceAtMost)
{
    ts_lapic a = fresh();

    EXPECT_EQ(ts_lapic_accept(&a, 0xfc), TS_LAPIC_ACCEPTED);
    EXPECT_EQ(ts_lapic_accept(&a, 0xfc), TS_LAPIC_MERGED);
    EXPECT_EQ(ts_lapic_take(&a, true), 0xfc);
    EXPECT_EQ(ts_lapic_accept(&a, 0xfc), TS_LAPIC_ACCEPTED); /* a second, behind the first */
    EXPECT_EQ(ts_lapic_accept(&a, 0xfc), TS_LAPIC_MERGED);
    EXPECT_EQ(ts_lapic_take(&a, true), TS_LAPIC_NONE);
    EXPECT_EQ(ts_lapic_eoi(&a), 0xfc);
    EXPECT_EQ(ts_lapic_take(&a, true), 0xfc);
    EXPECT_EQ(ts_lapic_eoi(&a), 0xfc);
    EXPECT_EQ(ts_lapic_take(&a, true), TS_LAPIC_NONE);
}

TEST(Lapic, EoiEndsTheHighestInService)
{
    ts_lapic a = fresh();

    EXPECT_EQ(ts_lapic_eoi(&a), TS_LAPIC_NONE); /* allowed */
    for (uint32_t v : {0x31u, 0x51u, 0xf1u}) {
        ts_lapic_accept(&a, v);
        ASSERT_EQ(ts_lapic_take(&a, true), static_cast<int>(v));
    }
    EXPECT_EQ(ts_lapic_ppr(&a), 0xf0);
    EXPECT_EQ(ts_lapic_eoi(&a), 0xf1);
    EXPECT_EQ(ts_lapic_ppr(&a), 0x50);
    EXPECT_EQ(ts_lapic_eoi(&a), 0x51);
    EXPECT_EQ(ts_lapic_eoi(&a), 0x31);
    EXPECT_EQ(ts_lapic_ppr(&a), 0);
}

TEST(Lapic, ReservedVectorsAreNotAccepted)
{
    ts_lapic a = fresh();

    for (uint32_t v = 0; v < TS_LAPIC_FIRST_VECTOR; v++)
        EXPECT_EQ(ts_lapic_accept(&a, v), TS_LAPIC_ILLEGAL) << v;
    EXPECT_EQ(ts_lapic_highest_irr(&a), TS_LAPIC_NONE);
    EXPECT_EQ(ts_lapic_accept(&a, TS_LAPIC_FIRST_VECTOR), TS_LAPIC_ACCEPTED);
}

TEST(Lapic, Cr8IsTheClassOfTpr)
{
    for (uint8_t cr8 = 0; cr8 < 16; cr8++) {
        ts_lapic a = fresh();

        ts_lapic_set_cr8(&a, cr8);
        for (uint32_t v = 16; v < 256; v += 5) {
            ts_lapic b = a;

            ts_lapic_accept(&b, v);
            EXPECT_EQ(ts_lapic_deliverable(&b) >= 0, v / 16 > cr8) << int(cr8) << " " << v;
        }
    }
}

/* Every vector against every single vector in service and every TPR class. */
TEST(Lapic, EveryPair)
{
    for (uint32_t service = 16; service < 256; service++) {
        for (uint32_t v = 16; v < 256; v++) {
            ts_lapic a = fresh();

            ts_lapic_accept(&a, service);
            ts_lapic_take(&a, true);
            ts_lapic_accept(&a, v);
            ASSERT_EQ(ts_lapic_deliverable(&a) == static_cast<int>(v), v / 16 > service / 16)
                << service << " " << v;
        }
    }
}

TEST(LapicDiff, RandomHistories)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        ts_lapic a = fresh();
        Naive n;
        ts_rng rng;

        SCOPED_TRACE("seed " + std::to_string(seed));
        ts_rng_init(&rng, seed, "lapic test", 0);
        for (uint32_t step = 0; step < 4000; step++) {
            auto v = static_cast<uint32_t>(ts_rng_below(&rng, 256));
            bool on = ts_rng_below(&rng, 4) != 0;

            switch (ts_rng_below(&rng, 8)) {
            case 0:
                ts_lapic_set_tpr(&a, static_cast<uint8_t>(v / 2));
                n.tpr_ = static_cast<int>(v / 2);
                break;
            case 1:
            case 2:
                ASSERT_EQ(ts_lapic_eoi(&a), n.eoi());
                break;
            case 3:
            case 4:
                ASSERT_EQ(ts_lapic_take(&a, on), n.take(on));
                break;
            default:
                ASSERT_EQ(ts_lapic_accept(&a, v), n.accept(static_cast<int>(v)));
            }
            ASSERT_EQ(ts_lapic_ppr(&a), n.ppr());
            ASSERT_EQ(ts_lapic_highest_irr(&a), n.irr_.empty() ? -1 : *n.irr_.rbegin());
            ASSERT_EQ(ts_lapic_highest_isr(&a), n.isr_.empty() ? -1 : *n.isr_.rbegin());
        }
    }
}
