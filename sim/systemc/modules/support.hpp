// SPDX-License-Identifier: Apache-2.0
// Of the modules' implementations only.
#ifndef TS_SIM_SYSTEMC_SUPPORT_HPP
#define TS_SIM_SYSTEMC_SUPPORT_HPP

#include "sim/error.h"
#include "sim/param.h"

#include <tlbstorm/base.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tlbstorm
{

// Errors of SystemC, which throw sc_report unless the platform has decided otherwise.
void report_error(const char *type, const std::string &message);
void report_settings(const sc_core::sc_object &module, const std::string &message);
// Of a socket that nobody has bound; what_for ends the sentence "bind it to ...".
void report_unbound(const sc_core::sc_object &socket, const std::string &what_for);

template <typename Socket> void need_bound(Socket &socket, const std::string &what_for)
{
    if (socket.get_base_port().size() == 0)
        report_unbound(socket.get_base_port(), what_for);
}

// Where a settings' prefix leads.
struct Table {
    const ts_param_table *table;
    void *params;
};
// Sets every one of them, or reports. The parameters have their defaults already.
void apply(const sc_core::sc_object &module, const settings &settings,
           const std::vector<Table> &tables);
void check(const sc_core::sc_object &module, ts_status status, const ts_error &error);

// The forward interface of one target socket of M, which has index `index` there.
template <typename M> struct Forward : tlm::tlm_fw_transport_if<> {
    M *to;
    unsigned index;
    Forward(M *m, unsigned i) : to(m), index(i)
    {
    }
    void b_transport(tlm::tlm_generic_payload &trans, sc_core::sc_time &delay) override
    {
        to->b_transport(index, trans, delay);
    }
    tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload &trans, tlm::tlm_phase &phase,
                                       sc_core::sc_time &delay) override
    {
        return to->nb_transport_fw(index, trans, phase, delay);
    }
    bool get_direct_mem_ptr(tlm::tlm_generic_payload &trans, tlm::tlm_dmi &dmi) override
    {
        return to->get_direct_mem_ptr(index, trans, dmi);
    }
    unsigned transport_dbg(tlm::tlm_generic_payload &trans) override
    {
        return to->transport_dbg(index, trans);
    }
};

// The backward interface of one initiator socket.
template <typename M> struct Backward : tlm::tlm_bw_transport_if<> {
    M *to;
    unsigned index;
    Backward(M *m, unsigned i) : to(m), index(i)
    {
    }
    tlm::tlm_sync_enum nb_transport_bw(tlm::tlm_generic_payload &trans, tlm::tlm_phase &phase,
                                       sc_core::sc_time &delay) override
    {
        return to->nb_transport_bw(index, trans, phase, delay);
    }
    void invalidate_direct_mem_ptr(sc_dt::uint64 start, sc_dt::uint64 end) override
    {
        to->invalidate_direct_mem_ptr(index, start, end);
    }
};

// Payloads with a memory manager, for a module that initiates transactions itself.
class Payloads : public tlm::tlm_mm_interface
{
  public:
    // With one reference, the caller's.
    tlm::tlm_generic_payload &take();
    void free(tlm::tlm_generic_payload *trans) override;

  private:
    std::vector<std::unique_ptr<tlm::tlm_generic_payload>> all_;
    std::vector<tlm::tlm_generic_payload *> free_;
};

// Phases that come at their time: kept in an ordered queue, and handed out by one SC_METHOD, in the
// order of their times and among equals of their coming.
class Phases
{
  public:
    using Handler = std::function<void(unsigned, tlm::tlm_generic_payload &, tlm::tlm_phase)>;
    Phases(const char *name, Handler handler);
    void put(unsigned index, tlm::tlm_generic_payload &trans, tlm::tlm_phase phase,
             const sc_core::sc_time &delay);

  private:
    struct Entry {
        unsigned index;
        tlm::tlm_generic_payload *trans;
        tlm::tlm_phase phase;
    };
    void step();
    Handler handler_;
    std::vector<std::pair<sc_core::sc_time, Entry>> queue_; // sorted
    sc_core::sc_event wake_;
};

} // namespace tlbstorm

#endif
