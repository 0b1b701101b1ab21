// SPDX-License-Identifier: Apache-2.0
// `host: {tasks: [...], noise: [...]}` of a platform: threads of the host, each with a list of
// operations that it repeats, and such as wake up at random.
#ifndef TS_SIM_FRONT_HOST_TASKS_HPP
#define TS_SIM_FRONT_HOST_TASKS_HPP

#include "models/machine/machine.h"
#include "sim/front/yaml.hpp"

#include <list>
#include <string>
#include <vector>

namespace ts
{

struct HostTask {
    struct Op {
        ts_host_op op;
        Place place;
    };
    std::string name;
    Place place;
    uint32_t pcpu = TS_HOST_ANY_PCPU;
    Place pcpu_place;
    bool background = false;
    uint64_t repeat = 1;
    std::vector<Op> operations;
};

struct HostNoise {
    std::string name;
    Place place, vm_place;
    ts_host_noise_params params{0, 0, TS_HOST_NO_VM};
    bool every_pcpu = false; // a thread on each
    // Else a thread on each of these; if there are none, one where the scheduler puts it.
    std::vector<uint32_t> pcpus;
    std::vector<Place> pcpu_places;
};

// Those of a map that may have a key `host`; throws a user error at the place of what is wrong.
std::vector<HostTask> host_tasks_read(const YamlNode &map);
std::vector<HostNoise> host_noise_read(const YamlNode &map);
// What they need and the configuration does not have: a user error at its place. platform: its
// name.
void host_tasks_check(const std::vector<HostTask> &tasks, const ts_machine_config &config,
                      const std::string &platform);
void host_noise_check(const std::vector<HostNoise> &noise, const ts_machine_config &config,
                      const std::string &platform);
// The value of `host`, on one line; empty if there are none.
std::string host_tasks_text(const std::vector<HostTask> &tasks,
                            const std::vector<HostNoise> &noise = {});

// An operation as a list of a file has it: `{notify: {vm: 0, start: 0B, length: 4KiB}}`.
std::string host_operation_text(const ts_host_op &op);

// The operations that a file may name.
std::vector<std::string> host_operation_names();

// Their streams, for one machine, which they must outlive.
class HostStreams
{
  public:
    void add_to(ts_machine *machine, const std::vector<HostTask> &tasks);
    void add_to(ts_machine *machine, const std::vector<HostNoise> &noise,
                const ts_machine_config &config, uint64_t seed);

  private:
    struct Stream {
        std::vector<ts_host_op> ops;
        ts_host_script script;
    };
    std::list<Stream> streams_;
    std::list<ts_host_noise> noise_;
};

} // namespace ts

#endif
