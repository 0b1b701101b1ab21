// SPDX-License-Identifier: Apache-2.0
// The points of an experiment, and what each sets every parameter to.
#include "sim/front/experiment.hpp"

#include <boost/crc.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace ts
{
namespace
{

constexpr size_t points_max = 100000;
// Of the part of a folder's name that says the swept values; file systems take 255 bytes.
constexpr size_t sweep_name_max = 200;

// A folder name: rates are written "20GB/s".
std::string folder_word(std::string text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_.=+,-";
    for (char &c : text)
        if (!std::strchr(allowed, c))
            c = '_';
    return text;
}

// Of its full text: equal text, equal name, on any machine.
std::string shortened(const std::string &text)
{
    boost::crc_optimal<64, 0x42f0e1eba9ea3693u, 0, 0, false, false> crc; // CRC-64 of ECMA-182
    crc.process_bytes(text.data(), text.size());
    char hash[32];
    std::snprintf(hash, sizeof hash, "...%016llx", static_cast<unsigned long long>(crc.checksum()));
    return text.substr(0, sweep_name_max - std::strlen(hash)) + hash;
}

std::string sweep_folder(const std::vector<const Setting *> &swept)
{
    const std::string text = folder_word(swept_text(swept));
    if (text.empty())
        return "";
    return (text.size() > sweep_name_max ? shortened(text) : text) + "/";
}

size_t combinations(const Experiment &experiment)
{
    size_t n = 1;
    for (const Sweep &sweep : experiment.sweeps) {
        if (sweep.values.size() > points_max / n)
            user_error(sweep.values[0].place,
                       "the sweep has more than " + std::to_string(points_max) + " points");
        n *= sweep.values.size();
    }
    return n;
}

// The index-th element of the product; the last sweep varies fastest.
std::vector<const Setting *> combination(const Experiment &experiment, size_t index)
{
    std::vector<const Setting *> swept(experiment.sweeps.size());
    for (size_t i = experiment.sweeps.size(); i-- > 0;) {
        const std::vector<Setting> &values = experiment.sweeps[i].values;
        swept[i] = &values[index % values.size()];
        index /= values.size();
    }
    return swept;
}

std::vector<uint64_t> struct_of(const ts_param_table *table, size_t bytes)
{
    std::vector<uint64_t> storage((bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t), 0);
    if (table && !storage.empty())
        ts_param_defaults(table, storage.data());
    return storage;
}

void *base_of(Resolved *resolved, const Key &key)
{
    switch (key.scope) {
    case KeyScope::Machine:
        return reinterpret_cast<char *>(&resolved->config) + ts_machine_params[key.owner].offset;
    case KeyScope::Flush:
    case KeyScope::Study:
        return resolved->subject_params.data();
    case KeyScope::Workload:
        return resolved->workload_params.data();
    }
    return nullptr;
}

bool concerns(const Key &key, const Experiment &experiment, const Point &point)
{
    switch (key.scope) {
    case KeyScope::Machine:
        return true;
    case KeyScope::Flush:
        return ts_flush_table[key.owner] == point.mechanism;
    case KeyScope::Workload:
        return ts_workload_kinds[key.owner] == experiment.workload;
    case KeyScope::Study:
        return ts_study_table[key.owner] == experiment.study;
    }
    return false;
}

// The index-th of the platform's mechanisms, or the study.
void set_subject(Point *point, const Experiment &experiment, size_t index)
{
    if (const ts_study_ops *study = experiment.study) {
        point->subject =
            Subject{study->name, study->params, study->params_size, experiment.study_place};
        return;
    }
    const ts_flush_ops *mechanism = point->platform->mechanisms[index];
    point->mechanism = mechanism;
    point->subject = Subject{mechanism->name, mechanism->params, mechanism->params_size,
                             point->platform->mechanism_places[index]};
}

void add_seeds(std::vector<Point> *points, Point point, const Experiment &experiment)
{
    std::string folder = point.platform->name + "/";
    if (point.mechanism)
        folder += point.subject.name + "/";
    folder += sweep_folder(point.swept);
    for (uint64_t r = 0; r < experiment.repetitions; r++) {
        point.seed = experiment.seed + r;
        point.folder = folder + "seed=" + std::to_string(point.seed);
        points->push_back(point);
    }
}

Found find_own(const Experiment &experiment, const Point &point, const std::string &name)
{
    for (const Setting *setting : point.swept)
        if (setting->key->name == name)
            return Found{setting, SettingLayer::Point};
    const std::pair<const Layer *, SettingLayer> layers[] = {
        {&experiment.overrides, SettingLayer::Point},
        {&point.platform->own, SettingLayer::Platform},
        {&experiment.settings, SettingLayer::Experiment},
        {&point.platform->pieces, SettingLayer::Piece},
    };
    for (const auto &layer : layers) {
        const auto found = layer.first->find(name);
        if (found != layer.first->end())
            return Found{&found->second, layer.second};
    }
    return Found{};
}

} // namespace

Override override_parse(const std::string &text)
{
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        user_error(Place(), "--set " + text + ": expected KEY=VALUE");
    return Override{text.substr(0, equals), text.substr(equals + 1)};
}

std::string swept_text(const std::vector<const Setting *> &swept)
{
    std::string text;
    for (const Setting *setting : swept)
        text += (text.empty() ? "" : ",") + setting->key->name + "=" +
                setting->key->format(setting->value);
    return text;
}

// What nothing sets by itself the kernel's version may, where that is set.
Found find_setting(const Experiment &experiment, const Point &point, const std::string &name)
{
    const Found own = find_own(experiment, point, name);
    if (own.setting)
        return own;
    for (size_t i = 0; i < ts_machine_versions_count; i++) {
        const Found version = find_own(experiment, point, ts_machine_versions[i]->key);
        if (!version.setting)
            continue;
        const auto implied = version.setting->implied->find(name);
        if (implied != version.setting->implied->end())
            return Found{&implied->second, version.layer};
    }
    return Found{};
}

size_t points_per_group(const Experiment &experiment)
{
    return static_cast<size_t>(experiment.repetitions);
}

std::vector<Point> experiment_points(const Experiment &experiment)
{
    std::vector<Point> points;
    const size_t n = combinations(experiment);
    for (const Platform &platform : experiment.platforms) {
        const size_t subjects = experiment.study ? 1 : platform.mechanisms.size();
        if (n * subjects * experiment.repetitions > points_max - points.size())
            user_error(platform.place,
                       "the experiment has more than " + std::to_string(points_max) + " points");
        for (size_t i = 0; i < n; i++) {
            Point point;
            point.platform = &platform;
            point.swept = combination(experiment, i);
            for (size_t m = 0; m < subjects; m++) {
                set_subject(&point, experiment, m);
                add_seeds(&points, point, experiment);
            }
        }
    }
    return points;
}

size_t Resolved::assumed() const
{
    return static_cast<size_t>(
        std::count_if(values.begin(), values.end(), [](const ResolvedValue &value) {
            return ts_confidence_assumed(value.confidence);
        }));
}

Resolved resolve(const Experiment &experiment, const Point &point)
{
    Resolved resolved;
    std::memset(&resolved.config, 0, sizeof resolved.config);
    ts_machine_config_defaults(&resolved.config);
    resolved.subject_params = struct_of(point.subject.params, point.subject.params_size);
    if (experiment.workload)
        resolved.workload_params =
            struct_of(experiment.workload->ops.params, experiment.workload->ops.params_size);
    for (const auto &item : Keys::get().all()) {
        const Key &key = item.second;
        if (!concerns(key, experiment, point))
            continue;
        void *base = base_of(&resolved, key);
        const Setting *setting = find_setting(experiment, point, key.name).setting;
        ResolvedValue value{&key, ts_param_get(key.row, base), key.row->source,
                            key.row->confidence};
        if (setting) {
            value.value = setting->value;
            value.source = setting->source;
            value.confidence = setting->confidence;
            *reinterpret_cast<uint64_t *>(static_cast<char *>(base) + key.row->offset) =
                setting->value;
        }
        resolved.values.push_back(std::move(value));
    }
    return resolved;
}

Workload workload_make(const Experiment &experiment, const Resolved &resolved, uint64_t seed,
                       uint64_t instance)
{
    Workload made;
    if (experiment.trace) {
        made.reader = experiment.trace->open();
        made.source = std::make_unique<ts_byte_source>(made.reader->source());
    }
    ts_workload_config config;
    config.params = resolved.workload_params.data();
    config.seed = seed;
    config.instance = instance;
    config.source = made.source.get();
    ts_workload *workload = nullptr;
    ts_error error;
    if (experiment.workload->create(&workload, &config, &error) != TS_OK)
        throw Error(error);
    made.workload.reset(workload);
    return made;
}

} // namespace ts
