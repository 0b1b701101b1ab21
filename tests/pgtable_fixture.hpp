/* SPDX-License-Identifier: Apache-2.0 */
/* A page table for tests, whose frames are counted. */
#ifndef TESTS_PGTABLE_FIXTURE_HPP
#define TESTS_PGTABLE_FIXTURE_HPP

#include "tests/pgtable_model.hpp"

#include <vector>

namespace pgtable_fixture
{

using namespace pgtable_model;

constexpr uint64_t kPage = 4096, kMiB = UINT64_C(1) << 20, kGiB = UINT64_C(1) << 30;
constexpr uint64_t kTwoMiB = 2 * kMiB;
constexpr uint64_t kKernel = UINT64_C(0xffff888000000000);

/* Hands out frames in order and knows which are in use; root first. */
struct Table {
    explicit Table(uint32_t levels = 4, ts_granule granule = TS_GRANULE_4K, Runs runs = kNoRuns)
        : frames(granule)
    {
        frames.gap = 0;
        frames.next = 64 * kGiB;
        ts_pt_frames ops = frames.ops(runs);
        ts_error err{};
        EXPECT_EQ(ts_pgtable_create(&pt, granule, levels, &ops, &err), TS_OK) << err.message;
    }
    ~Table()
    {
        ts_pgtable_destroy(pt);
        EXPECT_TRUE(frames.live.empty()) << "frames were not given back";
    }
    Table(const Table &) = delete;
    uint32_t map(uint64_t va, uint32_t level = 0, bool writable = true)
    {
        ts_pte pte{};
        pte.level = static_cast<uint8_t>(level);
        pte.size_shift = static_cast<uint8_t>(TS_PT_SHIFT(level));
        pte.target = (va & (512 * kGiB - 1)) + 1024 * kGiB;
        pte.writable = writable;
        return ts_pgtable_map(pt, va, &pte);
    }
    bool has(uint64_t va) const
    {
        ts_pte pte;
        return ts_pgtable_lookup(pt, va, &pte);
    }
    uint64_t clear(uint64_t start, uint64_t end)
    {
        uint64_t resume = 0;
        uint64_t n = ts_pgtable_clear(pt, start, end, UINT64_MAX, nullptr, nullptr, &resume);
        EXPECT_EQ(resume, end);
        return n;
    }
    std::vector<uint32_t> freeTables(uint64_t start, uint64_t end, uint64_t floor, uint64_t ceiling)
    {
        std::vector<uint32_t> freed(TS_PT_LEVELS_MAX, 99);
        uint32_t total = ts_pgtable_free_tables(pt, start, end, floor, ceiling, freed.data());
        uint32_t sum = 0;
        for (uint32_t n : freed)
            sum += n;
        EXPECT_EQ(total, sum);
        return freed;
    }
    Frames frames;
    ts_pgtable *pt = nullptr;
};

using Freed = std::vector<uint32_t>;

} // namespace pgtable_fixture

#endif
