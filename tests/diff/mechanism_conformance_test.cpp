/* SPDX-License-Identifier: Apache-2.0 */
/* Every mechanism of the table, on every architecture and under every operating system it runs on:
 * same operations as its rivals, clean oracle, sums that add up, and results that depend on nothing
 * but configuration and seed. */
#include <gtest/gtest.h>

#include "tests/support/script_workload.hpp"

using namespace ts_test;

namespace
{

struct Case {
    const ts_flush_ops *mechanism;
    bool arm;
    uint64_t os;

    ts_machine_config machine() const
    {
        return small_machine(arm, mechanism, os);
    }
};

std::vector<Case> cases()
{
    std::vector<Case> all;
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        for (uint64_t os = 0; os < TS_OS_KINDS; os++)
            for (bool arm : platforms(ts_flush_table[i], os))
                all.push_back({ts_flush_table[i], arm, os});
    }
    return all;
}

/* Pages are touched more than once, and addresses are soon mapped again: a lost flush shows. */
const StormParams storm = {{"threads", "6"},
                           {"rounds", "6"},
                           {"pages", "16"},
                           {"touch_pages", "16"},
                           {"placement", "random"}};

class Mechanism : public testing::TestWithParam<Case>
{
};

std::string case_name(const testing::TestParamInfo<Case> &info)
{
    return std::string(info.param.mechanism->name) + (info.param.arm ? "_arm64" : "_x86") +
           (info.param.os == TS_OS_LINUX
                ? ""
                : std::string("_") + ts_guest_os_table[info.param.os]->name);
}

} // namespace

TEST(MechanismTable, EveryMechanismRunsSomewhere)
{
    ASSERT_GE(ts_flush_table_count, 9u);
    for (size_t i = 0; i < ts_flush_table_count; i++)
        EXPECT_FALSE(platforms(ts_flush_table[i]).empty()) << ts_flush_table[i]->name;
}

/* A test over the table is a test of all of them. */
TEST(GuestOsTable, EachHasAMechanismOfItsOwn)
{
    for (uint64_t os = 0; os < TS_OS_KINDS; os++) {
        bool own = false;
        for (size_t i = 0; i < ts_flush_table_count; i++)
            own = own || os_of(ts_flush_table[i]) == os;
        EXPECT_TRUE(own) << ts_guest_os_table[os]->name;
        EXPECT_NE(ts_guest_os_table[os]->summary, nullptr);
    }
}

TEST(MechanismTable, IsSortedAndDescribed)
{
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        const ts_flush_ops *m = ts_flush_table[i];
        EXPECT_NE(m->summary, nullptr);
        EXPECT_NE(m->reference, nullptr);
        EXPECT_EQ(ts_flush_find(m->name), m);
        if (i > 0) {
            EXPECT_LT(std::string(ts_flush_table[i - 1]->name), m->name);
        }
    }
    EXPECT_EQ(ts_flush_find("no_such_mechanism"), nullptr);
}

TEST_P(Mechanism, FinishesCleanWithTheSameOperationsAsFreeFlushes)
{
    ts_machine_config c = GetParam().machine();
    Outcome got = run_storm(c, GetParam().mechanism, storm, 1);
    Outcome free = run_storm(c, ts_flush_find("free_flush"), storm, 1);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(free.status, TS_OK) << free.message;
    for (const char *name : {"guest.mmaps", "guest.munmaps", "guest.touches", "guest.pages_freed",
                             "guest.shootdown_all"})
        EXPECT_EQ(got.stats.at(name), free.stats.at(name)) << name;
    EXPECT_GT(got.stats.at("oracle.hits_checked"), 0u);
    EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
    EXPECT_EQ(got.stats.at("guest.munmaps"), c.run.vms * 6u * 6u);
}

/* No thread waits for another and every vCPU has a CPU: what a flush takes is then all that
 * mechanisms can differ in. */
TEST_P(Mechanism, BeatsFreeFlushesNowhereThatThreadsDoNotWait)
{
    ts_machine_config c = GetParam().machine();
    set(c, "run.vms", "1");
    set(c, "run.vcpus", "4");
    std::vector<ts_op> unmaps = {op_ns(TS_OP_COMPUTE, 1000000)};
    for (uint32_t region = 0; region < 20; region++) {
        unmaps.push_back(op_mmap(region, 8 * 4096));
        unmaps.push_back(op_touch(region, 0, 8));
        unmaps.push_back(op_range(TS_OP_MUNMAP, region, 0, 8 * 4096));
    }
    const std::vector<ts_op> computes = {op_ns(TS_OP_COMPUTE, 3000000)};
    const Script script = {unmaps, computes, computes, computes};
    Outcome free = run_script(c, script, 4, "free_flush");
    Outcome got = run_script(c, script, 4, GetParam().mechanism->name);
    ASSERT_EQ(free.status, TS_OK) << free.message;
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_GE(got.shootdowns.size(), 20u);
    EXPECT_GE(got.result.completion_ps, free.result.completion_ps);
    EXPECT_GE(got.result.system_ps, free.result.system_ps);
    EXPECT_GE(got.stats.at("guest.munmap_ps.sum"), free.stats.at("guest.munmap_ps.sum"));
}

TEST_P(Mechanism, PartsOfEveryShootdownAddUpToItsLatency)
{
    Outcome got = run_storm(GetParam().machine(), GetParam().mechanism, storm, 2);
    ASSERT_EQ(got.status, TS_OK) << got.message;
    ASSERT_EQ(got.shootdowns.size(), got.stats.at("guest.shootdowns"));
    for (const auto &r : got.shootdowns) {
        ts_time sum = 0;
        for (ts_time part : r.part_ps)
            sum += part;
        EXPECT_EQ(sum, r.total_ps) << "shootdown " << r.number;
    }
}

TEST_P(Mechanism, SameSeedSameStatisticsOnBothQueues)
{
    ts_machine_config c = GetParam().machine();
    Outcome first = run_storm(c, GetParam().mechanism, storm, 3);
    Outcome again = run_storm(c, GetParam().mechanism, storm, 3);
    set(c, "run.queue", "heap");
    Outcome heap = run_storm(c, GetParam().mechanism, storm, 3);
    ASSERT_EQ(first.status, TS_OK) << first.message;
    EXPECT_EQ(first.stats, again.stats);
    EXPECT_EQ(first.stats, heap.stats);
    EXPECT_EQ(first.result.completion_ps, heap.result.completion_ps);
    Outcome other = run_storm(c, GetParam().mechanism, storm, 4);
    EXPECT_NE(first.stats, other.stats);
}

TEST_P(Mechanism, PageByPageChangesNothing)
{
    ts_machine_config c = GetParam().machine();
    StormParams runs = storm;
    runs["pages"] = runs["touch_pages"] = "64";
    Outcome joined = run_storm(c, GetParam().mechanism, runs, 5);
    set(c, "guest.page_by_page", "true");
    Outcome single = run_storm(c, GetParam().mechanism, runs, 5);
    ASSERT_EQ(joined.status, TS_OK) << joined.message;
    EXPECT_EQ(joined.stats, single.stats);
}

INSTANTIATE_TEST_SUITE_P(Table, Mechanism, testing::ValuesIn(cases()), case_name);

/* --- the oracle can tell --- */

TEST(Oracle, FindsAMechanismThatFlushesNothing)
{
    static const ts_flush_ops nothing = [] {
        ts_flush_ops ops{};
        ops.name = "nothing";
        ops.flush_multi = [](ts_task *, const ts_cpumask *, ts_flush_info *,
                             ts_shootdown_record *) {};
        return ops;
    }();
    for (bool arm : {false, true}) {
        /* No sleep: a return from idle would flush by the generation. */
        StormParams again = storm;
        again["unmap"] = "madvise_dontneed";
        again["sleep_max"] = "0";
        again["rounds"] = "20";
        ts_machine_config c = small_machine(arm);
        set(c, "run.progress", "20ms"); /* who goes on with a stale entry may fault for ever */
        Outcome got = run_storm(c, &nothing, again, 1);
        EXPECT_EQ(got.status, TS_ERR_FINDING) << got.message;
        EXPECT_GT(got.stats.at("oracle.hits_stale"), 0u);
    }
}

/* --- what a mechanism cannot do without --- */

TEST(MechanismNeeds, AreUserErrorsThatSayWhatIsMissing)
{
    struct Row {
        const char *mechanism, *key, *value, *says;
        bool arm;
    };
    const Row rows[] = {
        {"kvm_pv", "hypervisor.kind", "none", "bare metal", false},
        {"kvm_pv", "hypervisor.pv_tlb_flush", "false", "pv_tlb_flush", false},
        {"hyperv", "hypervisor.hv_flush", "off", "hv_flush", false},
        {"hyperv_2017", "hypervisor.hv_flush", "off", "hv_flush", false},
        {"tlbi_range", "guest.tlbirange", "false", "FEAT_TLBIRANGE", true},
        {"tlbi_range", "run.oracle", "true", "arm64 mechanism", false},
        {"kvm_pv", "run.oracle", "true", "x86 mechanism", true},
    };
    for (const Row &row : rows) {
        ts_machine_config c = small_machine(row.arm);
        set(c, "run.vms", "1");
        set(c, row.key, row.value);
        ts_error err{};
        EXPECT_EQ(ts_machine_check(&c, ts_flush_find(row.mechanism), &err), TS_ERR_USER);
        EXPECT_NE(std::string(err.message).find(row.says), std::string::npos) << err.message;
    }
}

TEST(BareMetal, RunsNativeAndTlbi)
{
    for (bool arm : {false, true}) {
        ts_machine_config c = small_machine(arm);
        set(c, "hypervisor.kind", "none");
        set(c, "run.vms", "1");
        for (const char *name : {"native_concurrent", "native_sequential", "free_flush"}) {
            Outcome got = run_storm(c, ts_flush_find(name), storm, 1);
            EXPECT_EQ(got.status, TS_OK) << name << ": " << got.message;
            EXPECT_EQ(got.result.vm_exits, 0u);
        }
    }
}
