// SPDX-License-Identifier: Apache-2.0
// tlbstorm::interconnect: memory-mapped transactions over a fabric, from n target sockets (where
// initiators plug in) to m initiator sockets (where targets plug in). Each socket sits at a node of
// the fabric.
//
// A request travels as one message, of a head flit and, for a write, the flits of its data; the
// response comes back as another, with the data of a read. Addresses are not changed. A transaction
// that no range of the map holds as a whole is TLM_ADDRESS_ERROR_RESPONSE.
//
// Approximately timed (nb_transport): the four phases of the base protocol, flits and contention
// as the fabric has them. END_REQ comes at once, and is kept back while `outstanding` transactions
// of the socket are under way. Loosely timed (b_transport): the flights of an empty network at
// sc_time_stamp() + delay are added to the delay; nothing waits. DMI goes through, with the
// flights added to its latencies, clipped to the range. transport_dbg goes through.
#ifndef TLBSTORM_INTERCONNECT_HPP
#define TLBSTORM_INTERCONNECT_HPP

#include <memory>
#include <tlbstorm/fabric.hpp>

namespace tlbstorm
{

class interconnect : public sc_core::sc_module
{
  public:
    // target_nodes[i] is the node of target[i], initiator_nodes[j] that of initiator[j]; several
    // may be at one.
    interconnect(sc_core::sc_module_name name, tlbstorm::fabric &fabric,
                 const std::vector<uint32_t> &target_nodes,
                 const std::vector<uint32_t> &initiator_nodes, unsigned outstanding = 16);
    ~interconnect() override;

    sc_core::sc_vector<target_socket> target;
    sc_core::sc_vector<initiator_socket> initiator;

    // Before the simulation starts. Ranges must not overlap; bytes > 0.
    void map(uint64_t start, uint64_t bytes, unsigned initiator_index);

    // Transactions under way, and those that have come back.
    signal<uint64_t> occupancy, completed;

  private:
    struct impl;
    void end_of_elaboration() override;
    void deliver();
    std::unique_ptr<impl> impl_;
};

} // namespace tlbstorm

#endif
