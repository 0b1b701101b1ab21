// SPDX-License-Identifier: Apache-2.0
#include "sim/front/stats_files.hpp"

#include "sim/front/output.hpp"

namespace ts
{

// The number of engine events is left out: it says how the run was simulated, and differs between
// simulation kernels that agree on everything else.
const ResultColumn result_columns[] = {
    {"completion_time", "ps", &ts_machine_result::completion_ps,
     "until the last guest has finished"},
    {"mean_completion_time", "ps", &ts_machine_result::mean_completion_ps,
     "mean over the guests of the time until each has finished"},
    {"user_time", "ps", &ts_machine_result::user_ps, "CPU time of all guests in user mode"},
    {"system_time", "ps", &ts_machine_result::system_ps,
     "CPU time of all guests in the kernel, with interrupts and spinning"},
    {"steal_time", "ps", &ts_machine_result::steal_ps, "vCPUs that wanted to run and could not"},
    {"effective_overcommit", "milli", &ts_machine_result::effective_overcommit_milli,
     "vCPUs that run or wait, per pCPU, mean over the time in which at least one waits; in 1/1000"},
    {"vcpus_per_pcpu", "milli", &ts_machine_result::vcpus_per_pcpu_milli,
     "vCPUs of all VMs, as configured, per pCPU; in 1/1000"},
    {"host_time", "ps", &ts_machine_result::host_ps, "time in the hypervisor"},
    {"operations", "1", &ts_machine_result::operations, "operations of the workload"},
    {"shootdowns", "1", &ts_machine_result::shootdowns, "flushes that concerned another CPU"},
    {"ipis", "1", &ts_machine_result::ipis, "function-call interrupts (IPIs) sent"},
    {"vm_exits", "1", &ts_machine_result::vm_exits, "exits of all vCPUs"},
    {"shootdown_p50", "ps", &ts_machine_result::shootdown_p50_ps,
     "median latency of a shootdown at its initiator"},
    {"shootdown_p99", "ps", &ts_machine_result::shootdown_p99_ps,
     "99th percentile of the latency of a shootdown at its initiator"},
    {"shootdown_max", "ps", &ts_machine_result::shootdown_max_ps,
     "longest latency of a shootdown at its initiator"},
    {"shootdown_mean", "ps", &ts_machine_result::shootdown_mean_ps,
     "mean latency of a shootdown at its initiator"},
    {"munmap_mean", "ps", &ts_machine_result::munmap_mean_ps, "mean time of a munmap call"},
    {"page_touches", "1", &ts_machine_result::page_touches, "pages touched"},
    {"records", "1", &ts_machine_result::records,
     "records of the workload, its units of work, that ended within the window"},
    {"record_rate", "uHz", &ts_machine_result::record_rate_uhz,
     "records in 10^6 seconds of the window, mean over the guests"},
};
const size_t result_columns_count = TS_ARRAY_LEN(result_columns);

StatsFiles::StatsFiles() : csv_("group,name,unit,value\n")
{
    histograms_ = "group,name,unit,low,high,count\n";
    json_["schema"] = 1;
}

void StatsFiles::add_value(const std::string &group, const std::string &name,
                           const std::string &unit, uint64_t value)
{
    json_["groups"][group][name] = {{"value", value}, {"unit", unit}};
    csv_ += group + "," + name + "," + unit + "," + std::to_string(value) + "\n";
}

void StatsFiles::add_hist(const std::string &group, const ts_stat &row, const ts_hist &hist)
{
    nlohmann::ordered_json &json = json_["groups"][group][row.name];
    each_hist_part(hist, row.unit, [&](const char *part, const std::string &unit, uint64_t value) {
        json[part] = value;
        csv_ +=
            group + "," + row.name + "." + part + "," + unit + "," + std::to_string(value) + "\n";
    });
    json["unit"] = row.unit;
    for (uint32_t i = 0; i < TS_HIST_BUCKETS; i++) {
        uint64_t low, high;
        if (hist.buckets[i] == 0)
            continue;
        ts_hist_bucket_range(i, &low, &high);
        histograms_ += group + "," + row.name + "," + row.unit + "," + std::to_string(low) + "," +
                       std::to_string(high) + "," + std::to_string(hist.buckets[i]) + "\n";
    }
}

void StatsFiles::add_table(const ts_stat_table &table, const void *base)
{
    for (size_t i = 0; i < table.nrows; i++) {
        const ts_stat &row = table.rows[i];
        const char *field = static_cast<const char *>(base) + row.offset;
        if (row.kind == TS_STAT_HIST)
            add_hist(table.group, row, *reinterpret_cast<const ts_hist *>(field));
        else
            add_value(table.group, row.name, row.unit, *reinterpret_cast<const uint64_t *>(field));
    }
}

void StatsFiles::visit(void *user, const ts_stat_table *table, const void *base)
{
    auto &files = *static_cast<StatsFiles *>(user);
    try {
        if (!files.failure_)
            files.add_table(*table, base);
    } catch (const std::exception &) {
        files.failure_ = std::current_exception();
    }
}

void StatsFiles::add_result(const struct ts_machine_result &result)
{
    for (const ResultColumn &column : result_columns)
        add_value("result", column.name, column.unit, result.*column.field);
}

void StatsFiles::add_machine(const ts_machine *machine)
{
    ts_machine_visit_stats(machine, visit, this);
    if (failure_)
        std::rethrow_exception(failure_);
}

void StatsFiles::add_column(const std::string &name, const std::string &unit, double value)
{
    json_["groups"]["columns"][name] = {{"value", value}, {"unit", unit}};
    csv_ += "columns," + name + "," + unit + "," + number(value) + "\n";
}

void StatsFiles::write(const std::string &folder) const
{
    write_file(folder + "/stats.json", json_.dump(1) + "\n");
    write_file(folder + "/stats.csv", csv_);
    write_file(folder + "/histograms.csv", histograms_);
}

} // namespace ts
