/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses through the MMU of a Skylake-SP core: hits of each level, and walks that start at a
 * level-0 table, in one and in two dimensions. Items are accesses. timed: with the cycle of each
 * access given, so that ports, walkers and walks under way are looked at. */
#include "models/mmu/mmu.h"

#include <benchmark/benchmark.h>

namespace
{

constexpr uint64_t kPage = 4096;
constexpr uint64_t kFrames = UINT64_C(1) << 41;

struct Table {
    Table()
    {
        ts_pt_frames frames{};
        frames.alloc_table = [](void *user) {
            uint64_t frame = *static_cast<uint64_t *>(user);
            *static_cast<uint64_t *>(user) += kPage;
            return frame;
        };
        frames.free_table = [](void *, uint64_t) {};
        frames.user = &next;
        ts_error err{};
        ts_pgtable_create(&pt, TS_GRANULE_4K, 4, &frames, &err);
    }
    ~Table()
    {
        ts_pgtable_destroy(pt);
    }
    Table(const Table &) = delete;
    Table &operator=(const Table &) = delete;
    void map(uint64_t va, uint64_t target)
    {
        ts_pte pte{};
        pte.size_shift = 12;
        pte.target = target;
        pte.writable = pte.accessed = pte.dirty = true;
        ts_pgtable_map(pt, va, &pte);
    }
    uint64_t next = kFrames;
    ts_pgtable *pt = nullptr;
};

/* Touches pages one after the other, round and round. */
void touch(benchmark::State &state, bool nested, bool timed)
{
    auto pages = static_cast<uint64_t>(state.range(0));
    Table guest, host;
    for (uint64_t page = 0; page < pages; page++)
        guest.map(page * kPage, page * kPage);
    for (uint64_t page = 0; page < pages; page++)
        host.map(page * kPage, page * kPage);
    for (uint64_t frame = kFrames; frame < guest.next; frame += kPage)
        host.map(frame, frame);
    ts_mmu_params params{};
    ts_param_defaults(&ts_mmu_param_table, &params);
    ts_mmu_wiring wiring{};
    ts_mmu *m = nullptr;
    ts_error err{};
    ts_mmu_create(&m, &params, 1, &wiring, &err);
    ts_mmu_context ctx{1, 1, 0, guest.pt, nested ? host.pt : nullptr, nullptr};
    uint64_t page = 0, now = timed;
    for (auto _ : state) {
        struct ts_mmu_access out;
        ts_mmu_access(m, &ctx, page * kPage, TS_MMU_READ, now, &out);
        benchmark::DoNotOptimize(out);
        page = page + 1 == pages ? 0 : page + 1;
        now += timed ? out.cycles + 1 : 0;
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
    const struct ts_mmu_stats *stats = ts_mmu_stats(m);
    state.counters["l1"] =
        static_cast<double>(stats->l1_hits) / static_cast<double>(stats->accesses);
    state.counters["l2"] =
        static_cast<double>(stats->l2_hits) / static_cast<double>(stats->accesses);
    ts_mmu_destroy(m);
}

/* 32 pages hit the L1, 1024 the second level, 8192 neither. */
void native(benchmark::State &state)
{
    touch(state, false, false);
}
BENCHMARK(native)->Arg(32)->Arg(1024)->Arg(8192);
void native_timed(benchmark::State &state)
{
    touch(state, false, true);
}
BENCHMARK(native_timed)->Arg(32)->Arg(1024)->Arg(8192);
void nested(benchmark::State &state)
{
    touch(state, true, false);
}
BENCHMARK(nested)->Arg(32)->Arg(1024)->Arg(8192);

/* A page in turn with its invalidation, as after an mprotect. */
void invalidate(benchmark::State &state)
{
    Table table;
    for (uint64_t page = 0; page < 64; page++)
        table.map(page * kPage, page * kPage);
    ts_mmu_params params{};
    ts_param_defaults(&ts_mmu_param_table, &params);
    ts_mmu_wiring wiring{};
    ts_mmu *m = nullptr;
    ts_error err{};
    ts_mmu_create(&m, &params, 1, &wiring, &err);
    ts_mmu_context ctx{0, 1, 0, table.pt, nullptr, nullptr};
    uint64_t page = 0;
    for (auto _ : state) {
        struct ts_mmu_access out;
        ts_mmu_access(m, &ctx, page * kPage, TS_MMU_READ, 0, &out);
        benchmark::DoNotOptimize(out);
        ts_tlb_inval inval = ts_inval_invpcid_addr(0, 1, page * kPage);
        ts_mmu_invalidate(m, &inval, 0);
        page = (page + 1) % 64;
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
    ts_mmu_destroy(m);
}
BENCHMARK(invalidate);

} // namespace
