/* SPDX-License-Identifier: Apache-2.0 */
/* Two and more threads of a core: what they own, divide, share and wait for. */
#include "models/tlb/replacement_table.h"
#include "tests/mmu_fixture.hpp"

#include <memory>
#include <string>
#include <vector>

using namespace mmu_fixture;

namespace
{

ts_mmu_params smt(uint64_t mode)
{
    ts_mmu_params p = defaults();
    p.l1_smt = p.l2_smt = p.walk_smt = mode;
    p.l1_replacement = p.replacement = TS_REPLACEMENT_TABLE_LRU;
    p.l1_ports = p.l2_ports = p.walkers = p.miss_queue = 0;
    p.ad_update_cycles = 0;
    p.l1d_4k_entries = p.l1d_4k_ways = 8;
    p.l2_entries = 64;
    p.l2_ways = 4;
    p.walk_l3_entries = 4; /* divides by four threads too */
    return p;
}

struct Core {
    explicit Core(const ts_mmu_params &p, uint32_t threads = 2)
    {
        for (uint32_t i = 0; i < threads; i++) {
            ts_mmu_wiring wiring = mmu_fixture::x86();
            wiring.cpu = i;
            wiring.thread = i;
            wiring.threads = threads;
            wiring.first = i == 0 ? nullptr : mmu[0]->m;
            mmu.push_back(std::make_unique<Mmu>(p, wiring));
        }
        for (uint64_t page = 0; page < 256; page++)
            table.map(page * kPage, page * kPage);
    }
    ~Core()
    {
        while (!mmu.empty())
            mmu.pop_back();
    }
    struct ts_mmu_access at(uint64_t now, uint32_t thread, uint64_t page)
    {
        auto out = mmu[thread]->at(now, {0, 1, 0, table.pt, nullptr, nullptr}, page * kPage);
        EXPECT_EQ(out.pa, page * kPage);
        return out;
    }
    bool cached(uint32_t thread, uint64_t page)
    {
        return mmu[thread]->cached({0, 1, 0, table.pt, nullptr, nullptr}, page * kPage);
    }
    const struct ts_mmu_stats &stats(uint32_t thread)
    {
        return mmu[thread]->stats();
    }
    PageTable table;
    std::vector<std::unique_ptr<Mmu>> mmu;
};

/* Pages in turn, of which LRU keeps all or none. */
bool fits(uint64_t mode, uint32_t running, uint64_t pages, bool l1)
{
    ts_mmu_params p = smt(mode);
    if (!l1)
        p.l1d_4k_entries = 0;
    Core c(p);
    uint64_t now = 1;
    for (int round = 0; round < 3; round++)
        for (uint64_t page = 0; page < pages; page++)
            for (uint32_t t = 0; t < running; t++)
                now += c.at(now, t, t * 128 + page).cycles + 1;
    const struct ts_mmu_stats &s = c.stats(0);
    return (l1 ? s.l1_hits : s.l2_hits) == 2 * pages;
}

TEST(MmuSmt, PartitionHalvesAndSharingCompetes)
{
    for (bool l1 : {true, false}) {
        uint64_t all = l1 ? 8 : 64;
        EXPECT_TRUE(fits(TS_MMU_SMT_OWN, 2, all, l1));
        EXPECT_FALSE(fits(TS_MMU_SMT_OWN, 1, all + 1, l1));
        EXPECT_TRUE(fits(TS_MMU_SMT_PARTITION, 2, all / 2, l1));
        EXPECT_FALSE(fits(TS_MMU_SMT_PARTITION, 1, all / 2 + 1, l1)); /* alone too */
        EXPECT_TRUE(fits(TS_MMU_SMT_SHARE, 1, all, l1));
        EXPECT_TRUE(fits(TS_MMU_SMT_SHARE, 2, all / 2, l1));
        EXPECT_FALSE(fits(TS_MMU_SMT_SHARE, 2, all / 2 + 1, l1));
    }
}

TEST(MmuSmt, ThreadsDoNotUseEachOthersEntriesButTheSpace)
{
    for (uint64_t mode : {TS_MMU_SMT_OWN, TS_MMU_SMT_PARTITION, TS_MMU_SMT_SHARE}) {
        Core c(smt(mode));
        c.at(1, 0, 5);
        EXPECT_FALSE(c.cached(1, 5));
        auto out = c.at(1000, 1, 5);
        EXPECT_FALSE(out.from_tlb);
        EXPECT_EQ(c.stats(1).walk_cache_hits, 0u);
        EXPECT_TRUE(c.cached(0, 5));
        uint32_t seen = 0;
        for (auto &mmu : c.mmu)
            ts_mmu_for_each(
                mmu->m, [](void *user, const ts_tlb_entry *) { ++*static_cast<uint32_t *>(user); },
                &seen);
        EXPECT_EQ(seen, 4u); /* each its own two, whatever is shared */
    }
}

TEST(MmuSmt, AnInvalidationIsOfItsThreadUnlessItNamesAll)
{
    for (uint64_t mode : {TS_MMU_SMT_OWN, TS_MMU_SMT_PARTITION, TS_MMU_SMT_SHARE})
        for (bool all : {false, true})
            for (uint32_t form = 0; form < 3; form++) {
                Core c(smt(mode), 4);
                for (uint32_t t = 0; t < 3; t++)
                    c.at(1 + 1000 * t, t, 7);
                ts_tlb_inval inval = form == 0   ? ts_inval_invlpg(0, 1, 7 * kPage)
                                     : form == 1 ? ts_inval_invpcid_single(0, 1)
                                                 : ts_inval_svm_flush_all();
                inval.any_thread = all;
                c.mmu[1]->invalidate(inval, 10000);
                EXPECT_EQ(c.cached(0, 7), !all);
                EXPECT_FALSE(c.cached(1, 7));
                EXPECT_EQ(c.cached(2, 7), !all);
                uint64_t walks = c.stats(2).walk_fetches;
                c.at(20000, 2, 8);
                EXPECT_EQ(c.stats(2).walk_fetches - walks, all ? 4u : 1u);
            }
}

/* A fault drops the address for its thread. */
TEST(MmuSmt, AThreadHoldsWhatIsItsOwn)
{
    Core core(smt(TS_MMU_SMT_SHARE));
    ts_tlb_inval page = ts_inval_invlpg(0, 1, 5 * kPage);
    core.at(0, 0, 5);
    EXPECT_TRUE(ts_mmu_holds(core.mmu[0]->m, &page));
    EXPECT_FALSE(ts_mmu_holds(core.mmu[1]->m, &page));
    page.thread = 1; /* whose it is does not come from the caller */
    EXPECT_TRUE(ts_mmu_holds(core.mmu[0]->m, &page));
    page.any_thread = true;
    EXPECT_TRUE(ts_mmu_holds(core.mmu[1]->m, &page));
}

TEST(MmuSmt, AFaultLeavesTheSibling)
{
    Core c(smt(TS_MMU_SMT_SHARE));
    c.table.map(kGiB, 0, 0, false);
    ts_mmu_context ctx{0, 1, 0, c.table.pt, nullptr, nullptr};
    for (uint32_t t : {0u, 1u})
        c.mmu[t]->at(1 + t * 1000, ctx, kGiB);
    EXPECT_EQ(c.mmu[0]->at(5000, ctx, kGiB, TS_MMU_WRITE).result, TS_MMU_FAULT_STAGE1);
    EXPECT_FALSE(c.mmu[0]->cached(ctx, kGiB));
    EXPECT_TRUE(c.mmu[1]->cached(ctx, kGiB));
}

TEST(MmuSmt, PartsMustBeEqual)
{
    ts_mmu_params p = smt(TS_MMU_SMT_PARTITION);
    p.l2_entries = 6;
    p.l2_ways = 6;
    ts_mmu_wiring wiring{};
    ts_error err{};
    ts_mmu *m = nullptr;
    for (uint32_t threads : {2u, 3u, 4u}) {
        p.l1d_4k_entries = p.l1d_2m_entries = p.l1d_1g_entries = 0;
        p.l1i_4k_entries = p.l1i_2m_entries = p.l2_1g_entries = 0;
        p.walk_l1_entries = p.walk_l2_entries = p.walk_l3_entries = p.nested_entries = 0;
        wiring.threads = threads;
        ts_status status = ts_mmu_create(&m, &p, 1, &wiring, &err);
        EXPECT_EQ(status, threads == 4 ? TS_ERR_USER : TS_OK);
        if (status == TS_OK)
            ts_mmu_destroy(m);
        else
            EXPECT_NE(std::string(err.message).find("mmu.l2_entries:"), std::string::npos)
                << err.message;
    }
    wiring.threads = TS_TLB_THREADS_MAX + 1;
    EXPECT_EQ(ts_mmu_create(&m, &p, 1, &wiring, &err), TS_ERR_USER);
}

TEST(MmuSmt, TimeIsNeededWhereSomethingIsShared)
{
    ts_mmu_params p = smt(TS_MMU_SMT_OWN);
    EXPECT_FALSE(ts_mmu_needs_time(Core(p).mmu[0]->m));
    for (uint64_t ts_mmu_params::*field :
         {&ts_mmu_params::l1_smt, &ts_mmu_params::l2_smt, &ts_mmu_params::walk_smt,
          &ts_mmu_params::l2_ports, &ts_mmu_params::walkers}) {
        ts_mmu_params q = p;
        q.*field = 2;
        EXPECT_TRUE(ts_mmu_needs_time(Core(q).mmu[1]->m));
        EXPECT_FALSE(ts_mmu_needs_time(Core(q, 1).mmu[0]->m));
    }
}

TEST(MmuSmt, WalkersAndTheSecondLevelsPortsAreTheCores)
{
    constexpr uint64_t kNow = 100000;
    for (uint64_t mode : {TS_MMU_SMT_OWN, TS_MMU_SMT_PARTITION, TS_MMU_SMT_SHARE}) {
        ts_mmu_params p = smt(mode);
        p.walkers = 1;
        p.l1_ports = 1;
        p.walk_l1_entries = p.walk_l2_entries = p.walk_l3_entries = 0;
        Core c(p);
        uint64_t walk = p.walk_start_cycles + 3 * p.fetch_cycles + p.leaf_fetch_cycles;
        uint64_t whole = p.l1_hit_cycles + p.l2_hit_cycles + walk;
        /* The L1's port is shared with the L1. */
        uint64_t port = mode == TS_MMU_SMT_OWN ? 0 : 1;
        EXPECT_EQ(c.at(kNow, 0, 1).cycles, whole);
        EXPECT_EQ(c.at(kNow, 1, 1).cycles, whole + walk);
        EXPECT_EQ(c.stats(1).port_wait_cycles, port);
        EXPECT_EQ(c.stats(1).walker_wait_cycles, walk - port);
        EXPECT_EQ(c.stats(1).merged, 0u); /* another thread's walk is no use */
        EXPECT_EQ(c.at(kNow + 2 * walk - 1, 0, 2).cycles, whole + 1);
        EXPECT_EQ(c.at(kNow + 4 * walk, 1, 2).cycles, whole);
    }
    ts_mmu_params p = smt(TS_MMU_SMT_OWN);
    p.l2_ports = 1;
    p.l1d_4k_entries = 0;
    Core c(p);
    c.at(1, 0, 1);
    c.at(1000, 1, 1);
    EXPECT_EQ(c.at(kNow, 0, 1).cycles, p.l2_hit_cycles);
    EXPECT_EQ(c.at(kNow, 1, 1).cycles, p.l2_hit_cycles + 1);
}

TEST(MmuSmt, ASweepBlocksTheSibling)
{
    ts_mmu_params p = smt(TS_MMU_SMT_SHARE);
    p.sweep_sets_per_cycle = 1;
    Core c(p);
    c.at(1, 1, 3);
    uint64_t busy = c.mmu[0]->invalidate(ts_inval_tlbi_aside1(0, 9), 1000);
    EXPECT_EQ(busy, p.l2_entries / p.l2_ways);
    EXPECT_EQ(c.at(1000, 1, 3).cycles, busy);
    EXPECT_EQ(c.at(1000 + busy, 1, 3).cycles, p.l1_hit_cycles);
}

/* The victim of one thread's fill takes the other's L1 entry along. */
TEST(MmuSmt, InclusionReachesTheOwnersL1)
{
    for (uint64_t l1 : {TS_MMU_SMT_OWN, TS_MMU_SMT_SHARE}) {
        ts_mmu_params p = smt(TS_MMU_SMT_SHARE);
        p.l1_smt = l1;
        p.inclusion = TS_MMU_INCLUSIVE;
        p.l1d_4k_entries = p.l1d_4k_ways = 32;
        p.l2_entries = p.l2_ways = 16;
        Core c(p);
        c.at(1, 0, 0);
        uint64_t now = 1000;
        for (uint64_t page = 0; page < 16; page++, now += 1000) {
            EXPECT_TRUE(c.cached(0, 0));
            c.at(now, 1, page);
        }
        EXPECT_FALSE(c.cached(0, 0));
        EXPECT_TRUE(c.cached(1, 0));
    }
}

} // namespace
