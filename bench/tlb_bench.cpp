/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups, fills and invalidations of single structures, page touches through the MMU, and ranges
 * of a page table. Items are look-ups, touches or leaves. */
#include "models/mmu/mmu.h"

#include <benchmark/benchmark.h>

#include <list>
#include <random>
#include <vector>

namespace
{

constexpr uint64_t kPage = 4096;
constexpr size_t kQueries = 1 << 16;

ts_tlb_entry entry_of(uint16_t vmid, uint16_t asid, uint64_t page)
{
    ts_tlb_entry e{};
    e.tags.kind = TS_TLB_COMBINED;
    e.tags.vmid = vmid;
    e.tags.asid = asid;
    e.tags.size_shift = 12;
    e.tags.base = page * kPage;
    e.target = page * kPage;
    return e;
}

struct Tlb {
    Tlb(uint32_t entries, uint32_t ways, const char *policy = "tree_plru")
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
    const ts_tlb_entry *lookup(uint16_t vmid, uint16_t asid, uint64_t va)
    {
        return ts_tlb_lookup(t, ts_tlb_key(TS_TLB_COMBINED, ts_tlb_space{vmid, asid, 0, 0}), va);
    }
    void insert(uint16_t vmid, uint16_t asid, uint64_t page)
    {
        ts_tlb_entry e = entry_of(vmid, asid, page);
        ts_tlb_insert(t, &e, nullptr, nullptr);
    }
    uint32_t invalidate(const ts_tlb_inval &inval)
    {
        return ts_tlb_invalidate(t, &inval, nullptr);
    }
    ts_tlb *t = nullptr;
};

/* What one would write first: a list for each set, the last used in front. An invalidation asks
 * every entry. */
class ListTlb
{
  public:
    ListTlb(uint32_t entries, uint32_t ways) : nways(ways), sets(entries / ways)
    {
    }
    const ts_tlb_entry *lookup(uint16_t vmid, uint16_t asid, uint64_t va)
    {
        for (uint32_t shift : {12u, 21u}) {
            auto &set = sets[(va >> shift) % sets.size()];
            for (auto e = set.begin(); e != set.end(); ++e)
                if (e->tags.vmid == vmid && (e->tags.global || e->tags.asid == asid) &&
                    e->tags.size_shift == shift && e->tags.base == va >> shift << shift) {
                    set.splice(set.begin(), set, e);
                    return &*e;
                }
        }
        return nullptr;
    }
    void insert(uint16_t vmid, uint16_t asid, uint64_t page)
    {
        auto &set = sets[page % sets.size()];
        if (set.size() == nways)
            set.pop_back();
        set.push_front(entry_of(vmid, asid, page));
    }
    uint32_t invalidate(const ts_tlb_inval &inval)
    {
        size_t dropped = 0;
        for (auto &set : sets) {
            size_t before = set.size();
            set.remove_if([&](const auto &e) { return ts_tlb_inval_matches(&inval, &e.tags); });
            dropped += before - set.size();
        }
        return static_cast<uint32_t>(dropped);
    }

  private:
    uint32_t nways;
    std::vector<std::list<ts_tlb_entry>> sets;
};

std::vector<uint64_t> queries(uint64_t first, uint64_t pages)
{
    std::mt19937_64 random(7);
    std::vector<uint64_t> q(kQueries);
    for (uint64_t &va : q)
        va = (first + random() % pages) * kPage;
    return q;
}

template <typename T> void lookup(benchmark::State &state, bool present)
{
    auto entries = static_cast<uint32_t>(state.range(0));
    T tlb(entries, static_cast<uint32_t>(state.range(1)));
    for (uint64_t page = 0; page < entries; page++)
        tlb.insert(1, 1, page);
    auto q = queries(present ? 0 : entries, entries);
    size_t i = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(tlb.lookup(1, 1, q[i]));
        i = (i + 1) % kQueries;
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

template <typename T> void hit(benchmark::State &state)
{
    lookup<T>(state, true);
}
template <typename T> void miss(benchmark::State &state)
{
    lookup<T>(state, false);
}
BENCHMARK_TEMPLATE(hit, Tlb)->Args({64, 4})->Args({1536, 12})->Args({2048, 8})->Args({64, 64});
BENCHMARK_TEMPLATE(hit, ListTlb)->Args({64, 4})->Args({1536, 12})->Args({2048, 8})->Args({64, 64});
BENCHMARK_TEMPLATE(miss, Tlb)->Args({64, 4})->Args({1536, 12})->Args({2048, 8})->Args({64, 64});
BENCHMARK_TEMPLATE(miss, ListTlb)->Args({1536, 12})->Args({64, 64});

/* The other policies: what a hit costs depends on what a use does. */
void hit_policy(benchmark::State &state, const char *policy)
{
    Tlb tlb(1536, 12, policy);
    for (uint64_t page = 0; page < 1536; page++)
        tlb.insert(1, 1, page);
    auto q = queries(0, 1536);
    size_t i = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(tlb.lookup(1, 1, q[i]));
        i = (i + 1) % kQueries;
    }
}
BENCHMARK_CAPTURE(hit_policy, lru, "lru");
BENCHMARK_CAPTURE(hit_policy, bit_plru, "bit_plru");
BENCHMARK_CAPTURE(hit_policy, fifo, "fifo");

/* In a structure that is empty, or that does not exist. */
void miss_empty(benchmark::State &state)
{
    Tlb tlb(static_cast<uint32_t>(state.range(0)), 12);
    auto q = queries(0, 1536);
    size_t i = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(tlb.lookup(1, 1, q[i]));
        i = (i + 1) % kQueries;
    }
}
BENCHMARK(miss_empty)->Arg(0)->Arg(1536);

/* Every look-up misses, fills and evicts. */
void miss_and_fill(benchmark::State &state)
{
    auto entries = static_cast<uint32_t>(state.range(0));
    Tlb tlb(entries, static_cast<uint32_t>(state.range(1)));
    uint64_t page = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(tlb.lookup(1, 1, page * kPage));
        tlb.insert(1, 1, page++);
    }
}
BENCHMARK(miss_and_fill)->Args({64, 4})->Args({1536, 12})->Args({64, 64});

/* What a CPU does: look-ups of twice as many pages as fit, four of five in the half that does, with
 * fills; after 256 of them an invalidation: pages mostly, sometimes the ASID. */
template <typename T> void mix(benchmark::State &state)
{
    constexpr uint32_t entries = 1536;
    T tlb(entries, 12);
    std::mt19937_64 random(9);
    std::vector<uint64_t> q(kQueries);
    for (uint64_t &page : q)
        page = random() % (random() % 5 ? entries / 2 : 2 * entries);
    size_t i = 0;
    for (auto _ : state) {
        uint64_t page = q[i];
        const ts_tlb_entry *e = tlb.lookup(1, 1, page * kPage);
        benchmark::DoNotOptimize(e);
        if (!e)
            tlb.insert(1, 1, page);
        if (i % 256 == 0)
            tlb.invalidate(i % 8192 == 0 ? ts_inval_mov_cr3(1, 1)
                                         : ts_inval_invlpg(1, 1, page * kPage));
        i = (i + 1) % kQueries;
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK_TEMPLATE(mix, Tlb);
BENCHMARK_TEMPLATE(mix, ListTlb);

/* Flushes of a full structure. The return of range(0) entries in turn is part of the time; all of
 * them are dropped by the flush. */
template <typename T> void flush(benchmark::State &state, const ts_tlb_inval &inval, uint16_t asids)
{
    T tlb(1536, 12);
    for (uint64_t page = 0; page < 1536; page++)
        tlb.insert(1, static_cast<uint16_t>(2 + page % asids), page);
    auto pages = static_cast<uint64_t>(state.range(0));
    for (auto _ : state) {
        for (uint64_t page = 0; page < pages; page++)
            tlb.insert(1, 1, page);
        benchmark::DoNotOptimize(tlb.invalidate(inval));
    }
}
template <typename T> void flush_all(benchmark::State &state)
{
    flush<T>(state, ts_inval_svm_flush_all(), 1);
}
template <typename T> void flush_vmid(benchmark::State &state)
{
    flush<T>(state, ts_inval_tlbi_vmalle1(1), 1);
}
/* One ASID among 256 others. */
template <typename T> void flush_asid(benchmark::State &state)
{
    flush<T>(state, ts_inval_tlbi_aside1(1, 1), 256);
}
template <typename T> void one_page(benchmark::State &state)
{
    flush<T>(state, ts_inval_invlpg(1, 1, 0), 256);
}
BENCHMARK_TEMPLATE(flush_all, Tlb)->Arg(1)->Arg(512);
BENCHMARK_TEMPLATE(flush_all, ListTlb)->Arg(1)->Arg(512);
BENCHMARK_TEMPLATE(flush_vmid, Tlb)->Arg(1)->Arg(512);
BENCHMARK_TEMPLATE(flush_vmid, ListTlb)->Arg(1)->Arg(512);
BENCHMARK_TEMPLATE(flush_asid, Tlb)->Arg(1)->Arg(512);
BENCHMARK_TEMPLATE(flush_asid, ListTlb)->Arg(1)->Arg(512);
BENCHMARK_TEMPLATE(one_page, Tlb)->Arg(1);
BENCHMARK_TEMPLATE(one_page, ListTlb)->Arg(1);

/* The fills alone, to be taken off the above. */
void refill(benchmark::State &state)
{
    Tlb tlb(1536, 12);
    for (auto _ : state)
        for (uint64_t page = 0; page < static_cast<uint64_t>(state.range(0)); page++)
            tlb.insert(1, 1, page);
}
BENCHMARK(refill)->Arg(1)->Arg(512);

/* Of a page that is not there. */
void invlpg(benchmark::State &state)
{
    Tlb tlb(static_cast<uint32_t>(state.range(0)), static_cast<uint32_t>(state.range(1)));
    tlb.insert(1, 1, 0);
    uint64_t page = 1;
    for (auto _ : state) {
        benchmark::DoNotOptimize(tlb.invalidate(ts_inval_invlpg(1, 1, page * kPage)));
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
        ts_pt_frames frames{};
        frames.alloc_table = next_frame;
        frames.free_table = no_free;
        frames.user = &frame;
        ts_error err{};
        ts_pgtable_create(&pt, TS_GRANULE_4K, 4, &frames, &err);
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
    ts_mmu_wiring wiring{};
    ts_mmu_create(&mmu, &params, 1, &wiring, &err);
    ts_mmu_context ctx{1, 1, 0, guest.pt, state.range(1) ? host.pt : nullptr, nullptr};
    struct ts_mmu_access out {
    };
    uint64_t page = 0;
    for (auto _ : state) {
        ts_mmu_access(mmu, &ctx, page * kPage, TS_MMU_WRITE, 0, &out);
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
