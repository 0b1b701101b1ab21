/* SPDX-License-Identifier: Apache-2.0 */
/* What it takes to load a vCPU elsewhere: VMCLEAR on the pCPU that it leaves, and a branch
 * prediction barrier where another vCPU was (vmx_vcpu_load_vmcs, svm_vcpu_load). */
#include <gtest/gtest.h>

#include "tests/support/host_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t us = 1000; /* of a workload's times */
constexpr uint64_t ms = 1000000;

struct Move {
    Outcome got;
    uint64_t stat(const char *name) const
    {
        return got.stats.at(std::string("hypervisor.") + name);
    }
};

/* One vCPU that sleeps on pCPU 0, and finds it taken by a thread of the host when it wakes up: it
 * goes to pCPU 1 and stays there. */
Move move_once(const std::map<std::string, std::string> &settings)
{
    ts_machine_config c = small_machine(false);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "2");
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "1");
    set(c, "hypervisor.halt_poll", "0");
    for (const auto &[key, value] : settings)
        set(c, key, value);
    HostRun host(c);
    host.task({host_op(TS_HOST_SLEEP, 2 * TS_MS), host_op(TS_HOST_COMPUTE, 100'000'000)}, 0);
    Move m;
    m.got = host.run({{op_ns(TS_OP_COMPUTE, 500 * us), op_ns(TS_OP_SLEEP, 5 * ms),
                       op_ns(TS_OP_COMPUTE, 2 * ms)}},
                     1, "native_concurrent");
    EXPECT_EQ(m.got.status, TS_OK) << m.got.message;
    return m;
}

ts_time cycles(uint64_t n)
{
    ts_clock clock{};
    ts_clock_init(&clock, small_machine(false).topology.core_hz);
    return ts_clock_cycle_time(&clock, n);
}

} // namespace

TEST(VcpuMove, TheOldPcpuClearsTheVmcsAndTheLoaderWaits)
{
    const Move m = move_once({});
    EXPECT_EQ(m.stat("migrations_flush"), 1u);
    EXPECT_EQ(m.stat("vmclear"), 1u);
    EXPECT_EQ(m.stat("call_targets"), 1u);
    EXPECT_EQ(m.stat("call_ipis"), 1u);
    EXPECT_EQ(m.stat("kicks"), 0u);
    EXPECT_EQ(m.got.stats.at("pcpu.irq_call"), 1u);
    /* There and back, and the handler. */
    EXPECT_GT(m.stat("vmclear_wait_ps"), cycles(700 + 200));
    EXPECT_LT(m.stat("vmclear_wait_ps"), 3 * TS_US);
}

TEST(VcpuMove, VmclearTakesItsTimeAndIsWaitedFor)
{
    const Move fast = move_once({{"hypervisor.vmclear", "0"}});
    const Move slow = move_once({{"hypervisor.vmclear", "10000cycles"}});
    const Move off = move_once({{"hypervisor.vmclear_on_migration", "false"}});
    EXPECT_NEAR(double(slow.stat("vmclear_wait_ps") - fast.stat("vmclear_wait_ps")),
                double(cycles(10000)), 800.0);
    EXPECT_NEAR(double(slow.got.result.completion_ps - fast.got.result.completion_ps),
                double(cycles(10000)), 800.0);
    EXPECT_EQ(off.stat("vmclear"), 0u);
    EXPECT_EQ(off.stat("vmclear_wait_ps"), 0u);
    EXPECT_EQ(off.stat("migrations_flush"), 1u);
    EXPECT_NEAR(double(fast.got.result.completion_ps - off.got.result.completion_ps),
                double(fast.stat("vmclear_wait_ps")), 800.0);
}

/* At the first load, and where it comes to; a thread of the host in between changes nothing. */
TEST(VcpuMove, ABarrierWhereAnotherVcpuWas)
{
    const Move none = move_once({{"hypervisor.ibpb", "0"}});
    const Move slow = move_once({{"hypervisor.ibpb", "10000cycles"}});
    EXPECT_EQ(slow.stat("ibpb"), 2u);
    EXPECT_NEAR(double(slow.got.result.completion_ps - none.got.result.completion_ps),
                double(cycles(20000)), 1200.0);
    EXPECT_EQ(move_once({{"hypervisor.ibpb_on_switch", "false"}}).stat("ibpb"), 0u);
    const Move stays = move_once({{"hypervisor.pin", "true"}});
    EXPECT_EQ(stays.stat("vmclear"), 0u);
    EXPECT_EQ(stays.stat("ibpb"), 1u);
}

TEST(VcpuMove, SvmHasNothingToClear)
{
    const Move m = move_once({{"hypervisor.tlb_tags", "svm_asid"}});
    EXPECT_EQ(m.stat("migrations_flush"), 1u);
    EXPECT_EQ(m.stat("vmclear"), 0u);
    EXPECT_EQ(m.stat("ibpb"), 2u);
}

/* A vCPU that comes back finds its VMCS cleared there, but its VMCB still the pCPU's current one.
 */
TEST(VcpuMove, BackWhereItWas)
{
    for (bool svm : {false, true}) {
        ts_machine_config c = small_machine(false);
        set(c, "topology.sockets", "1");
        set(c, "topology.cores_per_socket", "2");
        set(c, "run.vms", "1");
        set(c, "run.vcpus", "1");
        set(c, "hypervisor.halt_poll", "0");
        set(c, "hypervisor.tlb_tags", svm ? "svm_asid" : "vpid_ept");
        HostRun host(c);
        host.task({host_op(TS_HOST_SLEEP, 2 * TS_MS), host_op(TS_HOST_COMPUTE, 20'000'000)}, 0);
        host.task({host_op(TS_HOST_SLEEP, 15 * TS_MS), host_op(TS_HOST_COMPUTE, 100'000'000)}, 1);
        const Outcome got = host.run({{op_ns(TS_OP_COMPUTE, 500 * us), op_ns(TS_OP_SLEEP, 5 * ms),
                                       op_ns(TS_OP_COMPUTE, 1 * ms), op_ns(TS_OP_SLEEP, 15 * ms),
                                       op_ns(TS_OP_COMPUTE, 1 * ms)}},
                                     1, "native_concurrent");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats.at("hypervisor.migrations_flush"), 2u);
        EXPECT_EQ(got.stats.at("hypervisor.vmclear"), svm ? 0u : 2u);
        EXPECT_EQ(got.stats.at("hypervisor.ibpb"), svm ? 2u : 3u);
    }
}

/* Many moves at once, in both directions: whoever waits for another pCPU takes interrupts. */
TEST(VcpuMove, ManyAtOnceEndAndEachIsCounted)
{
    ts_machine_config c = small_machine(false);
    set(c, "run.vcpus", "3");
    set(c, "hypervisor.halt_poll", "0");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "100us");
    set(c, "host_sched.tick", "100us");
    set(c, "host_sched.migration_cost", "0");
    Script s(3);
    for (uint32_t t = 0; t < 3; t++)
        for (uint32_t i = 0; i < 300; i++) {
            s[t].push_back(op_ns(TS_OP_COMPUTE, (90 + 13 * t + i % 7 * 11) * us));
            s[t].push_back(op_ns(TS_OP_SLEEP, (100 + 7 * t + i % 5 * 17) * us));
        }
    const Outcome got = run_script(c, s, 3);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("hypervisor.vmclear"), 100u);
    EXPECT_EQ(got.stats.at("hypervisor.vmclear"), got.stats.at("hypervisor.migrations_flush"));
    EXPECT_GE(got.stats.at("hypervisor.ibpb"), got.stats.at("hypervisor.vmclear"));
}
