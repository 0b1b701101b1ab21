// SPDX-License-Identifier: Apache-2.0
// docs/write-a-mechanism.md: what check says of each try.
#include "sim/front/check/search.hpp"
#include "sim/front/check/shrink.hpp"

#include <gtest/gtest.h>

extern "C" {
extern const struct ts_flush_ops ts_flush_skip_preempted_1;
extern const struct ts_flush_ops ts_flush_skip_preempted_2;
extern const struct ts_flush_ops ts_flush_skip_preempted_3;
}

using namespace ts;

namespace
{

SearchResult look(const ts_flush_ops *m, uint64_t last)
{
    SearchSettings settings;
    settings.last = last;
    settings.jobs = 2;
    return search([m](uint64_t seed) { return draw_case(seed, m); }, settings);
}

} // namespace

TEST(Example, TheFirstTryIsRefuted)
{
    const ts_flush_ops *m = &ts_flush_skip_preempted_1;
    const SearchResult result = look(m, 1000);
    ASSERT_TRUE(result.found);
    const CheckCase c = *draw_case(*result.found, m);
    const FindingKind kind = run_case(c).kind;
    EXPECT_TRUE(kind == FindingKind::Stale || kind == FindingKind::FreedTable);
    const Shrunk small = shrink(
        c, [&](const CheckCase &next) { return run_case(next).kind == kind; }, 5000);
    EXPECT_LT(operations_of(small.c), operations_of(c) / 2);
    EXPECT_LT(operations_of(small.c), 30u);
}

TEST(Example, SoIsTheSecond)
{
    const SearchResult result = look(&ts_flush_skip_preempted_2, 4000);
    EXPECT_TRUE(result.found);
}

TEST(Example, TheThirdIsNot)
{
    const SearchResult result = look(&ts_flush_skip_preempted_3, 300);
    EXPECT_FALSE(result.found);
    EXPECT_GT(result.counts.in_window, 150u);
}
