// SPDX-License-Identifier: Apache-2.0
// What validate compares and says; interrupts, counters and the timer of the host.
#include "sim/front/calibrate/derive.hpp"
#include "sim/front/calibrate/files.hpp"
#include "sim/front/calibrate/validation.hpp"
#include "source_dir.h"
#include "tests/unit/fake_host.hpp"
#include "tests/unit/forbid.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <sys/syscall.h>

namespace
{

using namespace ts;
using ts_test::FakeHost;

constexpr auto interrupts = ValidateRow::Unit::Interrupts;

ValidateRow row(const char *name, bool held_out, double real, double simulated)
{
    return {name, held_out, spread_of({real}), simulated};
}

// --- what is said ---

TEST(Validation, TheVerdictIsOfWhatWasHeldOut)
{
    Validation v;
    v.rows = {row("used", false, 100, 50), row("near", true, 100, 90), row("far", true, 100, 140),
              row("nothing", true, 0, 3)};
    v.rows.push_back({"counts", true, spread_of({2}), 2, interrupts});
    const std::string text = v.verdict();
    EXPECT_NE(text.find("of the 3 that it never saw"), std::string::npos) << text;
    EXPECT_NE(
        text.find("the median error is 10 %, half of the rows are within 5 to 25 %; the worst "
                  "is far at +40 %."),
        std::string::npos)
        << text;
    EXPECT_EQ(text.find("changed its speed"), std::string::npos); // one row tells no change
    EXPECT_EQ(v.drift(), 1);
}

TEST(Validation, AHostThatHasChangedItsSpeedIsTold)
{
    Validation v;
    for (const double real : {120.0, 125.0, 500.0})
        v.rows.push_back(row("used", false, real, 100));
    v.rows.push_back(row("call", true, 125, 100));
    v.rows.push_back({"counts", true, spread_of({2}), 2, interrupts}); // no time
    EXPECT_EQ(v.drift(), 1.25);
    const std::string text = v.verdict();
    EXPECT_NE(text.find("take 25 % more time now (median)"), std::string::npos) << text;
    EXPECT_NE(text.find("that change taken off: the median error is 0 %"), std::string::npos)
        << text;
    for (ValidateRow &used : v.rows)
        used.real = spread_of({used.simulated * 0.97});
    EXPECT_EQ(v.verdict().find("changed its speed"), std::string::npos);
}

TEST(Validation, TheTableHasItsUnits)
{
    Validation v;
    v.rows = {row("call, 1 page", false, 1500, 1200)};
    v.rows.push_back({"counts", true, spread_of({1.96, 2}), 2, interrupts});
    EXPECT_EQ(v.csv(), "row,role,unit,real,real_q1,real_q3,n,simulated,error_percent\n"
                       "\"call, 1 page\",used,ns,1500,1500,1500,1,1200,-20.0\n"
                       "counts,held_out,interrupts,1.980,1.970,1.990,2,2.000,1.0\n");
    EXPECT_NE(v.table().find("1.500 us"), std::string::npos) << v.table();
    EXPECT_NE(v.table().find("1.98"), std::string::npos) << v.table();
}

// --- interrupts ---

TEST(Interrupts, OfAllCpusAreAdded)
{
    const FakeHost host;
    EXPECT_FALSE(flush_interrupts(host.root()).has_value());
    host.put("/proc/interrupts", "           CPU0       CPU1\n"
                                 " 24:         30          4   PCI-MSIX-0000:00:01.0\n"
                                 "CAL:     460881     910105   Function call interrupts\n"
                                 "TLB:        914       3088   TLB shootdowns\n"
                                 "TRM:          7          0   Thermal event interrupts");
    EXPECT_EQ(flush_interrupts(host.root()), 4002u);
    host.put("/proc/interrupts", "           CPU0\nIPI0:  3  Rescheduling interrupts");
    EXPECT_FALSE(flush_interrupts(host.root()).has_value()); // arm64
}

TEST(Interrupts, AreCountedOverAllRounds)
{
    const std::vector<int> cpus = allowed_cpus();
    double values[4];
    ts_cal_samples out{values, 0, 4, 0};
    const ts_cal_bench bench{TS_CAL_MMAP, 1, cpus.data(), 1};
    ASSERT_EQ(ts_cal_bench_run(&bench, 0, &out), 0);
    EXPECT_EQ(out.n, 3u);
    EXPECT_EQ(out.rounds, 6u); // three before those that count
}

SimulatedPlatform bare_metal()
{
    setenv("TLBSTORM_CONFIGS", (std::string(TS_SOURCE_DIR) + "/configs").c_str(), 1);
    SimulatedPlatform platform;
    platform.machine = std::string(TS_SOURCE_DIR) + "/configs/machines/x86-1s-12t.yaml";
    platform.hypervisor = "none";
    platform.guest = std::string(TS_SOURCE_DIR) + "/configs/guests/linux-6.12-x86.yaml";
    platform.mechanism = "native_concurrent";
    platform.cpus = 4;
    return platform;
}

SimulatedRow simulated(ts_cal_call call, size_t spinners)
{
    return simulate_row(bare_metal(), {call, 1, spinners});
}

// Taking the right to write and giving it back flush both (Linux 5.18 and later,
// pte_flags_need_flush).
TEST(Interrupts, OfTheSimulatorAreThoseOfTheCalls)
{
    EXPECT_EQ(simulated(TS_CAL_MPROTECT, 0).interrupts, 0);
    EXPECT_EQ(simulated(TS_CAL_MPROTECT, 1).interrupts, 2);
    EXPECT_EQ(simulated(TS_CAL_MPROTECT, 2).interrupts, 4);
    EXPECT_EQ(simulated(TS_CAL_DONTNEED, 1).interrupts, 1);
    EXPECT_EQ(simulated(TS_CAL_MUNMAP, 2).interrupts, 2);
    EXPECT_GT(simulated(TS_CAL_MPROTECT, 1).ns, simulated(TS_CAL_MPROTECT, 0).ns);
}

// The fixed part of madvise, which a calibration derives from one page.
TEST(Simulated, AMadviseHasAFixedPart)
{
    const auto with = [](const char *cycles) {
        SimulatedPlatform platform = bare_metal();
        platform.sets = {{"guest.madvise", cycles}};
        return simulate_row(platform, {TS_CAL_DONTNEED, 1, 0}).ns;
    };
    // x86-1s-12t: 2.5 GHz
    EXPECT_NEAR(with("3500cycles") - with("1000cycles"), 1000, 1);
}

// --- counters ---

TEST(Counters, WhatIsInTheWayIsSaid)
{
    const FakeHost host;
    EXPECT_EQ(counter_error_text(host.root(), EPERM),
              "not permitted (a container's filter may forbid it, too)");
    host.put("/proc/sys/kernel/perf_event_paranoid", "4");
    EXPECT_EQ(counter_error_text(host.root(), EACCES)
                  .find("not permitted (kernel.perf_event_paranoid is 4;"),
              0u);
    EXPECT_NE(counter_error_text(host.root(), ENOENT).find("without a PMU"), std::string::npos);
    EXPECT_NE(counter_error_text(host.root(), ENOSYS).find("perf_event_open"), std::string::npos);
}

TEST(Counters, ForbiddenOnesAreLeftOut)
{
    const int code = ts_test::without_call(SYS_perf_event_open, [] {
        Measurements m = look_at_host("", allowed_cpus());
        measure_core(&m, 0.001);
        for (const std::string &line : m.left_out)
            if (line.find("the CPU's counter of cycles: not permitted") == 0)
                return m.cycles_an_addition == 0 && m.addition.n > 0 ? 0 : 1;
        return 2;
    });
    EXPECT_TRUE(code == 0 || code == ts_test::NO_FILTERS) << code;
}

Derivation nothing()
{
    const std::string milan = std::string(TS_SOURCE_DIR) + "/configs/machines/milan-1s-72t.yaml";
    return Derivation{ParameterSet(piece_layer("machines", milan)), ParameterSet(Layer()), {}, {}};
}

Measurements at_2_ghz()
{
    const FakeHost host;
    ts_test::two_sockets(host);
    Measurements m = look_at_host(host.root(), {0, 1});
    m.guest = ts_cal_guest{};
    m.addition = spread_of({0.5});
    return m;
}

TEST(Counters, TellHowLongAnAdditionIs)
{
    Measurements m = at_2_ghz();
    m.cycles_an_addition = 1.5;
    Derivation d = nothing();
    derive_hardware(m, &d);
    EXPECT_EQ(d.machine.value("topology.core_hz"), 3000000000u);
    EXPECT_NE(d.machine.layer().at("topology.core_hz").source.find("1.500 cycles each"),
              std::string::npos);
}

// --- the timer ---

const Simulator no_simulator = {[](const ParameterSet &, const BenchRow &) { return 0.0; },
                                [](const ParameterSet &, const std::string &) { return 0.0; }};

TEST(Timer, AWriteIsAnExitAndItsEmulation)
{
    Measurements m = at_2_ghz();
    m.guest.hypervisor = true;
    m.exit = spread_of({1000});
    m.timer_write = spread_of({1400});
    Derivation d = nothing();
    derive_hardware(m, &d);
    derive_costs(m, no_simulator, &d);
    EXPECT_EQ(d.machine.value("hypervisor.icr_fastpath"), 800u);
    EXPECT_EQ(d.machine.value("hypervisor.exit"), 1000u);
    m.timer_write = spread_of({900}); // handled sooner than a CPUID
    d = nothing();
    derive_costs(m, no_simulator, &d);
    ASSERT_FALSE(d.left_out.empty());
    EXPECT_EQ(d.left_out[0].find("hypervisor.icr_fastpath: "), 0u);
}

TEST(Timer, OnBareMetalItIsTheWriteItself)
{
    Measurements m = at_2_ghz();
    m.timer_write = spread_of({60});
    Derivation d = nothing();
    derive_hardware(m, &d);
    derive_costs(m, no_simulator, &d);
    EXPECT_EQ(d.machine.value("guest.timer_program"), 120u);
    EXPECT_EQ(d.machine.layer().at("guest.timer_program").confidence, TS_CONF_MEASURED);
}

TEST(Timer, IsMeasuredOnThisHost)
{
    const std::vector<int> cpus = allowed_cpus();
    double values[200];
    ts_cal_samples out{values, 0, 200, 0};
    ASSERT_EQ(ts_cal_timer_run(cpus.front(), 0, &out), 0);
    EXPECT_EQ(out.n, 20u); // no time was given: the least
    EXPECT_EQ(allowed_cpus(), cpus);
    EXPECT_NE(ts_cal_timer_run(1 << 16, 0, &out), 0);
}

} // namespace
