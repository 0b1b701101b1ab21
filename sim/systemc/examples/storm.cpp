// SPDX-License-Identifier: Apache-2.0
// The mmap storm on a machine of two sockets as tlbstorm::machine, beside the same machine with
// another mechanism: two in one simulation. Writes storm.vcd, or the name given and ".vcd".
#include <cstdio>
#include <tlbstorm/machine.hpp>
#include <tlbstorm/trace_file.hpp>

namespace
{

tlbstorm::machine::config_type storm(const char *mechanism)
{
    tlbstorm::machine::config_type config;
    config.settings = {"machine=x86-2s-64t",
                       "hypervisor=kvm-6.12",
                       "guest=linux-6.12-x86",
                       std::string("mechanism=") + mechanism,
                       "run.vms=2",
                       "run.vcpus=8",
                       "workload.kind=mmap_storm",
                       "workload.threads=8",
                       "workload.rounds=2",
                       "workload.pages=64"};
    config.sample = sc_core::sc_time(1, sc_core::SC_US);
    return config;
}

void print(tlbstorm::machine &m)
{
    std::printf("%s: %llu shootdowns, %llu IPIs, p99 %llu ps\n", m.basename(),
                static_cast<unsigned long long>(m.statistic("result.shootdowns")),
                static_cast<unsigned long long>(m.statistic("result.ipis")),
                static_cast<unsigned long long>(m.statistic("result.shootdown_p99")));
}

} // namespace

int sc_main(int argc, char **argv)
{
    tlbstorm::machine native("native", storm("native_concurrent"));
    tlbstorm::machine paravirtual("paravirtual", storm("kvm_pv"));
    tlbstorm::trace_file trace(argc > 1 ? argv[1] : "storm");
    for (tlbstorm::machine *m : {&native, &paravirtual}) {
        const std::string name = m->basename();
        sc_core::sc_trace(trace, m->watch("result.shootdowns"), name + ".shootdowns");
        sc_core::sc_trace(trace, m->watch("result.ipis"), name + ".ipis");
        sc_core::sc_trace(trace, m->watch("mmu.walks"), name + ".tlb_walks");
        sc_core::sc_trace(trace, m->watch("interconnect.in_flight"), name + ".messages");
        for (unsigned i = 0; i < 4; i++)
            sc_core::sc_trace(trace, m->vcpu_state[i], name + ".vcpu" + std::to_string(i));
    }
    sc_core::sc_start();
    print(native);
    print(paravirtual);
    trace.close();
    return native.done() && paravirtual.done() ? 0 : 1;
}
