/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"
#include "sim/stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace
{

std::unique_ptr<ts_hist> make_hist(const std::vector<uint64_t> &values = {})
{
    auto h = std::make_unique<ts_hist>();

    ts_hist_init(h.get());
    for (uint64_t v : values)
        ts_hist_add(h.get(), v);
    return h;
}

TEST(Hist, BucketsTileTheNumbersWithoutGapOrOverlap)
{
    uint64_t next = 0;

    for (uint32_t i = 0; i < TS_HIST_BUCKETS; i++) {
        uint64_t lo, hi;

        ts_hist_bucket_range(i, &lo, &hi);
        ASSERT_EQ(lo, next) << i;
        ASSERT_GE(hi, lo);
        ASSERT_EQ(ts_hist_bucket(lo), i);
        ASSERT_EQ(ts_hist_bucket(hi), i);
        /* 32 buckets an octave: no bucket is wider than 1/32 of its values. */
        ASSERT_LE(hi - lo, lo >> TS_HIST_SUB_BITS);
        next = hi + 1;
    }
    EXPECT_EQ(next, 0u) << "the last bucket ends at 2^64 - 1";
}

TEST(Hist, CountSumMinMaxAreExact)
{
    auto h = make_hist();

    EXPECT_EQ(h->count, 0u);
    EXPECT_EQ(h->min, UINT64_MAX);
    EXPECT_EQ(h->max, 0u);
    EXPECT_EQ(ts_hist_quantile(h.get(), 500), 0u);
    h = make_hist({1000003, 17, 123456789});
    EXPECT_EQ(h->count, 3u);
    EXPECT_EQ(h->sum, 1000003u + 17u + 123456789u);
    EXPECT_EQ(h->min, 17u);
    EXPECT_EQ(h->max, 123456789u);
}

TEST(Hist, SmallValuesHaveExactQuantiles)
{
    std::vector<uint64_t> values;

    for (uint64_t v = 1; v <= 20; v++)
        values.push_back(v);
    auto h = make_hist(values);
    EXPECT_EQ(ts_hist_quantile(h.get(), 0), 1u);
    EXPECT_EQ(ts_hist_quantile(h.get(), 50), 1u);
    EXPECT_EQ(ts_hist_quantile(h.get(), 51), 2u);
    EXPECT_EQ(ts_hist_quantile(h.get(), 500), 10u);
    EXPECT_EQ(ts_hist_quantile(h.get(), 501), 11u);
    EXPECT_EQ(ts_hist_quantile(h.get(), 1000), 20u);
}

TEST(Hist, QuantilesAreAtMostAThirtySecondAboveTheSortedValue)
{
    std::vector<uint64_t> values;
    ts_rng rng;

    ts_rng_init(&rng, 1, "hist_test", 0);
    for (int i = 0; i < 5000; i++)
        values.push_back(ts_rng_next(&rng) >> (10 + ts_rng_below(&rng, 50)));
    /* The sum would not hold many values near 2^64; these are below 2^54. */
    auto h = make_hist(values);
    std::sort(values.begin(), values.end());
    for (uint32_t permille = 1; permille <= 1000; permille++) {
        size_t rank = (values.size() * permille + 999) / 1000;
        uint64_t exact = values[rank - 1], got = ts_hist_quantile(h.get(), permille);

        ASSERT_GE(got, exact) << permille;
        ASSERT_LE(got, exact + (exact >> TS_HIST_SUB_BITS)) << permille;
    }
    EXPECT_EQ(ts_hist_quantile(h.get(), 1000), values.back());
}

TEST(Hist, OneValueIsEveryQuantile)
{
    for (uint64_t v : {UINT64_C(0), UINT64_C(31), UINT64_C(32), UINT64_C(123456789), UINT64_MAX}) {
        auto h = make_hist({v});

        for (uint32_t permille : {0u, 1u, 500u, 1000u})
            EXPECT_EQ(ts_hist_quantile(h.get(), permille), v);
    }
}

TEST(Hist, MergeIsAddingBoth)
{
    auto a = make_hist({1, 2, 3000}), b = make_hist({2, 70000}),
         all = make_hist({1, 2, 3000, 2, 70000});
    auto empty = make_hist();

    ts_hist_merge(a.get(), b.get());
    ts_hist_merge(a.get(), empty.get());
    EXPECT_EQ(a->count, all->count);
    EXPECT_EQ(a->sum, all->sum);
    EXPECT_EQ(a->min, all->min);
    EXPECT_EQ(a->max, all->max);
    EXPECT_TRUE(std::equal(std::begin(a->buckets), std::end(a->buckets), std::begin(all->buckets)));
    ts_hist_merge(empty.get(), b.get());
    EXPECT_EQ(empty->min, 2u);
    EXPECT_EQ(empty->max, 70000u);
}

TEST(Hist, AFullBucketStaysFull)
{
    auto h = make_hist({5, 9}), more = make_hist({5, 5, 5});

    h->buckets[5] = UINT32_MAX;
    ts_hist_add(h.get(), 5);
    EXPECT_EQ(h->buckets[5], UINT32_MAX);
    h->buckets[5] = UINT32_MAX - 1;
    ts_hist_merge(h.get(), more.get());
    EXPECT_EQ(h->buckets[5], UINT32_MAX);
    EXPECT_EQ(h->count, 6u);
}

TEST(HistDeath, AnOverflowingSumIsABug)
{
    auto h = make_hist({UINT64_MAX});

    EXPECT_DEATH(ts_hist_add(h.get(), 1), "broken invariant");
    EXPECT_DEATH(ts_hist_quantile(h.get(), 1001), "broken invariant");
}

struct Model {
    uint64_t sent;
    uint64_t received;
    uint64_t dropped;
    uint64_t busy_ps;
    uint64_t depth_max;
    ts_hist latency;
};

const ts_stat rows[] = {
    {"sent", TS_STAT_COUNTER, offsetof(Model, sent), "1", "messages sent"},
    {"received", TS_STAT_COUNTER, offsetof(Model, received), "1", "messages received"},
    {"dropped", TS_STAT_COUNTER, offsetof(Model, dropped), "1", "messages dropped"},
    {"busy", TS_STAT_TIME_PS, offsetof(Model, busy_ps), "ps", "time in use"},
    {"depth_max", TS_STAT_GAUGE, offsetof(Model, depth_max), "1", "longest queue"},
    {"latency", TS_STAT_HIST, offsetof(Model, latency), "ps", "message latency"},
};
const ts_stat_rule rules[] = {
    {"every message has a latency", {"+received", "-latency", nullptr}},
    {"no message is lost", {"+sent", "-received", "-dropped", nullptr}},
};
const ts_stat_table table = {"net", rows, TS_ARRAY_LEN(rows), rules, TS_ARRAY_LEN(rules)};

std::unique_ptr<Model> make_model(uint64_t sent, uint64_t received, uint64_t dropped)
{
    auto m = std::make_unique<Model>();

    m->sent = sent;
    m->received = received;
    m->dropped = dropped;
    ts_hist_init(&m->latency);
    for (uint64_t i = 0; i < received; i++)
        ts_hist_add(&m->latency, 100 + i);
    return m;
}

TEST(Stat, RulesThatHoldPass)
{
    ts_error err;

    EXPECT_EQ(ts_stat_check(&table, make_model(5, 3, 2).get(), &err), TS_OK);
    EXPECT_EQ(ts_stat_check(&table, make_model(0, 0, 0).get(), &err), TS_OK);
}

TEST(Stat, ABrokenRuleIsAFindingThatNamesBothSides)
{
    ts_error err;

    EXPECT_EQ(ts_stat_check(&table, make_model(6, 3, 2).get(), &err), TS_ERR_FINDING);
    EXPECT_STREQ(err.message, "net: sum rule broken: no message is lost: sent (6) is not "
                              "received (3) + dropped (2)");
}

TEST(Stat, RulesAreCheckedInOrderAndHistogramsCount)
{
    auto m = make_model(6, 3, 2);
    ts_error err;

    m->received = 4;
    EXPECT_EQ(ts_stat_check(&table, m.get(), &err), TS_ERR_FINDING);
    EXPECT_STREQ(err.message, "net: sum rule broken: every message has a latency: received (4) is "
                              "not latency (3)");
}

TEST(Stat, SumsDoNotWrap)
{
    auto m = make_model(UINT64_MAX, 0, 1);
    ts_error err;

    /* UINT64_MAX + 1 is not 0. */
    const ts_stat_rule wrap[] = {{"wrap", {"+sent", "+dropped", nullptr}}};
    const ts_stat_table t = {"net", rows, TS_ARRAY_LEN(rows), wrap, 1};
    EXPECT_EQ(ts_stat_check(&t, m.get(), &err), TS_ERR_FINDING);
    EXPECT_NE(std::string(err.message).find("is not nothing"), std::string::npos);
}

TEST(Stat, ARuleMayUseAllItsTerms)
{
    auto m = make_model(4, 0, 0);
    ts_error err;
    const ts_stat_rule full[] = {
        {"full", {"+sent", "-sent", "+sent", "-sent", "+sent", "-sent", "+sent", "-sent"}}};
    const ts_stat_table t = {"net", rows, TS_ARRAY_LEN(rows), full, 1};

    EXPECT_EQ(ts_stat_check(&t, m.get(), &err), TS_OK);
}

TEST(StatDeath, ARuleOfAnUnknownRowIsABug)
{
    auto m = make_model(0, 0, 0);
    ts_error err;
    const ts_stat_rule unknown[] = {{"x", {"+nonesuch", nullptr}}};
    const ts_stat_rule unsign[] = {{"x", {"sent", nullptr}}};
    const ts_stat_table a = {"net", rows, TS_ARRAY_LEN(rows), unknown, 1};
    const ts_stat_table b = {"net", rows, TS_ARRAY_LEN(rows), unsign, 1};

    EXPECT_DEATH(ts_stat_check(&a, m.get(), &err), "broken invariant");
    EXPECT_DEATH(ts_stat_check(&b, m.get(), &err), "broken invariant");
}

TEST(Stat, AccumulateFollowsTheKind)
{
    auto a = make_model(5, 3, 2), b = make_model(10, 10, 0);

    a->busy_ps = 100;
    b->busy_ps = 11;
    a->depth_max = 7;
    b->depth_max = 4;
    ts_stat_accumulate(&table, a.get(), b.get());
    EXPECT_EQ(a->sent, 15u);
    EXPECT_EQ(a->received, 13u);
    EXPECT_EQ(a->busy_ps, 111u);
    EXPECT_EQ(a->depth_max, 7u);
    EXPECT_EQ(a->latency.count, 13u);
    EXPECT_EQ(a->latency.max, 109u);
    b->depth_max = 9;
    ts_stat_accumulate(&table, a.get(), b.get());
    EXPECT_EQ(a->depth_max, 9u);
}

} // namespace
