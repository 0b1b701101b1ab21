// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/measure.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <sys/utsname.h>

namespace ts
{
namespace
{

constexpr size_t line = 64, small_page = 4096, huge_page = 2 << 20;

// Shares of the time. What is left is for the simulations, which follow.
constexpr double share_core = 0.03, share_tlb = 0.22, share_caches = 0.05, share_lines = 0.12,
                 share_rows = 0.35, share_distances = 0.06, share_exit = 0.02, share_timer = 0.01;

uint64_t after(double seconds)
{
    return ts_cal_now() + static_cast<uint64_t>(seconds * 1e9);
}

class Memory
{
  public:
    Memory(size_t bytes, ts_cal_pages pages) : error_(ts_cal_memory_get(&memory_, bytes, pages))
    {
    }
    ~Memory()
    {
        ts_cal_memory_free(&memory_);
    }
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;
    int error() const
    {
        return error_;
    }
    const ts_cal_memory &get() const
    {
        return memory_;
    }
    // Of its huge pages, by /proc/self/smaps.
    bool is_huge() const;

  private:
    ts_cal_memory memory_;
    int error_;
};

bool Memory::is_huge() const
{
    std::ifstream smaps("/proc/self/smaps");
    std::string text;
    bool inside = false;
    uint64_t huge = 0;
    const auto base = reinterpret_cast<uintptr_t>(memory_.base);
    while (std::getline(smaps, text)) {
        unsigned long long first = 0, end = 0, kib = 0;
        if (std::sscanf(text.c_str(), "%llx-%llx ", &first, &end) == 2)
            inside = first < base + memory_.bytes && end > base;
        else if (inside && std::sscanf(text.c_str(), "AnonHugePages: %llu kB", &kib) == 1)
            huge += kib << 10;
    }
    return huge >= memory_.bytes;
}

// The least of a few follows of a chain that is in the caches and TLBs as far as it fits.
double follow(const ts_cal_memory &memory, const ts_cal_chain &chain)
{
    constexpr size_t least_loads = 4000, tries = 2;
    if (ts_cal_chain_make(&memory, &chain) != 0)
        return 0;
    ts_cal_chain_follow(&memory, chain.n);
    double least = INFINITY;
    for (size_t i = 0; i < tries; i++)
        least = std::min(least, ts_cal_chain_follow(&memory, std::max(2 * chain.n, least_loads)));
    return least;
}

// Passes over all sizes until the time is over, two at least: what takes a while (another program,
// another clock) does not meet one size in all of them.
std::vector<ChasePoint> chase(const ts_cal_memory &memory, const std::vector<size_t> &sizes,
                              size_t stride, double seconds)
{
    std::vector<ChasePoint> points;
    for (const size_t n : sizes)
        points.push_back(ChasePoint{n, INFINITY, INFINITY, 0});
    const uint64_t until = after(seconds);
    for (size_t pass = 0; pass < 2 || ts_cal_now() < until; pass++) {
        for (ChasePoint &point : points) {
            const ts_cal_chain apart{point.n, stride, 1, pass * 2654435761u + point.n};
            const ts_cal_chain packed{point.n, line, 0, pass * 2654435761u + point.n};
            point.apart_ns = std::min(point.apart_ns, follow(memory, apart));
            point.packed_ns = std::min(point.packed_ns, follow(memory, packed));
            point.passes++;
            if (pass >= 2 && ts_cal_now() >= until)
                break;
        }
    }
    return points;
}

void measure_tlb(Measurements *m, double seconds)
{
    constexpr size_t pages_most = 8192, huge_least = 4, huge_most = 96;
    const size_t room = m->limits.memory / 4;
    const Memory small(pages_most * small_page, TS_CAL_SMALL);
    if (small.error() || room < pages_most * small_page) {
        m->left_out.emplace_back("TLBs: no memory for the chases");
        return;
    }
    m->small_pages = chase(small.get(), sweep_sizes(8, pages_most), small_page, seconds * 0.5);
    const size_t most = std::min(huge_most, room / huge_page);
    const Memory huge(std::max(most, size_t{1}) * huge_page, TS_CAL_HUGE);
    if (huge.error() || most < 2 * huge_least || !huge.is_huge()) {
        m->left_out.emplace_back("TLBs of large pages: the kernel gives no huge pages "
                                 "(/sys/kernel/mm/transparent_hugepage/enabled, or no memory)");
        return;
    }
    m->small_steps = chase(huge.get(), sweep_sizes(8, 2048), small_page, seconds * 0.25);
    m->huge_pages = chase(huge.get(), sweep_sizes(huge_least, most), huge_page, seconds * 0.25);
}

void measure_caches(Measurements *m, double seconds)
{
    for (const unsigned level : {1u, 2u}) {
        const HostCache *cache = m->host.cache(level, "Data");
        if (!cache || cache->bytes < 2 * small_page) {
            m->left_out.push_back("latency of the L" + std::to_string(level) +
                                  " cache: sysfs does not tell its size");
            continue;
        }
        // Half of it, but no more than 48 pages: first-level TLBs hold as many and more.
        const size_t bytes = std::min<size_t>(cache->bytes / 2, 48 * small_page);
        const HostCache *smaller = level > 1 ? m->host.cache(level - 1, "Data") : nullptr;
        if (smaller && bytes < 2 * smaller->bytes)
            continue;
        const Memory memory(bytes, TS_CAL_SMALL);
        if (memory.error())
            continue;
        CacheTime time{"l" + std::to_string(level), bytes, INFINITY, 0};
        const uint64_t until = after(seconds / 2);
        while (time.passes < 5 || ts_cal_now() < until) {
            const ts_cal_chain chain{bytes / line, line, 0, ++time.passes};
            time.ns = std::min(time.ns, follow(memory.get(), chain));
        }
        m->caches.push_back(time);
    }
}

// Pairs of each relation come one after the other, so that a time that ends early leaves none out.
std::vector<PairTime> pairs_of(const Measurements &m)
{
    std::vector<std::vector<PairTime>> by_relation(4);
    std::vector<PairTime> pairs;
    for (size_t i = 0; i < m.order.size(); i++)
        for (size_t k = i + 1; k < m.order.size(); k++) {
            const HostCpu *a = m.host.cpu(m.order[i]), *b = m.host.cpu(m.order[k]);
            if (a && b)
                by_relation[static_cast<size_t>(relation_of(*a, *b))].push_back(
                    PairTime{a->id, b->id, relation_of(*a, *b), {}});
        }
    for (size_t i = 0;; i++) {
        const size_t before = pairs.size();
        for (const auto &list : by_relation)
            if (i < list.size())
                pairs.push_back(list[i]);
        if (pairs.size() == before)
            return pairs;
    }
}

void measure_lines(Measurements *m, double seconds)
{
    constexpr uint64_t transfers = 500;
    constexpr size_t samples = 15, least_pairs = 4;
    const uint64_t until = after(seconds);
    std::vector<PairTime> pairs = pairs_of(*m);
    size_t done = 0;
    if (pairs.empty()) {
        m->left_out.emplace_back(
            "line transfers, and calls while other threads run: there is one CPU only");
        return;
    }
    // Rounds over the pairs while there is time: one that another program disturbs is met again.
    std::vector<std::vector<double>> values(pairs.size());
    for (size_t round = 0; round == 0 || (done == pairs.size() && ts_cal_now() < until); round++) {
        for (done = 0; done < pairs.size(); done++) {
            if (done >= least_pairs && ts_cal_now() >= until)
                break;
            double at[samples];
            ts_cal_samples out{at, 0, samples, 0};
            const int error = ts_cal_line(pairs[done].a, pairs[done].b, transfers, &out);
            if (error) {
                m->left_out.push_back("line transfers: " + host_error_text(error));
                return;
            }
            values[done].insert(values[done].end(), at, at + out.n);
        }
    }
    for (size_t i = 0; i < pairs.size(); i++) {
        pairs[i].ns = spread_of(std::move(values[i]));
        if (pairs[i].ns.n > 0)
            m->pairs.push_back(pairs[i]);
    }
    if (m->pairs.size() < pairs.size())
        m->left_out.push_back("line transfers: " + std::to_string(pairs.size() - m->pairs.size()) +
                              " of " + std::to_string(pairs.size()) +
                              " pairs, for which there was no time");
}

void measure_rows(Measurements *m, double seconds)
{
    const std::vector<BenchRow> rows = calibration_rows(m->order.size());
    const std::vector<HostSample> samples = run_on_host(rows, m->order, seconds);
    for (size_t i = 0; i < rows.size(); i++) {
        if (samples[i].spread.n == 0)
            m->left_out.push_back(rows[i].name() + ": " + samples[i].why);
        m->rows[rows[i]] = samples[i];
    }
}

void measure_distances(Measurements *m, double seconds)
{
    std::map<Relation, int> nearest;
    for (size_t i = 1; i < m->order.size(); i++) {
        const HostCpu *a = m->host.cpu(m->order[0]), *b = m->host.cpu(m->order[i]);
        if (a && b)
            nearest.emplace(relation_of(*a, *b), b->id);
    }
    for (const auto &item : nearest)
        for (const BenchRow row : {BenchRow{TS_CAL_MEMBARRIER, 1, 1}, {TS_CAL_MUNMAP, 2, 1}})
            m->distances.push_back(
                {row, item.first,
                 run_on_host(row, {m->order[0], item.second},
                             seconds / static_cast<double>(2 * nearest.size()))});
}

void measure_exit(Measurements *m, double seconds)
{
    const uint64_t until = after(seconds);
    std::vector<double> values;
    if (!m->guest.hypervisor)
        return;
    const double clock = ts_cal_clock_cost();
    while (values.size() < 200 || (values.size() < 20000 && ts_cal_now() < until))
        values.push_back(std::max(0.0, ts_cal_exit() - clock));
    m->exit = spread_of(std::move(values));
}

void measure_timer(Measurements *m, double seconds)
{
    constexpr size_t most = 5000;
    std::vector<double> values(most);
    ts_cal_samples out{values.data(), 0, most, 0};
    if (m->order.empty())
        return;
    const int error = ts_cal_timer_run(m->order[0], after(seconds), &out);
    if (error) {
        m->left_out.push_back("writes of the timer's deadline: " + host_error_text(error));
        return;
    }
    values.resize(out.n);
    m->timer_write = spread_of(std::move(values));
}

} // namespace

void measure_core(Measurements *m, double seconds)
{
    const uint64_t until = after(seconds);
    std::vector<double> additions;
    m->counter_hz = ts_cal_counter_hz();
    while (additions.size() < 20 || ts_cal_now() < until)
        additions.push_back(ts_cal_addition());
    if (additions.front() > 0)
        m->addition = spread_of(std::move(additions));
    else
        m->left_out.emplace_back("clock of the cores: this architecture is not known");
    double cycles = 0;
    const int error = ts_cal_cycles_an_addition(&cycles);
    if (error)
        m->left_out.push_back("the CPU's counter of cycles: " + counter_error_text("", error));
    else
        m->cycles_an_addition = cycles;
}

double Measurements::row(ts_cal_call call, size_t pages, size_t spinners) const
{
    const auto found = rows.find(BenchRow{call, pages, spinners});
    return found == rows.end() ? 0 : found->second.spread.median;
}

std::vector<size_t> sweep_sizes(size_t first, size_t last)
{
    std::vector<size_t> sizes;
    for (size_t octave = first; octave <= last; octave *= 2)
        for (const size_t eighths : {8, 9, 10, 12, 14})
            if (octave * eighths % 8 == 0 && octave * eighths / 8 <= last)
                sizes.push_back(octave * eighths / 8);
    return sizes;
}

Measurements look_at_host(const std::string &root, const std::vector<int> &cpus)
{
    Measurements m;
    utsname name{};
    m.host = host_topology(root);
    m.limits = host_limits(root, cpus);
    ts_cal_guest_read(&m.guest);
    if (uname(&name) == 0)
        m.kernel = name.release;
    // Other cores that are near come first, threads of one core last: so does the simulator.
    m.order = m.limits.cpus;
    const HostCpu *first = m.order.empty() ? nullptr : m.host.cpu(m.order[0]);
    const auto rank = [&](int id) {
        const HostCpu *cpu = m.host.cpu(id);
        if (!cpu || !first || id == first->id)
            return cpu && first ? -1 : 5;
        const Relation relation = relation_of(*first, *cpu);
        return relation == Relation::Smt ? 4 : static_cast<int>(relation);
    };
    std::stable_sort(m.order.begin(), m.order.end(),
                     [&](int a, int b) { return rank(a) < rank(b); });
    if (m.order.size() < m.host.cpus.size())
        m.limits.notes.push_back(std::to_string(m.order.size()) + " of " +
                                 std::to_string(m.host.cpus.size()) +
                                 " CPUs may be used (affinity or cpuset): pairs of the others "
                                 "are left out");
    return m;
}

void measure_host(Measurements *m, double seconds)
{
    measure_core(m, seconds * share_core);
    measure_tlb(m, seconds * share_tlb);
    measure_caches(m, seconds * share_caches);
    measure_lines(m, seconds * share_lines);
    measure_rows(m, seconds * share_rows);
    measure_distances(m, seconds * share_distances);
    measure_exit(m, seconds * share_exit);
    measure_timer(m, seconds * share_timer);
}

} // namespace ts
