/* SPDX-License-Identifier: Apache-2.0 */
/* Whole machines: page touches a second, shootdowns a second, simulated time a wall second. */
#include <benchmark/benchmark.h>

#include "tests/support/machine_rig.hpp"

using namespace ts_test;

namespace
{

/* One thread on one bare CPU that touches pages it has mapped: TLB hits, misses and walks. */
void page_touches(benchmark::State &state, bool page_by_page)
{
    ts_machine_config c = small_machine();
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", "1");
    set(c, "hypervisor.kind", "none");
    set(c, "run.vms", "1");
    set(c, "run.oracle", "false");
    set(c, "guest.page_by_page", page_by_page ? "true" : "false");
    const StormParams storm = {{"threads", "1"},
                               {"rounds", "1"},
                               {"pages", "1024"},
                               {"touch_pages", "1024"},
                               {"placement", "random"}};
    StormParams many = storm;
    many["rounds"] = "64";
    double touches = 0;
    for (auto _ : state) {
        Outcome got = run_storm(c, ts_flush_find("ideal"), many, 1);
        if (got.status != TS_OK)
            state.SkipWithError(got.message.c_str());
        touches += static_cast<double>(got.result.page_touches);
    }
    state.counters["touches/s"] = benchmark::Counter(touches, benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(page_touches, faults_joined, false);
BENCHMARK_CAPTURE(page_touches, faults_page_by_page, true);

/* The storm of the main experiment, one 64-vCPU guest on 64 pCPUs. */
void storm(benchmark::State &state, const char *mechanism, bool arm)
{
    ts_machine_config c = small_machine(arm);
    set(c, "topology.sockets", arm ? "1" : "2");
    set(c, "topology.cores_per_socket", arm ? "64" : "16");
    set(c, "topology.threads_per_core", arm ? "1" : "2");
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "64");
    set(c, "run.oracle", "false");
    const StormParams params = {{"threads", "65"}, {"rounds", "10"}};
    double shootdowns = 0, simulated = 0, events = 0;
    for (auto _ : state) {
        Outcome got = run_storm(c, ts_flush_find(mechanism), params, 1);
        if (got.status != TS_OK)
            state.SkipWithError(got.message.c_str());
        shootdowns += static_cast<double>(got.result.shootdowns);
        simulated += static_cast<double>(got.result.completion_ps) * 1e-12;
        events += static_cast<double>(got.result.events);
    }
    using benchmark::Counter;
    state.counters["shootdowns/s"] = Counter(shootdowns, Counter::kIsRate);
    state.counters["simulated_s/s"] = Counter(simulated, Counter::kIsRate);
    state.counters["events/s"] = Counter(events, Counter::kIsRate);
}
BENCHMARK_CAPTURE(storm, native_concurrent_x86, "native_concurrent", false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(storm, kvm_pv_x86, "kvm_pv", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(storm, hyperv_x86, "hyperv", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(storm, tlbi_range_arm64, "tlbi_range", true)->Unit(benchmark::kMillisecond);

} // namespace

