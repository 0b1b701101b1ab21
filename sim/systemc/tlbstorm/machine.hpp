// SPDX-License-Identifier: Apache-2.0
// tlbstorm::machine: a whole machine of tlbstorm.h in a SystemC simulation: a configuration with
// its traces in, statistics out. Machine time is sc_time_stamp() less the time at which it starts,
// which is the beginning of the simulation; several machines may run side by side, and each gives
// the same results, to the byte, as it does by itself.
//
// It follows SystemC's time. Without a quantum it never runs ahead; with one it does, by at most so
// much and never to where anything else in the simulation is going to happen, which is faster and
// changes nothing that a process can see. Only who ends sc_start() after a duration, and looks
// then, may find it ahead.
#ifndef TLBSTORM_MACHINE_HPP
#define TLBSTORM_MACHINE_HPP

#include <memory>
#include <tlbstorm/base.hpp>

namespace tlbstorm
{

class machine : public sc_core::sc_module
{
  public:
    struct config_type {
        // The first that is not empty counts: an experiment's file, its text, or settings alone
        // (tlbstorm_config_from_settings).
        std::string file, text;
        tlbstorm::settings settings;
        size_t point = 0;
        bool injected = false; // operations come by inject() instead of a workload
        // How often signals are brought up to date while it runs; 0: only when it ends.
        sc_core::sc_time sample{0, sc_core::SC_NS};
        sc_core::sc_time quantum{0, sc_core::SC_NS};
        // What the run finds (oracle, sum rules, watchdog) is an error of SystemC, message type
        // "/tlbstorm/finding"; else it is only in status().
        bool report_findings = true;
    };

    machine(sc_core::sc_module_name name, const config_type &config);
    ~machine() override;

    // Notified when everything in it has ended.
    const sc_core::sc_event &finished() const;
    bool done() const;
    tlbstorm_status status() const; // of the run so far
    const std::string &message() const;

    // "result.shootdowns", "mmu.walks", ...
    uint64_t statistic(const std::string &name);
    // A signal that follows a statistic; before the simulation starts.
    sc_core::sc_signal<uint64_t> &watch(const std::string &name);
    // enum tlbstorm_vcpu_state of each vCPU of each VM, VM by VM.
    sc_core::sc_vector<sc_core::sc_signal<unsigned>> vcpu_state;
    // Of tlbstorm_machine_inject and tlbstorm_machine_close, at the present time.
    void inject(uint32_t vm, uint32_t vcpu, tlbstorm_op *op);
    void close();
    // For what this class does not offer. Do not run it.
    tlbstorm_machine *handle();

  private:
    struct impl;
    void step();
    void sample();
    std::unique_ptr<impl> impl_;
};

} // namespace tlbstorm

#endif
