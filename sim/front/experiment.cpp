// SPDX-License-Identifier: Apache-2.0
#include "sim/front/experiment.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

namespace ts
{
namespace
{

constexpr uint64_t repetitions_max = 10000;
constexpr uint64_t seed_max = UINT64_MAX / 2;

const std::vector<std::string> top_keys{
    "schema",     "name",      "title", "description", "workload",   "repetitions", "seed",
    "study",      "baseline",  "set",   "machine",     "hypervisor", "guest",       "machines",
    "mechanisms", "platforms", "sweep", "host",        "vms",        "seeds"};
const std::vector<std::string> platform_keys{"machine", "hypervisor", "guest", "mechanisms",
                                             "set",     "host",       "vms"};

void check_keys(const YamlNode &map, const std::vector<std::string> &known,
                const std::string &where)
{
    for (const YamlEntry &entry : map.entries)
        if (std::find(known.begin(), known.end(), entry.key) == known.end())
            user_error(entry.place, "unknown key '" + entry.key + "' in " + where +
                                        did_you_mean(entry.key, known) +
                                        "; parameters belong under 'set'");
}

// A name becomes a folder or a column.
const std::string &check_name(const std::string &name, const std::string &what, const Place &place)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_.-";
    if (name.empty() || name[0] == '.' || name[0] == '-' || name.size() > 100 ||
        name.find_first_not_of(allowed) != std::string::npos)
        user_error(place, what + " '" + name + "' must be of letters, digits, '_', '.' and '-'");
    return name;
}

std::vector<std::string> split(const std::string &text)
{
    std::vector<std::string> parts;
    size_t begin = 0;
    for (size_t end; (end = text.find(',', begin)) != std::string::npos; begin = end + 1)
        parts.push_back(text.substr(begin, end - begin));
    parts.push_back(text.substr(begin));
    return parts;
}

// A piece by name or path gives the platform its name.
std::string platform_name(const std::string &machine)
{
    return std::filesystem::path(machine).stem().string();
}

YamlNode scalar_node(const std::string &text, const Place &place)
{
    YamlNode node;
    node.kind = YamlNode::Scalar;
    node.place = place;
    node.scalar = text;
    return node;
}

// The words of a list on the command line.
YamlNode list_node(const Override &override)
{
    YamlNode node;
    node.kind = YamlNode::Sequence;
    node.place = override.place();
    for (const std::string &word : split(override.value))
        node.items.push_back(scalar_node(word, override.place()));
    return node;
}

class Reader
{
  public:
    Reader(Document document, const Paths &paths, const std::string &path, bool with_trace)
        : document_(std::move(document)), root_(document_.root), paths_(paths),
          with_trace_(with_trace)
    {
        experiment_.path = path;
    }

    Experiment read(const std::vector<Override> &overrides)
    {
        std::vector<Override> parameters;
        for (const Override &override : overrides)
            if (!edit(override))
                parameters.push_back(override);
        read_study();
        check_top_keys();
        read_head();
        read_workload();
        if (const YamlEntry *set = root_.find("set"))
            take_settings(&experiment_.settings, set->value, "");
        if (const YamlEntry *own = study_section())
            take_settings(&experiment_.settings, own->value, own->key);
        if (const YamlEntry *sweep = root_.find("sweep"))
            experiment_.sweeps = sweeps_read(
                sweep->value, [this](const std::string &name, const Place &place) -> const Key & {
                    return key_need(name, place);
                });
        read_platforms();
        for (const Sweep &axis : experiment_.sweeps)
            for (size_t i = 0; i < axis.keys.size(); i++)
                check_vm_key(axis.keys[i], axis.rows[0][i].place);
        for (const Override &override : parameters)
            override_parameter(override);
        return std::move(experiment_);
    }

  private:
    const YamlEntry &need(const std::string &key, const std::string &example) const
    {
        const YamlEntry *entry = root_.find(key);
        if (!entry)
            user_error(root_.place, "the experiment has no '" + key + "' (" + example + ")");
        return *entry;
    }

    void put(YamlNode *map, const std::string &key, YamlNode value)
    {
        YamlEntry *entry = map->find(key);
        if (entry)
            entry->value = std::move(value);
        else
            map->entries.push_back(YamlEntry{key, value.place, value});
    }

    // Settings of the experiment itself are edits of the tree; true if it was one.
    bool edit(const Override &override)
    {
        static const std::set<std::string> simple{"name",  "title",    "repetitions",
                                                  "seed",  "baseline", "machine",
                                                  "study", "guest",    "hypervisor"};
        const YamlNode value = scalar_node(override.value, override.place());
        if (override.key == "repetitions" || override.key == "seed")
            root_.remove("seeds");
        if (override.key == "seeds")
            for (const char *key : {"repetitions", "seed"})
                root_.remove(key);
        if (simple.count(override.key) > 0) {
            put(&root_, override.key, value);
            return true;
        }
        if (override.key == "machines" || override.key == "seeds") {
            put(&root_, override.key, list_node(override));
            return true;
        }
        if (override.key == "mechanisms" || override.key == "platforms") {
            std::vector<std::string> &chosen =
                override.key == "mechanisms" ? only_mechanisms_ : only_platforms_;
            chosen = split(override.value);
            return true;
        }
        if (override.key == "workload.kind" || override.key == "workload.file") {
            YamlEntry *workload = root_.find("workload");
            if (!workload || workload->value.kind != YamlNode::Map)
                user_error(override.place(), "the experiment has no workload");
            put(&workload->value, override.key.substr(9), value);
            return true;
        }
        return override.key.compare(0, 10, "platforms.") == 0 && edit_platform(override);
    }

    bool edit_platform(const Override &override)
    {
        const size_t dot = override.key.rfind('.');
        const std::string name = dot > 10 ? override.key.substr(10, dot - 10) : "";
        const std::string key = override.key.substr(dot + 1);
        YamlEntry *platforms = root_.find("platforms");
        YamlEntry *platform = platforms ? platforms->value.find(name) : nullptr;
        if (!platform || platform->value.kind != YamlNode::Map)
            user_error(override.place(), "the experiment has no platform '" + name + "'");
        put(&platform->value, key,
            key == "mechanisms" ? list_node(override)
                                : scalar_node(override.value, override.place()));
        return true;
    }

    void take_settings(Layer *layer, const YamlNode &map, const std::string &prefix) const
    {
        layer_take(layer, map, prefix, document_, experiment_.owners(), LayerOf::Experiment);
    }

    void read_study()
    {
        const YamlEntry *study = root_.find("study");
        if (!study) {
            if (const YamlEntry *machines = root_.find("machines"))
                user_error(machines->place, "'machines' is of studies; here it is 'machine', or "
                                            "several 'platforms'");
            return;
        }
        experiment_.study = &study_need(study->value.as_scalar("study"), study->value.place);
        experiment_.study_place = study->value.place;
        for (const char *key : {"mechanisms", "baseline"})
            refuse_in_study(root_, key);
    }

    void refuse_in_study(const YamlNode &map, const char *key) const
    {
        const YamlEntry *entry = experiment_.study ? map.find(key) : nullptr;
        if (entry)
            user_error(entry->place, "'" + std::string(key) + "' does not go with 'study': " +
                                         experiment_.study->name + " runs no mechanism");
    }

    // The study's parameters, if they stand in a section of their own.
    const YamlEntry *study_section() const
    {
        return experiment_.study && experiment_.study->params
                   ? root_.find(experiment_.study->params->prefix)
                   : nullptr;
    }

    void check_top_keys() const
    {
        std::vector<std::string> known = top_keys;
        if (const YamlEntry *own = study_section())
            known.push_back(own->key);
        check_keys(root_, known, "an experiment");
    }

    void read_head()
    {
        const YamlEntry &schema = need("schema", "schema: 1");
        schema.value.as_number("schema", 1, 1);
        const YamlEntry &name = need("name", "name: my-experiment");
        experiment_.name = check_name(name.value.as_scalar("name"), "the name", name.value.place);
        if (const YamlEntry *title = root_.find("title"))
            experiment_.title = title->value.as_scalar("title");
        if (const YamlEntry *description = root_.find("description"))
            description->value.as_scalar("description");
        if (const YamlEntry *repetitions = root_.find("repetitions"))
            experiment_.repetitions =
                repetitions->value.as_number("repetitions", 1, repetitions_max);
        if (const YamlEntry *seed = root_.find("seed"))
            experiment_.seed = seed->value.as_number("seed", 0, seed_max);
        read_seeds();
        if (const YamlEntry *baseline = root_.find("baseline")) {
            baseline_place_ = baseline->value.place;
            experiment_.baseline =
                mechanism_need(baseline->value.as_scalar("baseline"), baseline_place_).name;
        }
    }

    void read_seeds()
    {
        const YamlEntry *seeds = root_.find("seeds");
        if (!seeds)
            return;
        for (const char *key : {"repetitions", "seed"})
            if (const YamlEntry *entry = root_.find(key))
                user_error(entry->place, "'" + std::string(key) + "' does not go with 'seeds'");
        experiment_.seeds = seeds_read(seeds->value, seed_max, repetitions_max);
        experiment_.repetitions = experiment_.seeds.size();
        experiment_.seed = experiment_.seeds[0];
    }

    // NULL: a study that takes none.
    const YamlEntry *workload_entry() const
    {
        const ts_study_ops *study = experiment_.study;
        const YamlEntry *entry = root_.find("workload");
        if (!study)
            return &need("workload", "workload: {kind: mmap_storm}");
        const std::string name = study->name;
        if (study->needs_workload && !entry)
            user_error(experiment_.study_place,
                       "the study " + name + " needs a 'workload' (`tlbstorm list workloads`)");
        if (!study->needs_workload && entry)
            user_error(entry->place, "the study " + name + " takes no workload");
        return entry;
    }

    PartsOf parts() const
    {
        return PartsOf{document_, paths_, with_trace_};
    }

    void read_workload()
    {
        if (const YamlEntry *entry = workload_entry())
            static_cast<WorkloadChoice &>(experiment_) =
                workload_read(entry->value, parts(), experiment_.study, &experiment_.settings);
    }

    // A parameter, or a number of VMs.
    const Key &key_need(const std::string &name, const Place &place) const
    {
        const Key *key = vm_key_find(name);
        return key ? *key : Keys::get().need(name, experiment_.owners(), place);
    }

    // Of what is swept or set: after the platforms have been read.
    void check_vm_key(const std::string &name, const Place &place) const
    {
        std::vector<std::string> known;
        if (!vm_key_find(name))
            return;
        for (const Platform &platform : experiment_.platforms)
            for (const VmEntry &vm : platform.vms)
                known.push_back(vm.name);
        if (!contains(known, vm_key_entry(name)))
            user_error(place, "'" + name + "': no VM of 'vms' has the name '" + vm_key_entry(name) +
                                  "'" + did_you_mean(vm_key_entry(name), known));
    }

    // One value sets a parameter; more than one, or a swept parameter, makes a sweep of it.
    void override_parameter(const Override &override)
    {
        const Key &key = key_need(override.key, override.place());
        check_vm_key(key.name, override.place());
        std::vector<Setting> values;
        for (const std::string &text : split(override.value))
            values.push_back(setting_of(key, text, override.place(), LayerOf::Experiment));
        if (sweep_of(experiment_.sweeps, key.name) || values.size() > 1)
            sweeps_set(&experiment_.sweeps, key, values, override.place());
        else
            experiment_.overrides[key.name] = values[0];
    }

    void read_platforms()
    {
        const YamlEntry *platforms = root_.find("platforms");
        const YamlEntry *machines = root_.find("machines");
        if (platforms) {
            for (const std::string key :
                 {"machine", "machines", "hypervisor", "guest", "mechanisms", "host", "vms"})
                if (const YamlEntry *entry = root_.find(key))
                    user_error(entry->place, "'" + key + "' belongs into each platform here");
            for (const YamlEntry &entry : platforms->value.as_map("platforms"))
                read_platform(entry.key, entry.place, entry.value);
        } else if (machines) {
            read_machines(*machines);
        } else {
            const YamlEntry *machine = root_.find("machine");
            read_top_platform(root_.place, machine ? &machine->value : nullptr);
        }
        const bool has_baseline = is_run(experiment_.baseline);
        choose();
        if (experiment_.platforms.empty())
            user_error(root_.place, "the experiment has no platform left");
        check_baseline(has_baseline);
    }

    // By any platform: few mechanisms are offered on all.
    bool is_run(const std::string &mechanism) const
    {
        const std::vector<Platform> &platforms = experiment_.platforms;
        return std::any_of(platforms.begin(), platforms.end(), [&](const Platform &platform) {
            return std::any_of(platform.mechanisms.begin(), platform.mechanisms.end(),
                               [&](const ts_flush_ops *ops) { return ops->name == mechanism; });
        });
    }

    // The file's baseline may be left out by --set mechanisms or platforms: there are no speedups
    // then. One that is asked for by name must be there.
    void check_baseline(bool in_file)
    {
        if (experiment_.baseline.empty() || is_run(experiment_.baseline))
            return;
        const bool by_command = baseline_place_.file == Override{"baseline", ""}.place().file;
        if (!in_file || by_command)
            user_error(baseline_place_, "the baseline '" + experiment_.baseline +
                                            "' is not among the mechanisms, so there would be no "
                                            "speedups");
        experiment_.baseline.clear();
    }

    // The short form of platforms that differ in nothing but the machine.
    void read_machines(const YamlEntry &machines)
    {
        if (const YamlEntry *machine = root_.find("machine"))
            user_error(machine->place, "'machine' does not go with 'machines'");
        for (const YamlNode *machine : machines.value.as_list("machines")) {
            const std::string name = platform_name(machine->scalar);
            if (has_platform(name))
                user_error(machine->place, "the machine '" + name + "' is named twice");
            read_top_platform(machine->place, machine);
        }
        if (experiment_.platforms.empty())
            user_error(machines.place, "the list of machines is empty");
    }

    // The platform that the top of the experiment describes.
    void read_top_platform(const Place &place, const YamlNode *machine)
    {
        YamlNode map;
        map.kind = YamlNode::Map;
        map.place = root_.place;
        if (machine)
            map.entries.push_back(YamlEntry{"machine", machine->place, *machine});
        for (const char *key : {"hypervisor", "guest", "mechanisms", "host", "vms"})
            if (const YamlEntry *entry = root_.find(key))
                map.entries.push_back(*entry);
        const bool named = machine && machine->kind == YamlNode::Scalar;
        read_platform(named ? platform_name(machine->scalar) : "default", place, map);
    }

    void read_platform(const std::string &name, const Place &place, const YamlNode &map)
    {
        Platform platform;
        platform.name = check_name(name, "the platform", place);
        platform.place = place;
        map.as_map("platform " + name);
        check_keys(map, platform_keys, "a platform");
        std::vector<ArchWish> *wishes = &platform.arch_wishes;
        piece_read(map, "machine", parts(), &platform.pieces, &platform.machine, wishes);
        piece_read(map, "hypervisor", parts(), &platform.pieces, &platform.hypervisor, wishes);
        platform.host_pieces = platform.pieces;
        piece_read(map, "guest", parts(), &platform.pieces, &platform.guest, wishes);
        if (const YamlEntry *set = map.find("set"))
            take_settings(&platform.own, set->value, "");
        for (const char *key : {"mechanisms", "host", "vms"})
            refuse_in_study(map, key);
        if (const YamlEntry *vms = map.find("vms"))
            platform.vms_place = vms->place;
        platform.vms = vms_read(map, parts(), experiment_, wishes);
        platform.host_tasks = host_tasks_read(map);
        platform.host_noise = host_noise_read(map);
        if (!experiment_.study)
            read_mechanisms(&platform, map);
        experiment_.platforms.push_back(std::move(platform));
    }

    static void read_mechanisms(Platform *platform, const YamlNode &map)
    {
        const YamlEntry *mechanisms = map.find("mechanisms");
        if (!mechanisms)
            user_error(map.place, "no 'mechanisms' are named");
        for (const YamlNode *item : mechanisms->value.as_list("mechanisms"))
            add_mechanism(platform, item->scalar, item->place);
        if (platform->mechanisms.empty())
            user_error(mechanisms->place, "the list of mechanisms is empty");
    }

    static void add_mechanism(Platform *platform, const std::string &name, const Place &place)
    {
        const ts_flush_ops *mechanism = &mechanism_need(name, place);
        const auto &list = platform->mechanisms;
        if (std::find(list.begin(), list.end(), mechanism) != list.end())
            user_error(place, "the mechanism '" + name + "' is named twice");
        platform->mechanisms.push_back(mechanism);
        platform->mechanism_places.push_back(place);
    }

    bool has_platform(const std::string &name) const
    {
        const std::vector<Platform> &platforms = experiment_.platforms;
        return std::any_of(platforms.begin(), platforms.end(),
                           [&](const Platform &p) { return p.name == name; });
    }

    // --set platforms and mechanisms.
    void choose()
    {
        const Place at = Override{"platforms", ""}.place();
        for (const std::string &name : only_platforms_)
            if (!has_platform(name))
                user_error(at, "the experiment has no platform '" + name + "'");
        if (!only_platforms_.empty())
            drop(&experiment_.platforms,
                 [&](const Platform &p) { return !contains(only_platforms_, p.name); });
        if (!only_mechanisms_.empty())
            choose_mechanisms();
    }

    // With one platform the list replaces the experiment's, with several it chooses from each
    // platform's, as few mechanisms are offered on all.
    void choose_mechanisms()
    {
        std::vector<Platform> &platforms = experiment_.platforms;
        const Place place = Override{"mechanisms", ""}.place();
        if (experiment_.study)
            user_error(place,
                       std::string("the study ") + experiment_.study->name + " runs no mechanism");
        for (const std::string &name : only_mechanisms_)
            mechanism_need(name, place);
        for (Platform &platform : platforms) {
            const bool single = platforms.size() == 1;
            const std::vector<const ts_flush_ops *> before = platform.mechanisms;
            platform.mechanisms.clear();
            platform.mechanism_places.clear();
            for (const std::string &name : only_mechanisms_)
                if (single || std::find(before.begin(), before.end(),
                                        ts_flush_find(name.c_str())) != before.end())
                    add_mechanism(&platform, name, place);
        }
        drop(&platforms, [](const Platform &p) { return p.mechanisms.empty(); });
    }

    static bool contains(const std::vector<std::string> &list, const std::string &word)
    {
        return std::find(list.begin(), list.end(), word) != list.end();
    }

    template <typename Condition>
    static void drop(std::vector<Platform> *platforms, const Condition &condition)
    {
        platforms->erase(std::remove_if(platforms->begin(), platforms->end(), condition),
                         platforms->end());
    }

    Document document_;
    YamlNode &root_;
    const Paths &paths_;
    bool with_trace_;
    Experiment experiment_;
    Place baseline_place_;
    std::vector<std::string> only_platforms_;
    std::vector<std::string> only_mechanisms_;
};

} // namespace

Experiment experiment_load(const std::string &path, const std::vector<Override> &overrides)
{
    const Paths paths(path);
    Reader reader(document_load(path, Place(), paths), paths, path, true);
    return reader.read(overrides);
}

Experiment experiment_parse(const std::string &text, const std::string &path,
                            const std::vector<Override> &overrides, bool with_trace)
{
    const Paths paths(path);
    Reader reader(document_parse(text, path, paths), paths, path, with_trace);
    return reader.read(overrides);
}

} // namespace ts
