// SPDX-License-Identifier: Apache-2.0
#include "sim/systemc/host.hpp"

#include <cstring>
#include <new>

namespace ts
{
namespace
{

ts_time present()
{
    return sc_core::sc_time_stamp().value();
}

} // namespace

EngineHost::EngineHost(sc_core::sc_module_name name, ts_engine *engine, ts_time limit)
    : sc_core::sc_module(name), engine_(engine), limit_(limit), sentinel_(), wake_("wake")
{
    TS_ASSERT(sc_core::sc_get_time_resolution() == sc_core::sc_time(1, sc_core::SC_PS));
    ts_event_init(&sentinel_.event, on_sentinel);
    ts_error error;
    std::memset(&error, 0, sizeof error);
    if (ts_engine_reserve(engine_, 1, &error) != TS_OK)
        throw std::bad_alloc();
    SC_HAS_PROCESS(EngineHost);
    SC_METHOD(step);
    dont_initialize();
    sensitive << wake_;
    // An engine that has run before waits for SystemC to come to its time.
    const ts_time now = ts_engine_now(engine_);
    wake_.notify(sc_core::sc_time::from_value(now > present() ? now - present() : 0));
}

EngineHost::~EngineHost()
{
    ts_engine_cancel(engine_, &sentinel_.event);
}

// Goes behind everything that is still due at this time, whatever its phase.
void EngineHost::on_sentinel(ts_engine *engine, ts_event *event)
{
    const ts_time now = ts_engine_now(engine);
    if (ts_engine_next_time(engine) == now)
        ts_engine_schedule(engine, event, now, TS_PHASE_SAMPLE);
    else
        reinterpret_cast<Sentinel *>(event)->reached = true;
}

// ts_engine_run does not tell whether the limit or ts_engine_stop ended it, and the two differ when
// the last event of a picosecond stops the engine. The sentinel tells: only a stop keeps the run
// from reaching it. It takes nothing from the order of the others, which is relative.
void EngineHost::catch_up()
{
    while (!stopped_) {
        const ts_time next = ts_engine_next_time(engine_);
        if (next > present() || next > limit_ || next == TS_TIME_NEVER)
            break;
        sentinel_.reached = false;
        ts_engine_schedule(engine_, &sentinel_.event, next, TS_PHASE_SAMPLE);
        ts_engine_run(engine_, next);
        stopped_ = !sentinel_.reached;
    }
    ts_engine_cancel(engine_, &sentinel_.event);
    TS_ASSERT(ts_engine_now(engine_) <= present());
}

void EngineHost::rearm()
{
    wake_.cancel();
    const ts_time next = ts_engine_next_time(engine_);
    if (stopped_ || next > limit_ || next == TS_TIME_NEVER)
        return;
    TS_ASSERT(next >= present());
    wake_.notify(sc_core::sc_time::from_value(next - present()));
}

void EngineHost::step()
{
    catch_up();
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

ts_time systemc_run(ts_engine *engine, ts_time limit)
{
    const FreshContext context;
    EngineHost host("engine", engine, limit);
    sc_core::sc_start();
    return ts_engine_now(engine);
}

} // namespace ts
