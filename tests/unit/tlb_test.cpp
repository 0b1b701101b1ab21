/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/tlb.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace
{

constexpr uint64_t kPage = 4096, kLarge = UINT64_C(1) << 21;

ts_tlb_geometry shape(uint32_t entries, uint32_t ways, std::initializer_list<uint8_t> sizes,
                      const char *policy = "lru")
{
    ts_tlb_geometry g{};
    g.entries = entries;
    g.ways = ways;
    for (uint8_t size : sizes)
        g.size_shift[g.nsizes++] = size;
    g.replacement = ts_replacement_find(policy);
    return g;
}

struct Tlb {
    explicit Tlb(const ts_tlb_geometry &g, uint64_t seed = 1)
    {
        ts_error err{};
        EXPECT_EQ(ts_tlb_create(&t, &g, seed, 0, &err), TS_OK) << err.message;
    }
    ~Tlb()
    {
        ts_tlb_destroy(t);
    }
    Tlb(const Tlb &) = delete;
    ts_tlb *t = nullptr;
};

ts_tlb_entry page(uint64_t base, uint8_t shift = 12, uint16_t asid = 1, bool global = false,
                  uint16_t vmid = 1)
{
    ts_tlb_entry e{};
    e.tags.kind = TS_TLB_COMBINED;
    e.tags.vmid = vmid;
    e.tags.asid = asid;
    e.tags.global = global;
    e.tags.size_shift = shift;
    e.tags.level = static_cast<uint8_t>((shift - 12) / 9);
    e.tags.base = base;
    e.target = base + (UINT64_C(1) << 40);
    return e;
}

const ts_tlb_entry *look(const Tlb &tlb, uint64_t va, uint16_t asid = 1, uint16_t vmid = 1)
{
    return ts_tlb_lookup(tlb.t, TS_TLB_COMBINED, vmid, asid, va);
}

std::string refusal(const ts_tlb_geometry &g)
{
    ts_tlb *t = nullptr;
    ts_error err{};
    enum ts_status status = ts_tlb_create(&t, &g, 1, 0, &err);
    EXPECT_EQ(status, TS_ERR_USER);
    return status == TS_OK ? "" : err.message;
}

TEST(Tlb, RefusesImpossibleGeometriesByName)
{
    EXPECT_NE(refusal(shape(64, 5, {12})).find("divide"), std::string::npos);
    EXPECT_NE(refusal(shape(64, 0, {12})).find("divide"), std::string::npos);
    EXPECT_NE(refusal(shape(48, 4, {12})).find("12 sets"), std::string::npos);
    EXPECT_NE(refusal(shape(1 << 17, 8, {12})).find("at most"), std::string::npos);
    EXPECT_NE(refusal(shape(64, 4, {})).find("page sizes"), std::string::npos);
    EXPECT_NE(refusal(shape(64, 4, {21, 12})).find("ascend"), std::string::npos);
    EXPECT_NE(refusal(shape(64, 4, {11})).find("2^12"), std::string::npos);
    EXPECT_NE(refusal(shape(64, 4, {12}, "plru")).find("replacement"), std::string::npos);
}

TEST(Tlb, WithoutEntriesEveryLookUpMisses)
{
    ts_tlb_geometry none{};
    Tlb tlb(none);
    ts_tlb_entry e = page(kPage);
    EXPECT_FALSE(ts_tlb_insert(tlb.t, &e, nullptr, nullptr));
    EXPECT_EQ(look(tlb, kPage), nullptr);
    ts_tlb_inval all = ts_inval_invept_global();
    uint32_t work = 99;
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &all, &work), 0u);
    EXPECT_EQ(work, 0u);
    EXPECT_EQ(ts_tlb_counters(tlb.t)->misses, 1u);
    EXPECT_EQ(ts_tlb_sets(tlb.t), 0u);
}

TEST(Tlb, ReachesExactlyToTheEndOfThePage)
{
    Tlb tlb(shape(16, 4, {12, 21}));
    ts_tlb_entry small = page(5 * kPage), large = page(8 * kLarge, 21);
    ASSERT_TRUE(ts_tlb_insert(tlb.t, &small, nullptr, nullptr));
    ASSERT_TRUE(ts_tlb_insert(tlb.t, &large, nullptr, nullptr));
    EXPECT_EQ(look(tlb, 5 * kPage - 1), nullptr);
    EXPECT_NE(look(tlb, 5 * kPage), nullptr);
    EXPECT_NE(look(tlb, 6 * kPage - 1), nullptr);
    EXPECT_EQ(look(tlb, 6 * kPage), nullptr);
    EXPECT_EQ(look(tlb, 8 * kLarge - 1), nullptr);
    EXPECT_EQ(look(tlb, 8 * kLarge)->tags.size_shift, 21);
    EXPECT_NE(look(tlb, 9 * kLarge - 1), nullptr);
    EXPECT_EQ(look(tlb, 9 * kLarge), nullptr);
}

TEST(Tlb, TagsSeparateContextsAndGlobalsJoinThem)
{
    Tlb tlb(shape(16, 4, {12}));
    ts_tlb_entry own = page(kPage, 12, 1), global = page(2 * kPage, 12, 1, true);
    ts_tlb_insert(tlb.t, &own, nullptr, nullptr);
    ts_tlb_insert(tlb.t, &global, nullptr, nullptr);
    EXPECT_NE(look(tlb, kPage, 1), nullptr);
    EXPECT_EQ(look(tlb, kPage, 2), nullptr);
    EXPECT_EQ(look(tlb, kPage, 1, 2), nullptr);
    EXPECT_NE(look(tlb, 2 * kPage, 2), nullptr);
    EXPECT_EQ(look(tlb, 2 * kPage, 2, 2), nullptr);
}

TEST(Tlb, SmallestPageThenOwnEntryWins)
{
    Tlb tlb(shape(16, 4, {12, 21}));
    ts_tlb_entry large = page(0, 21), global = page(kPage, 12, 9, true), own = page(kPage);
    ts_tlb_insert(tlb.t, &large, nullptr, nullptr);
    EXPECT_EQ(look(tlb, kPage)->tags.size_shift, 21);
    ts_tlb_insert(tlb.t, &global, nullptr, nullptr);
    EXPECT_TRUE(look(tlb, kPage)->tags.global);
    ts_tlb_insert(tlb.t, &own, nullptr, nullptr);
    EXPECT_FALSE(look(tlb, kPage)->tags.global);
    EXPECT_EQ(look(tlb, kPage)->tags.size_shift, 12);
    EXPECT_TRUE(look(tlb, kPage, 2)->tags.global);
}

TEST(Tlb, StageTwoEntriesHaveNoAsid)
{
    Tlb tlb(shape(16, 4, {12}));
    ts_tlb_entry e = page(kPage, 12, 5);
    e.tags.kind = TS_TLB_STAGE2_LEAF;
    ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
    EXPECT_NE(ts_tlb_lookup(tlb.t, TS_TLB_STAGE2_LEAF, 1, 6, kPage), nullptr);
    EXPECT_EQ(ts_tlb_lookup(tlb.t, TS_TLB_COMBINED, 1, 5, kPage), nullptr);
}

TEST(Tlb, TheSameKeyIsReplacedInPlace)
{
    Tlb tlb(shape(4, 4, {12}));
    ts_tlb_entry e = page(kPage), evicted{};
    bool did = true;
    ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
    e.target += kPage;
    e.writable = true;
    ts_tlb_insert(tlb.t, &e, &evicted, &did);
    EXPECT_FALSE(did);
    EXPECT_EQ(ts_tlb_valid_count(tlb.t), 1u);
    EXPECT_EQ(look(tlb, kPage)->target, e.target);
    EXPECT_TRUE(look(tlb, kPage)->writable);
}

TEST(Tlb, EvictsOnlyFromAFullSetAndSaysWhat)
{
    Tlb tlb(shape(8, 2, {12})); /* 4 sets */
    ts_tlb_entry evicted{};
    bool did = true;
    for (uint64_t i = 0; i < 2; i++) {
        ts_tlb_entry e = page((1 + 4 * i) * kPage);
        ts_tlb_insert(tlb.t, &e, &evicted, &did);
        EXPECT_FALSE(did);
    }
    look(tlb, 1 * kPage); /* leaves page 5 as the oldest */
    ts_tlb_entry other = page(2 * kPage), third = page(9 * kPage);
    ts_tlb_insert(tlb.t, &other, &evicted, &did);
    EXPECT_FALSE(did);
    ts_tlb_insert(tlb.t, &third, &evicted, &did);
    EXPECT_TRUE(did);
    EXPECT_EQ(evicted.tags.base, 5 * kPage);
    EXPECT_EQ(ts_tlb_valid_count(tlb.t), 3u);
}

/* After a flush by tag the ways are empty for every purpose, though nothing was written. */
TEST(Tlb, FlushedWaysAreTakenBeforeAnythingIsEvicted)
{
    Tlb tlb(shape(4, 4, {12}));
    for (uint64_t i = 0; i < 4; i++) {
        ts_tlb_entry e = page(i * kPage, 12, i < 2 ? uint16_t{1} : uint16_t{2});
        ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
    }
    ts_tlb_inval inval = ts_inval_tlbi_aside1(1, 1);
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &inval, nullptr), 2u);
    EXPECT_EQ(ts_tlb_valid_count(tlb.t), 2u);
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &inval, nullptr), 0u);
    for (uint64_t i = 10; i < 12; i++) {
        bool did = true;
        ts_tlb_entry e = page(i * kPage);
        ts_tlb_insert(tlb.t, &e, nullptr, &did);
        EXPECT_FALSE(did);
    }
    /* The entries of before do not come back with their ASID. */
    EXPECT_EQ(look(tlb, 0), nullptr);
    EXPECT_EQ(look(tlb, kPage), nullptr);
    EXPECT_NE(look(tlb, 10 * kPage), nullptr);
    EXPECT_NE(look(tlb, 2 * kPage, 2), nullptr);
    EXPECT_EQ(ts_tlb_counters(tlb.t)->evictions, 0u);
}

TEST(Tlb, WorkIsProbesForAddressesAndSetsForTags)
{
    Tlb tlb(shape(32, 4, {12, 21})); /* 8 sets */
    auto work = [&](const ts_tlb_inval &inval) {
        uint32_t sets = 99;
        ts_tlb_invalidate(tlb.t, &inval, &sets);
        return sets;
    };
    constexpr uint32_t sizes = 2, sets = 8;
    EXPECT_EQ(work(ts_inval_invlpg(1, 1, kPage)), sizes);
    EXPECT_EQ(work(ts_inval_tlbi_vae1(1, 1, kPage, true, 1)), 1u); /* the level is known */
    EXPECT_EQ(work(ts_inval_tlbi_vae1(1, 1, kPage, true, 3)), 0u); /* no size of that level */
    EXPECT_EQ(work(ts_inval_tlbi_vae1(1, 1, kPage, false, 1)), sizes);
    EXPECT_EQ(work(ts_inval_tlbi_rvae1(1, 1, 0, 4 * kPage, true)), 4u + 1u);
    EXPECT_EQ(work(ts_inval_tlbi_rvae1(1, 1, 0, 7 * kPage, true)), sets);
    EXPECT_EQ(work(ts_inval_tlbi_rvae1(1, 1, 0, 4096 * kPage, true)), sets);
    EXPECT_EQ(work(ts_inval_tlbi_aside1(1, 1)), sets);
    EXPECT_EQ(work(ts_inval_tlbi_vmalle1(1)), sets);
    ts_tlb_inval everything = ts_inval_tlbi_vmalls12e1(0);
    everything.any_vmid = true;
    EXPECT_EQ(work(everything), 0u);
}

TEST(Tlb, APageInPiecesGoesAsAWholeAndCostsASweep)
{
    Tlb tlb(shape(32, 4, {12, 21}));
    for (uint64_t i = 0; i < 8; i++) {
        ts_tlb_entry e = page(kLarge + i * kPage);
        e.tags.level = 1;
        ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
    }
    ts_tlb_entry other = page(3 * kLarge);
    ts_tlb_insert(tlb.t, &other, nullptr, nullptr);
    EXPECT_EQ(ts_tlb_piece_count(tlb.t), 8u);
    ts_tlb_inval inval = ts_inval_invlpg(1, 1, kLarge + 300 * kPage);
    uint32_t work = 0;
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &inval, &work), 8u);
    EXPECT_EQ(work, ts_tlb_sets(tlb.t));
    EXPECT_EQ(ts_tlb_piece_count(tlb.t), 0u);
    EXPECT_EQ(ts_tlb_valid_count(tlb.t), 1u);
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &inval, &work), 0u);
    EXPECT_EQ(work, 2u);
}

TEST(Tlb, ProbeLeavesNoTrace)
{
    Tlb tlb(shape(2, 2, {12}));
    ts_tlb_entry a = page(0), b = page(kPage), c = page(2 * kPage), out{};
    ts_tlb_insert(tlb.t, &a, nullptr, nullptr);
    ts_tlb_insert(tlb.t, &b, nullptr, nullptr);
    EXPECT_TRUE(ts_tlb_probe(tlb.t, TS_TLB_COMBINED, 1, 1, 0, &out));
    EXPECT_EQ(out.target, a.target);
    EXPECT_FALSE(ts_tlb_probe(tlb.t, TS_TLB_COMBINED, 1, 1, 2 * kPage, &out));
    EXPECT_EQ(ts_tlb_counters(tlb.t)->lookups, 0u);
    bool did = false;
    ts_tlb_insert(tlb.t, &c, &out, &did);
    EXPECT_TRUE(did);
    EXPECT_EQ(out.tags.base, a.tags.base); /* still the oldest */
}

TEST(Tlb, RandomReplacementIsTheSeedsAlone)
{
    std::vector<uint64_t> order[3];
    const uint64_t seeds[3] = {5, 5, 6};
    for (int run = 0; run < 3; run++) {
        Tlb tlb(shape(16, 16, {12}, "random"), seeds[run]);
        for (uint64_t i = 0; i < 200; i++) {
            ts_tlb_entry e = page(i * kPage), evicted{};
            bool did = false;
            ts_tlb_insert(tlb.t, &e, &evicted, &did);
            if (did)
                order[run].push_back(evicted.tags.base);
        }
    }
    EXPECT_EQ(order[0].size(), 200u - 16u);
    EXPECT_EQ(order[0], order[1]);
    EXPECT_NE(order[0], order[2]);
}

TEST(TlbDeathTest, AddressesAreCanonical)
{
    Tlb tlb(shape(16, 4, {12}));
    EXPECT_DEATH(look(tlb, UINT64_C(1) << 60), "canonical");
    ts_tlb_entry e = page(kPage + 1);
    EXPECT_DEATH(ts_tlb_insert(tlb.t, &e, nullptr, nullptr), "base");
}

} // namespace
