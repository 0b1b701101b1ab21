// SPDX-License-Identifier: Apache-2.0
// config.resolved.yaml: every parameter of one run, where it comes from, and whether it is assumed.
#include "sim/front/experiment.hpp"

#include <cstdio>

namespace ts
{
namespace
{

// The comment ends at the line's end, whatever a source text holds.
std::string one_line(const std::string &text)
{
    std::string line;
    for (const char c : text)
        line += c == '\n' || c == '\r' ? ' ' : c;
    return line;
}

// Values that are the table's own are plain, so that the reader takes source and confidence from
// the table again; others carry theirs. Thus the file, read back, resolves to itself.
std::string parameter_line(const ResolvedValue &value, const std::string &key)
{
    const std::string text = yaml_quote(value.key->format(value.value));
    const std::string assumed = ts_confidence_assumed(value.confidence) ? ", assumed" : "";
    const std::string confidence = ts_confidence_name(value.confidence);
    const bool own = value.value == value.key->row->def && value.source == value.key->row->source &&
                     value.confidence == value.key->row->confidence;
    if (own)
        return key + ": " + text + " # " + one_line(value.source) + "; " + confidence + assumed;
    return key + ": {value: " + text + ", source: " + yaml_quote(value.source) +
           ", confidence: " + confidence + "} # " + confidence + assumed;
}

// The workload's lines but for its parameters.
std::string choice_text(const WorkloadChoice &choice, const std::string &indent)
{
    std::string text = "workload:\n" + indent + "  kind: " + choice.workload->ops.name + "\n";
    if (!choice.trace)
        return text;
    char crc[16];
    std::snprintf(crc, sizeof crc, "%08x", static_cast<unsigned>(choice.trace->crc32()));
    return text + indent + "  file: " + yaml_quote(choice.trace_label) + " # " +
           std::to_string(choice.trace->file_bytes()) + " bytes, CRC-32 " + crc + "\n";
}

std::string vm_text(const ResolvedVm &vm)
{
    static const std::string indent = "        ";
    const VmEntry &entry = *vm.entry;
    std::string text = "      - name: " + entry.name + "\n" + indent +
                       "count: " + std::to_string(vm.count) + "\n" + indent +
                       "vcpus: " + std::to_string(vm.shape.vcpus) + "\n" + indent +
                       "shares: " + std::to_string(vm.shape.shares) + "\n";
    if (!entry.pcpus.empty())
        text += indent + "pcpus: " + vm_pcpus_text(entry) + "\n";
    if (entry.has_socket)
        text += indent + "socket: " + std::to_string(entry.socket) + "\n";
    if (entry.pin)
        text += indent + "pin: true\n";
    if (entry.background)
        text += indent + "background: true\n";
    if (entry.mechanism)
        text += indent + "mechanism: " + entry.mechanism->name + "\n";
    if (entry.has_workload)
        text += indent + choice_text(entry.load, indent);
    std::string set;
    for (const ResolvedValue &value : vm.values) {
        if (entry.has_workload && value.key->scope == KeyScope::Workload)
            text += indent + "  " + parameter_line(value, value.key->row->key) + "\n";
        else
            set += indent + "  " + parameter_line(value, value.key->name) + "\n";
    }
    return text + (set.empty() ? "" : indent + "set:\n" + set);
}

std::string vms_text(const Resolved &resolved)
{
    std::string text;
    for (const ResolvedVm &vm : resolved.vms)
        text += vm_text(vm);
    return text.empty() ? "" : "    vms:\n" + text;
}

std::string subject_text(const Point &point, const Resolved &resolved)
{
    const std::string platform = "platforms:\n  " + point.platform->name + ":";
    const std::string host =
        host_tasks_text(point.platform->host_tasks, point.platform->host_noise);
    if (point.mechanism)
        return platform + "\n    mechanisms: [" + point.subject.name + "]\n" +
               (host.empty() ? "" : "    host: " + host + "\n") + vms_text(resolved);
    return "study: " + point.subject.name + "\n" + platform + " {}\n";
}

std::string workload_text(const Experiment &experiment, const Resolved &resolved)
{
    std::string text = choice_text(experiment, "");
    for (const ResolvedValue &value : resolved.values)
        if (value.key->scope == KeyScope::Workload)
            text += "  " + parameter_line(value, value.key->row->key) + "\n";
    return text;
}

} // namespace

std::string resolved_yaml(const Experiment &experiment, const Point &point,
                          const Resolved &resolved)
{
    std::string text = "# One run, complete: `tlbstorm run` on this file repeats it.\n"
                       "# Each line ends with the value's source and confidence; those marked "
                       "assumed are\n# remembered or guessed and not taken from a source.\n";
    text += "schema: 1\nname: " + experiment.name + "\n";
    if (!experiment.title.empty())
        text += "title: " + yaml_quote(experiment.title) + "\n";
    text += "repetitions: 1\nseed: " + std::to_string(point.seed) + "\n";
    text += subject_text(point, resolved);
    if (experiment.workload)
        text += workload_text(experiment, resolved);
    text += "set:\n";
    std::string section;
    for (const ResolvedValue &value : resolved.values) {
        if (value.key->scope == KeyScope::Workload)
            continue;
        const std::string row = value.key->row->key;
        const std::string prefix =
            value.key->name.substr(0, value.key->name.size() - row.size() - 1);
        if (prefix != section)
            text += "  " + prefix + ":\n";
        section = prefix;
        text += "    " + parameter_line(value, row) + "\n";
    }
    return text;
}

} // namespace ts
