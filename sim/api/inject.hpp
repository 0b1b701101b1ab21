// SPDX-License-Identifier: Apache-2.0
// A workload that does what it is given while it runs.
#ifndef TS_SIM_API_INJECT_HPP
#define TS_SIM_API_INJECT_HPP

#include "sim/api/tlbstorm.h"
#include "sim/engine.h"
#include "workloads/workload.h"

#include <deque>
#include <vector>

namespace ts_api
{

// Of one VM. The base comes first: the core knows it by that.
class Injector
{
  public:
    static ts_workload *create(uint32_t vcpus);
    static Injector *of(ts_workload *workload)
    {
        return reinterpret_cast<Injector *>(workload);
    }

    // Once the machine is there, and before it starts.
    void set_engine(const ts_engine *engine)
    {
        engine_ = engine;
    }
    // Throws a user error.
    void push(uint32_t vcpu, tlbstorm_op *op);
    uint64_t pending(uint32_t vcpu) const
    {
        return threads_[vcpu].queue.size() + threads_[vcpu].busy;
    }
    void close()
    {
        closed_ = true;
    }

  private:
    explicit Injector(uint32_t vcpus);
    static int next(ts_workload *workload, uint32_t thread, ts_op *op, ts_error *err);
    static void destroy(ts_workload *workload);

    struct Thread {
        std::deque<ts_op> queue;
        bool busy = false; // with one that was injected
    };

    ts_workload base_;
    const ts_engine *engine_ = nullptr;
    std::vector<Thread> threads_;
    std::vector<uint64_t> regions_; // bytes, by number
    bool closed_ = false;
};

} // namespace ts_api

#endif
