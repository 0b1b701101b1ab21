// SPDX-License-Identifier: Apache-2.0
// The micro-benchmarks that are run both on the host and in the simulator: which they are, which of
// them calibrate takes its values from, and which it never sees.
#ifndef TS_SIM_FRONT_CALIBRATE_ROWS_HPP
#define TS_SIM_FRONT_CALIBRATE_ROWS_HPP

#include "calibrate/calibrate.h"
#include "sim/front/calibrate/steps.hpp"

#include <string>
#include <vector>

namespace ts
{

// A call by one thread, while `spinners` others of the process spin on CPUs of their own.
struct BenchRow {
    ts_cal_call call = TS_CAL_SYSCALL;
    size_t pages = 1;
    size_t spinners = 0;

    std::string name() const; // "mprotect, 8 pages, 1 spins"
    bool operator<(const BenchRow &other) const;
    bool operator==(const BenchRow &other) const;
};
const char *call_name(ts_cal_call call);
// System calls of a sample: 2 of a pair.
unsigned calls_of(ts_cal_call call);

// What calibrate runs. At most cpus - 1 threads spin; without a second CPU none of those rows is
// there.
std::vector<BenchRow> calibration_rows(size_t cpus);
// What validate compares: none of them is in calibration_rows(cpus).
std::vector<BenchRow> held_out_rows(size_t cpus);

struct HostSample {
    Spread spread; // ns, of n > 0; else why says what is in the way
    // TLB-shootdown interrupts of all CPUs a sample, of each round; of n > 0 where spinning threads
    // are told and /proc/interrupts counts them (x86).
    Spread interrupts;
    std::string why;
};
// On the CPUs in their order: the first calls. For so many seconds.
HostSample run_on_host(const BenchRow &row, const std::vector<int> &cpus, double seconds);
// All rows in some rounds, so that what changes with time (another program, the clock) meets all of
// them alike. In the order of rows.
std::vector<HostSample> run_on_host(const std::vector<BenchRow> &rows, const std::vector<int> &cpus,
                                    double seconds);

// What an errno of calibrate/ means to a user.
std::string host_error_text(int error);

} // namespace ts

#endif
