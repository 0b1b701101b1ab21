/* SPDX-License-Identifier: Apache-2.0 */
/* What the table of a kernel's versions says, and rules that every such table keeps. */
#ifndef TS_TESTS_SUPPORT_VERSION_TABLE_HPP
#define TS_TESTS_SUPPORT_VERSION_TABLE_HPP

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "models/abi/linux_version.h"
#include "tests/support/machine_rig.hpp"

namespace ts_test
{

struct VersionTable {
    const ts_version_table *table;

    uint64_t version(const char *name) const
    {
        uint64_t v = 0;
        ts_error err{};
        EXPECT_EQ(ts_version_parse(table, name, &v, &err), TS_OK) << err.message;
        return v;
    }
    std::string said(const char *name, const char *key) const
    {
        const ts_version_rule *rule = ts_version_rule_of(table, version(name), key);
        return rule ? rule->value : "";
    }
    /* The message; the version stays what it was. */
    std::string refused(const char *text) const
    {
        uint64_t v = 77;
        ts_error err{};
        EXPECT_EQ(ts_version_parse(table, text, &v, &err), TS_ERR_USER);
        EXPECT_EQ(v, 77u);
        return err.message;
    }
    void
    refuses_with_the_nearest(const std::vector<std::pair<const char *, const char *>> &cases) const
    {
        for (const auto &[text, nearest] : cases)
            EXPECT_NE(refused(text).find(std::string("nearest known is ") + nearest + " "),
                      std::string::npos)
                << refused(text);
    }
    /* From names[first] on: 4.14 to 4.20, 5.0 to 5.19, 6.0 to 6.last. */
    void names_are_versions_in_order(size_t first, int last) const
    {
        const std::pair<int, std::pair<int, int>> series[] = {
            {4, {14, 20}}, {5, {0, 19}}, {6, {0, last}}};
        size_t i = first;
        for (const auto &[major, minors] : series)
            for (int minor = minors.first; minor <= minors.second; minor++)
                ASSERT_EQ(table->names[i++], std::to_string(major) + "." + std::to_string(minor));
        EXPECT_EQ(table->names[i], nullptr);
    }
    void rows_are_sorted_and_of_parameters_that_exist() const
    {
        ts_machine_config c{};
        for (size_t i = 0; i < table->nrules; i++) {
            const ts_version_rule &rule = table->rules[i];
            EXPECT_NO_THROW(set(c, rule.key, rule.value)) << rule.key;
            EXPECT_STRNE(rule.source, "");
            if (i == 0)
                continue;
            const ts_version_rule &before = table->rules[i - 1];
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
};

} // namespace ts_test
#endif
