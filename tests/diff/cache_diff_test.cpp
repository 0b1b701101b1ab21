/* SPDX-License-Identifier: Apache-2.0 */
/* The hierarchy against plain lists: one list of lines for every set that was ever used, the most
 * recent at its front. Every access must take as long in both, and all counts must agree. */
#include "tests/support/cache_rig.hpp"

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <random>
#include <string>
#include <tuple>

using namespace ts_test;

namespace
{

struct Case {
    ts_cache_params p = cache_defaults();
    Machine machine;
    uint32_t ncores = 1;
    uint64_t lines = 1; /* addresses are spread over as many */
};

class Lists
{
  public:
    explicit Lists(const Case &given) : c(given)
    {
    }

    uint64_t access(uint32_t core, uint64_t pa, bool walker)
    {
        const ts_cache_params &p = c.p;
        uint64_t socket = core / c.machine.cores;
        uint64_t group = p.llc_cores ? p.llc_cores : c.machine.cores;
        uint64_t home = p.home == TS_CACHE_HOME_LOCAL ? socket : pa / 4096 % c.machine.sockets;

        (walker ? stats.fetches : stats.data_accesses)++;
        if (!(walker && p.walk_from_l2) && use("l1", core, 0, pa, p.l1_bytes, p.l1_ways))
            return found(walker, stats.l1_hits, stats.data_l1_hits, p.l1_cycles);
        if (use("l2", core, 0, pa, p.l2_bytes, p.l2_ways))
            return found(walker, stats.l2_hits, stats.data_l2_hits, p.l2_cycles);
        if (use("llc", socket, core % c.machine.cores / group, pa, p.llc_bytes, p.llc_ways))
            return found(walker, stats.llc_hits, stats.data_llc_hits, p.llc_cycles);
        if (home == socket)
            return found(walker, stats.memory_local, stats.data_memory, cycles(p.memory_ps));
        return found(walker, stats.memory_remote, stats.data_memory, cycles(p.memory_remote_ps));
    }

    struct ts_cache_stats stats = {};

  private:
    using Key = std::tuple<std::string, uint64_t, uint64_t, uint64_t>;

    uint64_t found(bool walker, uint64_t &fetches, uint64_t &data, uint64_t latency)
    {
        (walker ? fetches : data)++;
        stats.fetch_cycles += walker ? latency : 0;
        return latency;
    }
    uint64_t cycles(uint64_t ps) const
    {
        return (ps * (c.machine.hz / 1000000) + 999999) / 1000000;
    }
    bool use(const std::string &level, uint64_t unit, uint64_t part, uint64_t pa, uint64_t bytes,
             uint64_t ways)
    {
        if (bytes == 0)
            return false;
        uint64_t line = pa / 64;
        std::list<uint64_t> &set = sets[Key{level, unit, part, line % (bytes / (64 * ways))}];
        auto at = std::find(set.begin(), set.end(), line);
        bool hit = at != set.end();
        if (hit)
            set.erase(at);
        set.push_front(line);
        if (set.size() > ways)
            set.pop_back();
        return hit;
    }

    const Case &c;
    std::map<Key, std::list<uint64_t>> sets;
};

uint64_t pick(std::mt19937_64 &random, std::initializer_list<uint64_t> of)
{
    return of.begin()[random() % of.size()];
}

Case random_case(std::mt19937_64 &random)
{
    Case c;
    ts_cache_params &p = c.p;

    c.machine.sockets = pick(random, {1, 2, 3, 4});
    c.machine.cores = pick(random, {1, 2, 3, 4, 6});
    c.machine.hz = pick(random, {1000000000, 2250000000, 2600000000, 3000000000});
    c.ncores = static_cast<uint32_t>(random() % (c.machine.sockets * c.machine.cores) + 1);
    p.l1_ways = pick(random, {1, 2, 3, 8});
    p.l1_bytes = pick(random, {0, 1, 2, 3, 4, 8}) * p.l1_ways * 64;
    p.l2_ways = pick(random, {1, 2, 5, 16});
    p.l2_bytes = pick(random, {0, 1, 4, 7, 16}) * p.l2_ways * 64;
    p.llc_ways = pick(random, {1, 2, 11, 16});
    p.llc_bytes = pick(random, {0, 1, 16, 20, 33}) * p.llc_ways * 64;
    p.llc_cores = pick(random, {0, 1, 2, 3, 4, 100});
    p.l1_cycles = 1 + random() % 9;
    p.l2_cycles = 10 + random() % 9;
    p.llc_cycles = 20 + random() % 9;
    p.memory_ps = 30000 + random() % 50000;
    p.memory_remote_ps = 90000 + random() % 50000;
    p.walk_from_l2 = random() % 2;
    p.home = random() % 2;
    c.lines = pick(random, {4, 40, 400, 2000});
    return c;
}

/* Near a few places far apart, the highest addresses among them. */
uint64_t random_address(std::mt19937_64 &random, const Case &c)
{
    static const uint64_t bases[] = {0, UINT64_C(1) << 33, UINT64_MAX - (UINT64_C(1) << 20) + 1};
    uint64_t line = random() % c.lines;

    /* Half of the lines are spread one a frame, so that homes differ. */
    return bases[random() % 3] + (line % 2 ? line * 64 : line % 250 * 4096) + random() % 64;
}

} // namespace

TEST(CacheDiff, EveryAccessTakesAsLongAsWithLists)
{
    struct ts_cache_stats total = {};

    for (uint64_t seed = 1; seed <= 200; seed++) {
        std::mt19937_64 random(seed);
        Case c = random_case(random);
        CacheRig rig(c.p, c.machine, c.ncores);
        Lists lists(c);

        ASSERT_EQ(rig.status, TS_OK) << rig.error.message;
        for (int step = 0; step < 1500; step++) {
            auto core = static_cast<uint32_t>(random() % c.ncores);
            uint64_t pa = random_address(random, c);
            bool walker = random() % 2;

            ASSERT_EQ(walker ? rig.fetch(core, pa) : rig.data(core, pa),
                      lists.access(core, pa, walker))
                << "reproduce: seed " << seed << " step " << step << " core " << core << " pa "
                << pa << " walker " << walker;
        }
        ASSERT_EQ(memcmp(&rig.stats(), &lists.stats, sizeof(lists.stats)), 0)
            << "reproduce: seed " << seed << ": counts differ";
        ASSERT_TRUE(rig.sums_hold()) << "reproduce: seed " << seed;
        ts_stat_accumulate(&ts_cache_stat_table, &total, &rig.stats());
    }
    /* The cases reach every place often. */
    for (uint64_t count :
         {total.l1_hits, total.l2_hits, total.llc_hits, total.memory_local, total.memory_remote,
          total.data_l1_hits, total.data_l2_hits, total.data_llc_hits, total.data_memory})
        EXPECT_GT(count, 2000u);
}
