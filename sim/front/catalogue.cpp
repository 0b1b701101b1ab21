// SPDX-License-Identifier: Apache-2.0
#include "sim/front/catalogue.hpp"

#include "models/cpu/sched.h"
#include "models/interconnect/fabric.h"
#include "models/study/study.h"
#include "models/tlb/replacement.h"
#include "sim/front/document.hpp"
#include "sim/front/experiment.hpp"
#include "sim/front/stats_files.hpp"

namespace ts
{
namespace
{

using Entries = std::vector<CatalogueEntry>;

void add(Entries *entries, const std::string &kind, const std::string &name, const char *text,
         const std::vector<std::string> &more)
{
    CatalogueEntry entry{kind, name, text ? text : "", {}};
    for (const std::string &line : more)
        if (!line.empty())
            entry.more.push_back(line);
    entries->push_back(std::move(entry));
}

std::string text_of(const char *text)
{
    return text ? text : "";
}

template <typename Ops>
void add_table(Entries *entries, const std::string &kind, const Ops *const *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(entries, kind, table[i]->name, table[i]->summary, {text_of(table[i]->reference)});
}

// With the titles that the files give themselves.
void add_files(Entries *entries, const std::string &kind, const std::string &folder)
{
    const Paths paths("");
    for (const std::string &name : paths.names(folder)) {
        const std::string path = paths.piece(folder, name, Place());
        const YamlNode root = yaml_load(path, Place());
        const YamlEntry *title = root.find("title");
        const bool has = title && title->value.kind == YamlNode::Scalar;
        add(entries, kind, name, has ? title->value.scalar.c_str() : "", {path});
    }
}

void add_statistics(void *user, const ts_stat_table *table, const void *)
{
    for (size_t i = 0; i < table->nrows; i++) {
        const ts_stat &row = table->rows[i];
        add(static_cast<Entries *>(user), "statistic", std::string(table->group) + "." + row.name,
            row.help, {"unit: " + text_of(row.unit)});
    }
}

// The models' own, as a machine shows them.
void add_machine_statistics(Entries *entries)
{
    const Experiment experiment = experiment_parse(
        "schema: 1\nname: any\nworkload: {kind: mmap_storm}\nmechanisms: [free_flush]\n"
        "host: {tasks: [{operations: [{sleep: 1us}]}]}\n",
        "", {}, false);
    const Point point = experiment_points(experiment).at(0);
    const Resolved resolved = resolve(experiment, point);
    const Workload made = workload_make(experiment, resolved.workload_params, 1, 0);
    const ts_machine_vm vm = {made.workload.get(), point.mechanism, resolved.subject_struct()};
    ts_machine *machine = nullptr;
    ts_error error;
    if (ts_machine_create(&machine, &resolved.config, &vm, 1, &error) != TS_OK)
        throw Error(error);
    HostStreams host;
    host.add_to(machine, point.platform->host_tasks);
    ts_machine_visit_stats(machine, add_statistics, entries);
    ts_machine_destroy(machine);
}

} // namespace

std::string needs_text(uint32_t needs)
{
    static const std::pair<uint32_t, const char *> names[] = {
        {TS_NEEDS_X86, "x86"},
        {TS_NEEDS_ARM64, "arm64"},
        {TS_NEEDS_VM, "a hypervisor"},
        {TS_NEEDS_PV_TLB_FLUSH, "hypervisor.pv_tlb_flush"},
        {TS_NEEDS_HV_FLUSH, "hypervisor.hv_flush"},
        {TS_NEEDS_TLBIRANGE, "guest.tlbirange"},
        {TS_NEEDS_BARE_METAL, "bare metal"},
        {TS_NEEDS_INVLPGB, "dvm.invlpgb"},
        {TS_NEEDS_RAR, "rar.present"},
        {TS_NEEDS_XEN, "hypervisor.kind xen"},
        {TS_NEEDS_VMID_FILTER, "dvm.vmid_filter"},
    };
    std::string text;
    for (const auto &name : names)
        if (needs & name.first)
            text += (text.empty() ? "needs " : ", ") + std::string(name.second);
    return text;
}

std::vector<CatalogueEntry> catalogue()
{
    Entries entries;
    for (size_t i = 0; i < ts_flush_table_count; i++)
        add(&entries, "mechanism", ts_flush_table[i]->name, ts_flush_table[i]->summary,
            {needs_text(ts_flush_table[i]->needs), text_of(ts_flush_table[i]->reference),
             text_of(ts_flush_table[i]->faults)});
    for (size_t i = 0; i < ts_workload_kinds_count; i++)
        add(&entries, "workload", ts_workload_kinds[i]->ops.name, ts_workload_kinds[i]->ops.summary,
            {text_of(ts_workload_kinds[i]->ops.reference)});
    add_table(&entries, "study", ts_study_table, ts_study_table_count);
    add_table(&entries, "fabric", ts_fabric_table, ts_fabric_table_count);
    add_table(&entries, "replacement", ts_replacement_table, ts_replacement_table_count);
    add_table(&entries, "scheduler", ts_sched_table, ts_sched_table_count);
    add_files(&entries, "machine", "machines");
    add_files(&entries, "hypervisor", "hypervisors");
    add_files(&entries, "guest", "guests");
    add_files(&entries, "experiment", "experiments");
    add_files(&entries, "reproduction", "reproduce");
    for (size_t i = 0; i < result_columns_count; i++)
        add(&entries, "statistic", "result." + std::string(result_columns[i].name),
            result_columns[i].help, {"unit: " + text_of(result_columns[i].unit)});
    add_machine_statistics(&entries);
    for (size_t i = 0; i < ts_study_table_count; i++)
        add_statistics(&entries, ts_study_table[i]->stats, nullptr);
    return entries;
}

} // namespace ts
