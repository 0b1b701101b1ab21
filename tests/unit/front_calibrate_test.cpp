// SPDX-License-Identifier: Apache-2.0
// Calibration on data with known answers: change points, levels, a made-up host, and parameters
// derived from measurements of a made-up kernel.
#include "sim/front/calibrate/files.hpp"
#include "sim/front/error.hpp"
#include "source_dir.h"
#include "tests/unit/fake_host.hpp"
#include "tests/unit/forbid.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

#include <sys/syscall.h>

namespace
{

using namespace ts;
using ts_test::FakeHost;
using ts_test::two_sockets;

// --- spreads, change points, levels ---

TEST(Spread, MedianAndQuartilesAreLinearBetweenRanks)
{
    const Spread spread = spread_of({5, 1, 4, 2, 3, 6});
    EXPECT_DOUBLE_EQ(spread.median, 3.5);
    EXPECT_DOUBLE_EQ(spread.low, 2.25);
    EXPECT_DOUBLE_EQ(spread.high, 4.75);
    EXPECT_DOUBLE_EQ(spread.least, 1);
    EXPECT_EQ(spread.n, 6u);
    EXPECT_EQ(spread_of({}).n, 0u);
    EXPECT_EQ(spread_text(spread_of({1500, 1500}), "ns"), "median of 2, IQR 1.500 us to 1.500 us");
    EXPECT_EQ(spread_text(spread_of({7}), "cycles"), "median of 1, IQR 7 to 7 cycles");
}

struct Curve {
    std::vector<double> x, y;
};

// Sizes of a sweep, each level until its size, the last one to the end.
Curve curve_of(const std::vector<std::pair<size_t, double>> &levels, double noise, uint32_t seed)
{
    Curve curve;
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> draw(-noise, noise);
    for (const size_t n : sweep_sizes(8, 8192)) {
        const auto at = std::find_if(levels.begin(), levels.end(),
                                     [&](const auto &level) { return n <= level.first; });
        curve.x.push_back(static_cast<double>(n));
        curve.y.push_back(at->second + draw(random));
    }
    return curve;
}

TEST(Steps, AreFoundWhereTheyWerePut)
{
    for (uint32_t seed = 1; seed <= 50; seed++) {
        const Curve curve = curve_of({{64, 0}, {1536, 7}, {1 << 20, 60}}, 0.8, seed);
        const std::vector<Step> steps = steps_of(curve.x, curve.y, 3);
        ASSERT_EQ(steps.size(), 2u) << seed;
        EXPECT_EQ(curve.x[steps[0].last_low], 64);
        EXPECT_EQ(curve.x[steps[0].first_high], 72);
        EXPECT_EQ(curve.x[steps[1].last_low], 1536);
        EXPECT_EQ(curve.x[steps[1].first_high], 1792);
        EXPECT_NEAR(steps[0].low, 0, 0.8);
        EXPECT_NEAR(steps[0].high, 7, 0.8);
        EXPECT_NEAR(steps[1].high, 60, 0.8);
        EXPECT_GT(steps[0].half, 64);
        EXPECT_LT(steps[0].half, 72);
    }
}

TEST(Steps, ASlopeIsPartOfTheStepAndItsMiddleIsHalfWayUp)
{
    Curve curve = curve_of({{1024, 7}, {1 << 20, 47}}, 0, 1);
    // 1152 to 2048, in five points, on the way up.
    const std::vector<std::pair<double, double>> ramp = {
        {1152, 12}, {1280, 18}, {1536, 26}, {1792, 35}, {2048, 42}};
    for (const auto &point : ramp)
        curve.y[static_cast<size_t>(std::find(curve.x.begin(), curve.x.end(), point.first) -
                                    curve.x.begin())] = point.second;
    const std::vector<Step> steps = steps_of(curve.x, curve.y, 3);
    ASSERT_EQ(steps.size(), 1u);
    EXPECT_EQ(curve.x[steps[0].last_low], 1024);
    EXPECT_EQ(curve.x[steps[0].first_high], 2304);
    EXPECT_NEAR(steps[0].half, 1536 + 256.0 / 9, 1e-9); // 27, between 26 and 35
}

TEST(Steps, OutliersAndDriftsBelowTheLeastRiseAreNone)
{
    Curve curve = curve_of({{1 << 20, 5}}, 0.5, 3);
    curve.y[7] = 60;
    curve.y[20] = 30;
    EXPECT_TRUE(steps_of(curve.x, curve.y, 3).empty());
    curve = curve_of({{100, 5}, {1 << 20, 7}}, 0.1, 3);
    EXPECT_TRUE(steps_of(curve.x, curve.y, 3).empty());
    EXPECT_TRUE(steps_of({}, {}, 3).empty());
    // Down is no step up.
    curve = curve_of({{100, 50}, {1 << 20, 7}}, 0.1, 3);
    EXPECT_TRUE(steps_of(curve.x, curve.y, 3).empty());
}

TEST(Steps, PlateausAreTheBestPieces)
{
    const std::vector<Plateau> pieces = plateaus({1, 1, 1, 9, 9, 4, 4, 4}, 2);
    ASSERT_EQ(pieces.size(), 3u);
    EXPECT_EQ(pieces[0].end, 3u);
    EXPECT_EQ(pieces[1].end, 5u);
    EXPECT_EQ(pieces[1].level, 9);
    EXPECT_EQ(pieces[2].level, 4);
    EXPECT_EQ(plateaus({1, 1, 1, 9, 9, 4, 4, 4}, 1000).size(), 1u);
}

TEST(Levels, OfAMatrixAreFoundWithTheirMembers)
{
    std::mt19937 random(7);
    std::vector<double> values;
    std::vector<int> truth;
    const double centres[] = {12, 45, 110, 210};
    for (int i = 0; i < 200; i++) {
        const int level = static_cast<int>(random() % 4);
        std::uniform_real_distribution<double> draw(0.92, 1.08);
        values.push_back(centres[level] * draw(random));
        truth.push_back(level);
    }
    const std::vector<Level> levels = levels_of(values, 1.25);
    ASSERT_EQ(levels.size(), 4u);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_NEAR(levels[i].median, centres[i], centres[i] * 0.08);
        for (const size_t member : levels[i].members)
            EXPECT_EQ(truth[member], static_cast<int>(i));
    }
    EXPECT_TRUE(levels_of({}, 1.25).empty());
}

TEST(Levels, ASpreadWithoutAGapIsOne)
{
    std::vector<double> mesh;
    for (double ns = 30; ns < 60; ns *= 1.1)
        mesh.push_back(ns);
    const std::vector<Level> levels = levels_of(mesh, 1.25);
    ASSERT_EQ(levels.size(), 1u);
    EXPECT_EQ(levels[0].members.size(), mesh.size());
    EXPECT_DOUBLE_EQ(levels[0].low, 30);
}

// --- a made-up host ---

TEST(Host, TopologyIsCountedFromSysfs)
{
    const FakeHost host;
    two_sockets(host);
    const HostTopology t = host_topology(host.root());
    EXPECT_EQ(t.sockets, 2u);
    EXPECT_EQ(t.cores_per_socket, 4u);
    EXPECT_EQ(t.threads_per_core, 2u);
    EXPECT_TRUE(t.regular);
    EXPECT_EQ(t.cluster_cores, 2u);
    EXPECT_EQ(t.nodes, 2u);
    EXPECT_EQ(t.cpu_name, "A Made-up CPU");
    EXPECT_EQ(t.cache(1, "Data")->bytes, 48u << 10);
    EXPECT_EQ(t.cache(1, "Data")->ways, 12u);
    EXPECT_EQ(t.cache(3, "Data")->bytes, 32u << 20);
    EXPECT_EQ(t.cache(3, "Data")->cpus, 4u);
    EXPECT_EQ(t.cache(2, "Data"), nullptr);
    const auto relation = [&](int a, int b) { return relation_of(*t.cpu(a), *t.cpu(b)); };
    EXPECT_EQ(relation(0, 8), Relation::Smt);
    EXPECT_EQ(relation(0, 1), Relation::Cluster);
    EXPECT_EQ(relation(0, 2), Relation::Socket);
    EXPECT_EQ(relation(0, 4), Relation::Remote);
}

TEST(Host, AMachineWithACpuOfflineIsNotRegular)
{
    const FakeHost host;
    two_sockets(host);
    host.put("/sys/devices/system/cpu/online", "0-14");
    const HostTopology t = host_topology(host.root());
    EXPECT_FALSE(t.regular);
    EXPECT_EQ(t.cores_per_socket, 4u);
}

TEST(Host, LimitsAreSaidAndNearCoresComeFirst)
{
    const FakeHost host;
    two_sockets(host);
    host.put("/proc/self/cgroup", "0::/a/b");
    host.put("/sys/fs/cgroup/a/cpu.max", "150000 100000");
    host.put("/sys/fs/cgroup/a/b/cpu.max", "max 100000");
    host.put("/run/.containerenv", "");
    const Measurements m = look_at_host(host.root(), {0, 4, 8, 2, 1});
    EXPECT_EQ(m.order, (std::vector<int>{0, 1, 2, 4, 8}));
    EXPECT_EQ(m.limits.memory, 2048u << 10);
    ASSERT_EQ(m.limits.notes.size(), 3u);
    EXPECT_NE(m.limits.notes[0].find("1.5 CPUs"), std::string::npos);
    EXPECT_NE(m.limits.notes[1].find("container"), std::string::npos);
    EXPECT_NE(m.limits.notes[2].find("5 of 16 CPUs"), std::string::npos);
}

TEST(Host, WithoutSysfsThereIsAnError)
{
    const FakeHost host;
    EXPECT_THROW(host_topology(host.root()), Error);
}

TEST(Host, ListsOfCpus)
{
    std::vector<int> cpus;
    EXPECT_TRUE(cpu_list_parse("0-2,7,10-11", &cpus));
    EXPECT_EQ(cpus, (std::vector<int>{0, 1, 2, 7, 10, 11}));
    for (const char *bad : {"", "a", "3-1", "1,", "-1", "1-"})
        EXPECT_FALSE(cpu_list_parse(bad, &cpus)) << bad;
}

// --- rows ---

TEST(Rows, NoneThatIsHeldOutIsUsed)
{
    for (const size_t cpus : {1u, 2u, 3u, 4u, 7u, 64u}) {
        const std::vector<BenchRow> used = calibration_rows(cpus), held_out = held_out_rows(cpus);
        for (const BenchRow &row : held_out) {
            EXPECT_EQ(std::count(used.begin(), used.end(), row), 0) << row.name();
            EXPECT_LT(row.spinners, cpus);
            EXPECT_EQ(std::count(held_out.begin(), held_out.end(), row), 1) << row.name();
        }
        for (const BenchRow &row : used)
            EXPECT_LT(row.spinners, cpus);
    }
    EXPECT_EQ(BenchRow({TS_CAL_MPROTECT, 8, 2}).name(), "mprotect pair, 8 pages, 2 spin");
    const std::vector<BenchRow> rows = held_out_rows(64);
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(),
                            [](const BenchRow &row) { return row.spinners == 63; }));
}

TEST(Rows, EachIsMeasuredOnThisHost)
{
    const std::vector<int> cpus = allowed_cpus();
    for (int call = 0; call < TS_CAL_CALLS; call++) {
        const BenchRow row{static_cast<ts_cal_call>(call), 4, 0};
        const HostSample sample = run_on_host(row, cpus, 0.005);
        EXPECT_TRUE(sample.spread.n >= 3 || !sample.why.empty()) << row.name();
        EXPECT_TRUE(sample.spread.n == 0 || sample.spread.median > 10) << row.name();
    }
    EXPECT_EQ(allowed_cpus(), cpus); // given back
    const HostSample none = run_on_host({TS_CAL_MPROTECT, 1, cpus.size()}, cpus, 0.001);
    EXPECT_EQ(none.spread.n, 0u);
    EXPECT_NE(none.why.find("CPUs are needed"), std::string::npos);
    const HostSample bad = run_on_host({TS_CAL_MPROTECT, 1, 0}, {1 << 16}, 0.001);
    EXPECT_NE(bad.why.find("affinity"), std::string::npos);
}

TEST(Rows, WhereTheOtherThreadDoesNotRunNothingCounts)
{
    // Both on one CPU: while the caller runs the other one does not.
    const int cpu = allowed_cpus().front();
    const HostSample sample = run_on_host({TS_CAL_MPROTECT, 1, 1}, {cpu, cpu}, 0.03);
    EXPECT_LE(sample.spread.n, 2u); // a tick in between may let it in
    EXPECT_TRUE(sample.spread.n > 0 || sample.why.find("other programs") == 0) << sample.why;
}

// Exit code 0 if the row is left out and says that it is not permitted.
int without(int call, const BenchRow &row)
{
    const std::vector<int> cpus = allowed_cpus();
    return ts_test::without_call(call, [&] {
        const HostSample sample = run_on_host(row, cpus, 0.001);
        return sample.spread.n == 0 && sample.why.find("not permitted") == 0 ? 0 : 1;
    });
}

TEST(Rows, WhatIsNotPermittedIsLeftOut)
{
    const int affinity = without(SYS_sched_setaffinity, {TS_CAL_MMAP, 1, 0});
    EXPECT_TRUE(affinity == 0 || affinity == ts_test::NO_FILTERS) << affinity;
    const int membarrier = without(SYS_membarrier, {TS_CAL_MEMBARRIER, 1, 0});
    EXPECT_TRUE(membarrier == 0 || membarrier == ts_test::NO_FILTERS) << membarrier;
}

TEST(Storm, RunsInAProcessOfItsOwn)
{
    const ts_cal_storm two{2, 3, 64, 4};
    ts_cal_storm_result result{};
    ASSERT_EQ(ts_cal_storm_run(&two, &result), 0);
    EXPECT_GT(result.completion_ns, 3 * 50000); // three naps with the timer's slack
    const ts_cal_storm none{0, 1, 1, 1};
    EXPECT_EQ(ts_cal_storm_run(&none, &result), EINVAL);
}

// --- parameters from made-up measurements ---

constexpr double ghz = 2;
const std::string milan = std::string(TS_SOURCE_DIR) + "/configs/machines/milan-1s-72t.yaml";

Measurements made_up()
{
    static const Measurements made = [] {
        const FakeHost host;
        two_sockets(host);
        Measurements m = look_at_host(host.root(), {0, 1, 2, 4});
        m.guest = ts_cal_guest{};
        m.addition = spread_of({1 / ghz, 0.6, 0.7});
        return m;
    }();
    return made;
}

void put_row(Measurements *m, const BenchRow &row, double ns)
{
    m->rows[row].spread = spread_of({ns, ns, ns});
}

Derivation nothing()
{
    return Derivation{ParameterSet(piece_layer("machines", milan)), ParameterSet(Layer()), {}, {}};
}

const Setting &setting(const ParameterSet &set, const std::string &key)
{
    return set.layer().at(key);
}

TEST(Derive, TopologyClockAndCaches)
{
    Measurements m = made_up();
    m.caches.push_back(CacheTime{"l1", 16384, 2.1, 9});
    Derivation d = nothing();
    derive_hardware(m, &d);
    EXPECT_EQ(d.machine.value("topology.sockets"), 2u);
    EXPECT_EQ(d.machine.value("topology.cores_per_socket"), 4u);
    EXPECT_EQ(d.machine.value("topology.threads_per_core"), 2u);
    EXPECT_EQ(d.machine.value("topology.core_hz"), 2000000000u); // the fastest addition
    EXPECT_EQ(d.machine.value("line.cluster_cores"), 2u);
    EXPECT_EQ(d.machine.value("cache.llc_cores"), 2u);
    EXPECT_EQ(d.machine.value("cache.l1_bytes"), 48u << 10);
    EXPECT_EQ(d.machine.value("cache.l1_cycles"), 4u);
    EXPECT_EQ(setting(d.machine, "topology.core_hz").confidence, TS_CONF_MEASURED);
    EXPECT_EQ(setting(d.machine, "topology.core_hz").source.compare(0, 14, "measured here:"), 0);
    // What nothing is measured of is as in the base.
    EXPECT_EQ(setting(d.machine, "mmu.walkers").source, "Zen 3: six, remembered");
    EXPECT_EQ(setting(d.machine, "mmu.walkers").confidence, TS_CONF_REMEMBERED);
}

// In cycles at 2 GHz, with `first` entries, then `second`.
std::vector<ChasePoint> chase_of(size_t first, size_t second)
{
    std::vector<ChasePoint> points;
    for (const size_t n : sweep_sizes(8, 8192)) {
        const double extra = n <= first ? 0 : n <= second ? 8 : 40;
        points.push_back(ChasePoint{n, (4 + extra) / ghz, 4 / ghz, 3});
    }
    return points;
}

TEST(Derive, TlbsOfTheChase)
{
    Measurements m = made_up();
    m.small_pages = chase_of(64, 2048);
    Derivation d = nothing();
    derive_hardware(m, &d);
    EXPECT_EQ(d.machine.value("mmu.l1d_any_entries"), 64u);
    EXPECT_EQ(d.machine.value("mmu.l2_entries"), 2048u);
    EXPECT_EQ(d.machine.value("mmu.l2_hit_cycles"), 8u);
    EXPECT_NE(setting(d.machine, "mmu.l2_entries").source.find("the base's number lies"),
              std::string::npos);
    // Another TLB than the base's: the first level all at once, the second in whole sets.
    m.small_pages = chase_of(96, 1280);
    d = nothing();
    derive_hardware(m, &d);
    const uint64_t first = d.machine.value("mmu.l1d_any_entries");
    EXPECT_GE(first, 96u);
    EXPECT_LE(first, 112u);
    EXPECT_EQ(d.machine.value("mmu.l1d_any_ways"), first);
    const uint64_t second = d.machine.value("mmu.l2_entries");
    EXPECT_EQ(second, 1024u); // 80 to 96 sets are no power of two; 64 are nearest
    d.machine.drop("mmu.");
    EXPECT_EQ(d.machine.value("mmu.l2_entries"), 2048u);
    EXPECT_EQ(setting(d.machine, "mmu.l2_entries").confidence, TS_CONF_REMEMBERED);
    EXPECT_EQ(setting(d.machine, "cache.l1_bytes").confidence, TS_CONF_MEASURED);
    // No step: nothing is set.
    m.small_pages = chase_of(10000, 10000);
    d = nothing();
    derive_hardware(m, &d);
    EXPECT_EQ(setting(d.machine, "mmu.l2_entries").confidence, TS_CONF_REMEMBERED);
    EXPECT_FALSE(d.left_out.empty());
}

TEST(Derive, AHostOfSmallPagesBehindAGuestIsSeen)
{
    Measurements m = made_up();
    m.small_pages = chase_of(64, 2048);
    m.small_steps = chase_of(64, 2048);
    m.huge_pages = chase_of(64, 2048);
    Derivation d = nothing();
    derive_hardware(m, &d);
    EXPECT_TRUE(d.hypervisor.found().empty()); // bare metal
    m.guest.hypervisor = true;
    d = nothing();
    derive_hardware(m, &d);
    EXPECT_EQ(d.hypervisor.value("hypervisor.backing"), 0u); // 4KiB
    m.small_steps = chase_of(10000, 10000);
    d = nothing();
    derive_hardware(m, &d);
    EXPECT_TRUE(d.hypervisor.found().empty());
}

// A kernel whose costs are known, as a straight line of what the parameters say.
double toy_kernel(const ParameterSet &p, const BenchRow &row)
{
    const auto ns = [&](const char *key) { return static_cast<double>(p.value(key)) / ghz; };
    const double pages = static_cast<double>(row.pages);
    switch (row.call) {
    case TS_CAL_FAULT:
        return pages * (100 + ns("guest.fault_anon"));
    case TS_CAL_MMAP:
        return 300 + ns("guest.mmap");
    case TS_CAL_MPROTECT:
        return 2 * (250 + ns("guest.mprotect"));
    case TS_CAL_MUNMAP:
        return 500 + ns("guest.munmap");
    case TS_CAL_MEMBARRIER:
        return 2000 + ns("hypervisor.inject");
    default:
        return 0;
    }
}

TEST(Derive, CostsAreSlopesAndWhatTheSimulatorLeaves)
{
    Measurements m = made_up();
    m.guest.hypervisor = true;
    m.exit = spread_of({1500, 1500, 1500});
    put_row(&m, {TS_CAL_SYSCALL, 1, 0}, 250);
    for (const size_t pages : {1u, 4u, 16u, 32u, 128u, 510u}) {
        const double n = static_cast<double>(pages), flushed = pages <= 33 ? n : 0;
        put_row(&m, {TS_CAL_MPROTECT, pages, 0}, 2 * (1000 + 75 * n + 60 * flushed));
        put_row(&m, {TS_CAL_DONTNEED, pages, 0}, 700 + 350 * n);
    }
    put_row(&m, {TS_CAL_FAULT, 128, 0}, 128 * 900);
    put_row(&m, {TS_CAL_MMAP, 1, 0}, 1400);
    put_row(&m, {TS_CAL_MUNMAP, 1, 0}, 400); // less than what the simulator takes without it
    put_row(&m, {TS_CAL_MEMBARRIER, 1, 1}, 6000);
    Derivation d = nothing();
    derive_hardware(m, &d);
    derive_costs(m, {toy_kernel, [](const ParameterSet &, const std::string &) { return 0.0; }},
                 &d);
    EXPECT_EQ(d.machine.value("guest.syscall"), 500u);
    EXPECT_EQ(d.machine.value("guest.zap_page"), 300u);  // 2 x 75 ns
    EXPECT_EQ(d.machine.value("guest.free_page"), 400u); // 350 - 150
    EXPECT_EQ(d.machine.value("guest.invlpg"), 120u);
    EXPECT_EQ(d.machine.value("hypervisor.exit"), 1500u);
    EXPECT_EQ(d.machine.value("hypervisor.entry"), 1500u);
    EXPECT_EQ(d.machine.value("guest.fault_anon"), 1600u);
    EXPECT_EQ(d.machine.value("guest.mmap"), 2200u);
    EXPECT_EQ(d.machine.value("guest.mprotect"), 1770u); // (1000 + 75 + 60 - 250) ns
    EXPECT_EQ(d.machine.value("hypervisor.inject"), 8000u);
    EXPECT_EQ(setting(d.machine, "guest.zap_page").confidence, TS_CONF_MEASURED);
    EXPECT_EQ(setting(d.machine, "guest.mmap").confidence, TS_CONF_DERIVED);
    EXPECT_NE(setting(d.machine, "guest.mmap").source.find("less 300.0 ns"), std::string::npos)
        << setting(d.machine, "guest.mmap").source;
    EXPECT_EQ(d.machine.layer().count("guest.munmap"), 0u);
    ASSERT_FALSE(d.left_out.empty());
    EXPECT_NE(d.left_out.back().find("guest.munmap"), std::string::npos) << d.left_out.back();
}

TEST(Derive, NoValueBeyondWhatItCanBe)
{
    Measurements m = made_up();
    put_row(&m, {TS_CAL_MEMBARRIER, 1, 1}, 6000); // bare metal: a flight of 4 us is none
    Derivation d = nothing();
    derive_hardware(m, &d);
    derive_costs(m,
                 {[](const ParameterSet &p, const BenchRow &) {
                      return 2000 + static_cast<double>(p.value("interrupt.transport_ps")) / 1e3;
                  },
                  [](const ParameterSet &, const std::string &) { return 0.0; }},
                 &d);
    EXPECT_EQ(d.machine.layer().count("interrupt.transport_ps"), 0u);
    ASSERT_FALSE(d.left_out.empty());
    EXPECT_NE(d.left_out.back().find("more than it can be"), std::string::npos);
}

TEST(Derive, LinesByDistance)
{
    Measurements m = made_up();
    for (const double ns : {20.0, 22.0, 24.0})
        m.pairs.push_back({0, 1, Relation::Cluster, spread_of({ns})});
    m.pairs.push_back({0, 2, Relation::Socket, spread_of({90})});
    m.pairs.push_back({0, 4, Relation::Remote, spread_of({220})});
    Derivation d = nothing();
    const auto line = [](const ParameterSet &p, const std::string &column) {
        const double snoop = static_cast<double>(p.value("line.snoop_cycles")) / ghz,
                     link = static_cast<double>(p.value("interconnect.link_cycles")),
                     socket = static_cast<double>(p.value("interconnect.socket_link_ps")) / 1e3;
        return column == "neighbour_ns"       ? 12 + snoop
               : column == "other_cluster_ns" ? 30 + snoop + 2 * link
                                              : 30 + snoop + 2 * link + 3 * socket;
    };
    derive_hardware(m, &d);
    derive_costs(m, {[](const ParameterSet &, const BenchRow &) { return 0.0; }, line}, &d);
    EXPECT_EQ(d.machine.value("line.snoop_cycles"), 20u);
    EXPECT_EQ(d.machine.value("interconnect.link_cycles"), 25u);
    EXPECT_NEAR(static_cast<double>(d.machine.value("interconnect.socket_link_ps")), 43333, 1);
    EXPECT_EQ(std::count_if(d.report.begin(), d.report.end(),
                            [](const ReportLine &l) { return l.what == "line transfer"; }),
              3);
}

TEST(Derive, WhatKvmOffers)
{
    Measurements m = made_up();
    Derivation d = nothing();
    derive_hypervisor(m, &d);
    EXPECT_TRUE(d.hypervisor.found().empty());
    m.guest.hypervisor = true;
    m.guest.kvm_leaf = 0x40000000;
    m.guest.kvm_features = 1u << 9 | 1u << 5 | 1u << 7;
    derive_hypervisor(m, &d);
    EXPECT_EQ(d.hypervisor.value("hypervisor.pv_tlb_flush"), 1u);
    EXPECT_EQ(d.hypervisor.value("hypervisor.pv_unhalt"), 1u);
    EXPECT_EQ(d.hypervisor.value("hypervisor.pv_eoi"), 0u);
    EXPECT_EQ(d.hypervisor.value("hypervisor.pv_ipi"), 0u); // off
    m.guest.kvm_features = 1u << 9;                         // no steal time, no PV TLB flush
    derive_hypervisor(m, &d);
    EXPECT_EQ(d.hypervisor.value("hypervisor.pv_tlb_flush"), 0u);
}

// --- files ---

TEST(Files, WhatIsWrittenIsReadAgain)
{
    const FakeHost host;
    const std::string path = host.root() + "/m.yaml";
    ParameterSet set(piece_layer("machines", milan));
    set.set("guest.mprotect", "1234cycles", "measured here: \"a\", b: c # d", TS_CONF_MEASURED);
    set.set("topology.core_hz", "2929MHz", "measured here: x", TS_CONF_MEASURED);
    std::ofstream(path) << piece_text("a \"title\": x", "head\nof two lines", set.layer());
    const Layer read = piece_layer("machines", path);
    ASSERT_EQ(read.size(), set.layer().size());
    for (const auto &item : set.layer()) {
        EXPECT_EQ(read.at(item.first).value, item.second.value) << item.first;
        EXPECT_EQ(read.at(item.first).source, item.second.source) << item.first;
        EXPECT_EQ(read.at(item.first).confidence, item.second.confidence) << item.first;
    }
    EXPECT_EQ(hypervisor_path("a/b.yaml"), "a/b-hypervisor.yaml");
}

TEST(Files, VersionsAndBases)
{
    EXPECT_EQ(guest_linux("6.1.0-13-amd64"), "6.1");
    EXPECT_EQ(guest_linux("6.12.117"), "6.12");
    EXPECT_EQ(guest_linux("99.1"), guest_linux("98.0"));
    EXPECT_EQ(guest_linux("2.6.32"), "");
    EXPECT_EQ(guest_linux("nonsense"), "");
    ts_cal_guest guest{};
    std::strcpy(guest.cpu_vendor, "AuthenticAMD");
    guest.family = 0x19;
    guest.model = 1;
    EXPECT_EQ(base_of(guest, "").name, "milan-1s-72t");
    guest.model = 0x11;
    EXPECT_EQ(base_of(guest, "").name, "genoa-2s-384t");
    std::strcpy(guest.cpu_vendor, "GenuineIntel");
    guest.family = 6;
    guest.model = 0x6a;
    EXPECT_EQ(base_of(guest, "").name, "icelake-sp-2s-160t");
    EXPECT_TRUE(base_of(guest, "").known);
    EXPECT_EQ(base_of(ts_cal_guest{}, "0x00000000414fd0c1").name, "neoverse-n1-1s-80c");
    EXPECT_FALSE(base_of(ts_cal_guest{}, "").known);
}

} // namespace
