// SPDX-License-Identifier: Apache-2.0
#include <tlbstorm/interconnect.hpp>

#include "sim/systemc/modules/fabric_impl.hpp"

#include <algorithm>
#include <deque>
#include <map>

using sc_core::sc_time;
using sc_core::sc_time_stamp;
using sc_core::SC_ZERO_TIME;
using tlm::tlm_generic_payload;
using tlm::tlm_phase;
using tlm::tlm_sync_enum;

namespace tlbstorm
{

struct interconnect::impl {
    // A transaction under way: its message first, as the fabric knows it by that.
    struct Flight {
        ts_msg msg;
        impl *owner;
        tlm_generic_payload *trans;
        unsigned target, initiator;
        bool response; // it is on its way back
        bool end_resp; // its target waits for END_RESP
    };
    struct Range {
        uint64_t start, last;
        unsigned initiator;
    };
    // One socket's side: who waits for the exclusive use of its request or response channel.
    struct Channel {
        std::deque<Flight *> waiting; // the first one is being sent if open
        bool open = false;
    };
    enum From : unsigned { Targets, Initiators, Kinds };

    impl(interconnect &m, tlbstorm::fabric &f, const std::vector<uint32_t> &t,
         const std::vector<uint32_t> &i, unsigned most);

    // The interfaces of the sockets.
    void b_transport(unsigned i, tlm_generic_payload &trans, sc_time &delay);
    tlm_sync_enum nb_transport_fw(unsigned i, tlm_generic_payload &trans, tlm_phase &phase,
                                  sc_time &delay);
    tlm_sync_enum nb_transport_bw(unsigned j, tlm_generic_payload &trans, tlm_phase &phase,
                                  sc_time &delay);
    bool get_direct_mem_ptr(unsigned i, tlm_generic_payload &trans, tlm::tlm_dmi &dmi);
    void invalidate_direct_mem_ptr(unsigned j, uint64_t start, uint64_t end);
    unsigned transport_dbg(unsigned i, tlm_generic_payload &trans);

    const Range *find(const tlm_generic_payload &trans) const;
    uint64_t data(const tlm_generic_payload &trans, tlm::tlm_command command) const;
    void send(Flight *flight);
    static void on_message(ts_interconnect *ic, ts_msg *msg);
    void arrived();
    void on_phase(unsigned index, tlm_generic_payload &trans, tlm_phase phase);
    void accept(unsigned i);
    void begin_request(unsigned j);
    void end_request(unsigned j);
    void on_response(Flight *flight);
    void begin_response(unsigned i);
    void end_response(unsigned i);
    void show();

    interconnect &module;
    tlbstorm::fabric &fabric;
    std::vector<uint32_t> target_nodes, initiator_nodes;
    unsigned most;
    std::vector<Range> ranges; // sorted
    std::vector<std::unique_ptr<Forward<impl>>> forwards;
    std::vector<std::unique_ptr<Backward<impl>>> backwards;
    std::vector<std::deque<tlm_generic_payload *>> requests; // whose END_REQ is held back
    std::vector<Channel> up, down;
    std::vector<unsigned> used; // flights of a target socket
    std::vector<std::unique_ptr<Flight>> all;
    std::vector<Flight *> free;
    std::map<tlm_generic_payload *, Flight *> flights;
    std::deque<Flight *> delivered;
    sc_core::sc_event deliver_event;
    uint64_t done = 0;
    Phases phases;
};

interconnect::impl::impl(interconnect &m, tlbstorm::fabric &f, const std::vector<uint32_t> &t,
                         const std::vector<uint32_t> &i, unsigned n)
    : module(m), fabric(f), target_nodes(t), initiator_nodes(i), most(n), requests(t.size()),
      up(t.size()), down(i.size()), used(t.size()),
      phases("phases",
             [this](unsigned index, auto &trans, auto phase) { on_phase(index, trans, phase); })
{
    for (const std::vector<uint32_t> *nodes : {&t, &i})
        for (const uint32_t node : *nodes)
            if (node >= f.nodes())
                report_settings(module, "there is no node " + std::to_string(node) + ": " +
                                            f.name() + " has " + std::to_string(f.nodes()));
    ts_error error;
    const size_t events = t.size() * n;
    check(module, ts_engine_reserve(f.internals().engine, static_cast<uint32_t>(events), &error),
          error);
    for (size_t k = 0; k < events; k++) {
        all.push_back(std::make_unique<Flight>());
        free.push_back(all.back().get());
    }
}

interconnect::interconnect(sc_core::sc_module_name name, tlbstorm::fabric &fabric,
                           const std::vector<uint32_t> &target_nodes,
                           const std::vector<uint32_t> &initiator_nodes, unsigned outstanding)
    : sc_core::sc_module(name), target("target", target_nodes.size()),
      initiator("initiator", initiator_nodes.size()), occupancy("occupancy"),
      completed("completed"),
      impl_(std::make_unique<impl>(*this, fabric, target_nodes, initiator_nodes, outstanding))
{
    for (unsigned i = 0; i < target.size(); i++) {
        impl_->forwards.push_back(std::make_unique<Forward<impl>>(impl_.get(), i));
        target[i].bind(*impl_->forwards.back());
    }
    for (unsigned j = 0; j < initiator.size(); j++) {
        impl_->backwards.push_back(std::make_unique<Backward<impl>>(impl_.get(), j));
        initiator[j].bind(*impl_->backwards.back());
    }
    SC_HAS_PROCESS(interconnect);
    SC_METHOD(deliver);
    dont_initialize();
    sensitive << impl_->deliver_event;
}

interconnect::~interconnect() = default;

void interconnect::deliver()
{
    impl_->arrived();
}

void interconnect::map(uint64_t start, uint64_t bytes, unsigned initiator_index)
{
    const impl::Range range = {start, start + (bytes - 1), initiator_index};
    if (bytes == 0 || range.last < start || initiator_index >= initiator.size()) {
        report_settings(*this, "a range of the map is empty, wraps, or names no socket");
        return;
    }
    for (const impl::Range &other : impl_->ranges)
        if (range.start <= other.last && other.start <= range.last)
            report_settings(*this, "two ranges of the map overlap");
    impl_->ranges.push_back(range);
    std::sort(impl_->ranges.begin(), impl_->ranges.end(),
              [](const auto &a, const auto &b) { return a.start < b.start; });
}

void interconnect::end_of_elaboration()
{
    for (target_socket &socket : target)
        need_bound(socket, "an initiator, such as an MMU's downstream");
    for (unsigned j = 0; j < initiator.size(); j++) {
        need_bound(initiator[j], "a target, such as a memory");
        const auto to_j = [j](const impl::Range &r) { return r.initiator == j; };
        if (std::none_of(impl_->ranges.begin(), impl_->ranges.end(), to_j))
            report_error("/tlbstorm/unbound", std::string(initiator[j].name()) +
                                                  " can never be reached: map() names no range "
                                                  "for it");
    }
}

// --- addresses and sizes ---

const interconnect::impl::Range *interconnect::impl::find(const tlm_generic_payload &trans) const
{
    const uint64_t first = trans.get_address();
    const uint64_t last = first + std::max(1u, trans.get_data_length()) - 1;
    for (const Range &range : ranges)
        if (range.start <= first && last <= range.last && first <= last)
            return &range;
    return nullptr;
}

// Bytes that the command moves in this direction.
uint64_t interconnect::impl::data(const tlm_generic_payload &trans, tlm::tlm_command command) const
{
    return trans.get_command() == command ? trans.get_data_length() : 0;
}

// --- loosely timed, DMI, debug ---

void interconnect::impl::b_transport(unsigned i, tlm_generic_payload &trans, sc_time &delay)
{
    const Range *range = find(trans);
    if (!range) {
        trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
        return;
    }
    const fabric::impl &f = fabric.internals();
    const uint64_t flit = f.params.flit_bytes;
    const auto travel = [&](uint32_t from, uint32_t to, uint64_t bytes) {
        const ts_time now = (sc_time_stamp() + delay).value();
        const uint32_t flits = static_cast<uint32_t>(1 + (bytes + flit - 1) / flit);
        delay += sc_time::from_value(ts_interconnect_arrival(f.ic, from, to, flits, now) - now);
    };
    const uint32_t here = target_nodes[i], there = initiator_nodes[range->initiator];
    travel(here, there, data(trans, tlm::TLM_WRITE_COMMAND));
    module.initiator[range->initiator]->b_transport(trans, delay);
    travel(there, here, data(trans, tlm::TLM_READ_COMMAND));
    module.completed.write(++done);
}

bool interconnect::impl::get_direct_mem_ptr(unsigned i, tlm_generic_payload &trans,
                                            tlm::tlm_dmi &dmi)
{
    const Range *range = find(trans);
    if (!range || !module.initiator[range->initiator]->get_direct_mem_ptr(trans, dmi))
        return false;
    if (dmi.get_start_address() < range->start) {
        dmi.set_dmi_ptr(dmi.get_dmi_ptr() + (range->start - dmi.get_start_address()));
        dmi.set_start_address(range->start);
    }
    dmi.set_end_address(std::min<uint64_t>(dmi.get_end_address(), range->last));
    const uint32_t here = target_nodes[i], there = initiator_nodes[range->initiator];
    const uint64_t flit = fabric.internals().params.flit_bytes;
    dmi.set_read_latency(dmi.get_read_latency() + fabric.flight(here, there, 0) +
                         fabric.flight(there, here, flit));
    dmi.set_write_latency(dmi.get_write_latency() + fabric.flight(here, there, flit) +
                          fabric.flight(there, here, 0));
    return true;
}

void interconnect::impl::invalidate_direct_mem_ptr(unsigned, uint64_t start, uint64_t end)
{
    for (target_socket &socket : module.target)
        socket->invalidate_direct_mem_ptr(start, end);
}

unsigned interconnect::impl::transport_dbg(unsigned, tlm_generic_payload &trans)
{
    const Range *range = find(trans);
    return range ? module.initiator[range->initiator]->transport_dbg(trans) : 0;
}

// --- approximately timed ---

tlm_sync_enum interconnect::impl::nb_transport_fw(unsigned i, tlm_generic_payload &trans,
                                                  tlm_phase &phase, sc_time &delay)
{
    if (phase == tlm::BEGIN_REQ) {
        if (!requests[i].empty())
            report_error("/tlbstorm/protocol", std::string(module.target[i].name()) +
                                                   ": BEGIN_REQ before END_REQ of the last one");
        if (!trans.has_mm())
            report_error("/tlbstorm/protocol", std::string(module.target[i].name()) +
                                                   ": a transaction without memory manager");
        trans.acquire();
        requests[i].push_back(&trans);
    } else if (phase != tlm::END_RESP) {
        report_error("/tlbstorm/protocol", std::string(module.target[i].name()) + ": the phase " +
                                               phase.get_name() + " came forward");
    }
    phases.put(i * Kinds + Targets, trans, phase, delay);
    return tlm::TLM_ACCEPTED;
}

tlm_sync_enum interconnect::impl::nb_transport_bw(unsigned j, tlm_generic_payload &trans,
                                                  tlm_phase &phase, sc_time &delay)
{
    phases.put(j * Kinds + Initiators, trans, phase, delay);
    return tlm::TLM_ACCEPTED;
}

void interconnect::impl::on_phase(unsigned index, tlm_generic_payload &trans, tlm_phase phase)
{
    const unsigned socket = index / Kinds;
    if (index % Kinds == Targets) {
        if (phase == tlm::BEGIN_REQ)
            accept(socket);
        else
            end_response(socket);
        return;
    }
    Flight *flight = flights[&trans];
    // BEGIN_RESP stands for END_REQ where that has not come.
    if (down[socket].open && down[socket].waiting.front() == flight)
        end_request(socket);
    if (phase == tlm::BEGIN_RESP)
        on_response(flight);
}

// The request that waits at a target socket, if it may go.
void interconnect::impl::accept(unsigned i)
{
    if (requests[i].empty() || used[i] == most)
        return;
    tlm_generic_payload &trans = *requests[i].front();
    requests[i].pop_front();
    used[i]++;
    Flight *flight = free.back();
    free.pop_back();
    *flight = Flight();
    flight->owner = this;
    flight->trans = &trans;
    flight->target = i;
    flights[&trans] = flight;
    show();
    const Range *range = find(trans);
    tlm_phase phase = tlm::END_REQ;
    sc_time delay = SC_ZERO_TIME;
    module.target[i]->nb_transport_bw(trans, phase, delay);
    if (!range) {
        trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
        up[i].waiting.push_back(flight);
        begin_response(i);
        return;
    }
    flight->initiator = range->initiator;
    send(flight);
}

void interconnect::impl::send(Flight *flight)
{
    const fabric::impl::Now now(fabric.internals());
    const uint64_t flit = fabric.internals().params.flit_bytes;
    const bool back = flight->response;
    const uint64_t bytes =
        data(*flight->trans, back ? tlm::TLM_READ_COMMAND : tlm::TLM_WRITE_COMMAND);
    const uint32_t here = target_nodes[flight->target], there = initiator_nodes[flight->initiator];
    flight->msg = ts_msg();
    flight->msg.deliver = on_message;
    flight->msg.src = back ? there : here;
    flight->msg.dst = back ? here : there;
    flight->msg.flits = static_cast<uint32_t>(1 + (bytes + flit - 1) / flit);
    flight->msg.klass = bytes > 0 ? TS_MSG_DATA : back ? TS_MSG_RESPONSE : TS_MSG_REQUEST;
    ts_interconnect_send(fabric.internals().ic, &flight->msg);
}

// Inside of the fabric's engine: nobody else is called from here.
void interconnect::impl::on_message(ts_interconnect *, ts_msg *msg)
{
    auto *flight = reinterpret_cast<Flight *>(msg);
    flight->owner->delivered.push_back(flight);
    flight->owner->deliver_event.notify(SC_ZERO_TIME);
}

void interconnect::impl::arrived()
{
    while (!delivered.empty()) {
        Flight *flight = delivered.front();
        delivered.pop_front();
        if (flight->response) {
            up[flight->target].waiting.push_back(flight);
            begin_response(flight->target);
        } else {
            down[flight->initiator].waiting.push_back(flight);
            begin_request(flight->initiator);
        }
    }
}

void interconnect::impl::begin_request(unsigned j)
{
    Channel &channel = down[j];
    if (channel.open || channel.waiting.empty())
        return;
    channel.open = true;
    Flight *flight = channel.waiting.front();
    flight->end_resp = true;
    tlm_phase phase = tlm::BEGIN_REQ;
    sc_time delay = SC_ZERO_TIME;
    switch (module.initiator[j]->nb_transport_fw(*flight->trans, phase, delay)) {
    case tlm::TLM_ACCEPTED:
        break;
    case tlm::TLM_UPDATED:
        phases.put(j * Kinds + Initiators, *flight->trans, phase, delay);
        break;
    case tlm::TLM_COMPLETED:
        flight->end_resp = false;
        phases.put(j * Kinds + Initiators, *flight->trans, tlm::BEGIN_RESP, delay);
        break;
    }
}

void interconnect::impl::end_request(unsigned j)
{
    down[j].waiting.pop_front();
    down[j].open = false;
    begin_request(j);
}

void interconnect::impl::on_response(Flight *flight)
{
    if (flight->end_resp) {
        tlm_phase phase = tlm::END_RESP;
        sc_time delay = SC_ZERO_TIME;
        module.initiator[flight->initiator]->nb_transport_fw(*flight->trans, phase, delay);
    }
    flight->response = true;
    send(flight);
}

void interconnect::impl::begin_response(unsigned i)
{
    Channel &channel = up[i];
    if (channel.open || channel.waiting.empty())
        return;
    channel.open = true;
    tlm_generic_payload &trans = *channel.waiting.front()->trans;
    tlm_phase phase = tlm::BEGIN_RESP;
    sc_time delay = SC_ZERO_TIME;
    if (module.target[i]->nb_transport_bw(trans, phase, delay) != tlm::TLM_ACCEPTED)
        phases.put(i * Kinds + Targets, trans, tlm::END_RESP, delay);
}

void interconnect::impl::end_response(unsigned i)
{
    Channel &channel = up[i];
    if (!channel.open) {
        report_error("/tlbstorm/protocol",
                     std::string(module.target[i].name()) + ": END_RESP without BEGIN_RESP");
        return;
    }
    Flight *flight = channel.waiting.front();
    channel.waiting.pop_front();
    channel.open = false;
    flights.erase(flight->trans);
    flight->trans->release();
    free.push_back(flight);
    used[i]--;
    module.completed.write(++done);
    show();
    begin_response(i);
    accept(i);
}

void interconnect::impl::show()
{
    module.occupancy.write(flights.size());
}

} // namespace tlbstorm
