// SPDX-License-Identifier: Apache-2.0
// tlbstorm::mmu between an initiator and a memory: times, responses, phases, DMI.
#include "tests/tlm/rig.hpp"

#include <tlbstorm/mmu.hpp>

#include <random>
#include <tlm_utils/tlm_quantumkeeper.h>

using namespace ts_test;

namespace
{

constexpr uint64_t root = 0x1000, P = 1, RW = 2, A = 0x20, D = 0x40, G = 0x100;
constexpr uint64_t va = 0x400000, leaf = 0x4000, frame = 0x10000;

struct Platform {
    ts::FreshContext context; // first: everything is made and taken down in it
    Initiator core{"core"};
    tlbstorm::mmu mmu;
    Memory bus{"bus"}, tables{"tables"};
    Initiator invalidator{"invalidator"};

    static tlbstorm::mmu::config_type config()
    {
        tlbstorm::mmu::config_type c;
        c.clock = ns(0.5);
        c.settings = {"mmu.walk_start_cycles=7cycles", "mmu.walk_cache_cycles=2cycles",
                      "mmu.l2_hit_cycles=0cycles", "mmu.ad_update_cycles=20cycles"};
        return c;
    }
    explicit Platform(bool bind = true) : mmu("mmu", config())
    {
        if (!bind)
            return;
        core.socket.bind(mmu.target);
        mmu.downstream.bind(bus.socket);
        mmu.walk.bind(tables.socket);
        invalidator.socket.bind(mmu.dvm);
        tables.word(root) = 0x2000 | P | RW;
        tables.word(0x2000) = 0x3000 | P | RW;
        tables.word(0x3000 + 8 * 2) = leaf | P | RW;
        for (uint64_t i = 0; i < 16; i++)
            put(i, (frame + 0x1000 * i) | P | RW | A | D);
        for (uint64_t i = 0; i < 16; i++)
            bus.word(frame + 0x1000 * i) = 100 + i;
        mmu.set_context({0, 1, root});
        elaborate();
    }
    void put(uint64_t page, uint64_t entry)
    {
        tables.word(leaf + 8 * page) = entry;
    }
};

constexpr double walk_ns = 9 * 0.5; // start and walk cache

TEST(MmuLoose, ChargesTheWalkAndTheReads)
{
    Platform p;
    tlm_generic_payload &t = p.core.payload(tlm::TLM_READ_COMMAND, va);
    EXPECT_EQ(p.core.access(t), ns(4 * 10 + walk_ns + 10));
    EXPECT_EQ(t.get_response_status(), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(p.core.data, 100u);
    EXPECT_EQ(t.get_address(), va);
    EXPECT_EQ(p.bus.seen, std::vector<uint64_t>({frame}));
    EXPECT_EQ(p.tables.seen, std::vector<uint64_t>({root, 0x2000, 0x3010, leaf}));
    EXPECT_EQ(p.core.read(va + 8), ns(10)) << "a hit costs nothing";
    // One read: the walk caches know the tables.
    EXPECT_EQ(p.core.read(va + 0x1000), ns(10 + walk_ns + 10));
    EXPECT_EQ(p.mmu.statistic("walks"), 2u);
    EXPECT_EQ(p.mmu.statistic("l1_hits"), 1u);
}

TEST(MmuLoose, WritesTheFlags)
{
    Platform p;
    p.put(0, frame | P | RW);
    EXPECT_EQ(p.core.read(va), ns(4 * 10 + walk_ns + 10 + 20 * 0.5 + 10));
    EXPECT_EQ(p.tables.word(leaf), frame | P | RW | A);
    p.core.access(p.core.payload(tlm::TLM_WRITE_COMMAND, va));
    EXPECT_EQ(p.tables.word(leaf), frame | P | RW | A | D);
}

TEST(MmuLoose, ErrorsGoBackAndNothingGoesOn)
{
    Platform p;
    tlbstorm::mmu_extension e;
    p.put(1, frame | P | A); // read-only
    p.put(2, 0);
    const struct {
        uint64_t address;
        tlm::tlm_command command;
        unsigned length;
        tlm::tlm_response_status status;
        tlbstorm_translation result;
    } cases[] = {
        {va + 0x2000, tlm::TLM_READ_COMMAND, 8, tlm::TLM_ADDRESS_ERROR_RESPONSE, TLBSTORM_FAULT},
        {va + 0x1000, tlm::TLM_WRITE_COMMAND, 8, tlm::TLM_ADDRESS_ERROR_RESPONSE, TLBSTORM_FAULT},
        {va + 0xffc, tlm::TLM_READ_COMMAND, 8, tlm::TLM_BURST_ERROR_RESPONSE, TLBSTORM_TRANSLATED},
    };
    unsigned char data[16] = {};
    for (const auto &c : cases) {
        tlm_generic_payload &t = p.core.payload(c.command, c.address, c.length, data);
        t.set_extension(&e);
        p.core.access(t);
        EXPECT_EQ(t.get_response_status(), c.status);
        EXPECT_EQ(e.result, c.result);
        t.clear_extension(&e);
    }
    EXPECT_EQ(p.mmu.faults.read(), 0u) << "a signal's new value is there in the next delta cycle";
    elaborate();
    EXPECT_EQ(p.mmu.faults.read(), 2u);
    const tlbstorm_inval all = {true, true, false, true, false, 0, 0, 0, 0};
    p.mmu.invalidate(all);
    p.tables.broken = 0x2000;
    tlm_generic_payload &t = p.core.payload(tlm::TLM_READ_COMMAND, va);
    const sc_time delay = p.core.access(t);
    EXPECT_EQ(t.get_response_status(), tlm::TLM_GENERIC_ERROR_RESPONSE);
    EXPECT_EQ(delay, ns(2 * 10 + walk_ns));
    EXPECT_TRUE(p.bus.seen.empty());
    p.tables.broken = UINT64_MAX;
    p.bus.broken = frame;
    p.core.access(t);
    EXPECT_EQ(t.get_response_status(), tlm::TLM_ADDRESS_ERROR_RESPONSE) << "the bus's own error";
}

TEST(MmuLoose, AContextOfItsOwn)
{
    Platform p;
    tlbstorm::mmu_extension e;
    e.has_context = true;
    e.context = {0, 7, 0x8000};
    p.tables.word(0x8000) = 0x9000 | P | RW;
    p.tables.word(0x9000) = 0xa000 | P | RW;
    p.tables.word(0xa000 + 8 * 2) = 0xb000 | P | RW;
    p.tables.word(0xb000) = (frame + 0x5000) | P | RW | A | D;
    p.core.read(va);
    tlm_generic_payload &t = p.core.payload(tlm::TLM_READ_COMMAND, va);
    t.set_extension(&e);
    p.core.access(t);
    EXPECT_EQ(p.core.data, 105u);
    EXPECT_EQ(e.pa, frame + 0x5000);
    EXPECT_FALSE(e.from_tlb);
    p.core.access(t);
    EXPECT_TRUE(e.from_tlb);
    t.clear_extension(&e);
    p.core.access(t);
    EXPECT_EQ(p.core.data, 100u);
}

TEST(MmuLoose, DebugFollowsTheTables)
{
    Platform p;
    p.core.read(va);
    p.put(0, (frame + 0x3000) | P | RW | A | D); // and the TLB still has the old frame
    unsigned char data[0x1010];
    tlm_generic_payload &t = p.core.payload(tlm::TLM_READ_COMMAND, va, sizeof data, data);
    EXPECT_EQ(p.core.socket->transport_dbg(t), sizeof data);
    EXPECT_EQ(data[0], 103);
    EXPECT_EQ(data[0x1000], 101);
    EXPECT_EQ(t.get_address(), va);
    EXPECT_EQ(t.get_data_length(), sizeof data);
    EXPECT_EQ(p.mmu.statistic("walks"), 1u);
    p.put(1, 0);
    EXPECT_EQ(p.core.socket->transport_dbg(t), 0x1000u) << "up to the page that is not there";
    p.core.read(va);
    EXPECT_EQ(p.core.data, 100u);
}

// --- DMI ---

bool ask(Platform &p, uint64_t address, tlm::tlm_dmi *dmi,
         tlm::tlm_command c = tlm::TLM_READ_COMMAND)
{
    return p.core.socket->get_direct_mem_ptr(p.core.payload(c, address), *dmi);
}

TEST(MmuDmi, IsForWhatTheTlbHolds)
{
    Platform p;
    tlm::tlm_dmi dmi;
    EXPECT_FALSE(ask(p, va + 0x3008, &dmi)) << "not looked up yet";
    p.core.read(va + 0x3000);
    ASSERT_TRUE(ask(p, va + 0x3008, &dmi));
    EXPECT_EQ(dmi.get_start_address(), va + 0x3000);
    EXPECT_EQ(dmi.get_end_address(), va + 0x3fff);
    EXPECT_TRUE(dmi.is_read_write_allowed());
    EXPECT_EQ(*reinterpret_cast<uint64_t *>(dmi.get_dmi_ptr()), 103u);
    // A clean page: its first write has to walk.
    p.put(4, (frame + 0x4000) | P | RW | A);
    p.core.read(va + 0x4000);
    ASSERT_TRUE(ask(p, va + 0x4000, &dmi));
    EXPECT_TRUE(dmi.is_read_allowed());
    EXPECT_FALSE(dmi.is_write_allowed());
    EXPECT_FALSE(ask(p, va + 0x4000, &dmi, tlm::TLM_WRITE_COMMAND));
    EXPECT_EQ(p.mmu.dmi_regions(), 2u);
}

TEST(MmuDmi, IsRevokedFromBelowAndByANewContext)
{
    Platform p;
    tlm::tlm_dmi dmi;
    p.core.read(va);
    ASSERT_TRUE(ask(p, va, &dmi));
    p.bus.revoke(frame + 0x1000, frame + 0x1fff);
    EXPECT_TRUE(p.core.revoked.empty());
    p.bus.revoke(frame + 0xfff, frame + 0xfff);
    ASSERT_EQ(p.core.revoked.size(), 1u);
    EXPECT_EQ(p.core.revoked[0], std::make_pair(va, va + 0xfff));
    ASSERT_TRUE(ask(p, va, &dmi));
    p.mmu.set_context({0, 2, root});
    EXPECT_EQ(p.core.revoked.size(), 2u);
    EXPECT_EQ(p.mmu.dmi_regions(), 0u);
}

// Whatever invalidation comes, by the core or over the DVM socket: a pointer goes exactly when the
// translation that it stands on does.
TEST(MmuDmi, IsRevokedByEveryFlushThatCoversIt)
{
    std::mt19937_64 random(7);
    uint64_t gone = 0, stayed = 0;
    Platform p;
    for (int round = 0; round < 2000; round++) {
        const uint64_t page = random() % 4, address = va + 0x1000 * page;
        const bool global = random() % 2;
        const tlbstorm_inval all = {true, true, false, true, false, 0, 0, 0, 0};
        const tlbstorm_context context = {uint16_t(random() % 2), uint16_t(random() % 2), root};
        tlm::tlm_dmi dmi;
        p.mmu.invalidate(all);
        p.mmu.set_context(context);
        p.put(page, (frame + 0x1000 * page) | P | RW | A | D | (global ? G : 0));
        p.core.read(address);
        ASSERT_TRUE(ask(p, address, &dmi));
        p.core.revoked.clear();
        const tlbstorm_inval inval = {random() % 4 == 0,          random() % 3 == 0,
                                      random() % 2 == 0,          random() % 4 == 0,
                                      random() % 2 == 0,          uint16_t(random() % 2),
                                      uint16_t(random() % 2),     va + 0x1000 * (random() % 4),
                                      0x1000 * (1 + random() % 2)};
        if (random() % 2) {
            EXPECT_GE(p.mmu.invalidate(inval), ns(0.5));
        } else {
            tlbstorm::dvm_extension e;
            e.kind = tlbstorm::dvm_extension::snoop;
            e.inval = inval;
            tlm_generic_payload &t = p.invalidator.payload(tlm::TLM_IGNORE_COMMAND, 0, 0);
            t.set_extension(&e);
            EXPECT_GE(p.invalidator.access(t), ns(0.5));
            EXPECT_EQ(t.get_response_status(), tlm::TLM_OK_RESPONSE);
            t.clear_extension(&e);
        }
        const uint64_t walks = p.mmu.statistic("walks");
        p.core.read(address);
        const bool walked = p.mmu.statistic("walks") > walks;
        ASSERT_EQ(p.core.revoked.size(), walked ? 1u : 0u) << round;
        (walked ? gone : stayed)++;
    }
    EXPECT_GT(gone, 200u);
    EXPECT_GT(stayed, 200u);
}

TEST(MmuDvm, RefusesWhatIsNoSnoop)
{
    Platform p;
    tlm_generic_payload &t = p.invalidator.payload(tlm::TLM_IGNORE_COMMAND, 0, 0);
    p.invalidator.access(t);
    EXPECT_EQ(t.get_response_status(), tlm::TLM_COMMAND_ERROR_RESPONSE);
}

// --- approximately timed ---

const char *name_of(Style style)
{
    const char *const names[] = {"Accepted", "EndReqUpdated", "RespUpdated", "NoEndReq",
                                 "Completed"};
    return names[static_cast<int>(style)];
}

// Each way of answering of the bus and of the tables' memory: the same data, the same total time,
// and the phases that the base protocol allows.
TEST(MmuPhases, EveryWayOfAnswering)
{
    for (const Style bus : all_styles) {
        for (const Style tables : all_styles) {
            SCOPED_TRACE(std::string(name_of(bus)) + ", tables " + name_of(tables));
            Platform p;
            p.bus.style = bus;
            p.tables.style = tables;
            tlm_generic_payload &t = p.core.payload(tlm::TLM_READ_COMMAND, va);
            EXPECT_EQ(p.core.begin(t), tlm::TLM_ACCEPTED);
            sc_core::sc_start(ns(1000));
            const bool end_req = bus == Style::Accepted || bus == Style::EndReqUpdated;
            EXPECT_EQ(p.core.phases(), end_req ? "END_REQ BEGIN_RESP" : "BEGIN_RESP");
            ASSERT_FALSE(p.core.log.empty());
            EXPECT_EQ(p.core.log.back().second, ns(4 * 10 + walk_ns + 10).value());
            if (end_req) {
                EXPECT_EQ(p.core.log[0].second, ns(4 * 10 + walk_ns + 1).value());
            }
            EXPECT_EQ(p.core.data, 100u);
            EXPECT_EQ(t.get_address(), va);
            EXPECT_EQ(t.get_response_status(), tlm::TLM_OK_RESPONSE);
            // Who sends BEGIN_RESP itself is told END_RESP.
            const bool told = bus != Style::Completed;
            EXPECT_EQ(p.bus.phases.back(), told ? "END_RESP" : "BEGIN_REQ");
            EXPECT_EQ(p.tables.phases.back(),
                      tables != Style::Completed ? "END_RESP" : "BEGIN_REQ");
            EXPECT_EQ(t.get_ref_count(), 1) << "nobody holds it any more";
        }
    }
}

TEST(MmuPhases, TranslatedRequestsOverlap)
{
    Platform p;
    p.core.read(va);
    p.bus.latency = ns(100);
    tlm_generic_payload &a = p.core.payload(tlm::TLM_READ_COMMAND, va);
    tlm_generic_payload &b = p.core.payload(tlm::TLM_READ_COMMAND, va + 8);
    p.core.begin(a);
    sc_core::sc_start(ns(2));
    EXPECT_EQ(p.core.phases(), "END_REQ");
    p.core.begin(b);
    sc_core::sc_start(ns(2));
    EXPECT_EQ(p.core.phases(), "END_REQ END_REQ") << "while the first is with the bus";
    p.core.holds_response = true;
    sc_core::sc_start(ns(500));
    EXPECT_EQ(p.core.phases(), "END_REQ END_REQ BEGIN_RESP") << "one response at a time";
    p.core.end(a);
    sc_core::sc_start(ns(1));
    EXPECT_EQ(p.core.phases(), "END_REQ END_REQ BEGIN_RESP BEGIN_RESP");
    p.core.end(b);
    sc_core::sc_start(ns(1));
    EXPECT_EQ(a.get_ref_count() + b.get_ref_count(), 2);
}

TEST(MmuPhases, FaultsAreResponses)
{
    Platform p;
    p.put(2, 0);
    tlm_generic_payload &t = p.core.payload(tlm::TLM_READ_COMMAND, va + 0x2000);
    p.core.begin(t);
    sc_core::sc_start(ns(1000));
    EXPECT_EQ(p.core.phases(), "BEGIN_RESP");
    EXPECT_EQ(p.core.log[0].second, ns(4 * 10 + walk_ns).value());
    EXPECT_EQ(t.get_response_status(), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_TRUE(p.bus.seen.empty());
    EXPECT_EQ(t.get_ref_count(), 1);
}

TEST(MmuPhases, BreachesOfTheProtocolAreErrors)
{
    Platform p;
    tlm_generic_payload &a = p.core.payload(tlm::TLM_READ_COMMAND, va);
    tlm_generic_payload &b = p.core.payload(tlm::TLM_READ_COMMAND, va);
    tlm_generic_payload unmanaged;
    EXPECT_HAS(error_of([&] { p.core.begin(unmanaged); }), "without memory manager");
    Platform q;
    q.core.begin(a);
    EXPECT_HAS(error_of([&] { q.core.begin(b); }), "mmu.target: BEGIN_REQ before END_REQ");
    Platform r;
    r.core.end(a);
    EXPECT_HAS(error_of([] { sc_core::sc_start(ns(1)); }), "END_RESP without BEGIN_RESP");
}

// An invalidation in the middle of a walk that has read the entry already: what was read must not
// be used, nor stay in the TLB.
TEST(MmuPhases, AnInvalidationDuringAWalk)
{
    for (const bool covers : {true, false}) {
        Platform p;
        tlbstorm_inval inval = {};
        inval.asid = 1;
        inval.start = covers ? va : va + 0x1000;
        inval.length = 0x1000;
        p.tables.on_access = [&] {
            if (p.tables.seen.size() != 4)
                return;
            p.put(0, (frame + 0x6000) | P | RW | A | D);
            p.mmu.invalidate(inval);
        };
        p.core.begin(p.core.payload(tlm::TLM_READ_COMMAND, va));
        sc_core::sc_start(ns(1000));
        EXPECT_EQ(p.core.data, covers ? 106u : 100u);
        EXPECT_EQ(p.mmu.statistic("walks"), covers ? 2u : 1u);
        p.core.read(va);
        EXPECT_EQ(p.core.data, covers ? 106u : 100u);
    }
}

// Two loosely timed initiators of one MMU, whose reads of tables wait: the second waits for the
// first's walk, and an invalidation in between counts for both.
TEST(MmuLoose, TwoInitiatorsAndAnInvalidationInBetween)
{
    ts::FreshContext context;
    Initiator core("core");
    tlbstorm::mmu mmu("mmu", Platform::config());
    Memory bus("bus"), tables("tables");
    core.socket.bind(mmu.target);
    mmu.downstream.bind(bus.socket);
    mmu.walk.bind(tables.socket);
    tables.word(root) = 0x2000 | P | RW;
    tables.word(0x2000) = 0x3000 | P | RW;
    tables.word(0x3000 + 8 * 2) = leaf | P | RW;
    tables.word(leaf) = frame | P | RW | A | D;
    bus.word(frame) = 1;
    bus.word(frame + 0x1000) = 2;
    tables.waits = true;
    mmu.set_context({0, 1, root});
    uint64_t data[2] = {};
    sc_time ended[2];
    const auto reader = [&](unsigned i) {
        return [&, i] {
            tlm_generic_payload &t = core.payload(tlm::TLM_READ_COMMAND, va, 8,
                                                  reinterpret_cast<unsigned char *>(&data[i]));
            core.access(t);
            ended[i] = sc_time_stamp();
        };
    };
    Thread first("first", reader(0)), second("second", reader(1));
    Thread third("third", [&] {
        sc_core::wait(ns(35)); // the leaf has been read at 30 ns, and the read lasts to 40
        tables.word(leaf) = (frame + 0x1000) | P | RW | A | D;
        mmu.invalidate({false, false, false, false, false, 0, 1, va, 0x1000});
    });
    sc_core::sc_start(ns(1000));
    EXPECT_EQ(data[0], 2u);
    EXPECT_EQ(data[1], 2u);
    EXPECT_EQ(ended[0], ns(80)) << "an invalidation by address takes the walk-cache entries too";
    EXPECT_EQ(ended[1], ns(80)) << "a hit";
    EXPECT_EQ(mmu.statistic("walks"), 2u);
}

// An initiator with a quantum keeper: it synchronises once a quantum, and in the end SystemC's time
// is the sum of all delays.
TEST(MmuLoose, QuantumKeeper)
{
    ts::FreshContext context;
    Initiator core("core");
    tlbstorm::mmu mmu("mmu", Platform::config());
    Memory bus("bus"), tables("tables");
    core.socket.bind(mmu.target);
    mmu.downstream.bind(bus.socket);
    mmu.walk.bind(tables.socket);
    tables.word(root) = 0x2000 | P | RW;
    tables.word(0x2000) = 0x3000 | P | RW;
    tables.word(0x3000 + 8 * 2) = leaf | P | RW;
    tables.word(leaf) = frame | P | RW | A | D;
    mmu.set_context({0, 1, root});
    unsigned syncs = 0;
    sc_time ended;
    Thread thread("thread", [&] {
        tlm_utils::tlm_quantumkeeper keeper;
        tlm_utils::tlm_quantumkeeper::set_global_quantum(ns(100));
        keeper.reset();
        for (int i = 0; i < 50; i++) {
            sc_time local = keeper.get_local_time();
            core.socket->b_transport(core.payload(tlm::TLM_READ_COMMAND, va), local);
            keeper.set(local);
            if (keeper.need_sync()) {
                keeper.sync();
                syncs++;
            }
        }
        keeper.sync();
        ended = sc_time_stamp();
    });
    sc_core::sc_start(ns(5000));
    const sc_time sum = ns(4 * 10 + walk_ns + 50 * 10);
    EXPECT_EQ(mmu.statistic("l1_hits"), 49u);
    EXPECT_EQ(syncs, 5u);
    EXPECT_EQ(ended, sum);
}

// Time-decoupled: the local time that the caller is ahead by changes nothing of what is charged.
TEST(MmuLoose, LocalTime)
{
    Platform p;
    tlm_generic_payload &t = p.core.payload(tlm::TLM_READ_COMMAND, va);
    EXPECT_EQ(p.core.access(t, ns(500)), ns(4 * 10 + walk_ns + 10));
    EXPECT_EQ(p.core.access(t, ns(700)), ns(10));
    EXPECT_EQ(p.core.access(t, ns(100)), ns(10)) << "another initiator's, behind the first";
}

// The rest of the platform must not be there, as SystemC itself would complain of its sockets.
TEST(MmuElaboration, SaysWhatIsNotBound)
{
    for (const char *missing : {"target", "downstream", "walk"}) {
        ts::FreshContext context;
        tlbstorm::mmu mmu("mmu");
        std::unique_ptr<Initiator> core;
        std::unique_ptr<Memory> bus, tables;
        if (std::strcmp(missing, "target") != 0) {
            core = std::make_unique<Initiator>("core");
            core->socket.bind(mmu.target);
        }
        if (std::strcmp(missing, "downstream") != 0) {
            bus = std::make_unique<Memory>("bus");
            mmu.downstream.bind(bus->socket);
        }
        if (std::strcmp(missing, "walk") != 0) {
            tables = std::make_unique<Memory>("tables");
            mmu.walk.bind(tables->socket);
        }
        const std::string error = error_of([] { elaborate(); });
        EXPECT_HAS(error, std::string("/tlbstorm/unbound: the socket mmu.") + missing +
                              " is not bound: bind it to the ");
    }
}

TEST(MmuElaboration, NamesTheWrongSetting)
{
    ts::FreshContext context;
    tlbstorm::mmu::config_type config;
    config.settings = {"mmu.l2_entrys=7"};
    const std::string error = error_of([&] { tlbstorm::mmu mmu("mmu", config); });
    EXPECT_HAS(error, "/tlbstorm/settings: mmu: ");
    EXPECT_HAS(error, "mmu.l2_entries");
}

} // namespace
