/* SPDX-License-Identifier: Apache-2.0 */
/* How often a guest's CPUs tick and programme their timer, which exits on x86 (Linux 6.12
 * kernel/time/tick-sched.c, kernel/sched/idle.c). Periods of 4 ms, from 0 on. When the thread has
 * ended its CPU idles once more: a halt, and a stop where ticks stop at once. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t us = 1000, ms = 1000 * us;

struct Counts {
    uint64_t ticks, stopped, writes, exits, halts;
};

void expect(const Counts &got, const Counts &want)
{
    EXPECT_EQ(got.ticks, want.ticks);
    EXPECT_EQ(got.stopped, want.stopped);
    EXPECT_EQ(got.writes, want.writes);
    EXPECT_EQ(got.exits, want.exits);
    EXPECT_EQ(got.halts, want.halts);
}

ts_machine_config machine(const char *tick, bool after_tick, uint32_t vcpus = 1, bool arm = false)
{
    ts_machine_config c = small_machine(arm);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", std::to_string(vcpus));
    set(c, "run.vms", "1");
    set(c, "run.vcpus", std::to_string(vcpus));
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.halt_poll", "0");
    set(c, "guest.tick", tick);
    set(c, "guest.nohz_after_tick", after_tick ? "true" : "false");
    return c;
}

Counts run(const ts_machine_config &c, const Script &s)
{
    const bool arm = c.topology.arch == TS_ARCH_ARM64;
    const bool bare = c.hypervisor.kind == TS_HYP_NONE;
    Outcome out = run_script(c, s, static_cast<uint32_t>(s.size()),
                             arm ? "tlbi_broadcast" : "native_concurrent");
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return {out.stats["guest.ticks"], out.stats["guest.ticks_stopped"],
            out.stats["guest.timer_writes"], bare ? 0 : out.stats["hypervisor.exit_timer"],
            bare ? 0 : out.stats["hypervisor.exit_halt"]};
}

const Script sleeps = {
    {op_ns(TS_OP_COMPUTE, 100 * us), op_ns(TS_OP_SLEEP, 20 * ms), op_ns(TS_OP_COMPUTE, 100 * us)}};

} // namespace

/* The first write is that of the CPU that leaves its idle loop; each tick ends with another. x86:
 * both the expiry of a running vCPU and the write exit, arm64: the expiry. */
TEST(Nohz, ARunningCpuTicksEachPeriod)
{
    const Script computes = {{op_ns(TS_OP_COMPUTE, 42 * ms)}};
    for (const char *tick : {"nohz", "periodic"}) {
        SCOPED_TRACE(tick);
        expect(run(machine(tick, true), computes), {10, 0, 11, 21, 1});
        expect(run(machine(tick, true, 1, true), computes), {10, 0, 11, 10, 1});
    }
    expect(run(machine("waiting", true), computes), {0, 0, 0, 0, 1});
    ts_machine_config bare = bare_machine(1);
    set(bare, "guest.tick", "nohz");
    expect(run(bare, computes), {10, 0, 11, 0, 0});
}

/* 20 ms of sleep that begin at 0.1 ms. The sleeper's timer is behind the tick, so that it is not
 * written when it is queued. */
TEST(Nohz, ALongSleepStopsTheTickOnceOneHasCome)
{
    /* The tick at 4 ms, its end, the stop, the end of the sleeper's interrupt, the restart. */
    expect(run(machine("nohz", true), sleeps), {1, 1, 1 + 4, 1 + 4, 3});
}

TEST(Nohz, OlderKernelsStopTheTickWhenTheyIdle)
{
    expect(run(machine("nohz", false), sleeps), {0, 2, 1 + 3 + 1, 1 + 3 + 1, 2});
}

TEST(Nohz, WithTheTickKeptASleepIsWokenEachPeriod)
{
    /* Five ticks, and the end of the sleeper's interrupt. */
    expect(run(machine("periodic", true), sleeps), {5, 0, 1 + 6, 1 + 6, 7});
}

TEST(Nohz, WithoutTicksASleepIsOneWrite)
{
    Counts got = run(machine("waiting", true), sleeps);
    EXPECT_EQ(got.exits, 1u);
    EXPECT_EQ(got.halts, 2u);
}

/* A sleeper's timer before the tick is written; the tick comes back at the end of its interrupt,
 * or at the end of the idle loop where it was stopped. */
TEST(Nohz, ANapIsTwoWritesAndThreeWhereTheTickStopsAtOnce)
{
    for (bool after_tick : {true, false}) {
        Script naps = {{op_ns(TS_OP_COMPUTE, 100 * us)}};
        for (int i = 0; i < 5; i++) {
            naps[0].push_back(op_ns(TS_OP_SLEEP, 300 * us));
            naps[0].push_back(op_ns(TS_OP_COMPUTE, 100 * us));
        }
        const uint64_t writes = after_tick ? 1 + 5 * 2 : 1 + 5 * 3 + 1;
        expect(run(machine("nohz", after_tick), naps),
               {0, after_tick ? 0u : 6u, writes, writes, 6});
    }
}

/* A CPU that idles until another one wakes it, without a timer of its own. */
TEST(Nohz, AnIdlePeriodIsTwoWritesWhereTheTickStopsAtOnceElseNone)
{
    for (bool after_tick : {true, false}) {
        uint64_t writes[2];
        for (int rounds : {0, 6}) {
            Script s(2);
            for (uint32_t t = 0; t < 2; t++) {
                for (int r = 0; r < rounds + 2; r++) {
                    s[t].push_back(op_ns(TS_OP_COMPUTE, t ? 10 * us : 300 * us));
                    s[t].push_back(op_barrier(0, 2));
                }
            }
            Counts got = run(machine("nohz", after_tick, 2), s);
            EXPECT_EQ(got.ticks, 0u);
            writes[rounds != 0] = got.writes;
        }
        EXPECT_EQ(writes[1] - writes[0], after_tick ? 0u : 6u * 2u);
    }
}

/* Of two sleepers on one CPU only the earlier one's timer is in the device. */
TEST(Nohz, ALaterSleeperIsNotProgrammed)
{
    const Script two = {{op_ns(TS_OP_SLEEP, ms)}, {op_ns(TS_OP_SLEEP, 2 * ms)}};
    /* The restart; the first sleeper; at its end the second one's; at that one's end the tick. */
    expect(run(machine("nohz", true), two), {0, 0, 4, 4, 3});
}

TEST(Nohz, AGuestIsDoneThoughItsTickIsKept)
{
    ts_machine_config c = machine("periodic", true);
    set(c, "run.vms", "2");
    Outcome out = run_script(c, {{op_ns(TS_OP_SLEEP, 9 * ms)}}, 1);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    EXPECT_LT(out.result.completion_ps, 10 * TS_MS);
}
