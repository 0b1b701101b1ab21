// SPDX-License-Identifier: Apache-2.0
#include <tlbstorm/dvm_node.hpp>

#include "models/dvm/dvm.h"
#include "models/dvm/dvm_payload.h"
#include "sim/api/inval.hpp"
#include "sim/systemc/modules/fabric_impl.hpp"

#include <deque>

using sc_core::sc_time;
using sc_core::SC_ZERO_TIME;
using tlm::tlm_generic_payload;
using tlm::tlm_phase;

namespace tlbstorm
{

struct dvm_node::impl {
    // What a CPU has asked for: a transaction with phases, or the process that waits in
    // b_transport.
    struct Request {
        dvm_extension extension;
        tlm_generic_payload *trans; // NULL: of b_transport
        bool *ended;
    };
    struct Cpu {
        std::deque<Request> requests; // the first is being dealt with
        bool waits = false;           // for ts_dvm to call back
        bool response_open = false;
        sc_core::sc_event ended;
    };

    impl(dvm_node &m, tlbstorm::fabric &f, const settings &settings);
    ~impl()
    {
        if (core)
            ts_dvm_destroy(core);
    }

    void b_transport(unsigned i, tlm_generic_payload &trans, sc_time &delay);
    tlm::tlm_sync_enum nb_transport_fw(unsigned i, tlm_generic_payload &trans, tlm_phase &phase,
                                       sc_time &delay);
    bool get_direct_mem_ptr(unsigned, tlm_generic_payload &, tlm::tlm_dmi &)
    {
        return false;
    }
    unsigned transport_dbg(unsigned, tlm_generic_payload &)
    {
        return 0;
    }
    tlm::tlm_sync_enum nb_transport_bw(unsigned, tlm_generic_payload &, tlm_phase &, sc_time &)
    {
        return tlm::TLM_ACCEPTED; // snoops are b_transport
    }
    void invalidate_direct_mem_ptr(unsigned, uint64_t, uint64_t)
    {
    }

    static uint64_t apply(void *user, uint32_t cpu, const ts_tlb_inval *inval);
    static void done(void *user, uint32_t cpu);
    void on_phase(unsigned i, tlm_generic_payload &trans, tlm_phase phase);
    bool is_request(const dvm_extension *extension) const;
    void serve(unsigned i);
    bool try_first(unsigned i);
    void finish(unsigned i);

    dvm_node &module;
    tlbstorm::fabric &fabric;
    ts_dvm *core = nullptr;
    uint64_t period; // ps of a core cycle
    std::vector<std::unique_ptr<Cpu>> cpus;
    std::vector<std::unique_ptr<Forward<impl>>> forwards;
    std::vector<std::unique_ptr<Backward<impl>>> backwards;
    Payloads payloads;
    dvm_extension snooped;
    sc_core::sc_event serve_event;
    Phases phases;
};

dvm_node::impl::impl(dvm_node &m, tlbstorm::fabric &f, const settings &settings)
    : module(m), fabric(f),
      period(std::max<uint64_t>(1, TS_S / f.internals().topology.params.core_hz)),
      phases("phases", [this](unsigned i, auto &trans, auto phase) { on_phase(i, trans, phase); })
{
    const ts_topology &topology = f.internals().topology;
    ts_dvm_params params;
    ts_error error;
    ts_param_defaults(&ts_dvm_param_table, &params);
    tlbstorm::apply(module, settings, {{&ts_dvm_param_table, &params}});
    check(module, ts_dvm_check(&params, &topology.params, &error), error);
    check(module,
          ts_dvm_create(&core, f.internals().engine, &topology, f.internals().ic, &params, apply,
                        this, &error),
          error);
    for (uint32_t i = 0; i < topology.ncpus; i++)
        cpus.push_back(std::make_unique<Cpu>());
}

// Inside of the fabric's engine. The MMU's answer is its delay, and it does not call back.
uint64_t dvm_node::impl::apply(void *user, uint32_t cpu, const ts_tlb_inval *inval)
{
    auto *self = static_cast<impl *>(user);
    tlm_generic_payload &trans = self->payloads.take();
    sc_time delay = SC_ZERO_TIME;
    self->snooped.kind = dvm_extension::snoop;
    self->snooped.inval = ts_api::from_core(*inval);
    trans.set_command(tlm::TLM_IGNORE_COMMAND);
    trans.set_data_length(0);
    trans.set_extension(&self->snooped);
    self->module.snoop[cpu]->b_transport(trans, delay);
    trans.clear_extension(&self->snooped);
    if (!trans.is_response_ok())
        report_error("/tlbstorm/dvm",
                     std::string(self->module.snoop[cpu].name()) + ": the MMU has refused a snoop");
    trans.release();
    return (delay.value() + self->period - 1) / self->period;
}

void dvm_node::impl::done(void *user, uint32_t cpu)
{
    auto *self = static_cast<impl *>(user);
    self->cpus[cpu]->waits = false;
    self->serve_event.notify(SC_ZERO_TIME);
}

// --- requests ---

// What a core can say. Arm has an instruction for it; how x86's INVLPGB travels is not published.
bool dvm_node::impl::is_request(const dvm_extension *extension) const
{
    if (!extension || extension->kind == dvm_extension::snoop)
        return false;
    if (extension->kind == dvm_extension::sync ||
        fabric.internals().topology.params.arch != TS_ARCH_ARM64)
        return true;
    const ts_tlb_inval inval = ts_api::to_core(extension->inval);
    ts_dvm_fields fields;
    ts_error error;
    return ts_dvm_encode(&inval, TS_DVM_V8_4, &fields, &error) == TS_OK;
}

void dvm_node::impl::b_transport(unsigned i, tlm_generic_payload &trans, sc_time &delay)
{
    const dvm_extension *extension = trans.get_extension<dvm_extension>();
    if (!is_request(extension)) {
        trans.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
        return;
    }
    sc_core::wait(delay);
    delay = SC_ZERO_TIME;
    bool ended = false;
    cpus[i]->requests.push_back({*extension, nullptr, &ended});
    serve_event.notify(SC_ZERO_TIME);
    while (!ended)
        sc_core::wait(cpus[i]->ended);
    trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

tlm::tlm_sync_enum dvm_node::impl::nb_transport_fw(unsigned i, tlm_generic_payload &trans,
                                                   tlm_phase &phase, sc_time &delay)
{
    const dvm_extension *extension = trans.get_extension<dvm_extension>();
    if (phase == tlm::BEGIN_REQ && !is_request(extension)) {
        trans.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
        return tlm::TLM_COMPLETED;
    }
    if (phase == tlm::BEGIN_REQ)
        trans.acquire();
    phases.put(i, trans, phase, delay);
    return tlm::TLM_ACCEPTED;
}

void dvm_node::impl::on_phase(unsigned i, tlm_generic_payload &trans, tlm_phase phase)
{
    Cpu &cpu = *cpus[i];
    if (phase == tlm::BEGIN_REQ) {
        cpu.requests.push_back({*trans.get_extension<dvm_extension>(), &trans, nullptr});
    } else if (phase == tlm::END_RESP && cpu.response_open) {
        cpu.response_open = false;
        cpu.requests.pop_front();
        trans.release();
    }
    serve(i);
}

// True: the first request is complete for its CPU.
bool dvm_node::impl::try_first(unsigned i)
{
    const fabric::impl::Now now(fabric.internals());
    const dvm_extension &e = cpus[i]->requests.front().extension;
    const ts_tlb_inval inval = ts_api::to_core(e.inval);
    cpus[i]->waits = true;
    switch (e.kind) {
    case dvm_extension::tlbi:
        if (!ts_dvm_can_issue(core, i, done, this))
            return false;
        ts_dvm_issue(core, i, &inval);
        break;
    case dvm_extension::tlbi_local:
        ts_dvm_issue_local(core, i, &inval);
        break;
    case dvm_extension::sync:
        // Called back, it has been done and there is nothing left to wait for.
        if (!ts_dvm_dsb(core, i, done, this))
            return false;
        break;
    case dvm_extension::snoop:
        break;
    }
    cpus[i]->waits = false;
    return true;
}

void dvm_node::impl::serve(unsigned i)
{
    Cpu &cpu = *cpus[i];
    while (!cpu.waits && !cpu.response_open && !cpu.requests.empty() && try_first(i))
        finish(i);
    const struct ts_dvm_stats *stats = ts_dvm_stats(core);
    module.trackers.write(stats->issued + stats->syncs - stats->completed);
}

void dvm_node::impl::finish(unsigned i)
{
    Cpu &cpu = *cpus[i];
    const Request request = cpu.requests.front();
    if (!request.trans) {
        cpu.requests.pop_front();
        *request.ended = true;
        cpu.ended.notify(SC_ZERO_TIME);
        return;
    }
    tlm_phase phase = tlm::BEGIN_RESP;
    sc_time delay = SC_ZERO_TIME;
    cpu.response_open = true;
    request.trans->set_response_status(tlm::TLM_OK_RESPONSE);
    if (module.target[i]->nb_transport_bw(*request.trans, phase, delay) != tlm::TLM_ACCEPTED)
        phases.put(i, *request.trans, tlm::END_RESP, delay);
}

// --- the module ---

dvm_node::dvm_node(sc_core::sc_module_name name, tlbstorm::fabric &fabric,
                   const tlbstorm::settings &settings)
    : sc_core::sc_module(name), target("target", fabric.cpus()), snoop("snoop", fabric.cpus()),
      trackers("trackers"), impl_(std::make_unique<impl>(*this, fabric, settings))
{
    for (unsigned i = 0; i < target.size(); i++) {
        impl_->forwards.push_back(std::make_unique<Forward<impl>>(impl_.get(), i));
        target[i].bind(*impl_->forwards.back());
        impl_->backwards.push_back(std::make_unique<Backward<impl>>(impl_.get(), i));
        snoop[i].bind(*impl_->backwards.back());
    }
    SC_HAS_PROCESS(dvm_node);
    SC_METHOD(update);
    dont_initialize();
    sensitive << impl_->serve_event;
}

dvm_node::~dvm_node() = default;

void dvm_node::end_of_elaboration()
{
    for (initiator_socket &socket : snoop)
        need_bound(socket, "that CPU's MMU, socket dvm");
}

void dvm_node::update()
{
    for (unsigned i = 0; i < target.size(); i++)
        impl_->serve(i);
}

uint64_t dvm_node::statistic(const std::string &statistic) const
{
    const char *base = reinterpret_cast<const char *>(ts_dvm_stats(impl_->core));
    for (size_t i = 0; i < ts_dvm_stat_table.nrows; i++) {
        const ts_stat &row = ts_dvm_stat_table.rows[i];
        if (statistic == row.name && row.kind != TS_STAT_HIST)
            return *reinterpret_cast<const uint64_t *>(base + row.offset);
    }
    report_error("/tlbstorm/dvm", std::string(name()) + ": no statistic '" + statistic + "'");
    return 0;
}

} // namespace tlbstorm
