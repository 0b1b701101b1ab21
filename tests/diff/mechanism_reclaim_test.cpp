/* SPDX-License-Identifier: Apache-2.0 */
/* Every mechanism on every platform it runs on, with flushes that are of no one address space:
 * pages are reclaimed while other CPUs use them, and their frames are taken at once by another
 * process. No stale translation is used. */
#include <gtest/gtest.h>

#include "tests/support/reclaim_scripts.hpp"

using namespace ts_test;

namespace
{

constexpr uint32_t rounds = 10;

struct Case {
    const ts_flush_ops *mechanism;
    bool arm, bare;
    const char *name;
    std::map<std::string, std::string> settings, of_mechanism;
};

ts_machine_config machine_of(const Case &p)
{
    ts_machine_config c = small_machine(p.arm, p.mechanism);
    set(c, "run.vms", p.bare ? "1" : "2");
    if (p.bare)
        set(c, "hypervisor.kind", "none");
    /* kswapd has a CPU for itself, and looks at all of memory again and again. */
    set(c, "topology.cores_per_socket", "3");
    set(c, "run.vcpus", "6");
    set(c, "guest.reclaim_period", "30us");
    set(c, "guest.reclaim_pages", "40");
    for (const auto &[key, value] : p.settings)
        set(c, key, value);
    return c;
}

void add_if_it_runs(std::vector<Case> &all, const Case &p)
{
    ts_error err{};
    ts_machine_config c = machine_of(p);
    if (ts_machine_check(&c, p.mechanism, &err) == TS_OK)
        all.push_back(p);
}

/* And entries are hidden all the time, and every other page found migrates. */
const std::map<std::string, std::string> numa = {
    {"guest.numa_balancing", "true"},     {"guest.numa_scan_delay", "50us"},
    {"guest.numa_scan_period", "50us"},   {"guest.numa_scan_size", "64KiB"},
    {"guest.numa_migrate_percent", "50"}, {"guest_sched.tick", "100us"}};

std::vector<Case> cases()
{
    std::vector<Case> all;
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        const ts_flush_ops *m = ts_flush_table[i];
        if (!ts_flush_is_for(m, TS_OS_LINUX))
            continue;
        for (bool arm : {false, true})
            for (bool bare : {false, true})
                add_if_it_runs(all, {m, arm, bare, "", {}, {}});
        add_if_it_runs(all, {m, false, true, "_pti", {{"guest.pti", "true"}}, {}});
        add_if_it_runs(all,
                       {m, false, false, "_lazy_mask", {{"guest.lazy_mm_cpumask", "true"}}, {}});
        for (bool arm : {false, true})
            add_if_it_runs(all, {m, arm, true, "_numa", numa, {}});
    }
    add_if_it_runs(all, {ts_flush_find("invlpgb"),
                         false,
                         true,
                         "_global",
                         {},
                         {{"promote_sample", "1"}, {"promote_cpus", "1"}}});
    return all;
}

class Reclaim : public testing::TestWithParam<Case>
{
};

std::string case_name(const testing::TestParamInfo<Case> &info)
{
    return std::string(info.param.mechanism->name) + (info.param.arm ? "_arm" : "_x86") +
           (info.param.bare ? "_bare" : "_vms") + info.param.name;
}

} // namespace

TEST_P(Reclaim, NoStaleTranslationIsUsed)
{
    const ts_flush_ops *m = GetParam().mechanism;
    const std::vector<uint64_t> own = mechanism_params(m, GetParam().of_mechanism);
    uint64_t late = 0, lazyfreed = 0, flushes = 0, by_kswapd = 0, migrated = 0;
    for (const SharedScript &script : reclaim_scripts()) {
        SCOPED_TRACE(script.name);
        Outcome got = run_shared(machine_of(GetParam()), m, script, rounds,
                                 own.empty() ? nullptr : own.data());
        if (m->faults && std::string(m->faults).find("oops") != std::string::npos) {
            EXPECT_EQ(got.status, TS_ERR_FINDING);
            EXPECT_NE(got.message.find("no one address space"), std::string::npos) << got.message;
            continue;
        }
        ASSERT_EQ(got.status, TS_OK) << got.message;
        EXPECT_EQ(got.stats.at("oracle.hits_stale"), 0u);
        EXPECT_GT(got.stats.at("oracle.hits_checked"), 0u);
        flushes += got.stats.at("guest.batch_flushes");
        by_kswapd += count_ops(script, rounds, TS_OP_MADVISE_PAGEOUT) == 0
                         ? got.stats.at("guest.pgsteal")
                         : 0;
        late += got.stats.at("guest.batch_late");
        lazyfreed += got.stats.at("guest.pglazyfreed");
        migrated += got.stats.at("guest.numa_pages_migrated");
    }
    if (!m->faults) {
        EXPECT_GT(late, rounds);
        EXPECT_GT(lazyfreed, 0u);
        EXPECT_GT(flushes, 10 * rounds);
        EXPECT_GT(by_kswapd, rounds);
        EXPECT_EQ(migrated > rounds, GetParam().settings.count("guest.numa_balancing") > 0);
    }
}

INSTANTIATE_TEST_SUITE_P(All, Reclaim, testing::ValuesIn(cases()), case_name);

/* A mechanism that takes a flush without an address space for none is found. */
TEST(Oracle, FindsAMechanismThatForgetsBatches)
{
    static const ts_flush_ops forgets = [] {
        ts_flush_ops ops = *ts_flush_find("native_concurrent");
        ops.name = "forgets";
        ops.flush_multi = [](ts_task *self, const ts_cpumask *mask, ts_flush_info *info,
                             ts_shootdown_record *record) {
            if (info->mm)
                ts_native_flush_tlb_multi(self, mask, info, record);
        };
        return ops;
    }();
    const Case p = {&forgets, false, true, "", {{"run.progress", "20ms"}}, {}};
    Outcome got = run_shared(machine_of(p), &forgets, reclaim_scripts()[0], rounds);
    EXPECT_EQ(got.status, TS_ERR_FINDING) << got.message;
    EXPECT_GT(got.stats.at("oracle.hits_stale"), 0u);
}
