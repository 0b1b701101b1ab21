/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time of vCPUs goes: clocks and load by themselves, and in machines of which it is known
 * what they do. That all of it adds up is checked at the end of every run. */
#include <gtest/gtest.h>

#include "tests/support/host_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t us = 1000; /* of a workload's times */
constexpr uint64_t ms = 1000000;

ts_machine_config machine(const char *pcpus, const char *vms, const char *vcpus)
{
    ts_machine_config c = small_machine(false);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", pcpus);
    set(c, "run.vms", vms);
    set(c, "run.vcpus", vcpus);
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.halt_poll", "0");
    return c;
}

uint64_t time_of(const Outcome &o, const char *name)
{
    return o.stats.at(std::string("vcpu_time.") + name);
}

} // namespace

TEST(VcpuClock, EachPicosecondIsInOnePlace)
{
    ts_vcpu_load load{};
    ts_vcpu_clock c{};
    ts_vcpu_clock_init(&c, &load, 100);
    ts_vcpu_clock_set(&c, &load, TS_VCPU_WAITING, 130);
    ts_vcpu_clock_set(&c, &load, TS_VCPU_RUNNING, 137);
    ts_vcpu_clock_set(&c, &load, TS_VCPU_WAITING, 150);
    ts_vcpu_clock_set(&c, &load, TS_VCPU_RUNNING, 151);
    EXPECT_EQ(ts_vcpu_clock_ps(&c, TS_VCPU_HALTED, 160), 30u);
    EXPECT_EQ(ts_vcpu_clock_ps(&c, TS_VCPU_WAITING, 160), 8u);
    EXPECT_EQ(ts_vcpu_clock_ps(&c, TS_VCPU_RUNNING, 160), 22u);
    EXPECT_EQ(load.n[TS_VCPU_RUNNING], 1u);
}

/* Contended while somebody waits, and then all who run or wait count. */
TEST(VcpuLoad, IsTakenWhileSomebodyWaits)
{
    ts_vcpu_load load{};
    ts_vcpu_clock c[4] = {};
    for (ts_vcpu_clock &one : c)
        ts_vcpu_clock_init(&one, &load, 0);
    ts_vcpu_clock_set(&c[0], &load, TS_VCPU_WAITING, 10);
    ts_vcpu_clock_set(&c[0], &load, TS_VCPU_RUNNING, 12); /* 2 of one */
    ts_vcpu_clock_set(&c[1], &load, TS_VCPU_WAITING, 50);
    ts_vcpu_clock_set(&c[2], &load, TS_VCPU_WAITING, 60); /* 10 of two */
    ts_vcpu_clock_set(&c[1], &load, TS_VCPU_HALTED, 80);  /* 20 of three */
    EXPECT_EQ(ts_vcpu_load_at(&load, 90).contended_ps, 42u);
    EXPECT_EQ(ts_vcpu_load_at(&load, 90).runnable_ps, 2u + 20 + 60 + 20);
    ts_vcpu_clock_set(&c[2], &load, TS_VCPU_RUNNING, 90);
    EXPECT_EQ(ts_vcpu_load_at(&load, 1000).contended_ps, 42u);
    EXPECT_EQ(ts_vcpu_load_at(&load, 1000).runnable_ps, 102u);
}

/* One vCPU that computes, sleeps and computes, alone on its pCPU. */
TEST(VcpuTime, OfAVcpuThatSleeps)
{
    const Script s = {
        {op_ns(TS_OP_COMPUTE, 5 * ms), op_ns(TS_OP_SLEEP, 20 * ms), op_ns(TS_OP_COMPUTE, 5 * ms)}};
    const Outcome got = run_script(machine("1", "1", "1"), s, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    /* The run goes on for a millisecond after the last stream. */
    EXPECT_EQ(time_of(got, "wall_ps"), got.result.completion_ps + TS_MS);
    EXPECT_NEAR(double(time_of(got, "halted_ps")), double(21 * TS_MS), double(100 * TS_US));
    EXPECT_NEAR(double(time_of(got, "run_ps")), double(10 * TS_MS), double(100 * TS_US));
    EXPECT_EQ(time_of(got, "halt_poll_ps"), 0u);
    EXPECT_EQ(time_of(got, "idle_ps"), time_of(got, "halted_ps"));
    EXPECT_GE(time_of(got, "user_ps"), 10 * TS_MS);
    EXPECT_LT(time_of(got, "user_ps"), 10 * TS_MS + 100 * TS_US);
    EXPECT_EQ(time_of(got, "steal_ps"), time_of(got, "wait_ps"));
    /* From each wake-up until the idle pCPU has switched. */
    EXPECT_GT(time_of(got, "wait_ps"), 0u);
    EXPECT_LT(time_of(got, "wait_ps"), 20 * TS_US);
}

/* The steal clock begins when the vCPU is runnable: a task that computes on its pCPU takes what it
 * takes, exactly. */
TEST(VcpuTime, WhatAThreadOfTheHostTakesIsWait)
{
    uint64_t wait[2], run[2];
    for (bool longer : {false, true}) {
        ts_machine_config c = machine("1", "1", "1");
        set(c, "host_sched.policy", "rr");
        set(c, "host_sched.slice", "4ms");
        HostRun host(c);
        host.task({host_op(TS_HOST_SLEEP, 5 * TS_MS),
                   host_op(TS_HOST_COMPUTE, longer ? 3'000'000 : 2'000'000)},
                  0);
        const Outcome got = host.run({{op_ns(TS_OP_COMPUTE, 200 * ms)}}, 1, "native_concurrent");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        wait[longer] = time_of(got, "wait_ps");
        run[longer] = time_of(got, "run_ps");
    }
    ts_clock clock{};
    ts_clock_init(&clock, machine("1", "1", "1").topology.core_hz);
    EXPECT_NEAR(double(wait[true] - wait[false]), double(ts_clock_cycle_time(&clock, 1'000'000)),
                1000.0);
    EXPECT_NEAR(double(run[true]), double(run[false]), 1000.0);
}

/* What the host does for a vCPU in an exit is time of the guest's code that it interrupts. */
TEST(VcpuTime, ExitsFromUserCodeAreUserTime)
{
    ts_machine_config c = machine("1", "2", "1");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "1ms");
    set(c, "host_sched.tick", "1ms");
    uint64_t user[2];
    for (bool slow : {false, true}) {
        set(c, "hypervisor.exit", slow ? "20000cycles" : "600cycles");
        const Outcome got = run_script(c, {{op_ns(TS_OP_COMPUTE, 50 * ms)}}, 1);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_GT(time_of(got, "user_ps"), got.stats.at("vcpu.user_ps"));
        user[slow] = time_of(got, "user_ps");
    }
    /* A hundred preemptions at least, of 19,400 cycles more each. */
    EXPECT_GT(user[true], user[false] + 90 * 7 * TS_US);
}

TEST(VcpuTime, PollingIsOnThePcpuAndIdleToTheGuest)
{
    ts_machine_config c = machine("1", "1", "1");
    set(c, "hypervisor.halt_poll", "200us");
    set(c, "hypervisor.halt_poll_grow_start", "200us");
    Script s(1);
    for (int i = 0; i < 50; i++)
        s[0].push_back(op_ns(TS_OP_SLEEP, 100 * us));
    const Outcome got = run_script(c, s, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    /* All but the first nap, which makes it poll. */
    EXPECT_GE(got.stats.at("hypervisor.halt_poll_success"), 48u);
    /* With the 50 us of the guest's timer slack; and the poll after the last, in vain. */
    EXPECT_GT(time_of(got, "halt_poll_ps"), 48 * 145 * TS_US);
    EXPECT_LT(time_of(got, "halt_poll_ps"), 50 * 151 * TS_US + 200 * TS_US);
    EXPECT_EQ(time_of(got, "idle_ps"), time_of(got, "halted_ps") + time_of(got, "halt_poll_ps"));
}

/* A guest's kernel that waits for CPUs that have been put aside. */
TEST(VcpuTime, SpinningIsApart)
{
    ts_machine_config c = machine("2", "2", "2");
    Script s(2, {op_barrier(0, 2), op_touch(0, 0, 1), op_ns(TS_OP_COMPUTE, 20 * ms)});
    s[0] = {op_mmap(0, 4096), op_touch(0, 0, 1), op_barrier(0, 2)};
    for (int i = 0; i < 20; i++)
        s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 4096));
    for (int i = 0; i < 20; i++) {
        s[0].push_back(op_touch(0, 0, 1));
        s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 4096));
    }
    const Outcome got = run_script(c, s, 2);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(time_of(got, "spin_ps"), 0u);
    EXPECT_EQ(time_of(got, "spin_ps"), got.stats.at("vcpu.spin_ps"));
}

/* --- overcommit --- */

namespace
{

uint64_t effective(const char *vms, const Script &s)
{
    const Outcome got = run_script(machine("2", vms, "2"), s, 2);
    EXPECT_EQ(got.status, TS_OK) << got.message;
    return time_of(got, "effective_overcommit_milli");
}

} // namespace

/* All VMs compute all the time: as many as there are; at their ends some have less left. */
TEST(Overcommit, OfVmsThatComputeIsTheirNumber)
{
    const Script busy(2, {op_ns(TS_OP_COMPUTE, 300 * ms)});
    EXPECT_NEAR(double(effective("2", busy)), 2000.0, 30.0);
    EXPECT_NEAR(double(effective("4", busy)), 4000.0, 120.0);
}

/* Four VMs on the pCPUs of one, which sleep nearly always, are no overcommit. */
TEST(Overcommit, OfVmsThatSleepIsNone)
{
    Script naps(2);
    for (int i = 0; i < 50; i++) {
        naps[0].push_back(op_ns(TS_OP_SLEEP, 3 * ms));
        naps[1].push_back(op_ns(TS_OP_SLEEP, 2 * ms));
    }
    EXPECT_LT(effective("4", naps), 2000u);
    const Outcome got = run_script(machine("2", "1", "2"), naps, 2);
    EXPECT_LE(time_of(got, "effective_overcommit_milli"), 1000u);
    EXPECT_LT(time_of(got, "contended_ps"), got.result.completion_ps / 20);
}

/* One vCPU at a time, as a thread of the host reads it. */
TEST(VcpuTime, CanBeReadOfOneVcpuAtAnyTime)
{
    ts_machine_config c = machine("3", "1", "2");
    HostRun host(c);
    ts_vcpu_stats one[2] = {};
    ts_time at = 0;
    host.task({host_op(TS_HOST_SLEEP, 10 * TS_MS), host.code([&](ts_task *self, ts_hypervisor *h) {
                   at = ts_task_now(self);
                   for (uint32_t i = 0; i < 2; i++)
                       ts_hypervisor_vcpu_stats(h, i, &one[i]);
               })},
              2);
    const Script s = {{op_ns(TS_OP_COMPUTE, 20 * ms)}, {op_ns(TS_OP_SLEEP, 20 * ms)}};
    const Outcome got = host.run(s, 2, "native_concurrent");
    ASSERT_EQ(got.status, TS_OK) << got.message;
    for (const ts_vcpu_stats &v : one) {
        EXPECT_EQ(v.wall_ps, at);
        EXPECT_EQ(v.run_ps + v.spin_ps + v.halt_poll_ps + v.wait_ps + v.halted_ps, at);
        EXPECT_EQ(v.user_ps + v.sys_ps + v.steal_ps + v.idle_ps, at);
    }
    EXPECT_GT(one[0].run_ps, 9 * TS_MS);
    EXPECT_GT(one[1].halted_ps, 9 * TS_MS);
}
