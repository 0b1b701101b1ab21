// SPDX-License-Identifier: Apache-2.0
// An experiment: platforms, mechanisms or a study, a workload and what is swept, read from YAML and
// checked; its points; and what a point sets every parameter to.
#ifndef TS_SIM_FRONT_EXPERIMENT_HPP
#define TS_SIM_FRONT_EXPERIMENT_HPP

#include "sim/front/host_tasks.hpp"
#include "sim/front/sweeps.hpp"
#include "sim/front/vms.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ts
{

struct Platform {
    std::string name;
    Place place;
    // The names that the experiment gives, for people; empty if it gives none.
    std::string machine, hypervisor, guest;
    std::vector<ArchWish> arch_wishes;            // of those that have one
    Layer pieces;                                 // of the three files, the guest's last
    Layer host_pieces;                            // the same without the guest's
    Layer own;                                    // platforms.<name>.set
    std::vector<const ts_flush_ops *> mechanisms; // none in a study
    std::vector<Place> mechanism_places;
    std::vector<HostTask> host_tasks;
    std::vector<HostNoise> host_noise;
    std::vector<VmEntry> vms; // empty: run.vms that are alike
    Place vms_place;
};

struct Experiment : WorkloadChoice {
    std::string path;
    std::string name;
    std::string title;
    const ts_study_ops *study = nullptr; // null: whole machines
    Place study_place;
    uint64_t repetitions = 1;
    uint64_t seed = 1;
    std::vector<uint64_t> seeds; // instead of seed, seed + 1, ...; empty: none are listed
    std::string baseline;        // empty: none
    std::vector<Platform> platforms;
    Layer settings;            // workload and set
    std::vector<Sweep> sweeps; // their product
    Layer overrides;           // of the command line

    KeyOwners owners() const
    {
        return KeyOwners{workload, study};
    }
};

// KEY=VALUE of --set.
struct Override {
    std::string key;
    std::string value;
    Place place() const
    {
        return Place{"--set " + key, 0, 0};
    }
};
// A user error if text has no '='.
Override override_parse(const std::string &text);

// Reads, checks names and values, and opens the trace; throws a user error.
Experiment experiment_load(const std::string &path, const std::vector<Override> &overrides);
// The same from text; the trace is not opened if with_trace is false.
Experiment experiment_parse(const std::string &text, const std::string &path,
                            const std::vector<Override> &overrides, bool with_trace);

// What runs on a platform: a whole machine with a mechanism, or the study.
struct Subject {
    std::string name;
    const ts_param_table *params = nullptr; // its own; may be null
    size_t params_size = 0;
    Place place; // where the experiment names it
};

// One simulation.
struct Point {
    const Platform *platform = nullptr;
    const ts_flush_ops *mechanism = nullptr; // null in a study
    Subject subject;
    std::vector<const Setting *> swept; // one a swept key, in their order
    uint64_t seed = 0;
    // "x86/kvm_pv/run.vms=4/seed=1"; in a study without the mechanism. A long list of swept values
    // is cut and ends in a hash.
    std::string folder;
};
// All keys that are swept, in their order.
std::vector<std::string> swept_keys(const Experiment &experiment);
// In the order platform, swept values, mechanism, seed. Pointers are into experiment.
std::vector<Point> experiment_points(const Experiment &experiment);
// Points that differ only in the seed stand together: how many there are of each.
size_t points_per_group(const Experiment &experiment);

// "run.vms=4,mmu.l2_ways=8"
std::string swept_text(const std::vector<const Setting *> &swept);

// Who decides a parameter at a point; later ones win. What a kernel's version implies counts
// only where none of them sets the parameter itself.
enum class SettingLayer { Piece, Experiment, Platform, Point };
struct Found {
    const Setting *setting = nullptr; // null: nobody, it has the table's default
    SettingLayer layer = SettingLayer::Piece;
};
Found find_setting(const Experiment &experiment, const Point &point, const std::string &name);
// The same of a VM: what is its own goes before all else.
Found find_setting(const Experiment &experiment, const Point &point, const VmEntry &vm,
                   const std::string &name);

struct ResolvedValue {
    const Key *key;
    uint64_t value;
    std::string source;
    ts_confidence confidence;
};
// An entry of `vms` at a point.
struct ResolvedVm {
    const VmEntry *entry = nullptr;
    uint64_t count = 0;
    ts_vm_shape shape;
    const ts_flush_ops *mechanism = nullptr;
    const WorkloadChoice *load = nullptr;
    std::vector<uint64_t> mechanism_params; // the struct; empty if it has none
    std::vector<uint64_t> workload_params;
    std::vector<ResolvedValue> values; // what is not as in the point's

    const void *mechanism_struct() const
    {
        return mechanism_params.empty() ? nullptr : mechanism_params.data();
    }
};
// The configuration points into vms and shapes, so there is no copy.
struct Resolved {
    ts_machine_config config;
    std::vector<uint64_t> subject_params; // the struct; empty if it has none
    std::vector<uint64_t> workload_params;
    std::vector<ResolvedValue> values; // every parameter of the point, by key
    std::vector<ResolvedVm> vms;       // the platform's; empty: all are alike
    std::vector<const ResolvedVm *> by_vm;
    std::vector<const ts_vm_shape *> shapes; // the same

    Resolved() = default;
    Resolved(Resolved &&) = default;
    Resolved &operator=(Resolved &&) = default;

    const void *subject_struct() const
    {
        return subject_params.empty() ? nullptr : subject_params.data();
    }
    uint64_t guests() const
    {
        return config.hypervisor.kind == TS_HYP_NONE ? 1 : config.run.vms;
    }
    bool is_background(uint64_t vm) const
    {
        return !shapes.empty() && shapes[vm]->background;
    }
    size_t assumed() const;
};
Resolved resolve(const Experiment &experiment, const Point &point);
// Architectures, ts_machine_check or the study's check, and the workload's, of every point, and a
// first look at the trace. Throws a user error at the place of the setting to blame.
void experiment_check(const Experiment &experiment);
// What the beginning of a guest's workload does.
struct WorkloadLook {
    uint64_t operations = 0;
    uint64_t touches = 0; // accesses
    uint64_t losses = 0;  // operations that take memory or rights away
    uint64_t calls = 0;   // cross-CPU calls
    bool shares_memory = false;
};
WorkloadLook workload_look(const WorkloadChoice &choice, const std::vector<uint64_t> &params,
                           uint64_t seed);
// A configuration that alone repeats the point's run.
std::string resolved_yaml(const Experiment &experiment, const Point &point,
                          const Resolved &resolved);

// The workload of one guest. The reader (null for generators) must outlive it.
struct WorkloadDelete {
    void operator()(ts_workload *workload) const
    {
        workload->destroy(workload);
    }
};
struct Workload {
    std::unique_ptr<TraceReader> reader;
    std::unique_ptr<ts_byte_source> source;
    std::unique_ptr<ts_workload, WorkloadDelete> workload;
};
Workload workload_make(const WorkloadChoice &choice, const std::vector<uint64_t> &params,
                       uint64_t seed, uint64_t instance);

} // namespace ts

#endif
