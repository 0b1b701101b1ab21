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
    /* step: bytes from one table's frame to the next; 0: one after the other. */
    explicit PageTable(uint32_t levels = 4, ts_granule g = TS_GRANULE_4K,
                       uint64_t first = kTableFrames, uint64_t step = 0)
        : granule(g), frame_step(step != 0 ? step : UINT64_C(1) << ts_granule_shift(g)),
          next_frame(first)
    {
        ts_pt_frames frames{};
        frames.alloc_table = [](void *user) {
            auto *self = static_cast<PageTable *>(user);
            uint64_t frame = self->next_frame;
            self->next_frame += self->frame_step;
            return frame;
        };
        frames.free_table = [](void *, uint64_t) {};
        frames.user = this;
        ts_error err{};
        EXPECT_EQ(ts_pgtable_create(&pt, granule, levels, &frames, &err), TS_OK) << err.message;
    }
    ~PageTable()
    {
        ts_pgtable_destroy(pt);
    }
    PageTable(const PageTable &) = delete;
    PageTable &operator=(const PageTable &) = delete;

    uint64_t size(uint32_t level = 0) const
    {
        return UINT64_C(1) << ts_granule_level_shift(granule, level);
    }
    void map(uint64_t va, uint64_t target, uint32_t level = 0, bool writable = true,
             bool global = false, bool contiguous = false)
    {
        ts_pte pte{};
        pte.level = static_cast<uint8_t>(level);
        pte.size_shift = static_cast<uint8_t>(ts_granule_level_shift(granule, level));
        pte.contiguous = contiguous;
        pte.target = target;
        pte.writable = writable;
        pte.global = global;
        ts_pgtable_map(pt, va, &pte);
    }
    /* A whole contiguous run. */
    void mapRun(uint64_t va, uint64_t target, uint32_t level = 0, bool writable = true)
    {
        for (uint64_t i = 0; i < UINT64_C(1) << ts_granule_contiguous_bits(granule, level); i++)
            map(va + i * size(level), target + i * size(level), level, writable, false, true);
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

    ts_granule granule;
    uint64_t frame_step;
    uint64_t next_frame; /* the first is the root's */
    ts_pgtable *pt = nullptr;
};

inline ts_mmu_params defaults()
{
    ts_mmu_params params{};
    ts_param_defaults(&ts_mmu_param_table, &params);
    return params;
}

/* That of an x86 CPU of one thread. */
inline ts_mmu_wiring x86()
{
    ts_mmu_wiring wiring{};
    wiring.fault_invalidates = true;
    return wiring;
}

class Mmu
{
  public:
    explicit Mmu(const ts_mmu_params &params = defaults(), const ts_mmu_wiring &wiring = x86())
    {
        ts_error err{};
        EXPECT_EQ(ts_mmu_create(&m, &params, 1, &wiring, &err), TS_OK) << err.message;
    }
    ~Mmu()
    {
        ts_error err{};
        EXPECT_EQ(ts_stat_check(&ts_mmu_stat_table, ts_mmu_stats(m), &err), TS_OK) << err.message;
        ts_mmu_destroy(m);
    }
    Mmu(const Mmu &) = delete;
    Mmu &operator=(const Mmu &) = delete;

    struct ts_mmu_access at(uint64_t now, const ts_mmu_context &ctx, uint64_t va,
                            ts_mmu_kind kind = TS_MMU_READ)
    {
        struct ts_mmu_access out {
        };
        ts_mmu_access(m, &ctx, va, kind, now, &out);
        return out;
    }
    struct ts_mmu_access access(const ts_mmu_context &ctx, uint64_t va, bool write = false)
    {
        return at(0, ctx, va, write ? TS_MMU_WRITE : TS_MMU_READ);
    }
    struct ts_mmu_access fetch(const ts_mmu_context &ctx, uint64_t va)
    {
        return at(0, ctx, va, TS_MMU_FETCH);
    }
    bool cached(const ts_mmu_context &ctx, uint64_t va, ts_tlb_entry *entry = nullptr) const
    {
        ts_tlb_entry scratch;
        return ts_mmu_probe(m, &ctx, va, entry ? entry : &scratch);
    }
    uint64_t invalidate(const ts_tlb_inval &inval, uint64_t now = 0)
    {
        return ts_mmu_invalidate(m, &inval, now);
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
    uint64_t step = host.size(level);
    for (uint64_t ipa = kTableFrames; ipa < guest.next_frame; ipa += step)
        host.map(ipa, ipa, level);
}

} // namespace mmu_fixture

#endif
