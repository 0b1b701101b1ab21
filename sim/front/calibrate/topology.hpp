// SPDX-License-Identifier: Apache-2.0
// The host as Linux describes it in sysfs and /proc, and what of it this process may use. Files are
// looked for below a root, which tests set up.
#ifndef TS_SIM_FRONT_CALIBRATE_TOPOLOGY_HPP
#define TS_SIM_FRONT_CALIBRATE_TOPOLOGY_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ts
{

struct HostCpu {
    int id = 0;
    int package = 0, core = 0; // physical_package_id; core_id within it
    int cluster = 0;           // first CPU of those that share the last-level cache
    int thread = 0;            // rank among the threads of its core
};

struct HostCache {
    unsigned level = 0;
    std::string type; // "Data", "Instruction", "Unified"
    uint64_t bytes = 0, ways = 0;
    size_t cpus = 0; // that share one
};

struct HostTopology {
    std::vector<HostCpu> cpus; // online, in the order of their numbers
    size_t sockets = 0, cores_per_socket = 0, threads_per_core = 0;
    bool regular = false;          // the three multiply to the number of CPUs
    size_t cluster_cores = 0;      // cores that share a last-level cache
    std::vector<HostCache> caches; // of the first CPU
    size_t nodes = 0;              // NUMA nodes with CPUs
    std::string cpu_name;          // of /proc/cpuinfo, may be empty

    const HostCache *cache(unsigned level, const std::string &type) const;
    const HostCpu *cpu(int id) const;
};
// Throws an environment error if there is no sysfs.
HostTopology host_topology(const std::string &root);

// Where two CPUs are to each other.
enum class Relation { Smt, Cluster, Socket, Remote };
Relation relation_of(const HostCpu &a, const HostCpu &b);
const char *relation_name(Relation relation);

// "0-3,8,10-11"; false if it is no such list.
bool cpu_list_parse(const std::string &text, std::vector<int> *out);

// What narrows a measurement: a line each, empty if nothing does.
struct HostLimits {
    std::vector<int> cpus;          // that this thread may run on
    std::vector<std::string> notes; // cgroup quota, container, other processes
    uint64_t memory = 0;            // bytes that may be taken, of /proc/meminfo and the cgroup
};
// cpus: of the caller's affinity.
HostLimits host_limits(const std::string &root, std::vector<int> cpus);
// TLB-shootdown interrupts of all CPUs since the boot, of /proc/interrupts (x86); nothing where it
// cannot be read or has no such row. Reading it takes a while: around a measurement, not in it.
std::optional<uint64_t> flush_interrupts(const std::string &root);
// What the number of an error of perf_event_open means to a user.
std::string counter_error_text(const std::string &root, int error);
// sched_getaffinity
std::vector<int> allowed_cpus();

} // namespace ts

#endif
