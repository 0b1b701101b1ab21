// SPDX-License-Identifier: Apache-2.0
// Costs of lines, exits and calls: slopes and differences of measurements, and what is left of one
// when the simulator does the rest.
#include "sim/front/calibrate/derive.hpp"
#include "sim/front/output.hpp"

#include <algorithm>
#include <cmath>

namespace ts
{
namespace
{

double core_ghz(const Derivation &d)
{
    return static_cast<double>(d.machine.value("topology.core_hz")) / 1e9;
}

std::string cycles_text(double cycles)
{
    return std::to_string(static_cast<uint64_t>(std::llround(std::max(0.0, cycles)))) + "cycles";
}

std::string ns_text(double ns)
{
    return short_time(ns * 1e-9);
}

std::string row_text(const Measurements &m, const BenchRow &row)
{
    const auto found = m.rows.find(row);
    return found == m.rows.end() ? ""
                                 : row.name() + ": " + ns_text(found->second.spread.median) + ", " +
                                       spread_text(found->second.spread, "ns");
}

bool has(const Measurements &m, const BenchRow &row)
{
    const auto found = m.rows.find(row);
    return found != m.rows.end() && found->second.spread.n > 0;
}

// ns a page and call between two numbers of pages.
double slope(const Measurements &m, ts_cal_call call, size_t from, size_t to)
{
    return (m.row(call, to) - m.row(call, from)) / static_cast<double>(to - from) / calls_of(call);
}

std::string slope_text(ts_cal_call call, size_t from, size_t to)
{
    return "slope of " + std::string(call_name(call)) + " from " + std::to_string(from) + " to " +
           std::to_string(to) + " pages";
}

// A cost that is a formula over measurements; left out if it is below zero.
void set_direct(Derivation *d, const std::string &key, double ns, const std::string &method)
{
    if (ns < 0) {
        d->left_out.push_back(key + ": " + method + " is below zero, noise is larger than it");
        return;
    }
    d->machine.set(key, cycles_text(ns * core_ghz(*d)), "measured here: " + method,
                   TS_CONF_MEASURED);
}

// The model charges zap_page for an entry that is cleared and half of it for one that is changed
// (models/guest/mm/protect.c), free_page for the page, and INVLPG up to guest.flush_ceiling pages.
void derive_slopes(const Measurements &m, Derivation *d)
{
    const bool mprotects = has(m, {TS_CAL_MPROTECT, 128, 0}) && has(m, {TS_CAL_MPROTECT, 510, 0});
    const double change = slope(m, TS_CAL_MPROTECT, 128, 510);
    if (mprotects)
        set_direct(d, "guest.zap_page", 2 * change,
                   "twice the " + slope_text(TS_CAL_MPROTECT, 128, 510) + ", a call; " +
                       row_text(m, {TS_CAL_MPROTECT, 510, 0}));
    if (mprotects && has(m, {TS_CAL_DONTNEED, 16, 0}) && has(m, {TS_CAL_DONTNEED, 128, 0}))
        set_direct(d, "guest.free_page", slope(m, TS_CAL_DONTNEED, 16, 128) - 2 * change,
                   slope_text(TS_CAL_DONTNEED, 16, 128) + ", less guest.zap_page; " +
                       row_text(m, {TS_CAL_DONTNEED, 128, 0}));
    const bool ceiling = d->machine.value("guest.flush_ceiling") >= 32;
    if (mprotects && ceiling && has(m, {TS_CAL_MPROTECT, 4, 0}) &&
        has(m, {TS_CAL_MPROTECT, 32, 0}) && d->machine.value("topology.arch") == TS_ARCH_X86)
        set_direct(d, "guest.invlpg", slope(m, TS_CAL_MPROTECT, 4, 32) - change,
                   slope_text(TS_CAL_MPROTECT, 4, 32) + ", a call, less that from 128 to 510; " +
                       row_text(m, {TS_CAL_MPROTECT, 32, 0}));
}

// A parameter that the model charges `times` in a sample of the row.
struct Residual {
    const char *key;
    BenchRow row;
    double times;
    uint64_t most; // cycles or, of a time, ps: beyond it, it is something else that takes the time
};

void set_residual(const Measurements &m, const Simulator &simulator, const Residual &r,
                  Derivation *d)
{
    const Key &key = Keys::get().need(r.key, KeyOwners(), Place());
    const bool is_time = key.row->type == TS_PARAM_TIME;
    const double unit_ns = is_time ? 1e-3 : 1 / core_ghz(*d); // of one
    if (!has(m, r.row))
        return;
    const double real = m.row(r.row.call, r.row.pages, r.row.spinners);
    const double before = static_cast<double>(d->machine.value(r.key)) * unit_ns;
    ParameterSet trial = d->machine;
    double value = before, rest = 0;
    // The second time, as a cost may be hidden behind another one.
    for (int i = 0; i < 2; i++) {
        const double simulated = simulator.row(trial, r.row);
        rest = simulated - value * r.times;
        value = std::max(0.0, value + (real - simulated) / r.times);
        trial.set(r.key,
                  is_time ? std::to_string(std::llround(value / unit_ns)) + "ps"
                          : cycles_text(value / unit_ns),
                  "", TS_CONF_DERIVED);
    }
    const double units = value / unit_ns;
    if (value <= 0 || units > static_cast<double>(r.most)) {
        d->left_out.push_back(
            std::string(r.key) + ": " + r.row.name() + " takes " + ns_text(real) +
            ", the simulator without it " + ns_text(rest) +
            (value <= 0 ? ": nothing is left for it" : ": what is left is more than it can be"));
        return;
    }
    const std::string text =
        is_time ? std::to_string(std::llround(units)) + "ps" : cycles_text(units);
    const std::string a_sample =
        r.times == 1 ? "" : " in " + number(r.times) + " parts of a sample";
    d->machine.set(r.key, text,
                   "derived here: " + row_text(m, r.row) + ", less " + ns_text(rest) +
                       " that the simulator takes without it" + a_sample,
                   TS_CONF_DERIVED);
}

void derive_calls(const Measurements &m, const Simulator &simulator, Derivation *d)
{
    constexpr uint64_t any = 100000000, call_cycles = 100000, flight_ps = 1000000,
                       inject_cycles = 20000;
    const bool bare = !m.guest.hypervisor;
    const bool arm = d->machine.value("topology.arch") != TS_ARCH_X86;
    if (has(m, {TS_CAL_SYSCALL, 1, 0}))
        set_direct(d, "guest.syscall", m.row(TS_CAL_SYSCALL, 1),
                   row_text(m, {TS_CAL_SYSCALL, 1, 0}));
    derive_slopes(m, d);
    std::vector<Residual> residuals = {
        {"guest.fault_anon", {TS_CAL_FAULT, 128, 0}, 128, any},
        {"guest.alloc_table", {TS_CAL_FAULT_TABLE, 1, 0}, 1, call_cycles},
        {"guest.mmap", {TS_CAL_MMAP, 1, 0}, 1, call_cycles},
        {"guest.mprotect", {TS_CAL_MPROTECT, 1, 0}, 2, call_cycles},
        {"guest.munmap", {TS_CAL_MUNMAP, 1, 0}, 1, call_cycles},
        {"guest.madvise", {TS_CAL_DONTNEED, 1, 0}, 1, call_cycles},
        {"guest.free_table", {TS_CAL_MUNMAP_TABLE, 1, 0}, 1, call_cycles},
    };
    // One number for all that the model lacks of an IPI's way: the share of each part cannot be
    // told apart by one measurement. A flight of more than 1 us is none.
    if (bare)
        residuals.push_back({"interrupt.transport_ps", {TS_CAL_MEMBARRIER, 1, 1}, 1, flight_ps});
    else
        residuals.push_back({arm ? "hypervisor.sgi_trap" : "hypervisor.inject",
                             {TS_CAL_MEMBARRIER, 1, 1},
                             1,
                             inject_cycles});
    for (const Residual &residual : residuals)
        set_residual(m, simulator, residual, d);
}

// The level's median for a relation, of its pairs' medians; n: pairs.
Spread line_spread(const Measurements &m, Relation relation)
{
    std::vector<double> values;
    for (const PairTime &pair : m.pairs)
        if (pair.relation == relation)
            values.push_back(pair.ns.median);
    return spread_of(std::move(values));
}

// A parameter of which the simulated transfer is a straight line.
void set_line(const Measurements &m, const Simulator &simulator, const std::string &key,
              Relation relation, const std::string &column, Derivation *d)
{
    const Spread real = line_spread(m, relation);
    const Key &row = Keys::get().need(key, KeyOwners(), Place());
    const bool is_time = row.row->type == TS_PARAM_TIME;
    const uint64_t near = row.row->min, far = is_time ? 100000 : 60;
    const auto text = [&](uint64_t value) {
        return std::to_string(value) + (is_time ? "ps" : "cycles");
    };
    if (real.n == 0)
        return;
    ParameterSet low = d->machine, high = d->machine;
    low.set(key, text(near), "", TS_CONF_DERIVED);
    high.set(key, text(far), "", TS_CONF_DERIVED);
    const double at_low = simulator.line(low, column), at_high = simulator.line(high, column);
    if (at_low <= 0 || at_high <= at_low)
        return;
    const double value = static_cast<double>(near) + (real.median - at_low) / (at_high - at_low) *
                                                         static_cast<double>(far - near);
    if (value < static_cast<double>(near) || value > static_cast<double>(row.row->max)) {
        d->left_out.push_back(key + ": a transfer between " + relation_name(relation) + " takes " +
                              ns_text(real.median) + ", the simulator without it " +
                              ns_text(at_low));
        return;
    }
    d->machine.set(key, text(static_cast<uint64_t>(std::llround(value))),
                   "derived here: so that a simulated transfer between " +
                       std::string(relation_name(relation)) + " takes the measured " +
                       ns_text(real.median) + ", of " + std::to_string(real.n) + " pairs, IQR " +
                       ns_text(real.low) + " to " + ns_text(real.high),
                   TS_CONF_DERIVED);
}

void derive_lines(const Measurements &m, const Simulator &simulator, Derivation *d)
{
    constexpr double gap = 1.25;
    std::vector<double> values;
    for (const PairTime &pair : m.pairs)
        values.push_back(pair.ns.median);
    for (const Level &level : levels_of(values, gap)) {
        size_t by_relation[4] = {};
        for (const size_t member : level.members)
            by_relation[static_cast<size_t>(m.pairs[member].relation)]++;
        std::string who;
        for (size_t i = 0; i < 4; i++)
            if (by_relation[i] > 0)
                who += (who.empty() ? "" : ", ") + std::to_string(by_relation[i]) + " of " +
                       relation_name(static_cast<Relation>(i));
        d->report.push_back({"line transfer", ns_text(level.median),
                             ns_text(level.low) + " to " + ns_text(level.high) + "; " + who, ""});
    }
    set_line(m, simulator, "line.snoop_cycles", Relation::Cluster, "neighbour_ns", d);
    set_line(m, simulator, "interconnect.link_cycles", Relation::Socket, "other_cluster_ns", d);
    set_line(m, simulator, "interconnect.socket_link_ps", Relation::Remote, "other_socket_ns", d);
}

void derive_exit(const Measurements &m, Derivation *d)
{
    if (m.exit.n == 0)
        return;
    const std::string half = cycles_text(m.exit.median * core_ghz(*d) / 2);
    const std::string source =
        "measured here: half of a CPUID, its emulation by the hypervisor included: " +
        ns_text(m.exit.median) + ", " + spread_text(m.exit, "ns");
    for (const char *key : {"hypervisor.exit", "hypervisor.entry"})
        d->machine.set(key, half, source, TS_CONF_MEASURED);
    d->report.push_back({"exit and entry, by CPUID", ns_text(m.exit.median),
                         spread_text(m.exit, "ns"), "hypervisor.exit, hypervisor.entry"});
}

// In a guest of x86 the write is an exit (KVM: the MSR TSC_DEADLINE), on bare metal and on Arm the
// CPU's own.
void derive_timer(const Measurements &m, Derivation *d)
{
    const bool exits = m.guest.hypervisor && d->machine.value("topology.arch") == TS_ARCH_X86;
    const std::string key = exits ? "hypervisor.icr_fastpath" : "guest.timer_program";
    if (m.timer_write.n == 0)
        return;
    d->report.push_back(
        {exits ? "exit, by a write of the timer's deadline" : "write of the timer's deadline",
         ns_text(m.timer_write.median), spread_text(m.timer_write, "ns"), key});
    if (exits && m.exit.n == 0)
        return;
    set_direct(d, key, m.timer_write.median - (exits ? m.exit.median : 0),
               "a write of the timer's deadline, by timerfd_settime, hrtimer_reprogram included" +
                   std::string(exits ? ", less a CPUID" : "") + ": " +
                   ns_text(m.timer_write.median) + ", " + spread_text(m.timer_write, "ns"));
}

void report_rows(const Measurements &m, Derivation *d)
{
    for (const auto &item : m.rows)
        if (item.second.spread.n > 0)
            d->report.push_back({item.first.name(), ns_text(item.second.spread.median),
                                 spread_text(item.second.spread, "ns"), ""});
    for (const DistanceTime &time : m.distances)
        if (time.sample.spread.n > 0)
            d->report.push_back({time.row.name() + ", " + relation_name(time.relation),
                                 ns_text(time.sample.spread.median),
                                 spread_text(time.sample.spread, "ns"), ""});
}

} // namespace

void derive_costs(const Measurements &m, const Simulator &simulator, Derivation *d)
{
    derive_lines(m, simulator, d);
    derive_exit(m, d);
    derive_timer(m, d);
    derive_calls(m, simulator, d);
    report_rows(m, d);
}

void derive_hypervisor(const Measurements &m, Derivation *d)
{
    // Linux Documentation/virt/kvm/x86/cpuid.rst
    enum { UNHALT = 7, EOI = 6, STEAL_TIME = 5, TLB_FLUSH = 9, SEND_IPI = 11, SCHED_YIELD = 13 };
    const auto offers = [&](unsigned bit) { return (m.guest.kvm_features >> bit & 1) != 0; };
    const auto set = [&](const std::string &key, const std::string &value, const char *what) {
        d->hypervisor.set("hypervisor." + key, value, "measured here: CPUID, " + std::string(what),
                          TS_CONF_MEASURED);
    };
    const auto flag = [&](const std::string &key, bool value, const char *what) {
        set(key, value ? "true" : "false", what);
    };
    if (!m.guest.hypervisor)
        return;
    if (m.guest.kvm_leaf == 0) {
        d->left_out.push_back("hypervisor: '" + std::string(m.guest.vendor) +
                              "' is not KVM; what it offers is not read");
        return;
    }
    set("kind", "kvm", "the hypervisor's name is KVMKVMKVM");
    flag("pv_tlb_flush", offers(TLB_FLUSH) && offers(STEAL_TIME),
         "KVM_FEATURE_PV_TLB_FLUSH and KVM_FEATURE_STEAL_TIME");
    set("pv_ipi", offers(SEND_IPI) ? "sliding" : "off", "KVM_FEATURE_PV_SEND_IPI");
    flag("pv_sched_yield", offers(SCHED_YIELD), "KVM_FEATURE_PV_SCHED_YIELD");
    flag("pv_unhalt", offers(UNHALT), "KVM_FEATURE_PV_UNHALT");
    flag("pv_eoi", offers(EOI), "KVM_FEATURE_PV_EOI");
    flag("realtime_hint", (m.guest.kvm_hints & 1) != 0, "KVM_HINTS_REALTIME");
    if (std::string(m.guest.cpu_vendor) == "AuthenticAMD")
        d->hypervisor.set("hypervisor.apicv", "false",
                          "posted interrupts are Intel's; that this host does not use AVIC "
                          "(hypervisor.avic) is assumed, as its guest does not see it",
                          TS_CONF_GUESS);
    d->report.push_back({"hypervisor", "KVM",
                         std::string("PV TLB flush ") + (offers(TLB_FLUSH) ? "offered" : "absent") +
                             ", PV IPI " + (offers(SEND_IPI) ? "offered" : "absent") +
                             ", steal time " + (offers(STEAL_TIME) ? "offered" : "absent"),
                         "hypervisor.*"});
}

} // namespace ts
