// SPDX-License-Identifier: Apache-2.0
#include "sim/api/inject.hpp"
#include "sim/api/internal.hpp"
#include "sim/front/simulation.hpp"
#include "sim/front/stats_files.hpp"

#include <algorithm>
#include <cstring>

using ts_api::fill;
using ts_api::guarded;
using ts_api::Injector;

static_assert(TLBSTORM_PATH_PARTS == TS_PATH_PARTS);
static_assert(int(TLBSTORM_VCPU_HALTED) == TS_VCPU_HALTED &&
              int(TLBSTORM_VCPU_WAITING) == TS_VCPU_WAITING &&
              int(TLBSTORM_VCPU_RUNNING) == TS_VCPU_RUNNING);

struct tlbstorm_machine {
    std::shared_ptr<const ts_api::Loaded> loaded;
    std::unique_ptr<ts::Resolved> resolved;
    std::unique_ptr<ts::Simulation> simulation;
    bool injected = false;
    bool started = false;
    bool finished = false; // what it found has been told
    uint64_t reached = 0;
    tlbstorm_shootdown_fn *shootdown_fn = nullptr;
    void *shootdown_user = nullptr;

    ts_machine *core() const
    {
        return simulation->machine.get();
    }
    ts_engine *engine() const
    {
        return ts_machine_engine(core());
    }
    Injector *injector(uint32_t vm) const
    {
        return Injector::of(simulation->workloads[vm].workload.get());
    }
};

namespace
{

uint32_t vcpus_of(const ts::Resolved &resolved, uint64_t vm)
{
    if (!resolved.shapes.empty())
        return static_cast<uint32_t>(resolved.shapes[vm]->vcpus);
    const ts_topology_params &t = resolved.config.topology;
    const uint64_t pcpus = t.sockets * t.cores_per_socket * t.threads_per_core;
    const bool bare = resolved.config.hypervisor.kind == TS_HYP_NONE;
    const uint64_t vcpus = resolved.config.run.vcpus;
    return static_cast<uint32_t>(bare || vcpus == 0 ? pcpus : vcpus);
}

std::vector<ts::Workload> injectors(const ts::Resolved &resolved)
{
    std::vector<ts::Workload> workloads;
    for (uint64_t vm = 0; vm < resolved.guests(); vm++) {
        workloads.emplace_back();
        workloads.back().workload.reset(Injector::create(vcpus_of(resolved, vm)));
    }
    return workloads;
}

tlbstorm_machine *make(const tlbstorm_config &config, size_t index, bool injected)
{
    const ts_api::Loaded &loaded = *config.loaded;
    if (index >= loaded.points.size())
        ts::user_error(ts::Place(), "there is no point " + std::to_string(index) +
                                        ": the experiment has " +
                                        std::to_string(loaded.points.size()));
    if (loaded.experiment.study)
        ts::user_error(loaded.experiment.study_place, "a study has no machine");
    auto machine = std::make_unique<tlbstorm_machine>();
    const ts::Point &point = loaded.points[index];
    machine->loaded = config.loaded;
    machine->injected = injected;
    machine->resolved = std::make_unique<ts::Resolved>(ts::resolve(loaded.experiment, point));
    const ts::Resolved &resolved = *machine->resolved;
    machine->simulation =
        injected ? std::make_unique<ts::Simulation>(point, resolved, injectors(resolved))
                 : std::make_unique<ts::Simulation>(loaded.experiment, point, resolved);
    for (uint32_t vm = 0; injected && vm < resolved.guests(); vm++)
        machine->injector(vm)->set_engine(machine->engine());
    return machine.release();
}

void start(tlbstorm_machine *machine)
{
    ts_error error;
    if (machine->started)
        return;
    machine->started = true;
    ts::throw_unless_ok(ts_machine_start(machine->core(), &error), error);
}

// Tells once.
tlbstorm_status finish(tlbstorm_machine *machine, tlbstorm_error *err)
{
    ts_error error;
    if (machine->finished)
        return TLBSTORM_OK;
    machine->finished = true;
    const ts_status status = ts_machine_finish(machine->core(), &error);
    return status == TS_OK ? TLBSTORM_OK : fill(err, error);
}

void on_shootdown(void *user, const ts_shootdown_record *record)
{
    const auto *machine = static_cast<tlbstorm_machine *>(user);
    tlbstorm_shootdown out = {};
    out.number = record->number;
    out.vm = record->guest;
    out.initiator = record->initiator;
    out.targets = record->targets;
    out.last_target = record->last_target;
    out.start = record->start;
    out.bytes = record->end == UINT64_MAX ? UINT64_MAX : record->end - record->start;
    out.freed_tables = record->freed_tables;
    out.started_ps = record->started;
    out.total_ps = record->total_ps;
    std::copy(std::begin(record->part_ps), std::end(record->part_ps), out.part_ps);
    machine->shootdown_fn(machine->shootdown_user, &out);
}

// --- statistics ---

struct Visit {
    tlbstorm_stat_fn *fn;
    void *user;
    std::exception_ptr failure;
};

void visit_hist(const Visit &visit, const std::string &name, const ts_stat &row,
                const ts_hist &hist)
{
    ts::each_hist_part(hist, row.unit,
                       [&](const char *part, const std::string &unit, uint64_t value) {
                           visit.fn(visit.user, (name + "." + part).c_str(), unit.c_str(), value);
                       });
}

void visit_table(void *user, const ts_stat_table *table, const void *base)
{
    auto &visit = *static_cast<Visit *>(user);
    if (visit.failure)
        return;
    try {
        for (size_t i = 0; i < table->nrows; i++) {
            const ts_stat &row = table->rows[i];
            const char *field = static_cast<const char *>(base) + row.offset;
            const std::string name = std::string(table->group) + "." + row.name;
            if (row.kind == TS_STAT_HIST)
                visit_hist(visit, name, row, *reinterpret_cast<const ts_hist *>(field));
            else
                visit.fn(visit.user, name.c_str(), row.unit,
                         *reinterpret_cast<const uint64_t *>(field));
        }
    } catch (...) {
        visit.failure = std::current_exception();
    }
}

void visit_all(const tlbstorm_machine &machine, tlbstorm_stat_fn *fn, void *user)
{
    Visit visit{fn, user, nullptr};
    struct ts_machine_result result;
    ts_machine_result(machine.core(), &result);
    for (size_t i = 0; i < ts::result_columns_count; i++) {
        const ts::ResultColumn &column = ts::result_columns[i];
        fn(user, (std::string("result.") + column.name).c_str(), column.unit, result.*column.field);
    }
    ts_machine_visit_stats(machine.core(), visit_table, &visit);
    if (visit.failure)
        std::rethrow_exception(visit.failure);
}

struct Wanted {
    const char *name;
    uint64_t value;
    bool found;
    std::vector<std::string> *names;
};

void look(void *user, const char *name, const char *, uint64_t value)
{
    auto &wanted = *static_cast<Wanted *>(user);
    if (wanted.names) {
        wanted.names->emplace_back(name);
    } else if (std::strcmp(name, wanted.name) == 0) {
        wanted.value = value;
        wanted.found = true;
    }
}

uint64_t stat_of(const tlbstorm_machine &machine, const char *name)
{
    Wanted wanted{name, 0, false, nullptr};
    visit_all(machine, look, &wanted);
    if (wanted.found)
        return wanted.value;
    std::vector<std::string> names;
    wanted.names = &names;
    visit_all(machine, look, &wanted);
    ts::user_error(ts::Place(),
                   std::string("no statistic '") + name + "'" + ts::did_you_mean(name, names));
}

} // namespace

enum tlbstorm_status tlbstorm_machine_create(struct tlbstorm_machine **out,
                                             const struct tlbstorm_config *config, size_t point,
                                             struct tlbstorm_error *err)
{
    return guarded(err, [&] { *out = make(*config, point, false); });
}

enum tlbstorm_status tlbstorm_machine_create_injected(struct tlbstorm_machine **out,
                                                      const struct tlbstorm_config *config,
                                                      size_t point, struct tlbstorm_error *err)
{
    return guarded(err, [&] { *out = make(*config, point, true); });
}

void tlbstorm_machine_destroy(struct tlbstorm_machine *machine)
{
    delete machine;
}

enum tlbstorm_status tlbstorm_machine_run_until(struct tlbstorm_machine *machine, uint64_t ps,
                                                struct tlbstorm_error *err)
{
    ts_engine *engine = machine->engine();
    const tlbstorm_status status = guarded(err, [&] { start(machine); });
    if (status != TLBSTORM_OK)
        return status;
    ps = std::min<uint64_t>(ps, TS_TIME_NEVER - 1);
    while (!ts_machine_done(machine->core()) && ts_engine_next_time(engine) <= ps)
        (void)ts_engine_run(engine, ps);
    // Nothing is left: what still waits will never go on, and ts_machine_finish says so.
    const bool over = tlbstorm_machine_done(machine);
    machine->reached = over ? ts_engine_now(engine) : std::max(machine->reached, ps);
    return over ? finish(machine, err) : TLBSTORM_OK;
}

enum tlbstorm_status tlbstorm_machine_run(struct tlbstorm_machine *machine,
                                          struct tlbstorm_error *err)
{
    return tlbstorm_machine_run_until(machine, TS_TIME_NEVER - 1, err);
}

bool tlbstorm_machine_done(const struct tlbstorm_machine *machine)
{
    return ts_machine_done(machine->core()) ||
           (machine->started && ts_engine_next_time(machine->engine()) == TS_TIME_NEVER);
}

uint64_t tlbstorm_machine_now(const struct tlbstorm_machine *machine)
{
    return std::max<uint64_t>(machine->reached, ts_engine_now(machine->engine()));
}

uint64_t tlbstorm_machine_next(struct tlbstorm_machine *machine)
{
    if (!machine->started)
        return 0;
    return tlbstorm_machine_done(machine) ? TLBSTORM_NEVER : ts_engine_next_time(machine->engine());
}

uint32_t tlbstorm_machine_vms(const struct tlbstorm_machine *machine)
{
    return static_cast<uint32_t>(machine->resolved->guests());
}

uint32_t tlbstorm_machine_vcpus(const struct tlbstorm_machine *machine, uint32_t vm)
{
    return ts_machine_vm_vcpus(machine->core(), vm);
}

enum tlbstorm_vcpu_state tlbstorm_machine_vcpu_state(const struct tlbstorm_machine *machine,
                                                     uint32_t vm, uint32_t vcpu)
{
    return static_cast<tlbstorm_vcpu_state>(ts_machine_vcpu_place(machine->core(), vm, vcpu));
}

enum tlbstorm_status tlbstorm_machine_stat(const struct tlbstorm_machine *machine, const char *name,
                                           uint64_t *value, struct tlbstorm_error *err)
{
    return guarded(err, [&] { *value = stat_of(*machine, name); });
}

enum tlbstorm_status tlbstorm_machine_visit_stats(const struct tlbstorm_machine *machine,
                                                  tlbstorm_stat_fn *fn, void *user,
                                                  struct tlbstorm_error *err)
{
    return guarded(err, [&] { visit_all(*machine, fn, user); });
}

const char *tlbstorm_path_part_name(uint32_t part)
{
    TS_ASSERT(part < TLBSTORM_PATH_PARTS);
    return ts_path_part_names[part];
}

void tlbstorm_machine_on_shootdown(struct tlbstorm_machine *machine, tlbstorm_shootdown_fn *fn,
                                   void *user)
{
    TS_ASSERT(!machine->started);
    machine->shootdown_fn = fn;
    machine->shootdown_user = user;
    ts_machine_set_shootdowns(machine->core(), fn ? on_shootdown : nullptr, machine);
}

enum tlbstorm_status tlbstorm_machine_inject(struct tlbstorm_machine *machine, uint32_t vm,
                                             uint32_t vcpu, struct tlbstorm_op *op,
                                             struct tlbstorm_error *err)
{
    return guarded(err, [&] {
        if (!machine->injected)
            ts::user_error(ts::Place(), "inject: the machine has a workload of its own");
        if (vm >= tlbstorm_machine_vms(machine))
            ts::user_error(ts::Place(), "inject: there is no VM " + std::to_string(vm));
        machine->injector(vm)->push(vcpu, op);
    });
}

uint64_t tlbstorm_machine_pending(const struct tlbstorm_machine *machine, uint32_t vm,
                                  uint32_t vcpu)
{
    return machine->injected ? machine->injector(vm)->pending(vcpu) : 0;
}

void tlbstorm_machine_close(struct tlbstorm_machine *machine)
{
    for (uint32_t vm = 0; machine->injected && vm < tlbstorm_machine_vms(machine); vm++)
        machine->injector(vm)->close();
}
