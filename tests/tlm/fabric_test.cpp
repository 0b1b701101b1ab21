// SPDX-License-Identifier: Apache-2.0
// interconnect, interrupt_controller and dvm_node over a fabric.
#include "tests/tlm/rig.hpp"

#include <deque>
#include <tlbstorm/dvm_node.hpp>
#include <tlbstorm/interconnect.hpp>
#include <tlbstorm/interrupt_controller.hpp>

using namespace ts_test;

namespace
{

tlbstorm::settings mesh(const char *detail, const char *arch = "x86")
{
    return {"topology.sockets=1",
            "topology.cores_per_socket=4",
            "topology.threads_per_core=1",
            "topology.core_hz=1GHz",
            "interconnect.fabric=mesh",
            "interconnect.mesh_hz=1GHz",
            "interconnect.flit_bytes=16B",
            std::string("interconnect.detail=") + detail,
            std::string("topology.arch=") + arch};
}

// --- interconnect ---

struct Bus {
    ts::FreshContext context;
    tlbstorm::fabric fabric;
    tlbstorm::interconnect bus;
    Initiator a{"a"}, b{"b"};
    Memory near{"near"}, far{"far"};

    explicit Bus(const char *detail, unsigned outstanding = 16)
        : fabric("fabric", mesh(detail)), bus("bus", fabric, {0, 1}, {0, 3}, outstanding)
    {
        a.socket.bind(bus.target[0]);
        b.socket.bind(bus.target[1]);
        bus.initiator[0].bind(near.socket);
        bus.initiator[1].bind(far.socket);
        bus.map(0, 0x10000, 0);
        bus.map(0x10000, 0x10000, 1);
        elaborate();
    }
};

TEST(Interconnect, LooselyAndApproximatelyTimedAgreeWithoutContention)
{
    for (const char *detail : {"message", "flit"}) {
        for (const bool write : {false, true}) {
            SCOPED_TRACE(std::string(detail) + (write ? " write" : " read"));
            Bus p(detail);
            const tlm::tlm_command c = write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND;
            unsigned char data[40] = {};
            tlm_generic_payload &t = p.a.payload(c, 0x10000, sizeof data, data);
            // 40 bytes are 3 flits more.
            const sc_time there = p.fabric.flight(0, 3, write ? 40 : 0);
            const sc_time back = p.fabric.flight(3, 0, write ? 0 : 40);
            EXPECT_EQ(p.fabric.flight(0, 3, 40), p.fabric.flight(0, 3, 0) + ns(3));
            EXPECT_EQ(p.a.access(t), there + ns(10) + back);
            EXPECT_EQ(t.get_response_status(), tlm::TLM_OK_RESPONSE);
            p.a.begin(t);
            sc_core::sc_start(ns(1000));
            EXPECT_EQ(p.a.phases(), "END_REQ BEGIN_RESP");
            EXPECT_EQ(p.a.log[0].second, 0u);
            EXPECT_EQ(p.a.log[1].second, (there + ns(10) + back).value());
            EXPECT_EQ(t.get_ref_count(), 1);
            EXPECT_EQ(p.bus.completed.read(), 2u);
            EXPECT_EQ(p.fabric.in_flight(), 0u);
        }
    }
}

// When a signal changes, and to what.
class Changes : public sc_core::sc_module
{
  public:
    using Log = std::vector<std::pair<uint64_t, uint64_t>>;
    Changes(sc_core::sc_module_name name, tlbstorm::signal<uint64_t> &signal, Log *log)
        : sc_core::sc_module(name), signal_(signal), log_(log)
    {
        SC_HAS_PROCESS(Changes);
        SC_METHOD(note);
        dont_initialize();
        sensitive << signal;
    }

  private:
    void note()
    {
        log_->emplace_back(sc_time_stamp().value(), signal_.read());
    }
    tlbstorm::signal<uint64_t> &signal_;
    Log *log_;
};

// A signal changes when a flit comes into a router's buffers and when it leaves.
TEST(Fabric, SignalsFollowTheBuffersOfRouters)
{
    const auto errors = [](tlbstorm::fabric &fabric, uint32_t i) {
        return error_of([&] { (void)fabric.router(i); });
    };
    {
        Bus p("message");
        EXPECT_EQ(p.fabric.routers(), 0u);
        EXPECT_HAS(errors(p.fabric, 0), "interconnect.detail=flit");
    }
    ts::FreshContext context;
    tlbstorm::settings settings = mesh("flit");
    settings.emplace_back("interconnect.router_cycles=4cycles");
    tlbstorm::fabric fabric("fabric", settings);
    tlbstorm::interconnect bus("bus", fabric, {0}, {3});
    Initiator a("a");
    Memory far("far");
    a.socket.bind(bus.target[0]);
    bus.initiator[0].bind(far.socket);
    bus.map(0, 0x10000, 0);
    ASSERT_EQ(fabric.routers(), 4u);
    EXPECT_HAS(errors(fabric, 4), "0 to 3");
    std::map<uint32_t, Changes::Log> changes;
    std::deque<Changes> watches;
    for (uint32_t r = 0; r < 4; r++)
        watches.emplace_back(("watch" + std::to_string(r)).c_str(), fabric.router(r), &changes[r]);
    elaborate();
    a.begin(a.payload(tlm::TLM_READ_COMMAND, 0x8));
    sc_core::sc_start(ns(1000));
    EXPECT_EQ(a.phases(), "END_REQ BEGIN_RESP");
    // The mesh of four is two by two: by x first, 0, 1, 3 there, and 3, 2, 0 back. A router of four
    // cycles keeps a flit for two, a hop is five, and the data is a second flit a cycle behind.
    const auto one = [](uint64_t at) { return Changes::Log{{at, 1}, {at + 2000, 0}}; };
    const auto two = [](uint64_t at) {
        return Changes::Log{{at, 1}, {at + 1000, 2}, {at + 2000, 1}, {at + 3000, 0}};
    };
    const auto both = [](Changes::Log first, const Changes::Log &second) {
        first.insert(first.end(), second.begin(), second.end());
        return first;
    };
    const uint64_t there = 2000, back = changes[3].at(2).first;
    EXPECT_EQ(changes[0], both(one(there), two(back + 10000)));
    EXPECT_EQ(changes[1], one(there + 5000));
    EXPECT_EQ(changes[2], two(back + 5000));
    EXPECT_EQ(changes[3], both(one(there + 10000), two(back)));
}

TEST(Interconnect, EveryWayOfAnswering)
{
    for (const Style style : all_styles) {
        SCOPED_TRACE(static_cast<int>(style));
        Bus p("message");
        p.far.style = style;
        p.far.word(0x10008) = 77;
        tlm_generic_payload &t = p.a.payload(tlm::TLM_READ_COMMAND, 0x10008);
        p.a.begin(t);
        sc_core::sc_start(ns(1000));
        EXPECT_EQ(p.a.phases(), "END_REQ BEGIN_RESP");
        EXPECT_EQ(p.a.log.back().second,
                  (p.fabric.flight(0, 3, 0) + ns(10) + p.fabric.flight(3, 0, 8)).value());
        EXPECT_EQ(p.a.data, 77u);
        EXPECT_EQ(p.far.phases.back(), style == Style::Completed ? "BEGIN_REQ" : "END_RESP");
        EXPECT_EQ(t.get_ref_count(), 1);
    }
}

// Two requests of 8 flits for one node meet in its router: the later one waits for the flits of the
// other.
TEST(Interconnect, ContentionCosts)
{
    for (const char *detail : {"message", "flit"}) {
        SCOPED_TRACE(detail);
        Bus p(detail);
        unsigned char data[128] = {};
        const auto write = [&](Initiator &i) -> tlm_generic_payload & {
            return i.payload(tlm::TLM_WRITE_COMMAND, 0x10000, sizeof data, data);
        };
        p.far.latency = ns(0);
        p.far.style = Style::Completed;
        p.a.begin(write(p.a));
        p.b.begin(write(p.b));
        sc_core::sc_start(ns(1000));
        ASSERT_EQ(p.a.log.size(), 2u);
        ASSERT_EQ(p.b.log.size(), 2u);
        const uint64_t alone_a = (p.fabric.flight(0, 3, 128) + p.fabric.flight(3, 0, 0)).value();
        const uint64_t alone_b = (p.fabric.flight(1, 3, 128) + p.fabric.flight(3, 1, 0)).value();
        ASSERT_GE(p.a.log[1].second, alone_a);
        ASSERT_GE(p.b.log[1].second, alone_b);
        const uint64_t late = p.a.log[1].second - alone_a + p.b.log[1].second - alone_b;
        // One of them waits for the other, or their flits take turns; the last link is one.
        EXPECT_GT(late, 0u);
        EXPECT_LE(late, ns(2 * 9).value());
    }
}

TEST(Interconnect, KeepsEndReqBackWhileAsMuchIsUnderWay)
{
    Bus p("message", 1);
    tlm_generic_payload &t = p.a.payload(tlm::TLM_READ_COMMAND, 0x10000);
    tlm_generic_payload &u = p.a.payload(tlm::TLM_READ_COMMAND, 0);
    p.a.begin(t);
    sc_core::sc_start(ns(1));
    p.a.begin(u);
    sc_core::sc_start(ns(5));
    EXPECT_EQ(p.a.phases(), "END_REQ");
    EXPECT_HAS(error_of([&] { p.a.begin(t); }), "bus.target_0: BEGIN_REQ before END_REQ");
    sc_core::sc_start(ns(500));
    EXPECT_EQ(p.a.phases(), "END_REQ BEGIN_RESP END_REQ BEGIN_RESP");
    EXPECT_EQ(p.a.log[1].second, p.a.log[2].second);
}

TEST(Interconnect, AddressesOutsideTheMap)
{
    Bus p("message");
    for (const uint64_t address : {UINT64_C(0xfffc), UINT64_C(0x20000), UINT64_MAX - 3}) {
        tlm_generic_payload &t = p.a.payload(tlm::TLM_READ_COMMAND, address);
        EXPECT_EQ(p.a.access(t), sc_core::SC_ZERO_TIME);
        EXPECT_EQ(t.get_response_status(), tlm::TLM_ADDRESS_ERROR_RESPONSE);
        p.a.begin(t);
        sc_core::sc_start(ns(10));
        EXPECT_EQ(t.get_response_status(), tlm::TLM_ADDRESS_ERROR_RESPONSE);
        EXPECT_EQ(t.get_ref_count(), 1);
    }
    EXPECT_TRUE(p.near.seen.empty() && p.far.seen.empty());
}

TEST(Interconnect, DmiAndDebugGoThrough)
{
    Bus p("message");
    tlm::tlm_dmi dmi;
    p.far.word(0x10010) = 5;
    tlm_generic_payload &t = p.a.payload(tlm::TLM_READ_COMMAND, 0x10010);
    ASSERT_TRUE(p.a.socket->get_direct_mem_ptr(t, dmi));
    EXPECT_EQ(dmi.get_start_address(), 0x10000u);
    EXPECT_EQ(dmi.get_end_address(), 0x1ffffu);
    EXPECT_EQ(dmi.get_dmi_ptr()[0x10], 5);
    EXPECT_EQ(dmi.get_read_latency(), p.fabric.flight(0, 3, 0) + p.fabric.flight(3, 0, 16));
    EXPECT_EQ(p.a.socket->transport_dbg(t), 8u);
    EXPECT_EQ(p.a.data, 5u);
    p.far.revoke(0x11000, 0x11fff);
    EXPECT_EQ(p.a.revoked.size(), 1u);
    EXPECT_EQ(p.b.revoked.size(), 1u);
}

TEST(Interconnect, ElaborationSaysWhatIsMissing)
{
    const std::string unmapped = error_of([] {
        ts::FreshContext inner;
        tlbstorm::fabric fabric("fabric", mesh("message"));
        tlbstorm::interconnect bus("bus", fabric, {0}, {1});
        Initiator a("a");
        Memory m("m");
        a.socket.bind(bus.target[0]);
        bus.initiator[0].bind(m.socket);
        elaborate();
    });
    EXPECT_HAS(unmapped, "bus.initiator_0 can never be reached: map()");
    ts::FreshContext context;
    tlbstorm::fabric fabric("fabric", mesh("message"));
    tlbstorm::interconnect bus("bus", fabric, {0}, {1});
    EXPECT_HAS(error_of([&] { tlbstorm::interconnect x("x", fabric, {4}, {1}); }),
               "x: there is no node 4: fabric has 4");
    EXPECT_HAS(error_of([&] { bus.map(0, 0, 0); }), "empty");
    EXPECT_HAS(error_of([&] { bus.map(0, 16, 1); }), "names no socket");
    bus.map(0, 16, 0);
    EXPECT_HAS(error_of([&] { bus.map(8, 16, 0); }), "overlap");
    EXPECT_HAS(error_of([&] { tlbstorm::fabric x("x", {"topology.core=4"}); }),
               "/tlbstorm/settings: x: there is no parameter 'topology.core'");
    EXPECT_HAS(error_of([] { elaborate(); }), "the socket bus.target_0 is not bound");
}

// --- interrupt_controller ---

struct Interrupts {
    ts::FreshContext context;
    tlbstorm::fabric fabric;
    tlbstorm::interrupt_controller apic;
    Initiator cpu{"cpu"};
    uint64_t data = 0;

    explicit Interrupts(const char *mode, const char *arch = "x86")
        : fabric("fabric", mesh("message", arch)),
          apic("apic", fabric,
               {std::string("interrupt.mode=") + mode, "interrupt.icr_write_cycles=150cycles",
                "interrupt.accept_ps=50ns", "interrupt.transport_ps=100ns"})
    {
        cpu.socket.bind(apic.target);
        elaborate();
    }
    tlm::tlm_response_status write(uint32_t on, uint32_t offset, uint64_t value,
                                   unsigned length = 4)
    {
        data = value;
        tlm_generic_payload &t = cpu.payload(tlm::TLM_WRITE_COMMAND, on * 0x1000 + offset, length,
                                             reinterpret_cast<unsigned char *>(&data));
        delay = cpu.access(t);
        return t.get_response_status();
    }
    uint64_t read(uint32_t on, uint32_t offset)
    {
        data = 0;
        tlm_generic_payload &t = cpu.payload(tlm::TLM_READ_COMMAND, on * 0x1000 + offset, 4,
                                             reinterpret_cast<unsigned char *>(&data));
        cpu.access(t);
        EXPECT_EQ(t.get_response_status(), tlm::TLM_OK_RESPONSE);
        return data;
    }
    std::string lines() const
    {
        std::string text;
        for (const auto &irq : apic.irq)
            text += irq.read() ? '1' : '0';
        return text;
    }
    sc_time delay;
};

TEST(Interrupt, LeavesAtTheLocalTimeAndIsAccepted)
{
    Interrupts p("x2apic_phys");
    EXPECT_EQ(p.write(0, 0x300, UINT64_C(3) << 32 | 0xfd, 8), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(p.delay, ns(150));
    const sc_time arrival = ns(150) + p.fabric.flight(0, 3, 0) + ns(100) + ns(50);
    sc_core::sc_start(ns(151));
    EXPECT_EQ(p.apic.in_flight.read(), 1u);
    EXPECT_EQ(p.read(0, 0x300), 0xfdu) << "x2APIC has no delivery status, and no xAPIC wait";
    sc_core::sc_start(arrival - sc_time_stamp() - sc_time(1, SC_PS));
    EXPECT_EQ(p.lines(), "0000");
    sc_core::sc_start(sc_time(2, SC_PS));
    EXPECT_EQ(p.lines(), "0001");
    EXPECT_EQ(p.apic.in_flight.read(), 0u);
    EXPECT_EQ(p.read(3, 0x270) >> (0xfd & 31) & 1, 1u) << "IRR";
    EXPECT_EQ(p.read(3, 0xff0), 0xfdu);
    EXPECT_EQ(p.read(3, 0x170) >> (0xfd & 31) & 1, 1u) << "ISR";
    EXPECT_EQ(p.read(3, 0x0a0), 0xf0u) << "PPR";
    EXPECT_EQ(p.read(3, 0xff0), 0xffffffffu);
    // One of a lower class waits for the EOI; one of a higher TPR for ever.
    p.apic.send(0, 3, 0x41);
    sc_core::sc_start(ns(500));
    EXPECT_EQ(p.lines(), "0000");
    p.write(3, 0x0b0, 0);
    sc_core::sc_start(ns(1));
    EXPECT_EQ(p.lines(), "0001");
    p.write(3, 0x080, 0x50);
    sc_core::sc_start(ns(1));
    EXPECT_EQ(p.lines(), "0000");
}

TEST(Interrupt, DestinationsOfOneWrite)
{
    const struct {
        const char *mode;
        uint64_t icr;
        unsigned length;
        const char *lines;
    } cases[] = {
        {"x2apic_phys", UINT64_C(2) << 32 | 0xfd, 8, "0010"},
        {"x2apic_cluster", UINT64_C(0xd) << 32 | 1 << 11 | 0xfd, 8, "1011"},
        {"x2apic_cluster", UINT64_C(0x1000d) << 32 | 1 << 11 | 0xfd, 8, "0000"},
        {"xapic_flat", 1 << 11 | 0xfd, 4, "0110"}, // ICR2 as below
        {"x2apic_phys", 1 << 18 | 0xfd, 8, "0100"},
        {"x2apic_phys", 2 << 18 | 0xfd, 8, "1111"},
        {"x2apic_phys", 3 << 18 | 0xfd, 8, "1011"},
    };
    for (const auto &c : cases) {
        SCOPED_TRACE(c.lines);
        Interrupts p(c.mode);
        p.write(1, 0x310, UINT64_C(0x6) << 24);
        EXPECT_EQ(p.write(1, 0x300, c.icr, c.length), tlm::TLM_OK_RESPONSE);
        sc_core::sc_start(ns(2000));
        EXPECT_EQ(p.lines(), c.lines);
    }
}

TEST(Interrupt, SgisOfAGic)
{
    Interrupts p("gic_sgi", "arm64");
    // INTIDs 5 and 3 to CPUs 0 and 2 of affinity 0.0.0.
    EXPECT_EQ(p.write(1, 0x300, 5 << 24 | 0x5, 8), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(p.write(1, 0x300, 3 << 24 | 0x5, 8), tlm::TLM_OK_RESPONSE);
    sc_core::sc_start(ns(2000));
    EXPECT_EQ(p.lines(), "1010");
    EXPECT_EQ(p.read(2, 0x200), 0x28u);
    EXPECT_EQ(p.apic.take(2), 3);
    EXPECT_EQ(p.read(2, 0xff0), 1023u) << "one priority";
    p.write(2, 0x0b0, 3);
    EXPECT_EQ(p.read(2, 0xff0), 5u);
    p.apic.end_of_interrupt(2);
    sc_core::sc_start(ns(1));
    EXPECT_EQ(p.lines(), "1000");
    // IRM: all but self.
    EXPECT_EQ(p.write(1, 0x300, UINT64_C(1) << 40 | 7 << 24, 8), tlm::TLM_OK_RESPONSE);
    sc_core::sc_start(ns(2000));
    EXPECT_EQ(p.lines(), "1011");
}

TEST(Interrupt, RefusesWhatThereIsNot)
{
    Interrupts p("x2apic_phys");
    EXPECT_EQ(p.write(0, 0x330, 0), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(p.write(4, 0x0b0, 0), tlm::TLM_ADDRESS_ERROR_RESPONSE) << "no such CPU";
    EXPECT_EQ(p.write(0, 0x300, 4 << 8, 4), tlm::TLM_COMMAND_ERROR_RESPONSE) << "an NMI";
    EXPECT_EQ(p.write(0, 0x0b0, 0, 8), tlm::TLM_BURST_ERROR_RESPONSE);
    EXPECT_HAS(error_of([&] { p.apic.send(0, 4, 0xfd); }), "no such CPU");
    const std::string error = error_of([] {
        ts::FreshContext context;
        tlbstorm::fabric fabric("fabric", mesh("message"));
        tlbstorm::interrupt_controller x("x", fabric, {"interrupt.mode=apic"});
    });
    EXPECT_HAS(error, "x: interrupt.mode: ");
}

// --- dvm_node ---

// Every core's TLB is a target that notes what it is asked to drop, and is busy for a while.
struct Dvm {
    ts::FreshContext context;
    tlbstorm::fabric fabric;
    tlbstorm::dvm_node dvm;
    Initiator core{"core"};
    struct Tlb : Memory {
        using Memory::Memory;
        std::vector<std::pair<uint64_t, tlbstorm_inval>> log; // when
        void b_transport(tlm_generic_payload &trans, sc_time &delay) override
        {
            const auto *e = trans.get_extension<tlbstorm::dvm_extension>();
            ASSERT_NE(e, nullptr);
            EXPECT_EQ(e->kind, tlbstorm::dvm_extension::snoop);
            log.emplace_back(sc_time_stamp().value(), e->inval);
            delay += latency;
            trans.set_response_status(tlm::TLM_OK_RESPONSE);
        }
    };
    std::vector<std::unique_ptr<Tlb>> tlbs;
    tlbstorm::dvm_extension message;

    explicit Dvm(const tlbstorm::settings &settings = {})
        : fabric("fabric", mesh("message", "arm64")), dvm("dvm", fabric, settings)
    {
        core.socket.bind(dvm.target[1]);
        for (unsigned i = 0; i < 4; i++) {
            tlbs.push_back(std::make_unique<Tlb>(("tlb" + std::to_string(i)).c_str()));
            dvm.snoop[i].bind(tlbs.back()->socket);
        }
        message.inval.start = 0x5000;
        message.inval.length = 0x1000;
        message.inval.asid = 9;
        message.inval.last_level = true;
    }
    tlm_generic_payload &payload(tlbstorm::dvm_extension::kind_type kind)
    {
        tlm_generic_payload &t = core.payload(tlm::TLM_IGNORE_COMMAND, 0, 0);
        message.kind = kind;
        t.set_extension(static_cast<tlbstorm::dvm_extension *>(message.clone()));
        return t;
    }
    size_t snoops() const
    {
        size_t n = 0;
        for (const auto &tlb : tlbs)
            n += tlb->log.size();
        return n;
    }
};

TEST(DvmNode, ASyncEndsWhenAllHasBeenAppliedEverywhere)
{
    Dvm p;
    elaborate();
    p.tlbs[3]->latency = ns(700); // a slow TLB
    tlm_generic_payload &tlbi = p.payload(tlbstorm::dvm_extension::tlbi);
    tlm_generic_payload &sync = p.payload(tlbstorm::dvm_extension::sync);
    p.core.begin(tlbi);
    sc_core::sc_start(ns(1));
    EXPECT_EQ(p.core.phases(), "BEGIN_RESP") << "posted";
    EXPECT_EQ(p.tlbs[1]->log.size(), 1u) << "the issuer's own at once";
    EXPECT_EQ(p.snoops(), 1u);
    EXPECT_EQ(p.dvm.trackers.read(), 1u);
    p.core.begin(sync);
    sc_core::sc_start(ns(500));
    EXPECT_EQ(p.snoops(), 4u);
    EXPECT_EQ(p.core.phases(), "BEGIN_RESP") << "one TLB is still busy";
    sc_core::sc_start(ns(2000));
    ASSERT_EQ(p.core.phases(), "BEGIN_RESP BEGIN_RESP");
    EXPECT_GE(p.core.log[1].second, p.tlbs[3]->log[0].first + ns(700).value());
    EXPECT_EQ(p.dvm.trackers.read(), 0u);
    EXPECT_EQ(p.dvm.statistic("issued"), 1u);
    EXPECT_EQ(p.dvm.statistic("applied"), 4u);
    for (const auto &tlb : p.tlbs) {
        ASSERT_EQ(tlb->log.size(), 1u);
        const tlbstorm_inval &inval = tlb->log[0].second;
        EXPECT_EQ(inval.start, 0x5000u);
        EXPECT_EQ(inval.length, 0x1000u);
        EXPECT_EQ(inval.asid, 9);
        EXPECT_TRUE(inval.last_level);
        EXPECT_FALSE(inval.any_asid || inval.any_vmid || inval.all_addresses || inval.keep_global);
    }
    EXPECT_EQ(tlbi.get_ref_count() + sync.get_ref_count(), 2);
}

// Arm has no TLBI of one ASID's page that leaves global entries alone.
TEST(DvmNode, RefusesWhatNoInstructionSays)
{
    Dvm p;
    elaborate();
    p.message.inval.keep_global = true;
    tlm_generic_payload &t = p.payload(tlbstorm::dvm_extension::tlbi);
    EXPECT_EQ(p.core.begin(t), tlm::TLM_COMPLETED);
    EXPECT_EQ(t.get_response_status(), tlm::TLM_COMMAND_ERROR_RESPONSE);
    EXPECT_EQ(t.get_ref_count(), 1);
    sc_core::sc_start(ns(500));
    EXPECT_EQ(p.snoops(), 0u);
}

TEST(DvmNode, LocalOnesStayHome)
{
    Dvm p;
    elaborate();
    p.core.begin(p.payload(tlbstorm::dvm_extension::tlbi_local));
    sc_core::sc_start(ns(500));
    EXPECT_EQ(p.snoops(), 1u);
    EXPECT_EQ(p.tlbs[1]->log.size(), 1u);
}

TEST(DvmNode, WaitsForRoomInTheTrackerOfTheCore)
{
    Dvm p({"dvm.rn_tracker=1"});
    elaborate();
    for (int i = 0; i < 3; i++)
        p.core.begin(p.payload(tlbstorm::dvm_extension::tlbi));
    sc_core::sc_start(ns(1));
    EXPECT_EQ(p.core.log.size(), 1u);
    sc_core::sc_start(ns(2000));
    ASSERT_EQ(p.core.log.size(), 3u);
    EXPECT_GT(p.core.log[2].second, p.core.log[1].second);
    EXPECT_EQ(p.snoops(), 12u);
}

TEST(DvmNode, BlockingTransportWaits)
{
    Dvm p;
    sc_time posted, ended;
    Thread thread("thread", [&] {
        sc_time delay = ns(30); // ahead of the others
        p.core.socket->b_transport(p.payload(tlbstorm::dvm_extension::tlbi), delay);
        EXPECT_EQ(delay, sc_core::SC_ZERO_TIME);
        posted = sc_time_stamp();
        p.core.socket->b_transport(p.payload(tlbstorm::dvm_extension::sync), delay);
        ended = sc_time_stamp();
        EXPECT_EQ(p.snoops(), 4u);
        tlm_generic_payload &wrong = p.payload(tlbstorm::dvm_extension::snoop);
        p.core.socket->b_transport(wrong, delay);
        EXPECT_EQ(wrong.get_response_status(), tlm::TLM_COMMAND_ERROR_RESPONSE);
    });
    sc_core::sc_start(ns(5000));
    EXPECT_EQ(posted, ns(30));
    EXPECT_GT(ended, ns(40));
}

TEST(DvmNode, ElaborationSaysWhichSnoopIsNotBound)
{
    ts::FreshContext context;
    tlbstorm::fabric fabric("fabric", mesh("message", "arm64"));
    tlbstorm::dvm_node dvm("dvm", fabric, {});
    Memory tlb("tlb");
    dvm.snoop[0].bind(tlb.socket);
    EXPECT_HAS(error_of([] { elaborate(); }),
               "the socket dvm.snoop_1 is not bound: bind it to that CPU's MMU");
}

} // namespace
