/* SPDX-License-Identifier: Apache-2.0 */
/* Random accesses from all cores at once against a sequential memory: a line has one value, a write
 * or locked operation makes it the next one, and nobody ever reads an old one. */
#include "tests/support/line_rig.hpp"

#include "sim/rng.h"
#include "sim/stats.h"

#include <memory>
#include <string>
#include <vector>

namespace
{

const char *const fabrics[] = {"mesh", "ring", "crossbar", "chiplet", "torus", "ideal"};

struct Case {
    uint64_t seed;
    uint32_t sockets, cores, cluster, accesses;
    ts_line_params params;
    ts_interconnect_params net;
    ts_queue_kind queue;

    explicit Case(uint64_t s) : seed(s)
    {
        ts_rng rng;

        ts_rng_init(&rng, seed, "line case", 0);
        auto below = [&](uint64_t n) { return static_cast<uint32_t>(ts_rng_below(&rng, n)); };
        sockets = 1 + below(3);
        cores = 2 + below(23);
        cluster = below(3) == 0 ? 1 : 1 + below(8);
        accesses = 300 + below(1200);
        net = rig::network(fabrics[below(6)]);
        net.background_permille = below(2) ? 0 : below(700);
        queue = below(2) ? TS_QUEUE_WHEEL : TS_QUEUE_HEAP;
        params = rig::defaults<ts_line_params>(ts_line_param_table);
        params.cluster_cores = cluster;
        params.cluster_cycles = below(3) * 20;
        params.forwarding = below(2);
        params.snoop_cycles = below(3) * 25;
        params.home_cycles = below(3) * 9;
        params.rmw_cycles = below(3) * 50;
    }
};

class Swarm
{
  public:
    explicit Swarm(const Case &c)
        : c_(c), net_(rig::topology(c.sockets, c.cores), c.net, c.queue), lines_(net_, c.params),
          contended_(1 + c.seed % 4), written_(contended_.size(), 0)
    {
        ts_rng_init(&rng_, c.seed, "line swarm", 0);
        for (size_t i = 0; i < contended_.size(); i++) {
            ts_line_init(lines_.system, &contended_[i], ts_rng_next(&rng_), core());
        }
    }
    void run()
    {
        /* A chain of accesses a thread, two threads a core: back to back, or with pauses. */
        uint32_t threads = 2 * c_.sockets * c_.cores;

        for (uint32_t t = 0; t < threads; t++)
            next(t / 2, c_.accesses / threads + 2);
        net_.run();
        EXPECT_EQ(finished_, threads) << "accesses that never ended";
        EXPECT_EQ(done_, started_);
        for (size_t i = 0; i < contended_.size(); i++) {
            EXPECT_EQ(contended_[i].version, written_[i]);
            ts_line_fini(&contended_[i]);
        }
        EXPECT_EQ(ts_stat_check(&ts_line_stat_table, lines_.stats(), &net_.err), TS_OK)
            << net_.err.message;
        EXPECT_EQ(
            ts_stat_check(&ts_interconnect_stat_table, ts_interconnect_stats(net_.ic), &net_.err),
            TS_OK)
            << net_.err.message;
        EXPECT_TRUE(c_.cluster > 1 || lines_.stats()->in_cluster == 0);
    }
    const struct ts_line_stats &stats() const
    {
        return *lines_.stats();
    }

  private:
    uint32_t core()
    {
        return static_cast<uint32_t>(ts_rng_below(&rng_, c_.sockets * c_.cores));
    }
    void next(uint32_t core, uint32_t left)
    {
        if (left == 0) {
            finished_++;
            return;
        }
        ts_time pause = ts_rng_below(&rng_, 4) ? ts_rng_below(&rng_, 20 * TS_NS)
                                               : ts_rng_below(&rng_, 2 * TS_US);

        starts_.push_back(std::make_unique<rig::At>(net_.engine, net_.now() + pause, [=] {
            const ts_line_op ops[] = {TS_LINE_READ, TS_LINE_READ, TS_LINE_WRITE, TS_LINE_RMW};
            size_t line = ts_rng_below(&rng_, contended_.size());
            ts_line_op op = ops[ts_rng_below(&rng_, 4)];

            started_++;
            lines_.start(&contended_[line], core, op, [=] {
                performed(line, core, op);
                next(core, left - 1);
            });
        }));
    }
    void performed(size_t i, uint32_t core, ts_line_op op)
    {
        const ts_line &line = contended_[i];

        done_++;
        if (op != TS_LINE_READ)
            written_[i]++;
        /* The model holds arriving data to line.version; so does this the hits. */
        ASSERT_EQ(line.version, written_[i]);
        ASSERT_TRUE(ts_line_readable(&line, core));
        ASSERT_TRUE(op == TS_LINE_READ || ts_line_writable(&line, core));
        for (uint32_t other = 0; other < c_.sockets * c_.cores; other++) {
            if (other == core)
                continue;
            ASSERT_FALSE(ts_line_writable(&line, other));
            ASSERT_FALSE(op != TS_LINE_READ && ts_line_readable(&line, other));
        }
    }

    const Case &c_;
    rig::Network net_;
    rig::Lines lines_;
    std::vector<ts_line> contended_;
    std::vector<uint64_t> written_; /* the sequential memory: a count for each line */
    std::vector<std::unique_ptr<rig::At>> starts_;
    ts_rng rng_{};
    uint64_t started_ = 0, done_ = 0;
    uint32_t finished_ = 0;
};

} // namespace

TEST(LineSwarm, NobodyReadsAnOldValueAndEverythingEnds)
{
    ts_line_stats sum{};

    for (uint64_t seed = 1; seed <= 150; seed++) {
        Case c(seed);

        SCOPED_TRACE("seed " + std::to_string(seed) + ": " + std::to_string(c.sockets) + "x" +
                     std::to_string(c.cores) + ", clusters of " + std::to_string(c.cluster));
        Swarm swarm(c);
        swarm.run();
        if (HasFailure())
            return;
        sum.in_cluster += swarm.stats().in_cluster;
        sum.transfers += swarm.stats().transfers;
        sum.llc += swarm.stats().llc;
        sum.upgrades += swarm.stats().upgrades;
        sum.writebacks += swarm.stats().writebacks;
        sum.held_ps += swarm.stats().held_ps;
        sum.invalidations += swarm.stats().invalidations;
    }
    /* Every way to be served has been gone often. */
    for (uint64_t n : {sum.in_cluster, sum.transfers, sum.llc, sum.upgrades, sum.writebacks,
                       sum.held_ps, sum.invalidations})
        EXPECT_GT(n, 1000u);
}
