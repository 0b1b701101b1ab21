/* SPDX-License-Identifier: Apache-2.0 */
/* KVM_HC_SEND_IPI in a whole machine: hypercalls a shootdown by the formula of its window, and what
 * becomes of one that the host refuses. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

ts_machine_config machine(uint64_t vcpus, const char *kind)
{
    ts_machine_config m = small_machine();
    set(m, "topology.sockets", "2");
    set(m, "topology.cores_per_socket", std::to_string(vcpus / 2));
    set(m, "run.vms", "1");
    set(m, "run.vcpus", std::to_string(vcpus));
    set(m, "run.oracle", "false");
    set(m, "interrupt.shorthand", "false");
    set(m, "hypervisor.pv_ipi", kind);
    return m;
}

Outcome storm(const ts_machine_config &m, uint32_t rounds)
{
    std::vector<ts_op> first = {op_ns(TS_OP_COMPUTE, 3000000), op_mmap(99, 64 * 4096),
                                op_touch(99, 0, 1)};
    for (uint32_t region = 0; region < rounds; region++) {
        first.push_back(op_mmap(region, 4096));
        first.push_back(op_touch(region, 0, 1));
        first.push_back(op_range(TS_OP_MUNMAP, region, 0, 4096));
    }
    Script script = {first};
    for (uint64_t t = 1; t < m.run.vcpus; t++)
        script.push_back({op_ns(TS_OP_COMPUTE, 9000000)});
    return run_script(m, script, static_cast<uint32_t>(m.run.vcpus));
}

uint64_t up(uint64_t n, uint64_t d)
{
    return (n + d - 1) / d;
}

} // namespace

/* vCPU 0 calls all others: IDs 1 to n-1. Aligned windows begin at 0. */
TEST(PvIpiMachine, HypercallsFollowTheWindow)
{
    for (uint64_t n : {8u, 128u, 130u, 194u}) {
        struct Case {
            const char *kind;
            uint64_t hypercalls;
        };
        for (const Case &c :
             {Case{"sliding", up(n - 1, 128)}, Case{"cluster128", up(n, 128)},
              Case{"cluster192", up(n, 192)}, Case{"absolute128", n <= 128 ? 1u : 0u}}) {
            SCOPED_TRACE(std::string(c.kind) + " " + std::to_string(n));
            ts_machine_config m = machine(n, c.kind);
            Outcome a = storm(m, 2), b = storm(m, 1);
            auto more = [&](const char *name) { return a.stats.at(name) - b.stats.at(name); };

            ASSERT_EQ(a.status, TS_OK) << a.message;
            EXPECT_EQ(more("hypervisor.hypercalls_ipi"), c.hypercalls);
            EXPECT_EQ(more("hypervisor.exit_hypercall"), c.hypercalls);
            EXPECT_EQ(more("guest.icr_writes"), c.hypercalls ? 0 : n - 1);
            EXPECT_EQ(more("vcpu.irq_call"), n - 1);
        }
    }
}

/* The guest warns and goes on: nobody is told, and it waits for ever. */
TEST(PvIpiMachine, ARefusedHypercallLosesTheInterrupt)
{
    ts_machine_config m = machine(4, "sliding");
    set(m, "hypervisor.pv_ipi_no_map", "true");
    set(m, "run.progress", "100ms");
    Outcome out = storm(m, 1);
    EXPECT_EQ(out.status, TS_ERR_FINDING);
    EXPECT_NE(out.message.find("no progress"), std::string::npos) << out.message;
    EXPECT_EQ(out.stats.at("hypervisor.pv_ipi_failed"), 1u);
    EXPECT_EQ(out.stats.at("vcpu.irq_call"), 0u);
}
