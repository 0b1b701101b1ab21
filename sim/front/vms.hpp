// SPDX-License-Identifier: Apache-2.0
// `vms: [...]` of a platform: virtual machines that differ in size, operating system, workload,
// mechanism and place, some of them in the background.
#ifndef TS_SIM_FRONT_VMS_HPP
#define TS_SIM_FRONT_VMS_HPP

#include "sim/front/parts.hpp"

#include <string>
#include <vector>

namespace ts
{

// An entry: VMs that are alike.
struct VmEntry {
    std::string name;
    Place place;
    Layer numbers; // vms.<name>.count, .vcpus, .shares, as far as they are given
    std::vector<std::pair<uint32_t, uint32_t>> pcpus; // first and last; empty: any
    std::vector<Place> pcpu_places;
    bool has_socket = false;
    uint32_t socket = 0;
    Place socket_place;
    bool pin = false, background = false;
    bool has_workload = false; // else the experiment's
    WorkloadChoice load;
    Place mechanism_place;
    const ts_flush_ops *mechanism = nullptr; // null: the point's
    bool has_guest = false;                  // else the platform's
    Layer guest;                             // its file
    Layer own;                               // `workload` and `set`
};

// Those of a map that may have a key `vms`; throws a user error at the place of what is wrong.
// study: is refused.
std::vector<VmEntry> vms_read(const YamlNode &map, const PartsOf &of, const WorkloadChoice &load,
                              std::vector<ArchWish> *wishes);

// The key of a number of an entry, "vms.web.count", which may be swept and set as parameters are.
// Null: text is none. Whether there is such an entry is for the caller.
const Key *vm_key_find(const std::string &name);
// The entry's name in it.
std::string vm_key_entry(const std::string &name);
const char *const vm_numbers[] = {"count", "vcpus", "shares"};

// May a VM have a value of its own for this parameter? The rest is the host's.
bool vm_may_have(const Key &key);

// Its pCPUs, empty for any; a user error if the machine has not got them.
void vm_place(const VmEntry &entry, const ts_machine_config &config, ts_cpumask *out);
// "[0-3, 8]"
std::string vm_pcpus_text(const VmEntry &entry);

} // namespace ts

#endif
