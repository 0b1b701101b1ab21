// SPDX-License-Identifier: Apache-2.0
// What the modules have in common: sockets, settings, and the DVM extension.
//
// All processes of the modules are SC_METHODs. SystemC's time resolution must be 1 ps, its default.
#ifndef TLBSTORM_BASE_HPP
#define TLBSTORM_BASE_HPP

#include <string>
#include <systemc>
#include <tlbstorm.h>
#include <tlm>
#include <vector>

namespace tlbstorm
{

// Sockets of the base protocol, 32 bits wide. Those that must be bound and are not are an error of
// elaboration that says which one it is, and what it is for (message type "/tlbstorm/unbound").
using target_socket =
    tlm::tlm_target_socket<32, tlm::tlm_base_protocol_types, 1, sc_core::SC_ZERO_OR_MORE_BOUND>;
using initiator_socket =
    tlm::tlm_initiator_socket<32, tlm::tlm_base_protocol_types, 1, sc_core::SC_ZERO_OR_MORE_BOUND>;

// Parameters, "KEY=VALUE" with units, as `tlbstorm explain KEY` describes them. A wrong one is an
// error of construction that names the nearest right key (message type "/tlbstorm/settings").
using settings = std::vector<std::string>;

// Signals that show what goes on inside; for sc_trace, and to be read. Several processes may write.
template <typename T> using signal = sc_core::sc_signal<T, sc_core::SC_UNCHECKED_WRITERS>;

// A DVM message: a TLB invalidation or a synchronisation that travels as a generic payload with
// this extension. The command is TLM_IGNORE_COMMAND, there is no data, and the address means
// nothing.
struct dvm_extension : tlm::tlm_extension<dvm_extension> {
    enum kind_type {
        tlbi,       // invalidate at every core
        tlbi_local, // at the issuer's own only
        sync,       // complete when all that the issuer has sent before is complete everywhere
        snoop       // dvm_node to an MMU: invalidate here
    };
    kind_type kind = tlbi;
    tlbstorm_inval inval = {};

    tlm::tlm_extension_base *clone() const override
    {
        return new dvm_extension(*this);
    }
    void copy_from(const tlm::tlm_extension_base &other) override
    {
        *this = static_cast<const dvm_extension &>(other);
    }
};

} // namespace tlbstorm

#endif
