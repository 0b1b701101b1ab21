/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect_loop and bystander: who does what, who is told, and what it takes from whom. */
#include <gtest/gtest.h>

#include "tests/support/pull_workload.hpp"
#include "tests/support/script_workload.hpp"
#include "workloads/bystander.h"
#include "workloads/mprotect_loop.h"

using namespace ts_test;

namespace
{

/* Records a second of two bystanders, without and with two loopers. */
std::pair<uint64_t, uint64_t> rates(ts_machine_config c, const char *mechanism)
{
    uint64_t rate[2];
    set(c, "run.warmup", "1ms");
    set(c, "run.window", "2ms");
    for (size_t loopers : {0u, 2u}) {
        Outcome out = run_kind(c, ts_flush_find(mechanism), "bystander",
                               {{"loopers", std::to_string(loopers)}, {"threads", "2"}}, 1);
        EXPECT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.mprotects") > 100, loopers == 2);
        rate[loopers / 2] = out.result.record_rate_uhz;
    }
    EXPECT_GT(rate[0], 0u);
    return {rate[0], rate[1]};
}

std::vector<ts_op_kind> kinds_of(const std::vector<ts_op> &ops)
{
    std::vector<ts_op_kind> kinds;
    for (const ts_op &op : ops)
        kinds.push_back(op.kind);
    return kinds;
}

} // namespace

TEST(MprotectLoop, EachRoundTakesAwayGivesBackAndWrites)
{
    auto p = workload_defaults<ts_mprotect_loop_params>("mprotect_loop");
    p.threads = 2;
    p.pages = 3;
    EXPECT_TRUE(make_workload("mprotect_loop", &p)->endless);
    p.rounds = 2;
    WorkloadPtr w = make_workload("mprotect_loop", &p);
    EXPECT_FALSE(w->endless);
    std::vector<ts_op> ops = pull(w.get(), 2);
    const std::vector<ts_op_kind> kinds = {
        TS_OP_COMPUTE, TS_OP_MMAP,     TS_OP_TOUCH,    TS_OP_MPROTECT, TS_OP_MPROTECT,
        TS_OP_TOUCH,   TS_OP_MPROTECT, TS_OP_MPROTECT, TS_OP_TOUCH,    TS_OP_EXIT};
    ASSERT_EQ(kinds_of(ops), kinds);
    EXPECT_EQ(ops[0].length, 0u); /* no stagger */
    for (size_t i : {3u, 4u, 6u, 7u}) {
        EXPECT_EQ(ops[i].region, 2u);
        EXPECT_EQ(ops[i].length, 3u * 4096);
        EXPECT_EQ(ops[i].flags, TS_OPF_RECORD);
        EXPECT_EQ(ops[i].prot, i % 3 ? TS_PROT_READ | TS_PROT_WRITE : TS_PROT_READ) << i;
    }
    EXPECT_EQ(ops[5].count, 3u);
    EXPECT_EQ(ops[5].flags, TS_OPF_WRITE);
}

/* Both calls of a round change RW, so both flush (pte_flags_need_flush). */
TEST(MprotectLoop, EachCallFlushesOnAllCpusOfTheProcess)
{
    Outcome out = run_kind(bare_machine(4), ts_flush_find("native_concurrent"), "mprotect_loop",
                           {{"threads", "3"}, {"rounds", "50"}, {"pages", "2"}}, 1);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.records"), 300u);
    EXPECT_EQ(out.stats.at("guest.mprotects"), 300u);
    uint64_t flushes = 0;
    for (const ts_shootdown_record &r : out.shootdowns)
        flushes += r.end - r.start == 2 * 4096;
    EXPECT_GT(flushes, 250u); /* the last ones find nobody else */
    EXPECT_LE(flushes, 300u);
}

TEST(Bystander, ThreadsOfAProcessOfTheirOwn)
{
    auto p = workload_defaults<ts_bystander_params>("bystander");
    p.threads = 2;
    p.loopers = 2;
    p.pages = 5;
    p.records = 2;
    EXPECT_TRUE(make_workload("bystander", &p)->endless);
    p.looper_rounds = 3;
    WorkloadPtr w = make_workload("bystander", &p);
    EXPECT_FALSE(w->endless);
    std::vector<ts_op> main = pull(w.get(), 0);
    ASSERT_EQ(main.size(), 4u);
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_EQ(main[i].kind, TS_OP_SPAWN);
        EXPECT_EQ(main[i].target, i + 1);
        EXPECT_EQ(main[i].flags, i == 2 ? TS_OPF_NEW_MM : 0u);
    }
    EXPECT_EQ(main[3].kind, TS_OP_EXIT);
    std::vector<ts_op> looper = pull(w.get(), 2);
    EXPECT_EQ(looper.size(), 3u + 3 * 3 + 1);
    for (const ts_op &op : looper)
        EXPECT_EQ(op.flags & TS_OPF_RECORD, 0u);
    std::vector<ts_op> first = pull(w.get(), 3), second = pull(w.get(), 4);
    const std::vector<ts_op_kind> kinds = {TS_OP_MMAP,  TS_OP_TOUCH,   TS_OP_TOUCH, TS_OP_COMPUTE,
                                           TS_OP_TOUCH, TS_OP_COMPUTE, TS_OP_EXIT};
    EXPECT_EQ(kinds_of(second), kinds);
    EXPECT_EQ(first[0].kind, TS_OP_SPAWN);
    EXPECT_EQ(first[0].target, 4u);
    EXPECT_EQ(first[0].flags, 0u);
    first.erase(first.begin());
    EXPECT_EQ(kinds_of(first), kinds);
    EXPECT_EQ(second[1].flags, TS_OPF_WRITE);
    EXPECT_EQ(second[2].flags, 0u);
    EXPECT_EQ(second[2].count, 5u);
    EXPECT_EQ(second[3].flags, TS_OPF_RECORD);
    EXPECT_EQ(second[3].length, 1000u);
}

/* Interrupts go to CPUs that run the process, so a bystander's rate is what it is without. */
TEST(Bystander, InterruptsOfAnotherProcessDoNotReachIt)
{
    auto [alone, beside] = rates(bare_machine(6), "native_concurrent");
    EXPECT_EQ(alone, beside);
}

/* They come to every core. What one takes from a core that computes is not modelled: only lookups
 * wait for it. */
TEST(Bystander, BroadcastsOfAnotherProcessTakeNextToNothing)
{
    ts_machine_config c = small_machine(true);
    set(c, "hypervisor.kind", "none");
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "6");
    set(c, "run.vms", "1");
    auto [alone, beside] = rates(c, "tlbi_broadcast");
    EXPECT_LE(beside, alone);
    EXPECT_GT(100 * beside, 99 * alone);
}
