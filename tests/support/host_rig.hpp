/* SPDX-License-Identifier: Apache-2.0 */
/* A whole machine with threads of the host beside its guests. */
#ifndef TS_TESTS_SUPPORT_HOST_RIG_HPP
#define TS_TESTS_SUPPORT_HOST_RIG_HPP

#include <functional>
#include <list>
#include <memory>

#include "models/hypervisor/host_task.h"
#include "tests/support/script_workload.hpp"

namespace ts_test
{

inline ts_host_op host_op(ts_host_op_kind kind, uint64_t amount = 0, uint32_t vm = 0,
                          uint64_t start = 0)
{
    ts_host_op op{};
    op.kind = kind;
    op.amount = amount;
    op.vm = vm;
    op.start = start;
    return op;
}

inline ts_host_op host_tlbi(const ts_tlb_inval &inval)
{
    ts_host_op op = host_op(TS_HOST_TLBI);
    op.inval = inval;
    return op;
}

class HostRun
{
  public:
    using Code = std::function<void(ts_task *self, ts_hypervisor *h)>;

    explicit HostRun(const ts_machine_config &config) : config_(config)
    {
    }
    HostRun(const HostRun &) = delete;
    HostRun &operator=(const HostRun &) = delete;
    ~HostRun()
    {
        if (machine)
            ts_machine_destroy(machine);
    }
    ts_host_op code(Code fn)
    {
        codes_.push_back(std::move(fn));
        ts_host_op op = host_op(TS_HOST_CODE);
        op.user = &codes_.back();
        op.code = [](ts_task *self, const ts_host_op *o) {
            (*static_cast<Code *>(o->user))(self,
                                            static_cast<ts_hypervisor *>(self->domain->owner));
        };
        return op;
    }
    void task(std::vector<ts_host_op> ops, uint32_t pcpu = TS_HOST_ANY_PCPU, uint64_t repeat = 1,
              bool background = false)
    {
        tasks_.push_back({std::move(ops), {}, {}});
        Task &t = tasks_.back();
        ts_host_script_init(&t.script, t.ops.data(), t.ops.size(), repeat);
        t.config = {"thread", pcpu, background, &t.script.stream};
    }
    void at(ts_time when, std::function<void()> fn)
    {
        probes_.push_back({{}, when, std::move(fn)});
    }
    /* The same script in every VM. */
    Outcome run(const Script &script, uint32_t initial, const char *mechanism)
    {
        Outcome out;
        ts_error err{};
        std::vector<ts_machine_vm> vms;
        for (uint64_t v = 0; v < config_.run.vms; v++) {
            scripts_.push_back(std::make_unique<ScriptWorkload>(script, initial));
            scripts_.back()->get()->pinned = pinned;
            vms.push_back({scripts_.back()->get(), ts_flush_find(mechanism), nullptr});
        }
        out.status = ts_machine_create(&machine, &config_, vms.data(), 1, &err);
        for (Task &t : tasks_) {
            if (out.status == TS_OK)
                out.status = ts_machine_add_host_task(machine, &t.config, &err);
        }
        if (out.status == TS_OK)
            out.status = ts_machine_start(machine, &err);
        if (out.status == TS_OK) {
            for (Probe &p : probes_) {
                ts_event_init(&p.event,
                              [](ts_engine *, ts_event *e) { reinterpret_cast<Probe *>(e)->fn(); });
                ts_engine_schedule(ts_machine_engine(machine), &p.event, p.when, TS_PHASE_SAMPLE);
            }
            ts_machine_run(machine);
            end = ts_engine_now(ts_machine_engine(machine));
            out.status = ts_machine_finish(machine, &err);
            ts_machine_result(machine, &out.result);
            ts_machine_visit_stats(machine, collect, &out.stats);
        }
        out.message = err.message;
        return out;
    }
    ts_machine *machine = nullptr;
    ts_time end = 0;     /* of the run */
    bool pinned = false; /* threads: see struct ts_workload */

  private:
    struct Task {
        std::vector<ts_host_op> ops;
        ts_host_script script;
        ts_host_task_config config;
    };
    struct Probe {
        ts_event event; /* first: the engine hands back its address */
        ts_time when;
        std::function<void()> fn;
    };
    ts_machine_config config_;
    std::list<Code> codes_;
    std::list<Task> tasks_;
    std::list<Probe> probes_;
    std::vector<std::unique_ptr<ScriptWorkload>> scripts_;
};

/* Combined translations of each VM that each pCPU holds: [vm][pcpu]. */
using Cached = std::vector<std::vector<uint64_t>>;
inline Cached cached(const ts_hypervisor *h)
{
    Cached n(h->w.nvms, std::vector<uint64_t>(h->w.host->ncpus, 0));
    struct At {
        const ts_hypervisor *h;
        Cached *n;
        uint32_t pcpu;
    } at{h, &n, 0};
    for (; at.pcpu < h->w.host->ncpus; at.pcpu++) {
        ts_mmu_for_each(
            h->w.mmus[at.pcpu],
            [](void *user, const ts_tlb_entry *e) {
                auto *a = static_cast<At *>(user);
                for (uint32_t v = 0; v < a->h->w.nvms; v++) {
                    const ts_vm *vm = a->h->w.vms[v];
                    uint32_t tags = vm->arch == TS_ARCH_X86 ? vm->nvcpus : 1;
                    if (e->tags.vmid >= vm->vmid_base && e->tags.vmid < vm->vmid_base + tags)
                        (*a->n)[v][a->pcpu]++;
                }
            },
            &at);
    }
    return n;
}

/* Sum over pCPUs. */
inline uint64_t total(const std::vector<uint64_t> &n)
{
    uint64_t sum = 0;
    for (uint64_t k : n)
        sum += k;
    return sum;
}

} // namespace ts_test
#endif
