// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cli_results.hpp"

#include "sim/front/cli_docs.hpp"
#include "sim/front/cmd_compare.hpp"
#include "sim/front/cmd_fit.hpp"
#include "sim/front/cmd_python.hpp"
#include "sim/front/jobs.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

namespace ts
{
namespace
{

Subcommand add_compare(CLI::App *app)
{
    const auto command = std::make_shared<CompareCommand>();
    command->jobs = available_cpus();
    CLI::App *sub =
        app->add_subcommand("compare", "Say what changed from one folder of results to another, "
                                       "seed by seed; exit code 1 if something became worse");
    sub->add_option("A", command->before, "Folder of results, before")->required();
    sub->add_option("B", command->after, "Folder of results, after")->required();
    sub->add_option("--tolerance", command->tolerance_pct,
                    "What may become worse, in per cent, without being a regression (5)")
        ->type_name("PERCENT")
        ->check(CLI::NonNegativeNumber);
    sub->add_option("--metric", command->metrics,
                    "This metric of summary.csv (completion_time, system_time, shootdown_mean, "
                    "record_rate); may be repeated")
        ->type_name("NAME")
        ->take_all()
        ->allow_extra_args(false);
    sub->add_flag("--all", command->all, "Show also what is equal");
    sub->add_option("--csv", command->csv, "Write all rows into FILE")->type_name("FILE");
    return {sub, [command] { return command_compare(*command); }};
}

Subcommand add_fit(CLI::App *app)
{
    const auto command = std::make_shared<FitCommand>();
    command->jobs = available_cpus();
    CLI::App *sub = app->add_subcommand(
        "fit", "Fit parameters to published rows, within their physical bounds");
    sub->add_option("FIT", command->id, "A name (`tlbstorm list fits`), or a file")->required();
    sub->add_option("-o,--output", command->output, "Folder of the results (out/fit/<name>)");
    sub->add_option("--set", command->sets, "As of run, for every experiment that is run")
        ->type_name("KEY=VALUE")
        ->take_all()
        ->allow_extra_args(false);
    sub->add_option("--jobs,-j", command->jobs,
                    "Runs at a time (as many as there are CPUs); results do not depend on it")
        ->check(CLI::Range(1, 1024));
    sub->add_flag("--force", command->force, "Replace results that tlbstorm has written");
    return {sub, [app, command]() -> int {
                command->quiet = app->count("--quiet") > 0;
                command_fit(*command);
                return 0;
            }};
}

// The package has the options, and their help.
Subcommand add_python(CLI::App *app, const std::string &name, const std::string &help)
{
    CLI::App *sub = app->add_subcommand(name, help);
    sub->allow_extras();
    sub->fallthrough(false);
    sub->set_help_flag();
    sub->footer("");
    return {sub, [sub, name]() -> int { command_python(name, sub->remaining()); }};
}

Subcommand add_completion(CLI::App *app)
{
    const auto kind = std::make_shared<std::string>();
    CLI::App *sub = app->add_subcommand("completion",
                                        "Print the completion for bash, or the manual page (man)");
    sub->add_option("KIND", *kind, "bash or man")
        ->required()
        ->check(CLI::IsMember(std::vector<std::string>{"bash", "man"}));
    return {sub, [app, kind] {
                std::fputs((*kind == "man" ? man_page(*app) : bash_completion(*app)).c_str(),
                           stdout);
                return 0;
            }};
}

} // namespace

std::vector<Subcommand> add_result_commands(CLI::App *app)
{
    return {
        add_compare(app),
        add_fit(app),
        add_python(app, "plot", "Draw a figure of a folder of results: speedup, latency-cdf, ..."),
        add_python(app, "report", "Write a page of a folder of results that explains them"),
        add_completion(app),
    };
}

} // namespace ts
