/* SPDX-License-Identifier: Apache-2.0 */
/* Whole machines: page touches a second, shootdowns a second, simulated time a wall second. */
#include <benchmark/benchmark.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

/* One thread on one bare CPU that goes over `pages` mapped pages again and again: 32 fit into the
 * first-level TLB, 1024 into the second, 16384 into neither. */
void page_touches(benchmark::State &state, bool page_by_page)
{
    const auto pages = static_cast<uint64_t>(state.range(0));
    const uint64_t total = 1 << 21;
    ts_machine_config c = bare_machine(1);
    set(c, "run.oracle", "false");
    set(c, "guest.page_by_page", page_by_page ? "true" : "false");
    std::vector<ts_op> ops = {op_mmap(0, pages * 4096)};
    for (uint64_t i = 0; i < total / pages; i++)
        ops.push_back(op_touch(0, 0, pages));
    double touches = 0;
    for (auto _ : state) {
        Outcome got = run_script(c, {ops}, 1, "free_flush");
        if (got.status != TS_OK)
            state.SkipWithError(got.message.c_str());
        touches += static_cast<double>(got.result.page_touches);
    }
    state.counters["touches/s"] = benchmark::Counter(touches, benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(page_touches, joined, false)->Arg(32)->Arg(1024)->Arg(16384);
BENCHMARK_CAPTURE(page_touches, page_by_page, true)->Arg(32)->Arg(1024)->Arg(16384);

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
