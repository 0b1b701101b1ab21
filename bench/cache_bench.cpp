/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches through the cache hierarchy by the level that serves them, and what creation costs.
 * Items are fetches. */
#include "models/cache/cache.h"

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

namespace
{

/* More than the lines of the last level, so that queries that come round again miss it. */
constexpr size_t kQueries = 1 << 20;
constexpr uint64_t kLine = 64;
constexpr uint64_t kKiB = 1024;

struct Caches {
    Caches(uint64_t sockets, uint64_t cores, const ts_cache_params &p)
    {
        ts_topology_params t{};
        ts_error err{};

        ts_param_defaults(&ts_topology_param_table, &t);
        t.sockets = sockets;
        t.cores_per_socket = cores;
        if (ts_topology_init(&topology, &t, &err) == TS_OK)
            ts_cache_create(&cache, &topology, 0, &p, &err);
    }
    ~Caches()
    {
        ts_cache_destroy(cache);
        ts_topology_fini(&topology);
    }
    ts_topology topology{};
    ts_cache *cache = nullptr;
};

ts_cache_params defaults()
{
    ts_cache_params p{};

    ts_param_defaults(&ts_cache_param_table, &p);
    return p;
}

/* Random lines of a region of so many KiB, after one pass over it. */
void region(benchmark::State &state)
{
    Caches c(1, 1, defaults());
    uint64_t bytes = static_cast<uint64_t>(state.range(0)) * kKiB;
    std::mt19937_64 random(7);
    std::vector<uint64_t> q(kQueries);
    size_t i = 0;

    for (uint64_t pa = 0; pa < bytes; pa += kLine)
        ts_cache_fetch(c.cache, 0, pa);
    for (uint64_t &pa : q)
        pa = random() % bytes;
    ts_cache_stats_clear(c.cache);
    for (auto _ : state)
        benchmark::DoNotOptimize(ts_cache_fetch(c.cache, 0, q[i++ % kQueries]));
    state.SetItemsProcessed(state.iterations());
    state.counters["simulated_cycles"] =
        benchmark::Counter(static_cast<double>(ts_cache_stats(c.cache)->fetch_cycles) /
                           static_cast<double>(state.iterations()));
}
/* Inside the L1, the L2, the last level; mostly memory. */
BENCHMARK(region)->Arg(16)->Arg(512)->Arg(8192)->Arg(262144);

/* The entry just fetched again, as the upper levels of a table are. */
void same_line(benchmark::State &state)
{
    Caches c(1, 1, defaults());

    for (auto _ : state)
        benchmark::DoNotOptimize(ts_cache_fetch(c.cache, 0, 0));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(same_line);

/* A last level of so many sets. */
void last_level(benchmark::State &state)
{
    ts_cache_params p = defaults();
    uint64_t i = 0;

    p.l1_bytes = p.l2_bytes = 0;
    p.llc_bytes = static_cast<uint64_t>(state.range(0)) * p.llc_ways * kLine;
    Caches c(1, 1, p);
    for (auto _ : state)
        benchmark::DoNotOptimize(ts_cache_fetch(c.cache, 0, i++ * 4097 % (1u << 20) * kLine));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(last_level)->Arg(32768)->Arg(40960);

/* 2 sockets of 96 cores with 2 MiB of L2 each, of which one core runs. */
void create(benchmark::State &state)
{
    ts_cache_params p = defaults();

    p.l2_bytes = 2048 * kKiB;
    for (auto _ : state) {
        Caches c(2, 96, p);

        benchmark::DoNotOptimize(ts_cache_fetch(c.cache, 100, 0));
    }
}
BENCHMARK(create)->Unit(benchmark::kMicrosecond);

} // namespace
