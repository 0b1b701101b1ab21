// SPDX-License-Identifier: Apache-2.0
#include "sim/front/vms_file.hpp"

namespace ts
{
namespace
{

struct VmColumn {
    const char *name;
    uint64_t ts_machine_vm_result::*field;
};

const VmColumn columns[] = {
    {"completion_time_ps", &ts_machine_vm_result::completion_ps},
    {"records", &ts_machine_vm_result::records},
    {"record_rate_uHz", &ts_machine_vm_result::record_rate_uhz},
    {"operations", &ts_machine_vm_result::operations},
    {"page_touches", &ts_machine_vm_result::page_touches},
    {"user_time_ps", &ts_machine_vm_result::user_ps},
    {"system_time_ps", &ts_machine_vm_result::system_ps},
    {"steal_time_ps", &ts_machine_vm_result::steal_ps},
    {"host_time_ps", &ts_machine_vm_result::host_ps},
    {"idle_time_ps", &ts_machine_vm_result::idle_ps},
    {"held_time_ps", &ts_machine_vm_result::held_ps},
    {"held_foreign_time_ps", &ts_machine_vm_result::held_foreign_ps},
    {"shootdowns", &ts_machine_vm_result::shootdowns},
    {"ipis", &ts_machine_vm_result::ipis},
    {"shootdown_p50_ps", &ts_machine_vm_result::shootdown_p50_ps},
    {"shootdown_p99_ps", &ts_machine_vm_result::shootdown_p99_ps},
    {"shootdown_max_ps", &ts_machine_vm_result::shootdown_max_ps},
    {"shootdown_mean_ps", &ts_machine_vm_result::shootdown_mean_ps},
    {"munmap_mean_ps", &ts_machine_vm_result::munmap_mean_ps},
};

} // namespace

std::string vms_csv(const ts_machine *machine, const Resolved &resolved)
{
    std::string text = "vm,name,vcpus,mechanism,workload,background,shares";
    for (const VmColumn &column : columns)
        text += std::string(",") + column.name;
    text += "\n";
    for (size_t v = 0; v < resolved.by_vm.size(); v++) {
        const ResolvedVm &vm = *resolved.by_vm[v];
        struct ts_machine_vm_result result;
        ts_machine_vm_result(machine, static_cast<uint32_t>(v), &result);
        text += std::to_string(v) + "," + vm.entry->name + "," + std::to_string(result.vcpus) +
                "," + result.mechanism->name + "," + vm.load->workload->ops.name + "," +
                (result.background ? "1" : "0") + "," + std::to_string(vm.shape.shares);
        for (const VmColumn &column : columns)
            text += "," + std::to_string(result.*column.field);
        text += "\n";
    }
    return text;
}

} // namespace ts
