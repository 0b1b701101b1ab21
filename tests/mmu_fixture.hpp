/* SPDX-License-Identifier: Apache-2.0 */
/* Page tables and an MMU for tests. */
#ifndef TESTS_MMU_FIXTURE_HPP
#define TESTS_MMU_FIXTURE_HPP

#include "models/mmu/mmu.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace mmu_fixture
{

constexpr uint64_t kPage = 4096, kTwoMiB = UINT64_C(1) << 21, kGiB = UINT64_C(1) << 30;
/* Table frames come from here, so that they do not meet pages. */
constexpr uint64_t kTableFrames = UINT64_C(1) << 41;

class PageTable
{
  public:
    explicit PageTable(uint32_t levels = 4)
    {
        ts_pt_frames frames{};
        frames.alloc_table = [](void *user) {
            uint64_t frame = *static_cast<uint64_t *>(user);
            *static_cast<uint64_t *>(user) += kPage;
            return frame;
        };
        frames.free_table = [](void *, uint64_t) {};
        frames.user = &next_frame;
        ts_error err{};
        EXPECT_EQ(ts_pgtable_create(&pt, levels, &frames, &err), TS_OK) << err.message;
    }
    ~PageTable()
    {
        ts_pgtable_destroy(pt);
    }
    PageTable(const PageTable &) = delete;
    PageTable &operator=(const PageTable &) = delete;

    void map(uint64_t va, uint64_t target, uint32_t level = 0, bool writable = true,
             bool global = false)
    {
        ts_pte pte{};
        pte.level = static_cast<uint8_t>(level);
        pte.size_shift = static_cast<uint8_t>(TS_PT_SHIFT(level));
        pte.target = target;
        pte.writable = writable;
        pte.global = global;
        ts_pgtable_map(pt, va, &pte);
    }
    void unmap(uint64_t va, uint64_t size = kPage)
    {
        uint64_t resume;
        ts_pgtable_clear(pt, va, va + size, UINT64_MAX, nullptr, nullptr, &resume);
    }
    ts_pte pte(uint64_t va) const
    {
        ts_pte out{};
        EXPECT_TRUE(ts_pgtable_lookup(pt, va, &out));
        return out;
    }

    uint64_t next_frame = kTableFrames; /* the first is the root's */
    ts_pgtable *pt = nullptr;
};

inline ts_mmu_params defaults()
{
    ts_mmu_params params{};
    ts_param_defaults(&ts_mmu_param_table, &params);
    return params;
}

class Mmu
{
  public:
    explicit Mmu(const ts_mmu_params &params = defaults())
    {
        ts_error err{};
        EXPECT_EQ(ts_mmu_create(&m, &params, 1, 0, &err), TS_OK) << err.message;
    }
    ~Mmu()
    {
        ts_error err{};
        EXPECT_EQ(ts_stat_check(&ts_mmu_stat_table, ts_mmu_stats(m), &err), TS_OK) << err.message;
        ts_mmu_destroy(m);
    }
    Mmu(const Mmu &) = delete;
    Mmu &operator=(const Mmu &) = delete;

    struct ts_mmu_access access(const ts_mmu_context &ctx, uint64_t va, bool write = false)
    {
        struct ts_mmu_access out {
        };
        ts_mmu_access(m, &ctx, va, write, &out);
        return out;
    }
    bool cached(const ts_mmu_context &ctx, uint64_t va, ts_tlb_entry *entry = nullptr) const
    {
        ts_tlb_entry scratch;
        return ts_mmu_probe(m, &ctx, va, entry ? entry : &scratch);
    }
    uint64_t invalidate(const ts_tlb_inval &inval)
    {
        return ts_mmu_invalidate(m, &inval);
    }
    const struct ts_mmu_stats &stats() const
    {
        return *ts_mmu_stats(m);
    }

    ts_mmu *m = nullptr;
};

/* Maps the frames of a guest's tables in its host, one to one. */
inline void backTables(PageTable &host, const PageTable &guest, uint32_t level = 0)
{
    uint64_t step = UINT64_C(1) << TS_PT_SHIFT(level);
    for (uint64_t ipa = kTableFrames; ipa < guest.next_frame; ipa += step)
        host.map(ipa, ipa, level);
}

} // namespace mmu_fixture

#endif
