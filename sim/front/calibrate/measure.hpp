// SPDX-License-Identifier: Apache-2.0
// All measurements of a host, within a time. What cannot be measured is left out, with a line that
// says why; nothing is guessed in its place.
#ifndef TS_SIM_FRONT_CALIBRATE_MEASURE_HPP
#define TS_SIM_FRONT_CALIBRATE_MEASURE_HPP

#include "sim/front/calibrate/rows.hpp"
#include "sim/front/calibrate/topology.hpp"

#include <map>
#include <string>
#include <vector>

namespace ts
{

// n loads a cycle: each in a page of its own, and as many in adjacent lines, which the same caches
// hold. Nanoseconds a load, the least of some passes: what disturbs a chase only adds.
struct ChasePoint {
    size_t n = 0;
    double apart_ns = 0, packed_ns = 0;
    size_t passes = 0;
};

struct CacheTime {
    std::string key;  // "l1", "l2"
    size_t bytes = 0; // of the chase
    double ns = 0;    // least
    size_t passes = 0;
};

struct PairTime {
    int a = 0, b = 0; // CPUs
    Relation relation = Relation::Cluster;
    Spread ns; // of a transfer one way
};

// A row with one spinning thread at each distance from the first CPU.
struct DistanceTime {
    BenchRow row;
    Relation relation = Relation::Cluster;
    HostSample sample;
};

struct Measurements {
    HostTopology host;
    HostLimits limits;
    ts_cal_guest guest{};
    std::string kernel;     // uname -r
    std::vector<int> order; // allowed CPUs: the caller's, then the nearest of other cores, ...

    Spread addition; // ns
    double counter_hz = 0;
    double cycles_an_addition = 0;       // by the CPU's own counter; 0: it cannot be read
    std::vector<ChasePoint> small_pages; // of 4K
    std::vector<ChasePoint> small_steps; // the same 4K apart in pages of 2M
    std::vector<ChasePoint> huge_pages;  // 2M apart
    std::vector<CacheTime> caches;
    std::vector<PairTime> pairs;
    std::map<BenchRow, HostSample> rows;
    std::vector<DistanceTime> distances;
    Spread exit;        // ns, n is 0 outside a guest
    Spread timer_write; // ns
    std::vector<std::string> left_out;

    // Of the core's clock, by the fastest addition.
    double cycle_ns() const
    {
        return addition.least / (cycles_an_addition > 0 ? cycles_an_addition : 1);
    }
    // ns of a row's median; 0 if it is not there.
    double row(ts_cal_call call, size_t pages, size_t spinners = 0) const;
};

// What is known without measuring. root: of sysfs and /proc, "" but for tests.
Measurements look_at_host(const std::string &root, const std::vector<int> &cpus);
// The clock alone, within `seconds`.
void measure_core(Measurements *m, double seconds);
// Fills in the rest within `seconds` (the last of a batch may go a few ms beyond).
void measure_host(Measurements *m, double seconds);

// Sizes of a sweep: 5 an octave, from first to last.
std::vector<size_t> sweep_sizes(size_t first, size_t last);

} // namespace ts

#endif
