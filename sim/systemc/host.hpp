// SPDX-License-Identifier: Apache-2.0
// Hosts one ts_engine in one SystemC process. Engine times and SystemC times are the same numbers:
// both count picoseconds, the default resolution of SystemC.
//
// Invariant: engine time never leads sc_time_stamp(). The host runs the engine up to the present
// and then sleeps until the engine's next event. The process is an SC_METHOD, so fibers of the
// model switch on the main stack and not on a stack of SystemC, which the sanitizers do not know.
#ifndef TS_SIM_SYSTEMC_HOST_HPP
#define TS_SIM_SYSTEMC_HOST_HPP

#include "sim/engine.h"

#include <systemc>

namespace ts
{

class EngineHost : public sc_core::sc_module
{
  public:
    // The engine outlives the host. Events after limit are left pending.
    EngineHost(sc_core::sc_module_name name, ts_engine *engine, ts_time limit = TS_TIME_NEVER);
    ~EngineHost() override;

    // For other modules that act on the model at sc_time_stamp(): catch_up() before, so that the
    // model has seen everything due until now, rearm() after, as its next event may have moved.
    void catch_up();
    void rearm();

    // The model has called ts_engine_stop: no event runs any more.
    bool stopped() const
    {
        return stopped_;
    }

  private:
    // An event that comes last at the present time; see catch_up.
    struct Sentinel {
        ts_event event;
        bool reached;
    };
    static void on_sentinel(ts_engine *engine, ts_event *event);
    void step();

    ts_engine *engine_;
    ts_time limit_;
    Sentinel sentinel_;
    bool stopped_ = false;
    sc_core::sc_event wake_;
};

// A simulation context of its own for as long as it lives: SystemC 2.3.4 starts only one simulation
// in a context. Modules must be made and destroyed within it; contexts nest, but not across
// threads.
class FreshContext
{
  public:
    FreshContext();
    ~FreshContext();
    FreshContext(const FreshContext &) = delete;
    FreshContext &operator=(const FreshContext &) = delete;

  private:
    sc_core::sc_simcontext *current_before_;
    sc_core::sc_simcontext *global_before_;
};

// Runs the engine in a fresh context, with nothing else in it; as KernelRun says.
ts_time systemc_run(ts_engine *engine, ts_time limit);

} // namespace ts

#endif
