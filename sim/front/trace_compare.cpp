// SPDX-License-Identifier: Apache-2.0
// `tlbstorm trace compare`: the tracepoint tlb:tlb_flush of a recording against the same counts of
// the simulated guests.
#include "sim/front/cmd_trace.hpp"
#include "sim/front/output.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <vector>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

struct Reason {
    const char *name; // as the kernel has it (include/linux/mm_types.h)
    const char *stat; // of the guest, in stats.csv
};

constexpr Reason reasons[] = {
    {"flush on task switch", "tlb_flush_on_task_switch"},
    {"remote shootdown", "tlb_flush_remote_shootdown"},
    {"local shootdown", "tlb_flush_local_shootdown"},
    {"local MM shootdown", "tlb_flush_local_mm_shootdown"},
    {"remote IPI send", "tlb_flush_remote_send_ipi"},
};
constexpr size_t nreasons = sizeof reasons / sizeof reasons[0];

struct Side {
    std::vector<double> sums = std::vector<double>(nreasons, 0);
    uint64_t runs = 0;
};

// guest,NAME,unit,value
void add_run(const fs::path &file, Side *side)
{
    std::ifstream in(file);
    std::string line;
    std::vector<bool> found(nreasons, false);
    while (std::getline(in, line))
        for (size_t i = 0; i < nreasons; i++) {
            const std::string begin = "guest," + std::string(reasons[i].stat) + ",";
            const size_t comma = line.rfind(',');
            double value = 0;
            if (line.compare(0, begin.size(), begin) != 0 || comma == std::string::npos ||
                std::from_chars(line.data() + comma + 1, line.data() + line.size(), value).ec !=
                    std::errc())
                continue;
            side->sums[i] += value;
            found[i] = true;
        }
    if (std::count(found.begin(), found.end(), true) != static_cast<std::ptrdiff_t>(nreasons))
        user_error(Place{file.string(), 0, 0}, "no statistics of a guest's TLB flushes");
    side->runs++;
}

// By the point without its seed.
std::map<std::string, Side> read_runs(const std::string &folder)
{
    std::map<std::string, Side> sides;
    std::error_code error;
    if (!fs::is_directory(folder, error))
        user_error(Place(), folder + " is no folder of results");
    std::vector<fs::path> files;
    for (auto at = fs::recursive_directory_iterator(folder, error);
         !error && at != fs::recursive_directory_iterator(); at.increment(error))
        if (at->path().filename() == "stats.csv")
            files.push_back(at->path());
    std::sort(files.begin(), files.end());
    for (const fs::path &file : files) {
        fs::path point = file.parent_path();
        if (point.filename().string().rfind("seed=", 0) == 0)
            point = point.parent_path();
        add_run(file, &sides[point.lexically_relative(folder).string()]);
    }
    if (sides.empty())
        user_error(Place(), folder + " holds no results of runs (stats.csv)");
    return sides;
}

std::string ratio(double simulated, uint64_t recorded)
{
    return recorded == 0 ? "-" : fixed(simulated / static_cast<double>(recorded), 3);
}

void print_table(const ts_strace_counts &counts, const std::map<std::string, Side> &sides)
{
    for (const auto &[name, side] : sides) {
        std::printf("%s (mean of %llu runs)\n  %-22s %12s %12s %10s\n", name.c_str(),
                    static_cast<unsigned long long>(side.runs), "TLB flushes", "recorded",
                    "simulated", "ratio");
        for (size_t i = 0; i < nreasons; i++) {
            const double mean = side.sums[i] / static_cast<double>(side.runs);
            std::printf("  %-22s %12llu %12s %10s\n", reasons[i].name,
                        static_cast<unsigned long long>(counts.flushes[i]), fixed(mean, 1).c_str(),
                        ratio(mean, counts.flushes[i]).c_str());
        }
    }
}

void print_json(const ts_strace_counts &counts, const std::map<std::string, Side> &sides)
{
    nlohmann::ordered_json json;
    for (size_t i = 0; i < nreasons; i++)
        json["recorded"][reasons[i].name] = counts.flushes[i];
    for (const auto &[name, side] : sides) {
        nlohmann::ordered_json &to = json["simulated"][name];
        to["runs"] = side.runs;
        for (size_t i = 0; i < nreasons; i++)
            to[reasons[i].name] = side.sums[i] / static_cast<double>(side.runs);
    }
    std::printf("%s\n", json.dump(1).c_str());
}

} // namespace

void command_trace_compare(const TraceCommand &command)
{
    const auto info = trace_info(trace_open_any(command.path).get(), false);
    const ts_strace_counts &counts = info->calls.counts;
    const uint64_t all =
        std::accumulate(std::begin(counts.flushes), std::end(counts.flushes), uint64_t{0});
    if (all == 0)
        user_error(Place{command.path, 0, 0},
                   "the recording (" + std::string(info->format->summary) +
                       ") has no TLB flush: record tlb:tlb_flush (docs/recording.md)");
    const std::map<std::string, Side> sides = read_runs(command.folder);
    if (command.json) {
        print_json(counts, sides);
        return;
    }
    print_table(counts, sides);
    if (counts.flushes_elsewhere > 0)
        std::printf("%llu recorded flushes on behalf of other programs are not counted.\n",
                    static_cast<unsigned long long>(counts.flushes_elsewhere));
    std::printf("One VM's share: all guests of a run are counted together, background ones too.\n");
}

} // namespace ts
