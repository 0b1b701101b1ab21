/* SPDX-License-Identifier: Apache-2.0 */
/* Every cell of the table of who exits for an IPI in a guest (x86.md 2.6): one more shootdown adds
 * exactly these counts, and its latency contains each step exactly so often. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

using Settings = std::vector<std::pair<std::string, std::string>>;
using Counts = std::map<std::string, uint64_t>;

constexpr uint64_t more_cycles = 25;
constexpr ts_time cycle_ps = 400;

struct Step {
    const char *key;
    uint64_t times;
};
struct Cell {
    const char *name;
    bool arm;
    uint32_t vcpus;
    Settings settings;
    Counts counts; /* of one shootdown; the others of `counted` stay */
    std::vector<Step> steps;
};

void PrintTo(const Cell &c, std::ostream *out)
{
    *out << c.name;
}

/* Counters that a cell leaves as they are unless it names them. */
const std::vector<std::string> counted = {
    "exits",          "exit_icr",       "exit_apic_access", "exit_avic", "exit_eoi",
    "exit_interrupt", "exit_hypercall", "exit_halt",        "icr_fast",  "icr_slow",
    "sgi_traps",      "hypercalls_ipi", "pv_ipi_failed",    "posted",    "kicks",
    "notify_sent",    "notify_on",      "notify_sn",        "doorbells", "wakeups",
    "wakeups_nv",     "eoi_pv"};

ts_machine_config machine(const Cell &c)
{
    ts_machine_config m = small_machine(c.arm);
    set(m, "topology.sockets", "1");
    set(m, "topology.cores_per_socket", std::to_string(c.vcpus));
    set(m, "topology.core_hz", "2.5GHz");
    set(m, "interconnect.mesh_hz", "2.5GHz");
    set(m, "run.vms", "1");
    set(m, "run.vcpus", std::to_string(c.vcpus));
    for (const auto &[key, value] : c.settings)
        set(m, key, value);
    return m;
}

/* Thread 0 unmaps `rounds` regions; the others compute on CPUs of their own all the while. */
Outcome shootdowns(const ts_machine_config &m, uint32_t rounds)
{
    std::vector<ts_op> storm = {op_ns(TS_OP_COMPUTE, 1000000), op_mmap(9, 64 * 4096),
                                op_touch(9, 0, 1)};
    for (uint32_t region = 0; region < rounds; region++) {
        storm.push_back(op_mmap(region, 4096));
        storm.push_back(op_touch(region, 0, 1));
        storm.push_back(op_range(TS_OP_MUNMAP, region, 0, 4096));
    }
    Script script = {storm};
    for (uint64_t t = 1; t < m.run.vcpus; t++)
        script.push_back({op_ns(TS_OP_COMPUTE, 5000000)});
    Outcome out = run_script(m, script, static_cast<uint32_t>(m.run.vcpus));
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

Counts difference(const Outcome &more, const Outcome &fewer)
{
    Counts out;
    for (const std::string &name : counted) {
        uint64_t d = more.stats.at("hypervisor." + name) - fewer.stats.at("hypervisor." + name);
        if (d)
            out[name] = d;
    }
    return out;
}

const Settings no_apicv = {{"hypervisor.apicv", "false"}};
Settings with(Settings a, const Settings &b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
const Settings cluster = {{"interrupt.guest_mode", "x2apic_cluster"}};
const Settings flat = {{"interrupt.guest_mode", "xapic_flat"}};
const Settings xphys = {{"interrupt.guest_mode", "xapic_phys"}};
const Settings ipiv = {{"hypervisor.ipiv", "true"}};
const Settings masks = {{"interrupt.shorthand", "false"}};
Settings amd(const char *avic)
{
    return with(no_apicv, {{"hypervisor.tlb_tags", "svm_asid"}, {"hypervisor.avic", avic}});
}
Settings pv(const char *kind)
{
    return {{"hypervisor.pv_ipi", kind}};
}

const std::vector<Cell> cells = {
    /* --- one running target --- */
    {"none_x2apic_phys",
     false,
     2,
     no_apicv,
     {{"exits", 3},
      {"exit_icr", 1},
      {"icr_fast", 1},
      {"kicks", 1},
      {"exit_interrupt", 1},
      {"exit_eoi", 1}},
     /* The handler's first act is the EOI (sysvec_call_function: apic_eoi), which exits. */
     {{"hypervisor.exit", 3},
      {"hypervisor.entry", 2},
      {"hypervisor.icr_fastpath", 1},
      {"hypervisor.icr_slowpath", 0},
      {"hypervisor.inject", 1},
      {"hypervisor.host_irq", 1},
      {"interrupt.icr_write_cycles", 1}}},
    {"none_pv_eoi",
     false,
     2,
     with(no_apicv, {{"hypervisor.pv_eoi", "true"}}),
     {{"exits", 2},
      {"exit_icr", 1},
      {"icr_fast", 1},
      {"kicks", 1},
      {"exit_interrupt", 1},
      {"eoi_pv", 1}},
     {{"hypervisor.exit", 2}}},
    {"none_x2apic_cluster",
     false,
     2,
     with(no_apicv, cluster),
     {{"exits", 3},
      {"exit_icr", 1},
      {"icr_slow", 1},
      {"kicks", 1},
      {"exit_interrupt", 1},
      {"exit_eoi", 1}},
     {{"hypervisor.icr_fastpath", 1}, {"hypervisor.icr_slowpath", 1}}},
    {"none_xapic_phys", /* it reads ICR, writes ICR2 and ICR */
     false,
     2,
     with(no_apicv, xphys),
     {{"exits", 5},
      {"exit_apic_access", 2},
      {"exit_icr", 1},
      {"icr_slow", 1},
      {"kicks", 1},
      {"exit_interrupt", 1},
      {"exit_eoi", 1}},
     {{"hypervisor.exit", 5},
      {"hypervisor.entry", 4},
      {"hypervisor.icr_slowpath", 3},
      {"interrupt.mmio_write_cycles", 0},
      {"interrupt.icr_poll_cycles", 0}}},
    {"apicv_x2apic_phys",
     false,
     2,
     {},
     {{"exits", 1}, {"exit_icr", 1}, {"icr_fast", 1}, {"posted", 1}, {"notify_sent", 1}},
     {{"hypervisor.exit", 1},
      {"hypervisor.entry", 0},
      {"hypervisor.icr_fastpath", 1},
      {"hypervisor.icr_slowpath", 0},
      {"hypervisor.inject", 1},
      {"hypervisor.host_irq", 0},
      {"interrupt.icr_write_cycles", 1}}},
    {"apicv_xapic_phys", /* reads, ICR2 and the target's EOI stay in the virtual APIC page */
     false,
     2,
     xphys,
     {{"exits", 1}, {"exit_icr", 1}, {"icr_slow", 1}, {"posted", 1}, {"notify_sent", 1}},
     {{"hypervisor.exit", 1},
      {"hypervisor.icr_slowpath", 1},
      {"interrupt.mmio_write_cycles", 2},
      {"interrupt.icr_poll_cycles", 1}}},
    {"apicv_xapic_flat",
     false,
     2,
     flat,
     {{"exits", 1}, {"exit_icr", 1}, {"icr_slow", 1}, {"posted", 1}, {"notify_sent", 1}},
     {}},
    {"ipiv_x2apic_phys",
     false,
     2,
     ipiv,
     {{"posted", 1}, {"notify_sent", 1}},
     {{"hypervisor.exit", 0}, {"hypervisor.inject", 0}, {"interrupt.icr_write_cycles", 1}}},
    {"ipiv_xapic_phys",
     false,
     2,
     with(ipiv, xphys),
     {{"posted", 1}, {"notify_sent", 1}},
     {{"hypervisor.exit", 0},
      {"interrupt.icr_write_cycles", 0},
      {"interrupt.icr_poll_cycles", 1},
      {"interrupt.mmio_write_cycles", 3}}},
    {"ipiv_x2apic_cluster", /* logical: not virtualised */
     false,
     2,
     with(ipiv, cluster),
     {{"exits", 1}, {"exit_icr", 1}, {"icr_slow", 1}, {"posted", 1}, {"notify_sent", 1}},
     {{"hypervisor.exit", 1}}},
    {"ipiv_xapic_flat",
     false,
     2,
     with(ipiv, flat),
     {{"exits", 1}, {"exit_icr", 1}, {"icr_slow", 1}, {"posted", 1}, {"notify_sent", 1}},
     {}},
    {"avic_xapic_phys",
     false,
     2,
     with(amd("avic"), xphys),
     {{"posted", 1}, {"doorbells", 1}},
     {{"hypervisor.exit", 0},
      {"interrupt.icr_poll_cycles", 1},
      {"interrupt.mmio_write_cycles", 3}}},
    {"avic_x2apic_phys", /* hybrid: the doorbell alone */
     false,
     2,
     amd("avic"),
     {{"exits", 2},
      {"exit_icr", 1},
      {"icr_fast", 1},
      {"posted", 1},
      {"doorbells", 1},
      {"exit_eoi", 1}},
     {{"hypervisor.exit", 2}, {"hypervisor.inject", 1}}},
    {"x2avic_x2apic_phys",
     false,
     2,
     amd("x2avic"),
     {{"posted", 1}, {"doorbells", 1}},
     {{"hypervisor.exit", 0}, {"interrupt.icr_write_cycles", 1}}},
    {"x2avic_x2apic_cluster",
     false,
     2,
     with(amd("x2avic"), cluster),
     {{"posted", 1}, {"doorbells", 1}},
     {{"hypervisor.exit", 0}}},
    {"gicv3",
     true,
     2,
     {},
     {{"exits", 2}, {"exit_icr", 1}, {"sgi_traps", 1}, {"kicks", 1}, {"exit_interrupt", 1}},
     {{"hypervisor.exit", 2}, {"hypervisor.entry", 1}, {"hypervisor.sgi_trap", 1}}},
    {"gicv4_1",
     true,
     2,
     ipiv,
     {{"exits", 1}, {"exit_icr", 1}, {"sgi_traps", 1}, {"posted", 1}, {"notify_sent", 1}},
     {{"hypervisor.exit", 1}, {"hypervisor.entry", 0}, {"hypervisor.sgi_trap", 1}}},
    /* --- three of four, all that are not the sender --- */
    {"apicv_shorthand",
     false,
     4,
     {},
     {{"exits", 1}, {"exit_icr", 1}, {"icr_slow", 1}, {"posted", 3}, {"notify_sent", 3}},
     {}},
    {"apicv_mask",
     false,
     4,
     masks,
     {{"exits", 3}, {"exit_icr", 3}, {"icr_fast", 3}, {"posted", 3}, {"notify_sent", 3}},
     {}},
    {"apicv_mask_cluster",
     false,
     4,
     with(masks, cluster),
     {{"exits", 1}, {"exit_icr", 1}, {"icr_slow", 1}, {"posted", 3}, {"notify_sent", 3}},
     {}},
    {"ipiv_shorthand",
     false,
     4,
     ipiv,
     {{"exits", 1}, {"exit_icr", 1}, {"icr_slow", 1}, {"posted", 3}, {"notify_sent", 3}},
     {}},
    {"ipiv_mask", false, 4, with(ipiv, masks), {{"posted", 3}, {"notify_sent", 3}}, {}},
    {"x2avic_shorthand", false, 4, amd("x2avic"), {{"posted", 3}, {"doorbells", 3}}, {}},
    {"x2avic_mask", false, 4, with(amd("x2avic"), masks), {{"posted", 3}, {"doorbells", 3}}, {}},
    {"avic_flat_mask",
     false,
     4,
     with(with(amd("avic"), flat), masks),
     {{"posted", 3}, {"doorbells", 3}},
     {}},
    {"gicv3_mask", /* one write for a group of 16 */
     true,
     4,
     {},
     {{"exits", 4}, {"exit_icr", 1}, {"sgi_traps", 1}, {"kicks", 3}, {"exit_interrupt", 3}},
     {}},
    /* --- KVM_HC_SEND_IPI --- */
    {"pv_ipi_mask",
     false,
     4,
     with(pv("sliding"), masks),
     {{"exits", 1},
      {"exit_hypercall", 1},
      {"hypercalls_ipi", 1},
      {"posted", 3},
      {"notify_sent", 3}},
     {}},
    {"pv_ipi_yields_to_the_shorthand",
     false,
     4,
     pv("sliding"),
     {{"exits", 1}, {"exit_icr", 1}, {"icr_slow", 1}, {"posted", 3}, {"notify_sent", 3}},
     {}},
    {"pv_ipi_not_for_one",
     false,
     2,
     with(pv("sliding"), masks),
     {{"exits", 1}, {"exit_icr", 1}, {"icr_fast", 1}, {"posted", 1}, {"notify_sent", 1}},
     {}},
    {"pv_ipi_cluster192_without_apicv",
     false,
     4,
     with(with(pv("cluster192"), masks), no_apicv),
     {{"exits", 7},
      {"exit_hypercall", 1},
      {"hypercalls_ipi", 1},
      {"kicks", 3},
      {"exit_interrupt", 3},
      {"exit_eoi", 3}},
     {}},
    {"pv_ipi_takes_avic_s_place", /* the guest does not ask who would be faster */
     false,
     4,
     with(with(pv("absolute128"), masks), amd("x2avic")),
     {{"exits", 1}, {"exit_hypercall", 1}, {"hypercalls_ipi", 1}, {"posted", 3}, {"doorbells", 3}},
     {}},
};

class ApicCells : public testing::TestWithParam<Cell>
{
};

std::string raised(ts_machine_config &m, const std::string &key)
{
    void *base = nullptr;
    const ts_param *row = find_param(m, key, &base);
    return std::to_string(ts_param_get(row, base) + more_cycles) + "cycles";
}

} // namespace

TEST_P(ApicCells, WhoExits)
{
    const Cell &c = GetParam();
    ts_machine_config m = machine(c);
    EXPECT_EQ(difference(shootdowns(m, 3), shootdowns(m, 2)), c.counts);
}

TEST_P(ApicCells, EachStepOnThePath)
{
    const Cell &c = GetParam();
    ts_machine_config m = machine(c);
    ts_time before = shootdowns(m, 2).shootdowns[1].total_ps;
    for (const Step &step : c.steps) {
        ts_machine_config slower = m;
        set(slower, step.key, raised(m, step.key));
        EXPECT_EQ(shootdowns(slower, 2).shootdowns[1].total_ps,
                  before + step.times * more_cycles * cycle_ps)
            << step.key;
    }
}

INSTANTIATE_TEST_SUITE_P(Table, ApicCells, testing::ValuesIn(cells),
                         [](const auto &each) { return std::string(each.param.name); });
