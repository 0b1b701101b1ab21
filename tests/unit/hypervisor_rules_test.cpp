/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of KVM's host side, by name: whole small machines in which each shows. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t us = 1000;
constexpr uint64_t ms = 1000000;

/* One VM whose vCPUs are one a pCPU, and nothing else on the machine. */
ts_machine_config alone(bool arm)
{
    ts_machine_config c = small_machine(arm);
    set(c, "run.vms", "1");
    set(c, "hypervisor.pin", "true");
    return c;
}

} // namespace

/* arch/arm64/kvm/arch_timer.c: the virtual timer is the guest's; on x86 the deadline MSR traps. */
TEST(HypervisorRules, ProgrammingTheTimerExitsOnX86Only)
{
    uint64_t exits[2];
    for (bool arm : {false, true}) {
        Script s(1);
        for (int i = 0; i < 50; i++)
            s[0].push_back(op_ns(TS_OP_SLEEP, 100 * us));
        Outcome got = run_script(alone(arm), s, 1, arm ? "tlbi_broadcast" : "native_concurrent");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        exits[arm] = got.stats.at("hypervisor.exit_timer");
    }
    EXPECT_GE(exits[false], 50u);
    EXPECT_EQ(exits[true], 0u);
}

/* last_vcpu_ran starts at -1 on each pCPU (kvm_init_stage2_mmu), so the first load flushes. */
TEST(HypervisorRules, TheFirstLoadOnAPcpuFlushesItsContextAndThatTakesTime)
{
    ts_time end[2];
    for (bool slow : {false, true}) {
        ts_machine_config c = alone(true);
        set(c, "hypervisor.flush_cpu_context", slow ? "200000cycles" : "0cycles");
        Outcome got = run_script(c, {{op_ns(TS_OP_COMPUTE, ms)}}, 1, "tlbi_broadcast");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats.at("hypervisor.stage1_flush_switch"), c.run.vcpus);
        end[slow] = got.result.completion_ps;
    }
    EXPECT_GE(end[true], end[false] + 50 * TS_US);
}
