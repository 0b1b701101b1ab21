/* SPDX-License-Identifier: Apache-2.0 */
/* range_tlbi_micro: what it asks for, and what the flush of a range is made of. */
#include <gtest/gtest.h>

#include "tests/support/pull_workload.hpp"
#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t ITERATIONS = 20;

ts_machine_config arm_machine()
{
    ts_machine_config c = small_machine(true);
    set(c, "hypervisor.kind", "none");
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "4");
    set(c, "run.vms", "1");
    return c;
}

Outcome flushes(const ts_machine_config &c, const char *mechanism, uint64_t pages)
{
    Outcome out =
        run_kind(c, ts_flush_find(mechanism), "range_tlbi_micro",
                 {{"pages", std::to_string(pages)}, {"iterations", std::to_string(ITERATIONS)}}, 1);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.range_flushes"), ITERATIONS);
    return out;
}

uint64_t mean_ps(const Outcome &out)
{
    return out.stats.at("guest.range_flush_ps.sum") / ITERATIONS;
}

} // namespace

TEST(RangeTlbiMicro, AsksForItsFlushesInBatches)
{
    /* pages, iterations, address, threads, scope, working set */
    uint64_t p[] = {3, 250, UINT64_C(1) << 30, 2, 0, 0};
    WorkloadPtr w = make_workload("range_tlbi_micro", p);
    std::vector<ts_op> ops = pull(w.get(), 1);
    ASSERT_EQ(ops.size(), 3u);
    EXPECT_EQ(ops[0].kind, TS_OP_FLUSH);
    EXPECT_EQ(ops[0].offset, UINT64_C(1) << 30);
    EXPECT_EQ(ops[0].length, 3u * 4096);
    EXPECT_EQ(ops[0].count, 100u);
    EXPECT_EQ(ops[2].count, 50u);
    p[2] = 100;
    EXPECT_THROW(make_workload("range_tlbi_micro", p), std::runtime_error);
}

TEST(RangeTlbiMicro, ByPageUpTo511AndThenByAsid)
{
    for (uint64_t pages : {1u, 7u, 511u, 512u, 600u}) {
        Outcome out = flushes(arm_machine(), "tlbi_broadcast", pages);
        EXPECT_EQ(out.stats.at("guest.tlbi_issued"), ITERATIONS * (pages < 512 ? pages : 1));
        EXPECT_EQ(out.stats.at("guest.dsb"), ITERATIONS);
    }
}

/* Non-leaf operations: last_level is false. */
TEST(RangeTlbiMicro, TheFlushIsOfTablesToo)
{
    Outcome out = flushes(arm_machine(), "tlbi_broadcast", 2);
    ASSERT_EQ(out.shootdowns.size(), ITERATIONS);
    for (const ts_shootdown_record &r : out.shootdowns) {
        EXPECT_TRUE(r.freed_tables);
        EXPECT_EQ(r.end - r.start, 2u * 4096);
    }
}

TEST(RangeTlbiMicro, ByRangeInAtMostFiveOperations)
{
    const std::pair<uint64_t, uint64_t> operations[] = {{1, 1},   {2, 1},   {3, 2},
                                                        {511, 3}, {512, 1}, {513, 2}};
    for (auto [pages, n] : operations) {
        Outcome out = flushes(arm_machine(), "tlbi_range", pages);
        EXPECT_EQ(out.stats.at("guest.tlbi_issued"), ITERATIONS * n) << pages;
    }
}

/* __flush_tlb_range: up to 6.8 everything from MAX_TLBI_RANGE_PAGES on, since 6.9 beyond them. */
TEST(RangeTlbiMicro, TwoToThe21PagesAreTheLastRange)
{
    const uint64_t most = UINT64_C(1) << 21;
    for (const char *split : {"legacy", "modern"}) {
        for (uint64_t pages : {most - 2, most, most + 1}) {
            ts_machine_config c = arm_machine();
            set(c, "guest.range_split", split);
            Outcome out = flushes(c, "tlbi_range", pages);
            const bool all = pages > most || (pages == most && std::string(split) == "legacy");
            const uint64_t n = pages == most || all ? 1 : 4;
            EXPECT_EQ(out.stats.at("guest.tlbi_issued"), ITERATIONS * n) << split << pages;
            EXPECT_EQ(out.stats.at("guest.tlbi_range_ops"), all ? 0 : ITERATIONS * n);
            EXPECT_EQ(out.stats.at("guest.tlbi_range_pages"), all ? 0 : ITERATIONS * pages);
        }
    }
}

/* With one TLBI outstanding each takes its round trip; with room for all only the issue of each and
 * what the misc node needs to send it out come on top. */
TEST(RangeTlbiMicro, TheTrackersDepthMakesTheSlope)
{
    ts_machine_config c = arm_machine();
    set(c, "dvm.forward_cycles", "500cycles");
    set(c, "dvm.rn_tracker", "1");
    const uint64_t one = mean_ps(flushes(c, "tlbi_broadcast", 1));
    const uint64_t two = mean_ps(flushes(c, "tlbi_broadcast", 2));
    const uint64_t nine = mean_ps(flushes(c, "tlbi_broadcast", 9));
    const uint64_t trip = two - one;
    EXPECT_GT(trip, 200 * TS_NS);
    EXPECT_NEAR(static_cast<double>(nine - two), 7.0 * static_cast<double>(trip), 2e3);
    set(c, "dvm.rn_tracker", "8");
    set(c, "dvm.mn_snoops", "8");
    const uint64_t wide_one = mean_ps(flushes(c, "tlbi_broadcast", 1));
    const uint64_t wide_eight = mean_ps(flushes(c, "tlbi_broadcast", 8));
    const uint64_t wide_nine = mean_ps(flushes(c, "tlbi_broadcast", 9));
    EXPECT_EQ(wide_one, one);
    EXPECT_LT(wide_eight - wide_one, trip / 2);
    EXPECT_GT(wide_nine - wide_eight, trip * 3 / 4); /* the ninth waits for the first */
}

TEST(RangeTlbiMicro, AWorkingSetIsReadAfterEachFlush)
{
    uint64_t p[] = {3, 2, UINT64_C(1) << 30, 1, 1, 5};
    const std::vector<ts_op_kind> kinds = {TS_OP_MMAP,  TS_OP_TOUCH, TS_OP_FLUSH,
                                           TS_OP_TOUCH, TS_OP_FLUSH, TS_OP_TOUCH};
    WorkloadPtr w = make_workload("range_tlbi_micro", p);
    std::vector<ts_op> ops = pull(w.get(), 0);
    ASSERT_EQ(ops.size(), kinds.size());
    for (size_t i = 0; i < kinds.size(); i++)
        EXPECT_EQ(ops[i].kind, kinds[i]) << i;
    EXPECT_EQ(ops[1].flags, TS_OPF_WRITE);
    EXPECT_EQ(ops[2].target, TS_FLUSH_MM);
    EXPECT_EQ(ops[2].count, 1u);
    EXPECT_EQ(ops[3].count, 5u);
    EXPECT_EQ(ops[3].flags, 0u);
    p[4] = 3; /* none */
    w = make_workload("range_tlbi_micro", p);
    EXPECT_EQ(pull(w.get(), 0).size(), 4u);
    p[5] = 0;
    EXPECT_THROW(make_workload("range_tlbi_micro", p), std::runtime_error);
}

/* A range elsewhere leaves the working set where it is; what is wider costs its walks. */
TEST(RangeTlbiMicro, WhatIsFlushedHasToBeWalkedAgain)
{
    const uint64_t set_pages = 16;
    uint64_t walks[4] = {0};
    for (uint32_t scope = 0; scope < 4; scope++) {
        static const char *const names[] = {"range", "mm", "all", "none"};
        Outcome out = run_kind(arm_machine(), ts_flush_find("tlbi_range"), "range_tlbi_micro",
                               {{"pages", "8"},
                                {"scope", names[scope]},
                                {"working_set", std::to_string(set_pages)},
                                {"iterations", std::to_string(ITERATIONS)}},
                               1);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        walks[scope] = out.stats.at("mmu.walks");
        EXPECT_EQ(out.stats.at("guest.range_flushes"), scope == 3 ? 0 : ITERATIONS);
    }
    EXPECT_EQ(walks[0], walks[3]);
    EXPECT_EQ(walks[1], walks[3] + ITERATIONS * set_pages);
    EXPECT_EQ(walks[2], walks[3] + ITERATIONS * set_pages);
}
