/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the simulator moves contended lines: transfers (misses) a second, and events. */
#include "models/study/line_sharing.h"

#include <benchmark/benchmark.h>

#include <cstdlib>

namespace
{

struct Counts {
    uint64_t misses = 0, hits = 0;
};

void take(void *user, const ts_stat_table *table, const void *base)
{
    auto *counts = static_cast<Counts *>(user);

    if (table != &ts_line_stat_table)
        return;
    counts->misses += static_cast<const ts_line_stats *>(base)->misses;
    counts->hits += static_cast<const ts_line_stats *>(base)->hits;
}

/* Machines of 2 x 64 cores on a mesh; the arguments: CPUs, cores of a cluster. */
void run(benchmark::State &state, ts_sharing_pattern pattern)
{
    ts_machine_config config{};
    ts_sharing_params params{};
    ts_study_input in{};
    ts_error err{};
    Counts counts;

    ts_machine_config_defaults(&config);
    config.topology.sockets = 2;
    config.topology.cores_per_socket = 64;
    config.topology.threads_per_core = 2;
    config.line.cluster_cores = static_cast<uint64_t>(state.range(1));
    ts_param_defaults(ts_study_line_sharing.params, &params);
    params.pattern = pattern;
    params.cpus = static_cast<uint64_t>(state.range(0));
    in.config = &config;
    in.params = &params;
    for (auto _ : state) {
        ts_sharing_stats stats{};

        in.seed++;
        if (ts_study_line_sharing.run(&in, &stats, take, &counts, &err) != TS_OK)
            std::abort();
    }
    state.SetItemsProcessed(static_cast<int64_t>(counts.misses));
    state.counters["hits/s"] =
        benchmark::Counter(static_cast<double>(counts.hits), benchmark::Counter::kIsRate);
}

void BM_LineTransfer(benchmark::State &state)
{
    run(state, TS_SHARING_TRANSFER);
}
BENCHMARK(BM_LineTransfer)->Args({2, 1})->Args({2, 8});

void BM_LineWriters(benchmark::State &state)
{
    run(state, TS_SHARING_WRITERS);
}
BENCHMARK(BM_LineWriters)->Args({16, 1})->Args({128, 1})->Args({128, 8});

void BM_LineReaders(benchmark::State &state)
{
    run(state, TS_SHARING_READERS);
}
BENCHMARK(BM_LineReaders)->Args({16, 1})->Args({128, 1})->Args({128, 8});

} // namespace
