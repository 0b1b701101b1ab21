// SPDX-License-Identifier: Apache-2.0
// The command line of what is done with folders of results once they are there.
#ifndef TS_SIM_FRONT_CLI_RESULTS_HPP
#define TS_SIM_FRONT_CLI_RESULTS_HPP

#include <functional>
#include <vector>

namespace CLI
{
class App;
}

namespace ts
{

struct Subcommand {
    CLI::App *app;                // true when it was named
    std::function<int()> execute; // returns the exit code; throws Error
};

// Adds them to app, which is the owner.
std::vector<Subcommand> add_result_commands(CLI::App *app);

} // namespace ts

#endif
