/* SPDX-License-Identifier: Apache-2.0 */
/* When a TLBI and a Sync of an empty machine are where, as closed formulas of its network. */
#ifndef TS_TESTS_SUPPORT_DVM_FORMULA_HPP
#define TS_TESTS_SUPPORT_DVM_FORMULA_HPP

#include <algorithm>

#include "tests/support/dvm_rig.hpp"

namespace dvm_formula
{

/* Snoop flits so far apart that no two messages meet: the formulas are those of an empty machine.
 */
inline ts_dvm_params spaced()
{
    auto p = rig::dvm_params();

    p.mn_service_cycles = 200;
    return p;
}

/* The formulas of one operation of `cpu` from its issue on. */
struct Formula {
    rig::Dvm &d;
    uint32_t cpu;

    uint32_t mn(uint32_t socket) const
    {
        return ts_interconnect_gateway(d.net.ic, socket);
    }
    uint32_t core(uint32_t c) const
    {
        return d.net.topo.core[c];
    }
    ts_time mesh(ts_time from, uint64_t cycles) const
    {
        return ts_clock_after(d.net.clock(), from, cycles);
    }
    /* Request, DBIDResp and data have been exchanged: the MN begins. */
    ts_time accepted(ts_time issued) const
    {
        uint32_t home = mn(d.net.topo.socket[cpu]);
        ts_time request = d.net.arrival(core(cpu), home, 1, issued);
        ts_time dbid = d.net.arrival(home, core(cpu), 1, request);

        return d.net.arrival(core(cpu), home, 1, dbid);
    }
    /* When the k-th target of an MN that began at `start` has both parts. */
    ts_time snooped(uint32_t node, uint32_t target, uint64_t k, ts_time start) const
    {
        return d.net.arrival(node, core(target), 1,
                             mesh(start, (2 * k + 1) * d.params.mn_service_cycles));
    }
    /* When the MN of the socket has all responses; ready gives when a target can respond that has
     * been snooped. */
    template <typename Ready> ts_time collected(uint32_t socket, ts_time start, Ready ready) const
    {
        ts_time last = start;
        uint64_t k = 0;

        for (uint32_t target = 0; target < d.net.topo.ncpus; target++) {
            if (target == cpu || d.net.topo.socket[target] != socket)
                continue;
            ts_time leaves = mesh(ready(target, snooped(mn(socket), target, k++, start)),
                                  d.params.forward_cycles);
            last = std::max(last, d.net.arrival(core(target), mn(socket), 1, leaves));
        }
        return last;
    }
    /* The home MN, which began at `start`, has all responses and all peers' answers. */
    template <typename Ready> ts_time complete(ts_time start, Ready ready) const
    {
        uint32_t home = d.net.topo.socket[cpu];
        ts_time last = collected(home, start, ready);

        for (uint32_t peer = 0; peer < d.net.topo.params.sockets; peer++) {
            if (peer == home)
                continue;
            ts_time there = d.net.arrival(mn(home), mn(peer), 2, start);
            last =
                std::max(last, d.net.arrival(mn(peer), mn(home), 1, collected(peer, there, ready)));
        }
        return last;
    }
    ts_time op_complete(ts_time start) const
    {
        return complete(start, [](uint32_t, ts_time snooped_at) { return snooped_at; });
    }
    ts_time sync_complete(ts_time start) const
    {
        return complete(start, [this](uint32_t, ts_time snooped_at) {
            return snooped_at + d.params.sync_drain_ps;
        });
    }
    ts_time told(ts_time completed) const
    {
        return d.net.arrival(mn(d.net.topo.socket[cpu]), core(cpu), 1, completed);
    }
    ts_time op_comp(ts_time issued) const
    {
        return told(op_complete(accepted(issued)));
    }
    ts_time sync_comp(ts_time issued) const
    {
        return told(sync_complete(accepted(issued)));
    }
};

} // namespace dvm_formula
#endif
