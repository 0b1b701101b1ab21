// SPDX-License-Identifier: Apache-2.0
// The engine of a fabric, which the modules that use it share.
#ifndef TS_SIM_SYSTEMC_FABRIC_IMPL_HPP
#define TS_SIM_SYSTEMC_FABRIC_IMPL_HPP

#include "models/interconnect/interconnect.h"
#include "sim/systemc/host.hpp"
#include "sim/systemc/modules/support.hpp"

#include <map>
#include <tlbstorm/fabric.hpp>

namespace tlbstorm
{

struct fabric::impl {
    impl(const sc_core::sc_object &module, const settings &settings);
    ~impl();

    // What acts on a model of the fabric does so between these two: before, the model sees
    // everything that is due until now; after, the host sleeps until its next event.
    class Now
    {
      public:
        explicit Now(impl &fabric) : host_(*fabric.host)
        {
            host_.catch_up();
            // Events of the same picosecond are behind us; time itself may lag.
            (void)ts_engine_try_advance(fabric.engine, sc_core::sc_time_stamp().value());
        }
        ~Now()
        {
            host_.rearm();
        }
        Now(const Now &) = delete;
        Now &operator=(const Now &) = delete;

      private:
        ts::EngineHost &host_;
    };

    ts_engine *engine = nullptr;
    ts_topology topology = {};
    ts_interconnect *ic = nullptr;
    ts_interconnect_params params = {};
    sc_core::sc_event ran;
    std::map<uint32_t, std::unique_ptr<signal<uint64_t>>> routers; // that are watched
    std::unique_ptr<ts::EngineHost> host;
};

} // namespace tlbstorm

#endif
