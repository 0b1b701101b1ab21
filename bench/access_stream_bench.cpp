/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses per second of the generator and of the Lackey reader. */
#include "bench/text_source.hpp"
#include "workloads/access_stream.h"
#include "workloads/lackey.h"

#include <benchmark/benchmark.h>

#include <string>

namespace
{

/* Operations and accesses up to the end; false on failure. */
bool drain(ts_workload *w, uint64_t *operations, uint64_t *accesses, ts_error *err)
{
    ts_op op;
    int got;
    while ((got = w->next(w, 0, &op, err)) == 1) {
        ++*operations;
        if (op.kind == TS_OP_TOUCH)
            *accesses += op.count;
        benchmark::DoNotOptimize(op);
    }
    return got == 0;
}

void report(benchmark::State &state, uint64_t operations, uint64_t accesses)
{
    state.counters["ops"] =
        benchmark::Counter(static_cast<double>(operations), benchmark::Counter::kIsRate);
    state.counters["accesses"] =
        benchmark::Counter(static_cast<double>(accesses), benchmark::Counter::kIsRate);
}

/* Arguments: pattern, percentage of writes, bytes of code. 64 GiB: 2^24 pages. */
void access_stream(benchmark::State &state)
{
    const ts_workload_kind *kind = ts_workload_kind_find("access_stream");
    ts_access_stream_params params;
    ts_param_defaults(kind->ops.params, &params);
    params.footprint = UINT64_C(64) << 30;
    params.accesses = 1000000;
    params.warmup = 0;
    params.prefault = 0;
    params.pattern = static_cast<uint64_t>(state.range(0));
    params.write_percent = static_cast<uint64_t>(state.range(1));
    params.code_footprint = static_cast<uint64_t>(state.range(2));
    uint64_t operations = 0, accesses = 0;
    for (auto _ : state) {
        ts_workload_config config{&params, 1, 0, nullptr};
        ts_workload *w = nullptr;
        ts_error err{};
        if (kind->create(&w, &config, &err) != TS_OK) {
            state.SkipWithError(err.message);
            return;
        }
        drain(w, &operations, &accesses, &err);
        w->destroy(w);
    }
    report(state, operations, accesses);
}
BENCHMARK(access_stream)
    ->ArgNames({"pattern", "write_percent", "code"})
    ->ArgsProduct({benchmark::CreateDenseRange(TS_ACCESS_SEQUENTIAL, TS_ACCESS_PHASES, 1),
                   {0},
                   {0}})
    ->Args({TS_ACCESS_SEQUENTIAL, 30, 0})
    ->Args({TS_ACCESS_RANDOM, 30, 1 << 20})
    ->Unit(benchmark::kMillisecond);

/* A loop that adds up an array, as Lackey prints it. */
const std::string &loop()
{
    static const std::string text = [] {
        std::string s;
        char line[64];
        for (unsigned i = 0; i < 100000; i++) {
            for (unsigned at : {0x401000u, 0x401004u, 0x401007u}) {
                std::snprintf(line, sizeof line, "I  %08x,%u\n", at, at == 0x401004u ? 3u : 4u);
                s += line;
            }
            std::snprintf(line, sizeof line, " L %08x,8\n", 0x4c5000u + 8u * i);
            s += line;
        }
        return s;
    }();
    return text;
}

void lackey(benchmark::State &state)
{
    const ts_workload_kind *kind = ts_workload_kind_find("lackey");
    ts_lackey_params params;
    ts_param_defaults(kind->ops.params, &params);
    params.repeat = static_cast<uint64_t>(state.range(0));
    uint64_t operations = 0, accesses = 0;
    for (auto _ : state) {
        TextSource text(loop(), "loop");
        ts_workload_config config{&params, 1, 0, &text.source};
        ts_workload *w = nullptr;
        ts_error err{};
        if (kind->create(&w, &config, &err) != TS_OK) {
            state.SkipWithError(err.message);
            return;
        }
        bool ok = drain(w, &operations, &accesses, &err);
        w->destroy(w);
        if (!ok) {
            state.SkipWithError(err.message);
            return;
        }
    }
    report(state, operations, accesses);
}
BENCHMARK(lackey)->ArgName("repeat")->Arg(1)->Arg(10)->Unit(benchmark::kMillisecond);

} // namespace
