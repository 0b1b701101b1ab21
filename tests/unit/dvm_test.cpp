/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/dvm_rig.hpp"

#include "sim/rng.h"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace
{

/* CPUs that work through: some TLBIs, then a DSB, again and again. Checks at the end of each DSB
 * that everything issued before it has been applied everywhere, its time at the TLBs included. */
class Storm
{
  public:
    Storm(rig::Dvm &dvm, uint64_t seed, uint32_t rounds) : d_(dvm), cpus_(dvm.net.topo.ncpus)
    {
        ts_rng rng;

        ts_rng_init(&rng, seed, "dvm storm", 0);
        d_.busy = [this](uint32_t cpu, uint64_t id) { return applied(cpu, id); };
        for (uint32_t i = 0; i < cpus_.size(); i++) {
            Cpu &c = cpus_[i];

            c.storm = this;
            c.number = i;
            ts_rng_init(&c.rng, seed, "dvm storm", i + 1);
            c.rounds = rounds;
            c.vmid = static_cast<uint16_t>(i % 2 + 1);
            starts_.push_back(std::make_unique<rig::At>(d_.net.engine, ts_rng_below(&rng, TS_US),
                                                        [this, i] { round(cpus_[i]); }));
        }
    }
    /* CPUs that operations of this VM must reach. */
    std::function<bool(uint16_t vmid, uint32_t cpu)> must_reach = [](uint16_t, uint32_t) {
        return true;
    };
    uint32_t finished = 0;
    uint64_t issued = 0;

  private:
    struct Cpu {
        Storm *storm;
        ts_rng rng;
        uint32_t number;
        uint32_t rounds;
        uint16_t vmid;
        uint64_t left = 0;
        std::vector<uint64_t> since_dsb;
    };
    uint64_t applied(uint32_t cpu, uint64_t id)
    {
        uint64_t cycles = id % 7 == 0 ? 256 : id % 5;
        ts_time end = ts_clock_after(&d_.core_clock, d_.net.now(), cycles);

        EXPECT_TRUE(ends_.emplace(std::make_pair(id, cpu), cycles ? end : d_.net.now()).second)
            << "applied twice";
        return cycles;
    }
    void round(Cpu &c)
    {
        if (c.rounds-- == 0) {
            finished++;
            return;
        }
        c.left = ts_rng_below(&c.rng, 40);
        go_on(c);
    }
    void go_on(Cpu &c)
    {
        while (c.left > 0) {
            if (!ts_dvm_can_issue(d_.dvm, c.number, has_room, &c))
                return;
            uint64_t id = ++issued;
            c.left--;
            c.since_dsb.push_back(id);
            d_.issue(c.number, id, c.vmid);
        }
        if (ts_dvm_dsb(d_.dvm, c.number, dsb_done, &c)) {
            EXPECT_TRUE(c.since_dsb.empty());
            round(c);
        }
    }
    static void has_room(void *user, uint32_t)
    {
        auto *c = static_cast<Cpu *>(user);

        c->storm->go_on(*c);
    }
    static void dsb_done(void *user, uint32_t cpu)
    {
        auto *c = static_cast<Cpu *>(user);
        Storm *s = c->storm;

        EXPECT_EQ(cpu, c->number);
        for (uint64_t id : c->since_dsb) {
            for (uint32_t target = 0; target < s->cpus_.size(); target++) {
                if (target != cpu && !s->must_reach(c->vmid, target))
                    continue;
                auto end = s->ends_.find({id, target});
                ASSERT_NE(end, s->ends_.end()) << "TLBI " << id << " has not reached " << target;
                EXPECT_LE(end->second, s->d_.net.now());
            }
        }
        c->since_dsb.clear();
        s->round(*c);
    }
    rig::Dvm &d_;
    std::vector<Cpu> cpus_;
    std::map<std::pair<uint64_t, uint32_t>, ts_time> ends_;
    std::vector<std::unique_ptr<rig::At>> starts_;
};

} // namespace

TEST(Dvm, ATlbiReachesEveryCpuOnceAndItsOwnAtOnce)
{
    for (uint64_t sockets : {1u, 2u, 4u}) {
        rig::Dvm d(rig::arm_topology(sockets, 8));

        d.issue(3, 42);
        ASSERT_EQ(d.applied.size(), 1u);
        EXPECT_EQ(d.applied[0].cpu, 3u);
        EXPECT_EQ(d.applied[0].when, d.net.now());
        d.net.run();
        EXPECT_EQ(d.applied.size(), 8 * sockets);
        EXPECT_EQ(d.reached(42), 8 * sockets);
        EXPECT_EQ(d.stats()->snooped, 8 * sockets - 1);
        EXPECT_EQ(d.stats()->forwarded, sockets - 1);
        d.expect_rules();
    }
}

TEST(Dvm, ADsbWithNothingIssuedIsFree)
{
    rig::Dvm d(rig::arm_topology(1, 8));
    rig::Done done(d.net.engine), other(d.net.engine);

    EXPECT_TRUE(ts_dvm_dsb(d.dvm, 2, rig::Done::call, &done));
    d.issue(2, 1);
    /* Another core's DSB does not wait for it. */
    EXPECT_TRUE(ts_dvm_dsb(d.dvm, 5, rig::Done::call, &other));
    EXPECT_FALSE(ts_dvm_dsb(d.dvm, 2, rig::Done::call, &done));
    d.net.run();
    EXPECT_EQ(done.calls, 1u);
    EXPECT_TRUE(ts_dvm_dsb(d.dvm, 2, rig::Done::call, &done));
    d.net.run();
    EXPECT_EQ(done.calls, 1u);
    EXPECT_EQ(other.calls, 0u);
    EXPECT_EQ(d.stats()->syncs, 1u);
    d.expect_rules();
}

TEST(Dvm, FlitsOfATlbiWithDsbAreTheSpecificationsCount)
{
    for (uint64_t cores : {2u, 16u, 64u}) {
        rig::Dvm d(rig::arm_topology(1, cores));
        rig::Done done(d.net.engine);
        uint64_t others = cores - 1;

        d.issue(0, 1);
        ts_dvm_dsb(d.dvm, 0, rig::Done::call, &done);
        d.net.run();
        /* Each of both: request, DBIDResp, data, Comp, two snoops and a response a core. */
        EXPECT_EQ(ts_interconnect_stats(d.net.ic)->flits, 2 * (4 + 3 * others));
        EXPECT_EQ(d.stats()->txsnp_flitv, 4 * others);
        d.expect_rules();
    }
}

/* ACE: a core answers a Sync and then sends Complete. A tree has as many flits as a chain of them.
 */
TEST(Dvm, FlitsOfTheOtherProtocolAndFanOut)
{
    for (uint64_t degree : {2u, 4u, 64u}) {
        auto p = rig::dvm_params();
        p.protocol = TS_DVM_ACE;
        p.fanout = TS_DVM_TREE;
        p.fanout_degree = degree;
        rig::Dvm d(rig::arm_topology(1, 16), p);
        rig::Done done(d.net.engine);

        d.issue(0, 1);
        ts_dvm_dsb(d.dvm, 0, rig::Done::call, &done);
        d.net.run();
        EXPECT_EQ(done.calls, 1u);
        EXPECT_EQ(ts_interconnect_stats(d.net.ic)->flits, 2u * (4 + 3 * 15) + 15);
        EXPECT_EQ(d.stats()->dvm_completes, 15u);
        d.expect_rules();
    }
}

TEST(Dvm, ACoreWithAFullTrackerWaits)
{
    auto p = rig::dvm_params();

    p.rn_tracker = 3;
    rig::Dvm d(rig::arm_topology(1, 8), p);
    rig::Done room(d.net.engine);

    for (uint64_t id = 1; id <= 3; id++) {
        EXPECT_TRUE(ts_dvm_can_issue(d.dvm, 0, rig::Done::call, &room));
        d.issue(0, id);
    }
    EXPECT_FALSE(ts_dvm_can_issue(d.dvm, 0, rig::Done::call, &room));
    EXPECT_TRUE(ts_dvm_can_issue(d.dvm, 1, rig::Done::call, &room));
    d.net.run();
    EXPECT_EQ(room.calls, 1u);
    EXPECT_TRUE(ts_dvm_can_issue(d.dvm, 0, rig::Done::call, &room));
    d.expect_rules();
}

TEST(Dvm, AFullMiscNodeRetries)
{
    auto p = rig::dvm_params();

    p.mn_tracker = 2;
    rig::Dvm d(rig::arm_topology(1, 16), p);

    for (uint32_t cpu = 0; cpu < 16; cpu++)
        for (uint64_t i = 0; i < 4; i++)
            d.issue(cpu, cpu * 10 + i);
    d.net.run();
    EXPECT_GT(d.stats()->rxreq_retried, 30u);
    EXPECT_EQ(d.applied.size(), 16u * 16u * 4u);
    d.expect_rules();
}

TEST(Dvm, SyncsCannotTakeTheLastTrackerEntry)
{
    auto p = rig::dvm_params();
    std::vector<rig::Done> dsbs;

    p.mn_tracker = 3;
    rig::Dvm d(rig::arm_topology(1, 8), p);
    for (uint32_t cpu = 0; cpu < 3; cpu++)
        d.issue(cpu, cpu);
    d.net.run();
    ASSERT_EQ(d.stats()->rxreq_retried, 0u);
    dsbs.assign(3, rig::Done(d.net.engine));
    for (uint32_t cpu = 0; cpu < 3; cpu++)
        ts_dvm_dsb(d.dvm, cpu, rig::Done::call, &dsbs[cpu]);
    d.net.run();
    EXPECT_EQ(d.stats()->rxreq_retried, 1u);
    for (auto &dsb : dsbs)
        EXPECT_EQ(dsb.calls, 1u);
    d.expect_rules();
}

TEST(Dvm, TheVmidFilterLimitsWhoIsSnooped)
{
    auto p = rig::dvm_params();
    ts_cpumask vm{};

    p.vmid_filter = 1;
    rig::Dvm d(rig::arm_topology(2, 8), p);
    rig::Done done(d.net.engine);

    ts_cpumask_init(&vm, 16);
    for (uint32_t cpu : {1u, 4u, 5u})
        ts_cpumask_set(&vm, cpu);
    ts_dvm_set_domain(d.dvm, 7, &vm);
    d.issue(4, 100, 7);
    ts_dvm_dsb(d.dvm, 4, rig::Done::call, &done);
    d.net.run();
    EXPECT_EQ(d.reached(100), 3u);
    EXPECT_EQ(d.stats()->vmid_filtered, 16u - 3u);
    EXPECT_EQ(d.stats()->forwarded, 0u);
    /* The Sync goes where the operation went. */
    EXPECT_EQ(d.stats()->snooped_sync, 2u);
    EXPECT_EQ(done.calls, 1u);
    /* Another VM's are not filtered, and any-VMID operations neither. */
    d.issue(4, 101, 8);
    d.net.run();
    EXPECT_EQ(d.reached(101), 16u);
    ts_tlb_inval any = ts_inval_tlbi_alle1();
    ts_dvm_issue(d.dvm, 4, &any);
    d.net.run();
    EXPECT_EQ(d.reached(0), 16u);
    /* A domain of the other socket, and its end. */
    ts_cpumask_clear_all(&vm);
    ts_cpumask_set(&vm, 12);
    ts_dvm_set_domain(d.dvm, 7, &vm);
    d.issue(4, 103, 7);
    ts_dvm_dsb(d.dvm, 4, rig::Done::call, &done);
    d.net.run();
    EXPECT_EQ(d.reached(103), 2u);
    EXPECT_EQ(done.calls, 2u);
    ts_dvm_set_domain(d.dvm, 7, nullptr);
    d.issue(4, 104, 7);
    d.net.run();
    EXPECT_EQ(d.reached(104), 16u);
    /* Operations 100 and 103, whatever the number of cores left out. */
    EXPECT_EQ(d.stats()->rxreq_dvmop, 5u);
    EXPECT_EQ(d.stats()->rxreq_dvmop_vmid_filtered, 2u);
    d.expect_rules();
}

TEST(Dvm, WithoutTheFilterADomainChangesNothing)
{
    rig::Dvm d(rig::arm_topology(1, 8));
    ts_cpumask vm{};

    ts_cpumask_init(&vm, 8);
    ts_dvm_set_domain(d.dvm, 1, &vm);
    d.issue(0, 1);
    d.net.run();
    EXPECT_EQ(d.reached(1), 8u);
    EXPECT_EQ(d.stats()->vmid_filtered, 0u);
}

TEST(Dvm, OneCpuAloneStillGoesToItsMiscNode)
{
    rig::Dvm d(rig::arm_topology(1, 1));
    rig::Done done(d.net.engine);

    d.issue(0, 1);
    EXPECT_FALSE(ts_dvm_dsb(d.dvm, 0, rig::Done::call, &done));
    d.net.run();
    EXPECT_EQ(done.calls, 1u);
    EXPECT_GT(done.when, 0u);
    d.expect_rules();
}

TEST(Dvm, ADsbCoversEverythingIssuedBeforeIt)
{
    struct Case {
        uint64_t sockets, cores, threads, mn_tracker, rn_tracker, rn_queue, mn_snoops;
        bool early, filter;
        const char *fabric;
        uint64_t tree = 0; /* degree; 0: serial */
        uint64_t protocol = TS_DVM_CHI;
        uint64_t detail = TS_IC_MESSAGE;
    };
    const std::vector<Case> cases = {
        {1, 8, 1, 16, 16, 4, 4, false, false, "mesh"},
        {2, 5, 1, 2, 4, 1, 2, false, false, "mesh"},
        {2, 6, 1, 2, 3, 1, 2, true, false, "ring"},
        {3, 4, 1, 3, 16, 2, 3, true, false, "mesh"},
        {4, 3, 1, 2, 16, 1, 2, false, true, "crossbar"},
        {2, 6, 1, 4, 2, 4, 4, true, true, "mesh"},
        {2, 4, 1, 2, 16, 1, 2, true, false, "ideal"},
        {2, 3, 2, 16, 16, 4, 4, false, false, "mesh"},
        {1, 12, 1, 16, 16, 4, 4, false, false, "mesh", 2},
        {2, 9, 1, 2, 3, 1, 2, true, true, "mesh", 3},
        {2, 6, 1, 4, 16, 2, 3, false, false, "mesh", 0, TS_DVM_ACE},
        {2, 7, 1, 3, 16, 1, 2, true, true, "ring", 2, TS_DVM_ACE},
        {1, 16, 1, 16, 16, 4, 4, false, false, "mesh", 0, TS_DVM_CHI, TS_IC_FLIT},
        {2, 8, 1, 2, 4, 1, 2, true, true, "mesh", 2, TS_DVM_ACE, TS_IC_FLIT},
    };

    for (size_t i = 0; i < cases.size(); i++) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            const Case &c = cases[i];
            auto p = rig::dvm_params();
            auto n = rig::arm_network();
            ts_cpumask vms[2] = {};

            SCOPED_TRACE("case " + std::to_string(i) + ", seed " + std::to_string(seed));
            p.mn_tracker = c.mn_tracker;
            p.rn_tracker = c.rn_tracker;
            p.rn_queue = c.rn_queue;
            p.mn_snoops = c.mn_snoops;
            p.early_comp = c.early;
            p.vmid_filter = c.filter;
            p.protocol = c.protocol;
            if (c.tree) {
                p.fanout = TS_DVM_TREE;
                p.fanout_degree = c.tree;
            }
            n.detail = c.detail;
            n.fabric = rig::fabric_index(c.fabric);
            auto t = rig::topology(c.sockets, c.cores, c.threads);
            t.arch = seed == 3 ? TS_ARCH_X86 : TS_ARCH_ARM64;
            rig::Dvm d(t, p, n, seed % 2 ? TS_QUEUE_WHEEL : TS_QUEUE_HEAP);
            Storm storm(d, seed, 4);
            uint32_t ncpus = d.net.topo.ncpus;

            if (c.filter) {
                for (uint32_t vm = 0; vm < 2; vm++) {
                    ts_cpumask_init(&vms[vm], ncpus);
                    for (uint32_t cpu = 0; cpu < ncpus; cpu++)
                        if (cpu % 3 != vm)
                            ts_cpumask_set(&vms[vm], cpu);
                    ts_dvm_set_domain(d.dvm, static_cast<uint16_t>(vm + 1), &vms[vm]);
                }
                storm.must_reach = [&vms](uint16_t vmid, uint32_t cpu) {
                    return ts_cpumask_test(&vms[vmid - 1], cpu);
                };
            }
            d.net.run();
            EXPECT_EQ(storm.finished, ncpus);
            EXPECT_EQ(d.stats()->issued, storm.issued);
            /* Every other CPU of every TLBI was snooped or filtered. */
            EXPECT_EQ(d.stats()->snooped - d.stats()->snooped_sync + d.stats()->vmid_filtered,
                      storm.issued * (ncpus - 1));
            EXPECT_EQ(d.stats()->vmid_filtered > 0, c.filter);
            EXPECT_EQ(d.stats()->dvm_completes,
                      c.protocol == TS_DVM_ACE ? d.stats()->snooped_sync : 0u);
            d.expect_rules();
        }
    }
}

TEST(Dvm, RefusesWhatTheRowsRefuse)
{
    rig::Network net(rig::topology(1, 4));

    for (size_t i = 0; i < ts_dvm_param_table.nrows; i++) {
        const ts_param &row = ts_dvm_param_table.rows[i];
        auto p = rig::dvm_params();
        ts_dvm *d = nullptr;

        *reinterpret_cast<uint64_t *>(reinterpret_cast<char *>(&p) + row.offset) = row.max + 1;
        EXPECT_EQ(ts_dvm_create(&d, net.engine, &net.topo, net.ic, &p, nullptr, nullptr, &net.err),
                  TS_ERR_USER)
            << row.key;
        EXPECT_EQ(d, nullptr);
    }
}
