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

/* They come to every core, and what computes there stands still while its TLB is swept: of the time
 * of two bystanders what the statistics say, and nothing on cores whose look-ups go on. */
TEST(Bystander, BroadcastsOfAnotherProcessTakeTheTimeOfTheirSweeps)
{
    ts_machine_config c = small_machine(true);
    set(c, "hypervisor.kind", "none");
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "6");
    set(c, "run.vms", "1");
    set(c, "guest.max_dvm_ops", "1"); /* each flush sweeps for an ASID */
    set(c, "mmu.sweep_sets_per_cycle", "1");
    set(c, "mmu.sweep_blocking", "false");
    auto [alone, beside] = rates(c, "tlbi_broadcast");
    EXPECT_LE(beside, alone);
    EXPECT_GT(1000 * beside, 999 * alone);
    set(c, "mmu.sweep_blocking", "true");
    auto [alone_blocked, beside_blocked] = rates(c, "tlbi_broadcast");
    EXPECT_EQ(alone_blocked, alone);
    EXPECT_LT(100 * beside_blocked, 98 * alone);
    EXPECT_GT(100 * beside_blocked, 50 * alone);
}

/* VM 0 computes for 1 ms on each of 2 vCPUs, VM 1 flushes meanwhile, each on pCPUs of its own. */
TEST(Bystander, WhatAVmLosesToAnotherIsAStatisticOfIt)
{
    ts_machine_config c = small_machine(true);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "4");
    set(c, "run.vcpus", "2");
    set(c, "hypervisor.pin", "true");
    set(c, "mmu.sweep_sets_per_cycle", "1");
    Script compute = {{op_spawn(1), op_ns(TS_OP_COMPUTE, 1000000)},
                      {op_ns(TS_OP_COMPUTE, 1000000)}};
    Script flush = {{op_spawn(1), op_mmap(0, 4096), op_touch(0, 0, 1)},
                    {op_ns(TS_OP_COMPUTE, 100000)}};
    for (uint32_t i = 0; i < 100; i++) {
        flush[0].push_back(op_range(TS_OP_MPROTECT, 0, 0, 4096, TS_PROT_READ));
        flush[0].push_back(op_range(TS_OP_MPROTECT, 0, 0, 4096, TS_PROT_READ | TS_PROT_WRITE));
    }
    ts_time ended[2] = {0, 0};
    for (bool blocking : {false, true}) {
        set(c, "mmu.sweep_blocking", blocking ? "true" : "false");
        ScriptWorkload one(compute, 1), two(flush, 1);
        Outcome out = run_workloads(c, ts_flush_find("tlbi_broadcast"), {one.get(), two.get()}, 1);
        ASSERT_EQ(out.status, TS_OK) << out.message;
        const struct ts_machine_vm_result &victim = out.vms.at(0);
        ended[blocking] = victim.completion_ps;
        EXPECT_EQ(out.vms[1].held_ps > 0, blocking); /* by its own */
        EXPECT_EQ(out.vms[1].held_foreign_ps, 0u);
        EXPECT_EQ(victim.held_ps, victim.held_foreign_ps);
        EXPECT_EQ(victim.held_ps > 0, blocking);
        if (!blocking)
            continue;
        /* 200 flushes on two computing vCPUs, which lose it beside each other. */
        EXPECT_NEAR(static_cast<double>(ended[1] - ended[0]),
                    static_cast<double>(victim.held_ps) / 2,
                    static_cast<double>(victim.held_ps) / 20);
        /* A pCPU's has what its host's code lost, too. */
        EXPECT_LE(out.stats.at("vcpu.held_foreign_cycles"),
                  out.stats.at("pcpu.held_foreign_cycles"));
    }
}
