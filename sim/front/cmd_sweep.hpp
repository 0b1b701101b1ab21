// SPDX-License-Identifier: Apache-2.0
// `tlbstorm sweep`: an experiment in a folder that is written in place and goes on where it was, on
// this machine or on many; `status`, `collect` and `query` of such a folder.
#ifndef TS_SIM_FRONT_CMD_SWEEP_HPP
#define TS_SIM_FRONT_CMD_SWEEP_HPP

#include "sim/front/cli.hpp"

#include <string>
#include <vector>

namespace ts
{

struct SweepCommand {
    RunCommand run;
    std::string launcher = "local"; // or slurm
    bool export_commands = false;
    // Some of the points only, by identity or the beginning of it; other processes may run others
    // in the same folder. points_from: a file with a line each.
    std::vector<std::string> points;
    std::string points_from;
    // Of slurm: points a task, 0: as few as fit into one array; and words for sbatch.
    size_t chunk = 0;
    std::vector<std::string> sbatch;
};
void command_sweep(const SweepCommand &command);
void command_status(const std::string &folder, bool json);
void command_collect(const std::string &folder, unsigned jobs);

// The command that runs points of the sweep, but for which: one for a shell.
std::string worker_command(const SweepCommand &command, const std::string &folder);
// Submits the points to Slurm: arrays of tasks, each of which runs a list of points, and a job that
// collects when all have ended. Returns what to say about it.
std::string slurm_submit(const SweepCommand &command, const std::string &folder,
                         const std::vector<std::string> &ids);

} // namespace ts

#endif
