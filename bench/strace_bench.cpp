/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of strace text per second: the parser alone, and the whole workload. */
#include "bench/text_source.hpp"
#include "workloads/strace.h"

#include <benchmark/benchmark.h>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace
{

/* A storm of 64 threads as strace -f -ttt -T prints it, most calls in two halves. */
const std::string &storm()
{
    static const std::string text = [] {
        std::ostringstream s;
        uint64_t us = 1795259309000000u;
        auto head = [&](int thread) -> std::ostream & {
            us += 17;
            s << 10645 + thread << " " << us / 1000000u << "." << 100000u + us % 1000000u % 900000u
              << " ";
            return s;
        };
        for (int round = 0; round < 400; round++) {
            auto address = [&](int thread) -> std::ostream & {
                return s << "0x" << std::hex << 0x7f0000000000u + 0x4000000u * unsigned(thread)
                         << std::dec;
            };
            for (int t = 0; t < 64; t++)
                head(t) << "mmap(NULL, 67108864, PROT_READ|PROT_WRITE, "
                           "MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n";
            for (int t = 0; t < 64; t++) {
                head(t) << "<... mmap resumed>) = ";
                address(t) << " <0.000071>\n";
            }
            for (int t = 0; t < 64; t++) {
                head(t) << "munmap(";
                address(t) << ", 67108864 <unfinished ...>\n";
            }
            for (int t = 0; t < 64; t++)
                head(t) << "<... munmap resumed>) = 0 <0.000161>\n";
        }
        return s.str();
    }();
    return text;
}

void parse(benchmark::State &state)
{
    std::vector<std::string_view> lines;
    const std::string &text = storm();
    for (size_t at = 0; at < text.size();) {
        size_t end = text.find('\n', at);
        lines.emplace_back(text.data() + at, end - at);
        at = end + 1;
    }
    for (auto _ : state)
        for (std::string_view line : lines) {
            ts_strace_record record;
            bool ok = ts_strace_parse(line.data(), line.size(), &record);
            benchmark::DoNotOptimize(ok);
            benchmark::DoNotOptimize(record);
        }
    state.counters["lines"] = benchmark::Counter(
        static_cast<double>(lines.size() * state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(parse)->Unit(benchmark::kMillisecond);

void workload(benchmark::State &state)
{
    const ts_workload_kind *kind = ts_workload_kind_find("strace");
    ts_strace_params params;
    ts_param_defaults(kind->ops.params, &params);
    uint64_t lines = 0;
    for (auto _ : state) {
        TextSource text(storm(), "storm");
        ts_workload_config config{&params, 1, 0, &text.source};
        ts_workload *w = nullptr;
        ts_error err{};
        if (kind->create(&w, &config, &err) != TS_OK) {
            state.SkipWithError(err.message);
            return;
        }
        std::vector<uint32_t> live{0};
        while (!live.empty())
            for (size_t i = 0; i < live.size();) {
                ts_op op;
                if (w->next(w, live[i], &op, &err) != 1) {
                    live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
                    continue;
                }
                if (op.kind == TS_OP_SPAWN)
                    live.push_back(op.target);
                i++;
            }
        lines += ts_strace_workload_counts(w)->lines;
        w->destroy(w);
        if (err.status != TS_OK) {
            state.SkipWithError(err.message);
            return;
        }
    }
    state.counters["lines"] =
        benchmark::Counter(static_cast<double>(lines), benchmark::Counter::kIsRate);
}
BENCHMARK(workload)->Unit(benchmark::kMillisecond);

} // namespace
