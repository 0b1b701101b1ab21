/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what the version of the host's kernel decides, and the rules that it chooses
 * between: halt polling and the pause-loop window. */
#include <gtest/gtest.h>

#include "models/hypervisor/hyp_private.h"
#include "tests/support/version_table.hpp"

using namespace ts_test;

namespace
{

const VersionTable versions{&ts_kvm_versions};

/* A host of that version, with what else its table says. */
ts_machine_config host_of(const char *name)
{
    ts_machine_config c{};
    ts_machine_config_defaults(&c);
    for (size_t i = 0; i < ts_kvm_versions.nrules; i++) {
        const char *key = ts_kvm_versions.rules[i].key;
        const std::string value = versions.said(name, key);
        if (!value.empty())
            set(c, key, value);
    }
    return c;
}

} // namespace

TEST(KvmVersion, NamesAreNoneAndTheVersionsInOrder)
{
    ASSERT_STREQ(ts_kvm_version_names[0], "none");
    versions.names_are_versions_in_order(1, 12);
    EXPECT_EQ(ts_kvm_version_names[TS_KVM_VERSION_COUNT], nullptr);
    EXPECT_EQ(versions.version("none"), uint64_t(TS_KVM_VERSION_NONE));
    EXPECT_EQ(versions.version("6.12"), uint64_t(TS_KVM_VERSION_LAST));
}

TEST(KvmVersion, RowsAreSortedAndOfParametersThatExist)
{
    versions.rows_are_sorted_and_of_parameters_that_exist();
}

/* But for the features that the defaults leave to experiments. */
TEST(KvmVersion, TheLastVersionIsTheTablesDefaults)
{
    ts_machine_config c{};
    ts_machine_config_defaults(&c);
    ts_machine_config by_rules = host_of("6.12");
    EXPECT_EQ(by_rules.hypervisor.pv_ipi, uint64_t(TS_PV_IPI_SLIDING));
    EXPECT_EQ(by_rules.hypervisor.pv_sched_yield, 1u);
    set(by_rules, "hypervisor.pv_ipi", "off");
    set(by_rules, "hypervisor.pv_sched_yield", "false");
    EXPECT_EQ(memcmp(&c, &by_rules, sizeof c), 0);
    for (size_t i = 0; i < ts_kvm_versions.nrules; i++) {
        const char *key = ts_kvm_versions.rules[i].key;
        EXPECT_EQ(ts_version_rule_of(&ts_kvm_versions, versions.version("6.12"), key)->confidence,
                  TS_CONF_VERBATIM)
            << key;
    }
}

TEST(KvmVersion, EachRuleBeginsWhereItsRowSays)
{
    const struct {
        const char *key, *last, *before, *first, *after;
    } changes[] = {
        {"hypervisor.boost_rule", "5.2", "preempted", "5.3", "ready"},
        {"hypervisor.boost_rule", "5.12", "ready", "5.13", "ready_irq"},
        {"hypervisor.pv_preempted_rule", "5.18", "any_put", "5.19", "preempted_at_irq_exit"},
        {"hypervisor.halt_poll_relax", "5.13", "false", "5.14", "true"},
        {"hypervisor.halt_poll_shrink", "6.10", "0", "6.11", "2"},
        {"hypervisor.hv_flush", "4.17", "off", "4.18", "4.18"},
        {"hypervisor.hv_flush", "6.1", "4.18", "6.2", "fifo16"},
        {"hypervisor.pv_tlb_flush", "4.15", "false", "4.16", "true"},
        {"hypervisor.pv_ipi", "4.18", "off", "4.19", "sliding"},
        {"hypervisor.pv_sched_yield", "5.2", "false", "5.3", "true"},
        {"host_sched.policy", "6.5", "cfs", "6.6", "eevdf"},
        {"host_sched.slice", "6.11", "3ms", "6.12", "2.8ms"},
        {"host_sched.balance_factor", "5.9", "32", "5.10", "16"},
    };
    for (const auto &change : changes) {
        EXPECT_EQ(versions.said(change.last, change.key), change.before) << change.key;
        EXPECT_EQ(versions.said(change.first, change.key), change.after) << change.key;
    }
    for (const char *name : {"4.14", "6.12"}) {
        EXPECT_EQ(versions.said(name, "hypervisor.halt_poll"), "200us");
        EXPECT_EQ(versions.said(name, "hypervisor.halt_poll_grow"), "2");
        EXPECT_EQ(versions.said(name, "hypervisor.halt_poll_grow_start"), "10us");
        EXPECT_EQ(versions.said(name, "hypervisor.ple_window_grow"), "2");
        EXPECT_EQ(versions.said(name, "hypervisor.ple_window_shrink"), "0");
        EXPECT_EQ(versions.said(name, "hypervisor.pv_unhalt"), "true");
        EXPECT_EQ(versions.said(name, "hypervisor.ibpb_on_switch"), "true");
    }
    EXPECT_EQ(versions.said("6.12", "hypervisor.ple_window"), ""); /* the vendor's */
}

TEST(KvmVersion, NoneSaysNothing)
{
    for (size_t i = 0; i < ts_kvm_versions.nrules; i++)
        EXPECT_EQ(versions.said("none", ts_kvm_versions.rules[i].key), "")
            << ts_kvm_versions.rules[i].key;
}

TEST(KvmVersion, AnUnknownVersionIsRefusedWithTheNearest)
{
    versions.refuses_with_the_nearest(
        {{"4.13", "4.14"}, {"4.21", "4.20"}, {"6.13", "6.12"}, {"7.0", "6.12"}, {"3.10", "4.14"}});
    EXPECT_NE(
        std::string(versions.refused("non"))
            .find("hypervisor.kvm: 'non' is no version of Linux: expected one of none, 4.14 to "
                  "4.20, 5.0 to 5.19, 6.0 to 6.12"),
        std::string::npos)
        << versions.refused("non");
}

/* Xen has no version of Linux. */
TEST(KvmVersion, IsRefusedForXen)
{
    const ts_flush_ops *m = ts_flush_find("xen");
    ASSERT_NE(m, nullptr);
    ts_machine_config c = small_machine(false, m);
    ts_error err{};
    ASSERT_EQ(ts_machine_check(&c, m, &err), TS_OK) << err.message;
    set(c, "hypervisor.kvm", "4.14");
    EXPECT_EQ(ts_machine_check(&c, m, &err), TS_ERR_USER);
    EXPECT_NE(std::string(err.message).find("hypervisor.kvm is not Xen's"), std::string::npos)
        << err.message;
}

/* --- halt polling --- */

namespace
{

/* The polling times, in us, after halts of so many us each, one after the other. */
std::vector<uint64_t> polls(const ts_hypervisor_params &p, const std::vector<uint64_t> &halts)
{
    std::vector<uint64_t> out;
    ts_time poll = 0;
    for (uint64_t us : halts) {
        poll = ts_halt_poll_after(&p, poll, us * TS_US);
        EXPECT_EQ(poll % TS_US, 0u);
        out.push_back(poll / TS_US);
    }
    return out;
}

} // namespace

TEST(HaltPolling, ByVersion)
{
    using Times = std::vector<uint64_t>;
    const Times halts = {150, 150, 150, 150, 150, 150, 5000, 5000, 5000, 5000, 5000};
    for (const char *name : {"4.14", "5.10", "6.1", "6.10"})
        EXPECT_EQ(polls(host_of(name).hypervisor, halts),
                  Times({10, 20, 40, 80, 160, 160, 0, 0, 0, 0, 0}))
            << name;
    for (const char *name : {"6.11", "6.12"})
        EXPECT_EQ(polls(host_of(name).hypervisor, halts),
                  Times({10, 20, 40, 80, 160, 160, 80, 40, 20, 10, 0}))
            << name;
}

TEST(HaltPolling, BoundsAreTheKernels)
{
    const ts_hypervisor_params p = host_of("6.12").hypervisor;
    const ts_time most = 200 * TS_US, poll = 40 * TS_US;
    EXPECT_EQ(ts_halt_poll_after(&p, poll, poll), poll);
    EXPECT_EQ(ts_halt_poll_after(&p, poll, poll + 1), 2 * poll);
    EXPECT_EQ(ts_halt_poll_after(&p, poll, most - 1), 2 * poll);
    EXPECT_EQ(ts_halt_poll_after(&p, poll, most), poll);
    EXPECT_EQ(ts_halt_poll_after(&p, poll, most + 1), poll / 2);
    EXPECT_EQ(ts_halt_poll_after(&p, 160 * TS_US, 190 * TS_US), most); /* not beyond the cap */
    EXPECT_EQ(ts_halt_poll_after(&p, 0, 1), 10 * TS_US);
    EXPECT_EQ(ts_halt_poll_after(&p, 19 * TS_US, most + 1), 0u); /* below grow_start */
    EXPECT_EQ(ts_halt_poll_after(&p, 20 * TS_US, most + 1), 10 * TS_US);
    ts_hypervisor_params fixed = p;
    fixed.halt_poll_grow = 0;
    EXPECT_EQ(ts_halt_poll_after(&fixed, 0, 50 * TS_US), 0u);
    EXPECT_EQ(ts_halt_poll_after(&fixed, poll, 50 * TS_US), poll);
    ts_hypervisor_params off = p;
    off.halt_poll_ps = 0;
    EXPECT_EQ(ts_halt_poll_after(&off, 0, 50 * TS_US), 0u);
}

/* --- the pause-loop window --- */

TEST(PleWindow, GrowsAndShrinksAsTheKernels)
{
    ts_hypervisor_params p = host_of("6.12").hypervisor;
    EXPECT_EQ(ts_ple_window_grow(&p, 4096), 8192u);
    EXPECT_EQ(ts_ple_window_grow(&p, UINT32_MAX), uint64_t(UINT32_MAX));
    EXPECT_EQ(ts_ple_window_shrink(&p, 1 << 20), 4096u); /* 0: a reset */
    EXPECT_EQ(ts_ple_window_shrink(&p, 0), 4096u);       /* before the first load */
    p.ple_window_shrink = 2;
    EXPECT_EQ(ts_ple_window_shrink(&p, 1 << 20), uint64_t(1 << 19));
    EXPECT_EQ(ts_ple_window_shrink(&p, 6000), 4096u);
    p.ple_window_grow = p.ple_window_shrink = 4095; /* still a factor */
    EXPECT_EQ(ts_ple_window_grow(&p, 4096), 4096u * 4095);
    EXPECT_EQ(ts_ple_window_shrink(&p, 4096u * 4095 * 2), 8192u);
    p.ple_window_grow = p.ple_window_shrink = 4096; /* cycles */
    EXPECT_EQ(ts_ple_window_grow(&p, 8192), 12288u);
    EXPECT_EQ(ts_ple_window_shrink(&p, 12288), 8192u);
    EXPECT_EQ(ts_ple_window_shrink(&p, 100), 4096u);
    p.ple_window_grow = 0;
    EXPECT_EQ(ts_ple_window_grow(&p, 12345), 4096u);
    p.ple_window_grow = 2;
    p.ple_window_max_cycles = 10000;
    EXPECT_EQ(ts_ple_window_grow(&p, 4999), 9998u);
    EXPECT_EQ(ts_ple_window_grow(&p, 8192), 10000u);
}
