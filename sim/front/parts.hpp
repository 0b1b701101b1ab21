// SPDX-License-Identifier: Apache-2.0
// The parts that experiments and their VMs name: a workload, and the files of a platform.
#ifndef TS_SIM_FRONT_PARTS_HPP
#define TS_SIM_FRONT_PARTS_HPP

#include "sim/front/document.hpp"
#include "sim/front/trace.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ts
{

struct WorkloadChoice {
    const ts_workload_kind *workload = nullptr; // null: a study without one
    Place workload_place;
    std::shared_ptr<const Trace> trace; // null for generators
    std::string trace_label;
    Place trace_place;
};

// What names parts: its text, where files are looked for, and whether traces are opened.
struct PartsOf {
    const Document &document;
    const Paths &paths;
    bool with_trace;
};

// The value of `workload`, whose parameters are added to layer.
WorkloadChoice workload_read(const YamlNode &value, const PartsOf &of, const ts_study_ops *study,
                             Layer *layer);

// Which architecture a hypervisor or guest says it is for.
struct ArchWish {
    std::string what; // "guest linux-6.12-x86"
    std::string arch;
    Place place; // where the experiment names it
    Place said;
};

// A machine, hypervisor or guest: `what` of map, if it is there, the name of a file or its content
// in place. Its parameters go over those of layer, its name to label.
void piece_read(const YamlNode &map, const std::string &what, const PartsOf &of, Layer *layer,
                std::string *label, std::vector<ArchWish> *wishes);

} // namespace ts

#endif
