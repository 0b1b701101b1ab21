// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/derive.hpp"

#include "sim/front/output.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ts
{
namespace
{

std::string here(const std::string &method)
{
    return "measured here: " + method;
}

// Added to the base's own number: it lies where the measurement says.
std::string sizes_text(const std::vector<ChasePoint> &points, const Step &step)
{
    return std::to_string(points[step.last_low].n) + " and " +
           std::to_string(points[step.first_high].n) + " pages";
}

void set_count(Derivation *d, const std::string &key, uint64_t value, const std::string &source)
{
    d->machine.set(key, std::to_string(value), source, TS_CONF_MEASURED);
}

void derive_topology(const Measurements &m, Derivation *d)
{
    const std::string source = here("sysfs, all CPUs that are online");
#if defined(__aarch64__)
    d->machine.set("topology.arch", "arm64", source, TS_CONF_MEASURED);
#else
    d->machine.set("topology.arch", "x86", source, TS_CONF_MEASURED);
#endif
    set_count(d, "topology.sockets", m.host.sockets, source);
    set_count(d, "topology.cores_per_socket", m.host.cores_per_socket, source);
    set_count(d, "topology.threads_per_core", m.host.threads_per_core, source);
    d->report.push_back({"topology",
                         std::to_string(m.host.sockets) + " x " +
                             std::to_string(m.host.cores_per_socket) + " x " +
                             std::to_string(m.host.threads_per_core),
                         "sockets x cores x threads", "topology.*"});
    if (!m.host.regular)
        d->left_out.push_back("topology: " + std::to_string(m.host.cpus.size()) +
                              " CPUs are online, which are not so many cores in each socket and "
                              "threads in each core; the largest are taken for all");
    const bool clustered = d->machine.value("line.cluster_cores") > 1;
    const bool whole = m.host.cluster_cores >= m.host.cores_per_socket;
    const std::string shared = here("sysfs, cores that share a last-level cache");
    if (clustered || !whole)
        set_count(d, "line.cluster_cores", std::max<size_t>(1, m.host.cluster_cores), shared);
    if (m.host.cluster_cores > 0)
        set_count(d, "cache.llc_cores", whole ? 0 : m.host.cluster_cores, shared);
}

void derive_clock(const Measurements &m, Derivation *d)
{
    if (m.addition.n == 0)
        return;
    const bool counted = m.cycles_an_addition > 0;
    const double cycles = counted ? m.cycles_an_addition : 1;
    const auto mhz = [&](double ns) { return number(std::round(1e3 * cycles / ns)); };
    std::string value = mhz(m.addition.least) + "MHz";
    d->machine.set("topology.core_hz", value,
                   here("dependent additions, " +
                        (counted ? fixed(cycles, 3) + " cycles each by the CPU's counter"
                                 : std::string("one a cycle")) +
                        "; the fastest of " + std::to_string(m.addition.n) + ", IQR " +
                        mhz(m.addition.high) + " to " + mhz(m.addition.low) + " MHz"),
                   TS_CONF_MEASURED);
    d->report.push_back({"clock of a core", value, "fastest of " + std::to_string(m.addition.n),
                         "topology.core_hz"});
    if (m.counter_hz > 0)
        d->report.push_back({"clock of the counter (TSC, CNTVCT)",
                             number(std::round(m.counter_hz / 1e6)) + "MHz", "in 20 ms", ""});
}

// In sizes that the model accepts; a level that the base says is not there stays so.
void derive_cache_sizes(const Measurements &m, Derivation *d)
{
    struct Row {
        unsigned level;
        const char *key;
    };
    for (const Row row : {Row{1, "l1"}, {2, "l2"}, {3, "llc"}}) {
        const HostCache *cache = m.host.cache(row.level, "Data");
        if (!cache || cache->bytes == 0 || cache->ways == 0 ||
            cache->bytes % (cache->ways * 64) != 0)
            continue;
        const std::string source = here("sysfs, of the first CPU"), key = row.key;
        d->machine.set("cache." + key + "_bytes", std::to_string(cache->bytes) + "B", source,
                       TS_CONF_MEASURED);
        set_count(d, "cache." + key + "_ways", cache->ways, source);
        d->report.push_back(
            {"L" + std::to_string(row.level) + " cache",
             std::to_string(cache->bytes >> 10) + " KiB, " + std::to_string(cache->ways) + " ways",
             "sysfs", "cache." + key + "_bytes, _ways"});
    }
}

uint64_t cycles_of(const Measurements &m, double ns)
{
    return static_cast<uint64_t>(std::max(0.0, std::round(ns / m.cycle_ns())));
}

void derive_cache_times(const Measurements &m, Derivation *d)
{
    for (const CacheTime &time : m.caches) {
        const std::string value = std::to_string(cycles_of(m, time.ns)) + "cycles";
        const std::string source = here("chase through " + std::to_string(time.bytes >> 10) +
                                        " KiB, least of " + std::to_string(time.passes) + ", " +
                                        number(std::round(time.ns * 100) / 100) + " ns");
        d->machine.set("cache." + time.key + "_cycles", value, source, TS_CONF_MEASURED);
        if (time.key == "l1")
            d->machine.set("line.hit_cycles", value, source, TS_CONF_MEASURED);
        d->report.push_back({"load from " + time.key, value,
                             "least of " + std::to_string(time.passes),
                             "cache." + time.key + "_cycles"});
    }
}

// What the pages cost beyond the lines, in cycles.
std::vector<double> page_cycles(const Measurements &m, const std::vector<ChasePoint> &points)
{
    std::vector<double> cycles;
    for (const ChasePoint &point : points)
        cycles.push_back((point.apart_ns - point.packed_ns) / m.cycle_ns());
    return cycles;
}

// Levels are cycles. They are looked for by their logarithms, as what a walk costs grows slowly
// with the tables, and spreads more than a hit does.
std::vector<Step> tlb_steps(const Measurements &m, const std::vector<ChasePoint> &points)
{
    // From nothing a step is 3 cycles or more (a hit of a second level costs 7), from 7 it is 8.
    constexpr double offset = 4, least_rise = 0.8;
    std::vector<double> sizes, logarithms;
    for (const ChasePoint &point : points)
        sizes.push_back(static_cast<double>(point.n));
    for (const double cycles : page_cycles(m, points))
        logarithms.push_back(std::log2(offset + std::max(0.0, cycles)));
    std::vector<Step> steps = steps_of(sizes, logarithms, least_rise);
    for (Step &step : steps) {
        step.low = std::exp2(step.low) - offset;
        step.high = std::exp2(step.high) - offset;
    }
    return steps;
}

// The base's number of entries if the step is about there, else the size half way up: of a
// fully associative TLB as it is, else with the nearest power of two of sets.
uint64_t entries_of(const std::vector<ChasePoint> &points, const Step &step, uint64_t base,
                    uint64_t ways)
{
    if (base >= points[step.last_low].n && base <= points[step.first_high].n)
        return base;
    if (base == ways)
        return static_cast<uint64_t>(step.half);
    const double sets = std::max(1.0, step.half / static_cast<double>(ways));
    return ways << static_cast<unsigned>(std::lround(std::log2(sets)));
}

void set_entries(const std::vector<ChasePoint> &points, const Step &step, const std::string &key,
                 Derivation *d)
{
    const std::string entries_key = "mmu." + key + "_entries", ways_key = "mmu." + key + "_ways";
    const uint64_t base = d->machine.value(entries_key), ways = d->machine.value(ways_key);
    const bool full = base == ways;
    const uint64_t entries = entries_of(points, step, base, ways);
    const std::string source =
        here("chase over pages against as many adjacent lines, which rises from " +
             number(std::round(step.low * 10) / 10) + " to " +
             number(std::round(step.high * 10) / 10) + " cycles between " +
             sizes_text(points, step)) +
        (entries == base ? ", where the base's number lies"
                         : ", which is half way up, in a power of two of sets");
    set_count(d, entries_key, entries, source);
    if (full && entries != base)
        set_count(d, ways_key, entries, source + "; fully associative, as the base says");
    d->report.push_back({"TLB " + key, std::to_string(entries) + " entries",
                         "step between " + sizes_text(points, step), entries_key});
}

// The name of the first-level TLB for a size, of the base; empty if it has none.
std::string first_level(const Derivation &d, const std::string &size)
{
    for (const std::string &key : {"l1d_" + size, std::string("l1d_any")})
        if (d.machine.value("mmu." + key + "_entries") > 0)
            return key;
    return "";
}

void derive_tlb(const Measurements &m, Derivation *d)
{
    const std::vector<Step> steps = tlb_steps(m, m.small_pages);
    const std::string first = first_level(*d, "4k");
    if (m.small_pages.empty() || m.addition.n == 0)
        return;
    if (steps.empty() || first.empty()) {
        d->left_out.emplace_back("TLBs: no step in the chase over pages of 4K");
        return;
    }
    set_entries(m.small_pages, steps[0], first, d);
    // Within an octave behind the first step, where the caches serve both chains alike.
    const std::vector<double> cycles = page_cycles(m, m.small_pages);
    std::vector<double> near;
    for (size_t i = steps[0].first_high; i < cycles.size(); i++)
        if (m.small_pages[i].n <= 2 * m.small_pages[steps[0].first_high].n)
            near.push_back(cycles[i]);
    const Spread hit = spread_of(std::move(near));
    const bool second = steps.size() > 1 && d->machine.value("mmu.l2_entries") > 0;
    if (second) {
        const std::string value = number(std::round(hit.median)) + "cycles";
        d->machine.set("mmu.l2_hit_cycles", value,
                       here("the same chase, in the octave behind the first step; " +
                            spread_text(hit, "cycles")),
                       TS_CONF_MEASURED);
        d->report.push_back({"hit of the second-level TLB", value, spread_text(hit, "cycles"),
                             "mmu.l2_hit_cycles"});
        set_entries(m.small_pages, steps.back(), "l2", d);
        d->report.push_back({"page walk, 4K",
                             number(std::round(steps.back().high - hit.median)) + "cycles",
                             "beyond that hit, the caches' misses by tables among it", ""});
    } else {
        d->left_out.emplace_back("second-level TLB: no further step up to " +
                                 std::to_string(m.small_pages.back().n) + " pages");
    }
}

// Large pages: their own TLB, unless the host behind a guest has small ones.
void derive_large_tlb(const Measurements &m, Derivation *d)
{
    const std::vector<Step> fine = tlb_steps(m, m.small_pages),
                            in_huge = tlb_steps(m, m.small_steps);
    const std::string first = first_level(*d, "2m");
    if (m.small_steps.empty() || m.addition.n == 0 || fine.empty())
        return;
    const bool fractured = m.guest.hypervisor && !in_huge.empty() &&
                           in_huge[0].half < 1.5 * fine[0].half &&
                           in_huge[0].half > fine[0].half / 1.5;
    if (fractured) {
        d->hypervisor.set("hypervisor.backing", "4KiB",
                          here("a chase within pages of 2M has its step at " +
                               number(std::round(in_huge[0].half)) +
                               " times 4K, as that over "
                               "pages of 4K: the host "
                               "behind them has small ones"),
                          TS_CONF_MEASURED);
        d->report.push_back({"pages behind the guest's memory", "4K",
                             "step at " + number(std::round(in_huge[0].half)),
                             "hypervisor.backing"});
        d->left_out.emplace_back("TLBs of large pages: the host backs this guest with small ones");
        return;
    }
    const std::vector<Step> steps = tlb_steps(m, m.huge_pages);
    if (steps.empty() || first != "l1d_2m")
        d->left_out.emplace_back("TLBs of large pages: " +
                                 std::string(steps.empty() ? "no step up to "
                                                           : "one for all "
                                                             "sizes; up to ") +
                                 std::to_string(m.huge_pages.back().n) + " pages");
    else
        set_entries(m.huge_pages, steps[0], first, d);
}

} // namespace

void ParameterSet::set(const std::string &key, const std::string &value, const std::string &source,
                       ts_confidence confidence)
{
    Setting setting;
    setting.key = &Keys::get().need(key, KeyOwners(), Place());
    setting.place = Place{"calibration", 0, 0};
    setting.value = setting.key->parse(value, setting.place);
    setting.source = source;
    setting.confidence = confidence;
    layer_[key] = std::move(setting);
    if (std::find(found_.begin(), found_.end(), key) == found_.end())
        found_.push_back(key);
}

uint64_t ParameterSet::value(const std::string &key) const
{
    const auto found = layer_.find(key);
    return found != layer_.end() ? found->second.value
                                 : Keys::get().need(key, KeyOwners(), Place()).row->def;
}

void ParameterSet::drop(const std::string &prefix)
{
    for (const std::string &key : found_) {
        if (key.compare(0, prefix.size(), prefix) != 0)
            continue;
        const auto own = base_.find(key);
        if (own != base_.end())
            layer_[key] = own->second;
        else
            layer_.erase(key);
    }
    found_.erase(std::remove_if(found_.begin(), found_.end(),
                                [&](const std::string &key) {
                                    return key.compare(0, prefix.size(), prefix) == 0;
                                }),
                 found_.end());
}

std::vector<Override> ParameterSet::overrides() const
{
    std::vector<Override> overrides;
    for (const std::string &key : found_) {
        const Setting &setting = layer_.at(key);
        overrides.push_back({key, setting.key->format(setting.value)});
    }
    return overrides;
}

void derive_hardware(const Measurements &m, Derivation *d)
{
    derive_topology(m, d);
    derive_clock(m, d);
    derive_cache_sizes(m, d);
    if (m.addition.n > 0)
        derive_cache_times(m, d);
    derive_tlb(m, d);
    derive_large_tlb(m, d);
}

BaseChoice base_of(const ts_cal_guest &guest, const std::string &midr)
{
    // Linux arch/x86/include/asm/intel-family.h; AMD's families 17h and 19h by their models.
    struct Core {
        const char *vendor;
        uint32_t family, first, last;
        const char *base;
    };
    static const Core cores[] = {
        {"AuthenticAMD", 0x17, 0x00, 0xff, "rome-2s-256t"},
        {"AuthenticAMD", 0x19, 0x00, 0x0f, "milan-1s-72t"},
        {"AuthenticAMD", 0x19, 0x10, 0xff, "genoa-2s-384t"},
        {"GenuineIntel", 6, 0x3c, 0x46, "haswell-2s-48t"},
        {"GenuineIntel", 6, 0x47, 0x47, "broadwell-2s-56t"},
        {"GenuineIntel", 6, 0x4f, 0x4f, "broadwell-2s-56t"},
        {"GenuineIntel", 6, 0x56, 0x56, "broadwell-2s-56t"},
        {"GenuineIntel", 6, 0x55, 0x55, "skylake-sp-2s-64t"},
        {"GenuineIntel", 6, 0x6a, 0x6c, "icelake-sp-2s-160t"},
        {"GenuineIntel", 6, 0x8f, 0x8f, "sapphire-rapids-2s-224t"},
        {"GenuineIntel", 6, 0xcf, 0xcf, "sapphire-rapids-2s-224t"},
    };
    for (const Core &core : cores)
        if (core.vendor == std::string(guest.cpu_vendor) && core.family == guest.family &&
            core.first <= guest.model && guest.model <= core.last)
            return {core.base, true};
    // MIDR_EL1: implementer in bits 31:24, part in 15:4 (Linux arch/arm64/include/asm/cputype.h).
    static const std::map<uint64_t, const char *> parts = {
        {0x41d05, "cortex-a55-1s-8c"},    {0x41d0b, "cortex-a76-1s-4c"},
        {0x41d0c, "neoverse-n1-1s-80c"},  {0x41d40, "neoverse-v1-1s-64c"},
        {0x41d4f, "neoverse-v2-2s-192c"}, {0x46001, "a64fx-1s-48c"}};
    uint64_t value = 0;
    const size_t from = midr.compare(0, 2, "0x") == 0 ? 2 : 0;
    std::from_chars(midr.data() + from, midr.data() + midr.size(), value, 16);
    const auto part = parts.find((value >> 24 & 0xff) << 12 | (value >> 4 & 0xfff));
    if (part != parts.end())
        return {part->second, true};
#if defined(__aarch64__)
    return {"arm-64c", false};
#else
    return {"x86-2s-64t", false};
#endif
}

} // namespace ts
