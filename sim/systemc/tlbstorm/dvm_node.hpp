// SPDX-License-Identifier: Apache-2.0
// tlbstorm::dvm_node: broadcast TLB invalidation, as CHI's misc node and request nodes do it: TLBI
// and DSB of each CPU go in as transactions with a dvm_extension, travel over the fabric, and come
// out as snoops at every other CPU's MMU. Parameters: dvm.* (`tlbstorm explain dvm`).
//
//     CPU i's core --> [target[i]   dvm_node   snoop[i]] --> CPU i's tlbstorm::mmu, socket dvm
//
// tlbi: posted. Complete for the transaction as soon as the node has room for it; the issuer's own
// MMU is snooped at that moment. tlbi_local: of the issuer's MMU only. sync (DSB ISH): the
// transaction ends when all that this CPU has sent before is complete everywhere. Transactions of
// one CPU are dealt with in order. What no instruction of the architecture says (topology.arch; an
// inval of tlbi must be that of a TLBI on arm64), or a snoop, is TLM_COMMAND_ERROR_RESPONSE.
//
// b_transport waits: it first waits for the delay that it is given, so that a time-decoupled
// initiator is in step when its message leaves, and returns with a delay of 0; it must be called
// from an SC_THREAD. nb_transport: the phases BEGIN_REQ, BEGIN_RESP, END_RESP, one transaction of a
// CPU at a time. snoop[i] calls b_transport of an MMU that must not wait in it, as tlbstorm::mmu
// does not; the delay that it annotates is the time its TLB is busy, which a sync waits for.
#ifndef TLBSTORM_DVM_NODE_HPP
#define TLBSTORM_DVM_NODE_HPP

#include <memory>
#include <tlbstorm/fabric.hpp>

namespace tlbstorm
{

class dvm_node : public sc_core::sc_module
{
  public:
    dvm_node(sc_core::sc_module_name name, tlbstorm::fabric &fabric,
             const tlbstorm::settings &settings);
    ~dvm_node() override;

    sc_core::sc_vector<target_socket> target;   // one a CPU; those that issue nothing stay unbound
    sc_core::sc_vector<initiator_socket> snoop; // one a CPU, all bound

    // TLBIs and Syncs that have been issued and are not complete: entries of trackers in use.
    signal<uint64_t> trackers;
    // "issued", "snooped", "applied", ... as in stats.csv's group dvm; an error if there is none.
    uint64_t statistic(const std::string &name) const;

  private:
    struct impl;
    void end_of_elaboration() override;
    void update();
    std::unique_ptr<impl> impl_;
};

} // namespace tlbstorm

#endif
