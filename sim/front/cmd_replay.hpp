// SPDX-License-Identifier: Apache-2.0
// `tlbstorm replay`: from a recording to the table in one command. It writes the experiment that it
// runs beside the results, so that `run` can go on from there.
#ifndef TS_SIM_FRONT_CMD_REPLAY_HPP
#define TS_SIM_FRONT_CMD_REPLAY_HPP

#include "sim/front/cli.hpp"

#include <memory>
#include <string>
#include <vector>

namespace CLI
{
class App;
}

namespace ts
{

struct ReplayCommand {
    std::string recording; // file, folder of strace -ff, or "-"
    std::string machine;   // empty: by what the recording is of
    std::string host;
    std::string guest;
    uint64_t vcpus = 0;    // 0: as many as there are threads, at most the machine's pCPUs
    double overcommit = 1; // vCPUs that want to run, for each pCPU
    std::string touch;     // empty: recorded, or first:16
    std::string think;     // empty: recorded, or sleep
    std::string placement = "scheduler";
    std::vector<std::string> mechanisms; // none: all that the platform has
    uint64_t seeds = 5;
    RunCommand run; // all else
};
void command_replay(const ReplayCommand &command);

class ReplayCommands
{
  public:
    explicit ReplayCommands(CLI::App *app);
    CLI::App *sub() const
    {
        return sub_;
    }
    ReplayCommand command;

  private:
    CLI::App *sub_;
};

} // namespace ts

#endif
