/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups, fills and invalidations of single structures, page touches through the MMU, and ranges
 * of a page table. Items are look-ups, touches or leaves. */
#include "models/mmu/mmu.h"

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

namespace
{

constexpr uint64_t kPage = 4096;
constexpr size_t kQueries = 1 << 16;

struct Tlb {
    explicit Tlb(uint32_t entries, uint32_t ways, const char *policy = "tree_plru")
    {
        ts_tlb_geometry g{};
        g.entries = entries;
        g.ways = ways;
        g.nsizes = 2;
        g.size_shift[0] = 12;
        g.size_shift[1] = 21;
        g.replacement = ts_replacement_find(policy);
        ts_error err{};
        ts_tlb_create(&t, &g, 1, 0, &err);
    }
    ~Tlb()
    {
        ts_tlb_destroy(t);
    }
    void insert(uint16_t vmid, uint16_t asid, uint64_t page)
    {
        ts_tlb_entry e{};
        e.tags.kind = TS_TLB_COMBINED;
        e.tags.vmid = vmid;
        e.tags.asid = asid;
        e.tags.size_shift = 12;
        e.tags.base = page * kPage;
        e.target = page * kPage;
        ts_tlb_insert(t, &e, nullptr, nullptr);
    }
    ts_tlb *t = nullptr;
};

std::vector<uint64_t> queries(uint64_t first, uint64_t pages)
{
    std::mt19937_64 random(7);
    std::vector<uint64_t> q(kQueries);
    for (uint64_t &va : q)
        va = (first + random() % pages) * kPage;
    return q;
}

void lookup(benchmark::State &state, bool present)
{
    auto entries = static_cast<uint32_t>(state.range(0));
    Tlb tlb(entries, static_cast<uint32_t>(state.range(1)));
    for (uint64_t page = 0; page < entries; page++)
        tlb.insert(1, 1, page);
    auto q = queries(present ? 0 : entries, entries);
    size_t i = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(ts_tlb_lookup(tlb.t, TS_TLB_COMBINED, 1, 1, q[i]));
        i = (i + 1) % kQueries;
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

void hit(benchmark::State &state)
{
    lookup(state, true);
}
void miss(benchmark::State &state)
{
    lookup(state, false);
}
BENCHMARK(hit)->Args({64, 4})->Args({1536, 12})->Args({2048, 8})->Args({64, 64});
BENCHMARK(miss)->Args({64, 4})->Args({1536, 12})->Args({2048, 8})->Args({64, 64});

/* Every look-up misses, fills and evicts. */
void miss_and_fill(benchmark::State &state)
{
    auto entries = static_cast<uint32_t>(state.range(0));
    Tlb tlb(entries, static_cast<uint32_t>(state.range(1)));
    uint64_t page = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(ts_tlb_lookup(tlb.t, TS_TLB_COMBINED, 1, 1, page * kPage));
        tlb.insert(1, 1, page++);
    }
}
BENCHMARK(miss_and_fill)->Args({64, 4})->Args({1536, 12})->Args({64, 64});

/* A flush of a VM that holds range(0) entries, and their return. Without = 1 only the return. */
void vmid_flush(benchmark::State &state)
{
    Tlb tlb(1536, 12);
    for (uint64_t page = 0; page < 512; page++)
        tlb.insert(2, 1, page);
    auto pages = static_cast<uint64_t>(state.range(0));
    ts_tlb_inval inval = ts_inval_tlbi_vmalle1(1);
    for (auto _ : state) {
        for (uint64_t page = 0; page < pages; page++)
            tlb.insert(1, 1, page);
        if (!state.range(1))
            benchmark::DoNotOptimize(ts_tlb_invalidate(tlb.t, &inval, nullptr));
    }
}
BENCHMARK(vmid_flush)->Args({1, 0})->Args({1, 1})->Args({512, 0})->Args({512, 1});

void invlpg(benchmark::State &state)
{
    Tlb tlb(static_cast<uint32_t>(state.range(0)), static_cast<uint32_t>(state.range(1)));
    tlb.insert(1, 1, 0);
    uint64_t page = 1;
    for (auto _ : state) {
        ts_tlb_inval inval = ts_inval_invlpg(1, 1, page * kPage);
        benchmark::DoNotOptimize(ts_tlb_invalidate(tlb.t, &inval, nullptr));
        page = page % 1000 + 1;
    }
}
BENCHMARK(invlpg)->Args({64, 4})->Args({1536, 12})->Args({64, 64});

uint64_t next_frame(void *user)
{
    return *static_cast<uint64_t *>(user) += kPage;
}
void no_free(void *, uint64_t)
{
}

struct Table {
    Table()
    {
        ts_pt_frames frames{next_frame, no_free, &frame};
        ts_error err{};
        ts_pgtable_create(&pt, 4, &frames, &err);
    }
    ~Table()
    {
        ts_pgtable_destroy(pt);
    }
    void map(uint64_t va, uint64_t target)
    {
        ts_pte pte{};
        pte.target = target;
        pte.size_shift = 12;
        pte.writable = true;
        ts_pgtable_map(pt, va, &pte);
    }
    uint64_t frame = UINT64_C(1) << 40;
    ts_pgtable *pt = nullptr;
};

/* Writes to range(0) pages in turn; with range(1), under a second stage. */
void touch(benchmark::State &state)
{
    auto pages = static_cast<uint64_t>(state.range(0));
    Table guest, host;
    for (uint64_t page = 0; page < pages; page++) {
        guest.map(page * kPage, page * kPage);
        host.map(page * kPage, page * kPage);
    }
    for (uint64_t table = (UINT64_C(1) << 40) + kPage; table <= guest.frame; table += kPage)
        host.map(table, table);
    ts_mmu_params params{};
    ts_param_defaults(&ts_mmu_param_table, &params);
    ts_mmu *mmu = nullptr;
    ts_error err{};
    ts_mmu_create(&mmu, &params, 1, 0, &err);
    ts_mmu_context ctx{1, 1, guest.pt, state.range(1) ? host.pt : nullptr};
    struct ts_mmu_access out {
    };
    uint64_t page = 0;
    for (auto _ : state) {
        ts_mmu_access(mmu, &ctx, page * kPage, true, &out);
        benchmark::DoNotOptimize(out.pa);
        page = page + 1 == pages ? 0 : page + 1;
    }
    const struct ts_mmu_stats *stats = ts_mmu_stats(mmu);
    state.counters["l1_permille"] = static_cast<double>(stats->l1_hits * 1000 / stats->accesses);
    state.counters["l2_permille"] = static_cast<double>(stats->l2_hits * 1000 / stats->accesses);
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
    ts_mmu_destroy(mmu);
}
BENCHMARK(touch)
    ->ArgNames({"pages", "nested"})
    ->Args({32, 0})
    ->Args({1024, 0})
    ->Args({16384, 0})
    ->Args({32, 1})
    ->Args({16384, 1});

/* Clears and frees a range of 1 TB that holds range(0) pages, each in its own 2M. */
void clear_sparse(benchmark::State &state)
{
    auto pages = static_cast<uint64_t>(state.range(0));
    uint64_t end = UINT64_C(1) << 40;
    Table table;
    for (auto _ : state) {
        state.PauseTiming();
        for (uint64_t page = 0; page < pages; page++)
            table.map(page * (end / pages) & ~(kPage - 1), 0);
        state.ResumeTiming();
        uint64_t resume;
        uint32_t freed[TS_PT_LEVELS_MAX];
        ts_pgtable_clear(table.pt, 0, end, UINT64_MAX, nullptr, nullptr, &resume);
        ts_pgtable_free_tables(table.pt, 0, end, 0, 0, freed);
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(pages));
}
BENCHMARK(clear_sparse)->Arg(1)->Arg(1000);

/* munmap of 64 MB of 4K pages: map, clear, free. */
void map_clear_dense(benchmark::State &state)
{
    constexpr uint64_t pages = 16384;
    Table table;
    for (auto _ : state) {
        for (uint64_t page = 0; page < pages; page++)
            table.map(page * kPage, page * kPage);
        uint64_t resume;
        uint32_t freed[TS_PT_LEVELS_MAX];
        ts_pgtable_clear(table.pt, 0, pages * kPage, UINT64_MAX, nullptr, nullptr, &resume);
        ts_pgtable_free_tables(table.pt, 0, pages * kPage, 0, 0, freed);
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(pages));
}
BENCHMARK(map_clear_dense);

} // namespace
