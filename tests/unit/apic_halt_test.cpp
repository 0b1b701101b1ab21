/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts for vCPUs that do not run: halted, polling, preempted, by each kind of acceleration;
 * PV IPI end to end; and combinations that cannot be. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

using Settings = std::vector<std::pair<std::string, std::string>>;

const Settings none = {{"hypervisor.apicv", "false"}};
const Settings apicv = {};
const Settings ipiv = {{"hypervisor.ipiv", "true"}};
const Settings x2avic = {{"hypervisor.apicv", "false"},
                         {"hypervisor.tlb_tags", "svm_asid"},
                         {"hypervisor.avic", "x2avic"}};

ts_machine_config machine(uint32_t cores, uint32_t vcpus, const Settings &settings,
                          bool arm = false)
{
    ts_machine_config m = small_machine(arm);
    set(m, "topology.sockets", "1");
    set(m, "topology.cores_per_socket", std::to_string(cores));
    set(m, "run.vms", "1");
    set(m, "run.vcpus", std::to_string(vcpus));
    set(m, "hypervisor.pin", "true");
    set(m, "hypervisor.pv_tlb_flush", "false");
    set(m, "interrupt.shorthand", "false");
    for (const auto &[key, value] : settings)
        set(m, key, value);
    return m;
}

/* Thread 0 unmaps memory with its page tables, which even lazy CPUs are told of, `delay_ns` after
 * all have met; the others do `before`, meet, and then do what `after` says. */
Outcome storm(const ts_machine_config &m, bool unmap, uint64_t delay_ns,
              const std::vector<std::vector<ts_op>> &after, const std::vector<ts_op> &before = {})
{
    auto threads = static_cast<uint32_t>(after.size() + 1);
    std::vector<ts_op> first = {op_mmap(0, 64 * 4096),  op_touch(0, 0, 1),
                                op_mmap(1, 8 << 20),    op_touch(1, 4 << 20, 1),
                                op_barrier(0, threads), op_ns(TS_OP_COMPUTE, delay_ns)};
    if (unmap)
        first.push_back(op_range(TS_OP_MUNMAP, 1, 0, 8 << 20));
    first.push_back(op_ns(TS_OP_COMPUTE, 20000000));
    Script script = {first};
    for (uint32_t t = 1; t < threads; t++) {
        std::vector<ts_op> ops = {op_touch(0, 4096 * t, 1)};
        ops.insert(ops.end(), before.begin(), before.end());
        ops.push_back(op_barrier(0, threads));
        ops.insert(ops.end(), after[t - 1].begin(), after[t - 1].end());
        script.push_back(ops);
    }
    return run_script(m, script, threads);
}

const std::vector<ts_op> asleep = {op_ns(TS_OP_SLEEP, 100000000)};
const std::vector<ts_op> busy = {op_ns(TS_OP_COMPUTE, 100000000)};

uint64_t stat(const Outcome &o, const std::string &name)
{
    return o.stats.at("hypervisor." + name);
}

uint64_t more(const Outcome &a, const Outcome &b, const std::string &name)
{
    return stat(a, name) - stat(b, name);
}

} // namespace

/* A shootdown of three halted vCPUs, which do not poll. */
TEST(ApicHalt, EachKindWakesInItsOwnWay)
{
    struct Case {
        const char *name;
        Settings settings;
        bool arm;
        uint64_t icr, avic, wakeups_nv, doorbells;
    };
    for (const Case &c : {
             Case{"none", none, false, 3, 0, 0, 0},
             Case{"apicv", apicv, false, 3, 0, 0, 0},
             Case{"ipiv", ipiv, false, 0, 0, 3, 0},     /* the host wakes by itself */
             Case{"x2avic", x2avic, false, 0, 3, 0, 0}, /* each unicast is incomplete */
             Case{"gicv3", {}, true, 1, 0, 0, 0},
             Case{"gicv4.1", ipiv, true, 1, 0, 3, 0},
         }) {
        SCOPED_TRACE(c.name);
        ts_machine_config m = machine(4, 4, c.settings, c.arm);
        set(m, "hypervisor.halt_poll", "0");
        Outcome a = storm(m, true, 2000000, {asleep, asleep, asleep});
        Outcome b = storm(m, false, 2000000, {asleep, asleep, asleep});
        ASSERT_EQ(a.status, TS_OK) << a.message;
        EXPECT_EQ(more(a, b, "wakeups"), 3u);
        EXPECT_EQ(more(a, b, "wakeups_nv"), c.wakeups_nv);
        EXPECT_EQ(more(a, b, "exit_icr"), c.icr);
        EXPECT_EQ(more(a, b, "exit_avic"), c.avic);
        EXPECT_EQ(more(a, b, "doorbells"), c.doorbells);
        EXPECT_EQ(more(a, b, "exit_halt"), 3u);
        EXPECT_EQ(more(a, b, "notify_sent"), c.wakeups_nv);
        if (!c.arm) { /* there the barrier's own wake-ups meet CPUs that are about to block */
            EXPECT_EQ(more(a, b, "posted"), 0u);
        }
    }
}

/* A logical or shorthand write of AVIC with one target halted: one exit, for which KVM rings the
 * running ones' doorbells once more. */
TEST(X86Checks, C9_AvicExitsOnceForAHaltedTargetAndKicksAll)
{
    for (const char *mode : {"shorthand", "cluster", "flat"}) {
        SCOPED_TRACE(mode);
        ts_machine_config m = machine(4, 4, x2avic);
        set(m, "hypervisor.halt_poll", "0");
        if (*mode == 's')
            set(m, "interrupt.shorthand", "true");
        else
            set(m, "interrupt.guest_mode", *mode == 'c' ? "x2apic_cluster" : "xapic_flat");
        Outcome a = storm(m, true, 2000000, {busy, asleep, busy});
        Outcome b = storm(m, false, 2000000, {busy, asleep, busy});
        ASSERT_EQ(a.status, TS_OK) << a.message;
        EXPECT_EQ(more(a, b, "exit_avic"), 1u);
        EXPECT_EQ(more(a, b, "exit_icr"), 0u);
        EXPECT_EQ(more(a, b, "wakeups"), 1u);
        EXPECT_EQ(more(a, b, "posted"), 2u);
        EXPECT_EQ(more(a, b, "doorbells"), 4u); /* by hardware and by KVM */
    }
}

/* A vCPU that polls in the host is no blocked one: what hardware posts ends its poll, and what the
 * sender's hypervisor code does, at once. */
TEST(ApicHalt, PollingTargetsSeeWhatIsPosted)
{
    for (const Settings *s : {&none, &apicv, &ipiv, &x2avic}) {
        bool by_hardware = s == &ipiv || s == &x2avic;
        ts_machine_config m = machine(2, 2, *s);
        set(m, "hypervisor.halt_poll", "1ms");
        set(m, "hypervisor.halt_poll_grow_start", "1ms");
        /* Short sleeps first: polling grows only then. */
        std::vector<ts_op> naps(3, op_ns(TS_OP_SLEEP, 100000));
        Outcome a = storm(m, true, 400000, {asleep}, naps);
        Outcome b = storm(m, false, 400000, {asleep}, naps);
        ASSERT_EQ(a.status, TS_OK) << a.message;
        EXPECT_EQ(more(a, b, "halt_poll_success"), 1u);
        EXPECT_EQ(more(a, b, "wakeups"), 0u);
        EXPECT_EQ(more(a, b, "exit_avic"), 0u); /* is_running stays set while it polls */
        EXPECT_EQ(more(a, b, "exit_icr"), by_hardware ? 0u : 1u);
        EXPECT_LT(a.result.shootdown_max_ps, 100 * TS_US); /* the poll has 600 us to go */
    }
}

/* Two vCPUs on one pCPU: while one sends, the other is preempted. */
TEST(ApicHalt, APreemptedTargetIsNotNotified)
{
    Outcome posted = storm(machine(1, 2, ipiv), true, 0, {busy});
    Outcome not_posted = storm(machine(1, 2, ipiv), false, 0, {busy});
    ASSERT_EQ(posted.status, TS_OK) << posted.message;
    EXPECT_EQ(more(posted, not_posted, "notify_sn"), 1u);
    EXPECT_EQ(more(posted, not_posted, "notify_sent"), 0u);
    EXPECT_EQ(more(posted, not_posted, "exit_icr"), 0u);
    Outcome avic = storm(machine(1, 2, x2avic), true, 0, {busy});
    Outcome no_avic = storm(machine(1, 2, x2avic), false, 0, {busy});
    ASSERT_EQ(avic.status, TS_OK) << avic.message;
    EXPECT_EQ(more(avic, no_avic, "exit_avic"), 1u);
    EXPECT_EQ(more(avic, no_avic, "doorbells"), 0u);
    EXPECT_EQ(more(avic, no_avic, "wakeups"), 0u);
}

TEST(ApicHalt, AvicEndsAtItsLastPhysicalId)
{
    ts_hypervisor_params p{};
    ts_param_defaults(&ts_hypervisor_param_table, &p);
    p.apicv = 0;
    auto accel = [&](ts_intr_mode mode, uint32_t vcpus) {
        return ts_hypervisor_accel(&p, TS_ARCH_X86, mode, vcpus);
    };
    p.avic = TS_AVIC_XAPIC;
    EXPECT_EQ(accel(TS_INTR_XAPIC_PHYS, 255), TS_ACCEL_AVIC);
    EXPECT_EQ(accel(TS_INTR_X2APIC_PHYS, 255), TS_ACCEL_AVIC_HYBRID);
    EXPECT_EQ(accel(TS_INTR_X2APIC_PHYS, 256), TS_ACCEL_NONE);
    p.avic = TS_AVIC_X2APIC;
    EXPECT_EQ(accel(TS_INTR_X2APIC_PHYS, 512), TS_ACCEL_AVIC);
    EXPECT_EQ(accel(TS_INTR_X2APIC_CLUSTER, 512), TS_ACCEL_AVIC);
    EXPECT_EQ(accel(TS_INTR_X2APIC_PHYS, 513), TS_ACCEL_NONE);
    p.avic = TS_AVIC_OFF;
    EXPECT_EQ(accel(TS_INTR_X2APIC_PHYS, 2), TS_ACCEL_NONE);
    p.ipiv = 1;
    EXPECT_EQ(accel(TS_INTR_X2APIC_PHYS, 2), TS_ACCEL_NONE); /* needs apicv */
    EXPECT_EQ(ts_hypervisor_accel(&p, TS_ARCH_ARM64, TS_INTR_GIC_SGI, 2), TS_ACCEL_GICV4);
    p.apicv = 1;
    EXPECT_EQ(accel(TS_INTR_X2APIC_PHYS, 2), TS_ACCEL_IPIV);
    p.ipiv = 0;
    EXPECT_EQ(accel(TS_INTR_X2APIC_PHYS, 2), TS_ACCEL_APICV);
}

TEST(ApicCheck, WhatCannotGoTogetherIsTheUsersError)
{
    ts_error err{};
    auto check = [&](const Settings &settings, bool arm = false, uint32_t vcpus = 4,
                     ts_intr_mode mode = TS_INTR_X2APIC_PHYS) {
        ts_machine_config c = small_machine(arm);
        for (const auto &[key, value] : settings)
            set(c, key, value);
        return ts_hypervisor_check(&c.hypervisor, arm ? TS_ARCH_ARM64 : TS_ARCH_X86, mode, vcpus,
                                   &err);
    };
    EXPECT_EQ(check({}), TS_OK);
    EXPECT_EQ(check(x2avic), TS_OK);
    EXPECT_EQ(check({{"hypervisor.avic", "avic"}}), TS_ERR_USER); /* apicv is on */
    EXPECT_NE(std::string(err.message).find("apicv"), std::string::npos);
    EXPECT_EQ(check({{"hypervisor.avic", "avic"}, {"hypervisor.apicv", "false"}}), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("svm_asid"), std::string::npos);
    EXPECT_EQ(check({{"hypervisor.pv_ipi", "sliding"}}, true), TS_ERR_USER);
    EXPECT_EQ(check({{"hypervisor.pv_eoi", "true"}}, true), TS_ERR_USER);
    EXPECT_EQ(check({}, false, 9, TS_INTR_XAPIC_FLAT), TS_ERR_USER);
    EXPECT_EQ(check({}, false, 8, TS_INTR_XAPIC_FLAT), TS_OK);
    EXPECT_EQ(check({}, false, 256, TS_INTR_XAPIC_PHYS), TS_ERR_USER);
    EXPECT_EQ(check({{"hypervisor.kind", "none"}, {"hypervisor.avic", "avic"}}), TS_OK);
}

/* A machine that cannot be is not made. */
TEST(ApicCheck, NoSuchMachineIsMade)
{
    auto made = [](const Settings &settings) {
        return storm(machine(4, 4, settings), false, 1000, {busy}).status;
    };
    EXPECT_EQ(made({{"hypervisor.avic", "avic"}}), TS_ERR_USER);
    EXPECT_EQ(made({{"interrupt.mode", "xapic_flat"}}), TS_OK);
    EXPECT_EQ(made({{"interrupt.mode", "xapic_flat"}, {"topology.cores_per_socket", "9"}}),
              TS_ERR_USER);
    EXPECT_EQ(made({{"interrupt.guest_mode", "xapic_flat"}, {"run.vcpus", "9"}}), TS_ERR_USER);
}
