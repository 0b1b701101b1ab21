// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/cmd_calibrate.hpp"

#include "sim/front/calibrate/files.hpp"
#include "sim/front/calibrate/validation.hpp"
#include "sim/front/folder.hpp"
#include "sim/front/output.hpp"
#include "sim/front/results.hpp"

#include <cstdio>
#include <filesystem>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

constexpr double share_rows = 0.6, share_storm = 0.35;
constexpr size_t storms_most = 50;
// Kernels that account by ticks tell system from user time of so much and more.
constexpr double cpu_least_ns = 1e8;

bool flushes_one_page(const BenchRow &row)
{
    return row.spinners > 0 && row.pages == 1 &&
           (row.call == TS_CAL_MPROTECT || row.call == TS_CAL_DONTNEED ||
            row.call == TS_CAL_MUNMAP);
}

// All that stands on the host goes first, so that the simulations do not disturb it.
void validate_calls(const Measurements &m, const SimulatedPlatform &platform, double seconds,
                    Validation *v)
{
    const size_t cpus = m.order.size();
    std::vector<BenchRow> all = calibration_rows(cpus);
    const size_t used = all.size();
    for (const BenchRow &row : held_out_rows(cpus))
        all.push_back(row);
    const std::vector<HostSample> samples = run_on_host(all, m.order, seconds);
    std::vector<ValidateRow> interrupts;
    for (size_t i = 0; i < all.size(); i++) {
        if (samples[i].spread.n == 0) {
            v->left_out.push_back(all[i].name() + ": " + samples[i].why);
            continue;
        }
        const SimulatedRow simulated = simulate_row(platform, all[i]);
        v->rows.push_back({all[i].name(), i >= used, samples[i].spread, simulated.ns});
        if (flushes_one_page(all[i]) && samples[i].interrupts.n > 0)
            interrupts.push_back({"interrupts of " + all[i].name(), true, samples[i].interrupts,
                                  simulated.interrupts, ValidateRow::Unit::Interrupts});
    }
    if (cpus > 1 && interrupts.empty())
        v->left_out.emplace_back("counts of TLB-shootdown interrupts: /proc/interrupts has none");
    v->rows.insert(v->rows.end(), interrupts.begin(), interrupts.end());
}

struct StormRuns {
    std::vector<double> completion, cpu, system;
};

StormRuns storms_on_host(const ts_cal_storm &storm, double seconds, std::string *why)
{
    StormRuns runs;
    const uint64_t until = ts_cal_now() + static_cast<uint64_t>(seconds * 1e9);
    while (runs.completion.empty() ||
           (runs.completion.size() < storms_most && ts_cal_now() < until)) {
        ts_cal_storm_result result{};
        const int error = ts_cal_storm_run(&storm, &result);
        if (error) {
            *why = host_error_text(error);
            return {};
        }
        runs.completion.push_back(result.completion_ns);
        runs.cpu.push_back(result.user_ns + result.system_ns);
        runs.system.push_back(result.system_ns);
    }
    return runs;
}

// The recorded program's shape, by fewer and by as many threads as it had.
void validate_storms(const Measurements &m, const SimulatedPlatform &platform, double seconds,
                     Validation *v)
{
    constexpr size_t seeds = 3, threads_recorded = 65;
    const std::vector<size_t> threads = {1, 2 * m.order.size(), threads_recorded};
    for (const size_t n : threads) {
        const ts_cal_storm storm{n, 50, 16384, 16};
        const std::string name =
            "mmap storm, " + std::to_string(n) + (n == 1 ? " thread" : " threads");
        std::string why;
        const StormRuns real =
            storms_on_host(storm, seconds / static_cast<double>(threads.size()), &why);
        if (!why.empty()) {
            v->left_out.push_back(name + ": " + why);
            continue;
        }
        std::vector<double> completion, cpu, system;
        for (uint64_t seed = 1; seed <= seeds; seed++) {
            const SimulatedStorm simulated = simulate_storm(platform, storm, seed);
            completion.push_back(simulated.completion_ns);
            cpu.push_back(simulated.user_ns + simulated.system_ns);
            system.push_back(simulated.system_ns);
        }
        v->rows.push_back({name + ": completion", true, spread_of(real.completion),
                           spread_of(completion).median});
        v->rows.push_back({name + ": CPU time", true, spread_of(real.cpu), spread_of(cpu).median});
        if (spread_of(real.cpu).median >= cpu_least_ns)
            v->rows.push_back(
                {name + ": system time", true, spread_of(real.system), spread_of(system).median});
    }
}

SimulatedPlatform platform_of(const Measurements &m, const std::string &machine)
{
    const std::string path = fs::absolute(machine).string(), below = hypervisor_path(path);
    std::error_code code;
    if (!fs::exists(path, code))
        user_error(Place(), "no such file: " + machine + "; `tlbstorm calibrate` writes one");
    const bool own = fs::exists(below, code);
    const std::string hypervisor = own ? below : nearest_hypervisor(m);
    const ParameterSet set(piece_layer("hypervisors", hypervisor));
    return host_platform(m, path, hypervisor, &set);
}

} // namespace

void command_validate(const ValidateCommand &command)
{
    const double seconds = static_cast<double>(time_need("--time", command.time, 5 * TS_S)) * 1e-12;
    const Measurements m = look_at_host("", allowed_cpus());
    const SimulatedPlatform platform = platform_of(m, command.machine);
    platform_check(platform);
    OutputFolder folder(command.output, command.force);
    folder.open();
    Validation v;
    v.left_out = m.limits.notes;
    validate_calls(m, platform, seconds * share_rows, &v);
    validate_storms(m, platform, seconds * share_storm, &v);
    const std::string verdict = v.verdict();
    write_file(folder.partial() + "/validation.csv", v.csv());
    write_file(folder.partial() + "/verdict.txt", verdict);
    folder.commit();
    if (!command.quiet)
        std::printf("%s\n", v.table().c_str());
    std::printf("%swrote %s\n", verdict.c_str(), command.output.c_str());
}

} // namespace ts
