/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what the kernel's version decides. */
#include <gtest/gtest.h>

#include <set>

#include "models/guest/core/guest_version.h"
#include "tests/support/machine_rig.hpp"

using namespace ts_test;

namespace
{

uint64_t version(const char *name)
{
    uint64_t v = 0;
    ts_error err{};
    EXPECT_EQ(ts_version_parse(&ts_guest_versions, name, &v, &err), TS_OK) << err.message;
    return v;
}

std::string said(const char *name, const char *key)
{
    const ts_version_rule *rule = ts_version_rule_of(&ts_guest_versions, version(name), key);
    return rule ? rule->value : "";
}

std::string refused(const char *text)
{
    uint64_t v = 77;
    ts_error err{};
    EXPECT_EQ(ts_version_parse(&ts_guest_versions, text, &v, &err), TS_ERR_USER);
    EXPECT_EQ(v, 77u);
    return err.message;
}

bool has(const std::string &text, const char *part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

TEST(GuestVersion, NamesAreTheVersionsInOrder)
{
    const std::pair<int, std::pair<int, int>> series[] = {
        {4, {14, 20}}, {5, {0, 19}}, {6, {0, 17}}};
    size_t i = 0;
    for (const auto &[major, minors] : series)
        for (int minor = minors.first; minor <= minors.second; minor++)
            ASSERT_EQ(ts_guest_version_names[i++],
                      std::to_string(major) + "." + std::to_string(minor));
    EXPECT_EQ(i, size_t(TS_GUEST_VERSION_COUNT));
    EXPECT_EQ(ts_guest_version_names[i], nullptr);
    EXPECT_EQ(version("6.12"), uint64_t(TS_GUEST_VERSION_DEFAULT));
}

TEST(GuestVersion, RowsAreSortedAndOfParametersThatExist)
{
    ts_machine_config c{};
    for (size_t i = 0; i < ts_guest_versions.nrules; i++) {
        const ts_version_rule &rule = ts_guest_versions.rules[i];
        EXPECT_NO_THROW(set(c, rule.key, rule.value)) << rule.key;
        EXPECT_STRNE(rule.source, "");
        if (i == 0)
            continue;
        const ts_version_rule &before = ts_guest_versions.rules[i - 1];
        const int order = std::string(before.key).compare(rule.key);
        EXPECT_LE(order, 0) << rule.key;
        if (order == 0) {
            EXPECT_LT(version(before.since), version(rule.since)) << rule.key;
            EXPECT_TRUE(std::string(before.value) != rule.value ||
                        before.confidence != rule.confidence)
                << rule.key;
        }
    }
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
        EXPECT_EQ(said(change.last, change.key), change.before) << change.key;
        EXPECT_EQ(said(change.first, change.key), change.after) << change.key;
    }
    EXPECT_EQ(said("4.14", "guest.vma_merge"), "true");
    EXPECT_EQ(said("6.17", "guest.vma_merge"), "true");
    EXPECT_EQ(said("6.5", "guest_sched.slice"), ""); /* CFS has none */
    EXPECT_EQ(said("6.12", "guest.invlpg"), "");
}

TEST(GuestVersion, AnUnknownVersionIsRefusedWithTheNearest)
{
    const std::pair<const char *, const char *> cases[] = {
        {"4.13", "4.14 "}, {"4.21", "4.20 "}, {"5.20", "5.19 "},     {"6.18", "6.17 "},
        {"7.0", "6.17 "},  {"2.6", "4.14 "},  {"6.12.117", "6.12 "}, {"99999999999.1", "6.17 "},
    };
    for (const auto &[text, nearest] : cases)
        EXPECT_TRUE(has(refused(text), (std::string("nearest known is ") + nearest).c_str()))
            << refused(text);
    EXPECT_TRUE(has(refused("6.12.117"), "stable release"));
    for (const char *text : {"", "6", "6.", ".12", "-6.1", "linux", "6,12"})
        EXPECT_TRUE(has(refused(text), "is no version of Linux")) << text;
}
