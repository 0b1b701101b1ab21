/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of KVM's host side, by name: whole small machines in which each shows. */
#include <gtest/gtest.h>

#include <list>
#include <set>

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

/* vCPUs take turns on each pCPU, as often as they can. */
ts_machine_config crowded(bool arm, bool pinned = true)
{
    ts_machine_config c = small_machine(arm);
    set(c, "hypervisor.pin", pinned ? "true" : "false");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "100us");
    set(c, "host_sched.tick", "100us");
    return c;
}

/* Threads that go on reading a region whose pages the first one gives back. */
Script drops(uint32_t threads, uint64_t pages, int rounds)
{
    Script s(threads);
    for (uint32_t t = 0; t < threads; t++) {
        if (t == 0)
            s[t] = {op_mmap(0, pages * page), op_touch(0, 0, pages)};
        s[t].push_back(op_barrier(0, threads));
        for (int r = 0; r < rounds; r++) {
            if (t == 0) {
                s[t].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, pages * page));
                s[t].push_back(op_ns(TS_OP_COMPUTE, 5 * us));
            } else {
                for (int k = 0; k < 20; k++)
                    s[t].push_back(op_touch(0, 0, pages, false));
            }
        }
        s[t].push_back(op_barrier(1, threads));
    }
    return s;
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

/* openEuler's hisi_virt.c keeps such a set a VM. The oracle sees a pCPU that is left out. */
TEST(HypervisorRules, TheDvmFilterNamesThePcpusThatHaveRunTheVm)
{
    for (bool pinned : {true, false}) {
        ts_machine_config c = crowded(true, pinned);
        set(c, "run.vcpus", "2");
        set(c, "dvm.vmid_filter", "true");
        Outcome got = run_script(c, drops(2, 4, 40), 2, "tlbi_broadcast");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        if (pinned) {
            EXPECT_GT(got.stats.at("dvm.vmid_filtered"), 0u);
        }
        set(c, "run.vcpus", "6");
        got = run_script(c, drops(6, 4, 40), 6, "tlbi_broadcast");
        ASSERT_EQ(got.status, TS_OK) << got.message;
    }
}

/* --- the kick of a Hyper-V flush --- */

namespace
{

/* Flushes of one initiator while all others compute in guest mode, one on each pCPU. */
Outcome kicks(const ts_machine_config &c)
{
    Script s(4, {op_barrier(0, 4), op_touch(0, 0, 1), op_ns(TS_OP_COMPUTE, 2 * ms)});
    s[0] = {op_mmap(0, page), op_touch(0, 0, 1), op_barrier(0, 4), op_ns(TS_OP_COMPUTE, 100 * us)};
    for (int r = 0; r < 10; r++) {
        s[0].push_back(op_range(TS_OP_MPROTECT, 0, 0, page, TS_PROT_READ));
        s[0].push_back(op_range(TS_OP_MPROTECT, 0, 0, page, TS_PROT_READ | TS_PROT_WRITE));
        s[0].push_back(op_touch(0, 0, 1));
    }
    return run_script(c, s, 4, "hyperv");
}

} // namespace

/* kernel/smp.c smp_call_function_many_cond: by x2APIC cluster one write reaches all; in physical
 * mode each wants its own. */
TEST(HypervisorRules, TheKickIsOneCallForAllPcpus)
{
    ts_machine_config c = alone(false);
    std::map<std::string, uint64_t> by_mode[2];
    for (bool cluster : {false, true}) {
        set(c, "interrupt.mode", cluster ? "x2apic_cluster" : "x2apic_phys");
        set(c, "interrupt.shorthand", "false");
        Outcome got = kicks(c);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_GT(got.stats.at("hypervisor.call_targets"), 20u);
        EXPECT_EQ(got.stats.at("hypervisor.kicks"), got.stats.at("hypervisor.call_ipis"));
        by_mode[cluster] = got.stats;
    }
    /* Three targets a call. */
    const uint64_t calls = by_mode[true].at("hypervisor.call_targets") / 3;
    EXPECT_EQ(by_mode[true].at("interrupt.writes") + 2 * calls,
              by_mode[false].at("interrupt.writes"));
}

/* --- pause loops --- */

namespace
{

/* More vCPUs than pCPUs, and initiators that wait for such as have been put aside. */
Outcome spins(const ts_machine_config &c)
{
    return run_script(c, drops(4, 2, 400), 4, "native_concurrent");
}

} // namespace

/* grow_ple_window: each exit doubles the window, so that a wait of n windows takes log2(n) exits.
 */
TEST(HypervisorRules, ThePleWindowDoublesWhileAVcpuStaysIn)
{
    uint64_t exits[2];
    for (bool small : {false, true}) {
        ts_machine_config c = crowded(false);
        set(c, "hypervisor.ple_window", small ? "512cycles" : "4096cycles");
        Outcome got = spins(c);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        exits[small] = got.stats.at("hypervisor.exit_pause");
    }
    EXPECT_GT(exits[false], 0u);
    EXPECT_GT(exits[true], exits[false]);
    /* Three windows more from 512 cycles than from 4096, for each wait. */
    EXPECT_LE(exits[true], 4 * exits[false]);
}

/* --- halt polling --- */

namespace
{

/* One thread that takes some short naps and some long ones; its vCPU halts meanwhile. */
Outcome naps(int many_short, int many_long)
{
    ts_machine_config c = alone(false);
    set(c, "run.vcpus", "1");
    set(c, "hypervisor.halt_poll", "200us");
    Script s(1);
    for (int i = 0; i < many_short; i++)
        s[0].push_back(op_ns(TS_OP_SLEEP, 20 * us));
    for (int i = 0; i < many_long; i++)
        s[0].push_back(op_ns(TS_OP_SLEEP, 2 * ms));
    return run_script(c, s, 1);
}

} // namespace

/* kvm_vcpu_halt: short blocks make the vCPU poll for longer, until polling succeeds. */
TEST(HypervisorRules, HaltPollingGrowsUntilItSucceeds)
{
    Outcome got = naps(100, 0);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("hypervisor.halt_poll_success"), 80u);
}

/* Blocks beyond the cap make it poll for less, down to not at all. */
TEST(HypervisorRules, HaltPollingShrinksWhereItIsOfNoUse)
{
    Outcome got = naps(20, 100);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("hypervisor.halt_poll_success"), 10u);
    EXPECT_LT(got.stats.at("hypervisor.halt_poll_fail"), 20u);
}

/* vmx_sync_pir_to_irr: the timer's interrupt is posted while the vCPU is out, and found at entry.
 */
TEST(HypervisorRules, WhatIsPostedToAVcpuThatIsOutIsSeenAtItsEntry)
{
    Outcome got = naps(20, 20);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GE(got.stats.at("vcpu.irq_timer"), 40u);
}

/* --- whom a spinning vCPU may boost --- */

/* kvm_vcpu_on_spin, 4.14 to 5.2: vCPUs that were put in user mode are of no use to a spinner in the
 * kernel. Since 5.13 they are, if an interrupt waits for them. */
TEST(HypervisorRules, UserModeVcpusAreBoostedSinceAPendingInterruptCounts)
{
    uint64_t tried[2];
    for (bool irq : {false, true}) {
        ts_machine_config c = crowded(false);
        set(c, "hypervisor.boost_rule", irq ? "ready_irq" : "preempted");
        set(c, "hypervisor.ple_window", "512cycles");
        Script s(4, {op_barrier(0, 4), op_touch(0, 0, 1), op_ns(TS_OP_COMPUTE, 20 * ms)});
        s[0] = {op_mmap(0, page), op_touch(0, 0, 1), op_barrier(0, 4)};
        for (int r = 0; r < 200; r++) {
            s[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
            s[0].push_back(op_touch(0, 0, 1));
            s[0].push_back(op_ns(TS_OP_COMPUTE, 20 * us));
        }
        Outcome got = run_script(c, s, 4, "native_concurrent");
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_GT(got.stats.at("hypervisor.exit_pause"), 20u);
        tried[irq] = got.stats.at("hypervisor.directed_yield_attempted");
    }
    EXPECT_GT(tried[true], 10 * tried[false] + 10);
}

/* --- migration --- */

/* vmx_vcpu_load_vmcs: a vCPU that comes to another pCPU may find there what it left earlier. */
TEST(HypervisorRules, AVcpuThatHasMovedFlushesItsNewPcpu)
{
    ts_machine_config c = crowded(false, false);
    set(c, "run.vcpus", "6");
    set(c, "hypervisor.halt_poll", "0");
    set(c, "guest.zero_page", "false"); /* which would come back after each drop */
    Script s(6);
    for (uint32_t t = 0; t < 6; t++) {
        if (t == 0)
            s[t] = {op_mmap(0, 8 * page), op_touch(0, 0, 8)};
        s[t].push_back(op_barrier(0, 6));
        for (uint64_t r = 0; r < 100; r++) {
            if (t == 0)
                s[t].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, 8 * page));
            s[t].push_back(op_touch(0, 0, 8, false));
            s[t].push_back(op_ns(r % 2 ? TS_OP_SLEEP : TS_OP_COMPUTE, (20 + 13 * t) * us));
        }
        s[t].push_back(op_barrier(1, 6));
    }
    Outcome got = run_script(c, s, 6, "native_concurrent");
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("hypervisor.migrations_flush"), 20u);
    set(c, "hypervisor.flush_on_migration", "false");
    got = run_script(c, s, 6, "native_concurrent");
    EXPECT_EQ(got.status, TS_ERR_FINDING);
    EXPECT_GT(got.stats.at("oracle.hits_stale"), 0u);
}

/* --- flushes left to the entry --- */

namespace
{

std::set<const ts_vm *> told; /* VMs in which kvm_pv has run */
uint64_t left;                /* vCPUs of theirs with FLUSH_TLB set, when the engine had stopped */

void kvm_pv_of(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
               ts_shootdown_record *record)
{
    told.insert(ts_guest_cpu_of(self)->guest->vm);
    ts_flush_find("kvm_pv")->flush_multi(self, mask, info, record);
}

/* All threads compute and give back pages by turns, so that each is told while it is put aside. */
Script busy_drops(uint32_t threads, int rounds)
{
    Script s(threads);
    for (uint32_t t = 0; t < threads; t++) {
        s[t] = {op_mmap(t, page), op_touch(t, 0, 1)};
        for (int r = 0; r < rounds; r++) {
            s[t].push_back(op_ns(TS_OP_COMPUTE, (10 + t) * us));
            s[t].push_back(op_range(TS_OP_MADVISE_DONTNEED, t, 0, page));
            s[t].push_back(op_touch(t, 0, 1));
        }
    }
    return s;
}

ts_time count_left(ts_engine *engine, ts_time limit)
{
    ts_engine_run(engine, limit);
    for (const ts_vm *vm : told)
        for (uint32_t i = 0; i < vm->nvcpus; i++)
            left += (vm->steal[i].preempted & TS_STEAL_FLUSH_TLB) != 0;
    return ts_engine_now(engine);
}

} // namespace

/* record_steal_time exchanges the byte for 0 and flushes if FLUSH_TLB stood there: as many flushes
 * at entry as bits that have been set, but for those that still wait when the run ends. */
TEST(HypervisorRules, EachDeferredFlushIsDoneOnceAtTheNextEntry)
{
    uint64_t merged = 0;
    for (bool any_put : {false, true}) {
        ts_flush_ops observed = *ts_flush_find("kvm_pv");
        observed.flush_multi = kvm_pv_of;
        ts_machine_config c = crowded(false);
        set(c, "run.vcpus", "6"); /* on four pCPUs: initiators meet some that are put aside */
        set(c, "hypervisor.pv_preempted_rule", any_put ? "any_put" : "preempted_at_irq_exit");
        std::list<ScriptWorkload> scripts; /* they stay where they are made */
        std::vector<ts_workload *> workloads;
        for (uint64_t v = 0; v < c.run.vms; v++) {
            scripts.emplace_back(busy_drops(6, 200), 6);
            workloads.push_back(scripts.back().get());
        }
        told.clear();
        left = 0;
        Outcome got = run_workloads(c, &observed, workloads, 1, count_left);
        ASSERT_EQ(got.status, TS_OK) << got.message;
        ASSERT_EQ(told.size(), c.run.vms);
        const uint64_t due =
            got.stats.at("flush.kvm_pv.deferred") - got.stats.at("flush.kvm_pv.merged");
        EXPECT_GT(due, 100u);
        EXPECT_EQ(got.stats.at("hypervisor.pv_flush_performed") + left, due);
        EXPECT_EQ(got.stats.at("hypervisor.tlb_flush"),
                  got.stats.at("hypervisor.pv_flush_performed"));
        merged += got.stats.at("flush.kvm_pv.merged");
    }
    EXPECT_GT(merged, 10u);
}

/* available_idle_cpu of a guest asks what its steal area says. */
TEST(VcpuOps, TellAGuestWhichOfItsVcpusArePreempted)
{
    ts_steal_area steal[2]{};
    ts_vm vm{};
    ts_cpu_domain domain{};
    ts_cpu cpu{};
    vm.nvcpus = 2;
    vm.steal = steal;
    domain.vm = &vm;
    cpu.domain = &domain;
    cpu.id = 1;
    steal[0].preempted = TS_STEAL_PREEMPTED;
    EXPECT_FALSE(ts_vcpu_ops.preempted(&cpu));
    steal[1].preempted = TS_STEAL_PREEMPTED;
    EXPECT_TRUE(ts_vcpu_ops.preempted(&cpu));
}
