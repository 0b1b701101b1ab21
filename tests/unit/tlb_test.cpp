/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tlb/tlb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
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

uint64_t key(ts_tlb_kind kind, uint16_t vmid, uint16_t asid, uint16_t ep4ta = 0, uint8_t thread = 0)
{
    return ts_tlb_key(kind, ts_tlb_space{vmid, asid, ep4ta, thread});
}

const ts_tlb_entry *look(const Tlb &tlb, uint64_t va, uint16_t asid = 1, uint16_t vmid = 1)
{
    return ts_tlb_lookup(tlb.t, key(TS_TLB_COMBINED, vmid, asid), va);
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
    EXPECT_NE(ts_tlb_lookup(tlb.t, key(TS_TLB_STAGE2_LEAF, 1, 6), kPage), nullptr);
    EXPECT_EQ(ts_tlb_lookup(tlb.t, key(TS_TLB_COMBINED, 1, 5), kPage), nullptr);
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
    EXPECT_TRUE(ts_tlb_probe(tlb.t, key(TS_TLB_COMBINED, 1, 1), 0, &out));
    EXPECT_EQ(out.target, a.target);
    EXPECT_FALSE(ts_tlb_probe(tlb.t, key(TS_TLB_COMBINED, 1, 1), 2 * kPage, &out));
    EXPECT_EQ(ts_tlb_counters(tlb.t)->lookups, 0u);
    bool did = false;
    ts_tlb_insert(tlb.t, &c, &out, &did);
    EXPECT_TRUE(did);
    EXPECT_EQ(out.tags.base, a.tags.base); /* still the oldest */
}

/* EP4TA and thread are part of the key, of global entries as well. */
TEST(Tlb, Ep4taAndThreadSeparateContexts)
{
    for (bool global : {false, true}) {
        Tlb tlb(shape(16, 4, {12}));
        ts_tlb_entry e = page(kPage, 12, 1, global);
        e.tags.ep4ta = 5;
        e.tags.thread = 1;
        ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
        auto finds = [&](uint16_t vmid, uint16_t asid, uint16_t ep4ta, uint8_t thread) {
            uint64_t k = key(TS_TLB_COMBINED, vmid, asid, ep4ta, thread);
            return ts_tlb_lookup(tlb.t, k, kPage) != nullptr;
        };
        EXPECT_TRUE(finds(1, 1, 5, 1));
        EXPECT_EQ(finds(1, 2, 5, 1), global);
        EXPECT_FALSE(finds(2, 1, 5, 1));
        EXPECT_FALSE(finds(1, 1, 0, 1));
        EXPECT_FALSE(finds(1, 1, 6, 1));
        EXPECT_FALSE(finds(1, 1, 5, 0));
        ts_tlb_inval other = ts_inval_invlpg(1, 1, kPage);
        EXPECT_EQ(ts_tlb_invalidate(tlb.t, &other, nullptr), 0u); /* thread 0's */
        other.thread = 1;
        EXPECT_EQ(ts_tlb_invalidate(tlb.t, &other, nullptr), 1u);
    }
}

TEST(Tlb, EachFieldOfTheKeyHasItsBits)
{
    const uint64_t none = key(TS_TLB_COMBINED, 0, 0);
    const uint64_t ones[] = {key(TS_TLB_STAGE2_WALK, 0, 0),
                             key(TS_TLB_COMBINED, 0xffff, 0),
                             key(TS_TLB_COMBINED, 0, 0xffff),
                             key(TS_TLB_COMBINED, 0, 0, 0xffff),
                             key(TS_TLB_COMBINED, 0, 0, 0, TS_TLB_THREADS_MAX - 1),
                             UINT64_C(1) << 2 /* global */};
    uint64_t all = none;
    for (uint64_t one : ones) {
        EXPECT_EQ(all & one, 0u);
        all |= one;
    }
    EXPECT_EQ(all, (UINT64_C(1) << 54) - 1);
    EXPECT_EQ(key(TS_TLB_STAGE2_LEAF, 3, 9), key(TS_TLB_STAGE2_LEAF, 3, 0));
}

TEST(Tlb, TellsOfAnotherEntryOfAnotherSize)
{
    Tlb tlb(shape(16, 4, {12, 21, 30}));
    uint64_t k = key(TS_TLB_COMBINED, 1, 1);
    EXPECT_FALSE(ts_tlb_probe_other(tlb.t, k, kPage, 12));
    ts_tlb_entry small = page(kPage), large = page(0, 21), global = page(0, 30, 7, true);
    ts_tlb_insert(tlb.t, &small, nullptr, nullptr);
    EXPECT_FALSE(ts_tlb_probe_other(tlb.t, k, kPage, 12));
    EXPECT_TRUE(ts_tlb_probe_other(tlb.t, k, kPage, 21));
    ts_tlb_insert(tlb.t, &large, nullptr, nullptr);
    EXPECT_TRUE(ts_tlb_probe_other(tlb.t, k, kPage, 12));
    EXPECT_FALSE(ts_tlb_probe_other(tlb.t, k, 2 * kPage, 21));
    EXPECT_FALSE(ts_tlb_probe_other(tlb.t, key(TS_TLB_COMBINED, 1, 2), kPage, 12));
    ts_tlb_insert(tlb.t, &global, nullptr, nullptr);
    EXPECT_TRUE(ts_tlb_probe_other(tlb.t, k, 2 * kPage, 21));
    EXPECT_TRUE(ts_tlb_probe_other(tlb.t, key(TS_TLB_COMBINED, 1, 2), kPage, 12));
    EXPECT_EQ(ts_tlb_counters(tlb.t)->lookups, 0u);
}

TEST(Tlb, SizesAreActiveFromTheirFirstEntryUntilTheStructureIsEmpty)
{
    Tlb tlb(shape(2, 1, {12, 21}));
    EXPECT_EQ(ts_tlb_active_sizes(tlb.t), 0u);
    ts_tlb_entry large = page(0, 21), small = page(0);
    ts_tlb_insert(tlb.t, &large, nullptr, nullptr);
    EXPECT_EQ(ts_tlb_active_sizes(tlb.t), 1u);
    ts_tlb_insert(tlb.t, &small, nullptr, nullptr); /* takes its way: there is no empty moment */
    ts_tlb_insert(tlb.t, &small, nullptr, nullptr);
    EXPECT_EQ(ts_tlb_valid_count(tlb.t), 1u);
    EXPECT_EQ(ts_tlb_active_sizes(tlb.t), 2u);
    EXPECT_TRUE(ts_tlb_remove(tlb.t, &small.tags, nullptr));
    EXPECT_EQ(ts_tlb_active_sizes(tlb.t), 0u);
}

TEST(Tlb, RemoveTakesTheOneEntryAndSaysWhatItWas)
{
    Tlb tlb(shape(16, 4, {12, 21}));
    ts_tlb_entry small = page(0), large = page(0, 21), other = page(0, 12, 2), out{};
    for (const ts_tlb_entry &e : {small, large, other})
        ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
    EXPECT_TRUE(ts_tlb_remove(tlb.t, &small.tags, &out));
    EXPECT_EQ(out.target, small.target);
    EXPECT_EQ(out.tags.size_shift, 12);
    EXPECT_FALSE(ts_tlb_remove(tlb.t, &small.tags, &out));
    EXPECT_EQ(ts_tlb_valid_count(tlb.t), 2u);
    EXPECT_EQ(look(tlb, 0)->tags.size_shift, 21);
    EXPECT_NE(look(tlb, 0, 2), nullptr);
    EXPECT_EQ(ts_tlb_counters(tlb.t)->evictions, 1u);
    EXPECT_EQ(ts_tlb_counters(tlb.t)->invalidated, 0u);
    small.tags.size_shift = 30;
    EXPECT_FALSE(ts_tlb_remove(tlb.t, &small.tags, &out));
}

TEST(Tlb, HintsLeaveOnlyTheSizesThatTheyName)
{
    /* 4K, 16K, 64K (or a run of 4K), 2M (or a run of 16K or 64K), 32M (or a run of 2M); 64 sets. */
    Tlb tlb(shape(256, 4, {12, 14, 16, 21, 25}));
    auto work = [&](bool last, uint8_t granule, uint8_t level) {
        uint32_t sets = 99;
        ts_tlb_inval inval = ts_inval_with_hint(ts_inval_tlbi_vaae1(1, 0, last, 0), granule, level);
        inval.start = 0;
        inval.length = kPage;
        ts_tlb_invalidate(tlb.t, &inval, &sets);
        return sets;
    };
    constexpr uint8_t k4K = 1 + TS_GRANULE_4K, k16K = 1 + TS_GRANULE_16K, k64K = 1 + TS_GRANULE_64K;
    EXPECT_EQ(work(true, 0, 0), 5u);
    EXPECT_EQ(work(true, 0, 1), 3u);    /* the pages */
    EXPECT_EQ(work(true, 0, 2), 2u);    /* the blocks; no 512M here */
    EXPECT_EQ(work(true, k4K, 1), 2u);  /* and the run of 16 */
    EXPECT_EQ(work(true, k16K, 1), 2u); /* and the run of 128 */
    EXPECT_EQ(work(true, k64K, 1), 2u); /* and the run of 32 */
    EXPECT_EQ(work(true, k4K, 2), 2u);
    EXPECT_EQ(work(true, k16K, 2), 1u);
    EXPECT_EQ(work(true, k64K, 2), 0u);
    EXPECT_EQ(work(true, k4K, 0), 4u);
    EXPECT_EQ(work(true, k64K, 0), 2u);
    EXPECT_EQ(work(false, k4K, 1), 4u); /* tables are of any level */
}

TEST(Tlb, AFormForAnyAddressSelectsByTag)
{
    Tlb tlb(shape(32, 4, {12, 21})); /* 8 sets */
    ts_tlb_inval inval = ts_inval_invlpg(1, 1, 5 * kLarge);
    uint32_t work = 0;
    ts_tlb_entry e = page(0), table = page(kLarge, 21);
    table.tags.kind = TS_TLB_STAGE1_WALK;
    ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &inval, &work), 0u);
    EXPECT_EQ(work, 2u);
    ts_tlb_insert(tlb.t, &table, nullptr, nullptr);
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &inval, &work), 1u);
    EXPECT_EQ(work, ts_tlb_sets(tlb.t));
    EXPECT_NE(look(tlb, 0), nullptr);
}

/* A run of leaves is larger than the leaves of its level, a piece is smaller. */
TEST(Tlb, AContiguousRunIsNoPieceAndGoesAsAWhole)
{
    Tlb tlb(shape(32, 4, {12, 14, 16, 21}));
    ts_tlb_entry run = page(0, 16), page16 = page(kLarge, 14), piece = page(20 * kLarge, 14);
    run.tags.level = 0;
    page16.tags.granule = piece.tags.granule = TS_GRANULE_16K;
    page16.tags.level = 0;
    piece.tags.level = 1; /* of the second 32M */
    ts_tlb_insert(tlb.t, &run, nullptr, nullptr);
    ts_tlb_insert(tlb.t, &page16, nullptr, nullptr);
    EXPECT_EQ(ts_tlb_piece_count(tlb.t), 0u);
    ts_tlb_insert(tlb.t, &piece, nullptr, nullptr);
    EXPECT_EQ(ts_tlb_piece_count(tlb.t), 1u);
    ts_tlb_inval last_of_run = ts_inval_invlpg(1, 1, 15 * kPage);
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &last_of_run, nullptr), 1u);
    ts_tlb_inval before = ts_inval_invlpg(1, 1, 16 * kLarge - kPage);
    ts_tlb_inval of_block = ts_inval_invlpg(1, 1, 16 * kLarge);
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &before, nullptr), 0u);
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &of_block, nullptr), 1u);
    EXPECT_NE(look(tlb, kLarge), nullptr);
    EXPECT_EQ(ts_tlb_piece_count(tlb.t), 0u);
}

/* Numbers of address spaces are used up by flushes and come back. */
TEST(Tlb, FlushesOfEverythingGoOnForEver)
{
    Tlb tlb(shape(16, 4, {12}));
    ts_tlb_inval all = ts_inval_svm_flush_all();
    for (uint64_t i = 0; i < 20000; i++) {
        auto asid = static_cast<uint16_t>(i % 3000);
        ts_tlb_entry e = page(i % 64 * kPage, 12, asid), next = page(0, 12, asid);
        ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
        ts_tlb_insert(tlb.t, &next, nullptr, nullptr);
        ASSERT_NE(look(tlb, e.tags.base, asid), nullptr);
        uint32_t work = 99, expected = 1 + (e.tags.base != 0);
        ASSERT_EQ(ts_tlb_invalidate(tlb.t, &all, &work), expected);
        ASSERT_EQ(work, 0u);
        ASSERT_EQ(look(tlb, e.tags.base, asid), nullptr);
        ASSERT_EQ(ts_tlb_valid_count(tlb.t), 0u);
    }
    EXPECT_EQ(ts_tlb_counters(tlb.t)->evictions, 0u);
}

/* One thread's flush of a structure that others use is no flash clear. */
TEST(Tlb, AnotherThreadsEntriesStay)
{
    Tlb tlb(shape(16, 4, {12}));
    ts_tlb_inval all = ts_inval_svm_flush_all();
    all.any_thread = false;
    ts_tlb_entry first = page(0), second = page(0);
    second.tags.thread = 1;
    ts_tlb_insert(tlb.t, &first, nullptr, nullptr);
    ts_tlb_insert(tlb.t, &second, nullptr, nullptr);
    uint32_t work = 0;
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &all, &work), 1u);
    EXPECT_EQ(work, ts_tlb_sets(tlb.t));
    EXPECT_EQ(look(tlb, 0), nullptr);
    EXPECT_NE(ts_tlb_lookup(tlb.t, key(TS_TLB_COMBINED, 1, 1, 0, 1), 0), nullptr);
    all.any_thread = true;
    EXPECT_EQ(ts_tlb_invalidate(tlb.t, &all, &work), 1u);
    EXPECT_EQ(work, 0u);
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
    e = page(kPage);
    e.tags.thread = TS_TLB_THREADS_MAX;
    EXPECT_DEATH(ts_tlb_insert(tlb.t, &e, nullptr, nullptr), "thread");
}

/* Pages of a trace: the size's log2 and the number. */
using Trace = std::vector<std::pair<uint8_t, uint64_t>>;

Trace trace(const std::string &kind)
{
    std::mt19937_64 random(kind.size());
    Trace t;
    for (uint64_t i = 0; i < 6000; i++) {
        if (kind == "random") {
            t.emplace_back(12, random() % 60);
        } else if (kind == "zipf") { /* page k about as 1/k */
            uint64_t span = UINT64_C(1) << random() % 6;
            t.emplace_back(12, span - 1 + random() % span);
        } else if (kind == "loops") { /* of growing length; LRU's worst */
            t.emplace_back(12, i % (5 + i / 200));
        } else { /* both sizes at other addresses */
            bool large = random() % 3 == 0;
            t.emplace_back(large ? 21 : 12, large ? 8 + random() % 20 : random() % 40);
        }
    }
    return t;
}

/* Mattson et al. 1970: a fully associative LRU structure of n entries misses exactly the accesses
 * with n or more other pages since the last one to the same page, and the first ones. */
TEST(TlbReuseDistance, FullyAssociativeLruMissesByStackDistance)
{
    constexpr uint32_t largest = 72;
    for (const char *kind : {"random", "zipf", "loops", "mixed sizes"}) {
        Trace pages = trace(kind), stack; /* most recent first */
        std::vector<uint64_t> at(largest + 1);
        uint64_t beyond = 0;
        for (const auto &p : pages) {
            auto found = std::find(stack.begin(), stack.end(), p);
            auto distance = static_cast<uint64_t>(found - stack.begin());
            if (found == stack.end() || distance > largest)
                beyond++;
            else
                at[distance]++;
            if (found != stack.end())
                stack.erase(found);
            stack.insert(stack.begin(), p);
        }
        uint64_t last_misses = pages.size() + 1;
        for (uint32_t entries = 1; entries <= largest; entries++) {
            uint64_t expected = beyond;
            for (uint32_t d = entries; d <= largest; d++)
                expected += at[d];
            Tlb tlb(shape(entries, entries, {12, 21}));
            for (const auto &p : pages) {
                uint64_t va = p.second << p.first;
                if (look(tlb, va) != nullptr)
                    continue;
                ts_tlb_entry e = page(va, p.first);
                ts_tlb_insert(tlb.t, &e, nullptr, nullptr);
            }
            EXPECT_EQ(ts_tlb_counters(tlb.t)->misses, expected) << kind << ", " << entries;
            EXPECT_LE(expected, last_misses);
            last_misses = expected;
        }
        EXPECT_EQ(last_misses, stack.size()) << kind << ": everything fits in the end";
    }
}

} // namespace
