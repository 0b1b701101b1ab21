/* SPDX-License-Identifier: Apache-2.0 */
/* KVM_HC_SCHED_YIELD and KVM_HC_SEND_IPI as the mechanisms that are about them: three vCPUs on two
 * pCPUs, so that one of the two targets of a flush waits behind the initiator. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

/* vCPUs 0 and 2 share pCPU 0, vCPU 1 has the other. No pause exits: who waits, spins. */
ts_machine_config crowded()
{
    ts_machine_config c = small_machine();
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "2");
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "3");
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.ple", "false");
    set(c, "host_sched.policy", "cfs");
    return c;
}

/* Thread 0 drops one page five times; the others compute, or sleep. */
Outcome five_flushes(const ts_machine_config &c, const char *mechanism, bool asleep = false)
{
    std::vector<ts_op> flushes = {op_ns(TS_OP_COMPUTE, 30 * ms), op_mmap(0, 64 * page)};
    for (int i = 0; i < 5; i++) {
        flushes.push_back(op_ns(TS_OP_COMPUTE, 13 * ms));
        flushes.push_back(op_touch(0, 0, 1));
        flushes.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
    }
    std::vector<ts_op> rest = {op_ns(TS_OP_COMPUTE, ms),
                               op_ns(asleep ? TS_OP_SLEEP : TS_OP_COMPUTE, 400 * ms)};
    Outcome out = run_script(c, {flushes, rest, rest}, 3, mechanism);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

uint64_t at(const Outcome &out, const char *name)
{
    return out.stats.at(name);
}

} // namespace

TEST(SchedYield, TheTargetBehindTheInitiatorRunsAtOnce)
{
    ts_machine_config c = crowded();
    set(c, "hypervisor.pv_tlb_flush", "true");
    Outcome without = five_flushes(c, "native_concurrent");
    set(c, "hypervisor.pv_sched_yield", "true");
    Outcome with = five_flushes(c, "native_concurrent");
    EXPECT_EQ(at(without, "hypervisor.hypercalls_yield"), 0u);
    EXPECT_EQ(at(without, "hypervisor.directed_yield_attempted"), 0u);
    EXPECT_EQ(at(with, "hypervisor.hypercalls_yield"), 5u);
    EXPECT_EQ(at(with, "hypervisor.directed_yield_successful"), 5u);
    /* It waits until the other has had its slice, but not, before that, for the end of its own. */
    for (int i = 0; i < 5; i++) {
        ASSERT_EQ(without.shootdowns[i].targets, 2u);
        EXPECT_GE(without.shootdowns[i].total_ps, with.shootdowns[i].total_ps + 3 * TS_MS) << i;
    }
}

TEST(SchedYield, OnlyWhereTheHostOffersItAndAsTheMechanismKvmPvYield)
{
    ts_machine_config c = crowded();
    /* Without steal time there is nothing to look at. */
    set(c, "hypervisor.pv_tlb_flush", "false");
    set(c, "hypervisor.pv_sched_yield", "true");
    EXPECT_EQ(at(five_flushes(c, "native_concurrent"), "hypervisor.hypercalls_yield"), 0u);
    c = crowded();
    EXPECT_EQ(at(five_flushes(c, "kvm_pv"), "hypervisor.hypercalls_yield"), 0u);
    Outcome out = five_flushes(c, "kvm_pv_yield");
    EXPECT_GE(at(out, "flush.kvm_pv_yield.deferred"), 5u);
    /* What is preempted has left the mask, so that one target is left: not a call to several. */
    EXPECT_EQ(at(out, "hypervisor.hypercalls_yield"), 0u);
}

TEST(SchedYield, OneTargetIsNotYieldedTo)
{
    ts_machine_config c = crowded();
    set(c, "topology.cores_per_socket", "1");
    set(c, "run.vcpus", "2");
    set(c, "hypervisor.pv_sched_yield", "true");
    std::vector<ts_op> flushes = {op_ns(TS_OP_COMPUTE, 30 * ms), op_mmap(0, 64 * page),
                                  op_touch(0, 0, 1), op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page)};
    Outcome out =
        run_script(c, {flushes, {op_ns(TS_OP_COMPUTE, 120 * ms)}}, 2, "native_concurrent");
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GE(at(out, "guest.shootdowns"), 1u);
    EXPECT_EQ(at(out, "hypervisor.hypercalls_yield"), 0u);
}

TEST(SchedYield, AnIdleTargetIsNotYieldedTo)
{
    ts_machine_config c = crowded();
    set(c, "hypervisor.pv_sched_yield", "true");
    set(c, "hypervisor.pv_preempted_rule", "any_put"); /* halted ones are reported too */
    set(c, "guest.lazy_rule", "ipi_all");              /* and told */
    Outcome out = five_flushes(c, "native_concurrent", true);
    EXPECT_GE(at(out, "guest.targets"), 2u);
    EXPECT_EQ(at(out, "hypervisor.hypercalls_yield"), 0u);
}

TEST(PvIpi, TheMechanismSendsToTwoVcpusByOneHypercallOnAHostThatOffersNone)
{
    ts_machine_config c = crowded();
    set(c, "topology.cores_per_socket", "4");
    set(c, "run.vcpus", "4");
    set(c, "interrupt.shorthand", "false");
    Outcome native = five_flushes(c, "native_concurrent");
    Outcome pv = five_flushes(c, "kvm_pv_ipi");
    EXPECT_EQ(at(native, "hypervisor.hypercalls_ipi"), 0u);
    EXPECT_EQ(at(native, "hypervisor.exit_icr"), at(native, "guest.targets"));
    EXPECT_EQ(at(pv, "hypervisor.hypercalls_ipi"), at(pv, "guest.shootdowns"));
    EXPECT_EQ(at(pv, "hypervisor.exit_icr"), 0u);
    EXPECT_EQ(at(pv, "guest.ipis"), at(native, "guest.ipis"));
}
