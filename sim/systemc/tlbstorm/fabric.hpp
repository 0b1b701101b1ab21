// SPDX-License-Identifier: Apache-2.0
// tlbstorm::fabric: the network on chip, and the links between sockets, that interconnect,
// interrupt_controller and dvm_node send their messages over. Modules of one fabric wait for each
// other's flits, as they do in hardware.
//
// Its nodes are the cores' routers, 0 to nodes() - 1, socket by socket; CPUs are numbered as Linux
// does: all first threads of all cores, then all second ones. Parameters: topology.* and
// interconnect.* (`tlbstorm explain interconnect`), among them interconnect.detail: message or
// flit.
#ifndef TLBSTORM_FABRIC_HPP
#define TLBSTORM_FABRIC_HPP

#include <memory>
#include <tlbstorm/base.hpp>

namespace tlbstorm
{

class fabric : public sc_core::sc_module
{
  public:
    fabric(sc_core::sc_module_name name, const tlbstorm::settings &settings);
    ~fabric() override;

    uint32_t nodes() const;
    uint32_t cpus() const;
    uint32_t node_of(uint32_t cpu) const;
    // A message of so many bytes beyond its head from node to node, sent now, nothing else being in
    // the way: until its last flit is there.
    sc_core::sc_time flight(uint32_t from, uint32_t to, uint64_t bytes) const;
    // Messages that have been sent and have not arrived; flits that have left a router so far.
    uint64_t in_flight() const;
    uint64_t flit_hops() const;
    // interconnect.detail=flit: routers, socket by socket (one a node but in fabrics that share
    // them), and a signal that follows the flits in the input buffers of one; for sc_trace. Before
    // the simulation starts. With detail message there are none, as nothing is buffered: an error
    // of type "/tlbstorm/settings".
    uint32_t routers() const;
    signal<uint64_t> &router(uint32_t i);

    // Of the modules that use it; nothing for users.
    struct impl;
    impl &internals()
    {
        return *impl_;
    }

  private:
    void sample();
    std::unique_ptr<impl> impl_;
};

} // namespace tlbstorm

#endif
