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
    for (const Sweep &axis : experiment.sweeps) {
        if (axis.rows.size() > points_max / n)
            user_error(axis.rows[0][0].place,
                       "the sweep has more than " + std::to_string(points_max) + " points");
        n *= axis.rows.size();
    }
    return n;
}

// The index-th element of the product; the last axis varies fastest.
std::vector<const Setting *> combination(const Experiment &experiment, size_t index)
{
    std::vector<const Setting *> swept;
    for (size_t i = experiment.sweeps.size(); i-- > 0;) {
        const std::vector<std::vector<Setting>> &rows = experiment.sweeps[i].rows;
        const std::vector<Setting> &row = rows[index % rows.size()];
        for (size_t k = row.size(); k-- > 0;)
            swept.push_back(&row[k]);
        index /= rows.size();
    }
    std::reverse(swept.begin(), swept.end());
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
    case KeyScope::Vm:
        break;
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
    case KeyScope::Vm:
        break;
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
        point.seed = experiment.seeds.empty() ? experiment.seed + r : experiment.seeds[r];
        point.folder = folder + "seed=" + std::to_string(point.seed);
        points->push_back(point);
    }
}

// Later ones win. Layers of a VM's own are the point's.
using Layers = std::vector<std::pair<const Layer *, SettingLayer>>;

Layers layers_of(const Experiment &experiment, const Point &point, const Layer &pieces)
{
    return {{&pieces, SettingLayer::Piece},
            {&experiment.settings, SettingLayer::Experiment},
            {&point.platform->own, SettingLayer::Platform},
            {nullptr, SettingLayer::Point}, // what is swept
            {&experiment.overrides, SettingLayer::Point}};
}

Layers layers_of(const Experiment &experiment, const Point &point, const VmEntry &vm)
{
    const Platform &platform = *point.platform;
    Layers layers =
        layers_of(experiment, point, vm.has_guest ? platform.host_pieces : platform.pieces);
    layers.emplace_back(&vm.guest, SettingLayer::Point);
    layers.emplace_back(&vm.own, SettingLayer::Point);
    return layers;
}

const Setting *find_swept(const Point &point, const std::string &name)
{
    for (const Setting *setting : point.swept)
        if (setting->key->name == name)
            return setting;
    return nullptr;
}

Found find_own(const Layers &layers, const Point &point, const std::string &name)
{
    for (size_t i = layers.size(); i-- > 0;) {
        const Layer *layer = layers[i].first;
        const auto found = layer ? layer->find(name) : Layer::const_iterator();
        const Setting *setting = !layer                  ? find_swept(point, name)
                                 : found == layer->end() ? nullptr
                                                         : &found->second;
        if (setting)
            return Found{setting, layers[i].second};
    }
    return Found{};
}

// What nothing sets by itself the kernel's version may, where that is set.
Found find_in(const Layers &layers, const Point &point, const std::string &name)
{
    const Found own = find_own(layers, point, name);
    if (own.setting)
        return own;
    for (size_t i = 0; i < ts_machine_versions_count; i++) {
        const Found version = find_own(layers, point, ts_machine_versions[i]->key);
        if (!version.setting)
            continue;
        const auto implied = version.setting->implied->find(name);
        if (implied != version.setting->implied->end())
            return Found{&implied->second, version.layer};
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

std::vector<std::string> swept_keys(const Experiment &experiment)
{
    std::vector<std::string> keys;
    for (const Sweep &axis : experiment.sweeps)
        keys.insert(keys.end(), axis.keys.begin(), axis.keys.end());
    return keys;
}

std::string swept_text(const std::vector<const Setting *> &swept)
{
    std::string text;
    for (const Setting *setting : swept)
        text += (text.empty() ? "" : ",") + setting->key->name + "=" +
                setting->key->format(setting->value);
    return text;
}

Found find_setting(const Experiment &experiment, const Point &point, const std::string &name)
{
    return find_in(layers_of(experiment, point, point.platform->pieces), point, name);
}

Found find_setting(const Experiment &experiment, const Point &point, const VmEntry &vm,
                   const std::string &name)
{
    // A workload of its own has nothing of the experiment's.
    if (vm.has_workload && name.compare(0, 9, "workload.") == 0)
        return find_own({{&vm.own, SettingLayer::Point}}, point, name);
    return find_in(layers_of(experiment, point, vm), point, name);
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

namespace
{

// The key's value at base, and who sets it.
ResolvedValue apply(const Key &key, void *base, const Setting *setting)
{
    ResolvedValue value{&key, ts_param_get(key.row, base), key.row->source, key.row->confidence};
    if (!setting)
        return value;
    value.value = setting->value;
    value.source = setting->source;
    value.confidence = setting->confidence;
    *reinterpret_cast<uint64_t *>(static_cast<char *>(base) + key.row->offset) = setting->value;
    return value;
}

bool is_among(const std::vector<ResolvedValue> &values, const ResolvedValue &value)
{
    return std::any_of(values.begin(), values.end(), [&](const ResolvedValue &other) {
        return other.key == value.key && other.value == value.value &&
               other.source == value.source && other.confidence == value.confidence;
    });
}

// What a number of the entry is at a point; what nobody gives is otherwise.
uint64_t number_of(const Experiment &experiment, const Point &point, const VmEntry &vm,
                   const std::string &field, uint64_t otherwise)
{
    const Layers layers{{&vm.numbers, SettingLayer::Experiment},
                        {nullptr, SettingLayer::Point},
                        {&experiment.overrides, SettingLayer::Point}};
    const Found found = find_own(layers, point, "vms." + vm.name + "." + field);
    return found.setting ? found.setting->value : otherwise;
}

// Where a VM's own value of a parameter lies; null: it has none.
void *base_in(ResolvedVm *vm, const Key &key)
{
    if (!vm_may_have(key))
        return nullptr;
    switch (key.scope) {
    case KeyScope::Machine: {
        const ts_param_table *table = ts_machine_params[key.owner].table;
        if (table == &ts_nt_param_table)
            return &vm->shape.nt;
        return table == &ts_guest_param_table ? static_cast<void *>(&vm->shape.guest)
                                              : static_cast<void *>(&vm->shape.guest_sched);
    }
    case KeyScope::Flush:
        return ts_flush_table[key.owner] == vm->mechanism ? vm->mechanism_params.data() : nullptr;
    case KeyScope::Workload:
        return ts_workload_kinds[key.owner] == vm->load->workload ? vm->workload_params.data()
                                                                  : nullptr;
    default:
        return nullptr;
    }
}

ResolvedVm resolve_vm(const Experiment &experiment, const Point &point, const VmEntry &entry,
                      const Resolved &resolved)
{
    const ts_machine_config &config = resolved.config;
    ResolvedVm vm;
    vm.entry = &entry;
    vm.mechanism = entry.mechanism ? entry.mechanism : point.mechanism;
    vm.load = entry.has_workload ? &entry.load : &experiment;
    vm.count = number_of(experiment, point, entry, "count", 1);
    std::memset(&vm.shape, 0, sizeof vm.shape);
    vm.shape.name = entry.name.c_str();
    vm.shape.vcpus = number_of(experiment, point, entry, "vcpus", config.run.vcpus);
    vm.shape.shares = number_of(experiment, point, entry, "shares", TS_SHARES_DEFAULT);
    vm.shape.pin = entry.pin;
    vm.shape.background = entry.background;
    vm_place(entry, config, &vm.shape.pcpus);
    ts_param_defaults(&ts_guest_param_table, &vm.shape.guest);
    ts_param_defaults(&ts_nt_param_table, &vm.shape.nt);
    ts_param_defaults(&ts_guest_sched_param_table, &vm.shape.guest_sched);
    vm.mechanism_params = struct_of(vm.mechanism->params, vm.mechanism->params_size);
    vm.workload_params =
        struct_of(vm.load->workload->ops.params, vm.load->workload->ops.params_size);
    for (const auto &item : Keys::get().all()) {
        const Key &key = item.second;
        void *base = base_in(&vm, key);
        if (!base)
            continue;
        ResolvedValue value =
            apply(key, base, find_setting(experiment, point, entry, key.name).setting);
        if (!is_among(resolved.values, value))
            vm.values.push_back(std::move(value));
    }
    return vm;
}

// run.vms is how many the list makes.
void resolve_vms(const Experiment &experiment, const Point &point, Resolved *resolved)
{
    const std::vector<VmEntry> &entries = point.platform->vms;
    if (entries.empty())
        return;
    for (const VmEntry &entry : entries)
        resolved->vms.push_back(resolve_vm(experiment, point, entry, *resolved));
    for (const ResolvedVm &vm : resolved->vms)
        for (uint64_t i = 0; i < vm.count; i++) {
            resolved->by_vm.push_back(&vm);
            resolved->shapes.push_back(&vm.shape);
        }
    resolved->config.run.vms = resolved->shapes.size();
    resolved->config.shapes = resolved->shapes.data();
    for (ResolvedValue &value : resolved->values)
        if (value.key->name == "run.vms") {
            value.value = resolved->config.run.vms;
            value.source = "the number of VMs in 'vms'";
            value.confidence = TS_CONF_CHOICE;
        }
}

} // namespace

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
        resolved.values.push_back(
            apply(key, base_of(&resolved, key), find_setting(experiment, point, key.name).setting));
    }
    resolve_vms(experiment, point, &resolved);
    return resolved;
}

Workload workload_make(const WorkloadChoice &choice, const std::vector<uint64_t> &params,
                       uint64_t seed, uint64_t instance)
{
    Workload made;
    if (choice.trace) {
        made.reader = choice.trace->open();
        made.source = std::make_unique<ts_byte_source>(made.reader->source());
    }
    ts_workload_config config;
    config.params = params.data();
    config.seed = seed;
    config.instance = instance;
    config.source = made.source.get();
    ts_workload *workload = nullptr;
    ts_error error;
    if (choice.workload->create(&workload, &config, &error) != TS_OK)
        throw Error(error);
    made.workload.reset(workload);
    return made;
}

} // namespace ts
