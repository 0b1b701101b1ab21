// SPDX-License-Identifier: Apache-2.0
// mmu.cpp has the translation and what is loosely timed; mmu_phases.cpp the base protocol's phases.
#ifndef TS_SIM_SYSTEMC_MMU_IMPL_HPP
#define TS_SIM_SYSTEMC_MMU_IMPL_HPP

#include "sim/systemc/modules/support.hpp"

#include <tlbstorm/mmu.hpp>

#include <deque>
#include <map>
#include <vector>

struct ts_fiber;

namespace tlbstorm
{

struct mmu::impl {
    impl(mmu &m, const config_type &c);
    ~impl();

    // Who a phase has come from.
    enum From : unsigned { Target, Dvm, Downstream, Walk };

    // The translation under way.
    struct Job {
        uint64_t va = 0;
        tlbstorm_context context = {};
        tlbstorm_access_kind kind = TLBSTORM_READ;
        tlbstorm_access access = {};
        uint64_t cycles = 0;
        bool walked = false;
        sc_core::sc_time *delay = nullptr; // of b_transport

        sc_core::sc_time local() const
        {
            return delay ? *delay : sc_core::SC_ZERO_TIME;
        }
    };
    // A DMI region: VAs, PAs, and the translation that it stands on.
    struct Grant {
        uint64_t start, end, pa_start, pa_end;
        tlbstorm_context context;
        bool global;
        uint64_t leaf_start, leaf_bytes;
    };
    // A transaction that has gone downstream.
    struct Flight {
        uint64_t va;
        bool end_resp_down; // it waits for END_RESP there
    };

    void begin(tlm::tlm_generic_payload &trans);
    void look_up();
    bool judge(tlm::tlm_generic_payload &trans, const Job &done);
    uint64_t stat(const char *name) const;
    uint64_t cycle_at(const sc_core::sc_time &local);
    sc_core::sc_time cycles(uint64_t n) const;

    static bool read_entry(void *user, uint64_t address, tlbstorm_read_kind kind, uint64_t *value);
    static bool update_entry(void *user, uint64_t address, uint64_t old, uint64_t value);
    bool peek(uint64_t address, uint64_t *value);
    bool transfer(tlm::tlm_command command, uint64_t address, uint64_t *value);
    tlm::tlm_generic_payload &walk_payload(tlm::tlm_command command, uint64_t address);

    sc_core::sc_time invalidate(const tlbstorm_inval &inval);
    void snoop(tlm::tlm_generic_payload &trans, sc_core::sc_time &delay);
    template <typename Match> void revoke(const Match &match);
    void revoke_all();

    // The interfaces of the sockets: 0 is target or downstream, 1 is dvm or walk.
    void b_transport(unsigned socket, tlm::tlm_generic_payload &trans, sc_core::sc_time &delay);
    tlm::tlm_sync_enum nb_transport_fw(unsigned socket, tlm::tlm_generic_payload &trans,
                                       tlm::tlm_phase &phase, sc_core::sc_time &delay);
    tlm::tlm_sync_enum nb_transport_bw(unsigned socket, tlm::tlm_generic_payload &trans,
                                       tlm::tlm_phase &phase, sc_core::sc_time &delay);
    bool get_direct_mem_ptr(unsigned socket, tlm::tlm_generic_payload &trans, tlm::tlm_dmi &dmi);
    void invalidate_direct_mem_ptr(unsigned socket, uint64_t start, uint64_t end);
    unsigned transport_dbg(unsigned socket, tlm::tlm_generic_payload &trans);

    // mmu_phases.cpp
    static void fiber_main(void *user);
    void step();
    void on_phase(From from, tlm::tlm_generic_payload &trans, tlm::tlm_phase phase);
    void on_walk_phase(tlm::tlm_generic_payload &trans, tlm::tlm_phase phase);
    void on_downstream(tlm::tlm_generic_payload &trans, tlm::tlm_phase phase);
    void try_start();
    void release();
    void advance();
    void translated();
    void end_request(tlm::tlm_generic_payload &trans);
    void respond(tlm::tlm_generic_payload &trans);
    void next_response();
    void end_response(tlm::tlm_generic_payload &trans);

    mmu &module;
    const config_type config;
    tlbstorm_mmu *core = nullptr;
    tlbstorm_context context = {};
    Job job;
    bool busy = false;    // a translation is under way
    bool waiting = false; // a request is to start when it is not busy any more
    bool looking = false; // inside tlbstorm_mmu_access, whose reads may wait
    std::vector<tlbstorm_inval> late;
    uint64_t last_cycle = 0;
    uint64_t fault_count = 0;
    std::vector<Grant> grants;
    sc_core::sc_event free_event; // for those who wait in b_transport

    Payloads payloads;
    uint64_t walk_data = 0;
    tlm::tlm_generic_payload *walk_trans = nullptr; // that the fiber waits for
    bool walk_sent = false;

    Forward<impl> target_forward, dvm_forward;
    Backward<impl> down_backward, walk_backward;
    Phases phases;
    sc_core::sc_event step_event;
    ts_fiber *fiber = nullptr;
    tlm::tlm_generic_payload *request = nullptr; // whose END_REQ has not been sent
    Job charged;                                 // what has been looked up for request
    enum { Idle, Starting, Translating, Charging, Sent } stage = Idle; // of request
    std::map<tlm::tlm_generic_payload *, Flight> flights;
    std::deque<tlm::tlm_generic_payload *> responses; // the first one is being sent
    bool response_open = false;
};

} // namespace tlbstorm

#endif
