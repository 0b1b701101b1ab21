/* SPDX-License-Identifier: Apache-2.0 */
/* What the host does to TLBs and to a vCPU's report when a vCPU is put aside and loaded. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;

/* vCPUs take turns on each pCPU, as often as they can. */
ts_machine_config crowded(bool arm)
{
    ts_machine_config c = small_machine(arm);
    set(c, "run.vms", "3");
    set(c, "hypervisor.pin", "true");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "100us");
    set(c, "host_sched.tick", "100us");
    return c;
}

/* Threads that lose and regain the right to write, page by page. */
Script toggles(uint32_t threads, uint64_t pages, int rounds)
{
    Script s(threads);
    for (uint32_t t = 0; t < threads; t++) {
        s[t] = {op_mmap(t, pages * page), op_touch(t, 0, pages)};
        for (int r = 0; r < rounds; r++) {
            s[t].push_back(op_range(TS_OP_MPROTECT, t, 0, pages * page, TS_PROT_READ));
            s[t].push_back(
                op_range(TS_OP_MPROTECT, t, 0, pages * page, TS_PROT_READ | TS_PROT_WRITE));
        }
    }
    return s;
}

} // namespace

/* arch/arm64/kernel/process.c __switch_to: dsb(ish), since the task may go on elsewhere. */
TEST(VcpuPut, WaitsForWhatTheVcpuHasBroadcast)
{
    Outcome got = run_script(crowded(true), toggles(4, 500, 20), 4, "tlbi_broadcast");
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("dvm.syncs"), got.stats.at("guest.dsb"));
    /* Nobody is put aside while nobody else waits. */
    ts_machine_config alone = crowded(true);
    set(alone, "run.vms", "1");
    got = run_script(alone, toggles(4, 500, 20), 4, "tlbi_broadcast");
    EXPECT_LE(got.stats.at("dvm.syncs"), got.stats.at("guest.dsb"));
}

/* arch/arm64/kvm/arm.c kvm_arch_vcpu_load: the vCPUs of a VM share a VMID, so each that is loaded
 * where another one of them ran last begins with an empty TLB. */
TEST(VcpuLoad, DropsWhatAnotherVcpuOfTheVmLeft)
{
    ts_machine_config c = crowded(true);
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "8");
    Script s(8);
    for (uint32_t t = 0; t < 8; t++) {
        s[t] = {op_mmap(t, 64 * page)};
        for (int r = 0; r < 8000; r++)
            s[t].push_back(op_touch(t, 0, 64));
    }
    Outcome flushes = run_script(c, s, 8, "tlbi_broadcast");
    set(c, "hypervisor.last_vcpu_ran_flush", "false");
    Outcome keeps = run_script(c, s, 8, "tlbi_broadcast");
    ASSERT_EQ(flushes.status, TS_OK) << flushes.message;
    EXPECT_GT(flushes.stats.at("hypervisor.stage1_flush_switch"), 4u);
    EXPECT_EQ(keeps.stats.at("hypervisor.stage1_flush_switch"), 0u);
    EXPECT_GT(flushes.stats.at("mmu.walks"), keeps.stats.at("mmu.walks") + 100);
}

/* x86.c kvm_steal_time_set_preempted: since 5.19 only where the guest was at an instruction's end,
 * which it is not in the middle of a hypercall's or an ICR write's work. */
TEST(VcpuPut, ReportsPreemptionAfterHostInterruptsOnly)
{
    ts_machine_config c = crowded(false);
    /* Most of the time goes by in the emulation of ICR writes. */
    set(c, "hypervisor.apicv", "false");
    set(c, "hypervisor.ipiv", "false");
    set(c, "hypervisor.icr_fastpath", "30000cycles");
    Outcome got = run_script(c, toggles(4, 8, 60), 4);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("hypervisor.preemption_reported"), 0u);
    EXPECT_GT(got.stats.at("hypervisor.preemption_other"), 0u);
}
