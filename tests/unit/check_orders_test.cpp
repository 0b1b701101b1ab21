// SPDX-License-Identifier: Apache-2.0
// Orders of a tiny case's steps: which are reversed, which count as one, and what comes of it.
#include "models/flush/flush.h"
#include "sim/front/check/orders.hpp"
#include "tests/support/broken_mechanisms.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

using namespace ts;

namespace
{

const int line = 0, other_line = 0, space = 0;

ts_step step(ts_time now, uint32_t cpu, ts_step_kind kind, bool write, const void *object,
             uint64_t start = 0, uint64_t end = 0)
{
    return {now, kind, write, 1, cpu, cpu, object, start, end};
}
ts_step reads(ts_time now, uint32_t cpu, const void *object = &line)
{
    return step(now, cpu, TS_STEP_LINE, false, object);
}
ts_step writes(ts_time now, uint32_t cpu, const void *object = &line)
{
    return step(now, cpu, TS_STEP_LINE, true, object);
}
ts_step touches(ts_time now, uint32_t cpu, uint64_t va)
{
    return step(now, cpu, TS_STEP_TOUCH, false, &space, va, va + 1);
}
ts_step changes(ts_time now, uint32_t cpu, uint64_t start, uint64_t end)
{
    return step(now, cpu, TS_STEP_CHANGE, true, &space, start, end);
}
ts_step interrupt(ts_time now, uint32_t node)
{
    return {now, TS_STEP_MESSAGE, true, 0, 0, 0, nullptr, node, node + 1};
}

// As (step, for how long), without preemption.
std::vector<std::pair<uint32_t, uint64_t>> stalls(const std::vector<ts_step> &steps,
                                                  size_t after = 0)
{
    std::vector<std::pair<uint32_t, uint64_t>> all;
    for (const PutOff &p : reversals(steps, after, false))
        all.emplace_back(p.step, p.ps);
    return all;
}

using Pairs = std::vector<std::pair<uint32_t, uint64_t>>;
constexpr uint64_t behind = 50 * TS_NS;

CheckCase tiny(const char *mechanism, uint64_t seed)
{
    return *draw_tiny_case(seed, ts_flush_find(mechanism));
}

// One thread on bare metal.
CheckCase alone()
{
    CheckCase c = tiny("native_concurrent", 1);
    for (const auto &[key, value] :
         {std::pair("hypervisor.kind", "none"), std::pair("hypervisor.pv_tlb_flush", "false"),
          std::pair("hypervisor.hv_flush", "off")})
        c.settings.push_back({key, value});
    c.script = {{op_mmap(0, 4096), op_touch(0, 0, 1), op_touch(0, 0, 3, false, 0),
                 op_range(TS_OP_MUNMAP, 0, 0, 4096), op_mmap(1, 8192), op_touch(1, 0, 2)}};
    c.initial = 1;
    return c;
}

OrdersSettings up_to(size_t put_offs, unsigned jobs = 1)
{
    OrdersSettings s;
    s.jobs = jobs;
    s.put_offs = put_offs;
    return s;
}

} // namespace

TEST(CheckOrders, OfTwoStepsThatConflictTheFirstIsPutOff)
{
    EXPECT_EQ(stalls({writes(1000, 0), writes(4000, 1)}), (Pairs{{0, 3000 + behind}}));
    EXPECT_EQ(stalls({reads(1000, 0), writes(4000, 1)}), (Pairs{{0, 3000 + behind}}));
    EXPECT_EQ(stalls({writes(1000, 0), reads(1000, 1)}), (Pairs{{0, behind}}));
    EXPECT_EQ(stalls({touches(0, 0, 0x1000), changes(9, 1, 0x1000, 0x2000)}),
              (Pairs{{0, 9 + behind}}));
    EXPECT_EQ(stalls({changes(0, 1, 0x1000, 0x2000), touches(9, 0, 0x1fff)}),
              (Pairs{{0, 9 + behind}}));
    // A store that has waited is seen at the barrier.
    EXPECT_EQ(stalls({step(0, 0, TS_STEP_BARRIER, true, &line), reads(9, 1)}),
              (Pairs{{0, 9 + behind}}));
    EXPECT_EQ(stalls({reads(0, 1), step(9, 0, TS_STEP_BARRIER, true, &line)}),
              (Pairs{{0, 9 + behind}}));
    // An interrupt and what its CPU does, either way.
    EXPECT_EQ(stalls({interrupt(5, 1), reads(7, 1)}), (Pairs{{0, 2 + behind}}));
    EXPECT_EQ(stalls({touches(5, 1, 0), interrupt(7, 1)}), (Pairs{{0, 2 + behind}}));
}

TEST(CheckOrders, OtherStepsMayComeInAnyOrder)
{
    EXPECT_EQ(stalls({reads(1000, 0), reads(4000, 1)}), Pairs{});
    EXPECT_EQ(stalls({writes(1000, 0), writes(4000, 0)}), Pairs{});
    EXPECT_EQ(stalls({writes(1000, 0), writes(4000, 1, &other_line)}), Pairs{});
    EXPECT_EQ(stalls({touches(0, 0, 0x2000), changes(9, 1, 0x1000, 0x2000)}), Pairs{});
    EXPECT_EQ(stalls({touches(0, 0, 0x1000), touches(9, 1, 0x1000)}), Pairs{});
    EXPECT_EQ(stalls({interrupt(5, 1), reads(7, 0)}), Pairs{});
    EXPECT_EQ(stalls({interrupt(5, 1), interrupt(7, 0)}), Pairs{});
    // A group is a machine of its own: CPU 0 of the host is not vCPU 0.
    ts_step host = writes(4000, 0);
    host.group = 0;
    EXPECT_EQ(stalls({writes(1000, 0), host}), (Pairs{{0, 3000 + behind}}));
}

TEST(CheckOrders, TwoConflictsWithEachOtherCpuAndNoneFarAway)
{
    EXPECT_EQ(stalls({writes(0, 0), reads(1, 1), reads(2, 1), reads(3, 1), reads(4, 2)}),
              (Pairs{{0, 1 + behind}, {0, 2 + behind}, {0, 4 + behind}}));
    EXPECT_EQ(stalls({writes(0, 0), reads(200 * TS_US, 1)}), (Pairs{{0, 200 * TS_US + behind}}));
    EXPECT_EQ(stalls({writes(0, 0), reads(200 * TS_US + 1, 1)}), Pairs{});
    // What lies before the last that was put off stays as it is.
    EXPECT_EQ(stalls({writes(0, 0), writes(1, 1), writes(3, 0)}, 1), (Pairs{{1, 2 + behind}}));
}

TEST(CheckOrders, OnlyAGuestIsPreempted)
{
    std::vector<ts_step> steps = {writes(0, 0), writes(5, 1)};
    std::vector<PutOff> all = reversals(steps, 0, true);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_TRUE(all[1].preempts);
    EXPECT_EQ(all[1].ps, 5 + behind + 2 * TS_US);
    EXPECT_EQ(all[1].pcpu, 0u);
    steps[0].group = 0;
    EXPECT_EQ(reversals(steps, 0, true).size(), 1u);
    EXPECT_EQ(reversals({interrupt(0, 1), reads(5, 1)}, 0, true).size(), 1u);
}

TEST(CheckOrders, AnOrderIsThatOfConflictsAlone)
{
    const auto same = [](const std::vector<ts_step> &a, const std::vector<ts_step> &b) {
        return order_of(a) == order_of(b);
    };
    EXPECT_TRUE(same({reads(0, 0), reads(1, 1)}, {reads(0, 1), reads(1, 0)}));
    EXPECT_FALSE(same({reads(0, 0), writes(1, 1)}, {writes(0, 1), reads(1, 0)}));
    EXPECT_FALSE(same({writes(0, 0), writes(1, 1)}, {writes(0, 1), writes(1, 0)}));
    EXPECT_TRUE(
        same({writes(0, 0), writes(1, 1, &other_line)}, {writes(0, 1, &other_line), writes(1, 0)}));
    // Neither when nor where.
    EXPECT_TRUE(same({writes(0, 0), reads(1, 1)}, {writes(70, 0), reads(90, 1)}));
    EXPECT_TRUE(
        same({writes(0, 0), reads(1, 1)}, {writes(0, 0, &other_line), reads(1, 1, &other_line)}));
    EXPECT_FALSE(same({touches(0, 0, 0x1000), changes(1, 1, 0, 0x2000)},
                      {changes(0, 1, 0, 0x2000), touches(1, 0, 0x1000)}));
    EXPECT_FALSE(same({interrupt(0, 0), reads(1, 0)}, {reads(0, 0), interrupt(1, 0)}));
    EXPECT_TRUE(same({interrupt(0, 0), reads(1, 1)}, {reads(0, 1), interrupt(1, 0)}));
}

// Steps are told in another order than they are done: a message when it is sent, one that is put
// off before those that it lets by.
TEST(CheckOrders, AnOrderIsThatOfWhatIsDone)
{
    EXPECT_EQ(order_of({interrupt(5, 1), reads(3, 1), reads(7, 1)}),
              order_of({reads(3, 1), interrupt(5, 1), reads(7, 1)}));
    EXPECT_NE(order_of({interrupt(5, 1), reads(3, 1), reads(7, 1)}),
              order_of({interrupt(2, 1), reads(3, 1), reads(7, 1)}));
    EXPECT_EQ(order_of({writes(9, 0), writes(4, 1)}), order_of({writes(4, 1), writes(9, 0)}));
    EXPECT_NE(order_of({writes(9, 0), writes(4, 1)}), order_of({writes(3, 0), writes(4, 1)}));
    EXPECT_EQ(stalls({writes(9, 0), writes(4, 1)}), (Pairs{{1, 5 + behind}}));
    EXPECT_EQ(stalls({interrupt(5, 1), reads(3, 1)}), (Pairs{{1, 2 + behind}}));
}

TEST(CheckOrders, WhatIsPutOffIsLaterBySoMuch)
{
    CheckCase c = alone();
    std::vector<ts_step> before;
    ASSERT_EQ(run_case(c, nullptr, &before).kind, FindingKind::None);
    const uint64_t late = 7 * TS_US, cycle = TS_NS;
    size_t tried = 0;
    for (uint32_t step = 0; step + 1 < before.size(); step++) {
        if (before[step].kind == TS_STEP_MESSAGE)
            continue;
        PutOff p;
        p.step = step;
        p.ps = late;
        c.put_off = {p};
        std::vector<ts_step> after;
        ASSERT_EQ(run_case(c, nullptr, &after).kind, FindingKind::None);
        ASSERT_EQ(after.size(), before.size());
        for (uint32_t i = 0; i < step; i++)
            ASSERT_EQ(after[i].now, before[i].now) << i << " of " << step;
        ASSERT_EQ(after[step].now, before[step].now + late);
        ASSERT_GE(after[step + 1].now, before[step + 1].now + late) << step;
        ASSERT_LE(after[step + 1].now, before[step + 1].now + late + cycle) << step;
        tried++;
    }
    EXPECT_GT(tried, 20u);
}

// Whoever waits for an interrupt waits for one that is late.
TEST(CheckOrders, AnInterruptThatIsPutOffIsWaitedFor)
{
    const uint64_t late = 300 * TS_US;
    CheckCase c = tiny("native_concurrent", 1);
    std::vector<ts_step> before;
    ASSERT_EQ(run_case(c, nullptr, &before).kind, FindingKind::None);
    size_t tried = 0;
    for (uint32_t i = 0; i < before.size() && tried < 6; i++) {
        if (before[i].kind != TS_STEP_MESSAGE)
            continue;
        PutOff p;
        p.kind = TS_STEP_MESSAGE;
        p.step = i;
        p.ps = late;
        c.put_off = {p};
        std::vector<ts_step> after;
        EXPECT_EQ(run_case(c, nullptr, &after).kind, FindingKind::None);
        EXPECT_GE(after.back().now, before[i].now + late) << i;
        tried++;
    }
    EXPECT_GT(tried, 0u);
}

// On bare metal, where everything is a step of the guest: one of each access, taking away, and
// line; lines are read and written.
TEST(CheckOrders, StepsAreWhatCpusDo)
{
    const CheckCase c = alone();
    std::vector<ts_step> steps;
    ASSERT_EQ(run_case(c, nullptr, &steps).kind, FindingKind::None);
    size_t touches = 0, taken = 0, line_reads = 0, line_writes = 0;
    std::set<uint64_t> pages;
    const void *table = nullptr;
    ts_time last = 0;
    for (const ts_step &s : steps) {
        EXPECT_NE(s.kind, TS_STEP_MESSAGE); // there is nobody to interrupt
        EXPECT_GE(s.now, last);
        last = s.now;
        EXPECT_EQ(s.write, s.kind == TS_STEP_CHANGE || (s.kind == TS_STEP_LINE && s.write));
        if (s.kind == TS_STEP_TOUCH) {
            touches++;
            pages.insert(s.start);
            EXPECT_TRUE(table == nullptr || table == s.object);
            table = s.object;
        } else if (s.kind == TS_STEP_CHANGE) {
            taken++;
            EXPECT_TRUE(table == s.object || touches == 0);
        } else {
            (s.write ? line_writes : line_reads)++;
        }
    }
    // Each page's first use faults and is made again.
    EXPECT_EQ(touches, 1 + 3 + 2 + 3u);
    EXPECT_GE(pages.size(), 2u);
    EXPECT_GE(taken, 1u);
    EXPECT_GT(line_reads, 0u);
    EXPECT_GT(line_writes, 0u);
}

// With store buffers the store of a switch waits till its MOV CR3, which is a step then.
TEST(CheckOrders, ASwitchTellsTheEndOfItsStore)
{
    for (const bool weak : {false, true}) {
        size_t barriers = 0;
        for (uint64_t seed = 1; seed <= 8; seed++) {
            CheckCase c = tiny("kvm_pv", seed);
            if (weak)
                draw_store_delay(&c, true);
            std::vector<ts_step> steps;
            ASSERT_EQ(run_case(c, nullptr, &steps).kind, FindingKind::None);
            std::set<const void *> written;
            for (const ts_step &s : steps) {
                if (s.kind == TS_STEP_LINE && s.write)
                    written.insert(s.object);
                if (s.kind != TS_STEP_BARRIER)
                    continue;
                EXPECT_TRUE(s.write);
                EXPECT_EQ(written.count(s.object), 1u);
                barriers++;
            }
        }
        EXPECT_EQ(barriers > 0, weak);
    }
}

// By chance, as often and as long as the case says, and nothing but time changes.
TEST(CheckOrders, StallsComeByChance)
{
    CheckCase c = tiny("native_concurrent", 1), stalled = c;
    std::vector<ts_step> before, after;
    stalled.stall_steps = 4;
    stalled.stall_ps = 100 * TS_US;
    ASSERT_EQ(run_case(c, nullptr, &before).kind, FindingKind::None);
    ASSERT_EQ(run_case(stalled, nullptr, &after).kind, FindingKind::None);
    // CPUs stand still beside each other: at least as long as a quarter of the steps of one takes.
    const ts_time more = after.back().now - before.back().now;
    EXPECT_GT(more, before.size() / 4 / 3 * stalled.stall_ps / 2);
    EXPECT_LT(more, after.size() * stalled.stall_ps);
    std::vector<ts_step> again;
    ASSERT_EQ(run_case(stalled, nullptr, &again).kind, FindingKind::None);
    EXPECT_EQ(again.size(), after.size());
    EXPECT_EQ(again.back().now, after.back().now);
    stalled.noise_variant = 1; // at other steps
    again.clear();
    ASSERT_EQ(run_case(stalled, nullptr, &again).kind, FindingKind::None);
    EXPECT_NE(again.back().now, after.back().now);
}

// In the mean, of one CPU that nobody waits for.
TEST(CheckOrders, StallsComeAsOftenAsTheCaseSays)
{
    CheckCase c = alone();
    c.stall_steps = 4;
    c.stall_ps = TS_MS / 10;
    double stood = 0, expected = 0;
    std::vector<ts_step> steps;
    CheckCase quick = c;
    quick.stall_steps = quick.stall_ps = 0;
    ASSERT_EQ(run_case(quick, nullptr, &steps).kind, FindingKind::None);
    const ts_time without = steps.back().now - steps.front().now;
    for (uint64_t variant = 0; variant < 40; variant++) {
        c.noise_variant = variant;
        steps.clear();
        ASSERT_EQ(run_case(c, nullptr, &steps).kind, FindingKind::None);
        stood += double(steps.back().now - steps.front().now) - double(without);
        expected += double(steps.size()) / 4 * double(c.stall_ps);
    }
    EXPECT_GT(stood, 0.8 * expected);
    EXPECT_LT(stood, 1.2 * expected);
}

// They are there as long as there is something to interrupt.
TEST(CheckOrders, InterruptionsEndWithTheGuests)
{
    struct Watcher : CaseWatcher {
        void operation(ts_time now, uint32_t, uint32_t, size_t) override
        {
            last = now;
            before += after;
            after = 0;
        }
        void timeline(const ts_timeline_record &record) override
        {
            if (record.kind == TS_TL_BEGIN && record.name == std::string("interruption"))
                (record.when > last + 100 * TS_US ? late : after)++;
        }
        void shootdown(const ts_shootdown_record &) override
        {
        }
        ts_time last = 0;
        size_t before = 0, after = 0, late = 0;
    } watcher;
    CheckCase c = *draw_case(1, ts_flush_find("kvm_pv"));
    c.noise_every_ps = 3 * TS_US;
    c.noise_work_ps = 200 * TS_NS;
    c.stall_steps = c.stall_ps = 0;
    ASSERT_EQ(run_case(c, &watcher).kind, FindingKind::None);
    EXPECT_GT(watcher.before, 10u);
    EXPECT_EQ(watcher.late, 0u);
}

// A CPU in lazy TLB mode executes nothing of its address space, so nobody but the hardware itself
// goes on in a table that was freed.
TEST(CheckOrders, WalksOfTheHardwareShowWhatLazyCpusKeep)
{
    // On bare metal: a halted vCPU is not executed at all.
    static const ts_flush_ops wrong = [] {
        ts_flush_ops ops =
            *ts_test::broken::mechanism<ts_test::broken::lazy_left_out>("lazy_left_out");
        ops.needs |= TS_NEEDS_BARE_METAL;
        return ops;
    }();
    size_t with = 0, without = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        auto c = draw_case(seed, &wrong);
        if (!c)
            continue;
        try {
            for (const uint64_t steps : {uint64_t{0}, uint64_t{2}}) {
                c->walk_steps = steps;
                const CaseResult result = run_case(*c);
                if (result.kind != FindingKind::FreedTable)
                    continue;
                (steps ? with : without)++;
                if (steps && result.message.find("by itself") == std::string::npos)
                    without++;
            }
        } catch (const CaseRefused &) {
            // What was drawn cannot be combined.
        }
    }
    EXPECT_GT(with, 3u);
    EXPECT_LT(without, with);
}

// With PTI a CPU on its way to user mode has not come there yet; a gather that was full has nothing
// open when its tables go.
TEST(CheckOrders, WalksOfTheHardwareFindNothingWhereAllIsRight)
{
    for (const auto &[name, first] :
         {std::pair("rar", 578), std::pair("kvm_pv_ipi", 2705), std::pair("native_concurrent", 120),
          std::pair("native_sequential", 32444), std::pair("invlpgb", 1036)}) {
        for (uint64_t seed = uint64_t(first); seed < uint64_t(first) + 8; seed++) {
            auto c = draw_case(seed, ts_flush_find(name));
            if (!c)
                continue;
            try {
                for (const uint64_t steps : {2, 3, 30}) {
                    c->walk_steps = steps;
                    EXPECT_EQ(run_case(*c).message, "") << name << ' ' << seed;
                }
            } catch (const CaseRefused &) {
                // What was drawn cannot be combined.
            }
        }
    }
}

// The host's thread takes the pCPU when it is said, for as long as is said.
TEST(CheckOrders, APreemptionIsSeenByTheHost)
{
    class Preempted : public CaseWatcher
    {
      public:
        std::vector<ts_time> begins, ends;
        void operation(ts_time, uint32_t, uint32_t, size_t) override
        {
        }
        void shootdown(const ts_shootdown_record &) override
        {
        }
        void timeline(const ts_timeline_record &r) override
        {
            if (r.group != 0 || r.name == nullptr || std::string(r.name) != "preemption" ||
                r.track != 1)
                return;
            (r.kind == TS_TL_BEGIN ? begins : ends).push_back(r.when);
        }
    };
    CheckCase c = tiny("kvm_pv", 2);
    PutOff p;
    p.preempts = true;
    p.at = 30 * TS_US;
    p.ps = 9 * TS_US;
    p.pcpu = 1;
    c.put_off = {p};
    Preempted seen;
    ASSERT_EQ(run_case(c, &seen).kind, FindingKind::None);
    ASSERT_EQ(seen.begins.size(), 2u); // it goes to sleep first
    ASSERT_EQ(seen.ends.size(), 2u);
    EXPECT_GE(seen.begins[1], p.at);
    EXPECT_LT(seen.begins[1], p.at + 5 * TS_US);
    EXPECT_GE(seen.ends[1] - seen.begins[1], p.ps);
    EXPECT_LT(seen.ends[1] - seen.begins[1], p.ps + 3 * TS_US);
}

TEST(CheckOrders, JobsDoNotMatter)
{
    for (const char *mechanism : {"native_concurrent", "hyperv_2017"}) {
        const CheckCase c = tiny(mechanism, 1);
        const OrdersResult one = explore(c, up_to(1)), three = explore(c, up_to(1, 3));
        EXPECT_EQ(one.runs, three.runs) << mechanism;
        EXPECT_EQ(one.orders, three.orders) << mechanism;
        EXPECT_EQ(one.counts.hits, three.counts.hits) << mechanism;
        EXPECT_EQ(one.finding.message, three.finding.message) << mechanism;
        EXPECT_EQ(one.found.has_value(), three.found.has_value()) << mechanism;
    }
}

TEST(CheckOrders, FindsWhatNoRunInItsOwnOrderShows)
{
    const CheckCase c = tiny("hyperv_2017", 1);
    const OrdersResult none = explore(c, up_to(0)), one = explore(c, up_to(2));
    EXPECT_FALSE(none.found);
    EXPECT_EQ(none.runs, 1u);
    EXPECT_EQ(none.orders, 1u);
    ASSERT_TRUE(one.found);
    EXPECT_EQ(one.finding.kind, FindingKind::Stale);
    ASSERT_EQ(one.found->put_off.size(), 1u); // the fewest that it takes
    const CaseResult again = run_case(*one.found);
    EXPECT_EQ(again.message, one.finding.message);
}

TEST(CheckOrders, SaysHowFarItHasCome)
{
    const CheckCase c = tiny("native_concurrent", 1);
    const OrdersResult whole = explore(c, up_to(1));
    EXPECT_FALSE(whole.found);
    EXPECT_FALSE(whole.cut);
    EXPECT_EQ(whole.complete, 1u);
    EXPECT_GT(whole.orders, 10u);
    EXPECT_LT(whole.orders, whole.runs);
    OrdersSettings few = up_to(1);
    few.runs = 20;
    const OrdersResult some = explore(c, few);
    EXPECT_TRUE(some.cut);
    EXPECT_EQ(some.runs, 20u);
    EXPECT_EQ(some.complete, 0u);
    few.until = std::chrono::steady_clock::now();
    const OrdersResult late = explore(c, few);
    EXPECT_TRUE(late.cut);
    EXPECT_EQ(late.runs, 0u);
}

// Two deep goes further than one, and what has been seen is gone on from once.
TEST(CheckOrders, EachOrderIsGoneOnFromOnce)
{
    const CheckCase c = tiny("tlbi_broadcast", 2);
    OrdersSettings two = up_to(2);
    two.runs = 3000;
    const OrdersResult one = explore(c, up_to(1)), more = explore(c, two);
    EXPECT_FALSE(more.found);
    EXPECT_GT(more.orders, one.orders);
    std::vector<ts_step> first;
    (void)run_case(c, nullptr, &first);
    EXPECT_EQ(one.runs,
              1 + reversals(first, 0, case_config(c).hypervisor.kind != TS_HYP_NONE).size());
}

// Run by run as the header says it: an order that is come to again is gone on from with the steps
// that it has not been gone on from before.
TEST(CheckOrders, RunsAreThoseOfTheDefinition)
{
    CheckCase c = tiny("tlbi_broadcast", 1);
    const bool preempts = case_config(c).hypervisor.kind != TS_HYP_NONE;
    std::map<uint64_t, size_t> from;
    const auto go_on = [&](const std::vector<PutOff> &plan) {
        c.put_off = plan;
        std::vector<ts_step> steps;
        (void)run_case(c, nullptr, &steps);
        const size_t after = plan.empty() ? 0 : plan.back().step + 1;
        size_t &before = from.emplace(order_of(steps), SIZE_MAX).first->second;
        std::vector<PutOff> all = reversals(steps, after, preempts);
        all.erase(std::remove_if(all.begin(), all.end(),
                                 [&](const PutOff &p) { return p.step >= before; }),
                  all.end());
        before = std::min(before, after);
        return all;
    };
    // With three put off one that comes later may begin at an earlier step.
    size_t expected = 0;
    std::vector<std::vector<PutOff>> plans = {{}};
    for (size_t depth = 0; depth <= 3; depth++) {
        std::vector<std::vector<PutOff>> next;
        for (const std::vector<PutOff> &plan : plans) {
            expected++;
            for (const PutOff &p : depth < 3 ? go_on(plan) : std::vector<PutOff>{}) {
                next.push_back(plan);
                next.back().push_back(p);
            }
        }
        plans = next;
    }
    const OrdersResult three = explore(tiny("tlbi_broadcast", 1), up_to(3));
    EXPECT_FALSE(three.cut);
    EXPECT_EQ(three.complete, 3u);
    EXPECT_EQ(three.runs, expected);
}

TEST(CheckOrders, EveryMechanismHasTinyCases)
{
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        const ts_flush_ops *m = ts_flush_table[i];
        uint64_t drawn = 0, hits = 0;
        for (uint64_t seed = 1; seed <= 12; seed++)
            if (const auto c = draw_tiny_case(seed, m)) {
                try {
                    const OrdersResult r = explore(*c, up_to(0));
                    EXPECT_FALSE(r.found && !m->faults)
                        << m->name << ' ' << seed << ": " << r.finding.message;
                    drawn++;
                    hits += r.counts.hits;
                } catch (const CaseRefused &) {
                    // What was drawn cannot be combined.
                }
            }
        EXPECT_GE(drawn, 4u) << m->name;
        EXPECT_GT(hits, 0u) << m->name;
    }
}
