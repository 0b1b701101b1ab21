/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcasts that go where a VM's vCPUs are (arm.md 3.7): who hears them, and what a move costs. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t ms = 1000000;

ts_machine_config machine(uint32_t vms)
{
    ts_machine_config c = small_machine(true, ts_flush_find("vm_domain"));
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "8");
    set(c, "run.vms", std::to_string(vms));
    set(c, "run.vcpus", "2");
    return c;
}

Script drops(int n, uint64_t pause_ns)
{
    Script script = {{op_ns(TS_OP_COMPUTE, ms), op_mmap(0, 16 * page)},
                     {op_ns(TS_OP_COMPUTE, ms + n * (pause_ns + ms / 10))}};
    for (int i = 0; i < n; i++) {
        script[0].push_back(op_touch(0, 0, 16));
        script[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
        script[0].push_back(op_ns(TS_OP_COMPUTE, pause_ns));
    }
    return script;
}

Outcome run(const ts_machine_config &c, const Script &script, const char *mechanism)
{
    Outcome out = run_script(c, script, 2, mechanism);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

} // namespace

/* Pinned, a VM of two vCPUs: of eight cores one hears each TLBI, beside the issuer; a broadcast
 * reaches all seven. */
TEST(VmDomain, OnlyTheCoresOfTheVmHear)
{
    ts_machine_config c = machine(4);
    set(c, "hypervisor.pin", "true");
    for (const char *mechanism : {"vm_domain", "tlbi_broadcast"}) {
        c.dvm.vmid_filter = std::string(mechanism) == "vm_domain";
        Outcome out = run(c, drops(10, 0), mechanism);
        const uint64_t ops = out.stats.at("dvm.issued");
        ASSERT_GT(ops, 30u);
        EXPECT_EQ(out.stats.at("dvm.snooped") - out.stats.at("dvm.snooped_sync"),
                  ops * (c.dvm.vmid_filter ? 1 : 7));
        /* A core joins once for each vCPU that comes there first. */
        EXPECT_EQ(out.stats.at("hypervisor.domain_joins"), c.dvm.vmid_filter ? 8u : 0u);
    }
}

/* vCPUs that move leave their cores: what goes by where they have ever been reaches more and more
 * cores, this one never more than one beside the issuer. */
TEST(VmDomain, ACoreLeavesWithItsLastVcpu)
{
    ts_machine_config c = machine(6);
    set(c, "host_sched.migration_cost", "0ns");
    set(c, "host_sched.slice", "100us");
    set(c, "host_sched.tick", "100us");
    Script script = drops(30, ms / 2);
    script[1].clear();
    for (int i = 0; i < 30; i++) {
        script[0].push_back(op_ns(TS_OP_SLEEP, ms / 3));
        script[0].push_back(op_touch(0, 0, 16));
        script[0].push_back(op_range(TS_OP_MADVISE_DONTNEED, 0, 0, page));
        script[1].push_back(op_ns(TS_OP_COMPUTE, ms / 4));
        script[1].push_back(op_ns(TS_OP_SLEEP, ms / 2));
    }
    Outcome resident = run(c, script, "vm_domain");
    Outcome ran = run(c, script, "tlbi_broadcast");
    auto per_op = [](const Outcome &o) {
        return double(o.stats.at("dvm.snooped") - o.stats.at("dvm.snooped_sync")) /
               double(o.stats.at("dvm.issued"));
    };
    EXPECT_LE(per_op(resident), 1.0);
    EXPECT_GT(per_op(ran), per_op(resident) + 0.5);
    EXPECT_GT(resident.stats.at("hypervisor.domain_joins"), 16u);
    EXPECT_EQ(ran.stats.at("hypervisor.domain_joins"), 0u);
    EXPECT_EQ(resident.stats.at("oracle.hits_stale"), 0u);
}

TEST(VmDomain, IsRefusedWithoutTheFilter)
{
    ts_error err{};
    ts_machine_config c = small_machine(true);
    EXPECT_EQ(ts_machine_check(&c, ts_flush_find("vm_domain"), &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("dvm.vmid_filter"), std::string::npos);
}
