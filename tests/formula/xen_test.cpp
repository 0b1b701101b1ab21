/* SPDX-License-Identifier: Apache-2.0 */
/* Xen's flushes from a guest's system calls (x86.md 5.1): which call is made, what it costs, and
 * what the one lock of the machine does. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

ts_machine_config machine(uint32_t cores, uint32_t vms = 1, const char *guest = "pv")
{
    ts_machine_config c = small_machine(false, ts_flush_find("xen"));
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", std::to_string(cores));
    set(c, "run.vms", std::to_string(vms));
    set(c, "run.vcpus", std::to_string(cores / vms));
    set(c, "hypervisor.xen_guest", guest);
    set(c, "hypervisor.pin", "true");
    return c;
}

std::vector<ts_op> drops(int n, uint64_t pages)
{
    std::vector<ts_op> ops = {op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 64 * page)};
    for (int i = 0; i < n; i++) {
        ops.push_back(op_touch(0, 0, 64));
        ops.push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, pages * page));
    }
    return ops;
}

Outcome flushes(const ts_machine_config &c, int n, uint64_t pages, uint32_t others)
{
    Script script = {drops(n, pages)};
    for (uint32_t i = 0; i < others; i++)
        script.push_back({op_ns(TS_OP_COMPUTE, 20 * ms)});
    Outcome out = run_script(c, script, others + 1, "xen");
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

uint64_t of_one(const ts_machine_config &c, uint64_t pages, uint32_t others, const char *what)
{
    return flushes(c, 5, pages, others).stats.at(what) -
           flushes(c, 4, pages, others).stats.at(what);
}

} // namespace

/* One page is INVLPG, more is everything, whatever the guest's own limit says. */
TEST(Xen, OnePageOrEverything)
{
    ts_machine_config c = machine(4);
    for (uint64_t pages : {1u, 2u, 33u, 60u}) {
        EXPECT_EQ(of_one(c, pages, 3, "flush.xen.page_calls"), pages == 1) << pages;
        EXPECT_EQ(of_one(c, pages, 3, "flush.xen.flush_calls"), pages != 1) << pages;
        EXPECT_EQ(of_one(c, pages, 3, "hypervisor.xen_flush_one"), pages == 1 ? 4u : 0u);
        EXPECT_EQ(of_one(c, pages, 3, "hypervisor.xen_flush_all"), pages == 1 ? 0u : 4u);
        EXPECT_EQ(of_one(c, pages, 3, "hypervisor.xen_round_targets"), 3u);
        EXPECT_EQ(of_one(c, pages, 3, "guest.targets"), 3u);
    }
}

/* Alone, a PV guest makes a hypercall for each page; an HVM one flushes by itself. */
TEST(Xen, LocalFlushesAreHypercallsOfAPvGuest)
{
    for (uint64_t pages : {1u, 7u, 33u, 34u}) {
        const uint64_t calls = pages > 33 ? 1 : pages;
        EXPECT_EQ(of_one(machine(4), pages, 0, "flush.xen.local_calls"), calls) << pages;
        EXPECT_EQ(of_one(machine(4), pages, 0, "hypervisor.xen_rounds"), 0u);
        EXPECT_EQ(of_one(machine(4, 1, "hvm"), pages, 0, "flush.xen.hypercalls"), 0u);
    }
}

/* The initiator's pCPU flushes first, then the others at the same time: what a flush costs is on
 * the path twice, however many targets there are. */
TEST(Xen, ALocalFlushComesBeforeTheRound)
{
    const ts_time cycle = TS_S / 2600000000;
    for (uint32_t others : {1u, 3u}) {
        auto latency = [&](const char *cycles) {
            ts_machine_config c = machine(4);
            set(c, "hypervisor.xen_flush", cycles);
            return flushes(c, 6, 2, others).shootdowns.at(4).total_ps;
        };
        EXPECT_NEAR(double(latency("20500cycles") - latency("500cycles")),
                    2 * 20000 * double(cycle), 200 * double(cycle))
            << others;
    }
}

/* VMs that share nothing wait for each other: there is one flush_lock. */
TEST(Xen, OneRoundAtATimeForTheWholeMachine)
{
    for (uint32_t vms : {1u, 4u}) {
        ts_machine_config c = machine(2 * vms, vms);
        set(c, "hypervisor.xen_flush", "20000cycles");
        Outcome out = flushes(c, 10, 2, 1);
        EXPECT_EQ(out.stats.at("hypervisor.xen_rounds"),
                  out.stats.at("hypervisor.xen_round_targets"));
        EXPECT_EQ(out.stats.at("hypervisor.xen_lock_waits") > 0, vms > 1);
    }
    /* Nor are HVM guests spared, by the lock of calls. */
    ts_machine_config c = machine(8, 4, "hvm");
    Outcome out = flushes(c, 10, 2, 1);
    EXPECT_GT(out.stats.at("flush.xen.hvm_calls"), 30u);
    EXPECT_EQ(out.stats.at("hypervisor.xen_flushes"), 0u);
}

/* An idle pCPU that still holds the state of a vCPU is interrupted for it; one that has loaded
 * another vCPU since is not, as the vCPU flushes when it is loaded again. */
TEST(Xen, WhoIsNotLoadedFlushesAtTheSwitch)
{
    /* The second thread sleeps before the first one drops anything. */
    Script script = {drops(40, 2), {op_ns(TS_OP_COMPUTE, ms / 5), op_ns(TS_OP_SLEEP, 20 * ms)}};
    Outcome idle = run_script(machine(2), script, 2, "xen");
    ASSERT_EQ(idle.status, TS_OK) << idle.message;
    EXPECT_EQ(idle.stats.at("hypervisor.xen_switch_flushes"), 2u); /* the first loads */
    EXPECT_GE(idle.stats.at("hypervisor.xen_round_targets"), 35u);

    ts_machine_config c = machine(4, 2);
    set(c, "topology.cores_per_socket", "2");
    set(c, "host_sched.policy", "credit2");
    set(c, "host_sched.tick", "1ms");
    Outcome crowd = flushes(c, 40, 2, 1);
    EXPECT_GT(crowd.stats.at("hypervisor.xen_switch_flushes"), 8u);
    EXPECT_EQ(crowd.stats.at("hypervisor.xen_flush_all"),
              crowd.stats.at("hypervisor.xen_switch_flushes") +
                  crowd.stats.at("hypervisor.xen_round_targets") +
                  crowd.stats.at("flush.xen.flush_calls"));
    EXPECT_LT(crowd.stats.at("hypervisor.xen_round_targets"),
              crowd.stats.at("flush.xen.flush_calls"));
}

/* A pause exit gives way and boosts nobody. */
TEST(Xen, ASpinGivesWay)
{
    ts_machine_config c = machine(4, 2);
    set(c, "topology.cores_per_socket", "2");
    set(c, "host_sched.policy", "credit2");
    Script script = {drops(200, 2), drops(200, 2)};
    for (ts_op &op : script[1])
        op.region = 1;
    Outcome out = run_script(c, script, 2, "native_concurrent");
    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_GT(out.stats.at("hypervisor.exit_pause"), 0u);
    EXPECT_EQ(out.stats.at("hypervisor.directed_yield_attempted"), 0u);
}

TEST(Xen, IsRefusedElsewhereAndSoIsWhatXenDoesNotHave)
{
    ts_error err{};
    ts_machine_config c = small_machine();
    EXPECT_EQ(ts_machine_check(&c, ts_flush_find("xen"), &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("hypervisor.kind is not xen"), std::string::npos);
    const std::pair<const char *, const char *> rows[] = {
        {"hypervisor.pv_tlb_flush", "true"},       {"hypervisor.hv_flush", "fifo16"},
        {"hypervisor.pv_ipi", "sliding"},          {"hypervisor.halt_poll", "1us"},
        {"hypervisor.flush_on_migration", "true"}, {"hypervisor.pv_sched_yield", "true"}};
    for (auto [key, value] : rows) {
        c = machine(4);
        set(c, key, value);
        EXPECT_EQ(ts_machine_check(&c, ts_flush_find("native_concurrent"), &err), TS_ERR_USER);
        EXPECT_NE(std::string(err.message).find(key), std::string::npos) << err.message;
    }
}
