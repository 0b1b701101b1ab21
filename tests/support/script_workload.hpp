/* SPDX-License-Identifier: Apache-2.0 */
/* A workload written out in a test: one list of operations a thread. And a machine that runs it. */
#ifndef TS_TESTS_SUPPORT_SCRIPT_WORKLOAD_HPP
#define TS_TESTS_SUPPORT_SCRIPT_WORKLOAD_HPP

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/machine_rig.hpp"

namespace ts_test
{

inline ts_op op_of(ts_op_kind kind, uint32_t region = 0)
{
    ts_op op{};
    op.kind = kind;
    op.region = region;
    return op;
}
inline ts_op op_mmap(uint32_t region, uint64_t length, uint32_t flags = TS_OPF_ANONYMOUS,
                     uint32_t prot = TS_PROT_READ | TS_PROT_WRITE)
{
    ts_op op = op_of(TS_OP_MMAP, region);
    op.length = length;
    op.flags = flags;
    op.prot = prot;
    return op;
}
inline ts_op op_range(ts_op_kind kind, uint32_t region, uint64_t offset, uint64_t length,
                      uint32_t prot = 0)
{
    ts_op op = op_of(kind, region);
    op.offset = offset;
    op.length = length;
    op.prot = prot;
    return op;
}
inline ts_op op_touch(uint32_t region, uint64_t offset, uint64_t count, bool write = true,
                      uint64_t stride = 4096)
{
    ts_op op = op_of(TS_OP_TOUCH, region);
    op.offset = offset;
    op.count = count;
    op.stride = stride;
    op.flags = write ? TS_OPF_WRITE : 0;
    return op;
}
inline ts_op op_ns(ts_op_kind kind, uint64_t ns)
{
    ts_op op = op_of(kind);
    op.length = ns;
    return op;
}
inline ts_op op_barrier(uint32_t number, uint64_t threads)
{
    ts_op op = op_of(TS_OP_BARRIER, number);
    op.count = threads;
    return op;
}
inline ts_op op_spawn(uint32_t thread, uint32_t flags = 0)
{
    ts_op op = op_of(TS_OP_SPAWN);
    op.target = thread;
    op.flags = flags;
    return op;
}
inline ts_op op_mremap(uint32_t region, uint64_t length, uint32_t target, uint64_t length2)
{
    ts_op op = op_range(TS_OP_MREMAP, region, 0, length);
    op.target = target;
    op.length2 = length2;
    return op;
}

using Script = std::vector<std::vector<ts_op>>;

/* Threads 0..initial-1 start by themselves. */
class ScriptWorkload
{
  public:
    explicit ScriptWorkload(Script script, uint32_t initial)
        : script_(std::move(script)), at_(script_.size(), 0)
    {
        base_.w.next = next;
        base_.w.initial_threads = initial;
        base_.owner = this;
    }
    ts_workload *get()
    {
        return &base_.w;
    }

  private:
    struct Base {
        ts_workload w{}; /* first: the guest hands back its address */
        ScriptWorkload *owner = nullptr;
    };
    static int next(ts_workload *w, uint32_t thread, ts_op *op, ts_error *)
    {
        ScriptWorkload *self = reinterpret_cast<Base *>(w)->owner;
        if (thread >= self->script_.size() || self->at_[thread] == self->script_[thread].size())
            return 0;
        *op = self->script_[thread][self->at_[thread]++];
        op->thread = thread;
        return 1;
    }
    Script script_;
    std::vector<size_t> at_;
    Base base_;
};

/* Bare metal, one socket. */
inline ts_machine_config bare_machine(uint32_t cores)
{
    ts_machine_config c{};
    ts_machine_config_defaults(&c);
    set(c, "topology.sockets", "1");
    set(c, "topology.cores_per_socket", std::to_string(cores));
    set(c, "topology.threads_per_core", "1");
    set(c, "hypervisor.kind", "none");
    set(c, "hypervisor.pv_tlb_flush", "false");
    set(c, "hypervisor.hv_flush", "off");
    set(c, "run.vms", "1");
    set(c, "run.oracle", "true");
    set(c, "run.limit", "60s");
    set(c, "guest.tick", "waiting");
    return c;
}

/* Runs the same script in every VM. */
inline Outcome run_script(const ts_machine_config &c, const Script &script, uint32_t initial,
                          const ts_flush_ops *mechanism, const void *params = nullptr,
                          const Mechanisms &by_vm = {}, const HostTasks &tasks = {})
{
    std::vector<ScriptWorkload *> scripts;
    std::vector<ts_workload *> workloads;
    for (uint64_t v = 0; v < c.run.vms; v++) {
        scripts.push_back(new ScriptWorkload(script, initial));
        workloads.push_back(scripts.back()->get());
    }
    Outcome out = run_workloads(c, mechanism, workloads, 1, nullptr, params, by_vm, tasks);
    for (ScriptWorkload *s : scripts)
        delete s;
    return out;
}
inline Outcome run_script(const ts_machine_config &c, const Script &script, uint32_t initial,
                          const char *mechanism = "native_concurrent")
{
    return run_script(c, script, initial, ts_flush_find(mechanism));
}

} // namespace ts_test
#endif
