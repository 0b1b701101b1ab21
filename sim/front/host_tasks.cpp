// SPDX-License-Identifier: Apache-2.0
#include "sim/front/host_tasks.hpp"

#include <algorithm>

namespace ts
{
namespace
{

constexpr size_t name_max = 23;

// What a number of an operation is called, and where it goes.
struct Field {
    ts_param row;
    void (*put)(ts_host_op *op, uint64_t value);
    uint64_t (*get)(const ts_host_op &op);
};

ts_param row_of(const char *key, ts_param_type type, uint64_t min, uint64_t max)
{
    return ts_param{key, type, 0, min, min, max, nullptr, "", "", TS_CONF_CHOICE};
}

void put_amount(ts_host_op *op, uint64_t value)
{
    op->amount = value;
}
uint64_t get_amount(const ts_host_op &op)
{
    return op.amount;
}

const Field vm_field{row_of("vm", TS_PARAM_COUNT, 0, UINT32_MAX - 1),
                     [](ts_host_op *op, uint64_t value) { op->vm = static_cast<uint32_t>(value); },
                     [](const ts_host_op &op) -> uint64_t { return op.vm; }};
const Field vcpu_field{
    row_of("vcpu", TS_PARAM_COUNT, 0, UINT32_MAX - 1),
    [](ts_host_op *op, uint64_t value) { op->vcpu = static_cast<uint32_t>(value); },
    [](const ts_host_op &op) -> uint64_t { return op.vcpu; }};
const Field start_field{row_of("start", TS_PARAM_BYTES, 0, UINT64_C(1) << 48),
                        [](ts_host_op *op, uint64_t value) { op->start = value; },
                        [](const ts_host_op &op) { return op.start; }};
const Field length_field{row_of("length", TS_PARAM_BYTES, 4096, UINT64_C(1) << 48), put_amount,
                         get_amount};
const Field slot_field{
    row_of("slot", TS_PARAM_COUNT, 0, UINT32_MAX - 1),
    [](ts_host_op *op, uint64_t value) { op->slot = static_cast<uint32_t>(value); },
    [](const ts_host_op &op) -> uint64_t { return op.slot; }};
const char *const page_sizes[] = {"4KiB", "2MiB", "1GiB", nullptr};
const Field pages_field{
    ts_param{"pages", TS_PARAM_ENUM, 0, 0, 0, 2, page_sizes, "", "", TS_CONF_CHOICE},
    [](ts_host_op *op, uint64_t value) { op->level = static_cast<uint32_t>(value); },
    [](const ts_host_op &op) -> uint64_t { return op.level; }};
const Field stage_field{
    ts_param{"name", TS_PARAM_ENUM, 0, 0, 0, TS_VM_STAGES - 1, ts_vm_stage_names, "", "",
             TS_CONF_CHOICE},
    [](ts_host_op *op, uint64_t value) { op->stage = static_cast<uint32_t>(value); },
    [](const ts_host_op &op) -> uint64_t { return op.stage; }};
const Field cycles{row_of("compute", TS_PARAM_CYCLES, 1, UINT64_C(1) << 48), put_amount,
                   get_amount};
const Field time{row_of("sleep", TS_PARAM_TIME, 1, 1000000 * TS_S), put_amount, get_amount};
const Field kernel{row_of("kernel", TS_PARAM_TIME, 1, 1000000 * TS_S), put_amount, get_amount};
const ts_param pcpu_row = row_of("pcpu", TS_PARAM_COUNT, 0, UINT32_MAX - 1);
// The random times of a host's noise.
const ts_param every_row = row_of("every", TS_PARAM_TIME, TS_NS, TS_S);
const ts_param work_row = row_of("work", TS_PARAM_TIME, 0, TS_S);

// Operations that a file may name: each with one value, or with fields by name.
struct Form {
    ts_host_op_kind kind;
    const Field *value;
    std::vector<const Field *> fields;
};
const std::vector<Form> &forms()
{
    static const std::vector<Form> all{
        {TS_HOST_COMPUTE, &cycles, {}},
        {TS_HOST_SLEEP, &time, {}},
        {TS_HOST_KERNEL, &kernel, {}},
        {TS_HOST_INVEPT, nullptr, {&vm_field}},
        {TS_HOST_FLUSH, nullptr, {&vm_field}},
        {TS_HOST_FLUSH_RANGE, nullptr, {&vm_field, &start_field, &length_field}},
        {TS_HOST_FLUSH_IPA, nullptr, {&vm_field, &start_field}},
        {TS_HOST_FLUSH_ALL, nullptr, {}},
        {TS_HOST_KICK, nullptr, {&vm_field, &vcpu_field}},
        {TS_HOST_SLOT_ADD,
         nullptr,
         {&vm_field, &slot_field, &start_field, &length_field, &pages_field}},
        {TS_HOST_SLOT_FILL, nullptr, {&vm_field, &slot_field, &pages_field}},
        {TS_HOST_SLOT_SPLIT, nullptr, {&vm_field, &slot_field}},
        {TS_HOST_SLOT_DELETE, nullptr, {&vm_field, &slot_field}},
        {TS_HOST_LOG_START, nullptr, {&vm_field, &slot_field}},
        {TS_HOST_LOG_STOP, nullptr, {&vm_field, &slot_field}},
        {TS_HOST_NOTIFY, nullptr, {&vm_field, &start_field, &length_field}},
        {TS_HOST_STAGE, nullptr, {&vm_field, &stage_field}},
    };
    return all;
}

[[noreturn]] void unknown(const std::string &word, const std::string &of, const Place &place,
                          const std::vector<std::string> &known)
{
    user_error(place, "unknown key '" + word + "' of " + of + did_you_mean(word, known));
}

const Form &form_need(const std::string &name, const Place &place)
{
    for (const Form &form : forms())
        if (name == ts_host_ops[form.kind].name)
            return form;
    user_error(place, "unknown operation '" + name + "' of a host task" +
                          did_you_mean(name, host_operation_names()));
}

uint64_t parse(const ts_param &row, const YamlNode &node)
{
    uint64_t value = 0;
    ts_error error;
    if (ts_param_parse(&row, node.as_scalar(row.key).c_str(), &value, &error) != TS_OK)
        user_error(node.place, error.message);
    if (value < row.min || value > row.max) {
        char text[64];
        ts_param_format(&row, value < row.min ? row.min : row.max, text, sizeof text);
        user_error(node.place, std::string(row.key) + ": must be at " +
                                   (value < row.min ? "least " : "most ") + text);
    }
    return value;
}

void read_fields(ts_host_op *op, const Form &form, const YamlNode &map)
{
    const std::string name = ts_host_ops[form.kind].name;
    std::vector<std::string> known;
    for (const Field *field : form.fields)
        known.emplace_back(field->row.key);
    for (const YamlEntry &entry : map.as_map(name)) {
        const auto at = std::find(known.begin(), known.end(), entry.key);
        if (at == known.end())
            unknown(entry.key, name, entry.place, known);
        const Field &field = *form.fields[static_cast<size_t>(at - known.begin())];
        field.put(op, parse(field.row, entry.value));
    }
    if (std::find(form.fields.begin(), form.fields.end(), &length_field) != form.fields.end() &&
        !map.find("length"))
        user_error(map.place, name + " has no 'length'");
}

// `flush_all`, `sleep: 1ms` or `flush_range: {vm: 0, start: 0, length: 2MiB}`.
HostTask::Op read_operation(const YamlNode &node)
{
    HostTask::Op out{{}, node.place};
    const bool bare = node.kind == YamlNode::Scalar;
    if (!bare && (node.kind != YamlNode::Map || node.entries.size() != 1))
        user_error(node.place, "an operation of a host task is a name, or a name with its value");
    const std::string &name = bare ? node.scalar : node.entries[0].key;
    out.place = bare ? node.place : node.entries[0].place;
    const Form &form = form_need(name, out.place);
    out.op.kind = form.kind;
    out.op.vm = form.kind == TS_HOST_INVEPT ? TS_HOST_ALL_VMS : 0;
    const YamlNode *value = bare ? nullptr : &node.entries[0].value;
    if (form.value && !value)
        user_error(out.place, name + " needs a value: " + name + ": " +
                                  (form.kind == TS_HOST_COMPUTE ? "1000cycles" : "1ms"));
    if (form.value)
        form.value->put(&out.op, parse(form.value->row, *value));
    else if (value && value->kind != YamlNode::Null)
        read_fields(&out.op, form, *value);
    else if (form.kind == TS_HOST_FLUSH_RANGE)
        user_error(out.place, "flush_range has no 'length'");
    return out;
}

std::string read_name(const YamlNode &node)
{
    const std::string &name = node.as_scalar("name");
    if (name.empty() || name.size() > name_max)
        user_error(node.place,
                   "the name of a host task has 1 to " + std::to_string(name_max) + " characters");
    return name;
}

HostTask read_task(const YamlNode &node, size_t index)
{
    static const std::vector<std::string> known{"name", "pcpu", "background", "repeat",
                                                "operations"};
    static const ts_param repeat = row_of("repeat", TS_PARAM_COUNT, 1, UINT64_C(1) << 62);
    static const ts_param background = row_of("background", TS_PARAM_BOOL, 0, 1);
    HostTask task;
    task.place = node.place;
    task.name = "host" + std::to_string(index);
    for (const YamlEntry &entry : node.as_map("a host task")) {
        if (entry.key == "name") {
            task.name = read_name(entry.value);
        } else if (entry.key == "pcpu") {
            task.pcpu = static_cast<uint32_t>(parse(pcpu_row, entry.value));
            task.pcpu_place = entry.value.place;
        } else if (entry.key == "background") {
            task.background = parse(background, entry.value) != 0;
        } else if (entry.key == "repeat") {
            task.repeat = parse(repeat, entry.value);
        } else if (entry.key == "operations") {
            if (entry.value.kind != YamlNode::Sequence)
                user_error(entry.value.place, "'operations' is a list");
            for (const YamlNode &item : entry.value.items)
                task.operations.push_back(read_operation(item));
        } else {
            unknown(entry.key, "a host task", entry.place, known);
        }
    }
    if (task.operations.empty())
        user_error(node.place, "the host task '" + task.name + "' has no 'operations'");
    return task;
}

// `all`, `any`, or the numbers of some.
void read_pcpus(HostNoise *noise, const YamlNode &node)
{
    if (node.kind == YamlNode::Scalar && (node.scalar == "all" || node.scalar == "any")) {
        noise->every_pcpu = node.scalar == "all";
        return;
    }
    for (const YamlNode *item : node.as_list("pcpus")) {
        const auto pcpu = static_cast<uint32_t>(parse(pcpu_row, *item));
        if (std::find(noise->pcpus.begin(), noise->pcpus.end(), pcpu) != noise->pcpus.end())
            user_error(item->place, "pcpus names pCPU " + std::to_string(pcpu) + " twice");
        noise->pcpus.push_back(pcpu);
        noise->pcpu_places.push_back(item->place);
    }
    if (noise->pcpus.empty())
        user_error(node.place, "pcpus is all, any, or a list of pCPUs");
}

// `any`, or `{vm: 1}`.
void read_invalidate(HostNoise *noise, const YamlNode &node)
{
    noise->vm_place = node.place;
    if (node.kind == YamlNode::Scalar && node.scalar == "any") {
        noise->params.vm = TS_HOST_ALL_VMS;
        return;
    }
    if (node.kind != YamlNode::Map || node.entries.size() != 1 || node.entries[0].key != "vm")
        user_error(node.place, "invalidate is any, or names a VM: {vm: 0}");
    noise->vm_place = node.entries[0].value.place;
    noise->params.vm = static_cast<uint32_t>(parse(vm_field.row, node.entries[0].value));
}

HostNoise read_noise(const YamlNode &node, size_t index)
{
    static const std::vector<std::string> known{"name", "pcpus", "every", "work", "invalidate"};
    HostNoise noise;
    noise.place = node.place;
    noise.name = "noise" + std::to_string(index);
    for (const YamlEntry &entry : node.as_map("noise of the host")) {
        if (entry.key == "name")
            noise.name = read_name(entry.value);
        else if (entry.key == "pcpus")
            read_pcpus(&noise, entry.value);
        else if (entry.key == "every")
            noise.params.every_ps = parse(every_row, entry.value);
        else if (entry.key == "work")
            noise.params.work_ps = parse(work_row, entry.value);
        else if (entry.key == "invalidate")
            read_invalidate(&noise, entry.value);
        else
            unknown(entry.key, "noise of the host", entry.place, known);
    }
    if (!noise.params.every_ps)
        user_error(node.place, "the noise '" + noise.name + "' needs 'every': 10ms");
    if (!noise.params.work_ps && noise.params.vm == TS_HOST_NO_VM)
        user_error(node.place,
                   "the noise '" + noise.name + "' does nothing: it needs 'work' or 'invalidate'");
    return noise;
}

std::string noise_text(const HostNoise &noise)
{
    char every[64], work[64];
    ts_param_format(&every_row, noise.params.every_ps, every, sizeof every);
    ts_param_format(&work_row, noise.params.work_ps, work, sizeof work);
    std::string text = "{name: " + yaml_quote(noise.name) + ", pcpus: ";
    if (noise.pcpus.empty())
        text += noise.every_pcpu ? "all" : "any";
    for (size_t i = 0; i < noise.pcpus.size(); i++)
        text += (i ? ", " : "[") + std::to_string(noise.pcpus[i]);
    text += (noise.pcpus.empty() ? "" : "]") + std::string(", every: ") + every + ", work: " + work;
    if (noise.params.vm == TS_HOST_ALL_VMS)
        text += ", invalidate: any";
    else if (noise.params.vm != TS_HOST_NO_VM)
        text += ", invalidate: {vm: " + std::to_string(noise.params.vm) + "}";
    return text + "}";
}

// The entry `key` of `host`, or null.
const YamlEntry *host_list(const YamlNode &map, const std::string &key)
{
    const YamlEntry *host = map.find("host");
    if (!host)
        return nullptr;
    for (const YamlEntry &entry : host->value.as_map("host"))
        if (entry.key != "tasks" && entry.key != "noise")
            unknown(entry.key, "host", entry.place, {"tasks", "noise"});
    if (host->value.entries.empty())
        user_error(host->place, "'host' has a list of 'tasks', or one of 'noise'");
    const YamlEntry *list = host->value.find(key);
    if (list && list->value.kind != YamlNode::Sequence)
        user_error(list->value.place, "'" + key + "' of 'host' is a list");
    return list;
}

uint64_t pcpus_of(const ts_machine_config &config)
{
    const ts_topology_params &t = config.topology;
    return t.sockets * t.cores_per_socket * t.threads_per_core;
}

uint32_t vcpus_of(const ts_machine_config &config, uint32_t vm)
{
    const bool own = config.shapes && vm < config.run.vms;
    return static_cast<uint32_t>(own ? config.shapes[vm]->vcpus : config.run.vcpus);
}

std::string value_text(const Field &field, const ts_host_op &op)
{
    char text[64];
    ts_param_format(&field.row, field.get(op), text, sizeof text);
    return text;
}

} // namespace

std::string host_operation_text(const ts_host_op &op)
{
    const std::string name = ts_host_ops[op.kind].name;
    const Form &form = form_need(name, Place());
    if (form.value)
        return "{" + name + ": " + value_text(*form.value, op) + "}";
    if (form.fields.empty() || (op.kind == TS_HOST_INVEPT && op.vm == TS_HOST_ALL_VMS))
        return name;
    std::string text;
    for (const Field *field : form.fields)
        text += (text.empty() ? "" : ", ") + std::string(field->row.key) + ": " +
                value_text(*field, op);
    return "{" + name + ": {" + text + "}}";
}

std::vector<std::string> host_operation_names()
{
    std::vector<std::string> names;
    for (const Form &form : forms())
        names.emplace_back(ts_host_ops[form.kind].name);
    return names;
}

std::vector<HostTask> host_tasks_read(const YamlNode &map)
{
    std::vector<HostTask> tasks;
    if (const YamlEntry *list = host_list(map, "tasks"))
        for (const YamlNode &item : list->value.items)
            tasks.push_back(read_task(item, tasks.size()));
    return tasks;
}

std::vector<HostNoise> host_noise_read(const YamlNode &map)
{
    std::vector<HostNoise> noise;
    if (const YamlEntry *list = host_list(map, "noise"))
        for (const YamlNode &item : list->value.items)
            noise.push_back(read_noise(item, noise.size()));
    return noise;
}

void host_tasks_check(const std::vector<HostTask> &tasks, const ts_machine_config &config,
                      const std::string &platform)
{
    const ts_topology_params &t = config.topology;
    const uint64_t pcpus = pcpus_of(config);
    for (const HostTask &task : tasks) {
        if (config.hypervisor.kind == TS_HYP_NONE)
            user_error(task.place, platform + ": host task '" + task.name +
                                       "': there is no host (hypervisor.kind is none)");
        if (task.pcpu != TS_HOST_ANY_PCPU && task.pcpu >= pcpus)
            user_error(task.pcpu_place, platform + ": there is no pCPU " +
                                            std::to_string(task.pcpu) + ", the machine has " +
                                            std::to_string(pcpus));
        for (const HostTask::Op &op : task.operations) {
            ts_error error;
            if (ts_host_op_check(&op.op, &config.hypervisor, static_cast<ts_arch>(t.arch),
                                 static_cast<uint32_t>(config.run.vms), vcpus_of(config, op.op.vm),
                                 &error) != TS_OK)
                user_error(op.place, platform + ": " + error.message);
        }
    }
}

void host_noise_check(const std::vector<HostNoise> &noise, const ts_machine_config &config,
                      const std::string &platform)
{
    for (const HostNoise &n : noise) {
        if (config.hypervisor.kind == TS_HYP_NONE)
            user_error(n.place, platform + ": noise '" + n.name +
                                    "': there is no host (hypervisor.kind is none)");
        for (size_t i = 0; i < n.pcpus.size(); i++)
            if (n.pcpus[i] >= pcpus_of(config))
                user_error(n.pcpu_places[i], platform + ": there is no pCPU " +
                                                 std::to_string(n.pcpus[i]) + ", the machine has " +
                                                 std::to_string(pcpus_of(config)));
        if (n.params.vm < TS_HOST_NO_VM && n.params.vm >= config.run.vms)
            user_error(n.vm_place, platform + ": invalidate: there is no VM " +
                                       std::to_string(n.params.vm) + ", run.vms is " +
                                       std::to_string(config.run.vms));
    }
}

std::string host_tasks_text(const std::vector<HostTask> &tasks, const std::vector<HostNoise> &noise)
{
    std::string text;
    for (const HostTask &task : tasks) {
        text += (text.empty() ? "{name: " : ", {name: ") + yaml_quote(task.name);
        if (task.pcpu != TS_HOST_ANY_PCPU)
            text += ", pcpu: " + std::to_string(task.pcpu);
        if (task.background)
            text += ", background: true";
        text += ", repeat: " + std::to_string(task.repeat) + ", operations: [";
        for (size_t i = 0; i < task.operations.size(); i++)
            text += (i ? ", " : "") + host_operation_text(task.operations[i].op);
        text += "]}";
    }
    std::string random;
    for (const HostNoise &n : noise)
        random += (random.empty() ? "" : ", ") + noise_text(n);
    if (!text.empty())
        text = "tasks: [" + text + "]";
    if (!random.empty())
        text += (text.empty() ? "noise: [" : ", noise: [") + random + "]";
    return text.empty() ? text : "{" + text + "}";
}

void HostStreams::add_to(ts_machine *machine, const std::vector<HostTask> &tasks)
{
    for (const HostTask &task : tasks) {
        streams_.emplace_back();
        Stream &s = streams_.back();
        for (const HostTask::Op &op : task.operations)
            s.ops.push_back(op.op);
        ts_host_script_init(&s.script, s.ops.data(), s.ops.size(), task.repeat);
        const ts_host_task_config config{task.name.c_str(), task.pcpu, task.background,
                                         &s.script.stream};
        ts_error error;
        if (ts_machine_add_host_task(machine, &config, &error) != TS_OK)
            throw Error(error);
    }
}

void HostStreams::add_to(ts_machine *machine, const std::vector<HostNoise> &noise,
                         const ts_machine_config &config, uint64_t seed)
{
    for (const HostNoise &n : noise) {
        std::vector<uint32_t> pcpus = n.pcpus;
        if (n.every_pcpu)
            for (uint32_t i = 0; i < pcpus_of(config); i++)
                pcpus.push_back(i);
        if (pcpus.empty())
            pcpus.push_back(TS_HOST_ANY_PCPU);
        for (const uint32_t pcpu : pcpus) {
            const uint64_t instance = noise_.size();
            noise_.emplace_back();
            ts_host_noise_init(&noise_.back(), &n.params, static_cast<uint32_t>(config.run.vms),
                               seed, instance);
            const ts_host_task_config task{n.name.c_str(), pcpu, true, &noise_.back().stream};
            ts_error error;
            if (ts_machine_add_host_task(machine, &task, &error) != TS_OK)
                throw Error(error);
        }
    }
}

} // namespace ts
