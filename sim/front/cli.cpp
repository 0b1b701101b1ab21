// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cli.hpp"

#include "sim/front/check/cmd_check.hpp"
#include "sim/front/cli_host.hpp"
#include "sim/front/cli_results.hpp"
#include "sim/front/cmd_replay.hpp"
#include "sim/front/cmd_reproduce.hpp"
#include "sim/front/cmd_sweep.hpp"
#include "sim/front/cmd_trace.hpp"
#include "sim/front/database.hpp"
#include "sim/front/error.hpp"
#include "sim/front/jobs.hpp"
#include "sim/front/paths.hpp"
#include "version.h"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <memory>
#include <new>
#include <unistd.h>

namespace ts
{
namespace
{

// The program with SystemC stands beside this one and takes the same command line.
[[noreturn]] void exec_systemc(char **argv)
{
    const std::string program = program_folder() + "/tlbstorm-systemc";
    if (!std::filesystem::exists(program))
        environment_error("--kernel systemc: " + program +
                          " is not there; it is built where SystemC 2.3.4 (libsystemc-dev) is "
                          "installed");
    setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
    std::fflush(nullptr);
    execv(program.c_str(), argv);
    system_error("cannot run", program);
}

class CommandLine
{
  public:
    explicit CommandLine(KernelRun systemc) : systemc_(systemc)
    {
        app_.require_subcommand(1);
        app_.set_version_flag("--version", "tlbstorm " TS_VERSION_STRING);
        app_.add_flag("-q,--quiet", quiet_, "Print results and errors only");
        app_.fallthrough();
        app_.footer("Exit codes: 0 done, 1 a comparison found a regression, 2 wrong input, 3 "
                    "environment, 4 a run found something "
                    "(oracle, sum rule, watchdog; a reproduced row out of tolerance).");
        add_run();
        add_sweep();
        add_folder_commands();
        add_reproduce();
        add_check();
        add_list();
        add_explain();
        trace_ = std::make_unique<TraceCommands>(&app_);
        add_schema();
        more_ = add_host_commands(&app_);
        for (Subcommand &command : add_result_commands(&app_))
            more_.push_back(std::move(command));
    }

    CLI::App &app()
    {
        return app_;
    }

    // Returns the exit code.
    int execute(char **argv)
    {
        for (const Subcommand &command : more_)
            if (*command.app)
                return command.execute();
        if (*run_sub_)
            execute_run(argv);
        else if (*replay_->sub())
            execute_replay(argv);
        else if (*sweep_sub_)
            execute_sweep(argv);
        else if (*status_sub_)
            command_status(folder_, json_);
        else if (*collect_sub_)
            command_collect(folder_, sweep_.run.jobs);
        else if (*query_sub_)
            std::fputs(database_query(folder_, statement_).c_str(), stdout);
        else if (*reproduce_sub_)
            execute_reproduce(argv);
        else if (*check_sub_)
            execute_check();
        else if (*list_sub_)
            command_list(topic_);
        else if (*explain_sub_)
            execute_explain();
        else if (*schema_sub_)
            command_schema();
        else
            trace_->execute();
        return 0;
    }

  private:
    void add_run()
    {
        run_sub_ = app_.add_subcommand("run", "Run an experiment and write its results");
        add_experiment(run_sub_, &run_);
        add_folder_options(run_sub_, &run_);
        replay_ = std::make_unique<ReplayCommands>(&app_);
        add_run_options(replay_->sub(), &replay_->command.run);
        add_folder_options(replay_->sub(), &replay_->command.run);
    }

    static void add_folder_options(CLI::App *sub, RunCommand *run)
    {
        sub->add_flag("--dry-run", run->dry_run,
                      "Check everything, print the points and the configuration");
        sub->add_flag("--force", run->force, "Replace results that tlbstorm has written");
        sub->add_flag("--sensitivity", run->sensitivity,
                      "Then halve and double every assumed number alone, and say which ones the "
                      "answer hangs on: two runs a mechanism and parameter");
        sub->add_option("--sensitivity-of", run->sensitivity_of,
                        "The same of those only whose keys begin so; may be repeated")
            ->type_name("KEY")
            ->take_all()
            ->allow_extra_args(false);
    }

    static void add_experiment(CLI::App *sub, RunCommand *run)
    {
        sub->add_option("EXPERIMENT", run->experiment, "Experiment file (YAML)")->required();
        add_run_options(sub, run);
    }

    static void add_run_options(CLI::App *sub, RunCommand *run)
    {
        sub->add_option("-o,--output", run->output, "Folder of the results (out/<name>)");
        sub->add_option("--set", run->sets,
                        "Set a parameter or part of the experiment; wins over all files. Values "
                        "separated by commas are swept")
            ->type_name("KEY=VALUE")
            ->take_all()
            ->allow_extra_args(false);
        sub->add_option("--seed", run->seed, "Seed of the first repetition");
        add_jobs(sub, &run->jobs);
        sub->add_option("--timeout", run->timeout_s,
                        "A run that takes longer fails; the others go on")
            ->type_name("SECONDS")
            ->check(CLI::PositiveNumber);
        sub->add_flag("--timeline", run->timeline,
                      "Write timeline.json.gz and timeline.perfetto-trace.gz, for viewers");
        sub->add_option("--timeline-window", run->timeline_window,
                        "The same, of this stretch only: 2ms..2500us, 3ms.., ..1ms")
            ->type_name("FROM..TO");
        sub->add_flag("--check", run->check, "Let the oracle judge every TLB hit");
        sub->add_option("--kernel", run->kernel, "Simulation kernel")
            ->check(CLI::IsMember({"native", "systemc"}));
    }

    static void add_jobs(CLI::App *sub, unsigned *jobs)
    {
        sub->add_option("--jobs,-j", *jobs,
                        "Runs at a time (as many as there are CPUs); results do not depend on it")
            ->check(CLI::Range(1, 1024));
    }

    void add_sweep()
    {
        sweep_sub_ = app_.add_subcommand(
            "sweep", "Run an experiment in a folder that goes on where it was, here or on Slurm");
        add_experiment(sweep_sub_, &sweep_.run);
        sweep_sub_->add_flag("--dry-run", sweep_.run.dry_run,
                             "Check everything, print the points and what is there of them");
        sweep_sub_->add_flag("--force", sweep_.run.force,
                             "Replace points of another configuration that are in the folder");
        add_slurm();
        sweep_sub_->add_flag("--export-commands", sweep_.export_commands,
                             "Print a command a missing point, for GNU parallel and its like");
        sweep_sub_
            ->add_option("--point", sweep_.points,
                         "Run this one only, beside other processes; then `tlbstorm collect`")
            ->type_name("ID")
            ->take_all()
            ->allow_extra_args(false);
        sweep_sub_
            ->add_option("--points-from", sweep_.points_from,
                         "Run those only whose identities are in FILE, one a line")
            ->type_name("FILE");
    }

    void add_slurm()
    {
        sweep_sub_->add_option("--launcher", sweep_.launcher, "Where points run")
            ->check(CLI::IsMember({"local", "slurm"}));
        sweep_sub_
            ->add_option("--chunk", sweep_.chunk,
                         "Slurm: points a task (as few as fit into one array)")
            ->check(CLI::Range(1, 100000));
        sweep_sub_
            ->add_option("--sbatch", sweep_.sbatch,
                         "Slurm: another word for sbatch, such as --sbatch=--time=1:00:00")
            ->type_name("OPTION")
            ->take_all()
            ->allow_extra_args(false);
    }

    void add_folder_commands()
    {
        status_sub_ = app_.add_subcommand("status", "Say what of a folder's points is done");
        status_sub_->add_option("DIR", folder_, "Folder of a sweep or run")->required();
        status_sub_->add_flag("--json", json_, "As JSON");
        collect_sub_ = app_.add_subcommand(
            "collect", "Write the summaries of what a folder's points hold so far");
        collect_sub_->add_option("DIR", folder_, "Folder of a sweep or run")->required();
        add_jobs(collect_sub_, &sweep_.run.jobs);
        query_sub_ = app_.add_subcommand("query", "Ask results.sqlite of a folder, as CSV");
        query_sub_->add_option("DIR", folder_, "Folder of a sweep or run")->required();
        query_sub_->add_option("SQL", statement_, "One statement that reads: 'SELECT ...'")
            ->required();
    }

    void add_reproduce()
    {
        reproduce_sub_ = app_.add_subcommand(
            "reproduce", "Run a published experiment and compare with its figures");
        reproduce_sub_
            ->add_option("ID", reproduce_.id, "E3, ... (`tlbstorm list reproduce`), a file, or all")
            ->required();
        reproduce_sub_->add_option("-o,--output", reproduce_.output,
                                   "Folder that holds one folder an ID (out/reproduce)");
        reproduce_sub_
            ->add_option("--set", reproduce_.sets, "As of run, for every experiment that is run")
            ->type_name("KEY=VALUE")
            ->take_all()
            ->allow_extra_args(false);
        add_jobs(reproduce_sub_, &reproduce_.jobs);
        reproduce_sub_->add_flag("--force", reproduce_.force,
                                 "Replace results that tlbstorm has written");
        reproduce_sub_->add_flag("--check", reproduce_.check,
                                 "Exit with 4 if a row is outside of its tolerance");
    }

    void add_check()
    {
        check_sub_ = app_.add_subcommand(
            "check", "Look for a case in which a mechanism is wrong: small random machines whose "
                     "threads use what others take away");
        check_sub_->add_option("MECHANISM", check_.mechanisms,
                               "Mechanisms (all but those with known faults)");
        check_sub_
            ->add_option("--time", check_.time,
                         "Time for all of them together (60s; without end with --seeds)")
            ->type_name("TIME");
        check_sub_->add_option("--seeds", check_.seeds, "Seeds of the cases: 7, 1..1000, 1..")
            ->type_name("A..B");
        check_sub_->add_option("--config", check_.config,
                               "Experiment whose machines and mechanisms are checked; without it "
                               "machines are random, too");
        check_sub_->add_option("--set", check_.sets, "As of run, for the experiment")
            ->type_name("KEY=VALUE")
            ->take_all()
            ->allow_extra_args(false);
        check_sub_->add_option("-o,--output", check_.output,
                               "Folder for a table, and a story and a timeline of each finding");
        check_sub_->add_flag("--force", check_.force, "Replace results that tlbstorm has written");
        check_sub_
            ->add_option("--jobs,-j", check_.jobs,
                         "Cases at a time (as many as there are CPUs); what a seed finds does not "
                         "depend on it")
            ->check(CLI::Range(1, 1024));
        check_sub_->add_flag("--systematic", check_.systematic,
                             "Explore tiny cases order by order, instead of drawing them");
        check_sub_->add_flag("--small", check_.small,
                             "Draw small machines only: one VM of two or three vCPUs on one or two "
                             "cores");
        check_sub_->add_flag("--weak-memory", check_.weak_memory,
                             "Stores that others read wait in store buffers until a barrier, so "
                             "that missing ones show");
        check_sub_
            ->add_option("--put-offs", check_.put_offs,
                         "Steps put off in one run of --systematic (1, and of every eighth case 2)")
            ->check(CLI::Range(0, 8));
        check_sub_
            ->add_option("--runs", check_.runs, "Runs of one case of --systematic, at most (1000)")
            ->check(CLI::Range(1, 100000000));
        check_sub_->add_option("--steps", check_.steps, "Steps of a story (40)")
            ->check(CLI::Range(1, 1000000));
        check_sub_->add_flag("!--no-shrink", check_.shrinks, "Tell the case as it was drawn");
    }

    void add_list()
    {
        list_sub_ = app_.add_subcommand("list", "List what there is");
        list_sub_->add_option("TOPIC", topic_, "What to list")
            ->required()
            ->check(CLI::IsMember(list_topics));
    }

    void add_explain()
    {
        explain_sub_ = app_.add_subcommand("explain", "Say what a parameter means");
        explain_sub_->add_option("KEY", key_, "Full key, or the beginning of several");
        explain_sub_->add_flag("--all", all_, "All parameters");
        explain_sub_->add_flag("--markdown", markdown_, "As a page of the documentation");
    }

    void add_schema()
    {
        schema_sub_ =
            app_.add_subcommand("schema", "Print the JSON Schema of an experiment, for editors");
    }

    void prepare(RunCommand *run, char **argv) const
    {
        for (char **word = argv; *word; word++)
            run->command_line.emplace_back(*word);
        run->systemc = systemc_;
        run->quiet = quiet_;
        if (run->kernel == "systemc" && !systemc_)
            exec_systemc(argv);
    }

    void execute_run(char **argv)
    {
        prepare(&run_, argv);
        command_run(run_);
    }

    void execute_replay(char **argv)
    {
        prepare(&replay_->command.run, argv);
        command_replay(replay_->command);
    }

    void execute_sweep(char **argv)
    {
        prepare(&sweep_.run, argv);
        command_sweep(sweep_);
    }

    void execute_reproduce(char **argv)
    {
        for (char **word = argv; *word; word++)
            reproduce_.command_line.emplace_back(*word);
        reproduce_.quiet = quiet_;
        command_reproduce(reproduce_);
    }

    void execute_check()
    {
        check_.quiet = quiet_;
        command_check(check_);
    }

    void execute_explain()
    {
        if (all_ == !key_.empty())
            user_error(Place(), "explain: name a KEY, or say --all");
        if (markdown_ && !all_)
            user_error(Place(), "explain: --markdown needs --all");
        if (all_)
            command_explain_all(markdown_);
        else
            command_explain(key_);
    }

    CLI::App app_{"Simulates, cycle by cycle, how a machine keeps its TLBs coherent, and what that "
                  "costs.",
                  "tlbstorm"};
    KernelRun systemc_;
    CLI::App *run_sub_ = nullptr;
    CLI::App *sweep_sub_ = nullptr;
    CLI::App *status_sub_ = nullptr;
    CLI::App *collect_sub_ = nullptr;
    CLI::App *query_sub_ = nullptr;
    CLI::App *reproduce_sub_ = nullptr;
    CLI::App *check_sub_ = nullptr;
    CLI::App *list_sub_ = nullptr;
    CLI::App *explain_sub_ = nullptr;
    CLI::App *schema_sub_ = nullptr;
    std::vector<Subcommand> more_;
    RunCommand run_;
    SweepCommand sweep_;
    ReproduceCommand reproduce_;
    CheckCommand check_;
    std::unique_ptr<ReplayCommands> replay_;
    std::unique_ptr<TraceCommands> trace_;
    std::string topic_, key_, folder_, statement_;
    bool quiet_ = false;
    bool all_ = false, markdown_ = false, json_ = false;
};

// What was printed may be of use to nobody if a part of it is missing. A flush alone does not see
// the errors of those before it.
int flushed(int code)
{
    errno = 0;
    const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
    const int reason = errno;
    if (!failed && std::cout.flush())
        return code;
    std::fprintf(stderr, "tlbstorm: cannot write to standard output%s%s\n", reason != 0 ? ": " : "",
                 reason != 0 ? std::strerror(reason) : "");
    return TS_ERR_ENVIRONMENT;
}

volatile std::sig_atomic_t memory_is_missing = 0;

// Without memory for the exception itself, or where none may pass, C++ ends the program: that is no
// bug of tlbstorm either.
[[noreturn]] void on_terminate()
{
    static const char text[] = "tlbstorm: not enough memory\n";
    if (!memory_is_missing)
        std::abort();
    const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    static_cast<void>(written);
    _exit(TS_ERR_ENVIRONMENT);
}

void on_missing_memory()
{
    memory_is_missing = 1;
    throw std::bad_alloc();
}

// A file that is opened while one of the three standard descriptors is closed would take its number
// and receive what is printed. Opened the wrong way round, they fail as closed ones do.
void fill_standard_descriptors()
{
    for (int descriptor = 0; descriptor <= 2; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY) < 0)
            return;
}

int guarded(int argc, char **argv, KernelRun systemc)
{
    std::unique_ptr<CommandLine> line;
    try {
        line = std::make_unique<CommandLine>(systemc);
        line->app().parse(argc, argv);
        return flushed(line->execute(argv));
    } catch (const CLI::ParseError &error) {
        // Help and version are no errors.
        if (error.get_exit_code() == 0)
            return flushed(line->app().exit(error));
        std::fprintf(stderr, "tlbstorm: %s (see --help)\n", error.what());
        return TS_ERR_USER;
    } catch (const Error &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.exit_code();
    } catch (const std::bad_alloc &) {
        std::fputs("tlbstorm: not enough memory\n", stderr);
        return TS_ERR_ENVIRONMENT;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "tlbstorm: %s\n", error.what());
        return TS_ERR_ENVIRONMENT;
    }
}

} // namespace

int command_line(int argc, char **argv, KernelRun systemc)
{
    std::set_new_handler(on_missing_memory);
    std::set_terminate(on_terminate);
    fill_standard_descriptors();
    try {
        return guarded(argc, argv, systemc);
    } catch (const Interrupted &interrupted) {
        // Everything is cleaned up; now die of the signal, as the shell expects.
        if (interrupted.done == 0)
            std::fputs("interrupted; nothing was kept\n", stderr);
        else
            std::fprintf(stderr,
                         "interrupted; %zu of %zu runs are kept, and the same command goes on\n",
                         interrupted.done, interrupted.total);
        std::signal(interrupted.signal, SIG_DFL);
        std::raise(interrupted.signal);
        return 128 + interrupted.signal;
    }
}

} // namespace ts
