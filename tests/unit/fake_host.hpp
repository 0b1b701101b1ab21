// SPDX-License-Identifier: Apache-2.0
// A host that is not there: files of sysfs and /proc below a folder that goes with it.
#ifndef TS_TESTS_UNIT_FAKE_HOST_HPP
#define TS_TESTS_UNIT_FAKE_HOST_HPP

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace ts_test
{

class FakeHost
{
  public:
    FakeHost()
    {
        std::string name =
            (std::filesystem::temp_directory_path() / "tlbstorm-host-XXXXXX").string();
        root_ = mkdtemp(name.data());
    }
    ~FakeHost()
    {
        std::filesystem::remove_all(root_);
    }
    FakeHost(const FakeHost &) = delete;
    FakeHost &operator=(const FakeHost &) = delete;
    const std::string &root() const
    {
        return root_;
    }
    void put(const std::string &path, const std::string &text) const
    {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text << "\n";
    }
    void cpu(int id, int package, int core, const std::string &l3) const
    {
        const std::string at = "/sys/devices/system/cpu/cpu" + std::to_string(id);
        put(at + "/topology/physical_package_id", std::to_string(package));
        put(at + "/topology/core_id", std::to_string(core));
        cache(at + "/cache/index0/", "1", "Data", "48K", "12", std::to_string(id));
        cache(at + "/cache/index1/", "3", "Unified", "32M", "16", l3);
    }

  private:
    void cache(const std::string &at, const std::string &level, const std::string &type,
               const std::string &size, const std::string &ways, const std::string &shared) const
    {
        put(at + "level", level);
        put(at + "type", type);
        put(at + "size", size);
        put(at + "ways_of_associativity", ways);
        put(at + "shared_cpu_list", shared);
    }
    std::string root_;
};

// 2 sockets of 4 cores of 2 threads; two cores share a last level.
inline void two_sockets(const FakeHost &host)
{
    host.put("/sys/devices/system/cpu/online", "0-15");
    for (int id = 0; id < 16; id++) {
        const int core = id % 8, socket = core / 4, first = core / 2 * 2;
        host.cpu(id, socket, core % 4,
                 std::to_string(first) + "-" + std::to_string(first + 1) + "," +
                     std::to_string(first + 8) + "-" + std::to_string(first + 9));
    }
    host.put("/sys/devices/system/node/node0/cpulist", "0-3,8-11");
    host.put("/sys/devices/system/node/node1/cpulist", "4-7,12-15");
    host.put("/proc/meminfo", "MemTotal: 100 kB\nMemAvailable:    2048 kB");
    host.put("/proc/cpuinfo", "processor : 0\nmodel name\t: A Made-up CPU");
}

} // namespace ts_test

#endif
