// SPDX-License-Identifier: Apache-2.0
#include "sim/front/cmd_replay.hpp"

#include "models/flush/flush.h"
#include "sim/front/cmd_trace.hpp"
#include "sim/front/experiment.hpp"
#include "sim/front/output.hpp"
#include "sim/front/yaml.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

// vCPUs of a VM that only computes, to make a machine overcommitted.
constexpr uint64_t neighbour_vcpus = 4;
// Permille, so that there is something for seeds to vary.
constexpr uint64_t think_spread = 100;
// Where nothing is recorded of touches: enough that a flush of the memory has something to do.
constexpr const char *touch_assumed = "first:16";

// --touch: what it says, and the settings that it means.
struct TouchPolicy {
    std::string words;
    std::vector<std::string> settings; // lines of `workload`
};

bool read_count(const std::string &text, uint64_t *count)
{
    const auto got = std::from_chars(text.data(), text.data() + text.size(), *count);
    return got.ec == std::errc() && got.ptr == text.data() + text.size() && *count > 0 &&
           *count <= (uint64_t{1} << 45);
}

TouchPolicy touch_policy(const std::string &text, bool recorded)
{
    const Place place{"--touch", 0, 0};
    if (text == "recorded") {
        if (!recorded)
            user_error(place, "the recording has no page faults (docs/recording.md); say all, "
                              "first:N, strided:N, random:N or none");
        return {"as recorded (page faults)", {"touch_recorded: true", "touch_pages: 0"}};
    }
    if (text == "none")
        return {"none", {"touch_recorded: false", "touch_pages: 0"}};
    if (text == "all") // no mapping has more pages than this
        return {"every page of what becomes writable",
                {"touch_recorded: false", "touch_pages: " + std::to_string(uint64_t{1} << 45),
                 "touch_placement: first"}};
    const size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    uint64_t count = 0;
    if (colon == std::string::npos || (name != "first" && name != "strided" && name != "random") ||
        !read_count(text.substr(colon + 1), &count))
        user_error(place, "'" + text +
                              "' is none of recorded, all, first:N, strided:N, random:N, "
                              "none" +
                              did_you_mean(
                                  name, {"recorded", "all", "first", "strided", "random", "none"}));
    const std::string n = std::to_string(count);
    const std::string where = name == "first"     ? "the first " + n + " pages"
                              : name == "strided" ? n + " pages, evenly spread,"
                                                  : n + " pages drawn at random";
    return {where + " of what becomes writable",
            {"touch_recorded: false", "touch_pages: " + n, "touch_placement: " + name}};
}

// What the replay is of, and how it is told.
struct Replay {
    std::string file; // what the experiment names
    std::shared_ptr<const ts_trace_info> info;
    std::string machine, host, guest, name;
    uint64_t pcpus = 0, vcpus = 0, neighbours = 0;
    TouchPolicy touch;
    std::string think;
    std::vector<std::string> mechanisms;

    bool calls() const
    {
        return info->format->family == TS_TRACE_CALLS;
    }
};

std::string workload_yaml(const Replay &replay, const ReplayCommand &command)
{
    std::string text = "workload:\n  kind: ";
    text += replay.calls() ? "recording" : "accesses";
    text += "\n  file: " + yaml_quote(replay.file) + "\n";
    if (!replay.calls())
        return text;
    for (const std::string &setting : replay.touch.settings)
        text += "  " + setting + "\n";
    if (replay.think == "recorded")
        text += "  think_spread: " + std::to_string(think_spread) + "\n";
    return text + "  think: " + replay.think + "\n  placement: " + command.placement + "\n";
}

std::string experiment_yaml(const Replay &replay, const ReplayCommand &command)
{
    std::string text = "# SPDX-License-Identifier: Apache-2.0\n# Written by tlbstorm replay.\n"
                       "schema: 1\nname: " +
                       yaml_quote(replay.name) +
                       "\ntitle: " + yaml_quote("Replay of " + command.recording) + "\n\n" +
                       workload_yaml(replay, command) +
                       "\nrepetitions: " + std::to_string(command.seeds) + "\nseed: 1\n";
    if (std::count(replay.mechanisms.begin(), replay.mechanisms.end(), "native_concurrent") > 0)
        text += "baseline: native_concurrent\n";
    else
        text += "baseline: " + replay.mechanisms.front() + "\n";
    text += "\nplatforms:\n  replay:\n    machine: " + yaml_quote(replay.machine) +
            "\n    hypervisor: " + yaml_quote(replay.host) +
            "\n    guest: " + yaml_quote(replay.guest) + "\n    mechanisms: [";
    for (const std::string &mechanism : replay.mechanisms)
        text += (mechanism == replay.mechanisms.front() ? "" : ", ") + mechanism;
    text += "]\n";
    if (replay.vcpus > 0 && replay.neighbours == 0)
        text += "    set: {run.vcpus: " + std::to_string(replay.vcpus) + "}\n";
    if (replay.neighbours > 0)
        text +=
            "    vms:\n      - name: own\n        vcpus: " + std::to_string(replay.vcpus) +
            "\n      - name: neighbour\n        count: " + std::to_string(replay.neighbours) +
            "\n        vcpus: " + std::to_string(neighbour_vcpus) +
            "\n        background: true\n        mechanism: " + replay.mechanisms.front() +
            "\n        workload: {kind: bystander, threads: " + std::to_string(neighbour_vcpus) +
            ", loopers: 0, records: 0, pages: 8, compute: 100us}\n";
    return text;
}

// The machine without the recording, to ask it what it has.
Experiment bare_experiment(Replay replay, const ReplayCommand &command,
                           const std::string &mechanism)
{
    replay.mechanisms = {mechanism};
    replay.vcpus = replay.neighbours = 0;
    return experiment_parse(experiment_yaml(replay, command), "tlbstorm replay",
                            overrides_of(command.run), false);
}

// All without known faults that can run here.
std::vector<std::string> possible_mechanisms(const Experiment &experiment)
{
    const std::vector<Point> points = experiment_points(experiment);
    const Resolved resolved = resolve(experiment, points.front());
    std::vector<std::string> names;
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        ts_error error;
        // Those of a Windows guest are of another system than the recording.
        if (!ts_flush_table[i]->faults &&
            ts_flush_table[i]->name != std::string("hyperv_windows") &&
            ts_machine_check(&resolved.config, ts_flush_table[i], &error) == TS_OK)
            names.emplace_back(ts_flush_table[i]->name);
    }
    return names;
}

void set_shape(Replay *replay, const ReplayCommand &command)
{
    const Experiment experiment = bare_experiment(*replay, command, "native_sequential");
    const Resolved resolved = resolve(experiment, experiment_points(experiment).front());
    const ts_topology_params &t = resolved.config.topology;
    replay->pcpus = t.sockets * t.cores_per_socket * t.threads_per_core;
    replay->mechanisms = command.mechanisms;
    if (replay->mechanisms.empty())
        replay->mechanisms = possible_mechanisms(experiment);
    if (resolved.config.hypervisor.kind == TS_HYP_NONE) {
        if (command.vcpus > 0 || command.overcommit != 1)
            user_error(Place{command.vcpus > 0 ? "--vcpus" : "--overcommit", 0, 0},
                       "the host " + replay->host + " has no VMs: its CPUs are the machine's");
        return;
    }
    const uint64_t threads =
        replay->calls() ? std::max<uint64_t>(replay->info->calls.counts.threads, 2) : 1;
    replay->vcpus = command.vcpus > 0 ? command.vcpus : std::min(threads, replay->pcpus);
    const double missing = command.overcommit * static_cast<double>(replay->pcpus) -
                           static_cast<double>(replay->vcpus);
    if (command.overcommit > 1)
        replay->neighbours = static_cast<uint64_t>(
            std::max(1.0, std::round(missing / static_cast<double>(neighbour_vcpus))));
}

void set_workload(Replay *replay, const ReplayCommand &command)
{
    if (!replay->calls()) {
        if (!command.touch.empty() || !command.think.empty())
            user_error(Place{command.touch.empty() ? "--think" : "--touch", 0, 0},
                       "the recording (" + std::string(replay->info->format->summary) +
                           ") is of memory accesses: every one is a touch, and there are no times");
        return;
    }
    const ts_strace_counts &counts = replay->info->calls.counts;
    if (replay->info->calls.operations == 0)
        user_error(Place{command.recording, 0, 0},
                   "the recording (" + std::string(replay->info->format->summary) +
                       ") has nothing that could be replayed: " + replay->info->format->near_hint);
    const bool recorded = counts.touches > 0;
    replay->touch = touch_policy(!command.touch.empty() ? command.touch
                                 : recorded             ? "recorded"
                                                        : touch_assumed,
                                 recorded);
    if (command.touch.empty() && !recorded)
        replay->touch.words += " (assumed: the recording has no page faults; --touch says else)";
    if (command.think == "recorded" && counts.has_time == 0)
        user_error(Place{"--think", 0, 0}, "the recording has no times: record with strace -ttt");
    replay->think = !command.think.empty() ? command.think
                    : counts.has_time != 0 ? "recorded"
                                           : "sleep";
}

// How `--machine` and the like are called where nothing is said: by what the recording is of, which
// no format tells but perf's error codes; so x86.
void set_names(Replay *replay, const ReplayCommand &command)
{
    replay->machine = command.machine.empty() ? "x86-1s-12t" : command.machine;
    const bool arm = replay->machine.find("arm") != std::string::npos ||
                     replay->machine.find("cortex") != std::string::npos ||
                     replay->machine.find("neoverse") != std::string::npos ||
                     replay->machine.find("a64fx") != std::string::npos;
    replay->host = !command.host.empty() ? command.host : arm ? "kvm-arm64-6.12" : "kvm-6.12";
    replay->guest = !command.guest.empty() ? command.guest
                    : arm                  ? "linux-6.12-arm64"
                                           : "linux-6.12-x86";
    fs::path base = fs::path(command.recording).filename();
    if (base.empty()) // a folder with a slash behind it
        base = fs::path(command.recording).parent_path().filename();
    for (const char *end : {".zst", ".gz", ".xz", ".bz2"})
        if (base.extension() == end)
            base = base.stem();
    std::string name = command.recording == "-" ? "stdin" : base.string();
    for (char &c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-')
            c = '-';
    replay->name = "replay-" + name;
}

std::string counted(uint64_t n, const std::string &what)
{
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

void print_head(const Replay &replay, const ReplayCommand &command)
{
    const ts_trace_info &info = *replay.info;
    if (replay.calls())
        std::printf("Recording: %s, %s: %s in %s, %s\n", command.recording.c_str(),
                    info.format->summary, counted(info.calls.counts.threads, "thread").c_str(),
                    counted(info.calls.counts.processes, "address space").c_str(),
                    counted(info.calls.operations, "operation").c_str());
    else
        std::printf("Recording: %s, %s: %llu accesses of one thread\n", command.recording.c_str(),
                    info.format->summary, static_cast<unsigned long long>(info.accesses.accesses));
    std::printf("Touches:   %s\n",
                replay.calls() ? replay.touch.words.c_str() : "every recorded access");
    if (replay.calls())
        std::printf("Between calls: %s\n",
                    replay.think == "recorded"
                        ? info.calls.counts.switches > 0
                              ? "computing and sleeping as recorded, +-10 % by the seed"
                              : "computing for the recorded time, +-10 % by the seed; what was "
                                "sleep or a wait in it is not told apart"
                    : replay.think == "none" ? "nothing"
                                             : "a short sleep after each munmap of touched memory");
    std::printf("Machine:   %s, %llu pCPUs; host %s, guest %s", replay.machine.c_str(),
                static_cast<unsigned long long>(replay.pcpus), replay.host.c_str(),
                replay.guest.c_str());
    if (replay.vcpus > 0)
        std::printf(", %llu vCPUs", static_cast<unsigned long long>(replay.vcpus));
    if (replay.neighbours > 0)
        std::printf(", beside %llu VMs of %llu vCPUs that compute: %.2f vCPUs a pCPU",
                    static_cast<unsigned long long>(replay.neighbours),
                    static_cast<unsigned long long>(neighbour_vcpus),
                    static_cast<double>(replay.vcpus + replay.neighbours * neighbour_vcpus) /
                        static_cast<double>(replay.pcpus));
    std::printf("\n");
}

// Reasons why a replay cannot tell mechanisms apart that the recording alone shows.
void warn_of_recording(const Replay &replay)
{
    if (!replay.calls()) {
        std::fprintf(stderr, "warning: a recording of memory accesses has one thread and unmaps "
                             "nothing: no mechanism has anything to do\n");
        return;
    }
    const ts_strace_info &calls = replay.info->calls;
    uint64_t losses = 0;
    for (const auto &what : calls.pages)
        for (const uint64_t count : what)
            losses += count;
    if (calls.counts.threads < 2)
        std::fprintf(stderr, "warning: the recording has one thread: no other CPU can hold its "
                             "translations, so there is nothing to shoot down (was it made with "
                             "strace -f, perf record -a or --inherit?)\n");
    else if (calls.counts.processes >= calls.counts.threads)
        std::fprintf(stderr, "warning: every thread of the recording has an address space of its "
                             "own: there is nothing to shoot down\n");
    if (losses == 0)
        std::fprintf(stderr, "warning: the recording unmaps, protects and drops nothing%s\n",
                     calls.counts.unknown_ranges > 0
                         ? " that was seen mapped; record mmap and mprotect from the start"
                         : "");
    else if (replay.touch.words == "none")
        std::fprintf(stderr, "warning: nothing is touched (--touch none), so no TLB holds anything "
                             "that a flush could name\n");
}

// Standard input beside the results: the experiment names it.
std::string keep_input(const std::string &output)
{
    const SpooledInput spooled;
    const std::string path = output + ".recording";
    std::error_code error;
    fs::copy_file(spooled.path(), path, fs::copy_options::overwrite_existing, error);
    if (error)
        environment_error("cannot write " + path + ": " + error.message());
    return path;
}

} // namespace

void command_replay(const ReplayCommand &command)
{
    Replay replay;
    RunCommand run = command.run;
    set_names(&replay, command);
    if (run.output.empty())
        run.output = "out/" + replay.name;
    while (run.output.size() > 1 && run.output.back() == '/')
        run.output.pop_back();
    run.experiment = run.output + ".yaml";
    if (fs::path(run.experiment).has_parent_path())
        fs::create_directories(fs::path(run.experiment).parent_path());
    if (command.recording != "-" && !fs::exists(command.recording))
        user_error(Place{command.recording, 0, 0}, "no such recording");
    replay.file = command.recording != "-" ? command.recording : keep_input(run.output);
    replay.file = fs::absolute(replay.file).lexically_normal().string();
    replay.info = trace_info(trace_open_any(replay.file).get(), false);
    set_workload(&replay, command);
    set_shape(&replay, command);
    if (replay.mechanisms.empty())
        user_error(Place{"--host", 0, 0}, "no mechanism can run there");
    const std::string text = experiment_yaml(replay, command);
    // What is wrong with it, before there is a file.
    experiment_check(experiment_parse(text, run.experiment, overrides_of(run), true));
    replace_file(run.experiment, text);
    if (!run.quiet)
        print_head(replay, command);
    warn_of_recording(replay);
    std::fflush(stdout);
    command_run(run);
    if (!run.quiet && !run.dry_run)
        std::printf("Experiment: %s\n", run.experiment.c_str());
}

ReplayCommands::ReplayCommands(CLI::App *app)
{
    sub_ = app->add_subcommand("replay", "From a recording to the table: run it under every "
                                         "mechanism of a machine");
    sub_->add_option("RECORDING", command.recording,
                     "File of any known format (`tlbstorm list traces`), folder of strace -ff, or "
                     "- for standard input")
        ->required();
    sub_->add_option("--machine", command.machine, "Machine (x86-1s-12t)");
    sub_->add_option("--host", command.host, "Hypervisor, or none (kvm-6.12)");
    sub_->add_option("--guest", command.guest, "Guest (linux-6.12-x86)");
    sub_->add_option("--vcpus", command.vcpus,
                     "vCPUs of the VM (as many as threads, at most the machine's pCPUs)")
        ->check(CLI::Range(1, 4096));
    sub_->add_option("--overcommit", command.overcommit,
                     "vCPUs a pCPU; VMs that compute make up what is missing (1)")
        ->check(CLI::Range(1.0, 64.0));
    sub_->add_option("--touch", command.touch,
                     "Pages used: recorded, all, first:N, strided:N, random:N or none (recorded if "
                     "there are page faults, else first:16)");
    sub_->add_option("--think", command.think,
                     "Between calls: recorded, sleep or none (recorded if there are times)")
        ->check(CLI::IsMember({"recorded", "sleep", "none"}));
    sub_->add_option("--placement", command.placement,
                     "Threads run where the scheduler puts them, or where they were recorded")
        ->check(CLI::IsMember({"scheduler", "recorded"}));
    sub_->add_option("--mechanisms", command.mechanisms,
                     "Mechanisms (all that the platform has, but those with known faults)")
        ->delimiter(',');
    sub_->add_option("--seeds", command.seeds, "Repetitions (5)")->check(CLI::Range(1, 10000));
}

} // namespace ts
