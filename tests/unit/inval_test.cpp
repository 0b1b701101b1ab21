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

constexpr uint16_t kVm = 1, kAsid = 5;
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
               std::to_string(t.asid) + (t.global ? " global" : "") + " size 2^" +
               std::to_string(t.size_shift) + " level " + std::to_string(t.level) + " base " +
               std::to_string(t.base);
    }
};

std::vector<Entry> world()
{
    std::vector<Entry> all;
    for (int kind = 0; kind < TS_TLB_KINDS; kind++)
        for (uint16_t vmid = 0; vmid < 3; vmid++)
            for (uint16_t asid = kAsid; asid < kAsid + 2; asid++)
                for (bool global : {false, true})
                    for (uint64_t address : {kVa, kNear, kFar})
                        for (uint8_t size = 0; size < 4; size++)
                            for (uint8_t level = size; level < 4; level++) {
                                Entry e{};
                                e.t.kind = static_cast<ts_tlb_kind>(kind);
                                e.t.vmid = vmid;
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

TEST(Inval, InveptGlobalTakesEveryVmAndSparesTheHostsLinearMappings)
{
    expectDrops(ts_inval_invept_global(), [](const Entry &e) { return e.t.vmid != 0; });
}

TEST(Inval, PageFaultTakesWhatWouldBeUsedAgain)
{
    expectDrops(ts_inval_page_fault(kVm, kAsid, kVa), [](const Entry &e) {
        return e.vm() && e.stage1() && e.covers(kVa) && (e.globalLeaf() || e.t.asid == kAsid);
    });
    expectDrops(ts_inval_ept_violation(kVm, kVa),
                [](const Entry &e) { return e.vm() && e.stage2() && e.covers(kVa); });
}

TEST(Inval, VmalleTakesStageOneOfTheVm)
{
    expectDrops(ts_inval_tlbi_vmalle1(kVm), [](const Entry &e) { return e.vm() && e.stage1(); });
}

TEST(Inval, Vmalls12TakesAllFourKindsOfTheVm)
{
    expectDrops(ts_inval_tlbi_vmalls12e1(kVm), [](const Entry &e) { return e.vm(); });
}

TEST(Inval, AlleTakesEveryVm)
{
    expectDrops(ts_inval_tlbi_alle1(), [](const Entry &e) { return e.t.vmid != 0; });
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

TEST(Inval, AWrongLevelHintSparesTheLeaf)
{
    for (uint8_t level = 0; level < 3; level++)
        for (bool last : {false, true})
            expectDrops(ts_inval_tlbi_vae1(kVm, kAsid, kVa, last, static_cast<uint8_t>(level + 1)),
                        [level, last](const Entry &e) {
                            if (!e.vm() || !e.stage1() || !e.covers(kVa))
                                return false;
                            if (e.walk())
                                return !last && e.t.asid == kAsid;
                            return e.t.level == level && (e.t.asid == kAsid || e.t.global);
                        });
}

TEST(Inval, VaaeTakesEveryAsid)
{
    expectDrops(ts_inval_tlbi_vaae1(kVm, kVa, false, 0),
                [](const Entry &e) { return e.vm() && e.stage1() && e.covers(kVa); });
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

} // namespace
