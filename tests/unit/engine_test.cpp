/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace
{

struct Recorder;

struct Probe {
    ts_event event = {};
    Recorder *recorder = nullptr;
    int id = 0;
};

struct Recorder {
    std::vector<std::pair<int, ts_time>> runs;
};

void record(ts_engine *engine, ts_event *event)
{
    auto *p = reinterpret_cast<Probe *>(event);

    p->recorder->runs.emplace_back(p->id, ts_engine_now(engine));
}

using Log = std::vector<std::pair<int, ts_time>>;

/* Every test holds for both queues and for the extreme slot widths. */
class Engine : public testing::TestWithParam<std::tuple<ts_queue_kind, uint32_t>>
{
  protected:
    void SetUp() override
    {
        ts_engine_config config = {};

        config.queue = std::get<0>(GetParam());
        config.slot_shift = std::get<1>(GetParam());
        ASSERT_EQ(ts_engine_create(&engine, &config, &err), TS_OK);
    }
    void TearDown() override
    {
        ts_engine_destroy(engine);
    }
    Probe *probe(int id, ts_event_fn *fn = record)
    {
        probes.push_back(std::make_unique<Probe>());
        probes.back()->recorder = &recorder;
        probes.back()->id = id;
        ts_event_init(&probes.back()->event, fn);
        return probes.back().get();
    }
    Probe *at(int id, ts_time when, ts_phase phase = TS_PHASE_HARDWARE)
    {
        Probe *p = probe(id);

        ts_engine_schedule(engine, &p->event, when, phase);
        return p;
    }
    Log run(ts_time limit = TS_TIME_NEVER - 1)
    {
        recorder.runs.clear();
        ts_engine_run(engine, limit);
        return recorder.runs;
    }

    ts_engine *engine = nullptr;
    ts_error err = {};
    Recorder recorder;
    std::vector<std::unique_ptr<Probe>> probes;
};

INSTANTIATE_TEST_SUITE_P(Queues, Engine,
                         testing::Values(std::make_tuple(TS_QUEUE_WHEEL, 0u),
                                         std::make_tuple(TS_QUEUE_WHEEL, 3u),
                                         std::make_tuple(TS_QUEUE_WHEEL, 9u),
                                         std::make_tuple(TS_QUEUE_HEAP, 0u)));

TEST_P(Engine, RunsByTimeThenPhaseThenSequence)
{
    at(5, 200, TS_PHASE_HARDWARE);
    at(4, 100, TS_PHASE_SAMPLE);
    at(1, 100, TS_PHASE_HARDWARE);
    at(3, 100, TS_PHASE_TIMER);
    at(2, 100, TS_PHASE_HARDWARE);
    at(0, 7, TS_PHASE_SAMPLE);
    EXPECT_EQ(run(), (Log{{0, 7}, {1, 100}, {2, 100}, {3, 100}, {4, 100}, {5, 200}}));
    EXPECT_EQ(ts_engine_events_run(engine), 6u);
}

TEST_P(Engine, ATicketKeepsItsPlaceAmongEquals)
{
    at(1, 100);
    uint64_t ticket = ts_engine_ticket(engine);
    at(3, 100);
    at(9, 101);
    Probe *late = probe(2), *fixed = probe(0);
    ts_engine_schedule_ticket(engine, &late->event, 100, TS_PHASE_HARDWARE, ticket);
    ts_engine_schedule_ticket(engine, &fixed->event, 100, TS_PHASE_HARDWARE, 7);
    EXPECT_EQ(run(), (Log{{0, 100}, {1, 100}, {2, 100}, {3, 100}, {9, 101}}));
}

/* What has run by now is asked by time, phase and ticket; a run up to a limit has passed it. */
TEST_P(Engine, KnowsWhatIsPast)
{
    struct Asker {
        ts_event event;
        uint64_t before, own, after;
        bool answers[6];
    } a{};
    a.before = ts_engine_ticket(engine);
    a.own = ts_engine_ticket(engine);
    a.after = ts_engine_ticket(engine);
    ts_event_init(&a.event, [](ts_engine *e, ts_event *event) {
        auto *me = reinterpret_cast<Asker *>(event);
        me->answers[0] = ts_engine_is_past(e, 99, TS_PHASE_SAMPLE, me->after);
        me->answers[1] = ts_engine_is_past(e, 100, TS_PHASE_SOFTWARE, me->before);
        me->answers[2] = ts_engine_is_past(e, 100, TS_PHASE_SOFTWARE, me->own);
        me->answers[3] = ts_engine_is_past(e, 100, TS_PHASE_SOFTWARE, me->after);
        me->answers[4] = ts_engine_is_past(e, 100, TS_PHASE_TIMER, me->before);
        me->answers[5] = ts_engine_is_past(e, 101, TS_PHASE_HARDWARE, me->before);
    });
    ts_engine_schedule_ticket(engine, &a.event, 100, TS_PHASE_SOFTWARE, a.own);
    at(1, 500);
    (void)run(300);
    const bool expected[6] = {true, true, true, false, false, false};
    for (int i = 0; i < 6; i++)
        EXPECT_EQ(a.answers[i], expected[i]) << i;
    EXPECT_EQ(ts_engine_now(engine), 100u);
    EXPECT_TRUE(ts_engine_is_past(engine, 300, TS_PHASE_SAMPLE, a.after));
    EXPECT_FALSE(ts_engine_is_past(engine, 301, TS_PHASE_HARDWARE, a.before));
    /* What is scheduled yet below the limit has not run. */
    at(2, 200);
    EXPECT_FALSE(ts_engine_is_past(engine, 200, TS_PHASE_HARDWARE, a.after));
}

TEST_P(Engine, StartsAtZeroAndEmpty)
{
    EXPECT_EQ(ts_engine_now(engine), 0u);
    EXPECT_EQ(ts_engine_next_time(engine), TS_TIME_NEVER);
    EXPECT_EQ(ts_engine_run(engine, TS_TIME_NEVER), 0u);
    EXPECT_EQ(ts_engine_now(engine), 0u);
}

TEST_P(Engine, NextTimeIsExactAfterEveryChange)
{
    Probe *a = at(1, 5 * TS_MS);
    EXPECT_EQ(ts_engine_next_time(engine), 5 * TS_MS);
    Probe *b = at(2, 5 * TS_MS - 1);
    EXPECT_EQ(ts_engine_next_time(engine), 5 * TS_MS - 1);
    ts_engine_cancel(engine, &b->event);
    EXPECT_EQ(ts_engine_next_time(engine), 5 * TS_MS);
    ts_engine_cancel(engine, &a->event);
    EXPECT_EQ(ts_engine_next_time(engine), TS_TIME_NEVER);
}

TEST_P(Engine, CancelTakesOutHeadMiddleAndTailOfATie)
{
    for (int cancelled = 0; cancelled < 5; cancelled++) {
        Probe *p[5];
        Log expected;
        ts_time when = ts_engine_now(engine) + 1000;

        for (int i = 0; i < 5; i++)
            p[i] = at(i, when);
        ts_engine_cancel(engine, &p[cancelled]->event);
        EXPECT_FALSE(ts_event_pending(&p[cancelled]->event));
        for (int i = 0; i < 5; i++)
            if (i != cancelled)
                expected.emplace_back(i, when);
        EXPECT_EQ(run(), expected) << "cancelled " << cancelled;
    }
}

TEST_P(Engine, DiscardLeavesNoEventPendingHoweverFarAhead)
{
    Probe *p[] = {at(0, 1000), at(1, 1000), at(2, 5 * TS_MS), at(3, 3600 * TS_S)};
    ts_engine_discard(engine);
    for (Probe *probe : p)
        EXPECT_FALSE(ts_event_pending(&probe->event));
    EXPECT_EQ(ts_engine_next_time(engine), TS_TIME_NEVER);
    EXPECT_EQ(run(), Log());
}

TEST_P(Engine, CancelOfIdleEventDoesNothing)
{
    Probe *p = probe(1);

    ts_engine_cancel(engine, &p->event);
    at(2, 10);
    EXPECT_EQ(run(), (Log{{2, 10}}));
    ts_engine_cancel(engine, &p->event);
    EXPECT_EQ(run(), Log{});
}

TEST_P(Engine, ACancelledEventTakesItsNewPlaceInTheOrder)
{
    Probe *a = at(1, 50);

    at(2, 50);
    ts_engine_cancel(engine, &a->event);
    ts_engine_schedule(engine, &a->event, 50, TS_PHASE_HARDWARE);
    EXPECT_EQ(run(), (Log{{2, 50}, {1, 50}}));
}

struct Chain : Probe {
    int left = 0;
};

TEST_P(Engine, AnEventMayScheduleItselfAtTheSamePicosecond)
{
    Chain c;

    c.recorder = &recorder;
    c.id = 1;
    c.left = 3;
    ts_event_init(&c.event, [](ts_engine *e, ts_event *event) {
        auto *chain = reinterpret_cast<Chain *>(event);

        record(e, event);
        EXPECT_FALSE(ts_event_pending(event));
        if (--chain->left > 0)
            ts_engine_schedule(e, event, ts_engine_now(e), TS_PHASE_HARDWARE);
    });
    ts_engine_schedule(engine, &c.event, 10, TS_PHASE_HARDWARE);
    at(2, 10);
    EXPECT_EQ(run(), (Log{{1, 10}, {2, 10}, {1, 10}, {1, 10}}));
}

struct Killer : Probe {
    Probe *victim = nullptr;
};

TEST_P(Engine, AHandlerMayCancelAnEventOfItsOwnTie)
{
    Killer k;

    k.recorder = &recorder;
    k.id = 1;
    ts_event_init(&k.event, [](ts_engine *e, ts_event *event) {
        record(e, event);
        ts_engine_cancel(e, &reinterpret_cast<Killer *>(event)->victim->event);
    });
    ts_engine_schedule(engine, &k.event, 10, TS_PHASE_HARDWARE);
    k.victim = at(2, 10);
    at(3, 10);
    EXPECT_EQ(run(), (Log{{1, 10}, {3, 10}}));
}

TEST_P(Engine, AHandlerMayFreeItsEvent)
{
    struct Owned {
        ts_event event;
        int *runs;
    };
    int runs = 0;
    auto *owned = new Owned;

    owned->runs = &runs;
    ts_event_init(&owned->event, [](ts_engine *, ts_event *event) {
        auto *o = reinterpret_cast<Owned *>(event);

        ++*o->runs;
        delete o;
    });
    ts_engine_schedule(engine, &owned->event, 10, TS_PHASE_HARDWARE);
    at(2, 10);
    EXPECT_EQ(run(), (Log{{2, 10}}));
    EXPECT_EQ(runs, 1);
}

void stop_here(ts_engine *engine, ts_event *event)
{
    record(engine, event);
    ts_engine_stop(engine);
    EXPECT_FALSE(ts_engine_try_advance(engine, ts_engine_now(engine)));
    EXPECT_EQ(ts_engine_next_time(engine), 20u);
    EXPECT_FALSE(ts_engine_try_advance(engine, ts_engine_now(engine) + 1));
}

TEST_P(Engine, StopReturnsAfterTheCurrentEvent)
{
    Probe *p = probe(1, stop_here);

    ts_engine_schedule(engine, &p->event, 10, TS_PHASE_HARDWARE);
    at(2, 20);
    EXPECT_EQ(run(), (Log{{1, 10}}));
    EXPECT_EQ(ts_engine_now(engine), 10u);
    EXPECT_TRUE(ts_engine_try_advance(engine, 19));
    EXPECT_EQ(run(), (Log{{2, 20}}));
}

TEST_P(Engine, StopOutsideARunHasNoEffect)
{
    at(1, 10);
    ts_engine_stop(engine);
    EXPECT_EQ(run(), (Log{{1, 10}}));
}

TEST_P(Engine, PendingEventsAreForgottenAtDestroy)
{
    at(1, 10);
    at(2, TS_TIME_NEVER - 1);
    ts_engine_destroy(engine);
    engine = nullptr;
    EXPECT_TRUE(recorder.runs.empty());
}

TEST_P(Engine, ReserveMakesRoom)
{
    ts_engine_config config = {};
    ts_engine *small = nullptr;
    std::vector<Probe> p(5);

    config.queue = std::get<0>(GetParam());
    config.slot_shift = std::get<1>(GetParam());
    config.max_events = 2;
    ASSERT_EQ(ts_engine_create(&small, &config, &err), TS_OK);
    for (Probe &x : p) {
        ts_event_init(&x.event, record);
        x.recorder = &recorder;
    }
    ASSERT_EQ(ts_engine_reserve(small, 2, &err), TS_OK);
    for (int i = 0; i < 4; i++)
        ts_engine_schedule(small, &p[static_cast<size_t>(i)].event, TS_TIME_NEVER - 1,
                           TS_PHASE_TIMER);
    EXPECT_DEATH(ts_engine_schedule(small, &p[4].event, 1, TS_PHASE_TIMER), "max_events");
    EXPECT_EQ(ts_engine_reserve(small, UINT32_MAX, &err), TS_ERR_ENVIRONMENT);
    ts_engine_destroy(small);
}

using EngineDeath = Engine;
INSTANTIATE_TEST_SUITE_P(Queues, EngineDeath,
                         testing::Values(std::make_tuple(TS_QUEUE_WHEEL, 0u),
                                         std::make_tuple(TS_QUEUE_HEAP, 0u)));

TEST_P(EngineDeath, MisuseIsABug)
{
    Probe *p = at(1, 10);

    EXPECT_DEATH(ts_engine_schedule(engine, &p->event, 20, TS_PHASE_HARDWARE), "broken invariant");
    run();
    EXPECT_DEATH(at(2, 9), "broken invariant");
    EXPECT_DEATH(at(2, TS_TIME_NEVER), "broken invariant");
    EXPECT_DEATH(at(2, 20, TS_PHASE_COUNT), "broken invariant");
    EXPECT_DEATH(ts_engine_try_advance(engine, 9), "broken invariant");
}

TEST(EngineConfig, WrongSettingsAreUserErrors)
{
    ts_engine *engine = nullptr;
    ts_engine_config config = {};
    ts_error err = {};

    config.slot_shift = 10;
    EXPECT_EQ(ts_engine_create(&engine, &config, &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("slot_shift is 10"), std::string::npos);
    config.slot_shift = 2;
    EXPECT_EQ(ts_engine_create(&engine, &config, &err), TS_ERR_USER);
    config.slot_shift = 0;
    const unsigned no_kind = 2;
    static_assert(sizeof(config.queue) == sizeof(no_kind), "an enum is an int");
    memcpy(&config.queue, &no_kind, sizeof(no_kind));
    EXPECT_EQ(ts_engine_create(&engine, &config, &err), TS_ERR_USER);
    EXPECT_EQ(engine, nullptr);
    EXPECT_EQ(ts_engine_create(&engine, nullptr, &err), TS_OK);
    ts_engine_destroy(engine);
}

} // namespace
