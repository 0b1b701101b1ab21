/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of every kind under random traffic beyond saturation, held against a functional model:
 * every packet arrives once, whole, where it was sent, in order where order is promised, and
 * nothing stands still. */
#include "sim/rng.h"
#include "tests/support/noc_rig.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <tuple>

namespace
{

using noc_rig::p2spec;
using noc_rig::p4;
using noc_rig::Rig;

#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kCycles = 300;
#else
constexpr uint64_t kCycles = 1500;
#endif

struct Kind {
    const char *fabric;
    uint32_t nodes;
    ts_noc_params params;
    uint32_t flits;     /* at most */
    uint32_t percent;   /* of nodes that send in a cycle */
    uint32_t multicast; /* percent of packets */
    uint32_t hot;       /* percent of packets to node 0 */

    std::string text(uint64_t seed) const
    {
        return std::string(fabric) + " nodes " + std::to_string(nodes) + " classes " +
               std::to_string(params.classes) + " vcs " + std::to_string(params.vcs) + " depth " +
               std::to_string(params.depth) + " rc " + std::to_string(params.rc) + " va " +
               std::to_string(params.va) + " st " + std::to_string(params.st) + " link " +
               std::to_string(params.link) + " credit " + std::to_string(params.credit) +
               (params.speculative ? " speculative" : "") +
               (params.multicast == TS_NOC_TREE ? " tree" : " repeated") + " flits " +
               std::to_string(flits) + " percent " + std::to_string(percent) + " multicast " +
               std::to_string(multicast) + " hot " + std::to_string(hot) + " seed " +
               std::to_string(seed);
    }
};

/* Random traffic, and what must come of it. */
class Traffic
{
  public:
    Traffic(const Kind &kind, uint64_t seed)
        : kind_(kind), rig_(kind.fabric, kind.nodes, kind.params)
    {
        ts_rng_init(&rng_, seed, "noc_swarm", 0);
        rig_.on_delivery = [this](const ts_noc_delivery &d) { take(d); };
    }

    void run()
    {
        uint64_t cycle = 0;

        for (; cycle < kCycles; cycle++) {
            for (uint32_t i = 0; i < kind_.nodes; i++)
                if (ts_rng_chance(&rng_, kind_.percent, 100))
                    send(cycle, i);
            rig_.run(cycle + 1);
            if (cycle % 100 == 99)
                rig_.check();
            if (::testing::Test::HasFailure())
                return;
        }
        rig_.drain();
        EXPECT_TRUE(expected_.empty()) << expected_.size() << " packets did not arrive";
        EXPECT_GT(rig_.delivered.size(), 0u);
        const auto *s = ts_noc_stats(rig_.noc);
        EXPECT_EQ(s->packets_sent, rig_.delivered.size());
        EXPECT_EQ(s->flits_delivered, s->flits_sent + s->flits_copied);
    }

  private:
    using Flow = std::tuple<uint32_t, uint32_t, uint32_t>; /* src, dst, class */

    uint32_t below(uint32_t n)
    {
        return static_cast<uint32_t>(ts_rng_below(&rng_, n));
    }
    void send(uint64_t cycle, uint32_t src)
    {
        uint32_t klass = below(kind_.params.classes), flits = 1 + below(kind_.flits);
        bool many = ts_rng_chance(&rng_, kind_.multicast, 100);
        uint32_t dst = ts_rng_chance(&rng_, kind_.hot, 100) ? 0 : below(kind_.nodes);
        std::vector<uint32_t> to{dst};

        if (many && kind_.params.multicast == TS_NOC_TREE)
            flits = std::min(flits, kind_.params.depth);
        if (many) {
            uint32_t share = 1 + below(100);

            to.clear();
            for (uint32_t i = 0; i < kind_.nodes; i++)
                if (ts_rng_chance(&rng_, share, 100))
                    to.push_back(i);
            if (to.empty())
                return;
        }
        bool sent = many ? ts_noc_multicast(rig_.noc, cycle, src, to.data(),
                                            static_cast<uint32_t>(to.size()), klass, flits, cookie_)
                         : ts_noc_send(rig_.noc, cycle, src, dst, klass, flits, cookie_);
        if (!sent)
            return;
        for (uint32_t d : to) {
            expected_[{cookie_, d}] = {src, klass, flits, cycle};
            flow_[{src, d, klass}].push_back(cookie_);
        }
        cookie_++;
    }
    void take(const ts_noc_delivery &d)
    {
        auto found = expected_.find({d.cookie, d.dst});

        ASSERT_NE(found, expected_.end()) << "cookie " << d.cookie << " at node " << d.dst;
        const Packet &p = found->second;
        EXPECT_EQ(d.src, p.src);
        EXPECT_EQ(d.klass, p.klass);
        EXPECT_EQ(d.flits, p.flits);
        EXPECT_EQ(d.sent, p.sent);
        EXPECT_GE(d.injected, d.sent);
        EXPECT_GE(d.cycle, d.injected + ts_noc_zero_load(rig_.noc, d.src, d.dst, d.flits));
        auto &flow = flow_[{d.src, d.dst, d.klass}];
        /* One buffer a class and hop: nothing can overtake. */
        if (kind_.params.vcs == 1) {
            EXPECT_EQ(flow.front(), d.cookie) << "overtaken from " << d.src << " to " << d.dst;
        }
        flow.erase(std::find(flow.begin(), flow.end(), d.cookie));
        expected_.erase(found);
    }

    struct Packet {
        uint32_t src, klass, flits;
        uint64_t sent;
    };
    Kind kind_;
    Rig rig_;
    ts_rng rng_{};
    uint64_t cookie_ = 1;
    std::map<std::pair<uint64_t, uint32_t>, Packet> expected_;
    std::map<Flow, std::deque<uint64_t>> flow_;
};

void run(const Kind &kind, uint64_t seed)
{
    SCOPED_TRACE("reproduce: " + kind.text(seed));
    Traffic(kind, seed).run();
}

const char *const kFabrics[] = {"mesh", "torus", "ring", "crossbar", "chiplet"};

bool has_cycles(const std::string &fabric)
{
    return fabric == "torus" || fabric == "ring";
}

} // namespace

/* Every fabric, pipeline and number of classes, with as few channels and as small buffers as there
 * can be, at several times what the network can carry. */
TEST(NocSwarm, NothingDeadlocksUnderSaturation)
{
    uint64_t seed = 0;

    for (const char *fabric : kFabrics)
        for (const ts_noc_params &base : {p4(), p2spec()})
            for (uint32_t classes : {1u, 5u})
                for (uint32_t depth : {1u, 4u})
                    for (ts_noc_multicast_kind how : {TS_NOC_REPEATED, TS_NOC_TREE}) {
                        ts_noc_params p = base;

                        p.classes = classes;
                        p.vcs = has_cycles(fabric) ? 2 : 1;
                        p.depth = depth;
                        p.packets = 2000;
                        p.watchdog = 3000;
                        p.multicast = how;
                        run({fabric, 16, p, 6, 60, 20, 10}, ++seed);
                        if (HasFailure())
                            return;
                    }
}

/* Nothing but broadcasts, from all nodes at once. */
TEST(NocSwarm, BroadcastsOfAllNodesPassEachOther)
{
    for (const char *fabric : kFabrics)
        for (const ts_noc_params &base : {p4(), p2spec()})
            for (uint32_t depth : {1u, 2u, 5u}) {
                ts_noc_params p = base;

                p.vcs = has_cycles(fabric) ? 2 : 1;
                p.depth = depth;
                p.watchdog = 3000;
                p.multicast = TS_NOC_TREE;
                run({fabric, 25, p, depth, 80, 100, 0}, depth);
                if (HasFailure())
                    return;
            }
}

/* A ring whose hops may take any channel has a cycle of channels: the watchdog must see it stand
 * still, and the ring as it is must not. */
TEST(NocSwarm, TheCheckSeesADeadlock)
{
    ts_fabric_ops broken = *ts_fabric_find("ring");

    broken.channel_half = nullptr;
    for (const ts_fabric_ops *f :
         {ts_fabric_find("ring"), const_cast<const ts_fabric_ops *>(&broken)}) {
        ts_noc_params p = p4();
        ts_noc *noc = nullptr;
        ts_error err{};
        uint64_t cycle = 0;

        p.vcs = 2;
        p.depth = 1;
        p.watchdog = 500;
        ASSERT_EQ(ts_noc_create(
                      &noc, f, 8, &p, [](void *, const ts_noc_delivery *) {}, nullptr, &err),
                  TS_OK);
        for (; cycle < 100; cycle++) {
            for (uint32_t i = 0; i < 8; i++)
                ts_noc_send(noc, cycle, i, (i + 3) % 8, 0, 6, 0);
            ts_noc_step(noc, cycle);
        }
        while ((cycle = ts_noc_next(noc, cycle)) < 100000)
            ts_noc_step(noc, cycle++);
        bool stands = f == &broken;
        EXPECT_EQ(ts_noc_check(noc, &err), stands ? TS_ERR_FINDING : TS_OK);
        EXPECT_EQ(ts_noc_pending(noc) > 0, stands);
        if (stands) {
            EXPECT_NE(std::string(err.message).find("deadlock"), std::string::npos) << err.message;
        }
        ts_noc_destroy(noc);
    }
}

TEST(NocSwarm, RandomNetworks)
{
    for (uint64_t seed = 1; seed <= 60 && !HasFailure(); seed++) {
        ts_rng rng;

        ts_rng_init(&rng, seed, "noc_swarm_kind", 0);
        auto below = [&](uint32_t n) { return static_cast<uint32_t>(ts_rng_below(&rng, n)); };
        Kind k{};
        k.fabric = kFabrics[below(5)];
        k.nodes = 1 + below(40);
        k.params.classes = 1 + below(3);
        k.params.vcs = 1 + below(4);
        if (has_cycles(k.fabric))
            k.params.vcs += k.params.vcs % 2;
        k.params.depth = 1 + below(10);
        k.params.rc = below(4);
        k.params.speculative = below(2) != 0;
        k.params.va = k.params.speculative ? 1 : 1 + below(3);
        k.params.st = below(3);
        k.params.link = 1 + below(4);
        k.params.credit = 1 + below(3);
        k.params.packets = 1 + below(3000);
        k.params.watchdog = 10000;
        k.params.multicast = below(2) ? TS_NOC_TREE : TS_NOC_REPEATED;
        k.flits = 1 + below(12);
        k.percent = 1 + below(40);
        k.multicast = below(2) ? 0 : below(50);
        k.hot = below(2) ? 0 : below(60);
        run(k, seed);
    }
}

TEST(NocSwarm, TheSameSeedGivesTheSameCycles)
{
    auto cycles = [] {
        ts_noc_params p = p2spec();
        std::vector<uint64_t> list;
        ts_rng rng;

        p.multicast = TS_NOC_TREE;
        Rig rig("torus", 16, p);
        ts_rng_init(&rng, 7, "same", 0);
        for (uint64_t c = 0; c < 200; c++) {
            auto from = static_cast<uint32_t>(ts_rng_below(&rng, 16));
            rig.send(c, from, static_cast<uint32_t>(ts_rng_below(&rng, 16)), 3);
        }
        rig.drain();
        for (const ts_noc_delivery &d : rig.delivered)
            list.push_back(d.cookie << 32 | d.cycle);
        return list;
    };

    EXPECT_EQ(cycles(), cycles());
}
