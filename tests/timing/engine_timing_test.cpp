/* SPDX-License-Identifier: Apache-2.0 */
/* Exact times: nothing at t - 1, the event at t; the in-place advance agrees with the queue. */
#include "sim/engine.h"
#include "sim/rng.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <tuple>
#include <vector>

namespace
{

struct Task {
    ts_event event = {};
    std::function<void()> body;
};

void run_task(ts_engine *, ts_event *event)
{
    reinterpret_cast<Task *>(event)->body();
}

class EngineTiming : public testing::TestWithParam<std::tuple<ts_queue_kind, uint32_t>>
{
  protected:
    void SetUp() override
    {
        ts_engine_config config = {};
        ts_error err;

        config.queue = std::get<0>(GetParam());
        config.slot_shift = std::get<1>(GetParam());
        ASSERT_EQ(ts_engine_create(&engine, &config, &err), TS_OK);
    }
    void TearDown() override
    {
        ts_engine_destroy(engine);
    }
    Task *at(ts_time when, std::function<void()> body, ts_phase phase = TS_PHASE_HARDWARE)
    {
        tasks.push_back(std::make_unique<Task>());
        ts_event_init(&tasks.back()->event, run_task);
        tasks.back()->body = std::move(body);
        ts_engine_schedule(engine, &tasks.back()->event, when, phase);
        return tasks.back().get();
    }
    ts_time now() const
    {
        return ts_engine_now(engine);
    }

    ts_engine *engine = nullptr;
    std::vector<std::unique_ptr<Task>> tasks;
};

INSTANTIATE_TEST_SUITE_P(Queues, EngineTiming,
                         testing::Values(std::make_tuple(TS_QUEUE_WHEEL, 0u),
                                         std::make_tuple(TS_QUEUE_WHEEL, 3u),
                                         std::make_tuple(TS_QUEUE_WHEEL, 9u),
                                         std::make_tuple(TS_QUEUE_HEAP, 0u)));

/* Times on both sides of every digit boundary of the wheel, alone and in company. */
TEST_P(EngineTiming, NotAtTMinusOneButAtT)
{
    for (uint32_t bit = 0; bit < 63; bit++) {
        for (uint64_t delta : {UINT64_C(0), UINT64_C(1), UINT64_C(3)}) {
            ts_engine_config config = {};
            ts_engine *e = nullptr;
            ts_error err;
            ts_time t = (UINT64_C(1) << bit) + delta;
            int runs = 0;
            Task a, b, far;

            config.queue = std::get<0>(GetParam());
            config.slot_shift = std::get<1>(GetParam());
            ASSERT_EQ(ts_engine_create(&e, &config, &err), TS_OK);
            for (Task *task : {&a, &b, &far}) {
                ts_event_init(&task->event, run_task);
                task->body = [&] { runs++; };
            }
            ts_engine_schedule(e, &far.event, TS_TIME_NEVER - 1, TS_PHASE_TIMER);
            ts_engine_schedule(e, &a.event, t, TS_PHASE_SOFTWARE);
            ts_engine_schedule(e, &b.event, t + 1, TS_PHASE_HARDWARE);
            EXPECT_EQ(ts_engine_run(e, t - 1), 0u) << t;
            EXPECT_EQ(ts_engine_now(e), 0u);
            EXPECT_EQ(ts_engine_next_time(e), t);
            EXPECT_EQ(ts_engine_run(e, t), 1u) << t;
            EXPECT_EQ(ts_engine_now(e), t);
            EXPECT_EQ(ts_engine_run(e, t + 1), 1u) << t;
            EXPECT_EQ(ts_engine_now(e), t + 1);
            EXPECT_EQ(runs, 2);
            EXPECT_EQ(ts_engine_run(e, TS_TIME_NEVER), 1u);
            EXPECT_EQ(ts_engine_now(e), TS_TIME_NEVER - 1);
            ts_engine_destroy(e);
        }
    }
}

TEST_P(EngineTiming, NowIsTheLastEventNotTheLimit)
{
    at(10, [] {});
    ts_engine_run(engine, 500);
    EXPECT_EQ(now(), 10u);
}

TEST_P(EngineTiming, PhasesOfOnePicosecondRunInOrderWhateverTheScheduleOrder)
{
    std::vector<int> seen;

    for (int phase = TS_PHASE_COUNT - 1; phase >= 0; phase--)
        for (int i = 0; i < 2; i++)
            at(
                777, [&seen, phase, i] { seen.push_back(phase * 2 + i); },
                static_cast<ts_phase>(phase));
    ts_engine_run(engine, 777);
    EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

/* An earlier phase may be scheduled at now while a later one runs: it comes before what is left. */
TEST_P(EngineTiming, AnEarlierPhaseAtNowRunsBeforeTheRestOfALaterOne)
{
    std::vector<int> seen;

    at(
        100,
        [&] {
            seen.push_back(1);
            at(
                100, [&] { seen.push_back(2); }, TS_PHASE_HARDWARE);
        },
        TS_PHASE_TIMER);
    at(
        100, [&] { seen.push_back(3); }, TS_PHASE_TIMER);
    ts_engine_run(engine, 100);
    EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
}

/* Ties scheduled from far away, from near by and at the time itself keep the schedule order. */
TEST_P(EngineTiming, TiesAreFirstInFirstOutAcrossTheLevelsOfTheWheel)
{
    const ts_time t = (UINT64_C(1) << 43) + 12345;
    std::vector<int> seen;
    int next = 0;
    auto tie = [&] {
        int id = next++;
        at(t, [&seen, id] { seen.push_back(id); });
    };

    for (ts_time before = UINT64_C(1) << 43; before > 0; before /= 2) {
        at(t - before, [&] {
            tie();
            tie();
        });
        /* Company, so that lists are dealt out and not popped singly. */
        at(t - before, [] {});
    }
    tie();
    at(t, [&] { tie(); });
    ts_engine_run(engine, t);
    ASSERT_EQ(seen.size(), static_cast<size_t>(next));
    for (int i = 0; i < next; i++)
        EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST_P(EngineTiming, TryAdvanceStopsOnePicosecondBeforeAnEvent)
{
    at(TS_US, [] {});
    at(TS_US, [] {});
    EXPECT_FALSE(ts_engine_try_advance(engine, TS_US));
    EXPECT_EQ(now(), 0u);
    EXPECT_TRUE(ts_engine_try_advance(engine, TS_US - 1));
    EXPECT_EQ(now(), TS_US - 1);
    EXPECT_FALSE(ts_engine_try_advance(engine, TS_US));
    EXPECT_FALSE(ts_engine_try_advance(engine, 2 * TS_US));
    EXPECT_TRUE(ts_engine_try_advance(engine, TS_US - 1));
    EXPECT_EQ(ts_engine_advances(engine), 2u);
    EXPECT_EQ(ts_engine_events_run(engine), 0u);
    EXPECT_EQ(ts_engine_run(engine, TS_US), 2u);
}

TEST_P(EngineTiming, TryAdvanceHasNoLimitOutsideARun)
{
    EXPECT_TRUE(ts_engine_try_advance(engine, TS_TIME_NEVER - 1));
    EXPECT_EQ(now(), TS_TIME_NEVER - 1);
}

TEST_P(EngineTiming, TryAdvanceReachesTheLimitOfTheRunAndNotMore)
{
    bool past = true, exact = false;

    at(10, [&] {
        past = ts_engine_try_advance(engine, 101);
        exact = ts_engine_try_advance(engine, 100);
    });
    EXPECT_EQ(ts_engine_run(engine, 100), 1u);
    EXPECT_FALSE(past);
    EXPECT_TRUE(exact);
    EXPECT_EQ(now(), 100u);
}

TEST_P(EngineTiming, TryAdvanceSeesWhatIsScheduledAndCancelledInBetween)
{
    Task *a = at(1000, [] {});

    EXPECT_TRUE(ts_engine_try_advance(engine, 400));
    Task *b = at(500, [] {});
    EXPECT_FALSE(ts_engine_try_advance(engine, 500));
    EXPECT_TRUE(ts_engine_try_advance(engine, 499));
    ts_engine_cancel(engine, &b->event);
    EXPECT_TRUE(ts_engine_try_advance(engine, 999));
    EXPECT_FALSE(ts_engine_try_advance(engine, 1000));
    ts_engine_cancel(engine, &a->event);
    EXPECT_TRUE(ts_engine_try_advance(engine, 1000));
}

/* A failed advance may have dealt out a list that starts after now; what is scheduled before it
 * then still runs first. */
TEST_P(EngineTiming, AfterAFailedAdvanceEarlierEventsStillComeFirst)
{
    std::vector<int> seen;

    at(TS_MS, [&] { seen.push_back(3); });
    at(TS_MS + 1, [&] { seen.push_back(4); });
    EXPECT_FALSE(ts_engine_try_advance(engine, TS_MS + 1));
    at(TS_US, [&] { seen.push_back(2); });
    at(TS_NS, [&] { seen.push_back(1); });
    EXPECT_EQ(ts_engine_next_time(engine), TS_NS);
    EXPECT_FALSE(ts_engine_try_advance(engine, TS_NS));
    EXPECT_TRUE(ts_engine_try_advance(engine, TS_NS - 1));
    EXPECT_EQ(ts_engine_run(engine, TS_MS - 1), 2u);
    EXPECT_EQ(ts_engine_run(engine, TS_MS + 1), 2u);
    EXPECT_EQ(seen, (std::vector<int>{1, 2, 3, 4}));
}

/* A task that steps in place where it may, and through the queue where not, is at the same time as
 * one that always uses the queue. */
TEST_P(EngineTiming, SteppingInPlaceGivesTheSameTimes)
{
    struct Stepper {
        ts_event event;
        ts_time step;
        int left;
        bool in_place;
        std::vector<ts_time> *trace;
    };
    auto step = [](ts_engine *e, ts_event *event) {
        auto *s = reinterpret_cast<Stepper *>(event);

        while (s->left-- > 0) {
            s->trace->push_back(ts_engine_now(e) * 1000 + s->step);
            if (!s->in_place || !ts_engine_try_advance(e, ts_engine_now(e) + s->step)) {
                ts_engine_schedule(e, event, ts_engine_now(e) + s->step, TS_PHASE_SOFTWARE);
                return;
            }
        }
    };
    std::vector<ts_time> traces[2];
    uint64_t advances[2];

    for (int in_place = 0; in_place < 2; in_place++) {
        Stepper steppers[3];
        ts_time start = in_place ? UINT64_C(1) << 40 : 0;

        EXPECT_TRUE(ts_engine_try_advance(engine, start));
        uint64_t before = ts_engine_advances(engine);
        for (ts_time i = 0; i < 3; i++) {
            ts_event_init(&steppers[i].event, step);
            steppers[i].step = 333 * (i * i + 1);
            steppers[i].left = 400;
            steppers[i].in_place = in_place == 1;
            steppers[i].trace = &traces[in_place];
            ts_engine_schedule(engine, &steppers[i].event, start + i, TS_PHASE_SOFTWARE);
        }
        ts_engine_run(engine, TS_TIME_NEVER);
        advances[in_place] = ts_engine_advances(engine) - before;
        for (ts_time &t : traces[in_place])
            t -= start * 1000;
        if (!in_place) {
            EXPECT_LT(now(), UINT64_C(1) << 40);
        }
    }
    EXPECT_EQ(traces[0], traces[1]);
    EXPECT_EQ(advances[0], 0u);
    EXPECT_GT(advances[1], 100u);
}

} // namespace
