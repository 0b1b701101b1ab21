/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the host: what their operations do to TLBs, vCPUs and the end of the run. */
#include <gtest/gtest.h>

#include "tests/support/host_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t us = 1000; /* of a workload's compute */
constexpr uint64_t ms = 1000000;

/* Two VMs whose vCPUs take turns on the same four pCPUs. */
ts_machine_config shared(bool arm)
{
    ts_machine_config c = small_machine(arm);
    set(c, "hypervisor.pin", "true");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "100us");
    set(c, "host_sched.tick", "100us");
    return c;
}

/* One vCPU a pCPU. */
ts_machine_config alone(bool arm)
{
    ts_machine_config c = shared(arm);
    set(c, "run.vms", "1");
    return c;
}

const char *mechanism(bool arm)
{
    return arm ? "tlbi_broadcast" : "native_concurrent";
}

/* Each thread fills its CPU's TLB and computes; nobody touches memory from 5 ms on. */
Script fills()
{
    Script s(4);
    for (uint32_t t = 0; t < 4; t++)
        s[t] = {op_mmap(t, 8 * page), op_touch(t, 0, 8), op_ns(TS_OP_COMPUTE, 60 * ms)};
    return s;
}

struct Seen {
    Cached before, after;
    Outcome got;
};

/* What the pCPUs hold before and after a piece of host code that runs on pCPU 1, at 20 ms. */
Seen around(const ts_machine_config &c, bool arm, const HostRun::Code &fn)
{
    HostRun run(c);
    Seen seen;
    run.task({host_op(TS_HOST_SLEEP, 20 * TS_MS), run.code([&](ts_task *self, ts_hypervisor *h) {
                  seen.before = cached(h);
                  fn(self, h);
                  seen.after = cached(h);
              })},
             1);
    seen.got = run.run(fills(), 4, mechanism(arm));
    EXPECT_EQ(seen.got.status, TS_OK) << seen.got.message;
    for (const auto &vm : seen.before) {
        for (uint64_t n : vm)
            EXPECT_GE(n, 8u);
    }
    return seen;
}

void tlbi(ts_task *self, const ts_tlb_inval &inval)
{
    ts_host_tlbi(self, &inval);
    ts_host_dsb_ish(self);
}

} // namespace

/* --- arm64 --- */

TEST(HostTlbi, DropsTheNamedVmidOnAllPcpusAndNobodyElses)
{
    for (const ts_tlb_inval &inval : {ts_inval_tlbi_vmalls12e1(1), ts_inval_tlbi_vmalle1(1)}) {
        Seen seen =
            around(shared(true), true, [&](ts_task *self, ts_hypervisor *) { tlbi(self, inval); });
        for (uint32_t p = 0; p < 4; p++)
            EXPECT_EQ(seen.after[0][p], 0u) << p;
        EXPECT_EQ(seen.after[1], seen.before[1]);
        EXPECT_EQ(seen.got.stats.at("hypervisor.tlbi_issued"), 1u);
        EXPECT_EQ(seen.got.stats.at("hypervisor.dsb"), 1u);
        EXPECT_EQ(seen.got.stats.at("dvm.issued"), 1 + seen.got.stats.at("guest.tlbi_issued"));
    }
}

/* Arm ARM, TLBI IPAS2E1: combined entries are not found by IPA. */
TEST(HostTlbi, ByIpaLeavesCombinedEntries)
{
    Seen seen = around(shared(true), true, [&](ts_task *self, ts_hypervisor *) {
        tlbi(self, ts_inval_tlbi_ipas2e1(1, 0, false, 0));
    });
    EXPECT_EQ(seen.after, seen.before);
}

/* hyp/vhe/tlb.c: each form drops all of the VM's combined entries; flush_vm_context everybody's. */
TEST(HostFlush, OfAVmDropsItsEntriesEverywhere)
{
    for (int form = 0; form < 4; form++) {
        Seen seen = around(shared(true), true, [&](ts_task *self, ts_hypervisor *h) {
            ts_vm *vm = h->w.vms[1];
            if (form == 0)
                ts_kvm_flush_remote_tlbs(self, vm);
            else if (form == 1)
                ts_kvm_flush_remote_tlbs_range(self, vm, 0, 16 * page);
            else if (form == 2)
                ts_kvm_tlb_flush_vmid_ipa(self, vm, 0, 0);
            else
                ts_kvm_flush_vm_context(self);
        });
        EXPECT_EQ(total(seen.after[1]), 0u) << form;
        if (form == 3) {
            EXPECT_EQ(total(seen.after[0]), 0u);
        } else {
            EXPECT_EQ(seen.after[0], seen.before[0]) << form;
        }
        /* By address stage 2 and stage 1 take one each. */
        EXPECT_EQ(seen.got.stats.at("hypervisor.tlbi_issued"), form == 1 || form == 2 ? 2u : 1u);
        EXPECT_EQ(seen.got.stats.at("hypervisor.dsb"), form == 1 || form == 2 ? 2u : 1u) << form;
        EXPECT_EQ(seen.got.stats.at("hypervisor.remote_tlb_flush"), form == 0 ? 1u : 0u);
    }
}

/* hyp/pgtable.c kvm_tlb_flush_vmid_range. */
TEST(HostFlush, OfARangeIsCutAsTheHostsKernelCutsIt)
{
    const uint64_t pages = TS_RANGE_MAX_PAGES + 37;
    for (const char *split : {"none", "modern", "legacy"}) {
        ts_machine_config c = shared(true);
        bool has = std::string(split) != "none";
        set(c, "guest.tlbirange", has ? "true" : "false");
        if (has)
            set(c, "hypervisor.range_split", split);
        Seen seen = around(c, true, [&](ts_task *self, ts_hypervisor *h) {
            ts_kvm_tlb_flush_vmid_range(self, h->w.vms[0], 7 * page, pages * page);
        });
        const ts_range_format plain = {TS_GRANULE_4K, false, 0};
        ts_range_vmid_counts n = ts_range_vmid_count(
            has ? static_cast<enum ts_range_split>(c.hypervisor.range_split) : TS_RANGE_SPLIT_PAGES,
            &plain, 7 * page, pages);
        EXPECT_EQ(n.chunks, has ? 2u : 1u);
        EXPECT_EQ(seen.got.stats.at("hypervisor.tlbi_issued"),
                  n.steps[TS_RANGE_STEP_RIPAS2E1] + n.steps[TS_RANGE_STEP_IPAS2E1] +
                      n.steps[TS_RANGE_STEP_VMALLE1] + n.steps[TS_RANGE_STEP_VMALLS12E1])
            << split;
        EXPECT_EQ(seen.got.stats.at("hypervisor.dsb"), n.steps[TS_RANGE_STEP_DSB_ISH]) << split;
        EXPECT_EQ(total(seen.after[0]), 0u);
        EXPECT_EQ(seen.after[1], seen.before[1]);
    }
}

/* arch/arm64/kernel/process.c __switch_to: a thread that issues and goes to sleep may go on
 * elsewhere. */
TEST(HostTask, MaintenanceCompletesBeforeItsPcpuIsGivenAway)
{
    HostRun run(alone(true));
    run.task({host_tlbi(ts_inval_tlbi_alle1()), host_op(TS_HOST_SLEEP, TS_MS)}, 3);
    Outcome got = run.run({{op_ns(TS_OP_COMPUTE, 10 * us)}}, 1, mechanism(true));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(got.stats.at("guest.tlbi_issued"), 0u);
    EXPECT_EQ(got.stats.at("hypervisor.dsb"), 0u);
    EXPECT_EQ(got.stats.at("dvm.syncs"), 1u);
}

/* --- x86 --- */

/* SDM vol. 3C: INVEPT acts on the logical processor that executes it. */
TEST(HostInvept, DropsAVmsOrAllMappingsOnItsOwnPcpu)
{
    for (bool single : {true, false}) {
        Seen seen = around(shared(false), false, [&](ts_task *self, ts_hypervisor *h) {
            ts_host_invept(self, single ? h->w.vms[0] : nullptr);
        });
        for (uint32_t p = 0; p < 4; p++) {
            EXPECT_EQ(seen.after[0][p], p == 1 ? 0u : seen.before[0][p]) << p;
            EXPECT_EQ(seen.after[1][p], p == 1 && !single ? 0u : seen.before[1][p]) << p;
        }
        EXPECT_EQ(seen.got.stats.at("hypervisor.invept"), 1u);
    }
}

/* kvm_flush_remote_tlbs: the three vCPUs in guest mode leave it before it returns; they flush, as
 * does the one that the thread has preempted, when they enter next. */
TEST(HostFlush, OnX86IsARequestToEachVcpu)
{
    HostRun run(alone(false));
    std::map<std::string, uint64_t> returned;
    Cached later;
    run.task({host_op(TS_HOST_SLEEP, 20 * TS_MS), run.code([&](ts_task *self, ts_hypervisor *h) {
                  EXPECT_GE(total(cached(h)[0]), 32u);
                  ts_kvm_flush_remote_tlbs(self, h->w.vms[0]);
                  ts_machine_visit_stats(run.machine, collect, &returned);
              }),
              host_op(TS_HOST_SLEEP, TS_MS),
              run.code([&](ts_task *, ts_hypervisor *h) { later = cached(h); })},
             1);
    Outcome got = run.run(fills(), 4, mechanism(false));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(returned.at("hypervisor.call_targets"), 3u);
    EXPECT_EQ(got.stats.at("hypervisor.call_targets"), 3u);
    EXPECT_EQ(got.stats.at("hypervisor.tlb_flush_all"), 4u);
    EXPECT_EQ(got.stats.at("hypervisor.invept"), 4u);
    EXPECT_EQ(got.stats.at("hypervisor.remote_tlb_flush"), 1u);
    EXPECT_EQ(got.stats.at("hypervisor.hv_requests"), 0u);
    EXPECT_EQ(total(later[0]), 0u);
}

/* vmx.c vmx_flush_tlb_all: INVEPT of all contexts, which takes the other VM's too; svm.c: a new
 * ASID for the vCPU, which takes nobody else's. */
TEST(HostFlush, OnX86TakesTheOtherVmsWithVmxAlone)
{
    for (bool svm : {false, true}) {
        ts_machine_config c = shared(false);
        set(c, "hypervisor.tlb_tags", svm ? "svm_asid" : "vpid_ept");
        Cached before, after;
        HostRun run(c);
        run.task({host_op(TS_HOST_SLEEP, 20 * TS_MS),
                  run.code([&](ts_task *self, ts_hypervisor *h) {
                      before = cached(h);
                      ts_kvm_flush_remote_tlbs(self, h->w.vms[0]);
                  }),
                  host_op(TS_HOST_SLEEP, 2 * TS_MS),
                  run.code([&](ts_task *, ts_hypervisor *h) { after = cached(h); })},
                 1);
        Outcome got = run.run(fills(), 4, mechanism(false));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(total(after[0]), 0u);
        EXPECT_EQ(after[1], svm ? before[1] : std::vector<uint64_t>(4, 0));
        EXPECT_EQ(got.stats.at("hypervisor.tlb_flush_all"), 4u);
        EXPECT_EQ(got.stats.at("hypervisor.invept"), svm ? 0u : 4u);
    }
}

/* --- kicks --- */

/* kvm_vcpu_kick: a blocked one wakes, and finds nothing to do; a running one leaves guest mode. */
TEST(HostKick, WakesABlockedVcpuAndInterruptsARunningOne)
{
    for (bool blocked : {true, false}) {
        ts_machine_config c = alone(false);
        set(c, "run.vcpus", "1");
        set(c, "hypervisor.halt_poll", "0");
        HostRun run(c);
        ts_host_op kick = host_op(TS_HOST_KICK);
        run.task({host_op(TS_HOST_SLEEP, 10 * TS_MS), kick, host_op(TS_HOST_SLEEP, TS_MS), kick},
                 3);
        Outcome got =
            run.run({{op_ns(blocked ? TS_OP_SLEEP : TS_OP_COMPUTE, 30 * ms)}}, 1, mechanism(false));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats.at("hypervisor.kicks"), blocked ? 0u : 2u);
        EXPECT_EQ(got.stats.at("hypervisor.exit_interrupt"), blocked ? 0u : 2u);
        /* Its timer wakes it, too. */
        EXPECT_EQ(got.stats.at("hypervisor.wakeups"), blocked ? 3u : 0u);
        EXPECT_EQ(got.stats.at("host_task.kick"), 2u);
    }
}

/* --- the oracle --- */

namespace
{

/* Moves all of a VM's memory to other frames, as a migration of pages would, and has it flushed. */
void move_memory(ts_task *self, ts_hypervisor *h,
                 const std::function<void(ts_vm *, uint64_t)> &flush)
{
    ts_vm *vm = h->w.vms[0];
    const uint64_t step = UINT64_C(1) << 21;
    for (uint64_t ipa = 0; ipa < 64 * step; ipa += step) {
        ts_pte pte{};
        ts_pt_broken broken{};
        if (!ts_pgtable_lookup(vm->stage2, ipa, &pte))
            continue;
        uint32_t w = ts_host_stage2_window_open(self, vm, ipa, ipa + step);
        pte.target ^= UINT64_C(1) << 42;
        ASSERT_TRUE(ts_pgtable_break(vm->stage2, ipa, 1, &broken));
        ts_pgtable_make_leaf(vm->stage2, &broken, &pte);
        flush(vm, ipa);
        ts_host_stage2_window_close(self, vm, w);
    }
}

/* Threads that read all the time, while the host moves their memory. */
Outcome moves(bool arm, const std::function<void(ts_task *, ts_vm *, uint64_t)> &flush)
{
    Script s(4);
    for (uint32_t t = 0; t < 4; t++) {
        s[t] = {op_mmap(t, 64 * page), op_touch(t, 0, 64)};
        for (int r = 0; r < 4500; r++) {
            s[t].push_back(op_touch(t, 0, 64, false));
            s[t].push_back(op_ns(TS_OP_COMPUTE, 100));
        }
    }
    HostRun run(alone(arm));
    std::vector<ts_host_op> ops = {host_op(TS_HOST_SLEEP, 200 * TS_US)};
    for (int i = 0; i < 6; i++) {
        ops.push_back(run.code([&](ts_task *self, ts_hypervisor *h) {
            move_memory(self, h, [&](ts_vm *vm, uint64_t ipa) { flush(self, vm, ipa); });
        }));
        ops.push_back(host_op(TS_HOST_SLEEP, 50 * TS_US));
    }
    run.task(ops, 1);
    return run.run(s, 4, mechanism(arm));
}

} // namespace

TEST(HostOracle, AFlushedMoveIsCurrentOrInItsWindow)
{
    for (bool arm : {false, true}) {
        Outcome got = moves(
            arm, [](ts_task *self, ts_vm *vm, uint64_t) { ts_kvm_flush_remote_tlbs(self, vm); });
        EXPECT_EQ(got.status, TS_OK) << got.message;
        EXPECT_GT(got.stats.at("oracle.hits_in_window"), 0u) << arm;
        EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
    }
    for (int form = 0; form < 2; form++) {
        Outcome got = moves(true, [&](ts_task *self, ts_vm *vm, uint64_t ipa) {
            if (form == 0)
                ts_kvm_tlb_flush_vmid_ipa(self, vm, ipa, 0);
            else
                ts_kvm_tlb_flush_vmid_range(self, vm, ipa, UINT64_C(1) << 21);
        });
        EXPECT_EQ(got.status, TS_OK) << form << ": " << got.message;
        EXPECT_GT(got.stats.at("oracle.hits_in_window"), 0u) << form;
    }
}

TEST(HostOracle, AMoveWithoutAFlushOrWithHalfOfItIsFound)
{
    for (int form = 0; form < 4; form++) {
        bool arm = form != 0;
        Outcome got = moves(arm, [&](ts_task *self, ts_vm *vm, uint64_t ipa) {
            if (form == 2)
                tlbi(self, ts_inval_tlbi_ipas2e1(vm->vmid_base, ipa, false, 0));
            if (form == 3)
                tlbi(self, ts_inval_tlbi_vmalle1(vm->vmid_base));
        });
        EXPECT_EQ(got.status, TS_ERR_FINDING) << form;
        EXPECT_GT(got.stats["oracle.hits_stale"], 0u) << form;
    }
}

/* Threads that flush and kick at any time, in whatever state the vCPUs are: no translation is lost,
 * nobody hangs, and all sums are right. */
TEST(HostTask, DisturbsNoGuestWhateverItIsDoing)
{
    Script s(6);
    for (uint32_t t = 0; t < 6; t++) {
        s[t] = {op_mmap(t, 16 * page), op_touch(t, 0, 16), op_barrier(0, 6)};
        for (uint64_t r = 0; r < 40; r++) {
            s[t].push_back(op_range(TS_OP_MADVISE_DONTNEED, (t + 1) % 6, 0, 16 * page));
            s[t].push_back(op_touch(t, 0, 16));
            s[t].push_back(op_ns(r % 3 ? TS_OP_COMPUTE : TS_OP_SLEEP, (7 + 13 * t) * us));
        }
        s[t].push_back(op_barrier(1, 6));
    }
    for (int k = 0; k < 24; k++) {
        bool arm = k % 2;
        ts_machine_config c = small_machine(arm);
        set(c, "run.vcpus", "6");
        set(c, "hypervisor.pin", k / 2 % 2 ? "true" : "false");
        set(c, "host_sched.policy", k / 4 % 3 == 0 ? "cfs" : k / 4 % 3 == 1 ? "eevdf" : "rr");
        set(c, "hypervisor.ipiv", k >= 12 ? "true" : "false");
        HostRun run(c);
        for (uint32_t i = 0; i < 3; i++) {
            ts_host_op kick = host_op(TS_HOST_KICK, 0, i % 2);
            kick.vcpu = i;
            std::vector<ts_host_op> ops = {host_op(TS_HOST_FLUSH, 0, i % 2),
                                           host_op(TS_HOST_COMPUTE, 3000 * i + 1), kick,
                                           host_op(TS_HOST_FLUSH_RANGE, 64 * page, (i + 1) % 2)};
            ops.push_back(arm ? host_op(TS_HOST_FLUSH_IPA, 0, i % 2) : host_op(TS_HOST_INVEPT));
            ops.push_back(host_op(TS_HOST_SLEEP, (11 + 7 * i) * TS_US));
            run.task(ops, i == 2 ? 3 : TS_HOST_ANY_PCPU, 60);
        }
        Outcome got = run.run(s, 6, mechanism(arm));
        EXPECT_EQ(got.status, TS_OK) << k << ": " << got.message;
        EXPECT_EQ(got.stats.at("host_task.operations"), 3u * 6 * 60) << k;
        EXPECT_EQ(got.stats.at("host_task.ended"), 3u);
    }
}

/* --- what cannot be --- */

TEST(HostTask, WhatAHostCannotDoEndsTheRunWithAMessage)
{
    struct Case {
        bool arm;
        ts_host_op op;
        const char *says;
    };
    ts_host_op far = host_op(TS_HOST_KICK);
    far.vcpu = 4;
    const Case cases[] = {
        {false, host_tlbi(ts_inval_tlbi_alle1()), "tlbi is of arm64"},
        {false, host_op(TS_HOST_DSB), "dsb is of arm64"},
        {false, host_op(TS_HOST_FLUSH_ALL), "flush_all is of arm64"},
        {true, host_op(TS_HOST_INVEPT), "it needs topology.arch x86"},
        {true, host_op(TS_HOST_FLUSH, 0, 1), "there is no VM 1"},
        {false, far, "there is no vCPU 4"},
        {false, host_op(TS_HOST_FLUSH_RANGE, 100), "whole pages"},
    };
    for (const Case &k : cases) {
        HostRun run(alone(k.arm));
        run.task({k.op}, 0);
        Outcome got = run.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(k.arm));
        EXPECT_EQ(got.status, TS_ERR_USER);
        EXPECT_NE(got.message.find(k.says), std::string::npos) << got.message;
    }
}

TEST(HostTask, NeedsAHostAndAPcpu)
{
    HostRun nowhere(alone(false));
    nowhere.task({}, 4);
    Outcome got = nowhere.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(false));
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("no pCPU 4"), std::string::npos) << got.message;
    HostRun bare(bare_machine(2));
    bare.task({});
    got = bare.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(false));
    EXPECT_EQ(got.status, TS_ERR_USER);
    EXPECT_NE(got.message.find("there is no host"), std::string::npos) << got.message;
}

/* --- the watchdog --- */

TEST(HostTask, IsWatchedAsGuestsAre)
{
    ts_machine_config c = alone(false);
    set(c, "run.progress", "5ms");
    HostRun stuck(c);
    stuck.task({host_op(TS_HOST_SLEEP, TS_S)});
    Outcome got = stuck.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(false));
    EXPECT_EQ(got.status, TS_ERR_FINDING);
    EXPECT_NE(got.message.find("0 of 1 guests and 1 of 1 host tasks were still running"),
              std::string::npos)
        << got.message;

    /* Its operations are progress, unless it is in the background. */
    for (bool background : {false, true}) {
        HostRun slow(c);
        slow.task({host_op(TS_HOST_SLEEP, TS_MS)}, TS_HOST_ANY_PCPU, 40, background);
        got = slow.run({{op_ns(TS_OP_SLEEP, 30 * ms)}}, 1, mechanism(false));
        EXPECT_EQ(got.status, background ? TS_ERR_FINDING : TS_OK) << got.message;
    }
    set(c, "run.limit", "10ms");
    HostRun late(c);
    late.task({host_op(TS_HOST_SLEEP, TS_MS)}, TS_HOST_ANY_PCPU, 40);
    got = late.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(false));
    EXPECT_EQ(got.status, TS_ERR_FINDING);
    EXPECT_NE(got.message.find("run.limit: 0 of 1 guests and 1 of 1"), std::string::npos)
        << got.message;
}

/* A background thread is cut short by the end of the guests. */
TEST(HostTask, InTheBackgroundKeepsNoRunAlive)
{
    HostRun run(alone(false));
    run.task({host_op(TS_HOST_COMPUTE, 1000), host_op(TS_HOST_SLEEP, TS_MS)}, 3, 100000, true);
    Outcome got = run.run({{op_ns(TS_OP_COMPUTE, 20 * ms)}}, 1, mechanism(false));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_LT(run.end, 25 * TS_MS);
    EXPECT_EQ(got.stats.at("host_task.ended"), 0u);
    EXPECT_GT(got.stats.at("host_task.operations"), 30u);
}

/* The host goes on when the guests have ended, and is always at a broadcast: the books are closed
 * when nothing is on its way, not in the middle of one. */
TEST(HostTask, BooksAreClosedBetweenTwoBroadcasts)
{
    ts_machine_config c = small_machine(true);
    HostRun run(c);
    run.task({run.code([](ts_task *self, ts_hypervisor *) { ts_kvm_flush_vm_context(self); })},
             TS_HOST_ANY_PCPU, 1000000, true);
    Outcome got = run.run({{op_ns(TS_OP_COMPUTE, 100000)}}, 1, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_OK) << got.message;
    EXPECT_GT(got.stats.at("dvm.issued"), 300u);
    EXPECT_EQ(got.stats.at("dvm.issued") + got.stats.at("dvm.syncs"),
              got.stats.at("dvm.completed"));
}
