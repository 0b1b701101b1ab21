/* SPDX-License-Identifier: Apache-2.0 */
/* The workloads ipi_bench and ipi_spin on small machines: closed formulas of a call, how many
 * interrupts, register writes and exits it takes, and the order in which the lock is taken. */
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/support/machine_rig.hpp"

using namespace ts_test;

namespace
{

/* All clocks are 1 GHz, so that every time is a whole number of cycles. */
constexpr ts_time cycle_ps = 1000;
constexpr uint64_t calls = 50;

ts_machine_config machine(unsigned cpus, bool vm)
{
    ts_machine_config m = small_machine();
    set(m, "topology.sockets", "1");
    set(m, "topology.cores_per_socket", std::to_string(cpus));
    set(m, "topology.core_hz", "1GHz");
    set(m, "interconnect.mesh_hz", "1GHz");
    set(m, "run.vms", "1");
    set(m, "run.vcpus", std::to_string(cpus));
    set(m, "interrupt.shorthand", "false");
    if (vm) {
        set(m, "hypervisor.pin", "true");
        return m;
    }
    set(m, "hypervisor.kind", "none");
    /* A target in MWAIT would not be interrupted. */
    set(m, "guest.idle_polling", "false");
    return m;
}

/* Lines that cost nothing, over a network that costs nothing. */
ts_machine_config machine_of_free_lines(unsigned cpus)
{
    ts_machine_config m = machine(cpus, false);
    for (const char *key :
         {"line.hit_cycles", "line.rmw_cycles", "line.home_cycles", "line.snoop_cycles",
          "interconnect.router_cycles", "interconnect.link_cycles", "interconnect.inject_cycles"})
        set(m, key, "0cycles");
    set(m, "line.memory_ps", "0ns");
    return m;
}

uint64_t value(const ts_machine_config &m, const std::string &key)
{
    ts_machine_config copy = m;
    void *base = nullptr;
    const ts_param *row = find_param(copy, key, &base);
    return ts_param_get(row, base);
}

struct WorkloadDelete {
    void operator()(ts_workload *w) const
    {
        w->destroy(w);
    }
};
using WorkloadPtr = std::unique_ptr<ts_workload, WorkloadDelete>;

WorkloadPtr make(const char *name, const std::map<std::string, std::string> &values)
{
    ts_error err{};
    const ts_workload_kind *kind = ts_workload_kind_find(name);
    std::vector<uint64_t> params((kind->ops.params_size + 7) / 8);
    ts_param_defaults(kind->ops.params, params.data());
    for (const auto &[key, text] : values) {
        const ts_param *row = ts_param_find(kind->ops.params, key.c_str());
        if (!row || ts_param_set(row, params.data(), text.c_str(), &err) != TS_OK)
            throw std::runtime_error(key + ": " + err.message);
    }
    ts_workload_config config{};
    config.params = params.data();
    ts_workload *w = nullptr;
    if (kind->create(&w, &config, &err) != TS_OK)
        throw std::runtime_error(err.message);
    return WorkloadPtr(w);
}

Outcome bench(const ts_machine_config &m, const std::string &mode, uint64_t n = calls)
{
    WorkloadPtr w = make("ipi_bench", {{"mode", mode}, {"iterations", std::to_string(n)}});
    Outcome out = run_workloads(m, ts_flush_find("native_sequential"), {w.get()}, 1);
    EXPECT_EQ(out.status, TS_OK) << out.message;
    return out;
}

/* What ten cycles more of a parameter add to a stat over `calls` calls, after as many that settle.
 */
int64_t growth(const ts_machine_config &m, const std::string &mode, const std::string &key,
               const std::string &stat)
{
    const auto settled = [&](const ts_machine_config &config) {
        return static_cast<int64_t>(bench(config, mode, 2 * calls).stats.at(stat)) -
               static_cast<int64_t>(bench(config, mode).stats.at(stat));
    };
    ts_machine_config slower = m;
    set(slower, key, std::to_string(value(m, key) + 10) + "cycles");
    return settled(slower) - settled(m);
}

const char delay[] = "guest.call_delay_ps.sum";
const char total[] = "guest.call_total_ps.sum";

} // namespace

TEST(IpiBench, DryIsTheLoopAlone)
{
    const ts_machine_config m = machine(2, false);
    const Outcome out = bench(m, "dry");

    EXPECT_EQ(out.stats.at("guest.calls"), calls);
    EXPECT_EQ(out.stats.at("guest.call_functions"), 0u);
    EXPECT_EQ(out.stats.at("guest.ipis"), 0u);
    EXPECT_EQ(out.stats.at(total), calls * value(m, "guest.call_loop") * cycle_ps);
}

TEST(IpiBench, SelfRunsTheFunctionWithoutAnInterrupt)
{
    const ts_machine_config m = machine(2, false);
    const Outcome out = bench(m, "self");
    const uint64_t call = value(m, "guest.smp_call_target"), clock = value(m, "guest.clock_read");
    const uint64_t loop = value(m, "guest.call_loop");

    EXPECT_EQ(out.stats.at("guest.call_functions"), calls);
    EXPECT_EQ(out.stats.at("guest.ipis"), 0u);
    EXPECT_EQ(out.stats.at("interrupt.sent"), 0u);
    /* From one reading to the other. */
    EXPECT_EQ(out.stats.at(delay), calls * (call + clock) * cycle_ps);
    EXPECT_EQ(out.stats.at(total), calls * (loop + call + 2 * clock) * cycle_ps);
}

TEST(IpiBench, NormalIsTheSumOfItsSteps)
{
    const ts_machine_config m = machine_of_free_lines(2);
    const Outcome out = bench(m, "normal");
    const ts_time flight = value(m, "interrupt.transport_ps") + value(m, "interrupt.accept_ps");
    uint64_t cycles = 0;

    for (const char *key :
         {"guest.smp_call_setup", "guest.smp_call_target", "interrupt.icr_write_cycles",
          "guest.irq_entry", "guest.smp_call_handler", "guest.clock_read"})
        cycles += value(m, key);
    /* What is left: the messages of four lines and of the interrupt take a few cycles even here. */
    const ts_time steps = cycles * cycle_ps + flight + value(m, "hypervisor.wakeup");
    const ts_time each = out.stats.at(delay) / calls;
    EXPECT_GE(each, steps);
    EXPECT_LT(each, steps + 20 * cycle_ps);
    EXPECT_EQ(out.stats.at("guest.ipis"), calls);
    EXPECT_EQ(out.stats.at("guest.icr_writes"), calls);
    EXPECT_EQ(out.stats.at("interrupt.sent"), calls);
    EXPECT_EQ(out.stats.at("guest.call_functions"), calls);
}

/* What is on the path of the acknowledgement, and how often: the release and the way back are in
 * the whole call alone. */
TEST(IpiBench, NormalGrowsByEachStepAsOftenAsItIsTaken)
{
    const int64_t more = static_cast<int64_t>(calls * 10 * cycle_ps);
    const ts_machine_config bare = machine(2, false), vm = machine(2, true);

    for (const char *key : {"guest.smp_call_setup", "guest.smp_call_target", "guest.irq_entry",
                            "guest.smp_call_handler", "interrupt.icr_write_cycles"}) {
        EXPECT_EQ(growth(bare, "normal", key, delay), more) << key;
        EXPECT_EQ(growth(bare, "normal", key, total), more) << key;
    }
    EXPECT_EQ(growth(bare, "normal", "guest.clock_read", delay), more);
    EXPECT_EQ(growth(bare, "normal", "guest.clock_read", total), 2 * more);
    EXPECT_EQ(growth(bare, "normal", "guest.call_loop", delay), 0);
    EXPECT_EQ(growth(bare, "normal", "guest.call_loop", total), more);
    /* send_ipi reads the clock for a call to one CPU, and so does handle_ipi; for all, neither. */
    EXPECT_EQ(growth(bare, "broadcast", "guest.clock_read", total), 0);
    EXPECT_EQ(growth(bare, "broadcast_lock", "guest.clock_read", total), 0);
    for (const char *key :
         {"hypervisor.exit", "hypervisor.icr_fastpath", "hypervisor.inject", "guest.irq_entry"})
        EXPECT_EQ(growth(vm, "normal", key, total), more) << key;
}

/* Caller and target on the two threads of a core. The loop is so long that the target halts and is
 * polled for when it ends. */
TEST(IpiBench, PollingForTheTargetSlowsTheCallersThreadUnlessItPauses)
{
    const int64_t more = static_cast<int64_t>(calls * 10 * cycle_ps);
    ts_machine_config m = machine(2, true);
    set(m, "topology.cores_per_socket", "1");
    set(m, "topology.threads_per_core", "2");
    set(m, "topology.smt_throughput", "125");
    set(m, "guest.call_loop", "20000cycles");

    set(m, "hypervisor.halt_poll_relax", "true");
    EXPECT_EQ(growth(m, "normal", "guest.call_loop", total), more);
    set(m, "hypervisor.halt_poll_relax", "false");
    EXPECT_EQ(growth(m, "normal", "guest.call_loop", total), more * 8 / 5);
    set(m, "hypervisor.halt_poll", "0");
    EXPECT_EQ(growth(m, "normal", "guest.call_loop", total), more);
}

TEST(IpiBench, BroadcastReachesAllOthers)
{
    for (const bool is_vm : {false, true}) {
        const uint64_t n = 20, others = n - 1;
        for (const auto &[mode, writes] :
             {std::pair{std::string("x2apic_phys"), others}, {std::string("x2apic_cluster"), 2}}) {
            ts_machine_config m = machine(n, is_vm);
            set(m, is_vm ? "interrupt.guest_mode" : "interrupt.mode", mode);
            for (const char *kind : {"broadcast", "broadcast_lock"}) {
                const auto stats = bench(m, kind).stats;
                EXPECT_EQ(stats.at("guest.calls"), calls);
                EXPECT_EQ(stats.at("guest.call_functions"), calls * others);
                EXPECT_EQ(stats.at("guest.call_delay_ps.count"), calls * others);
                EXPECT_EQ(stats.at("guest.ipis"), calls * others);
                EXPECT_EQ(stats.at("guest.icr_writes"), calls * writes) << mode;
                if (is_vm)
                    EXPECT_EQ(stats.at("hypervisor.exit_icr"), calls * writes) << mode;
                else
                    EXPECT_EQ(stats.at("interrupt.sent"), calls * others);
            }
        }
    }
}

TEST(IpiBench, PvIpiReplacesTheWritesOfABroadcastByHypercalls)
{
    ts_machine_config m = machine(20, true);

    set(m, "hypervisor.pv_ipi", "sliding");
    const auto broadcast = bench(m, "broadcast").stats;
    EXPECT_EQ(broadcast.at("hypervisor.exit_icr"), 0u);
    EXPECT_EQ(broadcast.at("hypervisor.exit_hypercall"), calls);
    EXPECT_EQ(broadcast.at("guest.call_functions"), calls * 19);
    /* A single target is not sent to by hypercall. */
    const auto normal = bench(m, "normal").stats;
    EXPECT_EQ(normal.at("hypervisor.exit_icr"), calls);
    EXPECT_EQ(normal.at("hypervisor.exit_hypercall"), 0u);
}

/* A broadcast's sender pays for each target one after the other. */
TEST(IpiBench, BroadcastGrowsWithTheSendersWorkForEachTarget)
{
    const ts_machine_config m = machine(6, false);

    EXPECT_EQ(growth(m, "broadcast", "guest.smp_call_target", total),
              static_cast<int64_t>(calls * 5 * 10 * cycle_ps));
    EXPECT_EQ(growth(m, "broadcast", "guest.smp_call_setup", total),
              static_cast<int64_t>(calls * 10 * cycle_ps));
}

namespace
{

/* Order in which the functions began and in which the interrupts that ran them ended. */
struct Order {
    std::vector<uint32_t> begun, ended;
    std::vector<bool> running = std::vector<bool>(64, false);

    static void record(void *user, const ts_timeline_record *r)
    {
        auto *o = static_cast<Order *>(user);
        if (r->kind == TS_TL_FLOW_END) {
            o->begun.push_back(r->track);
            o->running.at(r->track) = true;
        } else if (r->kind == TS_TL_END && o->running.at(r->track)) {
            o->ended.push_back(r->track);
            o->running.at(r->track) = false;
        }
    }
};

} // namespace

/* All ask for the lock while its first owner holds it: they take it in the order of asking, one
 * after the other. */
TEST(IpiBench, TheLockIsTakenInOrderOfArrivalByOneAtATime)
{
    ts_machine_config m = machine(8, false);
    const uint64_t held = 1000000;
    ts_error err{};
    ts_machine *made = nullptr;
    Order order;
    std::map<std::string, uint64_t> stats;

    WorkloadPtr w = make(
        "ipi_bench",
        {{"mode", "broadcast_lock"}, {"iterations", "2"}, {"hold", std::to_string(held) + "ns"}});
    ts_machine_vm vm{w.get(), ts_flush_find("native_sequential"), nullptr};
    ASSERT_EQ(ts_machine_create(&made, &m, &vm, 1, &err), TS_OK) << err.message;
    ts_machine_set_timeline(made, Order::record, &order);
    ASSERT_EQ(ts_machine_start(made, &err), TS_OK);
    ts_machine_run(made);
    EXPECT_EQ(ts_machine_finish(made, &err), TS_OK) << err.message;
    ts_machine_visit_stats(made, collect, &stats);
    ts_machine_destroy(made);

    EXPECT_EQ(order.begun.size(), 2u * 7);
    EXPECT_EQ(order.ended, order.begun);
    /* The last of seven waits for the six before it. */
    EXPECT_GE(stats.at("guest.call_delay_ps.max"), 6 * held * cycle_ps);
    EXPECT_LT(stats.at("guest.call_delay_ps.max"), 7 * held * cycle_ps);
    /* Sum over both calls: 0 + 1 + ... + 6 turns, and less than one turn for all the rest. */
    EXPECT_GE(stats.at(delay), 2 * 21 * held * cycle_ps);
    EXPECT_LT(stats.at(delay), 2 * 22 * held * cycle_ps);
}

TEST(IpiBench, WithoutTheLockNobodyWaits)
{
    WorkloadPtr w =
        make("ipi_bench", {{"mode", "broadcast"}, {"iterations", "2"}, {"hold", "1ms"}});
    const Outcome out =
        run_workloads(machine(8, false), ts_flush_find("native_sequential"), {w.get()}, 1);

    EXPECT_LT(out.stats.at("guest.call_delay_ps.max"), TS_MS);
}

TEST(IpiSpin, TargetsThatRunAreInterruptedWithoutAnExitAndNeverHalt)
{
    const ts_machine_config m = machine(4, true);
    WorkloadPtr w =
        make("ipi_spin", {{"mode", "broadcast"}, {"iterations", "50"}, {"spinners", "3"}});
    const Outcome out = run_workloads(m, ts_flush_find("native_sequential"), {w.get()}, 1);

    ASSERT_EQ(out.status, TS_OK) << out.message;
    EXPECT_EQ(out.stats.at("guest.calls"), 50u);
    EXPECT_EQ(out.stats.at("guest.call_functions"), 150u);
    EXPECT_EQ(out.stats.at("hypervisor.posted"), 150u);
    /* No more than the CPUs' idling before their thread comes and after it has gone. */
    EXPECT_LE(out.stats.at("hypervisor.halts"), 2u * 4);
}

TEST(IpiSpin, NormalCallsOneAndEndsWithAnyNumberOfSpinners)
{
    for (const char *spinners : {"0", "1", "5"}) {
        WorkloadPtr w = make("ipi_spin", {{"iterations", "20"}, {"spinners", spinners}});
        const Outcome out =
            run_workloads(machine(4, true), ts_flush_find("native_sequential"), {w.get()}, 1);
        EXPECT_EQ(out.status, TS_OK) << out.message;
        EXPECT_EQ(out.stats.at("guest.call_functions"), 20u);
    }
}
