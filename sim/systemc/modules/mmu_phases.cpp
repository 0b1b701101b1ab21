// SPDX-License-Identifier: Apache-2.0
// The approximately timed side of tlbstorm::mmu. A request goes through the stages of `stage`; the
// look-up runs on a fiber, because its reads of tables are transactions that take their time.
#include "sim/api/fiber.hpp"
#include "sim/systemc/modules/mmu_impl.hpp"

using sc_core::sc_time;
using tlm::tlm_generic_payload;
using tlm::tlm_phase;
using tlm::tlm_sync_enum;

namespace tlbstorm
{

void mmu::impl::fiber_main(void *user)
{
    auto *self = static_cast<impl *>(user);
    for (;;) {
        self->look_up();
        self->stage = Charging;
        ts_api_fiber_suspend(self->fiber);
    }
}

tlm_sync_enum mmu::impl::nb_transport_fw(unsigned socket, tlm_generic_payload &trans,
                                         tlm_phase &phase, sc_time &delay)
{
    if (socket == 1) {
        if (phase == tlm::BEGIN_REQ)
            snoop(trans, delay);
        return tlm::TLM_COMPLETED;
    }
    if (phase == tlm::BEGIN_REQ) {
        if (request)
            report_error("/tlbstorm/protocol", std::string(module.target.name()) +
                                                   ": BEGIN_REQ before END_REQ of the last one");
        if (!trans.has_mm())
            report_error("/tlbstorm/protocol", std::string(module.target.name()) +
                                                   ": a transaction without memory manager");
        request = &trans;
        stage = Starting;
        trans.acquire();
    } else if (phase != tlm::END_RESP) {
        report_error("/tlbstorm/protocol", std::string(module.target.name()) + ": the phase " +
                                               phase.get_name() + " came forward");
    }
    phases.put(Target, trans, phase, delay);
    return tlm::TLM_ACCEPTED;
}

tlm_sync_enum mmu::impl::nb_transport_bw(unsigned socket, tlm_generic_payload &trans,
                                         tlm_phase &phase, sc_time &delay)
{
    phases.put(socket == 0 ? Downstream : Walk, trans, phase, delay);
    return tlm::TLM_ACCEPTED;
}

void mmu::impl::on_phase(From from, tlm_generic_payload &trans, tlm_phase phase)
{
    if (from == Downstream)
        on_downstream(trans, phase);
    else if (from == Walk)
        on_walk_phase(trans, phase);
    else if (phase == tlm::BEGIN_REQ)
        try_start();
    else
        end_response(trans);
}

// --- the request ---

// Another initiator's b_transport may hold the walker.
void mmu::impl::try_start()
{
    if (busy) {
        waiting = true;
        return;
    }
    busy = true;
    begin(*request);
    stage = Translating;
    advance();
}

// The fiber goes on until it waits for a read, or is done.
void mmu::impl::advance()
{
    ts_api_fiber_resume(fiber);
    if (stage == Charging) {
        module.walking.write(false);
        charged = job;
        release();
        step_event.notify(cycles(charged.cycles));
        return;
    }
    tlm_generic_payload &trans = *walk_trans;
    tlm_phase phase = tlm::BEGIN_REQ;
    sc_time delay = sc_core::SC_ZERO_TIME;
    switch (module.walk->nb_transport_fw(trans, phase, delay)) {
    case tlm::TLM_ACCEPTED:
        break;
    case tlm::TLM_UPDATED:
        phases.put(Walk, trans, phase, delay);
        break;
    case tlm::TLM_COMPLETED:
        phases.put(Walk, trans, tlm::END_RESP, delay);
        break;
    }
}

// END_RESP stands for a response that needs none.
void mmu::impl::on_walk_phase(tlm_generic_payload &trans, tlm_phase phase)
{
    if (phase == tlm::END_REQ)
        return;
    if (phase == tlm::BEGIN_RESP) {
        sc_time delay = sc_core::SC_ZERO_TIME;
        phase = tlm::END_RESP;
        module.walk->nb_transport_fw(trans, phase, delay);
    }
    TS_ASSERT(&trans == walk_trans);
    advance();
}

void mmu::impl::step()
{
    if (stage == Starting)
        try_start();
    else if (stage == Charging)
        translated();
}

void mmu::impl::translated()
{
    tlm_generic_payload &trans = *request;
    stage = Sent;
    if (!judge(trans, charged)) {
        respond(trans);
        return;
    }
    flights[&trans] = Flight{charged.va, true};
    trans.set_address(charged.access.pa);
    tlm_phase phase = tlm::BEGIN_REQ;
    sc_time delay = sc_core::SC_ZERO_TIME;
    switch (module.downstream->nb_transport_fw(trans, phase, delay)) {
    case tlm::TLM_ACCEPTED:
        break;
    case tlm::TLM_UPDATED:
        phases.put(Downstream, trans, phase, delay);
        break;
    case tlm::TLM_COMPLETED:
        flights[&trans].end_resp_down = false;
        phases.put(Downstream, trans, tlm::BEGIN_RESP, delay);
        break;
    }
}

void mmu::impl::on_downstream(tlm_generic_payload &trans, tlm_phase phase)
{
    if (phase == tlm::END_REQ) {
        end_request(trans);
    } else if (phase == tlm::BEGIN_RESP) {
        trans.set_address(flights[&trans].va);
        respond(trans);
    }
}

void mmu::impl::end_request(tlm_generic_payload &trans)
{
    if (request != &trans)
        return;
    request = nullptr;
    stage = Idle;
    tlm_phase phase = tlm::END_REQ;
    sc_time delay = sc_core::SC_ZERO_TIME;
    module.target->nb_transport_bw(trans, phase, delay);
}

// --- the response: one at a time; it stands for END_REQ where that has not been sent ---

void mmu::impl::respond(tlm_generic_payload &trans)
{
    responses.push_back(&trans);
    next_response();
}

void mmu::impl::next_response()
{
    if (response_open || responses.empty())
        return;
    tlm_generic_payload &trans = *responses.front();
    response_open = true;
    if (request == &trans) {
        request = nullptr;
        stage = Idle;
    }
    tlm_phase phase = tlm::BEGIN_RESP;
    sc_time delay = sc_core::SC_ZERO_TIME;
    const tlm_sync_enum status = module.target->nb_transport_bw(trans, phase, delay);
    if (status != tlm::TLM_ACCEPTED)
        phases.put(Target, trans, tlm::END_RESP, delay);
}

void mmu::impl::end_response(tlm_generic_payload &trans)
{
    if (responses.empty() || responses.front() != &trans) {
        report_error("/tlbstorm/protocol",
                     std::string(module.target.name()) + ": END_RESP without BEGIN_RESP");
        return;
    }
    const auto flight = flights.find(&trans);
    if (flight != flights.end()) {
        if (flight->second.end_resp_down) {
            tlm_phase phase = tlm::END_RESP;
            sc_time delay = sc_core::SC_ZERO_TIME;
            module.downstream->nb_transport_fw(trans, phase, delay);
        }
        flights.erase(flight);
    }
    responses.pop_front();
    response_open = false;
    trans.release();
    next_response();
}

} // namespace tlbstorm
