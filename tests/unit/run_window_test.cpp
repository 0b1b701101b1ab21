/* SPDX-License-Identifier: Apache-2.0 */
/* Runs for a time: which records count, to the picosecond, and how such a run ends. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

/* A thread computes for 1 us at a time, each a record; the workload notes when each has ended. */
struct Clocked {
    ts_workload base{};
    ts_machine *machine = nullptr;
    uint64_t limit = 0; /* 0: endless */
    std::vector<ts_time> asked;
};

int clocked_next(ts_workload *w, uint32_t, ts_op *op, ts_error *)
{
    auto *c = reinterpret_cast<Clocked *>(w);
    if (c->machine)
        c->asked.push_back(ts_engine_now(ts_machine_engine(c->machine)));
    if (c->limit && c->asked.size() > c->limit)
        return 0;
    *op = op_ns(TS_OP_COMPUTE, 1000);
    op->flags = TS_OPF_RECORD;
    return 1;
}

struct Ended {
    ts_status status = TS_OK;
    std::string message;
    struct ts_machine_result result = {};
    std::vector<ts_time> asked;
};

Ended run_clocked(const ts_machine_config &c, uint64_t limit)
{
    Clocked w;
    w.base.next = clocked_next;
    w.base.initial_threads = 1;
    w.base.endless = limit == 0;
    w.limit = limit;
    ts_machine_vm vm{&w.base, ts_flush_find("native_concurrent"), nullptr};
    ts_error err{};
    Ended out;
    out.status = ts_machine_create(&w.machine, &c, &vm, 1, &err);
    if (out.status == TS_OK) {
        out.status = ts_machine_start(w.machine, &err);
        ts_machine_run(w.machine);
        out.status = ts_machine_finish(w.machine, &err);
        ts_machine_result(w.machine, &out.result);
        ts_machine_destroy(w.machine);
    }
    out.message = err.message;
    out.asked = w.asked;
    return out;
}

std::string ps(ts_time t)
{
    return std::to_string(t) + "ps";
}

} // namespace

TEST(RunWindow, ARecordThatEndsAtItsEndCountsAndOneALaterPicosecondDoesNot)
{
    ts_machine_config c = bare_machine(1);
    set(c, "run.window", "20us");
    const std::vector<ts_time> ends = run_clocked(c, 0).asked; /* ends[k]: record k has ended */
    ASSERT_GT(ends.size(), 10u);
    EXPECT_EQ(ends[6] - ends[5], TS_US);
    for (uint64_t k : {1u, 5u, 9u}) {
        set(c, "run.window", ps(ends[k]));
        EXPECT_EQ(run_clocked(c, 0).result.records, k);
        set(c, "run.window", ps(ends[k] - 1));
        EXPECT_EQ(run_clocked(c, 0).result.records, k - 1);
    }
}

TEST(RunWindow, ARecordThatEndsWithTheWarmUpDoesNotCount)
{
    ts_machine_config c = bare_machine(1);
    set(c, "run.window", "20us");
    const std::vector<ts_time> ends = run_clocked(c, 0).asked;
    set(c, "run.window", "5us");
    set(c, "run.warmup", ps(ends[4]));
    EXPECT_EQ(run_clocked(c, 0).result.records, 5u); /* 5 to 9, which ends with the window */
    set(c, "run.warmup", ps(ends[4] - 1));
    EXPECT_EQ(run_clocked(c, 0).result.records, 5u); /* 4 to 8 */
    set(c, "run.window", ps(5 * TS_US + 1));
    EXPECT_EQ(run_clocked(c, 0).result.records, 6u);
}

TEST(RunWindow, NothingBeginsAfterIt)
{
    ts_machine_config c = bare_machine(1);
    set(c, "run.window", "20us");
    const std::vector<ts_time> ends = run_clocked(c, 0).asked;
    set(c, "run.window", ps(ends[7]));
    const Ended out = run_clocked(c, 0);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.asked.size(), 7u); /* not asked when the seventh record had ended */
    EXPECT_EQ(out.result.operations, 7u);
}

TEST(RunWindow, TheRateIsRecordsOverTheWindow)
{
    ts_machine_config c = bare_machine(1);
    set(c, "run.warmup", "100us");
    set(c, "run.window", "3ms");
    Ended out = run_clocked(c, 0);
    EXPECT_EQ(out.result.window_ps, 3 * TS_MS);
    EXPECT_EQ(out.result.records, 3000u);
    EXPECT_EQ(out.result.record_rate_uhz, UINT64_C(1000000000000));
    /* Without a window: until the stream ends. */
    c = bare_machine(1);
    out = run_clocked(c, 10);
    EXPECT_EQ(out.result.records, 10u);
    EXPECT_EQ(out.result.record_rate_uhz,
              static_cast<uint64_t>(10e18L / static_cast<long double>(out.result.completion_ps)));
    set(c, "run.warmup", ps(out.asked[4]));
    EXPECT_EQ(run_clocked(c, 10).result.records, 6u);
}

TEST(RunWindow, VmsShareTheirMean)
{
    ts_machine_config c = small_machine();
    set(c, "run.vcpus", "2");
    set(c, "run.warmup", "1ms");
    set(c, "run.window", "2ms");
    /* One thread in the first VM and two in the second, each 10 us at a time. */
    std::vector<ts_op> loop(1000, op_ns(TS_OP_COMPUTE, 10000));
    for (ts_op &op : loop)
        op.flags = TS_OPF_RECORD;
    ScriptWorkload one({loop}, 1), two({loop, loop}, 2);
    Outcome out = run_workloads(c, ts_flush_find("native_concurrent"), {one.get(), two.get()}, 1);
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GE(out.result.records, 300u);
    /* (a / 2 ms + b / 2 ms) / 2 */
    EXPECT_EQ(out.result.record_rate_uhz, out.result.records * 250000000);
}

TEST(RunWindow, ThreadsThatWaitForOthersEndWithIt)
{
    ts_machine_config c = bare_machine(2);
    set(c, "run.window", "1ms");
    /* The first comes to the barrier; the other is still computing when the window ends. */
    Script script = {{op_barrier(0, 2)}, {op_ns(TS_OP_COMPUTE, 2000000), op_barrier(0, 2)}};
    Outcome out = run_script(c, script, 2);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GE(out.result.completion_ps, 2 * TS_MS);
    EXPECT_LT(out.result.completion_ps, 3 * TS_MS);
    /* And who begins to wait when all others have ended already. */
    script = {{op_ns(TS_OP_COMPUTE, 500000), op_ns(TS_OP_COMPUTE, 499000), op_touch(7, 0, 1)},
              {op_ns(TS_OP_COMPUTE, 2000000)}};
    out = run_script(c, script, 2);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    set(c, "run.window", "0");
    out = run_script(c, script, 2);
    EXPECT_EQ(out.status, TS_ERR_USER);
}

/* The call begins in time, and comes to its wait when the window is over and nobody else is left.
 */
TEST(RunWindow, AWaitThatBeginsAfterItIsNoMistake)
{
    ts_machine_config c = bare_machine(1);
    set(c, "run.window", "20us");
    const ts_time begins = run_clocked(c, 0).asked.at(1);
    const Script script = {{op_ns(TS_OP_COMPUTE, 1000), op_barrier(0, 2)}};
    set(c, "run.window", ps(begins + 1));
    Outcome out = run_script(c, script, 1);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GT(out.result.completion_ps, begins + 1);
    set(c, "run.window", ps(begins)); /* without the call, but with the thread's exit */
    EXPECT_NE(run_script(c, script, 1).result.completion_ps, out.result.completion_ps);
    set(c, "run.window", ps(begins + TS_US));
    EXPECT_EQ(run_script(c, script, 1).status, TS_ERR_USER);
}

TEST(RunWindow, WhatCannotBeIsRefused)
{
    ts_machine_config c = bare_machine(1);
    Ended out = run_clocked(c, 0);
    EXPECT_EQ(out.status, TS_ERR_USER);
    EXPECT_EQ(out.message, "run.window is 0, but the workload of VM 0 has no end");
    set(c, "run.warmup", "40s");
    set(c, "run.window", "20s");
    out = run_clocked(c, 0);
    EXPECT_EQ(out.status, TS_ERR_USER);
    EXPECT_NE(out.message.find("run.window ends at 60000000000000 ps"), std::string::npos)
        << out.message;
}
