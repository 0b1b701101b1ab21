// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/rows.hpp"

#include "sim/front/calibrate/topology.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <tuple>

namespace ts
{
namespace
{

constexpr size_t samples_most = 5000;
constexpr double round_least_s = 0.02, rounds_most = 8;

void add(std::vector<BenchRow> *rows, ts_cal_call call, size_t spinners,
         std::initializer_list<size_t> pages)
{
    for (const size_t n : pages)
        rows->push_back(BenchRow{call, n, spinners});
}

struct Rounds {
    std::vector<double> ns, interrupts;
};

// Appends to values, or says why not.
void run_round(const BenchRow &row, const std::vector<int> &cpus, double seconds, size_t most,
               Rounds *values, std::string *why)
{
    std::vector<double> own(most);
    ts_cal_samples out{own.data(), 0, own.size(), 0};
    const ts_cal_bench bench{row.call, row.pages, cpus.data(), row.spinners + 1};
    if (row.spinners + 1 > cpus.size()) {
        *why = std::to_string(row.spinners + 1) + " CPUs are needed, " +
               std::to_string(cpus.size()) + " may be used";
        return;
    }
    const auto interrupts = [&] { return row.spinners > 0 ? flush_interrupts("") : std::nullopt; };
    const std::optional<uint64_t> before = interrupts();
    const int error =
        ts_cal_bench_run(&bench, ts_cal_now() + static_cast<uint64_t>(seconds * 1e9), &out);
    const std::optional<uint64_t> after = interrupts();
    if (error) {
        *why = host_error_text(error);
        return;
    }
    values->ns.insert(values->ns.end(), own.begin(),
                      own.begin() + static_cast<std::ptrdiff_t>(out.n));
    if (before && after)
        values->interrupts.push_back(static_cast<double>(*after - *before) /
                                     static_cast<double>(out.rounds));
}

} // namespace

const char *call_name(ts_cal_call call)
{
    switch (call) {
    case TS_CAL_SYSCALL:
        return "getppid";
    case TS_CAL_MMAP:
        return "mmap";
    case TS_CAL_MPROTECT:
        return "mprotect pair";
    case TS_CAL_DONTNEED:
        return "madvise(DONTNEED)";
    case TS_CAL_FAULT:
        return "first writes";
    case TS_CAL_MUNMAP:
        return "munmap";
    case TS_CAL_FAULT_TABLE:
        return "first write, table made";
    case TS_CAL_MUNMAP_TABLE:
        return "munmap, table freed";
    case TS_CAL_MEMBARRIER:
        return "membarrier";
    case TS_CAL_NANOSLEEP:
        return "nanosleep of 500 ns";
    case TS_CAL_CALLS:
        break;
    }
    return "";
}

unsigned calls_of(ts_cal_call call)
{
    return call == TS_CAL_MPROTECT ? 2 : 1;
}

std::string BenchRow::name() const
{
    std::string text = call_name(call);
    const bool counts =
        call != TS_CAL_SYSCALL && call != TS_CAL_MEMBARRIER && call != TS_CAL_NANOSLEEP;
    if (counts)
        text += ", " + std::to_string(pages) + (pages == 1 ? " page" : " pages");
    if (spinners > 0)
        text += ", " + std::to_string(spinners) + (spinners == 1 ? " spins" : " spin");
    return text;
}

bool BenchRow::operator<(const BenchRow &other) const
{
    return std::tie(call, pages, spinners) < std::tie(other.call, other.pages, other.spinners);
}

bool BenchRow::operator==(const BenchRow &other) const
{
    return std::tie(call, pages, spinners) == std::tie(other.call, other.pages, other.spinners);
}

std::vector<BenchRow> calibration_rows(size_t cpus)
{
    std::vector<BenchRow> rows;
    add(&rows, TS_CAL_SYSCALL, 0, {1});
    add(&rows, TS_CAL_MPROTECT, 0, {4, 32, 128, 510});
    add(&rows, TS_CAL_MPROTECT, 0, {1});
    add(&rows, TS_CAL_DONTNEED, 0, {1, 16, 128});
    add(&rows, TS_CAL_MMAP, 0, {1});
    add(&rows, TS_CAL_MUNMAP, 0, {1});
    add(&rows, TS_CAL_FAULT, 0, {128});
    add(&rows, TS_CAL_FAULT_TABLE, 0, {1});
    add(&rows, TS_CAL_MUNMAP_TABLE, 0, {1});
    if (cpus > 1)
        add(&rows, TS_CAL_MEMBARRIER, 1, {1});
    return rows;
}

std::vector<BenchRow> held_out_rows(size_t cpus)
{
    std::vector<BenchRow> rows;
    add(&rows, TS_CAL_NANOSLEEP, 0, {1});
    add(&rows, TS_CAL_MMAP, 0, {64});
    add(&rows, TS_CAL_FAULT, 0, {1, 16});
    add(&rows, TS_CAL_MPROTECT, 0, {8, 64, 256});
    add(&rows, TS_CAL_DONTNEED, 0, {2, 8, 64});
    add(&rows, TS_CAL_MUNMAP, 0, {8, 64, 256});
    if (cpus > 1) {
        add(&rows, TS_CAL_MPROTECT, 1, {1, 8, 64, 256});
        add(&rows, TS_CAL_DONTNEED, 1, {1, 8, 64});
        add(&rows, TS_CAL_MUNMAP, 1, {1, 8, 64});
        add(&rows, TS_CAL_MUNMAP_TABLE, 1, {1});
    }
    // Twice as many, and all.
    for (size_t spinners = 2; spinners < cpus; spinners = spinners * 2 < cpus   ? spinners * 2
                                                          : spinners + 1 < cpus ? cpus - 1
                                                                                : cpus) {
        add(&rows, TS_CAL_MEMBARRIER, spinners, {1});
        add(&rows, TS_CAL_MPROTECT, spinners, {1, 64});
    }
    return rows;
}

HostSample run_on_host(const BenchRow &row, const std::vector<int> &cpus, double seconds)
{
    return run_on_host(std::vector<BenchRow>{row}, cpus, seconds)[0];
}

std::vector<HostSample> run_on_host(const std::vector<BenchRow> &rows, const std::vector<int> &cpus,
                                    double seconds)
{
    const double each = seconds / static_cast<double>(rows.size());
    const size_t rounds = static_cast<size_t>(std::clamp(each / round_least_s, 1.0, rounds_most));
    std::vector<Rounds> values(rows.size());
    std::vector<HostSample> samples(rows.size());
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < rows.size(); i++)
            run_round(rows[i], cpus, each / static_cast<double>(rounds), samples_most / rounds,
                      &values[i], &samples[i].why);
    for (size_t i = 0; i < rows.size(); i++) {
        samples[i].spread = spread_of(std::move(values[i].ns));
        samples[i].interrupts = spread_of(std::move(values[i].interrupts));
        if (samples[i].spread.n > 0)
            samples[i].why.clear();
    }
    return samples;
}

std::string host_error_text(int error)
{
    switch (error) {
    case EPERM:
        return "not permitted (a seccomp filter of a container, perhaps)";
    case EINVAL:
        return "a CPU cannot be had: affinity or cpuset do not allow it";
    case ENOSYS:
        return "this kernel does not have the call";
    case EBUSY:
        return "other programs held the CPUs all the time";
    default:
        return std::strerror(error);
    }
}

} // namespace ts
