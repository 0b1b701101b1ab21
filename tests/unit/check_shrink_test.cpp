// SPDX-License-Identifier: Apache-2.0
// The shrinker against findings that are known in advance.
#include "sim/front/check/run_case.hpp"
#include "sim/front/check/shrink.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace ts;

namespace
{

constexpr uint64_t page = 4096;

CheckCase sample()
{
    CheckCase c;
    ts_machine_config_defaults(&c.base);
    c.noise_every_ps = 5;
    c.stall_steps = 7;
    c.walk_steps = 9;
    c.initial = 3;
    for (uint64_t i = 0; i < 7; i++) {
        c.vmm.emplace_back();
        c.vmm.back().kind = TS_HOST_SLEEP;
        c.vmm.back().amount = i;
    }
    c.settings = {{"run.oracle", "true"},
                  {"run.vcpus", "4"},
                  {"guest.pti", "true"},
                  {"guest.lazy_rule", "skip"}};
    c.script.resize(3);
    for (uint32_t t = 0; t < 3; t++) {
        for (uint32_t i = 0; i < 9; i++) {
            c.script[t].push_back(op_mmap(t * 10 + i, 8 * page));
            c.script[t].push_back(op_touch(t * 10 + i, 0, 8));
        }
        c.script[t].push_back(op_barrier(0, 3));
    }
    return c;
}

bool has(const CheckCase &c, uint32_t thread, ts_op_kind kind, uint32_t region)
{
    for (const ts_op &op : c.script[thread])
        if (op.kind == kind && op.region == region)
            return true;
    return false;
}

bool vmm_sleeps(const CheckCase &c, uint64_t amount)
{
    return std::any_of(c.vmm.begin(), c.vmm.end(),
                       [amount](const ts_host_op &op) { return op.amount == amount; });
}

std::string setting(const CheckCase &c, const std::string &key)
{
    for (const CaseSetting &s : c.settings)
        if (s.key == key)
            return s.value;
    return "";
}

} // namespace

TEST(CheckShrink, KeepsWhatIsNeededAndNothingElse)
{
    const auto finds = [](const CheckCase &c) {
        return has(c, 0, TS_OP_MMAP, 4) && has(c, 2, TS_OP_TOUCH, 27) &&
               setting(c, "guest.pti") == "true" && vmm_sleeps(c, 4) &&
               !setting(c, "run.vcpus").empty() && std::stoul(setting(c, "run.vcpus")) >= 2;
    };
    const Shrunk small = shrink(sample(), finds, 3000);
    ASSERT_TRUE(finds(small.c));
    EXPECT_EQ(operations_of(small.c), 3u); // that of the VMM's thread, too
    EXPECT_EQ(small.c.vmm.size(), 1u);
    EXPECT_EQ(small.c.script.size(), 3u); // threads keep their numbers
    EXPECT_TRUE(small.c.script[1].empty());
    EXPECT_EQ(small.c.script[0][0].length, page);
    EXPECT_EQ(small.c.script[2][0].count, 1u);
    EXPECT_EQ(small.c.noise_every_ps, 0u);
    EXPECT_EQ(small.c.stall_steps, 0u);
    EXPECT_EQ(small.c.walk_steps, 0u);
    EXPECT_EQ(setting(small.c, "run.vcpus"), "2");
    EXPECT_EQ(setting(small.c, "guest.lazy_rule"), "");
    EXPECT_EQ(setting(small.c, "run.oracle"), "true");
}

// A thread that waits for another's mapping goes with it.
TEST(CheckShrink, TakesAwayTwoThreadsThatNeedEachOther)
{
    const auto finds = [](const CheckCase &c) {
        return has(c, 0, TS_OP_MMAP, 0) && c.script[1].empty() == c.script[2].empty() &&
               (c.script[1].empty() || (c.script[1].size() > 17 && c.script[2].size() > 17));
    };
    const Shrunk small = shrink(sample(), finds, 3000);
    EXPECT_EQ(operations_of(small.c), 1u);
}

TEST(CheckShrink, ABarrierGoesForAllWhoMeetThere)
{
    const auto barriers = [](const CheckCase &c) {
        size_t n = 0;
        for (uint32_t t = 0; t < 3; t++)
            n += has(c, t, TS_OP_BARRIER, 0);
        return n;
    };
    const auto finds = [&](const CheckCase &c) {
        return has(c, 0, TS_OP_MMAP, 0) && has(c, 1, TS_OP_MMAP, 10) && has(c, 2, TS_OP_MMAP, 20) &&
               (barriers(c) == 0 || barriers(c) == 3);
    };
    const Shrunk small = shrink(sample(), finds, 3000);
    EXPECT_EQ(operations_of(small.c), 3u);
}

// One sum that does not hold does not stand for another.
TEST(CheckShrink, WhatStandsForWhat)
{
    const auto found = [](FindingKind kind, const std::string &message) {
        CaseResult result;
        result.kind = kind;
        result.message = message;
        return result;
    };
    const CaseResult sum = found(FindingKind::Other, "tlb: hits 12 and misses 0x1f make 43");
    EXPECT_TRUE(same_finding(sum, found(FindingKind::Other, "tlb: hits 7 and misses 2 make 9.5")));
    EXPECT_FALSE(
        same_finding(sum, found(FindingKind::Other, "line: hits 12 and misses 1 make 43")));
    EXPECT_FALSE(same_finding(sum, found(FindingKind::Crash, sum.message)));
    EXPECT_FALSE(same_finding(found(FindingKind::Crash, "tlb.c:12: a < b"),
                              found(FindingKind::Crash, "tlb.c:12: a < c")));
    EXPECT_TRUE(same_finding(found(FindingKind::Stale, "a"), found(FindingKind::Stale, "b")));
}

// What is shorter shows it with interruptions at other moments only, and so does what has fewer
// settings than that.
TEST(CheckShrink, InterruptionsGetSomeChances)
{
    for (const bool noise : {false, true}) {
        CheckCase c = sample();
        c.noise_every_ps = noise ? 5 : 0;
        c.stall_steps = noise ? 0 : 7;
        const auto finds = [noise](const CheckCase &now) {
            const bool interrupted = noise ? now.noise_every_ps != 0 : now.stall_steps != 0;
            return has(now, 0, TS_OP_MMAP, 4) && interrupted &&
                   (operations_of(now) == operations_of(sample()) || now.noise_variant >= 4);
        };
        EXPECT_EQ(operations_of(shrink(c, finds, 3000).c), 1u);
    }
}

TEST(CheckShrink, TriesNoMoreThanItMay)
{
    size_t tried = 0;
    const auto finds = [&](const CheckCase &) {
        tried++;
        return true;
    };
    const Shrunk small = shrink(sample(), finds, 7);
    EXPECT_EQ(tried, 7u);
    EXPECT_EQ(small.runs, 7u);
}
