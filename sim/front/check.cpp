// SPDX-License-Identifier: Apache-2.0
// What can be wrong with an experiment, before anything runs: every point is checked, and the error
// stands where the file or the command line says what is wrong.
#include "sim/front/experiment.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace ts
{
namespace
{

// How far into a trace the check looks: a file of another kind shows at once.
constexpr uint64_t probe_operations = 200000;

void count(WorkloadLook *look, const ts_op &op)
{
    look->operations++;
    switch (op.kind) {
    case TS_OP_TOUCH:
        look->touches += op.count;
        break;
    case TS_OP_MUNMAP:
    case TS_OP_MPROTECT:
    case TS_OP_MADVISE_DONTNEED:
    case TS_OP_MADVISE_COLLAPSE:
    case TS_OP_MADVISE_FREE:
    case TS_OP_MADVISE_COLD:
    case TS_OP_MADVISE_PAGEOUT:
    case TS_OP_MREMAP:
    case TS_OP_FLUSH:
        look->losses++;
        break;
    case TS_OP_CALL:
        look->calls++;
        break;
    case TS_OP_SPAWN:
        look->shares_memory = look->shares_memory || (op.flags & TS_OPF_NEW_MM) == 0;
        break;
    default:
        break;
    }
}

void probe_trace(const WorkloadChoice &choice, const std::vector<uint64_t> &params, uint64_t seed)
{
    if (workload_look(choice, params, seed).operations == 0)
        user_error(choice.trace_place, choice.trace->path() + " holds no operation that " +
                                           choice.workload->ops.name + " understands");
}

// Words of a message that may be keys, or parts of keys.
std::vector<std::string> key_words(const std::string &message)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_.";
    std::vector<std::string> words;
    for (size_t begin = 0; (begin = message.find_first_of(letters, begin)) != std::string::npos;) {
        size_t end = message.find_first_not_of(letters, begin);
        end = end == std::string::npos ? message.size() : end;
        std::string word = message.substr(begin, end - begin);
        word.erase(word.find_last_not_of('.') + 1);
        words.push_back(word);
        begin = end;
    }
    return words;
}

// How a message may write a key, from what is surely meant to what may be.
bool is_full_key(const Key &key, const std::string &word)
{
    return key.name == word;
}
// "mmu.l2" stands for all keys that begin so.
bool is_beginning(const Key &key, const std::string &word)
{
    return word.find('.') != std::string::npos &&
           key.name.compare(0, word.size() + 1, word + "_") == 0;
}
// A model that names its own parameters only: one that is no word of plain English.
bool is_row(const Key &key, const std::string &word)
{
    const bool plain = key.scope != KeyScope::Workload && word.find('_') == std::string::npos;
    return !plain && word == key.row->key;
}

// Models name the keys that do not go together. Of those that somebody has set, the one that was
// set last is to blame: --set and sweep before the experiment's own settings, and these before a
// machine's.
const Setting *culprit(const Experiment &experiment, const Point &point, const VmEntry *vm,
                       const std::string &message)
{
    const std::vector<std::string> words = key_words(message);
    for (const auto &means : {is_full_key, is_beginning, is_row}) {
        Found worst;
        for (const std::string &word : words)
            for (const auto &item : Keys::get().all()) {
                const Key &key = item.second;
                if (!means(key, word) || Keys::get().find(key.name, experiment.owners()) != &key)
                    continue;
                const Found found = vm ? find_setting(experiment, point, *vm, key.name)
                                       : find_setting(experiment, point, key.name);
                if (found.setting && (!worst.setting || found.layer > worst.layer))
                    worst = found;
            }
        if (worst.setting)
            return worst.setting;
    }
    return nullptr;
}

// The error of a point, or of a VM of it: where and at which point.
Error located(const Experiment &experiment, const Point &point, const VmEntry *vm, ts_status status,
              const std::string &message)
{
    Place place = point.subject.place;
    std::string where = point.platform->name;
    if (!point.swept.empty())
        where += ", " + swept_text(point.swept);
    // That a mechanism cannot run is said where it is named, whatever it lacks.
    const bool of_mechanism = message.compare(0, 11, "mechanism '") == 0;
    const Setting *setting = of_mechanism ? nullptr : culprit(experiment, point, vm, message);
    if (vm) {
        where += ", VM " + vm->name;
        place = !of_mechanism ? vm->place : vm->mechanism ? vm->mechanism_place : place;
    }
    return Error(status, setting ? setting->place : place, where + ": " + message);
}

std::string place_text(const Place &place)
{
    return Error(TS_ERR_USER, place, "").what();
}

// A guest and a hypervisor are of one architecture, and the machine has to be of the same.
void check_arch(const Experiment &experiment, const Point &point, const Resolved &resolved)
{
    const Key &key = *Keys::get().find("topology.arch", experiment.owners());
    const std::string arch = key.format(resolved.config.topology.arch);
    for (const ArchWish &wish : point.platform->arch_wishes) {
        if (wish.arch == arch)
            continue;
        const Setting *setting = find_setting(experiment, point, key.name).setting;
        const std::string machine =
            point.platform->machine.empty() ? "the machine" : "machine " + point.platform->machine;
        const std::string said =
            setting ? place_text(setting->place) + "topology.arch" : "the default of topology.arch";
        user_error(wish.place, point.platform->name + ": " + wish.what + " is for " + wish.arch +
                                   " (" + place_text(wish.said) + "arch), but " + machine + " is " +
                                   arch + " (" + said + ")");
    }
}

// run.vms is what the list makes, and somebody has to be measured.
void check_vm_count(const Experiment &experiment, const Point &point, const Resolved &resolved)
{
    const Platform &platform = *point.platform;
    const Found given = find_setting(experiment, point, "run.vms");
    const uint64_t n = resolved.shapes.size();
    const Key &key = *Keys::get().find("run.vms", experiment.owners());
    if (given.setting && given.setting->value != n)
        user_error(given.setting->place,
                   platform.name + ": run.vms is " + std::to_string(given.setting->value) +
                       ", but 'vms' lists " + std::to_string(n) + "; leave it out");
    if (n > key.row->max)
        user_error(platform.vms_place, platform.name + ": 'vms' lists " + std::to_string(n) +
                                           " VMs, more than " + std::to_string(key.row->max));
    if (std::all_of(resolved.shapes.begin(), resolved.shapes.end(),
                    [](const ts_vm_shape *shape) { return shape->background; }))
        user_error(platform.vms_place, platform.name + ": 'vms' has no VM that is measured: all "
                                                       "run in the background, or there is none");
    if (resolved.config.hypervisor.kind == TS_HYP_NONE)
        user_error(platform.vms_place, platform.name + ": 'vms' needs a hypervisor "
                                                       "(hypervisor.kind is none)");
}

void check_vms(const Experiment &experiment, const Point &point, const Resolved &resolved)
{
    uint32_t v = 0;
    check_vm_count(experiment, point, resolved);
    for (const ResolvedVm &vm : resolved.vms) {
        ts_error error;
        const ts_status status =
            vm.count > 0 ? ts_machine_check_vm(&resolved.config, v, vm.mechanism, &error) : TS_OK;
        if (status != TS_OK)
            throw located(experiment, point, vm.entry, status, error.message);
        v += static_cast<uint32_t>(vm.count);
    }
}

void check_point(const Experiment &experiment, const Point &point, const Resolved &resolved)
{
    ts_error error;
    ts_status status = TS_OK;
    check_arch(experiment, point, resolved);
    if (experiment.study)
        status = experiment.study->check(&resolved.config, resolved.subject_struct(), &error);
    else if (resolved.vms.empty())
        status = ts_machine_check(&resolved.config, point.mechanism, &error);
    else
        check_vms(experiment, point, resolved);
    if (status != TS_OK)
        throw located(experiment, point, nullptr, status, error.message);
    host_tasks_check(point.platform->host_tasks, resolved.config, point.platform->name);
    host_noise_check(point.platform->host_noise, resolved.config, point.platform->name);
}

// Returns whether it is endless. vm: whose it is, or null.
bool check_workload(const Experiment &experiment, const Point &point, const VmEntry *vm,
                    const WorkloadChoice &choice, const std::vector<uint64_t> &params,
                    bool read_trace)
{
    try {
        if (choice.trace && read_trace)
            probe_trace(choice, params, point.seed);
        else
            return workload_make(choice, params, point.seed, 0).workload->endless;
        return false;
    } catch (const Error &error) {
        // One with a place of its own is of the trace.
        if (error.what() != error.message())
            throw;
        throw located(experiment, point, vm, error.status(), error.message());
    }
}

void check_end(const Experiment &experiment, const Point &point, const WorkloadChoice &choice,
               const Resolved &resolved)
{
    const std::string what =
        point.platform->name + ": the workload " + choice.workload->ops.name + " has no end";
    if (experiment.study)
        user_error(choice.workload_place,
                   what + ", but the study " + experiment.study->name + " would wait for it");
    if (resolved.config.run.window_ps == 0)
        user_error(choice.workload_place,
                   what + ": set run.window to the time in which its records are to count, or "
                          "give it one");
}

} // namespace

// Pulls operations from all threads in turn, as a guest would, until something is wrong.
WorkloadLook workload_look(const WorkloadChoice &choice, const std::vector<uint64_t> &params,
                           uint64_t seed)
{
    const Workload made = workload_make(choice, params, seed, 0);
    ts_workload *workload = made.workload.get();
    std::vector<uint32_t> threads;
    std::vector<bool> known;
    const auto start = [&](uint32_t thread) {
        if (thread >= known.size())
            known.resize(thread + 1, false);
        if (!known[thread])
            threads.push_back(thread);
        known[thread] = true;
    };
    for (uint32_t i = 0; i < workload->initial_threads; i++)
        start(i);
    WorkloadLook look;
    look.shares_memory = workload->initial_threads > 1;
    for (size_t i = 0; !threads.empty() && look.operations < probe_operations; i++) {
        const size_t at = i % threads.size();
        ts_op op;
        ts_error error;
        const int got = workload->next(workload, threads[at], &op, &error);
        if (got < 0)
            throw Error(error);
        if (got > 0)
            count(&look, op);
        if (got == 0 || op.kind == TS_OP_EXIT)
            threads.erase(threads.begin() + static_cast<std::ptrdiff_t>(at));
        else if (op.kind == TS_OP_SPAWN)
            start(op.target);
    }
    return look;
}

void experiment_check(const Experiment &experiment)
{
    const std::vector<Point> points = experiment_points(experiment);
    std::map<std::pair<const WorkloadChoice *, std::vector<uint64_t>>, bool> known; // endless?
    std::set<const WorkloadChoice *> read;
    const auto is_endless = [&](const Point &point, const VmEntry *vm, const WorkloadChoice &choice,
                                const std::vector<uint64_t> &params) {
        auto at = known.find({&choice, params});
        if (at == known.end())
            at = known
                     .emplace(std::make_pair(&choice, params),
                              check_workload(experiment, point, vm, choice, params,
                                             read.insert(&choice).second))
                     .first;
        return at->second;
    };
    // The seed plays no part in the check.
    for (size_t i = 0; i < points.size(); i += points_per_group(experiment)) {
        const Point &point = points[i];
        const Resolved resolved = resolve(experiment, point);
        check_point(experiment, point, resolved);
        if (experiment.workload && resolved.vms.empty() &&
            is_endless(point, nullptr, experiment, resolved.workload_params))
            check_end(experiment, point, experiment, resolved);
        for (const ResolvedVm &vm : resolved.vms)
            if (vm.count > 0 && is_endless(point, vm.entry, *vm.load, vm.workload_params) &&
                !vm.shape.background)
                check_end(experiment, point, *vm.load, resolved);
    }
}

} // namespace ts
