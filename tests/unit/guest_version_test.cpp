/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what the kernel's version decides. */
#include <gtest/gtest.h>

#include <set>

#include "models/guest/core/guest_version.h"
#include "tests/support/version_table.hpp"

using namespace ts_test;

namespace
{

const VersionTable versions{&ts_guest_versions};

} // namespace

TEST(GuestVersion, NamesAreTheVersionsInOrder)
{
    versions.names_are_versions_in_order(0, 17);
    EXPECT_EQ(ts_guest_version_names[TS_GUEST_VERSION_COUNT], nullptr);
    EXPECT_EQ(versions.version("6.12"), uint64_t(TS_GUEST_VERSION_DEFAULT));
}

TEST(GuestVersion, RowsAreSortedAndOfParametersThatExist)
{
    versions.rows_are_sorted_and_of_parameters_that_exist();
}

/* Else a guest without a version would be another kernel than one of the default version. */
TEST(GuestVersion, TheDefaultVersionIsTheTablesDefaults)
{
    ts_machine_config c{};
    ts_machine_config_defaults(&c);
    ts_machine_config by_rules = c;
    for (size_t i = 0; i < ts_guest_versions.nrules; i++) {
        const char *key = ts_guest_versions.rules[i].key;
        const ts_version_rule *rule =
            ts_version_rule_of(&ts_guest_versions, TS_GUEST_VERSION_DEFAULT, key);
        ASSERT_NE(rule, nullptr) << key;
        EXPECT_EQ(rule->confidence, TS_CONF_VERBATIM) << key;
        set(by_rules, key, rule->value);
        EXPECT_EQ(memcmp(&c, &by_rules, sizeof c), 0) << key;
    }
}

TEST(GuestVersion, EachRuleBeginsWhereItsRowSays)
{
    const struct {
        const char *key, *last, *before, *first, *after;
    } changes[] = {
        {"guest.delayed_rmap", "6.1", "false", "6.2", "true"},
        {"guest.flush_concurrent", "5.12", "false", "5.13", "true"},
        {"guest.flush_gen_early_exit", "5.19", "false", "6.0", "true"},
        {"guest.gather_spare", "6.8", "false", "6.9", "true"},
        {"guest.lazy_mm_cpumask", "6.13", "false", "6.14", "true"},
        {"guest.lazy_rule", "4.19", "init_mm", "4.20", "skip"},
        {"guest.munmap_downgrade", "4.19", "false", "4.20", "true"},
        {"guest.per_vma_lock", "6.3", "false", "6.4", "true"},
        {"guest.range_split", "6.8", "legacy", "6.9", "modern"},
        {"guest.rcu_table_free", "6.14", "pv", "6.15", "always"},
        {"guest.should_flush_mm", "6.0", "false", "6.1", "true"}, /* stable series */
        {"guest.should_flush_mm", "6.11", "false", "6.12", "true"},
        {"guest.thp_align", "6.6", "never", "6.7", "large"},
        {"guest.thp_align", "6.11", "large", "6.12", "multiples"},
        {"guest_sched.policy", "6.5", "cfs", "6.6", "eevdf"},
        {"guest_sched.slice", "6.11", "3ms", "6.12", "2.8ms"},
    };
    for (const auto &change : changes) {
        EXPECT_EQ(versions.said(change.last, change.key), change.before) << change.key;
        EXPECT_EQ(versions.said(change.first, change.key), change.after) << change.key;
    }
    EXPECT_EQ(versions.said("4.14", "guest.vma_merge"), "true");
    EXPECT_EQ(versions.said("6.17", "guest.vma_merge"), "true");
    EXPECT_EQ(versions.said("6.5", "guest_sched.slice"), ""); /* CFS has none */
    EXPECT_EQ(versions.said("6.12", "guest.invlpg"), "");
}

TEST(GuestVersion, AnUnknownVersionIsRefusedWithTheNearest)
{
    versions.refuses_with_the_nearest({{"4.13", "4.14"},
                                       {"4.21", "4.20"},
                                       {"5.20", "5.19"},
                                       {"6.18", "6.17"},
                                       {"7.0", "6.17"},
                                       {"2.6", "4.14"},
                                       {"6.12.117", "6.12"},
                                       {"99999999999.1", "6.17"}});
    EXPECT_NE(std::string(versions.refused("6.12.117")).find("stable release"), std::string::npos);
    for (const char *text : {"", "6", "6.", ".12", "-6.1", "linux", "6,12"})
        EXPECT_NE(std::string(versions.refused(text)).find("is no version of Linux"),
                  std::string::npos)
            << text;
}
