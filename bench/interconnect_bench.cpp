/* SPDX-License-Identifier: Apache-2.0 */
/* How fast messages, line transfers and DVM operations are simulated. */
#include "models/dvm/dvm.h"
#include "models/interconnect/fabric.h"
#include "models/interconnect/interconnect.h"
#include "models/line/line.h"
#include "sim/rng.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

namespace
{

void check(ts_status status)
{
    if (status != TS_OK)
        std::abort();
}

template <typename Params> Params defaults(const ts_param_table &table)
{
    Params p{};

    ts_param_defaults(&table, &p);
    return p;
}

/* An 8x8 mesh. */
struct Machine {
    ts_engine *engine = nullptr;
    ts_topology topo{};
    ts_interconnect *ic = nullptr;
    ts_error err{};

    explicit Machine(uint64_t cores = 64)
    {
        auto t = defaults<ts_topology_params>(ts_topology_param_table);
        auto n = defaults<ts_interconnect_params>(ts_interconnect_param_table);
        ts_engine_config config{};

        t.sockets = 1;
        t.cores_per_socket = cores;
        check(ts_engine_create(&engine, &config, &err));
        check(ts_topology_init(&topo, &t, &err));
        check(ts_interconnect_create(&ic, engine, &topo, &n, &err));
    }
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;
    ~Machine()
    {
        ts_interconnect_destroy(ic);
        ts_topology_fini(&topo);
        ts_engine_destroy(engine);
    }
    void run()
    {
        ts_engine_run(engine, TS_TIME_NEVER - 1);
    }
};

struct Traveller {
    ts_msg msg; /* first: deliver casts back */
    ts_rng *rng;
    uint64_t *left;
};

void onward(ts_interconnect *ic, ts_msg *msg)
{
    auto *t = reinterpret_cast<Traveller *>(msg);

    if (*t->left == 0)
        return;
    --*t->left;
    msg->src = msg->dst;
    msg->dst = static_cast<uint32_t>(ts_rng_next(t->rng) & 63u);
    ts_interconnect_send(ic, msg);
}

/* Uniform random messages; the argument is how many are in flight. */
void BM_MeshMessages(benchmark::State &state)
{
    Machine m;
    ts_rng rng;
    uint64_t left = 0, events = ts_engine_events_run(m.engine);
    const uint64_t batch = 20000;

    ts_rng_init(&rng, 1, "bench", 0);
    for (auto _ : state) {
        std::vector<Traveller> travellers(static_cast<size_t>(state.range(0)));

        left = batch;
        for (size_t i = 0; i < travellers.size(); i++) {
            travellers[i].rng = &rng;
            travellers[i].left = &left;
            travellers[i].msg.flits = static_cast<uint32_t>(1 + i % 3);
            travellers[i].msg.deliver = onward;
            onward(m.ic, &travellers[i].msg);
        }
        m.run();
    }
    state.SetItemsProcessed(static_cast<int64_t>(ts_interconnect_stats(m.ic)->messages));
    state.counters["events/s"] = benchmark::Counter(
        static_cast<double>(ts_engine_events_run(m.engine) - events), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_MeshMessages)->Arg(1)->Arg(16)->Arg(256);

/* Two cores at opposite corners take a line from each other. */
void BM_LinePingPong(benchmark::State &state)
{
    struct Pair {
        ts_line line;
        ts_line_req req;
        uint64_t left;
        uint32_t core;
        static void done(ts_line_req *r)
        {
            auto *p = static_cast<Pair *>(r->user);
            uint64_t cycles = 0;

            if (p->left-- == 0)
                return;
            p->core = 63 - p->core;
            ts_line_access(r->system, &p->line, p->core, TS_LINE_RMW, r, done, p, &cycles);
        }
    } pair{};
    Machine m;
    auto params = defaults<ts_line_params>(ts_line_param_table);
    ts_line_system *lines = nullptr;
    uint64_t cycles = 0;

    check(ts_line_system_create(&lines, m.engine, &m.topo, m.ic, &params, &m.err));
    ts_line_init(lines, &pair.line, 1, 0);
    for (auto _ : state) {
        pair.left = 10000;
        pair.core = 63 - pair.core;
        ts_line_access(lines, &pair.line, pair.core, TS_LINE_RMW, &pair.req, Pair::done, &pair,
                       &cycles);
        m.run();
    }
    state.SetItemsProcessed(static_cast<int64_t>(ts_line_system_stats(lines)->misses));
    ts_line_system_destroy(lines);
}
BENCHMARK(BM_LinePingPong);

/* Broadcast TLBIs, each with its DSB, from one core; the argument is the number of cores. */
void BM_DvmTlbiDsb(benchmark::State &state)
{
    struct Issuer {
        ts_dvm *dvm;
        uint64_t left;
        void next()
        {
            ts_tlb_inval inval = ts_inval_tlbi_vmalle1(1);

            while (left > 0) {
                left--;
                ts_dvm_issue(dvm, 0, &inval);
                if (!ts_dvm_dsb(dvm, 0, done, this))
                    return;
            }
        }
        static void done(void *user, uint32_t)
        {
            static_cast<Issuer *>(user)->next();
        }
    } issuer{};
    Machine m(static_cast<uint64_t>(state.range(0)));
    auto params = defaults<ts_dvm_params>(ts_dvm_param_table);
    auto apply = [](void *, uint32_t, const ts_tlb_inval *) { return UINT64_C(4); };

    check(ts_dvm_create(&issuer.dvm, m.engine, &m.topo, m.ic, &params, apply, nullptr, &m.err));
    for (auto _ : state) {
        issuer.left = 200;
        issuer.next();
        m.run();
    }
    state.SetItemsProcessed(static_cast<int64_t>(ts_dvm_stats(issuer.dvm)->issued));
    ts_dvm_destroy(issuer.dvm);
}
BENCHMARK(BM_DvmTlbiDsb)->Arg(16)->Arg(64);

} // namespace
