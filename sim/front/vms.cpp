// SPDX-License-Identifier: Apache-2.0
#include "sim/front/vms.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

namespace ts
{
namespace
{

const std::string prefix = "vms.";

ts_param row_of(const char *key, ts_param_type type, uint64_t def, uint64_t min, uint64_t max)
{
    return ts_param{key, type, 0, def, min, max, nullptr, "", "setting", TS_CONF_CHOICE};
}

const ts_param *number_row(const std::string &field)
{
    static const ts_param rows[] = {
        row_of("count", TS_PARAM_COUNT, 1, 0, TS_CPU_MAX),
        row_of("vcpus", TS_PARAM_COUNT, 4, 1, TS_CPU_MAX),
        row_of("shares", TS_PARAM_COUNT, TS_SHARES_DEFAULT, TS_SHARES_MIN, TS_SHARES_MAX),
    };
    for (const ts_param &row : rows)
        if (field == row.key)
            return &row;
    return nullptr;
}

uint64_t parse(const ts_param &row, const YamlNode &node)
{
    ts_param here = row;
    uint64_t value = 0;
    ts_error error;
    if (ts_param_set(&here, &value, node.as_scalar(row.key).c_str(), &error) != TS_OK)
        user_error(node.place, error.message);
    return value;
}

bool parse_bool(const char *key, const YamlNode &node)
{
    return parse(row_of(key, TS_PARAM_BOOL, 0, 0, 1), node) != 0;
}

// Becomes a part of keys and a cell of vms.csv.
const std::string &read_name(const YamlNode &node)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_-";
    const std::string &name = node.as_scalar("name");
    if (name.empty() || name.size() > 40 || name.find_first_not_of(allowed) != std::string::npos)
        user_error(node.place, "the name of a VM, '" + name +
                                   "', must be of 1 to 40 letters, digits, '_' and '-'");
    return name;
}

// "3" or "0-3".
std::pair<uint32_t, uint32_t> read_range(const YamlNode &node)
{
    const char *begin = node.scalar.c_str(), *end = begin + node.scalar.size();
    std::pair<uint32_t, uint32_t> range{0, 0};
    auto got = std::from_chars(begin, end, range.first);
    bool fine = got.ec == std::errc();
    range.second = range.first;
    if (fine && got.ptr != end) {
        fine = *got.ptr == '-';
        got = std::from_chars(fine ? got.ptr + 1 : end, end, range.second);
        fine = fine && got.ec == std::errc() && got.ptr == end;
    }
    if (!fine || range.second < range.first)
        user_error(node.place, "pcpus: expected numbers of pCPUs or ranges such as 0-3, not '" +
                                   node.scalar + "'");
    return range;
}

void read_pcpus(VmEntry *vm, const YamlNode &node)
{
    for (const YamlNode *item : node.as_list("pcpus")) {
        const auto range = read_range(*item);
        for (const auto &other : vm->pcpus)
            if (range.first <= other.second && other.first <= range.second)
                user_error(item->place, "pcpus names pCPU " +
                                            std::to_string(std::max(range.first, other.first)) +
                                            " twice");
        vm->pcpus.push_back(range);
        vm->pcpu_places.push_back(item->place);
    }
    if (vm->pcpus.empty())
        user_error(node.place, "pcpus is a list of pCPUs");
}

void check_owner(const Layer &layer)
{
    for (const auto &item : layer)
        if (!vm_may_have(*item.second.key))
            user_error(item.second.place,
                       item.first +
                           " is the host's, the same for all VMs: a VM has its own guest.*, "
                           "nt.*, guest_sched.*, flush.* and workload.*");
}

// `workload`, `guest` and `set`, whose keys depend on each other.
void read_parts(VmEntry *vm, const YamlNode &map, const PartsOf &of, const WorkloadChoice &load,
                std::vector<ArchWish> *wishes)
{
    if (const YamlEntry *workload = map.find("workload")) {
        vm->has_workload = true;
        vm->load = workload_read(workload->value, of, nullptr, &vm->own);
    }
    const ts_workload_kind *kind = vm->has_workload ? vm->load.workload : load.workload;
    std::string label;
    vm->has_guest = map.find("guest") != nullptr;
    piece_read(map, "guest", of, &vm->guest, &label, wishes);
    if (const YamlEntry *set = map.find("set")) {
        layer_take(&vm->own, set->value, "", of.document, KeyOwners{kind, nullptr},
                   LayerOf::Experiment);
        check_owner(vm->own);
    }
}

VmEntry read_entry(const YamlNode &node, size_t index, const PartsOf &of,
                   const WorkloadChoice &load, std::vector<ArchWish> *wishes)
{
    static const std::vector<std::string> known{"name",     "count",     "vcpus",      "guest",
                                                "workload", "mechanism", "shares",     "pcpus",
                                                "socket",   "pin",       "background", "set"};
    VmEntry vm;
    vm.place = node.place;
    vm.name = "vm" + std::to_string(index);
    node.as_map("a VM");
    if (const YamlEntry *name = node.find("name"))
        vm.name = read_name(name->value);
    for (const YamlEntry &entry : node.entries) {
        if (std::find(known.begin(), known.end(), entry.key) == known.end())
            user_error(entry.place,
                       "unknown key '" + entry.key + "' of a VM" + did_you_mean(entry.key, known));
        if (number_row(entry.key)) {
            const Key &key = *vm_key_find(prefix + vm.name + "." + entry.key);
            vm.numbers[key.name] = setting_of(key, entry.value.as_scalar(entry.key),
                                              entry.value.place, LayerOf::Experiment);
        } else if (entry.key == "pcpus") {
            read_pcpus(&vm, entry.value);
        } else if (entry.key == "socket") {
            vm.has_socket = true;
            vm.socket = static_cast<uint32_t>(
                parse(row_of("socket", TS_PARAM_COUNT, 0, 0, TS_CPU_MAX), entry.value));
            vm.socket_place = entry.value.place;
        } else if (entry.key == "pin") {
            vm.pin = parse_bool("pin", entry.value);
        } else if (entry.key == "background") {
            vm.background = parse_bool("background", entry.value);
        } else if (entry.key == "mechanism") {
            vm.mechanism_place = entry.value.place;
            vm.mechanism = &mechanism_need(entry.value.as_scalar("mechanism"), entry.value.place);
        }
    }
    if (vm.has_socket && !vm.pcpus.empty())
        user_error(vm.socket_place, "'socket' does not go with 'pcpus'");
    read_parts(&vm, node, of, load, wishes);
    return vm;
}

} // namespace

std::vector<VmEntry> vms_read(const YamlNode &map, const PartsOf &of, const WorkloadChoice &load,
                              std::vector<ArchWish> *wishes)
{
    std::vector<VmEntry> vms;
    const YamlEntry *list = map.find("vms");
    if (!list)
        return vms;
    if (list->value.kind != YamlNode::Sequence || list->value.items.empty())
        user_error(list->value.place, "'vms' is a list of VMs, each with at least a name");
    for (const YamlNode &item : list->value.items) {
        VmEntry vm = read_entry(item, vms.size(), of, load, wishes);
        for (const VmEntry &other : vms)
            if (other.name == vm.name)
                user_error(vm.place, "'vms' names '" + vm.name + "' twice");
        vms.push_back(std::move(vm));
    }
    return vms;
}

std::string vm_key_entry(const std::string &name)
{
    const size_t dot = name.rfind('.');
    return dot > prefix.size() ? name.substr(prefix.size(), dot - prefix.size()) : "";
}

const Key *vm_key_find(const std::string &name)
{
    // Made once each, as those of the tables are.
    static std::map<std::string, Key> keys;
    if (name.compare(0, prefix.size(), prefix) != 0 || vm_key_entry(name).empty())
        return nullptr;
    const ts_param *row = number_row(name.substr(name.rfind('.') + 1));
    if (!row)
        return nullptr;
    Key &key = keys[name];
    key.name = name;
    key.scope = KeyScope::Vm;
    key.row = row;
    return &key;
}

bool vm_may_have(const Key &key)
{
    if (key.scope == KeyScope::Flush || key.scope == KeyScope::Workload)
        return true;
    const ts_param_table *table =
        key.scope == KeyScope::Machine ? ts_machine_params[key.owner].table : nullptr;
    return table == &ts_guest_param_table || table == &ts_nt_param_table ||
           table == &ts_guest_sched_param_table;
}

void vm_place(const VmEntry &entry, const ts_machine_config &config, ts_cpumask *out)
{
    const ts_topology_params &t = config.topology;
    const uint64_t pcpus = t.sockets * t.cores_per_socket * t.threads_per_core;
    ts_cpumask_init(out, 0);
    if (!entry.has_socket && entry.pcpus.empty())
        return;
    if (entry.has_socket && entry.socket >= t.sockets)
        user_error(entry.socket_place, "there is no socket " + std::to_string(entry.socket) +
                                           ", the machine has " + std::to_string(t.sockets));
    if (pcpus > TS_CPU_MAX)
        return; // ts_machine_check says so
    ts_cpumask_init(out, static_cast<uint32_t>(pcpus));
    for (size_t i = 0; i < entry.pcpus.size(); i++) {
        if (entry.pcpus[i].second >= pcpus)
            user_error(entry.pcpu_places[i], "there is no pCPU " +
                                                 std::to_string(entry.pcpus[i].second) +
                                                 ", the machine has " + std::to_string(pcpus));
        for (uint32_t p = entry.pcpus[i].first; p <= entry.pcpus[i].second; p++)
            ts_cpumask_set(out, p);
    }
    ts_topology topology;
    ts_error error;
    if (!entry.has_socket || ts_topology_init(&topology, &t, &error) != TS_OK)
        return;
    for (uint32_t p = 0; p < topology.ncpus; p++)
        if (topology.socket[p] == entry.socket)
            ts_cpumask_set(out, p);
    ts_topology_fini(&topology);
}

std::string vm_pcpus_text(const VmEntry &entry)
{
    std::string text;
    for (const auto &range : entry.pcpus) {
        text += (text.empty() ? "[" : ", ") + std::to_string(range.first);
        if (range.second != range.first)
            text += "-" + std::to_string(range.second);
    }
    return text + "]";
}

} // namespace ts
