// SPDX-License-Identifier: Apache-2.0
#include "sim/front/run.hpp"

#include "sim/front/output.hpp"
#include "sim/front/simulation.hpp"
#include "sim/front/stats_files.hpp"
#include "sim/front/store.hpp"
#include "sim/front/study.hpp"
#include "sim/front/timeline.hpp"
#include "sim/front/vms_file.hpp"
#include "version.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <thread>
#include <unistd.h>

namespace ts
{
namespace
{

namespace fs = std::filesystem;

// flushes.csv: a row a shootdown. Runs on the initiator's fiber, so it formats by hand into a small
// buffer.
class ShootdownFile
{
  public:
    // timeline: told of each, too; may be null.
    ShootdownFile(const std::string &path, const Resolved &resolved, MachineSummary *summary,
                  TimelineFile *timeline)
        : file_(path), resolved_(resolved), summary_(summary), timeline_(timeline)
    {
        std::string head = "number,guest,initiator,targets,last_target,start,bytes,freed_tables,"
                           "started_ps,total_ps";
        for (const char *part : ts_path_part_names)
            head += std::string(",") + part + "_ps";
        file_.put(head + "\n");
    }

    static void record(void *user, const ts_shootdown_record *record)
    {
        static_cast<ShootdownFile *>(user)->add(*record);
    }

    void close()
    {
        file_.close();
    }

  private:
    static char *append_hex(char *to, uint64_t value)
    {
        static const char digits[] = "0123456789abcdef";
        *to++ = '0';
        *to++ = 'x';
        for (int shift = 44; shift >= 0; shift -= 4)
            *to++ = digits[(value >> shift) & 15];
        return to;
    }

    void add(const ts_shootdown_record &record)
    {
        if (timeline_)
            timeline_->shootdown(record);
        char row[512];
        char *to = row;
        const bool all = record.end == UINT64_MAX;
        const auto field = [&](uint64_t value) {
            to = append_number(to, value);
            *to++ = ',';
        };
        field(record.number);
        field(record.guest);
        field(record.initiator);
        field(record.targets);
        if (record.last_target != UINT32_MAX)
            to = append_number(to, record.last_target);
        *to++ = ',';
        if (!all)
            to = append_hex(to, record.start);
        *to++ = ',';
        if (!all)
            to = append_number(to, record.end - record.start);
        *to++ = ',';
        field(record.freed_tables);
        field(record.started);
        field(record.total_ps);
        const bool counts = !resolved_.is_background(record.guest);
        for (size_t i = 0; i < TS_PATH_PARTS; i++) {
            field(record.part_ps[i]);
            summary_->path_ps[i] += counts ? record.part_ps[i] : 0;
        }
        to[-1] = '\n';
        summary_->records += counts;
        summary_->path_total_ps += counts ? record.total_ps : 0;
        file_.put(row, static_cast<size_t>(to - row));
    }

    OutputFile file_;
    const Resolved &resolved_;
    MachineSummary *summary_;
    TimelineFile *timeline_;
};

std::string now_text()
{
    const std::time_t now = std::time(nullptr);
    std::tm utc;
    gmtime_r(&now, &utc);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}

// The only file that differs between equal runs. machine: NULL for a study, which has no kernel.
std::string run_json(const RunOptions &options, const MachineSummary *machine,
                     const std::string &started, double wall_s)
{
    nlohmann::ordered_json json;
    utsname host;
    rusage usage;
    std::memset(&host, 0, sizeof host);
    std::memset(&usage, 0, sizeof usage);
    uname(&host);
    getrusage(RUSAGE_SELF, &usage);
    json["version"] = TS_VERSION_STRING;
    json["command_line"] = options.command_line;
    if (machine)
        json["kernel"] = options.kernel_name;
    if (options.timeline)
        json["timeline_window"] = timeline_window_text(options.timeline_window);
    json["started"] = started;
    json["wall_seconds"] = wall_s;
    if (machine)
        json["engine_events"] = machine->result.events;
    json["max_resident_kib"] = usage.ru_maxrss;
    json["host"] = {{"system", host.sysname},
                    {"release", host.release},
                    {"machine", host.machine},
                    {"cpus", std::thread::hardware_concurrency()}};
    return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void simulate(ts_machine *machine, const RunOptions &options)
{
    ts_error error;
    throw_unless_ok(ts_machine_start(machine, &error), error);
    if (options.kernel)
        options.kernel(ts_machine_engine(machine), TS_TIME_NEVER);
    else
        ts_machine_run(machine);
    throw_unless_ok(ts_machine_finish(machine, &error), error);
}

const char *const timeline_names[] = {"timeline.json", "timeline.perfetto-trace"};

std::unique_ptr<TimelineFile> open_timeline(const std::string &work, const RunOptions &options)
{
    std::vector<std::unique_ptr<TimelineWriter>> writers;
    writers.push_back(chrome_timeline(work + "/" + timeline_names[0]));
    writers.push_back(perfetto_timeline(work + "/" + timeline_names[1]));
    return std::make_unique<TimelineFile>(std::move(writers), options.timeline_window);
}

// Writes flushes.csv.zst and the timeline into the folder `work`.
MachineSummary run_machine(const Experiment &experiment, const Point &point,
                           const Resolved &resolved, const RunOptions &options,
                           const std::string &work, StatsFiles *stats)
{
    MachineSummary summary{};
    std::unique_ptr<TimelineFile> timeline;
    if (options.timeline)
        timeline = open_timeline(work, options);
    ShootdownFile flushes(work + "/flushes.csv", resolved, &summary, timeline.get());
    const Simulation simulation(experiment, point, resolved);
    ts_machine *machine = simulation.machine.get();
    ts_machine_set_shootdowns(machine, ShootdownFile::record, &flushes);
    if (timeline)
        ts_machine_set_timeline(machine, TimelineFile::record, timeline.get());
    simulate(machine, options);
    ts_machine_result(machine, &summary.result);

    flushes.close();
    compress_file(work + "/flushes.csv", Compression::Zstd);
    if (timeline) {
        timeline->close(ts_engine_now(ts_machine_engine(machine)));
        for (const char *name : timeline_names)
            compress_file(work + "/" + name, Compression::Gzip);
    }
    stats->add_result(summary.result);
    stats->add_machine(machine);
    if (!resolved.vms.empty())
        write_file(work + "/vms.csv", vms_csv(machine, resolved));
    return summary;
}

// A folder of that name is not empty, as it is complete.
void place(const std::string &work, const std::string &target, const std::string &id,
           const Experiment &experiment, const RunOptions &options)
{
    std::error_code code;
    fs::rename(work, target, code);
    if (!code)
        return;
    const bool taken = code == std::errc::directory_not_empty || code == std::errc::file_exists;
    if (!taken)
        environment_error("cannot make " + target + ": " + code.message());
    const Stored other = stored_for(target, id, experiment, options);
    if (other.state != StoredState::Done)
        environment_error(target + " has appeared in between: " + other.why);
    fs::remove_all(work);
}

} // namespace

std::string partial_of(const std::string &folder, const Point &point, const RunOptions &options,
                       int pid)
{
    std::string name = folder + "/" + point.folder;
    if (options.shared) {
        utsname host;
        std::memset(&host, 0, sizeof host);
        uname(&host);
        name += std::string(".") + host.nodename + "-" + std::to_string(pid);
    }
    return name + ".partial";
}

RunSummary run_point(const Experiment &experiment, const Point &point, const RunOptions &options,
                     const std::string &folder)
{
    const auto begin = std::chrono::steady_clock::now();
    const std::string started = now_text();
    const std::string work = partial_of(folder, point, options, getpid());
    fs::remove_all(work); // of a dead process of the same number
    fs::create_directories(work);

    RunSummary summary;
    StatsFiles stats;
    const Resolved resolved = resolve(experiment, point);
    if (experiment.study)
        summary.counters = study_run(experiment, point, resolved, &stats);
    else
        summary.machine = run_machine(experiment, point, resolved, options, work, &stats);
    stats.write(work);
    const std::string config = resolved_yaml(experiment, point, resolved);
    write_file(work + "/config.resolved.yaml", config);
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    write_file(work + "/run.json", run_json(options, experiment.study ? nullptr : &summary.machine,
                                            started, wall.count()));
    const std::string id = point_id(config);
    result_write(work, point, id, summary);
    place(work, folder + "/" + point.folder, id, experiment, options);
    return summary;
}

} // namespace ts
