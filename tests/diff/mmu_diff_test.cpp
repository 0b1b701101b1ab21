/* SPDX-License-Identifier: Apache-2.0 */
/* The MMU with all its caches against the tables themselves, over random histories in which every
 * change is invalidated as an operating system has to. */
#include "tests/mmu_fixture.hpp"

#include <memory>
#include <random>

using namespace mmu_fixture;

namespace
{

struct History {
    History(uint64_t seed, bool nested, bool keep_global) : random(seed), two_stages(nested)
    {
        ts_mmu_params params = defaults();
        /* Small, so that everything is evicted and refilled all the time. */
        params.l1d_4k_entries = params.l1d_4k_ways = 4;
        params.l1d_2m_entries = params.l1d_2m_ways = 2;
        params.l2_entries = 32;
        params.l2_ways = 4;
        params.nested_entries = params.nested_ways = 8;
        params.fracture_full_flush = seed % 2;
        params.replacement = seed % ts_replacement_table_count;
        mmu = std::make_unique<Mmu>(params);
        global = keep_global;
        for (uint64_t ipa = 0; two_stages && ipa < 64 * kTwoMiB; ipa += kTwoMiB)
            if (ipa % (4 * kTwoMiB) == 0)
                host.map(ipa, ipa + 64 * kGiB, 1);
            else
                for (uint64_t p = 0; p < 512; p++)
                    host.map(ipa + p * kPage, ipa + p * kPage + 64 * kGiB);
        for (uint64_t f = 0; two_stages && f < 256; f++)
            host.map(kTableFrames + f * kPage, kTableFrames + f * kPage);
    }
    uint64_t below(uint64_t n)
    {
        return random() % n;
    }
    ts_mmu_context ctx() const
    {
        return {two_stages ? uint16_t{1} : uint16_t{0}, 1, guest.pt,
                two_stages ? host.pt : nullptr};
    }
    uint64_t vmid() const
    {
        return two_stages;
    }
    void flush(uint64_t va)
    {
        auto vm = static_cast<uint16_t>(vmid());
        mmu->invalidate(below(2) ? ts_inval_invlpg(vm, 1, va)
                                 : ts_inval_tlbi_vae1(vm, 1, va, false, 0));
    }
    void change();
    void touch();

    std::mt19937_64 random;
    bool two_stages, global = false;
    PageTable guest, host;
    std::unique_ptr<Mmu> mmu;
    uint64_t hits = 0, faults = 0;
};

/* Changes the tables and invalidates as an operating system has to. */
void History::change()
{
    auto level = static_cast<uint32_t>(below(4) == 0);
    uint64_t step = UINT64_C(1) << TS_PT_SHIFT(level);
    uint64_t va = (below(3) * kGiB + below(4) * kTwoMiB + below(24) * kPage) / step * step;
    ts_pte pte;
    uint32_t freed[TS_PT_LEVELS_MAX];
    if (ts_pgtable_lookup(guest.pt, va, &pte)) {
        uint64_t size = UINT64_C(1) << pte.size_shift, base = va / size * size;
        if (below(3) == 0) {
            ts_pgtable_protect(guest.pt, base, base + size, below(2), nullptr, nullptr);
        } else {
            guest.unmap(base, size);
            ts_pgtable_free_tables(guest.pt, base, base + size, 0, 0, freed);
        }
        flush(base + below(size));
    } else if (ts_pgtable_can_map(guest.pt, va, level)) {
        guest.map(va, below(60) * kTwoMiB + (level ? 0 : below(512) * kPage), level, below(3) != 0,
                  global && below(2));
    }
    if (two_stages && below(40) == 0) {
        uint64_t ipa = (below(15) * 4 + 1) * kTwoMiB;
        ts_pgtable_protect(host.pt, ipa, ipa + kTwoMiB, below(2), nullptr, nullptr);
        mmu->invalidate(ts_inval_invept_global());
    }
}

/* Expected: what the tables say now. */
void History::touch()
{
    uint64_t va = below(3) * kGiB + below(4) * kTwoMiB + below(24) * kPage + below(kPage);
    bool write = below(2);
    ts_pte s1, s2;
    enum ts_mmu_result expected = TS_MMU_OK;
    uint64_t pa = 0;
    if (!ts_pgtable_lookup(guest.pt, va, &s1) || (write && !s1.writable)) {
        expected = TS_MMU_FAULT_STAGE1;
    } else {
        pa = s1.target + (va & ((UINT64_C(1) << s1.size_shift) - 1));
        if (two_stages) {
            if (!ts_pgtable_lookup(host.pt, pa, &s2) || (write && !s2.writable))
                expected = TS_MMU_FAULT_STAGE2;
            pa = s2.target + (pa & ((UINT64_C(1) << s2.size_shift) - 1));
        }
    }
    auto out = mmu->access(ctx(), va, write);
    ASSERT_EQ(out.result, expected) << "va " << va << " write " << write;
    if (expected == TS_MMU_OK) {
        ASSERT_EQ(out.pa, pa);
        if (write) {
            ASSERT_TRUE(guest.pte(va).dirty);
        }
        ASSERT_TRUE(guest.pte(va).accessed);
    }
    hits += out.from_tlb;
    faults += expected != TS_MMU_OK;
}

TEST(MmuDiff, FlushedChangesAreNeverSeenStale)
{
    for (uint64_t seed = 1; seed <= 14 && !HasFailure(); seed++)
        for (bool nested : {false, true}) {
            History h(seed, nested, seed % 3 == 0);
            for (int i = 0; i < 4000 && !HasFatalFailure(); i++) {
                if (h.below(4) == 0)
                    h.change();
                else
                    h.touch();
                if (HasFatalFailure())
                    ADD_FAILURE() << "reproduce: seed " << seed << " nested " << nested << " step "
                                  << i;
            }
            EXPECT_GT(h.hits, 100u);
            EXPECT_GT(h.faults, 100u);
        }
}

} // namespace
