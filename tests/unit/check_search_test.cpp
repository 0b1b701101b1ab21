// SPDX-License-Identifier: Apache-2.0
// Cases that are drawn, run and searched.
#include "models/flush/flush.h"
#include "sim/front/check/search.hpp"
#include "sim/front/check/story.hpp"
#include "sim/front/error.hpp"
#include "tests/support/broken_mechanisms.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <thread>

using namespace ts;

namespace
{

DrawCase draw_of(const ts_flush_ops *m)
{
    return [m](uint64_t seed) { return draw_case(seed, m); };
}

SearchSettings seeds(uint64_t first, uint64_t last, unsigned jobs)
{
    SearchSettings s;
    s.first = first;
    s.last = last;
    s.jobs = jobs;
    return s;
}

} // namespace

// A mechanism that cannot be drawn a machine for would pass unseen.
TEST(CheckCase, EveryMechanismGetsMostOfItsCases)
{
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        const ts_flush_ops *m = ts_flush_table[i];
        size_t made = 0;
        std::set<uint64_t> systems;
        for (uint64_t seed = 1; seed <= 40; seed++)
            if (const auto c = draw_case(seed, m)) {
                made++;
                systems.insert(case_config(*c).guest.os);
            }
        EXPECT_GE(made, 30u) << m->name;
        const bool arm = m->needs & (TS_NEEDS_ARM64 | TS_NEEDS_TLBIRANGE);
        for (uint64_t os = 0; os < TS_OS_KINDS; os++)
            EXPECT_EQ(systems.count(os) > 0, ts_flush_is_for(m, os) && (os == TS_OS_LINUX || !arm))
                << m->name << os;
    }
}

TEST(CheckCase, ASeedIsACase)
{
    const ts_flush_ops *m = ts_flush_find("kvm_pv");
    const CheckCase a = *draw_case(3, m), b = *draw_case(3, m), other = *draw_case(4, m);
    EXPECT_EQ(case_text(a), case_text(b));
    EXPECT_NE(case_text(a), case_text(other));
    EXPECT_EQ(story_text(a, 1000000), story_text(b, 1000000));
}

// Processes of several threads, by the list that their first thread begins with.
static size_t processes_with_several_threads(const CheckCase &c)
{
    size_t n = c.initial > 1;
    for (const auto &list : c.script)
        for (const ts_op &op : list)
            n += op.kind == TS_OP_SPAWN && (op.flags & TS_OPF_NEW_MM) &&
                 c.script[op.target][0].kind == TS_OP_SPAWN;
    return n;
}

// Half of the cases are small, a quarter has two processes of several threads, and some guests of
// arm64 share fewer VMIDs than they are.
TEST(CheckCase, CasesDifferInSizeProcessesAndVmids)
{
    size_t small = 0, one_core = 0, crowds = 0, tiny_crowds = 0, arm = 0, few_vmids = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        const CheckCase x86 = *draw_case(seed, ts_flush_find("kvm_pv"));
        const ts_machine_config config = case_config(x86);
        const bool is_small = config.run.vms == 1 && config.run.vcpus <= 3 &&
                              config.topology.sockets == 1 &&
                              config.topology.cores_per_socket <= 2 && x86.initial <= 3;
        small += is_small;
        one_core += is_small && config.topology.cores_per_socket == 1;
        crowds += processes_with_several_threads(x86) == 2;
        tiny_crowds +=
            processes_with_several_threads(*draw_tiny_case(seed, ts_flush_find("kvm_pv"))) == 2;
        const auto c = draw_case(seed, ts_flush_find("tlbi_range"));
        if (!c || case_config(*c).hypervisor.kind == TS_HYP_NONE)
            continue;
        arm++;
        few_vmids += case_config(*c).run.vms > 3 && case_config(*c).hypervisor.vmid_bits == 2;
    }
    EXPECT_NEAR(double(small), 200, 40);
    EXPECT_NEAR(double(one_core), double(small) / 2, 30);
    EXPECT_NEAR(double(crowds), 100, 30);
    EXPECT_NEAR(double(tiny_crowds), 100, 30);
    EXPECT_GT(arm, 200u);
    EXPECT_NEAR(double(few_vmids), double(arm) / 4, 25);
}

static ts_machine_config config_of_a_guest()
{
    ts_machine_config config;
    ts_machine_config_defaults(&config);
    config.run.vcpus = 3;
    config.run.vms = 1;
    return config;
}

/* Store buffers come on top; what else is drawn stays, so that seeds go on to mean what they did.
 */
TEST(CheckCase, WeakMemoryIsTheSameCaseWithStoreBuffers)
{
    const ts_flush_ops *m = ts_flush_find("kvm_pv");
    std::set<uint64_t> delays;
    uint64_t with_pti = 0, still = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const auto strong = draw_case(seed, m);
        if (!strong)
            continue;
        CheckCase weak = *strong, again = *strong;
        draw_store_delay(&weak, true);
        draw_store_delay(&again, true);
        EXPECT_EQ(case_text(weak), case_text(again));
        EXPECT_EQ(case_config(*strong).line.store_delay, 0u);
        delays.insert(case_config(weak).line.store_delay);
        ASSERT_GT(weak.settings.size(), strong->settings.size());
        with_pti += case_config(*strong).guest.pti;
        still += case_config(weak).guest.pti;
        weak.settings.resize(strong->settings.size());
        EXPECT_EQ(case_text(weak), case_text(*strong));
    }
    EXPECT_EQ(delays.count(0), 0u);
    EXPECT_EQ(delays.size(), 3u);
    EXPECT_GT(still, 0u);
    for (uint64_t seed = 1; seed <= 20; seed++) { // a machine that is given keeps what it has
        CheckCase given = *draw_case_in(seed, m, config_of_a_guest(), {});
        const size_t before = given.settings.size();
        draw_store_delay(&given, false);
        ASSERT_EQ(given.settings.size(), before + 1);
        EXPECT_EQ(given.settings.back().key, "line.store_delay");
    }
    EXPECT_LT(still, with_pti);
    CheckCase tiny = *draw_tiny_case(1, m);
    draw_store_delay(&tiny, true);
    EXPECT_EQ(case_config(tiny).line.store_delay, TS_MS); // all that a barrier does not end
}

TEST(CheckCase, InAGivenMachineOnlyWhatHappensIsDrawn)
{
    const ts_machine_config config = config_of_a_guest();
    const CheckCase c = *draw_case_in(5, ts_flush_find("native_concurrent"), config, {});
    const ts_machine_config got = case_config(c);
    EXPECT_EQ(got.run.vcpus, 3u);
    EXPECT_EQ(got.topology.sockets, config.topology.sockets);
    EXPECT_EQ(got.guest.pti, config.guest.pti);
    EXPECT_TRUE(got.run.oracle);
}

TEST(CheckSearch, FindsTheSameSeedWithAnyNumberOfJobs)
{
    const DrawCase draw = draw_of(ts_test::broken::mechanism<ts_test::broken::local_only>("local"));
    const SearchResult one = search(draw, seeds(1, 400, 1));
    ASSERT_TRUE(one.found);
    EXPECT_EQ(one.runs + one.refused, *one.found);
    // The others run on while one is at that seed; what they do counts for nothing.
    const DrawCase late = [&](uint64_t seed) {
        if (seed == *one.found)
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return draw(seed);
    };
    for (unsigned jobs : {2u, 5u}) {
        const SearchResult many = search(late, seeds(1, 400, jobs));
        ASSERT_TRUE(many.found);
        EXPECT_EQ(*many.found, *one.found);
        EXPECT_EQ(many.runs, one.runs);
        EXPECT_EQ(many.counts.hits, one.counts.hits);
        EXPECT_EQ(many.counts.in_window, one.counts.in_window);
    }
    // From behind it there is another one.
    const SearchResult next = search(draw, seeds(*one.found + 1, *one.found + 400, 2));
    EXPECT_TRUE(next.found);
    EXPECT_GT(*next.found, *one.found);
}

TEST(CheckSearch, RunsAllSeedsOfARightMechanism)
{
    const SearchResult all = search(draw_of(ts_flush_find("native_concurrent")), seeds(11, 60, 2));
    EXPECT_FALSE(all.found);
    EXPECT_FALSE(all.out_of_time);
    EXPECT_EQ(all.runs + all.refused, 50u);
    EXPECT_GT(all.counts.in_window, 50u); // CPUs do use what others take away
    EXPECT_GT(all.counts.in_vain, 50u);
    EXPECT_LT(all.counts.in_vain, all.counts.invalidations);
}

TEST(CheckSearch, EndsWithItsTime)
{
    SearchSettings s = seeds(1, UINT64_MAX, 2);
    s.until = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    const SearchResult some = search(draw_of(ts_flush_find("free_flush")), s);
    EXPECT_TRUE(some.out_of_time);
    EXPECT_FALSE(some.found);
}

TEST(CheckSearch, AnErrorNamesItsSeed)
{
    const DrawCase draw = [](uint64_t seed) {
        auto c = draw_case(seed, ts_flush_find("free_flush"));
        if (c && seed >= 9)
            c->settings.push_back({"run.vcpu", "2"});
        return c;
    };
    try {
        search(draw, seeds(1, 40, 2));
        FAIL();
    } catch (const Error &error) {
        EXPECT_NE(std::string(error.what()).find("run.vcpu"), std::string::npos);
        EXPECT_NE(std::string(error.what()).find("at seed 9"), std::string::npos) << error.what();
    }
}

namespace
{

void flush_breaks(ts_task *self, const ts_cpumask *, ts_flush_info *, ts_shootdown_record *)
{
    TS_ASSERT(self == nullptr);
}

} // namespace

namespace
{

// Flushes as if no table had been freed.
void flush_keeps_tables(ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                        ts_shootdown_record *record)
{
    info->freed_tables = false;
    ts_native_flush_tlb_multi(self, mask, info, record);
}

} // namespace

// Also where lazy CPUs do not ask for what they have missed (guest.lazy_rule).
TEST(CheckSearch, TheHypervisorsFlushIsRight)
{
    const SearchResult found = search(draw_of(ts_flush_find("hyperv")), seeds(1, 150, 2));
    EXPECT_FALSE(found.found) << "seed " << *found.found;
    EXPECT_EQ(found.runs, 150u);
}

TEST(CheckSearch, AFreedTableThatWalkCachesKeepIsAFinding)
{
    static const ts_flush_ops *keeps =
        ts_test::broken::mechanism<flush_keeps_tables>("keeps_tables");
    const DrawCase by_programs_alone = [](uint64_t seed) {
        std::optional<CheckCase> c = draw_case(seed, keeps);
        if (c)
            c->walk_steps = 0;
        return c;
    };
    const SearchResult found = search(by_programs_alone, seeds(301, 4000, 2));
    ASSERT_TRUE(found.found);
    EXPECT_EQ(run_case(*by_programs_alone(*found.found)).kind, FindingKind::FreedTable);
}

TEST(CheckSearch, AGenerationAheadOfItsFlushIsAFinding)
{
    static const ts_flush_ops hasty = [] {
        ts_flush_ops ops =
            *ts_test::broken::mechanism<ts_test::broken::raises_first>("raises_first");
        ops.needs |= TS_NEEDS_X86;
        ops.guests = TS_FOR_LINUX;
        return ops;
    }();
    std::map<FindingKind, size_t> found;
    for (uint64_t seed = 1; seed <= 200; seed++)
        if (const auto c = draw_case(seed, &hasty))
            found[run_case(*c).kind]++;
    EXPECT_GT(found[FindingKind::Generation], 0u);
    EXPECT_GT(found[FindingKind::Stale], 0u); // once it has returned
}

// LATR that keeps no pages back until everybody has swept.
TEST(CheckSearch, MemoryFreedBeforeItsFlushIsAFinding)
{
    static const ts_flush_ops hasty = [] {
        ts_flush_ops ops = *ts_flush_find("latr");
        ops.frame_release = [](ts_guest *, uint64_t) { return false; };
        return ops;
    }();
    const SearchResult found = search(draw_of(&hasty), seeds(1, 400, 2));
    ASSERT_TRUE(found.found);
    EXPECT_EQ(run_case(*draw_case(*found.found, &hasty)).kind, FindingKind::FreedMemory);
}

TEST(CheckSearch, AnInitiatorThatDoesNotReturnIsAFinding)
{
    const DrawCase draw =
        draw_of(ts_test::broken::mechanism<ts_test::broken::never_returns>("never_returns"));
    const SearchResult found = search(draw, seeds(1, 100, 2));
    ASSERT_TRUE(found.found);
    EXPECT_EQ(run_case(*draw(*found.found)).kind, FindingKind::Initiator);
}

// It is the model's invariant that fails then, of whatever cause.
TEST(CheckSearch, ABrokenInvariantIsAFinding)
{
    const DrawCase draw = draw_of(ts_test::broken::mechanism<flush_breaks>("breaks"));
    const SearchResult one = search(draw, seeds(1, 100, 1));
    ASSERT_TRUE(one.found);
    EXPECT_LT(*one.found, 20u);
    EXPECT_EQ(*search(draw, seeds(1, 100, 3)).found, *one.found);
    const CaseResult result = run_case_apart(*draw(*one.found));
    EXPECT_EQ(result.kind, FindingKind::Crash);
    EXPECT_NE(result.message.find("broken invariant: self == nullptr"), std::string::npos)
        << result.message;
}

TEST(CheckCase, ApartItEndsAsItDoesHere)
{
    const DrawCase draw = draw_of(ts_test::broken::mechanism<ts_test::broken::local_only>("local"));
    for (uint64_t seed : {*search(draw, seeds(1, 400, 2)).found, uint64_t(1)}) {
        const CaseResult here = run_case(*draw(seed)), apart = run_case_apart(*draw(seed));
        EXPECT_EQ(here.kind, apart.kind);
        EXPECT_EQ(here.message, apart.message);
        EXPECT_EQ(here.counts.hits, apart.counts.hits);
        EXPECT_EQ(here.counts.in_window, apart.counts.in_window);
        EXPECT_EQ(here.counts.shootdowns, apart.counts.shootdowns);
    }
}
