/* SPDX-License-Identifier: Apache-2.0 */
/* The MMU with all its caches against the tables themselves, over random histories and random
 * MMUs. Where every change is invalidated as an operating system has to, what it says is what the
 * tables say. Where invalidations are left out, it is that, or something that the tables have said
 * since the last invalidation that named the page. */
#include "tests/mmu_fixture.hpp"

#include <memory>
#include <random>
#include <set>
#include <vector>

using namespace mmu_fixture;

namespace
{

constexpr uint32_t kThreads = 2, kRegions = 3, kBlocks = 4, kPages = 24, kIpaBlocks = 12;
constexpr uint64_t kFrames = 16384;
constexpr uint64_t kHostOffset = UINT64_C(1) << 42;

using Page = std::pair<uint64_t, bool>; /* where it is, and writable */

/* What a thread may still have cached. */
struct Known {
    std::vector<std::set<Page>> combined; /* by page of the universe */
    std::vector<bool> changed;            /* since it was last named: a stale table may fault */
    std::vector<std::set<Page>> stage2;   /* by IPA block */
};

class History
{
  public:
    History(uint64_t seed, bool nested, bool lazy);
    ~History()
    {
        while (!mmu.empty()) /* thread 0 last */
            mmu.pop_back();
    }
    uint64_t below(uint64_t n)
    {
        return random() % n;
    }
    void step();
    uint64_t hits = 0, faults = 0, stale = 0;

  private:
    ts_mmu_params params();
    uint64_t vaOf(uint64_t i) const
    {
        return i / (kBlocks * kPages) * guest.size(2) + i / kPages % kBlocks * guest.size(1) +
               i % kPages * guest.size();
    }
    /* Mostly one of a few, which change in time. */
    uint64_t somePage()
    {
        if (below(400) == 0)
            hot = below(pages());
        return below(8) == 0 ? below(pages()) : (hot + below(6)) % pages();
    }
    uint64_t pages() const
    {
        return kRegions * kBlocks * kPages;
    }
    ts_mmu_context ctx() const
    {
        return {vmid, 1, ep4ta, guest.pt, two_stages ? host.pt : nullptr, nullptr};
    }
    bool lookup(const PageTable &t, uint64_t at, Page *out) const
    {
        ts_pte pte;
        if (!ts_pgtable_lookup(t.pt, at, &pte))
            return false;
        *out = {pte.target + (at & ((UINT64_C(1) << pte.size_shift) - 1)), pte.writable};
        return true;
    }
    void learn(Known &k, uint64_t i);
    void learnAll();
    void named(Known &k, uint64_t from, uint64_t to);
    void invalidate(const ts_tlb_inval &inval, uint64_t from, uint64_t to);
    void flush(uint64_t base, uint64_t size);
    void flushStage2(uint64_t block);
    void changeStage1();
    void changeStage2();
    void touch();
    bool allowed(const struct ts_mmu_access &out, uint32_t thread, uint64_t i, bool write,
                 uint64_t offset);

    std::mt19937_64 random;
    bool two_stages, lazy;
    uint16_t vmid, ep4ta;
    ts_granule granule;
    PageTable guest, host;
    uint64_t now = 1, hot = 0;
    bool global;
    std::vector<std::unique_ptr<Mmu>> mmu;
    std::vector<Known> known{kThreads};
};

ts_mmu_params History::params()
{
    ts_mmu_params p = defaults();
    /* Small, so that everything is evicted and refilled all the time. */
    p.l1d_4k_entries = p.l1d_4k_ways = below(4) ? 4 : 0;
    p.l1d_2m_entries = p.l1d_2m_ways = below(4) ? 2 : 0;
    p.l1d_1g_entries = p.l1d_1g_ways = 2 * below(2);
    p.l1d_1g_ways = p.l1i_2m_ways = 2;
    p.l1d_any_entries = p.l1d_any_ways = below(3) ? 0 : 4;
    p.l1i_4k_entries = p.l1i_4k_ways = 4;
    p.l1i_2m_entries = 2 * below(2);
    p.l2_entries = below(8) ? 32 : 0;
    p.l2i_entries = below(3) ? 0 : 16;
    p.l2_ways = p.l2i_ways = 4;
    p.l2_giant = below(2);
    p.l2_1g_entries = 4 * below(2);
    p.l1d_4k_ways = p.l1d_2m_ways = p.l1d_any_ways = 2;
    p.walk_l1_entries = 4 * below(2);
    p.walk_l2_entries = p.walk_l3_entries = 2;
    p.walk_any_entries = 8 * below(2);
    p.walk_any_ways = p.walk2_ways = 4;
    p.walk2_entries = 8 * below(2);
    p.walk_in_l2 = below(2);
    p.nested_entries = 8 * below(2);
    p.nested_ways = 4;
    p.nested_in_l2 = below(2);
    p.contiguous = below(2);
    p.replacement = below(ts_replacement_table_count);
    p.l1_replacement = below(ts_replacement_table_count);
    p.walk_replacement = below(ts_replacement_table_count);
    p.inclusion = below(3);
    p.l1_smt = below(3);
    p.l2_smt = below(3);
    p.walk_smt = below(3);
    p.walkers = below(3);
    p.miss_queue = below(3);
    p.fracture_full_flush = below(2);
    p.stage2_ad = below(2);
    p.conflict_abort = below(2);
    p.l1_flush_on_any_inval = below(8) == 0;
    p.sweep_sets_per_cycle = below(3);
    return p;
}

const uint32_t kLevels[TS_GRANULES] = {4, 4, 3};

History::History(uint64_t seed, bool nested, bool leave_out)
    : random(seed), two_stages(nested), lazy(leave_out), vmid(nested), ep4ta(nested && seed % 2),
      granule(static_cast<ts_granule>(seed % 3)), guest(kLevels[seed % 3], granule),
      host(kLevels[seed % 3], granule, kTableFrames * 4), global(below(3) == 0)
{
    ts_mmu_params p = params();
    for (uint32_t t = 0; t < kThreads; t++) {
        ts_mmu_wiring wiring = mmu_fixture::x86();
        wiring.cpu = wiring.thread = t;
        wiring.threads = kThreads;
        wiring.first = t == 0 ? nullptr : mmu[0]->m;
        mmu.push_back(std::make_unique<Mmu>(p, wiring));
    }
    for (uint64_t block = 0; block < kIpaBlocks; block++) {
        uint64_t ipa = block * guest.size(1);
        if (block % 3 == 0)
            host.map(ipa, ipa + kHostOffset, 1);
        else if (block % 3 == 1)
            host.mapRun(ipa, ipa + kHostOffset);
        for (uint64_t i = 0; i < kPages && block % 3 != 0; i++)
            if (ts_pgtable_can_map(host.pt, ipa + i * host.size(), 0))
                host.map(ipa + i * host.size(), ipa + kHostOffset + i * host.size());
    }
    ts_pte frame{};
    frame.size_shift = static_cast<uint8_t>(ts_granule_shift(granule));
    frame.target = kTableFrames;
    frame.writable = true;
    ts_pgtable_map_run(host.pt, kTableFrames, kFrames, &frame);
    for (Known &k : known) {
        k.combined.resize(pages());
        k.changed.resize(pages());
        k.stage2.resize(kIpaBlocks);
    }
    learnAll();
}

/* What a walk by thread's caches can find for a page now. Of a host block all changes at once, so
 * its first page says where it is. */
void History::learn(Known &k, uint64_t i)
{
    Page page;
    if (!lookup(guest, vaOf(i), &page))
        return;
    if (!two_stages) {
        k.combined[i].insert(page);
        return;
    }
    uint64_t offset = page.first % guest.size(1);
    for (const Page &block : k.stage2[page.first / guest.size(1)])
        k.combined[i].insert({block.first + offset, page.second && block.second});
}

void History::learnAll()
{
    for (Known &k : known) {
        Page page;
        for (uint64_t block = 0; two_stages && block < kIpaBlocks; block++)
            if (lookup(host, block * guest.size(1), &page))
                k.stage2[block].insert(page);
        for (uint64_t i = 0; i < pages(); i++)
            learn(k, i);
    }
}

void History::named(Known &k, uint64_t from, uint64_t to)
{
    for (uint64_t i = 0; i < pages(); i++)
        if (vaOf(i) >= from && vaOf(i) < to) {
            k.combined[i].clear();
            k.changed[i] = false;
            learn(k, i);
        }
}

/* inval names the addresses in [from, to). */
void History::invalidate(const ts_tlb_inval &inval, uint64_t from, uint64_t to)
{
    ts_tlb_inval i = inval;
    i.any_thread = !lazy || below(2);
    auto by = static_cast<uint32_t>(below(kThreads));
    mmu[by]->invalidate(i, now);
    for (uint32_t t = 0; t < kThreads; t++)
        if (i.any_thread || t == by)
            named(known[t], from, to);
}

void History::flush(uint64_t base, uint64_t size)
{
    if (lazy && below(3) != 0)
        return;
    uint64_t inside = base + below(size);
    /* One address is enough for a leaf, however it is cached; but not for what is left of smaller
     * ones that were there before. */
    uint64_t from = lazy ? inside / guest.size() * guest.size() : base;
    uint64_t to = lazy ? from + guest.size() : base + size;
    bool run = size > guest.size() && size < guest.size(1);
    switch (below(run ? 2 : 5)) {
    case 0:
        invalidate(ts_inval_tlbi_rvae1(vmid, 1, base, size, false), base, base + size);
        break;
    case 1:
        invalidate(ts_inval_tlbi_vmalle1(vmid), 0, UINT64_MAX);
        break;
    case 2:
        invalidate(ts_inval_invlpg(vmid, 1, inside), from, to);
        break;
    case 3:
        invalidate(ts_inval_tlbi_vae1(vmid, 1, inside, false, 0), from, to);
        break;
    default:
        invalidate(ts_inval_tlbi_vaae1(vmid, inside, false, 0), from, to);
    }
}

void History::flushStage2(uint64_t block)
{
    bool both = !lazy || below(3) == 0;
    if (!both && below(2))
        return;
    ts_tlb_inval inval = ts_inval_tlbi_ripas2e1(vmid, block * guest.size(1), guest.size(1), false);
    if (ep4ta != 0)
        inval = ts_inval_invept_single(ep4ta);
    inval.any_thread = true;
    mmu[0]->invalidate(inval, now);
    Page page;
    for (Known &k : known)
        for (uint64_t b = 0; b < kIpaBlocks; b++)
            if (b == block && lookup(host, b * guest.size(1), &page))
                k.stage2[b] = {page};
    if (both)
        invalidate(ts_inval_tlbi_vmalle1(vmid), 0, UINT64_MAX);
}

void History::changeStage1()
{
    uint64_t i = somePage(), va = vaOf(i);
    auto level = static_cast<uint32_t>(below(4) == 0);
    uint64_t step = guest.size(level), base = va / step * step, size = step;
    ts_pte pte;
    uint32_t freed[TS_PT_LEVELS_MAX];
    if (ts_pgtable_lookup(guest.pt, va, &pte)) {
        size = UINT64_C(1) << pte.size_shift;
        if (pte.contiguous)
            size <<= ts_granule_contiguous_bits(granule, pte.level);
        base = va / size * size;
        if (below(3) != 0) {
            ts_pgtable_protect(guest.pt, base, base + size, below(4) != 0, nullptr, nullptr);
        } else {
            guest.unmap(base, size);
            ts_pgtable_free_tables(guest.pt, base, base + size, 0, 0, freed);
        }
    } else if (level == 0 && below(4) == 0) {
        uint64_t n = UINT64_C(1) << ts_granule_contiguous_bits(granule, 0);
        size = n * guest.size();
        base = va / size * size;
        for (uint64_t p = 0; p < n; p++)
            if (!ts_pgtable_can_map(guest.pt, base + p * guest.size(), 0))
                return;
        uint64_t block = below(kIpaBlocks);
        guest.mapRun(base, block * guest.size(1), 0, below(3) != 0);
    } else if (ts_pgtable_can_map(guest.pt, va, level)) {
        uint64_t ipa = below(kIpaBlocks) * guest.size(1);
        ipa += level ? 0 : below(kPages) * step;
        bool writable = below(3) != 0;
        guest.map(base, ipa, level, writable, global && below(2));
    } else {
        return;
    }
    for (Known &k : known)
        for (uint64_t p = 0; p < pages(); p++)
            if (vaOf(p) >= base && vaOf(p) < base + size)
                k.changed[p] = true;
    learnAll();
    flush(base, size);
}

/* A host block moves, or its permission changes. */
void History::changeStage2()
{
    uint64_t block = below(kIpaBlocks), ipa = block * guest.size(1), end = ipa + guest.size(1);
    if (below(2)) {
        ts_pgtable_protect(host.pt, ipa, end, below(2), nullptr, nullptr);
    } else {
        std::vector<std::pair<uint64_t, ts_pte>> leaves;
        uint64_t resume;
        ts_pgtable_clear(
            host.pt, ipa, end, UINT64_MAX,
            [](void *user, uint64_t va, const ts_pte *pte) {
                static_cast<decltype(leaves) *>(user)->push_back({va, *pte});
            },
            &leaves, &resume);
        for (auto &[va, pte] : leaves) {
            pte.target ^= UINT64_C(1) << 43;
            ts_pgtable_map(host.pt, va, &pte);
        }
    }
    learnAll();
    flushStage2(block);
}

bool History::allowed(const struct ts_mmu_access &out, uint32_t thread, uint64_t i, bool write,
                      uint64_t offset)
{
    const Known &k = known[thread];
    if (out.result == TS_MMU_OK) {
        for (const Page &page : k.combined[i])
            if (page.first + offset == out.pa && (page.second || !write))
                return true;
        return false;
    }
    if (lazy && (k.changed[i] || k.combined[i].size() > 1))
        return true;
    for (const Page &page : k.combined[i])
        if (page.second || !write)
            return false;
    return true;
}

void History::touch()
{
    uint64_t i = somePage(), offset = below(guest.size());
    auto thread = static_cast<uint32_t>(below(kThreads));
    auto kind = static_cast<ts_mmu_kind>(below(3));
    bool write = kind == TS_MMU_WRITE, mapped, known_page;
    uint64_t va = vaOf(i) + offset;
    Page s1, s2{0, true};
    mapped = lookup(guest, va, &s1);
    known_page = mapped && (!two_stages || lookup(host, s1.first, &s2));
    ASSERT_TRUE(known_page || !mapped);
    auto out = mmu[thread]->at(now, ctx(), va, kind);
    /* A fault and a conflict drop what was stale. */
    for (int tries = 0; tries < 3 && out.result == TS_MMU_CONFLICT; tries++)
        out = mmu[thread]->at(now += out.cycles, ctx(), va, kind);
    ASSERT_NE(out.result, TS_MMU_CONFLICT);
    ASSERT_TRUE(allowed(out, thread, i, write, offset))
        << "va " << va << " kind " << kind << " result " << out.result << " pa " << out.pa;
    uint64_t pa = two_stages ? s2.first : s1.first;
    bool good = mapped && (!write || (s1.second && s2.second));
    if (!lazy) {
        ASSERT_EQ(out.result, good                               ? TS_MMU_OK
                              : !mapped || (write && !s1.second) ? TS_MMU_FAULT_STAGE1
                                                                 : TS_MMU_FAULT_STAGE2);
        ts_pte pte;
        if (good) {
            ts_pgtable_lookup(guest.pt, va, &pte);
            if (!pte.contiguous) { /* of a run another leaf may have the bits */
                ASSERT_TRUE(pte.accessed && (pte.dirty || !write));
            }
        }
    }
    stale += out.result == TS_MMU_OK && (!good || out.pa != pa);
    hits += out.from_tlb;
    faults += out.result != TS_MMU_OK;
}

void History::step()
{
    now += below(4) == 0 ? 1000 : below(30);
    uint64_t what = below(200);
    if (what < 30)
        changeStage1();
    else if (what < 34 && two_stages)
        changeStage2();
    else
        touch();
}

void run(uint64_t seeds, bool lazy)
{
    uint64_t stale = 0, hits = 0, faults = 0;
    for (uint64_t seed = 1; seed <= seeds && !testing::Test::HasFailure(); seed++)
        for (bool nested : {false, true}) {
            History h(seed, nested, lazy);
            for (int i = 0; i < 2000 && !testing::Test::HasFailure(); i++) {
                h.step();
                if (testing::Test::HasFailure())
                    ADD_FAILURE() << "reproduce: seed " << seed << " nested " << nested << " lazy "
                                  << lazy << " step " << i;
            }
            hits += h.hits;
            faults += h.faults;
            stale += h.stale;
            if (!lazy) {
                EXPECT_EQ(h.stale, 0u);
            }
        }
    EXPECT_GT(hits, seeds * 500);
    EXPECT_GT(faults, seeds * 500);
    if (lazy) {
        EXPECT_GT(stale, seeds); /* else it has shown nothing */
    }
}

TEST(MmuDiff, FlushedChangesAreNeverSeenStale)
{
    run(36, false);
}

TEST(MmuDiff, WhatNoInvalidationNamedMayBeStaleAndNothingElse)
{
    run(36, true);
}

} // namespace
