// SPDX-License-Identifier: Apache-2.0
// The command line of what measures the machine that it runs on.
#ifndef TS_SIM_FRONT_CLI_HOST_HPP
#define TS_SIM_FRONT_CLI_HOST_HPP

#include "sim/front/cli_results.hpp"

#include <vector>

namespace ts
{

// Adds them to app, which is the owner.
std::vector<Subcommand> add_host_commands(CLI::App *app);

} // namespace ts

#endif
