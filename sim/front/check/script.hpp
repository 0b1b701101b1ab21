// SPDX-License-Identifier: Apache-2.0
// A workload written out: one list of operations a thread.
#ifndef TS_SIM_FRONT_CHECK_SCRIPT_HPP
#define TS_SIM_FRONT_CHECK_SCRIPT_HPP

#include "workloads/workload.h"

#include <functional>
#include <utility>
#include <vector>

namespace ts
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

// Threads 0..initial-1 start by themselves.
class ScriptWorkload
{
  public:
    // Called when a thread asks for its next operation, which is the index'th of its list: that
    // before it has ended. The list's length: the thread ends.
    using Watcher = std::function<void(uint32_t thread, size_t index)>;

    explicit ScriptWorkload(Script script, uint32_t initial, Watcher watcher = nullptr)
        : script_(std::move(script)), at_(script_.size(), 0), watcher_(std::move(watcher))
    {
        base_.w.next = next;
        base_.w.initial_threads = initial;
        base_.owner = this;
    }
    ScriptWorkload(const ScriptWorkload &) = delete;
    ScriptWorkload &operator=(const ScriptWorkload &) = delete;
    ts_workload *get()
    {
        return &base_.w;
    }
    // Each thread has been told its end.
    bool ended() const
    {
        return ended_ == script_.size();
    }

  private:
    struct Base {
        ts_workload w{}; // first: the guest hands back its address
        ScriptWorkload *owner = nullptr;
    };
    static int next(ts_workload *w, uint32_t thread, ts_op *op, ts_error *)
    {
        ScriptWorkload *self = reinterpret_cast<Base *>(w)->owner;
        if (thread >= self->script_.size())
            return 0;
        size_t &at = self->at_[thread];
        if (self->watcher_)
            self->watcher_(thread, at);
        if (at == self->script_[thread].size()) {
            self->ended_++;
            return 0;
        }
        *op = self->script_[thread][at++];
        op->thread = thread;
        return 1;
    }
    Script script_;
    std::vector<size_t> at_;
    size_t ended_ = 0; // threads
    Watcher watcher_;
    Base base_;
};

} // namespace ts

#endif
