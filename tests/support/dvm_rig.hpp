/* SPDX-License-Identifier: Apache-2.0 */
/* A network with DVM nodes whose TLBs only take notes. */
#ifndef TS_TESTS_DVM_RIG_HPP
#define TS_TESTS_DVM_RIG_HPP

#include "models/dvm/dvm.h"
#include "sim/clock.h"
#include "sim/stats.h"
#include "tests/support/network_rig.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

namespace rig
{

inline ts_dvm_params dvm_params()
{
    return defaults<ts_dvm_params>(ts_dvm_param_table);
}

class Dvm
{
  public:
    struct Applied {
        uint32_t cpu;
        uint64_t id;
        ts_time when;
    };
    Network net;
    ts_dvm_params params;
    ts_dvm *dvm = nullptr;
    ts_clock core_clock{};
    std::vector<Applied> applied;
    /* Core cycles that the TLB of a CPU is busy with an operation, after what it is busy with. */
    std::function<uint64_t(uint32_t cpu, uint64_t id)> busy = [](uint32_t, uint64_t) {
        return UINT64_C(4);
    };

    explicit Dvm(const ts_topology_params &t = arm_topology(),
                 const ts_dvm_params &p = dvm_params(),
                 const ts_interconnect_params &n = arm_network(),
                 ts_queue_kind queue = TS_QUEUE_WHEEL)
        : net(t, n, queue), params(p)
    {
        ts_clock_init(&core_clock, t.core_hz);
        net.check(
            ts_dvm_create(&dvm, net.engine, &net.topo, net.ic, &params, apply, this, &net.err));
    }
    Dvm(const Dvm &) = delete;
    Dvm &operator=(const Dvm &) = delete;
    ~Dvm()
    {
        ts_dvm_destroy(dvm);
    }
    const struct ts_dvm_stats *stats() const
    {
        return ts_dvm_stats(dvm);
    }
    void issue(uint32_t cpu, uint64_t id, uint16_t vmid = 1)
    {
        ts_tlb_inval inval = ts_inval_tlbi_vaae1(vmid, id << 12, false, 0);

        ts_dvm_issue(dvm, cpu, &inval);
    }
    void issue_local(uint32_t cpu, uint64_t id)
    {
        ts_tlb_inval inval = ts_inval_tlbi_vaae1(1, id << 12, false, 0);

        ts_dvm_issue_local(dvm, cpu, &inval);
    }
    /* Number of CPUs that have applied id by now. */
    uint32_t reached(uint64_t id) const
    {
        uint32_t n = 0;

        for (const Applied &a : applied)
            n += a.id == id ? 1u : 0u;
        return n;
    }
    void expect_rules()
    {
        EXPECT_EQ(ts_stat_check(&ts_dvm_stat_table, stats(), &net.err), TS_OK) << net.err.message;
        EXPECT_EQ(
            ts_stat_check(&ts_interconnect_stat_table, ts_interconnect_stats(net.ic), &net.err),
            TS_OK)
            << net.err.message;
        EXPECT_EQ(stats()->op_ps.count, stats()->issued);
        EXPECT_EQ(stats()->sync_ps.count, stats()->syncs);
    }

  private:
    static uint64_t apply(void *user, uint32_t cpu, const ts_tlb_inval *inval)
    {
        auto *self = static_cast<Dvm *>(user);

        uint64_t id = inval->start >> 12;
        self->applied.push_back({cpu, id, self->net.now()});
        uint64_t now = ts_clock_cycle_at(&self->core_clock, self->net.now());
        uint64_t &until = self->busy_until_.emplace(cpu, 0).first->second;
        until = std::max(until, now) + self->busy(cpu, id);
        return until - now;
    }
    std::map<uint32_t, uint64_t> busy_until_; /* core cycles */
};

/* Remembers when a done callback came. */
struct Done {
    ts_engine *engine;
    ts_time when = TS_TIME_NEVER;
    uint32_t calls = 0;

    explicit Done(ts_engine *e) : engine(e)
    {
    }
    static void call(void *user, uint32_t)
    {
        auto *self = static_cast<Done *>(user);

        self->when = ts_engine_now(self->engine);
        self->calls++;
    }
};

} // namespace rig
#endif
