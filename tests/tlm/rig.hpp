// SPDX-License-Identifier: Apache-2.0
// An initiator that notes every phase, and a memory that answers in each way the base protocol
// knows.
#ifndef TS_TESTS_TLM_RIG_HPP
#define TS_TESTS_TLM_RIG_HPP

#include "sim/systemc/host.hpp"
#include "sim/systemc/modules/support.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ts_test
{

using sc_core::SC_NS;
using sc_core::SC_PS;
using sc_core::sc_time;
using sc_core::sc_time_stamp;
using tlm::tlm_generic_payload;

inline sc_time ns(double n)
{
    return sc_time(n, SC_NS);
}

// How a target answers BEGIN_REQ.
enum class Style { Accepted, EndReqUpdated, RespUpdated, NoEndReq, Completed };
constexpr Style all_styles[] = {Style::Accepted, Style::EndReqUpdated, Style::RespUpdated,
                                Style::NoEndReq, Style::Completed};

class Memory : public sc_core::sc_module, public tlm::tlm_fw_transport_if<>
{
  public:
    tlm::tlm_target_socket<> socket;
    std::map<uint64_t, uint64_t> words;
    std::vector<unsigned char> bytes = std::vector<unsigned char>(1 << 20);
    std::vector<uint64_t> seen; // addresses, not of debug
    std::vector<std::string> phases;
    sc_time latency = ns(10);
    Style style = Style::Accepted;
    uint64_t broken = UINT64_MAX; // an error response there
    bool waits = false;           // b_transport waits instead of annotating
    std::function<void()> on_access;

    explicit Memory(sc_core::sc_module_name name)
        : sc_core::sc_module(name), socket("socket"),
          timer_("timer", [this](unsigned, auto &trans, auto phase) { send(trans, phase); })
    {
        socket.bind(*this);
    }
    uint64_t &word(uint64_t address)
    {
        return *reinterpret_cast<uint64_t *>(&bytes.at(address));
    }
    void revoke(uint64_t start, uint64_t end)
    {
        socket->invalidate_direct_mem_ptr(start, end);
    }

    void b_transport(tlm_generic_payload &trans, sc_time &delay) override
    {
        perform(trans);
        if (waits)
            sc_core::wait(latency);
        else
            delay += latency;
    }
    tlm::tlm_sync_enum nb_transport_fw(tlm_generic_payload &trans, tlm::tlm_phase &phase,
                                       sc_time &delay) override
    {
        phases.push_back(phase.get_name());
        if (phase == tlm::END_RESP)
            return tlm::TLM_COMPLETED;
        perform(trans);
        switch (style) {
        case Style::Accepted:
            timer_.put(0, trans, tlm::END_REQ, delay + ns(1));
            timer_.put(0, trans, tlm::BEGIN_RESP, delay + latency);
            return tlm::TLM_ACCEPTED;
        case Style::EndReqUpdated:
            timer_.put(0, trans, tlm::BEGIN_RESP, delay + latency);
            phase = tlm::END_REQ;
            delay += ns(1);
            return tlm::TLM_UPDATED;
        case Style::RespUpdated:
            phase = tlm::BEGIN_RESP;
            delay += latency;
            return tlm::TLM_UPDATED;
        case Style::NoEndReq:
            timer_.put(0, trans, tlm::BEGIN_RESP, delay + latency);
            return tlm::TLM_ACCEPTED;
        case Style::Completed:
            delay += latency;
            return tlm::TLM_COMPLETED;
        }
        return tlm::TLM_COMPLETED;
    }
    bool get_direct_mem_ptr(tlm_generic_payload &, tlm::tlm_dmi &dmi) override
    {
        dmi.init();
        dmi.set_dmi_ptr(bytes.data());
        dmi.set_end_address(bytes.size() - 1);
        dmi.allow_read_write();
        return true;
    }
    unsigned transport_dbg(tlm_generic_payload &trans) override
    {
        const uint64_t a = trans.get_address(), n = trans.get_data_length();
        if (a > bytes.size() || n > bytes.size() - a || broken - a < n)
            return 0;
        if (trans.is_read())
            std::memcpy(trans.get_data_ptr(), &bytes[a], n);
        else if (trans.is_write())
            std::memcpy(&bytes[a], trans.get_data_ptr(), n);
        return static_cast<unsigned>(n);
    }

  private:
    void perform(tlm_generic_payload &trans)
    {
        seen.push_back(trans.get_address());
        const bool ok = transport_dbg(trans) == trans.get_data_length();
        trans.set_response_status(ok ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE);
        if (on_access)
            on_access();
    }
    void send(tlm_generic_payload &trans, tlm::tlm_phase phase)
    {
        sc_time delay = sc_core::SC_ZERO_TIME;
        phases.push_back(phase.get_name());
        const tlm::tlm_sync_enum s = socket->nb_transport_bw(trans, phase, delay);
        EXPECT_TRUE(s == tlm::TLM_ACCEPTED || phase == tlm::END_RESP || s == tlm::TLM_COMPLETED);
    }
    tlbstorm::Phases timer_;
};

class Initiator : public sc_core::sc_module, public tlm::tlm_bw_transport_if<>
{
  public:
    tlm::tlm_initiator_socket<> socket;
    // "END_REQ" and its time in ps, as they came.
    std::vector<std::pair<std::string, uint64_t>> log;
    std::vector<std::pair<uint64_t, uint64_t>> revoked;
    bool holds_response = false; // end() sends END_RESP; else BEGIN_RESP is answered at once
    std::function<void(tlm_generic_payload &)> on_response;
    uint64_t data = 0;

    explicit Initiator(sc_core::sc_module_name name) : sc_core::sc_module(name), socket("socket")
    {
        socket.bind(*this);
    }
    tlm_generic_payload &payload(tlm::tlm_command command, uint64_t address, unsigned length = 8,
                                 unsigned char *where = nullptr)
    {
        tlm_generic_payload &trans = pool_.take();
        trans.set_command(command);
        trans.set_address(address);
        trans.set_data_ptr(where ? where : reinterpret_cast<unsigned char *>(&data));
        trans.set_data_length(length);
        trans.set_streaming_width(length);
        return trans;
    }
    // b_transport; the delay it adds.
    sc_time access(tlm_generic_payload &trans, sc_time delay = sc_core::SC_ZERO_TIME)
    {
        const sc_time before = delay;
        trans.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
        socket->b_transport(trans, delay);
        return delay - before;
    }
    sc_time read(uint64_t address)
    {
        return access(payload(tlm::TLM_READ_COMMAND, address));
    }
    tlm::tlm_sync_enum begin(tlm_generic_payload &trans, sc_time delay = sc_core::SC_ZERO_TIME)
    {
        tlm::tlm_phase phase = tlm::BEGIN_REQ;
        trans.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
        return socket->nb_transport_fw(trans, phase, delay);
    }
    void end(tlm_generic_payload &trans)
    {
        tlm::tlm_phase phase = tlm::END_RESP;
        sc_time delay = sc_core::SC_ZERO_TIME;
        socket->nb_transport_fw(trans, phase, delay);
    }
    std::string phases() const
    {
        std::string text;
        for (const auto &entry : log)
            text += (text.empty() ? "" : " ") + entry.first;
        return text;
    }

    tlm::tlm_sync_enum nb_transport_bw(tlm_generic_payload &trans, tlm::tlm_phase &phase,
                                       sc_time &delay) override
    {
        log.emplace_back(phase.get_name(), (sc_time_stamp() + delay).value());
        if (phase == tlm::BEGIN_RESP) {
            EXPECT_NE(trans.get_response_status(), tlm::TLM_INCOMPLETE_RESPONSE);
            if (on_response)
                on_response(trans);
            if (!holds_response) {
                phase = tlm::END_RESP;
                return tlm::TLM_COMPLETED;
            }
        }
        return tlm::TLM_ACCEPTED;
    }
    void invalidate_direct_mem_ptr(sc_dt::uint64 start, sc_dt::uint64 end) override
    {
        revoked.emplace_back(start, end);
    }

  private:
    tlbstorm::Payloads pool_;
};

// Software that waits.
struct Thread : sc_core::sc_module {
    std::function<void()> run;
    Thread(sc_core::sc_module_name name, std::function<void()> fn)
        : sc_core::sc_module(name), run(std::move(fn))
    {
        SC_HAS_PROCESS(Thread);
        SC_THREAD(main);
    }
    void main()
    {
        run();
    }
};

// The message of the error that fn is to be.
inline std::string error_of(const std::function<void()> &fn)
{
    try {
        fn();
    } catch (const sc_core::sc_report &report) {
        return std::string(report.get_msg_type()) + ": " + report.get_msg();
    }
    return "no error";
}

inline void elaborate()
{
    sc_core::sc_report_handler::set_actions(sc_core::SC_ID_NO_SC_START_ACTIVITY_,
                                            sc_core::SC_DO_NOTHING);
    sc_core::sc_start(sc_core::SC_ZERO_TIME);
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << "in: " << (text)

} // namespace ts_test

#endif
