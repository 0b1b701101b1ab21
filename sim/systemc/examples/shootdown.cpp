// SPDX-License-Identifier: Apache-2.0
// Two cores with their MMUs on a mesh with a memory, and the page tables in that memory. Core 1
// reads a page over and over while core 0 moves it to another frame, twice: with an inter-processor
// interrupt, as x86 does it, and with a broadcast invalidation, as Arm does it. Each core must see
// the new frame when the shootdown is over. Writes shootdown.vcd, or the name given and ".vcd".
#include "platform.hpp"

#include <cstdio>
#include <tlbstorm/dvm_node.hpp>
#include <tlbstorm/interconnect.hpp>
#include <tlbstorm/interrupt_controller.hpp>
#include <tlbstorm/mmu.hpp>
#include <tlbstorm/trace_file.hpp>

using sc_core::SC_NS;
using sc_core::sc_time;

namespace
{

constexpr uint64_t root = 0x1000, page = 0x400000, leaf = 0x4000; // leaf: of VA `page`
constexpr uint64_t flag = 0x401000;                               // VA of the acknowledgement
constexpr uint32_t vector = 0xfd;

class platform : public sc_core::sc_module
{
  public:
    tlbstorm::fabric mesh;
    tlbstorm::interconnect bus;
    tlbstorm::interrupt_controller apic;
    tlbstorm::dvm_node dvm;
    tlbstorm::mmu mmu0, mmu1;
    port core0, core1, dvm0, dvm1;
    memory ram;
    sc_core::sc_signal<unsigned> frame; // that core 1 reads now
    bool right = true;

    explicit platform(sc_core::sc_module_name name)
        : sc_core::sc_module(name),
          mesh("mesh",
               {"topology.sockets=1", "topology.cores_per_socket=4", "topology.threads_per_core=1",
                "topology.core_hz=2GHz", "interconnect.fabric=mesh", "interconnect.detail=flit",
                "interconnect.router_cycles=3cycles"}),
          // Cores 0 and 1, each with its walker beside it; the memory is at node 3.
          bus("bus", mesh, {0, 0, 1, 1}, {3}), apic("apic", mesh, {"interrupt.mode=x2apic_phys"}),
          dvm("dvm", mesh, {}), mmu0("mmu0"), mmu1("mmu1"), core0("core0"), core1("core1"),
          dvm0("dvm0"), dvm1("dvm1"), ram("ram", 1 << 20, sc_time(40, SC_NS)), frame("frame")
    {
        core0.socket.bind(mmu0.target);
        mmu0.downstream.bind(bus.target[0]);
        mmu0.walk.bind(bus.target[1]);
        core1.socket.bind(mmu1.target);
        mmu1.downstream.bind(bus.target[2]);
        mmu1.walk.bind(bus.target[3]);
        bus.initiator[0].bind(ram.socket);
        bus.map(0, 1 << 20, 0);
        dvm0.socket.bind(dvm.target[0]);
        dvm1.socket.bind(dvm.target[1]);
        // The mesh has 4 CPUs; those that are not there have no TLB to ask.
        dvm.snoop[0].bind(mmu0.dvm);
        dvm.snoop[1].bind(mmu1.dvm);
        for (auto &absent : absent_)
            absent.register_b_transport(this, &platform::nothing);
        dvm.snoop[2].bind(absent_[0]);
        dvm.snoop[3].bind(absent_[1]);

        // Four levels down to VA 0x400000; frames 0x10000 and 0x11000, and the flag's.
        ram.word(root) = 0x2000 | 3;
        ram.word(0x2000) = 0x3000 | 3;
        ram.word(0x3000 + 8 * 2) = leaf | 3;
        ram.word(leaf) = 0x10000 | 3;
        ram.word(leaf + 8) = 0x12000 | 3;
        ram.word(0x10000) = 1;
        ram.word(0x11000) = 2;
        mmu0.set_context({0, 0, root});
        mmu1.set_context({0, 0, root});

        SC_HAS_PROCESS(platform);
        SC_THREAD(run0);
        SC_THREAD(run1);
    }

  private:
    void nothing(tlm::tlm_generic_payload &trans, sc_time &)
    {
        trans.set_response_status(tlm::TLM_OK_RESPONSE);
    }
    void expect(bool condition, const char *what)
    {
        if (!condition)
            std::printf("wrong: %s\n", what);
        right = right && condition;
    }
    uint64_t load(port &core, uint64_t va)
    {
        uint64_t value = 0;
        expect(core.load(va, &value), "a load");
        return value;
    }

    // Core 0: map the page elsewhere, twice.
    void run0()
    {
        tlbstorm_inval inval = {};
        inval.start = page;
        inval.length = 0x1000;
        wait(2, sc_core::SC_US);
        expect(load(core0, page) == 1, "the first frame at core 0");

        sc_time begin = sc_core::sc_time_stamp();
        everywhere_ = 0;
        ram.word(leaf) = 0x11000 | 3;
        wait(mmu0.invalidate(inval));
        apic.send(0, 1, vector);
        while (load(core0, flag) == 0)
            ;
        everywhere_ = 2;
        std::printf("shootdown by interrupt: %s\n",
                    (sc_core::sc_time_stamp() - begin).to_string().c_str());
        expect(load(core0, page) == 2, "the second frame at core 0");

        wait(2, sc_core::SC_US);
        begin = sc_core::sc_time_stamp();
        everywhere_ = 0;
        ram.word(leaf) = 0x10000 | 3;
        tlbstorm::dvm_extension message;
        message.inval = inval;
        dvm0.message(&message);
        message.kind = tlbstorm::dvm_extension::sync;
        dvm0.message(&message);
        everywhere_ = 1;
        std::printf("shootdown by broadcast: %s\n",
                    (sc_core::sc_time_stamp() - begin).to_string().c_str());
        expect(load(core0, page) == 1, "the first frame again at core 0");
        wait(1, sc_core::SC_US);
        sc_core::sc_stop();
    }

    // Core 1: reads the page, and serves interrupts between reads.
    void run1()
    {
        for (;;) {
            const uint64_t before = everywhere_;
            const uint64_t value = load(core1, page);
            frame.write(static_cast<unsigned>(value));
            expect(before == 0 || before != everywhere_ || value == before,
                   "core 1 reads what was unmapped");
            if (apic.irq[1].read() && apic.take(1) == vector) {
                tlbstorm_inval inval = {};
                inval.start = page;
                inval.length = 0x1000;
                apic.end_of_interrupt(1);
                wait(mmu1.invalidate(inval));
                expect(core1.store(flag, 1), "the acknowledgement");
            }
            wait(20, SC_NS);
        }
    }
    uint64_t everywhere_ = 1; // what the page says at every core; 0: a shootdown is under way
    tlm_utils::simple_target_socket<platform> absent_[2];
};

} // namespace

int sc_main(int argc, char **argv)
{
    platform top("top");
    tlbstorm::trace_file trace(argc > 1 ? argv[1] : "shootdown");
    sc_core::sc_trace(trace, top.mmu0.walking, "mmu0.walking");
    sc_core::sc_trace(trace, top.mmu1.walking, "mmu1.walking");
    sc_core::sc_trace(trace, top.mmu1.hits, "mmu1.hits");
    sc_core::sc_trace(trace, top.mmu1.walks, "mmu1.walks");
    sc_core::sc_trace(trace, top.apic.in_flight, "ipis_pending");
    sc_core::sc_trace(trace, top.apic.irq[1], "irq1");
    sc_core::sc_trace(trace, top.dvm.trackers, "dvm_trackers");
    sc_core::sc_trace(trace, top.bus.occupancy, "bus_transactions");
    sc_core::sc_trace(trace, top.mesh.router(3), "router3.flits"); // the memory's
    sc_core::sc_trace(trace, top.frame, "frame_at_core1");
    sc_core::sc_report_handler::set_actions("/OSCI/SystemC", sc_core::SC_INFO,
                                            sc_core::SC_DO_NOTHING);
    sc_core::sc_start();
    std::printf("core 1: %llu walks, %llu hits; %s\n",
                static_cast<unsigned long long>(top.mmu1.statistic("walks")),
                static_cast<unsigned long long>(top.mmu1.statistic("l1_hits")),
                top.right ? "right" : "wrong");
    trace.close();
    return top.right ? 0 : 1;
}
