/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the flit-level network runs: the 8x8 mesh of tests/data/noc under uniform traffic,
 * 1-flit packets. Items are flit-hops; cycles/s are simulated cycles. The generator of the traffic
 * is part of what is timed, as it is in other simulators' figures. */
#include "models/interconnect/noc.h"
#include "sim/rng.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

namespace
{

constexpr uint32_t kNodes = 64;

struct Mesh {
    explicit Mesh(bool speculative, ts_noc_multicast_kind multicast = TS_NOC_REPEATED)
        : queued(kNodes, 0), rng(kNodes)
    {
        ts_noc_params p{};
        ts_error err{};

        p.classes = 1;
        p.vcs = 4;
        p.depth = 8;
        p.rc = speculative ? 0 : 1;
        p.va = p.st = p.link = p.credit = 1;
        p.speculative = speculative;
        p.packets = kNodes * 128;
        p.multicast = multicast;
        if (ts_noc_create(&noc, ts_fabric_find("mesh"), kNodes, &p, deliver, this, &err) != TS_OK)
            std::abort();
        for (uint32_t i = 0; i < kNodes; i++)
            ts_rng_init(&rng[i], 1, "bench", i);
    }
    Mesh(const Mesh &) = delete;
    Mesh &operator=(const Mesh &) = delete;
    ~Mesh()
    {
        ts_noc_destroy(noc);
    }
    static void deliver(void *user, const ts_noc_delivery *d)
    {
        static_cast<Mesh *>(user)->queued[d->src]--;
    }
    /* Load in millionths of a flit a node and cycle. A source with 16 packets waits. */
    void run(uint64_t cycles, uint64_t load_ppm, uint32_t flits)
    {
        for (uint64_t end = cycle + cycles; cycle < end; cycle++) {
            for (uint32_t i = 0; i < kNodes; i++)
                if (ts_rng_chance(&rng[i], load_ppm, 1000000 * flits) && queued[i] < 16 &&
                    ts_noc_send(noc, cycle, i, static_cast<uint32_t>(ts_rng_below(&rng[i], kNodes)),
                                0, flits, 0))
                    queued[i]++;
            ts_noc_step(noc, cycle);
        }
    }
    void report(benchmark::State &state, uint64_t hops_before, uint64_t cycles_before) const
    {
        ts_error err{};

        if (ts_noc_check(noc, &err) != TS_OK)
            state.SkipWithError(err.message);
        state.SetItemsProcessed(static_cast<int64_t>(ts_noc_stats(noc)->flit_hops - hops_before));
        state.counters["cycles/s"] = benchmark::Counter(static_cast<double>(cycle - cycles_before),
                                                        benchmark::Counter::kIsRate);
    }

    ts_noc *noc = nullptr;
    std::vector<uint32_t> queued;
    std::vector<ts_rng> rng;
    uint64_t cycle = 0;
};

/* Router (0: P4, 1: P2spec), load in thousandths, flits a packet. */
void BM_UniformTraffic(benchmark::State &state)
{
    Mesh m(state.range(0) != 0);
    auto load = static_cast<uint64_t>(state.range(1)) * 1000;
    auto flits = static_cast<uint32_t>(state.range(2));

    m.run(2000, load, flits);
    uint64_t hops = ts_noc_stats(m.noc)->flit_hops, cycles = m.cycle;
    for (auto _ : state)
        m.run(1000, load, flits);
    m.report(state, hops, cycles);
}
BENCHMARK(BM_UniformTraffic)
    ->ArgNames({"spec", "load", "flits"})
    ->ArgsProduct({{0, 1}, {100, 300, 600}, {1}})
    ->ArgsProduct({{0, 1}, {300}, {5}});

/* An idle network: what asking it costs. Items are questions. */
void BM_Idle(benchmark::State &state)
{
    Mesh m(false);
    uint64_t cycle = 0;

    for (auto _ : state)
        benchmark::DoNotOptimize(ts_noc_next(m.noc, ++cycle));
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(BM_Idle);

/* A packet alone on the mesh, corner to corner: no cost for routers that have nothing to do. */
void BM_OnePacket(benchmark::State &state)
{
    Mesh m(false);
    uint64_t hops = ts_noc_stats(m.noc)->flit_hops, cycles = m.cycle;

    for (auto _ : state) {
        uint64_t next;

        m.queued[0]++;
        ts_noc_send(m.noc, m.cycle, 0, kNodes - 1, 0, 1, 0);
        while ((next = ts_noc_next(m.noc, m.cycle)) != TS_NOC_NEVER) {
            ts_noc_step(m.noc, next);
            m.cycle = next + 1;
        }
    }
    m.report(state, hops, cycles);
}
BENCHMARK(BM_OnePacket);

/* A broadcast to all 64 nodes, alone; repeated (0) or as a tree (1). Items are deliveries. */
void BM_Broadcast(benchmark::State &state)
{
    Mesh m(false, state.range(0) != 0 ? TS_NOC_TREE : TS_NOC_REPEATED);
    std::vector<uint32_t> all;

    for (uint32_t i = 0; i < kNodes; i++)
        all.push_back(i);
    for (auto _ : state) {
        uint64_t next;

        m.queued[27] += kNodes;
        ts_noc_multicast(m.noc, m.cycle, 27, all.data(), kNodes, 0, 1, 0);
        while ((next = ts_noc_next(m.noc, m.cycle)) != TS_NOC_NEVER) {
            ts_noc_step(m.noc, next);
            m.cycle = next + 1;
        }
    }
    state.SetItemsProcessed(static_cast<int64_t>(ts_noc_stats(m.noc)->packets_delivered));
}
BENCHMARK(BM_Broadcast)->ArgName("tree")->Arg(0)->Arg(1);

} // namespace
