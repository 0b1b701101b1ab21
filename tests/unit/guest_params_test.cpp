/* SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "models/guest/coherence/record.h"
#include "models/tlb/range.h"

namespace
{

const ts_param *row(const char *key)
{
    const ts_param *r = ts_param_find(&ts_guest_param_table, key);
    EXPECT_NE(r, nullptr) << key;
    return r;
}

} // namespace

TEST(GuestParams, EveryFieldHasExactlyOneRow)
{
    std::set<size_t> offsets;
    for (size_t i = 0; i < ts_guest_param_table.nrows; i++)
        EXPECT_TRUE(offsets.insert(ts_guest_param_table.rows[i].offset).second)
            << ts_guest_param_table.rows[i].key;
    EXPECT_EQ(offsets.size() * sizeof(uint64_t), sizeof(ts_guest_params));
}

TEST(GuestParams, DefaultsAreInBoundsAndReadBack)
{
    for (size_t i = 0; i < ts_guest_param_table.nrows; i++) {
        const ts_param &r = ts_guest_param_table.rows[i];
        char text[64];
        uint64_t value = 0;
        ts_error err{};
        EXPECT_LE(r.min, r.def) << r.key;
        EXPECT_LE(r.def, r.max) << r.key;
        ts_param_format(&r, r.def, text, sizeof(text));
        EXPECT_EQ(ts_param_parse(&r, text, &value, &err), TS_OK) << r.key << ": " << err.message;
        EXPECT_EQ(value, r.def) << r.key;
        EXPECT_GT(strlen(r.help), 0u) << r.key;
        EXPECT_GT(strlen(r.source), 0u) << r.key;
    }
}

/* An estimate is never shown as a fact, and a fact names its source. */
TEST(GuestParams, ConfidenceMatchesTheSource)
{
    for (size_t i = 0; i < ts_guest_param_table.nrows; i++) {
        const ts_param &r = ts_guest_param_table.rows[i];
        bool estimate = std::string(r.source) == "estimate";
        EXPECT_FALSE(estimate && !ts_confidence_assumed(r.confidence)) << r.key;
    }
    EXPECT_EQ(row("flush_ceiling")->confidence, TS_CONF_VERBATIM);
    EXPECT_EQ(row("mmap")->confidence, TS_CONF_GUESS);
}

/* munmap measured at 215 ns a page at 2.7 GHz is what zap and free must add up to. */
TEST(GuestParams, UnmapOfAPageAddsUpToTheMeasuredTime)
{
    uint64_t cycles = row("zap_page")->def + row("free_page")->def;
    EXPECT_NEAR(static_cast<double>(cycles), 215e-9 * 2.7e9, 1.0);
}

TEST(GuestParams, RangeSplitNamesFollowTheEnum)
{
    const char *const *names = row("range_split")->enum_names;
    EXPECT_STREQ(names[TS_RANGE_SPLIT_LEGACY], "legacy");
    EXPECT_STREQ(names[TS_RANGE_SPLIT_MODERN], "modern");
    EXPECT_STREQ(names[TS_RANGE_SPLIT_PAGES], "pages");
    EXPECT_EQ(names[TS_RANGE_SPLIT_PAGES + 1], nullptr);
}

TEST(GuestStats, EveryFieldHasExactlyOneRow)
{
    size_t bytes = 0;
    std::set<size_t> offsets;
    for (size_t i = 0; i < ts_guest_stat_table.nrows; i++) {
        const ts_stat &r = ts_guest_stat_table.rows[i];
        EXPECT_TRUE(offsets.insert(r.offset).second) << r.name;
        bytes += r.kind == TS_STAT_HIST ? sizeof(ts_hist) : sizeof(uint64_t);
    }
    EXPECT_EQ(bytes, sizeof(ts_guest_stats));
}

TEST(GuestStats, RulesHoldAndCanFail)
{
    static ts_guest_stats s;
    ts_error err{};
    s = {};
    EXPECT_EQ(ts_stat_check(&ts_guest_stat_table, &s, &err), TS_OK) << err.message;
    s.shootdown_all = 3;
    s.shootdowns = 2;
    s.shootdown_local = 1;
    s.shootdown_ps.count = 2;
    EXPECT_EQ(ts_stat_check(&ts_guest_stat_table, &s, &err), TS_OK) << err.message;
    s.shootdown_local = 2;
    EXPECT_EQ(ts_stat_check(&ts_guest_stat_table, &s, &err), TS_ERR_FINDING);
    s.shootdown_local = 1;
    s.munmaps = 1;
    EXPECT_EQ(ts_stat_check(&ts_guest_stat_table, &s, &err), TS_ERR_FINDING);
}

TEST(ShootdownPath, EveryPartHasItsOwnName)
{
    std::set<std::string> names;
    for (const char *name : ts_path_part_names) {
        ASSERT_NE(name, nullptr);
        EXPECT_TRUE(names.insert(name).second) << name;
    }
    EXPECT_STREQ(ts_path_part_names[TS_PATH_SEND], "send");
    EXPECT_STREQ(ts_path_part_names[TS_PATH_NOT_RUNNING], "not_running");
    EXPECT_STREQ(ts_path_part_names[TS_PATH_HYPERVISOR], "hypervisor");
}
