// SPDX-License-Identifier: Apache-2.0
// What is drawn beside the machine and the operations: a host that changes the guests' memory,
// guests that are short of it, what arm64 has of its own, and small machines alone.
#include "models/flush/flush.h"
#include "sim/front/check/search.hpp"
#include "sim/front/check/story.hpp"

#include <gtest/gtest.h>

#include <map>

using namespace ts;

namespace
{

bool sets(const CheckCase &c, const std::string &key)
{
    for (const CaseSetting &s : c.settings)
        if (s.key == key)
            return true;
    return false;
}

// Seed 1 to n of the mechanism, as far as they can be drawn.
std::vector<CheckCase> cases(const char *mechanism, uint64_t n, bool small = false)
{
    std::vector<CheckCase> all;
    for (uint64_t seed = 1; seed <= n; seed++)
        if (const auto c = draw_case(seed, ts_flush_find(mechanism), small))
            all.push_back(*c);
    return all;
}

} // namespace

TEST(CheckDraws, HalfOfTheArmGuestsHaveOne)
{
    size_t guests = 0, with = 0, wide = 0, second = 0;
    std::map<ts_host_op_kind, size_t> kinds;
    for (const CheckCase &c : cases("tlbi_range", 400)) {
        const ts_machine_config config = case_config(c);
        const bool guest = config.hypervisor.kind != TS_HYP_NONE;
        guests += guest;
        with += !c.vmm.empty();
        ASSERT_TRUE(guest || c.vmm.empty());
        EXPECT_LE(c.vmm.size(), c.small ? 8u : 16u);
        for (size_t i = 0; i < c.vmm.size(); i++) {
            const ts_host_op &op = c.vmm[i];
            kinds[op.kind]++;
            EXPECT_EQ(op.kind == TS_HOST_SLEEP, i % 2 == 0);
            EXPECT_LT(op.vm, config.run.vms);
            second += op.vm == 1;
            wide += op.kind == TS_HOST_NOTIFY && op.start == 0 && op.amount == UINT64_C(2) << 20;
            ts_error err{};
            EXPECT_EQ(ts_host_op_check(&op, &config.hypervisor, TS_ARCH_ARM64,
                                       static_cast<uint32_t>(config.run.vms), 2, &err),
                      TS_OK)
                << err.message;
        }
    }
    EXPECT_NEAR(double(with), double(guests) / 2, 30);
    EXPECT_EQ(kinds.size(), 4u);
    const auto all = double(kinds[TS_HOST_SLEEP]);
    EXPECT_NEAR(double(kinds[TS_HOST_NOTIFY]), all * 3 / 5, all / 20);
    EXPECT_NEAR(double(kinds[TS_HOST_LOG_START]), all / 5, all / 20);
    EXPECT_GT(wide, kinds[TS_HOST_NOTIFY] / 5);
    EXPECT_GT(second, all / 20);
    for (const CheckCase &c : cases("kvm_pv", 50))
        EXPECT_TRUE(c.vmm.empty());
}

// One by one, beside the guests, and none before it has slept for as long as it should.
TEST(CheckDraws, ItsOperationsAreDone)
{
    class Watcher : public CaseWatcher
    {
      public:
        std::vector<std::pair<ts_time, size_t>> asked;
        void operation(ts_time, uint32_t, uint32_t, size_t) override
        {
        }
        void vmm(ts_time now, size_t index) override
        {
            asked.push_back({now, index});
        }
        void timeline(const ts_timeline_record &) override
        {
        }
        void shootdown(const ts_shootdown_record &) override
        {
        }
    };
    size_t whole = 0;
    for (const CheckCase &c : cases("tlbi_range", 30)) {
        Watcher watcher;
        ASSERT_EQ(run_case(c, &watcher).kind, FindingKind::None);
        for (size_t i = 0; i < watcher.asked.size(); i++) {
            EXPECT_EQ(watcher.asked[i].second, i);
            if (i % 2) {
                EXPECT_GE(watcher.asked[i].first - watcher.asked[i - 1].first, c.vmm[i - 1].amount);
            }
        }
        whole += !c.vmm.empty() && watcher.asked.size() == c.vmm.size() + 1;
    }
    EXPECT_GT(whole, 3u);
}

TEST(CheckDraws, IsToldInTheStory)
{
    for (const CheckCase &c : cases("tlbi_range", 30)) {
        EXPECT_EQ(case_text(c).find("a thread of the VMM:\n    {sleep: ") != std::string::npos,
                  !c.vmm.empty());
        if (c.vmm.empty())
            continue;
        const std::string story = story_text(c, 1000000);
        EXPECT_NE(story.find("VMM: {sleep: "), std::string::npos);
        EXPECT_NE(story.find("VMM: done: {sleep: "), std::string::npos);
    }
}

// These seeds are such as show one flush or another that is not made (tests/mutants).
TEST(CheckDraws, WhatTheyShowIsRight)
{
    const struct {
        const char *mechanism;
        uint64_t first, last;
    } all[] = {{"tlbi_broadcast", 1, 60},       {"tlbi_broadcast", 1946, 1946},
               {"tlbi_range", 52, 52},          {"vm_domain", 265, 265},
               {"native_concurrent", 129, 129}, {"native_concurrent", 4972, 4972}};
    SearchSettings s;
    s.jobs = 1;
    for (const auto &one : all) {
        const ts_flush_ops *m = ts_flush_find(one.mechanism);
        s.first = one.first;
        s.last = one.last;
        const SearchResult result = search([m](uint64_t seed) { return draw_case(seed, m); }, s);
        EXPECT_FALSE(result.found) << one.mechanism << " " << *result.found;
        EXPECT_GT(result.runs, (s.last - s.first) / 2);
    }
}

// Small ones with --small, whatever the seed would make, and no four VMs.
TEST(CheckDraws, AllSmallOnesAreSmall)
{
    for (const CheckCase &c : cases("tlbi_range", 100, true)) {
        const ts_machine_config config = case_config(c);
        EXPECT_TRUE(c.small);
        EXPECT_EQ(config.run.vms, 1u);
        EXPECT_LE(config.run.vcpus, 3u);
        EXPECT_EQ(config.topology.sockets, 1u);
        EXPECT_LE(config.topology.cores_per_socket, 2u);
        EXPECT_EQ(config.mmu.l2_entries, 96u);
        EXPECT_NE(config.hypervisor.vmid_bits, 2u);
    }
}

TEST(CheckDraws, TlbisAndTrapsOfArmAreDrawn)
{
    std::map<uint64_t, size_t> most, traps;
    size_t arm = 0, guests = 0;
    for (const CheckCase &c : cases("tlbi_range", 200)) {
        const ts_machine_config config = case_config(c);
        arm++;
        most[config.guest.max_dvm_ops]++;
        if (config.hypervisor.kind == TS_HYP_NONE)
            continue;
        guests++;
        traps[config.hypervisor.wfe_trap]++;
        // Who spins without an exit goes on for as long as it is let.
        if (!config.hypervisor.wfe_trap) {
            EXPECT_EQ(config.host_sched.tick_ps, 100 * TS_US);
            EXPECT_EQ(config.host_sched.latency_ps, 200 * TS_US);
        }
    }
    ASSERT_EQ(most.size(), 4u);
    for (const auto &[ops, n] : most)
        EXPECT_NEAR(double(n), double(arm) / 4, 25) << ops;
    EXPECT_NEAR(double(traps[0]), double(guests) / 2, 25);
    for (const CheckCase &c : cases("kvm_pv", 20))
        EXPECT_FALSE(sets(c, "guest.max_dvm_ops") || sets(c, "hypervisor.wfe_trap"));
}

TEST(CheckDraws, AQuarterOfTheLinuxGuestsIsShortOfMemory)
{
    std::map<uint64_t, size_t> periods, batches;
    const std::vector<CheckCase> all = cases("native_concurrent", 400);
    size_t linux_guests = 0, with = 0;
    for (const CheckCase &c : all) {
        const ts_machine_config config = case_config(c);
        const bool is_linux = config.guest.os == TS_OS_LINUX;
        linux_guests += is_linux;
        EXPECT_TRUE(is_linux || !sets(c, "guest.reclaim_period"));
        if (config.guest.reclaim_period_ps == 0)
            continue;
        with++;
        periods[config.guest.reclaim_period_ps]++;
        batches[config.guest.reclaim_free_batch]++;
    }
    ASSERT_GT(linux_guests, 200u);
    EXPECT_EQ(all.size(), 400u); // Windows refuses what is Linux's
    EXPECT_NEAR(double(with), double(linux_guests) / 4, 25);
    EXPECT_EQ(periods.size(), 3u);
    EXPECT_EQ(batches.size(), 3u);
}
