// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cli_host.hpp"

#include "sim/front/calibrate/cmd_calibrate.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace ts
{
namespace
{

// -q is the program's own option, which stands before or behind the command.
bool is_quiet(const CLI::App *app)
{
    return app->get_option("--quiet")->as<bool>();
}

Subcommand add_calibrate(CLI::App *app)
{
    const auto command = std::make_shared<CalibrateCommand>();
    CLI::App *sub = app->add_subcommand(
        "calibrate", "Measure this machine and write a machine file of it, with sources "
                     "\"measured here\"; needs no root and changes no setting");
    sub->add_option("-o,--output", command->output, "The file (my-machine.yaml)")
        ->type_name("FILE");
    sub->add_option("--time", command->time, "What it may take in all, from 5s on (60s)")
        ->type_name("TIME");
    sub->add_option("--base", command->base,
                    "Machine whose values stay where nothing is measured (that of this CPU)")
        ->type_name("MACHINE");
    sub->add_flag("--force", command->force, "Replace a file that is there");
    return {sub, [app, command] {
                command->quiet = is_quiet(app);
                command_calibrate(*command);
                return 0;
            }};
}

Subcommand add_validate(CLI::App *app)
{
    const auto command = std::make_shared<ValidateCommand>();
    CLI::App *sub = app->add_subcommand(
        "validate", "Run micro-benchmarks and an mmap storm on this machine and in the simulator, "
                    "and set them side by side: what calibrate has not seen counts");
    sub->add_option("MACHINE", command->machine, "File of calibrate (my-machine.yaml)");
    sub->add_option("-o,--output", command->output, "Folder (out/validate)")->type_name("DIR");
    sub->add_option("--time", command->time,
                    "What the measurements may take in all, from 5s on (60s)")
        ->type_name("TIME");
    sub->add_flag("--force", command->force, "Replace results that tlbstorm has written");
    return {sub, [app, command] {
                command->quiet = is_quiet(app);
                command_validate(*command);
                return 0;
            }};
}

} // namespace

std::vector<Subcommand> add_host_commands(CLI::App *app)
{
    return {add_calibrate(app), add_validate(app)};
}

} // namespace ts
