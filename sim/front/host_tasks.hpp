// SPDX-License-Identifier: Apache-2.0
// `host: {tasks: [...]}` of a platform: threads of the host, each with a list of operations that it
// repeats.
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

// Those of a map that may have a key `host`; throws a user error at the place of what is wrong.
std::vector<HostTask> host_tasks_read(const YamlNode &map);
// What they need and the configuration does not have: a user error at its place. platform: its
// name.
void host_tasks_check(const std::vector<HostTask> &tasks, const ts_machine_config &config,
                      const std::string &platform);
// The value of `host`, on one line; empty if there are none.
std::string host_tasks_text(const std::vector<HostTask> &tasks);

// The operations that a file may name.
std::vector<std::string> host_operation_names();

// Their streams, for one machine, which they must outlive.
class HostStreams
{
  public:
    void add_to(ts_machine *machine, const std::vector<HostTask> &tasks);

  private:
    struct Stream {
        std::vector<ts_host_op> ops;
        ts_host_script script;
    };
    std::list<Stream> streams_;
};

} // namespace ts

#endif
