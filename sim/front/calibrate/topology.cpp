// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/topology.hpp"

#include "sim/front/error.hpp"
#include "sim/front/output.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sched.h>
#include <set>
#include <sstream>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

// The first line; empty if there is no such file.
std::string line_of(const std::string &path)
{
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

bool number_of(const std::string &text, int64_t *out)
{
    const char *end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, *out);
    return parsed.ec == std::errc() && parsed.ptr == end;
}

int int_of(const std::string &path, int otherwise)
{
    int64_t value = 0;
    return number_of(line_of(path), &value) ? static_cast<int>(value) : otherwise;
}

// "32K", "32768K", "1M"
uint64_t size_of(const std::string &text)
{
    uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr == text.data() + text.size())
        return value;
    return value << (*parsed.ptr == 'K'   ? 10
                     : *parsed.ptr == 'M' ? 20
                     : *parsed.ptr == 'G' ? 30
                                          : 0);
}

std::vector<HostCache> caches_of(const std::string &cpu, const std::set<int> &online)
{
    std::vector<HostCache> caches;
    for (int i = 0; fs::exists(cpu + "/cache/index" + std::to_string(i)); i++) {
        const std::string at = cpu + "/cache/index" + std::to_string(i) + "/";
        HostCache cache;
        std::vector<int> shared;
        cache.level = static_cast<unsigned>(int_of(at + "level", 0));
        cache.type = line_of(at + "type");
        cache.bytes = size_of(line_of(at + "size"));
        cache.ways = static_cast<uint64_t>(std::max(0, int_of(at + "ways_of_associativity", 0)));
        cpu_list_parse(line_of(at + "shared_cpu_list"), &shared);
        cache.cpus = static_cast<size_t>(std::count_if(
            shared.begin(), shared.end(), [&](int id) { return online.count(id) > 0; }));
        caches.push_back(cache);
    }
    return caches;
}

// First CPU of those that share the last level.
int cluster_of(const std::string &cpu, int id)
{
    unsigned deepest = 0;
    int first = id;
    for (int i = 0; fs::exists(cpu + "/cache/index" + std::to_string(i)); i++) {
        const std::string at = cpu + "/cache/index" + std::to_string(i) + "/";
        const auto level = static_cast<unsigned>(int_of(at + "level", 0));
        std::vector<int> shared;
        if (level <= deepest || !cpu_list_parse(line_of(at + "shared_cpu_list"), &shared))
            continue;
        deepest = level;
        first = shared.front();
    }
    return first;
}

std::string cpu_name_of(const std::string &root)
{
    std::ifstream file(root + "/proc/cpuinfo");
    std::string line;
    while (std::getline(file, line)) {
        const size_t colon = line.find(": ");
        if (line.compare(0, 10, "model name") == 0 && colon != std::string::npos)
            return line.substr(colon + 2);
    }
    return "";
}

template <class T> size_t most(const std::map<T, size_t> &counts)
{
    size_t found = 0;
    for (const auto &item : counts)
        found = std::max(found, item.second);
    return found;
}

void count(HostTopology *host)
{
    std::map<std::pair<int, int>, size_t> threads; // by core
    std::map<int, size_t> cores;                   // by package
    std::map<int, std::set<std::pair<int, int>>> clusters;
    for (HostCpu &cpu : host->cpus) {
        const std::pair<int, int> core{cpu.package, cpu.core};
        cpu.thread = static_cast<int>(threads[core]++);
        cores[cpu.package] += cpu.thread == 0;
        clusters[cpu.cluster].insert(core);
    }
    host->sockets = cores.size();
    host->cores_per_socket = most(cores);
    host->threads_per_core = most(threads);
    host->regular =
        host->sockets * host->cores_per_socket * host->threads_per_core == host->cpus.size();
    for (const auto &cluster : clusters)
        host->cluster_cores = std::max(host->cluster_cores, cluster.second.size());
}

// The nearest cpu.max of the process's cgroups (v2), as CPUs; 0: none.
double quota_of(const std::string &root)
{
    std::string group = line_of(root + "/proc/self/cgroup");
    if (group.compare(0, 3, "0::") != 0)
        return 0;
    double least = 0;
    for (fs::path at = group.substr(3); !at.empty(); at = at.parent_path()) {
        std::istringstream text(line_of(root + "/sys/fs/cgroup" + at.string() + "/cpu.max"));
        double quota = 0, period = 0;
        if (text >> quota >> period && period > 0 && (least == 0 || quota / period < least))
            least = quota / period;
        if (at == at.parent_path())
            break;
    }
    return least;
}

uint64_t memory_of(const std::string &root)
{
    std::ifstream file(root + "/proc/meminfo");
    std::string key, unit;
    uint64_t value = 0;
    while (file >> key >> value) {
        std::getline(file, unit);
        if (key == "MemAvailable:")
            return value << 10;
    }
    return 0;
}

} // namespace

const HostCache *HostTopology::cache(unsigned level, const std::string &type) const
{
    for (const HostCache &cache : caches)
        if (cache.level == level && (cache.type == type || cache.type == "Unified"))
            return &cache;
    return nullptr;
}

const HostCpu *HostTopology::cpu(int id) const
{
    for (const HostCpu &cpu : cpus)
        if (cpu.id == id)
            return &cpu;
    return nullptr;
}

HostTopology host_topology(const std::string &root)
{
    const std::string folder = root + "/sys/devices/system/cpu";
    HostTopology host;
    std::vector<int> online;
    if (!cpu_list_parse(line_of(folder + "/online"), &online))
        environment_error(folder + "/online cannot be read: calibrate needs sysfs");
    const std::set<int> set(online.begin(), online.end());
    for (const int id : online) {
        const std::string at = folder + "/cpu" + std::to_string(id);
        HostCpu cpu;
        cpu.id = id;
        cpu.package = int_of(at + "/topology/physical_package_id", 0);
        cpu.core = int_of(at + "/topology/core_id", id);
        cpu.cluster = cluster_of(at, id);
        host.cpus.push_back(cpu);
    }
    count(&host);
    host.caches = caches_of(folder + "/cpu" + std::to_string(online.front()), set);
    host.cpu_name = cpu_name_of(root);
    for (int node = 0; fs::exists(root + "/sys/devices/system/node/node" + std::to_string(node));
         node++)
        host.nodes++;
    return host;
}

Relation relation_of(const HostCpu &a, const HostCpu &b)
{
    if (a.package != b.package)
        return Relation::Remote;
    if (a.core == b.core)
        return Relation::Smt;
    return a.cluster == b.cluster ? Relation::Cluster : Relation::Socket;
}

const char *relation_name(Relation relation)
{
    switch (relation) {
    case Relation::Smt:
        return "threads of one core";
    case Relation::Cluster:
        return "cores that share a last-level cache";
    case Relation::Socket:
        return "cores of one socket";
    case Relation::Remote:
        return "cores of two sockets";
    }
    return "";
}

bool cpu_list_parse(const std::string &text, std::vector<int> *out)
{
    std::istringstream parts(text);
    std::string part;
    out->clear();
    while (std::getline(parts, part, ',')) {
        const size_t dash = part.find('-');
        int64_t first = 0, last = 0;
        if (!number_of(part.substr(0, dash), &first))
            return false;
        last = first;
        if (dash != std::string::npos && !number_of(part.substr(dash + 1), &last))
            return false;
        if (first < 0 || last < first || last > 1 << 20)
            return false;
        for (int64_t id = first; id <= last; id++)
            out->push_back(static_cast<int>(id));
    }
    return !out->empty() && text.back() != ',';
}

HostLimits host_limits(const std::string &root, std::vector<int> cpus)
{
    HostLimits limits;
    limits.cpus = std::move(cpus);
    limits.memory = memory_of(root);
    const double quota = quota_of(root);
    if (quota > 0)
        limits.notes.push_back("the cgroup allows the time of " + number(quota) +
                               " CPUs: threads may be held back in the middle of a measurement");
    const bool container = fs::exists(root + "/.dockerenv") ||
                           fs::exists(root + "/run/.containerenv") ||
                           fs::exists(root + "/run/systemd/container");
    if (container)
        limits.notes.emplace_back("this is a container: other ones share the caches and CPUs");
    return limits;
}

std::optional<uint64_t> flush_interrupts(const std::string &root)
{
    std::ifstream file(root + "/proc/interrupts");
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string name;
        uint64_t count = 0, sum = 0;
        words >> name;
        if (name != "TLB:")
            continue;
        while (words >> count)
            sum += count;
        return sum;
    }
    return std::nullopt;
}

std::string counter_error_text(const std::string &root, int error)
{
    if (error == EACCES || error == EPERM) {
        const std::string level = line_of(root + "/proc/sys/kernel/perf_event_paranoid");
        return "not permitted (" +
               (level.empty() ? "" : "kernel.perf_event_paranoid is " + level + "; ") +
               "a container's filter may forbid it, too)";
    }
    if (error == ENOENT || error == EOPNOTSUPP || error == ENODEV)
        return "there is none (a guest without a PMU)";
    if (error == ENOSYS)
        return "this kernel does not have perf_event_open";
    return std::strerror(error);
}

std::vector<int> allowed_cpus()
{
    // Machines with more CPUs than cpu_set_t holds need a larger set.
    std::vector<int> cpus;
    for (int size = CPU_SETSIZE; size <= 1 << 20 && cpus.empty(); size *= 2) {
        cpu_set_t *set = CPU_ALLOC(static_cast<size_t>(size));
        if (!set)
            break;
        const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(size));
        if (sched_getaffinity(0, bytes, set) == 0)
            for (int id = 0; id < size; id++)
                if (CPU_ISSET_S(static_cast<size_t>(id), bytes, set))
                    cpus.push_back(id);
        CPU_FREE(set);
    }
    return cpus;
}

} // namespace ts
