/* SPDX-License-Identifier: Apache-2.0 */
/* A few pCPUs with nothing above them: tests put tasks on them and look at times. */
#ifndef TS_TESTS_SUPPORT_CPU_RIG_HPP
#define TS_TESTS_SUPPORT_CPU_RIG_HPP

#include <cstdlib>
#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/cpu/cpu.h"

namespace ts_test
{

class CpuRig
{
  public:
    using Body = std::function<void(ts_task *)>;

    /* cores: of each socket; threads: of each core */
    explicit CpuRig(uint32_t cores = 4, uint64_t hz = 2'500'000'000, const char *policy = "cfs",
                    uint32_t sockets = 1, uint32_t threads = 1, uint64_t smt_throughput = 0)
    {
        ts_error err{};
        ts_topology_params tp{};
        ts_interconnect_params ip{};
        ts_line_params lp{};
        ts_engine_config ec{};
        ts_param_defaults(&ts_topology_param_table, &tp);
        ts_param_defaults(&ts_interconnect_param_table, &ip);
        ts_param_defaults(&ts_line_param_table, &lp);
        tp.sockets = sockets;
        tp.cores_per_socket = cores;
        tp.threads_per_core = threads;
        tp.smt_throughput = smt_throughput;
        tp.core_hz = hz;
        check(ts_engine_create(&engine, &ec, &err), err);
        check(ts_topology_init(&topology, &tp, &err), err);
        check(ts_interconnect_create(&interconnect, engine, &topology, &ip, &err), err);
        check(ts_line_system_create(&lines, engine, &topology, interconnect, &lp, &err), err);
        ts_clock_init(&clock, hz);
        ops.interrupt = on_interrupt;
        ops.idle = ts_task_idle_wait;
        domain.name = "test";
        domain.owner = this;
        domain.engine = engine;
        domain.clock = &clock;
        domain.topology = &topology;
        domain.lines = lines;
        domain.timeline = &timeline;
        domain.sched = ts_sched_find(policy);
        domain.balance = true;
        domain.stack_bytes = 1 << 18;
        ts_param_defaults(&ts_guest_sched_param_table, &domain.sched_params);
        check(ts_cpu_domain_init(&domain, topology.ncpus, &ops, &err), err);
        check(ts_cpu_domain_start(&domain, &err), err);
    }
    CpuRig(const CpuRig &) = delete;
    CpuRig &operator=(const CpuRig &) = delete;
    ~CpuRig()
    {
        for (auto &t : tasks)
            ts_task_fini(&t.task);
        ts_cpu_domain_fini(&domain);
        ts_line_system_destroy(lines);
        ts_interconnect_destroy(interconnect);
        ts_topology_fini(&topology);
        ts_engine_destroy(engine);
    }

    /* A task pinned to a CPU, runnable at once. */
    ts_task *spawn(uint32_t cpu, Body body, bool start = true)
    {
        ts_error err{};
        tasks.emplace_back();
        auto &t = tasks.back();
        t.body = std::move(body);
        check(ts_task_init(&t.task, &domain, "test", run_body, &t, &err), err);
        t.task.cpu = t.task.pinned = &domain.cpus[cpu];
        if (start)
            ts_task_wake(nullptr, &t.task);
        return &t.task;
    }
    void run(ts_time limit = TS_S)
    {
        ts_engine_run(engine, limit);
    }
    ts_time now() const
    {
        return ts_engine_now(engine);
    }
    ts_time cycles(uint64_t n) const
    {
        return ts_clock_cycle_time(&clock, n);
    }
    /* Calls fn at a time, in hardware context. */
    void at(ts_time when, std::function<void()> fn)
    {
        functions.push_back(std::move(fn));
        hooks.push_back({{}, &functions.back()});
        auto &h = hooks.back();
        ts_event_init(&h.event, run_hook);
        ts_engine_schedule(engine, &h.event, when, TS_PHASE_HARDWARE);
    }

    ts_engine *engine = nullptr;
    ts_topology topology{};
    ts_interconnect *interconnect = nullptr;
    ts_line_system *lines = nullptr;
    ts_clock clock{};
    ts_timeline timeline{};
    ts_cpu_ops ops{};
    ts_cpu_domain domain{};
    uint64_t handler_cycles = 0;
    std::vector<ts_time> handled; /* ends of the handlers, but for what ticks and timers do */
    struct Taken {
        ts_time when;
        uint32_t cpu;
        ts_vector vector;
    };
    std::vector<Taken> taken;

  private:
    struct Task {
        ts_task task{};
        Body body;
    };
    struct Hook {
        ts_event event; /* first: the engine hands back its address */
        std::function<void()> *fn;
    };
    static void check(ts_status s, const ts_error &err)
    {
        if (s != TS_OK)
            throw std::runtime_error(err.message);
    }
    static void run_body(ts_task *self)
    {
        static_cast<Task *>(self->user)->body(self);
    }
    static void run_hook(ts_engine *, ts_event *event)
    {
        (*reinterpret_cast<Hook *>(event)->fn)();
    }
    static void on_interrupt(ts_task *self, ts_vector vector, ts_time)
    {
        auto *rig = static_cast<CpuRig *>(self->domain->owner);
        rig->taken.push_back({ts_task_now(self), self->cpu->id, vector});
        ts_task_work(self, rig->handler_cycles);
        rig->handled.push_back(ts_task_now(self));
        if (vector == TS_VEC_TICK)
            ts_cpu_handle_tick(self);
        if (vector == TS_VEC_TIMER)
            ts_cpu_handle_timer(self);
    }
    std::deque<Task> tasks;
    std::deque<std::function<void()>> functions;
    std::deque<Hook> hooks;
};

} // namespace ts_test
#endif
