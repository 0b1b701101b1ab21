// SPDX-License-Identifier: Apache-2.0
// The command line: `tlbstorm run|replay|sweep|status|collect|reproduce|list|explain|trace|schema`.
#ifndef TS_SIM_FRONT_CLI_HPP
#define TS_SIM_FRONT_CLI_HPP

#include "sim/front/jobs.hpp"

#include <string>
#include <vector>

namespace ts
{

// systemc: the SystemC kernel of this program, or null. Returns the exit code: 0; 2 user error;
// 3 environment; 4 finding of a run.
int command_line(int argc, char **argv, KernelRun systemc);

// --- the commands; they throw Error and print to standard output ---

struct RunCommand {
    std::string experiment;
    std::string output; // empty: out/<name>
    std::vector<std::string> sets;
    std::string seed; // empty: the experiment's
    unsigned jobs = available_cpus();
    double timeout_s = 0; // 0: none
    bool timeline = false;
    std::string timeline_window; // empty: all of it
    bool dry_run = false;
    bool force = false;
    bool check = false;
    bool quiet = false;
    bool sensitivity = false;
    std::vector<std::string> sensitivity_of; // beginnings of keys; empty: all
    std::string kernel = "native";
    KernelRun systemc = nullptr;
    std::vector<std::string> command_line;
};
void command_run(const RunCommand &command);
// One line that repeats one point of command's experiment: the user's own settings, then what makes
// it this point.
std::string point_command(const RunCommand &command, const Experiment &experiment,
                          const Point &point);
// --set, --seed and --check.
std::vector<Override> overrides_of(const RunCommand &command);
// A user error for options that are of whole machines only.
void refuse_options(const RunCommand &command, const Experiment &experiment);
// Assumed parameters, and where everything is. points and runs go together.
void print_notes(const Experiment &experiment, const std::vector<Point> &points,
                 const std::vector<RunSummary> &runs, const std::string &folder);
// As a shell takes it, in quotes where it needs them.
std::string shell_word(const std::string &text);
// Both must outlive what is returned.
JobsOptions jobs_options(const RunCommand &command, const Experiment &experiment);

extern const std::vector<std::string> list_topics;
void command_list(const std::string &topic);

void command_explain(const std::string &key);
// All parameters as a Markdown page, or as plain text.
void command_explain_all(bool markdown);
// JSON Schema of an experiment.
void command_schema();

} // namespace ts

#endif
