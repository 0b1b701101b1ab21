// SPDX-License-Identifier: Apache-2.0
// list and explain: what the tables beside the models say.
#include "sim/front/cli.hpp"

#include "models/cpu/sched.h"
#include "models/interconnect/fabric.h"
#include "models/study/study.h"
#include "models/tlb/replacement.h"
#include "sim/front/catalogue.hpp"
#include "sim/front/document.hpp"
#include "sim/front/kept_sensitivity.hpp"
#include "workloads/trace_format.h"

#include <algorithm>
#include <cstdio>

namespace ts
{
namespace
{

void print_line(const std::string &name, const std::string &text)
{
    std::printf("%-24s %s\n", name.c_str(), text.c_str());
}

void print_reference(const char *reference)
{
    if (reference && *reference)
        std::printf("%-24s   %s\n", "", reference);
}

template <typename Ops> void list_table(const Ops *const *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        print_line(table[i]->name, table[i]->summary ? table[i]->summary : "");
        print_reference(table[i]->reference);
    }
}

// Files of a configuration folder, with the titles they give themselves.
void list_files(const std::string &folder)
{
    const Paths paths("");
    if (paths.roots().empty())
        user_error(Place(), "no configs folder was found; TLBSTORM_CONFIGS names one");
    for (const std::string &name : paths.names(folder)) {
        const YamlNode root = yaml_load(paths.piece(folder, name, Place()), Place());
        const YamlEntry *title = root.find("title");
        print_line(name, title && title->value.kind == YamlNode::Scalar ? title->value.scalar : "");
    }
}

void list_mechanisms()
{
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        const ts_flush_ops &ops = *ts_flush_table[i];
        print_line(ops.name, ops.summary);
        print_reference(needs_text(ops.needs).c_str());
        print_reference(ops.faults ? ("faults: " + std::string(ops.faults)).c_str() : nullptr);
        print_reference(ops.reference);
    }
}

std::string accepted(const Key &key)
{
    const ts_param &row = *key.row;
    std::string text;
    if (row.type == TS_PARAM_BOOL)
        return "true or false";
    if (row.type == TS_PARAM_ENUM) {
        for (size_t i = 0; row.enum_names[i]; i++)
            text += (i > 0 ? ", " : "") + std::string(row.enum_names[i]);
        return text;
    }
    const std::string max = row.max == UINT64_MAX ? "2^64-1" : key.format(row.max);
    return key.format(row.min) + " to " + max;
}

// What has been seen of it; nothing if nothing has. A workload's key does not say whose it is.
const std::vector<KeptSensitivity> &sensitivities_of(const Key &key)
{
    static const KeptSensitivities all = kept_sensitivities(Paths(""));
    static const std::vector<KeptSensitivity> none;
    const auto found = all.find(key.name);
    return found == all.end() || key.scope == KeyScope::Workload ? none : found->second;
}

// In short: what a result is called up to its first comma.
std::string sensitivity_cell(const Key &key)
{
    std::string text;
    for (const KeptSensitivity &kept : sensitivities_of(key))
        if (kept_text(kept) != kept_none)
            text += (text.empty() ? "" : "; ") + kept.result.substr(0, kept.result.find(',')) +
                    " " + kept_text(kept);
    return text.empty() && !sensitivities_of(key).empty() ? kept_none : text;
}

void explain_key(const Key &key)
{
    const ts_param &row = *key.row;
    std::printf("%s\n  %s\n", key.long_name().c_str(), row.help);
    std::printf("  type:       %s\n", key.type_name());
    std::printf("  accepts:    %s\n", accepted(key).c_str());
    std::printf("  default:    %s\n", key.format(row.def).c_str());
    std::printf("  source:     %s\n", row.source);
    std::printf("  confidence: %s%s\n", ts_confidence_name(row.confidence),
                key.assumed() ? " (assumed)" : "");
    for (const KeptSensitivity &kept : sensitivities_of(key))
        std::printf("  sensitivity: completion time of %s, %s to %s: %s%s\n", kept.result.c_str(),
                    kept.low.c_str(), kept.high.c_str(), kept_text(kept).c_str(),
                    kept_text(kept) == kept_none ? "" : ", % for 1 % of the parameter");
}

// What each version sets, from the oldest.
void explain_versions(const ts_version_table &table)
{
    std::printf("\n  sets from the version named on, unless the parameter is set by itself:\n");
    for (size_t i = 0; i < table.nrules; i++) {
        const ts_version_rule &rule = table.rules[i];
        std::printf("  %-5s %-32s %-8s %s: %s\n", rule.since, rule.key, rule.value,
                    ts_confidence_name(rule.confidence), rule.source);
    }
}

// A cell of a Markdown table.
std::string cell(const std::string &text)
{
    std::string escaped;
    for (const char c : text) {
        if (c == '|' || c == '<' || c == '*' || c == '_' || c == '\\')
            escaped += '\\';
        escaped += c == '\n' ? ' ' : c;
    }
    return escaped;
}

std::string section_of(const Key &key)
{
    const std::string name = key.long_name();
    return name.substr(0, name.size() - std::string(key.row->key).size() - 1);
}

void explain_markdown()
{
    std::printf(
        "# Parameters\n\n"
        "Made by `tlbstorm explain --all --markdown` from the tables beside the models; a test "
        "holds\nthe two together. Parameters whose confidence is *remembered* or *guess* are "
        "assumed: no source\nhas been read for them. A parameter of a workload is written "
        "`workload.KEY` in an experiment.\n\n"
        "Sensitivity: change of the completion time in per cent for one per cent of the parameter, "
        "of the\nmechanism that moves most, in "
        "[small versions of the main results](../results/sensitivity/README.md);\nof assumed "
        "parameters that these runs have.\n");
    std::string section;
    for (const auto &item : Keys::get().all()) {
        const Key &key = item.second;
        if (section_of(key) != section) {
            section = section_of(key);
            std::printf("\n## %s\n\n| key | meaning | type | accepts | default | source | "
                        "confidence | sensitivity |\n|---|---|---|---|---|---|---|---|\n",
                        section.c_str());
        }
        std::printf("| `%s` | %s | %s | %s | %s | %s | %s%s | %s |\n", key.row->key,
                    cell(key.row->help).c_str(), key.type_name(), cell(accepted(key)).c_str(),
                    cell(key.format(key.row->def)).c_str(), cell(key.row->source).c_str(),
                    ts_confidence_name(key.row->confidence), key.assumed() ? ", assumed" : "",
                    cell(sensitivity_cell(key)).c_str());
    }
}

bool starts_with(const std::string &text, const std::string &start)
{
    return text.compare(0, start.size(), start) == 0;
}

// A statistic also without its group.
bool is_called(const CatalogueEntry &entry, const std::string &name)
{
    const size_t dot = entry.kind == "statistic" ? entry.name.find('.') : std::string::npos;
    return entry.name == name || (dot != std::string::npos && entry.name.substr(dot + 1) == name);
}

// What has exactly that name; false if nothing has.
bool explain_entries(const std::vector<CatalogueEntry> &entries, const std::string &name)
{
    bool found = false;
    for (const CatalogueEntry &entry : entries) {
        if (!is_called(entry, name))
            continue;
        found = true;
        std::printf("%s %s\n  %s\n", entry.kind.c_str(), entry.name.c_str(), entry.text.c_str());
        for (const std::string &line : entry.more)
            std::printf("  %s\n", line.c_str());
        const std::string own = "flush." + name + ".";
        for (const auto &item : Keys::get().all())
            if (entry.kind == "mechanism" && starts_with(item.first, own))
                print_line("  " + item.first, item.second.row->help);
    }
    return found;
}

// All that has the word in its name or in what is said of it; false if nothing has.
bool search(const std::vector<CatalogueEntry> &entries, const std::string &word)
{
    bool found = false;
    const auto show = [&](const std::string &kind, const std::string &name,
                          const std::string &text) {
        if (!contains_word(name, word) && !contains_word(text, word))
            return;
        if (!found)
            std::printf("Nothing is called '%s'. It is found in:\n", word.c_str());
        found = true;
        print_line(kind + " " + name, text);
    };
    for (const auto &item : Keys::get().all())
        show("key", item.first, item.second.row->help);
    for (const CatalogueEntry &entry : entries)
        show(entry.kind, entry.name, entry.text);
    return found;
}

} // namespace

const std::vector<std::string> list_topics{
    "mechanisms",   "studies", "machines",   "hypervisors", "guests", "workloads", "experiments",
    "replacements", "fabrics", "schedulers", "reproduce",   "fits",   "traces"};

void command_list(const std::string &topic)
{
    if (topic == "mechanisms") {
        list_mechanisms();
    } else if (topic == "traces") {
        list_table(ts_trace_formats, ts_trace_formats_count);
    } else if (topic == "workloads") {
        for (size_t i = 0; i < ts_workload_kinds_count; i++) {
            print_line(ts_workload_kinds[i]->ops.name, ts_workload_kinds[i]->ops.summary);
            print_reference(ts_workload_kinds[i]->ops.reference);
        }
    } else if (topic == "studies") {
        list_table(ts_study_table, ts_study_table_count);
    } else if (topic == "replacements") {
        list_table(ts_replacement_table, ts_replacement_table_count);
    } else if (topic == "fabrics") {
        list_table(ts_fabric_table, ts_fabric_table_count);
    } else if (topic == "schedulers") {
        list_table(ts_sched_table, ts_sched_table_count);
    } else {
        list_files(topic);
    }
}

// By its full key; a workload's also by the key that an experiment writes; or all that begin so.
// Else what has that name, or has to do with the word.
void command_explain(const std::string &name)
{
    std::vector<const Key *> found, below;
    std::vector<std::string> names;
    for (const auto &item : Keys::get().all()) {
        const Key &key = item.second;
        names.push_back(item.first);
        if (item.first == name || key.name == name || (key.is_version() && name == key.row->key))
            found.push_back(&key);
        else if (starts_with(item.first, name + "."))
            below.push_back(&key);
    }
    for (const Key *key : found) {
        explain_key(*key);
        if (key->is_version())
            explain_versions(*key->versions());
    }
    if (!found.empty())
        return;
    for (const Key *key : below)
        print_line(key->long_name(), key->row->help);
    if (!below.empty())
        return;
    const std::vector<CatalogueEntry> entries = catalogue();
    if (explain_entries(entries, name) || search(entries, name))
        return;
    for (const CatalogueEntry &entry : entries)
        names.push_back(entry.name);
    user_error(Place(), "unknown key '" + name + "'" + did_you_mean(name, names) +
                            "; `tlbstorm explain --all` lists all keys");
}

void command_explain_all(bool markdown)
{
    if (markdown) {
        explain_markdown();
        return;
    }
    for (const auto &item : Keys::get().all())
        explain_key(item.second);
}

} // namespace ts
