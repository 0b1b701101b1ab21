/* SPDX-License-Identifier: Apache-2.0 */
/* An engine, a topology and an interconnect for tests of what travels over it. */
#ifndef TS_TESTS_NETWORK_RIG_HPP
#define TS_TESTS_NETWORK_RIG_HPP

#include "models/interconnect/fabric.h"
#include "models/interconnect/interconnect.h"
#include "models/topology/topology.h"
#include "sim/engine.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace rig
{

template <typename Params> Params defaults(const ts_param_table &table)
{
    Params p{};

    ts_param_defaults(&table, &p);
    return p;
}

inline uint64_t fabric_index(const std::string &name)
{
    for (size_t i = 0; i < ts_fabric_table_count; i++)
        if (name == ts_fabric_table[i]->name)
            return i;
    throw std::runtime_error("no fabric " + name);
}

inline ts_topology_params topology(uint64_t sockets, uint64_t cores, uint64_t threads = 1)
{
    auto p = defaults<ts_topology_params>(ts_topology_param_table);

    p.sockets = sockets;
    p.cores_per_socket = cores;
    p.threads_per_core = threads;
    return p;
}

inline ts_interconnect_params network(const std::string &fabric = "mesh")
{
    auto p = defaults<ts_interconnect_params>(ts_interconnect_param_table);

    p.fabric = fabric_index(fabric);
    return p;
}

/* A 64-core Arm server part: CMN at 2 GHz, 3 cycles a hop, clock crossings and DSU between core and
 * mesh in inject_cycles. */
inline ts_topology_params arm_topology(uint64_t sockets = 1, uint64_t cores = 64)
{
    auto p = topology(sockets, cores);

    p.arch = TS_ARCH_ARM64;
    return p;
}

inline ts_interconnect_params arm_network()
{
    auto p = network();

    p.mesh_hz = 2000000000;
    p.router_cycles = 2;
    p.link_cycles = 1;
    p.inject_cycles = 20;
    p.socket_link_ps = 60 * TS_NS;
    return p;
}

class Network
{
  public:
    ts_engine *engine = nullptr;
    ts_topology topo{};
    ts_interconnect *ic = nullptr;
    ts_error err{};

    explicit Network(const ts_topology_params &t, const ts_interconnect_params &n = network(),
                     ts_queue_kind queue = TS_QUEUE_WHEEL)
    {
        ts_engine_config config{};

        config.queue = queue;
        try {
            check(ts_engine_create(&engine, &config, &err));
            check(ts_topology_init(&topo, &t, &err));
            check(ts_interconnect_create(&ic, engine, &topo, &n, &err));
        } catch (...) {
            destroy();
            throw;
        }
    }
    Network(const Network &) = delete;
    Network &operator=(const Network &) = delete;
    ~Network()
    {
        destroy();
    }
    void check(ts_status status)
    {
        if (status != TS_OK)
            throw std::runtime_error(err.message);
    }
    void destroy()
    {
        ts_interconnect_destroy(ic);
        ts_topology_fini(&topo);
        if (engine)
            ts_engine_destroy(engine);
    }
    ts_time now() const
    {
        return ts_engine_now(engine);
    }
    uint64_t run(ts_time limit = TS_TIME_NEVER - 1)
    {
        return ts_engine_run(engine, limit);
    }
    const ts_clock *clock() const
    {
        return ts_interconnect_clock(ic);
    }
    ts_time arrival(uint32_t src, uint32_t dst, uint64_t flits, ts_time sent) const
    {
        return ts_interconnect_arrival(ic, src, dst, static_cast<uint32_t>(flits), sent);
    }
};

/* Runs a function at a time of the simulation. */
class At
{
  public:
    At(ts_engine *engine, ts_time when, std::function<void()> fn,
       ts_phase phase = TS_PHASE_SOFTWARE)
        : fn_(std::move(fn))
    {
        ts_event_init(&box_.event, call);
        box_.self = this;
        ts_engine_schedule(engine, &box_.event, when, phase);
    }
    At(const At &) = delete;
    At &operator=(const At &) = delete;

  private:
    struct Box {
        ts_event event;
        At *self;
    };
    static void call(ts_engine *, ts_event *event)
    {
        reinterpret_cast<Box *>(event)->self->fn_();
    }
    Box box_{};
    std::function<void()> fn_;
};

} // namespace rig
#endif
