/* SPDX-License-Identifier: Apache-2.0 */
/* What page tables cost: the page-by-page operations of the guest and of walkers, runs of
 * terabytes, and the memory of many processes. */
#include "models/mmu/pgtable.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

namespace
{

constexpr uint64_t kPage = 4096, kMiB = UINT64_C(1) << 20, kGiB = UINT64_C(1) << 30;
constexpr uint64_t kTiB = UINT64_C(1) << 40;

struct Table {
    Table()
    {
        ts_pt_frames frames{};
        frames.alloc_table = [](void *user) { return *static_cast<uint64_t *>(user) += kPage; };
        frames.free_table = [](void *, uint64_t) {};
        frames.alloc_run = [](void *user, uint64_t count) {
            auto *last = static_cast<uint64_t *>(user);
            uint64_t first = *last + kPage;
            *last += count * kPage;
            return first;
        };
        frames.free_run = [](void *, uint64_t, uint64_t) {};
        frames.user = &next;
        ts_error err{};
        if (ts_pgtable_create(&pt, TS_GRANULE_4K, 4, &frames, &err) != TS_OK)
            std::abort();
    }
    ~Table()
    {
        ts_pgtable_destroy(pt);
    }
    Table(const Table &) = delete;
    Table &operator=(const Table &) = delete;
    static ts_pte pte(uint64_t target)
    {
        ts_pte p{};
        p.target = target;
        p.size_shift = 12;
        p.writable = true;
        p.accessed = true;
        return p;
    }
    void map(uint64_t va, uint64_t pages = 1)
    {
        for (uint64_t i = 0; i < pages; i++, va += kPage) {
            ts_pte p = pte(va);
            ts_pgtable_map(pt, va, &p);
        }
    }
    uint64_t run(uint64_t va, uint64_t bytes)
    {
        ts_pte p = pte(va);
        return ts_pgtable_map_run(pt, va, bytes / kPage, &p);
    }
    uint64_t clear(uint64_t start, uint64_t end)
    {
        uint64_t resume;
        return ts_pgtable_clear(pt, start, end, UINT64_MAX, nullptr, nullptr, &resume);
    }
    uint32_t freeTables(uint64_t start, uint64_t end)
    {
        uint32_t freed[TS_PT_LEVELS_MAX];
        return ts_pgtable_free_tables(pt, start, end, 0, 0, freed);
    }
    uint64_t next = UINT64_C(1) << 50;
    ts_pgtable *pt = nullptr;
};

/* Pages of the state's first argument, in ascending order or at random. */
std::vector<uint64_t> addresses(const benchmark::State &state)
{
    auto pages = static_cast<uint64_t>(state.range(0));
    std::vector<uint64_t> va(1u << 16);
    std::mt19937_64 random(1);
    for (size_t i = 0; i < va.size(); i++)
        va[i] = 10 * kGiB + (state.range(1) ? random() : i) % pages * kPage;
    return va;
}

void pagesAndOrder(benchmark::internal::Benchmark *b)
{
    b->ArgNames({"pages", "random"});
    for (int64_t pages : {16, 512, 262144})
        for (int64_t random : {0, 1})
            b->Args({pages, random});
}

/* Each page by its own call, both ways; tables stay. */
void map_clear_pages(benchmark::State &state)
{
    Table t;
    auto pages = static_cast<uint64_t>(state.range(0));
    for (auto _ : state) {
        t.map(10 * kGiB, pages);
        for (uint64_t i = 0; i < pages; i++)
            t.clear(10 * kGiB + i * kPage, 10 * kGiB + (i + 1) * kPage);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(map_clear_pages)->ArgName("pages")->Arg(1)->Arg(16)->Arg(512)->Arg(16384);

/* What mmap, touch and munmap do. */
void map_unmap_area(benchmark::State &state)
{
    Table t;
    auto pages = static_cast<uint64_t>(state.range(0));
    t.map(9 * kGiB); /* a neighbour that keeps the upper tables */
    for (auto _ : state) {
        t.map(10 * kGiB, pages);
        t.clear(10 * kGiB, 10 * kGiB + pages * kPage);
        benchmark::DoNotOptimize(t.freeTables(10 * kGiB, 10 * kGiB + pages * kPage));
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(map_unmap_area)->ArgName("pages")->Arg(1)->Arg(16)->Arg(512)->Arg(16384);

void lookup(benchmark::State &state)
{
    Table t;
    t.map(10 * kGiB, static_cast<uint64_t>(state.range(0)));
    std::vector<uint64_t> va = addresses(state);
    size_t i = 0;
    ts_pte pte;
    for (auto _ : state)
        benchmark::DoNotOptimize(ts_pgtable_lookup(t.pt, va[i++ & 0xffff], &pte));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(lookup)->Apply(pagesAndOrder);

void walk_from_top(benchmark::State &state)
{
    Table t;
    t.map(10 * kGiB, static_cast<uint64_t>(state.range(0)));
    std::vector<uint64_t> va = addresses(state);
    uint64_t fetch[TS_PT_LEVELS_MAX], root = ts_pgtable_root(t.pt);
    uint8_t levels[TS_PT_LEVELS_MAX];
    size_t i = 0;
    bool found;
    ts_pte pte;
    for (auto _ : state)
        benchmark::DoNotOptimize(
            ts_pgtable_walk(t.pt, va[i++ & 0xffff], 3, root, fetch, levels, &found, &pte));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(walk_from_top)->Apply(pagesAndOrder);

/* From the level-0 table, as a walk cache gives it. */
void walk_from_last(benchmark::State &state)
{
    Table t;
    t.map(10 * kGiB, static_cast<uint64_t>(state.range(0)));
    std::vector<uint64_t> va = addresses(state), table(va.size());
    uint64_t fetch[TS_PT_LEVELS_MAX];
    uint8_t levels[TS_PT_LEVELS_MAX];
    size_t i = 0;
    bool found;
    ts_pte pte;
    for (size_t k = 0; k < va.size(); k++) {
        ts_pgtable_walk(t.pt, va[k], 3, ts_pgtable_root(t.pt), fetch, levels, &found, &pte);
        table[k] = fetch[3] / kPage * kPage;
    }
    for (auto _ : state) {
        size_t k = i++ & 0xffff;
        benchmark::DoNotOptimize(
            ts_pgtable_walk(t.pt, va[k], 0, table[k], fetch, levels, &found, &pte));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(walk_from_last)->Apply(pagesAndOrder);

void map_run_and_free(benchmark::State &state)
{
    uint64_t bytes = static_cast<uint64_t>(state.range(0)) * kGiB;
    Table t;
    for (auto _ : state) {
        benchmark::DoNotOptimize(t.run(kTiB - kPage, bytes));
        t.clear(kTiB - kPage, kTiB - kPage + bytes);
        benchmark::DoNotOptimize(t.freeTables(kTiB - kPage, kTiB - kPage + bytes));
    }
    state.counters["bytes"] = static_cast<double>(ts_pgtable_bytes(t.pt));
}
BENCHMARK(map_run_and_free)->ArgName("GiB")->Arg(1)->Arg(1024)->Arg(16384);

void walk_a_run(benchmark::State &state)
{
    Table t;
    t.run(0, 16 * kTiB);
    std::mt19937_64 random(1);
    std::vector<uint64_t> va(1u << 16);
    for (uint64_t &a : va)
        a = random() % (16 * kTiB);
    uint64_t fetch[TS_PT_LEVELS_MAX], root = ts_pgtable_root(t.pt);
    uint8_t levels[TS_PT_LEVELS_MAX];
    size_t i = 0;
    bool found;
    ts_pte pte;
    for (auto _ : state)
        benchmark::DoNotOptimize(
            ts_pgtable_walk(t.pt, va[i++ & 0xffff], 3, root, fetch, levels, &found, &pte));
    state.counters["bytes"] = static_cast<double>(ts_pgtable_bytes(t.pt));
}
BENCHMARK(walk_a_run);

/* 30 pages each: program, heap, libraries and stack. */
void small_processes(benchmark::State &state)
{
    auto count = static_cast<size_t>(state.range(0));
    double bytes = 0;
    for (auto _ : state) {
        std::vector<std::unique_ptr<Table>> processes;
        bytes = 0;
        for (size_t p = 0; p < count; p++) {
            processes.push_back(std::make_unique<Table>());
            processes.back()->map(4 * kMiB, 8);
            processes.back()->map(24 * kMiB, 7);
            processes.back()->map(UINT64_C(0x7f1200000000), 8);
            processes.back()->map(UINT64_C(0x7ffc12340000), 7);
            bytes += static_cast<double>(ts_pgtable_bytes(processes.back()->pt));
        }
    }
    state.counters["bytes_each"] = bytes / static_cast<double>(count);
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(small_processes)->Arg(100)->Arg(10000);

} // namespace
