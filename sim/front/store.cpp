// SPDX-License-Identifier: Apache-2.0
#include "sim/front/store.hpp"

#include "sim/front/output.hpp"
#include "sim/front/parallel.hpp"
#include "sim/front/study.hpp"
#include "version.h"

#include <boost/crc.hpp>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace ts
{

const char failed_folder[] = "failed";

namespace
{

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const char result_name[] = "result.json";
const char run_name[] = "run.json"; // the only file that differs between equal runs
const char failure_name[] = "failure.json";
const char config_name[] = "config.resolved.yaml";
const char timeline_name[] = "timeline.json.gz";

struct ResultField {
    const char *name;
    uint64_t ts_machine_result::*field;
};
const ResultField result_fields[] = {
    {"completion_ps", &ts_machine_result::completion_ps},
    {"mean_completion_ps", &ts_machine_result::mean_completion_ps},
    {"user_ps", &ts_machine_result::user_ps},
    {"system_ps", &ts_machine_result::system_ps},
    {"steal_ps", &ts_machine_result::steal_ps},
    {"host_ps", &ts_machine_result::host_ps},
    {"effective_overcommit_milli", &ts_machine_result::effective_overcommit_milli},
    {"vcpus_per_pcpu_milli", &ts_machine_result::vcpus_per_pcpu_milli},
    {"operations", &ts_machine_result::operations},
    {"shootdowns", &ts_machine_result::shootdowns},
    {"ipis", &ts_machine_result::ipis},
    {"vm_exits", &ts_machine_result::vm_exits},
    {"shootdown_p50_ps", &ts_machine_result::shootdown_p50_ps},
    {"shootdown_p99_ps", &ts_machine_result::shootdown_p99_ps},
    {"shootdown_max_ps", &ts_machine_result::shootdown_max_ps},
    {"shootdown_mean_ps", &ts_machine_result::shootdown_mean_ps},
    {"munmap_mean_ps", &ts_machine_result::munmap_mean_ps},
    {"page_touches", &ts_machine_result::page_touches},
    {"records", &ts_machine_result::records},
    {"record_rate_uhz", &ts_machine_result::record_rate_uhz},
    {"window_ps", &ts_machine_result::window_ps},
};
// All but the engine's events, which run.json has: simulation kernels may differ in them.
static_assert(sizeof(struct ts_machine_result) ==
                  (TS_ARRAY_LEN(result_fields) + 1) * sizeof(uint64_t),
              "a field is missing");

std::string crc_text(const std::string &text)
{
    boost::crc_32_type crc;
    crc.process_bytes(text.data(), text.size());
    return std::to_string(crc.checksum());
}

std::string read_all(const fs::path &path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error("no " + path.filename().string());
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Json machine_json(const MachineSummary &machine)
{
    Json json;
    for (const ResultField &field : result_fields)
        json[field.name] = machine.result.*field.field;
    return json;
}

Json path_json(const MachineSummary &machine)
{
    Json json{{"shootdowns", machine.records}, {"total_ps", machine.path_total_ps}};
    for (size_t i = 0; i < TS_PATH_PARTS; i++)
        json[ts_path_part_names[i] + std::string("_ps")] = machine.path_ps[i];
    return json;
}

MachineSummary machine_of(const Json &json)
{
    MachineSummary machine{};
    for (const ResultField &field : result_fields)
        machine.result.*field.field = json.at("result").at(field.name).get<uint64_t>();
    const Json &path = json.at("critical_path");
    machine.records = path.at("shootdowns").get<uint64_t>();
    machine.path_total_ps = path.at("total_ps").get<uint64_t>();
    for (size_t i = 0; i < TS_PATH_PARTS; i++)
        machine.path_ps[i] = path.at(ts_path_part_names[i] + std::string("_ps")).get<uint64_t>();
    return machine;
}

// Sorted, so that equal runs have equal bytes.
Json sizes_of(const fs::path &folder)
{
    std::map<std::string, uint64_t> sizes;
    for (const fs::directory_entry &entry : fs::directory_iterator(folder))
        if (entry.path().filename() != run_name)
            sizes[entry.path().filename().string()] = entry.file_size();
    return sizes;
}

// Throws std::exception with the reason if the folder is not as it was written.
Json checked_result(const fs::path &folder)
{
    Json json = Json::parse(read_all(folder / result_name));
    if (json.at("schema") != 1)
        throw std::runtime_error(std::string(result_name) + " is of another schema");
    const std::string crc = json.at("crc32").get<std::string>();
    json.erase("crc32");
    if (crc_text(json.dump(1)) != crc)
        throw std::runtime_error(std::string(result_name) + " has been changed");
    for (const auto &item : json.at("files").items()) {
        std::error_code code;
        const uint64_t size = fs::file_size(folder / item.key(), code);
        if (code)
            throw std::runtime_error("no " + item.key());
        if (size != item.value().get<uint64_t>())
            throw std::runtime_error(item.key() + " has " + std::to_string(size) +
                                     " bytes and not " +
                                     std::to_string(item.value().get<uint64_t>()));
    }
    if (point_id(read_all(folder / config_name)) != json.at("id").get<std::string>())
        throw std::runtime_error(std::string(config_name) + " has been changed");
    return json;
}

// Parsers say much of which the first line is of use.
std::string reason(const std::exception &error)
{
    if (dynamic_cast<const Json::exception *>(&error))
        return std::string(result_name) + " or " + run_name + " cannot be read";
    return error.what();
}

Stored read_checked(const fs::path &folder, const std::string &id, const ts_study_ops *study,
                    const RunOptions *options)
{
    Stored stored;
    const auto other = [&](const std::string &why) {
        stored.state = StoredState::Other;
        stored.why = why;
        return stored;
    };
    const Json json = checked_result(folder);
    const Json about = Json::parse(read_all(folder / run_name));
    if (json.at("id") != id)
        return other("a run of another configuration");
    const std::string version = about.at("version").get<std::string>();
    if (options && version != TS_VERSION_STRING)
        return other("a run of tlbstorm " + version + ", and this is " TS_VERSION_STRING);
    if (study) {
        stored.summary.counters = json.at("counters").get<std::vector<uint64_t>>();
        if (stored.summary.counters.size() != study_words(*study))
            throw std::runtime_error(std::string(result_name) + " does not fit the study");
    } else {
        stored.summary.machine = machine_of(json);
        stored.summary.machine.result.events = about.at("engine_events").get<uint64_t>();
        if (options && about.at("kernel") != options->kernel_name)
            return other("a run by another simulation kernel");
        if (options && options->timeline && !json.at("files").contains(timeline_name))
            return other("a run without a timeline");
        if (options && options->timeline &&
            about.value("timeline_window", std::string()) !=
                timeline_window_text(options->timeline_window))
            return other("a run with a timeline of another window");
    }
    stored.state = StoredState::Done;
    return stored;
}

Stored read_folder(const std::string &folder, const std::string &id, const ts_study_ops *study,
                   const RunOptions *options)
{
    std::error_code code;
    if (!fs::exists(fs::symlink_status(folder, code)))
        return Stored{};
    try {
        return read_checked(folder, id, study, options);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &error) {
        return Stored{StoredState::Corrupt, reason(error), RunSummary()};
    }
}

} // namespace

std::string point_id(const std::string &resolved_text)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    size_t size = 0;
    if (EVP_Q_digest(nullptr, "SHA256", nullptr, resolved_text.data(), resolved_text.size(), hash,
                     &size) != 1)
        environment_error("SHA-256 is not there");
    std::string text;
    for (size_t i = 0; i < size; i++) {
        text += digits[hash[i] >> 4];
        text += digits[hash[i] & 15];
    }
    return text;
}

std::vector<std::string> point_ids(const Experiment &experiment, const std::vector<Point> &points,
                                   unsigned threads)
{
    std::vector<std::string> ids(points.size());
    parallel_for(points.size(), threads, [&](size_t i) {
        ids[i] = point_id(resolved_yaml(experiment, points[i], resolve(experiment, points[i])));
    });
    return ids;
}

void result_write(const std::string &work, const Point &point, const std::string &id,
                  const RunSummary &summary)
{
    Json json{{"schema", 1}, {"id", id}, {"platform", point.platform->name}};
    json[point.mechanism ? "mechanism" : "study"] = point.subject.name;
    json["seed"] = point.seed;
    json["swept"] = Json::object();
    for (const Setting *setting : point.swept)
        json["swept"][setting->key->name] = setting->key->format(setting->value);
    if (point.mechanism) {
        json["result"] = machine_json(summary.machine);
        json["critical_path"] = path_json(summary.machine);
    } else {
        json["counters"] = summary.counters;
    }
    json["files"] = sizes_of(work);
    const std::string crc = crc_text(json.dump(1));
    json["crc32"] = crc;
    write_file(work + "/" + result_name, json.dump(1) + "\n");
}

Stored stored_read(const std::string &folder, const std::string &id, const ts_study_ops *study)
{
    return read_folder(folder, id, study, nullptr);
}

Stored stored_for(const std::string &folder, const std::string &id, const Experiment &experiment,
                  const RunOptions &options)
{
    return read_folder(folder, id, experiment.study, &options);
}

std::vector<Stored> stored_all(const std::string &root, const Experiment &experiment,
                               const std::vector<Point> &points,
                               const std::vector<std::string> &ids, const RunOptions &options,
                               unsigned threads)
{
    std::vector<Stored> stored(points.size());
    parallel_for(points.size(), threads, [&](size_t i) {
        stored[i] = stored_for(root + "/" + points[i].folder, ids[i], experiment, options);
    });
    return stored;
}

void failure_write(const std::string &root, const Experiment &experiment, const Point &point,
                   const FailureRecord &record)
{
    const std::string target = root + "/" + failed_folder + "/" + point.folder;
    const std::string work = target + ".partial";
    const Json json{{"schema", 1},
                    {"run", record.run},
                    {"exit_code", record.exit_code},
                    {"message", record.message},
                    {"reproduce", record.reproduce}};
    fs::create_directories(work);
    write_file(work + "/" + failure_name,
               json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
    write_file(work + "/" + config_name,
               resolved_yaml(experiment, point, resolve(experiment, point)));
    fs::remove_all(target);
    fs::rename(work, target);
}

bool failure_read(const std::string &root, const std::string &point_folder, FailureRecord *record)
{
    const fs::path file = fs::path(root) / failed_folder / point_folder / failure_name;
    std::error_code code;
    if (!fs::exists(file, code))
        return false;
    try {
        const Json json = Json::parse(read_all(file));
        record->run = json.at("run").get<std::string>();
        record->exit_code = json.at("exit_code").get<int>();
        record->message = json.at("message").get<std::string>();
        record->reproduce = json.at("reproduce").get<std::string>();
    } catch (const std::exception &) {
        environment_error(file.string() + " cannot be read");
    }
    return true;
}

void failure_remove(const std::string &root, const Point &point)
{
    const std::string folder = std::string(failed_folder) + "/" + point.folder;
    std::error_code code;
    if (fs::remove_all(root + "/" + folder, code) > 0)
        remove_empty_folders(root, folder);
}

void remove_empty_folders(const std::string &root, const std::string &folder)
{
    std::error_code code;
    for (fs::path at = folder; at.has_filename(); at = at.parent_path())
        if (fs::exists(fs::symlink_status(root / at, code)) &&
            (!fs::is_empty(root / at, code) || !fs::remove(root / at, code)))
            return;
}

} // namespace ts
