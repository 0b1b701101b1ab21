// SPDX-License-Identifier: Apache-2.0
// Hosts one ts_engine in one SystemC process. Engine times and SystemC times are the same numbers:
// both count picoseconds, the default resolution of SystemC.
//
// Without a quantum engine time never leads sc_time_stamp(): the host runs the engine up to the
// present and then sleeps until the engine's next event. With one the engine runs ahead by at most
// so much, and never to where anything else in the simulation is going to happen; then SystemC's
// time follows. That is as exact, as nobody is there to see it, but for who ends sc_start() at a
// time of their own, and it leaves the engine its fast path. The process is an SC_METHOD, so fibers
// of the model switch on the main stack and not on a stack of SystemC, which the sanitizers do not
// know.
#ifndef TS_SIM_SYSTEMC_HOST_HPP
#define TS_SIM_SYSTEMC_HOST_HPP

#include "sim/engine.h"

#include <systemc>

namespace ts
{

class EngineHost : public sc_core::sc_module
{
  public:
    // The engine outlives the host. Events after limit are left pending. With a quantum the model
    // must not act on SystemC.
    EngineHost(sc_core::sc_module_name name, ts_engine *engine, ts_time limit = TS_TIME_NEVER,
               ts_time quantum = 0);

    // For other modules that act on the model at sc_time_stamp(): catch_up() before, so that the
    // model has seen everything due until now, rearm() after, as its next event may have moved.
    void catch_up();
    void rearm();

    // The event is notified, for the next delta cycle, whenever the engine has run. It outlives the
    // host's last step; nullptr: none.
    void tell(sc_core::sc_event *ran)
    {
        ran_ = ran;
    }

    // The model has called ts_engine_stop: no event runs any more.
    bool stopped() const
    {
        return stopped_;
    }

  private:
    void run_to(ts_time bound);
    ts_time horizon() const;
    void step();

    ts_engine *engine_;
    ts_time limit_;
    ts_time quantum_;
    bool stopped_ = false;
    sc_core::sc_event *ran_ = nullptr;
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

// Runs the engine in a fresh context, with nothing else in it; as KernelRun says. The second takes
// an event at a time.
constexpr ts_time systemc_quantum = TS_S; // as long as nobody else acts
ts_time systemc_run(ts_engine *engine, ts_time limit);
ts_time systemc_run_stepwise(ts_engine *engine, ts_time limit);

} // namespace ts

#endif
