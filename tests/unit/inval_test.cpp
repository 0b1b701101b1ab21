/* SPDX-License-Identifier: Apache-2.0 */
/* Every builder against every entry of a small world. What is expected is said a second time here,
 * in the words of the manuals, without the predicate's fields. */
#include "models/tlb/inval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace
{

constexpr uint16_t kVm = 1, kAsid = 5, kEp4ta = 7;
constexpr uint64_t kGiB = UINT64_C(1) << 30, kMiB = UINT64_C(1) << 20, kPage = 4096;
constexpr uint64_t kVa = 3 * kGiB + 4 * kMiB + 7 * kPage + 0x123; /* what is flushed */
constexpr uint64_t kNear = kVa + kPage;                           /* another page of the same 2M */
constexpr uint64_t kFar = kVa + 600 * kGiB; /* shares no table with it but the top one */

struct Entry {
    ts_tlb_tags t;
    bool leaf() const
    {
        return t.kind == TS_TLB_COMBINED || t.kind == TS_TLB_STAGE2_LEAF;
    }
    bool stage1() const
    {
        return t.kind == TS_TLB_COMBINED || t.kind == TS_TLB_STAGE1_WALK;
    }
    bool stage2() const
    {
        return !stage1();
    }
    bool globalLeaf() const
    {
        return t.kind == TS_TLB_COMBINED && t.global;
    }
    bool walk() const
    {
        return !leaf();
    }
    bool vm() const
    {
        return t.vmid == kVm;
    }
    bool own() const /* of the PCID or ASID, and not global */
    {
        return t.asid == kAsid && !globalLeaf();
    }
    /* The page (or the reach of the table descriptor) holds the byte. */
    bool covers(uint64_t address) const
    {
        uint32_t shift =
            leaf() ? std::max<uint32_t>(t.size_shift, 12u + 9u * t.level) : t.size_shift;
        return t.base >> shift == address >> shift;
    }
    std::string name() const
    {
        return "kind " + std::to_string(t.kind) + " vmid " + std::to_string(t.vmid) + " asid " +
               std::to_string(t.asid) + (t.global ? " global" : "") + " ep4ta " +
               std::to_string(t.ep4ta) + " size 2^" + std::to_string(t.size_shift) + " level " +
               std::to_string(t.level) + " base " + std::to_string(t.base);
    }
};

std::vector<Entry> world()
{
    std::vector<Entry> all;
    for (int kind = 0; kind < TS_TLB_KINDS; kind++)
        for (uint32_t owner = 0; owner < 9; owner++)
            for (uint16_t asid : {kAsid, uint16_t{0}})
                for (bool global : {false, true})
                    for (uint64_t address : {kVa, kNear, kFar})
                        for (uint8_t size = 0; size < 4; size++)
                            for (uint8_t level = size; level < 4; level++) {
                                Entry e{};
                                e.t.kind = static_cast<ts_tlb_kind>(kind);
                                e.t.vmid = static_cast<uint16_t>(owner % 3);
                                e.t.ep4ta = static_cast<uint16_t>(owner / 3 * kEp4ta);
                                e.t.asid = asid;
                                e.t.global = global;
                                e.t.size_shift = static_cast<uint8_t>(12 + 9 * size);
                                e.t.level = level;
                                e.t.base = address >> e.t.size_shift << e.t.size_shift;
                                /* Walk entries come whole; leaves of 512G do not exist. */
                                if (e.walk() ? level != size || size == 0 : level == 3)
                                    continue;
                                all.push_back(e);
                            }
    return all;
}

void expectDrops(const ts_tlb_inval &inval, const std::function<bool(const Entry &)> &dropped)
{
    size_t hits = 0, n = 0;
    for (const Entry &e : world()) {
        EXPECT_EQ(ts_tlb_inval_matches(&inval, &e.t), dropped(e)) << e.name();
        hits += dropped(e);
        n++;
    }
    EXPECT_GT(hits, 0u);
    EXPECT_LT(hits, n);
}

TEST(Inval, InvlpgTakesThePageGlobalsAndEveryTableOfThePcid)
{
    expectDrops(ts_inval_invlpg(kVm, kAsid, kVa), [](const Entry &e) {
        if (!e.vm() || e.stage2())
            return false;
        if (e.walk())
            return e.t.asid == kAsid; /* whatever the address */
        return e.covers(kVa) && (e.t.global || e.t.asid == kAsid);
    });
}

TEST(Inval, MovCr3KeepsGlobals)
{
    expectDrops(ts_inval_mov_cr3(kVm, kAsid), [](const Entry &e) {
        return e.vm() && e.stage1() && e.t.asid == kAsid && !e.globalLeaf();
    });
}

TEST(Inval, InvpcidAddressKeepsGlobalsAndOtherTables)
{
    expectDrops(ts_inval_invpcid_addr(kVm, kAsid, kVa), [](const Entry &e) {
        return e.vm() && e.stage1() && e.t.asid == kAsid && !e.globalLeaf() && e.covers(kVa);
    });
}

TEST(Inval, InvpcidSingleKeepsGlobals)
{
    expectDrops(ts_inval_invpcid_single(kVm, kAsid), [](const Entry &e) {
        return e.vm() && e.stage1() && e.t.asid == kAsid && !e.globalLeaf();
    });
}

TEST(Inval, InvpcidAllWithAndWithoutGlobals)
{
    expectDrops(ts_inval_invpcid_all(kVm, true),
                [](const Entry &e) { return e.vm() && e.stage1(); });
    expectDrops(ts_inval_invpcid_all(kVm, false),
                [](const Entry &e) { return e.vm() && e.stage1() && !e.globalLeaf(); });
}

TEST(Inval, InvvpidSparesGuestPhysicalMappings)
{
    expectDrops(ts_inval_invvpid_address(kVm, kVa),
                [](const Entry &e) { return e.vm() && e.stage1() && e.covers(kVa); });
    expectDrops(ts_inval_invvpid_single(kVm), [](const Entry &e) { return e.vm() && e.stage1(); });
    expectDrops(ts_inval_invvpid_keep_global(kVm),
                [](const Entry &e) { return e.vm() && e.stage1() && !e.globalLeaf(); });
    expectDrops(ts_inval_invvpid_all(), [](const Entry &e) { return e.t.vmid != 0 && e.stage1(); });
}

TEST(Inval, MovCr3WithoutPcidsIsThatOfPcid0)
{
    expectDrops(ts_inval_mov_cr3_nopcid(kVm), [](const Entry &e) {
        return e.vm() && e.stage1() && e.t.asid == 0 && !e.globalLeaf();
    });
}

TEST(Inval, MovCr4TakesAllOrThePcidWithGlobals)
{
    expectDrops(ts_inval_mov_cr4_all(kVm), [](const Entry &e) { return e.vm() && e.stage1(); });
    expectDrops(ts_inval_mov_cr4_pcid(kVm, kAsid), [](const Entry &e) {
        return e.vm() && e.stage1() && (e.t.asid == kAsid || e.globalLeaf());
    });
}

TEST(Inval, NothingTakesNothing)
{
    ts_tlb_inval inval = ts_inval_nothing();
    for (const Entry &e : world())
        EXPECT_FALSE(ts_tlb_inval_matches(&inval, &e.t)) << e.name();
}

TEST(Inval, InveptGoesByEp4taAndSparesLinearMappings)
{
    expectDrops(ts_inval_invept_global(), [](const Entry &e) { return e.t.ep4ta != 0; });
    expectDrops(ts_inval_invept_single(kEp4ta), [](const Entry &e) { return e.t.ep4ta == kEp4ta; });
}

TEST(InvalDeathTest, InveptNeedsAnEp4ta)
{
    EXPECT_DEATH(ts_inval_invept_single(0), "ep4ta");
}

TEST(Inval, VmTransitionsWithoutVpidTakeVpid0AndSpareGuestPhysicalMappings)
{
    expectDrops(ts_inval_vm_transition(),
                [](const Entry &e) { return e.t.vmid == 0 && e.stage1(); });
}

TEST(Inval, SvmFlushesByAsidNestedTranslationsToo)
{
    ts_tlb_inval all = ts_inval_svm_flush_all();
    for (const Entry &e : world())
        EXPECT_TRUE(ts_tlb_inval_matches(&all, &e.t)) << e.name();
    expectDrops(ts_inval_svm_flush_asid(kVm), [](const Entry &e) { return e.vm(); });
    expectDrops(ts_inval_svm_flush_asid_nonglobal(kVm),
                [](const Entry &e) { return e.vm() && !e.globalLeaf(); });
    expectDrops(ts_inval_invlpga(kVm, kVa),
                [](const Entry &e) { return e.vm() && e.stage1() && e.covers(kVa); });
}

/* Each flag alone, and the forms that Linux uses. */
TEST(Inval, InvlpgbComparesWhatItsFlagsSay)
{
    ts_invlpgb op{};
    op.vmid = kVm;
    op.pcid = kAsid;
    op.pages = 1;
    op.va = kVa;
    auto stage1 = [](const Entry &e) { return e.stage1() && !e.globalLeaf(); };
    expectDrops(ts_inval_invlpgb(&op), stage1);
    op.asid_valid = true;
    expectDrops(ts_inval_invlpgb(&op), [&](const Entry &e) { return stage1(e) && e.vm(); });
    op.pcid_valid = true;
    expectDrops(ts_inval_invlpgb(&op),
                [](const Entry &e) { return e.stage1() && e.vm() && e.own(); });
    op.va_valid = true;
    expectDrops(ts_inval_invlpgb(&op),
                [](const Entry &e) { return e.stage1() && e.vm() && e.own() && e.covers(kVa); });
    op.final_only = true;
    expectDrops(ts_inval_invlpgb(&op), [](const Entry &e) {
        return e.t.kind == TS_TLB_COMBINED && e.vm() && e.own() && e.covers(kVa);
    });
    op.include_global = true;
    expectDrops(ts_inval_invlpgb(&op), [](const Entry &e) {
        return e.t.kind == TS_TLB_COMBINED && e.vm() && (e.own() || e.t.global) && e.covers(kVa);
    });
    op.include_nested = true;
    expectDrops(ts_inval_invlpgb(&op), [](const Entry &e) {
        return e.leaf() && e.vm() && (e.stage2() || ((e.own() || e.t.global) && e.covers(kVa)));
    });
    op.pcid_valid = op.va_valid = op.final_only = false;
    expectDrops(ts_inval_invlpgb(&op), [](const Entry &e) { return e.vm(); });
}

ts_tlb_tags page(uint64_t base, uint8_t shift)
{
    ts_tlb_tags t{};
    t.kind = TS_TLB_COMBINED;
    t.vmid = kVm;
    t.asid = kAsid;
    t.size_shift = shift;
    t.level = static_cast<uint8_t>((shift - 12) / 9);
    t.base = base;
    return t;
}

TEST(Inval, InvlpgbCountsPagesOrStepsOf2M)
{
    ts_invlpgb op{};
    op.va_valid = op.asid_valid = true;
    op.vmid = kVm;
    op.va = 16 * kMiB;
    for (uint32_t pages : {1u, 2u, 8u, 65536u})
        for (bool stride : {false, true}) {
            op.pages = pages;
            op.stride_2m = stride;
            ts_tlb_inval inval = ts_inval_invlpgb(&op);
            uint64_t step = stride ? 2 * kMiB : kPage;
            uint8_t shift = stride ? 21 : 12;
            for (uint64_t at : {uint64_t{0}, pages / 2 * step, (pages - 1) * step}) {
                ts_tlb_tags t = page(op.va + at, shift);
                EXPECT_TRUE(ts_tlb_inval_matches(&inval, &t)) << pages << " " << at;
            }
            ts_tlb_tags after = page(op.va + pages * step, shift);
            ts_tlb_tags before = page(op.va - step, shift);
            EXPECT_FALSE(ts_tlb_inval_matches(&inval, &after)) << pages;
            EXPECT_FALSE(ts_tlb_inval_matches(&inval, &before)) << pages;
        }
}

TEST(Inval, PageFaultTakesWhatWouldBeUsedAgain)
{
    expectDrops(ts_inval_page_fault(kVm, kAsid, kVa), [](const Entry &e) {
        return e.vm() && e.stage1() && e.covers(kVa) && (e.globalLeaf() || e.t.asid == kAsid);
    });
    /* By EP4TA alone on Intel, by VMID elsewhere. */
    expectDrops(ts_inval_stage2_fault(kVm, kEp4ta, kVa), [](const Entry &e) {
        return e.t.vmid == 0 && e.t.ep4ta == kEp4ta && e.stage2() && e.covers(kVa);
    });
    expectDrops(ts_inval_stage2_fault(kVm, 0, kVa), [](const Entry &e) {
        return e.vm() && e.t.ep4ta == 0 && e.stage2() && e.covers(kVa);
    });
}

TEST(Inval, VmalleTakesStageOneOfTheVm)
{
    expectDrops(ts_inval_tlbi_vmalle1(kVm), [](const Entry &e) { return e.vm() && e.stage1(); });
}

TEST(Inval, Vmalls12TakesAllFourKindsOfTheVm)
{
    expectDrops(ts_inval_tlbi_vmalls12e1(kVm), [](const Entry &e) { return e.vm(); });
}

TEST(Inval, AlleTakesEveryVmOrTheHost)
{
    expectDrops(ts_inval_tlbi_alle1(), [](const Entry &e) { return e.t.vmid != 0; });
    expectDrops(ts_inval_tlbi_alle2(), [](const Entry &e) { return e.t.vmid == 0 && e.stage1(); });
}

TEST(Inval, AsideSparesGlobalLeavesButNotTheTablesOfTheAsid)
{
    expectDrops(ts_inval_tlbi_aside1(kVm, kAsid), [](const Entry &e) {
        return e.vm() && e.stage1() && e.t.asid == kAsid && (e.walk() || !e.t.global);
    });
}

TEST(Inval, VaeTakesLeavesOfTheAsidOrGlobalAndTablesOfTheAsid)
{
    expectDrops(ts_inval_tlbi_vae1(kVm, kAsid, kVa, false, 0), [](const Entry &e) {
        return e.vm() && e.stage1() && e.covers(kVa) && (e.t.asid == kAsid || e.globalLeaf());
    });
}

TEST(Inval, ValeTakesLeavesOnly)
{
    expectDrops(ts_inval_tlbi_vae1(kVm, kAsid, kVa, true, 0), [](const Entry &e) {
        return e.vm() && e.t.kind == TS_TLB_COMBINED && e.covers(kVa) &&
               (e.t.asid == kAsid || e.t.global);
    });
}

TEST(Inval, AWrongLevelHintSparesTheLeafAndTheTablesThatCannotHaveIt)
{
    for (uint8_t level = 0; level < 3; level++)
        for (bool last : {false, true})
            expectDrops(ts_inval_tlbi_vae1(kVm, kAsid, kVa, last, static_cast<uint8_t>(level + 1)),
                        [level, last](const Entry &e) {
                            if (!e.vm() || !e.stage1() || !e.covers(kVa))
                                return false;
                            if (e.walk())
                                return !last && e.t.asid == kAsid && e.t.level > level;
                            return e.t.level == level && (e.t.asid == kAsid || e.t.global);
                        });
}

TEST(Inval, VaaeTakesEveryAsid)
{
    expectDrops(ts_inval_tlbi_vaae1(kVm, kVa, false, 0),
                [](const Entry &e) { return e.vm() && e.stage1() && e.covers(kVa); });
    expectDrops(ts_inval_tlbi_rvaae1(kVm, kVa & ~(kPage - 1), kPage, true), [](const Entry &e) {
        return e.vm() && e.t.kind == TS_TLB_COMBINED && e.covers(kVa);
    });
}

TEST(Inval, Ipas2SparesCombinedEntries)
{
    expectDrops(ts_inval_tlbi_ipas2e1(kVm, kVa, false, 0),
                [](const Entry &e) { return e.vm() && e.stage2() && e.covers(kVa); });
    expectDrops(ts_inval_tlbi_ipas2e1(kVm, kVa, true, 0), [](const Entry &e) {
        return e.vm() && e.t.kind == TS_TLB_STAGE2_LEAF && e.covers(kVa);
    });
    expectDrops(ts_inval_tlbi_ripas2e1(kVm, kVa & ~(kPage - 1), kPage, false),
                [](const Entry &e) { return e.vm() && e.stage2() && e.covers(kVa); });
}

TEST(Inval, RangesMatchByOverlapWithBothEndsExact)
{
    constexpr uint64_t start = 16 * kMiB + 3 * kPage, length = 5 * kPage;
    ts_tlb_inval inval = ts_inval_tlbi_rvae1(kVm, kAsid, start, length, true);
    auto hits = [&](uint64_t base, uint8_t shift) {
        ts_tlb_tags t = page(base, shift);
        return ts_tlb_inval_matches(&inval, &t);
    };
    for (uint64_t p = 0; p < 12; p++)
        EXPECT_EQ(hits(16 * kMiB + p * kPage, 12), p >= 3 && p < 8) << p;
    EXPECT_TRUE(hits(16 * kMiB, 21));
    EXPECT_FALSE(hits(18 * kMiB, 21));
    EXPECT_FALSE(hits(14 * kMiB, 21));
    EXPECT_TRUE(hits(0, 30));
    inval.length = 0;
    EXPECT_FALSE(hits(start, 12));
    EXPECT_FALSE(hits(16 * kMiB, 21)); /* around an empty range */
}

TEST(Inval, TheLastPageOfTheAddressSpaceMatches)
{
    uint64_t last = UINT64_MAX - kPage + 1;
    ts_tlb_inval inval = ts_inval_invlpg(kVm, kAsid, UINT64_MAX);
    ts_tlb_tags small = page(last, 12), before = page(last - kPage, 12);
    ts_tlb_tags large = page(last >> 21 << 21, 21);
    EXPECT_TRUE(ts_tlb_inval_matches(&inval, &small));
    EXPECT_TRUE(ts_tlb_inval_matches(&inval, &large));
    EXPECT_FALSE(ts_tlb_inval_matches(&inval, &before));
}

/* A guest's 2M page on 4K host pages is cached as 4K entries of level 1. */
TEST(Inval, OneAddressTakesEveryPieceOfALargePage)
{
    ts_tlb_inval inval = ts_inval_invlpg(kVm, kAsid, 4 * kMiB + 0x1234);
    for (uint64_t p = 0; p < 1024; p++) {
        ts_tlb_tags piece = page(3 * kMiB + p * kPage, 12);
        piece.level = 1;
        EXPECT_EQ(ts_tlb_inval_matches(&inval, &piece), p >= 256 && p < 768) << p;
    }
}

/* TG makes the page one of its granule, whose low address bits are not in the operand; a range
 * stays what it is, and a level given before stays unless another one comes. */
TEST(Inval, AHintOfTheGranuleSetsThePage)
{
    for (uint8_t granule = 0; granule < TS_GRANULES; granule++) {
        auto tg = static_cast<uint8_t>(granule + 1);
        uint64_t bytes = UINT64_C(1) << ts_granule_shift(granule);
        ts_tlb_inval one = ts_inval_with_hint(ts_inval_tlbi_vae1(kVm, kAsid, kVa, true, 1), tg, 0);
        EXPECT_EQ(one.start, kVa / bytes * bytes);
        EXPECT_EQ(one.length, bytes);
        EXPECT_EQ(one.ttl_granule, tg);
        EXPECT_EQ(one.ttl_level, 1u);
        ts_tlb_inval range =
            ts_inval_with_hint(ts_inval_tlbi_rvae1(kVm, kAsid, 6 * bytes, 2 * bytes, true), tg, 2);
        EXPECT_EQ(range.start, 6 * bytes);
        EXPECT_EQ(range.length, 2 * bytes);
        EXPECT_EQ(range.ttl_level, 2u);
    }
    ts_tlb_inval without = ts_inval_with_hint(ts_inval_tlbi_vaae1(kVm, kVa, true, 0), 0, 3);
    EXPECT_EQ(without.length, kPage);
    EXPECT_EQ(without.ttl_level, 3u);
}

/* 16K and 64K pages too, in whatever sizes their pieces come. */
TEST(Inval, PiecesArePagesOfTheGranuleTheyComeFrom)
{
    constexpr uint64_t at = 5 * kGiB;
    for (uint8_t granule = 0; granule < TS_GRANULES; granule++)
        for (uint8_t level = 0; level < 2; level++) {
            uint64_t whole = UINT64_C(1) << ts_granule_level_shift(granule, level);
            uint64_t first = at / whole * whole;
            ts_tlb_inval inval = ts_inval_tlbi_vae1(kVm, kAsid, first + whole / 2, true, 0);
            for (uint64_t base : {first - kPage, first, first + whole - kPage, first + whole}) {
                ts_tlb_tags piece = page(base, 12);
                piece.granule = granule;
                piece.level = level;
                EXPECT_EQ(ts_tlb_inval_matches(&inval, &piece),
                          base >= first && base < first + whole)
                    << int{granule} << " " << int{level} << " " << base - first;
            }
        }
}

TEST(Inval, AContiguousRunGoesAsAWholeAndKeepsTheLevelOfItsLeaves)
{
    for (uint8_t granule = 0; granule < TS_GRANULES; granule++)
        for (uint8_t level = 0; level < ts_granule_leaf_levels(granule); level++) {
            uint32_t shift =
                ts_granule_level_shift(granule, level) + ts_granule_contiguous_bits(granule, level);
            uint64_t bytes = UINT64_C(1) << shift;
            ts_tlb_tags run = page(3 * bytes, static_cast<uint8_t>(shift));
            run.granule = granule;
            run.level = level;
            auto goes = [&run](uint64_t va, uint8_t ttl) {
                ts_tlb_inval inval = ts_inval_tlbi_vae1(kVm, kAsid, va, true, ttl);
                return ts_tlb_inval_matches(&inval, &run);
            };
            EXPECT_TRUE(goes(3 * bytes, 0));
            EXPECT_TRUE(goes(4 * bytes - 1, static_cast<uint8_t>(level + 1)));
            EXPECT_FALSE(goes(4 * bytes, 0));
            EXPECT_FALSE(goes(3 * bytes - 1, 0));
            EXPECT_FALSE(goes(3 * bytes, static_cast<uint8_t>(level + 2)));
        }
}

TEST(Inval, AnInstructionActsOnItsOwnThreadsEntries)
{
    ts_tlb_inval inval = ts_inval_invlpg(kVm, kAsid, kVa);
    ts_tlb_tags t = page(kVa / kPage * kPage, 12);
    for (uint8_t thread = 0; thread < 4; thread++)
        for (uint8_t maker = 0; maker < 4; maker++)
            for (bool any : {false, true}) {
                inval.thread = thread;
                inval.any_thread = any;
                t.thread = maker;
                EXPECT_EQ(ts_tlb_inval_matches(&inval, &t), any || thread == maker);
            }
}

} // namespace
