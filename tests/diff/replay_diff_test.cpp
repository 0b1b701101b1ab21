/* SPDX-License-Identifier: Apache-2.0 */
/* A run with replayed steps against one in which each is made: equal statistics at whatever time
 * somebody looks, and whoever comes in between. */
#include <gtest/gtest.h>

#include <random>

#include "models/hypervisor/stage2.h"
#include "tests/support/host_rig.hpp"

using namespace ts_test;

namespace
{

constexpr uint64_t us = 1000; /* of a workload's compute */
constexpr uint64_t block = UINT64_C(1) << 21;

ts_host_op on_slot(ts_host_op_kind kind, uint32_t slot, uint32_t level = 0, uint64_t size = 0)
{
    ts_host_op op = host_op(kind, size, 0, TS_STAGE2_SLOTS_FROM);
    op.slot = slot;
    op.level = level;
    return op;
}

using Stats = std::map<std::string, uint64_t>;

struct Seen {
    std::vector<Stats> at; /* at each cut */
    Stats end;
    ts_time time = 0;
    uint64_t skipped = 0;
};

/* A slot of 4K or 2M pages goes while `noise` of other threads and the guest comes now and then. */
Seen run_once(ts_machine_config c, bool replay, uint32_t level, uint64_t seed)
{
    set(c, "hypervisor.replay", replay ? "true" : "false");
    std::mt19937_64 random(seed);
    HostRun run(c);
    Seen seen;
    std::vector<ts_time> cuts;
    for (int i = 0; i < 24; i++)
        cuts.push_back(random() % (6 * TS_MS));
    for (ts_time t : cuts)
        run.at(t, [&] {
            seen.at.emplace_back();
            ts_machine_visit_stats(run.machine, collect, &seen.at.back());
        });
    const uint64_t size = level ? 1536 * block : 3 * block;
    run.task({on_slot(TS_HOST_SLOT_ADD, 1, level, size), on_slot(TS_HOST_SLOT_FILL, 1, level),
              on_slot(TS_HOST_SLOT_DELETE, 1), run.code([&](ts_task *, ts_hypervisor *h) {
                  seen.skipped = h->w.replay ? ts_replay_skipped(h->w.replay) : 0;
              })},
             3);
    std::vector<ts_host_op> other;
    for (int i = 0; i < 12; i++) {
        other.push_back(host_op(TS_HOST_SLEEP, random() % (700 * TS_US)));
        other.push_back(host_op(TS_HOST_FLUSH));
        other.push_back(host_op(TS_HOST_COMPUTE, 1 + random() % 5000));
    }
    run.task(other, 2);
    Script s = {{op_mmap(0, 64 * 4096), op_touch(0, 0, 64)}};
    for (int i = 0; i < 10; i++) {
        /* One that computes is held up by each sweep. */
        ts_op_kind kind = random() % 3 ? TS_OP_SLEEP : TS_OP_COMPUTE;
        s[0].push_back(op_ns(kind, random() % (800 * us)));
        s[0].push_back(op_touch(0, 0, 64, false));
    }
    Outcome got = run.run(s, 1, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_OK) << got.message;
    seen.end = got.stats;
    seen.time = run.end;
    return seen;
}

} // namespace

TEST(ReplayDiff, TheStatisticsAreTheSameWheneverOneLooks)
{
    uint64_t skipped = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        ts_machine_config c = small_machine(true);
        set(c, "run.vms", "1");
        set(c, "run.vcpus", "2");
        set(c, "hypervisor.pin", "true");
        set(c, "hypervisor.prefault", "false");
        set(c, "hypervisor.backing", "4KiB");
        set(c, "mmu.nested_entries", "64");
        set(c, "mmu.nested_ways", "64");
        set(c, "mmu.sweep_blocking", "true");
        set(c, "mmu.sweep_sets_per_cycle", "1");
        set(c, "hypervisor.stage2_unmap_flush", seed % 3 == 2 ? "deferred_leaves" : "each");
        set(c, "topology.core_hz", seed % 2 ? "2.5GHz" : "3GHz");
        set(c, "interconnect.mesh_hz", seed % 4 < 2 ? "1.8GHz" : "2GHz");
        const uint32_t level = seed / 2 % 2;
        Seen made = run_once(c, false, level, seed), replayed = run_once(c, true, level, seed);
        EXPECT_EQ(made.time, replayed.time) << seed;
        EXPECT_EQ(made.end, replayed.end) << seed;
        ASSERT_EQ(made.at.size(), replayed.at.size());
        for (size_t i = 0; i < made.at.size(); i++)
            EXPECT_EQ(made.at[i], replayed.at[i]) << seed << " cut " << i;
        EXPECT_EQ(made.skipped, 0u);
        skipped += replayed.skipped;
    }
    EXPECT_GT(skipped, 6000u);
}

namespace
{

/* Two slots go, one before and one after a guest has filled TLBs and gone to sleep: at the second
 * each step is known, but the first of its flushes has something to find. */
Seen second_slot(bool replay)
{
    ts_machine_config c = small_machine(true);
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "1");
    set(c, "hypervisor.pin", "true");
    set(c, "hypervisor.halt_poll", "0");
    set(c, "hypervisor.backing", "4KiB");
    set(c, "hypervisor.stage2_unmap_flush", "each");
    set(c, "hypervisor.replay", replay ? "true" : "false");
    set(c, "topology.core_hz", "2GHz"); /* one phase, so that every step of a kind is known */
    set(c, "interconnect.mesh_hz", "2GHz");
    HostRun run(c);
    Seen seen;
    std::vector<ts_host_op> ops;
    for (uint32_t slot : {1u, 2u})
        for (ts_host_op op :
             {on_slot(TS_HOST_SLOT_ADD, slot, 0, 2 * block), on_slot(TS_HOST_SLOT_FILL, slot)}) {
            op.start += (slot - 1) * 2 * block;
            ops.push_back(op);
        }
    ops.push_back(on_slot(TS_HOST_SLOT_DELETE, 1));
    ops.push_back(host_op(TS_HOST_SLEEP, 40 * TS_MS));
    ops.push_back(on_slot(TS_HOST_SLOT_DELETE, 2));
    ops.push_back(run.code([&](ts_task *, ts_hypervisor *h) {
        seen.skipped = h->w.replay ? ts_replay_skipped(h->w.replay) : 0;
    }));
    run.task(ops, 3);
    /* Soon after the second begins to go, too: a table's flush drops everything again. */
    for (ts_time t = 40 * TS_MS; t < 44 * TS_MS; t += 100 * TS_US)
        run.at(t, [&] {
            seen.at.emplace_back();
            ts_machine_visit_stats(run.machine, collect, &seen.at.back());
        });
    const uint64_t ms = 1000 * us;
    Outcome got = run.run({{op_mmap(0, 64 * 4096), op_ns(TS_OP_SLEEP, 20 * ms), op_touch(0, 0, 64),
                            op_ns(TS_OP_SLEEP, 60 * ms), op_touch(0, 0, 64, false)}},
                          1, "tlbi_broadcast");
    EXPECT_EQ(got.status, TS_OK) << got.message;
    seen.end = got.stats;
    seen.time = run.end;
    return seen;
}

} // namespace

TEST(ReplayDiff, WhatTlbsHoldIsDroppedThoughTheStepIsKnown)
{
    Seen made = second_slot(false), replayed = second_slot(true);
    EXPECT_EQ(made.time, replayed.time);
    EXPECT_EQ(made.end, replayed.end);
    EXPECT_EQ(made.at, replayed.at);
    EXPECT_GT(replayed.skipped, 900u); /* of twice 1,025 */
}

/* --- the engine's side --- */

namespace
{

struct Counts {
    uint64_t steps = 0, other = 0;
    ts_hist hist = {};
};
const ts_stat rows[] = {
    {"steps", TS_STAT_COUNTER, offsetof(Counts, steps), "1", ""},
    {"hist", TS_STAT_HIST, offsetof(Counts, hist), "1", ""},
};
const ts_stat_table table = {"test", rows, 2, nullptr, 0};

struct Rig {
    Rig(std::vector<uint64_t> hz)
    {
        ts_error err{};
        ts_engine_config config{};
        EXPECT_EQ(ts_engine_create(&engine, &config, &err), TS_OK);
        EXPECT_EQ(
            ts_replay_create(&replay, engine, hz.data(), static_cast<uint32_t>(hz.size()), &err),
            TS_OK);
        ts_hist_init(&counts.hist);
        if (replay) {
            EXPECT_EQ(ts_replay_add(replay, &table, &counts, &err), TS_OK);
        }
    }
    ~Rig()
    {
        ts_replay_destroy(replay);
        ts_engine_destroy(engine);
    }
    void step(ts_time length, bool exact = true)
    {
        if (ts_replay_skip(replay, 0))
            return;
        made++;
        ts_replay_begin(replay, 0);
        counts.steps++;
        ts_hist_add(&counts.hist, length);
        EXPECT_TRUE(ts_engine_try_advance(engine, ts_engine_now(engine) + length));
        (void)ts_replay_end(replay, exact);
    }
    ts_engine *engine = nullptr;
    ts_replay *replay = nullptr;
    Counts counts;
    uint64_t made = 0;
};

} // namespace

/* Clocks of 1 and 2 ns meet every 2 ns; steps of 3 ns begin in each of two phases. */
TEST(Replay, MakesEachPhaseTwiceAndNoMore)
{
    Rig rig({UINT64_C(1000000000), UINT64_C(500000000)});
    for (int i = 0; i < 1000; i++)
        rig.step(3 * TS_NS);
    EXPECT_EQ(rig.made, 4u);
    EXPECT_EQ(ts_engine_now(rig.engine), 3000 * TS_NS);
    EXPECT_EQ(rig.counts.steps, 4u);
    ts_replay_settle(rig.replay);
    EXPECT_EQ(rig.counts.steps, 1000u);
    EXPECT_EQ(rig.counts.hist.count, 1000u);
    EXPECT_EQ(rig.counts.hist.sum, 1000u * 3 * TS_NS);
    EXPECT_EQ(rig.counts.hist.buckets[ts_hist_bucket(3 * TS_NS)], 1000u);
    EXPECT_EQ(ts_replay_skipped(rig.replay), 996u);
}

TEST(Replay, StopsBeforeWhatIsDue)
{
    Rig rig({UINT64_C(1000000000)});
    for (int i = 0; i < 10; i++)
        rig.step(TS_NS);
    EXPECT_EQ(rig.made, 2u);
    ts_event event;
    ts_event_init(&event, [](ts_engine *, ts_event *) {});
    ts_engine_schedule(rig.engine, &event, ts_engine_now(rig.engine) + TS_NS, TS_PHASE_SAMPLE);
    EXPECT_FALSE(ts_replay_skip(rig.replay, 0));
    ts_engine_cancel(rig.engine, &event);
    EXPECT_TRUE(ts_replay_skip(rig.replay, 0));
}

/* What else happens beside a step is not its own, and does not come again with it. */
TEST(Replay, WritesNothingDownBesideWhichSomethingHappens)
{
    struct Other {
        ts_event event;
        Counts *counts;
    };
    Rig rig({UINT64_C(1000000000)});
    Other other{{}, &rig.counts};
    ts_event_init(&other.event, [](ts_engine *, ts_event *e) {
        reinterpret_cast<Other *>(e)->counts->steps += 100;
    });
    for (int i = 0; i < 4; i++) {
        const ts_time start = ts_engine_now(rig.engine), half = start + TS_NS / 2;
        ASSERT_FALSE(ts_replay_skip(rig.replay, 0));
        ts_engine_schedule(rig.engine, &other.event, half, TS_PHASE_SAMPLE);
        ts_replay_begin(rig.replay, 0);
        rig.counts.steps++;
        ts_engine_run(rig.engine, half);
        ASSERT_TRUE(ts_engine_try_advance(rig.engine, start + TS_NS));
        EXPECT_FALSE(ts_replay_end(rig.replay, true));
    }
    for (int i = 0; i < 10; i++)
        rig.step(TS_NS);
    EXPECT_EQ(rig.made, 2u);
    ts_replay_settle(rig.replay);
    EXPECT_EQ(rig.counts.steps, 4u * 101 + 10);
}

TEST(Replay, WritesNothingDownThatItsOwnerTakesForDifferent)
{
    Rig rig({UINT64_C(1000000000)});
    for (int i = 0; i < 10; i++)
        rig.step(TS_NS, false);
    EXPECT_EQ(rig.made, 10u);
}

TEST(Replay, NeedsAPeriodInPicoseconds)
{
    Rig rig({UINT64_C(3)});
    EXPECT_EQ(rig.replay, nullptr);
    Rig none({UINT64_C(7000000000), UINT64_C(2600000000)});
    EXPECT_NE(none.replay, nullptr); /* 200 MHz */
}
