/* SPDX-License-Identifier: Apache-2.0 */
/* What a shootdown is made of. One uncontended shootdown of two pages with one other CPU to reach:
 * if a step's cost grows by d cycles, the latency must grow by exactly k*d cycles, where k is how
 * often the mechanism takes the step on its critical path (x86.md 2.1, 2.2, 4.2; arm.md 3.9).
 * Core and mesh have one clock here, so that no edge rounds anything away. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t pages = 2;
constexpr uint64_t more_cycles = 25;
constexpr ts_time cycle_ps = 400;

struct Step {
    const char *key;
    uint64_t times;
};
struct Case {
    const char *name;
    const char *mechanism;
    bool arm, vm;
    std::vector<Step> steps;
};

ts_machine_config machine(const Case &c)
{
    ts_machine_config m = small_machine(c.arm);
    set(m, "topology.sockets", "1");
    set(m, "topology.cores_per_socket", "2");
    set(m, "topology.core_hz", "2.5GHz");
    set(m, "interconnect.mesh_hz", "2.5GHz");
    set(m, "run.vms", "1");
    set(m, "run.vcpus", "2");
    if (!c.vm)
        set(m, "hypervisor.kind", "none");
    return m;
}

/* The second of two equal shootdowns: the lines have found their owners. The other thread computes
 * all the while, and the region in between keeps the page table. */
ts_shootdown_record second_shootdown(const Case &c, const ts_machine_config &m)
{
    std::vector<ts_op> storm = {op_ns(TS_OP_COMPUTE, 1000000), op_mmap(9, 64 * 4096),
                                op_touch(9, 0, 1)};
    for (uint32_t region = 0; region < 2; region++) {
        storm.push_back(op_mmap(region, pages * 4096));
        storm.push_back(op_touch(region, 0, pages));
        storm.push_back(op_range(TS_OP_MUNMAP, region, 0, pages * 4096));
    }
    Outcome out = run_script(m, {storm, {op_ns(TS_OP_COMPUTE, 5000000)}}, 2, c.mechanism);
    if (out.status != TS_OK || out.shootdowns.size() < 2)
        throw std::runtime_error("no two shootdowns: " + out.message);
    return out.shootdowns[1];
}

const std::vector<Case> cases = {
    {"native_concurrent_bare",
     "native_concurrent",
     false,
     false,
     {{"guest.smp_call_setup", 1},
      {"guest.smp_call_target", 1},
      {"interrupt.icr_write_cycles", 1},
      {"guest.irq_entry", 1},
      {"guest.smp_call_handler", 1},
      {"guest.flush_func", 1}, /* the local one overlaps the flight of the IPI */
      {"guest.invlpg", pages},
      {"guest.irq_exit", 0}, /* after the acknowledgement */
      {"guest.mov_cr3_flush", 0}}},
    {"early_ack_bare",
     "early_ack",
     false,
     false,
     {{"guest.smp_call_setup", 1},
      {"guest.smp_call_target", 1},
      {"interrupt.icr_write_cycles", 1},
      {"guest.irq_entry", 1},
      {"guest.smp_call_handler", 1},
      {"guest.flush_func", 0}, /* the local one overlaps, the target's comes after its answer */
      {"guest.invlpg", 0}}},
    {"native_sequential_bare",
     "native_sequential",
     false,
     false,
     {{"guest.smp_call_setup", 1},
      {"interrupt.icr_write_cycles", 1},
      {"guest.irq_entry", 1},
      {"guest.flush_func", 2},
      {"guest.invlpg", 2 * pages}}},
    {"native_concurrent_vm",
     "native_concurrent",
     false,
     true,
     {{"hypervisor.exit", 1},
      {"hypervisor.icr_fastpath", 1},
      {"hypervisor.inject", 1},
      {"hypervisor.entry", 0}, /* the notification has left before it */
      {"guest.irq_entry", 1},
      {"guest.invlpg", pages}}},
    {"kvm_pv_vm",
     "kvm_pv",
     false,
     true,
     {{"hypervisor.exit", 1},
      {"hypervisor.icr_fastpath", 1},
      {"hypervisor.inject", 1},
      {"guest.irq_entry", 1},
      {"guest.invlpg", pages}}},
    {"hyperv_vm",
     "hyperv",
     false,
     true,
     {{"hypervisor.exit", 2}, /* its own and the target's */
      {"hypervisor.hypercall", 1},
      {"hypervisor.kick", 2},
      {"hypervisor.host_irq", 1},
      {"hypervisor.invvpid_addr", pages}, /* its own, before it enters again */
      {"hypervisor.entry", 1},
      {"guest.irq_entry", 0},
      {"guest.invlpg", 0}}},
    {"tlbi_broadcast_bare",
     "tlbi_broadcast",
     true,
     false,
     {{"guest.dsb_ishst", 1}, {"guest.tlbi_issue", pages}, {"guest.irq_entry", 0}}},
    {"tlbi_range_bare",
     "tlbi_range",
     true,
     false,
     {{"guest.dsb_ishst", 1}, {"guest.tlbi_issue", 1}, {"guest.irq_entry", 0}}},
    {"tlbi_range_vm", /* no exit on the way */
     "tlbi_range",
     true,
     true,
     {{"guest.dsb_ishst", 1}, {"guest.tlbi_issue", 1}, {"hypervisor.exit", 0}}},
};

class ShootdownFormula : public testing::TestWithParam<Case>
{
};

/* The value of a cycles parameter plus so many. */
std::string raised(ts_machine_config &m, const std::string &key)
{
    void *base = nullptr;
    const ts_param *row = find_param(m, key, &base);
    return std::to_string(ts_param_get(row, base) + more_cycles) + "cycles";
}

} // namespace

TEST_P(ShootdownFormula, GrowsByEachStepAsOftenAsItIsTaken)
{
    const Case &c = GetParam();
    ts_machine_config m = machine(c);
    ts_time before = second_shootdown(c, m).total_ps;
    for (const Step &step : c.steps) {
        ts_machine_config slower = m;
        set(slower, step.key, raised(m, step.key));
        EXPECT_EQ(second_shootdown(c, slower).total_ps,
                  before + step.times * more_cycles * cycle_ps)
            << step.key;
    }
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, ShootdownFormula, testing::ValuesIn(cases),
                         [](const auto &each) { return std::string(each.param.name); });
