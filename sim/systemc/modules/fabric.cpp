// SPDX-License-Identifier: Apache-2.0
#include "sim/systemc/modules/fabric_impl.hpp"

namespace tlbstorm
{

fabric::impl::impl(const sc_core::sc_object &module, const settings &settings)
{
    ts_topology_params shape;
    ts_error error;
    ts_param_defaults(&ts_topology_param_table, &shape);
    ts_param_defaults(&ts_interconnect_param_table, &params);
    apply(module, settings,
          {{&ts_topology_param_table, &shape}, {&ts_interconnect_param_table, &params}});
    check(module, ts_engine_create(&engine, nullptr, &error), error);
    check(module, ts_topology_init(&topology, &shape, &error), error);
    check(module, ts_interconnect_check_params(&params, &shape, &error), error);
    check(module, ts_interconnect_create(&ic, engine, &topology, &params, &error), error);
    host = std::make_unique<ts::EngineHost>("engine", engine);
}

fabric::impl::~impl()
{
    if (engine)
        ts_engine_discard(engine);
    host.reset();
    if (ic)
        ts_interconnect_destroy(ic);
    ts_topology_fini(&topology);
    if (engine)
        ts_engine_destroy(engine);
}

fabric::fabric(sc_core::sc_module_name name, const tlbstorm::settings &settings)
    : sc_core::sc_module(name), impl_(std::make_unique<impl>(*this, settings))
{
    SC_HAS_PROCESS(fabric);
    SC_METHOD(sample);
    dont_initialize();
    sensitive << impl_->ran;
}

fabric::~fabric() = default;

uint32_t fabric::nodes() const
{
    return impl_->topology.nnodes;
}

uint32_t fabric::cpus() const
{
    return impl_->topology.ncpus;
}

uint32_t fabric::node_of(uint32_t cpu) const
{
    return impl_->topology.core[cpu];
}

sc_core::sc_time fabric::flight(uint32_t from, uint32_t to, uint64_t bytes) const
{
    const uint64_t flit = impl_->params.flit_bytes;
    const uint32_t flits = static_cast<uint32_t>(1 + (bytes + flit - 1) / flit);
    const ts_time now = sc_core::sc_time_stamp().value();
    return sc_core::sc_time::from_value(ts_interconnect_arrival(impl_->ic, from, to, flits, now) -
                                        now);
}

uint64_t fabric::in_flight() const
{
    return ts_interconnect_stats(impl_->ic)->in_flight;
}

uint64_t fabric::flit_hops() const
{
    return ts_interconnect_stats(impl_->ic)->flit_hops;
}

uint32_t fabric::routers() const
{
    return ts_interconnect_routers(impl_->ic);
}

signal<uint64_t> &fabric::router(uint32_t i)
{
    if (i >= routers())
        report_settings(*this, routers() == 0
                                   ? "routers have buffers with interconnect.detail=flit only"
                                   : "there is no router " + std::to_string(i) +
                                         ": they are 0 to " + std::to_string(routers() - 1));
    auto &entry = impl_->routers[i];
    if (!entry)
        entry = std::make_unique<signal<uint64_t>>(
            (std::string(basename()) + "_router" + std::to_string(i)).c_str());
    impl_->host->tell(&impl_->ran);
    return *entry;
}

void fabric::sample()
{
    for (const auto &[i, router] : impl_->routers)
        router->write(ts_interconnect_buffered(impl_->ic, i));
}

} // namespace tlbstorm
