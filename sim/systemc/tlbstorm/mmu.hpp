// SPDX-License-Identifier: Apache-2.0
// tlbstorm::mmu: the TLBs, walk caches and page-table walker of one core, between the core and the
// bus.
//
//     core --> [target  mmu  downstream] --> bus
//                        walk            --> bus, for page-table reads
//     dvm_node --------> dvm
//
// A transaction on `target` has a virtual address; it leaves on `downstream` with the physical one,
// and has its own address again when it comes back. It must not cross a page boundary of what the
// TLB holds (TLM_BURST_ERROR_RESPONSE). A translation fault is TLM_ADDRESS_ERROR_RESPONSE, a walk
// that cannot read a table TLM_GENERIC_ERROR_RESPONSE; in both nothing goes downstream, and the
// time of the walk is charged. mmu_extension, if the transaction has one, says more.
//
// Tables lie in the platform's memory, behind `walk`: 8-byte little-endian entries at physical
// addresses, in the formats of tlbstorm.h, with its simplifications. The walker sets accessed and
// dirty bits by a write of the entry, if it is still what was read; between that look, by
// transport_dbg, and the write nobody else should write the entry.
//
// Loosely timed (b_transport): the cycles of the look-up and of the walk, and what the reads on
// `walk` annotate, are added to the delay; nothing waits but for another initiator's walk in this
// MMU, or if a read does. Temporal decoupling: the look-up is made at the call, in the order of the
// calls, and at sc_time_stamp() + delay as far as the MMU's own timing goes; an invalidation that
// another initiator makes at an earlier time but later in the order of calls is not seen by
// accesses that ran ahead of it. A quantum no longer than the shortest flight of a shootdown keeps
// that error below what software can see.
//
// Approximately timed (nb_transport): the four phases of the base protocol. END_REQ comes when the
// request has been taken downstream, so one translation is under way at a time; requests that have
// been translated overlap. Reads of tables on `walk` are non-blocking transactions too. An
// invalidation that comes during a walk is applied again when it ends, and the walk repeated if it
// concerned it.
//
// DMI: a pointer is granted for what the TLB holds of the page, in virtual addresses, with the
// rights that it has there (a clean page is read-only: its first write has to walk). It is revoked
// when an invalidation covers the page, when the default context changes, and when downstream
// revokes what lies below. An eviction does not revoke it: DMI leaves out the TLB's timing.
//
// transport_dbg translates by the tables as they are, whatever the TLB holds.
#ifndef TLBSTORM_MMU_HPP
#define TLBSTORM_MMU_HPP

#include <memory>
#include <tlbstorm/base.hpp>

namespace tlbstorm
{

// The initiator may add it to a transaction; it belongs to the initiator.
struct mmu_extension : tlm::tlm_extension<mmu_extension> {
    bool has_context = false; // else the MMU's default context counts
    tlbstorm_context context = {};
    bool fetch = false; // a read of instructions
    // Out:
    tlbstorm_translation result = TLBSTORM_TRANSLATED;
    bool from_tlb = false;
    uint64_t pa = 0;

    tlm::tlm_extension_base *clone() const override
    {
        return new mmu_extension(*this);
    }
    void copy_from(const tlm::tlm_extension_base &other) override
    {
        *this = static_cast<const mmu_extension &>(other);
    }
};

class mmu : public sc_core::sc_module
{
  public:
    struct config_type {
        tlbstorm_page_format format = TLBSTORM_X86_64;
        uint32_t levels = 0;                       // 0: the usual
        sc_core::sc_time clock{1, sc_core::SC_NS}; // period of the core
        tlbstorm::settings settings;               // "mmu.l2_entries=1536", ...
        uint64_t seed = 1;                         // of random replacement
        bool update_flags = true;                  // accessed and dirty bits
    };

    mmu(sc_core::sc_module_name name, const config_type &config);
    explicit mmu(sc_core::sc_module_name name);
    ~mmu() override;

    target_socket target;
    initiator_socket downstream;
    initiator_socket walk;
    target_socket dvm; // transactions with dvm_extension::snoop; may stay unbound

    // The address space of transactions that do not name one.
    void set_context(const tlbstorm_context &context);
    // By the core's own instruction. Returns how long the TLB is busy with it.
    sc_core::sc_time invalidate(const tlbstorm_inval &inval);
    // "walks", "l1_hits", ... as tlbstorm_mmu_stat; an error of SystemC if there is none.
    uint64_t statistic(const std::string &name) const;

    // What has been looked up so far, and whether a walk is under way.
    signal<uint64_t> hits, walks, faults;
    signal<bool> walking;
    // DMI regions that are granted now.
    size_t dmi_regions() const;

  private:
    struct impl;
    void end_of_elaboration() override;
    void step();
    std::unique_ptr<impl> impl_;
};

} // namespace tlbstorm

#endif
