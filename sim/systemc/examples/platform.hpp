// SPDX-License-Identifier: Apache-2.0
// What the example platforms bring along themselves: a memory, and a core's load/store port.
#ifndef TLBSTORM_EXAMPLES_PLATFORM_HPP
#define TLBSTORM_EXAMPLES_PLATFORM_HPP

#include <cstring>
#include <memory>
#include <tlbstorm/base.hpp>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>
#include <vector>

// Loosely timed; the utility socket makes the phases of nb_transport of it. DMI for everything.
class memory : public sc_core::sc_module
{
  public:
    tlm_utils::simple_target_socket<memory> socket;

    memory(sc_core::sc_module_name name, size_t bytes, sc_core::sc_time latency)
        : sc_core::sc_module(name), socket("socket"), latency_(latency), bytes_(bytes)
    {
        socket.register_b_transport(this, &memory::b_transport);
        socket.register_transport_dbg(this, &memory::transport_dbg);
        socket.register_get_direct_mem_ptr(this, &memory::get_direct_mem_ptr);
    }

    uint64_t &word(uint64_t address)
    {
        return *reinterpret_cast<uint64_t *>(&bytes_.at(address));
    }

  private:
    void b_transport(tlm::tlm_generic_payload &trans, sc_core::sc_time &delay)
    {
        delay += latency_;
        trans.set_dmi_allowed(true);
        trans.set_response_status(transport_dbg(trans) == trans.get_data_length()
                                      ? tlm::TLM_OK_RESPONSE
                                      : tlm::TLM_ADDRESS_ERROR_RESPONSE);
    }
    unsigned transport_dbg(tlm::tlm_generic_payload &trans)
    {
        const uint64_t address = trans.get_address(), length = trans.get_data_length();
        if (address > bytes_.size() || length > bytes_.size() - address)
            return 0;
        if (trans.is_read())
            std::memcpy(trans.get_data_ptr(), &bytes_[address], length);
        else if (trans.is_write())
            std::memcpy(&bytes_[address], trans.get_data_ptr(), length);
        return static_cast<unsigned>(length);
    }
    bool get_direct_mem_ptr(tlm::tlm_generic_payload &, tlm::tlm_dmi &dmi)
    {
        dmi.init();
        dmi.set_dmi_ptr(bytes_.data());
        dmi.set_end_address(bytes_.size() - 1);
        dmi.set_read_latency(latency_);
        dmi.set_write_latency(latency_);
        dmi.allow_read_write();
        return true;
    }

    sc_core::sc_time latency_;
    std::vector<unsigned char> bytes_;
};

// Payloads that are used again when nobody holds them. A thread that still waits when the
// simulation ends holds one for ever, so they are the pool's.
class payload_pool : public tlm::tlm_mm_interface
{
  public:
    tlm::tlm_generic_payload *take()
    {
        if (free_.empty()) {
            all_.push_back(std::make_unique<tlm::tlm_generic_payload>(this));
            free_.push_back(all_.back().get());
        }
        tlm::tlm_generic_payload *trans = free_.back();
        free_.pop_back();
        trans->acquire();
        return trans;
    }
    void free(tlm::tlm_generic_payload *trans) override
    {
        trans->reset();
        free_.push_back(trans);
    }

  private:
    std::vector<std::unique_ptr<tlm::tlm_generic_payload>> all_;
    std::vector<tlm::tlm_generic_payload *> free_;
};

// Loads and stores of 8 bytes with the phases of the base protocol, from an SC_THREAD.
class port : public sc_core::sc_module
{
  public:
    tlm_utils::simple_initiator_socket<port> socket;

    explicit port(sc_core::sc_module_name name) : sc_core::sc_module(name), socket("socket")
    {
        socket.register_nb_transport_bw(this, &port::nb_transport_bw);
    }

    // False: any error response.
    bool load(uint64_t address, uint64_t *value)
    {
        return transfer(tlm::TLM_READ_COMMAND, address, value);
    }
    bool store(uint64_t address, uint64_t value)
    {
        return transfer(tlm::TLM_WRITE_COMMAND, address, &value);
    }
    // Waits until it is complete; dvm_extension.
    void message(tlbstorm::dvm_extension *extension)
    {
        tlm::tlm_generic_payload *trans = pool_.take();
        trans->set_extension(extension);
        go(trans);
        trans->clear_extension(extension);
        trans->release();
    }

  private:
    bool transfer(tlm::tlm_command command, uint64_t address, uint64_t *value)
    {
        tlm::tlm_generic_payload *trans = pool_.take();
        trans->set_command(command);
        trans->set_address(address);
        trans->set_data_ptr(reinterpret_cast<unsigned char *>(value));
        trans->set_data_length(8);
        trans->set_streaming_width(8);
        go(trans);
        const bool ok = trans->is_response_ok();
        trans->release();
        return ok;
    }
    void go(tlm::tlm_generic_payload *trans)
    {
        tlm::tlm_phase phase = tlm::BEGIN_REQ;
        sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
        ended_ = false;
        if (socket->nb_transport_fw(*trans, phase, delay) == tlm::TLM_COMPLETED)
            wait(delay);
        else
            while (!ended_)
                wait(end_);
    }
    tlm::tlm_sync_enum nb_transport_bw(tlm::tlm_generic_payload &, tlm::tlm_phase &phase,
                                       sc_core::sc_time &delay)
    {
        if (phase != tlm::BEGIN_RESP)
            return tlm::TLM_ACCEPTED;
        ended_ = true;
        end_.notify(delay);
        return tlm::TLM_COMPLETED;
    }

    payload_pool pool_;
    sc_core::sc_event end_;
    bool ended_ = false;
};

#endif
