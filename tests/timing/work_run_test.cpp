/* SPDX-License-Identifier: Apache-2.0 */
/* Work in parts that are done as one piece (ts_task_work_run), against the same parts one by one:
 * whatever comes at whatever moment finds as many begun, and ends at the same time. */
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/support/cpu_rig.hpp"

using ts_test::CpuRig;

namespace
{

constexpr uint64_t each = 4, parts = 4000;

struct Parts {
    struct Run {
        ts_work_run work; /* first */
        Parts *of;
        uint64_t begun;
    };
    CpuRig rig;
    uint64_t begun = 0, joined = 0;
    ts_time end = 0;
    std::vector<uint64_t> seen; /* parts begun at each event and each interrupt */

    Parts(bool join, uint64_t hz) : rig(2, hz)
    {
        rig.handler_cycles = 777;
        rig.spawn(0, [this, join](ts_task *self) {
            while (begun < parts) {
                if (join && run(self))
                    continue;
                begun++;
                ts_task_work(self, each);
            }
            end = ts_task_now(self);
        });
    }
    bool run(ts_task *self)
    {
        Run r{{}, this, begun};
        r.work.cycles = (parts - begun) * each;
        r.work.settle = [](ts_work_run *work, uint64_t passed) {
            auto *one = reinterpret_cast<Run *>(work);
            const uint64_t n = (passed + each - 1) / each;
            EXPECT_GT(passed, 0u);
            EXPECT_LE(passed, work->cycles);
            one->of->begun = one->begun + n;
            one->of->joined += n;
            return n * each;
        };
        return ts_task_work_run(self, &r.work) != 0;
    }
    ts_cpu *cpu()
    {
        return &rig.domain.cpus[0];
    }
    uint64_t first_cycle() const
    {
        return rig.domain.sched_params.switch_cycles;
    }
    void at(ts_time when, ts_phase phase, std::function<void()> fn)
    {
        fns_.push_back(std::move(fn));
        events_.push_back({{}, &fns_.back()});
        ts_event_init(&events_.back().event,
                      [](ts_engine *, ts_event *e) { (*reinterpret_cast<Event *>(e)->fn)(); });
        ts_engine_schedule(rig.engine, &events_.back().event, when, phase);
    }
    /* What changes what the parts meet. */
    void disturb(ts_time when, ts_phase phase, uint64_t held = 0)
    {
        at(when, phase, [this, held] {
            ts_cpu_disturb(cpu());
            seen.push_back(begun);
            if (held)
                ts_cpu_hold(cpu(), held, true);
        });
    }
    void interrupt(ts_time when, ts_phase phase)
    {
        at(when, phase, [this] {
            ts_cpu_raise(cpu(), TS_VEC_CALL);
            seen.push_back(begun);
        });
    }

  private:
    struct Event {
        ts_event event; /* first */
        std::function<void()> *fn;
    };
    std::deque<std::function<void()>> fns_;
    std::deque<Event> events_;
};

using Prepare = std::function<void(Parts &)>;

void compare(uint64_t hz, const Prepare &prepare)
{
    Parts one(false, hz), all(true, hz);
    for (Parts *p : {&one, &all}) {
        prepare(*p);
        p->rig.run();
        EXPECT_EQ(p->begun, parts);
    }
    EXPECT_EQ(all.seen, one.seen);
    EXPECT_EQ(all.end, one.end);
    EXPECT_EQ(all.rig.handled, one.rig.handled);
    EXPECT_EQ(all.cpu()->stats.held_cycles, one.cpu()->stats.held_cycles);
    EXPECT_GT(all.joined, parts / 2);
    EXPECT_EQ(one.joined, 0u);
}

/* Edges at whole picoseconds, and not. */
constexpr uint64_t clocks[] = {2'500'000'000, 2'600'000'000};
constexpr ts_phase phases[] = {TS_PHASE_HARDWARE, TS_PHASE_INTERRUPT, TS_PHASE_SOFTWARE,
                               TS_PHASE_TIMER, TS_PHASE_SAMPLE};

} // namespace

/* A tick at the end of a part comes after it, and then the next has begun; a message before. Within
 * the last cycle of a part it has not. */
TEST(WorkRun, WhatComesAtAnyMomentFindsTheSameParts)
{
    for (uint64_t hz : clocks) {
        for (ts_phase phase : phases) {
            for (uint64_t cycle = 0; cycle <= 3 * each; cycle++) {
                for (int off : {-1, 0, 1}) {
                    SCOPED_TRACE(std::to_string(hz) + " phase " + std::to_string(phase) +
                                 " cycle " + std::to_string(cycle) + " " + std::to_string(off));
                    auto when = [&](Parts &p) {
                        return p.rig.cycles(p.first_cycle() + cycle) + static_cast<ts_time>(off);
                    };
                    compare(hz, [&](Parts &p) { p.disturb(when(p), phase); });
                    compare(hz, [&](Parts &p) { p.interrupt(when(p), phase); });
                }
            }
        }
    }
}

/* The first part is under way from the first instant on; at the last nothing is. */
TEST(WorkRun, FromItsBeginningToItsEnd)
{
    for (ts_phase phase : phases) {
        for (uint64_t cycle :
             {UINT64_C(0), UINT64_C(1), parts * each - 1, parts * each, parts * each + 1}) {
            SCOPED_TRACE(std::to_string(phase) + " " + std::to_string(cycle));
            compare(clocks[0],
                    [&](Parts &p) { p.disturb(p.rig.cycles(p.first_cycle() + cycle), phase); });
        }
    }
    Parts p(true, clocks[0]);
    p.disturb(p.rig.cycles(p.first_cycle()), TS_PHASE_TIMER);
    p.disturb(p.rig.cycles(p.first_cycle() + each), TS_PHASE_HARDWARE);
    p.disturb(p.rig.cycles(p.first_cycle() + each), TS_PHASE_TIMER);
    p.rig.run();
    EXPECT_EQ(p.seen, (std::vector<uint64_t>{1, 1, 2}));
}

/* Holds and interrupts within each other. */
TEST(WorkRun, HoldsAndInterruptsInAnyOrder)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        SCOPED_TRACE(seed);
        std::mt19937_64 random(seed);
        std::vector<std::array<uint64_t, 4>> events;
        for (uint64_t i = 0; i < 1 + seed % 5; i++)
            events.push_back({random() % (1200 * TS_NS), random() % 2, random() % 600,
                              random() % TS_ARRAY_LEN(phases)});
        compare(clocks[seed % 2], [&](Parts &p) {
            for (const auto &[when, interrupts, held, phase] : events) {
                if (interrupts)
                    p.interrupt(p.rig.cycles(p.first_cycle()) + when, phases[phase]);
                else /* snoops */
                    p.disturb(p.rig.cycles(p.first_cycle()) + when, TS_PHASE_HARDWARE, held);
            }
        });
    }
}
