/* SPDX-License-Identifier: Apache-2.0 */
/* Exact times of what threads of the host do, and of the end of a run. */
#include <gtest/gtest.h>

#include "models/cpu/dvm_port.h"
#include "tests/support/dsb_rig.hpp"
#include "tests/support/host_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t us = 1000; /* of a workload's compute */
constexpr uint64_t ms = 1000000;

const char *mechanism(bool arm)
{
    return arm ? "tlbi_broadcast" : "native_concurrent";
}

} // namespace

/* --- the end of a run --- */

/* Both ways: a millisecond after the last stream, the host's or the guest's. */
TEST(HostTaskTiming, TheRunEndsWithTheLastStream)
{
    ts_machine_config c = quiet(false, "1");
    Cycles cycles(c);
    for (bool host_last : {true, false}) {
        HostRun run(c);
        ts_time ended = 0;
        const uint64_t work = host_last ? 50'000'000 : 1000;
        run.task({host_op(TS_HOST_COMPUTE, work),
                  run.code([&](ts_task *self, ts_hypervisor *) { ended = ts_task_now(self); })},
                 3);
        Outcome got = run.run({{op_ns(TS_OP_COMPUTE, 5 * ms)}}, 1, mechanism(false));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        /* The idle task gives way, then its cycles exactly. */
        EXPECT_EQ(ended, cycles.time(c.host_sched.switch_cycles + work));
        EXPECT_EQ(got.stats.at("host_task.user_ps"),
                  ended - cycles.time(c.host_sched.switch_cycles));
        EXPECT_EQ(got.stats.at("host_task.ended"), 1u);
        EXPECT_EQ(ended > got.result.completion_ps, host_last);
        EXPECT_EQ(run.end, (host_last ? ended : got.result.completion_ps) + TS_MS);
    }
}

TEST(HostTaskTiming, ASleeperWakesByItsTimer)
{
    ts_machine_config c = quiet(false, "1");
    Cycles cycles(c);
    HostRun run(c);
    ts_time slept = 0, woke = 0;
    run.task({run.code([&](ts_task *self, ts_hypervisor *) { slept = ts_task_now(self); }),
              host_op(TS_HOST_SLEEP, 10 * TS_US),
              run.code([&](ts_task *self, ts_hypervisor *) { woke = ts_task_now(self); })},
             3);
    Outcome got = run.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(false));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    /* The C-state is left before the interrupt is taken; then the idle task gives way. */
    ASSERT_GT(c.hypervisor.wakeup_ps, 0u);
    EXPECT_EQ(woke, cycles.after(slept + 10 * TS_US + c.hypervisor.wakeup_ps,
                                 c.hypervisor.host_irq_cycles + c.host_sched.wakeup_cycles +
                                     c.host_sched.switch_cycles));
}

/* --- preemption --- */

/* The thread and the vCPU of its pCPU share it; the other vCPUs lose nothing. */
TEST(HostTaskTiming, TakesItsTimeFromTheVcpuOfItsPcpu)
{
    ts_machine_config c = quiet(false, "4");
    set(c, "host_sched.policy", "rr");
    set(c, "host_sched.slice", "500us");
    set(c, "host_sched.tick", "1ms");
    Cycles cycles(c);
    const uint64_t work = 100'000'000;
    Script s(4, {op_ns(TS_OP_COMPUTE, 100 * ms)});
    HostRun run(c);
    ts_time began = 0, ended = 0;
    run.task({host_op(TS_HOST_SLEEP, 10 * TS_MS),
              run.code([&](ts_task *self, ts_hypervisor *) { began = ts_task_now(self); }),
              host_op(TS_HOST_COMPUTE, work),
              run.code([&](ts_task *self, ts_hypervisor *) { ended = ts_task_now(self); })},
             2);
    Outcome got = run.run(s, 4, mechanism(false));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    const ts_time user = got.stats.at("host_task.user_ps");
    EXPECT_GE(user, cycles.time(work));
    EXPECT_LT(user, cycles.time(work + 100));
    /* Turn by turn, so it took twice its time. */
    EXPECT_NEAR(static_cast<double>(ended - began), 2.0 * static_cast<double>(user),
                0.05 * static_cast<double>(user));
    const ts_time steal = got.stats.at("vcpu.steal_ps");
    EXPECT_GE(steal, user);
    EXPECT_LT(steal, user + user / 20);
    EXPECT_GE(got.stats.at("host_task.wait_ps"), user - TS_MS);
    EXPECT_EQ(got.stats.at("pcpu.user_ps"), user);
    EXPECT_GE(got.result.completion_ps, 100 * TS_MS + user);
    EXPECT_GT(got.stats.at("hypervisor.preemption_reported"), 20u);
}

/* --- DSB --- */

namespace
{

struct Dsb {
    ts_time began = 0, issued = 0, ended = 0;
    bool over = false;
    Outcome got;
};

/* One TLBI and one DSB on pCPU 3 while the guest computes; the probes see it between. */
void run_dsb(const ts_machine_config &c, Dsb *d, ts_time probe, std::vector<bool> *seen)
{
    HostRun run(c);
    run.task({host_op(TS_HOST_SLEEP, 100 * TS_US), run.code([d](ts_task *self, ts_hypervisor *h) {
                  d->over = false;
                  d->began = ts_task_now(self);
                  ts_tlb_inval inval = ts_inval_tlbi_vmalls12e1(h->w.vms[0]->vmid_base);
                  ts_host_tlbi(self, &inval);
                  d->issued = ts_task_now(self);
                  ts_host_dsb_ish(self);
                  d->ended = ts_task_now(self);
                  d->over = true;
              })},
             3);
    for (ts_time t : {probe - 1, probe}) {
        if (probe)
            run.at(t, [d, seen] { seen->push_back(d->over); });
    }
    d->got = run.run({{op_ns(TS_OP_COMPUTE, 2 * ms)}}, 1, mechanism(true));
    EXPECT_EQ(d->got.status, TS_OK) << d->got.message;
}

} // namespace

TEST(HostTaskTiming, ADsbEndsWhenTheLastCpuHasAcknowledgedAndNotAPicosecondBefore)
{
    const ts_machine_config c = flash_clear();
    Cycles cycles(c);
    Dsb d;
    run_dsb(c, &d, 0, nullptr);
    EXPECT_EQ(d.issued, cycles.after(d.began, c.hypervisor.tlbi_issue_cycles));
    EXPECT_EQ(d.ended, dsb_end(c, 3, {d.issued}));
    EXPECT_EQ(d.got.stats.at("dvm.syncs"), 1u);
    EXPECT_EQ(d.got.stats.at("dvm.sync_ps.max"), d.ended - d.issued);
    std::vector<bool> seen;
    Dsb again;
    run_dsb(c, &again, d.ended, &seen);
    EXPECT_EQ(again.ended, d.ended);
    EXPECT_EQ(seen, (std::vector<bool>{false, true}));
}

namespace
{

/* One TLBI of KVM's from t on, with the DSB behind it: as it is, in the older kernels' form under
 * the erratum (each), or with the newer one's further VALE2IS (sync). */
ts_time tlbi_dsb(const ts_machine_config &c, ts_time t, bool each, bool sync)
{
    Cycles cycles(c);
    for (int i = 0; i < (each || sync ? 2 : 1); i++)
        t = dsb_end(c, 3, {cycles.after(t, c.hypervisor.tlbi_issue_cycles)});
    return t;
}

enum Flush { VMID, IPA, RANGE, CONTEXT };

void flush(ts_task *self, ts_hypervisor *h, Flush what)
{
    if (what == VMID)
        ts_kvm_flush_remote_tlbs(self, h->w.vms[0]);
    else if (what == IPA)
        ts_kvm_tlb_flush_vmid_ipa(self, h->w.vms[0], 0, 0);
    else if (what == RANGE)
        ts_kvm_tlb_flush_vmid_range(self, h->w.vms[0], 0, 2 << 20);
    else
        ts_kvm_flush_vm_context(self);
}

} // namespace

/* hyp/vhe/tlb.c __kvm_tlb_flush_vmid, _ipa and _range and __kvm_flush_vm_context, part by part. */
TEST(HostTaskTiming, KvmsFlushesAreTheirParts)
{
    for (const char *form : {"", "each", "sync"}) {
        ts_machine_config c = flash_clear();
        const bool each = *form == 'e', sync = *form == 's';
        if (*form) {
            set(c, "hypervisor.repeat_tlbi", "true");
            set(c, "hypervisor.repeat_tlbi_form", form);
        }
        const ts_hypervisor_params &p = c.hypervisor;
        Cycles cycles(c);
        for (Flush what : {VMID, IPA, RANGE, CONTEXT}) {
            SCOPED_TRACE(std::string(form) + " " + std::to_string(what));
            HostRun run(c);
            ts_time began = 0, ended = 0;
            run.task({host_op(TS_HOST_SLEEP, 100 * TS_US),
                      run.code([&](ts_task *self, ts_hypervisor *h) {
                          began = ts_task_now(self);
                          flush(self, h, what);
                          ended = ts_task_now(self);
                      })},
                     3);
            Outcome got = run.run({{op_ns(TS_OP_COMPUTE, 2 * ms)}}, 1, mechanism(true));
            ASSERT_EQ(got.status, TS_OK) << got.message;
            const uint64_t context = what == CONTEXT ? 0 : p.vmid_context_cycles / 2;
            ts_time t = cycles.after(began, p.dsb_ishst_cycles + context);
            const uint64_t ops = what == IPA || what == RANGE ? 2 : 1;
            for (uint64_t i = 0; i < ops; i++)
                t = tlbi_dsb(c, t, each, sync && i + 1 == ops);
            EXPECT_EQ(ended, context ? cycles.after(t, context) : t);
            const uint64_t again = each ? ops : sync ? 1 : 0;
            EXPECT_EQ(got.stats.at("hypervisor.tlbi_issued"), ops + again);
            /* and the local ones of the vCPU's load */
            const uint64_t loads = each ? got.stats.at("hypervisor.stage1_flush_switch") : 0;
            EXPECT_EQ(got.stats.at("hypervisor.dsb"), ops + again + loads);
            EXPECT_EQ(got.stats.at("hypervisor.tlbi_repeated"), again + loads);
        }
    }
}

namespace
{

ts_machine_config sweeping()
{
    ts_machine_config c = quiet(true, "1");
    set(c, "mmu.sweep_sets_per_cycle", "1");
    set(c, "mmu.sweep_blocking", "true");
    return c;
}

/* Core cycles from now on that pCPU 3's TLB takes for the VM's stage 1. */
uint64_t sweep_cycles(ts_task *self, ts_hypervisor *h)
{
    ts_tlb_inval all = ts_inval_tlbi_vmalle1(h->w.vms[0]->vmid_base);
    return ts_mmu_invalidate(h->w.mmus[3], &all, ts_task_cycle(self));
}

} // namespace

/* A local TLBI and its DSB NSH: what the pair is said to take, or what the TLB takes; and each
 * sweep once. */
TEST(HostTaskTiming, ALocalFlushEndsWithItsSweepAndNotAPicosecondBefore)
{
    const ts_machine_config c = sweeping();
    Cycles cycles(c);
    uint64_t sweep = 0;
    ts_time probe = 0;
    for (int round = 0; round < 3; round++) {
        HostRun run(c);
        ts_time began = 0, both = 0, padded = 0;
        bool over = false;
        std::vector<bool> seen;
        run.task({run.code([&](ts_task *self, ts_hypervisor *h) { sweep = sweep_cycles(self, h); }),
                  host_op(TS_HOST_SLEEP, 100 * TS_US),
                  run.code([&](ts_task *self, ts_hypervisor *h) {
                      ts_tlb_inval all = ts_inval_tlbi_vmalle1(h->w.vms[0]->vmid_base);
                      ts_irq_disable(self);
                      began = ts_task_now(self);
                      ts_dvm_port_tlbi_local(self, h->w.dvm, &all);
                      ts_host_tlbi_nsh(self, &all, 10);
                      over = true;
                      both = ts_task_now(self);
                      ts_host_tlbi_nsh(self, &all, 10 * sweep);
                      padded = ts_task_now(self);
                      ts_irq_enable(self);
                  })},
                 3);
        for (ts_time t : {probe - 1, probe}) {
            if (probe)
                run.at(t, [&] { seen.push_back(over); });
        }
        Outcome got = run.run({{op_ns(TS_OP_COMPUTE, 2 * ms)}}, 1, mechanism(true));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        ASSERT_GT(sweep, 10u);
        EXPECT_EQ(both, cycles.after(began, 2 * sweep));
        EXPECT_EQ(padded, cycles.after(both, 10 * sweep));
        EXPECT_EQ(got.stats.at("dvm.local"), 3u + got.stats.at("hypervisor.stage1_flush_switch"));
        EXPECT_EQ(got.stats.at("hypervisor.dsb_nsh"),
                  2u + got.stats.at("hypervisor.stage1_flush_switch"));
        EXPECT_EQ(got.stats.at("dvm.syncs"), 0u);
        if (probe) {
            EXPECT_EQ(seen, (std::vector<bool>{false, true}));
        }
        probe = both;
    }
}

/* Local ones are repeated by the older kernels' form only, whose DSB in between is ISH. */
TEST(HostTaskTiming, ALocalFlushIsRepeatedByTheOlderForm)
{
    for (bool each : {true, false}) {
        ts_machine_config c = sweeping();
        set(c, "hypervisor.repeat_tlbi", "true");
        set(c, "hypervisor.repeat_tlbi_form", each ? "each" : "sync");
        Cycles cycles(c);
        HostRun run(c);
        uint64_t sweep = 0, switches = 0;
        ts_time began = 0, ended = 0;
        run.task({run.code([&](ts_task *self, ts_hypervisor *h) { sweep = sweep_cycles(self, h); }),
                  host_op(TS_HOST_SLEEP, 100 * TS_US),
                  run.code([&](ts_task *self, ts_hypervisor *h) {
                      ts_tlb_inval all = ts_inval_tlbi_vmalle1(h->w.vms[0]->vmid_base);
                      ts_irq_disable(self);
                      began = ts_task_now(self);
                      ts_host_tlbi_nsh(self, &all, 10);
                      ended = ts_task_now(self);
                      ts_irq_enable(self);
                  })},
                 3);
        Outcome got = run.run({{op_ns(TS_OP_COMPUTE, 2 * ms)}}, 1, mechanism(true));
        ASSERT_EQ(got.status, TS_OK) << got.message;
        ASSERT_GT(sweep, 10u);
        switches = got.stats.at("hypervisor.stage1_flush_switch");
        EXPECT_EQ(ended, cycles.after(began, (each ? 2 : 1) * sweep));
        EXPECT_EQ(got.stats.at("dvm.local"), (each ? 2 : 1) * (1 + switches));
        EXPECT_EQ(got.stats.at("hypervisor.dsb_nsh"), 1 + switches);
        EXPECT_EQ(got.stats.at("hypervisor.dsb"), each ? 1 + switches : 0);
        EXPECT_EQ(got.stats.at("dvm.syncs"), 0u);
    }
}

/* Three forms behind one broadcast TLBI: stores only, this core only, everybody. */
TEST(HostTaskTiming, OnlyADsbIshWaitsForABroadcast)
{
    const ts_machine_config c = flash_clear();
    Cycles cycles(c);
    HostRun run(c);
    ts_time issued = 0, st = 0, nsh = 0, ish = 0;
    run.task({host_op(TS_HOST_SLEEP, 100 * TS_US), run.code([&](ts_task *self, ts_hypervisor *h) {
                  ts_tlb_inval inval = ts_inval_tlbi_vmalls12e1(h->w.vms[0]->vmid_base);
                  ts_host_tlbi(self, &inval);
                  issued = ts_task_now(self);
                  ts_dvm_port_dsb_st(self, c.hypervisor.dsb_ishst_cycles);
                  st = ts_task_now(self);
                  ts_dvm_port_dsb_nsh(self, h->w.dvm);
                  nsh = ts_task_now(self);
                  EXPECT_EQ(ts_dvm_stats(h->w.dvm)->completed, 0u);
                  ts_host_dsb_ish(self);
                  ish = ts_task_now(self);
              })},
             3);
    Outcome got = run.run({{op_ns(TS_OP_COMPUTE, 2 * ms)}}, 1, mechanism(true));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(st, cycles.after(issued, c.hypervisor.dsb_ishst_cycles));
    EXPECT_EQ(nsh, st);
    EXPECT_EQ(ish, dsb_end(c, 3, {issued}));
    EXPECT_EQ(got.stats.at("dvm.syncs"), 1u);
}

/* --- x86 --- */

TEST(HostTaskTiming, InveptTakesItsCycles)
{
    const ts_machine_config c = quiet(false, "1");
    Cycles cycles(c);
    HostRun run(c);
    ts_time began = 0, ended = 0;
    run.task({run.code([&](ts_task *self, ts_hypervisor *h) {
                 began = ts_task_now(self);
                 ts_host_invept(self, h->w.vms[0]);
                 ended = ts_task_now(self);
             })},
             3);
    Outcome got = run.run({{op_ns(TS_OP_COMPUTE, us)}}, 1, mechanism(false));
    ASSERT_EQ(got.status, TS_OK) << got.message;
    EXPECT_EQ(ended, cycles.after(began, c.hypervisor.invept_cycles));
}
