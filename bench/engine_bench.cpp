/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulation kernel costs: events in the hold model (an event runs and schedules itself
 * again), fiber switches, in-place advances, clock conversions. */
#include "sim/clock.h"
#include "sim/engine.h"
#include "sim/fiber.h"
#include "sim/rng.h"
#include "sim/stats.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace
{

enum class Mix { uniform, noc, cycles };

/* Delays come from a table, so that drawing them costs next to nothing. */
constexpr size_t delay_count = 1u << 16;

std::vector<ts_time> make_delays(Mix mix)
{
    std::vector<ts_time> delays(delay_count);
    ts_rng rng;

    ts_rng_init(&rng, 1, "engine_bench", static_cast<uint64_t>(mix));
    for (ts_time &d : delays) {
        switch (mix) {
        case Mix::uniform: /* 1 ns to 1 us, any picosecond */
            d = ts_rng_between(&rng, TS_NS, TS_US);
            break;
        case Mix::noc: { /* near hops, memory and software, far timers */
            uint64_t kind = ts_rng_below(&rng, 100);

            if (kind < 70)
                d = ts_rng_between(&rng, TS_NS, 5 * TS_NS);
            else if (kind < 95)
                d = ts_rng_between(&rng, 50 * TS_NS, 2050 * TS_NS);
            else
                d = ts_rng_between(&rng, 20 * TS_US, 3 * TS_MS);
            break;
        }
        case Mix::cycles: /* few distinct times: 1 to 4 cycles of 2 GHz */
            d = ts_rng_between(&rng, 1, 4) * 500;
            break;
        }
    }
    return delays;
}

struct Hold {
    ts_event event;
    struct HoldState *state;
};

struct HoldState {
    std::vector<ts_time> delays;
    size_t position = 0;
    uint64_t left = 0;
};

void hold_run(ts_engine *engine, ts_event *event)
{
    HoldState *s = reinterpret_cast<Hold *>(event)->state;

    if (--s->left == 0)
        ts_engine_stop(engine);
    ts_engine_schedule(engine, event,
                       ts_engine_now(engine) + s->delays[s->position++ & (delay_count - 1)],
                       TS_PHASE_HARDWARE);
}

ts_engine *make_engine(ts_queue_kind kind, uint32_t events)
{
    ts_engine_config config = {};
    ts_engine *engine = nullptr;
    ts_error err;

    config.queue = kind;
    config.max_events = events + 1;
    if (ts_engine_create(&engine, &config, &err) != TS_OK)
        abort();
    return engine;
}

void engine_hold(benchmark::State &bench, ts_queue_kind kind, Mix mix)
{
    auto pending = static_cast<uint32_t>(bench.range(0));
    ts_engine *engine = make_engine(kind, pending);
    std::vector<Hold> events(pending);
    HoldState s;

    s.delays = make_delays(mix);
    for (Hold &h : events) {
        ts_event_init(&h.event, hold_run);
        h.state = &s;
        ts_engine_schedule(engine, &h.event, s.delays[s.position++ & (delay_count - 1)],
                           TS_PHASE_HARDWARE);
    }
    /* To the steady state: far events gather until they are most of what is pending. */
    s.left = pending * 40u + 100000u;
    ts_engine_run(engine, TS_TIME_NEVER - 1);
    constexpr uint64_t batch = 1u << 16;
    for (auto _ : bench) {
        s.left = batch;
        ts_engine_run(engine, TS_TIME_NEVER - 1);
    }
    bench.SetItemsProcessed(bench.iterations() * static_cast<int64_t>(batch));
    ts_engine_destroy(engine);
}

void hold_args(benchmark::internal::Benchmark *b)
{
    b->Arg(10)->Arg(1000)->Arg(100000)->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(engine_hold, wheel_noc, TS_QUEUE_WHEEL, Mix::noc)->Apply(hold_args);
BENCHMARK_CAPTURE(engine_hold, wheel_uniform, TS_QUEUE_WHEEL, Mix::uniform)->Apply(hold_args);
BENCHMARK_CAPTURE(engine_hold, wheel_cycles, TS_QUEUE_WHEEL, Mix::cycles)->Apply(hold_args);
BENCHMARK_CAPTURE(engine_hold, heap_noc, TS_QUEUE_HEAP, Mix::noc)->Apply(hold_args);
BENCHMARK_CAPTURE(engine_hold, heap_uniform, TS_QUEUE_HEAP, Mix::uniform)->Apply(hold_args);
BENCHMARK_CAPTURE(engine_hold, heap_cycles, TS_QUEUE_HEAP, Mix::cycles)->Apply(hold_args);

void nothing(ts_engine *, ts_event *)
{
}

void schedule_cancel(benchmark::State &bench)
{
    ts_engine *engine = make_engine(TS_QUEUE_WHEEL, 2);
    ts_event far, near;

    ts_event_init(&far, nothing);
    ts_event_init(&near, nothing);
    ts_engine_schedule(engine, &far, TS_MS, TS_PHASE_TIMER);
    for (auto _ : bench) {
        ts_engine_schedule(engine, &near, 3 * TS_NS, TS_PHASE_HARDWARE);
        ts_engine_cancel(engine, &near);
    }
    ts_engine_destroy(engine);
}
BENCHMARK(schedule_cancel);

void try_advance(benchmark::State &bench)
{
    ts_engine *engine = make_engine(TS_QUEUE_WHEEL, 1);
    ts_event far;

    ts_event_init(&far, nothing);
    ts_engine_schedule(engine, &far, TS_TIME_NEVER - 1, TS_PHASE_TIMER);
    for (auto _ : bench)
        benchmark::DoNotOptimize(ts_engine_try_advance(engine, ts_engine_now(engine) + 333));
    ts_engine_destroy(engine);
}
BENCHMARK(try_advance);

/* The costlier case: each event makes the next advance look for what is due. */
struct AdvanceAfterEvent {
    ts_event event;
    uint64_t left;
};

void advance_then_schedule(ts_engine *engine, ts_event *event)
{
    auto *a = reinterpret_cast<AdvanceAfterEvent *>(event);

    ts_engine_try_advance(engine, ts_engine_now(engine) + 333);
    if (--a->left > 0)
        ts_engine_schedule(engine, event, ts_engine_now(engine) + 3 * TS_NS, TS_PHASE_SOFTWARE);
}

void event_with_try_advance(benchmark::State &bench)
{
    ts_engine *engine = make_engine(TS_QUEUE_WHEEL, 2);
    AdvanceAfterEvent a;
    ts_event far;
    constexpr uint64_t batch = 1u << 16;

    ts_event_init(&far, nothing);
    ts_engine_schedule(engine, &far, TS_TIME_NEVER - 1, TS_PHASE_TIMER);
    ts_event_init(&a.event, advance_then_schedule);
    for (auto _ : bench) {
        a.left = batch;
        ts_engine_schedule(engine, &a.event, ts_engine_now(engine) + TS_NS, TS_PHASE_SOFTWARE);
        ts_engine_run(engine, TS_TIME_NEVER - 2);
    }
    bench.SetItemsProcessed(bench.iterations() * static_cast<int64_t>(batch));
    ts_engine_destroy(engine);
}
BENCHMARK(event_with_try_advance);

struct Looper {
    ts_fiber *fiber;
    bool stop;
};

void loop(void *arg)
{
    auto *l = static_cast<Looper *>(arg);

    while (!l->stop)
        ts_fiber_suspend(l->fiber);
}

void fiber_round_trip(benchmark::State &bench)
{
    Looper l = {nullptr, false};
    ts_error err;

    if (ts_fiber_create(&l.fiber, 16384, loop, &l, &err) != TS_OK)
        abort();
    for (auto _ : bench)
        ts_fiber_resume(l.fiber);
    l.stop = true;
    ts_fiber_resume(l.fiber);
    ts_fiber_destroy(l.fiber);
}
BENCHMARK(fiber_round_trip);

void fiber_create_destroy(benchmark::State &bench)
{
    for (auto _ : bench) {
        Looper l = {nullptr, true};
        ts_error err;

        if (ts_fiber_create(&l.fiber, 65536, loop, &l, &err) != TS_OK)
            abort();
        ts_fiber_resume(l.fiber);
        ts_fiber_destroy(l.fiber);
    }
}
BENCHMARK(fiber_create_destroy);

void clock_cycle_time(benchmark::State &bench)
{
    ts_clock clock;
    uint64_t n = 0;

    ts_clock_init(&clock, static_cast<uint64_t>(bench.range(0)));
    for (auto _ : bench)
        benchmark::DoNotOptimize(ts_clock_cycle_time(&clock, n++));
}
BENCHMARK(clock_cycle_time)->Arg(2000000000)->Arg(3000000000);

/* Serially dependent: the time of one step is where the next begins. */
void clock_after(benchmark::State &bench)
{
    ts_clock clock;
    ts_time now = 0;

    ts_clock_init(&clock, static_cast<uint64_t>(bench.range(0)));
    for (auto _ : bench)
        benchmark::DoNotOptimize(now = ts_clock_after(&clock, now, 3));
}
BENCHMARK(clock_after)->Arg(2000000000)->Arg(3000000000);

void rng_exponential(benchmark::State &bench)
{
    ts_rng rng;

    ts_rng_init(&rng, 1, "bench", 0);
    for (auto _ : bench)
        benchmark::DoNotOptimize(ts_rng_exponential(&rng, TS_US));
}
BENCHMARK(rng_exponential);

void hist_add(benchmark::State &bench)
{
    ts_hist h;
    uint64_t v = 1;

    ts_hist_init(&h);
    for (auto _ : bench) {
        ts_hist_add(&h, v & 0xfffff);
        v = v * UINT64_C(6364136223846793005) + 1;
        benchmark::ClobberMemory();
    }
}
BENCHMARK(hist_add);

} // namespace
