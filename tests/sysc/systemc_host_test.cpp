// SPDX-License-Identifier: Apache-2.0
// The same random event program, run natively and hosted in SystemC, gives the same log.
#include "sim/engine.h"
#include "sim/rng.h"
#include "sim/systemc/host.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <tuple>
#include <vector>

namespace
{

using Log = std::vector<std::tuple<ts_time, uint32_t>>;

// Actors draw from one stream in the order in which they run, so one swap in the order changes
// everything after it.
class Program
{
  public:
    static constexpr uint32_t actors = 24;

    Program(uint64_t seed, uint64_t budget, ts_queue_kind queue) : budget_(budget)
    {
        ts_engine_config config = {};
        config.queue = queue;
        config.max_events = actors + 1;
        ts_error error = {};
        EXPECT_EQ(ts_engine_create(&engine, &config, &error), TS_OK) << error.message;
        ts_rng_init(&rng_, seed, "program", 0);
        for (uint32_t i = 0; i < actors; i++) {
            ts_event_init(&actor_[i].event, on_event);
            actor_[i].program = this;
            actor_[i].id = i;
            schedule(actor_[i]);
        }
    }
    ~Program()
    {
        ts_engine_destroy(engine);
    }
    Program(const Program &) = delete;
    Program &operator=(const Program &) = delete;

    ts_engine *engine = nullptr;
    Log log;

  private:
    struct Actor {
        ts_event event;
        Program *program;
        uint32_t id;
    };

    // Small delays, zero among them, so that many events meet in one picosecond.
    ts_time later()
    {
        uint64_t delay = ts_rng_below(&rng_, 4);
        delay *= ts_rng_below(&rng_, 500);
        return ts_engine_now(engine) + delay;
    }
    void schedule(Actor &actor)
    {
        const auto phase = static_cast<ts_phase>(ts_rng_below(&rng_, TS_PHASE_COUNT));
        ts_engine_schedule(engine, &actor.event, later(), phase);
    }
    static void on_event(ts_engine *, ts_event *event)
    {
        auto *actor = reinterpret_cast<Actor *>(event);
        actor->program->act(*actor);
    }
    void act(Actor &actor)
    {
        log.emplace_back(ts_engine_now(engine), actor.id);
        if (budget_ <= 1) {
            ts_engine_stop(engine);
            return;
        }
        budget_--;
        Actor &other = actor_[ts_rng_below(&rng_, actors)];
        if (ts_rng_chance(&rng_, 1, 8))
            ts_engine_cancel(engine, &other.event);
        if (!ts_event_pending(&other.event) && ts_rng_chance(&rng_, 1, 2))
            schedule(other);
        if (!ts_event_pending(&actor.event))
            go_on(actor);
    }
    // As a task does: the next step in place if nothing else is due before, else as an event.
    void go_on(Actor &actor)
    {
        const ts_time when = later() + 1;
        if (ts_engine_try_advance(engine, when))
            act(actor);
        else
            ts_engine_schedule(engine, &actor.event, when, TS_PHASE_SOFTWARE);
    }

    Actor actor_[actors] = {};
    ts_rng rng_;
    uint64_t budget_;
};

ts_time native_run(ts_engine *engine, ts_time limit)
{
    ts_engine_run(engine, limit);
    return ts_engine_now(engine);
}

using Run = std::function<ts_time(ts_engine *, ts_time)>;

struct Outcome {
    Log log;
    uint64_t advances;
    std::vector<ts_time> ends;
    bool operator==(const Outcome &other) const
    {
        return log == other.log && ends == other.ends;
    }
};

Outcome outcome(const Run &run, uint64_t seed, uint64_t budget, ts_queue_kind queue,
                const std::vector<ts_time> &limits)
{
    Program program(seed, budget, queue);
    Outcome out = {};
    for (ts_time limit : limits)
        out.ends.push_back(run(program.engine, limit));
    out.log = program.log;
    out.advances = ts_engine_advances(program.engine);
    return out;
}

TEST(SystemcHost, RunsTheSameEventsInTheSameOrder)
{
    uint64_t advances = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        for (ts_queue_kind queue : {TS_QUEUE_WHEEL, TS_QUEUE_HEAP}) {
            const Outcome native = outcome(native_run, seed, 2000, queue, {TS_TIME_NEVER - 1});
            ASSERT_GT(native.log.size(), 20u) << "seed " << seed;
            advances += native.advances;
            for (const auto run : {ts::systemc_run, ts::systemc_run_stepwise}) {
                const Outcome hosted = outcome(run, seed, 2000, queue, {TS_TIME_NEVER - 1});
                ASSERT_EQ(native, hosted) << "seed " << seed << " queue " << queue;
            }
        }
    }
    EXPECT_GT(advances, 0u) << "the programs never took the fast path";
}

TEST(SystemcHost, GoesOnFromALimit)
{
    const std::vector<ts_time> limits = {0, 1, 777, 778, 5000, 5000, 40000, TS_TIME_NEVER - 1};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const Outcome native = outcome(native_run, seed, 1000, TS_QUEUE_WHEEL, limits);
        for (const auto run : {ts::systemc_run, ts::systemc_run_stepwise}) {
            const Outcome hosted = outcome(run, seed, 1000, TS_QUEUE_WHEEL, limits);
            ASSERT_EQ(native, hosted) << "seed " << seed;
        }
    }
}

struct Note {
    ts_event event;
    std::vector<ts_time> *times;
    bool stop;
};

void on_note(ts_engine *engine, ts_event *event)
{
    auto *note = reinterpret_cast<Note *>(event);
    note->times->push_back(ts_engine_now(engine));
    if (note->stop)
        ts_engine_stop(engine);
}

class SystemcHostExact : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        const ts_engine_config config = {};
        ts_error error = {};
        ASSERT_EQ(ts_engine_create(&engine, &config, &error), TS_OK) << error.message;
    }
    void TearDown() override
    {
        ts_engine_destroy(engine);
    }
    Note note(bool stop)
    {
        Note n = {{}, &times, stop};
        ts_event_init(&n.event, on_note);
        return n;
    }

    ts_engine *engine = nullptr;
    std::vector<ts_time> times;
};

TEST_F(SystemcHostExact, RunsAnEventAtTheLimitAndNotAfterIt)
{
    Note at = note(false);
    Note after = note(false);
    ts_engine_schedule(engine, &at.event, 1000, TS_PHASE_SAMPLE);
    ts_engine_schedule(engine, &after.event, 1001, TS_PHASE_HARDWARE);
    EXPECT_EQ(ts::systemc_run(engine, 999), 0u);
    EXPECT_TRUE(times.empty());
    EXPECT_EQ(ts::systemc_run(engine, 1000), 1000u);
    EXPECT_EQ(times, std::vector<ts_time>({1000}));
    EXPECT_TRUE(ts_event_pending(&after.event));
}

// The case that ts_engine_run alone does not tell from its limit.
TEST_F(SystemcHostExact, StopsAfterTheLastEventOfAPicosecond)
{
    Note last = note(true);
    Note later = note(false);
    ts_engine_schedule(engine, &last.event, 1000, TS_PHASE_SAMPLE);
    ts_engine_schedule(engine, &later.event, 2000, TS_PHASE_HARDWARE);
    EXPECT_EQ(ts::systemc_run(engine, 5000), 1000u);
    EXPECT_EQ(times, std::vector<ts_time>({1000}));
    EXPECT_EQ(ts_engine_next_time(engine), 2000u);
}

// A module outside the model that pokes it at a time of its own.
class Injector : public sc_core::sc_module
{
  public:
    Injector(sc_core::sc_module_name name, ts::EngineHost &host, ts_engine *engine, Note &note)
        : sc_core::sc_module(name), host_(host), engine_(engine), note_(note)
    {
        SC_HAS_PROCESS(Injector);
        SC_METHOD(inject);
        dont_initialize();
        sensitive << at_;
        at_.notify(sc_core::sc_time::from_value(1500));
    }
    size_t seen = 0;

  private:
    void inject()
    {
        host_.catch_up();
        seen = note_.times->size();
        ts_engine_schedule(engine_, &note_.event, 1500 + 7, TS_PHASE_HARDWARE);
        host_.rearm();
    }
    ts::EngineHost &host_;
    ts_engine *engine_;
    Note &note_;
    sc_core::sc_event at_;
};

// With a quantum the engine is ahead of SystemC's time, but never of what somebody else does, and
// at the end SystemC's time is the engine's.
TEST_F(SystemcHostExact, RunsAheadOfNobodyElse)
{
    Note early = note(false);
    Note meets = note(false);
    Note late = note(false);
    Note injected = note(false);
    ts_engine_schedule(engine, &early.event, 1000, TS_PHASE_HARDWARE);
    ts_engine_schedule(engine, &meets.event, 1500, TS_PHASE_SAMPLE);
    ts_engine_schedule(engine, &late.event, 9000, TS_PHASE_HARDWARE);
    const ts::FreshContext context;
    ts::EngineHost host("host", engine, TS_TIME_NEVER, 100000);
    Injector injector("injector", host, engine, injected);
    sc_core::sc_start(sc_core::sc_time::from_value(1000));
    EXPECT_EQ(ts_engine_now(engine), 1000u);
    sc_core::sc_start();
    EXPECT_EQ(injector.seen, 2u);
    EXPECT_EQ(times, std::vector<ts_time>({1000, 1500, 1507, 9000}));
    EXPECT_EQ(sc_core::sc_time_stamp().value(), 9000u);
}

TEST_F(SystemcHostExact, RunsAheadByTheQuantum)
{
    Note first = note(false);
    Note within = note(false);
    Note beyond = note(false);
    ts_engine_schedule(engine, &first.event, 1000, TS_PHASE_HARDWARE);
    ts_engine_schedule(engine, &within.event, 1100, TS_PHASE_HARDWARE);
    ts_engine_schedule(engine, &beyond.event, 1101, TS_PHASE_HARDWARE);
    const ts::FreshContext context;
    ts::EngineHost host("host", engine, TS_TIME_NEVER, 100);
    // Up to a time, and not what is due then.
    sc_core::sc_start(sc_core::sc_time::from_value(1001));
    EXPECT_EQ(times, std::vector<ts_time>({1000, 1100}));
    sc_core::sc_start();
    EXPECT_EQ(times, std::vector<ts_time>({1000, 1100, 1101}));
}

TEST_F(SystemcHostExact, TakesAnInjectedEventBeforeItsOwnNext)
{
    Note early = note(false);
    Note meets = note(false);
    Note late = note(false);
    Note injected = note(false);
    ts_engine_schedule(engine, &early.event, 1000, TS_PHASE_HARDWARE);
    ts_engine_schedule(engine, &meets.event, 1500, TS_PHASE_SAMPLE);
    ts_engine_schedule(engine, &late.event, 9000, TS_PHASE_HARDWARE);
    const ts::FreshContext context;
    ts::EngineHost host("host", engine);
    Injector injector("injector", host, engine, injected);
    sc_core::sc_start();
    EXPECT_EQ(injector.seen, 2u) << "the model had not caught up with the present";
    EXPECT_EQ(times, std::vector<ts_time>({1000, 1500, 1507, 9000}));
    EXPECT_FALSE(host.stopped());
}

} // namespace
