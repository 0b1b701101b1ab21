// SPDX-License-Identifier: Apache-2.0
#include "sim/front/calibrate/simulated.hpp"

#include "sim/front/check/script.hpp"
#include "sim/front/simulation.hpp"
#include "sim/front/study.hpp"

#include <cstring>
#include <memory>
#include <numeric>

namespace ts
{
namespace
{

constexpr uint64_t page = 4096, table_span = 2 << 20;
constexpr size_t rounds = 40, warm_up = 8;
// A caller begins when the others spin.
constexpr uint64_t settle_ns = 1000000;
// How long they do; more if that was too short.
constexpr uint64_t spin_ns = 20000000, spin_most_ns = UINT64_C(1) << 36;

// The operations of the caller, and which of them a sample begins before and ends behind.
struct Benchmark {
    std::vector<ts_op> ops;
    std::vector<std::pair<size_t, size_t>> timed;
    uint32_t regions = 0;

    void add(const ts_op &op)
    {
        ops.push_back(op);
    }
    void begin()
    {
        timed.emplace_back(ops.size(), 0);
    }
    void end()
    {
        timed.back().second = ops.size();
    }
};

void add_round(Benchmark *b, const BenchRow &row)
{
    const uint64_t bytes = row.pages * page;
    const uint32_t region = b->regions;
    const ts_op write = op_touch(region, 0, row.pages);
    const auto protect = [&](uint32_t prot) {
        b->add(op_range(TS_OP_MPROTECT, region, 0, bytes, prot));
    };
    switch (row.call) {
    case TS_CAL_MMAP:
        b->begin();
        b->add(op_mmap(b->regions, bytes));
        b->end();
        b->add(op_range(TS_OP_MUNMAP, b->regions++, 0, bytes));
        break;
    case TS_CAL_MPROTECT:
        b->add(write);
        b->begin();
        protect(TS_PROT_READ);
        protect(TS_PROT_READ | TS_PROT_WRITE);
        b->end();
        break;
    case TS_CAL_DONTNEED:
        b->add(write);
        b->begin();
        b->add(op_range(TS_OP_MADVISE_DONTNEED, region, 0, bytes));
        b->end();
        break;
    case TS_CAL_FAULT:
        b->add(op_range(TS_OP_MADVISE_DONTNEED, region, 0, bytes));
        b->begin();
        b->add(write);
        b->end();
        break;
    case TS_CAL_MUNMAP:
        b->add(op_mmap(region, bytes));
        b->add(write);
        b->begin();
        b->add(op_range(TS_OP_MUNMAP, b->regions++, 0, bytes));
        b->end();
        break;
    case TS_CAL_FAULT_TABLE:
    case TS_CAL_MUNMAP_TABLE:
        b->add(op_mmap(region, 2 * table_span));
        if (row.call == TS_CAL_FAULT_TABLE)
            b->begin();
        b->add(op_touch(region, table_span, 1));
        if (row.call == TS_CAL_FAULT_TABLE)
            b->end();
        else
            b->begin();
        b->add(op_range(TS_OP_MUNMAP, b->regions++, 0, 2 * table_span));
        if (row.call == TS_CAL_MUNMAP_TABLE)
            b->end();
        break;
    case TS_CAL_MEMBARRIER: {
        ts_op call = op_of(TS_OP_CALL);
        call.count = 1;
        call.target = row.spinners == 0   ? TS_CALL_NOBODY
                      : row.spinners == 1 ? TS_CALL_ONE
                                          : TS_CALL_ALL;
        b->begin();
        b->add(call);
        b->end();
        break;
    }
    case TS_CAL_NANOSLEEP:
        b->begin();
        b->add(op_ns(TS_OP_SLEEP, TS_CAL_NAP_NS));
        b->end();
        break;
    case TS_CAL_SYSCALL:
    case TS_CAL_CALLS:
        break;
    }
}

// A mapping of another kind comes first, so that nothing merges with what follows and the table
// that they share stays, as on the host (calibrate/calls.c).
Script script_of(const BenchRow &row, uint64_t spin, Benchmark *b)
{
    b->add(op_mmap(0, page, TS_OPF_ANONYMOUS, TS_PROT_READ));
    b->add(op_touch(0, 0, 1, false));
    b->regions = 1;
    Script script(1 + row.spinners);
    for (uint32_t i = 1; i <= row.spinners; i++) {
        b->add(op_spawn(i));
        script[i].push_back(op_ns(TS_OP_COMPUTE, spin));
    }
    b->add(op_ns(TS_OP_COMPUTE, settle_ns));
    if (row.call == TS_CAL_MPROTECT || row.call == TS_CAL_DONTNEED || row.call == TS_CAL_FAULT) {
        b->add(op_mmap(1, row.pages * page));
        b->add(op_touch(1, 0, row.pages));
    }
    for (size_t i = 0; i < warm_up + rounds; i++)
        add_round(b, row);
    script[0] = b->ops;
    return script;
}

struct Scripted {
    Experiment experiment;
    std::vector<Point> points;
    std::unique_ptr<Resolved> resolved;
};

std::string pieces_text(const SimulatedPlatform &p)
{
    return "schema: 1\nname: host\nmachine: " + yaml_quote(p.machine) +
           "\nhypervisor: " + yaml_quote(p.hypervisor) + "\nguest: " + yaml_quote(p.guest) + "\n";
}

std::vector<Override> sets_of(const SimulatedPlatform &p, std::vector<Override> more)
{
    std::vector<Override> sets = p.sets;
    sets.insert(sets.end(), more.begin(), more.end());
    return sets;
}

// experiment_check says what is wrong with it, in the user's words.
Scripted experiment_of(const std::string &text, const std::vector<Override> &sets)
{
    Scripted s;
    s.experiment = experiment_parse(text, "the calibrated machine", sets, false);
    experiment_check(s.experiment);
    s.points = experiment_points(s.experiment);
    s.resolved = std::make_unique<Resolved>(resolve(s.experiment, s.points.at(0)));
    return s;
}

Scripted machine_of(const SimulatedPlatform &p, const std::string &workload,
                    std::vector<Override> more)
{
    if (!p.bare())
        more.push_back({"run.vcpus", std::to_string(p.cpus)});
    more.push_back({"run.vms", "1"});
    return experiment_of(pieces_text(p) + "mechanisms: [" + p.mechanism +
                             "]\nworkload: " + workload + "\n",
                         sets_of(p, std::move(more)));
}

void run_machine(ts_machine *machine)
{
    ts_error error;
    throw_unless_ok(ts_machine_start(machine, &error), error);
    ts_machine_run(machine);
    throw_unless_ok(ts_machine_finish(machine, &error), error);
}

void script_destroy(ts_workload *)
{
}

uint64_t interrupts_sent(const ts_machine *machine)
{
    struct ts_machine_vm_result result;
    ts_machine_vm_result(machine, 0, &result);
    return result.ipis;
}

// too_short: a spinning thread ended before the caller.
SimulatedRow run_script(const Scripted &s, const BenchRow &row, uint64_t spin, bool *too_short)
{
    Benchmark benchmark;
    ts_machine *machine = nullptr;
    uint64_t before = 0, after = 0;  // interrupts, when the samples begin, and behind them
    std::vector<uint64_t> at;        // when the caller asked for each operation
    uint64_t first_end = UINT64_MAX; // of the spinning threads
    Script script = script_of(row, spin, &benchmark);
    at.resize(script[0].size() + 1);
    ScriptWorkload workload(std::move(script), 1, [&](uint32_t thread, size_t index) {
        const uint64_t now = machine ? ts_engine_now(ts_machine_engine(machine)) : 0;
        if (thread == 0) {
            at[index] = now;
            if (index == benchmark.timed[warm_up].first)
                before = interrupts_sent(machine);
            if (index == benchmark.timed.back().second)
                after = interrupts_sent(machine);
        } else if (index == 1) {
            first_end = std::min(first_end, now);
        }
    });
    workload.get()->pinned = true;
    workload.get()->destroy = script_destroy;
    std::vector<Workload> workloads(1);
    workloads[0].workload.reset(workload.get());
    Simulation simulation(s.points[0], *s.resolved, std::move(workloads));
    machine = simulation.machine.get();
    run_machine(simulation.machine.get());
    *too_short = first_end < at.back();
    std::vector<double> samples;
    for (size_t i = warm_up; i < benchmark.timed.size(); i++)
        samples.push_back(
            static_cast<double>(at[benchmark.timed[i].second] - at[benchmark.timed[i].first]));
    return {spread_of(samples).median / 1e3, static_cast<double>(after - before) / rounds};
}

} // namespace

void platform_check(const SimulatedPlatform &platform)
{
    (void)machine_of(platform, "{kind: mmap_storm}", {});
}

SimulatedRow simulate_row(const SimulatedPlatform &platform, const BenchRow &row)
{
    // Ticks hit a round here and there, as on the host, where the median leaves them out too.
    const Scripted s = machine_of(platform, "{kind: mmap_storm}", {{"guest.tick", "waiting"}});
    // No operation of a workload is an empty system call, and calls of other CPUs begin in the
    // kernel: this is what all others begin and end with.
    const double empty_call = static_cast<double>(s.resolved->config.guest.syscall_cycles) * 1e9 /
                              static_cast<double>(s.resolved->config.topology.core_hz);
    if (row.call == TS_CAL_SYSCALL)
        return {empty_call, 0};
    const double before = row.call == TS_CAL_MEMBARRIER ? empty_call : 0;
    for (uint64_t spin = spin_ns; spin <= spin_most_ns; spin *= 8) {
        bool too_short = false;
        const SimulatedRow simulated = run_script(s, row, spin, &too_short);
        if (!too_short)
            return {before + simulated.ns, simulated.interrupts};
    }
    environment_error("the simulation of " + row.name() + " takes too long");
}

double simulate_line(const SimulatedPlatform &platform, const std::string &column)
{
    const Scripted s = experiment_of(pieces_text(platform) + "study: line_sharing\n",
                                     sets_of(platform, {{"line_sharing.pattern", "transfer"}}));
    StatsFiles stats;
    const std::vector<uint64_t> counters =
        study_run(s.experiment, s.points[0], *s.resolved, &stats);
    for (size_t i = 0; i < s.experiment.study->ncolumns; i++)
        if (column == s.experiment.study->columns[i].name)
            return study_value(*s.experiment.study, s.experiment.study->columns[i], counters);
    environment_error("the study line_sharing has no column " + column);
}

SimulatedStorm simulate_storm(const SimulatedPlatform &platform, const ts_cal_storm &storm,
                              uint64_t seed)
{
    const std::string workload = "{kind: mmap_storm, threads: " + std::to_string(storm.threads) +
                                 ", rounds: " + std::to_string(storm.rounds) +
                                 ", pages: " + std::to_string(storm.pages) +
                                 ", touch_pages: " + std::to_string(storm.touch_pages) +
                                 ", placement: random}\nseed: " + std::to_string(seed);
    const Scripted s = machine_of(platform, workload, {});
    Simulation simulation(s.experiment, s.points[0], *s.resolved);
    struct ts_machine_result result;
    run_machine(simulation.machine.get());
    ts_machine_result(simulation.machine.get(), &result);
    return SimulatedStorm{static_cast<double>(result.completion_ps) / 1e3,
                          static_cast<double>(result.user_ps) / 1e3,
                          static_cast<double>(result.system_ps) / 1e3};
}

} // namespace ts
