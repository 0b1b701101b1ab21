// SPDX-License-Identifier: Apache-2.0
#include "sim/systemc/host.hpp"

#include <algorithm>

namespace ts
{
namespace
{

ts_time present()
{
    return sc_core::sc_time_stamp().value();
}

} // namespace

EngineHost::EngineHost(sc_core::sc_module_name name, ts_engine *engine, ts_time limit,
                       ts_time quantum)
    : sc_core::sc_module(name), engine_(engine), limit_(limit), quantum_(quantum), wake_("wake")
{
    TS_ASSERT(sc_core::sc_get_time_resolution() == sc_core::sc_time(1, sc_core::SC_PS));
    SC_HAS_PROCESS(EngineHost);
    SC_METHOD(step);
    dont_initialize();
    sensitive << wake_;
    // An engine that has run before waits for SystemC to come to its time.
    const ts_time now = ts_engine_now(engine_);
    wake_.notify(sc_core::sc_time::from_value(now > present() ? now - present() : 0));
}

void EngineHost::run_to(ts_time bound)
{
    bound = std::min({bound, limit_, TS_TIME_NEVER - 1});
    if (stopped_ || ts_engine_next_time(engine_) > bound)
        return;
    ts_engine_run(engine_, bound);
    stopped_ = ts_engine_was_stopped(engine_);
    if (ran_)
        ran_->notify(sc_core::SC_ZERO_TIME);
}

void EngineHost::catch_up()
{
    run_to(present());
    TS_ASSERT(ts_engine_now(engine_) <= present());
}

// How far nobody else acts: the engine's own wake-up is not pending while step() runs.
ts_time EngineHost::horizon() const
{
    const ts_time others = sc_core::sc_time_to_pending_activity().value();
    return quantum_ == 0 || others == 0 ? present() : present() + std::min(quantum_, others - 1);
}

void EngineHost::rearm()
{
    wake_.cancel();
    const ts_time next = ts_engine_next_time(engine_), now = ts_engine_now(engine_);
    if (!stopped_ && next <= limit_ && next != TS_TIME_NEVER) {
        TS_ASSERT(next >= present());
        wake_.notify(sc_core::sc_time::from_value(next - present()));
    } else if (now > present()) {
        // The end of the run, to which SystemC's time has yet to come.
        wake_.notify(sc_core::sc_time::from_value(now - present()));
    }
}

void EngineHost::step()
{
    run_to(horizon());
    rearm();
}

FreshContext::FreshContext()
    : current_before_(sc_core::sc_curr_simcontext),
      global_before_(sc_core::sc_default_global_context)
{
    sc_core::sc_curr_simcontext = new sc_core::sc_simcontext();
    sc_core::sc_default_global_context = sc_core::sc_curr_simcontext;
}

FreshContext::~FreshContext()
{
    delete sc_core::sc_curr_simcontext;
    sc_core::sc_curr_simcontext = current_before_;
    sc_core::sc_default_global_context = global_before_;
}

static ts_time run_alone(ts_engine *engine, ts_time limit, ts_time quantum)
{
    const FreshContext context;
    EngineHost host("engine", engine, limit, quantum);
    sc_core::sc_start();
    return ts_engine_now(engine);
}

ts_time systemc_run(ts_engine *engine, ts_time limit)
{
    return run_alone(engine, limit, systemc_quantum);
}

ts_time systemc_run_stepwise(ts_engine *engine, ts_time limit)
{
    return run_alone(engine, limit, 0);
}

} // namespace ts
